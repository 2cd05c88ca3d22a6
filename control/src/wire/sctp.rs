//! SCTP as transports and data channels show it.

use flatbuffers::WIPOffset;
use ringsoup_fbs::fbs::{common, sctp_association as association, sctp_parameters as wire, transport};
use ringsoup_sfu::data::command::SctpStreamParameters;
use ringsoup_sfu::data::reply::{SctpDump, SctpNegotiatedCapabilities, SctpState};
use ringsoup_sfu::data::stream_parameters::StreamParameters;

use super::{Builder, Union, tables};

pub(super) fn decode_stream(parameters: wire::SctpStreamParameters<'_>) -> SctpStreamParameters {
    SctpStreamParameters {
        stream_id: parameters.stream_id(),
        ordered: parameters.ordered(),
        max_packet_life_time: parameters.max_packet_life_time(),
        max_retransmits: parameters.max_retransmits(),
    }
}

pub(super) fn stream(
    builder: &mut Builder,
    stream: &StreamParameters,
) -> WIPOffset<wire::SctpStreamParameters<'static>> {
    let args = wire::SctpStreamParametersArgs {
        stream_id: stream.stream_id,
        ordered: Some(stream.ordered),
        max_packet_life_time: stream.max_packet_life_time.map(u16::from),
        max_retransmits: stream.max_retransmits.map(u16::from),
    };
    wire::SctpStreamParameters::create(builder, &args)
}

pub(super) fn state(state: SctpState) -> association::SctpState {
    match state {
        SctpState::New => association::SctpState::NEW,
        SctpState::Connecting => association::SctpState::CONNECTING,
        SctpState::Connected => association::SctpState::CONNECTED,
        SctpState::Failed => association::SctpState::FAILED,
        SctpState::Closed => association::SctpState::CLOSED,
    }
}

pub(super) fn parameters(builder: &mut Builder, dump: &SctpDump) -> WIPOffset<wire::SctpParameters<'static>> {
    let args = wire::SctpParametersArgs {
        port: dump.port,
        max_send_message_size: dump.max_send_message_size,
        max_receive_message_size: dump.max_receive_message_size,
        send_buffer_size: dump.send_buffer_size,
        per_stream_send_queue_limit: dump.per_stream_send_queue_limit,
        max_receiver_window_buffer_size: dump.max_receiver_window_buffer_size,
        is_data_channel: dump.is_data_channel,
        os: dump.num_streams.map(|streams| streams.os),
        mis: dump.num_streams.map(|streams| streams.mis),
        sctp_buffered_amount: dump.buffered_amount,
    };
    wire::SctpParameters::create(builder, &args)
}

pub(super) fn negotiated(
    builder: &mut Builder,
    capabilities: SctpNegotiatedCapabilities,
) -> WIPOffset<association::SctpNegotiatedCapabilities<'static>> {
    let args = association::SctpNegotiatedCapabilitiesArgs {
        negotiated_max_outbound_streams: capabilities.max_outbound_streams,
        negotiated_max_inbound_streams: capabilities.max_inbound_streams,
    };
    association::SctpNegotiatedCapabilities::create(builder, &args)
}

pub(super) fn state_notification(builder: &mut Builder, new: SctpState) -> Union {
    let args = transport::SctpStateChangeNotificationArgs { sctp_state: state(new) };
    transport::SctpStateChangeNotification::create(builder, &args).as_union_value()
}

pub(super) fn negotiated_notification(
    builder: &mut Builder,
    capabilities: SctpNegotiatedCapabilities,
) -> Union {
    let negotiated_capabilities = Some(negotiated(builder, capabilities));
    let args = transport::SctpNegotiatedCapabilitiesNotificationArgs { negotiated_capabilities };
    transport::SctpNegotiatedCapabilitiesNotification::create(builder, &args).as_union_value()
}

pub(super) fn listener(
    builder: &mut Builder,
    dump: &SctpDump,
) -> WIPOffset<transport::SctpListener<'static>> {
    let stream_id_table = Some(tables(builder, &dump.data_producer_of_stream, |builder, (stream, name)| {
        let value = Some(builder.create_string(name));
        common::Uint16String::create(builder, &common::Uint16StringArgs { key: *stream, value })
    }));
    transport::SctpListener::create(builder, &transport::SctpListenerArgs { stream_id_table })
}
