//! A scenario made real inside a worker: routers, transports, producers and consumers.

use std::net::{IpAddr, SocketAddr};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use ringsoup_fbs::fbs::plain_transport::{
    ConnectRequest, ConnectRequestArgs, PlainTransportOptions, PlainTransportOptionsArgs,
};
use ringsoup_fbs::fbs::request::{Body, Method};
use ringsoup_fbs::fbs::router::{CreatePlainTransportRequest, CreatePlainTransportRequestArgs};
use ringsoup_fbs::fbs::rtp_parameters::Type;
use ringsoup_fbs::fbs::srtp_parameters::{SrtpCryptoSuite, SrtpParameters, SrtpParametersArgs};
use ringsoup_fbs::fbs::transport::{
    ConsumeRequest, ConsumeRequestArgs, ListenInfo, ListenInfoArgs, Options, OptionsArgs, PortRange,
    PortRangeArgs, ProduceRequest, ProduceRequestArgs, Protocol, SocketFlags, SocketFlagsArgs,
};
use ringsoup_fbs::fbs::worker::{CreateRouterRequest, CreateRouterRequestArgs};
use ringsoup_fbs::flatbuffers::FlatBufferBuilder;
use ringsoup_rtc::srtp::CryptoSuite;

use crate::channel::Channel;
use crate::error::Error;
use crate::net;
use crate::parameters::{PUBLISHED_H264, PUBLISHED_LEVEL_ID, PUBLISHED_OPUS, PUBLISHED_RTX, Track};
use crate::publisher::{AudioTrack, H264, Opus, Publisher, RtxStream, VideoTrack};
use crate::rng::Rng;
use crate::scenario::Scenario;
use crate::srtp::Protector;
use crate::subscriber::{Consumer, Kind, Subscriber};

const LOOPBACK: &str = "127.0.0.1";
/// What the library sends for a plain transport that uses no SCTP.
const SCTP_MESSAGE_BYTES: u32 = 262_144;
const SCTP_SEND_BUFFER_BYTES: u32 = 2_000_000;
const SCTP_RECEIVE_WINDOW_BYTES: u32 = 5_242_880;
const SCTP_LOW_THRESHOLD_BYTES: u32 = 1024;
/// Where SSRCs of each sort start; each track or consumer takes two, one of them for RTX.
const PUBLISHED_SSRC: u32 = 0x1000_0000;
const MAPPED_SSRC: u32 = 0x2000_0000;
const CONSUMED_SSRC: u32 = 0x3000_0000;

/// Everything a run needs, made by [`create`].
#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) publishers: Vec<Publisher>,
    pub(crate) subscribers: Vec<Subscriber>,
    pub(crate) consumers: Vec<Consumer>,
    /// Consumers of each stream id.
    pub(crate) fan_out: Vec<u64>,
    /// The worker's own UDP ports, to look for drops there.
    pub(crate) worker_ports: Vec<u16>,
}

/// A track once it is produced.
struct Produced {
    track: Track,
    producer: String,
    stream: u32,
}

/// A plain transport that exists.
struct Transport {
    id: String,
    address: SocketAddr,
}

struct Creator<'a> {
    channel: &'a mut Channel,
    builder: FlatBufferBuilder<'static>,
    scenario: &'a Scenario,
    srtp: Option<CryptoSuite>,
    gro: bool,
    rng: Rng,
    next_ssrc: u32,
    session: Session,
}

/// Creates the scenario's rooms in the worker behind `channel`.
pub(crate) fn create(
    channel: &mut Channel,
    scenario: &Scenario,
    srtp: Option<CryptoSuite>,
    gro: bool,
) -> Result<Session, Error> {
    let mut creator = Creator {
        channel,
        builder: FlatBufferBuilder::new(),
        scenario,
        srtp,
        gro,
        rng: Rng::new(scenario.seed),
        next_ssrc: 0,
        session: Session {
            publishers: Vec::new(),
            subscribers: Vec::new(),
            consumers: Vec::new(),
            fan_out: Vec::new(),
            worker_ports: Vec::new(),
        },
    };
    for _ in 0..scenario.room.count {
        creator.room()?;
    }
    Ok(creator.session)
}

