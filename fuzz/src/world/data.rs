//! Operations on data producers and data consumers, and what must hold of what they answer.

use ringsoup_rtc::subchannels::Audience;
use ringsoup_sfu::command::{Command, TransportCommand};
use ringsoup_sfu::data::Message;
use ringsoup_sfu::data::command::{
    ConsumeData, DataConsumerCommand, DataProducerCommand, DataType, ProduceData, SctpStreamParameters,
};
use ringsoup_sfu::name::Name;
use ringsoup_sfu::reply::Reply;

use super::{Kind, World};
use crate::data_operation::{DataOperation, DataSetUp, DataTouch};

/// Subchannels are few, so that they meet.
fn subchannels(bits: u8) -> Vec<u16> {
    (0..8).filter(|bit| bits >> bit & 1 == 1).collect()
}

fn stream(set_up: DataSetUp) -> (DataType, Option<SctpStreamParameters>) {
    let Some(stream_id) = set_up.stream else { return (DataType::Direct, None) };
    let parameters = SctpStreamParameters {
        stream_id: u16::from(stream_id % 4),
        ordered: set_up.ordered,
        max_packet_life_time: set_up.life_time,
        max_retransmits: set_up.retransmits,
    };
    (DataType::Sctp, Some(parameters).filter(|_| !set_up.without_stream))
}

fn message(bytes: u16) -> Message {
    Message { ppid: 53, payload: vec![7; usize::from(bytes)].into() }
}

impl World {
    pub(super) fn perform_data(&mut self, operation: DataOperation) {
        use Kind::{DataConsumer, DataProducer, Transport};
        let name = Self::name;
        match operation {
            DataOperation::Produce { transport, producer, set_up } => {
                self.produce_data(name(Transport, transport), name(DataProducer, producer), set_up);
            }
            DataOperation::Consume { transport, consumer, producer, set_up, subscriptions } => {
                let (consumer, producer) = (name(DataConsumer, consumer), name(DataProducer, producer));
                let subchannels = subchannels(subscriptions);
                self.consume_data(name(Transport, transport), consumer, producer, set_up, subchannels);
            }
            DataOperation::CloseProducer { transport, producer } => {
                let data_producer = name(DataProducer, producer);
                let command = TransportCommand::CloseDataProducer { data_producer };
                self.command(Command::Transport { transport: name(Transport, transport), command });
            }
            DataOperation::CloseConsumer { transport, consumer } => {
                let data_consumer = name(DataConsumer, consumer);
                let command = TransportCommand::CloseDataConsumer { data_consumer };
                self.command(Command::Transport { transport: name(Transport, transport), command });
            }
            DataOperation::Send { producer, bytes, subchannels: bits, required, ignored } => {
                let audience = Audience {
                    subchannels: subchannels(bits),
                    required: required.map(u16::from),
                    ignored: ignored.map(u16::from),
                };
                let command = DataProducerCommand::Send(message(bytes), audience);
                self.data_producer(name(DataProducer, producer), command);
            }
            DataOperation::SendToPeer { consumer, bytes } => {
                let command = DataConsumerCommand::Send(message(bytes));
                let sent = self.data_consumer(name(DataConsumer, consumer), command);
                if let Some(Reply::DataSent { buffered_amount }) = sent {
                    assert!(buffered_amount >= u32::from(bytes), "what was taken waits");
                }
            }
            DataOperation::TouchProducer { producer, touch } => {
                self.touch_data_producer(name(DataProducer, producer), touch);
            }
            DataOperation::TouchConsumer { consumer, touch } => {
                self.touch_data_consumer(name(DataConsumer, consumer), touch);
            }
        }
    }

    fn produce_data(&mut self, transport: Name, data_producer: Name, set_up: DataSetUp) {
        let (data_type, sctp_stream_parameters) = stream(set_up);
        let request = ProduceData {
            data_producer,
            data_type,
            sctp_stream_parameters,
            label: "label".to_owned(),
            protocol: String::new(),
            paused: set_up.paused,
        };
        let command = TransportCommand::ProduceData(Box::new(request));
        self.command(Command::Transport { transport, command });
    }

    fn consume_data(
        &mut self,
        transport: Name,
        data_consumer: Name,
        data_producer: Name,
        set_up: DataSetUp,
        subchannels: Vec<u16>,
    ) {
        let (data_type, sctp_stream_parameters) = stream(set_up);
        let request = ConsumeData {
            data_consumer,
            data_producer,
            data_type,
            sctp_stream_parameters,
            label: String::new(),
            protocol: "protocol".to_owned(),
            paused: set_up.paused,
            subchannels,
        };
        let command = TransportCommand::ConsumeData(Box::new(request));
        self.command(Command::Transport { transport, command });
    }

    fn data_producer(&mut self, data_producer: Name, command: DataProducerCommand) -> Option<Reply> {
        self.command(Command::DataProducer { data_producer, command })
    }

    fn data_consumer(&mut self, data_consumer: Name, command: DataConsumerCommand) -> Option<Reply> {
        self.command(Command::DataConsumer { data_consumer, command })
    }

    fn touch_data_producer(&mut self, data_producer: Name, touch: DataTouch) {
        let command = match touch {
            DataTouch::Stats => DataProducerCommand::Stats,
            DataTouch::Pause => DataProducerCommand::Pause,
            DataTouch::Resume => DataProducerCommand::Resume,
            _ => DataProducerCommand::Dump,
        };
        self.data_producer(data_producer, command);
    }

    fn touch_data_consumer(&mut self, data_consumer: Name, touch: DataTouch) {
        let command = match touch {
            DataTouch::Dump => DataConsumerCommand::Dump,
            DataTouch::Stats => DataConsumerCommand::Stats,
            DataTouch::Pause => DataConsumerCommand::Pause,
            DataTouch::Resume => DataConsumerCommand::Resume,
            DataTouch::Buffered => DataConsumerCommand::GetBufferedAmount,
            DataTouch::Threshold(bytes) => {
                DataConsumerCommand::SetBufferedAmountLowThreshold(u32::from(bytes))
            }
            DataTouch::Subscribe(bits) => DataConsumerCommand::SetSubchannels(subchannels(bits)),
            DataTouch::Add(subchannel) => DataConsumerCommand::AddSubchannel(u16::from(subchannel)),
            DataTouch::Remove(subchannel) => DataConsumerCommand::RemoveSubchannel(u16::from(subchannel)),
        };
        self.data_consumer(data_consumer, command);
    }
}
