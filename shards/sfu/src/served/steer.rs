//! The walk of a packet from a server's socket to its transport, here or on another shard.

use std::net::SocketAddr;

use ringsoup_rtc::stun::{Class, Message, is_stun};
use ringsoup_rtc::time::Time;

use super::tuples::{Holder, TellWhom, socket_at, tell};
use super::word::{ServerSocket, Word, WordKind};
use crate::drop_reason::DropReason;
use crate::outbox::Outbox;
use crate::sfu::{Datagram, Sfu};
use crate::sockets::Sockets;
use crate::table::Id;
use crate::transport::Transport;
use crate::transport::webrtc_server::WebRtcServer;

/// A datagram that another shard is to have. It was not touched. If it is a frame of a connection, that goes there with it, and is
/// forgotten here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HandOver {
    /// The index of that shard.
    pub to: u16,
    pub socket: ServerSocket,
    /// Whether it was found by its tuple; else the tuple is new to us, and should be told if it turns out to be good.
    pub is_known: bool,
}

/// A datagram that another shard received. The buffer is decrypted in place.
#[derive(Debug)]
pub struct HandedOver<'a> {
    /// The index of that shard.
    pub from: u16,
    pub socket: ServerSocket,
    pub is_known: bool,
    pub remote: SocketAddr,
    pub bytes: &'a mut [u8],
    /// When the kernel took it in.
    pub received: Time,
}

/// Whose a datagram is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Whose {
    Ours(Id<Transport>),
    Theirs { shard: u16, is_known: bool },
}

impl Sfu {
    /// What came on a server's socket. `Some`: it is for another shard, and counted there.
    pub(crate) fn handle_shared(
        &mut self,
        now: Time,
        server: Id<WebRtcServer>,
        datagram: Datagram<'_>,
        sockets: &mut dyn Sockets,
        out: &mut Outbox,
    ) -> Option<HandOver> {
        match self.whose(now, server, &datagram) {
            Ok(Whose::Ours(id)) => self.receive_served(now, id, datagram, sockets, out),
            Ok(Whose::Theirs { shard, is_known }) => {
                let listener = self.socket_owners.listener(datagram.socket);
                let socket = self.webrtc_servers[server].name_of(listener.unwrap_or(datagram.socket));
                // A connection goes as a whole.
                self.socket_owners.hang_up(datagram.socket);
                if let Some(socket) = socket {
                    return Some(HandOver { to: shard, socket, is_known });
                }
                self.account(now, None, Err(DropReason::UnknownSocket), out);
            }
            Err(reason) => self.account(now, None, Err(reason), out),
        }
        None
    }

    /// What another shard received for a transport of ours comes in here, and is counted like a datagram.
    pub fn handle_handed_over(
        &mut self,
        now: Time,
        handed: HandedOver<'_>,
        sockets: &mut dyn Sockets,
        out: &mut Outbox,
    ) {
        let HandedOver { from, socket, is_known, remote, bytes, received } = handed;
        let server = self.served.by_key.get(&socket.server).copied();
        let own = server.and_then(|id| Some((id, socket_at(&self.webrtc_servers, id, socket.place)?)));
        let Some((server, own)) = own else {
            return self.account(now, None, Err(DropReason::UnknownSocket), out);
        };
        let tuple = (own, remote);
        let was_let_in = matches!(self.served.holder(tuple), Some(Holder::Ours(_)));
        let datagram = Datagram { socket: own, remote, bytes, received };
        // What it is by, and not by whom: it goes no further, so that nothing can go around.
        match self.whose(now, server, &datagram) {
            Ok(Whose::Ours(id)) => self.receive_served(now, id, datagram, sockets, out),
            Ok(Whose::Theirs { .. }) => self.account(now, None, Err(DropReason::UnknownTuple), out),
            Err(reason) => self.account(now, None, Err(reason), out),
        }
        // A word of ours was lost, or came before the other shard could take it.
        let is_let_in = matches!(self.served.holder(tuple), Some(Holder::Ours(_)));
        let unheard = match is_known {
            false if was_let_in && is_let_in => WordKind::Added,
            true if !is_let_in => WordKind::Dropped,
            _ => return,
        };
        tell(&self.webrtc_servers[server], unheard, tuple, TellWhom::One(from), out);
    }

    /// What another shard says about one of its tuples.
    pub fn handle_word(&mut self, from: u16, word: &Word) {
        let server = self.served.by_key.get(&word.socket.server).copied();
        let socket = server.and_then(|id| socket_at(&self.webrtc_servers, id, word.socket.place));
        // Of a server that has closed here, or has not opened yet: then all is told again.
        let Some(socket) = socket else { return };
        self.served.take_word(from, word.kind, (socket, word.remote));
    }

    fn receive_served(
        &mut self,
        now: Time,
        id: Id<Transport>,
        datagram: Datagram<'_>,
        sockets: &mut dyn Sockets,
        out: &mut Outbox,
    ) {
        self.transports[id].traffic.received.update(now, datagram.bytes.len());
        self.served.under_way = Some(id);
        let result = self.receive_webrtc(now, id, datagram, sockets, out);
        self.served.under_way = None;
        self.account(now, Some(id), result, out);
    }

    fn whose(
        &mut self,
        now: Time,
        server: Id<WebRtcServer>,
        datagram: &Datagram<'_>,
    ) -> Result<Whose, DropReason> {
        match self.served.holder((datagram.socket, datagram.remote)) {
            Some(Holder::Ours(id)) => Ok(Whose::Ours(id)),
            Some(Holder::Theirs(shard)) => Ok(Whose::Theirs { shard, is_known: true }),
            None => self.whose_check(now, server, datagram.bytes),
        }
    }

    /// From an address that no agent has let in, only a check is read, and of it only whom it is for.
    #[cold]
    fn whose_check(
        &mut self,
        now: Time,
        server: Id<WebRtcServer>,
        bytes: &[u8],
    ) -> Result<Whose, DropReason> {
        if !is_stun(bytes) {
            return Err(DropReason::UnknownTuple);
        }
        let message = Message::parse(bytes).map_err(|_| DropReason::UnknownTuple)?;
        if message.class != Class::Request {
            return Err(DropReason::UnknownTuple);
        }
        let fragment = message.receiver_fragment().ok_or(DropReason::UnknownFragment)?;
        let server = &self.webrtc_servers[server];
        let sealed = server.sealer.open(fragment).ok_or(DropReason::UnknownFragment)?;
        if sealed.holder == server.here {
            let id = self.served.by_fragment(fragment).ok_or(DropReason::UnknownFragment)?;
            return Ok(Whose::Ours(id));
        }
        if !server.readers.contains(&sealed.holder) {
            return Err(DropReason::UnknownFragment);
        }
        if !self.served.budget.admits(now, sealed.holder, sealed.seal) {
            return Err(DropReason::ChecksLimited);
        }
        Ok(Whose::Theirs { shard: sealed.holder, is_known: false })
    }
}
