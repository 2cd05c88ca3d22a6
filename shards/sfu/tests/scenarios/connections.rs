//! TCP connections as a shard sees them: sockets that come with a listener and go with it.

use ringsoup_sfu::command::{Command, ListenInfo, Protocol, WebRtcListen};
use ringsoup_sfu::sockets::{PortChoice, SocketId, Sockets as _, TcpListen};

use crate::common::cluster::opening;
use crate::common::packets::{SPEECH, rtp};
use crate::common::parameters::{OPUS, listen_info};
use crate::common::{World, remote};
use crate::webrtc_transport::{create, options};

fn listen(world: &mut World, port: u16) -> SocketId {
    let request = TcpListen {
        ip: listen_info().ip,
        port: PortChoice::Fixed(port),
        ipv6_only: false,
        send_buffer_size: 0,
        recv_buffer_size: 0,
    };
    world.sockets.listen_tcp(&request).expect("free").id
}

/// A transport with a listener of its own, the first socket of the world.
fn transport(world: &mut World) -> SocketId {
    let info = ListenInfo { protocol: Protocol::Tcp, ..listen_info() };
    create(world, "t", options(WebRtcListen::Individual(Ok(vec![info])))).expect("created");
    SocketId(0)
}

#[test]
fn a_connection_belongs_to_the_transport_that_listens() {
    let mut world = World::new();
    let listener = transport(&mut world);
    let connection = world.accept(listener, remote(1));
    assert_eq!((world.held("held_connections"), world.held("held_socket_owners")), (1, 2));
    assert!(!world.sockets.is_kept(connection), "it has not shown anything yet");
    world.receive(connection, remote(1), &rtp(OPUS, 1, 1, 1, SPEECH));
    world.assert_accounted();
    world.close_transport("t");
    assert!(!world.sockets.is_open(connection));
    assert_eq!((world.sockets.open_count(), world.held("held_connections")), (0, 0));
    assert_eq!(world.held("held_socket_owners"), 0);
}

#[test]
fn a_connection_that_ends_is_not_closed_with_the_transport_again() {
    let mut world = World::new();
    let listener = transport(&mut world);
    let (first, second) = (world.accept(listener, remote(1)), world.accept(listener, remote(2)));
    world.hang_up(first);
    assert_eq!(world.held("held_connections"), 1);
    // The next one gets the number of the first, which must not be taken for it.
    let third = world.accept(listener, remote(3));
    assert_eq!(third, first);
    world.hang_up(second);
    // A socket that is no connection is nobody's to hang up.
    world.sfu.handle_hung_up(world.now, listener, &mut world.sockets, &mut world.out);
    assert_eq!((world.held("held_connections"), world.held("held_socket_owners")), (1, 2));
    world.close_transport("t");
    assert_eq!(world.sockets.open_count(), 0);
}

#[test]
fn a_servers_connections_close_with_it() {
    let mut world = World::new();
    let listener = listen(&mut world, 5_000);
    let opening = Box::new(opening(1, listener, 5_000, 0, Vec::new()));
    world.command(Command::OpenWebRtcServer { server: "s".into(), opening });
    let connections: Vec<_> = (0..5).map(|peer| world.accept(listener, remote(peer))).collect();
    world.hang_up(connections[2]);
    world.command(Command::CloseWebRtcServer { server: "s".into() });
    assert_eq!((world.sockets.open_count(), world.held("held_connections")), (0, 0));
}

#[test]
fn a_connection_whose_listener_has_gone_is_closed() {
    let mut world = World::new();
    let listener = listen(&mut world, 5_000);
    let connection = world.accept(listener, remote(1));
    assert!(!world.sockets.is_open(connection));
    assert_eq!(world.held("held_connections"), 0);
}
