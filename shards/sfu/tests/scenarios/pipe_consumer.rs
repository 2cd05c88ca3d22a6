//! Pipe consumers: every stream of the producer, each as a stream of its own.

use ringsoup_rtc::loss::DROPOUT_MAX;
use ringsoup_sfu::command::{Command, ConsumerCommand, ErrorClass, ProducerCommand, TransportCommand};
use ringsoup_sfu::event::Event;
use ringsoup_sfu::reply::{ConsumeReply, ConsumerDump, ConsumerStats, Reply};
use ringsoup_sfu::rtp_parameters::RtpType;

use crate::common::packets::{DELTA, KEY, heard, nack, pli, rtp};
use crate::common::simulcast::{self, ROUTER_RTX, ROUTER_VIDEO, VIDEO};
use crate::common::{Peer, Sent, World};
use crate::room::{assert_contiguous, seqs};

const H264: &str = "video/H264";
const SOURCE: [u32; 3] = [1_000, 2_000, 3_000];
const MAPPED: [u32; 3] = [5_000, 5_001, 5_002];
const PIPED: [u32; 3] = [9_000, 9_010, 9_020];

struct Pipe {
    world: World,
    sender: Peer,
    far: Peer,
    reply: ConsumeReply,
}

impl Pipe {
    fn new() -> Self {
        let mut world = World::new();
        let sender = world.plain("sender");
        let far = world.plain("far");
        world.produce("sender", simulcast::produce("video", H264, None, &SOURCE, &MAPPED));
        let request = simulcast::consume_pipe("pipe", "video", H264, &PIPED, &MAPPED);
        let Reply::Consume(reply) = world.consume("far", request) else { panic!("consumed") };
        Self { world, sender, far, reply }
    }

    fn sends(&mut self, layer: usize, seq: u16, payload: &[u8]) {
        let sender = self.sender.clone();
        self.world.from(&sender, &rtp(VIDEO, seq, u32::from(seq) * 90, SOURCE[layer], payload));
    }

    fn far_says(&mut self, bytes: &[u8]) {
        let far = self.far.clone();
        self.world.from(&far, bytes);
    }

    fn far_gets(&mut self) -> Vec<Sent> {
        let far = self.far.clone();
        self.world.take_rtp(&far)
    }

    fn asked(&mut self) -> Vec<u32> {
        let sender = self.sender.clone();
        let rtcp = self.world.take_rtcp(&sender);
        heard(&rtcp).plis.iter().map(|pli| pli.media_ssrc).collect()
    }

    fn dump(&mut self) -> ConsumerDump {
        match self.world.consumer("pipe", ConsumerCommand::Dump) {
            Reply::ConsumerDump(dump) => *dump,
            other => panic!("not a dump: {other:?}"),
        }
    }

    fn stats(&mut self) -> ConsumerStats {
        match self.world.consumer("pipe", ConsumerCommand::Stats) {
            Reply::ConsumerStats(stats) => *stats,
            other => panic!("not stats: {other:?}"),
        }
    }
}

fn of(sent: &[Sent], ssrc: u32) -> Vec<Sent> {
    sent.iter().filter(|sent| sent.rtp().ssrc() == ssrc).cloned().collect()
}

#[test]
fn every_stream_goes_out_as_its_own_from_its_own_key_frame_on() {
    let mut pipe = Pipe::new();
    pipe.sends(0, 10, KEY);
    pipe.sends(1, 500, DELTA);
    pipe.sends(2, 60_000, KEY);
    pipe.sends(0, 11, DELTA);
    pipe.sends(1, 501, KEY);
    pipe.sends(2, 60_002, DELTA);
    pipe.sends(1, 502, DELTA);
    let sent = pipe.far_gets();
    assert_eq!(sent.len(), 6);
    assert_contiguous(&seqs(&of(&sent, PIPED[0])));
    assert_contiguous(&seqs(&of(&sent, PIPED[1])));
    let lossy = seqs(&of(&sent, PIPED[2]));
    assert_eq!(lossy[1], lossy[0].wrapping_add(2), "what is lost on the way in stays missing");
    for (layer, count) in [(0, 2), (1, 2), (2, 2)] {
        assert_eq!(of(&sent, PIPED[layer]).len(), count);
    }
    let first = &of(&sent, PIPED[1])[0];
    assert_eq!((first.rtp().payload(), first.rtp().timestamp()), (KEY, 501 * 90));
    assert_eq!(first.rtp().payload_type(), ROUTER_VIDEO);
    assert_eq!(pipe.world.report().forwarded_packets, 6);
}

