//! Clients against transports that a thread plays: the lite agent of `ringsoup-rtc` and OpenSSL's DTLS, on loopback.

use std::net::UdpSocket;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use ringsoup_dtls::OpenSsl;
use ringsoup_peer::{RemoteParameters, generate_certificate};
use ringsoup_rtc::dtls::{Connection, Connector, Event, Fingerprint, Output, Role};
use ringsoup_rtc::ice::agent::REPLY_LEN_MAX;
use ringsoup_rtc::ice::{Agent, Credentials, Outcome, Request};
use ringsoup_rtc::srtp::{CryptoSuite, InboundSession};
use ringsoup_rtc::stun::{Message, is_stun};
use ringsoup_rtc::time::Time;

use crate::webrtc::{Client, Dialer, Identity, Remote};
use crate::{net, sys};

/// Far above what a handshake on loopback takes.
const LIMIT: Duration = Duration::from_secs(30);
const RTP: [u8; 20] = [0x80, 96, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3, 1, 2, 3, 4, 5, 6, 7, 8];

/// One transport's side.
struct Far {
    socket: UdpSocket,
    agent: Agent<u8>,
    connection: Box<dyn Connection>,
    out: Output,
    inbound: Option<InboundSession>,
    /// RTP packets that could be read.
    packets: usize,
    checks: usize,
}

impl Far {
    fn turn(&mut self, datagram: &mut [u8; 2048]) {
        let Ok((length, from)) = self.socket.recv_from(datagram) else { return };
        let (now, bytes) = (Time::from_nanos(sys::monotonic_ns()), &mut datagram[..length]);
        if is_stun(bytes) {
            self.checks += 1;
            let message = Message::parse(bytes).unwrap();
            let mut reply = [0; REPLY_LEN_MAX];
            let request = Request { tuple: 0, remote: from, message: &message };
            let outcome = self.agent.handle_request(now, &request, &mut reply, &mut |_| {});
            let Outcome::Answered { len } = outcome else { panic!("{outcome:?}") };
            self.socket.send_to(&reply[..len], from).unwrap();
        } else if bytes[0] < 64 {
            self.connection.handle_datagram(now, bytes, &mut self.out);
            for datagram in self.out.datagrams() {
                self.socket.send_to(datagram, from).unwrap();
            }
            for event in &self.out.events {
                if let Event::Connected(connected) = event {
                    self.inbound = InboundSession::new(connected.suite, &connected.remote_key).ok();
                }
            }
            self.out.clear();
        } else if let Some(inbound) = &mut self.inbound {
            self.packets += usize::from(inbound.unprotect_rtp(bytes).is_ok());
        }
    }
}

/// A client and its far side; with `true` the client is told of somebody else's certificate.
fn pair(number: u64, identity: &Identity, is_wrong: bool) -> (Client, Far) {
    let certificate = generate_certificate().unwrap();
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_nonblocking(true).unwrap();
    let udp = socket.local_addr().unwrap();
    let credentials = Credentials { username_fragment: format!("{number:032}"), password: "p".repeat(32) };
    let mut fingerprint = certificate.fingerprints()[2].clone();
    if is_wrong {
        fingerprint = Fingerprint::of(fingerprint.algorithm, b"somebody else");
    }
    let parameters = RemoteParameters { credentials: credentials.clone(), fingerprint };
    let remote = Remote { parameters, udp, tcp: None };
    let now_ns = sys::monotonic_ns();
    let client =
        Client::new(net::publishing_socket(udp).unwrap(), &remote, identity, number, now_ns).unwrap();
    let mut out = Output::default();
    let theirs = client.local_parameters().fingerprint;
    let connector = OpenSsl::new(&certificate).unwrap();
    let connection = connector.connect(Time::from_nanos(now_ns), Role::Server, &theirs, &mut out).unwrap();
    let agent = Agent::new(credentials, None);
    (client, Far { socket, agent, connection, out, inbound: None, packets: 0, checks: 0 })
}

#[test]
fn many_connect_send_and_keep_consent_and_who_is_not_meant_is_refused() {
    let identity = Identity::new(Role::Client).unwrap();
    let (clients, mut fars): (Vec<_>, Vec<_>) =
        (0..4).map(|number| pair(number, &identity, number == 3)).unzip();
    let is_over = Arc::new(AtomicBool::new(false));
    let stop = Arc::clone(&is_over);
    let thread = std::thread::spawn(move || {
        let mut datagram = [0; 2048];
        while !stop.load(Ordering::Relaxed) {
            fars.iter_mut().for_each(|far| far.turn(&mut datagram));
            std::thread::sleep(Duration::from_micros(100));
        }
        fars
    });
    let mut dialer = Dialer::new().unwrap();
    for client in clients {
        dialer.dial(client).unwrap();
    }
    let (begin, mut outcomes) = (Instant::now(), Vec::new());
    while dialer.under_way() > 0 && begin.elapsed() < LIMIT {
        dialer.turn(Duration::from_millis(1)).unwrap();
        outcomes.extend(dialer.take_outcomes());
    }
    outcomes.sort_by_key(|outcome| outcome.token);
    let results: Vec<_> = outcomes.iter().map(|outcome| outcome.result.clone()).collect();
    assert_eq!(results[..3], [const { Ok(CryptoSuite::AeadAes256Gcm) }; 3]);
    assert!(results[3].as_ref().is_err_and(|why| why.contains("certificate")), "{results:?}");
    assert_eq!(dialer.connected(), 3);

    let mut first = dialer.remove(0).unwrap();
    let mut packet = [&RTP[..], &[0; 16]].concat();
    let length = first.take_srtp().unwrap().protect_rtp(&mut packet, 12, RTP.len()).unwrap();
    first.socket().send(&packet[..length]).unwrap();
    // Its time for a check has come, as its own clock says.
    let due_ns = first.next_timeout_ns().unwrap();
    first.handle_timeout(due_ns);
    std::thread::sleep(Duration::from_millis(100));
    is_over.store(true, Ordering::Relaxed);
    let mut fars = thread.join().unwrap();
    // Whatever the thread had not come to yet.
    let mut datagram = [0; 2048];
    (0..10).for_each(|_| fars[0].turn(&mut datagram));
    assert_eq!(fars[0].packets, 1);
    assert!(fars[0].checks >= 3, "{} checks: a probe, a nomination, consent", fars[0].checks);
    assert_eq!((dialer.connected(), fars[1].packets), (2, 0));
}
