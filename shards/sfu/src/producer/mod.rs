//! A producer: the streams of one source as they come in, and who consumes them.

pub(crate) mod capture;
pub mod key_frames;
pub mod layer_rates;
pub mod mapping;
pub mod recv_stream;
pub mod recv_window;
pub mod sender_clock;

use std::time::Duration;

use ringsoup_rtc::codec::MimeType;
use ringsoup_rtc::rtp::RtpPacket;
use ringsoup_rtc::time::Time;

use crate::command::{CommandError, Produce, ProducerTraceEvent};
use crate::consumer::Consumer;
use crate::consumer::egress::Egress;
use crate::drop_reason::DropReason;
use crate::event::{Event, ProducerScore};
use crate::name::Name;
use crate::observer::Seat;
use crate::parameter_check;
use crate::reply::{ProducerDump, RecvStats};
use crate::router::Router;
use crate::rtp_parameters::{
    MediaKind, RtpCodecParameters, RtpEncodingParameters, RtpMapping, RtpParameters, RtpType,
};
use crate::rules::Rules;
use crate::stream_params::StreamParams;
use crate::table::Id;
use crate::transport::Transport;

use mapping::Mapping;
use recv_stream::{Arrived, RecvStream};

/// Encodings of one producer: simulcast uses three or four, timers name them by a byte.
pub const ENCODINGS_MAX: usize = 32;

/// What a packet's header takes that is kept without it: the fixed part, an original number, MID and stamps.
const KEPT_HEADER_BYTES: u64 = 64;

#[derive(Debug)]
pub struct Producer {
    pub(crate) name: Name,
    pub(crate) transport: Id<Transport>,
    /// Among its transport's producers.
    pub(crate) place: usize,
    pub(crate) router: Id<Router>,
    pub(crate) kind: MediaKind,
    pub(crate) rtp_type: RtpType,
    pub(crate) parameters: RtpParameters,
    rtp_mapping: RtpMapping,
    pub(crate) mapping: Mapping,
    /// By encoding; `None` until its first packet.
    pub(crate) streams: Vec<Option<RecvStream>>,
    /// Its consumers, as the packet path sees them.
    pub(crate) egresses: Vec<Egress>,
    /// Consumers whose receivers may ask for packets again.
    pub(crate) asking: usize,
    pub(crate) paused: bool,
    /// Its places in observers; nearly always none.
    pub(crate) seats: Vec<Seat>,
    pub(crate) trace_events: Vec<ProducerTraceEvent>,
    key_frame_delay: Duration,
    pub(crate) video_orientation: Option<u8>,
    pub(crate) last_rtcp: Option<Time>,
    /// From its sender's wall clock to ours, microseconds, once that is known.
    clock_offset_us: Option<i64>,
}

/// Which stream a packet belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct StreamMatch {
    pub index: usize,
    pub is_rtx: bool,
    pub is_new: bool,
}

impl Producer {
    /// # Errors
    /// `TypeError` naming what is wrong with the parameters or the mapping.
    pub(crate) fn new(
        request: Produce,
        transport: Id<Transport>,
        router: Id<Router>,
        rules: &Rules,
    ) -> Result<Self, CommandError> {
        let mut parameters = request.rtp_parameters;
        parameter_check::check(&mut parameters, rules)?;
        let (rtp_type, _) = parameter_check::type_of(&parameters, rules)?;
        if parameters.encodings.len() > ENCODINGS_MAX {
            return Err(CommandError::type_error(format!("more than {ENCODINGS_MAX} encodings")));
        }
        mapping::check(&request.rtp_mapping, &parameters)?;
        Ok(Self {
            name: request.producer,
            transport,
            place: 0,
            router,
            kind: request.kind,
            rtp_type,
            mapping: Mapping::new(&request.rtp_mapping, &parameters, request.kind, request.enable_packet_id),
            streams: parameters.encodings.iter().map(|_| None).collect(),
            parameters,
            rtp_mapping: request.rtp_mapping,
            egresses: Vec::new(),
            asking: 0,
            paused: request.paused,
            seats: Vec::new(),
            trace_events: Vec::new(),
            key_frame_delay: Duration::from_millis(u64::from(request.key_frame_request_delay)),
            video_orientation: None,
            last_rtcp: None,
            clock_offset_us: None,
        })
    }

