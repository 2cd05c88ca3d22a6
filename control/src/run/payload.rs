//! The control thread's part in the payload channel.

use mio::Token;

use super::{ControlThread, FRAMES_PER_TURN, PAYLOAD_READ, nonsense, too_long};
use crate::channel::payload::{PayloadChannel, Received};

impl ControlThread {
    pub(super) fn wake_payload_channel(&mut self, token: Token) {
        let Some(channel) = &mut self.payload_channel else { return };
        if token == PAYLOAD_READ { channel.set_readable() } else { channel.set_writable() }
    }

    pub(super) fn payloads_may_have_come(&self) -> bool {
        self.payload_channel.as_ref().is_some_and(PayloadChannel::may_have_input)
    }

    pub(super) fn read_payload_channel(&mut self) {
        for _ in 0..FRAMES_PER_TURN {
            if self.closing || self.is_congested() {
                return;
            }
            let Some(channel) = &mut self.payload_channel else { return };
            match channel.receive() {
                Received::Message { head, payload } => {
                    self.frame_bytes = head.len() + payload.len();
                    let read = self.decoder.decode_payload(&head, payload);
                    self.handle(read);
                }
                Received::TooLong { head, bytes } => {
                    self.tell_failure(&too_long(bytes));
                    self.refuse_payload(&head, &format!("payload too big ({bytes} bytes)"));
                }
                Received::Nonsense { head, reason } => {
                    self.tell_failure(&nonsense(reason));
                    if let Some(head) = head {
                        self.refuse_payload(&head, &format!("wrong framing of its payload: {reason}"));
                    }
                }
                Received::Nothing => return,
                Received::Closed(None) => {
                    return self.fail_channel("payload channel remotely closed, closing myself");
                }
                Received::Closed(Some(error)) => {
                    let text = format!("payload channel read failed: {error}, closing myself");
                    return self.fail_channel(&text);
                }
            }
            self.act();
        }
    }

    /// Whoever asked must not wait for ever.
    fn refuse_payload(&mut self, head: &[u8], reason: &str) {
        let refused = self.decoder.refuse_payload(head, reason);
        self.controller.handle_undecodable(refused, &mut self.effects);
    }
}
