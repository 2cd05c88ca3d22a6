//! Certificates of all kinds at either end.

use std::time::{Duration, Instant};

use openssl::bn::{BigNum, MsbOption};
use openssl::hash::MessageDigest;
use openssl::pkey::PKey;
use openssl::rsa::Rsa;
use openssl::ssl::SslContext;
use openssl::x509::{X509, X509Builder, X509NameBuilder};
use ringsoup_dtls::OpenSsl;
use ringsoup_rtc::dtls::{Certificate, Fingerprint, FingerprintAlgorithm, Role};
use ringsoup_rtc::time::Time;

use crate::ends::{Dimpl, End, Ours, certificate, certificate_of, ecdsa_key, fingerprint, rsa_key};
use crate::network::{connect, exchange};
use crate::openssl_peer::{OpenSslPeer, context};

fn pair(a: &Certificate, b: &Certificate) -> (Ours, Ours) {
    let client = Ours::new(&OpenSsl::new(a).unwrap(), Role::Client, &fingerprint(b));
    let server = Ours::new(&OpenSsl::new(b).unwrap(), Role::Server, &fingerprint(a));
    (client, server)
}

#[test]
fn rsa_at_either_end() {
    let kinds = [certificate(), certificate_of(&rsa_key(2_048), 10), certificate_of(&rsa_key(4_096), 10)];
    for a in &kinds {
        for b in &kinds {
            let (mut client, mut server) = pair(a, b);
            connect(&mut client, &mut server);
        }
    }
}

#[test]
fn an_old_peers_rsa_key_of_1024_bits() {
    let (a, b) = (certificate(), certificate_of(&rsa_key(1_024), 10));
    let (mut client, mut server) = pair(&a, &b);
    connect(&mut client, &mut server);
}

#[test]
fn a_long_certificate_fits_and_an_absurd_one_does_not() {
    let a = certificate();
    let (mut client, mut server) = pair(&a, &certificate_of(&ecdsa_key(), 3_000));
    connect(&mut client, &mut server);
    let (mut client, mut server) = pair(&a, &certificate_of(&ecdsa_key(), 12_000));
    exchange(&mut client, &mut server);
    assert!(client.connected().is_none());
}

#[test]
fn a_key_in_any_form_will_do_and_anothers_will_not() {
    let (ec, rsa) = (ecdsa_key(), rsa_key(2_048));
    let of = |key| certificate_of(key, 10).der().to_vec();
    for (der, key) in [
        (of(&ec), ec.private_key_to_der().unwrap()),
        (of(&ec), ec.ec_key().unwrap().private_key_to_der().unwrap()),
        (of(&rsa), rsa.rsa().unwrap().private_key_to_der().unwrap()),
        (of(&rsa), rsa.private_key_to_pkcs8().unwrap()),
    ] {
        OpenSsl::new(&Certificate::new(der, key)).unwrap();
    }
    let mixed = Certificate::new(of(&ec), ecdsa_key().private_key_to_pkcs8().unwrap());
    assert!(OpenSsl::new(&mixed).unwrap_err().contains("DTLS cannot be set up"));
    assert!(OpenSsl::new(&Certificate::new(b"none".to_vec(), Vec::new())).is_err());
}

#[test]
fn another_fingerprint_is_never_connected_to() {
    let (a, b) = (certificate(), certificate());
    let connector = OpenSsl::new(&a).unwrap();
    let of = |algorithm, der: &Certificate| Fingerprint::of(algorithm, der.der());
    let right = of(FingerprintAlgorithm::Sha256, &b);
    let wrong = [
        of(FingerprintAlgorithm::Sha256, &a),
        of(FingerprintAlgorithm::Sha1, &a),
        // The right hash under another name.
        Fingerprint { algorithm: FingerprintAlgorithm::Sha384, value: right.value.clone() },
        Fingerprint { algorithm: FingerprintAlgorithm::Sha256, value: String::new() },
        Fingerprint { algorithm: FingerprintAlgorithm::Sha256, value: right.value[..32 * 3 - 4].to_owned() },
        Fingerprint { algorithm: FingerprintAlgorithm::Sha256, value: format!("{}:00", right.value) },
    ];
    for fingerprint in &wrong {
        for role in [Role::Client, Role::Server] {
            let mut us = Ours::new(&connector, role, fingerprint);
            let mut them = Dimpl::new(&b, role.opposite(), 1_200);
            exchange(&mut us, &mut them);
            assert!(us.connected().is_none(), "{fingerprint:?}");
            assert!(us.failure().is_some_and(|reason| reason.contains("fingerprint")), "{:?}", us.events);
            assert_eq!(us.events.len(), 1);
        }
    }
}

