//! Which layers consumers get: chosen anew whenever what is there or what is wanted changes.

use std::time::Duration;

use ringsoup_rtc::score::SCORE_MAX;
use ringsoup_rtc::time::Time;

use crate::command::Layers;
use crate::consumer::decision::LayerChange;
use crate::consumer::egress::Egress;
use crate::consumer::layers::{Available, LayerPair, Retarget};
use crate::consumer::set_up;
use crate::consumer::{Consumer, layers};
use crate::event::Event;
use crate::handlers::Change;
use crate::outbox::Outbox;
use crate::producer::Producer;
use crate::rtp_parameters::RtpType;
use crate::sfu::Sfu;
use crate::table::Id;
use crate::timers::Timer;
use crate::transport::bitrate_allocator::Budget;

/// Between two looks at which spatial layers a stream carries: they share its silence, so nothing else tells.
const LAYER_CHECK_INTERVAL: Duration = Duration::from_millis(1_500);

/// What a packet meant for a consumer's layers, told once the packet is with everybody.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LayerNews {
    Changed(LayerChange),
    /// The packet's stream was not good enough to begin with.
    WantsKeyFrame,
}

impl Sfu {
    /// A consumer began to take packets, or stopped.
    pub(crate) fn settle_layers(&mut self, now: Time, id: Id<Consumer>, change: Change, out: &mut Outbox) {
        match change {
            Change::Activated => self.retarget_layers(now, id, out),
            Change::Deactivated => {
                self.consumers[id].went_down = None;
                if self.layers_of(id).clear() {
                    self.announce_layers(id, out);
                }
                let transport = self.consumers[id].transport;
                // What it was given is free for others.
                if self.transports[transport].budget != Budget::Unlimited {
                    self.distribute_bitrate(now, transport, out);
                }
            }
            Change::None => {}
        }
    }

    /// Chooses the layers of a consumer anew among what its producer sends.
    pub(crate) fn retarget_layers(&mut self, now: Time, id: Id<Consumer>, out: &mut Outbox) {
        let consumer = &self.consumers[id];
        if !consumer.is_active() {
            return;
        }
        let transport = consumer.transport;
        if consumer.rtp_type == RtpType::Svc
            && let Some(Some(stream)) = self.producers[consumer.producer].streams.first_mut()
            && let Some(layers) = &mut stream.layers
        {
            layers.note_choice(now);
        }
        let consumer = &self.consumers[id];
        let has_layers = matches!(consumer.rtp_type, RtpType::Simulcast | RtpType::Svc);
        match self.transports[transport].budget {
            Budget::Unlimited if has_layers => self.prefer_layers(now, id, out),
            Budget::Unlimited => {}
            Budget::Limited(_) => self.distribute_bitrate(now, transport, out),
        }
    }

    /// Gives a consumer the best it can have of what it prefers.
    fn prefer_layers(&mut self, now: Time, id: Id<Consumer>, out: &mut Outbox) {
        let consumer = &self.consumers[id];
        let available = available(now, consumer, &self.producers[consumer.producer]);
        let rule = self.config.rules.temporal;
        let retarget = self.layers_of(id).retarget(&available, rule);
        self.follow_choice(now, id, retarget, out);
    }

    /// Does what a new choice of layers asks for.
    pub(crate) fn follow_choice(
        &mut self,
        now: Time,
        id: Id<Consumer>,
        retarget: Option<Retarget>,
        out: &mut Outbox,
    ) {
        let producer = self.consumers[id].producer;
        match retarget {
            None | Some(Retarget::Nothing) => {}
            Some(Retarget::Cleared) => self.announce_layers(id, out),
            Some(Retarget::NeedsKeyFrame(encoding)) => {
                let stream = self.consumers[id].stream_of(&self.producers[producer], encoding);
                if let Some(index) = stream {
                    self.request_key_frame(now, producer, index, out);
                }
            }
        }
    }

    /// Returns what is preferred now; nothing for consumers without layers.
    pub(crate) fn set_preferred_layers(
        &mut self,
        now: Time,
        id: Id<Consumer>,
        asked: Layers,
        out: &mut Outbox,
    ) -> Option<Layers> {
        let shown = &self.consumers[id].streams[0].params.shown;
        let there_are = LayerPair { spatial: shown.spatial_layers, temporal: shown.temporal_layers };
        let preferred = set_up::clamp(Some(asked), there_are);
        let layers = self.layers_of(id);
        let before = layers.preferred()?;
        layers.prefer(preferred);
        if before != preferred {
            self.retarget_layers(now, id, out);
        }
        Some(preferred.into())
    }

