//! Certificates of all kinds at either end.

use ringsoup_dtls::OpenSsl;
use ringsoup_rtc::dtls::{Certificate, Fingerprint, FingerprintAlgorithm, Role};

use crate::ends::{Dimpl, Ours, certificate, certificate_of, ecdsa_key, fingerprint, rsa_key};
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
