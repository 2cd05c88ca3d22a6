//! A transport: where packets come in and go out, whatever carries them.

pub mod bitrate_allocator;
pub mod congestion;
pub mod flow;
pub mod incoming;
pub(crate) mod outgoing;
pub mod pipe;
pub mod plain;
pub mod rtp_listener;
pub(crate) mod sender_clocks;
pub mod srtp;
pub mod traffic;
pub mod webrtc;
pub mod webrtc_server;

use std::net::SocketAddr;

use ringsoup_rtc::rtx::ResendLookups;
use ringsoup_rtc::srtp::OutboundSession;
use ringsoup_rtc::time::Time;

use crate::command::{CommandError, TransportOptions, TransportTraceEvent};
use crate::consumer::Consumer;
use crate::data::association::Association;
use crate::data::data_consumer::DataConsumer;
use crate::data::data_producer::DataProducer;
use crate::data::reply::SctpState;
use crate::demux::Protocol;
use crate::drop_reason::DropReason;
use crate::map::Map;
use crate::name::Name;
use crate::outbox::Destination;
use crate::producer::Producer;
use crate::reply::{RecvRtpHeaderExtensions, TransportStats};
use crate::router::Router;
use crate::rtp_parameters::{ExtensionUri, RtpParameters};
use crate::table::Id;

use bitrate_allocator::Budget;
use congestion::Means;
use flow::Origin;
use incoming::Incoming;
use outgoing::Outgoing;
use pipe::PipeTransport;
use plain::PlainTransport;
use rtp_listener::RtpListener;
use sender_clocks::SenderClocks;
use srtp::{Srtp, SrtpSessions};
use traffic::{MediaSent, Traffic};
use webrtc::WebRtcTransport;

/// No outgoing limit may be set below this, bits per second: less than an audio stream needs.
pub const OUTGOING_BITRATE_MIN: u64 = 30_000;
/// The highest bitrate a controller may name, bits per second; the next number means "no limit" to estimators.
pub const BITRATE_MAX: u64 = i64::MAX as u64 - 1;

#[derive(Debug)]
pub struct Transport {
    pub(crate) name: Name,
    pub(crate) router: Id<Router>,
    pub(crate) kind: TransportKind,
    pub(crate) max_send_message_size: u32,
    pub(crate) max_receive_message_size: u32,
    pub(crate) producers: Vec<Id<Producer>>,
    pub(crate) consumers: Vec<Id<Consumer>>,
    pub(crate) data_producers: Vec<Id<DataProducer>>,
    pub(crate) data_consumers: Vec<Id<DataConsumer>>,
    /// With enableSctp.
    pub(crate) association: Option<Box<Association>>,
    pub(crate) listener: RtpListener,
    pub(crate) sender_clocks: SenderClocks,
    pub(crate) recv_extensions: RecvRtpHeaderExtensions,
    pub(crate) media_ssrcs: Map<u32, Id<Consumer>>,
    pub(crate) rtx_ssrcs: Map<u32, Id<Consumer>>,
    /// What its receiver asked for again lately.
    pub(crate) lookups: ResendLookups,
    pub(crate) traffic: Traffic,
    pub(crate) limits: BitrateLimits,
    pub(crate) outgoing: Outgoing,
    /// What can be sent to it.
    pub(crate) budget: Budget,
    /// Where a producer has negotiated a means to tell the peer about the way here.
    pub(crate) incoming: Option<Incoming>,
    pub(crate) trace_events: Vec<TransportTraceEvent>,
    /// When the next reports are due; `None` until connected.
    pub(crate) rtcp_deadline: Option<Time>,
}

#[derive(Debug)]
pub enum TransportKind {
    Plain(Box<PlainTransport>),
    Pipe(Box<PipeTransport>),
    WebRtc(Box<WebRtcTransport>),
    /// RTP and RTCP travel as messages to and from the application.
    Direct,
}

/// How packets leave a transport that has a peer.
#[derive(Debug)]
pub(crate) enum Way<'a> {
    /// As messages to the application.
    Application,
    /// As they are.
    Bare(Destination),
    /// Encrypted.
    Sealed(Destination, &'a mut OutboundSession),
}

