//! Sends what a source makes: remembers it, repairs it, reports on it, by a clock of its own.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::time::Duration;

use ringsoup_rtc::ntp::NtpTime;
use ringsoup_rtc::rtcp::{ReportBlock, RtcpPacket, SenderInfo};
use ringsoup_rtc::rtp::{RtpPacket, RtpWriter};
use ringsoup_rtc::time::Time;
use ringsoup_sfu::command::Produce;
use ringsoup_tests::rng::Rng;

use super::ortc::rtx_payload_types;
use crate::common::UNIX_ORIGIN_US;
use crate::common::packets::rtcp;
use crate::media::{Source, far_number};

/// Packets of an encoding that can still be repaired.
const REPAIRABLE: usize = 1_000;

/// A clock that is off by so many parts in a million.
#[derive(Debug, Clone, Copy)]
pub(super) struct Clock {
    pub(super) set_at: Time,
    pub(super) ppm: i64,
}

impl Clock {
    /// What it shows at a moment of the world's time.
    pub(super) fn shows(self, now: Time) -> Time {
        self.scale(now, self.ppm)
    }

    /// When it shows this; a little later at most.
    pub(super) fn moment(self, shown: Time) -> Time {
        self.scale(shown, -self.ppm) + Duration::from_millis(1)
    }

    fn scale(self, time: Time, ppm: i64) -> Time {
        let passed = time.saturating_since(self.set_at).as_nanos();
        let change = i128::try_from(passed).expect("some days") * i128::from(ppm) / 1_000_000;
        let nanos = i128::from(time.as_nanos()) + change;
        Time::from_nanos(u64::try_from(nanos).expect("after the beginning"))
    }
}

/// One encoding.
#[derive(Default)]
struct Encoding {
    rtx: Option<(u32, u16)>,
    history: HashMap<u16, Vec<u8>>,
    order: VecDeque<u16>,
    packets: u32,
    octets: u32,
    /// Of the media stream, in full, in order.
    numbers: Numbers,
    /// The shard's last word on it.
    report: Option<ReportBlock>,
}

/// What has come of it to the shard, as the network knows.
#[derive(Debug, Default, Clone)]
struct Numbers {
    newest: Option<u64>,
    /// Packets that arrived, copies too where they get through.
    arrived: u64,
    known: BTreeSet<u64>,
    first_arrived: Option<u64>,
    newest_arrived: Option<u64>,
}

pub(super) struct Sender {
    pub(super) source: Box<dyn Source>,
    pub(super) clock: Clock,
    rng: Rng,
    encodings: BTreeMap<u32, Encoding>,
    /// SSRCs in the order of the encodings.
    pub(super) ssrcs: Vec<u32>,
    rtx_of: Vec<(u8, u8)>,
    /// From one picture to the next, where that is longer than the source's own pace.
    pause: Duration,
    last: Time,
    /// Packets before it began anew.
    sent_before: u64,
    pub(super) restarts: u64,
    pub(super) wraps: u64,
    pub(super) repairs: u64,
    pub(super) key_frames_asked: u64,
}

fn extend(newest: Option<u64>, seq: u16) -> u64 {
    let Some(newest) = newest else { return 0x1_0000 + u64::from(seq) };
    #[allow(clippy::cast_possible_truncation, reason = "the wire's 16 bits")]
    let distance = ringsoup_rtc::seq::distance_u16(seq, newest as u16);
    newest.checked_add_signed(distance.into()).expect("far from zero")
}

