//! Two ends of a DTLS handshake, and datagrams that are lost, cut, changed and invented on the way to one of them: it says at most
//! once how it ended, sends little, and has keys only with the peer that has the same.
#![no_main]

use std::sync::{Arc, LazyLock};

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use ringsoup_dtls::OpenSsl;
use ringsoup_rtc::dtls::{Certificate, Connected, Connection, Connector as _, Event, Output, Role};
use ringsoup_rtc::time::Time;

const STEPS_MAX: usize = 60;
/// Bytes that one datagram or timeout may have us send: a flight, and not much of one.
const ANSWER_MAX: usize = 16 << 10;

static CERTIFICATE: LazyLock<Arc<Certificate>> =
    LazyLock::new(|| Arc::new(ringsoup_peer::generate_certificate().expect("a certificate")));
static OPENSSL: LazyLock<OpenSsl> = LazyLock::new(|| OpenSsl::new(&CERTIFICATE).expect("OpenSSL"));

#[derive(Debug, Arbitrary)]
struct Script<'a> {
    is_client: bool,
    steps: Vec<Step<'a>>,
}

#[derive(Debug, Arbitrary)]
enum Step<'a> {
    /// What is under way arrives.
    Carry,
    /// One of the datagrams for us gets lost.
    Lose(u8),
    Change { datagram: u8, at: u16, to: u8 },
    Cut { datagram: u8, len: u16 },
    Twice(u8),
    Swap,
    Invent(&'a [u8]),
    Record { content: u8, epoch: u8, body: &'a [u8] },
    Wait(u16),
}

struct End {
    connection: Box<dyn Connection>,
    sent: Vec<Vec<u8>>,
    connected: Option<Connected>,
    is_over: bool,
}

impl End {
    fn new(role: Role) -> Self {
        let (mut out, expected) = (Output::default(), &CERTIFICATE.fingerprints()[0]);
        let connection = OPENSSL.connect(Time::ZERO, role, expected, &mut out).expect("it is set up");
        let mut end = Self { connection, sent: Vec::new(), connected: None, is_over: false };
        end.take(out);
        end
    }

    fn take(&mut self, mut out: Output) {
        assert!(out.datagrams().map(<[u8]>::len).sum::<usize>() <= ANSWER_MAX);
        self.sent.extend(out.datagrams().map(<[u8]>::to_vec));
        for event in out.events.drain(..) {
            assert!(!self.is_over, "{event:?} after the end");
            match event {
                Event::Connected(connected) => assert!(self.connected.replace(*connected).is_none()),
                Event::Failed(_) | Event::Closed => self.is_over = true,
                Event::ApplicationData(_) => assert!(self.connected.is_some()),
            }
        }
    }

    fn receive(&mut self, now: Time, datagram: &[u8]) {
        let mut out = Output::default();
        self.connection.take_in(now, datagram, &mut out);
        self.take(out);
    }

    /// Its turn has come.
    fn advance(&mut self, now: Time) {
        while self.connection.is_ready() {
            let mut out = Output::default();
            self.connection.advance(now, &mut out);
            self.take(out);
        }
    }

    fn wait(&mut self, now: Time) {
        if self.connection.next_timeout().is_some_and(|at| at <= now) {
            let mut out = Output::default();
            self.connection.handle_timeout(now, &mut out);
            self.take(out);
            assert!(self.connection.next_timeout().is_none_or(|at| at > now), "time goes on");
        }
    }
}

fuzz_target!(|script: Script<'_>| {
    let role = if script.is_client { Role::Client } else { Role::Server };
    let (mut us, mut them) = (End::new(role), End::new(role.opposite()));
    let (mut now, mut for_us) = (Time::ZERO, Vec::<Vec<u8>>::new());
    for step in script.steps.iter().take(STEPS_MAX) {
        for_us.append(&mut them.sent);
        let some = for_us.len().max(1);
        let pick = |number: u8| usize::from(number) % some;
        match *step {
            Step::Carry => {
                for datagram in std::mem::take(&mut us.sent) {
                    them.receive(now, &datagram);
                    them.advance(now);
                }
                // All of it is there before we come to it.
                for datagram in std::mem::take(&mut for_us) {
                    us.receive(now, &datagram);
                }
                us.advance(now);
            }
            Step::Lose(number) if !for_us.is_empty() => drop(for_us.remove(pick(number))),
            Step::Change { datagram, at, to } => {
                if let Some(datagram) = for_us.get_mut(pick(datagram)) {
                    let at = usize::from(at) % datagram.len().max(1);
                    datagram.get_mut(at).into_iter().for_each(|byte| *byte = to);
                }
            }
            Step::Cut { datagram, len } => {
                if let Some(datagram) = for_us.get_mut(pick(datagram)) {
                    datagram.truncate(len.into());
                }
            }
            Step::Twice(number) => for_us.extend(for_us.get(pick(number)).cloned()),
            Step::Swap => for_us.reverse(),
            Step::Invent(bytes) => us.receive(now, bytes),
            Step::Record { content, epoch, body } => {
                let body = &body[..body.len().min(1_400)];
                let len = u16::try_from(body.len()).unwrap_or_default().to_be_bytes();
                let head = [20 + content % 4, 254, 253, 0, epoch % 3, 0, 0, 0, 0, 1, 0];
                us.receive(now, &[&head[..], &len, body].concat());
            }
            Step::Wait(millis) => {
                now = Time::from_millis(now.as_millis() + u64::from(millis));
                us.wait(now);
                them.wait(now);
            }
            Step::Lose(_) => {}
        }
    }
    us.advance(now);
    if let (Some(ours), Some(theirs)) = (&us.connected, &them.connected) {
        assert!(ours.suite == theirs.suite);
        assert!(ours.local_key == theirs.remote_key && ours.remote_key == theirs.local_key);
    }
    let mut out = Output::default();
    us.connection.close(&mut out);
    assert!(out.datagrams().count() <= 1 && out.events.is_empty());
});
