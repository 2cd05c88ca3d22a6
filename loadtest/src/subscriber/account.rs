//! What arrived: packets per consumer, loss by sequence number, latency by stamp, and what was wrong.

use std::collections::HashMap;

use hdrhistogram::Histogram;

use super::layers::{Layer, LayerPair, LayerTotals, Layers, Seen};
use super::nack::Nacks;
use super::pictures::{Audience, Part, PictureTotals, Pictures};
use super::sequence::{Arrival, Sequence, extend};
use crate::counters::counters;
use crate::impair::LineTotals;
use crate::latency;
use crate::payload::Kind;
use crate::rtcp::{self, Feedback};
use crate::rtp;
use crate::srtp::Unprotector;
use crate::stamp::Stamp;

/// SSRC of the floor's datagrams, which are no consumer's.
pub(crate) const FLOOR_SSRC: u32 = 0xF100_0001;

/// One consumer, as its receiver sees it.
#[derive(Clone, Debug)]
pub(crate) struct Consumer {
    /// Index of the subscriber whose socket it must arrive at.
    subscriber: usize,
    /// First stream id in the publisher's stamps, and how many there are.
    stream: u32,
    streams: u32,
    pub(crate) ssrc: u32,
    rtx_ssrc: Option<u32>,
    kind: Kind,
    pub(super) sequence: Sequence,
    /// Of a track in several sizes, or in layers.
    pub(super) layers: Option<Layers>,
    /// Where layers come together, as one stream: whether all packets since the last picture's end came in turn.
    svc: Option<bool>,
    /// Of video.
    pictures: Option<Box<Pictures>>,
    /// Timestamp and marker of the packet with the highest number.
    newest: Option<(u32, bool)>,
    pub(super) sender_report: Option<SenderReportSeen>,
    /// Expected and missing at the last receiver report, for the fraction lost since.
    pub(super) reported: (u64, u64),
}

/// What RFC 3550 6.4.1 makes a receiver remember of the last SR.
#[derive(Clone, Copy, Debug)]
pub(super) struct SenderReportSeen {
    pub(super) middle_ntp: u32,
    pub(super) at_ns: u64,
}

impl Consumer {
    pub(crate) fn new(subscriber: usize, stream: u32, ssrc: u32, rtx_ssrc: Option<u32>, kind: Kind) -> Self {
        Self {
            subscriber,
            stream,
            streams: 1,
            ssrc,
            rtx_ssrc,
            kind,
            sequence: Sequence::default(),
            layers: None,
            svc: None,
            pictures: kind.is_video().then(Box::default),
            newest: None,
            sender_report: None,
            reported: (0, 0),
        }
    }

    /// Of a track in as many sizes as `preferred` has below it, which are stream ids in a row.
    pub(crate) fn simulcast(mut self, preferred: LayerPair) -> Self {
        self.streams = u32::from(preferred.spatial) + 1;
        self.layers = Some(Layers::new(preferred));
        self
    }

    /// Of a track in one stream with layers up to these.
    pub(crate) fn svc(mut self, preferred: LayerPair) -> Self {
        self.svc = Some(true);
        self.layers = Some(Layers::new(preferred));
        self
    }

    /// The size that a stamp's stream is of this track.
    fn layer_of(&self, stream: u32) -> Option<u8> {
        let layer = stream.checked_sub(self.stream).filter(|layer| *layer < self.streams)?;
        u8::try_from(layer).ok()
    }
}

counters! {
    /// Sums over all consumers since the start.
    pub(crate) struct Totals {
        /// Media packets that arrived, retransmissions and duplicates included.
        packets,
        /// Bytes of these, RTP headers included.
        bytes,
        /// Different sequence numbers among them.
        unique,
        /// Sequence numbers the senders must have used.
        expected,
        reordered,
        duplicates,
        rtx,
        rtcp,
        /// Packets at another subscriber's socket, or with another stream's stamp.
        misdelivered,
        /// Packets of nobody's SSRC, or not RTP at all.
        unknown,
        /// Packets that failed SRTP.
        undecryptable,
        /// Numbers asked for again, each time; those of them that then came; those that never did.
        nacked,
        repaired,
        given_up,
        floor_packets,
    }
}

