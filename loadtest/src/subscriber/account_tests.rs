//! Packets of few streams, and a camera in layers behind a worker of few lines.

use super::*;
use crate::publisher::tests::video;
use crate::publisher::{Camera, Labels};
use crate::rng::Rng;
use crate::rtp::Header;
use crate::scenario::{Codec, Svc, Video};
use crate::stamp::STAMP_BYTES;

fn packet(ssrc: u32, sequence: u16, stream: u32, sent_at_ns: u64) -> Vec<u8> {
    let mut packet = vec![0; 12 + 1 + STAMP_BYTES];
    let header = Header { payload_type: 101, marker: false, sequence, timestamp: 0, ssrc };
    header.write(&[], &mut packet).unwrap();
    Stamp { stream, sent_at_ns }.write(&mut packet[13..]);
    packet
}

fn account() -> Account {
    let mut account = Account::new(
        vec![Consumer::new(0, 5, 100, Some(101), Kind::Opus), Consumer::new(1, 5, 200, None, Kind::Opus)],
        None,
    );
    account.set_clock(10_000_000_000, 1_000_000_000);
    account
}

#[test]
fn latency_is_kernel_arrival_minus_stamp() {
    let mut account = account();
    // Stamped at 0.999 s monotonic; arrived at 10 s wall clock, which is 1 s monotonic.
    account.receive(0, &mut packet(100, 1, 5, 999_000_000), Some(10_000_000_000), None);
    let latency = account.take_latency();
    assert_eq!(latency.len(), 1);
    assert!((990_000..=1_010_000).contains(&latency.max()));
    assert_eq!(account.take_latency().len(), 0);
}

#[test]
fn loss_duplicates_and_strangers_are_told_apart() {
    let mut account = account();
    for sequence in [1, 2, 5, 4, 4] {
        account.receive(0, &mut packet(100, sequence, 5, 0), None, None);
    }
    account.receive(0, &mut packet(999, 1, 5, 0), None, None);
    account.receive(1, &mut packet(200, 1, 6, 0), None, None);
    account.receive(0, &mut packet(200, 2, 5, 0), None, None);
    account.receive(0, &mut packet(FLOOR_SSRC, 2, 5, 0), None, None);
    let totals = account.totals();
    assert_eq!((totals.packets, totals.unique, totals.expected), (7, 6, 7));
    assert_eq!((totals.reordered, totals.duplicates, totals.unknown), (1, 1, 1));
    assert_eq!((totals.misdelivered, totals.floor_packets), (2, 1));
    assert_eq!(account.live_consumers(), 2);
    assert_eq!(account.unique_by_stream(7), [0, 0, 0, 0, 0, 6, 0]);
}

#[test]
fn a_retransmission_repairs_its_original() {
    let mut account = account();
    for sequence in [1, 3] {
        account.receive(0, &mut packet(100, sequence, 5, 0), None, None);
    }
    let mut repair = packet(101, 700, 5, 0);
    repair[12..14].copy_from_slice(&2_u16.to_be_bytes());
    account.receive(0, &mut repair, None, None);
    let totals = account.totals();
    assert_eq!((totals.expected, totals.unique, totals.rtx, totals.reordered), (3, 3, 1, 0));
}

#[test]
fn missing_video_is_wanted_until_it_comes() {
    let consumer = Consumer::new(0, 5, 100, Some(101), Kind::H264);
    let mut account = Account::new(vec![consumer], Some(50_000_000));
    for sequence in [1, 4] {
        account.receive(0, &mut packet(100, sequence, 5, 0), None, None);
    }
    let wanted = |sequences| [Wanted { subscriber: 0, ssrc: 100, sequences }];
    assert_eq!(account.take_wanted(0), wanted(vec![2, 3]));
    assert!(account.take_wanted(1).is_empty());
    let mut repair = packet(101, 700, 5, 0);
    repair[12..14].copy_from_slice(&2_u16.to_be_bytes());
    account.receive(0, &mut repair, None, None);
    assert_eq!(account.take_wanted(60_000_000), wanted(vec![3]));
    let totals = account.totals();
    assert_eq!((totals.nacked, totals.repaired, totals.given_up), (3, 1, 0));
}

