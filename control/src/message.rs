//! What crosses the channel, as plain types: the border between `wire` (encodings) and `controller` (meaning).
//!
//! `wire` provides, for the generation a controller speaks:
//!
//! ```text
//! wire::Decoder::speaking(version) -> Decoder
//!     .decode(&mut self, message: &[u8], kind_of) -> Result<Incoming, DecodeError>   in flatbuffers with its size prefix
//!     .decode_payload(&mut self, head: &[u8], payload: &[u8]) -> …                   of JSON controllers
//! wire::Encoder::speaking(generation) -> Encoder                owns its builders, reused
//!     .response(&mut self, &Response) -> &[u8]                  each with its size prefix, ready for fd 4
//!     .event(&mut self, &Event) -> Option<&[u8]>                None for Log and TransportFailed
//!     .log(&mut self, text: &str) -> &[u8]
//!     .running(&mut self, pid: u32) -> &[u8]
//! ```

use std::fmt;
use std::net::SocketAddr;

use ringsoup_rtc::subchannels::Audience;
use ringsoup_sfu::command::{
    ActiveSpeakerObserverOptions, AudioLevelObserverOptions, CommandError, Consume, ConsumerTraceEvent,
    Layers, ListenInfo, PipeConnect, PipeTransportOptions, PlainConnect, PlainTransportOptions, Produce,
    ProducerTraceEvent, TransportOptions, TransportTraceEvent, WebRtcConnect, WebRtcTransportOptions,
};
use ringsoup_sfu::data::Message;
use ringsoup_sfu::data::command::{ConsumeData, ProduceData};
use ringsoup_sfu::name::Name;
use ringsoup_sfu::reply::{Reply, ServedTransport, ShardReport};

pub use crate::method::Method;

/// A decoded frame from the controller.
#[derive(Debug)]
pub enum Incoming {
    Request(Request),
    Notification(Notification),
}

/// Names a request until it is answered: its number, and where it was asked and is answered. Both channels of JSON
/// controllers count by themselves.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct RequestId {
    pub number: u32,
    pub lane: Lane,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Lane {
    Channel,
    PayloadChannel,
}

impl From<u32> for RequestId {
    /// One of the channel.
    fn from(number: u32) -> Self {
        Self { number, lane: Lane::Channel }
    }
}

impl PartialEq<u32> for RequestId {
    fn eq(&self, number: &u32) -> bool {
        *self == Self::from(*number)
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.lane {
            Lane::Channel => write!(formatter, "{}", self.number),
            Lane::PayloadChannel => write!(formatter, "payload {}", self.number),
        }
    }
}

impl fmt::Debug for RequestId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

#[derive(Debug)]
pub struct Request {
    pub id: RequestId,
    pub method: Method,
    /// The object addressed; empty for the worker.
    pub handler_id: String,
    /// A body that was read but makes no sense (a bad IP, a bad key) is an error of its own, so that an
    /// unknown handler can be reported first, as controllers expect. A body of the wrong kind for the
    /// method or without a required part is such an error too.
    pub body: Result<RequestBody, BadBody>,
}

/// A body that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadBody {
    pub error: CommandError,
    /// What the request was to make, where that could be read: that the name is taken is told first.
    pub child: Option<Name>,
}

impl From<CommandError> for BadBody {
    fn from(error: CommandError) -> Self {
        Self { error, child: None }
    }
}

impl From<BadBody> for CommandError {
    fn from(bad: BadBody) -> Self {
        bad.error
    }
}

