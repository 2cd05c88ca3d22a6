//! What a request to an object of a shard comes to: one table, in parts, of which kind of object knows which method and
//! what command that is. The part about data is in `data_plan`; the methods of the worker and of WebRTC servers, which
//! have no single command, are in `worker` and `webrtc_servers`.
//!
//! The order of the checks is the order in which controllers expect the errors: the handler, then whether
//! it knows the method, then what the body says.

use ringsoup_sfu::command::{
    Command, CommandError, ConsumerCommand, ObserverCommand, ProducerCommand, TransportCommand,
};
use ringsoup_sfu::data::command::DataProducerCommand;
use ringsoup_sfu::name::Name;
use ringsoup_sfu::piped::PipeKey;

use super::data_plan;
use crate::message::{BadBody, Method, NotificationBody, RequestBody, ServedTransportRequest};
use crate::registry::{Found, Kind};

/// A command, and what it means for the registry.
#[derive(Debug)]
pub(super) enum Plan {
    Ask(Command),
    /// Makes `child` under the handler.
    Create {
        command: Command,
        child: Name,
        kind: Kind,
    },
    /// Makes a transport that listens through a server.
    CreateServed(Box<ServedTransportRequest>),
    /// Was to make `child`, and says of it what cannot be.
    Misshapen {
        error: CommandError,
        child: Name,
        kind: Kind,
    },
    /// Ends `child`, which must be one of the handler's.
    Close {
        command: Command,
        child: Name,
        noun: Noun,
    },
}

/// What a close is about, in the words of error texts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Noun {
    Transport,
    Producer,
    Consumer,
    RtpObserver,
    DataProducer,
    DataConsumer,
}

impl Noun {
    pub(super) fn text(self) -> &'static str {
        match self {
            Self::Transport => "Transport",
            Self::Producer => "Producer",
            Self::Consumer => "Consumer",
            Self::RtpObserver => "RtpObserver",
            Self::DataProducer => "DataProducer",
            Self::DataConsumer => "DataConsumer",
        }
    }

    /// Whether to leave it to the shard to refuse what does not exist: whether the transport carries data at all
    /// comes first, and only the shard knows.
    pub(super) fn shard_refuses(self) -> bool {
        matches!(self, Self::DataProducer | Self::DataConsumer)
    }

    pub(super) fn covers(self, kind: Kind) -> bool {
        match self {
            Self::Transport => kind.is_transport(),
            Self::Producer => kind == Kind::Producer,
            Self::Consumer => kind == Kind::Consumer,
            Self::RtpObserver => kind == Kind::RtpObserver,
            Self::DataProducer => kind == Kind::DataProducer,
            Self::DataConsumer => kind == Kind::DataConsumer,
        }
    }
}

pub(super) fn unknown_method(method: Method) -> CommandError {
    CommandError::error(format!("unknown method '{}'", method.name()))
}

pub(super) fn not_found(noun: &str, method: Method) -> CommandError {
    CommandError::not_found(format!("{noun} not found [method:{}]", method.name()))
}

/// What an object does with a method that it knows. Given its name and the body; `None` when that is another method's.
pub(super) enum Entry {
    Ask(fn(Name, RequestBody) -> Option<Command>),
    /// Makes what is named.
    Make(Kind, fn(Name, RequestBody) -> Option<(Name, Command)>),
    MakeServed,
    /// Ends what is named.
    End(Noun, fn(Name, RequestBody) -> Option<(Name, Command)>),
}

/// A closure over the handler's name and the one body that belongs to the method.
macro_rules! takes {
    ($name:ident, $body:pat => $result:expr) => {
        |$name, body| match body {
            $body => Some($result),
            _ => None,
        }
    };
}
pub(super) use takes;

impl Entry {
    /// What a request with a bad body was to make.
    fn makes(&self) -> Option<Kind> {
        match self {
            Self::Make(kind, _) => Some(*kind),
            Self::MakeServed => Some(Kind::WebRtcTransport),
            Self::Ask(_) | Self::End(..) => None,
        }
    }

