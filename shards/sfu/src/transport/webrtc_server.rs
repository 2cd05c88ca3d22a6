//! A WebRTC server, as a shard has it that reads its port.

use ringsoup_rtc::ice::Sealer;

use crate::command::ServerListener;
use crate::name::Name;
use crate::served::{ServerKey, ServerSocket};
use crate::sockets::SocketId;

#[derive(Debug)]
pub struct WebRtcServer {
    pub(crate) name: Name,
    pub(crate) key: ServerKey,
    /// By the places of their listenInfos.
    pub(crate) listeners: Vec<ServerListener>,
    /// What fragments of its transports are made with.
    pub(crate) sealer: Sealer,
    /// The index of this shard.
    pub(crate) here: u16,
    /// Those of the others that read the same port.
    pub(crate) readers: Vec<u16>,
}

impl WebRtcServer {
    /// `None` for a socket of somebody else's.
    pub(crate) fn place(&self, socket: SocketId) -> Option<u16> {
        let place = self.listeners.iter().position(|listener| listener.socket == Some(socket))?;
        u16::try_from(place).ok()
    }

    /// Those that this shard has.
    pub(crate) fn sockets(&self) -> impl Iterator<Item = SocketId> {
        self.listeners.iter().filter_map(|listener| listener.socket)
    }

    /// What other shards know its socket by.
    pub(crate) fn name_of(&self, socket: SocketId) -> Option<ServerSocket> {
        Some(ServerSocket { server: self.key, place: self.place(socket)? })
    }
}
