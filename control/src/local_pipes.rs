//! Pipes both of whose ends are in this process.
//!
//! ```text
//! A: bound 127.0.0.1:40001, connected to :40002 ─┐
//!                                                ├─ each names the other: joined, no socket carries their media
//! B: bound 127.0.0.1:40002, connected to :40001 ─┘
//! ```
//! A pipe transport does not know what its peer is. Here is known which addresses are whose, so two ends are seen to
//! meet when the second of them has connected, whichever that is. When one goes, the other is told to use its socket.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use ringsoup_sfu::command::SrtpParameters;
use ringsoup_sfu::name::Name;
use ringsoup_sfu::piped::{PipeEnd, PipeKey};
use ringsoup_sfu::reply::PipeTransportDump;

use crate::placement::ShardIndex;

#[derive(Debug)]
struct Pipe {
    name: Name,
    shard: ShardIndex,
    /// Under which a peer may know it: where it is bound and what it announces. Empty until it is created.
    addresses: Vec<SocketAddr>,
    local_srtp: Option<SrtpParameters>,
    remote: Option<Remote>,
    peer: Option<PipeKey>,
}

/// What `connect()` said of the peer.
#[derive(Debug, Clone)]
pub struct Remote {
    pub address: SocketAddr,
    pub srtp: Option<SrtpParameters>,
}

/// One end is to be told of the other: there it is, or (`None`) it is gone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Introduction {
    pub transport: Name,
    pub shard: ShardIndex,
    pub other: Option<PipeEnd>,
}

#[derive(Debug, Default)]
pub struct LocalPipes {
    pipes: HashMap<PipeKey, Pipe>,
    by_name: HashMap<Name, PipeKey>,
    by_address: HashMap<SocketAddr, Vec<PipeKey>>,
}

impl LocalPipes {
    /// Pipes that are known, and names and addresses under which.
    pub fn counts(&self) -> [usize; 3] {
        [self.pipes.len(), self.by_name.len(), self.by_address.len()]
    }

    /// A pipe transport is being created.
    pub fn insert(&mut self, key: PipeKey, name: &Name, shard: ShardIndex) {
        let pipe = Pipe {
            name: name.clone(),
            shard,
            addresses: Vec::new(),
            local_srtp: None,
            remote: None,
            peer: None,
        };
        self.pipes.insert(key, pipe);
        self.by_name.insert(name.clone(), key);
    }

    /// It says of itself where it is: first when it has been created.
    pub fn opened(&mut self, dump: &PipeTransportDump) {
        let Some(pipe) = self.pipes.get_mut(&dump.key).filter(|pipe| pipe.addresses.is_empty()) else {
            return;
        };
        let announced = dump.tuple.local_address.parse().ok();
        pipe.addresses.push(dump.bound);
        pipe.addresses.extend(announced.map(|ip| SocketAddr::new(ip, dump.tuple.local_port)));
        pipe.addresses.dedup();
        pipe.local_srtp.clone_from(&dump.srtp_parameters);
        for &address in &pipe.addresses {
            self.by_address.entry(address).or_default().push(dump.key);
        }
    }

    /// It has a peer now. If that is one of ours, and has connected to this one: whom to tell.
    pub fn connected(&mut self, key: PipeKey, remote: Remote) -> Vec<Introduction> {
        let Some(pipe) = self.pipes.get_mut(&key) else { return Vec::new() };
        pipe.remote = Some(remote);
        let Some(other) = self.other_end(key) else { return Vec::new() };
        let ends = [(key, other), (other, key)];
        for (from, to) in ends {
            if let Some(pipe) = self.pipes.get_mut(&from) {
                pipe.peer = Some(to);
            }
        }
        ends.into_iter().filter_map(|(from, to)| self.introduce(from, to)).collect()
    }

    /// The only pipe that this one names and that names this one.
    fn other_end(&self, key: PipeKey) -> Option<PipeKey> {
        let other = self.named_by(key)?;
        let found = self.pipes.get(&other)?;
        (other != key && found.peer.is_none() && self.named_by(other) == Some(key)).then_some(other)
    }

