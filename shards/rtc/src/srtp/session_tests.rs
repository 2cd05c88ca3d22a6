//! Sessions against each other, and against an attacker between them.

use super::test_support::{pair, protect_rtcp, protect_rtp, rtcp, rtp, unprotect_rtcp, unprotect_rtp};
use super::{CryptoSuite, InboundSession, OutboundSession, SrtpError};

const SSRC: u32 = 0x1234_5678;

#[test]
fn wrong_key_lengths_are_refused() {
    for suite in CryptoSuite::ALL {
        for len in (0..64).filter(|len| *len != suite.key_and_salt_len()) {
            let expected = Err(SrtpError::KeyLength { expected: suite.key_and_salt_len(), actual: len });
            assert_eq!(OutboundSession::new(suite, &vec![0; len]).map(|_| ()), expected);
            assert_eq!(InboundSession::new(suite, &vec![0; len]).map(|_| ()), expected);
        }
    }
}

#[test]
fn every_suite_adds_what_it_says() {
    for suite in CryptoSuite::ALL {
        let (mut outbound, mut inbound) = pair(suite);
        let packet = rtp(SSRC, 7, b"payload");
        let protected = protect_rtp(&mut outbound, &packet).expect("room");
        assert_eq!(protected.len(), packet.len() + suite.rtp_tag_len());
        assert_eq!(protected[..12], packet[..12]);
        assert_ne!(protected[12..packet.len()], packet[12..]);
        assert_eq!(unprotect_rtp(&mut inbound, &protected), Ok(packet));

        let packet = rtcp(SSRC, &[1, 2, 3, 4]);
        let protected = protect_rtcp(&mut outbound, &packet).expect("room");
        assert_eq!(protected.len(), packet.len() + suite.rtcp_trailer_len());
        assert_eq!(unprotect_rtcp(&mut inbound, &protected), Ok(packet));
    }
}

#[test]
fn keys_of_another_session_do_not_fit() {
    for suite in CryptoSuite::ALL {
        let (mut outbound, _) = pair(suite);
        let mut stranger = InboundSession::new(suite, &vec![7; suite.key_and_salt_len()]).expect("length");
        let protected = protect_rtp(&mut outbound, &rtp(SSRC, 1, &[0; 40])).expect("room");
        assert_eq!(unprotect_rtp(&mut stranger, &protected), Err(SrtpError::AuthenticationFailed));
        assert_eq!(stranger.rtp_ssrc_count(), 0);
    }
}

#[test]
fn every_flipped_bit_is_noticed() {
    for suite in CryptoSuite::ALL {
        let (mut outbound, mut inbound) = pair(suite);
        let media = protect_rtp(&mut outbound, &rtp(SSRC, 1, b"secret")).expect("room");
        let report = protect_rtcp(&mut outbound, &rtcp(SSRC, b"feedback")).expect("room");
        for bit in 0..8 * media.len() {
            let mut forged = media.clone();
            forged[bit / 8] ^= 1 << (bit % 8);
            assert!(unprotect_rtp(&mut inbound, &forged).is_err(), "{suite:?} RTP bit {bit}");
        }
        for bit in 0..8 * report.len() {
            let mut forged = report.clone();
            forged[bit / 8] ^= 1 << (bit % 8);
            assert!(unprotect_rtcp(&mut inbound, &forged).is_err(), "{suite:?} RTCP bit {bit}");
        }
        assert_eq!((inbound.rtp_ssrc_count(), inbound.rtcp_ssrc_count()), (0, 0));
        assert!(unprotect_rtp(&mut inbound, &media).is_ok());
        assert!(unprotect_rtcp(&mut inbound, &report).is_ok());
    }
}

#[test]
fn a_packet_is_accepted_once() {
    for suite in CryptoSuite::ALL {
        let (mut outbound, mut inbound) = pair(suite);
        let media: Vec<_> = (0..2000)
            .map(|seq| protect_rtp(&mut outbound, &rtp(SSRC, seq, &[1; 20])).expect("room"))
            .collect();
        let (late, on_time) = media.split_at(976);
        for packet in on_time.iter().rev() {
            assert!(unprotect_rtp(&mut inbound, packet).is_ok());
        }
        for packet in on_time {
            assert_eq!(unprotect_rtp(&mut inbound, packet), Err(SrtpError::Replayed));
        }
        for packet in late {
            assert_eq!(unprotect_rtp(&mut inbound, packet), Err(SrtpError::TooOld));
        }

        let reports: Vec<_> =
            (0..200).map(|_| protect_rtcp(&mut outbound, &rtcp(SSRC, &[1; 20])).expect("room")).collect();
        let (late, on_time) = reports.split_at(72);
        for packet in on_time.iter().rev() {
            assert!(unprotect_rtcp(&mut inbound, packet).is_ok());
        }
        for packet in on_time {
            assert_eq!(unprotect_rtcp(&mut inbound, packet), Err(SrtpError::Replayed));
        }
        for packet in late {
            assert_eq!(unprotect_rtcp(&mut inbound, packet), Err(SrtpError::TooOld));
        }
    }
}

