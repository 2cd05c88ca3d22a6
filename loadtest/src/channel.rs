//! A controller's end of the flatbuffers channel: requests with ids, replies by id, the rest counted.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TryRecvError, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use ringsoup_fbs::fbs::message::Body as MessageBody;
use ringsoup_fbs::fbs::notification::{Event, Notification, NotificationArgs};
use ringsoup_fbs::fbs::request::{Body, Method, Request, RequestArgs};
use ringsoup_fbs::fbs::response::Response;
use ringsoup_fbs::flatbuffers::{FlatBufferBuilder, UnionWIPOffset, WIPOffset};
use ringsoup_fbs::{MESSAGE_BYTES_MAX, PREFIX_BYTES, finish_message, verify_message};

use crate::error::Error;

/// A worker answers in microseconds; this long means it hangs.
const REPLY_LIMIT: Duration = Duration::from_secs(10);
/// Log lines kept to explain a failure.
const LOG_LINES: usize = 200;

/// A reply's whole frame, verified when it arrived.
#[derive(Debug)]
pub(crate) struct Reply(Vec<u8>);

impl Reply {
    /// The response in the frame.
    pub(crate) fn response(&self) -> Result<Response<'_>, Error> {
        let message =
            verify_message(&self.0).map_err(|error| Error::new(format!("malformed reply: {error}")))?;
        message.data_as_response().ok_or_else(|| Error::new("a reply that is not a response"))
    }
}

/// A request that was sent.
#[derive(Debug)]
pub(crate) struct Waiting {
    id: u32,
    method: Method,
    replies: Receiver<Reply>,
}

/// What arrived besides replies.
#[derive(Debug, Default)]
struct Inbox {
    pending: HashMap<u32, SyncSender<Reply>>,
    running: bool,
    closed: bool,
    log: VecDeque<String>,
    log_lines: u64,
    notifications: BTreeMap<String, u64>,
    malformed: u64,
}

/// The controller's end. Clones are the same end, for other threads.
#[derive(Clone, Debug)]
pub(crate) struct Channel {
    to_worker: Arc<Mutex<UnixStream>>,
    inbox: Arc<Mutex<Inbox>>,
    next_id: Arc<AtomicU32>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Channel {
    /// Starts reading what the worker writes.
    pub(crate) fn new(to_worker: UnixStream, from_worker: UnixStream) -> Result<Self, Error> {
        let inbox = Arc::new(Mutex::new(Inbox::default()));
        let shared = Arc::clone(&inbox);
        std::thread::Builder::new()
            .name("channel".to_owned())
            .spawn(move || read_frames(from_worker, &shared))
            .map_err(Error::io("starting the channel's thread"))?;
        let to_worker = Arc::new(Mutex::new(to_worker));
        Ok(Self { to_worker, inbox, next_id: Arc::new(AtomicU32::new(1)) })
    }

    /// Whether the worker has said that it runs.
    pub(crate) fn is_running(&self) -> bool {
        lock(&self.inbox).running
    }

    /// The worker's last log lines.
    pub(crate) fn log(&self) -> Vec<String> {
        lock(&self.inbox).log.iter().cloned().collect()
    }

    /// How many lines it has logged.
    pub(crate) fn log_lines(&self) -> u64 {
        lock(&self.inbox).log_lines
    }

    /// Notifications so far, by event; frames that did not verify are counted as `malformed`.
    pub(crate) fn notifications(&self) -> BTreeMap<String, u64> {
        let inbox = lock(&self.inbox);
        let mut counts = inbox.notifications.clone();
        if inbox.malformed > 0 {
            counts.insert("malformed".to_owned(), inbox.malformed);
        }
        counts
    }

    /// Sends one request and waits for its reply; a refusal is an error that names the method.
    pub(crate) fn request<'fbb>(
        &self,
        method: Method,
        handler: &str,
        builder: &mut FlatBufferBuilder<'fbb>,
        body: Option<(Body, WIPOffset<UnionWIPOffset>)>,
    ) -> Result<Reply, Error> {
        let waiting = self.send(method, handler, builder, body)?;
        self.wait(waiting)
    }

