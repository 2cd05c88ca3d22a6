//! The floor alone: every method, to 50 and to 200 sockets, saturated and at both rhythms.

use std::sync::atomic::{AtomicBool, Ordering};

use crate::cli::Cli;
use crate::error::Error;
use crate::floor::{Cost, Floor, Method, Rhythm};
use crate::impair::Network;
use crate::net;
use crate::progress::Progress;
use crate::report::{median, table};
use crate::run::{PACED_NS, SATURATED_NS, on_floor_thread};
use crate::subscriber::{Receiver, Subscriber};

const SOCKETS: [usize; 2] = [50, 200];
const PACKET_BYTES: usize = 1200;
/// Rounds over all variants; the median of each is told.
const ROUNDS: usize = 5;
/// The acceptance figures' rates: 500 packets a second, evenly or in frames of 30 a second.
const EVEN: Rhythm = Rhythm { burst_packets: 1, period_ns: 2_000_000, destinations: 0 };
const FRAME: Rhythm = Rhythm { burst_packets: 16, period_ns: 32_000_000, destinations: 0 };

/// Measures, and returns what to print.
pub(crate) fn run(cli: &Cli, stop: &AtomicBool) -> Result<String, Error> {
    let progress = Progress::new();
    let packet_bytes = cli.packet_size.unwrap_or(PACKET_BYTES);
    let mut rows = Vec::new();
    for sockets in SOCKETS {
        rows.extend(measure(sockets, packet_bytes, cli.gro, stop, &progress)?);
    }
    progress.finish();
    if cli.json {
        let rows: Vec<_> = rows
            .iter()
            .map(|(sockets, variant, nanos)| {
                serde_json::json!({ "sockets": sockets, "variant": variant, "ns_per_packet": nanos })
            })
            .collect();
        let value = serde_json::json!({ "packet_bytes": packet_bytes, "receivers_take_trains": cli.gro, "floor": rows });
        return Ok(value.to_string());
    }
    Ok(table::render_floor(&rows, packet_bytes, cli.gro))
}

type Row = (usize, String, f64);

fn measure(
    sockets: usize,
    packet_bytes: usize,
    gro: bool,
    stop: &AtomicBool,
    progress: &Progress,
) -> Result<Vec<Row>, Error> {
    let receivers = (0..sockets).map(|_| net::receiving_socket(gro)).collect::<Result<Vec<_>, _>>();
    let receivers = receivers.map_err(Error::io("opening a socket"))?;
    let addresses = receivers.iter().map(std::net::UdpSocket::local_addr).collect::<Result<Vec<_>, _>>();
    let addresses = addresses.map_err(Error::io("reading a socket's address"))?;
    let subscribers = receivers
        .into_iter()
        .map(|socket| Subscriber { socket, worker: None, srtp: None, client: None })
        .collect();
    let receiver = Receiver::start(subscribers, Vec::new(), gro, &Network::default())
        .map_err(Error::io("starting the receivers"))?;
    let floor = Floor::new(&addresses, packet_bytes).map_err(Error::io("preparing the floor"))?;
    let received = || receiver.account().totals().floor_packets;

    let paced = [("sendto, evenly paced at 500 pps", EVEN), ("sendto, 16 packets every 32 ms", FRAME)];
    let mut found: Vec<(String, Vec<f64>)> = Method::ALL
        .iter()
        .map(|method| format!("{}, saturated", method.name()))
        .chain(paced.iter().map(|(name, _)| (*name).to_owned()))
        .map(|name| (name, Vec::new()))
        .collect();
    for round in 1..=ROUNDS {
        progress.stage(&format!("floor to {sockets} sockets, round {round} of {ROUNDS}"));
        if stop.load(Ordering::Relaxed) {
            return Err(Error::new("interrupted"));
        }
        let costs = on_floor_thread(|| -> std::io::Result<Vec<Cost>> {
            let mut costs = Vec::new();
            for method in Method::ALL {
                costs.push(floor.saturated(method, SATURATED_NS, &received)?);
            }
            for (_, rhythm) in paced {
                costs.push(floor.paced(Rhythm { destinations: sockets, ..rhythm }, PACED_NS)?);
            }
            Ok(costs)
        })?;
        let costs = costs.map_err(Error::io("sending the floor's packets"))?;
        for ((_, values), cost) in found.iter_mut().zip(costs) {
            values.extend(cost.ns_per_packet());
        }
    }
    let drops = receiver.socket_drops();
    if drops > 0 {
        eprintln!("loadtest: warning: the receiving sockets dropped {drops} datagrams; the floor is too low");
    }
    Ok(found.into_iter().filter_map(|(name, values)| Some((sockets, name, median(&values)?))).collect())
}
