//! Plain transports: creation, connection, whose packets are taken.

use ringsoup_rtc::srtp::CryptoSuite;
use ringsoup_sfu::command::{
    Command, CommandError, ErrorClass, ListenInfo, PlainConnect, PlainTransportOptions, Protocol,
    TransportCommand,
};
use ringsoup_sfu::drop_reason::DropReason;
use ringsoup_sfu::event::Event;

use crate::common::packets::{SPEECH, pli, rtp};
use crate::common::parameters::{
    OPUS, connect_to, connect_to_nothing, consume_audio, key, listen_info, plain, produce_audio,
    transport_options,
};
use crate::common::{ROUTER, World, remote};
use crate::room::told;

fn refusal(world: &mut World, options: PlainTransportOptions) -> (ErrorClass, String) {
    let error = world.create_plain("refused", options).expect_err("refused");
    (error.class, error.reason)
}

#[test]
fn creation_refuses_what_it_cannot_do() {
    let mut world = World::new();
    let tcp = || ListenInfo { protocol: Protocol::Tcp, ..listen_info() };
    let type_error = |text: &str| (ErrorClass::TypeError, text.to_owned());
    let options = PlainTransportOptions { listen_info: tcp(), ..plain() };
    assert_eq!(refusal(&mut world, options), type_error("unsupported listen protocol"));
    let options = PlainTransportOptions { rtcp_listen_info: Some(tcp()), rtcp_mux: false, ..plain() };
    assert_eq!(refusal(&mut world, options), type_error("unsupported RTCP listen protocol"));
    let mut options = plain();
    options.base.initial_available_outgoing_bitrate = Some(u64::MAX);
    assert_eq!(refusal(&mut world, options).0, ErrorClass::TypeError);
    let mut options = plain();
    options.listen_info.port_range = (50_000, 49_000);
    assert_eq!(refusal(&mut world, options).0, ErrorClass::TypeError);
    // A fixed port cannot be had twice: without rtcpMux RTCP asks for the same one.
    let mut options = PlainTransportOptions { rtcp_mux: false, ..plain() };
    options.listen_info.port = 7_000;
    assert_eq!(refusal(&mut world, options).0, ErrorClass::Error);
    let mut options = plain();
    options.listen_info.port_range = (7_000, 7_001);
    world.create_plain("first", options.clone()).expect("a port left");
    world.create_plain("second", options.clone()).expect("a port left");
    let (class, reason) = refusal(&mut world, options);
    assert_eq!(class, ErrorClass::Error);
    assert!(reason.starts_with("no more available ports"), "{reason}");
    assert_eq!(world.sockets.open_count(), 2);
    let error = world.create_plain("first", plain()).expect_err("the name is taken");
    assert_eq!(error.class, ErrorClass::Error);
    let direct = transport_options(true);
    let mut sctp = direct;
    sctp.enable_sctp = true;
    let (router, transport) = (ROUTER.into(), "direct".into());
    let error = world.try_command(Command::CreateDirectTransport { router, transport, options: sctp });
    assert_eq!(error.expect_err("refused").reason, "cannot enable SCTP in a direct Transport");
    assert_eq!(world.report().transports, 2);
}

#[test]
fn connect_refuses_with_the_words_of_the_original() {
    let mut world = World::new();
    let refused = |world: &mut World, transport: &str, request: PlainConnect| {
        let error = world.connect(transport, request).expect_err("refused");
        assert_eq!(error.class, ErrorClass::TypeError);
        error.reason
    };
    world.create_plain("mux", plain()).expect("created");
    let address = || connect_to(remote(1));
    let nothing = connect_to_nothing();
    assert_eq!(refused(&mut world, "mux", nothing), "missing ip");
    assert_eq!(refused(&mut world, "mux", PlainConnect { port: None, ..address() }), "missing port");
    let with_rtcp = PlainConnect { rtcp_port: Some(2), ..address() };
    assert_eq!(refused(&mut world, "mux", with_rtcp), "cannot set rtcpPort with rtcpMux enabled");
    let suite = CryptoSuite::AeadAes128Gcm;
    let keyed = || PlainConnect { srtp_parameters: Some(Ok(key(suite, 1))), ..address() };
    assert_eq!(refused(&mut world, "mux", keyed()), "invalid srtpParameters (SRTP not enabled)");
    let options = PlainTransportOptions { rtcp_mux: false, ..plain() };
    world.create_plain("apart", options).expect("created");
    let reason = refused(&mut world, "apart", address());
    assert_eq!(reason, "missing rtcpPort (required with rtcpMux disabled)");
    let options = PlainTransportOptions { srtp_crypto_suite: Some(suite), ..plain() };
    world.create_plain("srtp", options).expect("created");
    assert_eq!(refused(&mut world, "srtp", address()), "missing srtpParameters (SRTP enabled)");
    let mut short_key = key(suite, 1);
    short_key.key_and_salt.pop();
    let short = PlainConnect { srtp_parameters: Some(Ok(short_key)), ..address() };
    assert_eq!(refused(&mut world, "srtp", short), "invalid decoded SRTP key length");
    let bad = || Err(CommandError::type_error("bad"));
    let keyless = PlainConnect { srtp_parameters: Some(bad()), ..address() };
    assert_eq!(refused(&mut world, "srtp", keyless), "bad");
    let nowhere = || PlainConnect { ip: Some(Err(CommandError::type_error("nowhere"))), ..address() };
    assert_eq!(refused(&mut world, "mux", nowhere()), "nowhere");
    world.connect("mux", address()).expect("good");
    let keyless = PlainConnect { srtp_parameters: Some(bad()), ..address() };
    for again in [address(), nowhere(), keyless] {
        let error = world.connect("mux", again).expect_err("refused");
        assert_eq!((error.class, &error.reason[..]), (ErrorClass::Error, "connect() already called"));
    }
    let error = world.connect("nobody", address()).expect_err("refused");
    assert_eq!(error.class, ErrorClass::NotFound);
}

