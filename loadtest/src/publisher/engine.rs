//! The publisher thread: a heap of due times, one system call per publisher and moment.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::{PAUSED, Publisher, STOPPED, Shared, lock};
use crate::latency;
use crate::rng::Rng;
use crate::rtcp::{self, Feedback};
use crate::rtp::{FIXED_HEADER_BYTES, is_rtcp};
use crate::sys::{
    Epoll, ReceiveBatch, SEND_BATCH, monotonic_ns, realtime_ns, send_batch, set_precise_timers, sleep_until,
};
use crate::webrtc::{Client, Timers};

/// Sockets' feedback is read this often.
const FEEDBACK_NS: u64 = 5_000_000;
/// The longest sleep, so that a pause or a stop is seen soon.
const SLEEP_MAX_NS: u64 = 5_000_000;
/// A sleep shorter than this costs more than it saves: the packets then go with the next.
const SLEEP_MIN_NS: u64 = 20_000;
/// Sender reports, once a second each.
const REPORT_NS: u64 = 1_000_000_000;
/// Publishers start within one video frame of each other, not all at once.
const START_SPREAD_NS: f64 = 33e6;
/// A schedule this late has no meaning any more: it starts over.
const SLIP_NS: u64 = 500_000_000;
/// Largest packet: 1400 bytes and a trailer of SRTP fit.
const PACKET_BYTES: usize = 1500;
const FEEDBACK_BUFFERS: (usize, usize) = (16, 2048);

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    Video,
    Audio,
    Report,
}

pub(super) struct Engine {
    publishers: Vec<Publisher>,
    shared: Arc<Shared>,
    due: BinaryHeap<Reverse<(u64, usize, Event)>>,
    epoll: Epoll,
    batch: Batch,
    rng: Rng,
    /// Share of video packets not sent until they are NACKed.
    withhold: f64,
    started_ns: u64,
    /// Of the clients of WebRTC transports.
    timers: Timers,
}

/// Packets of one publisher on their way to one `sendmmsg`.
struct Batch {
    buffers: Vec<[u8; PACKET_BYTES]>,
    lengths: Vec<usize>,
}

impl Batch {
    fn new() -> Self {
        Self { buffers: vec![[0; PACKET_BYTES]; SEND_BATCH], lengths: Vec::with_capacity(SEND_BATCH) }
    }

    fn is_full(&self) -> bool {
        self.lengths.len() == SEND_BATCH
    }

    /// The slot the next packet is written into; `push` makes it part of the batch.
    fn slot(&mut self) -> &mut [u8] {
        let next = self.lengths.len().min(SEND_BATCH - 1);
        &mut self.buffers[next]
    }

    fn push(&mut self, length: usize) {
        if !self.is_full() {
            self.lengths.push(length);
        }
    }

    /// Sends and empties; returns the bytes sent and how many packets were not.
    fn send(&mut self, publisher: &mut Publisher) -> (u64, u64) {
        let mut bytes = 0;
        if let Some(srtp) = &mut publisher.srtp {
            for (buffer, length) in self.buffers.iter_mut().zip(&mut self.lengths) {
                let header = header_length(&buffer[..*length]);
                *length = srtp.protect_rtp(buffer, header, *length).unwrap_or(0);
            }
        }
        let mut slices: [&[u8]; SEND_BATCH] = [&[]; SEND_BATCH];
        for (slice, (buffer, length)) in slices.iter_mut().zip(self.buffers.iter().zip(&self.lengths)) {
            *slice = &buffer[..*length];
            bytes += u64::try_from(*length).unwrap_or(0);
        }
        publisher.tap.keep(&slices[..self.lengths.len()]);
        let mut rest = &slices[..self.lengths.len()];
        let mut failed = 0;
        while !rest.is_empty() {
            let sent = send_batch(&publisher.socket, rest, &[]).unwrap_or_else(|_| {
                // The first packet of the rest was refused; it is lost and the others go on.
                failed += 1;
                1
            });
            rest = &rest[sent.clamp(1, rest.len())..];
        }
        self.lengths.clear();
        (bytes, failed)
    }
}

/// Bytes of an own packet's header: fixed, plus the one extension block some carry.
fn header_length(packet: &[u8]) -> usize {
    let has_extension = packet.first().is_some_and(|first| first & 0x10 != 0);
    match packet.get(FIXED_HEADER_BYTES + 2..FIXED_HEADER_BYTES + 4) {
        Some(words) if has_extension => {
            FIXED_HEADER_BYTES + 4 + 4 * usize::from(u16::from_be_bytes([words[0], words[1]]))
        }
        _ => FIXED_HEADER_BYTES,
    }
}

