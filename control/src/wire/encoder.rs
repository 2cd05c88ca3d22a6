//! Everything the worker says, as frames.

use std::fmt;
use std::sync::Arc;

use ringsoup_fbs::fbs::log::{Log, LogArgs};
use ringsoup_fbs::fbs::message::Body;
use ringsoup_fbs::fbs::notification::{Event as Number, Notification, NotificationArgs};
use ringsoup_fbs::finish_message;
use ringsoup_sfu::command::CommandError;
use ringsoup_sfu::event::Event;

use super::{Builder, Generation, event, response};
use crate::message::Response;

/// Writes frames, each with its size prefix, into one buffer that is reused: a frame lives until the next call.
///
/// Frames are not cut to [`MESSAGE_BYTES_MAX`](ringsoup_fbs::MESSAGE_BYTES_MAX): whoever writes them refuses longer
/// ones.
#[derive(Default)]
pub struct Encoder {
    builder: Builder,
    /// What the controller speaks, if it is not the newest layout, and where frames of it are written.
    older: Option<(Arc<Generation>, Builder)>,
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
        let older = generation.map(|generation| (generation, Builder::default()));
        Self { builder: Builder::default(), older }
    }

    /// What the controller's layout has no word for is an error instead: every request gets an answer.
    pub fn response(&mut self, response: &Response) -> &[u8] {
        self.write_response(response);
        if self.told().is_none() {
            let error = CommandError::error("the answer cannot be told to a controller of this version");
            self.write_response(&Response { id: response.id, result: Err(error) });
        }
        self.told().unwrap_or_default()
    }

    fn write_response(&mut self, response: &Response) {
        self.builder.reset();
        let response = response::encode(&mut self.builder, response);
        finish_message(&mut self.builder, Body::Response, response.as_union_value());
    }

    /// `None` for [`Event::Log`] and [`Event::TransportFailed`], which controllers are not told in this form, and for
    /// what the controller's layout has no word for.
    pub fn event(&mut self, event: &Event) -> Option<&[u8]> {
        self.builder.reset();
        let notification = event::encode(&mut self.builder, event)?;
        finish_message(&mut self.builder, Body::Notification, notification.as_union_value());
        self.told()
    }

    /// A line for the controller's log: its first character says the level (`D`, `W`, `E`, or `X` for a dump).
    pub fn log(&mut self, text: &str) -> &[u8] {
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

    /// The frame that the builder holds, in the controller's layout.
    fn told(&mut self) -> Option<&[u8]> {
        match &mut self.older {
            None => Some(self.builder.finished_data()),
            Some((generation, builder)) => generation.encode_into(self.builder.finished_data(), builder),
        }
    }
}
