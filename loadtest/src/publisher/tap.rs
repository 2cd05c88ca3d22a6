//! Copies of what a publisher sent last, as it was on the wire, for who wants to send it again.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

/// Packets kept: what half the replay window of a receiver holds (1,024 in our worker), so that each is refused because it was
/// seen and not because it is old.
const PACKETS_MAX: usize = 512;

/// Closed until somebody opens it: a publisher then copies nothing.
#[derive(Debug, Default)]
pub(crate) struct Tap {
    is_open: AtomicBool,
    packets: Mutex<VecDeque<Vec<u8>>>,
}

impl Tap {
    pub(crate) fn open(&self) {
        self.is_open.store(true, Ordering::Relaxed);
    }

    /// The oldest first.
    pub(crate) fn packets(&self) -> Vec<Vec<u8>> {
        self.packets.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect()
    }

    pub(super) fn keep(&self, packets: &[&[u8]]) {
        if !self.is_open.load(Ordering::Relaxed) {
            return;
        }
        let mut kept = self.packets.lock().unwrap_or_else(PoisonError::into_inner);
        for packet in packets {
            if kept.len() == PACKETS_MAX {
                kept.pop_front();
            }
            kept.push_back(packet.to_vec());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_are_kept_once_it_is_open() {
        let tap = Tap::default();
        tap.keep(&[b"unseen"]);
        assert!(tap.packets().is_empty());
        tap.open();
        tap.keep(&[b"first", b"second"]);
        assert_eq!(tap.packets(), [b"first".to_vec(), b"second".to_vec()]);
        (0..PACKETS_MAX).for_each(|_| tap.keep(&[b"later"]));
        assert_eq!(tap.packets(), vec![b"later".to_vec(); PACKETS_MAX]);
    }
}
