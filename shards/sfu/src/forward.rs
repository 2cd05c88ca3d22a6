//! The RTP spine: all media goes through [`Sfu::forward_rtp`], whatever brought it.
//!
//! ```text
//! bytes ─► parse ─► producer ─► stream (order, loss, repair) ─► mapping ─┬─► consumer decides ─► header ─► Outbox
//!                                                                        ├─► consumer decides ─► header ─► Outbox
//!                                                                        └─► history, for who asks again
//! ```

use ringsoup_rtc::codec::dependency_descriptor::{Active, REWRITTEN_BYTES_MAX};
use ringsoup_rtc::codec::vp8::DESCRIPTOR_BYTES_MAX;
use ringsoup_rtc::ntp::NtpTime;
use ringsoup_rtc::rtp::extension::{AbsCaptureTime, abs_send_time_from_micros, encode_packet_id};
use ringsoup_rtc::rtp::{ExtensionBlock, HeaderFields, RtpPacket, Stamp, write_header};
use ringsoup_rtc::rtx::HistoryPacket;
use ringsoup_rtc::srtp::MAX_TRAILER_LEN;
use ringsoup_rtc::time::Time;

use crate::command::ConsumerTraceEvent;
use crate::consumer::Consumer;
use crate::consumer::decision::{Decision, LayerChange, Offer, Prefix, Rewrite, Withheld};
use crate::consumer::egress::Egress;
use crate::consumer::stamps::StampIds;
use crate::drop_reason::DropReason;
use crate::event::Event;
use crate::handlers::LayerNews;
use crate::handlers::stream_news::note_video_orientation;
use crate::outbox::{Destination, Forwarded, Outbox, Shared};
use crate::producer::recv_stream::{Arrived, RecvStream};
use crate::producer::sender_clock::SenderClock;
use crate::producer::{Producer, StreamMatch, capture};
use crate::rtp_parameters::{ExtensionUri, MediaKind};
use crate::sfu::Sfu;
use crate::stats::Outcome;
use crate::table::{Id, Table};
use crate::trace;
use crate::transport::{Transport, Way};

/// Longest header written: 12 bytes, 15 CSRCs, an extension block with MID, an original sequence number.
pub(crate) const HEADER_BYTES_MAX: usize = 704;

/// Longest part of a payload that is written for one receiver: an original sequence number and a payload descriptor.
const PREFIX_BYTES_MAX: usize = 2 + DESCRIPTOR_BYTES_MAX;

/// A packet on its way through the router.
pub(crate) struct Passing<'a> {
    pub now: Time,
    pub payload_type: u8,
    pub csrcs: &'a [u8],
    pub block: &'a ExtensionBlock,
    pub arrived: &'a Arrived<'a>,
    /// In the Outbox once the first receiver has been found.
    pub shared: Option<Shared>,
    /// Absolute send time, once the first receiver has been found that is told.
    pub sent_at: Option<u32>,
}

impl<'a> Passing<'a> {
    fn fields<'f>(&self, ssrc: u32, rewrite: &Rewrite) -> HeaderFields<'f>
    where
        'a: 'f,
    {
        HeaderFields {
            payload_type: self.payload_type,
            marker: rewrite.marker,
            padding: false,
            sequence_number: rewrite.sequence_number,
            timestamp: rewrite.timestamp,
            ssrc,
            csrcs: self.csrcs,
            mid: None,
            stamp: Stamp::NONE,
        }
    }
}

