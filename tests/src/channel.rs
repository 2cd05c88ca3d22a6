//! The controller's end of the channel: frames out, messages in.

use std::collections::VecDeque;
use std::io::{ErrorKind, Read, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::time::Instant;

use ringsoup_fbs::fbs::message::Body;
use ringsoup_fbs::fbs::notification::{Event, Notification};
use ringsoup_fbs::fbs::response::Response;
use ringsoup_fbs::{PREFIX_BYTES, verify_message};

use crate::worker::PATIENCE;

/// A frame of the worker, verified.
#[derive(Debug, Clone)]
pub struct Frame(Vec<u8>);

impl Frame {
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }

    pub fn response(&self) -> Option<Response<'_>> {
        self.message().data_as_response()
    }

    pub fn notification(&self) -> Option<Notification<'_>> {
        self.message().data_as_notification()
    }

    pub fn log(&self) -> Option<&str> {
        self.message().data_as_log().map(|log| log.data())
    }

    fn message(&self) -> ringsoup_fbs::fbs::message::Message<'_> {
        verify_message(&self.0).expect("verified when it was read")
    }
}

/// A refused request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// `Error`, `TypeError` or `NotFoundError`.
    pub class: String,
    pub reason: String,
}

/// Reads block for at most [`PATIENCE`].
#[derive(Debug)]
pub struct Channel {
    to_worker: UnixStream,
    from_worker: UnixStream,
    /// Bytes read, of which those before `taken` were given out.
    pending: Vec<u8>,
    taken: usize,
    /// Frames read while something else was waited for.
    skipped: VecDeque<Frame>,
}

impl Channel {
    pub(crate) fn new(to_worker: UnixStream, from_worker: UnixStream) -> Self {
        // A worker that stops reading must fail the test, not hang it.
        to_worker.set_write_timeout(Some(PATIENCE)).expect("PATIENCE is not zero");
        Self { to_worker, from_worker, pending: Vec::new(), taken: 0, skipped: VecDeque::new() }
    }

    pub fn send(&mut self, bytes: &[u8]) {
        self.to_worker.write_all(bytes).expect("the worker reads its channel");
    }

    /// The end that [`send`](Self::send) writes to, for a thread that may have to wait.
    pub fn writing_end(&self) -> UnixStream {
        self.to_worker.try_clone().expect("a descriptor is to be had")
    }

    /// The end that frames are read from, for whoever speaks no flatbuffers.
    pub(crate) fn reading_end(&self) -> UnixStream {
        self.from_worker.try_clone().expect("a descriptor is to be had")
    }

    /// The worker sees the end of descriptor 3; descriptor 4 stays.
    pub fn close_writing(&self) {
        self.to_worker.shutdown(Shutdown::Write).expect("the socket is connected");
    }

    /// The worker can no longer write to descriptor 4; descriptor 3 stays.
    pub fn close_reading(&self) {
        self.from_worker.shutdown(Shutdown::Both).expect("the socket is connected");
    }

    /// The next frame, or `None` at the end of the stream.
    ///
    /// # Panics
    /// When neither comes before `deadline`, or the frame does not verify.
    pub fn next_until(&mut self, deadline: Instant) -> Option<Frame> {
        self.next_before(deadline).unwrap_or_else(|| panic!("the worker sent nothing in time"))
    }

    /// `None` when the time is over, `Some(None)` at the end of the stream.
    pub fn next_before(&mut self, deadline: Instant) -> Option<Option<Frame>> {
        loop {
            if let Some(frame) = self.take_pending() {
                return Some(Some(frame));
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return None;
            }
            self.from_worker.set_read_timeout(Some(left)).expect("the time left is not zero");
            self.pending.drain(..self.taken);
            self.taken = 0;
            let mut bytes = [0; 65_536];
            match self.from_worker.read(&mut bytes) {
                Ok(0) => {
                    assert!(self.pending.is_empty(), "the stream ends inside a frame");
                    return Some(None);
                }
                Ok(count) => self.pending.extend_from_slice(&bytes[..count]),
                Err(error)
                    if matches!(
                        error.kind(),
                        ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted
                    ) => {}
                // A worker that ends with unread input resets the socket.
                Err(error) if error.kind() == ErrorKind::ConnectionReset => return Some(None),
                Err(error) => panic!("reading the channel: {error}"),
            }
        }
    }

