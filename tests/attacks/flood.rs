//! Floods at a pace that leaves the machine to others, from many addresses.

use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use ringsoup_tests::rooms::{Rooms, ssrc};
use ringsoup_tests::webrtc_peer::run_until;

/// What an attacker sent and got back.
#[derive(Debug, Default)]
pub(crate) struct Score {
    pub(crate) sent: usize,
    pub(crate) sent_bytes: usize,
    pub(crate) answers: usize,
    pub(crate) answered_bytes: usize,
}

/// Packets sent at a time, and how long to wait before the next ones.
const BURST: usize = 20;
const PAUSE: Duration = Duration::from_millis(2);

/// Floods the rooms' port while their peers talk, and what they say arrives. `packet` makes the nth of the flood.
pub(crate) fn flood(
    rooms: &mut Rooms,
    attackers: usize,
    duration: Duration,
    packet: impl Fn(usize) -> Vec<u8>,
) -> Score {
    let to = SocketAddr::from((Ipv4Addr::LOCALHOST, rooms.port));
    let sockets: Vec<UdpSocket> = (0..attackers)
        .map(|_| {
            let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("loopback");
            socket.set_nonblocking(true).expect("loopback");
            socket
        })
        .collect();
    rooms.peers.iter_mut().for_each(|peer| peer.rtp.clear());
    let (mut score, begun) = (Score::default(), Instant::now());
    let first = rooms.said;
    while begun.elapsed() < duration {
        for _ in 0..BURST {
            let bytes = packet(score.sent);
            let sent = sockets[score.sent % attackers].send_to(&bytes, to).unwrap_or(0);
            score.sent_bytes += sent;
            score.sent += 1;
        }
        for (index, peer) in rooms.peers.iter_mut().enumerate() {
            peer.send_opus(rooms.said, ssrc(index));
        }
        rooms.said += 1;
        rooms.turn();
        hear(&sockets, &mut score);
        std::thread::sleep(PAUSE);
    }
    let said = rooms.said - first;
    run_until(&mut rooms.peers, "media that was sent during the flood", |peers| {
        // A shard that was not given a core for a while may have lost what its socket could not hold.
        peers.iter().all(|peer| peer.rtp.len() >= usize::from(said - said / 100))
    });
    hear(&sockets, &mut score);
    score
}

fn hear(sockets: &[UdpSocket], score: &mut Score) {
    let mut buffer = [0; 2_048];
    for socket in sockets {
        while let Ok((length, _)) = socket.recv_from(&mut buffer) {
            score.answers += 1;
            score.answered_bytes += length;
        }
    }
}
