//! Connections without an Sfu: real ones of loopback through a real ring.

use std::io::{Read as _, Write as _};
use std::net::{IpAddr, Ipv4Addr, TcpStream};
use std::time::Duration;

use ringsoup_rtc::stream_framing::{FRAME_BYTES_MAX, Frame, FrameTooLong, length_prefix};
use ringsoup_rtc::time::Time;
use ringsoup_sfu::outbox::{Destination, Lane, Outbox, Route, Shared};
use ringsoup_sfu::sockets::{BoundSocket, PortChoice, SocketId, Sockets as _, TcpListen};

use super::batch::Transmit;
use super::connections::HandedConnection;
use super::port_book::PortBook;
use super::{OpenSocket, ShardSockets};
use crate::buffers::ReceiveBuffers;
use crate::io_report::IoReport;
use crate::ring::{Completion, Operation, RingPoller, Wait};
use crate::test_allocations::allocations_of;

/// Waits for something that must come.
const PATIENCE: Duration = Duration::from_secs(5);
/// One look, which may find nothing.
const GLANCE: Duration = Duration::from_millis(5);
const LOCALHOST: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// What a shard's driver does, with a list in place of the Sfu.
struct Rig {
    sockets: ShardSockets,
    transmit: Transmit,
    buffers: ReceiveBuffers,
    out: Outbox,
    report: IoReport,
    now: Time,
    accepted: Vec<SocketId>,
    frames: Vec<(SocketId, Vec<u8>)>,
    ended: Vec<(SocketId, i32)>,
    too_long: Vec<FrameTooLong>,
    /// The first frame of this content has its connection leave.
    leaves_at: Option<Vec<u8>>,
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
            now: Time::ZERO,
            accepted: Vec::new(),
            frames: Vec::new(),
            ended: Vec::new(),
            too_long: Vec::new(),
            leaves_at: None,
        }
    }

    fn listen(&mut self) -> BoundSocket {
        let port = PortChoice::Fixed(0);
        let request =
            TcpListen { ip: LOCALHOST, port, ipv6_only: false, send_buffer_size: 0, recv_buffer_size: 0 };
        self.sockets.listen_tcp(&request).unwrap()
    }

    fn connect(&mut self, listener: BoundSocket) -> (TcpStream, SocketId) {
        let client = TcpStream::connect(listener.local).unwrap();
        client.set_read_timeout(Some(PATIENCE)).unwrap();
        client.set_nodelay(true).unwrap();
        let known = self.accepted.len();
        self.pump_until(|rig| rig.accepted.len() > known);
        (client, *self.accepted.last().unwrap())
    }

    fn pump_until(&mut self, is_done: impl Fn(&Self) -> bool) {
        for _ in 0..1_000 {
            if is_done(self) {
                return;
            }
            self.pump(GLANCE);
        }
        panic!("it does not come: {:?}", self.report);
    }

    /// One turn.
    fn pump(&mut self, timeout: Duration) {
        self.sockets.ring.wait(Wait { timeout, gather: Duration::ZERO }).unwrap();
        let mut completions: Vec<Completion> = Vec::with_capacity(256);
        self.sockets.ring.drain(&mut completions);
        for completion in completions {
            match completion.operation {
                Operation::Accept { slot, generation } => self.accept(completion, slot, generation),
                Operation::Stream { slot, generation } => self.read(completion, slot, generation),
                Operation::Writable { slot, generation } => self.sockets.note_writable(slot, generation),
                _ => {}
            }
        }
        self.flush();
    }

    fn accept(&mut self, completion: Completion, slot: u32, generation: u32) {
        let connection = completion.connection().unwrap();
        if self.sockets.is_current(slot, generation) {
            let accepted = self.sockets.accept(SocketId(slot), connection, self.now);
            self.accepted.extend(accepted.ok().map(|(id, _)| id));
        }
    }

    fn read(&mut self, completion: Completion, slot: u32, generation: u32) {
        let current = self.sockets.is_current(slot, generation);
        if let Some(id) = completion.buffer {
            let received = self.buffers.bytes(id, usize::try_from(completion.result).unwrap_or(0)).to_vec();
            if current {
                self.take(slot, generation, received);
            }
            self.buffers.recycle(id);
        }
        if completion.more || !self.sockets.is_current(slot, generation) || self.sockets.receive_ended(slot) {
            return;
        }
        if completion.result > 0 || completion.result == -libc::ENOBUFS {
            self.sockets.rearm(slot, generation, false).unwrap();
        } else {
            self.ended.push((SocketId(slot), completion.result));
            self.sockets.close(SocketId(slot));
        }
    }

    fn take(&mut self, slot: u32, generation: u32, mut bytes: Vec<u8>) {
        let mut received = &mut bytes[..];
        let Some(mut reading) = self.sockets.begin_read(slot, received) else { return };
        loop {
            let longest = self.sockets.longest_frame(slot);
            let memory = &mut self.sockets.connections.memory;
            match reading.deframer.next(&mut received, longest, memory) {
                Ok(Some(frame)) => {
                    if self.leaves_at.as_deref() == Some(&*frame) {
                        self.leaves_at = None;
                        assert!(self.sockets.release_connection(SocketId(slot), &frame));
                    } else {
                        self.frames.push((SocketId(slot), frame.to_vec()));
                    }
                    if let Frame::Gathered(bytes) = frame {
                        self.sockets.connections.memory.give_back(bytes);
                    }
                    if self.sockets.is_leaving(slot) {
                        break;
                    }
                }
                Ok(None) => break,
                Err(error) => {
                    self.too_long.push(error);
                    self.sockets.abort_connection(SocketId(slot));
                    break;
                }
            }
        }
        self.sockets.end_read(slot, generation, reading, received);
    }

    fn push(&mut self, lane: u32, socket: SocketId, bytes: &[u8], tail: Shared) {
        let destination = Destination { lane: Lane(lane), route: Route::Socket { socket, remote: None } };
        assert!(self.out.push(destination, bytes.len(), tail, |slot| {
            slot.copy_from_slice(bytes);
            Some(bytes.len())
        }));
    }

    fn flush(&mut self) {
        self.transmit.flush(&self.out, &mut self.sockets, &mut self.report).unwrap();
        self.transmit.flush_streams(&self.out, &mut self.sockets, self.now, &mut self.report).unwrap();
        self.out.clear_datagrams();
        self.sockets.release_closed().unwrap();
    }

    fn held(&self, name: &str) -> u64 {
        self.sockets.held().into_iter().find(|(known, _)| *known == name).unwrap().1
    }

    fn released(&mut self) -> (SocketId, HandedConnection) {
        for _ in 0..1_000 {
            if let Some(released) = self.sockets.take_released() {
                return released;
            }
            self.pump(GLANCE);
        }
        panic!("not released");
    }
}

