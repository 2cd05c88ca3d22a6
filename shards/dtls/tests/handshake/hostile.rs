//! Strangers who write from the peer's address, and peers that mean no good.

use openssl::bn::BigNum;
use openssl::dh::Dh;
use ringsoup_dtls::OpenSsl;
use ringsoup_rtc::dtls::{Connector as _, Event, Output, Role};
use ringsoup_rtc::time::Time;

use crate::ends::{Dimpl, End, Ours, certificate, certificate_of, fingerprint, rsa_key};
use crate::network::{Lcg, connect, exchange};
use crate::openssl_peer::{OpenSslPeer, context};

/// A record in the clear.
fn clear(content: u8, body: &[u8]) -> Vec<u8> {
    let len = u16::try_from(body.len()).unwrap().to_be_bytes();
    [&[content, 254, 253, 0, 0, 0, 0, 0, 0, 1, 0][..], &len, body].concat()
}

fn handshake(kind: u8, sequence: u16, message_len: u32, offset: u32, bytes: &[u8]) -> Vec<u8> {
    let u24 = |number: u32| number.to_be_bytes()[1..].to_vec();
    let own_len = u24(u32::try_from(bytes.len()).unwrap());
    let sequence = sequence.to_be_bytes().to_vec();
    clear(22, &[vec![kind], u24(message_len), sequence, u24(offset), own_len, bytes.to_vec()].concat())
}

#[test]
fn after_the_handshake_nothing_in_the_clear_counts() {
    let (a, b) = (certificate(), certificate());
    let connector = OpenSsl::new(&a).unwrap();
    for role in [Role::Client, Role::Server] {
        let mut us = Ours::new(&connector, role, &fingerprint(&b));
        let mut them = Dimpl::new(&b, role.opposite(), 1_200);
        exchange(&mut us, &mut them);
        let told = us.events.len();
        let mut forged = vec![
            clear(21, &[2, 40]),
            clear(21, &[2, 0]),
            clear(21, &[1, 0]),
            clear(20, &[1]),
            clear(22, &[0; 12]),
            clear(23, b"data"),
            handshake(1, 0, 100, 0, &[0; 100]),
            handshake(20, 3, 12, 0, &[0; 12]),
        ];
        // The same as if they were encrypted, which they are not.
        let sealed = |record: &Vec<u8>, epoch| [&record[..4], &[epoch], &record[5..]].concat();
        forged.extend(forged.clone().iter().flat_map(|record| [sealed(record, 1), sealed(record, 2)]));
        for record in &forged {
            us.handle_datagram(Time::ZERO, record);
        }
        assert_eq!(us.events.len(), told, "{:?}", us.events);
        assert_eq!(us.take_datagrams(), Vec::<Vec<u8>>::new());
        them.send(b"still here");
        exchange(&mut us, &mut them);
        assert!(matches!(us.events.last(), Some(Event::ApplicationData(data)) if data == b"still here"));
    }
}

#[test]
fn a_fatal_alert_ends_a_handshake_and_a_warning_does_not() {
    let (a, b) = (certificate(), certificate());
    let connector = OpenSsl::new(&a).unwrap();
    for role in [Role::Client, Role::Server] {
        let mut us = Ours::new(&connector, role, &fingerprint(&b));
        us.handle_datagram(Time::ZERO, &clear(21, &[1, 90]));
        assert!(us.events.is_empty());
        us.handle_datagram(Time::ZERO, &clear(21, &[2, 40]));
        assert!(us.failure().is_some_and(|reason| reason.contains("alert 40")));
        assert_eq!(us.next_timeout(), None);
    }
}

#[test]
fn after_a_failure_nothing_is_said() {
    let (a, b) = (certificate(), certificate());
    let mut us = Ours::new(&OpenSsl::new(&a).unwrap(), Role::Client, &fingerprint(&b));
    let mut them = Dimpl::new(&b, Role::Server, 1_200);
    let hello = us.take_datagrams();
    us.handle_datagram(Time::ZERO, &clear(21, &[2, 40]));
    for datagram in hello {
        them.handle_datagram(Time::ZERO, &datagram);
    }
    for datagram in them.take_datagrams() {
        us.handle_datagram(Time::ZERO, &datagram);
    }
    us.handle_timeout(Time::from_millis(50_000));
    us.close();
    assert_eq!(us.events.len(), 1);
    assert!(us.take_datagrams().is_empty());
}