impl Sfu {
    /// # Errors
    /// Why nobody gets the packet; the caller counts it.
    pub(crate) fn forward_rtp(
        &mut self,
        now: Time,
        transport: Id<Transport>,
        bytes: &[u8],
        received: Time,
        out: &mut Outbox,
    ) -> Result<Outcome, DropReason> {
        let packet = RtpPacket::parse(bytes).map_err(|_| DropReason::MalformedRtp)?;
        if self.transports[transport].incoming.is_some() {
            self.note_arrival(now, received, transport, &packet, out);
        }
        let producer = self.producer_of(transport, &packet)?;
        let matched = self.match_stream(now, transport, producer, &packet)?;
        let arrived = self.receive_media(now, received, producer, &packet, matched, out)?;
        if self.producers[producer].paused {
            return Err(DropReason::ProducerPaused);
        }
        if !self.producers[producer].trace_events.is_empty() {
            trace::received_packet(&self.producers[producer], matched.index, now, &packet, &arrived, out);
        }
        if !self.producers[producer].seats.is_empty() {
            self.observe(now, producer, &packet, arrived.payload_type);
        }
        let payload_type = match self.producers[producer].mapping.payload_type(arrived.payload_type) {
            Some(payload_type) if !arrived.payload.is_empty() => payload_type,
            unusable => {
                self.skip(now, producer, matched.index, arrived.seq);
                return Err(unusable.map_or(DropReason::UnknownPayloadType, |_| DropReason::PaddingOnly));
            }
        };
        let block = self.map_extensions(producer, matched.index, &packet, out);
        let csrcs = packet.csrc_bytes();
        let mut passing = Passing {
            now,
            payload_type,
            csrcs,
            block: &block,
            arrived: &arrived,
            shared: None,
            sent_at: None,
        };
        let refused = out.refused();
        let count = self.fan_out(producer, matched.index, &mut passing, out);
        if !self.layer_news.is_empty() {
            self.tell_layer_news(now, producer, matched.index, out);
        }
        if count == 0 {
            let is_full = out.refused() != refused;
            return Err(if is_full { DropReason::OutboxFull } else { DropReason::NoTakers });
        }
        let router = self.producers[producer].router;
        out.forwarded.push(Forwarded { router, received, count });
        Ok(Outcome::Forwarded(count))
    }

    fn producer_of(
        &mut self,
        transport: Id<Transport>,
        packet: &RtpPacket<'_>,
    ) -> Result<Id<Producer>, DropReason> {
        let transport = &mut self.transports[transport];
        let producer = transport.listener.producer_of(packet, &transport.recv_extensions);
        if producer.is_none() {
            transport.forget_received_ssrc(packet.ssrc());
        }
        producer.ok_or(DropReason::UnknownProducer)
    }

    fn match_stream(
        &mut self,
        now: Time,
        transport: Id<Transport>,
        producer: Id<Producer>,
        packet: &RtpPacket<'_>,
    ) -> Result<StreamMatch, DropReason> {
        let transport = &mut self.transports[transport];
        let Some(matched) = self.producers[producer].stream_of(now, packet) else {
            transport.forget_received_ssrc(packet.ssrc());
            return Err(DropReason::UnknownStream);
        };
        let traffic = &mut transport.traffic;
        let meter = if matched.is_rtx { &mut traffic.rtx_received } else { &mut traffic.rtp_received };
        meter.update(now, packet.wire().len());
        Ok(matched)
    }

