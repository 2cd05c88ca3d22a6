//! What data producers, data consumers and associations show of themselves.

use crate::command::NumSctpStreams;
use crate::name::Name;

use super::command::DataType;
use super::stream_parameters::StreamParameters;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DataProducerDump {
    pub id: String,
    pub data_type: DataType,
    /// Of SCTP ones.
    pub stream: Option<StreamParameters>,
    pub label: String,
    pub protocol: String,
    pub paused: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DataProducerStats {
    /// ms, the worker's monotonic clock.
    pub timestamp_ms: u64,
    pub label: String,
    pub protocol: String,
    pub messages_received: u64,
    pub bytes_received: u64,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DataConsumerDump {
    pub id: String,
    pub data_producer: Name,
    pub data_type: DataType,
    /// Of SCTP ones.
    pub stream: Option<StreamParameters>,
    pub label: String,
    pub protocol: String,
    /// Bytes.
    pub buffered_amount: u32,
    /// Bytes.
    pub buffered_amount_low_threshold: u32,
    pub paused: bool,
    pub data_producer_paused: bool,
    pub subchannels: Vec<u16>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DataConsumerStats {
    /// ms, the worker's monotonic clock.
    pub timestamp_ms: u64,
    pub label: String,
    pub protocol: String,
    pub messages_sent: u64,
    pub bytes_sent: u64,
    /// Bytes.
    pub buffered_amount: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SctpState {
    New,
    Connecting,
    Connected,
    Failed,
    Closed,
}

/// What the two ends of an association agreed on; zeros until they did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SctpNegotiatedCapabilities {
    pub max_outbound_streams: u16,
    pub max_inbound_streams: u16,
}

/// A transport's SCTP side.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SctpDump {
    pub port: u16,
    /// Bytes.
    pub max_send_message_size: u32,
    /// Bytes.
    pub max_receive_message_size: u32,
    /// Bytes.
    pub send_buffer_size: u32,
    /// Bytes.
    pub per_stream_send_queue_limit: u32,
    /// Bytes.
    pub max_receiver_window_buffer_size: u32,
    pub num_streams: Option<NumSctpStreams>,
    /// Bytes that wait in all streams together.
    pub buffered_amount: u32,
    pub is_data_channel: bool,
    pub state: SctpState,
    pub negotiated: SctpNegotiatedCapabilities,
    pub data_producer_of_stream: Vec<(u16, Name)>,
}
