//! Media between browsers, and between browsers and others.

use ringsoup_rtc::ntp::NtpTime;
use ringsoup_rtc::rtp::RtpPacket;
use ringsoup_sfu::command::{Consume, TransportCommand};
use ringsoup_sfu::drop_reason::DropReason;

use crate::common::World;
use crate::common::browser::{Browser, EVERYTHING, NOTHING, Setup};
use crate::common::packets::{DELTA, KEY, SPEECH, empty_block, pli, receiver_report, rtp, sender_report};
use crate::common::parameters::{H264, OPUS, consume_audio, consume_video, produce_audio, produce_video};
use crate::webrtc_ice::webrtc_news;
use crate::webrtc_transport::stats;

const VIDEO: u32 = 1_000;
const AUDIO: u32 = 2_000;

fn video(seq: u16, payload: &[u8]) -> Vec<u8> {
    rtp(H264, seq, u32::from(seq) * 3_000, VIDEO, payload)
}

fn audio(seq: u16) -> Vec<u8> {
    rtp(OPUS, seq, u32::from(seq) * 960, AUDIO, SPEECH)
}

fn consume_of(consumer: &str) -> Consume {
    consume_video(consumer, "video", 10_000, None, 5_000)
}

/// One that sends and one that receives.
struct Call {
    world: World,
    alice: Browser,
    bob: Browser,
}

fn call() -> Call {
    let mut world = World::new();
    let alice = world.browser("alice", 1);
    let bob = world.browser("bob", 2);
    world.produce("alice", produce_video("video", VIDEO, None, 5_000));
    world.produce("alice", produce_audio("audio", AUDIO, 5_001));
    world.consume("bob", consume_of("c"));
    world.consume("bob", consume_audio("d", "audio", 10_001, 5_001));
    Call { world, alice, bob }
}

impl Call {
    fn says(&mut self, packet: &[u8]) {
        self.world.rtp_from(&mut self.alice, packet);
        self.carry();
    }

    fn carry(&mut self) {
        self.world.carry(&mut [&mut self.alice, &mut self.bob]);
    }

    fn live(&mut self, millis: u64) {
        self.world.live(&mut [&mut self.alice, &mut self.bob], millis);
    }

    /// Sequence numbers of the video that Bob got since the last call.
    fn bob_got(&mut self) -> Vec<u16> {
        let packets = self.bob.take_rtp();
        let parsed = packets.iter().map(|packet| RtpPacket::parse(packet).expect("RTP"));
        parsed.filter(|packet| packet.ssrc() == 10_000).map(|packet| packet.sequence_number()).collect()
    }
}

#[test]
fn media_goes_from_browser_to_browser() {
    let mut call = call();
    call.says(&video(1, KEY));
    for seq in 2..10 {
        call.says(&video(seq, DELTA));
    }
    for seq in 1..10 {
        call.says(&audio(seq));
    }
    let got = call.bob.take_rtp();
    assert_eq!(got.len(), 18);
    let of = |ssrc| got.iter().filter(move |packet| RtpPacket::parse(packet).expect("RTP").ssrc() == ssrc);
    assert_eq!((of(10_000).count(), of(10_001).count()), (9, 9));
    assert!(got[0].ends_with(KEY) && call.bob.unread.is_empty());
    assert_eq!(call.world.consumer_stats("c").packet_count, 9);
    let (alice, bob) = (stats(&mut call.world, "alice").base, stats(&mut call.world, "bob").base);
    assert!(alice.rtp_bytes_received > 0 && bob.rtp_bytes_sent > 0);
    assert!(bob.bytes_sent > bob.rtp_bytes_sent, "handshake and authentication tags");
    call.world.assert_accounted();
}

#[test]
fn browsers_and_plain_peers_hear_each_other() {
    let mut world = World::new();
    let plain = world.plain("plain");
    let mut browser = world.browser("browser", 1);
    world.produce("plain", produce_audio("p", AUDIO, 5_001));
    world.produce("browser", produce_audio("b", 7, 5_007));
    world.consume("browser", consume_audio("c", "p", 10_001, 5_001));
    world.consume("plain", consume_audio("d", "b", 10_007, 5_007));
    for seq in 1..=5 {
        world.from(&plain, &audio(seq));
    }
    world.carry(&mut [&mut browser]);
    assert_eq!(browser.take_rtp().len(), 5);
    for seq in 1..=5 {
        world.rtp_from(&mut browser, &rtp(OPUS, seq, 960, 7, SPEECH));
    }
    assert_eq!(world.take_rtp(&plain).len(), 5);
    world.assert_accounted();
}

