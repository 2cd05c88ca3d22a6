//! Why a packet was refused.

use thiserror::Error;

/// A refused key or packet. None of these ends the session: the packet is dropped and the next one
/// is judged on its own (an attacker must not be able to hang up a call with bad packets).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum SrtpError {
    /// Master key and salt together have the wrong length for the suite, in bytes.
    #[error("SRTP key and salt must be {expected} bytes, got {actual}")]
    KeyLength { expected: usize, actual: usize },
    /// Shorter than its headers, trailer or own length fields require.
    #[error("packet too short")]
    TooShort,
    /// Not RTP version 2, or a header length that contradicts the header.
    #[error("malformed packet header")]
    Malformed,
    /// The output buffer has no room for payload, tag and trailer.
    #[error("output buffer too small")]
    BufferTooSmall,
    /// This index was already accepted (RFC 3711 section 3.3.2).
    #[error("replayed packet")]
    Replayed,
    /// Older than the replay window reaches, so it cannot be told from a replay.
    #[error("packet older than the replay window")]
    TooOld,
    /// The authentication tag does not match.
    #[error("authentication failed")]
    AuthenticationFailed,
    /// A new SSRC when the session already follows as many as it may.
    #[error("too many SSRCs")]
    TooManySsrcs,
    /// The packet index would repeat under this key (RFC 3711 section 9.2): new keys are needed.
    #[error("packet index space used up")]
    IndexExhausted,
    /// Outbound only: a sequence number from just before the stream's first packet, for which no
    /// rollover counter exists.
    #[error("sequence number precedes the start of the stream")]
    BeforeStart,
}
