//! What published libraries were heard to say to the worker and to read from it, byte by byte (`tests/golden`).

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::Value;

use super::translate::translate;
use super::tree::tree;
use super::{Generation, layout};
use ringsoup_sfu::name::Name;

use crate::message::{Incoming, RequestBody, Response};
use crate::registry::Kind;
use crate::version::Version;
use crate::wire::schema::Schema;
use crate::wire::{Builder, Decoder, Encoder, node_frames, told_samples};

/// One published version of each layout but the second, of which none was.
const VERSIONS: [&str; 11] = [
    "3.13.5", "3.13.24", "3.14.16", "3.16.7", "3.19.4", "3.19.7", "3.19.17", "3.19.22", "3.22.0", "3.26.0",
    "3.27.1",
];

/// Of the libraries that speak JSON, one of each framing.
const JSON_VERSIONS: [&str; 3] = ["3.8.4", "3.9.17", "3.12.16"];

/// Fewer distinct messages say too little of a version.
const MESSAGES_MIN: usize = 30;

/// Who says a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Speaker {
    Library,
    Worker,
    /// The worker could: one of the samples.
    Sample,
}

struct Recorded {
    speaker: Speaker,
    /// What the application was doing, or the sample's name.
    doing: String,
    /// What the library's reader made of it; the message itself where it is JSON.
    text: String,
    /// The message with its size prefix; where that is JSON the payload that followed it.
    frame: Vec<u8>,
}

impl Recorded {
    fn meaning(&self) -> Value {
        serde_json::from_str(&self.text).unwrap()
    }
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/golden")
}

fn recording(version: &str) -> Vec<Recorded> {
    let path = folder().join(format!("{version}.txt"));
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let lines: Vec<_> = text.lines().skip(1).collect();
    lines
        .chunks(3)
        .map(|message| {
            let (speaker, doing) = message[0].split_at(2);
            let speaker = match speaker {
                "> " => Speaker::Library,
                "< " => Speaker::Worker,
                _ => Speaker::Sample,
            };
            Recorded {
                speaker,
                doing: doing.to_owned(),
                text: message[1].to_owned(),
                frame: node_frames::bytes(message[2]),
            }
        })
        .collect()
}

fn schema(version: &str) -> Schema {
    layout(Version::parse(version).unwrap()).map_or_else(Schema::newest, |(schema, _)| schema)
}

fn generation(version: &str) -> Option<Arc<Generation>> {
    Generation::of(Version::parse(version).unwrap()).map(Arc::new)
}

#[test]
fn every_library_says_and_reads_enough() {
    let enough = |version: &str, speaker| {
        let said = recording(version).into_iter().filter(|recorded| recorded.speaker == speaker);
        let mut messages: Vec<_> = said.map(|recorded| (recorded.text, recorded.frame)).collect();
        messages.sort();
        messages.dedup();
        assert!(messages.len() >= MESSAGES_MIN, "{version} {speaker:?}: {}", messages.len());
    };
    for version in VERSIONS {
        for speaker in [Speaker::Library, Speaker::Worker, Speaker::Sample] {
            enough(version, speaker);
        }
    }
    for version in JSON_VERSIONS {
        for speaker in [Speaker::Library, Speaker::Worker] {
            enough(version, speaker);
        }
    }
}

/// Older names for what is the same: a name is nothing on the wire.
const RENAMED: [(&str, &str); 4] = [
    ("announcedIp", "announcedAddress"),
    ("localIp", "localAddress"),
    ("ip", "address"),
    ("AudioLevel", "SsrcAudioLevel"),
];

fn renamed(name: &str) -> &str {
    RENAMED.iter().find(|(older, _)| *older == name).map_or(name, |(_, newer)| newer)
}

/// A library has a table's name without its namespace.
fn is_named(ours: &str, read: &str) -> bool {
    ours == read || ours == renamed(read) || ours.rsplit('.').next() == Some(read)
}

/// Where two readings differ. What is ours alone is read by nobody else.
fn differences(read: &Value, ours: &Value, path: &str, found: &mut Vec<String>) {
    match (read, ours) {
        (Value::Object(read), Value::Object(ours)) => {
            for (name, value) in read {
                let path = format!("{path}.{name}");
                match ours.iter().find(|(ours, _)| is_named(ours, name)) {
                    Some((_, ours)) => differences(value, ours, &path, found),
                    None => found.push(format!("{path}: {value}, not there")),
                }
            }
            for (name, value) in ours {
                if !read.keys().any(|read| is_named(name, read)) && !name.starts_with("ringsoup") {
                    found.push(format!("{path}.{name}: not there, {value}"));
                }
            }
        }
        (Value::Array(read), Value::Array(ours)) if read.len() == ours.len() => {
            for (index, (read, ours)) in read.iter().zip(ours).enumerate() {
                differences(read, ours, &format!("{path}[{index}]"), found);
            }
        }
        (Value::Number(read), Value::Number(ours)) if read.as_f64() == ours.as_f64() => {}
        (Value::String(read), Value::String(ours)) if same_name(read, ours) => {}
        _ if read == ours => {}
        _ => found.push(format!("{path}: {read}, not {ours}")),
    }
}

