//! What controllers before the newest expect otherwise: codecs, types, layers.

use ringsoup_rtc::codec::Codec;
use ringsoup_rtc::rtp::{ExtensionUri, RtpWriter};
use ringsoup_rtc::srtp::CryptoSuite;
use ringsoup_sfu::command::{Command, CommandError, Consume, ConsumerCommand, Layers, TransportCommand};
use ringsoup_sfu::reply::{ConsumerDump, Reply};
use ringsoup_sfu::rtp_parameters::RtpType;
use ringsoup_sfu::rules::{ConsumerType, Rules, TemporalRule};

use crate::common::packets::{KEY, heard, rtp};
use crate::common::parameters::extension;
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
    pipe_crypto_suite: CryptoSuite::AeadAes256Gcm,
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

/// Ids as controllers before 3.16.6 prefer them, and those of 3.19.6 and newer, by extension.
const IDS: [(ExtensionUri, u8, u8); 7] = [
    (ExtensionUri::Mid, 1, 1),
    (ExtensionUri::AbsSendTime, 4, 4),
    (ExtensionUri::TransportWideCc01, 5, 5),
    (ExtensionUri::DependencyDescriptor, 8, 7),
    (ExtensionUri::VideoOrientation, 11, 8),
    (ExtensionUri::TimeOffset, 12, 9),
    (ExtensionUri::PlayoutDelay, 14, 11),
];

/// The receiver's parameters say what is called how; nothing of a version is known here.
#[test]
fn extensions_have_the_ids_of_the_controllers_own_table() {
    let table = |is_old: bool| IDS.map(|(uri, old, new)| extension(uri, if is_old { old } else { new }));
    let told: Vec<_> = [true, false]
        .map(|is_old| {
            let mut world = World::new();
            let (sender, receiver) = (world.plain("sender"), world.plain("receiver"));
            let mut produce = simulcast::produce("video", "video/H264", None, &SOURCE[..1], &MAPPED[..1]);
            produce.rtp_parameters.header_extensions = table(is_old).to_vec();
            world.produce("sender", produce);
            let mut consume =
                simulcast::consume("c", "video", "video/H264", (None, None), SENT, &MAPPED[..1]);
            consume.rtp_parameters.mid = Some("v".into());
            consume.rtp_parameters.header_extensions = table(is_old).to_vec();
            world.consume("receiver", consume);
            let id = |wanted| {
                let (_, old, new) = IDS.into_iter().find(|(uri, ..)| *uri == wanted).expect("listed");
                if is_old { old } else { new }
            };
            let packet = RtpWriter::new(VIDEO, 1, 0, SOURCE[0])
                .extension(id(ExtensionUri::VideoOrientation), &[2])
                .extension(id(ExtensionUri::TimeOffset), &[0, 0, 9])
                .extension(id(ExtensionUri::PlayoutDelay), &[1, 2, 3])
                .payload(KEY);
            world.from(&sender, &packet.to_vec().expect("no CSRCs"));
            let sent = world.take_rtp(&receiver);
            let value = |uri| sent[0].rtp().extension(id(uri)).map(<[u8]>::to_vec);
            let count = sent[0].rtp().extensions().count();
            (count, IDS.map(|(uri, ..)| value(uri).map(|value| (uri, value.len()))))
        })
        .into();
    assert_eq!(told[0], told[1]);
    let (count, values) = &told[0];
    // There is no dependency descriptor, and nothing asks for numbers by transport.
    assert_eq!((*count, values.iter().flatten().count()), (5, 5), "{values:?}");
}

/// Of H264: the flags of frame marking, and of a key frame.
const SYNC: u8 = 0x08;
const START: u8 = 0x80;
const INDEPENDENT: u8 = 0x20;