/// The accounts of one receive thread.
#[derive(Debug)]
pub(crate) struct Account {
    consumers: Vec<Consumer>,
    by_ssrc: HashMap<u32, (usize, bool)>,
    totals: Totals,
    pub(super) layer_totals: LayerTotals,
    latency: Histogram<u64>,
    /// From a request for a layer to its first packet.
    switch_times: Histogram<u64>,
    audience: Audience,
    /// When the last packet came.
    last_packet_ns: u64,
    /// Wall clock minus monotonic clock.
    clock_difference_ns: i128,
    now_ns: u64,
    nacks: Option<Nacks>,
    lines: (LineTotals, LineTotals),
}

/// Packets of a consumer to send a NACK for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Wanted {
    pub(super) subscriber: usize,
    pub(super) ssrc: u32,
    pub(super) sequences: Vec<u16>,
}

impl Account {
    /// With an interval, missing video is asked for again each time it has passed.
    pub(crate) fn new(consumers: Vec<Consumer>, nack_interval_ns: Option<u64>) -> Self {
        let mut by_ssrc = HashMap::new();
        for (index, consumer) in consumers.iter().enumerate() {
            by_ssrc.insert(consumer.ssrc, (index, false));
            if let Some(ssrc) = consumer.rtx_ssrc {
                by_ssrc.insert(ssrc, (index, true));
            }
        }
        let totals = Totals::default();
        Self {
            consumers,
            by_ssrc,
            totals,
            layer_totals: LayerTotals::default(),
            latency: latency::new(),
            switch_times: latency::new(),
            audience: Audience::new(),
            last_packet_ns: 0,
            clock_difference_ns: 0,
            now_ns: 0,
            nacks: nack_interval_ns.map(Nacks::new),
            lines: <(LineTotals, LineTotals)>::default(),
        }
    }

    /// What is to be asked for now.
    pub(super) fn take_wanted(&mut self, now_ns: u64) -> Vec<Wanted> {
        let mut all: Vec<(usize, Wanted)> = Vec::new();
        let Some(nacks) = &mut self.nacks else { return Vec::new() };
        nacks.take_due(now_ns, |consumer, number| {
            #[allow(clippy::cast_possible_truncation, reason = "the wire carries the low 16 bits")]
            let sequence = number as u16;
            match all.last_mut() {
                Some((of, wanted)) if *of == consumer => wanted.sequences.push(sequence),
                _ => {
                    let Consumer { subscriber, ssrc, .. } = self.consumers[consumer];
                    all.push((consumer, Wanted { subscriber, ssrc, sequences: vec![sequence] }));
                }
            }
        });
        all.into_iter().map(|(_, wanted)| wanted).collect()
    }

    /// What the network has done to the subscribers' packets, to the worker and from it.
    pub(super) const fn set_lines(&mut self, up: LineTotals, down: LineTotals) {
        self.lines = (up, down);
    }

    pub(crate) const fn lines(&self) -> (LineTotals, LineTotals) {
        self.lines
    }

    /// Sets the clocks used for the datagrams of one turn.
    pub(crate) fn set_clock(&mut self, realtime_ns: u64, monotonic_ns: u64) {
        self.clock_difference_ns = i128::from(realtime_ns) - i128::from(monotonic_ns);
        self.now_ns = monotonic_ns;
    }

    pub(crate) fn totals(&self) -> Totals {
        let expected = self.consumers.iter().map(|consumer| consumer.sequence.expected()).sum();
        let unique = self.consumers.iter().map(|consumer| consumer.sequence.unique).sum();
        let nacks = self.nacks.as_ref();
        let of = |count: fn(&Nacks) -> u64| nacks.map_or(0, count);
        let nacked = of(|nacks| nacks.asked);
        let (repaired, given_up) = (of(|nacks| nacks.repaired), of(|nacks| nacks.given_up));
        Totals { expected, unique, nacked, repaired, given_up, ..self.totals }
    }

