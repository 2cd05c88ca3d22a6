//! A consumer: one receiver's view of a producer.

pub mod decision;
pub mod egress;
pub mod layers;
pub mod send_stream;
pub mod seq_map;

use ringsoup_rtc::codec::MimeType;
use ringsoup_rtc::rtp::ExtensionMap;
use ringsoup_rtc::time::Time;

use crate::command::{CommandError, Consume, ConsumerTraceEvent};
use crate::event::Event;
use crate::name::Name;
use crate::parameter_check;
use crate::producer::Producer;
use crate::random::Random;
use crate::reply::{ConsumerDump, ConsumerLayersDump, ConsumerScore, ConsumerStats};
use crate::rtp_parameters::{
    ExtensionUri, MediaKind, RtpEncodingParameters, RtpParameters, RtpType, layers_of_scalability_mode,
};
use crate::stream_params::StreamParams;
use crate::table::Id;
use crate::transport::Transport;

use egress::Egress;
use layers::simple::SimpleLayers;
use send_stream::SendStream;

/// Sequence numbers begin within these, so that the first packets of an SRTP stream are far from a wrap, whose side a
/// receiver that missed them could not tell (RFC 3711 section 3.3.1).
const FIRST_SEQUENCE_NUMBER: (u64, u64) = (1_000, 32_767);

/// Longest MID a receiver is told, bytes: what fits a one-byte element (RFC 8285 section 4.2).
const MID_BYTES_MAX: usize = 16;

/// Extension id and value.
type MidElement = (u8, Box<[u8]>);

#[derive(Debug)]
pub struct Consumer {
    pub(crate) name: Name,
    pub(crate) transport: Id<Transport>,
    pub(crate) producer: Id<Producer>,
    pub(crate) producer_name: Name,
    pub(crate) kind: MediaKind,
    pub(crate) rtp_type: RtpType,
    pub(crate) parameters: RtpParameters,
    consumable_rtp_encodings: Vec<RtpEncodingParameters>,
    /// One bit per payload type.
    payload_types: u128,
    /// Its place among the producer's egresses.
    pub(crate) egress: usize,
    pub(crate) paused: bool,
    pub(crate) producer_paused: bool,
    pub(crate) connected: bool,
    pub(crate) priority: u8,
    pub(crate) trace_events: Vec<ConsumerTraceEvent>,
    pub(crate) stream: SendStream,
    /// Id and value of the MID that this receiver knows the stream by.
    pub(crate) mid: Option<MidElement>,
    /// `None` when the receiver takes all of the router's extensions under the router's ids, the usual case.
    pub(crate) extensions: Option<Box<ExtensionMap>>,
    pub(crate) last_rtcp: Option<Time>,
}

impl Consumer {
    /// # Errors
    /// `TypeError` naming what is wrong; `Error` for types of a later capability.
    ///
    /// Returns the consumer and the strategy by which its egress will pick packets.
    pub(crate) fn new(
        request: Consume,
        transport: Id<Transport>,
        producer: Id<Producer>,
        random: &mut Random,
    ) -> Result<(Self, SimpleLayers), CommandError> {
        let mut parameters = request.rtp_parameters;
        check_encodings(&parameters, &request.consumable_rtp_encodings)?;
        parameter_check::check(&mut parameters)?;
        let rtp_type = type_of(request.requested_type, &request.consumable_rtp_encodings);
        if rtp_type != RtpType::Simple {
            let name = parameter_check::name_of(rtp_type);
            return Err(CommandError::error(format!(
                "not implemented yet: transport.consume of type '{name}'"
            )));
        }
        let mut params =
            StreamParams::of_encoding(&parameters, 0, parameters.encodings[0].ssrc.unwrap_or_default());
        if let (Some(ssrc), Some(codec)) =
            (parameters.encodings[0].rtx_ssrc, parameters.rtx_codec_of(&parameters.encodings[0]))
        {
            params.set_rtx(ssrc, codec.payload_type);
        }
        let first = random.in_range(FIRST_SEQUENCE_NUMBER.0, FIRST_SEQUENCE_NUMBER.1);
        let first = u16::try_from(first).expect("the range is within 16 bits");
        let layers = SimpleLayers::new(params.mime_type, request.ignore_dtx, first);
        let consumer = Self {
            name: request.consumer,
            transport,
            producer,
            producer_name: request.producer,
            kind: request.kind,
            rtp_type,
            consumable_rtp_encodings: request.consumable_rtp_encodings,
            payload_types: media_payload_types(&parameters),
            egress: usize::MAX,
            paused: request.paused,
            producer_paused: false,
            connected: false,
            priority: 1,
            trace_events: Vec::new(),
            stream: SendStream::new(params, random.next_u16()),
            mid: mid_of(&parameters)?,
            extensions: own_extensions(&parameters),
            parameters,
            last_rtcp: None,
        };
        Ok((consumer, layers))
    }

