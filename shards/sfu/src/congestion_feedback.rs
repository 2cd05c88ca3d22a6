//! What the shard tells senders about the way to it: each packet's arrival, or an estimate (see
//! [`incoming`](crate::transport::incoming)).

use ringsoup_rtc::bwe::{ESTIMATE_STREAMS_MAX, FEEDBACK_INTERVAL, Recorded};
use ringsoup_rtc::rtcp::{CompoundWriter, RTCP_BYTES_MAX};
use ringsoup_rtc::rtp::RtpPacket;
use ringsoup_rtc::rtp::extension::{parse_abs_send_time, parse_transport_wide_cc};
use ringsoup_rtc::time::Time;

use crate::outbox::Outbox;
use crate::reports::{on_grid, send_rtcp};
use crate::sfu::Sfu;
use crate::table::Id;
use crate::timers::Timer;
use crate::transport::Transport;
use crate::transport::incoming::Meter;

/// Bitrates are told on nobody's behalf.
const SENDER_SSRC: u32 = 0;
/// Common header, two SSRCs, "REMB", bitrate, and the streams, bytes.
const REMB_BYTES_MAX: usize = 20 + 4 * ESTIMATE_STREAMS_MAX;

impl Sfu {
    /// A packet came on a transport that tells its peer about the way. Whether somebody wants it does not matter: it came.
    pub(crate) fn note_arrival(
        &mut self,
        now: Time,
        received: Time,
        id: Id<Transport>,
        packet: &RtpPacket<'_>,
        out: &mut Outbox,
    ) {
        let transport = &mut self.transports[id];
        let Some(incoming) = transport.incoming.as_mut() else { return };
        let ids = &transport.recv_extensions;
        match &mut incoming.meter {
            Meter::TransportCc(feedback) => {
                let value = ids.transport_wide_cc.and_then(|id| packet.extension(id));
                let Some(number) = value.and_then(parse_transport_wide_cc) else { return };
                if feedback.handle_packet(number, packet.ssrc(), received) == Recorded::Crowded {
                    self.write_transport_feedback(now, id, out);
                    self.note_arrival(now, received, id, packet, out);
                    return;
                }
                if incoming.feedback_deadline.is_none() {
                    // Some time for more of them, and not sooner after the last than an interval.
                    let soonest = now + FEEDBACK_INTERVAL / 2;
                    let deadline = on_grid(soonest.max(incoming.feedback_at + FEEDBACK_INTERVAL));
                    incoming.feedback_deadline = Some(deadline);
                    self.timers.set(deadline, Timer::TransportFeedback(id));
                }
                tell_limit(now, transport, out);
            }
            Meter::Remb(estimator) => {
                let value = ids.abs_send_time.and_then(|id| packet.extension(id));
                let Some(sent) = value.and_then(parse_abs_send_time) else { return };
                let bytes = packet.payload_and_padding().len();
                if let Some(bitrate) = estimator.handle_packet(received, sent, bytes, packet.ssrc()) {
                    let bitrate = incoming.limit.apply(bitrate);
                    let mut ssrcs = [0; ESTIMATE_STREAMS_MAX];
                    let named = estimator.ssrcs().zip(&mut ssrcs).map(|(ssrc, slot)| *slot = ssrc).count();
                    send_remb(now, transport, bitrate, &ssrcs[..named], out);
                }
            }
        }
    }

    pub(crate) fn handle_feedback_timeout(&mut self, now: Time, id: Id<Transport>, out: &mut Outbox) {
        let Some(incoming) = self.transports.get_mut(id).and_then(|transport| transport.incoming.as_mut())
        else {
            return;
        };
        // A timer of a former owner of the id.
        if incoming.feedback_deadline.is_none_or(|deadline| deadline > now) {
            return;
        }
        incoming.feedback_at = incoming.feedback_deadline.take().unwrap_or(now);
        self.write_transport_feedback(now, id, out);
    }

    /// All that has not been told, in as many packets as it takes.
    fn write_transport_feedback(&mut self, now: Time, id: Id<Transport>, out: &mut Outbox) {
        let transport = &mut self.transports[id];
        loop {
            let Some(incoming) = transport.incoming.as_mut() else { return };
            let Meter::TransportCc(feedback) = &mut incoming.meter else { return };
            let mut buffer = [0; RTCP_BYTES_MAX];
            let mut writer = CompoundWriter::new(&mut buffer);
            if feedback.write_next(now, &mut writer).is_none() {
                return;
            }
            send_rtcp(now, transport, writer.as_bytes(), out);
        }
    }

    pub(crate) fn limit_incoming(&mut self, now: Time, id: Id<Transport>, bitrate: u64, out: &mut Outbox) {
        let transport = &mut self.transports[id];
        let Some(incoming) = transport.incoming.as_mut() else { return };
        let was_limited = incoming.limit.is_set();
        incoming.limit.set(bitrate);
        // That a limit is gone is told at once; that there is one with the next packet.
        if was_limited && bitrate == 0 {
            tell_limit(now, transport, out);
        }
    }
}

/// Tells the peer the controller's limit when it is time to.
fn tell_limit(now: Time, transport: &mut Transport, out: &mut Outbox) {
    let Some(incoming) = transport.incoming.as_mut() else { return };
    let Some(bitrate) = incoming.limit.take_due(now) else { return };
    send_remb(now, transport, bitrate, &[], out);
}

fn send_remb(now: Time, transport: &mut Transport, bitrate: u64, ssrcs: &[u32], out: &mut Outbox) {
    let mut buffer = [0; REMB_BYTES_MAX];
    let mut writer = CompoundWriter::new(&mut buffer);
    if writer.remb(SENDER_SSRC, bitrate, ssrcs).is_some() {
        send_rtcp(now, transport, writer.as_bytes(), out);
    }
}
