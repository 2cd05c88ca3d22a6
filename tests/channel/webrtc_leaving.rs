//! What WebRTC peers leave behind when their transports are closed: nothing, whatever OpenSSL had for them.

use ringsoup_tests::listen::{Protocol, UDP, create_webrtc};
use ringsoup_tests::request;
use ringsoup_tests::rooms::counted;
use ringsoup_tests::webrtc_peer::{WebRtcPeer, connect};
use ringsoup_tests::worker::{Launch, Worker};

const PEERS: u32 = 20;
/// Rounds after which tables, wheels and caches have what they need.
const WARM_UP: u32 = 3;
const ROUNDS: u32 = 6;
/// Bytes of heap for each peer that has gone since. What is left is memory of timer-wheel slots that were met for the first time: some
/// 900 in these rounds, below 100 after forty of them. A connection has 40,000.
const LEFT_MAX: u64 = 2_500;

fn come_and_go(worker: &mut Worker, round: u32) -> u64 {
    let mut peers: Vec<_> = (0..PEERS)
        .map(|number| {
            let (id, transport) = (round * 1_000 + number * 10, format!("t{number}"));
            let created = worker.channel.accepted(&create_webrtc(id, "r", &transport, &[UDP]));
            WebRtcPeer::begin(&mut worker.channel, id + 1, &transport, &created, Protocol::UDP)
        })
        .collect();
    connect(&mut peers);
    for number in 0..PEERS {
        let id = round * 1_000 + number * 10 + 2;
        worker.channel.accepted(&request::close_transport(id, "r", &format!("t{number}")));
    }
    worker.channel.skipped();
    counted(&mut worker.channel, round * 1_000 + 999)["process_heap_bytes"]
}

#[test]
fn peers_that_have_gone_leave_no_heap_behind() {
    let mut worker = Launch::default().env("RINGSOUP_SHARDS", "1").run();
    worker.channel.accepted(&request::create_router(1, "r"));
    let before = (1..=WARM_UP).map(|round| come_and_go(&mut worker, round)).last().expect("a round");
    let after = (WARM_UP + 1..=WARM_UP + ROUNDS).map(|round| come_and_go(&mut worker, round)).last();
    let left = after.expect("a round").saturating_sub(before) / u64::from(PEERS * ROUNDS);
    assert!(left <= LEFT_MAX, "{left} bytes for each peer, {before} before");
}
