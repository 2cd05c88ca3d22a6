//! What a shard answers: dumps, stats and results as plain types.

use ringsoup_rtc::{dtls, ice};

use crate::command::{
    ConsumerTraceEvent, Layers, ProducerTraceEvent, Protocol, SrtpParameters, TransportTraceEvent,
};
use crate::data::reply::{
    DataConsumerDump, DataConsumerStats, DataProducerDump, DataProducerStats, SctpDump, SctpState,
};
use crate::name::Name;
use crate::piped::PipeKey;
use crate::rtp_parameters::{MediaKind, RtpEncodingParameters, RtpMapping, RtpParameters, RtpType};

#[derive(Debug, Clone)]
pub enum Reply {
    /// Accepted, nothing to say.
    Done,
    ShardReport(Box<ShardReport>),
    RouterDump(Box<RouterDump>),
    PlainTransportDump(Box<PlainTransportDump>),
    PipeTransportDump(Box<PipeTransportDump>),
    DirectTransportDump(Box<TransportDump>),
    PlainTransportStats(Box<PlainTransportStats>),
    PipeTransportStats(Box<PipeTransportStats>),
    DirectTransportStats(Box<TransportStats>),
    PlainConnect(Box<PlainConnected>),
    PipeConnect {
        key: PipeKey,
        tuple: Tuple,
        /// The peer's key, which no controller sees again.
        peer_srtp: Option<SrtpParameters>,
    },
    WebRtcTransportDump(Box<WebRtcTransportDump>),
    WebRtcTransportStats(Box<WebRtcTransportStats>),
    WebRtcConnect {
        /// Ours.
        role: dtls::Role,
    },
    RestartIce(ice::Credentials),
    WebRtcServerReport(Vec<ServedTransport>),
    Produce {
        rtp_type: RtpType,
    },
    Consume(ConsumeReply),
    ProducerDump(Box<ProducerDump>),
    /// One entry per stream that was seen.
    ProducerStats(Vec<RecvStats>),
    ConsumerDump(Box<ConsumerDump>),
    ConsumerStats(Box<ConsumerStats>),
    SetPreferredLayers(Option<Layers>),
    SetPriority(u8),
    DataProducerDump(Box<DataProducerDump>),
    DataProducerStats(Box<DataProducerStats>),
    DataConsumerDump(Box<DataConsumerDump>),
    DataConsumerStats(Box<DataConsumerStats>),
    /// Bytes.
    BufferedAmount(u32),
    /// A message was queued; bytes that wait now.
    DataSent {
        buffered_amount: u32,
    },
    /// The subscriptions as they are now.
    SetSubchannels(Vec<u16>),
    AddSubchannel(Vec<u16>),
    RemoveSubchannel(Vec<u16>),
}

/// An HDR histogram and the figures people look at, microseconds.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct LatencyHistogram {
    pub count: u64,
    pub min_us: u64,
    pub max_us: u64,
    pub mean_us: f64,
    pub p50_us: u64,
    pub p90_us: u64,
    pub p99_us: u64,
    pub p999_us: u64,
    /// HdrHistogram V2 serialization, uncompressed; empty when nothing was recorded.
    pub encoded: Vec<u8>,
}

#[derive(Debug, Clone, Default)]
pub struct ShardReport {
    pub routers: u32,
    pub transports: u32,
    pub producers: u32,
    pub consumers: u32,
    /// Datagrams taken in; `received = forwarded + consumed + dropped`.
    pub received_packets: u64,
    /// Received packets that went to at least one consumer.
    pub forwarded_packets: u64,
    /// Received packets that ended here on purpose: RTCP, repairs of packets nobody waits for.
    pub consumed_packets: u64,
    /// RTP packets put into the Outbox for receivers.
    pub sent_packets: u64,
    pub dropped: Vec<(&'static str, u64)>,
    pub latency: LatencyHistogram,
    /// What the shard holds, then what sockets, ring and queues counted, by name. The Sfu knows the first part, the
    /// runtime adds the second, and control what it holds itself.
    pub io: Vec<(&'static str, u64)>,
}

#[derive(Debug, Clone, Default)]
pub struct RouterDump {
    pub router: String,
    pub transports: Vec<Name>,
    pub rtp_observers: Vec<Name>,
    pub consumers_of_producer: Vec<(Name, Vec<Name>)>,
    /// Every producer is listed, observed or not.
    pub observers_of_producer: Vec<(Name, Vec<Name>)>,
    pub producer_of_consumer: Vec<(Name, Name)>,
    pub data_consumers_of_data_producer: Vec<(Name, Vec<Name>)>,
    pub data_producer_of_data_consumer: Vec<(Name, Name)>,
    pub latency: LatencyHistogram,
    /// Which shard the router is on. Filled in by the runtime; the Sfu does not know its own place.
    pub shard: Option<u16>,
}

/// One end of a transport as controllers see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tuple {
    /// The announced address where there is one, else the bound IP.
    pub local_address: String,
    pub local_port: u16,
    /// IP and port; absent until known.
    pub remote: Option<std::net::SocketAddr>,
    pub protocol: Protocol,
}

#[derive(Debug, Clone, Default)]
pub struct TransportDump {
    pub id: String,
    pub direct: bool,
    pub producers: Vec<Name>,
    pub consumers: Vec<Name>,
    pub data_producers: Vec<Name>,
    pub data_consumers: Vec<Name>,
    pub consumer_of_ssrc: Vec<(u32, Name)>,
    pub consumer_of_rtx_ssrc: Vec<(u32, Name)>,
    pub recv_extensions: RecvRtpHeaderExtensions,
    pub producer_of_ssrc: Vec<(u32, Name)>,
    pub producer_of_mid: Vec<(String, Name)>,
    pub producer_of_rid: Vec<(String, Name)>,
    /// Bytes.
    pub max_send_message_size: u32,
    /// Bytes.
    pub max_receive_message_size: u32,
    /// With enableSctp.
    pub sctp: Option<SctpDump>,
    pub trace_events: Vec<TransportTraceEvent>,
}

/// The ids under which this transport receives the extensions that route packets.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RecvRtpHeaderExtensions {
    pub mid: Option<u8>,
    pub rid: Option<u8>,
    pub rrid: Option<u8>,
    pub abs_send_time: Option<u8>,
    pub transport_wide_cc: Option<u8>,
}

