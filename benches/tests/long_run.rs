//! The shard the forward benchmark measures forwards every packet, however long it runs.

use ringsoup_benches::{Media, Router, RouterSetUp};

#[test]
fn every_packet_of_a_long_run_is_forwarded() {
    let mut router = Router::new(
        RouterSetUp { media: Media::H264, receivers: 2, rtx: true, srtp: None, stamps: false },
        200,
    );
    // Three wraps of the sequence number.
    for packet in 0..200_000 {
        assert_eq!(router.forward(), 2, "packet {packet}");
    }
}
