//! What passes between two pipe transports of one process, without a socket in between.

use ringsoup_rtc::time::Time;

/// One end of a pipe. Given once in the life of the process, so that what is still under way when an end closes can never
/// reach another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct PipeKey(pub u64);

/// What the bytes are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PipedKind {
    /// RTP or RTCP, never encrypted.
    Packet,
    /// Of a data channel: a [`MessageHead`] and its payload, as SCTP would have delivered it. No bytes at all: the association
    /// of the other end has opened.
    Message,
}

/// Something that the other end of a pipe passed on.
#[derive(Debug, Clone, Copy)]
pub struct Piped<'a> {
    pub to: PipeKey,
    pub kind: PipedKind,
    pub bytes: &'a [u8],
    /// When the other end did so.
    pub passed: Time,
}

/// Where an end is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PipeEnd {
    pub key: PipeKey,
    /// The index of its shard.
    pub shard: u16,
}

/// What a message says of itself beside its payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MessageHead {
    pub stream_id: u16,
    pub ppid: u32,
}

impl MessageHead {
    pub const BYTES: usize = 6;

    /// `None` when the slot is too short.
    pub fn write(self, slot: &mut [u8]) -> Option<usize> {
        let (stream_id, ppid) = slot.get_mut(..Self::BYTES)?.split_at_mut(2);
        stream_id.copy_from_slice(&self.stream_id.to_be_bytes());
        ppid.copy_from_slice(&self.ppid.to_be_bytes());
        Some(Self::BYTES)
    }

    /// The head and the payload behind it.
    pub fn split(bytes: &[u8]) -> Option<(Self, &[u8])> {
        let (stream_id, rest) = bytes.split_first_chunk()?;
        let (ppid, payload) = rest.split_first_chunk()?;
        Some((Self { stream_id: u16::from_be_bytes(*stream_id), ppid: u32::from_be_bytes(*ppid) }, payload))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_is_read_as_written_and_not_from_less() {
        let head = MessageHead { stream_id: 0x0102, ppid: 0x0304_0506 };
        let mut bytes = [9; 8];
        assert_eq!(head.write(&mut bytes), Some(MessageHead::BYTES));
        assert_eq!(bytes, [1, 2, 3, 4, 5, 6, 9, 9]);
        assert_eq!(MessageHead::split(&bytes), Some((head, &[9, 9][..])));
        assert_eq!(MessageHead::split(&bytes[..6]), Some((head, &[][..])));
        assert_eq!(MessageHead::split(&bytes[..5]), None);
        assert_eq!(head.write(&mut bytes[..5]), None);
    }
}
