//! The tables: whose tuples and fragments are whose.

use ringsoup_rtc::ice::TUPLES_MAX;

use super::budget::Budget;
use super::word::{ServerKey, ServerSocket, Word, WordKind};
use crate::map::Map;
use crate::outbox::Outbox;
use crate::sockets::SocketId;
use crate::table::{Id, Table};
use crate::transport::Transport;
use crate::transport::webrtc::Tuple;
use crate::transport::webrtc_server::WebRtcServer;

/// Tuples of other shards that are remembered: those of 32,768 peers that use all they may, some 20 MiB. What comes on further
/// ones is dropped.
const FOREIGN_MAX: usize = 32_768 * TUPLES_MAX;

/// Letters of a fragment.
type Fragment = [u8; 32];

/// Whose agent lets a tuple in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Holder {
    Ours(Id<Transport>),
    Theirs(u16),
}

/// Who is to hear of a tuple.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TellWhom {
    All,
    One(u16),
}

#[derive(Debug, Default)]
pub(crate) struct Served {
    tuples: Map<Tuple, Holder>,
    fragments: Map<Fragment, Id<Transport>>,
    /// Of connections, which are tuples of this shard alone.
    connections: Map<SocketId, Id<Transport>>,
    pub(crate) by_key: Map<ServerKey, Id<WebRtcServer>>,
    pub(super) budget: Budget,
    /// Tuples of other shards.
    foreign: usize,
    /// Whose packet is being handled, for when that goes wrong.
    pub(crate) under_way: Option<Id<Transport>>,
}

impl Served {
    pub(super) fn holder(&self, tuple: Tuple) -> Option<Holder> {
        self.tuples.get(&tuple).copied()
    }

    /// The transport that a server's connection is a tuple of.
    pub(crate) fn of_connection(&self, connection: SocketId) -> Option<Id<Transport>> {
        self.connections.get(&connection).copied()
    }

    pub(super) fn by_fragment(&self, fragment: &[u8]) -> Option<Id<Transport>> {
        let fragment: &Fragment = fragment.try_into().ok()?;
        self.fragments.get(fragment).copied()
    }

    /// Tuples and fragments: nothing of a transport may stay when it is gone.
    pub(crate) fn counts(&self) -> (usize, usize) {
        (self.tuples.len(), self.fragments.len())
    }

    pub(crate) fn open(&mut self, id: Id<WebRtcServer>, server: &WebRtcServer) {
        self.by_key.insert(server.key, id);
        self.budget.reserve(server.readers.iter().map(|reader| usize::from(*reader) + 1).max().unwrap_or(0));
    }

    pub(crate) fn close(&mut self, server: &WebRtcServer) {
        self.by_key.remove(&server.key);
        self.retain(|(socket, _), _| server.place(socket).is_none());
    }

    pub(crate) fn add_fragment(&mut self, fragment: &str, transport: Id<Transport>) {
        if let Ok(fragment) = fragment.as_bytes().try_into() {
            self.fragments.insert(fragment, transport);
        }
    }

    pub(crate) fn remove_fragment(&mut self, fragment: &str) {
        if let Ok(fragment) = <&Fragment>::try_from(fragment.as_bytes()) {
            self.fragments.remove(fragment);
        }
    }

    /// An agent of ours lets it in. Another shard that thought it had the peer hears of it like all.
    pub(crate) fn add_tuple(
        &mut self,
        server: &WebRtcServer,
        tuple: Tuple,
        id: Id<Transport>,
        out: &mut Outbox,
    ) {
        if let Some(Holder::Theirs(_)) = self.tuples.insert(tuple, Holder::Ours(id)) {
            self.foreign -= 1;
        }
        if server.place(tuple.0).is_none() {
            self.connections.insert(tuple.0, id);
        }
        tell(server, WordKind::Added, tuple, TellWhom::All, out);
    }

    pub(crate) fn remove_tuple(
        &mut self,
        server: &WebRtcServer,
        tuple: Tuple,
        id: Id<Transport>,
        out: &mut Outbox,
    ) {
        // Another agent of ours may have let it in since.
        if self.tuples.get(&tuple) == Some(&Holder::Ours(id)) {
            self.tuples.remove(&tuple);
            self.connections.remove(&tuple.0);
            tell(server, WordKind::Dropped, tuple, TellWhom::All, out);
        }
    }

    /// Another shard reads the server's port too: it is told of what we have.
    pub(crate) fn add_reader(&mut self, server: &mut WebRtcServer, shard: u16, out: &mut Outbox) {
        if shard == server.here || server.readers.contains(&shard) {
            return;
        }
        server.readers.push(shard);
        self.budget.reserve(usize::from(shard) + 1);
        let ours = self.tuples.iter().filter(|(_, holder)| matches!(holder, Holder::Ours(_)));
        for (&tuple, _) in ours {
            tell(server, WordKind::Added, tuple, TellWhom::One(shard), out);
        }
    }

    /// And no more: it is lost, with all it had.
    pub(crate) fn remove_reader(&mut self, server: &mut WebRtcServer, shard: u16) {
        server.readers.retain(|reader| *reader != shard);
        self.retain(|(socket, _), holder| holder != Holder::Theirs(shard) || server.place(socket).is_none());
    }

    fn retain(&mut self, is_kept: impl Fn(Tuple, Holder) -> bool) {
        self.tuples.retain(|tuple, holder| is_kept(*tuple, *holder));
        self.foreign = self.tuples.values().filter(|holder| matches!(holder, Holder::Theirs(_))).count();
    }

    /// What another shard says of one of its tuples. What our own agents say is not taken back by others: should they
    /// be right, our peer is silent there from now on.
    pub(super) fn take_word(&mut self, from: u16, kind: WordKind, tuple: Tuple) {
        let known = self.holder(tuple);
        match (kind, known) {
            (_, Some(Holder::Ours(_))) => {}
            (WordKind::Added, Some(Holder::Theirs(_))) => {
                self.tuples.insert(tuple, Holder::Theirs(from));
            }
            (WordKind::Added, None) if self.foreign < FOREIGN_MAX => {
                self.tuples.insert(tuple, Holder::Theirs(from));
                self.foreign += 1;
            }
            (WordKind::Dropped, Some(Holder::Theirs(holder))) if holder == from => {
                self.tuples.remove(&tuple);
                self.foreign -= 1;
            }
            (WordKind::Added | WordKind::Dropped, _) => {}
        }
    }
}

/// Has the other readers of a server hear of a tuple. Connections are read by nobody else.
pub(super) fn tell(server: &WebRtcServer, kind: WordKind, tuple: Tuple, whom: TellWhom, out: &mut Outbox) {
    let (socket, remote) = tuple;
    let Some(place) = server.place(socket) else { return };
    let socket = ServerSocket { server: server.key, place };
    let mut say = |to| out.words.push((to, Word { kind, socket, remote }));
    match whom {
        TellWhom::All => server.readers.iter().copied().for_each(say),
        TellWhom::One(shard) => say(shard),
    }
}

/// The server that a socket of its own says it is of.
pub(super) fn socket_at(servers: &Table<WebRtcServer>, id: Id<WebRtcServer>, place: u16) -> Option<SocketId> {
    servers.get(id)?.listeners.get(usize::from(place))?.socket
}
