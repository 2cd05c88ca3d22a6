//! The payload channel of controllers before 3.13.0: what has bytes that are no JSON comes as two frames, a head and
//! the bytes.

use std::io;
use std::os::fd::RawFd;
use std::time::Duration;

use super::fds::ChannelFds;
use super::framing::Framing;
use super::io::{Channel, Incoming};
use super::writer::{Importance, QueueError};

/// What reading came to.
#[derive(Debug)]
pub enum Received<'a> {
    Message {
        head: Vec<u8>,
        payload: &'a [u8],
    },
    /// The head, or what followed it, was too long and is skipped: what there is of the head.
    TooLong {
        head: Vec<u8>,
        bytes: usize,
    },
    /// What was read is no frame, and was thrown away: the head whose bytes it should have been, if one was awaiting them.
    Nonsense {
        head: Option<Vec<u8>>,
        reason: &'static str,
    },
    /// Nothing more now.
    Nothing,
    /// The controller closed its end, or it broke.
    Closed(Option<io::Error>),
}

#[derive(Debug)]
pub struct PayloadChannel {
    channel: Channel,
    head: Head,
}

/// Of the message under way.
#[derive(Debug)]
enum Head {
    Awaited,
    Here(Vec<u8>),
    /// It was too long, so what follows it is of no use.
    Skipped {
        bytes: usize,
    },
}

impl PayloadChannel {
    pub fn new(fds: ChannelFds, framing: Framing, payload_bytes_max: usize) -> Self {
        Self { channel: Channel::new(fds, framing, payload_bytes_max), head: Head::Awaited }
    }

    pub fn read_fd(&self) -> RawFd {
        self.channel.read_fd()
    }

    pub fn write_fd(&self) -> RawFd {
        self.channel.write_fd()
    }

    pub fn set_readable(&mut self) {
        self.channel.set_readable();
    }

    pub fn set_writable(&mut self) {
        self.channel.set_writable();
    }

    pub fn may_have_input(&self) -> bool {
        self.channel.may_have_input()
    }

    pub fn is_congested(&self) -> bool {
        self.channel.is_congested()
    }

