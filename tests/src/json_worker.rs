//! The worker as a controller before 3.13.0 has it: JSON on descriptors 3 and 4, payloads on 5 and 6.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::os::fd::{AsFd as _, OwnedFd};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Instant;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::stat::Mode;
use nix::unistd::mkfifo;
use serde_json::{Map, Value, json};

use crate::worker::{Launch, PATIENCE, Worker};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    Netstring,
    LengthPrefixed,
    Text,
}

/// One of each.
pub const VERSIONS: [(&str, Dialect); 3] =
    [("3.8.4", Dialect::Netstring), ("3.10.5", Dialect::LengthPrefixed), ("3.12.16", Dialect::Text)];

/// A channel's two ends, as frames.
#[derive(Debug)]
pub struct End {
    dialect: Dialect,
    /// `None` once it was closed.
    to_worker: Option<File>,
    from_worker: File,
    pending: Vec<u8>,
}

impl End {
    pub fn send_bytes(&mut self, bytes: &[u8]) {
        let to_worker = self.to_worker.as_mut().expect("it was not closed");
        to_worker.write_all(bytes).expect("the worker reads its channels");
    }

    pub fn send(&mut self, message: &[u8]) {
        let frame = self.frame(message);
        self.send_bytes(&frame);
    }

    pub fn frame(&self, message: &[u8]) -> Vec<u8> {
        if self.dialect == Dialect::Netstring {
            [message.len().to_string().as_bytes(), b":", message, b","].concat()
        } else {
            let length = u32::try_from(message.len()).expect("it is not that long");
            [&length.to_ne_bytes()[..], message].concat()
        }
    }

    pub fn close_writing(&mut self) {
        self.to_worker = None;
    }

    /// The next frame's message; `None` at the end of the stream.
    ///
    /// # Panics
    /// When neither comes within [`PATIENCE`].
    pub fn receive(&mut self) -> Option<Vec<u8>> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(message) = self.take_pending() {
                return Some(message);
            }
            let left = deadline.saturating_duration_since(Instant::now());
            let mut wait = [PollFd::new(self.from_worker.as_fd(), PollFlags::POLLIN)];
            let timeout = PollTimeout::try_from(left).expect("PATIENCE is not that long");
            assert!(poll(&mut wait, timeout).is_ok_and(|count| count > 0), "the worker sent nothing in time");
            let mut bytes = [0; 65_536];
            match self.from_worker.read(&mut bytes) {
                Ok(0) => return None,
                Ok(count) => self.pending.extend_from_slice(&bytes[..count]),
                Err(error) => panic!("reading a channel: {error}"),
            }
        }
    }

    fn take_pending(&mut self) -> Option<Vec<u8>> {
        let (head, body, tail) = if self.dialect == Dialect::Netstring {
            let colon = self.pending.iter().position(|byte| *byte == b':')?;
            let digits = std::str::from_utf8(&self.pending[..colon]).expect("a length");
            (colon + 1, digits.parse().expect("a length"), 1)
        } else {
            let length = u32::from_ne_bytes(*self.pending.first_chunk()?);
            (4, usize::try_from(length).expect("usize has at least 32 bits here"), 0)
        };
        let message = self.pending.get(head..head + body)?.to_vec();
        if tail > 0 {
            assert_eq!(self.pending.get(head + body)?, &b',', "a netstring ends with a comma");
        }
        self.pending.drain(..head + body + tail);
        Some(message)
    }
}

/// A refused request: class and reason.
pub type Refused = (String, String);

#[derive(Debug)]
pub struct JsonWorker {
    pub worker: Worker,
    pub channel: End,
    pub payloads: End,
    dialect: Dialect,
    next_id: u32,
    next_payload_id: u32,
    /// Notifications and log lines that came while something else was waited for.
    pub told: Vec<Vec<u8>>,
    folder: PathBuf,
}

impl JsonWorker {
    /// Starts a worker of a version in [`VERSIONS`], and reads that it runs.
    pub fn run((version, dialect): (&str, Dialect)) -> Self {
        let launch = Launch::with_args(["--logLevel=error"]).env("MEDIASOUP_VERSION", version);
        let mut worker = Self::start(&launch, dialect);
        let running = worker.channel.receive().expect("it says that it runs");
        let pid = worker.worker.pid().to_string();
        let running: Value = serde_json::from_slice(&running).expect("JSON");
        assert_eq!(running, json!({ "targetId": pid, "event": "running" }));
        worker
    }

    pub fn start(launch: &Launch, dialect: Dialect) -> Self {
        let folder = folder();
        let (read, write) = (folder.join("5"), folder.join("6"));
        for path in [&read, &write] {
            mkfifo(path, Mode::S_IRUSR | Mode::S_IWUSR).expect("a named pipe");
        }
        let worker = launch.clone().with_payloads(read.clone(), write.clone()).start();
        let file = |end| File::from(OwnedFd::from(end));
        let (to_worker, from_worker) = (worker.channel.writing_end(), worker.channel.reading_end());
        let end = |to_worker, from_worker| End {
            dialect,
            to_worker: Some(to_worker),
            from_worker,
            pending: Vec::new(),
        };
        let channel = end(file(to_worker), file(from_worker));
        // In the order in which the other side opens them.
        let to_worker = File::options().write(true).open(read).expect("the worker opens it too");
        let from_worker = File::open(write).expect("the worker opens it too");
        let payloads = end(to_worker, from_worker);
        Self { worker, channel, payloads, dialect, next_id: 0, next_payload_id: 0, told: Vec::new(), folder }
    }

