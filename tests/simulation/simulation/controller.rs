//! The controller's doings, and what must hold at the end.

use ringsoup_sfu::command::{Command, ConsumerCommand, ProducerCommand, TransportCommand};

use super::{Action, SILENCE_MS, Simulation, Summary};
use crate::common::{ROUTER, Sent};
use crate::consumer::Consumer;

impl Simulation {
    pub(super) fn operate(&mut self) {
        self.summary.operations += 1;
        let publisher = self.rng.below(self.publishers.len());
        let subscriber = self.rng.below(self.subscribers.len());
        let consumer = self.rng.below(self.subscribers[subscriber].consumers.len());
        match self.rng.below(6) {
            0 | 1 => self.toggle_producer(publisher),
            2 | 3 => self.toggle_consumer(subscriber, consumer),
            4 => self.replace_consumer(subscriber, consumer),
            _ => self.stop_for_restart(publisher),
        }
        self.carry_feedback();
        self.after_ms(self.profile.operation_ms, Action::Operate);
    }

    fn toggle_producer(&mut self, publisher: usize) {
        let source = &mut self.publishers[publisher];
        source.paused = !source.paused;
        let command = if source.paused { ProducerCommand::Pause } else { ProducerCommand::Resume };
        let name = source.name.clone();
        self.world.producer(&name, command);
        self.start_anew(publisher);
    }

    fn start_anew(&mut self, publisher: usize) {
        let consumers = self.subscribers.iter_mut().flat_map(|subscriber| &mut subscriber.consumers);
        consumers.filter(|consumer| consumer.publisher == publisher).for_each(Consumer::start_anew);
    }

    fn toggle_consumer(&mut self, subscriber: usize, consumer: usize) {
        let stream = &mut self.subscribers[subscriber].consumers[consumer];
        stream.paused = !stream.paused;
        stream.start_anew();
        let command = if stream.paused { ConsumerCommand::Pause } else { ConsumerCommand::Resume };
        let name = stream.name.clone();
        self.world.consumer(&name, command);
    }

    fn replace_consumer(&mut self, subscriber: usize, consumer: usize) {
        let receiver = &mut self.subscribers[subscriber];
        let stream = receiver.consumers.remove(consumer);
        let transport = receiver.peer.name.clone();
        let command = TransportCommand::CloseConsumer { consumer: stream.name.as_str().into() };
        self.world.transport(&transport, command);
        // Nobody reports on a stream that is closed for long.
        receiver.reports.remove(&stream.ssrc);
        self.end_of(&stream);
        self.consume(subscriber, stream.publisher);
    }

    /// A sender stops; what it has sent arrives, or never will.
    fn stop_for_restart(&mut self, publisher: usize) {
        let source = &mut self.publishers[publisher];
        if source.has_arrived() && !std::mem::replace(&mut source.is_stopped, true) {
            source.forget();
            self.after_ms(SILENCE_MS, Action::Restart { publisher });
        }
    }

    /// A sender begins anew. Its first two packets come in order, so that it is known when the shard notices.
    pub(super) fn restart(&mut self, publisher: usize) {
        self.publishers[publisher].is_stopped = false;
        let [first, second] = self.publishers[publisher].restart(&mut self.rng);
        let peer = self.publishers[publisher].peer.clone();
        let bytes = self.publishers[publisher].wire(first);
        self.publishers[publisher].packet_mut(first).arrived = true;
        self.deliver(&peer, &bytes);
        assert!(self.world.take_sent().iter().all(Sent::is_rtcp), "a restart needs two packets");
        self.start_anew(publisher);
        let bytes = self.publishers[publisher].wire(second);
        self.media_arrives(publisher, second, &bytes, false);
    }

    fn end_of(&mut self, consumer: &Consumer) {
        consumer.check_numbers();
        let is_on_its_way = self.world.now <= self.end;
        self.summary.unrepaired += consumer.unrepaired(is_on_its_way);
    }

    pub(super) fn finish(mut self) -> Summary {
        for subscriber in std::mem::take(&mut self.subscribers) {
            for consumer in subscriber.consumers {
                self.end_of(&consumer);
            }
        }
        self.world.assert_accounted();
        assert_eq!(self.world.report().received_packets, self.delivered);
        let timers = self.world.sfu.timer_count();
        assert!(timers <= 8 * (self.profile.publishers.len() + self.profile.downlinks.len()), "{timers}");
        self.world.command(Command::CloseRouter { router: ROUTER.into() });
        self.world.advance_ms(30_000);
        let report = self.world.report();
        let left = (report.routers, report.transports, report.producers, report.consumers);
        assert_eq!((left, self.world.sockets.open_count()), ((0, 0, 0, 0), 0));
        assert_eq!((self.world.sfu.next_timeout(), self.world.sfu.timer_count()), (None, 0));
        assert!(self.world.take_sent().is_empty());
        for publisher in &self.publishers {
            self.summary.published += publisher.published();
            self.summary.sequence_wraps += publisher.wraps.0;
            self.summary.timestamp_wraps += publisher.wraps.1;
        }
        self.summary.simulated_ms = self.world.now.as_millis();
        self.summary
    }
}
