//! What a consumer remembers of each packet it sent, so that a NACK finds the packet in the
//! producer stream's history and is not answered more often than it can help.
//!
//! A ring indexed by outgoing sequence number. It begins small and doubles only while packets too
//! young to forget would be overwritten, so an audio consumer keeps 64 entries and a video
//! consumer what two seconds of its stream need.

use std::time::Duration;

use crate::time::Time;

/// Packets behind the newest that can still be asked for.
pub const PACKETS_MAX: u16 = 2_500;

/// Sequence numbers one NACK item can name (RFC 4585 §6.2.1): itself and 16 bits of mask.
pub const NACK_ITEM_PACKETS_MAX: usize = 17;

/// Round trip assumed while none has been measured.
pub const RTT_DEFAULT: Duration = Duration::from_millis(100);

/// A power of two, for indexing by mask.
const RING_INITIAL: usize = 16;

/// The power of two that holds `PACKETS_MAX`.
const RING_MAX: usize = 4_096;

const _: () = assert!(RING_MAX >= PACKETS_MAX as usize && RING_MAX.is_power_of_two());

/// Why a packet is not sent again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refused {
    /// Never sent, or forgotten.
    NotFound,
    /// Sent again less than a round trip ago: the answer may be on its way.
    TooSoon,
    /// Sent too long ago to be of use.
    TooOld,
}

/// A packet that may be sent again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Resend<T> {
    /// Extended sequence number in the producer stream's history.
    pub source_seq: u64,
    /// First time this packet is sent again; statistics count one repair per packet.
    pub is_first: bool,
    /// What was given to `sent`.
    pub rewrite: T,
}

#[derive(Debug, Clone, Copy)]
struct Sent<T> {
    source_seq: u64,
    /// Milliseconds, modulo 2^32, as is `resent_ms`: half the size, and 49 days suffice.
    sent_ms: u32,
    resent_ms: u32,
    out_seq: u16,
    is_resent: bool,
    rewrite: T,
}

/// Packets one consumer stream sent lately. `T` is what else the rewriting of each needs to be
/// repeated (timestamp offset, source layer, picture id…); keep it small.
#[derive(Debug, Clone)]
pub struct ResendGuard<T: Copy = ()> {
    /// Empty, or a power of two, indexed by the low bits of `out_seq`.
    ring: Vec<Option<Sent<T>>>,
    newest: u16,
    age_max_ms: u32,
}

impl<T: Copy> ResendGuard<T> {
    /// `age_max`: that of the history the packets are in. Allocates with the first packet.
    pub fn new(age_max: Duration) -> Self {
        Self {
            ring: Vec::new(),
            newest: 0,
            age_max_ms: u32::try_from(age_max.as_millis()).unwrap_or(u32::MAX),
        }
    }

    /// Remembers that the source stream's `source_seq` went out as `out_seq`.
    pub fn sent(&mut self, now: Time, out_seq: u16, source_seq: u64, rewrite: T) {
        let now_ms = wrapped_ms(now);
        if self.ring.is_empty() {
            self.ring = vec![None; RING_INITIAL];
            self.newest = out_seq;
        }
        if out_seq.wrapping_sub(self.newest) < 0x8000 {
            self.newest = out_seq;
        }
        while self.would_forget_young(out_seq, now_ms) && self.ring.len() < RING_MAX {
            self.grow();
        }
        let index = self.index(out_seq);
        if let Some(slot) = self.ring.get_mut(index) {
            let sent_ms = now_ms;
            *slot = Some(Sent {
                source_seq,
                sent_ms,
                resent_ms: sent_ms,
                out_seq,
                is_resent: false,
                rewrite,
            });
        }
    }

