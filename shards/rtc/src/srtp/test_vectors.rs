//! Whole packets that other implementations made.

use super::test_support::hex;
use super::{CryptoSuite, InboundSession, OutboundSession};

const RTP: &str = "800f1234decafbadcafebabeabababababababababababababababab";
const RTCP: &str = "81c8000bcafebabeabababababababababababababababab";

/// Checks libsrtp's own test packets both ways; its SRTCP index starts at one.
fn libsrtp(suite: CryptoSuite, key_and_salt: &str, srtp: &str, srtcp: &str) {
    let key_and_salt = hex(key_and_salt);
    let mut outbound = OutboundSession::new(suite, &key_and_salt).expect("key length");
    let mut inbound = InboundSession::new(suite, &key_and_salt).expect("key length");

    let mut packet = hex(RTP);
    packet.resize(100, 0);
    let len = outbound.protect_rtp(&mut packet, 12, 28).expect("room");
    assert_eq!(packet[..len], hex(srtp));
    let len = inbound.unprotect_rtp(&mut packet[..len]).expect("authentic");
    assert_eq!(packet[..len], hex(RTP));

    for last in [false, true] {
        let mut packet = hex(RTCP);
        packet.resize(100, 0);
        let len = outbound.protect_rtcp(&mut packet, 24).expect("room");
        assert_eq!(packet[..len] == hex(srtcp), last);
        let len = inbound.unprotect_rtcp(&mut packet[..len]).expect("authentic");
        assert_eq!(packet[..len], hex(RTCP));
    }
}

#[test]
fn libsrtp_aes_cm_128_hmac_sha1_80() {
    libsrtp(
        CryptoSuite::AesCm128HmacSha1_80,
        "e1f97a0d3e018be0d64fa32c06de41390ec675ad498afeebb6960b3aabe6",
        "800f1234decafbadcafebabe4e55dc4ce79978d88ca4d215949d2402b78d6acc99ea179b8dbb",
        "81c8000bcafebabe7128035be487b9bdbef89041f977a5a880000001993e08cd54d6c1230798",
    );
}

#[test]
fn libsrtp_aead_aes_128_gcm() {
    libsrtp(
        CryptoSuite::AeadAes128Gcm,
        "000102030405060708090a0b0c0d0e0fa0a1a2a3a4a5a6a7a8a9aaab",
        "800f1234decafbadcafebabec5002ede04cfdd2eb91159e0880aa06ed2976826f796b201df3131a127e8a392",
        "81c8000bcafebabec98b8b5df0392a55852b6c21ac8e7025c52c6fbea2b3b446ea31123ba88ce61e80000001",
    );
}
