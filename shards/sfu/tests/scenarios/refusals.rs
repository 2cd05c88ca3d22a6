//! What produce and consume refuse, in the words controllers know.

use ringsoup_sfu::command::{CommandError, Consume, ErrorClass, Produce, TransportCommand};
use ringsoup_sfu::rtp_parameters::RtpEncodingParameters;

use crate::common::World;
use crate::common::parameters::{consume_audio, consume_video, produce_audio, produce_video};

/// What is then wrong, and the change that makes it so.
type Change<T> = (&'static str, fn(&mut T));

fn produce_error(world: &mut World, request: Produce) -> CommandError {
    world.try_transport("t", TransportCommand::Produce(Box::new(request))).expect_err("refused")
}

fn consume_error(world: &mut World, request: Consume) -> CommandError {
    world.try_transport("t", TransportCommand::Consume(Box::new(request))).expect_err("refused")
}

#[test]
fn produce_names_what_is_wrong() {
    let mut world = World::new();
    world.plain("t");
    let base = || produce_video("v", 1, Some(2), 50);
    let changes: [Change<Produce>; 11] = [
        ("empty codecs", |request| request.rtp_parameters.codecs.clear()),
        ("empty encodings", |request| request.rtp_parameters.encodings.clear()),
        ("duplicated payloadType", |request| request.rtp_parameters.codecs[1].payload_type = 96),
        ("missing apt parameter in RTX codec", |request| {
            request.rtp_parameters.codecs[1].parameters.clear();
        }),
        ("no media codecs found", |request| {
            request.rtp_parameters.codecs.truncate(1);
            request.rtp_parameters.codecs[0].mime_type = "video/ulpfec".into();
        }),
        ("invalid codecPayloadType", |request| {
            request.rtp_parameters.encodings[0].codec_payload_type = Some(97);
        }),
        ("unknown codecPayloadType", |request| {
            request.rtp_parameters.encodings[0].codec_payload_type = Some(11);
        }),
        ("empty cname", |request| request.rtp_parameters.rtcp.cname = Some(String::new())),
        ("wrong entry in rtpMapping.encodings (missing mappedSsrc)", |request| {
            request.rtp_mapping.encodings[0].mapped_ssrc = 0;
        }),
        ("wrong entry in rtpMapping.encodings (missing ssrc or rid, or rtpParameters.mid)", |request| {
            request.rtp_mapping.encodings[0].ssrc = None;
        }),
        ("rtpParameters.encodings size does not match rtpMapping.encodings size", |request| {
            request.rtp_mapping.encodings.clear();
        }),
    ];
    for (reason, change) in changes {
        let mut request = base();
        change(&mut request);
        let error = produce_error(&mut world, request);
        assert_eq!((error.class, &error.reason[..]), (ErrorClass::TypeError, reason));
    }
    assert_eq!(world.report().producers, 0);
    world.produce("t", base());
}

#[test]
fn produce_refuses_what_is_taken_and_leaves_nothing_behind() {
    let mut world = World::new();
    world.plain("t");
    world.produce("t", produce_video("v", 1, Some(2), 50));
    let error = produce_error(&mut world, produce_video("v", 3, None, 51));
    let reason = "Channel request handler with ID v already exists";
    assert_eq!((error.class, &error.reason[..]), (ErrorClass::Error, reason));
    let error = produce_error(&mut world, produce_video("w", 1, None, 51));
    assert_eq!(error.class, ErrorClass::Error);
    assert!(error.reason.starts_with("ssrc already exists in RTP listener"), "{}", error.reason);
    let error = produce_error(&mut world, produce_video("w", 3, Some(2), 51));
    assert!(error.reason.starts_with("RTX ssrc already exists in RTP listener"), "{}", error.reason);
    // The SSRC of the refused one is free.
    world.produce("t", produce_video("w", 3, None, 51));
    let mut with_mid = produce_audio("a", 4, 52);
    with_mid.rtp_parameters.mid = Some("m".into());
    world.produce("t", with_mid.clone());
    with_mid.producer = "b".into();
    with_mid.rtp_parameters.encodings[0].ssrc = Some(5);
    let error = produce_error(&mut world, with_mid);
    assert!(error.reason.starts_with("MID already exists in RTP listener"), "{}", error.reason);
}

#[test]
fn consume_names_what_is_wrong() {
    let mut world = World::new();
    world.plain("t");
    world.produce("t", produce_video("v", 1, Some(2), 50));
    let base = || consume_video("c", "v", 3, Some(4), 50);
    let changes: [Change<Consume>; 6] = [
        ("empty encodings", |request| request.rtp_parameters.encodings.clear()),
        ("invalid encoding in rtpParameters (missing ssrc)", |request| {
            request.rtp_parameters.encodings[0].ssrc = None;
        }),
        ("invalid encoding in rtpParameters (missing rtx.ssrc)", |request| {
            request.rtp_parameters.encodings[0].rtx_ssrc = Some(0);
        }),
        ("empty consumableRtpEncodings", |request| request.consumable_rtp_encodings.clear()),
        ("wrong encoding in consumableRtpEncodings (missing ssrc)", |request| {
            request.consumable_rtp_encodings[0] = RtpEncodingParameters::default();
        }),
        ("empty codecs", |request| request.rtp_parameters.codecs.clear()),
    ];
    for (reason, change) in changes {
        let mut request = base();
        change(&mut request);
        let error = consume_error(&mut world, request);
        assert_eq!((error.class, &error.reason[..]), (ErrorClass::TypeError, reason));
    }
    let mut nobody = base();
    nobody.producer = "nobody".into();
    let error = consume_error(&mut world, nobody);
    assert_eq!(
        (error.class, &error.reason[..]),
        (ErrorClass::NotFound, "Producer not found [producerId:nobody]")
    );
    assert_eq!(world.report().consumers, 0);
    world.consume("t", base());
    let error = consume_error(&mut world, base());
    assert_eq!(error.class, ErrorClass::Error);
    assert!(error.reason.ends_with("already exists"), "{}", error.reason);
}

#[test]
fn closing_what_is_elsewhere_is_not_found() {
    let mut world = World::new();
    world.plain("t");
    world.plain("other");
    world.produce("t", produce_audio("a", 1, 50));
    world.consume("t", consume_audio("c", "a", 2, 50));
    let mut class = |command| {
        let error = world.try_transport("other", command).expect_err("refused");
        (error.class, error.reason)
    };
    let (not_found, reason) = class(TransportCommand::CloseProducer { producer: "a".into() });
    assert_eq!(not_found, ErrorClass::NotFound);
    assert_eq!(reason, "Producer not found [method:transport.closeProducer]");
    let (not_found, reason) = class(TransportCommand::CloseConsumer { consumer: "c".into() });
    assert_eq!(not_found, ErrorClass::NotFound);
    assert_eq!(reason, "Consumer not found [method:transport.closeConsumer]");
}
