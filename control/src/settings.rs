//! What a controller wants logged. Set by argv, changed by `worker.updateSettings`.

use ringsoup_sfu::event::{LogLevel, LogTag};

/// How much is logged. Ordered: each admits what the ones before admit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verbosity {
    None,
    Error,
    Warn,
    Debug,
}

impl Verbosity {
    /// Case does not matter. `None` for anything that is no level.
    pub fn parse(text: &str) -> Option<Self> {
        match text.to_ascii_lowercase().as_str() {
            "none" => Some(Self::None),
            "error" => Some(Self::Error),
            "warn" => Some(Self::Warn),
            "debug" => Some(Self::Debug),
            _ => None,
        }
    }

    pub fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Error => "error",
            Self::Warn => "warn",
            Self::Debug => "debug",
        }
    }
}

/// Every tag with its name on the command line and on the channel.
const TAGS: [(LogTag, &str); 13] = [
    (LogTag::Info, "info"),
    (LogTag::Ice, "ice"),
    (LogTag::Dtls, "dtls"),
    (LogTag::Rtp, "rtp"),
    (LogTag::Srtp, "srtp"),
    (LogTag::Rtcp, "rtcp"),
    (LogTag::Rtx, "rtx"),
    (LogTag::Bwe, "bwe"),
    (LogTag::Score, "score"),
    (LogTag::Simulcast, "simulcast"),
    (LogTag::Svc, "svc"),
    (LogTag::Sctp, "sctp"),
    (LogTag::Message, "message"),
];

/// A set of tags.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct LogTags(u16);

impl LogTags {
    /// Unknown names are left out: controllers newer than the worker may have more.
    pub fn from_names<'a>(names: impl IntoIterator<Item = &'a str>) -> Self {
        let known = names.into_iter().filter_map(|name| TAGS.iter().find(|(_, known)| *known == name));
        Self(known.fold(0, |bits, (tag, _)| bits | bit(*tag)))
    }

    pub fn contains(self, tag: LogTag) -> bool {
        self.0 & bit(tag) != 0
    }

    pub fn names(self) -> impl Iterator<Item = &'static str> {
        TAGS.iter().filter(move |(tag, _)| self.contains(*tag)).map(|(_, name)| *name)
    }
}

fn bit(tag: LogTag) -> u16 {
    1 << tag as u16
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogSettings {
    pub verbosity: Verbosity,
    pub tags: LogTags,
}

impl Default for LogSettings {
    fn default() -> Self {
        Self { verbosity: Verbosity::Error, tags: LogTags::default() }
    }
}

impl LogSettings {
    /// Errors need no tag; warnings and debug lines are told only for the tags that were chosen.
    pub fn admits(&self, level: LogLevel, tag: LogTag) -> bool {
        match level {
            LogLevel::Error => self.verbosity >= Verbosity::Error,
            LogLevel::Warn => self.verbosity >= Verbosity::Warn && self.tags.contains(tag),
            LogLevel::Debug => self.verbosity >= Verbosity::Debug && self.tags.contains(tag),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_are_read_in_any_case() {
        assert_eq!(Verbosity::parse("DeBug"), Some(Verbosity::Debug));
        assert_eq!(Verbosity::parse("chicken"), None);
        assert_eq!(Verbosity::parse(""), None);
    }

    #[test]
    fn tags_are_all_distinct_and_unknown_ones_ignored() {
        let all = LogTags::from_names(TAGS.iter().map(|(_, name)| *name));
        assert_eq!(all.names().count(), TAGS.len());
        assert_eq!(LogTags::from_names(["chicken"]), LogTags::default());
    }

    #[test]
    fn only_errors_pass_without_a_tag() {
        let settings = LogSettings { verbosity: Verbosity::Debug, tags: LogTags::from_names(["rtp"]) };
        assert!(settings.admits(LogLevel::Error, LogTag::Ice));
        assert!(settings.admits(LogLevel::Debug, LogTag::Rtp));
        assert!(!settings.admits(LogLevel::Warn, LogTag::Ice));
        let silent = LogSettings { verbosity: Verbosity::None, ..settings };
        assert!(!silent.admits(LogLevel::Error, LogTag::Rtp));
    }
}
