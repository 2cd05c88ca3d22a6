//! A consumer: one receiver's view of a producer.

pub mod decision;
pub mod egress;
pub mod ladder;
pub mod layers;
pub mod send_stream;
pub mod seq_map;
pub(crate) mod set_up;
pub(crate) mod stamps;

use std::num::NonZeroU32;

use ringsoup_rtc::codec::{Codec, MimeType};
use ringsoup_rtc::rtp::{ExtensionBlock, ExtensionMap};
use ringsoup_rtc::rtx::PacketHistory;
use ringsoup_rtc::score::SCORE_MAX;
use ringsoup_rtc::time::Time;

use crate::command::{CommandError, Consume, ConsumerTraceEvent};
use crate::event::Event;
use crate::name::Name;
use crate::parameter_check;
use crate::producer::recv_stream::RecvStream;
use crate::producer::{ENCODINGS_MAX, Producer};
use crate::random::Random;
use crate::reply::{ConsumerDump, ConsumerLayersDump, ConsumerScore, ConsumerStats};
use crate::rtp_parameters::{
    ExtensionUri, MediaKind, RtpEncodingParameters, RtpParameters, RtpType, layers_of_scalability_mode,
};
use crate::rules::{ConsumerType, Rules};
use crate::stream_params::StreamParams;
use crate::table::Id;
use crate::transport::Transport;

use egress::NewEgress;
use layers::Layers;
use send_stream::SendStream;
use set_up::LayerOptions;
use stamps::StampIds;

/// Sequence numbers begin within these, so that the first packets of an SRTP stream are far from a wrap, whose side a
/// receiver that missed them could not tell (RFC 3711 section 3.3.1).
const FIRST_SEQUENCE_NUMBER: (u64, u64) = (1_000, 32_767);

/// Of a stream of media or of RTX.
fn first_sequence_number(random: &mut Random) -> u16 {
    let first = random.in_range(FIRST_SEQUENCE_NUMBER.0, FIRST_SEQUENCE_NUMBER.1);
    u16::try_from(first).expect("the range is within 16 bits")
}

/// Longest MID a receiver is told, bytes: what fits a one-byte element (RFC 8285 section 4.2).
const MID_BYTES_MAX: usize = 16;
/// Highest id of such an element.
const ONE_BYTE_ID_MAX: u8 = 14;

/// Extension id and value.
type MidElement = (u8, Box<[u8]>);

/// How the router's elements are called by one receiver.
#[derive(Debug)]
struct OwnExtensions {
    /// From the router's ids.
    map: ExtensionMap,
    /// It has ids that the one-byte form does not have, be it of elements that the router does not know.
    two_byte: bool,
}

#[derive(Debug)]
pub struct Consumer {
    pub(crate) name: Name,
    pub(crate) transport: Id<Transport>,
    /// Among its transport's consumers.
    pub(crate) place: usize,
    pub(crate) producer: Id<Producer>,
    pub(crate) producer_name: Name,
    pub(crate) kind: MediaKind,
    pub(crate) rtp_type: RtpType,
    pub(crate) parameters: RtpParameters,
    consumable_rtp_encodings: Vec<RtpEncodingParameters>,
    /// One bit per payload type.
    payload_types: u128,
    pub(crate) paused: bool,
    pub(crate) producer_paused: bool,
    pub(crate) connected: bool,
    pub(crate) priority: u8,
    pub(crate) trace_events: Vec<ConsumerTraceEvent>,
    /// One; a pipe consumer has one per encoding.
    pub(crate) streams: Vec<SendStream>,
    /// Id and value of the MID that this receiver knows the stream by.
    pub(crate) mid: Option<MidElement>,
    pub(crate) stamp_ids: StampIds,
    /// One of its streams keeps them; asked here, so that a packet need not fetch the stream.
    pub(crate) keeps_stamps: bool,
    /// `None` when the receiver takes all of the router's extensions under the router's ids, the usual case.
    extensions: Option<Box<OwnExtensions>>,
    pub(crate) last_rtcp: Option<Time>,
    /// When it was given a lower layer than it was sent, for want of bits.
    pub(crate) went_down: Option<Time>,
}

