//! Everything a controller can ask for, by the names error texts use.

/// Declares the enum, the list in the order of 3.27.1's wire numbers, and the names.
macro_rules! methods {
    ($($variant:ident $name:literal,)+) => {
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Method {
            $($variant,)+
            /// Of older generations only: newer ones have a notification.
            WorkerClose,
        }

        impl Method {
            /// The index is the number on the wire in the generation of 3.27.1.
            pub const ALL: &[Self] = &[$(Self::$variant,)+];

            /// As controllers read it in error texts.
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)+
                    Self::WorkerClose => "worker.close",
                }
            }
        }
    };
}

methods! {
    WorkerDump "worker.dump",
    WorkerGetResourceUsage "worker.getResourceUsage",
    WorkerUpdateSettings "worker.updateSettings",
    WorkerCreateWebRtcServer "worker.createWebRtcServer",
    WorkerCreateRouter "worker.createRouter",
    WorkerCloseWebRtcServer "worker.closeWebRtcServer",
    WorkerCloseRouter "worker.closeRouter",
    WebRtcServerDump "webRtcServer.dump",
    RouterDump "router.dump",
    RouterCreateWebRtcTransport "router.createWebRtcTransport",
    RouterCreateWebRtcTransportWithServer "router.createWebRtcTransportWithServer",
    RouterCreatePlainTransport "router.createPlainTransport",
    RouterCreatePipeTransport "router.createPipeTransport",
    RouterCreateDirectTransport "router.createDirectTransport",
    RouterCloseTransport "router.closeTransport",
    RouterCreateActiveSpeakerObserver "router.createActiveSpeakerObserver",
    RouterCreateAudioLevelObserver "router.createAudioLevelObserver",
    RouterCloseRtpObserver "router.closeRtpObserver",
    TransportDump "transport.dump",
    TransportGetStats "transport.getStats",
    TransportConnect "transport.connect",
    TransportSetMaxIncomingBitrate "transport.setMaxIncomingBitrate",
    TransportSetMaxOutgoingBitrate "transport.setMaxOutgoingBitrate",
    TransportSetMinOutgoingBitrate "transport.setMinOutgoingBitrate",
    TransportRestartIce "transport.restartIce",
    TransportProduce "transport.produce",
    TransportProduceData "transport.produceData",
    TransportConsume "transport.consume",
    TransportConsumeData "transport.consumeData",
    TransportEnableTraceEvent "transport.enableTraceEvent",
    TransportCloseProducer "transport.closeProducer",
    TransportCloseConsumer "transport.closeConsumer",
    TransportCloseDataProducer "transport.closeDataProducer",
    TransportCloseDataConsumer "transport.closeDataConsumer",
    PlainTransportConnect "plainTransport.connect",
    PipeTransportConnect "pipeTransport.connect",
    WebRtcTransportConnect "webRtcTransport.connect",
    ProducerDump "producer.dump",
    ProducerGetStats "producer.getStats",
    ProducerPause "producer.pause",
    ProducerResume "producer.resume",
    ProducerEnableTraceEvent "producer.enableTraceEvent",
    ConsumerDump "consumer.dump",
    ConsumerGetStats "consumer.getStats",
    ConsumerPause "consumer.pause",
    ConsumerResume "consumer.resume",
    ConsumerSetPreferredLayers "consumer.setPreferredLayers",
    ConsumerSetPriority "consumer.setPriority",
    ConsumerRequestKeyFrame "consumer.requestKeyFrame",
    ConsumerEnableTraceEvent "consumer.enableTraceEvent",
    DataProducerDump "dataProducer.dump",
    DataProducerGetStats "dataProducer.getStats",
    DataProducerPause "dataProducer.pause",
    DataProducerResume "dataProducer.resume",
    DataConsumerDump "dataConsumer.dump",
    DataConsumerGetStats "dataConsumer.getStats",
    DataConsumerPause "dataConsumer.pause",
    DataConsumerResume "dataConsumer.resume",
    DataConsumerGetBufferedAmount "dataConsumer.getBufferedAmount",
    DataConsumerSetBufferedAmountLowThreshold "dataConsumer.setBufferedAmountLowThreshold",
    DataConsumerSend "dataConsumer.send",
    DataConsumerSetSubchannels "dataConsumer.setSubchannels",
    DataConsumerAddSubchannel "dataConsumer.addSubchannel",
    DataConsumerRemoveSubchannel "dataConsumer.removeSubchannel",
    RtpObserverPause "rtpObserver.pause",
    RtpObserverResume "rtpObserver.resume",
    RtpObserverAddProducer "rtpObserver.addProducer",
    RtpObserverRemoveProducer "rtpObserver.removeProducer",
}

impl Method {
    /// As controllers of JSON read it: all kinds of transports are connected by one method.
    pub fn name_before_3_13_0(self) -> &'static str {
        match self {
            Self::PlainTransportConnect | Self::PipeTransportConnect | Self::WebRtcTransportConnect => {
                Self::TransportConnect.name()
            }
            method => method.name(),
        }
    }

    /// The same, of controllers that close an object by its own method.
    pub fn name_before_3_10_6(self) -> &'static str {
        match self {
            Self::WorkerCloseWebRtcServer => "webRtcServer.close",
            Self::WorkerCloseRouter => "router.close",
            Self::RouterCloseTransport => "transport.close",
            Self::RouterCloseRtpObserver => "rtpObserver.close",
            Self::TransportCloseProducer => "producer.close",
            Self::TransportCloseConsumer => "consumer.close",
            Self::TransportCloseDataProducer => "dataProducer.close",
            Self::TransportCloseDataConsumer => "dataConsumer.close",
            method => method.name_before_3_13_0(),
        }
    }

    /// What kind of object it is for, in the words of error texts.
    pub fn addressee(self) -> &'static str {
        match self.name().split('.').next() {
            Some("webRtcServer") => "WebRtcServer",
            Some("router") => "Router",
            Some("producer") => "Producer",
            Some("consumer") => "Consumer",
            Some("dataProducer") => "DataProducer",
            Some("dataConsumer") => "DataConsumer",
            Some("rtpObserver") => "RtpObserver",
            Some("worker") => "Worker",
            _ => "Transport",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_are_the_published_numbers() {
        assert_eq!(Method::ALL.len(), 68);
        assert_eq!(Method::ALL[4], Method::WorkerCreateRouter);
        assert_eq!(Method::ALL[25], Method::TransportProduce);
        assert_eq!(Method::ALL[34], Method::PlainTransportConnect);
        assert_eq!(Method::ALL[67], Method::RtpObserverRemoveProducer);
    }
}
