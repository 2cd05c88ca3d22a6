//! SRTP at the last moment: the flush has packets sealed destination by destination, right before they leave.
//!
//! ```text
//! forward_rtp ─► Outbox: [header|shared payload] …  ─► flush ─► seal ─► one receiver's train, still in the cache ─► kernel
//! ```
//! Sealed when they are forwarded, the packets of a frame for fifty receivers would lie encrypted in a megabyte of memory that
//! neither the cipher nor the kernel finds in a near cache, and each receiver's key would be fetched once per packet instead of
//! once per train (docs/decisions/0015-seal-at-the-flush.md).

use ringsoup_rtc::rtp::packet::header_len;

use crate::outbox::{Destination, Route, Waiting};
use crate::sfu::Sfu;

impl Sfu {
    /// Writes the SRTP packet of a datagram that waits in the clear; returns its length. `None` when the transport is gone or
    /// its session takes no more (RFC 3711 section 9.2: a key has an end). `into` has room for the packet and
    /// [`MAX_TRAILER_LEN`](ringsoup_rtc::srtp::MAX_TRAILER_LEN).
    ///
    /// Runs outside of the handlers, so nothing here may panic.
    pub fn seal(
        &mut self,
        destination: &Destination,
        waiting: &Waiting<'_>,
        into: &mut [u8],
    ) -> Option<usize> {
        let Route::Socket { socket, .. } = destination.route else { return None };
        let owner = self.socket_owners.owner(socket)?;
        let outbound = self.transports.get_mut(owner)?.outbound()?;
        let header_len = header_len(waiting.head).ok()?;
        // An original sequence number behind the header belongs to the payload (RFC 4588 section 4).
        let (header, prefix) = waiting.head.split_at_checked(header_len)?;
        into.get_mut(..header_len)?.copy_from_slice(header);
        outbound.protect_rtp_into(into, header_len, prefix, waiting.tail).ok()
    }
}
