//! Many handshakes at a time on one thread, and afterwards the consent of everybody who is connected.

use std::io;
use std::time::Duration;

use ringsoup_rtc::srtp::CryptoSuite;

use super::{Client, Progress, Timers};
use crate::sys::{Epoll, ReceiveBatch, monotonic_ns};

/// A handshake that takes longer has failed.
const HANDSHAKE_LIMIT_NS: u64 = 10_000_000_000;
/// Sockets one poll reports; the rest are reported by the next.
const EVENTS: usize = 256;
/// Datagrams of a handshake's flight and their size.
const BUFFERS: (usize, usize) = (16, 2048);

/// How a handshake ended.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) token: usize,
    /// From the first check on.
    pub(crate) took_ns: u64,
    pub(crate) result: Result<CryptoSuite, String>,
}

struct Dialed {
    client: Client,
    begun_ns: u64,
    is_under_way: bool,
}

pub(crate) struct Dialer {
    epoll: Epoll,
    batch: ReceiveBatch,
    timers: Timers,
    /// By token; tokens are used again.
    clients: Vec<Option<Dialed>>,
    free: Vec<usize>,
    under_way: usize,
    outcomes: Vec<Outcome>,
}

impl Dialer {
    pub(crate) fn new() -> io::Result<Self> {
        Ok(Self {
            epoll: Epoll::new(EVENTS)?,
            batch: ReceiveBatch::new(BUFFERS.0, BUFFERS.1),
            timers: Timers::default(),
            clients: Vec::new(),
            free: Vec::new(),
            under_way: 0,
            outcomes: Vec::new(),
        })
    }

    /// Handshakes that have begun and not ended.
    pub(crate) const fn under_way(&self) -> usize {
        self.under_way
    }

    /// Clients that are connected now.
    pub(crate) fn connected(&self) -> usize {
        let is_connected = |dialed: &&Dialed| matches!(dialed.client.progress(), Progress::Connected(_));
        self.clients.iter().flatten().filter(is_connected).count()
    }

    /// Begins a client's handshake.
    pub(crate) fn dial(&mut self, mut client: Client) -> io::Result<usize> {
        let token = self.free.pop().unwrap_or(self.clients.len());
        self.epoll.add(client.socket(), token)?;
        let begun_ns = monotonic_ns();
        client.begin(begun_ns);
        self.timers.set(token, client.next_timeout_ns());
        let dialed = Some(Dialed { client, begun_ns, is_under_way: true });
        match self.clients.get_mut(token) {
            Some(slot) => *slot = dialed,
            None => self.clients.push(dialed),
        }
        self.under_way += 1;
        Ok(token)
    }

    /// Takes a client out, connected or not.
    pub(crate) fn remove(&mut self, token: usize) -> Option<Client> {
        let dialed = self.clients.get_mut(token)?.take()?;
        // The socket may live on elsewhere, and would be reported on.
        let _ = self.epoll.remove(dialed.client.socket());
        self.under_way -= usize::from(dialed.is_under_way);
        self.timers.set(token, None);
        self.free.push(token);
        Some(dialed.client)
    }

    /// Waits for at most so long for something to arrive, and does what is to be done.
    pub(crate) fn turn(&mut self, wait: Duration) -> io::Result<()> {
        let ready = self.epoll.wait(wait)?;
        for index in 0..ready {
            if let Some(token) = self.epoll.token(index) {
                self.receive(token)?;
            }
        }
        let now_ns = monotonic_ns();
        while let Some(token) = self.timers.pop(now_ns) {
            if let Some(Some(dialed)) = self.clients.get_mut(token) {
                dialed.client.handle_timeout(now_ns);
                self.settle(token, now_ns);
            }
        }
        Ok(())
    }

    /// Handshakes that ended since the last call.
    pub(crate) fn take_outcomes(&mut self) -> Vec<Outcome> {
        std::mem::take(&mut self.outcomes)
    }

    fn receive(&mut self, token: usize) -> io::Result<()> {
        let Some(Some(dialed)) = self.clients.get_mut(token) else { return Ok(()) };
        let count = self.batch.receive(dialed.client.socket())?;
        // One clock for all: a flight's datagrams were there together.
        let now_ns = monotonic_ns();
        for index in 0..count {
            dialed.client.handle(now_ns, self.batch.get(index).bytes);
        }
        self.settle(token, now_ns);
        Ok(())
    }

    fn settle(&mut self, token: usize, now_ns: u64) {
        let Some(Some(dialed)) = self.clients.get_mut(token) else { return };
        self.timers.set(token, dialed.client.next_timeout_ns());
        if !dialed.is_under_way {
            return;
        }
        let took_ns = now_ns.saturating_sub(dialed.begun_ns);
        let result = match dialed.client.progress() {
            Progress::Connected(suite) => Ok(*suite),
            Progress::Failed(why) => Err(why.clone()),
            Progress::UnderWay if took_ns > HANDSHAKE_LIMIT_NS => {
                Err("the handshake took too long".to_owned())
            }
            Progress::UnderWay => return,
        };
        dialed.is_under_way = false;
        self.under_way -= 1;
        self.outcomes.push(Outcome { token, took_ns, result });
    }
}

#[cfg(test)]
#[path = "dialer_tests.rs"]
mod tests;
