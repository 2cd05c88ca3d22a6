//! Who a shard is in handshakes: a real certificate, shown by the real library.

use std::sync::{Arc, LazyLock};

use ringsoup_dtls::OpenSsl;
use ringsoup_rtc::dtls::{Certificate, Connector};

pub(crate) struct Identity {
    pub(crate) certificate: Arc<Certificate>,
    pub(crate) connector: Arc<dyn Connector>,
}

impl Identity {
    pub(crate) fn new() -> Self {
        let made = rcgen::generate_simple_self_signed([]).expect("a certificate");
        let certificate = Certificate::new(made.cert.der().to_vec(), made.signing_key.serialize_der());
        let connector = OpenSsl::new(&certificate).expect("OpenSSL takes it");
        Self { certificate: Arc::new(certificate), connector: Arc::new(connector) }
    }
}

/// The shard's own, the same in all tests of a process: making one takes milliseconds.
pub(crate) fn identity() -> &'static Identity {
    static IDENTITY: LazyLock<Identity> = LazyLock::new(Identity::new);
    &IDENTITY
}
