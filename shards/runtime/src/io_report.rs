//! What sockets, ring and queues of a shard count.

/// What the runtime counts. Packets unless said otherwise.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct IoReport {
    /// Turns of the loop.
    pub(crate) turns: u64,
    /// Receive completions; one carries a train where the kernel merged datagrams.
    pub(crate) receives: u64,
    pub(crate) received_datagrams: u64,
    /// Receives that did not fit or made no sense.
    pub(crate) receive_malformed: u64,
    /// Receives for a socket that was closed meanwhile.
    pub(crate) receive_stale: u64,
    /// Times that a socket's receive was armed again.
    pub(crate) receive_rearmed: u64,
    pub(crate) sent_datagrams: u64,
    /// Send requests, each a datagram or a train.
    pub(crate) sends: u64,
    /// Trains: sends with UDP_SEGMENT.
    pub(crate) trains: u64,
    /// Not sent: the socket's buffer or the device queue was full.
    pub(crate) send_blocked: u64,
    /// Not sent: any other error.
    pub(crate) send_failed: u64,
    /// Requests sent again after a pending ICMP error or without UDP_SEGMENT.
    pub(crate) send_retried: u64,
    /// The last errno of a failed send; 0 when none.
    pub(crate) send_errno: i32,
    /// The most datagrams that one flush had: what the Outbox has to hold.
    pub(crate) flush_max: u64,
    /// Packets handed to other pipe transports of the process, and in how many batches.
    pub(crate) passed_packets: u64,
    pub(crate) passed_batches: u64,
    /// Not handed over: the other shard does not keep up.
    pub(crate) pass_refused: u64,
    /// TCP connections that were closed again: nothing is carried over TCP yet.
    pub(crate) connections_refused: u64,
    /// Events lost because control did not read.
    pub(crate) events_lost: u64,
    /// Panics contained.
    pub(crate) panics: u64,
}

impl IoReport {
    /// Names and values, as the shard's report shows them.
    pub(crate) fn named(&self) -> Vec<(&'static str, u64)> {
        vec![
            ("turns", self.turns),
            ("receives", self.receives),
            ("received_datagrams", self.received_datagrams),
            ("receive_malformed", self.receive_malformed),
            ("receive_stale", self.receive_stale),
            ("receive_rearmed", self.receive_rearmed),
            ("sent_datagrams", self.sent_datagrams),
            ("sends", self.sends),
            ("trains", self.trains),
            ("send_blocked", self.send_blocked),
            ("send_failed", self.send_failed),
            ("send_retried", self.send_retried),
            ("flush_max", self.flush_max),
            ("passed_packets", self.passed_packets),
            ("passed_batches", self.passed_batches),
            ("pass_refused", self.pass_refused),
            ("connections_refused", self.connections_refused),
            ("events_lost", self.events_lost),
            ("panics", self.panics),
            ("send_errno", u64::from(self.send_errno.unsigned_abs())),
        ]
    }
}
