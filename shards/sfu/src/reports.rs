//! RTCP that the shard sends by itself: reports, NACKs, key-frame requests.

use std::time::Duration;

use ringsoup_rtc::rtcp::{CompoundWriter, RTCP_BYTES_MAX};
use ringsoup_rtc::srtp::MAX_TRAILER_LEN;
use ringsoup_rtc::time::Time;

use crate::command::ProducerTraceEvent;
use crate::consumer::Consumer;
use crate::consumer::egress::Egress;
use crate::consumer::layers::KeyFrameOf;
use crate::event::{Direction, Event, TraceInfo};
use crate::handlers::Change;
use crate::outbox::{Outbox, Shared};
use crate::producer::Producer;
use crate::producer::key_frames::KeyFrameRequests;
use crate::sfu::Sfu;
use crate::table::Id;
use crate::timers::Timer;
use crate::trace;
use crate::transport::{Transport, Way};

/// Between two reports of a transport, at least; up to half more, so that peers do not fall into step (RFC 3550 section 6.2).
const REPORT_INTERVAL: Duration = Duration::from_millis(1_000);
/// The first reports come sooner: a receiver needs one to tell its delay.
const FIRST_REPORT_DELAY: Duration = Duration::from_millis(500);
/// Reports of different transports leave at the same moments, so that a shard wakes for many of them at once: a wake costs
/// more than a report. The random spread still keeps peers apart.
const REPORT_GRID_NANOS: u64 = 50_000_000;
/// A stream reported more recently than this waits for the next round: the interval over 1.15.
const REPORT_AGE_MIN: Duration = Duration::from_millis(870);
/// Blocks of one receiver report (RFC 3550 section 6.4.2: five bits count them).
const REPORT_BLOCKS_MAX: usize = 31;
/// The shard sends no media of its own on behalf of producers, so its reports name no source; a peer's DLRR then names none
/// either and is matched by the peer's own SSRC.
const RECEIVER_SSRC: u32 = 0;
/// NACKs written at once; what does not fit stays due.
const NACKS_PER_PACKET_MAX: usize = 128;

impl Sfu {
    /// The transport has a peer: consumers may send, reports begin.
    pub(crate) fn transport_connected(&mut self, now: Time, transport: Id<Transport>, out: &mut Outbox) {
        let deadline = on_grid(now + FIRST_REPORT_DELAY);
        self.transports[transport].rtcp_deadline = Some(deadline);
        self.timers.set(deadline, Timer::TransportRtcp(transport));
        let consumers = self.transports[transport].consumers.clone();
        for consumer in consumers {
            self.consumer_connected(now, consumer, out);
        }
    }

    pub(crate) fn consumer_connected(&mut self, now: Time, id: Id<Consumer>, out: &mut Outbox) {
        self.consumers[id].connected = true;
        self.begin_consumer(now, id, out);
    }

    /// What kept a consumer from taking packets is over, on its own side.
    pub(crate) fn begin_consumer(&mut self, now: Time, id: Id<Consumer>, out: &mut Outbox) {
        let change = self.refresh_egress(now, id);
        self.settle_layers(now, id, change, out);
        // With layers, choosing them has asked.
        if change == Change::Activated && self.layers_of(id).preferred().is_none() {
            self.request_key_frame_for(now, id, KeyFrameOf::Sent, out);
        }
    }

    /// The transport's peer is lost, perhaps not for good: consumers send nothing, reports end.
    pub(crate) fn transport_disconnected(&mut self, now: Time, transport: Id<Transport>, out: &mut Outbox) {
        self.transports[transport].rtcp_deadline = None;
        for id in self.transports[transport].consumers.clone() {
            self.consumers[id].connected = false;
            let change = self.refresh_egress(now, id);
            self.settle_layers(now, id, change, out);
        }
    }

    /// Reports of everything on a transport that is due (RFC 3550 section 6).
    pub(crate) fn send_reports(&mut self, now: Time, id: Id<Transport>, out: &mut Outbox) {
        let Some(transport) = self.transports.get_mut(id) else { return };
        if transport.rtcp_deadline.is_none_or(|deadline| deadline > now) {
            return;
        }
        let spread = self.random.in_range(10, 15);
        let next = on_grid(now + REPORT_INTERVAL * u32::try_from(spread).unwrap_or(10) / 10);
        transport.rtcp_deadline = Some(next);
        self.timers.set(next, Timer::TransportRtcp(id));
        self.write_reports(now, id, out);
    }

    fn write_reports(&mut self, now: Time, id: Id<Transport>, out: &mut Outbox) {
        let mut compounds = Compounds::default();
        self.write_sender_reports(now, id, &mut compounds);
        self.write_receiver_reports(now, id, &mut compounds);
        for compound in compounds.finish() {
            send_rtcp(now, &mut self.transports[id], &compound, out);
        }
    }