/// A forged packet with the newest sequence number must not push the window on.
#[test]
fn forgeries_leave_the_window_alone() {
    for suite in CryptoSuite::ALL {
        let (mut outbound, mut inbound) = pair(suite);
        let first = protect_rtp(&mut outbound, &rtp(SSRC, 10, &[1; 20])).expect("room");
        let second = protect_rtp(&mut outbound, &rtp(SSRC, 11, &[1; 20])).expect("room");
        assert!(unprotect_rtp(&mut inbound, &first).is_ok());
        for seq in [11, 5000, 30_000, 65_535] {
            let forged = rtp(SSRC, seq, &[9; 36]);
            assert_eq!(unprotect_rtp(&mut inbound, &forged), Err(SrtpError::AuthenticationFailed));
        }
        assert!(unprotect_rtp(&mut inbound, &second).is_ok());
    }
}

#[test]
fn a_retransmission_across_the_wrap_is_the_same_packet() {
    for suite in CryptoSuite::ALL {
        let (mut outbound, mut inbound) = pair(suite);
        let before = rtp(SSRC, 65_534, b"before the wrap");
        let protected = protect_rtp(&mut outbound, &before).expect("room");
        for seq in [65_535, 0, 1, 300] {
            let packet = protect_rtp(&mut outbound, &rtp(SSRC, seq, b"later")).expect("room");
            assert!(unprotect_rtp(&mut inbound, &packet).is_ok());
        }
        assert_eq!(protect_rtp(&mut outbound, &before), Ok(protected.clone()));
        assert_eq!(unprotect_rtp(&mut inbound, &protected), Ok(before));
        let next = protect_rtp(&mut outbound, &rtp(SSRC, 301, b"later")).expect("room");
        assert!(unprotect_rtp(&mut inbound, &next).is_ok());
    }
}

#[test]
fn nothing_is_sent_from_before_the_start() {
    let (mut outbound, mut inbound) = pair(CryptoSuite::AeadAes128Gcm);
    let first = protect_rtp(&mut outbound, &rtp(SSRC, 2, &[0; 9])).expect("room");
    assert!(unprotect_rtp(&mut inbound, &first).is_ok());
    assert_eq!(protect_rtp(&mut outbound, &rtp(SSRC, 65_535, &[0; 9])), Err(SrtpError::BeforeStart));
    for seq in [0, 1, 3] {
        let packet = protect_rtp(&mut outbound, &rtp(SSRC, seq, &[0; 9])).expect("room");
        assert!(unprotect_rtp(&mut inbound, &packet).is_ok());
    }
}

#[test]
fn ssrcs_are_bounded_and_can_be_forgotten() {
    for suite in CryptoSuite::ALL {
        let (outbound, inbound) = pair(suite);
        let mut outbound = outbound.with_max_ssrcs(4);
        let mut inbound = inbound.with_max_ssrcs(2);
        let protected: Vec<_> =
            (0..4).map(|ssrc| protect_rtp(&mut outbound, &rtp(ssrc, 1, &[0; 9])).expect("room")).collect();
        assert_eq!(protect_rtp(&mut outbound, &rtp(4, 1, &[0; 9])), Err(SrtpError::TooManySsrcs));
        assert!(unprotect_rtp(&mut inbound, &protected[0]).is_ok());
        assert!(unprotect_rtp(&mut inbound, &protected[1]).is_ok());
        assert_eq!(unprotect_rtp(&mut inbound, &protected[2]), Err(SrtpError::TooManySsrcs));
        inbound.remove_ssrc(0);
        assert!(unprotect_rtp(&mut inbound, &protected[2]).is_ok());
        assert_eq!(unprotect_rtp(&mut inbound, &protected[3]), Err(SrtpError::TooManySsrcs));
        assert_eq!(unprotect_rtp(&mut inbound, &protected[1]), Err(SrtpError::Replayed));
        assert_eq!(inbound.rtp_ssrc_count(), 2);

        let reports: Vec<_> =
            (0..4).map(|ssrc| protect_rtcp(&mut outbound, &rtcp(ssrc, &[0; 8])).expect("room")).collect();
        assert_eq!(protect_rtcp(&mut outbound, &rtcp(4, &[0; 8])), Err(SrtpError::TooManySsrcs));
        assert!(unprotect_rtcp(&mut inbound, &reports[0]).is_ok());
        assert!(unprotect_rtcp(&mut inbound, &reports[1]).is_ok());
        assert_eq!(unprotect_rtcp(&mut inbound, &reports[2]), Err(SrtpError::TooManySsrcs));
    }
}