/// Timestamps and picture ids begin elsewhere: whoever forwards them must know, and RFC 3550 section A.1 has one way to tell.
#[test]
fn a_stream_that_began_anew_does_so_behind_the_pipe_too() {
    let mut pipe = Pipe::new();
    for layer in 0..2 {
        pipe.sends(layer, 10, KEY);
        pipe.sends(layer, 11, DELTA);
    }
    pipe.sends(0, 40_000, DELTA);
    pipe.sends(0, 40_001, DELTA);
    pipe.sends(0, 40_002, KEY);
    pipe.sends(0, 40_003, DELTA);
    pipe.sends(1, 12, DELTA);
    let sent = pipe.far_gets();
    let anew = seqs(&of(&sent, PIPED[0]));
    assert_contiguous(&anew[..2]);
    let gap = anew[2].wrapping_sub(anew[1]);
    assert!((DROPOUT_MAX..1 << 15).contains(&gap), "{gap}: no loss, and no wrap of numbers to SRTP");
    assert_contiguous(&anew[2..]);
    assert_contiguous(&seqs(&of(&sent, PIPED[1])));
    assert_eq!((anew.len(), sent.len()), (4, 7));
}

#[test]
fn dump_stats_and_scores_have_the_shape_of_a_pipe() {
    let mut pipe = Pipe::new();
    assert_eq!((pipe.reply.score.score, pipe.reply.score.producer_score), (10, 10));
    assert_eq!(pipe.reply.score.producer_scores, [0, 0, 0]);
    assert_eq!(pipe.reply.preferred_layers, None);
    for layer in 0..3 {
        pipe.sends(layer, 1, KEY);
    }
    pipe.sends(1, 2, DELTA);
    let dump = pipe.dump();
    assert_eq!(dump.rtp_type, RtpType::Pipe);
    let shown: Vec<_> =
        dump.rtp_streams.iter().map(|stream| (stream.params.encoding_idx, stream.params.ssrc)).collect();
    assert_eq!(shown, [(0, PIPED[0]), (1, PIPED[1]), (2, PIPED[2])]);
    assert!(dump.rtp_streams.iter().all(|stream| stream.rtx_stream.is_some()));
    assert_eq!((dump.layers.preferred_spatial, dump.layers.current_temporal), (-1, -1));
    let stats = pipe.stats();
    assert_eq!(stats.sent.iter().map(|sent| sent.packet_count).collect::<Vec<_>>(), [1, 2, 1]);
    assert!(stats.received.is_none());
    let told = pipe.world.take_events();
    assert!(told.iter().any(|event| matches!(event, Event::ProducerScore { .. })));
    assert!(!told.iter().any(|event| matches!(event, Event::ConsumerScore { .. })));
}

#[test]
fn a_nack_is_answered_from_the_stream_it_names() {
    let mut pipe = Pipe::new();
    for layer in 0..3_u8 {
        pipe.sends(layer.into(), 100, KEY);
        pipe.sends(layer.into(), 101, &[0x41, layer, layer]);
    }
    let sent = pipe.far_gets();
    let lost = of(&sent, PIPED[1])[1].clone();
    pipe.world.advance_ms(50);
    pipe.far_says(&nack(PIPED[1], &[lost.rtp().sequence_number()]));
    let again = pipe.far_gets();
    assert_eq!(again.len(), 1);
    let again = again[0].rtp();
    assert_eq!((again.ssrc(), again.payload_type()), (PIPED[1] + 1, ROUTER_RTX));
    assert_eq!(&again.payload()[..2], lost.rtp().sequence_number().to_be_bytes());
    assert_eq!(&again.payload()[2..], lost.rtp().payload());
    let stats = pipe.stats();
    let repaired: Vec<_> = stats.sent.iter().map(|sent| sent.base.packets_repaired).collect();
    assert_eq!(repaired, [0, 1, 0]);
}

#[test]
fn a_wish_for_a_key_frame_asks_every_stream() {
    let mut pipe = Pipe::new();
    for layer in 0..3 {
        pipe.sends(layer, 1, KEY);
    }
    assert_eq!(pipe.asked(), []);
    pipe.far_says(&pli(PIPED[1]));
    assert_eq!(pipe.asked(), SOURCE);
    for layer in 0..3 {
        pipe.sends(layer, 2, KEY);
    }
    pipe.world.consumer("pipe", ConsumerCommand::RequestKeyFrame);
    assert_eq!(pipe.asked(), SOURCE);
    let stats = pipe.stats();
    assert_eq!(stats.sent.iter().map(|sent| sent.base.pli_count).collect::<Vec<_>>(), [0, 1, 0]);
}

