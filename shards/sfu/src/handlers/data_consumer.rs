//! Commands of data consumers, and how their messages leave.

use ringsoup_rtc::subchannels::Audience;
use ringsoup_rtc::time::Time;

use crate::command::CommandError;
use crate::data::Message;
use crate::data::association::Association;
use crate::data::command::{ConsumeData, DataConsumerCommand};
use crate::data::data_consumer::DataConsumer;
use crate::data::reply::SctpState;
use crate::data::send_queue::QueueRefusal;
use crate::data::stream_parameters::StreamParameters;
use crate::event::{Event, LogLevel, LogLine, LogTag};
use crate::handlers::data_producer::{carries_data, check_stream, check_type};
use crate::outbox::{Destination, Outbox};
use crate::piped::MessageHead;
use crate::reply::Reply;
use crate::sfu::{Entity, Sfu};
use crate::table::{Id, take_out};
use crate::transport::Transport;

/// Why a message did not leave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unsent {
    /// The send queue has no room.
    BufferFull,
    /// Paused, too long or empty.
    Refused,
}

impl From<Unsent> for CommandError {
    fn from(unsent: Unsent) -> Self {
        Self::error(match unsent {
            Unsent::BufferFull => "sctpsendbufferfull",
            Unsent::Refused => "message send failed",
        })
    }
}

impl Sfu {
    pub(crate) fn consume_data(
        &mut self,
        transport: Id<Transport>,
        request: ConsumeData,
        out: &mut Outbox,
    ) -> Result<Reply, CommandError> {
        let owner = &self.transports[transport];
        if !carries_data(owner) {
            return Err(CommandError::error("SCTP not enabled and not a direct Transport"));
        }
        let name = request.data_consumer.clone();
        let stream = check_stream(request.data_type, request.sctp_stream_parameters.as_ref())?;
        self.check_name_is_free(&name)?;
        check_type(owner, stream.as_ref(), "DataConsumer")?;
        check_stream_is_free(owner.association.as_deref(), stream.as_ref())?;
        let producer = self
            .data_producer(&request.data_producer)
            .ok()
            .filter(|&id| self.data_producers[id].router == owner.router)
            .ok_or_else(|| {
                let producer = &request.data_producer;
                CommandError::not_found(format!("DataProducer not found [dataProducerId:{producer}]"))
            })?;
        let mut consumer = DataConsumer::new(request, stream, transport, producer, owner.is_pipe());
        if self.data_producers[producer].paused {
            consumer.producer_paused = true;
            out.events.push(Event::DataConsumerDataProducerPause { data_consumer: name });
        }
        let id = self.insert_data_consumer(consumer);
        let dump = Box::new(self.data_consumers[id].dump(self.association_of(id)));
        out.reply_here();
        self.may_open_association(transport, out);
        Ok(Reply::DataConsumerDump(dump))
    }

    fn insert_data_consumer(&mut self, consumer: DataConsumer) -> Id<DataConsumer> {
        let (name, stream) = (consumer.name.clone(), consumer.stream);
        let (transport, producer) = (consumer.transport, consumer.producer);
        let id = self.data_consumers.insert(consumer);
        self.names.insert(name, Entity::DataConsumer(id));
        let (producer, transport) = (&mut self.data_producers[producer], &mut self.transports[transport]);
        self.data_consumers[id].place_at_producer = producer.consumers.len();
        producer.consumers.push(id);
        self.data_consumers[id].place = transport.data_consumers.len();
        transport.data_consumers.push(id);
        if let (Some(association), Some(stream)) = (&mut transport.association, stream) {
            association.consumers.insert(stream.stream_id, id);
            self.data_consumers[id].association_closed = association.state == SctpState::Closed;
        }
        id
    }

    pub(crate) fn close_data_consumer_of(
        &mut self,
        transport: Id<Transport>,
        name: &str,
    ) -> Result<Reply, CommandError> {
        if !carries_data(&self.transports[transport]) {
            return Err(CommandError::error(
                "cannot close DataConsumer, SCTP not enabled and not a direct Transport",
            ));
        }
        let id = self.data_consumer(name).ok().filter(|&id| self.data_consumers[id].transport == transport);
        let id = id.ok_or_else(|| {
            CommandError::not_found("DataConsumer not found [method:transport.closeDataConsumer]")
        })?;
        self.close_data_consumer(id);
        Ok(Reply::Done)
    }

