//! The 48-bit packet index: which turn of the 16-bit sequence number a packet belongs to.

use super::SrtpError;

/// One past the largest packet index: 32 bits of rollover counter over 16 of sequence number.
const INDEX_END: u64 = 1 << 48;

const HALF_CYCLE: u16 = 1 << 15;

/// How far behind a stream's first packets a sequence number can be and still mean "sent before
/// them" rather than "jumped ahead". The replay window of a receiver is as wide.
const START_REORDER: u16 = 1024;

/// The rollover counter guess of RFC 3711 section 3.3.1; `None` when it would be -1.
fn guess(highest: u64, seq: u16) -> Option<u64> {
    let roc = highest >> 16;
    let newest = (highest & 0xffff) as u16;
    let roc = if newest < HALF_CYCLE {
        if seq.saturating_sub(newest) > HALF_CYCLE { roc.checked_sub(1)? } else { roc }
    } else if newest - HALF_CYCLE > seq {
        roc + 1
    } else {
        roc
    };
    Some(roc << 16 | u64::from(seq))
}

fn within_space(index: u64) -> Result<u64, SrtpError> {
    if index < INDEX_END { Ok(index) } else { Err(SrtpError::IndexExhausted) }
}

/// The index a received `seq` claims. `highest` is the largest authenticated index so far.
///
/// Where the RFC's guess would be before the first turn, the packet is taken as a jump ahead
/// within it, as libsrtp senders mean it; authentication decides.
pub(super) fn inbound(highest: Option<u64>, seq: u16) -> Result<u64, SrtpError> {
    let index = highest.and_then(|highest| guess(highest, seq)).unwrap_or_else(|| u64::from(seq));
    within_space(index)
}

/// The index to send `seq` under. `highest` is the largest index sent so far.
///
/// A packet from just before the stream's first one is refused: sent with counter 0 it would make
/// receivers believe the sequence number had nearly wrapped, and every later packet fail.
pub(super) fn outbound(highest: Option<u64>, seq: u16) -> Result<u64, SrtpError> {
    let Some(highest) = highest else {
        return Ok(u64::from(seq));
    };
    let index = match guess(highest, seq) {
        Some(index) => index,
        None if ((highest & 0xffff) as u16).wrapping_sub(seq) <= START_REORDER => {
            return Err(SrtpError::BeforeStart);
        }
        None => u64::from(seq),
    };
    within_space(index)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn first_packet_is_in_the_first_turn() {
        assert_eq!(inbound(None, 65_535), Ok(65_535));
        assert_eq!(outbound(None, 65_535), Ok(65_535));
    }

    #[test]
    fn wraps_forward_and_back() {
        assert_eq!(inbound(Some(65_535), 0), Ok(0x1_0000));
        assert_eq!(inbound(Some(0x1_0000), 65_535), Ok(65_535));
        assert_eq!(inbound(Some(0x5_0003), 65_530), Ok(0x4_fffa));
        assert_eq!(outbound(Some(0x1_0005), 65_535), Ok(65_535));
        assert_eq!(outbound(Some(65_535), 7), Ok(0x1_0007));
    }

    #[test]
    fn half_a_cycle_either_way_stays() {
        assert_eq!(inbound(Some(0x2_0000), 0x8000), Ok(0x2_8000));
        assert_eq!(inbound(Some(0x2_0000), 0x8001), Ok(0x1_8001));
        assert_eq!(inbound(Some(0x2_8001), 0), Ok(0x3_0000));
        assert_eq!(inbound(Some(0x2_8000), 0), Ok(0x2_0000));
    }

    #[test]
    fn nothing_precedes_the_first_turn() {
        assert_eq!(inbound(Some(3), 65_535), Ok(65_535));
        assert_eq!(outbound(Some(3), 65_535), Err(SrtpError::BeforeStart));
        assert_eq!(outbound(Some(100), 40_000), Ok(40_000));
    }

    #[test]
    fn the_last_turn_ends() {
        let last = INDEX_END - 1;
        assert_eq!(inbound(Some(last), 65_534), Ok(last - 1));
        assert_eq!(inbound(Some(last), 0), Err(SrtpError::IndexExhausted));
        assert_eq!(outbound(Some(last), 0), Err(SrtpError::IndexExhausted));
    }
}
