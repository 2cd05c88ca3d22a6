//! Observers hear what producers send, and say who is loud and who dominates.

use ringsoup_rtc::rtp::RtpWriter;
use ringsoup_rtc::rtp::extension::AudioLevel;
use ringsoup_sfu::command::{
    ActiveSpeakerObserverOptions, AudioLevelObserverOptions, Command, CommandError, ErrorClass,
    ObserverCommand, ProducerCommand, TransportCommand,
};
use ringsoup_sfu::event::Event;
use ringsoup_sfu::reply::{Reply, RouterDump};

use crate::common::packets::SPEECH;
use crate::common::parameters::{LEVEL_ID, OPUS, produce_audio, produce_video};
use crate::common::{Peer, ROUTER, World};

/// Packets come as Opus does, ms.
const PACKET_MS: u64 = 20;
const QUIET: u8 = 100;
const LOUD: u8 = 25;

/// Three people who say something every 20 ms, each on a transport of its own.
struct Meeting {
    world: World,
    peers: Vec<Peer>,
    seq: u16,
}

const NAMES: [&str; 3] = ["ann", "ben", "cleo"];

fn ssrc(person: usize) -> u32 {
    1_000 + u32::try_from(person).expect("three people")
}

impl Meeting {
    fn new() -> Self {
        let mut world = World::new();
        let mut peers = Vec::new();
        for (person, name) in NAMES.into_iter().enumerate() {
            peers.push(world.plain(&format!("{name}'s transport")));
            world.produce(&peers[person].name, produce_audio(name, ssrc(person), 5_000 + ssrc(person)));
        }
        world.produce(&peers[0].name.clone(), produce_video("video", 2_000, None, 6_000));
        Self { world, peers, seq: 0 }
    }

    fn active_speaker(&mut self, interval_ms: u16) {
        let options = ActiveSpeakerObserverOptions { interval_ms };
        let (router, observer) = (ROUTER.into(), "observer".into());
        self.world.command(Command::CreateActiveSpeakerObserver { router, observer, options });
    }

    fn audio_level(&mut self, options: AudioLevelObserverOptions) {
        let (router, observer) = (ROUTER.into(), "observer".into());
        self.world.command(Command::CreateAudioLevelObserver { router, observer, options });
    }

    fn try_observer(&mut self, command: ObserverCommand) -> Result<Reply, CommandError> {
        self.world.try_command(Command::Observer { observer: "observer".into(), command })
    }

    fn add(&mut self, name: &str) {
        self.try_observer(ObserverCommand::AddProducer { producer: name.into() }).expect("added");
    }

    fn remove(&mut self, name: &str) {
        self.try_observer(ObserverCommand::RemoveProducer { producer: name.into() }).expect("removed");
    }

    fn add_all(&mut self) {
        for name in NAMES {
            self.add(name);
        }
    }

    /// Lets people speak at these levels (-dBov), or not at all, and returns what the observer told.
    fn speak(&mut self, ms: u64, levels: [Option<u8>; 3]) -> Vec<String> {
        for _ in 0..ms / PACKET_MS {
            self.seq += 1;
            for (person, level) in levels.into_iter().enumerate() {
                let Some(level) = level else { continue };
                let value = AudioLevel { voice: true, level }.encode();
                let packet = RtpWriter::new(OPUS, self.seq, u32::from(self.seq) * 960, ssrc(person));
                let packet = packet.extension(LEVEL_ID, &value).payload(SPEECH).to_vec().expect("no CSRCs");
                let peer = self.peers[person].clone();
                self.world.from(&peer, &packet);
            }
            self.world.advance_ms(PACKET_MS);
        }
        self.told()
    }

