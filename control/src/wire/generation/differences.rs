//! The layouts that controllers since 3.13.0 have spoken, as what each has otherwise than the next newer one.
//!
//! To add one: give the schemas in `fbs/schemas` the new layout, and put a step on top that takes the change back for
//! controllers before it. Facts are the published packages' (`worker/fbs`): `published.txt` has what differs, and a test
//! holds the layouts made here to it.

use super::edits::Edit::{
    self, Also, AlsoValue, Moved, ReadAs, ReadFrom, Scalar, Table, Values, Without, WithoutValue, WriteFrom,
};
use super::edits::{OlderField, OlderKind};
use crate::version::Version;
use crate::wire::schema::Scalar::{U32, U64};

/// What controllers before a version have otherwise than those from it on.
pub(super) struct Step {
    pub(super) before: Version,
    pub(super) edits: &'static [Edit],
}

/// Newest first.
pub(super) const STEPS: &[Step] = &[
    Step { before: Version::new(3, 27, 0), edits: BITRATES_OF_32_BITS },
    Step { before: Version::new(3, 23, 0), edits: NO_DEFAULT_THRESHOLD },
    Step { before: Version::new(3, 20, 0), edits: SCTP_BY_USRSCTP },
    Step { before: Version::new(3, 19, 18), edits: CLOSE_IS_A_REQUEST },
    Step { before: Version::new(3, 19, 10), edits: JITTER_OF_RECEIVED_STREAMS },
    Step { before: Version::new(3, 19, 5), edits: NO_PACKET_ID },
    Step { before: Version::new(3, 17, 0), edits: NO_INTERNAL_IP },
    Step { before: Version::new(3, 16, 6), edits: FRAME_MARKING },
    Step { before: Version::new(3, 14, 0), edits: NO_PORT_RANGE },
    Step { before: Version::new(3, 13, 20), edits: NO_CONSENT },
    Step { before: Version::new(3, 13, 14), edits: NO_SOCKET_FLAGS },
    Step { before: Version::new(3, 13, 11), edits: NO_SINGLE_SUBCHANNELS },
];

const fn narrow(table: &'static str, field: &'static str) -> Edit {
    Scalar { table, field, scalar: U32 }
}

const OPTIONS: &str = "FBS.Transport.Options";
const TRANSPORT_STATS: &str = "FBS.Transport.Stats";
const BWE_TRACE: &str = "FBS.Transport.BweTraceInfo";
const TRANSPORT_DUMP: &str = "FBS.Transport.Dump";
const SCTP_PARAMETERS: &str = "FBS.SctpParameters.SctpParameters";
const BASE_STATS: &str = "FBS.RtpStream.BaseStats";
const RECV_STATS: &str = "FBS.RtpStream.RecvStats";
const LISTEN_INFO: &str = "FBS.Transport.ListenInfo";
const PRODUCE: &str = "FBS.Transport.ProduceRequest";
const EXTENSION_URI: &str = "FBS.RtpParameters.RtpHeaderExtensionUri";
const METHOD: &str = "FBS.Request.Method";
const EVENT: &str = "FBS.Notification.Event";

const BITRATES_OF_32_BITS: &[Edit] = &[
    narrow(OPTIONS, "initial_available_outgoing_bitrate"),
    narrow("FBS.Transport.SetMaxIncomingBitrateRequest", "max_incoming_bitrate"),
    narrow("FBS.Transport.SetMaxOutgoingBitrateRequest", "max_outgoing_bitrate"),
    narrow("FBS.Transport.SetMinOutgoingBitrateRequest", "min_outgoing_bitrate"),
    narrow(TRANSPORT_STATS, "recv_bitrate"),
    narrow(TRANSPORT_STATS, "send_bitrate"),
    narrow(TRANSPORT_STATS, "rtp_recv_bitrate"),
    narrow(TRANSPORT_STATS, "rtp_send_bitrate"),
    narrow(TRANSPORT_STATS, "rtx_recv_bitrate"),
    narrow(TRANSPORT_STATS, "rtx_send_bitrate"),
    narrow(TRANSPORT_STATS, "probation_send_bitrate"),
    narrow(TRANSPORT_STATS, "available_outgoing_bitrate"),
    narrow(TRANSPORT_STATS, "available_incoming_bitrate"),
    narrow(TRANSPORT_STATS, "max_incoming_bitrate"),
    narrow(TRANSPORT_STATS, "max_outgoing_bitrate"),
    narrow(TRANSPORT_STATS, "min_outgoing_bitrate"),
    narrow(BWE_TRACE, "desired_bitrate"),
    narrow(BWE_TRACE, "effective_desired_bitrate"),
    narrow(BWE_TRACE, "min_bitrate"),
    narrow(BWE_TRACE, "max_bitrate"),
    narrow(BWE_TRACE, "start_bitrate"),
    narrow(BWE_TRACE, "max_padding_bitrate"),
    narrow(BWE_TRACE, "available_bitrate"),
    narrow(RECV_STATS, "bitrate"),
    narrow("FBS.RtpStream.SendStats", "bitrate"),
    narrow("FBS.RtpStream.BitrateByLayer", "bitrate"),
    narrow("FBS.RtpParameters.RtpEncodingParameters", "max_bitrate"),
    // The producer's own encodings say it too, and that is where it is read.
    Also {
        table: "FBS.RtpParameters.EncodingMapping",
        slot: 2,
        field: OlderField { name: "scalability_mode", kind: OlderKind::Text },
    },
];

