//! Frames to messages and back: one size-prefixed `Message` per frame.
//!
//! Alignment is counted from the first byte of the 4-byte size prefix, by
//! controllers and by [`finish_message`] alike: an eight-byte field lies at a
//! multiple of 8 from there, hence 4 off a multiple of 8 from the first byte
//! after the prefix. So a frame keeps its prefix from the socket to
//! [`verify_message`]; a body cut loose from it looks misaligned and is refused
//! as soon as it holds a bitrate or a `double`. Where the frame lies in memory
//! does not matter: scalars are copied out bytewise.

use flatbuffers::{
    FlatBufferBuilder, InvalidFlatbuffer, UnionWIPOffset, VerifierOptions, WIPOffset,
    size_prefixed_root_with_opts,
};

use crate::fbs::message::{Body, Message, MessageBuilder};

/// Bytes of the size prefix, little endian, which does not count itself.
pub const PREFIX_BYTES: usize = 4;

/// Bytes of the longest frame, prefix included, in either direction: the size
/// of the buffers at both ends of the original's channel since 3.21.0.
pub const MESSAGE_BYTES_MAX: usize = 8 * 1024 * 1024;

/// Nested tables. The deepest message, a codec's parameter in a consumer's
/// dump, nests 9; the rest is room for appended fields.
pub const VERIFY_DEPTH_MAX: usize = 32;

/// Tables of one message: as many 32-byte tables as the longest frame holds.
pub const VERIFY_TABLES_MAX: usize = MESSAGE_BYTES_MAX / 32;

/// Bytes of one message with whatever is shared in it counted each time it is
/// referred to. Vtables are shared by design, strings and tables by some
/// builders; far more than this is an attempt to keep the verifier busy.
pub const VERIFY_APPARENT_BYTES_MAX: usize = 4 * MESSAGE_BYTES_MAX;

const VERIFIER_OPTIONS: VerifierOptions = VerifierOptions {
    max_depth: VERIFY_DEPTH_MAX,
    max_tables: VERIFY_TABLES_MAX,
    max_apparent_size: VERIFY_APPARENT_BYTES_MAX,
    ignore_missing_null_terminator: false,
};

/// The message in `frame`, which starts with its size prefix.
///
/// The prefix's value is not looked at: who cut the frame has used it. An
/// enum's or a union's number may be one this schema does not know.
///
/// # Errors
///
/// When any offset, length, string or required field the schema knows is
/// wrong, or a limit above is exceeded.
pub fn verify_message(frame: &[u8]) -> Result<Message<'_>, InvalidFlatbuffer> {
    size_prefixed_root_with_opts::<Message<'_>>(&VERIFIER_OPTIONS, frame)
}