    /// SR, SDES and, for a peer that told its reference time, XR DLRR of every consumer's stream.
    fn write_sender_reports(&mut self, now: Time, id: Id<Transport>, compounds: &mut Compounds) {
        let wall = self.wall(now);
        for &consumer in &self.transports[id].consumers {
            let consumer = &mut self.consumers[consumer];
            if !is_due(consumer.last_rtcp, now) {
                continue;
            }
            for stream in &mut consumer.streams {
                let sent = self.producers[consumer.producer].egresses[stream.egress].sent;
                let Some(info) = stream.sender_report(now, wall, &sent) else { continue };
                consumer.last_rtcp = Some(now);
                let dlrr = stream.dlrr(now);
                let cname = &stream.params.shown.cname;
                compounds.write(|writer| {
                    writer.sender_report(&info, &[])?;
                    writer.sdes_cname(info.ssrc, cname)?;
                    if let Some(dlrr) = dlrr {
                        writer.xr_dlrr(info.ssrc, &[dlrr])?;
                    }
                    Some(())
                });
            }
        }
    }

    /// RR of every producer's streams, and XR RRT once: it is of the transport.
    fn write_receiver_reports(&mut self, now: Time, id: Id<Transport>, compounds: &mut Compounds) {
        let mut reference = Some(self.wall(now));
        for &producer in &self.transports[id].producers {
            let producer = &mut self.producers[producer];
            if !is_due(producer.last_rtcp, now) || producer.streams().next().is_none() {
                continue;
            }
            producer.last_rtcp = Some(now);
            let worst = worst_fraction_lost(producer, &self.consumers);
            let mut blocks = Vec::with_capacity(2 * producer.streams.len());
            for stream in producer.streams.iter_mut().flatten() {
                blocks.push(stream.report(now, worst));
                blocks.extend(stream.rtx_report(now));
            }
            for blocks in blocks.chunks(REPORT_BLOCKS_MAX) {
                compounds.write(|writer| {
                    writer.receiver_report(RECEIVER_SSRC, blocks)?;
                    if let Some(wall) = reference.take() {
                        writer.xr_rrt(RECEIVER_SSRC, wall)?;
                    }
                    Some(())
                });
            }
        }
    }

    /// Asks for what a stream misses.
    pub(crate) fn send_nacks(&mut self, now: Time, id: Id<Producer>, index: usize, out: &mut Outbox) {
        let Some(producer) = self.producers.get_mut(id) else { return };
        let Some(stream) = producer.streams.get_mut(index).and_then(Option::as_mut) else { return };
        // A timer of an earlier deadline, or of a former owner of the id.
        if stream.nack_timer.is_none_or(|deadline| deadline > now) {
            return;
        }
        stream.nack_timer = None;
        let rtt = stream.rtt();
        let Some(nack) = &mut stream.nack else { return };
        let mut missing = [0; NACKS_PER_PACKET_MAX];
        let batch = nack.handle_timeout(now, rtt, &mut missing);
        if batch.count > 0 {
            let mut buffer = [0; RTCP_BYTES_MAX];
            let mut writer = CompoundWriter::new(&mut buffer);
            let ssrc = stream.ssrc();
            if writer.nack(RECEIVER_SSRC, ssrc, missing[..batch.count].iter().copied()).is_some() {
                stream.counters.nacks += 1;
                stream.counters.nacked_packets += batch.count as u64;
                let (event, info) = (ProducerTraceEvent::Nack, TraceInfo::None);
                trace::producer_event(producer, now, event, Direction::Out, info, out);
                let transport = &mut self.transports[producer.transport];
                send_rtcp(now, transport, writer.as_bytes(), out);
            }
        }
        self.schedule_nacks(id, index);
    }

    /// Sets the timer for a stream's next NACK, unless an earlier one is set.
    #[inline]
    pub(crate) fn schedule_nacks(&mut self, id: Id<Producer>, index: usize) {
        let Some(stream) = self.producers[id].streams.get_mut(index).and_then(Option::as_mut) else { return };
        let Some(next) = stream.nack.as_ref().and_then(|nack| nack.next_timeout()) else { return };
        if stream.nack_timer.is_none_or(|set| next < set) {
            stream.nack_timer = Some(next);
            self.timers.set(next, Timer::ProducerNack(id, timer_index(index)));
        }
    }

    /// A consumer wants a key frame, if it can use one.
    pub(crate) fn request_key_frame_for(
        &mut self,
        now: Time,
        id: Id<Consumer>,
        wish: KeyFrameOf,
        out: &mut Outbox,
    ) {
        let producer = self.consumers[id].producer;
        for index in self.streams_wanted(id, wish) {
            self.request_key_frame(now, producer, index, out);
        }
    }