/// What each end sends in a handshake that goes well, with whether the client sent it.
fn good_handshake(connector: &OpenSsl) -> Vec<(bool, Vec<u8>)> {
    let own = certificate();
    let mut all = Vec::new();
    let mut client = Dimpl::new(&own, Role::Client, 1_200);
    let mut out = Output::default();
    let mut server = connector.connect(Time::ZERO, Role::Server, &fingerprint(&own), &mut out).unwrap();
    loop {
        let up = client.take_datagrams();
        if up.is_empty() {
            return all;
        }
        for datagram in up {
            server.handle_datagram(Time::ZERO, &datagram, &mut out);
            all.push((true, datagram));
        }
        for datagram in out.datagrams() {
            client.handle_datagram(Time::ZERO, datagram);
            all.push((false, datagram.to_vec()));
        }
        out.clear();
    }
}

fn mutate(datagram: &[u8], random: &mut Lcg) -> Vec<u8> {
    let mut bytes = datagram.to_vec();
    let len = bytes.len() as u64;
    for _ in 0..=random.below(4) {
        let place = usize::try_from(random.below(len)).unwrap();
        match random.below(6) {
            0 => bytes.truncate(place),
            1 => bytes.resize(bytes.len() + place, 0xff),
            2 => bytes[place..].fill(0),
            3 => bytes[place..].fill(0xff),
            _ => bytes[place] = u8::try_from(random.below(256)).unwrap(),
        }
        if bytes.len() <= place {
            break;
        }
    }
    bytes
}

#[test]
fn mutated_flights_of_either_end_do_no_harm() {
    let (a, peer) = (certificate(), certificate());
    let connector = OpenSsl::new(&a).unwrap();
    let mut random = Lcg(1);
    for round in 0..2_000_u64 {
        let role = if round % 2 == 0 { Role::Client } else { Role::Server };
        let mut us = Ours::new(&connector, role, &fingerprint(&peer));
        let mut them = Dimpl::new(&peer, role.opposite(), 500);
        // So many datagrams of the peer's are left alone, and three are changed.
        let good = random.below(6);
        for number in 0..12 {
            for datagram in us.take_datagrams() {
                them.handle_datagram(Time::ZERO, &datagram);
            }
            for datagram in them.take_datagrams() {
                if (good..good + 3).contains(&number) {
                    us.handle_datagram(Time::ZERO, &mutate(&datagram, &mut random));
                } else {
                    us.handle_datagram(Time::ZERO, &datagram);
                }
            }
        }
        let ends = us.events.iter().filter(|event| !matches!(event, Event::ApplicationData(_))).count();
        assert!(ends <= 1, "round {round}: {:?}", us.events);
        if let (Some(ours), Some(theirs)) = (us.keys(), them.keys()) {
            assert_eq!(ours, theirs, "round {round}");
        }
        us.handle_timeout(Time::from_millis(100));
        us.close();
    }
    // Nothing is left in OpenSSL's queue of errors that another connection would take for its own.
    let mut us = Ours::new(&connector, Role::Client, &fingerprint(&peer));
    let mut them = Dimpl::new(&peer, Role::Server, 1_200);
    connect(&mut us, &mut them);
}

#[test]
fn datagrams_that_were_recorded_say_nothing_new() {
    let own = certificate();
    let connector = OpenSsl::new(&own).unwrap();
    let recorded = good_handshake(&connector);
    let mut out = Output::default();
    let mut server = connector.connect(Time::ZERO, Role::Server, &fingerprint(&own), &mut out).unwrap();
    for (from_client, datagram) in &recorded {
        if *from_client {
            server.handle_datagram(Time::ZERO, datagram, &mut out);
        }
    }
    assert!(!out.events.iter().any(|event| matches!(event, Event::Connected(_))));
}

/// Records that claim to be encrypted and are too short for any cipher, as the last message of the handshake is awaited.
#[test]
fn what_is_too_short_for_a_tag_ends_nothing() {
    let (a, b) = (certificate(), certificate());
    let connector = OpenSsl::new(&a).unwrap();
    for role in [Role::Client, Role::Server] {
        let mut us = Ours::new(&connector, role, &fingerprint(&b));
        let mut them = Dimpl::new(&b, role.opposite(), 1_200);
        for _ in 0..10 {
            for datagram in us.take_datagrams() {
                them.handle_datagram(Time::ZERO, &datagram);
            }
            for len in 0..60_usize {
                let mut record = clear(22, &vec![1; len]);
                record[4] = 1;
                us.handle_datagram(Time::ZERO, &record);
            }
            for datagram in them.take_datagrams() {
                us.handle_datagram(Time::ZERO, &datagram);
            }
        }
        assert_eq!(us.keys(), them.keys());
        assert!(us.keys().is_some(), "{role:?}: {:?}", us.events);
    }
}

