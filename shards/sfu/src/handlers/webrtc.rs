//! Commands of WebRTC transports.

use ringsoup_rtc::ice::agent::consent_timeout;
use ringsoup_rtc::ice::{self, Agent, Candidate, Credentials};
use ringsoup_rtc::time::Time;

use crate::command::{
    CommandError, ListenInfo, Protocol, WebRtcConnect, WebRtcListen, WebRtcTransportOptions,
};
use crate::demux::{SocketOwner, SocketOwners};
use crate::event::{Event, LogLevel, LogLine, LogTag};
use crate::listen;
use crate::name::Name;
use crate::outbox::Outbox;
use crate::reply::{Reply, TransportDump, TransportStats, WebRtcTransportDump, WebRtcTransportStats};
use crate::sfu::Sfu;
use crate::sockets::Sockets;
use crate::table::Id;
use crate::transport::webrtc::{Listener, Listening, WebRtcTransport};
use crate::transport::webrtc_server::WebRtcServer;
use crate::transport::{Transport, TransportKind};

use super::webrtc_ice::selected_tuple;

impl Sfu {
    pub(crate) fn create_webrtc_transport(
        &mut self,
        now: Time,
        router: &str,
        name: Name,
        options: WebRtcTransportOptions,
        sockets: &mut dyn Sockets,
        out: &mut Outbox,
    ) -> Result<Reply, CommandError> {
        let router = self.check_new_transport(router, &name, &options.base)?;
        let (listening, candidates) = self.listen(options.listen, options.prefer, sockets)?;
        let consent_timeout = consent_timeout(options.ice_consent_timeout);
        if let Some(timeout) = consent_timeout
            && timeout.as_secs() != u64::from(options.ice_consent_timeout)
        {
            warn_of_consent_timeout(options.ice_consent_timeout, timeout.as_secs(), out);
        }
        let server = self.server_of(&listening);
        let credentials = self.new_credentials(server);
        let fragment = credentials.username_fragment.clone();
        let ice = Agent::new(credentials, consent_timeout);
        let webrtc = WebRtcTransport::new(listening, candidates, ice);
        let listeners: Vec<_> = webrtc.own_listeners().iter().map(|listener| listener.socket.id).collect();
        let kind = TransportKind::WebRtc(Box::new(webrtc));
        let id = self.insert_transport(Transport::new(name, router, kind, &options.base));
        for socket in listeners {
            self.socket_owners.insert(socket, SocketOwner::Transport(id));
        }
        if server.is_some() {
            self.served.add_fragment(&fragment, id);
        }
        self.dump_transport(now, id)
    }

    /// Those of a server's transports find their shard by themselves.
    fn new_credentials(&mut self, server: Option<Id<WebRtcServer>>) -> Credentials {
        match server.map(|id| &self.webrtc_servers[id]) {
            Some(server) => Credentials::generate_sealed(server.here, &server.sealer, &mut self.key_source),
            None => Credentials::generate(&mut self.key_source),
        }
    }

    fn listen(
        &self,
        wanted: WebRtcListen,
        prefer: Option<Protocol>,
        sockets: &mut dyn Sockets,
    ) -> Result<(Listening, Vec<Candidate>), CommandError> {
        match wanted {
            WebRtcListen::Server { candidates, .. } if candidates.is_empty() => {
                Err(CommandError::type_error("empty iceCandidates"))
            }
            WebRtcListen::Server { server, candidates } => Ok((self.listen_through(server)?, candidates)),
            WebRtcListen::Individual(infos) => {
                let infos = infos?;
                let bound = listen::bind_all(&infos, self.config.rtc_ports, sockets)?;
                let candidates = infos.iter().zip(&bound).enumerate().flat_map(|(index, (info, socket))| {
                    listen::candidates(index, info, socket.local, prefer == Some(info.protocol))
                });
                let candidates = candidates.collect();
                let listener =
                    |(info, &socket): (&ListenInfo, _)| Listener { socket, protocol: info.protocol };
                let listeners = infos.iter().zip(&bound).map(listener).collect();
                Ok((Listening::Own(listeners), candidates))
            }
        }
    }

    pub(crate) fn connect_webrtc(
        &mut self,
        now: Time,
        id: Id<Transport>,
        request: WebRtcConnect,
        out: &mut Outbox,
    ) -> Result<Reply, CommandError> {
        let role = self.webrtc_mut(id, "webRtcTransport.connect")?.connect(request)?;
        self.may_start_dtls(now, id);
        self.settle_webrtc(now, id, out);
        Ok(Reply::WebRtcConnect { role })
    }

    pub(crate) fn restart_ice(&mut self, now: Time, id: Id<Transport>) -> Result<Reply, CommandError> {
        let server = self.server_of_transport(id);
        let credentials = self.new_credentials(server);
        let mut retired = None;
        let webrtc = self.webrtc_mut(id, "transport.restartIce")?;
        // The consent timer finds that it has more time when it fires.
        webrtc.ice.restart(now, credentials.clone(), &mut |event| {
            if let ice::Event::Retired(credentials) = event {
                retired = Some(credentials);
            }
        });
        if server.is_some() {
            self.served.add_fragment(&credentials.username_fragment, id);
        }
        if let Some(retired) = retired {
            self.served.remove_fragment(&retired.username_fragment);
        }
        Ok(Reply::RestartIce(credentials))
    }

    fn webrtc_mut(&mut self, id: Id<Transport>, method: &str) -> Result<&mut WebRtcTransport, CommandError> {
        match &mut self.transports[id].kind {
            TransportKind::WebRtc(webrtc) => Ok(webrtc),
            _ => Err(CommandError::error(format!("unknown method '{method}'"))),
        }
    }

    pub(crate) fn webrtc_dump(&self, base: TransportDump, webrtc: &WebRtcTransport) -> WebRtcTransportDump {
        WebRtcTransportDump {
            base,
            ice_parameters: webrtc.ice.credentials().clone(),
            ice_candidates: webrtc.candidates.clone(),
            ice_state: webrtc.ice.state(),
            ice_selected_tuple: selected_tuple(webrtc, &self.socket_owners),
            dtls_role: webrtc.dtls.role,
            dtls_fingerprints: self.config.certificate.fingerprints().to_vec(),
            dtls_state: webrtc.dtls.state,
        }
    }
}

pub(super) fn webrtc_stats(
    base: TransportStats,
    webrtc: &WebRtcTransport,
    owners: &SocketOwners,
) -> WebRtcTransportStats {
    WebRtcTransportStats {
        base,
        ice_state: webrtc.ice.state(),
        ice_selected_tuple: selected_tuple(webrtc, owners),
        dtls_state: webrtc.dtls.state,
    }
}

fn warn_of_consent_timeout(asked: u8, taken: u64, out: &mut Outbox) {
    out.events.push(Event::Log(LogLine {
        level: LogLevel::Warn,
        tag: LogTag::Ice,
        text: format!(
            "Sfu::create_webrtc_transport() | iceConsentTimeout of {asked} s taken for {taken} s, the nearest \
             possible"
        ),
    }));
}