    /// A receiver asks for a key frame. What another shard of this process asks for by a pipe is its own need, or was spaced out there:
    /// were it spaced out again, a new viewer there would wait.
    pub(crate) fn receive_key_frame_request(&mut self, now: Time, id: Id<Consumer>, out: &mut Outbox) {
        let consumer = &self.consumers[id];
        let producer = consumer.producer;
        let is_of_shard = self.transports[consumer.transport].other_end().is_some();
        let need = if is_of_shard { KeyFrameRequests::need } else { KeyFrameRequests::need_of_receiver };
        for index in self.streams_wanted(id, KeyFrameOf::Sent) {
            self.need_key_frame(now, producer, index, need, out);
        }
    }

    /// The producer's streams whose key frames a consumer can use.
    fn streams_wanted(&self, id: Id<Consumer>, wish: KeyFrameOf) -> Vec<usize> {
        let consumer = &self.consumers[id];
        if !consumer.is_active() {
            return Vec::new();
        }
        let producer = &self.producers[consumer.producer];
        let wanted = consumer.streams.iter().enumerate().flat_map(|(place, stream)| {
            let encodings = producer.egresses[stream.egress].layers.key_frame_encodings(wish);
            // A pipe's stream carries the encoding of its own place.
            encodings.into_iter().flatten().map(move |encoding| encoding + place)
        });
        wanted.filter_map(|encoding| consumer.stream_of(producer, encoding)).collect()
    }

    /// Asks a stream for a key frame, unless it was asked lately.
    pub(crate) fn request_key_frame(&mut self, now: Time, id: Id<Producer>, index: usize, out: &mut Outbox) {
        self.need_key_frame(now, id, index, KeyFrameRequests::need, out);
    }

    fn need_key_frame(
        &mut self,
        now: Time,
        id: Id<Producer>,
        index: usize,
        need: fn(&mut KeyFrameRequests, Time) -> bool,
        out: &mut Outbox,
    ) {
        let producer = &mut self.producers[id];
        if producer.paused || producer.kind != crate::rtp_parameters::MediaKind::Video {
            return;
        }
        let Some(stream) = producer.streams[index].as_mut() else { return };
        if need(&mut stream.key_frames, now) {
            self.send_key_frame_request(now, id, index, out);
        }
        self.schedule_key_frame(id, index);
    }

    /// Asks a stream for a key frame, whatever was asked before.
    pub(crate) fn force_key_frame(&mut self, now: Time, id: Id<Producer>, index: usize, out: &mut Outbox) {
        let Some(stream) = self.producers[id].streams[index].as_mut() else { return };
        stream.key_frames.force(now);
        self.send_key_frame_request(now, id, index, out);
        self.schedule_key_frame(id, index);
    }

    pub(crate) fn handle_key_frame_timeout(
        &mut self,
        now: Time,
        id: Id<Producer>,
        index: usize,
        out: &mut Outbox,
    ) {
        let Some(producer) = self.producers.get_mut(id) else { return };
        let Some(stream) = producer.streams.get_mut(index).and_then(Option::as_mut) else { return };
        if stream.key_frame_timer.is_none_or(|deadline| deadline > now) {
            return;
        }
        stream.key_frame_timer = None;
        let mapped_ssrc = stream.mapped_ssrc;
        if !producer.egresses.iter().any(|egress| egress.uses(mapped_ssrc)) {
            stream.key_frames.give_up();
        }
        let asks = stream.key_frames.handle_timeout(now);
        if asks && !producer.paused {
            self.send_key_frame_request(now, id, index, out);
        }
        self.schedule_key_frame(id, index);
    }

    fn schedule_key_frame(&mut self, id: Id<Producer>, index: usize) {
        let Some(stream) = self.producers[id].streams[index].as_mut() else { return };
        let Some(next) = stream.key_frames.next_timeout() else { return };
        if stream.key_frame_timer.is_none_or(|set| next < set) {
            stream.key_frame_timer = Some(next);
            self.timers.set(next, Timer::ProducerKeyFrame(id, timer_index(index)));
        }
    }

    /// PLI where the sender takes it, else FIR (RFC 4585 section 6.3.1, RFC 5104 section 4.3.1).
    fn send_key_frame_request(&mut self, now: Time, id: Id<Producer>, index: usize, out: &mut Outbox) {
        let Self { producers, transports, .. } = self;
        let producer = &mut producers[id];
        let Some(stream) = producer.streams[index].as_mut() else { return };
        let ssrc = stream.ssrc();
        let mut buffer = [0; 32];
        let mut writer = CompoundWriter::new(&mut buffer);
        // GStreamer ignores feedback whose sender SSRC is zero, so the media's own is named.
        let event = if stream.params.shown.use_pli {
            writer.pli(ssrc, ssrc);
            stream.counters.plis += 1;
            ProducerTraceEvent::Pli
        } else if stream.params.shown.use_fir {
            writer.fir(ssrc, ssrc, stream.next_fir_sequence());
            stream.counters.firs += 1;
            ProducerTraceEvent::Fir
        } else {
            return;
        };
        trace::producer_event(producer, now, event, Direction::Out, TraceInfo::Ssrc(ssrc), out);
        send_rtcp(now, &mut transports[producer.transport], writer.as_bytes(), out);
    }