/// flatc writes some values' names in another way in TypeScript.
fn same_name(read: &str, ours: &str) -> bool {
    let plain = |text: &str| text.replace('_', "").to_lowercase();
    plain(read) == plain(ours) || renamed(read) == ours
}

/// What the version's own library does not know: later ones of its layout do, or it is ours.
const UNKNOWN_TO_THE_LIBRARY: [(&str, &str); 6] = [
    ("3.13.5 Library", "WebRtcTransportRequest.options.iceConsentTimeout: not there"),
    ("3.13.5 Sample producer trace of a sender report", "TraceNotification."),
    ("Sample", "uri: 12, not \"DependencyDescriptor\""),
    ("Sample", "uri: 11, not \"PlayoutDelay\""),
    ("Sample direct transport dump", "sctpParameters."),
    ("Worker", "sctpParameters.sctpBufferedAmount: not there, 0"),
];

#[test]
fn libraries_read_what_the_layouts_say() {
    let mut found = Vec::new();
    for version in VERSIONS {
        let schema = schema(version);
        for recorded in recording(version) {
            let path = format!("{version} {:?} {}", recorded.speaker, recorded.doing);
            differences(&recorded.meaning(), &tree(&schema, &recorded.frame), &path, &mut found);
        }
    }
    let unknown = UNKNOWN_TO_THE_LIBRARY;
    found.retain(|line| !unknown.iter().any(|(who, what)| line.contains(who) && line.contains(what)));
    assert!(found.is_empty(), "{}", found.join("\n"));
}

/// What a library says on one occasion, and the versions that say it.
#[derive(Default)]
struct Readings {
    /// In the order of the session.
    occasions: Vec<String>,
    versions: BTreeMap<String, Vec<(String, Vec<&'static str>)>>,
}

impl Readings {
    fn add(&mut self, occasion: String, text: String, version: &'static str) {
        if !self.versions.contains_key(&occasion) {
            self.occasions.push(occasion.clone());
        }
        let texts = self.versions.entry(occasion).or_default();
        match texts.iter_mut().find(|(known, _)| *known == text) {
            Some((_, versions)) => versions.push(version),
            None => texts.push((text, vec![version])),
        }
    }

    fn shown(&self) -> String {
        let mut shown = String::new();
        for occasion in &self.occasions {
            writeln!(shown, "# {occasion}").unwrap();
            for (text, versions) in &self.versions[occasion] {
                writeln!(shown, "{}\n    {text}", versions.join(" ")).unwrap();
            }
        }
        shown
    }
}

/// Reads what a version's library says, as the worker does.
struct Listener {
    version: &'static str,
    decoder: Decoder,
    /// What there is, by its name.
    kinds: BTreeMap<Name, Kind>,
    /// In the order in which the library chose them.
    ids: Vec<String>,
}

impl Listener {
    fn new(version: &'static str) -> Self {
        let decoder = if JSON_VERSIONS.contains(&version) {
            Decoder::speaking_json(Version::parse(version).unwrap())
        } else {
            Decoder::speaking(generation(version))
        };
        Self { version, decoder, kinds: BTreeMap::new(), ids: Vec::new() }
    }

    /// What a recorded message is to the worker.
    fn understood(&mut self, recorded: &Recorded) -> String {
        let kind_of = |name: &str| self.kinds.get(name).copied();
        let read = if !JSON_VERSIONS.contains(&self.version) {
            self.decoder.decode(&recorded.frame)
        } else if recorded.frame.is_empty() {
            self.decoder.decode_of(recorded.text.as_bytes(), &kind_of)
        } else {
            self.decoder.decode_payload(recorded.text.as_bytes(), &recorded.frame)
        };
        match read.unwrap_or_else(|error| panic!("{} {}: {error}", self.version, recorded.doing)) {
            Incoming::Request(mut request) => {
                // Some versions ask for more before.
                request.id = 0.into();
                if let Ok(body) = &request.body {
                    self.kinds.extend(made(body));
                }
                self.numbered(&format!("{request:?}"))
            }
            Incoming::Notification(notification) => self.numbered(&format!("{notification:?}")),
        }
    }

