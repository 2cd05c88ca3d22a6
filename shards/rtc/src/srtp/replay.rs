//! The replay window (RFC 3711 section 3.3.2): which recent indices were already accepted.

use super::SrtpError;

/// RTP replay window: 1024 packets, mediasoup's figure, about a second of 10 Mbit/s video.
pub(super) type RtpReplay = ReplayWindow<16>;

/// SRTCP replay window: 128 packets, libsrtp's figure.
pub(super) type RtcpReplay = ReplayWindow<2>;

/// A window of `64 * WORDS` indices ending at the newest one; the bit of an index is its value
/// modulo the width, so advancing never shifts.
#[derive(Debug, Clone)]
pub(super) struct ReplayWindow<const WORDS: usize> {
    newest: u64,
    seen: [u64; WORDS],
}

impl<const WORDS: usize> ReplayWindow<WORDS> {
    const WIDTH: u64 = 64 * WORDS as u64;

    /// A window that has accepted `first` and nothing else.
    pub(super) fn starting_at(first: u64) -> Self {
        let mut window = Self { newest: first, seen: [0; WORDS] };
        window.mark(first);
        window
    }

    pub(super) fn newest(&self) -> u64 {
        self.newest
    }

    /// Whether `index` is new. Changes nothing: the packet is not authenticated yet.
    pub(super) fn check(&self, index: u64) -> Result<(), SrtpError> {
        if index > self.newest {
            return Ok(());
        }
        if self.newest - index >= Self::WIDTH {
            return Err(SrtpError::TooOld);
        }
        let (word, bit) = Self::position(index);
        match self.seen.get(word) {
            Some(seen) if seen & bit == 0 => Ok(()),
            _ => Err(SrtpError::Replayed),
        }
    }

    /// Records `index`, which [`Self::check`] let pass and whose packet is authentic.
    pub(super) fn accept(&mut self, index: u64) {
        if index > self.newest {
            if index - self.newest >= Self::WIDTH {
                self.seen = [0; WORDS];
            } else {
                for skipped in self.newest + 1..index {
                    let (word, bit) = Self::position(skipped);
                    if let Some(seen) = self.seen.get_mut(word) {
                        *seen &= !bit;
                    }
                }
            }
            self.newest = index;
        }
        self.mark(index);
    }

    fn mark(&mut self, index: u64) {
        let (word, bit) = Self::position(index);
        if let Some(seen) = self.seen.get_mut(word) {
            *seen |= bit;
        }
    }

    #[allow(clippy::cast_possible_truncation, reason = "a remainder of WORDS fits usize")]
    fn position(index: u64) -> (usize, u64) {
        ((index / 64 % WORDS as u64) as usize, 1 << (index % 64))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn each_index_once() {
        let mut window = RtpReplay::starting_at(5000);
        assert_eq!(window.check(5000), Err(SrtpError::Replayed));
        for index in [5001, 4999, 5010, 5005, 6000] {
            assert_eq!(window.check(index), Ok(()));
            window.accept(index);
            assert_eq!(window.check(index), Err(SrtpError::Replayed));
        }
        assert_eq!(window.check(4977), Ok(()));
        assert_eq!(window.check(4976), Err(SrtpError::TooOld));
    }

    #[test]
    fn a_long_jump_forgets_everything() {
        let mut window = RtcpReplay::starting_at(1);
        window.accept(1_000_000);
        assert_eq!(window.check(999_999), Ok(()));
        assert_eq!(window.check(1_000_000 - 127), Ok(()));
        assert_eq!(window.check(1_000_000 - 128), Err(SrtpError::TooOld));
    }

    proptest! {
        /// Against a plain set of everything ever accepted.
        #[test]
        fn agrees_with_a_set(first in 0_u64..400, indices in prop::collection::vec(0_u64..600, 1..400)) {
            let mut window = RtcpReplay::starting_at(first);
            let mut accepted = BTreeSet::from([first]);
            for index in indices {
                let newest = *accepted.last().expect("never empty");
                let expected = if index + 128 <= newest {
                    Err(SrtpError::TooOld)
                } else if accepted.contains(&index) {
                    Err(SrtpError::Replayed)
                } else {
                    Ok(())
                };
                prop_assert_eq!(window.check(index), expected);
                if expected.is_ok() {
                    window.accept(index);
                    accepted.insert(index);
                }
            }
        }
    }
}
