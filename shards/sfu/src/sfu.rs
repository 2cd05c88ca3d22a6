//! The shard's only entries.

use std::net::SocketAddr;

use ringsoup_rtc::time::Time;

use crate::command::{Command, CommandError};
use crate::outbox::Outbox;
use crate::reply::Reply;
use crate::sockets::{SocketId, Sockets};

/// What a shard is told once.
#[derive(Debug, Clone)]
pub struct SfuConfig {
    /// Seeds SSRCs, sequence numbers and port choice. The runtime takes it from the kernel, a simulation from its seed.
    pub seed: u64,
    /// Wall clock at [`Time::ZERO`], microseconds since 1970: NTP timestamps are this plus the monotonic
    /// time, so that a stepped clock never disturbs a running stream.
    pub unix_origin_us: u64,
    /// The worker's own port range, inclusive.
    pub rtc_ports: (u16, u16),
}

/// A received datagram. The buffer is decrypted in place.
#[derive(Debug)]
pub struct Datagram<'a> {
    pub socket: SocketId,
    pub remote: SocketAddr,
    pub bytes: &'a mut [u8],
    /// When the kernel took it in.
    pub received: Time,
}

/// One shard.
#[derive(Debug)]
pub struct Sfu {
    _config: SfuConfig,
}

impl Sfu {
    pub fn new(config: SfuConfig) -> Self {
        Self { _config: config }
    }

    /// # Errors
    /// The command's own; the shard is as before it.
    pub fn handle_command(
        &mut self,
        _now: Time,
        _command: Command,
        _sockets: &mut dyn Sockets,
        _out: &mut Outbox,
    ) -> Result<Reply, CommandError> {
        Err(CommandError::error("not implemented"))
    }

    pub fn handle_datagram(
        &mut self,
        _now: Time,
        _datagram: Datagram<'_>,
        _sockets: &mut dyn Sockets,
        _out: &mut Outbox,
    ) {
    }

    /// Called when [`next_timeout`](Self::next_timeout) has come.
    pub fn handle_timeout(&mut self, _now: Time, _out: &mut Outbox) {}

    /// When to call [`handle_timeout`](Self::handle_timeout); `None` while nothing waits.
    pub fn next_timeout(&self) -> Option<Time> {
        None
    }

    /// Records the latency of what was just submitted and forgets it.
    pub fn handle_flushed(&mut self, _now: Time, out: &mut Outbox) {
        out.forwarded.clear();
    }
}
