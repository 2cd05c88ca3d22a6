//! What is at the other end of transports: hosts that publish and subscribe, or the application itself.

use std::net::SocketAddr;

use ringsoup_control::message::NotificationBody;
use ringsoup_rtc::rtcp::{Compound, RtcpPacket};
use ringsoup_rtc::rtp::packet::header_len;
use ringsoup_rtc::rtp::{RtpPacket, is_rtcp};
use ringsoup_rtc::srtp::{InboundSession, MAX_TRAILER_LEN, OutboundSession};

use super::controller::RouterState;
use super::ortc::Consumable;
use super::receiver::Receiver;
use super::sender::Sender;
use super::{Action, RECEIVER_TICK, REPORT_PAUSE, World, sockets};
use crate::network::Path;

pub(super) enum Way {
    Plain {
        /// The worker's end.
        local: SocketAddr,
        srtp: Option<Box<(OutboundSession, InboundSession)>>,
    },
    /// In the controller's process.
    Direct,
}

/// One transport and what is behind it.
pub(super) struct Client {
    pub(super) transport: String,
    pub(super) router: usize,
    pub(super) way: Way,
    pub(super) up: Path,
    pub(super) down: Path,
    pub(super) is_gone: bool,
}

impl Client {
    pub(super) fn has_srtp(&self) -> bool {
        matches!(&self.way, Way::Plain { srtp: Some(_), .. })
    }
}

pub(super) struct Publication {
    pub(super) client: usize,
    pub(super) producer: String,
    pub(super) consumable: Consumable,
    pub(super) sender: Sender,
    pub(super) paused: bool,
    pub(super) is_closed: bool,
    /// It was never paused and lost nobody: its reports can be held against the network's truth.
    pub(super) is_steady: bool,
}

pub(super) struct Subscription {
    pub(super) client: usize,
    pub(super) publication: usize,
    pub(super) consumer: String,
    pub(super) receiver: Receiver,
    pub(super) paused: bool,
    pub(super) is_closed: bool,
    /// Frames until the scenario's milestone was passed.
    pub(super) decoded_before: Option<u64>,
}

/// The packet as the holder of the key sends it.
fn protect(session: &mut OutboundSession, mut bytes: Vec<u8>) -> Vec<u8> {
    let len = bytes.len();
    bytes.resize(len + MAX_TRAILER_LEN, 0);
    let sealed = if is_rtcp(&bytes) {
        session.protect_rtcp(&mut bytes, len)
    } else {
        let header_len = header_len(&bytes[..len]).expect("clients make RTP");
        session.protect_rtp(&mut bytes, header_len, len)
    };
    bytes.truncate(sealed.expect("it is sealed"));
    bytes
}

fn unprotect(session: &mut InboundSession, mut bytes: Vec<u8>) -> Vec<u8> {
    let opened =
        if is_rtcp(&bytes) { session.unprotect_rtcp(&mut bytes) } else { session.unprotect_rtp(&mut bytes) };
    bytes.truncate(
        opened.expect("nothing is sealed twice under one number, and all of it with the key agreed on"),
    );
    bytes
}

impl World {
    fn router_of(&self, client: usize) -> &RouterState {
        &self.routers[self.clients[client].router]
    }

    /// Packets of a publication leave its client.
    pub(super) fn publish(&mut self, publication: usize) {
        let source = &mut self.publications[publication];
        if source.is_closed {
            return;
        }
        let client = source.client;
        let packets = source.sender.produce(self.now);
        let due = source.sender.due();
        for bytes in packets {
            self.send_media(publication, client, bytes);
        }
        self.at(due, Action::Produce { publication });
    }

    pub(super) fn send_media(&mut self, publication: usize, client: usize, plain: Vec<u8>) {
        let sender = &mut self.clients[client];
        let Way::Plain { local, srtp } = &mut sender.way else {
            let producer = self.publications[publication].producer.clone();
            self.publications[publication].sender.arrived(&plain, false);
            self.accounts.received += 1;
            let worker = self.router_of(client).worker;
            return self.tell(worker, &producer, NotificationBody::ProducerSend(plain));
        };
        let local = *local;
        let bytes = match srtp {
            Some(sessions) => protect(&mut sessions.0, plain.clone()),
            None => plain.clone(),
        };
        let remote = sockets::client_address(client);
        for delay in sender.up.carry(self.now, bytes.len(), &mut self.luck) {
            let (plain, bytes) = (plain.clone(), bytes.clone());
            self.after(delay, Action::Media { publication, plain, local, remote, bytes });
        }
    }

    /// RTCP of a client.
    pub(super) fn say(&mut self, client: usize, bytes: Vec<u8>) {
        let speaker = &mut self.clients[client];
        let Way::Plain { local, srtp } = &mut speaker.way else {
            let transport = speaker.transport.clone();
            let worker = self.router_of(client).worker;
            self.accounts.received += 1;
            return self.tell(worker, &transport, NotificationBody::TransportSendRtcp(bytes));
        };
        let local = *local;
        let bytes = match srtp {
            Some(sessions) => protect(&mut sessions.0, bytes),
            None => bytes,
        };
        let remote = sockets::client_address(client);
        for delay in speaker.up.carry(self.now, bytes.len(), &mut self.luck) {
            self.after(delay, Action::ToWorker { local, remote, bytes: bytes.clone() });
        }
    }

