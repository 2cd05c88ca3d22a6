//! Key-frame requests towards one stream: coalesced, repeated, delayed when the controller asks for it.
//!
//! However many consumers ask, the sender is asked once until its key frame comes, and again every [`RETRY_AFTER`] while it
//! does not, [`RETRIES_MAX`] times: a storm of PLI downstream stays one PLI upstream, and a PLI that is lost is repeated. Where the
//! controller set a `keyFrameRequestDelay` that is longer, it lies between the repetitions but for the first.
//!
//! Browsers hear no request for a while after one that they answered. Who comes right behind a key frame is asked for nevertheless,
//! and again as soon as they listen: [`DEAF_FOR`] after the request before, not a second after the one in vain.
//!
//! A sender that answers at once would have to go on answering while the storm lasts. So where the controller set no delay, what
//! receivers ask for is asked for once in [`RECEIVERS_INTERVAL`] in the long run; a wish that comes too soon waits, and is met by
//! any key frame that comes meanwhile. What the shard itself needs (a new receiver, another layer) never waits.

use std::time::Duration;

use ringsoup_rtc::time::Time;

/// A key frame that did not come after this long may have been asked for in vain.
pub const RETRY_AFTER: Duration = Duration::from_millis(1_000);

/// A sender that answered a request may hear none for so long after it: 300 ms in libwebrtc (video/encoder_rtcp_feedback.cc), and the
/// second one may be quicker on its way.
pub const DEAF_FOR: Duration = Duration::from_millis(350);

/// How often a request is repeated. Browsers ignore one that comes right behind a key frame, and on a network that loses a
/// tenth the next is lost as well one time in ten: with a single one receivers were left without a picture for good, since
/// who never had one asks for none. Beyond these the sender does not answer.
pub const RETRIES_MAX: u32 = 5;

/// Between two requests on behalf of receivers, in the long run.
pub const RECEIVERS_INTERVAL: Duration = Duration::from_millis(1_000);

/// Requests on behalf of receivers that may follow each other at once: the key frame that was asked for may be lost, and the
/// next one.
pub const RECEIVERS_BURST: u32 = 3;

/// The requests of one stream.
#[derive(Debug, Clone, Default)]
pub struct KeyFrameRequests {
    /// Zero when requests are not delayed.
    delay: Duration,
    pending: Option<Pending>,
    /// When the sender was asked last since its last key frame.
    asked: Option<Time>,
    /// The sender may hear nothing before.
    deaf_until: Option<Time>,
    delayed: Option<Delayed>,
    receivers: Receivers,
    /// The packet at hand begins a key frame.
    begins: bool,
}

/// What receivers have asked for.
#[derive(Debug, Clone, Default)]
struct Receivers {
    /// When the last of the requests that were made for them would have been, had they come evenly.
    used_until: Time,
    /// A wish that waits until then.
    waiting: Option<Time>,
}

impl Receivers {
    /// `Err` with when to come again.
    fn admit(&mut self, now: Time) -> Result<(), Time> {
        let earliest = self.used_until.max(now);
        let next = earliest + RECEIVERS_INTERVAL;
        let burst = RECEIVERS_INTERVAL * RECEIVERS_BURST;
        if next.saturating_since(now) > burst {
            let used_until = self.used_until.saturating_since(Time::ZERO);
            return Err(Time::ZERO + used_until.saturating_sub(burst - RECEIVERS_INTERVAL));
        }
        self.used_until = next;
        self.waiting = None;
        Ok(())
    }
}

/// Asked for, not yet received.
#[derive(Debug, Clone)]
struct Pending {
    deadline: Time,
    retries: u32,
}

/// Asked for less than `delay` ago: a further wish waits until `deadline`.
#[derive(Debug, Clone)]
struct Delayed {
    deadline: Time,
    wanted: bool,
}

impl KeyFrameRequests {
    pub fn new(delay: Duration) -> Self {
        Self { delay, ..Self::default() }
    }

    /// Somebody needs a key frame. True when the sender must be asked now.
    pub fn need(&mut self, now: Time) -> bool {
        if self.begins {
            return false;
        }
        if !self.delay.is_zero() {
            match &mut self.delayed {
                Some(delayed) => {
                    delayed.wanted = true;
                    return false;
                }
                None => self.delayed = Some(Delayed { deadline: now + self.delay, wanted: false }),
            }
        }
        match &mut self.pending {
            Some(pending) => {
                pending.retries = RETRIES_MAX;
                false
            }
            None => {
                self.ask(now);
                true
            }
        }
    }

    fn ask(&mut self, now: Time) {
        let heard_from = self.deaf_until.filter(|until| now < *until);
        let deadline = heard_from.unwrap_or(now + RETRY_AFTER);
        self.pending = Some(Pending { deadline, retries: RETRIES_MAX });
        self.asked = Some(now);
    }

