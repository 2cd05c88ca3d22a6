//! The command line.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Parser, ValueEnum};
use ringsoup_rtc::dtls::Role;
use ringsoup_rtc::srtp::CryptoSuite;

use crate::compare::Between;
use crate::error::Error;
use crate::impair::{ImpairArgs, Network};
use crate::scenario::{self, Codec, DEFAULT_SCENARIO, Pacing, Scenario, Svc, Video};
use crate::session::{Ways, WebRtc};
use crate::switching::parse_interval;
use crate::transport_bodies::TransportKind;

/// Drives a mediasoup worker with synthetic H.264, VP8 or VP9 and Opus and reports what it did and what it cost.
///
/// Without arguments: builds ringsoup-worker, runs the scenario one-to-many-50 and prints the report.
#[derive(Clone, Debug, Parser)]
#[command(version, about)]
pub(crate) struct Cli {
    /// What to do.
    #[arg(value_enum, default_value_t = Mode::Run)]
    mode: Mode,

    /// The worker binary, any mediasoup worker of 3.27.1 [default: build ringsoup-worker]
    #[arg(long, value_name = "PATH")]
    pub(crate) worker: Option<PathBuf>,

    /// A built-in scenario's name or a TOML file [default: one-to-many-50; soak: soak; idle: one-to-one]
    #[arg(long, value_name = "NAME|FILE")]
    scenario: Option<String>,

    /// Seconds of measured media.
    #[arg(long, value_name = "SECONDS")]
    pub(crate) duration: Option<f64>,

    /// Shards of the worker (RINGSOUP_SHARDS) [default: the worker's own]
    #[arg(long, value_name = "N")]
    pub(crate) shards: Option<u32>,

    /// Rooms, each a router, of the scenario's form; of scale, routers [scale: 1000].
    #[arg(long, value_name = "N")]
    pub(crate) routers: Option<u32>,

    /// Of scale: transports of each router.
    #[arg(long, value_name = "N", default_value_t = crate::scale::TRANSPORTS)]
    pub(crate) transports: u32,

    /// Of scale: only this kind of transport [default: each kind in its turn]
    #[arg(long, value_enum, value_name = "KIND")]
    pub(crate) transport_kind: Option<TransportKind>,

    /// Of connect: clients.
    #[arg(long, value_name = "N", default_value_t = crate::connect::CLIENTS, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub(crate) clients: u32,

    /// Of connect: handshakes begun each second [default: as fast as they go, 16 at a time]. Of attack: what
    /// is sent each second [default: the attack's own].
    #[arg(long, value_name = "PER_SECOND", value_parser = parse_rate)]
    pub(crate) rate: Option<f64>,

    /// Of attack: which, or several with commas between them, or all.
    #[arg(long, value_name = "KIND", default_value = "all")]
    pub(crate) kind: crate::attack::Kinds,

    /// Of compare: what is compared.
    #[arg(long, value_enum, value_name = "WHAT", default_value_t = Between::Transports)]
    pub(crate) between: Between,

    /// Of run: handshakes offered each second, in every other turn, in the place of the floor's turns.
    #[arg(long, value_name = "N", value_parser = parse_rate)]
    pub(crate) handshakes_per_second: Option<f64>,

    /// Factor on every publisher's rate.
    #[arg(long, value_name = "FACTOR", default_value_t = 1.0)]
    pub(crate) rate_scale: f64,

    /// Video in one size, or in three, each a stream of its own, of which every subscriber gets one; or, in VP9, in one stream of
    /// three spatial and three temporal layers, of which every subscriber gets some [default: the scenario's]
    #[arg(long, value_enum, value_name = "FORM")]
    video: Option<VideoForm>,

    /// Of --video simulcast: the streams are named in their packets (MID and RID, RFC 8852) as a browser's are, and announced by no
    /// SSRC.
    #[arg(long)]
    rid: bool,

    /// What cameras encode with. VP8 in several sizes has three temporal layers in each [default: the scenario's]
    #[arg(long, value_enum, value_name = "CODEC")]
    codec: Option<Codec>,

    /// Retransmissions on a stream of their own (RFC 4588), both ways.
    #[arg(long)]
    rtx: bool,

    /// Every subscriber asks for another layer once in so many seconds, in its turn; for video in several sizes or layers.
    #[arg(long, value_name = "SECONDS", value_parser = parse_interval)]
    pub(crate) switch_layers_every: Option<Duration>,

    /// When a video frame's packets leave.
    #[arg(long, value_enum)]
    pacing: Option<Pacing>,

