//! Requests of producers, consumers and observers, prefix included.

use ringsoup_fbs::fbs::active_speaker_observer::{
    ActiveSpeakerObserverOptions, ActiveSpeakerObserverOptionsArgs,
};
use ringsoup_fbs::fbs::audio_level_observer::{AudioLevelObserverOptions, AudioLevelObserverOptionsArgs};
use ringsoup_fbs::fbs::message::Body as MessageBody;
use ringsoup_fbs::fbs::notification::{Body as NotificationBody, Event, Notification, NotificationArgs};
use ringsoup_fbs::fbs::request::{Body, Method};
use ringsoup_fbs::fbs::router::{
    CloseRtpObserverRequest, CloseRtpObserverRequestArgs, CreateActiveSpeakerObserverRequest,
    CreateActiveSpeakerObserverRequestArgs, CreateAudioLevelObserverRequest,
    CreateAudioLevelObserverRequestArgs,
};
use ringsoup_fbs::fbs::rtp_observer::{AddProducerRequest, AddProducerRequestArgs};
use ringsoup_fbs::fbs::rtp_parameters::{
    CodecMapping, CodecMappingArgs, EncodingMapping, EncodingMappingArgs, MediaKind, RtcpFeedback,
    RtcpFeedbackArgs, RtcpParameters, RtcpParametersArgs, RtpCodecParameters, RtpCodecParametersArgs,
    RtpEncodingParameters, RtpEncodingParametersArgs, RtpHeaderExtensionParameters, RtpMapping,
    RtpMappingArgs, RtpParameters, RtpParametersArgs, Type,
};
use ringsoup_fbs::fbs::transport::{
    CloseConsumerRequest, CloseConsumerRequestArgs, CloseProducerRequest, CloseProducerRequestArgs,
    ConsumeRequest, ConsumeRequestArgs, ProduceRequest, ProduceRequestArgs,
};
use ringsoup_fbs::fbs::{consumer, producer};
use ringsoup_fbs::finish_message;
use ringsoup_fbs::flatbuffers::{FlatBufferBuilder, ForwardsUOffset, Vector, WIPOffset};

use crate::request::with_body;

type Builder = FlatBufferBuilder<'static>;
type Encodings = WIPOffset<Vector<'static, ForwardsUOffset<RtpEncodingParameters<'static>>>>;

/// What publishers send, and what the router calls it.
pub const OPUS: u8 = 111;
const ROUTER_OPUS: u8 = 100;
pub const H264: u8 = 112;
const ROUTER_H264: u8 = 101;
/// The router's SSRC of a stream is the publisher's and this.
const MAPPED_SSRC_OFFSET: u32 = 1_000_000;

/// A codec of a request: Opus, or H264 with every feedback.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Codec {
    Opus,
    H264,
}

impl Codec {
    fn kind(self) -> MediaKind {
        match self {
            Self::Opus => MediaKind::AUDIO,
            Self::H264 => MediaKind::VIDEO,
        }
    }

    /// As published, and inside the router.
    fn payload_types(self) -> (u8, u8) {
        match self {
            Self::Opus => (OPUS, ROUTER_OPUS),
            Self::H264 => (H264, ROUTER_H264),
        }
    }

    fn parameters(self, builder: &mut Builder, payload_type: u8) -> WIPOffset<RtpCodecParameters<'static>> {
        let (mime_type, clock_rate, channels): (_, _, _) = match self {
            Self::Opus => ("audio/opus", 48_000, Some(2)),
            Self::H264 => ("video/H264", 90_000, None),
        };
        let feedback: &[(&str, &str)] = match self {
            Self::Opus => &[],
            Self::H264 => &[("nack", ""), ("nack", "pli"), ("ccm", "fir")],
        };
        let feedback: Vec<_> = feedback
            .iter()
            .map(|(kind, parameter)| {
                let type_ = Some(builder.create_string(kind));
                let parameter = Some(builder.create_string(parameter));
                RtcpFeedback::create(builder, &RtcpFeedbackArgs { type_, parameter })
            })
            .collect();
        let args = RtpCodecParametersArgs {
            mime_type: Some(builder.create_string(mime_type)),
            payload_type,
            clock_rate,
            channels,
            rtcp_feedback: Some(builder.create_vector(&feedback)),
            parameters: None,
        };
        RtpCodecParameters::create(builder, &args)
    }
}

