//! What to drive: rooms, who publishes, who listens, and what media; read from TOML.

use std::fmt;
use std::path::Path;

use serde::{Deserialize, Serialize};

/// The scenarios that come with the harness, by the name of their file.
const BUILT_IN: [(&str, &str); 11] = [
    ("one-to-one", include_str!("../scenarios/one-to-one.toml")),
    ("one-to-many-50", include_str!("../scenarios/one-to-many-50.toml")),
    ("one-to-many-200", include_str!("../scenarios/one-to-many-200.toml")),
    ("many-to-many-10x10", include_str!("../scenarios/many-to-many-10x10.toml")),
    ("audio-room-50", include_str!("../scenarios/audio-room-50.toml")),
    ("cbr-500pps-1x50", include_str!("../scenarios/cbr-500pps-1x50.toml")),
    ("frame-burst-1x50", include_str!("../scenarios/frame-burst-1x50.toml")),
    ("simulcast-1x50", include_str!("../scenarios/simulcast-1x50.toml")),
    ("simulcast-vp8-1x50", include_str!("../scenarios/simulcast-vp8-1x50.toml")),
    ("soak", include_str!("../scenarios/soak.toml")),
    ("attack", include_str!("../scenarios/attack.toml")),
];

/// What runs when nothing is asked for.
pub(crate) const DEFAULT_SCENARIO: &str = "one-to-many-50";

/// Bounds that keep a typing error from asking for the impossible.
const PARTICIPANTS_MAX: u32 = 1000;
const ROOMS_MAX: u32 = 1000;
const CONSUMERS_MAX: u64 = 50_000;
const SPATIAL_LAYERS_MAX: usize = 3;
/// What a browser sends of 320x180, 640x360 and 1280x720.
const SIMULCAST_KBPS: [f64; SPATIAL_LAYERS_MAX] = [150.0, 500.0, 1500.0];
const PACKET_BYTES: std::ops::RangeInclusive<usize> = 100..=1400;

/// One scenario file.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Scenario {
    /// The file's name, or the built-in's.
    #[serde(skip_deserializing)]
    pub(crate) name: String,
    pub(crate) description: String,
    /// Seconds of measured media, split over the slices.
    #[serde(default = "defaults::duration_s")]
    pub(crate) duration_s: f64,
    /// Seconds of media that are thrown away before measuring.
    #[serde(default = "defaults::warmup_s")]
    pub(crate) warmup_s: f64,
    /// How many times the worker's turn and the floor's turn alternate.
    #[serde(default = "defaults::slices")]
    pub(crate) slices: u32,
    #[serde(default = "defaults::seed")]
    pub(crate) seed: u64,
    pub(crate) room: Room,
    pub(crate) video: Option<Video>,
    pub(crate) audio: Option<Audio>,
}

/// Who is in each room.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Room {
    /// Rooms of this form.
    #[serde(default = "defaults::one")]
    pub(crate) count: u32,
    /// Everybody publishes and receives everybody else.
    #[serde(default)]
    pub(crate) participants: u32,
    /// Publishers that receive nothing.
    #[serde(default)]
    pub(crate) publishers: u32,
    /// Receivers of every publisher of the room.
    #[serde(default)]
    pub(crate) subscribers: u32,
}

/// What cameras encode with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Codec {
    #[default]
    H264,
    Vp8,
    Vp9,
}

/// Layers that one VP9 stream is sent in: three spatial and three temporal ones (W3C WebRTC-SVC).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Svc {
    /// Each frame needs the one of the layer below.
    L3T3,
    /// Only those of key pictures do.
    #[serde(rename = "L3T3_KEY")]
    L3T3Key,
}

impl Svc {
    pub(crate) const fn mode(self) -> &'static str {
        match self {
            Self::L3T3 => "L3T3",
            Self::L3T3Key => "L3T3_KEY",
        }
    }

    /// Of either kind.
    pub(crate) const LAYERS: u8 = 3;
}

