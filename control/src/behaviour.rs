//! What a controller expects by its version beside the layout of messages: one table of plain values, made once.
//!
//! To add what a new version does otherwise: give `Behaviour::NEWEST` the new value, and put a step on top of `STEPS`
//! that takes it back for controllers before it. Facts are the published packages' (`worker/src`).

use ringsoup_rtc::codec::Codec;
use ringsoup_rtc::srtp::CryptoSuite;
use ringsoup_sfu::rules::{ConsumerType, Rules, TemporalRule};

use crate::error_words::{ErrorWords, UnknownHandler};
use crate::method::Method;
use crate::version::Version;

/// Longest message without its prefix, bytes, in both directions: libraries have no room for more.
const PAYLOAD_BYTES_MAX: usize = 8_388_604;
const PAYLOAD_BYTES_MAX_BEFORE_3_21: usize = 4_194_304;

#[derive(Debug, Clone)]
pub struct Behaviour {
    /// Longest message without its prefix, bytes, in both directions.
    pub payload_bytes_max: usize,
    pub errors: ErrorWords,
    /// What shards are told.
    pub rules: Rules,
}

/// What controllers before a version expect otherwise than those from it on.
struct Step {
    before: Version,
    take_back: fn(&mut Behaviour),
}

/// Newest first.
const STEPS: &[Step] = &[
    Step {
        before: Version::new(3, 26, 0),
        take_back: |behaviour| behaviour.rules.temporal = TemporalRule::AllBelow,
    },
    Step {
        before: Version::new(3, 21, 1),
        take_back: |behaviour| {
            behaviour.rules.svc_codecs = &[Codec::Vp9, Codec::Av1];
            behaviour.rules.consumer_type = ConsumerType::AsRequested;
        },
    },
    Step {
        before: Version::new(3, 21, 0),
        take_back: |behaviour| {
            behaviour.payload_bytes_max = PAYLOAD_BYTES_MAX_BEFORE_3_21;
            behaviour.errors.not_found_is_a_class = false;
            behaviour.errors.method_behind_all = true;
        },
    },
    Step {
        before: Version::new(3, 16, 6),
        take_back: |behaviour| {
            behaviour.rules.unknown_codecs = &[];
            behaviour.rules.svc_codecs = &[Codec::Vp9, Codec::H264Svc, Codec::Av1];
        },
    },
    Step {
        before: Version::new(3, 16, 0),
        take_back: |behaviour| {
            behaviour.rules.unknown_codecs = &[Codec::Av1];
            behaviour.rules.svc_codecs = &[Codec::Vp9, Codec::H264Svc];
        },
    },
    Step {
        before: Version::new(3, 13, 0),
        take_back: |behaviour| behaviour.errors.method_name = Method::name_before_3_13_0,
    },
    Step {
        before: Version::new(3, 11, 9),
        take_back: |behaviour| behaviour.rules.has_simulcast_of_one = false,
    },
    Step {
        before: Version::new(3, 10, 6),
        take_back: |behaviour| {
            behaviour.errors.method_name = Method::name_before_3_10_6;
            behaviour.errors.unknown_handler = UnknownHandler::ByKind;
            behaviour.errors.names_have_routers = true;
        },
    },
    Step {
        before: Version::new(3, 10, 0),
        take_back: |behaviour| behaviour.rules.pipe_crypto_suite = CryptoSuite::AesCm128HmacSha1_80,
    },
    Step {
        before: Version::new(3, 9, 14),
        take_back: |behaviour| {
            behaviour.rules.unknown_codecs = &[Codec::Av1, Codec::H264Svc];
            behaviour.rules.svc_codecs = &[Codec::Vp9];
        },
    },
];

impl Behaviour {
    const NEWEST: Self =
        Self { payload_bytes_max: PAYLOAD_BYTES_MAX, errors: ErrorWords::NEWEST, rules: Rules::NEWEST };

    /// Versions newer than the newest known behave like that.
    pub fn of(version: Version) -> Self {
        let mut behaviour = Self::NEWEST;
        for step in STEPS.iter().filter(|step| version < step.before) {
            (step.take_back)(&mut behaviour);
        }
        behaviour
    }
}

impl Default for Behaviour {
    /// The newest.
    fn default() -> Self {
        Self::NEWEST
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(version: &str) -> Behaviour {
        Behaviour::of(Version::parse(version).unwrap())
    }

    #[test]
    fn steps_stand_newest_first() {
        assert!(STEPS.windows(2).all(|pair| pair[0].before > pair[1].before));
    }

    #[test]
    fn messages_have_the_published_limits() {
        for (version, bytes) in [
            ("3.8.4", 4_194_304),
            ("3.12.16", 4_194_304),
            ("3.19.22", 4_194_304),
            ("3.21.0", 8_388_604),
            ("3.27.1", 8_388_604),
            ("4.0.0", 8_388_604),
        ] {
            assert_eq!(of(version).payload_bytes_max, bytes, "{version}");
        }
    }

    /// As `supportedRtpCapabilities` and the worker's own checks of each package have it.
    #[test]
    fn codecs_are_known_and_carry_layers_as_published() {
        use Codec::{Av1, H264, H264Svc, H265, Vp8, Vp9};
        for (version, unknown, svc) in [
            ("3.8.4", &[Av1, H264Svc][..], &[Vp9][..]),
            ("3.9.17", &[Av1], &[Vp9, H264Svc]),
            ("3.12.16", &[Av1], &[Vp9, H264Svc]),
            ("3.14.16", &[Av1], &[Vp9, H264Svc]),
            ("3.16.0", &[], &[Vp9, H264Svc, Av1]),
            ("3.16.7", &[H265, H264Svc], &[Vp9, Av1]),
            ("3.21.0", &[H265, H264Svc], &[Vp9, Av1]),
            ("3.21.2", &[H265, H264Svc], &[Vp8, Vp9, H264, Av1]),
            ("3.27.1", &[H265, H264Svc], &[Vp8, Vp9, H264, Av1]),
        ] {
            let rules = of(version).rules;
            assert_eq!((rules.unknown_codecs, rules.svc_codecs), (unknown, svc), "{version}");
        }
    }

    #[test]
    fn pipes_have_the_suite_of_the_version() {
        use CryptoSuite::{AeadAes256Gcm, AesCm128HmacSha1_80};
        for (version, suite) in [
            ("3.8.4", AesCm128HmacSha1_80),
            ("3.9.17", AesCm128HmacSha1_80),
            ("3.10.0", AeadAes256Gcm),
            ("3.27.1", AeadAes256Gcm),
        ] {
            assert_eq!(of(version).rules.pipe_crypto_suite, suite, "{version}");
        }
    }

    #[test]
    fn types_and_layers_follow_the_version() {
        for (version, has_simulcast_of_one, consumer_type, temporal) in [
            ("3.8.4", false, ConsumerType::AsRequested, TemporalRule::AllBelow),
            ("3.11.26", true, ConsumerType::AsRequested, TemporalRule::AllBelow),
            ("3.21.0", true, ConsumerType::AsRequested, TemporalRule::AllBelow),
            ("3.21.2", true, ConsumerType::Derived, TemporalRule::AllBelow),
            ("3.25.0", true, ConsumerType::Derived, TemporalRule::AllBelow),
            ("3.26.0", true, ConsumerType::Derived, TemporalRule::UpToPreferred),
        ] {
            let rules = of(version).rules;
            let found = (rules.has_simulcast_of_one, rules.consumer_type, rules.temporal);
            assert_eq!(found, (has_simulcast_of_one, consumer_type, temporal), "{version}");
        }
    }
}
