//! A fault ends at the datagram or command that caused it.
//!
//! The panic is caught at the boundary of one call into the Sfu, counted and reported with the bytes that
//! caused it, so that they can be replayed as a fuzz seed; everything else on the shard goes on.

use std::any::Any;
use std::fmt::Write as _;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use ringsoup_rtc::time::Time;
use ringsoup_sfu::event::{Event, LogLevel, LogLine, LogTag};

/// Bytes of a datagram that a report shows: a whole packet of an ordinary MTU.
const REPORT_BYTES_MAX: usize = 1500;
/// A fault that every packet repeats is told this often.
const REPORT_INTERVAL: Duration = Duration::from_secs(1);

/// Counts faults and says which are told.
#[derive(Debug, Default)]
pub(crate) struct Containment {
    panics: u64,
    told_at: Option<Time>,
}

impl Containment {
    /// Runs one call; `Err` carries the panic's message.
    ///
    /// What the call left half done is the callee's to clean up when it is told of the panic, hence the
    /// assertion of unwind safety.
    pub(crate) fn contain<T>(&mut self, call: impl FnOnce() -> T) -> Result<T, String> {
        catch_unwind(AssertUnwindSafe(call)).map_err(|payload| {
            self.panics += 1;
            message(payload.as_ref())
        })
    }

    pub(crate) fn panics(&self) -> u64 {
        self.panics
    }

    /// The line for the controller's log; `None` while one was told just before.
    pub(crate) fn report(&mut self, now: Time, what: &str, message: &str, bytes: &[u8]) -> Option<Event> {
        if self.told_at.is_some_and(|told| now.saturating_since(told) < REPORT_INTERVAL) {
            return None;
        }
        self.told_at = Some(now);
        let mut text =
            format!("Driver::contain() | panic while handling {what} ({} so far): {message}", self.panics);
        if !bytes.is_empty() {
            // Decryption is in place, so these may be the bytes after it.
            let _ = write!(text, "; {} bytes: ", bytes.len());
            for byte in bytes.iter().take(REPORT_BYTES_MAX) {
                let _ = write!(text, "{byte:02x}");
            }
        }
        Some(Event::Log(LogLine { level: LogLevel::Error, tag: LogTag::Info, text }))
    }
}

fn message(payload: &(dyn Any + Send)) -> String {
    payload
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned())
        .or_else(|| payload.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "no message".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_becomes_a_value_with_its_message() {
        let mut containment = Containment::default();
        assert_eq!(containment.contain(|| 7), Ok(7));
        assert_eq!(containment.contain(|| -> () { panic!("offset {}", 12) }), Err("offset 12".to_owned()));
        assert_eq!(containment.panics(), 1);
    }

    #[test]
    fn reports_show_the_bytes_and_are_rate_limited() {
        let mut containment = Containment::default();
        let Some(Event::Log(line)) =
            containment.report(Time::from_millis(0), "a datagram", "x", &[0x80, 0x01])
        else {
            panic!("the first fault is told");
        };
        assert!(line.text.ends_with("2 bytes: 8001"), "{}", line.text);
        assert!(containment.report(Time::from_millis(999), "a datagram", "x", &[]).is_none());
        assert!(containment.report(Time::from_millis(1000), "a datagram", "x", &[]).is_some());
    }
}
