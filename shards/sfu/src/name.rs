//! Names that the controller gives to entities (UUIDs in practice, any string by contract).

use std::sync::Arc;

/// An entity's name. Immutable and shared, so that an event that mentions it costs no copy.
pub type Name = Arc<str>;
