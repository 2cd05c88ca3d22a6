//! What a request to an object of a shard comes to: the one place that maps methods to commands.
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
use crate::message::{Method, NotificationBody, RequestBody, ServedTransportRequest};
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

/// How a kind of object stands to a method.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Support {
    Known,
    /// Not a method of this kind of object.
    Foreign,
}

/// The handler's own view of the method.
fn support(kind: Kind, method: Method) -> Support {
    use Method as M;
    match (kind, method) {
        (Kind::Router, M::RouterDump | M::RouterCreatePlainTransport | M::RouterCreateDirectTransport)
        | (
            Kind::Router,
            M::RouterCloseTransport
            | M::RouterCreatePipeTransport
            | M::RouterCreateWebRtcTransport
            | M::RouterCreateWebRtcTransportWithServer
            | M::RouterCreateActiveSpeakerObserver
            | M::RouterCreateAudioLevelObserver
            | M::RouterCloseRtpObserver,
        ) => Support::Known,
        (Kind::PlainTransport, M::PlainTransportConnect) => Support::Known,
        (Kind::WebRtcTransport, M::WebRtcTransportConnect | M::TransportRestartIce) => Support::Known,
        (Kind::PipeTransport, M::PipeTransportConnect) => Support::Known,
        (kind, method) if kind.is_transport() => transport_support(method),
        (
            Kind::Producer,
            M::ProducerDump
            | M::ProducerGetStats
            | M::ProducerPause
            | M::ProducerResume
            | M::ProducerEnableTraceEvent,
        ) => Support::Known,
        (
            Kind::Consumer,
            M::ConsumerDump
            | M::ConsumerGetStats
            | M::ConsumerPause
            | M::ConsumerResume
            | M::ConsumerSetPreferredLayers
            | M::ConsumerSetPriority
            | M::ConsumerRequestKeyFrame
            | M::ConsumerEnableTraceEvent,
        ) => Support::Known,
        (
            Kind::RtpObserver,
            M::RtpObserverPause
            | M::RtpObserverResume
            | M::RtpObserverAddProducer
            | M::RtpObserverRemoveProducer,
        ) => Support::Known,
        (Kind::DataProducer, method) if data_plan::producer_command(method).is_some() => Support::Known,
        (Kind::DataConsumer, method) if data_plan::is_consumer_method(method) => Support::Known,
        _ => Support::Foreign,
    }
}

fn transport_support(method: Method) -> Support {
    use Method as M;
    match method {
        M::TransportDump
        | M::TransportGetStats
        | M::TransportSetMaxIncomingBitrate
        | M::TransportSetMaxOutgoingBitrate
        | M::TransportSetMinOutgoingBitrate
        | M::TransportProduce
        | M::TransportConsume
        | M::TransportEnableTraceEvent
        | M::TransportCloseProducer
        | M::TransportCloseConsumer
        | M::TransportProduceData
        | M::TransportConsumeData
        | M::TransportCloseDataProducer
        | M::TransportCloseDataConsumer => Support::Known,
        _ => Support::Foreign,
    }
}

pub(super) fn unknown_method(method: Method) -> CommandError {
    CommandError::error(format!("unknown method '{}'", method.name()))
}

pub(super) fn not_found(noun: &str, method: Method) -> CommandError {
    CommandError::not_found(format!("{noun} not found [method:{}]", method.name()))
}

/// # Errors
/// In the controller's words, ready to be answered.
pub(super) fn plan(
    handler: &Found,
    method: Method,
    body: Result<RequestBody, CommandError>,
) -> Result<Plan, CommandError> {
    match support(handler.kind, method) {
        Support::Known => {}
        Support::Foreign => return Err(unknown_method(method)),
    }
    let body = body?;
    let name = handler.name.clone();
    let planned = match handler.kind {
        Kind::Router => router_plan(name, method, body),
        Kind::PlainTransport | Kind::PipeTransport | Kind::WebRtcTransport | Kind::DirectTransport => {
            transport_plan(name, method, body)
        }
        Kind::Producer => producer_command(method, body)
            .map(|command| Plan::Ask(Command::Producer { producer: name, command })),
        Kind::Consumer => consumer_command(method, body)
            .map(|command| Plan::Ask(Command::Consumer { consumer: name, command })),
        Kind::RtpObserver => observer_command(method, body)
            .map(|command| Plan::Ask(Command::Observer { observer: name, command })),
        Kind::DataProducer => data_plan::producer_command(method)
            .map(|command| Plan::Ask(Command::DataProducer { data_producer: name, command })),
        Kind::DataConsumer => data_plan::consumer_command(method, body)
            .map(|command| Plan::Ask(Command::DataConsumer { data_consumer: name, command })),
        // Answered by the controller itself.
        Kind::WebRtcServer => None,
    };
    planned.ok_or_else(|| {
        CommandError::type_error(format!("body does not belong to the method [method:{}]", method.name()))
    })
}

