//! Receives one consumer's stream: asks for what is missing, undoes RTX, reports, and shows an oracle what a decoder gets.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use ringsoup_rtc::ntp::duration_to_middle;
use ringsoup_rtc::rtcp::SenderInfo;
use ringsoup_rtc::rtp::{RtpPacket, RtpWriter};
use ringsoup_rtc::seq::distance_u16;
use ringsoup_rtc::time::Time;
use ringsoup_sfu::command::{Consume, Layers};

use super::ortc::rtx_payload_types;
use crate::common::packets::{empty_block, nack, pli, receiver_report};
use crate::media::Oracle;

/// Requests for one packet.
const REQUESTS_MAX: u8 = 6;
/// Between two requests for one packet: longer than any round trip here.
const REQUEST_PAUSE: Duration = Duration::from_millis(250);
/// Between two requests for a key frame.
const KEY_FRAME_PAUSE: Duration = Duration::from_millis(600);
/// Numbers in one NACK.
const NACK_MAX: usize = 100;
/// Numbers that are told apart from what came long ago.
const REMEMBERED: usize = 4_000;

const LOWEST: Layers = Layers { spatial: 0, temporal: Some(0) };

/// Something that happens to the stream between two packets.
enum Turn {
    Interrupted,
    Preferred(Layers),
}

/// A packet as a receiver saw it, without what differs from run to run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(crate) at: Time,
    pub(crate) number: u64,
    pub(crate) ticks: u32,
    pub(crate) marker: bool,
    pub(crate) payload: Vec<u8>,
}

/// How far the timestamps of two runs may be apart behind a switch to another stream of a simulcast. Behind a pipe streams are aligned by the
/// sender reports of another shard, which come at times of its own.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Alignment {
    /// By reports of one clock, in both runs: a moment apart, and by a frame of 33 ms where that moment decides whether the new stream's
    /// first frame would come before the last one.
    Told,
    /// A sender began anew, and has told nothing yet that is believed in one of the runs: there the time between arrivals is taken, which
    /// is off by the pacing and the jitter of a key frame.
    Guessed,
}

impl Alignment {
    /// In ticks of 90 kHz.
    fn ticks(self) -> u32 {
        match self {
            Self::Told => 90 * (33 + 1),
            Self::Guessed => 90 * 200,
        }
    }
}

impl Seen {
    /// Whether two runs gave a receiver the same: the same bytes at the same time under the same number, and shown at the same time but
    /// for what alignment allows.
    pub(crate) fn is_as(&self, other: &Self, alignment: Alignment) -> bool {
        let aligned = Self { ticks: other.ticks, ..self.clone() };
        let apart = self.ticks.wrapping_sub(other.ticks).cast_signed().unsigned_abs();
        aligned == *other && apart <= alignment.ticks()
    }
}

pub(super) struct Receiver {
    pub(super) ssrc: u32,
    rtx_ssrc: Option<u32>,
    rtx_payload_types: Vec<(u8, u8)>,
    /// Missing packets may be asked for.
    pub(super) asks: bool,
    oracle: Box<dyn Oracle>,
    /// What is preferred: the most there is, until something else is asked for.
    preferred: Layers,
    /// When it began, was interrupted or asked for other layers last.
    changed: Time,
    /// The newest number the shard has sent.
    newest_sent: Option<u64>,
    pub(super) sent_packets: u64,
    /// Of whole packets, as the published worker counts them; RFC 3550 section 6.4.1 leaves headers and padding out.
    pub(super) sent_octets: u64,
    /// Before which number's packet what happens.
    turns: VecDeque<(u64, Turn)>,
    /// What came and the decoder has not had, and what it has next.
    waiting: BTreeMap<u64, Vec<u8>>,
    next_shown: Option<u64>,
    newest: Option<u64>,
    first: Option<(u64, u32)>,
    received: BTreeSet<u64>,
    /// Packets of the media stream that came, copies too.
    copies: u64,
    missing: BTreeMap<u64, (u8, Time)>,
    key_frame_asked: Option<Time>,
    sender_report: Option<(u32, Time)>,
    reported: Option<(u64, u64)>,
    /// Everything, when streams are compared.
    pub(super) seen: Option<Vec<Seen>>,
    pub(super) repaired: u64,
    pub(super) given_up: u64,
}

