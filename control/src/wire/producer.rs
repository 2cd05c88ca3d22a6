//! Producers: produce, dump, statistics, scores and traces.

use ringsoup_fbs::fbs::producer as wire;
use ringsoup_fbs::fbs::transport::{ProduceRequest, ProduceResponse, ProduceResponseArgs};
use ringsoup_sfu::command::{CommandError, Produce, ProducerTraceEvent};
use ringsoup_sfu::event::{ProducerScore, ProducerTrace, TraceInfo};
use ringsoup_sfu::reply::{ProducerDump, RecvStats};
use ringsoup_sfu::rtp_parameters::RtpType;

use super::encoder::Dumps;
use super::{Builder, Union, optional_text, rtp_packet, rtp_parameters, rtp_stream, tables, unknown_number};
use crate::message::RequestBody;

/// The order in which dumps name the enabled ones.
const TRACE_EVENTS: [(ProducerTraceEvent, wire::TraceEventType); 6] = [
    (ProducerTraceEvent::Rtp, wire::TraceEventType::RTP),
    (ProducerTraceEvent::KeyFrame, wire::TraceEventType::KEYFRAME),
    (ProducerTraceEvent::Nack, wire::TraceEventType::NACK),
    (ProducerTraceEvent::Pli, wire::TraceEventType::PLI),
    (ProducerTraceEvent::Fir, wire::TraceEventType::FIR),
    (ProducerTraceEvent::SenderReport, wire::TraceEventType::SR),
];

pub(super) fn produce(body: ProduceRequest<'_>) -> Result<RequestBody, CommandError> {
    Ok(RequestBody::Produce(Box::new(Produce {
        producer: body.producer_id().into(),
        kind: rtp_parameters::decode_kind(body.kind())?,
        rtp_parameters: rtp_parameters::decode(body.rtp_parameters())?,
        rtp_mapping: rtp_parameters::decode_mapping(body.rtp_mapping()),
        paused: body.paused(),
        key_frame_request_delay: body.key_frame_request_delay(),
        enable_packet_id: body.enable_mediasoup_packet_id_header_extension(),
    })))
}

pub(super) fn enable_trace_event(
    body: wire::EnableTraceEventRequest<'_>,
) -> Result<RequestBody, CommandError> {
    let events = body.events().iter().map(|number| {
        let known = TRACE_EVENTS.iter().find(|(_, known)| *known == number);
        known.map(|(event, _)| *event).ok_or_else(|| unknown_number("producer trace event type", number.0))
    });
    Ok(RequestBody::EnableProducerTrace(events.collect::<Result<_, _>>()?))
}

pub(super) fn produced(builder: &mut Builder, rtp_type: RtpType) -> Union {
    let args = ProduceResponseArgs { type_: rtp_parameters::encode_type(rtp_type) };
    ProduceResponse::create(builder, &args).as_union_value()
}

pub(super) fn dump(builder: &mut Builder, dump: &ProducerDump, dumps: Dumps) -> Union {
    let id = Some(builder.create_string(&dump.id));
    let rtp_parameters = rtp_parameters::dumped(&dump.rtp_parameters, dumps);
    let rtp_parameters = Some(rtp_parameters::encode(builder, &rtp_parameters));
    let rtp_mapping = Some(rtp_parameters::encode_mapping(builder, &dump.rtp_mapping));
    let rtp_streams = Some(tables(builder, &dump.rtp_streams, rtp_stream::dump));
    let enabled: Vec<_> = TRACE_EVENTS
        .iter()
        // A sender report's is on like the others and never dumped, as by the original.
        .filter(|(event, _)| *event != ProducerTraceEvent::SenderReport)
        .filter(|(event, _)| dump.trace_events.contains(event))
        .map(|(_, wire)| *wire)
        .collect();
    let trace_event_types = Some(builder.create_vector(&enabled));
    let args = wire::DumpResponseArgs {
        id,
        kind: rtp_parameters::encode_kind(dump.kind),
        type_: rtp_parameters::encode_type(dump.rtp_type),
        rtp_parameters,
        rtp_mapping,
        rtp_streams,
        trace_event_types,
        paused: dump.paused,
    };
    wire::DumpResponse::create(builder, &args).as_union_value()
}

