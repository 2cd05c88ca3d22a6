//! Pipes between routers, of one worker or of two, and what goes through them.

use ringsoup_control::message::{Method, RequestBody, ResponseBody};
use ringsoup_sfu::command::{PipeConnect, PipeTransportOptions};
use ringsoup_sfu::reply::{PipeTransportDump, Reply};

use super::controller::created;
use super::ortc::{Consumable, produce_piped};
use super::{World, address_of};
use crate::common::parameters::{listen_info, transport_options};

/// Two transports that are each other's peers.
pub(super) struct Pipe {
    /// Routers and transports.
    pub(super) ends: [(usize, String); 2],
    pub(super) is_closed: bool,
}

/// A publication in another router.
pub(super) struct Piped {
    pub(super) publication: usize,
    pub(super) router: usize,
    pub(super) pipe: usize,
    pub(super) consumer: String,
    pub(super) producer: String,
    pub(super) consumable: Consumable,
    pub(super) is_closed: bool,
}

impl World {
    /// What a publication is called in a router, by which it can be consumed there. `None` when it, or the way, is closed.
    pub(super) fn producer_in(&mut self, publication: usize, router: usize) -> Option<(String, Consumable)> {
        let known = &self.publications[publication];
        if known.is_closed || self.routers[router].is_closed {
            return None;
        }
        let home = self.clients[known.client].router;
        if home == router {
            return Some((known.producer.clone(), known.consumable.clone()));
        }
        let is_it =
            |piped: &&Piped| piped.publication == publication && piped.router == router && !piped.is_closed;
        if let Some(piped) = self.piped.iter().find(is_it) {
            return Some((piped.producer.clone(), piped.consumable.clone()));
        }
        let pipe = self.pipe_between(home, router)?;
        self.send_through(publication, router, pipe)
    }

    fn pipe_between(&mut self, from: usize, to: usize) -> Option<usize> {
        let joins = |pipe: &Pipe| !pipe.is_closed && pipe.ends[0].0 == from && pipe.ends[1].0 == to;
        if let Some(pipe) = self.pipes.iter().position(joins) {
            return Some(pipe);
        }
        let ends = [from, to].map(|router| (router, self.name("pipe")));
        let [near, far] = [&ends[0], &ends[1]].map(|(router, transport)| {
            let transport = transport.clone();
            self.create_pipe(*router, &transport)
        });
        for ((router, transport), other) in ends.iter().zip([&far, &near]) {
            let connect = PipeConnect {
                ip: Ok(other.bound.ip()),
                port: Some(other.bound.port()),
                srtp_parameters: other.srtp_parameters.clone().map(Ok),
            };
            let worker = self.routers[*router].worker;
            let body = RequestBody::ConnectPipeTransport(connect);
            created(self.ask(worker, transport, Method::PipeTransportConnect, body));
        }
        self.pipes.push(Pipe { ends, is_closed: false });
        Some(self.pipes.len() - 1)
    }

    fn create_pipe(&mut self, router: usize, transport: &str) -> PipeTransportDump {
        let (worker, name) = (self.routers[router].worker, self.routers[router].name.clone());
        let mut listen_info = listen_info();
        listen_info.ip = address_of(worker);
        let options = PipeTransportOptions {
            base: transport_options(false),
            listen_info,
            enable_rtx: self.scenario.pipe_rtx,
            enable_srtp: self.scenario.pipe_srtp,
        };
        let body =
            RequestBody::CreatePipeTransport { transport: transport.into(), options: Box::new(options) };
        match created(self.ask(worker, &name, Method::RouterCreatePipeTransport, body)) {
            ResponseBody::Shard(Reply::PipeTransportDump(dump)) => *dump,
            other => panic!("not a dump: {other:?}"),
        }
    }

    fn send_through(
        &mut self,
        publication: usize,
        router: usize,
        pipe: usize,
    ) -> Option<(String, Consumable)> {
        let (consumer, producer) = (self.name("pipe consumer"), self.name("pipe producer"));
        let [near, far] = self.pipes[pipe].ends.clone();
        let (ssrc, mapped) = (self.ssrcs(), self.ssrcs());
        let known = &self.publications[publication];
        let rtx = self.scenario.pipe_rtx;
        let consume = known.consumable.pipe(&consumer, &known.producer, ssrc, rtx);
        let produce = produce_piped(&producer, &consume, mapped, known.paused);
        let consumable = Consumable::of(&produce);
        let worker = self.routers[near.0].worker;
        created(self.ask(worker, &near.1, Method::TransportConsume, RequestBody::Consume(Box::new(consume))));
        let worker = self.routers[far.0].worker;
        created(self.ask(worker, &far.1, Method::TransportProduce, RequestBody::Produce(Box::new(produce))));
        self.piped.push(Piped {
            publication,
            router,
            pipe,
            consumer,
            producer: producer.clone(),
            consumable: consumable.clone(),
            is_closed: false,
        });
        Some((producer, consumable))
    }

    /// Both ends of a pipe are of no more use; those that are left are closed.
    pub(super) fn close_pipe(&mut self, pipe: usize) {
        if std::mem::replace(&mut self.pipes[pipe].is_closed, true) {
            return;
        }
        for (router, transport) in self.pipes[pipe].ends.clone() {
            self.close_transport(router, &transport);
        }
        for piped in self.piped.iter_mut().filter(|piped| piped.pipe == pipe) {
            piped.is_closed = true;
        }
    }
}
