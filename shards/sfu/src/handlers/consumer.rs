//! Commands of consumers.

use ringsoup_rtc::time::Time;

use crate::command::{CommandError, Consume, ConsumerCommand, Layers};
use crate::consumer::Consumer;
use crate::consumer::egress::{Egress, NewEgress};
use crate::consumer::layers::KeyFrameOf;
use crate::event::Event;
use crate::outbox::Outbox;
use crate::reply::{ConsumeReply, Reply};
use crate::rtp_parameters::RtpType;
use crate::sfu::{Entity, Sfu};
use crate::table::{Id, take_out};
use crate::transport::Transport;

impl Sfu {
    pub(crate) fn consume(
        &mut self,
        now: Time,
        transport: Id<Transport>,
        request: Consume,
        out: &mut Outbox,
    ) -> Result<Reply, CommandError> {
        let name = request.consumer.clone();
        self.check_name_is_free(&name)?;
        let router = self.transports[transport].router;
        let producer = self.producer(&request.producer);
        let producer = producer.and_then(|id| {
            let is_ours = self.producers[id].router == router;
            let not_found = || format!("Producer not found [producerId:{}]", request.producer);
            if is_ours { Ok(id) } else { Err(CommandError::not_found(not_found())) }
        });
        // The request's own faults are told first, as in the original.
        let placeholder = Id::new(0);
        let from = *producer.as_ref().unwrap_or(&placeholder);
        let (mut consumer, egresses) =
            Consumer::new(request, transport, from, &self.config.rules, &mut self.random)?;
        let producer = producer?;
        self.transports[transport].check_new_ssrcs(consumer.ssrcs())?;
        if self.producers[producer].paused {
            consumer.producer_paused = true;
            out.events.push(Event::ConsumerProducerPause { consumer: name.clone() });
        }
        let reply = ConsumeReply {
            paused: consumer.paused,
            producer_paused: consumer.producer_paused,
            score: consumer.first_score(&self.producers[producer], &egresses),
            preferred_layers: egresses[0].layers.preferred().map(Layers::from),
        };
        let id = self.insert_consumer(consumer, egresses);
        out.reply_here();
        if self.transports[transport].is_connected() {
            self.consumer_connected(now, id, out);
        }
        Ok(Reply::Consume(reply))
    }

    fn insert_consumer(&mut self, consumer: Consumer, egresses: Vec<NewEgress>) -> Id<Consumer> {
        let id = self.consumers.insert(consumer);
        let consumer = &mut self.consumers[id];
        self.names.insert(consumer.name.clone(), Entity::Consumer(id));
        let producer = &mut self.producers[consumer.producer];
        let transport = &mut self.transports[consumer.transport];
        consumer.place = transport.consumers.len();
        transport.consumers.push(id);
        transport.outgoing.note_consumer(consumer.kind, &consumer.parameters);
        let streams = (0_u8..).zip(&mut consumer.streams).zip(egresses);
        let is_pipe = consumer.rtp_type == RtpType::Pipe;
        for ((index, stream), mut egress) in streams {
            // The only stream there is goes to whoever is not particular, whatever it was called.
            egress.wants = egress.wants.filter(|_| is_pipe || producer.streams.len() > 1);
            stream.egress = producer.egresses.len();
            producer.egresses.push(Egress::new(id, index, egress));
            transport.media_ssrcs.insert(stream.ssrc(), id);
            if let Some((_, rtx_ssrc)) = stream.rtx() {
                transport.rtx_ssrcs.insert(rtx_ssrc, id);
            }
        }
        producer.asking += usize::from(consumer.asks_again());
        id
    }

    pub(crate) fn close_consumer_of(
        &mut self,
        transport: Id<Transport>,
        name: &str,
    ) -> Result<Reply, CommandError> {
        let id = self.consumer(name).ok().filter(|&id| self.consumers[id].transport == transport);
        let id =
            id.ok_or_else(|| CommandError::not_found("Consumer not found [method:transport.closeConsumer]"))?;
        self.close_consumer(id);
        Ok(Reply::Done)
    }

    pub(crate) fn close_consumer(&mut self, id: Id<Consumer>) {
        let Some(consumer) = self.consumers.remove(id) else { return };
        self.names.remove(&consumer.name);
        if let Some(producer) = self.producers.get_mut(consumer.producer) {
            // From the last on, so that what moves into a gap is never one of its own.
            let mut places: Vec<_> = consumer.streams.iter().map(|stream| stream.egress).collect();
            places.sort_unstable();
            for place in places.into_iter().rev() {
                let egress = producer.egresses.swap_remove(place);
                self.transports[consumer.transport].traffic.departed += egress.sent.bytes;
                if let Some(moved) = producer.egresses.get(place) {
                    self.consumers[moved.consumer].streams[usize::from(moved.stream)].egress = place;
                }
            }
            producer.asking -= usize::from(consumer.asks_again());
            // Nobody left who could ask for a packet again: no need to keep any.
            if producer.asking == 0 {
                producer.streams.iter_mut().flatten().for_each(|stream| stream.history = None);
            }
        }
        let transport = &mut self.transports[consumer.transport];
        if let Some(moved) = take_out(&mut transport.consumers, consumer.place) {
            self.consumers[moved].place = consumer.place;
        }
        // No two consumers of a transport share an SSRC.
        for ssrc in consumer.ssrcs() {
            transport.media_ssrcs.remove(&ssrc);
            transport.rtx_ssrcs.remove(&ssrc);
            transport.forget_sent_ssrc(ssrc);
        }
    }

    pub(crate) fn consumer(&self, name: &str) -> Result<Id<Consumer>, CommandError> {
        match self.names.get(name) {
            Some(&Entity::Consumer(id)) => Ok(id),
            _ => Err(CommandError::not_found(format!("Consumer not found [consumerId:{name}]"))),
        }
    }

    pub(crate) fn handle_consumer_command(
        &mut self,
        now: Time,
        name: &str,
        command: ConsumerCommand,
        out: &mut Outbox,
    ) -> Result<Reply, CommandError> {
        let id = self.consumer(name)?;
        let consumer = &mut self.consumers[id];
        match command {
            ConsumerCommand::Dump => {
                let dump = consumer.dump(&self.producers[consumer.producer]);
                return Ok(Reply::ConsumerDump(Box::new(dump)));
            }
            ConsumerCommand::Stats => {
                let stats = consumer.stats(now, &self.producers[consumer.producer]);
                return Ok(Reply::ConsumerStats(Box::new(stats)));
            }
            ConsumerCommand::Pause => {
                consumer.paused = true;
                let change = self.refresh_egress(now, id);
                self.settle_layers(now, id, change, out);
            }
            ConsumerCommand::Resume => {
                consumer.paused = false;
                self.begin_consumer(now, id, out);
            }
            ConsumerCommand::SetPreferredLayers(layers) => {
                out.reply_here();
                let preferred = self.set_preferred_layers(now, id, layers, out);
                return Ok(Reply::SetPreferredLayers(preferred));
            }
            ConsumerCommand::SetPriority(0) => {
                return Err(CommandError::type_error("wrong priority (must be higher than 0)"));
            }
            ConsumerCommand::SetPriority(priority) => {
                consumer.priority = priority;
                return Ok(Reply::SetPriority(priority));
            }
            ConsumerCommand::RequestKeyFrame => {
                self.request_key_frame_for(now, id, KeyFrameOf::SentAndWanted, out);
            }
            ConsumerCommand::EnableTraceEvent(events) => {
                consumer.trace_events = events;
                self.refresh_egress(now, id);
            }
        }
        Ok(Reply::Done)
    }
}
