//! The RTCP spine: all feedback goes through [`Sfu::handle_rtcp`], whatever brought it.
//!
//! What consumers' receivers say ends here: reports become stats, NACKs are answered from the producer's history, key-frame
//! requests go to the producer's request manager. What producers' senders say ends here too.

use std::time::Duration;

use ringsoup_rtc::ntp::NtpTime;
use ringsoup_rtc::rtcp::{Compound, ExtendedReport, Nack, ReportBlock, RtcpPacket, SenderInfo, XrBlock};
use ringsoup_rtc::rtp::packet::FIXED_HEADER_LEN;
use ringsoup_rtc::rtp::{ExtensionBlock, HeaderFields, Stamp, write_header, write_rtx_header};
use ringsoup_rtc::rtx::{HistoryPacket, OSN_LEN};
use ringsoup_rtc::time::Time;

use crate::command::{ConsumerTraceEvent, ProducerTraceEvent};
use crate::consumer::Consumer;
use crate::consumer::layers::Again;
use crate::consumer::send_stream::SendStream;
use crate::consumer::stamps::StampIds;
use crate::drop_reason::DropReason;
use crate::event::{Direction, TraceInfo};
use crate::forward::{abs_send_time, send_packet, with_active, write_prefix};
use crate::outbox::Outbox;
use crate::producer::Producer;
use crate::producer::recv_stream::RecvStream;
use crate::resends::Unsent;
use crate::rtp_parameters::MediaKind;
use crate::sfu::Sfu;
use crate::stats::Outcome;
use crate::table::Id;
use crate::trace;
use crate::transport::Transport;

/// NACK items of one packet that are answered: more than a receiver's whole history takes (17 packets each) is a flood.
const NACK_ITEMS_MAX: usize = 256;

/// When a compound arrived: for intervals, and as the kernel saw it, for round trips.
#[derive(Debug, Clone, Copy)]
struct Arrival {
    now: Time,
    received: Time,
}

impl Sfu {
    /// # Errors
    /// `MalformedRtcp` when not one sub-packet could be read.
    pub(crate) fn handle_rtcp(
        &mut self,
        now: Time,
        transport: Id<Transport>,
        bytes: &[u8],
        received: Time,
        out: &mut Outbox,
    ) -> Result<Outcome, DropReason> {
        let arrival = Arrival { now, received };
        let mut understood = false;
        for packet in Compound::new(bytes) {
            let Ok(packet) = packet else { continue };
            understood = true;
            self.handle_rtcp_packet(arrival, transport, &packet, out);
        }
        if understood { Ok(Outcome::Consumed) } else { Err(DropReason::MalformedRtcp) }
    }

    fn handle_rtcp_packet(
        &mut self,
        arrival: Arrival,
        transport: Id<Transport>,
        packet: &RtcpPacket<'_>,
        out: &mut Outbox,
    ) {
        match packet {
            RtcpPacket::SenderReport(report) => {
                self.receive_sender_report(arrival, transport, &report.info, out);
                for block in report.reports() {
                    self.receive_report(arrival, transport, &block, out);
                }
            }
            RtcpPacket::ReceiverReport(report) => {
                for block in report.reports() {
                    self.receive_report(arrival, transport, &block, out);
                }
            }
            RtcpPacket::ExtendedReport(report) => self.receive_extended_report(arrival, transport, report),
            RtcpPacket::Nack(nack) => self.receive_nack(arrival.now, transport, nack, out),
            RtcpPacket::Pli(pli) => {
                self.receive_pli(arrival.now, transport, pli.media_ssrc, out);
            }
            RtcpPacket::Fir(fir) => {
                for entry in fir.entries() {
                    self.receive_fir(arrival.now, transport, entry.ssrc, out);
                }
            }
            RtcpPacket::Remb(remb) => self.transports[transport].outgoing.receive_remb(remb),
            RtcpPacket::TransportCc(feedback) => {
                self.transports[transport].outgoing.receive_transport_cc(feedback);
            }
            // CNAMEs and goodbyes change nothing here.
            RtcpPacket::Sdes(_)
            | RtcpPacket::Bye(_)
            | RtcpPacket::OtherFeedback(_)
            | RtcpPacket::Other(_) => {}
        }
    }

