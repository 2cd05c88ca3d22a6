//! The methods of controllers before 3.13.0: by which text, of whom, and which request of the newest layout each is.

use crate::method::Method;
use crate::registry::Kind;
use crate::version::Version;

/// From here on requests say whom they are to, and `close` is asked of what holds the thing; before, `internal` has the
/// ids of everything above it.
pub(super) const HANDLER_IDS: Version = Version::new(3, 10, 6);
const WEB_RTC_SERVERS: Version = Version::new(3, 10, 0);
const MIN_OUTGOING_BITRATE: Version = Version::new(3, 11, 17);
const ALWAYS: Version = Version::new(0, 0, 0);

/// A method's text, as long as it was one.
#[derive(Debug, Clone, Copy)]
pub(super) struct Called {
    text: &'static str,
    pub(super) method: Method,
    /// Which of the ids in `internal` is the handler's; `None` for the worker.
    pub(super) handler: Option<&'static str>,
    since: Version,
    before: Version,
}

const fn called(text: &'static str, method: Method, handler: Option<&'static str>) -> Called {
    Called { text, method, handler, since: ALWAYS, before: crate::wire::OLDEST }
}

const fn until_handler_ids(text: &'static str, method: Method, handler: Option<&'static str>) -> Called {
    Called { before: HANDLER_IDS, ..called(text, method, handler) }
}

const fn since(since: Version, called: Called) -> Called {
    Called { since, ..called }
}

const ROUTER: Option<&str> = Some("routerId");
const SERVER: Option<&str> = Some("webRtcServerId");
const TRANSPORT: Option<&str> = Some("transportId");
const PRODUCER: Option<&str> = Some("producerId");
const CONSUMER: Option<&str> = Some("consumerId");
const DATA_PRODUCER: Option<&str> = Some("dataProducerId");
const DATA_CONSUMER: Option<&str> = Some("dataConsumerId");
const OBSERVER: Option<&str> = Some("rtpObserverId");

