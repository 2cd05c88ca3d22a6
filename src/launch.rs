//! From settings and environment to a running worker: which core runs what.

use std::ffi::OsString;
use std::thread::available_parallelism;

use nix::sched::{CpuSet, sched_getaffinity};
use nix::unistd::Pid;
use ringsoup_control::channel::fds;
use ringsoup_control::run::{WorkerConfig, run};
use ringsoup_control::shards::{COALESCE_DEFAULT, ShardSettings};

use crate::args::{self, Invocation, Settings, SettingsError};
use crate::controller_version;
use crate::exit_code::Exit;
use crate::help;
use crate::limits;
use crate::shard_env::ShardEnv;
use crate::stderr;

/// The whole process. `words` are the arguments after the program's name.
pub(crate) fn launch(words: &[OsString]) -> Exit {
    let invocation = args::parse(words);
    match invocation {
        Ok(Invocation::Help) => return help::print(help::HELP),
        Ok(Invocation::Version) => return help::print(help::VERSION),
        _ => {}
    }
    let version = std::env::var("MEDIASOUP_VERSION").ok();
    if let Err(text) = controller_version::check(version.as_deref()) {
        stderr::line("launch()", &text);
        return Exit::Version;
    }
    let config = match invocation.and_then(|invocation| worker_config(invocation, version)) {
        Ok(config) => config,
        Err(SettingsError(text)) => {
            stderr::line("launch()", &format!("settings error: {text}"));
            return Exit::Settings;
        }
    };
    if let Some(text) = controller_version::warning(&config.controller_version) {
        stderr::line("launch()", &text);
    }
    limits::lift();
    quiet_contained_panics();
    // Nothing that stays open may be opened before: a controller that gave no fd 3 must not get somebody
    // else's descriptor for its channel.
    let has_payload_channel = controller_version::has_payload_channel(&config.controller_version);
    let outcome = fds::take(has_payload_channel).map_err(|error| error.to_string());
    match outcome.and_then(|fds| run(fds, &config).map_err(|error| error.to_string())) {
        Ok(()) => Exit::Closed,
        Err(text) => {
            stderr::line("launch()", &text);
            Exit::StartFailed
        }
    }
}

/// Panics on shards are contained and told on the channel; standard error is kept for what ends the worker.
fn quiet_contained_panics() {
    let loud = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        let is_shard = std::thread::current().name().is_some_and(|name| name.starts_with("shard-"));
        if !is_shard {
            loud(info);
        }
    }));
}

fn worker_config(invocation: Invocation, version: Option<String>) -> Result<WorkerConfig, SettingsError> {
    let Invocation::Run(settings) = invocation else {
        return Err(SettingsError("nothing to run".into()));
    };
    let env = ShardEnv::read(|name| std::env::var(name).ok(), cpu_is_usable)?;
    let Settings { log, rtc_ports, dtls_files, without_effect } = settings;
    let count = env.count.unwrap_or_else(|| default_shards(&env.cpus));
    let shards = ShardSettings {
        count,
        cpus: env.cpus,
        coalesce: env.coalesce.unwrap_or(COALESCE_DEFAULT),
        rtc_ports,
    };
    Ok(WorkerConfig {
        controller_version: version.unwrap_or_default(),
        log,
        dtls_files,
        without_effect,
        shards,
    })
}

/// One per CPU to pin to, else one per CPU that affinity and cgroup quota leave to this process.
fn default_shards(cpus: &[usize]) -> u16 {
    let count = if cpus.is_empty() { available_parallelism().map_or(1, usize::from) } else { cpus.len() };
    u16::try_from(count).unwrap_or(u16::MAX).min(crate::shard_env::SHARDS_MAX)
}

/// Taken as usable when the kernel does not tell: pinning then fails with its own reason.
fn cpu_is_usable(cpu: usize) -> bool {
    sched_getaffinity(Pid::from_raw(0)).and_then(|set: CpuSet| set.is_set(cpu)).unwrap_or(true)
}
