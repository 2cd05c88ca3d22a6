//! One shard, its peers and what must hold whatever they do.

mod data;
mod endpoints;
mod network;
mod perform;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use ringsoup_rtc::dtls::{Certificate, NoHandshakes};
use ringsoup_rtc::time::Time;
use ringsoup_sfu::command::Command;
use ringsoup_sfu::name::Name;
use ringsoup_sfu::outbox::Outbox;
use ringsoup_sfu::reply::{Reply, ShardReport};
use ringsoup_sfu::rules::Rules;
use ringsoup_sfu::sfu::{Sfu, SfuConfig};
use ringsoup_sfu::sockets::SocketId;

use crate::heap;
use crate::operation::{Named, Operation, Prelude, Scenario};
use crate::packet::Numbers;
use crate::sockets::VirtualSockets;

use network::PeerTransport;

/// More than a shard of a few streams may ever hold, bytes: histories of 4 streams, an Outbox, histograms.
const LIVE_BYTES_MAX: usize = 128 << 20;
/// What may stay when everything is closed, bytes: grown tables, and an Outbox that had a large batch.
const LEFT_BYTES_MAX: usize = 8 << 20;
/// Operations and datagrams of one input; more teach nothing and take time.
const OPERATIONS_MAX: usize = 300;
const DATAGRAMS_MAX: u64 = 4_000;
/// A flush happens at least this often, in operations.
const FLUSH_EVERY: usize = 16;
/// Ticks of the shard's timer wheel, ms.
const TICK_MS: u64 = 5;

/// Entities of each kind; few, so that names collide.
const ROUTERS: u8 = 2;
const TRANSPORTS: u8 = 5;
const PRODUCERS: u8 = 4;
const CONSUMERS: u8 = 6;
const DATA_PRODUCERS: u8 = 3;
const DATA_CONSUMERS: u8 = 5;
const OBSERVERS: u8 = 3;

#[derive(Debug, Clone, Copy)]
enum Kind {
    Router,
    Transport,
    Producer,
    Consumer,
    DataProducer,
    DataConsumer,
    Observer,
}

pub struct World {
    sfu: Sfu,
    out: Outbox,
    sockets: VirtualSockets,
    now: Time,
    transports: HashMap<Name, PeerTransport>,
    owner_of_socket: HashMap<SocketId, Name>,
    numbers: HashMap<u32, Numbers>,
    /// Newest sequence number sent on an SSRC.
    newest_sent: HashMap<u32, u16>,
    datagrams: u64,
    /// The newest key given to a pipe.
    pipe_keys: u64,
    live_before: usize,
}

/// Runs a scenario to its end; returns how many packets reached a receiver.
///
/// # Panics
/// When something that must hold does not.
pub fn run(scenario: &Scenario) -> u64 {
    let mut world = World::new(scenario);
    for operation in prelude(scenario.prelude) {
        world.perform(&operation);
    }
    for (index, operation) in scenario.operations.iter().take(OPERATIONS_MAX).enumerate() {
        world.perform(operation);
        if index % FLUSH_EVERY == 0 {
            world.flush();
            assert!(heap::live_bytes() < LIVE_BYTES_MAX + world.live_before, "memory without a bound");
        }
        if world.datagrams > DATAGRAMS_MAX {
            break;
        }
    }
    let forwarded = world.check_accounts();
    world.end();
    forwarded
}

