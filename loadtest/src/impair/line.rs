//! One direction for many clients: what each packet meets, decided by the seed, and those that are on their way.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::Impairment;
use crate::counters::counters;
use crate::rng::Rng;
use crate::rtp::is_rtcp;

/// Bytes kept at a time: 50 Mbit/s for ten seconds. What comes beyond them is lost.
const QUEUED_BYTES_MAX: usize = 64 << 20;
/// A packet that is to be overtaken waits for later ones so long, for there may be none.
const HOLD_NS: u64 = 50_000_000;
const OVERTAKERS_MAX: f64 = 3.0;
/// Tells the clients' draws apart (the golden ratio's bits).
const CLIENT_SALT: u64 = 0x9E37_79B9_7F4A_7C15;

counters! {
    /// What a direction's packets met since the start.
    pub(crate) struct LineTotals {
        /// RTP packets that were to pass, retransmissions included.
        offered_media,
        /// RTCP packets.
        offered_feedback,
        lost_media,
        lost_feedback,
        duplicated,
        reordered,
        /// Lost because too many were on their way.
        overflowed,
    }
}

/// A packet whose time has come.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Arrived {
    pub(crate) client: usize,
    pub(crate) bytes: Vec<u8>,
    /// When the kernel received it, and as much later as it was kept.
    pub(crate) received_at_ns: Option<u64>,
}

#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Waiting {
    at_ns: u64,
    /// Of those due together the first to come is the first to go.
    order: u64,
    client: usize,
    what: What,
}

#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum What {
    Packet(Packet),
    /// Nobody has overtaken the packet that was held back with this order.
    Unhold(u64),
}

#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Packet {
    bytes: Vec<u8>,
    offered_at_ns: u64,
    received_at_ns: Option<u64>,
}

#[derive(Debug)]
struct Held {
    order: u64,
    overtakers: u32,
    packet: Packet,
}

/// One client's state.
#[derive(Debug)]
struct Client {
    rng: Rng,
    is_bursting: bool,
    /// When the last packet arrives that was let through.
    newest_due_ns: u64,
    held: Option<Held>,
}

/// One direction of a thread's clients.
#[derive(Debug)]
pub(crate) struct Line {
    impairment: Impairment,
    clients: Vec<Client>,
    waiting: BinaryHeap<Reverse<Waiting>>,
    queued_bytes: usize,
    next_order: u64,
    totals: LineTotals,
}

impl Line {
    pub(super) fn new(impairment: Impairment, clients: usize, seed: u64) -> Self {
        let client = |index: u64| Client {
            rng: Rng::new(seed ^ index.wrapping_add(1).wrapping_mul(CLIENT_SALT)),
            is_bursting: false,
            newest_due_ns: 0,
            held: None,
        };
        Self {
            impairment,
            clients: (0..).map(client).take(clients).collect(),
            waiting: BinaryHeap::new(),
            queued_bytes: 0,
            next_order: 0,
            totals: LineTotals::default(),
        }
    }

    pub(crate) const fn totals(&self) -> LineTotals {
        self.totals
    }

    /// When [`pop`](Self::pop) has something next.
    pub(crate) fn next_ns(&self) -> Option<u64> {
        self.waiting.peek().map(|Reverse(waiting)| waiting.at_ns)
    }

    /// Whether the packet passes now; if not it is lost, or comes out of [`pop`](Self::pop).
    pub(crate) fn passes(
        &mut self,
        now_ns: u64,
        client: usize,
        bytes: &[u8],
        received_at_ns: Option<u64>,
    ) -> bool {
        let impairment = self.impairment;
        let Some(its) = self.clients.get_mut(client) else { return true };
        let is_media = !is_rtcp(bytes);
        self.totals.offered_media += u64::from(is_media);
        self.totals.offered_feedback += u64::from(!is_media);
        if its.loses(&impairment) {
            self.totals.lost_media += u64::from(is_media);
            self.totals.lost_feedback += u64::from(!is_media);
            return false;
        }
        let packet = || Packet { bytes: bytes.to_vec(), offered_at_ns: now_ns, received_at_ns };
        if its.held.is_none() && its.rng.next_f64() < impairment.reorder {
            return self.hold(client, packet());
        }
        let due_ns = its.due_ns(&impairment, now_ns);
        let is_doubled = its.rng.next_f64() < impairment.duplicate;
        let passes = due_ns <= now_ns;
        if !passes {
            self.enqueue(client, due_ns, packet());
        }
        if is_doubled {
            self.totals.duplicated += 1;
            self.enqueue(client, due_ns, packet());
        }
        self.overtake(client, due_ns);
        passes
    }

