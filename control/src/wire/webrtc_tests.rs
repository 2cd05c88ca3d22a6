//! WebRTC transports and servers on the wire: the frames of both directions.

use ringsoup_fbs::fbs::request::{Body, Method as Number};
use ringsoup_fbs::fbs::transport::Protocol as WireProtocol;
use ringsoup_fbs::fbs::{router, web_rtc_transport as wire, worker};
use ringsoup_rtc::dtls::{self, Fingerprint, FingerprintAlgorithm, Role};
use ringsoup_rtc::ice::{self, Candidate, CandidateProtocol, Credentials};
use ringsoup_sfu::command::{CommandError, Protocol, WebRtcConnect, WebRtcListen};
use ringsoup_sfu::reply::{Reply, ServedTransport, WebRtcTransportDump, WebRtcTransportStats};

use super::decode_tests::{body, body_error, sample};
use super::response_tests::{check_transport_dump, reply, respond};
use super::{Builder, Union, reply_samples as replies, samples};
use crate::message::{Offer, RequestBody, ResponseBody, WebRtcServerDump};
use crate::method::Method;

/// One of each request, in order.
pub(super) fn requests() -> Vec<(Method, Vec<u8>)> {
    let close = samples::request(Number::WORKER_WEBRTCSERVER_CLOSE, |builder| {
        let web_rtc_server_id = Some(builder.create_string("s"));
        let args = worker::CloseWebRtcServerRequestArgs { web_rtc_server_id };
        let body = worker::CloseWebRtcServerRequest::create(builder, &args).as_union_value();
        (Body::Worker_CloseWebRtcServerRequest, Some(body))
    });
    vec![
        (Method::WorkerCreateWebRtcServer, create_server(Some("10.0.0.1"))),
        (Method::WorkerCloseWebRtcServer, close),
        (Method::RouterCreateWebRtcTransport, create(false, "10.0.0.1")),
        (Method::RouterCreateWebRtcTransportWithServer, create(true, "")),
        (Method::WebRtcTransportConnect, connect(4, 1)),
    ]
}

fn create_server(ip: Option<&str>) -> Vec<u8> {
    samples::request(Number::WORKER_CREATE_WEBRTCSERVER, |builder| {
        let listen_infos = ip.map(|ip| {
            let info = samples::listen_info(builder, WireProtocol::TCP, ip);
            builder.create_vector(&[info])
        });
        let web_rtc_server_id = Some(builder.create_string("s"));
        let args = worker::CreateWebRtcServerRequestArgs { web_rtc_server_id, listen_infos };
        let body = worker::CreateWebRtcServerRequest::create(builder, &args).as_union_value();
        (Body::Worker_CreateWebRtcServerRequest, Some(body))
    })
}

fn create(with_server: bool, ip: &str) -> Vec<u8> {
    let (method, listens) = match with_server {
        true => (Number::ROUTER_CREATE_WEBRTCTRANSPORT_WITH_SERVER, wire::Listen::ListenServer),
        false => (Number::ROUTER_CREATE_WEBRTCTRANSPORT, wire::Listen::ListenIndividual),
    };
    create_by(method, listens, ip)
}

fn create_by(method: Number, listen_type: wire::Listen, ip: &str) -> Vec<u8> {
    samples::request(method, |builder| {
        let listen = if listen_type == wire::Listen::ListenServer {
            let web_rtc_server_id = Some(builder.create_string("s"));
            wire::ListenServer::create(builder, &wire::ListenServerArgs { web_rtc_server_id })
                .as_union_value()
        } else {
            individual(builder, ip)
        };
        let base = Some(samples::options(builder));
        let args = wire::WebRtcTransportOptionsArgs {
            base,
            listen_type,
            listen: Some(listen),
            enable_udp: true,
            enable_tcp: false,
            prefer_udp: false,
            prefer_tcp: true,
            ice_consent_timeout: 77,
            ringsoup_prefer: Some(WireProtocol::TCP),
        };
        let options = Some(wire::WebRtcTransportOptions::create(builder, &args));
        let transport_id = Some(builder.create_string("t"));
        let args = router::CreateWebRtcTransportRequestArgs { transport_id, options };
        let body = router::CreateWebRtcTransportRequest::create(builder, &args).as_union_value();
        (Body::Router_CreateWebRtcTransportRequest, Some(body))
    })
}

