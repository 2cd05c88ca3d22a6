//! Request → command → reply → response, without I/O.
//!
//! ```text
//! handle_incoming ─┐                        ┌─ Command   to a shard, answered by handle_reply
//! handle_reply ────┼─► registry, pending ──►┼─ Respond   to the controller
//! handle_event ────┘                        └─ Notify, Log, MeasureUsage, Close
//! ```
//! Every `handle_*` appends [`Effect`]s in the order in which they must happen. Replies of one shard come in
//! the order of its commands; those of different shards in any order.

mod data_plan;
mod pipes;
mod plan;
mod webrtc_servers;
mod worker;

use std::collections::HashMap;

use ringsoup_sfu::command::{Command, CommandError, ListenInfo};
use ringsoup_sfu::event::{Event, LogLevel, LogTag};
use ringsoup_sfu::name::Name;
use ringsoup_sfu::reply::Reply;
use ringsoup_sfu::served::ServerKey;

use crate::error_words::ErrorWords;
use crate::local_pipes::LocalPipes;
use crate::message::{
    DecodeError, Incoming, Method, Notification, NotificationBody, Request, RequestId, Response, ResponseBody,
};
use crate::placement::{Placement, ShardIndex};
use crate::ports::{Ports, Wanted};
use crate::registry::{Birth, Found, Kind, Registry};
use crate::settings::LogSettings;

use plan::{Plan, not_found, plan, plan_notification};
pub use webrtc_servers::{Join, Listening};
use webrtc_servers::{ServerGather, WebRtcServers};
use worker::Gather;

/// Longest log line, bytes: the original's buffer.
const LOG_BYTES_MAX: usize = 50_000;

/// Something for the control thread to do.
#[derive(Debug)]
pub enum Effect {
    /// Start the shard if it is not, and pass the command on. Its reply comes back with the token.
    Command {
        shard: ShardIndex,
        token: u64,
        command: Command,
    },
    /// Bind these, tell [`Controller::handle_bound`] at once, and have the shard read them: its reply comes back with
    /// the token, as does the error when they cannot be bound.
    OpenWebRtcServer {
        shard: ShardIndex,
        token: u64,
        server: Name,
        listen_infos: Vec<ListenInfo>,
    },
    /// Bind further sockets where a server's are, and have a shard read these too, before whatever it is sent next. Answered
    /// like [`OpenWebRtcServer`](Self::OpenWebRtcServer).
    JoinWebRtcServer {
        shard: ShardIndex,
        token: u64,
        join: Join,
    },
    Respond(Response),
    Notify(Event),
    /// A line for the channel, level letter included. Already admitted by the log settings.
    Log(String),
    /// Answer this `worker.getResourceUsage`.
    MeasureUsage {
        request_id: RequestId,
    },
    /// The controller told the worker to close.
    Close,
}

/// A command under way and what its reply is for.
#[derive(Debug)]
struct Pending {
    shard: ShardIndex,
    purpose: Purpose,
}

#[derive(Debug)]
enum Purpose {
    Request {
        id: RequestId,
        method: Method,
        created: Option<Name>,
    },
    /// A part of the gather with this key.
    ShardReport {
        gather: u64,
    },
    /// A part of the server gather with this key.
    ServerPart {
        gather: u64,
    },
    /// Nobody asked: what a server that is lost had on other shards is closed.
    Cleanup,
    Notification {
        what: &'static str,
    },
    /// Nobody asked: an end of a pipe is told of the other, or a reader of a server's port.
    Introduction,
    /// Nobody asked: a shard is to read the server's port.
    Join {
        server: Name,
        key: ServerKey,
    },
}

#[derive(Debug, Clone)]
pub struct ControllerConfig {
    pub pid: u32,
    /// How many shards there may be, at least 1.
    pub shards: u16,
    pub log: LogSettings,
    pub errors: ErrorWords,
}

#[derive(Debug)]
pub struct Controller {
    pid: u32,
    log: LogSettings,
    errors: ErrorWords,
    registry: Registry,
    placement: Placement,
    local_pipes: LocalPipes,
    ports: Ports,
    /// By index: shards that were sent anything and have not failed since.
    started: Vec<bool>,
    pending: HashMap<u64, Pending>,
    gathers: HashMap<u64, Gather>,
    webrtc_servers: WebRtcServers,
    server_gathers: HashMap<u64, ServerGather>,
    next_token: u64,
}

