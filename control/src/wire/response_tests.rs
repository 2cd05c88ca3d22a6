//! Every kind of response, read back through the verifier.

use ringsoup_fbs::fbs::response::Response as WireResponse;
use ringsoup_fbs::fbs::rtp_parameters::{self as wire_parameters, MediaKind as WireKind, Type, Value};
use ringsoup_fbs::fbs::rtp_stream::{BaseStats as WireBaseStats, Stats, StatsData};
use ringsoup_fbs::fbs::srtp_parameters::SrtpCryptoSuite;
use ringsoup_fbs::fbs::{consumer, producer, transport};
use ringsoup_fbs::verify_message;
use ringsoup_sfu::command::{CommandError, Layers};
use ringsoup_sfu::piped::PipeKey;
use ringsoup_sfu::reply::{PipeTransportStats, Reply};
use ringsoup_sfu::rtp_parameters::RtpType;

use super::encoder::Dumps;
use super::{Encoder, reply_samples as replies, rtp_parameters, samples};
use crate::message::{ResourceUsage, Response, ResponseBody};

/// Encodes, verifies, and hands the response to `check`.
pub(super) fn respond(body: ResponseBody, check: impl FnOnce(WireResponse<'_>)) {
    let mut encoder = Encoder::new();
    let frame = encoder.response(&Response { id: 9.into(), result: Ok(body) });
    let prefix = u32::from_le_bytes(frame[..4].try_into().unwrap());
    assert_eq!(usize::try_from(prefix).unwrap(), frame.len() - 4);
    let response = verify_message(frame).unwrap().data_as_response().unwrap();
    assert_eq!((response.id(), response.accepted(), response.error()), (9, true, None));
    check(response);
}

pub(super) fn reply(reply: Reply, check: impl FnOnce(WireResponse<'_>)) {
    respond(ResponseBody::Shard(reply), check);
}

#[test]
fn refusals() {
    let mut encoder = Encoder::new();
    for (error, class) in [
        (CommandError::error("a"), "Error"),
        (CommandError::type_error("b"), "TypeError"),
        (CommandError::not_found("c"), "NotFoundError"),
    ] {
        let reason = error.reason.clone();
        let frame = encoder.response(&Response { id: 3.into(), result: Err(error) });
        let response = verify_message(frame).unwrap().data_as_response().unwrap();
        assert_eq!((response.id(), response.accepted()), (3, false));
        assert_eq!((response.error(), response.reason()), (Some(class), Some(reason.as_str())));
        assert!(response.body().is_none());
    }
}

#[test]
fn plain_accepts() {
    reply(Reply::Done, |response| assert!(response.body().is_none()));
    reply(Reply::ShardReport(Box::default()), |response| assert!(response.body().is_none()));
}

#[test]
fn worker_dump() {
    respond(ResponseBody::WorkerDump(Box::new(replies::worker_dump())), |response| {
        let dump = response.body_as_worker_dump_response().unwrap();
        assert_eq!(dump.pid(), 42);
        assert_eq!(dump.web_rtc_server_ids().iter().collect::<Vec<_>>(), ["w"]);
        assert_eq!(dump.router_ids().iter().collect::<Vec<_>>(), ["r1", "r2"]);
        assert_eq!(dump.channel_message_handlers().channel_request_handlers().len(), 1);
        assert_eq!(dump.channel_message_handlers().channel_notification_handlers().len(), 0);
        let shards = dump.ringsoup_shards().unwrap();
        assert_eq!(shards.len(), 2);
        let (first, second) = (shards.get(0), shards.get(1));
        assert_eq!((first.index(), first.started(), first.routers(), first.transports()), (0, true, 1, 2));
        assert_eq!((first.received_packets(), first.forwarded_packets()), (10, 7));
        assert_eq!((first.consumed_packets(), first.sent_packets()), (1, 20));
        let dropped = first.dropped().unwrap().get(0);
        assert_eq!((dropped.reason(), dropped.count()), ("duplicate", 2));
        let io = first.io().unwrap().get(0);
        assert_eq!((io.name(), io.value()), ("sends", 5));
        let latency = first.latency().unwrap();
        assert_eq!((latency.shard(), latency.count(), latency.p99_us()), (0, 5, 99));
        assert_eq!(latency.encoded().unwrap().bytes(), [1, 2, 3]);
        assert_eq!((second.index(), second.started()), (1, false));
        assert!(second.latency().is_none());
    });
}

#[test]
fn resource_usage() {
    let usage =
        ResourceUsage { ru_utime: 1, ru_stime: 2, ru_maxrss: 3, ru_nivcsw: 16, ..ResourceUsage::default() };
    respond(ResponseBody::ResourceUsage(Box::new(usage)), |response| {
        let usage = response.body_as_worker_resource_usage_response().unwrap();
        assert_eq!((usage.ru_utime(), usage.ru_stime(), usage.ru_maxrss(), usage.ru_nivcsw()), (1, 2, 3, 16));
    });
}

#[test]
fn router_dump() {
    reply(Reply::RouterDump(Box::new(replies::router_dump())), |response| {
        let dump = response.body_as_router_dump_response().unwrap();
        assert_eq!(dump.id(), "r");
        assert_eq!(dump.transport_ids().iter().collect::<Vec<_>>(), ["t1", "t2"]);
        let consumers = dump.map_producer_id_consumer_ids().get(0);
        assert_eq!(consumers.key(), "p");
        assert_eq!(consumers.values().iter().collect::<Vec<_>>(), ["c1", "c2"]);
        let producer = dump.map_consumer_id_producer_id().get(0);
        assert_eq!((producer.key(), producer.value()), ("c1", "p"));
        assert_eq!(dump.rtp_observer_ids().iter().collect::<Vec<_>>(), ["o1", "o2"]);
        let observers = dump.map_producer_id_observer_ids();
        assert_eq!((observers.get(0).key(), observers.get(0).values().get(0)), ("p", "o2"));
        assert_eq!((observers.get(1).key(), observers.get(1).values().len()), ("p2", 0));
        assert_eq!(dump.map_data_producer_id_data_consumer_ids().len(), 0);
        assert_eq!(dump.map_data_consumer_id_data_producer_id().len(), 0);
        assert_eq!((dump.ringsoup_latency().unwrap().count(), dump.ringsoup_shard()), (5, Some(3)));
    });
}

pub(super) fn check_transport_dump(dump: transport::Dump<'_>) {
    assert_eq!((dump.id(), dump.direct()), ("t", true));
    assert_eq!(dump.producer_ids().iter().collect::<Vec<_>>(), ["p"]);
    assert_eq!(dump.consumer_ids().iter().collect::<Vec<_>>(), ["c"]);
    let entry = dump.map_ssrc_consumer_id().get(0);
    assert_eq!((entry.key(), entry.value()), (1, "c"));
    assert_eq!(dump.map_rtx_ssrc_consumer_id().get(0).key(), 2);
    assert_eq!((dump.data_producer_ids().len(), dump.data_consumer_ids().len()), (0, 0));
    let extensions = dump.recv_rtp_header_extensions();
    assert_eq!(
        (extensions.mid(), extensions.rid(), extensions.transport_wide_cc01()),
        (Some(1), None, Some(5))
    );
    let listener = dump.rtp_listener();
    assert_eq!(listener.ssrc_table().get(0).key(), 3);
    assert_eq!((listener.mid_table().get(0).key(), listener.mid_table().get(0).value()), ("m", "p"));
    assert_eq!(listener.rid_table().len(), 0);
    assert_eq!((dump.max_send_message_size(), dump.max_receive_message_size()), (262_144, 262_145));
    assert!(
        dump.sctp_parameters().is_none() && dump.sctp_state().is_none() && dump.sctp_listener().is_none()
    );
    let events: Vec<_> = dump.trace_event_types().iter().map(|event| event.0).collect();
    assert_eq!(events, [0, 1]);
}

#[test]
fn transport_dumps() {
    reply(Reply::DirectTransportDump(Box::new(replies::transport_dump())), |response| {
        check_transport_dump(response.body_as_direct_transport_dump_response().unwrap().base());
    });
    reply(Reply::PlainTransportDump(Box::new(replies::plain_transport_dump())), |response| {
        let dump = response.body_as_plain_transport_dump_response().unwrap();
        check_transport_dump(dump.base());
        assert!(dump.rtcp_mux() && dump.comedia());
        let tuple = dump.tuple();
        assert_eq!((tuple.local_address(), tuple.local_port()), ("9.9.9.1", 5000));
        assert_eq!((tuple.remote_ip(), tuple.remote_port()), (None, 0));
        assert_eq!(tuple.protocol(), transport::Protocol::UDP);
        let rtcp = dump.rtcp_tuple().unwrap();
        assert_eq!((rtcp.remote_ip(), rtcp.remote_port()), (Some("::1"), 6000));
        let srtp = dump.srtp_parameters().unwrap();
        assert_eq!((srtp.crypto_suite(), srtp.key_base64()), (SrtpCryptoSuite::AEAD_AES_256_GCM, "AAECAw=="));
    });
}

#[test]
fn pipe_transport() {
    reply(Reply::PipeTransportDump(Box::new(replies::pipe_transport_dump())), |response| {
        let dump = response.body_as_pipe_transport_dump_response().unwrap();
        check_transport_dump(dump.base());
        assert_eq!((dump.rtx(), dump.tuple().remote_port()), (true, 6000));
        assert_eq!(dump.srtp_parameters().unwrap().crypto_suite(), SrtpCryptoSuite::AEAD_AES_256_GCM);
    });
    let stats = PipeTransportStats { base: replies::transport_stats(), tuple: replies::tuple(None) };
    reply(Reply::PipeTransportStats(Box::new(stats)), |response| {
        let stats = response.body_as_pipe_transport_get_stats_response().unwrap();
        assert_eq!((stats.base().bytes_received(), stats.tuple().local_port()), (1, 5000));
    });
    let tuple = replies::tuple(Some("[::1]:6000"));
    reply(Reply::PipeConnect { key: PipeKey(7), tuple, peer_srtp: None }, |response| {
        let connected = response.body_as_pipe_transport_connect_response().unwrap();
        assert_eq!(connected.tuple().remote_ip(), Some("::1"));
    });
}

#[test]
fn transport_stats() {
    let check = |stats: transport::Stats<'_>| {
        assert_eq!((stats.transport_id(), stats.timestamp()), ("t", 77));
        assert_eq!((stats.bytes_received(), stats.recv_bitrate()), (1, 2));
        assert_eq!((stats.probation_bytes_sent(), stats.probation_send_bitrate()), (13, 14));
        assert_eq!(stats.sctp_state(), None);
        assert_eq!(
            (stats.available_outgoing_bitrate(), stats.available_incoming_bitrate()),
            (Some(600_000), None)
        );
        // A limit of 0 is none.
        assert_eq!((stats.max_incoming_bitrate(), stats.max_outgoing_bitrate()), (Some(5_000_000_000), None));
        assert_eq!((stats.rtp_packet_loss_received(), stats.rtp_packet_loss_sent()), (Some(0.5), None));
    };
    reply(Reply::DirectTransportStats(Box::new(replies::transport_stats())), |response| {
        check(response.body_as_direct_transport_get_stats_response().unwrap().base());
    });
    reply(Reply::PlainTransportStats(Box::new(replies::plain_transport_stats())), |response| {
        let stats = response.body_as_plain_transport_get_stats_response().unwrap();
        check(stats.base());
        assert_eq!((stats.rtcp_mux(), stats.comedia()), (true, true));
        assert_eq!(stats.tuple().remote_ip(), Some("::1"));
        assert!(stats.rtcp_tuple().is_none());
    });
}

#[test]
fn connected_produced_and_set() {
    reply(Reply::PlainConnect(Box::new(replies::plain_connected())), |response| {
        let connected = response.body_as_plain_transport_connect_response().unwrap();
        assert!(connected.tuple().is_none() && connected.srtp_parameters().is_some());
        assert_eq!(connected.rtcp_tuple().unwrap().local_port(), 5000);
    });
    for (rtp_type, number) in
        [(RtpType::Simple, Type::SIMPLE), (RtpType::Simulcast, Type::SIMULCAST), (RtpType::Svc, Type::SVC)]
    {
        reply(Reply::Produce { rtp_type }, |response| {
            assert_eq!(response.body_as_transport_produce_response().unwrap().type_(), number);
        });
    }
    reply(Reply::Consume(replies::consume_reply()), |response| {
        let consumed = response.body_as_transport_consume_response().unwrap();
        assert!(consumed.paused() && !consumed.producer_paused());
        assert_eq!((consumed.score().score(), consumed.score().producer_score()), (10, 9));
        assert_eq!(consumed.score().producer_scores().bytes(), [9, 0]);
        let layers = consumed.preferred_layers().unwrap();
        assert_eq!((layers.spatial_layer(), layers.temporal_layer()), (0, Some(2)));
    });
    reply(Reply::SetPreferredLayers(None), |response| {
        let body = response.body_as_consumer_set_preferred_layers_response().unwrap();
        assert!(body.preferred_layers().is_none());
    });
    reply(Reply::SetPreferredLayers(Some(Layers { spatial: 1, temporal: None })), |response| {
        let body = response.body_as_consumer_set_preferred_layers_response().unwrap();
        let layers = body.preferred_layers().unwrap();
        assert_eq!((layers.spatial_layer(), layers.temporal_layer()), (1, None));
    });
    reply(Reply::SetPriority(255), |response| {
        assert_eq!(response.body_as_consumer_set_priority_response().unwrap().priority(), 255);
    });
}

#[test]
fn producer_dump() {
    reply(Reply::ProducerDump(Box::new(replies::producer_dump())), |response| {
        let dump = response.body_as_producer_dump_response().unwrap();
        assert_eq!(
            (dump.id(), dump.kind(), dump.type_(), dump.paused()),
            ("p", WireKind::VIDEO, Type::SIMULCAST, true)
        );
        // Reading it as a request's parameters gives back what was put in, but for what dumps keep to themselves.
        let dumped = rtp_parameters::dumped(&samples::rich_parameters(), Dumps::Published);
        assert_eq!(rtp_parameters::decode(dump.rtp_parameters()).unwrap(), dumped);
        assert_eq!(rtp_parameters::decode_mapping(dump.rtp_mapping()), samples::rich_mapping());
        let stream = dump.rtp_streams().get(0);
        assert_eq!((stream.score(), stream.params().ssrc(), stream.params().cname()), (10, 1111, "c"));
        // Present though empty: the Node library reads its length.
        assert_eq!(stream.params().rid(), Some(""));
        assert_eq!((stream.params().rtx_ssrc(), stream.params().rtx_payload_type()), (Some(1112), Some(97)));
        let rtx = stream.rtx_stream().unwrap().params();
        assert_eq!((rtx.ssrc(), rtx.mime_type(), rtx.rrid()), (1112, "video/rtx", Some("")));
        let events: Vec<_> = dump.trace_event_types().iter().collect();
        use producer::TraceEventType as T;
        assert_eq!(events, [T::RTP, T::KEYFRAME, T::NACK, T::PLI, T::FIR]);
    });
}

#[test]
fn absent_texts_are_empty_where_the_original_writes_them() {
    let mut dump = replies::producer_dump();
    dump.rtp_parameters.mid = None;
    dump.rtp_parameters.msid = None;
    dump.rtp_parameters.rtcp.cname = None;
    dump.rtp_parameters.codecs[0].channels = Some(1);
    reply(Reply::ProducerDump(Box::new(dump)), |response| {
        let parameters = response.body_as_producer_dump_response().unwrap().rtp_parameters();
        assert_eq!(
            (parameters.mid(), parameters.msid(), parameters.rtcp().cname()),
            (Some(""), Some(""), Some(""))
        );
        let codec: wire_parameters::RtpCodecParameters<'_> = parameters.codecs().get(0);
        assert_eq!(codec.channels(), None);
        assert_eq!(codec.rtcp_feedback().unwrap().get(0).parameter(), None);
        assert_eq!(codec.parameters().unwrap().get(0).value_type(), Value::Integer32, "booleans are lost");
        let bare = parameters.encodings().get(1);
        assert_eq!((bare.ssrc(), bare.rid(), bare.scalability_mode()), (None, None, Some("S1T1")));
        assert!(bare.rtx().is_none() && bare.max_bitrate().is_none());
        let extension = parameters.header_extensions().get(1);
        assert_eq!(extension.parameters().unwrap().len(), 0);
    });
}

#[test]
fn consumer_dump() {
    reply(Reply::ConsumerDump(Box::new(replies::consumer_dump())), |response| {
        let dump = response.body_as_consumer_dump_response().unwrap().data();
        let base = dump.base();
        assert_eq!((base.id(), base.producer_id(), base.type_()), ("c", "p", Type::SIMPLE));
        assert_eq!(base.consumable_rtp_encodings().len(), 2);
        assert_eq!(base.supported_codec_payload_types().bytes(), [100]);
        assert_eq!((base.paused(), base.producer_paused(), base.priority()), (false, true, 1));
        use consumer::TraceEventType as T;
        assert_eq!(base.trace_event_types().iter().collect::<Vec<_>>(), [T::RTP, T::FIR]);
        assert_eq!(dump.rtp_streams().len(), 1);
        assert_eq!((dump.preferred_spatial_layer(), dump.preferred_temporal_layer()), (Some(-1), Some(-1)));
        assert_eq!((dump.target_spatial_layer(), dump.target_temporal_layer()), (Some(-1), Some(-1)));
        assert_eq!((dump.current_spatial_layer(), dump.current_temporal_layer()), (Some(-1), Some(-1)));
    });
}

fn check_base(stats: Stats<'_>) {
    assert_eq!(stats.data_type(), StatsData::BaseStats);
    let base: WireBaseStats<'_> = stats.data_as_base_stats().unwrap();
    assert_eq!((base.timestamp(), base.ssrc(), base.kind()), (77, 1111, WireKind::VIDEO));
    assert_eq!((base.mime_type(), base.packets_lost(), base.fraction_lost()), ("video/VP8", -3, 12));
    assert_eq!((base.rid(), base.rtx_ssrc(), base.score()), (None, Some(1112), 10));
    assert!((base.round_trip_time() - 1.5).abs() < f32::EPSILON);
}

#[test]
fn stream_stats() {
    reply(Reply::ProducerStats(vec![replies::recv_stats()]), |response| {
        let stats = response.body_as_producer_get_stats_response().unwrap().stats().get(0);
        assert_eq!(stats.data_type(), StatsData::RecvStats);
        let recv = stats.data_as_recv_stats().unwrap();
        check_base(recv.base());
        assert_eq!((recv.packet_count(), recv.byte_count(), recv.bitrate()), (1, 2, 3));
        let layer = recv.bitrate_by_layer().get(0);
        assert_eq!((layer.layer(), layer.bitrate()), ("0.1", 4));
    });
    reply(Reply::ConsumerStats(Box::new(replies::consumer_stats())), |response| {
        let stats = response.body_as_consumer_get_stats_response().unwrap().stats();
        assert_eq!((stats.len(), stats.get(1).data_type()), (2, StatsData::RecvStats));
        let sent = stats.get(0).data_as_send_stats().unwrap();
        check_base(sent.base());
        assert_eq!((sent.packet_count(), sent.byte_count(), sent.bitrate()), (5, 6, 7));
    });
}
