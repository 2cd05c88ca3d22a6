//! One attack from beginning to end.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use super::attacker::Attacker;
use super::kind::{CALM_WITHIN_S, Kind};
use super::report::{Row, Sight};
use super::turns::{Turn, Turns};
use super::weapons;
use crate::cli::Cli;
use crate::cpu::{self, ThreadTimes};
use crate::dump;
use crate::error::Error;
use crate::harness::Harness;
use crate::impair::Network;
use crate::progress::Progress;
use crate::report::percent_of_core;
use crate::scenario::Scenario;
use crate::session::Ways;

/// An attack that nobody measures: receive buffers, for one, are memory as soon as somebody has used them.
const FIRST: Duration = Duration::from_millis(500);
/// How long the worker is looked at when it should be idle again.
const IDLE: Duration = Duration::from_millis(500);

/// Whether to see what the machine has to do with it: floods of packets do what a flood that goes nowhere does too.
const fn has_pretence(kind: Kind) -> bool {
    !matches!(kind, Kind::Handshakes | Kind::IdleTcp)
}

pub(super) fn run(
    kind: Kind,
    cli: &Cli,
    scenario: &Scenario,
    stop: &Arc<AtomicBool>,
    progress: &Progress,
) -> Result<Row, Error> {
    let mut figures = kind.figures(cli.webrtc_server);
    figures.pace = cli.rate.unwrap_or(figures.pace);
    let stage = |what: &str| progress.stage(&format!("{} {}: {what}", kind.row(), kind.name()));
    stage("starting a worker");
    let ways =
        Ways { srtp: None, webrtc: Some(cli.webrtc()), tcp: false, gro: false, network: Network::default() };
    let mut harness = Harness::start_with(cli, scenario, &ways, stop)?;
    harness.warm_up(Duration::from_secs_f64(scenario.warmup_s), progress)?;
    let storm = weapons::storm(kind, cli, &harness, figures.pace)?;
    let weapon = weapons::weapon(kind, &harness, storm.as_ref())?;
    let attacker = weapon.map(|weapon| Attacker::start(weapon, figures.pace)).transpose()?;
    let channel = harness.channel();
    let mut turns = Turns {
        kind,
        harness: &mut harness,
        attacker: attacker.as_ref(),
        storm: storm.as_ref(),
        progress,
        rooms: usize::try_from(scenario.room.count).unwrap_or(1),
        all_attacked: cli.webrtc_server,
    };
    // A crowd that has come stays, so it comes once.
    if kind != Kind::IdleTcp {
        turns.take(Turn::Attack, FIRST, &mut None)?;
    }
    let (held, news) = (dump::held(&channel)?, channel.notifications());
    let resident = |turns: &Turns<'_>| {
        cpu::resident_bytes(turns.harness.worker_pid()).map_err(Error::io("reading the worker's memory"))
    };
    let (mut resident_before, lines_before) = (0, channel.log_lines());
    let (mut calm, mut pretence, mut attack) = (None, None, None);
    let duration = Duration::from_secs_f64(scenario.duration_s / f64::from(scenario.slices));
    for turn in 1..=scenario.slices {
        let of = scenario.slices;
        stage(&format!("without, turn {turn} of {of}"));
        turns.take(Turn::Calm, duration, &mut calm)?;
        if has_pretence(kind) {
            stage(&format!("in pretence, turn {turn} of {of}"));
            turns.take(Turn::Pretence, duration, &mut pretence)?;
        }
        if turn == 1 {
            // By now media has filled what it keeps to send again.
            resident_before = resident(&turns)?;
        }
        stage(&format!("with, turn {turn} of {of}"));
        turns.take(Turn::Attack, duration, &mut attack)?;
    }
    let resident_after = resident(&turns)?;
    let idle_core_percent = is_idle(turns.harness.worker_pid())?;
    let lines = channel.log_lines() - lines_before;
    let sight = Sight {
        calm: calm.ok_or_else(|| Error::new("nothing was measured"))?,
        pretence,
        attack: attack.ok_or_else(|| Error::new("nothing was measured"))?,
        resident: (resident_before, resident_after),
        lines,
        held: (held, dump::held(&channel)?),
        news: (news, channel.notifications()),
        idle_core_percent,
    };
    attacker.map_or(Ok(()), Attacker::finish)?;
    storm.map_or(Ok(()), |storm| storm.finish().map(drop))?;
    harness.finish()?;
    Ok(Row::of(kind, figures, &sight))
}

/// What the worker uses when an attack is over, in percent of a core.
fn is_idle(pid: u32) -> Result<f64, Error> {
    std::thread::sleep(Duration::from_secs_f64(CALM_WITHIN_S));
    let times = || ThreadTimes::read(pid).map_err(Error::io("reading the worker's CPU time"));
    let (before, begun) = (times()?, Instant::now());
    std::thread::sleep(IDLE);
    Ok(percent_of_core(times()?.since(&before).total_ns(), begun.elapsed().as_secs_f64()))
}
