//! Packets that were sent together, and how much further apart groups of them arrive than they were sent.
//!
//! ```text
//! sent       |▪▪▪|      |▪▪|         groups: what is sent within 5 ms, and what a queue let go at once
//! arrived      |▪▪▪|         |▪▪|    a pair of groups: 10 ms apart when sent, 14 when they arrived
//! ```
//! See draft-ietf-rmcat-gcc-02 section 5.2.

use std::time::Duration;

use crate::time::Time;

/// abs-send-time counts in these: 2^18 a second, 24 bits of them.
const TICKS_PER_SECOND: f64 = 262_144.0;
/// 5 ms of sending make a group.
const GROUP_TICKS: i32 = 1_311;
/// What arrives this soon after the packet before, and sooner than it was sent, waited with it in a queue.
const BURST_GAP: Duration = Duration::from_millis(5);
/// No burst is longer.
const BURST_MAX: Duration = Duration::from_millis(100);
/// After such a silence the sender's clock may be another one.
const SILENCE_MAX: Duration = Duration::from_secs(3);
/// So many packets in a row from before the newest group are a clock that was set back.
const EARLIER_MAX: u8 = 50;

/// How far apart two groups that follow each other were, milliseconds, by their last packets.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Spacing {
    pub sent_ms: f64,
    pub arrived_ms: f64,
}

#[derive(Debug, Clone, Copy)]
struct Group {
    first_sent: u32,
    last_sent: u32,
    first_arrived: Time,
    last_arrived: Time,
}

#[derive(Debug, Default)]
pub struct PacketGroups {
    previous: Option<Group>,
    current: Option<Group>,
    /// Packets in a row from before the current group.
    earlier: u8,
}

/// Ticks from `b` to `a` by the shortest way around their 24 bits.
const fn ticks_since(a: u32, b: u32) -> i32 {
    (a.wrapping_sub(b) << 8).cast_signed() >> 8
}

fn ticks_to_ms(ticks: i32) -> f64 {
    f64::from(ticks) * 1_000.0 / TICKS_PER_SECOND
}

/// Negative when `a` is the earlier one.
fn ms_between(a: Time, b: Time) -> f64 {
    (a.saturating_since(b).as_secs_f64() - b.saturating_since(a).as_secs_f64()) * 1_000.0
}

impl Group {
    const fn new(sent: u32, arrived: Time) -> Self {
        Self { first_sent: sent, last_sent: sent, first_arrived: arrived, last_arrived: arrived }
    }

    fn takes(&self, sent: u32, arrived: Time) -> bool {
        ticks_since(sent, self.first_sent) <= GROUP_TICKS || self.is_burst(sent, arrived)
    }

    fn is_burst(&self, sent: u32, arrived: Time) -> bool {
        let apart = ms_between(arrived, self.last_arrived);
        apart < ticks_to_ms(ticks_since(sent, self.last_sent))
            && arrived.saturating_since(self.last_arrived) <= BURST_GAP
            && arrived.saturating_since(self.first_arrived) < BURST_MAX
    }

    fn add(&mut self, sent: u32, arrived: Time) {
        if ticks_since(sent, self.last_sent) > 0 {
            self.last_sent = sent;
        }
        self.last_arrived = self.last_arrived.max(arrived);
    }

    fn spacing(&self, before: &Self) -> Spacing {
        Spacing {
            sent_ms: ticks_to_ms(ticks_since(self.last_sent, before.last_sent)),
            arrived_ms: ms_between(self.last_arrived, before.last_arrived),
        }
    }
}

impl PacketGroups {
    /// Takes a packet by its abs-send-time. When it begins a group, the two before it are complete, and their spacing known.
    pub fn add(&mut self, sent: u32, arrived: Time) -> Option<Spacing> {
        let Some(current) = self.current.as_mut() else {
            self.current = Some(Group::new(sent, arrived));
            return None;
        };
        if arrived.saturating_since(current.last_arrived) > SILENCE_MAX {
            *self = Self { current: Some(Group::new(sent, arrived)), ..Self::default() };
            return None;
        }
        if ticks_since(sent, current.first_sent) < 0 {
            self.earlier += 1;
            if self.earlier == EARLIER_MAX {
                *self = Self { current: Some(Group::new(sent, arrived)), ..Self::default() };
            }
            return None;
        }
        self.earlier = 0;
        if current.takes(sent, arrived) {
            current.add(sent, arrived);
            return None;
        }
        let complete = *current;
        *current = Group::new(sent, arrived);
        self.previous.replace(complete).map(|before| complete.spacing(&before))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rtp::extension::abs_send_time_from_micros;

    fn add(groups: &mut PacketGroups, sent_ms: u64, arrived_ms: u64) -> Option<(i64, i64)> {
        let spacing =
            groups.add(abs_send_time_from_micros(sent_ms * 1_000), Time::from_millis(arrived_ms))?;
        #[allow(clippy::cast_possible_truncation, reason = "milliseconds of a test")]
        Some((spacing.sent_ms.round() as i64, spacing.arrived_ms.round() as i64))
    }

    #[test]
    fn groups_are_compared_when_the_next_begins() {
        let mut groups = PacketGroups::default();
        for (sent, arrived, expected) in [
            (63_990, 100, None),
            (63_994, 104, None),
            (64_010, 120, None),
            // The 24 bits wrapped in between.
            (64_030, 148, Some((16, 16))),
            (64_050, 161, Some((20, 28))),
        ] {
            assert_eq!(add(&mut groups, sent, arrived), expected, "sent at {sent}");
        }
    }

    #[test]
    fn what_a_queue_let_go_at_once_is_one_group() {
        let mut groups = PacketGroups::default();
        for sent in [0, 10, 20, 30] {
            assert_eq!(add(&mut groups, sent, 100 + sent / 10), None);
        }
        assert_eq!(add(&mut groups, 50, 120), None);
        assert_eq!(add(&mut groups, 70, 140), Some((20, 17)));
    }

    #[test]
    fn late_packets_are_passed_over_until_it_is_the_clock() {
        let mut groups = PacketGroups::default();
        add(&mut groups, 10_000, 100);
        add(&mut groups, 10_020, 120);
        assert_eq!(add(&mut groups, 9_990, 121), None);
        assert_eq!(add(&mut groups, 10_040, 140), Some((20, 20)));
        for late in 0..=u64::from(EARLIER_MAX) {
            assert_eq!(add(&mut groups, 5_000 + late * 20, 160 + late * 20), None);
        }
        let last = u64::from(EARLIER_MAX) + 1;
        assert_eq!(add(&mut groups, 5_000 + last * 20, 160 + last * 20), Some((20, 20)));
    }

    #[test]
    fn silence_starts_over() {
        let mut groups = PacketGroups::default();
        add(&mut groups, 0, 0);
        add(&mut groups, 20, 20);
        assert_eq!(add(&mut groups, 40_000, 4_000), None);
        assert_eq!(add(&mut groups, 40_020, 4_020), None);
        assert_eq!(add(&mut groups, 40_040, 4_040), Some((20, 20)));
    }
}