    /// Sends one request; its reply is taken with [`wait`](Self::wait).
    pub(crate) fn send<'fbb>(
        &self,
        method: Method,
        handler: &str,
        builder: &mut FlatBufferBuilder<'fbb>,
        body: Option<(Body, WIPOffset<UnionWIPOffset>)>,
    ) -> Result<Waiting, Error> {
        let id = self.next_id.fetch_add(1, Ordering::Relaxed);
        let handler_id = builder.create_string(handler);
        let request = Request::create(
            builder,
            &RequestArgs {
                id,
                method,
                handler_id: Some(handler_id),
                body_type: body.map_or(Body::NONE, |(kind, _)| kind),
                body: body.map(|(_, body)| body),
            },
        );
        let replies = self.expect(id)?;
        let frame = finish_message(builder, MessageBody::Request, request.as_union_value());
        let written = lock(&self.to_worker).write_all(frame);
        builder.reset();
        written.map_err(Error::io("writing to the worker"))?;
        Ok(Waiting { id, method, replies })
    }

    /// Waits for a reply; a refusal is an error that names the method.
    pub(crate) fn wait(&self, waiting: Waiting) -> Result<Reply, Error> {
        let Waiting { id, method, replies } = waiting;
        let reply = replies.recv_timeout(REPLY_LIMIT).map_err(|error| {
            lock(&self.inbox).pending.remove(&id);
            match error {
                RecvTimeoutError::Timeout => {
                    Error::new(format!("no reply to {} within {REPLY_LIMIT:?}", name(method)))
                }
                RecvTimeoutError::Disconnected => closed_during(method),
            }
        })?;
        accepted(method, reply)
    }

    /// The reply, if it has come.
    pub(crate) fn poll(waiting: &Waiting) -> Option<Result<Reply, Error>> {
        match waiting.replies.try_recv() {
            Ok(reply) => Some(accepted(waiting.method, reply)),
            Err(TryRecvError::Empty) => None,
            Err(TryRecvError::Disconnected) => Some(Err(closed_during(waiting.method))),
        }
    }

    fn expect(&self, id: u32) -> Result<Receiver<Reply>, Error> {
        let (sender, replies) = sync_channel(1);
        let mut inbox = lock(&self.inbox);
        if inbox.closed {
            return Err(Error::new("the worker has closed its channel"));
        }
        inbox.pending.insert(id, sender);
        Ok(replies)
    }

    /// Tells the worker to close; it answers by ending.
    pub(crate) fn close(self) {
        let mut builder = FlatBufferBuilder::new();
        let handler_id = builder.create_string("");
        let args = NotificationArgs {
            handler_id: Some(handler_id),
            event: Event::WORKER_CLOSE,
            ..Default::default()
        };
        let notification = Notification::create(&mut builder, &args);
        let frame = finish_message(&mut builder, MessageBody::Notification, notification.as_union_value());
        // The end of the stream, which follows as the last clone is dropped, tells it too.
        let _ = lock(&self.to_worker).write_all(frame);
    }
}

fn name(method: Method) -> &'static str {
    method.variant_name().unwrap_or("unknown method")
}

fn closed_during(method: Method) -> Error {
    Error::new(format!("the channel closed during {}", name(method)))
}

fn accepted(method: Method, reply: Reply) -> Result<Reply, Error> {
    let response = reply.response()?;
    if response.accepted() {
        return Ok(reply);
    }
    let (class, reason) = (response.error().unwrap_or("Error"), response.reason().unwrap_or("no reason"));
    Err(Error::new(format!("{} was refused: {class}: {reason}", name(method))))
}

fn read_frames(mut stream: UnixStream, inbox: &Mutex<Inbox>) {
    while let Ok(frame) = read_frame(&mut stream) {
        let mut inbox = lock(inbox);
        if !inbox.take(frame) {
            inbox.malformed += 1;
        }
    }
    let mut inbox = lock(inbox);
    inbox.closed = true;
    // Whoever still waits for a reply is woken by the loss of its sender.
    inbox.pending.clear();
}

