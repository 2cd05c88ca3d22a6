//! What goes to connections, and what waits for those that are slow.

use super::*;

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
