//! The other side of a shard's sockets: what peers hold, and what must be true of what reaches them.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use ringsoup_rtc::rtcp::Compound;
use ringsoup_rtc::rtp::{RtpPacket, is_rtcp};
use ringsoup_rtc::srtp::{InboundSession, OutboundSession, SrtpError};
use ringsoup_sfu::command::SrtpParameters;
use ringsoup_sfu::name::Name;
use ringsoup_sfu::outbox::Route;
use ringsoup_sfu::sockets::SocketId;

use super::World;

pub(super) const LOCALHOST: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
/// Ports of peers, by the shard's socket they talk to.
const PEER_PORT: u16 = 40_000;

/// What the peer of a transport knows.
#[derive(Debug, Default)]
pub(super) struct PeerTransport {
    pub(super) sockets: Vec<SocketId>,
    pub(super) has_srtp: bool,
    pub(super) seal: Option<OutboundSession>,
    open: Option<InboundSession>,
    /// SSRCs that were ever consumed here.
    pub(super) ssrcs: Vec<u32>,
    /// Sealed packets by SSRC and sequence number: a number may only come back with the same bytes.
    sealed: HashMap<(u32, u16), Vec<u8>>,
}

impl PeerTransport {
    /// The peer of a fresh agreement on keys.
    pub(super) fn agree(&mut self, own: &SrtpParameters, shard: &SrtpParameters) {
        let seal = OutboundSession::new(own.crypto_suite, &own.key_and_salt);
        let open = InboundSession::new(shard.crypto_suite, &shard.key_and_salt);
        self.seal = Some(seal.expect("the shard took this key"));
        self.open = Some(open.expect("the shard made this key"));
        self.sealed.clear();
    }
}

pub(super) fn peer_address(socket: SocketId) -> SocketAddr {
    SocketAddr::new(LOCALHOST, PEER_PORT + u16::try_from(socket.0).expect("few sockets"))
}

impl World {
    /// Sockets bound since the last call belong to this transport, if it was made.
    pub(super) fn own_new_sockets(&mut self, name: &Name, has_srtp: bool) {
        let sockets: Vec<_> = std::mem::take(&mut self.sockets.bound);
        for &socket in &sockets {
            self.owner_of_socket.insert(socket, name.clone());
        }
        self.transports.insert(name.clone(), PeerTransport { sockets, has_srtp, ..PeerTransport::default() });
    }

    pub(super) fn forget_closed_transports(&mut self) {
        let Self { sockets, transports, owner_of_socket, .. } = self;
        transports.retain(|_, transport| transport.sockets.iter().all(|&socket| sockets.is_open(socket)));
        owner_of_socket.retain(|&socket, _| sockets.is_open(socket));
    }

    /// Takes everything the shard sends, as the runtime's flush does.
    pub(super) fn flush(&mut self) {
        let mut datagrams = Vec::new();
        for destination in self.out.destinations() {
            for (head, tail) in self.out.datagrams(destination.lane) {
                datagrams.push((*destination, [head, tail].concat()));
            }
        }
        // Fewer where a destination closed meanwhile.
        assert!(datagrams.len() <= self.out.datagram_count(), "every datagram is in one lane at most");
        self.out.clear_datagrams();
        for (destination, bytes) in datagrams {
            let Route::Socket { socket, remote } = destination.route else { panic!("no pipes were joined") };
            assert!(self.sockets.is_open(socket), "a datagram for a socket that is closed");
            assert!(remote.is_none_or(|remote| remote.port() != 0));
            self.receive(socket, bytes);
        }
        self.sfu.handle_flushed(self.now, &mut self.out);
        assert!(self.out.forwarded.is_empty());
        self.out.events.clear();
    }

    /// A peer looks at what it was sent.
    fn receive(&mut self, socket: SocketId, mut bytes: Vec<u8>) {
        let owner = self.owner_of_socket.get(&socket).expect("open sockets have owners");
        let transport = self.transports.get_mut(owner).expect("owners are open");
        let rtcp = is_rtcp(&bytes);
        if transport.has_srtp {
            let Some(session) = &mut transport.open else { panic!("sent before there were keys") };
            let wire = bytes.clone();
            let opened =
                if rtcp { session.unprotect_rtcp(&mut bytes) } else { session.unprotect_rtp(&mut bytes) };
            let header = RtpPacket::parse(&wire).map(|packet| (packet.ssrc(), packet.sequence_number()));
            match (opened, header) {
                (Ok(len), Ok(id)) if !rtcp => {
                    bytes.truncate(len);
                    transport.sealed.insert(id, wire);
                }
                (Ok(len), _) => bytes.truncate(len),
                (Err(SrtpError::Replayed), Ok(id)) if !rtcp => {
                    let first = transport.sealed.get(&id);
                    assert!(first.is_none_or(|first| *first == wire), "one nonce for two packets");
                    return;
                }
                (Err(error), _) => panic!("the peer cannot open what it was sent: {error}"),
            }
        }
        if rtcp {
            assert!(Compound::new(&bytes).all(|packet| packet.is_ok()), "broken RTCP was sent");
            return;
        }
        let packet = RtpPacket::parse(&bytes).expect("what is sent is RTP");
        assert!(transport.ssrcs.contains(&packet.ssrc()), "a packet for somebody else");
        self.newest_sent.insert(packet.ssrc(), packet.sequence_number());
    }
}