#[test]
fn windows_are_differences() {
    let mut account = account();
    account.receive(0, &mut packet(100, 1, 5, 0), None, None);
    let before = account.totals();
    account.receive(0, &mut packet(100, 3, 5, 0), None, None);
    let window = account.totals().since(&before);
    assert_eq!((window.packets, window.expected, window.unique), (1, 2, 1));
    let mut sum = before;
    sum.add(&window);
    assert_eq!(sum, account.totals());
}

/// A camera's pictures as a worker passes them on: up to a spatial layer, numbered anew, the marker where the picture ends now.
struct Passed {
    camera: Camera,
    sequence: u16,
    picture: u64,
}

impl Passed {
    fn new() -> Self {
        let video = video(Some(2_000.0), None);
        let video = Video { codec: Codec::Vp9, svc: Some(Svc::L3T3Key), ..video };
        let labels = Labels { ssrc: 100, payload_type: 101, stream: 5, rid: None };
        Self { camera: Camera::new(video, labels, Rng::new(1)), sequence: 0, picture: 0 }
    }

    /// The next picture; without its last packet where that is lost.
    fn picture(&mut self, account: &mut Account, highest: u8, is_cut: bool) {
        self.picture += 1;
        let at_ns = self.picture * 33_000_000;
        account.set_clock(at_ns, at_ns);
        self.camera.start_frame(at_ns, 1.0);
        let (mut buffer, mut packets) = ([0; 1400], Vec::new());
        while let Some(written) = self.camera.write_packet(at_ns, &mut buffer) {
            let packet = buffer[..written.bytes].to_vec();
            if Kind::Vp9.mark(rtp::parse(&packet).unwrap().payload).unwrap().spatial <= highest {
                packets.push(packet);
            }
        }
        let last = packets.len() - 1;
        for (index, packet) in packets.iter_mut().enumerate() {
            self.sequence += 1;
            packet[2..4].copy_from_slice(&self.sequence.to_be_bytes());
            packet[1] = if index == last { packet[1] | 0x80 } else { packet[1] & 0x7f };
            if !(is_cut && index == last) {
                account.receive(0, packet, None, None);
            }
        }
    }

    fn pictures(&mut self, account: &mut Account, highest: u8, count: u32) {
        (0..count).for_each(|_| self.picture(account, highest, false));
    }
}

fn viewer_of_layers() -> Account {
    let highest = LayerPair { spatial: 2, temporal: 2 };
    Account::new(vec![Consumer::new(0, 5, 100, Some(101), Kind::Vp9).svc(highest)], None)
}

#[test]
fn a_picture_in_layers_is_shown_up_to_what_is_sent() {
    let (mut account, mut passed) = (viewer_of_layers(), Passed::new());
    passed.pictures(&mut account, 2, 20);
    account.ask_layers(0, LayerPair { spatial: 0, temporal: 2 }, 20 * 33_000_000);
    passed.pictures(&mut account, 0, 20);
    let (pictures, layers) = (account.picture_totals(), account.layer_totals());
    assert_eq!((pictures.frames, pictures.decodable, pictures.shown), (80, 80, 40));
    assert_eq!((pictures.freezes, layers.wrong_layer, layers.timestamps_back), (0, 0, 0));
    assert_eq!((layers.asked, layers.performed), (1, 1));
}

#[test]
fn layers_that_begin_without_a_key_picture_are_wrong_and_cannot_be_decoded() {
    let (mut account, mut passed) = (viewer_of_layers(), Passed::new());
    passed.pictures(&mut account, 0, 20);
    passed.pictures(&mut account, 2, 20);
    let (pictures, layers) = (account.picture_totals(), account.layer_totals());
    assert_eq!((pictures.frames, pictures.decodable, pictures.shown), (80, 40, 20));
    assert_eq!(layers.wrong_layer, 20);
}

#[test]
fn where_the_end_of_a_key_picture_is_lost_layers_are_not_called_wrong() {
    let (mut account, mut passed) = (viewer_of_layers(), Passed::new());
    passed.pictures(&mut account, 0, 20);
    passed.camera.encoder_mut().request_key_frame();
    passed.picture(&mut account, 2, true);
    passed.pictures(&mut account, 2, 1);
    assert_eq!(account.layer_totals().wrong_layer, 0);
}