impl Sender {
    pub(super) fn new(
        source: Box<dyn Source>,
        produce: &Produce,
        clock: Clock,
        pause: Duration,
        rng: &mut Rng,
    ) -> Self {
        let parameters = &produce.rtp_parameters;
        let ssrcs: Vec<_> = parameters.encodings.iter().filter_map(|encoding| encoding.ssrc).collect();
        assert_eq!(ssrcs.len(), parameters.encodings.len(), "encodings are told by SSRC");
        let encodings = parameters.encodings.iter().map(|encoding| {
            let rtx_seq = u16::from(rng.byte()) << 8;
            let rtx = encoding.rtx_ssrc.map(|ssrc| (ssrc, rtx_seq));
            (encoding.ssrc.expect("checked"), Encoding { rtx, ..Encoding::default() })
        });
        Self {
            encodings: encodings.collect(),
            ssrcs,
            rtx_of: rtx_payload_types(&parameters.codecs),
            source,
            clock,
            rng: Rng::new(rng.next_u64()),
            pause,
            last: Time::ZERO,
            sent_before: 0,
            restarts: 0,
            wraps: 0,
            repairs: 0,
            key_frames_asked: 0,
        }
    }

    pub(super) fn due(&self) -> Time {
        self.clock.moment(self.source.due().max(self.last + self.pause))
    }

    pub(super) fn produce(&mut self, now: Time) -> Vec<Vec<u8>> {
        let (mut out, shown) = (Vec::new(), self.clock.shows(now));
        self.last = shown;
        while self.source.due() <= shown {
            let due = self.source.due();
            self.source.produce(shown, &mut self.rng, &mut out);
            assert!(self.source.due() > due, "a source goes on");
        }
        out.iter().for_each(|bytes| self.remember(bytes));
        out
    }

    /// Another process sends under the same SSRCs. False where nobody does that.
    pub(super) fn restart(&mut self) -> bool {
        if !self.source.restart(&mut self.rng) {
            return false;
        }
        self.sent_before = self.sent();
        self.restarts += 1;
        for encoding in self.encodings.values_mut() {
            let rtx = encoding.rtx.map(|(ssrc, next)| (ssrc, far_number(next, &mut self.rng)));
            *encoding = Encoding { rtx, ..Encoding::default() };
        }
        true
    }

    fn remember(&mut self, bytes: &[u8]) {
        let packet = RtpPacket::parse(bytes).expect("sources make RTP");
        let encoding = self.encodings.get_mut(&packet.ssrc()).expect("of an encoding that was told");
        let seq = packet.sequence_number();
        let number = extend(encoding.numbers.newest, seq);
        let follows = encoding.numbers.newest.is_none_or(|newest| number == newest + 1);
        assert!(follows, "numbers leave no gaps: {number} after {:?}", encoding.numbers.newest);
        encoding.numbers.newest = Some(number);
        encoding.packets += 1;
        encoding.octets = encoding.octets.wrapping_add(u32::try_from(packet.payload().len()).expect("short"));
        self.wraps += u64::from(seq == u16::MAX);
        encoding.history.insert(seq, bytes.to_vec());
        encoding.order.push_back(seq);
        if encoding.order.len() > REPAIRABLE
            && let Some(oldest) = encoding.order.pop_front()
        {
            encoding.history.remove(&oldest);
        }
    }

    /// A packet of its media has reached the shard. SRTP lets no packet through twice (RFC 3711 section 3.3.2).
    pub(super) fn arrived(&mut self, bytes: &[u8], has_srtp: bool) {
        let Ok(packet) = RtpPacket::parse(bytes) else { return };
        let Some(encoding) = self.encodings.get_mut(&packet.ssrc()) else { return };
        let numbers = &mut encoding.numbers;
        let number = extend(numbers.newest, packet.sequence_number());
        let is_new = numbers.known.insert(number);
        numbers.arrived += u64::from(is_new || !has_srtp);
        numbers.first_arrived.get_or_insert(number);
        numbers.newest_arrived = numbers.newest_arrived.max(Some(number));
    }

