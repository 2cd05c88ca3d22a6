//! WebRTC peers with sockets of their own, on loopback: what a browser is to the worker.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpStream, UdpSocket};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use ringsoup_fbs::fbs::web_rtc_transport::{DtlsRole, FingerprintAlgorithm};
use ringsoup_peer::framing::{Deframer, frame};
use ringsoup_peer::{Config, Event, Path, Peer, Received, RemoteParameters};
use ringsoup_rtc::dtls::{self, Certificate, Fingerprint, Role};
use ringsoup_rtc::ice::Credentials;
use ringsoup_rtc::time::Time;

use crate::channel::{Channel, Frame};
use crate::connected::connect_web_rtc_to;
use crate::listen::{self, Protocol};
use crate::media::opus_packet;

/// Nothing takes this long on loopback, however many build beside it.
const PATIENCE: Duration = Duration::from_secs(30);
/// Bytes of a fixed RTP header.
const RTP_HEADER: usize = 12;

/// One for all peers of a process.
fn certificate() -> Arc<Certificate> {
    static CERTIFICATE: OnceLock<Arc<Certificate>> = OnceLock::new();
    let made = || Arc::new(ringsoup_peer::generate_certificate().expect("a certificate"));
    Arc::clone(CERTIFICATE.get_or_init(made))
}

enum Socket {
    Udp(UdpSocket),
    Tcp(TcpStream, Box<Deframer>),
}

/// A peer of a transport.
pub struct WebRtcPeer {
    pub peer: Peer,
    pub transport: String,
    socket: Socket,
    path: Path,
    begun: Instant,
    /// RTP packets, decrypted.
    pub rtp: Vec<Vec<u8>>,
    /// RTCP compounds, decrypted.
    pub rtcp: Vec<Vec<u8>>,
    /// The worker said good-bye.
    pub is_closed: bool,
    /// Media can be encrypted.
    pub is_connected: bool,
    /// Why DTLS failed, which is no surprise if `may_fail`.
    pub failed: Option<String>,
    pub may_fail: bool,
}

/// What a WebRTC transport's dump tells its peer.
pub fn offered(created: &Frame) -> RemoteParameters {
    let dump = created.response().and_then(|response| response.body_as_web_rtc_transport_dump_response());
    let dump = dump.expect("a WebRTC transport's dump");
    let ice = dump.ice_parameters();
    let credentials = Credentials {
        username_fragment: ice.username_fragment().to_owned(),
        password: ice.password().to_owned(),
    };
    let fingerprints = dump.dtls_parameters().fingerprints();
    let sha256 = fingerprints.iter().find(|one| one.algorithm() == FingerprintAlgorithm::SHA256);
    let value = sha256.expect("SHA-256").value().to_owned();
    let fingerprint = Fingerprint { algorithm: dtls::FingerprintAlgorithm::Sha256, value };
    RemoteParameters { credentials, fingerprint }
}

impl WebRtcPeer {
    /// Begins with what the answer to a transport's creation says, over UDP or TCP, and tells the transport of itself: a
    /// client of DTLS.
    pub fn begin(
        channel: &mut Channel,
        request: u32,
        transport: &str,
        created: &Frame,
        protocol: Protocol,
    ) -> Self {
        Self::begin_as(Role::Client, channel, request, transport, created, protocol)
    }

    /// As [`begin`](Self::begin), in this role of DTLS.
    pub fn begin_as(
        role: Role,
        channel: &mut Channel,
        request: u32,
        transport: &str,
        created: &Frame,
        protocol: Protocol,
    ) -> Self {
        Self::begin_told(None, role, channel, request, transport, created, protocol)
    }

    /// As [`begin_as`](Self::begin_as), but the transport is told of this SHA-256 fingerprint instead of the peer's.
    pub fn begin_told(
        told: Option<&str>,
        role: Role,
        channel: &mut Channel,
        request: u32,
        transport: &str,
        created: &Frame,
        protocol: Protocol,
    ) -> Self {
        let candidates = listen::candidates(created);
        let (_, address, port) = candidates.iter().find(|one| one.0 == protocol).expect("a candidate");
        let remote = SocketAddr::new(address.parse().expect("an IP"), *port);
        let (socket, path) = if protocol == Protocol::TCP {
            let stream = TcpStream::connect(remote).expect("it listens");
            stream.set_nonblocking(true).expect("loopback");
            let local = stream.local_addr().expect("connected");
            (Socket::Tcp(stream, Box::default()), Path::tcp(local, remote))
        } else {
            let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("loopback");
            socket.connect(remote).expect("loopback");
            socket.set_nonblocking(true).expect("loopback");
            let local = socket.local_addr().expect("bound");
            (Socket::Udp(socket), Path::udp(local, remote))
        };
        let begun = Instant::now();
        let mut config = Config::new(request.into(), certificate(), offered(created), vec![path]);
        config.role = role;
        let peer = Peer::new(config, Time::ZERO).expect("DTLS is set up");
        let sha256 = peer.local_parameters().fingerprint.value;
        let wire_role = if role == Role::Client { DtlsRole::CLIENT } else { DtlsRole::SERVER };
        let told = told.unwrap_or(&sha256);
        channel.accepted(&connect_web_rtc_to(request, transport, told, wire_role));
        Self {
            peer,
            transport: transport.to_owned(),
            socket,
            path,
            begun,
            rtp: Vec::new(),
            rtcp: Vec::new(),
            is_closed: false,
            is_connected: false,
            failed: None,
            may_fail: false,
        }
    }

