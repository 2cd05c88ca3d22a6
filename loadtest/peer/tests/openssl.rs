//! A peer against what a worker is made of: the lite agent of `ringsoup-rtc` and OpenSSL's DTLS.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::sync::Arc;
use std::time::Duration;

use ringsoup_dtls::OpenSsl;
use ringsoup_peer::{Config, Event, Path, Peer, Received, RemoteParameters, generate_certificate};
use ringsoup_rtc::dtls::{Connected, Connection, Connector, Event as DtlsEvent, Output, Role};
use ringsoup_rtc::ice::agent::REPLY_LEN_MAX;
use ringsoup_rtc::ice::{Agent, Credentials, Outcome, Request};
use ringsoup_rtc::srtp::{CryptoSuite, InboundSession, OutboundSession};
use ringsoup_rtc::stun::{Message, is_stun};
use ringsoup_rtc::time::Time;

/// More than any handshake takes, the client's wait for a lost first flight included.
const ROUNDS: usize = 100;
const RTP: [u8; 20] = [0x80, 96, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3, 1, 2, 3, 4, 5, 6, 7, 8];

struct Worker {
    agent: Agent<Path>,
    connector: OpenSsl,
    connection: Option<Box<dyn Connection>>,
    role: Role,
    fingerprint: ringsoup_rtc::dtls::Fingerprint,
    out: Output,
}

impl Worker {
    fn handle(&mut self, now: Time, path: Path, bytes: &[u8]) -> Option<Vec<u8>> {
        if !is_stun(bytes) {
            self.connection.as_mut()?.handle_datagram(now, bytes, &mut self.out);
            return None;
        }
        let mut reply = [0; REPLY_LEN_MAX];
        let message = Message::parse(bytes).unwrap();
        let request = Request { tuple: path, remote: path.local, message: &message };
        let outcome = self.agent.handle_request(now, &request, &mut reply, &mut |_| {});
        if self.connection.is_none() && self.agent.selected().is_some() {
            let begun = self.connector.connect(now, self.role, &self.fingerprint, &mut self.out);
            self.connection = Some(begun.unwrap());
        }
        match outcome {
            Outcome::Answered { len } => Some(reply[..len].to_vec()),
            other => panic!("{other:?}"),
        }
    }
}

/// Peer, worker, and what the worker's DTLS led to.
fn connect(role: Role) -> (Peer, Worker, Box<Connected>, Option<CryptoSuite>) {
    let path = Path::udp("127.0.0.1:5000".parse().unwrap(), "127.0.0.1:6000".parse().unwrap());
    let (ours, theirs) = (generate_certificate().unwrap(), generate_certificate().unwrap());
    let credentials = Credentials { username_fragment: "f".repeat(32), password: "p".repeat(32) };
    let mut now = Time::from_millis(1_000);
    let remote =
        RemoteParameters { credentials: credentials.clone(), fingerprint: theirs.fingerprints()[2].clone() };
    let mut config = Config::new(1, Arc::new(ours), remote, vec![path]);
    config.role = role;
    let mut peer = Peer::new(config, now).unwrap();
    let mut worker = Worker {
        agent: Agent::new(credentials, None),
        connector: OpenSsl::new(&theirs).unwrap(),
        connection: None,
        role: role.opposite(),
        fingerprint: peer.local_parameters().fingerprint,
        out: Output::default(),
    };
    let (mut suite, mut connected) = (None, None);
    for _ in 0..ROUNDS {
        now += Duration::from_millis(1);
        while let Some(datagram) = peer.poll_datagram() {
            if let Some(mut answer) = worker.handle(now, path, &datagram.bytes) {
                assert_eq!(peer.handle(now, path, &mut answer), Received::Taken);
            }
        }
        for datagram in worker.out.datagrams() {
            peer.handle(now, path, &mut datagram.to_vec());
        }
        for event in worker.out.events.drain(..) {
            match event {
                DtlsEvent::Connected(told) => connected = Some(told),
                other => panic!("{other:?}"),
            }
        }
        worker.out.clear();
        while let Some(event) = peer.poll_event() {
            match event {
                Event::Connected { suite: agreed, .. } => suite = Some(agreed),
                Event::Failed(why) => panic!("{why}"),
                _ => {}
            }
        }
        peer.handle_timeout(now);
    }
    (peer, worker, connected.expect("the worker's side connected"), suite)
}

#[test]
fn media_can_be_read_on_the_other_side_in_either_role() {
    for role in [Role::Client, Role::Server] {
        let (mut peer, _worker, connected, suite) = connect(role);
        assert_eq!((suite, connected.suite), (Some(CryptoSuite::AeadAes256Gcm), CryptoSuite::AeadAes256Gcm));
        let mut packet = [&RTP[..], &[0; 16]].concat();
        let length = peer.protect_rtp(&mut packet, 12, RTP.len()).unwrap().unwrap();
        let mut inbound = InboundSession::new(connected.suite, &connected.remote_key).unwrap();
        let length = inbound.unprotect_rtp(&mut packet[..length]).unwrap();
        assert_eq!(packet[..length], RTP, "{role:?}");

        let mut packet = [&RTP[..], &[0; 16]].concat();
        let mut outbound = OutboundSession::new(connected.suite, &connected.local_key).unwrap();
        let length = outbound.protect_rtp(&mut packet, 12, RTP.len()).unwrap();
        let path = peer.selected().unwrap();
        let received = peer.handle(Time::from_millis(2_000), path, &mut packet[..length]);
        let mut expected = RTP;
        assert_eq!(received, Received::Rtp(&mut expected[..]), "{role:?}");
    }
}

#[test]
fn the_good_bye_arrives() {
    let (mut peer, mut worker, ..) = connect(Role::Client);
    peer.close();
    let datagram = peer.poll_datagram().unwrap();
    worker.handle(Time::from_millis(2_000), datagram.path, &datagram.bytes);
    assert!(matches!(worker.out.events[..], [DtlsEvent::Closed]), "{:?}", worker.out.events);
}
