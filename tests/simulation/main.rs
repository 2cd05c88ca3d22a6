//! Shards under simulated networks, in virtual time, from a seed.
//!
//! Three simulations: `simulation`, one shard's RTP spine against a model that knows of every packet what must become of it;
//! `stage`, one publisher in layers, one shard and receivers that decode; and `world`, whole workers with their controllers,
//! pipes, joins and leaves, against what receivers can make of it.
//!
//! `SIM_SEED=7` runs one seed, `SIM_SEEDS=5000` that many (nightly); without either a bounded set runs. A failing run
//! names its seed first, and that seed fails the same way again.

#[path = "../../shards/sfu/tests/common/mod.rs"]
mod common;

mod consumer;
#[allow(dead_code, reason = "not every kind of media is in the world yet")]
mod media;
mod network;
mod profile;
mod publisher;
mod simulation;
mod stage;
mod world;

use std::time::Duration;

use profile::Profile;
use simulation::{Simulation, Summary};

/// Seeds of a plain `cargo test`: a few seconds unoptimised.
const SEEDS: u64 = 24;
const WORLDS: u64 = 24;
/// Seconds of the long run, half of them before the wrap.
const LONG_S: u64 = 7_200;
/// Pictures of a source within half of the long run are 180; of the lowest of three layers, a quarter of those.
const LONG_DECODED: u64 = 30;
/// Each runs twice.
const PAIRS: u64 = 4;

fn number(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name} is not a number: {text}")))
}

fn run(profile: Profile) -> Summary {
    eprintln!("SIM_SEED={} {profile:?}", profile.seed);
    Simulation::new(profile).run()
}

#[test]
fn every_packet_is_accounted_for_whatever_the_network_does() {
    let seeds = seeds(SEEDS);
    let mut total = Summary::default();
    let count = seeds.end - seeds.start;
    for seed in seeds {
        total.add(&run(Profile::from_seed(seed)));
    }
    eprintln!("{count} seeds: {total:?}");
    assert!(total.forwarded > 0);
    if count > 10 {
        total.assert_rich();
    }
}

#[test]
fn hours_of_a_slow_room_cross_every_wrap() {
    let hours = number("SIM_HOURS").unwrap_or(3);
    let summary = run(Profile::slow(1, hours));
    eprintln!("{summary:?}");
    assert!(summary.simulated_ms >= hours * 3_600_000);
    assert!(summary.timestamp_wraps > 0);
}

#[test]
fn a_fast_stream_wraps_its_sequence_numbers_more_than_once() {
    let summary = run(Profile::fast(2));
    assert!(summary.sequence_wraps >= 2, "{summary:?}");
}

fn seeds(default: u64) -> std::ops::Range<u64> {
    match (number("SIM_SEED"), number("SIM_SEEDS")) {
        (Some(seed), _) => seed..seed + 1,
        (None, Some(count)) => 0..count,
        (None, None) => 0..default,
    }
}

/// Runs every seed, also behind one that fails.
///
/// # Panics
/// In the end, with the seeds that failed.
fn every_seed(default: u64, mut run: impl FnMut(u64)) {
    let failed = seeds(default).filter(|seed| {
        eprintln!("SIM_SEED={seed}");
        let run = std::panic::AssertUnwindSafe(|| run(*seed));
        std::panic::catch_unwind(run).is_err()
    });
    let failed: Vec<_> = failed.collect();
    assert!(failed.is_empty(), "{} seeds failed: {failed:?}", failed.len());
}

#[test]
fn a_world_serves_everybody_whatever_happens() {
    let mut total = world::Summary::default();
    every_seed(WORLDS, |seed| total += world::World::new(world::Scenario::from_seed(seed)).run().0);
    eprintln!("{total:?}");
    if seeds(WORLDS).count() > 10 {
        total.assert_rich();
    }
}

/// Of the oracle itself: frames that came once do not excuse whoever gets no more.
#[test]
#[should_panic(expected = "has got no frame")]
fn a_world_that_freezes_after_its_first_frames_is_refused() {
    let freezes = Some(Duration::from_millis(500));
    let scenario = world::Scenario { freezes, ..world::Scenario::steady(0, 2) };
    world::World::new(scenario).run();
}

