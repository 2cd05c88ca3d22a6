//! What JSON has otherwise than the schemas and no table of [`shapes`](super::shapes) can say.

use ringsoup_sfu::rtp_parameters::{is_k_svc, layers_of_scalability_mode};
use serde_json::{Map, Value, json};

/// Changes what the walk made of a table.
pub(super) type Adjust = fn(&mut Map<String, Value>);

/// What is done to a table, by its name in the schemas.
pub(super) fn of(table: &str) -> Option<Adjust> {
    Some(match table {
        "FBS.Worker.DumpResponse" => worker_dump,
        "FBS.WebRtcServer.DumpResponse" => webrtc_server_dump,
        "FBS.Transport.Tuple" => tuple,
        "FBS.RtpParameters.RtpEncodingParameters" => encoding,
        "FBS.RtpStream.RecvStats" => received,
        "FBS.RtpStream.SendStats" => sent,
        "FBS.RtpStream.BaseStats" => base_stats,
        "FBS.Consumer.ConsumerDump" => consumer,
        "FBS.Transport.TraceNotification"
        | "FBS.Producer.TraceNotification"
        | "FBS.Consumer.TraceNotification" => trace,
        _ => return None,
    })
}

/// Shards that have had nothing to do are left out, and the member with the last of them: the libraries' own tests
/// know exactly what a worker dumps that does nothing yet.
fn worker_dump(dump: &mut Map<String, Value>) {
    const SHARDS: &str = "ringsoupShards";
    let idle = |shard: &Value| {
        ["transports", "receivedPackets", "sentPackets"].iter().all(|figure| shard[*figure] == json!(0))
    };
    if let Some(Value::Array(shards)) = dump.get_mut(SHARDS) {
        shards.retain(|shard| !idle(shard));
        if shards.is_empty() {
            dump.remove(SHARDS);
        }
    }
}

/// What the original finds transports by, of which there are none here.
fn webrtc_server_dump(dump: &mut Map<String, Value>) {
    dump.insert("tupleHashes".to_owned(), json!([]));
}

fn tuple(tuple: &mut Map<String, Value>) {
    if !tuple.contains_key("remoteIp") {
        tuple.remove("remotePort");
    }
}

/// A scalability mode is told with what it means.
fn encoding(encoding: &mut Map<String, Value>) {
    let Some(Value::String(mode)) = encoding.get("scalabilityMode") else { return };
    let mode = Some(mode.as_str());
    let (spatial, temporal) = layers_of_scalability_mode(mode);
    let ksvc = is_k_svc(mode);
    encoding.insert("spatialLayers".to_owned(), json!(spatial));
    encoding.insert("temporalLayers".to_owned(), json!(temporal));
    encoding.insert("ksvc".to_owned(), json!(ksvc));
}

/// Only streams with layers say what each of them is sent with.
fn received(stats: &mut Map<String, Value>) {
    if stats.get("bitrateByLayer") == Some(&json!({})) {
        stats.remove("bitrateByLayer");
    }
}

fn sent(stats: &mut Map<String, Value>) {
    stats.remove("jitter");
}

fn base_stats(stats: &mut Map<String, Value>) {
    if !stats.contains_key("rtxSsrc") {
        stats.remove("rtxPacketsDiscarded");
    }
}

/// One stream and its layers, or the streams of a consumer that forwards them all.
fn consumer(dump: &mut Map<String, Value>) {
    const LAYERS: [&str; 6] = [
        "preferredSpatialLayer",
        "targetSpatialLayer",
        "currentSpatialLayer",
        "preferredTemporalLayer",
        "targetTemporalLayer",
        "currentTemporalLayer",
    ];
    let kind = dump.get("type").and_then(Value::as_str);
    let (has_layers, has_all_streams) = (matches!(kind, Some("simulcast" | "svc")), kind == Some("pipe"));
    if !has_layers {
        dump.retain(|member, _| !LAYERS.contains(&member.as_str()));
    }
    if !has_all_streams
        && let Some(Value::Array(streams)) = dump.remove("rtpStreams")
        && let Some(stream) = streams.into_iter().next()
    {
        dump.insert("rtpStream".to_owned(), stream);
    }
}

/// Whoever reads one looks into it.
fn trace(trace: &mut Map<String, Value>) {
    trace.entry("info").or_insert_with(|| json!({}));
}
