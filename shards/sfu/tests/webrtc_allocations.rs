//! Nothing is allocated per packet on the way between browsers, nor for a check that renews consent.

use std::net::SocketAddr;

use ringsoup_rtc::ice::Credentials;
use ringsoup_rtc::time::Time;
use ringsoup_sfu::sfu::Datagram;
use ringsoup_sfu::sockets::SocketId;

mod common;
#[path = "common/counting.rs"]
mod counting;

use common::World;
use common::browser::Browser;
use common::checks::{NOMINATING, PLAIN};
use common::packets::{DELTA, KEY, pli, rtp};
use common::parameters::{H264, consume_video, produce_video};
use counting::allocations_of;

const VIDEO: u32 = 1_000;
/// Unoptimised ciphers are slow.
const RECEIVERS: u32 = 4;
/// Long enough for every ring to have its full size: packets are kept for two seconds.
const WARM_UP: u16 = 3_000;
const MEASURED: u16 = 1_000;
/// 500 packets per second.
const PACKET_NANOS: u64 = 2_000_000;

struct Call {
    world: World,
    sender: Browser,
    receivers: Vec<Browser>,
    buffer: [u8; 2_048],
    sent: u64,
}

fn call() -> Call {
    let mut world = World::new();
    let sender = world.browser("sender", 1);
    world.produce("sender", produce_video("video", VIDEO, None, 5_000));
    let receivers = (0..RECEIVERS).map(|index| {
        let name = format!("receiver {index}");
        let browser = world.browser(&name, u16::try_from(100 + index).expect("few"));
        let ssrc = 10_000 + 10 * index;
        let rtx_ssrc = (index % 2 == 0).then_some(ssrc + 1);
        world.consume(&name, consume_video(&format!("v{index}"), "video", ssrc, rtx_ssrc, 5_000));
        browser
    });
    let receivers = receivers.collect();
    world.take_sent();
    Call { world, sender, receivers, buffer: [0; 2_048], sent: 0 }
}

impl Call {
    /// Without the harness's own allocations.
    fn receive(&mut self, socket: SocketId, remote: SocketAddr, bytes: &[u8]) {
        let World { sfu, sockets, out, now, .. } = &mut self.world;
        *now = Time::from_nanos(now.as_nanos() + PACKET_NANOS);
        self.buffer[..bytes.len()].copy_from_slice(bytes);
        let bytes = &mut self.buffer[..bytes.len()];
        sfu.handle_datagram(*now, Datagram { socket, remote, bytes, received: *now }, sockets, out);
        for destination in out.destinations() {
            self.sent += out.datagrams(destination.lane).count() as u64;
        }
        out.clear_datagrams();
        sfu.handle_flushed(*now, out);
        assert!(out.events.len() < 10_000, "events pile up");
    }
}

#[test]
fn media_between_browsers_allocates_nothing() {
    let mut call = call();
    let packet = |seq: u16| {
        let payload = if seq == 0 { KEY.to_vec() } else { [DELTA, &[0xab; 300]].concat() };
        rtp(H264, seq, u32::from(seq) * 180, VIDEO, &payload)
    };
    let sealed: Vec<_> = (0..WARM_UP + MEASURED).map(|seq| call.sender.sealed(&packet(seq))).collect();
    let (socket, remote) = call.sender.selected();
    let (warm_up, measured) = sealed.split_at(WARM_UP.into());
    warm_up.iter().for_each(|packet| call.receive(socket, remote, packet));
    let before = call.sent;
    let allocations = allocations_of(|| {
        measured.iter().for_each(|packet| call.receive(socket, remote, packet));
    });
    assert_eq!(call.sent - before, u64::from(MEASURED) * u64::from(RECEIVERS));
    assert_eq!(allocations, 0);
}

#[test]
fn feedback_of_browsers_allocates_nothing() {
    let mut call = call();
    let (socket, remote) = call.receivers[0].selected();
    let sealed: Vec<_> = (0..1_000).map(|_| call.receivers[0].sealed_rtcp(&pli(10_000))).collect();
    let (warm_up, measured) = sealed.split_at(500);
    warm_up.iter().for_each(|packet| call.receive(socket, remote, packet));
    let consumed = call.world.report().consumed_packets;
    let allocations = allocations_of(|| {
        measured.iter().for_each(|packet| call.receive(socket, remote, packet));
    });
    assert_eq!(allocations, 0);
    assert_eq!(call.world.report().consumed_packets - consumed, 500);
}

#[test]
fn checks_allocate_nothing() {
    let mut call = call();
    let credentials = match call.world.transport("sender", ringsoup_sfu::command::TransportCommand::Dump) {
        ringsoup_sfu::reply::Reply::WebRtcTransportDump(dump) => dump.ice_parameters,
        other => panic!("not a dump: {other:?}"),
    };
    let wrong = Credentials { password: "guessed".into(), ..credentials.clone() };
    let (socket, remote) = call.sender.selected();
    let stranger = SocketAddr::from(([203, 0, 113, 1], 1));
    let checks = [
        (remote, PLAIN.bytes(&credentials)),
        (remote, NOMINATING.bytes(&credentials)),
        // Refused, and mostly not even answered.
        (stranger, NOMINATING.bytes(&wrong)),
    ];
    let say = |call: &mut Call| {
        for (remote, bytes) in &checks {
            call.receive(socket, *remote, bytes);
        }
    };
    // The line of the log about the stranger is written once a second.
    say(&mut call);
    let before = call.sent;
    let allocations = allocations_of(|| (0..100).for_each(|_| say(&mut call)));
    assert_eq!(allocations, 0);
    assert!(call.sent - before >= 200, "answered");
}