    pub(crate) fn close_data_consumer(&mut self, id: Id<DataConsumer>) {
        let Some(consumer) = self.data_consumers.remove(id) else { return };
        self.names.remove(&consumer.name);
        if let Some(producer) = self.data_producers.get_mut(consumer.producer)
            && let Some(moved) = take_out(&mut producer.consumers, consumer.place_at_producer)
        {
            self.data_consumers[moved].place_at_producer = consumer.place_at_producer;
        }
        let transport = &mut self.transports[consumer.transport];
        if let Some(moved) = take_out(&mut transport.data_consumers, consumer.place) {
            self.data_consumers[moved].place = consumer.place;
        }
        if let (Some(association), Some(stream)) = (&mut transport.association, consumer.stream) {
            association.consumers.remove(&stream.stream_id);
        }
    }

    fn data_consumer(&self, name: &str) -> Result<Id<DataConsumer>, CommandError> {
        match self.names.get(name) {
            Some(&Entity::DataConsumer(id)) => Ok(id),
            _ => Err(CommandError::not_found(format!("DataConsumer not found [dataConsumerId:{name}]"))),
        }
    }

    fn association_of(&self, id: Id<DataConsumer>) -> Option<&Association> {
        self.transports[self.data_consumers[id].transport].association.as_deref()
    }

    pub(crate) fn handle_data_consumer_command(
        &mut self,
        now: Time,
        name: &str,
        command: DataConsumerCommand,
        out: &mut Outbox,
    ) -> Result<Reply, CommandError> {
        let id = self.data_consumer(name)?;
        let (association, consumer) = (self.association_of(id), &self.data_consumers[id]);
        match command {
            DataConsumerCommand::Dump => {
                return Ok(Reply::DataConsumerDump(Box::new(consumer.dump(association))));
            }
            DataConsumerCommand::Stats => {
                return Ok(Reply::DataConsumerStats(Box::new(consumer.stats(now, association))));
            }
            DataConsumerCommand::GetBufferedAmount => {
                check_is_sctp(consumer)?;
                return Ok(Reply::BufferedAmount(consumer.buffered_amount(association)));
            }
            DataConsumerCommand::SetBufferedAmountLowThreshold(bytes) => {
                self.set_low_threshold(id, bytes, out)?;
                return Ok(Reply::Done);
            }
            DataConsumerCommand::Send(message) => {
                return self.send_application_message(now, id, &message, out);
            }
            _ => {}
        }
        let consumer = &mut self.data_consumers[id];
        let subscriptions = &mut consumer.subscriptions;
        Ok(match command {
            DataConsumerCommand::SetSubchannels(subchannels) => {
                *subscriptions = subchannels.into_iter().collect();
                Reply::SetSubchannels(subscriptions.to_vec())
            }
            DataConsumerCommand::AddSubchannel(subchannel) => {
                subscriptions.insert(subchannel);
                Reply::AddSubchannel(subscriptions.to_vec())
            }
            DataConsumerCommand::RemoveSubchannel(subchannel) => {
                subscriptions.remove(subchannel);
                Reply::RemoveSubchannel(subscriptions.to_vec())
            }
            command => {
                consumer.paused = matches!(command, DataConsumerCommand::Pause);
                Reply::Done
            }
        })
    }

    fn set_low_threshold(
        &mut self,
        id: Id<DataConsumer>,
        bytes: u32,
        out: &mut Outbox,
    ) -> Result<(), CommandError> {
        let consumer = &self.data_consumers[id];
        let stream = check_is_sctp(consumer)?;
        let Some(association) = &mut self.transports[consumer.transport].association else { return Ok(()) };
        if association.queue.set_low_threshold(stream.stream_id, bytes) {
            let buffered_amount = association.queue.buffered_amount(stream.stream_id);
            let data_consumer = consumer.name.clone();
            out.events.push(Event::DataConsumerBufferedAmountLow { data_consumer, buffered_amount });
        }
        Ok(())
    }

    /// A message of the application for this consumer's peer alone.
    fn send_application_message(
        &mut self,
        now: Time,
        id: Id<DataConsumer>,
        message: &Message,
        out: &mut Outbox,
    ) -> Result<Reply, CommandError> {
        let consumer = &self.data_consumers[id];
        check_is_sctp(consumer)?;
        let (len, max) = (message.payload.len(), self.transports[consumer.transport].max_send_message_size);
        if len > max as usize {
            return Err(CommandError::type_error(format!(
                "given message exceeds maxMessageSize value [maxMessageSize:{max}, len:{len}]"
            )));
        }
        // That the queue is full is told after the refusal.
        out.reply_here();
        self.send_message(now, id, message, &Audience::default(), out)?;
        let buffered_amount = self.data_consumers[id].buffered_amount(self.association_of(id));
        Ok(Reply::DataSent { buffered_amount })
    }

