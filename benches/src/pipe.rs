//! In-memory pipes without a buffer, as Go's `io.Pipe`: a write waits until a reader has taken all of it.
//!
//! [`Sender`] and [`Receiver`] are for two threads, [`Rendezvous`] for two tasks of one thread.

use std::cell::RefCell;
use std::future::poll_fn;
use std::io::{self, Read};
use std::rc::Rc;
use std::sync::mpsc::{Receiver as Chunks, SyncSender, sync_channel};
use std::task::Poll;

/// Longest write, bytes: more than any chunk of the benchmark.
const CHUNK_BYTES_MAX: usize = 256;

type Chunk = ([u8; CHUNK_BYTES_MAX], usize);

fn chunk(bytes: &[u8]) -> Chunk {
    let mut chunk = [0; CHUNK_BYTES_MAX];
    chunk[..bytes.len()].copy_from_slice(bytes);
    (chunk, bytes.len())
}

#[derive(Debug, Clone)]
pub struct Sender(SyncSender<Chunk>);

#[derive(Debug)]
pub struct Receiver {
    chunks: Chunks<Chunk>,
    rest: Chunk,
    taken: usize,
}

/// A pipe between threads.
pub fn threads() -> (Sender, Receiver) {
    let (sender, chunks) = sync_channel(0);
    (Sender(sender), Receiver { chunks, rest: chunk(&[]), taken: 0 })
}

impl Sender {
    /// Returns when the reader has come for it; false when there is none any more.
    pub fn write(&self, bytes: &[u8]) -> bool {
        self.0.send(chunk(bytes)).is_ok()
    }
}

impl Read for Receiver {
    fn read(&mut self, target: &mut [u8]) -> io::Result<usize> {
        if self.taken == self.rest.1 {
            self.rest = self.chunks.recv().map_err(|_| io::ErrorKind::BrokenPipe)?;
            self.taken = 0;
        }
        let rest = &self.rest.0[self.taken..self.rest.1];
        let count = rest.len().min(target.len());
        target[..count].copy_from_slice(&rest[..count]);
        self.taken += count;
        Ok(count)
    }
}

#[derive(Debug, Default)]
struct Slot {
    bytes: Option<(Chunk, usize)>,
}

/// A pipe between tasks of one thread.
#[derive(Debug, Clone, Default)]
pub struct Rendezvous(Rc<RefCell<Slot>>);

impl Rendezvous {
    /// Ready when the reader has taken all of it.
    pub async fn write(&self, bytes: &[u8]) {
        let mut offered = false;
        poll_fn(|_| {
            let mut slot = self.0.borrow_mut();
            if offered {
                return if slot.bytes.is_none() { Poll::Ready(()) } else { Poll::Pending };
            }
            if slot.bytes.is_none() {
                slot.bytes = Some((chunk(bytes), 0));
                offered = true;
            }
            Poll::Pending
        })
        .await;
    }

    /// Fills `target`.
    pub async fn read_exact(&self, target: &mut [u8]) {
        let mut filled = 0;
        poll_fn(|_| {
            let mut slot = self.0.borrow_mut();
            let Some(((bytes, len), taken)) = &mut slot.bytes else { return Poll::Pending };
            let count = (*len - *taken).min(target.len() - filled);
            target[filled..filled + count].copy_from_slice(&bytes[*taken..*taken + count]);
            *taken += count;
            filled += count;
            if taken == len {
                slot.bytes = None;
            }
            if filled == target.len() { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
    }
}
