//! Every generation: what the newest layout says is said in it and read from it again.

use std::sync::Arc;

use ringsoup_fbs::fbs::rtp_stream::RecvStats;
use ringsoup_fbs::verify_message;
use ringsoup_sfu::command::NumSctpStreams;
use ringsoup_sfu::data::reply::{SctpNegotiatedCapabilities, SctpState};
use ringsoup_sfu::event::Event;
use ringsoup_sfu::reply::Reply;

use super::*;
use crate::message::{Response, ResponseBody};
use crate::wire::{Decoder, Encoder, data_samples, node_frames, reply_samples, samples};

/// The oldest published version of each, oldest first. Of the second none was published.
const GENERATIONS: [&str; 12] = [
    "3.13.0", "3.13.11", "3.13.16", "3.14.1", "3.16.6", "3.18.0", "3.19.6", "3.19.11", "3.19.18", "3.21.0",
    "3.24.1", "3.27.0",
];

fn version(text: &str) -> Version {
    Version::parse(text).unwrap()
}

fn generation(text: &str) -> Generation {
    Generation::of(version(text)).unwrap()
}

fn older() -> impl Iterator<Item = (&'static str, Generation)> {
    GENERATIONS[..11].iter().map(|text| (*text, generation(text)))
}

fn all_requests() -> Vec<(Method, Vec<u8>)> {
    [samples::requests(), data_samples::requests()].concat()
}

#[test]
fn versions_of_one_generation_have_one_layout() {
    let layouts: Vec<_> = GENERATIONS[..11].iter().map(|text| layout(version(text)).unwrap().0).collect();
    for pair in layouts.windows(2) {
        assert_ne!(pair[0], pair[1]);
    }
    for (last, index) in
        [("3.13.10", 0), ("3.13.24", 2), ("3.16.5", 3), ("3.16.8", 4), ("3.19.4", 5), ("3.19.9", 6)]
            .into_iter()
            .chain([("3.19.17", 7), ("3.19.22", 8), ("3.22.99", 9), ("3.26.9", 10)])
    {
        assert_eq!(layout(version(last)).unwrap().0, layouts[index], "{last}");
    }
    assert!(Generation::of(version("3.27.0")).is_none());
    assert!(Generation::of(version("4.0.0")).is_none());
}

/// Answers of the worker, as the controller reads them, told again in the newest layout.
fn answered(generation: &Arc<Generation>, body: ResponseBody) -> Vec<u8> {
    let mut encoder = Encoder::speaking(Some(Arc::clone(generation)));
    let frame = encoder.response(&Response { id: 9.into(), result: Ok(body) });
    let mut builder = Builder::default();
    translate(&generation.read, frame, &mut builder).unwrap();
    builder.finished_data().to_vec()
}

/// Methods whose requests say something in the newest layout that an older one has no word for. What becomes of each
/// such field has a test of its own.
fn loses_something(method: Method) -> bool {
    matches!(
        method,
        Method::TransportProduce
            | Method::TransportConsume
            | Method::RouterCreatePlainTransport
            | Method::RouterCreatePipeTransport
            | Method::RouterCreateDirectTransport
            | Method::RouterCreateWebRtcTransport
            | Method::RouterCreateWebRtcTransportWithServer
            | Method::WorkerCreateWebRtcServer
            | Method::TransportSetMaxIncomingBitrate
            | Method::TransportSetMaxOutgoingBitrate
            | Method::TransportSetMinOutgoingBitrate
    )
}

#[test]
fn requests_survive_the_way_through_every_layout() {
    for (text, generation) in older() {
        let mut lacking = Vec::new();
        for (method, newest) in all_requests() {
            let Some(frame) = generation.encode(&newest) else {
                lacking.push(method);
                continue;
            };
            let mut builder = Builder::default();
            let read = format!("{:?}", generation.decode(&frame, &mut builder).unwrap());
            if !loses_something(method) {
                let expected = format!("{:?}", crate::wire::decode(&newest).unwrap());
                assert_eq!(read, expected, "{text} {}", method.name());
            }
            // What was lost on the way there is not missed on the second.
            let again = generation.encode(builder.finished_data()).unwrap();
            let again = format!("{:?}", generation.decode(&again, &mut builder).unwrap());
            assert_eq!(again, read, "{text} {}", method.name());
        }
        let single = [Method::DataConsumerAddSubchannel, Method::DataConsumerRemoveSubchannel];
        assert!(lacking.iter().all(|method| single.contains(method)), "{text}: {lacking:?}");
        assert_eq!(lacking.is_empty(), version(text) >= version("3.13.11"), "{text}");
    }
}

/// The request's text after it went through the layout of this version.
fn read_through(text: &str, newest: &[u8]) -> String {
    let generation = generation(text);
    let frame = generation.encode(newest).unwrap();
    format!("{:?}", generation.decode(&frame, &mut Builder::default()).unwrap())
}

