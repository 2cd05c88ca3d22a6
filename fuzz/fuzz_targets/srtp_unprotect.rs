//! Bytes of strangers against SRTP sessions, and packets of the key's owner with some bytes changed.
#![no_main]

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use ringsoup_rtc::srtp::{CryptoSuite, InboundSession, MAX_TRAILER_LEN, OutboundSession};

#[derive(Debug, Arbitrary)]
struct Input<'a> {
    key: u8,
    /// Protected by the owner first, then damaged.
    genuine: bool,
    damage: Option<(u16, u8)>,
    packets: Vec<&'a [u8]>,
}

fuzz_target!(|input: Input<'_>| {
    for suite in CryptoSuite::ALL {
        let key = vec![input.key; suite.key_and_salt_len()];
        let mut inbound = InboundSession::new(suite, &key).expect("the key has the suite's length");
        let mut outbound = OutboundSession::new(suite, &key).expect("the key has the suite's length");
        for packet in &input.packets {
            rtp(&input, packet, &mut inbound, &mut outbound);
            rtcp(&input, packet, &mut inbound, &mut outbound);
        }
        assert!(inbound.rtp_ssrc_count() + inbound.rtcp_ssrc_count() <= 2 * input.packets.len());
        if !input.genuine {
            assert_eq!((inbound.rtp_ssrc_count(), inbound.rtcp_ssrc_count()), (0, 0), "nobody held the key");
        }
    }
});

fn with_trailer(packet: &[u8]) -> Vec<u8> {
    let mut buffer = packet.to_vec();
    buffer.resize(packet.len() + MAX_TRAILER_LEN, 0);
    buffer
}

/// True when a byte was changed.
fn damage(input: &Input<'_>, packet: &mut [u8]) -> bool {
    let Some((at, flip)) = input.damage.filter(|(_, flip)| *flip != 0) else { return false };
    let len = packet.len();
    packet[usize::from(at) % len] ^= flip;
    true
}

fn rtp(input: &Input<'_>, packet: &[u8], inbound: &mut InboundSession, outbound: &mut OutboundSession) {
    if !input.genuine {
        let mut bytes = packet.to_vec();
        assert!(inbound.unprotect_rtp(&mut bytes).is_err(), "a forged packet was accepted");
        return;
    }
    let Ok(header_len) = ringsoup_rtc::rtp::packet::header_len(packet) else { return };
    let mut buffer = with_trailer(packet);
    let Ok(len) = outbound.protect_rtp(&mut buffer, header_len, packet.len()) else { return };
    if damage(input, &mut buffer[..len]) {
        assert!(inbound.unprotect_rtp(&mut buffer[..len]).is_err(), "a changed packet was accepted");
    } else if let Ok(opened) = inbound.unprotect_rtp(&mut buffer[..len]) {
        // Not every genuine packet is taken: it may repeat a number or lie too far behind.
        assert_eq!(&buffer[..opened], packet);
    }
}

fn rtcp(input: &Input<'_>, packet: &[u8], inbound: &mut InboundSession, outbound: &mut OutboundSession) {
    if !input.genuine {
        let mut bytes = packet.to_vec();
        assert!(inbound.unprotect_rtcp(&mut bytes).is_err(), "a forged packet was accepted");
        return;
    }
    let mut buffer = with_trailer(packet);
    let Ok(len) = outbound.protect_rtcp(&mut buffer, packet.len()) else { return };
    if damage(input, &mut buffer[..len]) {
        assert!(inbound.unprotect_rtcp(&mut buffer[..len]).is_err(), "a changed packet was accepted");
    } else {
        let opened = inbound.unprotect_rtcp(&mut buffer[..len]).expect("the index is new each time");
        assert_eq!(&buffer[..opened], packet);
    }
}