/// Limits the controller set, bits per second; 0 means none.
#[derive(Debug, Clone, Copy, Default)]
pub struct BitrateLimits {
    pub max_incoming: u64,
    pub max_outgoing: u64,
    pub min_outgoing: u64,
}

impl<'a> Way<'a> {
    /// Encrypted when there is SRTP, and none while SRTP has no key.
    fn of(destination: Destination, srtp: Option<&'a mut Srtp>) -> Option<Self> {
        match srtp {
            None => Some(Self::Bare(destination)),
            Some(srtp) => Some(Self::Sealed(destination, srtp.sessions_mut()?.outbound())),
        }
    }
}

impl Transport {
    pub(crate) fn new(
        name: Name,
        router: Id<Router>,
        kind: TransportKind,
        options: &TransportOptions,
    ) -> Self {
        Self {
            name,
            router,
            kind,
            max_send_message_size: options.max_send_message_size,
            max_receive_message_size: options.max_receive_message_size,
            producers: Vec::new(),
            consumers: Vec::new(),
            data_producers: Vec::new(),
            data_consumers: Vec::new(),
            association: options.enable_sctp.then(|| Box::new(Association::new(options))),
            listener: RtpListener::default(),
            sender_clocks: SenderClocks::default(),
            recv_extensions: RecvRtpHeaderExtensions::default(),
            media_ssrcs: Map::default(),
            rtx_ssrcs: Map::default(),
            lookups: ResendLookups::default(),
            traffic: Traffic::default(),
            limits: BitrateLimits::default(),
            outgoing: Outgoing::new(options.initial_available_outgoing_bitrate),
            budget: Budget::default(),
            incoming: None,
            trace_events: Vec::new(),
            rtcp_deadline: None,
        }
    }

    /// What is common to all kinds and refused before anything is bound.
    pub(crate) fn check_options(options: &TransportOptions) -> Result<(), CommandError> {
        if options.initial_available_outgoing_bitrate.is_some_and(|bitrate| bitrate > BITRATE_MAX) {
            return Err(CommandError::type_error(format!(
                "wrong initialAvailableOutgoingBitrate (must be <= {BITRATE_MAX})"
            )));
        }
        if options.direct && options.enable_sctp {
            return Err(CommandError::type_error("cannot enable SCTP in a direct Transport"));
        }
        Ok(())
    }

    pub(crate) fn is_connected(&self) -> bool {
        match &self.kind {
            TransportKind::Plain(plain) => plain.is_connected(),
            TransportKind::Pipe(pipe) => pipe.is_connected(),
            TransportKind::WebRtc(webrtc) => webrtc.is_connected(),
            TransportKind::Direct => true,
        }
    }

    /// Whether its other end is a router: messages then carry their audience.
    pub(crate) fn is_pipe(&self) -> bool {
        match &self.kind {
            TransportKind::Pipe(_) => true,
            TransportKind::Plain(_) | TransportKind::WebRtc(_) | TransportKind::Direct => false,
        }
    }

    /// Where RTP can go as it is.
    pub(crate) fn bare_destination(&self) -> Option<Destination> {
        match &self.kind {
            TransportKind::Plain(plain) if plain.srtp.is_none() => plain.rtp.destination(),
            TransportKind::Pipe(pipe) => pipe.bare_destination(),
            _ => None,
        }
    }

    /// Where messages of data channels go inside the process, if they do: nothing goes into an association that is not open.
    pub(crate) fn message_destination(&self) -> Option<Destination> {
        let association = self.association.as_ref()?;
        self.other_end().filter(|_| association.state == SctpState::Connected)
    }

    /// The way of an association to the other end of a pipe inside the process.
    pub(crate) fn other_end(&self) -> Option<Destination> {
        match &self.kind {
            TransportKind::Pipe(pipe) => pipe.message_destination(),
            _ => None,
        }
    }