/// Streams: the first one's SSRC, which the others' follow, how many, and what layers each has.
#[derive(Debug, Clone, Copy)]
struct Streams<'a> {
    ssrc: u32,
    count: u32,
    mode: Option<&'a str>,
}

impl Streams<'_> {
    const fn one(ssrc: u32) -> Self {
        Self { ssrc, count: 1, mode: None }
    }

    const fn mapped(self) -> Self {
        Self { ssrc: self.ssrc + MAPPED_SSRC_OFFSET, ..self }
    }

    fn ssrcs(self) -> std::ops::Range<u32> {
        self.ssrc..self.ssrc + self.count
    }
}

/// H264 in layers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Layered {
    /// Three streams.
    Simulcast,
    /// Three spatial layers in one stream.
    Svc,
}

impl Layered {
    const fn streams(self, ssrc: u32) -> Streams<'static> {
        match self {
            Self::Simulcast => Streams { ssrc, count: 3, mode: None },
            Self::Svc => Streams { ssrc, count: 1, mode: Some("L3T3") },
        }
    }
}

fn encodings(builder: &mut Builder, streams: Streams<'_>) -> Encodings {
    let encodings: Vec<_> = streams
        .ssrcs()
        .map(|ssrc| {
            let scalability_mode = streams.mode.map(|mode| builder.create_string(mode));
            let args = RtpEncodingParametersArgs { ssrc: Some(ssrc), scalability_mode, ..Default::default() };
            RtpEncodingParameters::create(builder, &args)
        })
        .collect();
    builder.create_vector(&encodings)
}

fn parameters(
    builder: &mut Builder,
    codec: Codec,
    payload_type: u8,
    streams: Streams<'_>,
) -> WIPOffset<RtpParameters<'static>> {
    let codec = codec.parameters(builder, payload_type);
    let codecs = Some(builder.create_vector(&[codec]));
    let header_extensions =
        Some(builder.create_vector::<WIPOffset<RtpHeaderExtensionParameters<'static>>>(&[]));
    let encodings = Some(encodings(builder, streams));
    let cname = Some(builder.create_string("cname"));
    let rtcp = Some(RtcpParameters::create(builder, &RtcpParametersArgs { cname, reduced_size: true }));
    let args =
        RtpParametersArgs { mid: None, codecs, header_extensions, encodings, rtcp, ..Default::default() };
    RtpParameters::create(builder, &args)
}

pub fn produce(id: u32, transport: &str, producer: &str, codec: Codec, ssrc: u32) -> Vec<u8> {
    produce_streams(id, transport, producer, codec, Streams::one(ssrc))
}

pub fn produce_layered(id: u32, transport: &str, producer: &str, layered: Layered, ssrc: u32) -> Vec<u8> {
    produce_streams(id, transport, producer, Codec::H264, layered.streams(ssrc))
}

fn produce_streams(id: u32, transport: &str, producer: &str, codec: Codec, streams: Streams<'_>) -> Vec<u8> {
    with_body(id, Method::TRANSPORT_PRODUCE, transport, |builder| {
        let (payload_type, mapped_payload_type) = codec.payload_types();
        let rtp_parameters = Some(parameters(builder, codec, payload_type, streams));
        let mapping = CodecMapping::create(builder, &CodecMappingArgs { payload_type, mapped_payload_type });
        let codecs = Some(builder.create_vector(&[mapping]));
        let mapped: Vec<_> = streams
            .ssrcs()
            .map(|ssrc| {
                let mapped_ssrc = ssrc + MAPPED_SSRC_OFFSET;
                let args = EncodingMappingArgs { rid: None, ssrc: Some(ssrc), mapped_ssrc };
                EncodingMapping::create(builder, &args)
            })
            .collect();
        let encodings = Some(builder.create_vector(&mapped));
        let rtp_mapping = Some(RtpMapping::create(builder, &RtpMappingArgs { codecs, encodings }));
        let args = ProduceRequestArgs {
            producer_id: Some(builder.create_string(producer)),
            kind: codec.kind(),
            rtp_parameters,
            rtp_mapping,
            ..ProduceRequestArgs::default()
        };
        (Body::Transport_ProduceRequest, ProduceRequest::create(builder, &args).as_union_value())
    })
}

