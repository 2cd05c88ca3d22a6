use ringsoup_sfu::command::{
    ActiveSpeakerObserverOptions, ErrorClass, ListenInfo, PipeConnect, PipeTransportOptions, Produce,
    Protocol, TransportCommand, TransportOptions,
};
use ringsoup_sfu::event::LogLine;
use ringsoup_sfu::piped::{PipeEnd, PipeKey};
use ringsoup_sfu::reply::{PipeTransportDump, ShardReport, TransportDump, Tuple};
use ringsoup_sfu::rtp_parameters::{MediaKind, RtcpParameters, RtpMapping, RtpParameters};

use super::*;
use crate::behaviour::Behaviour;
use crate::message::{BadBody, RequestBody};
use crate::settings::{LogTags, Verbosity};
use crate::version::Version;

/// A controller with quiet logs and its effects as they come.
pub(super) struct Bench {
    pub(super) controller: Controller,
    next_id: u32,
}

/// A command that was passed on.
pub(super) struct Sent {
    pub(super) shard: u16,
    pub(super) token: u64,
    pub(super) command: Command,
}

pub(super) fn bench(shards: u16) -> Bench {
    bench_of("3.27.1", shards)
}

/// With a controller of that version.
fn bench_of(version: &str, shards: u16) -> Bench {
    let log = LogSettings { verbosity: Verbosity::None, tags: LogTags::default() };
    let errors = Behaviour::of(Version::parse(version).unwrap()).errors;
    Bench { controller: Controller::new(&ControllerConfig { pid: 0, shards, log, errors }), next_id: 0 }
}

pub(super) fn one<T>(mut items: Vec<T>) -> T {
    assert_eq!(items.len(), 1);
    items.pop().unwrap()
}

impl Bench {
    pub(super) fn request(&mut self, method: Method, handler: &str, body: RequestBody) -> Vec<Effect> {
        self.next_id += 1;
        let mut out = Vec::new();
        let request = Request { id: self.next_id.into(), method, handler_id: handler.into(), body: Ok(body) };
        self.controller.handle_incoming(Incoming::Request(request), &mut out);
        out
    }

    pub(super) fn sent(&mut self, method: Method, handler: &str, body: RequestBody) -> Sent {
        match one(self.request(method, handler, body)) {
            Effect::Command { shard, token, command } => Sent { shard: shard.0, token, command },
            other => panic!("{other:?}"),
        }
    }

    pub(super) fn refused(
        &mut self,
        method: Method,
        handler: &str,
        body: RequestBody,
    ) -> (ErrorClass, String) {
        match one(self.request(method, handler, body)) {
            Effect::Respond(Response { result: Err(error), .. }) => (error.class, error.reason),
            other => panic!("{other:?}"),
        }
    }

    pub(super) fn reply(&mut self, token: u64, result: Result<Reply, CommandError>) -> Vec<Effect> {
        let mut out = Vec::new();
        self.controller.handle_reply(token, result, &mut out);
        out
    }

    pub(super) fn done(&mut self, method: Method, handler: &str, body: RequestBody) -> Sent {
        let sent = self.sent(method, handler, body);
        let effect = one(self.reply(sent.token, Ok(Reply::Done)));
        assert!(matches!(effect, Effect::Respond(Response { result: Ok(_), .. })));
        sent
    }

    pub(super) fn room(&mut self) {
        self.done(Method::WorkerCreateRouter, "", router("r"));
        self.done(Method::RouterCreateDirectTransport, "r", direct("t"));
        self.done(Method::TransportProduce, "t", produce("p"));
    }
}

pub(super) fn router(name: &str) -> RequestBody {
    RequestBody::CreateRouter { router: name.into() }
}

fn close_router(name: &str) -> RequestBody {
    RequestBody::CloseRouter { router: name.into() }
}

pub(super) fn base_options() -> TransportOptions {
    TransportOptions {
        direct: false,
        initial_available_outgoing_bitrate: None,
        enable_sctp: false,
        max_send_message_size: 0,
        max_receive_message_size: 0,
        sctp_send_buffer_size: 0,
        sctp_per_stream_send_queue_limit: 0,
        sctp_max_receiver_window_buffer_size: 0,
        sctp_default_stream_buffered_amount_low_threshold: 0,
        num_sctp_streams: None,
        is_data_channel: false,
    }
}

