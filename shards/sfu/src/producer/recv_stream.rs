//! One stream as it is received: order, loss, repair, and what is told about it.

mod told;

use std::time::Duration;

use ringsoup_rtc::codec::dependency_descriptor::Reader;
use ringsoup_rtc::codec::marking::{Marking, continues_scalable_unit};
use ringsoup_rtc::codec::vp8::PictureIds;
use ringsoup_rtc::codec::{Codec, Descriptor, Kept};
use ringsoup_rtc::jitter::Jitter;
use ringsoup_rtc::loss::{LossReport, Sequence, SequenceStats};
use ringsoup_rtc::nack::generator::NackGenerator;
use ringsoup_rtc::ntp::{self, NtpTime};
use ringsoup_rtc::rate::{RateCalculator, WINDOW_DEFAULT, WINDOW_DTX};
use ringsoup_rtc::rtcp::SenderInfo;
use ringsoup_rtc::rtp::RtpPacket;
use ringsoup_rtc::rtx::history::{AGE_MAX_AUDIO, AGE_MAX_VIDEO};
use ringsoup_rtc::rtx::{self, HistoryPacket, PacketHistory};
use ringsoup_rtc::score::{ReceivedTotals, Score, ScoreChange};
use ringsoup_rtc::time::Time;

use crate::consumer::decision::Offer;
use crate::drop_reason::DropReason;
use crate::overtaken::OVERTAKEN_MAX;
use crate::producer::capture;
use crate::producer::key_frames::KeyFrameRequests;
use crate::producer::layer_rates::LayerRates;
use crate::producer::recv_window::RecvWindow;
use crate::producer::sender_clock::{SenderClock, ToldClock};
use crate::rtp_parameters::MediaKind;
use crate::stream_params::StreamParams;

/// A simulcast stream that is silent for this long is inactive.
const INACTIVITY: Duration = Duration::from_millis(1_500);
/// The same with DTX, whose pauses are part of the stream.
const INACTIVITY_DTX: Duration = Duration::from_millis(5_000);

#[derive(Debug)]
pub struct RecvStream {
    pub(crate) params: StreamParams,
    pub(crate) mapped_ssrc: u32,
    sequence: SequenceStats,
    window: RecvWindow,
    jitter: Jitter,
    /// `None` where the producer does not take NACKs.
    pub(crate) nack: Option<NackGenerator>,
    /// The deadline for which a timer is set.
    pub(crate) nack_timer: Option<Time>,
    /// `None` while no consumer may ask for retransmissions or waits for a key frame.
    pub(crate) history: Option<PacketHistory>,
    rtx_sequence: SequenceStats,
    pub(crate) score: Score,
    pub(crate) traffic: RateCalculator,
    /// Media packets, without what RTX brought.
    pub(crate) key_frames: KeyFrameRequests,
    pub(crate) key_frame_timer: Option<Time>,
    last_sender_report: Option<(u32, Time)>,
    /// What the newest sender report says of the stream's clock.
    clock: ToldClock,
    /// What a packet says of when it was captured, by the capturer's clock, which need not be the one of the reports.
    pub(crate) capture_clock: Option<SenderClock>,
    /// From the sender's wall clock to ours, microseconds.
    pub(crate) clock_offset_us: Option<i64>,
    /// The newest timestamp and when its media was captured, microseconds of our clock.
    captured: Option<(u32, i64)>,
    /// `None` where none was negotiated, or the payload tells its layers itself.
    dependencies: Option<Box<Dependencies>>,
    /// The id of its frame marking, where that is read.
    marking: Option<u8>,
    /// Of a scalable stream, where the unit that is under way has come, and what its first fragment said.
    unit: Option<(u64, Marking)>,
    pictures: PictureIds,
    /// `None` for a stream of one layer.
    pub(crate) layers: Option<Box<LayerRates>>,
    /// The deadline for which a timer is set.
    pub(crate) layer_timer: Option<Time>,
    last_rtx_sender_report: Option<(u32, Time)>,
    rtt: Duration,
    last_report: LossReport,
    pub(crate) counters: RecvCounters,
    /// After how long a silence the stream is inactive; `None` where nobody looks.
    inactivity: Option<Duration>,
    /// `None` while paused or inactive.
    pub(crate) inactivity_deadline: Option<Time>,
    /// The deadline for which a timer is set.
    pub(crate) inactivity_timer: Option<Time>,
    fir_sequence: u8,
    /// It has been good for something since then.
    pub(crate) active_since: Time,
}

