//! What controllers before the newest expect otherwise: codecs, types, layers.

use ringsoup_rtc::codec::Codec;
use ringsoup_sfu::command::{Command, CommandError, Consume, ConsumerCommand, Layers, TransportCommand};
use ringsoup_sfu::reply::{ConsumerDump, Reply};
use ringsoup_sfu::rtp_parameters::RtpType;
use ringsoup_sfu::rules::{ConsumerType, Rules, TemporalRule};

use crate::common::packets::{heard, rtp};
use crate::common::simulcast::{self, VIDEO};
use crate::common::{Peer, World};

const VP8: &str = "video/VP8";
const H265: &str = "video/H265";
const SOURCE: [u32; 3] = [1_000, 2_000, 3_000];
const MAPPED: [u32; 3] = [5_000, 5_001, 5_002];
const SENT: u32 = 9_000;

/// As controllers before 3.16.0 have them.
const OLD: Rules = Rules {
    unknown_codecs: &[Codec::Av1],
    svc_codecs: &[Codec::Vp9, Codec::H264Svc],
    has_simulcast_of_one: true,
    consumer_type: ConsumerType::AsRequested,
    temporal: TemporalRule::AllBelow,
};

fn dump(world: &mut World) -> ConsumerDump {
    match world.consumer("c", ConsumerCommand::Dump) {
        Reply::ConsumerDump(dump) => *dump,
        other => panic!("not a dump: {other:?}"),
    }
}

fn try_produce(rules: Rules, mime_type: &str, mode: Option<&str>) -> Result<RtpType, CommandError> {
    let mut world = World::with_rules(rules);
    world.plain("sender");
    let produce = simulcast::produce("video", mime_type, mode, &SOURCE[..1], &MAPPED[..1]);
    match world.try_transport("sender", TransportCommand::Produce(Box::new(produce)))? {
        Reply::Produce { rtp_type } => Ok(rtp_type),
        other => panic!("not produced: {other:?}"),
    }
}

/// A producer of some encodings and a consumer of it, as requested.
fn scene(rules: Rules, encodings: usize, mode: (&str, &str), request: RtpType) -> (World, Peer, Peer) {
    let mut world = World::with_rules(rules);
    let (sender, receiver) = (world.plain("sender"), world.plain("receiver"));
    let (source, mapped) = (&SOURCE[..encodings], &MAPPED[..encodings]);
    world.produce("sender", simulcast::produce("video", VP8, Some(mode.1), source, mapped));
    let consume = simulcast::consume("c", "video", VP8, (Some(mode.0), Some(mode.1)), SENT, mapped);
    world.consume("receiver", Consume { requested_type: request, ..consume });
    (world, sender, receiver)
}

#[test]
fn codecs_are_taken_where_their_controller_knows_them() {
    let unknown = |codec: &str| CommandError::type_error(format!("unknown codec MIME subtype '{codec}'"));
    assert_eq!(try_produce(Rules::NEWEST, H265, None), Err(unknown("h265")));
    assert_eq!(try_produce(Rules::NEWEST, "video/H264-SVC", None), Err(unknown("h264-svc")));
    assert_eq!(try_produce(OLD, "video/AV1", None), Err(unknown("av1")));
    assert_eq!(try_produce(OLD, H265, None), Ok(RtpType::Simple));
    assert_eq!(try_produce(OLD, "video/H264-SVC", Some("L3T3")), Ok(RtpType::Svc));
    let refused = CommandError::type_error("invalid RTP parameters");
    assert_eq!(try_produce(OLD, H265, Some("L1T3")), Err(refused));
}

#[test]
fn h265_is_forwarded_from_a_key_frame_on() {
    let mut world = World::with_rules(OLD);
    let (sender, receiver) = (world.plain("sender"), world.plain("receiver"));
    world.produce("sender", simulcast::produce("video", H265, None, &SOURCE[..1], &MAPPED[..1]));
    // A trailing picture, then an IDR picture between others.
    let packet = |seq, nal_type: u8| rtp(VIDEO, seq, 0, SOURCE[0], &[nal_type << 1, 1, 7]);
    world.from(&sender, &packet(1, 1));
    let consume = simulcast::consume("c", "video", H265, (None, None), SENT, &MAPPED[..1]);
    world.consume("receiver", consume);
    let asked = world.take_rtcp(&sender);
    assert_eq!(heard(&asked).plis.len(), 1, "whoever comes asks for a key frame");
    for (seq, nal_type) in [(2, 1), (3, 19), (4, 1)] {
        world.from(&sender, &packet(seq, nal_type));
    }
    let sent: Vec<_> = world.take_rtp(&receiver).iter().map(|sent| sent.rtp().payload()[0] >> 1).collect();
    assert_eq!(sent, [19, 1]);
}

