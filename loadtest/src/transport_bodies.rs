//! Bodies of requests for routers and transports of every kind, as the library sends them.

use clap::ValueEnum;
use ringsoup_fbs::fbs::direct_transport::{DirectTransportOptions, DirectTransportOptionsArgs};
use ringsoup_fbs::fbs::pipe_transport::{PipeTransportOptions, PipeTransportOptionsArgs};
use ringsoup_fbs::fbs::plain_transport::{PlainTransportOptions, PlainTransportOptionsArgs};
use ringsoup_fbs::fbs::request::{self, Method};
use ringsoup_fbs::fbs::router::{
    CreateDirectTransportRequest, CreateDirectTransportRequestArgs, CreatePipeTransportRequest,
    CreatePipeTransportRequestArgs, CreatePlainTransportRequest, CreatePlainTransportRequestArgs,
    CreateWebRtcTransportRequest, CreateWebRtcTransportRequestArgs,
};
use ringsoup_fbs::fbs::transport::{
    ListenInfo, ListenInfoArgs, Options, OptionsArgs, PortRange, PortRangeArgs, Protocol, SocketFlags,
    SocketFlagsArgs,
};
use ringsoup_fbs::fbs::web_rtc_transport::{
    Listen, ListenIndividual, ListenIndividualArgs, WebRtcTransportOptions, WebRtcTransportOptionsArgs,
};
use ringsoup_fbs::fbs::worker::{
    CloseRouterRequest, CloseRouterRequestArgs, CreateRouterRequest, CreateRouterRequestArgs,
};
use ringsoup_fbs::flatbuffers::{FlatBufferBuilder, UnionWIPOffset, WIPOffset};

type Builder = FlatBufferBuilder<'static>;
type Union = (request::Body, WIPOffset<UnionWIPOffset>);
/// Builds a body where the request is built.
pub(crate) type Body<'a> = Box<dyn FnOnce(&mut Builder) -> Union + 'a>;

const LOOPBACK: &str = "127.0.0.1";
/// What the library sends for a transport that uses no SCTP.
const SCTP_MESSAGE_BYTES: u32 = 262_144;
const SCTP_SEND_BUFFER_BYTES: u32 = 2_000_000;
const SCTP_RECEIVE_WINDOW_BYTES: u32 = 5_242_880;

/// The kinds of transport there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum TransportKind {
    Plain,
    Webrtc,
    Pipe,
    Direct,
}

pub(crate) fn create_router(router: &str) -> Body<'_> {
    Box::new(move |builder| {
        let router_id = Some(builder.create_string(router));
        let body = CreateRouterRequest::create(builder, &CreateRouterRequestArgs { router_id });
        (request::Body::Worker_CreateRouterRequest, body.as_union_value())
    })
}

pub(crate) fn close_router(router: &str) -> Body<'_> {
    Box::new(move |builder| {
        let router_id = Some(builder.create_string(router));
        let body = CloseRouterRequest::create(builder, &CloseRouterRequestArgs { router_id });
        (request::Body::Worker_CloseRouterRequest, body.as_union_value())
    })
}

fn base(builder: &mut Builder, direct: bool) -> Option<WIPOffset<Options<'static>>> {
    let args = OptionsArgs {
        direct,
        max_send_message_size: SCTP_MESSAGE_BYTES,
        max_receive_message_size: SCTP_MESSAGE_BYTES,
        sctp_send_buffer_size: SCTP_SEND_BUFFER_BYTES,
        sctp_per_stream_send_queue_limit: SCTP_SEND_BUFFER_BYTES,
        sctp_max_receiver_window_buffer_size: SCTP_RECEIVE_WINDOW_BYTES,
        ..OptionsArgs::default()
    };
    Some(Options::create(builder, &args))
}

