//! Older layouts of the channel's messages: those that controllers from 3.13.0 on speak.
//!
//! ```text
//! controller's frame ─► translate (read plan)  ─► the newest layout ─► wire::decode
//! wire::Encoder      ─► the newest layout ─► translate (write plan) ─► controller's frame
//! ```
//! Only the newest layout has generated code. An older one is the newest's description with some edits
//! (`differences.rs`), and messages are carried over field by field. The newest pays nothing for it.

mod differences;
mod edits;
mod plan;
mod translate;

#[cfg(test)]
pub(super) mod any_message;
#[cfg(test)]
mod golden_tests;
#[cfg(test)]
pub(super) mod property_tests;
#[cfg(test)]
mod published_tests;
#[cfg(test)]
mod tests;
#[cfg(test)]
pub(super) mod tree;

use ringsoup_sfu::command::CommandError;

use self::edits::Edit;
use self::plan::{Direction, Plan};
use self::translate::{Stop, translate};
use super::schema::Schema;
use super::{Builder, unverified};
use crate::message::{DecodeError, Incoming, Request, RequestBody};
use crate::method::Method;
use crate::version::Version;

/// The oldest controllers whose messages are flatbuffers.
pub const OLDEST: Version = Version::new(3, 13, 0);

/// The newest version whose messages were looked at; later ones are taken for it.
pub const NEWEST: Version = Version::new(3, 27, 1);

/// By this name layouts before 3.19.18 know the request that newer ones have a notification for.
const REQUEST_TO_CLOSE: &str = "WORKER_CLOSE";

/// The layout of controllers before the newest.
#[derive(Debug)]
pub struct Generation {
    read: Plan,
    write: Plan,
    /// The number of the request to close, if there is one.
    close: Option<u8>,
}

/// The layout of a version's messages, and the edits that lead to it; `None` for the newest.
fn layout(version: Version) -> Option<(Schema, Vec<Edit>)> {
    let steps: Vec<_> = differences::STEPS.iter().filter(|step| version < step.before).collect();
    if steps.is_empty() {
        return None;
    }
    let mut schema = Schema::newest();
    let edits: Vec<_> = steps.iter().flat_map(|step| step.edits).copied().collect();
    for edit in &edits {
        edits::apply(*edit, &mut schema);
    }
    Some((schema, edits))
}

impl Generation {
    /// `None` for versions whose layout is the newest, later ones among them.
    pub fn of(version: Version) -> Option<Self> {
        let newest = Schema::newest();
        let (older, edits) = layout(version)?;
        let methods = older.enums.get("FBS.Request.Method")?;
        let close = methods.iter().find(|(_, name)| name == REQUEST_TO_CLOSE).map(|(number, _)| *number);
        Some(Self {
            read: Plan::new(&older, &newest, &edits, Direction::Read),
            write: Plan::new(&newest, &older, &edits, Direction::Write),
            close,
        })
    }

    /// Reads a frame of this layout, by way of `builder`.
    ///
    /// # Errors
    /// As [`wire::decode`](super::decode).
    pub fn decode(&self, frame: &[u8], builder: &mut Builder) -> Result<Incoming, DecodeError> {
        let reason = match translate(&self.read, frame, builder) {
            Ok(()) => return super::decode(builder.finished_data()),
            Err(Stop::Untellable) => match self.request_to_close(frame) {
                Some(request) => return Ok(Incoming::Request(request)),
                None => "nothing that is known",
            },
            Err(Stop::Malformed(reason)) => reason,
        };
        Err(DecodeError {
            request_id: unverified::request_id(frame),
            error: CommandError::type_error(format!("malformed message: {reason}")),
        })
    }

    fn request_to_close(&self, frame: &[u8]) -> Option<Request> {
        let method = unverified::request_method(frame)?;
        (Some(method) == self.close).then_some(())?;
        Some(Request {
            id: unverified::request_id(frame)?,
            method: Method::WorkerClose,
            handler_id: String::new(),
            body: Ok(RequestBody::None),
        })
    }

    /// A frame of the newest layout in this one; `None` when there is no word for it here.
    pub fn encode(&self, frame: &[u8]) -> Option<Vec<u8>> {
        self.encode_into(frame, &mut Builder::default()).map(<[u8]>::to_vec)
    }

    /// The same, in `builder`.
    pub(super) fn encode_into<'builder>(
        &self,
        frame: &[u8],
        builder: &'builder mut Builder,
    ) -> Option<&'builder [u8]> {
        translate(&self.write, frame, builder).ok()?;
        Some(builder.finished_data())
    }
}
