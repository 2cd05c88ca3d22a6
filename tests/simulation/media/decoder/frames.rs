//! Frames out of packets in order, and what they truly refer to.

use std::collections::{BTreeSet, VecDeque};
use std::time::Duration;

use ringsoup_rtc::rtp::RtpPacket;
use ringsoup_rtc::time::Time;

use crate::media::Truth;
use crate::media::stamp::Stamp;

use super::limits::Limits;
use super::reached::Reached;
use super::{Facts, Fault, Kind, Outlook, Piece, Wire};

/// Frames in a row that cannot be decoded before a receiver asks for a key frame.
const PATIENCE_FRAMES: u32 = 10;

/// After an interruption, key frames begin anew for so long: what was sent before it may come after it.
const ANEW: Duration = Duration::from_secs(3);

const TICKS_PER_MS: i64 = 90;

/// What a frame is decoded after.
#[derive(Debug, Clone)]
struct Shown {
    stamp: Stamp,
    timestamp: u32,
    marker: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Interrupted {
    No,
    /// By whatever key frame comes next.
    Yes,
    Since(Time),
}

struct Part {
    stamp: Stamp,
    timestamp: u32,
    marker: bool,
    piece: Piece<Facts>,
}

pub(crate) struct Frames {
    kind: Kind,
    wire: Wire,
    /// The frame that is not whole yet.
    parts: Vec<Part>,
    last: Option<Shown>,
    /// The source's count of packets, of the newest packet, and numbers missing since.
    newest: Option<Truth>,
    missing: u64,
    /// A number is missing since the frame before.
    has_gap: bool,
    /// A number is missing since the key frame.
    is_broken: bool,
    interrupted: Interrupted,
    /// Truly decoded, since the key frame.
    decoded: BTreeSet<(u8, u32)>,
    waits_in_row: u32,
    time: Spread,
    pub(crate) limits: Limits,
    pub(crate) reached: Reached,
    count: u64,
    pub(crate) keys: u64,
    pub(crate) undecodable: u64,
    /// Of the newest frames, for people.
    history: VecDeque<String>,
}

/// How far timestamps run from the truth.
#[derive(Debug, Default)]
struct Spread {
    /// Ticks passed and the capture time they belong to.
    at: Option<(i64, u64)>,
    min: i64,
    max: i64,
    /// Between the two.
    most: i64,
}

impl Frames {
    pub(super) fn new(kind: Kind, spread_max_ms: i64) -> Self {
        Self {
            kind,
            wire: Wire::new(kind),
            parts: Vec::new(),
            last: None,
            newest: None,
            missing: 0,
            has_gap: true,
            is_broken: true,
            interrupted: Interrupted::No,
            decoded: BTreeSet::new(),
            waits_in_row: 0,
            time: Spread { most: spread_max_ms * TICKS_PER_MS, ..Spread::default() },
            limits: Limits::default(),
            reached: Reached::default(),
            count: 0,
            keys: 0,
            undecodable: 0,
            history: VecDeque::new(),
        }
    }

    pub(crate) fn count(&self) -> u64 {
        self.count
    }

    pub(super) fn wants_key(&self) -> bool {
        self.waits_in_row >= PATIENCE_FRAMES || (self.count == 0 && self.newest.is_some())
    }

    pub(super) fn interrupted(&mut self) {
        self.interrupted = Interrupted::Yes;
        self.is_broken = true;
        self.limits.begin();
    }

    /// So many numbers never came.
    pub(super) fn miss(&mut self, count: u64) {
        self.parts.clear();
        self.missing += count;
        self.has_gap = true;
        self.is_broken = true;
    }

    pub(super) fn describe(&self) -> String {
        let parts = self.parts.iter().map(|part| format!("  begun: {:?}\n", part.stamp));
        self.history.iter().map(|line| format!("  {line}\n")).chain(parts).collect()
    }

