//! Data producers: produceData, their messages, dump and statistics.

use ringsoup_fbs::fbs::data_producer as wire;
use ringsoup_fbs::fbs::transport::{CloseDataProducerRequest, ProduceDataRequest};
use ringsoup_rtc::subchannels::Audience;
use ringsoup_sfu::command::CommandError;
use ringsoup_sfu::data::Message;
use ringsoup_sfu::data::command::{DataType, ProduceData};
use ringsoup_sfu::data::reply::{DataProducerDump, DataProducerStats};

use super::{Builder, Union, sctp, unknown_number};
use crate::message::RequestBody;

pub(super) fn produce(body: ProduceDataRequest<'_>) -> Result<RequestBody, CommandError> {
    Ok(RequestBody::ProduceData(Box::new(ProduceData {
        data_producer: body.data_producer_id().into(),
        data_type: match body.type_() {
            wire::Type::SCTP => DataType::Sctp,
            wire::Type::DIRECT => DataType::Direct,
            wire::Type(number) => return Err(unknown_number("data producer type", number)),
        },
        sctp_stream_parameters: body.sctp_stream_parameters().map(sctp::decode_stream),
        label: body.label().unwrap_or_default().to_owned(),
        protocol: body.protocol().unwrap_or_default().to_owned(),
        paused: body.paused(),
    })))
}

pub(super) fn close(body: CloseDataProducerRequest<'_>) -> Result<RequestBody, CommandError> {
    Ok(RequestBody::CloseDataProducer { data_producer: body.data_producer_id().into() })
}

pub(super) fn send(body: wire::SendNotification<'_>) -> (Message, Audience) {
    let audience = Audience {
        subchannels: body.subchannels().map(|subchannels| subchannels.iter().collect()).unwrap_or_default(),
        required: body.required_subchannel(),
        ignored: body.ignored_subchannel(),
    };
    (Message { ppid: body.ppid(), payload: body.data().bytes().into() }, audience)
}

pub(super) fn dump(builder: &mut Builder, dump: &DataProducerDump) -> Union {
    let id = Some(builder.create_string(&dump.id));
    let sctp_stream_parameters = dump.stream.as_ref().map(|stream| sctp::stream(builder, stream));
    let label = Some(builder.create_string(&dump.label));
    let protocol = Some(builder.create_string(&dump.protocol));
    let args = wire::DumpResponseArgs {
        id,
        type_: match dump.data_type {
            DataType::Sctp => wire::Type::SCTP,
            DataType::Direct => wire::Type::DIRECT,
        },
        sctp_stream_parameters,
        label,
        protocol,
        paused: dump.paused,
    };
    wire::DumpResponse::create(builder, &args).as_union_value()
}

pub(super) fn stats(builder: &mut Builder, stats: &DataProducerStats) -> Union {
    let label = Some(builder.create_string(&stats.label));
    let protocol = Some(builder.create_string(&stats.protocol));
    let args = wire::GetStatsResponseArgs {
        timestamp: stats.timestamp_ms,
        label,
        protocol,
        messages_received: stats.messages_received,
        bytes_received: stats.bytes_received,
        // Part of the schema; nothing ever waits in a data producer.
        buffered_amount: 0,
    };
    wire::GetStatsResponse::create(builder, &args).as_union_value()
}
