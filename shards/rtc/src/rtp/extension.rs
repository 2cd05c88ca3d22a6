//! The header extensions a router knows, and the values inside them.
//!
//! Values are parsed from and encoded to the bytes of one element, without its id and length. A
//! value of the wrong length is no value: peers have sent every length there is.

/// The header extensions of a router, by the names the controller uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ExtensionUri {
    Mid,
    RtpStreamId,
    RepairRtpStreamId,
    AbsSendTime,
    TransportWideCc01,
    SsrcAudioLevel,
    DependencyDescriptor,
    VideoOrientation,
    TimeOffset,
    AbsCaptureTime,
    PlayoutDelay,
    MediasoupPacketId,
    /// Of controllers before 3.16.6, as its draft and as its RFC to be had it.
    FrameMarkingDraft07,
    FrameMarking,
}

impl ExtensionUri {
    pub const ALL: [Self; 14] = [
        Self::Mid,
        Self::RtpStreamId,
        Self::RepairRtpStreamId,
        Self::AbsSendTime,
        Self::TransportWideCc01,
        Self::SsrcAudioLevel,
        Self::DependencyDescriptor,
        Self::VideoOrientation,
        Self::TimeOffset,
        Self::AbsCaptureTime,
        Self::PlayoutDelay,
        Self::MediasoupPacketId,
        Self::FrameMarkingDraft07,
        Self::FrameMarking,
    ];

    pub const fn uri(self) -> &'static str {
        match self {
            Self::Mid => "urn:ietf:params:rtp-hdrext:sdes:mid",
            Self::RtpStreamId => "urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id",
            Self::RepairRtpStreamId => "urn:ietf:params:rtp-hdrext:sdes:repaired-rtp-stream-id",
            Self::AbsSendTime => "http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time",
            Self::TransportWideCc01 => {
                "http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01"
            }
            Self::SsrcAudioLevel => "urn:ietf:params:rtp-hdrext:ssrc-audio-level",
            Self::DependencyDescriptor => {
                "https://aomediacodec.github.io/av1-rtp-spec/#dependency-descriptor-rtp-header-extension"
            }
            Self::VideoOrientation => "urn:3gpp:video-orientation",
            Self::TimeOffset => "urn:ietf:params:rtp-hdrext:toffset",
            Self::AbsCaptureTime => "http://www.webrtc.org/experiments/rtp-hdrext/abs-capture-time",
            Self::PlayoutDelay => "http://www.webrtc.org/experiments/rtp-hdrext/playout-delay",
            Self::MediasoupPacketId => "urn:mediasoup:params:rtp-hdrext:packet-id",
            Self::FrameMarkingDraft07 => "http://tools.ietf.org/html/draft-ietf-avtext-framemarking-07",
            Self::FrameMarking => "urn:ietf:params:rtp-hdrext:framemarking",
        }
    }

    pub fn from_uri(uri: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|extension| extension.uri() == uri)
    }

    /// The element id inside a router, which controllers from 3.19.6 on prefer and so expect in what
    /// a worker sends.
    pub const fn router_id(self) -> u8 {
        match self {
            Self::Mid => 1,
            Self::RtpStreamId => 2,
            Self::RepairRtpStreamId => 3,
            Self::AbsSendTime => 4,
            Self::TransportWideCc01 => 5,
            Self::SsrcAudioLevel => 6,
            Self::DependencyDescriptor => 7,
            Self::VideoOrientation => 8,
            Self::TimeOffset => 9,
            Self::AbsCaptureTime => 10,
            Self::PlayoutDelay => 11,
            Self::MediasoupPacketId => 12,
            Self::FrameMarkingDraft07 => 13,
            Self::FrameMarking => 14,
        }
    }
}

/// MID, RID or repaired RID (RFC 9143 §15, RFC 8852 §3): text, never empty.
pub fn parse_stream_name(value: &[u8]) -> Option<&str> {
    std::str::from_utf8(value).ok().filter(|name| !name.is_empty())
}

/// Client-to-mixer audio level (RFC 6464 §3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct AudioLevel {
    /// The sender's own guess whether this packet has speech in it.
    pub voice: bool,
    /// Level in -dBov: 0 is the loudest, 127 silence.
    pub level: u8,
}

impl AudioLevel {
    pub const fn parse(value: &[u8]) -> Option<Self> {
        match value {
            [byte] => Some(Self { voice: *byte & 0x80 != 0, level: *byte & 0x7f }),
            _ => None,
        }
    }

    pub const fn encode(self) -> [u8; 1] {
        [(self.level & 0x7f) | ((self.voice as u8) << 7)]
    }

    /// The level as RFC 6464 means it, 0 to -127 dBov.
    pub const fn dbov(self) -> i8 {
        -(self.level & 0x7f).cast_signed()
    }
}