#[derive(Debug, Clone, Copy, Default)]
pub struct RecvCounters {
    pub retransmitted: u64,
    pub repaired: u64,
    pub rtx_discarded: u64,
    pub nacks: u64,
    pub nacked_packets: u64,
    pub plis: u64,
    pub firs: u64,
}

/// The stream's dependency descriptors.
#[derive(Debug, Default)]
struct Dependencies {
    /// The sender's id of the extension.
    id: u8,
    reader: Reader,
    /// Packets since the last key frame that belong behind one that did not come.
    early: u64,
    newest_early: u64,
}

/// A media packet that is new to the stream, whether it came by itself or by RTX.
#[derive(Debug, Clone, Copy)]
pub struct Arrived<'a> {
    /// Extended sequence number of the stream.
    pub seq: u64,
    pub payload_type: u8,
    pub marker: bool,
    pub timestamp: u32,
    /// How long ago its media was captured, microseconds; zero while that is not known, below when clocks disagree.
    pub capture_age_us: i32,
    pub payload: &'a [u8],
    pub descriptor: Descriptor,
    pub is_key_frame: bool,
    pub is_rtx: bool,
    /// So much is missing that only a key frame helps.
    pub needs_key_frame: bool,
    /// The sender began anew: earlier sequence numbers and timestamps mean nothing any more.
    pub has_restarted: bool,
    /// The stream was silent and is heard again.
    pub score: Option<ScoreChange>,
}

impl RecvStream {
    pub(crate) fn new(
        params: StreamParams,
        mapped_ssrc: u32,
        key_frame_delay: Duration,
        checks_inactivity: bool,
        now: Time,
    ) -> Self {
        let silence = if params.shown.use_dtx { INACTIVITY_DTX } else { INACTIVITY };
        let inactivity = checks_inactivity.then_some(silence);
        let window = if params.shown.use_dtx { WINDOW_DTX } else { WINDOW_DEFAULT };
        let layers = LayerRates::new(params.shown.spatial_layers, params.shown.temporal_layers, window);
        Self {
            nack: params.shown.use_nack.then(NackGenerator::new),
            jitter: Jitter::new(params.shown.clock_rate),
            params,
            mapped_ssrc,
            sequence: SequenceStats::new(),
            window: RecvWindow::default(),
            nack_timer: None,
            history: None,
            rtx_sequence: SequenceStats::new(),
            score: Score::new(),
            traffic: RateCalculator::new(window),
            key_frames: KeyFrameRequests::new(key_frame_delay),
            key_frame_timer: None,
            last_sender_report: None,
            clock: ToldClock::default(),
            capture_clock: None,
            clock_offset_us: None,
            captured: None,
            dependencies: None,
            marking: None,
            unit: None,
            pictures: PictureIds::default(),
            layers,
            layer_timer: None,
            last_rtx_sender_report: None,
            rtt: Duration::ZERO,
            last_report: LossReport::default(),
            counters: RecvCounters::default(),
            inactivity,
            inactivity_deadline: inactivity.map(|silence| now + silence),
            inactivity_timer: None,
            fir_sequence: 0,
            active_since: now,
        }
    }

    /// Reads the extension with this id, where the codec needs it.
    pub(crate) fn read_dependencies(&mut self, id: Option<u8>) {
        let id = id.filter(|_| self.params.mime_type.codec.needs_dependency_descriptor());
        self.dependencies = id.map(|id| Box::new(Dependencies { id, ..Dependencies::default() }));
    }

