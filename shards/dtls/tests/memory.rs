//! What a handshake and a connection hold, OpenSSL's part included. A test binary of its own: OpenSSL's allocator can be
//! replaced only before it is used, and nothing else may run beside it.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::ffi::{c_char, c_int, c_void};
use std::sync::atomic::{AtomicUsize, Ordering};

use openssl::rsa::Rsa;
use ringsoup_dtls::OpenSsl;
use ringsoup_rtc::dtls::{Certificate, Connection, Connector as _, Event, Fingerprint, FingerprintAlgorithm};
use ringsoup_rtc::dtls::{Output, Role};
use ringsoup_rtc::time::Time;

static HELD: AtomicUsize = AtomicUsize::new(0);

struct Counting;

// SAFETY: everything is done by the system's allocator; the counter does not touch memory.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        HELD.fetch_add(layout.size(), Ordering::Relaxed);
        // SAFETY: the caller's promise is passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        HELD.fetch_sub(layout.size(), Ordering::Relaxed);
        // SAFETY: the caller's promise is passed on.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

unsafe extern "C" {
    fn malloc(size: usize) -> *mut c_void;
    fn realloc(pointer: *mut c_void, size: usize) -> *mut c_void;
    fn free(pointer: *mut c_void);
    fn malloc_usable_size(pointer: *mut c_void) -> usize;
    fn CRYPTO_set_mem_functions(
        malloc: unsafe extern "C" fn(usize, *const c_char, c_int) -> *mut c_void,
        realloc: unsafe extern "C" fn(*mut c_void, usize, *const c_char, c_int) -> *mut c_void,
        free: unsafe extern "C" fn(*mut c_void, *const c_char, c_int),
    ) -> c_int;
}

unsafe extern "C" fn counted_malloc(size: usize, _: *const c_char, _: c_int) -> *mut c_void {
    // SAFETY: malloc takes any size; malloc_usable_size takes what it returns, null too.
    unsafe {
        let pointer = malloc(size);
        HELD.fetch_add(malloc_usable_size(pointer), Ordering::Relaxed);
        pointer
    }
}

unsafe extern "C" fn counted_realloc(
    pointer: *mut c_void,
    size: usize,
    _: *const c_char,
    _: c_int,
) -> *mut c_void {
    // SAFETY: the pointer is one of `counted_malloc`, or null.
    unsafe {
        HELD.fetch_sub(malloc_usable_size(pointer), Ordering::Relaxed);
        let pointer = realloc(pointer, size);
        HELD.fetch_add(malloc_usable_size(pointer), Ordering::Relaxed);
        pointer
    }
}

unsafe extern "C" fn counted_free(pointer: *mut c_void, _: *const c_char, _: c_int) {
    // SAFETY: the pointer is one of `counted_malloc`, or null, and is not used any more.
    unsafe {
        HELD.fetch_sub(malloc_usable_size(pointer), Ordering::Relaxed);
        free(pointer);
    }
}

fn held() -> usize {
    HELD.load(Ordering::Relaxed)
}

fn rsa_certificate() -> Certificate {
    let key = openssl::pkey::PKey::from_rsa(Rsa::generate(2_048).unwrap()).unwrap();
    let mut builder = openssl::x509::X509Builder::new().unwrap();
    builder.set_pubkey(&key).unwrap();
    builder.set_not_before(&openssl::asn1::Asn1Time::days_from_now(0).unwrap()).unwrap();
    builder.set_not_after(&openssl::asn1::Asn1Time::days_from_now(30).unwrap()).unwrap();
    builder.sign(&key, openssl::hash::MessageDigest::sha256()).unwrap();
    Certificate::new(builder.build().to_der().unwrap(), key.private_key_to_pkcs8().unwrap())
}

/// What one end holds.
#[derive(Debug, Default)]
struct Meter {
    now: usize,
    most: usize,
}

impl Meter {
    fn during<T>(&mut self, call: impl FnOnce() -> T) -> T {
        let before = held();
        let value = call();
        self.now = (self.now + held()).saturating_sub(before);
        self.most = self.most.max(self.now);
        value
    }
}

struct End {
    connection: Box<dyn Connection>,
    /// Emptied after every call, so that it holds nothing of what is metered.
    datagrams: Vec<Vec<u8>>,
    is_connected: bool,
    meter: Meter,
}