/// Video of each publisher.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Video {
    #[serde(default)]
    pub(crate) codec: Codec,
    /// Mean bit rate of the encoder; frames vary in size. This, `packets_per_second` or `simulcast_kbps`.
    pub(crate) bitrate_kbps: Option<f64>,
    /// Fixed rate of full-size packets.
    pub(crate) packets_per_second: Option<f64>,
    /// The mean bit rates of the same picture in several sizes, each a stream of its own, the smallest first.
    pub(crate) simulcast_kbps: Option<Vec<f64>>,
    /// Streams of several sizes are named in each packet (RFC 8852) instead of announced by their SSRCs.
    #[serde(default)]
    pub(crate) rid: bool,
    /// Of VP9: one stream in layers, of which every subscriber gets some. Its rate is that of all of them.
    #[serde(default)]
    pub(crate) svc: Option<Svc>,
    /// Of VP8 in several sizes: temporal layers of each.
    #[serde(default = "defaults::temporal_layers")]
    pub(crate) temporal_layers: u8,
    #[serde(default = "defaults::fps")]
    pub(crate) fps: f64,
    /// Frames from one key frame to the next, unless one is asked for.
    #[serde(default = "defaults::gop_frames")]
    pub(crate) gop_frames: u32,
    /// How many times bigger a key frame is than the others.
    #[serde(default = "defaults::key_frame_factor")]
    pub(crate) key_frame_factor: f64,
    /// Bytes of a full RTP packet, header included.
    #[serde(default = "defaults::packet_bytes")]
    pub(crate) packet_bytes: usize,
    #[serde(default)]
    pub(crate) pacing: Pacing,
    /// Retransmissions on a stream of their own (RFC 4588).
    #[serde(default)]
    pub(crate) rtx: bool,
}

/// When the packets of a frame leave.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Pacing {
    /// Spread over the frame's interval, as a pacing sender does.
    #[default]
    Even,
    /// Together, as an encoder without a pacer does.
    Frame,
}

/// Opus audio of each publisher.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Audio {
    /// Payload bytes of a 20 ms frame of speech.
    #[serde(default = "defaults::frame_bytes")]
    pub(crate) frame_bytes: usize,
    /// Share of the time each publisher speaks; the rest is discontinuous transmission.
    #[serde(default = "defaults::speaking_share")]
    pub(crate) speaking_share: f64,
}

mod defaults {
    pub(super) fn duration_s() -> f64 {
        20.0
    }
    pub(super) fn warmup_s() -> f64 {
        2.0
    }
    pub(super) fn slices() -> u32 {
        4
    }
    pub(super) fn seed() -> u64 {
        1
    }
    pub(super) fn one() -> u32 {
        1
    }
    pub(super) fn temporal_layers() -> u8 {
        1
    }
    pub(super) fn fps() -> f64 {
        30.0
    }
    pub(super) fn gop_frames() -> u32 {
        60
    }
    pub(super) fn key_frame_factor() -> f64 {
        7.0
    }
    pub(super) fn packet_bytes() -> usize {
        1200
    }
    pub(super) fn frame_bytes() -> usize {
        80
    }
    pub(super) fn speaking_share() -> f64 {
        0.5
    }
}

/// Why a scenario cannot be used.
#[derive(Debug)]
pub(crate) struct ScenarioError {
    scenario: String,
    reason: String,
}

impl fmt::Display for ScenarioError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "scenario {}: {}", self.scenario, self.reason.trim_end())
    }
}

impl std::error::Error for ScenarioError {}

/// Names and descriptions of the built-in scenarios.
pub(crate) fn built_in() -> Result<Vec<Scenario>, ScenarioError> {
    BUILT_IN.iter().map(|(name, text)| parse(name, text)).collect()
}

/// A built-in scenario by its name, else the file at that path.
pub(crate) fn load(name_or_path: &str) -> Result<Scenario, ScenarioError> {
    if let Some((name, text)) = BUILT_IN.iter().find(|(name, _)| *name == name_or_path) {
        return parse(name, text);
    }
    let path = Path::new(name_or_path);
    let text = std::fs::read_to_string(path).map_err(|error| {
        let names: Vec<&str> = BUILT_IN.iter().map(|(name, _)| *name).collect();
        ScenarioError {
            scenario: name_or_path.to_owned(),
            reason: format!("not a built-in ({}) and not a readable file ({error})", names.join(", ")),
        }
    })?;
    let name = path.file_stem().map_or_else(|| name_or_path.into(), |stem| stem.to_string_lossy());
    parse(&name, &text)
}

fn parse(name: &str, text: &str) -> Result<Scenario, ScenarioError> {
    let fail = |reason: String| ScenarioError { scenario: name.to_owned(), reason };
    let mut scenario: Scenario = toml::from_str(text).map_err(|error| fail(error.to_string()))?;
    name.clone_into(&mut scenario.name);
    scenario.validate().map_err(fail)?;
    Ok(scenario)
}

fn ensure(condition: bool, reason: &str) -> Result<(), String> {
    if condition { Ok(()) } else { Err(reason.to_owned()) }
}