    /// Reads frame marking with this id, where the codec's layers are told by it.
    pub(crate) fn read_marking(&mut self, id: Option<u8>) {
        self.marking = id.filter(|_| self.params.mime_type.codec.reads_frame_marking());
    }

    pub(crate) fn ssrc(&self) -> u32 {
        self.params.shown.ssrc
    }

    pub(crate) fn rtx_ssrc(&self) -> Option<u32> {
        self.params.shown.rtx_ssrc
    }

    /// Takes a packet of the stream's own SSRC.
    pub(crate) fn receive<'a>(
        &mut self,
        now: Time,
        received: Time,
        packet: &RtpPacket<'a>,
    ) -> Result<Arrived<'a>, DropReason> {
        let (seq, has_restarted) = self.place(received, packet.sequence_number(), SequenceStats::receive)?;
        let payload = packet.payload();
        let (descriptor, is_key_frame) = self.describe(packet, seq, packet.payload_type(), payload);
        let is_new = self.window.insert(seq);
        self.jitter.update(received, packet.timestamp());
        // The packet that gave the restart away was refused: it may have been the key frame's first.
        let mut needs_key_frame = (has_restarted && !is_key_frame) || self.lacks_beginning(&descriptor);
        if let Some(nack) = &mut self.nack {
            let heard = nack.receive(now, seq, is_key_frame);
            needs_key_frame |= heard.needs_key_frame;
            // Without RTX a retransmission looks like the packet itself.
            if heard.was_requested && self.params.shown.rtx_ssrc.is_none() {
                self.counters.retransmitted += 1;
                self.counters.repaired += 1;
            }
        }
        // Duplicates are received too (RFC 3550 section 6.4.1), and counted like everything the stream brings.
        if payload.is_empty() {
            self.traffic.count_padding_only();
        } else {
            self.count(now, packet.wire().len(), &descriptor);
        }
        if !is_new {
            return Err(DropReason::Duplicate);
        }
        let score = self.heard(now, payload);
        Ok(Arrived {
            seq,
            payload_type: packet.payload_type(),
            marker: packet.marker(),
            timestamp: packet.timestamp(),
            capture_age_us: self.capture_age_us(now, packet.timestamp()),
            payload,
            descriptor,
            is_key_frame,
            is_rtx: false,
            needs_key_frame,
            has_restarted,
            score,
        })
    }

    /// Takes a packet of the RTX stream and opens it (RFC 4588 section 4).
    pub(crate) fn receive_rtx<'a>(
        &mut self,
        now: Time,
        packet: &RtpPacket<'a>,
    ) -> Result<Arrived<'a>, DropReason> {
        let (original, payload_type) = self.open_rtx(packet)?;
        let (seq, has_restarted) =
            self.place(now, original.sequence_number, SequenceStats::receive_recovered)?;
        self.counters.retransmitted += 1;
        let (descriptor, is_key_frame) = self.describe(packet, seq, payload_type, original.payload);
        let mut needs_key_frame = (has_restarted && !is_key_frame) || self.lacks_beginning(&descriptor);
        if let Some(nack) = &mut self.nack {
            needs_key_frame |= nack.receive(now, seq, is_key_frame).needs_key_frame;
        }
        // Whether it was asked for or not: what the stream has not seen yet repairs it.
        if !self.window.insert(seq) {
            return Err(DropReason::Duplicate);
        }
        self.counters.repaired += 1;
        self.count(now, rtx::original_len(packet), &descriptor);
        let score = self.heard(now, original.payload);
        Ok(Arrived {
            seq,
            payload_type,
            marker: packet.marker(),
            timestamp: packet.timestamp(),
            capture_age_us: self.capture_age_us(now, packet.timestamp()),
            payload: original.payload,
            descriptor,
            is_key_frame,
            is_rtx: true,
            needs_key_frame,
            has_restarted,
            score,
        })
    }

    /// The original, and under which payload type it was sent first.
    fn open_rtx<'a>(&mut self, packet: &RtpPacket<'a>) -> Result<(rtx::Original<'a>, u8), DropReason> {
        let payload_type = self.params.repaired_by(packet.payload_type());
        let payload_type = payload_type.ok_or(DropReason::UnknownPayloadType)?;
        if let Sequence::Discarded = self.rtx_sequence.receive(packet.sequence_number()) {
            self.counters.rtx_discarded += 1;
            return Err(DropReason::BadSequence);
        }
        let original = rtx::decapsulate(packet.payload()).ok_or(DropReason::MalformedRtx)?;
        Ok((original, payload_type))
    }

    /// The extended sequence number, and whether the sender has restarted with it.
    fn place(
        &mut self,
        received: Time,
        sequence_number: u16,
        judge: fn(&mut SequenceStats, u16) -> Sequence,
    ) -> Result<(u64, bool), DropReason> {
        match judge(&mut self.sequence, sequence_number) {
            Sequence::Ok { extended } => Ok((extended, false)),
            Sequence::Restarted { extended } => {
                self.clock.restart(received);
                self.forget_packets();
                Ok((extended, true))
            }
            Sequence::Discarded => Err(DropReason::BadSequence),
        }
    }

    fn forget_packets(&mut self) {
        self.capture_clock = None;
        self.captured = None;
        self.pictures.reset();
        self.window.clear();
        if let Some(dependencies) = &mut self.dependencies {
            dependencies.reader.reset();
            (dependencies.early, dependencies.newest_early) = (0, 0);
        }
        if let Some(nack) = &mut self.nack {
            nack.reset();
        }
        if let Some(history) = &mut self.history {
            history.clear();
        }
    }

    /// Layers and whether a key frame begins; a packet of the RTX stream has the original's extensions.
    fn describe(
        &mut self,
        packet: &RtpPacket<'_>,
        seq: u64,
        payload_type: u8,
        payload: &[u8],
    ) -> (Descriptor, bool) {
        if payload_type != self.params.shown.payload_type {
            return (Descriptor::None, false);
        }
        let codec = self.params.mime_type.codec;
        if let Some(dependencies) = &mut self.dependencies
            && let Some(value) = packet.extension(dependencies.id)
        {
            // A payload that is encrypted end to end tells no key frame, and a sender may tell it in the payload only.
            let in_payload = codec.is_key_frame(payload).unwrap_or(false);
            return match dependencies.reader.read(seq, value) {
                Some(frame) => (Descriptor::Dependency(frame), frame.is_key_frame || in_payload),
                None if dependencies.reader.has_structure() && !in_payload => {
                    dependencies.early += 1;
                    dependencies.newest_early = dependencies.newest_early.max(seq);
                    (Descriptor::Early, false)
                }
                None => (Descriptor::Unresolved, in_payload),
            };
        }
        if let Some(id) = self.marking
            && let Some(marking) = packet.extension(id).and_then(Marking::parse_element)
        {
            // libwebrtc's hardware encoders do not mark their key frames.
            let is_key_frame = marking.begins_key_frame || codec.is_key_frame(payload).unwrap_or(false);
            return (Descriptor::Marked(marking), is_key_frame);
        }
        let mut descriptor = codec.describe(payload);
        let is_key_frame = match &mut descriptor {
            Descriptor::Vp8(picture) => {
                self.pictures.widen(picture);
                picture.is_key_frame(payload)
            }
            Descriptor::Vp9(picture) => picture.is_key_frame(),
            Descriptor::None if codec == Codec::H264Svc && continues_scalable_unit(payload) => {
                // Later fragments are of their unit's layers.
                let unit = self.unit.filter(|(last, _)| last + 1 == seq);
                descriptor = unit.map_or(Descriptor::None, |(_, marking)| Descriptor::Marked(marking));
                self.unit = unit.map(|(_, marking)| (seq, marking));
                false
            }
            Descriptor::Marked(marking) => {
                self.unit = Some((seq, *marking));
                marking.begins_key_frame || codec.is_key_frame(payload).unwrap_or(false)
            }
            _ => codec.is_key_frame(payload).unwrap_or(false),
        };
        (descriptor, is_key_frame)
    }

    /// How long ago the media with this timestamp was captured, microseconds; zero while that is not known. The packets of a
    /// frame are of one moment, which is worked out once.
    fn capture_age_us(&mut self, now: Time, timestamp: u32) -> i32 {
        let Some((clock, offset_us)) = self.clock.newest().zip(self.clock_offset_us) else { return 0 };
        let captured_us = match self.captured.filter(|(newest, _)| *newest == timestamp) {
            Some((_, captured_us)) => captured_us,
            None => {
                let rate = self.params.shown.clock_rate;
                let Some(captured_us) = capture::captured_us(clock, rate, timestamp, offset_us) else {
                    return 0;
                };
                self.captured = Some((timestamp, captured_us));
                captured_us
            }
        };
        let now_us = i64::try_from(now.as_micros()).unwrap_or(i64::MAX);
        i32::try_from(now_us.saturating_sub(captured_us)).unwrap_or_default()
    }

    #[inline]
    fn count(&mut self, now: Time, bytes: usize, descriptor: &Descriptor) {
        self.traffic.update(now, bytes);
        if let Some(layers) = &mut self.layers {
            layers.update(now, bytes, descriptor);
        }
    }

    /// The stream is alive: an inactive one starts over at the best score. Padding is no media: a sender probes with it in
    /// streams that it has stopped.
    fn heard(&mut self, now: Time, payload: &[u8]) -> Option<ScoreChange> {
        if payload.is_empty() {
            return None;
        }
        self.watch(now);
        let change = self.score.set_active();
        self.note_life(now, change)
    }

    fn note_life(&mut self, now: Time, change: Option<ScoreChange>) -> Option<ScoreChange> {
        if change.is_some_and(|change| change.previous == 0) {
            self.active_since = now;
        }
        change
    }

    /// Silence counts from now on.
    fn watch(&mut self, now: Time) {
        self.inactivity_deadline = self.inactivity.map(|silence| now + silence);
    }

    /// A packet as it is offered to consumers; `payload_type` is the router's.
    #[inline]
    pub(crate) fn offer<'a>(&'a self, now: Time, arrived: &'a Arrived<'a>, payload_type: u8) -> Offer<'a> {
        let (mapped_ssrc, clock, captured) = (self.mapped_ssrc, self.clock.newest(), self.capture_clock);
        let targets = self.dependencies.as_ref().and_then(|dependencies| dependencies.reader.targets());
        Offer { now, arrived, payload_type, mapped_ssrc, clock, captured, targets }
    }

    /// Whether a packet with a higher number is kept.
    pub(crate) fn has_newer_than(&self, seq: u64) -> bool {
        self.history.as_ref().is_some_and(|history| history.newer_than(seq).is_some())
    }

    /// A key frame begins with packet `seq`. Whether packets came that nobody in layers got, and that its structure may tell.
    pub(crate) fn tells_early(&mut self, seq: u64) -> bool {
        let Some(dependencies) = &mut self.dependencies else { return false };
        dependencies.early = 0;
        dependencies.newest_early > seq
    }

    /// So many early packets came that all of them would not be sent any more: their beginning is lost.
    fn lacks_beginning(&self, descriptor: &Descriptor) -> bool {
        let early = self.dependencies.as_ref().map_or(0, |dependencies| dependencies.early);
        *descriptor == Descriptor::Early && early.is_multiple_of(OVERTAKEN_MAX)
    }

    /// Reads a kept packet again; `dependency` is its dependency descriptor. `None` when that says something else than when it came, its
    /// structure having changed: whoever gets the packet then gets it by what is kept of it.
    pub(crate) fn read_again<'a>(
        &mut self,
        now: Time,
        seq: u64,
        packet: &HistoryPacket<'a>,
        dependency: Option<&[u8]>,
    ) -> Option<Arrived<'a>> {
        let codec = self.params.mime_type.codec;
        let mut is_key_frame = codec.is_key_frame(packet.payload).unwrap_or(false);
        let descriptor = match (&mut self.dependencies, dependency, packet.kept.frame()) {
            (Some(dependencies), Some(value), Some(kept)) => {
                let frame = dependencies.reader.read(seq, value).filter(|frame| frame.kept() == kept)?;
                is_key_frame |= frame.is_key_frame;
                Descriptor::Dependency(frame)
            }
            (Some(dependencies), Some(value), None) => match dependencies.reader.read(seq, value) {
                Some(frame) => {
                    is_key_frame |= frame.is_key_frame;
                    Descriptor::Dependency(frame)
                }
                None if packet.kept == Kept::Early => Descriptor::Early,
                None => Descriptor::Unresolved,
            },
            _ => codec.describe_again(packet.payload, packet.kept),
        };
        is_key_frame |= matches!(descriptor, Descriptor::Marked(marking) if marking.begins_key_frame);
        Some(Arrived {
            seq,
            payload_type: self.params.shown.payload_type,
            marker: packet.marker,
            timestamp: packet.timestamp,
            capture_age_us: self.capture_age_us(now, packet.timestamp),
            payload: packet.payload,
            descriptor,
            is_key_frame,
            is_rtx: false,
            needs_key_frame: false,
            has_restarted: false,
            score: None,
        })
    }

    /// Starts keeping packets for retransmission.
    pub(crate) fn keep_history(&mut self) {
        if self.history.is_none() {
            let age_max = match self.params.mime_type.kind {
                MediaKind::Audio => AGE_MAX_AUDIO,
                MediaKind::Video => AGE_MAX_VIDEO,
            };
            self.history = Some(PacketHistory::new(age_max));
        }
    }

    pub(crate) fn pause(&mut self) {
        if let Some(nack) = &mut self.nack {
            nack.reset();
        }
        self.jitter.reset();
        self.inactivity_deadline = None;
    }

    pub(crate) fn resume(&mut self, now: Time) {
        if !self.score.is_inactive() {
            self.watch(now);
        }
    }

    /// RFC 3550 section 6.4.1; a sender without a wall clock sends a zero timestamp, which maps nothing.
    pub(crate) fn receive_sender_report(
        &mut self,
        received: Time,
        report: &SenderInfo,
    ) -> Option<ScoreChange> {
        if report.ntp.as_u64() != 0 {
            self.last_sender_report = Some((report.ntp.middle(), received));
            let told = SenderClock { ntp: report.ntp, rtp_timestamp: report.rtp_timestamp };
            self.clock.hear(received, told, self.params.shown.clock_rate);
        }
        let totals = ReceivedTotals {
            expected: self.sequence.expected(),
            received: self.sequence.received(),
            repaired: self.counters.repaired,
            retransmitted: self.counters.retransmitted,
        };
        let change = self.score.update_received(totals, self.rtx_ssrc().is_some());
        self.note_life(received, change)
    }

    pub(crate) fn receive_rtx_sender_report(&mut self, received: Time, report: &SenderInfo) {
        if report.ntp.as_u64() != 0 {
            self.last_rtx_sender_report = Some((report.ntp.middle(), received));
        }
    }

    /// RFC 3611 section 4.5: our reference time came back, with the delay at the sender.
    pub(crate) fn receive_dlrr(&mut self, arrival: NtpTime, last_rr: u32, delay: u32) {
        if let Some(rtt) = ntp::round_trip(arrival, last_rr, delay) {
            self.rtt = ntp::middle_to_duration(rtt);
        }
    }

    pub(crate) fn rtt(&self) -> Duration {
        self.rtt
    }

    /// Bits per second of a spatial layer, by temporal layer.
    pub(crate) fn rates_of(&self, now: Time, spatial: u8) -> Vec<u64> {
        match &self.layers {
            Some(layers) => layers.of_spatial(now, spatial),
            None if spatial == 0 => vec![self.traffic.bitrate(now)],
            None => Vec::new(),
        }
    }

    pub(crate) fn next_fir_sequence(&mut self) -> u8 {
        self.fir_sequence = self.fir_sequence.wrapping_add(1);
        self.fir_sequence
    }
}
