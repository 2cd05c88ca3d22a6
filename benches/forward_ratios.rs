//! The forward path as ratios, all in one run: what receivers in layers, the history for retransmissions and stamps cost
//! a packet, as a multiple of a simple receiver's, and that none of it allocates.
//!
//! `cargo bench -p ringsoup-benches --bench forward_ratios`
//!
//! With `-- --against <binary>` the simple rows of this build are held against those of another (this benchmark of another
//! state): both answer in turns, `ROUNDS` times in each of `SPAWNS` pairs of processes, since where a process's code and
//! memory come to lie changes a row by a few hundredths.
//!
//! What is timed is the thread's CPU time of a chunk of packets; each round runs every row once, and of all rounds the median
//! of the ratio to the same round's simple row counts, so that a busy machine changes all of them alike.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use ringsoup_benches::{Media, Router, RouterSetUp, thread_time};
use ringsoup_rtc::srtp::CryptoSuite;

#[path = "../shards/sfu/tests/common/counting.rs"]
mod counting;

/// Bytes of a packet on the wire.
const PACKET_BYTES: usize = 1200;
/// Packets before anything is measured: the history is full after two seconds' worth, each ring has its size.
const WARM_UP: usize = 3_000;
/// Forwarded packets of a chunk, about; each packet costs as much as a few receivers before it is sent to any.
const CHUNK: usize = 16_000;
const RECEIVED_WEIGHT: usize = 4;
const ROUNDS: usize = 300;
/// Pairs of processes that two builds are compared in.
const SPAWNS: usize = 9;
/// Rows that two builds are compared by.
const SIMPLE_ROWS: [&str; 7] = [
    "simple, 1 to 1",
    "simple, 1 to 10",
    "simple, 1 to 50",
    "simple, RTX, 1 to 1",
    "simple, RTX, 1 to 10",
    "simple, RTX, 1 to 50",
    "simple, RTX, GCM-256, 1 to 50",
];

fn simple(receivers: u32, rtx: bool) -> RouterSetUp {
    RouterSetUp { media: Media::H264, receivers, rtx, srtp: None, stamps: false }
}

fn simple_row(name: &str) -> Option<Row> {
    let set_up = match name {
        "simple, 1 to 1" => simple(1, false),
        "simple, 1 to 10" => simple(10, false),
        "simple, 1 to 50" => simple(50, false),
        "simple, RTX, 1 to 1" => simple(1, true),
        "simple, RTX, 1 to 10" => simple(10, true),
        "simple, RTX, 1 to 50" => simple(50, true),
        "simple, RTX, GCM-256, 1 to 50" => {
            RouterSetUp { srtp: Some(CryptoSuite::AeadAes256Gcm), ..simple(50, true) }
        }
        _ => return None,
    };
    Some(Row::new(name, set_up))
}

/// One form of router, driven chunk by chunk.
struct Row {
    name: String,
    router: Router,
    receivers: u32,
    packets: usize,
    allocations: u64,
}

impl Row {
    fn new(name: &str, set_up: RouterSetUp) -> Self {
        let mut router = Router::new(set_up, PACKET_BYTES);
        for _ in 0..WARM_UP {
            router.forward();
        }
        let receivers = set_up.receivers;
        let packets = CHUNK / (usize::try_from(receivers).expect("small") + RECEIVED_WEIGHT);
        Self { name: name.into(), router, receivers, packets, allocations: 0 }
    }

    /// Nanoseconds of CPU for each forwarded packet of a chunk.
    fn run(&mut self) -> f64 {
        let mut forwarded = 0;
        let began = thread_time();
        let allocations = counting::allocations_of(|| {
            forwarded = (0..self.packets).map(|_| self.router.forward()).sum();
        });
        let spent = thread_time() - began;
        self.allocations += allocations;
        let due = u32::try_from(self.packets).expect("small") * self.receivers;
        assert_eq!(forwarded, due, "{}: every receiver takes every packet", self.name);
        spent.as_secs_f64() * 1e9 / f64::from(forwarded)
    }
}

fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures[figures.len() / 2]
}

