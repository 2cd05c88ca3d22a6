//! Writes the committed seeds: `cargo run --example make_seeds` in this directory.
//!
//! Valid packets and frames, and a few inputs of the structured targets, all from constants, so that a second run
//! changes nothing. Crashes that were found are added by hand beside them.

use std::fs;
use std::path::Path;

use ringsoup_rtc::codec::dependency_descriptor::writer::{NewDescriptor, layered};
use ringsoup_rtc::ntp::NtpTime;
use ringsoup_rtc::rtcp::{CompoundWriter, Dlrr, ReportBlock, SenderInfo};
use ringsoup_rtc::rtp::RtpWriter;
use ringsoup_rtc::srtp::{CryptoSuite, MAX_TRAILER_LEN, OutboundSession};
use ringsoup_rtc::stream_framing::length_prefix;
use ringsoup_rtc::stun::{BINDING, Class, IntegrityKey, Writer};
use ringsoup_rtc::subchannels::{Audience, encode};

/// Frames of a 3.27.1 controller and worker, as they were seen on the wire.
const FRAMES: [(&str, &str); 5] = [
    (
        "worker_dump",
        "34000000 0c000000 08000a00 09000400 08000000 10000000 00010a00 0c000800 00000400 0a000000 08000000
         01000000 00000000 00000000",
    ),
    (
        "worker_dump_3_19",
        "38000000 0c000000 08000a00 09000400 08000000 10000000 00010a00 10000c00 0b000400 0a000000 0c000000
         00000001 01000000 00000000 00000000",
    ),
    (
        "create_router",
        "58000000 0c000000 08000a00 09000400 08000000 14000000 00010e00 18001400 13000c00 0b000400 0e000000
         20000000 00000004 0c000000 00000004 02000000 00000000 00000600 08000400 06000000 04000000 02000000
         72310000",
    ),
    (
        "worker_running",
        "38000000 0c000000 08000c00 0b000400 08000000 10000000 00000003 08000c00 08000700 08000000 00000004
         04000000 04000000 34323432 00000000",
    ),
    (
        "accepted",
        "2c000000 0c000000 08000c00 0b000400 08000000 10000000 00000002 08000c00 08000700 08000000 00000001
         02000000",
    ),
];

fn main() -> std::io::Result<()> {
    rtp()?;
    codec_descriptors()?;
    rtcp()?;
    srtp()?;
    stun()?;
    tcp_frames()?;
    subchannels()?;
    frames()?;
    noise("dtls_datagrams", &[64, 256, 1024])?;
    noise("channel_request", &[16, 64, 200])?;
    noise("older_layouts", &[16, 64, 200])?;
    noise("channel_conversation", &[64, 256, 1024])?;
    noise("sfu_operations", &[64, 256, 1024, 4096])
}

fn save(target: &str, name: &str, bytes: &[u8]) -> std::io::Result<()> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("seeds").join(target);
    fs::create_dir_all(&directory)?;
    fs::write(directory.join(name), bytes)
}

/// Lengths, each before its bytes.
fn codec_descriptors() -> std::io::Result<()> {
    let stream = |packets: &[Vec<u8>]| {
        let mut stream = Vec::new();
        for packet in packets {
            stream.push(u8::try_from(packet.len()).unwrap_or(u8::MAX));
            stream.extend(packet);
        }
        stream
    };
    let narrow = (120..=160_u8).map(|id| vec![0x90, 0xe0, id & 0x7f, id, 0x60, 1]).collect::<Vec<_>>();
    save("codec_descriptors", "vp8_narrow", &stream(&narrow))?;
    let wide = (0..9).map(|id| vec![0x90, 0xf0, 0xff, 0xf8 | id, id, id << 6 | 0x25, id]).collect::<Vec<_>>();
    save("codec_descriptors", "vp8_wide", &stream(&wide))?;
    let vp9 = (0..9).map(|id| vec![0xae | (id & 1) << 4, 0x80 | id, id, id << 5 | 2, 0x55, 1]).collect::<Vec<_>>();
    save("codec_descriptors", "vp9", &stream(&vp9))?;
    for (name, structure) in [("full", layered(3, 3, false)), ("keyed", layered(2, 2, true))] {
        let key = NewDescriptor { structure: Some(&structure), ..NewDescriptor::default() };
        let mut packets = vec![key.write(&structure)];
        for template in 0..structure.templates.len() {
            let template = u8::try_from(template).unwrap_or_default();
            let frame = NewDescriptor { template, starts_frame: true, ..NewDescriptor::default() };
            packets.push(frame.write(&structure));
            let chains = Some(vec![3; structure.chains.into()]);
            let differences = Some(vec![1, 300]);
            packets.push(NewDescriptor { active: Some(5), chains, differences, ..frame }.write(&structure));
        }
        save("codec_descriptors", name, &stream(&packets))?;
    }
    Ok(())
}

