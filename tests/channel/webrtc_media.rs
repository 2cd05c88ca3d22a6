//! WebRTC transports of the real binary with sockets of their own: from the first check to media, and to the good-bye.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use ringsoup_fbs::fbs::request::Method;
use ringsoup_fbs::fbs::web_rtc_transport::{DtlsState, IceState};
use ringsoup_rtc::dtls::Role;
use ringsoup_rtc::rtp::RtpPacket;
use ringsoup_tests::channel::Channel;
use ringsoup_tests::listen::{Protocol, UDP, create_webrtc};
use ringsoup_tests::media::{self, Codec};
use ringsoup_tests::request;
use ringsoup_tests::webrtc_peer::{WebRtcPeer, connect, run_until};
use ringsoup_tests::worker::Launch;

const AUDIO: u32 = 5;

/// A transport of the router `r`, and its peer.
fn join(channel: &mut Channel, id: u32, transport: &str, role: Role) -> WebRtcPeer {
    let created = channel.accepted(&create_webrtc(id, "r", transport, &[UDP]));
    WebRtcPeer::begin_as(role, channel, id + 1, transport, &created, Protocol::UDP)
}

/// Waits until the worker, too, has keys; returns the states that it told on the way.
fn dtls_states(channel: &mut Channel, id: u32, transport: &str, local: SocketAddr) -> Vec<DtlsState> {
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        let frame = channel.accepted(&request::plain(id, Method::TRANSPORT_DUMP, transport));
        let response = frame.response().unwrap();
        let dump = response.body_as_web_rtc_transport_dump_response().unwrap();
        if dump.dtls_state() == DtlsState::CONNECTED {
            assert_eq!(dump.ice_state(), IceState::COMPLETED);
            let tuple = dump.ice_selected_tuple().unwrap();
            assert_eq!((tuple.remote_ip(), tuple.remote_port()), (Some("127.0.0.1"), local.port()));
            break;
        }
        assert!(Instant::now() < deadline, "{:?}", dump.dtls_state());
    }
    let mut states = Vec::new();
    for frame in channel.skipped() {
        let Some(notification) = frame.notification() else { continue };
        let Some(body) = notification.body_as_web_rtc_transport_dtls_state_change_notification() else {
            continue;
        };
        let certificate = body.remote_cert().unwrap_or_default();
        let is_told = certificate.starts_with("-----BEGIN CERTIFICATE-----");
        assert_eq!(is_told, body.dtls_state() == DtlsState::CONNECTED);
        assert_eq!(notification.handler_id(), transport);
        states.push(body.dtls_state());
    }
    states
}

#[test]
fn browsers_hear_each_other_through_the_worker() {
    let mut worker = Launch::default().env("RINGSOUP_SHARDS", "1").run();
    let channel = &mut worker.channel;
    channel.accepted(&request::create_router(1, "r"));
    let both = [DtlsState::CONNECTING, DtlsState::CONNECTED];
    let mut peers = Vec::new();
    for (id, name, role) in [(10, "alice", Role::Client), (20, "bob", Role::Server)] {
        peers.push(join(channel, id, name, role));
        connect(&mut peers);
        // Handed over by a peer that is done.
        for peer in &mut peers {
            peer.turn();
        }
        assert_eq!(dtls_states(channel, id + 2, name, peers[peers.len() - 1].local()), both);
    }

    channel.accepted(&media::produce(40, "alice", "p", Codec::Opus, AUDIO));
    channel.accepted(&media::consume(41, "bob", "c", Codec::Opus, ("p", AUDIO), 77));
    let mut seq = 0;
    run_until(&mut peers, "media and a report", |peers| {
        seq += 1;
        peers[0].send_opus(seq, AUDIO);
        peers[1].rtp.len() >= 10 && !peers[1].rtcp.is_empty()
    });
    let ssrcs: Vec<_> = peers[1].rtp.iter().map(|packet| RtpPacket::parse(packet).unwrap().ssrc()).collect();
    assert!(ssrcs.iter().all(|&ssrc| ssrc == 77), "{ssrcs:?}");
    // The worker says good-bye although the socket it says it by is closed at once.
    channel.accepted(&request::close_transport(50, "r", "bob"));
    run_until(&mut peers, "the good-bye", |peers| peers[1].is_closed);
}
