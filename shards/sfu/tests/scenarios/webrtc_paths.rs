//! Several ways between a browser and a shard: which one media takes, and who can change that.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use ringsoup_peer::Nomination;
use ringsoup_sfu::command::{ListenInfo, Protocol};
use ringsoup_sfu::drop_reason::DropReason;

use crate::common::browser::{Browser, Setup};
use crate::common::packets::{SPEECH, rtp};
use crate::common::parameters::{OPUS, consume_audio, listen_info, produce_audio};
use crate::common::{World, remote};
use crate::webrtc_ice::webrtc_news;
use crate::webrtc_transport::dump;

fn v6(port: u16) -> SocketAddr {
    SocketAddr::new(IpAddr::V6(Ipv6Addr::LOCALHOST), port)
}

fn audio(seq: u16) -> Vec<u8> {
    rtp(OPUS, seq, u32::from(seq) * 960, 5, SPEECH)
}

/// A browser with several ways that sends, and hears itself.
fn connected(setup: &Setup) -> (World, Browser) {
    let mut world = World::new();
    let mut browser = world.offer("t", setup);
    world.introduce(&browser);
    world.live(&mut [&mut browser], 3_000);
    assert!(browser.peer.is_connected(), "{:?}", browser.events);
    world.produce("t", produce_audio("p", 5, 105));
    world.consume("t", consume_audio("c", "p", 7, 105));
    world.take_events();
    (world, browser)
}

fn two_ways() -> (World, Browser) {
    connected(&Setup {
        infos: vec![listen_info(), listen_info()],
        locals: vec![remote(1), remote(2)],
        ..Setup::from_port(1)
    })
}

fn selected(world: &mut World) -> SocketAddr {
    dump(world, "t").ice_selected_tuple.expect("selected").remote.expect("known")
}

/// Where a packet that was sent to itself went.
fn echo_to(world: &mut World, browser: &mut Browser, seq: u16) -> SocketAddr {
    world.rtp_from(browser, &audio(seq));
    let sent = world.take_sent();
    let media: Vec<_> = sent.iter().filter(|sent| !sent.is_rtcp()).collect();
    let [echo] = media[..] else { panic!("one packet: {media:?}") };
    echo.remote
}

#[test]
fn media_moves_with_the_nomination_and_loses_nothing() {
    for nomination in [Nomination::Regular, Nomination::Renomination] {
        let (mut world, mut browser) = connected(&Setup {
            infos: vec![listen_info(), ListenInfo { ip: v6(0).ip(), ..listen_info() }],
            locals: vec![remote(1), v6(2)],
            nomination,
            ..Setup::from_port(1)
        });
        assert_eq!(echo_to(&mut world, &mut browser, 1), remote(1));
        let second = browser.paths[1].0;
        browser.peer.nominate(world.now, second);
        // What was under way by the first way leaves by it.
        let (socket, local) = browser.selected();
        let packet = browser.sealed(&audio(2));
        world.receive_unflushed(socket, local, &packet);
        world.live(&mut [&mut browser], 1_000);
        assert_eq!(webrtc_news(&world.take_events()), ["selected 2"]);
        assert_eq!(browser.take_rtp().len(), 1);
        assert_eq!(echo_to(&mut world, &mut browser, 3), v6(2));
    }
}

#[test]
fn authentic_media_from_another_of_its_ways_is_followed() {
    let (mut world, mut browser) = two_ways();
    assert_eq!(selected(&mut world), remote(1));
    let (other, socket) = browser.paths[1];
    let packet = browser.sealed(&audio(1));
    world.receive(socket, other.local, &packet);
    assert_eq!(webrtc_news(&world.take_events()), ["selected 2"]);
    assert_eq!(world.sent.iter().rev().find(|sent| !sent.is_rtcp()).map(|sent| sent.remote), Some(remote(2)));
}

#[test]
fn so_is_an_authentic_record() {
    let (mut world, mut browser) = two_ways();
    browser.peer.send_application_data(b"of an association");
    let datagram = browser.peer.poll_datagram().expect("sealed");
    let (other, socket) = browser.paths[1];
    world.receive(socket, other.local, &datagram.bytes);
    assert_eq!(webrtc_news(&world.take_events()), ["selected 2"]);
}

#[test]
fn what_is_not_authentic_never_moves_media() {
    let (mut world, mut browser) = two_ways();
    let (other, socket) = browser.paths[1];
    // From the peer's other way, but not of the peer.
    world.receive(socket, other.local, &audio(1));
    let mut forged = browser.sealed(&audio(2));
    let last = forged.len() - 1;
    forged[last] ^= 1;
    world.receive(socket, other.local, &forged);
    assert_eq!(world.dropped(DropReason::SrtpAuthentication), 2);
    // Records of DTLS: in the clear, and sealed by nobody.
    for (content, epoch) in [(22, 0), (21, 0), (20, 0), (22, 1), (21, 1), (23, 1)] {
        let header = [content, 254, 253, 0, epoch, 0, 0, 0, 0, 0, 9, 0, 60];
        world.receive(socket, other.local, &[&header[..], &[7; 60]].concat());
    }
    // Of the peer, but sent again by somebody who heard it.
    let packet = browser.sealed(&audio(3));
    let (first, local) = browser.selected();
    world.receive(first, local, &packet);
    world.receive(socket, other.local, &packet);
    assert_eq!(world.dropped(DropReason::SrtpReplay), 1);
    // By a way that no check has opened, however good it is.
    let fresh = browser.sealed(&audio(4));
    for stranger in [remote(666), SocketAddr::from(([198, 51, 100, 1], 1))] {
        world.receive(first, stranger, &fresh);
        world.receive(first, stranger, &[&[22, 254, 253], &[0; 40][..]].concat());
    }
    // The peer's address is a stranger's on the other socket.
    world.receive(socket, local, &fresh);
    assert_eq!(world.dropped(DropReason::NoIce), 5);
    assert_eq!(webrtc_news(&world.take_events()), [""; 0]);
    assert_eq!(selected(&mut world), remote(1));
    world.assert_accounted();
}

#[test]
fn media_goes_over_tcp_and_ends_with_the_connection() {
    let tcp = ListenInfo { protocol: Protocol::Tcp, ..listen_info() };
    let (mut world, mut browser) = connected(&Setup { infos: vec![tcp], ..Setup::from_port(1) });
    let tuple = dump(&mut world, "t").ice_selected_tuple.expect("selected");
    assert_eq!((tuple.protocol, tuple.remote), (Protocol::Tcp, Some(remote(1))));
    assert_eq!(echo_to(&mut world, &mut browser, 1), remote(1));
    let (_, connection) = browser.paths[0];
    assert!(world.sockets.is_kept(connection));
    // What was to leave by it goes with it.
    let packet = browser.sealed(&audio(2));
    world.receive_unflushed(connection, remote(1), &packet);
    world.hang_up(connection);
    assert!(world.take_sent().is_empty());
    assert_eq!(webrtc_news(&world.take_events()), ["ice disconnected"]);
    assert_eq!((world.held("held_lanes"), world.held("held_connections")), (0, 0));
    world.close_transport("t");
    assert_eq!(world.sockets.open_count(), 0);
}
