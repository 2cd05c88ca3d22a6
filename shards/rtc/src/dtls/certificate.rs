//! A worker's certificate: one per process, shown in every handshake.

use super::{Fingerprint, FingerprintAlgorithm};

/// A certificate and what goes with it. Making and reading one needs randomness, a clock and files, so that is done
/// elsewhere.
#[derive(Clone, PartialEq, Eq)]
pub struct Certificate {
    der: Vec<u8>,
    private_key: Vec<u8>,
    fingerprints: Vec<Fingerprint>,
}

impl Certificate {
    /// `private_key` is the certificate's own, in DER: PKCS #8, or PKCS #1 or SEC 1 as a file had it.
    pub fn new(der: Vec<u8>, private_key: Vec<u8>) -> Self {
        let fingerprint = |algorithm| Fingerprint::of(algorithm, &der);
        let fingerprints = FingerprintAlgorithm::ALL.into_iter().map(fingerprint).collect();
        Self { der, private_key, fingerprints }
    }

    pub fn der(&self) -> &[u8] {
        &self.der
    }

    pub fn private_key(&self) -> &[u8] {
        &self.private_key
    }

    /// In all algorithms, SHA-1 first.
    pub fn fingerprints(&self) -> &[Fingerprint] {
        &self.fingerprints
    }
}

impl std::fmt::Debug for Certificate {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The key stays out of logs and panic messages.
        write!(formatter, "Certificate({} bytes)", self.der.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_algorithm_has_its_fingerprint_and_the_key_stays_inside() {
        let certificate = Certificate::new(b"certificate".to_vec(), b"secret".to_vec());
        let algorithms: Vec<_> = certificate.fingerprints().iter().map(|one| one.algorithm).collect();
        assert_eq!(algorithms, FingerprintAlgorithm::ALL);
        assert_eq!(format!("{certificate:?}"), "Certificate(11 bytes)");
        assert_eq!((certificate.der(), certificate.private_key()), (&b"certificate"[..], &b"secret"[..]));
    }
}
