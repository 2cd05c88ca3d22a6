//! The publisher thread: a heap of due times, one system call per publisher and moment.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::batch::{Batch, Passage};
use super::feedback;
use super::{PAUSED, Publisher, STOPPED, Shared, lock};
use crate::impair::{Line, Network};
use crate::latency;
use crate::rng::Rng;
use crate::rtcp;
use crate::rtp::is_rtcp;
use crate::sys::{Epoll, ReceiveBatch, monotonic_ns, realtime_ns, set_precise_timers, sleep_until};
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
/// The publishers' losses are not the subscribers'.
const NETWORK_SALT: u64 = 1 << 48;
const FEEDBACK_BUFFERS: (usize, usize) = (16, 2048);

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    /// Of the track with this index.
    Video(usize),
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
    /// What the network does on the way to the worker, and from it.
    up: Option<Line>,
    down: Option<Line>,
    started_ns: u64,
    /// Of the clients of WebRTC transports.
    timers: Timers,
}

impl Engine {
    pub(super) fn new(
        publishers: Vec<Publisher>,
        shared: Arc<Shared>,
        seed: u64,
        network: &Network,
    ) -> io::Result<Self> {
        let (up, down) = network.lines(publishers.len(), NETWORK_SALT);
        let epoll = Epoll::new(publishers.len())?;
        let mut timers = Timers::default();
        for (index, publisher) in publishers.iter().enumerate() {
            epoll.add(&publisher.wire.socket, index)?;
            timers.set(index, publisher.client.as_ref().and_then(Client::next_timeout_ns));
        }
        Ok(Self {
            publishers,
            shared,
            due: BinaryHeap::new(),
            epoll,
            batch: Batch::new(),
            rng: Rng::new(seed),
            up,
            down,
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
            self.deliver(now_ns);
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
            self.deliver(now_ns);
            let next_ns = self.due.peek().map_or(u64::MAX, |Reverse((at, ..))| *at);
            let arrival = self.up.iter().chain(&self.down).filter_map(Line::next_ns).min();
            let next_ns = next_ns.min(arrival.unwrap_or(u64::MAX));
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
            for (which, (_, track)) in publisher.video.iter_mut().enumerate() {
                track.schedule(at_ns);
                self.due.push(Reverse((at_ns, index, Event::Video(which))));
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
                Event::Video(which) => self.play_video(index, which, sent_ns, scale, late_ns > SLIP_NS),
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
    fn play_video(
        &mut self,
        index: usize,
        which: usize,
        now_ns: u64,
        scale: f64,
        slipped: bool,
    ) -> Option<u64> {
        let publisher = self.publishers.get_mut(index)?;
        let Publisher { video, wire, .. } = publisher;
        let (stream, track) = video.get_mut(which)?;
        let stream = *stream;
        if slipped {
            track.schedule(now_ns);
        }
        let key_frames_before = track.camera.encoder().key_frames;
        let elapsed_ns = now_ns - self.started_ns;
        while track.is_due(now_ns) {
            let Some(written) = track.write(elapsed_ns, now_ns, scale, self.batch.slot()) else {
                break;
            };
            self.batch.push(written.bytes);
            if self.batch.is_full() {
                let up = self.up.as_mut().map(|line| Passage { line, now_ns, client: index });
                count(&self.shared, stream, self.batch.len(), self.batch.send(wire, up));
            }
        }
        let up = self.up.as_mut().map(|line| Passage { line, now_ns, client: index });
        count(&self.shared, stream, self.batch.len(), self.batch.send(wire, up));
        lock(&self.shared.totals).key_frames += track.camera.encoder().key_frames - key_frames_before;
        Some(track.due_ns())
    }

    /// Sends the audio frame due by now; returns when the next is.
    fn play_audio(&mut self, index: usize, now_ns: u64, scale: f64, slipped: bool) -> Option<u64> {
        let Publisher { audio, wire, .. } = self.publishers.get_mut(index)?;
        let (stream, track) = audio.as_mut()?;
        if slipped {
            track.due_ns = now_ns;
        }
        if let Some(length) = track.write(now_ns - self.started_ns, now_ns, scale, self.batch.slot()) {
            self.batch.push(length);
            let up = self.up.as_mut().map(|line| Passage { line, now_ns, client: index });
            count(&self.shared, *stream, self.batch.len(), self.batch.send(wire, up));
        }
        Some(track.due_ns)
    }

    fn send_reports(&mut self, index: usize, now_ns: u64) {
        let Some(publisher) = self.publishers.get_mut(index) else {
            return;
        };
        let elapsed_ns = now_ns - self.started_ns;
        let ntp = rtcp::ntp_time(realtime_ns());
        let Publisher { video, audio, cname, wire, .. } = publisher;
        let video = video.iter().map(|(_, track)| track.sender_report(elapsed_ns, ntp));
        let audio = audio.iter().map(|(_, track)| track.sender_report(elapsed_ns, ntp));
        for report in video.chain(audio) {
            let mut packet = Vec::new();
            rtcp::write_sender_report(&report, cname, &mut packet);
            let is_ready = wire.srtp.as_mut().is_none_or(|srtp| srtp.protect_rtcp(&mut packet));
            let up = self.up.as_mut();
            if is_ready && up.is_none_or(|up| up.passes(now_ns, index, &packet, None)) {
                // A report that cannot be sent now is replaced by the next one.
                let _ = wire.socket.send(&packet);
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
            let count = feedback.receive(&publisher.wire.socket)?;
            for datagram in 0..count {
                let packet = feedback.get(datagram).bytes;
                if let Some(client) = &mut publisher.client
                    && Client::is_signalling(packet)
                {
                    client.handle(now_ns, packet);
                    self.timers.set(index, client.next_timeout_ns());
                    continue;
                }
                let down = self.down.as_mut();
                if is_rtcp(packet) && down.is_none_or(|down| down.passes(now_ns, index, packet, None)) {
                    let up = self.up.as_mut().map(|line| Passage { line, now_ns, client: index });
                    answer(publisher, packet, &mut self.batch, up, &self.shared);
                }
            }
        }
        Ok(())
    }

    /// What was on its way and has arrived, at the worker and from it.
    fn deliver(&mut self, now_ns: u64) {
        while let Some(arrived) = self.up.as_mut().and_then(|up| up.pop(now_ns)) {
            if let Some(publisher) = self.publishers.get(arrived.client)
                && publisher.wire.socket.send(&arrived.bytes).is_err()
            {
                lock(&self.shared.totals).send_errors += 1;
            }
        }
        while let Some(mut arrived) = self.down.as_mut().and_then(|down| down.pop(now_ns)) {
            if let Some(publisher) = self.publishers.get_mut(arrived.client) {
                let client = arrived.client;
                let up = self.up.as_mut().map(|line| Passage { line, now_ns, client });
                answer(publisher, &mut arrived.bytes, &mut self.batch, up, &self.shared);
            }
        }
        let mut totals = lock(&self.shared.totals);
        totals.up = self.up.as_ref().map(Line::totals).unwrap_or_default();
        totals.down = self.down.as_ref().map(Line::totals).unwrap_or_default();
    }
}

/// Acts on one compound packet of the worker, still protected.
fn answer(
    publisher: &mut Publisher,
    packet: &mut [u8],
    batch: &mut Batch,
    up: Option<Passage<'_>>,
    shared: &Shared,
) {
    let length = match &mut publisher.wire.srtp {
        Some(srtp) => srtp.unprotect(packet, true),
        None => Some(packet.len()),
    };
    let Some(compound) = length.and_then(|length| packet.get(..length)) else { return };
    let asked = feedback::read(publisher, compound);
    let nacked = u64::try_from(asked.packets.len()).unwrap_or(0);
    let mut retransmitted = 0;
    let mut up = up;
    for (which, sequence) in asked.packets {
        if let Some(length) = publisher.video[which].1.rewrite(sequence, batch.slot()) {
            batch.push(length);
            // Retransmissions are not part of the schedule's account: they repair what is counted there.
            batch.send(&mut publisher.wire, up.as_mut().map(Passage::again));
            retransmitted += 1;
        }
    }
    let mut totals = lock(&shared.totals);
    totals.key_frame_requests += asked.key_frames;
    totals.nacked += nacked;
    totals.retransmitted += retransmitted;
}

/// Counts packets of a stream that were offered to the network.
fn count(shared: &Shared, stream: u32, packets: usize, (bytes, failed): (u64, u64)) {
    let mut totals = lock(&shared.totals);
    totals.bytes += bytes;
    totals.send_errors += failed;
    totals.count(stream, u64::try_from(packets).unwrap_or(0));
}
