//! Everything the worker says, as messages of the kind that the controller speaks.

use std::fmt;
use std::sync::Arc;

use ringsoup_fbs::fbs::log::{Log, LogArgs};
use ringsoup_fbs::fbs::message::Body;
use ringsoup_fbs::fbs::notification::{Event as Number, Notification, NotificationArgs};
use ringsoup_fbs::finish_message;
use ringsoup_sfu::command::CommandError;
use ringsoup_sfu::event::Event;

use super::json::{JsonEncoder, Packet};
use super::{Builder, Generation, event, response};
use crate::message::Response;
use crate::version::Version;

/// Writes messages into a buffer that is reused: one lives until the next call.
///
/// In flatbuffers a message is a frame with its size prefix, in JSON it is the text without any framing. Messages are
/// not cut to [`MESSAGE_BYTES_MAX`](ringsoup_fbs::MESSAGE_BYTES_MAX): whoever writes them refuses longer ones.
#[derive(Default)]
pub struct Encoder {
    builder: Builder,
    speech: Speech,
}

/// What the controller speaks.
#[derive(Default)]
enum Speech {
    #[default]
    Newest,
    /// An older layout, and where frames of it are written.
    Older(Arc<Generation>, Builder),
    Json(Box<JsonEncoder>),
}

/// How much dumps say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Dumps {
    /// As mediasoup's from 3.13.0 on, which lose some parameters of media.
    Published,
    /// All of it, as before 3.13.0.
    Whole,
}

/// A message to the controller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Told<'a> {
    pub message: &'a [u8],
    /// What follows it on the payload channel of JSON controllers; everything without one is for the other channel.
    pub payload: Option<&'a [u8]>,
}

impl fmt::Debug for Encoder {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Encoder").finish_non_exhaustive()
    }
}

impl Encoder {
    /// For the newest layout.
    pub fn new() -> Self {
        Self::default()
    }

    /// For an older layout, if one is given.
    pub fn speaking(generation: Option<Arc<Generation>>) -> Self {
        let older = generation.map(|generation| Speech::Older(generation, Builder::default()));
        Self { builder: Builder::default(), speech: older.unwrap_or_default() }
    }

    /// For controllers of this version, which is one before 3.13.0.
    pub fn speaking_json(version: Version) -> Self {
        Self { builder: Builder::default(), speech: Speech::Json(Box::new(JsonEncoder::new(version))) }
    }

    /// What the controller has no word for is an error instead: every request gets an answer.
    pub fn response(&mut self, response: &Response) -> &[u8] {
        self.write_response(response);
        if self.told().is_none() {
            let error = CommandError::error("the answer cannot be told to a controller of this version");
            self.write_response(&Response { id: response.id, result: Err(error) });
        }
        self.told().unwrap_or_default()
    }

    fn write_response(&mut self, response: &Response) {
        let whole = matches!(self.speech, Speech::Json(_));
        let dumps = if whole { Dumps::Whole } else { Dumps::Published };
        self.builder.reset();
        let response = response::encode(&mut self.builder, response, dumps);
        finish_message(&mut self.builder, Body::Response, response.as_union_value());
    }

    /// `None` for [`Event::Log`] and [`Event::TransportFailed`], which controllers are not told in this form, and for
    /// what the controller has no word for.
    pub fn event<'a>(&'a mut self, event: &'a Event) -> Option<Told<'a>> {
        if matches!(self.speech, Speech::Json(_))
            && let Some(packet) = Packet::of(event)
        {
            return self.packet(packet);
        }
        self.builder.reset();
        let notification = event::encode(&mut self.builder, event)?;
        finish_message(&mut self.builder, Body::Notification, notification.as_union_value());
        self.told().map(|message| Told { message, payload: None })
    }

    fn packet<'a>(&'a mut self, packet: Packet<'a>) -> Option<Told<'a>> {
        let Speech::Json(json) = &mut self.speech else { return None };
        let message = json.head(&packet)?;
        Some(Told { message, payload: Some(packet.payload) })
    }

    /// A line for the controller's log: its first character says the level (`D`, `W`, `E`, or `X` for a dump).
    pub fn log<'a>(&'a mut self, text: &'a str) -> &'a [u8] {
        if matches!(self.speech, Speech::Json(_)) {
            return text.as_bytes();
        }
        self.builder.reset();
        let data = Some(self.builder.create_string(text));
        let log = Log::create(&mut self.builder, &LogArgs { data });
        finish_message(&mut self.builder, Body::Log, log.as_union_value());
        self.told().unwrap_or_default()
    }

    /// The worker is up; said once, under its process id.
    pub fn running(&mut self, pid: u32) -> &[u8] {
        self.builder.reset();
        let handler_id = Some(self.builder.create_string(&pid.to_string()));
        let args =
            NotificationArgs { handler_id, event: Number::WORKER_RUNNING, ..NotificationArgs::default() };
        let notification = Notification::create(&mut self.builder, &args);
        finish_message(&mut self.builder, Body::Notification, notification.as_union_value());
        self.told().unwrap_or_default()
    }

    /// What the builder holds, as the controller speaks.
    fn told(&mut self) -> Option<&[u8]> {
        let frame = self.builder.finished_data();
        match &mut self.speech {
            Speech::Newest => Some(frame),
            Speech::Older(generation, builder) => generation.encode_into(frame, builder),
            Speech::Json(json) => json.tell(frame),
        }
    }
}