    fn plan(self, handler: Name, body: RequestBody) -> Option<Plan> {
        Some(match self {
            Self::Ask(command) => Plan::Ask(command(handler, body)?),
            Self::Make(kind, made) => {
                let (child, command) = made(handler, body)?;
                Plan::Create { command, child, kind }
            }
            Self::MakeServed => match body {
                RequestBody::CreateServedTransport(request) => Plan::CreateServed(request),
                _ => return None,
            },
            Self::End(noun, ended) => {
                let (child, command) = ended(handler, body)?;
                Plan::Close { command, child, noun }
            }
        })
    }
}

/// `None` when this is no method of that kind of object.
fn entry(kind: Kind, method: Method) -> Option<Entry> {
    match kind {
        Kind::Router => router_entry(method),
        Kind::PlainTransport | Kind::PipeTransport | Kind::WebRtcTransport | Kind::DirectTransport => {
            own_transport_entry(kind, method)
                .or_else(|| transport_entry(method))
                .or_else(|| data_plan::transport_entry(method))
        }
        Kind::Producer => producer_entry(method),
        Kind::Consumer => consumer_entry(method),
        Kind::RtpObserver => observer_entry(method),
        Kind::DataProducer => data_plan::producer_entry(method),
        Kind::DataConsumer => data_plan::consumer_entry(method),
        // Answered by the controller itself.
        Kind::WebRtcServer => None,
    }
}

/// # Errors
/// In the controller's words, ready to be answered.
pub(super) fn plan(
    handler: &Found,
    method: Method,
    body: Result<RequestBody, BadBody>,
) -> Result<Plan, CommandError> {
    let entry = entry(handler.kind, method).ok_or_else(|| unknown_method(method))?;
    match body {
        Ok(body) => entry.plan(handler.name.clone(), body).ok_or_else(|| {
            let reason = format!("body does not belong to the method [method:{}]", method.name());
            CommandError::type_error(reason)
        }),
        Err(BadBody { error, child }) => match (child, entry.makes()) {
            (Some(child), Some(kind)) => Ok(Plan::Misshapen { error, child, kind }),
            _ => Err(error),
        },
    }
}

fn router_entry(method: Method) -> Option<Entry> {
    use RequestBody as B;
    Some(match method {
        Method::RouterDump => Entry::Ask(|router, _| Some(Command::DumpRouter { router })),
        Method::RouterCreatePlainTransport => Entry::Make(
            Kind::PlainTransport,
            takes!(router, B::CreatePlainTransport { transport, options } => {
                (transport.clone(), Command::CreatePlainTransport { router, transport, options })
            }),
        ),
        Method::RouterCreateWebRtcTransport => Entry::Make(
            Kind::WebRtcTransport,
            takes!(router, B::CreateWebRtcTransport { transport, options } => {
                (transport.clone(), Command::CreateWebRtcTransport { router, transport, options })
            }),
        ),
        Method::RouterCreateWebRtcTransportWithServer => Entry::MakeServed,
        Method::RouterCreatePipeTransport => Entry::Make(
            Kind::PipeTransport,
            takes!(router, B::CreatePipeTransport { transport, options } => {
                // The controller's business: it knows what was never used before.
                let key = PipeKey(0);
                (transport.clone(), Command::CreatePipeTransport { router, transport, key, options })
            }),
        ),
        Method::RouterCreateDirectTransport => Entry::Make(
            Kind::DirectTransport,
            takes!(router, B::CreateDirectTransport { transport, options } => {
                (transport.clone(), Command::CreateDirectTransport { router, transport, options })
            }),
        ),
        Method::RouterCloseTransport => Entry::End(
            Noun::Transport,
            takes!(router, B::CloseTransport { transport } => {
                (transport.clone(), Command::CloseTransport { router, transport })
            }),
        ),
        Method::RouterCreateActiveSpeakerObserver => Entry::Make(
            Kind::RtpObserver,
            takes!(router, B::CreateActiveSpeakerObserver { observer, options } => {
                (observer.clone(), Command::CreateActiveSpeakerObserver { router, observer, options })
            }),
        ),
        Method::RouterCreateAudioLevelObserver => Entry::Make(
            Kind::RtpObserver,
            takes!(router, B::CreateAudioLevelObserver { observer, options } => {
                (observer.clone(), Command::CreateAudioLevelObserver { router, observer, options })
            }),
        ),
        Method::RouterCloseRtpObserver => Entry::End(
            Noun::RtpObserver,
            takes!(router, B::CloseRtpObserver { observer } => {
                (observer.clone(), Command::CloseObserver { router, observer })
            }),
        ),
        _ => return None,
    })
}

