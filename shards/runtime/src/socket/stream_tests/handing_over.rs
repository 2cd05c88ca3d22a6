//! Connections that go from one shard to another.

use super::*;

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