impl World {
    fn new(scenario: &Scenario) -> Self {
        let config = SfuConfig {
            seed: u64::from(scenario.seed),
            unix_origin_us: 1_700_000_000_000_000,
            rtc_ports: (10_000, 10_010),
            certificate: Arc::new(Certificate::new(b"certificate".to_vec(), b"key".to_vec())),
            dtls: Arc::new(NoHandshakes),
            rules: Rules::NEWEST,
        };
        let mut key = 0_u8;
        let key_source = Box::new(move |target: &mut [u8]| {
            key = key.wrapping_add(1);
            target.fill(key);
            target[0] = 0xff;
        });
        let sockets = VirtualSockets::new(scenario.sockets_connect);
        Self {
            sfu: Sfu::new(config, key_source),
            out: Outbox::default(),
            sockets,
            now: Time::from_millis(1_000),
            transports: HashMap::new(),
            owner_of_socket: HashMap::new(),
            numbers: HashMap::new(),
            newest_sent: HashMap::new(),
            datagrams: 0,
            pipe_keys: 0,
            live_before: heap::live_bytes(),
        }
    }

    fn name(kind: Kind, named: Named) -> Name {
        let number = named.0;
        // A few in a hundred name something of another kind.
        let kind = match number {
            250.. => Kind::Router,
            245.. => Kind::Transport,
            240.. => Kind::Producer,
            235.. => Kind::Consumer,
            230.. => Kind::DataProducer,
            225.. => Kind::DataConsumer,
            220.. => Kind::Observer,
            _ => kind,
        };
        match kind {
            Kind::Router => format!("r{}", number % ROUTERS),
            Kind::Transport => format!("t{}", number % TRANSPORTS),
            Kind::Producer => format!("p{}", number % PRODUCERS),
            Kind::Consumer => format!("c{}", number % CONSUMERS),
            Kind::DataProducer => format!("dp{}", number % DATA_PRODUCERS),
            Kind::DataConsumer => format!("dc{}", number % DATA_CONSUMERS),
            Kind::Observer => format!("o{}", number % OBSERVERS),
        }
        .into()
    }

    fn command(&mut self, command: Command) -> Option<Reply> {
        let result = self.sfu.handle_command(self.now, command, &mut self.sockets, &mut self.out);
        self.forget_closed_transports();
        result.ok()
    }

    fn advance(&mut self, millis: u64) {
        let target = self.now + Duration::from_millis(millis);
        while self.sfu.has_handshake_work() {
            self.sfu.advance_handshake(self.now, &mut self.out);
            self.flush();
        }
        let mut rounds = 0;
        while let Some(timeout) = self.sfu.next_timeout().filter(|&timeout| timeout <= target) {
            // A timeout that is due already comes at once.
            self.now = self.now.max(timeout);
            self.sfu.handle_timeout(self.now, &mut self.sockets, &mut self.out);
            self.flush();
            rounds += 1;
            assert!(rounds <= millis / TICK_MS + 2, "timers fire more often than their wheel turns");
        }
        self.now = target;
    }

    fn report(&mut self) -> ShardReport {
        match self.command(Command::ReportShard) {
            Some(Reply::ShardReport(report)) => *report,
            other => panic!("a shard reports: {other:?}"),
        }
    }

    /// Every packet has one fate. Returns how many were forwarded.
    fn check_accounts(&mut self) -> u64 {
        let report = self.report();
        let dropped: u64 = report.dropped.iter().map(|(_, count)| count).sum();
        assert_eq!(
            report.received_packets,
            report.forwarded_packets + report.consumed_packets + dropped,
            "received = forwarded + consumed + dropped"
        );
        assert!(report.received_packets >= self.datagrams, "every datagram is counted");
        assert!(report.sent_packets >= report.forwarded_packets);
        report.forwarded_packets
    }

