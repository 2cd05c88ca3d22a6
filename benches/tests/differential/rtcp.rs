//! RTCP views and writer against `rtc-rtcp`.

use bytes::Bytes;
use proptest::collection::vec;
use proptest::prelude::*;
use ringsoup_rtc::ntp::NtpTime;
use ringsoup_rtc::rtcp::{
    Compound, CompoundWriter, Dlrr, ReportBlock, RtcpPacket, SenderInfo, TransportCcWriter, XrBlock,
};
use ringsoup_rtc::time::Time;
use rtc_rtcp::goodbye::Goodbye;
use rtc_rtcp::payload_feedbacks::full_intra_request::{FirEntry, FullIntraRequest};
use rtc_rtcp::payload_feedbacks::picture_loss_indication::PictureLossIndication;
use rtc_rtcp::payload_feedbacks::receiver_estimated_maximum_bitrate::ReceiverEstimatedMaximumBitrate;
use rtc_rtcp::receiver_report::ReceiverReport;
use rtc_rtcp::reception_report::ReceptionReport;
use rtc_rtcp::sender_report::SenderReport;
use rtc_rtcp::source_description::SourceDescription;
use rtc_rtcp::transport_feedbacks::transport_layer_cc::{PacketStatusChunk, SymbolTypeTcc, TransportLayerCc};
use rtc_rtcp::transport_feedbacks::transport_layer_nack::TransportLayerNack;

type Others = Vec<Box<dyn rtc_rtcp::Packet>>;

fn write(fill: impl FnOnce(&mut CompoundWriter<'_>) -> Option<usize>) -> Vec<u8> {
    let mut buffer = [0; 1400];
    let mut writer = CompoundWriter::new(&mut buffer);
    fill(&mut writer).expect("the fields are valid and fit");
    writer.as_bytes().to_vec()
}

fn others(wire: &[u8]) -> Others {
    rtc_rtcp::packet::unmarshal(&mut Bytes::copy_from_slice(wire)).expect("what we write is RTCP to others")
}

/// The first packet the other library read, as `T`; `None` when it is something else.
fn first<T: 'static>(others: &Others) -> Option<&T> {
    others.first()?.as_any().downcast_ref()
}

/// Cumulative loss is told as not negative: the other library reads its 24 bits without a sign.
fn report_block() -> impl Strategy<Value = ReportBlock> {
    let counts = (any::<u32>(), any::<u8>(), 0..0x7f_ffff_i32, any::<u32>());
    (counts, any::<u32>(), any::<u32>(), any::<u32>()).prop_map(
        |((ssrc, fraction_lost, cumulative_lost, highest), jitter, last, delay)| ReportBlock {
            ssrc,
            fraction_lost,
            cumulative_lost,
            highest_sequence_number: highest,
            jitter,
            last_sender_report: last,
            delay_since_last_sender_report: delay,
        },
    )
}

fn same_block(own: &ReportBlock, other: &ReceptionReport) -> bool {
    own.ssrc == other.ssrc
        && own.fraction_lost == other.fraction_lost
        && u32::try_from(own.cumulative_lost) == Ok(other.total_lost)
        && own.highest_sequence_number == other.last_sequence_number
        && own.jitter == other.jitter
        && own.last_sender_report == other.last_sender_report
        && own.delay_since_last_sender_report == other.delay
}

fn same_blocks(own: &[ReportBlock], other: &[ReceptionReport]) -> bool {
    own.len() == other.len() && own.iter().zip(other).all(|(own, other)| same_block(own, other))
}