    /// What the packet path needs of it.
    pub(crate) fn new_egress(&self, id: Id<Self>, layers: SimpleLayers) -> Egress {
        Egress::new(id, self.ssrc(), self.payload_types, layers)
    }

    /// Whether its packets have nothing of their own but the fixed header's fields.
    pub(crate) fn takes_bare_headers(&self) -> bool {
        self.mid.is_none() && self.extensions.is_none() && self.trace_events.is_empty()
    }

    /// Whether packets can be taken now.
    pub(crate) fn is_active(&self) -> bool {
        self.connected && !self.paused && !self.producer_paused
    }

    /// The router's name for the stream this consumer wants.
    pub(crate) fn mapped_ssrc(&self) -> u32 {
        self.consumable_rtp_encodings[0].ssrc.unwrap_or_default()
    }

    pub(crate) fn ssrc(&self) -> u32 {
        self.stream.ssrc()
    }

    pub(crate) fn traces(&self, event: ConsumerTraceEvent) -> bool {
        // Nearly always empty: tested per packet.
        !self.trace_events.is_empty() && self.trace_events.contains(&event)
    }

    pub(crate) fn score(&self, producer: &Producer) -> ConsumerScore {
        let received = producer.stream_index_of_mapped_ssrc(self.mapped_ssrc());
        let received = received.and_then(|index| producer.streams[index].as_ref());
        ConsumerScore {
            score: self.stream.score.value(),
            producer_score: received.map_or(0, |stream| stream.score.value()),
            producer_scores: producer.scores(),
        }
    }

    pub(crate) fn score_event(&self, producer: &Producer) -> Event {
        Event::ConsumerScore { consumer: self.name.clone(), score: self.score(producer) }
    }

    pub(crate) fn dump(&self) -> ConsumerDump {
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
            rtp_streams: vec![self.stream.dump()],
            layers: ConsumerLayersDump::default(),
        }
    }

    pub(crate) fn stats(&mut self, now: Time, producer: &Producer) -> ConsumerStats {
        let received = producer.stream_index_of_mapped_ssrc(self.mapped_ssrc());
        ConsumerStats {
            sent: vec![self.stream.stats(now, &producer.egresses[self.egress].sent)],
            received: received.and_then(|index| Some(producer.streams[index].as_ref()?.stats(now))),
        }
    }
}

fn check_encodings(
    parameters: &RtpParameters,
    consumable: &[RtpEncodingParameters],
) -> Result<(), CommandError> {
    if parameters.encodings.is_empty() {
        return Err(CommandError::type_error("empty rtpParameters.encodings"));
    }
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

fn media_payload_types(parameters: &RtpParameters) -> u128 {
    let is_media =
        |mime_type: &str| mime_type.parse::<MimeType>().is_ok_and(|mime_type| mime_type.codec.is_media());
    let media =
        parameters.codecs.iter().filter(|codec| codec.payload_type < 128 && is_media(&codec.mime_type));
    media.fold(0, |bits, codec| bits | 1 << codec.payload_type)
}

fn mid_of(parameters: &RtpParameters) -> Result<Option<MidElement>, CommandError> {
    let mid = parameters.mid.as_deref().filter(|mid| !mid.is_empty());
    let Some((mid, id)) = mid.zip(parameters.extension_id(ExtensionUri::Mid)) else { return Ok(None) };
    if mid.len() > MID_BYTES_MAX || id > 14 {
        return Err(CommandError::type_error(format!(
            "MID or its header extension id too long [mid:{mid}, id:{id}]"
        )));
    }
    Ok(Some((id, mid.as_bytes().into())))
}

/// The map from the router's extension ids to this receiver's, where they differ.
fn own_extensions(parameters: &RtpParameters) -> Option<Box<ExtensionMap>> {
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
    Some(Box::new(map))
}
