//! Requests and notifications of controllers before 3.13.0, from their texts, by way of the newest layout.

use ringsoup_fbs::fbs::message::Body as MessageBody;
use ringsoup_fbs::fbs::notification::{self, Notification, NotificationArgs};
use ringsoup_fbs::fbs::request::{self, RequestArgs};
use ringsoup_fbs::finish_message;
use ringsoup_sfu::command::CommandError;
use serde_json::Value;

use super::checks::Wrong;
use super::envelope::{Address, Envelope, wrong};
use super::methods::{self, Called, HANDLER_IDS, KindOf, NOTIFICATIONS, SEND, Told};
use super::plan::Plan;
use super::read::{Object, Offset, Reader, Stop};
use super::{Dialect, scope, transports};
use crate::message::{BadBody, DecodeError, Incoming, Lane, Request, RequestBody, RequestId};
use crate::method::Method;
use crate::version::Version;
use crate::wire::Builder;
use crate::wire::schema::{Schema, Values};

/// The lowest audio level there is, dBov (RFC 6464, section 3).
const AUDIO_THRESHOLD_MIN: f64 = -127.0;

/// Reads what controllers of one version say, without its framing.
#[derive(Debug)]
pub struct JsonDecoder {
    version: Version,
    dialect: Dialect,
    plan: Plan,
    request_bodies: Values,
    notification_bodies: Values,
    events: Values,
}

impl JsonDecoder {
    /// `None` for versions that do not speak JSON.
    pub fn of(version: Version) -> Option<Self> {
        let dialect = Dialect::of(version)?;
        let mut schema = Schema::newest();
        let requests = Method::ALL.iter().filter_map(|method| methods::body(*method));
        let plan = Plan::new(&schema, requests.chain(NOTIFICATIONS.iter().map(|told| told.body)));
        let mut union = |name| schema.unions.remove(name).unwrap_or_default();
        let (request_bodies, notification_bodies) =
            (union("FBS.Request.Body"), union("FBS.Notification.Body"));
        let events = schema.enums.remove("FBS.Notification.Event").unwrap_or_default();
        Some(Self { version, dialect, plan, request_bodies, notification_bodies, events })
    }

    pub fn dialect(&self) -> Dialect {
        self.dialect
    }

    /// Reads a message of the channel. `kind_of` says of which kind an object is.
    ///
    /// # Errors
    /// As [`wire::decode`](crate::wire::decode).
    pub fn decode(
        &self,
        text: &[u8],
        kind_of: KindOf<'_>,
        builder: &mut Builder,
    ) -> Result<Incoming, DecodeError> {
        let envelope = Envelope::request(self.dialect, text)?;
        match methods::find(&envelope.name, self.version) {
            Some(called) => self.request(called, envelope, &[], kind_of, builder),
            None => Err(unknown_method(&envelope)),
        }
    }

    /// Reads a message of the payload channel, and the bytes that followed it.
    ///
    /// # Errors
    /// As [`wire::decode`](crate::wire::decode).
    pub fn decode_payload(
        &self,
        header: &[u8],
        payload: &[u8],
        builder: &mut Builder,
    ) -> Result<Incoming, DecodeError> {
        let read = self.payload_message(header, payload, builder);
        match read {
            Ok(Incoming::Request(request)) => {
                Ok(Incoming::Request(Request { id: of_payload_channel(request.id), ..request }))
            }
            Ok(notification) => Ok(notification),
            Err(error) => Err(DecodeError { request_id: error.request_id.map(of_payload_channel), ..error }),
        }
    }

    /// What to say of a message of the payload channel whose bytes are not here.
    pub fn refuse_payload(&self, header: &[u8], reason: &str) -> DecodeError {
        let id = match Envelope::payload(self.dialect, header) {
            Ok(envelope) => envelope.id.map(RequestId::from),
            Err(error) => error.request_id,
        };
        DecodeError { request_id: id.map(of_payload_channel), error: CommandError::error(reason) }
    }

