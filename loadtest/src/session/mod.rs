//! A scenario made real inside a worker: routers, transports, producers and consumers.

mod plain;
mod webrtc;

use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;

use ringsoup_fbs::fbs::request::{Body, Method};
use ringsoup_fbs::fbs::rtp_parameters::Type;
use ringsoup_fbs::fbs::transport::{ConsumeRequest, ConsumeRequestArgs, ProduceRequest, ProduceRequestArgs};
use ringsoup_fbs::flatbuffers::FlatBufferBuilder;
use ringsoup_rtc::srtp::CryptoSuite;

use crate::channel::Channel;
use crate::error::Error;
use crate::impair::Network;
use crate::net;
use crate::parameters::{
    Encoding, PUBLISHED_LEVEL_ID, PUBLISHED_OPUS, PUBLISHED_RTX, PUBLISHED_VIDEO, Track,
};
use crate::payload::Kind;
use crate::publisher::{AudioTrack, Camera, Labels, Opus, Publisher, Rid, RtxStream, Tap, VideoTrack, Wire};
use crate::rng::Rng;
use crate::scenario::{Codec, Scenario, Svc, Video};
use crate::subscriber::{Consumer, LayerPair, Subscriber};
use crate::transport_bodies::create_router;
use crate::webrtc::{Bridge, Remote};

use webrtc::Calls;
pub(crate) use webrtc::WebRtc;

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
    /// Consumers of each stream id that get all of it; of a track in several sizes they get one at a time.
    pub(crate) fan_out: Vec<u64>,
    /// Of video, to ask the worker about.
    pub(crate) producer_ids: Vec<String>,
    pub(crate) consumer_ids: Vec<String>,
    /// Consumers of tracks in several sizes.
    pub(crate) layered: Vec<LayeredConsumer>,
    /// The worker's own UDP ports, to look for drops there.
    pub(crate) worker_ports: Vec<u16>,
    /// What media is protected with.
    pub(crate) suite: Option<CryptoSuite>,
    /// The first publisher's WebRTC transport.
    pub(crate) target: Option<Target>,
    /// What carries everything over TCP.
    pub(crate) bridge: Option<Bridge>,
}

/// What somebody knows who watches a publisher's way, and the socket to send from its address.
#[derive(Debug)]
pub(crate) struct Target {
    pub(crate) remote: Remote,
    /// Connected to the worker.
    pub(crate) socket: UdpSocket,
    pub(crate) ssrc: u32,
    pub(crate) tap: Arc<Tap>,
}

impl Target {
    /// `None` for a plain transport, and for a publisher without tracks.
    fn of(publisher: &Publisher, transport: &Transport, tracks: &[Produced]) -> Result<Option<Self>, Error> {
        let (Some(remote), Some(produced)) = (transport.remote.clone(), tracks.first()) else {
            return Ok(None);
        };
        let socket = publisher.wire.socket.try_clone().map_err(Error::io("duplicating a socket"))?;
        let tap = Arc::clone(&publisher.wire.tap);
        Ok(Some(Self { remote, socket, ssrc: produced.track.encodings[0].ssrc, tap }))
    }
}

/// A consumer whose layers can be chosen.
#[derive(Clone, Debug)]
pub(crate) struct LayeredConsumer {
    pub(crate) id: String,
    /// Among the session's consumers.
    pub(crate) index: usize,
    /// How many there are of either kind.
    pub(crate) layers: LayerPair,
}

/// How media reaches the worker and leaves it.
#[derive(Clone, Debug)]
pub(crate) struct Ways {
    /// Of plain transports; WebRTC transports negotiate theirs.
    pub(crate) srtp: Option<CryptoSuite>,
    /// WebRTC transports instead of plain ones.
    pub(crate) webrtc: Option<WebRtc>,
    /// WebRTC transports are reached by TCP.
    pub(crate) tcp: bool,
    /// Receivers take trains in one piece.
    pub(crate) gro: bool,
    /// What happens to packets on the way.
    pub(crate) network: Network,
}

/// A track once it is produced.
struct Produced {
    track: Track,
    producer: String,
    /// Of its first encoding; the others' follow.
    stream: u32,
}

/// A transport that exists.
struct Transport {
    id: String,
    address: SocketAddr,
    /// Of a WebRTC transport.
    remote: Option<Remote>,
}

