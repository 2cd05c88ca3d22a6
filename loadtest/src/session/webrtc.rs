//! WebRTC transports: created, told of their peers, and then all handshakes together.

use std::net::{SocketAddr, UdpSocket};

use ringsoup_fbs::fbs::request::Method;
use ringsoup_rtc::dtls::Role;

use super::{Creator, Session, Transport};
use crate::error::Error;
use crate::sys::monotonic_ns;
use crate::transport_bodies::{Listening, connect_webrtc, create_webrtc_server};
use crate::webrtc::{Bridge, Client, Dialer, Identity, Remote};

/// Handshakes at a time: enough to keep worker and harness busy, few enough that none waits for long.
const UNDER_WAY_MAX: usize = 32;
/// How long a look for what arrived may wait.
const TURN: std::time::Duration = std::time::Duration::from_millis(1);

/// How WebRTC transports are to be.
#[derive(Clone, Debug)]
pub(crate) struct WebRtc {
    /// All on the ports of one WebRTC server.
    pub(crate) server: bool,
    /// The clients' part in DTLS.
    pub(crate) role: Role,
}

/// Whose transport it is.
pub(super) enum Owner {
    Publisher(usize),
    Subscriber(usize),
}

/// Clients whose transports are connected to by signalling, and who have not begun.
pub(super) struct Calls {
    listening: Listening,
    identity: Identity,
    waiting: Vec<(Owner, Client)>,
}

impl Creator<'_> {
    pub(super) fn prepare_calls(&mut self, webrtc: &WebRtc) -> Result<Calls, Error> {
        let listening = if webrtc.server {
            let server = self.id();
            let body = create_webrtc_server(&server, self.ways.tcp)(&mut self.builder);
            let method = Method::WORKER_CREATE_WEBRTCSERVER;
            self.channel.request(method, "", &mut self.builder, Some(body))?;
            Listening::Server(server)
        } else {
            Listening::Own { tcp: self.ways.tcp }
        };
        Ok(Calls { listening, identity: Identity::new(webrtc.role)?, waiting: Vec::new() })
    }

    fn calls(&mut self) -> Result<&mut Calls, Error> {
        self.calls.as_mut().ok_or_else(|| Error::new("no WebRTC transports were prepared for"))
    }

    pub(super) fn create_webrtc(&mut self, router: &str) -> Result<Transport, Error> {
        let id = self.id();
        let listening = self.calls()?.listening.clone();
        let body = listening.create(&id)(&mut self.builder);
        let method = listening.create_method();
        let reply = self.channel.request(method, router, &mut self.builder, Some(body))?;
        let mut remote = Remote::of(&reply)?;
        let port = remote.udp.port();
        if !self.session.worker_ports.contains(&port) {
            self.session.worker_ports.push(port);
        }
        if self.ways.tcp {
            remote.udp = self.bridge_to(&remote)?;
        }
        Ok(Transport { id, address: remote.udp, remote: Some(remote) })
    }

    /// A connection to where a transport listens for such; where a client sends to instead.
    fn bridge_to(&mut self, remote: &Remote) -> Result<SocketAddr, Error> {
        let tcp = remote.tcp.ok_or_else(|| Error::new("a WebRTC transport without a TCP candidate"))?;
        let bridge = match &mut self.session.bridge {
            Some(bridge) => bridge,
            none => none.insert(Bridge::start().map_err(Error::io("starting a thread"))?),
        };
        bridge.connect(tcp).map_err(Error::io("connecting to the worker by TCP"))
    }

    /// Tells a transport of its peer, who begins later.
    pub(super) fn connect_webrtc(
        &mut self,
        transport: &Transport,
        socket: &UdpSocket,
        owner: Owner,
    ) -> Result<(), Error> {
        let remote = transport.remote.as_ref().ok_or_else(|| Error::new("not a WebRTC transport"))?;
        // Who owns the socket goes on to use it for media.
        let socket = socket.try_clone().map_err(Error::io("duplicating a socket"))?;
        let seed = self.rng.next_u64();
        let identity = self.calls()?.identity.clone();
        let client = Client::new(socket, remote, &identity, seed, monotonic_ns())?;
        let body = connect_webrtc(&client.local_parameters())(&mut self.builder);
        let method = Method::WEBRTCTRANSPORT_CONNECT;
        self.channel.request(method, &transport.id, &mut self.builder, Some(body))?;
        self.calls()?.waiting.push((owner, client));
        Ok(())
    }

    /// All handshakes, and what they agreed on to where media goes.
    pub(super) fn make_calls(&mut self) -> Result<(), Error> {
        let Some(calls) = self.calls.take() else { return Ok(()) };
        let failed = Error::io("making handshakes");
        let mut dialer = Dialer::new().map_err(&failed)?;
        let mut waiting = calls.waiting.into_iter();
        let mut owners = std::collections::HashMap::new();
        loop {
            while dialer.under_way() < UNDER_WAY_MAX {
                let Some((owner, client)) = waiting.next() else { break };
                owners.insert(dialer.dial(client).map_err(&failed)?, owner);
            }
            if dialer.under_way() == 0 {
                return Ok(());
            }
            dialer.turn(TURN).map_err(&failed)?;
            for outcome in dialer.take_outcomes() {
                let suite = outcome.result.map_err(|why| Error::new(format!("a handshake failed: {why}")))?;
                self.session.suite = Some(suite);
                if let Some((owner, client)) = owners.remove(&outcome.token).zip(dialer.remove(outcome.token))
                {
                    self.session.hand_over(&owner, client);
                }
            }
        }
    }
}

impl Session {
    fn hand_over(&mut self, owner: &Owner, mut client: Client) {
        let srtp = client.take_srtp();
        match owner {
            Owner::Publisher(index) => {
                if let Some(publisher) = self.publishers.get_mut(*index) {
                    (publisher.wire.srtp, publisher.client) = (srtp, Some(client));
                }
            }
            Owner::Subscriber(index) => {
                if let Some(subscriber) = self.subscribers.get_mut(*index) {
                    (subscriber.srtp, subscriber.client) = (srtp, Some(client));
                }
            }
        }
    }
}