    fn payload_message(
        &self,
        header: &[u8],
        payload: &[u8],
        builder: &mut Builder,
    ) -> Result<Incoming, DecodeError> {
        let envelope = Envelope::payload(self.dialect, header)?;
        if envelope.id.is_none() {
            let told = NOTIFICATIONS.iter().find(|told| told.text == envelope.name);
            let unknown = || Wrong::unknown(&envelope.name).within("event").to_string();
            let told = told.ok_or_else(|| wrong(None, CommandError::error(unknown())))?;
            self.notification(*told, envelope, payload, builder)
        } else if envelope.name == SEND.text() {
            self.request(SEND, envelope, payload, &|_| None, builder)
        } else {
            Err(unknown_method(&envelope))
        }
    }

    fn request(
        &self,
        called: Called,
        envelope: Envelope,
        payload: &[u8],
        kind_of: KindOf<'_>,
        builder: &mut Builder,
    ) -> Result<Incoming, DecodeError> {
        let number = envelope.id.unwrap_or_default();
        let id = RequestId::from(number);
        let Subject { handler, mut data } =
            self.subject(envelope, called.handler).map_err(|error| wrong(Some(number), error))?;
        let method = methods::asked_of(called.method, kind_of(&handler));
        let Some(place) = Method::ALL.iter().position(|known| *known == method) else {
            // The newest layout has a notification for it.
            return Ok(Incoming::Request(Request {
                id,
                method,
                handler_id: handler,
                body: Ok(RequestBody::None),
            }));
        };
        builder.reset();
        let body = match methods::body(method) {
            None => Ok(None),
            Some(table) => put(method, &mut data)
                .map_err(Stop::Wrong)
                .and_then(|()| self.body(table, &data, payload, builder))
                .map_err(|stop| match stop {
                    Stop::Wrong(wrong) => Stop::Wrong(transports::in_their_words(method, wrong)),
                    Stop::LeftOut => Stop::LeftOut,
                })
                .map(Some),
        };
        let body = match body {
            Ok(body) => body,
            Err(stop) => {
                let bad = BadBody { error: error_of(stop), child: child(method, &data) };
                return Ok(Incoming::Request(Request { id, method, handler_id: handler, body: Err(bad) }));
            }
        };
        let handler_id = Some(builder.create_string(&handler));
        let args = RequestArgs {
            id: number,
            method: request::Method(u8::try_from(place).unwrap_or(u8::MAX)),
            handler_id,
            body_type: request::Body(number_of(&self.request_bodies, methods::body(method))),
            body,
        };
        let request = request::Request::create(builder, &args);
        finish_message(builder, MessageBody::Request, request.as_union_value());
        crate::wire::decode(builder.finished_data())
    }

    fn notification(
        &self,
        told: Told,
        envelope: Envelope,
        payload: &[u8],
        builder: &mut Builder,
    ) -> Result<Incoming, DecodeError> {
        let Subject { handler, data } =
            self.subject(envelope, Some(told.handler)).map_err(|error| wrong(None, error))?;
        builder.reset();
        let body = self.body(told.body, &data, payload, builder);
        let body = Some(body.map_err(|stop| wrong(None, error_of(stop)))?);
        let handler_id = Some(builder.create_string(&handler));
        let args = NotificationArgs {
            handler_id,
            event: notification::Event(number_of(&self.events, Some(told.event))),
            body_type: notification::Body(number_of(&self.notification_bodies, Some(told.body))),
            body,
        };
        let notification = Notification::create(builder, &args);
        finish_message(builder, MessageBody::Notification, notification.as_union_value());
        crate::wire::decode(builder.finished_data())
    }

