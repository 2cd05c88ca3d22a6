//! The estimator at the end of simulated links, with a sender that sends what it is told to.

use super::*;
use crate::rtp::extension::abs_send_time_from_micros;

const PACKET_BYTES: usize = 1_200;
const PACKET_BITS: f64 = 9_600.0;
/// One way, without queue and jitter.
const PROPAGATION: Duration = Duration::from_millis(40);
/// A queue that would take longer to drain drops what comes.
const QUEUE_MAX: Duration = Duration::from_millis(400);

/// A sender of video, 30 frames a second, a link with a queue, and the estimator behind it.
struct Link {
    now: Time,
    /// Bits per second.
    capacity: f64,
    /// What the sender has at most to send, bits per second.
    demand: f64,
    jitter_ms: u64,
    random: u64,
    /// When the queue is empty.
    drained: Time,
    sending: f64,
    /// Bits that may be sent and were not.
    credit: f64,
    /// Packets on their way: arrival and send time.
    under_way: Vec<(Time, u32)>,
    /// Estimates on their way back.
    told: Vec<(Time, u64)>,
    estimator: RemoteEstimator,
    lost: u32,
}

impl Link {
    fn new(capacity: f64, demand: f64) -> Self {
        Self {
            now: Time::from_millis(1_000),
            capacity,
            demand,
            jitter_ms: 0,
            random: 1,
            drained: Time::ZERO,
            sending: 300_000.0,
            credit: 0.0,
            under_way: Vec::new(),
            told: Vec::new(),
            estimator: RemoteEstimator::default(),
            lost: 0,
        }
    }

    fn jitter(&mut self) -> Duration {
        self.random =
            self.random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        Duration::from_micros((self.random >> 33) % (self.jitter_ms * 1_000 + 1))
    }

    /// Puts a packet onto the link.
    fn send(&mut self, at: Time) {
        let queue = self.drained.saturating_since(at);
        if queue > QUEUE_MAX {
            self.lost += 1;
            return;
        }
        self.drained = self.drained.max(at) + Duration::from_secs_f64(PACKET_BITS / self.capacity);
        let arrival = self.drained + PROPAGATION + self.jitter();
        self.under_way.push((arrival, abs_send_time_from_micros(at.as_micros())));
    }

    /// One frame's time.
    fn step(&mut self) {
        const FRAME: Duration = Duration::from_micros(33_333);
        let end = self.now + FRAME;
        self.credit += self.sending.min(self.demand) * FRAME.as_secs_f64();
        let packets = (self.credit / PACKET_BITS).floor();
        self.credit -= packets * PACKET_BITS;
        let mut sent = 0.0;
        while sent < packets {
            // Paced over half of the frame's time.
            self.send(self.now + FRAME.mul_f64(0.5 * sent / packets));
            sent += 1.0;
        }
        self.under_way.sort_by_key(|packet| packet.0);
        while self.under_way.first().is_some_and(|packet| packet.0 <= end) {
            let (arrived, sent) = self.under_way.remove(0);
            if let Some(bitrate) = self.estimator.handle_packet(arrived, sent, PACKET_BYTES, 7) {
                self.told.push((arrived + PROPAGATION, bitrate));
            }
        }
        #[allow(clippy::cast_precision_loss, reason = "bitrates are far below 2^52")]
        while self.told.first().is_some_and(|told| told.0 <= end) {
            self.sending = self.told.remove(0).1 as f64;
        }
        if self.estimator.available_bitrate() == 0 {
            // Until it is told anything a sender tries more by itself.
            self.sending *= 1.003;
        }
        self.now = end;
    }

    /// The estimates and the queue's length over so many seconds.
    fn run(&mut self, seconds: u32) -> Run {
        let mut run = Run::default();
        for _ in 0..seconds * 30 {
            self.step();
            run.estimates.push(self.estimator.available_bitrate());
            run.queue_max = run.queue_max.max(self.drained.saturating_since(self.now));
            run.queued += self.drained.saturating_since(self.now);
        }
        run
    }
}

#[derive(Debug, Default)]
struct Run {
    estimates: Vec<u64>,
    queue_max: Duration,
    queued: Duration,
}

