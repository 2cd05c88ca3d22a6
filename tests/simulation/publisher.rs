//! A sender: frames, repairs, key frames when asked, reports.

use std::collections::{HashMap, VecDeque};

use ringsoup_tests::rng::Rng;

use crate::common::Peer;
use crate::common::packets::{SILENCE, rtp, rtx};
use crate::common::parameters::{H264, H264_RTX, OPUS};
use crate::profile::Media;

/// Packets a sender can still repair.
const REPAIRABLE: u64 = 2_000;
/// Packets that are remembered: with the 16 bits of a sequence number nobody can name older ones (RFC 3550 section 5.1).
const REMEMBERED: u64 = 1 << 16;
/// Frames between two key frames that nobody asked for.
const GROUP_OF_PICTURES: u64 = 60;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Content {
    /// A receiver can begin with it.
    Start,
    Media,
    /// Opus without sound.
    Silence,
    Padding,
}

/// A packet as it was published; its place in the list is its name in this simulation.
#[derive(Debug, Clone)]
pub(crate) struct Published {
    pub(crate) seq: u16,
    pub(crate) timestamp: u32,
    pub(crate) content: Content,
    pub(crate) payload: Vec<u8>,
    /// The shard has had it.
    pub(crate) arrived: bool,
}

pub(crate) struct Publisher {
    pub(crate) media: Media,
    pub(crate) name: String,
    pub(crate) peer: Peer,
    pub(crate) ssrc: u32,
    pub(crate) mapped_ssrc: u32,
    /// The newest ones, behind so many that are forgotten.
    packets: VecDeque<Published>,
    forgotten: u64,
    pub(crate) paused: bool,
    pub(crate) wants_key_frame: bool,
    pub(crate) wraps: (u64, u64),
    /// Packets before this one cannot be repaired: a restarted sender has forgotten them.
    pub(crate) repairable_from: u64,
    pub(crate) is_stopped: bool,
    next_seq: u16,
    timestamp: u32,
    rtx_seq: u16,
    frames: u64,
    by_seq: HashMap<u16, u64>,
}

impl Publisher {
    pub(crate) fn new(index: u32, media: Media, peer: Peer, rng: &mut Rng) -> Self {
        let near_wrap = rng.below(2) == 0;
        let spread = rng.below(if near_wrap { 200 } else { 60_000 });
        let spread = u16::try_from(spread).expect("below 2^16");
        Self {
            media,
            name: format!("producer {index}"),
            peer,
            ssrc: 1_000 + index * 10,
            mapped_ssrc: 5_000 + index,
            packets: VecDeque::new(),
            forgotten: 0,
            paused: false,
            wants_key_frame: true,
            wraps: (0, 0),
            repairable_from: 0,
            is_stopped: false,
            next_seq: u16::MAX - spread,
            timestamp: u32::MAX - u32::from(spread) * 100,
            rtx_seq: spread,
            frames: 0,
            by_seq: HashMap::new(),
        }
    }

    pub(crate) fn rtx_ssrc(&self) -> Option<u32> {
        (self.media == Media::VideoWithRtx).then_some(self.ssrc + 1)
    }

    pub(crate) fn repairs(&self) -> bool {
        self.media != Media::Audio
    }

    /// The next frame's packets, by index.
    pub(crate) fn frame(&mut self, frame_ms: u64, packets_max: usize, rng: &mut Rng) -> Vec<u64> {
        let (clock, count) = match self.media {
            Media::Audio => (48, 1),
            _ => (90, 1 + rng.below(packets_max)),
        };
        let ticks = u32::try_from(frame_ms * clock).expect("frames are short");
        self.wraps.1 += u64::from(self.timestamp.checked_add(ticks).is_none());
        self.timestamp = self.timestamp.wrapping_add(ticks);
        self.frames += 1;
        let is_key = std::mem::take(&mut self.wants_key_frame) || self.frames % GROUP_OF_PICTURES == 1;
        let mut indices = Vec::new();
        for place in 0..count {
            let content = match self.media {
                Media::Audio if rng.below(4) == 0 => Content::Silence,
                Media::Audio => Content::Start,
                _ if place == 0 && is_key => Content::Start,
                _ if rng.below(50) == 0 => Content::Padding,
                _ => Content::Media,
            };
            indices.push(self.publish(content, rng));
        }
        indices
    }

    fn publish(&mut self, content: Content, rng: &mut Rng) -> u64 {
        let index = self.published();
        let head = match (self.media, content) {
            (Media::Audio, _) => 0x78,
            (_, Content::Start) => 0x67,
            _ => 0x41,
        };
        let payload = match content {
            Content::Padding => Vec::new(),
            Content::Silence => SILENCE.to_vec(),
            _ => [&[head][..], &index.to_be_bytes(), &vec![rng.byte(); rng.below(40)]].concat(),
        };
        let (seq, timestamp) = (self.next_seq, self.timestamp);
        self.packets.push_back(Published { seq, timestamp, content, payload, arrived: false });
        if self.packets.len() as u64 > REMEMBERED {
            self.packets.pop_front();
            self.forgotten += 1;
        }
        self.by_seq.insert(seq, index);
        self.wraps.0 += u64::from(seq == u16::MAX);
        self.next_seq = seq.wrapping_add(1);
        index
    }

    /// How many packets there were.
    pub(crate) fn published(&self) -> u64 {
        self.forgotten + self.packets.len() as u64
    }

    pub(crate) fn has_arrived(&self) -> bool {
        self.packets.iter().any(|packet| packet.arrived)
    }

    fn place(&self, index: u64) -> usize {
        let place = index.checked_sub(self.forgotten).expect("no packet that no number can name any more");
        usize::try_from(place).expect("in memory")
    }

    pub(crate) fn packet(&self, index: u64) -> &Published {
        &self.packets[self.place(index)]
    }

    pub(crate) fn packet_mut(&mut self, index: u64) -> &mut Published {
        let place = self.place(index);
        &mut self.packets[place]
    }

    pub(crate) fn wire(&self, index: u64) -> Vec<u8> {
        let packet = self.packet(index);
        let payload_type = if self.media == Media::Audio { OPUS } else { H264 };
        rtp(payload_type, packet.seq, packet.timestamp, self.ssrc, &packet.payload)
    }

    /// The answer to a NACK, where the packet is still there.
    pub(crate) fn repair(&mut self, seq: u16) -> Option<(u64, Vec<u8>)> {
        let index = *self.by_seq.get(&seq)?;
        let newest = self.published();
        if index < self.repairable_from || newest - index > REPAIRABLE {
            return None;
        }
        let Some(rtx_ssrc) = self.rtx_ssrc() else { return Some((index, self.wire(index))) };
        self.rtx_seq = self.rtx_seq.wrapping_add(1);
        let packet = self.packet(index);
        Some((index, rtx(H264_RTX, self.rtx_seq, packet.timestamp, rtx_ssrc, seq, &packet.payload)))
    }

    /// Nothing sent so far will be repaired.
    pub(crate) fn forget(&mut self) {
        self.repairable_from = self.published();
        self.by_seq.clear();
    }

    /// Begins elsewhere, as a sender that was started anew. Returns the two packets that show it.
    pub(crate) fn restart(&mut self, rng: &mut Rng) -> [u64; 2] {
        let jump = u16::try_from(10_000 + rng.below(40_000)).expect("below 2^16");
        self.next_seq = self.next_seq.wrapping_add(jump);
        self.timestamp = u32::try_from(rng.next_u64() >> 32).expect("32 bits");
        [self.publish(Content::Start, rng), self.publish(Content::Start, rng)]
    }
}
