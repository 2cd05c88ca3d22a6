//! The application: who joins, what it asks for, and what it does when it is told something.

use ringsoup_control::message::{
    Incoming, Method, Notification, NotificationBody, Request, RequestBody, ResponseBody,
};
use ringsoup_rtc::rtp::RtpPacket;
use ringsoup_rtc::srtp::{CryptoSuite, InboundSession, OutboundSession};
use ringsoup_sfu::command::{CommandError, Layers};
use ringsoup_sfu::event::Event;
use ringsoup_sfu::reply::Reply;

use super::clients::{Client, Publication, Subscription, Way};
use super::ortc::Consumable;
use super::receiver::Receiver;
use super::scenario::Disturbance;
use super::sender::{Clock, Sender};
use super::{Action, RECEIVER_TICK, REPORT_PAUSE, World, address_of, sockets};
use crate::common::parameters::{connect_to, key, listen_info, plain, transport_options};
use crate::media::Source;

/// Routers that were ever made, and clients: ports and time are finite.
const ROUTERS_MAX: usize = 12;
const CLIENTS_MAX: usize = 24;

/// Packets of a source by which its first numbers are known.
const PROBED: usize = 20;

const SUITES: [CryptoSuite; 3] =
    [CryptoSuite::AeadAes256Gcm, CryptoSuite::AeadAes128Gcm, CryptoSuite::AesCm128HmacSha1_80];

pub(super) struct RouterState {
    pub(super) worker: usize,
    pub(super) name: String,
    pub(super) is_closed: bool,
}

/// What must be answered well.
pub(super) fn created(answer: Result<ResponseBody, CommandError>) -> ResponseBody {
    answer.expect("nothing is wrong with the request")
}

impl World {
    pub(super) fn ask(
        &mut self,
        worker: usize,
        handler: &str,
        method: Method,
        body: RequestBody,
    ) -> Result<ResponseBody, CommandError> {
        self.next_request += 1;
        let id = self.next_request;
        if self.scenario.tells {
            eprintln!("{:?} worker {worker}: {} of {handler:?}", self.now, method.name());
        }
        let request = Request { id: id.into(), method, handler_id: handler.to_owned(), body: Ok(body) };
        self.workers[worker].handle_incoming(Incoming::Request(request));
        self.carry(worker);
        let answers = std::mem::take(&mut self.answers);
        let [(from, response)] = <[_; 1]>::try_from(answers).expect("one request, one answer, at once");
        assert_eq!((from, response.id), (worker, id.into()));
        match response.result {
            Ok(_) => self.summary.accepted += 1,
            Err(_) => self.summary.refused += 1,
        }
        response.result
    }

    pub(super) fn tell(&mut self, worker: usize, handler: &str, body: NotificationBody) {
        let notification = Notification { handler_id: handler.to_owned(), body };
        self.workers[worker].handle_incoming(Incoming::Notification(notification));
        self.carry(worker);
    }

    /// Who is there from the beginning.
    pub(super) fn populate(&mut self) {
        for worker in 0..self.scenario.workers {
            for _ in 0..self.scenario.routers {
                self.open_router(worker);
            }
        }
        for media in self.scenario.publishers.clone() {
            let router = self.rng.below(self.routers.len());
            let client = self.join(router);
            self.produce(client, media);
        }
        for subscriber in 0..self.scenario.subscribers {
            let client = self.join(subscriber % self.routers.len());
            self.consume_all(client);
        }
        self.after(self.scenario.operation_pause, Action::Operate);
        self.hear_events();
    }

    pub(super) fn open_router(&mut self, worker: usize) {
        let name = self.name("router");
        let body = RequestBody::CreateRouter { router: name.as_str().into() };
        created(self.ask(worker, "", Method::WorkerCreateRouter, body));
        self.routers.push(RouterState { worker, name, is_closed: false });
    }

