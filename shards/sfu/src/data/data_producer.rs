//! Where messages of one data channel come in.

use ringsoup_rtc::time::Time;

use crate::name::Name;
use crate::router::Router;
use crate::table::Id;
use crate::transport::Transport;

use super::command::{DataType, ProduceData};
use super::data_consumer::DataConsumer;
use super::reply::{DataProducerDump, DataProducerStats};
use super::stream_parameters::StreamParameters;

#[derive(Debug)]
pub struct DataProducer {
    pub(crate) name: Name,
    pub(crate) transport: Id<Transport>,
    /// Among its transport's data producers.
    pub(crate) place: usize,
    pub(crate) router: Id<Router>,
    /// `None` for those of the application.
    pub(crate) stream: Option<StreamParameters>,
    pub(crate) label: String,
    pub(crate) protocol: String,
    pub(crate) paused: bool,
    /// In the order of their creation, but for the last, which takes the place of one that goes.
    pub(crate) consumers: Vec<Id<DataConsumer>>,
    pub(crate) messages_received: u64,
    pub(crate) bytes_received: u64,
}

impl DataProducer {
    pub(crate) fn new(
        request: ProduceData,
        stream: Option<StreamParameters>,
        transport: Id<Transport>,
        router: Id<Router>,
    ) -> Self {
        Self {
            name: request.data_producer,
            transport,
            place: 0,
            router,
            stream,
            label: request.label,
            protocol: request.protocol,
            paused: request.paused,
            consumers: Vec::new(),
            messages_received: 0,
            bytes_received: 0,
        }
    }

    pub(crate) fn dump(&self) -> DataProducerDump {
        DataProducerDump {
            id: self.name.to_string(),
            data_type: if self.stream.is_some() { DataType::Sctp } else { DataType::Direct },
            stream: self.stream,
            label: self.label.clone(),
            protocol: self.protocol.clone(),
            paused: self.paused,
        }
    }

    pub(crate) fn stats(&self, now: Time) -> DataProducerStats {
        DataProducerStats {
            timestamp_ms: now.as_millis(),
            label: self.label.clone(),
            protocol: self.protocol.clone(),
            messages_received: self.messages_received,
            bytes_received: self.bytes_received,
        }
    }
}
