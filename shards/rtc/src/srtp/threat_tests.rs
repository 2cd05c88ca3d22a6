//! What an attacker on the way, or a bad way, must not achieve: replays taken in, genuine packets refused, state that grows.
//!
//! A receiver can tell genuine packets as long as no two that follow each other are half a turn of the sequence number (32,768) or
//! more apart, and as long as one is not later than the replay window is wide (1,024; 128 for SRTCP): what comes later than that is
//! refused as too old, which is no failure of authentication (RFC 3711 sections 3.3.1 and 3.3.2).

use super::test_support::{pair, protect_rtcp, protect_rtp, rtcp, rtp, unprotect_rtcp, unprotect_rtp};
use super::{CryptoSuite, SrtpError};

const SSRC: u32 = 0x1234_5678;
const REPLAYS: usize = 100_000;
/// Packets on their way at once, that overtake each other; within the window of SRTCP.
const UNDER_WAY: usize = 60;

/// A fixed sequence of pseudo-random numbers, for losses and orders that never change.
struct Chance(u64);

impl Chance {
    fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap_or_default() % end
    }
}

/// A way that loses a fifth and delivers the rest out of order, up to [`UNDER_WAY`] packets late.
struct Way {
    chance: Chance,
    now: usize,
    /// When each packet arrives.
    under_way: Vec<(usize, Vec<u8>)>,
}

impl Way {
    fn new(seed: u64) -> Self {
        Self { chance: Chance(seed), now: 0, under_way: Vec::new() }
    }

    /// Puts a packet on the way; those that arrive meanwhile.
    fn pass(&mut self, packet: Vec<u8>) -> Vec<Vec<u8>> {
        self.now += 1;
        if self.chance.below(5) != 0 {
            self.under_way.push((self.now + self.chance.below(UNDER_WAY), packet));
        }
        let now = self.now;
        self.under_way.extract_if(.., |(due, _)| *due <= now).map(|(_, packet)| packet).collect()
    }

    fn rest(&mut self) -> Vec<Vec<u8>> {
        self.under_way.drain(..).map(|(_, packet)| packet).collect()
    }
}

#[test]
fn no_replay_is_taken_in() {
    for suite in CryptoSuite::ALL {
        let (mut outbound, mut inbound) = pair(suite);
        let mut seen = Vec::new();
        for seq in 0..1_500 {
            let media = protect_rtp(&mut outbound, &rtp(SSRC, seq, &[1; 20])).expect("room");
            assert!(unprotect_rtp(&mut inbound, &media).is_ok());
            let report = protect_rtcp(&mut outbound, &rtcp(SSRC, &[1; 20])).expect("room");
            assert!(unprotect_rtcp(&mut inbound, &report).is_ok());
            seen.push((media, report));
        }
        let mut chance = Chance(7);
        for _ in 0..REPLAYS / 2 {
            let (media, report) = &seen[chance.below(seen.len())];
            for refused in [unprotect_rtp(&mut inbound, media), unprotect_rtcp(&mut inbound, report)] {
                assert!(matches!(refused, Err(SrtpError::Replayed | SrtpError::TooOld)), "{refused:?}");
            }
        }
    }
}

/// Three wraps, and one packet in the middle of each turn, without which the next could not be told from the last.
#[test]
fn every_genuine_packet_around_each_wrap_is_authentic() {
    for suite in CryptoSuite::ALL {
        let (mut outbound, mut inbound) = pair(suite);
        let mut way = Way::new(42);
        let mut protected = |count: u32| {
            let [.., high, low] = count.to_be_bytes();
            protect_rtp(&mut outbound, &rtp(SSRC, u16::from_be_bytes([high, low]), b"media")).expect("room")
        };
        let mut arrived = 0;
        let mut receive = |packet: Vec<u8>| {
            assert!(unprotect_rtp(&mut inbound, &packet).is_ok(), "{suite:?} after {arrived}");
            arrived += 1;
        };
        for wrap in (1..=3).map(|turn| turn * 65_536) {
            for count in wrap - 1_000..wrap + 1_000 {
                way.pass(protected(count)).into_iter().for_each(&mut receive);
            }
            way.rest().into_iter().for_each(&mut receive);
            receive(protected(wrap + 32_000));
        }
        assert!((4_500..5_100).contains(&arrived), "{arrived}");
    }
}

/// A sender that is asked again for packets from before the wrap, which it has passed, sends them under their own index; and a
/// receiver takes them, and what follows.
#[test]
fn both_ends_go_back_over_a_wrap_and_forth() {
    for suite in CryptoSuite::ALL {
        let (mut outbound, mut inbound) = pair(suite);
        let send = |outbound: &mut _, seq| protect_rtp(outbound, &rtp(SSRC, seq, b"media")).expect("room");
        let kept: Vec<_> = (65_000..=65_535).map(|seq| send(&mut outbound, seq)).collect();
        assert!(unprotect_rtp(&mut inbound, &kept[0]).is_ok());
        for seq in 0..200_u16 {
            let media = send(&mut outbound, seq);
            assert!(unprotect_rtp(&mut inbound, &media).is_ok(), "{suite:?} {seq}");
            // One from before the wrap each time, the newest first.
            let late = 65_535 - seq;
            let again = send(&mut outbound, late);
            assert_eq!(again, kept[usize::from(late - 65_000)], "the same bytes under the same index");
            assert!(unprotect_rtp(&mut inbound, &again).is_ok(), "{suite:?} {late}");
        }
    }
}

/// The SRTCP index is on the wire, so nothing is guessed: any part of the reports may be lost.
#[test]
fn every_genuine_report_is_authentic() {
    for suite in CryptoSuite::ALL {
        let (mut outbound, mut inbound) = pair(suite);
        let mut way = Way::new(43);
        let mut receive = |packet: Vec<u8>| {
            assert!(unprotect_rtcp(&mut inbound, &packet).is_ok(), "{suite:?}");
        };
        for count in 0..20_000_u32 {
            let protected = protect_rtcp(&mut outbound, &rtcp(SSRC, &count.to_be_bytes())).expect("room");
            way.pass(protected).into_iter().for_each(&mut receive);
        }
        way.rest().into_iter().for_each(&mut receive);
    }
}

#[test]
fn forgeries_between_change_nothing() {
    for suite in CryptoSuite::ALL {
        let (mut outbound, mut inbound) = pair(suite);
        let mut chance = Chance(9);
        for count in 65_000_u32..66_500 {
            let [.., high, low] = count.to_be_bytes();
            let media = protect_rtp(&mut outbound, &rtp(SSRC, u16::from_be_bytes([high, low]), b"media"))
                .expect("room");
            for _ in 0..8 {
                let mut forged = media.clone();
                // Any sequence number, any stream, any body.
                let place = 2 + chance.below(forged.len() - 2);
                forged[place] ^= 1 << chance.below(8);
                assert!(unprotect_rtp(&mut inbound, &forged).is_err(), "{suite:?} byte {place}");
            }
            assert!(unprotect_rtp(&mut inbound, &media).is_ok(), "{suite:?} {count}");
        }
        assert_eq!((inbound.rtp_ssrc_count(), inbound.rtcp_ssrc_count()), (1, 0));
        inbound.remove_ssrc(SSRC);
        assert_eq!(inbound.rtp_ssrc_count(), 0, "nothing stays of a closed stream");
    }
}
