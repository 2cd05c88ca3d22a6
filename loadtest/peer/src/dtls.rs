//! DTLS 1.2 by `dimpl`, and what SRTP needs of it.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use dimpl::{DtlsCertificate, KeyingMaterial, Output, SrtpProfile};
use ringsoup_rtc::dtls::{Certificate, Fingerprint};
use ringsoup_rtc::srtp::{CryptoSuite, InboundSession, OutboundSession};
use ringsoup_rtc::time::Time;

/// Bytes of the longest datagram or message that comes out: a record is 16 KiB at most, and what surrounds it.
const OUTPUT_LEN_MAX: usize = 17 * 1024;
/// How often a flight is sent again: with the first after 50 ms, the last comes after 25 s.
const RETRIES: usize = 9;

pub(crate) struct Keys {
    pub(crate) outbound: OutboundSession,
    pub(crate) inbound: InboundSession,
    /// DER.
    pub(crate) remote_certificate: Vec<u8>,
}

pub(crate) enum Event {
    Connected(Box<Keys>),
    Failed(String),
    Closed,
    ApplicationData(Vec<u8>),
}

/// What of a connection is decided before it begins.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    pub(crate) certificate: Arc<Certificate>,
    pub(crate) remote_fingerprint: Fingerprint,
    pub(crate) is_client: bool,
    pub(crate) retransmit: Duration,
}

/// Configurations by their first retransmission. To make one checks every cipher of the library, which takes longer than
/// a handshake does, and none differs in anything else.
static CONFIGS: Mutex<Vec<(Duration, Arc<dimpl::Config>)>> = Mutex::new(Vec::new());
/// What is kept; more are made anew each time.
const CONFIGS_MAX: usize = 16;

fn config(retransmit: Duration) -> Result<Arc<dimpl::Config>, String> {
    let mut configs = CONFIGS.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some((_, config)) = configs.iter().find(|(known, _)| *known == retransmit) {
        return Ok(Arc::clone(config));
    }
    let config = dimpl::Config::builder()
        .flight_start_rto(retransmit)
        .flight_retries(RETRIES)
        // As browsers do: ICE has shown by then that the other side is where it says.
        .use_server_cookie(false)
        .build()
        .map_err(|error| error.to_string())?;
    let config = Arc::new(config);
    if configs.len() < CONFIGS_MAX {
        configs.push((retransmit, Arc::clone(&config)));
    }
    Ok(config)
}

pub(crate) struct Dtls {
    inner: dimpl::Dtls,
    /// What the library takes for [`Time::ZERO`]; the only look at a clock, for want of another way to make one.
    origin: Instant,
    is_client: bool,
    remote_fingerprint: Fingerprint,
    remote_certificate: Option<Vec<u8>>,
    next_timeout: Option<Time>,
    is_over: bool,
}

impl Dtls {
    pub(crate) fn new(settings: Settings, now: Time) -> Result<Self, String> {
        let config = config(settings.retransmit)?;
        let certificate = DtlsCertificate {
            certificate: settings.certificate.der().to_vec(),
            private_key: settings.certificate.private_key().to_vec(),
        };
        let origin = Instant::now();
        let mut inner = dimpl::Dtls::new_12(config, certificate, instant(origin, now));
        inner.set_active(settings.is_client);
        Ok(Self {
            inner,
            origin,
            is_client: settings.is_client,
            remote_fingerprint: settings.remote_fingerprint,
            remote_certificate: None,
            next_timeout: None,
            is_over: false,
        })
    }

    pub(crate) const fn next_timeout(&self) -> Option<Time> {
        self.next_timeout
    }

    /// Begins, as a client; sends again what was not answered.
    pub(crate) fn handle_timeout(&mut self, now: Time, sink: &mut dyn Sink) {
        if !self.is_over {
            let result = self.inner.handle_timeout(instant(self.origin, now));
            self.finish(result, sink);
        }
    }

    pub(crate) fn handle_datagram(&mut self, now: Time, datagram: &[u8], sink: &mut dyn Sink) {
        if self.is_over {
            return;
        }
        // The library learns of the time only so; what it sends again now goes before what it answers.
        let result = self.inner.handle_timeout(instant(self.origin, now));
        self.finish(result, sink);
        if !self.is_over {
            let result = self.inner.handle_packet(datagram);
            self.finish(result, sink);
        }
    }

    pub(crate) fn send(&mut self, message: &[u8], sink: &mut dyn Sink) {
        if !self.is_over {
            let result = self.inner.send_application_data(message).map(drop);
            self.finish(result, sink);
        }
    }