    fn told(&mut self) -> Vec<String> {
        let word = |event: Event| match event {
            Event::ActiveSpeakerObserverDominantSpeaker { producer, .. } => {
                Some(format!("{producer} speaks"))
            }
            Event::AudioLevelObserverSilence { .. } => Some("silence".into()),
            Event::AudioLevelObserverVolumes { volumes, .. } => {
                let volumes = volumes.iter().map(|(producer, volume)| format!("{producer} {volume}"));
                Some(volumes.collect::<Vec<_>>().join(", "))
            }
            _ => None,
        };
        self.world.take_events().into_iter().filter_map(word).collect()
    }

    fn dump(&mut self) -> RouterDump {
        match self.world.command(Command::DumpRouter { router: ROUTER.into() }) {
            Reply::RouterDump(dump) => *dump,
            other => panic!("not a dump: {other:?}"),
        }
    }
}

fn options(max_entries: u16, threshold: i8, interval_ms: u16) -> AudioLevelObserverOptions {
    AudioLevelObserverOptions { max_entries, threshold, interval_ms }
}

#[test]
fn volumes_come_once_an_interval_and_silence_once() {
    let mut meeting = Meeting::new();
    meeting.audio_level(options(2, -80, 1_000));
    meeting.add_all();
    assert_eq!(meeting.speak(1_000, [Some(40), Some(30), Some(35)]), ["ben -30, cleo -35"]);
    assert_eq!(meeting.speak(2_000, [Some(40), Some(90), None]), ["ann -40", "ann -40"]);
    assert_eq!(meeting.speak(3_000, [Some(90), Some(81), None]), ["silence"]);
    assert_eq!(meeting.speak(1_000, [Some(80), None, None]), ["ann -80"]);
}

#[test]
fn only_added_producers_are_heard_and_removed_ones_no_more() {
    let mut meeting = Meeting::new();
    meeting.audio_level(options(8, -127, 500));
    assert!(meeting.speak(1_000, [Some(1), Some(2), Some(3)]).is_empty());
    meeting.add("ben");
    meeting.add("ben");
    assert_eq!(meeting.speak(500, [Some(1), Some(2), Some(3)]), ["ben -2"]);
    meeting.add("cleo");
    meeting.remove("ben");
    meeting.remove("ben");
    assert_eq!(meeting.speak(500, [Some(1), Some(2), Some(3)]), ["cleo -3"]);
}

#[test]
fn a_paused_producer_is_silent_and_what_it_said_is_forgotten() {
    let mut meeting = Meeting::new();
    meeting.audio_level(options(8, -127, 1_000));
    meeting.add("ann");
    assert_eq!(meeting.speak(1_000, [Some(5), None, None]), ["ann -5"]);
    assert!(meeting.speak(900, [Some(5), None, None]).is_empty());
    meeting.world.producer("ann", ProducerCommand::Pause);
    meeting.world.producer("ann", ProducerCommand::Resume);
    assert_eq!(meeting.speak(100, [Some(5), None, None]), ["silence"], "five packets since are too few");
}

#[test]
fn a_paused_observer_falls_silent_and_starts_a_whole_interval_later() {
    let mut meeting = Meeting::new();
    meeting.audio_level(options(8, -127, 1_000));
    meeting.add("ann");
    meeting.try_observer(ObserverCommand::Resume).expect("nothing to do");
    assert_eq!(meeting.speak(1_000, [Some(5), None, None]), ["ann -5"]);
    meeting.speak(900, [Some(5), None, None]);
    meeting.try_observer(ObserverCommand::Pause).expect("accepted");
    meeting.try_observer(ObserverCommand::Pause).expect("nothing to do");
    assert_eq!(meeting.told(), ["silence"]);
    assert!(meeting.speak(3_000, [Some(5), None, None]).is_empty());
    meeting.try_observer(ObserverCommand::Resume).expect("accepted");
    assert!(meeting.speak(980, [Some(7), None, None]).is_empty());
    assert_eq!(meeting.speak(20, [Some(7), None, None]), ["ann -7"]);
    meeting.try_observer(ObserverCommand::Pause).expect("accepted");
    meeting.told();
    meeting.try_observer(ObserverCommand::Resume).expect("accepted");
    meeting.try_observer(ObserverCommand::Pause).expect("accepted");
    assert!(meeting.told().is_empty(), "it was silent already");
}