    fn join(&mut self, router: usize) -> usize {
        let transport = self.name("transport");
        let is_direct = self.rng.below(100) < self.scenario.direct;
        let client = self.clients.len();
        let way = if is_direct {
            self.join_directly(router, &transport)
        } else {
            self.join_plainly(router, &transport, client)
        };
        let network = self.scenario.network;
        let (up, down) = (network.link(&mut self.rng).into(), network.link(&mut self.rng).into());
        self.clients.push(Client { transport, router, way, up, down, is_gone: false });
        self.after(RECEIVER_TICK, Action::Receive { client });
        self.after(REPORT_PAUSE, Action::Report { client });
        client
    }

    fn join_directly(&mut self, router: usize, transport: &str) -> Way {
        let (worker, name) = (self.routers[router].worker, self.routers[router].name.clone());
        let options = transport_options(true);
        let body = RequestBody::CreateDirectTransport { transport: transport.into(), options };
        created(self.ask(worker, &name, Method::RouterCreateDirectTransport, body));
        Way::Direct
    }

    fn join_plainly(&mut self, router: usize, transport: &str, client: usize) -> Way {
        let (worker, name) = (self.routers[router].worker, self.routers[router].name.clone());
        let has_srtp = self.rng.below(100) < self.scenario.srtp;
        let suite = has_srtp.then(|| SUITES[self.rng.below(SUITES.len())]);
        let mut options = plain();
        options.listen_info = listen_info();
        options.listen_info.ip = address_of(worker);
        options.srtp_crypto_suite = suite;
        let body =
            RequestBody::CreatePlainTransport { transport: transport.into(), options: Box::new(options) };
        let dump = match created(self.ask(worker, &name, Method::RouterCreatePlainTransport, body)) {
            ResponseBody::Shard(Reply::PlainTransportDump(dump)) => dump,
            other => panic!("not a dump: {other:?}"),
        };
        let mut connect = connect_to(sockets::client_address(client));
        let own = suite.map(|suite| key(suite, u8::try_from(client).expect("few clients")));
        connect.srtp_parameters = own.clone().map(Ok);
        let body = RequestBody::ConnectPlainTransport(connect);
        let theirs = match created(self.ask(worker, transport, Method::PlainTransportConnect, body)) {
            ResponseBody::Shard(Reply::PlainConnect(connected)) => connected.srtp_parameters,
            other => panic!("not connected: {other:?}"),
        };
        let srtp = own.zip(theirs).map(|(own, theirs)| {
            let out = OutboundSession::new(own.crypto_suite, &own.key_and_salt);
            let inbound = InboundSession::new(theirs.crypto_suite, &theirs.key_and_salt);
            Box::new((out.expect("a good key"), inbound.expect("a good key")))
        });
        assert_eq!(srtp.is_some(), has_srtp);
        Way::Plain { local: (address_of(worker), dump.tuple.local_port).into(), srtp }
    }

    fn produce(&mut self, client: usize, media: super::cast::Media) {
        let producer = self.name("producer");
        let (ssrc, mapped) = (self.ssrcs(), self.ssrcs());
        let drift = self.scenario.drift_ppm;
        let ppm = self.rng.below(2 * drift + 1).cast_signed() - drift.cast_signed();
        let clock = Clock { set_at: self.now, ppm: i64::try_from(ppm).expect("a few hundred") };
        let source = self.source(client, media, (ssrc, mapped));
        let request = source.produce_request(&producer);
        let consumable = Consumable::of(&request);
        let sender = Sender::new(source, &request, clock, self.scenario.pause, &mut self.rng);
        let (transport, router) = (self.clients[client].transport.clone(), self.clients[client].router);
        let worker = self.routers[router].worker;
        created(self.ask(
            worker,
            &transport,
            Method::TransportProduce,
            RequestBody::Produce(Box::new(request)),
        ));
        let due = sender.due();
        self.publications.push(Publication {
            client,
            producer,
            consumable,
            sender,
            paused: false,
            is_closed: false,
            is_steady: true,
        });
        self.at(due, Action::Produce { publication: self.publications.len() - 1 });
    }

