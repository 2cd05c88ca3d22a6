//! Requests and notifications as bytes, prefix included.

use ringsoup_fbs::fbs::message::Body as MessageBody;
use ringsoup_fbs::fbs::notification::{Event, Notification, NotificationArgs};
use ringsoup_fbs::fbs::plain_transport::{PlainTransportOptions, PlainTransportOptionsArgs};
use ringsoup_fbs::fbs::request::{Body, Method, Request, RequestArgs};
use ringsoup_fbs::fbs::router::{
    CloseTransportRequest, CloseTransportRequestArgs, CreateDirectTransportRequest,
    CreateDirectTransportRequestArgs, CreatePlainTransportRequest, CreatePlainTransportRequestArgs,
};
use ringsoup_fbs::fbs::transport::{
    ListenInfo, ListenInfoArgs, Options, OptionsArgs, PortRange, PortRangeArgs, Protocol, SocketFlags,
    SocketFlagsArgs,
};
use ringsoup_fbs::fbs::worker::{
    CloseRouterRequest, CloseRouterRequestArgs, CreateRouterRequest, CreateRouterRequestArgs,
    UpdateSettingsRequest, UpdateSettingsRequestArgs,
};
use ringsoup_fbs::fbs::{direct_transport, plain_transport};
use ringsoup_fbs::finish_message;
use ringsoup_fbs::flatbuffers::{FlatBufferBuilder, UnionWIPOffset, WIPOffset};

type Builder = FlatBufferBuilder<'static>;
type BodyOffset = (Body, WIPOffset<UnionWIPOffset>);

/// Bytes, of the controller's defaults.
const MESSAGE_BYTES_MAX: u32 = 262_144;

/// A request without a body.
pub fn plain(id: u32, method: Method, handler: &str) -> Vec<u8> {
    finish(&mut Builder::new(), id, method, handler, None)
}

/// A request with the body that `body` builds.
pub fn with_body(
    id: u32,
    method: Method,
    handler: &str,
    body: impl FnOnce(&mut Builder) -> BodyOffset,
) -> Vec<u8> {
    let mut builder = Builder::new();
    let body = body(&mut builder);
    finish(&mut builder, id, method, handler, Some(body))
}

fn finish(
    builder: &mut Builder,
    id: u32,
    method: Method,
    handler: &str,
    body: Option<BodyOffset>,
) -> Vec<u8> {
    let handler_id = Some(builder.create_string(handler));
    let (body_type, body) = body.map_or((Body::NONE, None), |(kind, body)| (kind, Some(body)));
    let request = Request::create(builder, &RequestArgs { id, method, handler_id, body_type, body });
    finish_message(builder, MessageBody::Request, request.as_union_value()).to_vec()
}

/// A notification without a body.
pub fn notification(event: Event, handler: &str) -> Vec<u8> {
    let mut builder = Builder::new();
    let handler_id = Some(builder.create_string(handler));
    let told = Notification::create(
        &mut builder,
        &NotificationArgs { handler_id, event, ..NotificationArgs::default() },
    );
    finish_message(&mut builder, MessageBody::Notification, told.as_union_value()).to_vec()
}

pub fn worker_dump(id: u32) -> Vec<u8> {
    plain(id, Method::WORKER_DUMP, "")
}

pub fn update_settings(id: u32, level: Option<&str>, tags: Option<&[&str]>) -> Vec<u8> {
    with_body(id, Method::WORKER_UPDATE_SETTINGS, "", |builder| {
        let log_level = level.map(|level| builder.create_string(level));
        let log_tags = tags.map(|tags| {
            let tags: Vec<_> = tags.iter().map(|tag| builder.create_string(tag)).collect();
            builder.create_vector(&tags)
        });
        let body = UpdateSettingsRequest::create(builder, &UpdateSettingsRequestArgs { log_level, log_tags });
        (Body::Worker_UpdateSettingsRequest, body.as_union_value())
    })
}

pub fn create_router(id: u32, router: &str) -> Vec<u8> {
    with_body(id, Method::WORKER_CREATE_ROUTER, "", |builder| {
        let router_id = Some(builder.create_string(router));
        let body = CreateRouterRequest::create(builder, &CreateRouterRequestArgs { router_id });
        (Body::Worker_CreateRouterRequest, body.as_union_value())
    })
}

