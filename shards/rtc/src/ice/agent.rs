//! The side of ICE that an SFU takes: lite and controlled, it answers checks and begins none.

use std::time::Duration;

use super::Credentials;

/// The shortest silence that may be taken for the end of a peer's consent (RFC 7675), seconds: two of its checks are
/// 5 s apart.
const CONSENT_SECONDS_MIN: u8 = 10;
/// And the longest, seconds: media goes nowhere meanwhile.
const CONSENT_SECONDS_MAX: u8 = 60;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    New,
    Connected,
    Completed,
    Disconnected,
}

#[derive(Debug)]
pub struct Agent {
    pub state: State,
    credentials: Credentials,
    /// From before a restart: good until the peer uses the new ones.
    previous: Option<Credentials>,
    /// `None`: the peer's silence is never taken for its end.
    pub consent_timeout: Option<Duration>,
}

impl Agent {
    pub fn new(credentials: Credentials, consent_timeout: Option<Duration>) -> Self {
        Self { state: State::New, credentials, previous: None, consent_timeout }
    }

    /// What the peer is to use from now on.
    pub fn credentials(&self) -> &Credentials {
        &self.credentials
    }

    /// Fragments that checks may name: the present one, and the one before the last restart.
    pub fn username_fragments(&self) -> impl Iterator<Item = &str> {
        let all = [Some(&self.credentials), self.previous.as_ref()];
        all.into_iter().flatten().map(|credentials| &*credentials.username_fragment)
    }

    /// New credentials (RFC 8445 section 9). What is selected stays selected.
    pub fn restart(&mut self, credentials: Credentials) {
        self.previous = Some(std::mem::replace(&mut self.credentials, credentials));
    }
}

/// The consent timeout that a request for this many seconds comes to; 0 means none.
pub fn consent_timeout(seconds: u8) -> Option<Duration> {
    let clamped = seconds.clamp(CONSENT_SECONDS_MIN, CONSENT_SECONDS_MAX);
    (seconds > 0).then(|| Duration::from_secs(clamped.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn credentials(word: &str) -> Credentials {
        Credentials { username_fragment: word.into(), password: "secret".into() }
    }

    #[test]
    fn a_restart_keeps_the_credentials_before_it_and_no_older_ones() {
        let mut agent = Agent::new(credentials("a"), None);
        assert_eq!(agent.state, State::New);
        assert_eq!(agent.username_fragments().collect::<Vec<_>>(), ["a"]);
        agent.restart(credentials("b"));
        agent.restart(credentials("c"));
        assert_eq!(agent.credentials().username_fragment, "c");
        assert_eq!(agent.username_fragments().collect::<Vec<_>>(), ["c", "b"]);
    }

    #[test]
    fn consent_is_not_asked_for_too_often_or_too_rarely() {
        let seconds = |asked| consent_timeout(asked).map(|timeout| timeout.as_secs());
        assert_eq!(
            [0, 1, 10, 30, 60, 61, 255].map(seconds),
            [None, Some(10), Some(10), Some(30), Some(60), Some(60), Some(60)]
        );
    }
}
