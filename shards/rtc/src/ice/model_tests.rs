//! Any sequence of checks, restarts, closings, media and silence.

use std::time::Duration;

use proptest::prelude::*;

use super::agent::{Event, Outcome, State};
use super::test_support::{CONSENT_SECONDS, Check, Pair};
use super::tuples::TUPLES_MAX;

#[derive(Debug, Clone)]
enum Step {
    /// With the credentials so many restarts ago.
    Check {
        tuple: u32,
        age: u32,
        check: Check,
    },
    Restart,
    Remove(u32),
    Follow(u32),
    Wait(u64),
}

fn step() -> impl Strategy<Value = Step> {
    let tuple = 0..12_u32;
    let nomination = || prop::option::weighted(0.3, 0..5_u32);
    let check = (any::<bool>(), nomination(), nomination(), prop::bool::weighted(0.05));
    prop_oneof![
        6 => (tuple.clone(), 0..3_u32, check).prop_map(|(tuple, age, parts)| {
            let (use_candidate, nomination, nomination_old, is_controlled) = parts;
            let check = Check { credentials: 0, use_candidate, nomination, nomination_old, is_controlled };
            Step::Check { tuple, age, check }
        }),
        1 => Just(Step::Restart),
        3 => tuple.clone().prop_map(Step::Remove),
        1 => tuple.prop_map(Step::Follow),
        1 => (0..40_000_u64).prop_map(Step::Wait),
    ]
}

/// What a listener knows who hears of changes alone, and which credentials are good.
struct Model {
    tuples: Vec<u32>,
    selected: Option<u32>,
    state: State,
    restarts: u32,
    /// Credentials from before the last restart that are still good.
    has_previous: bool,
}

impl Model {
    /// Every event is a change.
    fn hear(&mut self, event: &Event<u32>) -> Result<(), TestCaseError> {
        match event {
            Event::Added(tuple) => {
                prop_assert!(!self.tuples.contains(tuple));
                self.tuples.push(*tuple);
                prop_assert!(self.tuples.len() <= TUPLES_MAX);
            }
            Event::Dropped(tuple) => {
                prop_assert!(self.tuples.contains(tuple));
                self.tuples.retain(|known| known != tuple);
                self.selected = self.selected.filter(|selected| selected != tuple);
            }
            Event::Selected(tuple) => {
                prop_assert!(self.tuples.contains(tuple) && self.selected != Some(*tuple));
                self.selected = Some(*tuple);
            }
            Event::State(state) => {
                prop_assert_ne!(self.state, *state);
                prop_assert_ne!(*state, State::New);
                self.state = *state;
            }
            Event::Retired(_) => {
                prop_assert!(self.has_previous);
                self.has_previous = false;
            }
        }
        Ok(())
    }

    fn hear_all(&mut self, events: &[Event<u32>]) -> Result<(), TestCaseError> {
        events.iter().try_for_each(|event| self.hear(event))
    }

    fn agrees(&self, pair: &Pair) -> Result<(), TestCaseError> {
        let agent = &pair.agent;
        prop_assert!(agent.tuples().eq(self.tuples.iter().copied()), "oldest first");
        prop_assert_eq!(agent.selected(), self.selected);
        prop_assert_eq!(agent.state(), self.state);
        let is_up = matches!(self.state, State::Connected | State::Completed);
        prop_assert_eq!(is_up, !self.tuples.is_empty());
        prop_assert_eq!(is_up, self.selected.is_some());
        prop_assert_eq!(is_up, agent.next_timeout().is_some());
        prop_assert_eq!(agent.username_fragments().count(), 1 + usize::from(self.has_previous));
        Ok(())
    }

    fn check(&mut self, pair: &mut Pair, tuple: u32, age: u32, check: Check) -> Result<(), TestCaseError> {
        let is_good = age == 0 || age == 1 && self.has_previous;
        let credentials = self.restarts.checked_sub(age).unwrap_or(u32::MAX);
        let outcome = pair.send(tuple, &Check { credentials, ..check }.bytes());
        let events = std::mem::take(&mut pair.events);
        self.hear_all(&events)?;
        if is_good && age == 0 {
            prop_assert!(!self.has_previous, "the first use of the new ones retires the old");
        }
        let is_answered = matches!(outcome, Outcome::Answered { .. });
        prop_assert_eq!(is_answered, is_good && !check.is_controlled);
        if is_answered {
            prop_assert!(self.tuples.contains(&tuple));
            let timeout = Duration::from_secs(CONSENT_SECONDS.into());
            prop_assert_eq!(pair.agent.next_timeout(), Some(pair.now + timeout));
        } else {
            let is_retirement = |event: &Event<u32>| matches!(event, Event::Retired(_));
            prop_assert!(events.iter().all(is_retirement), "a refused check moves nothing");
        }
        Ok(())
    }

    fn step(&mut self, pair: &mut Pair, step: Step) -> Result<(), TestCaseError> {
        match step {
            Step::Check { tuple, age, check } => self.check(pair, tuple, age, check),
            Step::Restart => {
                self.restarts += 1;
                let events = pair.restart(self.restarts);
                prop_assert_eq!(events.len(), usize::from(self.has_previous));
                self.hear_all(&events)?;
                self.has_previous = true;
                Ok(())
            }
            Step::Remove(tuple) => {
                let events = pair.remove(tuple);
                self.hear_all(&events)?;
                prop_assert!(!self.tuples.contains(&tuple));
                Ok(())
            }
            Step::Follow(tuple) => {
                let events = pair.follow(tuple);
                self.hear_all(&events)?;
                prop_assert_eq!(self.tuples.contains(&tuple), self.selected == Some(tuple));
                Ok(())
            }
            Step::Wait(millis) => {
                pair.now += Duration::from_millis(millis);
                let is_due = pair.agent.next_timeout().is_some_and(|until| until <= pair.now);
                let events = pair.timeout();
                prop_assert_eq!(is_due, !events.is_empty());
                self.hear_all(&events)
            }
        }
    }
}

proptest! {
    #[test]
    fn what_is_told_is_what_is(steps in prop::collection::vec(step(), 0..120)) {
        let mut pair = Pair::new();
        let mut model =
            Model { tuples: vec![], selected: None, state: State::New, restarts: 0, has_previous: false };
        for step in steps {
            model.step(&mut pair, step)?;
            model.agrees(&pair)?;
        }
    }
}