    /// Closes everything; nothing may be left, neither sockets nor timers nor names nor memory.
    fn end(mut self) {
        for router in 0..ROUTERS {
            self.command(Command::CloseRouter { router: Self::name(Kind::Router, Named(router)) });
        }
        for router in Self::all_names() {
            self.command(Command::CloseRouter { router });
        }
        self.flush();
        let report = self.report();
        assert_eq!((report.routers, report.transports, report.producers, report.consumers), (0, 0, 0, 0));
        assert_eq!(self.sockets.open_count(), 0, "every socket was closed");
        assert!(self.transports.is_empty() && self.owner_of_socket.is_empty());
        self.advance(20_000);
        assert_eq!(self.sfu.next_timeout(), None, "no timer outlives what it was for");
        assert!(!self.out.has_datagrams(), "nobody is left to send to");
        for router in Self::all_names() {
            let created = self.command(Command::CreateRouter { router: router.clone() });
            assert!(created.is_some(), "{router} is still taken");
            self.command(Command::CloseRouter { router });
        }
        self.out.events = Vec::new();
        self.numbers = HashMap::new();
        self.newest_sent = HashMap::new();
        let left = heap::live_bytes().saturating_sub(self.live_before);
        assert!(left < LEFT_BYTES_MAX, "{left} bytes are left");
    }

    fn all_names() -> impl Iterator<Item = Name> {
        let of = |kind: Kind, count: u8| (0..count).map(move |number| Self::name(kind, Named(number)));
        of(Kind::Router, ROUTERS)
            .chain(of(Kind::Transport, TRANSPORTS))
            .chain(of(Kind::Producer, PRODUCERS))
            .chain(of(Kind::Consumer, CONSUMERS))
            .chain(of(Kind::DataProducer, DATA_PRODUCERS))
            .chain(of(Kind::DataConsumer, DATA_CONSUMERS))
            .chain(of(Kind::Observer, OBSERVERS))
    }
}