fn router_plan(router: Name, method: Method, body: RequestBody) -> Option<Plan> {
    Some(match (method, body) {
        (Method::RouterDump, _) => Plan::Ask(Command::DumpRouter { router }),
        (Method::RouterCreatePlainTransport, RequestBody::CreatePlainTransport { transport, options }) => {
            Plan::Create {
                child: transport.clone(),
                kind: Kind::PlainTransport,
                command: Command::CreatePlainTransport { router, transport, options },
            }
        }
        (Method::RouterCreateWebRtcTransport, RequestBody::CreateWebRtcTransport { transport, options }) => {
            Plan::Create {
                child: transport.clone(),
                kind: Kind::WebRtcTransport,
                command: Command::CreateWebRtcTransport { router, transport, options },
            }
        }
        (Method::RouterCreateWebRtcTransportWithServer, RequestBody::CreateServedTransport(request)) => {
            Plan::CreateServed(request)
        }
        (Method::RouterCreatePipeTransport, RequestBody::CreatePipeTransport { transport, options }) => {
            Plan::Create {
                child: transport.clone(),
                kind: Kind::PipeTransport,
                // The controller's business: it knows what was never used before.
                command: Command::CreatePipeTransport { router, transport, key: PipeKey(0), options },
            }
        }
        (Method::RouterCreateDirectTransport, RequestBody::CreateDirectTransport { transport, options }) => {
            Plan::Create {
                child: transport.clone(),
                kind: Kind::DirectTransport,
                command: Command::CreateDirectTransport { router, transport, options },
            }
        }
        (Method::RouterCloseTransport, RequestBody::CloseTransport { transport }) => Plan::Close {
            child: transport.clone(),
            noun: Noun::Transport,
            command: Command::CloseTransport { router, transport },
        },
        (
            Method::RouterCreateActiveSpeakerObserver,
            RequestBody::CreateActiveSpeakerObserver { observer, options },
        ) => Plan::Create {
            child: observer.clone(),
            kind: Kind::RtpObserver,
            command: Command::CreateActiveSpeakerObserver { router, observer, options },
        },
        (
            Method::RouterCreateAudioLevelObserver,
            RequestBody::CreateAudioLevelObserver { observer, options },
        ) => Plan::Create {
            child: observer.clone(),
            kind: Kind::RtpObserver,
            command: Command::CreateAudioLevelObserver { router, observer, options },
        },
        (Method::RouterCloseRtpObserver, RequestBody::CloseRtpObserver { observer }) => Plan::Close {
            child: observer.clone(),
            noun: Noun::RtpObserver,
            command: Command::CloseObserver { router, observer },
        },
        _ => return None,
    })
}

fn transport_plan(transport: Name, method: Method, body: RequestBody) -> Option<Plan> {
    let body = match data_plan::transport_plan(&transport, method, body) {
        Ok(plan) => return Some(plan),
        Err(body) => body,
    };
    let to = |command| Command::Transport { transport, command };
    Some(match (method, body) {
        (Method::TransportProduce, RequestBody::Produce(produce)) => Plan::Create {
            child: produce.producer.clone(),
            kind: Kind::Producer,
            command: to(TransportCommand::Produce(produce)),
        },
        (Method::TransportConsume, RequestBody::Consume(consume)) => Plan::Create {
            child: consume.consumer.clone(),
            kind: Kind::Consumer,
            command: to(TransportCommand::Consume(consume)),
        },
        (Method::TransportCloseProducer, RequestBody::CloseProducer { producer }) => Plan::Close {
            child: producer.clone(),
            noun: Noun::Producer,
            command: to(TransportCommand::CloseProducer { producer }),
        },
        (Method::TransportCloseConsumer, RequestBody::CloseConsumer { consumer }) => Plan::Close {
            child: consumer.clone(),
            noun: Noun::Consumer,
            command: to(TransportCommand::CloseConsumer { consumer }),
        },
        (method, body) => Plan::Ask(to(transport_command(method, body)?)),
    })
}

