//! Direct transports, which have nothing of their own but RTCP for the application.

use ringsoup_fbs::fbs::direct_transport as wire;
use ringsoup_fbs::fbs::router::CreateDirectTransportRequest;
use ringsoup_sfu::command::CommandError;
use ringsoup_sfu::reply::{TransportDump, TransportStats};

use super::{Builder, Union, bytes, transport};
use crate::message::RequestBody;

pub(super) fn create(body: CreateDirectTransportRequest<'_>) -> Result<RequestBody, CommandError> {
    Ok(RequestBody::CreateDirectTransport {
        transport: body.transport_id().into(),
        options: transport::options(body.options().base()),
    })
}

pub(super) fn dump(builder: &mut Builder, dump: &TransportDump) -> Union {
    let base = Some(transport::dump(builder, dump));
    wire::DumpResponse::create(builder, &wire::DumpResponseArgs { base }).as_union_value()
}

pub(super) fn stats(builder: &mut Builder, stats: &TransportStats) -> Union {
    let base = Some(transport::stats(builder, stats));
    wire::GetStatsResponse::create(builder, &wire::GetStatsResponseArgs { base }).as_union_value()
}

pub(super) fn rtcp_notification(builder: &mut Builder, data: &[u8]) -> Union {
    let data = Some(bytes(builder, data));
    wire::RtcpNotification::create(builder, &wire::RtcpNotificationArgs { data }).as_union_value()
}
