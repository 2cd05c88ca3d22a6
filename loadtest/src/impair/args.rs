//! The part of the command line that says what the network does.

use clap::{Args, ValueEnum};

use super::{Impairment, Network};

const NANOS_PER_MILLI: f64 = 1e6;
/// A longer delay than this outlives what workers keep for retransmission.
const DELAY_MS_MAX: f64 = 2_000.0;

#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "The network, made by the clients")]
pub(crate) struct ImpairArgs {
    /// Percent of the packets that are lost. Receivers ask for them by NACK.
    #[arg(long, value_name = "PERCENT", default_value_t = 0.0, value_parser = parse_percent)]
    loss: f64,

    /// Packets lost in a row, on average; 1 loses each by itself.
    #[arg(long, value_name = "N", default_value_t = 1.0, value_parser = parse_burst)]
    loss_burst: f64,

    /// Milliseconds that every packet takes longer.
    #[arg(long, value_name = "MS", default_value_t = 0.0, value_parser = parse_millis)]
    delay: f64,

    /// Milliseconds that a packet takes longer than that at most; packets keep their order.
    #[arg(long, value_name = "MS", default_value_t = 0.0, value_parser = parse_millis)]
    jitter: f64,

    /// Percent of the packets that one to three later ones overtake.
    #[arg(long, value_name = "PERCENT", default_value_t = 0.0, value_parser = parse_percent)]
    reorder: f64,

    /// Percent of the packets that come twice.
    #[arg(long, value_name = "PERCENT", default_value_t = 0.0, value_parser = parse_percent)]
    duplicate: f64,

    /// Which way: up to the worker, down from it, media and feedback alike.
    #[arg(long, value_enum, value_name = "WAY", default_value_t = Way::Both)]
    impair: Way,

    /// Percent of the packets lost on the way up, whatever --loss and --impair say.
    #[arg(long, value_name = "PERCENT", value_parser = parse_percent)]
    uplink_loss: Option<f64>,

    /// Percent of the packets lost on the way down, whatever --loss and --impair say.
    #[arg(long, value_name = "PERCENT", value_parser = parse_percent)]
    downlink_loss: Option<f64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Way {
    Up,
    Down,
    Both,
}

impl ImpairArgs {
    pub(crate) fn network(&self, seed: u64) -> Network {
        let way = |other: Way, loss: Option<f64>| {
            let mut impairment = if self.impair == other { Impairment::default() } else { self.impairment() };
            impairment.loss_burst = self.loss_burst;
            impairment.loss = loss.map_or(impairment.loss, |percent| percent / 100.0);
            Some(impairment).filter(Impairment::does_something)
        };
        Network { up: way(Way::Down, self.uplink_loss), down: way(Way::Up, self.downlink_loss), seed }
    }

    fn impairment(&self) -> Impairment {
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "checked: 0..=2000 ms")]
        let nanos = |millis: f64| (millis * NANOS_PER_MILLI) as u64;
        Impairment {
            loss: self.loss / 100.0,
            loss_burst: self.loss_burst,
            delay_ns: nanos(self.delay),
            jitter_ns: nanos(self.jitter),
            reorder: self.reorder / 100.0,
            duplicate: self.duplicate / 100.0,
        }
    }
}

fn parse_within(text: &str, low: f64, high: f64) -> Result<f64, String> {
    let value = text.parse().ok().filter(|value| (low..=high).contains(value));
    value.ok_or_else(|| format!("a number from {low} to {high}"))
}

fn parse_percent(text: &str) -> Result<f64, String> {
    parse_within(text, 0.0, 50.0)
}

fn parse_burst(text: &str) -> Result<f64, String> {
    parse_within(text, 1.0, 1_000.0)
}

fn parse_millis(text: &str) -> Result<f64, String> {
    parse_within(text, 0.0, DELAY_MS_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Cli {
        #[command(flatten)]
        args: ImpairArgs,
    }

    fn network(arguments: &[&str]) -> Network {
        Cli::try_parse_from([&["x"], arguments].concat()).unwrap().args.network(1)
    }

    #[test]
    fn each_way_is_what_was_asked_for() {
        assert!(!network(&[]).is_impaired());
        assert!(network(&[]).nack_interval_ns().is_none());
        let both = network(&["--loss", "5", "--loss-burst", "3", "--delay", "20", "--jitter", "5"]);
        let expected = Impairment {
            loss: 0.05,
            loss_burst: 3.0,
            delay_ns: 20_000_000,
            jitter_ns: 5_000_000,
            reorder: 0.0,
            duplicate: 0.0,
        };
        assert_eq!((both.up, both.down), (Some(expected), Some(expected)));
        assert_eq!(both.round_trip_ns(), 50_000_000);
        let down = network(&["--reorder", "1", "--impair", "down"]);
        assert!(down.up.is_none() && down.down.is_some());
        let apart = network(&["--uplink-loss", "2", "--downlink-loss", "4"]);
        assert_eq!([apart.up, apart.down].map(|way| way.unwrap().loss), [0.02, 0.04]);
        let one = network(&["--delay", "1", "--impair", "up", "--downlink-loss", "4"]);
        assert_eq!((one.up.unwrap().loss, one.down.unwrap().delay_ns), (0.0, 0));
    }

    #[test]
    fn the_impossible_is_refused() {
        for arguments in [["--loss", "51"], ["--loss-burst", "0"], ["--delay", "-1"], ["--jitter", "NaN"]] {
            assert!(Cli::try_parse_from([&["x"], &arguments[..]].concat()).is_err(), "{arguments:?}");
        }
    }
}
