//! Which controllers are served, by MEDIASOUP_VERSION.
//!
//! Nothing in the bytes of the channel tells the generations of the protocol apart, so a version that is not
//! served is refused at the start instead of being misread later.

use ringsoup_control::version::Version;
use ringsoup_control::wire::{Dialect, NEWEST};

/// The oldest controllers that are served.
const OLDEST: Version = Version::new(3, 8, 0);

/// Whether the controller of this version can be served.
///
/// # Errors
/// Words for stderr.
pub(crate) fn check(version: Option<&str>) -> Result<(), String> {
    let Some(text) = version else {
        return Err(
            "MEDIASOUP_VERSION is not set: this program is started by a mediasoup library, not by hand \
                    (--help tells more)"
                .into(),
        );
    };
    match Version::parse(text) {
        Some(version) if version >= OLDEST => Ok(()),
        Some(_) => Err(format!("mediasoup {text} is not supported ({OLDEST} and newer are)")),
        None => Err(format!("MEDIASOUP_VERSION '{text}' is not a version")),
    }
}

/// Words for stderr, on which a library says them at its default log level, about a controller that nothing is known of.
pub(crate) fn warning(version: &str) -> Option<String> {
    let is_newer = Version::parse(version).is_some_and(|version| version > NEWEST);
    is_newer.then(|| format!("mediasoup {version} is newer than {NEWEST}, the newest known: taken for that"))
}

/// Whether controllers of this version have a second channel, for payloads.
pub(crate) fn has_payload_channel(version: &str) -> bool {
    Version::parse(version).and_then(Dialect::of).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_generation_is_served() {
        for version in [
            "3.8.0",
            "3.8.4",
            "3.9.17",
            "3.10.6-rc.1",
            "3.12.16",
            "3.13.0",
            "3.19.4-rc.1",
            "3.27.1",
            "3.28.0+build",
            "4.0.0",
        ] {
            assert_eq!(check(Some(version)), Ok(()), "{version}");
        }
    }

    #[test]
    fn older_ones_and_nonsense_are_refused() {
        for version in ["3.7.19", "2.99.99", "3.27", "3.27.1.2", "", "x.y.z", "3.27.99999999999"] {
            assert!(check(Some(version)).is_err(), "{version}");
        }
        assert!(check(None).is_err());
    }

    #[test]
    fn payloads_had_a_channel_of_their_own_before_flatbuffers() {
        assert!(has_payload_channel("3.8.4") && has_payload_channel("3.12.16"));
        assert!(!has_payload_channel("3.13.0") && !has_payload_channel("4.0.0"));
    }
}