    fn receive_sender_report(
        &mut self,
        arrival: Arrival,
        transport: Id<Transport>,
        info: &SenderInfo,
        out: &mut Outbox,
    ) {
        let Some(producer_id) = self.transports[transport].listener.producer_of_ssrc(info.ssrc) else {
            return;
        };
        let mut streams = self.producers[producer_id].streams.iter_mut().flatten();
        let has_ssrc =
            |stream: &&mut RecvStream| [Some(stream.ssrc()), stream.rtx_ssrc()].contains(&Some(info.ssrc));
        // Of a stream that was not heard yet nothing is believed.
        let Some(stream) = streams.find(has_ssrc) else { return };
        if stream.ssrc() != info.ssrc {
            stream.receive_rtx_sender_report(arrival.received, info);
            return;
        }
        let (score, rtt) = (stream.receive_sender_report(arrival.received, info), stream.rtt());
        self.hear_sender_clock(arrival.received, transport, producer_id, info.ntp, rtt);
        let trace_info = TraceInfo::SenderReport {
            ssrc: info.ssrc,
            ntp_sec: info.ntp.seconds(),
            ntp_frac: info.ntp.fraction(),
            rtp_ts: info.rtp_timestamp,
            packet_count: info.packet_count,
            octet_count: info.octet_count,
        };
        if score.is_some() {
            self.announce_score(arrival.now, producer_id, out);
        }
        let (producer, event) = (&self.producers[producer_id], ProducerTraceEvent::SenderReport);
        trace::producer_event(producer, arrival.now, event, Direction::In, trace_info, out);
    }

    /// What a report says of its sender's clock holds for all that sends by that name.
    fn hear_sender_clock(
        &mut self,
        received: Time,
        transport: Id<Transport>,
        producer: Id<Producer>,
        ntp: NtpTime,
        rtt: Duration,
    ) {
        let Self { transports, producers, .. } = self;
        let transport = &mut transports[transport];
        let offset = transport.sender_clocks.hear(producers[producer].cname(), ntp, received, rtt);
        for &other in &transport.producers {
            if producers[other].cname() == producers[producer].cname() {
                producers[other].set_clock_offset(offset);
            }
        }
    }

    fn receive_report(
        &mut self,
        arrival: Arrival,
        transport: Id<Transport>,
        block: &ReportBlock,
        out: &mut Outbox,
    ) {
        let wall = self.wall(arrival.received);
        let Some(&id) = self.transports[transport].media_ssrcs.get(&block.ssrc) else { return };
        let consumer = &mut self.consumers[id];
        let Some(index) = consumer.stream_of_ssrc(block.ssrc) else { return };
        let producer = &self.producers[consumer.producer];
        let stream = &mut consumer.streams[index];
        let sent = &producer.egresses[stream.egress].sent;
        if let Some(change) = stream.receive_report(wall, block, sent) {
            if change.previous == 0 {
                stream.active_since = Some(arrival.now);
            }
            out.events.extend(consumer.score_event(producer));
            self.retarget_layers(arrival.now, id, out);
        }
    }

    fn receive_extended_report(
        &mut self,
        arrival: Arrival,
        transport: Id<Transport>,
        report: &ExtendedReport<'_>,
    ) {
        let wall = self.wall(arrival.received);
        // One reference time is enough: each is noted by all consumers of the transport.
        let mut has_reference = false;
        for block in report.blocks() {
            match block {
                XrBlock::ReceiverReferenceTime(_) if has_reference => {}
                XrBlock::ReceiverReferenceTime(reference) => {
                    has_reference = true;
                    for &consumer in &self.transports[transport].consumers {
                        for stream in &mut self.consumers[consumer].streams {
                            stream.receive_reference_time(arrival.received, reference);
                        }
                    }
                }
                XrBlock::DelaySinceLastRr(delays) => {
                    for delay in delays {
                        // Some senders leave the sub-block's SSRC empty and mean their own.
                        let ssrc = if delay.ssrc == 0 { report.ssrc } else { delay.ssrc };
                        let producer = self.transports[transport].listener.producer_of_ssrc(ssrc);
                        let Some(producer) = producer else { continue };
                        let streams = self.producers[producer].streams.iter_mut().flatten();
                        for stream in streams.filter(|stream| stream.ssrc() == ssrc) {
                            let (last, since) =
                                (delay.last_receiver_report, delay.delay_since_last_receiver_report);
                            stream.receive_dlrr(wall, last, since);
                        }
                    }
                }
                XrBlock::Other(..) => {}
            }
        }
    }

