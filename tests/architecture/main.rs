//! What docs/ARCHITECTURE.md promises about the tree, held by reading it.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod crates;
mod sources;
