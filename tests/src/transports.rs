//! Requests of pipe and WebRTC transports and of WebRtcServers, prefix included.

use ringsoup_fbs::fbs::pipe_transport::{PipeTransportOptions, PipeTransportOptionsArgs};
use ringsoup_fbs::fbs::request::{Body, Method};
use ringsoup_fbs::fbs::router::{
    CreatePipeTransportRequest, CreatePipeTransportRequestArgs, CreateWebRtcTransportRequest,
    CreateWebRtcTransportRequestArgs,
};
use ringsoup_fbs::fbs::web_rtc_transport::{
    Listen, ListenIndividual, ListenIndividualArgs, ListenServer, ListenServerArgs, WebRtcTransportOptions,
    WebRtcTransportOptionsArgs,
};
use ringsoup_fbs::fbs::worker::{
    CloseWebRtcServerRequest, CloseWebRtcServerRequestArgs, CreateWebRtcServerRequest,
    CreateWebRtcServerRequestArgs,
};
use ringsoup_fbs::flatbuffers::{FlatBufferBuilder, UnionWIPOffset, WIPOffset};

use crate::request::{base_options, listen_info, with_body};

const LOOPBACK: &str = "127.0.0.1";

type Builder = FlatBufferBuilder<'static>;

/// With SRTP, on a port of the worker's choice.
pub fn create_pipe_transport(id: u32, router: &str, transport: &str) -> Vec<u8> {
    with_body(id, Method::ROUTER_CREATE_PIPETRANSPORT, router, |builder| {
        let base = Some(base_options(builder, false));
        let listen_info = Some(listen_info(builder, LOOPBACK, 0));
        let args = PipeTransportOptionsArgs { base, listen_info, enable_rtx: true, enable_srtp: true };
        let options = Some(PipeTransportOptions::create(builder, &args));
        let transport_id = Some(builder.create_string(transport));
        let args = CreatePipeTransportRequestArgs { transport_id, options };
        let body = CreatePipeTransportRequest::create(builder, &args);
        (Body::Router_CreatePipeTransportRequest, body.as_union_value())
    })
}

fn web_rtc_transport(
    builder: &mut Builder,
    transport: &str,
    (listen_type, listen): (Listen, WIPOffset<UnionWIPOffset>),
) -> (Body, WIPOffset<UnionWIPOffset>) {
    let base = Some(base_options(builder, false));
    let args = WebRtcTransportOptionsArgs { base, listen_type, listen: Some(listen), ..Default::default() };
    let options = Some(WebRtcTransportOptions::create(builder, &args));
    let transport_id = Some(builder.create_string(transport));
    let args = CreateWebRtcTransportRequestArgs { transport_id, options };
    let body = CreateWebRtcTransportRequest::create(builder, &args);
    (Body::Router_CreateWebRtcTransportRequest, body.as_union_value())
}

/// On a port of its own.
pub fn create_web_rtc_transport(id: u32, router: &str, transport: &str) -> Vec<u8> {
    with_body(id, Method::ROUTER_CREATE_WEBRTCTRANSPORT, router, |builder| {
        let info = listen_info(builder, LOOPBACK, 0);
        let listen_infos = Some(builder.create_vector(&[info]));
        let listen = ListenIndividual::create(builder, &ListenIndividualArgs { listen_infos });
        web_rtc_transport(builder, transport, (Listen::ListenIndividual, listen.as_union_value()))
    })
}

pub fn create_web_rtc_transport_with_server(id: u32, router: &str, transport: &str, server: &str) -> Vec<u8> {
    with_body(id, Method::ROUTER_CREATE_WEBRTCTRANSPORT_WITH_SERVER, router, |builder| {
        let web_rtc_server_id = Some(builder.create_string(server));
        let listen = ListenServer::create(builder, &ListenServerArgs { web_rtc_server_id });
        web_rtc_transport(builder, transport, (Listen::ListenServer, listen.as_union_value()))
    })
}

/// On a port of the worker's choice.
pub fn create_web_rtc_server(id: u32, server: &str) -> Vec<u8> {
    with_body(id, Method::WORKER_CREATE_WEBRTCSERVER, "", |builder| {
        let info = listen_info(builder, LOOPBACK, 0);
        let listen_infos = Some(builder.create_vector(&[info]));
        let web_rtc_server_id = Some(builder.create_string(server));
        let args = CreateWebRtcServerRequestArgs { web_rtc_server_id, listen_infos };
        let body = CreateWebRtcServerRequest::create(builder, &args);
        (Body::Worker_CreateWebRtcServerRequest, body.as_union_value())
    })
}

pub fn close_web_rtc_server(id: u32, server: &str) -> Vec<u8> {
    with_body(id, Method::WORKER_WEBRTCSERVER_CLOSE, "", |builder| {
        let web_rtc_server_id = Some(builder.create_string(server));
        let args = CloseWebRtcServerRequestArgs { web_rtc_server_id };
        let body = CloseWebRtcServerRequest::create(builder, &args);
        (Body::Worker_CloseWebRtcServerRequest, body.as_union_value())
    })
}
