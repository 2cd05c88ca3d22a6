//! What senders are told about the way to the shard: arrivals, estimates, limits.

use ringsoup_rtc::rtp::RtpWriter;
use ringsoup_rtc::rtp::extension::{
    abs_send_time_from_micros, encode_abs_send_time, encode_transport_wide_cc,
};
use ringsoup_sfu::command::{Produce, TransportCommand};
use ringsoup_sfu::reply::{Reply, TransportStats};
use ringsoup_sfu::rtp_parameters::ExtensionUri;

use crate::common::packets::{DELTA, Heard, heard};
use crate::common::parameters::{H264, extension, feedback, produce_audio, produce_video};
use crate::common::{Peer, World};

const VIDEO: u32 = 1_000;
const WIDE_ID: u8 = 3;
const SEND_TIME_ID: u8 = 4;

/// A sender whose media negotiate these feedbacks, with both extensions.
struct Sending {
    world: World,
    sender: Peer,
    seq: u16,
}

fn with_feedback(mut request: Produce, feedbacks: &[&str]) -> Produce {
    let parameters = &mut request.rtp_parameters;
    parameters.header_extensions.extend([
        extension(ExtensionUri::TransportWideCc01, WIDE_ID),
        extension(ExtensionUri::AbsSendTime, SEND_TIME_ID),
    ]);
    parameters.codecs[0].rtcp_feedback.extend(feedbacks.iter().map(|kind| feedback(kind, "")));
    request
}

impl Sending {
    fn new(feedbacks: &[&str]) -> Self {
        let mut world = World::new();
        let sender = world.plain("sender");
        world.produce("sender", with_feedback(produce_video("video", VIDEO, None, 5_000), feedbacks));
        Self { world, sender, seq: 0 }
    }

    /// A packet with this transport-wide number, sent now.
    fn send(&mut self, wide: u16) {
        self.send_of(VIDEO, wide, DELTA);
    }

    fn send_of(&mut self, ssrc: u32, wide: u16, payload: &[u8]) {
        self.seq = self.seq.wrapping_add(1);
        let sent = abs_send_time_from_micros(self.world.now.as_micros());
        let packet = RtpWriter::new(H264, self.seq, u32::from(self.seq) * 90, ssrc)
            .extension(WIDE_ID, &encode_transport_wide_cc(wide))
            .extension(SEND_TIME_ID, &encode_abs_send_time(sent))
            .payload(payload);
        let sender = self.sender.clone();
        self.world.from(&sender, &packet.to_vec().expect("no CSRCs"));
    }

    fn heard(&mut self) -> Heard {
        let sender = self.sender.clone();
        heard(&self.world.take_rtcp(&sender))
    }

    fn stats(&mut self) -> TransportStats {
        match self.world.transport("sender", TransportCommand::Stats) {
            Reply::PlainTransportStats(stats) => stats.base,
            other => panic!("not stats: {other:?}"),
        }
    }

    fn limit(&mut self, bitrate: u64) {
        self.world.transport("sender", TransportCommand::SetMaxIncomingBitrate(bitrate));
        self.world.flush();
    }
}

#[test]
fn every_packet_is_accounted_for_each_tenth_of_a_second() {
    let mut sending = Sending::new(&["goog-remb", "transport-cc"]);
    let mut expected = Vec::new();
    let mut wide = 65_500_u16;
    for step in 0..199_u32 {
        // Each seventh is lost on the way.
        if step % 7 == 3 {
            expected.push((wide, None));
        } else {
            sending.send(wide);
            let tick = (sending.world.now.as_micros() + 125) / 250 * 250;
            expected.push((wide, Some(i64::try_from(tick).unwrap())));
        }
        wide = wide.wrapping_add(1);
        sending.world.advance_ms(5);
    }
    sending.world.advance_ms(100);
    let told = sending.heard();
    let arrivals: Vec<_> = told.transport_ccs.iter().flat_map(|told| told.arrivals.clone()).collect();
    assert_eq!(arrivals, expected);
    assert!(told.transport_ccs.iter().all(|told| told.media_ssrc == VIDEO));
    let counts: Vec<_> = told.transport_ccs.iter().map(|told| told.count).collect();
    assert_eq!(counts, (0..11).collect::<Vec<u8>>(), "one second, and what was left");
    assert!(told.rembs.is_empty(), "the estimate is the sender's");
    let loss = sending.stats().rtp_packet_loss_received.expect("known");
    assert!((0.10..0.19).contains(&loss), "{loss}");
    assert_eq!(sending.stats().available_incoming_bitrate, Some(0));
}

#[test]
fn silence_is_not_reported_on() {
    let mut sending = Sending::new(&["transport-cc"]);
    sending.world.advance_ms(3_000);
    assert!(sending.heard().transport_ccs.is_empty());
    sending.send(1);
    sending.world.advance_ms(3_000);
    assert_eq!(sending.heard().transport_ccs.len(), 1);
    assert!(sending.world.sfu.timer_count() <= 4, "{}", sending.world.sfu.timer_count());
}

#[test]
fn what_nobody_wants_came_all_the_same() {
    let mut sending = Sending::new(&["transport-cc"]);
    sending.send(1);
    sending.send_of(77_777, 2, DELTA);
    sending.send(3);
    sending.world.advance_ms(100);
    let told = sending.heard().transport_ccs;
    assert_eq!(
        told[0].arrivals.iter().map(|(wide, came)| (*wide, came.is_some())).collect::<Vec<_>>(),
        [(1, true), (2, true), (3, true)]
    );
}