impl Scenario {
    /// Checks what the types cannot say; called again after the command line changed something.
    pub(crate) fn validate(&self) -> Result<(), String> {
        let room = &self.room;
        let counts = [room.participants, room.publishers, room.subscribers];
        ensure(
            (room.participants >= 2) != (room.publishers >= 1 && room.subscribers >= 1),
            "[room] needs either participants (2 or more), or publishers and subscribers (1 or more each)",
        )?;
        ensure(
            counts.iter().all(|count| *count <= PARTICIPANTS_MAX),
            "[room] has more than 1000 of one kind",
        )?;
        ensure((1..=ROOMS_MAX).contains(&room.count), "[room] count must be 1..=1000")?;
        ensure(self.consumer_count() <= CONSUMERS_MAX, "more than 50000 consumers")?;
        ensure(self.video.is_some() || self.audio.is_some(), "needs [video], [audio] or both")?;
        ensure(self.duration_s > 0.0 && self.duration_s.is_finite(), "duration_s must be above 0")?;
        ensure((0.0..=60.0).contains(&self.warmup_s), "warmup_s must be 0..=60")?;
        ensure((1..=100).contains(&self.slices), "slices must be 1..=100")?;
        self.video.as_ref().map_or(Ok(()), Video::validate)?;
        self.audio.as_ref().map_or(Ok(()), Audio::validate)
    }

    /// Streams each publisher sends.
    fn streams_per_publisher(&self) -> u64 {
        u64::from(self.video.is_some()) + u64::from(self.audio.is_some())
    }

    /// Consumers of all rooms together.
    pub(crate) fn consumer_count(&self) -> u64 {
        let room = &self.room;
        let pairs = if room.participants > 0 {
            u64::from(room.participants) * (u64::from(room.participants) - 1)
        } else {
            u64::from(room.publishers) * u64::from(room.subscribers)
        };
        pairs * u64::from(room.count) * self.streams_per_publisher()
    }
}

impl Room {
    pub(crate) fn publishers_each(&self) -> u32 {
        self.participants.max(self.publishers)
    }

    pub(crate) fn subscribers_each(&self) -> u32 {
        self.participants.max(self.subscribers)
    }

    /// Whether subscriber `subscriber` of a room receives publisher `publisher` of it.
    pub(crate) fn receives(&self, subscriber: u32, publisher: u32) -> bool {
        self.participants == 0 || subscriber != publisher
    }
}

impl Video {
    /// In several sizes: simulcast.
    pub(crate) const fn is_layered(&self) -> bool {
        self.simulcast_kbps.is_some()
    }

    fn simulcast(&self) -> &[f64] {
        self.simulcast_kbps.as_deref().unwrap_or_default()
    }

    /// What each stream is encoded as, the smallest first.
    pub(crate) fn encodings(&self) -> Vec<Self> {
        if !self.is_layered() {
            return vec![self.clone()];
        }
        let encoding = |kbps: &f64| Self { bitrate_kbps: Some(*kbps), simulcast_kbps: None, ..self.clone() };
        self.simulcast().iter().map(encoding).collect()
    }

    /// The same in three sizes; what the rate was is that of the largest no more.
    pub(crate) fn make_simulcast(&mut self) {
        if !self.is_layered() {
            (self.bitrate_kbps, self.packets_per_second) = (None, None);
            self.simulcast_kbps = Some(SIMULCAST_KBPS.to_vec());
        }
        self.svc = None;
    }

    /// One stream of VP9 in layers, of the rate that it had, else of three sizes.
    pub(crate) fn make_svc(&mut self, svc: Svc) {
        let sizes = self.simulcast_kbps.take().unwrap_or_else(|| SIMULCAST_KBPS.to_vec());
        self.packets_per_second = None;
        self.bitrate_kbps.get_or_insert_with(|| sizes.iter().sum());
        (self.codec, self.svc, self.temporal_layers) = (Codec::Vp9, Some(svc), 1);
    }

    /// The same in the largest size alone.
    pub(crate) fn make_simple(&mut self) {
        if let Some(rates) = self.simulcast_kbps.take() {
            self.bitrate_kbps = rates.last().copied();
            self.temporal_layers = 1;
        }
        (self.svc, self.rid) = (None, false);
    }

