//! Which packets of a stream were already received: a sliding bitmap.

/// Packets behind the newest that are told apart. More than the original waits for (misorder 1,500).
const WINDOW: u64 = 2_048;
const WORDS: usize = (WINDOW / 64) as usize;

#[derive(Debug, Clone)]
pub struct RecvWindow {
    words: [u64; WORDS],
    newest: Option<u64>,
}

impl Default for RecvWindow {
    fn default() -> Self {
        Self { words: [0; WORDS], newest: None }
    }
}

#[allow(clippy::cast_possible_truncation, reason = "reduced modulo the window first")]
fn place(seq: u64) -> (usize, u64) {
    let bit = seq % WINDOW;
    ((bit / 64) as usize, 1 << (bit % 64))
}

impl RecvWindow {
    /// True the first time a number is seen; numbers behind the window count as seen.
    pub fn insert(&mut self, seq: u64) -> bool {
        match self.newest {
            None => self.newest = Some(seq),
            Some(newest) if seq > newest => {
                self.advance(newest, seq);
                self.newest = Some(seq);
            }
            Some(newest) if newest - seq >= WINDOW => return false,
            Some(_) => {}
        }
        let (word, bit) = place(seq);
        let is_new = self.words[word] & bit == 0;
        self.words[word] |= bit;
        is_new
    }

    fn advance(&mut self, newest: u64, seq: u64) {
        if seq - newest >= WINDOW {
            self.words = [0; WORDS];
            return;
        }
        for between in newest + 1..=seq {
            let (word, bit) = place(between);
            self.words[word] &= !bit;
        }
    }

    pub fn clear(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn agrees_with_a_set(seqs in proptest::collection::vec(10_000u64..12_000, 1..500)) {
            let mut window = RecvWindow::default();
            let mut seen = std::collections::HashSet::new();
            for seq in seqs {
                prop_assert_eq!(window.insert(seq), seen.insert(seq));
            }
        }
    }

    #[test]
    fn a_jump_forgets_and_the_far_past_is_refused() {
        let mut window = RecvWindow::default();
        assert!(window.insert(1));
        assert!(window.insert(1_000_000));
        assert!(!window.insert(1_000_000));
        assert!(!window.insert(1));
        assert!(window.insert(1_000_000 - WINDOW + 1));
    }
}
