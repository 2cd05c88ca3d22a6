//! What a finished handshake is worth: who the peer is, and the keys for SRTP (RFC 5764).

use openssl::ssl::SslRef;
use ringsoup_rtc::dtls::{Connected, Fingerprint, Role};

use crate::context::suite_of_profile;

/// RFC 5764 section 4.2.
const EXPORTER_LABEL: &str = "EXTRACTOR-dtls_srtp";

/// Looks at the peer's certificate first: without the right one no key is made.
///
/// # Errors
/// Why this peer is none, for the log.
pub(crate) fn export(ssl: &SslRef, role: Role, expected: &Fingerprint) -> Result<Connected, String> {
    let certificate = ssl.peer_certificate().ok_or("the peer showed no certificate")?;
    let unreadable = |error| format!("the peer's certificate cannot be read: {error}");
    let der = certificate.to_der().map_err(unreadable)?;
    let shown = Fingerprint::of(expected.algorithm, &der);
    if !shown.value.eq_ignore_ascii_case(&expected.value) {
        return Err(format!(
            "the peer's certificate has fingerprint {}, not {}",
            shown.value, expected.value
        ));
    }
    let profile = ssl.selected_srtp_profile().ok_or("the peer and we have no SRTP profile in common")?;
    let suite = suite_of_profile(profile.name()).ok_or_else(|| format!("SRTP profile {}", profile.name()))?;
    let (key_len, salt_len) = (suite.key_len(), suite.salt_len());
    let mut material = vec![0; 2 * (key_len + salt_len)];
    ssl.export_keying_material(&mut material, EXPORTER_LABEL, None)
        .map_err(|error| format!("no keys for SRTP: {error}"))?;
    // The client's key, the server's key, the client's salt, the server's salt.
    let (keys, salts) = material.split_at(2 * key_len);
    let (client_key, server_key) = keys.split_at(key_len);
    let (client_salt, server_salt) = salts.split_at(salt_len);
    let (client, server) = ([client_key, client_salt].concat(), [server_key, server_salt].concat());
    let (local_key, remote_key) = match role {
        Role::Client => (client, server),
        Role::Server | Role::Auto => (server, client),
    };
    let pem = certificate.to_pem().map_err(unreadable)?;
    let remote_certificate = String::from_utf8_lossy(&pem).into_owned();
    Ok(Connected { suite, local_key, remote_key, remote_certificate })
}
