//! Dumps and stats show what happened, not constants.

use ringsoup_sfu::command::{Command, ConsumerCommand, ProducerCommand, TransportCommand};
use ringsoup_sfu::reply::{PlainTransportStats, Reply};
use ringsoup_sfu::rtp_parameters::RtpType;

use crate::common::ROUTER;
use crate::common::packets::{DELTA, KEY, rtx};
use crate::common::parameters::{H264_RTX, ROUTER_H264, consume_audio};
use crate::room::{ALICE_AUDIO, ALICE_RTX, ALICE_VIDEO, AUDIO, MAPPED_AUDIO, Room, VIDEO, VIDEO_RTX};

fn transport_stats(room: &mut Room, transport: &str) -> PlainTransportStats {
    match room.world.transport(transport, TransportCommand::Stats) {
        Reply::PlainTransportStats(stats) => *stats,
        other => panic!("not stats: {other:?}"),
    }
}

#[test]
fn transports_count_bytes_and_rates() {
    let mut room = Room::new();
    room.start_video(1..101);
    let received = transport_stats(&mut room, "sender");
    let bytes = 100 * 12 + KEY.len() + 99 * DELTA.len();
    assert_eq!(
        (received.base.bytes_received, received.base.rtp_bytes_received),
        (bytes as u64, bytes as u64)
    );
    assert!(received.base.recv_bitrate > 0 && received.base.rtx_bytes_received == 0);
    let sent = transport_stats(&mut room, "alice");
    assert_eq!(sent.tuple.remote, Some(room.alice.remote));
    assert!(sent.base.rtp_bytes_sent > bytes as u64 && sent.base.bytes_sent >= sent.base.rtp_bytes_sent);
    assert_eq!(sent.base.rtp_bytes_received, 0);
}

#[test]
fn streams_count_packets_on_both_sides() {
    let mut room = Room::new();
    assert!(room.world.producer_stats("video").is_empty(), "nothing was received yet");
    room.start_video(1..101);
    room.video(104, DELTA);
    room.sender_says(&rtx(H264_RTX, 1, 90, VIDEO_RTX, 1, KEY));
    let received = room.world.producer_stats("video").remove(0);
    assert_eq!((received.packet_count, received.base.packets_lost), (101, 3));
    assert_eq!((received.base.ssrc, received.base.rtx_ssrc), (VIDEO, Some(VIDEO_RTX)));
    assert_eq!(received.base.mime_type, "video/H264");
    assert!(received.bitrate > 0);
    let Reply::ConsumerStats(stats) = room.world.consumer("alice video", ConsumerCommand::Stats) else {
        panic!("not stats")
    };
    assert_eq!((stats.sent[0].packet_count, stats.sent[0].base.ssrc), (101, ALICE_VIDEO));
    assert_eq!(stats.received.expect("the producer's").packet_count, 101);
}

#[test]
fn dumps_name_who_belongs_to_whom() {
    let mut room = Room::new();
    room.start_video(1..3);
    let Reply::RouterDump(dump) = room.world.command(Command::DumpRouter { router: ROUTER.into() }) else {
        panic!("not a dump")
    };
    assert_eq!(dump.transports.len(), 3);
    let of_video = dump.consumers_of_producer.iter().find(|(producer, _)| &**producer == "video");
    assert_eq!(of_video.expect("there").1.len(), 2);
    assert_eq!(dump.producer_of_consumer.len(), 3);
    assert_eq!(dump.latency.count, 4, "two packets to two receivers");
    let Reply::PlainTransportDump(dump) = room.world.transport("alice", TransportCommand::Dump) else {
        panic!("not a dump")
    };
    assert_eq!(dump.base.consumer_of_rtx_ssrc, [(ALICE_RTX, "alice video".into())]);
    let mut ssrcs: Vec<_> = dump.base.consumer_of_ssrc.iter().map(|(ssrc, _)| *ssrc).collect();
    ssrcs.sort_unstable();
    assert_eq!(ssrcs, [ALICE_VIDEO, ALICE_AUDIO]);
    let Reply::PlainTransportDump(dump) = room.world.transport("sender", TransportCommand::Dump) else {
        panic!("not a dump")
    };
    let mut ssrcs: Vec<_> = dump.base.producer_of_ssrc.iter().map(|(ssrc, _)| *ssrc).collect();
    ssrcs.sort_unstable();
    assert_eq!(ssrcs, [VIDEO, VIDEO_RTX, AUDIO]);
}

#[test]
fn producer_and_consumer_dumps_show_their_state() {
    let mut room = Room::new();
    room.start_video(1..3);
    room.sender_says(&rtx(H264_RTX, 1, 90, VIDEO_RTX, 1, KEY));
    room.world.producer("video", ProducerCommand::Pause);
    let Reply::ProducerDump(dump) = room.world.producer("video", ProducerCommand::Dump) else {
        panic!("not a dump")
    };
    assert!(dump.paused && dump.rtp_type == RtpType::Simple);
    let stream = &dump.rtp_streams[0];
    assert!(stream.params.use_nack && stream.params.use_pli && stream.params.use_fir);
    assert_eq!(stream.rtx_stream.as_ref().map(|rtx| rtx.ssrc), Some(VIDEO_RTX));
    room.world.consumer("alice video", ConsumerCommand::SetPriority(9));
    let Reply::ConsumerDump(dump) = room.world.consumer("alice video", ConsumerCommand::Dump) else {
        panic!("not a dump")
    };
    assert!(dump.producer_paused && !dump.paused && dump.priority == 9);
    assert_eq!(dump.supported_codec_payload_types, [ROUTER_H264]);
}

#[test]
fn the_shard_reports_latencies_of_what_it_forwarded() {
    let mut room = Room::new();
    room.start_audio(1..11);
    let report = room.world.report();
    assert_eq!((report.latency.count, report.forwarded_packets, report.sent_packets), (10, 10, 10));
    room.world.consume("bob", consume_audio("b", "audio", 97, MAPPED_AUDIO));
    room.start_audio(11..21);
    let report = room.world.report();
    assert_eq!((report.latency.count, report.forwarded_packets, report.sent_packets), (30, 20, 30));
}
