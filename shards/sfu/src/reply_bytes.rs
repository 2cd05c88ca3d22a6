//! About how many bytes a reply takes while it waits.
//!
//! Dumps and statistics repeat what the controller once said, at whatever length. A reply cannot be dropped, so whoever
//! keeps replies needs to know what they come to, to stop causing more. Texts and lists count; what they are in does with
//! its size, names are shared and cost nothing.

use crate::data::reply::{
    DataConsumerDump, DataConsumerStats, DataProducerDump, DataProducerStats, SctpDump,
};
use crate::name::Name;
use crate::reply::{
    BaseStats, ConsumeReply, ConsumerDump, ConsumerScore, ConsumerStats, LatencyHistogram, PipeTransportDump,
    PipeTransportStats, PlainConnected, PlainTransportDump, PlainTransportStats, ProducerDump, RecvStats,
    Reply, RouterDump, RtpStreamDump, RtpStreamParams, RtxStreamParams, SendStats, ServedTransport,
    ShardReport, TransportDump, TransportStats, Tuple, WebRtcTransportDump, WebRtcTransportStats,
};
use crate::rtp_parameters::{
    CodecMapping, EncodingMapping, Parameter, ParameterValue, RtcpFeedback, RtcpParameters,
    RtpCodecParameters, RtpEncodingParameters, RtpHeaderExtensionParameters, RtpMapping, RtpParameters,
};

/// Bytes that a value holds outside of itself.
trait Held {
    fn held(&self) -> usize;
}

impl Held for Name {
    fn held(&self) -> usize {
        0
    }
}

impl Held for String {
    fn held(&self) -> usize {
        self.len()
    }
}

impl<T: Held> Held for Option<T> {
    fn held(&self) -> usize {
        self.as_ref().map_or(0, T::held)
    }
}

impl<T: Held> Held for Vec<T> {
    fn held(&self) -> usize {
        size_of_val(&**self) + self.iter().map(T::held).sum::<usize>()
    }
}

impl<T: Held> Held for Box<T> {
    fn held(&self) -> usize {
        size_of::<T>() + T::held(self)
    }
}

impl<A: Held, B: Held> Held for (A, B) {
    fn held(&self) -> usize {
        self.0.held() + self.1.held()
    }
}

/// Types that hold nothing.
macro_rules! bare {
    ($($bare:ty),+) => {
        $(impl Held for $bare {
            fn held(&self) -> usize {
                0
            }
        })+
    };
}

/// Types and their fields that hold something.
macro_rules! holds {
    ($($holder:ty: $($field:ident),+;)+) => {
        $(impl Held for $holder {
            fn held(&self) -> usize {
                0 $(+ self.$field.held())+
            }
        })+
    };
}

