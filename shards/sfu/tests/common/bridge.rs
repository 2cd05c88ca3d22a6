//! Two pipe transports that are each other's peer: on two shards or on one, over UDP or inside the process.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use ringsoup_sfu::command::{
    Command, CommandError, Consume, PipeConnect, PipeTransportOptions, Produce, TransportCommand,
};
use ringsoup_sfu::piped::{PipeEnd, PipeKey, Piped};
use ringsoup_sfu::reply::{PipeTransportDump, Reply, TransportStats, Tuple};
use ringsoup_sfu::rtp_parameters::{CodecMapping, EncodingMapping, RtpMapping};

use super::parameters::{listen_info, transport_options};
use super::simulcast::{ROUTER_RTX, ROUTER_VIDEO};
use super::{Passed, ROUTER, World};

pub(crate) const NEAR: &str = "near pipe";
pub(crate) const FAR: &str = "far pipe";
pub(crate) const NEAR_KEY: PipeKey = PipeKey(71);
pub(crate) const FAR_KEY: PipeKey = PipeKey(72);

/// What is between the ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Between {
    Udp,
    Srtp,
    /// Joined, one shard each.
    Mesh,
    /// Joined, with SRTP agreed on.
    SrtpMesh,
}

impl Between {
    pub(crate) const ALL: [Self; 4] = [Self::Udp, Self::Srtp, Self::Mesh, Self::SrtpMesh];

    pub(crate) fn is_joined(self) -> bool {
        matches!(self, Self::Mesh | Self::SrtpMesh)
    }
}

pub(crate) fn pipe_options() -> PipeTransportOptions {
    PipeTransportOptions {
        base: transport_options(false),
        listen_info: listen_info(),
        enable_rtx: true,
        enable_srtp: false,
    }
}

pub(crate) fn address_of(tuple: &Tuple) -> SocketAddr {
    SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), tuple.local_port)
}

impl World {
    pub(crate) fn create_pipe(
        &mut self,
        transport: &str,
        key: PipeKey,
        options: PipeTransportOptions,
    ) -> Result<PipeTransportDump, CommandError> {
        let (router, transport, options) = (ROUTER.into(), transport.into(), Box::new(options));
        match self.try_command(Command::CreatePipeTransport { router, transport, key, options })? {
            Reply::PipeTransportDump(dump) => Ok(*dump),
            other => panic!("not a dump: {other:?}"),
        }
    }

    pub(crate) fn connect_pipe(
        &mut self,
        transport: &str,
        request: PipeConnect,
    ) -> Result<Tuple, CommandError> {
        match self.try_transport(transport, TransportCommand::ConnectPipe(request))? {
            Reply::PipeConnect { tuple, .. } => Ok(tuple),
            other => panic!("not an answer to connect: {other:?}"),
        }
    }

    pub(crate) fn pipe_stats(&mut self, transport: &str) -> TransportStats {
        match self.transport(transport, TransportCommand::Stats) {
            Reply::PipeTransportStats(stats) => stats.base,
            other => panic!("not stats: {other:?}"),
        }
    }

    /// Hands over what was passed to pipes of this shard.
    pub(crate) fn take_in(&mut self, passed: Vec<Passed>) {
        for Passed { end, kind, bytes } in passed {
            let piped = Piped { to: end.key, kind, bytes: &bytes, passed: self.now };
            self.sfu.handle_piped(self.now, piped, &mut self.out);
        }
        self.flush();
    }
}

/// What a producer at the far end of a pipe is, by the consumer at its near end.
pub(crate) fn produce_piped(producer: &str, consumer: &Consume, mapped: &[u32]) -> Produce {
    let rtp_parameters = consumer.rtp_parameters.clone();
    let encodings = rtp_parameters.encodings.iter().zip(mapped);
    let encodings = encodings.map(|(encoding, &mapped_ssrc)| EncodingMapping {
        rid: None,
        ssrc: encoding.ssrc,
        mapped_ssrc,
    });
    let same = |payload_type| CodecMapping { payload_type, mapped_payload_type: payload_type };
    let rtp_mapping =
        RtpMapping { codecs: vec![same(ROUTER_VIDEO), same(ROUTER_RTX)], encodings: encodings.collect() };
    Produce {
        producer: producer.into(),
        kind: consumer.kind,
        rtp_parameters,
        rtp_mapping,
        paused: false,
        key_frame_request_delay: 0,
        enable_packet_id: false,
    }
}

