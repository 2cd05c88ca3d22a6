//! What arrived: packets per consumer, loss by sequence number, latency by stamp, and what was wrong.

use std::collections::{HashMap, HashSet};

use hdrhistogram::Histogram;

use super::sequence::{Arrival, Sequence};
use crate::latency;
use crate::rng::Rng;
use crate::rtcp::{self, Feedback};
use crate::rtp;
use crate::srtp::Unprotector;
use crate::stamp::Stamp;

/// SSRC of the floor's datagrams, which are no consumer's.
pub(crate) const FLOOR_SSRC: u32 = 0xF100_0001;

/// Which packets are thrown away repeats from run to run.
const DISCARD_SEED: u64 = 7;

/// How a payload is stamped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    H264,
    Opus,
}

/// One consumer, as its receiver sees it.
#[derive(Clone, Debug)]
pub(crate) struct Consumer {
    /// Index of the subscriber whose socket it must arrive at.
    subscriber: usize,
    /// Stream id in the publisher's stamps.
    stream: u32,
    pub(crate) ssrc: u32,
    rtx_ssrc: Option<u32>,
    kind: Kind,
    pub(super) sequence: Sequence,
    pub(super) sender_report: Option<SenderReportSeen>,
    /// Expected and missing at the last receiver report, for the fraction lost since.
    pub(super) reported: (u64, u64),
}

/// What RFC 3550 6.4.1 makes a receiver remember of the last SR.
#[derive(Clone, Copy, Debug)]
pub(super) struct SenderReportSeen {
    pub(super) middle_ntp: u32,
    pub(super) at_ns: u64,
}

impl Consumer {
    pub(crate) fn new(subscriber: usize, stream: u32, ssrc: u32, rtx_ssrc: Option<u32>, kind: Kind) -> Self {
        Self {
            subscriber,
            stream,
            ssrc,
            rtx_ssrc,
            kind,
            sequence: Sequence::default(),
            sender_report: None,
            reported: (0, 0),
        }
    }
}

/// Sums over all consumers since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub(crate) struct Totals {
    /// Media packets that arrived, retransmissions and duplicates included.
    pub(crate) packets: u64,
    /// Bytes of these, RTP headers included.
    pub(crate) bytes: u64,
    /// Different sequence numbers among them.
    pub(crate) unique: u64,
    /// Sequence numbers the senders must have used.
    pub(crate) expected: u64,
    pub(crate) reordered: u64,
    pub(crate) duplicates: u64,
    pub(crate) rtx: u64,
    pub(crate) rtcp: u64,
    /// Packets at another subscriber's socket, or with another stream's stamp.
    pub(crate) misdelivered: u64,
    /// Packets of nobody's SSRC, or not RTP at all.
    pub(crate) unknown: u64,
    /// Packets that failed SRTP.
    pub(crate) undecryptable: u64,
    /// Packets thrown away on purpose, to be asked for again.
    pub(crate) discarded: u64,
    pub(crate) floor_packets: u64,
}

impl Totals {
    /// What was added since `earlier`.
    pub(crate) fn since(&self, earlier: &Self) -> Self {
        Self {
            packets: self.packets - earlier.packets,
            bytes: self.bytes - earlier.bytes,
            unique: self.unique - earlier.unique,
            expected: self.expected - earlier.expected,
            reordered: self.reordered - earlier.reordered,
            duplicates: self.duplicates - earlier.duplicates,
            rtx: self.rtx - earlier.rtx,
            rtcp: self.rtcp - earlier.rtcp,
            misdelivered: self.misdelivered - earlier.misdelivered,
            unknown: self.unknown - earlier.unknown,
            undecryptable: self.undecryptable - earlier.undecryptable,
            discarded: self.discarded - earlier.discarded,
            floor_packets: self.floor_packets - earlier.floor_packets,
        }
    }