    /// Asks for leave to send `out_seq` again and, when given, takes note of it.
    ///
    /// `rtt` is the measured round trip to this consumer, zero when unknown.
    pub fn resend(&mut self, now: Time, rtt: Duration, out_seq: u16) -> Result<Resend<T>, Refused> {
        let now_ms = wrapped_ms(now);
        let rtt = if rtt.is_zero() { RTT_DEFAULT } else { rtt };
        let age_max_ms = self.age_max_ms;
        if self.newest.wrapping_sub(out_seq) >= PACKETS_MAX {
            return Err(Refused::NotFound);
        }
        let index = self.index(out_seq);
        let found = self.ring.get_mut(index).and_then(Option::as_mut);
        let sent = found
            .filter(|sent| sent.out_seq == out_seq)
            .ok_or(Refused::NotFound)?;
        if now_ms.wrapping_sub(sent.sent_ms) > age_max_ms {
            return Err(Refused::TooOld);
        }
        let since_resent = Duration::from_millis(u64::from(now_ms.wrapping_sub(sent.resent_ms)));
        if sent.is_resent && since_resent <= rtt {
            return Err(Refused::TooSoon);
        }
        let is_first = !sent.is_resent;
        sent.is_resent = true;
        sent.resent_ms = now_ms;
        Ok(Resend {
            source_seq: sent.source_seq,
            is_first,
            rewrite: sent.rewrite,
        })
    }

    /// Forgets all packets and gives the memory back, for a consumer that pauses or restarts.
    pub fn clear(&mut self) {
        self.ring = Vec::new();
    }

    /// Bytes held.
    pub fn memory(&self) -> usize {
        self.ring.capacity() * size_of::<Option<Sent<T>>>()
    }

    fn index(&self, out_seq: u16) -> usize {
        usize::from(out_seq) & self.ring.len().saturating_sub(1)
    }

    fn would_forget_young(&self, out_seq: u16, now_ms: u32) -> bool {
        self.ring
            .get(self.index(out_seq))
            .copied()
            .flatten()
            .is_some_and(|sent| {
                sent.out_seq != out_seq
                    && now_ms.wrapping_sub(sent.sent_ms) <= self.age_max_ms
                    && self.newest.wrapping_sub(sent.out_seq) < PACKETS_MAX
            })
    }

    fn grow(&mut self) {
        let doubled = vec![None; self.ring.len() * 2];
        for sent in std::mem::replace(&mut self.ring, doubled).into_iter().flatten() {
            let index = self.index(sent.out_seq);
            if let Some(slot) = self.ring.get_mut(index) {
                *slot = Some(sent);
            }
        }
    }
}

/// The sequence numbers a NACK item asks for (RFC 4585 §6.2.1), at most `NACK_ITEM_PACKETS_MAX`.
pub fn requested_seqs(packet_id: u16, bitmask: u16) -> impl Iterator<Item = u16> {
    let following = (0u16..16)
        .filter(move |bit| bitmask & (1 << bit) != 0)
        .map(move |bit| packet_id.wrapping_add(bit + 1));
    std::iter::once(packet_id).chain(following)
}

