//! The worker's process: found or built, started with the channel on descriptors 3 and 4, stopped.

use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Read};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use crate::error::Error;
use crate::sys;

/// The controller generation whose channel the harness speaks.
const MEDIASOUP_VERSION: &str = "3.27.1";
const BINARY: &str = "ringsoup-worker";
/// How long a worker that was asked to close may take before it is killed.
const CLOSE_LIMIT: Duration = Duration::from_secs(3);
const CLOSE_POLL: Duration = Duration::from_millis(10);
/// Lines of the worker's output kept to explain a failure.
const OUTPUT_LINES: usize = 50;

/// How to start the worker.
#[derive(Clone, Debug)]
pub(crate) struct Launch {
    pub(crate) binary: PathBuf,
    /// `RINGSOUP_SHARDS`, which only our worker knows.
    pub(crate) shards: Option<u32>,
    pub(crate) log_level: String,
}

/// A running worker; killed when dropped, unless it was closed.
#[derive(Debug)]
pub(crate) struct Worker {
    child: Child,
    output: Output,
}

/// The last lines of stdout and stderr.
type Output = Arc<Mutex<VecDeque<String>>>;

impl Worker {
    /// Starts the worker. Returns the ends of the channel it reads and writes.
    pub(crate) fn spawn(launch: &Launch) -> Result<(Self, UnixStream, UnixStream), Error> {
        let low = sys::occupy_low_descriptors().map_err(Error::io("opening /dev/null"))?;
        let pairs = (UnixStream::pair(), UnixStream::pair());
        let (to_worker, worker_reads) = pairs.0.map_err(Error::io("creating the channel"))?;
        let (from_worker, worker_writes) = pairs.1.map_err(Error::io("creating the channel"))?;
        let mut command = Command::new(&launch.binary);
        command
            .arg(format!("--logLevel={}", launch.log_level))
            .args(["--logTag=info", "--logTag=rtp", "--logTag=rtcp"])
            .env("MEDIASOUP_VERSION", MEDIASOUP_VERSION)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            // Our ctrl-c is ours: the worker is closed by us, in order.
            .process_group(0);
        if let Some(shards) = launch.shards {
            command.env("RINGSOUP_SHARDS", shards.to_string());
        }
        let high = sys::pass_channel(&mut command, worker_reads.as_fd(), worker_writes.as_fd())
            .map_err(Error::io("preparing the channel's descriptors"))?;
        let child = command.spawn().map_err(|error| {
            Error::new(format!("cannot start the worker {}: {error}", launch.binary.display()))
        })?;
        drop((high, low));
        let mut worker = Self { child, output: Output::default() };
        let pipes: [Option<Box<dyn Read + Send>>; 2] = [
            worker.child.stdout.take().map(|pipe| Box::new(pipe) as Box<dyn Read + Send>),
            worker.child.stderr.take().map(|pipe| Box::new(pipe) as Box<dyn Read + Send>),
        ];
        for pipe in pipes.into_iter().flatten() {
            keep_last_lines(pipe, Arc::clone(&worker.output)).map_err(Error::io("starting a thread"))?;
        }
        Ok((worker, to_worker, from_worker))
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// How the worker ended, if it did.
    pub(crate) fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().ok().flatten()
    }

    /// The end of what it printed.
    pub(crate) fn output(&self) -> Vec<String> {
        let lines = self.output.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        lines.iter().cloned().collect()
    }

    /// Waits for a worker that was asked to close; kills it when it does not.
    pub(crate) fn wait_closed(&mut self) -> Result<(), Error> {
        let deadline = Instant::now() + CLOSE_LIMIT;
        while Instant::now() < deadline {
            match self.ended() {
                Some(status) if status.success() => return Ok(()),
                Some(status) => {
                    return Err(Error::new(format!("the worker ended with {}", describe(status))));
                }
                None => std::thread::sleep(CLOSE_POLL),
            }
        }
        self.kill();
        Err(Error::new(format!("the worker did not close within {CLOSE_LIMIT:?} and was killed")))
    }

    fn kill(&mut self) {
        // Both fail only when the process is gone already, which is what is wanted.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.kill();
    }
}

/// An exit status in words.
pub(crate) fn describe(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("exit code {code}"),
        (None, Some(signal)) => format!("signal {signal}"),
        (None, None) => "an unknown status".to_owned(),
    }
}