    fn take_pending(&mut self) -> Option<Frame> {
        let rest = &self.pending[self.taken..];
        let prefix = rest.first_chunk::<PREFIX_BYTES>()?;
        let body = usize::try_from(u32::from_le_bytes(*prefix)).expect("usize has at least 32 bits here");
        let bytes = rest.get(..PREFIX_BYTES + body)?.to_vec();
        self.taken += bytes.len();
        let message = verify_message(&bytes).expect("the worker sends valid messages");
        assert!(
            matches!(message.data_type(), Body::Response | Body::Notification | Body::Log),
            "the worker sends no {:?}",
            message.data_type()
        );
        Some(Frame(bytes))
    }

    /// The next frame that `wanted` accepts. The others are kept for
    /// [`skipped`](Self::skipped).
    pub fn wait_for(&mut self, what: &str, mut wanted: impl FnMut(&Frame) -> bool) -> Frame {
        let deadline = Instant::now() + PATIENCE;
        loop {
            match self.next_before(deadline) {
                Some(Some(frame)) if wanted(&frame) => return frame,
                Some(Some(frame)) => self.skipped.push_back(frame),
                Some(None) => panic!("the worker closed its channel before {what}"),
                None => panic!("{what} did not come within {PATIENCE:?}"),
            }
        }
    }

    /// Frames that came while another was waited for, in order.
    pub fn skipped(&mut self) -> Vec<Frame> {
        self.skipped.drain(..).collect()
    }

    /// Everything until the worker closes its end.
    pub fn read_to_end(&mut self) -> Vec<Frame> {
        let deadline = Instant::now() + PATIENCE;
        let mut frames = self.skipped();
        while let Some(frame) = self.next_until(deadline) {
            frames.push(frame);
        }
        frames
    }

    /// The response to request `id`, which may have come while another was waited for: objects on different
    /// shards answer in any order.
    pub fn response(&mut self, id: u32) -> Frame {
        let answers = |frame: &Frame| frame.response().is_some_and(|response| response.id() == id);
        if let Some(at) = self.skipped.iter().position(answers) {
            return self.skipped.remove(at).expect("it was just found");
        }
        self.wait_for(&format!("the response to request {id}"), answers)
    }

    /// Sends a request and waits for its response.
    pub fn ask(&mut self, request: &[u8]) -> Frame {
        let id = verify_message(request)
            .expect("tests that send wrong requests use send()")
            .data_as_request()
            .expect("a request is asked")
            .id();
        self.send(request);
        self.response(id)
    }

    /// Sends a request that must be accepted.
    pub fn accepted(&mut self, request: &[u8]) -> Frame {
        let frame = self.ask(request);
        let response = frame.response().expect("a response");
        assert!(response.accepted(), "refused with {:?}: {:?}", response.error(), response.reason());
        assert_eq!((response.error(), response.reason()), (None, None));
        frame
    }

    /// Sends a request that must be refused.
    pub fn refused(&mut self, request: &[u8]) -> Refusal {
        let frame = self.ask(request);
        let response = frame.response().expect("a response");
        assert!(!response.accepted(), "accepted, but should not have been");
        Refusal {
            class: response.error().unwrap_or_default().to_owned(),
            reason: response.reason().unwrap_or_default().to_owned(),
        }
    }

    /// Waits for an event of one object.
    pub fn event(&mut self, handler: &str, event: Event) -> Frame {
        self.wait_for(&format!("{event:?} of {handler}"), |frame| {
            frame.notification().is_some_and(|told| told.event() == event && told.handler_id() == handler)
        })
    }

    pub fn expect_running(&mut self, pid: &str) {
        self.event(pid, Event::WORKER_RUNNING);
    }
}
