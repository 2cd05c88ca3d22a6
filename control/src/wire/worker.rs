//! What is asked of the worker itself: settings, routers, its dump.

use ringsoup_fbs::fbs::{ringsoup, worker as wire};
use ringsoup_sfu::command::CommandError;
use ringsoup_sfu::reply::ShardReport;

use super::encoder::Dumps;
use super::{Builder, Union, latency, tables, texts};
use crate::message::{RequestBody, ResourceUsage, ShardDump, WorkerDump};

pub(super) fn update_settings(body: wire::UpdateSettingsRequest<'_>) -> Result<RequestBody, CommandError> {
    Ok(RequestBody::UpdateSettings {
        log_level: body.log_level().map(str::to_owned),
        log_tags: body.log_tags().map(|tags| tags.iter().map(str::to_owned).collect()),
    })
}

pub(super) fn create_router(body: wire::CreateRouterRequest<'_>) -> Result<RequestBody, CommandError> {
    Ok(RequestBody::CreateRouter { router: body.router_id().into() })
}

pub(super) fn close_router(body: wire::CloseRouterRequest<'_>) -> Result<RequestBody, CommandError> {
    Ok(RequestBody::CloseRouter { router: body.router_id().into() })
}

pub(super) fn dump(builder: &mut Builder, dump: &WorkerDump, dumps: Dumps) -> Union {
    let web_rtc_server_ids = Some(texts(builder, &dump.web_rtc_servers));
    let router_ids = Some(texts(builder, &dump.routers));
    let channel_request_handlers = Some(texts(builder, &dump.request_handlers));
    let channel_notification_handlers = Some(texts(builder, &dump.notification_handlers));
    let payload_channel_request_handlers =
        (dumps == Dumps::Whole).then(|| texts(builder, &dump.payload_request_handlers));
    let args = wire::ChannelMessageHandlersArgs {
        channel_request_handlers,
        channel_notification_handlers,
        payload_channel_request_handlers,
    };
    let handlers = wire::ChannelMessageHandlers::create(builder, &args);
    let ringsoup_shards = Some(tables(builder, &dump.shards, shard));
    let args = wire::DumpResponseArgs {
        pid: dump.pid,
        web_rtc_server_ids,
        router_ids,
        channel_message_handlers: Some(handlers),
        ringsoup_shards,
    };
    wire::DumpResponse::create(builder, &args).as_union_value()
}

fn shard(builder: &mut Builder, shard: &ShardDump) -> flatbuffers::WIPOffset<ringsoup::ShardDump<'static>> {
    let Some(report) = &shard.report else {
        let args = ringsoup::ShardDumpArgs { index: shard.index, ..ringsoup::ShardDumpArgs::default() };
        return ringsoup::ShardDump::create(builder, &args);
    };
    let dropped = tables(builder, &report.dropped, |builder, &(reason, count)| {
        let reason = Some(builder.create_string(reason));
        ringsoup::DropCount::create(builder, &ringsoup::DropCountArgs { reason, count })
    });
    let latency = latency::encode(builder, &report.latency, shard.index);
    let io = tables(builder, &report.io, |builder, &(name, value)| {
        let name = Some(builder.create_string(name));
        ringsoup::Counter::create(builder, &ringsoup::CounterArgs { name, value })
    });
    let ShardReport { routers, transports, producers, consumers, .. } = **report;
    let args = ringsoup::ShardDumpArgs {
        index: shard.index,
        started: true,
        routers,
        transports,
        received_packets: report.received_packets,
        forwarded_packets: report.forwarded_packets,
        consumed_packets: report.consumed_packets,
        sent_packets: report.sent_packets,
        dropped: Some(dropped),
        latency: Some(latency),
        producers,
        consumers,
        io: Some(io),
    };
    ringsoup::ShardDump::create(builder, &args)
}

pub(super) fn resource_usage(builder: &mut Builder, usage: &ResourceUsage) -> Union {
    let args = wire::ResourceUsageResponseArgs {
        ru_utime: usage.ru_utime,
        ru_stime: usage.ru_stime,
        ru_maxrss: usage.ru_maxrss,
        ru_ixrss: usage.ru_ixrss,
        ru_idrss: usage.ru_idrss,
        ru_isrss: usage.ru_isrss,
        ru_minflt: usage.ru_minflt,
        ru_majflt: usage.ru_majflt,
        ru_nswap: usage.ru_nswap,
        ru_inblock: usage.ru_inblock,
        ru_oublock: usage.ru_oublock,
        ru_msgsnd: usage.ru_msgsnd,
        ru_msgrcv: usage.ru_msgrcv,
        ru_nsignals: usage.ru_nsignals,
        ru_nvcsw: usage.ru_nvcsw,
        ru_nivcsw: usage.ru_nivcsw,
    };
    wire::ResourceUsageResponse::create(builder, &args).as_union_value()
}