    /// Hands the packet to its stream and does what the stream then needs: NACK timer, key frames, events.
    fn receive_media<'a>(
        &mut self,
        now: Time,
        received: Time,
        producer: Id<Producer>,
        packet: &RtpPacket<'a>,
        matched: StreamMatch,
        out: &mut Outbox,
    ) -> Result<Arrived<'a>, DropReason> {
        let arrived = self.producers[producer].receive(now, received, packet, matched);
        self.schedule_nacks(producer, matched.index);
        let is_key_frame = arrived.is_ok_and(|arrived| arrived.is_key_frame);
        if is_key_frame && let Some(stream) = self.producers[producer].streams[matched.index].as_mut() {
            stream.key_frames.begins();
        }
        if matched.is_new {
            // Only media can show that its beginning was missed.
            let lacks_key_frame = arrived.is_ok_and(|arrived| !arrived.is_key_frame);
            self.announce_stream(now, producer, matched.index, lacks_key_frame, out);
        }
        let arrived = arrived?;
        if arrived.has_restarted {
            self.restart_consumers(producer, matched.index);
        }
        self.follow_stream_layers(now, producer, matched.index, out);
        if arrived.score.is_some() {
            self.schedule_inactivity(producer, matched.index);
            self.announce_score(now, producer, out);
        }
        if is_key_frame && let Some(stream) = self.producers[producer].streams[matched.index].as_mut() {
            stream.key_frames.has_begun();
        }
        if arrived.needs_key_frame {
            self.request_key_frame(now, producer, matched.index, out);
        }
        Ok(arrived)
    }

    /// The sender began anew: receivers go on without a jump in their sequence numbers, which SRTP could take for numbers it
    /// has seen, and from a key frame on. Other shards are shown a jump that SRTP can follow.
    #[cold]
    fn restart_consumers(&mut self, producer: Id<Producer>, stream: usize) {
        let Self { producers, consumers, .. } = self;
        let producer = &mut producers[producer];
        let mapped_ssrc = producer.mapping.mapped_ssrc(stream);
        for egress in producer.egresses.iter_mut().filter(|egress| egress.is_active) {
            if egress.restart(mapped_ssrc) {
                consumers[egress.consumer].streams[usize::from(egress.stream)].pause();
            }
        }
    }

    /// A packet that nobody gets leaves no gap: receivers would ask for it in vain. Who has not begun may begin before it.
    #[cold]
    fn skip(&mut self, now: Time, producer: Id<Producer>, stream: usize, seq: u64) {
        let producer = &mut self.producers[producer];
        let mapped_ssrc = producer.mapping.mapped_ssrc(stream);
        for egress in &mut producer.egresses {
            egress.skip(mapped_ssrc, seq);
        }
        let Some(stream) = producer.streams[stream].as_mut() else { return };
        if producer.asking > 0 {
            stream.keep_history();
        }
        if let Some(history) = &mut stream.history {
            history.insert(now, seq, &HistoryPacket::GAP);
        }
    }

    /// The extensions that travel with the media, under the router's ids.
    fn map_extensions(
        &mut self,
        producer: Id<Producer>,
        stream: usize,
        packet: &RtpPacket<'_>,
        out: &mut Outbox,
    ) -> ExtensionBlock {
        let producer = &mut self.producers[producer];
        let mut block = ExtensionBlock::new();
        if packet.has_extension_block() {
            block.push_mapped(packet, &producer.mapping.extensions);
            push_capture_time(&mut block, producer, stream, packet, self.config.unix_origin_us);
            if producer.kind == MediaKind::Video {
                note_video_orientation(producer, packet, out);
            }
        }
        if producer.mapping.adds_packet_id {
            let carried = producer.mapping.ids.packet_id.is_some_and(|id| packet.extension(id).is_some());
            if !carried {
                let id = ExtensionUri::MediasoupPacketId.router_id();
                block.push(id, &encode_packet_id(self.next_packet_id));
                self.next_packet_id = self.next_packet_id.wrapping_add(1);
            }
        }
        block
    }

    /// Offers the packet to every consumer; returns how many packets went out.
    fn fan_out(
        &mut self,
        producer_id: Id<Producer>,
        index: usize,
        passing: &mut Passing<'_>,
        out: &mut Outbox,
    ) -> u32 {
        let Self { producers, consumers, transports, layer_news, begun, .. } = self;
        let mut audience = Audience { consumers, transports, layer_news };
        let producer = &mut producers[producer_id];
        let Some(stream) = producer.streams[index].as_mut() else { return 0 };
        let arrived = passing.arrived;
        let is_overtaken = arrived.is_key_frame && stream.has_newer_than(arrived.seq);
        let tells_early = arrived.is_key_frame && stream.tells_early(arrived.seq) && is_overtaken;
        let offer = stream.offer(passing.now, arrived, passing.payload_type);
        let (mut count, mut is_waited_for) = (0, false);
        for (place, egress) in producer.egresses.iter_mut().enumerate() {
            match offer_to(egress, &offer, passing, &mut audience, out) {
                Offered::Sent { begins } => {
                    count += 1;
                    if begins && is_overtaken {
                        begun.push(place);
                    }
                }
                Offered::Withheld(why) => is_waited_for |= why == Withheld::BeforeKeyFrame,
                Offered::Unsent => {}
            }
        }
        keep(stream, passing, producer.asking > 0 || is_waited_for);
        if tells_early || !self.begun.is_empty() {
            count += self.send_overtaken(passing.now, producer_id, index, arrived.seq, out);
        }
        count
    }
}