#[test]
fn consent_is_asked_for_since_there_is_a_word_for_it() {
    let (_, request) = all_requests()
        .into_iter()
        .find(|(method, _)| *method == Method::RouterCreateWebRtcTransport)
        .expect("one of every method");
    let asked = read_through("3.14.0", &request);
    assert!(!asked.contains("ice_consent_timeout: 0"), "{asked}");
    assert!(!read_through("3.13.20", &request).contains("ice_consent_timeout: 0"));
    assert!(read_through("3.13.19", &request).contains("ice_consent_timeout: 0"));
}

#[test]
fn an_older_transport_has_what_it_could_ask_for_and_else_the_newest_librarys_choice() {
    let plain = samples::create_plain(&samples::Plain::default());
    let read = read_through("3.26.0", &plain);
    for told in ["4294967295", "max_send_message_size: 1,", "port_range: (1000, 2000)", "low_threshold: 6"] {
        assert!(read.contains(told), "{told}: {read}");
    }
    let read = read_through("3.19.22", &plain);
    for told in [
        "queue_limit: 2000000",
        "window_buffer_size: 5242880",
        "low_threshold: 0",
        "expose_internal_ip: true",
    ] {
        assert!(read.contains(told), "{told}: {read}");
    }
    let read = read_through("3.16.8", &plain);
    assert!(
        read.contains("expose_internal_ip: false") && read.contains("port_range: (1000, 2000)"),
        "{read}"
    );
    let read = read_through("3.13.24", &plain);
    assert!(read.contains("port_range: (0, 0)") && read.contains("ipv6_only: true"), "{read}");
    let read = read_through("3.13.10", &plain);
    assert!(read.contains("ipv6_only: false") && read.contains("send_buffer_size: 7"), "{read}");
}

/// Options as controllers before 3.20 have them, in one of their frames.
fn old_direct_transport(generation: &Generation, message_size: u32) -> Vec<u8> {
    let mut builder = Builder::default();
    let mut slots = |fields: &dyn Fn(&mut Builder)| {
        let table = builder.start_table();
        fields(&mut builder);
        builder.end_table(table)
    };
    // NumSctpStreams, then Options: direct, maxMessageSize, numSctpStreams.
    let streams = slots(&|builder| {
        builder.push_slot_always(4, 7_u16);
        builder.push_slot_always(6, 8_u16);
    });
    let options = slots(&|builder| {
        builder.push_slot_always(4, true);
        builder.push_slot_always(6, message_size);
        builder.push_slot_always(12, streams);
    });
    let direct = slots(&|builder| builder.push_slot_always(4, options));
    let id = builder.create_string("t");
    let create = builder.start_table();
    builder.push_slot_always(4, id);
    builder.push_slot_always(6, direct);
    let create = builder.end_table(create);
    // The head is taken from a request of the same kind.
    let template = samples::requests()
        .into_iter()
        .find(|(method, _)| *method == Method::RouterCreateDirectTransport)
        .and_then(|(_, newest)| generation.encode(&newest))
        .unwrap();
    let head = unverified::Unverified::request(&template).unwrap();
    let (method, body) = (head.byte(6).unwrap(), head.byte(10).unwrap());
    let handler = builder.create_string("h");
    let request = builder.start_table();
    builder.push_slot_always(4, 7_u32);
    builder.push_slot_always(6, method);
    builder.push_slot_always(8, handler);
    builder.push_slot_always(10, body);
    builder.push_slot_always(12, create);
    let request = builder.end_table(request);
    let message = builder.start_table();
    builder.push_slot_always(4, 1_u8);
    builder.push_slot_always(6, request);
    let message = builder.end_table(message);
    builder.finish_size_prefixed(message, None);
    builder.finished_data().to_vec()
}

#[test]
fn a_message_size_of_old_counts_both_ways_and_its_streams_are_kept() {
    let generation = generation("3.19.22");
    let frame = old_direct_transport(&generation, 1_234);
    let read = generation.decode(&frame, &mut Builder::default()).unwrap();
    let Incoming::Request(Request {
        method,
        body: Ok(RequestBody::CreateDirectTransport { options, .. }),
        ..
    }) = read
    else {
        panic!("{read:?}");
    };
    assert_eq!(method, Method::RouterCreateDirectTransport);
    assert_eq!((options.max_send_message_size, options.max_receive_message_size), (1_234, 1_234));
    assert_eq!(options.num_sctp_streams, Some(NumSctpStreams { os: 7, mis: 8 }));
}

#[test]
fn closing_by_request_is_understood_where_it_is_one() {
    for (text, generation) in older() {
        // A method of 0 is not written: the shortest request there is.
        let frame = generation.encode(&all_requests()[0].1).unwrap();
        let request = unverified::Unverified::request(&frame).unwrap();
        let mut frame = frame.clone();
        if let Some(at) = request.field(6) {
            frame[at] = 0;
        }
        let read = generation.decode(&frame, &mut Builder::default());
        let closes = matches!(&read, Ok(Incoming::Request(request)) if request.method == Method::WorkerClose);
        assert_eq!(closes, version(text) < version("3.19.18"), "{text}: {read:?}");
    }
}