    fn receive_pli(&mut self, now: Time, transport: Id<Transport>, ssrc: u32, out: &mut Outbox) {
        let Some(&id) = self.transports[transport].media_ssrcs.get(&ssrc) else { return };
        let consumer = &mut self.consumers[id];
        if consumer.kind != MediaKind::Video {
            return;
        }
        let Some(stream) = consumer.stream_of_ssrc(ssrc) else { return };
        consumer.streams[stream].counters.plis += 1;
        let info = TraceInfo::Ssrc(ssrc);
        trace::consumer_event(consumer, now, ConsumerTraceEvent::Pli, Direction::In, info, out);
        self.receive_key_frame_request(now, id, out);
    }

    fn receive_fir(&mut self, now: Time, transport: Id<Transport>, ssrc: u32, out: &mut Outbox) {
        let Some(&id) = self.transports[transport].media_ssrcs.get(&ssrc) else { return };
        let consumer = &mut self.consumers[id];
        if consumer.kind != MediaKind::Video {
            return;
        }
        let Some(stream) = consumer.stream_of_ssrc(ssrc) else { return };
        consumer.streams[stream].counters.firs += 1;
        let info = TraceInfo::Ssrc(ssrc);
        trace::consumer_event(consumer, now, ConsumerTraceEvent::Fir, Direction::In, info, out);
        self.receive_key_frame_request(now, id, out);
    }

    /// RFC 4585 section 6.2.1: sends again what is still there, at most once per round trip and packet.
    fn receive_nack(&mut self, now: Time, transport: Id<Transport>, nack: &Nack<'_>, out: &mut Outbox) {
        let Self { transports, producers, consumers, resends, .. } = self;
        let transport = &mut transports[transport];
        let Some(&consumer) = transport.media_ssrcs.get(&nack.media_ssrc) else { return };
        let consumer = &mut consumers[consumer];
        if !consumer.is_active() {
            return;
        }
        let Some(index) = consumer.stream_of_ssrc(nack.media_ssrc) else { return };
        consumer.streams[index].counters.nacks += 1;
        let is_answered = consumer.streams[index].guard.is_some();
        trace::consumer_event(consumer, now, ConsumerTraceEvent::Nack, Direction::In, TraceInfo::None, out);
        let producer = &producers[consumer.producer];
        let kept = producer.kept_bytes();
        let asked = nack.items().map(|item| u64::from(item.packet_count())).sum::<u64>();
        consumer.streams[index].counters.nacked_packets += asked;
        if !is_answered {
            return;
        }
        for item in nack.items().take(NACK_ITEMS_MAX) {
            for sequence_number in item.sequence_numbers() {
                let asked = Asked { stream: index, sequence_number, kept };
                let outcome = if transport.lookups.admit(now) {
                    send_again(now, transport, consumer, producer, &asked, out)
                } else {
                    Err(Unsent::TooMany)
                };
                resends.count(outcome);
            }
        }
    }
}

/// What a receiver asks for.
struct Asked {
    /// Which of the consumer's streams it is of.
    stream: usize,
    sequence_number: u16,
    /// Bytes of all that can be asked for.
    kept: u64,
}

/// Sends again what a receiver asks for, if that may be.
fn send_again(
    now: Time,
    transport: &mut Transport,
    consumer: &mut Consumer,
    producer: &Producer,
    asked: &Asked,
    out: &mut Outbox,
) -> Result<(), Unsent> {
    let Asked { stream: index, sequence_number, kept } = *asked;
    let egress = &producer.egresses[consumer.streams[index].egress];
    let layers = &egress.layers;
    let source = layers.source(sequence_number).ok_or(Unsent::Unknown)?;
    let (rtt, guard) = (consumer.streams[index].rtt(), consumer.streams[index].guard.as_ref());
    let guard = guard.ok_or(Unsent::Unknown)?;
    let is_first = guard.may_resend(now, rtt, layers.newest(), source.output).map_err(Unsent::from)?;
    // A pipe's stream carries the encoding of its own place.
    let encoding = if consumer.is_pipe() { index } else { source.encoding };
    let history = consumer.history(producer, encoding).ok_or(Unsent::Unknown)?;
    let packet = history.get(now, source.input).filter(|packet| !packet.is_gap()).ok_or(Unsent::Unknown)?;
    let again = layers.again(&source, &packet).ok_or(Unsent::Unknown)?;
    let guard = consumer.streams[index].guard.as_mut().ok_or(Unsent::Unknown)?;
    // What it takes at least; what it took is charged.
    if !guard.affords(FIXED_HEADER_LEN + packet.payload.len(), egress.sent.bytes, kept) {
        return Err(Unsent::TooMuch);
    }
    let resent = Resent { stream: index, sequence_number, packet, again };
    let refused = out.refused();
    let Some(bytes) = retransmit(now, transport, consumer, &resent, out) else {
        return Err(if out.refused() == refused { Unsent::Unknown } else { Unsent::OutboxFull });
    };
    let stream = &mut consumer.streams[index];
    if let Some(guard) = stream.guard.as_mut() {
        guard.resent(now, source.output, bytes);
    }
    stream.counters.retransmitted += 1;
    stream.counters.repaired += u64::from(is_first);
    Ok(())
}

