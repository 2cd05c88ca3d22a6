//! The lower half of a shard without its Sfu: real sockets of loopback through a real ring.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket as StdSocket};
use std::time::Duration;

use ringsoup_sfu::outbox::{Destination, Lane, Outbox, Route, Shared};
use ringsoup_sfu::sockets::{BindError, BoundSocket, PortChoice, SocketId, Sockets as _, UdpBind};

use super::batch::Transmit;
use super::port_book::PortBook;
use super::{ShardSockets, receive};
use crate::buffers::ReceiveBuffers;
use crate::io_report::IoReport;
use crate::ring::{Completion, Operation, RingPoller, Wait};

/// Waits for something that must come.
const PATIENCE: Duration = Duration::from_secs(5);
/// Waits for something that must not.
const SILENCE: Duration = Duration::from_millis(50);

struct Rig {
    sockets: ShardSockets,
    transmit: Transmit,
    buffers: ReceiveBuffers,
    out: Outbox,
    report: IoReport,
    /// Receive completions that carried a datagram or more.
    receives: usize,
    stale: usize,
}

impl Rig {
    fn new() -> Self {
        let buffers = ReceiveBuffers::new().unwrap();
        let ring = RingPoller::new(&buffers).unwrap();
        Self {
            sockets: ShardSockets::new(ring, PortBook::default()),
            transmit: Transmit::default(),
            buffers,
            out: Outbox::default(),
            report: IoReport::default(),
            receives: 0,
            stale: 0,
        }
    }

    fn bind(&mut self, ip: IpAddr) -> BoundSocket {
        self.sockets.bind_udp(&request(ip, PortChoice::Fixed(0))).unwrap()
    }

    /// Datagrams of one wait.
    fn wait(&mut self, timeout: Duration) -> Vec<(SocketId, SocketAddr, Vec<u8>)> {
        self.sockets.ring.wait(Wait { timeout, gather: Duration::ZERO }).unwrap();
        let mut completions: Vec<Completion> = Vec::with_capacity(256);
        self.sockets.ring.drain(&mut completions);
        let mut datagrams = Vec::new();
        for completion in completions {
            let Operation::Receive { slot, generation } = completion.operation else {
                continue;
            };
            let current = self.sockets.is_current(slot, generation);
            if let Some(id) = completion.buffer {
                let bytes = self.buffers.bytes(id, usize::try_from(completion.result).unwrap());
                if current {
                    self.receives += 1;
                    let train = receive::parse(bytes).unwrap();
                    assert!(train.stamp.is_some());
                    for datagram in train.payload.chunks(train.stride) {
                        datagrams.push((SocketId(slot), train.remote, datagram.to_vec()));
                    }
                } else {
                    self.stale += 1;
                }
                self.buffers.recycle(id);
            }
            if current && !completion.more {
                self.sockets.rearm(slot, generation, false).unwrap();
            }
        }
        datagrams
    }

    fn expect(&mut self, count: usize) -> Vec<(SocketId, SocketAddr, Vec<u8>)> {
        let mut datagrams = Vec::new();
        // Some waits end without a datagram: receives that ran out of buffers are armed again.
        for _ in 0..100 {
            datagrams.extend(self.wait(PATIENCE));
            if datagrams.len() >= count {
                return datagrams;
            }
        }
        panic!("{} of {count} datagrams came", datagrams.len());
    }

    fn push(&mut self, destination: Destination, bytes: &[u8], tail: Shared) {
        assert!(self.out.push(destination, bytes.len(), tail, |slot| {
            slot.copy_from_slice(bytes);
            Some(bytes.len())
        }));
    }

    fn flush(&mut self) {
        self.transmit.flush(&self.out, &mut self.sockets, &mut self.report).unwrap();
        self.out.clear_datagrams();
    }
}

const LOCALHOST: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

fn request(ip: IpAddr, port: PortChoice) -> UdpBind {
    UdpBind { ip, port, ipv6_only: false, reuse_port: false, send_buffer_size: 0, recv_buffer_size: 0 }
}