    pub(crate) fn add(&mut self, other: &Self) {
        self.packets += other.packets;
        self.bytes += other.bytes;
        self.unique += other.unique;
        self.expected += other.expected;
        self.reordered += other.reordered;
        self.duplicates += other.duplicates;
        self.rtx += other.rtx;
        self.rtcp += other.rtcp;
        self.misdelivered += other.misdelivered;
        self.unknown += other.unknown;
        self.undecryptable += other.undecryptable;
        self.discarded += other.discarded;
        self.floor_packets += other.floor_packets;
    }
}

/// The accounts of one receive thread.
#[derive(Debug)]
pub(crate) struct Account {
    consumers: Vec<Consumer>,
    by_ssrc: HashMap<u32, (usize, bool)>,
    totals: Totals,
    latency: Histogram<u64>,
    /// Wall clock minus monotonic clock.
    clock_difference_ns: i128,
    now_ns: u64,
    discard: Discard,
}

/// Loss made on purpose, where loopback has none.
#[derive(Debug)]
struct Discard {
    /// Share of the video packets.
    share: f64,
    rng: Rng,
    /// What was thrown away and has not come again: consumer and sequence number.
    awaited: HashSet<(usize, u16)>,
    /// What is still to be asked for.
    wanted: Vec<Wanted>,
}

/// A packet to send a NACK for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Wanted {
    pub(super) subscriber: usize,
    pub(super) ssrc: u32,
    pub(super) sequence: u16,
}

impl Discard {
    /// Whether to throw this packet away; never twice, so that one NACK repairs it.
    fn takes(&mut self, consumer: usize, sequence: u16) -> bool {
        if self.awaited.remove(&(consumer, sequence)) || self.rng.next_f64() >= self.share {
            return false;
        }
        self.awaited.insert((consumer, sequence));
        true
    }
}

impl Account {
    /// Of the video packets a share of `discard` is thrown away and asked for again.
    pub(crate) fn new(consumers: Vec<Consumer>, discard: f64) -> Self {
        let mut by_ssrc = HashMap::new();
        for (index, consumer) in consumers.iter().enumerate() {
            by_ssrc.insert(consumer.ssrc, (index, false));
            if let Some(ssrc) = consumer.rtx_ssrc {
                by_ssrc.insert(ssrc, (index, true));
            }
        }
        let totals = Totals::default();
        let discard = Discard {
            share: discard,
            rng: Rng::new(DISCARD_SEED),
            awaited: HashSet::new(),
            wanted: Vec::new(),
        };
        Self {
            consumers,
            by_ssrc,
            totals,
            latency: latency::new(),
            clock_difference_ns: 0,
            now_ns: 0,
            discard,
        }
    }

    /// What is to be asked for since the last call.
    pub(super) fn take_wanted(&mut self) -> Vec<Wanted> {
        std::mem::take(&mut self.discard.wanted)
    }

    /// Sets the clocks used for the datagrams of one turn.
    pub(crate) fn set_clock(&mut self, realtime_ns: u64, monotonic_ns: u64) {
        self.clock_difference_ns = i128::from(realtime_ns) - i128::from(monotonic_ns);
        self.now_ns = monotonic_ns;
    }

    pub(crate) fn totals(&self) -> Totals {
        let expected = self.consumers.iter().map(|consumer| consumer.sequence.expected()).sum();
        let unique = self.consumers.iter().map(|consumer| consumer.sequence.unique).sum();
        Totals { expected, unique, ..self.totals }
    }

    /// Different packets that came of each stream, to all its consumers.
    pub(crate) fn unique_by_stream(&self, streams: usize) -> Vec<u64> {
        let mut unique = vec![0; streams];
        for consumer in &self.consumers {
            let stream = usize::try_from(consumer.stream).ok();
            if let Some(count) = stream.and_then(|stream| unique.get_mut(stream)) {
                *count += consumer.sequence.unique;
            }
        }
        unique
    }

    /// Consumers that have received anything.
    pub(crate) fn live_consumers(&self) -> usize {
        self.consumers.iter().filter(|consumer| consumer.sequence.unique > 0).count()
    }

    /// The latencies since the last call.
    pub(crate) fn take_latency(&mut self) -> Histogram<u64> {
        std::mem::replace(&mut self.latency, latency::new())
    }

