//! Browsers: whole WebRTC peers, and the network between them and a shard.

use std::net::SocketAddr;
use std::sync::{Arc, LazyLock};

use ringsoup_peer::{Config, Event as PeerEvent, Nomination, Path, Peer, Received, RemoteParameters, Unread};
use ringsoup_rtc::dtls::{Certificate, Fingerprint, FingerprintAlgorithm, Role, is_dtls};
use ringsoup_rtc::rtp::RtpPacket;
use ringsoup_rtc::srtp::MAX_TRAILER_LEN;
use ringsoup_rtc::time::Time;
use ringsoup_sfu::command::{
    Command, ListenInfo, TransportCommand, WebRtcConnect, WebRtcListen, WebRtcTransportOptions,
};
use ringsoup_sfu::reply::{Reply, WebRtcTransportDump};
use ringsoup_sfu::sockets::SocketId;

use super::packets::Heard;
use super::parameters::{listen_info, transport_options};
use super::{ROUTER, World, remote};

/// A browser and what it got.
pub(crate) struct Browser {
    pub(crate) name: String,
    pub(crate) peer: Peer,
    /// With the shard's socket at the other end.
    pub(crate) paths: Vec<(Path, SocketId)>,
    pub(crate) events: Vec<PeerEvent>,
    pub(crate) rtp: Vec<Vec<u8>>,
    pub(crate) rtcp: Vec<Vec<u8>>,
    pub(crate) unread: Vec<Unread>,
    /// What gets lost on the way to it and from it.
    pub(crate) loses: fn(&[u8]) -> bool,
}

pub(crate) const NOTHING: fn(&[u8]) -> bool = |_| false;
pub(crate) const EVERYTHING: fn(&[u8]) -> bool = |_| true;
/// Of what a handshake consists of.
pub(crate) const DTLS: fn(&[u8]) -> bool = is_dtls;

/// How a browser is told of the shard.
#[derive(Clone)]
pub(crate) struct Setup {
    pub(crate) role: Role,
    pub(crate) infos: Vec<ListenInfo>,
    /// The browser's own address for each of them.
    pub(crate) locals: Vec<SocketAddr>,
    pub(crate) nomination: Nomination,
    /// To whom the browser believes to speak.
    pub(crate) fingerprint: Fingerprint,
}

impl Setup {
    /// Over one UDP socket.
    pub(crate) fn from_port(port: u16) -> Self {
        let certificate = &super::dtls::identity().certificate;
        Self {
            role: Role::Client,
            infos: vec![listen_info()],
            locals: vec![remote(port)],
            nomination: Nomination::Regular,
            fingerprint: sha256(certificate),
        }
    }
}

pub(crate) fn sha256(certificate: &Certificate) -> Fingerprint {
    Fingerprint::of(FingerprintAlgorithm::Sha256, certificate.der())
}

/// Of all browsers.
pub(crate) fn certificate() -> &'static Arc<Certificate> {
    static CERTIFICATE: LazyLock<Arc<Certificate>> =
        LazyLock::new(|| Arc::new(ringsoup_peer::generate_certificate().expect("a certificate")));
    &CERTIFICATE
}

impl Browser {
    /// Sends RTP as it is allowed to: encrypted, from where its media goes.
    pub(crate) fn sealed(&mut self, packet: &[u8]) -> Vec<u8> {
        let mut bytes = packet.to_vec();
        let (header, len) = (RtpPacket::parse(packet).expect("RTP").header_len(), bytes.len());
        bytes.resize(len + MAX_TRAILER_LEN, 0);
        let len = self.peer.protect_rtp(&mut bytes, header, len).expect("connected").expect("it fits");
        bytes.truncate(len);
        bytes
    }

    pub(crate) fn sealed_rtcp(&mut self, packet: &[u8]) -> Vec<u8> {
        let mut bytes = packet.to_vec();
        let len = bytes.len();
        bytes.resize(len + MAX_TRAILER_LEN, 0);
        let len = self.peer.protect_rtcp(&mut bytes, len).expect("connected").expect("it fits");
        bytes.truncate(len);
        bytes
    }

    fn socket_of(&self, path: Path) -> SocketId {
        self.paths.iter().find(|(known, _)| *known == path).expect("one of its paths").1
    }

    /// The shard's socket that media goes to, and the address it comes from.
    pub(crate) fn selected(&self) -> (SocketId, SocketAddr) {
        let path = self.peer.selected().expect("a selected path");
        (self.socket_of(path), path.local)
    }

    pub(crate) fn take_rtp(&mut self) -> Vec<Vec<u8>> {
        std::mem::take(&mut self.rtp)
    }

    /// What came as RTCP since the last call.
    pub(crate) fn heard(&mut self) -> Heard {
        let mut heard = Heard::default();
        self.rtcp.drain(..).for_each(|compound| heard.compound(&compound));
        heard
    }

    fn take_in(&mut self, now: Time, path: Path, mut bytes: Vec<u8>) {
        match self.peer.handle(now, path, &mut bytes) {
            Received::Rtp(packet) => self.rtp.push(packet.to_vec()),
            Received::Rtcp(packet) => self.rtcp.push(packet.to_vec()),
            Received::Taken => {}
            Received::Unread(why) => self.unread.push(why),
        }
    }
}

