//! Data producers and consumers in a test: requests, what they show, and messages.

use ringsoup_rtc::subchannels::Audience;
use ringsoup_sfu::command::{Command, CommandError, PlainTransportOptions, TransportCommand};
use ringsoup_sfu::data::Message;
use ringsoup_sfu::data::command::{
    ConsumeData, DataConsumerCommand, DataProducerCommand, DataType, ProduceData, SctpStreamParameters,
};
use ringsoup_sfu::data::reply::{DataConsumerDump, DataConsumerStats, DataProducerDump, DataProducerStats};
use ringsoup_sfu::event::Event;
use ringsoup_sfu::reply::{Reply, RouterDump};

use super::{ROUTER, World, parameters};

/// PPIDs of WebRTC's data channels (RFC 8831 section 8).
pub(crate) const TEXT: u32 = 51;
pub(crate) const BINARY: u32 = 53;

pub(crate) fn produce_direct(name: &str) -> ProduceData {
    ProduceData {
        data_producer: name.into(),
        data_type: DataType::Direct,
        sctp_stream_parameters: None,
        label: format!("label of {name}"),
        protocol: format!("protocol of {name}"),
        paused: false,
    }
}

pub(crate) fn consume_direct(name: &str, producer: &str) -> ConsumeData {
    ConsumeData {
        data_consumer: name.into(),
        data_producer: producer.into(),
        data_type: DataType::Direct,
        sctp_stream_parameters: None,
        label: format!("label of {producer}"),
        protocol: format!("protocol of {producer}"),
        paused: false,
        subchannels: Vec::new(),
    }
}

pub(crate) fn stream(stream_id: u16) -> Option<SctpStreamParameters> {
    Some(SctpStreamParameters { stream_id, ..SctpStreamParameters::default() })
}

pub(crate) fn produce_sctp(name: &str, stream_id: u16) -> ProduceData {
    ProduceData {
        data_type: DataType::Sctp,
        sctp_stream_parameters: stream(stream_id),
        ..produce_direct(name)
    }
}

pub(crate) fn consume_sctp(name: &str, producer: &str, stream_id: u16) -> ConsumeData {
    ConsumeData {
        data_type: DataType::Sctp,
        sctp_stream_parameters: stream(stream_id),
        ..consume_direct(name, producer)
    }
}

/// A plain transport's options with SCTP: 100 bytes a message, 250 in all, 150 a stream, low at 10.
pub(crate) fn small_sctp() -> PlainTransportOptions {
    let mut options = parameters::plain();
    options.base.enable_sctp = true;
    options.base.max_send_message_size = 100;
    options.base.max_receive_message_size = 120;
    options.base.sctp_send_buffer_size = 250;
    options.base.sctp_per_stream_send_queue_limit = 150;
    options.base.sctp_max_receiver_window_buffer_size = 5_000;
    options.base.sctp_default_stream_buffered_amount_low_threshold = 10;
    options
}

pub(crate) fn message(ppid: u32, payload: &[u8]) -> Message {
    Message { ppid, payload: payload.into() }
}

pub(crate) fn audience(subchannels: &[u16], required: Option<u16>, ignored: Option<u16>) -> Audience {
    Audience { subchannels: subchannels.to_vec(), required, ignored }
}

impl World {
    pub(crate) fn try_produce_data(
        &mut self,
        transport: &str,
        request: ProduceData,
    ) -> Result<DataProducerDump, CommandError> {
        match self.try_transport(transport, TransportCommand::ProduceData(Box::new(request)))? {
            Reply::DataProducerDump(dump) => Ok(*dump),
            other => panic!("not a dump: {other:?}"),
        }
    }

    pub(crate) fn produce_data(&mut self, transport: &str, request: ProduceData) -> DataProducerDump {
        self.try_produce_data(transport, request).expect("accepted")
    }

    pub(crate) fn try_consume_data(
        &mut self,
        transport: &str,
        request: ConsumeData,
    ) -> Result<DataConsumerDump, CommandError> {
        match self.try_transport(transport, TransportCommand::ConsumeData(Box::new(request)))? {
            Reply::DataConsumerDump(dump) => Ok(*dump),
            other => panic!("not a dump: {other:?}"),
        }
    }

    pub(crate) fn consume_data(&mut self, transport: &str, request: ConsumeData) -> DataConsumerDump {
        self.try_consume_data(transport, request).expect("accepted")
    }

    pub(crate) fn try_data_producer(
        &mut self,
        name: &str,
        command: DataProducerCommand,
    ) -> Result<Reply, CommandError> {
        self.try_command(Command::DataProducer { data_producer: name.into(), command })
    }

    pub(crate) fn try_data_consumer(
        &mut self,
        name: &str,
        command: DataConsumerCommand,
    ) -> Result<Reply, CommandError> {
        self.try_command(Command::DataConsumer { data_consumer: name.into(), command })
    }

    pub(crate) fn data_consumer(&mut self, name: &str, command: DataConsumerCommand) -> Reply {
        self.try_data_consumer(name, command).expect("accepted")
    }

    pub(crate) fn send_to(&mut self, producer: &str, payload: &[u8], audience: Audience) {
        let command = DataProducerCommand::Send(message(BINARY, payload), audience);
        self.try_data_producer(producer, command).expect("accepted");
    }

    /// To everybody.
    pub(crate) fn send(&mut self, producer: &str, payload: &[u8]) {
        self.send_to(producer, payload, Audience::default());
    }

    pub(crate) fn data_producer_stats(&mut self, name: &str) -> DataProducerStats {
        match self.try_data_producer(name, DataProducerCommand::Stats).expect("accepted") {
            Reply::DataProducerStats(stats) => *stats,
            other => panic!("not stats: {other:?}"),
        }
    }

    pub(crate) fn data_consumer_stats(&mut self, name: &str) -> DataConsumerStats {
        match self.data_consumer(name, DataConsumerCommand::Stats) {
            Reply::DataConsumerStats(stats) => *stats,
            other => panic!("not stats: {other:?}"),
        }
    }

    pub(crate) fn data_consumer_dump(&mut self, name: &str) -> DataConsumerDump {
        match self.data_consumer(name, DataConsumerCommand::Dump) {
            Reply::DataConsumerDump(dump) => *dump,
            other => panic!("not a dump: {other:?}"),
        }
    }

    pub(crate) fn router_dump(&mut self) -> RouterDump {
        match self.command(Command::DumpRouter { router: ROUTER.into() }) {
            Reply::RouterDump(dump) => *dump,
            other => panic!("not a dump: {other:?}"),
        }
    }

    /// Who got what as a message since the last call.
    pub(crate) fn take_messages(&mut self) -> Vec<(String, Message)> {
        let message = |event| match event {
            Event::DataConsumerMessage { data_consumer, message } => {
                Some((data_consumer.to_string(), message))
            }
            _ => None,
        };
        self.take_events().into_iter().filter_map(message).collect()
    }

    /// Who got the payload as a message since the last call, in order of names.
    pub(crate) fn take_receivers(&mut self, payload: &[u8]) -> Vec<String> {
        let messages = self.take_messages();
        assert!(messages.iter().all(|(_, message)| *message.payload == *payload), "{messages:?}");
        let mut names: Vec<_> = messages.into_iter().map(|(name, _)| name).collect();
        names.sort_unstable();
        names
    }
}