pub fn close_router(id: u32, router: &str) -> Vec<u8> {
    with_body(id, Method::WORKER_CLOSE_ROUTER, "", |builder| {
        let router_id = Some(builder.create_string(router));
        let body = CloseRouterRequest::create(builder, &CloseRouterRequestArgs { router_id });
        (Body::Worker_CloseRouterRequest, body.as_union_value())
    })
}

pub(crate) fn base_options(builder: &mut Builder, direct: bool) -> WIPOffset<Options<'static>> {
    Options::create(
        builder,
        &OptionsArgs {
            direct,
            max_send_message_size: MESSAGE_BYTES_MAX,
            max_receive_message_size: MESSAGE_BYTES_MAX,
            ..OptionsArgs::default()
        },
    )
}

pub fn create_direct_transport(id: u32, router: &str, transport: &str) -> Vec<u8> {
    with_body(id, Method::ROUTER_CREATE_DIRECTTRANSPORT, router, |builder| {
        let base = Some(base_options(builder, true));
        let options = direct_transport::DirectTransportOptions::create(
            builder,
            &direct_transport::DirectTransportOptionsArgs { base },
        );
        let transport_id = Some(builder.create_string(transport));
        let body = CreateDirectTransportRequest::create(
            builder,
            &CreateDirectTransportRequestArgs { transport_id, options: Some(options) },
        );
        (Body::Router_CreateDirectTransportRequest, body.as_union_value())
    })
}

/// A comedia transport with rtcpMux.
pub fn create_plain_transport(id: u32, router: &str, transport: &str, ip: &str, port: u16) -> Vec<u8> {
    with_body(id, Method::ROUTER_CREATE_PLAINTRANSPORT, router, |builder| {
        let base = Some(base_options(builder, false));
        let listen_info = Some(listen_info(builder, ip, port));
        let options = PlainTransportOptions::create(
            builder,
            &PlainTransportOptionsArgs {
                base,
                listen_info,
                rtcp_mux: true,
                comedia: true,
                ..PlainTransportOptionsArgs::default()
            },
        );
        let transport_id = Some(builder.create_string(transport));
        let body = CreatePlainTransportRequest::create(
            builder,
            &CreatePlainTransportRequestArgs { transport_id, options: Some(options) },
        );
        (Body::Router_CreatePlainTransportRequest, body.as_union_value())
    })
}

pub(crate) fn listen_info(builder: &mut Builder, ip: &str, port: u16) -> WIPOffset<ListenInfo<'static>> {
    let ip = Some(builder.create_string(ip));
    let port_range = Some(PortRange::create(builder, &PortRangeArgs::default()));
    let flags = Some(SocketFlags::create(builder, &SocketFlagsArgs::default()));
    ListenInfo::create(
        builder,
        &ListenInfoArgs { protocol: Protocol::UDP, ip, port, port_range, flags, ..ListenInfoArgs::default() },
    )
}

/// `address` is absent where a comedia transport is only given its keys.
pub fn connect_plain_transport(id: u32, transport: &str, address: Option<(&str, u16)>) -> Vec<u8> {
    with_body(id, Method::PLAINTRANSPORT_CONNECT, transport, |builder| {
        let ip = address.map(|(ip, _)| builder.create_string(ip));
        let body = plain_transport::ConnectRequest::create(
            builder,
            &plain_transport::ConnectRequestArgs {
                ip,
                port: address.map(|(_, port)| port),
                ..plain_transport::ConnectRequestArgs::default()
            },
        );
        (Body::PlainTransport_ConnectRequest, body.as_union_value())
    })
}

pub fn close_transport(id: u32, router: &str, transport: &str) -> Vec<u8> {
    with_body(id, Method::ROUTER_CLOSE_TRANSPORT, router, |builder| {
        let transport_id = Some(builder.create_string(transport));
        let body = CloseTransportRequest::create(builder, &CloseTransportRequestArgs { transport_id });
        (Body::Router_CloseTransportRequest, body.as_union_value())
    })
}
