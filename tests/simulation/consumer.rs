//! A receiver's stream: the model of what the shard must send, and the receiver that asks for what it misses.

use std::collections::{BTreeMap, BTreeSet};

use ringsoup_rtc::seq::distance_u16;
use ringsoup_rtc::time::Time;

use crate::publisher::{Content, Published};

/// Requests for one packet.
const REQUESTS_MAX: u8 = 8;
/// Between two requests for one packet, milliseconds: longer than any round trip here.
const REQUEST_MS: u64 = 250;

/// Packets behind a key frame's first one that are sent with it when they came before it, and for how long they are kept,
/// milliseconds.
const OVERTAKEN_MAX: u64 = 128;
const KEPT_MS: u128 = 2_000;

/// Numbers that are remembered: with 16 bits a retransmission, a duplicate or a request names none that is further behind the newest
/// (RFC 3550 section 5.1), and whatever was lost has been asked for in vain long before.
const REMEMBERED: u64 = 1 << 15;

/// One run of contiguous numbers: from a start to the next pause.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Place {
    pub(crate) run: u32,
    /// The publisher's packet.
    pub(crate) index: u64,
}

pub(crate) struct Consumer {
    pub(crate) name: String,
    pub(crate) publisher: usize,
    pub(crate) ssrc: u32,
    pub(crate) rtx_ssrc: Option<u32>,
    pub(crate) ignores_dtx: bool,
    pub(crate) paused: bool,
    run: u32,
    /// The first packet of the run; `None` while one that can start it is waited for.
    started_at: Option<u64>,
    newest_input: u64,
    /// What came while a packet that can start the run was waited for, and when.
    waited: BTreeMap<u64, Time>,
    /// The same of padding, which is sent to nobody.
    padding: BTreeMap<u64, Time>,
    /// Left out on purpose, in time: no gap may remain.
    closed: BTreeSet<u64>,
    /// What was sent under which number.
    pub(crate) sent: BTreeMap<u64, Place>,
    /// Numbers the network has swallowed at least once.
    pub(crate) swallowed: BTreeSet<u64>,
    received: BTreeSet<u64>,
    missing: BTreeMap<u64, (u8, Time)>,
    /// Of those that are not remembered any more: how many never got through.
    lost: u64,
}

impl Consumer {
    pub(crate) fn new(
        name: String,
        publisher: usize,
        ssrc: u32,
        rtx_ssrc: Option<u32>,
        ignores_dtx: bool,
    ) -> Self {
        Self {
            name,
            publisher,
            ssrc,
            rtx_ssrc,
            ignores_dtx,
            paused: false,
            run: 0,
            started_at: None,
            newest_input: 0,
            waited: BTreeMap::new(),
            padding: BTreeMap::new(),
            closed: BTreeSet::new(),
            sent: BTreeMap::new(),
            swallowed: BTreeSet::new(),
            received: BTreeSet::new(),
            missing: BTreeMap::new(),
            lost: 0,
        }
    }

    /// What a failing assertion shows.
    pub(crate) fn describe(&self) -> String {
        let (paused, started_at) = (self.paused, self.started_at);
        format!("{} paused {paused}, started at {started_at:?}, newest {}", self.ssrc, self.newest_input)
    }

    /// The next packet begins a new run.
    pub(crate) fn start_anew(&mut self) {
        self.run += 1;
        self.started_at = None;
        self.waited.clear();
        self.padding.clear();
    }

    /// Whether this receiver must get a packet that is new to the shard.
    pub(crate) fn must_get(&mut self, now: Time, index: u64, packet: &Published) -> bool {
        let is_left_out =
            packet.content == Content::Padding || (self.ignores_dtx && packet.content == Content::Silence);
        match self.started_at {
            _ if self.paused => false,
            None if is_left_out => {
                if packet.content == Content::Padding {
                    self.padding.insert(index, now);
                }
                false
            }
            None if !can_start(packet.content) => {
                self.waited.insert(index, now);
                false
            }
            None => {
                self.started_at = Some(index);
                self.newest_input = index;
                true
            }
            Some(first) if index < first => false,
            Some(_) if is_left_out => {
                // A gap that a later packet went out with stays; before that it closes up, in whatever order things came.
                let newest_sent = self.sent.values().next_back().filter(|place| place.run == self.run);
                if newest_sent.is_none_or(|place| place.index < index) {
                    self.closed.insert(index);
                }
                self.newest_input = self.newest_input.max(index);
                false
            }
            Some(_) => {
                self.newest_input = self.newest_input.max(index);
                true
            }
        }
    }

    pub(crate) fn has_started_at(&self, index: u64) -> bool {
        self.started_at == Some(index)
    }

    /// What must come with the packet that has just started the run: it came before, and belongs behind.
    pub(crate) fn take_overtaken(&mut self, now: Time, first: u64) -> BTreeSet<u64> {
        let is_kept = |came: Time| now.saturating_since(came).as_millis() <= KEPT_MS;
        let behind = |came: BTreeMap<u64, Time>| {
            let behind = came.range(first + 1..=first + OVERTAKEN_MAX);
            behind.filter(|(_, came)| is_kept(**came)).map(|(index, _)| *index).collect::<BTreeSet<_>>()
        };
        self.closed.extend(behind(std::mem::take(&mut self.padding)));
        behind(std::mem::take(&mut self.waited))
    }

