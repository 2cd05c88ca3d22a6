//! Operations on pipe and WebRTC transports and on observers.

use ringsoup_rtc::dtls::{Fingerprint, FingerprintAlgorithm, Role};
use ringsoup_sfu::command::{
    ActiveSpeakerObserverOptions, AudioLevelObserverOptions, Command, ListenInfo, ObserverCommand,
    PipeConnect, PipeTransportOptions, Protocol, TransportCommand, WebRtcConnect, WebRtcListen,
    WebRtcTransportOptions,
};
use ringsoup_sfu::name::Name;
use ringsoup_sfu::piped::PipeKey;

use super::network::LOCALHOST;
use super::perform::{peer_key, transport_options};
use super::{Kind, World};
use crate::endpoint_operation::{EndpointOperation, ListenSetUp, ObserverTouch};
use crate::operation::Suite;

/// Places one transport listens on; more teach nothing.
const LISTEN_MAX: usize = 4;

fn listen_info(set_up: ListenSetUp) -> ListenInfo {
    ListenInfo {
        protocol: if set_up.tcp { Protocol::Tcp } else { Protocol::Udp },
        ip: LOCALHOST,
        announced_address: set_up.announced.then(|| "media.example.org".to_owned()),
        expose_internal_ip: set_up.expose,
        port: set_up.fixed_port.map_or(0, |port| 20_000 + u16::from(port)),
        port_range: if set_up.empty_range { (2, 1) } else { (0, 0) },
        ipv6_only: false,
        udp_reuse_port: false,
        send_buffer_size: 0,
        recv_buffer_size: 0,
    }
}

impl World {
    pub(super) fn perform_endpoint(&mut self, operation: &EndpointOperation) {
        use Kind::{Observer, Producer, Router, Transport};
        let name = Self::name;
        match operation {
            EndpointOperation::CreatePipe { router, transport, listen, rtx, binds_before_failure } => {
                let (router, transport) = (name(Router, *router), name(Transport, *transport));
                self.pipe_keys += 1;
                let command = Command::CreatePipeTransport {
                    router,
                    transport: transport.clone(),
                    key: PipeKey(self.pipe_keys),
                    options: Box::new(PipeTransportOptions {
                        base: transport_options(false, false),
                        listen_info: listen_info(*listen),
                        enable_rtx: *rtx,
                        enable_srtp: false,
                    }),
                };
                self.create_listening(&transport, command, *binds_before_failure);
            }
            EndpointOperation::ConnectPipe { transport, port, srtp } => {
                let srtp_parameters = srtp.then(|| peer_key(Suite::Gcm256, 1, false));
                // A port of 0 can never be sent to, and is not the shard's business.
                let port = port.map(|port| port.max(1));
                let connect = PipeConnect { ip: Ok(LOCALHOST), port, srtp_parameters: srtp_parameters.map(Ok) };
                self.tell_transport(name(Transport, *transport), TransportCommand::ConnectPipe(connect));
            }
            EndpointOperation::CreateWebRtc { router, transport, listen, binds_before_failure } => {
                let (router, transport) = (name(Router, *router), name(Transport, *transport));
                let infos = listen.iter().take(LISTEN_MAX).map(|set_up| listen_info(*set_up)).collect();
                let command = Command::CreateWebRtcTransport {
                    router,
                    transport: transport.clone(),
                    options: Box::new(WebRtcTransportOptions {
                        base: transport_options(false, false),
                        listen: WebRtcListen::Individual(Ok(infos)),
                        prefer: None,
                        ice_consent_timeout: 30,
                    }),
                };
                self.create_listening(&transport, command, *binds_before_failure);
            }
            EndpointOperation::ConnectWebRtc { transport, role, fingerprints } => {
                let role = [Role::Auto, Role::Client, Role::Server][usize::from(role % 3)];
                let one = Fingerprint { algorithm: FingerprintAlgorithm::Sha256, value: "AA:BB".to_owned() };
                let fingerprints = vec![one; usize::from(fingerprints % 3)];
                let connect = WebRtcConnect { fingerprints, role };
                self.tell_transport(name(Transport, *transport), TransportCommand::ConnectWebRtc(connect));
            }
            EndpointOperation::RestartIce { transport } => {
                self.tell_transport(name(Transport, *transport), TransportCommand::RestartIce);
            }
            EndpointOperation::CreateObserver {
                router,
                observer,
                speaker,
                interval_ms,
                threshold,
                max_entries,
            } => {
                let (router, observer) = (name(Router, *router), name(Observer, *observer));
                let interval_ms = *interval_ms;
                self.command(if *speaker {
                    let options = ActiveSpeakerObserverOptions { interval_ms };
                    Command::CreateActiveSpeakerObserver { router, observer, options }
                } else {
                    let (max_entries, threshold) = (*max_entries, *threshold);
                    let options = AudioLevelObserverOptions { max_entries, threshold, interval_ms };
                    Command::CreateAudioLevelObserver { router, observer, options }
                });
            }
            EndpointOperation::CloseObserver { router, observer } => {
                let (router, observer) = (name(Router, *router), name(Observer, *observer));
                self.command(Command::CloseObserver { router, observer });
            }
            EndpointOperation::TouchObserver { observer, producer, what } => {
                let producer = name(Producer, *producer);
                let command = match what {
                    ObserverTouch::Pause => ObserverCommand::Pause,
                    ObserverTouch::Resume => ObserverCommand::Resume,
                    ObserverTouch::Add => ObserverCommand::AddProducer { producer },
                    ObserverTouch::Remove => ObserverCommand::RemoveProducer { producer },
                };
                self.command(Command::Observer { observer: name(Observer, *observer), command });
            }
        }
    }

    fn tell_transport(&mut self, transport: Name, command: TransportCommand) {
        self.command(Command::Transport { transport, command });
    }

    fn create_listening(&mut self, transport: &Name, command: Command, binds_before_failure: Option<u8>) {
        self.sockets.bound.clear();
        self.sockets.binds_before_failure = binds_before_failure;
        // One that listens nowhere has no peer.
        if self.command(command).is_some() && !self.sockets.bound.is_empty() {
            self.own_new_sockets(transport, false);
        }
        self.sockets.binds_before_failure = None;
        assert_eq!(
            self.sockets.open_count(),
            self.owner_of_socket.len(),
            "a failed transport keeps no socket"
        );
    }
}
