//! WebRTC servers: creating, closing, dump.

use std::net::SocketAddr;

use flatbuffers::WIPOffset;
use ringsoup_fbs::fbs::web_rtc_server as wire;
use ringsoup_fbs::fbs::worker::{CloseWebRtcServerRequest, CreateWebRtcServerRequest};
use ringsoup_sfu::command::CommandError;

use super::{Builder, Union, tables, texts, transport};
use crate::message::{RequestBody, WebRtcServerDump};

pub(super) fn create(body: CreateWebRtcServerRequest<'_>) -> Result<RequestBody, CommandError> {
    let infos = body.listen_infos().into_iter().flatten();
    Ok(RequestBody::CreateWebRtcServer {
        server: body.web_rtc_server_id().into(),
        listen_infos: infos.map(transport::listen_info).collect(),
    })
}

pub(super) fn close(body: CloseWebRtcServerRequest<'_>) -> Result<RequestBody, CommandError> {
    Ok(RequestBody::CloseWebRtcServer { server: body.web_rtc_server_id().into() })
}

pub(super) fn dump(builder: &mut Builder, dump: &WebRtcServerDump) -> Union {
    let id = Some(builder.create_string(&dump.server));
    let udp_sockets = Some(tables(builder, &dump.udp_sockets, ip_port));
    let tcp_servers = Some(tables(builder, &dump.tcp_servers, ip_port));
    let transports: Vec<_> = dump.transports.iter().map(|served| &*served.transport).collect();
    let web_rtc_transport_ids = Some(texts(builder, &transports));
    let fragments: Vec<(&str, &str)> = dump
        .transports
        .iter()
        .flat_map(|served| served.username_fragments.iter().map(|fragment| (&**fragment, &*served.transport)))
        .collect();
    let local_ice_username_fragments = Some(tables(builder, &fragments, |builder, (fragment, transport)| {
        let local_ice_username_fragment = Some(builder.create_string(fragment));
        let web_rtc_transport_id = Some(builder.create_string(transport));
        let args = wire::IceUserNameFragmentArgs { local_ice_username_fragment, web_rtc_transport_id };
        wire::IceUserNameFragment::create(builder, &args)
    }));
    let args = wire::DumpResponseArgs {
        id,
        udp_sockets,
        tcp_servers,
        web_rtc_transport_ids,
        local_ice_username_fragments,
    };
    wire::DumpResponse::create(builder, &args).as_union_value()
}

fn ip_port(builder: &mut Builder, local: &SocketAddr) -> WIPOffset<wire::IpPort<'static>> {
    let ip = Some(builder.create_string(&local.ip().to_string()));
    wire::IpPort::create(builder, &wire::IpPortArgs { ip, port: local.port() })
}