#[test]
fn each_stream_is_reported_by_itself() {
    let mut pipe = Pipe::new();
    for layer in 0..2 {
        pipe.sends(layer, 1, KEY);
    }
    pipe.world.advance_ms(600);
    let far = pipe.far.clone();
    let rtcp = pipe.world.take_rtcp(&far);
    let reported: Vec<_> = heard(&rtcp).sender_reports.iter().map(|info| info.ssrc).collect();
    assert_eq!(reported, PIPED[..2]);
}

#[test]
fn pauses_end_and_begin_all_streams() {
    let mut pipe = Pipe::new();
    for layer in 0..3 {
        pipe.sends(layer, 1, KEY);
    }
    pipe.world.consumer("pipe", ConsumerCommand::Pause);
    pipe.far_gets();
    for layer in 0..3 {
        pipe.sends(layer, 2, DELTA);
    }
    assert!(pipe.far_gets().is_empty());
    pipe.world.consumer("pipe", ConsumerCommand::Resume);
    assert_eq!(pipe.asked(), SOURCE);
    for layer in 0..3 {
        pipe.sends(layer, 3, DELTA);
        pipe.sends(layer, 4, KEY);
    }
    let sent = pipe.far_gets();
    assert_eq!(sent.len(), 3);
    assert!(sent.iter().all(|sent| sent.rtp().payload() == KEY));
    pipe.world.producer("video", ProducerCommand::Pause);
    pipe.sends(0, 5, DELTA);
    assert!(pipe.far_gets().is_empty());
}

#[test]
fn consumers_that_come_and_go_do_not_mix_streams_up() {
    let mut pipe = Pipe::new();
    let other = simulcast::consume_pipe("other", "video", H264, &[100, 200, 300], &MAPPED);
    pipe.world.consume("far", other);
    let third = simulcast::consume_pipe("third", "video", H264, &[400, 500, 600], &MAPPED);
    pipe.world.consume("far", third);
    for layer in 0..3 {
        pipe.sends(layer, 1, KEY);
    }
    assert_eq!(pipe.far_gets().len(), 9);
    pipe.world.transport("far", TransportCommand::CloseConsumer { consumer: "pipe".into() });
    for layer in 0..3_u8 {
        pipe.sends(layer.into(), 2, &[0x41, layer]);
    }
    let sent = pipe.far_gets();
    assert_eq!(sent.len(), 6);
    for (ssrcs, layer) in [([100, 400], 0), ([200, 500], 1), ([300, 600], 2)] {
        for ssrc in ssrcs {
            assert_eq!(of(&sent, ssrc)[0].rtp().payload(), [0x41, layer]);
        }
    }
    pipe.world.transport("far", TransportCommand::CloseConsumer { consumer: "third".into() });
    pipe.world.transport("far", TransportCommand::CloseConsumer { consumer: "other".into() });
    pipe.sends(0, 3, DELTA);
    assert!(pipe.far_gets().is_empty());
}

#[test]
fn what_does_not_fit_a_pipe_is_refused() {
    let mut pipe = Pipe::new();
    let mut refusal = |ssrcs: &[u32], mapped: &[u32]| {
        let request = Box::new(simulcast::consume_pipe("p", "video", H264, ssrcs, mapped));
        let command = TransportCommand::Consume(request);
        let error = pipe.world.try_command(Command::Transport { transport: "far".into(), command });
        let error = error.expect_err("refused");
        (error.class, error.reason)
    };
    let (class, reason) = refusal(&[1, 11], &MAPPED);
    assert_eq!(class, ErrorClass::TypeError);
    assert_eq!(reason, "number of rtpParameters.encodings and consumableRtpEncodings do not match");
    assert_eq!(refusal(&[1, 11, 1], &MAPPED).0, ErrorClass::Error, "one SSRC for two streams");
    assert_eq!(refusal(&[1, 2, 30], &MAPPED).0, ErrorClass::Error, "one stream under another's RTX");
    assert_eq!(refusal(&PIPED, &MAPPED).0, ErrorClass::Error, "taken on the transport");
}
