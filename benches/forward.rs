//! The whole forward path without sockets: a datagram into the shard, a packet per receiver in the Outbox.
//!
//! `cargo bench -p ringsoup-benches --bench forward`; throughput is forwarded packets, so 1 / (elements per second) is the
//! cost of one.

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use ringsoup_benches::{Media, Router, RouterSetUp};
use ringsoup_rtc::srtp::CryptoSuite;

/// Bytes of a packet on the wire.
const PACKET_BYTES: usize = 1200;

fn forward(criterion: &mut Criterion) {
    let plain =
        |receivers, rtx| RouterSetUp { media: Media::H264, receivers, rtx, srtp: None, stamps: false };
    let srtp = |suite| RouterSetUp { srtp: Some(suite), ..plain(50, true) };
    let layered = |media, receivers, rtx| RouterSetUp { media, ..plain(receivers, rtx) };
    let stamped = |set_up| RouterSetUp { stamps: true, ..set_up };
    let cases = [
        ("plain, no repair", plain(1, false)),
        ("plain, no repair", plain(10, false)),
        ("plain, no repair", plain(50, false)),
        ("plain, RTX", plain(1, true)),
        ("plain, RTX", plain(10, true)),
        ("plain, RTX", plain(50, true)),
        ("simulcast (VP8), no repair", layered(Media::Vp8Simulcast, 50, false)),
        ("simulcast (VP8), RTX", layered(Media::Vp8Simulcast, 1, true)),
        ("simulcast (VP8), RTX", layered(Media::Vp8Simulcast, 50, true)),
        ("SVC (VP9), no repair", layered(Media::Vp9Svc, 50, false)),
        ("SVC (VP9), RTX", layered(Media::Vp9Svc, 1, true)),
        ("SVC (VP9), RTX", layered(Media::Vp9Svc, 50, true)),
        ("SVC (AV1), no repair", layered(Media::Av1Svc, 50, false)),
        ("SVC (AV1), RTX", layered(Media::Av1Svc, 1, true)),
        ("SVC (AV1), RTX", layered(Media::Av1Svc, 50, true)),
        ("SVC (AV1), RTX, lowest layer", layered(Media::Av1Lowest, 50, true)),
        ("plain, RTX, stamps", stamped(plain(1, true))),
        ("plain, RTX, stamps", stamped(plain(50, true))),
        ("AEAD_AES_256_GCM, RTX, stamps", stamped(srtp(CryptoSuite::AeadAes256Gcm))),
        ("AEAD_AES_256_GCM, RTX", srtp(CryptoSuite::AeadAes256Gcm)),
        ("AEAD_AES_128_GCM, RTX", srtp(CryptoSuite::AeadAes128Gcm)),
        ("AES_CM_128_HMAC_SHA1_80, RTX", srtp(CryptoSuite::AesCm128HmacSha1_80)),
        ("AES_CM_128_HMAC_SHA1_32, RTX", srtp(CryptoSuite::AesCm128HmacSha1_32)),
    ];
    let mut group = criterion.benchmark_group("forward 1200 bytes");
    for (name, set_up) in cases {
        group.throughput(Throughput::Elements(u64::from(set_up.receivers)));
        let mut router = Router::new(set_up, PACKET_BYTES);
        group.bench_function(BenchmarkId::new(name, format!("1 to {}", set_up.receivers)), |bencher| {
            bencher.iter(|| router.forward());
        });
        assert_eq!(router.forward(), set_up.receivers, "every receiver still takes every packet");
    }
    group.finish();
}

criterion_group!(benches, forward);
criterion_main!(benches);
