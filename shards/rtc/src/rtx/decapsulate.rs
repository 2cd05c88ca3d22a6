//! The RTX payload format (RFC 4588 §4): the original sequence number, then the original payload.

use crate::rtp::RtpPacket;

/// Bytes of the original sequence number before the payload.
pub const OSN_LEN: usize = 2;

/// What an RTX packet's payload holds. All else of the original is in the RTX packet's header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Original<'a> {
    pub sequence_number: u16,
    pub payload: &'a [u8],
}

/// Opens an RTX payload, padding already removed. `None` when there is no original in it: senders
/// probe for bandwidth with RTX packets that are nothing but padding.
pub fn decapsulate(payload: &[u8]) -> Option<Original<'_>> {
    let (osn, payload) = payload.split_first_chunk::<OSN_LEN>()?;
    Some(Original { sequence_number: u16::from_be_bytes(*osn), payload })
}

/// Bytes of the packet that an RTX packet brought: without the number before its payload and the padding behind it.
pub fn original_len(packet: &RtpPacket<'_>) -> usize {
    packet.wire().len().saturating_sub(packet.padding_len() + OSN_LEN)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn payloads_without_an_original() {
        assert_eq!(decapsulate(&[]), None);
        assert_eq!(decapsulate(&[1]), None);
        assert_eq!(decapsulate(&[1, 2]), Some(Original { sequence_number: 0x0102, payload: &[] }));
    }

    proptest! {
        #[test]
        fn what_was_wrapped_comes_out(seq in any::<u16>(), payload in proptest::collection::vec(any::<u8>(), 0..64)) {
            let wrapped = [&seq.to_be_bytes(), payload.as_slice()].concat();
            prop_assert_eq!(decapsulate(&wrapped), Some(Original { sequence_number: seq, payload: &payload }));
        }
    }
}
