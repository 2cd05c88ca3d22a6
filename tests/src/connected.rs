//! Requests that give transports a peer, prefix included.

use ringsoup_fbs::fbs::plain_transport::{PlainTransportOptions, PlainTransportOptionsArgs};
use ringsoup_fbs::fbs::request::{Body, Method};
use ringsoup_fbs::fbs::router::{
    CreatePipeTransportRequest, CreatePipeTransportRequestArgs, CreatePlainTransportRequest,
    CreatePlainTransportRequestArgs,
};
use ringsoup_fbs::fbs::srtp_parameters::{SrtpCryptoSuite, SrtpParameters, SrtpParametersArgs};
use ringsoup_fbs::fbs::transport::{Options, OptionsArgs};
use ringsoup_fbs::fbs::web_rtc_transport::{
    DtlsParameters, DtlsParametersArgs, DtlsRole, Fingerprint, FingerprintAlgorithm, FingerprintArgs,
};
use ringsoup_fbs::fbs::{pipe_transport, plain_transport, web_rtc_transport};
use ringsoup_fbs::flatbuffers::{FlatBufferBuilder, WIPOffset};

use crate::request::{listen_info, with_body};

type Builder = FlatBufferBuilder<'static>;

/// Bytes, of the controller's defaults.
const SCTP_BUFFER_BYTES: u32 = 262_144;
const SUITE: SrtpCryptoSuite = SrtpCryptoSuite::AEAD_AES_256_GCM;
/// What [`SUITE`] takes, base64: 44 bytes.
const KEY: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8gISIjJCUmJygpKis=";
/// Of SHA-256: 32 bytes.
const FINGERPRINT_BYTES: usize = 32;

/// What a transport has beside RTP.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum With {
    Nothing,
    /// AEAD_AES_256_GCM.
    Srtp,
    Sctp,
}

fn options(builder: &mut Builder, with: With) -> WIPOffset<Options<'static>> {
    let args = OptionsArgs {
        enable_sctp: with == With::Sctp,
        max_send_message_size: SCTP_BUFFER_BYTES,
        max_receive_message_size: SCTP_BUFFER_BYTES,
        sctp_send_buffer_size: SCTP_BUFFER_BYTES,
        sctp_per_stream_send_queue_limit: SCTP_BUFFER_BYTES,
        sctp_max_receiver_window_buffer_size: SCTP_BUFFER_BYTES,
        ..OptionsArgs::default()
    };
    Options::create(builder, &args)
}

fn peer_key(builder: &mut Builder, with: With) -> Option<WIPOffset<SrtpParameters<'static>>> {
    (with == With::Srtp).then(|| {
        let key_base64 = Some(builder.create_string(KEY));
        SrtpParameters::create(builder, &SrtpParametersArgs { crypto_suite: SUITE, key_base64 })
    })
}

/// With rtcpMux.
pub fn create_plain(id: u32, router: &str, transport: &str, ip: &str, with: With) -> Vec<u8> {
    with_body(id, Method::ROUTER_CREATE_PLAINTRANSPORT, router, |builder| {
        let base = Some(options(builder, with));
        let listen_info = Some(listen_info(builder, ip, 0));
        let args = PlainTransportOptionsArgs {
            base,
            listen_info,
            rtcp_mux: true,
            enable_srtp: with == With::Srtp,
            srtp_crypto_suite: (with == With::Srtp).then_some(SUITE),
            ..PlainTransportOptionsArgs::default()
        };
        let options = Some(PlainTransportOptions::create(builder, &args));
        let transport_id = Some(builder.create_string(transport));
        let args = CreatePlainTransportRequestArgs { transport_id, options };
        let body = CreatePlainTransportRequest::create(builder, &args);
        (Body::Router_CreatePlainTransportRequest, body.as_union_value())
    })
}

