//! SRTP as a multiple of its raw primitives, all in one run: each round runs every contender for a moment, and of all rounds the
//! median counts, so that a busy machine changes all of them alike.
//!
//! `cargo bench -p ringsoup-benches --bench srtp_ratios`
//!
//! The floor is what cannot be left out: for AES-GCM the payload's copy and ring's seal; for AES-CM the copy, the cipher's call on
//! as many blocks and the compression of as many blocks, all with keys that are expanded already.

use std::hint::black_box;
use std::time::Instant;

use aes::cipher::{Array, BlockCipherEncrypt as _, KeyInit as _};
use ring::aead::{AES_128_GCM, AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use ringsoup_benches::{browser_packet, key_and_salt};
use ringsoup_rtc::rtp::packet::header_len;
use ringsoup_rtc::srtp::{CryptoSuite, InboundSession, MAX_TRAILER_LEN, OutboundSession};

const PACKET_BYTES: [usize; 2] = [200, 1_200];
/// Packets of one contender in one round. Receivers are given as many with new numbers, so rounds times this stays within 2^16.
const BATCH: usize = 50;
const ROUNDS: usize = 1_200;

/// One way to treat a batch of packets.
type Contender<'a> = (&'static str, Box<dyn FnMut(&mut [Vec<u8>]) + 'a>);

fn rtc_context(suite: CryptoSuite) -> rtc_srtp::context::Context {
    use rtc_srtp::protection_profile::ProtectionProfile as Profile;
    let profile = match suite {
        CryptoSuite::AeadAes256Gcm => Profile::AeadAes256Gcm,
        CryptoSuite::AeadAes128Gcm => Profile::AeadAes128Gcm,
        CryptoSuite::AesCm128HmacSha1_80 => Profile::Aes128CmHmacSha1_80,
        CryptoSuite::AesCm128HmacSha1_32 => Profile::Aes128CmHmacSha1_32,
    };
    let key = key_and_salt(suite);
    let (key, salt) = key.split_at(suite.key_len());
    let provider = rtc_crypto::default_provider().expect("a provider is compiled in");
    rtc_srtp::context::Context::new(key, salt, profile, None, None, provider.crypto())
        .expect("the key has the suite's length")
}

fn webrtc_context(suite: CryptoSuite) -> webrtc_srtp::context::Context {
    use webrtc_srtp::protection_profile::ProtectionProfile as Profile;
    let profile = match suite {
        CryptoSuite::AeadAes256Gcm => Profile::AeadAes256Gcm,
        CryptoSuite::AeadAes128Gcm => Profile::AeadAes128Gcm,
        CryptoSuite::AesCm128HmacSha1_80 => Profile::Aes128CmHmacSha1_80,
        CryptoSuite::AesCm128HmacSha1_32 => Profile::Aes128CmHmacSha1_32,
    };
    let key = key_and_salt(suite);
    let (key, salt) = key.split_at(suite.key_len());
    webrtc_srtp::context::Context::new(key, salt, profile, None, None)
        .expect("the key has the suite's length")
}

/// The primitives alone, on a packet of this length.
fn floor(suite: CryptoSuite, bytes: usize) -> Contender<'static> {
    let head = header_len(&browser_packet(bytes)).expect("the packet is valid");
    let mut out = vec![0; bytes];
    match suite {
        CryptoSuite::AeadAes256Gcm | CryptoSuite::AeadAes128Gcm => {
            let algorithm = if suite.key_len() == 32 { &AES_256_GCM } else { &AES_128_GCM };
            let key = UnboundKey::new(algorithm, &key_and_salt(suite)[..suite.key_len()]).expect("length");
            let key = LessSafeKey::new(key);
            let seal = move |packet: &[u8]| {
                let (header, payload) = out.split_at_mut(head);
                payload.copy_from_slice(&packet[head..bytes]);
                let nonce = Nonce::assume_unique_for_key([1; 12]);
                let tag = key.seal_in_place_separate_tag(nonce, Aad::from(&*header), payload);
                black_box(tag.expect("short").as_ref()[0]);
            };
            each("floor", seal)
        }
        CryptoSuite::AesCm128HmacSha1_80 | CryptoSuite::AesCm128HmacSha1_32 => {
            let aes = aes::Aes128Enc::new(&Array([7; 16]));
            let mut keystream = vec![Array([0; 16]); (bytes - head).div_ceil(16)];
            // The packet, its rollover counter, a mark and eight bytes of length; and the outer hash's block.
            let hashed = vec![[0x41; 64]; (bytes + 4 + 9).div_ceil(64)];
            let run = move |packet: &[u8]| {
                out[head..].copy_from_slice(&packet[head..bytes]);
                aes.encrypt_blocks(&mut keystream);
                let mut state = [1; 5];
                sha1::block_api::compress(&mut state, black_box(&hashed));
                sha1::block_api::compress(&mut state, black_box(&hashed[..1]));
                black_box((&out, state));
            };
            each("floor", run)
        }
    }
}

fn each<'a>(name: &'static str, mut run: impl FnMut(&[u8]) + 'a) -> Contender<'a> {
    (name, Box::new(move |packets| packets.iter().for_each(|packet| run(black_box(packet)))))
}

