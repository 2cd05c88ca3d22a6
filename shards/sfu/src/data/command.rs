//! What data producers and consumers can be told to do.

use ringsoup_rtc::subchannels::Audience;

use crate::name::Name;

use super::Message;

/// What carries a data channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DataType {
    /// A stream of the transport's SCTP association.
    Sctp,
    /// Messages to and from the application.
    Direct,
}

/// As requested; see [`StreamParameters`](super::stream_parameters::StreamParameters) for what is made of them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SctpStreamParameters {
    pub stream_id: u16,
    pub ordered: Option<bool>,
    /// ms; 0 means none.
    pub max_packet_life_time: Option<u16>,
    /// 0 means none.
    pub max_retransmits: Option<u16>,
}

#[derive(Debug, Clone)]
pub struct ProduceData {
    pub data_producer: Name,
    pub data_type: DataType,
    pub sctp_stream_parameters: Option<SctpStreamParameters>,
    pub label: String,
    pub protocol: String,
    pub paused: bool,
}

#[derive(Debug, Clone)]
pub struct ConsumeData {
    pub data_consumer: Name,
    pub data_producer: Name,
    pub data_type: DataType,
    pub sctp_stream_parameters: Option<SctpStreamParameters>,
    pub label: String,
    pub protocol: String,
    pub paused: bool,
    pub subchannels: Vec<u16>,
}

#[derive(Debug, Clone)]
pub enum DataProducerCommand {
    Dump,
    Stats,
    Pause,
    Resume,
    /// Notification: a message of the application.
    Send(Message, Audience),
}

#[derive(Debug, Clone)]
pub enum DataConsumerCommand {
    Dump,
    Stats,
    Pause,
    Resume,
    GetBufferedAmount,
    /// Bytes.
    SetBufferedAmountLowThreshold(u32),
    Send(Message),
    /// Replaces the set.
    SetSubchannels(Vec<u16>),
    AddSubchannel(u16),
    RemoveSubchannel(u16),
}
