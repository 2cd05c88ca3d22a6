//! One run: the shard, its peers, the network between them, and what must hold all the time.

mod controller;
mod peers;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use ringsoup_rtc::rtp::RtpPacket;
use ringsoup_rtc::time::Time;
use ringsoup_sfu::command::Consume;
use ringsoup_tests::rng::Rng;

use crate::common::parameters::{consume_audio, consume_video, produce_audio, produce_video};
use crate::common::{Peer, Sent, World};
use crate::consumer::Consumer;
use crate::profile::{Media, Profile};
use crate::publisher::Publisher;

/// How often receivers look for what they miss, milliseconds.
const RECEIVER_TICK_MS: u64 = 40;
const REPORT_MS: u64 = 1_000;
/// How long a sender is silent before it begins anew: longer than any packet is on its way.
const SILENCE_MS: u64 = 500;
/// After the last frame: everything still on its way arrives, is asked for and repaired.
const AFTERMATH_MS: u64 = 6_000;

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Summary {
    pub(crate) simulated_ms: u64,
    pub(crate) published: u64,
    pub(crate) forwarded: u64,
    pub(crate) retransmitted: u64,
    pub(crate) repaired_upstream: u64,
    pub(crate) swallowed: u64,
    /// Never got through to a receiver.
    pub(crate) unrepaired: u64,
    pub(crate) sequence_wraps: u64,
    pub(crate) timestamp_wraps: u64,
    pub(crate) operations: u64,
}

impl Summary {
    pub(crate) fn add(&mut self, other: &Self) {
        self.simulated_ms += other.simulated_ms;
        self.published += other.published;
        self.forwarded += other.forwarded;
        self.retransmitted += other.retransmitted;
        self.repaired_upstream += other.repaired_upstream;
        self.swallowed += other.swallowed;
        self.unrepaired += other.unrepaired;
        self.sequence_wraps += other.sequence_wraps;
        self.timestamp_wraps += other.timestamp_wraps;
        self.operations += other.operations;
    }

    /// A set of seeds in which nothing interesting happened proves nothing.
    pub(crate) fn assert_rich(&self) {
        let counts = [self.retransmitted, self.repaired_upstream, self.swallowed, self.operations];
        assert!(counts.iter().all(|count| *count > 10), "{self:?}");
        assert!(self.sequence_wraps > 0 && self.timestamp_wraps > 0, "{self:?}");
    }
}

enum Action {
    /// RTP of a publisher reaches the shard, with the packet it is or repairs.
    Media {
        publisher: usize,
        index: u64,
        bytes: Vec<u8>,
        is_repair: bool,
    },
    /// RTCP reaches the shard.
    Feedback {
        peer: Peer,
        bytes: Vec<u8>,
    },
    ToPublisher {
        publisher: usize,
        bytes: Vec<u8>,
    },
    ToSubscriber {
        subscriber: usize,
        bytes: Vec<u8>,
    },
    Frame {
        publisher: usize,
    },
    PublisherReport {
        publisher: usize,
    },
    Receiver {
        subscriber: usize,
    },
    ReceiverReport {
        subscriber: usize,
    },
    Operate,
    Restart {
        publisher: usize,
    },
}

struct Subscriber {
    peer: Peer,
    consumers: Vec<Consumer>,
    /// By consumer's SSRC: the newest sender report's middle bits and when it came.
    reports: BTreeMap<u32, (u32, Time)>,
}

pub(crate) struct Simulation {
    profile: Profile,
    rng: Rng,
    world: World,
    queue: BTreeMap<(Time, u64), Action>,
    order: u64,
    publishers: Vec<Publisher>,
    subscribers: Vec<Subscriber>,
    delivered: u64,
    next_ssrc: u32,
    end: Time,
    summary: Summary,
}

impl Simulation {
    pub(crate) fn new(profile: Profile) -> Self {
        let mut rng = Rng::new(profile.seed);
        let mut world = World::with_seed(profile.seed);
        let mut publishers = Vec::new();
        for (index, media) in (0..).zip(&profile.publishers) {
            let transport = format!("publisher {index}");
            let peer = world.plain(&transport);
            let publisher = Publisher::new(index, *media, peer, &mut rng);
            let (name, ssrc, mapped) = (&publisher.name, publisher.ssrc, publisher.mapped_ssrc);
            let request = match media {
                Media::Audio => produce_audio(name, ssrc, mapped),
                _ => produce_video(name, ssrc, publisher.rtx_ssrc(), mapped),
            };
            world.produce(&transport, request);
            publishers.push(publisher);
        }
        let subscribers = (0..profile.downlinks.len()).map(|index| Subscriber {
            peer: world.plain(&format!("subscriber {index}")),
            consumers: Vec::new(),
            reports: BTreeMap::new(),
        });
        let subscribers = subscribers.collect();
        let end = world.now + Duration::from_millis(profile.duration_ms);
        let mut simulation = Self {
            profile,
            rng,
            world,
            queue: BTreeMap::new(),
            order: 0,
            publishers,
            subscribers,
            delivered: 0,
            next_ssrc: 10_000,
            end,
            summary: Summary::default(),
        };
        simulation.set_up();
        simulation
    }

