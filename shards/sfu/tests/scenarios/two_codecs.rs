//! A stream whose sender goes from one codec to another: each has its RTX payload type (RFC 4588 section 8.1).

use ringsoup_rtc::rtx::decapsulate;
use ringsoup_sfu::drop_reason::DropReason;
use ringsoup_sfu::rtp_parameters::{CodecMapping, RtpCodecParameters, RtpParameters};

use crate::common::packets::{DELTA, KEY, nack, rtp, rtx};
use crate::common::parameters::{self, codec};
use crate::common::simulcast::{self, ROUTER_RTX, ROUTER_VIDEO, VIDEO, VIDEO_RTX};
use crate::common::{Peer, World};

const SOURCE: u32 = 1_000;
const SOURCE_RTX: u32 = 1_001;
const MAPPED: u32 = 5_000;
const SENT: u32 = 9_000;
/// Payload types of the second codec and its RTX, at the sender and in the router.
const SECOND: (u8, u8) = (98, 99);
const ROUTER_SECOND: (u8, u8) = (103, 104);
/// The first packet of a VP8 key frame.
const VP8_KEY: &[u8] = &[0x10, 0x00, 0x00, 0x00];

/// Adds H264 with its RTX to VP8 with its own.
fn add_second(parameters: &mut RtpParameters, (own, own_rtx): (u8, u8)) {
    let rtcp_feedback = parameters.codecs[0].rtcp_feedback.clone();
    parameters.codecs.push(RtpCodecParameters { rtcp_feedback, ..codec("video/H264", own, 90_000) });
    parameters.codecs.push(parameters::rtx(own_rtx, own));
}

fn scene() -> (World, Peer, Peer) {
    let mut world = World::new();
    let (sender, receiver) = (world.plain("sender"), world.plain("receiver"));
    let mut produce = simulcast::produce("video", "video/VP8", None, &[SOURCE], &[MAPPED]);
    add_second(&mut produce.rtp_parameters, SECOND);
    produce.rtp_parameters.encodings[0].rtx_ssrc = Some(SOURCE_RTX);
    for (payload_type, mapped_payload_type) in [(SECOND.0, ROUTER_SECOND.0), (SECOND.1, ROUTER_SECOND.1)] {
        produce.rtp_mapping.codecs.push(CodecMapping { payload_type, mapped_payload_type });
    }
    world.produce("sender", produce);
    let mut consume = simulcast::consume("c", "video", "video/VP8", (None, None), SENT, &[MAPPED]);
    add_second(&mut consume.rtp_parameters, ROUTER_SECOND);
    world.consume("receiver", consume);
    (world, sender, receiver)
}

#[test]
fn a_repair_of_a_receiver_has_the_rtx_payload_type_of_its_codec() {
    let (mut world, sender, receiver) = scene();
    world.from(&sender, &rtp(VIDEO, 1, 90, SOURCE, VP8_KEY));
    world.from(&sender, &rtp(SECOND.0, 2, 180, SOURCE, KEY));
    let sent = world.take_rtp(&receiver);
    let types: Vec<_> = sent.iter().map(|sent| sent.rtp().payload_type()).collect();
    assert_eq!(types, [ROUTER_VIDEO, ROUTER_SECOND.0]);
    let seqs: Vec<_> = sent.iter().map(|sent| sent.rtp().sequence_number()).collect();
    world.from(&receiver, &nack(SENT, &seqs));
    let again = world.take_rtp(&receiver);
    let told: Vec<_> = again
        .iter()
        .map(|sent| {
            let packet = sent.rtp();
            let original = decapsulate(packet.payload()).expect("an original");
            (packet.ssrc(), packet.payload_type(), original.sequence_number, original.payload.to_vec())
        })
        .collect();
    assert_eq!(
        told,
        [
            (SENT + 1, ROUTER_RTX, seqs[0], VP8_KEY.to_vec()),
            (SENT + 1, ROUTER_SECOND.1, seqs[1], KEY.to_vec())
        ]
    );
}

#[test]
fn a_repair_of_the_sender_is_of_the_codec_that_its_rtx_payload_type_stands_for() {
    let (mut world, sender, receiver) = scene();
    world.from(&sender, &rtp(VIDEO, 1, 90, SOURCE, VP8_KEY));
    world.from(&sender, &rtp(SECOND.0, 2, 180, SOURCE, KEY));
    world.from(&sender, &rtp(SECOND.0, 5, 270, SOURCE, DELTA));
    world.take_rtp(&receiver);
    // Be it the first that the RTX stream brings.
    world.from(&sender, &rtx(SECOND.1, 1, 200, SOURCE_RTX, 3, DELTA));
    world.from(&sender, &rtx(VIDEO_RTX, 2, 200, SOURCE_RTX, 4, VP8_KEY));
    let types: Vec<_> = world.take_rtp(&receiver).iter().map(|sent| sent.rtp().payload_type()).collect();
    assert_eq!(types, [ROUTER_SECOND.0, ROUTER_VIDEO]);
    let stats = world.producer_stats("video").remove(0);
    assert_eq!((stats.base.packets_repaired, stats.base.rtx_ssrc), (2, Some(SOURCE_RTX)));
    // A payload type that repairs nothing.
    world.from(&sender, &rtx(VIDEO, 3, 200, SOURCE_RTX, 4, VP8_KEY));
    assert_eq!(world.dropped(DropReason::UnknownPayloadType), 1);
    world.assert_accounted();
}
