use ringsoup_sfu::outbox::{Destination, Lane, Shared};
use ringsoup_sfu::piped::PipeKey;
use ringsoup_sfu::served::{ServerKey, ServerSocket, Word, WordKind};

use super::*;

const KEY: PipeKey = PipeKey(7);

struct Pair {
    mesh: Arc<Mesh>,
    sender: MeshPort,
    receiver: MeshPort,
    report: IoReport,
    clock: Clock,
}

impl Pair {
    fn new() -> Self {
        let mesh = Mesh::new(2);
        let (sender, receiver) = (MeshPort::new(Arc::clone(&mesh), 0), MeshPort::new(Arc::clone(&mesh), 1));
        Self { mesh, sender, receiver, report: IoReport::default(), clock: Clock::start() }
    }

    fn pass(&mut self, shard: u16, packets: &[&[u8]]) {
        self.pass_as(PipedKind::Packet, shard, packets);
    }

    fn pass_as(&mut self, kind: PipedKind, shard: u16, packets: &[&[u8]]) {
        let mut out = Outbox::default();
        let route = Route::Pipe { end: PipeEnd { key: KEY, shard }, kind };
        for packet in packets {
            // A head of its own and a payload that may be others' too.
            let (head, payload) = packet.split_at(packet.len() / 2);
            let shared = out.share(payload).unwrap();
            assert!(out.push(Destination { lane: Lane(3), route }, head.len(), shared, |slot| {
                slot.copy_from_slice(head);
                Some(head.len())
            }));
        }
        self.sender.pass(&out, self.clock, &mut self.report);
    }

    fn taken(&mut self) -> Vec<Vec<u8>> {
        let mut taken = Vec::new();
        while let Some((sender, mut batch)) = self.receiver.take() {
            assert_eq!(sender, 0);
            for passed in batch.packets(sender) {
                let Passed::Piped(piped) = passed else { panic!("not piped: {passed:?}") };
                assert!(piped.to == KEY && piped.passed <= self.clock.now());
                taken.push(piped.bytes.to_vec());
            }
            self.receiver.give_back(sender, batch);
        }
        taken
    }
}

#[test]
fn packets_of_a_flush_arrive_as_one_batch_in_order() {
    let mut pair = Pair::new();
    pair.pass(1, &[b"first", b"second", b"", b"third"]);
    assert_eq!(pair.report.passed_batches, 1);
    assert_eq!(pair.taken(), [&b"first"[..], b"second", b"", b"third"]);
    assert!(pair.taken().is_empty() && !pair.receiver.has_waiting());
}

#[test]
fn a_flush_too_large_for_one_batch_is_several() {
    let mut pair = Pair::new();
    let packet = [7; 1_200];
    pair.pass(1, &[&packet[..]; 100]);
    assert_eq!(pair.report.passed_batches, 2);
    assert_eq!(pair.taken().len(), 100);
    pair.pass(1, &[&packet[..1]; BATCH_PACKETS + 1]);
    assert_eq!(pair.report.passed_batches, 4);
    assert_eq!(pair.taken().len(), BATCH_PACKETS + 1);
}

#[test]
fn the_same_batches_go_to_and_fro() {
    let mut pair = Pair::new();
    for _ in 0..10_000 {
        pair.pass(1, &[b"packet", b"packet"]);
        assert_eq!(pair.taken().len(), 2);
    }
    assert_eq!(pair.sender.owned[1], 1);
}

#[test]
fn a_full_direction_drops_counts_and_recovers() {
    let mut pair = Pair::new();
    for _ in 0..QUEUE_BATCHES + 10 {
        pair.pass(1, &[b"a", b"b"]);
    }
    let (passed, refused) = (pair.report.passed_packets, pair.report.pass_refused);
    assert_eq!((passed, refused), (2 * QUEUE_BATCHES as u64, 20));
    assert_eq!(pair.taken().len(), 2 * QUEUE_BATCHES);
    pair.pass(1, &[b"c"]);
    assert_eq!(pair.taken(), [b"c"]);
    assert!(pair.sender.owned[1] <= OWNED_BATCHES);
}

#[test]
fn messages_wait_for_room_and_stay_in_order() {
    let mut pair = Pair::new();
    let message = |number: usize| number.to_be_bytes();
    for number in 0..2 * QUEUE_BATCHES {
        pair.pass_as(PipedKind::Message, 1, &[&message(number)[..]]);
    }
    assert!(pair.sender.has_backlog());
    // Packets are no messages: they find no room.
    pair.pass(1, &[b"packet"]);
    assert_eq!(pair.report.pass_refused, 1);
    let mut taken = Vec::new();
    while pair.sender.has_backlog() {
        taken.extend(pair.taken());
        pair.pass(1, &[]);
    }
    taken.extend(pair.taken());
    let sent: Vec<_> = (0..2 * QUEUE_BATCHES).map(|number| message(number).to_vec()).collect();
    assert_eq!(taken, sent);
    assert_eq!((pair.report.passed_packets, pair.report.pass_refused), (sent.len() as u64, 1));
}

#[test]
fn what_no_shard_or_batch_can_take_is_refused() {
    let mut pair = Pair::new();
    pair.pass(9, &[b"to nobody"]);
    assert_eq!((pair.report.passed_packets, pair.report.pass_refused), (0, 1));
}

