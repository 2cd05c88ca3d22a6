//! What a controller hears of a WebRTC transport, and its peer by signalling.

use std::net::{IpAddr, SocketAddr};

use ringsoup_fbs::fbs::transport::Protocol;
use ringsoup_fbs::fbs::web_rtc_transport::FingerprintAlgorithm as WireAlgorithm;
use ringsoup_peer::RemoteParameters;
use ringsoup_rtc::dtls::{Fingerprint, FingerprintAlgorithm};
use ringsoup_rtc::ice::Credentials;

use crate::channel::Reply;
use crate::error::Error;

#[derive(Clone, Debug)]
pub(crate) struct Remote {
    pub(crate) parameters: RemoteParameters,
    pub(crate) udp: SocketAddr,
    /// Where it listens for connections, if it does.
    pub(crate) tcp: Option<SocketAddr>,
}

impl Remote {
    /// From the answer to the transport's creation.
    pub(crate) fn of(reply: &Reply) -> Result<Self, Error> {
        let dump = reply.response()?.body_as_web_rtc_transport_dump_response();
        let dump = dump.ok_or_else(|| Error::new("a WebRTC transport without a dump"))?;
        let ice = dump.ice_parameters();
        let credentials = Credentials {
            username_fragment: ice.username_fragment().to_owned(),
            password: ice.password().to_owned(),
        };
        let fingerprints = dump.dtls_parameters().fingerprints();
        let sha256 = fingerprints.iter().find(|each| each.algorithm() == WireAlgorithm::SHA256);
        let sha256 = sha256.ok_or_else(|| Error::new("a WebRTC transport without a SHA-256 fingerprint"))?;
        let fingerprint =
            Fingerprint { algorithm: FingerprintAlgorithm::Sha256, value: sha256.value().to_owned() };
        let candidates = dump.ice_candidates();
        let address_of = |protocol| {
            let candidate = candidates.iter().find(|candidate| candidate.protocol() == protocol)?;
            let wrong = |_| Error::new(format!("a WebRTC transport listens on {}", candidate.address()));
            let ip = candidate.address().parse::<IpAddr>().map_err(wrong);
            Some(ip.map(|ip| SocketAddr::new(ip, candidate.port())))
        };
        let udp = address_of(Protocol::UDP)
            .ok_or_else(|| Error::new("a WebRTC transport without a UDP candidate"))??;
        let tcp = address_of(Protocol::TCP).transpose()?;
        Ok(Self { parameters: RemoteParameters { credentials, fingerprint }, udp, tcp })
    }
}
