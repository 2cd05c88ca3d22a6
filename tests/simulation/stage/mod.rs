//! One publisher in layers, one shard, and receivers that decode: small enough for thousands of seeds.
//!
//! Everything the worlds of `simulation` and its neighbours do with rooms is left out here; what happens is what layers
//! make hard: preferences that change all the time, pauses, senders that stop layers, and a network that loses,
//! repeats and reorders.

mod receiver;
mod scene;

use std::collections::BTreeMap;
use std::time::Duration;

use ringsoup_rtc::ntp::NtpTime;
use ringsoup_rtc::rtp::RtpPacket;
use ringsoup_rtc::time::Time;
use ringsoup_sfu::command::{ConsumerCommand, Layers};
use ringsoup_tests::rng::Rng;

use crate::common::packets::{heard, rtx, sender_report};
use crate::common::simulcast::{self, VIDEO_RTX};
use crate::common::{Peer, Sent, UNIX_ORIGIN_US, World};
use crate::media::Source;
use crate::media::pictures::Pictures;
use receiver::Receiver;
pub(crate) use scene::Scene;

const SSRCS: [(u32, u32); 3] = [(1_000, 5_000), (2_000, 5_001), (3_000, 5_002)];
const FIRST_CONSUMER_SSRC: u32 = 9_000;
const PRODUCER: &str = "video";

const REPORT_PAUSE: Duration = Duration::from_secs(1);
const RECEIVER_PAUSE: Duration = Duration::from_millis(20);
/// After the last picture: everything under way comes, is asked for and repaired.
const AFTERMATH: Duration = Duration::from_secs(4);
/// Packets a sender can still repair.
const REPAIRABLE: usize = 1_000;

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Outcome {
    pub(crate) decoded: u64,
    pub(crate) repaired: u64,
    pub(crate) given_up: u64,
    pub(crate) simulated_ms: u64,
}

impl Outcome {
    pub(crate) fn add(&mut self, other: &Self) {
        self.decoded += other.decoded;
        self.repaired += other.repaired;
        self.given_up += other.given_up;
        self.simulated_ms += other.simulated_ms;
    }
}

enum Event {
    Picture,
    SenderReports,
    /// Receivers look for what they miss.
    Look,
    Operate,
    ToShard {
        peer: usize,
        bytes: Vec<u8>,
    },
    ToSender(Vec<u8>),
    ToReceiver {
        receiver: usize,
        bytes: Vec<u8>,
    },
}

pub(crate) struct Stage {
    scene: Scene,
    rng: Rng,
    world: World,
    source: Pictures,
    /// The sender's first, then the receivers'.
    peers: Vec<Peer>,
    receivers: Vec<Receiver>,
    events: BTreeMap<(Time, u64), Event>,
    order: u64,
    /// By SSRC: what was sent last, by sequence number.
    sent: BTreeMap<u32, BTreeMap<u16, Vec<u8>>>,
    rtx_seq: u16,
    ends: Time,
}

impl Stage {
    pub(crate) fn new(scene: Scene) -> Self {
        let mut rng = Rng::new(scene.seed);
        let mut world = World::with_seed(scene.seed);
        let source = Pictures::new(scene.shape, &SSRCS, world.now, &mut rng);
        let mut peers = vec![world.plain("sender")];
        world.produce("sender", source.produce_request(PRODUCER));
        let mode = scene.shape.mode_name();
        let own = if scene.shape.streams > 1 { format!("L3T{}", scene.shape.temporal) } else { mode.clone() };
        let mapped: Vec<_> = SSRCS[..scene.shape.streams.into()].iter().map(|(_, mapped)| *mapped).collect();
        let mut receivers = Vec::new();
        for (index, ssrc) in (0..scene.receivers).zip((FIRST_CONSUMER_SSRC..).step_by(2)) {
            let (transport, consumer) = (format!("receiver {index}"), format!("consumer {index}"));
            peers.push(world.plain(&transport));
            let modes = (Some(&*own), Some(&*mode));
            let mime_type = scene.shape.codec.mime_type();
            let mut request = simulcast::consume(&consumer, PRODUCER, mime_type, modes, ssrc, &mapped);
            request.rtp_parameters.encodings[0].rtx_ssrc = (rng.below(3) > 0).then_some(ssrc + 1);
            world.consume(&transport, request);
            receivers.push(Receiver::new(consumer, ssrc, source.oracle(), scene.most()));
        }
        let ends = world.now + scene.lasts;
        let rtx_seq = u16::MAX - u16::from(rng.byte());
        let (events, sent) = (BTreeMap::new(), BTreeMap::new());
        Self { scene, rng, world, source, peers, receivers, events, order: 0, sent, rtx_seq, ends }
    }