/// A packet on its way to be sent again.
struct Resent<'a> {
    /// Which of the consumer's streams it is of.
    stream: usize,
    sequence_number: u16,
    packet: HistoryPacket<'a>,
    again: Again,
}

/// Sends a packet again, in the RTX stream where there is one (RFC 4588), else as it was. Returns the bytes it took when it was sent
/// first: that RTX packets are longer is no fault of the receiver. `None` when it could not be sent.
fn retransmit(
    now: Time,
    transport: &mut Transport,
    consumer: &mut Consumer,
    resent: &Resent<'_>,
    out: &mut Outbox,
) -> Option<usize> {
    let Resent { stream, sequence_number, packet, again } = *resent;
    let block = ExtensionBlock::from_wire_form(packet.extension, packet.two_byte);
    let told = again.active.and_then(|active| with_active(&block, active));
    let block = told.as_ref().unwrap_or(&block);
    let own_block = consumer.own_block(block);
    let block = own_block.as_ref().unwrap_or(block);
    let sent = &mut consumer.streams[stream];
    // What has no RTX payload type of its own, as redundant sound beside speech, would come back as something else by another's.
    let rtx = sent.rtx_of(packet.payload_type);
    let stamp = match rtx {
        Some(_) => new_stamp(now, transport, consumer.stamp_ids),
        None => first_stamp(sent, consumer.stamp_ids, sequence_number)?,
    };
    let rtx_sequence_number = rtx.map(|_| sent.next_rtx_sequence_number());
    let (payload_type, ssrc) = rtx.unwrap_or_else(|| (packet.payload_type, sent.ssrc()));
    let fields = HeaderFields {
        payload_type,
        marker: again.marker,
        sequence_number: rtx_sequence_number.unwrap_or(sequence_number),
        timestamp: again.timestamp,
        ssrc,
        mid: consumer.mid.as_ref().map(|(id, mid)| (*id, &mid[..])),
        stamp,
        ..HeaderFields::default()
    };
    let prefix = again.prefix.as_ref();
    let write = |slot: &mut [u8]| {
        let head = match rtx {
            Some(_) => write_rtx_header(slot, &fields, sequence_number, block)?,
            None => write_header(slot, &fields, block)?,
        };
        Some(head + write_prefix(slot, head, prefix)?)
    };
    let skipped = prefix.map_or(0, |prefix| usize::from(prefix.skips));
    let payload = packet.payload.get(skipped..)?;
    let len = send_packet(transport, consumer, payload, &mut None, write, out)?;
    if let Some((_, number)) = stamp.transport_wide_cc {
        match rtx {
            Some(_) => transport.outgoing.note_sent(now, len.rtp),
            None => transport.outgoing.note_resent(number),
        }
    }
    transport.traffic.rtx_sent.update(now, len.rtp);
    transport.traffic.count_overhead(now, len);
    if !consumer.trace_events.is_empty() {
        trace::resent_packet(consumer, stream, now, &fields, &packet, len.rtp, out);
    }
    Some(len.rtp - rtx.map_or(0, |_| OSN_LEN))
}

/// What a packet says of its sending in an RTX stream, where it is another packet.
fn new_stamp(now: Time, transport: &Transport, ids: StampIds) -> Stamp {
    if ids.is_empty() {
        return Stamp::NONE;
    }
    ids.stamp(abs_send_time(now), transport.outgoing.next_number())
}

/// What a packet that is sent again as it was says of its sending: what it said, to the byte. `None` when that is not known any more.
fn first_stamp(stream: &SendStream, ids: StampIds, sequence_number: u16) -> Option<Stamp> {
    if ids.is_empty() {
        return Some(Stamp::NONE);
    }
    stream.stamps.as_ref()?.get(sequence_number)
}