pub(super) const METHODS: &[Called] = &[
    called("worker.close", Method::WorkerClose, None),
    called("worker.dump", Method::WorkerDump, None),
    called("worker.getResourceUsage", Method::WorkerGetResourceUsage, None),
    called("worker.updateSettings", Method::WorkerUpdateSettings, None),
    since(WEB_RTC_SERVERS, called("worker.createWebRtcServer", Method::WorkerCreateWebRtcServer, None)),
    called("worker.createRouter", Method::WorkerCreateRouter, None),
    since(HANDLER_IDS, called("worker.closeWebRtcServer", Method::WorkerCloseWebRtcServer, None)),
    since(WEB_RTC_SERVERS, until_handler_ids("webRtcServer.close", Method::WorkerCloseWebRtcServer, None)),
    since(HANDLER_IDS, called("worker.closeRouter", Method::WorkerCloseRouter, None)),
    until_handler_ids("router.close", Method::WorkerCloseRouter, None),
    since(WEB_RTC_SERVERS, called("webRtcServer.dump", Method::WebRtcServerDump, SERVER)),
    called("router.dump", Method::RouterDump, ROUTER),
    called("router.createWebRtcTransport", Method::RouterCreateWebRtcTransport, ROUTER),
    since(
        WEB_RTC_SERVERS,
        called(
            "router.createWebRtcTransportWithServer",
            Method::RouterCreateWebRtcTransportWithServer,
            ROUTER,
        ),
    ),
    called("router.createPlainTransport", Method::RouterCreatePlainTransport, ROUTER),
    called("router.createPipeTransport", Method::RouterCreatePipeTransport, ROUTER),
    called("router.createDirectTransport", Method::RouterCreateDirectTransport, ROUTER),
    since(HANDLER_IDS, called("router.closeTransport", Method::RouterCloseTransport, ROUTER)),
    until_handler_ids("transport.close", Method::RouterCloseTransport, ROUTER),
    called("router.createActiveSpeakerObserver", Method::RouterCreateActiveSpeakerObserver, ROUTER),
    called("router.createAudioLevelObserver", Method::RouterCreateAudioLevelObserver, ROUTER),
    since(HANDLER_IDS, called("router.closeRtpObserver", Method::RouterCloseRtpObserver, ROUTER)),
    until_handler_ids("rtpObserver.close", Method::RouterCloseRtpObserver, ROUTER),
    called("transport.dump", Method::TransportDump, TRANSPORT),
    called("transport.getStats", Method::TransportGetStats, TRANSPORT),
    called("transport.connect", Method::TransportConnect, TRANSPORT),
    called("transport.setMaxIncomingBitrate", Method::TransportSetMaxIncomingBitrate, TRANSPORT),
    called("transport.setMaxOutgoingBitrate", Method::TransportSetMaxOutgoingBitrate, TRANSPORT),
    since(
        MIN_OUTGOING_BITRATE,
        called("transport.setMinOutgoingBitrate", Method::TransportSetMinOutgoingBitrate, TRANSPORT),
    ),
    called("transport.restartIce", Method::TransportRestartIce, TRANSPORT),
    called("transport.produce", Method::TransportProduce, TRANSPORT),
    called("transport.consume", Method::TransportConsume, TRANSPORT),
    called("transport.produceData", Method::TransportProduceData, TRANSPORT),
    called("transport.consumeData", Method::TransportConsumeData, TRANSPORT),
    called("transport.enableTraceEvent", Method::TransportEnableTraceEvent, TRANSPORT),
    since(HANDLER_IDS, called("transport.closeProducer", Method::TransportCloseProducer, TRANSPORT)),
    until_handler_ids("producer.close", Method::TransportCloseProducer, TRANSPORT),
    since(HANDLER_IDS, called("transport.closeConsumer", Method::TransportCloseConsumer, TRANSPORT)),
    until_handler_ids("consumer.close", Method::TransportCloseConsumer, TRANSPORT),
    since(HANDLER_IDS, called("transport.closeDataProducer", Method::TransportCloseDataProducer, TRANSPORT)),
    until_handler_ids("dataProducer.close", Method::TransportCloseDataProducer, TRANSPORT),
    since(HANDLER_IDS, called("transport.closeDataConsumer", Method::TransportCloseDataConsumer, TRANSPORT)),
    until_handler_ids("dataConsumer.close", Method::TransportCloseDataConsumer, TRANSPORT),
    called("producer.dump", Method::ProducerDump, PRODUCER),
    called("producer.getStats", Method::ProducerGetStats, PRODUCER),
    called("producer.pause", Method::ProducerPause, PRODUCER),
    called("producer.resume", Method::ProducerResume, PRODUCER),
    called("producer.enableTraceEvent", Method::ProducerEnableTraceEvent, PRODUCER),
    called("consumer.dump", Method::ConsumerDump, CONSUMER),
    called("consumer.getStats", Method::ConsumerGetStats, CONSUMER),
    called("consumer.pause", Method::ConsumerPause, CONSUMER),
    called("consumer.resume", Method::ConsumerResume, CONSUMER),
    called("consumer.setPreferredLayers", Method::ConsumerSetPreferredLayers, CONSUMER),
    called("consumer.setPriority", Method::ConsumerSetPriority, CONSUMER),
    called("consumer.requestKeyFrame", Method::ConsumerRequestKeyFrame, CONSUMER),
    called("consumer.enableTraceEvent", Method::ConsumerEnableTraceEvent, CONSUMER),
    called("dataProducer.dump", Method::DataProducerDump, DATA_PRODUCER),
    called("dataProducer.getStats", Method::DataProducerGetStats, DATA_PRODUCER),
    called("dataConsumer.dump", Method::DataConsumerDump, DATA_CONSUMER),
    called("dataConsumer.getStats", Method::DataConsumerGetStats, DATA_CONSUMER),
    called("dataConsumer.getBufferedAmount", Method::DataConsumerGetBufferedAmount, DATA_CONSUMER),
    called(
        "dataConsumer.setBufferedAmountLowThreshold",
        Method::DataConsumerSetBufferedAmountLowThreshold,
        DATA_CONSUMER,
    ),
    called("rtpObserver.pause", Method::RtpObserverPause, OBSERVER),
    called("rtpObserver.resume", Method::RtpObserverResume, OBSERVER),
    called("rtpObserver.addProducer", Method::RtpObserverAddProducer, OBSERVER),
    called("rtpObserver.removeProducer", Method::RtpObserverRemoveProducer, OBSERVER),
];

/// The one request of the payload channel.
pub(super) const SEND: Called = called("dataConsumer.send", Method::DataConsumerSend, DATA_CONSUMER);

impl Called {
    pub(super) fn text(&self) -> &'static str {
        self.text
    }

    pub(super) fn exists_in(&self, version: Version) -> bool {
        (self.since..self.before).contains(&version)
    }
}

