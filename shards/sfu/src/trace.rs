//! Trace events: what a controller asked to see of the packets. Off the packet path unless asked for.

use ringsoup_rtc::rtp::{HeaderFields, RtpPacket};
use ringsoup_rtc::rtx::{HistoryPacket, OSN_LEN, original_len};
use ringsoup_rtc::time::Time;

use crate::command::{ConsumerTraceEvent, ProducerTraceEvent};
use crate::consumer::Consumer;
use crate::event::{ConsumerTrace, Direction, Event, ProducerTrace, RtpPacketDump, TraceInfo};
use crate::forward::Passing;
use crate::outbox::Outbox;
use crate::producer::Producer;
use crate::producer::recv_stream::Arrived;

fn text(value: Option<&[u8]>) -> Option<String> {
    value.map(|value| String::from_utf8_lossy(value).into_owned())
}

/// A packet as the producer's stream took it, what RTX brought too: a key frame is told as such, anything else as RTP.
#[cold]
pub(crate) fn received_packet(
    producer: &Producer,
    stream: usize,
    now: Time,
    packet: &RtpPacket<'_>,
    arrived: &Arrived<'_>,
    out: &mut Outbox,
) {
    let Some(stream) = &producer.streams[stream] else { return };
    let event = if arrived.is_key_frame && producer.traces(ProducerTraceEvent::KeyFrame) {
        ProducerTraceEvent::KeyFrame
    } else if producer.traces(ProducerTraceEvent::Rtp) {
        ProducerTraceEvent::Rtp
    } else {
        return;
    };
    let ids = &producer.mapping.ids;
    let value = |id: Option<u8>| id.and_then(|id| packet.extension(id));
    #[allow(clippy::cast_possible_truncation, reason = "the wire carries the low 16 bits")]
    let sequence_number = arrived.seq as u16;
    let size = if arrived.is_rtx { original_len(packet) } else { packet.wire().len() };
    let dump = RtpPacketDump {
        payload_type: arrived.payload_type,
        sequence_number,
        timestamp: arrived.timestamp,
        marker: arrived.marker,
        ssrc: stream.ssrc(),
        is_key_frame: arrived.is_key_frame,
        size: size as u64,
        payload_size: arrived.payload.len() as u64,
        spatial_layer: arrived.descriptor.spatial_layer(),
        temporal_layer: arrived.descriptor.temporal_layer(),
        mid: text(value(ids.mid)),
        rid: text(value(ids.rid)),
        rrid: text(value(ids.rrid)),
        wide_sequence_number: value(ids.transport_wide_cc)
            .and_then(ringsoup_rtc::rtp::extension::parse_transport_wide_cc),
    };
    let info = TraceInfo::Packet { packet: Box::new(dump), is_rtx: arrived.is_rtx };
    producer_event(producer, now, event, Direction::In, info, out);
}

/// A packet as it went to a receiver.
#[cold]
pub(crate) fn sent_packet(
    consumer: &Consumer,
    fields: &HeaderFields<'_>,
    passing: &Passing<'_>,
    size: usize,
    out: &mut Outbox,
) {
    let arrived = passing.arrived;
    let info = Sent {
        is_key_frame: arrived.is_key_frame,
        is_rtx: false,
        size,
        payload: arrived.payload.len(),
        layers: (arrived.descriptor.spatial_layer(), arrived.descriptor.temporal_layer()),
    };
    sent(consumer, passing.now, fields, info, out);
}

/// A packet as it went to a receiver once more.
#[cold]
pub(crate) fn resent_packet(
    consumer: &Consumer,
    stream: usize,
    now: Time,
    fields: &HeaderFields<'_>,
    packet: &HistoryPacket<'_>,
    size: usize,
    out: &mut Outbox,
) {
    let stream = &consumer.streams[stream];
    let codec = stream.params.mime_type.codec;
    let payload = packet.payload;
    let in_payload = codec.is_key_frame(payload).unwrap_or(false);
    let is_key_frame = in_payload || packet.kept.frame().is_some_and(|frame| frame.is_key_frame);
    let descriptor = codec.describe(payload);
    let layers = match packet.kept.frame() {
        Some(frame) => (frame.spatial, frame.temporal),
        None => (descriptor.spatial_layer(), descriptor.temporal_layer()),
    };
    let is_rtx = fields.ssrc != stream.ssrc();
    let payload = payload.len() + if is_rtx { OSN_LEN } else { 0 };
    let info = Sent { is_key_frame, is_rtx, size, payload, layers };
    sent(consumer, now, fields, info, out);
}

/// What a header does not say of its packet; sizes in bytes.
struct Sent {
    is_key_frame: bool,
    is_rtx: bool,
    size: usize,
    payload: usize,
    /// Spatial and temporal.
    layers: (u8, u8),
}

fn sent(consumer: &Consumer, now: Time, fields: &HeaderFields<'_>, packet: Sent, out: &mut Outbox) {
    let event = if packet.is_key_frame && consumer.traces(ConsumerTraceEvent::KeyFrame) {
        ConsumerTraceEvent::KeyFrame
    } else {
        ConsumerTraceEvent::Rtp
    };
    if !consumer.traces(event) {
        return;
    }
    let dump = RtpPacketDump {
        payload_type: fields.payload_type,
        sequence_number: fields.sequence_number,
        timestamp: fields.timestamp,
        marker: fields.marker,
        ssrc: fields.ssrc,
        is_key_frame: packet.is_key_frame,
        size: packet.size as u64,
        payload_size: packet.payload as u64,
        spatial_layer: packet.layers.0,
        temporal_layer: packet.layers.1,
        mid: text(fields.mid.map(|(_, mid)| mid)),
        wide_sequence_number: fields.stamp.transport_wide_cc.map(|(_, number)| number),
        ..RtpPacketDump::default()
    };
    let info = TraceInfo::Packet { packet: Box::new(dump), is_rtx: packet.is_rtx };
    consumer_event(consumer, now, event, Direction::Out, info, out);
}

/// Tells a producer's event if it is asked for.
pub(crate) fn producer_event(
    producer: &Producer,
    now: Time,
    event: ProducerTraceEvent,
    direction: Direction,
    info: TraceInfo,
    out: &mut Outbox,
) {
    if producer.traces(event) {
        let trace = ProducerTrace { event, timestamp_ms: now.as_millis(), direction, info };
        out.events.push(Event::ProducerTrace { producer: producer.name.clone(), trace });
    }
}

/// Tells a consumer's event if it is asked for.
pub(crate) fn consumer_event(
    consumer: &Consumer,
    now: Time,
    event: ConsumerTraceEvent,
    direction: Direction,
    info: TraceInfo,
    out: &mut Outbox,
) {
    if consumer.traces(event) {
        let trace = ConsumerTrace { event, timestamp_ms: now.as_millis(), direction, info };
        out.events.push(Event::ConsumerTrace { consumer: consumer.name.clone(), trace });
    }
}
