//! SRTP per suite and packet size, from a shared payload into a receiver's buffer as the forward path does, beside
//! `rtc-srtp` and `webrtc-srtp` on the same packets.
//!
//! `cargo bench -p ringsoup-benches --bench srtp`

use std::hint::black_box;

use criterion::{BatchSize, BenchmarkId, Criterion, criterion_group, criterion_main};
use ringsoup_benches::{browser_packet, key_and_salt};
use ringsoup_rtc::rtp::packet::header_len;
use ringsoup_rtc::srtp::{CryptoSuite, InboundSession, MAX_TRAILER_LEN, OutboundSession};

const PACKET_BYTES: [usize; 2] = [200, 1200];

fn rtc_profile(suite: CryptoSuite) -> rtc_srtp::protection_profile::ProtectionProfile {
    use rtc_srtp::protection_profile::ProtectionProfile as Profile;
    match suite {
        CryptoSuite::AeadAes256Gcm => Profile::AeadAes256Gcm,
        CryptoSuite::AeadAes128Gcm => Profile::AeadAes128Gcm,
        CryptoSuite::AesCm128HmacSha1_80 => Profile::Aes128CmHmacSha1_80,
        CryptoSuite::AesCm128HmacSha1_32 => Profile::Aes128CmHmacSha1_32,
    }
}

fn webrtc_profile(suite: CryptoSuite) -> webrtc_srtp::protection_profile::ProtectionProfile {
    use webrtc_srtp::protection_profile::ProtectionProfile as Profile;
    match suite {
        CryptoSuite::AeadAes256Gcm => Profile::AeadAes256Gcm,
        CryptoSuite::AeadAes128Gcm => Profile::AeadAes128Gcm,
        CryptoSuite::AesCm128HmacSha1_80 => Profile::Aes128CmHmacSha1_80,
        CryptoSuite::AesCm128HmacSha1_32 => Profile::Aes128CmHmacSha1_32,
    }
}

fn rtc_context(suite: CryptoSuite) -> rtc_srtp::context::Context {
    let key = key_and_salt(suite);
    let (key, salt) = key.split_at(suite.key_len());
    let provider = rtc_crypto::default_provider().expect("a provider is compiled in");
    rtc_srtp::context::Context::new(key, salt, rtc_profile(suite), None, None, provider.crypto())
        .expect("the key has the suite's length")
}

fn webrtc_context(suite: CryptoSuite) -> webrtc_srtp::context::Context {
    let key = key_and_salt(suite);
    let (key, salt) = key.split_at(suite.key_len());
    webrtc_srtp::context::Context::new(key, salt, webrtc_profile(suite), None, None)
        .expect("the key has the suite's length")
}

/// Sequence numbers go up by one from packet to packet, as sessions expect.
fn number(packet: &mut [u8], sequence_number: &mut u16) {
    *sequence_number = sequence_number.wrapping_add(1);
    packet[2..4].copy_from_slice(&sequence_number.to_be_bytes());
}

fn protect(criterion: &mut Criterion) {
    for suite in CryptoSuite::ALL {
        let mut group = criterion.benchmark_group(format!("srtp protect {}", suite.name()));
        for bytes in PACKET_BYTES {
            let mut packet = browser_packet(bytes);
            let head = header_len(&packet).expect("the packet is valid");
            let mut session =
                OutboundSession::new(suite, &key_and_salt(suite)).expect("the key has the suite's length");
            let mut out = vec![0; bytes + MAX_TRAILER_LEN];
            let mut sequence_number = 0;
            group.bench_function(BenchmarkId::new("ringsoup", bytes), |bencher| {
                bencher.iter(|| {
                    number(&mut packet, &mut sequence_number);
                    out[..head].copy_from_slice(&packet[..head]);
                    session.protect_rtp_into(black_box(&mut out), head, &[], black_box(&packet[head..]))
                });
            });
            let mut theirs = rtc_context(suite);
            group.bench_function(BenchmarkId::new("rtc-srtp 0.21", bytes), |bencher| {
                bencher.iter(|| {
                    number(&mut packet, &mut sequence_number);
                    theirs.encrypt_rtp(black_box(&packet))
                });
            });
            let mut theirs = webrtc_context(suite);
            group.bench_function(BenchmarkId::new("webrtc-srtp 0.17", bytes), |bencher| {
                bencher.iter(|| {
                    number(&mut packet, &mut sequence_number);
                    theirs.encrypt_rtp(black_box(&packet))
                });
            });
        }
        group.finish();
    }
}

fn unprotect(criterion: &mut Criterion) {
    for suite in CryptoSuite::ALL {
        let mut group = criterion.benchmark_group(format!("srtp unprotect {}", suite.name()));
        for bytes in PACKET_BYTES {
            let mut sealed = Sealed::new(suite, bytes);
            let mut session =
                InboundSession::new(suite, &key_and_salt(suite)).expect("the key has the suite's length");
            group.bench_function(BenchmarkId::new("ringsoup", bytes), |bencher| {
                bencher.iter_batched_ref(
                    || sealed.next_packet(),
                    |packet| session.unprotect_rtp(packet).expect("sealed with the same key"),
                    BatchSize::SmallInput,
                );
            });
            let (mut sealed, mut theirs) = (Sealed::new(suite, bytes), rtc_context(suite));
            group.bench_function(BenchmarkId::new("rtc-srtp 0.21", bytes), |bencher| {
                bencher.iter_batched_ref(
                    || sealed.next_packet(),
                    |packet| theirs.decrypt_rtp(packet).expect("sealed with the same key"),
                    BatchSize::SmallInput,
                );
            });
        }
        group.finish();
    }
}

/// Packets of an endless stream, sealed.
struct Sealed {
    session: OutboundSession,
    packet: Vec<u8>,
    sequence_number: u16,
}

impl Sealed {
    fn new(suite: CryptoSuite, bytes: usize) -> Self {
        let session =
            OutboundSession::new(suite, &key_and_salt(suite)).expect("the key has the suite's length");
        Self { session, packet: browser_packet(bytes), sequence_number: 0 }
    }

    fn next_packet(&mut self) -> Vec<u8> {
        number(&mut self.packet, &mut self.sequence_number);
        let head = header_len(&self.packet).expect("the packet is valid");
        let mut buffer = self.packet.clone();
        let len = buffer.len();
        buffer.resize(len + MAX_TRAILER_LEN, 0);
        let len = self.session.protect_rtp(&mut buffer, head, len).expect("the buffer has room");
        buffer.truncate(len);
        buffer
    }
}

criterion_group!(benches, protect, unprotect);
criterion_main!(benches);
