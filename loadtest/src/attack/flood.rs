//! Datagrams, as fast as asked, from many addresses or from somebody else's.

use std::io::{self, ErrorKind};
use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;

use super::attacker::{Score, Weapon};
use crate::net;
use crate::publisher::Tap;
use crate::storm::Recent;
use crate::sys::{Destination, SEND_BATCH, send_batch};

/// More than any answer has.
const ANSWER_BYTES_MAX: usize = 2048;

/// Where to.
pub(super) enum Aim {
    At(SocketAddr),
    /// To whoever shakes hands.
    Callers(Arc<Recent>),
}

/// What.
pub(super) enum Packets {
    Made(Vec<Vec<u8>>),
    /// What a publisher has sent.
    Taken(Arc<Tap>),
    /// Both in turns.
    Mixed(Vec<Vec<u8>>, Arc<Tap>),
}

impl Packets {
    /// Anew each time an attack begins or wants newer ones.
    fn gather(&self) -> Vec<Vec<u8>> {
        match self {
            Self::Made(made) => made.clone(),
            Self::Taken(tap) => tap.packets(),
            Self::Mixed(made, tap) => {
                made.iter().cloned().zip(tap.packets()).flat_map(|(one, other)| [one, other]).collect()
            }
        }
    }

    const fn grows_old(&self) -> bool {
        !matches!(self, Self::Made(_))
    }
}

pub(super) struct Flood {
    foreign: Vec<UdpSocket>,
    /// Connected to the worker: somebody else's.
    stolen: Vec<UdpSocket>,
    aim: Aim,
    targets: Vec<Destination>,
    packets: Packets,
    gathered: Vec<Vec<u8>>,
    next: usize,
    next_socket: usize,
    /// The first source of an attack that is meant: foreign ones come first.
    from: usize,
    /// Where an attack in pretence goes: nobody reads there, so that the kernel drops what its buffer does not hold.
    sink: UdpSocket,
    pretence: Destination,
}

impl Flood {
    /// From `foreign` addresses and `stolen` ones, and in pretence into a sink. With `pretence` an attack in pretence goes there,
    /// from the foreign addresses, and one that is meant comes from the stolen ones alone.
    pub(super) fn new(
        foreign: usize,
        stolen: Vec<UdpSocket>,
        aim: Aim,
        packets: Packets,
        pretence: Option<SocketAddr>,
    ) -> io::Result<Self> {
        let foreign: Vec<UdpSocket> = (0..foreign).map(|_| foreign_socket()).collect::<Result<_, _>>()?;
        let sink = UdpSocket::bind("127.0.0.1:0")?;
        let from = if pretence.is_some() { foreign.len() } else { 0 };
        let pretence = Destination::new(pretence.map_or_else(|| sink.local_addr(), Ok)?)?;
        let (targets, gathered) = (Vec::new(), Vec::new());
        Ok(Self {
            foreign,
            stolen,
            aim,
            targets,
            packets,
            gathered,
            next: 0,
            next_socket: 0,
            from,
            sink,
            pretence,
        })
    }

    fn refresh(&mut self) -> io::Result<()> {
        let addresses = match &self.aim {
            Aim::At(address) => vec![*address],
            Aim::Callers(recent) => recent.addresses(),
        };
        self.targets = addresses.into_iter().map(Destination::new).collect::<Result<_, _>>()?;
        if self.gathered.is_empty() || self.packets.grows_old() {
            self.gathered = self.packets.gather();
        }
        Ok(())
    }
}

/// An address that is nobody's.
fn foreign_socket() -> io::Result<UdpSocket> {
    let socket = net::sending_socket()?;
    socket.set_nonblocking(true)?;
    Ok(socket)
}

impl Weapon for Flood {
    fn aim(&mut self) -> io::Result<()> {
        self.refresh()
    }

    fn fire(&mut self, count: usize, is_pretence: bool, score: &mut Score) -> io::Result<()> {
        let count = count.min(SEND_BATCH);
        if self.gathered.is_empty() || self.targets.is_empty() {
            return Ok(());
        }
        let mut buffers: [&[u8]; SEND_BATCH] = [&[]; SEND_BATCH];
        let mut to = [self.pretence; SEND_BATCH];
        for (buffer, to) in buffers[..count].iter_mut().zip(&mut to) {
            self.next += 1;
            *buffer = &self.gathered[self.next % self.gathered.len()];
            if !is_pretence {
                *to = self.targets[self.next % self.targets.len()];
            }
        }
        self.next_socket += 1;
        let sources = if is_pretence {
            0..self.foreign.len()
        } else {
            self.from..self.foreign.len() + self.stolen.len()
        };
        let at = sources.start + self.next_socket % sources.len();
        let (socket, to) = match self.foreign.get(at) {
            Some(socket) => (socket, &to[..count]),
            None => (&self.stolen[at - self.foreign.len()], &[][..]),
        };
        let sent = match send_batch(socket, &buffers[..count], to) {
            // A full send buffer: the attacker is faster than loopback.
            Err(error) if error.kind() == ErrorKind::WouldBlock => 0,
            sent => sent?,
        };
        let bytes: usize = buffers[..sent].iter().map(|bytes| bytes.len()).sum();
        score.fired(sent, if to.is_empty() { 0 } else { bytes });
        Ok(())
    }

    fn hear(&mut self, score: &mut Score) -> io::Result<()> {
        let mut answer = [0; ANSWER_BYTES_MAX];
        for socket in &self.foreign {
            while let Ok((length, _)) = socket.recv_from(&mut answer) {
                score.heard(length);
            }
        }
        Ok(())
    }
}

impl std::fmt::Debug for Flood {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Flood").field("sink", &self.sink).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_heard_and_pretence_goes_nowhere() {
        let worker = UdpSocket::bind("127.0.0.1:0").unwrap();
        worker.set_read_timeout(Some(std::time::Duration::from_millis(200))).unwrap();
        let at = worker.local_addr().unwrap();
        let stolen = net::publishing_socket(at).unwrap();
        let own = stolen.local_addr().unwrap();
        let packets = Packets::Made(vec![vec![1; 10], vec![2; 10]]);
        let mut flood = Flood::new(2, vec![stolen], Aim::At(at), packets, None).unwrap();
        let mut score = Score::default();
        flood.aim().unwrap();
        flood.fire(5, true, &mut score).unwrap();
        assert!(worker.recv_from(&mut [0; 20]).is_err(), "nothing comes of a pretence");
        (0..3).for_each(|_| flood.fire(2, false, &mut score).unwrap());
        assert_eq!((score.sent, score.foreign_bytes), (11, 90));
        let from: Vec<_> = (0..6).map(|_| worker.recv_from(&mut [0; 20]).unwrap().1).collect();
        assert_eq!(from.iter().filter(|from| **from == own).count(), 2, "from every address in turn");
        let stranger = *from.iter().find(|from| **from != own).unwrap();
        worker.send_to(&[0; 7], stranger).unwrap();
        flood.hear(&mut score).unwrap();
        assert_eq!((score.answers, score.answered_bytes), (1, 7));
        let stolen = net::publishing_socket(at).unwrap();
        let own = stolen.local_addr().unwrap();
        let mut flood =
            Flood::new(1, vec![stolen], Aim::At(at), Packets::Made(vec![vec![1]]), Some(at)).unwrap();
        flood.aim().unwrap();
        for is_pretence in [true, false, true, false] {
            flood.fire(1, is_pretence, &mut score).unwrap();
            assert_eq!(worker.recv_from(&mut [0; 20]).unwrap().1 == own, !is_pretence);
        }
    }
}