/// Medians of all contenders, nanoseconds a packet. `prepare` makes a batch, outside of what is measured.
fn medians(contenders: &mut [Contender<'_>], mut prepare: impl FnMut() -> Vec<Vec<u8>>) -> Vec<f64> {
    let mut times = vec![Vec::with_capacity(ROUNDS); contenders.len()];
    for round in 0..ROUNDS {
        let packets = prepare();
        for step in 0..contenders.len() {
            // Nobody always follows the same other.
            let index = (step + round) % contenders.len();
            let mut batch = packets.clone();
            let began = Instant::now();
            contenders[index].1(&mut batch);
            times[index].push(began.elapsed().as_secs_f64() * 1e9 / BATCH as f64);
        }
    }
    for times in &mut times {
        times.sort_by(f64::total_cmp);
    }
    times.iter().map(|times| times[times.len() / 2]).collect()
}

fn tell(what: &str, suite: CryptoSuite, bytes: usize, contenders: &[Contender<'_>], medians: &[f64]) {
    print!("{what:9} {:24} {bytes:5} B", suite.name());
    for ((name, _), median) in contenders.iter().zip(medians) {
        print!("  {name} {median:.0} ns ({:.2})", median / medians[0]);
    }
    println!();
}

/// Packets of an endless stream: 24 bytes of header and extension, then payload.
fn numbered(packet: &mut [u8], sequence_number: &mut u16) {
    *sequence_number = sequence_number.wrapping_add(1);
    packet[2..4].copy_from_slice(&sequence_number.to_be_bytes());
}

fn protect(suite: CryptoSuite, bytes: usize) {
    let mut packet = browser_packet(bytes);
    let head = header_len(&packet).expect("the packet is valid");
    let mut own = OutboundSession::new(suite, &key_and_salt(suite)).expect("the key has the suite's length");
    let (mut rtc, mut webrtc) = (rtc_context(suite), webrtc_context(suite));
    let mut out = vec![0; bytes + MAX_TRAILER_LEN];
    let mut contenders = [
        floor(suite, bytes),
        each("ringsoup", |packet| {
            out[..head].copy_from_slice(&packet[..head]);
            own.protect_rtp_into(&mut out, head, &[], &packet[head..]).expect("room");
        }),
        each("rtc-srtp", |packet| drop(black_box(rtc.encrypt_rtp(packet).expect("valid")))),
        each("webrtc-srtp", |packet| drop(black_box(webrtc.encrypt_rtp(packet).expect("valid")))),
    ];
    let mut sequence_number = 0;
    let medians = medians(&mut contenders, || {
        let mut next = || {
            numbered(&mut packet, &mut sequence_number);
            packet.clone()
        };
        (0..BATCH).map(|_| next()).collect()
    });
    tell("protect", suite, bytes, &contenders, &medians);
}

/// Genuine packets, and beside them what a flood of forged ones and of replayed ones costs.
fn unprotect(suite: CryptoSuite, bytes: usize) {
    let mut packet = browser_packet(bytes);
    let head = header_len(&packet).expect("the packet is valid");
    let mut outbound = OutboundSession::new(suite, &key_and_salt(suite)).expect("length");
    let inbound = || InboundSession::new(suite, &key_and_salt(suite)).expect("length");
    let (mut own, mut forged, mut replayed) = (inbound(), inbound(), inbound());
    let (mut rtc, mut webrtc) = (rtc_context(suite), webrtc_context(suite));
    let mut contenders: [Contender<'_>; 6] = [
        floor(suite, bytes),
        (
            "ringsoup",
            Box::new(|packets| {
                for packet in packets {
                    own.unprotect_rtp(packet).expect("genuine");
                }
            }),
        ),
        (
            "forged",
            Box::new(|packets| {
                for packet in packets {
                    let last = packet.len() - 1;
                    packet[last] ^= 1;
                    forged.unprotect_rtp(packet).expect_err("forged");
                }
            }),
        ),
        (
            "replayed",
            Box::new(|packets| {
                let Some((first, again)) = packets.split_first_mut() else { return };
                let sealed = first.clone();
                replayed.unprotect_rtp(first).expect("genuine");
                for packet in again {
                    packet.copy_from_slice(&sealed);
                    replayed.unprotect_rtp(packet).expect_err("replayed");
                }
            }),
        ),
        each("rtc-srtp", |packet| drop(black_box(rtc.decrypt_rtp(packet).expect("genuine")))),
        each("webrtc-srtp", |packet| drop(black_box(webrtc.decrypt_rtp(packet).expect("genuine")))),
    ];
    let mut sequence_number = 0;
    let medians = medians(&mut contenders, || {
        let mut next = || {
            numbered(&mut packet, &mut sequence_number);
            let mut sealed = packet.clone();
            sealed.resize(bytes + MAX_TRAILER_LEN, 0);
            let len = outbound.protect_rtp(&mut sealed, head, bytes).expect("room");
            sealed.truncate(len);
            sealed
        };
        (0..BATCH).map(|_| next()).collect()
    });
    tell("unprotect", suite, bytes, &contenders, &medians);
}

fn main() {
    for suite in CryptoSuite::ALL {
        for bytes in PACKET_BYTES {
            protect(suite, bytes);
            unprotect(suite, bytes);
        }
    }
}
