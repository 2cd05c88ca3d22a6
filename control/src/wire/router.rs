//! A router's dump, and closing a transport.

use flatbuffers::WIPOffset;
use ringsoup_fbs::fbs::{common, router as wire};
use ringsoup_sfu::command::CommandError;
use ringsoup_sfu::name::Name;
use ringsoup_sfu::reply::RouterDump;

use super::{Builder, Tables, Union, latency, tables, texts};
use crate::message::RequestBody;

pub(super) fn close_transport(body: wire::CloseTransportRequest<'_>) -> Result<RequestBody, CommandError> {
    Ok(RequestBody::CloseTransport { transport: body.transport_id().into() })
}

pub(super) fn dump(builder: &mut Builder, dump: &RouterDump) -> Union {
    let id = builder.create_string(&dump.router);
    let transport_ids = texts(builder, &dump.transports);
    let rtp_observer_ids = texts(builder, &dump.rtp_observers);
    let consumers_of_producer = lists(builder, &dump.consumers_of_producer);
    let observers_of_producer = lists(builder, &dump.observers_of_producer);
    let producer_of_consumer =
        tables(builder, &dump.producer_of_consumer, |builder, (consumer, producer)| {
            string_string(builder, consumer, producer)
        });
    let data_consumers_of_data_producer =
        tables(builder, &dump.data_consumers_of_data_producer, |builder, (producer, consumers)| {
            let key = Some(builder.create_string(producer));
            let values = Some(texts(builder, consumers));
            common::StringStringArray::create(builder, &common::StringStringArrayArgs { key, values })
        });
    let data_producer_of_data_consumer =
        tables(builder, &dump.data_producer_of_data_consumer, |builder, (consumer, producer)| {
            string_string(builder, consumer, producer)
        });
    let latency = latency::encode(builder, &dump.latency, dump.shard.unwrap_or_default());
    let args = wire::DumpResponseArgs {
        id: Some(id),
        transport_ids: Some(transport_ids),
        rtp_observer_ids: Some(rtp_observer_ids),
        map_producer_id_consumer_ids: Some(consumers_of_producer),
        map_consumer_id_producer_id: Some(producer_of_consumer),
        map_producer_id_observer_ids: Some(observers_of_producer),
        map_data_producer_id_data_consumer_ids: Some(data_consumers_of_data_producer),
        map_data_consumer_id_data_producer_id: Some(data_producer_of_data_consumer),
        ringsoup_latency: Some(latency),
        ringsoup_shard: dump.shard,
    };
    wire::DumpResponse::create(builder, &args).as_union_value()
}

fn lists(builder: &mut Builder, lists: &[(Name, Vec<Name>)]) -> Tables<common::StringStringArray<'static>> {
    tables(builder, lists, |builder, (key, values)| {
        let key = Some(builder.create_string(key));
        let values = Some(texts(builder, values));
        common::StringStringArray::create(builder, &common::StringStringArrayArgs { key, values })
    })
}

pub(super) fn string_string(
    builder: &mut Builder,
    key: &str,
    value: &str,
) -> WIPOffset<common::StringString<'static>> {
    let key = Some(builder.create_string(key));
    let value = Some(builder.create_string(value));
    common::StringString::create(builder, &common::StringStringArgs { key, value })
}
