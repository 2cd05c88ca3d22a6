//! Plain transports: created, connected, their SRTP keys exchanged by signalling.

use std::net::{IpAddr, SocketAddr};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use ringsoup_fbs::fbs::plain_transport::{
    ConnectRequest, ConnectRequestArgs, PlainTransportOptions, PlainTransportOptionsArgs,
};
use ringsoup_fbs::fbs::request::{Body, Method};
use ringsoup_fbs::fbs::router::{CreatePlainTransportRequest, CreatePlainTransportRequestArgs};
use ringsoup_fbs::fbs::srtp_parameters::{SrtpCryptoSuite, SrtpParameters, SrtpParametersArgs};
use ringsoup_fbs::fbs::transport::{
    ListenInfo, ListenInfoArgs, Options, OptionsArgs, PortRange, PortRangeArgs, Protocol, SocketFlags,
    SocketFlagsArgs,
};
use ringsoup_rtc::srtp::CryptoSuite;

use super::{Creator, Transport};
use crate::error::Error;
use crate::srtp::Protector;

const LOOPBACK: &str = "127.0.0.1";
/// What the library sends for a plain transport that uses no SCTP.
const SCTP_MESSAGE_BYTES: u32 = 262_144;
const SCTP_SEND_BUFFER_BYTES: u32 = 2_000_000;
const SCTP_RECEIVE_WINDOW_BYTES: u32 = 5_242_880;
const SCTP_LOW_THRESHOLD_BYTES: u32 = 1024;

impl Creator<'_> {
    pub(super) fn create_plain(&mut self, router: &str, comedia: bool) -> Result<Transport, Error> {
        let id = self.id();
        let builder = &mut self.builder;
        let base = Options::create(
            builder,
            &OptionsArgs {
                max_send_message_size: SCTP_MESSAGE_BYTES,
                max_receive_message_size: SCTP_MESSAGE_BYTES,
                sctp_send_buffer_size: SCTP_SEND_BUFFER_BYTES,
                sctp_per_stream_send_queue_limit: SCTP_SEND_BUFFER_BYTES,
                sctp_max_receiver_window_buffer_size: SCTP_RECEIVE_WINDOW_BYTES,
                sctp_default_stream_buffered_amount_low_threshold: SCTP_LOW_THRESHOLD_BYTES,
                ..Default::default()
            },
        );
        let ip = builder.create_string(LOOPBACK);
        let port_range = PortRange::create(builder, &PortRangeArgs::default());
        let flags = SocketFlags::create(builder, &SocketFlagsArgs::default());
        let listen_info = ListenInfo::create(
            builder,
            &ListenInfoArgs {
                protocol: Protocol::UDP,
                ip: Some(ip),
                port_range: Some(port_range),
                flags: Some(flags),
                ..Default::default()
            },
        );
        let options = PlainTransportOptions::create(
            builder,
            &PlainTransportOptionsArgs {
                base: Some(base),
                listen_info: Some(listen_info),
                rtcp_listen_info: None,
                rtcp_mux: true,
                comedia,
                enable_srtp: self.ways.srtp.is_some(),
                // The library names a suite whether or not SRTP is on.
                srtp_crypto_suite: Some(
                    self.ways.srtp.map_or(SrtpCryptoSuite::AES_CM_128_HMAC_SHA1_80, wire_suite),
                ),
            },
        );
        let transport_id = builder.create_string(&id);
        let args =
            CreatePlainTransportRequestArgs { transport_id: Some(transport_id), options: Some(options) };
        let body = CreatePlainTransportRequest::create(builder, &args);
        let body = Some((Body::Router_CreatePlainTransportRequest, body.as_union_value()));
        let reply = self.channel.request(Method::ROUTER_CREATE_PLAINTRANSPORT, router, builder, body)?;
        let dump = reply.response()?.body_as_plain_transport_dump_response();
        let tuple = dump.ok_or_else(|| Error::new("a plain transport without a dump"))?.tuple();
        let ip: IpAddr = tuple
            .local_address()
            .parse()
            .map_err(|_| Error::new(format!("a plain transport listens on {}", tuple.local_address())))?;
        self.session.worker_ports.push(tuple.local_port());
        Ok(Transport { id, address: SocketAddr::new(ip, tuple.local_port()), remote: None })
    }

    /// Tells a transport of our socket and, with SRTP, exchanges keys.
    pub(super) fn connect_plain(
        &mut self,
        transport: &Transport,
        ours: SocketAddr,
        comedia: bool,
    ) -> Result<Option<Protector>, Error> {
        let key = self.ways.srtp.map(|suite| (suite, self.key(suite)));
        let builder = &mut self.builder;
        let srtp_parameters = key.as_ref().map(|(suite, key)| {
            let key_base64 = builder.create_string(&BASE64.encode(key));
            let args = SrtpParametersArgs { crypto_suite: wire_suite(*suite), key_base64: Some(key_base64) };
            SrtpParameters::create(builder, &args)
        });
        let ip = (!comedia).then(|| builder.create_string(&ours.ip().to_string()));
        let port = (!comedia).then_some(ours.port());
        let body = ConnectRequest::create(
            builder,
            &ConnectRequestArgs { ip, port, rtcp_port: None, srtp_parameters },
        );
        let body = Some((Body::PlainTransport_ConnectRequest, body.as_union_value()));
        let reply = self.channel.request(Method::PLAINTRANSPORT_CONNECT, &transport.id, builder, body)?;
        let Some((suite, key)) = key else { return Ok(None) };
        let response = reply.response()?.body_as_plain_transport_connect_response();
        let theirs = response.and_then(|response| response.srtp_parameters());
        let theirs = theirs.ok_or_else(|| Error::new("a connected SRTP transport without a key"))?;
        let theirs =
            BASE64.decode(theirs.key_base64()).map_err(|error| Error::new(format!("SRTP key: {error}")))?;
        Protector::new(suite, &key, &theirs).map(Some).map_err(Error::new)
    }

    /// A key of the seed's: the media is synthetic and stays on this machine.
    fn key(&mut self, suite: CryptoSuite) -> Vec<u8> {
        (0..suite.key_and_salt_len()).map(|_| self.rng.next_u32().to_le_bytes()[0]).collect()
    }
}

fn wire_suite(suite: CryptoSuite) -> SrtpCryptoSuite {
    match suite {
        CryptoSuite::AeadAes256Gcm => SrtpCryptoSuite::AEAD_AES_256_GCM,
        CryptoSuite::AeadAes128Gcm => SrtpCryptoSuite::AEAD_AES_128_GCM,
        CryptoSuite::AesCm128HmacSha1_80 => SrtpCryptoSuite::AES_CM_128_HMAC_SHA1_80,
        CryptoSuite::AesCm128HmacSha1_32 => SrtpCryptoSuite::AES_CM_128_HMAC_SHA1_32,
    }
}
