//! Pipe transports: options, connect, dump and statistics.

use ringsoup_fbs::fbs::pipe_transport as wire;
use ringsoup_fbs::fbs::router::CreatePipeTransportRequest;
use ringsoup_sfu::command::{CommandError, PipeConnect, PipeTransportOptions};
use ringsoup_sfu::reply::{PipeTransportDump, PipeTransportStats, Tuple};

use super::{Builder, Union, ip_address, srtp_parameters, transport};
use crate::message::RequestBody;

pub(super) fn create(body: CreatePipeTransportRequest<'_>) -> Result<RequestBody, CommandError> {
    let options = body.options();
    Ok(RequestBody::CreatePipeTransport {
        transport: body.transport_id().into(),
        options: Box::new(PipeTransportOptions {
            base: transport::options(options.base()),
            listen_info: transport::listen_info(options.listen_info())?,
            enable_rtx: options.enable_rtx(),
            enable_srtp: options.enable_srtp(),
        }),
    })
}

pub(super) fn connect(body: wire::ConnectRequest<'_>) -> Result<RequestBody, CommandError> {
    Ok(RequestBody::ConnectPipeTransport(PipeConnect {
        srtp_parameters: body.srtp_parameters().map(srtp_parameters::decode),
        ip: ip_address(body.ip()),
        port: body.port(),
    }))
}

pub(super) fn connected(builder: &mut Builder, tuple: &Tuple) -> Union {
    let tuple = Some(transport::tuple(builder, tuple));
    wire::ConnectResponse::create(builder, &wire::ConnectResponseArgs { tuple }).as_union_value()
}

pub(super) fn dump(builder: &mut Builder, dump: &PipeTransportDump) -> Union {
    let base = Some(transport::dump(builder, &dump.base));
    let tuple = Some(transport::tuple(builder, &dump.tuple));
    let srtp_parameters = dump.srtp_parameters.as_ref().map(|srtp| srtp_parameters::encode(builder, srtp));
    let args = wire::DumpResponseArgs { base, tuple, rtx: dump.rtx, srtp_parameters };
    wire::DumpResponse::create(builder, &args).as_union_value()
}

pub(super) fn stats(builder: &mut Builder, stats: &PipeTransportStats) -> Union {
    let base = Some(transport::stats(builder, &stats.base));
    let tuple = Some(transport::tuple(builder, &stats.tuple));
    wire::GetStatsResponse::create(builder, &wire::GetStatsResponseArgs { base, tuple }).as_union_value()
}
