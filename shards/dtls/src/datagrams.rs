//! What OpenSSL reads from and writes to in place of a socket.

use std::collections::VecDeque;
use std::io::{self, ErrorKind, Read, Write};

use ringsoup_rtc::dtls::Output;

/// One datagram per read, one per write.
#[derive(Debug, Default)]
pub(crate) struct Datagrams {
    /// What OpenSSL shall read next.
    pub(crate) incoming: VecDeque<Vec<u8>>,
    /// What it wrote: the caller's, for the time of a call.
    pub(crate) outgoing: Output,
}

impl Read for Datagrams {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let Some(datagram) = self.incoming.pop_front() else {
            return Err(ErrorKind::WouldBlock.into());
        };
        // A datagram that is longer than any record may be is cut, as a socket would do.
        let len = datagram.len().min(buffer.len());
        buffer[..len].copy_from_slice(&datagram[..len]);
        Ok(len)
    }
}

impl Write for Datagrams {
    fn write(&mut self, datagram: &[u8]) -> io::Result<usize> {
        self.outgoing.push_datagram(datagram);
        Ok(datagram.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
