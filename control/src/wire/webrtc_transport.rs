//! WebRTC transports: options, connect, ICE restart, dump and statistics.

use flatbuffers::WIPOffset;
use ringsoup_fbs::fbs::router::CreateWebRtcTransportRequest;
use ringsoup_fbs::fbs::{transport as wire_transport, web_rtc_transport as wire};
use ringsoup_rtc::dtls::{self, Fingerprint, FingerprintAlgorithm, Role};
use ringsoup_rtc::ice::{self, Candidate, CandidateProtocol, Credentials};
use ringsoup_sfu::command::{CommandError, WebRtcConnect, WebRtcListen, WebRtcTransportOptions};
use ringsoup_sfu::reply::{Tuple, WebRtcTransportDump, WebRtcTransportStats};

use super::{Builder, Union, tables, transport, unknown_number};
use crate::message::{Offer, RequestBody, ServedTransportRequest};

pub(super) fn create(body: CreateWebRtcTransportRequest<'_>) -> Result<RequestBody, CommandError> {
    let options = body.options();
    let listen = options.listen_as_listen_individual();
    let listen = listen.ok_or_else(|| CommandError::type_error("missing listenInfos"))?;
    let infos = listen.listen_infos().iter().map(transport::listen_info).collect();
    Ok(RequestBody::CreateWebRtcTransport {
        transport: body.transport_id().into(),
        options: Box::new(WebRtcTransportOptions {
            base: transport::options(options.base()),
            listen: WebRtcListen::Individual(infos),
            prefer: options.ringsoup_prefer().map(transport::protocol).transpose()?,
            ice_consent_timeout: options.ice_consent_timeout(),
        }),
    })
}

pub(super) fn create_with_server(
    body: CreateWebRtcTransportRequest<'_>,
) -> Result<RequestBody, CommandError> {
    let options = body.options();
    let listen = options.listen_as_listen_server();
    let listen = listen.ok_or_else(|| CommandError::type_error("missing webRtcServerId"))?;
    Ok(RequestBody::CreateServedTransport(Box::new(ServedTransportRequest {
        transport: body.transport_id().into(),
        server: listen.web_rtc_server_id().into(),
        base: transport::options(options.base()),
        offer: Offer {
            enable_udp: options.enable_udp(),
            enable_tcp: options.enable_tcp(),
            prefer_udp: options.prefer_udp(),
            prefer_tcp: options.prefer_tcp(),
        },
        ice_consent_timeout: options.ice_consent_timeout(),
    })))
}

pub(super) fn connect(body: wire::ConnectRequest<'_>) -> Result<RequestBody, CommandError> {
    let parameters = body.dtls_parameters();
    let role = match parameters.role() {
        wire::DtlsRole::AUTO => Role::Auto,
        wire::DtlsRole::CLIENT => Role::Client,
        wire::DtlsRole::SERVER => Role::Server,
        wire::DtlsRole(number) => return Err(unknown_number("DTLS role", number)),
    };
    let fingerprints = parameters.fingerprints().iter().map(fingerprint).collect::<Result<_, _>>()?;
    Ok(RequestBody::ConnectWebRtcTransport(WebRtcConnect { fingerprints, role }))
}

fn fingerprint(given: wire::Fingerprint<'_>) -> Result<Fingerprint, CommandError> {
    let algorithm = FingerprintAlgorithm::ALL
        .into_iter()
        .find(|known| fingerprint_algorithm(*known) == given.algorithm());
    let algorithm = algorithm.ok_or_else(|| unknown_number("fingerprint algorithm", given.algorithm().0))?;
    Ok(Fingerprint { algorithm, value: given.value().to_owned() })
}

pub(super) fn connected(builder: &mut Builder, role: Role) -> Union {
    let args = wire::ConnectResponseArgs { dtls_local_role: dtls_role(role) };
    wire::ConnectResponse::create(builder, &args).as_union_value()
}

pub(super) fn ice_restarted(builder: &mut Builder, credentials: &Credentials) -> Union {
    let username_fragment = Some(builder.create_string(&credentials.username_fragment));
    let password = Some(builder.create_string(&credentials.password));
    let args = wire_transport::RestartIceResponseArgs { username_fragment, password, ice_lite: true };
    wire_transport::RestartIceResponse::create(builder, &args).as_union_value()
}

pub(super) fn dump(builder: &mut Builder, dump: &WebRtcTransportDump) -> Union {
    let base = Some(transport::dump(builder, &dump.base));
    let ice_parameters = Some(ice_parameters(builder, &dump.ice_parameters));
    let ice_candidates = Some(tables(builder, &dump.ice_candidates, candidate));
    let ice_selected_tuple = dump.ice_selected_tuple.as_ref().map(|tuple| transport::tuple(builder, tuple));
    let dtls_parameters = Some(dtls_parameters(builder, &dump.dtls_fingerprints, dump.dtls_role));
    let args = wire::DumpResponseArgs {
        base,
        ice_role: wire::IceRole::CONTROLLED,
        ice_parameters,
        ice_candidates,
        ice_state: ice_state(dump.ice_state),
        ice_selected_tuple,
        dtls_parameters,
        dtls_state: dtls_state(dump.dtls_state),
    };
    wire::DumpResponse::create(builder, &args).as_union_value()
}

