//! What a producer's packets say of its streams beside the media: that there is one, how good it is, how the camera is held.

use ringsoup_rtc::rtp::RtpPacket;
use ringsoup_rtc::rtp::extension::VideoOrientation;
use ringsoup_rtc::time::Time;

use crate::event::Event;
use crate::outbox::Outbox;
use crate::producer::Producer;
use crate::rtp_parameters::MediaKind;
use crate::sfu::Sfu;
use crate::table::Id;

impl Sfu {
    /// A stream was heard for the first time; with `lacks_key_frame` by media that nobody can begin with.
    #[cold]
    pub(crate) fn announce_stream(
        &mut self,
        now: Time,
        producer: Id<Producer>,
        stream: usize,
        lacks_key_frame: bool,
        out: &mut Outbox,
    ) {
        let described = &self.producers[producer];
        let wants_key_frame = described.kind == MediaKind::Video && !described.paused && lacks_key_frame;
        out.events.push(described.score_event());
        self.schedule_inactivity(producer, stream);
        self.schedule_layer_check(now, producer, stream);
        if wants_key_frame {
            // The stream may have begun before anybody listened.
            self.force_key_frame(now, producer, stream, out);
        }
        self.announce_consumer_scores(now, producer, out);
    }

    /// Tells the controller that a producer's scores have changed: first what that means to its consumers.
    #[cold]
    pub(crate) fn announce_score(&mut self, now: Time, producer: Id<Producer>, out: &mut Outbox) {
        self.announce_consumer_scores(now, producer, out);
        out.events.push(self.producers[producer].score_event());
    }

    fn announce_consumer_scores(&mut self, now: Time, producer: Id<Producer>, out: &mut Outbox) {
        for consumer in self.producers[producer].consumers().collect::<Vec<_>>() {
            out.events.extend(self.consumers[consumer].score_event(&self.producers[producer]));
            self.retarget_layers(now, consumer, out);
        }
    }
}

/// Tells how a camera is held, when that changes.
pub(crate) fn note_video_orientation(producer: &mut Producer, packet: &RtpPacket<'_>, out: &mut Outbox) {
    let Some(value) = producer.mapping.ids.video_orientation.and_then(|id| packet.extension(id)) else {
        return;
    };
    let Some(orientation) = VideoOrientation::parse(value) else { return };
    let encoded = orientation.encode()[0];
    if producer.video_orientation == Some(encoded) {
        return;
    }
    producer.video_orientation = Some(encoded);
    out.events.push(Event::ProducerVideoOrientation {
        producer: producer.name.clone(),
        camera: orientation.camera,
        flip: orientation.flip,
        rotation: orientation.rotation_degrees,
    });
}
