//! How requests in JSON are read where that does not follow from the schemas, as data.
//!
//! A field is the member of its name in camelCase, and what is not of its kind is taken for absent: that is how workers
//! before 3.13.0 read all that they do not need, and applications give `null` there. What they insist on is listed here.
//! Facts are those of the published packages' workers; 3.8.4 and 3.12.16 read alike.

use self::Rule::{
    AnyCase, Checked, Clamped, Empty, Fixed, Inlined, Lax, LeavesOut, Named, Needed, NotZero, Unread,
};

/// What else than its kind there is to a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Rule {
    /// A request without it, or with something else in its place, is wrong.
    Needed,
    /// A request with something else in its place is wrong.
    Checked,
    Named(&'static str),
    /// Its table's members stand among those of the table that has it.
    Inlined,
    /// Any number will do: the nearest that the field can hold is meant.
    Lax,
    /// Of an integer that is too high for the field the highest is meant.
    Clamped,
    /// 0 makes no sense.
    NotZero,
    /// What is not known here makes the entry that has it be left out.
    LeavesOut,
    /// Capitals are as good as small letters.
    AnyCase,
    /// There must be something: an empty one stands for none.
    Empty,
    /// These controllers do not know it.
    Unread,
    /// Whatever is said, if anything is.
    Fixed(i64),
}

const OPTIONS: &str = "FBS.Transport.Options";
const LISTEN_INFO: &str = "FBS.Transport.ListenInfo";
const WEB_RTC: &str = "FBS.WebRtcTransport.WebRtcTransportOptions";
const PLAIN: &str = "FBS.PlainTransport.PlainTransportOptions";
const PIPE: &str = "FBS.PipeTransport.PipeTransportOptions";
const AUDIO_LEVEL: &str = "FBS.AudioLevelObserver.AudioLevelObserverOptions";
const ACTIVE_SPEAKER: &str = "FBS.ActiveSpeakerObserver.ActiveSpeakerObserverOptions";
const PRODUCE: &str = "FBS.Transport.ProduceRequest";
const CONSUME: &str = "FBS.Transport.ConsumeRequest";
const PRODUCE_DATA: &str = "FBS.Transport.ProduceDataRequest";
const CONSUME_DATA: &str = "FBS.Transport.ConsumeDataRequest";
const PARAMETERS: &str = "FBS.RtpParameters.RtpParameters";
const CODEC: &str = "FBS.RtpParameters.RtpCodecParameters";
const EXTENSION: &str = "FBS.RtpParameters.RtpHeaderExtensionParameters";
const LAYERS: &str = "FBS.Consumer.ConsumerLayers";
const SRTP: &str = "FBS.SrtpParameters.SrtpParameters";
const FINGERPRINT: &str = "FBS.WebRtcTransport.Fingerprint";
const DTLS: &str = "FBS.WebRtcTransport.DtlsParameters";

/// What mediasoup 3.27's library asks for unless its application does otherwise, bytes.
const PER_STREAM_SEND_QUEUE_LIMIT: i64 = 2_000_000;
const MAX_RECEIVER_WINDOW_BUFFER_SIZE: i64 = 5_242_880;
/// Transports of these workers are never given up for want of consent, and not every client of their time gives it.
const NO_CONSENT_TIMEOUT: i64 = 0;

