//! A plain transport: RTP and RTCP over UDP as they are, or as SRTP with keys from signalling (RFC 4568).

use std::net::{IpAddr, SocketAddr};

use ringsoup_rtc::srtp::{CryptoSuite, InboundSession, OutboundSession, SrtpError};

use crate::command::{
    CommandError, ListenInfo, PlainConnect, PlainTransportOptions, Protocol as ListenProtocol, SrtpParameters,
};
use crate::demux::Protocol;
use crate::drop_reason::DropReason;
use crate::map::Map;
use crate::outbox::{Destination, LaneAllocator, Outbox};
use crate::reply::{PlainConnected, Tuple};
use crate::sockets::{BoundSocket, PortChoice, SocketId, Sockets, UdpBind};

/// SSRCs that one transport sends, RTX included. They are the controller's own, so the bound is only one of memory.
const OUTBOUND_SSRCS_MAX: usize = 65_536;

#[derive(Debug)]
pub struct PlainTransport {
    pub(crate) rtcp_mux: bool,
    pub(crate) comedia: bool,
    connect_called: bool,
    pub(crate) rtp: Flow,
    /// `None` with rtcpMux.
    pub(crate) rtcp: Option<Flow>,
    pub(crate) srtp: Option<Srtp>,
}

/// One socket and its only peer.
#[derive(Debug)]
pub struct Flow {
    socket: BoundSocket,
    announced_address: Option<String>,
    remote: Option<SocketAddr>,
    destination: Option<Destination>,
}

#[derive(Debug)]
pub struct Srtp {
    local: SrtpParameters,
    /// `None` until `connect()` brings the peer's key.
    sessions: Option<SrtpSessions>,
}

#[derive(Debug)]
pub struct SrtpSessions {
    pub(crate) inbound: InboundSession,
    pub(crate) outbound: OutboundSession,
    /// SSRCs of streams that ended under this key: begun anew, one would use numbers for a second time.
    retired: Map<u32, ()>,
}

impl Flow {
    fn open(
        info: &ListenInfo,
        worker_ports: (u16, u16),
        sockets: &mut dyn Sockets,
    ) -> Result<Self, CommandError> {
        let port = match (info.port_range, info.port) {
            ((min, max), _) if min != 0 && max != 0 => PortChoice::Range { min, max },
            (_, port) if port != 0 => PortChoice::Fixed(port),
            _ => PortChoice::Range { min: worker_ports.0, max: worker_ports.1 },
        };
        if let PortChoice::Range { min, max } = port
            && max < min
        {
            return Err(CommandError::type_error(format!("invalid port range [min:{min}, max:{max}]")));
        }
        let request = UdpBind {
            ip: info.ip,
            port,
            ipv6_only: info.ipv6_only,
            reuse_port: info.udp_reuse_port,
            send_buffer_size: info.send_buffer_size,
            recv_buffer_size: info.recv_buffer_size,
        };
        let socket = sockets.bind_udp(&request).map_err(|error| CommandError::error(error.to_string()))?;
        Ok(Self {
            socket,
            announced_address: info.announced_address.clone(),
            remote: None,
            destination: None,
        })
    }

    fn close(&mut self, lanes: &mut LaneAllocator, sockets: &mut dyn Sockets, out: &mut Outbox) {
        sockets.close(self.socket.id);
        if let Some(destination) = self.destination.take() {
            out.forget(destination);
            lanes.release(destination.lane);
        }
    }

    pub(crate) fn set_remote(
        &mut self,
        remote: SocketAddr,
        lanes: &mut LaneAllocator,
        sockets: &mut dyn Sockets,
    ) {
        let connected = sockets.connect(self.socket.id, remote);
        self.remote = Some(remote);
        self.destination = Some(Destination {
            lane: lanes.allocate(),
            socket: self.socket.id,
            remote: (!connected).then_some(remote),
        });
    }

    pub(crate) fn socket(&self) -> SocketId {
        self.socket.id
    }

    pub(crate) fn tuple(&self) -> Tuple {
        let announced = self.announced_address.clone().filter(|address| !address.is_empty());
        Tuple {
            local_address: announced.unwrap_or_else(|| self.socket.local.ip().to_string()),
            local_port: self.socket.local.port(),
            remote: self.remote,
            protocol: ListenProtocol::Udp,
        }
    }

    fn tuple_if_connected(&self) -> Option<Tuple> {
        self.remote.map(|_| self.tuple())
    }

    pub(crate) fn destination(&self) -> Option<Destination> {
        self.destination
    }
}

/// What a packet from this address means to a flow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    Peer,
    /// The first packet of a comedia peer: its address is to be learned.
    NewPeer,
}