/// Completes `builder` with the root table around `body`; the frame, prefix
/// included, borrows the builder, which is `reset` before its next use.
pub fn finish_message<'frame>(
    builder: &'frame mut FlatBufferBuilder<'_>,
    body_type: Body,
    body: WIPOffset<UnionWIPOffset>,
) -> &'frame [u8] {
    // Field by field, in the order of mediasoup's own encoders, which makes the bytes theirs.
    let mut message = MessageBuilder::new(builder);
    message.add_data_type(body_type);
    message.add_data(body);
    let message = message.finish();
    builder.finish_size_prefixed(message, None);
    builder.finished_data()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fbs::common::{StringStringArray, StringStringArrayArgs};
    use crate::fbs::notification::{Body as NotificationBody, Event, Notification, NotificationArgs};
    use crate::fbs::request::{Body as RequestBody, Method};
    use crate::fbs::response::{Body as ResponseBody, Response, ResponseArgs};
    use crate::fbs::ringsoup::{LatencyHistogram, LatencyHistogramArgs};
    use crate::fbs::router::{DumpResponse, DumpResponseArgs};
    use crate::fbs::rtp_stream::{
        BaseStats, BaseStatsArgs, SendStats, SendStatsArgs, Stats, StatsArgs, StatsData,
    };
    use proptest::prelude::*;

    // Frames of controllers and workers of 3.27.1, prefix included.
    const WORKER_DUMP: &str = "34000000 0c000000 08000a00 09000400 08000000 10000000 00010a00 0c000800
        00000400 0a000000 08000000 01000000 00000000 00000000";
    const CREATE_ROUTER: &str = "58000000 0c000000 08000a00 09000400 08000000 14000000 00010e00 18001400
        13000c00 0b000400 0e000000 20000000 00000004 0c000000 00000004 02000000 00000000 00000600 08000400
        06000000 04000000 02000000 72310000";
    const RUNNING: &str = "38000000 0c000000 08000c00 0b000400 08000000 10000000 00000003 08000c00 08000700
        08000000 00000004 04000000 04000000 34323432 00000000";
    const ACCEPTED: &str = "2c000000 0c000000 08000c00 0b000400 08000000 10000000 00000002 08000c00 08000700
        08000000 00000001 02000000";

    fn bytes(hex: &str) -> Vec<u8> {
        let digits: Vec<char> = hex.chars().filter(|digit| !digit.is_whitespace()).collect();
        digits
            .chunks(2)
            .map(|pair| u8::from_str_radix(&pair.iter().collect::<String>(), 16).unwrap())
            .collect()
    }

    fn running(builder: &mut FlatBufferBuilder<'_>) -> Vec<u8> {
        let handler_id = builder.create_string("4242");
        let notification = Notification::create(
            builder,
            &NotificationArgs {
                handler_id: Some(handler_id),
                event: Event::WORKER_RUNNING,
                ..NotificationArgs::default()
            },
        );
        finish_message(builder, Body::Notification, notification.as_union_value()).to_vec()
    }

    fn accepted(builder: &mut FlatBufferBuilder<'_>) -> Vec<u8> {
        let response =
            Response::create(builder, &ResponseArgs { id: 2, accepted: true, ..ResponseArgs::default() });
        finish_message(builder, Body::Response, response.as_union_value()).to_vec()
    }

    /// A router's dump whose only list holds `entries` references to one entry.
    fn router_dump(entries: usize, latency: Option<LatencyHistogramArgs<'_>>) -> Vec<u8> {
        let mut builder = FlatBufferBuilder::new();
        let id = builder.create_string("r1");
        let strings = builder.create_vector::<flatbuffers::ForwardsUOffset<&str>>(&[]);
        let pairs = builder.create_vector::<flatbuffers::ForwardsUOffset<_>>(&[]);
        let empty = builder.create_vector::<flatbuffers::ForwardsUOffset<_>>(&[]);
        let entry = StringStringArray::create(
            &mut builder,
            &StringStringArrayArgs { key: Some(id), values: Some(strings) },
        );
        let shared = builder.create_vector(&vec![entry; entries]);
        let latency = latency.map(|args| LatencyHistogram::create(&mut builder, &args));
        let dump = DumpResponse::create(
            &mut builder,
            &DumpResponseArgs {
                id: Some(id),
                transport_ids: Some(strings),
                rtp_observer_ids: Some(strings),
                map_producer_id_consumer_ids: Some(shared),
                map_consumer_id_producer_id: Some(pairs),
                map_producer_id_observer_ids: Some(empty),
                map_data_producer_id_data_consumer_ids: Some(empty),
                map_data_consumer_id_data_producer_id: Some(pairs),
                ringsoup_latency: latency,
                ringsoup_shard: Some(3),
            },
        );
        let args = ResponseArgs {
            id: 9,
            accepted: true,
            body_type: ResponseBody::Router_DumpResponse,
            body: Some(dump.as_union_value()),
            ..ResponseArgs::default()
        };
        let response = Response::create(&mut builder, &args);
        finish_message(&mut builder, Body::Response, response.as_union_value()).to_vec()
    }

    #[test]
    fn a_worker_dump_request_is_read() {
        let frame = bytes(WORKER_DUMP);
        let request = verify_message(&frame).unwrap().data_as_request().unwrap();
        assert_eq!(request.id(), 1);
        assert_eq!(request.method(), Method::WORKER_DUMP);
        assert_eq!(request.handler_id(), "");
        assert_eq!(request.body_type(), RequestBody::NONE);
    }

    #[test]
    fn a_create_router_request_is_read() {
        let frame = bytes(CREATE_ROUTER);
        let request = verify_message(&frame).unwrap().data_as_request().unwrap();
        assert_eq!(request.id(), 2);
        assert_eq!(request.method(), Method::WORKER_CREATE_ROUTER);
        let body = request.body_as_worker_create_router_request().unwrap();
        assert_eq!(body.router_id(), "r1");
    }

    #[test]
    fn the_running_notification_is_byte_for_byte_the_original() {
        let frame = bytes(RUNNING);
        let notification = verify_message(&frame).unwrap().data_as_notification().unwrap();
        assert_eq!(notification.handler_id(), "4242");
        assert_eq!(notification.event(), Event::WORKER_RUNNING);
        assert_eq!(notification.body_type(), NotificationBody::NONE);
        assert_eq!(running(&mut FlatBufferBuilder::new()), frame);
    }

    #[test]
    fn an_accepted_response_is_byte_for_byte_the_original() {
        let frame = bytes(ACCEPTED);
        let response = verify_message(&frame).unwrap().data_as_response().unwrap();
        assert_eq!(response.id(), 2);
        assert!(response.accepted());
        assert_eq!(response.error(), None);
        assert_eq!(accepted(&mut FlatBufferBuilder::new()), frame);
    }

    #[test]
    fn a_builder_serves_again_after_reset() {
        let mut builder = FlatBufferBuilder::new();
        running(&mut builder);
        builder.reset();
        assert_eq!(accepted(&mut builder), bytes(ACCEPTED));
    }

    #[test]
    fn the_prefix_counts_what_follows_it() {
        let frame = router_dump(1, None);
        let prefix = u32::from_le_bytes(frame[..PREFIX_BYTES].try_into().unwrap());
        assert_eq!(usize::try_from(prefix).unwrap(), frame.len() - PREFIX_BYTES);
    }

    #[test]
    fn eight_byte_fields_are_aligned_from_the_prefix_at_any_address() {
        let latency = LatencyHistogramArgs { count: 7, mean_us: 1.5, ..LatencyHistogramArgs::default() };
        let frame = router_dump(1, Some(latency));
        for offset in 0..8 {
            let mut shifted = vec![0; offset];
            shifted.extend_from_slice(&frame);
            let response = verify_message(&shifted[offset..]).unwrap().data_as_response().unwrap();
            let dump = response.body_as_router_dump_response().unwrap();
            assert_eq!(dump.ringsoup_shard(), Some(3));
            let latency = dump.ringsoup_latency().unwrap();
            assert_eq!((latency.count(), latency.mean_us()), (7, 1.5));
        }
        // What the module's doc warns of: without its prefix it is refused.
        assert!(flatbuffers::root::<Message<'_>>(&frame[PREFIX_BYTES..]).is_err());
    }

    #[test]
    fn tables_nested_too_deep_are_refused() {
        let mut builder = FlatBufferBuilder::new();
        let mime_type = builder.create_string("audio/opus");
        let base = BaseStats::create(
            &mut builder,
            &BaseStatsArgs { mime_type: Some(mime_type), ..BaseStatsArgs::default() },
        );
        let args = StatsArgs { data_type: StatsData::BaseStats, data: Some(base.as_union_value()) };
        let mut stats = Stats::create(&mut builder, &args);
        for _ in 0..VERIFY_DEPTH_MAX {
            let args = SendStatsArgs { base: Some(stats), ..SendStatsArgs::default() };
            let send = SendStats::create(&mut builder, &args);
            let args = StatsArgs { data_type: StatsData::SendStats, data: Some(send.as_union_value()) };
            stats = Stats::create(&mut builder, &args);
        }
        builder.finish_size_prefixed(stats, None);
        let verified = size_prefixed_root_with_opts::<Stats<'_>>(&VERIFIER_OPTIONS, builder.finished_data());
        assert!(matches!(verified, Err(InvalidFlatbuffer::DepthLimitReached)));
    }

    #[test]
    fn one_table_referred_to_too_often_is_refused() {
        verify_message(&router_dump(1000, None)).unwrap();
        let frame = router_dump(VERIFY_TABLES_MAX, None);
        assert!(frame.len() < MESSAGE_BYTES_MAX);
        assert!(matches!(verify_message(&frame), Err(InvalidFlatbuffer::TooManyTables)));
    }

    #[test]
    fn a_frame_cut_short_is_refused() {
        for golden in [WORKER_DUMP, CREATE_ROUTER, RUNNING] {
            let frame = bytes(golden);
            // The last bytes may be padding, which nothing refers to.
            for length in 0..frame.len() - 8 {
                assert!(verify_message(&frame[..length]).is_err(), "{length} bytes of {golden}");
            }
        }
    }

    proptest! {
        /// Any bytes are refused or can be read to the last field: `Debug` walks all of them.
        #[test]
        fn a_mutated_frame_is_refused_or_readable(
            golden in prop::sample::select(vec![WORKER_DUMP, CREATE_ROUTER, RUNNING, ACCEPTED]),
            changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        ) {
            let mut frame = bytes(golden);
            for (index, value) in changes {
                let position = index.index(frame.len());
                frame[position] = value;
            }
            if let Ok(message) = verify_message(&frame) {
                let read = format!("{message:?}");
                prop_assert!(!read.is_empty());
            }
        }
    }
}
