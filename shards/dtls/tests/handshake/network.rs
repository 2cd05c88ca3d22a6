//! What lies between the ends.

use std::time::Duration;

use ringsoup_rtc::time::Time;

use crate::ends::End;

/// One way.
const DELAY: Duration = Duration::from_millis(5);

/// What becomes of a datagram.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    Arrives,
    Lost,
    ArrivesTwice,
    /// After what was sent in the next so many milliseconds.
    ArrivesLate(u64),
}

struct UnderWay {
    arrives: Time,
    /// Breaks ties: in order.
    number: usize,
    to_server: bool,
    bytes: Vec<u8>,
}

/// Lets two ends talk until both have keys, one has failed, or until `end`. `fate` is asked for each datagram, with its
/// number of all that were sent. Returns when both had keys.
pub(crate) fn run(
    client: &mut dyn End,
    server: &mut dyn End,
    end: Time,
    mut fate: impl FnMut(usize, &[u8]) -> Fate,
) -> Option<Time> {
    let mut now = Time::ZERO;
    let mut sent = 0;
    let mut under_way: Vec<UnderWay> = Vec::new();
    loop {
        for (datagrams, to_server) in [(client.take_datagrams(), true), (server.take_datagrams(), false)] {
            for bytes in datagrams {
                let arrivals: &[Duration] = match fate(sent, &bytes) {
                    Fate::Arrives => &[DELAY],
                    Fate::Lost => &[],
                    Fate::ArrivesTwice => &[DELAY, Duration::from_millis(6)],
                    Fate::ArrivesLate(millis) => &[DELAY + Duration::from_millis(millis)],
                };
                for &delay in arrivals {
                    under_way.push(UnderWay {
                        arrives: now + delay,
                        number: sent,
                        to_server,
                        bytes: bytes.clone(),
                    });
                }
                sent += 1;
            }
        }
        if client.keys().is_some() && server.keys().is_some() && under_way.is_empty() {
            return Some(now);
        }
        if client.has_failed() || server.has_failed() {
            return None;
        }
        under_way.sort_by_key(|one| (one.arrives, one.number));
        let arrival = under_way.first().map(|one| one.arrives);
        let next = [arrival, client.next_timeout(), server.next_timeout()].into_iter().flatten().min();
        match next {
            Some(next) if next <= end => now = next.max(now),
            _ => return None,
        }
        if arrival.is_some_and(|arrival| arrival <= now) {
            let one = under_way.remove(0);
            if one.to_server {
                server.handle_datagram(now, &one.bytes);
            } else {
                client.handle_datagram(now, &one.bytes);
            }
        }
        wake(client, now);
        wake(server, now);
    }
}

fn wake(end: &mut dyn End, now: Time) {
    if end.next_timeout().is_some_and(|time| time <= now) {
        end.handle_timeout(now);
    }
}

/// Without loss, at once.
pub(crate) fn connect(client: &mut dyn End, server: &mut dyn End) {
    let time = run(client, server, Time::from_millis(5_000), |_, _| Fate::Arrives);
    assert!(time.is_some(), "no handshake");
    assert_eq!(client.keys(), server.keys());
}

/// Until nothing is said any more; time stands still.
pub(crate) fn exchange(client: &mut dyn End, server: &mut dyn End) {
    loop {
        let (up, down) = (client.take_datagrams(), server.take_datagrams());
        if up.is_empty() && down.is_empty() {
            return;
        }
        for datagram in up {
            server.handle_datagram(Time::ZERO, &datagram);
        }
        for datagram in down {
            client.handle_datagram(Time::ZERO, &datagram);
        }
    }
}

/// A generator whose sequence a failing test can repeat.
pub(crate) struct Lcg(pub(crate) u64);

impl Lcg {
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }
}