fn listen_info(builder: &mut Builder) -> WIPOffset<ListenInfo<'static>> {
    let ip = Some(builder.create_string(LOOPBACK));
    let port_range = Some(PortRange::create(builder, &PortRangeArgs::default()));
    let flags = Some(SocketFlags::create(builder, &SocketFlagsArgs::default()));
    let args = ListenInfoArgs { protocol: Protocol::UDP, ip, port_range, flags, ..ListenInfoArgs::default() };
    ListenInfo::create(builder, &args)
}

impl TransportKind {
    pub(crate) const ALL: [Self; 4] = [Self::Plain, Self::Webrtc, Self::Pipe, Self::Direct];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::Webrtc => "webrtc",
            Self::Pipe => "pipe",
            Self::Direct => "direct",
        }
    }

    pub(crate) fn create_method(self) -> Method {
        match self {
            Self::Plain => Method::ROUTER_CREATE_PLAINTRANSPORT,
            Self::Webrtc => Method::ROUTER_CREATE_WEBRTCTRANSPORT,
            Self::Pipe => Method::ROUTER_CREATE_PIPETRANSPORT,
            Self::Direct => Method::ROUTER_CREATE_DIRECTTRANSPORT,
        }
    }

    pub(crate) fn create(self, transport: &str) -> Body<'_> {
        Box::new(move |builder| match self {
            Self::Plain => plain(builder, transport),
            Self::Webrtc => webrtc(builder, transport),
            Self::Pipe => pipe(builder, transport),
            Self::Direct => direct(builder, transport),
        })
    }
}

fn plain(builder: &mut Builder, transport: &str) -> Union {
    let base = base(builder, false);
    let listen_info = Some(listen_info(builder));
    let args = PlainTransportOptionsArgs {
        base,
        listen_info,
        rtcp_mux: true,
        comedia: true,
        ..PlainTransportOptionsArgs::default()
    };
    let options = Some(PlainTransportOptions::create(builder, &args));
    let transport_id = Some(builder.create_string(transport));
    let args = CreatePlainTransportRequestArgs { transport_id, options };
    let body = CreatePlainTransportRequest::create(builder, &args);
    (request::Body::Router_CreatePlainTransportRequest, body.as_union_value())
}

fn webrtc(builder: &mut Builder, transport: &str) -> Union {
    let base = base(builder, false);
    let listen_info = listen_info(builder);
    let listen_infos = Some(builder.create_vector(&[listen_info]));
    let listen = ListenIndividual::create(builder, &ListenIndividualArgs { listen_infos });
    let args = WebRtcTransportOptionsArgs {
        base,
        listen_type: Listen::ListenIndividual,
        listen: Some(listen.as_union_value()),
        ..WebRtcTransportOptionsArgs::default()
    };
    let options = Some(WebRtcTransportOptions::create(builder, &args));
    let transport_id = Some(builder.create_string(transport));
    let args = CreateWebRtcTransportRequestArgs { transport_id, options };
    let body = CreateWebRtcTransportRequest::create(builder, &args);
    (request::Body::Router_CreateWebRtcTransportRequest, body.as_union_value())
}

fn pipe(builder: &mut Builder, transport: &str) -> Union {
    let base = base(builder, false);
    let listen_info = Some(listen_info(builder));
    let args = PipeTransportOptionsArgs { base, listen_info, ..PipeTransportOptionsArgs::default() };
    let options = Some(PipeTransportOptions::create(builder, &args));
    let transport_id = Some(builder.create_string(transport));
    let args = CreatePipeTransportRequestArgs { transport_id, options };
    let body = CreatePipeTransportRequest::create(builder, &args);
    (request::Body::Router_CreatePipeTransportRequest, body.as_union_value())
}

fn direct(builder: &mut Builder, transport: &str) -> Union {
    let base = base(builder, true);
    let options = Some(DirectTransportOptions::create(builder, &DirectTransportOptionsArgs { base }));
    let transport_id = Some(builder.create_string(transport));
    let args = CreateDirectTransportRequestArgs { transport_id, options };
    let body = CreateDirectTransportRequest::create(builder, &args);
    (request::Body::Router_CreateDirectTransportRequest, body.as_union_value())
}
