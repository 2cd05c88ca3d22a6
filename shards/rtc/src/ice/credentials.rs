//! The user name fragment and password that a peer's checks must carry (RFC 8445 section 5.3).

use super::seal::Sealer;

/// Letters of each: 160 bits and more, where RFC 8445 asks for 24 and 128.
pub(super) const LEN: usize = 32;
pub(super) const ALPHABET: &[u8; 36] = b"0123456789abcdefghijklmnopqrstuvwxyz";
/// Random bytes from here on would favour the first letters.
const FAIR: usize = 256 - 256 % ALPHABET.len();

#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    pub username_fragment: String,
    pub password: String,
}

impl Credentials {
    /// `fill` fills a buffer with strong random bytes.
    pub fn generate(fill: &mut dyn FnMut(&mut [u8])) -> Self {
        Self { username_fragment: random_word(fill), password: random_word(fill) }
    }

    /// The same, with a fragment that tells whose it is. Of it 93 bits stay random.
    pub fn generate_sealed(holder: u16, sealer: &Sealer, fill: &mut dyn FnMut(&mut [u8])) -> Self {
        let mut letters = [0; LEN];
        letters.copy_from_slice(random_word(fill).as_bytes());
        sealer.seal(holder, &mut letters);
        let username_fragment = letters.iter().map(|letter| char::from(*letter)).collect();
        Self { username_fragment, password: random_word(fill) }
    }
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The password stays out of logs and panic messages.
        write!(formatter, "Credentials({})", self.username_fragment)
    }
}

fn random_word(fill: &mut dyn FnMut(&mut [u8])) -> String {
    let mut word = String::with_capacity(LEN);
    let mut random = [0; LEN];
    while word.len() < LEN {
        fill(&mut random);
        let fair = random.iter().map(|byte| usize::from(*byte)).filter(|byte| *byte < FAIR);
        let letters = fair.map(|byte| char::from(ALPHABET[byte % ALPHABET.len()]));
        word.extend(letters.take(LEN - word.len()));
    }
    word
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_have_the_shape_that_peers_expect() {
        let mut next = 0_u8;
        let credentials = Credentials::generate(&mut |bytes| {
            for byte in bytes {
                next = next.wrapping_add(37);
                *byte = next;
            }
        });
        for word in [&credentials.username_fragment, &credentials.password] {
            assert_eq!(word.len(), 32);
            assert!(
                word.bytes().all(|letter| letter.is_ascii_digit() || letter.is_ascii_lowercase()),
                "{word}"
            );
        }
        assert_ne!(credentials.username_fragment, credentials.password);
        assert!(!format!("{credentials:?}").contains(&credentials.password));
    }

    #[test]
    fn every_letter_comes_equally_often() {
        let mut counts = [0; 36];
        for byte in 0..=u8::MAX {
            // Bytes that would tip the scales are passed over: the next ones, all zero, are taken.
            let mut given = [byte, 0].into_iter();
            let word = random_word(&mut |bytes| bytes.fill(given.next().expect("fair by now")));
            let letter = word.bytes().next().expect("a letter");
            counts[ALPHABET.iter().position(|known| *known == letter).expect("of the alphabet")] += 1;
        }
        assert_eq!(counts[0], 7 + 4);
        assert!(counts[1..].iter().all(|count| *count == 7), "{counts:?}");
    }
}
