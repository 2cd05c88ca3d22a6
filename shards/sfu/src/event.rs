//! What a shard tells without being asked.

use ringsoup_rtc::{dtls, ice};

use crate::command::{ConsumerTraceEvent, Layers, ProducerTraceEvent};
use crate::data::Message;
use crate::data::reply::{SctpNegotiatedCapabilities, SctpState};
use crate::name::Name;
use crate::reply::{ConsumerScore, Tuple};

#[derive(Debug, Clone)]
pub enum Event {
    /// Comedia learned the peer's RTP address.
    PlainTransportTuple {
        transport: Name,
        tuple: Tuple,
    },
    /// Comedia learned the peer's RTCP address.
    PlainTransportRtcpTuple {
        transport: Name,
        tuple: Tuple,
    },
    /// A WebRTC transport sends to another tuple from now on.
    WebRtcIceSelectedTuple {
        transport: Name,
        tuple: Tuple,
    },
    WebRtcIceState {
        transport: Name,
        state: ice::State,
    },
    WebRtcDtlsState {
        transport: Name,
        state: dtls::State,
        /// The peer's, PEM; told when connected.
        remote_certificate: Option<String>,
    },
    /// RTCP for the application.
    DirectTransportRtcp {
        transport: Name,
        data: Vec<u8>,
    },
    /// The transport was closed by the shard itself, after a fault while handling it.
    TransportFailed {
        transport: Name,
        router: Name,
    },
    ProducerScore {
        producer: Name,
        scores: Vec<ProducerScore>,
    },
    ProducerTrace {
        producer: Name,
        trace: ProducerTrace,
    },
    ProducerVideoOrientation {
        producer: Name,
        camera: bool,
        flip: bool,
        rotation: u16,
    },
    ConsumerProducerPause {
        consumer: Name,
    },
    ConsumerProducerResume {
        consumer: Name,
    },
    /// The consumer is gone when this is told.
    ConsumerProducerClose {
        consumer: Name,
    },
    /// An RTP packet for the application (direct transport).
    ConsumerRtp {
        consumer: Name,
        data: Vec<u8>,
    },
    ConsumerScore {
        consumer: Name,
        score: ConsumerScore,
    },
    /// What the receiver gets now; absent when it gets nothing.
    ConsumerLayers {
        consumer: Name,
        layers: Option<Layers>,
    },
    ConsumerTrace {
        consumer: Name,
        trace: ConsumerTrace,
    },
    /// Who dominates has changed.
    ActiveSpeakerObserverDominantSpeaker {
        observer: Name,
        producer: Name,
    },
    /// Producers and their mean levels in dBov over an interval, the loudest first.
    AudioLevelObserverVolumes {
        observer: Name,
        volumes: Vec<(Name, i8)>,
    },
    /// Nobody is loud any more.
    AudioLevelObserverSilence {
        observer: Name,
    },
    TransportSctpState {
        transport: Name,
        state: SctpState,
    },
    /// What both ends agreed on; told before the association is said to be connected.
    TransportSctpNegotiated {
        transport: Name,
        capabilities: SctpNegotiatedCapabilities,
    },
    DataConsumerDataProducerPause {
        data_consumer: Name,
    },
    DataConsumerDataProducerResume {
        data_consumer: Name,
    },
    /// The data consumer is gone when this is told.
    DataConsumerDataProducerClose {
        data_consumer: Name,
    },
    /// A message for the application (direct transport).
    DataConsumerMessage {
        data_consumer: Name,
        message: Message,
    },
    /// A message was not queued for want of room.
    DataConsumerSendBufferFull {
        data_consumer: Name,
    },
    /// What waits in the stream has sunk to the threshold.
    DataConsumerBufferedAmountLow {
        data_consumer: Name,
        /// Bytes.
        buffered_amount: u32,
    },
    Log(LogLine),
}

/// What may become of an event that nobody takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Weight {
    /// A sample, or something that the next of its kind replaces: missed without harm.
    Missable,
    /// A message, or a change that a peer causes with single packets, as often as it likes.
    Repeated,
    /// A change that only commands and set-up cause.
    Change,
    /// Something is gone. Told once for each that there is, and whoever misses it keeps its name for good.
    End,
}