fn framed(frame: &[u8]) -> Vec<u8> {
    [&length_prefix(frame.len()).unwrap()[..], frame].concat()
}

/// A frame that can be told from every other.
fn numbered(number: usize, len: usize) -> Vec<u8> {
    let mut bytes = vec![u8::try_from(number % 251).unwrap(); len.max(4)];
    bytes[..4].copy_from_slice(&u32::try_from(number).unwrap().to_be_bytes());
    bytes
}

fn read_frame(client: &mut TcpStream) -> Vec<u8> {
    let mut prefix = [0; 2];
    client.read_exact(&mut prefix).unwrap();
    let mut frame = vec![0; usize::from(u16::from_be_bytes(prefix))];
    client.read_exact(&mut frame).unwrap();
    frame
}

fn number_of(frame: &[u8]) -> usize {
    let number = usize::try_from(u32::from_be_bytes(frame[..4].try_into().unwrap())).unwrap();
    assert_eq!(frame, numbered(number, frame.len()), "a torn frame");
    number
}

fn end_of(client: &mut TcpStream) {
    let mut rest = Vec::new();
    // A reset is an end too.
    let _ = client.read_to_end(&mut rest);
    assert_eq!(rest, b"");
}

#[test]
fn a_stream_cut_at_every_byte_brings_the_same_frames() {
    let mut rig = Rig::new();
    let listener = rig.listen();
    let frames = [numbered(1, 20), numbered(2, 300), numbered(3, 4)];
    let stream = frames.iter().flat_map(|frame| framed(frame)).collect::<Vec<_>>();
    let (mut client, connection) = rig.connect(listener);
    for cut in 1..stream.len() {
        client.write_all(&stream[..cut]).unwrap();
        rig.pump(GLANCE);
        client.write_all(&stream[cut..]).unwrap();
        rig.pump_until(|rig| rig.frames.len() == 3);
        let received: Vec<_> = rig.frames.drain(..).collect();
        assert_eq!(received, frames.clone().map(|frame| (connection, frame)), "cut at {cut}");
        assert_eq!(rig.held("held_partial_bytes"), 0);
    }
    drop(client);
    rig.pump_until(|rig| rig.ended == [(connection, 0)]);
    assert_eq!((rig.held("held_streams"), rig.held("held_strangers"), rig.held("held_sockets")), (0, 0, 1));
}

