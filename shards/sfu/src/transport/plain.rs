//! A plain transport: RTP and RTCP over UDP as they are, or as SRTP with keys from signalling (RFC 4568).

use std::net::SocketAddr;

use ringsoup_rtc::srtp::CryptoSuite;

use crate::command::{
    CommandError, PlainConnect, PlainTransportOptions, Protocol as ListenProtocol, SrtpParameters,
};
use crate::demux::Protocol;
use crate::outbox::{Destination, LaneAllocator, Outbox};
use crate::reply::PlainConnected;
use crate::sockets::Sockets;

use super::flow::Flow;
use super::srtp::{Srtp, Suites};

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
        let srtp = options.srtp_crypto_suite.map(|suite| Srtp::new(new_key(suite)));
        let rtp = Flow::open(&options.listen_info, worker_ports, sockets)?;
        let rtcp = if options.rtcp_mux {
            None
        } else {
            let opened = Flow::open(rtcp_info, worker_ports, sockets);
            if opened.is_err() {
                sockets.close(rtp.socket());
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
        self.rtp.remote().is_some()
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
        let remote = request.srtp_parameters.as_ref();
        let srtp = Srtp::connect(self.srtp.as_ref(), remote, Suites::Any(new_key))?;
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

    fn remotes(&self, request: &PlainConnect) -> Result<(SocketAddr, Option<SocketAddr>), CommandError> {
        let ip = request.ip.clone().ok_or_else(|| CommandError::type_error("missing ip"))??;
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
        for flow in [Some(&self.rtp), self.rtcp.as_ref()].into_iter().flatten() {
            flow.check_family(ip)?;
        }
        Ok((SocketAddr::new(ip, port), rtcp.map(|port| SocketAddr::new(ip, port))))
    }

    pub(crate) fn local_srtp_parameters(&self) -> Option<&SrtpParameters> {
        self.srtp.as_ref().map(Srtp::local)
    }

    /// The flow a protocol belongs to, whichever socket its packet came on: peers mix the ports up.
    pub(crate) fn flow_mut(&mut self, protocol: Protocol) -> &mut Flow {
        match (&mut self.rtcp, protocol) {
            (Some(rtcp), Protocol::Rtcp) => rtcp,
            _ => &mut self.rtp,
        }
    }

    /// Where RTCP goes: beside the media, or to its own address once both are known.
    pub(crate) fn rtcp_destination(&self) -> Option<Destination> {
        let rtp = self.rtp.destination()?;
        self.rtcp.as_ref().map_or(Some(rtp), Flow::destination)
    }
}