    pub fn now(&self) -> Time {
        Time::ZERO + self.begun.elapsed()
    }

    pub fn local(&self) -> SocketAddr {
        self.path.local
    }

    /// Sends and receives what there is; true when there was anything.
    pub fn turn(&mut self) -> bool {
        let now = self.now();
        self.peer.handle_timeout(now);
        let mut is_busy = self.send_out();
        let mut buffer = [0; 2_048];
        while let Some(length) = self.receive(&mut buffer) {
            is_busy = true;
            match self.peer.handle(now, self.path, &mut buffer[..length]) {
                Received::Rtp(packet) => self.rtp.push(packet.to_vec()),
                Received::Rtcp(packet) => self.rtcp.push(packet.to_vec()),
                Received::Taken | Received::Unread(_) => {}
            }
            self.send_out();
        }
        while let Some(event) = self.peer.poll_event() {
            match event {
                Event::Connected { .. } => self.is_connected = true,
                Event::Closed => self.is_closed = true,
                Event::Failed(why) if self.may_fail => self.failed = Some(why),
                Event::Failed(why) => panic!("{}: {why}", self.transport),
                _ => {}
            }
        }
        is_busy
    }

    fn send_out(&mut self) -> bool {
        let mut is_busy = false;
        while let Some(datagram) = self.peer.poll_datagram() {
            is_busy = true;
            self.send(&datagram.bytes);
        }
        is_busy
    }

    /// Sends bytes as they are. That nobody listens any more is not noticed.
    pub fn send(&mut self, bytes: &[u8]) {
        match &mut self.socket {
            Socket::Udp(socket) => drop(socket.send(bytes)),
            Socket::Tcp(stream, _) => {
                let mut framed = Vec::new();
                assert!(frame(bytes, &mut framed), "short");
                let _ = stream.write_all(&framed);
            }
        }
    }

    fn receive(&mut self, buffer: &mut [u8]) -> Option<usize> {
        match &mut self.socket {
            Socket::Udp(socket) => socket.recv(buffer).ok(),
            Socket::Tcp(stream, deframer) => loop {
                if let Some(packet) = deframer.next_packet() {
                    buffer[..packet.len()].copy_from_slice(packet);
                    return Some(packet.len());
                }
                let mut bytes = [0; 4_096];
                match stream.read(&mut bytes) {
                    Ok(length) if length > 0 => deframer.push(&bytes[..length]),
                    Err(error) if error.kind() == ErrorKind::Interrupted => {}
                    _ => return None,
                }
            },
        }
    }

    /// Sends an Opus packet of this stream.
    pub fn send_opus(&mut self, sequence_number: u16, ssrc: u32) {
        let mut packet = opus_packet(sequence_number, ssrc);
        let length = packet.len();
        packet.resize(length + ringsoup_rtc::srtp::MAX_TRAILER_LEN, 0);
        let protected = self.peer.protect_rtp(&mut packet, RTP_HEADER, length);
        let length = protected.expect("connected").expect("SRTP");
        self.send(&packet[..length]);
    }
}

/// Lets the peers go on until something holds.
///
/// # Panics
/// It does not in time.
pub fn run_until(peers: &mut [WebRtcPeer], what: &str, mut holds: impl FnMut(&mut [WebRtcPeer]) -> bool) {
    let begun = Instant::now();
    while !holds(peers) {
        assert!(begun.elapsed() < PATIENCE, "never came: {what}");
        let is_busy = peers.iter_mut().fold(false, |is_busy, peer| peer.turn() | is_busy);
        if !is_busy {
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

/// Lets them go on until all are connected.
pub fn connect(peers: &mut [WebRtcPeer]) {
    run_until(peers, "all are connected", |peers| peers.iter().all(|peer| peer.is_connected));
}