    /// The stream of a packet by SSRC, else by what its encodings say. A stream may be made for it.
    pub(crate) fn stream_of(&mut self, now: Time, packet: &RtpPacket<'_>) -> Option<StreamMatch> {
        let ssrc = packet.ssrc();
        for (index, stream) in self.streams.iter().enumerate() {
            let Some(stream) = stream else { continue };
            if stream.ssrc() == ssrc {
                return Some(StreamMatch { index, is_rtx: false, is_new: false });
            }
            if stream.rtx_ssrc() == Some(ssrc) {
                return Some(StreamMatch { index, is_rtx: true, is_new: false });
            }
        }
        self.new_stream_of(now, packet)
    }

    #[cold]
    fn new_stream_of(&mut self, now: Time, packet: &RtpPacket<'_>) -> Option<StreamMatch> {
        let index = self.encoding_of(packet)?;
        let encoding = &self.parameters.encodings[index];
        let payload_type = packet.payload_type();
        if encoding.codec_payload_type == Some(payload_type) || self.rides_beside_sound(payload_type) {
            if self.streams[index].is_some() {
                // The encoding has its stream; a second SSRC for it is not ours.
                return None;
            }
            self.streams[index] = Some(self.create_stream(now, index, packet.ssrc()));
            return Some(StreamMatch { index, is_rtx: false, is_new: true });
        }
        let own = self.parameters.rtx_codec_of(encoding).map(|codec| codec.payload_type);
        let stream = self.streams[index].as_mut().filter(|stream| stream.rtx_ssrc().is_none())?;
        // The first one may repair another codec of the stream.
        stream.params.repaired_by(payload_type)?;
        stream.params.set_rtx(packet.ssrc(), own.unwrap_or(payload_type));
        Some(StreamMatch { index, is_rtx: true, is_new: false })
    }

    /// Redundant sound, comfort noise and keys come in the stream of the sound, and may be all that comes in it.
    fn rides_beside_sound(&self, payload_type: u8) -> bool {
        let is_beside = |codec: &RtpCodecParameters| {
            let is_it = |mime_type: MimeType| mime_type.is_beside_sound();
            codec.payload_type == payload_type && codec.mime_type.parse().is_ok_and(is_it)
        };
        self.mapping.payload_type(payload_type).is_some() && self.parameters.codecs.iter().any(is_beside)
    }

    /// The encoding a packet names: its SSRC, its RID, or being the only one that names neither.
    fn encoding_of(&self, packet: &RtpPacket<'_>) -> Option<usize> {
        let ssrc = Some(packet.ssrc());
        let encodings = &self.parameters.encodings;
        let names_ssrc =
            |encoding: &RtpEncodingParameters| encoding.ssrc == ssrc || encoding.rtx_ssrc == ssrc;
        if let Some(index) = encodings.iter().position(names_ssrc) {
            return Some(index);
        }
        if let Some(rid) = self.mapping.rid_of(packet) {
            return encodings
                .iter()
                .position(|encoding| encoding.rid.as_ref().is_some_and(|own| own.as_bytes() == rid));
        }
        match encodings.as_slice() {
            [only] if only.ssrc.is_none() && only.rid.is_none() => Some(0),
            _ => None,
        }
    }

