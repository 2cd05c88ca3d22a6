//! Who is loud: the mean level of each producer over an interval.

use ringsoup_rtc::rtp::extension::AudioLevel;

use crate::command::{AudioLevelObserverOptions, CommandError};
use crate::name::Name;
use crate::producer::Producer;
use crate::table::Id;

/// Shortest and longest interval, ms.
pub(crate) const INTERVAL_MS: (u16, u16) = (250, 5_000);
/// Packets with a level that an interval must have brought before their mean says anything: 200 ms of sound.
const PACKETS_MIN: u32 = 10;

#[derive(Debug)]
pub struct AudioLevels {
    /// Producers told of at once, at most.
    max_entries: usize,
    /// Means below it are silence, dBov.
    threshold: i8,
    /// What was told last.
    is_silent: bool,
    members: Vec<Member>,
}

#[derive(Debug)]
struct Member {
    producer: Id<Producer>,
    name: Name,
    /// Of the levels below 0 dBov, as packets carry them: 0 to 127 each.
    sum: u32,
    packets: u32,
}

/// What an interval came to.
#[derive(Debug, PartialEq, Eq)]
pub enum Loudness {
    /// Producers and their mean levels in dBov, the loudest first.
    Volumes(Vec<(Name, i8)>),
    FellSilent,
    StillSilent,
}

impl AudioLevels {
    /// # Errors
    /// `TypeError` for a threshold that no level can reach.
    pub(crate) fn new(options: &AudioLevelObserverOptions) -> Result<Self, CommandError> {
        let threshold = options.threshold;
        if threshold > 0 {
            return Err(CommandError::type_error(format!("invalid threshold value {threshold}")));
        }
        let max_entries = usize::from(options.max_entries);
        Ok(Self { max_entries, threshold, is_silent: true, members: Vec::new() })
    }

    pub(crate) fn add(&mut self, producer: Id<Producer>, name: Name) -> usize {
        self.members.push(Member { producer, name, sum: 0, packets: 0 });
        self.members.len() - 1
    }

    pub(crate) fn len(&self) -> usize {
        self.members.len()
    }

    pub(crate) fn remove(&mut self, member: usize) {
        self.members.swap_remove(member);
    }

    pub(crate) fn producer_at(&self, member: usize) -> Option<Id<Producer>> {
        self.members.get(member).map(|member| member.producer)
    }

    /// What a producer said before a pause is not counted after it.
    pub(crate) fn forget(&mut self, member: usize) {
        self.members[member].forget();
    }

    pub(crate) fn hear(&mut self, member: usize, level: AudioLevel) {
        let member = &mut self.members[member];
        member.sum = member.sum.saturating_add(u32::from(level.level));
        member.packets = member.packets.saturating_add(1);
    }

    /// Forgets the interval; true when silence is news.
    pub(crate) fn silence(&mut self) -> bool {
        self.members.iter_mut().for_each(Member::forget);
        !std::mem::replace(&mut self.is_silent, true)
    }

    /// Ends an interval and begins the next.
    pub(crate) fn update(&mut self) -> Loudness {
        let threshold = self.threshold;
        let loud = |member: &Member| {
            let level = member.mean().filter(|&level| level >= threshold)?;
            Some((member.name.clone(), level))
        };
        let mut volumes: Vec<(Name, i8)> = self.members.iter().filter_map(loud).collect();
        if volumes.is_empty() {
            return if self.silence() { Loudness::FellSilent } else { Loudness::StillSilent };
        }
        self.members.iter_mut().for_each(Member::forget);
        self.is_silent = false;
        // Of two that are equally loud the later member comes first, as controllers know it.
        volumes.sort_by_key(|&(_, level)| level);
        volumes.reverse();
        volumes.truncate(self.max_entries);
        Loudness::Volumes(volumes)
    }
}

impl Member {
    fn forget(&mut self) {
        (self.sum, self.packets) = (0, 0);
    }

