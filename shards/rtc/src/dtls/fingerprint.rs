//! Hashes by which signalling names a certificate (RFC 8122).

use sha1::Sha1;
use sha2::{Digest as _, Sha224, Sha256, Sha384, Sha512};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FingerprintAlgorithm {
    Sha1,
    Sha224,
    Sha256,
    Sha384,
    Sha512,
}

impl FingerprintAlgorithm {
    /// In the order in which dumps name them.
    pub const ALL: [Self; 5] = [Self::Sha1, Self::Sha224, Self::Sha256, Self::Sha384, Self::Sha512];

    fn digest(self, bytes: &[u8]) -> Vec<u8> {
        match self {
            Self::Sha1 => Sha1::digest(bytes).to_vec(),
            Self::Sha224 => Sha224::digest(bytes).to_vec(),
            Self::Sha256 => Sha256::digest(bytes).to_vec(),
            Self::Sha384 => Sha384::digest(bytes).to_vec(),
            Self::Sha512 => Sha512::digest(bytes).to_vec(),
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fingerprint {
    pub algorithm: FingerprintAlgorithm,
    /// Upper-case hex digits, two and two between colons.
    pub value: String,
}

impl Fingerprint {
    /// Of a certificate in DER.
    pub fn of(algorithm: FingerprintAlgorithm, der: &[u8]) -> Self {
        let pairs: Vec<String> = algorithm.digest(der).iter().map(|byte| format!("{byte:02X}")).collect();
        Self { algorithm, value: pairs.join(":") }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_are_the_published_ones() {
        // "abc": FIPS 180-4's own example.
        let begins = |algorithm| Fingerprint::of(algorithm, b"abc").value;
        for (algorithm, start, bytes) in [
            (FingerprintAlgorithm::Sha1, "A9:99:3E:36:47:06:81:6A", 20),
            (FingerprintAlgorithm::Sha224, "23:09:7D:22:34:05:D8:22", 28),
            (FingerprintAlgorithm::Sha256, "BA:78:16:BF:8F:01:CF:EA", 32),
            (FingerprintAlgorithm::Sha384, "CB:00:75:3F:45:A3:5E:8B", 48),
            (FingerprintAlgorithm::Sha512, "DD:AF:35:A1:93:61:7A:BA", 64),
        ] {
            let value = begins(algorithm);
            assert!(value.starts_with(start), "{algorithm:?}: {value}");
            assert_eq!(value.len(), 3 * bytes - 1);
        }
    }
}
