//! What each attack is made with.

use std::net::{SocketAddr, UdpSocket};

use ringsoup_fbs::fbs::request::Method;
use ringsoup_fbs::flatbuffers::FlatBufferBuilder;

use super::attacker::Weapon;
use super::crowd::Crowd;
use super::flood::{Aim, Flood, Packets};
use super::kind::{CROWD, HONEST_RATE, Kind};
use super::packets;
use crate::channel::Channel;
use crate::cli::Cli;
use crate::error::Error;
use crate::harness::Harness;
use crate::parameters::PUBLISHED_VIDEO;
use crate::session::Target;
use crate::storm::Storm;
use crate::transport_bodies::{Listening, create_router};
use crate::webrtc::Remote;

/// Addresses that floods come from.
const ADDRESSES: usize = 16;
/// Of those who race with their ClientHellos.
const RACERS: usize = 4;
/// TCP listeners that a crowd comes to.
const LISTENERS: usize = 10;

/// Handshakes: an attack of their own, or those that an attack is to disturb.
pub(super) fn storm(kind: Kind, cli: &Cli, harness: &Harness, pace: f64) -> Result<Option<Storm>, Error> {
    let rate = match kind {
        Kind::HelloRace => HONEST_RATE,
        Kind::Handshakes => pace,
        _ => return Ok(None),
    };
    Storm::start(harness.channel(), rate, cli.webrtc()).map(Some)
}

/// `None` where handshakes are the attack.
pub(super) fn weapon(
    kind: Kind,
    harness: &Harness,
    storm: Option<&Storm>,
) -> Result<Option<Box<dyn Weapon>>, Error> {
    let target = harness.target().ok_or_else(|| Error::new("there is no WebRTC transport to attack"))?;
    let (at, known) = (Aim::At(target.remote.udp), &target.remote.parameters.credentials);
    let tap = || target.tap.clone();
    let forged = || packets::forged_media(target.ssrc, PUBLISHED_VIDEO);
    let foreign = |aim, packets, count| Flood::new(count, Vec::new(), aim, packets, None);
    let stolen = |packets| {
        Flood::new(1, vec![own(target)?], Aim::At(target.remote.udp), packets, Some(target.remote.udp))
    };
    target.tap.open();
    let flood = match kind {
        Kind::Handshakes => return Ok(None),
        Kind::IdleTcp => {
            let listeners = listeners(&harness.channel())?;
            return Ok(Some(Box::new(Crowd::new(listeners, CROWD))));
        }
        Kind::HelloRace => {
            let recent = storm.map(Storm::recent).unwrap_or_default();
            foreign(Aim::Callers(recent), Packets::Made(packets::client_hellos()), RACERS)
        }
        Kind::StunUnknown => foreign(at, Packets::Made(packets::checks_for_nobody(known)), ADDRESSES),
        Kind::StunForged => foreign(at, Packets::Made(packets::checks_with_a_guess(known)), ADDRESSES),
        Kind::RtpForeign => foreign(at, Packets::Mixed(forged(), tap()), ADDRESSES),
        Kind::Noise => foreign(at, Packets::Made(packets::noise()), ADDRESSES),
        Kind::SrtpForged => stolen(Packets::Made(forged())),
        Kind::SrtpReplay => stolen(Packets::Taken(tap())),
        Kind::Alerts => own(target)
            .and_then(|own| Flood::new(ADDRESSES, vec![own], at, Packets::Made(packets::alerts()), None)),
    };
    Ok(Some(Box::new(flood.map_err(Error::io("preparing an attack"))?)))
}

/// The sender's own socket: what an attacker does who can write any source address.
fn own(target: &Target) -> std::io::Result<UdpSocket> {
    target.socket.try_clone()
}

/// Transports that listen for connections.
fn listeners(channel: &Channel) -> Result<Vec<SocketAddr>, Error> {
    const ROUTER: &str = "attacked-router";
    let mut builder = FlatBufferBuilder::new();
    let body = create_router(ROUTER)(&mut builder);
    channel.request(Method::WORKER_CREATE_ROUTER, "", &mut builder, Some(body))?;
    let listening = Listening::Own { tcp: true };
    (0..LISTENERS)
        .map(|number| {
            let id = format!("attacked-{number}");
            let body = listening.create(&id)(&mut builder);
            let reply = channel.request(listening.create_method(), ROUTER, &mut builder, Some(body))?;
            Remote::of(&reply)?.tcp.ok_or_else(|| Error::new("a transport without a TCP candidate"))
        })
        .collect()
}
