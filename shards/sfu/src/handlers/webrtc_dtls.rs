//! The handshake of WebRTC transports: it begins when both the peer's address and its fingerprint are known.

use ringsoup_rtc::dtls::{self, Connected, State};
use ringsoup_rtc::time::Time;

use crate::command::SrtpParameters;
use crate::drop_reason::DropReason;
use crate::event::{Event, LogLevel, LogLine, LogTag};
use crate::handshakes::{RETRY, Turn};
use crate::outbox::{Outbox, Route};
use crate::sfu::Sfu;
use crate::sockets::Sockets;
use crate::stats::Outcome;
use crate::table::Id;
use crate::transport::Transport;
use crate::transport::srtp::SrtpSessions;
use crate::transport::webrtc::Tuple;

use super::webrtc_packets::{take_due, webrtc};

impl Sfu {
    /// To be called when ICE may have found the peer, or `connect()` told who it is.
    pub(super) fn may_start_dtls(&mut self, now: Time, id: Id<Transport>) {
        let Ok(webrtc) = webrtc(&mut self.transports[id]) else { return };
        if webrtc.may_start_dtls() && webrtc.dtls.turn.is_none() {
            let has_turn = self.handshakes.ask(id);
            webrtc.dtls.turn = has_turn.then_some(Turn::Begin);
            webrtc.dtls.asks_again = (!has_turn).then(|| now + RETRY);
        }
    }

    /// Whether a handshake has a piece of public-key work to be done.
    pub fn has_handshake_work(&self) -> bool {
        self.handshakes.has_work()
    }

    /// Does one piece of one handshake: some hundred microseconds with P-256 certificates, several milliseconds with RSA of
    /// 4,096 bits at our end. The peer has no say in the key exchange's group, but shows what certificate it likes, and that
    /// has to be verified (docs/decisions/0014). To be called between two flushes of media.
    pub fn advance_handshake(&mut self, now: Time, out: &mut Outbox) {
        let Some(id) = self.handshakes.next() else { return };
        self.handshakes.at_work = Some(id);
        let turn = webrtc(&mut self.transports[id]).ok().and_then(|webrtc| webrtc.dtls.turn.take());
        match turn {
            Some(Turn::Begin) => self.begin_dtls(now, id, out),
            Some(Turn::Answer) => self.answer_dtls(now, id, out),
            None => {}
        }
        self.settle_webrtc(now, id, out);
        self.handshakes.at_work = None;
    }

    fn begin_dtls(&mut self, now: Time, id: Id<Transport>, out: &mut Outbox) {
        let Ok(webrtc) = webrtc(&mut self.transports[id]) else { return };
        // Its peer may have gone while it waited; the next check asks again.
        let Some(fingerprint) = webrtc.dtls.remote_fingerprint.as_ref().filter(|_| webrtc.may_start_dtls())
        else {
            return;
        };
        let begun = self.config.dtls.connect(now, webrtc.dtls.role, fingerprint, &mut self.dtls_output);
        let failure = begun.map(|connection| webrtc.dtls.connection = Some(connection)).err();
        self.enter_dtls(id, State::Connecting, None, out);
        self.act_on_dtls(now, id, out);
        if let Some(reason) = failure {
            self.end_dtls(id, State::Failed, &reason, out);
        }
    }

    fn answer_dtls(&mut self, now: Time, id: Id<Transport>, out: &mut Outbox) {
        let Ok(webrtc) = webrtc(&mut self.transports[id]) else { return };
        if let Some(connection) = &mut webrtc.dtls.connection {
            connection.advance(now, &mut self.dtls_output);
            self.act_on_dtls(now, id, out);
            self.may_answer_dtls(id);
        }
    }

    fn may_answer_dtls(&mut self, id: Id<Transport>) {
        let Ok(webrtc) = webrtc(&mut self.transports[id]) else { return };
        let dtls = &mut webrtc.dtls;
        if dtls.turn.is_none() && dtls.connection.as_ref().is_some_and(|connection| connection.is_ready()) {
            dtls.turn = Some(Turn::Answer);
            self.handshakes.is_ready(id);
        }
    }

    pub(super) fn receive_dtls(
        &mut self,
        now: Time,
        id: Id<Transport>,
        tuple: Tuple,
        bytes: &[u8],
        sockets: &mut dyn Sockets,
        out: &mut Outbox,
    ) -> Result<Outcome, DropReason> {
        if !webrtc(&mut self.transports[id])?.ice.is_valid(tuple) {
            return Err(DropReason::NoIce);
        }
        let dtls = &mut webrtc(&mut self.transports[id])?.dtls;
        let Some(connection) = &mut dtls.connection else {
            let is_put_off = dtls.turn.is_some() || dtls.asks_again.is_some();
            return Err(if is_put_off { DropReason::HandshakePutOff } else { DropReason::NoHandshake });
        };
        let wants_place = dtls.state == State::Connecting && !dtls.has_place;
        if wants_place && !self.handshakes.has_place() {
            return Err(DropReason::HandshakePutOff);
        }
        connection.take_in(now, bytes, &mut self.dtls_output);
        // Not for a first byte that looks like DTLS: a place is for what is kept of it.
        if wants_place && connection.holds_flight() {
            dtls.has_place = true;
            self.handshakes.take_place();
        }
        // Without keys nothing is authentic, and an answer has to go where the peer is heard. With them, only what says
        // something is the peer's.
        if dtls.state == State::Connecting || !self.dtls_output.is_empty() {
            self.follow_peer(now, id, tuple, sockets, out);
        }
        // What it carries is an association's, and those are not spoken yet.
        let is_data = |event: &dtls::Event| matches!(event, dtls::Event::ApplicationData(_));
        let carries_data = self.dtls_output.events.iter().any(is_data);
        self.act_on_dtls(now, id, out);
        self.may_answer_dtls(id);
        self.settle_webrtc(now, id, out);
        if carries_data { Err(DropReason::Sctp) } else { Ok(Outcome::Consumed) }
    }

