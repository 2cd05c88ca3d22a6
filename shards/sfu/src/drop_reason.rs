//! Why a received packet was not forwarded: one reason each, counted once.

macro_rules! drop_reasons {
    ($($(#[doc = $doc:literal])+ $variant:ident = $text:literal,)+) => {
        /// Why a packet went no further. `received = forwarded + consumed + dropped` holds on every shard.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[repr(u8)]
        pub enum DropReason {
            $($(#[doc = $doc])+ $variant,)+
        }

        impl DropReason {
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];

            /// The name under which dumps show the counter.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $text,)+
                }
            }
        }
    };
}

drop_reasons! {
    /// The datagram came on a socket that no transport owns any more.
    UnknownSocket = "unknown_socket",
    /// It was passed on inside the process to a pipe transport that has closed meanwhile.
    UnknownPipe = "unknown_pipe",
    /// Longer than what an application may send at once.
    TooLong = "too_long",
    /// Neither RTP nor RTCP by its first bytes (RFC 7983), or a protocol this transport does not speak.
    UnknownProtocol = "unknown_protocol",
    /// An SCTP packet: associations are not spoken yet.
    Sctp = "sctp",
    /// A message out of a pipe that its transport cannot take: no SCTP there, no data producer on its stream, too long.
    MessageRefused = "message_refused",
    /// The transport has no remote tuple yet and does not learn one (no comedia).
    NotConnected = "not_connected",
    /// Media or DTLS came on a WebRTC transport's or server's socket, and no connectivity check has let its sender in.
    NoIce = "no_ice",
    /// What looks like STUN cannot be read, or was altered (RFC 8489 section 5).
    MalformedStun = "malformed_stun",
    /// A STUN message that is no good connectivity check: without or with other credentials, of a controlled peer, or a response
    /// to a request that was never made.
    StunRefused = "stun_refused",
    /// DTLS while there is no handshake and no connection: before `connect()` or after the end.
    NoHandshake = "no_handshake",
    /// DTLS while its handshake waits to begin: the shard has as many as it takes on.
    HandshakePutOff = "handshake_put_off",
    /// SRTP or SRTCP before a handshake has agreed on keys, or after its connection's end.
    NoSrtpKeys = "no_srtp_keys",
    /// It came on a WebRTC server's socket from an address that no agent has let in, and is no check.
    UnknownTuple = "unknown_tuple",
    /// The same for a check that names no transport of the server.
    UnknownFragment = "unknown_fragment",
    /// The same for one that names a transport of another shard, which was handed enough of them lately.
    ChecksLimited = "checks_limited",
    /// The datagram came from an address that is not the transport's peer.
    ForeignTuple = "foreign_tuple",
    /// The RTP header lies about its own length, extensions or padding (RFC 3550 section 5.1).
    MalformedRtp = "malformed_rtp",
    /// No sub-packet of the RTCP compound could be read (RFC 3550 section 6.4).
    MalformedRtcp = "malformed_rtcp",
    /// SRTP authentication failed or the packet is too short to carry a tag.
    SrtpAuthentication = "srtp_authentication",
    /// SRTP saw this sequence number before (RFC 3711 section 3.3.2).
    SrtpReplay = "srtp_replay",
    /// No producer of the transport owns the SSRC, MID or RID.
    UnknownProducer = "unknown_producer",
    /// The producer is known, but no encoding of it has this SSRC, RID or payload type.
    UnknownStream = "unknown_stream",
    /// The payload type has no mapping in the producer.
    UnknownPayloadType = "unknown_payload_type",
    /// The sequence number is too far off to belong to the stream (RFC 3550 appendix A.1).
    BadSequence = "bad_sequence",
    /// Already received once.
    Duplicate = "duplicate",
    /// An RTX packet without room for the original sequence number (RFC 4588 section 4).
    MalformedRtx = "malformed_rtx",
    /// A padding-only packet: counted by the stream, carries nothing to forward.
    PaddingOnly = "padding_only",
    /// The producer is paused.
    ProducerPaused = "producer_paused",
    /// The producer has no consumer that takes the packet: none at all, all paused, waiting for a key frame,
    /// or not connected.
    NoTakers = "no_takers",
    /// The Outbox was full: the shard cannot flush as fast as it receives.
    OutboxFull = "outbox_full",
    /// Handling the packet panicked; the transport it came from was closed.
    Panicked = "panicked",
}

/// A counter per reason.
#[derive(Debug, Clone)]
pub struct DropCounters {
    counts: [u64; DropReason::ALL.len()],
}

impl Default for DropCounters {
    fn default() -> Self {
        Self { counts: [0; DropReason::ALL.len()] }
    }
}

impl DropCounters {
    pub fn count(&mut self, reason: DropReason) {
        self.counts[reason as usize] += 1;
    }

    pub fn of(&self, reason: DropReason) -> u64 {
        self.counts[reason as usize]
    }

    pub fn total(&self) -> u64 {
        self.counts.iter().sum()
    }

    pub fn iter(&self) -> impl Iterator<Item = (DropReason, u64)> + '_ {
        DropReason::ALL.iter().map(|&reason| (reason, self.of(reason)))
    }
}