    /// Accounts for one datagram that arrived at `subscriber`'s socket at the kernel's `received_at_ns`.
    pub(crate) fn receive(
        &mut self,
        subscriber: usize,
        packet: &mut [u8],
        received_at_ns: Option<u64>,
        srtp: Option<&mut Unprotector>,
    ) {
        if is_floor(packet) {
            self.totals.floor_packets += 1;
            return;
        }
        let wire_bytes = packet.len();
        let is_rtcp = rtp::is_rtcp(packet);
        let length = match srtp {
            Some(srtp) => srtp.unprotect(packet, is_rtcp),
            None => Some(packet.len()),
        };
        let Some(packet) = length.and_then(|length| packet.get(..length)) else {
            self.totals.undecryptable += 1;
            return;
        };
        if is_rtcp {
            self.receive_rtcp(packet);
            return;
        }
        let Some(view) = rtp::parse(packet) else {
            self.totals.unknown += 1;
            return;
        };
        let Some((index, is_rtx)) = self.by_ssrc.get(&view.ssrc).copied() else {
            self.totals.unknown += 1;
            return;
        };
        let may_discard = self.discard.share > 0.0 && !is_rtx && self.consumers[index].kind == Kind::H264;
        if may_discard && self.discard.takes(index, view.sequence) {
            self.totals.discarded += 1;
            self.discard.wanted.push(Wanted { subscriber, ssrc: view.ssrc, sequence: view.sequence });
            return;
        }
        self.totals.packets += 1;
        self.totals.bytes += u64::try_from(wire_bytes).unwrap_or(0);
        let received_at_ns = received_at_ns.map_or(self.now_ns, |at| self.to_monotonic(at));
        let consumer = &mut self.consumers[index];
        if consumer.subscriber != subscriber {
            self.totals.misdelivered += 1;
        }
        let sequence = if is_rtx {
            self.totals.rtx += 1;
            // RFC 4588 4: the original sequence number leads the payload.
            let Some(original) = view.payload.first_chunk::<2>() else {
                return;
            };
            u16::from_be_bytes(*original)
        } else {
            view.sequence
        };
        match consumer.sequence.receive(sequence) {
            Arrival::New => {}
            // A repaired packet was not reordered by the path.
            Arrival::Late if is_rtx => {}
            Arrival::Late => self.totals.reordered += 1,
            Arrival::Duplicate | Arrival::Ancient => self.totals.duplicates += 1,
        }
        if is_rtx {
            return;
        }
        let stamp = match consumer.kind {
            Kind::H264 => Stamp::find_h264(view.payload),
            Kind::Opus => Stamp::find_opus(view.payload),
        };
        if let Some(stamp) = stamp {
            if stamp.stream != consumer.stream {
                self.totals.misdelivered += 1;
            }
            latency::record(&mut self.latency, received_at_ns.saturating_sub(stamp.sent_at_ns));
        }
    }

    fn to_monotonic(&self, realtime_ns: u64) -> u64 {
        u64::try_from(i128::from(realtime_ns) - self.clock_difference_ns).unwrap_or(0)
    }

    fn receive_rtcp(&mut self, packet: &[u8]) {
        self.totals.rtcp += 1;
        let at_ns = self.now_ns;
        rtcp::visit(packet, |feedback| {
            if let Feedback::SenderReport { ssrc, middle_ntp } = feedback
                && let Some((index, false)) = self.by_ssrc.get(&ssrc)
            {
                self.consumers[*index].sender_report = Some(SenderReportSeen { middle_ntp, at_ns });
            }
        });
    }

    /// The consumers of one subscriber.
    pub(super) fn consumers_of(&mut self, subscriber: usize) -> impl Iterator<Item = &mut Consumer> {
        self.consumers.iter_mut().filter(move |consumer| consumer.subscriber == subscriber)
    }
}