    fn after(&mut self, delay: Duration, event: Event) {
        self.order += 1;
        self.events.insert((self.world.now + delay, self.order), event);
    }

    pub(crate) fn run(mut self) -> Outcome {
        self.after(Duration::from_millis(5), Event::Picture);
        self.after(self.scene.first_report, Event::SenderReports);
        self.after(RECEIVER_PAUSE, Event::Look);
        self.after(self.scene.operation_pause, Event::Operate);
        while let Some(((at, _), event)) = self.events.pop_first() {
            if at > self.ends + AFTERMATH {
                break;
            }
            self.world.advance(at.saturating_since(self.world.now));
            self.act(event);
            self.carry();
        }
        self.world.assert_accounted();
        let mut outcome = Outcome {
            simulated_ms: u64::try_from(self.scene.lasts.as_millis()).expect("short"),
            ..Outcome::default()
        };
        for receiver in &mut self.receivers {
            receiver.finish(self.world.now, &mut outcome);
        }
        outcome
    }

    fn act(&mut self, event: Event) {
        let is_over = self.world.now > self.ends;
        match event {
            Event::Picture if !is_over => self.publish(),
            Event::SenderReports if !is_over => self.report(),
            Event::Operate if !is_over => self.operate(),
            Event::Picture | Event::SenderReports | Event::Operate => {}
            Event::Look => self.look(),
            Event::ToShard { peer, bytes } => {
                let peer = self.peers[peer].clone();
                self.world.from(&peer, &bytes);
            }
            Event::ToSender(bytes) => self.sender_hears(bytes),
            Event::ToReceiver { receiver, bytes } => self.receivers[receiver].receive(self.world.now, &bytes),
        }
    }

    fn publish(&mut self) {
        let (now, mut out) = (self.world.now, Vec::new());
        self.source.produce(now, &mut self.rng, &mut out);
        for bytes in out {
            let packet = RtpPacket::parse(&bytes).expect("well-formed");
            let sent = self.sent.entry(packet.ssrc()).or_default();
            // The oldest numbers are half a cycle away.
            sent.remove(&packet.sequence_number().wrapping_sub(u16::try_from(REPAIRABLE).expect("small")));
            sent.insert(packet.sequence_number(), bytes.clone());
            self.send_up(0, &bytes);
        }
        let pause = self.source.due().saturating_since(now);
        self.after(pause, Event::Picture);
    }

    fn report(&mut self) {
        let wall = UNIX_ORIGIN_US + self.world.now.as_micros();
        for (ssrc, _) in &SSRCS[..self.scene.shape.streams.into()] {
            let timestamp = self.source.timestamp_at(*ssrc, self.world.now);
            let report = sender_report(*ssrc, NtpTime::from_unix_micros(wall), timestamp);
            self.send_up(0, &report);
        }
        self.after(REPORT_PAUSE, Event::SenderReports);
    }

    fn send_up(&mut self, peer: usize, bytes: &[u8]) {
        for delay in self.scene.up.carry(&mut self.rng) {
            self.after(delay, Event::ToShard { peer, bytes: bytes.to_vec() });
        }
    }

