//! Who owns an id: every live entity of the worker by the name its controller gave it.
//!
//! Names are unique in the whole worker. An entry is made when the creating request is passed on, so that
//! requests the controller sends right after it find their shard; it is provisional until the shard has
//! agreed and disappears with everything under it when the shard refuses. Entries leave when the closing
//! request is passed on: a shard's queue is in order, so nothing sent later can reach the closed entity.

use std::collections::{HashMap, HashSet};

use ringsoup_sfu::name::Name;

use crate::placement::{Load, ShardIndex};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Router,
    PlainTransport,
    PipeTransport,
    WebRtcTransport,
    DirectTransport,
    Producer,
    Consumer,
    RtpObserver,
    DataProducer,
    DataConsumer,
    WebRtcServer,
}

impl Kind {
    /// Whether it may have sockets.
    fn listens(self) -> bool {
        self.is_transport() && self != Self::DirectTransport || self == Self::WebRtcServer
    }

    pub fn is_transport(self) -> bool {
        matches!(
            self,
            Self::PlainTransport | Self::PipeTransport | Self::WebRtcTransport | Self::DirectTransport
        )
    }

    /// Whether notifications to the worker may address it.
    pub(crate) fn takes_notifications(self) -> bool {
        self.is_transport() || matches!(self, Self::Producer | Self::DataProducer)
    }

    /// Whether requests with a payload may address it.
    fn takes_payload_requests(self) -> bool {
        self.is_transport() || self == Self::DataConsumer
    }
}

#[derive(Debug)]
struct Entry {
    kind: Kind,
    shard: ShardIndex,
    parent: Option<Name>,
    children: HashSet<Name>,
    /// The WebRTC server that a transport listens through.
    server: Option<Name>,
    /// Tells this entity from an earlier or later one of the same name.
    birth: Birth,
}

/// The request that made an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Birth(pub u64);

/// An entity that was looked up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    pub name: Name,
    pub kind: Kind,
    pub shard: ShardIndex,
}

#[derive(Debug, Default)]
pub struct Registry {
    entries: HashMap<Name, Entry>,
    loads: Vec<Load>,
}

impl Registry {
    pub fn new(shards: usize) -> Self {
        Self { entries: HashMap::new(), loads: vec![Load::default(); shards] }
    }

    pub fn find(&self, name: &str) -> Option<Found> {
        let (name, entry) = self.entries.get_key_value(name)?;
        Some(Found { name: name.clone(), kind: entry.kind, shard: entry.shard })
    }

    pub fn birth(&self, name: &str) -> Option<Birth> {
        self.entries.get(name).map(|entry| entry.birth)
    }

    pub fn contains(&self, name: &str) -> bool {
        self.entries.contains_key(name)
    }

    /// The entity `child`, when it is one of `parent`'s.
    pub fn find_child(&self, parent: &str, child: &str) -> Option<Found> {
        self.entries.get(parent)?.children.get(child).and_then(|child| self.find(child))
    }

    /// What each shard carries, by index.
    pub fn loads(&self) -> &[Load] {
        &self.loads
    }

    /// False, and nothing changed, when the name is taken or the parent is unknown.
    pub fn insert_router(&mut self, name: &Name, shard: ShardIndex, birth: Birth) -> bool {
        self.insert(name, Kind::Router, shard, None, birth)
    }

    /// Like [`insert_router`](Self::insert_router); the shard is the one that reads the server's sockets.
    pub fn insert_webrtc_server(&mut self, name: &Name, shard: ShardIndex, birth: Birth) -> bool {
        self.insert(name, Kind::WebRtcServer, shard, None, birth)
    }

    /// Remembers that a transport listens through a server.
    pub fn tie_to_server(&mut self, transport: &str, server: &Name) {
        if let Some(entry) = self.entries.get_mut(transport) {
            entry.server = Some(server.clone());
        }
    }

