//! Both ends of the channel with their readiness: what the control thread polls.

use std::io;
use std::os::fd::{AsFd as _, AsRawFd as _, RawFd};
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::fds::ChannelFds;
use super::framing::Framing;
use super::reader::{Fill, Frame, FrameReader};
use super::writer::{FrameWriter, Importance, QueueError};

/// What reading came to.
#[derive(Debug)]
pub enum Incoming<'a> {
    Frame(&'a [u8]),
    /// A message of this many bytes was too long and is skipped.
    TooLong(usize),
    /// What was read is no frame, and was thrown away.
    Nonsense(&'static str),
    /// Nothing more now.
    Nothing,
    /// The controller closed its end, or it broke.
    Closed(Option<io::Error>),
}

#[derive(Debug)]
pub struct Channel {
    fds: ChannelFds,
    reader: FrameReader,
    writer: FrameWriter,
    /// Cleared when a read would block, set by the poll.
    readable: bool,
    /// Cleared when a write would block, set by the poll.
    writable: bool,
    /// Nobody reads any more; what would be written is forgotten.
    deaf: bool,
}

impl Channel {
    /// Messages without what is around them are at most `payload_bytes_max` long, both ways.
    pub fn new(fds: ChannelFds, framing: Framing, payload_bytes_max: usize) -> Self {
        let reader = FrameReader::new(framing, payload_bytes_max);
        let writer = FrameWriter::new(framing, payload_bytes_max);
        // The poll is edge-triggered: the first try finds out.
        Self { fds, reader, writer, readable: true, writable: true, deaf: false }
    }

    pub fn read_fd(&self) -> RawFd {
        self.fds.read.as_raw_fd()
    }

    pub fn write_fd(&self) -> RawFd {
        self.fds.write.as_raw_fd()
    }

    pub fn set_readable(&mut self) {
        self.readable = true;
    }

    pub fn set_writable(&mut self) {
        self.writable = true;
    }

    /// True when [`receive`](Self::receive) may find something.
    pub fn may_have_input(&self) -> bool {
        self.readable
    }

    /// True while no further requests should be read.
    pub fn is_congested(&self) -> bool {
        self.writer.is_congested()
    }

    /// The next frame, reading as needed.
    pub fn receive(&mut self) -> Incoming<'_> {
        // Two looks, because a frame borrowed inside a loop would stay borrowed for all of it.
        while !self.reader.has_frame() {
            if !self.readable {
                return Incoming::Nothing;
            }
            match self.reader.fill(&mut self.fds.read) {
                Ok(Fill::Read) => {}
                Ok(Fill::WouldBlock) => self.readable = false,
                Ok(Fill::Closed) => return Incoming::Closed(None),
                Err(error) => return Incoming::Closed(Some(error)),
            }
        }
        match self.reader.next_frame() {
            Frame::Whole(frame) => Incoming::Frame(frame),
            Frame::TooLong(bytes) => Incoming::TooLong(bytes),
            Frame::Nonsense(reason) => Incoming::Nonsense(reason),
            Frame::Partial => Incoming::Nothing,
        }
    }

    /// Queues a message; see the writer's rules.
    ///
    /// # Errors
    /// Nothing was queued then.
    pub fn push(&mut self, message: &[u8], importance: Importance) -> Result<(), QueueError> {
        if self.deaf { Ok(()) } else { self.writer.push(message, importance) }
    }

    /// Queues messages that belong together.
    ///
    /// # Errors
    /// Nothing was queued then.
    pub fn push_all<const COUNT: usize>(
        &mut self,
        messages: [&[u8]; COUNT],
        importance: Importance,
    ) -> Result<(), QueueError> {
        if self.deaf { Ok(()) } else { self.writer.push_all(messages, importance) }
    }

    /// Writes what the controller takes now.
    ///
    /// # Errors
    /// The channel broke in another way than by the controller closing its end, which its other end tells.
    pub fn flush(&mut self) -> io::Result<()> {
        if !self.writable || self.deaf || self.writer.is_empty() {
            return Ok(());
        }
        match self.writer.flush(&mut self.fds.write) {
            Ok(done) => {
                self.writable = done;
                Ok(())
            }
            Err(error) => {
                self.deaf = true;
                self.writer.clear();
                if error.kind() == io::ErrorKind::BrokenPipe { Ok(()) } else { Err(error) }
            }
        }
    }

    /// Frames dropped since the last call, for the log.
    pub fn take_dropped(&mut self) -> u64 {
        if self.writer.is_congested() { 0 } else { self.writer.take_dropped() }
    }

    /// Writes everything that is queued, waiting for the controller at most `patience`.
    pub fn drain(&mut self, patience: Duration) {
        let deadline = Instant::now() + patience;
        self.writable = true;
        while !self.writer.is_empty() && self.flush().is_ok() && !self.writer.is_empty() {
            let left = deadline.saturating_duration_since(Instant::now());
            let timeout = PollTimeout::try_from(left).unwrap_or(PollTimeout::ZERO);
            let mut wait = [PollFd::new(self.fds.write.as_fd(), PollFlags::POLLOUT)];
            if left.is_zero() || poll(&mut wait, timeout).is_err() {
                break;
            }
            self.writable = true;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::io::{Read as _, Write as _};
    use std::os::fd::OwnedFd;
    use std::os::unix::net::UnixStream;

    use super::*;
    use crate::channel::{MESSAGE_BYTES_MAX, PREFIX_BYTES};

    /// A channel over sockets, and the controller's ends: where it writes, where it reads.
    fn channel() -> (Channel, UnixStream, UnixStream) {
        let pair = || UnixStream::pair().unwrap();
        let ((read, to_worker), (write, from_worker)) = (pair(), pair());
        let file = |stream: UnixStream| {
            stream.set_nonblocking(true).unwrap();
            File::from(OwnedFd::from(stream))
        };
        let fds = ChannelFds { read: file(read), write: file(write) };
        (Channel::new(fds, Framing::SizePrefix, MESSAGE_BYTES_MAX - PREFIX_BYTES), to_worker, from_worker)
    }

    #[test]
    fn frames_are_read_until_there_are_no_more() {
        let (mut channel, mut to_worker, _from_worker) = channel();
        assert!(matches!(channel.receive(), Incoming::Nothing));
        assert!(!channel.may_have_input());
        to_worker.write_all(b"\x01\0\0\0a\x02\0\0\0bc").unwrap();
        channel.set_readable();
        assert!(matches!(channel.receive(), Incoming::Frame(b"\x01\0\0\0a")));
        assert!(matches!(channel.receive(), Incoming::Frame(b"\x02\0\0\0bc")));
        assert!(matches!(channel.receive(), Incoming::Nothing));
        drop(to_worker);
        channel.set_readable();
        assert!(matches!(channel.receive(), Incoming::Closed(None)));
    }

    #[test]
    fn what_does_not_fit_waits_for_the_reader() {
        let (mut channel, _to_worker, mut from_worker) = channel();
        let frame = vec![5; 4 << 20];
        channel.push(&frame, Importance::Required).unwrap();
        channel.flush().unwrap();
        assert!(!channel.writer.is_empty());
        let reading = std::thread::spawn(move || {
            let mut bytes = Vec::new();
            from_worker.read_to_end(&mut bytes).unwrap();
            bytes
        });
        channel.drain(Duration::from_secs(30));
        drop(channel);
        assert_eq!(reading.join().unwrap(), frame);
    }

    #[test]
    fn a_reader_that_left_is_no_failure() {
        let (mut channel, _to_worker, from_worker) = channel();
        drop(from_worker);
        channel.push(b"x", Importance::Required).unwrap();
        channel.flush().unwrap();
        channel.push(b"x", Importance::Required).unwrap();
        assert!(channel.writer.is_empty());
    }

    #[test]
    fn closing_does_not_wait_for_ever() {
        let (mut channel, _to_worker, _from_worker) = channel();
        channel.push(&vec![5; 4 << 20], Importance::Required).unwrap();
        channel.drain(Duration::from_millis(20));
        assert!(!channel.writer.is_empty());
    }
}