    /// The worker's method for closing such a thing, which was renamed.
    pub fn closing(&self, noun: &str) -> String {
        let holder = match noun {
            "Router" => "worker",
            "Transport" | "RtpObserver" => "router",
            _ => "transport",
        };
        if self.dialect == Dialect::Text {
            format!("{holder}.close{noun}")
        } else {
            let mut letters = noun.chars();
            let first = letters.next().expect("a noun").to_ascii_lowercase();
            format!("{first}{}.close", letters.as_str())
        }
    }

    fn message(&self, id: u32, method: &str, handler: &str, ids: &Value, data: &Value) -> Vec<u8> {
        if self.dialect == Dialect::Text {
            let mut members: Map<String, Value> = ids.as_object().cloned().unwrap_or_default();
            members.extend(data.as_object().cloned().unwrap_or_default());
            let handler = ids[handler].as_str().unwrap_or("undefined");
            format!("{id}:{method}:{handler}:{}", Value::Object(members)).into_bytes()
        } else {
            json!({ "id": id, "method": method, "internal": ids, "data": data }).to_string().into_bytes()
        }
    }

    /// Asks and waits for the answer. `handler` is the one of `ids` that is asked, if any.
    pub fn request(
        &mut self,
        method: &str,
        handler: &str,
        ids: &Value,
        data: &Value,
    ) -> Result<Value, Refused> {
        self.next_id += 1;
        let id = self.next_id;
        let message = self.message(id, method, handler, ids, data);
        self.channel.send(&message);
        self.answer(id)
    }

    pub fn accepted(&mut self, method: &str, handler: &str, ids: &Value, data: &Value) -> Value {
        let answer = self.request(method, handler, ids, data);
        answer.unwrap_or_else(|refused| panic!("{method} was refused: {refused:?}"))
    }

    /// Reads up to the answer to this request of the channel.
    pub fn answer(&mut self, id: u32) -> Result<Value, Refused> {
        loop {
            let message = self.channel.receive().expect("an answer before the end");
            match answer(&message, id) {
                Some(answer) => return answer,
                None => self.told.push(message),
            }
        }
    }

    /// `dataConsumer.send()`, answered on the payload channel.
    pub fn send_data(&mut self, ids: &Value, ppid: &str, payload: &[u8]) -> Result<Value, Refused> {
        self.next_payload_id += 1;
        let id = self.next_payload_id;
        let head = if self.dialect == Dialect::Text {
            format!(
                "r:{id}:dataConsumer.send:{}:{ppid}",
                ids["dataConsumerId"].as_str().unwrap_or("undefined")
            )
        } else {
            let data = json!({ "ppid": ppid.parse::<u32>().ok() });
            json!({ "id": id, "method": "dataConsumer.send", "internal": ids, "data": data }).to_string()
        };
        self.payloads.send(head.as_bytes());
        self.payloads.send(payload);
        let message = self.payloads.receive().expect("an answer before the end");
        answer(&message, id).unwrap_or_else(|| panic!("no answer: {}", String::from_utf8_lossy(&message)))
    }

    /// Tells a handler something on the payload channel.
    pub fn notify(&mut self, event: &str, handler: &str, ids: &Value, ppid: Option<u32>, payload: &[u8]) {
        let head = if self.dialect == Dialect::Text {
            let ppid = ppid.map_or_else(|| "undefined".to_owned(), |ppid| ppid.to_string());
            format!("n:{event}:{}:{ppid}", ids[handler].as_str().unwrap_or("undefined"))
        } else {
            let data = ppid.map_or(Value::Null, |ppid| json!({ "ppid": ppid }));
            json!({ "event": event, "internal": ids, "data": data }).to_string()
        };
        self.payloads.send(head.as_bytes());
        self.payloads.send(payload);
    }

    /// What comes next on the payload channel, which must be a notification.
    pub fn notified(&mut self) -> (Value, Vec<u8>) {
        let head = self.payloads.receive().expect("a head");
        let head: Value = serde_json::from_slice(&head).expect("JSON");
        assert!(head.get("event").is_some(), "{head}");
        (head, self.payloads.receive().expect("its payload"))
    }
}

impl Drop for JsonWorker {
    fn drop(&mut self) {
        // A folder that stays is nobody's problem.
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// `None` for what answers nothing or another request.
fn answer(message: &[u8], id: u32) -> Option<Result<Value, Refused>> {
    let answer: Value = serde_json::from_slice(message).ok()?;
    (answer.get("id")? == id).then_some(())?;
    let text = |member: &str| answer[member].as_str().unwrap_or_default().to_owned();
    if answer["accepted"] == true {
        Some(Ok(answer.get("data").cloned().unwrap_or(Value::Null)))
    } else {
        Some(Err((text("error"), text("reason"))))
    }
}

/// A new one of this process.
fn folder() -> PathBuf {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    let folder = std::env::temp_dir().join(format!("ringsoup-payloads-{}-{count}", std::process::id()));
    std::fs::create_dir(&folder).expect("a folder of our own");
    folder
}