/// `None` when controllers of this version have no such method.
pub(super) fn find(text: &str, version: Version) -> Option<Called> {
    METHODS.iter().find(|called| called.text == text && called.exists_in(version)).copied()
}

/// Which of the newest methods this is when it is asked of such a handler: the kinds of transports are connected by
/// methods of their own. What no kind of handler takes stays what it is, for an error that names it.
pub(super) fn asked_of(method: Method, handler: Option<Kind>) -> Method {
    match (method, handler) {
        (Method::TransportConnect, Some(Kind::PlainTransport)) => Method::PlainTransportConnect,
        (Method::TransportConnect, Some(Kind::PipeTransport)) => Method::PipeTransportConnect,
        (Method::TransportConnect, Some(Kind::WebRtcTransport)) => Method::WebRtcTransportConnect,
        _ => method,
    }
}

/// The table of the request's body, if it has one.
pub(super) fn body(method: Method) -> Option<&'static str> {
    Some(match method {
        Method::WorkerUpdateSettings => "FBS.Worker.UpdateSettingsRequest",
        Method::WorkerCreateWebRtcServer => "FBS.Worker.CreateWebRtcServerRequest",
        Method::WorkerCloseWebRtcServer => "FBS.Worker.CloseWebRtcServerRequest",
        Method::WorkerCreateRouter => "FBS.Worker.CreateRouterRequest",
        Method::WorkerCloseRouter => "FBS.Worker.CloseRouterRequest",
        Method::RouterCreateWebRtcTransport | Method::RouterCreateWebRtcTransportWithServer => {
            "FBS.Router.CreateWebRtcTransportRequest"
        }
        Method::RouterCreatePlainTransport => "FBS.Router.CreatePlainTransportRequest",
        Method::RouterCreatePipeTransport => "FBS.Router.CreatePipeTransportRequest",
        Method::RouterCreateDirectTransport => "FBS.Router.CreateDirectTransportRequest",
        Method::RouterCloseTransport => "FBS.Router.CloseTransportRequest",
        Method::RouterCreateActiveSpeakerObserver => "FBS.Router.CreateActiveSpeakerObserverRequest",
        Method::RouterCreateAudioLevelObserver => "FBS.Router.CreateAudioLevelObserverRequest",
        Method::RouterCloseRtpObserver => "FBS.Router.CloseRtpObserverRequest",
        Method::PlainTransportConnect => "FBS.PlainTransport.ConnectRequest",
        Method::PipeTransportConnect => "FBS.PipeTransport.ConnectRequest",
        Method::WebRtcTransportConnect => "FBS.WebRtcTransport.ConnectRequest",
        Method::TransportSetMaxIncomingBitrate => "FBS.Transport.SetMaxIncomingBitrateRequest",
        Method::TransportSetMaxOutgoingBitrate => "FBS.Transport.SetMaxOutgoingBitrateRequest",
        Method::TransportSetMinOutgoingBitrate => "FBS.Transport.SetMinOutgoingBitrateRequest",
        Method::TransportProduce => "FBS.Transport.ProduceRequest",
        Method::TransportConsume => "FBS.Transport.ConsumeRequest",
        Method::TransportProduceData => "FBS.Transport.ProduceDataRequest",
        Method::TransportConsumeData => "FBS.Transport.ConsumeDataRequest",
        Method::TransportEnableTraceEvent => "FBS.Transport.EnableTraceEventRequest",
        Method::TransportCloseProducer => "FBS.Transport.CloseProducerRequest",
        Method::TransportCloseConsumer => "FBS.Transport.CloseConsumerRequest",
        Method::TransportCloseDataProducer => "FBS.Transport.CloseDataProducerRequest",
        Method::TransportCloseDataConsumer => "FBS.Transport.CloseDataConsumerRequest",
        Method::ProducerEnableTraceEvent => "FBS.Producer.EnableTraceEventRequest",
        Method::ConsumerSetPreferredLayers => "FBS.Consumer.SetPreferredLayersRequest",
        Method::ConsumerSetPriority => "FBS.Consumer.SetPriorityRequest",
        Method::ConsumerEnableTraceEvent => "FBS.Consumer.EnableTraceEventRequest",
        Method::DataConsumerSetBufferedAmountLowThreshold => {
            "FBS.DataConsumer.SetBufferedAmountLowThresholdRequest"
        }
        Method::DataConsumerSend => "FBS.DataConsumer.SendRequest",
        Method::RtpObserverAddProducer => "FBS.RtpObserver.AddProducerRequest",
        Method::RtpObserverRemoveProducer => "FBS.RtpObserver.RemoveProducerRequest",
        _ => return None,
    })
}

