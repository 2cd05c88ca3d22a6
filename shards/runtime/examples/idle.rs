//! What started shards cost while nothing happens: CPU of the process and how often it was woken.
//!
//! `cargo run --release -p ringsoup-runtime --example idle -- [shards] [seconds]`

use std::sync::Arc;
use std::time::Duration;

use ringsoup_rtc::dtls::{Certificate, NoHandshakes};
use ringsoup_runtime::shard::COALESCE_DEFAULT;
use ringsoup_runtime::{Clock, Mesh, PortBook, ShardConfig, ShardHandle};
use ringsoup_sfu::rules::Rules;
use ringsoup_sfu::sfu::SfuConfig;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1).filter_map(|argument| argument.parse::<u32>().ok());
    let count = arguments.next().unwrap_or(4);
    let seconds = arguments.next().unwrap_or(5);
    let clock = Clock::start();
    let mesh = Mesh::new(count as usize);
    let mut shards = Vec::new();
    for index in 0..count as usize {
        let sfu = SfuConfig {
            seed: 1,
            unix_origin_us: clock.unix_origin_us(),
            rtc_ports: (10_000, 59_999),
            certificate: Arc::new(Certificate::new(Vec::new(), Vec::new())),
            dtls: Arc::new(NoHandshakes),
            rules: Rules::NEWEST,
        };
        let config = ShardConfig {
            index,
            cpu: None,
            sfu,
            clock,
            coalesce: COALESCE_DEFAULT,
            mesh: Arc::clone(&mesh),
            ports: PortBook::default(),
        };
        shards.push(ShardHandle::start(config, Box::new(|| ()))?);
    }
    // glommio's own timer fires once after the start.
    std::thread::sleep(Duration::from_secs(1));
    let (cpu_before, wakes_before) = usage();
    std::thread::sleep(Duration::from_secs(seconds.into()));
    let (cpu, wakes) = usage();
    let used = cpu.saturating_sub(cpu_before);
    let share = used.as_secs_f64() / f64::from(seconds) * 100.0;
    println!(
        "{count} idle shards: {used:?} in {seconds} s, {share:.4} % of a core, {} wakes",
        wakes - wakes_before
    );
    Ok(())
}

/// CPU time and voluntary context switches of this process.
fn usage() -> (Duration, i64) {
    // SAFETY: all zeroes is a valid rusage.
    let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
    // SAFETY: the pointer is to a live rusage.
    unsafe { libc::getrusage(libc::RUSAGE_SELF, &raw mut usage) };
    let time = |time: libc::timeval| {
        Duration::from_secs(u64::try_from(time.tv_sec).unwrap_or(0))
            + Duration::from_micros(u64::try_from(time.tv_usec).unwrap_or(0))
    };
    (time(usage.ru_utime) + time(usage.ru_stime), usage.ru_nvcsw)
}