pub fn connect_plain(id: u32, transport: &str, (ip, port): (&str, u16), with: With) -> Vec<u8> {
    with_body(id, Method::PLAINTRANSPORT_CONNECT, transport, |builder| {
        let srtp_parameters = peer_key(builder, with);
        let ip = Some(builder.create_string(ip));
        let args = plain_transport::ConnectRequestArgs {
            ip,
            port: Some(port),
            srtp_parameters,
            ..plain_transport::ConnectRequestArgs::default()
        };
        let body = plain_transport::ConnectRequest::create(builder, &args);
        (Body::PlainTransport_ConnectRequest, body.as_union_value())
    })
}

pub fn create_pipe(id: u32, router: &str, transport: &str, (ip, port): (&str, u16), with: With) -> Vec<u8> {
    with_body(id, Method::ROUTER_CREATE_PIPETRANSPORT, router, |builder| {
        let base = Some(options(builder, with));
        let listen_info = Some(listen_info(builder, ip, port));
        let enable_srtp = with == With::Srtp;
        let args =
            pipe_transport::PipeTransportOptionsArgs { base, listen_info, enable_rtx: true, enable_srtp };
        let options = Some(pipe_transport::PipeTransportOptions::create(builder, &args));
        let transport_id = Some(builder.create_string(transport));
        let args = CreatePipeTransportRequestArgs { transport_id, options };
        let body = CreatePipeTransportRequest::create(builder, &args);
        (Body::Router_CreatePipeTransportRequest, body.as_union_value())
    })
}

pub fn connect_pipe(id: u32, transport: &str, (ip, port): (&str, u16), with: With) -> Vec<u8> {
    with_body(id, Method::PIPETRANSPORT_CONNECT, transport, |builder| {
        let srtp_parameters = peer_key(builder, with);
        let ip = Some(builder.create_string(ip));
        let args = pipe_transport::ConnectRequestArgs { ip, port: Some(port), srtp_parameters };
        let body = pipe_transport::ConnectRequest::create(builder, &args);
        (Body::PipeTransport_ConnectRequest, body.as_union_value())
    })
}

/// As a DTLS client whose certificate nobody has.
pub fn connect_web_rtc(id: u32, transport: &str) -> Vec<u8> {
    connect_dtls_client(id, transport, &["A5"; FINGERPRINT_BYTES].join(":"))
}

/// `sha256` is the fingerprint of the certificate that the client will show.
pub fn connect_dtls_client(id: u32, transport: &str, sha256: &str) -> Vec<u8> {
    connect_web_rtc_to(id, transport, sha256, DtlsRole::CLIENT)
}

/// To a peer of this role whose certificate has this SHA-256 fingerprint.
pub fn connect_web_rtc_to(id: u32, transport: &str, fingerprint: &str, role: DtlsRole) -> Vec<u8> {
    connect_web_rtc_with(id, transport, &[fingerprint], role)
}

/// With these SHA-256 fingerprints, whatever they are.
pub fn connect_web_rtc_with(id: u32, transport: &str, fingerprints: &[&str], role: DtlsRole) -> Vec<u8> {
    with_body(id, Method::WEBRTCTRANSPORT_CONNECT, transport, |builder| {
        let one = |fingerprint: &&str| {
            let value = Some(builder.create_string(fingerprint));
            let args = FingerprintArgs { algorithm: FingerprintAlgorithm::SHA256, value };
            Fingerprint::create(builder, &args)
        };
        let fingerprints: Vec<_> = fingerprints.iter().map(one).collect();
        let fingerprints = Some(builder.create_vector(&fingerprints));
        let parameters = DtlsParameters::create(builder, &DtlsParametersArgs { fingerprints, role });
        let args = web_rtc_transport::ConnectRequestArgs { dtls_parameters: Some(parameters) };
        let body = web_rtc_transport::ConnectRequest::create(builder, &args);
        (Body::WebRtcTransport_ConnectRequest, body.as_union_value())
    })
}