    fn set_up(&mut self) {
        for subscriber in 0..self.subscribers.len() {
            for publisher in 0..self.publishers.len() {
                self.consume(subscriber, publisher);
            }
            self.after_ms(RECEIVER_TICK_MS, Action::Receiver { subscriber });
            self.after_ms(REPORT_MS, Action::ReceiverReport { subscriber });
        }
        for publisher in 0..self.publishers.len() {
            self.after_ms(10, Action::Frame { publisher });
            self.after_ms(REPORT_MS, Action::PublisherReport { publisher });
        }
        self.after_ms(self.profile.operation_ms, Action::Operate);
    }

    fn consume(&mut self, subscriber: usize, publisher: usize) {
        let ssrc = self.next_ssrc;
        self.next_ssrc += 2;
        let ignores_dtx = self.rng.below(2) == 0;
        let source = &self.publishers[publisher];
        let name = format!("consumer {ssrc}");
        let rtx_ssrc = (source.repairs() && self.rng.below(3) > 0).then_some(ssrc + 1);
        let request = match source.media {
            Media::Audio => Consume {
                ignore_dtx: ignores_dtx,
                ..consume_audio(&name, &source.name, ssrc, source.mapped_ssrc)
            },
            _ => consume_video(&name, &source.name, ssrc, rtx_ssrc, source.mapped_ssrc),
        };
        let transport = self.subscribers[subscriber].peer.name.clone();
        self.world.consume(&transport, request);
        let consumer = Consumer::new(name, publisher, ssrc, rtx_ssrc, ignores_dtx);
        self.subscribers[subscriber].consumers.push(consumer);
        self.carry_feedback();
    }

    fn after(&mut self, delay: Duration, action: Action) {
        self.order += 1;
        self.queue.insert((self.world.now + delay, self.order), action);
    }

    fn after_ms(&mut self, millis: u64, action: Action) {
        self.after(Duration::from_millis(millis), action);
    }

    pub(crate) fn run(mut self) -> Summary {
        let stop = self.end + Duration::from_millis(AFTERMATH_MS);
        loop {
            let next = self.queue.first_key_value().map(|((at, _), _)| *at);
            let timer = self.world.sfu.next_timeout();
            if let Some(timer) = timer.filter(|timer| next.is_none_or(|next| *timer <= next)) {
                if timer > stop {
                    break;
                }
                self.world.now = self.world.now.max(timer);
                let world = &mut self.world;
                world.sfu.handle_timeout(world.now, &mut world.sockets, &mut world.out);
                self.carry_feedback();
                continue;
            }
            let Some(((at, _), action)) = self.queue.pop_first().filter(|((at, _), _)| *at <= stop) else {
                break;
            };
            self.world.now = self.world.now.max(at);
            self.act(action);
        }
        self.finish()
    }

    fn act(&mut self, action: Action) {
        let is_over = self.world.now > self.end;
        match action {
            Action::Media { publisher, index, bytes, is_repair } => {
                self.media_arrives(publisher, index, &bytes, is_repair);
            }
            Action::Feedback { peer, bytes } => {
                self.delivered += 1;
                self.world.from(&peer, &bytes);
                self.carry_feedback();
            }
            Action::ToPublisher { publisher, bytes } => self.publisher_hears(publisher, &bytes),
            Action::ToSubscriber { subscriber, bytes } => self.subscriber_hears(subscriber, &bytes),
            Action::Frame { publisher } if !is_over => self.publish_frame(publisher),
            Action::PublisherReport { publisher } if !is_over => self.publisher_reports(publisher),
            Action::Receiver { subscriber } => self.receiver_asks(subscriber),
            Action::ReceiverReport { subscriber } => self.receiver_reports(subscriber),
            Action::Operate if !is_over => self.operate(),
            Action::Restart { publisher } => self.restart(publisher),
            Action::Frame { .. } | Action::PublisherReport { .. } | Action::Operate => {}
        }
    }