    /// Bytes of a full video packet, RTP header included.
    #[arg(long, value_name = "BYTES")]
    pub(crate) packet_size: Option<usize>,

    /// What media comes and goes by. On WebRTC transports the SRTP suite is negotiated.
    #[arg(long, value_enum, value_name = "KIND", default_value_t = MediaTransport::Plain)]
    pub(crate) transport: MediaTransport,

    /// All WebRTC transports on the ports of one WebRTC server, instead of ports of their own.
    #[arg(long)]
    pub(crate) webrtc_server: bool,

    /// WebRTC transports are reached by TCP alone (ICE-TCP, RFC 4571). A thread of the harness carries it, which is part of the
    /// latencies.
    #[arg(long)]
    tcp: bool,

    /// The clients' part in DTLS; browsers are its client.
    #[arg(long, value_enum, value_name = "ROLE", default_value_t = DtlsRole::Client)]
    dtls_role: DtlsRole,

    /// SRTP on every plain transport: AEAD_AES_256_GCM, AEAD_AES_128_GCM, AES_CM_128_HMAC_SHA1_80 or _32
    #[arg(long, value_name = "SUITE", value_parser = parse_suite)]
    pub(crate) srtp: Option<CryptoSuite>,

    /// Receivers take a train of packets in one piece (UDP_GRO): loopback then never cuts a sender's
    /// trains, as with a network card that segments. Without it the kernel cuts them at the sender's cost.
    #[arg(long)]
    pub(crate) gro: bool,

    /// Turns of worker and floor.
    #[arg(long, value_name = "N")]
    slices: Option<u32>,

    /// Leave the floor out.
    #[arg(long)]
    pub(crate) no_floor: bool,

    /// Highest growth of resident memory after the soak's first minute, in KiB.
    #[arg(long, value_name = "KIB", default_value_t = 1024)]
    pub(crate) soak_growth: u64,

    /// Loss at which find-max stops, in percent of the packets.
    #[arg(long, value_name = "PERCENT", default_value_t = 0.1)]
    pub(crate) max_loss: f64,

    /// A JSON object on stdout instead of tables.
    #[arg(long)]
    pub(crate) json: bool,

    /// The worker's log level; its lines are printed when the run fails, or at once with --verbose.
    #[arg(long, value_name = "LEVEL", default_value = "error")]
    pub(crate) worker_log: String,

    /// Print the worker's log and notifications.
    #[arg(long, short)]
    pub(crate) verbose: bool,

    #[command(flatten)]
    impair: ImpairArgs,

    /// Which packets the network loses, delays and reorders repeats with the seed.
    #[arg(long, value_name = "SEED", default_value_t = 7)]
    network_seed: u64,

    /// Same as the mode list.
    #[arg(long, group = "mode-flag")]
    list: bool,

    /// Same as the mode floor.
    #[arg(long, group = "mode-flag")]
    floor_only: bool,

    /// Same as the mode find-max.
    #[arg(long, group = "mode-flag")]
    find_max: bool,

    /// Same as the mode soak.
    #[arg(long, group = "mode-flag")]
    soak: bool,

    /// Same as the mode idle.
    #[arg(long, group = "mode-flag")]
    idle: bool,
}

/// What to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Mode {
    /// Run a scenario through the worker, in turns with the floor.
    Run,
    /// Only measure what the kernel asks per packet, to 50 and 200 sockets.
    Floor,
    /// Raise the rate until packets are lost.
    FindMax,
    /// Run long, watch memory and loss.
    Soak,
    /// Start the scenario's rooms, stop all media, and see what the worker still uses.
    Idle,
    /// Create, dump and close many routers with many transports; no media.
    Scale,
    /// Run a scenario in two or three ways (--between), a worker each, in turns.
    Compare,
    /// Connect many clients to WebRTC transports and leave them idle: CPU and time per handshake, and memory.
    Connect,
    /// Flood a worker whose WebRTC transports carry media, attack by attack, and hold each to its figures.
    Attack,
    /// Name the built-in scenarios.
    List,
}

/// What media comes and goes by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum MediaTransport {
    Plain,
    Webrtc,
}

/// In how many sizes a picture is sent, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum VideoForm {
    Simple,
    Simulcast,
    /// VP9, L3T3: each frame needs the layer below.
    Svc,
    /// VP9, L3T3_KEY: only those of key pictures do.
    KSvc,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum DtlsRole {
    Client,
    Server,
}