proptest! {
    #[test]
    fn sender_reports(
        head in (any::<u32>(), any::<u64>(), any::<u32>(), any::<u32>(), any::<u32>()),
        blocks in vec(report_block(), 0..31),
    ) {
        let (ssrc, ntp, rtp_timestamp, packet_count, octet_count) = head;
        let ntp = NtpTime::from_u64(ntp);
        let info = SenderInfo { ssrc, ntp, rtp_timestamp, packet_count, octet_count };
        let wire = write(|out| out.sender_report(&info, &blocks));
        let others = others(&wire);
        let other: &SenderReport = first(&others).unwrap();
        prop_assert_eq!((other.ssrc, other.ntp_time, other.rtp_time), (ssrc, ntp.as_u64(), rtp_timestamp));
        prop_assert_eq!((other.packet_count, other.octet_count), (packet_count, octet_count));
        prop_assert!(same_blocks(&blocks, &other.reports));
        let again = rtc_rtcp::packet::marshal(&others).unwrap();
        let Some(Ok(RtcpPacket::SenderReport(own))) = Compound::new(&again).next() else { panic!() };
        prop_assert_eq!(own.info, info);
        prop_assert!(own.reports().eq(blocks));
    }

    #[test]
    fn receiver_reports(ssrc in any::<u32>(), blocks in vec(report_block(), 0..31)) {
        let wire = write(|out| out.receiver_report(ssrc, &blocks));
        let others = others(&wire);
        let other: &ReceiverReport = first(&others).unwrap();
        prop_assert_eq!(other.ssrc, ssrc);
        prop_assert!(same_blocks(&blocks, &other.reports));
        let again = rtc_rtcp::packet::marshal(&others).unwrap();
        let Some(Ok(RtcpPacket::ReceiverReport(own))) = Compound::new(&again).next() else { panic!() };
        prop_assert!(own.reports().eq(blocks));
    }

    #[test]
    fn source_descriptions(ssrc in any::<u32>(), cname in "[a-z0-9@.]{1,200}") {
        let wire = write(|out| out.sdes_cname(ssrc, &cname));
        let others = others(&wire);
        let other: &SourceDescription = first(&others).unwrap();
        prop_assert_eq!(other.chunks.len(), 1);
        prop_assert_eq!(other.chunks[0].source, ssrc);
        prop_assert_eq!(&other.chunks[0].items[0].text[..], cname.as_bytes());
        let again = rtc_rtcp::packet::marshal(&others).unwrap();
        let Some(Ok(RtcpPacket::Sdes(own))) = Compound::new(&again).next() else { panic!() };
        let chunks: Vec<_> = own.chunks().map(|chunk| (chunk.ssrc, chunk.cname())).collect();
        prop_assert_eq!(chunks, [(ssrc, Some(&cname[..]))]);
    }

    #[test]
    fn goodbyes(ssrcs in vec(any::<u32>(), 1..31), reason in proptest::option::of("[a-z]{1,80}")) {
        let wire = write(|out| out.bye(&ssrcs, reason.as_deref()));
        let others = others(&wire);
        let other: &Goodbye = first(&others).unwrap();
        prop_assert_eq!(&other.sources, &ssrcs);
        prop_assert_eq!(&other.reason[..], reason.as_deref().unwrap_or_default().as_bytes());
        let Some(Ok(RtcpPacket::Bye(own))) = Compound::new(&wire).next() else { panic!() };
        prop_assert!(own.ssrcs().eq(ssrcs));
    }

    #[test]
    fn nacks(
        sender in any::<u32>(),
        media in any::<u32>(),
        start in any::<u16>(),
        steps in vec(1..40_u16, 1..60),
    ) {
        let seqs: Vec<u16> = steps
            .iter()
            .scan(start, |seq, step| {
                *seq = seq.wrapping_add(*step);
                Some(*seq)
            })
            .collect();
        let wire = write(|out| out.nack(sender, media, seqs.iter().copied()));
        let others = others(&wire);
        let other: &TransportLayerNack = first(&others).unwrap();
        prop_assert_eq!((other.sender_ssrc, other.media_ssrc), (sender, media));
        let named: Vec<u16> = other.nacks.iter().flat_map(|pair| pair.packet_list()).collect();
        prop_assert_eq!(&named, &seqs);
        let again = rtc_rtcp::packet::marshal(&others).unwrap();
        let Some(Ok(RtcpPacket::Nack(own))) = Compound::new(&again).next() else { panic!() };
        prop_assert!(own.sequence_numbers().eq(seqs));
    }

    #[test]
    fn key_frame_requests(sender in any::<u32>(), media in any::<u32>(), sequence_number in any::<u8>()) {
        let wire = write(|out| out.pli(sender, media));
        let read = others(&wire);
        let pli: &PictureLossIndication = first(&read).unwrap();
        prop_assert_eq!((pli.sender_ssrc, pli.media_ssrc), (sender, media));
        let wire = write(|out| out.fir(sender, media, sequence_number));
        let read = others(&wire);
        let fir: &FullIntraRequest = first(&read).unwrap();
        prop_assert_eq!(&fir.fir, &[FirEntry { ssrc: media, sequence_number }]);
    }

    /// The other library keeps the bitrate as a float of 24 bits; both drop what 18 bits of mantissa do not hold.
    #[test]
    fn bitrate_estimates(sender in any::<u32>(), bitrate in 0..1_u64 << 40, ssrcs in vec(any::<u32>(), 1..20)) {
        let wire = write(|out| out.remb(sender, bitrate, &ssrcs));
        let others = others(&wire);
        let other: &ReceiverEstimatedMaximumBitrate = first(&others).unwrap();
        let Some(Ok(RtcpPacket::Remb(own))) = Compound::new(&wire).next() else { panic!() };
        prop_assert_eq!(&other.ssrcs, &ssrcs);
        prop_assert!(own.ssrcs().eq(ssrcs));
        #[allow(clippy::cast_precision_loss, reason = "18 significant bits fit a float exactly")]
        let own_bitrate = own.bitrate_bps as f32;
        prop_assert_eq!(own_bitrate.to_bits(), other.bitrate.to_bits());
    }

    /// Extended reports: the other library writes, we read.
    #[test]
    fn extended_reports(
        sender in any::<u32>(),
        ntp in any::<u64>(),
        delays in vec((any::<u32>(), any::<u32>(), any::<u32>()), 1..10),
    ) {
        use rtc_rtcp::extended_report::{
            DLRRReport, DLRRReportBlock, ExtendedReport, ReceiverReferenceTimeReportBlock,
        };
        let theirs = |&(ssrc, last_rr, dlrr): &(u32, u32, u32)| DLRRReport { ssrc, last_rr, dlrr };
        let report = ExtendedReport {
            sender_ssrc: sender,
            reports: vec![
                Box::new(ReceiverReferenceTimeReportBlock { ntp_timestamp: ntp }),
                Box::new(DLRRReportBlock { reports: delays.iter().map(theirs).collect() }),
            ],
        };
        let report: Others = vec![Box::new(report)];
        let wire = rtc_rtcp::packet::marshal(&report).unwrap();
        let Some(Ok(RtcpPacket::ExtendedReport(own))) = Compound::new(&wire).next() else { panic!() };
        prop_assert_eq!(own.ssrc, sender);
        let blocks: Vec<_> = own.blocks().collect();
        let [XrBlock::ReceiverReferenceTime(time), XrBlock::DelaySinceLastRr(read)] = &blocks[..] else {
            panic!("{blocks:?}")
        };
        prop_assert_eq!(time.as_u64(), ntp);
        let expected = delays.iter().map(|&(ssrc, last, delay)| Dlrr {
            ssrc,
            last_receiver_report: last,
            delay_since_last_receiver_report: delay,
        });
        prop_assert!(read.clone().eq(expected));
        // And what we write is the same bytes, block by block.
        let own_delays: Vec<Dlrr> = read.clone().collect();
        let own_wire = write(|out| out.xr_dlrr(sender, &own_delays));
        prop_assert!(wire.ends_with(&own_wire[8..]));
    }

    /// Transport-wide feedback as the other library reads it: each packet's status, and each arrival to the tick.
    #[test]
    fn transport_wide_feedback(
        (base, count, begin) in (any::<u16>(), any::<u8>(), 0u64..10_000_000_000),
        steps in vec((prop_oneof![4 => Just(0u16), 1 => 1u16..40], -30_000i64..90_000), 1..300),
    ) {
        let arrival = |micros: u64| Time::from_nanos(micros * 1_000);
        let (mut seq, mut at) = (base, begin + 100_000_000);
        let mut feedback = TransportCcWriter::new(base, arrival(at), count);
        let mut truth = Vec::new();
        for (index, (gap, step)) in steps.into_iter().enumerate() {
            seq = seq.wrapping_add(gap);
            at = if index == 0 { at } else { at.saturating_add_signed(step) };
            if feedback.push(seq, arrival(at)).is_err() {
                break;
            }
            truth.push((seq, (at + 125) / 250));
            seq = seq.wrapping_add(1);
        }
        let wire = write(|out| feedback.write(out, 1, 2));
        let others = others(&wire);
        let other: &TransportLayerCc = first(&others).unwrap();
        prop_assert_eq!((other.sender_ssrc, other.media_ssrc), (1, 2));
        prop_assert_eq!((other.base_sequence_number, other.fb_pkt_count), (base, count));
        let statuses = other.packet_chunks.iter().flat_map(|chunk| match chunk {
            PacketStatusChunk::RunLengthChunk(run) => {
                vec![run.packet_status_symbol; usize::from(run.run_length)]
            }
            PacketStatusChunk::StatusVectorChunk(vector) => vector.symbol_list.clone(),
        });
        let statuses = statuses.take(usize::from(other.packet_status_count));
        let received = statuses.enumerate().filter(|(_, status)| *status != SymbolTypeTcc::PacketNotReceived);
        let mut tick = i64::from(other.reference_time) * 256;
        let mut read = Vec::new();
        for ((index, _), delta) in received.zip(&other.recv_deltas) {
            // The other library tells deltas in microseconds.
            tick += delta.delta / 250;
            read.push((base.wrapping_add(u16::try_from(index).unwrap()), u64::try_from(tick).unwrap()));
        }
        prop_assert_eq!(read, truth);
    }
}
