//! The settings a controller gives on the command line: every option of every published worker.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::path::{Path, PathBuf};

use ringsoup_control::settings::{LogSettings, LogTags, Verbosity};

use crate::getopt::{self, OptionError, Spec};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Id {
    LogLevel,
    LogTags,
    RtcMinPort,
    RtcMaxPort,
    DtlsCertificateFile,
    DtlsPrivateKeyFile,
    /// Accepted because some generation's controllers pass it, and without effect here.
    NoEffect(&'static str),
    Help,
    Version,
}

const fn with_value(name: &'static str, id: Id) -> Spec<Id> {
    Spec { name, id, takes_value: true }
}

const OPTIONS: &[Spec<Id>] = &[
    with_value("logLevel", Id::LogLevel),
    with_value("logTags", Id::LogTags),
    with_value("rtcMinPort", Id::RtcMinPort),
    with_value("rtcMaxPort", Id::RtcMaxPort),
    with_value("dtlsCertificateFile", Id::DtlsCertificateFile),
    with_value("dtlsPrivateKeyFile", Id::DtlsPrivateKeyFile),
    with_value("libwebrtcFieldTrials", Id::NoEffect("libwebrtcFieldTrials")),
    with_value("disableLiburing", Id::NoEffect("disableLiburing")),
    with_value("useBuiltInSctpStack", Id::NoEffect("useBuiltInSctpStack")),
    Spec { name: "help", id: Id::Help, takes_value: false },
    Spec { name: "version", id: Id::Version, takes_value: false },
];

/// What the process was asked to do.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Invocation {
    Run(Settings),
    Help,
    Version,
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Settings {
    pub(crate) log: LogSettings,
    /// Inclusive.
    pub(crate) rtc_ports: (u16, u16),
    /// Certificate and private key, both PEM; parsed once the settings are known to make sense.
    pub(crate) dtls_files: Option<(PathBuf, PathBuf)>,
    /// Options that were given and change nothing, by name.
    pub(crate) without_effect: Vec<&'static str>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            log: LogSettings::default(),
            rtc_ports: (10_000, 59_999),
            dtls_files: None,
            without_effect: Vec::new(),
        }
    }
}

/// Words for stderr; the process exits with the settings code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SettingsError(pub(crate) String);

impl From<OptionError> for SettingsError {
    fn from(error: OptionError) -> Self {
        Self(error.to_string())
    }
}

/// Reads the words after the program's name.
///
/// # Errors
/// The first setting that makes no sense.
pub(crate) fn parse(words: &[OsString]) -> Result<Invocation, SettingsError> {
    let mut settings = Settings::default();
    let mut tags: Option<Vec<String>> = None;
    let (mut certificate, mut private_key) = (OsString::new(), OsString::new());
    for given in getopt::read(words, OPTIONS)? {
        let value = given.value;
        match given.id {
            Id::Help => return Ok(Invocation::Help),
            Id::Version => return Ok(Invocation::Version),
            Id::LogLevel => settings.log.verbosity = verbosity(&value)?,
            Id::LogTags => tags.get_or_insert_default().push(value.to_string_lossy().into_owned()),
            Id::RtcMinPort => settings.rtc_ports.0 = port("rtcMinPort", &value)?,
            Id::RtcMaxPort => settings.rtc_ports.1 = port("rtcMaxPort", &value)?,
            Id::DtlsCertificateFile => certificate = value,
            Id::DtlsPrivateKeyFile => private_key = value,
            Id::NoEffect(name) => settings.without_effect.push(name),
        }
    }
    if let Some(tags) = tags {
        settings.log.tags = LogTags::from_names(tags.iter().map(String::as_str));
    }
    if settings.rtc_ports.1 < settings.rtc_ports.0 {
        return Err(SettingsError("rtcMaxPort cannot be less than rtcMinPort".into()));
    }
    settings.dtls_files = dtls_files(certificate.into(), private_key.into())?;
    Ok(Invocation::Run(settings))
}

fn verbosity(value: &OsStr) -> Result<Verbosity, SettingsError> {
    let value = value.to_string_lossy();
    Verbosity::parse(&value).ok_or_else(|| SettingsError(format!("invalid value '{value}' for logLevel")))
}

fn port(name: &str, value: &OsStr) -> Result<u16, SettingsError> {
    let value = value.to_string_lossy();
    let number = leading_integer(&value)
        .ok_or_else(|| SettingsError(format!("invalid value '{value}' for {name}")))?;
    // The original takes the low 16 bits and Node's tests rely on it: 65536 is port 0, hence below any
    // rtcMinPort, hence an error.
    #[allow(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "the truncation is the contract"
    )]
    Ok(number as u16)
}

/// C's reading of a number: leading blanks, a sign, digits; what follows is ignored. `None` without digits
/// or outside of 32 bits.
fn leading_integer(text: &str) -> Option<i32> {
    let text = text.trim_start_matches(|letter: char| letter == ' ' || ('\t'..='\r').contains(&letter));
    let digits_from = usize::from(text.starts_with(['+', '-']));
    let digits = text[digits_from..].bytes().take_while(u8::is_ascii_digit).count();
    text[..digits_from + digits].parse().ok()
}