#[test]
fn days_of_a_quiet_world_cross_every_wrap_of_milliseconds() {
    let days = number("SIM_DAYS").map(|days| Duration::from_secs(days * 86_400));
    let lasts = days.unwrap_or(Duration::from_secs(LONG_S));
    let (summary, _) = world::World::new(world::Scenario::long(1, lasts)).run();
    eprintln!("{summary:?}");
    assert!(u128::from(summary.simulated_ms) >= lasts.as_millis());
    assert!(
        summary.least_decoded_since > LONG_DECODED,
        "behind the wrap somebody is left alone: {summary:?}"
    );
}

#[test]
fn one_shard_and_three_serve_the_same() {
    every_seed(PAIRS, is_served_the_same);
}

/// A stream began anew just before a switch: one run was told its new clock by then, the other takes the time between arrivals.
#[test]
fn streams_that_began_anew_are_shown_alike_by_one_shard_and_by_three() {
    is_served_the_same(41);
}

/// The new stream's first frame comes where the last one was, a few ticks before it or behind it.
#[test]
fn a_switch_at_the_last_frame_is_shown_a_frame_apart_at_most() {
    is_served_the_same(48);
}

fn is_served_the_same(seed: u64) {
    let [one, three] = [1, 3].map(|shards| world::World::new(world::Scenario::steady(seed, shards)).run());
    assert!(three.0.decoded > 0 && one.0.passed > 0);
    assert_eq!(one.1.len(), three.1.len());
    let alignment = if one.0.restarts > 0 { world::Alignment::Guessed } else { world::Alignment::Told };
    for (receiver, (one, three)) in one.1.iter().zip(&three.1).enumerate() {
        let differ = one.iter().zip(three).position(|(one, three)| !one.is_as(three, alignment));
        let differ = differ.map(|place| (place, &one[place], &three[place]));
        assert!(differ.is_none(), "receiver {receiver}: {differ:?}");
        assert_eq!(one.len(), three.len(), "receiver {receiver}");
    }
}

#[test]
fn a_seed_repeats_itself() {
    let first = Simulation::new(Profile::from_seed(3)).run();
    let again = Simulation::new(Profile::from_seed(3)).run();
    assert_eq!(first, again);
}

/// Every seed of one cast.
fn stages(cast: &str, default: u64) {
    let mut total = stage::Outcome::default();
    every_seed(default, |seed| {
        let scene = stage::Scene::from_seed(cast, seed);
        eprintln!("{scene:?}");
        let outcome = stage::Stage::new(scene).run();
        eprintln!("  {outcome:?}");
        total.add(&outcome);
    });
    eprintln!("{cast}: {total:?}");
    assert!(total.decoded > 0);
}

#[test]
fn vp8_in_temporal_layers_is_decodable() {
    stages("vp8", 4);
}

#[test]
fn vp9_in_layers_is_decodable() {
    stages("vp9", 8);
}

#[test]
fn vp8_simulcast_is_decodable() {
    stages("vp8 simulcast", 8);
}

#[test]
fn h264_in_temporal_layers_is_decodable() {
    stages("h264", 4);
}

#[test]
fn h264_simulcast_is_decodable() {
    stages("h264 simulcast", 8);
}

#[test]
fn av1_in_layers_is_decodable() {
    stages("av1", 8);
}

/// A seed that found something.
fn found(cast: &str, seed: u64) {
    let scene = stage::Scene::from_seed(cast, seed);
    eprintln!("SIM_SEED={seed} {scene:?}");
    assert!(stage::Stage::new(scene).run().decoded > 0);
}

/// Every packet out of order, and nothing lost: its score fell to nothing, and its receivers got nothing any more.
#[test]
fn a_sender_without_rtx_whose_packets_come_out_of_order_is_served() {
    found("av1", 168);
    found("av1", 537);
}

/// Packets before the first structure, sent again without the marker and the mask they had.
#[test]
fn packets_before_the_first_structure_come_again_as_they_were() {
    found("av1", 144);
    found("av1", 386);
}

/// A layer that comes back, and the mask that says so behind its first frame.
#[test]
fn a_mask_that_comes_behind_the_layer_it_revives_kills_nobody() {
    found("av1", 87);
}

/// A layer that comes back with a frame whose last packets come first.
#[test]
fn a_layer_that_comes_back_out_of_order_is_alive_from_its_first_packet_on() {
    found("av1", 229);
    found("av1", 416);
}
