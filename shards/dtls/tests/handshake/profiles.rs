//! What is agreed on: version, cipher, SRTP profile.

use openssl::ssl::{SslOptions, SslVersion};
use ringsoup_dtls::OpenSsl;
use ringsoup_rtc::dtls::Role;
use ringsoup_rtc::srtp::CryptoSuite;

use crate::ends::{End, Ours, certificate, certificate_of, fingerprint, rsa_key};
use crate::network::{connect, exchange};
use crate::openssl_peer::{OpenSslPeer, context};

const PROFILES: [(&str, CryptoSuite); 4] = [
    ("SRTP_AEAD_AES_256_GCM", CryptoSuite::AeadAes256Gcm),
    ("SRTP_AEAD_AES_128_GCM", CryptoSuite::AeadAes128Gcm),
    ("SRTP_AES128_CM_SHA1_80", CryptoSuite::AesCm128HmacSha1_80),
    ("SRTP_AES128_CM_SHA1_32", CryptoSuite::AesCm128HmacSha1_32),
];

#[test]
fn every_profile_in_both_roles() {
    let (a, b) = (certificate(), certificate());
    let connector = OpenSsl::new(&a).unwrap();
    for (name, suite) in PROFILES {
        for role in [Role::Client, Role::Server] {
            let mut theirs = context(Some(&b));
            theirs.set_tlsext_use_srtp(name).unwrap();
            let mut us = Ours::new(&connector, role, &fingerprint(&b));
            let mut them = OpenSslPeer::new(&theirs.build(), role.opposite(), 1_200);
            exchange(&mut us, &mut them);
            assert_eq!(us.keys(), them.keys());
            assert_eq!(us.keys().map(|keys| keys.suite), Some(suite), "{role:?}");
            assert_eq!(us.keys().map(|keys| keys.client.len()), Some(suite.key_and_salt_len()));
        }
    }
}

#[test]
fn as_a_server_our_order_of_profiles_counts() {
    let (a, b) = (certificate(), certificate());
    let connector = OpenSsl::new(&a).unwrap();
    for first in 0..PROFILES.len() {
        let offered: Vec<_> = PROFILES[first..].iter().rev().map(|(name, _)| *name).collect();
        let mut theirs = context(Some(&b));
        theirs.set_tlsext_use_srtp(&offered.join(":")).unwrap();
        let mut us = Ours::new(&connector, Role::Server, &fingerprint(&b));
        let mut them = OpenSslPeer::new(&theirs.build(), Role::Client, 1_200);
        connect(&mut them, &mut us);
        assert_eq!(us.keys().map(|keys| keys.suite), Some(PROFILES[first].1));
    }
}

#[test]
fn a_peer_without_srtp_fails() {
    let (a, b) = (certificate(), certificate());
    let connector = OpenSsl::new(&a).unwrap();
    for role in [Role::Client, Role::Server] {
        let mut theirs = context(Some(&b));
        theirs.set_tlsext_use_srtp("SRTP_AEAD_AES_128_GCM").unwrap();
        let mut us = Ours::new(&connector, role, &fingerprint(&b));
        let mut without = openssl::ssl::SslContextBuilder::new(openssl::ssl::SslMethod::dtls()).unwrap();
        without.set_certificate(&openssl::x509::X509::from_der(b.der()).unwrap()).unwrap();
        without
            .set_private_key(&openssl::pkey::PKey::private_key_from_der(b.private_key()).unwrap())
            .unwrap();
        without.set_options(SslOptions::NO_QUERY_MTU);
        without.set_verify_callback(openssl::ssl::SslVerifyMode::PEER, |_, _| true);
        let mut them = OpenSslPeer::new(&without.build(), role.opposite(), 1_200);
        exchange(&mut us, &mut them);
        assert!(us.connected().is_none());
        assert!(us.failure().is_some_and(|reason| reason.contains("SRTP profile")), "{:?}", us.events);
    }
}

/// What is chosen where a client offers all that it has.
#[test]
fn as_a_server_our_order_of_ciphers_counts() {
    let peer = certificate();
    for (own, offered, chosen) in [
        (certificate(), "ALL", "ECDHE-ECDSA-CHACHA20-POLY1305"),
        (
            certificate(),
            "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-SHA",
            "ECDHE-ECDSA-AES128-GCM-SHA256",
        ),
        (certificate(), "ECDHE-ECDSA-AES128-SHA:ECDHE-ECDSA-AES256-SHA", "ECDHE-ECDSA-AES256-SHA"),
        (certificate_of(&rsa_key(2_048), 10), "ALL", "ECDHE-RSA-CHACHA20-POLY1305"),
        (certificate_of(&rsa_key(2_048), 10), "AES128-SHA", "AES128-SHA"),
    ] {
        let mut theirs = context(Some(&peer));
        theirs.set_cipher_list(offered).unwrap();
        let mut us = Ours::new(&OpenSsl::new(&own).unwrap(), Role::Server, &fingerprint(&peer));
        let mut them = OpenSslPeer::new(&theirs.build(), Role::Client, 1_200);
        connect(&mut them, &mut us);
        assert_eq!(them.ssl().current_cipher().map(openssl::ssl::SslCipherRef::name), Some(chosen));
        assert_eq!(them.ssl().version_str(), "DTLSv1.2");
    }
}

#[test]
fn no_common_cipher_or_version_is_a_failure_at_once() {
    let (a, b) = (certificate(), certificate());
    let connector = OpenSsl::new(&a).unwrap();
    let mut ciphers = context(Some(&b));
    ciphers.set_cipher_list("ECDHE-ECDSA-AES256-GCM-SHA384").unwrap();
    let mut version = context(Some(&b));
    version.set_max_proto_version(Some(SslVersion::DTLS1)).unwrap();
    for theirs in [ciphers, version] {
        let mut us = Ours::new(&connector, Role::Server, &fingerprint(&b));
        let mut them = OpenSslPeer::new(&theirs.build(), Role::Client, 1_200);
        exchange(&mut them, &mut us);
        assert!(us.failure().is_some(), "{:?}", us.events);
        assert!(them.error.is_some(), "it is told");
    }
}