/// `of` is the producer and its SSRC; the receiver gets the stream as `ssrc`.
pub fn consume(
    id: u32,
    transport: &str,
    consumer: &str,
    codec: Codec,
    of: (&str, u32),
    ssrc: u32,
) -> Vec<u8> {
    let consume = Consume {
        type_: Type::SIMPLE,
        codec,
        producer: of.0,
        consumable: Streams::one(of.1).mapped(),
        received: Streams::one(ssrc),
    };
    consume_streams(id, transport, consumer, &consume)
}

/// One stream of a [`Layered`] producer, whose layers the worker chooses.
pub fn consume_layered(
    id: u32,
    transport: &str,
    consumer: &str,
    layered: Layered,
    of: (&str, u32),
    ssrc: u32,
) -> Vec<u8> {
    let (type_, mode) = match layered {
        Layered::Simulcast => (Type::SIMULCAST, "L3T1"),
        Layered::Svc => (Type::SVC, "L3T3"),
    };
    let consume = Consume {
        type_,
        codec: Codec::H264,
        producer: of.0,
        consumable: layered.streams(of.1).mapped(),
        received: Streams { mode: Some(mode), ..Streams::one(ssrc) },
    };
    consume_streams(id, transport, consumer, &consume)
}

/// All streams of a [`Layered`] producer, as a pipe takes them.
pub fn consume_piped(
    id: u32,
    transport: &str,
    consumer: &str,
    layered: Layered,
    of: (&str, u32),
    ssrc: u32,
) -> Vec<u8> {
    let consume = Consume {
        type_: Type::PIPE,
        codec: Codec::H264,
        producer: of.0,
        consumable: layered.streams(of.1).mapped(),
        received: layered.streams(ssrc),
    };
    consume_streams(id, transport, consumer, &consume)
}

struct Consume<'a> {
    type_: Type,
    codec: Codec,
    producer: &'a str,
    consumable: Streams<'a>,
    received: Streams<'a>,
}

fn consume_streams(id: u32, transport: &str, consumer: &str, consume: &Consume<'_>) -> Vec<u8> {
    with_body(id, Method::TRANSPORT_CONSUME, transport, |builder| {
        let (_, payload_type) = consume.codec.payload_types();
        let args = ConsumeRequestArgs {
            consumer_id: Some(builder.create_string(consumer)),
            producer_id: Some(builder.create_string(consume.producer)),
            kind: consume.codec.kind(),
            rtp_parameters: Some(parameters(builder, consume.codec, payload_type, consume.received)),
            type_: consume.type_,
            consumable_rtp_encodings: Some(encodings(builder, consume.consumable)),
            ..ConsumeRequestArgs::default()
        };
        (Body::Transport_ConsumeRequest, ConsumeRequest::create(builder, &args).as_union_value())
    })
}

pub fn close_producer(id: u32, transport: &str, producer: &str) -> Vec<u8> {
    with_body(id, Method::TRANSPORT_CLOSE_PRODUCER, transport, |builder| {
        let args = CloseProducerRequestArgs { producer_id: Some(builder.create_string(producer)) };
        (Body::Transport_CloseProducerRequest, CloseProducerRequest::create(builder, &args).as_union_value())
    })
}

pub fn close_consumer(id: u32, transport: &str, consumer: &str) -> Vec<u8> {
    with_body(id, Method::TRANSPORT_CLOSE_CONSUMER, transport, |builder| {
        let args = CloseConsumerRequestArgs { consumer_id: Some(builder.create_string(consumer)) };
        (Body::Transport_CloseConsumerRequest, CloseConsumerRequest::create(builder, &args).as_union_value())
    })
}

pub fn trace_producer(id: u32, producer: &str, events: &[producer::TraceEventType]) -> Vec<u8> {
    with_body(id, Method::PRODUCER_ENABLE_TRACE_EVENT, producer, |builder| {
        let events = Some(builder.create_vector(events));
        let args = producer::EnableTraceEventRequestArgs { events };
        let body = producer::EnableTraceEventRequest::create(builder, &args);
        (Body::Producer_EnableTraceEventRequest, body.as_union_value())
    })
}