fn keep_last_lines(pipe: Box<dyn Read + Send>, output: Output) -> std::io::Result<()> {
    std::thread::Builder::new().name("worker-output".to_owned()).spawn(move || {
        for line in BufReader::new(pipe).lines() {
            let Ok(line) = line else { return };
            let mut lines = output.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            if lines.len() == OUTPUT_LINES {
                lines.pop_front();
            }
            lines.push_back(line);
        }
    })?;
    Ok(())
}

/// The worker binary: what was asked for, or ours, built now where its source is at hand, or ours beside
/// this binary.
pub(crate) fn find_binary(asked: Option<&Path>) -> Result<PathBuf, Error> {
    if let Some(path) = asked {
        // Looked up in no PATH: the worker to measure is one particular file.
        let path = path.canonicalize().map_err(|error| Error::new(format!("{}: {error}", path.display())))?;
        return Ok(path);
    }
    let workspace =
        Path::new(env!("CARGO_MANIFEST_DIR")).parent().filter(|root| root.join("Cargo.toml").is_file());
    if let Some(workspace) = workspace {
        return build(workspace);
    }
    let beside = std::env::current_exe().ok().and_then(|exe| Some(exe.parent()?.join(BINARY)));
    beside.filter(|path| path.is_file()).ok_or_else(|| {
        Error::new("no ringsoup-worker here and no source to build it from; name one with --worker PATH")
    })
}

/// Builds the release worker and returns where cargo put it.
fn build(workspace: &Path) -> Result<PathBuf, Error> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    eprintln!("loadtest: building {BINARY} (release)");
    let output = Command::new(cargo)
        .current_dir(workspace)
        .args(["build", "--release", "--package", "ringsoup", "--bin", BINARY])
        .arg("--message-format=json-render-diagnostics")
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .map_err(Error::io("running cargo"))?;
    if !output.status.success() {
        return Err(Error::new(format!("cargo build ended with {}", describe(output.status))));
    }
    executable_of(&String::from_utf8_lossy(&output.stdout))
        .ok_or_else(|| Error::new(format!("cargo built no executable named {BINARY}")))
}

/// The path of our executable in cargo's messages, one JSON object a line.
fn executable_of(messages: &str) -> Option<PathBuf> {
    messages.lines().filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok()).find_map(
        |message| {
            let is_ours = message.get("target")?.get("name")?.as_str()? == BINARY;
            let path = message.get("executable")?.as_str()?;
            is_ours.then(|| PathBuf::from(path))
        },
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cargo_messages_name_the_executable() {
        let messages = concat!(
            "{\"reason\":\"compiler-artifact\",\"target\":{\"name\":\"other\"},\"executable\":\"/x/other\"}\n",
            "not json\n",
            "{\"reason\":\"compiler-artifact\",\"target\":{\"name\":\"ringsoup-worker\"},\"executable\":null}\n",
            "{\"reason\":\"compiler-artifact\",\"target\":{\"name\":\"ringsoup-worker\"},\"executable\":\"/x/w\"}\n",
        );
        assert_eq!(executable_of(messages), Some(PathBuf::from("/x/w")));
        assert_eq!(executable_of(""), None);
    }

    /// The descriptors and the environment arrive; the child is a shell, not a worker.
    #[test]
    fn the_channel_is_on_descriptors_3_and_4() {
        let script = std::env::temp_dir().join(format!("loadtest-fds-{}.sh", std::process::id()));
        std::fs::write(
            &script,
            "#!/bin/sh\nread line <&3\necho \"$line $MEDIASOUP_VERSION $RINGSOUP_SHARDS\" >&4\n",
        )
        .unwrap();
        std::fs::set_permissions(&script, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
        let launch = Launch { binary: script.clone(), shards: Some(2), log_level: "error".to_owned() };
        let (mut worker, to_worker, from_worker) = Worker::spawn(&launch).unwrap();
        std::io::Write::write_all(&mut &to_worker, b"hello\n").unwrap();
        let mut line = String::new();
        BufReader::new(from_worker).read_line(&mut line).unwrap();
        assert_eq!(line, "hello 3.27.1 2\n");
        worker.wait_closed().unwrap();
        std::fs::remove_file(script).unwrap();
    }
}
