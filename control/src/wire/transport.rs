//! What all kinds of transports share: options, listening, tuples, dump and statistics.

use flatbuffers::WIPOffset;
use ringsoup_fbs::fbs::{common, transport as wire};
use ringsoup_sfu::command::{
    CommandError, ListenInfo, NumSctpStreams, Protocol, TransportOptions, TransportTraceEvent,
};
use ringsoup_sfu::name::Name;
use ringsoup_sfu::reply::{TransportDump, TransportStats, Tuple};

use super::{Builder, Tables, ip_address, non_empty, router, sctp, tables, texts, unknown_number};
use crate::message::RequestBody;

/// The order in which dumps name the enabled ones.
const TRACE_EVENTS: [(TransportTraceEvent, wire::TraceEventType); 2] = [
    (TransportTraceEvent::Probation, wire::TraceEventType::PROBATION),
    (TransportTraceEvent::Bwe, wire::TraceEventType::BWE),
];

pub(super) fn options(options: wire::Options<'_>) -> TransportOptions {
    TransportOptions {
        direct: options.direct(),
        initial_available_outgoing_bitrate: options.initial_available_outgoing_bitrate(),
        enable_sctp: options.enable_sctp(),
        max_send_message_size: options.max_send_message_size(),
        max_receive_message_size: options.max_receive_message_size(),
        sctp_send_buffer_size: options.sctp_send_buffer_size(),
        sctp_per_stream_send_queue_limit: options.sctp_per_stream_send_queue_limit(),
        sctp_max_receiver_window_buffer_size: options.sctp_max_receiver_window_buffer_size(),
        sctp_default_stream_buffered_amount_low_threshold: options
            .sctp_default_stream_buffered_amount_low_threshold(),
        num_sctp_streams: options
            .num_sctp_streams()
            .map(|streams| NumSctpStreams { os: streams.os(), mis: streams.mis() }),
        is_data_channel: options.is_data_channel(),
    }
}

pub(super) fn protocol(protocol: wire::Protocol) -> Result<Protocol, CommandError> {
    match protocol {
        wire::Protocol::UDP => Ok(Protocol::Udp),
        wire::Protocol::TCP => Ok(Protocol::Tcp),
        wire::Protocol(number) => Err(unknown_number("protocol", number)),
    }
}

pub(super) fn listen_info(info: wire::ListenInfo<'_>) -> Result<ListenInfo, CommandError> {
    Ok(ListenInfo {
        protocol: protocol(info.protocol())?,
        ip: ip_address(info.ip())?,
        announced_address: non_empty(info.announced_address()),
        expose_internal_ip: info.expose_internal_ip(),
        port: info.port(),
        port_range: (info.port_range().min(), info.port_range().max()),
        ipv6_only: info.flags().ipv6_only(),
        udp_reuse_port: info.flags().udp_reuse_port(),
        send_buffer_size: info.send_buffer_size(),
        recv_buffer_size: info.recv_buffer_size(),
    })
}

pub(super) fn enable_trace_event(
    body: wire::EnableTraceEventRequest<'_>,
) -> Result<RequestBody, CommandError> {
    let events = body.events().iter().map(|number| {
        let known = TRACE_EVENTS.iter().find(|(_, known)| *known == number);
        known.map(|(event, _)| *event).ok_or_else(|| unknown_number("transport trace event type", number.0))
    });
    Ok(RequestBody::EnableTransportTrace(events.collect::<Result<_, _>>()?))
}

pub(super) fn close_producer(body: wire::CloseProducerRequest<'_>) -> Result<RequestBody, CommandError> {
    Ok(RequestBody::CloseProducer { producer: body.producer_id().into() })
}

pub(super) fn close_consumer(body: wire::CloseConsumerRequest<'_>) -> Result<RequestBody, CommandError> {
    Ok(RequestBody::CloseConsumer { consumer: body.consumer_id().into() })
}

pub(super) fn tuple(builder: &mut Builder, tuple: &Tuple) -> WIPOffset<wire::Tuple<'static>> {
    let local_address = Some(builder.create_string(&tuple.local_address));
    let remote_ip = tuple.remote.map(|remote| builder.create_string(&remote.ip().to_string()));
    let args = wire::TupleArgs {
        local_address,
        local_port: tuple.local_port,
        remote_ip,
        remote_port: tuple.remote.map_or(0, |remote| remote.port()),
        protocol: match tuple.protocol {
            Protocol::Udp => wire::Protocol::UDP,
            Protocol::Tcp => wire::Protocol::TCP,
        },
    };
    wire::Tuple::create(builder, &args)
}

