//! The worker as Node starts it: a child with the channel on descriptors 3 and
//! 4, known to us by its pid.

use std::ffi::OsString;
use std::io::Read;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::binary::worker_binary;
use crate::channel::Channel;

/// The controller generation these tests speak.
pub const CONTROLLER_VERSION: &str = "3.27.1";

/// How long anything one test waits for may take. Far above what it takes: it
/// bounds a broken worker, it does not measure a good one.
pub const PATIENCE: Duration = Duration::from_secs(20);
const POLL: Duration = Duration::from_millis(5);

/// `exec` keeps the pid, so the child we know is the worker. The shell is there
/// because a child's descriptors above 2 cannot be arranged without unsafe code.
const REDIRECT: &str = r#"exec 3<&0 4>&1 0</dev/null 1>&2; exec "$@""#;
/// The same, and what the first two arguments name as descriptors 5 and 6: they are opened one after the other.
const WITH_PAYLOADS: &str = r#"exec 3<&0 4>&1 5<"$1" 6>"$2" 0</dev/null 1>&2; shift 2; exec "$@""#;
const WITHOUT_CHANNEL: &str = r#"exec 0</dev/null 1>&2 3<&- 4>&-; exec "$@""#;

/// How to start one worker.
#[derive(Debug, Clone)]
pub struct Launch {
    /// What starts the worker in turn, such as `prlimit`; nothing when empty.
    wrapper: Vec<OsString>,
    arguments: Vec<OsString>,
    environment: Vec<(String, Option<String>)>,
    channel: bool,
    /// Named pipes for the payload channel.
    payloads: Option<[PathBuf; 2]>,
}

impl Default for Launch {
    fn default() -> Self {
        Self {
            wrapper: Vec::new(),
            arguments: Vec::new(),
            environment: vec![("MEDIASOUP_VERSION".to_owned(), Some(CONTROLLER_VERSION.to_owned()))],
            channel: true,
            payloads: None,
        }
    }
}

impl Launch {
    pub fn with_args<I, A>(arguments: I) -> Self
    where
        I: IntoIterator<Item = A>,
        A: Into<OsString>,
    {
        Self { arguments: arguments.into_iter().map(Into::into).collect(), ..Self::default() }
    }

    #[must_use]
    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.environment.push((name.to_owned(), Some(value.to_owned())));
        self
    }

    #[must_use]
    pub fn env_remove(mut self, name: &str) -> Self {
        self.environment.push((name.to_owned(), None));
        self
    }

    /// The worker is started by this command, which must become it (`exec`).
    #[must_use]
    pub fn through(mut self, wrapper: &[&str]) -> Self {
        self.wrapper = wrapper.iter().map(Into::into).collect();
        self
    }

    /// Descriptors 5 and 6 are these named pipes, which the worker's start waits for.
    #[must_use]
    pub fn with_payloads(mut self, read: PathBuf, write: PathBuf) -> Self {
        self.payloads = Some([read, write]);
        self
    }

    /// Descriptors 3 and 4 are closed when the worker starts.
    #[must_use]
    pub fn without_channel(mut self) -> Self {
        self.channel = false;
        self
    }

    /// Starts the worker; says nothing about whether it stays.
    pub fn start(&self) -> Worker {
        let (to_worker, worker_reads) = UnixStream::pair().expect("a socket pair");
        let (from_worker, worker_writes) = UnixStream::pair().expect("a socket pair");
        let script = match (self.channel, &self.payloads) {
            (true, Some(_)) => WITH_PAYLOADS,
            (true, None) => REDIRECT,
            (false, _) => WITHOUT_CHANNEL,
        };
        let mut command = Command::new("sh");
        command
            .args(["-c", script, "sh"])
            .args(self.payloads.iter().flatten())
            .args(&self.wrapper)
            .arg(worker_binary())
            .args(&self.arguments)
            .stdin(Stdio::from(OwnedFd::from(worker_reads)))
            .stdout(Stdio::from(OwnedFd::from(worker_writes)))
            .stderr(Stdio::piped());
        for (name, value) in &self.environment {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        let mut child = command.spawn().expect("sh starts");
        // The command holds the worker's ends; ours must be the only others.
        drop(command);
        let mut pipe = child.stderr.take().expect("stderr is piped");
        let stderr = std::thread::spawn(move || {
            let mut text = Vec::new();
            // What was read before an error is what there is.
            let _ = pipe.read_to_end(&mut text);
            String::from_utf8_lossy(&text).into_owned()
        });
        Worker { child, channel: Channel::new(to_worker, from_worker), stderr: Some(stderr) }
    }

    /// Starts the worker and waits until it says that it runs.
    pub fn run(&self) -> Worker {
        let mut worker = self.start();
        let pid = worker.pid().to_string();
        worker.channel.expect_running(&pid);
        worker
    }
}

/// A started worker; killed when dropped.
#[derive(Debug)]
pub struct Worker {
    child: Child,
    pub channel: Channel,
    stderr: Option<JoinHandle<String>>,
}

impl Worker {
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Bytes of memory the worker holds.
    pub fn resident_bytes(&self) -> usize {
        let path = format!("/proc/{}/smaps_rollup", self.pid());
        let text = std::fs::read_to_string(path).expect("our child is alive");
        let line = text.lines().find_map(|line| line.strip_prefix("Rss:")).expect("the kernel counts it");
        let kib = line.trim().trim_end_matches(" kB").parse::<usize>().expect("a number of KiB");
        kib << 10
    }

    /// Descriptors the worker has open.
    pub fn descriptors(&self) -> usize {
        let path = format!("/proc/{}/fd", self.pid());
        std::fs::read_dir(path).expect("our child is alive").count()
    }

    pub fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.child.id()).expect("a pid fits pid_t");
        kill(Pid::from_raw(pid), signal).expect("our child takes signals until it is waited for");
    }

    pub fn is_alive(&mut self) -> bool {
        self.child.try_wait().expect("our child can be waited for").is_none()
    }

    /// Waits for the end; the code, or an error that names the signal.
    ///
    /// # Panics
    /// When the worker does not end within [`PATIENCE`].
    pub fn wait(&mut self) -> ExitStatus {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.child.try_wait().expect("our child can be waited for") {
                return status;
            }
            assert!(Instant::now() < deadline, "the worker still runs after {PATIENCE:?}");
            std::thread::sleep(POLL);
        }
    }

    /// Waits for the end and holds it to an exit code.
    pub fn expect_exit(&mut self, code: i32) {
        let status = self.wait();
        assert_eq!(status.code(), Some(code), "signal {:?}; stderr: {}", status.signal(), self.stderr());
    }

    /// All of stderr (and stdout) of a worker that ended.
    pub fn stderr(&mut self) -> String {
        self.wait();
        self.stderr.take().map(|reader| reader.join().expect("the reader does not panic")).unwrap_or_default()
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        // Both fail only when it is gone already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