fn is_floor(packet: &[u8]) -> bool {
    packet.get(8..12) == Some(&FLOOR_SSRC.to_be_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rtp::Header;
    use crate::stamp::STAMP_BYTES;

    fn packet(ssrc: u32, sequence: u16, stream: u32, sent_at_ns: u64) -> Vec<u8> {
        let mut packet = vec![0; 12 + 1 + STAMP_BYTES];
        let header = Header { payload_type: 101, marker: false, sequence, timestamp: 0, ssrc };
        header.write(&[], &mut packet).unwrap();
        Stamp { stream, sent_at_ns }.write(&mut packet[13..]);
        packet
    }

    fn account() -> Account {
        let mut account = Account::new(
            vec![Consumer::new(0, 5, 100, Some(101), Kind::Opus), Consumer::new(1, 5, 200, None, Kind::Opus)],
            0.0,
        );
        account.set_clock(10_000_000_000, 1_000_000_000);
        account
    }

    #[test]
    fn latency_is_kernel_arrival_minus_stamp() {
        let mut account = account();
        // Stamped at 0.999 s monotonic; arrived at 10 s wall clock, which is 1 s monotonic.
        account.receive(0, &mut packet(100, 1, 5, 999_000_000), Some(10_000_000_000), None);
        let latency = account.take_latency();
        assert_eq!(latency.len(), 1);
        assert!((990_000..=1_010_000).contains(&latency.max()));
        assert_eq!(account.take_latency().len(), 0);
    }

    #[test]
    fn loss_duplicates_and_strangers_are_told_apart() {
        let mut account = account();
        for sequence in [1, 2, 5, 4, 4] {
            account.receive(0, &mut packet(100, sequence, 5, 0), None, None);
        }
        account.receive(0, &mut packet(999, 1, 5, 0), None, None);
        account.receive(1, &mut packet(200, 1, 6, 0), None, None);
        account.receive(0, &mut packet(200, 2, 5, 0), None, None);
        account.receive(0, &mut packet(FLOOR_SSRC, 2, 5, 0), None, None);
        let totals = account.totals();
        assert_eq!((totals.packets, totals.unique, totals.expected), (7, 6, 7));
        assert_eq!((totals.reordered, totals.duplicates, totals.unknown), (1, 1, 1));
        assert_eq!((totals.misdelivered, totals.floor_packets), (2, 1));
        assert_eq!(account.live_consumers(), 2);
        assert_eq!(account.unique_by_stream(7), [0, 0, 0, 0, 0, 6, 0]);
    }

    #[test]
    fn a_retransmission_repairs_its_original() {
        let mut account = account();
        for sequence in [1, 3] {
            account.receive(0, &mut packet(100, sequence, 5, 0), None, None);
        }
        let mut repair = packet(101, 700, 5, 0);
        repair[12..14].copy_from_slice(&2_u16.to_be_bytes());
        account.receive(0, &mut repair, None, None);
        let totals = account.totals();
        assert_eq!((totals.expected, totals.unique, totals.rtx, totals.reordered), (3, 3, 1, 0));
    }

    #[test]
    fn what_is_thrown_away_is_wanted_once_and_then_taken() {
        let mut account = Account::new(vec![Consumer::new(0, 5, 100, None, Kind::H264)], 1.0);
        account.receive(0, &mut packet(100, 1, 5, 0), None, None);
        assert_eq!(account.take_wanted(), [Wanted { subscriber: 0, ssrc: 100, sequence: 1 }]);
        assert!(account.take_wanted().is_empty());
        assert_eq!((account.totals().unique, account.totals().discarded), (0, 1));
        account.receive(0, &mut packet(100, 1, 5, 0), None, None);
        assert_eq!((account.totals().unique, account.totals().discarded), (1, 1));
    }

    #[test]
    fn windows_are_differences() {
        let mut account = account();
        account.receive(0, &mut packet(100, 1, 5, 0), None, None);
        let before = account.totals();
        account.receive(0, &mut packet(100, 3, 5, 0), None, None);
        let window = account.totals().since(&before);
        assert_eq!((window.packets, window.expected, window.unique), (1, 2, 1));
        let mut sum = before;
        sum.add(&window);
        assert_eq!(sum, account.totals());
    }
}