    /// A receiver asks for a key frame. True when the sender must be asked now.
    pub fn need_of_receiver(&mut self, now: Time) -> bool {
        let is_asked = self.pending.is_some() || !self.delay.is_zero();
        if is_asked {
            return self.need(now);
        }
        match self.receivers.admit(now) {
            Ok(()) => self.need(now),
            Err(later) => {
                self.receivers.waiting = Some(later);
                false
            }
        }
    }

    /// A key frame is needed whatever was asked before (new stream, resume): the sender must be asked now.
    pub fn force(&mut self, now: Time) {
        if !self.delay.is_zero() {
            self.delayed = Some(Delayed { deadline: now + self.delay, wanted: false });
        }
        self.ask(now);
    }

    /// A key frame is there, and not yet with those who need one: to ask for another would be in vain until [`Self::has_begun`].
    pub fn begins(&mut self) {
        self.pending = None;
        self.receivers.waiting = None;
        self.begins = true;
        if let Some(asked) = self.asked.take() {
            self.deaf_until = Some(asked + DEAF_FOR);
        }
    }

    /// Who needs a key frame from now on needs another one.
    pub fn has_begun(&mut self) {
        self.begins = false;
    }

    /// Nobody is waiting for this stream any more.
    pub fn give_up(&mut self) {
        self.pending = None;
        self.receivers.waiting = None;
        if let Some(delayed) = &mut self.delayed {
            delayed.wanted = false;
        }
    }

    pub fn next_timeout(&self) -> Option<Time> {
        let pending = self.pending.as_ref().map(|pending| pending.deadline);
        let delayed = self.delayed.as_ref().map(|delayed| delayed.deadline);
        [pending, delayed, self.receivers.waiting].into_iter().flatten().min()
    }

