//! Streams of one SSRC in dumps and statistics.

use flatbuffers::WIPOffset;
use ringsoup_fbs::fbs::{rtp_stream as wire, rtx_stream};
use ringsoup_sfu::reply::{BaseStats, RecvStats, RtpStreamDump, RtpStreamParams, RtxStreamParams, SendStats};

use super::{Builder, optional_text, present_text, rtp_parameters, tables};

pub(super) fn dump(builder: &mut Builder, dump: &RtpStreamDump) -> WIPOffset<wire::Dump<'static>> {
    let params = Some(params(builder, &dump.params));
    let rtx_stream = dump.rtx_stream.as_ref().map(|rtx| rtx_dump(builder, rtx));
    wire::Dump::create(builder, &wire::DumpArgs { params, score: dump.score, rtx_stream })
}

fn params(builder: &mut Builder, params: &RtpStreamParams) -> WIPOffset<wire::Params<'static>> {
    let mime_type = Some(builder.create_string(&params.mime_type));
    // Read by the Node library without looking whether it is there.
    let rid = present_text(builder, params.rid.as_deref());
    let cname = Some(builder.create_string(&params.cname));
    let args = wire::ParamsArgs {
        encoding_idx: params.encoding_idx,
        ssrc: params.ssrc,
        payload_type: params.payload_type,
        mime_type,
        clock_rate: params.clock_rate,
        rid,
        cname,
        rtx_ssrc: params.rtx_ssrc,
        rtx_payload_type: params.rtx_ssrc.and(params.rtx_payload_type),
        use_nack: params.use_nack,
        use_pli: params.use_pli,
        use_fir: params.use_fir,
        use_in_band_fec: params.use_in_band_fec,
        use_dtx: params.use_dtx,
        spatial_layers: params.spatial_layers,
        temporal_layers: params.temporal_layers,
    };
    wire::Params::create(builder, &args)
}

fn rtx_dump(builder: &mut Builder, params: &RtxStreamParams) -> WIPOffset<rtx_stream::RtxDump<'static>> {
    let mime_type = Some(builder.create_string(&params.mime_type));
    let rrid = present_text(builder, params.rrid.as_deref());
    let cname = Some(builder.create_string(&params.cname));
    let args = rtx_stream::ParamsArgs {
        ssrc: params.ssrc,
        payload_type: params.payload_type,
        mime_type,
        clock_rate: params.clock_rate,
        rrid,
        cname,
    };
    let params = Some(rtx_stream::Params::create(builder, &args));
    rtx_stream::RtxDump::create(builder, &rtx_stream::RtxDumpArgs { params })
}

/// A receiving stream's entry: `Stats` of kind `RecvStats`, around `Stats` of kind `BaseStats`.
pub(super) fn recv_stats(builder: &mut Builder, stats: &RecvStats) -> WIPOffset<wire::Stats<'static>> {
    let base = Some(base_stats(builder, &stats.base));
    let bitrate_by_layer = Some(tables(builder, &stats.bitrate_by_layer, |builder, (layer, bitrate)| {
        let layer = Some(builder.create_string(layer));
        wire::BitrateByLayer::create(builder, &wire::BitrateByLayerArgs { layer, bitrate: *bitrate })
    }));
    let args = wire::RecvStatsArgs {
        base,
        packet_count: stats.packet_count,
        byte_count: stats.byte_count,
        bitrate: stats.bitrate,
        bitrate_by_layer,
    };
    let data = Some(wire::RecvStats::create(builder, &args).as_union_value());
    wire::Stats::create(builder, &wire::StatsArgs { data_type: wire::StatsData::RecvStats, data })
}

/// A sending stream's entry: `Stats` of kind `SendStats`, around `Stats` of kind `BaseStats`.
pub(super) fn send_stats(builder: &mut Builder, stats: &SendStats) -> WIPOffset<wire::Stats<'static>> {
    let base = Some(base_stats(builder, &stats.base));
    let args = wire::SendStatsArgs {
        base,
        packet_count: stats.packet_count,
        byte_count: stats.byte_count,
        bitrate: stats.bitrate,
    };
    let data = Some(wire::SendStats::create(builder, &args).as_union_value());
    wire::Stats::create(builder, &wire::StatsArgs { data_type: wire::StatsData::SendStats, data })
}

fn base_stats(builder: &mut Builder, stats: &BaseStats) -> WIPOffset<wire::Stats<'static>> {
    let mime_type = Some(builder.create_string(&stats.mime_type));
    let rid = optional_text(builder, stats.rid.as_deref());
    let args = wire::BaseStatsArgs {
        timestamp: stats.timestamp_ms,
        ssrc: stats.ssrc,
        kind: rtp_parameters::encode_kind(stats.kind),
        mime_type,
        packets_lost: stats.packets_lost,
        fraction_lost: stats.fraction_lost,
        jitter: stats.jitter,
        packets_discarded: stats.packets_discarded,
        packets_retransmitted: stats.packets_retransmitted,
        packets_repaired: stats.packets_repaired,
        nack_count: stats.nack_count,
        nack_packet_count: stats.nack_packet_count,
        pli_count: stats.pli_count,
        fir_count: stats.fir_count,
        rid,
        rtx_ssrc: stats.rtx_ssrc,
        rtx_packets_discarded: stats.rtx_packets_discarded,
        round_trip_time: stats.round_trip_time.max(0.0),
        score: stats.score,
    };
    let data = Some(wire::BaseStats::create(builder, &args).as_union_value());
    wire::Stats::create(builder, &wire::StatsArgs { data_type: wire::StatsData::BaseStats, data })
}