#[test]
fn rtcp_goes_both_ways() {
    let mut call = call();
    call.says(&video(1, KEY));
    let report = sender_report(VIDEO, NtpTime::from_unix_micros(1_767_225_601_000_000), 3_000);
    call.world.rtcp_from(&mut call.alice, &report);
    call.alice.heard();
    call.bob.heard();
    for seq in 2..50 {
        call.says(&video(seq, DELTA));
        call.live(40);
    }
    let (alice, bob) = (call.alice.heard(), call.bob.heard());
    assert!(alice.blocks.iter().any(|block| block.ssrc == VIDEO && block.last_sender_report != 0));
    assert!(bob.sender_reports.iter().any(|report| report.ssrc == 10_000));
    // What a receiver says reaches its consumer, and its wish the sender.
    let block = ringsoup_rtc::rtcp::ReportBlock { fraction_lost: 51, ..empty_block(10_000) };
    call.world.rtcp_from(&mut call.bob, &receiver_report(block));
    assert_eq!(call.world.consumer_stats("c").base.fraction_lost, 51);
    call.live(2_000);
    call.alice.heard();
    call.world.rtcp_from(&mut call.bob, &pli(10_000));
    call.live(10);
    assert_eq!(call.alice.heard().plis.len(), 1);
    call.world.assert_accounted();
}

#[test]
fn who_joins_late_gets_a_key_frame() {
    let mut call = call();
    for seq in 1..5 {
        call.says(&video(seq, if seq == 1 { KEY } else { DELTA }));
    }
    call.live(3_000);
    call.alice.heard();
    let mut carol = call.world.offer("carol", &Setup::from_port(3));
    call.world.consume("carol", consume_of("late"));
    call.carry();
    assert!(call.alice.heard().plis.is_empty(), "nobody is there to see it");
    call.world.introduce(&carol);
    call.world.live(&mut [&mut call.alice, &mut call.bob, &mut carol], 500);
    assert!(carol.peer.is_connected());
    assert_eq!(call.alice.heard().plis.len(), 1, "asked for when its transport was connected");
    for (seq, payload) in [(5, DELTA), (6, KEY), (7, DELTA)] {
        call.world.rtp_from(&mut call.alice, &video(seq, payload));
        call.world.carry(&mut [&mut call.alice, &mut call.bob, &mut carol]);
    }
    assert_eq!(carol.rtp.len(), 2);
    assert!(carol.rtp[0].ends_with(KEY) && carol.unread.is_empty());
}

#[test]
fn a_lost_peer_is_sent_nothing_until_it_is_back() {
    let mut call = call();
    call.says(&video(1, KEY));
    call.bob_got();
    call.bob.loses = EVERYTHING;
    call.live(36_000);
    assert_eq!(call.alice.heard().plis.len(), 0);
    assert!(webrtc_news(&call.world.take_events()).ends_with(&["ice disconnected".to_owned()]));
    let sent = call.world.consumer_stats("c").packet_count;
    for seq in 2..10 {
        call.says(&video(seq, DELTA));
    }
    assert_eq!(call.world.consumer_stats("c").packet_count, sent);
    assert_eq!(call.world.dropped(DropReason::NoTakers), 8);
    assert_eq!(call.world.held("held_lanes"), 1, "Alice's");
    // It finds its way again, with the keys that it had.
    call.bob.loses = NOTHING;
    let credentials = crate::webrtc_transport::dump(&mut call.world, "bob").ice_parameters;
    call.bob.peer.restart_ice(call.world.now, credentials);
    call.live(500);
    let news = webrtc_news(&call.world.take_events());
    assert!(news.contains(&"selected 2".to_owned()), "{news:?}");
    assert!(!news.iter().any(|word| word.starts_with("dtls")), "{news:?}");
    assert_eq!(call.alice.heard().plis.len(), 1, "the picture was lost meanwhile");
    call.says(&video(10, DELTA));
    assert_eq!(call.bob_got(), [0; 0]);
    call.says(&video(11, KEY));
    call.says(&video(12, DELTA));
    assert_eq!(call.bob_got().len(), 2);
    call.world.assert_accounted();
}

#[test]
fn media_flows_while_ice_restarts() {
    let mut call = call();
    call.says(&video(1, KEY));
    let reply = call.world.transport("bob", TransportCommand::RestartIce);
    let ringsoup_sfu::reply::Reply::RestartIce(credentials) = reply else { panic!("not credentials") };
    for seq in 2..200 {
        call.says(&video(seq, DELTA));
        call.live(50);
        if seq == 100 {
            call.bob.peer.restart_ice(call.world.now, credentials.clone());
        }
    }
    assert_eq!(call.bob_got().len(), 199, "nothing was lost");
    assert_eq!(call.alice.heard().plis.len(), 0);
    assert!(call.bob.unread.is_empty(), "{:?}", call.bob.unread);
}

#[test]
fn keys_are_not_used_twice_with_one_ssrc() {
    let mut call = call();
    call.says(&video(1, KEY));
    let close = TransportCommand::CloseConsumer { consumer: "c".into() };
    call.world.transport("bob", close);
    let again = TransportCommand::Consume(Box::new(consume_of("again")));
    let refused = call.world.try_transport("bob", again).expect_err("refused");
    assert_eq!(refused.reason, "ssrc already used in the transport [ssrc:10000]");
}