pub(super) fn dump(builder: &mut Builder, dump: &TransportDump) -> WIPOffset<wire::Dump<'static>> {
    let id = Some(builder.create_string(&dump.id));
    let producer_ids = Some(texts(builder, &dump.producers));
    let consumer_ids = Some(texts(builder, &dump.consumers));
    let map_ssrc_consumer_id = Some(ssrc_table(builder, &dump.consumer_of_ssrc));
    let map_rtx_ssrc_consumer_id = Some(ssrc_table(builder, &dump.consumer_of_rtx_ssrc));
    let data_producer_ids = Some(texts(builder, &dump.data_producers));
    let data_consumer_ids = Some(texts(builder, &dump.data_consumers));
    let recv_rtp_header_extensions = Some(recv_extensions(builder, dump));
    let rtp_listener = Some(rtp_listener(builder, dump));
    let sctp_parameters = dump.sctp.as_ref().map(|dump| sctp::parameters(builder, dump));
    let sctp_negotiated_capabilities =
        dump.sctp.as_ref().map(|dump| sctp::negotiated(builder, dump.negotiated));
    let sctp_listener = dump.sctp.as_ref().map(|dump| sctp::listener(builder, dump));
    let enabled: Vec<_> = TRACE_EVENTS
        .iter()
        .filter(|(event, _)| dump.trace_events.contains(event))
        .map(|(_, wire)| *wire)
        .collect();
    let trace_event_types = Some(builder.create_vector(&enabled));
    let args = wire::DumpArgs {
        id,
        direct: dump.direct,
        producer_ids,
        consumer_ids,
        map_ssrc_consumer_id,
        map_rtx_ssrc_consumer_id,
        data_producer_ids,
        data_consumer_ids,
        recv_rtp_header_extensions,
        rtp_listener,
        max_send_message_size: dump.max_send_message_size,
        max_receive_message_size: dump.max_receive_message_size,
        sctp_parameters,
        sctp_state: dump.sctp.as_ref().map(|dump| sctp::state(dump.state)),
        sctp_negotiated_capabilities,
        sctp_listener,
        trace_event_types,
    };
    wire::Dump::create(builder, &args)
}

fn recv_extensions(
    builder: &mut Builder,
    dump: &TransportDump,
) -> WIPOffset<wire::RecvRtpHeaderExtensions<'static>> {
    let ids = dump.recv_extensions;
    let args = wire::RecvRtpHeaderExtensionsArgs {
        mid: ids.mid,
        rid: ids.rid,
        rrid: ids.rrid,
        abs_send_time: ids.abs_send_time,
        transport_wide_cc01: ids.transport_wide_cc,
    };
    wire::RecvRtpHeaderExtensions::create(builder, &args)
}

fn rtp_listener(builder: &mut Builder, dump: &TransportDump) -> WIPOffset<wire::RtpListener<'static>> {
    let ssrc_table = Some(ssrc_table(builder, &dump.producer_of_ssrc));
    let mid_table = Some(tables(builder, &dump.producer_of_mid, |builder, (mid, id)| {
        router::string_string(builder, mid, id)
    }));
    let rid_table = Some(tables(builder, &dump.producer_of_rid, |builder, (rid, id)| {
        router::string_string(builder, rid, id)
    }));
    wire::RtpListener::create(builder, &wire::RtpListenerArgs { ssrc_table, mid_table, rid_table })
}

fn ssrc_table(builder: &mut Builder, entries: &[(u32, Name)]) -> Tables<common::Uint32String<'static>> {
    tables(builder, entries, |builder, (ssrc, name)| {
        let value = Some(builder.create_string(name));
        common::Uint32String::create(builder, &common::Uint32StringArgs { key: *ssrc, value })
    })
}

pub(super) fn stats(builder: &mut Builder, stats: &TransportStats) -> WIPOffset<wire::Stats<'static>> {
    let transport_id = Some(builder.create_string(&stats.transport));
    let args = wire::StatsArgs {
        transport_id,
        timestamp: stats.timestamp_ms,
        sctp_state: stats.sctp_state.map(sctp::state),
        bytes_received: stats.bytes_received,
        recv_bitrate: stats.recv_bitrate,
        bytes_sent: stats.bytes_sent,
        send_bitrate: stats.send_bitrate,
        rtp_bytes_received: stats.rtp_bytes_received,
        rtp_recv_bitrate: stats.rtp_recv_bitrate,
        rtp_bytes_sent: stats.rtp_bytes_sent,
        rtp_send_bitrate: stats.rtp_send_bitrate,
        rtx_bytes_received: stats.rtx_bytes_received,
        rtx_recv_bitrate: stats.rtx_recv_bitrate,
        rtx_bytes_sent: stats.rtx_bytes_sent,
        rtx_send_bitrate: stats.rtx_send_bitrate,
        probation_bytes_sent: stats.probation_bytes_sent,
        probation_send_bitrate: stats.probation_send_bitrate,
        available_outgoing_bitrate: stats.available_outgoing_bitrate,
        available_incoming_bitrate: stats.available_incoming_bitrate,
        // A limit of 0 is none.
        max_incoming_bitrate: stats.max_incoming_bitrate.filter(|&bitrate| bitrate > 0),
        max_outgoing_bitrate: stats.max_outgoing_bitrate.filter(|&bitrate| bitrate > 0),
        min_outgoing_bitrate: stats.min_outgoing_bitrate.filter(|&bitrate| bitrate > 0),
        rtp_packet_loss_received: stats.rtp_packet_loss_received,
        rtp_packet_loss_sent: stats.rtp_packet_loss_sent,
    };
    wire::Stats::create(builder, &args)
}
