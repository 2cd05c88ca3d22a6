//! The process's DTLS certificate: its own for this run, or the one it was given.

use std::io;
use std::path::Path;
use std::time::{Duration, SystemTime};

use rcgen::{
    CertificateParams, DistinguishedName, DnType, KeyPair, PKCS_ECDSA_P256_SHA256, PublicKeyData as _,
};
use ringsoup_rtc::dtls::Certificate;
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use x509_parser::prelude::{FromDer as _, X509Certificate};

/// A certificate is good from this long before it was made until this long after: peers pin it by its fingerprint,
/// so that no clock shall stand in the way.
const VALIDITY: Duration = Duration::from_secs(10 * 365 * 24 * 3600);
/// Subject and issuer.
const NAME: &str = "ringsoup";

#[derive(Debug, thiserror::Error)]
pub enum CertificateError {
    #[error("DTLS certificate cannot be made: {0}")]
    Generate(rcgen::Error),
    #[error("DTLS {what} file cannot be read: {error}")]
    Read { what: &'static str, error: io::Error },
    #[error("DTLS certificate file holds no certificate: {0}")]
    Certificate(String),
    #[error("DTLS private key file holds no usable key: {0}")]
    PrivateKey(String),
    #[error("DTLS certificate and private key do not belong together")]
    Mismatch,
}

/// A new self-signed certificate: P-256, signed with SHA-256.
///
/// # Errors
/// The library could not make a key.
pub fn generate() -> Result<Certificate, CertificateError> {
    let failed = CertificateError::Generate;
    let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).map_err(failed)?;
    let mut name = DistinguishedName::new();
    name.push(DnType::OrganizationName, NAME);
    name.push(DnType::CommonName, NAME);
    let mut params = CertificateParams::default();
    let now = SystemTime::now();
    params.distinguished_name = name;
    params.not_before = (now - VALIDITY).into();
    params.not_after = (now + VALIDITY).into();
    let certificate = params.self_signed(&key).map_err(failed)?;
    Ok(Certificate::new(certificate.der().to_vec(), key.serialize_der()))
}

/// The first certificate and the first private key of two PEM files.
///
/// # Errors
/// Either is missing or cannot be used for DTLS, or they do not belong together.
pub fn from_pem_files(certificate: &Path, private_key: &Path) -> Result<Certificate, CertificateError> {
    let read = |what, path| std::fs::read(path).map_err(|error| CertificateError::Read { what, error });
    from_pem(&read("certificate", certificate)?, &read("private key", private_key)?)
}

fn from_pem(certificate: &[u8], private_key: &[u8]) -> Result<Certificate, CertificateError> {
    let no_certificate = |error: &dyn std::fmt::Display| CertificateError::Certificate(error.to_string());
    let no_key = |error: &dyn std::fmt::Display| CertificateError::PrivateKey(error.to_string());
    let der = CertificateDer::from_pem_slice(certificate).map_err(|error| no_certificate(&error))?;
    let (_, parsed) = X509Certificate::from_der(&der).map_err(|error| no_certificate(&error))?;
    let key = PrivateKeyDer::from_pem_slice(private_key).map_err(|error| no_key(&error))?;
    let pair = KeyPair::try_from(&key).map_err(|error| no_key(&error))?;
    if parsed.public_key().raw != pair.subject_public_key_info() {
        return Err(CertificateError::Mismatch);
    }
    Ok(Certificate::new(der.to_vec(), key.secret_der().to_vec()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pem(label: &str, der: &[u8]) -> String {
        use base64::Engine as _;
        let text = base64::engine::general_purpose::STANDARD.encode(der);
        let lines: Vec<&str> =
            text.as_bytes().chunks(64).filter_map(|line| str::from_utf8(line).ok()).collect();
        format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", lines.join("\n"))
    }

    fn certificate_pem(certificate: &Certificate) -> String {
        pem("CERTIFICATE", certificate.der())
    }

    fn key_pem(certificate: &Certificate) -> String {
        pem("PRIVATE KEY", certificate.private_key())
    }

    #[test]
    fn a_new_certificate_is_what_peers_expect() {
        let certificate = generate().expect("made");
        let (rest, parsed) = X509Certificate::from_der(certificate.der()).expect("X.509");
        assert!(rest.is_empty());
        assert_eq!(parsed.subject(), parsed.issuer());
        // ecdsa-with-SHA256 (RFC 5758) over id-ecPublicKey on prime256v1 (RFC 5480).
        assert_eq!(parsed.signature_algorithm.algorithm.to_id_string(), "1.2.840.10045.4.3.2");
        let key = &parsed.public_key().algorithm;
        assert_eq!(key.algorithm.to_id_string(), "1.2.840.10045.2.1");
        let curve = key.parameters.as_ref().and_then(|curve| curve.as_oid().ok());
        assert_eq!(curve.map(|curve| curve.to_id_string()).as_deref(), Some("1.2.840.10045.3.1.7"));
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("after 1970").as_secs();
        let validity = parsed.validity();
        let (from, until) = (validity.not_before.timestamp(), validity.not_after.timestamp());
        let now = i64::try_from(now).expect("before the end of time");
        assert!((now - from - 315_360_000).abs() <= 2 && (until - now - 315_360_000).abs() <= 2);
        assert_ne!(generate().expect("made").der(), certificate.der());
    }

    #[test]
    fn a_pair_of_files_is_taken_as_it_is() {
        let certificate = generate().expect("made");
        let other = "-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n";
        let key = format!("{other}{}", key_pem(&certificate));
        let read = from_pem(certificate_pem(&certificate).as_bytes(), key.as_bytes()).expect("a pair");
        assert_eq!(read, certificate);
    }

    #[test]
    fn what_cannot_be_used_is_refused() {
        let certificate = generate().expect("made");
        let stranger = generate().expect("made");
        let (good, key) = (certificate_pem(&certificate), key_pem(&certificate));
        let refusal = |certificate: &str, key: &str| {
            from_pem(certificate.as_bytes(), key.as_bytes()).expect_err("refused")
        };
        let garbled = pem("CERTIFICATE", b"no certificate");
        for bad in ["", "chicken", &key, &garbled, &good[..good.len() / 2]] {
            assert!(matches!(refusal(bad, &key), CertificateError::Certificate(_)), "{bad}");
        }
        for bad in ["", "chicken", &good, &pem("PRIVATE KEY", b"no key"), &key[..key.len() / 2]] {
            assert!(matches!(refusal(&good, bad), CertificateError::PrivateKey(_)), "{bad}");
        }
        assert!(matches!(refusal(&good, &key_pem(&stranger)), CertificateError::Mismatch));
        let missing = Path::new("/nowhere/at/all.pem");
        assert!(matches!(from_pem_files(missing, missing), Err(CertificateError::Read { .. })));
    }
}