    fn body(
        &self,
        table: &str,
        data: &Object,
        payload: &[u8],
        builder: &mut Builder,
    ) -> Result<Offset, Stop> {
        let id = self.plan.find(table).ok_or_else(|| Stop::Wrong(Wrong::unknown(table)))?;
        Reader::new(&self.plan, builder, payload).table(id, data)
    }

    /// Whom a message is to, and its data with all the ids that are its own.
    fn subject(&self, envelope: Envelope, handler: Option<&str>) -> Result<Subject, CommandError> {
        let mut data = envelope.data;
        let mut internal = match envelope.to {
            Address::Handler(handler) => return Ok(Subject { handler, data }),
            Address::Internal(internal) => internal,
        };
        if self.version < HANDLER_IDS {
            let router = internal.get("routerId").and_then(Value::as_str).unwrap_or_default().to_owned();
            for object in [&mut internal, &mut data] {
                scope_names(object, &router);
            }
        }
        let handler = match handler {
            None => String::new(),
            Some(member) => match internal.get(member) {
                Some(Value::String(id)) => id.clone(),
                _ => return Err(CommandError::error(format!("missing internal.{member}"))),
            },
        };
        for (member, id) in internal {
            data.entry(member).or_insert(id);
        }
        Ok(Subject { handler, data })
    }
}

/// A request's `data` in the schemas' words, where they are others.
fn put(method: Method, data: &mut Object) -> Result<(), Wrong> {
    match method {
        Method::TransportConsume => forget_layers_of_one(data),
        Method::RouterCreateAudioLevelObserver => check_threshold(data)?,
        Method::WebRtcTransportConnect => keep_first_fingerprint(data),
        _ => {}
    }
    transports::put(method, data)
}

/// The others are never looked at.
fn keep_first_fingerprint(data: &mut Object) {
    let fingerprints =
        data.get_mut("dtlsParameters").and_then(|parameters| parameters.get_mut("fingerprints"));
    if let Some(Value::Array(fingerprints)) = fingerprints {
        fingerprints.truncate(1);
    }
}

/// The field holds one value more than these controllers may ask for. What is too high is refused for every controller.
fn check_threshold(data: &Object) -> Result<(), Wrong> {
    match data.get("threshold").and_then(Value::as_f64) {
        Some(threshold) if threshold.trunc() < AUDIO_THRESHOLD_MIN => {
            Err(Wrong::unknown(&threshold.to_string()).within("threshold"))
        }
        _ => Ok(()),
    }
}

/// Consumers without layers of their own never look at those that are preferred, whatever stands there.
fn forget_layers_of_one(data: &mut Object) {
    if matches!(data.get("type").and_then(Value::as_str), Some("simple" | "pipe")) {
        data.remove("preferredLayers");
    }
}

fn of_payload_channel(id: RequestId) -> RequestId {
    RequestId { lane: Lane::PayloadChannel, ..id }
}

struct Subject {
    handler: String,
    data: Object,
}

fn scope_names(object: &mut Object, router: &str) {
    for (member, value) in object {
        if let Value::String(id) = value
            && scope::is_scoped(member)
        {
            *id = scope::scoped(id, router);
        }
    }
}

fn unknown_method(envelope: &Envelope) -> DecodeError {
    let name = Wrong::unknown(&envelope.name).within("method").to_string();
    wrong(envelope.id, CommandError::error(format!("unknown method: {name}")))
}

fn error_of(stop: Stop) -> CommandError {
    match stop {
        Stop::Wrong(wrong) => wrong.into(),
        Stop::LeftOut => CommandError::type_error("not known here"),
    }
}

fn child(method: Method, data: &Object) -> Option<ringsoup_sfu::name::Name> {
    Some(data.get(methods::child(method)?)?.as_str()?.into())
}

/// 0, which is nothing in a union, for what is not there.
fn number_of(values: &Values, name: Option<&str>) -> u8 {
    values.iter().find(|(_, known)| Some(known.as_str()) == name).map_or(0, |(number, _)| *number)
}