/// Rows of one number of receivers; the first is what the others are measured by.
fn group(receivers: u32) -> Vec<Row> {
    let plain = |rtx| simple(receivers, rtx);
    let layered = |media, rtx| RouterSetUp { media, ..plain(rtx) };
    let cases = [
        ("simple (H264)", plain(false)),
        ("simple (H264), RTX", plain(true)),
        ("simple (H264), RTX, stamps", RouterSetUp { stamps: true, ..plain(true) }),
        ("simulcast (VP8)", layered(Media::Vp8Simulcast, false)),
        ("simulcast (VP8), RTX", layered(Media::Vp8Simulcast, true)),
        ("SVC (VP9)", layered(Media::Vp9Svc, false)),
        ("SVC (VP9), RTX", layered(Media::Vp9Svc, true)),
        ("SVC (AV1)", layered(Media::Av1Svc, false)),
        ("SVC (AV1), RTX", layered(Media::Av1Svc, true)),
        ("SVC (AV1), RTX, lowest layer", layered(Media::Av1Lowest, true)),
    ];
    cases.into_iter().map(|(name, set_up)| Row::new(name, set_up)).collect()
}

fn tell_group(receivers: u32) {
    let mut rows = group(receivers);
    let mut figures = vec![Vec::with_capacity(ROUNDS); rows.len()];
    for round in 0..ROUNDS {
        for step in 0..rows.len() {
            // Nobody always follows the same other.
            let index = (step + round) % rows.len();
            let figure = rows[index].run();
            figures[index].push(figure);
        }
    }
    println!("1 to {receivers}");
    let base = figures[0].clone();
    for (row, figures) in rows.iter().zip(figures) {
        let ratios = figures.iter().zip(&base).map(|(figure, base)| figure / base).collect();
        let (ratio, ns) = (median(ratios), median(figures));
        println!("  {:30} {ns:6.1} ns  {ratio:5.2}  {} allocations", row.name, row.allocations);
        assert_eq!(row.allocations, 0, "nothing is allocated for a packet");
    }
}

/// Answers on standard output what a chunk of each row that is named on standard input cost.
fn serve() {
    let mut rows: Vec<Row> = Vec::new();
    for line in std::io::stdin().lines() {
        let name = line.expect("lines of text");
        let index = rows.iter().position(|row| row.name == name).unwrap_or_else(|| {
            rows.push(simple_row(&name).expect("a row that is known here"));
            rows.len() - 1
        });
        println!("{}", rows[index].run());
    }
}

/// Another process of this benchmark.
struct Server {
    child: Child,
    asks: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl Server {
    fn start(binary: &Path) -> Self {
        let mut command = Command::new(binary);
        command.arg("--serve").stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().expect("the binary runs");
        let asks = child.stdin.take().expect("it is piped");
        let answers = BufReader::new(child.stdout.take().expect("it is piped"));
        Self { child, asks, answers }
    }

    fn run(&mut self, row: &str) -> f64 {
        writeln!(self.asks, "{row}").expect("it reads");
        let mut line = String::new();
        self.answers.read_line(&mut line).expect("it answers");
        line.trim().parse().expect("a number")
    }

    fn end(mut self) {
        drop(self.asks);
        self.child.wait().expect("it ends by itself");
    }
}

/// The median ratio of two builds in one pair of processes, by row.
fn compare_once(own: &Path, other: &Path) -> Vec<f64> {
    let mut pair = [Server::start(own), Server::start(other)];
    let medians = SIMPLE_ROWS.map(|row| {
        let mut ratios = Vec::with_capacity(ROUNDS);
        for round in 0..ROUNDS {
            let mut figures = [0.0; 2];
            for step in 0..2 {
                let index = (step + round) % 2;
                figures[index] = pair[index].run(row);
            }
            ratios.push(figures[0] / figures[1]);
        }
        median(ratios)
    });
    pair.into_iter().for_each(Server::end);
    medians.to_vec()
}

fn compare(other: &Path) {
    let own = std::env::current_exe().expect("this runs");
    let runs: Vec<_> = (0..SPAWNS).map(|_| compare_once(&own, other)).collect();
    for (index, row) in SIMPLE_ROWS.iter().enumerate() {
        let mut ratios: Vec<_> = runs.iter().map(|run| run[index]).collect();
        ratios.sort_by(f64::total_cmp);
        let (least, most) = (ratios[0], ratios[ratios.len() - 1]);
        println!("{row:30} {:5.3} ({least:.3} to {most:.3})", median(ratios));
    }
}

fn main() {
    // `cargo bench` says `--bench` to every benchmark.
    let arguments: Vec<_> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] => [1, 10, 50].into_iter().for_each(tell_group),
        ["--serve"] => serve(),
        ["--against", other] => compare(Path::new(other)),
        _ => eprintln!("usage: forward_ratios [--against <binary>]"),
    }
}