    /// The next packet whose time has come.
    pub(crate) fn pop(&mut self, now_ns: u64) -> Option<Arrived> {
        while self.next_ns()? <= now_ns {
            let Reverse(Waiting { at_ns, client, what, .. }) = self.waiting.pop()?;
            match what {
                What::Packet(Packet { bytes, offered_at_ns, received_at_ns }) => {
                    self.queued_bytes -= bytes.len();
                    let kept_ns = at_ns.saturating_sub(offered_at_ns);
                    let received_at_ns = received_at_ns.map(|at_ns| at_ns + kept_ns);
                    return Some(Arrived { client, bytes, received_at_ns });
                }
                What::Unhold(order) => {
                    let its = &mut self.clients[client];
                    if its.held.as_ref().is_some_and(|held| held.order == order) {
                        self.unhold(client, at_ns);
                    }
                }
            }
        }
        None
    }

    /// Keeps a packet until later ones have overtaken it.
    fn hold(&mut self, client: usize, packet: Packet) -> bool {
        if self.is_full(packet.bytes.len()) {
            return false;
        }
        self.totals.reordered += 1;
        let its = &mut self.clients[client];
        let due_ns = its.due_ns(&self.impairment, packet.offered_at_ns);
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "below three")]
        let overtakers = 1 + (its.rng.next_f64() * OVERTAKERS_MAX) as u32;
        self.queued_bytes += packet.bytes.len();
        its.held = Some(Held { order: self.next_order, overtakers, packet });
        self.push(client, due_ns + HOLD_NS, What::Unhold(self.next_order));
        false
    }

    /// A packet has been let through that arrives at `due_ns`.
    fn overtake(&mut self, client: usize, due_ns: u64) {
        let Some(held) = &mut self.clients[client].held else { return };
        held.overtakers = held.overtakers.saturating_sub(1);
        if held.overtakers == 0 {
            self.unhold(client, due_ns);
        }
    }

    fn unhold(&mut self, client: usize, at_ns: u64) {
        if let Some(held) = self.clients[client].held.take() {
            self.push(client, at_ns, What::Packet(held.packet));
        }
    }

    fn enqueue(&mut self, client: usize, at_ns: u64, packet: Packet) {
        if !self.is_full(packet.bytes.len()) {
            self.queued_bytes += packet.bytes.len();
            self.push(client, at_ns, What::Packet(packet));
        }
    }

    fn is_full(&mut self, bytes: usize) -> bool {
        let is_full = self.queued_bytes + bytes > QUEUED_BYTES_MAX;
        self.totals.overflowed += u64::from(is_full);
        is_full
    }

    fn push(&mut self, client: usize, at_ns: u64, what: What) {
        self.waiting.push(Reverse(Waiting { at_ns, order: self.next_order, client, what }));
        self.next_order += 1;
    }
}

impl Client {
    /// Two states (Gilbert): while bursting everything is lost, and a burst ends after `loss_burst` packets on average, so often
    /// that `loss` of all are.
    fn loses(&mut self, impairment: &Impairment) -> bool {
        let Impairment { loss, loss_burst, .. } = *impairment;
        if loss <= 0.0 {
            return false;
        }
        if loss_burst <= 1.0 {
            return self.rng.next_f64() < loss;
        }
        let changes = if self.is_bursting { 1.0 / loss_burst } else { loss / (loss_burst * (1.0 - loss)) };
        self.is_bursting ^= self.rng.next_f64() < changes;
        self.is_bursting
    }

