//! A receiver: asks for what it misses, undoes RTX, and shows an oracle what a decoder gets.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use ringsoup_rtc::rtp::{RtpPacket, is_rtcp};
use ringsoup_rtc::seq::distance_u16;
use ringsoup_rtc::time::Time;
use ringsoup_sfu::command::Layers;

use super::Outcome;
use crate::common::packets::{nack, pli};
use crate::media::Oracle;

/// Requests for one packet.
const REQUESTS_MAX: u8 = 6;
/// Between two requests for one packet: longer than any round trip here.
const REQUEST_PAUSE: Duration = Duration::from_millis(200);
const KEY_FRAME_PAUSE: Duration = Duration::from_millis(600);
/// Frames come again so soon after whatever happened, on a clean network, of the layers that are preferred too: a layer is switched
/// to within 2 s, and found out about in as much.
const STALL_MAX: Duration = Duration::from_millis(2_500);
/// On one that loses, frames of whatever layers.
const LOSSY_STALL_MAX: Duration = Duration::from_millis(5_000);

const LOWEST: Layers = Layers { spatial: 0, temporal: Some(0) };

enum Turn {
    Interrupted,
    Preferred(Layers),
}

pub(super) struct Receiver {
    pub(super) name: String,
    ssrc: u32,
    oracle: Box<dyn Oracle>,
    /// The newest number that left the shard.
    newest_sent: Option<u64>,
    newest: Option<u64>,
    received: BTreeSet<u64>,
    missing: BTreeMap<u64, (u8, Time)>,
    floor: u64,
    /// From which number on what holds.
    turns: VecDeque<(u64, Turn)>,
    begins_at: u64,
    asked: Option<Time>,
    paused: bool,
    preferred: Layers,
    /// When it was paused, resumed or asked for other layers last, or was looked at first.
    changed: Option<Time>,
    repaired: u64,
    given_up: u64,
}

impl Receiver {
    pub(super) fn new(name: String, ssrc: u32, oracle: Box<dyn Oracle>, most: Layers) -> Self {
        let mut receiver = Self {
            name,
            ssrc,
            oracle,
            newest_sent: None,
            newest: None,
            received: BTreeSet::new(),
            missing: BTreeMap::new(),
            floor: 0,
            turns: VecDeque::new(),
            begins_at: 0,
            asked: None,
            paused: false,
            preferred: most,
            changed: None,
            repaired: 0,
            given_up: 0,
        };
        receiver.oracle.prefer(most);
        receiver
    }

    fn extend(newest: Option<u64>, seq: u16) -> u64 {
        let Some(newest) = newest else { return 0x1_0000 + u64::from(seq) };
        #[allow(clippy::cast_possible_truncation, reason = "the wire's 16 bits")]
        let distance = distance_u16(seq, newest as u16);
        newest.checked_add_signed(distance.into()).expect("far from zero")
    }

    fn turn(&mut self, turn: Turn) {
        let next = self.newest_sent.map_or(0, |newest| newest + 1);
        self.turns.push_back((next, turn));
    }

    pub(super) fn prefer(&mut self, now: Time, layers: Layers) {
        (self.changed, self.preferred) = (Some(now), layers);
        self.turn(Turn::Preferred(layers));
    }

    pub(super) fn pause(&mut self, now: Time, paused: bool) {
        if self.paused != paused {
            self.paused = paused;
            self.changed = Some(now);
            self.turn(Turn::Interrupted);
        }
    }

    pub(super) fn leaves(&mut self, packet: &RtpPacket<'_>) {
        if packet.ssrc() == self.ssrc {
            let number = Self::extend(self.newest_sent, packet.sequence_number());
            self.newest_sent = self.newest_sent.max(Some(number));
        }
    }

