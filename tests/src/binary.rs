//! Which binary the tests drive.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

const BINARY: &str = "ringsoup-worker";

/// `$MEDIASOUP_WORKER_BIN`, or ours: built once per test process, with the
/// profile and into the target folder of the running test. Cargo builds a
/// package's own binaries for its tests, but not another package's.
pub fn worker_binary() -> &'static Path {
    static PATH: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    let path = PATH.get_or_init(|| match std::env::var_os("MEDIASOUP_WORKER_BIN") {
        Some(path) => {
            PathBuf::from(path).canonicalize().map_err(|error| format!("MEDIASOUP_WORKER_BIN: {error}"))
        }
        None => build(),
    });
    // A build that failed is not tried again by every test.
    path.as_ref().expect("there is a worker to drive")
}

fn build() -> Result<PathBuf, String> {
    // TARGET/PROFILE/deps/channel-0123456789abcdef
    let test = std::env::current_exe().expect("a running test has a path");
    let profile_dir = test.ancestors().nth(2).expect("a test lies two folders below its target folder");
    let target_dir = profile_dir.parent().expect("a profile lies in a target folder");
    let profile = match profile_dir.file_name().and_then(|name| name.to_str()) {
        Some("debug") | None => "dev",
        Some(profile) => profile,
    };
    let workspace =
        Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("this package lies in the workspace");
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let status = Command::new(cargo)
        .current_dir(workspace)
        .args(["build", "--quiet", "--package", "ringsoup", "--bin", BINARY])
        .args(["--profile", profile, "--target-dir"])
        .arg(target_dir)
        .stdin(Stdio::null())
        .status()
        .expect("cargo runs, as it ran this test");
    if status.success() {
        Ok(profile_dir.join(BINARY))
    } else {
        Err(format!("building {BINARY} failed: {status}"))
    }
}