impl Controller {
    pub fn new(config: &ControllerConfig) -> Self {
        let shards = usize::from(config.shards.max(1));
        Self {
            pid: config.pid,
            log: config.log,
            errors: config.errors.clone(),
            registry: Registry::new(shards),
            placement: Placement::new(shards, config.pid),
            local_pipes: LocalPipes::default(),
            ports: Ports::default(),
            started: vec![false; shards],
            pending: HashMap::new(),
            gathers: HashMap::new(),
            webrtc_servers: WebRtcServers::default(),
            server_gathers: HashMap::new(),
            next_token: 0,
        }
    }

    /// Commands whose reply is awaited.
    pub fn pending_count(&self) -> usize {
        self.pending.len()
    }

    /// Of which kind an object is; `None` when there is none of that name.
    pub fn kind_of(&self, name: &str) -> Option<Kind> {
        self.registry.find(name).map(|found| found.kind)
    }

    pub fn handle_incoming(&mut self, incoming: Incoming, out: &mut Vec<Effect>) {
        match incoming {
            Incoming::Request(request) => self.handle_request(request, out),
            Incoming::Notification(notification) => self.handle_notification(notification, out),
        }
    }

    /// Whether a request wants a port that an earlier one is still giving back. To be asked again when shards have
    /// answered; nothing that came later may be handled before.
    pub fn must_wait(&self, incoming: &Incoming) -> bool {
        if self.ports.are_settled() {
            return false;
        }
        let Incoming::Request(Request { method, handler_id, body: Ok(body), .. }) = incoming else {
            return false;
        };
        let shard = self.registry.find(handler_id).map(|handler| handler.shard);
        let is_handled = shard.is_some() || is_worker_method(*method);
        is_handled && self.ports.are_awaited(&Wanted::by(body), shard)
    }

    /// Answers what can be answered of a frame that is no message, and logs the rest.
    pub fn handle_undecodable(&mut self, error: DecodeError, out: &mut Vec<Effect>) {
        let reason = &error.error.reason;
        let text = format!("Controller::handle_undecodable() | discarding wrong channel data: {reason}");
        self.log(LogLevel::Error, LogTag::Message, &text, out);
        if let Some(id) = error.request_id {
            out.push(Effect::Respond(Response { id, result: Err(error.error) }));
        }
    }

    fn handle_request(&mut self, request: Request, out: &mut Vec<Effect>) {
        let (id, method) = (request.id, request.method);
        let outcome = if is_worker_method(method) {
            self.handle_worker_request(request, out)
        } else {
            self.handle_object_request(request, out)
        };
        if let Err(error) = outcome {
            self.refuse(id, method, error, out);
        }
    }

    /// A request to something that lives on a shard.
    fn handle_object_request(&mut self, request: Request, out: &mut Vec<Effect>) -> Result<(), CommandError> {
        let Request { id, method, handler_id, body } = request;
        let Some(handler) = self.registry.find(&handler_id) else {
            return Err(self.errors.unknown_handler(method, &handler_id));
        };
        if handler.kind == Kind::WebRtcServer {
            return self.handle_webrtc_server_request(id, method, &handler, out);
        }
        let ports = body.as_ref().map_or_else(|_| Vec::new(), Wanted::by);
        match plan(&handler, method, body)? {
            Plan::CreateServed(request) => {
                self.create_served_transport(id, method, &handler, *request, out)?;
            }
            Plan::Ask(command) => {
                self.ask(handler.shard, id, method, None, command, out);
            }
            Plan::Misshapen { error, child, kind } => {
                self.check_no_sibling(&handler, &child, kind, method)?;
                return Err(error);
            }
            Plan::Create { mut command, child, kind } => {
                self.check_new(&handler, &child, kind, method)?;
                self.name_pipe(handler.shard, &mut command);
                self.registry.insert_child(&child, kind, &handler.name, Birth(self.next_token));
                self.ports.open(&child, ports);
                self.ask(handler.shard, id, method, Some(child), command, out);
            }
            Plan::Close { command, child, noun } => {
                let found = self.registry.find_child(&handler.name, &child);
                let exists = found.is_some_and(|found| noun.covers(found.kind));
                if !exists && !noun.shard_refuses() {
                    return Err(not_found(noun.text(), method));
                }
                let token = self.ask(handler.shard, id, method, None, command, out);
                if exists {
                    self.forget_closing(&child, handler.shard, token, out);
                }
            }
        }
        Ok(())
    }

    /// Whether `child` may be made under `handler`.
    fn check_new(
        &self,
        handler: &Found,
        child: &str,
        kind: Kind,
        method: Method,
    ) -> Result<(), CommandError> {
        self.check_no_sibling(handler, child, kind, method)?;
        if self.registry.contains(child) { Err(handler_exists(child)) } else { Ok(()) }
    }

