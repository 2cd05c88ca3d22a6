//! What a shard can be told to do: a closed set of plain types, whatever the controller's encoding was.

use std::net::{IpAddr, SocketAddr};

use ringsoup_rtc::dtls;
use ringsoup_rtc::ice::{Candidate, Sealer};
use ringsoup_rtc::srtp::CryptoSuite;

use crate::data::command::{ConsumeData, DataConsumerCommand, DataProducerCommand, ProduceData};
use crate::name::Name;
use crate::piped::{PipeEnd, PipeKey};
use crate::rtp_parameters::{MediaKind, RtpEncodingParameters, RtpMapping, RtpParameters, RtpType};
use crate::served::ServerKey;
use crate::sockets::SocketId;

/// Addressed by name; a name that is gone is answered with `NotFound`.
#[derive(Debug, Clone)]
pub enum Command {
    /// The shard's counters and histogram, for `worker.dump`.
    ReportShard,
    CreateRouter {
        router: Name,
    },
    CloseRouter {
        router: Name,
    },
    DumpRouter {
        router: Name,
    },
    CreatePlainTransport {
        router: Name,
        transport: Name,
        options: Box<PlainTransportOptions>,
    },
    /// `key` is the caller's choice, never used before.
    CreatePipeTransport {
        router: Name,
        transport: Name,
        key: PipeKey,
        options: Box<PipeTransportOptions>,
    },
    CreateDirectTransport {
        router: Name,
        transport: Name,
        options: TransportOptions,
    },
    CreateWebRtcTransport {
        router: Name,
        transport: Name,
        options: Box<WebRtcTransportOptions>,
    },
    /// Takes over the sockets of a server, bound already. On error they are still the caller's.
    OpenWebRtcServer {
        server: Name,
        opening: Box<ServerOpening>,
    },
    /// Whether another shard reads the server's port too. Nothing is said of servers that have closed.
    SetServerReader {
        server: ServerKey,
        shard: u16,
        reads: bool,
    },
    /// Which transports of this shard the server serves.
    ReportWebRtcServer {
        server: Name,
    },
    /// Closes what this shard has of the server: its transports and its sockets. Nothing is no error.
    CloseWebRtcServer {
        server: Name,
    },
    CloseTransport {
        router: Name,
        transport: Name,
    },
    CreateActiveSpeakerObserver {
        router: Name,
        observer: Name,
        options: ActiveSpeakerObserverOptions,
    },
    CreateAudioLevelObserver {
        router: Name,
        observer: Name,
        options: AudioLevelObserverOptions,
    },
    CloseObserver {
        router: Name,
        observer: Name,
    },
    Transport {
        transport: Name,
        command: TransportCommand,
    },
    Producer {
        producer: Name,
        command: ProducerCommand,
    },
    Consumer {
        consumer: Name,
        command: ConsumerCommand,
    },
    Observer {
        observer: Name,
        command: ObserverCommand,
    },
    DataProducer {
        data_producer: Name,
        command: DataProducerCommand,
    },
    DataConsumer {
        data_consumer: Name,
        command: DataConsumerCommand,
    },
}

#[derive(Debug, Clone)]
pub enum TransportCommand {
    Dump,
    Stats,
    ConnectPlain(PlainConnect),
    ConnectPipe(PipeConnect),
    /// The other end of a connected pipe is in this process, or (`None`) is there no more.
    JoinPipe(Option<PipeEnd>),
    ConnectWebRtc(WebRtcConnect),
    RestartIce,
    /// Bits per second; 0 removes the limit.
    SetMaxIncomingBitrate(u64),
    SetMaxOutgoingBitrate(u64),
    SetMinOutgoingBitrate(u64),
    /// Replaces the set.
    EnableTraceEvent(Vec<TransportTraceEvent>),
    Produce(Box<Produce>),
    Consume(Box<Consume>),
    CloseProducer {
        producer: Name,
    },
    CloseConsumer {
        consumer: Name,
    },
    ProduceData(Box<ProduceData>),
    ConsumeData(Box<ConsumeData>),
    CloseDataProducer {
        data_producer: Name,
    },
    CloseDataConsumer {
        data_consumer: Name,
    },
    /// Notification: RTCP to be sent through a direct transport.
    SendRtcp(Vec<u8>),
}