pub(super) fn to_transport(transport: Name, command: TransportCommand) -> Command {
    Command::Transport { transport, command }
}

/// What only some kinds of transports know.
fn own_transport_entry(kind: Kind, method: Method) -> Option<Entry> {
    use RequestBody as B;
    use TransportCommand as C;
    Some(match (kind, method) {
        (Kind::PlainTransport, Method::PlainTransportConnect) => Entry::Ask(
            takes!(name, B::ConnectPlainTransport(connect) => to_transport(name, C::ConnectPlain(connect))),
        ),
        (Kind::PipeTransport, Method::PipeTransportConnect) => Entry::Ask(
            takes!(name, B::ConnectPipeTransport(connect) => to_transport(name, C::ConnectPipe(connect))),
        ),
        (Kind::WebRtcTransport, Method::WebRtcTransportConnect) => Entry::Ask(
            takes!(name, B::ConnectWebRtcTransport(connect) => to_transport(name, C::ConnectWebRtc(connect))),
        ),
        (Kind::WebRtcTransport, Method::TransportRestartIce) => {
            Entry::Ask(|name, _| Some(to_transport(name, C::RestartIce)))
        }
        _ => return None,
    })
}

/// What all of them know.
fn transport_entry(method: Method) -> Option<Entry> {
    use RequestBody as B;
    use TransportCommand as C;
    Some(match method {
        Method::TransportDump => Entry::Ask(|name, _| Some(to_transport(name, C::Dump))),
        Method::TransportGetStats => Entry::Ask(|name, _| Some(to_transport(name, C::Stats))),
        Method::TransportSetMaxIncomingBitrate => {
            Entry::Ask(takes!(name, B::SetBitrate(bps) => to_transport(name, C::SetMaxIncomingBitrate(bps))))
        }
        Method::TransportSetMaxOutgoingBitrate => {
            Entry::Ask(takes!(name, B::SetBitrate(bps) => to_transport(name, C::SetMaxOutgoingBitrate(bps))))
        }
        Method::TransportSetMinOutgoingBitrate => {
            Entry::Ask(takes!(name, B::SetBitrate(bps) => to_transport(name, C::SetMinOutgoingBitrate(bps))))
        }
        Method::TransportEnableTraceEvent => Entry::Ask(
            takes!(name, B::EnableTransportTrace(events) => to_transport(name, C::EnableTraceEvent(events))),
        ),
        Method::TransportProduce => Entry::Make(
            Kind::Producer,
            takes!(name, B::Produce(produce) => {
                (produce.producer.clone(), to_transport(name, C::Produce(produce)))
            }),
        ),
        Method::TransportConsume => Entry::Make(
            Kind::Consumer,
            takes!(name, B::Consume(consume) => {
                (consume.consumer.clone(), to_transport(name, C::Consume(consume)))
            }),
        ),
        Method::TransportCloseProducer => Entry::End(
            Noun::Producer,
            takes!(name, B::CloseProducer { producer } => {
                (producer.clone(), to_transport(name, C::CloseProducer { producer }))
            }),
        ),
        Method::TransportCloseConsumer => Entry::End(
            Noun::Consumer,
            takes!(name, B::CloseConsumer { consumer } => {
                (consumer.clone(), to_transport(name, C::CloseConsumer { consumer }))
            }),
        ),
        _ => return None,
    })
}