#[test]
fn the_longest_frames_go_both_ways_once_a_peer_is_known() {
    let mut rig = Rig::new();
    let listener = rig.listen();
    let (mut client, connection) = rig.connect(listener);
    rig.sockets.keep(connection);
    assert_eq!(rig.held("held_strangers"), 0);
    for number in 0..5 {
        let frame = numbered(number, FRAME_BYTES_MAX);
        client.write_all(&framed(&frame)).unwrap();
        rig.pump_until(|rig| rig.frames.len() == number + 1);
        assert_eq!(rig.frames[number].1, frame);
        rig.push(0, connection, &frame, Shared::EMPTY);
        rig.flush();
        let mut back = Vec::new();
        std::thread::scope(|scope| {
            let reader = scope.spawn(|| read_frame(&mut client));
            rig.pump_until(|rig| rig.report.sent_frames == number as u64 + 1);
            back = reader.join().unwrap();
        });
        assert_eq!(back, frame);
    }
    // One byte more has no length to be told by.
    rig.push(0, connection, &vec![0; FRAME_BYTES_MAX + 1], Shared::EMPTY);
    rig.flush();
    assert_eq!(rig.report.stream_failed, 1);
}

#[test]
fn a_stranger_with_a_long_frame_is_shown_out() {
    let mut rig = Rig::new();
    let listener = rig.listen();
    let (mut client, _) = rig.connect(listener);
    client.write_all(&[0x08, 0x01]).unwrap();
    rig.pump_until(|rig| rig.too_long == [FrameTooLong(2_049)]);
    end_of(&mut client);
    assert_eq!((rig.held("held_streams"), rig.held("held_partial_bytes")), (0, 0));
}

#[test]
fn frames_leave_whole_and_in_order() {
    let mut rig = Rig::new();
    let listener = rig.listen();
    let mut clients: Vec<_> = (0..3).map(|_| rig.connect(listener)).collect();
    let tail = rig.out.share(&[7; 900]).unwrap();
    let mut expected = [const { Vec::new() }; 3];
    for number in 0..600 {
        let to = number % 3;
        let tail_here = if number % 2 == 0 { tail } else { Shared::EMPTY };
        let head = numbered(number, 12 + number % 50);
        let body: &[u8] = if number % 2 == 0 { &[7; 900] } else { &[] };
        expected[to].push([&head[..], body].concat());
        rig.push(u32::try_from(to).unwrap(), clients[to].1, &head, tail_here);
    }
    rig.flush();
    for ((client, _), expected) in clients.iter_mut().zip(expected) {
        for frame in expected {
            assert_eq!(read_frame(client), frame);
        }
    }
    assert_eq!((rig.report.sent_frames, rig.report.stream_sends), (600, 3));
}