    /// The next message, reading as needed.
    pub fn receive(&mut self) -> Received<'_> {
        if matches!(self.head, Head::Awaited) {
            match self.channel.receive() {
                Incoming::Frame(head) => self.head = Head::Here(head.to_vec()),
                Incoming::TooLong(bytes) => self.head = Head::Skipped { bytes },
                Incoming::Nonsense(reason) => return Received::Nonsense { head: None, reason },
                Incoming::Nothing => return Received::Nothing,
                Incoming::Closed(error) => return Received::Closed(error),
            }
        }
        let head = std::mem::replace(&mut self.head, Head::Awaited);
        match (self.channel.receive(), head) {
            (Incoming::Nothing, head) => {
                self.head = head;
                Received::Nothing
            }
            (Incoming::Nonsense(reason), Head::Here(head)) => Received::Nonsense { head: Some(head), reason },
            (Incoming::Nonsense(reason), _) => Received::Nonsense { head: None, reason },
            (Incoming::Closed(error), _) => Received::Closed(error),
            (Incoming::Frame(payload), Head::Here(head)) => Received::Message { head, payload },
            (Incoming::TooLong(bytes), Head::Here(head)) => Received::TooLong { head, bytes },
            (_, Head::Skipped { bytes }) => Received::TooLong { head: Vec::new(), bytes },
            // A head is here or skipped by now.
            (_, Head::Awaited) => Received::Nothing,
        }
    }

    /// Queues an answer.
    ///
    /// # Errors
    /// Nothing was queued then.
    pub fn respond(&mut self, response: &[u8]) -> Result<(), QueueError> {
        self.channel.push(response, Importance::Required)
    }

    /// Queues a notification with its bytes.
    ///
    /// # Errors
    /// Nothing was queued then.
    pub fn notify(&mut self, head: &[u8], payload: &[u8], importance: Importance) -> Result<(), QueueError> {
        self.channel.push_all([head, payload], importance)
    }

    /// Writes what the controller takes now.
    ///
    /// # Errors
    /// As [`Channel::flush`].
    pub fn flush(&mut self) -> io::Result<()> {
        self.channel.flush()
    }

    /// Messages dropped since the last call, for the log.
    pub fn take_dropped(&mut self) -> u64 {
        self.channel.take_dropped()
    }

    /// Writes everything that is queued, waiting for the controller at most `patience`.
    pub fn drain(&mut self, patience: Duration) {
        self.channel.drain(patience);
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::io::{Read as _, Write as _};
    use std::os::fd::OwnedFd;
    use std::os::unix::net::UnixStream;

    use super::*;

    fn channel(framing: Framing, max: usize) -> (PayloadChannel, UnixStream, UnixStream) {
        let pair = || UnixStream::pair().unwrap();
        let ((read, to_worker), (write, from_worker)) = (pair(), pair());
        let file = |stream: UnixStream| {
            stream.set_nonblocking(true).unwrap();
            File::from(OwnedFd::from(stream))
        };
        let fds = ChannelFds { read: file(read), write: file(write) };
        (PayloadChannel::new(fds, framing, max), to_worker, from_worker)
    }

    fn told(channel: &mut PayloadChannel) -> String {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        match channel.receive() {
            Received::Message { head, payload } => format!("{}+{}", text(&head), text(payload)),
            Received::TooLong { head, bytes } => format!("{} too long {bytes}", text(&head)),
            Received::Nonsense { head, reason } => {
                format!("{}: {reason}", head.map_or_else(|| "nothing".to_owned(), |head| text(&head)))
            }
            Received::Nothing => "nothing".to_owned(),
            Received::Closed(_) => "closed".to_owned(),
        }
    }

    #[test]
    fn heads_wait_for_their_payloads() {
        let (mut channel, mut to_worker, _from_worker) = channel(Framing::Netstring, 100);
        for (bytes, expected) in
            [("5:first,", "nothing"), ("3:", "nothing"), ("one,6:second,", "first+one"), ("0:,", "second+")]
        {
            to_worker.write_all(bytes.as_bytes()).unwrap();
            channel.set_readable();
            assert_eq!(told(&mut channel), expected);
        }
        assert_eq!(told(&mut channel), "nothing");
        drop(to_worker);
        channel.set_readable();
        assert_eq!(told(&mut channel), "closed");
    }

    #[test]
    fn what_is_too_long_takes_its_other_half_along() {
        let (mut channel, mut to_worker, _from_worker) = channel(Framing::Netstring, 5);
        to_worker.write_all(b"6:toobig,2:ab,4:head,7:too big,4:next,2:xy,").unwrap();
        channel.set_readable();
        assert_eq!(told(&mut channel), " too long 9");
        assert_eq!(told(&mut channel), "head too long 10");
        assert_eq!(told(&mut channel), "next+xy");
    }

    #[test]
    fn a_head_whose_bytes_are_no_frame_is_told_with_them() {
        let (mut channel, mut to_worker, _from_worker) = channel(Framing::Netstring, 100);
        to_worker.write_all(b"4:head,x").unwrap();
        channel.set_readable();
        assert_eq!(told(&mut channel), "head: no netstring's length");
        to_worker.write_all(b"x").unwrap();
        channel.set_readable();
        assert_eq!(told(&mut channel), "nothing: no netstring's length");
        to_worker.write_all(b"4:next,2:xy,").unwrap();
        channel.set_readable();
        assert_eq!(told(&mut channel), "next+xy");
    }

    #[test]
    fn notifications_are_pairs_and_answers_are_not() {
        let (mut channel, _to_worker, mut from_worker) = channel(Framing::Length, 100);
        channel.notify(b"{}", b"payload", Importance::Droppable).unwrap();
        channel.respond(b"[]").unwrap();
        channel.flush().unwrap();
        drop(channel);
        let mut bytes = Vec::new();
        from_worker.read_to_end(&mut bytes).unwrap();
        assert_eq!(bytes, b"\x02\0\0\0{}\x07\0\0\0payload\x02\0\0\0[]");
    }
}
