//! What OpenSSL reads from and writes to in place of a socket.

use std::io::{self, ErrorKind, Read, Write};

use ringsoup_rtc::dtls::{Output, Role};

use crate::record::{ContentType, RECORD_HEADER_LEN, fragments, records};

/// Handshake messages that end a flight in the clear (RFC 5246 section 7.4).
const CLIENT_HELLO: u8 = 1;
const SERVER_HELLO_DONE: u8 = 14;

/// What is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Writing {
    /// Goes out.
    Through,
    /// Is thrown away until OpenSSL reads: its clock makes it send the last flight again before it looks at the answer.
    MutedUntilRead,
}

/// One record per read, one datagram per write.
#[derive(Debug)]
pub(crate) struct Datagrams {
    role: Role,
    /// Whole records for OpenSSL to read, one behind the other.
    pub(crate) incoming: Vec<u8>,
    /// How much of them it has read.
    read_len: usize,
    /// What it wrote: the caller's, for the time of a call.
    pub(crate) outgoing: Output,
    writing: Writing,
    /// Whether the last datagram ends a flight that has to be answered.
    is_flight_sent: bool,
    /// Whether OpenSSL was stopped there.
    is_paused: bool,
}

impl Datagrams {
    pub(crate) fn new(role: Role) -> Self {
        Self {
            role,
            incoming: Vec::new(),
            read_len: 0,
            outgoing: Output::default(),
            writing: Writing::Through,
            is_flight_sent: false,
            is_paused: false,
        }
    }

    /// Before OpenSSL goes on from where it was stopped, with an answer to read.
    pub(crate) fn resume(&mut self) {
        if std::mem::take(&mut self.is_paused) {
            self.writing = Writing::MutedUntilRead;
        }
        self.is_flight_sent = false;
    }

    /// Whether a flight was written and OpenSSL stopped behind it.
    pub(crate) fn is_paused(&self) -> bool {
        self.is_paused
    }

    /// Forgets what was not read, and gives its memory back.
    pub(crate) fn clear_incoming(&mut self) {
        self.incoming = Vec::new();
        self.read_len = 0;
    }

    fn ends_flight(&self, datagram: &[u8]) -> bool {
        let Some(last) = records(datagram).last() else { return false };
        match (last.content, last.epoch) {
            (ContentType::Handshake, 0) => fragments(last.body).last().is_some_and(|fragment| {
                matches!(fragment.message, CLIENT_HELLO | SERVER_HELLO_DONE) && fragment.ends_message()
            }),
            // Finished: a server's is not answered.
            (ContentType::Handshake, _) => self.role == Role::Client,
            _ => false,
        }
    }
}

impl Read for Datagrams {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.writing = Writing::Through;
        let unread = &self.incoming[self.read_len..];
        let &[.., high, low] = unread.get(..RECORD_HEADER_LEN).unwrap_or_default() else {
            self.clear_incoming();
            return Err(ErrorKind::WouldBlock.into());
        };
        let record_len = RECORD_HEADER_LEN + usize::from(u16::from_be_bytes([high, low]));
        // What is longer than the buffer is cut, as a socket would do.
        let len = record_len.min(unread.len()).min(buffer.len());
        buffer[..len].copy_from_slice(&unread[..len]);
        self.read_len += record_len.min(unread.len());
        Ok(len)
    }
}

impl Write for Datagrams {
    fn write(&mut self, datagram: &[u8]) -> io::Result<usize> {
        if self.writing == Writing::Through {
            self.is_flight_sent = self.ends_flight(datagram);
            self.outgoing.push_datagram(datagram);
        }
        Ok(datagram.len())
    }

    /// Called at a flight's end, before OpenSSL waits for an answer: there it is stopped, so that it does not look at its
    /// clock before there is one.
    fn flush(&mut self) -> io::Result<()> {
        if self.writing == Writing::Through && self.is_flight_sent {
            self.is_paused = true;
            return Err(ErrorKind::WouldBlock.into());
        }
        Ok(())
    }
}
