//! Ports that are being given back.
//!
//! A controller may close something and ask for its port in the same breath: what it asks for is done in order, as if
//! it had waited. Each shard keeps to that by itself, but not with others, and for WebRTC servers control binds at once.
//! So here is known who asked for which ports by number and which command closes them; until that is answered, whoever
//! wants such a port elsewhere has to wait.

use std::collections::HashMap;

use ringsoup_sfu::command::{ListenInfo, Protocol, WebRtcListen};
use ringsoup_sfu::listen;
use ringsoup_sfu::name::Name;
use ringsoup_sfu::sockets::PortChoice;

use crate::message::RequestBody;
use crate::placement::ShardIndex;

/// Ports in a range up to which it may lack just those that are being given back. In a wider one others will do.
const NARROW_PORTS_MAX: u16 = 128;

/// A port that is wanted by number, or one of a few. On which address does not matter: an address may stand for others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wanted {
    protocol: Protocol,
    min: u16,
    /// Inclusive.
    max: u16,
}

impl Wanted {
    /// `None` where ports are plenty.
    fn of(info: &ListenInfo) -> Option<Self> {
        let (min, max) = match listen::asked_port(info)? {
            PortChoice::Fixed(port) => (port, port),
            PortChoice::Range { min, max } => (min, max),
        };
        let is_narrow = max.checked_sub(min).is_some_and(|more| more < NARROW_PORTS_MAX);
        is_narrow.then_some(Self { protocol: info.protocol, min, max })
    }

    pub fn all<'a>(infos: impl IntoIterator<Item = &'a ListenInfo>) -> Vec<Self> {
        infos.into_iter().filter_map(Self::of).collect()
    }

    /// What the objects listen on that the request is to make.
    pub fn by(body: &RequestBody) -> Vec<Self> {
        match body {
            RequestBody::CreatePlainTransport { options, .. } => {
                Self::all([&options.listen_info].into_iter().chain(&options.rtcp_listen_info))
            }
            RequestBody::CreatePipeTransport { options, .. } => Self::all([&options.listen_info]),
            RequestBody::CreateWebRtcTransport { options, .. } => match &options.listen {
                WebRtcListen::Individual(Ok(infos)) => Self::all(infos),
                _ => Vec::new(),
            },
            RequestBody::CreateWebRtcServer { listen_infos: Ok(infos), .. } => Self::all(infos),
            _ => Vec::new(),
        }
    }

    fn meets(&self, other: &Self) -> bool {
        self.protocol == other.protocol && self.min <= other.max && other.min <= self.max
    }
}

#[derive(Debug)]
struct Closing {
    shard: ShardIndex,
    ports: Vec<Wanted>,
}

/// Bounded by the objects there are and the commands under way.
#[derive(Debug, Default)]
pub struct Ports {
    of: HashMap<Name, Vec<Wanted>>,
    /// By the command that closes them.
    closing: HashMap<u64, Closing>,
}

impl Ports {
    pub fn open(&mut self, owner: &Name, ports: Vec<Wanted>) {
        if !ports.is_empty() {
            self.of.insert(owner.clone(), ports);
        }
    }

    /// What these had, which have it no more.
    pub fn take(&mut self, owners: &[Name]) -> Vec<Wanted> {
        owners.iter().filter_map(|owner| self.of.remove(owner)).flatten().collect()
    }

    /// The command `token` closes these.
    pub fn close(&mut self, token: u64, shard: ShardIndex, ports: Vec<Wanted>) {
        if !ports.is_empty() {
            self.closing.insert(token, Closing { shard, ports });
        }
    }

    /// The command was answered, or never will be.
    pub fn closed(&mut self, token: u64) {
        self.closing.remove(&token);
    }

    pub fn are_settled(&self) -> bool {
        self.closing.is_empty()
    }

    /// Whether any of these is still to be closed before `shard`, or control itself, can bind it. What the shard
    /// closes by itself it closes in time.
    pub fn are_awaited(&self, ports: &[Wanted], shard: Option<ShardIndex>) -> bool {
        let elsewhere = self.closing.values().filter(|closing| Some(closing.shard) != shard);
        elsewhere.flat_map(|closing| &closing.ports).any(|closing| ports.iter().any(|one| one.meets(closing)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: ShardIndex = ShardIndex(0);
    const B: ShardIndex = ShardIndex(1);

    fn info(protocol: Protocol, port: u16, port_range: (u16, u16)) -> ListenInfo {
        ListenInfo {
            protocol,
            ip: [127, 0, 0, 1].into(),
            announced_address: None,
            expose_internal_ip: false,
            port,
            port_range,
            ipv6_only: false,
            udp_reuse_port: false,
            send_buffer_size: 0,
            recv_buffer_size: 0,
        }
    }

    fn wanted(protocol: Protocol, port: u16, range: (u16, u16)) -> Vec<Wanted> {
        Wanted::all([&info(protocol, port, range)])
    }

    #[test]
    fn a_port_is_awaited_by_everybody_but_the_shard_that_closes_it() {
        let mut ports = Ports::default();
        let udp = || wanted(Protocol::Udp, 4_000, (0, 0));
        ports.open(&"t".into(), udp());
        assert!(!ports.are_awaited(&udp(), Some(B)), "the kernel says that it is taken");
        let given_back = ports.take(&["t".into(), "nobody".into()]);
        ports.close(7, A, given_back);
        assert!(ports.are_awaited(&udp(), Some(B)) && ports.are_awaited(&udp(), None));
        assert!(!ports.are_awaited(&udp(), Some(A)));
        assert!(!ports.are_awaited(&wanted(Protocol::Tcp, 4_000, (0, 0)), Some(B)));
        assert!(!ports.are_awaited(&wanted(Protocol::Udp, 4_001, (0, 0)), Some(B)));
        ports.closed(7);
        assert!(!ports.are_awaited(&udp(), Some(B)) && ports.are_settled() && ports.of.is_empty());
    }

    #[test]
    fn a_narrow_range_waits_for_its_ports_and_a_wide_one_has_others() {
        let mut ports = Ports::default();
        ports.close(7, A, wanted(Protocol::Udp, 0, (4_000, 4_001)));
        assert!(ports.are_awaited(&wanted(Protocol::Udp, 4_001, (0, 0)), None));
        assert!(ports.are_awaited(&wanted(Protocol::Udp, 1, (4_001, 4_009)), None));
        assert!(!ports.are_awaited(&wanted(Protocol::Udp, 4_000, (4_002, 4_009)), None));
        assert!(wanted(Protocol::Udp, 0, (1, u16::MAX)).is_empty());
        assert!(wanted(Protocol::Udp, 0, (9, 8)).is_empty());
        assert!(wanted(Protocol::Udp, 0, (0, 0)).is_empty(), "the worker's range");
    }
}
