//! Valid frames with some bytes changed: whatever comes in, `decode` answers.

use super::{decode, node_frames, samples};

/// Mutations of each sample; all of them take a second or two unoptimised.
const ROUNDS: u32 = 1_500;

/// Xorshift: the same mutations in every run, so a failure can be repeated from its seed.
struct Random(u64);

impl Random {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % u64::try_from(end).unwrap()).unwrap()
    }

    /// Values that parsers trip over, more often than others.
    fn byte(&mut self) -> u8 {
        const TRICKY: [u8; 8] = [0, 1, 4, 0x7f, 0x80, 0xfe, 0xff, 5];
        match self.below(2) {
            0 => TRICKY[self.below(TRICKY.len())],
            _ => u8::try_from(self.below(256)).unwrap(),
        }
    }
}

fn frames() -> Vec<Vec<u8>> {
    let node = [node_frames::PLAIN, node_frames::TRUE, node_frames::LIST_AND_TRUE, node_frames::EMPTY_LIST];
    let frames = samples::requests().into_iter().map(|(_, frame)| frame);
    frames.chain(node.map(node_frames::bytes)).collect()
}

#[test]
fn changed_bytes() {
    for (seed, frame) in (1_u64..).zip(frames()) {
        let mut random = Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        for _ in 0..ROUNDS {
            let mut mutated = frame.clone();
            for _ in 0..=random.below(4) {
                let at = random.below(mutated.len());
                mutated[at] = random.byte();
            }
            // Nothing is expected but an answer.
            drop(decode(&mutated));
        }
    }
}

#[test]
fn every_byte_set_to_its_extremes() {
    for frame in frames() {
        for at in 0..frame.len() {
            for value in [0, 0xff, frame[at] ^ 0x80, frame[at].wrapping_add(1)] {
                let mut mutated = frame.clone();
                mutated[at] = value;
                drop(decode(&mutated));
            }
        }
    }
}

#[test]
fn every_truncation() {
    for frame in frames() {
        for end in 0..frame.len() {
            drop(decode(&frame[..end]));
        }
    }
}

#[test]
fn at_any_address() {
    for frame in frames() {
        for padding in 0..8 {
            let shifted = [vec![0; padding], frame.clone()].concat();
            assert!(decode(&shifted[padding..]).is_ok());
        }
    }
}