impl Receiver {
    /// `most` are the highest layers that there are to choose from: without another word, they are preferred.
    pub(super) fn new(
        now: Time,
        consume: &Consume,
        most: Option<Layers>,
        mut oracle: Box<dyn Oracle>,
        keeps: bool,
    ) -> Self {
        if let Some(most) = most {
            oracle.prefer(most);
        }
        let encoding = &consume.rtp_parameters.encodings[0];
        let codec = &consume.rtp_parameters.codecs[0];
        Self {
            ssrc: encoding.ssrc.expect("consumers have one"),
            rtx_ssrc: encoding.rtx_ssrc,
            rtx_payload_types: rtx_payload_types(&consume.rtp_parameters.codecs),
            asks: codec.has_feedback("nack", ""),
            oracle,
            preferred: most.unwrap_or(LOWEST),
            changed: now,
            newest_sent: None,
            sent_packets: 0,
            sent_octets: 0,
            turns: VecDeque::new(),
            waiting: BTreeMap::new(),
            next_shown: None,
            newest: None,
            first: None,
            received: BTreeSet::new(),
            copies: 0,
            missing: BTreeMap::new(),
            key_frame_asked: None,
            sender_report: None,
            reported: None,
            seen: keeps.then(Vec::new),
            repaired: 0,
            given_up: 0,
        }
    }

    pub(super) fn owns(&self, ssrc: u32) -> bool {
        self.ssrc == ssrc || self.rtx_ssrc == Some(ssrc)
    }

    fn extend(newest: Option<u64>, seq: u16) -> u64 {
        let Some(newest) = newest else { return 0x1_0000 + u64::from(seq) };
        #[allow(clippy::cast_possible_truncation, reason = "the wire's 16 bits")]
        let distance = distance_u16(seq, newest as u16);
        newest.checked_add_signed(distance.into()).expect("far from zero")
    }

    /// The shard sends it. What is new has a number of its own.
    pub(super) fn leaves(&mut self, packet: &RtpPacket<'_>) {
        if packet.ssrc() != self.ssrc {
            return;
        }
        self.sent_packets += 1;
        self.sent_octets += packet.wire().len() as u64;
        let number = Self::extend(self.newest_sent, packet.sequence_number());
        self.newest_sent = self.newest_sent.max(Some(number));
    }

    /// From what is sent next on.
    fn turn(&mut self, turn: Turn) {
        let next = self.newest_sent.map_or(0, |newest| newest + 1);
        self.turns.push_back((next, turn));
    }

    pub(super) fn interrupt(&mut self, now: Time) {
        self.changed = now;
        self.turn(Turn::Interrupted);
    }

    pub(super) fn prefer(&mut self, now: Time, layers: Layers) {
        (self.changed, self.preferred) = (now, layers);
        self.turn(Turn::Preferred(layers));
    }

    /// A packet has come.
    pub(super) fn receive(&mut self, now: Time, packet: &RtpPacket<'_>) {
        if packet.ssrc() == self.ssrc {
            self.copies += 1;
            let number = Self::extend(self.newest_sent, packet.sequence_number());
            self.note_gap(now, number);
            self.take(now, number, packet.timestamp(), packet);
            return;
        }
        let opened = ringsoup_rtc::rtx::decapsulate(packet.payload()).expect("an original number");
        let media = self.rtx_payload_types.iter().find(|(_, rtx)| *rtx == packet.payload_type());
        let (payload_type, _) = media.expect("an RTX codec of this consumer");
        let writer = RtpWriter::new(*payload_type, opened.sequence_number, packet.timestamp(), self.ssrc);
        let writer = packet.extensions().fold(writer, |writer, (id, value)| writer.extension(id, value));
        let original = writer.marker(packet.marker()).payload(opened.payload).to_vec().expect("no CSRCs");
        let original = RtpPacket::parse(&original).expect("well-formed");
        let number = Self::extend(self.newest_sent, opened.sequence_number);
        self.repaired += u64::from(!self.received.contains(&number));
        self.take(now, number, packet.timestamp(), &original);
    }

    fn note_gap(&mut self, now: Time, number: u64) {
        if let Some(newest) = self.newest.filter(|newest| number > *newest) {
            self.missing.extend((newest + 1..number).map(|missing| (missing, (0, now))));
        }
        self.newest = self.newest.max(Some(number));
    }

    fn take(&mut self, now: Time, number: u64, timestamp: u32, packet: &RtpPacket<'_>) {
        assert!(
            self.newest_sent.is_some_and(|newest| number <= newest),
            "{number} was never sent, {:?} is the newest",
            self.newest_sent
        );
        self.missing.remove(&number);
        if !self.received.insert(number) {
            return;
        }
        while self.received.len() > REMEMBERED {
            self.received.pop_first();
        }
        if let Some(seen) = &mut self.seen {
            let (first, first_ticks) = *self.first.get_or_insert((number, timestamp));
            seen.push(Seen {
                at: now,
                number: number.wrapping_sub(first),
                ticks: timestamp.wrapping_sub(first_ticks),
                marker: packet.marker(),
                payload: packet.payload().to_vec(),
            });
        }
        // What was given up is not waited for any more.
        if number >= self.next_shown.unwrap_or(0) {
            self.waiting.insert(number, packet.wire().to_vec());
            self.show(now);
        }
    }

