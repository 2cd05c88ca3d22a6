//! Commands of data producers, and the way of their messages.

use ringsoup_rtc::subchannels::{self, Audience};
use ringsoup_rtc::time::Time;

use crate::command::CommandError;
use crate::data::Message;
use crate::data::command::{DataProducerCommand, DataType, ProduceData, SctpStreamParameters};
use crate::data::data_producer::DataProducer;
use crate::data::reply::SctpState;
use crate::data::stream_parameters::StreamParameters;
use crate::drop_reason::DropReason;
use crate::event::Event;
use crate::outbox::Outbox;
use crate::piped::MessageHead;
use crate::reply::Reply;
use crate::sfu::{Entity, Sfu};
use crate::stats::Outcome;
use crate::table::{Id, take_out};
use crate::transport::{Transport, TransportKind};

/// The stream of a data producer or consumer, `None` for those of the application.
pub(super) fn check_stream(
    data_type: DataType,
    parameters: Option<&SctpStreamParameters>,
) -> Result<Option<StreamParameters>, CommandError> {
    match data_type {
        DataType::Sctp => StreamParameters::check(parameters).map(Some),
        DataType::Direct => Ok(None),
    }
}

/// Whether a transport can carry what is to be created; `what` names it.
pub(super) fn check_type(
    transport: &Transport,
    stream: Option<&StreamParameters>,
    what: &str,
) -> Result<(), CommandError> {
    let is_direct = matches!(transport.kind, TransportKind::Direct);
    match stream {
        Some(_) if transport.association.is_none() => Err(CommandError::type_error(format!(
            "cannot create a {what} of type 'sctp', SCTP not enabled in this Transport"
        ))),
        None if !is_direct => Err(CommandError::type_error(format!(
            "cannot create a {what} of type 'direct', not a direct Transport"
        ))),
        _ => Ok(()),
    }
}

pub(super) fn carries_data(transport: &Transport) -> bool {
    transport.association.is_some() || matches!(transport.kind, TransportKind::Direct)
}

impl Sfu {
    pub(crate) fn produce_data(
        &mut self,
        transport: Id<Transport>,
        request: ProduceData,
        out: &mut Outbox,
    ) -> Result<Reply, CommandError> {
        let owner = &self.transports[transport];
        if !carries_data(owner) {
            return Err(CommandError::error("SCTP not enabled and not a direct Transport"));
        }
        let name = request.data_producer.clone();
        let stream = check_stream(request.data_type, request.sctp_stream_parameters.as_ref())?;
        self.check_name_is_free(&name)?;
        check_type(owner, stream.as_ref(), "DataProducer")?;
        let (owner, id) = (&mut self.transports[transport], self.data_producers.next_id());
        if let (Some(association), Some(stream)) = (&mut owner.association, &stream) {
            if association.producers.contains_key(&stream.stream_id) {
                return Err(CommandError::error(format!(
                    "streamId already exists in SCTP listener [streamId:{}]",
                    stream.stream_id
                )));
            }
            association.producers.insert(stream.stream_id, id);
        }
        let place = owner.data_producers.len();
        owner.data_producers.push(id);
        let mut producer = DataProducer::new(request, stream, transport, owner.router);
        producer.place = place;
        let dump = Box::new(producer.dump());
        self.data_producers.insert(producer);
        self.names.insert(name, Entity::DataProducer(id));
        out.reply_here();
        self.may_open_association(transport, out);
        Ok(Reply::DataProducerDump(dump))
    }

    pub(crate) fn close_data_producer_of(
        &mut self,
        transport: Id<Transport>,
        name: &str,
        out: &mut Outbox,
    ) -> Result<Reply, CommandError> {
        if !carries_data(&self.transports[transport]) {
            return Err(CommandError::error(
                "cannot close DataProducer, SCTP not enabled and not a direct Transport",
            ));
        }
        let id = self.data_producer(name).ok().filter(|&id| self.data_producers[id].transport == transport);
        let id = id.ok_or_else(|| {
            CommandError::not_found("DataProducer not found [method:transport.closeDataProducer]")
        })?;
        self.close_data_producer(id, out);
        Ok(Reply::Done)
    }

    /// Closes a data producer; its consumers are told, and are gone then.
    pub(crate) fn close_data_producer(&mut self, id: Id<DataProducer>, out: &mut Outbox) {
        let Some(producer) = self.data_producers.remove(id) else { return };
        for consumer in producer.consumers {
            let data_consumer = self.data_consumers[consumer].name.clone();
            out.events.push(Event::DataConsumerDataProducerClose { data_consumer });
            self.close_data_consumer(consumer);
        }
        self.names.remove(&producer.name);
        let transport = &mut self.transports[producer.transport];
        if let Some(moved) = take_out(&mut transport.data_producers, producer.place) {
            self.data_producers[moved].place = producer.place;
        }
        if let (Some(association), Some(stream)) = (&mut transport.association, producer.stream) {
            association.producers.remove(&stream.stream_id);
        }
    }

