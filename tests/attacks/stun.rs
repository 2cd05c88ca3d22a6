//! Connectivity checks of strangers and of peers that want too much, on a server's port that two shards read.

use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use ringsoup_rtc::ice::{Credentials, TUPLES_MAX};
use ringsoup_rtc::stun::{BINDING, Class, IntegrityKey, Writer};
use ringsoup_tests::rooms::{Rooms, rooms};
use ringsoup_tests::webrtc_peer::offered;

use crate::flood::flood;

const DURATION: Duration = Duration::from_secs(3);
/// Error replies of an agent: 8 at once and 10 a second.
const REFUSALS_MAX: usize = 8 + 10 * 4;
/// Bytes. Eight thousand addresses that were kept, with more than 200 bytes on each of two shards, would be 3 MiB; what media keeps while it
/// goes on is 1 MiB at most.
const RSS_GROWTH_MAX: usize = 2 << 20;

fn check(credentials: &Credentials) -> Vec<u8> {
    let username = format!("{}:peer", credentials.username_fragment);
    let mut buffer = [0; 300];
    let key = IntegrityKey::new(credentials.password.as_bytes());
    let writer = Writer::new(&mut buffer, Class::Request, BINDING, b"transaction.")
        .username(username.as_bytes())
        .priority(1)
        .ice_controlling(7);
    writer.finish(Some(&key)).expect("it fits").to_vec()
}

/// One flood at a time: they are about the worker, not about the machine.
fn turn() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Four peers that talk, in rooms on two shards, and what the last one's checks carry: it is on the second.
fn talking() -> (Rooms, Credentials) {
    let mut rooms = rooms();
    rooms.join(4);
    rooms.pair_up();
    rooms.exchange();
    let credentials = offered(rooms.created.as_ref().expect("made")).credentials;
    (rooms, credentials)
}

/// 500,000 a second, scaled to what two cores do beside others: some 8,000.
#[test]
fn a_flood_of_checks_for_nobody_gets_nothing_and_costs_nobody_else() {
    let _turn = turn();
    let (mut rooms, mut credentials) = talking();
    let before = rooms.counted();
    credentials.username_fragment.replace_range(2..10, "attacker");
    let good = check(&credentials);
    let random = Credentials { username_fragment: "nobody".into(), password: "x".into() };
    let random = check(&random);
    let wave = |rooms: &mut Rooms, duration| {
        flood(rooms, 16, duration, |number| if number % 2 == 0 { good.clone() } else { random.clone() })
    };
    // Receive buffers are memory as soon as they have been used, by whomever.
    wave(&mut rooms, DURATION / 3);
    let resident = rooms.worker.resident_bytes();
    let score = wave(&mut rooms, DURATION);
    assert!(score.sent > 1_000, "{score:?}");
    assert_eq!(score.answered_bytes, 0, "{score:?}");
    let counted = rooms.counted();
    assert_eq!(counted["held_served_tuples"], before["held_served_tuples"]);
    assert!(counted["unknown_fragment"] > 1_000, "{counted:?}");
    let grown = rooms.worker.resident_bytes().saturating_sub(resident);
    assert!(grown < RSS_GROWTH_MAX, "{grown} bytes more");
    let lines = rooms.worker.channel.skipped().iter().filter(|frame| frame.log().is_some()).count();
    assert!(lines <= 1, "{lines} lines");
}

/// 200,000 a second, scaled as above: a fragment that somebody has seen, without its password.
#[test]
fn a_flood_of_forged_checks_is_not_amplified_and_lets_nobody_in() {
    let _turn = turn();
    let (mut rooms, credentials) = talking();
    let before = rooms.counted();
    let forged = check(&Credentials { password: "guessed".into(), ..credentials });
    let score = flood(&mut rooms, 16, DURATION, |_| forged.clone());
    assert!(score.sent > 1_000, "{score:?}");
    assert!(score.answered_bytes <= score.sent_bytes, "{score:?}");
    assert!((1..=REFUSALS_MAX).contains(&score.answers), "{score:?}");
    let counted = rooms.counted();
    assert_eq!(counted["held_served_tuples"], before["held_served_tuples"]);
    // Some came in on the other shard, which hands over no more than a few of them.
    let handed = counted.get("checks_limited").copied().unwrap_or(0) + counted["stun_refused"];
    assert!(handed > 1_000, "{counted:?}");
}

/// As it is: ten thousand addresses, with the password.
#[test]
fn a_peer_with_ten_thousand_addresses_keeps_a_few_and_the_one_it_uses() {
    let _turn = turn();
    let (mut rooms, credentials) = talking();
    let mut resident = 0;
    let good = check(&credentials);
    let to = SocketAddr::from((Ipv4Addr::LOCALHOST, rooms.port));
    for round in 0..100 {
        let sockets: Vec<UdpSocket> =
            (0..100).map(|_| UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("loopback")).collect();
        for socket in &sockets {
            socket.send_to(&good, to).expect("loopback");
        }
        if round % 10 == 0 {
            rooms.exchange();
        }
        if round == 20 {
            resident = rooms.worker.resident_bytes();
        }
    }
    rooms.exchange();
    let counted = rooms.counted();
    // Three peers have one each, the fourth as many as it may, and each is known on both shards.
    let all = 2 * (3 + TUPLES_MAX as u64);
    assert_eq!(counted["held_served_tuples"], all, "{counted:?}");
    let grown = rooms.worker.resident_bytes().saturating_sub(resident);
    assert!(grown < RSS_GROWTH_MAX, "{grown} bytes more");
}
