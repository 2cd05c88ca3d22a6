//! The messages of controllers before 3.13.0: JSON, in three framings.
//!
//! ```text
//! controller's frame ─► a request in JSON ─► the newest layout ─► wire::decode
//! wire::Encoder      ─► the newest layout ─► JSON              ─► controller's frame
//! ```
//! As with older layouts ([`generation`](super::generation)) there is no second codec: what the schemas say of tables and
//! fields is what JSON objects are read and written by, and what differs stands in tables.

mod adjust;
mod broken;
mod checks;
mod encode;
mod envelope;
mod methods;
mod names;
mod parameters;
mod plan;
mod read;
mod request;
mod rules;
mod scope;
mod shapes;
mod tell;
mod transports;

#[cfg(test)]
mod event_tests;
#[cfg(test)]
mod members_tests;
#[cfg(test)]
mod property_tests;
#[cfg(test)]
mod request_property_tests;
#[cfg(test)]
mod request_tests;
#[cfg(test)]
mod samples;
#[cfg(test)]
mod tell_tests;

use crate::version::Version;

pub(super) use encode::{JsonEncoder, Packet};
pub use methods::KindOf;
pub use request::JsonDecoder;
pub use scope::in_plain_names;

/// How a controller before 3.13.0 writes its messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Dialect {
    /// Before 3.9.0: JSON objects as netstrings.
    Netstring,
    /// From 3.9.0 on: the same objects behind their length.
    LengthPrefixed,
    /// From 3.10.6 on: requests and notifications are texts with fields between colons, the last one JSON.
    Text,
}

impl Dialect {
    /// `None` for versions that speak flatbuffers.
    pub fn of(version: Version) -> Option<Self> {
        const LENGTH_PREFIXED: Version = Version::new(3, 9, 0);
        // Its first release candidate already (a pre-release counts as its release).
        const TEXT: Version = Version::new(3, 10, 6);
        if version >= super::OLDEST {
            None
        } else if version >= TEXT {
            Some(Self::Text)
        } else if version >= LENGTH_PREFIXED {
            Some(Self::LengthPrefixed)
        } else {
            Some(Self::Netstring)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dialects_begin_where_they_did() {
        for (text, dialect) in [
            ("3.8.4", Some(Dialect::Netstring)),
            ("3.9.0", Some(Dialect::LengthPrefixed)),
            ("3.10.5", Some(Dialect::LengthPrefixed)),
            ("3.10.6-rc.1", Some(Dialect::Text)),
            ("3.12.16", Some(Dialect::Text)),
            ("3.13.0", None),
            ("3.27.1", None),
        ] {
            assert_eq!(Dialect::of(Version::parse(text).unwrap()), dialect, "{text}");
        }
    }
}