/// Where an egress's packets go, and what is noted on the way.
pub(crate) struct Audience<'a> {
    pub consumers: &'a mut Table<Consumer>,
    pub transports: &'a mut Table<Transport>,
    pub layer_news: &'a mut Vec<(Id<Consumer>, LayerNews)>,
}

/// What became of an offer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Offered {
    Sent {
        /// It is the first of a run.
        begins: bool,
    },
    Withheld(Withheld),
    /// It was taken, and could not be sent.
    Unsent,
}

/// Offers a packet to one consumer and acts on its decision. Not inlined it costs each receiver a twentieth more.
#[inline(always)]
pub(crate) fn offer_to(
    egress: &mut Egress,
    offer: &Offer<'_>,
    passing: &mut Passing<'_>,
    audience: &mut Audience<'_>,
    out: &mut Outbox,
) -> Offered {
    let rewrite = match egress.decide(offer) {
        Decision::Forward(rewrite) => rewrite,
        Decision::Withhold(why) => {
            if why == Withheld::OutOfTime {
                audience.layer_news.push((egress.consumer, LayerNews::WantsKeyFrame));
            }
            return Offered::Withheld(why);
        }
    };
    match rewrite.change {
        LayerChange::None => {}
        LayerChange::Missed => audience.layer_news.push((egress.consumer, LayerNews::WantsKeyFrame)),
        change => audience.layer_news.push((egress.consumer, LayerNews::Changed(change))),
    }
    let len = match egress.bare {
        Some(destination) => send_bare(destination, egress.ssrc, &rewrite, passing, out),
        None => {
            let consumer = &mut audience.consumers[egress.consumer];
            let transport = &mut audience.transports[consumer.transport];
            send_media(transport, consumer, egress, &rewrite, passing, out)
        }
    };
    let Some(len) = len else { return Offered::Unsent };
    egress.count(passing.now, passing.arrived.capture_age_us, &rewrite, len);
    Offered::Sent { begins: rewrite.begins }
}

/// When the media was captured, with the offset of that clock from ours, in the long form. The stream notes it: two streams of one capturer
/// are aligned by it.
fn push_capture_time(
    block: &mut ExtensionBlock,
    producer: &mut Producer,
    stream: usize,
    packet: &RtpPacket<'_>,
    unix_origin_us: u64,
) {
    let Some(id) = producer.mapping.ids.abs_capture_time else { return };
    let received = packet.extension(id).and_then(AbsCaptureTime::parse);
    // A sender that does not know tells zero.
    let Some(received) = received.filter(|received| received.timestamp != 0) else { return };
    if let Some(stream) = producer.streams[stream].as_mut() {
        let ntp = NtpTime::from_u64(received.timestamp);
        stream.capture_clock = Some(SenderClock { ntp, rtp_timestamp: packet.timestamp() });
    }
    let wall_offset_us =
        producer.clock_offset_us().map_or(0, |us| us.saturating_add_unsigned(unix_origin_us));
    if let Some(forwarded) = capture::forwarded(received, wall_offset_us) {
        block.push(ExtensionUri::AbsCaptureTime.router_id(), &forwarded.encode());
    }
}

/// Keeps the packet for receivers that ask again. A retransmission must be the same bytes, or SRTP would use one nonce for
/// two packets: what cannot be rebuilt exactly from what is kept is not kept at all. Where nobody may ask, it is kept as long as
/// somebody waits for a key frame, whose packets may overtake its first one.
fn keep(stream: &mut RecvStream, passing: &Passing<'_>, is_wanted: bool) {
    let arrived = passing.arrived;
    if is_wanted {
        stream.keep_history();
    } else if !arrived.is_key_frame && stream.history.is_some() {
        stream.history = None;
    }
    if let Some(history) = stream.history.as_mut().filter(|_| passing.csrcs.is_empty()) {
        let packet = HistoryPacket {
            marker: arrived.marker,
            timestamp: arrived.timestamp,
            extension: passing.block.wire_form(),
            two_byte: passing.block.is_two_byte(),
            payload_type: passing.payload_type,
            kept: arrived.descriptor.kept(),
            payload: arrived.payload,
        };
        history.insert(passing.now, arrived.seq, &packet);
    }
}