    pub(crate) fn schedule_inactivity(&mut self, id: Id<Producer>, index: usize) {
        let Some(stream) = self.producers[id].streams[index].as_mut() else { return };
        let Some(deadline) = stream.inactivity_deadline else { return };
        // A deadline that moved on is looked at when the timer of the old one has come.
        if stream.inactivity_timer.is_none() {
            stream.inactivity_timer = Some(deadline);
            self.timers.set(deadline, Timer::ProducerInactivity(id, timer_index(index)));
        }
    }

    pub(crate) fn check_inactivity(&mut self, now: Time, id: Id<Producer>, index: usize, out: &mut Outbox) {
        let Some(producer) = self.producers.get_mut(id) else { return };
        let Some(stream) = producer.streams.get_mut(index).and_then(Option::as_mut) else { return };
        if stream.inactivity_timer.is_none_or(|deadline| deadline > now) {
            return;
        }
        stream.inactivity_timer = None;
        let Some(deadline) = stream.inactivity_deadline else { return };
        if deadline > now {
            // Heard since: look again when that is over.
            self.schedule_inactivity(id, index);
            return;
        }
        // Nothing to look at before it is heard again.
        stream.inactivity_deadline = None;
        if stream.score.set_inactive().is_some() {
            self.announce_score(now, id, out);
        }
    }
}

/// The next moment of the grid.
pub(crate) fn on_grid(time: Time) -> Time {
    Time::from_nanos(time.as_nanos().next_multiple_of(REPORT_GRID_NANOS))
}

fn is_due(last: Option<Time>, now: Time) -> bool {
    last.is_none_or(|last| now.saturating_since(last) >= REPORT_AGE_MIN)
}

#[allow(clippy::cast_possible_truncation, reason = "a producer has at most ENCODINGS_MAX streams")]
fn timer_index(index: usize) -> u8 {
    index as u8
}

fn worst_fraction_lost(producer: &Producer, consumers: &crate::table::Table<Consumer>) -> u8 {
    let active = producer.egresses.iter().filter(|egress| egress.is_active);
    let lost = |egress: &Egress| {
        consumers[egress.consumer].streams.get(usize::from(egress.stream)).map(|stream| stream.fraction_lost)
    };
    active.filter_map(lost).max().unwrap_or(0)
}

/// Compounds under construction: a source's reports stay together, a full compound is followed by another.
#[derive(Debug, Default)]
struct Compounds {
    full: Vec<Vec<u8>>,
    current: Vec<u8>,
}

impl Compounds {
    fn write(&mut self, fill: impl FnOnce(&mut CompoundWriter<'_>) -> Option<()>) {
        let mut buffer = [0; RTCP_BYTES_MAX];
        let mut writer = CompoundWriter::new(&mut buffer);
        // What does not even fit a compound of its own (a giant CNAME) is left out.
        if fill(&mut writer).is_none() {
            return;
        }
        if self.current.len() + writer.len() > RTCP_BYTES_MAX {
            self.full.push(std::mem::take(&mut self.current));
        }
        self.current.extend_from_slice(writer.as_bytes());
    }

    fn finish(mut self) -> Vec<Vec<u8>> {
        if !self.current.is_empty() {
            self.full.push(self.current);
        }
        self.full
    }
}

/// Sends a compound beside the media or to its own address.
pub(crate) fn send_rtcp(now: Time, transport: &mut Transport, compound: &[u8], out: &mut Outbox) {
    let Some(way) = transport.rtcp_way() else { return };
    let mut len = compound.len();
    let capacity = compound.len() + MAX_TRAILER_LEN;
    let sent = match way {
        Way::Application => {
            let data = compound.to_vec();
            out.events.push(Event::DirectTransportRtcp { transport: transport.name.clone(), data });
            true
        }
        Way::Bare(destination) => out.push(destination, capacity, Shared::EMPTY, |slot| {
            slot.get_mut(..len)?.copy_from_slice(compound);
            Some(len)
        }),
        Way::Sealed(destination, outbound) => out.push(destination, capacity, Shared::EMPTY, |slot| {
            slot.get_mut(..len)?.copy_from_slice(compound);
            len = outbound.protect_rtcp(slot, len).ok()?;
            Some(len)
        }),
    };
    if sent {
        transport.traffic.other_sent.update(now, len);
    }
}
