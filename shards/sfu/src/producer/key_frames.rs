//! Key-frame requests towards one stream: coalesced, repeated once, delayed when the controller asks for it.
//!
//! However many consumers ask, the sender is asked once until its key frame comes, and once more when it has not come after
//! [`RETRY_AFTER`] (and not more often than `keyFrameRequestDelay` allows): a storm of PLI downstream stays one PLI
//! upstream, and a PLI that is lost is repeated.

use std::time::Duration;

use ringsoup_rtc::time::Time;

/// A key frame that did not come after this long may have been asked for in vain.
pub const RETRY_AFTER: Duration = Duration::from_millis(1_000);

/// The requests of one stream.
#[derive(Debug, Clone, Default)]
pub struct KeyFrameRequests {
    /// Zero when requests are not delayed.
    delay: Duration,
    pending: Option<Pending>,
    delayed: Option<Delayed>,
}

/// Asked for, not yet received.
#[derive(Debug, Clone)]
struct Pending {
    deadline: Time,
    retry: bool,
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
                pending.retry = true;
                false
            }
            None => {
                self.pending = Some(Pending { deadline: now + RETRY_AFTER, retry: true });
                true
            }
        }
    }

    /// A key frame is needed whatever was asked before (new stream, resume): the sender must be asked now.
    pub fn force(&mut self, now: Time) {
        if !self.delay.is_zero() {
            self.delayed = Some(Delayed { deadline: now + self.delay, wanted: false });
        }
        self.pending = Some(Pending { deadline: now + RETRY_AFTER, retry: true });
    }

    pub fn received(&mut self) {
        self.pending = None;
    }

    pub fn next_timeout(&self) -> Option<Time> {
        let pending = self.pending.as_ref().map(|pending| pending.deadline);
        let delayed = self.delayed.as_ref().map(|delayed| delayed.deadline);
        match (pending, delayed) {
            (Some(pending), Some(delayed)) => Some(pending.min(delayed)),
            (pending, delayed) => pending.or(delayed),
        }
    }

    /// True when the sender must be asked now.
    pub fn handle_timeout(&mut self, now: Time) -> bool {
        let mut ask = false;
        if self.pending.as_ref().is_some_and(|pending| pending.deadline <= now) {
            let retry = self.pending.take().is_some_and(|pending| pending.retry);
            if retry {
                // The request may have been lost: once more, and then never again for this wish.
                self.pending = Some(Pending { deadline: now + RETRY_AFTER, retry: false });
                ask = true;
            }
        }
        if self.delayed.as_ref().is_some_and(|delayed| delayed.deadline <= now) {
            let wanted = self.delayed.take().is_some_and(|delayed| delayed.wanted);
            if wanted {
                ask |= self.need(now);
            }
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

    #[test]
    fn a_storm_of_wishes_asks_once_and_retries_once() {
        let mut requests = KeyFrameRequests::default();
        assert!(requests.need(at(0)));
        for millis in 1..900 {
            assert!(!requests.need(at(millis)));
        }
        assert_eq!(requests.next_timeout(), Some(at(1_000)));
        assert!(requests.handle_timeout(at(1_000)));
        assert!(!requests.handle_timeout(at(2_000)));
        assert_eq!(requests.next_timeout(), None);
    }

    #[test]
    fn a_lost_request_is_repeated_once_though_nobody_asks_again() {
        let mut requests = KeyFrameRequests::default();
        assert!(requests.need(at(0)));
        assert!(requests.handle_timeout(at(1_000)));
        assert!(!requests.handle_timeout(at(2_000)));
        requests.force(at(3_000));
        assert!(requests.handle_timeout(at(4_000)));
        assert_eq!(requests.next_timeout(), Some(at(5_000)));
    }

    #[test]
    fn a_key_frame_ends_the_wait() {
        let mut requests = KeyFrameRequests::default();
        assert!(requests.need(at(0)));
        requests.received();
        assert_eq!(requests.next_timeout(), None);
        assert!(requests.need(at(10)));
    }

    #[test]
    fn the_delay_holds_wishes_back() {
        let mut requests = KeyFrameRequests::new(Duration::from_millis(3_000));
        assert!(requests.need(at(0)));
        requests.received();
        assert!(!requests.need(at(100)));
        assert_eq!(requests.next_timeout(), Some(at(3_000)));
        assert!(requests.handle_timeout(at(3_000)));
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
