//! Packets of a key frame that overtook its first one.
//!
//! ```text
//! arrives    12  13  11K  14          (a consumer waits for the key frame that begins with 11)
//! is sent    11K 12  13   14
//! ```
//! A consumer that waits for a key frame takes nothing before its first packet. What belongs behind it and came before it is in the
//! producer's history, as everything is that somebody may want again, and is offered once more when the consumer has begun.
//!
//! Where dependency descriptors tell the layers, that first packet tells what the others are. Until it comes they are early, for
//! consumers in layers that have begun, too.

use ringsoup_rtc::codec::Kept;
use ringsoup_rtc::rtp::ExtensionBlock;
use ringsoup_rtc::time::Time;

use crate::consumer::egress::Egress;
use crate::forward::{Audience, Offered, Passing, offer_to};
use crate::outbox::{DATAGRAMS_FLUSH, Outbox};
use crate::producer::Producer;
use crate::rtp_parameters::ExtensionUri;
use crate::sfu::Sfu;
use crate::table::Id;

/// How far behind the newest packet a key frame's first one may be for all that follow it to be sent at once: those of a round trip
/// at some Mbit/s, when it had to be asked for. Of more, the receiver misses the rest and asks for it.
pub(crate) const OVERTAKEN_MAX: u64 = 128;

/// The same for each of several receivers: together they are sent no more than is flushed at once. A large audience that waits for
/// one key frame would fill the arena otherwise, and nobody would get anything.
fn overtaken_max(receivers: usize) -> u64 {
    ((DATAGRAMS_FLUSH / receivers.max(1)) as u64).min(OVERTAKEN_MAX)
}

impl Sfu {
    /// Sends to the egresses in `begun`, which began with packet `first` of a stream, what came before it and belongs behind it; of that
    /// what was early to all that withheld it. Returns how many packets went out.
    #[cold]
    pub(crate) fn send_overtaken(
        &mut self,
        now: Time,
        producer: Id<Producer>,
        stream: usize,
        first: u64,
        out: &mut Outbox,
    ) -> u32 {
        let Self { producers, consumers, transports, layer_news, begun, .. } = self;
        let mut audience = Audience { consumers, transports, layer_news };
        let Producer { streams, egresses, .. } = &mut producers[producer];
        let mut count = 0;
        if let Some(stream) = streams[stream].as_mut()
            && let Some(mut history) = stream.history.take()
        {
            let withhold_early = egresses.iter().filter(|egress| egress.withholds_early()).count();
            // What was early goes to all that withheld it, the rest to who begins.
            let last_early = first + overtaken_max(begun.len() + withhold_early);
            let last = first + overtaken_max(begun.len());
            let newest = history.newer_than(first).unwrap_or(first).min(first + OVERTAKEN_MAX);
            // What nobody could read passed whole to who had begun, and may be sent to them again as it was then.
            let has_begun = |(place, egress): (usize, &Egress)| {
                egress.has_begun(stream.mapped_ssrc) && begun.binary_search(&place).is_err()
            };
            let others_go_on = egresses.iter().enumerate().any(has_begun);
            for seq in first + 1..=newest {
                let Some(packet) = history.get(now, seq) else { continue };
                let is_early = packet.kept == Kept::Early;
                let is_sent = seq <= if is_early { last_early } else { last };
                if packet.is_gap() {
                    for &place in &*begun {
                        egresses[place].skip(stream.mapped_ssrc, seq);
                    }
                    continue;
                }
                let block = ExtensionBlock::from_wire_form(packet.extension, packet.two_byte);
                let id = ExtensionUri::DependencyDescriptor.router_id();
                let dependency = block.elements().find(|(element, _)| *element == id).map(|(_, value)| value);
                let Some(arrived) = stream.read_again(now, seq, &packet, dependency) else { continue };
                let is_news = packet.kept.frame().is_none() && arrived.descriptor.kept().frame().is_some();
                if is_news && !is_early && others_go_on {
                    continue;
                }
                let payload_type = packet.payload_type;
                let offer = stream.offer(now, &arrived, payload_type);
                let (csrcs, block) = (&[][..], &block);
                let mut passing = Passing {
                    now,
                    payload_type,
                    csrcs,
                    block,
                    arrived: &arrived,
                    shared: None,
                    sent_at: None,
                };
                let mut send = |egress: &mut Egress| {
                    let offered = offer_to(egress, &offer, &mut passing, &mut audience, out);
                    count += u32::from(matches!(offered, Offered::Sent { .. }));
                };
                if is_early && is_news && is_sent {
                    for (place, egress) in egresses.iter_mut().enumerate() {
                        if egress.withholds_early() || begun.binary_search(&place).is_ok() {
                            send(egress);
                        }
                    }
                } else if is_sent {
                    begun.iter().for_each(|place| send(&mut egresses[*place]));
                }
                // What is not sent at once is asked for, by what it is now known to be.
                if is_news {
                    let kept = arrived.descriptor.kept();
                    history.keep_as(seq, kept);
                }
            }
            stream.history = Some(history);
        }
        begun.clear();
        count
    }
}
