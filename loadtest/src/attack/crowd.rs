//! Connections that are opened, say half of something at most, and stay.

use std::io::{self, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};

use super::attacker::{Score, Weapon};

/// The beginning of a frame of a check: nothing of it, half a length, half a frame.
const HALF_A_CHECK: [u8; 10] = [0, 100, 0, 1, 0, 80, 0x21, 0x12, 0xA4, 0x42];
const SAID: [usize; 3] = [0, 1, 10];

#[derive(Debug)]
pub(super) struct Crowd {
    listeners: Vec<SocketAddr>,
    connections: Vec<TcpStream>,
    most: usize,
    /// Looked at next for an answer.
    cursor: usize,
}

impl Crowd {
    pub(super) const fn new(listeners: Vec<SocketAddr>, most: usize) -> Self {
        Self { listeners, connections: Vec::new(), most, cursor: 0 }
    }
}

impl Weapon for Crowd {
    fn aim(&mut self) -> io::Result<()> {
        Ok(())
    }

    fn fire(&mut self, count: usize, is_pretence: bool, score: &mut Score) -> io::Result<()> {
        for _ in 0..count {
            if is_pretence || self.connections.len() == self.most {
                return Ok(());
            }
            let number = self.connections.len();
            let mut stream = TcpStream::connect(self.listeners[number % self.listeners.len()])?;
            stream.set_nonblocking(true)?;
            let said = SAID[number % SAID.len()];
            // Whoever is shown out at once is not wrong.
            let _ = stream.write_all(&HALF_A_CHECK[..said]);
            score.fired(1, said);
            self.connections.push(stream);
        }
        Ok(())
    }

    /// Of a part of them: a look at all would take the attacker longer than its pace allows.
    fn hear(&mut self, score: &mut Score) -> io::Result<()> {
        for _ in 0..self.connections.len().min(64) {
            self.cursor = (self.cursor + 1) % self.connections.len();
            if let Ok(length) = self.connections[self.cursor].read(&mut [0; 64])
                && length > 0
            {
                score.heard(length);
            }
        }
        Ok(())
    }
}
