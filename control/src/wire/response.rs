//! Responses: accepted with the body of the reply's kind, or refused with an error's class and reason.

use flatbuffers::WIPOffset;
use ringsoup_fbs::fbs::response as wire;
use ringsoup_sfu::command::{CommandError, ErrorClass};
use ringsoup_sfu::reply::Reply;

use super::encoder::Dumps;
use super::{
    Builder, Union, consumer, data_consumer, data_producer, direct_transport, pipe_transport,
    plain_transport, producer, router, webrtc_server, webrtc_transport, worker,
};
use crate::message::{Response, ResponseBody};

pub(super) fn encode(
    builder: &mut Builder,
    response: &Response,
    dumps: Dumps,
) -> WIPOffset<wire::Response<'static>> {
    let body = match &response.result {
        Ok(body) => encode_body(builder, body, dumps),
        Err(error) => return refused(builder, response.id.number, error),
    };
    let (body_type, body) = match body {
        Some((body_type, body)) => (body_type, Some(body)),
        None => (wire::Body::NONE, None),
    };
    let args = wire::ResponseArgs {
        id: response.id.number,
        accepted: true,
        body_type,
        body,
        ..wire::ResponseArgs::default()
    };
    wire::Response::create(builder, &args)
}

fn refused(builder: &mut Builder, id: u32, error: &CommandError) -> WIPOffset<wire::Response<'static>> {
    let class = match error.class {
        ErrorClass::Error => "Error",
        ErrorClass::TypeError => "TypeError",
        ErrorClass::NotFound => "NotFoundError",
    };
    let class = Some(builder.create_string(class));
    let reason = Some(builder.create_string(&error.reason));
    let args = wire::ResponseArgs { id, error: class, reason, ..wire::ResponseArgs::default() };
    wire::Response::create(builder, &args)
}

/// `None` for a plain accept.
fn encode_body(builder: &mut Builder, body: &ResponseBody, dumps: Dumps) -> Option<(wire::Body, Union)> {
    match body {
        ResponseBody::Shard(reply) => encode_reply(builder, reply, dumps),
        ResponseBody::WebRtcServerDump(dump) => {
            Some((wire::Body::WebRtcServer_DumpResponse, webrtc_server::dump(builder, dump)))
        }
        ResponseBody::WorkerDump(dump) => {
            Some((wire::Body::Worker_DumpResponse, worker::dump(builder, dump, dumps)))
        }
        ResponseBody::ResourceUsage(usage) => {
            Some((wire::Body::Worker_ResourceUsageResponse, worker::resource_usage(builder, usage)))
        }
    }
}

