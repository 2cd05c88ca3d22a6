//! How many bytes may wait between a shard and control: packets and messages for the application, and replies.
//!
//! Other events are small and counted by number only; these may be a quarter of a MiB each, and more.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Bytes. From half of it on no commands are taken, so that the application's own messages, which are commands, come
/// back to it in many copies before any is lost.
pub(crate) const FROM_SHARD_PAYLOAD_BYTES_MAX: usize = 32 << 20;

/// Shared by both ends of a mailbox: the shard takes, control gives back.
#[derive(Debug, Default)]
pub(crate) struct PayloadBudget {
    waiting: Arc<AtomicUsize>,
    /// Payloads that found no room and that nobody was told of yet; the shard's end alone counts them.
    refused: u64,
}

impl PayloadBudget {
    pub(crate) fn for_control(&self) -> Self {
        Self { waiting: Arc::clone(&self.waiting), refused: 0 }
    }

    /// False, and nothing taken, when so many bytes are too many.
    pub(crate) fn take(&mut self, bytes: usize) -> bool {
        if bytes == 0 {
            return true;
        }
        // Only the shard adds, so nothing can come in between; what control gives back meanwhile only makes room.
        if self.waiting.load(Ordering::Relaxed) + bytes > FROM_SHARD_PAYLOAD_BYTES_MAX {
            self.refused += 1;
            return false;
        }
        self.waiting.fetch_add(bytes, Ordering::Relaxed);
        true
    }

    /// For what cannot be refused: it keeps commands waiting instead, which cause it.
    pub(crate) fn charge(&self, bytes: usize) {
        self.waiting.fetch_add(bytes, Ordering::Relaxed);
    }

    pub(crate) fn give_back(&self, bytes: usize) {
        if bytes > 0 {
            self.waiting.fetch_sub(bytes, Ordering::Relaxed);
        }
    }

    pub(crate) fn is_half_taken(&self) -> bool {
        self.waiting.load(Ordering::Relaxed) > FROM_SHARD_PAYLOAD_BYTES_MAX / 2
    }

    /// Whether payloads were refused and there is room again: losses are told once, not one by one.
    pub(crate) fn may_tell_losses(&self) -> bool {
        self.refused > 0 && !self.is_half_taken()
    }

    pub(crate) fn take_refused(&mut self) -> u64 {
        std::mem::take(&mut self.refused)
    }
}