    /// Looked at before anything that is said of the child; whoever else has the name, after it.
    fn check_no_sibling(
        &self,
        handler: &Found,
        child: &str,
        kind: Kind,
        method: Method,
    ) -> Result<(), CommandError> {
        let sibling = self.registry.find_child(&handler.name, child);
        let is_same = |other: Kind| other == kind || other.is_transport() && kind.is_transport();
        if !sibling.is_some_and(|sibling| is_same(sibling.kind)) {
            return Ok(());
        }
        let noun = match kind {
            Kind::Producer => "a Producer with same producerId",
            Kind::Consumer => "a Consumer with same consumerId",
            Kind::RtpObserver => "an RtpObserver with same id",
            Kind::DataProducer => "a DataProducer with same dataProducerId",
            Kind::DataConsumer => "a DataConsumer with same dataConsumerId",
            _ => "a Transport with same id",
        };
        Err(CommandError::error(format!("{noun} already exists [method:{}]", method.name())))
    }

    fn ask(
        &mut self,
        shard: ShardIndex,
        id: RequestId,
        method: Method,
        created: Option<Name>,
        command: Command,
        out: &mut Vec<Effect>,
    ) -> u64 {
        self.send(shard, Purpose::Request { id, method, created }, command, out)
    }

    /// Returns the token that comes back with the reply.
    fn send(&mut self, shard: ShardIndex, purpose: Purpose, command: Command, out: &mut Vec<Effect>) -> u64 {
        let token = self.next_token;
        self.next_token += 1;
        self.started[usize::from(shard.0)] = true;
        self.pending.insert(token, Pending { shard, purpose });
        out.push(Effect::Command { shard, token, command });
        token
    }

    fn handle_notification(&mut self, notification: Notification, out: &mut Vec<Effect>) {
        let Notification { handler_id, body } = notification;
        let what = match &body {
            NotificationBody::WorkerClose => return out.push(Effect::Close),
            NotificationBody::TransportSendRtcp(_) => "transport.sendRtcp",
            NotificationBody::ProducerSend(_) => "producer.send",
            NotificationBody::DataProducerSend(_) => "dataProducer.send",
        };
        let Some(handler) = self.registry.find(&handler_id).filter(|found| found.kind.takes_notifications())
        else {
            let reason = format!("Channel notification handler with ID {handler_id} not found");
            return self.log_failed_notification(what, &reason, out);
        };
        let shard = handler.shard;
        match plan_notification(handler, body) {
            Some(command) => {
                self.send(shard, Purpose::Notification { what }, command, out);
            }
            None => self.log_failed_notification(what, "not for this kind of object", out),
        }
    }

    /// The reply to the command that carried `token`.
    pub fn handle_reply(&mut self, token: u64, result: Result<Reply, CommandError>, out: &mut Vec<Effect>) {
        // A shard that was given up may still speak.
        let Some(pending) = self.pending.remove(&token) else {
            return;
        };
        self.ports.closed(token);
        match (pending.purpose, result) {
            (Purpose::Request { id, method, created }, Ok(reply)) => {
                self.watch_pipes(&reply, out);
                let response = Response { id, result: Ok(ResponseBody::Shard(reply)) };
                match created.and_then(|name| self.unconfirmed_server(&name, Birth(token))) {
                    Some(server) => self.webrtc_servers.keep_back(server, method, response),
                    None => out.push(Effect::Respond(response)),
                }
                self.server_confirmed(token, out);
            }
            (Purpose::Request { id, method, created }, Err(error)) => {
                self.server_refused(token, out);
                if let Some(name) = created {
                    let listeners = self.registry.retract(&name, Birth(token));
                    self.listeners_left(&listeners, out);
                    if !self.registry.contains(&name) {
                        self.webrtc_server_lost(&name, out);
                    }
                }
                self.refuse(id, method, error, out);
            }
            (Purpose::ShardReport { gather }, result) => self.gathered(gather, pending.shard, result, out),
            (Purpose::ServerPart { gather }, result) => self.server_part(gather, result, out),
            (Purpose::Join { server, key }, result) => {
                self.reader_joined(&server, key, pending.shard, result, out);
            }
            // An end that closes meanwhile needs no word any more.
            (Purpose::Introduction | Purpose::Cleanup, _) | (Purpose::Notification { .. }, Ok(_)) => {}
            (Purpose::Notification { what }, Err(error)) => {
                self.log_failed_notification(what, &error.reason, out);
            }
        }
    }