fn parse_rate(text: &str) -> Result<f64, String> {
    let rate = text.parse().ok().filter(|rate| (0.1..=10_000_000.0).contains(rate));
    rate.ok_or_else(|| "a number from 0.1 to 10000000".to_owned())
}

fn parse_suite(name: &str) -> Result<CryptoSuite, String> {
    CryptoSuite::from_name(name).ok_or_else(|| {
        let names: Vec<&str> = CryptoSuite::ALL.iter().map(|suite| suite.name()).collect();
        format!("one of {}", names.join(", "))
    })
}

impl Cli {
    /// The mode, whichever way it was said.
    pub(crate) fn mode(&self) -> Mode {
        let flags = [
            (self.list, Mode::List),
            (self.floor_only, Mode::Floor),
            (self.find_max, Mode::FindMax),
            (self.soak, Mode::Soak),
            (self.idle, Mode::Idle),
        ];
        flags.iter().find(|(given, _)| *given).map_or(self.mode, |(_, mode)| *mode)
    }

    /// How media reaches the worker and leaves it.
    pub(crate) fn ways(&self) -> Result<Ways, Error> {
        let is_webrtc = self.transport == MediaTransport::Webrtc;
        if is_webrtc && self.srtp.is_some() {
            return Err(Error::new(
                "--srtp is for plain transports: WebRTC transports negotiate their suite",
            ));
        }
        if self.tcp && !is_webrtc {
            return Err(Error::new("--tcp is for WebRTC transports (--transport webrtc)"));
        }
        let webrtc = is_webrtc.then(|| self.webrtc());
        Ok(Ways { srtp: self.srtp, webrtc, tcp: self.tcp, gro: self.gro, network: self.network() })
    }

    /// Refuses what the mode would not look at.
    pub(crate) fn check(&self) -> Result<(), Error> {
        let is_for_media =
            !matches!(self.mode(), Mode::Attack | Mode::Connect | Mode::Scale | Mode::Floor | Mode::List);
        if self.tcp && !is_for_media {
            return Err(Error::new("--tcp is for modes that run a scenario's media"));
        }
        Ok(())
    }

    /// What happens to packets on the way.
    pub(crate) fn network(&self) -> Network {
        self.impair.network(self.network_seed)
    }