impl Creator<'_> {
    /// An id of the library's form, from the scenario's seed.
    fn id(&mut self) -> String {
        let (high, low) = (self.rng.next_u64(), self.rng.next_u64());
        format!(
            "{:08x}-{:04x}-4{:03x}-8{:03x}-{:012x}",
            high >> 32,
            (high >> 16) & 0xFFFF,
            high & 0xFFF,
            low >> 52,
            low & 0xFFFF_FFFF_FFFF
        )
    }

    /// The next pair of SSRC offsets.
    fn ssrc(&mut self) -> u32 {
        self.next_ssrc += 2;
        self.next_ssrc
    }

    fn room(&mut self) -> Result<(), Error> {
        let router = self.id();
        let router_id = self.builder.create_string(&router);
        let body = CreateRouterRequest::create(
            &mut self.builder,
            &CreateRouterRequestArgs { router_id: Some(router_id) },
        );
        let body = Some((Body::Worker_CreateRouterRequest, body.as_union_value()));
        self.channel.request(Method::WORKER_CREATE_ROUTER, "", &mut self.builder, body)?;

        let room = self.scenario.room.clone();
        let mut produced = Vec::new();
        for _ in 0..room.publishers_each() {
            produced.push(self.publisher(&router)?);
        }
        for subscriber in 0..room.subscribers_each() {
            let wanted = (0..).zip(&produced).filter(|(publisher, _)| room.receives(subscriber, *publisher));
            let tracks: Vec<&Produced> = wanted.flat_map(|(_, tracks)| tracks).collect();
            self.subscriber(&router, &tracks)?;
        }
        Ok(())
    }

    /// One publisher on a comedia transport, with the scenario's tracks.
    fn publisher(&mut self, router: &str) -> Result<Vec<Produced>, Error> {
        let transport = self.transport(router, true)?;
        let socket = net::publishing_socket(transport.address).map_err(Error::io("opening a socket"))?;
        let address = socket.local_addr().map_err(Error::io("reading a socket's address"))?;
        // Without SRTP a comedia transport needs no connect: the first packet tells who we are.
        let srtp = match self.srtp {
            Some(_) => self.connect(&transport, address, true)?,
            None => None,
        };
        let cname = format!("loadtest-{}", self.session.publishers.len());
        let mut publisher = Publisher { socket, cname: cname.clone(), video: None, audio: None, srtp };
        let mut all = Vec::new();
        if let Some(video) = self.scenario.video.clone() {
            let produced = self.produce(&transport, Kind::H264, video.rtx, &cname)?;
            let ssrc = produced.track.ssrc;
            let seed = Rng::new(self.rng.next_u64());
            let camera = H264::new(video.clone(), ssrc, PUBLISHED_H264, produced.stream, seed);
            let sequence = self.rng.next_u16();
            let rtx =
                produced.track.rtx_ssrc.map(|ssrc| RtxStream { ssrc, payload_type: PUBLISHED_RTX, sequence });
            publisher.video = Some((produced.stream, VideoTrack::new(camera, &video, rtx)));
            all.push(produced);
        }
        if let Some(audio) = self.scenario.audio.clone() {
            let produced = self.produce(&transport, Kind::Opus, false, &cname)?;
            let seed = Rng::new(self.rng.next_u64());
            let (ssrc, stream) = (produced.track.ssrc, produced.stream);
            let talker = Opus::new(&audio, ssrc, PUBLISHED_OPUS, stream, PUBLISHED_LEVEL_ID, seed);
            publisher.audio = Some((stream, AudioTrack::new(talker)));
            all.push(produced);
        }
        self.session.publishers.push(publisher);
        Ok(all)
    }

    /// One subscriber on a connected transport, consuming `tracks`.
    fn subscriber(&mut self, router: &str, tracks: &[&Produced]) -> Result<(), Error> {
        let transport = self.transport(router, false)?;
        let socket = net::receiving_socket(self.gro).map_err(Error::io("opening a socket"))?;
        let address = socket.local_addr().map_err(Error::io("reading a socket's address"))?;
        let srtp = self.connect(&transport, address, false)?;
        for (mid, produced) in tracks.iter().enumerate() {
            self.consume(&transport, produced, &mid.to_string())?;
        }
        self.session.subscribers.push(Subscriber { socket, worker: Some(transport.address), srtp });
        Ok(())
    }

    fn transport(&mut self, router: &str, comedia: bool) -> Result<Transport, Error> {
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
                enable_srtp: self.srtp.is_some(),
                // The library names a suite whether or not SRTP is on.
                srtp_crypto_suite: Some(
                    self.srtp.map_or(SrtpCryptoSuite::AES_CM_128_HMAC_SHA1_80, wire_suite),
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
        Ok(Transport { id, address: SocketAddr::new(ip, tuple.local_port()) })
    }

    /// Tells a transport of our socket and, with SRTP, exchanges keys.
    fn connect(
        &mut self,
        transport: &Transport,
        ours: SocketAddr,
        comedia: bool,
    ) -> Result<Option<Protector>, Error> {
        let key = self.srtp.map(|suite| (suite, self.key(suite)));
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

    fn produce(
        &mut self,
        transport: &Transport,
        kind: Kind,
        rtx: bool,
        cname: &str,
    ) -> Result<Produced, Error> {
        let producer = self.id();
        let offset = self.ssrc();
        let track = Track {
            kind,
            ssrc: PUBLISHED_SSRC + offset,
            rtx_ssrc: rtx.then_some(PUBLISHED_SSRC + offset + 1),
            mapped_ssrc: MAPPED_SSRC + offset,
            cname: cname.to_owned(),
        };
        let builder = &mut self.builder;
        let rtp_parameters = track.producer_parameters(builder);
        let rtp_mapping = track.mapping(builder);
        let producer_id = builder.create_string(&producer);
        let body = ProduceRequest::create(
            builder,
            &ProduceRequestArgs {
                producer_id: Some(producer_id),
                kind: track.media_kind(),
                rtp_parameters: Some(rtp_parameters),
                rtp_mapping: Some(rtp_mapping),
                ..Default::default()
            },
        );
        let body = Some((Body::Transport_ProduceRequest, body.as_union_value()));
        self.channel.request(Method::TRANSPORT_PRODUCE, &transport.id, builder, body)?;
        let stream = u32::try_from(self.session.fan_out.len()).unwrap_or(u32::MAX);
        self.session.fan_out.push(0);
        Ok(Produced { track, producer, stream })
    }

    fn consume(&mut self, transport: &Transport, produced: &Produced, mid: &str) -> Result<(), Error> {
        let consumer = self.id();
        let ssrc = CONSUMED_SSRC + self.ssrc();
        let rtx_ssrc = produced.track.rtx_ssrc.map(|_| ssrc + 1);
        let builder = &mut self.builder;
        let rtp_parameters = produced.track.consumer_parameters(builder, mid, ssrc, rtx_ssrc);
        let consumable = produced.track.consumable_encodings(builder);
        let consumer_id = builder.create_string(&consumer);
        let producer_id = builder.create_string(&produced.producer);
        let body = ConsumeRequest::create(
            builder,
            &ConsumeRequestArgs {
                consumer_id: Some(consumer_id),
                producer_id: Some(producer_id),
                kind: produced.track.media_kind(),
                rtp_parameters: Some(rtp_parameters),
                type_: Type::SIMPLE,
                consumable_rtp_encodings: Some(consumable),
                ..Default::default()
            },
        );
        let body = Some((Body::Transport_ConsumeRequest, body.as_union_value()));
        self.channel.request(Method::TRANSPORT_CONSUME, &transport.id, builder, body)?;
        let subscriber = self.session.subscribers.len();
        let consumer = Consumer::new(subscriber, produced.stream, ssrc, rtx_ssrc, produced.track.kind);
        self.session.consumers.push(consumer);
        let stream = usize::try_from(produced.stream).unwrap_or(usize::MAX);
        if let Some(count) = self.session.fan_out.get_mut(stream) {
            *count += 1;
        }
        Ok(())
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
