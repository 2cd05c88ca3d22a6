//! With another library, in both roles.

use ringsoup_dtls::OpenSsl;
use ringsoup_rtc::dtls::{Event, Fingerprint, FingerprintAlgorithm, Role};
use ringsoup_rtc::time::Time;

use crate::ends::{Dimpl, End, Ours, certificate, fingerprint};
use crate::network::{connect, exchange};

#[test]
fn every_algorithm_names_the_peer_in_any_case() {
    let (a, b) = (certificate(), certificate());
    let connector = OpenSsl::new(&a).unwrap();
    for algorithm in FingerprintAlgorithm::ALL {
        let mut shown = Fingerprint::of(algorithm, b.der());
        for _ in 0..2 {
            let mut us = Ours::new(&connector, Role::Client, &shown);
            let mut them = Dimpl::new(&b, Role::Server, 1_200);
            connect(&mut us, &mut them);
            assert_eq!(them.peer_certificate, a.der());
            let pem = &us.connected().unwrap().remote_certificate;
            assert_eq!(openssl::x509::X509::from_pem(pem.as_bytes()).unwrap().to_der().unwrap(), b.der());
            shown.value.make_ascii_lowercase();
        }
    }
}

#[test]
fn messages_come_through_and_a_good_bye_closes() {
    let (a, b) = (certificate(), certificate());
    let connector = OpenSsl::new(&a).unwrap();
    for role in [Role::Client, Role::Server] {
        let mut us = Ours::new(&connector, role, &fingerprint(&b));
        let mut them = Dimpl::new(&b, role.opposite(), 1_200);
        match role {
            Role::Client => connect(&mut us, &mut them),
            _ => connect(&mut them, &mut us),
        }
        assert_eq!(us.next_timeout(), None);
        for message in [&b"one"[..], &[7; 1_100]] {
            them.send(message);
            exchange(&mut us, &mut them);
            assert!(matches!(us.events.last(), Some(Event::ApplicationData(data)) if data == message));
        }
        us.close();
        let good_bye = us.take_datagrams();
        assert_eq!(good_bye.len(), 1);
        them.handle_datagram(Time::ZERO, &good_bye[0]);
        exchange(&mut us, &mut them);
        assert!(us.next_timeout().is_none());
        us.close();
        assert!(us.take_datagrams().is_empty(), "good-bye is said once");
    }
}

#[test]
fn the_peers_good_bye_is_told_once() {
    let (a, b) = (certificate(), certificate());
    let (for_a, for_b) = (OpenSsl::new(&a).unwrap(), OpenSsl::new(&b).unwrap());
    let mut client = Ours::new(&for_a, Role::Client, &fingerprint(&b));
    let mut server = Ours::new(&for_b, Role::Server, &fingerprint(&a));
    connect(&mut client, &mut server);
    client.close();
    let good_bye = client.take_datagrams();
    for _ in 0..3 {
        server.handle_datagram(Time::ZERO, &good_bye[0]);
    }
    assert!(server.is_closed());
    assert_eq!(server.events.iter().filter(|event| matches!(event, Event::Closed)).count(), 1);
}