    /// What the shard says to it; repairs are what it answers.
    pub(super) fn hear(&mut self, packet: &RtcpPacket<'_>) -> Vec<Vec<u8>> {
        match packet {
            RtcpPacket::Nack(nack) => {
                let seqs = nack.items().flat_map(|item| item.sequence_numbers().collect::<Vec<_>>());
                return seqs.filter_map(|seq| self.repair(nack.media_ssrc, seq)).collect();
            }
            RtcpPacket::Pli(pli) => self.ask_key_frame(pli.media_ssrc),
            RtcpPacket::Fir(fir) => fir.entries().for_each(|entry| self.ask_key_frame(entry.ssrc)),
            RtcpPacket::ReceiverReport(report) => report.reports().for_each(|block| self.note(block)),
            RtcpPacket::SenderReport(report) => report.reports().for_each(|block| self.note(block)),
            _ => {}
        }
        Vec::new()
    }

    fn ask_key_frame(&mut self, ssrc: u32) {
        self.key_frames_asked += 1;
        self.source.wants_key_frame(ssrc);
    }

    fn note(&mut self, block: ReportBlock) {
        if let Some(encoding) = self.encodings.get_mut(&block.ssrc) {
            encoding.report = Some(block);
        }
    }

    fn repair(&mut self, ssrc: u32, seq: u16) -> Option<Vec<u8>> {
        let encoding = self.encodings.get_mut(&ssrc)?;
        let bytes = encoding.history.get(&seq)?;
        self.repairs += 1;
        let Some((rtx_ssrc, rtx_seq)) = &mut encoding.rtx else { return Some(bytes.clone()) };
        let packet = RtpPacket::parse(bytes).expect("sources make RTP");
        let rtx = self.rtx_of.iter().find(|(media, _)| *media == packet.payload_type());
        let payload = [&seq.to_be_bytes(), packet.payload()].concat();
        *rtx_seq = rtx_seq.wrapping_add(1);
        let (_, payload_type) = rtx.expect("an encoding with RTX has its codec");
        let writer = RtpWriter::new(*payload_type, *rtx_seq, packet.timestamp(), *rtx_ssrc).payload(&payload);
        let writer = packet.extensions().fold(writer, |writer, (id, value)| writer.extension(id, value));
        writer.marker(packet.marker()).to_vec()
    }

    /// One report for each encoding that has sent.
    pub(super) fn reports(&self, now: Time) -> Vec<Vec<u8>> {
        let shown = self.clock.shows(now);
        let ntp = NtpTime::from_unix_micros(UNIX_ORIGIN_US + shown.as_micros());
        let report = |ssrc: &u32| {
            let encoding = &self.encodings[ssrc];
            let info = SenderInfo {
                ssrc: *ssrc,
                ntp,
                rtp_timestamp: self.source.timestamp_at(*ssrc, shown),
                packet_count: encoding.packets,
                octet_count: encoding.octets,
            };
            (encoding.packets > 0).then(|| rtcp(|writer| writer.sender_report(&info, &[])))
        };
        self.ssrcs.iter().filter_map(report).collect()
    }

    pub(super) fn sent(&self) -> u64 {
        let sent = self.encodings.values().map(|encoding| u64::from(encoding.packets));
        self.sent_before + sent.sum::<u64>()
    }

    /// What the shard last reported is what the network did. `settled`: nothing was under way when it did.
    pub(super) fn check_reports(&self, settled: bool) {
        if self.restarts > 0 {
            // What was under way then belongs to neither run.
            return;
        }
        for (ssrc, encoding) in &self.encodings {
            let (Some(report), Some(first)) = (encoding.report, encoding.numbers.first_arrived) else {
                continue;
            };
            let newest = encoding.numbers.newest_arrived.expect("something arrived");
            let expected = newest - first.min(newest) + 1;
            let lost = expected.saturating_sub(encoding.numbers.arrived);
            let said = u64::try_from(report.cumulative_lost).expect("never negative here");
            assert!(said <= expected, "{ssrc}: {said} lost of {expected}");
            if settled {
                #[allow(clippy::cast_possible_truncation, reason = "the wire's 16 bits")]
                let (highest, newest) = (report.highest_sequence_number as u16, newest as u16);
                assert_eq!((said, highest), (lost, newest), "{ssrc}: {report:?} {:?}", encoding.numbers);
            }
        }
    }
}
