//! What JSON has otherwise than the schemas, as data; what takes a decision is in [`adjust`](super::adjust).
//!
//! Facts are those of the published packages' workers, 3.8.4 to 3.12.16: among these only what [`Shape::Since`] marks
//! differs. What no controller before 3.13.0 knows is not told.

use self::Shape::{Base64, Inlined, Named, NonZero, NotNegative, Null, Since, Truth, Untold};
use crate::version::Version;

/// How a field is told that is not simply there, under its name in camelCase.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shape {
    Untold,
    /// To controllers from this version on.
    Since(Version),
    Named(&'static str),
    /// The members of its table stand among those of the table that has it.
    Inlined,
    /// Null when there is none.
    Null,
    /// Left out when it is 0 or false.
    NonZero,
    /// 0 when it is less.
    NotNegative,
    /// A number that stands for a boolean.
    Truth,
    /// Bytes.
    Base64,
}

const WEB_RTC_SERVERS: Version = Version::new(3, 10, 0);
const HANDLERS_BY_ID: Version = Version::new(3, 10, 6);

const ENCODING: &str = "FBS.RtpParameters.RtpEncodingParameters";
const SCTP_PARAMETERS: &str = "FBS.SctpParameters.SctpParameters";
const HANDLERS: &str = "FBS.Worker.ChannelMessageHandlers";

/// Table, field, shape.
pub(super) const FIELDS: &[(&str, &str, Shape)] = &[
    ("FBS.Response.Response", "accepted", NonZero),
    ("FBS.Response.Response", "body", Untold),
    ("FBS.Notification.Notification", "handler_id", Named("targetId")),
    ("FBS.Notification.Notification", "event", Untold),
    ("FBS.Notification.Notification", "body", Untold),
    ("FBS.Worker.DumpResponse", "web_rtc_server_ids", Since(WEB_RTC_SERVERS)),
    ("FBS.Worker.DumpResponse", "channel_message_handlers", Since(HANDLERS_BY_ID)),
    (HANDLERS, "channel_notification_handlers", Named("payloadChannelNotificationHandlers")),
    ("FBS.Ringsoup.LatencyHistogram", "encoded", Base64),
    // Transports.
    ("FBS.Transport.Tuple", "local_address", Named("localIp")),
    ("FBS.Transport.Dump", "max_send_message_size", Named("maxMessageSize")),
    ("FBS.Transport.Dump", "max_receive_message_size", Untold),
    ("FBS.Transport.Dump", "sctp_negotiated_capabilities", Untold),
    ("FBS.Transport.Stats", "max_outgoing_bitrate", Untold),
    ("FBS.Transport.Stats", "min_outgoing_bitrate", Untold),
    ("FBS.Transport.BweTraceInfo", "bwe_type", Named("type")),
    (SCTP_PARAMETERS, "max_send_message_size", Named("maxMessageSize")),
    (SCTP_PARAMETERS, "max_receive_message_size", Untold),
    (SCTP_PARAMETERS, "per_stream_send_queue_limit", Untold),
    (SCTP_PARAMETERS, "max_receiver_window_buffer_size", Untold),
    ("FBS.WebRtcTransport.DumpResponse", "base", Inlined),
    ("FBS.WebRtcTransport.GetStatsResponse", "base", Inlined),
    ("FBS.WebRtcTransport.IceCandidate", "address", Named("ip")),
    ("FBS.WebRtcTransport.IceSelectedTupleChangeNotification", "tuple", Named("iceSelectedTuple")),
    ("FBS.WebRtcTransport.DtlsStateChangeNotification", "remote_cert", Named("dtlsRemoteCert")),
    ("FBS.PlainTransport.DumpResponse", "base", Inlined),
    ("FBS.PlainTransport.GetStatsResponse", "base", Inlined),
    ("FBS.PlainTransport.RtcpTupleNotification", "tuple", Named("rtcpTuple")),
    ("FBS.PipeTransport.DumpResponse", "base", Inlined),
    ("FBS.PipeTransport.GetStatsResponse", "base", Inlined),
    ("FBS.DirectTransport.DumpResponse", "base", Inlined),
    ("FBS.DirectTransport.GetStatsResponse", "base", Inlined),
    // Media.
    ("FBS.RtpParameters.Boolean", "value", Truth),
    (ENCODING, "dtx", NonZero),
    ("FBS.RtpParameters.RtpParameters", "msid", Untold),
    ("FBS.RtpParameters.EncodingMapping", "rid", Null),
    ("FBS.RtpParameters.EncodingMapping", "ssrc", Null),
    ("FBS.RtpStream.Stats", "data", Inlined),
    ("FBS.RtpStream.RecvStats", "base", Inlined),
    ("FBS.RtpStream.SendStats", "base", Inlined),
    ("FBS.RtpStream.BaseStats", "packets_lost", NotNegative),
    ("FBS.RtpStream.BaseStats", "round_trip_time", NonZero),
    ("FBS.Consumer.ConsumerDump", "base", Inlined),
    ("FBS.Consumer.KeyFrameTraceInfo", "rtp_packet", Inlined),
    ("FBS.Consumer.KeyFrameTraceInfo", "is_rtx", NonZero),
    ("FBS.Consumer.RtpTraceInfo", "rtp_packet", Inlined),
    ("FBS.Consumer.RtpTraceInfo", "is_rtx", NonZero),
    ("FBS.Producer.KeyFrameTraceInfo", "rtp_packet", Inlined),
    ("FBS.Producer.KeyFrameTraceInfo", "is_rtx", NonZero),
    ("FBS.Producer.RtpTraceInfo", "rtp_packet", Inlined),
    ("FBS.Producer.RtpTraceInfo", "is_rtx", NonZero),
    // Data.
    ("FBS.DataProducer.DumpResponse", "paused", Untold),
    ("FBS.DataProducer.GetStatsResponse", "buffered_amount", Untold),
    ("FBS.DataConsumer.DumpResponse", "buffered_amount", Untold),
    ("FBS.DataConsumer.DumpResponse", "paused", Untold),
    ("FBS.DataConsumer.DumpResponse", "data_producer_paused", Untold),
    ("FBS.DataConsumer.DumpResponse", "subchannels", Untold),
    ("FBS.DataConsumer.MessageNotification", "data", Untold),
];

