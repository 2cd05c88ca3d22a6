//! The last resort for words: the channel is not there yet or no more.

use std::io::Write as _;

/// One line in the shape of log lines. A closed stderr is nobody's problem.
pub(crate) fn line(function: &str, text: &str) {
    let _ = writeln!(std::io::stderr(), "ringsoup-worker::{function} | {text}");
}
