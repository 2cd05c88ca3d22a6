//! What passes between shards allocates nothing per packet, on no thread: not in the loops around the shards either.

mod common;

use std::alloc::{GlobalAlloc, Layout, System};
use std::io::Write as _;
use std::net::{Ipv4Addr, TcpStream};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use common::{Span, io, listen, report};

/// Of the whole process: shards have threads of their own, and this file has one test so that nobody else allocates.
static ALLOCATIONS: AtomicU64 = AtomicU64::new(0);

struct Counting;

// SAFETY: every call is passed on to the system's allocator as it came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        // SAFETY: the caller keeps `alloc`'s contract.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        // SAFETY: the caller keeps `alloc_zeroed`'s contract.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        // SAFETY: the caller keeps `realloc`'s contract.
        unsafe { System.realloc(pointer, layout, size) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller keeps `dealloc`'s contract.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static GLOBAL: Counting = Counting;

fn allocations_of(act: impl FnOnce()) -> u64 {
    let before = ALLOCATIONS.load(Ordering::Relaxed);
    act();
    ALLOCATIONS.load(Ordering::Relaxed) - before
}

/// Packets in a burst, which a socket's buffer holds.
const BURST: u16 = 50;
/// Until queues, batches and arenas have their size.
const WARM_UP: u16 = 1_000;
const MEASURED: u16 = 5_000;
/// What a shard does by the clock may allocate: reports, and the events of scores.
const BY_THE_CLOCK: u64 = 500;

#[test]
fn what_passes_between_shards_allocates_nothing() {
    let span = Span::new();
    let pass = |first: u16, count: u16| {
        for burst in 0..count / BURST {
            for seq in 0..BURST {
                span.send(first + BURST * burst + seq);
            }
            for _ in 0..BURST {
                span.expect();
            }
        }
    };
    pass(0, WARM_UP);
    let passed = io(&report(&span.near), "passed_packets");
    let made = allocations_of(|| pass(WARM_UP, MEASURED));
    assert!(made < BY_THE_CLOCK, "{made} allocations for {MEASURED} packets");
    let (near, far) = (report(&span.near), report(&span.far));
    assert!(io(&near, "passed_packets") - passed >= u64::from(MEASURED), "all of them by the mesh");
    assert_eq!(far.forwarded_packets, u64::from(WARM_UP + MEASURED));
    frames_of_a_stream_allocate_nothing(&span);
    // A path that allocates would have been noticed.
    let noticed = allocations_of(|| (0..MEASURED).for_each(|_| drop(std::hint::black_box(vec![1_u8]))));
    assert!(noticed >= u64::from(MEASURED));
}

/// Frames cut in two, so that each is gathered: their sender is a stranger, and what becomes of them does not matter here.
fn frames_of_a_stream_allocate_nothing(span: &Span) {
    let mut stream =
        TcpStream::connect((Ipv4Addr::LOCALHOST, listen(&span.near))).expect("works on loopback");
    stream.set_nodelay(true).expect("works on loopback");
    let mut frame = [0x80; 1_002];
    frame[..2].copy_from_slice(&1_000_u16.to_be_bytes());
    // Returns how many reports it took.
    let say = |stream: &mut TcpStream, count: u64| {
        let before = io(&report(&span.near), "received_frames");
        for _ in 0..count {
            stream.write_all(&frame[..700]).expect("works on loopback");
            stream.write_all(&frame[700..]).expect("works on loopback");
        }
        for asked in 2..200 {
            if io(&report(&span.near), "received_frames") == before + count {
                return asked;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        panic!("not all of {count} frames came");
    };
    say(&mut stream, WARM_UP.into());
    // What a report allocates is known by asking for nothing else.
    let idle = allocations_of(|| (0..100).for_each(|_| drop(report(&span.near)))) / 100;
    let mut asked = 0;
    let made = allocations_of(|| asked = say(&mut stream, MEASURED.into()));
    let made = made.saturating_sub(asked * (idle + 1));
    assert!(made < BY_THE_CLOCK, "{made} allocations for {MEASURED} frames");
}