/// Tables whose vectors are objects: an element's first field names a member, its last is the value.
pub(super) const ENTRIES: &[&str] = &[
    "FBS.Common.StringString",
    "FBS.Common.StringStringArray",
    "FBS.Common.Uint16String",
    "FBS.Common.Uint32String",
    "FBS.RtpParameters.Parameter",
    "FBS.RtpStream.BitrateByLayer",
    "FBS.Ringsoup.Counter",
    "FBS.Ringsoup.DropCount",
];

/// Members `type` that statistics have: by table.
pub(super) const TYPES: &[(&str, &str)] = &[
    ("FBS.WebRtcTransport.GetStatsResponse", "webrtc-transport"),
    ("FBS.PlainTransport.GetStatsResponse", "plain-rtp-transport"),
    ("FBS.PipeTransport.GetStatsResponse", "pipe-transport"),
    ("FBS.DirectTransport.GetStatsResponse", "direct-transport"),
    ("FBS.RtpStream.RecvStats", "inbound-rtp"),
    ("FBS.RtpStream.SendStats", "outbound-rtp"),
    ("FBS.DataProducer.GetStatsResponse", "data-producer"),
    ("FBS.DataConsumer.GetStatsResponse", "data-consumer"),
];

/// What a body is, when it is not the object of its table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum BodyShape {
    /// Alone in an array.
    Listed,
    /// Only this member.
    Member(&'static str),
    /// As this member of an object.
    Under(&'static str),
    Nothing,
    /// Only what these controllers cannot ask for has it.
    Unknown,
}

/// By table.
pub(super) const BODIES: &[(&str, BodyShape)] = &[
    ("FBS.WebRtcTransport.GetStatsResponse", BodyShape::Listed),
    ("FBS.PlainTransport.GetStatsResponse", BodyShape::Listed),
    ("FBS.PipeTransport.GetStatsResponse", BodyShape::Listed),
    ("FBS.DirectTransport.GetStatsResponse", BodyShape::Listed),
    ("FBS.DataProducer.GetStatsResponse", BodyShape::Listed),
    ("FBS.DataConsumer.GetStatsResponse", BodyShape::Listed),
    ("FBS.Producer.GetStatsResponse", BodyShape::Member("stats")),
    ("FBS.Consumer.GetStatsResponse", BodyShape::Member("stats")),
    ("FBS.Consumer.DumpResponse", BodyShape::Member("data")),
    ("FBS.Consumer.SetPreferredLayersResponse", BodyShape::Member("preferredLayers")),
    ("FBS.Transport.RestartIceResponse", BodyShape::Under("iceParameters")),
    ("FBS.DataConsumer.SendResponse", BodyShape::Nothing),
    ("FBS.DataConsumer.SetSubchannelsResponse", BodyShape::Unknown),
    ("FBS.DataConsumer.AddSubchannelResponse", BodyShape::Unknown),
    ("FBS.DataConsumer.RemoveSubchannelResponse", BodyShape::Unknown),
    ("FBS.Producer.ScoreNotification", BodyShape::Member("scores")),
    ("FBS.Consumer.ScoreNotification", BodyShape::Member("score")),
    ("FBS.Consumer.LayersChangeNotification", BodyShape::Member("layers")),
    ("FBS.AudioLevelObserver.VolumesNotification", BodyShape::Member("volumes")),
];

/// What events are called. Those that are not here nobody before 3.13.0 knows, and nobody is told.
pub(super) const EVENTS: &[(&str, &str)] = &[
    ("WORKER_RUNNING", "running"),
    ("TRANSPORT_SCTP_STATE_CHANGE", "sctpstatechange"),
    ("TRANSPORT_TRACE", "trace"),
    ("WEBRTCTRANSPORT_ICE_SELECTED_TUPLE_CHANGE", "iceselectedtuplechange"),
    ("WEBRTCTRANSPORT_ICE_STATE_CHANGE", "icestatechange"),
    ("WEBRTCTRANSPORT_DTLS_STATE_CHANGE", "dtlsstatechange"),
    ("PLAINTRANSPORT_TUPLE", "tuple"),
    ("PLAINTRANSPORT_RTCP_TUPLE", "rtcptuple"),
    ("PRODUCER_SCORE", "score"),
    ("PRODUCER_TRACE", "trace"),
    ("PRODUCER_VIDEO_ORIENTATION_CHANGE", "videoorientationchange"),
    ("CONSUMER_PRODUCER_PAUSE", "producerpause"),
    ("CONSUMER_PRODUCER_RESUME", "producerresume"),
    ("CONSUMER_PRODUCER_CLOSE", "producerclose"),
    ("CONSUMER_LAYERS_CHANGE", "layerschange"),
    ("CONSUMER_SCORE", "score"),
    ("CONSUMER_TRACE", "trace"),
    ("DATACONSUMER_BUFFERED_AMOUNT_LOW", "bufferedamountlow"),
    ("DATACONSUMER_SCTP_SENDBUFFER_FULL", "sctpsendbufferfull"),
    ("DATACONSUMER_DATAPRODUCER_CLOSE", "dataproducerclose"),
    ("ACTIVESPEAKEROBSERVER_DOMINANT_SPEAKER", "dominantspeaker"),
    ("AUDIOLEVELOBSERVER_SILENCE", "silence"),
    ("AUDIOLEVELOBSERVER_VOLUMES", "volumes"),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::schema::Schema;

    #[test]
    fn every_name_is_the_schemas() {
        let schema = Schema::newest();
        for (table, field, _) in FIELDS {
            assert!(schema.tables[*table].iter().any(|known| known.name == *field), "{table} {field}");
        }
        let tables = ENTRIES
            .iter()
            .chain(TYPES.iter().map(|(table, _)| table))
            .chain(BODIES.iter().map(|(table, _)| table));
        for table in tables {
            assert!(schema.tables.contains_key(*table), "{table}");
        }
        for (event, _) in EVENTS {
            let known = &schema.enums["FBS.Notification.Event"];
            assert!(known.iter().any(|(_, name)| name == event), "{event}");
        }
    }
}