    /// `None` without a peer, or with SRTP before its key is known.
    pub(crate) fn rtp_way(&mut self) -> Option<Way<'_>> {
        match &mut self.kind {
            TransportKind::Plain(plain) => Way::of(plain.rtp.destination()?, plain.srtp.as_mut()),
            TransportKind::Pipe(pipe) => pipe.way(),
            TransportKind::WebRtc(webrtc) => webrtc.way(),
            TransportKind::Direct => Some(Way::Application),
        }
    }

    /// As [`rtp_way`](Self::rtp_way), for RTCP.
    pub(crate) fn rtcp_way(&mut self) -> Option<Way<'_>> {
        match &mut self.kind {
            TransportKind::Plain(plain) => Way::of(plain.rtcp_destination()?, plain.srtp.as_mut()),
            TransportKind::Pipe(pipe) => pipe.way(),
            TransportKind::WebRtc(webrtc) => webrtc.way(),
            TransportKind::Direct => Some(Way::Application),
        }
    }

    /// Whether a datagram from this address is for us, and whether its sender is still to be learned.
    pub(crate) fn origin(&mut self, protocol: Protocol, remote: SocketAddr) -> Result<Origin, DropReason> {
        match &mut self.kind {
            TransportKind::Plain(plain) => {
                let comedia = plain.comedia;
                plain.flow_mut(protocol).origin(remote, comedia)
            }
            TransportKind::Pipe(pipe) => pipe.flow.origin(remote, false),
            // Known by its agent, not by one address.
            TransportKind::WebRtc(_) | TransportKind::Direct => Err(DropReason::UnknownSocket),
        }
    }

    /// Decrypts in place and returns the new length. Without SRTP nothing happens; with SRTP nothing is taken in before
    /// both keys are known.
    pub(crate) fn unprotect(&mut self, bytes: &mut [u8], is_rtcp: bool) -> Result<usize, DropReason> {
        let Some(srtp) = self.srtp_mut() else { return Ok(bytes.len()) };
        srtp.sessions_mut().ok_or(DropReason::NotConnected)?.unprotect(bytes, is_rtcp)
    }

    /// Remembers under which ids this peer sends the extensions that route packets.
    pub(crate) fn learn_extensions(&mut self, parameters: &RtpParameters) {
        let ids = &mut self.recv_extensions;
        for (uri, slot) in [
            (ExtensionUri::Mid, &mut ids.mid),
            (ExtensionUri::RtpStreamId, &mut ids.rid),
            (ExtensionUri::RepairRtpStreamId, &mut ids.rrid),
            (ExtensionUri::AbsSendTime, &mut ids.abs_send_time),
            (ExtensionUri::TransportWideCc01, &mut ids.transport_wide_cc),
        ] {
            *slot = parameters.extension_id(uri).or(*slot);
        }
    }

    /// The first producer that negotiates a means decides.
    pub(crate) fn learn_means(&mut self, parameters: &RtpParameters) {
        if self.incoming.is_none() {
            let limit = self.limits.max_incoming;
            self.incoming = Means::of(parameters).map(|means| Incoming::new(means, limit));
        }
    }

    pub(crate) fn set_max_incoming_bitrate(&mut self, bitrate: u64) -> Result<(), CommandError> {
        check_bitrate_max(bitrate)?;
        self.limits.max_incoming = bitrate;
        Ok(())
    }

    pub(crate) fn set_max_outgoing_bitrate(&mut self, bitrate: u64) -> Result<(), CommandError> {
        check_outgoing_bitrate(bitrate)?;
        let min = self.limits.min_outgoing;
        if bitrate > 0 && bitrate < min {
            return Err(CommandError::type_error(format!(
                "bitrate must be >= current min outgoing bitrate ({min}) or 0 (unlimited)"
            )));
        }
        self.limits.max_outgoing = bitrate;
        Ok(())
    }

    pub(crate) fn set_min_outgoing_bitrate(&mut self, bitrate: u64) -> Result<(), CommandError> {
        check_outgoing_bitrate(bitrate)?;
        let max = self.limits.max_outgoing;
        if max > 0 && bitrate > max {
            return Err(CommandError::type_error(format!(
                "bitrate must be <= current max outgoing bitrate ({max}) or 0 (unlimited)"
            )));
        }
        self.limits.min_outgoing = bitrate;
        Ok(())
    }

    pub(crate) fn stats(&self, now: Time, media: MediaSent) -> TransportStats {
        let limit = |bitrate: u64| (bitrate > 0).then_some(bitrate);
        let mut stats = TransportStats {
            transport: self.name.to_string(),
            sctp_state: self.association.as_ref().map(|association| association.state),
            max_incoming_bitrate: limit(self.limits.max_incoming),
            max_outgoing_bitrate: limit(self.limits.max_outgoing),
            min_outgoing_bitrate: limit(self.limits.min_outgoing),
            ..self.traffic.stats(now, media)
        };
        self.outgoing.describe(self.limits, self.is_connected(), &mut stats);
        if let Some(incoming) = &self.incoming {
            incoming.describe(&mut stats);
        }
        stats
    }

    fn srtp_mut(&mut self) -> Option<&mut Srtp> {
        match &mut self.kind {
            TransportKind::Plain(plain) => plain.srtp.as_mut(),
            TransportKind::Pipe(pipe) => pipe.srtp.as_mut(),
            // Its keys are none of signalling's.
            TransportKind::WebRtc(_) | TransportKind::Direct => None,
        }
    }

    /// Both directions' sessions where the transport encrypts and has its peer's key.
    fn srtp_sessions(&self) -> Option<&SrtpSessions> {
        match &self.kind {
            TransportKind::Plain(plain) => plain.srtp.as_ref()?.sessions(),
            TransportKind::Pipe(pipe) => pipe.srtp.as_ref()?.sessions(),
            TransportKind::WebRtc(webrtc) => webrtc.srtp.as_ref(),
            TransportKind::Direct => None,
        }
    }

    fn srtp_sessions_mut(&mut self) -> Option<&mut SrtpSessions> {
        match &mut self.kind {
            TransportKind::Plain(plain) => plain.srtp.as_mut()?.sessions_mut(),
            TransportKind::Pipe(pipe) => pipe.srtp.as_mut()?.sessions_mut(),
            TransportKind::WebRtc(webrtc) => webrtc.srtp.as_mut(),
            TransportKind::Direct => None,
        }
    }

    /// Whether new streams of these SSRCs may be sent: two of one SSRC, at once or one after the other, would share SRTP's
    /// numbers, and the receiver could not tell them apart.
    ///
    /// # Errors
    /// Why not.
    pub(crate) fn check_new_ssrcs(&self, ssrcs: impl Iterator<Item = u32>) -> Result<(), CommandError> {
        let sessions = self.srtp_sessions();
        let present = self.media_ssrcs.len() + self.rtx_ssrcs.len();
        for (ssrc, present) in ssrcs.zip(present..) {
            if self.media_ssrcs.contains_key(&ssrc) || self.rtx_ssrcs.contains_key(&ssrc) {
                return Err(CommandError::error(format!("ssrc already used in the transport [ssrc:{ssrc}]")));
            }
            if let Some(sessions) = sessions {
                sessions.check_new_ssrc(ssrc, present)?;
            }
        }
        Ok(())
    }

    /// Forgets an SSRC that will not be sent again.
    pub(crate) fn forget_sent_ssrc(&mut self, ssrc: u32) {
        if let Some(sessions) = self.srtp_sessions_mut() {
            sessions.forget_sent_ssrc(ssrc);
        }
    }

    /// Forgets an SSRC that will not be received again.
    pub(crate) fn forget_received_ssrc(&mut self, ssrc: u32) {
        if let Some(sessions) = self.srtp_sessions_mut() {
            sessions.forget_received_ssrc(ssrc);
        }
    }
}

fn check_bitrate_max(bitrate: u64) -> Result<(), CommandError> {
    if bitrate > BITRATE_MAX {
        return Err(CommandError::type_error(format!("bitrate must be <= {BITRATE_MAX} or 0 (unlimited)")));
    }
    Ok(())
}

fn check_outgoing_bitrate(bitrate: u64) -> Result<(), CommandError> {
    check_bitrate_max(bitrate)?;
    if bitrate > 0 && bitrate < OUTGOING_BITRATE_MIN {
        return Err(CommandError::type_error(format!(
            "bitrate must be >= {OUTGOING_BITRATE_MIN} or 0 (unlimited)"
        )));
    }
    Ok(())
}
