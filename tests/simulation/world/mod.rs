//! A world: workers with all their shards, the network between them and their clients, in one thread, from one seed.
//!
//! ```text
//! client ⇄ path ⇄ [ shard ⇄ mesh ⇄ shard ] worker ⇄ path ⇄ worker        controller: one request at a time, answered at once
//! ```
//! Everything random is drawn from the seed, everything late is in one queue, so a seed always runs the same.

mod accounts;
mod cast;
mod clients;
mod controller;
mod ortc;
mod pipes;
mod progress;
mod receiver;
mod scenario;
mod sender;
mod sockets;
mod summary;

use std::collections::{BTreeMap, VecDeque};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use ringsoup_rtc::time::Time;
use ringsoup_sfu::event::Event;
use ringsoup_tests::rng::Rng;
use ringsoup_tests::threadless::{Passed, ThreadlessWorker, Told};

use crate::common::FakeSockets;
use crate::network::Path;

pub(crate) use receiver::{Alignment, Seen};
pub(crate) use scenario::Scenario;
pub(crate) use summary::Summary;

use accounts::Accounts;
use clients::{Client, Publication, Subscription};
use controller::RouterState;
use pipes::{Pipe, Piped};
use sockets::Place;

/// How often receivers look for what they miss.
const RECEIVER_TICK: Duration = Duration::from_millis(40);
/// Between two reports of a client.
const REPORT_PAUSE: Duration = Duration::from_millis(1_000);
/// After the last packet of a source: what is under way arrives, is asked for, repaired and reported on.
const AFTERMATH: Duration = Duration::from_secs(12);

enum Action {
    /// A datagram comes to an address of a worker.
    ToWorker {
        local: SocketAddr,
        remote: SocketAddr,
        bytes: Vec<u8>,
    },
    /// Media of a publication, before it was sealed, with what goes over the wire.
    Media {
        publication: usize,
        plain: Vec<u8>,
        local: SocketAddr,
        remote: SocketAddr,
        bytes: Vec<u8>,
    },
    ToClient {
        client: usize,
        bytes: Vec<u8>,
    },
    Mesh {
        worker: usize,
        passed: Passed,
    },
    Produce {
        publication: usize,
    },
    Receive {
        client: usize,
    },
    Report {
        client: usize,
    },
    Operate,
    Milestone,
}

pub(crate) struct World {
    scenario: Scenario,
    /// Who does what.
    rng: Rng,
    /// The network's. Apart, so that what happens does not depend on how many packets there were.
    luck: Rng,
    now: Time,
    end: Time,
    queue: BTreeMap<(Time, u64), Action>,
    order: u64,
    workers: Vec<ThreadlessWorker<FakeSockets>>,
    /// Between workers, by the sender.
    between: Vec<Path>,
    routers: Vec<RouterState>,
    clients: Vec<Client>,
    publications: Vec<Publication>,
    subscriptions: Vec<Subscription>,
    pipes: Vec<Pipe>,
    piped: Vec<Piped>,
    events: VecDeque<(usize, Event)>,
    answers: Vec<(usize, ringsoup_control::message::Response)>,
    next_request: u32,
    next_name: u32,
    next_ssrc: u32,
    /// Newest time anything came out of the mesh, by worker and direction, so that it keeps its order.
    mesh_times: BTreeMap<(usize, u16, u16), Time>,
    accounts: Accounts,
    summary: Summary,
}

impl World {
    pub(crate) fn new(scenario: Scenario) -> Self {
        let rng = Rng::new(scenario.seed);
        eprintln!("{scenario:?}");
        let now = scenario.begins;
        let shards = scenario.shards;
        let seed = scenario.seed;
        let workers = 0..scenario.workers;
        let worker =
            |worker| ThreadlessWorker::new(shards, now, move |index| sockets::parts(seed, worker, index));
        let mut world = Self {
            end: now + scenario.lasts,
            between: workers.clone().map(|_| scenario.between_workers.into()).collect(),
            workers: workers.map(worker).collect(),
            scenario,
            rng,
            luck: Rng::new(seed ^ 0x5eed),
            now,
            queue: BTreeMap::new(),
            order: 0,
            routers: Vec::new(),
            clients: Vec::new(),
            publications: Vec::new(),
            subscriptions: Vec::new(),
            pipes: Vec::new(),
            piped: Vec::new(),
            events: VecDeque::new(),
            answers: Vec::new(),
            next_request: 0,
            next_name: 0,
            next_ssrc: 100_000,
            mesh_times: BTreeMap::new(),
            accounts: Accounts::default(),
            summary: Summary::default(),
        };
        if let Some(milestone) = world.scenario.milestone {
            world.at(milestone, Action::Milestone);
        }
        world.populate();
        world
    }

    fn after(&mut self, delay: Duration, action: Action) {
        self.order += 1;
        self.queue.insert((self.now + delay, self.order), action);
    }

    fn at(&mut self, at: Time, action: Action) {
        self.after(at.saturating_since(self.now), action);
    }

    fn name(&mut self, kind: &str) -> String {
        self.next_name += 1;
        format!("{kind} {}", self.next_name)
    }

    /// A range of SSRCs that nobody else has.
    fn ssrcs(&mut self) -> u32 {
        self.next_ssrc += 1_000;
        self.next_ssrc
    }