    /// Timers come early, or for a former owner of the id: only the connection knows.
    pub(crate) fn handle_dtls_timeout(&mut self, now: Time, id: Id<Transport>, out: &mut Outbox) {
        let Some(Ok(webrtc)) = self.transports.get_mut(id).map(webrtc) else { return };
        if !take_due(now, &mut webrtc.dtls.timer) {
            return;
        }
        if let Some(connection) = &mut webrtc.dtls.connection
            && connection.next_timeout().is_some_and(|deadline| deadline <= now)
        {
            connection.handle_timeout(now, &mut self.dtls_output);
            self.act_on_dtls(now, id, out);
        }
        self.may_start_dtls(now, id);
        self.settle_webrtc(now, id, out);
    }

    /// Says good-bye to the peer of a transport that closes, ahead of its sockets.
    pub(super) fn close_dtls(
        &mut self,
        id: Id<Transport>,
        transport: &mut Transport,
        sockets: &mut dyn Sockets,
    ) {
        let Ok(webrtc) = webrtc(transport) else { return };
        webrtc.dtls.leave(id, &mut self.handshakes);
        let Some(mut connection) = webrtc.dtls.connection.take() else { return };
        connection.close(&mut self.dtls_output);
        let route = webrtc.ways.selected().map(|destination| destination.route);
        if let Some(Route::Socket { socket, remote }) = route {
            for datagram in self.dtls_output.datagrams() {
                sockets.send_last(socket, remote, datagram);
            }
        }
        self.dtls_output.clear();
    }

    /// Sends what the connection wants sent, then does what it told.
    fn act_on_dtls(&mut self, now: Time, id: Id<Transport>, out: &mut Outbox) {
        // Taken out so that what follows can use the whole shard; its memory is kept.
        let mut output = std::mem::take(&mut self.dtls_output);
        for datagram in output.datagrams() {
            self.send_dtls(now, id, datagram, out);
        }
        for event in output.events.drain(..) {
            match event {
                dtls::Event::Connected(connected) => self.dtls_connected(id, *connected, out),
                dtls::Event::Failed(reason) => self.end_dtls(id, State::Failed, &reason, out),
                dtls::Event::Closed => self.end_dtls(id, State::Closed, "closed by the peer", out),
                dtls::Event::ApplicationData(_) => {}
            }
        }
        output.clear();
        self.dtls_output = output;
    }

    fn send_dtls(&mut self, now: Time, id: Id<Transport>, datagram: &[u8], out: &mut Outbox) {
        let transport = &mut self.transports[id];
        let Ok(webrtc) = webrtc(transport) else { return };
        let Some(destination) = webrtc.ways.selected() else { return };
        let is_sent = out.push_bytes(destination, datagram);
        if is_sent {
            transport.traffic.other_sent.update(now, datagram.len());
        }
    }

    fn dtls_connected(&mut self, id: Id<Transport>, connected: Connected, out: &mut Outbox) {
        let Connected { suite, local_key, remote_key, remote_certificate } = connected;
        let key = |key_and_salt| SrtpParameters { crypto_suite: suite, key_and_salt };
        match SrtpSessions::new(&key(local_key), &key(remote_key)) {
            Ok(sessions) => {
                if let Ok(webrtc) = webrtc(&mut self.transports[id]) {
                    webrtc.srtp = Some(sessions);
                }
                self.enter_dtls(id, State::Connected, Some(remote_certificate), out);
            }
            Err(error) => self.end_dtls(id, State::Failed, &error.reason, out),
        }
    }

    /// Without the connection nothing that it agreed on is good any more.
    fn end_dtls(&mut self, id: Id<Transport>, state: State, reason: &str, out: &mut Outbox) {
        let transport = &mut self.transports[id];
        let text = format!("Sfu::end_dtls() | DTLS {state:?}: {reason} [transportId:{}]", transport.name);
        if let Ok(webrtc) = webrtc(transport) {
            webrtc.dtls.connection = None;
            webrtc.srtp = None;
        }
        self.enter_dtls(id, state, None, out);
        let line = LogLine { level: LogLevel::Warn, tag: LogTag::Dtls, text };
        out.events.push(Event::Log(line));
    }

    fn enter_dtls(
        &mut self,
        id: Id<Transport>,
        state: State,
        remote_certificate: Option<String>,
        out: &mut Outbox,
    ) {
        let transport = &mut self.transports[id];
        let name = transport.name.clone();
        if let Ok(webrtc) = webrtc(transport) {
            // With a new state it has begun, or is over.
            webrtc.dtls.leave(id, &mut self.handshakes);
            webrtc.dtls.state = state;
            out.events.push(Event::WebRtcDtlsState { transport: name, state, remote_certificate });
        }
    }
}