/// Table, field, rule; fields that the schemas require are needed.
pub(super) const RULES: &[(&str, &str, Rule)] = &[
    ("FBS.Worker.CreateWebRtcServerRequest", "listen_infos", Needed),
    // Transports. What there is to their sizes and listening, `transports.rs` has put into the schemas' words before.
    ("FBS.Router.CreateWebRtcTransportRequest", "options", Inlined),
    ("FBS.Router.CreatePlainTransportRequest", "options", Inlined),
    ("FBS.Router.CreatePipeTransportRequest", "options", Inlined),
    ("FBS.Router.CreateDirectTransportRequest", "options", Inlined),
    ("FBS.DirectTransport.DirectTransportOptions", "base", Inlined),
    (WEB_RTC, "base", Inlined),
    (WEB_RTC, "enable_udp", Checked),
    (WEB_RTC, "enable_tcp", Checked),
    (WEB_RTC, "prefer_udp", Checked),
    (WEB_RTC, "prefer_tcp", Checked),
    (WEB_RTC, "ice_consent_timeout", Fixed(NO_CONSENT_TIMEOUT)),
    (PLAIN, "base", Inlined),
    (PLAIN, "rtcp_mux", Checked),
    (PLAIN, "comedia", Checked),
    (PLAIN, "srtp_crypto_suite", Checked),
    (PIPE, "base", Inlined),
    (OPTIONS, "initial_available_outgoing_bitrate", Checked),
    (OPTIONS, "num_sctp_streams", Checked),
    (OPTIONS, "max_send_message_size", Checked),
    (OPTIONS, "max_receive_message_size", Checked),
    (OPTIONS, "sctp_send_buffer_size", Checked),
    (OPTIONS, "sctp_per_stream_send_queue_limit", Fixed(PER_STREAM_SEND_QUEUE_LIMIT)),
    (OPTIONS, "sctp_max_receiver_window_buffer_size", Fixed(MAX_RECEIVER_WINDOW_BUFFER_SIZE)),
    (OPTIONS, "sctp_default_stream_buffered_amount_low_threshold", Unread),
    ("FBS.SctpParameters.NumSctpStreams", "os", Needed),
    ("FBS.SctpParameters.NumSctpStreams", "mis", Needed),
    (LISTEN_INFO, "protocol", Needed),
    (LISTEN_INFO, "protocol", AnyCase),
    (LISTEN_INFO, "announced_address", Named("announcedIp")),
    (LISTEN_INFO, "announced_address", Checked),
    (LISTEN_INFO, "port", Checked),
    (LISTEN_INFO, "port_range", Unread),
    (LISTEN_INFO, "flags", Unread),
    (LISTEN_INFO, "expose_internal_ip", Unread),
    (LISTEN_INFO, "send_buffer_size", Unread),
    (LISTEN_INFO, "recv_buffer_size", Unread),
    ("FBS.PlainTransport.ConnectRequest", "srtp_parameters", Checked),
    ("FBS.PipeTransport.ConnectRequest", "srtp_parameters", Checked),
    (SRTP, "crypto_suite", Needed),
    (FINGERPRINT, "algorithm", Needed),
    (DTLS, "role", Checked),
    ("FBS.Transport.SetMaxIncomingBitrateRequest", "max_incoming_bitrate", Named("bitrate")),
    ("FBS.Transport.SetMaxIncomingBitrateRequest", "max_incoming_bitrate", Needed),
    ("FBS.Transport.SetMaxOutgoingBitrateRequest", "max_outgoing_bitrate", Named("bitrate")),
    ("FBS.Transport.SetMaxOutgoingBitrateRequest", "max_outgoing_bitrate", Needed),
    ("FBS.Transport.SetMinOutgoingBitrateRequest", "min_outgoing_bitrate", Named("bitrate")),
    ("FBS.Transport.SetMinOutgoingBitrateRequest", "min_outgoing_bitrate", Needed),
    ("FBS.Transport.EnableTraceEventRequest", "events", Named("types")),
    // Media.
    (PRODUCE, "kind", Needed),
    (PRODUCE, "kind", AnyCase),
    (PRODUCE, "enable_mediasoup_packet_id_header_extension", Unread),
    (CONSUME, "kind", Needed),
    (CONSUME, "kind", AnyCase),
    (CONSUME, "type", Needed),
    (PARAMETERS, "msid", Unread),
    (PARAMETERS, "header_extensions", Empty),
    (PARAMETERS, "rtcp", Empty),
    (CODEC, "payload_type", Needed),
    (CODEC, "clock_rate", Needed),
    (EXTENSION, "uri", Needed),
    (EXTENSION, "uri", LeavesOut),
    (EXTENSION, "uri", AnyCase),
    (EXTENSION, "id", Needed),
    ("FBS.RtpParameters.CodecMapping", "payload_type", Needed),
    ("FBS.RtpParameters.CodecMapping", "mapped_payload_type", Needed),
    ("FBS.RtpParameters.EncodingMapping", "mapped_ssrc", Needed),
    ("FBS.Producer.EnableTraceEventRequest", "events", Named("types")),
    ("FBS.Consumer.EnableTraceEventRequest", "events", Named("types")),
    ("FBS.Consumer.SetPreferredLayersRequest", "preferred_layers", Inlined),
    (LAYERS, "spatial_layer", Needed),
    (LAYERS, "spatial_layer", Clamped),
    (LAYERS, "temporal_layer", Clamped),
    ("FBS.Consumer.SetPriorityRequest", "priority", Needed),
    ("FBS.Consumer.SetPriorityRequest", "priority", Lax),
    (AUDIO_LEVEL, "max_entries", Needed),
    (AUDIO_LEVEL, "max_entries", NotZero),
    (AUDIO_LEVEL, "threshold", Needed),
    (AUDIO_LEVEL, "threshold", Lax),
    (AUDIO_LEVEL, "interval", Needed),
    (AUDIO_LEVEL, "interval", Lax),
    (ACTIVE_SPEAKER, "interval", Needed),
    (ACTIVE_SPEAKER, "interval", Lax),
    ("FBS.Router.CreateActiveSpeakerObserverRequest", "options", Inlined),
    ("FBS.Router.CreateAudioLevelObserverRequest", "options", Inlined),
    // Data.
    (PRODUCE_DATA, "type", Needed),
    (PRODUCE_DATA, "paused", Unread),
    (CONSUME_DATA, "type", Needed),
    (CONSUME_DATA, "paused", Unread),
    (CONSUME_DATA, "subchannels", Unread),
    ("FBS.SctpParameters.SctpStreamParameters", "stream_id", Needed),
    ("FBS.DataConsumer.SetBufferedAmountLowThresholdRequest", "threshold", Needed),
    ("FBS.DataConsumer.SendRequest", "ppid", Needed),
    ("FBS.DataProducer.SendNotification", "ppid", Needed),
    ("FBS.DataProducer.SendNotification", "subchannels", Unread),
    ("FBS.DataProducer.SendNotification", "required_subchannel", Unread),
    ("FBS.DataProducer.SendNotification", "ignored_subchannel", Unread),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::schema::Schema;

    #[test]
    fn rules_are_about_what_the_schemas_have() {
        let schema = Schema::newest();
        for (table, field, _) in RULES {
            assert!(schema.tables[*table].iter().any(|known| known.name == *field), "{table} {field}");
        }
    }
}