    /// Runs to the end, and checks what must hold then.
    pub(crate) fn run(mut self) -> (Summary, Vec<Vec<Seen>>) {
        let stop = self.end + AFTERMATH;
        loop {
            let next = self.queue.first_key_value().map(|((at, _), _)| *at);
            let timer = self.workers.iter().filter_map(ThreadlessWorker::next_timeout).min();
            if let Some(timer) = timer.filter(|timer| next.is_none_or(|next| *timer <= next)) {
                if timer > stop {
                    break;
                }
                self.move_to(timer);
                self.handle_timeouts();
                continue;
            }
            let Some(((at, _), action)) = self.queue.pop_first().filter(|((at, _), _)| *at <= stop) else {
                break;
            };
            self.move_to(at);
            self.act(action);
        }
        self.move_to(stop);
        self.finish()
    }

    fn move_to(&mut self, time: Time) {
        self.now = self.now.max(time);
        for worker in &mut self.workers {
            worker.now = self.now;
        }
    }

    fn handle_timeouts(&mut self) {
        for worker in 0..self.workers.len() {
            self.workers[worker].handle_timeouts();
            self.carry(worker);
        }
        self.hear_events();
    }

    fn act(&mut self, action: Action) {
        let is_over = self.now > self.end;
        match action {
            Action::ToWorker { local, remote, bytes } => self.worker_receives(local, remote, bytes),
            Action::Media { publication, plain, local, remote, bytes } => {
                if self.place(local).is_some() {
                    let known = &mut self.publications[publication];
                    let has_srtp = self.clients[known.client].has_srtp();
                    known.sender.arrived(&plain, has_srtp);
                }
                self.worker_receives(local, remote, bytes);
            }
            Action::ToClient { client, bytes } => self.client_hears(client, &bytes),
            Action::Mesh { worker, passed } => self.mesh_delivers(worker, passed),
            Action::Produce { publication } if !is_over => self.publish(publication),
            Action::Receive { client } => self.client_asks(client),
            Action::Report { client } => self.client_reports(client),
            Action::Operate if !is_over => self.operate(),
            Action::Milestone => self.pass_milestone(),
            Action::Produce { .. } | Action::Operate => {}
        }
        self.hear_events();
    }

    /// Takes what a worker has sent, passed between its shards, and told.
    fn carry(&mut self, worker: usize) {
        let mut left = Vec::new();
        for (_, shard) in self.workers[worker].shards() {
            left.append(&mut shard.sockets.left);
        }
        for (local, remote, bytes) in left {
            self.route(worker, local, remote, bytes);
        }
        while let Some(passed) = self.workers[worker].passed.pop_front() {
            self.pass(worker, passed);
        }
        for told in std::mem::take(&mut self.workers[worker].told) {
            match told {
                Told::Event(event) => self.events.push_back((worker, event)),
                Told::Response(response) => self.answers.push((worker, response)),
                Told::Log(text) => assert!(!text.contains("panic"), "{text}"),
                Told::Closes => panic!("nobody asked it to"),
            }
        }
    }

    /// Through the mesh, in order by direction, at once or a little later.
    fn pass(&mut self, worker: usize, passed: Passed) {
        let key = (worker, passed.from, passed.to);
        let late = match self.scenario.mesh_delay_us {
            0 => Duration::ZERO,
            most => Duration::from_micros(self.luck.below(most) as u64),
        };
        let at = (self.now + late).max(self.mesh_times.get(&key).copied().unwrap_or_default());
        self.mesh_times.insert(key, at);
        if at == self.now {
            // Before anything else that happens now, in both kinds of runs that are compared.
            self.mesh_delivers(worker, passed);
        } else {
            self.at(at, Action::Mesh { worker, passed });
        }
    }

    fn mesh_delivers(&mut self, worker: usize, passed: Passed) {
        self.accounts.passed(&passed);
        self.workers[worker].handle_passed(passed);
        self.carry(worker);
    }

    fn route(&mut self, worker: usize, local: SocketAddr, remote: SocketAddr, bytes: Vec<u8>) {
        if let Some(client) = sockets::client_of(remote) {
            return self.send_down(client, local, bytes);
        }
        let delays = self.between[worker].carry(self.now, bytes.len(), &mut self.luck);
        for delay in delays {
            self.after(delay, Action::ToWorker { local: remote, remote: local, bytes: bytes.clone() });
        }
    }

    fn place(&mut self, local: SocketAddr) -> Option<Place> {
        let (worker, shard) = sockets::shard_of(local)?;
        let (_, made) = self.workers.get_mut(worker)?.shards().find(|(index, _)| *index == shard)?;
        made.sockets.id_of(local).map(|socket| Place { worker, shard, socket })
    }

    /// What comes for a socket that is closed is the kernel's to drop.
    fn worker_receives(&mut self, local: SocketAddr, remote: SocketAddr, mut bytes: Vec<u8>) {
        let Some(Place { worker, shard, socket }) = self.place(local) else {
            self.summary.undeliverable += 1;
            return;
        };
        self.accounts.received += 1;
        self.workers[worker].handle_datagram(shard, socket, remote, &mut bytes);
        self.carry(worker);
    }
}

/// Where a worker's sockets are.
fn address_of(worker: usize) -> IpAddr {
    Ipv4Addr::new(127, 0, 0, 1 + u8::try_from(worker).expect("few workers")).into()
}