    pub(crate) fn close(&mut self, sink: &mut dyn Sink) {
        if !self.is_over {
            let result = self.inner.close();
            self.finish(result, sink);
            self.is_over = true;
            self.next_timeout = None;
        }
    }

    fn finish(&mut self, result: Result<(), dimpl::Error>, sink: &mut dyn Sink) {
        // What an error leaves to send is the alert.
        self.drain(sink);
        if let Err(error) = result {
            self.fail(error.to_string(), sink);
        }
    }

    fn drain(&mut self, sink: &mut dyn Sink) {
        let mut buffer = [0; OUTPUT_LEN_MAX];
        while !self.is_over {
            match self.inner.poll_output(&mut buffer) {
                Output::Packet(packet) => sink.send(packet),
                Output::Timeout(at) => {
                    self.next_timeout = Some(time(self.origin, at));
                    return;
                }
                Output::PeerCert(der) => {
                    let der = der.to_vec();
                    self.check_certificate(der, sink);
                }
                Output::KeyingMaterial(material, profile) => self.connected(&material, profile, sink),
                Output::ApplicationData(data) => sink.tell(Event::ApplicationData(data.to_vec())),
                Output::CloseNotify => {
                    self.is_over = true;
                    sink.tell(Event::Closed);
                }
                Output::BufferTooSmall { needed } => {
                    self.fail(format!("a record of {needed} bytes"), sink);
                }
                // Keys come right behind it, and matter more.
                Output::Connected => {}
                _ => {}
            }
        }
        self.next_timeout = None;
    }

    fn check_certificate(&mut self, der: Vec<u8>, sink: &mut dyn Sink) {
        if Fingerprint::of(self.remote_fingerprint.algorithm, &der) == self.remote_fingerprint {
            self.remote_certificate = Some(der);
        } else {
            self.fail("the peer's certificate is not the one that was signalled".to_owned(), sink);
        }
    }

    fn connected(&mut self, material: &KeyingMaterial, profile: SrtpProfile, sink: &mut dyn Sink) {
        match self.keys(material, profile) {
            Ok(keys) => sink.tell(Event::Connected(Box::new(keys))),
            Err(why) => self.fail(why, sink),
        }
    }

    /// RFC 5764 section 4.2: client's key, server's key, client's salt, server's salt.
    fn keys(&mut self, material: &KeyingMaterial, profile: SrtpProfile) -> Result<Keys, String> {
        let suite = match profile {
            SrtpProfile::AEAD_AES_256_GCM => CryptoSuite::AeadAes256Gcm,
            SrtpProfile::AEAD_AES_128_GCM => CryptoSuite::AeadAes128Gcm,
            SrtpProfile::AES128_CM_SHA1_80 => CryptoSuite::AesCm128HmacSha1_80,
            other => return Err(format!("SRTP profile {other} is not known here")),
        };
        let remote_certificate = self.remote_certificate.take().ok_or("the peer showed no certificate")?;
        let (keys, salts) =
            material.split_at_checked(2 * suite.key_len()).ok_or("too little keying material")?;
        let (client_key, server_key) = keys.split_at(suite.key_len());
        let (client_salt, server_salt) =
            salts.split_at_checked(suite.salt_len()).ok_or("too little keying material")?;
        let (client, server) = ([client_key, client_salt].concat(), [server_key, server_salt].concat());
        let (ours, theirs) = if self.is_client { (client, server) } else { (server, client) };
        let failed = |error: ringsoup_rtc::srtp::SrtpError| error.to_string();
        Ok(Keys {
            outbound: OutboundSession::new(suite, &ours).map_err(failed)?,
            inbound: InboundSession::new(suite, &theirs).map_err(failed)?,
            remote_certificate,
        })
    }

    fn fail(&mut self, why: String, sink: &mut dyn Sink) {
        self.is_over = true;
        self.next_timeout = None;
        sink.tell(Event::Failed(why));
    }
}

impl std::fmt::Debug for Dtls {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Dtls").field("is_client", &self.is_client).finish_non_exhaustive()
    }
}

/// Takes what is to be sent, and what changed.
pub(crate) trait Sink {
    fn send(&mut self, datagram: &[u8]);
    fn tell(&mut self, event: Event);
}

fn instant(origin: Instant, time: Time) -> Instant {
    origin + Duration::from_nanos(time.as_nanos())
}

fn time(origin: Instant, at: Instant) -> Time {
    Time::ZERO + at.saturating_duration_since(origin)
}
