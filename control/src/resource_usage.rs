//! What the process has used so far, as `worker.getResourceUsage` tells it.

use nix::sys::resource::{Usage, UsageWho, getrusage};
use nix::sys::time::TimeVal;

use crate::message::ResourceUsage;

/// # Errors
/// The kernel's.
pub fn measure() -> nix::Result<ResourceUsage> {
    getrusage(UsageWho::RUSAGE_SELF).map(|usage| convert(&usage))
}

fn convert(usage: &Usage) -> ResourceUsage {
    ResourceUsage {
        ru_utime: milliseconds(usage.user_time()),
        ru_stime: milliseconds(usage.system_time()),
        ru_maxrss: count(usage.max_rss()),
        ru_ixrss: count(usage.shared_integral()),
        ru_idrss: count(usage.unshared_data_integral()),
        ru_isrss: count(usage.unshared_stack_integral()),
        ru_minflt: count(usage.minor_page_faults()),
        ru_majflt: count(usage.major_page_faults()),
        ru_nswap: count(usage.full_swaps()),
        ru_inblock: count(usage.block_reads()),
        ru_oublock: count(usage.block_writes()),
        ru_msgsnd: count(usage.ipc_sends()),
        ru_msgrcv: count(usage.ipc_receives()),
        ru_nsignals: count(usage.signals()),
        ru_nvcsw: count(usage.voluntary_context_switches()),
        ru_nivcsw: count(usage.involuntary_context_switches()),
    }
}

fn milliseconds(time: TimeVal) -> u64 {
    count(time.tv_sec()) * 1000 + count(time.tv_usec()) / 1000
}

/// The kernel's counters are signed and never negative.
fn count(value: i64) -> u64 {
    u64::try_from(value).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_that_runs_has_used_memory() {
        assert!(measure().unwrap().ru_maxrss > 0);
    }
}