#[derive(Debug)]
pub enum RequestBody {
    /// The method has none, or belongs to a capability this worker does not have and is not looked at.
    None,
    /// As given: levels and tags are judged by the controller.
    UpdateSettings {
        log_level: Option<String>,
        log_tags: Option<Vec<String>>,
    },
    CreateRouter {
        router: Name,
    },
    CloseRouter {
        router: Name,
    },
    CreateWebRtcServer {
        server: Name,
        /// Looked at when the server's name was found free.
        listen_infos: Result<Vec<ListenInfo>, CommandError>,
    },
    CloseWebRtcServer {
        server: Name,
    },
    CreateWebRtcTransport {
        transport: Name,
        options: Box<WebRtcTransportOptions>,
    },
    CreateServedTransport(Box<ServedTransportRequest>),
    CreatePlainTransport {
        transport: Name,
        options: Box<PlainTransportOptions>,
    },
    CreatePipeTransport {
        transport: Name,
        options: Box<PipeTransportOptions>,
    },
    CreateDirectTransport {
        transport: Name,
        options: TransportOptions,
    },
    CloseTransport {
        transport: Name,
    },
    CreateActiveSpeakerObserver {
        observer: Name,
        options: ActiveSpeakerObserverOptions,
    },
    CreateAudioLevelObserver {
        observer: Name,
        options: AudioLevelObserverOptions,
    },
    CloseRtpObserver {
        observer: Name,
    },
    /// For adding and removing one.
    ObserverProducer {
        producer: Name,
    },
    ConnectWebRtcTransport(WebRtcConnect),
    ConnectPlainTransport(PlainConnect),
    ConnectPipeTransport(PipeConnect),
    /// Bits per second, for all three `transport.set…Bitrate`.
    SetBitrate(u64),
    EnableTransportTrace(Vec<TransportTraceEvent>),
    Produce(Box<Produce>),
    Consume(Box<Consume>),
    CloseProducer {
        producer: Name,
    },
    CloseConsumer {
        consumer: Name,
    },
    EnableProducerTrace(Vec<ProducerTraceEvent>),
    SetPreferredLayers(Layers),
    SetPriority(u8),
    EnableConsumerTrace(Vec<ConsumerTraceEvent>),
    ProduceData(Box<ProduceData>),
    ConsumeData(Box<ConsumeData>),
    CloseDataProducer {
        data_producer: Name,
    },
    CloseDataConsumer {
        data_consumer: Name,
    },
    /// Bytes.
    SetBufferedAmountLowThreshold(u32),
    SendData(Message),
    SetSubchannels(Vec<u16>),
    /// To be added or removed.
    Subchannel(u16),
}

/// A WebRTC transport that listens through a server.
#[derive(Debug)]
pub struct ServedTransportRequest {
    pub transport: Name,
    pub server: Name,
    pub base: TransportOptions,
    pub offer: Offer,
    /// Seconds; 0 means never.
    pub ice_consent_timeout: u8,
}

/// Which of a server's addresses a transport offers, and which it would rather have used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Offer {
    pub enable_udp: bool,
    pub enable_tcp: bool,
    pub prefer_udp: bool,
    pub prefer_tcp: bool,
}

/// Something the controller tells; nobody answers.
#[derive(Debug)]
pub struct Notification {
    pub handler_id: String,
    pub body: NotificationBody,
}

#[derive(Debug)]
pub enum NotificationBody {
    WorkerClose,
    TransportSendRtcp(Vec<u8>),
    ProducerSend(Vec<u8>),
    DataProducerSend(Box<(Message, Audience)>),
}

/// Why a frame could not be read as a message.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{error}")]
pub struct DecodeError {
    /// Known when at least the request's head could be read: the failure is then answered, else logged.
    pub request_id: Option<RequestId>,
    pub error: CommandError,
}

#[derive(Debug)]
pub struct Response {
    /// The request's.
    pub id: RequestId,
    pub result: Result<ResponseBody, CommandError>,
}

#[derive(Debug)]
pub enum ResponseBody {
    /// A shard's answer; [`Reply::Done`] is a plain accept.
    Shard(Reply),
    WorkerDump(Box<WorkerDump>),
    ResourceUsage(Box<ResourceUsage>),
    WebRtcServerDump(Box<WebRtcServerDump>),
}

#[derive(Debug)]
pub struct WebRtcServerDump {
    pub server: Name,
    pub udp_sockets: Vec<SocketAddr>,
    pub tcp_servers: Vec<SocketAddr>,
    pub transports: Vec<ServedTransport>,
}

#[derive(Debug, Default)]
pub struct WorkerDump {
    pub pid: u32,
    pub web_rtc_servers: Vec<Name>,
    pub routers: Vec<Name>,
    pub request_handlers: Vec<Name>,
    pub notification_handlers: Vec<Name>,
    /// Those that took requests with a payload while payloads had a channel of their own.
    pub payload_request_handlers: Vec<Name>,
    /// One per configured shard, in order of their indexes.
    pub shards: Vec<ShardDump>,
}

#[derive(Debug)]
pub struct ShardDump {
    pub index: u16,
    /// `None` for a shard that was not started (or did not survive).
    pub report: Option<Box<ShardReport>>,
}

/// getrusage(2) of the process, under the kernel's names.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct ResourceUsage {
    /// ms.
    pub ru_utime: u64,
    /// ms.
    pub ru_stime: u64,
    /// KiB.
    pub ru_maxrss: u64,
    pub ru_ixrss: u64,
    pub ru_idrss: u64,
    pub ru_isrss: u64,
    pub ru_minflt: u64,
    pub ru_majflt: u64,
    pub ru_nswap: u64,
    pub ru_inblock: u64,
    pub ru_oublock: u64,
    pub ru_msgsnd: u64,
    pub ru_msgrcv: u64,
    pub ru_nsignals: u64,
    pub ru_nvcsw: u64,
    pub ru_nivcsw: u64,
}