/// A notification of the payload channel: its text, the newest event's name, its body's table, whose it is.
#[derive(Debug, Clone, Copy)]
pub(super) struct Told {
    pub(super) text: &'static str,
    pub(super) event: &'static str,
    pub(super) body: &'static str,
    pub(super) handler: &'static str,
}

pub(super) const NOTIFICATIONS: &[Told] = &[
    Told {
        text: "transport.sendRtcp",
        event: "TRANSPORT_SEND_RTCP",
        body: "FBS.Transport.SendRtcpNotification",
        handler: "transportId",
    },
    Told {
        text: "producer.send",
        event: "PRODUCER_SEND",
        body: "FBS.Producer.SendNotification",
        handler: "producerId",
    },
    Told {
        text: "dataProducer.send",
        event: "DATAPRODUCER_SEND",
        body: "FBS.DataProducer.SendNotification",
        handler: "dataProducerId",
    },
];

/// Which member names what a request is to make, for those whose name is looked at before anything else.
pub(super) fn child(method: Method) -> Option<&'static str> {
    Some(match method {
        Method::RouterCreatePlainTransport
        | Method::RouterCreatePipeTransport
        | Method::RouterCreateDirectTransport
        | Method::RouterCreateWebRtcTransport
        | Method::RouterCreateWebRtcTransportWithServer => "transportId",
        Method::RouterCreateActiveSpeakerObserver | Method::RouterCreateAudioLevelObserver => "rtpObserverId",
        Method::TransportProduce => "producerId",
        Method::TransportConsume => "consumerId",
        Method::TransportProduceData => "dataProducerId",
        Method::TransportConsumeData => "dataConsumerId",
        _ => return None,
    })
}

/// Whose kind decides what some methods are.
pub type KindOf<'a> = &'a dyn Fn(&str) -> Option<Kind>;

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::wire::schema::Schema;

    fn texts(version: &str) -> BTreeSet<&'static str> {
        let version = Version::parse(version).unwrap();
        let called = METHODS.iter().filter(|called| called.exists_in(version));
        called.map(|called| called.text).collect()
    }

    #[test]
    fn methods_come_and_go_with_versions() {
        let (oldest, servers, ids, newest) =
            (texts("3.8.4"), texts("3.10.0"), texts("3.10.6"), texts("3.12.16"));
        assert_eq!((oldest.len(), servers.len(), ids.len(), newest.len()), (53, 57, 57, 58));
        assert!(oldest.contains("producer.close") && !oldest.contains("worker.createWebRtcServer"));
        assert!(servers.contains("webRtcServer.close") && servers.contains("router.close"));
        assert!(!ids.contains("producer.close") && ids.contains("transport.closeProducer"));
        assert!(newest.contains("transport.setMinOutgoingBitrate"));
        assert!(find("transport.closeProducer", Version::new(3, 10, 5)).is_none());
    }

    #[test]
    fn every_body_is_one_of_the_newest_requests() {
        let schema = Schema::newest();
        let bodies = &schema.unions["FBS.Request.Body"];
        for method in Method::ALL {
            let Some(table) = body(*method) else { continue };
            assert!(bodies.iter().any(|(_, known)| known == table), "{table}");
        }
        // Only what came later has none here: subchannels.
        let read = Method::ALL.iter().filter_map(|method| body(*method)).collect::<BTreeSet<_>>();
        assert_eq!(read.len(), bodies.len() - 3);
        for told in NOTIFICATIONS {
            assert!(schema.unions["FBS.Notification.Body"].iter().any(|(_, known)| known == told.body));
            assert!(schema.enums["FBS.Notification.Event"].iter().any(|(_, known)| known == told.event));
        }
    }

    #[test]
    fn transports_are_connected_by_their_kind() {
        let connect = |kind| asked_of(Method::TransportConnect, kind);
        assert_eq!(connect(Some(Kind::PlainTransport)), Method::PlainTransportConnect);
        assert_eq!(connect(Some(Kind::PipeTransport)), Method::PipeTransportConnect);
        assert_eq!(connect(Some(Kind::WebRtcTransport)), Method::WebRtcTransportConnect);
        assert_eq!(connect(Some(Kind::DirectTransport)), Method::TransportConnect);
        assert_eq!(connect(None), Method::TransportConnect);
        assert_eq!(asked_of(Method::TransportDump, Some(Kind::PlainTransport)), Method::TransportDump);
    }
}
