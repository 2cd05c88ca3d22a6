//! Commands of producers.

use ringsoup_rtc::time::Time;

use crate::command::{CommandError, Produce, ProducerCommand};
use crate::drop_reason::DropReason;
use crate::event::Event;
use crate::outbox::Outbox;
use crate::producer::Producer;
use crate::reply::Reply;
use crate::rtp_parameters::MediaKind;
use crate::sfu::{Entity, Sfu};
use crate::stats::Latency;
use crate::table::{Id, take_out};
use crate::transport::Transport;

/// Longest RTP packet an application may send into a producer, bytes: what a datagram can hold.
const APPLICATION_RTP_BYTES_MAX: usize = 65_536;

impl Sfu {
    pub(crate) fn produce(
        &mut self,
        transport: Id<Transport>,
        request: Produce,
    ) -> Result<Reply, CommandError> {
        let name = request.producer.clone();
        self.check_name_is_free(&name)?;
        let router = self.transports[transport].router;
        let mut producer = Producer::new(request, transport, router, &self.config.rules)?;
        let rtp_type = producer.rtp_type;
        let id = self.producers.next_id();
        let owner = &mut self.transports[transport];
        owner.listener.add(id, &producer.parameters)?;
        owner.learn_extensions(&producer.parameters);
        owner.learn_means(&producer.parameters);
        producer.set_clock_offset(owner.sender_clocks.micros(producer.cname()));
        producer.place = owner.producers.len();
        owner.producers.push(id);
        self.routers[router].latency.get_or_insert_with(Box::<Latency>::default);
        self.producers.insert(producer);
        self.names.insert(name, Entity::Producer(id));
        Ok(Reply::Produce { rtp_type })
    }

    pub(crate) fn close_producer_of(
        &mut self,
        transport: Id<Transport>,
        name: &str,
        out: &mut Outbox,
    ) -> Result<Reply, CommandError> {
        let id = self.producer(name).ok().filter(|&id| self.producers[id].transport == transport);
        let id =
            id.ok_or_else(|| CommandError::not_found("Producer not found [method:transport.closeProducer]"))?;
        self.close_producer(id, out);
        Ok(Reply::Done)
    }

    /// Closes a producer; its consumers are told, and are gone then.
    pub(crate) fn close_producer(&mut self, id: Id<Producer>, out: &mut Outbox) {
        for consumer in self.producers[id].consumers().collect::<Vec<_>>() {
            let name = self.consumers[consumer].name.clone();
            out.events.push(Event::ConsumerProducerClose { consumer: name });
            self.close_consumer(consumer);
        }
        self.leave_observers(id, out);
        let Some(producer) = self.producers.remove(id) else { return };
        self.names.remove(&producer.name);
        let transport = &mut self.transports[producer.transport];
        transport.listener.remove(id, &producer.parameters);
        if let Some(moved) = take_out(&mut transport.producers, producer.place) {
            self.producers[moved].place = producer.place;
        }
        if transport.producers.iter().all(|&other| self.producers[other].cname() != producer.cname()) {
            transport.sender_clocks.forget(producer.cname());
        }
        for stream in producer.streams() {
            transport.forget_received_ssrc(stream.ssrc());
            if let Some(rtx_ssrc) = stream.rtx_ssrc() {
                transport.forget_received_ssrc(rtx_ssrc);
            }
        }
    }

    pub(crate) fn producer(&self, name: &str) -> Result<Id<Producer>, CommandError> {
        match self.names.get(name) {
            Some(&Entity::Producer(id)) => Ok(id),
            _ => Err(CommandError::not_found(format!("Producer not found [producerId:{name}]"))),
        }
    }

    pub(crate) fn handle_producer_command(
        &mut self,
        now: Time,
        name: &str,
        command: ProducerCommand,
        out: &mut Outbox,
    ) -> Result<Reply, CommandError> {
        let id = self.producer(name)?;
        match command {
            ProducerCommand::Dump => return Ok(Reply::ProducerDump(Box::new(self.producers[id].dump()))),
            ProducerCommand::Stats => return Ok(Reply::ProducerStats(self.producers[id].stats(now))),
            ProducerCommand::Pause => self.pause_producer(now, id, out),
            ProducerCommand::Resume => self.resume_producer(now, id, out),
            ProducerCommand::EnableTraceEvent(events) => self.producers[id].trace_events = events,
            ProducerCommand::Send(data) => self.receive_application_rtp(now, id, &data, out),
        }
        Ok(Reply::Done)
    }

    fn pause_producer(&mut self, now: Time, id: Id<Producer>, out: &mut Outbox) {
        let producer = &mut self.producers[id];
        if producer.paused {
            return;
        }
        producer.paused = true;
        for stream in producer.streams.iter_mut().flatten() {
            stream.pause();
        }
        for consumer in producer.consumers().collect::<Vec<_>>() {
            self.consumers[consumer].producer_paused = true;
            let change = self.refresh_egress(now, consumer);
            self.settle_layers(now, consumer, change, out);
            let name = self.consumers[consumer].name.clone();
            out.events.push(Event::ConsumerProducerPause { consumer: name });
        }
        self.tell_observers_of_pause(id);
    }

    fn resume_producer(&mut self, now: Time, id: Id<Producer>, out: &mut Outbox) {
        let producer = &mut self.producers[id];
        if !producer.paused {
            return;
        }
        producer.paused = false;
        for stream in producer.streams.iter_mut().flatten() {
            stream.resume(now);
        }
        let (kind, streams) = (producer.kind, producer.streams.len());
        for consumer in producer.consumers().collect::<Vec<_>>() {
            self.consumers[consumer].producer_paused = false;
            let change = self.refresh_egress(now, consumer);
            self.settle_layers(now, consumer, change, out);
            let name = self.consumers[consumer].name.clone();
            out.events.push(Event::ConsumerProducerResume { consumer: name });
        }
        self.tell_observers_of_pause(id);
        for index in 0..streams {
            self.schedule_inactivity(id, index);
            if kind == MediaKind::Video {
                self.force_key_frame(now, id, index, out);
            }
        }
    }

    /// An RTP packet from the application takes the same way as one from a socket, whatever the transport.
    fn receive_application_rtp(&mut self, now: Time, id: Id<Producer>, data: &[u8], out: &mut Outbox) {
        let transport = self.producers[id].transport;
        self.transports[transport].traffic.received.update(now, data.len());
        let result = if data.len() > APPLICATION_RTP_BYTES_MAX {
            Err(DropReason::TooLong)
        } else {
            self.forward_rtp(now, transport, data, now, out)
        };
        self.account(now, Some(transport), result, out);
    }
}
