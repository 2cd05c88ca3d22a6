//! When media was captured: what is worked out of a sender's reports, and told to receivers.

use ringsoup_rtc::ntp::NtpTime;
use ringsoup_rtc::rtp::extension::AbsCaptureTime;
use ringsoup_rtc::rtp::{ExtensionUri, RtpWriter};

use crate::common::UNIX_ORIGIN_US;
use crate::common::packets::{DELTA, KEY, heard, rtp, sender_report};
use crate::common::parameters::{H264, consume_video, extension, produce_video};
use crate::room::{Room, VIDEO};

/// A sender whose wall clock is not ours: 1,000 s after 1970 when our process began.
fn sender_wall(room: &Room) -> NtpTime {
    NtpTime::from_unix_micros(1_000_000_000 + room.world.now.as_micros())
}

/// What its RTP clock, which began with our process, shows now.
fn sender_timestamp(room: &Room) -> u32 {
    u32::try_from(room.world.now.as_millis()).expect("a short test") * 90
}

/// Three reports that were not held up: enough to know a clock by.
fn tell_clock(room: &mut Room) {
    for _ in 0..3 {
        let report = sender_report(VIDEO, sender_wall(room), sender_timestamp(room));
        room.sender_says(&report);
        room.world.advance_ms(1_000);
    }
}

/// Frames that are under way for a while, longer for each, as one stream's may be than another's.
fn send_captured(room: &mut Room, count: u16) {
    for seq in 1..=count {
        let captured = sender_timestamp(room);
        room.world.advance_ms(100 + u64::from(seq));
        let payload = if seq == 1 { KEY } else { DELTA };
        room.sender_says(&rtp(H264, seq, captured, VIDEO, payload));
    }
}

#[test]
fn sender_reports_tell_when_media_was_captured() {
    let mut room = Room::new();
    room.start_video(1..2);
    tell_clock(&mut room);
    send_captured(&mut room, 20);
    let bob = room.bob.clone();
    let sent = room.world.take_rtcp(&bob);
    let last = sent.last().expect("reports");
    let told = heard([last]).sender_reports[0];
    let captured_now = u32::try_from(last.at.as_micros() * 90 / 1_000).expect("a short test");
    let error = told.rtp_timestamp.wrapping_sub(captured_now).cast_signed();
    assert!(error.abs() <= 2, "{error}: as if it had not been under way");
}

/// Nothing is known of a clock that was heard twice; the way counts then.
#[test]
fn sender_reports_count_from_arrival_while_the_clock_is_unknown() {
    let mut room = Room::new();
    send_captured(&mut room, 20);
    let bob = room.bob.clone();
    let sent = room.world.take_rtcp(&bob);
    let last = sent.last().expect("reports");
    let told = heard([last]).sender_reports[0];
    let captured_now = u32::try_from(last.at.as_micros() * 90 / 1_000).expect("a short test");
    let behind = captured_now.wrapping_sub(told.rtp_timestamp);
    assert!((100 * 90..122 * 90).contains(&behind), "{behind}");
}

#[test]
fn capture_times_go_on_with_the_offset_from_our_clock() {
    let mut room = Room::new();
    let mut request = produce_video("captured", 3_000, None, 5_100);
    request.rtp_parameters.header_extensions = vec![extension(ExtensionUri::AbsCaptureTime, 5)];
    room.world.produce("sender", request);
    let mut request = consume_video("c", "captured", 78, None, 5_100);
    request.rtp_parameters.header_extensions.push(extension(ExtensionUri::AbsCaptureTime, 10));
    room.world.consume("bob", request);
    let forwarded = |room: &mut Room, seq: u16, value: &[u8]| {
        let packet = RtpWriter::new(H264, seq, 1, 3_000).extension(5, value).payload(KEY);
        room.sender_says(&packet.to_vec().expect("no CSRCs"));
        let sent = room.bob_gets().into_iter().filter(|sent| sent.rtp().ssrc() == 78).collect::<Vec<_>>();
        AbsCaptureTime::parse(sent[0].rtp().extension(10)?)
    };
    let captured = |clock_offset| AbsCaptureTime { timestamp: 77, clock_offset };
    let short = 77_u64.to_be_bytes();
    assert_eq!(forwarded(&mut room, 1, &short), Some(captured(Some(0))), "clocks are taken to agree");
    assert_eq!(forwarded(&mut room, 2, &[1; 9]), None, "not a capture time");
    assert_eq!(forwarded(&mut room, 3, &[0; 8]), None, "nothing is known of it");
    // The other stream of the sender's name tells its clock, once it is heard itself.
    tell_clock(&mut room);
    assert_eq!(forwarded(&mut room, 4, &short), Some(captured(Some(0))));
    room.start_video(1..2);
    tell_clock(&mut room);
    room.world.take_sent();
    let seconds = i64::try_from(UNIX_ORIGIN_US / 1_000_000).expect("positive") - 1_000;
    assert_eq!(forwarded(&mut room, 5, &short), Some(captured(Some(-(seconds << 32)))));
    let long = captured(Some(5 << 32)).encode();
    assert_eq!(forwarded(&mut room, 6, &long), Some(captured(Some((5 - seconds) << 32))));
}