    /// The only pipe that packets of this one reach, if it can read them. Where several share an address
    /// (`udpReusePort`), the kernel decides who gets what, so they are left to it.
    fn named_by(&self, key: PipeKey) -> Option<PipeKey> {
        let remote = self.pipes.get(&key)?.remote.as_ref()?;
        let at = |address| self.by_address.get(&address).map_or(&[][..], Vec::as_slice);
        // A socket on all addresses is on the host's own, whatever else is the host's.
        let everywhere = match remote.address.ip() {
            IpAddr::V4(ip) if ip.is_loopback() => at((Ipv4Addr::UNSPECIFIED, remote.address.port()).into()),
            IpAddr::V6(ip) if ip.is_loopback() => at((Ipv6Addr::UNSPECIFIED, remote.address.port()).into()),
            _ => &[],
        };
        let &[other] = [at(remote.address), everywhere].concat().as_slice() else { return None };
        let other_key = &self.pipes.get(&other)?.local_srtp;
        (*other_key == remote.srtp).then_some(other)
    }

    fn introduce(&self, to: PipeKey, other: PipeKey) -> Option<Introduction> {
        let (pipe, shard) = (self.pipes.get(&to)?, self.pipes.get(&other)?.shard.0);
        let end = PipeEnd { key: other, shard };
        Some(Introduction { transport: pipe.name.clone(), shard: pipe.shard, other: Some(end) })
    }

    /// The transport of this name closes, or has never come to be. Whom to tell, if it was joined with another.
    pub fn remove(&mut self, name: &str) -> Option<Introduction> {
        let key = self.by_name.remove(name)?;
        let pipe = self.pipes.remove(&key)?;
        for address in &pipe.addresses {
            if let Some(keys) = self.by_address.get_mut(address) {
                keys.retain(|other| *other != key);
                if keys.is_empty() {
                    self.by_address.remove(address);
                }
            }
        }
        let peer = self.pipes.get_mut(&pipe.peer?)?;
        peer.peer = None;
        Some(Introduction { transport: peer.name.clone(), shard: peer.shard, other: None })
    }
}

#[cfg(test)]
mod tests {
    use ringsoup_rtc::srtp::CryptoSuite;
    use ringsoup_sfu::command::Protocol;
    use ringsoup_sfu::reply::{TransportDump, Tuple};

    use super::*;

    const A: PipeKey = PipeKey(1);
    const B: PipeKey = PipeKey(2);
    const C: PipeKey = PipeKey(3);

