//! Sockets of shards: which address is whose, and what leaves by them.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

use ringsoup_sfu::rules::Rules;
use ringsoup_sfu::sfu::SfuConfig;
use ringsoup_sfu::sockets::SocketId;
use ringsoup_tests::threadless::{ShardParts, VirtualSockets};

use crate::common::{FakeSockets, UNIX_ORIGIN_US, dtls};

/// First port of a worker's first shard, and ports of each: what a port is on says which shard reads it.
const PORT_MIN: u16 = 40_000;
const PORTS_OF_SHARD: u16 = 3_000;
/// Where clients are, and the port of the first.
const CLIENTS: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));
const CLIENT_PORT: u16 = 10_000;

/// An open socket.
pub(super) struct Place {
    pub(super) worker: usize,
    pub(super) shard: u16,
    pub(super) socket: SocketId,
}

impl VirtualSockets for FakeSockets {
    fn carry(&mut self, socket: SocketId, remote: Option<SocketAddr>, head: &[u8], tail: &[u8]) {
        let (local, remote) = self.way(socket, remote);
        self.left.push((local, remote, [head, tail].concat()));
    }
}

pub(super) fn parts(seed: u64, worker: usize, shard: u16) -> ShardParts<FakeSockets> {
    let port_min = PORT_MIN + shard * PORTS_OF_SHARD;
    let config = SfuConfig {
        seed: seed.wrapping_mul(31) + worker as u64 * 16 + u64::from(shard),
        unix_origin_us: UNIX_ORIGIN_US,
        rtc_ports: (port_min, port_min + PORTS_OF_SHARD - 1),
        certificate: Arc::clone(&dtls::identity().certificate),
        dtls: Arc::clone(&dtls::identity().connector),
        rules: Rules::NEWEST,
    };
    // Every key differs from every other.
    let mut count = 0_u64;
    let key_source = move |key: &mut [u8]| {
        count += 1;
        let place = (worker as u64) << 32 | u64::from(shard) << 24 | count;
        key.fill(0x5a);
        for (target, byte) in key.iter_mut().zip(place.to_be_bytes()) {
            *target = byte;
        }
    };
    let mut sockets = FakeSockets::default();
    sockets.spares_ports = true;
    ShardParts { config, key_source: Box::new(key_source), sockets }
}

pub(super) fn shard_of(local: SocketAddr) -> Option<(usize, u16)> {
    let IpAddr::V4(ip) = local.ip() else { return None };
    let worker = usize::from(ip.octets()[3].checked_sub(1)?);
    let shard = local.port().checked_sub(PORT_MIN)? / PORTS_OF_SHARD;
    ip.is_loopback().then_some((worker, shard))
}

pub(super) fn client_address(client: usize) -> SocketAddr {
    SocketAddr::new(CLIENTS, CLIENT_PORT + u16::try_from(client).expect("few clients"))
}

pub(super) fn client_of(remote: SocketAddr) -> Option<usize> {
    (remote.ip() == CLIENTS).then(|| usize::from(remote.port() - CLIENT_PORT))
}