impl End {
    fn new(connector: &OpenSsl, role: Role, peer: &Fingerprint) -> Self {
        let mut out = Output::default();
        let mut meter = Meter::default();
        let connection = meter.during(|| connector.connect(Time::ZERO, role, peer, &mut out).unwrap());
        let mut end = Self { connection, datagrams: Vec::new(), is_connected: false, meter };
        end.collect(&out);
        end
    }

    fn collect(&mut self, out: &Output) {
        self.is_connected |= out.events.iter().any(|event| matches!(event, Event::Connected(_)));
        self.datagrams.extend(out.datagrams().map(<[u8]>::to_vec));
    }

    fn handle(&mut self, datagram: &[u8]) {
        let mut out = Output::default();
        let Self { connection, meter, .. } = self;
        meter.during(|| {
            connection.handle_datagram(Time::ZERO, datagram, &mut out);
        });
        self.collect(&out);
        let len: usize = out.datagrams().map(<[u8]>::len).sum();
        // The output is the caller's.
        self.meter.now = self.meter.now.saturating_sub(len);
    }
}

/// A fragment of 1 byte that claims to be of a message of `len`.
fn lying_fragment(kind: u8, sequence: u8, len: u32) -> Vec<u8> {
    let len = len.to_be_bytes();
    let message = [kind, len[1], len[2], len[3], 0, sequence, 0, 0, 0, 0, 0, 1, b'x'];
    [&[22, 254, 253, 0, 0, 0, 0, 0, 0, 9, sequence, 0, 13][..], &message].concat()
}

/// What a handshake holds between two datagrams, whatever comes in. OpenSSL 3.0 has 50 KB of its own then, 3.6 77 KB.
const HANDSHAKE_MAX: usize = 104 << 10;
/// What a connection keeps for as long as its call lasts: 40 KB with OpenSSL 3.0, 69 KB with 3.6.
const CONNECTION_MAX: usize = 72 << 10;

fn flood(end: &mut End) {
    for len in [2, 1_000, 16_000, 16_372, 16_373, 100_000, 0xff_ffff] {
        for sequence in 0..=255 {
            for kind in [1, 2, 11, 14, 16] {
                end.handle(&lying_fragment(kind, sequence, len));
            }
        }
    }
    for len in [1_u16, 39, 40, 1_000, 16_000] {
        let header = [22, 254, 253, 0, 1, 0, 0, 0, 0, 0, 9];
        for _ in 0..50 {
            end.handle(&[&header[..], &len.to_be_bytes(), &vec![7; usize::from(len)]].concat());
        }
    }
}

#[test]
fn a_handshake_is_bounded_and_a_connection_is_small() {
    // SAFETY: nothing of OpenSSL was used in this process; the functions live for ever.
    let is_set = unsafe { CRYPTO_set_mem_functions(counted_malloc, counted_realloc, counted_free) };
    assert_eq!(is_set, 1);
    let (a, b) = (rsa_certificate(), rsa_certificate());
    let print = |certificate: &Certificate| Fingerprint::of(FingerprintAlgorithm::Sha256, certificate.der());
    let (print_a, print_b) = (print(&a), print(&b));
    let (for_a, for_b) = (OpenSsl::new(&a).unwrap(), OpenSsl::new(&b).unwrap());
    let mut is_first = true;
    for flooded_at in [None, None, Some(0), Some(1), Some(2)] {
        let before = held();
        let mut client = End::new(&for_a, Role::Client, &print_b);
        let mut server = End::new(&for_b, Role::Server, &print_a);
        for round in 0..6 {
            if flooded_at == Some(round) {
                flood(&mut client);
                flood(&mut server);
            }
            for datagram in std::mem::take(&mut client.datagrams) {
                server.handle(&datagram);
            }
            for datagram in std::mem::take(&mut server.datagrams) {
                client.handle(&datagram);
            }
        }
        drop((std::mem::take(&mut client.datagrams), std::mem::take(&mut server.datagrams)));
        let both = held() - before;
        let most = client.meter.most.max(server.meter.most);
        println!("flooded at: {flooded_at:?}, handshake at most {most}, both connections {both}");
        if flooded_at.is_none() {
            assert!(client.is_connected && server.is_connected);
        }
        // The first makes what is there once for all.
        if !std::mem::replace(&mut is_first, false) {
            assert!(most <= HANDSHAKE_MAX, "{most}");
            assert!(both <= 2 * if flooded_at.is_none() { CONNECTION_MAX } else { HANDSHAKE_MAX }, "{both}");
        }
        drop((client, server));
        println!("left: {}", held() - before);
    }
}
