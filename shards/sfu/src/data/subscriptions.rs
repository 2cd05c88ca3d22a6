//! The subchannels a data consumer has subscribed to, and which messages get through to it for that.

use std::collections::HashMap;

use ringsoup_rtc::subchannels::Audience;

/// A set that remembers the order in which its members came, as dumps show them. At most 65,536 members.
#[derive(Debug, Default)]
pub struct Subscriptions {
    order: Vec<u16>,
    places: HashMap<u16, usize, foldhash::fast::RandomState>,
}

impl Subscriptions {
    pub fn insert(&mut self, subchannel: u16) {
        self.places.entry(subchannel).or_insert_with(|| {
            self.order.push(subchannel);
            self.order.len() - 1
        });
    }

    /// The last one takes the place that becomes free.
    pub fn remove(&mut self, subchannel: u16) {
        let Some(place) = self.places.remove(&subchannel) else { return };
        self.order.swap_remove(place);
        if let Some(&moved) = self.order.get(place) {
            self.places.insert(moved, place);
        }
    }

    pub fn contains(&self, subchannel: u16) -> bool {
        self.places.contains_key(&subchannel)
    }

    pub fn is_empty(&self) -> bool {
        self.order.is_empty()
    }

    pub fn to_vec(&self) -> Vec<u16> {
        self.order.clone()
    }

    /// Whether a message for `audience` is for this subscriber. A pipe stands for all subscribers behind it: without
    /// subscriptions it takes everything, and whom to ignore is not for it to say.
    pub fn admit(&self, audience: &Audience, is_pipe: bool) -> bool {
        if is_pipe && self.is_empty() {
            return true;
        }
        let is_wanted = |subchannel: &u16| self.contains(*subchannel);
        audience.required.as_ref().is_none_or(is_wanted)
            && (is_pipe || !audience.ignored.as_ref().is_some_and(is_wanted))
            && (audience.subchannels.is_empty() || audience.subchannels.iter().any(is_wanted))
    }

    /// What a pipe tells its other end of `audience`: only the subchannels that it carries.
    pub fn reduce(&self, audience: &Audience) -> Audience {
        let mut reduced = audience.clone();
        if !self.is_empty() {
            reduced.subchannels.retain(|&subchannel| self.contains(subchannel));
        }
        reduced
    }
}

impl FromIterator<u16> for Subscriptions {
    fn from_iter<T: IntoIterator<Item = u16>>(subchannels: T) -> Self {
        let mut subscriptions = Self::default();
        subchannels.into_iter().for_each(|subchannel| subscriptions.insert(subchannel));
        subscriptions
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::collection::vec;
    use proptest::option;
    use proptest::prelude::*;

    use super::*;

    /// Few numbers, so that they meet.
    const NUMBERS: std::ops::Range<u16> = 0..6;

    fn audience() -> impl Strategy<Value = Audience> {
        (vec(NUMBERS, 0..4), option::of(NUMBERS), option::of(NUMBERS))
            .prop_map(|(subchannels, required, ignored)| Audience { subchannels, required, ignored })
    }

    #[test]
    fn order_is_that_of_coming_and_duplicates_are_one() {
        let mut subscriptions: Subscriptions = [9, 3, 9, 7, 3].into_iter().collect();
        assert_eq!(subscriptions.to_vec(), [9, 3, 7]);
        subscriptions.remove(9);
        subscriptions.remove(1);
        assert_eq!(subscriptions.to_vec(), [7, 3]);
        subscriptions.remove(7);
        subscriptions.remove(3);
        assert!(subscriptions.is_empty());
    }

    proptest! {
        #[test]
        fn it_is_a_set(operations in vec((any::<bool>(), NUMBERS), 0..40)) {
            let (mut subscriptions, mut model) = (Subscriptions::default(), BTreeSet::new());
            for (insert, number) in operations {
                if insert {
                    subscriptions.insert(number);
                    model.insert(number);
                } else {
                    subscriptions.remove(number);
                    model.remove(&number);
                }
                let members: BTreeSet<u16> = subscriptions.to_vec().into_iter().collect();
                prop_assert_eq!(&members, &model);
                prop_assert_eq!(subscriptions.to_vec().len(), model.len());
                for number in NUMBERS {
                    prop_assert_eq!(subscriptions.contains(number), model.contains(&number));
                }
            }
        }

        /// The three rules, each on its own: a message is refused exactly when one of them says so.
        #[test]
        fn each_condition_refuses_by_itself(members in vec(NUMBERS, 0..4), audience in audience()) {
            let set: BTreeSet<u16> = members.iter().copied().collect();
            let subscriptions: Subscriptions = members.into_iter().collect();
            let misses_required = matches!(audience.required, Some(number) if !set.contains(&number));
            let has_ignored = matches!(audience.ignored, Some(number) if set.contains(&number));
            let wanted: BTreeSet<u16> = audience.subchannels.iter().copied().collect();
            let shares_none = !wanted.is_empty() && wanted.is_disjoint(&set);
            let refused = misses_required || has_ignored || shares_none;
            prop_assert_eq!(subscriptions.admit(&audience, false), !refused);
            let refused_by_pipe = !set.is_empty() && (misses_required || shares_none);
            prop_assert_eq!(subscriptions.admit(&audience, true), !refused_by_pipe);
        }

        /// Whoever is behind a pipe gets the same messages as beside its producer, as long as the pipe carries
        /// all that they have subscribed to.
        #[test]
        fn a_pipe_changes_nothing_for_those_behind_it(
            members in vec(NUMBERS, 0..4),
            more in vec(NUMBERS, 0..3),
            audience in audience(),
        ) {
            let subscriber: Subscriptions = members.iter().copied().collect();
            let beside = subscriber.admit(&audience, false);
            for carried in [Vec::new(), [members, more].concat()] {
                let pipe: Subscriptions = carried.into_iter().collect();
                let behind = pipe.admit(&audience, true) && subscriber.admit(&pipe.reduce(&audience), false);
                prop_assert_eq!(behind, beside);
            }
        }
    }
}