type Write = fn(Writer<'_>) -> Writer<'_>;

fn stun() -> std::io::Result<()> {
    let key = IntegrityKey::new(b"password");
    let mut buffer = [0; 200];
    let mut message = |class, write: Write, key| {
        let writer = write(Writer::new(&mut buffer, class, BINDING, b"transaction."));
        writer.finish(key).unwrap_or_default().to_vec()
    };
    let check: Write =
        |writer| writer.username(b"ours:theirs").ice_controlling(7).use_candidate().priority(9);
    let request = message(Class::Request, check, Some(&key));
    save("stun_message", "check", &request)?;
    let nominate: Write =
        |writer| writer.username(b"ours:theirs").priority(9).nomination(2).nomination_old(2);
    save("stun_message", "nomination", &message(Class::Request, nominate, Some(&key)))?;
    let success: Write = |writer| writer.software(b"x").xor_mapped_address(([192, 0, 2, 1], 4000).into());
    save("stun_message", "success", &message(Class::SuccessResponse, success, Some(&key)))?;
    let success_v6: Write = |writer| writer.xor_mapped_address(([8193, 3512, 0, 0, 0, 0, 0, 1], 4000).into());
    save("stun_message", "success_v6", &message(Class::SuccessResponse, success_v6, Some(&key)))?;
    let refusal: Write = |writer| writer.error_code(420, b"Unknown Attribute").unknown_attributes(&[1, 2, 3]);
    save("stun_message", "refusal", &message(Class::ErrorResponse, refusal, None))?;
    save("stun_message", "indication", &message(Class::Indication, |writer| writer, None))
}

fn tcp_frames() -> std::io::Result<()> {
    let mut stream = Vec::new();
    for len in [0, 20, 1, 300, 0, 2_100] {
        stream.extend(length_prefix(len).unwrap_or_default());
        stream.extend(std::iter::repeat_n(len.to_be_bytes()[7], len));
    }
    // Longest frame, room, how many pieces come first, their lengths.
    for (name, head) in [
        ("pieces", &[255, 255, 255, 255, 5, 1, 1, 22, 3, 255][..]),
        ("no_room", &[255, 255, 0, 0, 2, 30, 7]),
        ("little_room", &[255, 255, 8, 10, 1, 200]),
        ("too_long", &[1, 44, 255, 255, 0]),
    ] {
        save("tcp_frames", name, &[head, &stream].concat())?;
    }
    Ok(())
}

fn subchannels() -> std::io::Result<()> {
    let audience = |subchannels: &[u16], required, ignored| Audience {
        subchannels: subchannels.to_vec(),
        required,
        ignored,
    };
    for (name, audience) in [
        ("some", audience(&[1, 2, 65_535], None, None)),
        ("required", audience(&[], Some(3), None)),
        ("ignored", audience(&[], None, Some(4))),
        ("all", audience(&[5], Some(6), Some(7))),
    ] {
        save("subchannels", name, &encode(&audience, b"payload").unwrap_or_default())?;
    }
    Ok(())
}

fn media(payload: &[u8]) -> RtpWriter<'_> {
    RtpWriter::new(112, 4711, 90_000, 0x1234_5678).payload(payload)
}

