//! What a packet says of its own sending: written per packet and receiver, never forwarded.

use super::block::write_element;
use super::extension::{encode_abs_send_time, encode_transport_wide_cc};

/// Bytes of an absolute send time.
const ABS_SEND_TIME_LEN: usize = 3;
/// Bytes of a transport-wide sequence number.
const TRANSPORT_WIDE_CC_LEN: usize = 2;

/// Each with the id its receiver knows the element by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Stamp {
    /// 24 bits of 6.18 seconds.
    pub abs_send_time: Option<(u8, u32)>,
    pub transport_wide_cc: Option<(u8, u16)>,
}

impl Stamp {
    pub const NONE: Self = Self { abs_send_time: None, transport_wide_cc: None };

    /// Bytes of its elements, each with a head of `head` bytes; `None` with an id outside of `1..=id_max`.
    #[inline]
    pub(super) fn len(&self, head: usize, id_max: u8) -> Option<usize> {
        // Most packets of most rooms have none.
        if self.abs_send_time.is_none() && self.transport_wide_cc.is_none() {
            return Some(0);
        }
        let mut len = 0;
        for (id, value_len) in [
            (self.abs_send_time.map(|(id, _)| id), ABS_SEND_TIME_LEN),
            (self.transport_wide_cc.map(|(id, _)| id), TRANSPORT_WIDE_CC_LEN),
        ] {
            let Some(id) = id else { continue };
            if id == 0 || id > id_max {
                return None;
            }
            len += head + value_len;
        }
        Some(len)
    }

    /// The caller has checked the ids by `len`.
    #[inline]
    pub(super) fn write(&self, out: &mut [u8], two_byte: bool) -> Option<()> {
        let mut rest = out;
        if let Some((id, sent_at)) = self.abs_send_time {
            let written = write_element(rest, two_byte, id, &encode_abs_send_time(sent_at))?;
            rest = rest.get_mut(written..)?;
        }
        if let Some((id, number)) = self.transport_wide_cc {
            write_element(rest, two_byte, id, &encode_transport_wide_cc(number))?;
        }
        Some(())
    }
}
