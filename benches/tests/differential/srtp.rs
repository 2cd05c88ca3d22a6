//! SRTP and SRTCP against `rtc-srtp` and `webrtc-srtp`: all four suites, both directions.

use proptest::collection::vec;
use proptest::prelude::*;
use ringsoup_rtc::rtp::RtpWriter;
use ringsoup_rtc::rtp::packet::header_len;
use ringsoup_rtc::srtp::{CryptoSuite, InboundSession, MAX_TRAILER_LEN, OutboundSession};

/// Both libraries have the same interface under different names.
macro_rules! peer {
    ($module:ident, $srtp:ident, |$key:ident, $salt:ident, $profile:ident| $make:expr) => {
        mod $module {
            use $srtp::context::Context;
            use $srtp::protection_profile::ProtectionProfile as Profile;

            use super::*;

            pub(super) fn context(suite: CryptoSuite, key_and_salt: &[u8]) -> Context {
                let $profile = match suite {
                    CryptoSuite::AeadAes256Gcm => Profile::AeadAes256Gcm,
                    CryptoSuite::AeadAes128Gcm => Profile::AeadAes128Gcm,
                    CryptoSuite::AesCm128HmacSha1_80 => Profile::Aes128CmHmacSha1_80,
                    CryptoSuite::AesCm128HmacSha1_32 => Profile::Aes128CmHmacSha1_32,
                };
                let ($key, $salt) = key_and_salt.split_at(suite.key_len());
                $make.expect("the key has the suite's length")
            }

            proptest! {
                #[test]
                fn rtp_in_both_directions(run in super::run()) {
                    let (mut own_out, mut own_in) = super::sessions(&run);
                    let mut other_out = context(run.suite, &run.key_and_salt);
                    let mut other_in = context(run.suite, &run.key_and_salt);
                    for packet in run.packets() {
                        let sealed = super::protect(&mut own_out, &packet);
                        let theirs = other_out.encrypt_rtp(&packet).unwrap();
                        // No randomness is involved: both must write the same bytes.
                        prop_assert_eq!(&sealed, &theirs[..]);
                        prop_assert_eq!(&other_in.decrypt_rtp(&sealed).unwrap()[..], &packet);
                        let mut received = theirs.to_vec();
                        let len = own_in.unprotect_rtp(&mut received).unwrap();
                        prop_assert_eq!(&received[..len], &packet);
                    }
                }

                /// The first SRTCP index is a sender's choice (ours is 0, theirs 1), so bytes differ and contents do not.
                #[test]
                fn rtcp_in_both_directions(run in super::run(), body in vec(any::<u8>(), 0..200)) {
                    let (mut own_out, mut own_in) = super::sessions(&run);
                    let mut other_out = context(run.suite, &run.key_and_salt);
                    let mut other_in = context(run.suite, &run.key_and_salt);
                    let packet = super::rtcp(run.ssrc, &body);
                    for _ in 0..4 {
                        let mut sealed = packet.clone();
                        sealed.resize(packet.len() + MAX_TRAILER_LEN, 0);
                        let len = own_out.protect_rtcp(&mut sealed, packet.len()).unwrap();
                        prop_assert_eq!(&other_in.decrypt_rtcp(&sealed[..len]).unwrap()[..], &packet);
                        let mut received = other_out.encrypt_rtcp(&packet).unwrap().to_vec();
                        let len = own_in.unprotect_rtcp(&mut received).unwrap();
                        prop_assert_eq!(&received[..len], &packet);
                    }
                }
            }
        }
    };
}

peer!(rtc, rtc_srtp, |key, salt, profile| {
    let provider = rtc_crypto::default_provider().expect("a provider is compiled in");
    Context::new(key, salt, profile, None, None, provider.crypto())
});
peer!(webrtc, webrtc_srtp, |key, salt, profile| Context::new(key, salt, profile, None, None));

/// A stream under one key.
#[derive(Debug, Clone)]
struct Run {
    suite: CryptoSuite,
    key_and_salt: Vec<u8>,
    ssrc: u32,
    first: u16,
    payloads: Vec<Vec<u8>>,
}

impl Run {
    /// In order, some across a wrap of the sequence number.
    fn packets(&self) -> impl Iterator<Item = Vec<u8>> {
        let numbers = (0..).map(|step| self.first.wrapping_add(step));
        numbers.zip(&self.payloads).map(|(seq, payload)| {
            RtpWriter::new(96, seq, u32::from(seq) * 3000, self.ssrc)
                .extension(1, b"0")
                .payload(payload)
                .to_vec()
                .expect("there is no CSRC list")
        })
    }
}

fn run() -> impl Strategy<Value = Run> {
    let suite = proptest::sample::select(&CryptoSuite::ALL[..]);
    let first = prop_oneof![any::<u16>(), 65_530..=65_535_u16];
    let payloads = vec(vec(any::<u8>(), 0..300), 1..12);
    (suite, vec(any::<u8>(), 46), any::<u32>(), first, payloads).prop_map(
        |(suite, mut key_and_salt, ssrc, first, payloads)| {
            key_and_salt.truncate(suite.key_and_salt_len());
            Run { suite, key_and_salt, ssrc, first, payloads }
        },
    )
}

fn sessions(run: &Run) -> (OutboundSession, InboundSession) {
    let key = &run.key_and_salt;
    let outbound = OutboundSession::new(run.suite, key).expect("the key has the suite's length");
    let inbound = InboundSession::new(run.suite, key).expect("the key has the suite's length");
    (outbound, inbound)
}

fn protect(session: &mut OutboundSession, packet: &[u8]) -> Vec<u8> {
    let mut buffer = packet.to_vec();
    buffer.resize(packet.len() + MAX_TRAILER_LEN, 0);
    let head = header_len(packet).expect("it is RTP");
    let len = session.protect_rtp(&mut buffer, head, packet.len()).expect("the buffer has room");
    buffer.truncate(len);
    buffer
}

/// An APP packet: any body of whole words.
fn rtcp(ssrc: u32, body: &[u8]) -> Vec<u8> {
    let mut packet = vec![0x80, 204, 0, 0];
    packet.extend(ssrc.to_be_bytes());
    packet.extend(body);
    packet.resize(packet.len().next_multiple_of(4), 0);
    let words = u16::try_from(packet.len() / 4 - 1).expect("short");
    packet[2..4].copy_from_slice(&words.to_be_bytes());
    packet
}