impl Run {
    fn mean(&self) -> u64 {
        self.estimates.iter().sum::<u64>() / self.estimates.len() as u64
    }

    fn queue_mean(&self) -> Duration {
        self.queued / u32::try_from(self.estimates.len()).unwrap()
    }
}

#[test]
fn it_settles_below_what_the_bottleneck_takes() {
    for capacity in [2_500_000.0, 800_000.0] {
        let mut link = Link::new(capacity, 10_000_000.0);
        link.run(60);
        let settled = link.run(60);
        #[allow(clippy::cast_precision_loss, reason = "bitrates are far below 2^52")]
        let part = settled.mean() as f64 / capacity;
        assert!((0.75..1.0).contains(&part), "{part} of {capacity}");
        assert!(settled.queue_mean() < Duration::from_millis(100), "{:?}", settled.queue_mean());
        assert!(settled.queue_max < QUEUE_MAX, "{:?}", settled.queue_max);
    }
}

#[test]
fn it_follows_a_drop_at_once_and_the_recovery_after_a_while() {
    let mut link = Link::new(2_500_000.0, 10_000_000.0);
    link.run(60);
    link.capacity = 800_000.0;
    link.run(3);
    let dropped = link.run(30);
    assert!((500_000..850_000).contains(&dropped.mean()), "{}", dropped.mean());
    link.capacity = 2_500_000.0;
    link.run(40);
    let recovered = link.run(30);
    assert!((1_800_000..2_500_000).contains(&recovered.mean()), "{}", recovered.mean());
}

#[test]
fn jitter_alone_does_not_bring_it_down() {
    for jitter_ms in [5, 15, 30] {
        let mut link = Link::new(20_000_000.0, 2_000_000.0);
        link.jitter_ms = jitter_ms;
        link.run(60);
        let settled = link.run(120);
        let lowest = settled.estimates.iter().min().unwrap();
        assert!(*lowest > 1_500_000, "{lowest} with {jitter_ms} ms");
    }
}

#[test]
fn a_sender_with_little_to_send_is_allowed_a_little_more() {
    let mut link = Link::new(5_000_000.0, 500_000.0);
    link.run(90);
    let settled = link.run(10).mean();
    assert!((600_000..850_000).contains(&settled), "{settled}");
}

#[test]
fn it_is_told_at_most_each_200_ms_unless_it_must_go_down() {
    let mut estimator = RemoteEstimator::default();
    let mut told = Vec::new();
    for step in 0..2_000u64 {
        let now = Time::from_millis(1_000 + step * 10);
        let sent = abs_send_time_from_micros(step * 10_000);
        if let Some(bitrate) = estimator.handle_packet(now, sent, 500, 7) {
            told.push((now, bitrate));
        }
    }
    let first = told.first().unwrap();
    assert!(first.0 > Time::from_millis(6_000), "nothing is known before");
    assert!((395_000..450_000).contains(&first.1), "{}", first.1);
    assert!(told.windows(2).all(|pair| pair[1].0.saturating_since(pair[0].0) >= Duration::from_millis(200)));
    assert!(told.len() >= 60);
}

#[test]
fn streams_are_named_while_they_are_heard() {
    let mut estimator = RemoteEstimator::default();
    let mut ssrcs_of = |from_ms: u64, ssrcs: &[u32]| {
        let mut named = Vec::new();
        for (step, ssrc) in (0..1_000u64).zip(ssrcs.iter().cycle()) {
            let now = Time::from_millis(from_ms + step * 10);
            let sent = abs_send_time_from_micros((from_ms + step * 10) * 1_000);
            if estimator.handle_packet(now, sent, 500, *ssrc).is_some() {
                named = estimator.ssrcs().collect();
                named.sort_unstable();
            }
        }
        named
    };
    assert_eq!(ssrcs_of(0, &[1, 2, 3]), [1, 2, 3]);
    assert_eq!(ssrcs_of(10_000, &[3, 4]), [3, 4]);
    let many: Vec<u32> = (100..1_100).collect();
    assert_eq!(ssrcs_of(20_000, &many).len(), ESTIMATE_STREAMS_MAX);
}