const NO_DEFAULT_THRESHOLD: &[Edit] = &[
    Without { table: OPTIONS, field: "sctp_default_stream_buffered_amount_low_threshold" },
    Without { table: "FBS.DataProducer.SendNotification", field: "ignored_subchannel" },
];

/// What mediasoup 3.27's library asks for unless its application does otherwise, bytes.
const PER_STREAM_SEND_QUEUE_LIMIT: i64 = 2_000_000;
const MAX_RECEIVER_WINDOW_BUFFER_SIZE: i64 = 5_242_880;

const SCTP_BY_USRSCTP: &[Edit] = &[
    Without { table: OPTIONS, field: "max_send_message_size" },
    Without { table: OPTIONS, field: "max_receive_message_size" },
    Without { table: OPTIONS, field: "sctp_per_stream_send_queue_limit" },
    Without { table: OPTIONS, field: "sctp_max_receiver_window_buffer_size" },
    Also {
        table: OPTIONS,
        slot: 1,
        field: OlderField { name: "max_message_size", kind: OlderKind::OptionalScalar(U32) },
    },
    Moved { table: OPTIONS, field: "num_sctp_streams", slot: 4 },
    Also {
        table: OPTIONS,
        slot: 5,
        field: OlderField { name: "max_sctp_message_size", kind: OlderKind::Scalar(U32, 0) },
    },
    // A direct transport's stands in the one, an SCTP association's in the other.
    ReadFrom {
        table: OPTIONS,
        field: "max_send_message_size",
        older: &["max_message_size", "max_sctp_message_size"],
    },
    ReadFrom {
        table: OPTIONS,
        field: "max_receive_message_size",
        older: &["max_message_size", "max_sctp_message_size"],
    },
    ReadAs { table: OPTIONS, field: "sctp_per_stream_send_queue_limit", value: PER_STREAM_SEND_QUEUE_LIMIT },
    ReadAs {
        table: OPTIONS,
        field: "sctp_max_receiver_window_buffer_size",
        value: MAX_RECEIVER_WINDOW_BUFFER_SIZE,
    },
    Without { table: SCTP_PARAMETERS, field: "max_send_message_size" },
    Without { table: SCTP_PARAMETERS, field: "max_receive_message_size" },
    Without { table: SCTP_PARAMETERS, field: "per_stream_send_queue_limit" },
    Without { table: SCTP_PARAMETERS, field: "max_receiver_window_buffer_size" },
    Moved { table: SCTP_PARAMETERS, field: "os", slot: 1 },
    Moved { table: SCTP_PARAMETERS, field: "mis", slot: 2 },
    Also {
        table: SCTP_PARAMETERS,
        slot: 3,
        field: OlderField { name: "max_message_size", kind: OlderKind::Scalar(U32, 0) },
    },
    Moved { table: SCTP_PARAMETERS, field: "sctp_buffered_amount", slot: 5 },
    WriteFrom { table: SCTP_PARAMETERS, field: "max_message_size", newer: "max_send_message_size" },
    Without { table: TRANSPORT_DUMP, field: "max_send_message_size" },
    Without { table: TRANSPORT_DUMP, field: "max_receive_message_size" },
    Without { table: TRANSPORT_DUMP, field: "sctp_negotiated_capabilities" },
    Also {
        table: TRANSPORT_DUMP,
        slot: 10,
        field: OlderField { name: "max_message_size", kind: OlderKind::Scalar(U32, 0) },
    },
    WriteFrom { table: TRANSPORT_DUMP, field: "max_message_size", newer: "max_send_message_size" },
    Without { table: "FBS.DataConsumer.DumpResponse", field: "buffered_amount" },
    // Of no use to anybody, but its library reads it.
    Table {
        table: "FBS.WebRtcServer.TupleHash",
        fields: &[
            OlderField { name: "tuple_hash", kind: OlderKind::Scalar(U64, 0) },
            OlderField { name: "web_rtc_transport_id", kind: OlderKind::Text },
        ],
    },
    Also {
        table: "FBS.WebRtcServer.DumpResponse",
        slot: 5,
        field: OlderField {
            name: "tuple_hashes",
            kind: OlderKind::RequiredTables("FBS.WebRtcServer.TupleHash"),
        },
    },
    // Never written: the place is kept from what is ours behind it.
    Table { table: "FBS.LibUring.Dump", fields: &[] },
    Also {
        table: "FBS.Worker.DumpResponse",
        slot: 4,
        field: OlderField { name: "liburing", kind: OlderKind::Table("FBS.LibUring.Dump") },
    },
    WithoutValue { of: EVENT, value: "TRANSPORT_SCTP_NEGOTIATED_CAPABILITIES" },
    WithoutValue {
        of: "FBS.Notification.Body",
        value: "FBS.Transport.SctpNegotiatedCapabilitiesNotification",
    },
    WithoutValue { of: "FBS.Response.Body", value: "FBS.DataConsumer.SendResponse" },
];