    /// Tells what a packet of `stream` changed for its receivers.
    #[cold]
    pub(crate) fn tell_layer_news(
        &mut self,
        now: Time,
        producer: Id<Producer>,
        stream: usize,
        out: &mut Outbox,
    ) {
        let mut news = std::mem::take(&mut self.layer_news);
        for (id, news) in news.drain(..) {
            match news {
                LayerNews::WantsKeyFrame => {
                    // The one that came ended the wait for it.
                    self.request_key_frame(now, producer, stream, out);
                }
                LayerNews::Changed(change) => {
                    self.announce_layers(id, out);
                    if change == LayerChange::Switched {
                        // What the receiver lost of the stream before says nothing of this one.
                        self.consumers[id].streams[0].score.reset(SCORE_MAX);
                        out.events.extend(self.consumers[id].score_event(&self.producers[producer]));
                    }
                }
            }
        }
        self.layer_news = news;
    }

    fn announce_layers(&mut self, id: Id<Consumer>, out: &mut Outbox) {
        let layers = self.layers_of(id).current().map(Layers::from);
        let consumer = self.consumers[id].name.clone();
        out.events.push(Event::ConsumerLayers { consumer, layers });
    }

    pub(crate) fn layers_of(&mut self, id: Id<Consumer>) -> &mut layers::Layers {
        let consumer = &self.consumers[id];
        &mut self.producers[consumer.producer].egresses[consumer.streams[0].egress].layers
    }

    /// Sets the timer for the next look at the layers of a stream that is its producer's only one. Of several, each is known by its score.
    pub(crate) fn schedule_layer_check(&mut self, now: Time, id: Id<Producer>, index: usize) {
        let [Some(stream)] = self.producers[id].streams.as_mut_slice() else { return };
        if stream.layers.is_some() {
            let deadline = now + LAYER_CHECK_INTERVAL;
            stream.layer_timer = Some(deadline);
            self.timers.set(deadline, Timer::ProducerLayers(id, u8::try_from(index).unwrap_or(u8::MAX)));
        }
    }

    pub(crate) fn check_layers(&mut self, now: Time, id: Id<Producer>, index: usize, out: &mut Outbox) {
        let Some(producer) = self.producers.get_mut(id) else { return };
        let Some(stream) = producer.streams.get_mut(index).and_then(Option::as_mut) else { return };
        // A timer of a former owner of the id.
        if stream.layer_timer.is_none_or(|deadline| deadline > now) {
            return;
        }
        let has_changed = stream.layers.as_mut().is_some_and(|layers| layers.look(now));
        // Who found nothing to choose: layers may have come and gone and come between two looks.
        let chooses = |egress: &&Egress| has_changed || egress.is_without_layers();
        let choosing = producer.egresses.iter().filter(chooses).map(|egress| egress.consumer);
        for consumer in choosing.collect::<Vec<_>>() {
            self.retarget_layers(now, consumer, out);
        }
        self.schedule_layer_check(now, id, index);
    }

    /// Everybody chooses anew when a layer has stopped, or a stream that was silent is heard again.
    #[inline]
    pub(crate) fn follow_stream_layers(
        &mut self,
        now: Time,
        id: Id<Producer>,
        index: usize,
        out: &mut Outbox,
    ) {
        let stream = self.producers[id].streams[index].as_mut();
        let layers = stream.and_then(|stream| stream.layers.as_mut());
        if layers.is_some_and(|layers| layers.take_news()) {
            self.retarget_consumers(now, id, out);
        }
    }

    #[cold]
    fn retarget_consumers(&mut self, now: Time, id: Id<Producer>, out: &mut Outbox) {
        for consumer in self.producers[id].consumers().collect::<Vec<_>>() {
            self.retarget_layers(now, consumer, out);
        }
    }
}

/// What a consumer can choose among: the producer's streams, or the spatial layers within its only one.
fn available(now: Time, consumer: &Consumer, producer: &Producer) -> Vec<Option<Available>> {
    let stream = |encoding| producer.streams[consumer.stream_of(producer, encoding)?].as_ref();
    if consumer.rtp_type == RtpType::Simulcast {
        let score = |encoding| Some(Available { score: stream(encoding)?.score.value(), has_bitrate: true });
        return (0..consumer.mapped_ssrcs().count()).map(score).collect();
    }
    let Some(stream) = stream(0) else { return Vec::new() };
    let spatial_layers = stream.params.shown.spatial_layers;
    // The only one there is need not be told from others: what comes is of it.
    let has_bitrate = |spatial| {
        let has_spatial = || stream.layers.as_ref().is_some_and(|layers| layers.has_spatial(now, spatial));
        spatial_layers == 1 || has_spatial()
    };
    let layer = |spatial| Some(Available { score: stream.score.value(), has_bitrate: has_bitrate(spatial) });
    (0..spatial_layers).map(layer).collect()
}