#[test]
fn a_peer_without_certificate_fails() {
    let a = certificate();
    let mut us = Ours::new(&OpenSsl::new(&a).unwrap(), Role::Server, &fingerprint(&a));
    let mut them = OpenSslPeer::new(&context(None).build(), Role::Client, 1_200);
    exchange(&mut them, &mut us);
    assert!(us.connected().is_none());
    assert!(us.failure().is_some_and(|reason| reason.contains("certificate")), "{:?}", us.events);
    assert!(them.error.is_some(), "it is told");
}

/// The certificates behind the peer's own, each signed by the next, with RSA keys whose exponent is as long as the modulus.
fn dear_chain(len: u32) -> Vec<X509> {
    const BITS: u32 = 3_072;
    let odd = |bits: u32| {
        let mut number = BigNum::new().unwrap();
        number.rand(bits.try_into().unwrap(), MsbOption::TWO_ONES, true).unwrap();
        number
    };
    // Whether a signature is good makes no difference: finding out is what takes time.
    let (signer, dear) = (rsa_key(BITS), Rsa::from_public_components(odd(BITS), odd(BITS - 1)).unwrap());
    let dear = PKey::from_rsa(dear).unwrap();
    let named = |number: u32| {
        let mut name = X509NameBuilder::new().unwrap();
        name.append_entry_by_text("CN", &number.to_string()).unwrap();
        name.build()
    };
    let certificate = |number| {
        let mut builder = X509Builder::new().unwrap();
        builder.set_serial_number(&BigNum::from_u32(number).unwrap().to_asn1_integer().unwrap()).unwrap();
        builder.set_subject_name(&named(number)).unwrap();
        builder.set_issuer_name(&named(number + 1)).unwrap();
        builder.set_not_before(&openssl::asn1::Asn1Time::days_from_now(0).unwrap()).unwrap();
        builder.set_not_after(&openssl::asn1::Asn1Time::days_from_now(30).unwrap()).unwrap();
        builder.set_pubkey(&dear).unwrap();
        builder.sign(&signer, MessageDigest::sha256()).unwrap();
        builder.build()
    };
    (0..len).map(certificate).collect()
}

/// The dearest datagram of a handshake of ours.
fn dearest(theirs: &SslContext, peer: &Certificate, role: Role) -> Duration {
    let mut us = Ours::new(&OpenSsl::new(&certificate()).unwrap(), role, &fingerprint(peer));
    let mut them = OpenSslPeer::new(theirs, role.opposite(), 1_200);
    let mut most = Duration::ZERO;
    while us.keys().is_none() {
        let (up, down) = (us.take_datagrams(), them.take_datagrams());
        assert!(!up.is_empty() || !down.is_empty(), "no handshake: {:?}", us.events);
        up.iter().for_each(|datagram| them.handle_datagram(Time::ZERO, datagram));
        for datagram in down {
            #[allow(clippy::disallowed_methods, reason = "what is measured is what a shard has no time for")]
            let began = Instant::now();
            us.handle_datagram(Time::ZERO, &datagram);
            most = most.max(began.elapsed());
        }
    }
    most
}

/// What a peer shows behind its certificate says nothing about it. Verifying nine of these took 0.2 s.
#[test]
fn a_dear_chain_behind_the_peers_certificate_costs_nothing() {
    /// Each of 1.3 KB: no more go into a message.
    const CHAIN_LEN: u32 = 9;
    let chain = dear_chain(CHAIN_LEN);
    // The first of them is who signed it, by name.
    let key = ecdsa_key();
    let mut own = X509Builder::new().unwrap();
    own.set_version(2).unwrap();
    own.set_issuer_name(chain[0].subject_name()).unwrap();
    own.set_not_before(chain[0].not_before()).unwrap();
    own.set_not_after(chain[0].not_after()).unwrap();
    own.set_pubkey(&key).unwrap();
    own.sign(&rsa_key(3_072), MessageDigest::sha256()).unwrap();
    let own = Certificate::new(own.build().to_der().unwrap(), key.private_key_to_pkcs8().unwrap());
    let alone = context(Some(&own)).build();
    let mut chained = context(Some(&own));
    chain.into_iter().for_each(|one| chained.add_extra_chain_cert(one).unwrap());
    let chained = chained.build();
    for role in [Role::Client, Role::Server] {
        // The least of several, since others have the machine's time too.
        let least = |theirs: &SslContext| (0..5).map(|_| dearest(theirs, &own, role)).min().unwrap();
        let (without, with) = (least(&alone), least(&chained));
        // It is 300 times as much where they are verified, and 1.5 times where they are only read.
        assert!(with < without * 30, "{role:?}: {with:?}, and {without:?} without");
    }
}