    fn address(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    fn srtp(fill: u8) -> SrtpParameters {
        SrtpParameters { crypto_suite: CryptoSuite::AeadAes256Gcm, key_and_salt: vec![fill; 44] }
    }

    fn dump(key: PipeKey, bound: &str, announced: Option<&str>) -> PipeTransportDump {
        let bound = address(bound);
        let local_address = announced.map_or_else(|| bound.ip().to_string(), str::to_owned);
        let local_port = bound.port();
        let tuple = Tuple { local_address, local_port, remote: None, protocol: Protocol::Udp };
        let base = TransportDump::default();
        PipeTransportDump { base, key, bound, tuple, rtx: false, srtp_parameters: None }
    }

    fn insert(pipes: &mut LocalPipes, key: PipeKey) {
        let name = format!("pipe {}", key.0);
        pipes.insert(key, &name[..].into(), ShardIndex(u16::try_from(key.0).unwrap()));
    }

    fn open(pipes: &mut LocalPipes, key: PipeKey, bound: &str, announced: Option<&str>) {
        insert(pipes, key);
        pipes.opened(&dump(key, bound, announced));
    }

    fn connect(pipes: &mut LocalPipes, key: PipeKey, remote: &str) -> Vec<(Name, u16)> {
        let told = pipes.connected(key, Remote { address: address(remote), srtp: None });
        told.into_iter().map(|told| (told.transport, told.other.unwrap().shard)).collect()
    }

    fn told(pairs: &[(&str, u16)]) -> Vec<(Name, u16)> {
        pairs.iter().map(|&(name, shard)| (name.into(), shard)).collect()
    }

    #[test]
    fn two_ends_meet_when_the_second_has_connected() {
        for (first, second) in [(A, B), (B, A)] {
            let mut pipes = LocalPipes::default();
            open(&mut pipes, A, "127.0.0.1:40001", None);
            open(&mut pipes, B, "127.0.0.1:40002", None);
            let remote = |key| if key == A { "127.0.0.1:40002" } else { "127.0.0.1:40001" };
            assert!(connect(&mut pipes, first, remote(first)).is_empty());
            let mut met = connect(&mut pipes, second, remote(second));
            met.sort();
            assert_eq!(met, told(&[("pipe 1", 2), ("pipe 2", 1)]));
        }
    }

    #[test]
    fn who_is_not_named_in_return_is_left_to_its_socket() {
        let mut pipes = LocalPipes::default();
        open(&mut pipes, A, "127.0.0.1:40001", None);
        open(&mut pipes, B, "127.0.0.1:40002", None);
        open(&mut pipes, C, "127.0.0.1:40003", None);
        assert!(connect(&mut pipes, A, "127.0.0.1:40002").is_empty());
        assert!(connect(&mut pipes, B, "127.0.0.1:40003").is_empty());
        assert!(connect(&mut pipes, C, "127.0.0.1:40003").is_empty(), "itself is no other end");
        assert!(pipes.remove("pipe 1").is_none());
    }

    #[test]
    fn announced_addresses_and_sockets_on_all_addresses_count() {
        let mut pipes = LocalPipes::default();
        open(&mut pipes, A, "10.0.0.1:40001", Some("198.51.100.1"));
        open(&mut pipes, B, "0.0.0.0:40002", Some("pipe.example"));
        assert!(connect(&mut pipes, A, "127.0.0.1:40002").is_empty());
        assert_eq!(connect(&mut pipes, B, "198.51.100.1:40001").len(), 2);
        let mut pipes = LocalPipes::default();
        open(&mut pipes, A, "[::1]:40001", None);
        open(&mut pipes, B, "[::]:40002", None);
        assert!(connect(&mut pipes, B, "[::1]:40001").is_empty());
        assert_eq!(connect(&mut pipes, A, "[::1]:40002").len(), 2);
    }

    #[test]
    fn a_shared_address_is_nobodys() {
        let mut pipes = LocalPipes::default();
        open(&mut pipes, A, "127.0.0.1:40001", None);
        open(&mut pipes, B, "127.0.0.1:40002", None);
        open(&mut pipes, C, "127.0.0.1:40002", None);
        assert!(connect(&mut pipes, B, "127.0.0.1:40001").is_empty());
        assert!(connect(&mut pipes, A, "127.0.0.1:40002").is_empty());
        assert!(connect(&mut pipes, C, "127.0.0.1:40001").is_empty());
    }

    #[test]
    fn who_stays_is_told_once_that_the_other_is_gone() {
        let mut pipes = LocalPipes::default();
        open(&mut pipes, A, "127.0.0.1:40001", None);
        open(&mut pipes, B, "127.0.0.1:40002", None);
        connect(&mut pipes, A, "127.0.0.1:40002");
        connect(&mut pipes, B, "127.0.0.1:40001");
        let gone = Introduction { transport: "pipe 2".into(), shard: ShardIndex(2), other: None };
        assert_eq!(pipes.remove("pipe 1"), Some(gone));
        assert_eq!(pipes.remove("pipe 1"), None);
        // The port is another's now; the one that stayed still names it, so they meet when that one connects.
        open(&mut pipes, C, "127.0.0.1:40001", None);
        assert_eq!(connect(&mut pipes, C, "127.0.0.1:40002").len(), 2);
        pipes.remove("pipe 3");
        assert_eq!(pipes.remove("pipe 2"), None);
        assert!(pipes.pipes.is_empty() && pipes.by_name.is_empty() && pipes.by_address.is_empty());
    }

    #[test]
    fn ends_that_could_not_read_each_other_are_not_joined() {
        let ports = [(A, "127.0.0.1:40001", "127.0.0.1:40002"), (B, "127.0.0.1:40002", "127.0.0.1:40001")];
        for (key_told_to_a, joins) in [(Some(2), true), (Some(9), false), (None, false)] {
            let mut pipes = LocalPipes::default();
            for (fill, (key, bound, _)) in (1..).zip(ports) {
                insert(&mut pipes, key);
                pipes.opened(&PipeTransportDump {
                    srtp_parameters: Some(srtp(fill)),
                    ..dump(key, bound, None)
                });
            }
            let mut told = Vec::new();
            for (fill, (key, _, remote)) in [key_told_to_a, Some(1)].into_iter().zip(ports) {
                let remote = Remote { address: address(remote), srtp: fill.map(srtp) };
                told.extend(pipes.connected(key, remote));
            }
            assert_eq!(!told.is_empty(), joins);
        }
    }
}