    pub(crate) fn data_producer(&self, name: &str) -> Result<Id<DataProducer>, CommandError> {
        match self.names.get(name) {
            Some(&Entity::DataProducer(id)) => Ok(id),
            _ => Err(CommandError::not_found(format!("DataProducer not found [dataProducerId:{name}]"))),
        }
    }

    pub(crate) fn handle_data_producer_command(
        &mut self,
        now: Time,
        name: &str,
        command: DataProducerCommand,
        out: &mut Outbox,
    ) -> Result<Reply, CommandError> {
        let id = self.data_producer(name)?;
        match command {
            DataProducerCommand::Dump => {
                return Ok(Reply::DataProducerDump(Box::new(self.data_producers[id].dump())));
            }
            DataProducerCommand::Stats => {
                return Ok(Reply::DataProducerStats(Box::new(self.data_producers[id].stats(now))));
            }
            DataProducerCommand::Pause => self.pause_data_producer(id, true, out),
            DataProducerCommand::Resume => self.pause_data_producer(id, false, out),
            DataProducerCommand::Send(message, audience) => {
                self.receive_application_message(now, id, &message, &audience, out)?;
            }
        }
        Ok(Reply::Done)
    }

    fn pause_data_producer(&mut self, id: Id<DataProducer>, paused: bool, out: &mut Outbox) {
        let producer = &mut self.data_producers[id];
        if producer.paused == paused {
            return;
        }
        producer.paused = paused;
        for &consumer in &producer.consumers {
            let consumer = &mut self.data_consumers[consumer];
            consumer.producer_paused = paused;
            let data_consumer = consumer.name.clone();
            out.events.push(if paused {
                Event::DataConsumerDataProducerPause { data_consumer }
            } else {
                Event::DataConsumerDataProducerResume { data_consumer }
            });
        }
    }

    /// A message of the application may enter any data producer, whatever carries its others.
    fn receive_application_message(
        &mut self,
        now: Time,
        id: Id<DataProducer>,
        message: &Message,
        audience: &Audience,
        out: &mut Outbox,
    ) -> Result<(), CommandError> {
        let transport = self.data_producers[id].transport;
        let (len, max) = (message.payload.len(), self.transports[transport].max_receive_message_size);
        if len > max as usize {
            return Err(CommandError::type_error(format!(
                "given message exceeds maxMessageSize value [maxMessageSize:{max}, len:{len}]"
            )));
        }
        self.receive_message(now, id, message, audience, out);
        self.transports[transport].traffic.received.update(now, len);
        Ok(())
    }

    /// A message from the other end of a pipe in this process.
    pub(crate) fn receive_piped_message(
        &mut self,
        now: Time,
        transport: Id<Transport>,
        bytes: &[u8],
        out: &mut Outbox,
    ) -> Result<Outcome, DropReason> {
        if bytes.is_empty() {
            return self.receive_call(now, transport, out);
        }
        let (head, payload) = MessageHead::split(bytes).ok_or(DropReason::MessageRefused)?;
        let transport = &self.transports[transport];
        let association = transport.association.as_ref().ok_or(DropReason::MessageRefused)?;
        let is_too_long = payload.len() > transport.max_receive_message_size as usize;
        if is_too_long || association.state == SctpState::Closed {
            return Err(DropReason::MessageRefused);
        }
        let &producer = association.producers.get(&head.stream_id).ok_or(DropReason::MessageRefused)?;
        let (audience, payload) =
            subchannels::decode(payload).unwrap_or_else(|| (Audience::default(), payload));
        let message = Message { ppid: head.ppid, payload: payload.into() };
        self.receive_message(now, producer, &message, &audience, out);
        Ok(Outcome::Consumed)
    }

    /// Where every message enters a data producer, wherever it comes from, and goes on to the consumers it is for.
    pub(crate) fn receive_message(
        &mut self,
        now: Time,
        id: Id<DataProducer>,
        message: &Message,
        audience: &Audience,
        out: &mut Outbox,
    ) {
        let producer = &mut self.data_producers[id];
        producer.messages_received += 1;
        producer.bytes_received += message.payload.len() as u64;
        if producer.paused {
            return;
        }
        // By place: nothing that happens on the way adds or removes consumers.
        for place in 0..producer.consumers.len() {
            let consumer = self.data_producers[id].consumers[place];
            if self.data_consumers[consumer].takes(audience) {
                // What becomes of it is counted, and told where the application has to know.
                let _ = self.send_message(now, consumer, message, audience, out);
            }
        }
    }
}