#[test]
fn bitrate_limits_are_checked_against_each_other() {
    let mut world = World::new();
    world.plain("t");
    let set = |world: &mut World, command| world.try_transport("t", command).map_err(|error| error.class);
    use TransportCommand::{SetMaxIncomingBitrate, SetMaxOutgoingBitrate, SetMinOutgoingBitrate};
    assert_eq!(set(&mut world, SetMaxIncomingBitrate(u64::MAX)).err(), Some(ErrorClass::TypeError));
    assert_eq!(set(&mut world, SetMaxOutgoingBitrate(29_999)).err(), Some(ErrorClass::TypeError));
    assert!(set(&mut world, SetMaxOutgoingBitrate(40_000)).is_ok());
    assert_eq!(set(&mut world, SetMinOutgoingBitrate(40_001)).err(), Some(ErrorClass::TypeError));
    assert!(set(&mut world, SetMinOutgoingBitrate(35_000)).is_ok());
    assert_eq!(set(&mut world, SetMaxOutgoingBitrate(34_000)).err(), Some(ErrorClass::TypeError));
    assert!(set(&mut world, SetMaxOutgoingBitrate(0)).is_ok());
}

#[test]
fn comedia_learns_each_address_from_its_first_packet_and_no_other() {
    let mut world = World::new();
    let options = PlainTransportOptions { comedia: true, rtcp_mux: false, ..plain() };
    let dump = world.create_plain("t", options).expect("created");
    world.produce("t", produce_audio("audio", 1, 50));
    let rtp_socket = world.socket_of(dump.tuple.local_port);
    let rtcp_socket = world.socket_of(dump.rtcp_tuple.expect("RTCP is apart").local_port);
    let connected = world.connect("t", connect_to_nothing()).expect("ip and port are ignored");
    assert!(connected.tuple.is_none() && connected.rtcp_tuple.is_none());
    world.receive(rtcp_socket, remote(2), &pli(9));
    assert_eq!(told(&world.take_events()), ["rtcptuple t"]);
    world.receive(rtp_socket, remote(1), &rtp(OPUS, 1, 1, 1, SPEECH));
    assert_eq!(told(&world.take_events()), ["tuple t"]);
    world.receive(rtp_socket, remote(3), &rtp(OPUS, 2, 1, 1, SPEECH));
    world.receive(rtcp_socket, remote(1), &pli(9));
    assert_eq!(world.dropped(DropReason::ForeignTuple), 2);
    assert!(told(&world.take_events()).is_empty());
    world.assert_accounted();
}

#[test]
fn without_rtcp_mux_rtcp_goes_to_its_own_address() {
    let mut world = World::new();
    let options = PlainTransportOptions { rtcp_mux: false, ..plain() };
    let dump = world.create_plain("t", options).expect("created");
    let request = PlainConnect { rtcp_port: Some(2), ..connect_to(remote(1)) };
    let connected = world.connect("t", request).expect("connected");
    assert_eq!(connected.tuple.and_then(|tuple| tuple.remote), Some(remote(1)));
    assert_eq!(connected.rtcp_tuple.and_then(|tuple| tuple.remote), Some(remote(2)));
    world.produce("t", produce_audio("audio", 1, 50));
    world.consume("t", consume_audio("echo", "audio", 2, 50));
    let socket = world.socket_of(dump.tuple.local_port);
    world.receive(socket, remote(1), &rtp(OPUS, 1, 1, 1, SPEECH));
    world.advance_ms(600);
    let sent = world.take_sent();
    assert!(sent.iter().any(|sent| sent.is_rtcp()) && sent.iter().any(|sent| !sent.is_rtcp()));
    for sent in sent {
        assert_eq!(sent.remote, remote(if sent.is_rtcp() { 2 } else { 1 }));
    }
}

#[test]
fn an_announced_address_is_shown_and_the_bound_port() {
    let mut world = World::new();
    let mut options = plain();
    options.listen_info.announced_address = Some("media.example".into());
    options.listen_info.port = 6_000;
    let dump = world.create_plain("t", options).expect("created");
    assert_eq!((&dump.tuple.local_address[..], dump.tuple.local_port), ("media.example", 6_000));
}

#[test]
fn noise_does_not_take_a_comedia_transport() {
    let mut world = World::new();
    let dump = world.create_plain("t", PlainTransportOptions { comedia: true, ..plain() }).expect("created");
    let socket = world.socket_of(dump.tuple.local_port);
    // The first byte says RTP; the header claims CSRCs that are not there.
    world.receive(socket, remote(4_000), &[0x8f, 96, 0, 1, 0, 0, 0, 1, 0, 0, 0, 7]);
    assert_eq!(world.dropped(DropReason::MalformedRtp), 1);
    let tells_tuple = |event: &Event| matches!(event, Event::PlainTransportTuple { .. });
    assert!(!world.take_events().iter().any(tells_tuple));
    world.receive(socket, remote(5_000), &rtp(96, 1, 1, 7, SPEECH));
    assert!(world.take_events().iter().any(tells_tuple));
}