fn transport_command(method: Method, body: RequestBody) -> Option<TransportCommand> {
    use TransportCommand as C;
    Some(match (method, body) {
        (Method::TransportDump, _) => C::Dump,
        (Method::TransportGetStats, _) => C::Stats,
        (Method::PlainTransportConnect, RequestBody::ConnectPlainTransport(connect)) => {
            C::ConnectPlain(connect)
        }
        (Method::WebRtcTransportConnect, RequestBody::ConnectWebRtcTransport(connect)) => {
            C::ConnectWebRtc(connect)
        }
        (Method::TransportRestartIce, _) => C::RestartIce,
        (Method::PipeTransportConnect, RequestBody::ConnectPipeTransport(connect)) => C::ConnectPipe(connect),
        (Method::TransportSetMaxIncomingBitrate, RequestBody::SetBitrate(bps)) => {
            C::SetMaxIncomingBitrate(bps)
        }
        (Method::TransportSetMaxOutgoingBitrate, RequestBody::SetBitrate(bps)) => {
            C::SetMaxOutgoingBitrate(bps)
        }
        (Method::TransportSetMinOutgoingBitrate, RequestBody::SetBitrate(bps)) => {
            C::SetMinOutgoingBitrate(bps)
        }
        (Method::TransportEnableTraceEvent, RequestBody::EnableTransportTrace(events)) => {
            C::EnableTraceEvent(events)
        }
        _ => return None,
    })
}

fn producer_command(method: Method, body: RequestBody) -> Option<ProducerCommand> {
    Some(match (method, body) {
        (Method::ProducerDump, _) => ProducerCommand::Dump,
        (Method::ProducerGetStats, _) => ProducerCommand::Stats,
        (Method::ProducerPause, _) => ProducerCommand::Pause,
        (Method::ProducerResume, _) => ProducerCommand::Resume,
        (Method::ProducerEnableTraceEvent, RequestBody::EnableProducerTrace(events)) => {
            ProducerCommand::EnableTraceEvent(events)
        }
        _ => return None,
    })
}

fn consumer_command(method: Method, body: RequestBody) -> Option<ConsumerCommand> {
    Some(match (method, body) {
        (Method::ConsumerDump, _) => ConsumerCommand::Dump,
        (Method::ConsumerGetStats, _) => ConsumerCommand::Stats,
        (Method::ConsumerPause, _) => ConsumerCommand::Pause,
        (Method::ConsumerResume, _) => ConsumerCommand::Resume,
        (Method::ConsumerSetPreferredLayers, RequestBody::SetPreferredLayers(layers)) => {
            ConsumerCommand::SetPreferredLayers(layers)
        }
        (Method::ConsumerSetPriority, RequestBody::SetPriority(priority)) => {
            ConsumerCommand::SetPriority(priority)
        }
        (Method::ConsumerRequestKeyFrame, _) => ConsumerCommand::RequestKeyFrame,
        (Method::ConsumerEnableTraceEvent, RequestBody::EnableConsumerTrace(events)) => {
            ConsumerCommand::EnableTraceEvent(events)
        }
        _ => return None,
    })
}

fn observer_command(method: Method, body: RequestBody) -> Option<ObserverCommand> {
    Some(match (method, body) {
        (Method::RtpObserverPause, _) => ObserverCommand::Pause,
        (Method::RtpObserverResume, _) => ObserverCommand::Resume,
        (Method::RtpObserverAddProducer, RequestBody::ObserverProducer { producer }) => {
            ObserverCommand::AddProducer { producer }
        }
        (Method::RtpObserverRemoveProducer, RequestBody::ObserverProducer { producer }) => {
            ObserverCommand::RemoveProducer { producer }
        }
        _ => return None,
    })
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
