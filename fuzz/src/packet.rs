//! Packets of peers: well-formed RTP and RTCP, and the same with some bytes changed.

use arbitrary::Arbitrary;
use ringsoup_rtc::ntp::NtpTime;
use ringsoup_rtc::rtcp::{CompoundWriter, Dlrr, NackItem, ReportBlock, SenderInfo};
use ringsoup_rtc::rtp::RtpWriter;

use crate::parameters::{
    MEDIA_PAYLOAD_TYPE, RTX_PAYLOAD_TYPE, consumed_ssrc, published_rtx_ssrc, published_ssrc,
};

#[derive(Debug, Clone, Arbitrary)]
pub struct Packet {
    pub content: Content,
    pub damage: Option<Damage>,
}

#[derive(Debug, Clone, Arbitrary)]
pub enum Content {
    Rtp(Rtp),
    Rtcp { parts: Vec<Rtcp> },
    Raw { bytes: Vec<u8> },
}

#[derive(Debug, Clone, Copy, Arbitrary)]
pub enum Damage {
    Flip { at: u8, bits: u8 },
    Truncate { len: u8 },
}

#[derive(Debug, Clone, Copy, Arbitrary)]
pub enum Step {
    Next,
    Repeat,
    Skip(u8),
    Back(u8),
    Jump(u16),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Arbitrary)]
pub enum Payload {
    Empty,
    KeyFrame,
    Vp8KeyFrame,
    Vp9KeyFrame,
    /// Of any layer, with numbers.
    Vp8 {
        picture: u8,
        temporal: u8,
        is_sync: bool,
        is_key: bool,
    },
    Vp9 {
        picture: u8,
        spatial: u8,
        temporal: u8,
        is_inter: bool,
        is_up_point: bool,
    },
    Delta,
    Silence,
    Long,
}

#[derive(Debug, Clone, Arbitrary)]
pub struct Rtp {
    pub stream: u8,
    pub step: Step,
    pub payload: Payload,
    pub marker: bool,
    /// An original sequence number this far behind the stream's newest, on the RTX stream.
    pub rtx_of: Option<u8>,
    pub foreign_payload_type: Option<u8>,
    pub csrcs: u8,
    pub padding: u8,
    pub mid: bool,
    pub rid: bool,
    /// Ids and lengths; ids above 14 make the block two-byte.
    pub extensions: Vec<(u8, u8)>,
}

/// Media and RTX sequence numbers of a peer's stream.
#[derive(Debug, Clone, Copy, Default)]
pub struct Numbers {
    pub media: u16,
    pub rtx: u16,
}

impl Payload {
    fn layered(self) -> [u8; 8] {
        match self {
            Self::Vp8 { picture, temporal, is_sync, is_key } => {
                let layers = temporal << 6 | u8::from(is_sync) << 5;
                // One in sixteen has a picture id of 7 bits.
                let wide = if picture.is_multiple_of(16) { 0 } else { 0x80 };
                [0x90, 0xe0, wide, picture & 0x7f, picture / 4, layers, u8::from(!is_key), 0]
            }
            Self::Vp9 { picture, spatial, temporal, is_inter, is_up_point } => {
                let first = 0xac | u8::from(is_inter) << 6;
                let layers = temporal << 5 | u8::from(is_up_point) << 4 | (spatial & 7) << 1;
                [first, 0x80, picture, layers, picture / 4, 0, 0, 0]
            }
            _ => [0; 8],
        }
    }
}

impl Rtp {
    pub fn build(&self, numbers: &mut Numbers) -> Vec<u8> {
        let number = if self.rtx_of.is_some() { &mut numbers.rtx } else { &mut numbers.media };
        let sequence_number = match self.step {
            Step::Next => number.wrapping_add(1),
            Step::Repeat => *number,
            Step::Skip(count) => number.wrapping_add(u16::from(count)),
            Step::Back(count) => number.wrapping_sub(u16::from(count)),
            Step::Jump(to) => to,
        };
        if !matches!(self.step, Step::Back(_)) {
            *number = sequence_number;
        }
        let layered = self.payload.layered();
        let media: &[u8] = match self.payload {
            Payload::Vp8 { .. } | Payload::Vp9 { .. } => &layered,
            Payload::Empty => &[],
            // A stream of one codec reads the others' as noise.
            Payload::KeyFrame => &[0x67, 0x42, 0xe0, 0x1f],
            Payload::Vp8KeyFrame => &[0x10, 0x10, 0x02, 0x00, 0x9d, 0x01, 0x2a],
            Payload::Vp9KeyFrame => &[0x08, 0x82, 0x49, 0x83],
            Payload::Delta => &[0x41, 0x9a, 0x01, 0x00, 0x11, 0x22],
            Payload::Silence => &[0xf8, 0xff, 0xfe],
            Payload::Long => &[0x41; 1200],
        };
        let original = self.rtx_of.map(|behind| numbers.media.wrapping_sub(u16::from(behind)).to_be_bytes());
        let payload = [original.as_ref().map_or(&[][..], |number| &number[..]), media].concat();
        let (ssrc, payload_type) = match self.rtx_of {
            Some(_) => (published_rtx_ssrc(self.stream), RTX_PAYLOAD_TYPE),
            None => (published_ssrc(self.stream), MEDIA_PAYLOAD_TYPE),
        };
        let payload_type = self.foreign_payload_type.map_or(payload_type, |foreign| foreign & 0x7f);
        let csrcs = vec![7; usize::from(self.csrcs % 16) * 4];
        let timestamp = u32::from(sequence_number) * 3000;
        let mut writer = RtpWriter::new(payload_type, sequence_number, timestamp, ssrc)
            .marker(self.marker)
            .csrcs(&csrcs)
            .padding(self.padding)
            .payload(&payload);
        if self.mid {
            writer = writer.extension(1, b"0");
        }
        if self.rid {
            writer = writer.extension(if self.rtx_of.is_some() { 3 } else { 2 }, b"r0");
        }
        for &(id, len) in self.extensions.iter().take(40) {
            writer = writer.extension(id, &vec![id; usize::from(len)]);
        }
        writer.to_vec().expect("the CSRC list is one")
    }
}

