//! Consumers: consume, layers, dump, statistics, scores and traces.

use flatbuffers::WIPOffset;
use ringsoup_fbs::fbs::consumer as wire;
use ringsoup_fbs::fbs::transport::{ConsumeRequest, ConsumeResponse, ConsumeResponseArgs};
use ringsoup_sfu::command::{CommandError, Consume, ConsumerTraceEvent, Layers};
use ringsoup_sfu::event::{ConsumerTrace, TraceInfo};
use ringsoup_sfu::reply::{ConsumeReply, ConsumerDump, ConsumerScore, ConsumerStats};

use super::encoder::Dumps;
use super::{Builder, Union, bytes, rtp_packet, rtp_parameters, rtp_stream, tables, unknown_number};
use crate::message::RequestBody;

/// The order in which dumps name the enabled ones.
const TRACE_EVENTS: [(ConsumerTraceEvent, wire::TraceEventType); 5] = [
    (ConsumerTraceEvent::Rtp, wire::TraceEventType::RTP),
    (ConsumerTraceEvent::KeyFrame, wire::TraceEventType::KEYFRAME),
    (ConsumerTraceEvent::Nack, wire::TraceEventType::NACK),
    (ConsumerTraceEvent::Pli, wire::TraceEventType::PLI),
    (ConsumerTraceEvent::Fir, wire::TraceEventType::FIR),
];

pub(super) fn consume(body: ConsumeRequest<'_>) -> Result<RequestBody, CommandError> {
    Ok(RequestBody::Consume(Box::new(Consume {
        consumer: body.consumer_id().into(),
        producer: body.producer_id().into(),
        kind: rtp_parameters::decode_kind(body.kind())?,
        rtp_parameters: rtp_parameters::decode(body.rtp_parameters())?,
        requested_type: rtp_parameters::decode_type(body.type_())?,
        consumable_rtp_encodings: rtp_parameters::decode_encodings(body.consumable_rtp_encodings()),
        paused: body.paused(),
        preferred_layers: body.preferred_layers().map(decode_layers),
        ignore_dtx: body.ignore_dtx(),
    })))
}

pub(super) fn set_preferred_layers(
    body: wire::SetPreferredLayersRequest<'_>,
) -> Result<RequestBody, CommandError> {
    Ok(RequestBody::SetPreferredLayers(decode_layers(body.preferred_layers())))
}

pub(super) fn set_priority(body: wire::SetPriorityRequest<'_>) -> Result<RequestBody, CommandError> {
    Ok(RequestBody::SetPriority(body.priority()))
}

pub(super) fn enable_trace_event(
    body: wire::EnableTraceEventRequest<'_>,
) -> Result<RequestBody, CommandError> {
    let events = body.events().iter().map(|number| {
        let known = TRACE_EVENTS.iter().find(|(_, known)| *known == number);
        known.map(|(event, _)| *event).ok_or_else(|| unknown_number("consumer trace event type", number.0))
    });
    Ok(RequestBody::EnableConsumerTrace(events.collect::<Result<_, _>>()?))
}

fn decode_layers(layers: wire::ConsumerLayers<'_>) -> Layers {
    Layers { spatial: layers.spatial_layer(), temporal: layers.temporal_layer() }
}

fn encode_layers(builder: &mut Builder, layers: Layers) -> WIPOffset<wire::ConsumerLayers<'static>> {
    let args = wire::ConsumerLayersArgs { spatial_layer: layers.spatial, temporal_layer: layers.temporal };
    wire::ConsumerLayers::create(builder, &args)
}

fn encode_score(builder: &mut Builder, score: &ConsumerScore) -> WIPOffset<wire::ConsumerScore<'static>> {
    let producer_scores = Some(builder.create_vector(&score.producer_scores));
    let args =
        wire::ConsumerScoreArgs { score: score.score, producer_score: score.producer_score, producer_scores };
    wire::ConsumerScore::create(builder, &args)
}

pub(super) fn consumed(builder: &mut Builder, reply: &ConsumeReply) -> Union {
    let score = Some(encode_score(builder, &reply.score));
    let preferred_layers = reply.preferred_layers.map(|layers| encode_layers(builder, layers));
    let args = ConsumeResponseArgs {
        paused: reply.paused,
        producer_paused: reply.producer_paused,
        score,
        preferred_layers,
    };
    ConsumeResponse::create(builder, &args).as_union_value()
}

pub(super) fn preferred_layers(builder: &mut Builder, layers: Option<Layers>) -> Union {
    let preferred_layers = layers.map(|layers| encode_layers(builder, layers));
    let args = wire::SetPreferredLayersResponseArgs { preferred_layers };
    wire::SetPreferredLayersResponse::create(builder, &args).as_union_value()
}

pub(super) fn priority(builder: &mut Builder, priority: u8) -> Union {
    let args = wire::SetPriorityResponseArgs { priority };
    wire::SetPriorityResponse::create(builder, &args).as_union_value()
}

