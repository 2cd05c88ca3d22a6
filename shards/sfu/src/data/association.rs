//! A transport's SCTP association: its streams, who uses them, and what waits to be sent.
//!
//! The protocol itself is not spoken yet: the association stays as it is before its first packet, but between the ends of a
//! pipe inside the process, which need none.

use crate::command::{NumSctpStreams, TransportOptions};
use crate::map::Map;
use crate::name::Name;
use crate::table::Id;
use crate::transport::Transport;

use super::data_consumer::DataConsumer;
use super::data_producer::DataProducer;
use super::reply::{SctpDump, SctpNegotiatedCapabilities, SctpState};
use super::send_queue::{SendQueue, SendQueueLimits};

/// Of both ends: there is one association per transport, and nobody needs to choose.
pub const PORT: u16 = 5_000;

#[derive(Debug)]
pub struct Association {
    pub(crate) state: SctpState,
    pub(crate) negotiated: SctpNegotiatedCapabilities,
    /// Whether the other end of a pipe inside the process has opened its own.
    pub(crate) is_called: bool,
    /// Bytes; told to the peer.
    pub(crate) max_receiver_window_buffer_size: u32,
    /// Bytes.
    pub(crate) send_buffer_size: u32,
    /// Bytes.
    pub(crate) per_stream_send_queue_limit: u32,
    pub(crate) num_streams: Option<NumSctpStreams>,
    /// Whether streams are WebRTC data channels, whose ends are closed by resetting them (RFC 8831 section 6.7).
    pub(crate) is_data_channel: bool,
    /// By incoming stream.
    pub(crate) producers: Map<u16, Id<DataProducer>>,
    /// By outgoing stream.
    pub(crate) consumers: Map<u16, Id<DataConsumer>>,
    pub(crate) queue: SendQueue,
}

impl Association {
    pub(crate) fn new(options: &TransportOptions) -> Self {
        Self {
            state: SctpState::New,
            negotiated: SctpNegotiatedCapabilities::default(),
            is_called: false,
            max_receiver_window_buffer_size: options.sctp_max_receiver_window_buffer_size,
            send_buffer_size: options.sctp_send_buffer_size,
            per_stream_send_queue_limit: options.sctp_per_stream_send_queue_limit,
            num_streams: options.num_sctp_streams,
            is_data_channel: options.is_data_channel,
            producers: Map::default(),
            consumers: Map::default(),
            queue: SendQueue::new(SendQueueLimits {
                message: options.max_send_message_size,
                total: options.sctp_send_buffer_size,
                per_stream: options.sctp_per_stream_send_queue_limit,
                low_threshold: options.sctp_default_stream_buffered_amount_low_threshold,
            }),
        }
    }

    pub(crate) fn dump(&self, transport: &Transport, name: impl Fn(Id<DataProducer>) -> Name) -> SctpDump {
        SctpDump {
            port: PORT,
            max_send_message_size: transport.max_send_message_size,
            max_receive_message_size: transport.max_receive_message_size,
            send_buffer_size: self.send_buffer_size,
            per_stream_send_queue_limit: self.per_stream_send_queue_limit,
            max_receiver_window_buffer_size: self.max_receiver_window_buffer_size,
            num_streams: self.num_streams,
            buffered_amount: self.queue.buffered_amount_of_all(),
            is_data_channel: self.is_data_channel,
            state: self.state,
            negotiated: self.negotiated,
            data_producer_of_stream: self.producers.iter().map(|(&stream, &id)| (stream, name(id))).collect(),
        }
    }
}