#[test]
fn every_answer_can_be_told_to_every_controller() {
    for (text, generation) in older() {
        let generation = Arc::new(generation);
        for reply in [
            Reply::Done,
            Reply::RouterDump(Box::new(reply_samples::router_dump())),
            Reply::PlainTransportDump(Box::new(reply_samples::plain_transport_dump())),
            Reply::PipeTransportDump(Box::new(reply_samples::pipe_transport_dump())),
            Reply::PlainTransportStats(Box::new(reply_samples::plain_transport_stats())),
            Reply::ProducerDump(Box::new(reply_samples::producer_dump())),
            Reply::ConsumerDump(Box::new(reply_samples::consumer_dump())),
            Reply::ConsumerStats(Box::new(reply_samples::consumer_stats())),
            Reply::DataSent { buffered_amount: 5 },
        ] {
            let shown = format!("{reply:?}");
            let frame = answered(&generation, ResponseBody::Shard(reply));
            let message = verify_message(&frame).unwrap_or_else(|error| panic!("{text} {shown}: {error}"));
            let response = message.data_as_response().unwrap();
            assert!(response.accepted() && response.error().is_none(), "{text} {shown}");
        }
    }
}

#[test]
fn numbers_of_a_stream_stand_where_each_layout_has_them() {
    for (text, generation) in older() {
        let stats = Reply::ConsumerStats(Box::new(reply_samples::consumer_stats()));
        let frame = answered(&Arc::new(generation), ResponseBody::Shard(stats));
        let response = verify_message(&frame).unwrap().data_as_response().unwrap();
        let stats = response.body_as_consumer_get_stats_response().unwrap().stats();
        let received: RecvStats<'_> = stats.get(1).data_as_recv_stats().unwrap();
        let base = received.base().data_as_base_stats().unwrap();
        // Before, a loss cannot be negative, and jitter is of received streams alone: it does not come back.
        let (lost, jitter) = if version(text) < version("3.19.10") { (0, 0) } else { (-3, 1) };
        assert_eq!((base.packets_lost(), base.jitter()), (lost, jitter), "{text}");
        assert_eq!((base.score(), base.fir_count(), base.rtx_ssrc()), (10, 8, Some(1112)), "{text}");
        assert_eq!((received.packet_count(), received.bitrate()), (1, 3), "{text}");
    }
    let mut encoder = Encoder::speaking(Some(Arc::new(generation("3.19.7"))));
    let stats = Reply::ConsumerStats(Box::new(reply_samples::consumer_stats()));
    let frame = encoder.response(&Response { id: 1.into(), result: Ok(ResponseBody::Shard(stats)) }).to_vec();
    let response =
        unverified::Unverified::new(&frame, unverified::target(&frame, 4).unwrap()).table(6).unwrap();
    let received = response.table(10).unwrap().tables(4).nth(1).unwrap().table(6).unwrap();
    assert_eq!(
        unverified::u32_at(&frame, received.field(6).unwrap()),
        Some(1),
        "jitter of a received stream"
    );
}

#[test]
fn what_a_controller_has_no_word_for_is_not_told() {
    let negotiated = Event::TransportSctpNegotiated {
        transport: "t".into(),
        capabilities: SctpNegotiatedCapabilities::default(),
    };
    let state = Event::TransportSctpState { transport: "t".into(), state: SctpState::Connected };
    for (text, generation) in older() {
        let mut encoder = Encoder::speaking(Some(Arc::new(generation)));
        assert!(encoder.event(&state).is_some(), "{text}");
        assert_eq!(encoder.event(&negotiated).is_some(), version(text) >= version("3.20.0"), "{text}");
        assert!(!encoder.running(7).is_empty() && !encoder.log("Dhello").is_empty());
    }
}

#[test]
fn values_that_libraries_write_without_their_table_are_read() {
    for (text, generation) in older() {
        let generation = Arc::new(generation);
        // The newest library's frames; the oldest make the same of such values.
        let (told, list) =
            (node_frames::bytes(node_frames::TRUE), node_frames::bytes(node_frames::LIST_AND_TRUE));
        for newest in [told, list] {
            let expected = format!("{:?}", crate::wire::decode(&newest).unwrap());
            let mut builder = Builder::default();
            let newest_again = Plan::new(&Schema::newest(), &Schema::newest(), &[], Direction::Read);
            translate(&newest_again, &newest, &mut builder).unwrap();
            let read = crate::wire::decode(builder.finished_data()).unwrap();
            assert_eq!(format!("{read:?}"), expected);
            let frame = generation.encode(builder.finished_data()).unwrap();
            assert!(Decoder::speaking(Some(Arc::clone(&generation))).decode(&frame).is_ok(), "{text}");
        }
    }
}

#[test]
fn whatever_comes_in_is_answered() {
    for (_, generation) in older().step_by(5) {
        for (_, newest) in all_requests().into_iter().step_by(3) {
            let Some(frame) = generation.encode(&newest) else { continue };
            let mut builder = Builder::default();
            for end in 0..frame.len() {
                drop(generation.decode(&frame[..end], &mut builder));
            }
            for at in 0..frame.len() {
                for value in [0, 0xff, frame[at].wrapping_add(1)] {
                    let mut mutated = frame.clone();
                    mutated[at] = value;
                    drop(generation.decode(&mutated, &mut builder));
                }
            }
        }
    }
}