impl Engine {
    pub(super) fn new(
        publishers: Vec<Publisher>,
        shared: Arc<Shared>,
        seed: u64,
        withhold: f64,
    ) -> io::Result<Self> {
        let epoll = Epoll::new(publishers.len())?;
        let mut timers = Timers::default();
        for (index, publisher) in publishers.iter().enumerate() {
            epoll.add(&publisher.socket, index)?;
            timers.set(index, publisher.client.as_ref().and_then(Client::next_timeout_ns));
        }
        Ok(Self {
            publishers,
            shared,
            due: BinaryHeap::new(),
            epoll,
            batch: Batch::new(),
            rng: Rng::new(seed),
            withhold,
            started_ns: monotonic_ns(),
            timers,
        })
    }

    pub(super) fn run(mut self) -> io::Result<()> {
        set_precise_timers();
        let mut feedback = ReceiveBatch::new(FEEDBACK_BUFFERS.0, FEEDBACK_BUFFERS.1);
        let mut playing = false;
        let mut feedback_at_ns = 0;
        loop {
            let now_ns = monotonic_ns();
            if now_ns >= feedback_at_ns {
                self.read_feedback(&mut feedback, now_ns)?;
                self.keep_consent(now_ns);
                feedback_at_ns = now_ns + FEEDBACK_NS;
            }
            match self.shared.state.load(Ordering::Acquire) {
                STOPPED => return Ok(()),
                PAUSED => {
                    playing = false;
                    self.shared.idle.store(true, Ordering::Release);
                    sleep_until(now_ns + SLEEP_MAX_NS / 5);
                    continue;
                }
                _ if !playing => {
                    playing = true;
                    self.shared.idle.store(false, Ordering::Release);
                    self.schedule_all(now_ns);
                }
                _ => {}
            }
            self.play_due(now_ns);
            let now_ns = monotonic_ns();
            let next_ns = self.due.peek().map_or(u64::MAX, |Reverse((at, ..))| *at);
            let wake_ns = next_ns.max(now_ns + SLEEP_MIN_NS).min(now_ns + SLEEP_MAX_NS);
            if next_ns > now_ns {
                sleep_until(wake_ns);
            }
        }
    }

    /// Everything is due anew, spread over a frame's time.
    fn schedule_all(&mut self, now_ns: u64) {
        self.due.clear();
        for (index, publisher) in self.publishers.iter_mut().enumerate() {
            #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0..33e6")]
            let at_ns = now_ns + self.rng.between(0.0, START_SPREAD_NS) as u64;
            if let Some((_, track)) = &mut publisher.video {
                track.schedule(at_ns);
                self.due.push(Reverse((at_ns, index, Event::Video)));
            }
            if let Some((_, track)) = &mut publisher.audio {
                track.due_ns = at_ns;
                self.due.push(Reverse((at_ns, index, Event::Audio)));
            }
            self.due.push(Reverse((at_ns + REPORT_NS, index, Event::Report)));
        }
    }

    fn play_due(&mut self, now_ns: u64) {
        let scale = f64::from_bits(self.shared.scale.load(Ordering::Acquire));
        while let Some(Reverse((at_ns, index, event))) = self.due.peek().copied() {
            if at_ns > now_ns {
                return;
            }
            self.due.pop();
            let sent_ns = monotonic_ns();
            let late_ns = sent_ns.saturating_sub(at_ns);
            if event != Event::Report {
                latency::record(&mut lock(&self.shared.lateness), late_ns);
            }
            let next_ns = match event {
                Event::Video => self.play_video(index, sent_ns, scale, late_ns > SLIP_NS),
                Event::Audio => self.play_audio(index, sent_ns, scale, late_ns > SLIP_NS),
                Event::Report => {
                    self.send_reports(index, sent_ns);
                    Some(sent_ns + REPORT_NS)
                }
            };
            if let Some(next_ns) = next_ns {
                self.due.push(Reverse((next_ns, index, event)));
            }
        }
    }

    /// Sends the video packets due by now; returns when the next is.
    fn play_video(&mut self, index: usize, now_ns: u64, scale: f64, slipped: bool) -> Option<u64> {
        let publisher = self.publishers.get_mut(index)?;
        let (stream, mut track) = publisher.video.take()?;
        if slipped {
            track.schedule(now_ns);
        }
        let key_frames_before = track.camera.key_frames;
        let elapsed_ns = now_ns - self.started_ns;
        while track.is_due(now_ns) {
            let Some(written) = track.write(elapsed_ns, now_ns, scale, self.batch.slot()) else {
                break;
            };
            if self.withhold > 0.0 && self.rng.next_f64() < self.withhold {
                let mut totals = lock(&self.shared.totals);
                totals.withheld += 1;
                totals.count(stream, 1);
                continue;
            }
            self.batch.push(written.bytes);
            if self.batch.is_full() {
                flush(&mut self.batch, publisher, &self.shared, stream);
            }
        }
        flush(&mut self.batch, publisher, &self.shared, stream);
        lock(&self.shared.totals).key_frames += track.camera.key_frames - key_frames_before;
        let next_ns = track.due_ns();
        publisher.video = Some((stream, track));
        Some(next_ns)
    }

