//! Reports: when, what, and what is read out of the peers'.

use std::time::Duration;

use ringsoup_rtc::ntp::NtpTime;
use ringsoup_rtc::rtcp::{Dlrr, ReportBlock};
use ringsoup_sfu::command::{ProducerCommand, ProducerTraceEvent};
use ringsoup_sfu::event::Event;

use crate::common::packets::{
    DELTA, KEY, SPEECH, empty_block, heard, receiver_report, rtcp, rtp, rtx, sender_report,
};
use crate::common::parameters::{H264_RTX, OPUS, consume_audio, produce_audio};
use crate::common::{UNIX_ORIGIN_US, World, simulcast};
use crate::room::{ALICE_AUDIO, ALICE_VIDEO, AUDIO, BOB_VIDEO, Room, VIDEO, VIDEO_RTX};

#[test]
fn a_receiver_gets_sender_reports_with_names_after_half_a_second_then_every_second_or_so() {
    let mut room = Room::new();
    room.start_video(1..11);
    room.start_audio(1..11);
    let start = room.world.now;
    let mut times = Vec::new();
    for _ in 0..100 {
        room.world.advance_ms(100);
        let seq = u16::try_from(room.world.now.as_millis()).expect("short");
        room.video(seq / 100 + 1, DELTA);
        let alice = room.alice.clone();
        let sent = room.world.take_rtcp(&alice);
        times.extend(sent.iter().map(|sent| sent.at.saturating_since(start)));
        if times.len() == 1 && !sent.is_empty() {
            let heard = heard(&sent);
            assert_eq!(heard.order, ["SDSD"]);
            let report = heard.sender_reports[0];
            assert_eq!((report.ssrc, heard.sender_reports[1].ssrc), (ALICE_VIDEO, ALICE_AUDIO));
            assert!(report.packet_count >= 10 && report.octet_count > 10 * 12);
            let wall = UNIX_ORIGIN_US + sent[0].at.as_micros();
            assert_eq!(report.ntp, NtpTime::from_unix_micros(wall));
            assert_eq!(heard.cnames[0], (ALICE_VIDEO, "cname".to_owned()));
        }
    }
    assert!(times[0] >= Duration::from_millis(500) && times[0] < Duration::from_millis(510));
    for pair in times.windows(2) {
        let between = pair[1] - pair[0];
        assert!(between >= Duration::from_millis(1_000), "{between:?}");
        assert!(between <= Duration::from_millis(1_510), "{between:?}");
    }
    assert!(times.len() >= 7);
}

#[test]
fn a_silent_stream_is_not_reported() {
    let mut room = Room::new();
    room.start_video(1..5);
    room.world.advance_ms(5_000);
    room.world.take_sent();
    room.world.advance_ms(5_000);
    let bob = room.bob.clone();
    assert!(room.world.take_rtcp(&bob).is_empty());
}

#[test]
fn a_sender_gets_receiver_reports_with_loss_and_the_shards_reference_time() {
    let mut room = Room::new();
    room.sender_says(&sender_report(VIDEO, NtpTime::from_parts(100, 1 << 31), 5));
    room.start_video(1..5);
    room.video(9, DELTA);
    room.sender_says(&rtx(H264_RTX, 1, 90, VIDEO_RTX, 1, KEY));
    room.sender_says(&sender_report(VIDEO, NtpTime::from_parts(100, 1 << 31), 5));
    room.world.advance_ms(600);
    let reports: Vec<_> =
        room.rtcp_to_sender().into_iter().filter(|sent| heard([sent]).order[0].starts_with('R')).collect();
    let heard = heard(&reports);
    assert_eq!(heard.order, ["RX"]);
    let block = heard.blocks.iter().find(|block| block.ssrc == VIDEO).expect("a block");
    assert_eq!((block.cumulative_lost, block.fraction_lost), (4, 114));
    assert_eq!(block.highest_sequence_number, 9);
    assert_eq!(block.last_sender_report, NtpTime::from_parts(100, 1 << 31).middle());
    // Half a second, in 1/65536 s.
    assert!((32_700..33_200).contains(&block.delay_since_last_sender_report), "{block:?}");
    assert!(heard.blocks.iter().any(|block| block.ssrc == VIDEO_RTX));
    let wall = UNIX_ORIGIN_US + reports[0].at.as_micros();
    assert_eq!(heard.reference_times, [NtpTime::from_unix_micros(wall)]);
}