    fn publish_frame(&mut self, publisher: usize) {
        let (frame_ms, packets_max) = match self.publishers[publisher].media {
            Media::Audio => (20, 1),
            _ => (self.profile.frame_ms, self.profile.packets_per_frame_max),
        };
        self.after_ms(frame_ms, Action::Frame { publisher });
        if self.publishers[publisher].is_stopped {
            return;
        }
        for index in self.publishers[publisher].frame(frame_ms, packets_max, &mut self.rng) {
            let bytes = self.publishers[publisher].wire(index);
            self.send_media(publisher, index, &bytes, false);
        }
    }

    fn send_media(&mut self, publisher: usize, index: u64, bytes: &[u8], is_repair: bool) {
        for delay in self.profile.uplinks[publisher].carry(self.world.now, bytes.len(), &mut self.rng) {
            let bytes = bytes.to_vec();
            self.after(delay, Action::Media { publisher, index, bytes, is_repair });
        }
    }

    /// The heart: what is new goes to everybody who must get it, to nobody else, and unchanged.
    fn media_arrives(&mut self, publisher: usize, index: u64, bytes: &[u8], is_repair: bool) {
        let source = &mut self.publishers[publisher];
        let peer = source.peer.clone();
        let is_new = !std::mem::replace(&mut source.packet_mut(index).arrived, true);
        self.summary.repaired_upstream += u64::from(is_new && is_repair);
        let now = self.world.now;
        let mut expected = Vec::new();
        let mut overtaken = BTreeMap::new();
        for subscriber in &mut self.subscribers {
            for consumer in subscriber.consumers.iter_mut().filter(|consumer| consumer.publisher == publisher)
            {
                let packet = self.publishers[publisher].packet(index);
                if is_new && !self.publishers[publisher].paused && consumer.must_get(now, index, packet) {
                    expected.push(consumer.ssrc);
                    if consumer.has_started_at(index) {
                        overtaken.insert(consumer.ssrc, consumer.take_overtaken(now, index));
                    }
                }
            }
        }
        self.deliver(&peer, bytes);
        let sent = self.world.take_sent();
        let (feedback, media): (Vec<_>, Vec<_>) = sent.into_iter().partition(Sent::is_rtcp);
        let (media, later): (Vec<_>, Vec<_>) = {
            let mut seen = BTreeSet::new();
            media.into_iter().partition(|sent| seen.insert(sent.rtp().ssrc()))
        };
        let mut got: Vec<_> = media.iter().map(|sent| sent.rtp().ssrc()).collect();
        got.sort_unstable();
        expected.sort_unstable();
        assert_eq!(
            got,
            expected,
            "packet {index} of publisher {publisher}, new: {is_new}, repair: {is_repair}: {:?}",
            self.describe(publisher, index)
        );
        self.summary.forwarded += got.len() as u64;
        for sent in media {
            self.check_media(publisher, index, &sent);
        }
        self.check_overtaken(publisher, index, overtaken, later);
        self.carry(feedback);
    }

    /// What came before packet `index` and belongs behind it went out with it to those it starts: all that they waited with, and
    /// nothing that never came.
    fn check_overtaken(
        &mut self,
        publisher: usize,
        index: u64,
        mut expected: BTreeMap<u32, BTreeSet<u64>>,
        sent: Vec<Sent>,
    ) {
        for sent in sent {
            let ssrc = sent.rtp().ssrc();
            let (subscriber, consumer) = self.find(&sent, ssrc);
            let stream = &mut self.subscribers[subscriber].consumers[consumer];
            let number = stream.extend(sent.rtp().sequence_number());
            let later = stream.overtaken(number);
            let waited = expected.get_mut(&ssrc);
            let waited = waited.unwrap_or_else(|| panic!("{later} to {ssrc}, which {index} does not start"));
            waited.remove(&later);
            assert!(self.publishers[publisher].packet(later).arrived, "{later} never came");
            self.summary.forwarded += 1;
            self.check_media(publisher, later, &sent);
        }
        expected.retain(|_, waited| !waited.is_empty());
        assert!(expected.is_empty(), "{index} of publisher {publisher} left behind {expected:?}");
    }

    /// What a failing assertion shows.
    fn describe(&self, publisher: usize, index: u64) -> String {
        let source = &self.publishers[publisher];
        let consumers = self.subscribers.iter().flat_map(|subscriber| &subscriber.consumers);
        let consumers = consumers.filter(|consumer| consumer.publisher == publisher);
        let states: Vec<_> = consumers.map(Consumer::describe).collect();
        let packet = source.packet(index);
        let (paused, from) = (source.paused, source.repairable_from);
        format!("{:?} {:?} paused {paused}, new since {from}: {states:?}", packet.seq, packet.content)
    }

    fn deliver(&mut self, peer: &Peer, bytes: &[u8]) {
        self.delivered += 1;
        self.world.from(peer, bytes);
    }