    /// A packet that came before the one that started the run was sent with it; returns which one it is by its number.
    pub(crate) fn overtaken(&mut self, number: u64) -> u64 {
        let (&before, place) = self.sent.iter().next_back().expect("the run has begun");
        assert!(number > before, "{number} comes after {before}");
        let index = self.after(place.index, number - before);
        assert!(index <= self.started_at.expect("started") + OVERTAKEN_MAX);
        self.newest_input = self.newest_input.max(index);
        index
    }

    /// The packet whose number is so much higher than that of packet `index`.
    fn after(&self, mut index: u64, numbers: u64) -> u64 {
        for _ in 0..numbers {
            index += 1;
            while self.closed.contains(&index) {
                index += 1;
            }
        }
        index
    }

    /// The number of 16 bits in full, next to the newest.
    pub(crate) fn extend(&self, seq: u16) -> u64 {
        let newest = self.sent.keys().next_back().copied().unwrap_or_else(|| 0x1_0000 + u64::from(seq));
        #[allow(clippy::cast_possible_truncation, reason = "the wire's 16 bits")]
        let distance = distance_u16(seq, newest as u16);
        newest.checked_add_signed(distance.into()).expect("far from zero")
    }

    pub(crate) fn note_sent(&mut self, number: u64, index: u64) {
        let place = Place { run: self.run, index };
        assert!(self.sent.insert(number, place).is_none(), "{}: number {number} is used twice", self.name);
        self.forget();
    }

    /// What a number names: what was sent under it, or what would have been. The second is a packet that overtook
    /// the key frame the run starts with by more than is sent with it: the receiver sees a gap it may ask for.
    pub(crate) fn place(&self, number: u64) -> Option<Place> {
        if let Some(place) = self.sent.get(&number) {
            return Some(*place);
        }
        let (&before, place) = self.sent.range(..number).next_back()?;
        let index = self.after(place.index, number - before);
        (place.run == self.run && index <= self.newest_input).then_some(Place { run: self.run, index })
    }

    /// Forgets what no number can name any more, having looked at it for the last time.
    fn forget(&mut self) {
        let Some((newest, _)) = self.sent.last_key_value() else { return };
        let floor = newest.saturating_sub(REMEMBERED);
        while let Some((number, place)) = self.sent.first_key_value().filter(|(number, _)| **number < floor) {
            let (number, place) = (*number, *place);
            self.lost += u64::from(self.is_lost(number, false));
            self.sent.remove(&number);
            let (next_number, next) = self.sent.first_key_value().expect("the newest");
            self.check_neighbours((number, place), (*next_number, *next));
            self.swallowed.remove(&number);
        }
        let first = self.sent.first_key_value().map_or(0, |(_, place)| place.index);
        while self.received.first().is_some_and(|number| *number < floor) {
            self.received.pop_first();
        }
        while self.closed.first().is_some_and(|index| *index < first) {
            self.closed.pop_first();
        }
    }

    /// Numbers are contiguous except for what never reached the shard.
    pub(crate) fn check_numbers(&self) {
        let entries = self.sent.iter().map(|(number, place)| (*number, *place));
        entries.clone().zip(entries.skip(1)).for_each(|(entry, next)| self.check_neighbours(entry, next));
    }

    fn check_neighbours(&self, (number, place): (u64, Place), (next_number, next): (u64, Place)) {
        let gap = next_number - number - 1;
        assert!(next > place, "{}: {place:?} precedes {next:?}", self.name);
        if next.run != place.run {
            assert_eq!(gap, 0, "{}: a new run leaves no gap after {number}", self.name);
            return;
        }
        let closed = self.closed.range(place.index + 1..next.index).count() as u64;
        let open = next.index - place.index - 1 - closed;
        assert_eq!(gap, open, "{}: {place:?} at {number}, then {next:?}", self.name);
    }

    /// Whether a number never got through. It was swallowed then, if it is not on its way still.
    fn is_lost(&self, number: u64, is_on_its_way: bool) -> bool {
        let is_lost = !self.received.contains(&number);
        assert!(!is_lost || is_on_its_way || self.swallowed.contains(&number), "{number} vanished");
        is_lost
    }

    /// How many numbers never got through.
    pub(crate) fn unrepaired(&self, is_on_its_way: bool) -> u64 {
        let lost = self.sent.keys().filter(|number| self.is_lost(**number, is_on_its_way));
        self.lost + lost.count() as u64
    }

    /// The receiver's side: what comes in by itself.
    pub(crate) fn receive(&mut self, now: Time, number: u64) {
        let newest = self.received.iter().next_back().copied();
        if let Some(newest) = newest.filter(|newest| number > *newest) {
            self.missing.extend((newest + 1..number).map(|number| (number, (0, now))));
        }
        self.repaired(number);
    }

    pub(crate) fn repaired(&mut self, number: u64) {
        self.received.insert(number);
        self.missing.remove(&number);
    }

    /// The numbers to ask for now.
    pub(crate) fn requests(&mut self, now: Time) -> Vec<u16> {
        let mut due = Vec::new();
        self.missing.retain(|number, (requests, at)| {
            let waited = now.saturating_since(*at).as_millis() >= u128::from(REQUEST_MS);
            if (*requests == 0 || waited) && due.len() < 100 {
                #[allow(clippy::cast_possible_truncation, reason = "the wire's 16 bits")]
                due.push(*number as u16);
                *requests += 1;
                *at = now;
            }
            *requests < REQUESTS_MAX
        });
        due
    }
}

fn can_start(content: Content) -> bool {
    matches!(content, Content::Start | Content::Silence)
}
