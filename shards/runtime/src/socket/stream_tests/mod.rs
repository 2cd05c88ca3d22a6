//! Connections without an Sfu: real ones of loopback through a real ring.

mod closing;
mod handing_over;
mod receiving;
mod sending;

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