fn packets() -> Vec<(&'static str, Vec<u8>)> {
    let h264_idr = [0x78, 0, 4, 0x67, 0x42, 0xe0, 0x1f, 0, 2, 0x68, 0xce, 0, 2, 0x65, 0x88];
    let h264_fragment = [0x7c, 0x85, 0x88, 0x84];
    let vp8 = [0x90, 0xe0, 0x81, 0x02, 0x03, 0x44, 0x10, 0x02, 0x00, 0x9d, 0x01, 0x2a];
    let vp9 = [0xaa, 0x81, 0x02, 0x20, 0x01, 0x18, 0x01, 0x40, 0x00, 0xb4, 0x82, 0x49, 0x83];
    let structure = layered(3, 3, false);
    let key_frame =
        NewDescriptor { starts_frame: true, structure: Some(&structure), ..NewDescriptor::default() };
    let frame = NewDescriptor { ends_frame: true, template: 17, number: 1, ..NewDescriptor::default() };
    let custom = NewDescriptor {
        active: Some(7),
        indications: Some(structure.templates[0].indications.clone()),
        differences: Some(vec![1, 17, 257]),
        chains: Some(vec![1, 2, 3]),
        ..frame.clone()
    };
    let [key_frame, frame, custom] =
        [key_frame, frame, custom].map(|descriptor| descriptor.write(&structure));
    let dependencies = media(b"payload").extension(7, &key_frame).extension(8, &frame).extension(9, &custom);
    let writers = [
        ("plain", media(b"payload")),
        ("h264_stap_a", media(&h264_idr).marker(true)),
        ("h264_fu_a", media(&h264_fragment)),
        ("vp8", media(&vp8)),
        ("vp9", media(&vp9)),
        ("opus_dtx", media(&[0xf8, 0xff, 0xfe])),
        ("csrcs", media(b"payload").csrcs(&[1, 2, 3, 4, 5, 6, 7, 8])),
        ("padding", media(b"payload").padding(9)),
        ("one_byte", media(b"payload").extension(1, b"0").extension(4, &[1, 2, 3]).extension(10, &[0x85])),
        ("two_byte", media(b"payload").extension(20, b"long").extension(1, &[]).extension(5, &[7; 30])),
        ("rtx", media(&[0x12, 0x66, 0x65, 0x88])),
        ("dependency_descriptors", dependencies),
    ];
    let bytes = |writer: &RtpWriter<'_>| writer.to_vec().expect("the CSRC list is one");
    let mut packets: Vec<_> = writers.iter().map(|(name, writer)| (*name, bytes(writer))).collect();
    // An element with id 15 in the one-byte form ends the elements, not the header (RFC 8285 section 4.2).
    let mut id_15 = bytes(&media(b"payload").extension(1, b"0").extension(4, &[1, 2, 3]));
    id_15[18] = 0xf0;
    packets.push(("one_byte_id_15", id_15));
    packets
}

fn rtp() -> std::io::Result<()> {
    packets().iter().try_for_each(|(name, bytes)| save("rtp_packet", name, bytes))
}