impl Consumer {
    /// # Errors
    /// `TypeError` naming what is wrong; `Error` when two of its streams have one SSRC.
    ///
    /// Returns the consumer and its egresses to be, one per stream.
    pub(crate) fn new(
        request: Consume,
        transport: Id<Transport>,
        producer: Id<Producer>,
        rules: &Rules,
        random: &mut Random,
    ) -> Result<(Self, Vec<NewEgress>), CommandError> {
        let is_pipe = request.requested_type == RtpType::Pipe;
        let mut parameters = request.rtp_parameters;
        let mut consumable = request.consumable_rtp_encodings;
        parameter_check::check(&mut parameters, rules)?;
        parameter_check::drop_unknown_modes(&mut consumable);
        check_encodings(&parameters, &consumable, is_pipe)?;
        let rtp_type = match rules.consumer_type {
            ConsumerType::Derived => type_of(request.requested_type, &consumable),
            ConsumerType::AsRequested => request.requested_type,
        };
        let stamp_ids = StampIds::new(request.kind, &parameters);
        let options = LayerOptions {
            preferred: request.preferred_layers,
            ignores_dtx: request.ignore_dtx,
            redundant: redundant_payload_type(&parameters),
        };
        // What is not a pipe sends all its layers as the stream of its first encoding.
        let count = if is_pipe { parameters.encodings.len() } else { 1 };
        let mut streams = Vec::with_capacity(count);
        let mut egresses = Vec::with_capacity(count);
        for index in 0..count {
            let params = send_params(&parameters, index);
            let first = first_sequence_number(random);
            let wants = consumable[index].ssrc.and_then(NonZeroU32::new);
            egresses.push(NewEgress {
                ssrc: params.shown.ssrc,
                wants: wants.filter(|_| rtp_type != RtpType::Simulcast),
                payload_types: passed_payload_types(&parameters),
                layers: set_up::layers(rtp_type, &consumable, &params, &options, rules, first)?,
            });
            streams.push(SendStream::new(params, first_sequence_number(random), stamp_ids));
        }
        check_ssrcs(&streams)?;
        let keeps_stamps = streams.iter().any(|stream| stream.stamps.is_some());
        let consumer = Self {
            name: request.consumer,
            transport,
            place: 0,
            producer,
            producer_name: request.producer,
            kind: request.kind,
            rtp_type,
            consumable_rtp_encodings: consumable,
            payload_types: media_payload_types(&parameters),
            paused: request.paused,
            producer_paused: false,
            connected: false,
            priority: 1,
            trace_events: Vec::new(),
            streams,
            mid: mid_of(&parameters)?,
            stamp_ids,
            keeps_stamps,
            extensions: own_extensions(&parameters),
            parameters,
            last_rtcp: None,
            went_down: None,
        };
        Ok((consumer, egresses))
    }

    /// Whether its packets have nothing of their own but the fixed header's fields.
    pub(crate) fn takes_bare_headers(&self) -> bool {
        self.mid.is_none()
            && self.stamp_ids.is_empty()
            && self.extensions.is_none()
            && self.trace_events.is_empty()
    }

    /// The router's elements under this receiver's ids; `None` where it calls them as the router does.
    #[inline]
    pub(crate) fn own_block(&self, block: &ExtensionBlock) -> Option<ExtensionBlock> {
        self.extensions.as_ref().map(|extensions| extensions.rename(block))
    }

    /// Whether packets can be taken now.
    pub(crate) fn is_active(&self) -> bool {
        self.connected && !self.paused && !self.producer_paused
    }

