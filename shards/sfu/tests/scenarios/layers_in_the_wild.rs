//! Simulcast and pipe consumers over a network that loses, repeats and reorders, while layers are changed at random: what a
//! decoder gets is whole and in order, and what is sent twice is the same twice.

use std::collections::BTreeMap;

use ringsoup_rtc::codec::vp8::Descriptor;
use ringsoup_rtc::ntp::NtpTime;
use ringsoup_sfu::command::{ConsumerCommand, Layers};

use crate::common::packets::{heard, nack, rtp, rtx, sender_report};
use crate::common::simulcast::{self, VIDEO, VIDEO_RTX};
use crate::common::{Peer, Sent, UNIX_ORIGIN_US, World};

const VP8: &str = "video/VP8";
const SOURCE: [u32; 3] = [1_000, 2_000, 3_000];
const MAPPED: [u32; 3] = [5_000, 5_001, 5_002];
const SENT: u32 = 9_000;
const PIPED: [u32; 3] = [9_100, 9_110, 9_120];
const SEEDS: u64 = 10;
/// Of 33 ms.
const FRAMES: u32 = 400;
/// Bytes of the descriptors that the senders write.
const DESCRIPTOR_LEN: usize = 6;

struct Dice(u64);

impl Dice {
    /// SplitMix64.
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % end
    }
}

/// What a packet's bitstream says of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Content {
    layer: u8,
    picture: u16,
    temporal: u8,
    is_key: bool,
    place: u8,
    count: u8,
}

impl Content {
    fn bytes(self) -> [u8; 7] {
        let [high, low] = self.picture.to_be_bytes();
        [u8::from(!self.is_key), self.layer, high, low, self.temporal, self.place, self.count]
    }

    fn read(bytes: &[u8]) -> Self {
        Self {
            is_key: bytes[0] & 1 == 0,
            layer: bytes[1],
            picture: u16::from_be_bytes([bytes[2], bytes[3]]),
            temporal: bytes[4],
            place: bytes[5],
            count: bytes[6],
        }
    }
}

struct Encoder {
    seq: u16,
    clock: u32,
    picture: u16,
    tl0: u8,
    wants_key: bool,
    pattern: usize,
    rtx_seq: u16,
    /// By sequence number: timestamp and payload.
    sent: BTreeMap<u16, (u32, Vec<u8>)>,
}

struct Run {
    world: World,
    dice: Dice,
    sender: Peer,
    receiver: Peer,
    encoders: Vec<Encoder>,
    /// By the millisecond they arrive.
    under_way: BTreeMap<(u64, u64), Vec<u8>>,
    count: u64,
    /// By SSRC and extended number: timestamp, marker, payload.
    received: BTreeMap<(u32, u64), (u32, bool, Vec<u8>)>,
    newest: BTreeMap<u32, u64>,
    resent: u64,
}

impl Run {
    fn new(seed: u64) -> Self {
        let mut world = World::with_seed(seed);
        let sender = world.plain("sender");
        let receiver = world.plain("receiver");
        let mut request = simulcast::produce("video", VP8, Some("L1T3"), &SOURCE, &MAPPED);
        for encoding in &mut request.rtp_parameters.encodings {
            encoding.rtx_ssrc = encoding.ssrc.map(|ssrc| ssrc + 1);
        }
        world.produce("sender", request);
        let modes = (Some("L3T3"), Some("L1T3"));
        world.consume("receiver", simulcast::consume("c", "video", VP8, modes, SENT, &MAPPED));
        world.consume("receiver", simulcast::consume_pipe("p", "video", VP8, &PIPED, &MAPPED));
        let mut dice = Dice(seed);
        let mut number = |end| u16::try_from(dice.below(end)).expect("16 bits");
        let encoders = (0..3).map(|_| Encoder {
            seq: number(0x1_0000),
            clock: u32::from(number(0x1_0000)) << 16,
            picture: number(0x8000),
            tl0: number(0x100).to_be_bytes()[1],
            wants_key: true,
            pattern: 0,
            rtx_seq: number(0x1_0000),
            sent: BTreeMap::new(),
        });
        let encoders = encoders.collect();
        Self {
            world,
            dice,
            sender,
            receiver,
            encoders,
            under_way: BTreeMap::new(),
            count: 0,
            received: BTreeMap::new(),
            newest: BTreeMap::new(),
            resent: 0,
        }
    }

    fn carry(&mut self, bytes: &[u8]) {
        let times = match self.dice.below(100) {
            0..4 => 0,
            4..6 => 2,
            _ => 1,
        };
        for _ in 0..times {
            self.count += 1;
            let late = if self.dice.below(20) == 0 { 60 } else { 12 };
            let at = self.world.now.as_millis() + self.dice.below(late);
            self.under_way.insert((at, self.count), bytes.to_vec());
        }
    }