impl Event {
    pub fn weight(&self) -> Weight {
        match self {
            Self::DirectTransportRtcp { .. }
            | Self::ProducerScore { .. }
            | Self::ProducerTrace { .. }
            | Self::ConsumerRtp { .. }
            | Self::ConsumerScore { .. }
            | Self::ConsumerTrace { .. }
            | Self::AudioLevelObserverVolumes { .. }
            | Self::DataConsumerSendBufferFull { .. }
            | Self::Log(_) => Weight::Missable,
            Self::ProducerVideoOrientation { .. }
            | Self::WebRtcIceSelectedTuple { .. }
            | Self::WebRtcIceState { .. }
            | Self::ConsumerLayers { .. }
            | Self::ActiveSpeakerObserverDominantSpeaker { .. }
            | Self::AudioLevelObserverSilence { .. }
            | Self::DataConsumerMessage { .. } => Weight::Repeated,
            Self::PlainTransportTuple { .. }
            | Self::PlainTransportRtcpTuple { .. }
            | Self::WebRtcDtlsState { .. }
            | Self::ConsumerProducerPause { .. }
            | Self::ConsumerProducerResume { .. }
            | Self::TransportSctpState { .. }
            | Self::TransportSctpNegotiated { .. }
            | Self::DataConsumerDataProducerPause { .. }
            | Self::DataConsumerDataProducerResume { .. }
            | Self::DataConsumerBufferedAmountLow { .. } => Weight::Change,
            Self::TransportFailed { .. }
            | Self::ConsumerProducerClose { .. }
            | Self::DataConsumerDataProducerClose { .. } => Weight::End,
        }
    }

    /// Bytes of the packet or message for the application that it carries, for those who bound what waits.
    pub fn payload_bytes(&self) -> usize {
        match self {
            Self::DirectTransportRtcp { data, .. } | Self::ConsumerRtp { data, .. } => data.len(),
            Self::DataConsumerMessage { message, .. } => message.payload.len(),
            _ => 0,
        }
    }
}

/// A line for the controller's log, already rate limited by whoever wrote it.
#[derive(Debug, Clone)]
pub struct LogLine {
    pub level: LogLevel,
    pub tag: LogTag,
    /// `Class::function() | text`, the form of all lines of a worker's log.
    pub text: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogLevel {
    Error,
    Warn,
    Debug,
}

/// The tags a controller can choose among.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogTag {
    Info,
    Ice,
    Dtls,
    Rtp,
    Srtp,
    Rtcp,
    Rtx,
    Bwe,
    Score,
    Simulcast,
    Svc,
    Sctp,
    Message,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProducerScore {
    pub encoding_idx: u32,
    pub ssrc: u32,
    pub rid: Option<String>,
    pub score: u8,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    In,
    Out,
}

/// What traces show of a packet.
#[derive(Debug, Clone, Default)]
pub struct RtpPacketDump {
    pub payload_type: u8,
    pub sequence_number: u16,
    pub timestamp: u32,
    pub marker: bool,
    pub ssrc: u32,
    pub is_key_frame: bool,
    /// Bytes of the whole packet.
    pub size: u64,
    /// Bytes.
    pub payload_size: u64,
    pub spatial_layer: u8,
    pub temporal_layer: u8,
    pub mid: Option<String>,
    pub rid: Option<String>,
    pub rrid: Option<String>,
    pub wide_sequence_number: Option<u16>,
}

#[derive(Debug, Clone)]
pub enum TraceInfo {
    None,
    Packet { packet: Box<RtpPacketDump>, is_rtx: bool },
    Ssrc(u32),
    SenderReport { ssrc: u32, ntp_sec: u32, ntp_frac: u32, rtp_ts: u32, packet_count: u32, octet_count: u32 },
}

#[derive(Debug, Clone)]
pub struct ProducerTrace {
    pub event: ProducerTraceEvent,
    /// ms, the worker's monotonic clock.
    pub timestamp_ms: u64,
    pub direction: Direction,
    pub info: TraceInfo,
}

#[derive(Debug, Clone)]
pub struct ConsumerTrace {
    pub event: ConsumerTraceEvent,
    /// ms, the worker's monotonic clock.
    pub timestamp_ms: u64,
    pub direction: Direction,
    pub info: TraceInfo,
}