#[test]
fn intervals_are_taken_into_their_range() {
    for (asked, works) in [(0, 250), (249, 250), (250, 250), (5_001, 5_000), (u16::MAX, 5_000)] {
        let mut meeting = Meeting::new();
        meeting.audio_level(options(8, -127, asked));
        meeting.add("ann");
        let passed = works / PACKET_MS * PACKET_MS;
        assert!(meeting.speak(passed - PACKET_MS, [Some(5), None, None]).is_empty(), "{asked}");
        assert_eq!(meeting.speak(2 * PACKET_MS, [Some(5), None, None]), ["ann -5"], "{asked}");
    }
    for (asked, works) in [(0, 100), (99, 100), (5_001, 5_000)] {
        let mut meeting = Meeting::new();
        meeting.active_speaker(asked);
        meeting.add("ann");
        assert!(meeting.speak(works - PACKET_MS, [None; 3]).is_empty(), "{asked}");
        assert_eq!(meeting.speak(PACKET_MS, [None; 3]), ["ann speaks"], "{asked}");
    }
}

#[test]
fn the_dominant_speaker_is_told_when_it_changes() {
    let mut meeting = Meeting::new();
    meeting.active_speaker(300);
    meeting.add_all();
    assert_eq!(meeting.speak(1_200, [Some(QUIET); 3]), ["ann speaks"]);
    assert_eq!(meeting.speak(1_200, [Some(QUIET), Some(LOUD), Some(QUIET)]), ["ben speaks"]);
    assert!(meeting.speak(1_200, [Some(QUIET); 3]).is_empty());
    assert_eq!(meeting.speak(1_200, [Some(QUIET), Some(QUIET), Some(LOUD)]), ["cleo speaks"]);
}

#[test]
fn a_dominant_speaker_that_goes_is_replaced_before_the_reply() {
    let mut meeting = Meeting::new();
    meeting.active_speaker(300);
    meeting.add_all();
    meeting.speak(1_200, [Some(QUIET); 3]);
    meeting.speak(1_200, [Some(QUIET), Some(LOUD), Some(QUIET)]);
    let producer = "ben".into();
    meeting.world.transport("ben's transport", TransportCommand::CloseProducer { producer });
    assert_eq!(meeting.told(), ["ann speaks"]);
    meeting.remove("ann");
    assert_eq!(meeting.told(), ["cleo speaks"]);
    meeting.world.close_transport("cleo's transport");
    assert!(meeting.told().is_empty());
    assert!(meeting.speak(1_200, [Some(LOUD), None, None]).is_empty());
}

#[test]
fn members_keep_their_seats_when_others_leave() {
    let mut meeting = Meeting::new();
    meeting.audio_level(options(8, -127, 500));
    meeting.add_all();
    meeting.remove("ann");
    assert_eq!(meeting.speak(500, [Some(1), Some(2), Some(3)]), ["ben -2, cleo -3"]);
    meeting.remove("cleo");
    meeting.add("ann");
    assert_eq!(meeting.speak(500, [Some(1), Some(2), Some(3)]), ["ann -1, ben -2"]);
}

#[test]
fn packets_without_a_level_and_of_unknown_types_are_not_heard() {
    let mut meeting = Meeting::new();
    meeting.audio_level(options(8, -127, 500));
    meeting.add("ann");
    let peer = meeting.peers[0].clone();
    for seq in 0..20 {
        let bare = RtpWriter::new(OPUS, seq, u32::from(seq) * 960, ssrc(0)).payload(SPEECH);
        meeting.world.from(&peer, &bare.to_vec().expect("no CSRCs"));
        let foreign = RtpWriter::new(77, 1_000 + seq, 0, ssrc(0)).extension(LEVEL_ID, &[1]).payload(SPEECH);
        meeting.world.from(&peer, &foreign.to_vec().expect("no CSRCs"));
    }
    meeting.world.advance_ms(500);
    assert!(meeting.told().is_empty());
}

