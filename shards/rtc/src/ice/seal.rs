//! User name fragments that tell who has the agent, to whoever knows the secret they were made with.
//!
//! ```text
//! | holder 2 | random 18 | seal 12 |      letters
//! ```
//! One port may serve agents of many holders. Whoever receives a check there sees by its fragment alone whose it is, and
//! that it was given out at all: no table has to be kept in step, and a flood of invented fragments ends where it comes in.
//! A seal vouches for nothing else: that a peer knows the password is for the agent to check.

use std::hash::{DefaultHasher, Hasher as _};

use super::credentials::{ALPHABET, LEN};

/// Letters for the holder: 1,296 of them.
const HOLDER_LEN: usize = 2;
/// Letters for the seal: 62 bits, so that guessing one takes as long as anything on a network may.
const SEAL_LEN: usize = 12;
/// Where the seal begins: it is made of all before.
const SEAL_AT: usize = LEN - SEAL_LEN;
const BASE: u64 = ALPHABET.len() as u64;
/// Seals there are.
const SEALS: u64 = BASE.pow(12);

/// What a fragment says that was made with our secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sealed {
    pub holder: u16,
    /// Differs from fragment to fragment, in a way that nobody outside can foresee.
    pub seal: u64,
}

/// Makes seals and knows them again.
#[derive(Clone)]
pub struct Sealer {
    secret: [u8; 16],
}

impl std::fmt::Debug for Sealer {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Sealer")
    }
}

impl Sealer {
    pub const fn new(secret: [u8; 16]) -> Self {
        Self { secret }
    }

    /// Turns a random fragment into one of this holder. What else it was, it stays.
    pub(super) fn seal(&self, holder: u16, fragment: &mut [u8; LEN]) {
        write(holder.into(), &mut fragment[..HOLDER_LEN]);
        let seal = self.seal_of(&fragment[..SEAL_AT]);
        write(seal, &mut fragment[SEAL_AT..]);
    }

    /// `None` for a fragment that was not made with our secret.
    pub fn open(&self, fragment: &[u8]) -> Option<Sealed> {
        let fragment: &[u8; LEN] = fragment.try_into().ok()?;
        let seal = read(&fragment[SEAL_AT..])?;
        if seal != self.seal_of(&fragment[..SEAL_AT]) {
            return None;
        }
        let holder = u16::try_from(read(&fragment[..HOLDER_LEN])?).ok()?;
        Some(Sealed { holder, seal })
    }

    fn seal_of(&self, letters: &[u8]) -> u64 {
        // SipHash: its state after the secret is as good as a key.
        let mut hasher = DefaultHasher::new();
        hasher.write(&self.secret);
        hasher.write(letters);
        hasher.finish() % SEALS
    }
}

/// Highest digit first. A number that does not fit loses its highest digits.
fn write(mut number: u64, letters: &mut [u8]) {
    for letter in letters.iter_mut().rev() {
        *letter = ALPHABET[usize::try_from(number % BASE).unwrap_or(0)];
        number /= BASE;
    }
}

fn read(letters: &[u8]) -> Option<u64> {
    letters.iter().try_fold(0_u64, |number, letter| {
        let digit = match letter {
            b'0'..=b'9' => letter - b'0',
            b'a'..=b'z' => letter - b'a' + 10,
            _ => return None,
        };
        number.checked_mul(BASE)?.checked_add(digit.into())
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::ice::Credentials;

    const OURS: Sealer = Sealer::new([7; 16]);

    fn fragment(holder: u16, random: &[u8]) -> String {
        let mut bytes = random.iter().cycle();
        let mut fill = |into: &mut [u8]| into.fill_with(|| *bytes.next().expect("not empty"));
        Credentials::generate_sealed(holder, &OURS, &mut fill).username_fragment
    }

    proptest! {
        #[test]
        fn what_was_sealed_is_known_again(holder in 0_u16..1_296, random in prop::collection::vec(0_u8..252, 64)) {
            let fragment = fragment(holder, &random);
            prop_assert_eq!(fragment.len(), LEN);
            prop_assert_eq!(OURS.open(fragment.as_bytes()).map(|sealed| sealed.holder), Some(holder));
            prop_assert_eq!(Sealer::new([8; 16]).open(fragment.as_bytes()), None);
        }

        #[test]
        fn no_letter_can_be_changed(at in 0..LEN, to in 0_u8.., random in prop::collection::vec(0_u8..252, 64)) {
            let mut fragment = fragment(3, &random).into_bytes();
            prop_assume!(fragment[at] != to);
            fragment[at] = to;
            prop_assert_eq!(OURS.open(&fragment), None);
        }

        #[test]
        fn strangers_fragments_are_no_trouble(fragment in prop::collection::vec(any::<u8>(), 0..40)) {
            prop_assert_eq!(OURS.open(&fragment), None);
        }
    }

    #[test]
    fn fragments_of_one_holder_differ_in_their_seals() {
        let seal = |random: u8| OURS.open(fragment(1, &[random]).as_bytes()).expect("ours").seal;
        assert_ne!(seal(1), seal(2));
        assert_eq!(seal(1), seal(1));
    }
}