    /// With SRTP numbers begin in the lower half: whoever misses the first packets of a stream that soon wraps never learns of
    /// the wrap (RFC 3711 section 3.3.1).
    fn source(
        &mut self,
        client: usize,
        media: super::cast::Media,
        (ssrc, mapped): (u32, u32),
    ) -> Box<dyn Source> {
        loop {
            let mut rng = self.rng.clone();
            let mut probe = media.source(ssrc, mapped, self.now, &mut rng);
            let mut packets = Vec::new();
            while packets.len() < PROBED {
                let due = probe.due();
                probe.produce(due, &mut rng, &mut packets);
            }
            let begins_low = |bytes: &Vec<u8>| bytes[2] < 0x80;
            if !self.clients[client].has_srtp() || packets.iter().all(begins_low) {
                return media.source(ssrc, mapped, self.now, &mut self.rng);
            }
            self.rng.next_u64();
        }
    }

    /// Everything that is published, but what the client publishes itself.
    fn consume_all(&mut self, client: usize) {
        for publication in 0..self.publications.len() {
            if self.publications[publication].client != client {
                self.consume(client, publication);
            }
        }
    }

    fn consume(&mut self, client: usize, publication: usize) {
        let router = self.clients[client].router;
        let Some((producer, consumable)) = self.producer_in(publication, router) else { return };
        let consumer = self.name("consumer");
        let ssrc = self.ssrcs();
        let request = consumable.consume(&consumer, &producer, ssrc);
        let oracle = self.publications[publication].sender.source.oracle();
        let receiver = Receiver::new(self.now, &request, consumable.highest(), oracle, self.scenario.keeps);
        let transport = self.clients[client].transport.clone();
        let worker = self.routers[router].worker;
        self.subscriptions.push(Subscription {
            client,
            publication,
            consumer,
            receiver,
            paused: false,
            is_closed: false,
            decoded_before: None,
        });
        created(self.ask(
            worker,
            &transport,
            Method::TransportConsume,
            RequestBody::Consume(Box::new(request)),
        ));
    }

    /// Events in their order; what is done about one may cause others.
    pub(super) fn hear_events(&mut self) {
        while let Some((worker, event)) = self.events.pop_front() {
            match event {
                Event::ConsumerRtp { consumer, data } => self.application_receives(&consumer, &data),
                Event::DirectTransportRtcp { transport, data } => {
                    let is_it = |client: &Client| client.transport == *transport;
                    if let Some(client) = self.clients.iter().position(is_it) {
                        self.leaves(client, &data);
                        self.client_hears(client, &data);
                    }
                }
                Event::ConsumerProducerClose { consumer } => self.consumer_has_closed(worker, &consumer),
                Event::ConsumerProducerPause { consumer } => self.piped_pauses(&consumer, true),
                Event::ConsumerProducerResume { consumer } => self.piped_pauses(&consumer, false),
                Event::TransportFailed { transport, .. } => panic!("{transport} failed"),
                _ => {}
            }
        }
    }

    fn application_receives(&mut self, consumer: &str, data: &[u8]) {
        let packet = RtpPacket::parse(data).expect("well-formed RTP leaves");
        let is_it = |known: &Subscription| known.consumer == *consumer;
        let subscription = self.subscriptions.iter().position(is_it).expect("a consumer that was made");
        let client = self.subscriptions[subscription].client;
        assert!(self.subscriptions[subscription].receiver.owns(packet.ssrc()));
        self.leaves(client, data);
        self.client_hears(client, data);
    }