    /// Shows the decoder what comes next, in order; what is missing is waited for until it is given up.
    fn show(&mut self, now: Time) {
        while let Some(first) = self.waiting.first_entry() {
            let number = *first.key();
            let next = *self.next_shown.get_or_insert(number);
            if self.missing.keys().next().is_some_and(|missing| *missing < number) {
                return;
            }
            let bytes = first.remove();
            self.next_shown = Some(number + 1);
            self.take_turns(number);
            self.oracle.receive(now, &bytes);
            if number > next {
                #[allow(clippy::cast_possible_truncation, reason = "the wire's 16 bits")]
                self.oracle.gave_up(now, number as u16);
            }
        }
    }

    fn take_turns(&mut self, number: u64) {
        while self.turns.front().is_some_and(|(at, _)| *at <= number) {
            match self.turns.pop_front() {
                Some((_, Turn::Interrupted)) => self.oracle.interrupted(),
                Some((_, Turn::Preferred(layers))) => self.oracle.prefer(layers),
                None => {}
            }
        }
    }

    /// What it has to say now.
    pub(super) fn speak(&mut self, now: Time) -> Vec<Vec<u8>> {
        let mut said = Vec::new();
        let due = self.due(now);
        if !due.is_empty() {
            said.push(nack(self.ssrc, &due));
        }
        self.show(now);
        let waited = self.key_frame_asked.is_none_or(|at| now.saturating_since(at) >= KEY_FRAME_PAUSE);
        if waited && self.newest.is_some() && self.oracle.wants_key_frame() {
            self.key_frame_asked = Some(now);
            said.push(pli(self.ssrc));
        }
        said
    }

    fn due(&mut self, now: Time) -> Vec<u16> {
        let (mut due, mut given_up) = (Vec::new(), 0);
        let requests_max = if self.asks { REQUESTS_MAX } else { 1 };
        self.missing.retain(|number, (requests, at)| {
            let waited = now.saturating_since(*at) >= REQUEST_PAUSE;
            let is_first = *requests == 0 && self.asks;
            if !(is_first || waited) || due.len() >= NACK_MAX {
                return true;
            }
            *requests += 1;
            *at = now;
            if *requests > requests_max {
                given_up += 1;
                return false;
            }
            #[allow(clippy::cast_possible_truncation, reason = "the wire's 16 bits")]
            due.push(*number as u16);
            true
        });
        self.given_up += given_up;
        if !self.asks {
            due.clear();
        }
        due
    }

    /// A report that leaves tells what has left.
    pub(super) fn check_sender_report(&self, info: &SenderInfo) {
        if info.ssrc == self.ssrc {
            let said = (u64::from(info.packet_count), u64::from(info.octet_count));
            assert_eq!(said, (self.sent_packets, self.sent_octets), "{}: packets and octets", self.ssrc);
        }
    }

    pub(super) fn note_sender_report(&mut self, now: Time, info: &SenderInfo) {
        self.sender_report = Some((info.ntp.middle(), now));
    }

    /// What it says of how it receives (RFC 3550 section 6.4.1).
    pub(super) fn report(&mut self, now: Time) -> Option<Vec<u8>> {
        let (newest, (first, _)) = (self.newest?, *self.first.get_or_insert((self.newest?, 0)));
        let expected = newest - first.min(newest) + 1;
        let (expected_before, copies_before) =
            self.reported.replace((expected, self.copies)).unwrap_or_default();
        let lost = (expected - expected_before).saturating_sub(self.copies - copies_before);
        let mut block = empty_block(self.ssrc);
        let fraction = lost * 256 / (expected - expected_before).max(1);
        block.fraction_lost = u8::try_from(fraction).unwrap_or(u8::MAX);
        block.cumulative_lost = i32::try_from(expected.saturating_sub(self.copies)).expect("few");
        #[allow(clippy::cast_possible_truncation, reason = "the wire's 32 bits")]
        {
            block.highest_sequence_number = newest as u32;
        }
        if let Some((middle, at)) = self.sender_report {
            block.last_sender_report = middle;
            block.delay_since_last_sender_report = duration_to_middle(now.saturating_since(at));
        }
        Some(receiver_report(block))
    }

    pub(super) fn decoded(&self) -> u64 {
        self.oracle.decoded()
    }

    /// How long it has waited for a frame of whatever layers.
    pub(super) fn stalled(&self, now: Time) -> Duration {
        self.waited_for(now, LOWEST)
    }

    /// How long it has waited for a frame of the layers that are preferred.
    pub(super) fn deprived(&self, now: Time) -> Duration {
        self.waited_for(now, self.preferred)
    }

    fn waited_for(&self, now: Time, layers: Layers) -> Duration {
        now.saturating_since(self.changed.max(self.oracle.last_decoded(layers).unwrap_or(self.changed)))
    }

    pub(super) fn finish(&mut self, now: Time) {
        self.missing.clear();
        self.show(now);
        self.oracle.finish();
    }
}