#[derive(Debug, Clone)]
pub enum ProducerCommand {
    Dump,
    Stats,
    Pause,
    Resume,
    /// Replaces the set.
    EnableTraceEvent(Vec<ProducerTraceEvent>),
    /// Notification: an RTP packet into a producer on a direct transport.
    Send(Vec<u8>),
}

#[derive(Debug, Clone)]
pub enum ConsumerCommand {
    Dump,
    Stats,
    Pause,
    Resume,
    SetPreferredLayers(Layers),
    SetPriority(u8),
    RequestKeyFrame,
    /// Replaces the set.
    EnableTraceEvent(Vec<ConsumerTraceEvent>),
}

#[derive(Debug, Clone)]
pub enum ObserverCommand {
    Pause,
    Resume,
    AddProducer { producer: Name },
    RemoveProducer { producer: Name },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ActiveSpeakerObserverOptions {
    /// Taken into the range that observers work in.
    pub interval_ms: u16,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AudioLevelObserverOptions {
    pub max_entries: u16,
    /// dBov.
    pub threshold: i8,
    /// Taken into the range that observers work in.
    pub interval_ms: u16,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    Udp,
    Tcp,
}

/// Where and how to listen. `port_range` wins over `port`, which wins over the worker's range.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListenInfo {
    pub protocol: Protocol,
    pub ip: IpAddr,
    pub announced_address: Option<String>,
    pub expose_internal_ip: bool,
    /// 0 means any port of the worker's range.
    pub port: u16,
    /// Both zero means none.
    pub port_range: (u16, u16),
    pub ipv6_only: bool,
    pub udp_reuse_port: bool,
    /// Bytes; 0 leaves the kernel's default.
    pub send_buffer_size: u32,
    /// Bytes; 0 leaves the kernel's default.
    pub recv_buffer_size: u32,
}

/// What all kinds of transports share.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TransportOptions {
    pub direct: bool,
    /// Bits per second.
    pub initial_available_outgoing_bitrate: Option<u64>,
    pub enable_sctp: bool,
    /// Bytes.
    pub max_send_message_size: u32,
    /// Bytes.
    pub max_receive_message_size: u32,
    /// Bytes.
    pub sctp_send_buffer_size: u32,
    /// Bytes.
    pub sctp_per_stream_send_queue_limit: u32,
    /// Bytes.
    pub sctp_max_receiver_window_buffer_size: u32,
    /// Bytes.
    pub sctp_default_stream_buffered_amount_low_threshold: u32,
    /// What controllers before 3.20 ask for. Nobody needs to choose, but their dumps show it.
    pub num_sctp_streams: Option<NumSctpStreams>,
    pub is_data_channel: bool,
}

