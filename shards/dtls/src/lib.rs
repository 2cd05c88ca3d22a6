//! DTLS by OpenSSL, behind the seam of `ringsoup_rtc::dtls`.
//!
//! A crate of its own because OpenSSL draws randomness and reads a clock, which the protocols of `ringsoup-rtc` do not.

mod alert;
mod cipher;
mod context;
mod datagrams;
mod ffi;
mod flight;
mod keys;
mod message;
mod record;
mod session;
mod timer;

use openssl::ssl::SslContext;
use ringsoup_rtc::dtls::{Certificate, Connection, Connector, Fingerprint, Output, Role};
use ringsoup_rtc::time::Time;

use crate::session::Session;

/// Makes connections that show one certificate.
pub struct OpenSsl {
    context: SslContext,
}

impl OpenSsl {
    /// # Errors
    /// Certificate or key cannot be used, or OpenSSL lacks what is needed.
    pub fn new(certificate: &Certificate) -> Result<Self, String> {
        let context =
            context::build(certificate).map_err(|error| format!("DTLS cannot be set up: {error}"))?;
        Ok(Self { context })
    }
}

impl std::fmt::Debug for OpenSsl {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "OpenSsl({})", library())
    }
}

impl Connector for OpenSsl {
    fn connect(
        &self,
        now: Time,
        role: Role,
        remote_fingerprint: &Fingerprint,
        out: &mut Output,
    ) -> Result<Box<dyn Connection>, String> {
        Ok(Box::new(Session::begin(&self.context, now, role, remote_fingerprint.clone(), out)?))
    }
}

/// OpenSSL's name and version, for the log.
pub fn library() -> &'static str {
    openssl::version::version()
}
