//! One connection.

use std::mem;

use openssl::error::ErrorStack;
use openssl::ssl::{self, ErrorCode, ShutdownState, Ssl, SslContext, SslStream};
use ringsoup_rtc::dtls::{Connection, Event, Fingerprint, Output, Role};
use ringsoup_rtc::time::Time;

use crate::alert;
use crate::cipher;
use crate::datagrams::Datagrams;
use crate::ffi::{self, Retransmission};
use crate::flight::Flight;
use crate::keys;
use crate::record::{ContentType, Record, records};
use crate::timer::Timer;

/// The most bytes one datagram of ours has: mediasoup's figure, below any MTU that is still around.
const DATAGRAM_MAX: u16 = 1350;

/// The most bytes one record carries (RFC 6347 section 4.1).
const RECORD_MAX: usize = 1 << 14;

#[derive(Debug)]
enum Phase {
    Handshaking {
        flight: Flight,
        timer: Timer,
    },
    Connected {
        /// Bytes of the shortest record that can be one.
        shortest: usize,
    },
    Over,
}

#[derive(Debug)]
pub(crate) struct Session {
    stream: SslStream<Datagrams>,
    role: Role,
    remote_fingerprint: Fingerprint,
    phase: Phase,
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
        ffi::leave_timing_to_us(&mut ssl);
        match role {
            Role::Client => ssl.set_connect_state(),
            Role::Server => ssl.set_accept_state(),
            Role::Auto => return Err("the DTLS role is not decided".to_owned()),
        }
        let stream = SslStream::new(ssl, Datagrams::new(role)).map_err(failed)?;
        let phase = Phase::Handshaking { flight: Flight::new(role.opposite()), timer: Timer::begin(now) };
        let mut session = Self { stream, role, remote_fingerprint, phase };
        if role == Role::Client {
            session.with_output(out, |session| session.advance_handshake(now));
        }
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
        self.stream.get_mut().clear_incoming();
        mem::swap(out, &mut self.stream.get_mut().outgoing);
    }

    fn tell(&mut self, event: Event) {
        self.stream.get_mut().outgoing.events.push(event);
    }

    /// OpenSSL goes on until it has sent a flight that has to be answered, or is done.
    fn advance_handshake(&mut self, now: Time) {
        self.stream.get_mut().resume();
        match self.stream.do_handshake() {
            Ok(()) => {
                self.finish_handshake();
                // A message may have come with the last flight.
                if matches!(self.phase, Phase::Connected { .. }) {
                    self.read_messages();
                }
            }
            Err(_) if self.stream.get_ref().is_paused() => {
                if let Phase::Handshaking { timer, .. } = &mut self.phase {
                    timer.flight_sent(now);
                }
            }
            // What was to end the handshake was none.
            Err(error) if error.code() == ErrorCode::WANT_READ => {}
            Err(error) => self.fail(reason(&error)),
        }
    }

    fn finish_handshake(&mut self) {
        match keys::export(self.stream.ssl(), self.role, &self.remote_fingerprint) {
            Ok(connected) => {
                self.phase = Phase::Connected { shortest: cipher::shortest_body(self.stream.ssl()) };
                self.tell(Event::Connected(Box::new(connected)));
            }
            Err(reason) => {
                self.say_good_bye();
                self.fail(reason);
            }
        }
    }

    fn take_handshake_records(&mut self, datagram: &[u8], out: &mut Output) {
        for record in records(datagram) {
            let Phase::Handshaking { flight, .. } = &mut self.phase else { break };
            if record.epoch == 0 && record.content == ContentType::Alert {
                if let Some(reason) = alert::ends_handshake(record.body) {
                    self.with_output(out, |session| session.fail(reason));
                }
                continue;
            }
            flight.add(&record);
        }
    }

    /// Records in the clear say nothing any more: anybody can write them.
    fn take_sealed_records(&mut self, shortest: usize, datagram: &[u8], out: &mut Output) {
        let incoming = &mut self.stream.get_mut().incoming;
        let can_be_sealed = |record: &Record<'_>| record.epoch > 0 && record.body.len() >= shortest;
        for record in records(datagram).filter(can_be_sealed) {
            incoming.extend_from_slice(record.bytes);
        }
        if !incoming.is_empty() {
            self.with_output(out, Self::read_messages);
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

    fn send_again(&mut self, now: Time) {
        let Phase::Handshaking { flight, timer } = &mut self.phase else { return };
        if timer.is_over(now) {
            self.fail("no DTLS handshake within 30 s".to_owned());
        } else if timer.is_retransmission_due(now) {
            timer.flight_sent_again(now);
            // The answer to what was sent is there, and only waits to be worked on.
            if flight.is_whole() {
                return;
            }
            if ffi::send_flight_again(&mut self.stream) == Retransmission::Failed {
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
    fn take_in(&mut self, _: Time, datagram: &[u8], out: &mut Output) {
        match self.phase {
            Phase::Handshaking { .. } => self.take_handshake_records(datagram, out),
            Phase::Connected { shortest } => self.take_sealed_records(shortest, datagram, out),
            Phase::Over => {}
        }
    }

    fn holds_flight(&self) -> bool {
        matches!(&self.phase, Phase::Handshaking { flight, .. } if flight.holds_something())
    }

    fn is_ready(&self) -> bool {
        matches!(&self.phase, Phase::Handshaking { flight, .. } if flight.is_whole())
    }

    fn advance(&mut self, now: Time, out: &mut Output) {
        let Phase::Handshaking { flight, .. } = &mut self.phase else { return };
        if flight.take(&mut self.stream.get_mut().incoming) {
            self.with_output(out, |session| session.advance_handshake(now));
        }
    }

    fn handle_timeout(&mut self, now: Time, out: &mut Output) {
        self.with_output(out, |session| session.send_again(now));
    }

    fn next_timeout(&self) -> Option<Time> {
        match &self.phase {
            Phase::Handshaking { timer, .. } => Some(timer.next()),
            Phase::Connected { .. } | Phase::Over => None,
        }
    }

    fn close(&mut self, out: &mut Output) {
        if !matches!(self.phase, Phase::Over) {
            self.phase = Phase::Over;
            self.with_output(out, Self::say_good_bye);
        }
    }
}