struct Creator<'a> {
    channel: &'a Channel,
    builder: FlatBufferBuilder<'static>,
    scenario: &'a Scenario,
    ways: &'a Ways,
    rng: Rng,
    next_ssrc: u32,
    calls: Option<Calls>,
    session: Session,
}

/// Creates the scenario's rooms in the worker behind `channel`.
pub(crate) fn create(channel: &Channel, scenario: &Scenario, ways: &Ways) -> Result<Session, Error> {
    let mut creator = Creator {
        channel,
        builder: FlatBufferBuilder::new(),
        scenario,
        ways,
        rng: Rng::new(scenario.seed),
        next_ssrc: 0,
        calls: None,
        session: Session {
            publishers: Vec::new(),
            subscribers: Vec::new(),
            consumers: Vec::new(),
            fan_out: Vec::new(),
            producer_ids: Vec::new(),
            consumer_ids: Vec::new(),
            layered: Vec::new(),
            worker_ports: Vec::new(),
            suite: ways.srtp,
            bridge: None,
            target: None,
        },
    };
    if let Some(webrtc) = &ways.webrtc {
        creator.calls = Some(creator.prepare_calls(webrtc)?);
    }
    for _ in 0..scenario.room.count {
        creator.room()?;
    }
    creator.make_calls()?;
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
        let body = create_router(&router)(&mut self.builder);
        self.channel.request(Method::WORKER_CREATE_ROUTER, "", &mut self.builder, Some(body))?;

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
        let srtp = if transport.remote.is_some() {
            let publisher = self.session.publishers.len();
            self.connect_webrtc(&transport, &socket, webrtc::Owner::Publisher(publisher))?;
            None
        } else if self.ways.srtp.is_some() {
            self.connect_plain(&transport, address, true)?
        } else {
            // Without SRTP a comedia transport needs no connect: the first packet tells who we are.
            None
        };
        let cname = format!("loadtest-{}", self.session.publishers.len());
        let wire = Wire { socket, srtp, tap: Arc::default() };
        let mut publisher =
            Publisher { wire, cname: cname.clone(), video: Vec::new(), audio: None, client: None };
        let mut all = Vec::new();
        if let Some(video) = self.scenario.video.clone() {
            let produced = self.produce_video(&transport, &video, &cname)?;
            publisher.video = self.cameras(&produced, &video);
            all.push(produced);
        }
        if let Some(audio) = self.scenario.audio.clone() {
            let encodings = vec![self.encoding(false, None)];
            let track =
                Track { kind: Kind::Opus, encodings, temporal_layers: 1, svc: None, cname: cname.clone() };
            let produced = self.produce(&transport, track)?;
            let seed = Rng::new(self.rng.next_u64());
            let (ssrc, stream) = (produced.track.encodings[0].ssrc, produced.stream);
            let talker = Opus::new(&audio, ssrc, PUBLISHED_OPUS, stream, PUBLISHED_LEVEL_ID, seed);
            publisher.audio = Some((stream, AudioTrack::new(talker)));
            all.push(produced);
        }
        if self.session.target.is_none() {
            self.session.target = Target::of(&publisher, &transport, &all)?;
        }
        self.session.publishers.push(publisher);
        Ok(all)
    }

    /// One subscriber on a connected transport, consuming `tracks`.
    fn subscriber(&mut self, router: &str, tracks: &[&Produced]) -> Result<(), Error> {
        let transport = self.transport(router, false)?;
        let socket = net::receiving_socket(self.ways.gro).map_err(Error::io("opening a socket"))?;
        let address = socket.local_addr().map_err(Error::io("reading a socket's address"))?;
        let srtp = if transport.remote.is_some() {
            let subscriber = self.session.subscribers.len();
            self.connect_webrtc(&transport, &socket, webrtc::Owner::Subscriber(subscriber))?;
            None
        } else {
            self.connect_plain(&transport, address, false)?
        };
        for (mid, produced) in tracks.iter().enumerate() {
            self.consume(&transport, produced, &mid.to_string())?;
        }
        let worker = Some(transport.address);
        self.session.subscribers.push(Subscriber { socket, worker, srtp, client: None });
        Ok(())
    }

    fn transport(&mut self, router: &str, comedia: bool) -> Result<Transport, Error> {
        match &self.ways.webrtc {
            Some(_) => self.create_webrtc(router),
            None => self.create_plain(router, comedia),
        }
    }

    fn produce_video(
        &mut self,
        transport: &Transport,
        video: &Video,
        cname: &str,
    ) -> Result<Produced, Error> {
        let kind = match video.codec {
            Codec::H264 => Kind::H264,
            Codec::Vp8 => Kind::Vp8,
            Codec::Vp9 => Kind::Vp9,
        };
        let rid = |index| video.rid.then(|| Rid::of(index)).flatten();
        let encodings = video.encodings().into_iter().enumerate();
        let encodings = encodings.map(|(index, encoding)| self.encoding(encoding.rtx, rid(index))).collect();
        let temporal_layers = if video.svc.is_some() { Svc::LAYERS } else { video.temporal_layers };
        let track = Track { kind, encodings, temporal_layers, svc: video.svc, cname: cname.to_owned() };
        self.produce(transport, track)
    }

    /// A camera for each encoding.
    fn cameras(&mut self, produced: &Produced, video: &Video) -> Vec<(u32, VideoTrack)> {
        let encodings = video.encodings();
        let tracks = (produced.stream..).zip(encodings.iter().zip(&produced.track.encodings));
        tracks
            .map(|(stream, (video, encoding))| {
                let Encoding { ssrc, rid, .. } = *encoding;
                let labels = Labels { ssrc, payload_type: PUBLISHED_VIDEO, stream, rid };
                let camera = Camera::new(video.clone(), labels, Rng::new(self.rng.next_u64()));
                let sequence = self.rng.next_u16();
                let rtx =
                    encoding.rtx_ssrc.map(|ssrc| RtxStream { ssrc, payload_type: PUBLISHED_RTX, sequence });
                (stream, VideoTrack::new(camera, video, rtx))
            })
            .collect()
    }

    /// The SSRCs of one encoding.
    fn encoding(&mut self, rtx: bool, rid: Option<Rid>) -> Encoding {
        let offset = self.ssrc();
        Encoding {
            ssrc: PUBLISHED_SSRC + offset,
            rtx_ssrc: rtx.then_some(PUBLISHED_SSRC + offset + 1),
            rid,
            mapped_ssrc: MAPPED_SSRC + offset,
        }
    }

    fn produce(&mut self, transport: &Transport, track: Track) -> Result<Produced, Error> {
        let producer = self.id();
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
        if track.kind.is_video() {
            self.session.producer_ids.push(producer.clone());
        }
        self.session.fan_out.extend(track.encodings.iter().map(|_| 0));
        Ok(Produced { track, producer, stream })
    }

    fn consume(&mut self, transport: &Transport, produced: &Produced, mid: &str) -> Result<(), Error> {
        let consumer = self.id();
        let ssrc = CONSUMED_SSRC + self.ssrc();
        let rtx_ssrc = produced.track.has_rtx().then_some(ssrc + 1);
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
                type_: match &produced.track {
                    track if track.is_simulcast() => Type::SIMULCAST,
                    track if track.is_layered() => Type::SVC,
                    _ => Type::SIMPLE,
                },
                consumable_rtp_encodings: Some(consumable),
                ..Default::default()
            },
        );
        let body = Some((Body::Transport_ConsumeRequest, body.as_union_value()));
        self.channel.request(Method::TRANSPORT_CONSUME, &transport.id, builder, body)?;
        let subscriber = self.session.subscribers.len();
        let track = &produced.track;
        if track.kind.is_video() {
            self.session.consumer_ids.push(consumer.clone());
        }
        let seen = Consumer::new(subscriber, produced.stream, ssrc, rtx_ssrc, track.kind);
        if track.is_layered() {
            let sizes = u8::try_from(track.encodings.len()).unwrap_or(u8::MAX);
            let spatial = if track.svc.is_some() { Svc::LAYERS } else { sizes };
            let layers = LayerPair { spatial, temporal: track.temporal_layers };
            let index = self.session.consumers.len();
            self.session.layered.push(LayeredConsumer { id: consumer, index, layers });
            // What a consumer prefers that was told nothing.
            let highest = LayerPair { spatial: spatial - 1, temporal: track.temporal_layers - 1 };
            let is_svc = track.svc.is_some();
            self.session.consumers.push(if is_svc { seen.svc(highest) } else { seen.simulcast(highest) });
            return Ok(());
        }
        self.session.consumers.push(seen);
        let stream = usize::try_from(produced.stream).unwrap_or(usize::MAX);
        if let Some(count) = self.session.fan_out.get_mut(stream) {
            *count += 1;
        }
        Ok(())
    }
}