    /// The router's names for the streams this consumer can get.
    pub(crate) fn mapped_ssrcs(&self) -> impl Iterator<Item = u32> + '_ {
        self.consumable_rtp_encodings.iter().filter_map(|encoding| encoding.ssrc)
    }

    /// Which of its streams is sent under this SSRC.
    pub(crate) fn stream_of_ssrc(&self, ssrc: u32) -> Option<usize> {
        self.streams.iter().position(|stream| stream.ssrc() == ssrc)
    }

    /// Whether the receiver may ask for packets again.
    pub(crate) fn asks_again(&self) -> bool {
        self.streams.iter().any(|stream| stream.guard.is_some())
    }

    /// Every SSRC it sends with.
    pub(crate) fn ssrcs(&self) -> impl Iterator<Item = u32> + '_ {
        let rtx = self.streams.iter().filter_map(|stream| stream.rtx().map(|(_, ssrc)| ssrc));
        self.streams.iter().map(SendStream::ssrc).chain(rtx)
    }

    pub(crate) fn is_pipe(&self) -> bool {
        self.rtp_type == RtpType::Pipe
    }

    /// The place of the producer's stream that carries an encoding, once it was heard.
    pub(crate) fn stream_of(&self, producer: &Producer, encoding: usize) -> Option<usize> {
        producer.stream_index_of_mapped_ssrc(self.consumable_rtp_encodings.get(encoding)?.ssrc?)
    }

    /// What is kept of an encoding's packets.
    pub(crate) fn history<'a>(&self, producer: &'a Producer, encoding: usize) -> Option<&'a PacketHistory> {
        producer.streams[self.stream_of(producer, encoding)?].as_ref()?.history.as_ref()
    }

    /// The layers that are sent; pipes have none, whatever their streams carry.
    fn layers<'a>(&self, producer: &'a Producer) -> &'a Layers {
        &producer.egresses[self.streams[0].egress].layers
    }

    /// The producer's stream that is sent now; pipes send all of them, and name none.
    fn received<'a>(&self, producer: &'a Producer, layers: &Layers) -> Option<&'a RecvStream> {
        let encoding = layers.sent_encoding().filter(|_| !self.is_pipe())?;
        producer.streams[self.stream_of(producer, encoding)?].as_ref()
    }

    pub(crate) fn traces(&self, event: ConsumerTraceEvent) -> bool {
        // Nearly always empty: tested per packet.
        !self.trace_events.is_empty() && self.trace_events.contains(&event)
    }

    pub(crate) fn score(&self, producer: &Producer) -> ConsumerScore {
        self.score_with(producer, self.layers(producer))
    }

    /// The score of a consumer that has no place among the producer's egresses yet.
    pub(crate) fn first_score(&self, producer: &Producer, egresses: &[NewEgress]) -> ConsumerScore {
        self.score_with(producer, &egresses[0].layers)
    }

    fn score_with(&self, producer: &Producer, layers: &Layers) -> ConsumerScore {
        let (score, producer_score) = match self.is_pipe() {
            // The other end of the pipe is ours too: what reaches a receiver is scored there.
            true => (SCORE_MAX, SCORE_MAX),
            false => {
                let received = self.received(producer, layers);
                (self.streams[0].score.value(), received.map_or(0, |stream| stream.score.value()))
            }
        };
        ConsumerScore { score, producer_score, producer_scores: producer.scores() }
    }

    /// Pipes tell no scores.
    pub(crate) fn score_event(&self, producer: &Producer) -> Option<Event> {
        let event = || Event::ConsumerScore { consumer: self.name.clone(), score: self.score(producer) };
        (!self.is_pipe()).then(event)
    }

    pub(crate) fn dump(&self, producer: &Producer) -> ConsumerDump {
        ConsumerDump {
            id: self.name.to_string(),
            rtp_type: self.rtp_type,
            producer: self.producer_name.clone(),
            kind: self.kind,
            rtp_parameters: self.parameters.clone(),
            consumable_rtp_encodings: self.consumable_rtp_encodings.clone(),
            supported_codec_payload_types: (0..128)
                .filter(|bit| self.payload_types & (1 << bit) != 0)
                .collect(),
            trace_events: self.trace_events.clone(),
            paused: self.paused,
            producer_paused: self.producer_paused,
            priority: self.priority,
            rtp_streams: self.streams.iter().map(SendStream::dump).collect(),
            layers: self.dump_layers(producer),
        }
    }

    /// Without layers to choose among a simple consumer is always at its only one, and a pipe at none.
    fn dump_layers(&self, producer: &Producer) -> ConsumerLayersDump {
        let dump = self.layers(producer).dump();
        match self.rtp_type {
            RtpType::Simple => ConsumerLayersDump { current_spatial: 0, current_temporal: 0, ..dump },
            _ => dump,
        }
    }

    pub(crate) fn stats(&mut self, now: Time, producer: &Producer) -> ConsumerStats {
        let received = self.received(producer, self.layers(producer)).map(|stream| stream.stats(now));
        let stats = |stream: &mut SendStream| stream.stats(now, &producer.egresses[stream.egress].sent);
        ConsumerStats { sent: self.streams.iter_mut().map(stats).collect(), received }
    }
}

fn check_encodings(
    parameters: &RtpParameters,
    consumable: &[RtpEncodingParameters],
    is_pipe: bool,
) -> Result<(), CommandError> {
    let is_missing = |ssrc: Option<u32>| ssrc.unwrap_or_default() == 0;
    for encoding in &parameters.encodings {
        if is_missing(encoding.ssrc) {
            return Err(CommandError::type_error("invalid encoding in rtpParameters (missing ssrc)"));
        }
        if encoding.rtx_ssrc == Some(0) {
            return Err(CommandError::type_error("invalid encoding in rtpParameters (missing rtx.ssrc)"));
        }
    }
    if consumable.is_empty() {
        return Err(CommandError::type_error("empty consumableRtpEncodings"));
    }
    if consumable.iter().any(|encoding| is_missing(encoding.ssrc)) {
        return Err(CommandError::type_error("wrong encoding in consumableRtpEncodings (missing ssrc)"));
    }
    if is_pipe && parameters.encodings.len() != consumable.len() {
        return Err(CommandError::type_error(
            "number of rtpParameters.encodings and consumableRtpEncodings do not match",
        ));
    }
    if parameters.encodings.len() > ENCODINGS_MAX {
        return Err(CommandError::type_error(format!("more than {ENCODINGS_MAX} encodings")));
    }
    Ok(())
}

