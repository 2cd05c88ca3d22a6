//! What can be wrong with a value that a controller gave, and how it is told.
//!
//! Before 3.13.0 the worker is what checks shapes: libraries pass on whatever their applications gave them, and
//! applications are used to a `TypeError` then.

use std::fmt;

use ringsoup_sfu::command::CommandError;
use serde_json::Value;

/// Longest part of a given text that an error repeats, bytes.
const REPEATED_BYTES_MAX: usize = 64;

/// A member that cannot be used, and the way to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Wrong {
    /// Innermost first.
    path: Vec<String>,
    fault: Fault,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Fault {
    Missing,
    NotA(&'static str),
    OutOfRange,
    Unknown(String),
    Other(&'static str),
}

impl Wrong {
    pub(super) fn missing(member: &str) -> Self {
        Self::new(Fault::Missing).within(member)
    }

    /// `wanted` with its article.
    pub(super) fn not(member: &str, wanted: &'static str) -> Self {
        Self::new(Fault::NotA(wanted)).within(member)
    }

    pub(super) fn out_of_range() -> Self {
        Self::new(Fault::OutOfRange)
    }

    /// None of the texts that may stand here.
    pub(super) fn unknown(text: &str) -> Self {
        let end = text.floor_char_boundary(REPEATED_BYTES_MAX);
        Self::new(Fault::Unknown(text[..end].to_owned()))
    }

    pub(super) fn other(member: &str, fault: &'static str) -> Self {
        Self::new(Fault::Other(fault)).within(member)
    }

    /// The same without the outermost members of the way that are among these; whether there were any.
    pub(super) fn without_outer(mut self, members: &[&str]) -> (Self, bool) {
        let before = self.path.len();
        while self.path.pop_if(|outer| members.contains(&outer.as_str())).is_some() {}
        let is_shorter = self.path.len() < before;
        (self, is_shorter)
    }

    /// Whether it is about this member of what was given, and not of something in it.
    pub(super) fn is_about(&self, member: &str) -> bool {
        self.path.len() == 1 && self.path[0] == member
    }

    fn new(fault: Fault) -> Self {
        Self { path: Vec::new(), fault }
    }

    /// The same, and the member that it was found in.
    pub(super) fn within(mut self, member: &str) -> Self {
        self.path.push(member.to_owned());
        self
    }
}

impl fmt::Display for Wrong {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path: Vec<_> = self.path.iter().rev().map(String::as_str).collect();
        let path = path.join(".");
        match &self.fault {
            Fault::Missing => write!(formatter, "missing {path}"),
            Fault::NotA(wanted) => write!(formatter, "wrong {path} (not {wanted})"),
            Fault::OutOfRange => write!(formatter, "wrong {path} (out of range)"),
            Fault::Unknown(text) => write!(formatter, "invalid {path} '{text}'"),
            Fault::Other(fault) => write!(formatter, "wrong {path} ({fault})"),
        }
    }
}

impl From<Wrong> for CommandError {
    fn from(wrong: Wrong) -> Self {
        Self::type_error(wrong.to_string())
    }
}

/// The member as an array of at least one entry and at most `max`.
pub(super) fn entries<'a>(value: Option<&'a Value>, member: &str, max: usize) -> Result<&'a [Value], Wrong> {
    let value = value.ok_or_else(|| Wrong::missing(member))?;
    let entries = value.as_array().ok_or_else(|| Wrong::not(member, "an array"))?;
    match entries.len() {
        0 => Err(Wrong::other(member, "empty array")),
        count if count > max => Err(Wrong::other(member, "too many entries")),
        _ => Ok(entries),
    }
}

/// A boolean, if there is anything.
pub(super) fn optional_boolean(value: Option<&Value>, member: &str) -> Result<Option<bool>, Wrong> {
    value.map(|value| value.as_bool().ok_or_else(|| Wrong::not(member, "a boolean"))).transpose()
}

/// An integer that is not negative.
pub(super) fn positive(value: Option<&Value>, member: &str) -> Result<u64, Wrong> {
    value.and_then(Value::as_u64).ok_or_else(|| Wrong::not(member, "a positive number"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_name_the_way_to_them() {
        let wrong = Wrong::missing("ip").within("listenIp");
        assert_eq!(wrong.to_string(), "missing listenIp.ip");
        let error = CommandError::from(Wrong::not("types", "an array"));
        assert_eq!(error, CommandError::type_error("wrong types (not an array)"));
        let long = Wrong::unknown(&"ä".repeat(1000)).within("kind").to_string();
        assert!(long.len() < 100, "{long}");
    }

    #[test]
    fn arrays_have_one_entry_at_least_and_not_too_many() {
        let told = |value: Value| entries(Some(&value), "listenIps", 2).map(<[Value]>::len);
        assert_eq!(entries(None, "listenIps", 2).unwrap_err().to_string(), "missing listenIps");
        assert_eq!(told("x".into()).unwrap_err().to_string(), "wrong listenIps (not an array)");
        assert_eq!(told(Value::Array(Vec::new())).unwrap_err().to_string(), "wrong listenIps (empty array)");
        assert_eq!(told(vec![1, 2, 3].into()).unwrap_err().to_string(), "wrong listenIps (too many entries)");
        assert_eq!(told(vec![1, 2].into()), Ok(2));
    }
}
