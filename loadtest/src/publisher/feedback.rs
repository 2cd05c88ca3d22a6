//! What the worker asks of a publisher.

use super::Publisher;
use crate::rtcp::{self, Feedback};

/// What a compound packet of the worker asked for.
#[derive(Debug, Default)]
pub(super) struct Asked {
    pub(super) key_frames: u64,
    /// Packets to be sent again, by track and sequence number.
    pub(super) packets: Vec<(usize, u16)>,
}

/// Reads one; key frames are begun.
pub(super) fn read(publisher: &mut Publisher, compound: &[u8]) -> Asked {
    let mut asked = Asked::default();
    rtcp::visit(compound, |feedback| match feedback {
        Feedback::KeyFrame { ssrc } => {
            if let Some(which) = publisher.track_of(ssrc) {
                publisher.video[which].1.camera.encoder_mut().request_key_frame();
                asked.key_frames += 1;
            }
        }
        Feedback::Nack { ssrc, sequence, following } => {
            if let Some(which) = publisher.track_of(ssrc) {
                asked.packets.push((which, sequence));
                let bits = (0..16_u16).filter(|bit| following & (1 << bit) != 0);
                asked.packets.extend(bits.map(|bit| (which, sequence.wrapping_add(bit + 1))));
            }
        }
        Feedback::SenderReport { .. } => {}
    });
    asked
}