impl Flow {
    pub(crate) fn origin(&self, remote: SocketAddr, comedia: bool) -> Result<Origin, DropReason> {
        match self.remote {
            Some(peer) if peer == remote => Ok(Origin::Peer),
            Some(_) => Err(DropReason::ForeignTuple),
            None if comedia => Ok(Origin::NewPeer),
            None => Err(DropReason::NotConnected),
        }
    }
}

impl PlainTransport {
    pub(crate) fn open(
        options: &PlainTransportOptions,
        worker_ports: (u16, u16),
        new_key: &mut dyn FnMut(CryptoSuite) -> SrtpParameters,
        sockets: &mut dyn Sockets,
    ) -> Result<Self, CommandError> {
        if options.listen_info.protocol != ListenProtocol::Udp {
            return Err(CommandError::type_error("unsupported listen protocol"));
        }
        let rtcp_info = options.rtcp_listen_info.as_ref().unwrap_or(&options.listen_info);
        if !options.rtcp_mux && rtcp_info.protocol != ListenProtocol::Udp {
            return Err(CommandError::type_error("unsupported RTCP listen protocol"));
        }
        let srtp = options.srtp_crypto_suite.map(|suite| Srtp { local: new_key(suite), sessions: None });
        let rtp = Flow::open(&options.listen_info, worker_ports, sockets)?;
        let rtcp = if options.rtcp_mux {
            None
        } else {
            let opened = Flow::open(rtcp_info, worker_ports, sockets);
            if opened.is_err() {
                sockets.close(rtp.socket.id);
            }
            Some(opened?)
        };
        Ok(Self {
            rtcp_mux: options.rtcp_mux,
            comedia: options.comedia,
            connect_called: false,
            rtp,
            rtcp,
            srtp,
        })
    }

    pub(crate) fn close(&mut self, lanes: &mut LaneAllocator, sockets: &mut dyn Sockets, out: &mut Outbox) {
        self.rtp.close(lanes, sockets, out);
        if let Some(rtcp) = &mut self.rtcp {
            rtcp.close(lanes, sockets, out);
        }
    }

    pub(crate) fn is_connected(&self) -> bool {
        self.rtp.remote.is_some()
    }

    /// # Errors
    /// As mediasoup's `plainTransport.connect()`; nothing has changed then.
    pub(crate) fn connect(
        &mut self,
        request: &PlainConnect,
        new_key: &mut dyn FnMut(CryptoSuite) -> SrtpParameters,
        lanes: &mut LaneAllocator,
        sockets: &mut dyn Sockets,
    ) -> Result<PlainConnected, CommandError> {
        if self.connect_called {
            return Err(CommandError::error("connect() already called"));
        }
        let srtp = self.agree_on_srtp(request, new_key)?;
        if !self.comedia {
            let (rtp, rtcp) = self.remotes(request)?;
            self.rtp.set_remote(rtp, lanes, sockets);
            if let (Some(flow), Some(remote)) = (&mut self.rtcp, rtcp) {
                flow.set_remote(remote, lanes, sockets);
            }
        }
        if srtp.is_some() {
            self.srtp = srtp;
        }
        self.connect_called = true;
        Ok(PlainConnected {
            tuple: self.rtp.tuple_if_connected(),
            rtcp_tuple: self.rtcp.as_ref().and_then(Flow::tuple_if_connected),
            srtp_parameters: self.local_srtp_parameters().cloned(),
        })
    }

    fn agree_on_srtp(
        &self,
        request: &PlainConnect,
        new_key: &mut dyn FnMut(CryptoSuite) -> SrtpParameters,
    ) -> Result<Option<Srtp>, CommandError> {
        let (srtp, remote) = match (&self.srtp, &request.srtp_parameters) {
            (None, None) => return Ok(None),
            (None, Some(_)) => {
                return Err(CommandError::type_error("invalid srtpParameters (SRTP not enabled)"));
            }
            (Some(_), None) => {
                return Err(CommandError::type_error("missing srtpParameters (SRTP enabled)"));
            }
            (Some(srtp), Some(remote)) => (srtp, remote),
        };
        if remote.key_and_salt.len() != remote.crypto_suite.key_and_salt_len() {
            return Err(CommandError::type_error("invalid decoded SRTP key length"));
        }
        // The peer's suite wins: our key is made anew when it has another length.
        let local = if srtp.local.crypto_suite == remote.crypto_suite {
            srtp.local.clone()
        } else {
            new_key(remote.crypto_suite)
        };
        let failed = |error: SrtpError| CommandError::error(format!("error creating SRTP session: {error}"));
        let sessions = SrtpSessions {
            inbound: InboundSession::new(remote.crypto_suite, &remote.key_and_salt).map_err(failed)?,
            outbound: OutboundSession::new(local.crypto_suite, &local.key_and_salt)
                .map_err(failed)?
                .with_max_ssrcs(OUTBOUND_SSRCS_MAX),
            retired: Map::default(),
        };
        Ok(Some(Srtp { local, sessions: Some(sessions) }))
    }