#[test]
fn long_messages_pass_in_batches_of_their_own_up_to_a_bound() {
    let mut pair = Pair::new();
    let long = vec![7; LARGE_BYTES_MAX / 4];
    pair.pass(1, &[b"before", &long[..], b"after"]);
    assert_eq!(pair.report.passed_batches, 3);
    let taken = pair.taken();
    assert_eq!((&taken[0][..], taken[1].len(), &taken[2][..]), (&b"before"[..], long.len(), &b"after"[..]));
    for _ in 0..5 {
        pair.pass(1, &[&long[..]]);
    }
    assert_eq!((pair.report.passed_packets, pair.report.pass_refused), (7, 1));
    assert_eq!(pair.taken().len(), 4);
    pair.pass(1, &[&long[..]]);
    assert_eq!(pair.taken().len(), 1, "what was read makes room");
    let direction = pair.sender.direction(1);
    assert_eq!(direction.large.load(Ordering::Relaxed), 0);
    while let Some(batch) = direction.spent.pop() {
        assert_eq!(batch.bytes.capacity(), BATCH_BYTES, "no batch keeps more than its share");
    }
}

#[test]
fn senders_take_turns() {
    let mesh = Mesh::new(3);
    let mut receiver = MeshPort::new(Arc::clone(&mesh), 2);
    let mut report = IoReport::default();
    let mut out = Outbox::default();
    let route = Route::Pipe { end: PipeEnd { key: KEY, shard: 2 }, kind: PipedKind::Packet };
    assert!(out.push(Destination { lane: Lane(0), route }, 1, Shared::EMPTY, |_| Some(1)));
    let mut senders = [0, 1].map(|shard| MeshPort::new(Arc::clone(&mesh), shard));
    for sender in &mut senders {
        for _ in 0..2 {
            sender.pass(&out, Clock::start(), &mut report);
        }
    }
    let order: Vec<_> = std::iter::from_fn(|| receiver.take()).map(|(sender, _)| sender).collect();
    assert_eq!(order, [0, 1, 0, 1]);
}

#[test]
fn who_sleeps_is_woken_and_nobody_else() {
    let mut pair = Pair::new();
    let flag = pair.mesh.flag(1).unwrap();
    pair.pass(1, &[b"a"]);
    flag.fall_asleep();
    assert!(pair.receiver.has_waiting(), "who looks again does not sleep");
    pair.taken();
    pair.pass(1, &[b"b"]);
    assert!(!flag.is_asleep());
    assert!(Arc::ptr_eq(&flag, &pair.mesh.flag(1).unwrap()), "successors are woken the same way");
    assert!(pair.mesh.flag(2).is_err());
}

const SOCKET: ServerSocket = ServerSocket { server: ServerKey(5), place: 1 };

fn remote(port: u16) -> SocketAddr {
    ([192, 0, 2, 1], port).into()
}

#[test]
fn datagrams_of_a_server_arrive_with_all_that_is_known_of_them_and_can_be_written_to() {
    let mut pair = Pair::new();
    let now = pair.clock.now();
    for (port, is_known) in [(1, true), (2, false)] {
        let hand_over = HandOver { to: 1, socket: SOCKET, is_known };
        let (sender, report) = (&mut pair.sender, &mut pair.report);
        sender.hand_over(now, hand_over, remote(port), (b"datagram", now), report);
    }
    assert!(pair.sender.has_open() && !pair.receiver.has_waiting());
    pair.pass(1, &[]);
    assert!(!pair.sender.has_open());
    let (sender, mut batch) = pair.receiver.take().unwrap();
    let mut count = 0;
    for (passed, expected) in batch.packets(sender).zip([(1, true), (2, false)]) {
        let Passed::Datagram(handed) = passed else { panic!("not a datagram: {passed:?}") };
        handed.bytes.reverse();
        assert_eq!(
            (handed.from, handed.socket, handed.received, &handed.bytes[..]),
            (0, SOCKET, now, &b"margatad"[..])
        );
        assert_eq!((handed.remote, handed.is_known), (remote(expected.0), expected.1));
        count += 1;
    }
    assert_eq!((count, pair.report.handed_over, pair.report.hand_over_refused), (2, 2, 0));
}

#[test]
fn datagrams_that_find_no_room_are_counted_and_words_wait_for_it() {
    let mut pair = Pair::new();
    for _ in 0..QUEUE_BATCHES {
        pair.pass(1, &[b"a"]);
    }
    let now = pair.clock.now();
    let hand_over = HandOver { to: 1, socket: SOCKET, is_known: true };
    pair.sender.hand_over(now, hand_over, remote(1), (b"datagram", now), &mut pair.report);
    assert_eq!((pair.report.handed_over, pair.report.hand_over_refused), (0, 1));
    let word = |kind| Word { kind, socket: SOCKET, remote: remote(2) };
    let mut out = Outbox::default();
    out.words.extend([(1, word(WordKind::Added)), (1, word(WordKind::Dropped))]);
    pair.sender.pass(&out, pair.clock, &mut pair.report);
    assert!(pair.sender.has_backlog());
    assert_eq!(pair.taken().len(), QUEUE_BATCHES);
    pair.pass(1, &[]);
    let (sender, mut batch) = pair.receiver.take().unwrap();
    let heard: Vec<_> = batch
        .packets(sender)
        .map(|passed| match passed {
            Passed::Word { from: 0, word } => word.kind,
            other => panic!("not a word: {other:?}"),
        })
        .collect();
    assert_eq!(heard, [WordKind::Added, WordKind::Dropped]);
    assert!(!pair.sender.has_backlog() && pair.report.pass_refused == 0);
}
