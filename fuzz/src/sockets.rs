//! A virtual network: sockets that bind at once, or not, as the input says.

use std::net::{IpAddr, SocketAddr};

use ringsoup_sfu::sockets::{BindError, BoundSocket, PortChoice, SocketId, Sockets, TcpListen, UdpBind};

#[derive(Debug, Default)]
pub struct VirtualSockets {
    /// By id; ids are given again after a close, as the runtime does.
    open: Vec<Option<SocketAddr>>,
    /// Ids in the order in which they were bound, taken by the caller.
    pub bound: Vec<SocketId>,
    /// This many binds succeed, then one fails.
    pub binds_before_failure: Option<u8>,
    connects: bool,
}

impl VirtualSockets {
    /// `connects`: whether [`Sockets::connect`] succeeds.
    pub fn new(connects: bool) -> Self {
        Self { connects, ..Self::default() }
    }

    pub fn is_open(&self, socket: SocketId) -> bool {
        self.open.get(socket.0 as usize).is_some_and(Option::is_some)
    }

    pub fn open_count(&self) -> usize {
        self.open.iter().flatten().count()
    }

    /// Ids ever given.
    pub fn id_count(&self) -> usize {
        self.open.len()
    }
}

impl VirtualSockets {
    /// Ports of UDP and TCP are not told apart: a scenario only meets "taken" sooner.
    fn bind(
        &mut self,
        protocol: &'static str,
        ip: IpAddr,
        port: PortChoice,
    ) -> Result<BoundSocket, BindError> {
        match &mut self.binds_before_failure {
            Some(0) => {
                self.binds_before_failure = None;
                return Err(BindError::SetUp { cause: "asked for".into() });
            }
            Some(left) => *left -= 1,
            None => {}
        }
        let taken = |port: u16| self.open.iter().flatten().any(|local| local.port() == port);
        let port = match port {
            PortChoice::Fixed(port) => Some(port).filter(|&port| !taken(port)),
            PortChoice::Range { min, max } => (min..=max).find(|&port| !taken(port)),
        };
        let Some(port) = port else {
            return Err(BindError::NoMorePorts { protocol, ip, attempts: 1 });
        };
        let local = SocketAddr::new(ip, port);
        let index = self.open.iter().position(Option::is_none).unwrap_or(self.open.len());
        if index == self.open.len() {
            self.open.push(None);
        }
        self.open[index] = Some(local);
        let id = SocketId(u32::try_from(index).expect("few sockets"));
        self.bound.push(id);
        Ok(BoundSocket { id, local })
    }
}

impl ringsoup_tests::threadless::VirtualSockets for VirtualSockets {
    fn carry(&mut self, socket: SocketId, _: Option<SocketAddr>, _: &[u8], _: &[u8]) {
        assert!(self.is_open(socket), "a datagram for a socket that is closed");
    }
}

impl Sockets for VirtualSockets {
    fn bind_udp(&mut self, request: &UdpBind) -> Result<BoundSocket, BindError> {
        self.bind("udp", request.ip, request.port)
    }

    fn listen_tcp(&mut self, request: &TcpListen) -> Result<BoundSocket, BindError> {
        self.bind("tcp", request.ip, request.port)
    }

    fn connect(&mut self, socket: SocketId, _: SocketAddr) -> bool {
        assert!(self.is_open(socket), "a closed socket was connected");
        self.connects
    }

    fn keep(&mut self, connection: SocketId) {
        assert!(self.is_open(connection), "a closed connection was kept");
    }

    fn send_last(&mut self, socket: SocketId, _: Option<SocketAddr>, _: &[u8]) {
        assert!(self.is_open(socket), "the last word left by a closed socket");
    }

    fn close(&mut self, socket: SocketId) {
        assert!(self.is_open(socket), "a socket was closed twice");
        self.open[socket.0 as usize] = None;
    }
}
