//! Who speaks: dominant speaker identification (see [`speech`](super::speech)).
//!
//! The dominant speaker stays until somebody is more active by far over all three spans at once; of several the one
//! whose word stands out most takes over.
//!
//! Somebody unheard for an hour is passed over until heard again. The original passes them over until the producer is paused
//! and resumed, however loud they speak.

use std::time::Duration;

use ringsoup_rtc::rtp::extension::AudioLevel;
use ringsoup_rtc::time::Time;

use crate::name::Name;
use crate::producer::Producer;
use crate::table::Id;

use super::speech::{LEVEL_MAX, Speech};

/// Shortest and longest interval, ms.
pub(crate) const INTERVAL_MS: (u16, u16) = (100, 5_000);
/// Logs of how much more active than the dominant speaker a contender must be, over a frame, a word and a sentence.
const FRAME_LEAD: f64 = 3.0;
const WORD_LEAD: f64 = 2.0;
const SENTENCE_LEAD: f64 = 0.0;
/// Nothing heard for longer is silence.
const LEVEL_IDLE: Duration = Duration::from_millis(40);
/// Who was not heard for longer is no contender until heard again.
const SPEAKER_IDLE: Duration = Duration::from_hours(1);

#[derive(Debug, Default)]
pub struct ActiveSpeaker {
    speakers: Vec<Speaker>,
    dominant: Option<Id<Producer>>,
    /// When silent speakers were last looked for.
    idle_checked: Option<Time>,
    /// The newest moment that is known of.
    latest: Time,
}

#[derive(Debug)]
struct Speaker {
    producer: Id<Producer>,
    name: Name,
    is_paused: bool,
    is_idle: bool,
    speech: Speech,
}

impl ActiveSpeaker {
    pub(crate) fn add(&mut self, now: Time, producer: Id<Producer>, name: Name, is_paused: bool) -> usize {
        self.latest = now;
        let speech = Speech::new(now);
        self.speakers.push(Speaker { producer, name, is_paused, is_idle: false, speech });
        self.speakers.len() - 1
    }

    /// Who is dominant now, if that was the one who leaves and somebody is left.
    pub(crate) fn remove(&mut self, member: usize) -> Option<Name> {
        let left = self.speakers.swap_remove(member).producer;
        if self.dominant != Some(left) {
            return None;
        }
        self.dominant = None;
        self.update(self.latest)
    }

    pub(crate) fn len(&self) -> usize {
        self.speakers.len()
    }

    pub(crate) fn producer_at(&self, member: usize) -> Option<Id<Producer>> {
        self.speakers.get(member).map(|speaker| speaker.producer)
    }

    pub(crate) fn set_paused(&mut self, member: usize, is_paused: bool) {
        let speaker = &mut self.speakers[member];
        speaker.is_paused = is_paused;
        speaker.is_idle &= is_paused;
    }

    pub(crate) fn hear(&mut self, now: Time, member: usize, level: AudioLevel) {
        self.latest = now;
        let speaker = &mut self.speakers[member];
        speaker.is_idle = false;
        speaker.speech.hear(now, LEVEL_MAX - level.level);
    }

    /// The new dominant speaker, if it changed.
    pub(crate) fn update(&mut self, now: Time) -> Option<Name> {
        self.latest = now;
        if self.idle_checked.is_none_or(|checked| now.saturating_since(checked) >= LEVEL_IDLE) {
            if self.idle_checked.is_some() {
                self.time_out(now);
            }
            self.idle_checked = Some(now);
        }
        let elected = self.elect()?;
        if self.dominant == Some(elected.producer) {
            return None;
        }
        let (producer, name) = (elected.producer, elected.name.clone());
        self.dominant = Some(producer);
        Some(name)
    }

    fn time_out(&mut self, now: Time) {
        for speaker in &mut self.speakers {
            let silence = now.saturating_since(speaker.speech.heard());
            if silence > SPEAKER_IDLE && self.dominant != Some(speaker.producer) {
                speaker.is_idle = true;
            } else if silence > LEVEL_IDLE {
                speaker.speech.hear(now, 0);
            }
        }
    }

