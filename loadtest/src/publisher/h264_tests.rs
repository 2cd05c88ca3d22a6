//! Reassembles what the camera sends, as a receiver would.

use super::*;
use crate::mark::Mark;
use crate::publisher::tests::video;
use crate::rtp::{self, FIXED_HEADER_BYTES};
use crate::stamp::{STAMP_BYTES, Stamp, stamped_h264};

fn camera(bitrate_kbps: Option<f64>, packets_per_second: Option<f64>) -> H264 {
    let labels = Labels { ssrc: 11, payload_type: 112, stream: 3, rid: None };
    H264::new(video(bitrate_kbps, packets_per_second), labels, Rng::new(5))
}

/// One frame's packets.
fn frame(camera: &mut H264, index: u64, scale: f64) -> Vec<Vec<u8>> {
    let planned = camera.start_frame(index * 33_333_333, scale);
    let mut packets = Vec::new();
    let mut buffer = [0; 1400];
    while let Some(written) = camera.write_packet(1_000 + index, &mut buffer) {
        packets.push(buffer[..written.bytes].to_vec());
        assert_eq!(written.last_of_frame, camera.packets_left() == 0);
    }
    assert_eq!(packets.len(), planned);
    packets
}

/// The NAL units of a frame, checking the fragmentation rules of RFC 6184 5.8.
fn reassemble(packets: &[Vec<u8>]) -> Vec<Vec<u8>> {
    let mut units: Vec<Vec<u8>> = Vec::new();
    let mut open = false;
    for packet in packets {
        let payload = rtp::parse(packet).unwrap().payload;
        match payload[0] & 0x1F {
            STAP_A => {
                assert!(!open);
                let mut rest = &payload[1..];
                while let Some((size, after)) = rest.split_first_chunk::<2>() {
                    let (unit, after) = after.split_at(usize::from(u16::from_be_bytes(*size)));
                    units.push(unit.to_vec());
                    rest = after;
                }
                assert!(rest.is_empty());
            }
            FU_A => {
                assert_eq!(payload[1] & FU_START != 0, !open);
                assert_ne!(payload[1] & (FU_START | FU_END), FU_START | FU_END);
                if !open {
                    units.push(vec![(payload[0] & 0xE0) | (payload[1] & 0x1F)]);
                }
                units.last_mut().unwrap().extend_from_slice(&payload[2..]);
                open = payload[1] & FU_END == 0;
            }
            _ => {
                assert!(!open);
                units.push(payload.to_vec());
            }
        }
    }
    assert!(!open);
    units
}

fn kinds(units: &[Vec<u8>]) -> Vec<u8> {
    units.iter().map(|unit| unit[0] & 0x1F).collect()
}

fn check_frame(packets: &[Vec<u8>], stream: u32, sent_at_ns: u64) {
    let views: Vec<_> = packets.iter().map(|packet| rtp::parse(packet).unwrap()).collect();
    assert!(views.windows(2).all(|pair| pair[1].sequence == pair[0].sequence.wrapping_add(1)));
    assert!(views.windows(2).all(|pair| pair[1].timestamp == pair[0].timestamp));
    for (index, packet) in packets.iter().enumerate() {
        assert_eq!(packet[1] & 0x80 != 0, index + 1 == packets.len(), "marker only on the last");
    }
    for (index, view) in views.iter().enumerate() {
        let stamped = stamped_h264(view.payload).expect("each packet has room for its stamp");
        assert_eq!(Stamp::read(stamped), Some(Stamp { stream, sent_at_ns }), "packet {index}");
        let mark = Mark::read(&stamped[STAMP_BYTES..]).expect("and for its mark");
        assert_eq!((usize::from(mark.index), usize::from(mark.packets)), (index, views.len()));
    }
    for unit in reassemble(packets) {
        assert!(!unit.windows(3).any(|bytes| bytes[..2] == [0, 0] && bytes[2] <= 3), "start code inside");
    }
}

#[test]
fn encoded_frames_reassemble_and_keep_the_rate() {
    let mut camera = camera(Some(1500.0), None);
    let mut bytes = [0_usize; 2];
    for index in 0..600 {
        let packets = frame(&mut camera, index, 1.0);
        check_frame(&packets, 3, 1_000 + index);
        let units = reassemble(&packets);
        let key = index % 60 == 0;
        assert_eq!(kinds(&units), if key { vec![7, 8, 6, 5] } else { vec![1] });
        bytes[usize::from(key)] += units.last().unwrap().len();
        assert!(packets.iter().all(|packet| packet.len() <= 1200));
    }
    let kbps = f64::from(u32::try_from(bytes[0] + bytes[1]).unwrap()) * 8.0 / 20.0 / 1000.0;
    assert!((1400.0..1600.0).contains(&kbps), "{kbps}");
    let factor =
        f64::from(u32::try_from(bytes[1] * 59).unwrap()) / f64::from(u32::try_from(bytes[0]).unwrap());
    assert!((6.0..8.0).contains(&factor), "{factor}");
    assert_eq!(camera.encoder.key_frames, 10);
}

#[test]
fn a_fixed_rate_sends_only_full_packets() {
    let mut camera = camera(None, Some(500.0));
    let mut total = 0;
    for index in 0..300 {
        let packets = frame(&mut camera, index, 1.0);
        check_frame(&packets, 3, 1_000 + index);
        assert!(packets.iter().all(|packet| packet.len() == 1200), "frame {index}");
        assert!((16..=17).contains(&packets.len()));
        total += packets.len();
    }
    assert!((4999..=5000).contains(&total));
    let scaled = frame(&mut camera, 300, 10.0);
    assert!((160..=168).contains(&scaled.len()));
}

#[test]
fn a_requested_key_frame_is_the_next_frame() {
    let mut camera = camera(Some(500.0), None);
    assert_eq!(kinds(&reassemble(&frame(&mut camera, 0, 1.0))), [7, 8, 6, 5]);
    assert_eq!(kinds(&reassemble(&frame(&mut camera, 1, 1.0))), [1]);
    camera.encoder.request_key_frame();
    assert_eq!(kinds(&reassemble(&frame(&mut camera, 2, 1.0))), [7, 8, 6, 5]);
    assert_eq!(kinds(&reassemble(&frame(&mut camera, 3, 1.0))), [1]);
}

#[test]
fn padded_parameters_fill_the_packet_for_every_size() {
    let stamp = Stamp { stream: 1, sent_at_ns: 2 };
    let label = |sei: &mut [u8]| assert!(stamp.write(sei));
    let least = write_parameters(0, label, &mut [0; 1400]);
    assert!(least <= 100 - FIXED_HEADER_BYTES);
    for packet_bytes in 100..=1400 {
        let mut out = [0_u8; 1400];
        let room = packet_bytes - FIXED_HEADER_BYTES;
        let length = write_parameters(room, label, &mut out[..room]);
        assert_eq!(length, room, "packet of {packet_bytes}");
        assert_eq!(stamped_h264(&out[..length]).and_then(Stamp::read), Some(stamp));
    }
}
