//! A certificate to show in DTLS. Peers may share one: making it costs more than a handshake does.

use rcgen::{CertificateParams, KeyPair, PKCS_ECDSA_P256_SHA256};
use ringsoup_rtc::dtls::Certificate;

/// A new self-signed one: P-256, signed with SHA-256, as browsers make them.
///
/// # Errors
/// The library could not make a key.
pub fn generate_certificate() -> Result<Certificate, String> {
    let failed = |error: rcgen::Error| error.to_string();
    let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).map_err(failed)?;
    let certificate = CertificateParams::default().self_signed(&key).map_err(failed)?;
    Ok(Certificate::new(certificate.der().to_vec(), key.serialize_der()))
}