    pub fn handle_event(&mut self, event: Event, out: &mut Vec<Effect>) {
        match event {
            Event::Log(line) => self.log(line.level, line.tag, &line.text, out),
            Event::TransportFailed { transport, router } => {
                self.forget_told(&transport, out);
                let text = format!(
                    "Controller::handle_event() | transport closed after a fault while handling it \
                     [transportId:{transport}, routerId:{router}]"
                );
                self.log(LogLevel::Error, LogTag::Info, &text, out);
            }
            Event::ConsumerProducerClose { consumer: ref name }
            | Event::DataConsumerDataProducerClose { data_consumer: ref name } => {
                self.forget_told(name, out);
                out.push(Effect::Notify(event));
            }
            event => out.push(Effect::Notify(event)),
        }
    }

    /// A shard could not be started, or ended by itself: everything on it is gone.
    pub fn handle_shard_lost(&mut self, shard: ShardIndex, reason: &str, out: &mut Vec<Effect>) {
        let text = format!("Controller::handle_shard_lost() | shard {} lost: {reason}", shard.0);
        self.log(LogLevel::Error, LogTag::Info, &text, out);
        let mut tokens: Vec<u64> = self
            .pending
            .iter()
            .filter(|(_, pending)| pending.shard == shard)
            .map(|(token, _)| *token)
            .collect();
        tokens.sort_unstable();
        for token in tokens {
            let error = CommandError::error(format!("shard {} lost: {reason}", shard.0));
            self.handle_reply(token, Err(error), out);
        }
        let listeners = self.registry.remove_shard(shard);
        self.listeners_left(&listeners, out);
        for server in self.registry.webrtc_servers_on(shard) {
            self.webrtc_server_lost(&server, out);
        }
        self.reader_lost(shard, out);
        self.placement.mark_failed(shard);
        self.started[usize::from(shard.0)] = false;
    }

    /// Takes an object that closes, and all under it, out of the books.
    fn forget(&mut self, name: &str, out: &mut Vec<Effect>) {
        let listeners = self.registry.remove(name);
        self.listeners_left(&listeners, out);
    }

    /// The same for one that the command `token` closes: until that is answered its ports are not free.
    fn forget_closing(&mut self, name: &str, shard: ShardIndex, token: u64, out: &mut Vec<Effect>) {
        let listeners = self.registry.remove(name);
        let ports = self.ports.take(&listeners);
        self.ports.close(token, shard, ports);
        self.listeners_left(&listeners, out);
    }

    /// The same for an object that its shard says is gone. A shard speaks in order, so if whoever has the name now is not
    /// confirmed yet, an earlier owner is meant.
    fn forget_told(&mut self, name: &str, out: &mut Vec<Effect>) {
        if !self.registry.birth(name).is_some_and(|birth| self.pending.contains_key(&birth.0)) {
            self.forget(name, out);
        }
    }

    fn refuse(&mut self, id: RequestId, method: Method, error: CommandError, out: &mut Vec<Effect>) {
        let error = self.errors.tell(method, error);
        let text = format!(
            "Controller::refuse() | request failed [method:{}, id:{id}]: {}",
            method.name(),
            error.reason
        );
        self.log(LogLevel::Error, LogTag::Info, &text, out);
        out.push(Effect::Respond(Response { id, result: Err(error) }));
    }

    fn log_failed_notification(&self, what: &str, reason: &str, out: &mut Vec<Effect>) {
        let text =
            format!("Controller::handle_notification() | notification failed [event:{what}]: {reason}");
        self.log(LogLevel::Error, LogTag::Info, &text, out);
    }

    /// Queues a line for the channel if the settings want it. `text` is `Class::function() | words`.
    pub fn log(&self, level: LogLevel, tag: LogTag, text: &str, out: &mut Vec<Effect>) {
        if !self.log.admits(level, tag) {
            return;
        }
        let letter = match level {
            LogLevel::Error => 'E',
            LogLevel::Warn => 'W',
            LogLevel::Debug => 'D',
        };
        let text = self.errors.names_in(text.to_owned());
        let end = text.floor_char_boundary(LOG_BYTES_MAX - 1);
        out.push(Effect::Log(format!("{letter}{}", &text[..end])));
    }
}

fn handler_exists(name: &str) -> CommandError {
    CommandError::error(format!("Channel request handler with ID {name} already exists"))
}

fn is_worker_method(method: Method) -> bool {
    matches!(
        method,
        Method::WorkerDump
            | Method::WorkerGetResourceUsage
            | Method::WorkerUpdateSettings
            | Method::WorkerCreateWebRtcServer
            | Method::WorkerCreateRouter
            | Method::WorkerCloseWebRtcServer
            | Method::WorkerCloseRouter
            | Method::WorkerClose
    )
}

#[cfg(test)]
mod data_tests;
#[cfg(test)]
mod tests;
