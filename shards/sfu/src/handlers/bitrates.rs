//! What a transport's receiver can take, given out to its consumers.

use std::time::Duration;

use ringsoup_rtc::time::Time;

use crate::command::CommandError;
use crate::consumer::Consumer;
use crate::consumer::ladder::{Ladder, LayerRates, Layered};
use crate::outbox::Outbox;
use crate::producer::Producer;
use crate::rtp_parameters::{MediaKind, RtpType};
use crate::rules::TemporalRule;
use crate::sfu::Sfu;
use crate::table::Id;
use crate::transport::Transport;
use crate::transport::bitrate_allocator::{Budget, Claim, desired, distribute};

/// A simulcast stream that has been there for less does not take the place of one that has.
const SETTLED_AFTER: Duration = Duration::from_millis(2_000);
/// After a step down for want of bits, no step up is tried for this long.
const CONSERVATIVE_FOR: Duration = Duration::from_millis(10_000);
/// A consumer younger than this has not found its layer yet: its steps down say nothing.
const SEEKING_FOR: Duration = Duration::from_millis(8_000);

impl Sfu {
    /// What a transport's receiver can take is known, or known better. This is where an estimator comes in; until there is one,
    /// nobody calls it, and every budget is unlimited.
    ///
    /// # Errors
    /// `NotFoundError` when there is no such transport.
    pub fn handle_budget(
        &mut self,
        now: Time,
        transport: &str,
        budget: Budget,
        out: &mut Outbox,
    ) -> Result<(), CommandError> {
        let id = self.transport(transport)?;
        self.transports[id].budget = budget;
        match budget {
            Budget::Limited(_) => self.distribute_bitrate(now, id, out),
            Budget::Unlimited => {
                for consumer in self.transports[id].consumers.clone() {
                    self.retarget_layers(now, consumer, out);
                }
            }
        }
        Ok(())
    }

    /// Bits per second that a transport's consumers could use: what is worth probing for.
    ///
    /// # Errors
    /// `NotFoundError` when there is no such transport.
    pub fn desired_bitrate(&self, now: Time, transport: &str) -> Result<u64, CommandError> {
        let id = self.transport(transport)?;
        Ok(desired(&self.claims(now, id)))
    }

    /// Gives out a limited budget anew: whatever one consumer takes, others cannot have.
    pub(crate) fn distribute_bitrate(&mut self, now: Time, id: Id<Transport>, out: &mut Outbox) {
        let Budget::Limited(budget) = self.transports[id].budget else { return };
        let mut claims = self.claims(now, id);
        distribute(budget, &mut claims);
        for claim in &claims {
            if let Ladder::Layered(layered) = &claim.ladder {
                self.apply_layers(now, claim.consumer, layered, out);
            }
        }
    }

    fn apply_layers(&mut self, now: Time, id: Id<Consumer>, given: &Layered, out: &mut Outbox) {
        let layers = self.layers_of(id);
        let current = layers.current();
        let has_changed = layers.target() != given.reached;
        let retarget = layers.aim(given.reached);
        self.follow_choice(now, id, retarget, out);
        let consumer = &mut self.consumers[id];
        let began = consumer.streams[0].active_since;
        let is_settled = began.is_some_and(|began| now.saturating_since(began) > SEEKING_FOR);
        let Some((current, reached)) = current.zip(given.reached) else { return };
        let goes_down = reached.spatial < current.spatial && current.spatial <= given.preferred.spatial;
        if has_changed && is_settled && goes_down {
            consumer.went_down = Some(now);
        }
    }

    /// Of the video consumers that take packets. Audio is too thin to ration, and a pipe carries all there is.
    fn claims(&self, now: Time, id: Id<Transport>) -> Vec<Claim> {
        let transport = &self.transports[id];
        let claim = |&id: &Id<Consumer>| {
            let consumer = &self.consumers[id];
            let is_rationed = consumer.kind == MediaKind::Video && !consumer.is_pipe();
            if !is_rationed || !consumer.is_active() {
                return None;
            }
            let loss = f64::from(consumer.streams[0].fraction_lost) / 256.0;
            Some(Claim {
                consumer: id,
                priority: consumer.priority,
                bitrate_max: consumer.parameters.encodings[0].max_bitrate.unwrap_or(0),
                loss: transport.outgoing.is_told_by_receiver().then_some(loss),
                ladder: ladder(now, consumer, &self.producers[consumer.producer], self.config.rules.temporal),
            })
        };
        transport.consumers.iter().filter_map(claim).collect()
    }
}

/// What a consumer can be sent of what its producer sends now.
fn ladder(now: Time, consumer: &Consumer, producer: &Producer, rule: TemporalRule) -> Ladder {
    let any_stream = |encoding| producer.streams[consumer.stream_of(producer, encoding)?].as_ref();
    let stream = |encoding| any_stream(encoding).filter(|stream| stream.score.value() > 0);
    let own = &producer.egresses[consumer.streams[0].egress].layers;
    let preferred = own.preferred();
    let layers = match consumer.rtp_type {
        RtpType::Simulcast => {
            let layer = |encoding| {
                let stream = stream(encoding)?;
                let is_settled = now.saturating_since(stream.active_since) >= SETTLED_AFTER;
                Some(LayerRates { rates: stream.rates_of(now, 0), is_settled })
            };
            (0..consumer.mapped_ssrcs().count()).map(layer).collect()
        }
        RtpType::Svc => {
            let spatial_layers = consumer.streams[0].params.shown.spatial_layers;
            let layer =
                |spatial| Some(LayerRates { rates: stream(0)?.rates_of(now, spatial), is_settled: true });
            let has_bits = |layer: &LayerRates| layer.rates.iter().any(|rate| *rate > 0);
            (0..spatial_layers).map(|spatial| layer(spatial).filter(has_bits)).collect()
        }
        RtpType::Simple | RtpType::Pipe => {
            // It is sent whatever its score.
            return Ladder::whole(any_stream(0).map_or(0, |stream| stream.traffic.bitrate(now)));
        }
    };
    let Some(preferred) = preferred else { return Ladder::whole(0) };
    let is_conservative = consumer.went_down.is_some_and(|at| now.saturating_since(at) < CONSERVATIVE_FOR);
    let current = own.current().map_or(0, |current| current.spatial);
    Ladder::Layered(Layered {
        layers,
        preferred,
        rule,
        replaces: consumer.rtp_type == RtpType::Simulcast || consumer.streams[0].params.is_k_svc,
        ceiling: is_conservative.then_some(current),
        reached: None,
    })
}