#[test]
fn frame_marking_travels_and_tells_temporal_layers_of_h264() {
    for uri in [ExtensionUri::FrameMarkingDraft07, ExtensionUri::FrameMarking] {
        let mut world = World::with_rules(OLD);
        let (sender, receiver) = (world.plain("sender"), world.plain("receiver"));
        let mode = Some("L1T3");
        let mut produce = simulcast::produce("video", "video/H264", mode, &SOURCE[..1], &MAPPED[..1]);
        produce.rtp_parameters.header_extensions = vec![extension(uri, 3)];
        world.produce("sender", produce);
        let mut consume = simulcast::consume("c", "video", "video/H264", (mode, mode), SENT, &MAPPED[..1]);
        consume.rtp_parameters.header_extensions = vec![extension(uri, 7)];
        world.consume("receiver", Consume { requested_type: RtpType::Simulcast, ..consume });
        let mut seq = 0;
        let mut say = |world: &mut World, flags: u8| {
            seq += 1;
            let payload: &[u8] = if seq == 1 { KEY } else { &[0x41, 1] };
            let packet = RtpWriter::new(VIDEO, seq, u32::from(seq) * 3_000, SOURCE[0])
                .extension(3, &[flags])
                .payload(payload);
            world.from(&sender, &packet.to_vec().expect("no CSRCs"));
        };
        let told = |world: &mut World| -> Vec<u8> {
            let sent = world.take_rtp(&receiver);
            sent.iter().map(|sent| sent.rtp().extension(7).expect("marked")[0]).collect()
        };
        say(&mut world, START | INDEPENDENT);
        // A layer is entered with a frame that needs the base layer alone.
        for flags in [2, 1 | SYNC, 2, 2 | SYNC, 0] {
            say(&mut world, flags);
        }
        assert_eq!(told(&mut world), [START | INDEPENDENT, 1 | SYNC, 2 | SYNC, 0], "{uri:?}");
        let layers = Layers { spatial: 0, temporal: Some(0) };
        world.consumer("c", ConsumerCommand::SetPreferredLayers(layers));
        for flags in [0, 2 | SYNC, 1, 2, 0] {
            say(&mut world, flags);
        }
        assert_eq!(told(&mut world), [0, 0], "{uri:?}");
    }
}

/// A key frame of H264-SVC begins with its parameter set; each unit says which layers it is of.
#[test]
fn layers_of_h264_svc_are_told_by_its_units() {
    let mut world = World::with_rules(OLD);
    let (sender, receiver) = (world.plain("sender"), world.plain("receiver"));
    let (codec, mode) = ("video/H264-SVC", Some("L2T2"));
    world.produce("sender", simulcast::produce("video", codec, mode, &SOURCE[..1], &MAPPED[..1]));
    let consume = simulcast::consume("c", "video", codec, (mode, mode), SENT, &MAPPED[..1]);
    world.consume("receiver", Consume { requested_type: RtpType::Svc, ..consume });
    let mut seq = 0;
    let mut say = |world: &mut World, payload: &[u8]| {
        seq += 1;
        world.from(&sender, &rtp(VIDEO, seq, 0, SOURCE[0], payload));
    };
    // Prefix unit, scalable slice and fragments of one, by spatial and temporal layer.
    let unit = |nal_type: u8, spatial: u8, temporal: u8| [0x60 | nal_type, 0, spatial << 4, temporal << 5, 9];
    let begins = |spatial: u8| [0x7c, 0x80 | 20, 0, spatial << 4, 0];
    let goes_on = [0x7c, 20, 7];
    let mut picture = |world: &mut World, is_key: bool, temporal: u8| {
        if is_key {
            say(world, KEY);
        }
        say(world, &unit(14, 0, temporal));
        say(world, &unit(20, 1, temporal));
        if temporal == 0 {
            say(world, &begins(1));
            say(world, &goes_on);
        }
    };
    let count = |world: &mut World| world.take_rtp(&receiver).len();
    // The upper layer is wanted once it was seen for a while.
    picture(&mut world, true, 0);
    for _ in 0..50 {
        world.advance_ms(30);
        picture(&mut world, false, 0);
    }
    count(&mut world);
    for (preferred, sent) in [((1, 1), 5 + 4 + 2), ((1, 0), 5 + 4), ((0, 1), 2 + 1 + 1), ((0, 0), 2 + 1)] {
        let layers = Layers { spatial: preferred.0, temporal: Some(preferred.1) };
        world.consumer("c", ConsumerCommand::SetPreferredLayers(layers));
        picture(&mut world, true, 0);
        picture(&mut world, false, 0);
        picture(&mut world, false, 1);
        let found = count(&mut world);
        assert_eq!(found, sent, "{preferred:?} {:?}", dump(&mut world).layers);
    }
}
