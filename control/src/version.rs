//! Versions of the library that a controller is written with (`MEDIASOUP_VERSION`).

use std::fmt;

/// `major.minor.patch`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version {
    major: u32,
    minor: u32,
    patch: u32,
}

impl Version {
    pub const fn new(major: u32, minor: u32, patch: u32) -> Self {
        Self { major, minor, patch }
    }

    /// A pre-release or build suffix is ignored: it had its release's layout. `None` for what is no version.
    pub fn parse(text: &str) -> Option<Self> {
        let core = text.split(['-', '+']).next()?;
        let mut numbers = core.split('.').map(|number| number.parse::<u32>().ok());
        let version = Self { major: numbers.next()??, minor: numbers.next()??, patch: numbers.next()?? };
        numbers.next().is_none().then_some(version)
    }
}

impl fmt::Display for Version {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}.{}.{}", self.major, self.minor, self.patch)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn suffixes_are_ignored_and_nonsense_is_none() {
        for text in ["3.27.1", "3.27.1-rc.1", "3.27.1+build.5"] {
            assert_eq!(Version::parse(text), Some(Version::new(3, 27, 1)), "{text}");
        }
        for text in ["3.27", "3.27.1.2", "", "x.y.z", "3.27.99999999999", "-1.0.0"] {
            assert_eq!(Version::parse(text), None, "{text}");
        }
        assert!(Version::new(3, 9, 17) < Version::new(3, 10, 0));
    }
}
