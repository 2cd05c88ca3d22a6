//! What can happen to a shard, as a fuzzer generates it: few names, so that they collide.

use arbitrary::Arbitrary;

use crate::data_operation::DataOperation;
use crate::endpoint_operation::EndpointOperation;
use crate::packet::{Packet, Payload};
use crate::parameters::{Addressing, Fault, Media};

#[derive(Debug, Arbitrary)]
pub struct Scenario {
    pub seed: u8,
    pub sockets_connect: bool,
    pub prelude: Prelude,
    pub operations: Vec<Operation>,
}

/// Where a scenario starts: a fuzzer that had to find a whole call by chance would never get to its media.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Arbitrary)]
pub enum Prelude {
    Nothing,
    /// One publisher, two receivers of its video; plain, or SRTP with this suite.
    Call {
        srtp: Option<Suite>,
        media: Media,
    },
    /// The same from and to the application.
    Direct {
        media: Media,
    },
    /// One publisher in layers: simulcast to a receiver of one layer and to a pipe, or SVC to two receivers.
    Layers {
        srtp: Option<Suite>,
        is_svc: bool,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Arbitrary)]
pub enum Suite {
    Gcm256,
    Gcm128,
    Cm80,
    Cm32,
}

/// An entity by number; a few in a hundred name an entity of another kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Arbitrary)]
pub struct Named(pub u8);

#[derive(Debug, Clone, Copy, Arbitrary)]
pub struct PlainSetUp {
    pub rtcp_mux: bool,
    pub comedia: bool,
    pub suite: Option<Suite>,
    pub fixed_port: Option<u8>,
    pub binds_before_failure: Option<u8>,
    pub wrong_protocol: bool,
    pub sctp: bool,
}

#[derive(Debug, Clone, Copy, Arbitrary)]
pub struct ProduceSetUp {
    pub media: Media,
    pub stream: u8,
    pub rtx: bool,
    pub addressing: Addressing,
    pub fault: Fault,
    pub paused: bool,
    pub key_frame_request_delay: u16,
    pub packet_id: bool,
}

#[derive(Debug, Clone, Copy, Arbitrary)]
pub struct ConsumeSetUp {
    pub media: Media,
    /// The producer's stream.
    pub stream: u8,
    /// Which SSRC it is sent as.
    pub ssrc: u8,
    pub rtx: bool,
    pub own_ids: bool,
    pub fault: Fault,
    pub paused: bool,
    pub ignore_dtx: bool,
}

#[derive(Debug, Clone, Copy, Arbitrary)]
pub enum Touch {
    Dump,
    Stats,
    Pause,
    Resume,
    Trace { on: bool },
    KeyFrame,
    Priority(u8),
    Layers(u8),
    Bitrates { incoming: u32, outgoing_max: u32, outgoing_min: u32 },
}

#[derive(Debug, Arbitrary)]
pub enum Operation {
    CreateRouter {
        router: Named,
    },
    CloseRouter {
        router: Named,
    },
    DumpRouter {
        router: Named,
    },
    CreatePlain {
        router: Named,
        transport: Named,
        set_up: PlainSetUp,
    },
    CreateDirect {
        router: Named,
        transport: Named,
    },
    CloseTransport {
        router: Named,
        transport: Named,
    },
    Connect {
        transport: Named,
        suite: Option<Suite>,
        key: u8,
        short_key: bool,
        address: bool,
        rtcp_port: bool,
    },
    Produce {
        transport: Named,
        producer: Named,
        set_up: ProduceSetUp,
    },
    Consume {
        transport: Named,
        consumer: Named,
        producer: Named,
        set_up: ConsumeSetUp,
    },
    CloseProducer {
        transport: Named,
        producer: Named,
    },
    CloseConsumer {
        transport: Named,
        consumer: Named,
    },
    TouchTransport {
        transport: Named,
        touch: Touch,
    },
    TouchProducer {
        producer: Named,
        touch: Touch,
    },
    TouchConsumer {
        consumer: Named,
        touch: Touch,
    },
    /// From the peer, or from an address that is not its own; sealed with the peer's key where there is one.
    Datagram {
        socket: u8,
        right_tuple: bool,
        sealed: bool,
        packet: Packet,
    },
    /// Media in a row, the first packet of another kind, with some of it lost, bit by bit of `lost`.
    Run {
        socket: u8,
        stream: u8,
        count: u8,
        lost: u64,
        first: Payload,
        payload: Payload,
    },
    Send {
        producer: Named,
        packet: Packet,
    },
    SendRtcp {
        transport: Named,
        packet: Packet,
    },
    Data(DataOperation),
    Endpoint(EndpointOperation),
    Advance {
        millis: u16,
    },
    Flush,
}