impl World {
    /// A transport for a browser, which has not said anything yet, nor been named to the shard by `connect()`.
    pub(crate) fn offer(&mut self, name: &str, setup: &Setup) -> Browser {
        let options = WebRtcTransportOptions {
            base: transport_options(false),
            listen: WebRtcListen::Individual(Ok(setup.infos.clone())),
            prefer: None,
            ice_consent_timeout: 30,
        };
        let command = Command::CreateWebRtcTransport {
            router: ROUTER.into(),
            transport: name.into(),
            options: Box::new(options),
        };
        let Reply::WebRtcTransportDump(dump) = self.command(command) else { panic!("not a dump") };
        self.browser_of(name, &dump, setup)
    }

    fn browser_of(&mut self, name: &str, dump: &WebRtcTransportDump, setup: &Setup) -> Browser {
        let paths: Vec<_> = dump
            .ice_candidates
            .iter()
            .zip(&setup.locals)
            .map(|(candidate, &local)| {
                let address = SocketAddr::new(candidate.address.parse().expect("an IP"), candidate.port);
                let listener = self.sockets.listener_of(candidate.protocol, address).expect("bound");
                let path = Path { protocol: candidate.protocol, local, remote: address };
                let is_udp = candidate.protocol == ringsoup_rtc::ice::CandidateProtocol::Udp;
                (path, if is_udp { listener } else { self.accept(listener, local) })
            })
            .collect();
        let remote = RemoteParameters {
            credentials: dump.ice_parameters.clone(),
            fingerprint: setup.fingerprint.clone(),
        };
        let tried = paths.iter().map(|(path, _)| *path).collect();
        let mut config = Config::new(7, Arc::clone(certificate()), remote, tried);
        config.role = setup.role;
        config.nomination = setup.nomination;
        Browser {
            name: name.into(),
            peer: Peer::new(config, self.now).expect("a peer"),
            paths,
            events: Vec::new(),
            rtp: Vec::new(),
            rtcp: Vec::new(),
            unread: Vec::new(),
            loses: NOTHING,
        }
    }

    /// Names the browser to the shard.
    pub(crate) fn introduce(&mut self, browser: &Browser) {
        let local = browser.peer.local_parameters();
        self.introduce_as(browser, local.fingerprint);
    }

    pub(crate) fn introduce_as(&mut self, browser: &Browser, fingerprint: Fingerprint) {
        let role = browser.peer.local_parameters().role;
        let request = WebRtcConnect { fingerprints: vec![fingerprint], role };
        self.transport(&browser.name, TransportCommand::ConnectWebRtc(request));
    }

    /// A browser that is connected.
    pub(crate) fn browser(&mut self, name: &str, port: u16) -> Browser {
        let mut browser = self.offer(name, &Setup::from_port(port));
        self.introduce(&browser);
        self.live(&mut [&mut browser], 2_000);
        assert!(browser.peer.is_connected(), "{:?}", browser.events);
        browser
    }

    /// Carries everything that is under way, in both directions, until nobody has anything to say.
    pub(crate) fn carry(&mut self, browsers: &mut [&mut Browser]) {
        loop {
            let mut is_quiet = true;
            for browser in &mut *browsers {
                while let Some(datagram) = browser.peer.poll_datagram() {
                    is_quiet = false;
                    if !(browser.loses)(&datagram.bytes) {
                        let socket = browser.socket_of(datagram.path);
                        self.receive(socket, datagram.path.local, &datagram.bytes);
                    }
                }
                while let Some(event) = browser.peer.poll_event() {
                    browser.events.push(event);
                }
            }
            for sent in self.take_sent() {
                is_quiet = false;
                for browser in &mut *browsers {
                    let is_it = |path: Path| (path.remote, path.local) == (sent.local, sent.remote);
                    if let Some((path, _)) = browser.paths.iter().copied().find(|(path, _)| is_it(*path))
                        && !(browser.loses)(&sent.bytes)
                    {
                        browser.take_in(self.now, path, sent.bytes.clone());
                    }
                }
            }
            if is_quiet {
                return;
            }
        }
    }

    /// Lets time pass for the shard and the browsers.
    pub(crate) fn live(&mut self, browsers: &mut [&mut Browser], millis: u64) {
        let end = Time::from_millis(self.now.as_millis() + millis);
        loop {
            self.carry(browsers);
            let peers = browsers.iter().filter_map(|browser| browser.peer.next_timeout()).min();
            let next = self.sfu.next_timeout().into_iter().chain(peers).min();
            let Some(next) = next.filter(|next| *next <= end) else { break };
            self.now = self.now.max(next);
            for browser in &mut *browsers {
                browser.peer.handle_timeout(self.now);
            }
            self.sfu.handle_timeout(self.now, &mut self.sockets, &mut self.out);
        }
        self.now = end;
    }

    /// RTP from a browser, by its selected path.
    pub(crate) fn rtp_from(&mut self, browser: &mut Browser, packet: &[u8]) {
        let ((socket, local), bytes) = (browser.selected(), browser.sealed(packet));
        self.receive(socket, local, &bytes);
    }

    pub(crate) fn rtcp_from(&mut self, browser: &mut Browser, packet: &[u8]) {
        let ((socket, local), bytes) = (browser.selected(), browser.sealed_rtcp(packet));
        self.receive(socket, local, &bytes);
    }
}