/// Coordination of video orientation (3GPP TS 26.114 §7.4.5).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct VideoOrientation {
    /// Set for a back-facing camera.
    pub camera: bool,
    /// Set when mirrored horizontally.
    pub flip: bool,
    /// Counter-clockwise, in degrees: 0, 90, 180 or 270.
    pub rotation_degrees: u16,
}

impl VideoOrientation {
    pub const fn parse(value: &[u8]) -> Option<Self> {
        match value {
            [byte] => Some(Self {
                camera: *byte & 0b1000 != 0,
                flip: *byte & 0b0100 != 0,
                rotation_degrees: (*byte & 0b0011) as u16 * 90,
            }),
            _ => None,
        }
    }

    #[allow(clippy::cast_possible_truncation, reason = "masked to two bits")]
    pub const fn encode(self) -> [u8; 1] {
        let rotation = ((self.rotation_degrees / 90) & 0b11) as u8;
        [(self.camera as u8) << 3 | (self.flip as u8) << 2 | rotation]
    }
}

/// Bits of absolute send time, 6.18 seconds, wrapping every 64 s.
const ABS_SEND_TIME_MASK: u32 = 0x00ff_ffff;
const ABS_SEND_TIME_PERIOD_MICROS: u64 = 64_000_000;

/// Absolute send time in units of 2^-18 s, 24 bits.
pub const fn parse_abs_send_time(value: &[u8]) -> Option<u32> {
    match value {
        [a, b, c] => Some(u32::from_be_bytes([0, *a, *b, *c])),
        _ => None,
    }
}

pub const fn encode_abs_send_time(abs_send_time: u32) -> [u8; 3] {
    let [_, a, b, c] = abs_send_time.to_be_bytes();
    [a, b, c]
}

/// Absolute send time of an instant, rounded to the nearest unit. Any origin will do: the receiver
/// uses differences only.
#[allow(clippy::cast_possible_truncation, reason = "at most 2^24 and masked")]
pub const fn abs_send_time_from_micros(micros: u64) -> u32 {
    let within_period = micros % ABS_SEND_TIME_PERIOD_MICROS;
    (((within_period << 18) + 500_000) / 1_000_000) as u32 & ABS_SEND_TIME_MASK
}

/// Transport-wide sequence number (draft-holmer-rmcat-transport-wide-cc-extensions-01 §2).
pub const fn parse_transport_wide_cc(value: &[u8]) -> Option<u16> {
    match value {
        [a, b] => Some(u16::from_be_bytes([*a, *b])),
        _ => None,
    }
}

pub const fn encode_transport_wide_cc(sequence_number: u16) -> [u8; 2] {
    sequence_number.to_be_bytes()
}

/// Absolute capture time, 8 bytes without and 16 with the clock offset.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct AbsCaptureTime {
    /// NTP 32.32 seconds of the capturer's clock.
    pub timestamp: u64,
    /// Capturer's clock minus the sender's, signed 32.32 seconds.
    pub clock_offset: Option<i64>,
}

impl AbsCaptureTime {
    pub const ENCODED_LEN: usize = 16;

    pub fn parse(value: &[u8]) -> Option<Self> {
        let (timestamp, rest) = value.split_first_chunk::<8>()?;
        let clock_offset = match rest {
            [] => None,
            _ => Some(i64::from_be_bytes(*rest.as_array::<8>()?)),
        };
        Some(Self { timestamp: u64::from_be_bytes(*timestamp), clock_offset })
    }

    /// The long form; a missing offset is written as none, that is zero.
    pub const fn encode(self) -> [u8; Self::ENCODED_LEN] {
        let clock_offset = match self.clock_offset {
            Some(offset) => offset,
            None => 0,
        };
        let [a, b, c, d, e, f, g, h] = self.timestamp.to_be_bytes();
        let [i, j, k, l, m, n, o, p] = clock_offset.to_be_bytes();
        [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p]
    }
}

/// Transmission time offset in units of the RTP clock, 24 bits signed (RFC 5450 §2).
pub const fn parse_time_offset(value: &[u8]) -> Option<i32> {
    match value {
        [a, b, c] => Some(i32::from_be_bytes([*a, *b, *c, 0]) >> 8),
        _ => None,
    }
}

/// Keeps the low 24 bits.
pub const fn encode_time_offset(offset: i32) -> [u8; 3] {
    let [_, a, b, c] = offset.to_be_bytes();
    [a, b, c]
}

/// Bounds the sender asks the receiver's jitter buffer to keep.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct PlayoutDelay {
    /// In units of 10 ms, 12 bits.
    pub min: u16,
    /// In units of 10 ms, 12 bits.
    pub max: u16,
}