/// Both or none.
fn dtls_files(certificate: PathBuf, key: PathBuf) -> Result<Option<(PathBuf, PathBuf)>, SettingsError> {
    match (certificate.as_os_str().is_empty(), key.as_os_str().is_empty()) {
        (true, true) => return Ok(None),
        (true, false) => return Err(SettingsError("missing dtlsCertificateFile".into())),
        (false, true) => return Err(SettingsError("missing dtlsPrivateKeyFile".into())),
        (false, false) => {}
    }
    check_file("dtlsCertificateFile", &certificate)?;
    check_file("dtlsPrivateKeyFile", &key)?;
    Ok(Some((certificate, key)))
}

/// A readable regular file, or an error now rather than at the first handshake.
fn check_file(option: &str, path: &Path) -> Result<(), SettingsError> {
    let fail = |why: &dyn std::fmt::Display| SettingsError(format!("{option} '{}': {why}", path.display()));
    if !path.metadata().map_err(|error| fail(&error))?.is_file() {
        return Err(fail(&"not a regular file"));
    }
    File::open(path).map_err(|error| fail(&error))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(words: &[&str]) -> Result<Settings, String> {
        let words: Vec<OsString> = words.iter().map(OsString::from).collect();
        match parse(&words) {
            Ok(Invocation::Run(settings)) => Ok(settings),
            Ok(other) => panic!("{other:?}"),
            Err(SettingsError(text)) => Err(text),
        }
    }

    #[test]
    fn nothing_given_means_the_defaults() {
        let settings = run(&[]).unwrap();
        assert_eq!(settings, Settings::default());
        assert_eq!(settings.log.verbosity, Verbosity::Error);
    }

    #[test]
    fn a_node_library_is_understood() {
        let settings = run(&[
            "--logLevel=DEBUG",
            "--logTag=info",
            "--logTag=rtcp",
            "--logTag=chicken",
            "--rtcMinPort=0",
            "--rtcMaxPort=9999",
            "--libwebrtcFieldTrials=WebRTC-Bwe-AlrLimitedBackoff/Disabled/",
            "--disableLiburing=true",
            "--useBuiltInSctpStack=false",
        ])
        .unwrap();
        assert_eq!(settings.log.verbosity, Verbosity::Debug);
        assert_eq!(settings.log.tags, LogTags::from_names(["info", "rtcp"]));
        assert_eq!(settings.rtc_ports, (0, 9999));
        assert_eq!(
            settings.without_effect,
            ["libwebrtcFieldTrials", "disableLiburing", "useBuiltInSctpStack"]
        );
    }

    #[test]
    fn the_last_of_several_counts() {
        assert_eq!(run(&["--rtcMinPort=1", "-rtcMin=2"]).unwrap().rtc_ports.0, 2);
    }

    #[test]
    fn ports_are_read_as_c_reads_them() {
        for (text, port) in [("20000", 20_000), (" +20000x", 20_000), ("65537", 1), ("-65535", 1)] {
            assert_eq!(run(&[&format!("--rtcMinPort={text}")]).unwrap().rtc_ports.0, port, "{text}");
        }
        for text in ["", "x1", "-", "99999999999"] {
            assert!(run(&[&format!("--rtcMinPort={text}")]).is_err(), "{text}");
        }
    }

    #[test]
    fn settings_that_make_no_sense_are_refused() {
        for words in [
            &["--logLevel=chicken"][..],
            &["--rtcMinPort=1000", "--rtcMaxPort=999"],
            &["--rtcMinPort=1000", "--rtcMaxPort=65536"],
            &["--dtlsCertificateFile=/notfound/cert.pem"],
            &["--dtlsPrivateKeyFile=/notfound/priv.pem"],
            &["--dtlsCertificateFile=/notfound/cert.pem", "--dtlsPrivateKeyFile=/notfound/priv.pem"],
            &["--dtlsCertificateFile=/", "--dtlsPrivateKeyFile=/"],
            &["--rtcMaxPort"],
            &["--chicken=1"],
            &["--l=1"],
        ] {
            assert!(run(words).is_err(), "{words:?}");
        }
    }

    #[test]
    fn existing_dtls_files_are_kept() {
        let file = concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml");
        let words = [format!("--dtlsC={file}"), format!("--dtlsP={file}")];
        let settings = run(&[&words[0], &words[1]]).unwrap();
        assert_eq!(settings.dtls_files, Some((file.into(), file.into())));
    }

    #[test]
    fn help_and_version_are_asked_for() {
        let parse_one = |word: &str| parse(&[word.into()]);
        assert_eq!(parse_one("--help"), Ok(Invocation::Help));
        assert_eq!(parse_one("-h"), Ok(Invocation::Help));
        assert_eq!(parse_one("-version"), Ok(Invocation::Version));
    }
}