/// With every kind of cipher that we offer: records that anybody can write, and that no key of the connection made.
#[test]
fn forged_records_end_no_connection_whatever_the_cipher() {
    let (a, b) = (certificate(), certificate());
    let connector = OpenSsl::new(&a).unwrap();
    for cipher in ["ECDHE-ECDSA-AES128-SHA", "ECDHE-ECDSA-AES128-GCM-SHA256", "ECDHE-ECDSA-CHACHA20-POLY1305"]
    {
        let mut context = context(Some(&b));
        context.set_cipher_list(cipher).unwrap();
        let mut us = Ours::new(&connector, Role::Server, &fingerprint(&b));
        let mut them = OpenSslPeer::new(&context.build(), Role::Client, 1_200);
        connect(&mut us, &mut them);
        assert_eq!(them.ssl().current_cipher().unwrap().name(), cipher);
        for (len, content) in (0..200_usize).flat_map(|len| [(len, 21), (len, 22), (len, 23)]) {
            let mut record = clear(content, &vec![1; len]);
            record[4] = 1;
            us.handle_datagram(Time::ZERO, &record);
        }
        let is_end = |event: &Event| matches!(event, Event::Closed | Event::Failed(_));
        assert!(!us.events.iter().any(is_end), "{cipher}: {:?}", us.events);
        us.close();
        let good_bye = us.take_datagrams();
        assert_eq!(good_bye.len(), 1, "{cipher}: it was still there to say it");
    }
}

/// A group of 8,192 bits, which a server may choose where a client offers DHE, costs the client a third of a second.
#[test]
fn a_server_that_wants_a_huge_group_is_not_agreed_with() {
    let (a, b) = (certificate(), certificate_of(&rsa_key(2_048), 10));
    let mut theirs = context(Some(&b));
    theirs.set_cipher_list("DHE").unwrap();
    let (prime, generator) = (BigNum::get_rfc3526_prime_8192().unwrap(), BigNum::from_u32(2).unwrap());
    theirs.set_tmp_dh(&Dh::from_pqg(prime, None, generator).unwrap()).unwrap();
    let theirs = theirs.build();
    let mut us = Ours::new(&OpenSsl::new(&a).unwrap(), Role::Client, &fingerprint(&b));
    let mut them = OpenSslPeer::new(&theirs, Role::Server, 1_200);
    exchange(&mut us, &mut them);
    assert_eq!(us.keys(), None);
    assert!(them.error.as_ref().is_some_and(|error| error.contains("no shared cipher")), "{:?}", them.error);
    assert!(us.failure().is_some_and(|reason| reason.contains("alert 40")), "{:?}", us.events);

    // With a client that offers it, it would have come to an end: nothing else is wrong with that server.
    let mut willing = context(Some(&a));
    willing.set_cipher_list("ALL").unwrap();
    let mut client = OpenSslPeer::new(&willing.build(), Role::Client, 1_200);
    connect(&mut client, &mut OpenSslPeer::new(&theirs, Role::Server, 1_200));
    assert!(client.ssl().current_cipher().unwrap().name().starts_with("DHE-RSA-"));
}

/// A server that names a cipher which it was not offered.
#[test]
fn a_server_that_takes_what_was_not_offered_is_not_followed() {
    /// Of `ECDHE_RSA_WITH_AES_128_GCM_SHA256`, and the same with DHE.
    const OFFERED: [u8; 2] = [0xc0, 0x2f];
    const NOT_OFFERED: [u8; 2] = [0x00, 0x9e];
    let (a, b) = (certificate(), certificate_of(&rsa_key(2_048), 10));
    let mut theirs = context(Some(&b));
    theirs.set_cipher_list("ECDHE-RSA-AES128-GCM-SHA256").unwrap();
    let mut us = Ours::new(&OpenSsl::new(&a).unwrap(), Role::Client, &fingerprint(&b));
    let mut them = OpenSslPeer::new(&theirs.build(), Role::Server, 1_200);
    for hello in us.take_datagrams() {
        them.handle_datagram(Time::ZERO, &hello);
    }
    let mut flight = them.take_datagrams();
    // Behind record and message header: version, random, and the length of the session's id and it.
    let place = 13 + 12 + 2 + 32;
    let place = place + 1 + usize::from(flight[0][place]);
    assert_eq!(flight[0][place..place + 2], OFFERED);
    flight[0][place..place + 2].copy_from_slice(&NOT_OFFERED);
    for datagram in &flight {
        us.handle_datagram(Time::ZERO, datagram);
    }
    assert!(us.failure().is_some_and(|reason| reason.contains("wrong cipher")), "{:?}", us.events);
}