    fn remotes(&self, request: &PlainConnect) -> Result<(SocketAddr, Option<SocketAddr>), CommandError> {
        let ip = request.ip.ok_or_else(|| CommandError::type_error("missing ip"))?;
        let port = request.port.ok_or_else(|| CommandError::type_error("missing port"))?;
        let rtcp = match (request.rtcp_port, self.rtcp_mux) {
            (Some(_), true) => {
                return Err(CommandError::type_error("cannot set rtcpPort with rtcpMux enabled"));
            }
            (None, false) => {
                return Err(CommandError::type_error("missing rtcpPort (required with rtcpMux disabled)"));
            }
            (port, _) => port,
        };
        self.check_family(ip)?;
        Ok((SocketAddr::new(ip, port), rtcp.map(|port| SocketAddr::new(ip, port))))
    }

    /// A socket of one family cannot send to the other; better to say so than to drop every packet.
    fn check_family(&self, ip: IpAddr) -> Result<(), CommandError> {
        let flows = [Some(&self.rtp), self.rtcp.as_ref()];
        let other = flows.into_iter().flatten().find(|flow| flow.socket.local.is_ipv4() != ip.is_ipv4());
        other.map_or(Ok(()), |flow| {
            let local = flow.socket.local.ip();
            Err(CommandError::type_error(format!(
                "remote ip '{ip}' is not of the address family of '{local}'"
            )))
        })
    }

    pub(crate) fn local_srtp_parameters(&self) -> Option<&SrtpParameters> {
        self.srtp.as_ref().map(|srtp| &srtp.local)
    }

    /// The flow a protocol belongs to, whichever socket its packet came on: peers mix the ports up.
    pub(crate) fn flow_mut(&mut self, protocol: Protocol) -> &mut Flow {
        match (&mut self.rtcp, protocol) {
            (Some(rtcp), Protocol::Rtcp) => rtcp,
            _ => &mut self.rtp,
        }
    }

    /// Where RTCP goes: beside the media, or to its own address once that is known.
    pub(crate) fn rtcp_destination(&self) -> Option<Destination> {
        match &self.rtcp {
            None => self.rtp.destination,
            Some(rtcp) => rtcp.destination,
        }
    }

    /// Decrypts in place and returns the new length. Without SRTP nothing happens; with SRTP nothing is taken in before
    /// both keys are known.
    pub(crate) fn unprotect(&mut self, bytes: &mut [u8], is_rtcp: bool) -> Result<usize, DropReason> {
        let Some(srtp) = &mut self.srtp else { return Ok(bytes.len()) };
        let sessions = srtp.sessions.as_mut().ok_or(DropReason::NotConnected)?;
        let unprotected = if is_rtcp {
            sessions.inbound.unprotect_rtcp(bytes)
        } else {
            sessions.inbound.unprotect_rtp(bytes)
        };
        unprotected.map_err(|error| match error {
            SrtpError::Replayed | SrtpError::TooOld => DropReason::SrtpReplay,
            _ => DropReason::SrtpAuthentication,
        })
    }

    pub(crate) fn outbound(&mut self) -> Option<&mut OutboundSession> {
        let sessions = self.srtp.as_mut()?.sessions.as_mut()?;
        Some(&mut sessions.outbound)
    }

    pub(crate) fn forget_sent_ssrc(&mut self, ssrc: u32) {
        if let Some(sessions) = self.srtp.as_mut().and_then(|srtp| srtp.sessions.as_mut()) {
            sessions.outbound.remove_ssrc(ssrc);
            sessions.retired.insert(ssrc, ());
        }
    }

    /// Whether a new stream of this SSRC may be sent (RFC 3711 section 9.1: no keystream twice), and there is room for it.
    pub(crate) fn may_send(&self, ssrc: u32) -> bool {
        let sessions = self.srtp.as_ref().and_then(|srtp| srtp.sessions.as_ref());
        sessions.is_none_or(|sessions| {
            !sessions.retired.contains_key(&ssrc) && sessions.retired.len() < OUTBOUND_SSRCS_MAX
        })
    }

    pub(crate) fn forget_received_ssrc(&mut self, ssrc: u32) {
        if let Some(sessions) = self.srtp.as_mut().and_then(|srtp| srtp.sessions.as_mut()) {
            sessions.inbound.remove_ssrc(ssrc);
        }
    }
}
