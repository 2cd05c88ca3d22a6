//! What fields and values of the schemas are called in JSON.

use ringsoup_rtc::rtp::extension::ExtensionUri;

/// A field's name: camelCase, but for two that the SCTP parameters have in capitals (RFC 4960's own names) and those of
/// getrusage(2).
pub(super) fn member_name(field: &str) -> String {
    match field {
        "os" => "OS".to_owned(),
        "mis" => "MIS".to_owned(),
        _ if field.starts_with("ru_") => field.to_owned(),
        _ => {
            let mut words = field.split('_');
            let first = words.next().unwrap_or_default().to_owned();
            words.fold(first, |mut name, word| {
                let mut letters = word.chars();
                name.extend(letters.next().map(|letter| letter.to_ascii_uppercase()));
                name.push_str(letters.as_str());
                name
            })
        }
    }
}

/// Values of enums whose texts are not their names in lower case, by enum: name in the schemas, text in JSON.
const VALUE_TEXTS: &[(&str, &[(&str, &str)])] = &[
    ("FBS.Common.TraceDirection", &[("DIRECTION_IN", "in"), ("DIRECTION_OUT", "out")]),
    ("FBS.Transport.BweType", &[("TRANSPORT_CC", "transport-cc"), ("REMB", "remb")]),
    (
        "FBS.SrtpParameters.SrtpCryptoSuite",
        &[
            ("AEAD_AES_256_GCM", "AEAD_AES_256_GCM"),
            ("AEAD_AES_128_GCM", "AEAD_AES_128_GCM"),
            ("AES_CM_128_HMAC_SHA1_80", "AES_CM_128_HMAC_SHA1_80"),
            ("AES_CM_128_HMAC_SHA1_32", "AES_CM_128_HMAC_SHA1_32"),
        ],
    ),
    (
        "FBS.WebRtcTransport.FingerprintAlgorithm",
        &[
            ("SHA1", "sha-1"),
            ("SHA224", "sha-224"),
            ("SHA256", "sha-256"),
            ("SHA384", "sha-384"),
            ("SHA512", "sha-512"),
        ],
    ),
    (
        "FBS.RtpParameters.RtpHeaderExtensionUri",
        &[
            ("Mid", ExtensionUri::Mid.uri()),
            ("RtpStreamId", ExtensionUri::RtpStreamId.uri()),
            ("RepairRtpStreamId", ExtensionUri::RepairRtpStreamId.uri()),
            ("AbsSendTime", ExtensionUri::AbsSendTime.uri()),
            ("TransportWideCcDraft01", ExtensionUri::TransportWideCc01.uri()),
            ("SsrcAudioLevel", ExtensionUri::SsrcAudioLevel.uri()),
            ("DependencyDescriptor", ExtensionUri::DependencyDescriptor.uri()),
            ("VideoOrientation", ExtensionUri::VideoOrientation.uri()),
            ("TimeOffset", ExtensionUri::TimeOffset.uri()),
            ("AbsCaptureTime", ExtensionUri::AbsCaptureTime.uri()),
            ("PlayoutDelay", ExtensionUri::PlayoutDelay.uri()),
            ("MediasoupPacketId", ExtensionUri::MediasoupPacketId.uri()),
            ("FrameMarkingDraft07", ExtensionUri::FrameMarkingDraft07.uri()),
            ("FrameMarking", ExtensionUri::FrameMarking.uri()),
        ],
    ),
];

/// What a value of an enum is in JSON. Names are the schemas'.
pub(super) fn value_text(of: &str, value: &str) -> String {
    let texts = VALUE_TEXTS.iter().find(|(known, _)| *known == of);
    let text = texts.and_then(|(_, texts)| texts.iter().find(|(name, _)| *name == value));
    text.map_or_else(|| value.to_ascii_lowercase(), |(_, text)| (*text).to_owned())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::wire::schema::Schema;

    #[test]
    fn fields_are_in_camel_case() {
        for (field, name) in [
            ("id", "id"),
            ("rtp_parameters", "rtpParameters"),
            ("key_base64", "keyBase64"),
            ("max_rtp_packet_life_time", "maxRtpPacketLifeTime"),
            ("os", "OS"),
            ("mis", "MIS"),
            ("ru_utime", "ru_utime"),
        ] {
            assert_eq!(member_name(field), name);
        }
    }

    #[test]
    fn values_have_texts_of_their_own() {
        for (of, values) in &Schema::newest().enums {
            let texts: BTreeSet<_> = values.iter().map(|(_, name)| value_text(of, name)).collect();
            assert_eq!(texts.len(), values.len(), "{of}");
        }
        assert_eq!(value_text("FBS.RtpParameters.MediaKind", "AUDIO"), "audio");
    }

    #[test]
    fn tables_of_texts_name_what_the_schemas_have() {
        let schema = Schema::newest();
        for (of, texts) in VALUE_TEXTS {
            let values = &schema.enums[*of];
            assert_eq!(values.len(), texts.len(), "{of}");
            assert!(texts.iter().all(|(name, _)| values.iter().any(|(_, known)| known == name)), "{of}");
        }
    }
}