impl PlayoutDelay {
    pub const fn parse(value: &[u8]) -> Option<Self> {
        match value {
            [a, b, c] => Some(Self {
                min: (*a as u16) << 4 | (*b >> 4) as u16,
                max: ((*b & 0x0f) as u16) << 8 | *c as u16,
            }),
            _ => None,
        }
    }

    /// Keeps the low 12 bits of both.
    pub const fn encode(self) -> [u8; 3] {
        let [_, a, b, c] = ((self.min as u32 & 0xfff) << 12 | (self.max as u32 & 0xfff)).to_be_bytes();
        [a, b, c]
    }
}

/// mediasoup's packet id, kept across the workers of one stream.
pub const fn parse_packet_id(value: &[u8]) -> Option<u32> {
    match value {
        [a, b, c, d] => Some(u32::from_be_bytes([*a, *b, *c, *d])),
        _ => None,
    }
}

pub const fn encode_packet_id(packet_id: u32) -> [u8; 4] {
    packet_id.to_be_bytes()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn router_ids_go_up_in_order_and_fit_the_one_byte_form() {
        for (index, extension) in ExtensionUri::ALL.into_iter().enumerate() {
            assert_eq!(usize::from(extension.router_id()), index + 1);
            assert!(extension.router_id() <= 14);
            assert_eq!(ExtensionUri::from_uri(extension.uri()), Some(extension));
        }
        assert_eq!(ExtensionUri::from_uri("urn:none"), None);
    }

    #[test]
    fn names_are_text() {
        assert_eq!(parse_stream_name(b"hi"), Some("hi"));
        assert_eq!(parse_stream_name(b""), None);
        assert_eq!(parse_stream_name(&[0xff]), None);
    }

    #[test]
    fn audio_level_bits() {
        let level = AudioLevel::parse(&[0x80 | 30]).unwrap();
        assert_eq!(level, AudioLevel { voice: true, level: 30 });
        assert_eq!(level.dbov(), -30);
        assert_eq!(level.encode(), [0x9e]);
        assert_eq!(AudioLevel::parse(&[]), None);
        assert_eq!(AudioLevel::parse(&[1, 0]), None);
    }

    #[test]
    fn video_orientation_bits() {
        let orientation = VideoOrientation::parse(&[0b1111]).unwrap();
        assert_eq!(orientation, VideoOrientation { camera: true, flip: true, rotation_degrees: 270 });
        assert_eq!(orientation.encode(), [0b1111]);
    }

    #[test]
    fn abs_send_time_rounds_and_wraps() {
        assert_eq!(abs_send_time_from_micros(0), 0);
        assert_eq!(abs_send_time_from_micros(1_000_000), 1 << 18);
        assert_eq!(abs_send_time_from_micros(2), 1);
        assert_eq!(abs_send_time_from_micros(63_999_999), 0);
        assert_eq!(abs_send_time_from_micros(u64::MAX) & !ABS_SEND_TIME_MASK, 0);
        assert_eq!(parse_abs_send_time(&encode_abs_send_time(0x0012_3456)), Some(0x0012_3456));
        assert_eq!(parse_abs_send_time(&[1, 2]), None);
    }

    #[test]
    fn abs_capture_time_has_two_lengths() {
        let short = AbsCaptureTime::parse(&[0, 0, 0, 1, 0, 0, 0, 2]).unwrap();
        assert_eq!(short, AbsCaptureTime { timestamp: 0x1_0000_0002, clock_offset: None });
        let long = AbsCaptureTime { timestamp: 5, clock_offset: Some(-1) };
        assert_eq!(AbsCaptureTime::parse(&long.encode()), Some(long));
        assert_eq!(AbsCaptureTime::parse(&[0; 12]), None);
        assert_eq!(AbsCaptureTime::parse(&[0; 17]), None);
        assert_eq!(AbsCaptureTime::parse(&[0; 7]), None);
    }

    #[test]
    fn time_offset_is_signed() {
        assert_eq!(parse_time_offset(&[0xff, 0xff, 0xff]), Some(-1));
        assert_eq!(encode_time_offset(-2), [0xff, 0xff, 0xfe]);
        assert_eq!(parse_time_offset(&[0x7f, 0xff, 0xff]), Some(0x007f_ffff));
    }

    proptest! {
        #[test]
        fn values_round_trip(min in 0u16..4096, max in 0u16..4096, cc: u16, id: u32, offset in -0x80_0000..0x7f_ffff) {
            let delay = PlayoutDelay { min, max };
            prop_assert_eq!(PlayoutDelay::parse(&delay.encode()), Some(delay));
            prop_assert_eq!(parse_transport_wide_cc(&encode_transport_wide_cc(cc)), Some(cc));
            prop_assert_eq!(parse_packet_id(&encode_packet_id(id)), Some(id));
            prop_assert_eq!(parse_time_offset(&encode_time_offset(offset)), Some(offset));
        }
    }
}