fn individual(builder: &mut Builder, ip: &str) -> Union {
    let udp = samples::listen_info(builder, WireProtocol::UDP, "::1");
    let tcp = samples::listen_info(builder, WireProtocol::TCP, ip);
    let listen_infos = Some(builder.create_vector(&[udp, tcp]));
    wire::ListenIndividual::create(builder, &wire::ListenIndividualArgs { listen_infos }).as_union_value()
}

fn connect(algorithm: u8, role: u8) -> Vec<u8> {
    samples::request(Number::WEBRTCTRANSPORT_CONNECT, |builder| {
        let value = Some(builder.create_string("AB:CD"));
        let algorithm = wire::FingerprintAlgorithm(algorithm);
        let fingerprint = wire::Fingerprint::create(builder, &wire::FingerprintArgs { algorithm, value });
        let fingerprints = Some(builder.create_vector(&[fingerprint]));
        let args = wire::DtlsParametersArgs { fingerprints, role: wire::DtlsRole(role) };
        let dtls_parameters = Some(wire::DtlsParameters::create(builder, &args));
        let args = wire::ConnectRequestArgs { dtls_parameters };
        let body = wire::ConnectRequest::create(builder, &args).as_union_value();
        (Body::WebRtcTransport_ConnectRequest, Some(body))
    })
}

#[test]
fn servers_are_created_and_closed() {
    let RequestBody::CreateWebRtcServer { server, listen_infos } = sample(Method::WorkerCreateWebRtcServer)
    else {
        panic!()
    };
    let infos = listen_infos.unwrap();
    assert_eq!((&*server, infos.len(), infos[0].protocol), ("s", 1, Protocol::Tcp));
    // A bad address is told when its turn has come, a missing list is an empty one.
    let RequestBody::CreateWebRtcServer { listen_infos, .. } = body(&create_server(Some("chicken"))) else {
        panic!()
    };
    assert_eq!(listen_infos, Err(CommandError::type_error("invalid IP 'chicken'")));
    let RequestBody::CreateWebRtcServer { listen_infos, .. } = body(&create_server(None)) else { panic!() };
    assert_eq!(listen_infos, Ok(Vec::new()));
    assert!(
        matches!(sample(Method::WorkerCloseWebRtcServer), RequestBody::CloseWebRtcServer { server } if &*server == "s")
    );
}

#[test]
fn transports_listen_by_themselves_or_through_a_server() {
    let RequestBody::CreateWebRtcTransport { transport, options } =
        sample(Method::RouterCreateWebRtcTransport)
    else {
        panic!()
    };
    assert_eq!((&*transport, options.ice_consent_timeout), ("t", 77));
    assert!(options.base.enable_sctp);
    assert_eq!(options.prefer, Some(Protocol::Tcp));
    let WebRtcListen::Individual(Ok(infos)) = &options.listen else { panic!() };
    let listening: Vec<_> = infos.iter().map(|info| (info.protocol, info.ip.to_string())).collect();
    assert_eq!(listening, [(Protocol::Udp, "::1".into()), (Protocol::Tcp, "10.0.0.1".into())]);
    let RequestBody::CreateWebRtcTransport { options, .. } = body(&create(false, "chicken")) else {
        panic!()
    };
    let bad_ip = CommandError::type_error("invalid IP 'chicken'");
    assert_eq!(options.listen, WebRtcListen::Individual(Err(bad_ip)));

    let RequestBody::CreateServedTransport(request) = sample(Method::RouterCreateWebRtcTransportWithServer)
    else {
        panic!()
    };
    assert_eq!((&*request.transport, &*request.server, request.ice_consent_timeout), ("t", "s", 77));
    let offer = Offer { enable_udp: true, enable_tcp: false, prefer_udp: false, prefer_tcp: true };
    assert_eq!(request.offer, offer);

    let other = wire::Listen::ListenServer;
    let mixed_up = create_by(Number::ROUTER_CREATE_WEBRTCTRANSPORT, other, "");
    assert_eq!(body_error(&mixed_up), "missing listenInfos");
    let other = wire::Listen::ListenIndividual;
    let mixed_up = create_by(Number::ROUTER_CREATE_WEBRTCTRANSPORT_WITH_SERVER, other, "::1");
    assert_eq!(body_error(&mixed_up), "missing webRtcServerId");
}

