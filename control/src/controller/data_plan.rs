//! The table of methods of data producers and data consumers, and of those that make and end them.

use ringsoup_sfu::command::{Command, TransportCommand};
use ringsoup_sfu::data::command::{DataConsumerCommand, DataProducerCommand};
use ringsoup_sfu::name::Name;

use super::plan::{Entry, Noun, takes, to_transport};
use crate::message::{Method, RequestBody};
use crate::registry::Kind;

/// What all transports know about data.
pub(super) fn transport_entry(method: Method) -> Option<Entry> {
    use RequestBody as B;
    use TransportCommand as C;
    Some(match method {
        Method::TransportProduceData => Entry::Make(
            Kind::DataProducer,
            takes!(name, B::ProduceData(produce) => {
                (produce.data_producer.clone(), to_transport(name, C::ProduceData(produce)))
            }),
        ),
        Method::TransportConsumeData => Entry::Make(
            Kind::DataConsumer,
            takes!(name, B::ConsumeData(consume) => {
                (consume.data_consumer.clone(), to_transport(name, C::ConsumeData(consume)))
            }),
        ),
        Method::TransportCloseDataProducer => Entry::End(
            Noun::DataProducer,
            takes!(name, B::CloseDataProducer { data_producer } => {
                (data_producer.clone(), to_transport(name, C::CloseDataProducer { data_producer }))
            }),
        ),
        Method::TransportCloseDataConsumer => Entry::End(
            Noun::DataConsumer,
            takes!(name, B::CloseDataConsumer { data_consumer } => {
                (data_consumer.clone(), to_transport(name, C::CloseDataConsumer { data_consumer }))
            }),
        ),
        _ => return None,
    })
}

pub(super) fn producer_entry(method: Method) -> Option<Entry> {
    use DataProducerCommand as C;
    Some(match method {
        Method::DataProducerDump => Entry::Ask(|name, _| Some(to_producer(name, C::Dump))),
        Method::DataProducerGetStats => Entry::Ask(|name, _| Some(to_producer(name, C::Stats))),
        Method::DataProducerPause => Entry::Ask(|name, _| Some(to_producer(name, C::Pause))),
        Method::DataProducerResume => Entry::Ask(|name, _| Some(to_producer(name, C::Resume))),
        _ => return None,
    })
}

fn to_producer(data_producer: Name, command: DataProducerCommand) -> Command {
    Command::DataProducer { data_producer, command }
}

pub(super) fn consumer_entry(method: Method) -> Option<Entry> {
    use DataConsumerCommand as C;
    use RequestBody as B;
    Some(match method {
        Method::DataConsumerDump => Entry::Ask(|name, _| Some(to_consumer(name, C::Dump))),
        Method::DataConsumerGetStats => Entry::Ask(|name, _| Some(to_consumer(name, C::Stats))),
        Method::DataConsumerPause => Entry::Ask(|name, _| Some(to_consumer(name, C::Pause))),
        Method::DataConsumerResume => Entry::Ask(|name, _| Some(to_consumer(name, C::Resume))),
        Method::DataConsumerGetBufferedAmount => {
            Entry::Ask(|name, _| Some(to_consumer(name, C::GetBufferedAmount)))
        }
        Method::DataConsumerSetBufferedAmountLowThreshold => {
            Entry::Ask(takes!(name, B::SetBufferedAmountLowThreshold(bytes) => {
                to_consumer(name, C::SetBufferedAmountLowThreshold(bytes))
            }))
        }
        Method::DataConsumerSend => {
            Entry::Ask(takes!(name, B::SendData(message) => to_consumer(name, C::Send(message))))
        }
        Method::DataConsumerSetSubchannels => {
            Entry::Ask(takes!(name, B::SetSubchannels(all) => to_consumer(name, C::SetSubchannels(all))))
        }
        Method::DataConsumerAddSubchannel => {
            Entry::Ask(takes!(name, B::Subchannel(one) => to_consumer(name, C::AddSubchannel(one))))
        }
        Method::DataConsumerRemoveSubchannel => {
            Entry::Ask(takes!(name, B::Subchannel(one) => to_consumer(name, C::RemoveSubchannel(one))))
        }
        _ => return None,
    })
}

fn to_consumer(data_consumer: Name, command: DataConsumerCommand) -> Command {
    Command::DataConsumer { data_consumer, command }
}
