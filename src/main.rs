//! The worker's process: arguments, environment, launch and exit codes. Everything else is `control`'s.

mod args;
mod controller_version;
mod exit_code;
mod getopt;
mod help;
mod launch;
mod limits;
mod shard_env;
mod stderr;

use std::ffi::OsString;
use std::process::ExitCode;

fn main() -> ExitCode {
    let words: Vec<OsString> = std::env::args_os().skip(1).collect();
    launch::launch(&words).into()
}
