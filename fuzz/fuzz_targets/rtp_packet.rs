//! A datagram through everything that looks into RTP: view, extensions, codecs, rewriting, un-RTX.
#![no_main]

use libfuzzer_sys::fuzz_target;
use ringsoup_rtc::codec::dependency_descriptor::{Reader, SPATIAL_LAYERS_MAX, TEMPORAL_LAYERS_MAX};
use ringsoup_rtc::codec::{Codec, h264, opus, red, vp8, vp9};
use ringsoup_rtc::rtp::extension::{
    AbsCaptureTime, AudioLevel, PlayoutDelay, VideoOrientation, parse_abs_send_time, parse_packet_id,
    parse_stream_name, parse_time_offset, parse_transport_wide_cc,
};
use ringsoup_rtc::rtp::{
    ExtensionBlock, ExtensionMap, HeaderFields, RtpPacket, Stamp, is_rtcp, is_rtp, write_header,
    write_rtx_header,
};
use ringsoup_rtc::rtx::decapsulate;

/// Room for the longest header of the forward path.
const HEADER_BYTES: usize = 704;

fuzz_target!(|datagram: &[u8]| {
    let _ = (is_rtp(datagram), is_rtcp(datagram));
    read_payload(datagram);
    let Ok(packet) = RtpPacket::parse(datagram) else { return };
    let lengths = packet.header_len() + packet.payload().len() + packet.padding_len();
    assert_eq!(lengths, datagram.len(), "header, payload and padding are the packet");
    assert_eq!(ringsoup_rtc::rtp::packet::header_len(datagram), Ok(packet.header_len()));
    assert_eq!(packet.csrcs().len() * 4, packet.csrc_bytes().len());
    // One stream's descriptors: what the first ones say holds for those after them.
    let mut descriptors = Reader::default();
    for ((id, value), seq) in packet.extensions().zip(1..) {
        assert!(packet.extension(id).is_some());
        read_extension(value);
        read_descriptor(&mut descriptors, seq, value);
    }
    for value in packet.payload().chunks(3) {
        read_descriptor(&mut descriptors, u64::from(packet.sequence_number()), value);
    }
    read_payload(packet.payload());
    if let Some(original) = decapsulate(packet.payload()) {
        read_payload(original.payload);
    }
    rewrite(&packet);
});

fn read_extension(value: &[u8]) {
    let _ = (parse_stream_name(value), AudioLevel::parse(value), VideoOrientation::parse(value));
    let _ = (parse_abs_send_time(value), parse_transport_wide_cc(value), parse_time_offset(value));
    let _ = (AbsCaptureTime::parse(value), PlayoutDelay::parse(value), parse_packet_id(value));
}

fn read_descriptor(descriptors: &mut Reader, seq: u64, value: &[u8]) {
    let Some(frame) = descriptors.read(seq, value) else { return };
    assert!(frame.spatial < SPATIAL_LAYERS_MAX && frame.temporal < TEMPORAL_LAYERS_MAX);
    assert_eq!(frame.kept().is_for_higher, frame.is_for_higher());
    for spatial in 0..=SPATIAL_LAYERS_MAX {
        assert!(!frame.opens(spatial, TEMPORAL_LAYERS_MAX), "there is no such layer");
        let _ = frame.opens(spatial, frame.temporal);
    }
}

fn read_payload(payload: &[u8]) {
    let _ = (h264::is_key_frame(payload), opus::is_dtx(payload), red::primary(payload));
    let _ = (vp8::Descriptor::parse(payload), vp8::is_key_frame(payload));
    if let Some(descriptor) = vp9::Descriptor::parse(payload) {
        assert_eq!(descriptor.is_key_frame(), vp9::is_key_frame(payload));
    }
    let _ = Codec::Av1.is_key_frame(payload);
}

/// What the forward path does with a packet; the result must read back as what was written.
fn rewrite(packet: &RtpPacket<'_>) {
    let mut map = ExtensionMap::new();
    for id in 1..=u8::MAX {
        // Some dropped, some moved, some beyond the one-byte form.
        map.set(id, id.wrapping_mul(5) % 20);
    }
    let block = ExtensionBlock::from_packet(packet, &map);
    let fields = HeaderFields {
        payload_type: packet.payload_type(),
        marker: packet.marker(),
        padding: false,
        sequence_number: packet.sequence_number().wrapping_add(7),
        timestamp: packet.timestamp(),
        ssrc: !packet.ssrc(),
        csrcs: packet.csrc_bytes(),
        mid: (packet.ssrc() & 1 == 1).then_some((1, b"mid")),
        stamp: Stamp {
            abs_send_time: (packet.ssrc() & 2 == 2).then_some((4, packet.timestamp() >> 8)),
            transport_wide_cc: (packet.ssrc() & 4 == 4).then_some((5, packet.sequence_number())),
        },
    };
    let mut out = [0; HEADER_BYTES];
    let Some(len) = write_header(&mut out, &fields, &block) else { return };
    let written = RtpPacket::parse(&out[..len]).expect("what was written is RTP");
    assert_eq!((written.header_len(), written.ssrc()), (len, fields.ssrc));
    assert_eq!(written.sequence_number(), fields.sequence_number);
    assert_eq!(written.csrc_bytes(), fields.csrcs);
    for (id, value) in block.elements() {
        if fields.mid.is_none_or(|(mid, _)| mid != id) && !value.is_empty() {
            assert!(written.extensions().any(|element| element == (id, value)), "element {id}");
        }
    }
    let number = written.extensions().last().filter(|_| fields.stamp.transport_wide_cc.is_some());
    assert!(
        number.is_none_or(|element| element == (5, &packet.sequence_number().to_be_bytes()[..])),
        "the stamp is last"
    );

    if let Some(rtx_len) = write_rtx_header(&mut out, &fields, packet.sequence_number(), &block) {
        assert_eq!(rtx_len, len + 2);
        let rtx = RtpPacket::parse(&out[..rtx_len]).expect("what was written is RTP");
        let original = decapsulate(rtx.payload()).expect("it holds an original sequence number");
        assert_eq!(original.sequence_number, packet.sequence_number());
    }
    let kept = ExtensionBlock::from_wire_form(block.wire_form(), block.is_two_byte());
    assert!(kept.elements().eq(block.elements()), "a kept block is the same block");
}