    /// Where every message leaves a data consumer. What fits is counted as sent, even if the queue then refuses it.
    pub(crate) fn send_message(
        &mut self,
        now: Time,
        id: Id<DataConsumer>,
        message: &Message,
        audience: &Audience,
        out: &mut Outbox,
    ) -> Result<(), Unsent> {
        let consumer = &mut self.data_consumers[id];
        let transport = &mut self.transports[consumer.transport];
        if !consumer.is_active() {
            return Err(Unsent::Refused);
        }
        let message = consumer.address(message, audience);
        let (len, max) = (message.payload.len(), transport.max_send_message_size);
        if len > max as usize {
            if consumer.may_warn(now) {
                out.events.push(Event::Log(too_long(&consumer.name, len, max)));
            }
            return Err(Unsent::Refused);
        }
        consumer.messages_sent += 1;
        consumer.bytes_sent += len as u64;
        let data_consumer = consumer.name.clone();
        let passes_to = transport.message_destination();
        let (Some(stream), Some(association)) = (consumer.stream, &mut transport.association) else {
            out.events.push(Event::DataConsumerMessage { data_consumer, message });
            transport.traffic.other_sent.update(now, len);
            return Ok(());
        };
        if let Some(destination) = passes_to {
            let passed = pass_message(now, transport, destination, stream.stream_id, &message, out);
            if passed == Err(Unsent::BufferFull) {
                out.events.push(Event::DataConsumerSendBufferFull { data_consumer });
            }
            return passed;
        }
        match association.queue.push(stream.stream_id, message) {
            Ok(()) => Ok(()),
            Err(QueueRefusal::Full) => {
                out.events.push(Event::DataConsumerSendBufferFull { data_consumer });
                Err(Unsent::BufferFull)
            }
            Err(QueueRefusal::Empty | QueueRefusal::TooLong) => Err(Unsent::Refused),
        }
    }
}

impl Sfu {
    /// What waited in a transport's association goes to the other end of the pipe, which turned out to be in this process.
    pub(crate) fn pass_waiting_messages(&mut self, now: Time, id: Id<Transport>, out: &mut Outbox) {
        let transport = &mut self.transports[id];
        let Some(destination) = transport.message_destination() else { return };
        let Some(association) = &mut transport.association else { return };
        let waiting = association.queue.take_all();
        for stream_id in waiting.now_low {
            if let Some(&consumer) = association.consumers.get(&stream_id) {
                let data_consumer = self.data_consumers[consumer].name.clone();
                out.events.push(Event::DataConsumerBufferedAmountLow { data_consumer, buffered_amount: 0 });
            }
        }
        for (stream_id, message) in waiting.messages {
            // What does not fit is lost, as everything is that finds the other end too slow.
            let _ = pass_message(now, transport, destination, stream_id, &message, out);
        }
    }
}

/// Hands a message to the other end of a pipe inside the process.
fn pass_message(
    now: Time,
    transport: &mut Transport,
    destination: Destination,
    stream_id: u16,
    message: &Message,
    out: &mut Outbox,
) -> Result<(), Unsent> {
    // SCTP has no empty messages, and nobody must be able to tell that there is none.
    if message.payload.is_empty() {
        return Err(Unsent::Refused);
    }
    let payload = out.share(&message.payload).ok_or(Unsent::BufferFull)?;
    let head = MessageHead { stream_id, ppid: message.ppid };
    if !out.push(destination, MessageHead::BYTES, payload, |slot| head.write(slot)) {
        return Err(Unsent::BufferFull);
    }
    transport.traffic.other_sent.update(now, MessageHead::BYTES + message.payload.len());
    Ok(())
}

fn check_is_sctp(consumer: &DataConsumer) -> Result<StreamParameters, CommandError> {
    consumer.stream.ok_or_else(|| CommandError::type_error("invalid DataConsumer type"))
}

fn check_stream_is_free(
    association: Option<&Association>,
    stream: Option<&StreamParameters>,
) -> Result<(), CommandError> {
    match (association, stream) {
        (Some(association), Some(stream)) if association.consumers.contains_key(&stream.stream_id) => {
            Err(CommandError::error(format!(
                "an SCTP DataConsumer with same streamId {} already exists [method:transport.consumeData]",
                stream.stream_id
            )))
        }
        _ => Ok(()),
    }
}

fn too_long(data_consumer: &str, len: usize, max: u32) -> LogLine {
    let text = format!(
        "Sfu::send_message() | message exceeds maxMessageSize value [maxMessageSize:{max}, len:{len}, \
         dataConsumerId:{data_consumer}]"
    );
    LogLine { level: LogLevel::Warn, tag: LogTag::Message, text }
}