fn peer() -> (StdSocket, SocketAddr) {
    let socket = StdSocket::bind((LOCALHOST, 0)).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    let address = socket.local_addr().unwrap();
    (socket, address)
}

fn receive_one(socket: &StdSocket) -> Vec<u8> {
    let mut buffer = [0; 65_536];
    let len = socket.recv(&mut buffer).unwrap();
    buffer[..len].to_vec()
}

fn destination(lane: u32, socket: SocketId, remote: Option<SocketAddr>) -> Destination {
    Destination { lane: Lane(lane), route: Route::Socket { socket, remote } }
}

/// A datagram that can be told from every other.
fn numbered(number: usize, len: usize) -> Vec<u8> {
    let mut bytes = vec![u8::try_from(number % 251).unwrap(); len];
    bytes[..4].copy_from_slice(&u32::try_from(number).unwrap().to_be_bytes());
    bytes
}

#[test]
fn trains_arrive_as_the_datagrams_they_are() {
    let mut rig = Rig::new();
    let socket = rig.bind(LOCALHOST);
    let (receiver, remote) = peer();
    // Equal sizes, a shorter last one, a longer next one, a lone one.
    let sizes = [1200, 1200, 1200, 700, 1200, 1300, 90, 90, 90, 1400];
    for connected in [false, true] {
        if connected {
            assert!(rig.sockets.connect(socket.id, remote));
        }
        let to = destination(0, socket.id, (!connected).then_some(remote));
        for (number, &size) in sizes.iter().enumerate() {
            rig.push(to, &numbered(number, size), Shared::EMPTY);
        }
        rig.flush();
        for (number, &size) in sizes.iter().enumerate() {
            assert_eq!(receive_one(&receiver), numbered(number, size), "datagram {number}");
        }
    }
    assert_eq!(rig.report.sent_datagrams, 20);
    // [1200×3 700] [1200] [1300 90] [90 90] [1400], twice.
    assert_eq!((rig.report.sends, rig.report.trains), (10, 6));
    assert_eq!(rig.report.send_failed + rig.report.send_blocked, 0);
}

#[test]
fn heads_and_shared_tails_are_joined_on_the_wire() {
    let mut rig = Rig::new();
    let socket = rig.bind(LOCALHOST);
    let receivers: Vec<_> = (0..3).map(|_| peer()).collect();
    let first = rig.out.share(&[7; 1000]).unwrap();
    let second = rig.out.share(&[8; 900]).unwrap();
    for (lane, (_, remote)) in (0_u8..).zip(&receivers) {
        rig.push(destination(lane.into(), socket.id, Some(*remote)), &[lane; 12], first);
        if lane > 0 {
            rig.push(destination(lane.into(), socket.id, Some(*remote)), &[lane; 12], second);
        }
    }
    rig.flush();
    for (lane, (receiver, _)) in (0_u8..).zip(&receivers) {
        let head = [lane; 12];
        assert_eq!(receive_one(receiver), [&head[..], &[7; 1000]].concat());
        if lane > 0 {
            assert_eq!(receive_one(receiver), [&head[..], &[8; 900]].concat());
        }
    }
}

#[test]
fn more_than_one_submission_of_sends_goes_out_whole() {
    let mut rig = Rig::new();
    let socket = rig.bind(LOCALHOST);
    let (receiver, remote) = peer();
    // Growing sizes: no two make a train. Received in steps, below the receiver's own buffer.
    let mut number = 0;
    for _ in 0..30 {
        for size in 0..60 {
            rig.push(
                destination(0, socket.id, Some(remote)),
                &numbered(number + size, 20 + size),
                Shared::EMPTY,
            );
        }
        rig.flush();
        for size in 0..60 {
            assert_eq!(receive_one(&receiver), numbered(number + size, 20 + size));
        }
        number += 60;
    }
    // Lanes beyond the submission queue, one datagram each, to a socket that reads afterwards.
    for lane in 0..3000 {
        rig.push(destination(lane, socket.id, Some(remote)), &[1; 4], Shared::EMPTY);
    }
    rig.flush();
    assert_eq!(rig.report.sends, 1800 + 3000);
}

