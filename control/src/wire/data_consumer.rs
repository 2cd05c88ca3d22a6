//! Data consumers: consumeData, subscriptions, messages, dump and statistics.

use ringsoup_fbs::fbs::data_consumer as wire;
use ringsoup_fbs::fbs::transport::{CloseDataConsumerRequest, ConsumeDataRequest};
use ringsoup_sfu::command::CommandError;
use ringsoup_sfu::data::Message;
use ringsoup_sfu::data::command::{ConsumeData, DataType};
use ringsoup_sfu::data::reply::{DataConsumerDump, DataConsumerStats};

use super::{Builder, Union, bytes, sctp, unknown_number};
use crate::message::RequestBody;

pub(super) fn consume(body: ConsumeDataRequest<'_>) -> Result<RequestBody, CommandError> {
    Ok(RequestBody::ConsumeData(Box::new(ConsumeData {
        data_consumer: body.data_consumer_id().into(),
        data_producer: body.data_producer_id().into(),
        data_type: match body.type_() {
            wire::Type::SCTP => DataType::Sctp,
            wire::Type::DIRECT => DataType::Direct,
            wire::Type(number) => return Err(unknown_number("data consumer type", number)),
        },
        sctp_stream_parameters: body.sctp_stream_parameters().map(sctp::decode_stream),
        label: body.label().unwrap_or_default().to_owned(),
        protocol: body.protocol().unwrap_or_default().to_owned(),
        paused: body.paused(),
        subchannels: body.subchannels().map(|subchannels| subchannels.iter().collect()).unwrap_or_default(),
    })))
}

pub(super) fn close(body: CloseDataConsumerRequest<'_>) -> Result<RequestBody, CommandError> {
    Ok(RequestBody::CloseDataConsumer { data_consumer: body.data_consumer_id().into() })
}

pub(super) fn set_buffered_amount_low_threshold(
    body: wire::SetBufferedAmountLowThresholdRequest<'_>,
) -> Result<RequestBody, CommandError> {
    Ok(RequestBody::SetBufferedAmountLowThreshold(body.threshold()))
}

pub(super) fn send(body: wire::SendRequest<'_>) -> Result<RequestBody, CommandError> {
    Ok(RequestBody::SendData(Message { ppid: body.ppid(), payload: body.data().bytes().into() }))
}

pub(super) fn set_subchannels(body: wire::SetSubchannelsRequest<'_>) -> Result<RequestBody, CommandError> {
    Ok(RequestBody::SetSubchannels(body.subchannels().iter().collect()))
}

pub(super) fn add_subchannel(body: wire::AddSubchannelRequest<'_>) -> Result<RequestBody, CommandError> {
    Ok(RequestBody::Subchannel(body.subchannel()))
}

pub(super) fn remove_subchannel(
    body: wire::RemoveSubchannelRequest<'_>,
) -> Result<RequestBody, CommandError> {
    Ok(RequestBody::Subchannel(body.subchannel()))
}

pub(super) fn dump(builder: &mut Builder, dump: &DataConsumerDump) -> Union {
    let id = Some(builder.create_string(&dump.id));
    let data_producer_id = Some(builder.create_string(&dump.data_producer));
    let sctp_stream_parameters = dump.stream.as_ref().map(|stream| sctp::stream(builder, stream));
    let label = Some(builder.create_string(&dump.label));
    let protocol = Some(builder.create_string(&dump.protocol));
    let subchannels = Some(builder.create_vector(&dump.subchannels));
    let args = wire::DumpResponseArgs {
        id,
        data_producer_id,
        type_: match dump.data_type {
            DataType::Sctp => wire::Type::SCTP,
            DataType::Direct => wire::Type::DIRECT,
        },
        sctp_stream_parameters,
        label,
        protocol,
        buffered_amount: dump.buffered_amount,
        buffered_amount_low_threshold: dump.buffered_amount_low_threshold,
        paused: dump.paused,
        data_producer_paused: dump.data_producer_paused,
        subchannels,
    };
    wire::DumpResponse::create(builder, &args).as_union_value()
}

pub(super) fn stats(builder: &mut Builder, stats: &DataConsumerStats) -> Union {
    let label = Some(builder.create_string(&stats.label));
    let protocol = Some(builder.create_string(&stats.protocol));
    let args = wire::GetStatsResponseArgs {
        timestamp: stats.timestamp_ms,
        label,
        protocol,
        messages_sent: stats.messages_sent,
        bytes_sent: stats.bytes_sent,
        buffered_amount: stats.buffered_amount,
    };
    wire::GetStatsResponse::create(builder, &args).as_union_value()
}

pub(super) fn buffered_amount(builder: &mut Builder, buffered_amount: u32) -> Union {
    let args = wire::GetBufferedAmountResponseArgs { buffered_amount };
    wire::GetBufferedAmountResponse::create(builder, &args).as_union_value()
}

pub(super) fn sent(builder: &mut Builder, buffered_amount: u32) -> Union {
    wire::SendResponse::create(builder, &wire::SendResponseArgs { buffered_amount }).as_union_value()
}

pub(super) fn subchannels_set(builder: &mut Builder, subchannels: &[u16]) -> Union {
    let subchannels = Some(builder.create_vector(subchannels));
    let args = wire::SetSubchannelsResponseArgs { subchannels };
    wire::SetSubchannelsResponse::create(builder, &args).as_union_value()
}

pub(super) fn subchannel_added(builder: &mut Builder, subchannels: &[u16]) -> Union {
    let subchannels = Some(builder.create_vector(subchannels));
    let args = wire::AddSubchannelResponseArgs { subchannels };
    wire::AddSubchannelResponse::create(builder, &args).as_union_value()
}

pub(super) fn subchannel_removed(builder: &mut Builder, subchannels: &[u16]) -> Union {
    let subchannels = Some(builder.create_vector(subchannels));
    let args = wire::RemoveSubchannelResponseArgs { subchannels };
    wire::RemoveSubchannelResponse::create(builder, &args).as_union_value()
}

pub(super) fn message_notification(builder: &mut Builder, message: &Message) -> Union {
    let data = Some(bytes(builder, &message.payload));
    let args = wire::MessageNotificationArgs { ppid: message.ppid, data };
    wire::MessageNotification::create(builder, &args).as_union_value()
}

pub(super) fn buffered_amount_low_notification(builder: &mut Builder, buffered_amount: u32) -> Union {
    let args = wire::BufferedAmountLowNotificationArgs { buffered_amount };
    wire::BufferedAmountLowNotification::create(builder, &args).as_union_value()
}