    /// Who should be dominant; `None` to leave it as it is.
    fn elect(&self) -> Option<&Speaker> {
        let [first, _, ..] = self.speakers.as_slice() else {
            // Alone is dominant, silent or not.
            return self.speakers.first();
        };
        let dominant = self.speakers.iter().find(|speaker| Some(speaker.producer) == self.dominant);
        // Where nobody is, whoever came first has to be outdone.
        let reference = dominant.unwrap_or(first).speech.scores();
        let mut elected = if dominant.is_some() { None } else { Some(first) };
        let mut lead = WORD_LEAD;
        for speaker in &self.speakers {
            let is_dominant = Some(speaker.producer) == self.dominant;
            if is_dominant || speaker.is_paused || speaker.is_idle {
                continue;
            }
            let scores = speaker.speech.scores();
            let frame = (scores.frame / reference.frame).ln();
            let word = (scores.word / reference.word).ln();
            let sentence = (scores.sentence / reference.sentence).ln();
            if frame > FRAME_LEAD && word > lead && sentence > SENTENCE_LEAD {
                lead = word;
                elected = Some(speaker);
            }
        }
        elected
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const INTERVAL: u64 = 300;

    /// Speakers that say something every 20 ms, and an update every 300 ms.
    struct Table {
        observer: ActiveSpeaker,
        now_ms: u64,
    }

    impl Table {
        fn new(names: &[&str]) -> Self {
            let mut observer = ActiveSpeaker::default();
            for (index, name) in names.iter().enumerate() {
                observer.add(Time::ZERO, Id::new(index), (*name).into(), false);
            }
            Self { observer, now_ms: 0 }
        }

        /// Lets time pass. `levels` are -dBov by member; `None` sends nothing.
        fn pass(&mut self, ms: u64, levels: &[Option<u8>]) -> Vec<String> {
            let mut told = Vec::new();
            for _ in 0..ms / 20 {
                self.now_ms += 20;
                let now = Time::from_millis(self.now_ms);
                for (member, level) in levels.iter().enumerate() {
                    if let Some(level) = *level {
                        self.observer.hear(now, member, AudioLevel { voice: true, level });
                    }
                }
                if self.now_ms.is_multiple_of(INTERVAL) {
                    told.extend(self.observer.update(now).map(|name| name.to_string()));
                }
            }
            told
        }
    }

    const QUIET: Option<u8> = Some(100);
    const LOUD: Option<u8> = Some(25);
    const NOTHING: Option<u8> = None;

    #[test]
    fn alone_is_dominant_and_told_once() {
        let mut table = Table::new(&["a"]);
        assert_eq!(table.pass(3_000, &[NOTHING]), ["a"]);
    }

    #[test]
    fn nobody_is_dominant_where_nobody_is() {
        assert!(Table::new(&[]).pass(3_000, &[]).is_empty());
    }

    #[test]
    fn the_dominant_speaker_switches_with_who_speaks() {
        let mut table = Table::new(&["a", "b", "c"]);
        assert_eq!(table.pass(1_200, &[QUIET, QUIET, QUIET]), ["a"], "somebody has to be");
        assert_eq!(table.pass(1_200, &[QUIET, LOUD, QUIET]), ["b"]);
        assert_eq!(table.pass(1_200, &[QUIET, QUIET, QUIET]), [""; 0], "silence changes nothing");
        assert_eq!(table.pass(1_200, &[QUIET, QUIET, LOUD]), ["c"]);
        assert_eq!(table.pass(3_000, &[LOUD, LOUD, LOUD]), [""; 0], "an equal does not take over");
    }

    #[test]
    fn who_stops_sending_falls_silent() {
        let mut table = Table::new(&["a", "b"]);
        table.pass(1_200, &[QUIET, QUIET]);
        assert_eq!(table.pass(1_200, &[QUIET, LOUD]), ["b"]);
        // b's last levels were loud; only their age tells that it is over.
        assert_eq!(table.pass(2_400, &[LOUD, NOTHING]), ["a"]);
    }

    #[test]
    fn a_paused_speaker_is_no_contender() {
        let mut table = Table::new(&["a", "b"]);
        table.pass(1_200, &[QUIET, QUIET]);
        table.observer.set_paused(1, true);
        assert_eq!(table.pass(1_200, &[QUIET, LOUD]), [""; 0]);
        table.observer.set_paused(1, false);
        assert_eq!(table.pass(600, &[QUIET, LOUD]), ["b"]);
    }

    #[test]
    fn the_one_who_leaves_has_a_successor_at_once() {
        let mut table = Table::new(&["a", "b", "c"]);
        table.pass(1_200, &[QUIET, QUIET, QUIET]);
        table.pass(1_200, &[QUIET, LOUD, QUIET]);
        assert_eq!(table.observer.remove(0), None, "a was not dominant");
        assert_eq!(table.observer.producer_at(0), Some(Id::new(2)), "c moved up");
        assert_eq!(table.observer.remove(1).as_deref(), Some("c"));
        assert_eq!(table.observer.remove(0), None, "nobody is left");
        assert!(table.pass(600, &[]).is_empty());
    }

    #[test]
    fn an_hour_of_silence_sets_aside_until_heard_again() {
        let mut table = Table::new(&["a", "b"]);
        table.pass(1_200, &[QUIET, QUIET]);
        // The observer is paused meanwhile: nobody looks.
        table.now_ms += 3_700_000;
        table.pass(300, &[NOTHING, NOTHING]);
        assert!(table.observer.speakers[1].is_idle);
        assert!(!table.observer.speakers[0].is_idle, "the dominant speaker is not");
        assert_eq!(table.pass(1_500, &[QUIET, QUIET]), [""; 0]);
        assert_eq!(table.pass(1_500, &[QUIET, LOUD]), ["b"]);
    }
}