fn compounds() -> Vec<(&'static str, Vec<u8>)> {
    let info = SenderInfo {
        ssrc: 1,
        ntp: NtpTime::from_unix_micros(1_700_000_000_000_000),
        rtp_timestamp: 90_000,
        packet_count: 100,
        octet_count: 120_000,
    };
    let block = ReportBlock { ssrc: 2, fraction_lost: 3, cumulative_lost: -4, ..ReportBlock::default() };
    let delay = Dlrr { ssrc: 3, last_receiver_report: 4, delay_since_last_receiver_report: 5 };
    type Write<'a> = Box<dyn Fn(&mut CompoundWriter<'_>) -> Option<usize> + 'a>;
    let parts: Vec<(&str, Write<'_>)> = vec![
        ("sender_report", Box::new(move |out| out.sender_report(&info, &[block]))),
        ("receiver_report", Box::new(move |out| out.receiver_report(9, &[block, block]))),
        ("sdes", Box::new(|out| out.sdes_cname(1, "cname"))),
        ("bye", Box::new(|out| out.bye(&[1, 2], Some("gone")))),
        ("nack", Box::new(|out| out.nack(1, 2, [10, 11, 20, 65_535, 0]))),
        ("pli", Box::new(|out| out.pli(1, 2))),
        ("fir", Box::new(|out| out.fir(1, 2, 3))),
        ("remb", Box::new(|out| out.remb(1, 1_234_567, &[2, 3]))),
        ("xr_rrt", Box::new(|out| out.xr_rrt(1, NtpTime::from_u64(0x0102_0304_0506_0708)))),
        ("xr_dlrr", Box::new(move |out| out.xr_dlrr(1, &[delay]))),
        ("transport_cc", Box::new(|out| out.transport_cc(1, 2, &[0, 1, 0, 2, 0, 0, 1, 0, 0x20, 2, 4, 8]))),
    ];
    let mut compounds = Vec::new();
    let mut all = [0; 1400];
    let mut together = CompoundWriter::new(&mut all);
    for (name, write) in &parts {
        let mut buffer = [0; 1400];
        let mut writer = CompoundWriter::new(&mut buffer);
        write(&mut writer).expect("it fits");
        write(&mut together).expect("all fit");
        compounds.push((*name, writer.as_bytes().to_vec()));
    }
    compounds.push(("all", together.as_bytes().to_vec()));
    compounds
}

fn rtcp() -> std::io::Result<()> {
    compounds().iter().try_for_each(|(name, bytes)| save("rtcp_compound", name, bytes))
}

/// The target's inputs end with the packet: key, genuine, no damage, then one slice.
fn srtp() -> std::io::Result<()> {
    let [plain, ..] = &packets()[..] else { return Ok(()) };
    let input = |genuine: u8, packet: &[u8]| {
        let len = u8::try_from(packet.len()).expect("seeds are short");
        [&[0, genuine, 0, 1][..], packet, &[0, len]].concat()
    };
    save("srtp_unprotect", "genuine", &input(1, &plain.1))?;
    for suite in CryptoSuite::ALL {
        let key = vec![1; suite.key_and_salt_len()];
        let mut session = OutboundSession::new(suite, &key).expect("the key has the suite's length");
        let mut buffer = plain.1.clone();
        buffer.resize(plain.1.len() + MAX_TRAILER_LEN, 0);
        let len = session.protect_rtp(&mut buffer, 12, plain.1.len()).expect("it is RTP");
        save("srtp_unprotect", suite.name(), &input(0, &buffer[..len]))?;
    }
    Ok(())
}

fn frames() -> std::io::Result<()> {
    let mut stream = Vec::new();
    for (name, hex) in FRAMES {
        let digits: Vec<u8> = hex.bytes().filter(u8::is_ascii_hexdigit).collect();
        let pairs = digits.chunks(2).filter_map(|pair| str::from_utf8(pair).ok());
        let frame: Vec<u8> = pairs.filter_map(|pair| u8::from_str_radix(pair, 16).ok()).collect();
        save("channel_frame", name, &pieces(&frame))?;
        stream.extend(frame);
    }
    save("channel_frame", "stream", &pieces(&stream))?;
    for (index, frame) in ringsoup_fuzz::requests::all().iter().enumerate() {
        save("channel_frame", &format!("request_{index:02}"), &pieces(frame))?;
    }
    Ok(())
}

/// An input of `channel_frame`: reads of 7, 0 and 255 bytes, and the stream to its end.
fn pieces(stream: &[u8]) -> Vec<u8> {
    [&[1, 7, 1, 0, 1, 255, 0][..], stream].concat()
}

/// Numbers of a small generator: the structured targets make something of any bytes.
fn noise(target: &str, lengths: &[usize]) -> std::io::Result<()> {
    let mut state = 1_u64;
    for (index, &len) in lengths.iter().enumerate() {
        let mut bytes = vec![0; len];
        for byte in &mut bytes {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            *byte = state.to_be_bytes()[0];
        }
        save(target, &format!("noise_{index}"), &bytes)?;
    }
    Ok(())
}