#[derive(Debug, Clone)]
pub struct PlainTransportDump {
    pub base: TransportDump,
    pub rtcp_mux: bool,
    pub comedia: bool,
    pub tuple: Tuple,
    pub rtcp_tuple: Option<Tuple>,
    /// The local key.
    pub srtp_parameters: Option<SrtpParameters>,
}

/// Bitrates in bits per second.
#[derive(Debug, Clone, Default)]
pub struct TransportStats {
    pub transport: String,
    /// ms, the worker's monotonic clock.
    pub timestamp_ms: u64,
    /// With enableSctp.
    pub sctp_state: Option<SctpState>,
    pub bytes_received: u64,
    pub recv_bitrate: u64,
    pub bytes_sent: u64,
    pub send_bitrate: u64,
    pub rtp_bytes_received: u64,
    pub rtp_recv_bitrate: u64,
    pub rtp_bytes_sent: u64,
    pub rtp_send_bitrate: u64,
    pub rtx_bytes_received: u64,
    pub rtx_recv_bitrate: u64,
    pub rtx_bytes_sent: u64,
    pub rtx_send_bitrate: u64,
    pub probation_bytes_sent: u64,
    pub probation_send_bitrate: u64,
    pub available_outgoing_bitrate: Option<u64>,
    pub available_incoming_bitrate: Option<u64>,
    pub max_incoming_bitrate: Option<u64>,
    pub max_outgoing_bitrate: Option<u64>,
    pub min_outgoing_bitrate: Option<u64>,
    /// 0.0 to 1.0.
    pub rtp_packet_loss_received: Option<f64>,
    /// 0.0 to 1.0.
    pub rtp_packet_loss_sent: Option<f64>,
}

#[derive(Debug, Clone)]
pub struct PlainTransportStats {
    pub base: TransportStats,
    pub rtcp_mux: bool,
    pub comedia: bool,
    pub tuple: Tuple,
    pub rtcp_tuple: Option<Tuple>,
}

/// We are always ICE-controlled and lite.
#[derive(Debug, Clone)]
pub struct WebRtcTransportDump {
    pub base: TransportDump,
    pub ice_parameters: ice::Credentials,
    pub ice_candidates: Vec<ice::Candidate>,
    pub ice_state: ice::State,
    pub ice_selected_tuple: Option<Tuple>,
    /// Ours; `Auto` until connected.
    pub dtls_role: dtls::Role,
    pub dtls_fingerprints: Vec<dtls::Fingerprint>,
    pub dtls_state: dtls::State,
}

#[derive(Debug, Clone)]
pub struct WebRtcTransportStats {
    pub base: TransportStats,
    pub ice_state: ice::State,
    pub ice_selected_tuple: Option<Tuple>,
    pub dtls_state: dtls::State,
}

/// A transport that listens through a WebRTC server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServedTransport {
    pub transport: Name,
    /// By which a peer's checks can name it.
    pub username_fragments: Vec<String>,
}

#[derive(Debug, Clone)]
pub struct PipeTransportDump {
    pub base: TransportDump,
    /// Its name in the process; no controller sees it.
    pub key: PipeKey,
    /// Where its socket is, whatever is announced.
    pub bound: std::net::SocketAddr,
    pub tuple: Tuple,
    pub rtx: bool,
    /// The local key.
    pub srtp_parameters: Option<SrtpParameters>,
}

#[derive(Debug, Clone)]
pub struct PipeTransportStats {
    pub base: TransportStats,
    pub tuple: Tuple,
}

