//! What the kernel alone asks for a packet: the price any SFU on this machine pays at least.
//!
//! The floor sends to the very sockets the worker's packets go to, drained by the same thread, in turns
//! with the worker, so that the machine's mood, loopback delivery and the receivers' share are the same
//! in both figures. The floor proper is the sends alone (thread CPU time around them), without the
//! sleeping and waking between bursts and without any copying of payload: a low floor is an unkind one
//! for the worker. A program that sends at a rhythm must also sleep and wake; what its thread used in all
//! is told beside it.

use std::io;
use std::net::{SocketAddr, UdpSocket};

use serde::Serialize;

use crate::net;
use crate::subscriber::FLOOR_SSRC;
use crate::sys::{
    Destination, SEND_BATCH, monotonic_ns, send_batch, send_to, send_train, set_precise_timers, sleep_until,
    thread_cpu_ns,
};

/// Datagrams on their way to the receive thread before a saturated run lets it catch up: far below what
/// the receive buffers hold.
const OUTSTANDING_MAX: u64 = 4096;
/// How long it lets it catch up at a time.
const CATCH_UP_NS: u64 = 300_000;
/// Turns without progress after which lost datagrams are given up on.
const CATCH_UP_TURNS: u32 = 50;
const LONGEST_TRAIN: usize = 8;

/// A way to hand packets to the kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Method {
    /// One system call per packet, what a libuv worker does.
    SendTo,
    /// Up to 64 packets per system call.
    SendMmsg,
    /// Four packets of one size to one destination in one buffer (UDP_SEGMENT).
    Segment4,
    /// Eight of them.
    Segment8,
}

impl Method {
    pub(crate) const ALL: [Self; 4] = [Self::SendTo, Self::SendMmsg, Self::Segment4, Self::Segment8];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::SendTo => "sendto",
            Self::SendMmsg => "sendmmsg",
            Self::Segment4 => "UDP_SEGMENT 4",
            Self::Segment8 => "UDP_SEGMENT 8",
        }
    }

    /// Packets each destination gets per round.
    fn train(self) -> usize {
        match self {
            Self::SendTo | Self::SendMmsg => 1,
            Self::Segment4 => 4,
            Self::Segment8 => LONGEST_TRAIN,
        }
    }
}

/// The rhythm of a scenario: what arrives together and how often.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(crate) struct Rhythm {
    /// Packets that arrive together, each then sent to every destination.
    pub(crate) burst_packets: usize,
    pub(crate) period_ns: u64,
    pub(crate) destinations: usize,
}

/// One measurement.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Cost {
    pub(crate) packets: u64,
    /// Spent in the sends.
    pub(crate) cpu_ns: u64,
    /// Spent by the thread in all, its sleeps and wake-ups between the sends included.
    pub(crate) thread_ns: u64,
}

impl Cost {
    #[allow(clippy::cast_precision_loss, reason = "counts of a short run")]
    pub(crate) fn ns_per_packet(self) -> Option<f64> {
        (self.packets > 0).then(|| self.cpu_ns as f64 / self.packets as f64)
    }

    #[allow(clippy::cast_precision_loss, reason = "counts of a short run")]
    pub(crate) fn thread_ns_per_packet(self) -> Option<f64> {
        (self.packets > 0).then(|| self.thread_ns as f64 / self.packets as f64)
    }
}

/// Sends the floor's datagrams.
#[derive(Debug)]
pub(crate) struct Floor {
    socket: UdpSocket,
    destinations: Vec<Destination>,
    packet_bytes: usize,
    /// Room for the longest train.
    train: Vec<u8>,
}

impl Floor {
    /// `packet_bytes` as the scenario's packets to the receivers have.
    pub(crate) fn new(destinations: &[SocketAddr], packet_bytes: usize) -> io::Result<Self> {
        let destinations = destinations.iter().map(|to| Destination::new(*to)).collect::<Result<_, _>>()?;
        let mut packet = vec![0x55; packet_bytes];
        packet[0] = 0x80;
        packet[8..12].copy_from_slice(&FLOOR_SSRC.to_be_bytes());
        Ok(Self {
            socket: net::sending_socket()?,
            destinations,
            packet_bytes,
            train: packet.repeat(LONGEST_TRAIN),
        })
    }

    fn packet(&self) -> &[u8] {
        &self.train[..self.packet_bytes]
    }

