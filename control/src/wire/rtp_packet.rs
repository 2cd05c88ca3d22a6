//! A packet as traces show it.

use flatbuffers::WIPOffset;
use ringsoup_fbs::fbs::common::TraceDirection;
use ringsoup_fbs::fbs::rtp_packet as wire;
use ringsoup_sfu::event::{Direction, RtpPacketDump};

use super::{Builder, optional_text};

pub(super) fn dump(builder: &mut Builder, packet: &RtpPacketDump) -> WIPOffset<wire::Dump<'static>> {
    let mid = optional_text(builder, packet.mid.as_deref());
    let rid = optional_text(builder, packet.rid.as_deref());
    let rrid = optional_text(builder, packet.rrid.as_deref());
    let args = wire::DumpArgs {
        payload_type: packet.payload_type,
        sequence_number: packet.sequence_number,
        timestamp: packet.timestamp,
        marker: packet.marker,
        ssrc: packet.ssrc,
        is_key_frame: packet.is_key_frame,
        size: packet.size,
        payload_size: packet.payload_size,
        spatial_layer: packet.spatial_layer,
        temporal_layer: packet.temporal_layer,
        mid,
        rid,
        rrid,
        wide_sequence_number: packet.wide_sequence_number,
    };
    wire::Dump::create(builder, &args)
}

pub(super) fn direction(direction: Direction) -> TraceDirection {
    match direction {
        Direction::In => TraceDirection::DIRECTION_IN,
        Direction::Out => TraceDirection::DIRECTION_OUT,
    }
}