pub(super) fn dump(builder: &mut Builder, dump: &ConsumerDump, dumps: Dumps) -> Union {
    let base = Some(base_dump(builder, dump, dumps));
    let rtp_streams = Some(tables(builder, &dump.rtp_streams, rtp_stream::dump));
    // -1 is said, not left out.
    let layers = dump.layers;
    let args = wire::ConsumerDumpArgs {
        base,
        rtp_streams,
        preferred_spatial_layer: Some(layers.preferred_spatial),
        target_spatial_layer: Some(layers.target_spatial),
        current_spatial_layer: Some(layers.current_spatial),
        preferred_temporal_layer: Some(layers.preferred_temporal),
        target_temporal_layer: Some(layers.target_temporal),
        current_temporal_layer: Some(layers.current_temporal),
    };
    let data = Some(wire::ConsumerDump::create(builder, &args));
    wire::DumpResponse::create(builder, &wire::DumpResponseArgs { data }).as_union_value()
}

fn base_dump(
    builder: &mut Builder,
    dump: &ConsumerDump,
    dumps: Dumps,
) -> WIPOffset<wire::BaseConsumerDump<'static>> {
    let id = Some(builder.create_string(&dump.id));
    let producer_id = Some(builder.create_string(&dump.producer));
    let rtp_parameters = rtp_parameters::dumped(&dump.rtp_parameters, dumps);
    let rtp_parameters = Some(rtp_parameters::encode(builder, &rtp_parameters));
    let consumable_rtp_encodings = Some(rtp_parameters::encode_encodings(
        builder,
        &rtp_parameters::dumped_encodings(&dump.consumable_rtp_encodings, dumps),
    ));
    let supported_codec_payload_types = Some(builder.create_vector(&dump.supported_codec_payload_types));
    let enabled: Vec<_> = TRACE_EVENTS
        .iter()
        .filter(|(event, _)| dump.trace_events.contains(event))
        .map(|(_, wire)| *wire)
        .collect();
    let trace_event_types = Some(builder.create_vector(&enabled));
    let args = wire::BaseConsumerDumpArgs {
        id,
        type_: rtp_parameters::encode_type(dump.rtp_type),
        producer_id,
        kind: rtp_parameters::encode_kind(dump.kind),
        rtp_parameters,
        consumable_rtp_encodings,
        supported_codec_payload_types,
        trace_event_types,
        paused: dump.paused,
        producer_paused: dump.producer_paused,
        priority: dump.priority,
    };
    wire::BaseConsumerDump::create(builder, &args)
}

pub(super) fn stats(builder: &mut Builder, stats: &ConsumerStats) -> Union {
    let mut entries: Vec<_> = stats.sent.iter().map(|sent| rtp_stream::send_stats(builder, sent)).collect();
    entries.extend(stats.received.as_ref().map(|received| rtp_stream::recv_stats(builder, received)));
    let stats = Some(builder.create_vector(&entries));
    wire::GetStatsResponse::create(builder, &wire::GetStatsResponseArgs { stats }).as_union_value()
}

pub(super) fn rtp_notification(builder: &mut Builder, data: &[u8]) -> Union {
    let data = Some(bytes(builder, data));
    wire::RtpNotification::create(builder, &wire::RtpNotificationArgs { data }).as_union_value()
}

pub(super) fn score_notification(builder: &mut Builder, score: &ConsumerScore) -> Union {
    let score = Some(encode_score(builder, score));
    wire::ScoreNotification::create(builder, &wire::ScoreNotificationArgs { score }).as_union_value()
}

pub(super) fn layers_notification(builder: &mut Builder, layers: Option<Layers>) -> Union {
    let layers = layers.map(|layers| encode_layers(builder, layers));
    let args = wire::LayersChangeNotificationArgs { layers };
    wire::LayersChangeNotification::create(builder, &args).as_union_value()
}

pub(super) fn trace_notification(builder: &mut Builder, trace: &ConsumerTrace) -> Union {
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

fn trace_info(builder: &mut Builder, trace: &ConsumerTrace) -> (wire::TraceInfo, Option<Union>) {
    let (info_type, info) = match trace.info {
        // Sender reports are traced by producers only; the schema has no place for one here.
        TraceInfo::None | TraceInfo::SenderReport { .. } => return (wire::TraceInfo::NONE, None),
        TraceInfo::Packet { ref packet, is_rtx } => {
            let rtp_packet = Some(rtp_packet::dump(builder, packet));
            if trace.event == ConsumerTraceEvent::KeyFrame {
                let args = wire::KeyFrameTraceInfoArgs { rtp_packet, is_rtx };
                let info = wire::KeyFrameTraceInfo::create(builder, &args).as_union_value();
                (wire::TraceInfo::KeyFrameTraceInfo, info)
            } else {
                let args = wire::RtpTraceInfoArgs { rtp_packet, is_rtx };
                (wire::TraceInfo::RtpTraceInfo, wire::RtpTraceInfo::create(builder, &args).as_union_value())
            }
        }
        TraceInfo::Ssrc(ssrc) if trace.event == ConsumerTraceEvent::Fir => {
            let info = wire::FirTraceInfo::create(builder, &wire::FirTraceInfoArgs { ssrc });
            (wire::TraceInfo::FirTraceInfo, info.as_union_value())
        }
        TraceInfo::Ssrc(ssrc) => {
            let info = wire::PliTraceInfo::create(builder, &wire::PliTraceInfoArgs { ssrc });
            (wire::TraceInfo::PliTraceInfo, info.as_union_value())
        }
    };
    (info_type, Some(info))
}