    /// Sends at the scenario's own rhythm for `duration_ns`, one `sendto` per packet.
    pub(crate) fn paced(&self, rhythm: Rhythm, duration_ns: u64) -> io::Result<Cost> {
        set_precise_timers();
        let mut cost = Cost::default();
        let started_ns = thread_cpu_ns();
        let mut next_destination = 0;
        let mut next_ns = monotonic_ns();
        let end_ns = next_ns + duration_ns;
        while next_ns < end_ns {
            let before_ns = thread_cpu_ns();
            for _ in 0..rhythm.burst_packets {
                for offset in 0..rhythm.destinations {
                    let to = (next_destination + offset) % self.destinations.len();
                    send_to(&self.socket, self.packet(), &self.destinations[to])?;
                }
            }
            cost.cpu_ns += thread_cpu_ns() - before_ns;
            cost.packets += u64::try_from(rhythm.burst_packets * rhythm.destinations).unwrap_or(0);
            // Rooms take turns: the next burst goes to the next destinations.
            next_destination = (next_destination + rhythm.destinations) % self.destinations.len();
            next_ns += rhythm.period_ns;
            sleep_until(next_ns);
        }
        cost.thread_ns = thread_cpu_ns() - started_ns;
        Ok(cost)
    }

    /// Sends without a pause for `duration_ns`, except to let the receivers catch up, which is not
    /// charged. `received` tells how many floor packets have arrived since some moment.
    pub(crate) fn saturated(
        &self,
        method: Method,
        duration_ns: u64,
        received: &dyn Fn() -> u64,
    ) -> io::Result<Cost> {
        let mut cost = Cost::default();
        let end_ns = monotonic_ns() + duration_ns;
        let received_before = received();
        while monotonic_ns() < end_ns {
            let before_ns = thread_cpu_ns();
            self.round(method)?;
            cost.cpu_ns += thread_cpu_ns() - before_ns;
            cost.packets += u64::try_from(self.destinations.len() * method.train()).unwrap_or(0);
            catch_up(cost.packets + received_before, received);
        }
        Ok(cost)
    }

    /// One train or packet to each destination.
    fn round(&self, method: Method) -> io::Result<()> {
        match method {
            Method::SendTo => {
                for to in &self.destinations {
                    send_to(&self.socket, self.packet(), to)?;
                }
            }
            Method::SendMmsg => {
                let packets = [self.packet(); SEND_BATCH];
                for chunk in self.destinations.chunks(SEND_BATCH) {
                    let sent = send_batch(&self.socket, &packets[..chunk.len()], chunk)?;
                    for to in chunk.get(sent..).unwrap_or_default() {
                        send_to(&self.socket, self.packet(), to)?;
                    }
                }
            }
            Method::Segment4 | Method::Segment8 => {
                let segment = u16::try_from(self.packet_bytes).unwrap_or(u16::MAX);
                let bytes = &self.train[..self.packet_bytes * method.train()];
                for to in &self.destinations {
                    send_train(&self.socket, bytes, segment, to)?;
                }
            }
        }
        Ok(())
    }
}

/// Waits until the receivers are less than a bound behind `sent`, or no longer progress.
fn catch_up(sent: u64, received: &dyn Fn() -> u64) {
    let mut seen = received();
    let mut turns = 0;
    while sent.saturating_sub(seen) > OUTSTANDING_MAX && turns < CATCH_UP_TURNS {
        sleep_until(monotonic_ns() + CATCH_UP_NS);
        let now = received();
        turns = if now == seen { turns + 1 } else { 0 };
        seen = now;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::impair::Network;
    use crate::subscriber::{Receiver, Subscriber};

    fn receivers(count: usize, gro: bool) -> (Receiver, Vec<SocketAddr>) {
        let sockets: Vec<UdpSocket> = (0..count).map(|_| net::receiving_socket(gro).unwrap()).collect();
        let addresses = sockets.iter().map(|socket| socket.local_addr().unwrap()).collect();
        let subscribers = sockets
            .into_iter()
            .map(|socket| Subscriber { socket, worker: None, srtp: None, client: None })
            .collect();
        (Receiver::start(subscribers, Vec::new(), gro, &Network::default()).unwrap(), addresses)
    }

    #[test]
    fn every_method_delivers_what_it_counts() {
        for gro in [false, true] {
            let (receiver, addresses) = receivers(3, gro);
            let floor = Floor::new(&addresses, 1200).unwrap();
            let received = || receiver.account().totals().floor_packets;
            let mut sent = 0;
            for method in Method::ALL {
                let cost = floor.saturated(method, 2_000_000, &received).unwrap();
                assert!(cost.ns_per_packet().is_some());
                sent += cost.packets;
            }
            let rhythm = Rhythm { burst_packets: 2, period_ns: 1_000_000, destinations: 2 };
            let paced = floor.paced(rhythm, 10_000_000).unwrap();
            assert_eq!(paced.packets, 10 * 4);
            sent += paced.packets;
            // Whoever shares the machine may keep the receiver waiting: nothing is lost by that.
            let patience = monotonic_ns() + 10_000_000_000;
            while received() < sent && monotonic_ns() < patience {
                sleep_until(monotonic_ns() + CATCH_UP_NS);
            }
            assert_eq!((received(), receiver.socket_drops()), (sent, 0));
        }
    }
}
