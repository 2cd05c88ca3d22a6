//! Requests about what listens: transports and servers with every option of a listenInfo.

use std::net::SocketAddr;

use ringsoup_fbs::fbs::plain_transport::{PlainTransportOptions, PlainTransportOptionsArgs};
use ringsoup_fbs::fbs::request::{Body, Method};
use ringsoup_fbs::fbs::{router, transport, web_rtc_transport, worker};
use ringsoup_fbs::flatbuffers::{FlatBufferBuilder, ForwardsUOffset, Vector, WIPOffset};

pub use ringsoup_fbs::fbs::transport::Protocol;

use crate::channel::Frame;
use crate::request::with_body;

type Builder = FlatBufferBuilder<'static>;

/// A listenInfo.
#[derive(Debug, Clone, Copy)]
pub struct Listen<'a> {
    pub protocol: Protocol,
    pub ip: &'a str,
    pub port: u16,
    /// Zeroes mean none.
    pub range: (u16, u16),
    pub announced: Option<&'a str>,
    pub expose_internal_ip: bool,
    pub ipv6_only: bool,
    pub reuse_port: bool,
}

pub const UDP: Listen<'_> = Listen {
    protocol: Protocol::UDP,
    ip: "127.0.0.1",
    port: 0,
    range: (0, 0),
    announced: None,
    expose_internal_ip: false,
    ipv6_only: false,
    reuse_port: false,
};

pub const TCP: Listen<'_> = Listen { protocol: Protocol::TCP, ..UDP };