fn encode_reply(builder: &mut Builder, reply: &Reply, dumps: Dumps) -> Option<(wire::Body, Union)> {
    Some(match reply {
        // A shard's reports are parts of the worker's or a server's dump and have no body of their own.
        Reply::Done | Reply::ShardReport(_) | Reply::WebRtcServerReport(_) => return None,
        Reply::RouterDump(dump) => (wire::Body::Router_DumpResponse, router::dump(builder, dump)),
        Reply::WebRtcTransportDump(dump) => {
            (wire::Body::WebRtcTransport_DumpResponse, webrtc_transport::dump(builder, dump))
        }
        Reply::WebRtcTransportStats(stats) => {
            (wire::Body::WebRtcTransport_GetStatsResponse, webrtc_transport::stats(builder, stats))
        }
        Reply::WebRtcConnect { role } => {
            (wire::Body::WebRtcTransport_ConnectResponse, webrtc_transport::connected(builder, *role))
        }
        Reply::RestartIce(credentials) => {
            (wire::Body::Transport_RestartIceResponse, webrtc_transport::ice_restarted(builder, credentials))
        }
        Reply::PlainTransportDump(dump) => {
            (wire::Body::PlainTransport_DumpResponse, plain_transport::dump(builder, dump))
        }
        Reply::PipeTransportDump(dump) => {
            (wire::Body::PipeTransport_DumpResponse, pipe_transport::dump(builder, dump))
        }
        Reply::DirectTransportDump(dump) => {
            (wire::Body::DirectTransport_DumpResponse, direct_transport::dump(builder, dump))
        }
        Reply::PlainTransportStats(stats) => {
            (wire::Body::PlainTransport_GetStatsResponse, plain_transport::stats(builder, stats))
        }
        Reply::PipeTransportStats(stats) => {
            (wire::Body::PipeTransport_GetStatsResponse, pipe_transport::stats(builder, stats))
        }
        Reply::DirectTransportStats(stats) => {
            (wire::Body::DirectTransport_GetStatsResponse, direct_transport::stats(builder, stats))
        }
        Reply::PlainConnect(connected) => {
            (wire::Body::PlainTransport_ConnectResponse, plain_transport::connected(builder, connected))
        }
        Reply::PipeConnect { tuple, .. } => {
            (wire::Body::PipeTransport_ConnectResponse, pipe_transport::connected(builder, tuple))
        }
        Reply::Produce { rtp_type } => {
            (wire::Body::Transport_ProduceResponse, producer::produced(builder, *rtp_type))
        }
        Reply::Consume(reply) => (wire::Body::Transport_ConsumeResponse, consumer::consumed(builder, reply)),
        Reply::ProducerDump(dump) => {
            (wire::Body::Producer_DumpResponse, producer::dump(builder, dump, dumps))
        }
        Reply::ProducerStats(stats) => {
            (wire::Body::Producer_GetStatsResponse, producer::stats(builder, stats))
        }
        Reply::ConsumerDump(dump) => {
            (wire::Body::Consumer_DumpResponse, consumer::dump(builder, dump, dumps))
        }
        Reply::ConsumerStats(stats) => {
            (wire::Body::Consumer_GetStatsResponse, consumer::stats(builder, stats))
        }
        Reply::SetPreferredLayers(layers) => {
            let body = consumer::preferred_layers(builder, *layers);
            (wire::Body::Consumer_SetPreferredLayersResponse, body)
        }
        Reply::SetPriority(priority) => {
            (wire::Body::Consumer_SetPriorityResponse, consumer::priority(builder, *priority))
        }
        reply => return encode_data_reply(builder, reply),
    })
}

/// Replies of data producers and consumers; `None` for all others.
fn encode_data_reply(builder: &mut Builder, reply: &Reply) -> Option<(wire::Body, Union)> {
    Some(match reply {
        Reply::DataProducerDump(dump) => {
            (wire::Body::DataProducer_DumpResponse, data_producer::dump(builder, dump))
        }
        Reply::DataProducerStats(stats) => {
            (wire::Body::DataProducer_GetStatsResponse, data_producer::stats(builder, stats))
        }
        Reply::DataConsumerDump(dump) => {
            (wire::Body::DataConsumer_DumpResponse, data_consumer::dump(builder, dump))
        }
        Reply::DataConsumerStats(stats) => {
            (wire::Body::DataConsumer_GetStatsResponse, data_consumer::stats(builder, stats))
        }
        Reply::BufferedAmount(bytes) => {
            let body = data_consumer::buffered_amount(builder, *bytes);
            (wire::Body::DataConsumer_GetBufferedAmountResponse, body)
        }
        Reply::DataSent { buffered_amount } => {
            (wire::Body::DataConsumer_SendResponse, data_consumer::sent(builder, *buffered_amount))
        }
        Reply::SetSubchannels(subchannels) => {
            let body = data_consumer::subchannels_set(builder, subchannels);
            (wire::Body::DataConsumer_SetSubchannelsResponse, body)
        }
        Reply::AddSubchannel(subchannels) => {
            let body = data_consumer::subchannel_added(builder, subchannels);
            (wire::Body::DataConsumer_AddSubchannelResponse, body)
        }
        Reply::RemoveSubchannel(subchannels) => {
            let body = data_consumer::subchannel_removed(builder, subchannels);
            (wire::Body::DataConsumer_RemoveSubchannelResponse, body)
        }
        _ => return None,
    })
}
