//! Handshakes that a network gets in the way of.

use ringsoup_dtls::OpenSsl;
use ringsoup_rtc::dtls::Role;
use ringsoup_rtc::time::Time;

use crate::ends::{Cut, Dimpl, End, Ours, certificate, certificate_of, ecdsa_key, fingerprint};
use crate::network::{Fate, Lcg, connect, run};

/// All ways to lose up to three of the first nine datagrams.
fn losses() -> impl Iterator<Item = u16> {
    (0_u16..1 << 9).filter(|lost| lost.count_ones() <= 3)
}

const END: Time = Time::from_millis(29_000);

fn is_lost(lost: u16, number: usize) -> Fate {
    if number < 9 && lost & (1 << number) != 0 { Fate::Lost } else { Fate::Arrives }
}

#[test]
fn both_ends_are_ours_and_datagrams_are_lost() {
    let (a, b) = (certificate(), certificate());
    let (for_a, for_b) = (OpenSsl::new(&a).unwrap(), OpenSsl::new(&b).unwrap());
    let mut worst = Time::ZERO;
    for lost in losses() {
        let mut client = Ours::new(&for_a, Role::Client, &fingerprint(&b));
        let mut server = Ours::new(&for_b, Role::Server, &fingerprint(&a));
        let time = run(&mut client, &mut server, END, |number, _| is_lost(lost, number));
        let time = time.unwrap_or_else(|| panic!("lost {lost:#b}"));
        assert_eq!(client.keys(), server.keys());
        worst = worst.max(time);
    }
    // Three times the same flight: 100 + 200 + 400 ms and the ways.
    assert!(worst < Time::from_millis(1_600), "{worst:?}");
}

#[test]
fn the_other_end_is_dimpl_and_datagrams_are_lost() {
    let (a, b) = (certificate(), certificate());
    let connector = OpenSsl::new(&a).unwrap();
    for (ours, theirs) in [(Role::Client, Role::Server), (Role::Server, Role::Client)] {
        for lost in losses() {
            let mut us = Ours::new(&connector, ours, &fingerprint(&b));
            let mut them = Dimpl::new(&b, theirs, 1_200);
            let time = match ours {
                Role::Client => run(&mut us, &mut them, END, |number, _| is_lost(lost, number)),
                _ => run(&mut them, &mut us, END, |number, _| is_lost(lost, number)),
            };
            assert!(time.is_some(), "{ours:?}, lost {lost:#b}");
            assert_eq!(us.keys(), them.keys());
        }
    }
}

#[test]
fn many_small_fragments_come_late_twice_and_not_at_all() {
    // A kilobyte of certificate at both ends, cut into pieces of 64 bytes: forty datagrams.
    let (a, b) = (certificate_of(&ecdsa_key(), 900), certificate_of(&ecdsa_key(), 900));
    let (for_a, for_b) = (OpenSsl::new(&a).unwrap(), OpenSsl::new(&b).unwrap());
    for seed in 0..300 {
        let mut random = Lcg(seed);
        let mut client = Cut(Ours::new(&for_a, Role::Client, &fingerprint(&b)));
        let mut server = Cut(Ours::new(&for_b, Role::Server, &fingerprint(&a)));
        let fate = |_, _: &[u8]| match random.below(40) {
            0 => Fate::Lost,
            1..8 => Fate::ArrivesTwice,
            8..20 => Fate::ArrivesLate(random.below(30)),
            _ => Fate::Arrives,
        };
        let time = run(&mut client, &mut server, END, fate);
        assert!(time.is_some(), "seed {seed}: {:?}, {:?}", client.0.events, server.0.events);
        assert_eq!(client.keys(), server.keys(), "seed {seed}");
    }
}

#[test]
fn a_peer_with_a_small_mtu_cuts_its_certificate() {
    let (a, b) = (certificate(), certificate_of(&ecdsa_key(), 900));
    let connector = OpenSsl::new(&a).unwrap();
    for role in [Role::Client, Role::Server] {
        let mut us = Ours::new(&connector, role, &fingerprint(&b));
        let mut them = Dimpl::new(&b, role.opposite(), 300);
        match role {
            Role::Client => connect(&mut us, &mut them),
            _ => connect(&mut them, &mut us),
        }
    }
}

#[test]
fn a_peer_that_says_nothing_is_waited_for_thirty_seconds() {
    let (a, b) = (certificate(), certificate());
    let connector = OpenSsl::new(&a).unwrap();
    for (role, flights) in [(Role::Client, 12), (Role::Server, 0)] {
        let mut us = Ours::new(&connector, role, &fingerprint(&b));
        let mut sent = us.take_datagrams().len();
        let mut now = Time::ZERO;
        while let Some(next) = us.next_timeout() {
            assert!(us.failure().is_none());
            now = next;
            us.handle_timeout(now);
            sent += us.take_datagrams().len();
        }
        assert_eq!(now, Time::from_millis(30_000));
        assert!(us.failure().is_some_and(|reason| reason.contains("30 s")), "{:?}", us.events);
        assert_eq!(sent, flights, "{role:?}");
    }
}

#[test]
fn a_timeout_that_comes_early_changes_nothing() {
    let (a, b) = (certificate(), certificate());
    let mut us = Ours::new(&OpenSsl::new(&a).unwrap(), Role::Client, &fingerprint(&b));
    assert_eq!(us.take_datagrams().len(), 1);
    us.handle_timeout(Time::from_millis(99));
    assert_eq!(us.take_datagrams().len(), 0);
    assert_eq!(us.next_timeout(), Some(Time::from_millis(100)));
    us.handle_timeout(Time::from_millis(100));
    assert_eq!(us.take_datagrams().len(), 1);
    assert_eq!(us.next_timeout(), Some(Time::from_millis(300)));
}