/// One frame, its size prefix included, as the verifier wants it.
fn read_frame(stream: &mut impl Read) -> std::io::Result<Vec<u8>> {
    let mut prefix = [0; PREFIX_BYTES];
    stream.read_exact(&mut prefix)?;
    let length = usize::try_from(u32::from_le_bytes(prefix)).unwrap_or(usize::MAX);
    if length > MESSAGE_BYTES_MAX - PREFIX_BYTES {
        return Err(std::io::Error::new(std::io::ErrorKind::InvalidData, "a frame longer than the limit"));
    }
    let mut frame = vec![0; PREFIX_BYTES + length];
    frame[..PREFIX_BYTES].copy_from_slice(&prefix);
    stream.read_exact(&mut frame[PREFIX_BYTES..])?;
    Ok(frame)
}

impl Inbox {
    /// Files one frame; false when it is not a message of this generation.
    fn take(&mut self, frame: Vec<u8>) -> bool {
        let Ok(message) = verify_message(&frame) else {
            return false;
        };
        if let Some(response) = message.data_as_response() {
            let waiting = self.pending.remove(&response.id());
            // Nobody waits any more for a reply that came after its limit.
            return waiting.is_none_or(|waiting| waiting.send(Reply(frame)).is_ok());
        }
        if let Some(notification) = message.data_as_notification() {
            self.running |= notification.event() == Event::WORKER_RUNNING;
            let name = notification.event().variant_name().unwrap_or("UNKNOWN");
            *self.notifications.entry(name.to_owned()).or_insert(0) += 1;
            return true;
        }
        if let Some(log) = message.data_as_log() {
            if self.log.len() == LOG_LINES {
                self.log.pop_front();
            }
            self.log.push_back(log.data().to_owned());
            self.log_lines += 1;
            return true;
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ringsoup_fbs::fbs::response::ResponseArgs;

    /// A worker that answers each request with the next of `answers`, then closes.
    fn worker(answers: Vec<Option<ResponseArgs<'static>>>) -> Channel {
        let (to_worker, mut reads) = UnixStream::pair().unwrap();
        let (mut writes, from_worker) = UnixStream::pair().unwrap();
        std::thread::spawn(move || {
            for answer in answers {
                let frame = read_frame(&mut reads).unwrap();
                let id = verify_message(&frame).unwrap().data_as_request().unwrap().id();
                let Some(answer) = answer else { return };
                let mut builder = FlatBufferBuilder::new();
                let reason = builder.create_string("because");
                let response =
                    Response::create(&mut builder, &ResponseArgs { id, reason: Some(reason), ..answer });
                let frame = finish_message(&mut builder, MessageBody::Response, response.as_union_value());
                writes.write_all(frame).unwrap();
            }
        });
        Channel::new(to_worker, from_worker).unwrap()
    }

    #[test]
    fn replies_meet_their_requests_and_refusals_are_errors() {
        let accepted = ResponseArgs { accepted: true, ..ResponseArgs::default() };
        let channel = worker(vec![Some(accepted), Some(ResponseArgs::default()), None]);
        let mut builder = FlatBufferBuilder::new();
        channel.request(Method::WORKER_DUMP, "", &mut builder, None).unwrap();
        let refused = channel.request(Method::WORKER_DUMP, "", &mut builder, None).unwrap_err().to_string();
        assert!(refused.contains("WORKER_DUMP was refused") && refused.contains("because"), "{refused}");
        let closed = channel.request(Method::WORKER_DUMP, "", &mut builder, None).unwrap_err().to_string();
        assert!(closed.contains("closed"), "{closed}");
        assert!(channel.request(Method::WORKER_DUMP, "", &mut builder, None).is_err());
    }

    #[test]
    fn garbage_is_counted_not_believed() {
        let mut inbox = Inbox::default();
        assert!(!inbox.take(vec![8, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8]));
        assert!(read_frame(&mut [0xFF_u8, 0xFF, 0xFF, 0xFF, 0].as_slice()).is_err());
        assert!(read_frame(&mut [9_u8, 0, 0, 0, 0].as_slice()).is_err());
    }
}
