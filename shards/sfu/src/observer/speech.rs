//! How active one speaker is, over three spans of time.
//!
//! After I. Volfin and I. Cohen, "Dominant speaker identification for multipoint videoconferencing" (2013): a speaker's
//! activity is scored over a frame, over a word and over a sentence, each by how likely the number of active parts of
//! that span is under speech rather than under noise.
//!
//! ```text
//! levels (one per 20 ms, newest first)   │l│l│l│l│l│ │ … │ │l│l│l│l│l│     50: one second
//! frame: steps of the newest level        ▲
//! word:  loud frames among five           └───────┘ ten words
//! sentence: full words among the ten      └───────────────────────────┘
//! ```

use ringsoup_rtc::time::Time;

/// Frames are this long, ms: what nearly every sender puts into a packet.
const FRAME_MS: u64 = 20;
/// Frames of a word.
const WORD_FRAMES: usize = 5;
/// Words of a sentence.
const SENTENCE_WORDS: usize = 10;
const FRAMES: usize = WORD_FRAMES * SENTENCE_WORDS;

/// The loudest level; 0 is silence.
pub(crate) const LEVEL_MAX: u8 = 127;
/// Steps of a frame's level.
const FRAME_STEPS: u32 = 13;
/// Levels of one step: the scale over its steps, rounded.
const STEP: u8 = 10;
/// A frame above this step is loud.
const LOUD_STEP: u8 = 7;
/// A word with more loud frames than this is full.
const FULL_WORD: usize = 4;

/// Frames after which a level that was never undercut moves the floor: 15 s.
const FLOOR_FRAMES: u32 = 750;

/// Probability of an active part under speech.
const ACTIVE_PROBABILITY: f64 = 0.5;
/// Rates of the exponential distributions under noise.
const FRAME_RATE: f64 = 0.78;
const WORD_RATE: f64 = 24.0;
const SENTENCE_RATE: f64 = 47.0;
/// Scores are compared by their ratio, so none is zero.
const SCORE_MIN: f64 = 1e-10;

/// Scores over a frame, a word and a sentence.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Scores {
    pub frame: f64,
    pub word: f64,
    pub sentence: f64,
}

#[derive(Debug)]
pub(crate) struct Speech {
    /// A ring; what was never heard is silence.
    levels: [u8; FRAMES],
    next: usize,
    heard: Time,
    /// The speaker's background noise; 0 until anything was heard.
    floor: u8,
    /// Where the floor may rise to: the lowest level since it was set, and of how many frames.
    rising: Option<(u8, u32)>,
}

impl Speech {
    pub(crate) fn new(now: Time) -> Self {
        Self { levels: [0; FRAMES], next: 0, heard: now, floor: 0, rising: None }
    }

    /// When a level came last.
    pub(crate) fn heard(&self) -> Time {
        self.heard
    }

    /// Takes a level, 0 to [`LEVEL_MAX`]. It stands for all the time since the one before: packets may be longer than a
    /// frame, or not come at all.
    pub(crate) fn hear(&mut self, now: Time, level: u8) {
        let elapsed_ms = now.as_millis().saturating_sub(self.heard.as_millis());
        self.heard = self.heard.max(now);
        let frames = usize::try_from(elapsed_ms / FRAME_MS).unwrap_or(FRAMES).clamp(1, FRAMES);
        for _ in 0..frames {
            self.levels[self.next] = level;
            self.next = (self.next + 1) % FRAMES;
        }
        self.track_floor(level);
    }

    /// The floor follows a lower level at once, and a higher one half way after a while.
    fn track_floor(&mut self, level: u8) {
        if level == 0 {
            return;
        }
        if self.floor == 0 || level < self.floor {
            self.floor = level;
            self.rising = None;
            return;
        }
        let (lowest, frames) = match self.rising {
            None => (level, 1),
            Some((lowest, frames)) => (lowest.min(level), frames + 1),
        };
        self.rising = Some((lowest, frames));
        if frames >= FLOOR_FRAMES {
            self.floor = geometric_mean(self.floor, lowest);
            self.rising = None;
        }
    }

    pub(crate) fn scores(&self) -> Scores {
        let steps = self.steps();
        let is_full = |word: &&[u8]| word.iter().filter(|&&step| step > LOUD_STEP).count() > FULL_WORD;
        let word = steps[..WORD_FRAMES].iter().filter(|&&step| step > LOUD_STEP).count();
        let sentence = steps.chunks_exact(WORD_FRAMES).filter(is_full).count();
        Scores {
            frame: score(u32::from(steps[0]), FRAME_STEPS, FRAME_RATE),
            word: score(count(word), count(WORD_FRAMES), WORD_RATE),
            sentence: score(count(sentence), count(SENTENCE_WORDS), SENTENCE_RATE),
        }
    }