    /// Different packets that came of each stream, to all its consumers.
    pub(crate) fn unique_by_stream(&self, streams: usize) -> Vec<u64> {
        let mut unique = vec![0; streams];
        for consumer in &self.consumers {
            let stream = usize::try_from(consumer.stream).ok();
            if let Some(count) = stream.and_then(|stream| unique.get_mut(stream)) {
                *count += consumer.sequence.unique;
            }
        }
        unique
    }

    /// Consumers that have received anything.
    pub(crate) fn live_consumers(&self) -> usize {
        self.consumers.iter().filter(|consumer| consumer.sequence.unique > 0).count()
    }

    /// Of consumers of several layers.
    pub(crate) fn layer_totals(&self) -> LayerTotals {
        let layered = self.consumers.iter().filter(|consumer| consumer.layers.is_some());
        LayerTotals {
            expected: layered.map(|consumer| consumer.sequence.expected()).sum(),
            ..self.layer_totals
        }
    }

    /// What a consumer of several layers is to get.
    pub(crate) fn preferred_layers(&self, consumer: usize) -> Option<LayerPair> {
        self.consumers.get(consumer)?.layers.as_ref().map(Layers::preferred)
    }

    /// Other layers are about to be asked for.
    pub(crate) fn ask_layers(&mut self, consumer: usize, layers: LayerPair, now_ns: u64) {
        if let Some(its) = self.consumers.get_mut(consumer).and_then(|consumer| consumer.layers.as_mut()) {
            its.ask(layers, now_ns, &mut self.layer_totals);
        }
    }

    /// The worker has agreed to them.
    pub(crate) fn agree_layers(&mut self, consumer: usize, now_ns: u64) {
        if let Some(its) = self.consumers.get_mut(consumer).and_then(|consumer| consumer.layers.as_mut()) {
            its.agree(now_ns);
        }
    }

    /// The media pauses, and nothing is on its way any more.
    pub(crate) fn pause(&mut self) {
        for consumer in &mut self.consumers {
            if let Some(layers) = &mut consumer.layers {
                layers.pause(&mut self.layer_totals);
            }
            if let Some(pictures) = &mut consumer.pictures {
                pictures.pause(self.last_packet_ns, &mut self.audience.totals);
            }
        }
    }

    /// Of consumers of video.
    pub(crate) const fn picture_totals(&self) -> PictureTotals {
        self.audience.totals
    }

    /// The times between pictures since the last call.
    pub(crate) fn take_picture_gaps(&mut self) -> Histogram<u64> {
        std::mem::replace(&mut self.audience.gaps, latency::new())
    }

    /// The times of changes since the last call.
    pub(crate) fn take_switch_times(&mut self) -> Histogram<u64> {
        std::mem::replace(&mut self.switch_times, latency::new())
    }

    /// The latencies since the last call.
    pub(crate) fn take_latency(&mut self) -> Histogram<u64> {
        std::mem::replace(&mut self.latency, latency::new())
    }