/// Two shards with a pipe between them.
pub(crate) struct Bridge {
    pub(crate) near: World,
    pub(crate) far: World,
    pub(crate) near_address: SocketAddr,
    pub(crate) far_address: SocketAddr,
    /// Everything that passed, both ways, as it was in between.
    pub(crate) seen: Vec<Vec<u8>>,
}

impl Bridge {
    pub(crate) fn new(between: Between) -> Self {
        let mut bridge = Self::apart(between, &pipe_options());
        if between.is_joined() {
            bridge.join();
        }
        bridge
    }

    /// Connected, not joined.
    pub(crate) fn apart(between: Between, options: &PipeTransportOptions) -> Self {
        let mut near = World::with_seed(1);
        let mut far = World::with_seed(2);
        let options = || PipeTransportOptions {
            enable_srtp: matches!(between, Between::Srtp | Between::SrtpMesh),
            ..options.clone()
        };
        let mut far_options = options();
        // Ports of one host.
        far_options.listen_info.port = 39_000;
        let near_end = near.create_pipe(NEAR, NEAR_KEY, options()).expect("created");
        let far_end = far.create_pipe(FAR, FAR_KEY, far_options).expect("created");
        let (near_address, far_address) = (address_of(&near_end.tuple), address_of(&far_end.tuple));
        let to = |end: &PipeTransportDump| PipeConnect {
            ip: Ok(address_of(&end.tuple).ip()),
            port: Some(end.tuple.local_port),
            srtp_parameters: end.srtp_parameters.clone().map(Ok),
        };
        near.connect_pipe(NEAR, to(&far_end)).expect("connected");
        far.connect_pipe(FAR, to(&near_end)).expect("connected");
        Self { near, far, near_address, far_address, seen: Vec::new() }
    }

    pub(crate) fn join(&mut self) {
        let end = |key, shard| Some(PipeEnd { key, shard });
        self.near.transport(NEAR, TransportCommand::JoinPipe(end(FAR_KEY, 1)));
        self.far.transport(FAR, TransportCommand::JoinPipe(end(NEAR_KEY, 0)));
    }

    /// Carries what the ends have for each other until they have no more. True when anything was carried.
    pub(crate) fn carry(&mut self) -> bool {
        let mut carried = false;
        loop {
            let Self { near, far, near_address, far_address, seen } = self;
            let there = cross(near, far, *near_address, *far_address, seen);
            let back = cross(far, near, *far_address, *near_address, seen);
            if !there && !back {
                return carried;
            }
            carried = true;
        }
    }

    pub(crate) fn advance_ms(&mut self, millis: u64) {
        for _ in 0..millis {
            self.near.advance_ms(1);
            self.far.advance_ms(1);
            self.carry();
        }
    }
}

fn cross(
    from: &mut World,
    to: &mut World,
    local: SocketAddr,
    remote: SocketAddr,
    seen: &mut Vec<Vec<u8>>,
) -> bool {
    from.flush();
    let passed = std::mem::take(&mut from.passed);
    let is_ours = |sent: &super::Sent| sent.local == local && sent.remote == remote;
    let sent: Vec<_> = from.sent.extract_if(.., |sent| is_ours(sent)).collect();
    seen.extend(passed.iter().map(|passed| passed.bytes.clone()));
    seen.extend(sent.iter().map(|sent| sent.bytes.clone()));
    let carried = !passed.is_empty() || !sent.is_empty();
    to.take_in(passed);
    for sent in sent {
        let socket = to.sockets.id_of(remote).expect("the far end is open");
        to.receive(socket, local, &sent.bytes);
    }
    carried
}