bare!(u8, u16, u32, u64, i32, &'static str, CodecMapping);

holds! {
    ShardReport: dropped, latency, io;
    LatencyHistogram: encoded;
    RouterDump: router, transports, rtp_observers, consumers_of_producer, observers_of_producer,
        producer_of_consumer, data_consumers_of_data_producer, data_producer_of_data_consumer, latency;
    Tuple: local_address;
    TransportDump: id, producers, consumers, data_producers, data_consumers, consumer_of_ssrc,
        consumer_of_rtx_ssrc, producer_of_ssrc, producer_of_mid, producer_of_rid, sctp;
    SctpDump: data_producer_of_stream;
    TransportStats: transport;
    PlainTransportDump: base, tuple, rtcp_tuple;
    PlainTransportStats: base, tuple, rtcp_tuple;
    PipeTransportDump: base, tuple;
    PipeTransportStats: base, tuple;
    PlainConnected: tuple, rtcp_tuple;
    WebRtcTransportDump: base, ice_selected_tuple;
    WebRtcTransportStats: base, ice_selected_tuple;
    ServedTransport: username_fragments;
    ConsumeReply: score;
    ConsumerScore: producer_scores;
    RtpStreamDump: params, rtx_stream;
    RtpStreamParams: mime_type, rid, cname;
    RtxStreamParams: mime_type, rrid, cname;
    ProducerDump: id, rtp_parameters, rtp_mapping, rtp_streams;
    ConsumerDump: id, rtp_parameters, consumable_rtp_encodings, supported_codec_payload_types, rtp_streams;
    BaseStats: mime_type, rid;
    RecvStats: base, bitrate_by_layer;
    SendStats: base;
    ConsumerStats: sent, received;
    RtpParameters: mid, codecs, header_extensions, encodings, rtcp, msid;
    RtpCodecParameters: mime_type, parameters, rtcp_feedback;
    RtpHeaderExtensionParameters: parameters;
    RtpEncodingParameters: rid, scalability_mode;
    RtcpParameters: cname;
    RtcpFeedback: kind, parameter;
    Parameter: name, value;
    RtpMapping: codecs, encodings;
    EncodingMapping: rid;
    DataProducerDump: id, label, protocol;
    DataProducerStats: label, protocol;
    DataConsumerDump: id, label, protocol, subchannels;
    DataConsumerStats: label, protocol;
}

impl Held for ParameterValue {
    fn held(&self) -> usize {
        match self {
            Self::Boolean(_) | Self::Integer(_) | Self::Double(_) => 0,
            Self::Text(text) => text.held(),
            Self::IntegerArray(values) => values.held(),
        }
    }
}

impl Reply {
    /// For those who bound what waits.
    pub fn bytes(&self) -> usize {
        let held = match self {
            Self::Done
            | Self::WebRtcConnect { .. }
            | Self::RestartIce(_)
            | Self::Produce { .. }
            | Self::SetPreferredLayers(_)
            | Self::SetPriority(_)
            | Self::BufferedAmount(_)
            | Self::DataSent { .. } => 0,
            Self::ShardReport(report) => report.held(),
            Self::RouterDump(dump) => dump.held(),
            Self::PlainTransportDump(dump) => dump.held(),
            Self::PipeTransportDump(dump) => dump.held(),
            Self::DirectTransportDump(dump) => dump.held(),
            Self::WebRtcTransportDump(dump) => dump.held(),
            Self::PlainTransportStats(stats) => stats.held(),
            Self::PipeTransportStats(stats) => stats.held(),
            Self::DirectTransportStats(stats) => stats.held(),
            Self::WebRtcTransportStats(stats) => stats.held(),
            Self::PlainConnect(connected) => connected.held(),
            Self::PipeConnect { tuple, .. } => tuple.held(),
            Self::WebRtcServerReport(served) => served.held(),
            Self::Consume(reply) => reply.held(),
            Self::ProducerDump(dump) => dump.held(),
            Self::ProducerStats(stats) => stats.held(),
            Self::ConsumerDump(dump) => dump.held(),
            Self::ConsumerStats(stats) => stats.held(),
            Self::DataProducerDump(dump) => dump.held(),
            Self::DataProducerStats(stats) => stats.held(),
            Self::DataConsumerDump(dump) => dump.held(),
            Self::DataConsumerStats(stats) => stats.held(),
            Self::SetSubchannels(all) | Self::AddSubchannel(all) | Self::RemoveSubchannel(all) => all.held(),
        };
        size_of::<Self>() + held
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_texts_and_long_lists_count() {
        assert_eq!(Reply::Done.bytes(), size_of::<Reply>());
        let mut dump = TransportDump::default();
        let bytes = |dump: &TransportDump| Reply::DirectTransportDump(Box::new(dump.clone())).bytes();
        let empty = bytes(&dump);
        assert_eq!(empty, size_of::<Reply>() + size_of::<TransportDump>());
        dump.producer_of_mid = vec![("m".repeat(1_000), "p".into()); 3];
        assert_eq!(bytes(&dump), empty + 3 * (1_000 + size_of::<(String, Name)>()));
        let long = Reply::SetSubchannels(vec![0; 4_000]);
        assert_eq!(long.bytes(), size_of::<Reply>() + 8_000);
    }
}
