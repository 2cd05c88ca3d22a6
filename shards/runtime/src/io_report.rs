//! What sockets, ring and queues of a shard count.

use std::time::Duration;

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
    /// Pieces of handshakes, and the time they took together.
    pub(crate) handshake_pieces: u64,
    pub(crate) handshake_time: Duration,
    /// Packets handed to other pipe transports of the process, and in how many batches.
    pub(crate) passed_packets: u64,
    pub(crate) passed_batches: u64,
    /// Not handed over: the other shard does not keep up.
    pub(crate) pass_refused: u64,
    /// Datagrams of a WebRTC server that were handed to the shard of their transport.
    pub(crate) handed_over: u64,
    /// Not handed over: the other shard does not keep up.
    pub(crate) hand_over_refused: u64,
    /// TCP connections taken in.
    pub(crate) connections_accepted: u64,
    /// Closed again at once: no place is left, or the peer had gone already.
    pub(crate) connections_refused: u64,
    /// Handed to the shard of their transport.
    pub(crate) connections_handed_over: u64,
    /// Ended by their peers.
    pub(crate) connections_ended: u64,
    /// Ended by an error.
    pub(crate) connections_failed: u64,
    /// Closed because they announced a frame that is too long.
    pub(crate) connections_too_long: u64,
    /// Closed because no connectivity check came in time.
    pub(crate) connections_overdue: u64,
    /// Closed while no connectivity check had come, because others wanted the place.
    pub(crate) connections_crowded: u64,
    /// Receives of connections.
    pub(crate) stream_receives: u64,
    /// What came on connections, taken apart.
    pub(crate) received_frames: u64,
    /// What went out on connections.
    pub(crate) sent_frames: u64,
    /// Send requests on connections.
    pub(crate) stream_sends: u64,
    /// Frames that had to wait for their peer.
    pub(crate) stream_waited: u64,
    /// Frames not sent: too many waited already.
    pub(crate) stream_blocked: u64,
    /// Frames not sent: they waited for too long.
    pub(crate) stream_expired: u64,
    /// Frames not sent: the connection has failed, or the frame was too long for one.
    pub(crate) stream_failed: u64,
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
            ("handshake_pieces", self.handshake_pieces),
            ("handshake_micros", u64::try_from(self.handshake_time.as_micros()).unwrap_or(u64::MAX)),
            ("passed_packets", self.passed_packets),
            ("passed_batches", self.passed_batches),
            ("pass_refused", self.pass_refused),
            ("handed_over", self.handed_over),
            ("hand_over_refused", self.hand_over_refused),
            ("connections_accepted", self.connections_accepted),
            ("connections_refused", self.connections_refused),
            ("connections_handed_over", self.connections_handed_over),
            ("connections_ended", self.connections_ended),
            ("connections_failed", self.connections_failed),
            ("connections_too_long", self.connections_too_long),
            ("connections_overdue", self.connections_overdue),
            ("connections_crowded", self.connections_crowded),
            ("stream_receives", self.stream_receives),
            ("received_frames", self.received_frames),
            ("sent_frames", self.sent_frames),
            ("stream_sends", self.stream_sends),
            ("stream_waited", self.stream_waited),
            ("stream_blocked", self.stream_blocked),
            ("stream_expired", self.stream_expired),
            ("stream_failed", self.stream_failed),
            ("events_lost", self.events_lost),
            ("panics", self.panics),
            ("send_errno", u64::from(self.send_errno.unsigned_abs())),
        ]
    }
}