/// Writes the copy of a receiver that has nothing of its own but the fixed header's fields; returns its length.
#[inline]
fn send_bare(
    destination: Destination,
    ssrc: u32,
    rewrite: &Rewrite,
    passing: &mut Passing<'_>,
    out: &mut Outbox,
) -> Option<usize> {
    let payload = passing.arrived.payload;
    if passing.shared.is_none() {
        passing.shared = out.share(payload);
    }
    let shared = without(passing.shared?, rewrite.prefix.as_ref());
    let fields = passing.fields(ssrc, rewrite);
    let told = rewrite.active.and_then(|active| with_active(passing.block, active));
    let block = told.as_ref().unwrap_or(passing.block);
    let mut head = 0;
    let pushed = out.push(destination, HEADER_BYTES_MAX, shared, |slot| {
        head = write_header(slot, &fields, block)?;
        head += write_prefix(slot, head, rewrite.prefix.as_ref())?;
        Some(head)
    });
    pushed.then_some(head + shared.len())
}

/// The extensions of a receiver that is told which decode targets are alive; `None` where they stay as they are.
#[inline(never)]
pub(crate) fn with_active(block: &ExtensionBlock, active: Active) -> Option<ExtensionBlock> {
    let id = ExtensionUri::DependencyDescriptor.router_id();
    let (_, value) = block.elements().find(|(element, _)| *element == id)?;
    let mut rewritten = [0; REWRITTEN_BYTES_MAX];
    let len = active.rewrite(value, &mut rewritten)?;
    block.with_value(id, rewritten.get(..len)?)
}

/// The part of a shared payload that follows a receiver's own beginning of it.
#[inline]
fn without(shared: Shared, prefix: Option<&Prefix>) -> Shared {
    prefix.map_or(shared, |prefix| shared.skip(prefix.skips.into()))
}

/// Writes a receiver's own beginning of a payload behind the header; returns its length.
#[inline]
pub(crate) fn write_prefix(slot: &mut [u8], head: usize, prefix: Option<&Prefix>) -> Option<usize> {
    let Some(prefix) = prefix else { return Some(0) };
    let bytes = prefix.bytes();
    slot.get_mut(head..head + bytes.len())?.copy_from_slice(bytes);
    Some(bytes.len())
}

/// Writes one receiver's copy in its transport's way; returns its length as RTP, or `None` when it could not be sent.
fn send_media(
    transport: &mut Transport,
    consumer: &mut Consumer,
    egress: &Egress,
    rewrite: &Rewrite,
    passing: &mut Passing<'_>,
    out: &mut Outbox,
) -> Option<usize> {
    let stamp = stamp(transport, consumer.stamp_ids, passing);
    let mut fields = passing.fields(egress.ssrc, rewrite);
    fields.mid = consumer.mid.as_ref().map(|(id, mid)| (*id, &mid[..]));
    fields.stamp = stamp;
    let told = rewrite.active.and_then(|active| with_active(passing.block, active));
    let block = told.as_ref().unwrap_or(passing.block);
    let own_block = consumer.own_block(block);
    let block = own_block.as_ref().unwrap_or(block);
    let prefix = rewrite.prefix.as_ref();
    let write = |slot: &mut [u8]| {
        let head = write_header(slot, &fields, block)?;
        Some(head + write_prefix(slot, head, prefix)?)
    };
    let payload = passing.arrived.payload;
    let len = match prefix {
        None => send_packet(transport, consumer, payload, &mut passing.shared, write, out)?,
        Some(own) => {
            if passing.shared.is_none() {
                passing.shared = out.share(payload);
            }
            let mut shared = passing.shared.map(|shared| without(shared, prefix));
            let payload = payload.get(usize::from(own.skips)..)?;
            send_packet(transport, consumer, payload, &mut shared, write, out)?
        }
    };
    transport.traffic.count_overhead(passing.now, len);
    if stamp.transport_wide_cc.is_some() {
        transport.outgoing.note_sent(passing.now, len.rtp);
    }
    if consumer.traces(ConsumerTraceEvent::Rtp) || consumer.traces(ConsumerTraceEvent::KeyFrame) {
        trace::sent_packet(consumer, &fields, passing, len.rtp, out);
    }
    if consumer.keeps_stamps {
        keep_stamp(consumer, egress.stream, rewrite.sequence_number, &stamp);
    }
    Some(len.rtp)
}

