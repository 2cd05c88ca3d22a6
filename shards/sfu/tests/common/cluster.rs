//! Shards that read the port of one WebRTC server, each through a socket of its own.

use std::net::SocketAddr;

use ringsoup_rtc::ice::{Candidate, CandidateProtocol, Credentials, Sealer};
use ringsoup_sfu::command::{
    Command, Protocol, ServerListener, ServerOpening, WebRtcListen, WebRtcTransportOptions,
};
use ringsoup_sfu::reply::{Reply, ServedTransport};
use ringsoup_sfu::served::{HandedOver, ServerKey};
use ringsoup_sfu::sfu::Datagram;
use ringsoup_sfu::sockets::{PortChoice, SocketId, Sockets as _, UdpBind};

use super::parameters::{listen_info, transport_options};
use super::{ROUTER, World};

pub(crate) const SERVER: &str = "s";
pub(crate) const PORT: u16 = 4_000;

pub(crate) fn candidate() -> Candidate {
    let protocol = CandidateProtocol::Udp;
    Candidate { protocol, priority: 1, address: "198.51.100.1".into(), port: PORT }
}

pub(crate) fn served_by(server: &str, candidates: Vec<Candidate>) -> WebRtcListen {
    WebRtcListen::Server { server: server.into(), candidates }
}

pub(crate) fn opening(key: u64, socket: SocketId, port: u16, here: u16, readers: Vec<u16>) -> ServerOpening {
    let local = SocketAddr::new(listen_info().ip, port);
    let listener = ServerListener { protocol: Protocol::Udp, local, socket: Some(socket) };
    let sealer = Sealer::new([1; 16]);
    ServerOpening { key: ServerKey(key), listeners: vec![listener], sealer, here, readers }
}

pub(crate) fn bind(world: &mut World, port: u16) -> SocketId {
    let request = UdpBind {
        ip: listen_info().ip,
        port: PortChoice::Fixed(port),
        ipv6_only: false,
        reuse_port: false,
        send_buffer_size: 0,
        recv_buffer_size: 0,
    };
    world.sockets.bind_udp(&request).expect("free").id
}

impl World {
    /// A server of this shard alone.
    pub(crate) fn open_server(&mut self, server: &str, port: u16) -> SocketId {
        let socket = bind(self, port);
        let opening = Box::new(opening(port.into(), socket, port, 0, Vec::new()));
        self.command(Command::OpenWebRtcServer { server: server.into(), opening });
        socket
    }

    pub(crate) fn served(&mut self, server: &str) -> Vec<ServedTransport> {
        match self.command(Command::ReportWebRtcServer { server: server.into() }) {
            Reply::WebRtcServerReport(served) => served,
            other => panic!("not a report: {other:?}"),
        }
    }
}

/// What became of a datagram.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    /// It was handled, or dropped, where it came in.
    Stayed,
    HandedTo(u16),
}

pub(crate) struct Cluster {
    pub(crate) shards: Vec<World>,
    sockets: Vec<SocketId>,
}

impl Cluster {
    pub(crate) fn new(shards: u16) -> Self {
        let mut cluster = Self { shards: Vec::new(), sockets: Vec::new() };
        for here in 0..shards {
            let readers = (0..shards).filter(|reader| *reader != here).collect();
            cluster.open(here, readers);
        }
        cluster
    }

    /// A shard that reads the port from now on.
    pub(crate) fn open(&mut self, here: u16, readers: Vec<u16>) {
        let mut world = World::with_seed(here.into());
        let socket = bind(&mut world, PORT);
        let opening = Box::new(opening(7, socket, PORT, here, readers));
        world.command(Command::OpenWebRtcServer { server: SERVER.into(), opening });
        self.shards.push(world);
        self.sockets.push(socket);
    }

    pub(crate) fn at(&mut self, shard: u16) -> &mut World {
        &mut self.shards[usize::from(shard)]
    }

    /// A transport on a shard; returns what its peer is told.
    pub(crate) fn create(&mut self, shard: u16, transport: &str) -> Credentials {
        let (base, listen) = (transport_options(false), served_by(SERVER, vec![candidate()]));
        let options =
            Box::new(WebRtcTransportOptions { base, listen, prefer: None, ice_consent_timeout: 30 });
        let (router, transport) = (ROUTER.into(), transport.into());
        match self.at(shard).command(Command::CreateWebRtcTransport { router, transport, options }) {
            Reply::WebRtcTransportDump(dump) => dump.ice_parameters,
            other => panic!("not a dump: {other:?}"),
        }
    }

    pub(crate) fn set_reader(&mut self, at: u16, shard: u16, reads: bool) {
        self.at(at).command(Command::SetServerReader { server: ServerKey(7), shard, reads });
        self.carry();
    }

    /// The kernel gives a datagram to the socket of shard `at`.
    pub(crate) fn receive(&mut self, at: u16, remote: SocketAddr, bytes: &[u8]) -> Way {
        let way = self.receive_unheard(at, remote, bytes);
        self.carry();
        way
    }

    /// The same, and what is said about it stays unsaid until somebody carries it.
    pub(crate) fn receive_unheard(&mut self, at: u16, remote: SocketAddr, bytes: &[u8]) -> Way {
        let (mut bytes, socket) = (bytes.to_vec(), self.sockets[usize::from(at)]);
        let World { sfu, sockets, out, now, .. } = self.at(at);
        let datagram = Datagram { socket, remote, bytes: &mut bytes, received: *now };
        let Some(hand_over) = sfu.handle_datagram(*now, datagram, sockets, out) else {
            self.at(at).flush();
            return Way::Stayed;
        };
        let World { sfu, sockets, out, now, .. } = self.at(hand_over.to);
        let handed = HandedOver {
            from: at,
            socket: hand_over.socket,
            is_known: hand_over.is_known,
            remote,
            bytes: &mut bytes,
            received: *now,
        };
        sfu.handle_handed_over(*now, handed, sockets, out);
        self.at(hand_over.to).flush();
        Way::HandedTo(hand_over.to)
    }

    /// Words reach the shards that they are for.
    pub(crate) fn carry(&mut self) {
        for from in 0..self.shards.len() {
            self.shards[from].flush();
            for (to, word) in std::mem::take(&mut self.shards[from].words) {
                let from = u16::try_from(from).expect("few shards");
                if let Some(world) = self.shards.get_mut(usize::from(to)) {
                    world.sfu.handle_word(from, &word);
                }
            }
        }
    }

    /// Tuples of peers that each shard knows.
    pub(crate) fn known(&mut self) -> Vec<u64> {
        self.shards.iter_mut().map(|world| world.held("held_served_tuples")).collect()
    }
}