    pub(super) fn packet(
        &mut self,
        now: Time,
        packet: &RtpPacket<'_>,
        piece: Piece<Facts>,
    ) -> Result<(), Fault> {
        let payload = packet.payload();
        let stamp = payload.len().checked_sub(Truth::BYTES).and_then(|end| Stamp::read(&payload[..end]));
        let stamp = stamp.ok_or("a payload that nobody published")?;
        self.check_numbers(Truth::read(payload).ok_or("a payload without its name")?)?;
        let is_cut = piece.starts && (piece.is_key || self.interrupted != Interrupted::No);
        if is_cut && !self.parts.is_empty() {
            // A key frame may come at any time: of another stream, after a pause, of a sender that began anew.
            self.parts.clear();
            self.has_gap = true;
        }
        match (piece.starts, self.parts.is_empty()) {
            (true, false) => return Err(format!("{stamp:?} begins before the frame before has ended")),
            (false, true) if self.has_gap => return Ok(()),
            (false, true) => return Err(format!("the middle of a frame comes first: {stamp:?}")),
            _ => {}
        }
        let (ends, timestamp, marker) = (piece.ends, packet.timestamp(), packet.marker());
        if self.parts.first().is_some_and(|first| first.timestamp != timestamp) {
            return Err("the timestamp changes within a frame".into());
        }
        if self.parts.last().is_some_and(|last| last.marker) {
            return Err("a marker within a frame".into());
        }
        self.parts.push(Part { stamp, timestamp, marker, piece });
        if ends { self.complete(now) } else { Ok(()) }
    }

    /// Of one stream, no more numbers are missing than packets.
    fn check_numbers(&mut self, truth: Truth) -> Result<(), Fault> {
        let missing = std::mem::take(&mut self.missing);
        let before = self.newest.replace(truth).filter(|before| before.ssrc == truth.ssrc);
        let Some(before) = before.filter(|_| self.interrupted == Interrupted::No) else { return Ok(()) };
        let passed = i64::from(truth.index) - i64::from(before.index);
        if passed < 1 {
            return Err(format!("{truth:?} comes after {before:?}"));
        }
        if u64::try_from(passed - 1).is_ok_and(|between| between < missing) {
            return Err(format!("{missing} numbers are missing between {before:?} and {truth:?}"));
        }
        Ok(())
    }

    fn complete(&mut self, now: Time) -> Result<(), Fault> {
        let parts = std::mem::take(&mut self.parts);
        let (first, last) = (&parts[0], &parts[parts.len() - 1]);
        check_whole(&parts)?;
        let stamp = first.stamp;
        let shown = Shown { stamp, timestamp: first.timestamp, marker: last.marker };
        self.note(&shown, &first.piece.facts);
        if self.interrupted == Interrupted::Yes && self.has_gap && !first.piece.is_key {
            // The key frame that begins anew may be what is missing.
            return self.wait(&stamp);
        }
        let begins_anew = first.piece.is_key && self.begins_anew(now);
        if begins_anew {
            self.wire = Wire::new(self.kind);
            self.time = Spread { most: self.time.most, ..Spread::default() };
            self.last = None;
        }
        let is_next = !std::mem::take(&mut self.has_gap) && self.interrupted != Interrupted::Yes;
        self.check_order(&shown, is_next)?;
        self.limits.check(now, stamp.stream.max(stamp.spatial), stamp.temporal)?;
        let outlook =
            self.wire.take(&first.piece.facts, first.piece.is_key, is_next && self.last.is_some())?;
        self.last = Some(shown);
        if outlook == Outlook::Waits {
            return self.wait(&stamp);
        }
        self.reached.note(now, stamp.stream.max(stamp.spatial), stamp.temporal);
        self.decode(&stamp)
    }

    fn begins_anew(&mut self, now: Time) -> bool {
        match self.interrupted {
            Interrupted::No => false,
            Interrupted::Yes => {
                self.interrupted = Interrupted::Since(now);
                true
            }
            Interrupted::Since(since) if now.saturating_since(since) < ANEW => true,
            Interrupted::Since(_) => {
                self.interrupted = Interrupted::No;
                false
            }
        }
    }