fn refusal(result: Result<Reply, CommandError>) -> (ErrorClass, String) {
    let error = result.expect_err("refused");
    (error.class, error.reason)
}

#[test]
fn producers_are_checked_in_the_words_of_the_original() {
    let mut meeting = Meeting::new();
    meeting.world.command(Command::CreateRouter { router: "elsewhere".into() });
    meeting.active_speaker(300);
    let add = |producer: &str| ObserverCommand::AddProducer { producer: producer.into() };
    let not_found = (ErrorClass::NotFound, "Producer not found".to_owned());
    assert_eq!(refusal(meeting.try_observer(add("nobody"))), not_found);
    assert_eq!(
        refusal(meeting.try_observer(ObserverCommand::RemoveProducer { producer: "nobody".into() })),
        not_found
    );
    let video = refusal(meeting.try_observer(add("video")));
    assert_eq!(video, (ErrorClass::TypeError, "not an audio Producer".into()));
    meeting.add("ann");
    assert_eq!(
        refusal(meeting.try_observer(add("ann"))),
        (ErrorClass::Error, "Producer already in map".into())
    );
    let (router, observer) = ("elsewhere".into(), "other".into());
    let options = options(8, -127, 500);
    meeting.world.command(Command::CreateAudioLevelObserver { router, observer, options });
    let foreign = Command::Observer { observer: "other".into(), command: add("ann") };
    assert_eq!(refusal(meeting.world.try_command(foreign)), not_found);
    let (router, observer) = (ROUTER.into(), "observer".into());
    let create = Command::CreateAudioLevelObserver { router, observer, options };
    let taken = "Channel request handler with ID observer already exists";
    assert_eq!(refusal(meeting.world.try_command(create)), (ErrorClass::Error, taken.into()));
    let (router, observer) = (ROUTER.into(), "other".into());
    let close = Command::CloseObserver { router, observer };
    let reason = "RtpObserver not found [method:router.closeRtpObserver]";
    assert_eq!(refusal(meeting.world.try_command(close)), (ErrorClass::NotFound, reason.into()));
}

#[test]
fn dumps_show_observers_and_who_is_observed() {
    let mut meeting = Meeting::new();
    meeting.active_speaker(300);
    meeting.add("ben");
    let dump = meeting.dump();
    assert_eq!(dump.rtp_observers, ["observer".into()]);
    let observed = |dump: &RouterDump| -> Vec<(String, usize)> {
        dump.observers_of_producer.iter().map(|(name, by)| (name.to_string(), by.len())).collect()
    };
    let expected = [("ann", 0), ("video", 0), ("ben", 1), ("cleo", 0)];
    assert_eq!(observed(&dump), expected.map(|(name, count)| (name.to_owned(), count)));
    meeting.world.command(Command::CloseObserver { router: ROUTER.into(), observer: "observer".into() });
    let dump = meeting.dump();
    assert!(dump.rtp_observers.is_empty());
    assert!(observed(&dump).iter().all(|(_, count)| *count == 0), "producers stay listed");
    assert!(meeting.speak(1_000, [Some(LOUD); 3]).is_empty());
}

#[test]
fn nothing_is_left_of_an_observer_or_its_router() {
    let mut meeting = Meeting::new();
    meeting.active_speaker(300);
    meeting.add_all();
    meeting.speak(1_200, [Some(LOUD); 3]);
    meeting.world.command(Command::CloseRouter { router: ROUTER.into() });
    assert!(meeting.told().is_empty(), "who closes a router knows what was on it");
    let command = Command::Observer { observer: "observer".into(), command: ObserverCommand::Pause };
    assert_eq!(refusal(meeting.world.try_command(command)).0, ErrorClass::NotFound);
    meeting.world.advance_ms(6_000);
    assert_eq!(meeting.world.sfu.timer_count(), 0);
}