#[allow(
    clippy::cast_possible_truncation,
    reason = "differences modulo 2^32 are all that is used"
)]
const fn wrapped_ms(time: Time) -> u32 {
    time.as_millis() as u32
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use proptest::prelude::*;

    const AGE_MAX: Duration = Duration::from_secs(2);
    const RTT: Duration = Duration::from_millis(50);

    fn ms(millis: u64) -> Time {
        Time::from_millis(millis)
    }

    #[test]
    fn once_per_round_trip() {
        let mut guard = ResendGuard::new(AGE_MAX);
        guard.sent(ms(0), 65_535, 1_000, 7u32);
        let first = guard.resend(ms(1), RTT, 65_535).unwrap();
        assert_eq!(
            first,
            Resend {
                source_seq: 1_000,
                is_first: true,
                rewrite: 7
            }
        );
        assert_eq!(guard.resend(ms(51), RTT, 65_535), Err(Refused::TooSoon));
        assert!(!guard.resend(ms(52), RTT, 65_535).unwrap().is_first);
        assert_eq!(
            guard.resend(ms(150), Duration::ZERO, 65_535),
            Err(Refused::TooSoon),
            "default"
        );
    }

    #[test]
    fn unknown_and_old_packets() {
        let mut guard = ResendGuard::new(AGE_MAX);
        assert_eq!(guard.resend(ms(0), RTT, 0), Err(Refused::NotFound));
        guard.sent(ms(0), 10, 1, ());
        assert_eq!(guard.resend(ms(0), RTT, 11), Err(Refused::NotFound));
        assert_eq!(guard.resend(ms(0), RTT, 26), Err(Refused::NotFound), "same slot");
        assert_eq!(guard.resend(ms(2_001), RTT, 10), Err(Refused::TooOld));
        guard.clear();
        assert_eq!(guard.resend(ms(1), RTT, 10), Err(Refused::NotFound));
        assert_eq!(guard.memory(), 0);
    }

    #[test]
    fn slow_streams_stay_small() {
        let mut audio = ResendGuard::new(Duration::from_secs(1));
        for packet in 0..5_000u16 {
            audio.sent(ms(u64::from(packet) * 20), packet, u64::from(packet), ());
        }
        assert_eq!(audio.ring.len(), 64);
        assert!(audio.resend(ms(100_000), RTT, 4_960).is_ok());
    }

    #[test]
    fn fast_streams_stop_growing() {
        let mut guard = ResendGuard::new(AGE_MAX);
        for packet in 0..20_000u16 {
            guard.sent(ms(0), packet, u64::from(packet), ());
        }
        assert_eq!(guard.ring.len(), RING_MAX);
        assert_eq!(
            guard.resend(ms(1), RTT, 20_000 - PACKETS_MAX).unwrap().source_seq,
            17_500
        );
        assert_eq!(
            guard.resend(ms(1), RTT, 19_999 - PACKETS_MAX),
            Err(Refused::NotFound)
        );
    }

    #[test]
    fn an_item_names_seventeen_packets_at_most() {
        assert_eq!(
            requested_seqs(65_535, 0b1000_0000_0000_0001).collect::<Vec<_>>(),
            [65_535, 0, 15]
        );
        assert_eq!(requested_seqs(0, u16::MAX).count(), NACK_ITEM_PACKETS_MAX);
        assert_eq!(requested_seqs(9, 0).collect::<Vec<_>>(), [9]);
    }

    proptest! {
        /// Every packet young enough and near enough is found, with what was said of it.
        #[test]
        fn remembers_all_within_its_limits(
            start in any::<u16>(),
            steps in proptest::collection::vec((0u64..30, 1u16..40), 1..400),
        ) {
            let mut guard = ResendGuard::new(AGE_MAX);
            let mut model = BTreeMap::new();
            let (mut now, mut seq) = (0, start);
            for (wait, step) in steps {
                now += wait;
                seq = seq.wrapping_add(step);
                guard.sent(ms(now), seq, now * 1_000 + u64::from(seq), step);
                model.insert(seq, (now, step));
            }
            for (out_seq, (sent, step)) in model {
                let far = seq.wrapping_sub(out_seq) >= PACKETS_MAX;
                let resend = guard.resend(ms(now), RTT, out_seq);
                if !far && now - sent <= 2_000 {
                    let source_seq = sent * 1_000 + u64::from(out_seq);
                    prop_assert_eq!(resend, Ok(Resend { source_seq, is_first: true, rewrite: step }));
                    prop_assert_eq!(guard.resend(ms(now), RTT, out_seq), Err(Refused::TooSoon));
                } else {
                    prop_assert!(resend.is_err());
                }
            }
        }

        #[test]
        fn any_request_is_answered(requests in proptest::collection::vec(any::<(u64, u16, bool)>(), 1..200)) {
            let mut guard = ResendGuard::new(AGE_MAX);
            for (nanos, seq, is_sent) in requests {
                let now = Time::from_nanos(nanos);
                if is_sent {
                    guard.sent(now, seq, nanos, ());
                }
                let _ = guard.resend(now, RTT, seq);
            }
        }
    }
}