const CLOSE_IS_A_REQUEST: &[Edit] = &[
    WithoutValue { of: EVENT, value: "WORKER_CLOSE" },
    AlsoValue { of: METHOD, at: 0, value: super::REQUEST_TO_CLOSE },
];

const JITTER_OF_RECEIVED_STREAMS: &[Edit] = &[
    Without { table: BASE_STATS, field: "jitter" },
    Moved { table: BASE_STATS, field: "score", slot: 13 },
    Scalar { table: BASE_STATS, field: "packets_lost", scalar: U64 },
    Also {
        table: RECV_STATS,
        slot: 1,
        field: OlderField { name: "jitter", kind: OlderKind::Scalar(U32, 0) },
    },
    WriteFrom { table: RECV_STATS, field: "jitter", newer: "base.data.jitter" },
];

const NO_PACKET_ID: &[Edit] = &[
    Without { table: "FBS.RtpParameters.RtpParameters", field: "msid" },
    Values {
        of: EXTENSION_URI,
        values: &[
            "Mid",
            "RtpStreamId",
            "RepairRtpStreamId",
            "SsrcAudioLevel",
            "VideoOrientation",
            "TimeOffset",
            "TransportWideCcDraft01",
            "AbsSendTime",
            "AbsCaptureTime",
            "PlayoutDelay",
            "DependencyDescriptor",
        ],
    },
    Without { table: PRODUCE, field: "enable_mediasoup_packet_id_header_extension" },
    Moved { table: PRODUCE, field: "paused", slot: 5 },
];

const NO_INTERNAL_IP: &[Edit] = &[Without { table: LISTEN_INFO, field: "expose_internal_ip" }];

const FRAME_MARKING: &[Edit] = &[
    AlsoValue { of: EXTENSION_URI, at: 3, value: "FrameMarkingDraft07" },
    AlsoValue { of: EXTENSION_URI, at: 4, value: "FrameMarking" },
];

const NO_PORT_RANGE: &[Edit] = &[Without { table: LISTEN_INFO, field: "port_range" }];

// The place is behind all others and empty; their transports are never given up for want of consent.
const NO_CONSENT: &[Edit] =
    &[ReadAs { table: "FBS.WebRtcTransport.WebRtcTransportOptions", field: "ice_consent_timeout", value: 0 }];

const NO_SOCKET_FLAGS: &[Edit] = &[Without { table: LISTEN_INFO, field: "flags" }];

const NO_SINGLE_SUBCHANNELS: &[Edit] = &[
    WithoutValue { of: METHOD, value: "DATACONSUMER_ADD_SUBCHANNEL" },
    WithoutValue { of: METHOD, value: "DATACONSUMER_REMOVE_SUBCHANNEL" },
    WithoutValue { of: "FBS.Request.Body", value: "FBS.DataConsumer.AddSubchannelRequest" },
    WithoutValue { of: "FBS.Request.Body", value: "FBS.DataConsumer.RemoveSubchannelRequest" },
    WithoutValue { of: "FBS.Response.Body", value: "FBS.DataConsumer.AddSubchannelResponse" },
    WithoutValue { of: "FBS.Response.Body", value: "FBS.DataConsumer.RemoveSubchannelResponse" },
];