    fn consumer_has_closed(&mut self, worker: usize, consumer: &str) {
        if let Some(known) = self.subscriptions.iter_mut().find(|known| known.consumer == *consumer) {
            known.is_closed = true;
            return;
        }
        let Some(piped) = self.piped.iter_mut().find(|piped| piped.consumer == *consumer) else {
            panic!("{consumer} of worker {worker} closes and was never made");
        };
        if std::mem::replace(&mut piped.is_closed, true) {
            return;
        }
        let (producer, pipe) = (piped.producer.clone(), piped.pipe);
        let (router, transport) = self.pipes[pipe].ends[1].clone();
        self.close_producer(router, &transport, &producer);
    }

    /// As a library does: what happens to the producer happens to its copies behind pipes.
    fn piped_pauses(&mut self, consumer: &str, paused: bool) {
        let is_it = |piped: &&super::Piped| piped.consumer == *consumer && !piped.is_closed;
        let Some(piped) = self.piped.iter().find(is_it) else { return };
        let (producer, router) = (piped.producer.clone(), piped.router);
        let method = if paused { Method::ProducerPause } else { Method::ProducerResume };
        created(self.ask(self.routers[router].worker, &producer, method, RequestBody::None));
    }

    pub(super) fn close_producer(&mut self, router: usize, transport: &str, producer: &str) {
        let worker = self.routers[router].worker;
        let body = RequestBody::CloseProducer { producer: producer.into() };
        // Gone already where its transport or router has closed.
        let _ = self.ask(worker, transport, Method::TransportCloseProducer, body);
    }

    pub(super) fn close_transport(&mut self, router: usize, transport: &str) {
        let (worker, name) = (self.routers[router].worker, self.routers[router].name.clone());
        let body = RequestBody::CloseTransport { transport: transport.into() };
        let answer = self.ask(worker, &name, Method::RouterCloseTransport, body);
        assert_eq!(answer.is_ok(), !self.routers[router].is_closed, "{transport}");
    }

    pub(super) fn close_router(&mut self, router: usize) {
        let (worker, name) = (self.routers[router].worker, self.routers[router].name.clone());
        // Its clients lose their transports before anybody hears of it.
        self.routers[router].is_closed = true;
        for client in 0..self.clients.len() {
            if self.clients[client].router == router {
                self.client_goes(client);
            }
        }
        created(self.ask(
            worker,
            "",
            Method::WorkerCloseRouter,
            RequestBody::CloseRouter { router: name.as_str().into() },
        ));
        for pipe in 0..self.pipes.len() {
            if self.pipes[pipe].ends.iter().any(|(end, _)| *end == router) {
                self.close_pipe(pipe);
            }
        }
    }

    /// Everything it has is closed.
    fn client_goes(&mut self, client: usize) {
        self.clients[client].is_gone = true;
        for known in self.publications.iter_mut().filter(|known| known.client == client) {
            known.is_closed = true;
        }
        for known in self.subscriptions.iter_mut().filter(|known| known.client == client) {
            known.is_closed = true;
        }
    }

    fn present_client(&mut self) -> Option<usize> {
        let present: Vec<_> =
            (0..self.clients.len()).filter(|client| !self.clients[*client].is_gone).collect();
        (!present.is_empty()).then(|| present[self.rng.below(present.len())])
    }

    fn open_publication(&mut self) -> Option<usize> {
        let open: Vec<_> =
            (0..self.publications.len()).filter(|index| !self.publications[*index].is_closed).collect();
        (!open.is_empty()).then(|| open[self.rng.below(open.len())])
    }

    fn open_subscription(&mut self) -> Option<usize> {
        let open: Vec<_> =
            (0..self.subscriptions.len()).filter(|index| !self.subscriptions[*index].is_closed).collect();
        (!open.is_empty()).then(|| open[self.rng.below(open.len())])
    }

