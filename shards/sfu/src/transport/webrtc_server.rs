//! A WebRTC server's sockets, on the one shard that reads them.

use crate::name::Name;
use crate::sockets::SocketId;

#[derive(Debug)]
pub struct WebRtcServer {
    pub(crate) name: Name,
    pub(crate) sockets: Vec<SocketId>,
}
