//! One client: a peer behind a UDP socket.

use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;

use ringsoup_peer::{Config, Event, IceState, LocalParameters, Path, Peer, generate_certificate};
use ringsoup_rtc::dtls::{Certificate, Role};
use ringsoup_rtc::srtp::CryptoSuite;
use ringsoup_rtc::time::Time;

use super::Remote;
use crate::error::Error;
use crate::srtp::Protector;

/// Who the clients are. One certificate serves them all, so that making it is no part of a handshake.
#[derive(Clone, Debug)]
pub(crate) struct Identity {
    certificate: Arc<Certificate>,
    /// The clients' part in DTLS.
    role: Role,
}

impl Identity {
    pub(crate) fn new(role: Role) -> Result<Self, Error> {
        let certificate = generate_certificate().map_err(Error::new)?;
        Ok(Self { certificate: Arc::new(certificate), role })
    }
}

/// How far a client has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Progress {
    UnderWay,
    Connected(CryptoSuite),
    Failed(String),
}

#[derive(Debug)]
pub(crate) struct Client {
    peer: Peer,
    socket: UdpSocket,
    path: Path,
    progress: Progress,
}

impl Client {
    /// A client that has not begun. `socket` may be connected to the transport, or to nobody.
    pub(crate) fn new(
        socket: UdpSocket,
        remote: &Remote,
        identity: &Identity,
        seed: u64,
        now_ns: u64,
    ) -> Result<Self, Error> {
        let local = socket.local_addr().map_err(Error::io("reading a socket's address"))?;
        let parameters = remote.parameters.clone();
        let mut config = Config::new(seed, Arc::clone(&identity.certificate), parameters, Vec::new());
        config.role = identity.role;
        let peer = Peer::new(config, Time::from_nanos(now_ns)).map_err(Error::new)?;
        Ok(Self { peer, socket, path: Path::udp(local, remote.udp), progress: Progress::UnderWay })
    }

    pub(crate) fn local_parameters(&self) -> LocalParameters {
        self.peer.local_parameters()
    }

    pub(crate) const fn progress(&self) -> &Progress {
        &self.progress
    }

    /// Where the transport listens.
    pub(crate) const fn remote(&self) -> SocketAddr {
        self.path.remote
    }

    pub(crate) const fn socket(&self) -> &UdpSocket {
        &self.socket
    }

    pub(crate) fn next_timeout_ns(&self) -> Option<u64> {
        self.peer.next_timeout().map(Time::as_nanos)
    }

    /// Sends the first check.
    pub(crate) fn begin(&mut self, now_ns: u64) {
        self.peer.add_path(Time::from_nanos(now_ns), self.path);
        self.settle();
    }

    /// Whether it is for [`handle`](Self::handle) rather than media (RFC 7983).
    pub(crate) fn is_signalling(datagram: &[u8]) -> bool {
        datagram.first().is_some_and(|first| *first < 64)
    }

    pub(crate) fn handle(&mut self, now_ns: u64, datagram: &mut [u8]) {
        self.peer.handle(Time::from_nanos(now_ns), self.path, datagram);
        self.settle();
    }

    pub(crate) fn handle_timeout(&mut self, now_ns: u64) {
        self.peer.handle_timeout(Time::from_nanos(now_ns));
        self.settle();
    }

    /// SRTP both ways, once and after it has connected; the client goes on to keep the worker's consent.
    pub(crate) fn take_srtp(&mut self) -> Option<Protector> {
        self.peer.take_srtp().map(|(outbound, inbound)| Protector::of(outbound, inbound))
    }

    fn settle(&mut self) {
        while let Some(datagram) = self.peer.poll_datagram() {
            // What is refused is as good as lost; it is sent again, or the handshake's time limit tells.
            let _: io::Result<usize> = self.socket.send_to(&datagram.bytes, datagram.path.remote);
        }
        while let Some(event) = self.peer.poll_event() {
            self.progress = match event {
                Event::Connected { suite, .. } => Progress::Connected(suite),
                Event::Failed(why) => Progress::Failed(format!("DTLS: {why}")),
                Event::Closed => Progress::Failed("the worker closed DTLS".to_owned()),
                Event::Ice(state @ (IceState::Failed | IceState::Disconnected)) => {
                    Progress::Failed(format!("ICE: {state:?}"))
                }
                Event::Ice(_) | Event::Selected(_) | Event::ApplicationData(_) => continue,
            };
        }
    }
}