/// The stream in which encoding `index` is sent, with its RTX stream where there is one.
fn send_params(parameters: &RtpParameters, index: usize) -> StreamParams {
    let encoding = &parameters.encodings[index];
    let mut params = StreamParams::of_encoding(parameters, index, encoding.ssrc.unwrap_or_default());
    // What is sent is told apart by SSRC.
    params.shown.rid = None;
    if let Some((ssrc, codec)) = encoding.rtx_ssrc.zip(parameters.rtx_codec_of(encoding)) {
        params.set_rtx(ssrc, codec.payload_type);
    }
    params
}

/// Two streams under one SSRC would share sequence numbers, and SRTP's key stream.
fn check_ssrcs(streams: &[SendStream]) -> Result<(), CommandError> {
    let mut seen = Vec::with_capacity(2 * streams.len());
    for stream in streams {
        for ssrc in [Some(stream.ssrc()), stream.rtx().map(|(_, ssrc)| ssrc)].into_iter().flatten() {
            if seen.contains(&ssrc) {
                return Err(CommandError::error(format!("ssrc used twice in rtpParameters [ssrc:{ssrc}]")));
            }
            seen.push(ssrc);
        }
    }
    Ok(())
}

fn type_of(requested: RtpType, consumable: &[RtpEncodingParameters]) -> RtpType {
    let (spatial, temporal) = layers_of_scalability_mode(consumable[0].scalability_mode.as_deref());
    if requested == RtpType::Pipe {
        RtpType::Pipe
    } else if consumable.len() > 1 {
        RtpType::Simulcast
    } else if spatial > 1 || temporal > 1 {
        RtpType::Svc
    } else {
        RtpType::Simple
    }
}

/// Shown as supported: the media itself.
fn media_payload_types(parameters: &RtpParameters) -> u128 {
    payload_types(parameters, |mime_type| mime_type.codec.is_media())
}

/// Forwarded: beside the media what a receiver of sound asked for that comes in the same stream.
fn passed_payload_types(parameters: &RtpParameters) -> u128 {
    payload_types(parameters, |mime_type| mime_type.codec.is_media() || mime_type.is_beside_sound())
}

fn redundant_payload_type(parameters: &RtpParameters) -> Option<u8> {
    let is_red = |mime_type: MimeType| mime_type == MimeType::new(MediaKind::Audio, Codec::Red);
    let mut codecs = parameters.codecs.iter();
    codecs.find(|codec| codec.mime_type.parse().is_ok_and(is_red)).map(|codec| codec.payload_type)
}

fn payload_types(parameters: &RtpParameters, which: impl Fn(MimeType) -> bool) -> u128 {
    let codecs = parameters.codecs.iter().filter(|codec| codec.payload_type < 128);
    let chosen = codecs.filter(|codec| codec.mime_type.parse().is_ok_and(&which));
    chosen.fold(0, |bits, codec| bits | 1 << codec.payload_type)
}

fn mid_of(parameters: &RtpParameters) -> Result<Option<MidElement>, CommandError> {
    let mid = parameters.mid.as_deref().filter(|mid| !mid.is_empty());
    let Some((mid, id)) = mid.zip(parameters.extension_id(ExtensionUri::Mid)) else { return Ok(None) };
    if mid.len() > MID_BYTES_MAX {
        return Err(CommandError::type_error(format!("MID too long [mid:{mid}]")));
    }
    Ok(Some((id, mid.as_bytes().into())))
}

/// `None` where the receiver's ids are the router's.
fn own_extensions(parameters: &RtpParameters) -> Option<Box<OwnExtensions>> {
    let per_receiver = [ExtensionUri::Mid, ExtensionUri::AbsSendTime, ExtensionUri::TransportWideCc01];
    let shared = || ExtensionUri::ALL.into_iter().filter(|uri| !per_receiver.contains(uri));
    let negotiated = &parameters.header_extensions;
    if negotiated.iter().all(|extension| extension.id == extension.uri.router_id()) {
        // Extensions the receiver did not ask for are harmless (RFC 8285 section 4.1.2: unknown ones are ignored), as long
        // as their ids mean nothing else to it.
        return None;
    }
    let mut map = ExtensionMap::new();
    for uri in shared() {
        map.set(uri.router_id(), parameters.extension_id(uri).unwrap_or_default());
    }
    let two_byte = negotiated.iter().any(|extension| extension.id > ONE_BYTE_ID_MAX);
    Some(Box::new(OwnExtensions { map, two_byte }))
}

impl OwnExtensions {
    fn rename(&self, block: &ExtensionBlock) -> ExtensionBlock {
        let mut own = if self.two_byte { ExtensionBlock::two_byte() } else { ExtensionBlock::new() };
        for (id, value) in block.elements() {
            if let Some(id) = self.map.router_id(id) {
                own.push(id, value);
            }
        }
        own
    }
}