#[test]
fn a_flood_is_reported_on_before_its_arrivals_are_forgotten() {
    let mut sending = Sending::new(&["transport-cc"]);
    for wide in 0..5_000 {
        sending.send(wide);
    }
    sending.world.advance_ms(100);
    let told = sending.heard().transport_ccs;
    let mut next = 0;
    for (wide, came) in told.iter().flat_map(|told| &told.arrivals) {
        assert_eq!((*wide, came.is_some()), (next, true));
        next += 1;
    }
    assert_eq!(next, 5_000);
}

#[test]
fn the_first_producer_that_negotiates_decides() {
    let mut sending = Sending::new(&[]);
    assert_eq!(sending.stats().available_incoming_bitrate, None);
    sending.send(1);
    sending.world.advance_ms(200);
    assert!(sending.heard().transport_ccs.is_empty());
    sending.world.produce("sender", with_feedback(produce_audio("audio", 2_000, 5_001), &["goog-remb"]));
    sending
        .world
        .produce("sender", with_feedback(produce_video("other", 3_000, None, 5_002), &["transport-cc"]));
    assert_eq!(sending.stats().available_incoming_bitrate, Some(0));
    sending.send(2);
    sending.world.advance_ms(200);
    assert!(sending.heard().transport_ccs.is_empty());
}

#[test]
fn an_estimate_is_told_with_its_streams_and_within_the_limit() {
    let mut sending = Sending::new(&["goog-remb"]);
    sending
        .world
        .produce("sender", with_feedback(produce_video("other", 2_000, None, 5_001), &["goog-remb"]));
    let run = |sending: &mut Sending, packets: u32| {
        for step in 0..packets {
            // A megabit per second.
            sending.send_of(if step % 4 == 0 { 2_000 } else { VIDEO }, 0, &[0x41; 1_250]);
            sending.world.advance_ms(10);
        }
        sending.heard().rembs
    };
    assert!(run(&mut sending, 500).is_empty(), "it is watched for five seconds");
    let told = run(&mut sending, 500);
    assert!((15..=26).contains(&told.len()), "each 200 ms: {}", told.len());
    for (bitrate, ssrcs) in &told {
        assert!((990_000..1_515_000).contains(bitrate), "{bitrate}");
        let mut ssrcs = ssrcs.clone();
        ssrcs.sort_unstable();
        assert_eq!(ssrcs, [VIDEO, 2_000]);
    }
    let available = sending.stats().available_incoming_bitrate.expect("estimated");
    assert!(available >= 990_000, "{available}");
    sending.limit(400_000);
    let told = run(&mut sending, 200);
    assert!(!told.is_empty());
    assert!(told.iter().all(|(bitrate, _)| (399_000..=400_000).contains(bitrate)), "{told:?}");
    let available = sending.stats();
    assert!(available.available_incoming_bitrate > Some(990_000), "what the way takes is another thing");
    assert_eq!(available.max_incoming_bitrate, Some(400_000));
    sending.limit(0);
    assert_eq!(sending.heard().rembs, [(0, vec![])], "the limit is gone");
    assert!(run(&mut sending, 100).iter().all(|(bitrate, _)| *bitrate > 990_000));
}

#[test]
fn a_limit_is_told_to_senders_that_estimate_themselves() {
    let mut sending = Sending::new(&["transport-cc"]);
    sending.limit(300_000);
    let run = |sending: &mut Sending, millis: u64| {
        for wide in 0..millis / 10 {
            sending.send(u16::try_from(wide).unwrap());
            sending.world.advance_ms(10);
        }
        sending.heard().rembs
    };
    let told = run(&mut sending, 6_000);
    assert_eq!(told.len(), 4, "each 1.5 s");
    assert!(told.iter().all(|(bitrate, ssrcs)| *bitrate == 300_000 && ssrcs.is_empty()), "{told:?}");
    sending.limit(0);
    assert_eq!(sending.heard().rembs, [(0, vec![])]);
    assert_eq!(run(&mut sending, 10_000), [(0, vec![]), (0, vec![]), (0, vec![])]);
}

#[test]
fn a_limit_from_before_the_first_producer_holds() {
    let mut world = World::new();
    let sender = world.plain("sender");
    world.transport("sender", TransportCommand::SetMaxIncomingBitrate(250_000));
    world.produce("sender", with_feedback(produce_video("video", VIDEO, None, 5_000), &["transport-cc"]));
    let mut sending = Sending { world, sender, seq: 0 };
    sending.send(1);
    let told = sending.heard().rembs;
    assert!((249_000..=250_000).contains(&told[0].0), "{told:?}");
}

#[test]
fn a_browser_is_told_what_came() {
    let mut world = World::new();
    let mut browser = world.browser("browser", 1);
    world.produce("browser", with_feedback(produce_video("video", VIDEO, None, 5_000), &["transport-cc"]));
    let mut expected = Vec::new();
    for wide in 0..50_u16 {
        let packet = RtpWriter::new(H264, wide, u32::from(wide) * 90, VIDEO)
            .extension(WIDE_ID, &encode_transport_wide_cc(wide))
            .payload(DELTA);
        if wide % 5 != 2 {
            world.rtp_from(&mut browser, &packet.to_vec().expect("no CSRCs"));
        }
        expected.push((wide, wide % 5 != 2));
        world.live(&mut [&mut browser], 5);
    }
    world.live(&mut [&mut browser], 150);
    let told = browser.heard().transport_ccs;
    let arrivals = told.iter().flat_map(|told| &told.arrivals).map(|(wide, came)| (*wide, came.is_some()));
    assert_eq!(arrivals.collect::<Vec<_>>(), expected);
}
