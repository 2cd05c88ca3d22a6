//! The seam to whatever speaks DTLS (RFC 6347, RFC 5764): datagrams in, datagrams and keys out.
//!
//! An implementation needs randomness and mostly a C library, so it is a crate of its own (`shards/dtls`); who uses one is
//! handed a [`Connector`].

use std::fmt::Debug;

use super::{Fingerprint, Role};
use crate::srtp::CryptoSuite;
use crate::time::Time;

/// Makes connections that show the process's certificate. Shared by all shards.
pub trait Connector: Debug + Send + Sync {
    /// Begins a connection to the peer whose certificate has this fingerprint. As a client its first flight is put into
    /// `out`. `role` is ours and decided.
    ///
    /// # Errors
    /// What is missing, in words for the log.
    fn connect(
        &self,
        now: Time,
        role: Role,
        remote_fingerprint: &Fingerprint,
        out: &mut Output,
    ) -> Result<Box<dyn Connection>, String>;
}

/// One peer's connection. What it holds is bounded whatever comes in.
pub trait Connection: Debug + Send {
    /// Takes in a datagram whose first byte is a DTLS record's (RFC 7983). What takes public-key work is put by for
    /// [`advance`](Self::advance).
    fn take_in(&mut self, now: Time, datagram: &[u8], out: &mut Output);

    /// Whether something of the peer's flight is held until the rest of it comes, or until it is answered.
    fn holds_flight(&self) -> bool;

    /// Whether [`advance`](Self::advance) has something to do. Nothing but `take_in` and `advance` itself makes it so.
    fn is_ready(&self) -> bool;

    /// Answers one flight of the peer's: one piece of public-key work.
    fn advance(&mut self, now: Time, out: &mut Output);

    /// Both at once, for whoever has nothing else to do meanwhile.
    fn handle_datagram(&mut self, now: Time, datagram: &[u8], out: &mut Output) {
        self.take_in(now, datagram, out);
        while self.is_ready() {
            self.advance(now, out);
        }
    }

    /// Called when [`next_timeout`](Self::next_timeout) has come: sends the last flight again, or gives up.
    fn handle_timeout(&mut self, now: Time, out: &mut Output);

    /// `None` while nothing is waited for.
    fn next_timeout(&self) -> Option<Time>;

    /// Says good-bye (close_notify). Nothing else may follow.
    fn close(&mut self, out: &mut Output);
}

/// What changed. Each is told once at most; nothing follows `Failed` or `Closed`.
#[derive(Debug)]
pub enum Event {
    Connected(Box<Connected>),
    /// The handshake failed, or the peer is not who it should be: why, for the log.
    Failed(String),
    /// The peer said good-bye.
    Closed,
    /// One message from the peer, decrypted: an SCTP packet.
    ApplicationData(Vec<u8>),
}

/// What a handshake agreed on. There is none before the peer's certificate had the expected fingerprint.
pub struct Connected {
    pub suite: CryptoSuite,
    /// Key and salt of what we send.
    pub local_key: Vec<u8>,
    /// Key and salt of what the peer sends.
    pub remote_key: Vec<u8>,
    /// The peer's certificate, PEM.
    pub remote_certificate: String,
}

impl Debug for Connected {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Keys stay out of logs and panic messages.
        formatter.debug_struct("Connected").field("suite", &self.suite).finish_non_exhaustive()
    }
}

/// What a call brought about. Owned by the caller and reused.
#[derive(Debug, Default)]
pub struct Output {
    bytes: Vec<u8>,
    ends: Vec<usize>,
    pub events: Vec<Event>,
}

impl Output {
    pub fn push_datagram(&mut self, datagram: &[u8]) {
        self.bytes.extend_from_slice(datagram);
        self.ends.push(self.bytes.len());
    }

    /// In the order in which they are to be sent.
    pub fn datagrams(&self) -> impl Iterator<Item = &[u8]> {
        let starts = std::iter::once(0).chain(self.ends.iter().copied());
        starts.zip(&self.ends).map(|(start, &end)| &self.bytes[start..end])
    }

    /// Whether nothing came of the call.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty() && self.events.is_empty()
    }

    pub fn clear(&mut self) {
        self.bytes.clear();
        self.ends.clear();
        self.events.clear();
    }
}

/// Begins no handshake: for whoever carries no WebRTC.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoHandshakes;

impl Connector for NoHandshakes {
    fn connect(
        &self,
        _: Time,
        _: Role,
        _: &Fingerprint,
        _: &mut Output,
    ) -> Result<Box<dyn Connection>, String> {
        Err("there is no DTLS here".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn datagrams_come_out_as_they_went_in() {
        let mut out = Output::default();
        for datagram in [&b"abc"[..], b"", b"de"] {
            out.push_datagram(datagram);
        }
        assert_eq!(out.datagrams().collect::<Vec<_>>(), [&b"abc"[..], b"", b"de"]);
        assert!(!out.is_empty());
        out.clear();
        assert!(out.is_empty());
        assert_eq!(out.datagrams().count(), 0);
    }
}
