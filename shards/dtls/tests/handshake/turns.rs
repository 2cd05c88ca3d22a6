//! Public-key work waits for its turn.

use std::time::Duration;

use ringsoup_dtls::OpenSsl;
use ringsoup_rtc::dtls::Role;
use ringsoup_rtc::time::Time;

use crate::ends::{Dimpl, End, Ours, certificate, fingerprint};
use crate::network::exchange;

#[test]
fn a_flight_is_answered_in_its_turn_and_once() {
    let (own, peer) = (certificate(), certificate());
    let connector = OpenSsl::new(&own).unwrap();
    for role in [Role::Client, Role::Server] {
        let mut us = Ours::new(&connector, role, &fingerprint(&peer));
        let mut them = Dimpl::new(&peer, role.opposite(), 500);
        let (mut now, mut answers) = (Time::ZERO, 0);
        while us.connected().is_none() {
            us.take_datagrams().iter().for_each(|datagram| them.handle_datagram(now, datagram));
            let said = them.take_datagrams();
            for round in 0..3 {
                for (index, datagram) in said.iter().enumerate() {
                    us.connection.take_in(now, datagram, &mut us.out);
                    let is_whole = round > 0 || index + 1 == said.len();
                    assert_eq!(us.connection.is_ready(), is_whole, "{role:?} {round} {index}");
                }
            }
            // Nothing is said again to a peer that has answered it.
            now += Duration::from_millis(150);
            us.connection.handle_timeout(now, &mut us.out);
            assert!(us.out.is_empty(), "{role:?}: it was not its turn");
            us.advance(now);
            answers += 1;
            assert!(!us.connection.is_ready());
        }
        assert_eq!(answers, 2, "{role:?}");
        exchange(&mut us, &mut them);
        assert_eq!(us.keys(), them.keys(), "{role:?}");
    }
}