    /// As libwebrtc's three temporal layers: 0 2 1 2, where the last refers to the one before it.
    fn encode(&mut self, layer: u8) {
        let encoder = &mut self.encoders[usize::from(layer)];
        let is_key = std::mem::take(&mut encoder.wants_key);
        if is_key {
            encoder.pattern = 0;
        }
        let (temporal, is_sync) = [(0, false), (2, true), (1, true), (2, false)][encoder.pattern % 4];
        encoder.pattern += 1;
        encoder.picture = (encoder.picture + 1) & 0x7fff;
        encoder.tl0 = encoder.tl0.wrapping_add(u8::from(temporal == 0));
        let count = 1 + u8::try_from(self.dice.below(4)).expect("small");
        let mut packets = Vec::new();
        for place in 0..count {
            encoder.seq = encoder.seq.wrapping_add(1);
            let content = Content { layer, picture: encoder.picture, temporal, is_key, place, count };
            let [high, low] = encoder.picture.to_be_bytes();
            let start = 0x80 | u8::from(place == 0) << 4;
            let layers = temporal << 6 | u8::from(is_sync) << 5;
            let mut payload = vec![start, 0xe0, 0x80 | high, low, encoder.tl0, layers];
            payload.extend(content.bytes());
            let ssrc = SOURCE[usize::from(layer)];
            let mut packet = rtp(VIDEO, encoder.seq, encoder.clock, ssrc, &payload);
            packet[1] |= u8::from(place + 1 == count) << 7;
            encoder.sent.insert(encoder.seq, (encoder.clock, payload));
            packets.push(packet);
        }
        for packet in packets {
            self.carry(&packet);
        }
    }

    fn frame(&mut self) {
        for _ in 0..33 {
            self.world.advance_ms(1);
            for encoder in &mut self.encoders {
                encoder.clock = encoder.clock.wrapping_add(90);
            }
            let now = self.world.now.as_millis();
            while let Some(first) = self.under_way.first_entry().filter(|entry| entry.key().0 <= now) {
                let bytes = first.remove();
                let sender = self.sender.clone();
                self.world.from(&sender, &bytes);
            }
            self.hear();
        }
        for layer in 0..3 {
            self.encode(layer);
        }
    }

    fn hear(&mut self) {
        let sent = self.world.take_sent();
        let (to_sender, to_receiver): (Vec<_>, Vec<_>) =
            sent.into_iter().partition(|sent| sent.remote == self.sender.remote);
        let feedback = heard(&to_sender);
        for pli in feedback.plis {
            let layer = SOURCE.iter().position(|ssrc| *ssrc == pli.media_ssrc).expect("a layer");
            self.encoders[layer].wants_key = true;
        }
        for (ssrc, seqs) in feedback.nacks {
            let layer = SOURCE.iter().position(|source| *source == ssrc).expect("a layer");
            for seq in seqs {
                let encoder = &mut self.encoders[layer];
                encoder.rtx_seq = encoder.rtx_seq.wrapping_add(1);
                let (clock, payload) = &encoder.sent[&seq];
                let packet = rtx(VIDEO_RTX, encoder.rtx_seq, *clock, ssrc + 1, seq, payload);
                self.carry(&packet);
            }
        }
        for sent in to_receiver.iter().filter(|sent| !sent.is_rtcp()) {
            self.receive(sent);
        }
    }

    /// Every packet the shard sends, as if none of them was lost; but some are asked for again.
    fn receive(&mut self, sent: &Sent) {
        let packet = sent.rtp();
        let is_media = packet.ssrc() == SENT || PIPED.contains(&packet.ssrc());
        let ssrc = if is_media { packet.ssrc() } else { packet.ssrc() - 1 };
        let (seq, payload) = match is_media {
            true => (packet.sequence_number(), packet.payload()),
            false => {
                self.resent += 1;
                let original = ringsoup_rtc::rtx::decapsulate(packet.payload()).expect("a number");
                (original.sequence_number, original.payload)
            }
        };
        let newest = self.newest.entry(ssrc).or_insert_with(|| 0x10_0000 + u64::from(seq));
        let ahead = seq.wrapping_sub(u16::try_from(*newest & 0xffff).expect("16 bits")).cast_signed();
        let number = newest.wrapping_add_signed(ahead.into());
        *newest = number.max(*newest);
        let content = (packet.timestamp(), packet.marker(), payload.to_vec());
        let known = self.received.get(&(ssrc, number)).cloned();
        match known {
            Some(known) => {
                assert!(!is_media, "{ssrc} {number} was sent twice");
                // The sender's RTX does not carry its marker.
                assert_eq!((known.0, known.2), (content.0, content.2), "{ssrc} {number}");
            }
            None => {
                self.received.insert((ssrc, number), content);
            }
        }
        if is_media && self.dice.below(10) == 0 {
            let behind = u16::try_from(self.dice.below(20)).expect("small");
            let receiver = self.receiver.clone();
            self.world.from(&receiver, &nack(ssrc, &[seq.wrapping_sub(behind)]));
        }
    }

