//! Picture loss indication (RFC 4585 §6.3.1): all it says is in the feedback header.

use super::feedback::Feedback;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pli {
    pub sender_ssrc: u32,
    /// The stream that shall send a key frame.
    pub media_ssrc: u32,
}

impl Pli {
    pub(super) const fn parse(feedback: Feedback<'_>) -> Self {
        Self { sender_ssrc: feedback.sender_ssrc, media_ssrc: feedback.media_ssrc }
    }
}
