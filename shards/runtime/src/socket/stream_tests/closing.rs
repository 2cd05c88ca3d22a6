//! How connections end, and what that leaves.

use super::*;

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
