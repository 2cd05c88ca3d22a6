//! Introducing pipe transports of this process to each other.

use ringsoup_sfu::command::{Command, TransportCommand};
use ringsoup_sfu::name::Name;
use ringsoup_sfu::piped::PipeKey;
use ringsoup_sfu::reply::Reply;

use crate::local_pipes::{Introduction, Remote};
use crate::placement::ShardIndex;

use super::{Controller, Effect, Purpose};

impl Controller {
    /// Gives a pipe transport that is about to be created its key: the next token, which no other will ever have.
    pub(super) fn name_pipe(&mut self, shard: ShardIndex, command: &mut Command) {
        if let Command::CreatePipeTransport { transport, key, .. } = command {
            *key = PipeKey(self.next_token);
            self.local_pipes.insert(*key, transport, shard);
        }
    }

    /// Looks for what pipe transports say of themselves. Ends that meet are told before the controller has its answer,
    /// so that whatever it asks for next finds them joined.
    pub(super) fn watch_pipes(&mut self, reply: &Reply, out: &mut Vec<Effect>) {
        match reply {
            Reply::PipeTransportDump(dump) => self.local_pipes.opened(dump),
            Reply::PipeConnect { key, tuple, peer_srtp } => {
                let Some(address) = tuple.remote else { return };
                let remote = Remote { address, srtp: peer_srtp.clone() };
                for introduction in self.local_pipes.connected(*key, remote) {
                    self.introduce(introduction, out);
                }
            }
            _ => {}
        }
    }

    /// To be called with everything that listens and has left the registry.
    pub(super) fn listeners_left(&mut self, names: &[Name], out: &mut Vec<Effect>) {
        self.ports.take(names);
        // All of them first: ends that close together need no word of each other.
        let left: Vec<_> = names.iter().filter_map(|name| self.local_pipes.remove(name)).collect();
        for introduction in left {
            if self.registry.contains(&introduction.transport) {
                self.introduce(introduction, out);
            }
        }
    }

    fn introduce(&mut self, introduction: Introduction, out: &mut Vec<Effect>) {
        let Introduction { transport, shard, other } = introduction;
        let command = Command::Transport { transport, command: TransportCommand::JoinPipe(other) };
        self.send(shard, Purpose::Introduction, command, out);
    }
}