#[derive(Debug, Clone)]
pub struct PlainConnected {
    /// Absent with comedia, until the peer has spoken.
    pub tuple: Option<Tuple>,
    pub rtcp_tuple: Option<Tuple>,
    /// The local key, to be given to the peer.
    pub srtp_parameters: Option<SrtpParameters>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConsumerScore {
    pub score: u8,
    pub producer_score: u8,
    pub producer_scores: Vec<u8>,
}

#[derive(Debug, Clone)]
pub struct ConsumeReply {
    pub paused: bool,
    pub producer_paused: bool,
    pub score: ConsumerScore,
    pub preferred_layers: Option<Layers>,
}

/// What a stream was set up with.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RtpStreamParams {
    pub encoding_idx: u32,
    pub ssrc: u32,
    pub payload_type: u8,
    pub mime_type: String,
    /// Hz.
    pub clock_rate: u32,
    pub rid: Option<String>,
    pub cname: String,
    pub rtx_ssrc: Option<u32>,
    pub rtx_payload_type: Option<u8>,
    pub use_nack: bool,
    pub use_pli: bool,
    pub use_fir: bool,
    pub use_in_band_fec: bool,
    pub use_dtx: bool,
    pub spatial_layers: u8,
    pub temporal_layers: u8,
}

#[derive(Debug, Clone)]
pub struct RtxStreamParams {
    pub ssrc: u32,
    pub payload_type: u8,
    pub mime_type: String,
    /// Hz.
    pub clock_rate: u32,
    pub rrid: Option<String>,
    pub cname: String,
}

#[derive(Debug, Clone)]
pub struct RtpStreamDump {
    pub params: RtpStreamParams,
    pub score: u8,
    pub rtx_stream: Option<RtxStreamParams>,
}

#[derive(Debug, Clone)]
pub struct ProducerDump {
    pub id: String,
    pub kind: MediaKind,
    pub rtp_type: RtpType,
    pub rtp_parameters: RtpParameters,
    pub rtp_mapping: RtpMapping,
    pub rtp_streams: Vec<RtpStreamDump>,
    pub trace_events: Vec<ProducerTraceEvent>,
    pub paused: bool,
}

#[derive(Debug, Clone)]
pub struct ConsumerDump {
    pub id: String,
    pub rtp_type: RtpType,
    pub producer: Name,
    pub kind: MediaKind,
    pub rtp_parameters: RtpParameters,
    pub consumable_rtp_encodings: Vec<RtpEncodingParameters>,
    pub supported_codec_payload_types: Vec<u8>,
    pub trace_events: Vec<ConsumerTraceEvent>,
    pub paused: bool,
    pub producer_paused: bool,
    pub priority: u8,
    pub rtp_streams: Vec<RtpStreamDump>,
    /// -1 where layers do not apply.
    pub layers: ConsumerLayersDump,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ConsumerLayersDump {
    pub preferred_spatial: i16,
    pub target_spatial: i16,
    pub current_spatial: i16,
    pub preferred_temporal: i16,
    pub target_temporal: i16,
    pub current_temporal: i16,
}

impl Default for ConsumerLayersDump {
    fn default() -> Self {
        Self {
            preferred_spatial: -1,
            target_spatial: -1,
            current_spatial: -1,
            preferred_temporal: -1,
            target_temporal: -1,
            current_temporal: -1,
        }
    }
}

/// What receiving and sending streams both count.
#[derive(Debug, Clone)]
pub struct BaseStats {
    /// ms, the worker's monotonic clock.
    pub timestamp_ms: u64,
    pub ssrc: u32,
    pub kind: MediaKind,
    pub mime_type: String,
    pub packets_lost: i32,
    /// 1/256 (RFC 3550 section 6.4.1).
    pub fraction_lost: u8,
    /// RTP timestamp units.
    pub jitter: u32,
    pub packets_discarded: u64,
    pub packets_retransmitted: u64,
    pub packets_repaired: u64,
    pub nack_count: u64,
    pub nack_packet_count: u64,
    pub pli_count: u64,
    pub fir_count: u64,
    pub rid: Option<String>,
    pub rtx_ssrc: Option<u32>,
    pub rtx_packets_discarded: u64,
    /// ms.
    pub round_trip_time: f32,
    /// 0 to 10.
    pub score: u8,
}

#[derive(Debug, Clone)]
pub struct RecvStats {
    pub base: BaseStats,
    pub packet_count: u64,
    pub byte_count: u64,
    /// Bits per second.
    pub bitrate: u64,
    /// "spatial.temporal" and bits per second.
    pub bitrate_by_layer: Vec<(String, u64)>,
}

#[derive(Debug, Clone)]
pub struct SendStats {
    pub base: BaseStats,
    pub packet_count: u64,
    pub byte_count: u64,
    /// Bits per second.
    pub bitrate: u64,
}

#[derive(Debug, Clone)]
pub struct ConsumerStats {
    pub sent: Vec<SendStats>,
    /// The producer's stream that feeds this consumer, where there is one.
    pub received: Option<RecvStats>,
}