    /// A shard has sent something to a client; the network has it now.
    pub(super) fn send_down(&mut self, client: usize, from: SocketAddr, bytes: Vec<u8>) {
        let receiver = &mut self.clients[client];
        let Way::Plain { local, srtp } = &mut receiver.way else {
            panic!("nothing is sent to an application")
        };
        assert_eq!(*local, from, "from the transport's own address");
        if self.scenario.freezes.is_some_and(|after| self.now > self.scenario.begins + after) {
            return;
        }
        let bytes = match srtp {
            Some(sessions) => unprotect(&mut sessions.1, bytes),
            None => bytes,
        };
        self.leaves(client, &bytes);
        let delays = self.clients[client].down.carry(self.now, bytes.len(), &mut self.luck);
        for delay in delays {
            self.after(delay, Action::ToClient { client, bytes: bytes.clone() });
        }
    }

    /// Looks at what is sent to a client, whatever becomes of it.
    pub(super) fn leaves(&mut self, client: usize, bytes: &[u8]) {
        if !is_rtcp(bytes) {
            let packet = RtpPacket::parse(bytes).expect("well-formed RTP leaves");
            let subscription = self.subscription(client, packet.ssrc());
            let known = &mut self.subscriptions[subscription.expect("media goes to who consumes it")];
            assert!(!known.is_closed, "{} is closed and still sends", known.consumer);
            assert!(!known.paused, "{} is paused and still sends", known.consumer);
            known.receiver.leaves(&packet);
            return;
        }
        for packet in Compound::new(bytes) {
            if let RtcpPacket::SenderReport(report) = packet.expect("well-formed RTCP leaves")
                && let Some(subscription) = self.subscription(client, report.info.ssrc)
            {
                let receiver = &self.subscriptions[subscription].receiver;
                receiver.check_sender_report(&report.info);
            }
        }
    }

    /// The newest consumer of a client with this SSRC.
    fn subscription(&self, client: usize, ssrc: u32) -> Option<usize> {
        let is_it = |known: &Subscription| known.client == client && known.receiver.owns(ssrc);
        self.subscriptions.iter().rposition(is_it)
    }

    /// Something comes to a client.
    pub(super) fn client_hears(&mut self, client: usize, bytes: &[u8]) {
        if self.clients[client].is_gone {
            return;
        }
        if is_rtcp(bytes) {
            return self.client_hears_rtcp(client, bytes);
        }
        let packet = RtpPacket::parse(bytes).expect("well-formed RTP leaves");
        let subscription = self.subscription(client, packet.ssrc()).expect("known when it was sent");
        self.summary.delivered += 1;
        self.subscriptions[subscription].receiver.receive(self.now, &packet);
    }

    fn client_hears_rtcp(&mut self, client: usize, bytes: &[u8]) {
        for packet in Compound::new(bytes) {
            let packet = packet.expect("well-formed RTCP leaves");
            if let RtcpPacket::SenderReport(report) = &packet
                && let Some(subscription) = self.subscription(client, report.info.ssrc)
            {
                let receiver = &mut self.subscriptions[subscription].receiver;
                receiver.note_sender_report(self.now, &report.info);
            }
            for publication in 0..self.publications.len() {
                if self.publications[publication].client != client || self.publications[publication].is_closed
                {
                    continue;
                }
                for repair in self.publications[publication].sender.hear(&packet) {
                    self.send_media(publication, client, repair);
                }
            }
        }
    }

    pub(super) fn client_asks(&mut self, client: usize) {
        if self.clients[client].is_gone {
            return;
        }
        for subscription in 0..self.subscriptions.len() {
            let known = &mut self.subscriptions[subscription];
            if known.client == client && !known.is_closed {
                for bytes in known.receiver.speak(self.now) {
                    self.say(client, bytes);
                }
                self.check_progress(subscription);
            }
        }
        self.after(RECEIVER_TICK.max(self.scenario.pause / 4), Action::Receive { client });
    }

    pub(super) fn client_reports(&mut self, client: usize) {
        if self.clients[client].is_gone {
            return;
        }
        let now = self.now;
        let publications =
            self.publications.iter().filter(|known| known.client == client && !known.is_closed);
        let mut said: Vec<_> = publications.flat_map(|known| known.sender.reports(now)).collect();
        let subscriptions =
            self.subscriptions.iter_mut().filter(|known| known.client == client && !known.is_closed);
        said.extend(subscriptions.filter_map(|known| known.receiver.report(now)));
        for bytes in said {
            self.say(client, bytes);
        }
        self.after(REPORT_PAUSE.max(self.scenario.pause), Action::Report { client });
    }
}
