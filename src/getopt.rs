//! Command-line options the way `getopt_long_only` reads them, which controllers rely on: one dash or two,
//! unique prefixes (`--logTag` is how every Node library says `--logTags`), words that are no options ignored.
//!
//! Written here because no argument crate resolves unique prefixes of single-dash long options; lexopt, for
//! one, reads `-logLevel` as a cluster of short ones. A value follows an equals sign and is never the next
//! word: that is the grammar of optional arguments, which the original uses for all of its options, and a
//! word standing alone is ignored there.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt as _;

/// A long option.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Spec<Id> {
    pub(crate) name: &'static str,
    pub(crate) id: Id,
    pub(crate) takes_value: bool,
}

/// An option that was given.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Given<Id> {
    pub(crate) id: Id,
    /// Empty for options that take none.
    pub(crate) value: OsString,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum OptionError {
    Unknown(String),
    Ambiguous(String),
    MissingValue(&'static str),
    UnwantedValue(&'static str),
}

impl std::fmt::Display for OptionError {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Unknown(given) => write!(formatter, "unknown option '{given}'"),
            Self::Ambiguous(given) => write!(formatter, "option '{given}' is ambiguous"),
            Self::MissingValue(name) => {
                write!(formatter, "missing value of option '--{name}' (--{name}=VALUE)")
            }
            Self::UnwantedValue(name) => write!(formatter, "option '--{name}' takes no value"),
        }
    }
}

/// Reads all words after the program's name.
///
/// # Errors
/// The first word that cannot be resolved.
pub(crate) fn read<Id: Copy>(words: &[OsString], specs: &[Spec<Id>]) -> Result<Vec<Given<Id>>, OptionError> {
    let mut given = Vec::new();
    for word in words.iter().take_while(|word| *word != "--") {
        let Some((name, value)) = split(word) else { continue };
        let spec = resolve(name, specs)?;
        let value = match (spec.takes_value, value) {
            (false, None) => OsString::new(),
            (false, Some(_)) => return Err(OptionError::UnwantedValue(spec.name)),
            (true, Some(value)) => value.to_owned(),
            (true, None) => return Err(OptionError::MissingValue(spec.name)),
        };
        given.push(Given { id: spec.id, value });
    }
    Ok(given)
}

/// Name and value of `-name`, `--name`, `-name=value` and `--name=value`; `None` for words that are no
/// options, a lone dash among them.
fn split(word: &OsStr) -> Option<(&OsStr, Option<&OsStr>)> {
    let bytes = word.as_bytes();
    let rest = bytes.strip_prefix(b"--").or_else(|| bytes.strip_prefix(b"-"))?;
    if rest.is_empty() {
        return None;
    }
    let mut parts = rest.splitn(2, |byte| *byte == b'=');
    let name = parts.next().unwrap_or_default();
    Some((OsStr::from_bytes(name), parts.next().map(OsStr::from_bytes)))
}

/// The option of that name, else the only one that starts with it.
fn resolve<Id: Copy>(name: &OsStr, specs: &[Spec<Id>]) -> Result<Spec<Id>, OptionError> {
    if let Some(exact) = specs.iter().find(|spec| spec.name.as_bytes() == name.as_bytes()) {
        return Ok(*exact);
    }
    let mut matches = specs.iter().filter(|spec| spec.name.as_bytes().starts_with(name.as_bytes()));
    let given = || format!("--{}", name.to_string_lossy());
    match (matches.next(), matches.next()) {
        (Some(only), None) => Ok(*only),
        (Some(_), Some(_)) => Err(OptionError::Ambiguous(given())),
        (None, _) => Err(OptionError::Unknown(given())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SPECS: &[Spec<char>] = &[
        Spec { name: "logLevel", id: 'l', takes_value: true },
        Spec { name: "logTags", id: 't', takes_value: true },
        Spec { name: "log", id: 'x', takes_value: false },
    ];

    fn read_words(words: &[&str]) -> Result<Vec<(char, String)>, OptionError> {
        let words: Vec<OsString> = words.iter().map(OsString::from).collect();
        let given = read(&words, SPECS)?;
        Ok(given.into_iter().map(|one| (one.id, one.value.into_string().unwrap())).collect())
    }

    #[test]
    fn every_spelling_means_the_same() {
        for words in [
            &["--logLevel=debug"][..],
            &["-logLevel=debug"],
            &["-logL=debug"],
            &["--logL=debug"],
            &["word", "--logLevel=debug", "-", "word"],
            &["--logLevel=debug", "--", "--nonsense"],
        ] {
            assert_eq!(read_words(words), Ok(vec![('l', "debug".into())]), "{words:?}");
        }
    }

    #[test]
    fn an_exact_name_beats_the_longer_ones() {
        assert_eq!(read_words(&["--log"]), Ok(vec![('x', String::new())]));
        assert_eq!(read_words(&["--logTag=ice"]), Ok(vec![('t', "ice".into())]));
    }

    #[test]
    fn values_keep_what_follows_the_first_equals_sign() {
        assert_eq!(read_words(&["--logTags=a=b"]), Ok(vec![('t', "a=b".into())]));
        assert_eq!(read_words(&["--logTags="]), Ok(vec![('t', String::new())]));
    }

    #[test]
    fn what_cannot_be_resolved_is_an_error() {
        let missing = |name| Err(OptionError::MissingValue(name));
        assert_eq!(read_words(&["--logLevel"]), missing("logLevel"));
        assert_eq!(read_words(&["--logLevel", "debug"]), missing("logLevel"));
        assert_eq!(read_words(&["--lo=x"]), Err(OptionError::Ambiguous("--lo".into())));
        assert_eq!(read_words(&["--=x"]), Err(OptionError::Ambiguous("--".into())));
        assert_eq!(read_words(&["-z"]), Err(OptionError::Unknown("--z".into())));
        assert_eq!(read_words(&["--log=1"]), Err(OptionError::UnwantedValue("log")));
    }
}
