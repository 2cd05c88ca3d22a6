//! What a transport is asked to be, put from these controllers' words into the schemas': where it listens, what its
//! SCTP association may.

use serde_json::{Value, json};

use super::checks::{Wrong, entries, optional_boolean, positive};
use super::read::Object;
use crate::method::Method;

/// Most addresses that a transport, or a WebRTC server, may be given: the original's until 3.17.
const LISTEN_IPS_MAX: usize = 8;
const SERVER_LISTEN_INFOS_MAX: usize = 8;

/// What an SCTP association may keep to be sent, bytes: the original's default and maximum.
const SEND_BUFFER_SIZE: u64 = 262_144;
/// What a dump says of a transport that carries no messages, bytes: the original's default.
const MESSAGE_SIZE: u64 = 262_144;
const SEND_BUFFER_SIZE_MAX: u64 = 268_435_456;

/// A request's `data` in the schemas' words, where they are others.
pub(super) fn put(method: Method, data: &mut Object) -> Result<(), Wrong> {
    match method {
        Method::WorkerCreateWebRtcServer => {
            entries(data.get("listenInfos"), "listenInfos", SERVER_LISTEN_INFOS_MAX)?;
        }
        Method::RouterCreateWebRtcTransport => {
            put_options(data)?;
            let infos = listen_infos(data)?;
            let preferred = preferred(data)?;
            data.extend(preferred.map(|protocol| ("ringsoupPrefer".to_owned(), protocol.into())));
            data.insert("listen".to_owned(), json!({ "ListenIndividual": { "listenInfos": infos } }));
        }
        Method::RouterCreateWebRtcTransportWithServer => {
            put_options(data)?;
            put_served(data)?;
        }
        Method::RouterCreatePlainTransport => {
            put_options(data)?;
            put_plain(data)?;
        }
        Method::RouterCreatePipeTransport => {
            put_options(data)?;
            put_listen_info(data)?;
        }
        Method::RouterCreateDirectTransport => put_options(data)?,
        _ => {}
    }
    Ok(())
}

/// What is wrong, by the members that were given: what transports listen on is made of `listenIp` or `listenIps` and `port`.
pub(super) fn in_their_words(method: Method, wrong: Wrong) -> Wrong {
    if !matches!(
        method,
        Method::RouterCreateWebRtcTransport
            | Method::RouterCreatePlainTransport
            | Method::RouterCreatePipeTransport
    ) {
        return wrong;
    }
    let (wrong, is_of_ip) = wrong.without_outer(&["listen", "listenInfos", "listenInfo", "rtcpListenInfo"]);
    if is_of_ip && !wrong.is_about("port") { wrong.within("listenIp") } else { wrong }
}

/// The size of messages has one name for a direct transport and another for an SCTP association; an association has more
/// to say, and without one nothing of it counts.
fn put_options(data: &mut Object) -> Result<(), Wrong> {
    let is_true = |value: Option<&Value>| value.and_then(Value::as_bool) == Some(true);
    let (direct, sctp) = (is_true(data.get("direct")), is_true(data.get("enableSctp")));
    let mut message_size = MESSAGE_SIZE;
    if direct {
        message_size = positive(data.get("maxMessageSize"), "maxMessageSize")?;
    }
    if sctp {
        let streams = data.get("numSctpStreams");
        if !streams.is_some_and(Value::is_object) {
            return Err(Wrong::not("numSctpStreams", "an object"));
        }
        message_size = positive(data.get("maxSctpMessageSize"), "maxSctpMessageSize")?;
        let size = match data.get("sctpSendBufferSize") {
            Some(size) => positive(Some(size), "sctpSendBufferSize")?,
            None => SEND_BUFFER_SIZE,
        };
        if size > SEND_BUFFER_SIZE_MAX {
            return Err(Wrong::other("sctpSendBufferSize", "maximum value exceeded"));
        }
        data.insert("sctpSendBufferSize".to_owned(), size.into());
    } else {
        data.remove("numSctpStreams");
        data.remove("sctpSendBufferSize");
    }
    data.insert("maxSendMessageSize".to_owned(), message_size.into());
    data.insert("maxReceiveMessageSize".to_owned(), message_size.into());
    Ok(())
}

/// Each address with each protocol.
fn listen_infos(data: &Object) -> Result<Vec<Value>, Wrong> {
    let enabled =
        |member, default| optional_boolean(data.get(member), member).map(|told| told.unwrap_or(default));
    let (udp, tcp) = (enabled("enableUdp", true)?, enabled("enableTcp", false)?);
    let ips = entries(data.get("listenIps"), "listenIps", LISTEN_IPS_MAX)?;
    let port = data.get("port");
    let mut infos = Vec::with_capacity(2 * ips.len());
    for ip in ips {
        let ip = ip.as_object().ok_or_else(|| Wrong::not("listenIp", "an object"))?;
        let protocols = [("udp", udp), ("tcp", tcp)].into_iter().filter(|(_, enabled)| *enabled);
        infos.extend(protocols.map(|(protocol, _)| listen_info(ip, protocol, port)));
    }
    Ok(infos)
}

/// A protocol that is preferred to the other; both preferred is none.
fn preferred(data: &Object) -> Result<Option<&'static str>, Wrong> {
    let told = |member| optional_boolean(data.get(member), member).map(|told| told == Some(true));
    Ok(match (told("preferUdp")?, told("preferTcp")?) {
        (true, false) => Some("udp"),
        (false, true) => Some("tcp"),
        _ => None,
    })
}

fn listen_info(ip: &Object, protocol: &str, port: Option<&Value>) -> Value {
    let mut info = ip.clone();
    info.insert("protocol".to_owned(), protocol.into());
    // The one that is given is for all of them.
    info.remove("port");
    info.extend(port.map(|port| ("port".to_owned(), port.clone())));
    Value::Object(info)
}

fn put_served(data: &mut Object) -> Result<(), Wrong> {
    let server = data.get("webRtcServerId").filter(|server| server.is_string());
    let server = server.ok_or_else(|| Wrong::missing("webRtcServerId"))?;
    let listen = json!({ "ListenServer": { "webRtcServerId": server } });
    data.insert("listen".to_owned(), listen);
    for (member, default) in [("enableUdp", true), ("enableTcp", false)] {
        data.entry(member).or_insert(default.into());
    }
    Ok(())
}

fn put_listen_info(data: &mut Object) -> Result<(), Wrong> {
    let ip = data.get("listenIp").ok_or_else(|| Wrong::missing("listenIp"))?;
    let ip = ip.as_object().ok_or_else(|| Wrong::not("listenIp", "an object"))?;
    let info = listen_info(ip, "udp", data.get("port"));
    data.insert("listenInfo".to_owned(), info);
    Ok(())
}

fn put_plain(data: &mut Object) -> Result<(), Wrong> {
    put_listen_info(data)?;
    let rtcp_mux = optional_boolean(data.get("rtcpMux"), "rtcpMux")?.unwrap_or(true);
    data.insert("rtcpMux".to_owned(), rtcp_mux.into());
    if !rtcp_mux {
        // The port that is given is RTP's.
        let mut info = data["listenInfo"].clone();
        if let Value::Object(info) = &mut info {
            info.remove("port");
        }
        data.insert("rtcpListenInfo".to_owned(), info);
    }
    if data.get("enableSrtp").and_then(Value::as_bool) == Some(true) {
        if !data.get("srtpCryptoSuite").is_some_and(Value::is_string) {
            return Err(Wrong::missing("srtpCryptoSuite"));
        }
    } else {
        data.remove("srtpCryptoSuite");
    }
    Ok(())
}