pub(super) fn stats(builder: &mut Builder, stats: &WebRtcTransportStats) -> Union {
    let base = Some(transport::stats(builder, &stats.base));
    let ice_selected_tuple = stats.ice_selected_tuple.as_ref().map(|tuple| transport::tuple(builder, tuple));
    let args = wire::GetStatsResponseArgs {
        base,
        ice_role: wire::IceRole::CONTROLLED,
        ice_state: ice_state(stats.ice_state),
        ice_selected_tuple,
        dtls_state: dtls_state(stats.dtls_state),
    };
    wire::GetStatsResponse::create(builder, &args).as_union_value()
}

pub(super) fn ice_selected_tuple_notification(builder: &mut Builder, tuple: &Tuple) -> Union {
    let tuple = Some(transport::tuple(builder, tuple));
    let args = wire::IceSelectedTupleChangeNotificationArgs { tuple };
    wire::IceSelectedTupleChangeNotification::create(builder, &args).as_union_value()
}

pub(super) fn ice_state_notification(builder: &mut Builder, state: ice::State) -> Union {
    let args = wire::IceStateChangeNotificationArgs { ice_state: ice_state(state) };
    wire::IceStateChangeNotification::create(builder, &args).as_union_value()
}

pub(super) fn dtls_state_notification(
    builder: &mut Builder,
    state: dtls::State,
    remote_certificate: Option<&str>,
) -> Union {
    let remote_cert = remote_certificate.map(|certificate| builder.create_string(certificate));
    let args = wire::DtlsStateChangeNotificationArgs { dtls_state: dtls_state(state), remote_cert };
    wire::DtlsStateChangeNotification::create(builder, &args).as_union_value()
}

fn ice_parameters(
    builder: &mut Builder,
    credentials: &Credentials,
) -> WIPOffset<wire::IceParameters<'static>> {
    let username_fragment = Some(builder.create_string(&credentials.username_fragment));
    let password = Some(builder.create_string(&credentials.password));
    let args = wire::IceParametersArgs { username_fragment, password, ice_lite: true };
    wire::IceParameters::create(builder, &args)
}

fn candidate(builder: &mut Builder, candidate: &Candidate) -> WIPOffset<wire::IceCandidate<'static>> {
    let foundation = Some(builder.create_string(candidate.protocol.foundation()));
    let address = Some(builder.create_string(&candidate.address));
    let (protocol, tcp_type) = match candidate.protocol {
        CandidateProtocol::Udp => (wire_transport::Protocol::UDP, None),
        CandidateProtocol::Tcp => (wire_transport::Protocol::TCP, Some(wire::IceCandidateTcpType::PASSIVE)),
    };
    let args = wire::IceCandidateArgs {
        foundation,
        priority: candidate.priority,
        address,
        protocol,
        port: candidate.port,
        type_: wire::IceCandidateType::HOST,
        tcp_type,
    };
    wire::IceCandidate::create(builder, &args)
}

fn dtls_parameters(
    builder: &mut Builder,
    fingerprints: &[Fingerprint],
    role: Role,
) -> WIPOffset<wire::DtlsParameters<'static>> {
    let fingerprints = Some(tables(builder, fingerprints, |builder, fingerprint| {
        let value = Some(builder.create_string(&fingerprint.value));
        let algorithm = fingerprint_algorithm(fingerprint.algorithm);
        wire::Fingerprint::create(builder, &wire::FingerprintArgs { algorithm, value })
    }));
    wire::DtlsParameters::create(builder, &wire::DtlsParametersArgs { fingerprints, role: dtls_role(role) })
}

fn fingerprint_algorithm(algorithm: FingerprintAlgorithm) -> wire::FingerprintAlgorithm {
    match algorithm {
        FingerprintAlgorithm::Sha1 => wire::FingerprintAlgorithm::SHA1,
        FingerprintAlgorithm::Sha224 => wire::FingerprintAlgorithm::SHA224,
        FingerprintAlgorithm::Sha256 => wire::FingerprintAlgorithm::SHA256,
        FingerprintAlgorithm::Sha384 => wire::FingerprintAlgorithm::SHA384,
        FingerprintAlgorithm::Sha512 => wire::FingerprintAlgorithm::SHA512,
    }
}

fn dtls_role(role: Role) -> wire::DtlsRole {
    match role {
        Role::Auto => wire::DtlsRole::AUTO,
        Role::Client => wire::DtlsRole::CLIENT,
        Role::Server => wire::DtlsRole::SERVER,
    }
}

fn dtls_state(state: dtls::State) -> wire::DtlsState {
    match state {
        dtls::State::New => wire::DtlsState::NEW,
        dtls::State::Connecting => wire::DtlsState::CONNECTING,
        dtls::State::Connected => wire::DtlsState::CONNECTED,
        dtls::State::Failed => wire::DtlsState::FAILED,
        dtls::State::Closed => wire::DtlsState::CLOSED,
    }
}

fn ice_state(state: ice::State) -> wire::IceState {
    match state {
        ice::State::New => wire::IceState::NEW,
        ice::State::Connected => wire::IceState::CONNECTED,
        ice::State::Completed => wire::IceState::COMPLETED,
        ice::State::Disconnected => wire::IceState::DISCONNECTED,
    }
}
