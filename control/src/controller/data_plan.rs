//! What requests to data producers and data consumers come to, and those that make and end them.

use ringsoup_sfu::command::{Command, TransportCommand};
use ringsoup_sfu::data::command::{DataConsumerCommand, DataProducerCommand};
use ringsoup_sfu::name::Name;

use super::plan::{Noun, Plan};
use crate::message::{Method, RequestBody};
use crate::registry::Kind;

/// Requests to a transport about its data producers and consumers; anything else is given back.
pub(super) fn transport_plan(
    transport: &Name,
    method: Method,
    body: RequestBody,
) -> Result<Plan, RequestBody> {
    let to = |command| Command::Transport { transport: transport.clone(), command };
    Ok(match (method, body) {
        (Method::TransportProduceData, RequestBody::ProduceData(produce)) => Plan::Create {
            child: produce.data_producer.clone(),
            kind: Kind::DataProducer,
            command: to(TransportCommand::ProduceData(produce)),
        },
        (Method::TransportConsumeData, RequestBody::ConsumeData(consume)) => Plan::Create {
            child: consume.data_consumer.clone(),
            kind: Kind::DataConsumer,
            command: to(TransportCommand::ConsumeData(consume)),
        },
        (Method::TransportCloseDataProducer, RequestBody::CloseDataProducer { data_producer }) => {
            Plan::Close {
                child: data_producer.clone(),
                noun: Noun::DataProducer,
                command: to(TransportCommand::CloseDataProducer { data_producer }),
            }
        }
        (Method::TransportCloseDataConsumer, RequestBody::CloseDataConsumer { data_consumer }) => {
            Plan::Close {
                child: data_consumer.clone(),
                noun: Noun::DataConsumer,
                command: to(TransportCommand::CloseDataConsumer { data_consumer }),
            }
        }
        (_, body) => return Err(body),
    })
}

pub(super) fn producer_command(method: Method) -> Option<DataProducerCommand> {
    Some(match method {
        Method::DataProducerDump => DataProducerCommand::Dump,
        Method::DataProducerGetStats => DataProducerCommand::Stats,
        Method::DataProducerPause => DataProducerCommand::Pause,
        Method::DataProducerResume => DataProducerCommand::Resume,
        _ => return None,
    })
}

pub(super) fn is_consumer_method(method: Method) -> bool {
    matches!(
        method,
        Method::DataConsumerDump
            | Method::DataConsumerGetStats
            | Method::DataConsumerPause
            | Method::DataConsumerResume
            | Method::DataConsumerGetBufferedAmount
            | Method::DataConsumerSetBufferedAmountLowThreshold
            | Method::DataConsumerSend
            | Method::DataConsumerSetSubchannels
            | Method::DataConsumerAddSubchannel
            | Method::DataConsumerRemoveSubchannel
    )
}

pub(super) fn consumer_command(method: Method, body: RequestBody) -> Option<DataConsumerCommand> {
    use DataConsumerCommand as C;
    Some(match (method, body) {
        (Method::DataConsumerDump, _) => C::Dump,
        (Method::DataConsumerGetStats, _) => C::Stats,
        (Method::DataConsumerPause, _) => C::Pause,
        (Method::DataConsumerResume, _) => C::Resume,
        (Method::DataConsumerGetBufferedAmount, _) => C::GetBufferedAmount,
        (
            Method::DataConsumerSetBufferedAmountLowThreshold,
            RequestBody::SetBufferedAmountLowThreshold(bytes),
        ) => C::SetBufferedAmountLowThreshold(bytes),
        (Method::DataConsumerSend, RequestBody::SendData(message)) => C::Send(message),
        (Method::DataConsumerSetSubchannels, RequestBody::SetSubchannels(subchannels)) => {
            C::SetSubchannels(subchannels)
        }
        (Method::DataConsumerAddSubchannel, RequestBody::Subchannel(subchannel)) => {
            C::AddSubchannel(subchannel)
        }
        (Method::DataConsumerRemoveSubchannel, RequestBody::Subchannel(subchannel)) => {
            C::RemoveSubchannel(subchannel)
        }
        _ => return None,
    })
}