    /// Through which server a transport listens, if it is the one that this request made.
    pub fn server_of(&self, transport: &str, birth: Birth) -> Option<Name> {
        self.entries.get(transport).filter(|entry| entry.birth == birth)?.server.clone()
    }

    /// The transports that listen through a server. Looks at everything: servers are dumped and closed rarely.
    pub fn served_by(&self, server: &str) -> Vec<Found> {
        let served = self.names(|entry| entry.server.as_deref() == Some(server));
        served.iter().filter_map(|name| self.find(name)).collect()
    }

    /// Like [`insert_router`](Self::insert_router), on the parent's shard.
    pub fn insert_child(&mut self, name: &Name, kind: Kind, parent: &str, birth: Birth) -> bool {
        let Some((parent, entry)) = self.entries.get_key_value(parent) else {
            return false;
        };
        let (parent, shard) = (parent.clone(), entry.shard);
        self.insert(name, kind, shard, Some(parent), birth)
    }

    fn insert(
        &mut self,
        name: &Name,
        kind: Kind,
        shard: ShardIndex,
        parent: Option<Name>,
        birth: Birth,
    ) -> bool {
        if self.entries.contains_key(name) {
            return false;
        }
        if let Some(parent) = parent.as_ref().and_then(|parent| self.entries.get_mut(parent)) {
            parent.children.insert(name.clone());
        }
        self.entries.insert(
            name.clone(),
            Entry { kind, shard, parent, children: HashSet::new(), server: None, birth },
        );
        self.load(shard).add(kind);
        true
    }

    fn load(&mut self, shard: ShardIndex) -> &mut Load {
        &mut self.loads[usize::from(shard.0)]
    }

    /// Removes the entity and everything under it. Returns those of them that may have sockets.
    pub fn remove(&mut self, name: &str) -> Vec<Name> {
        let mut listeners = Vec::new();
        let Some(entry) = self.entries.get(name) else {
            return listeners;
        };
        if let Some(parent) = entry.parent.clone().and_then(|parent| self.entries.get_mut(&parent)) {
            parent.children.remove(name);
        }
        let mut doomed: Vec<Name> = vec![name.into()];
        while let Some(name) = doomed.pop() {
            let Some(entry) = self.entries.remove(&name) else {
                continue;
            };
            self.load(entry.shard).remove(entry.kind);
            doomed.extend(entry.children);
            if entry.kind.listens() {
                listeners.push(name);
            }
        }
        listeners
    }

    /// Removes what a refused request had made, and only that.
    pub fn retract(&mut self, name: &str, birth: Birth) -> Vec<Name> {
        let is_its = self.entries.get(name).is_some_and(|entry| entry.birth == birth);
        if is_its { self.remove(name) } else { Vec::new() }
    }

    /// Removes everything a lost shard had.
    pub fn remove_shard(&mut self, shard: ShardIndex) -> Vec<Name> {
        let routers: Vec<Name> = self.names(|entry| entry.kind == Kind::Router && entry.shard == shard);
        routers.iter().flat_map(|router| self.remove(router)).collect()
    }

    pub fn routers(&self) -> Vec<Name> {
        self.names(|entry| entry.kind == Kind::Router)
    }

    pub fn webrtc_servers(&self) -> Vec<Name> {
        self.names(|entry| entry.kind == Kind::WebRtcServer)
    }

    pub fn webrtc_servers_on(&self, shard: ShardIndex) -> Vec<Name> {
        self.names(|entry| entry.kind == Kind::WebRtcServer && entry.shard == shard)
    }

    /// Everything that requests may address.
    pub fn request_handlers(&self) -> Vec<Name> {
        self.names(|_| true)
    }

    pub fn notification_handlers(&self) -> Vec<Name> {
        self.names(|entry| entry.kind.takes_notifications())
    }

    pub fn payload_request_handlers(&self) -> Vec<Name> {
        self.names(|entry| entry.kind.takes_payload_requests())
    }