#[test]
fn a_train_longer_than_the_kernel_takes_is_cut() {
    let mut rig = Rig::new();
    let socket = rig.bind(LOCALHOST);
    let (receiver, remote) = peer();
    for number in 0..150 {
        rig.push(destination(0, socket.id, Some(remote)), &numbered(number, 100), Shared::EMPTY);
    }
    rig.flush();
    for number in 0..150 {
        assert_eq!(receive_one(&receiver), numbered(number, 100));
    }
    // By count: 64 + 64 + 22. By bytes: 54 of 1200 at most.
    assert_eq!(rig.report.trains, 3);
    for number in 0..64 {
        rig.push(destination(0, socket.id, Some(remote)), &numbered(number, 1200), Shared::EMPTY);
    }
    rig.flush();
    assert_eq!(rig.report.trains, 5);
    assert_eq!(rig.report.send_failed, 0);
}

#[test]
fn a_received_train_is_taken_apart_in_order() {
    let mut rig = Rig::new();
    let sender = rig.bind(LOCALHOST);
    let receiver = rig.bind(LOCALHOST);
    for number in 0..20 {
        rig.push(destination(0, sender.id, Some(receiver.local)), &numbered(number, 1100), Shared::EMPTY);
    }
    rig.push(destination(0, sender.id, Some(receiver.local)), &numbered(20, 300), Shared::EMPTY);
    rig.flush();
    let datagrams = rig.expect(21);
    for (number, (socket, remote, bytes)) in datagrams.iter().enumerate() {
        assert_eq!((*socket, *remote), (receiver.id, sender.local));
        assert_eq!(*bytes, numbered(number, if number == 20 { 300 } else { 1100 }));
    }
    assert!(rig.receives < 21, "no receive carried a train");
}

#[test]
fn more_datagrams_than_buffers_all_arrive() {
    let mut rig = Rig::new();
    let bound: Vec<_> = (0..4).map(|_| rig.bind(LOCALHOST)).collect();
    let (sender, _) = peer();
    // Single datagrams do not merge on loopback: each takes a buffer, and 400 are more than there are.
    for number in 0..100 {
        for socket in &bound {
            sender.send_to(&numbered(number, 200), socket.local).unwrap();
        }
    }
    let datagrams = rig.expect(400);
    for socket in &bound {
        let of_one: Vec<_> = datagrams.iter().filter(|(id, ..)| *id == socket.id).collect();
        assert_eq!(of_one.len(), 100);
        for (number, (_, _, bytes)) in of_one.iter().enumerate() {
            assert_eq!(*bytes, numbered(number, 200));
        }
    }
}

#[test]
fn a_closed_socket_leaves_nothing_to_its_successor() {
    let mut rig = Rig::new();
    let (sender, _) = peer();
    for round in 0..50 {
        let socket = rig.bind(LOCALHOST);
        for number in 0..5 {
            sender.send_to(&numbered(number, 100), socket.local).unwrap();
        }
        // Half of the rounds the datagrams are completions already when the socket goes.
        if round % 2 == 0 {
            rig.sockets.ring.wait(Wait { timeout: PATIENCE, gather: Duration::ZERO }).unwrap();
        }
        rig.sockets.close(socket.id);
        let successor = rig.bind(LOCALHOST);
        assert_eq!(successor.id, socket.id, "the place is used again");
        assert_eq!(rig.wait(Duration::from_millis(1)).len(), 0);
        sender.send_to(b"mine", successor.local).unwrap();
        assert_eq!(rig.expect(1), [(successor.id, sender.local_addr().unwrap(), b"mine".to_vec())]);
        rig.sockets.close(successor.id);
    }
    assert!(rig.stale > 0, "the late completions were seen and dropped");
    assert!(rig.wait(SILENCE).is_empty());
}

