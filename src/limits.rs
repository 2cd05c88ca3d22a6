//! Resource limits: a media server needs a socket per transport and ring memory per shard, and inherits soft
//! limits that were made for interactive shells.

use nix::sys::resource::{Resource, getrlimit, setrlimit};

/// Lifts what the administrator allows: the soft limits of descriptors and locked memory to the hard ones.
/// Where that fails, what is there must do; the request that runs out of it is answered with an error.
pub(crate) fn lift() {
    for resource in [Resource::RLIMIT_NOFILE, Resource::RLIMIT_MEMLOCK] {
        if let Ok((soft, hard)) = getrlimit(resource)
            && soft < hard
        {
            let _ = setrlimit(resource, hard, hard);
        }
    }
}
