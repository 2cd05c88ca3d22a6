//! Packets of WebRTC transports, wherever they came in.
//!
//! ```text
//!            ┌─ STUN ──► ICE agent ──► reply, tuples, state
//! first byte ┼─ DTLS ──► from a tuple of the agent's ──► handshake ──► keys
//!            └─ SRTP ──► from a tuple of the agent's ──► decrypted ──► the spines
//! ```

use ringsoup_rtc::time::Time;

use crate::demux::{Packet, Protocol, packet_of};
use crate::drop_reason::DropReason;
use crate::outbox::Outbox;
use crate::sfu::{Datagram, Sfu};
use crate::sockets::Sockets;
use crate::stats::Outcome;
use crate::table::Id;
use crate::timers::{Timer, Timers};
use crate::transport::webrtc::WebRtcTransport;
use crate::transport::{Transport, TransportKind};

impl Sfu {
    /// A packet for this transport. Its socket names the tuple it came by, whoever's the socket is.
    pub(crate) fn receive_webrtc(
        &mut self,
        now: Time,
        id: Id<Transport>,
        datagram: Datagram<'_>,
        sockets: &mut dyn Sockets,
        out: &mut Outbox,
    ) -> Result<Outcome, DropReason> {
        let tuple = (datagram.socket, datagram.remote);
        match packet_of(datagram.bytes).ok_or(DropReason::UnknownProtocol)? {
            Packet::Stun => self.receive_stun(now, id, tuple, datagram.bytes, sockets, out),
            Packet::Dtls => self.receive_dtls(now, id, tuple, datagram.bytes, sockets, out),
            Packet::Media(protocol) => self.receive_srtp(now, id, protocol, datagram, sockets, out),
        }
    }

    fn receive_srtp(
        &mut self,
        now: Time,
        id: Id<Transport>,
        protocol: Protocol,
        datagram: Datagram<'_>,
        sockets: &mut dyn Sockets,
        out: &mut Outbox,
    ) -> Result<Outcome, DropReason> {
        let Datagram { socket, remote, bytes, received } = datagram;
        let webrtc = webrtc(&mut self.transports[id])?;
        if !webrtc.ice.is_valid((socket, remote)) {
            return Err(DropReason::NoIce);
        }
        let srtp = webrtc.srtp.as_mut().ok_or(DropReason::NoSrtpKeys)?;
        let len = srtp.unprotect(bytes, protocol == Protocol::Rtcp)?;
        let bytes = &bytes[..len];
        match protocol {
            Protocol::Rtp => {
                // Authentic: whoever sends from another of its tuples prefers that one.
                self.follow_peer(now, id, (socket, remote), sockets, out);
                self.forward_rtp(now, id, bytes, received, out)
            }
            Protocol::Rtcp => self.handle_rtcp(now, id, bytes, received, out),
        }
    }

    /// To be called after anything that may have changed whether ICE or DTLS is connected.
    pub(crate) fn settle_webrtc(&mut self, now: Time, id: Id<Transport>, out: &mut Outbox) {
        let Self { transports, timers, .. } = self;
        let Ok(webrtc) = webrtc(&mut transports[id]) else { return };
        schedule(timers, &mut webrtc.ice_timer, webrtc.ice.next_timeout(), Timer::TransportIce(id));
        let next = match &webrtc.dtls.connection {
            Some(connection) => connection.next_timeout(),
            // Without a peer nothing begins; its next check asks again.
            None => webrtc.dtls.asks_again.filter(|_| webrtc.has_peer()),
        };
        schedule(timers, &mut webrtc.dtls.timer, next, Timer::TransportDtls(id));
        let is_connected = webrtc.is_connected();
        if std::mem::replace(&mut webrtc.was_connected, is_connected) == is_connected {
            return;
        }
        if is_connected {
            self.transport_connected(now, id, out);
        } else {
            self.transport_disconnected(now, id, out);
        }
    }
}

/// The WebRTC part of a transport that sockets have led to.
pub(super) fn webrtc(transport: &mut Transport) -> Result<&mut WebRtcTransport, DropReason> {
    match &mut transport.kind {
        TransportKind::WebRtc(webrtc) => Ok(webrtc),
        _ => Err(DropReason::UnknownSocket),
    }
}

/// Sees to it that a timer fires at `wanted` or before. One that fires too early is set again by then, so that a deadline that is
/// put off with every packet costs nothing.
fn schedule(timers: &mut Timers, set: &mut Option<Time>, wanted: Option<Time>, timer: Timer) {
    let Some(wanted) = wanted else { return };
    if set.is_none_or(|set| wanted < set) {
        *set = Some(wanted);
        timers.set(wanted, timer);
    }
}

/// Whether the entry that is due is the one that was set last; that is forgotten then.
pub(super) fn take_due(now: Time, set: &mut Option<Time>) -> bool {
    set.take_if(|set| *set <= now).is_some()
}