#[test]
fn connect_names_known_algorithms_and_roles() {
    let RequestBody::ConnectWebRtcTransport(request) = sample(Method::WebRtcTransportConnect) else {
        panic!()
    };
    let fingerprint = Fingerprint { algorithm: FingerprintAlgorithm::Sha512, value: "AB:CD".into() };
    assert_eq!(request, WebRtcConnect { fingerprints: vec![fingerprint], role: Role::Client });
    for (number, algorithm) in (0..).zip(FingerprintAlgorithm::ALL) {
        let RequestBody::ConnectWebRtcTransport(request) = body(&connect(number, 0)) else { panic!() };
        assert_eq!((request.fingerprints[0].algorithm, request.role), (algorithm, Role::Auto));
    }
    assert_eq!(body_error(&connect(5, 0)), "unknown fingerprint algorithm 5");
    assert_eq!(body_error(&connect(0, 3)), "unknown DTLS role 3");
}

pub(super) fn credentials() -> Credentials {
    Credentials { username_fragment: "fragment".into(), password: "password".into() }
}

fn candidate(protocol: CandidateProtocol) -> Candidate {
    Candidate { protocol, priority: 4_000_000_000, address: "sfu.test".into(), port: 44_444 }
}

pub(super) fn transport_dump() -> WebRtcTransportDump {
    WebRtcTransportDump {
        base: replies::transport_dump(),
        ice_parameters: credentials(),
        ice_candidates: vec![candidate(CandidateProtocol::Udp), candidate(CandidateProtocol::Tcp)],
        ice_state: ice::State::Completed,
        ice_selected_tuple: Some(replies::tuple(Some("[::1]:6000"))),
        dtls_role: Role::Server,
        dtls_fingerprints: vec![Fingerprint::of(FingerprintAlgorithm::Sha224, b"x")],
        dtls_state: dtls::State::Failed,
    }
}

pub(super) fn transport_stats() -> WebRtcTransportStats {
    WebRtcTransportStats {
        base: replies::transport_stats(),
        ice_state: ice::State::Disconnected,
        ice_selected_tuple: None,
        dtls_state: dtls::State::Connecting,
    }
}

pub(super) fn server_dump() -> WebRtcServerDump {
    let transports = vec![
        ServedTransport { transport: "t".into(), username_fragments: vec!["new".into(), "old".into()] },
        ServedTransport { transport: "u".into(), username_fragments: vec!["only".into()] },
    ];
    WebRtcServerDump {
        server: "s".into(),
        udp_sockets: vec!["127.0.0.1:1".parse().unwrap(), "[::1]:2".parse().unwrap()],
        tcp_servers: vec!["127.0.0.1:3".parse().unwrap()],
        transports,
    }
}