    /// Sends the audio frame due by now; returns when the next is.
    fn play_audio(&mut self, index: usize, now_ns: u64, scale: f64, slipped: bool) -> Option<u64> {
        let publisher = self.publishers.get_mut(index)?;
        let (stream, mut track) = publisher.audio.take()?;
        if slipped {
            track.due_ns = now_ns;
        }
        if let Some(length) = track.write(now_ns - self.started_ns, now_ns, scale, self.batch.slot()) {
            self.batch.push(length);
            flush(&mut self.batch, publisher, &self.shared, stream);
        }
        let next_ns = track.due_ns;
        publisher.audio = Some((stream, track));
        Some(next_ns)
    }

    fn send_reports(&mut self, index: usize, now_ns: u64) {
        let Some(publisher) = self.publishers.get_mut(index) else {
            return;
        };
        let elapsed_ns = now_ns - self.started_ns;
        let ntp = rtcp::ntp_time(realtime_ns());
        let video = publisher.video.as_ref().map(|(_, track)| track.sender_report(elapsed_ns, ntp));
        let audio = publisher.audio.as_ref().map(|(_, track)| track.sender_report(elapsed_ns, ntp));
        for report in video.iter().chain(&audio) {
            let mut packet = Vec::new();
            rtcp::write_sender_report(report, &publisher.cname, &mut packet);
            if publisher.srtp.as_mut().is_none_or(|srtp| srtp.protect_rtcp(&mut packet)) {
                // A report that cannot be sent now is replaced by the next one.
                let _ = publisher.socket.send(&packet);
            }
        }
    }

    /// What clients of WebRTC transports send by themselves.
    fn keep_consent(&mut self, now_ns: u64) {
        while let Some(index) = self.timers.pop(now_ns) {
            if let Some(client) =
                self.publishers.get_mut(index).and_then(|publisher| publisher.client.as_mut())
            {
                client.handle_timeout(now_ns);
                self.timers.set(index, client.next_timeout_ns());
            }
        }
    }

    fn read_feedback(&mut self, feedback: &mut ReceiveBatch, now_ns: u64) -> io::Result<()> {
        let ready = self.epoll.poll()?;
        for event in 0..ready {
            let Some(index) = self.epoll.token(event) else {
                continue;
            };
            let Some(publisher) = self.publishers.get_mut(index) else {
                continue;
            };
            let count = feedback.receive(&publisher.socket)?;
            for datagram in 0..count {
                let packet = feedback.get(datagram).bytes;
                if let Some(client) = &mut publisher.client
                    && Client::is_signalling(packet)
                {
                    client.handle(now_ns, packet);
                    self.timers.set(index, client.next_timeout_ns());
                    continue;
                }
                if !is_rtcp(packet) {
                    continue;
                }
                let length = match &mut publisher.srtp {
                    Some(srtp) => srtp.unprotect(packet, true),
                    None => Some(packet.len()),
                };
                if let Some(compound) = length.and_then(|length| packet.get(..length)) {
                    answer(publisher, compound, &mut self.batch, &self.shared);
                }
            }
        }
        Ok(())
    }
}

/// Acts on one compound packet of the worker.
fn answer(publisher: &mut Publisher, compound: &[u8], batch: &mut Batch, shared: &Shared) {
    let mut wanted = Vec::new();
    rtcp::visit(compound, |feedback| match feedback {
        Feedback::KeyFrame { ssrc } => {
            if let Some((_, track)) = &mut publisher.video
                && track.camera.ssrc == ssrc
            {
                track.camera.request_key_frame();
                lock(&shared.totals).key_frame_requests += 1;
            }
        }
        Feedback::Nack { ssrc, sequence, following } => {
            let is_ours = publisher.video.as_ref().is_some_and(|(_, track)| track.camera.ssrc == ssrc);
            if is_ours {
                wanted.push(sequence);
                let bits = (0..16_u16).filter(|bit| following & (1 << bit) != 0);
                wanted.extend(bits.map(|bit| sequence.wrapping_add(bit + 1)));
            }
        }
        Feedback::SenderReport { .. } => {}
    });
    lock(&shared.totals).nacked += u64::try_from(wanted.len()).unwrap_or(0);
    for sequence in wanted {
        let Some((_, track)) = &mut publisher.video else {
            return;
        };
        if let Some(length) = track.rewrite(sequence, batch.slot()) {
            batch.push(length);
            // Retransmissions are not part of the schedule's account: they repair what is counted there.
            batch.send(publisher);
            lock(&shared.totals).retransmitted += 1;
        }
    }
}

fn flush(batch: &mut Batch, publisher: &mut Publisher, shared: &Shared, stream: u32) {
    let packets = u64::try_from(batch.lengths.len()).unwrap_or(0);
    if packets == 0 {
        return;
    }
    let (bytes, failed) = batch.send(publisher);
    let mut totals = lock(&shared.totals);
    totals.bytes += bytes;
    totals.send_errors += failed;
    totals.count(stream, packets);
}
