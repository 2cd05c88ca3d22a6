//! A pipe transport: media between routers, over UDP or, where both ends are in this process, without it.
//!
//! ```text
//! connect() ─► UDP, with SRTP where asked ◄──── leave: the other end is gone
//!                └───────────── join ─────────► the other end's key: no socket, no encryption
//! ```
//! Both ends are joined by whoever sees that they name each other; neither knows what is on the other shard.

use std::net::SocketAddr;

use ringsoup_rtc::srtp::CryptoSuite;

use crate::command::{
    CommandError, PipeConnect, PipeTransportOptions, Protocol as ListenProtocol, SrtpParameters,
};
use crate::outbox::{Destination, LaneAllocator, Outbox, Route};
use crate::piped::{PipeEnd, PipeKey, PipedKind};
use crate::sockets::Sockets;

use super::Way;
use super::flow::Flow;
use super::srtp::{Srtp, Suites};

#[derive(Debug)]
pub struct PipeTransport {
    pub(crate) key: PipeKey,
    pub(crate) flow: Flow,
    /// Told, not acted upon: whether consumers repair is said by their own parameters.
    pub(crate) rtx: bool,
    pub(crate) srtp: Option<Srtp>,
    /// The only suite between routers.
    crypto_suite: CryptoSuite,
    /// Where everything goes while the other end is in this process.
    joined: Option<Joined>,
}

/// The ways to an end in this process.
#[derive(Debug, Clone, Copy)]
struct Joined {
    packets: Destination,
    messages: Destination,
}

impl PipeTransport {
    pub(crate) fn open(
        key: PipeKey,
        options: &PipeTransportOptions,
        worker_ports: (u16, u16),
        crypto_suite: CryptoSuite,
        new_key: &mut dyn FnMut(CryptoSuite) -> SrtpParameters,
        sockets: &mut dyn Sockets,
    ) -> Result<Self, CommandError> {
        if options.listen_info.protocol != ListenProtocol::Udp {
            return Err(CommandError::type_error("unsupported listen protocol"));
        }
        let srtp = options.enable_srtp.then(|| Srtp::new(new_key(crypto_suite)));
        let flow = Flow::open(&options.listen_info, worker_ports, sockets)?;
        Ok(Self { key, flow, rtx: options.enable_rtx, srtp, crypto_suite, joined: None })
    }

    pub(crate) fn close(&mut self, lanes: &mut LaneAllocator, sockets: &mut dyn Sockets, out: &mut Outbox) {
        self.forget_joined(lanes, out);
        self.flow.close(lanes, sockets, out);
    }

    pub(crate) fn is_connected(&self) -> bool {
        self.flow.remote().is_some()
    }

    /// # Errors
    /// As mediasoup's `pipeTransport.connect()`; nothing has changed then.
    pub(crate) fn connect(
        &mut self,
        request: &PipeConnect,
        lanes: &mut LaneAllocator,
        sockets: &mut dyn Sockets,
    ) -> Result<(), CommandError> {
        if self.is_connected() {
            return Err(CommandError::error("connect() already called"));
        }
        let remote = request.srtp_parameters.as_ref();
        let srtp = Srtp::connect(self.srtp.as_ref(), remote, Suites::Only(self.crypto_suite))?;
        let ip = request.ip.clone()?;
        let port = request.port.ok_or_else(|| CommandError::type_error("missing port"))?;
        self.flow.check_family(ip)?;
        self.flow.set_remote(SocketAddr::new(ip, port), lanes, sockets);
        if srtp.is_some() {
            self.srtp = srtp;
        }
        Ok(())
    }

    /// From here on the other end is reached inside the process.
    pub(crate) fn join(&mut self, end: PipeEnd, lanes: &mut LaneAllocator, out: &mut Outbox) {
        self.forget_joined(lanes, out);
        let mut way = |kind| Destination { lane: lanes.allocate(), route: Route::Pipe { end, kind } };
        self.joined = Some(Joined { packets: way(PipedKind::Packet), messages: way(PipedKind::Message) });
    }

    /// The other end is gone: what is sent now goes to its former address, as it would have over UDP.
    pub(crate) fn leave(
        &mut self,
        new_key: &mut dyn FnMut(CryptoSuite) -> SrtpParameters,
        lanes: &mut LaneAllocator,
        out: &mut Outbox,
    ) -> Result<(), CommandError> {
        if self.joined.is_none() {
            return Ok(());
        }
        self.forget_joined(lanes, out);
        // Packets that were passed without encryption moved the streams on, so which numbers the old key has seen is not
        // known any more. Who knew it is gone: a new one costs nobody anything, and a dump shows it to who would follow.
        let crypto_suite = self.crypto_suite;
        self.srtp.as_mut().map_or(Ok(()), |srtp| srtp.renew_outbound(new_key(crypto_suite)))
    }

    fn forget_joined(&mut self, lanes: &mut LaneAllocator, out: &mut Outbox) {
        let Some(Joined { packets, messages }) = self.joined.take() else { return };
        for destination in [packets, messages] {
            out.forget(destination);
            lanes.release(destination.lane);
        }
    }

    /// Where packets go as they are.
    pub(crate) fn bare_destination(&self) -> Option<Destination> {
        let joined = self.joined.map(|joined| joined.packets);
        joined.or_else(|| self.flow.destination().filter(|_| self.srtp.is_none()))
    }

    /// Where messages of data channels go without SCTP.
    pub(crate) fn message_destination(&self) -> Option<Destination> {
        self.joined.map(|joined| joined.messages)
    }

    pub(crate) fn way(&mut self) -> Option<Way<'_>> {
        match self.joined {
            Some(joined) => Some(Way::Bare(joined.packets)),
            None => Way::of(self.flow.destination()?, self.srtp.as_mut()),
        }
    }
}