#[test]
fn a_closed_port_is_free_at_once() {
    let mut rig = Rig::new();
    let first = rig.bind(LOCALHOST);
    for _ in 0..20 {
        let same = PortChoice::Fixed(first.local.port());
        assert!(matches!(rig.sockets.bind_udp(&request(LOCALHOST, same)), Err(BindError::Fixed { .. })));
        rig.sockets.close(first.id);
        let again = rig.sockets.bind_udp(&request(LOCALHOST, same)).unwrap();
        assert_eq!(again, first);
    }
}

#[test]
fn a_connected_socket_hears_only_its_peer() {
    let mut rig = Rig::new();
    let socket = rig.bind(LOCALHOST);
    let (friend, friend_address) = peer();
    let (stranger, _) = peer();
    assert!(rig.sockets.connect(socket.id, friend_address));
    stranger.send_to(b"no", socket.local).unwrap();
    friend.send_to(b"yes", socket.local).unwrap();
    assert_eq!(rig.expect(1), [(socket.id, friend_address, b"yes".to_vec())]);
    assert!(rig.wait(SILENCE).is_empty());
}

#[test]
fn a_peer_that_is_not_there_yet_costs_datagrams_not_the_socket() {
    let mut rig = Rig::new();
    let socket = rig.bind(LOCALHOST);
    let (gone, address) = peer();
    drop(gone);
    assert!(rig.sockets.connect(socket.id, address));
    for _ in 0..100 {
        rig.push(destination(0, socket.id, None), b"anyone?", Shared::EMPTY);
        rig.flush();
        rig.wait(Duration::from_millis(1));
    }
    let late = StdSocket::bind(address).unwrap();
    late.set_read_timeout(Some(PATIENCE)).unwrap();
    // The first may still meet the last ICMP error and is then sent again.
    for _ in 0..2 {
        rig.push(destination(0, socket.id, None), b"hello", Shared::EMPTY);
        rig.flush();
    }
    assert_eq!(receive_one(&late), b"hello");
    late.send_to(b"hi", socket.local).unwrap();
    // A receive that failed too often rests until the next tick.
    rig.sockets.rearm_resting().unwrap();
    assert_eq!(rig.expect(1)[0].2, b"hi");
}

#[test]
fn ipv6_works_where_the_host_has_it() {
    let loopback = IpAddr::V6(Ipv6Addr::LOCALHOST);
    let Ok(receiver) = StdSocket::bind((loopback, 0)) else {
        return;
    };
    receiver.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut rig = Rig::new();
    let socket = rig.bind(loopback);
    let remote = receiver.local_addr().unwrap();
    for number in 0..3 {
        rig.push(destination(0, socket.id, Some(remote)), &numbered(number, 500), Shared::EMPTY);
    }
    rig.flush();
    for number in 0..3 {
        assert_eq!(receive_one(&receiver), numbered(number, 500));
    }
    receiver.send_to(b"six", socket.local).unwrap();
    assert_eq!(rig.expect(1), [(socket.id, remote, b"six".to_vec())]);
}

#[test]
fn sending_on_a_closed_socket_is_nothing() {
    let mut rig = Rig::new();
    let socket = rig.bind(LOCALHOST);
    let (_receiver, remote) = peer();
    rig.push(destination(0, socket.id, Some(remote)), b"late", Shared::EMPTY);
    rig.sockets.close(socket.id);
    rig.flush();
    assert_eq!(rig.report.sends, 0);
    rig.sockets.close(socket.id);
    rig.sockets.close(SocketId(12_345));
}

#[test]
fn a_wait_that_gathers_returns_all_that_came_meanwhile() {
    let mut rig = Rig::new();
    let socket = rig.bind(LOCALHOST);
    let (sender, _) = peer();
    for number in 0..10 {
        sender.send_to(&numbered(number, 100), socket.local).unwrap();
    }
    rig.sockets.ring.wait(Wait { timeout: PATIENCE, gather: Duration::from_millis(1) }).unwrap();
    assert_eq!(rig.expect(10).len(), 10);
}
