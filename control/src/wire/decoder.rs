//! Everything the controller says, from messages of the kind that it speaks.

use std::sync::Arc;

use ringsoup_sfu::command::CommandError;

use super::{Builder, Generation, JsonDecoder, KindOf};
use crate::message::{DecodeError, Incoming};
use crate::version::Version;

/// Reads messages: in flatbuffers a frame with its size prefix, in JSON the text without any framing.
#[derive(Default)]
pub struct Decoder {
    speech: Speech,
    /// Where messages are written anew in the newest layout.
    builder: Builder,
}

/// What the controller speaks.
#[derive(Default)]
enum Speech {
    #[default]
    Newest,
    Older(Arc<Generation>),
    Json(Box<JsonDecoder>),
}

impl std::fmt::Debug for Decoder {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Decoder").finish_non_exhaustive()
    }
}

impl Decoder {
    /// For an older layout, if one is given, else for the newest.
    pub fn speaking(generation: Option<Arc<Generation>>) -> Self {
        let speech = generation.map_or(Speech::Newest, Speech::Older);
        Self { speech, builder: Builder::default() }
    }

    /// For controllers of this version, which is one before 3.13.0.
    pub fn speaking_json(version: Version) -> Self {
        let speech = JsonDecoder::of(version).map(|json| Speech::Json(Box::new(json)));
        Self { speech: speech.unwrap_or_default(), builder: Builder::default() }
    }

    /// Reads a message, which is about nothing that there is.
    ///
    /// # Errors
    /// As [`wire::decode`](super::decode).
    pub fn decode(&mut self, message: &[u8]) -> Result<Incoming, DecodeError> {
        self.decode_of(message, &|_| None)
    }

    /// Reads a message. `kind_of` says of which kind an object is: by that JSON tells what a transport is connected to.
    ///
    /// # Errors
    /// As [`wire::decode`](super::decode).
    pub fn decode_of(&mut self, message: &[u8], kind_of: KindOf<'_>) -> Result<Incoming, DecodeError> {
        match &self.speech {
            Speech::Newest => super::decode(message),
            Speech::Older(generation) => generation.decode(message, &mut self.builder),
            Speech::Json(json) => json.decode(message, kind_of, &mut self.builder),
        }
    }

    /// Reads a message of the payload channel: its head and the bytes that followed.
    ///
    /// # Errors
    /// As [`wire::decode`](super::decode).
    pub fn decode_payload(&mut self, head: &[u8], payload: &[u8]) -> Result<Incoming, DecodeError> {
        match &self.speech {
            Speech::Json(json) => json.decode_payload(head, payload, &mut self.builder),
            Speech::Newest | Speech::Older(_) => Err(self.refuse_payload(head, "no payload channel")),
        }
    }

    /// What to say of a message of the payload channel whose bytes are not here.
    pub fn refuse_payload(&self, head: &[u8], reason: &str) -> DecodeError {
        match &self.speech {
            Speech::Json(json) => json.refuse_payload(head, reason),
            Speech::Newest | Speech::Older(_) => {
                DecodeError { request_id: None, error: CommandError::error(reason) }
            }
        }
    }
}
