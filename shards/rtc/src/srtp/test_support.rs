//! Packets and sessions for the tests.

use super::{CryptoSuite, InboundSession, MAX_TRAILER_LEN, OutboundSession, SrtpError};

pub(super) fn hex(digits: &str) -> Vec<u8> {
    assert_eq!(digits.len() % 2, 0, "pairs of digits");
    (0..digits.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&digits[at..at + 2], 16).expect("hex digits"))
        .collect()
}

pub(super) fn key(suite: CryptoSuite) -> Vec<u8> {
    (0..=255).take(suite.key_and_salt_len()).collect()
}

pub(super) fn pair(suite: CryptoSuite) -> (OutboundSession, InboundSession) {
    let key = key(suite);
    (
        OutboundSession::new(suite, &key).expect("key length"),
        InboundSession::new(suite, &key).expect("key length"),
    )
}

pub(super) fn rtp(ssrc: u32, seq: u16, payload: &[u8]) -> Vec<u8> {
    let mut packet = vec![0x80, 96];
    packet.extend(seq.to_be_bytes());
    packet.extend(90_000_u32.to_be_bytes());
    packet.extend(ssrc.to_be_bytes());
    packet.extend(payload);
    packet
}

pub(super) fn rtcp(ssrc: u32, body: &[u8]) -> Vec<u8> {
    let mut packet = vec![0x81, 206, 0, 2];
    packet.extend(ssrc.to_be_bytes());
    packet.extend(body);
    packet
}

pub(super) fn protect_rtp(session: &mut OutboundSession, packet: &[u8]) -> Result<Vec<u8>, SrtpError> {
    let mut buf = packet.to_vec();
    buf.resize(packet.len() + MAX_TRAILER_LEN, 0);
    let len = session.protect_rtp(&mut buf, 12, packet.len())?;
    buf.truncate(len);
    Ok(buf)
}

pub(super) fn protect_rtcp(session: &mut OutboundSession, packet: &[u8]) -> Result<Vec<u8>, SrtpError> {
    let mut buf = packet.to_vec();
    buf.resize(packet.len() + MAX_TRAILER_LEN, 0);
    let len = session.protect_rtcp(&mut buf, packet.len())?;
    buf.truncate(len);
    Ok(buf)
}

pub(super) fn unprotect_rtp(session: &mut InboundSession, packet: &[u8]) -> Result<Vec<u8>, SrtpError> {
    let mut packet = packet.to_vec();
    let len = session.unprotect_rtp(&mut packet)?;
    packet.truncate(len);
    Ok(packet)
}

pub(super) fn unprotect_rtcp(session: &mut InboundSession, packet: &[u8]) -> Result<Vec<u8>, SrtpError> {
    let mut packet = packet.to_vec();
    let len = session.unprotect_rtcp(&mut packet)?;
    packet.truncate(len);
    Ok(packet)
}
