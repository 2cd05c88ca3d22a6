//! What peers do on their own: repairs, requests, reports.

use ringsoup_rtc::ntp::{NtpTime, duration_to_middle};
use ringsoup_rtc::rtcp::{Compound, RtcpPacket};
use ringsoup_rtc::rtp::{RtpPacket, is_rtcp};

use super::{Action, RECEIVER_TICK_MS, REPORT_MS, Simulation, original};
use crate::common::packets::{empty_block, nack, pli, receiver_report, sender_report};
use crate::consumer::Consumer;

impl Simulation {
    pub(super) fn publisher_hears(&mut self, publisher: usize, bytes: &[u8]) {
        for packet in Compound::new(bytes) {
            match packet.expect("well-formed RTCP leaves") {
                RtcpPacket::Nack(nack) => {
                    let seqs: Vec<_> = nack.items().flat_map(|item| item.sequence_numbers()).collect();
                    for seq in seqs {
                        if let Some((index, bytes)) = self.publishers[publisher].repair(seq) {
                            self.send_media(publisher, index, &bytes, true);
                        }
                    }
                }
                RtcpPacket::Pli(_) => self.publishers[publisher].wants_key_frame = true,
                _ => {}
            }
        }
    }

    pub(super) fn subscriber_hears(&mut self, subscriber: usize, bytes: &[u8]) {
        let now = self.world.now;
        let receiver = &mut self.subscribers[subscriber];
        let Ok(packet) = RtpPacket::parse(bytes) else { return };
        if is_rtcp(bytes) {
            for packet in Compound::new(bytes).flatten() {
                let RtcpPacket::SenderReport(report) = packet else { continue };
                // One of a stream that was closed may still be on its way.
                if receiver.consumers.iter().any(|consumer| consumer.ssrc == report.info.ssrc) {
                    receiver.reports.insert(report.info.ssrc, (report.info.ntp.middle(), now));
                }
            }
            return;
        }
        let owns = |consumer: &&mut Consumer| {
            consumer.ssrc == packet.ssrc() || consumer.rtx_ssrc == Some(packet.ssrc())
        };
        let Some(consumer) = receiver.consumers.iter_mut().find(owns) else { return };
        let (seq, _) = original(&packet, consumer);
        let number = consumer.extend(seq);
        if packet.ssrc() == consumer.ssrc {
            consumer.receive(now, number);
        } else {
            consumer.repaired(number);
        }
    }

    pub(super) fn say(&mut self, subscriber: usize, bytes: &[u8]) {
        let peer = self.subscribers[subscriber].peer.clone();
        for delay in self.profile.downlinks[subscriber].carry(self.world.now, bytes.len(), &mut self.rng) {
            self.after(delay, Action::Feedback { peer: peer.clone(), bytes: bytes.to_vec() });
        }
    }

    pub(super) fn receiver_asks(&mut self, subscriber: usize) {
        let now = self.world.now;
        for consumer in 0..self.subscribers[subscriber].consumers.len() {
            let stream = &mut self.subscribers[subscriber].consumers[consumer];
            if !self.publishers[stream.publisher].repairs() {
                continue;
            }
            let (ssrc, requests) = (stream.ssrc, stream.requests(now));
            if !requests.is_empty() {
                self.say(subscriber, &nack(ssrc, &requests));
            }
            if self.rng.below(500) == 0 {
                self.say(subscriber, &pli(ssrc));
            }
        }
        let pace = RECEIVER_TICK_MS.max(self.profile.frame_ms / 4);
        self.after_ms(pace, Action::Receiver { subscriber });
    }

    pub(super) fn receiver_reports(&mut self, subscriber: usize) {
        let now = self.world.now;
        for (ssrc, (middle, at)) in self.subscribers[subscriber].reports.clone() {
            let mut block = empty_block(ssrc);
            block.last_sender_report = middle;
            block.delay_since_last_sender_report = duration_to_middle(now.saturating_since(at));
            self.say(subscriber, &receiver_report(block));
        }
        self.after_ms(REPORT_MS.max(self.profile.frame_ms), Action::ReceiverReport { subscriber });
    }

    pub(super) fn publisher_reports(&mut self, publisher: usize) {
        let source = &self.publishers[publisher];
        let ntp = NtpTime::from_unix_micros(self.world.now.as_micros());
        let (peer, bytes) = (source.peer.clone(), sender_report(source.ssrc, ntp, 0));
        for delay in self.profile.uplinks[publisher].carry(self.world.now, bytes.len(), &mut self.rng) {
            self.after(delay, Action::Feedback { peer: peer.clone(), bytes: bytes.clone() });
        }
        self.after_ms(REPORT_MS.max(self.profile.frame_ms), Action::PublisherReport { publisher });
    }
}
