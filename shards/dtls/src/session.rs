//! One connection.

use std::ffi::c_uint;
use std::mem;

use openssl::error::ErrorStack;
use openssl::ssl::{self, ErrorCode, ShutdownState, Ssl, SslContext, SslStream};
use openssl_sys as sys;
use ringsoup_rtc::dtls::{Connection, Event, Fingerprint, Output, Role};
use ringsoup_rtc::time::Time;

use crate::datagrams::Datagrams;
use crate::ffi::{self, Retransmission};
use crate::keys;
use crate::timer::Timer;

/// The most bytes one datagram of ours has: mediasoup's figure, below any MTU that is still around.
const DATAGRAM_MAX: u16 = 1350;

/// The most bytes one record carries (RFC 6347 section 4.1).
const RECORD_MAX: usize = 1 << 14;

#[derive(Debug)]
enum Phase {
    Handshaking(Timer),
    Connected,
    Over,
}

#[derive(Debug)]
pub(crate) struct Session {
    stream: SslStream<Datagrams>,
    role: Role,
    remote_fingerprint: Fingerprint,
    phase: Phase,
}

/// OpenSSL's own wait for an answer, in µs.
extern "C" fn interval(_ssl: *mut sys::SSL, previous_us: c_uint) -> c_uint {
    match previous_us {
        0 => 100_000,
        _ => (2 * previous_us).min(4_000_000),
    }
}

impl Session {
    pub(crate) fn begin(
        context: &SslContext,
        now: Time,
        role: Role,
        remote_fingerprint: Fingerprint,
        out: &mut Output,
    ) -> Result<Self, String> {
        let failed = |error: ErrorStack| format!("no DTLS connection can be made: {error}");
        let mut ssl = Ssl::new(context).map_err(failed)?;
        if !ffi::set_link_mtu(&mut ssl, DATAGRAM_MAX.into()) {
            return Err(failed(ErrorStack::get()));
        }
        ffi::set_timer_callback(&mut ssl, interval);
        match role {
            Role::Client => ssl.set_connect_state(),
            Role::Server => ssl.set_accept_state(),
            Role::Auto => return Err("the DTLS role is not decided".to_owned()),
        }
        let stream = SslStream::new(ssl, Datagrams::default()).map_err(failed)?;
        let phase = Phase::Handshaking(Timer::begin(now));
        let mut session = Self { stream, role, remote_fingerprint, phase };
        session.with_output(out, |session| session.advance(now));
        Ok(session)
    }

    /// Lets OpenSSL write straight into the caller's output, and have buffers only for the time of a call.
    fn with_output(&mut self, out: &mut Output, call: impl FnOnce(&mut Self)) {
        mem::swap(out, &mut self.stream.get_mut().outgoing);
        if ffi::alloc_buffers(&mut self.stream) {
            call(self);
        } else {
            self.fail(format!("no buffers for DTLS records: {}", ErrorStack::get()));
        }
        ffi::free_buffers(&mut self.stream);
        mem::swap(out, &mut self.stream.get_mut().outgoing);
    }

    fn tell(&mut self, event: Event) {
        self.stream.get_mut().outgoing.events.push(event);
    }

    /// Does what can be done with what has come in.
    fn advance(&mut self, now: Time) {
        if matches!(self.phase, Phase::Handshaking(_)) {
            self.advance_handshake(now);
        }
        if matches!(self.phase, Phase::Connected) {
            self.read_messages();
        }
    }

    fn advance_handshake(&mut self, now: Time) {
        let sent = self.stream.get_ref().outgoing.datagrams().count();
        match self.stream.do_handshake() {
            Ok(()) => self.finish_handshake(),
            Err(error) if error.code() == ErrorCode::WANT_READ => {
                if let Phase::Handshaking(timer) = &mut self.phase
                    && self.stream.get_ref().outgoing.datagrams().count() > sent
                {
                    timer.flight_sent(now);
                }
            }
            Err(error) => self.fail(reason(&error)),
        }
    }

    fn finish_handshake(&mut self) {
        match keys::export(self.stream.ssl(), self.role, &self.remote_fingerprint) {
            Ok(connected) => {
                self.phase = Phase::Connected;
                self.tell(Event::Connected(Box::new(connected)));
            }
            Err(reason) => {
                self.say_good_bye();
                self.fail(reason);
            }
        }
    }

    fn read_messages(&mut self) {
        let mut buffer = [0; RECORD_MAX];
        loop {
            match self.stream.ssl_read(&mut buffer) {
                Ok(len) => self.tell(Event::ApplicationData(buffer[..len].to_vec())),
                Err(error) if error.code() == ErrorCode::WANT_READ => break,
                // Good-bye, or something that only the peer itself can have sent and that OpenSSL cannot go on after.
                Err(_) => {
                    self.say_good_bye();
                    self.phase = Phase::Over;
                    self.tell(Event::Closed);
                    break;
                }
            }
        }
    }

    fn say_good_bye(&mut self) {
        if !self.stream.get_shutdown().contains(ShutdownState::SENT) {
            // Whether it could be said makes no difference.
            let _ = self.stream.shutdown();
        }
    }

    fn fail(&mut self, reason: String) {
        self.phase = Phase::Over;
        self.tell(Event::Failed(reason));
    }

