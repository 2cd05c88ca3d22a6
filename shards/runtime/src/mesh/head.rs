//! What is said of bytes that pass from shard to shard.

use std::net::SocketAddr;

use ringsoup_rtc::time::Time;
use ringsoup_sfu::piped::{PipeKey, Piped, PipedKind};
use ringsoup_sfu::served::{HandedOver, ServerSocket, Word};

/// What they are and what they are for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Head {
    Piped { to: PipeKey, kind: PipedKind },
    Datagram { socket: ServerSocket, is_known: bool, remote: SocketAddr, received: Time },
    Word(Word),
}

/// The same, as the receiver has it.
#[derive(Debug)]
pub(crate) enum Passed<'a> {
    Piped(Piped<'a>),
    Datagram(HandedOver<'a>),
    Word { from: u16, word: Word },
}

impl Head {
    pub(super) fn with(self, from: usize, bytes: &mut [u8], passed: Time) -> Passed<'_> {
        // Shards are counted by 16 bits.
        let from = u16::try_from(from).unwrap_or(u16::MAX);
        match self {
            Self::Piped { to, kind } => Passed::Piped(Piped { to, kind, bytes, passed }),
            Self::Datagram { socket, is_known, remote, received } => {
                Passed::Datagram(HandedOver { from, socket, is_known, remote, bytes, received })
            }
            Self::Word(word) => Passed::Word { from, word },
        }
    }
}