#[test]
fn two_lanes_to_one_connection_do_not_mix() {
    let mut rig = Rig::new();
    let listener = rig.listen();
    let (mut client, connection) = rig.connect(listener);
    for number in 0..2_000 {
        rig.push(u32::try_from(number % 2).unwrap(), connection, &numbered(number, 100), Shared::EMPTY);
    }
    std::thread::scope(|scope| {
        let reader = scope.spawn(|| (0..2_000).map(|_| number_of(&read_frame(&mut client))).collect());
        rig.flush();
        rig.pump_until(|rig| rig.report.sent_frames == 2_000);
        let numbers: Vec<usize> = reader.join().unwrap();
        assert_eq!(numbers, (0..2_000).step_by(2).chain((1..2_000).step_by(2)).collect::<Vec<_>>());
    });
}

#[test]
fn a_slow_reader_misses_whole_frames_and_no_more() {
    let mut rig = Rig::new();
    let listener = rig.listen();
    let (mut client, connection) = rig.connect(listener);
    let mut sent = 0;
    while rig.report.stream_blocked < 100 {
        for _ in 0..50 {
            rig.push(0, connection, &numbered(sent, 1_200), Shared::EMPTY);
            sent += 1;
        }
        rig.flush();
        assert!(sent < 20_000, "the kernel takes all: {:?}", rig.report);
    }
    assert!(rig.held("held_backlog_bytes") > 0);
    let mut numbers = Vec::new();
    std::thread::scope(|scope| {
        let last = sent;
        let reader = scope.spawn(move || {
            let mut numbers = Vec::new();
            while numbers.last() != Some(&last) {
                numbers.push(number_of(&read_frame(&mut client)));
            }
            numbers
        });
        rig.pump_until(|rig| rig.held("held_backlog_bytes") == 0);
        // With nothing left behind it flows again.
        rig.push(0, connection, &numbered(last, 1_200), Shared::EMPTY);
        rig.flush();
        rig.pump_until(|_| reader.is_finished());
        numbers = reader.join().unwrap();
    });
    assert!(numbers.is_sorted(), "in order");
    let lost = usize::try_from(rig.report.stream_blocked).unwrap();
    assert_eq!(numbers.len() + lost, sent + 1, "{:?}", rig.report);
    assert_eq!(rig.report.sent_frames, numbers.len() as u64);
}

/// To each connection a frame with a payload of its own and one with a payload that all share.
fn talk(rig: &mut Rig, ends: &mut [(TcpStream, SocketId)], bursts: usize) {
    let mut received = [0; 2 * (2 + 1_200)];
    for _ in 0..bursts {
        let tail = rig.out.share(&[7; 1_188]).unwrap();
        for (lane, (_, connection)) in (0..).zip(&*ends) {
            rig.push(lane, *connection, &[5; 1_200], Shared::EMPTY);
            rig.push(lane, *connection, &[6; 12], tail);
        }
        rig.flush();
        for (client, _) in &mut *ends {
            client.read_exact(&mut received).unwrap();
        }
    }
}

