//! Many requests under way, controllers that do not read, shards that are slow: nobody waits for somebody else.

use std::net::{Ipv4Addr, UdpSocket};
use std::time::Duration;

use ringsoup_fbs::fbs::request::Method;
use ringsoup_fbs::fbs::{consumer, producer};
use ringsoup_tests::channel::{Channel, Frame};
use ringsoup_tests::media::{self, Codec};
use ringsoup_tests::request;
use ringsoup_tests::worker::{Launch, Worker};

/// Bytes a worker may grow by while its controller does not read: the channel's and the shards' queues, full of the
/// largest things that tests put there.
const GROWTH_MAX: usize = 64 << 20;

fn two_shards() -> Worker {
    Launch::default().env("RINGSOUP_SHARDS", "2").run()
}

/// The next response's id; it must be an acceptance.
fn answered(frame: &Frame) -> Option<u32> {
    let response = frame.response()?;
    assert!(response.accepted(), "{:?}", response.reason());
    Some(response.id())
}

/// Ids of the next `count` responses, in order.
fn answers(channel: &mut Channel, count: usize) -> Vec<u32> {
    let mut ids = Vec::with_capacity(count);
    while ids.len() < count {
        ids.extend(answered(&channel.wait_for("a response", |frame| frame.response().is_some())));
    }
    ids
}

#[test]
fn ten_thousand_requests_are_taken_without_reading_a_reply() {
    const COUNT: u32 = 10_000;
    let mut worker = two_shards();
    let channel = &mut worker.channel;
    channel.accepted(&request::create_router(1, "r1"));
    channel.accepted(&request::create_router(2, "r2"));
    let ids = 10..10 + COUNT;
    let request = |id: u32| match id % 3 {
        0 => request::plain(id, Method::ROUTER_DUMP, "r1"),
        1 => request::plain(id, Method::ROUTER_DUMP, "r2"),
        _ => request::plain(id, Method::WORKER_GET_RESOURCE_USAGE, ""),
    };
    channel.send(&ids.clone().flat_map(request).collect::<Vec<u8>>());
    let answered = answers(channel, ids.len());
    // What has one place to be answered from is answered in order.
    for place in 0..3 {
        let of_place =
            |ids: &mut dyn Iterator<Item = u32>| ids.filter(|id| id % 3 == place).collect::<Vec<_>>();
        assert_eq!(of_place(&mut answered.iter().copied()), of_place(&mut ids.clone()));
    }
}

#[test]
fn requests_wait_in_the_pipe_while_their_replies_are_not_read() {
    const COUNT: u32 = 6_000;
    /// Makes a reply of about 10 KiB and a request of about 200 bytes: neither all of the one nor all of the other fit
    /// into the queues on their way.
    const TRANSPORTS: u32 = 60;
    let mut worker = Launch::default().run();
    let router = "r".repeat(120);
    worker.channel.accepted(&request::create_router(1, &router));
    for index in 0..TRANSPORTS {
        let name = format!("{}{index}", "t".repeat(120));
        worker.channel.accepted(&request::create_direct_transport(2, &router, &name));
    }
    let before = worker.resident_bytes();
    let mut pipe = worker.channel.writing_end();
    let writer = std::thread::spawn(move || {
        use std::io::Write as _;
        for id in 10..10 + COUNT {
            pipe.write_all(&request::plain(id, Method::ROUTER_DUMP, &router)).unwrap();
        }
    });
    // Long enough for a worker that read on to take all of them.
    std::thread::sleep(Duration::from_millis(1_500));
    assert!(!writer.is_finished(), "nobody reads requests whose replies nobody takes");
    let grown = worker.resident_bytes().saturating_sub(before);
    assert!(grown < GROWTH_MAX, "{grown} bytes more");
    assert_eq!(answers(&mut worker.channel, COUNT as usize), (10..10 + COUNT).collect::<Vec<_>>());
    writer.join().unwrap();
}

/// An Opus producer on one plain transport, consumed on another.
struct Call {
    sender: UdpSocket,
    receiver: UdpSocket,
}

const SSRC: u32 = 1_000;

/// A socket that talks to a new comedia transport.
fn talker(channel: &mut Channel, transport: &str) -> UdpSocket {
    let created = channel.accepted(&request::create_plain_transport(100, "r1", transport, "127.0.0.1", 0));
    let dump = created.response().and_then(|response| response.body_as_plain_transport_dump_response());
    let port = dump.unwrap().tuple().local_port();
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    socket.connect((Ipv4Addr::LOCALHOST, port)).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    socket
}

impl Call {
    fn start(channel: &mut Channel) -> Self {
        channel.accepted(&request::create_router(101, "r1"));
        let (sender, receiver) = (talker(channel, "sending"), talker(channel, "receiving"));
        channel.accepted(&media::produce(102, "sending", "p", Codec::Opus, SSRC));
        channel.accepted(&media::consume(103, "receiving", "c", Codec::Opus, ("p", SSRC), 7));
        // The transport learns where its receiver is from the first packet it gets.
        receiver.send(&media::opus_packet(1, 99)).unwrap();
        channel.event("receiving", ringsoup_fbs::fbs::notification::Event::PLAINTRANSPORT_TUPLE);
        Self { sender, receiver }
    }