/// Streams of an SCTP association (RFC 9260 section 3.3.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NumSctpStreams {
    /// Outgoing streams asked for.
    pub os: u16,
    /// Incoming streams taken at most.
    pub mis: u16,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlainTransportOptions {
    pub base: TransportOptions,
    pub listen_info: ListenInfo,
    /// Without rtcpMux: absent means a copy of `listen_info`.
    pub rtcp_listen_info: Option<ListenInfo>,
    pub rtcp_mux: bool,
    /// Learn the remote address from the first packet.
    pub comedia: bool,
    /// `Some` enables SRTP.
    pub srtp_crypto_suite: Option<CryptoSuite>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PipeTransportOptions {
    pub base: TransportOptions,
    pub listen_info: ListenInfo,
    pub enable_rtx: bool,
    pub enable_srtp: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WebRtcTransportOptions {
    pub base: TransportOptions,
    pub listen: WebRtcListen,
    /// Of sockets of its own: candidates of this protocol are worth more than the other's.
    pub prefer: Option<Protocol>,
    /// Seconds without consent after which the peer is taken for gone; 0 means never.
    pub ice_consent_timeout: u8,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WebRtcListen {
    /// On sockets of its own, in this order. What is wrong with an address is told when its turn has come.
    Individual(Result<Vec<ListenInfo>, CommandError>),
    /// Through a server's sockets.
    Server { server: Name, candidates: Vec<Candidate> },
}

/// A shard's part in a server.
#[derive(Debug, Clone)]
pub struct ServerOpening {
    /// The caller's choice, never used before.
    pub key: ServerKey,
    /// By the places of their listenInfos.
    pub listeners: Vec<ServerListener>,
    /// The same on all shards.
    pub sealer: Sealer,
    /// The index of this shard.
    pub here: u16,
    /// Those of the others that read the same port.
    pub readers: Vec<u16>,
}

/// Where a server is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ServerListener {
    pub protocol: Protocol,
    pub local: SocketAddr,
    /// `None` where another shard alone listens.
    pub socket: Option<SocketId>,
}

impl ServerListener {
    /// What connections of it name as their listener. Elsewhere's have a number that no socket gets.
    pub(crate) fn id(&self, place: u16) -> SocketId {
        self.socket.unwrap_or_else(|| SocketId(u32::MAX - u32::from(place)))
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WebRtcConnect {
    pub fingerprints: Vec<dtls::Fingerprint>,
    /// The peer's.
    pub role: dtls::Role,
}

/// A master key and salt, decoded, with its suite.
#[derive(Clone, PartialEq, Eq)]
pub struct SrtpParameters {
    pub crypto_suite: CryptoSuite,
    pub key_and_salt: Vec<u8>,
}

impl std::fmt::Debug for SrtpParameters {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Keys stay out of logs and panic messages.
        write!(formatter, "SrtpParameters({:?})", self.crypto_suite)
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlainConnect {
    /// What is wrong with it is told when its turn has come: comedia does not look at it.
    pub ip: Option<Result<IpAddr, CommandError>>,
    pub port: Option<u16>,
    pub rtcp_port: Option<u16>,
    /// The same.
    pub srtp_parameters: Option<Result<SrtpParameters, CommandError>>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PipeConnect {
    /// What is wrong with it is told when its turn has come.
    pub ip: Result<IpAddr, CommandError>,
    pub port: Option<u16>,
    /// The same.
    pub srtp_parameters: Option<Result<SrtpParameters, CommandError>>,
}

#[derive(Debug, Clone)]
pub struct Produce {
    pub producer: Name,
    pub kind: MediaKind,
    pub rtp_parameters: RtpParameters,
    pub rtp_mapping: RtpMapping,
    pub paused: bool,
    /// ms between two key-frame requests; 0 means no coalescing.
    pub key_frame_request_delay: u32,
    pub enable_packet_id: bool,
}

#[derive(Debug, Clone)]
pub struct Consume {
    pub consumer: Name,
    pub producer: Name,
    pub kind: MediaKind,
    pub rtp_parameters: RtpParameters,
    /// As requested; only `Pipe` decides, everything else is derived from the encodings.
    pub requested_type: RtpType,
    pub consumable_rtp_encodings: Vec<RtpEncodingParameters>,
    pub paused: bool,
    pub preferred_layers: Option<Layers>,
    pub ignore_dtx: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Layers {
    pub spatial: u8,
    pub temporal: Option<u8>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TransportTraceEvent {
    Probation,
    Bwe,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProducerTraceEvent {
    KeyFrame,
    Fir,
    Nack,
    Pli,
    Rtp,
    SenderReport,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConsumerTraceEvent {
    KeyFrame,
    Fir,
    Nack,
    Pli,
    Rtp,
}

/// How a controller's library reports the failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorClass {
    Error,
    TypeError,
    NotFound,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct CommandError {
    pub class: ErrorClass,
    pub reason: String,
}

impl CommandError {
    pub fn error(reason: impl Into<String>) -> Self {
        Self { class: ErrorClass::Error, reason: reason.into() }
    }

    pub fn type_error(reason: impl Into<String>) -> Self {
        Self { class: ErrorClass::TypeError, reason: reason.into() }
    }

    pub fn not_found(reason: impl Into<String>) -> Self {
        Self { class: ErrorClass::NotFound, reason: reason.into() }
    }
}