    fn operate(&mut self) {
        let pick = |dice: &mut Dice| u8::try_from(dice.below(3)).expect("small");
        match self.dice.below(60) {
            0..3 => {
                let layers = Layers { spatial: pick(&mut self.dice), temporal: Some(pick(&mut self.dice)) };
                self.world.consumer("c", ConsumerCommand::SetPreferredLayers(layers));
            }
            3 => {
                self.world.consumer("c", ConsumerCommand::Pause);
            }
            4 | 5 => {
                self.world.consumer("c", ConsumerCommand::Resume);
            }
            6..9 => {
                let layer = usize::from(pick(&mut self.dice));
                let wall = UNIX_ORIGIN_US + self.world.now.as_micros();
                let clock = self.encoders[layer].clock;
                let report = sender_report(SOURCE[layer], NtpTime::from_unix_micros(wall), clock);
                let sender = self.sender.clone();
                self.world.from(&sender, &report);
            }
            _ => {}
        }
    }

    fn stream(&self, ssrc: u32) -> Vec<(u64, u32, Descriptor, Content)> {
        let range = (ssrc, 0)..(ssrc + 1, 0);
        let read = |(&(_, number), (timestamp, _, payload)): (&(u32, u64), &(u32, bool, Vec<u8>))| {
            let descriptor = Descriptor::parse(payload).expect("VP8");
            assert_eq!(descriptor.len, DESCRIPTOR_LEN);
            (number, *timestamp, descriptor, Content::read(&payload[DESCRIPTOR_LEN..]))
        };
        self.received.range(range).map(read).collect()
    }

    /// Returns how often the layer changed.
    fn check_simulcast(&self) -> usize {
        let stream = self.stream(SENT);
        let mut switches = 0;
        for pair in stream.windows(2) {
            let ((number, timestamp, before, one), (next, later, after, other)) = (pair[0], pair[1]);
            let context = format!("{number} {one:?}, {next} {other:?}");
            let elapsed = later.wrapping_sub(timestamp).cast_signed();
            let pictures = after.picture_id.zip(before.picture_id).expect("ids");
            let pictures = pictures.0.wrapping_sub(pictures.1) & 0x7fff;
            let is_contiguous = next == number + 1;
            if other.is_key && other.place == 0 && (one.layer != other.layer || one.picture != other.picture)
            {
                // A beginning: of another layer, after a pause, or simply a key frame.
                switches += usize::from(one.layer != other.layer);
                assert!(elapsed > 0, "{context}");
                assert!(pictures >= 1, "{context}");
                continue;
            }
            assert_eq!(one.layer, other.layer, "{context}");
            let passed = other.picture.wrapping_sub(one.picture) & 0x7fff;
            assert!(passed < 0x4000, "in order: {context}");
            assert_eq!(passed == 0, elapsed == 0, "{context}");
            assert_eq!(passed == 0, pictures == 0, "{context}");
            assert!(pictures <= passed, "{context}");
            if passed == 0 && is_contiguous {
                assert_eq!(other.place, one.place + 1, "{context}");
            }
            if passed > 0 && is_contiguous {
                assert_eq!((one.place + 1, other.place), (one.count, 0), "whole pictures: {context}");
                assert_eq!(pictures, 1, "{context}");
                let bases = after.tl0_picture_index.zip(before.tl0_picture_index).expect("indices");
                assert_eq!(bases.0.wrapping_sub(bases.1), u8::from(other.temporal == 0), "{context}");
            }
        }
        self.check_references(&stream);
        switches
    }

    /// The second picture of the top layer refers to the one of the middle layer before it.
    fn check_references(&self, stream: &[(u64, u32, Descriptor, Content)]) {
        let has = |layer, picture| {
            stream.iter().any(|(_, _, _, content)| content.layer == layer && content.picture == picture)
        };
        for (number, _, descriptor, content) in stream {
            if content.temporal == 2 && !descriptor.is_layer_sync {
                let needed = content.picture.wrapping_sub(1) & 0x7fff;
                let has_gap = !self.received.contains_key(&(SENT, number - 1 - u64::from(content.place)));
                assert!(has(content.layer, needed) || has_gap, "{number} {content:?}");
            }
        }
    }

    fn check_pipe(&self) {
        for (layer, ssrc) in PIPED.into_iter().enumerate() {
            let stream = self.stream(ssrc);
            assert!(stream.len() > 100);
            let source = |picture: &(u64, u32, Descriptor, Content)| {
                assert_eq!(usize::from(picture.3.layer), layer);
                let sent = &self.encoders[layer].sent;
                *sent
                    .iter()
                    .find(|(_, (_, payload))| payload[DESCRIPTOR_LEN..] == picture.3.bytes())
                    .expect("sent")
                    .0
            };
            let first = source(&stream[0]);
            for picture in &stream {
                let expected = u64::from(source(picture).wrapping_sub(first));
                assert_eq!(picture.0 - stream[0].0, expected, "{picture:?}");
            }
        }
    }
}

#[test]
fn what_a_decoder_gets_is_whole_and_in_order() {
    let (mut switches, mut resent) = (0, 0);
    for seed in 0..SEEDS {
        let mut run = Run::new(seed);
        for _ in 0..FRAMES {
            run.frame();
            run.operate();
        }
        run.world.consumer("c", ConsumerCommand::Resume);
        run.world.assert_accounted();
        switches += run.check_simulcast();
        run.check_pipe();
        resent += run.resent;
    }
    assert!(switches > 20 && resent > 500, "{switches} switches, {resent} sent again");
}