    /// The frames' levels in steps above the floor, the newest first.
    fn steps(&self) -> [u8; FRAMES] {
        let floor = self.floor + STEP;
        // A floor off the scale would silence everybody who only ever shouts, so it silences nobody.
        let floor = if floor > LEVEL_MAX { 0 } else { floor };
        std::array::from_fn(|age| {
            let level = self.levels[(self.next + FRAMES - 1 - age) % FRAMES];
            if level < floor { 0 } else { level / STEP }
        })
    }
}

#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "between its arguments, which are bytes"
)]
fn geometric_mean(one: u8, other: u8) -> u8 {
    (f64::from(one) * f64::from(other)).sqrt() as u8
}

#[allow(clippy::cast_possible_truncation, reason = "at most FRAMES")]
fn count(parts: usize) -> u32 {
    parts as u32
}

/// The log of how much likelier `active` of `parts` are under speech (binomial) than under noise (exponential).
fn score(active: u32, parts: u32, rate: f64) -> f64 {
    let (k, n) = (f64::from(active), f64::from(parts));
    let speech =
        ln_binomial(parts, active) + k * ACTIVE_PROBABILITY.ln() + (n - k) * (1.0 - ACTIVE_PROBABILITY).ln();
    let noise = rate.ln() - rate * k;
    (speech - noise).max(SCORE_MIN)
}

fn ln_binomial(n: u32, k: u32) -> f64 {
    (0..k).map(|i| (f64::from(n - i) / f64::from(i + 1)).ln()).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOTHING: Scores = Scores { frame: SCORE_MIN, word: SCORE_MIN, sentence: SCORE_MIN };

    /// Hears one level per frame and returns when the last one came.
    fn say(speech: &mut Speech, from_ms: u64, levels: impl IntoIterator<Item = u8>) -> u64 {
        let mut now_ms = from_ms;
        for level in levels {
            now_ms += FRAME_MS;
            speech.hear(Time::from_millis(now_ms), level);
        }
        now_ms
    }

    fn close(one: f64, other: f64) -> bool {
        (one - other).abs() < 1e-9
    }

    #[test]
    fn nothing_heard_scores_nothing() {
        assert_eq!(Speech::new(Time::ZERO).scores(), NOTHING);
    }

    #[test]
    fn a_second_of_speech_scores_in_full() {
        let mut speech = Speech::new(Time::ZERO);
        say(&mut speech, 0, [20].into_iter().chain([100; FRAMES]));
        let scores = speech.scores();
        // By hand: ln C(13,10) - 13 ln 2 - ln 0.78 + 7.8, and so on.
        assert!(close(scores.frame, 286_f64.ln() - 13.0 * 2_f64.ln() - 0.78_f64.ln() + 7.8));
        assert!(close(scores.word, -5.0 * 2_f64.ln() - 24_f64.ln() + 120.0));
        assert!(close(scores.sentence, -10.0 * 2_f64.ln() - 47_f64.ln() + 470.0));
    }

    #[test]
    fn a_click_is_a_frame_and_no_word() {
        let mut speech = Speech::new(Time::ZERO);
        say(&mut speech, 0, [20, 20, 100]);
        let scores = speech.scores();
        assert!(scores.frame > 1.0);
        assert!(close(scores.word, 5_f64.ln() - 5.0 * 2_f64.ln() - 24_f64.ln() + 24.0));
        assert_eq!(scores.sentence, SCORE_MIN);
    }

    #[test]
    fn steady_noise_is_the_floor_however_loud() {
        let mut speech = Speech::new(Time::ZERO);
        say(&mut speech, 0, [100; FRAMES]);
        assert_eq!(speech.scores(), NOTHING);
        let mut speech = Speech::new(Time::ZERO);
        say(&mut speech, 0, [LEVEL_MAX; FRAMES]);
        assert_ne!(speech.scores(), NOTHING, "but a floor cannot leave the scale");
    }

    #[test]
    fn the_floor_rises_half_way_after_a_while() {
        let mut speech = Speech::new(Time::ZERO);
        let now = say(&mut speech, 0, [25].into_iter().chain([100; FLOOR_FRAMES as usize - 1]));
        assert_eq!(speech.floor, 25);
        say(&mut speech, now, [100]);
        assert_eq!(speech.floor, 50);
        say(&mut speech, now, [40]);
        assert_eq!(speech.floor, 40);
    }

    #[test]
    fn a_level_stands_for_the_time_since_the_one_before() {
        let mut speech = Speech::new(Time::ZERO);
        say(&mut speech, 0, [20]);
        speech.hear(Time::from_millis(120), 100);
        assert!(close(speech.scores().word, -5.0 * 2_f64.ln() - 24_f64.ln() + 120.0));
        speech.hear(Time::from_millis(3_600_000), 0);
        assert_eq!(speech.scores(), NOTHING);
        speech.hear(Time::from_millis(120), 100);
        assert_eq!(speech.heard(), Time::from_millis(3_600_000), "time does not go back");
    }
}
