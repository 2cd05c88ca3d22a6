//! Commands of observers, and what happens to observers when their producers change.

use std::time::Duration;

use ringsoup_rtc::time::Time;

use crate::command::{
    ActiveSpeakerObserverOptions, AudioLevelObserverOptions, CommandError, ObserverCommand,
};
use crate::name::Name;
use crate::observer::active_speaker::{self, ActiveSpeaker};
use crate::observer::audio_level::{self, AudioLevels};
use crate::observer::{Members, Observer, Seat};
use crate::outbox::Outbox;
use crate::producer::Producer;
use crate::reply::Reply;
use crate::rtp_parameters::MediaKind;
use crate::sfu::{Entity, Sfu};
use crate::table::Id;
use crate::timers::Timer;

fn interval((min, max): (u16, u16), asked_ms: u16) -> Duration {
    Duration::from_millis(u64::from(asked_ms.clamp(min, max)))
}

impl Sfu {
    pub(crate) fn create_active_speaker_observer(
        &mut self,
        now: Time,
        router: &str,
        name: Name,
        options: ActiveSpeakerObserverOptions,
    ) -> Result<Reply, CommandError> {
        let interval = interval(active_speaker::INTERVAL_MS, options.interval_ms);
        self.insert_observer(now, router, name, interval, Members::ActiveSpeaker(ActiveSpeaker::default()))
    }

    pub(crate) fn create_audio_level_observer(
        &mut self,
        now: Time,
        router: &str,
        name: Name,
        options: &AudioLevelObserverOptions,
    ) -> Result<Reply, CommandError> {
        let members = Members::AudioLevel(AudioLevels::new(options)?);
        let interval = interval(audio_level::INTERVAL_MS, options.interval_ms);
        self.insert_observer(now, router, name, interval, members)
    }

    fn insert_observer(
        &mut self,
        now: Time,
        router: &str,
        name: Name,
        interval: Duration,
        members: Members,
    ) -> Result<Reply, CommandError> {
        let router = self.router(router)?;
        self.check_name_is_free(&name)?;
        let id = self.observers.insert(Observer::new(name.clone(), router, interval, members));
        self.names.insert(name, Entity::Observer(id));
        self.routers[router].observers.push(id);
        self.start_observer(now, id);
        Ok(Reply::Done)
    }

    fn start_observer(&mut self, now: Time, id: Id<Observer>) {
        let deadline = self.observers[id].start(now);
        self.timers.set(deadline, Timer::Observer(id));
    }

    pub(crate) fn close_observer_of(&mut self, router: &str, name: &str) -> Result<Reply, CommandError> {
        let router = self.router(router)?;
        let id = self.observer(name).ok().filter(|&id| self.observers[id].router == router);
        let id = id.ok_or_else(|| {
            CommandError::not_found("RtpObserver not found [method:router.closeRtpObserver]")
        })?;
        self.close_observer(id);
        Ok(Reply::Done)
    }

    pub(crate) fn close_observer(&mut self, id: Id<Observer>) {
        let Some(observer) = self.observers.remove(id) else { return };
        self.names.remove(&observer.name);
        self.routers[observer.router].observers.retain(|&other| other != id);
        for member in 0..observer.len() {
            if let Some(producer) = observer.producer_at(member) {
                self.producers[producer].seats.retain(|seat| seat.observer != id);
            }
        }
    }

    fn observer(&self, name: &str) -> Result<Id<Observer>, CommandError> {
        match self.names.get(name) {
            Some(&Entity::Observer(id)) => Ok(id),
            _ => Err(CommandError::not_found(format!("RtpObserver not found [rtpObserverId:{name}]"))),
        }
    }

    pub(crate) fn handle_observer_command(
        &mut self,
        now: Time,
        name: &str,
        command: &ObserverCommand,
        out: &mut Outbox,
    ) -> Result<Reply, CommandError> {
        let id = self.observer(name)?;
        match command {
            ObserverCommand::Pause => self.pause_observer(id, out),
            ObserverCommand::Resume => self.resume_observer(now, id),
            ObserverCommand::AddProducer { producer } => {
                let producer = self.producer_for(id, producer)?;
                self.add_to_observer(now, id, producer)?;
            }
            ObserverCommand::RemoveProducer { producer } => {
                let producer = self.producer_for(id, producer)?;
                let is_ours = |seat: &&Seat| seat.observer == id;
                if let Some(&seat) = self.producers[producer].seats.iter().find(is_ours) {
                    self.vacate(producer, seat, out);
                }
            }
        }
        Ok(Reply::Done)
    }

    fn pause_observer(&mut self, id: Id<Observer>, out: &mut Outbox) {
        let observer = &mut self.observers[id];
        if !observer.paused {
            observer.paused = true;
            observer.stop(out);
        }
    }

    fn resume_observer(&mut self, now: Time, id: Id<Observer>) {
        if self.observers[id].paused {
            self.observers[id].paused = false;
            self.start_observer(now, id);
        }
    }

    /// An observer listens to the producers of its own router.
    fn producer_for(&self, observer: Id<Observer>, name: &str) -> Result<Id<Producer>, CommandError> {
        let router = self.observers[observer].router;
        let producer = self.producer(name).ok().filter(|&id| self.producers[id].router == router);
        producer.ok_or_else(|| CommandError::not_found("Producer not found"))
    }

    fn add_to_observer(
        &mut self,
        now: Time,
        id: Id<Observer>,
        producer_id: Id<Producer>,
    ) -> Result<(), CommandError> {
        let producer = &mut self.producers[producer_id];
        let observer = &mut self.observers[id];
        if producer.kind != MediaKind::Audio {
            return Err(CommandError::type_error("not an audio Producer"));
        }
        if producer.seats.iter().any(|seat| seat.observer == id) {
            return match observer.members {
                Members::ActiveSpeaker(_) => Err(CommandError::error("Producer already in map")),
                Members::AudioLevel(_) => Ok(()),
            };
        }
        let member = observer.add(now, producer_id, producer.name.clone(), producer.paused);
        producer.seats.push(Seat { observer: id, member });
        Ok(())
    }

    /// Takes a producer out of one observer; whoever moved up into its place is told so.
    fn vacate(&mut self, producer: Id<Producer>, seat: Seat, out: &mut Outbox) {
        self.producers[producer].seats.retain(|other| *other != seat);
        let Some(moved) = self.observers[seat.observer].remove(seat.member, out) else { return };
        let mut seats = self.producers[moved].seats.iter_mut();
        if let Some(place) = seats.find(|other| other.observer == seat.observer) {
            place.member = seat.member;
        }
    }

    /// A producer is about to go: no observer knows it any more.
    pub(crate) fn leave_observers(&mut self, producer: Id<Producer>, out: &mut Outbox) {
        while let Some(&seat) = self.producers[producer].seats.last() {
            self.vacate(producer, seat, out);
        }
    }

    pub(crate) fn tell_observers_of_pause(&mut self, producer: Id<Producer>) {
        let producer = &self.producers[producer];
        for seat in &producer.seats {
            self.observers[seat.observer].set_producer_paused(seat.member, producer.paused);
        }
    }
}