    /// Accounts for one datagram that arrived at `subscriber`'s socket at the kernel's `received_at_ns`.
    pub(crate) fn receive(
        &mut self,
        subscriber: usize,
        packet: &mut [u8],
        received_at_ns: Option<u64>,
        srtp: Option<&mut Unprotector>,
    ) {
        if is_floor(packet) {
            self.totals.floor_packets += 1;
            return;
        }
        let wire_bytes = packet.len();
        let is_rtcp = rtp::is_rtcp(packet);
        let length = match srtp {
            Some(srtp) => srtp.unprotect(packet, is_rtcp),
            None => Some(packet.len()),
        };
        let Some(packet) = length.and_then(|length| packet.get(..length)) else {
            self.totals.undecryptable += 1;
            return;
        };
        if is_rtcp {
            self.receive_rtcp(packet);
            return;
        }
        let Some(view) = rtp::parse(packet) else {
            self.totals.unknown += 1;
            return;
        };
        let Some((index, is_rtx)) = self.by_ssrc.get(&view.ssrc).copied() else {
            self.totals.unknown += 1;
            return;
        };
        self.totals.packets += 1;
        self.totals.bytes += u64::try_from(wire_bytes).unwrap_or(0);
        let received_at_ns = received_at_ns.map_or(self.now_ns, |at| self.to_monotonic(at));
        let consumer = &mut self.consumers[index];
        if consumer.subscriber != subscriber {
            self.totals.misdelivered += 1;
        }
        self.last_packet_ns = received_at_ns;
        let (sequence, payload) = if is_rtx {
            self.totals.rtx += 1;
            // RFC 4588 4: the original sequence number leads the payload.
            let Some((original, payload)) = view.payload.split_first_chunk::<2>() else {
                return;
            };
            (u16::from_be_bytes(*original), payload)
        } else {
            (view.sequence, view.payload)
        };
        let before = consumer.sequence.highest();
        let arrival = self.note_sequence(index, sequence);
        match arrival {
            Arrival::New => {}
            // A repaired packet was not reordered by the path.
            Arrival::Late if is_rtx => {}
            Arrival::Late => self.totals.reordered += 1,
            Arrival::Duplicate | Arrival::Ancient => self.totals.duplicates += 1,
        }
        if matches!(arrival, Arrival::New | Arrival::Late) {
            self.show(index, payload, &view, received_at_ns);
        }
        if is_rtx {
            return;
        }
        let consumer = &self.consumers[index];
        let stamp = consumer.kind.stamp(view.payload);
        if let Some(stamp) = stamp {
            if consumer.layer_of(stamp.stream).is_none() {
                self.totals.misdelivered += 1;
            }
            latency::record(&mut self.latency, received_at_ns.saturating_sub(stamp.sent_at_ns));
        }
        if arrival == Arrival::New {
            self.go_on(index, before, &view, stamp, received_at_ns);
        }
    }

    /// What a packet of video, come for the first time, lets its viewer see.
    fn show(&mut self, index: usize, payload: &[u8], view: &rtp::View<'_>, received_at_ns: u64) {
        let Consumer { kind, pictures: Some(pictures), .. } = &mut self.consumers[index] else { return };
        let (marker, timestamp) = (view.marker, view.timestamp);
        if let Some((stamp, mark)) = kind.stamp(payload).zip(kind.mark(payload)) {
            let part = Part { stream: stamp.stream, mark, marker, timestamp, received_at_ns };
            pictures.receive(&part, &mut self.audience);
        }
    }

    /// Takes a consumer's sequence number in, and what is missing since or not any more.
    fn note_sequence(&mut self, index: usize, sequence: u16) -> Arrival {
        let consumer = &mut self.consumers[index];
        let before = consumer.sequence.highest();
        let arrival = consumer.sequence.receive(sequence);
        if let Some(nacks) = self.nacks.as_mut().filter(|_| consumer.kind.is_video()) {
            match (arrival, before) {
                (Arrival::New, Some(before)) => {
                    let after = consumer.sequence.highest().unwrap_or(before);
                    nacks.note_gap(index, before, after, self.now_ns);
                }
                (Arrival::Late, Some(before)) => nacks.note_late(index, extend(before, sequence)),
                _ => {}
            }
        }
        arrival
    }