    /// dBov, fractions taken towards 0; `None` when too little was heard.
    fn mean(&self) -> Option<i8> {
        let mean = self.sum.checked_div(self.packets)?;
        let mean = i8::try_from(mean).unwrap_or(i8::MAX);
        (self.packets >= PACKETS_MIN).then_some(-mean)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn levels(max_entries: u16, threshold: i8) -> AudioLevels {
        AudioLevels::new(&AudioLevelObserverOptions { max_entries, threshold, interval_ms: 1_000 }).unwrap()
    }

    fn hear(levels: &mut AudioLevels, member: usize, said: &[u8]) {
        for &level in said {
            levels.hear(member, AudioLevel { voice: true, level });
        }
    }

    fn volumes(expected: &[(&str, i8)]) -> Loudness {
        Loudness::Volumes(expected.iter().map(|&(name, level)| (name.into(), level)).collect())
    }

    fn add(levels: &mut AudioLevels, names: &[&str]) {
        for (index, name) in names.iter().enumerate() {
            assert_eq!(levels.add(Id::new(index), (*name).into()), index);
        }
    }

    #[test]
    fn the_loudest_come_first_and_no_more_than_asked_for() {
        let mut levels = levels(2, -80);
        add(&mut levels, &["a", "b", "c"]);
        hear(&mut levels, 0, &[60; 10]);
        hear(&mut levels, 1, &[20; 10]);
        hear(&mut levels, 2, &[40; 10]);
        assert_eq!(levels.update(), volumes(&[("b", -20), ("c", -40)]));
    }

    #[test]
    fn a_mean_is_whole_and_takes_ten_packets() {
        let mut levels = levels(8, -127);
        add(&mut levels, &["a", "b"]);
        hear(&mut levels, 0, &[30, 31, 31, 31, 31, 31, 31, 31, 31, 31]);
        hear(&mut levels, 1, &[1; 9]);
        assert_eq!(levels.update(), volumes(&[("a", -30)]), "b was heard nine times only");
        hear(&mut levels, 1, &[1; 9]);
        assert_eq!(levels.update(), Loudness::FellSilent, "an interval does not count for the next");
    }

    #[test]
    fn the_threshold_is_loud_enough_and_below_it_is_silence_told_once() {
        let mut levels = levels(8, -50);
        add(&mut levels, &["a"]);
        assert_eq!(levels.update(), Loudness::StillSilent, "silence is where it begins");
        hear(&mut levels, 0, &[50; 10]);
        assert_eq!(levels.update(), volumes(&[("a", -50)]));
        hear(&mut levels, 0, &[51; 10]);
        assert_eq!(levels.update(), Loudness::FellSilent);
        hear(&mut levels, 0, &[51; 10]);
        assert_eq!(levels.update(), Loudness::StillSilent);
    }

    #[test]
    fn members_that_leave_or_pause_are_not_heard_of_any_more() {
        let mut levels = levels(8, -127);
        add(&mut levels, &["a", "b", "c"]);
        for member in 0..3 {
            hear(&mut levels, member, &[10; 10]);
        }
        levels.remove(0);
        assert_eq!(levels.producer_at(0), Some(Id::new(2)), "the last one moved up");
        levels.forget(1);
        assert_eq!(levels.update(), volumes(&[("c", -10)]));
    }

    #[test]
    fn a_longest_interval_of_shortest_packets_does_not_overflow() {
        let mut levels = levels(8, -127);
        add(&mut levels, &["a"]);
        hear(&mut levels, 0, &[127; 2_000]);
        assert_eq!(levels.update(), volumes(&[("a", -127)]));
    }

    #[test]
    fn no_entries_still_tell_that_somebody_is_loud() {
        let mut levels = levels(0, -127);
        add(&mut levels, &["a"]);
        hear(&mut levels, 0, &[1; 10]);
        assert_eq!(levels.update(), volumes(&[]));
        assert_eq!(levels.update(), Loudness::FellSilent);
    }

    #[test]
    fn a_threshold_above_the_loudest_is_refused() {
        let options = AudioLevelObserverOptions { max_entries: 1, threshold: 1, interval_ms: 1_000 };
        assert_eq!(AudioLevels::new(&options).unwrap_err().reason, "invalid threshold value 1");
    }
}
