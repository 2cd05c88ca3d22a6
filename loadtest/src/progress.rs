//! The live line on stderr: rewritten in place on a terminal, a plain line every few seconds elsewhere.

use std::cell::Cell;
use std::io::IsTerminal;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::subscriber::Totals;

/// Between two plain lines.
const PLAIN_INTERVAL: Duration = Duration::from_secs(5);
const REDRAWS_PER_SECOND: u8 = 5;
const BITS_PER_MEGABIT: f64 = 1e6;

/// Where progress goes.
#[derive(Debug)]
pub(crate) struct Progress {
    bar: ProgressBar,
    is_terminal: bool,
    last_plain: Cell<Option<Instant>>,
    stage: std::cell::RefCell<String>,
}

impl Progress {
    pub(crate) fn new() -> Self {
        let is_terminal = std::io::stderr().is_terminal();
        let bar = ProgressBar::new_spinner();
        bar.set_draw_target(if is_terminal {
            ProgressDrawTarget::stderr_with_hz(REDRAWS_PER_SECOND)
        } else {
            ProgressDrawTarget::hidden()
        });
        if let Ok(style) = ProgressStyle::with_template("{spinner} {elapsed_precise} {msg}") {
            bar.set_style(style);
        }
        Self { bar, is_terminal, last_plain: Cell::new(None), stage: String::new().into() }
    }

    /// Names what the following lines belong to.
    pub(crate) fn stage(&self, stage: &str) {
        stage.clone_into(&mut self.stage.borrow_mut());
        self.last_plain.set(None);
        self.note("");
    }

    /// Shows a line; plain ones not more often than every few seconds.
    pub(crate) fn note(&self, text: &str) {
        let line = format!("{}{}{text}", self.stage.borrow(), if text.is_empty() { "" } else { ": " });
        if self.is_terminal {
            self.bar.set_message(line);
            self.bar.tick();
            return;
        }
        if self.last_plain.get().is_none_or(|last| last.elapsed() >= PLAIN_INTERVAL) {
            self.last_plain.set(Some(Instant::now()));
            eprintln!("loadtest: {line}");
        }
    }

    /// Shows how media flows since the stage's start.
    #[allow(clippy::cast_precision_loss, reason = "packet counts")]
    pub(crate) fn media(&self, elapsed: Duration, of: Duration, sent: u64, received: &Totals) {
        let seconds = elapsed.as_secs_f64().max(f64::EPSILON);
        let missing = received.expected.saturating_sub(received.unique);
        self.note(&format!(
            "{:.0}/{:.0} s  in {:.0} packets/s  out {:.0} packets/s {:.1} Mbit/s  missing {missing}",
            elapsed.as_secs_f64(),
            of.as_secs_f64(),
            sent as f64 / seconds,
            received.packets as f64 / seconds,
            received.bytes as f64 * 8.0 / BITS_PER_MEGABIT / seconds,
        ));
    }

    /// Takes the line away.
    pub(crate) fn finish(&self) {
        self.bar.finish_and_clear();
    }
}