    fn create_stream(&self, now: Time, index: usize, ssrc: u32) -> RecvStream {
        let params = StreamParams::of_encoding(&self.parameters, index, ssrc);
        let checks_inactivity = self.rtp_type == RtpType::Simulcast && self.parameters.encodings.len() > 1;
        let mapped_ssrc = self.mapping.mapped_ssrc(index);
        let mut stream = RecvStream::new(params, mapped_ssrc, self.key_frame_delay, checks_inactivity, now);
        stream.read_dependencies(self.mapping.ids.dependency_descriptor);
        stream.read_marking(self.mapping.ids.frame_marking);
        stream.clock_offset_us = self.clock_offset_us;
        if self.paused {
            stream.pause();
        }
        stream
    }

    pub(crate) fn cname(&self) -> &str {
        self.parameters.rtcp.cname.as_deref().unwrap_or_default()
    }

    pub(crate) fn clock_offset_us(&self) -> Option<i64> {
        self.clock_offset_us
    }

    /// The clock of its sender is known, or known better.
    pub(crate) fn set_clock_offset(&mut self, offset_us: Option<i64>) {
        self.clock_offset_us = offset_us;
        for stream in self.streams.iter_mut().flatten() {
            stream.clock_offset_us = offset_us;
        }
    }

    /// Hands a packet to its stream.
    pub(crate) fn receive<'a>(
        &mut self,
        now: Time,
        received: Time,
        packet: &RtpPacket<'a>,
        matched: StreamMatch,
    ) -> Result<Arrived<'a>, DropReason> {
        let stream = self.streams[matched.index].as_mut().ok_or(DropReason::UnknownStream)?;
        if matched.is_rtx { stream.receive_rtx(now, packet) } else { stream.receive(now, received, packet) }
    }

    pub(crate) fn stream_index_of_mapped_ssrc(&self, mapped_ssrc: u32) -> Option<usize> {
        self.streams
            .iter()
            .position(|stream| stream.as_ref().is_some_and(|stream| stream.mapped_ssrc == mapped_ssrc))
    }

    /// Each once, however many streams it is sent.
    pub(crate) fn consumers(&self) -> impl Iterator<Item = Id<Consumer>> + '_ {
        self.egresses.iter().filter(|egress| egress.stream == 0).map(|egress| egress.consumer)
    }

    /// Bytes of all packets that can be asked for again, with a receiver's headers.
    pub(crate) fn kept_bytes(&self) -> u64 {
        let histories = self.streams().filter_map(|stream| stream.history.as_ref());
        histories.map(|history| history.kept_bytes() + history.len() as u64 * KEPT_HEADER_BYTES).sum()
    }

    pub(crate) fn streams(&self) -> impl Iterator<Item = &RecvStream> {
        self.streams.iter().flatten()
    }

    /// One per encoding, zero before its first packet.
    pub(crate) fn scores(&self) -> Vec<u8> {
        self.streams.iter().map(|stream| stream.as_ref().map_or(0, |stream| stream.score.value())).collect()
    }

    pub(crate) fn score_event(&self) -> Event {
        let scores = self.streams().map(|stream| ProducerScore {
            encoding_idx: stream.params.shown.encoding_idx,
            ssrc: stream.ssrc(),
            rid: stream.params.shown.rid.clone(),
            score: stream.score.value(),
        });
        Event::ProducerScore { producer: self.name.clone(), scores: scores.collect() }
    }

    pub(crate) fn traces(&self, event: ProducerTraceEvent) -> bool {
        // Nearly always empty: tested per packet.
        !self.trace_events.is_empty() && self.trace_events.contains(&event)
    }

    pub(crate) fn dump(&self) -> ProducerDump {
        ProducerDump {
            id: self.name.to_string(),
            kind: self.kind,
            rtp_type: self.rtp_type,
            rtp_parameters: self.parameters.clone(),
            rtp_mapping: self.rtp_mapping.clone(),
            rtp_streams: self.streams().map(RecvStream::dump).collect(),
            trace_events: self.trace_events.clone(),
            paused: self.paused,
        }
    }

    pub(crate) fn stats(&self, now: Time) -> Vec<RecvStats> {
        self.streams().map(|stream| stream.stats(now)).collect()
    }
}
