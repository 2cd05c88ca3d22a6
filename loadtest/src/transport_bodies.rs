//! Bodies of requests for routers and transports of every kind, as the library sends them.

use clap::ValueEnum;
use ringsoup_fbs::fbs::direct_transport::{DirectTransportOptions, DirectTransportOptionsArgs};
use ringsoup_fbs::fbs::pipe_transport::{PipeTransportOptions, PipeTransportOptionsArgs};
use ringsoup_fbs::fbs::plain_transport::{PlainTransportOptions, PlainTransportOptionsArgs};
use ringsoup_fbs::fbs::request::{self, Method};
use ringsoup_fbs::fbs::router::{
    CloseTransportRequest, CloseTransportRequestArgs, CreateDirectTransportRequest,
    CreateDirectTransportRequestArgs, CreatePipeTransportRequest, CreatePipeTransportRequestArgs,
    CreatePlainTransportRequest, CreatePlainTransportRequestArgs, CreateWebRtcTransportRequest,
    CreateWebRtcTransportRequestArgs,
};
use ringsoup_fbs::fbs::transport::{
    ListenInfo, ListenInfoArgs, Options, OptionsArgs, PortRange, PortRangeArgs, Protocol, SocketFlags,
    SocketFlagsArgs,
};
use ringsoup_fbs::fbs::web_rtc_transport::{
    ConnectRequest, ConnectRequestArgs, DtlsParameters, DtlsParametersArgs, DtlsRole, Fingerprint,
    FingerprintAlgorithm, FingerprintArgs, Listen, ListenIndividual, ListenIndividualArgs, ListenServer,
    ListenServerArgs, WebRtcTransportOptions, WebRtcTransportOptionsArgs,
};
use ringsoup_fbs::fbs::worker::{
    CloseRouterRequest, CloseRouterRequestArgs, CreateRouterRequest, CreateRouterRequestArgs,
    CreateWebRtcServerRequest, CreateWebRtcServerRequestArgs,
};
use ringsoup_fbs::flatbuffers::{FlatBufferBuilder, ForwardsUOffset, UnionWIPOffset, Vector, WIPOffset};
use ringsoup_peer::LocalParameters;
use ringsoup_rtc::dtls::Role;

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

fn listen_info(builder: &mut Builder, protocol: Protocol) -> WIPOffset<ListenInfo<'static>> {
    let ip = Some(builder.create_string(LOOPBACK));
    let port_range = Some(PortRange::create(builder, &PortRangeArgs::default()));
    let flags = Some(SocketFlags::create(builder, &SocketFlagsArgs::default()));
    let args = ListenInfoArgs { protocol, ip, port_range, flags, ..ListenInfoArgs::default() };
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
            Self::Webrtc => webrtc(builder, transport, &Listening::Own { tcp: false }),
            Self::Pipe => pipe(builder, transport),
            Self::Direct => direct(builder, transport),
        })
    }
}

fn plain(builder: &mut Builder, transport: &str) -> Union {
    let base = base(builder, false);
    let listen_info = Some(listen_info(builder, Protocol::UDP));
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

/// Where a WebRTC transport listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Listening {
    /// On sockets of its own.
    Own { tcp: bool },
    /// On those of the server with this id.
    Server(String),
}

fn webrtc_listen_infos<'a>(
    builder: &mut Builder,
    tcp: bool,
) -> WIPOffset<Vector<'a, ForwardsUOffset<ListenInfo<'static>>>> {
    let mut infos = vec![listen_info(builder, Protocol::UDP)];
    if tcp {
        infos.push(listen_info(builder, Protocol::TCP));
    }
    builder.create_vector(&infos)
}

fn webrtc(builder: &mut Builder, transport: &str, listening: &Listening) -> Union {
    let base = base(builder, false);
    let (listen_type, listen) = match listening {
        Listening::Own { tcp } => {
            let listen_infos = Some(webrtc_listen_infos(builder, *tcp));
            let listen = ListenIndividual::create(builder, &ListenIndividualArgs { listen_infos });
            (Listen::ListenIndividual, listen.as_union_value())
        }
        Listening::Server(server) => {
            let web_rtc_server_id = Some(builder.create_string(server));
            let listen = ListenServer::create(builder, &ListenServerArgs { web_rtc_server_id });
            (Listen::ListenServer, listen.as_union_value())
        }
    };
    let args = WebRtcTransportOptionsArgs {
        base,
        listen_type,
        listen: Some(listen),
        ..WebRtcTransportOptionsArgs::default()
    };
    let options = Some(WebRtcTransportOptions::create(builder, &args));
    let transport_id = Some(builder.create_string(transport));
    let args = CreateWebRtcTransportRequestArgs { transport_id, options };
    let body = CreateWebRtcTransportRequest::create(builder, &args);
    (request::Body::Router_CreateWebRtcTransportRequest, body.as_union_value())
}

impl Listening {
    pub(crate) fn create_method(&self) -> Method {
        match self {
            Self::Own { .. } => Method::ROUTER_CREATE_WEBRTCTRANSPORT,
            Self::Server(_) => Method::ROUTER_CREATE_WEBRTCTRANSPORT_WITH_SERVER,
        }
    }

    pub(crate) fn create<'a>(&'a self, transport: &'a str) -> Body<'a> {
        Box::new(move |builder| webrtc(builder, transport, self))
    }
}

pub(crate) fn create_webrtc_server(server: &str, tcp: bool) -> Body<'_> {
    Box::new(move |builder| {
        let listen_infos = Some(webrtc_listen_infos(builder, tcp));
        let web_rtc_server_id = Some(builder.create_string(server));
        let args = CreateWebRtcServerRequestArgs { web_rtc_server_id, listen_infos };
        let body = CreateWebRtcServerRequest::create(builder, &args);
        (request::Body::Worker_CreateWebRtcServerRequest, body.as_union_value())
    })
}

/// What a WebRTC transport is told of its peer.
pub(crate) fn connect_webrtc(local: &LocalParameters) -> Body<'_> {
    Box::new(move |builder| {
        let value = Some(builder.create_string(&local.fingerprint.value));
        let args = FingerprintArgs { algorithm: FingerprintAlgorithm::SHA256, value };
        let fingerprint = Fingerprint::create(builder, &args);
        let fingerprints = Some(builder.create_vector(&[fingerprint]));
        let role = if local.role == Role::Client { DtlsRole::CLIENT } else { DtlsRole::SERVER };
        let dtls_parameters =
            Some(DtlsParameters::create(builder, &DtlsParametersArgs { fingerprints, role }));
        let body = ConnectRequest::create(builder, &ConnectRequestArgs { dtls_parameters });
        (request::Body::WebRtcTransport_ConnectRequest, body.as_union_value())
    })
}

pub(crate) fn close_transport(transport: &str) -> Body<'_> {
    Box::new(move |builder| {
        let transport_id = Some(builder.create_string(transport));
        let body = CloseTransportRequest::create(builder, &CloseTransportRequestArgs { transport_id });
        (request::Body::Router_CloseTransportRequest, body.as_union_value())
    })
}

fn pipe(builder: &mut Builder, transport: &str) -> Union {
    let base = base(builder, false);
    let listen_info = Some(listen_info(builder, Protocol::UDP));
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