    /// Timestamps go on with pictures, and the marker is where a picture ends. `is_strict` when nothing is missing since the frame
    /// before.
    fn check_order(&mut self, shown: &Shown, is_strict: bool) -> Result<(), Fault> {
        let Some(last) = &self.last else { return Ok(()) };
        let passed = shown.timestamp.wrapping_sub(last.timestamp).cast_signed();
        let is_same =
            shown.stamp.stream == last.stamp.stream && shown.stamp.captured_us == last.stamp.captured_us;
        if is_same != (passed == 0) || passed < 0 {
            return Err(format!("timestamps pass by {passed} from {last:?} to {shown:?}"));
        }
        if is_strict && is_same == last.marker {
            return Err(format!("the marker of {last:?} does not fit {shown:?}"));
        }
        self.time.pass(passed.into(), shown.stamp.captured_us)
    }

    fn wait(&mut self, stamp: &Stamp) -> Result<(), Fault> {
        if !self.is_broken {
            return Err(format!("nothing is missing, but what {stamp:?} refers to"));
        }
        self.undecodable += 1;
        self.waits_in_row += 1;
        Ok(())
    }

    fn decode(&mut self, stamp: &Stamp) -> Result<(), Fault> {
        if stamp.is_key && stamp.references.iter().all(Option::is_none) && stamp.spatial == 0 {
            // Every buffer of the decoder is filled anew.
            self.decoded.clear();
            self.is_broken = false;
            self.keys += 1;
        }
        let mut references = stamp.references.iter().flatten();
        if let Some(lost) = references.find(|frame| !self.decoded.contains(&(stamp.stream, **frame))) {
            return Err(format!("{stamp:?} looks decodable, but {lost} was not decoded"));
        }
        self.decoded.insert((stamp.stream, stamp.frame));
        while self.decoded.len() > 400 {
            self.decoded.pop_first();
        }
        self.waits_in_row = 0;
        self.count += 1;
        Ok(())
    }

    fn note(&mut self, shown: &Shown, facts: &Facts) {
        let Shown { stamp, timestamp, marker } = shown;
        let gap = if self.has_gap { " after a gap" } else { "" };
        let key = if stamp.is_key { " key" } else { "" };
        let references: Vec<_> = stamp.references.iter().flatten().collect();
        let line = format!(
            "stream {} frame {} layers {}.{} of {} packets{key}, timestamp {timestamp}, marker {marker}, refers to {references:?}{gap}; {facts:?}",
            stamp.stream, stamp.frame, stamp.spatial, stamp.temporal, stamp.count
        );
        self.history.push_back(line);
        if self.history.len() > 12 {
            self.history.pop_front();
        }
    }
}

impl Spread {
    fn pass(&mut self, ticks: i64, captured_us: u64) -> Result<(), Fault> {
        let Some((passed, since)) = &mut self.at else {
            self.at = Some((0, captured_us));
            return Ok(());
        };
        *passed += ticks;
        let truth = (i64::try_from(captured_us).expect("years") - i64::try_from(*since).expect("years"))
            * TICKS_PER_MS
            / 1_000;
        self.min = self.min.min(*passed - truth);
        self.max = self.max.max(*passed - truth);
        if self.max - self.min > self.most {
            let (min, max) = (self.min / TICKS_PER_MS, self.max / TICKS_PER_MS);
            return Err(format!("timestamps are between {min} and {max} ms off the truth"));
        }
        Ok(())
    }
}

/// The packets of exactly one frame, all of them, in order.
fn check_whole(parts: &[Part]) -> Result<(), Fault> {
    let first = parts[0].stamp;
    let fits = |(place, part): (usize, &Part)| part.stamp == first.at(place);
    if parts.len() == usize::from(first.count) && parts.iter().enumerate().all(fits) {
        return Ok(());
    }
    let stamps: Vec<_> = parts.iter().map(|part| part.stamp).collect();
    Err(format!("no whole frame: {stamps:?}"))
}
