//! What passes between two pipe transports of one process, without a socket in between.

use ringsoup_rtc::time::Time;

/// One end of a pipe. Given once in the life of the process, so that what is still under way when an end closes can never
/// reach another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct PipeKey(pub u64);

/// A packet that the other end of a pipe passed on: RTP or RTCP, never encrypted.
#[derive(Debug, Clone, Copy)]
pub struct Piped<'a> {
    pub to: PipeKey,
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