    /// With numbers for ids, as every library chooses others.
    fn numbered(&mut self, text: &str) -> String {
        let mut parts = text.split(ID_BEGINS_WITH);
        let mut shown = parts.next().unwrap_or_default().to_owned();
        for part in parts {
            let (id, rest) = part.split_at(ID_LEN - ID_BEGINS_WITH.len());
            let known = self.ids.iter().position(|known| known == id).unwrap_or_else(|| {
                self.ids.push(id.to_owned());
                self.ids.len() - 1
            });
            write!(shown, "#{known}{rest}").unwrap();
        }
        shown
    }
}

/// What recorded ids have in common, and their length.
const ID_BEGINS_WITH: &str = "00000000-0000-4000-8000-";
const ID_LEN: usize = 36;

/// The transport that a request makes: of what kind it is says what it is connected to.
fn made(body: &RequestBody) -> Option<(Name, Kind)> {
    Some(match body {
        RequestBody::CreateWebRtcTransport { transport, .. } => (transport.clone(), Kind::WebRtcTransport),
        RequestBody::CreateServedTransport(served) => (served.transport.clone(), Kind::WebRtcTransport),
        RequestBody::CreatePlainTransport { transport, .. } => (transport.clone(), Kind::PlainTransport),
        RequestBody::CreatePipeTransport { transport, .. } => (transport.clone(), Kind::PipeTransport),
        RequestBody::CreateDirectTransport { transport, .. } => (transport.clone(), Kind::DirectTransport),
        _ => return None,
    })
}

/// What the recorded requests and notifications are to the worker: by what the application was doing, each reading with
/// the versions that it is of.
fn requests() -> String {
    let mut readings = Readings::default();
    for version in VERSIONS.into_iter().rev().chain(JSON_VERSIONS.into_iter().rev()) {
        let mut listener = Listener::new(version);
        let mut seen = BTreeMap::<String, usize>::new();
        for recorded in recording(version).into_iter().filter(|recorded| recorded.speaker == Speaker::Library)
        {
            let count = seen.entry(recorded.doing.clone()).or_default();
            *count += 1;
            readings.add(format!("{} ({count})", recorded.doing), listener.understood(&recorded), version);
        }
    }
    readings.shown()
}

#[test]
fn requests_of_every_library_are_understood() {
    let (path, made) = (folder().join("requests.txt"), requests());
    if std::env::var_os("GOLDEN_REQUESTS").is_some() {
        std::fs::write(&path, &made).unwrap();
    }
    let expected = std::fs::read_to_string(&path).unwrap();
    for (made, expected) in made.lines().zip(expected.lines()) {
        assert_eq!(made, expected);
    }
    assert_eq!(made.len(), expected.len());
}

/// Written from elsewhere in the newest layout, so that reading it back finds nothing there.
const WRITTEN_FROM_ELSEWHERE: [&str; 2] = [".maxMessageSize: ", ".jitter: "];

#[test]
fn what_libraries_accepted_is_said_again_byte_by_byte() {
    for version in VERSIONS {
        let Some(generation) = generation(version) else { continue };
        let schema = schema(version);
        let mut newest = Builder::default();
        for Recorded { speaker, doing, frame, .. } in recording(version) {
            if speaker == Speaker::Library {
                continue;
            }
            translate(&generation.read, &frame, &mut newest).unwrap();
            let again = generation.encode(newest.finished_data()).unwrap();
            let mut found = Vec::new();
            differences(&tree(&schema, &frame), &tree(&schema, &again), &doing, &mut found);
            assert!(found.is_empty() == (again == frame), "{version} {doing}");
            found.retain(|line| !WRITTEN_FROM_ELSEWHERE.iter().any(|field| line.contains(field)));
            assert!(found.is_empty(), "{version}:\n{}", found.join("\n"));
        }
    }
}

/// Every sample as a version is told it, if it is.
fn samples(version: &str) -> Vec<(&'static str, Vec<u8>)> {
    let generation = generation(version);
    let mut encoder = Encoder::speaking(generation);
    let mut told = Vec::new();
    for (name, result) in told_samples::answers() {
        told.push((name, encoder.response(&Response { id: 9.into(), result }).to_vec()));
    }
    for (name, event) in told_samples::events() {
        told.extend(encoder.event(&event).map(|told| (name, told.message.to_vec())));
    }
    told.push(("log", encoder.log("Wa line").to_vec()));
    told
}

#[test]
fn samples_are_told_as_libraries_have_read_them() {
    for version in VERSIONS {
        let recorded = recording(version).into_iter().filter(|recorded| recorded.speaker == Speaker::Sample);
        let recorded: Vec<_> = recorded.map(|recorded| (recorded.doing, recorded.frame)).collect();
        let made = samples(version);
        for ((name, made), (recorded, frame)) in made.iter().zip(&recorded) {
            assert_eq!((name, made), (&recorded.as_str(), frame), "{version}: run tests/golden/run");
        }
        assert_eq!(made.len(), recorded.len(), "{version}: run tests/golden/run");
    }
}

/// For `tests/golden/run`, which has the libraries read them.
#[test]
fn write_samples_where_it_is_said() {
    let Some(folder) = std::env::var_os("GOLDEN_SAMPLES") else { return };
    for version in VERSIONS {
        let mut lines = String::new();
        for (name, frame) in samples(version) {
            write!(lines, "{name}\t").unwrap();
            frame.iter().for_each(|byte| write!(lines, "{byte:02x}").unwrap());
            lines.push('\n');
        }
        std::fs::write(Path::new(&folder).join(format!("{version}.txt")), lines).unwrap();
    }
}