pub(super) fn stats(builder: &mut Builder, stats: &[RecvStats]) -> Union {
    let stats = Some(tables(builder, stats, rtp_stream::recv_stats));
    wire::GetStatsResponse::create(builder, &wire::GetStatsResponseArgs { stats }).as_union_value()
}

pub(super) fn score_notification(builder: &mut Builder, scores: &[ProducerScore]) -> Union {
    let scores = Some(tables(builder, scores, |builder, score| {
        let rid = optional_text(builder, score.rid.as_deref());
        let args =
            wire::ScoreArgs { encoding_idx: score.encoding_idx, ssrc: score.ssrc, rid, score: score.score };
        wire::Score::create(builder, &args)
    }));
    wire::ScoreNotification::create(builder, &wire::ScoreNotificationArgs { scores }).as_union_value()
}

pub(super) fn video_orientation_notification(
    builder: &mut Builder,
    camera: bool,
    flip: bool,
    rotation: u16,
) -> Union {
    let args = wire::VideoOrientationChangeNotificationArgs { camera, flip, rotation };
    wire::VideoOrientationChangeNotification::create(builder, &args).as_union_value()
}

pub(super) fn trace_notification(builder: &mut Builder, trace: &ProducerTrace) -> Union {
    let (info_type, info) = trace_info(builder, trace);
    let known = TRACE_EVENTS.iter().find(|(event, _)| *event == trace.event);
    let args = wire::TraceNotificationArgs {
        type_: known.map(|(_, wire)| *wire).expect("the table names every event"),
        timestamp: trace.timestamp_ms,
        direction: rtp_packet::direction(trace.direction),
        info_type,
        info,
    };
    wire::TraceNotification::create(builder, &args).as_union_value()
}

fn trace_info(builder: &mut Builder, trace: &ProducerTrace) -> (wire::TraceInfo, Option<Union>) {
    let (info_type, info) = match trace.info {
        TraceInfo::None => return (wire::TraceInfo::NONE, None),
        TraceInfo::Packet { ref packet, is_rtx } => {
            let rtp_packet = Some(rtp_packet::dump(builder, packet));
            if trace.event == ProducerTraceEvent::KeyFrame {
                let args = wire::KeyFrameTraceInfoArgs { rtp_packet, is_rtx };
                let info = wire::KeyFrameTraceInfo::create(builder, &args).as_union_value();
                (wire::TraceInfo::KeyFrameTraceInfo, info)
            } else {
                let args = wire::RtpTraceInfoArgs { rtp_packet, is_rtx };
                (wire::TraceInfo::RtpTraceInfo, wire::RtpTraceInfo::create(builder, &args).as_union_value())
            }
        }
        TraceInfo::Ssrc(ssrc) if trace.event == ProducerTraceEvent::Fir => {
            let info = wire::FirTraceInfo::create(builder, &wire::FirTraceInfoArgs { ssrc });
            (wire::TraceInfo::FirTraceInfo, info.as_union_value())
        }
        TraceInfo::Ssrc(ssrc) => {
            let info = wire::PliTraceInfo::create(builder, &wire::PliTraceInfoArgs { ssrc });
            (wire::TraceInfo::PliTraceInfo, info.as_union_value())
        }
        TraceInfo::SenderReport { ssrc, ntp_sec, ntp_frac, rtp_ts, packet_count, octet_count } => {
            let args = wire::SrTraceInfoArgs { ssrc, ntp_sec, ntp_frac, rtp_ts, packet_count, octet_count };
            (wire::TraceInfo::SrTraceInfo, wire::SrTraceInfo::create(builder, &args).as_union_value())
        }
    };
    (info_type, Some(info))
}
