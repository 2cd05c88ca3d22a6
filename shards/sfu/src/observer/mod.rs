//! Observers: what is heard in a router's audio producers, by the level that packets carry (RFC 6464).
//!
//! ```text
//! forward_rtp ─► producer.seats (nearly always empty) ─► hear()          no allocation, a few stores
//! timer wheel ─► handle_observer_timeout ─► update() ─► at most one event
//! ```
//! An observer has one member per producer that was added to it; the producer keeps its [`Seat`]s, so that a packet
//! finds its members without a search.

pub mod active_speaker;
pub mod audio_level;
pub mod speech;

use std::time::Duration;

use ringsoup_rtc::rtp::RtpPacket;
use ringsoup_rtc::rtp::extension::AudioLevel;
use ringsoup_rtc::time::Time;

use crate::event::Event;
use crate::name::Name;
use crate::outbox::Outbox;
use crate::producer::Producer;
use crate::router::Router;
use crate::sfu::Sfu;
use crate::table::Id;
use crate::timers::Timer;

use active_speaker::ActiveSpeaker;
use audio_level::{AudioLevels, Loudness};

/// A producer's place in an observer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seat {
    pub(crate) observer: Id<Observer>,
    /// Index among the observer's members.
    pub(crate) member: usize,
}

#[derive(Debug)]
pub struct Observer {
    pub(crate) name: Name,
    pub(crate) router: Id<Router>,
    pub(crate) paused: bool,
    interval: Duration,
    /// When it sums up next; `None` while paused.
    deadline: Option<Time>,
    pub(crate) members: Members,
}

/// The producers an observer listens to, and what it heard of them.
#[derive(Debug)]
pub enum Members {
    ActiveSpeaker(ActiveSpeaker),
    AudioLevel(AudioLevels),
}

impl Observer {
    pub(crate) fn new(name: Name, router: Id<Router>, interval: Duration, members: Members) -> Self {
        Self { name, router, paused: false, interval, deadline: None, members }
    }

    /// Takes a producer in and returns its index. It must not be a member already.
    pub(crate) fn add(&mut self, now: Time, id: Id<Producer>, name: Name, is_paused: bool) -> usize {
        match &mut self.members {
            Members::ActiveSpeaker(speakers) => speakers.add(now, id, name, is_paused),
            Members::AudioLevel(levels) => levels.add(id, name),
        }
    }

    /// Takes a member out. The one that has its index now, if any, is returned.
    pub(crate) fn remove(&mut self, member: usize, out: &mut Outbox) -> Option<Id<Producer>> {
        match &mut self.members {
            Members::ActiveSpeaker(speakers) => {
                let dominant = speakers.remove(member);
                out.events.extend(dominant.map(|producer| dominant_event(&self.name, producer)));
            }
            Members::AudioLevel(levels) => levels.remove(member),
        }
        self.producer_at(member)
    }

    pub(crate) fn len(&self) -> usize {
        match &self.members {
            Members::ActiveSpeaker(speakers) => speakers.len(),
            Members::AudioLevel(levels) => levels.len(),
        }
    }

    pub(crate) fn producer_at(&self, member: usize) -> Option<Id<Producer>> {
        match &self.members {
            Members::ActiveSpeaker(speakers) => speakers.producer_at(member),
            Members::AudioLevel(levels) => levels.producer_at(member),
        }
    }

    pub(crate) fn set_producer_paused(&mut self, member: usize, is_paused: bool) {
        match &mut self.members {
            Members::ActiveSpeaker(speakers) => speakers.set_paused(member, is_paused),
            Members::AudioLevel(levels) => levels.forget(member),
        }
    }

    /// Starts the intervals, the first of which ends one interval from now.
    pub(crate) fn start(&mut self, now: Time) -> Time {
        let deadline = now + self.interval;
        self.deadline = Some(deadline);
        deadline
    }

    pub(crate) fn stop(&mut self, out: &mut Outbox) {
        self.deadline = None;
        if let Members::AudioLevel(levels) = &mut self.members
            && levels.silence()
        {
            out.events.push(Event::AudioLevelObserverSilence { observer: self.name.clone() });
        }
    }

    fn hear(&mut self, now: Time, member: usize, level: AudioLevel) {
        if self.paused {
            return;
        }
        match &mut self.members {
            Members::ActiveSpeaker(speakers) => speakers.hear(now, member, level),
            Members::AudioLevel(levels) => levels.hear(member, level),
        }
    }

    /// Sums up an interval that has ended; returns when the next one does.
    fn handle_timeout(&mut self, now: Time, out: &mut Outbox) -> Option<Time> {
        let deadline = self.deadline.filter(|&deadline| deadline <= now)?;
        // On the grid of the first one, unless a shard that stood still would have to catch up.
        let next = deadline + self.interval;
        let next = if next > now { next } else { now + self.interval };
        self.deadline = Some(next);
        let observer = self.name.clone();
        let event = match &mut self.members {
            Members::ActiveSpeaker(speakers) => {
                speakers.update(now).map(|producer| dominant_event(&self.name, producer))
            }
            Members::AudioLevel(levels) => match levels.update() {
                Loudness::Volumes(volumes) => Some(Event::AudioLevelObserverVolumes { observer, volumes }),
                Loudness::FellSilent => Some(Event::AudioLevelObserverSilence { observer }),
                Loudness::StillSilent => None,
            },
        };
        out.events.extend(event);
        Some(next)
    }
}

fn dominant_event(observer: &Name, producer: Name) -> Event {
    Event::ActiveSpeakerObserverDominantSpeaker { observer: observer.clone(), producer }
}

impl Sfu {
    /// Lets a producer's observers hear a packet that the router takes.
    pub(crate) fn observe(
        &mut self,
        now: Time,
        producer: Id<Producer>,
        packet: &RtpPacket<'_>,
        payload_type: u8,
    ) {
        let Self { producers, observers, .. } = self;
        let producer = &producers[producer];
        let value = producer.mapping.ids.audio_level.and_then(|id| packet.extension(id));
        let Some(level) = value.and_then(AudioLevel::parse) else { return };
        if producer.mapping.payload_type(payload_type).is_none() {
            return;
        }
        for seat in &producer.seats {
            observers[seat.observer].hear(now, seat.member, level);
        }
    }

    pub(crate) fn handle_observer_timeout(&mut self, now: Time, id: Id<Observer>, out: &mut Outbox) {
        // A timer of an earlier deadline, or of a former owner of the id, finds nothing due.
        let Some(observer) = self.observers.get_mut(id) else { return };
        if let Some(next) = observer.handle_timeout(now, out) {
            self.timers.set(next, Timer::Observer(id));
        }
    }
}
