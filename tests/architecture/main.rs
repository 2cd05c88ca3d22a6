//! What docs/ARCHITECTURE.md promises about the tree, held by reading it.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod crates;
mod generations;
mod licences;
mod sources;

use std::path::{Path, PathBuf};

fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}