    fn check_media(&mut self, publisher: usize, index: u64, sent: &Sent) {
        let packet = sent.rtp();
        let published = self.publishers[publisher].packet(index);
        assert_eq!(packet.payload(), published.payload);
        assert_eq!(packet.timestamp(), published.timestamp);
        let (subscriber, consumer) = self.find(sent, packet.ssrc());
        let stream = &mut self.subscribers[subscriber].consumers[consumer];
        let number = stream.extend(packet.sequence_number());
        stream.note_sent(number, index);
        self.send_down(subscriber, consumer, number, &sent.bytes);
    }

    /// Whose packet this is; its addresses must be that subscriber's.
    fn find(&self, sent: &Sent, ssrc: u32) -> (usize, usize) {
        let subscriber = self.subscribers.iter().position(|subscriber| subscriber.peer.remote == sent.remote);
        let subscriber = subscriber.expect("media goes to subscribers only");
        assert_eq!(self.subscribers[subscriber].peer.local, sent.local);
        let owns = |consumer: &Consumer| consumer.ssrc == ssrc || consumer.rtx_ssrc == Some(ssrc);
        let consumer = self.subscribers[subscriber].consumers.iter().position(owns);
        (subscriber, consumer.expect("an SSRC of this subscriber"))
    }

    fn send_down(&mut self, subscriber: usize, consumer: usize, number: u64, bytes: &[u8]) {
        let delays = self.profile.downlinks[subscriber].carry(self.world.now, bytes.len(), &mut self.rng);
        if delays.is_empty() {
            self.subscribers[subscriber].consumers[consumer].swallowed.insert(number);
            self.summary.swallowed += 1;
        }
        for delay in delays {
            let bytes = bytes.to_vec();
            self.after(delay, Action::ToSubscriber { subscriber, bytes });
        }
    }

    /// What the shard said outside of forwarding: RTCP, and retransmissions.
    fn carry_feedback(&mut self) {
        let sent = self.world.take_sent();
        self.carry(sent);
    }

    fn carry(&mut self, sent: Vec<Sent>) {
        for sent in sent {
            if !sent.is_rtcp() {
                self.check_retransmission(&sent);
                continue;
            }
            let is_publisher = |publisher: &Publisher| publisher.peer.remote == sent.remote;
            if let Some(publisher) = self.publishers.iter().position(is_publisher) {
                assert_eq!(self.publishers[publisher].peer.local, sent.local);
                for delay in
                    self.profile.uplinks[publisher].carry(self.world.now, sent.bytes.len(), &mut self.rng)
                {
                    self.after(delay, Action::ToPublisher { publisher, bytes: sent.bytes.clone() });
                }
                continue;
            }
            let is_subscriber = |subscriber: &Subscriber| subscriber.peer.remote == sent.remote;
            let subscriber = self.subscribers.iter().position(is_subscriber).expect("a known address");
            for delay in
                self.profile.downlinks[subscriber].carry(self.world.now, sent.bytes.len(), &mut self.rng)
            {
                self.after(delay, Action::ToSubscriber { subscriber, bytes: sent.bytes.clone() });
            }
        }
    }

    fn check_retransmission(&mut self, sent: &Sent) {
        let packet = sent.rtp();
        let (subscriber, index) = self.find(sent, packet.ssrc());
        let consumer = &self.subscribers[subscriber].consumers[index];
        assert!(!consumer.paused && !self.publishers[consumer.publisher].paused, "sent while paused");
        let (seq, payload) = original(&packet, consumer);
        let number = consumer.extend(seq);
        let first_time = !consumer.sent.contains_key(&number);
        let place = consumer.place(number).expect("only what the receiver knows of is sent again");
        let published = self.publishers[consumer.publisher].packet(place.index);
        assert!(published.arrived, "{number} of {} is a packet the shard never had", consumer.describe());
        assert_eq!((payload, packet.timestamp()), (&published.payload[..], published.timestamp));
        if first_time {
            self.subscribers[subscriber].consumers[index].note_sent(number, place.index);
        }
        self.summary.retransmitted += 1;
        self.send_down(subscriber, index, number, &sent.bytes);
    }
}

/// Sequence number and payload of what a packet is or repeats.
fn original<'a>(packet: &RtpPacket<'a>, consumer: &Consumer) -> (u16, &'a [u8]) {
    if packet.ssrc() == consumer.ssrc {
        return (packet.sequence_number(), packet.payload());
    }
    let opened = ringsoup_rtc::rtx::decapsulate(packet.payload()).expect("an original number");
    (opened.sequence_number, opened.payload)
}