    pub(super) fn operate(&mut self) {
        self.after(self.scenario.operation_pause, Action::Operate);
        let kinds = match self.scenario.disturbance {
            Disturbance::Nothing => return,
            Disturbance::Choices => 4..10,
            Disturbance::Calm => 0..11,
            Disturbance::Wild => 0..18,
        };
        self.summary.operations += 1;
        match kinds.start + self.rng.below(kinds.len()) {
            0 | 1 => self.toggle_producer(),
            2 | 3 => self.toggle_consumer(),
            4..=6 => self.change_layers(),
            7 => self.request_key_frame(),
            8 | 9 => self.ask_around(),
            10 => self.restart_some_sender(),
            11 => self.close_some_consumer(),
            12 => self.somebody_joins(),
            13 => self.somebody_leaves(),
            14 => self.close_some_producer(),
            15 => self.close_some_pipe(),
            16 => self.consume_what_is_missing(),
            _ => self.replace_some_router(),
        }
        self.hear_events();
    }

    fn worker_of_client(&self, client: usize) -> usize {
        self.routers[self.clients[client].router].worker
    }

    fn interrupt(&mut self, publication: usize) {
        let now = self.now;
        let known = self.subscriptions.iter_mut().filter(|known| known.publication == publication);
        known.for_each(|known| known.receiver.interrupt(now));
    }

    fn toggle_producer(&mut self) {
        let Some(publication) = self.open_publication() else { return };
        let known = &mut self.publications[publication];
        known.paused = !known.paused;
        known.is_steady = false;
        let method = if known.paused { Method::ProducerPause } else { Method::ProducerResume };
        let (producer, worker) =
            (known.producer.clone(), self.worker_of_client(self.publications[publication].client));
        self.interrupt(publication);
        created(self.ask(worker, &producer, method, RequestBody::None));
        self.hear_events();
    }

    /// With SRTP it would use numbers twice under one key: who begins anew there has another SSRC and another key.
    fn restart_some_sender(&mut self) {
        let Some(publication) = self.open_publication() else { return };
        let known = &mut self.publications[publication];
        if !self.clients[known.client].has_srtp() && known.sender.restart() {
            known.is_steady = false;
            self.summary.restarts += 1;
            self.interrupt(publication);
        }
    }

    fn toggle_consumer(&mut self) {
        let Some(subscription) = self.open_subscription() else { return };
        let known = &mut self.subscriptions[subscription];
        let pauses = !known.paused;
        let method = if pauses { Method::ConsumerPause } else { Method::ConsumerResume };
        known.receiver.interrupt(self.now);
        if !pauses {
            known.paused = false;
        }
        let (consumer, worker) =
            (known.consumer.clone(), self.worker_of_client(self.subscriptions[subscription].client));
        created(self.ask(worker, &consumer, method, RequestBody::None));
        self.subscriptions[subscription].paused = pauses;
    }

    fn change_layers(&mut self) {
        let Some(subscription) = self.open_subscription() else { return };
        let known = &self.subscriptions[subscription];
        let Some(most) = self.publications[known.publication].consumable.layers() else { return };
        let spatial = u8::try_from(self.rng.below(usize::from(most.spatial))).expect("few layers");
        let temporal = self.rng.below(usize::from(most.temporal.unwrap_or(1)));
        let layers = Layers { spatial, temporal: Some(u8::try_from(temporal).expect("few layers")) };
        let (consumer, worker) = (known.consumer.clone(), self.worker_of_client(known.client));
        self.subscriptions[subscription].receiver.prefer(self.now, layers);
        created(self.ask(
            worker,
            &consumer,
            Method::ConsumerSetPreferredLayers,
            RequestBody::SetPreferredLayers(layers),
        ));
    }

    fn request_key_frame(&mut self) {
        let Some(subscription) = self.open_subscription() else { return };
        let known = &self.subscriptions[subscription];
        let (consumer, worker) = (known.consumer.clone(), self.worker_of_client(known.client));
        created(self.ask(worker, &consumer, Method::ConsumerRequestKeyFrame, RequestBody::None));
    }