    fn send(&self, sequence_number: u16) {
        self.sender.send(&media::opus_packet(sequence_number, SSRC)).unwrap();
    }

    /// Whether a packet has come in time.
    fn receives(&self) -> bool {
        self.receiver.recv(&mut [0; 2_048]).is_ok()
    }

    /// Packets that have come by now.
    fn drain(&self) -> u32 {
        self.receiver.set_nonblocking(true).unwrap();
        let count = std::iter::repeat_with(|| self.receives()).take_while(|came| *came).count();
        self.receiver.set_nonblocking(false).unwrap();
        u32::try_from(count).unwrap()
    }
}

/// What a worker's shards counted under a name.
fn counted(channel: &mut Channel, name: &str) -> u64 {
    let frame = channel.accepted(&request::worker_dump(200));
    let dump = frame.response().and_then(|response| response.body_as_worker_dump_response()).unwrap();
    let shards = dump.ringsoup_shards().unwrap();
    let counters = shards.iter().filter_map(|shard| shard.io());
    counters
        .flat_map(|io| io.iter())
        .filter(|counter| counter.name() == name)
        .map(|counter| counter.value())
        .sum()
}

#[test]
fn media_flow_while_the_controller_does_not_read() {
    /// Two traces of each are more than what all queues on the way hold.
    const PACKETS: u32 = 20_000;
    /// A busy machine loses some.
    const SENT_MAX: u32 = 20 * PACKETS;
    let mut worker = Launch::default().run();
    let channel = &mut worker.channel;
    let call = Call::start(channel);
    channel.accepted(&media::trace_producer(104, "p", &[producer::TraceEventType::RTP]));
    channel.accepted(&media::trace_consumer(105, "c", &[consumer::TraceEventType::RTP]));
    call.send(1);
    assert!(call.receives());
    let before = worker.resident_bytes();
    let mut sequence_number = 1_u16;
    let mut next = || {
        sequence_number = sequence_number.wrapping_add(1);
        sequence_number
    };
    let mut received = 0;
    for sent in 1..SENT_MAX {
        call.send(next());
        if sent % 32 == 0 {
            std::thread::sleep(Duration::from_millis(1));
            received += call.drain();
        }
        if received > PACKETS {
            break;
        }
    }
    assert!(received > PACKETS, "{received}");
    std::thread::sleep(Duration::from_millis(200));
    call.drain();
    // All is full now, and packets come through one by one.
    for number in 0..50 {
        call.send(next());
        assert!(call.receives(), "packet {number}");
    }
    let grown = worker.resident_bytes().saturating_sub(before);
    assert!(grown < GROWTH_MAX, "{grown} bytes more");
    assert!(worker.is_alive());
    let channel = &mut worker.channel;
    channel.send(&request::plain(200, Method::WORKER_GET_RESOURCE_USAGE, ""));
    let mut traces = 0_u32;
    // One by one, because all of them together may take a busy machine longer than anything should.
    while channel.wait_for("what was queued", |_| true).response().is_none() {
        traces += 1;
    }
    assert!(counted(channel, "events_lost") > 0, "the queues were not full");
    assert!(traces > 1_000 && traces < 2 * PACKETS, "{traces}");
    // And what is told from now on comes again.
    call.send(next());
    channel.event("c", ringsoup_fbs::fbs::notification::Event::CONSUMER_TRACE);
}

#[test]
fn a_slow_shard_delays_nobody_elses_replies() {
    /// Far more than a shard's own queue takes.
    const FLOOD: u32 = 16_000;
    /// Each is looked at by every request of the flood.
    const CONSUMERS: u32 = 400;
    let mut worker = two_shards();
    let channel = &mut worker.channel;
    channel.accepted(&request::create_router(1, "slow"));
    channel.accepted(&request::create_router(2, "quick"));
    channel.accepted(&request::create_direct_transport(3, "slow", "t"));
    channel.accepted(&media::produce(4, "t", "p", Codec::Opus, SSRC));
    for index in 0..CONSUMERS {
        let name = format!("c{index}");
        channel.accepted(&media::consume(5, "t", &name, Codec::Opus, ("p", SSRC), 10_000 + index));
    }
    let flood = 100..100 + FLOOD;
    let stats = |id| request::plain(id, Method::TRANSPORT_GET_STATS, "t");
    channel.send(&flood.clone().flat_map(stats).collect::<Vec<u8>>());
    // What is gathered from all shards waits for the slow one, and nothing behind it does.
    channel.send(&request::worker_dump(98));
    channel.send(&request::plain(99, Method::ROUTER_DUMP, "quick"));
    channel.response(99);
    let mut slow = channel.skipped();
    let is_of_flood = |frame: &Frame| answered(frame).is_some_and(|id| id != 98);
    assert!(slow.iter().all(|frame| frame.response().is_none() || is_of_flood(frame)));
    slow.retain(is_of_flood);
    let before = slow.iter().filter_map(answered).count();
    assert!(before < FLOOD as usize / 2, "answered after {before} of {FLOOD} requests to another shard");
    let rest = answers(channel, FLOOD as usize - before + 1);
    assert!(rest.ends_with(&[flood.end - 1, 98]), "and none of them is lost");
}