/// Whose stream a report is about.
#[derive(Debug, Clone, Copy, Arbitrary)]
pub enum About {
    Published(u8),
    PublishedRtx(u8),
    Consumed(u8),
    ConsumedRtx(u8),
    Unknown(u32),
}

impl About {
    fn ssrc(self) -> u32 {
        match self {
            Self::Published(stream) => published_ssrc(stream),
            Self::PublishedRtx(stream) => published_rtx_ssrc(stream),
            Self::Consumed(stream) => consumed_ssrc(stream),
            Self::ConsumedRtx(stream) => consumed_ssrc(stream) + 1,
            Self::Unknown(ssrc) => ssrc,
        }
    }
}

#[derive(Debug, Clone, Arbitrary)]
pub enum Rtcp {
    SenderReport {
        about: About,
        ntp: u64,
        rtp: u32,
    },
    ReceiverReport {
        about: Vec<(About, u8, u32, u32)>,
    },
    Sdes {
        about: About,
    },
    Bye {
        about: About,
    },
    /// `behind` the newest number of the consumer's stream that was sent.
    Nack {
        about: About,
        behind: u8,
        bitmask: u16,
    },
    NackRaw {
        about: About,
        seq: u16,
        bitmask: u16,
    },
    Pli {
        about: About,
    },
    Fir {
        about: About,
        sequence_number: u8,
    },
    Remb {
        bitrate: u64,
        about: About,
    },
    /// Of packets that were sent, as a rule: transports number from 1 on.
    TransportCc {
        base: u8,
        count: u8,
        chunk: u16,
        deltas: [u8; 6],
    },
    Dlrr {
        about: About,
        last: u32,
        delay: u32,
    },
    ReferenceTime {
        ntp: u64,
    },
}

impl Rtcp {
    /// `newest` tells the newest number sent on an SSRC.
    fn write(&self, writer: &mut CompoundWriter<'_>, newest: &dyn Fn(u32) -> u16) -> Option<usize> {
        match *self {
            Self::SenderReport { about, ntp, rtp } => {
                let info = SenderInfo {
                    ssrc: about.ssrc(),
                    ntp: NtpTime::from_u64(ntp),
                    rtp_timestamp: rtp,
                    ..SenderInfo::default()
                };
                writer.sender_report(&info, &[])
            }
            Self::ReceiverReport { ref about } => {
                let block = |&(about, lost, highest, last): &(About, u8, u32, u32)| ReportBlock {
                    ssrc: about.ssrc(),
                    fraction_lost: lost,
                    highest_sequence_number: highest,
                    last_sender_report: last,
                    ..ReportBlock::default()
                };
                let blocks: Vec<_> = about.iter().take(31).map(block).collect();
                writer.receiver_report(1, &blocks)
            }
            Self::Sdes { about } => writer.sdes_cname(about.ssrc(), "cname"),
            Self::Bye { about } => writer.bye(&[about.ssrc()], None),
            Self::Nack { about, behind, bitmask } => {
                let first = newest(about.ssrc()).wrapping_sub(u16::from(behind));
                writer.nack(1, about.ssrc(), sequence_numbers(first, bitmask))
            }
            Self::NackRaw { about, seq, bitmask } => {
                writer.nack(1, about.ssrc(), sequence_numbers(seq, bitmask))
            }
            Self::Pli { about } => writer.pli(1, about.ssrc()),
            Self::Fir { about, sequence_number } => writer.fir(1, about.ssrc(), sequence_number),
            Self::Remb { bitrate, about } => writer.remb(1, bitrate, &[about.ssrc()]),
            Self::TransportCc { base, count, chunk, deltas } => {
                let mut fci = vec![0, base, 0, count, 0, 0, 1, 0];
                fci.extend(chunk.to_be_bytes());
                fci.extend(deltas);
                writer.transport_cc(1, 1, &fci)
            }
            Self::Dlrr { about, last, delay } => {
                let delay = Dlrr {
                    ssrc: about.ssrc(),
                    last_receiver_report: last,
                    delay_since_last_receiver_report: delay,
                };
                writer.xr_dlrr(1, &[delay])
            }
            Self::ReferenceTime { ntp } => writer.xr_rrt(1, NtpTime::from_u64(ntp)),
        }
    }
}

fn sequence_numbers(first: u16, bitmask: u16) -> impl Iterator<Item = u16> {
    NackItem { packet_id: first, bitmask }.sequence_numbers()
}

/// A compound of as many parts as fit.
pub fn compound(parts: &[Rtcp], newest: &dyn Fn(u32) -> u16) -> Vec<u8> {
    let mut buffer = [0; 1400];
    let mut writer = CompoundWriter::new(&mut buffer);
    for part in parts {
        if part.write(&mut writer, newest).is_none() {
            break;
        }
    }
    writer.as_bytes().to_vec()
}

pub fn damage(bytes: &mut Vec<u8>, damage: Damage) {
    match damage {
        Damage::Flip { at, bits } => {
            let len = bytes.len().max(1);
            if let Some(byte) = bytes.get_mut(usize::from(at) % len) {
                *byte ^= bits;
            }
        }
        Damage::Truncate { len } => bytes.truncate(usize::from(len)),
    }
}