fn info(builder: &mut Builder, listen: &Listen<'_>) -> WIPOffset<transport::ListenInfo<'static>> {
    let ip = Some(builder.create_string(listen.ip));
    let announced_address = listen.announced.map(|address| builder.create_string(address));
    let (min, max) = listen.range;
    let port_range = Some(transport::PortRange::create(builder, &transport::PortRangeArgs { min, max }));
    let flags = transport::SocketFlagsArgs { ipv6_only: listen.ipv6_only, udp_reuse_port: listen.reuse_port };
    let flags = Some(transport::SocketFlags::create(builder, &flags));
    let args = transport::ListenInfoArgs {
        protocol: listen.protocol,
        ip,
        announced_address,
        expose_internal_ip: listen.expose_internal_ip,
        port: listen.port,
        port_range,
        flags,
        ..transport::ListenInfoArgs::default()
    };
    transport::ListenInfo::create(builder, &args)
}

fn infos(
    builder: &mut Builder,
    listen: &[Listen<'_>],
) -> WIPOffset<Vector<'static, ForwardsUOffset<transport::ListenInfo<'static>>>> {
    let infos: Vec<_> = listen.iter().map(|listen| info(builder, listen)).collect();
    builder.create_vector(&infos)
}

/// A comedia transport; without `rtcp` it has rtcpMux.
pub fn create_plain(
    id: u32,
    router: &str,
    transport: &str,
    listen: Listen<'_>,
    rtcp: Option<Listen<'_>>,
) -> Vec<u8> {
    with_body(id, Method::ROUTER_CREATE_PLAINTRANSPORT, router, |builder| {
        let base = Some(transport::Options::create(builder, &transport::OptionsArgs::default()));
        let listen_info = Some(info(builder, &listen));
        let rtcp_listen_info = rtcp.map(|rtcp| info(builder, &rtcp));
        let args = PlainTransportOptionsArgs {
            base,
            listen_info,
            rtcp_listen_info,
            rtcp_mux: rtcp.is_none(),
            comedia: true,
            ..PlainTransportOptionsArgs::default()
        };
        let options = Some(PlainTransportOptions::create(builder, &args));
        let transport_id = Some(builder.create_string(transport));
        let args = router::CreatePlainTransportRequestArgs { transport_id, options };
        let body = router::CreatePlainTransportRequest::create(builder, &args).as_union_value();
        (Body::Router_CreatePlainTransportRequest, body)
    })
}

pub fn create_webrtc(id: u32, router: &str, transport: &str, listen: &[Listen<'_>]) -> Vec<u8> {
    with_body(id, Method::ROUTER_CREATE_WEBRTCTRANSPORT, router, |builder| {
        let listen_infos = Some(infos(builder, listen));
        let args = web_rtc_transport::ListenIndividualArgs { listen_infos };
        let listen = web_rtc_transport::ListenIndividual::create(builder, &args).as_union_value();
        let listen = (web_rtc_transport::Listen::ListenIndividual, listen);
        (Body::Router_CreateWebRtcTransportRequest, webrtc_body(builder, transport, listen, (true, true)))
    })
}

/// `enabled` are UDP and TCP.
pub fn create_served(id: u32, router: &str, transport: &str, server: &str, enabled: (bool, bool)) -> Vec<u8> {
    with_body(id, Method::ROUTER_CREATE_WEBRTCTRANSPORT_WITH_SERVER, router, |builder| {
        let web_rtc_server_id = Some(builder.create_string(server));
        let args = web_rtc_transport::ListenServerArgs { web_rtc_server_id };
        let listen = web_rtc_transport::ListenServer::create(builder, &args).as_union_value();
        let listen = (web_rtc_transport::Listen::ListenServer, listen);
        (Body::Router_CreateWebRtcTransportRequest, webrtc_body(builder, transport, listen, enabled))
    })
}

fn webrtc_body(
    builder: &mut Builder,
    transport: &str,
    listen: (web_rtc_transport::Listen, WIPOffset<ringsoup_fbs::flatbuffers::UnionWIPOffset>),
    (enable_udp, enable_tcp): (bool, bool),
) -> WIPOffset<ringsoup_fbs::flatbuffers::UnionWIPOffset> {
    let base = Some(transport::Options::create(builder, &transport::OptionsArgs::default()));
    let args = web_rtc_transport::WebRtcTransportOptionsArgs {
        base,
        listen_type: listen.0,
        listen: Some(listen.1),
        enable_udp,
        enable_tcp,
        ..web_rtc_transport::WebRtcTransportOptionsArgs::default()
    };
    let options = Some(web_rtc_transport::WebRtcTransportOptions::create(builder, &args));
    let transport_id = Some(builder.create_string(transport));
    let args = router::CreateWebRtcTransportRequestArgs { transport_id, options };
    router::CreateWebRtcTransportRequest::create(builder, &args).as_union_value()
}

pub fn create_server(id: u32, server: &str, listen: &[Listen<'_>]) -> Vec<u8> {
    with_body(id, Method::WORKER_CREATE_WEBRTCSERVER, "", |builder| {
        let listen_infos = Some(infos(builder, listen));
        let web_rtc_server_id = Some(builder.create_string(server));
        let args = worker::CreateWebRtcServerRequestArgs { web_rtc_server_id, listen_infos };
        let body = worker::CreateWebRtcServerRequest::create(builder, &args).as_union_value();
        (Body::Worker_CreateWebRtcServerRequest, body)
    })
}

pub fn close_server(id: u32, server: &str) -> Vec<u8> {
    with_body(id, Method::WORKER_WEBRTCSERVER_CLOSE, "", |builder| {
        let web_rtc_server_id = Some(builder.create_string(server));
        let args = worker::CloseWebRtcServerRequestArgs { web_rtc_server_id };
        let body = worker::CloseWebRtcServerRequest::create(builder, &args).as_union_value();
        (Body::Worker_CloseWebRtcServerRequest, body)
    })
}

/// What a WebRTC transport's dump says of its candidates: protocol, address and port.
pub fn candidates(frame: &Frame) -> Vec<(Protocol, String, u16)> {
    let dump = frame.response().and_then(|response| response.body_as_web_rtc_transport_dump_response());
    let candidates = dump.expect("a WebRTC transport's dump").ice_candidates();
    candidates.iter().map(|one| (one.protocol(), one.address().to_owned(), one.port())).collect()
}

/// Where a plain transport is bound.
pub fn plain_local(frame: &Frame) -> SocketAddr {
    let dump = frame.response().and_then(|response| response.body_as_plain_transport_dump_response());
    let tuple = dump.expect("a plain transport's dump").tuple();
    SocketAddr::new(tuple.local_address().parse().expect("an IP"), tuple.local_port())
}
