//! The usual room: one sender with video and audio, two receivers.

use ringsoup_sfu::event::Event;

use crate::common::packets::{DELTA, KEY, SPEECH, rtp};
use crate::common::parameters::{H264, OPUS, consume_audio, consume_video, produce_audio, produce_video};
use crate::common::{Peer, Sent, World};

pub(crate) const VIDEO: u32 = 1_000;
pub(crate) const VIDEO_RTX: u32 = 1_001;
pub(crate) const AUDIO: u32 = 2_000;
pub(crate) const MAPPED_VIDEO: u32 = 5_000;
pub(crate) const MAPPED_AUDIO: u32 = 5_001;
/// Alice receives with RTX, Bob without.
pub(crate) const ALICE_VIDEO: u32 = 10_000;
pub(crate) const ALICE_RTX: u32 = 10_001;
pub(crate) const ALICE_AUDIO: u32 = 10_002;
pub(crate) const BOB_VIDEO: u32 = 20_000;

pub(crate) struct Room {
    pub(crate) world: World,
    pub(crate) sender: Peer,
    pub(crate) alice: Peer,
    pub(crate) bob: Peer,
}

impl Room {
    pub(crate) fn new() -> Self {
        Self::with_seed(1)
    }

    pub(crate) fn with_seed(seed: u64) -> Self {
        let mut world = World::with_seed(seed);
        let sender = world.plain("sender");
        let alice = world.plain("alice");
        let bob = world.plain("bob");
        world.produce("sender", produce_video("video", VIDEO, Some(VIDEO_RTX), MAPPED_VIDEO));
        world.produce("sender", produce_audio("audio", AUDIO, MAPPED_AUDIO));
        let (rtx, mapped) = (Some(ALICE_RTX), MAPPED_VIDEO);
        world.consume("alice", consume_video("alice video", "video", ALICE_VIDEO, rtx, mapped));
        world.consume("alice", consume_audio("alice audio", "audio", ALICE_AUDIO, MAPPED_AUDIO));
        world.consume("bob", consume_video("bob video", "video", BOB_VIDEO, None, mapped));
        Self { world, sender, alice, bob }
    }

    /// A video packet of the sender.
    pub(crate) fn video(&mut self, seq: u16, payload: &[u8]) {
        let sender = self.sender.clone();
        self.world.from(&sender, &rtp(H264, seq, u32::from(seq) * 90, VIDEO, payload));
    }

    pub(crate) fn audio(&mut self, seq: u16, payload: &[u8]) {
        let sender = self.sender.clone();
        self.world.from(&sender, &rtp(OPUS, seq, u32::from(seq) * 960, AUDIO, payload));
    }

    /// A key frame and what follows it, in order.
    pub(crate) fn start_video(&mut self, seqs: std::ops::Range<u16>) {
        for seq in seqs.clone() {
            self.video(seq, if seq == seqs.start { KEY } else { DELTA });
        }
    }

    pub(crate) fn start_audio(&mut self, seqs: std::ops::Range<u16>) {
        for seq in seqs {
            self.audio(seq, SPEECH);
        }
    }

    /// RTCP from Alice.
    pub(crate) fn alice_says(&mut self, bytes: &[u8]) {
        let alice = self.alice.clone();
        self.world.from(&alice, bytes);
    }

    pub(crate) fn bob_says(&mut self, bytes: &[u8]) {
        let bob = self.bob.clone();
        self.world.from(&bob, bytes);
    }

    pub(crate) fn sender_says(&mut self, bytes: &[u8]) {
        let sender = self.sender.clone();
        self.world.from(&sender, bytes);
    }

    pub(crate) fn alice_gets(&mut self) -> Vec<Sent> {
        let alice = self.alice.clone();
        self.world.take_rtp(&alice)
    }

    pub(crate) fn bob_gets(&mut self) -> Vec<Sent> {
        let bob = self.bob.clone();
        self.world.take_rtp(&bob)
    }

    pub(crate) fn rtcp_to_sender(&mut self) -> Vec<Sent> {
        let sender = self.sender.clone();
        self.world.take_rtcp(&sender)
    }
}

pub(crate) fn seqs(sent: &[Sent]) -> Vec<u16> {
    sent.iter().map(|sent| sent.rtp().sequence_number()).collect()
}

/// Each number is the one before plus one.
pub(crate) fn assert_contiguous(seqs: &[u16]) {
    for pair in seqs.windows(2) {
        assert_eq!(pair[1], pair[0].wrapping_add(1), "{seqs:?}");
    }
}

/// One word per event and whom it is about, scores left out.
pub(crate) fn told(events: &[Event]) -> Vec<String> {
    let word = |event: &Event| {
        Some(match event {
            Event::ConsumerProducerPause { consumer } => format!("pause {consumer}"),
            Event::ConsumerProducerResume { consumer } => format!("resume {consumer}"),
            Event::ConsumerProducerClose { consumer } => format!("close {consumer}"),
            Event::PlainTransportTuple { transport, .. } => format!("tuple {transport}"),
            Event::PlainTransportRtcpTuple { transport, .. } => format!("rtcptuple {transport}"),
            Event::TransportFailed { transport, .. } => format!("failed {transport}"),
            Event::ProducerVideoOrientation { producer, rotation, .. } => {
                format!("orientation {producer} {rotation}")
            }
            _ => return None,
        })
    };
    events.iter().filter_map(word).collect()
}