    fn look(&mut self) {
        for index in 0..self.receivers.len() {
            for said in self.receivers[index].look(self.world.now) {
                for delay in self.scene.down.carry(&mut self.rng) {
                    self.after(delay, Event::ToShard { peer: index + 1, bytes: said.clone() });
                }
            }
            if self.world.now <= self.ends {
                self.receivers[index].check_progress(self.world.now, self.scene.is_clean);
            }
        }
        self.after(RECEIVER_PAUSE, Event::Look);
    }

    fn operate(&mut self) {
        let index = self.rng.below(self.receivers.len());
        let most = self.scene.most();
        let receiver = &mut self.receivers[index];
        let name = receiver.name.clone();
        match self.rng.below(if self.scene.pauses { 10 } else { 8 }) {
            0..8 => {
                let below = |rng: &mut Rng, end: u8| u8::try_from(rng.below(end.into())).expect("small");
                let spatial = below(&mut self.rng, most.spatial + 1);
                let temporal = Some(below(&mut self.rng, most.temporal.unwrap_or(0) + 1));
                let layers = Layers { spatial, temporal };
                receiver.prefer(self.world.now, layers);
                self.world.consumer(&name, ConsumerCommand::SetPreferredLayers(layers));
            }
            8 => {
                receiver.pause(self.world.now, true);
                self.world.consumer(&name, ConsumerCommand::Pause);
            }
            _ => {
                receiver.pause(self.world.now, false);
                self.world.consumer(&name, ConsumerCommand::Resume);
            }
        }
        self.after(self.scene.operation_pause, Event::Operate);
    }

    fn sender_hears(&mut self, bytes: Vec<u8>) {
        let sent =
            Sent { at: self.world.now, local: self.peers[0].local, remote: self.peers[0].remote, bytes };
        let heard = heard([&sent]);
        for ssrc in
            heard.plis.iter().map(|pli| pli.media_ssrc).chain(heard.firs.iter().map(|(ssrc, _)| *ssrc))
        {
            self.source.wants_key_frame(ssrc);
        }
        for (ssrc, seqs) in heard.nacks {
            for seq in seqs {
                self.repair(ssrc, seq);
            }
        }
    }

    fn repair(&mut self, ssrc: u32, seq: u16) {
        let Some(original) = self.sent.get(&ssrc).and_then(|sent| sent.get(&seq)) else { return };
        let mut bytes = original.clone();
        if self.scene.shape.has_rtx {
            self.rtx_seq = self.rtx_seq.wrapping_add(1);
            bytes = as_rtx(original, self.rtx_seq, ssrc + 1);
        }
        self.send_up(0, &bytes);
    }

    /// What the shard has said.
    fn carry(&mut self) {
        for sent in self.world.take_sent() {
            let peer = self.peers.iter().position(|peer| peer.remote == sent.remote).expect("one of us");
            let link = if peer == 0 { self.scene.up } else { self.scene.down };
            if peer > 0 && !sent.is_rtcp() {
                self.receivers[peer - 1].leaves(&sent.rtp());
            }
            for delay in link.carry(&mut self.rng) {
                let bytes = sent.bytes.clone();
                let event = match peer {
                    0 => Event::ToSender(bytes),
                    _ => Event::ToReceiver { receiver: peer - 1, bytes },
                };
                self.after(delay, event);
            }
        }
    }
}

/// A packet with its extensions as its own repair (RFC 4588 section 4).
fn as_rtx(original: &[u8], seq: u16, ssrc: u32) -> Vec<u8> {
    let packet = RtpPacket::parse(original).expect("well-formed");
    let head = original.len() - packet.payload().len();
    let plain = rtx(VIDEO_RTX, seq, packet.timestamp(), ssrc, packet.sequence_number(), packet.payload());
    let mut bytes = original[..head].to_vec();
    bytes[1] = (bytes[1] & 0x80) | VIDEO_RTX;
    bytes[2..4].copy_from_slice(&plain[2..4]);
    bytes[8..12].copy_from_slice(&plain[8..12]);
    bytes.extend(&plain[12..]);
    bytes
}