/// A sender SSRC that comes back must not use an SRTCP index, and so a nonce, again.
#[test]
fn a_returning_rtcp_sender_repeats_no_index() {
    for suite in CryptoSuite::ALL {
        let (mut outbound, mut inbound) = pair(suite);
        let packet = rtcp(SSRC, &[5; 8]);
        for round in 0..5 {
            let protected = protect_rtcp(&mut outbound, &packet).expect("room");
            assert!(unprotect_rtcp(&mut inbound, &protected).is_ok(), "{suite:?} round {round}");
            outbound.remove_ssrc(SSRC);
        }
    }
}

/// Every length around the trailers, with and without the E flag, with every kind of filling.
#[test]
fn short_garbage_is_refused_and_leaves_no_state() {
    for suite in CryptoSuite::ALL {
        let (_, mut inbound) = pair(suite);
        for len in 0..=64 {
            for filling in [0_u8, 0x7f, 0x80, 0xff, 0x90, 0x8f] {
                let mut packet = vec![filling; len];
                if let Some(first) = packet.first_mut() {
                    *first = 0x80 | filling & 0x3f;
                }
                assert!(unprotect_rtp(&mut inbound, &packet).is_err(), "{suite:?} {len} {filling}");
                assert!(unprotect_rtcp(&mut inbound, &packet).is_err(), "{suite:?} {len} {filling}");
                for e_flag in [0, 0x80] {
                    // Where the index word starts, for each layout.
                    for from_end in [4, suite.rtcp_trailer_len()] {
                        let mut packet = packet.clone();
                        let Some(place) = len.checked_sub(from_end) else {
                            continue;
                        };
                        packet[place] = packet[place] & 0x7f | e_flag;
                        let mut original = packet.clone();
                        let verdict = inbound.unprotect_rtcp(&mut packet);
                        assert!(verdict.is_err(), "{suite:?} {len} {filling} {e_flag}");
                        if verdict != Err(SrtpError::AuthenticationFailed) {
                            assert_eq!(packet, original);
                        }
                        original.truncate(8);
                        assert_eq!(packet[..original.len()], original);
                    }
                }
            }
        }
        assert_eq!((inbound.rtp_ssrc_count(), inbound.rtcp_ssrc_count()), (0, 0));
    }
}

/// Authentic packets cut short at every length.
#[test]
fn truncated_packets_are_refused() {
    for suite in CryptoSuite::ALL {
        let (mut outbound, mut inbound) = pair(suite);
        let media = protect_rtp(&mut outbound, &rtp(SSRC, 1, &[3; 40])).expect("room");
        let report = protect_rtcp(&mut outbound, &rtcp(SSRC, &[3; 40])).expect("room");
        for len in 0..media.len() {
            assert!(unprotect_rtp(&mut inbound, &media[..len]).is_err());
        }
        for len in 0..report.len() {
            assert!(unprotect_rtcp(&mut inbound, &report[..len]).is_err());
        }
    }
}

#[test]
fn too_little_room_is_an_error_and_costs_no_index() {
    for suite in CryptoSuite::ALL {
        let (mut outbound, _) = pair(suite);
        let (mut fresh, _) = pair(suite);
        let media = rtp(SSRC, 1, &[3; 40]);
        let report = rtcp(SSRC, &[3; 40]);
        for room in 0..suite.rtp_tag_len() {
            let mut buf = media.clone();
            buf.resize(media.len() + room, 0);
            assert_eq!(outbound.protect_rtp(&mut buf, 12, media.len()), Err(SrtpError::BufferTooSmall));
            assert_eq!(
                outbound.protect_rtp_into(&mut buf, 12, &[3; 2], &[3; 38]),
                Err(SrtpError::BufferTooSmall)
            );
        }
        for room in 0..suite.rtcp_trailer_len() {
            let mut buf = report.clone();
            buf.resize(report.len() + room, 0);
            assert_eq!(outbound.protect_rtcp(&mut buf, report.len()), Err(SrtpError::BufferTooSmall));
        }
        assert_eq!(outbound.protect_rtp(&mut media.clone(), 12, 9999), Err(SrtpError::BufferTooSmall));
        assert_eq!(outbound.protect_rtp(&mut media.clone(), 16, media.len()), Err(SrtpError::Malformed));
        assert_eq!(outbound.protect_rtcp(&mut report.clone(), 7), Err(SrtpError::TooShort));
        assert_eq!(outbound.rtp_ssrc_count(), 0);
        assert_eq!(protect_rtcp(&mut outbound, &report), protect_rtcp(&mut fresh, &report));
    }
}
