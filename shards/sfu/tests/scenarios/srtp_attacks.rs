//! Floods on transports that encrypt: nothing gets through, nothing closes, and genuine media goes on.

use std::net::SocketAddr;

use ringsoup_rtc::srtp::{CryptoSuite, OutboundSession};
use ringsoup_sfu::command::PlainTransportOptions;
use ringsoup_sfu::drop_reason::DropReason;
use ringsoup_sfu::sockets::SocketId;

use crate::common::browser::Browser;
use crate::common::packets::{SPEECH, rtp};
use crate::common::parameters::{OPUS, connect_to, consume_audio, key, plain, produce_audio};
use crate::common::{Peer, World, remote};

const FORGED: u64 = 20_000;
const REPLAYED: u64 = 20_000;
const AUDIO: u32 = 1;

/// Who sends: keys and where from.
enum Sender {
    Plain(Box<OutboundSession>),
    Browser(Box<Browser>),
}

/// A sender that encrypts, and somebody who receives in the clear.
struct Attacked {
    world: World,
    sender: Sender,
    socket: SocketId,
    from: SocketAddr,
    receiver: Peer,
}

impl Attacked {
    fn plain(suite: CryptoSuite) -> Self {
        let mut world = World::new();
        let options = PlainTransportOptions { srtp_crypto_suite: Some(suite), ..plain() };
        let dump = world.create_plain("sender", options).expect("created");
        let mut request = connect_to(remote(1));
        request.srtp_parameters = Some(Ok(key(suite, 7)));
        world.connect("sender", request).expect("connected");
        let socket = world.socket_of(dump.tuple.local_port);
        let session = OutboundSession::new(suite, &key(suite, 7).key_and_salt).expect("a valid key");
        Self::with(world, Sender::Plain(Box::new(session)), socket, remote(1))
    }

    fn browser() -> Self {
        let mut world = World::new();
        let browser = world.browser("sender", 1);
        let (socket, from) = browser.selected();
        Self::with(world, Sender::Browser(Box::new(browser)), socket, from)
    }

    fn with(mut world: World, sender: Sender, socket: SocketId, from: SocketAddr) -> Self {
        world.produce("sender", produce_audio("audio", AUDIO, 50));
        let receiver = world.plain("receiver");
        world.consume("receiver", consume_audio("c", "audio", 2, 50));
        Self { world, sender, socket, from, receiver }
    }

    fn sealed(&mut self, seq: u16) -> Vec<u8> {
        let mut packet = rtp(OPUS, seq, u32::from(seq) * 960, AUDIO, SPEECH);
        match &mut self.sender {
            Sender::Browser(browser) => browser.sealed(&packet),
            Sender::Plain(session) => {
                let len = packet.len();
                packet.resize(len + 32, 0);
                let len = session.protect_rtp(&mut packet, 12, len).expect("it fits");
                packet.truncate(len);
                packet
            }
        }
    }

    fn receive(&mut self, packet: &[u8]) {
        self.world.receive_unflushed(self.socket, self.from, packet);
    }

    /// How many packets the receiver got since the last call.
    fn forwarded(&mut self) -> usize {
        let receiver = self.receiver.clone();
        self.world.take_rtp(&receiver).len()
    }

    fn withstands_forgeries_and_replays(&mut self) {
        let mut genuine = Vec::new();
        for seq in 65_500..65_535 {
            let packet = self.sealed(seq);
            self.receive(&packet);
            genuine.push(packet);
        }
        assert_eq!(self.forwarded(), genuine.len());
        self.world.take_events();
        for (count, packet) in (0..FORGED).zip(genuine.iter().cycle()) {
            let mut forged = packet.clone();
            // Every byte but those that say what it is.
            let place = 2 + usize::try_from(count).expect("small") % (forged.len() - 2);
            forged[place] ^= 1 << (count % 8);
            self.receive(&forged);
        }
        for (_, packet) in (0..REPLAYED).zip(genuine.iter().cycle()) {
            self.receive(packet);
        }
        assert_eq!(self.forwarded(), 0);
        let refused =
            [DropReason::SrtpAuthentication, DropReason::SrtpReplay].map(|reason| self.world.dropped(reason));
        assert!(refused[1] >= REPLAYED, "{refused:?}");
        assert_eq!(refused.iter().sum::<u64>(), FORGED + REPLAYED, "and nothing else happened to them");
        assert!(self.world.take_events().is_empty(), "nobody is closed or disconnected");
        // Over the wrap, and on.
        for seq in [65_535, 0, 1, 2] {
            let packet = self.sealed(seq);
            self.receive(&packet);
        }
        assert_eq!(self.forwarded(), 4);
    }
}

#[test]
fn a_plain_transport_withstands_forgeries_and_replays() {
    for suite in CryptoSuite::ALL {
        Attacked::plain(suite).withstands_forgeries_and_replays();
    }
}

#[test]
fn a_webrtc_transport_withstands_forgeries_and_replays() {
    Attacked::browser().withstands_forgeries_and_replays();
}