fn producer_entry(method: Method) -> Option<Entry> {
    use ProducerCommand as C;
    Some(match method {
        Method::ProducerDump => Entry::Ask(|name, _| Some(to_producer(name, C::Dump))),
        Method::ProducerGetStats => Entry::Ask(|name, _| Some(to_producer(name, C::Stats))),
        Method::ProducerPause => Entry::Ask(|name, _| Some(to_producer(name, C::Pause))),
        Method::ProducerResume => Entry::Ask(|name, _| Some(to_producer(name, C::Resume))),
        Method::ProducerEnableTraceEvent => {
            Entry::Ask(takes!(name, RequestBody::EnableProducerTrace(events) => {
                to_producer(name, C::EnableTraceEvent(events))
            }))
        }
        _ => return None,
    })
}

fn to_producer(producer: Name, command: ProducerCommand) -> Command {
    Command::Producer { producer, command }
}

fn consumer_entry(method: Method) -> Option<Entry> {
    use ConsumerCommand as C;
    use RequestBody as B;
    Some(match method {
        Method::ConsumerDump => Entry::Ask(|name, _| Some(to_consumer(name, C::Dump))),
        Method::ConsumerGetStats => Entry::Ask(|name, _| Some(to_consumer(name, C::Stats))),
        Method::ConsumerPause => Entry::Ask(|name, _| Some(to_consumer(name, C::Pause))),
        Method::ConsumerResume => Entry::Ask(|name, _| Some(to_consumer(name, C::Resume))),
        Method::ConsumerSetPreferredLayers => Entry::Ask(
            takes!(name, B::SetPreferredLayers(layers) => to_consumer(name, C::SetPreferredLayers(layers))),
        ),
        Method::ConsumerSetPriority => {
            Entry::Ask(takes!(name, B::SetPriority(priority) => to_consumer(name, C::SetPriority(priority))))
        }
        Method::ConsumerRequestKeyFrame => Entry::Ask(|name, _| Some(to_consumer(name, C::RequestKeyFrame))),
        Method::ConsumerEnableTraceEvent => Entry::Ask(
            takes!(name, B::EnableConsumerTrace(events) => to_consumer(name, C::EnableTraceEvent(events))),
        ),
        _ => return None,
    })
}

fn to_consumer(consumer: Name, command: ConsumerCommand) -> Command {
    Command::Consumer { consumer, command }
}

fn observer_entry(method: Method) -> Option<Entry> {
    use ObserverCommand as C;
    use RequestBody as B;
    Some(match method {
        Method::RtpObserverPause => Entry::Ask(|name, _| Some(to_observer(name, C::Pause))),
        Method::RtpObserverResume => Entry::Ask(|name, _| Some(to_observer(name, C::Resume))),
        Method::RtpObserverAddProducer => Entry::Ask(
            takes!(name, B::ObserverProducer { producer } => to_observer(name, C::AddProducer { producer })),
        ),
        Method::RtpObserverRemoveProducer => Entry::Ask(
            takes!(name, B::ObserverProducer { producer } => to_observer(name, C::RemoveProducer { producer })),
        ),
        _ => return None,
    })
}

fn to_observer(observer: Name, command: ObserverCommand) -> Command {
    Command::Observer { observer, command }
}

/// The command of a notification; `None` when the handler does not take it.
pub(super) fn plan_notification(handler: Found, body: NotificationBody) -> Option<Command> {
    let name = handler.name;
    match (handler.kind, body) {
        (Kind::DirectTransport, NotificationBody::TransportSendRtcp(data)) => {
            Some(Command::Transport { transport: name, command: TransportCommand::SendRtcp(data) })
        }
        (Kind::Producer, NotificationBody::ProducerSend(data)) => {
            Some(Command::Producer { producer: name, command: ProducerCommand::Send(data) })
        }
        (Kind::DataProducer, NotificationBody::DataProducerSend(sent)) => {
            let (message, audience) = *sent;
            let command = DataProducerCommand::Send(message, audience);
            Some(Command::DataProducer { data_producer: name, command })
        }
        _ => None,
    }
}