#[test]
fn sending_allocates_nothing_until_a_backlog_begins() {
    let mut rig = Rig::new();
    let listener = rig.listen();
    let mut ends: Vec<_> = (0..20).map(|_| rig.connect(listener)).collect();
    talk(&mut rig, &mut ends, 10);
    let made = allocations_of(|| talk(&mut rig, &mut ends, 500));
    assert_eq!((made, rig.report.sent_frames, rig.report.stream_waited), (0, 2 * 20 * 510, 0));
    // One that reads nothing has its frames kept, until it does.
    let (client, connection) = &mut ends[0];
    let mut sent = 0;
    let made = allocations_of(|| {
        while rig.report.stream_waited == 0 {
            rig.push(0, *connection, &[5; 1_200], Shared::EMPTY);
            rig.flush();
            sent += 1;
        }
    });
    assert!(made > 0, "the counter counts");
    std::thread::scope(|scope| {
        let reader = scope.spawn(|| (0..sent).for_each(|_| drop(read_frame(client))));
        rig.pump_until(|_| reader.is_finished());
    });
    assert_eq!(rig.held("held_backlog_bytes"), 0);
    let made = allocations_of(|| talk(&mut rig, &mut ends, 500));
    assert_eq!(made, 0, "nor once a backlog has gone");
}

#[test]
fn what_waited_for_too_long_is_not_sent() {
    let mut rig = Rig::new();
    let listener = rig.listen();
    let (mut client, connection) = rig.connect(listener);
    let mut sent = 0;
    while rig.report.stream_blocked == 0 {
        rig.push(0, connection, &numbered(sent, 1_200), Shared::EMPTY);
        rig.flush();
        sent += 1;
    }
    rig.now = Time::from_millis(1_001);
    rig.push(0, connection, &numbered(sent, 1_200), Shared::EMPTY);
    rig.flush();
    assert!(rig.report.stream_expired > 100);
    std::thread::scope(|scope| {
        let reader = scope.spawn(|| {
            let mut numbers = vec![number_of(&read_frame(&mut client))];
            while numbers.last() != Some(&sent) {
                numbers.push(number_of(&read_frame(&mut client)));
            }
            numbers.len()
        });
        rig.pump_until(|_| reader.is_finished());
        let lost = rig.report.stream_blocked + rig.report.stream_expired;
        assert_eq!(reader.join().unwrap() as u64 + lost, sent as u64 + 1);
    });
}

#[test]
fn what_was_sent_before_a_close_arrives_and_then_the_end() {
    let mut rig = Rig::new();
    let listener = rig.listen();
    for _ in 0..50 {
        let (mut client, connection) = rig.connect(listener);
        rig.push(0, connection, b"good-bye", Shared::EMPTY);
        rig.sockets.send_last(connection, None, b"at once");
        rig.sockets.close(connection);
        rig.sockets.close(connection);
        rig.flush();
        assert_eq!(read_frame(&mut client), b"at once");
        assert_eq!(read_frame(&mut client), b"good-bye");
        end_of(&mut client);
        rig.push(0, connection, b"late", Shared::EMPTY);
        rig.flush();
        assert_eq!((rig.held("held_streams"), rig.held("held_sockets")), (0, 1));
    }
    assert_eq!(rig.report.sent_frames, 50);
}

#[test]
fn a_closed_connection_leaves_nothing_to_its_successor() {
    let mut rig = Rig::new();
    let listener = rig.listen();
    for round in 0..40 {
        let (mut client, connection) = rig.connect(listener);
        client.write_all(&framed(b"for the first")).unwrap();
        client.write_all(&[0, 9, 1]).unwrap();
        match round % 4 {
            // What it received is a completion already.
            0 => rig.sockets.ring.wait(Wait { timeout: PATIENCE, gather: Duration::ZERO }).unwrap(),
            // A part of a frame lies with us.
            1 => rig.pump_until(|rig| rig.held("held_partial_bytes") > 0),
            // The kernel takes no more, and has not told that it does again.
            2 => {
                while rig.held("held_backlog_bytes") == 0 {
                    rig.push(0, connection, &numbered(0, 1_200), Shared::EMPTY);
                    rig.flush();
                }
                drop(client);
            }
            _ => {}
        }
        rig.frames.clear();
        rig.sockets.close(connection);
        rig.push(0, connection, b"for the first", Shared::EMPTY);
        rig.flush();
        let (mut client, successor) = rig.connect(listener);
        assert_eq!(successor, connection, "the place is used again");
        client.write_all(&framed(b"mine")).unwrap();
        rig.pump_until(|rig| !rig.frames.is_empty());
        assert_eq!(rig.frames, [(successor, b"mine".to_vec())]);
        rig.push(0, successor, b"yours", Shared::EMPTY);
        rig.flush();
        assert_eq!(read_frame(&mut client), b"yours");
        rig.sockets.close(successor);
        rig.flush();
        for held in ["held_streams", "held_strangers", "held_partial_bytes", "held_backlog_bytes"] {
            assert_eq!(rig.held(held), 0, "{held} in round {round}");
        }
    }
}

