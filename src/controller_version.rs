//! Which controllers are served, by MEDIASOUP_VERSION.
//!
//! Nothing in the bytes of the channel tells the generations of the protocol apart, so a version that is not
//! served is refused at the start instead of being misread later.

/// The oldest version with the current layout of messages (bitrates of 64 bits). Newer versions are taken
/// for the newest known.
const OLDEST_SERVED: Version = Version { major: 3, minor: 27, patch: 0 };

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Version {
    major: u32,
    minor: u32,
    patch: u32,
}

impl Version {
    /// `major.minor.patch`; a pre-release or build suffix is ignored: it had its release's layout.
    fn parse(text: &str) -> Option<Self> {
        let core = text.split(['-', '+']).next()?;
        let mut numbers = core.split('.').map(|number| number.parse::<u32>().ok());
        let version = Self { major: numbers.next()??, minor: numbers.next()??, patch: numbers.next()?? };
        numbers.next().is_none().then_some(version)
    }
}

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
        Some(version) if version >= OLDEST_SERVED => Ok(()),
        Some(_) => Err(format!("mediasoup {text} is not supported yet (3.27.0 and newer are)")),
        None => Err(format!("MEDIASOUP_VERSION '{text}' is not a version")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_current_generation_is_served() {
        for version in ["3.27.0", "3.27.1", "3.27.2-rc.1", "3.28.0+build", "4.0.0"] {
            assert_eq!(check(Some(version)), Ok(()), "{version}");
        }
    }

    #[test]
    fn older_ones_and_nonsense_are_refused() {
        for version in ["3.26.9", "3.8.4", "2.99.99", "3.27", "3.27.1.2", "", "x.y.z", "3.27.99999999999"] {
            assert!(check(Some(version)).is_err(), "{version}");
        }
        assert!(check(None).is_err());
    }
}