fn prelude(prelude: Prelude) -> Vec<Operation> {
    use crate::operation::{ConsumeSetUp, PlainSetUp, ProduceSetUp};
    use crate::parameters::{Addressing, Fault, Media};
    let plain = [Fault::None; 3];
    let (media, srtp, direct, shapes) = match prelude {
        Prelude::Nothing => return Vec::new(),
        Prelude::Call { srtp, media } => (media, srtp, false, plain),
        Prelude::Direct { media } => (media, None, true, plain),
        Prelude::Layers { srtp, is_svc: true } => (Media::Vp9, srtp, false, [Fault::Svc; 3]),
        Prelude::Layers { srtp, is_svc: false } => {
            (Media::Vp8, srtp, false, [Fault::Simulcast, Fault::Simulcast, Fault::Pipe])
        }
    };
    let router = Named(0);
    let mut operations = vec![Operation::CreateRouter { router }];
    for transport in [Named(0), Named(1), Named(2)] {
        if direct {
            operations.push(Operation::CreateDirect { router, transport });
            continue;
        }
        let set_up = PlainSetUp {
            rtcp_mux: transport != Named(2),
            comedia: transport == Named(0),
            suite: srtp,
            fixed_port: None,
            binds_before_failure: None,
            wrong_protocol: false,
            sctp: transport != Named(0),
        };
        operations.push(Operation::CreatePlain { router, transport, set_up });
        if transport != Named(0) || srtp.is_some() {
            let (address, rtcp_port) = (!set_up.comedia, !set_up.rtcp_mux);
            operations.push(Operation::Connect {
                transport,
                suite: srtp,
                key: transport.0,
                short_key: false,
                address,
                rtcp_port,
            });
        }
    }
    let set_up = ProduceSetUp {
        media,
        stream: 0,
        rtx: true,
        addressing: Addressing::Ssrc,
        fault: shapes[0],
        paused: false,
        key_frame_request_delay: 0,
        packet_id: false,
    };
    operations.push(Operation::Produce { transport: Named(0), producer: Named(0), set_up });
    for consumer in [0, 1] {
        let set_up = ConsumeSetUp {
            media,
            stream: 0,
            ssrc: consumer,
            rtx: consumer == 0,
            own_ids: consumer == 1,
            fault: shapes[usize::from(consumer) + 1],
            paused: false,
            ignore_dtx: false,
        };
        let (transport, producer) = (Named(consumer + 1), Named(0));
        operations.push(Operation::Consume { transport, consumer: Named(consumer), producer, set_up });
    }
    operations
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::operation::Suite;
    use crate::packet::Payload;
    use crate::parameters::Media;

    /// One of what a call in layers consists of, out of a random number.
    fn layered_operation(number: u64) -> Operation {
        use arbitrary::{Arbitrary, Unstructured};
        let bytes: Vec<u8> = (0..32_u32).flat_map(|turn| number.rotate_left(turn).to_be_bytes()).collect();
        let mut input = Unstructured::new(&bytes);
        let [kind, first, second, third, ..] = number.to_be_bytes();
        let vp8 =
            |is_key| Payload::Vp8 { picture: first, temporal: second % 3, is_sync: third % 2 == 0, is_key };
        let vp9 = |is_inter| Payload::Vp9 {
            picture: first,
            spatial: second % 3,
            temporal: third % 3,
            is_inter,
            is_up_point: first.is_multiple_of(2),
        };
        let (stream, lost) = (second % 2, if third < 32 { number } else { 0 });
        let run = |first: Payload, payload: Payload, count: u8| Operation::Run {
            socket: 0,
            stream,
            count: count % 6 + 1,
            lost,
            first,
            payload,
        };
        let consumer = Named(first % 2);
        match kind % 16 {
            0..4 => run(vp8(first < 128), vp8(false), third),
            4..8 => run(vp9(first < 128), vp9(true), third),
            8 | 9 => Operation::TouchConsumer { consumer, touch: crate::operation::Touch::Layers(second) },
            10 => {
                let touch = crate::operation::Touch::arbitrary(&mut input).expect("enough bytes");
                Operation::TouchConsumer { consumer, touch }
            }
            11..14 => {
                let packet = crate::packet::Packet::arbitrary(&mut input).expect("enough bytes");
                Operation::Datagram { socket: 1 + first % 2, right_tuple: true, sealed: true, packet }
            }
            14 => Operation::Advance { millis: u16::from(first) },
            _ => Operation::Flush,
        }
    }

    /// What libFuzzer does, for a moment and from fixed numbers: layers are chosen, sent again and piped.
    #[test]
    fn layers_survive_what_peers_do() {
        let mut forwarded = 0;
        for seed in 0..100_u64 {
            let mut state = seed;
            let mut number = || {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                (state >> 32).wrapping_mul(0x9e37_79b9_7f4a_7c15)
            };
            let operations = (0..OPERATIONS_MAX).map(|_| layered_operation(number())).collect();
            let srtp = [None, Some(Suite::Gcm128), Some(Suite::Cm80)][usize::try_from(seed % 3).unwrap()];
            let prelude = Prelude::Layers { srtp, is_svc: seed.is_multiple_of(2) };
            let scenario = Scenario { seed: 1, sockets_connect: true, prelude, operations };
            forwarded += super::run(&scenario);
        }
        assert!(forwarded > 6_000, "{forwarded}");
    }

    /// A target that never gets a packet through would find nothing behind the door.
    #[test]
    fn media_flows_in_every_prelude_that_has_a_call() {
        let suites = [None, Some(Suite::Gcm256), Some(Suite::Gcm128), Some(Suite::Cm80), Some(Suite::Cm32)];
        for srtp in suites {
            for (media, first) in [
                (Media::H264, Payload::KeyFrame),
                (Media::Vp8, Payload::Vp8KeyFrame),
                (Media::Vp9, Payload::Vp9KeyFrame),
                (Media::Opus, Payload::Delta),
            ] {
                let run = Operation::Run {
                    socket: 0,
                    stream: 0,
                    count: 40,
                    lost: 0b100,
                    first,
                    payload: Payload::Delta,
                };
                let scenario = Scenario {
                    seed: 1,
                    sockets_connect: true,
                    prelude: Prelude::Call { srtp, media },
                    operations: vec![run, Operation::Advance { millis: 500 }],
                };
                assert_eq!(super::run(&scenario), 39, "{srtp:?} {media:?}");
            }
        }
    }
}
