//! The thread: requests without waiting, handshakes as they become possible.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use ringsoup_fbs::fbs::request::Method;
use ringsoup_fbs::flatbuffers::FlatBufferBuilder;

use super::{OFFERING, STOPPED, Shared};
use crate::channel::{Channel, Reply, Waiting};
use crate::error::Error;
use crate::report::float;
use crate::rng::Rng;
use crate::session::WebRtc;
use crate::sys::{monotonic_ns, set_precise_timers};
use crate::transport_bodies::{
    Body, Listening, close_transport, connect_webrtc, create_router, create_webrtc_server,
};
use crate::webrtc::{Client, Dialer, Identity, Remote};
use crate::{latency, net};

/// Clients that have begun and not ended: a worker that does not keep up is not buried under them.
const UNDER_WAY_MAX: usize = 2_048;
/// Routers the transports are on, so that every shard has its part.
const ROUTERS: usize = 8;
const TURN: Duration = Duration::from_millis(1);
const NANOS_PER_SECOND: f64 = 1e9;
const SERVER: &str = "storm";

/// A transport and the router it is on.
#[derive(Clone, Debug)]
struct Transport {
    id: String,
    router: usize,
}

pub(super) struct Engine {
    channel: Channel,
    builder: FlatBufferBuilder<'static>,
    shared: Arc<Shared>,
    rate: f64,
    listening: Listening,
    identity: Identity,
    rng: Rng,
    dialer: Dialer,
    creating: VecDeque<(Transport, Waiting)>,
    connecting: VecDeque<(Transport, Client, Waiting)>,
    dialed: HashMap<usize, Transport>,
    closing: VecDeque<Waiting>,
    /// Since offering began.
    due: u64,
    begun_ns: Option<u64>,
    number: u64,
}

fn router(index: usize) -> String {
    format!("storm-router-{index}")
}

impl Engine {
    pub(super) fn new(
        channel: Channel,
        rate: f64,
        webrtc: &WebRtc,
        shared: Arc<Shared>,
    ) -> Result<Self, Error> {
        let listening =
            if webrtc.server { Listening::Server(SERVER.to_owned()) } else { Listening::Own { tcp: false } };
        let mut engine = Self {
            channel,
            builder: FlatBufferBuilder::new(),
            shared,
            rate,
            listening,
            identity: Identity::new(webrtc.role)?,
            rng: Rng::new(2),
            dialer: Dialer::new().map_err(Error::io("making handshakes"))?,
            creating: VecDeque::new(),
            connecting: VecDeque::new(),
            dialed: HashMap::new(),
            closing: VecDeque::new(),
            due: 0,
            begun_ns: None,
            number: 0,
        };
        for index in 0..ROUTERS {
            engine.ask(Method::WORKER_CREATE_ROUTER, "", create_router(&router(index)))?;
        }
        if webrtc.server {
            engine.ask(Method::WORKER_CREATE_WEBRTCSERVER, "", create_webrtc_server(SERVER, false))?;
        }
        Ok(engine)
    }

    fn ask(&mut self, method: Method, handler: &str, body: Body<'_>) -> Result<Reply, Error> {
        let waiting = self.send(method, handler, body)?;
        self.channel.wait(waiting)
    }

    fn send(&mut self, method: Method, handler: &str, body: Body<'_>) -> Result<Waiting, Error> {
        let body = Some(body(&mut self.builder));
        self.channel.send(method, handler, &mut self.builder, body)
    }

    pub(super) fn run(mut self) -> Result<(), Error> {
        set_precise_timers();
        loop {
            match self.shared.state.load(Ordering::Acquire) {
                STOPPED => return Ok(()),
                OFFERING => self.offer()?,
                _ => {
                    self.begun_ns = None;
                    self.shared.idle.store(self.under_way() == 0, Ordering::Release);
                }
            }
            self.read_replies()?;
            self.dialer.turn(TURN).map_err(Error::io("making handshakes"))?;
            self.read_outcomes()?;
        }
    }