#[test]
fn a_peer_that_resets_ends_its_connection_whatever_waits() {
    let mut rig = Rig::new();
    let listener = rig.listen();
    for waits in [false, true] {
        let (client, connection) = rig.connect(listener);
        while waits && rig.held("held_backlog_bytes") == 0 {
            rig.push(0, connection, &numbered(0, 1_200), Shared::EMPTY);
            rig.flush();
        }
        socket2::SockRef::from(&client).set_linger(Some(Duration::ZERO)).unwrap();
        drop(client);
        // Found out by the one or the other, and told by the receive.
        rig.push(0, connection, b"anyone?", Shared::EMPTY);
        rig.pump_until(|rig| rig.ended.iter().any(|(ended, _)| *ended == connection));
        rig.ended.clear();
        assert_eq!((rig.held("held_streams"), rig.held("held_backlog_bytes")), (0, 0));
    }
}

#[test]
fn more_connections_than_buffers_are_all_read() {
    let mut rig = Rig::new();
    let listener = rig.listen();
    let mut clients: Vec<_> = (0..300).map(|_| rig.connect(listener)).collect();
    for (number, (client, _)) in clients.iter_mut().enumerate() {
        client.write_all(&framed(&numbered(number, 100))).unwrap();
    }
    rig.pump_until(|rig| rig.frames.len() == 300);
    rig.frames.sort_by_key(|(_, frame)| number_of(frame));
    for (number, ((_, connection), received)) in clients.iter().zip(&rig.frames).enumerate() {
        assert_eq!(received, &(*connection, numbered(number, 100)));
    }
}

#[test]
fn connections_have_the_options_of_their_listener() {
    let mut rig = Rig::new();
    let request = TcpListen {
        ip: LOCALHOST,
        port: PortChoice::Fixed(0),
        ipv6_only: false,
        send_buffer_size: 40_000,
        recv_buffer_size: 50_000,
    };
    let listener = rig.sockets.listen_tcp(&request).unwrap();
    let (_client, connection) = rig.connect(listener);
    let Some(OpenSocket::Connection(open)) = &rig.sockets.slots[connection.0 as usize].socket else {
        panic!("no connection")
    };
    assert!(open.socket.tcp_nodelay().unwrap() && open.socket.keepalive().unwrap());
    assert_eq!(open.socket.tcp_user_timeout().unwrap(), Some(Duration::from_secs(30)));
    assert_eq!(open.socket.tcp_notsent_lowat().unwrap(), 64 << 10);
    // The kernel counts its own overhead in.
    assert_eq!(open.socket.send_buffer_size().unwrap(), 80_000);
    assert_eq!(open.socket.recv_buffer_size().unwrap(), 100_000);
}

