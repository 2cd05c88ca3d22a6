//! Pipes in any order of commands and packets: the shard keeps its books, and nothing outlives what it belonged to.

use ringsoup_rtc::srtp::CryptoSuite;
use ringsoup_sfu::command::{Command, PipeConnect, PipeTransportOptions, TransportCommand};
use ringsoup_sfu::data::command::{DataConsumerCommand, DataProducerCommand};
use ringsoup_sfu::piped::{PipeEnd, PipeKey};

use crate::common::bridge::{pipe_options, produce_piped};
use crate::common::data::{BINARY, audience, consume_sctp, message, produce_direct, produce_sctp};
use crate::common::packets::{DELTA, KEY, nack, pli, rtp};
use crate::common::parameters::key;
use crate::common::simulcast::{self, VIDEO};
use crate::common::{Peer, ROUTER, World, remote};

const H264: &str = "video/H264";
const SOURCE: u32 = 1_000;
const MAPPED: u32 = 5_000;
/// Few, so that they meet.
const PIPES: u64 = 4;
const STREAMS: u64 = 5;
const OPERATIONS: usize = 600;
/// A pipe back to where it comes from multiplies what goes through.
const PASSED_MAX: usize = 50;

struct Random(u64);

impl Random {
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % end
    }

    fn small(&mut self, end: u64) -> u32 {
        u32::try_from(self.below(end)).expect("small")
    }
}

struct Bench {
    world: World,
    random: Random,
    sender: Peer,
    keys: Vec<PipeKey>,
    seq: u16,
    /// How many packets and messages have passed.
    passed: usize,
}

impl Bench {
    fn new(seed: u64) -> Self {
        let mut world = World::with_seed(seed);
        let sender = world.plain("sender");
        world.produce("sender", simulcast::produce("producer", H264, None, &[SOURCE], &[MAPPED]));
        world.direct("direct");
        world.produce_data("direct", produce_direct("data"));
        world.plain("watcher");
        Self { world, random: Random(seed), sender, keys: Vec::new(), seq: 0, passed: 0 }
    }

    fn pipe(&mut self) -> String {
        format!("pipe {}", self.random.below(PIPES))
    }

    fn create(&mut self) {
        let mut options = PipeTransportOptions { enable_srtp: self.random.below(4) == 0, ..pipe_options() };
        options.base.enable_sctp = self.random.below(2) == 0;
        options.base.sctp_send_buffer_size = 1_000;
        options.base.sctp_per_stream_send_queue_limit = 1_000;
        let (name, key) = (self.pipe(), PipeKey(self.keys.len() as u64));
        // Given away even if it is refused: keys are used once.
        self.keys.push(key);
        let _ = self.world.create_pipe(&name, key, options);
    }

    fn connect(&mut self) {
        let name = self.pipe();
        let port = u16::try_from(20_000 + self.random.below(PIPES)).expect("small");
        let suite = CryptoSuite::AeadAes256Gcm;
        let srtp_parameters = (self.random.below(3) == 0).then(|| key(suite, 7));
        let request = PipeConnect {
            ip: Ok(remote(1).ip()),
            port: Some(port),
            srtp_parameters: srtp_parameters.map(Ok),
        };
        let _ = self.world.connect_pipe(&name, request);
    }

    fn join(&mut self) {
        // Most often one of the newest, which may still be there.
        let (name, count) = (self.pipe(), self.keys.len() as u64);
        let back = if self.random.below(5) == 0 { count } else { count.min(2 * PIPES) };
        let key = PipeKey(count - self.random.below(back + 1));
        let end = (self.random.below(4) > 0).then_some(PipeEnd { key, shard: 0 });
        let _ = self.world.try_transport(&name, TransportCommand::JoinPipe(end));
    }

    /// Streams of a pipe: each number is a consumer at one end and a producer at the other.
    fn media(&mut self) {
        let (name, stream) = (self.pipe(), self.random.small(STREAMS));
        let (ssrc, mapped) = (9_000 + 10 * stream, 6_000 + stream);
        let (of, of_mapped) = match self.random.small(STREAMS + 1) {
            0 => ("producer".to_owned(), MAPPED),
            other => (format!("producer {}", other - 1), 6_000 + other - 1),
        };
        let consume = simulcast::consume_pipe(&format!("c {stream}"), &of, H264, &[ssrc], &[of_mapped]);
        let command = match self.random.below(4) {
            0 => TransportCommand::Produce(Box::new(produce_piped(
                &format!("producer {stream}"),
                &consume,
                &[mapped],
            ))),
            1 => TransportCommand::CloseProducer { producer: format!("producer {stream}").as_str().into() },
            2 => TransportCommand::CloseConsumer { consumer: format!("c {stream}").as_str().into() },
            _ => TransportCommand::Consume(Box::new(consume)),
        };
        let _ = self.world.try_transport(&name, command);
        let watched = simulcast::consume_pipe(&format!("w {stream}"), &of, H264, &[ssrc + 500], &[of_mapped]);
        let _ = self.world.try_transport("watcher", TransportCommand::Consume(Box::new(watched)));
    }