/// For packets that are sent again as they were.
fn keep_stamp(consumer: &mut Consumer, stream: u8, sequence_number: u16, stamp: &Stamp) {
    if let Some(stamps) = &mut consumer.streams[usize::from(stream)].stamps {
        stamps.insert(sequence_number, stamp);
    }
}

/// The moment of sending as packets tell it.
pub(crate) fn abs_send_time(now: Time) -> u32 {
    abs_send_time_from_micros(now.as_micros())
}

/// What a receiver's copy says of its sending.
#[inline]
fn stamp(transport: &Transport, ids: StampIds, passing: &mut Passing<'_>) -> Stamp {
    if ids.is_empty() {
        return Stamp::NONE;
    }
    let now = passing.now;
    let sent_at = *passing.sent_at.get_or_insert_with(|| abs_send_time(now));
    ids.stamp(sent_at, transport.outgoing.next_number())
}

/// Lengths of a sent packet: as RTP, and with what SRTP added.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SentLen {
    pub rtp: usize,
    pub wire: usize,
}

/// Puts one packet into the Outbox in the transport's own way. `write` writes what precedes the payload.
pub(crate) fn send_packet(
    transport: &mut Transport,
    consumer: &Consumer,
    payload: &[u8],
    shared: &mut Option<Shared>,
    write: impl FnOnce(&mut [u8]) -> Option<usize>,
    out: &mut Outbox,
) -> Option<SentLen> {
    let way = transport.rtp_way()?;
    if let Way::Application = way {
        return send_to_application(consumer, payload, write, out);
    }
    if shared.is_none() {
        *shared = out.share(payload);
    }
    let shared = (*shared)?;
    let mut len = SentLen { rtp: payload.len(), wire: payload.len() };
    let pushed = match way {
        Way::Application => return None,
        Way::Bare(destination) => out.push(destination, HEADER_BYTES_MAX, shared, |slot| {
            let head = write(slot)?;
            len.rtp += head;
            len.wire += head;
            Some(head)
        }),
        Way::Sealed(destination, outbound) => {
            let capacity = HEADER_BYTES_MAX + payload.len() + MAX_TRAILER_LEN;
            out.push_sealed(destination, capacity, shared, |slot, payload| {
                let head = write(slot)?;
                // An original sequence number behind the header belongs to the payload (RFC 4588 section 4), and so does a
                // beginning of its own.
                let header_len = ringsoup_rtc::rtp::packet::header_len(slot).ok()?;
                let (prefix, prefix_len) = prefix_of(slot, header_len, head);
                len.rtp += head;
                len.wire =
                    outbound.protect_rtp_into(slot, header_len, &prefix[..prefix_len], payload).ok()?;
                Some(len.wire)
            })
        }
    };
    pushed.then_some(len)
}

fn prefix_of(slot: &[u8], header_len: usize, head: usize) -> ([u8; PREFIX_BYTES_MAX], usize) {
    let mut prefix = [0; PREFIX_BYTES_MAX];
    let len = (head - header_len).min(prefix.len());
    prefix[..len].copy_from_slice(&slot[header_len..header_len + len]);
    (prefix, len)
}

fn send_to_application(
    consumer: &Consumer,
    payload: &[u8],
    write: impl FnOnce(&mut [u8]) -> Option<usize>,
    out: &mut Outbox,
) -> Option<SentLen> {
    let mut header = [0; HEADER_BYTES_MAX];
    let head = write(&mut header)?;
    let data = [&header[..head], payload].concat();
    let len = SentLen { rtp: data.len(), wire: data.len() };
    out.events.push(Event::ConsumerRtp { consumer: consumer.name.clone(), data });
    Some(len)
}