    /// For a report.
    pub(crate) fn transport_name(&self) -> &'static str {
        match (self.transport, self.webrtc_server, self.tcp) {
            (MediaTransport::Plain, ..) => "plain",
            (MediaTransport::Webrtc, false, false) => "WebRTC",
            (MediaTransport::Webrtc, true, false) => "WebRTC by a server",
            (MediaTransport::Webrtc, false, true) => "WebRTC over TCP",
            (MediaTransport::Webrtc, true, true) => "WebRTC over TCP by a server",
        }
    }

    /// How WebRTC transports are to be.
    pub(crate) fn webrtc(&self) -> WebRtc {
        let role = match self.dtls_role {
            DtlsRole::Client => Role::Client,
            DtlsRole::Server => Role::Server,
        };
        WebRtc { server: self.webrtc_server, role }
    }

    fn form(&self, video: &mut Video) {
        match self.video {
            Some(VideoForm::Simple) => video.make_simple(),
            Some(VideoForm::Simulcast) => video.make_simulcast(),
            Some(VideoForm::Svc) => video.make_svc(Svc::L3T3),
            Some(VideoForm::KSvc) => video.make_svc(Svc::L3T3Key),
            None => {}
        }
        video.rid |= self.rid;
        if let Some(codec) = self.codec {
            video.codec = codec;
            video.temporal_layers = if video.is_layered() && codec == Codec::Vp8 { 3 } else { 1 };
        }
        video.rtx |= self.rtx;
    }

    /// The scenario with what the command line changes in it.
    pub(crate) fn scenario(&self) -> Result<Scenario, Error> {
        let default = match self.mode() {
            Mode::Soak => "soak",
            Mode::Idle => "one-to-one",
            Mode::Attack => "attack",
            _ => DEFAULT_SCENARIO,
        };
        let name = self.scenario.as_deref().unwrap_or(default);
        let mut scenario = scenario::load(name).map_err(|error| Error::new(error.to_string()))?;
        if let Some(duration) = self.duration {
            scenario.duration_s = duration;
        }
        if let Some(slices) = self.slices {
            scenario.slices = slices;
        }
        // An idle worker is told of with all its shards started: a room for each.
        let rooms = self.routers.or_else(|| self.shards.filter(|_| self.mode() == Mode::Idle));
        if let Some(routers) = rooms {
            scenario.room.count = routers;
        }
        if let Some(video) = &mut scenario.video {
            video.pacing = self.pacing.unwrap_or(video.pacing);
            video.packet_bytes = self.packet_size.unwrap_or(video.packet_bytes);
            self.form(video);
        } else if self.video.is_some() || self.codec.is_some() || self.rtx || self.rid {
            return Err(Error::new("--video, --codec, --rid and --rtx need a scenario with video"));
        }
        if !(self.rate_scale > 0.0 && self.rate_scale <= 1000.0) {
            return Err(Error::new("--rate-scale must be above 0 and at most 1000"));
        }
        scenario.validate().map_err(|reason| Error::new(format!("scenario {}: {reason}", scenario.name)))?;
        Ok(scenario)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    fn parse(arguments: &[&str]) -> Cli {
        Cli::try_parse_from([&["loadtest"], arguments].concat()).unwrap()
    }

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn modes_are_words_or_flags() {
        assert_eq!(parse(&[]).mode(), Mode::Run);
        assert_eq!(parse(&["floor"]).mode(), Mode::Floor);
        assert_eq!(parse(&["--find-max"]).mode(), Mode::FindMax);
        let scale = parse(&["scale", "--routers", "5", "--transports", "2", "--transport-kind", "pipe"]);
        assert_eq!((scale.mode(), scale.routers, scale.transports), (Mode::Scale, Some(5), 2));
        assert_eq!(parse(&["soak"]).scenario().unwrap().name, "soak");
        assert_eq!(parse(&[]).scenario().unwrap().name, DEFAULT_SCENARIO);
        assert_eq!(parse(&["idle", "--shards", "4"]).scenario().unwrap().room.count, 4);
    }

    #[test]
    fn video_is_formed_by_options() {
        let video = |arguments: &[&str]| parse(arguments).scenario().unwrap().video.unwrap();
        let simulcast = video(&["--video", "simulcast", "--codec", "vp8", "--rtx"]);
        assert_eq!((simulcast.encodings().len(), simulcast.temporal_layers, simulcast.rtx), (3, 3, true));
        let simple = video(&["--scenario", "simulcast-vp8-1x50", "--video", "simple"]);
        assert_eq!((simple.encodings().len(), simple.bitrate_kbps), (1, Some(1500.0)));
        assert!(parse(&["--scenario", "audio-room-50", "--video", "simulcast"]).scenario().is_err());
        assert!(video(&["--video", "simulcast", "--codec", "vp8", "--rid"]).rid);
        assert!(parse(&["--rid"]).scenario().is_err(), "one stream is announced");
        let svc = video(&["--video", "k-svc"]);
        assert_eq!((svc.svc, svc.codec, svc.encodings().len()), (Some(Svc::L3T3Key), Codec::Vp9, 1));
        assert_eq!(video(&["--scenario", "cbr-500pps-1x50", "--video", "svc"]).bitrate_kbps, Some(2_150.0));
        assert!(parse(&["--video", "svc", "--codec", "vp8"]).scenario().is_err(), "VP9 alone has layers");
        assert!(parse(&["--video", "simulcast", "--codec", "vp9"]).scenario().is_err());
    }

    #[test]
    fn tcp_is_for_media_of_webrtc_transports() {
        assert!(parse(&["--tcp"]).ways().is_err());
        let cli = parse(&["--tcp", "--transport", "webrtc"]);
        assert!(cli.check().is_ok() && cli.ways().unwrap().tcp);
        assert!(parse(&["connect", "--tcp"]).check().is_err());
    }

    #[test]
    fn options_change_the_scenario_and_are_checked() {
        let scenario =
            parse(&["--duration", "3", "--pacing", "frame", "--routers", "2", "--packet-size", "800"])
                .scenario();
        let scenario = scenario.unwrap();
        let video = scenario.video.unwrap();
        assert_eq!((scenario.duration_s, scenario.room.count), (3.0, 2));
        assert_eq!((video.pacing, video.packet_bytes), (Pacing::Frame, 800));
        assert!(parse(&["--packet-size", "9000"]).scenario().is_err());
        assert!(parse(&["--rate-scale", "0"]).scenario().is_err());
        assert!(Cli::try_parse_from(["loadtest", "--srtp", "ROT13"]).is_err());
        assert!(parse(&["--srtp", "AEAD_AES_128_GCM"]).srtp.is_some());
    }
}