#[test]
fn a_transport_shows_its_ice_and_dtls() {
    reply(Reply::WebRtcTransportDump(Box::new(transport_dump())), |response| {
        let dump = response.body_as_web_rtc_transport_dump_response().unwrap();
        check_transport_dump(dump.base());
        let parameters = dump.ice_parameters();
        assert_eq!((parameters.username_fragment(), parameters.password()), ("fragment", "password"));
        assert_eq!((parameters.ice_lite(), dump.ice_role()), (true, wire::IceRole::CONTROLLED));
        let candidates: Vec<_> = dump.ice_candidates().iter().collect();
        assert_eq!((candidates[0].foundation(), candidates[0].tcp_type()), ("udpcandidate", None));
        assert_eq!(
            (candidates[0].protocol(), candidates[1].protocol()),
            (WireProtocol::UDP, WireProtocol::TCP)
        );
        assert_eq!((candidates[1].foundation(), candidates[1].priority()), ("tcpcandidate", 4_000_000_000));
        assert_eq!(candidates[1].tcp_type(), Some(wire::IceCandidateTcpType::PASSIVE));
        assert_eq!((candidates[1].address(), candidates[1].port()), ("sfu.test", 44_444));
        assert_eq!(
            (dump.ice_state(), dump.dtls_state()),
            (wire::IceState::COMPLETED, wire::DtlsState::FAILED)
        );
        assert_eq!(dump.ice_selected_tuple().unwrap().remote_ip(), Some("::1"));
        let parameters = dump.dtls_parameters();
        assert_eq!(parameters.role(), wire::DtlsRole::SERVER);
        let fingerprint = parameters.fingerprints().get(0);
        assert_eq!(fingerprint.algorithm(), wire::FingerprintAlgorithm::SHA224);
        assert_eq!(fingerprint.value().len(), 3 * 28 - 1);
    });
    reply(Reply::WebRtcTransportStats(Box::new(transport_stats())), |response| {
        let stats = response.body_as_web_rtc_transport_get_stats_response().unwrap();
        assert_eq!(stats.base().bytes_received(), 1);
        assert_eq!(
            (stats.ice_state(), stats.dtls_state()),
            (wire::IceState::DISCONNECTED, wire::DtlsState::CONNECTING)
        );
        assert!(stats.ice_selected_tuple().is_none());
    });
}

#[test]
fn answers_to_connect_and_restart() {
    for (role, expected) in [(Role::Client, wire::DtlsRole::CLIENT), (Role::Server, wire::DtlsRole::SERVER)] {
        reply(Reply::WebRtcConnect { role }, |response| {
            let connected = response.body_as_web_rtc_transport_connect_response().unwrap();
            assert_eq!(connected.dtls_local_role(), expected);
        });
    }
    reply(Reply::RestartIce(credentials()), |response| {
        let restarted = response.body_as_transport_restart_ice_response().unwrap();
        assert_eq!((restarted.username_fragment(), restarted.password()), ("fragment", "password"));
        assert!(restarted.ice_lite());
    });
}

#[test]
fn a_server_shows_its_addresses_and_its_transports() {
    respond(ResponseBody::WebRtcServerDump(Box::new(server_dump())), |response| {
        let dump = response.body_as_web_rtc_server_dump_response().unwrap();
        assert_eq!(dump.id(), "s");
        let sockets: Vec<_> =
            dump.udp_sockets().iter().map(|one| (one.ip().to_owned(), one.port())).collect();
        assert_eq!(sockets, [("127.0.0.1".into(), 1), ("::1".into(), 2)]);
        assert_eq!((dump.tcp_servers().len(), dump.tcp_servers().get(0).port()), (1, 3));
        assert_eq!(dump.web_rtc_transport_ids().iter().collect::<Vec<_>>(), ["t", "u"]);
        let fragments: Vec<_> = dump
            .local_ice_username_fragments()
            .iter()
            .map(|one| (one.local_ice_username_fragment(), one.web_rtc_transport_id()))
            .collect();
        assert_eq!(fragments, [("new", "t"), ("old", "t"), ("only", "u")]);
    });
}
