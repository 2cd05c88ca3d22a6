//! Plain transports: options, connect, dump and statistics.

use ringsoup_fbs::fbs::plain_transport as wire;
use ringsoup_fbs::fbs::router::CreatePlainTransportRequest;
use ringsoup_sfu::command::{CommandError, PlainConnect, PlainTransportOptions};
use ringsoup_sfu::reply::{PlainConnected, PlainTransportDump, PlainTransportStats, Tuple};

use super::{Builder, Union, ip_address, srtp_parameters, transport};
use crate::message::RequestBody;

pub(super) fn create(body: CreatePlainTransportRequest<'_>) -> Result<RequestBody, CommandError> {
    let options = body.options();
    let rtcp_mux = options.rtcp_mux();
    // With rtcpMux there is no RTCP socket, and the original does not even look at this.
    let rtcp_listen_info = options.rtcp_listen_info().filter(|_| !rtcp_mux);
    let srtp_crypto_suite = match (options.enable_srtp(), options.srtp_crypto_suite()) {
        (false, _) => None,
        (true, None) => return Err(CommandError::type_error("missing srtpCryptoSuite")),
        (true, Some(suite)) => Some(srtp_parameters::decode_suite(suite)?),
    };
    Ok(RequestBody::CreatePlainTransport {
        transport: body.transport_id().into(),
        options: Box::new(PlainTransportOptions {
            base: transport::options(options.base()),
            listen_info: transport::listen_info(options.listen_info())?,
            rtcp_listen_info: rtcp_listen_info.map(transport::listen_info).transpose()?,
            rtcp_mux,
            comedia: options.comedia(),
            srtp_crypto_suite,
        }),
    })
}

pub(super) fn connect(body: wire::ConnectRequest<'_>) -> Result<RequestBody, CommandError> {
    Ok(RequestBody::ConnectPlainTransport(PlainConnect {
        ip: body.ip().map(ip_address),
        port: body.port(),
        rtcp_port: body.rtcp_port(),
        srtp_parameters: body.srtp_parameters().map(srtp_parameters::decode),
    }))
}

pub(super) fn connected(builder: &mut Builder, connected: &PlainConnected) -> Union {
    let tuple = connected.tuple.as_ref().map(|tuple| transport::tuple(builder, tuple));
    let rtcp_tuple = connected.rtcp_tuple.as_ref().map(|tuple| transport::tuple(builder, tuple));
    let srtp_parameters =
        connected.srtp_parameters.as_ref().map(|srtp| srtp_parameters::encode(builder, srtp));
    let args = wire::ConnectResponseArgs { tuple, rtcp_tuple, srtp_parameters };
    wire::ConnectResponse::create(builder, &args).as_union_value()
}

pub(super) fn dump(builder: &mut Builder, dump: &PlainTransportDump) -> Union {
    let base = transport::dump(builder, &dump.base);
    let tuple = transport::tuple(builder, &dump.tuple);
    let rtcp_tuple = dump.rtcp_tuple.as_ref().map(|tuple| transport::tuple(builder, tuple));
    let srtp_parameters = dump.srtp_parameters.as_ref().map(|srtp| srtp_parameters::encode(builder, srtp));
    let args = wire::DumpResponseArgs {
        base: Some(base),
        rtcp_mux: dump.rtcp_mux,
        comedia: dump.comedia,
        tuple: Some(tuple),
        rtcp_tuple,
        srtp_parameters,
    };
    wire::DumpResponse::create(builder, &args).as_union_value()
}

pub(super) fn stats(builder: &mut Builder, stats: &PlainTransportStats) -> Union {
    let base = transport::stats(builder, &stats.base);
    let tuple = transport::tuple(builder, &stats.tuple);
    let rtcp_tuple = stats.rtcp_tuple.as_ref().map(|tuple| transport::tuple(builder, tuple));
    let args = wire::GetStatsResponseArgs {
        base: Some(base),
        rtcp_mux: stats.rtcp_mux,
        comedia: stats.comedia,
        tuple: Some(tuple),
        rtcp_tuple,
    };
    wire::GetStatsResponse::create(builder, &args).as_union_value()
}

pub(super) fn tuple_notification(builder: &mut Builder, tuple: &Tuple) -> Union {
    let tuple = Some(transport::tuple(builder, tuple));
    wire::TupleNotification::create(builder, &wire::TupleNotificationArgs { tuple }).as_union_value()
}

pub(super) fn rtcp_tuple_notification(builder: &mut Builder, tuple: &Tuple) -> Union {
    let tuple = Some(transport::tuple(builder, tuple));
    wire::RtcpTupleNotification::create(builder, &wire::RtcpTupleNotificationArgs { tuple }).as_union_value()
}