#[test]
fn a_receivers_round_trip_comes_from_its_reports() {
    let mut room = Room::new();
    room.start_video(1..5);
    room.world.advance_ms(520);
    let bob = room.bob.clone();
    let sent = room.world.take_rtcp(&bob);
    let info = heard(&sent).sender_reports[0];
    let since = room.world.now.saturating_since(sent[0].at);
    room.world.advance_ms(300);
    let delay = Duration::from_millis(240) + since;
    let block = ReportBlock {
        last_sender_report: info.ntp.middle(),
        delay_since_last_sender_report: ringsoup_rtc::ntp::duration_to_middle(delay),
        fraction_lost: 10,
        cumulative_lost: 1,
        jitter: 33,
        ..empty_block(BOB_VIDEO)
    };
    room.bob_says(&receiver_report(block));
    let stats = room.world.consumer_stats("bob video").base;
    assert!((stats.round_trip_time - 60.0).abs() < 0.2, "{}", stats.round_trip_time);
    assert_eq!((stats.fraction_lost, stats.packets_lost, stats.jitter), (10, 1, 33));
}

#[test]
fn a_senders_round_trip_comes_from_its_answer_to_the_reference_time() {
    let mut room = Room::new();
    room.start_video(1..5);
    room.world.advance_ms(520);
    let sent = room.rtcp_to_sender();
    let told = heard(&sent).reference_times[0];
    room.world.advance_ms(200);
    let at = sent.iter().find(|sent| !heard([*sent]).reference_times.is_empty()).expect("told").at;
    let delay = room.world.now.saturating_since(at) - Duration::from_millis(80);
    let dlrr = Dlrr {
        ssrc: 0,
        last_receiver_report: told.middle(),
        delay_since_last_receiver_report: ringsoup_rtc::ntp::duration_to_middle(delay),
    };
    room.sender_says(&rtcp(|writer| writer.xr_dlrr(VIDEO, &[dlrr])));
    let rtt = room.world.producer_stats("video")[0].base.round_trip_time;
    assert!((rtt - 80.0).abs() < 0.2, "{rtt}");
}

#[test]
fn a_receiver_that_tells_its_time_gets_the_delay_since() {
    let mut room = Room::new();
    room.start_video(1..5);
    let time = NtpTime::from_parts(77, 0);
    room.bob_says(&rtcp(|writer| writer.xr_rrt(1, time)));
    room.world.advance_ms(510);
    let bob = room.bob.clone();
    let heard = heard(&room.world.take_rtcp(&bob));
    assert_eq!(heard.order, ["SDX"]);
    let dlrr = heard.dlrrs[0];
    assert_eq!((dlrr.ssrc, dlrr.last_receiver_report), (BOB_VIDEO, time.middle()));
    assert!((32_700..33_500).contains(&dlrr.delay_since_last_receiver_report), "{dlrr:?}");
}

#[test]
fn loss_lowers_scores_and_tells_so() {
    let mut room = Room::new();
    room.start_video(1..5);
    room.sender_says(&sender_report(VIDEO, NtpTime::from_parts(100, 0), 5));
    room.world.take_events();
    for seq in (6..200).step_by(2) {
        room.video(seq, DELTA);
    }
    room.sender_says(&sender_report(VIDEO, NtpTime::from_parts(101, 0), 5));
    let events = room.world.take_events();
    let score = events.iter().find_map(|event| match event {
        Event::ProducerScore { scores, .. } => Some(scores[0].score),
        _ => None,
    });
    assert!(score.is_some_and(|score| score < 10), "{score:?}");
    let told = events.iter().filter(|event| matches!(event, Event::ConsumerScore { .. })).count();
    assert_eq!(told, 2);
    let block = ReportBlock { cumulative_lost: 50, fraction_lost: 128, ..empty_block(BOB_VIDEO) };
    room.bob_says(&receiver_report(block));
    let events = room.world.take_events();
    let Some(Event::ConsumerScore { consumer, score }) = events.first() else { panic!("{events:?}") };
    assert_eq!(&**consumer, "bob video");
    assert!(score.score < 10 && score.producer_score < 10);
}