    /// True when the sender must be asked now.
    pub fn handle_timeout(&mut self, now: Time) -> bool {
        let mut ask = false;
        if self.pending.as_ref().is_some_and(|pending| pending.deadline <= now) {
            // The request may have been lost, or come too soon.
            let retries = self.pending.take().and_then(|pending| pending.retries.checked_sub(1));
            ask = retries.is_some();
            self.asked = ask.then_some(now).or(self.asked);
            let deadline = now + RETRY_AFTER.max(self.delay);
            self.pending = retries.map(|retries| Pending { deadline, retries });
            if ask && !self.delay.is_zero() {
                let wanted = self.delayed.take().is_some_and(|delayed| delayed.wanted);
                self.delayed = Some(Delayed { deadline: now + self.delay, wanted });
            }
        }
        if self.delayed.as_ref().is_some_and(|delayed| delayed.deadline <= now) {
            let wanted = self.delayed.take().is_some_and(|delayed| delayed.wanted);
            if wanted {
                ask |= self.need(now);
            }
        }
        if self.receivers.waiting.is_some_and(|deadline| deadline <= now) {
            self.receivers.waiting = None;
            ask |= self.need_of_receiver(now);
        }
        ask
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> Time {
        Time::from_millis(millis)
    }

    fn received(requests: &mut KeyFrameRequests) {
        requests.begins();
        requests.has_begun();
    }

    /// When the sender is asked, in milliseconds, if nothing but time passes.
    fn asked_alone(requests: &mut KeyFrameRequests) -> Vec<Time> {
        let next = |requests: &mut KeyFrameRequests| {
            let due = requests.next_timeout()?;
            requests.handle_timeout(due).then_some(due)
        };
        std::iter::from_fn(|| next(requests)).collect()
    }

    #[test]
    fn a_storm_of_wishes_asks_once_and_then_each_second() {
        let mut requests = KeyFrameRequests::default();
        assert!(requests.need(at(0)));
        for millis in 1..900 {
            assert!(!requests.need(at(millis)));
        }
        assert_eq!(asked_alone(&mut requests), [1_000, 2_000, 3_000, 4_000, 5_000].map(at));
        assert_eq!(requests.next_timeout(), None, "a sender that does not answer is left alone");
    }

    #[test]
    fn what_is_needed_anew_is_asked_for_as_often_again() {
        let mut requests = KeyFrameRequests::default();
        assert!(requests.need(at(0)));
        assert!(requests.handle_timeout(at(1_000)));
        assert!(!requests.need(at(1_500)));
        assert_eq!(asked_alone(&mut requests).len(), 5);
        requests.force(at(10_000));
        assert_eq!(asked_alone(&mut requests).len(), 5);
    }

    #[test]
    fn a_key_frame_ends_the_wait() {
        let mut requests = KeyFrameRequests::default();
        assert!(requests.need(at(0)));
        received(&mut requests);
        assert_eq!(requests.next_timeout(), None);
        assert!(requests.need(at(10)));
    }

    #[test]
    fn a_sender_that_may_be_deaf_is_asked_again_as_soon_as_it_listens() {
        let mut requests = KeyFrameRequests::default();
        assert!(requests.need(at(1_000)));
        received(&mut requests);
        assert!(requests.need(at(1_060)) && !requests.need(at(1_100)));
        assert_eq!(asked_alone(&mut requests), [1_350, 2_350, 3_350, 4_350, 5_350].map(at));
        // It listens for as long as it has not answered.
        assert!(requests.need(at(9_000)) && requests.handle_timeout(at(10_000)));
        requests.force(at(10_100));
        assert_eq!(requests.next_timeout(), Some(at(11_100)));
        // A key frame of its own accord makes nobody deaf.
        received(&mut requests);
        received(&mut requests);
        assert!(requests.need(at(20_000)));
        assert_eq!(requests.next_timeout(), Some(at(21_000)));
    }

    #[test]
    fn who_is_about_to_get_a_key_frame_asks_for_none() {
        let mut requests = KeyFrameRequests::new(Duration::from_millis(3_000));
        requests.begins();
        assert!(!requests.need(at(0)) && !requests.need_of_receiver(at(0)));
        assert_eq!(requests.next_timeout(), None, "nor is anything held back");
        requests.has_begun();
        assert!(requests.need(at(1)));
    }

    #[test]
    fn what_nobody_waits_for_is_not_asked_for_again() {
        let mut requests = KeyFrameRequests::new(Duration::from_millis(3_000));
        assert!(requests.need(at(0)) && !requests.need(at(10)));
        requests.give_up();
        assert_eq!(requests.next_timeout(), Some(at(3_000)));
        assert!(!requests.handle_timeout(at(3_000)));
        assert_eq!(requests.next_timeout(), None);
    }

    #[test]
    fn the_delay_lies_between_retries_too_but_for_the_first() {
        let mut requests = KeyFrameRequests::new(Duration::from_millis(4_000));
        assert!(requests.need(at(0)));
        assert!(requests.handle_timeout(at(1_000)));
        assert!(!requests.handle_timeout(at(4_000)), "a wish waits as long as after any request");
        assert_eq!(asked_alone(&mut requests), [5_000, 9_000, 13_000, 17_000].map(at));
    }

    #[test]
    fn the_delay_holds_wishes_back() {
        let mut requests = KeyFrameRequests::new(Duration::from_millis(3_000));
        assert!(requests.need(at(0)));
        received(&mut requests);
        assert!(!requests.need(at(100)));
        assert_eq!(requests.next_timeout(), Some(at(3_000)));
        assert!(requests.handle_timeout(at(3_000)));
    }

    /// Milliseconds at which the sender is asked while receivers ask each millisecond, and it answers after five.
    fn asked_in_a_storm(requests: &mut KeyFrameRequests, millis: std::ops::Range<u64>) -> Vec<u64> {
        let mut asked: Vec<u64> = Vec::new();
        for now in millis {
            if asked.last().is_some_and(|last| last + 5 == now) {
                received(requests);
            }
            let is_due = requests.next_timeout().is_some_and(|due| due <= at(now));
            if (is_due && requests.handle_timeout(at(now))) || requests.need_of_receiver(at(now)) {
                asked.push(now);
            }
        }
        asked
    }

    #[test]
    fn receivers_get_a_key_frame_a_second_in_the_long_run() {
        let mut requests = KeyFrameRequests::default();
        let asked = asked_in_a_storm(&mut requests, 10_000..20_000);
        assert_eq!(asked[..4], [10_000, 10_005, 10_010, 11_000]);
        assert_eq!(asked.len(), 2 + 10);
        assert!(requests.need(at(20_000)), "a new receiver does not wait");
        let asked = asked_in_a_storm(&mut KeyFrameRequests::new(Duration::from_millis(400)), 0..2_000);
        assert_eq!(asked, [0, 400, 800, 1_200, 1_600], "the controller's delay counts where there is one");
    }

    #[test]
    fn a_wish_that_waits_is_met_by_any_key_frame() {
        let mut requests = KeyFrameRequests::default();
        for millis in 0..3 {
            assert!(requests.need_of_receiver(at(5_000 + millis)));
            received(&mut requests);
        }
        assert!(!requests.need_of_receiver(at(5_010)));
        assert_eq!(requests.next_timeout(), Some(at(6_000)));
        received(&mut requests);
        assert_eq!(requests.next_timeout(), None);
        assert!(!requests.need_of_receiver(at(5_020)));
        assert!(requests.handle_timeout(at(6_000)), "and else by one that is asked for");
        assert_eq!(requests.next_timeout(), Some(at(7_000)), "with a retry");
    }

    #[test]
    fn force_asks_again_and_keeps_a_retry() {
        let mut requests = KeyFrameRequests::default();
        assert!(requests.need(at(0)));
        requests.force(at(500));
        assert_eq!(requests.next_timeout(), Some(at(1_500)));
        assert!(requests.handle_timeout(at(1_500)));
    }
}