#[test]
fn one_stream_with_temporal_layers_is_simulcast_where_its_codec_has_no_svc() {
    assert_eq!(try_produce(Rules::NEWEST, VP8, Some("L1T3")), Ok(RtpType::Svc));
    assert_eq!(try_produce(OLD, VP8, Some("L1T3")), Ok(RtpType::Simulcast));
    assert_eq!(try_produce(OLD, "video/VP9", Some("L1T3")), Ok(RtpType::Svc));
    let older = Rules { has_simulcast_of_one: false, ..OLD };
    let refused = CommandError::type_error("video/VP8 codec not supported for svc");
    assert_eq!(try_produce(older, VP8, Some("L1T3")), Err(refused));
}

/// A VP8 packet of one picture, whole.
fn vp8(number: u8, temporal: u8, is_key: bool) -> Vec<u8> {
    let payload = [0x90, 0xe0, 0x80, number, 1, temporal << 6 | 0x20, u8::from(!is_key), 7, 7];
    rtp(VIDEO, number.into(), u32::from(number) * 3_000, SOURCE[0], &payload)
}

#[test]
fn a_consumer_has_the_type_that_was_asked_for_and_leaves_layers_out_as_such() {
    for (rules, request, rtp_type) in [
        (OLD, RtpType::Simulcast, RtpType::Simulcast),
        (Rules::NEWEST, RtpType::Simulcast, RtpType::Svc),
        (OLD, RtpType::Simple, RtpType::Simple),
    ] {
        let (mut world, sender, receiver) = scene(rules, 1, ("L1T3", "L1T3"), request);
        assert_eq!(dump(&mut world).rtp_type, rtp_type);
        // Of a stream that is there.
        world.from(&sender, &vp8(1, 0, true));
        let layers = Layers { spatial: 0, temporal: Some(0) };
        world.consumer("c", ConsumerCommand::SetPreferredLayers(layers));
        world.take_rtp(&receiver);
        for (number, temporal) in [(2, 0), (3, 2), (4, 1), (5, 2), (6, 0)] {
            world.from(&sender, &vp8(number, temporal, number == 2));
        }
        let sent = world.take_rtp(&receiver).len();
        assert_eq!(sent, if rtp_type == RtpType::Simple { 5 } else { 2 }, "{rtp_type:?}");
    }
}

#[test]
fn what_is_asked_for_must_fit() {
    for request in [RtpType::Simple, RtpType::Svc] {
        let mut world = World::with_rules(OLD);
        world.plain("sender");
        world.plain("receiver");
        world.produce("sender", simulcast::produce("video", VP8, Some("L1T3"), &SOURCE, &MAPPED));
        let consume = simulcast::consume("c", "video", VP8, (Some("L3T3"), Some("L1T3")), SENT, &MAPPED);
        let consume = Consume { requested_type: request, ..consume };
        let refused = world.try_command(Command::Transport {
            transport: "receiver".into(),
            command: TransportCommand::Consume(Box::new(consume)),
        });
        let reason = "invalid consumableRtpEncodings with size != 1";
        assert_eq!(refused.unwrap_err(), CommandError::type_error(reason));
    }
}

/// Of three streams the lowest two come.
#[test]
fn below_the_preferred_spatial_layer_the_rule_says_which_temporal_layers_are_sent() {
    for (rules, temporal) in [(Rules::NEWEST, 0), (OLD, 2)] {
        let (mut world, sender, _) = scene(rules, 3, ("L3T3", "L1T3"), RtpType::Simulcast);
        let layers = Layers { spatial: 2, temporal: Some(0) };
        world.consumer("c", ConsumerCommand::SetPreferredLayers(layers));
        let payload = [0x90, 0xe0, 0x80, 1, 1, 0x20, 0, 7, 7];
        for source in &SOURCE[..2] {
            world.from(&sender, &rtp(VIDEO, 1, 0, *source, &payload));
        }
        let layers = dump(&mut world).layers;
        assert_eq!((layers.target_spatial, layers.target_temporal), (1, temporal));
        // At the preferred one both say the same.
        world.from(&sender, &rtp(VIDEO, 1, 0, SOURCE[2], &payload));
        let layers = dump(&mut world).layers;
        assert_eq!((layers.target_spatial, layers.target_temporal), (2, 0));
    }
}