#[test]
fn a_clock_that_steps_back_does_not_silence_reports() {
    let mut world = World::new();
    let (sender, receiver) = (world.plain("from"), world.plain("to"));
    world.produce("from", produce_audio("audio", 1, 50));
    world.consume("to", consume_audio("c", "audio", 2, 50));
    let mut last = Vec::new();
    for seq in 0..500_u16 {
        // Half-way the sender's timestamps start over, its sequence numbers do not.
        let timestamp = if seq < 250 { 3_000_000_000 } else { 1_000 } + u32::from(seq) * 960;
        world.from(&sender, &rtp(OPUS, seq, timestamp, 1, SPEECH));
        world.advance_ms(20);
        last.extend(
            heard(&world.take_rtcp(&receiver)).sender_reports.iter().map(|report| report.rtp_timestamp),
        );
    }
    let after = last.iter().filter(|&&timestamp| timestamp < 1_000_000).count();
    assert!(after >= 3, "reports after the step: {after} of {}", last.len());
}

#[test]
fn one_reference_time_is_enough_for_all_producers() {
    let mut room = Room::new();
    room.start_video(1..5);
    room.start_audio(1..5);
    room.world.advance_ms(600);
    let heard = heard(&room.rtcp_to_sender());
    assert_eq!(heard.reference_times.len(), 1);
    assert!([VIDEO, AUDIO].iter().all(|ssrc| heard.blocks.iter().any(|block| block.ssrc == *ssrc)));
}

#[test]
fn a_delay_of_zero_is_no_round_trip() {
    let mut room = Room::new();
    room.start_video(1..5);
    room.world.advance_ms(520);
    let bob = room.bob.clone();
    let info = heard(&room.world.take_rtcp(&bob)).sender_reports[0];
    room.world.advance_ms(300);
    let block = ReportBlock { last_sender_report: info.ntp.middle(), ..empty_block(BOB_VIDEO) };
    room.bob_says(&receiver_report(block));
    assert_eq!(room.world.consumer_stats("bob video").base.round_trip_time.to_bits(), 0);
}

#[test]
fn a_report_of_a_stream_that_was_not_heard_yet_says_nothing() {
    let mut room = Room::new();
    room.world.producer("video", ProducerCommand::EnableTraceEvent(vec![ProducerTraceEvent::SenderReport]));
    let report = sender_report(VIDEO, NtpTime::from_unix_micros(1), 4_500);
    let traces = |room: &mut Room| {
        let events = room.world.take_events();
        events.iter().filter(|event| matches!(event, Event::ProducerTrace { .. })).count()
    };
    room.sender_says(&report);
    assert_eq!(traces(&mut room), 0);
    room.start_video(1..2);
    room.sender_says(&report);
    assert_eq!(traces(&mut room), 1);
}

/// What was lost before the silence is not held against what comes after it.
#[test]
fn reports_during_a_silence_end_the_interval_before_it() {
    let mut world = World::new();
    let sender = world.plain("sender");
    let (ssrcs, mapped) = ([1_000, 2_000], [5_000, 5_001]);
    world.produce("sender", simulcast::produce("video", "video/VP8", None, &ssrcs, &mapped));
    let send = |world: &mut World, seq: u16| {
        let timestamp = u32::from(seq) * 3_000;
        world.from(&sender, &rtp(simulcast::VIDEO, seq, timestamp, ssrcs[0], &[0x10, 0, 1, 2]));
    };
    let report = |world: &mut World| {
        let report = sender_report(ssrcs[0], NtpTime::from_unix_micros(1), 4_500);
        world.from(&sender, &report);
        world.producer_stats("video")[0].base.score
    };
    (1..100).for_each(|seq| send(&mut world, seq));
    assert_eq!(report(&mut world), 10);
    (100..200).filter(|seq| seq % 3 == 0).for_each(|seq| send(&mut world, seq));
    world.advance_ms(2_000);
    assert_eq!(report(&mut world), 0, "inactive");
    (199..300).for_each(|seq| send(&mut world, seq));
    assert_eq!(report(&mut world), 10);
}