    fn names(&self, wanted: impl Fn(&Entry) -> bool) -> Vec<Name> {
        self.entries.iter().filter(|(_, entry)| wanted(entry)).map(|(name, _)| name.clone()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: ShardIndex = ShardIndex(0);
    const B: ShardIndex = ShardIndex(1);

    fn room() -> Registry {
        let mut registry = Registry::new(2);
        assert!(registry.insert_router(&"r".into(), A, Birth(1)));
        assert!(registry.insert_child(&"t".into(), Kind::PlainTransport, "r", Birth(2)));
        assert!(registry.insert_child(&"p".into(), Kind::Producer, "t", Birth(3)));
        assert!(registry.insert_child(&"c".into(), Kind::Consumer, "t", Birth(4)));
        assert!(registry.insert_router(&"r2".into(), B, Birth(5)));
        registry
    }

    #[test]
    fn names_are_unique_across_kinds_and_shards() {
        let mut registry = room();
        assert!(!registry.insert_router(&"p".into(), B, Birth(6)));
        assert!(!registry.insert_child(&"r".into(), Kind::PlainTransport, "r2", Birth(7)));
        assert!(!registry.insert_child(&"x".into(), Kind::PlainTransport, "nobody", Birth(8)));
        assert_eq!(registry.find("p"), Some(Found { name: "p".into(), kind: Kind::Producer, shard: A }));
        assert!(registry.find_child("r", "t").is_some());
        assert!(registry.find_child("r2", "t").is_none());
    }

    #[test]
    fn closing_takes_the_subtree_along() {
        let mut registry = room();
        registry.remove("t");
        assert!(!registry.contains("p") && !registry.contains("c") && registry.contains("r"));
        assert!(registry.find_child("r", "t").is_none());
        assert_eq!(registry.loads()[0], Load { routers: 1, ..Load::default() });
        registry.remove("r");
        assert_eq!(registry.loads()[0], Load::default());
        assert_eq!(registry.routers(), vec![Name::from("r2")]);
    }

    #[test]
    fn a_refusal_retracts_only_its_own_entry() {
        let mut registry = room();
        registry.remove("p");
        assert!(registry.insert_child(&"p".into(), Kind::Producer, "t", Birth(9)));
        registry.retract("p", Birth(3));
        assert!(registry.contains("p"));
        registry.retract("p", Birth(9));
        assert!(!registry.contains("p"));
    }

    #[test]
    fn a_server_knows_its_transports_until_they_close() {
        let mut registry = room();
        assert!(registry.insert_webrtc_server(&"s".into(), B, Birth(6)));
        for (name, router) in [("w", "r"), ("x", "r2"), ("y", "r2")] {
            assert!(registry.insert_child(&name.into(), Kind::WebRtcTransport, router, Birth(7)));
        }
        registry.tie_to_server("w", &"s".into());
        registry.tie_to_server("x", &"s".into());
        let served = |registry: &Registry| {
            let mut served: Vec<_> =
                registry.served_by("s").into_iter().map(|one| (one.name, one.shard)).collect();
            served.sort();
            served
        };
        assert_eq!(served(&registry), [("w".into(), A), ("x".into(), B)]);
        registry.remove("r");
        assert_eq!(served(&registry), [("x".into(), B)]);
        assert_eq!(registry.webrtc_servers(), [Name::from("s")]);
        assert_eq!(registry.webrtc_servers_on(B), [Name::from("s")]);
        assert!(registry.webrtc_servers_on(A).is_empty());
        assert!(!registry.notification_handlers().contains(&"s".into()));
    }

    #[test]
    fn a_lost_shard_leaves_the_others_alone() {
        let mut registry = room();
        registry.remove_shard(A);
        assert_eq!(registry.request_handlers(), vec![Name::from("r2")]);
    }

    #[test]
    fn notification_handlers_are_transports_and_producers() {
        let mut names = room().notification_handlers();
        names.sort();
        assert_eq!(names, vec![Name::from("p"), Name::from("t")]);
    }
}