pub(super) fn direct(name: &str) -> RequestBody {
    let options = TransportOptions { direct: true, ..base_options() };
    RequestBody::CreateDirectTransport { transport: name.into(), options }
}

fn produce(name: &str) -> RequestBody {
    RequestBody::Produce(Box::new(Produce {
        producer: name.into(),
        kind: MediaKind::Audio,
        rtp_parameters: RtpParameters {
            mid: None,
            codecs: Vec::new(),
            header_extensions: Vec::new(),
            encodings: Vec::new(),
            rtcp: RtcpParameters { cname: None, reduced_size: false },
            msid: None,
        },
        rtp_mapping: RtpMapping { codecs: Vec::new(), encodings: Vec::new() },
        paused: false,
        key_frame_request_delay: 0,
        enable_packet_id: false,
    }))
}

#[test]
fn an_unknown_handler_is_not_found_and_says_where() {
    let mut bench = bench(1);
    let refused = bench.refused(Method::RouterDump, "nobody", RequestBody::None);
    let reason = "Channel request handler with ID nobody not found [method:router.dump]";
    assert_eq!(refused, (ErrorClass::NotFound, reason.into()));
}

/// Whoever refuses: control by its books, or a shard.
#[test]
fn older_controllers_read_the_method_behind_every_reason() {
    let mut bench = bench_of("3.19.22", 1);
    let reason = "Channel request handler with ID nobody not found [method:router.dump]";
    let refused = bench.refused(Method::RouterDump, "nobody", RequestBody::None);
    assert_eq!(refused, (ErrorClass::Error, reason.into()));
    bench.room();
    let refused = bench.refused(Method::ProducerPause, "t", RequestBody::None);
    assert_eq!(refused.1, "unknown method 'producer.pause' [method:producer.pause]");
    let refused = bench.refused(Method::WorkerCreateRouter, "", router("r"));
    assert_eq!(refused.1, "a Router with same routerId already exists [method:worker.createRouter]");
    let sent = bench.sent(Method::TransportProduce, "t", produce("p2"));
    match one(bench.reply(sent.token, Err(CommandError::type_error("empty codecs")))) {
        Effect::Respond(Response { result: Err(error), .. }) => {
            let expected = CommandError::type_error("empty codecs [method:transport.produce]");
            assert_eq!(error, expected);
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_request_to_close_is_answered_and_then_closes() {
    let effects = bench_of("3.19.17", 1).request(Method::WorkerClose, "", RequestBody::None);
    assert!(
        matches!(
            effects[..],
            [Effect::Respond(Response { id: RequestId { number: 1, .. }, result: Ok(_) }), Effect::Close]
        ),
        "{effects:?}"
    );
}

#[test]
fn a_bad_body_is_reported_after_an_unknown_handler() {
    let mut bench = bench(1);
    let mut ask = |handler: &str| {
        let body = Err(CommandError::type_error("bad ip").into());
        let method = Method::RouterCreatePlainTransport;
        let mut out = Vec::new();
        let request = Request { id: 1.into(), method, handler_id: handler.into(), body };
        bench.controller.handle_incoming(Incoming::Request(request), &mut out);
        if handler.is_empty() {
            bench.done(Method::WorkerCreateRouter, "", router("r"));
        }
        match one(out) {
            Effect::Respond(Response { result: Err(error), .. }) => error.class,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(ask(""), ErrorClass::NotFound);
    assert_eq!(ask("r"), ErrorClass::TypeError);
}

#[test]
fn a_taken_name_is_told_before_a_bad_body_and_a_foreign_one_after_it() {
    let mut bench = bench(1);
    bench.room();
    let mut refused = |method, handler: &str, child: &str| {
        let bad = BadBody { error: CommandError::type_error("bad"), child: Some(child.into()) };
        let request = Request { id: 1.into(), method, handler_id: handler.into(), body: Err(bad) };
        let mut out = Vec::new();
        bench.controller.handle_incoming(Incoming::Request(request), &mut out);
        match one(out) {
            Effect::Respond(Response { result: Err(error), .. }) => error.reason,
            other => panic!("{other:?}"),
        }
    };
    for (method, handler, child, reason) in [
        (Method::RouterCreatePlainTransport, "r", "t", "a Transport with same id already exists"),
        (Method::RouterCreatePipeTransport, "r", "t", "a Transport with same id already exists"),
        (Method::TransportProduce, "t", "p", "a Producer with same producerId already exists"),
    ] {
        let reason = format!("{reason} [method:{}]", method.name());
        assert_eq!(refused(method, handler, child), reason);
        assert_eq!(refused(method, handler, "free"), "bad");
        assert_eq!(refused(method, handler, "r"), "bad", "somebody else's");
    }
    assert_eq!(refused(Method::TransportConsume, "t", "p"), "bad", "a sibling of another kind");
    assert_eq!(refused(Method::TransportConsume, "p", "p"), "unknown method 'transport.consume'");
}

#[test]
fn foreign_and_missing_methods_are_told_apart() {
    let mut bench = bench(1);
    bench.room();
    let mut reason = |method, handler: &str| bench.refused(method, handler, RequestBody::None).1;
    assert_eq!(reason(Method::ProducerPause, "t"), "unknown method 'producer.pause'");
    assert_eq!(reason(Method::PlainTransportConnect, "t"), "unknown method 'plainTransport.connect'");
    assert_eq!(reason(Method::TransportConnect, "t"), "unknown method 'transport.connect'");
    assert_eq!(reason(Method::WebRtcTransportConnect, "t"), "unknown method 'webRtcTransport.connect'");
    assert_eq!(reason(Method::TransportRestartIce, "t"), "unknown method 'transport.restartIce'");
    assert_eq!(reason(Method::RtpObserverPause, "r"), "unknown method 'rtpObserver.pause'");
    let close = RequestBody::CloseRtpObserver { observer: "nobody".into() };
    assert_eq!(
        bench.refused(Method::RouterCloseRtpObserver, "r", close).1,
        "RtpObserver not found [method:router.closeRtpObserver]"
    );
    let close = RequestBody::CloseWebRtcServer { server: "nobody".into() };
    assert_eq!(
        bench.refused(Method::WorkerCloseWebRtcServer, "", close),
        (ErrorClass::NotFound, "WebRtcServer not found [method:worker.closeWebRtcServer]".into())
    );
}

#[test]
fn a_taken_name_is_refused_in_the_words_of_its_place() {
    let mut bench = bench(2);
    bench.room();
    bench.done(Method::WorkerCreateRouter, "", router("r2"));
    let mut reason = |method, handler: &str, body| bench.refused(method, handler, body).1;
    assert_eq!(
        reason(Method::WorkerCreateRouter, "", router("r")),
        "a Router with same routerId already exists [method:worker.createRouter]"
    );
    assert_eq!(
        reason(Method::RouterCreateDirectTransport, "r", direct("t")),
        "a Transport with same id already exists [method:router.createDirectTransport]"
    );
    assert_eq!(
        reason(Method::TransportProduce, "t", produce("p")),
        "a Producer with same producerId already exists [method:transport.produce]"
    );
    for (method, handler, body, name) in [
        (Method::WorkerCreateRouter, "", router("p"), "p"),
        (Method::RouterCreateDirectTransport, "r2", direct("t"), "t"),
        (Method::TransportProduce, "t", produce("r2"), "r2"),
    ] {
        let expected = format!("Channel request handler with ID {name} already exists");
        assert_eq!(reason(method, handler, body), expected);
    }
}

#[test]
fn pipelined_requests_follow_their_router_before_it_is_confirmed() {
    let mut bench = bench(4);
    let create = bench.sent(Method::WorkerCreateRouter, "", router("r"));
    let transport = bench.sent(Method::RouterCreateDirectTransport, "r", direct("t"));
    let producer = bench.sent(Method::TransportProduce, "t", produce("p"));
    assert_eq!((create.shard, create.shard), (transport.shard, producer.shard));
    assert_eq!(bench.controller.pending_count(), 3);

    bench.reply(create.token, Err(CommandError::error("no")));
    bench.reply(transport.token, Err(CommandError::not_found("no router")));
    assert!(bench.controller.registry.request_handlers().is_empty());
    // The name is free again.
    bench.done(Method::WorkerCreateRouter, "", router("r"));
}

#[test]
fn replies_of_shards_may_cross() {
    let mut bench = bench(2);
    let first = bench.sent(Method::WorkerCreateRouter, "", router("a"));
    let second = bench.sent(Method::WorkerCreateRouter, "", router("b"));
    assert_ne!(first.shard, second.shard);
    let answered = |effects: Vec<Effect>| match one(effects) {
        Effect::Respond(Response { id, result: Ok(_) }) => id,
        other => panic!("{other:?}"),
    };
    assert_eq!(answered(bench.reply(second.token, Ok(Reply::Done))), 2);
    assert_eq!(answered(bench.reply(first.token, Ok(Reply::Done))), 1);
    assert!(bench.reply(first.token, Ok(Reply::Done)).is_empty());
}

#[test]
fn a_closed_name_is_gone_with_its_children_at_once() {
    let mut bench = bench(1);
    bench.room();
    let closing = bench.sent(Method::WorkerCloseRouter, "", close_router("r"));
    assert!(matches!(closing.command, Command::CloseRouter { .. }));
    assert_eq!(bench.refused(Method::ProducerDump, "p", RequestBody::None).0, ErrorClass::NotFound);
    assert_eq!(
        bench.refused(Method::WorkerCloseRouter, "", close_router("r")),
        (ErrorClass::NotFound, "Router not found [method:worker.closeRouter]".into())
    );
}

#[test]
fn closing_a_child_of_another_is_not_found() {
    let mut bench = bench(1);
    bench.room();
    bench.done(Method::RouterCreateDirectTransport, "r", direct("t2"));
    let close = || RequestBody::CloseProducer { producer: "p".into() };
    assert_eq!(
        bench.refused(Method::TransportCloseProducer, "t2", close()).1,
        "Producer not found [method:transport.closeProducer]"
    );
    bench.done(Method::TransportCloseProducer, "t", close());
    assert!(!bench.controller.registry.contains("p"));
}

#[test]
fn a_consumer_leaves_with_its_producer() {
    let mut bench = bench(1);
    bench.room();
    assert!(bench.controller.registry.insert_child(&"c".into(), Kind::Consumer, "t", Birth(99)));
    let mut out = Vec::new();
    bench.controller.handle_event(Event::ConsumerProducerClose { consumer: "c".into() }, &mut out);
    assert!(matches!(one(out), Effect::Notify(Event::ConsumerProducerClose { .. })));
    assert!(!bench.controller.registry.contains("c"));
}

#[test]
fn the_end_of_an_earlier_owner_does_not_take_the_name_from_the_next() {
    let mut bench = bench(1);
    bench.room();
    let close = || RequestBody::CloseProducer { producer: "p".into() };
    bench.sent(Method::TransportCloseProducer, "t", close());
    let again = bench.sent(Method::TransportProduce, "t", produce("p"));
    let closed = || Event::ConsumerProducerClose { consumer: "p".into() };
    bench.controller.handle_event(closed(), &mut Vec::new());
    assert!(bench.controller.registry.contains("p"), "told before the new one was confirmed");
    bench.reply(again.token, Ok(Reply::Done));
    bench.controller.handle_event(closed(), &mut Vec::new());
    assert!(!bench.controller.registry.contains("p"));
}

#[test]
fn observers_live_on_their_router_and_leave_with_it() {
    let mut bench = bench(2);
    bench.room();
    let observer = |name: &str| RequestBody::CreateActiveSpeakerObserver {
        observer: name.into(),
        options: ActiveSpeakerObserverOptions { interval_ms: 300 },
    };
    let create = Method::RouterCreateActiveSpeakerObserver;
    let created = bench.done(create, "r", observer("o"));
    let reason = "an RtpObserver with same id already exists [method:router.createActiveSpeakerObserver]";
    assert_eq!(bench.refused(create, "r", observer("o")), (ErrorClass::Error, reason.into()));
    let taken = "Channel request handler with ID p already exists";
    assert_eq!(bench.refused(create, "r", observer("p")), (ErrorClass::Error, taken.into()));
    let add = RequestBody::ObserverProducer { producer: "p".into() };
    let added = bench.done(Method::RtpObserverAddProducer, "o", add);
    assert_eq!(added.shard, created.shard);
    assert!(!bench.controller.registry.notification_handlers().contains(&"o".into()));
    bench.done(Method::WorkerCloseRouter, "", close_router("r"));
    let gone = bench.refused(Method::RtpObserverPause, "o", RequestBody::None);
    let reason = "Channel request handler with ID o not found [method:rtpObserver.pause]";
    assert_eq!(gone, (ErrorClass::NotFound, reason.into()));
}

#[test]
fn a_failed_transport_leaves_with_everything_on_it() {
    let mut bench = bench(1);
    bench.room();
    let failed = Event::TransportFailed { transport: "t".into(), router: "r".into() };
    bench.controller.handle_event(failed, &mut Vec::new());
    assert_eq!(bench.controller.registry.request_handlers(), vec![Name::from("r")]);
}

#[test]
fn the_dump_of_an_idle_worker_starts_no_shard() {
    let mut bench = bench(3);
    match one(bench.request(Method::WorkerDump, "", RequestBody::None)) {
        Effect::Respond(Response { result: Ok(ResponseBody::WorkerDump(dump)), .. }) => {
            assert_eq!(dump.shards.len(), 3);
            assert!(dump.shards.iter().all(|shard| shard.report.is_none()));
            assert!(dump.request_handlers.is_empty());
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_dump_waits_for_every_started_shard_and_for_no_lost_one() {
    let mut bench = bench(3);
    bench.room();
    bench.done(Method::WorkerCreateRouter, "", router("r2"));
    let asked: Vec<(ShardIndex, u64)> = bench
        .request(Method::WorkerDump, "", RequestBody::None)
        .into_iter()
        .map(|effect| match effect {
            Effect::Command { shard, token, command: Command::ReportShard } => (shard, token),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(asked.len(), 2);
    let report = Box::new(ShardReport { routers: 1, ..ShardReport::default() });
    assert!(bench.reply(asked[1].1, Ok(Reply::ShardReport(report))).is_empty());
    let mut out = Vec::new();
    bench.controller.handle_shard_lost(asked[0].0, "test", &mut out);
    match one(out) {
        Effect::Respond(Response { result: Ok(ResponseBody::WorkerDump(dump)), .. }) => {
            assert_eq!(dump.routers.len(), 2);
            let reported: Vec<u16> = (dump.shards.iter())
                .filter(|shard| shard.report.is_some())
                .map(|shard| shard.index)
                .collect();
            assert_eq!(reported, vec![asked[1].0.0]);
            let reports = dump.shards.iter().filter_map(|shard| shard.report.as_ref());
            let counters = reports.flat_map(|report| &report.io);
            let of_control: Vec<_> = counters.filter(|(name, _)| name.starts_with("control_")).collect();
            assert_eq!(of_control.len(), 5, "each stands once");
            assert!(of_control.contains(&&("control_pending", 0)), "{of_control:?}");
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_lost_shard_answers_its_requests_and_frees_its_names() {
    let mut bench = bench(2);
    let create = bench.sent(Method::WorkerCreateRouter, "", router("r"));
    let mut out = Vec::new();
    bench.controller.handle_shard_lost(ShardIndex(create.shard), "no memory", &mut out);
    assert!(matches!(
        one(out),
        Effect::Respond(Response { id: RequestId { number: 1, .. }, result: Err(_) })
    ));
    let again = bench.sent(Method::WorkerCreateRouter, "", router("r"));
    assert_ne!(again.shard, create.shard);
}

#[test]
fn settings_change_what_is_logged() {
    let mut bench = bench(1);
    let line = || LogLine { level: LogLevel::Warn, tag: LogTag::Rtp, text: "Rtp::f() | x".into() };
    let mut out = Vec::new();
    bench.controller.handle_event(Event::Log(line()), &mut out);
    assert!(out.is_empty());

    let update = |level: &str| RequestBody::UpdateSettings {
        log_level: Some(level.into()),
        log_tags: Some(vec!["rtp".into()]),
    };
    let refused = bench.refused(Method::WorkerUpdateSettings, "", update("chicken"));
    assert_eq!(refused, (ErrorClass::TypeError, "invalid value 'chicken' for logLevel".into()));
    assert_eq!(bench.request(Method::WorkerUpdateSettings, "", update("warn")).len(), 1);
    bench.controller.handle_event(Event::Log(line()), &mut out);
    assert!(matches!(one(out), Effect::Log(line) if line == "WRtp::f() | x"));
}

#[test]
fn notifications_reach_direct_transports_and_producers_only() {
    let mut bench = bench(1);
    bench.room();
    let mut tell = |handler: &str, body| {
        let mut out = Vec::new();
        let notification = Notification { handler_id: handler.into(), body };
        bench.controller.handle_incoming(Incoming::Notification(notification), &mut out);
        out
    };
    assert_eq!(tell("t", NotificationBody::TransportSendRtcp(vec![1])).len(), 1);
    assert_eq!(tell("p", NotificationBody::ProducerSend(vec![1])).len(), 1);
    assert!(tell("p", NotificationBody::TransportSendRtcp(vec![1])).is_empty());
    assert!(tell("nobody", NotificationBody::ProducerSend(vec![1])).is_empty());
    assert!(matches!(one(tell("", NotificationBody::WorkerClose)), Effect::Close));
}

#[test]
fn an_undecodable_request_is_answered() {
    let mut bench = bench(1);
    let mut out = Vec::new();
    let error = CommandError::error("unknown method '200'");
    bench.controller.handle_undecodable(DecodeError { request_id: Some(9.into()), error }, &mut out);
    assert!(matches!(
        one(out),
        Effect::Respond(Response { id: RequestId { number: 9, .. }, result: Err(_) })
    ));
}

#[test]
fn long_log_lines_are_cut_at_a_character() {
    let mut bench = bench(1);
    bench.controller.log.verbosity = Verbosity::Error;
    let mut out = Vec::new();
    bench.controller.log(LogLevel::Error, LogTag::Info, &"é".repeat(LOG_BYTES_MAX), &mut out);
    assert!(matches!(one(out), Effect::Log(line) if line.len() <= LOG_BYTES_MAX && line.ends_with('é')));
}

fn pipe(name: &str) -> RequestBody {
    let RequestBody::CreateDirectTransport { options: base, .. } = direct("") else { unreachable!() };
    let listen_info = ListenInfo {
        protocol: Protocol::Udp,
        ip: [127, 0, 0, 1].into(),
        announced_address: None,
        expose_internal_ip: false,
        port: 0,
        port_range: (0, 0),
        ipv6_only: false,
        udp_reuse_port: false,
        send_buffer_size: 0,
        recv_buffer_size: 0,
    };
    let options = Box::new(PipeTransportOptions { base, listen_info, enable_rtx: false, enable_srtp: false });
    RequestBody::CreatePipeTransport { transport: name.into(), options }
}

fn tuple(local_port: u16, remote_port: Option<u16>) -> Tuple {
    let remote = remote_port.map(|port| ([127, 0, 0, 1], port).into());
    Tuple { local_address: "127.0.0.1".into(), local_port, remote, protocol: Protocol::Udp }
}

impl Bench {
    /// A pipe transport bound to `port`.
    fn open_pipe(&mut self, router_name: &str, name: &str, port: u16) -> PipeKey {
        self.done(Method::WorkerCreateRouter, "", router(router_name));
        let sent = self.sent(Method::RouterCreatePipeTransport, router_name, pipe(name));
        let Command::CreatePipeTransport { key, .. } = sent.command else { panic!("{:?}", sent.command) };
        let bound = ([127, 0, 0, 1], port).into();
        let (base, tuple) = (TransportDump::default(), tuple(port, None));
        let dump = PipeTransportDump { base, key, bound, tuple, rtx: false, srtp_parameters: None };
        self.reply(sent.token, Ok(Reply::PipeTransportDump(Box::new(dump))));
        key
    }

    /// What follows when it connects.
    fn connect_pipe(&mut self, name: &str, key: PipeKey, port: u16, remote_port: u16) -> Vec<Effect> {
        let request =
            PipeConnect { ip: Ok([127, 0, 0, 1].into()), port: Some(remote_port), srtp_parameters: None };
        let sent = self.sent(Method::PipeTransportConnect, name, RequestBody::ConnectPipeTransport(request));
        let tuple = tuple(port, Some(remote_port));
        self.reply(sent.token, Ok(Reply::PipeConnect { key, tuple, peer_srtp: None }))
    }

    fn joined_pipes(&mut self) -> [PipeKey; 2] {
        let near = self.open_pipe("r1", "near", 1_001);
        let far = self.open_pipe("r2", "far", 1_002);
        assert_eq!(introductions(&self.connect_pipe("near", near, 1_001, 1_002)), []);
        let effects = self.connect_pipe("far", far, 1_002, 1_001);
        let mut told = introductions(&effects);
        told.sort_by_key(|(shard, ..)| *shard);
        let end = |key, shard| Some(PipeEnd { key, shard });
        assert_eq!(told, [(0, "near".into(), end(far, 1)), (1, "far".into(), end(near, 0))]);
        assert!(
            matches!(effects.last(), Some(Effect::Respond(_))),
            "the ends know before the controller does"
        );
        [near, far]
    }
}

fn introductions(effects: &[Effect]) -> Vec<(u16, Name, Option<PipeEnd>)> {
    let told = effects.iter().filter_map(|effect| match effect {
        Effect::Command {
            shard,
            command: Command::Transport { transport, command: TransportCommand::JoinPipe(other) },
            ..
        } => Some((shard.0, transport.clone(), *other)),
        _ => None,
    });
    told.collect()
}

#[test]
fn pipes_of_one_process_are_introduced_and_told_when_the_other_closes() {
    let gone = |shard, name: &str| vec![(shard, Name::from(name), None)];
    let mut one = bench(2);
    one.joined_pipes();
    let body = RequestBody::CloseTransport { transport: "far".into() };
    assert_eq!(introductions(&one.request(Method::RouterCloseTransport, "r2", body)), gone(0, "near"));
    let mut one = bench(2);
    one.joined_pipes();
    let closed = one.request(Method::WorkerCloseRouter, "", close_router("r1"));
    assert_eq!(introductions(&closed), gone(1, "far"));
    let mut one = bench(2);
    one.joined_pipes();
    let mut out = Vec::new();
    let (transport, router) = ("near".into(), "r1".into());
    one.controller.handle_event(Event::TransportFailed { transport, router }, &mut out);
    assert_eq!(introductions(&out), gone(1, "far"));
    let mut one = bench(2);
    one.joined_pipes();
    let mut out = Vec::new();
    one.controller.handle_shard_lost(ShardIndex(1), "gone", &mut out);
    assert_eq!(introductions(&out), gone(0, "near"));
}

#[test]
fn ends_that_close_together_are_told_nothing() {
    let mut one = bench(1);
    one.done(Method::WorkerCreateRouter, "", router("r"));
    let mut keys = Vec::new();
    for (name, port) in [("near", 1_001), ("far", 1_002)] {
        let sent = one.sent(Method::RouterCreatePipeTransport, "r", pipe(name));
        let Command::CreatePipeTransport { key, .. } = sent.command else { panic!("{:?}", sent.command) };
        let bound = ([127, 0, 0, 1], port).into();
        let (base, tuple) = (TransportDump::default(), tuple(port, None));
        let dump = PipeTransportDump { base, key, bound, tuple, rtx: false, srtp_parameters: None };
        one.reply(sent.token, Ok(Reply::PipeTransportDump(Box::new(dump))));
        keys.push(key);
    }
    assert_ne!(keys[0], keys[1]);
    one.connect_pipe("near", keys[0], 1_001, 1_002);
    assert_eq!(introductions(&one.connect_pipe("far", keys[1], 1_002, 1_001)).len(), 2);
    assert!(introductions(&one.request(Method::WorkerCloseRouter, "", close_router("r"))).is_empty());
}

#[test]
fn a_refused_pipe_leaves_nothing_behind() {
    let mut one = bench(1);
    one.done(Method::WorkerCreateRouter, "", router("r"));
    let sent = one.sent(Method::RouterCreatePipeTransport, "r", pipe("p"));
    one.reply(sent.token, Err(CommandError::error("no more ports")));
    let again = one.sent(Method::RouterCreatePipeTransport, "r", pipe("p"));
    assert_ne!(again.token, sent.token);
    let refused = one.refused(Method::PlainTransportConnect, "p", RequestBody::None);
    assert_eq!(refused, (ErrorClass::Error, "unknown method 'plainTransport.connect'".into()));
}