    fn retransmit(&mut self, now: Time) {
        let Phase::Handshaking(timer) = &mut self.phase else { return };
        if timer.is_over(now) {
            self.fail("no DTLS handshake within 30 s".to_owned());
        } else if timer.is_retransmission_due(now) {
            timer.flight_sent_again(now);
            if ffi::handle_timeout(&mut self.stream) == Retransmission::Failed {
                self.fail(format!("the flight cannot be sent again: {}", ErrorStack::get()));
            }
        }
    }
}

/// Why OpenSSL gave up.
fn reason(error: &ssl::Error) -> String {
    let first = error.ssl_error().and_then(|stack| stack.errors().first());
    match first.and_then(|error| error.reason()) {
        Some(reason) => format!("DTLS handshake: {reason}"),
        None => format!("DTLS handshake: {error}"),
    }
}

impl Connection for Session {
    fn handle_datagram(&mut self, now: Time, datagram: &[u8], out: &mut Output) {
        if matches!(self.phase, Phase::Over) {
            return;
        }
        self.stream.get_mut().incoming.push_back(datagram.to_vec());
        self.with_output(out, |session| session.advance(now));
    }

    fn handle_timeout(&mut self, now: Time, out: &mut Output) {
        self.with_output(out, |session| session.retransmit(now));
    }

    fn next_timeout(&self) -> Option<Time> {
        match &self.phase {
            Phase::Handshaking(timer) => Some(timer.next()),
            Phase::Connected | Phase::Over => None,
        }
    }

    fn close(&mut self, out: &mut Output) {
        if !matches!(self.phase, Phase::Over) {
            self.phase = Phase::Over;
            self.with_output(out, Self::say_good_bye);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::OpenSsl;
    use ringsoup_rtc::dtls::{Certificate, Connected, Connector as _, FingerprintAlgorithm};

    fn certificate() -> Certificate {
        let key = rcgen::KeyPair::generate().unwrap();
        let own = rcgen::CertificateParams::default().self_signed(&key).unwrap();
        Certificate::new(own.der().to_vec(), key.serialize_der())
    }

    struct End {
        connection: Box<dyn Connection>,
        out: Output,
    }

    impl End {
        fn new(role: Role, own: &Certificate, peer: &Fingerprint) -> Self {
            let mut out = Output::default();
            let connector = OpenSsl::new(own).unwrap();
            let connection = connector.connect(Time::ZERO, role, peer, &mut out).unwrap();
            Self { connection, out }
        }

        fn take_datagrams(&mut self) -> Vec<Vec<u8>> {
            let events = mem::take(&mut self.out.events);
            let datagrams = self.out.datagrams().map(<[u8]>::to_vec).collect();
            self.out.clear();
            self.out.events = events;
            datagrams
        }

        fn connected(&self) -> Option<&Connected> {
            self.out.events.iter().find_map(|event| match event {
                Event::Connected(connected) => Some(&**connected),
                _ => None,
            })
        }
    }

    fn exchange(client: &mut End, server: &mut End) {
        loop {
            let (up, down) = (client.take_datagrams(), server.take_datagrams());
            if up.is_empty() && down.is_empty() {
                break;
            }
            for datagram in up {
                assert!(datagram.len() <= usize::from(DATAGRAM_MAX));
                server.connection.handle_datagram(Time::ZERO, &datagram, &mut server.out);
            }
            for datagram in down {
                assert!(datagram.len() <= usize::from(DATAGRAM_MAX));
                client.connection.handle_datagram(Time::ZERO, &datagram, &mut client.out);
            }
        }
    }

    #[test]
    fn two_ends_agree_on_keys() {
        let (a, b) = (certificate(), certificate());
        for algorithm in FingerprintAlgorithm::ALL {
            let mut client = End::new(Role::Client, &a, &Fingerprint::of(algorithm, b.der()));
            let mut server = End::new(Role::Server, &b, &Fingerprint::of(algorithm, a.der()));
            exchange(&mut client, &mut server);
            let (ours, theirs) = (client.connected().unwrap(), server.connected().unwrap());
            assert_eq!(ours.suite, ringsoup_rtc::srtp::CryptoSuite::AeadAes256Gcm);
            assert_eq!((&ours.local_key, &ours.remote_key), (&theirs.remote_key, &theirs.local_key));
            assert_ne!(ours.local_key, ours.remote_key);
            assert_eq!(ours.local_key.len(), 44);
            assert!(ours.remote_certificate.starts_with("-----BEGIN CERTIFICATE-----\n"));
            assert_eq!(client.connection.next_timeout(), None);
            client.connection.close(&mut client.out);
            exchange(&mut client, &mut server);
            assert!(matches!(server.out.events.last(), Some(Event::Closed)));
        }
    }

    #[test]
    fn another_fingerprint_is_never_connected() {
        let (a, b) = (certificate(), certificate());
        let right =
            |certificate: &Certificate| Fingerprint::of(FingerprintAlgorithm::Sha256, certificate.der());
        let mut client = End::new(Role::Client, &a, &right(&a));
        let mut server = End::new(Role::Server, &b, &right(&a));
        exchange(&mut client, &mut server);
        assert!(client.connected().is_none());
        assert!(matches!(&client.out.events[..], [Event::Failed(_)]));
    }
}