    /// Dumps and stats of whatever there is.
    fn ask_around(&mut self) {
        if let Some(publication) = self.open_publication() {
            let worker = self.worker_of_client(self.publications[publication].client);
            let producer = self.publications[publication].producer.clone();
            created(self.ask(worker, &producer, Method::ProducerDump, RequestBody::None));
            created(self.ask(worker, &producer, Method::ProducerGetStats, RequestBody::None));
        }
        if let Some(subscription) = self.open_subscription() {
            let worker = self.worker_of_client(self.subscriptions[subscription].client);
            let consumer = self.subscriptions[subscription].consumer.clone();
            created(self.ask(worker, &consumer, Method::ConsumerDump, RequestBody::None));
            created(self.ask(worker, &consumer, Method::ConsumerGetStats, RequestBody::None));
        }
        if let Some(client) = self.present_client() {
            let (worker, transport) = (self.worker_of_client(client), self.clients[client].transport.clone());
            created(self.ask(worker, &transport, Method::TransportDump, RequestBody::None));
            created(self.ask(worker, &transport, Method::TransportGetStats, RequestBody::None));
        }
    }

    fn close_some_consumer(&mut self) {
        let Some(subscription) = self.open_subscription() else { return };
        let known = &self.subscriptions[subscription];
        let (client, consumer) = (known.client, known.consumer.clone());
        let (worker, transport) = (self.worker_of_client(client), self.clients[client].transport.clone());
        let body = RequestBody::CloseConsumer { consumer: consumer.as_str().into() };
        created(self.ask(worker, &transport, Method::TransportCloseConsumer, body));
        self.subscriptions[subscription].is_closed = true;
    }

    fn open_routers(&self) -> Vec<usize> {
        (0..self.routers.len()).filter(|router| !self.routers[*router].is_closed).collect()
    }

    fn somebody_joins(&mut self) {
        let open = self.open_routers();
        if self.clients.len() >= CLIENTS_MAX || open.is_empty() {
            return;
        }
        let router = open[self.rng.below(open.len())];
        let client = self.join(router);
        if self.rng.below(2) == 0 {
            let media = super::cast::Media::ALL[self.rng.below(super::cast::Media::ALL.len())];
            self.produce(client, media);
        }
        self.consume_all(client);
    }

    fn somebody_leaves(&mut self) {
        let Some(client) = self.present_client() else { return };
        let (router, transport) = (self.clients[client].router, self.clients[client].transport.clone());
        self.client_goes(client);
        self.close_transport(router, &transport);
    }

    fn close_some_producer(&mut self) {
        let Some(publication) = self.open_publication() else { return };
        let known = &mut self.publications[publication];
        known.is_closed = true;
        let (client, producer) = (known.client, known.producer.clone());
        let (router, transport) = (self.clients[client].router, self.clients[client].transport.clone());
        self.close_producer(router, &transport, &producer);
    }

    fn close_some_pipe(&mut self) {
        let open: Vec<_> = (0..self.pipes.len()).filter(|pipe| !self.pipes[*pipe].is_closed).collect();
        if !open.is_empty() {
            let pipe = open[self.rng.below(open.len())];
            self.close_pipe(pipe);
        }
    }

    /// Receivers come back to what they have lost.
    fn consume_what_is_missing(&mut self) {
        for client in 0..self.clients.len() {
            for publication in 0..self.publications.len() {
                let has = |known: &Subscription| {
                    known.client == client && known.publication == publication && !known.is_closed
                };
                let is_own = self.publications[publication].client == client;
                if !self.clients[client].is_gone && !is_own && !self.subscriptions.iter().any(has) {
                    self.consume(client, publication);
                }
            }
        }
    }

    fn replace_some_router(&mut self) {
        let open = self.open_routers();
        if self.routers.len() >= ROUTERS_MAX || open.is_empty() {
            return;
        }
        let router = open[self.rng.below(open.len())];
        let worker = self.routers[router].worker;
        self.close_router(router);
        self.open_router(worker);
    }
}