    fn validate(&self) -> Result<(), String> {
        let rates = [self.bitrate_kbps.is_some(), self.packets_per_second.is_some(), self.is_layered()];
        ensure(
            rates.iter().filter(|given| **given).count() == 1,
            "[video] needs either bitrate_kbps or packets_per_second or simulcast_kbps",
        )?;
        let mut rates = self.bitrate_kbps.iter().chain(&self.packets_per_second).chain(self.simulcast());
        ensure(
            rates.all(|rate| *rate > 0.0 && *rate <= 1e6),
            "[video] rate must be above 0 and at most 1e6",
        )?;
        if self.is_layered() {
            let layers = self.simulcast();
            ensure(
                (2..=SPATIAL_LAYERS_MAX).contains(&layers.len()),
                "[video] simulcast_kbps must be 2 or 3 rates",
            )?;
            ensure(
                layers.is_sorted_by(|one, next| one < next),
                "[video] simulcast_kbps must begin with the smallest",
            )?;
        }
        ensure(!self.rid || self.is_layered(), "[video] rid is for simulcast_kbps")?;
        ensure(
            self.codec != Codec::Vp9 || !self.is_layered(),
            "[video] VP9 is sent in one stream, whose layers svc tells, not in simulcast_kbps",
        )?;
        ensure(
            self.svc.is_none() || (self.codec == Codec::Vp9 && self.bitrate_kbps.is_some()),
            "[video] svc is for the codec vp9 with bitrate_kbps",
        )?;
        ensure((1..=3).contains(&self.temporal_layers), "[video] temporal_layers must be 1..=3")?;
        ensure(
            self.temporal_layers == 1 || (self.is_layered() && self.codec == Codec::Vp8),
            "[video] temporal_layers are for VP8 with simulcast_kbps",
        )?;
        ensure((1.0..=240.0).contains(&self.fps), "[video] fps must be 1..=240")?;
        ensure(self.gop_frames >= 1, "[video] gop_frames must be 1 or more")?;
        ensure((1.0..=50.0).contains(&self.key_frame_factor), "[video] key_frame_factor must be 1..=50")?;
        ensure(PACKET_BYTES.contains(&self.packet_bytes), "[video] packet_bytes must be 100..=1400")
    }
}

impl Audio {
    fn validate(&self) -> Result<(), String> {
        ensure((20..=1275).contains(&self.frame_bytes), "[audio] frame_bytes must be 20..=1275")?;
        ensure((0.0..=1.0).contains(&self.speaking_share), "[audio] speaking_share must be 0..=1")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_built_in_scenario_is_valid() {
        let all = built_in().unwrap();
        assert_eq!(all.len(), BUILT_IN.len());
        assert!(all.iter().all(|scenario| !scenario.description.is_empty()));
        assert!(load(DEFAULT_SCENARIO).is_ok());
    }

    #[test]
    fn consumers_are_counted_by_topology() {
        assert_eq!(load("one-to-one").unwrap().room.subscribers_each(), 1);
        assert_eq!(load("cbr-500pps-1x50").unwrap().consumer_count(), 50);
        assert_eq!(load("audio-room-50").unwrap().consumer_count(), 50 * 49);
        assert_eq!(load("simulcast-1x50").unwrap().consumer_count(), 50);
        let mesh = load("many-to-many-10x10").unwrap().room;
        assert!(mesh.receives(1, 2) && !mesh.receives(2, 2));
    }

    #[test]
    fn simulcast_is_a_stream_for_each_size() {
        let mut video = load("simulcast-vp8-1x50").unwrap().video.unwrap();
        let rates: Vec<_> = video.encodings().iter().map(|encoding| encoding.bitrate_kbps).collect();
        assert_eq!(rates, [Some(150.0), Some(500.0), Some(1500.0)]);
        assert!(video.encodings().iter().all(|each| !each.is_layered() && each.temporal_layers == 3));
        video.make_simple();
        assert_eq!((video.encodings().len(), video.bitrate_kbps), (1, Some(1500.0)));
        video.make_simulcast();
        assert_eq!(video.encodings().len(), 3);
        assert!(video.validate().is_ok());
    }

    fn reason(text: &str) -> String {
        parse("test", text).unwrap_err().to_string()
    }

    #[test]
    fn mistakes_are_named() {
        assert!(load("no-such").unwrap_err().to_string().contains("one-to-one"));
        let base = "description = 'x'\n[room]\npublishers = 1\nsubscribers = 1\n";
        assert!(reason(base).contains("[video], [audio] or both"));
        assert!(reason(&format!("{base}colour = 1\n")).contains("colour"));
        assert!(reason(&format!("{base}[video]\nfps = 30\n")).contains("either bitrate_kbps"));
        assert!(reason(&format!("{base}[video]\nbitrate_kbps = 'x'\n")).contains("bitrate_kbps"));
        assert!(reason("description = 'x'\n[room]\npublishers = 1\n[audio]\n").contains("[room] needs"));
        assert!(reason(&format!("{base}participants = 5\n[audio]\n")).contains("[room] needs"));
        let simulcast = format!("{base}[video]\nsimulcast_kbps = ");
        assert!(reason(&format!("{simulcast}[500, 150]\n")).contains("begin with the smallest"));
        assert!(reason(&format!("{simulcast}[500]\n")).contains("2 or 3 rates"));
        assert!(reason(&format!("{simulcast}[150, 500]\ntemporal_layers = 2\n")).contains("for VP8"));
        assert!(
            reason(&format!("{simulcast}[150, 500]\nbitrate_kbps = 1\n")).contains("either bitrate_kbps")
        );
        assert!(
            reason(&format!("{base}[video]\npackets_per_second = 1\npacket_bytes = 9000\n"))
                .contains("packet_bytes")
        );
    }
}