    fn due_ns(&mut self, impairment: &Impairment, now_ns: u64) -> u64 {
        #[allow(
            clippy::cast_possible_truncation,
            clippy::cast_precision_loss,
            clippy::cast_sign_loss,
            reason = "two seconds of nanoseconds at most"
        )]
        let jitter_ns = (self.rng.next_f64() * impairment.jitter_ns as f64) as u64;
        self.newest_due_ns = self.newest_due_ns.max(now_ns + impairment.delay_ns + jitter_ns);
        self.newest_due_ns
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PACKETS: u16 = 40_000;
    const SPACING_NS: u64 = 1_000_000;

    fn packet(number: u16) -> [u8; 14] {
        let mut bytes = [0x80; 14];
        bytes[2..4].copy_from_slice(&number.to_be_bytes());
        bytes
    }

    /// The numbers that arrive and when, in order, of packets sent a millisecond apart.
    fn run(impairment: Impairment, seed: u64) -> (Vec<(u16, u64)>, LineTotals) {
        let mut line = Line::new(impairment, 1, seed);
        let mut arrived = Vec::new();
        let number = |bytes: &[u8]| u16::from_be_bytes([bytes[2], bytes[3]]);
        for sent in 0..PACKETS {
            let now_ns = u64::from(sent) * SPACING_NS;
            while let Some(packet) = line.pop(now_ns) {
                arrived.push((number(&packet.bytes), packet.received_at_ns.unwrap()));
            }
            if line.passes(now_ns, 0, &packet(sent), Some(now_ns)) {
                arrived.push((sent, now_ns));
            }
            while let Some(packet) = line.pop(now_ns) {
                arrived.push((number(&packet.bytes), packet.received_at_ns.unwrap()));
            }
        }
        while let Some(packet) = line.pop(u64::MAX) {
            arrived.push((number(&packet.bytes), packet.received_at_ns.unwrap()));
        }
        assert_eq!(line.queued_bytes, 0);
        (arrived, line.totals())
    }

    fn share(count: u64) -> f64 {
        f64::from(u32::try_from(count).unwrap()) / f64::from(PACKETS)
    }

    #[test]
    fn loss_is_of_its_share_and_length() {
        for burst in [1.0, 4.0] {
            let loss = Impairment { loss: 0.1, loss_burst: burst, ..Impairment::default() };
            let (arrived, totals) = run(loss, 7);
            assert!((0.09..0.11).contains(&share(totals.lost_media)), "{totals:?}");
            assert_eq!(arrived.len() + usize::try_from(totals.lost_media).unwrap(), usize::from(PACKETS));
            let gaps: Vec<u16> =
                arrived.windows(2).map(|pair| pair[1].0 - pair[0].0 - 1).filter(|gap| *gap > 0).collect();
            let mean =
                share(totals.lost_media) * f64::from(PACKETS) / f64::from(u32::try_from(gaps.len()).unwrap());
            // Losses that are independent still come in rows of 1 / 0.9.
            let expected = if burst > 1.0 { burst } else { 1.0 / 0.9 };
            assert!((expected * 0.9..expected * 1.1).contains(&mean), "{mean}");
        }
    }

    #[test]
    fn the_same_seed_loses_the_same() {
        let loss = Impairment { loss: 0.3, loss_burst: 2.0, jitter_ns: 9_000_000, ..Impairment::default() };
        assert_eq!(run(loss, 1), run(loss, 1));
        assert_ne!(run(loss, 1), run(loss, 2));
    }

    #[test]
    fn delay_and_jitter_keep_the_order() {
        let late = Impairment { delay_ns: 20_000_000, jitter_ns: 10_000_000, ..Impairment::default() };
        let (arrived, totals) = run(late, 3);
        assert_eq!((arrived.len(), totals.reordered), (usize::from(PACKETS), 0));
        for (index, (number, at_ns)) in arrived.iter().enumerate() {
            assert_eq!(usize::from(*number), index);
            let took_ns = at_ns - u64::from(*number) * SPACING_NS;
            assert!((20_000_000..=30_000_000).contains(&took_ns), "{took_ns}");
        }
    }

    #[test]
    fn what_is_reordered_is_overtaken_by_one_to_three_and_not_lost() {
        let reorder = Impairment { reorder: 0.05, ..Impairment::default() };
        let (arrived, totals) = run(reorder, 5);
        assert_eq!(arrived.len(), usize::from(PACKETS));
        assert!((0.04..0.06).contains(&share(totals.reordered)), "{totals:?}");
        let mut highest = 0;
        let mut late = [0_u64; 4];
        for (number, _) in &arrived {
            if *number < highest {
                late[usize::from(highest - number)] += 1;
            }
            highest = highest.max(*number);
        }
        assert!(late[1..].iter().all(|count| *count > 100), "{late:?}");
        // The last may have had nobody behind it.
        assert!(totals.reordered - late.iter().sum::<u64>() <= 1);
    }

    #[test]
    fn duplicates_come_right_after_their_originals() {
        let duplicate = Impairment { duplicate: 0.1, ..Impairment::default() };
        let (arrived, totals) = run(duplicate, 5);
        let twice = arrived.windows(2).filter(|pair| pair[0].0 == pair[1].0).count();
        assert_eq!(u64::try_from(twice).unwrap(), totals.duplicated);
        assert!((0.09..0.11).contains(&share(totals.duplicated)));
    }

    #[test]
    fn too_much_on_its_way_is_lost() {
        let late = Impairment { delay_ns: 2_000_000_000, ..Impairment::default() };
        let mut line = Line::new(late, 1, 1);
        let packet = vec![0x80; 1 << 20];
        for _ in 0..70 {
            assert!(!line.passes(0, 0, &packet, None));
        }
        assert_eq!(line.totals().overflowed, 6);
        assert_eq!(std::iter::from_fn(|| line.pop(u64::MAX)).count(), 64);
    }

    #[test]
    fn clients_and_feedback_are_told_apart() {
        let loss = Impairment { loss: 0.5, loss_burst: 1.0, ..Impairment::default() };
        let mut line = Line::new(loss, 2, 1);
        let fates: Vec<Vec<bool>> =
            [0, 1].map(|client| (0..64).map(|_| line.passes(0, client, &[0x80, 200], None)).collect()).into();
        assert_ne!(fates[0], fates[1]);
        assert_eq!((line.totals().offered_feedback, line.totals().offered_media), (128, 0));
        assert_eq!(line.totals().lost_media, 0);
    }
}