/// From one shard to the other in the middle of what the peer says.
fn hand_over(before: &[u8], after: &[u8], pumps: usize) {
    let (mut here, mut there) = (Rig::new(), Rig::new());
    let listener = here.listen();
    let (mut client, connection) = here.connect(listener);
    here.leaves_at = Some(b"check".to_vec());
    client.write_all(before).unwrap();
    for _ in 0..pumps {
        here.pump(GLANCE);
    }
    let (released, handed) = here.released();
    assert_eq!((released, handed.remote), (connection, client.local_addr().unwrap()));
    assert_eq!((here.held("held_sockets"), here.held("held_partial_bytes")), (1, 0));
    // What comes while it belongs to nobody waits in the kernel.
    client.write_all(after).unwrap();
    let (adopted, unread) = there.sockets.adopt_connection(handed, Time::ZERO).unwrap();
    there.take(adopted.0, 0, unread);
    there.sockets.keep(adopted);
    let whole = [before, after].concat();
    let (mut rest, mut expected) = (&whole[..], Vec::new());
    while let Some((prefix, behind)) = rest.split_first_chunk::<2>() {
        let (frame, behind) = behind.split_at(usize::from(u16::from_be_bytes(*prefix)));
        expected.push(frame.to_vec());
        rest = behind;
    }
    there.pump_until(|there| here.frames.len() + there.frames.len() == expected.len());
    let frames = here.frames.iter().chain(&there.frames).map(|(_, frame)| frame.clone());
    assert_eq!(frames.collect::<Vec<_>>(), expected);
    assert_eq!(there.frames[0].1, b"check");
    there.push(0, adopted, b"answer", Shared::EMPTY);
    there.flush();
    assert_eq!(read_frame(&mut client), b"answer");
    there.sockets.close(adopted);
    there.flush();
    end_of(&mut client);
    assert_eq!((there.held("held_streams"), there.held("held_partial_bytes")), (0, 0));
}

#[test]
fn a_connection_goes_to_another_shard_with_all_that_was_received() {
    let check = framed(b"check");
    hand_over(&check, &framed(b"media"), 0);
    hand_over(&[&framed(b"noise")[..], &check, &framed(b"media"), &[0, 9, 1]].concat(), &[2; 8], 0);
    hand_over(&[&check[..], &[0]].concat(), &[&[3][..], b"abc"].concat(), 3);
    // More than one receive has brought it.
    let frames: Vec<u8> = (0..500).flat_map(|number| framed(&numbered(number, 1_000))).collect();
    hand_over(&[&check[..], &frames[..100_000]].concat(), &frames[100_000..200_400], 1);
}

#[test]
fn a_connection_that_leaves_may_still_be_closed() {
    let mut rig = Rig::new();
    let listener = rig.listen();
    let (mut client, connection) = rig.connect(listener);
    assert!(rig.sockets.release_connection(connection, b"frame"));
    assert!(!rig.sockets.release_connection(connection, b"again"));
    rig.sockets.close(connection);
    rig.flush();
    rig.pump(GLANCE);
    assert!(rig.sockets.take_released().is_none());
    end_of(&mut client);
    assert!(!rig.sockets.release_connection(connection, b"gone"));
    assert!(!rig.sockets.release_connection(listener.id, b"no connection"));
    assert_eq!(rig.held("held_sockets"), 1);
}

#[test]
fn a_connection_that_nobody_takes_over_is_closed() {
    let mut rig = Rig::new();
    let listener = rig.listen();
    let (mut client, connection) = rig.connect(listener);
    assert!(rig.sockets.release_connection(connection, b""));
    drop(rig.released());
    end_of(&mut client);
}

#[test]
fn a_listener_that_closes_with_its_connections_listens_no_more() {
    for count in [0, 1, 5, 150] {
        let mut rig = Rig::new();
        let listener = rig.listen();
        let mut clients: Vec<_> = (0..count).map(|_| rig.connect(listener)).collect();
        for (client, _) in &mut clients {
            client.write_all(&[0, 3, 1]).unwrap();
        }
        rig.pump(GLANCE);
        clients.iter().for_each(|(_, connection)| rig.sockets.close(*connection));
        rig.sockets.close(listener.id);
        rig.flush();
        clients.iter_mut().for_each(|(client, _)| end_of(client));
        assert!(TcpStream::connect(listener.local).is_err(), "{count} connections");
    }
}
