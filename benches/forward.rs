//! The whole forward path without sockets: a datagram into the shard, a packet per receiver in the Outbox.
//!
//! `cargo bench -p ringsoup-benches --bench forward`; throughput is forwarded packets, so 1 / (elements per second) is the
//! cost of one.

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use ringsoup_benches::{Router, RouterSetUp};
use ringsoup_rtc::srtp::CryptoSuite;

/// Bytes of a packet of H264 on the wire.
const PACKET_BYTES: usize = 1200;

fn forward(criterion: &mut Criterion) {
    let plain = |receivers, rtx| RouterSetUp { receivers, rtx, srtp: None, stamps: false };
    let srtp = |suite| RouterSetUp { receivers: 50, rtx: true, srtp: Some(suite), stamps: false };
    let stamped = |set_up| RouterSetUp { stamps: true, ..set_up };
    let cases = [
        ("plain, no repair", plain(1, false)),
        ("plain, no repair", plain(10, false)),
        ("plain, no repair", plain(50, false)),
        ("plain, RTX", plain(1, true)),
        ("plain, RTX", plain(10, true)),
        ("plain, RTX", plain(50, true)),
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