    fn data(&mut self) {
        let (name, stream) = (self.pipe(), u16::try_from(self.random.below(3)).expect("small"));
        let (producer, consumer) = (format!("dp {stream}"), format!("dc {stream}"));
        match self.random.below(5) {
            0 => drop(self.world.try_produce_data(&name, produce_sctp(&producer, stream))),
            1 => drop(self.world.try_consume_data(&name, consume_sctp(&consumer, "data", stream))),
            2 => {
                let to = audience(&[1, 2], (stream == 1).then_some(1), None);
                let command = DataProducerCommand::Send(message(BINARY, &[7; 90]), to);
                let _ = self.world.try_data_producer("data", command);
            }
            3 => {
                let command = DataConsumerCommand::Send(message(BINARY, b"alone"));
                let _ = self.world.try_data_consumer(&consumer, command);
            }
            _ => {
                let data_producer = producer.as_str().into();
                let _ =
                    self.world.try_transport(&name, TransportCommand::CloseDataProducer { data_producer });
            }
        }
    }

    fn packet(&mut self) {
        self.seq = self.seq.wrapping_add(1);
        let payload = if self.seq % 4 == 1 { KEY } else { DELTA };
        let bytes = match self.random.below(6) {
            0 => pli(9_000 + 10 * self.random.small(STREAMS)),
            1 => nack(9_000 + 10 * self.random.small(STREAMS), &[self.seq]),
            _ => rtp(VIDEO, self.seq, u32::from(self.seq) * 90, SOURCE, payload),
        };
        let sender = self.sender.clone();
        self.world.from(&sender, &bytes);
    }

    fn deliver(&mut self) {
        let mut passed = std::mem::take(&mut self.world.passed);
        passed.truncate(PASSED_MAX);
        self.passed += passed.len();
        self.world.take_in(passed);
    }

    fn step(&mut self) {
        match self.random.below(20) {
            0 => self.create(),
            1 | 16 => self.connect(),
            2 | 3 | 17 => self.join(),
            4 if self.random.below(3) == 0 => {
                let transport = self.pipe().as_str().into();
                let _ = self.world.try_command(Command::CloseTransport { router: ROUTER.into(), transport });
            }
            5..=7 => self.media(),
            8 => self.data(),
            9..=11 | 18 | 19 => {
                for _ in 0..4 {
                    self.packet();
                }
            }
            12 | 13 => self.deliver(),
            _ => {
                let millis = self.random.below(200);
                self.world.advance_ms(millis);
            }
        }
        self.world.sent.clear();
        self.world.events.clear();
    }
}

#[test]
fn any_order_of_commands_and_packets_leaves_nothing_behind() {
    let mut passed_at_all = 0;
    for seed in 1..=40 {
        let mut bench = Bench::new(seed);
        for _ in 0..OPERATIONS {
            bench.step();
        }
        passed_at_all += bench.passed;
        let mut world = bench.world;
        world.assert_accounted();
        world.command(Command::CloseRouter { router: ROUTER.into() });
        world.flush();
        let report = world.report();
        let left = (report.routers, report.transports, report.producers, report.consumers);
        assert_eq!((left, world.sockets.open_count()), ((0, 0, 0, 0), 0), "seed {seed}");
        // Passed on before all closed: nobody is there any more, and that is counted.
        let passed = std::mem::take(&mut world.passed);
        world.take_in(passed);
        world.advance_ms(20_000);
        assert_eq!(world.sfu.next_timeout(), None, "seed {seed}");
        world.assert_accounted();
        for (name, count) in world.report().io {
            assert!(!name.starts_with("held_") || count == 0, "seed {seed}: {name} is {count}");
        }
    }
    assert!(passed_at_all > 1_000, "only {passed_at_all} passed");
}