    /// Whether a packet in sequence goes on where the one before ended: its time, its layer.
    fn go_on(
        &mut self,
        index: usize,
        before: Option<u64>,
        view: &rtp::View<'_>,
        stamp: Option<Stamp>,
        received_at_ns: u64,
    ) {
        let consumer = &mut self.consumers[index];
        let last = consumer.newest.replace((view.timestamp, view.marker));
        let distance = last.map(|(timestamp, _)| view.timestamp.wrapping_sub(timestamp).cast_signed());
        let step = consumer.sequence.highest().zip(before).map(|(now, before)| now - before);
        if let Some(follows) = &mut consumer.svc {
            *follows &= step == Some(1);
            self.go_on_in_layers(index, view, stamp, distance, received_at_ns);
            return;
        }
        let layer = stamp.and_then(|stamp| consumer.layer_of(stamp.stream));
        let Some(layers) = &mut consumer.layers else { return };
        let change = layer.zip(stamp).map_or(Layer::Same, |(layer, stamp)| {
            let seen = Seen {
                layer,
                begins_key_frame: consumer.kind.begins_key_frame(view.payload),
                temporal: consumer.kind.beginning_temporal_layer(view.payload),
                follows: step == Some(1),
                sent_at_ns: stamp.sent_at_ns,
                received_at_ns,
            };
            layers.see(&seen, &mut self.layer_totals, &mut self.switch_times)
        });
        // Another layer's frame is another picture: it has a time of its own.
        let least = i32::from(change == Layer::Changed);
        if distance.is_some_and(|distance| distance < least) {
            self.layer_totals.timestamps_back += 1;
        }
        let is_cut_short = last.is_some_and(|(_, marker)| !marker);
        if matches!(change, Layer::Changed | Layer::Resumed) && step == Some(2) && is_cut_short {
            consumer.sequence.leave_out();
            self.layer_totals.left_out += 1;
        }
    }

    /// The same of a stream in layers: up to which a picture goes is known at its end.
    fn go_on_in_layers(
        &mut self,
        index: usize,
        view: &rtp::View<'_>,
        stamp: Option<Stamp>,
        distance: Option<i32>,
        received_at_ns: u64,
    ) {
        let consumer = &mut self.consumers[index];
        if distance.is_some_and(|distance| distance < 0) {
            self.layer_totals.timestamps_back += 1;
        }
        let mark = consumer.kind.mark(view.payload).filter(|_| view.marker);
        let Some(((layers, mark), stamp)) = consumer.layers.as_mut().zip(mark).zip(stamp) else { return };
        let seen = Seen {
            layer: mark.spatial,
            // What a lower layer needs has come with the one above; a higher one has to begin.
            begins_key_frame: mark.is_key || layers.current().is_some_and(|current| mark.spatial < current),
            temporal: Some(mark.temporal),
            // What is missing may have been the key picture.
            follows: consumer.svc.replace(true) == Some(true),
            sent_at_ns: stamp.sent_at_ns,
            received_at_ns,
        };
        layers.see(&seen, &mut self.layer_totals, &mut self.switch_times);
    }

    fn to_monotonic(&self, realtime_ns: u64) -> u64 {
        u64::try_from(i128::from(realtime_ns) - self.clock_difference_ns).unwrap_or(0)
    }

    fn receive_rtcp(&mut self, packet: &[u8]) {
        self.totals.rtcp += 1;
        let at_ns = self.now_ns;
        rtcp::visit(packet, |feedback| {
            if let Feedback::SenderReport { ssrc, middle_ntp } = feedback
                && let Some((index, false)) = self.by_ssrc.get(&ssrc)
            {
                self.consumers[*index].sender_report = Some(SenderReportSeen { middle_ntp, at_ns });
            }
        });
    }

    /// The consumers of one subscriber.
    pub(super) fn consumers_of(&mut self, subscriber: usize) -> impl Iterator<Item = &mut Consumer> {
        self.consumers.iter_mut().filter(move |consumer| consumer.subscriber == subscriber)
    }
}

pub(super) fn is_floor(packet: &[u8]) -> bool {
    packet.get(8..12) == Some(&FLOOR_SSRC.to_be_bytes())
}

#[cfg(test)]
#[path = "account_tests.rs"]
mod tests;
