//! What shards call a server's sockets among each other, and what they tell each other about them.

use std::net::SocketAddr;

/// A server. Given once in the life of the process, so that what is under way when one closes reaches no other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ServerKey(pub u64);

/// One of its addresses, which every shard that reads there has a socket for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ServerSocket {
    pub server: ServerKey,
    /// By its place among the server's listenInfos.
    pub place: u16,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WordKind {
    /// An agent of the speaker lets this tuple in.
    Added,
    /// And no more.
    Dropped,
}

/// One shard's word to another about a tuple.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Word {
    pub kind: WordKind,
    pub socket: ServerSocket,
    pub remote: SocketAddr,
}
