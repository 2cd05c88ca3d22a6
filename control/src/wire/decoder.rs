//! Everything the controller says, from frames.

use std::sync::Arc;

use super::{Builder, Generation};
use crate::message::{DecodeError, Incoming};

/// Reads frames of the layout that the controller speaks.
#[derive(Default)]
pub struct Decoder {
    /// If it is not the newest: its layout, and where messages are written anew.
    older: Option<(Arc<Generation>, Builder)>,
}

impl std::fmt::Debug for Decoder {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Decoder").finish_non_exhaustive()
    }
}

impl Decoder {
    /// For an older layout, if one is given, else for the newest.
    pub fn speaking(generation: Option<Arc<Generation>>) -> Self {
        Self { older: generation.map(|generation| (generation, Builder::default())) }
    }

    /// Reads a frame: its 4-byte size prefix and the body.
    ///
    /// # Errors
    /// As [`wire::decode`](super::decode).
    pub fn decode(&mut self, frame: &[u8]) -> Result<Incoming, DecodeError> {
        match &mut self.older {
            None => super::decode(frame),
            Some((generation, builder)) => generation.decode(frame, builder),
        }
    }
}