pub fn trace_consumer(id: u32, consumer: &str, events: &[consumer::TraceEventType]) -> Vec<u8> {
    with_body(id, Method::CONSUMER_ENABLE_TRACE_EVENT, consumer, |builder| {
        let events = Some(builder.create_vector(events));
        let args = consumer::EnableTraceEventRequestArgs { events };
        let body = consumer::EnableTraceEventRequest::create(builder, &args);
        (Body::Consumer_EnableTraceEventRequest, body.as_union_value())
    })
}

pub fn create_active_speaker_observer(id: u32, router: &str, observer: &str, interval: u16) -> Vec<u8> {
    with_body(id, Method::ROUTER_CREATE_ACTIVESPEAKEROBSERVER, router, |builder| {
        let args = ActiveSpeakerObserverOptionsArgs { interval };
        let options = Some(ActiveSpeakerObserverOptions::create(builder, &args));
        let rtp_observer_id = Some(builder.create_string(observer));
        let args = CreateActiveSpeakerObserverRequestArgs { rtp_observer_id, options };
        let body = CreateActiveSpeakerObserverRequest::create(builder, &args);
        (Body::Router_CreateActiveSpeakerObserverRequest, body.as_union_value())
    })
}

pub fn create_audio_level_observer(id: u32, router: &str, observer: &str, interval: u16) -> Vec<u8> {
    with_body(id, Method::ROUTER_CREATE_AUDIOLEVELOBSERVER, router, |builder| {
        let args = AudioLevelObserverOptionsArgs { max_entries: 1, threshold: -80, interval };
        let options = Some(AudioLevelObserverOptions::create(builder, &args));
        let rtp_observer_id = Some(builder.create_string(observer));
        let args = CreateAudioLevelObserverRequestArgs { rtp_observer_id, options };
        let body = CreateAudioLevelObserverRequest::create(builder, &args);
        (Body::Router_CreateAudioLevelObserverRequest, body.as_union_value())
    })
}

pub fn add_producer(id: u32, observer: &str, producer: &str) -> Vec<u8> {
    with_body(id, Method::RTPOBSERVER_ADD_PRODUCER, observer, |builder| {
        let args = AddProducerRequestArgs { producer_id: Some(builder.create_string(producer)) };
        (Body::RtpObserver_AddProducerRequest, AddProducerRequest::create(builder, &args).as_union_value())
    })
}

pub fn close_observer(id: u32, router: &str, observer: &str) -> Vec<u8> {
    with_body(id, Method::ROUTER_CLOSE_RTPOBSERVER, router, |builder| {
        let args = CloseRtpObserverRequestArgs { rtp_observer_id: Some(builder.create_string(observer)) };
        let body = CloseRtpObserverRequest::create(builder, &args);
        (Body::Router_CloseRtpObserverRequest, body.as_union_value())
    })
}

/// A packet into a producer on a direct transport; nobody answers.
pub fn send(producer: &str, packet: &[u8]) -> Vec<u8> {
    let mut builder = Builder::new();
    let data = Some(builder.create_vector(packet));
    let body = producer::SendNotification::create(&mut builder, &producer::SendNotificationArgs { data });
    let args = NotificationArgs {
        handler_id: Some(builder.create_string(producer)),
        event: Event::PRODUCER_SEND,
        body_type: NotificationBody::Producer_SendNotification,
        body: Some(body.as_union_value()),
    };
    let told = Notification::create(&mut builder, &args);
    finish_message(&mut builder, MessageBody::Notification, told.as_union_value()).to_vec()
}

/// An Opus packet.
pub fn opus_packet(sequence_number: u16, ssrc: u32) -> Vec<u8> {
    let mut packet = vec![0x80, OPUS];
    packet.extend_from_slice(&sequence_number.to_be_bytes());
    packet.extend_from_slice(&(u32::from(sequence_number) * 960).to_be_bytes());
    packet.extend_from_slice(&ssrc.to_be_bytes());
    packet.extend_from_slice(&[0xfc; 80]);
    packet
}
