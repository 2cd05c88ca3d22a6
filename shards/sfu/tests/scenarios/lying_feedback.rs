//! A15: feedback on what was sent that claims what cannot be is believed in nothing, and what can be within limits.

use ringsoup_rtc::rtp::ExtensionUri;
use ringsoup_sfu::command::TransportCommand;
use ringsoup_sfu::reply::{Reply, TransportStats};

use crate::common::packets::rtcp;
use crate::common::parameters::{consume_video, extension, feedback};
use crate::room::{MAPPED_VIDEO, Room};

const RECEIVER: u32 = 30_000;
/// Each lie is told this often.
const TOLD: usize = 1_000;
/// Bits per second that the controller allows.
const LIMIT: u64 = 2_000_000;

/// A room with Carol, who tells of the way to her by these means.
fn room(uri: ExtensionUri, means: &str) -> Room {
    let mut room = Room::new();
    room.world.transport("bob", TransportCommand::SetMaxOutgoingBitrate(LIMIT));
    let mut request = consume_video("carol video", "video", RECEIVER, None, MAPPED_VIDEO);
    request.rtp_parameters.header_extensions.push(extension(uri, uri.router_id()));
    request.rtp_parameters.codecs[0].rtcp_feedback.push(feedback(means, ""));
    room.world.consume("bob", request);
    room.start_video(1..200);
    room.world.take_sent();
    room
}

fn stats(room: &mut Room) -> TransportStats {
    match room.world.transport("bob", TransportCommand::Stats) {
        Reply::PlainTransportStats(stats) => stats.base.clone(),
        other => panic!("not stats: {other:?}"),
    }
}

/// Base, count, time, chunks: what a transport-wide feedback begins with.
fn claim(base: u16, count: u16, chunks: &[u8]) -> Vec<u8> {
    [&base.to_be_bytes()[..], &count.to_be_bytes(), &[0, 0, 1, 0], chunks].concat()
}

#[test]
fn transport_wide_feedback_that_cannot_be_changes_nothing() {
    let mut room = room(ExtensionUri::TransportWideCc01, "transport-cc");
    let lost_everything = [0x1f, 0xff].repeat(8);
    let lies = [
        // 65,535 packets in eight chunks, from the first one on.
        claim(1, u16::MAX, &lost_everything),
        // What was never sent.
        claim(40_000, 2_000, &[0x07, 0xd0, 0, 0]),
        // What came, with hardly a word on when.
        claim(1, 100, &[0x20, 100, 4, 4]),
        // More than the chunks say.
        claim(1, 1_000, &[0x00, 1, 0, 0]),
        claim(1, 7, &[]),
    ];
    let before = (room.world.held("held_timers"), stats(&mut room));
    for lie in &lies {
        for _ in 0..TOLD {
            room.bob_says(&rtcp(|writer| writer.transport_cc(9, RECEIVER, lie)));
        }
        let stats = stats(&mut room);
        assert_eq!(stats.rtp_packet_loss_sent, Some(0.0), "{lie:?}");
        assert_eq!(stats.available_outgoing_bitrate, before.1.available_outgoing_bitrate, "{lie:?}");
    }
    assert!(room.world.take_sent().is_empty() && room.world.held("held_timers") == before.0);
    // The truth is heard all the same: of the first fourteen packets half came.
    let truth = claim(1, 14, &[0b1010_1010, 0b1010_1010, 4, 4, 4, 4, 4, 4, 4, 0, 0, 0]);
    room.bob_says(&rtcp(|writer| writer.transport_cc(9, RECEIVER, &truth)));
    assert_eq!(stats(&mut room).rtp_packet_loss_sent, Some(0.5));
    room.world.assert_accounted();
}

#[test]
fn an_estimate_that_cannot_be_is_kept_within_the_limits() {
    let mut room = room(ExtensionUri::AbsSendTime, "goog-remb");
    for (told, available) in [(u64::MAX, LIMIT), (0, 30_000), (1_000_000, 1_000_000)] {
        for _ in 0..TOLD {
            room.bob_says(&rtcp(|writer| writer.remb(9, told, &[RECEIVER])));
        }
        assert_eq!(stats(&mut room).available_outgoing_bitrate, Some(available), "{told}");
    }
    assert!(room.world.take_sent().is_empty());
}