    pub(super) fn receive(&mut self, now: Time, bytes: &[u8]) {
        if is_rtcp(bytes) {
            return;
        }
        let packet = RtpPacket::parse(bytes).expect("well-formed RTP leaves");
        if packet.ssrc() == self.ssrc {
            let number = Self::extend(self.newest_sent, packet.sequence_number());
            if let Some(newest) = self.newest.filter(|newest| number > *newest) {
                self.missing.extend((newest + 1..number).map(|missing| (missing, (0, now))));
            }
            self.newest = self.newest.max(Some(number));
            self.take(now, number, bytes);
            return;
        }
        assert_eq!(packet.ssrc(), self.ssrc + 1, "a stream of another");
        let opened = ringsoup_rtc::rtx::decapsulate(packet.payload()).expect("an original number");
        let number = Self::extend(self.newest_sent, opened.sequence_number);
        self.repaired += u64::from(!self.received.contains(&number));
        let mut original = bytes[..bytes.len() - packet.payload().len()].to_vec();
        original[2..4].copy_from_slice(&opened.sequence_number.to_be_bytes());
        original[8..12].copy_from_slice(&self.ssrc.to_be_bytes());
        original.extend(opened.payload);
        self.take(now, number, &original);
    }

    fn take(&mut self, now: Time, number: u64, bytes: &[u8]) {
        assert!(self.newest_sent.is_some_and(|newest| number <= newest), "{number} was never sent");
        self.missing.remove(&number);
        if !self.received.insert(number) {
            return;
        }
        while self.turns.front().is_some_and(|(at, _)| *at <= number) {
            match self.turns.pop_front() {
                Some((at, Turn::Interrupted)) => {
                    self.begins_at = at;
                    self.oracle.interrupted();
                }
                Some((_, Turn::Preferred(layers))) => self.oracle.prefer(layers),
                None => {}
            }
        }
        if number >= self.begins_at {
            self.oracle.receive(now, bytes);
        }
    }

    /// What it has to say now.
    pub(super) fn look(&mut self, now: Time) -> Vec<Vec<u8>> {
        let (mut due, mut given_up) = (Vec::new(), 0);
        self.missing.retain(|number, (requests, at)| {
            if *requests > 0 && now.saturating_since(*at) < REQUEST_PAUSE {
                return true;
            }
            *requests += 1;
            *at = now;
            #[allow(clippy::cast_possible_truncation, reason = "the wire's 16 bits")]
            due.push(*number as u16);
            given_up += u64::from(*requests > REQUESTS_MAX);
            *requests <= REQUESTS_MAX
        });
        self.given_up += given_up;
        self.tell_what_is_lost(now);
        let mut said = Vec::new();
        if !due.is_empty() {
            said.push(nack(self.ssrc, &due));
        }
        let waited = self.asked.is_none_or(|at| now.saturating_since(at) >= KEY_FRAME_PAUSE);
        if waited && self.newest.is_some() && self.oracle.wants_key_frame() {
            self.asked = Some(now);
            said.push(pli(self.ssrc));
        }
        said
    }

    fn tell_what_is_lost(&mut self, now: Time) {
        let Some(newest) = self.newest else { return };
        let floor = self.missing.keys().next().copied().unwrap_or(newest + 1);
        if floor > self.floor {
            self.floor = floor;
            #[allow(clippy::cast_possible_truncation, reason = "the wire's 16 bits")]
            self.oracle.gave_up(now, floor as u16);
        }
    }

    /// A receiver that is not paused is never left alone, and where nothing is lost it gets what it prefers.
    pub(super) fn check_progress(&mut self, now: Time, is_clean: bool) {
        let changed = *self.changed.get_or_insert(now);
        if self.paused {
            return;
        }
        let waited_for =
            |layers| now.saturating_since(changed.max(self.oracle.last_decoded(layers).unwrap_or(changed)));
        let (stalled, deprived) = (waited_for(LOWEST), waited_for(self.preferred));
        let most = if is_clean { STALL_MAX } else { LOSSY_STALL_MAX };
        assert!(stalled <= most, "{now:?}: {} has got no frame for {stalled:?}", self.name);
        let is_met = !is_clean || deprived <= most;
        assert!(is_met, "{now:?}: {} has not got what it prefers for {deprived:?}", self.name);
    }

    pub(super) fn finish(&mut self, now: Time, outcome: &mut Outcome) {
        self.tell_what_is_lost(now);
        self.oracle.finish();
        outcome.decoded += self.oracle.decoded();
        outcome.repaired += self.repaired;
        outcome.given_up += self.given_up;
    }
}
