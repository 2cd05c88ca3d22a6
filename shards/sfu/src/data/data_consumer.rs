//! Where messages of one data channel go out.

use std::time::Duration;

use ringsoup_rtc::subchannels::{self, Audience};
use ringsoup_rtc::time::Time;

use crate::name::Name;
use crate::table::Id;
use crate::transport::Transport;

use super::Message;
use super::association::Association;
use super::command::{ConsumeData, DataType};
use super::data_producer::DataProducer;
use super::reply::{DataConsumerDump, DataConsumerStats};
use super::stream_parameters::StreamParameters;
use super::subscriptions::Subscriptions;

/// Between two log lines about messages too long for one data consumer.
const WARNING_INTERVAL: Duration = Duration::from_secs(1);

#[derive(Debug)]
pub struct DataConsumer {
    pub(crate) name: Name,
    pub(crate) transport: Id<Transport>,
    /// Among its transport's data consumers.
    pub(crate) place: usize,
    pub(crate) producer: Id<DataProducer>,
    /// Among its producer's.
    pub(crate) place_at_producer: usize,
    pub(crate) producer_name: Name,
    /// `None` for those of the application.
    pub(crate) stream: Option<StreamParameters>,
    /// Goes to another router: messages carry their audience.
    pub(crate) is_pipe: bool,
    label: String,
    protocol: String,
    pub(crate) paused: bool,
    pub(crate) producer_paused: bool,
    /// Its association was open and is closed: nothing can be sent any more.
    pub(crate) association_closed: bool,
    pub(crate) subscriptions: Subscriptions,
    pub(crate) messages_sent: u64,
    pub(crate) bytes_sent: u64,
    next_warning: Time,
}

impl DataConsumer {
    pub(crate) fn new(
        request: ConsumeData,
        stream: Option<StreamParameters>,
        transport: Id<Transport>,
        producer: Id<DataProducer>,
        is_pipe: bool,
    ) -> Self {
        Self {
            name: request.data_consumer,
            transport,
            place: 0,
            producer,
            place_at_producer: 0,
            producer_name: request.data_producer,
            stream,
            is_pipe,
            label: request.label,
            protocol: request.protocol,
            paused: request.paused,
            producer_paused: false,
            association_closed: false,
            subscriptions: request.subchannels.into_iter().collect(),
            messages_sent: 0,
            bytes_sent: 0,
            next_warning: Time::ZERO,
        }
    }

    pub(crate) fn is_active(&self) -> bool {
        !self.paused && !self.producer_paused && !self.association_closed
    }

    pub(crate) fn takes(&self, audience: &Audience) -> bool {
        self.is_active() && self.subscriptions.admit(audience, self.is_pipe)
    }

    /// The message as this consumer sends it.
    pub(crate) fn address(&self, message: &Message, audience: &Audience) -> Message {
        let addressed = self
            .is_pipe
            .then(|| subchannels::encode(&self.subscriptions.reduce(audience), &message.payload))
            .flatten();
        match addressed {
            Some(payload) => Message { ppid: message.ppid, payload: payload.into() },
            None => message.clone(),
        }
    }

    /// Whether to say now that a message was too long.
    pub(crate) fn may_warn(&mut self, now: Time) -> bool {
        let may = now >= self.next_warning;
        if may {
            self.next_warning = now + WARNING_INTERVAL;
        }
        may
    }

    /// Bytes that wait in this consumer's stream.
    pub(crate) fn buffered_amount(&self, association: Option<&Association>) -> u32 {
        let stream = self.stream.zip(association);
        stream.map_or(0, |(stream, association)| association.queue.buffered_amount(stream.stream_id))
    }

    pub(crate) fn dump(&self, association: Option<&Association>) -> DataConsumerDump {
        let stream = self.stream.zip(association);
        DataConsumerDump {
            id: self.name.to_string(),
            data_producer: self.producer_name.clone(),
            data_type: if self.stream.is_some() { DataType::Sctp } else { DataType::Direct },
            stream: self.stream,
            label: self.label.clone(),
            protocol: self.protocol.clone(),
            buffered_amount: self.buffered_amount(association),
            buffered_amount_low_threshold: stream
                .map_or(0, |(stream, association)| association.queue.low_threshold(stream.stream_id)),
            paused: self.paused,
            data_producer_paused: self.producer_paused,
            subchannels: self.subscriptions.to_vec(),
        }
    }

    pub(crate) fn stats(&self, now: Time, association: Option<&Association>) -> DataConsumerStats {
        DataConsumerStats {
            timestamp_ms: now.as_millis(),
            label: self.label.clone(),
            protocol: self.protocol.clone(),
            messages_sent: self.messages_sent,
            bytes_sent: self.bytes_sent,
            buffered_amount: self.buffered_amount(association),
        }
    }
}
