//! What connections bring.

use super::*;

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