    fn under_way(&self) -> usize {
        self.creating.len() + self.connecting.len() + self.dialed.len() + self.closing.len()
    }

    /// Begins as many clients as are due by now.
    fn offer(&mut self) -> Result<(), Error> {
        let now_ns = monotonic_ns();
        let begun_ns = *self.begun_ns.get_or_insert_with(|| {
            self.due = 0;
            now_ns
        });
        while float(self.due) < self.rate * float(now_ns - begun_ns) / NANOS_PER_SECOND {
            self.due += 1;
            if self.under_way() >= UNDER_WAY_MAX {
                self.shared.totals().skipped += 1;
                continue;
            }
            self.shared.totals().offered += 1;
            self.number += 1;
            let id = format!("storm-{}", self.number);
            let index = usize::try_from(self.number).unwrap_or(0) % ROUTERS;
            let listening = self.listening.clone();
            let waiting = self.send(listening.create_method(), &router(index), listening.create(&id))?;
            self.creating.push_back((Transport { id, router: index }, waiting));
        }
        Ok(())
    }

    fn read_replies(&mut self) -> Result<(), Error> {
        while let Some(reply) = self.creating.front().and_then(|(_, waiting)| Channel::poll(waiting)) {
            let Some((transport, _)) = self.creating.pop_front() else { break };
            match reply.and_then(|reply| self.connect(&transport, &reply)) {
                Ok((client, waiting)) => self.connecting.push_back((transport, client, waiting)),
                Err(error) => self.failed(&error.to_string()),
            }
        }
        while let Some(reply) = self.connecting.front().and_then(|(_, _, waiting)| Channel::poll(waiting)) {
            let Some((transport, client, _)) = self.connecting.pop_front() else { break };
            self.shared.recent.note(client.remote());
            let dialed = reply.and_then(|_| self.dialer.dial(client).map_err(Error::io("dialling")));
            match dialed {
                Ok(token) => {
                    self.dialed.insert(token, transport);
                }
                Err(error) => {
                    self.failed(&error.to_string());
                    self.close(&transport)?;
                }
            }
        }
        while let Some(reply) = self.closing.front().and_then(Channel::poll) {
            self.closing.pop_front();
            if let Err(error) = reply {
                self.failed(&error.to_string());
            }
        }
        Ok(())
    }

    fn connect(&mut self, transport: &Transport, reply: &Reply) -> Result<(Client, Waiting), Error> {
        let remote = Remote::of(reply)?;
        let socket = net::publishing_socket(remote.udp).map_err(Error::io("opening a socket"))?;
        let seed = self.rng.next_u64();
        let client = Client::new(socket, &remote, &self.identity, seed, monotonic_ns())?;
        let local = client.local_parameters();
        let waiting = self.send(Method::WEBRTCTRANSPORT_CONNECT, &transport.id, connect_webrtc(&local))?;
        Ok((client, waiting))
    }

    fn read_outcomes(&mut self) -> Result<(), Error> {
        for outcome in self.dialer.take_outcomes() {
            match outcome.result {
                Ok(_) => {
                    let mut totals = self.shared.totals();
                    totals.connected += 1;
                    latency::record(&mut totals.latency, outcome.took_ns);
                }
                Err(why) => self.failed(&why),
            }
            self.dialer.remove(outcome.token);
            if let Some(transport) = self.dialed.remove(&outcome.token) {
                self.close(&transport)?;
            }
        }
        Ok(())
    }

    fn close(&mut self, transport: &Transport) -> Result<(), Error> {
        let waiting = self.send(
            Method::ROUTER_CLOSE_TRANSPORT,
            &router(transport.router),
            close_transport(&transport.id),
        )?;
        self.closing.push_back(waiting);
        Ok(())
    }

    fn failed(&self, why: &str) {
        let mut totals = self.shared.totals();
        totals.failed += 1;
        totals.why = Some(why.to_owned());
    }
}
