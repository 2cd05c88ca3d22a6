//! Both sides of a handshake under one roof: ours, and another library's.

use std::sync::Arc;
use std::time::{Duration, Instant};

use openssl::asn1::Asn1Time;
use openssl::bn::BigNum;
use openssl::ec::{EcGroup, EcKey};
use openssl::hash::MessageDigest;
use openssl::nid::Nid;
use openssl::pkey::{PKey, Private};
use openssl::rsa::Rsa;
use openssl::x509::{X509Builder, X509NameBuilder};
use ringsoup_dtls::OpenSsl;
use ringsoup_rtc::dtls::{
    Certificate, Connected, Connection, Connector, Event, Fingerprint, FingerprintAlgorithm,
};
use ringsoup_rtc::dtls::{Output, Role};
use ringsoup_rtc::srtp::CryptoSuite;
use ringsoup_rtc::time::Time;

/// What both ends must agree on: what the client sends with, what the server sends with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Keys {
    pub(crate) suite: CryptoSuite,
    pub(crate) client: Vec<u8>,
    pub(crate) server: Vec<u8>,
}

pub(crate) trait End {
    fn handle_datagram(&mut self, now: Time, datagram: &[u8]);
    fn handle_timeout(&mut self, now: Time);
    fn next_timeout(&self) -> Option<Time>;
    fn take_datagrams(&mut self) -> Vec<Vec<u8>>;
    fn keys(&self) -> Option<Keys>;
    /// Whether it can only be thrown away.
    fn has_failed(&self) -> bool;
}

pub(crate) fn ecdsa_key() -> PKey<Private> {
    let group = EcGroup::from_curve_name(Nid::X9_62_PRIME256V1).unwrap();
    PKey::from_ec_key(EcKey::generate(&group).unwrap()).unwrap()
}

pub(crate) fn rsa_key(bits: u32) -> PKey<Private> {
    PKey::from_rsa(Rsa::generate(bits).unwrap()).unwrap()
}

/// Signed by itself, with a subject of this many bytes.
pub(crate) fn certificate_of(key: &PKey<Private>, name_len: usize) -> Certificate {
    let mut name = X509NameBuilder::new().unwrap();
    for chunk in vec![b'x'; name_len].chunks(60) {
        name.append_entry_by_text("OU", std::str::from_utf8(chunk).unwrap()).unwrap();
    }
    let name = name.build();
    let mut builder = X509Builder::new().unwrap();
    builder.set_version(2).unwrap();
    builder.set_serial_number(&BigNum::from_u32(7).unwrap().to_asn1_integer().unwrap()).unwrap();
    builder.set_subject_name(&name).unwrap();
    builder.set_issuer_name(&name).unwrap();
    builder.set_not_before(&Asn1Time::days_from_now(0).unwrap()).unwrap();
    builder.set_not_after(&Asn1Time::days_from_now(30).unwrap()).unwrap();
    builder.set_pubkey(key).unwrap();
    builder.sign(key, MessageDigest::sha256()).unwrap();
    let der = builder.build().to_der().unwrap();
    Certificate::new(der, key.private_key_to_pkcs8().unwrap())
}

pub(crate) fn certificate() -> Certificate {
    certificate_of(&ecdsa_key(), 10)
}

pub(crate) fn fingerprint(certificate: &Certificate) -> Fingerprint {
    Fingerprint::of(FingerprintAlgorithm::Sha256, certificate.der())
}

pub(crate) struct Ours {
    pub(crate) connection: Box<dyn Connection>,
    pub(crate) out: Output,
    role: Role,
    /// All that was told.
    pub(crate) events: Vec<Event>,
}

impl Ours {
    pub(crate) fn new(connector: &OpenSsl, role: Role, peer: &Fingerprint) -> Self {
        let mut out = Output::default();
        let connection = connector.connect(Time::ZERO, role, peer, &mut out).unwrap();
        let mut end = Self { connection, out, role, events: Vec::new() };
        end.collect();
        end
    }

    fn collect(&mut self) {
        self.events.append(&mut self.out.events);
    }

    pub(crate) fn connected(&self) -> Option<&Connected> {
        self.events.iter().find_map(|event| match event {
            Event::Connected(connected) => Some(&**connected),
            _ => None,
        })
    }

    pub(crate) fn failure(&self) -> Option<&str> {
        self.events.iter().find_map(|event| match event {
            Event::Failed(reason) => Some(&**reason),
            _ => None,
        })
    }

    pub(crate) fn is_closed(&self) -> bool {
        matches!(self.events.last(), Some(Event::Closed))
    }

    pub(crate) fn advance(&mut self, now: Time) {
        self.connection.advance(now, &mut self.out);
        self.collect();
    }

    pub(crate) fn close(&mut self) {
        self.connection.close(&mut self.out);
        self.collect();
    }
}

impl End for Ours {
    fn handle_datagram(&mut self, now: Time, datagram: &[u8]) {
        self.connection.handle_datagram(now, datagram, &mut self.out);
        self.collect();
    }

    fn handle_timeout(&mut self, now: Time) {
        self.connection.handle_timeout(now, &mut self.out);
        self.collect();
    }

    fn next_timeout(&self) -> Option<Time> {
        self.connection.next_timeout()
    }

    fn take_datagrams(&mut self) -> Vec<Vec<u8>> {
        let datagrams = self.out.datagrams().map(<[u8]>::to_vec).collect();
        self.out.clear();
        datagrams
    }

    fn keys(&self) -> Option<Keys> {
        self.connected().map(|connected| {
            let (local, remote) = (connected.local_key.clone(), connected.remote_key.clone());
            let (client, server) = if self.role == Role::Client { (local, remote) } else { (remote, local) };
            Keys { suite: connected.suite, client, server }
        })
    }

    fn has_failed(&self) -> bool {
        self.failure().is_some()
    }
}

pub(crate) struct Dimpl {
    inner: dimpl::Dtls,
    origin: Instant,
    next: Option<Time>,
    datagrams: Vec<Vec<u8>>,
    keys: Option<Keys>,
    pub(crate) messages: Vec<Vec<u8>>,
    pub(crate) peer_certificate: Vec<u8>,
    has_failed: bool,
}

impl Dimpl {
    pub(crate) fn new(own: &Certificate, role: Role, mtu: usize) -> Self {
        let config = dimpl::Config::builder()
            .mtu(mtu)
            .flight_start_rto(Duration::from_millis(100))
            .flight_retries(8)
            .use_server_cookie(false)
            .build()
            .unwrap();
        Self::with_config(config, own, role)
    }

    pub(crate) fn with_config(config: dimpl::Config, own: &Certificate, role: Role) -> Self {
        let certificate = dimpl::DtlsCertificate {
            certificate: own.der().to_vec(),
            private_key: own.private_key().to_vec(),
        };
        // For want of another way to make one.
        #[allow(clippy::disallowed_methods, reason = "the library wants an instant to count from")]
        let origin = Instant::now();
        let mut inner = dimpl::Dtls::new_12(Arc::new(config), certificate, origin);
        inner.set_active(role == Role::Client);
        let mut end = Self {
            inner,
            origin,
            next: None,
            datagrams: Vec::new(),
            keys: None,
            messages: Vec::new(),
            peer_certificate: Vec::new(),
            has_failed: false,
        };
        end.handle_timeout(Time::ZERO);
        end
    }

    pub(crate) fn send(&mut self, message: &[u8]) {
        self.inner.send_application_data(message).unwrap();
        self.drain();
    }

    fn drain(&mut self) {
        let mut buffer = vec![0; 20_000];
        loop {
            match self.inner.poll_output(&mut buffer) {
                dimpl::Output::Packet(packet) => self.datagrams.push(packet.to_vec()),
                dimpl::Output::Timeout(at) => {
                    let nanos = at.saturating_duration_since(self.origin).as_nanos();
                    self.next = Some(Time::from_nanos(nanos.try_into().unwrap()));
                    return;
                }
                dimpl::Output::KeyingMaterial(material, profile) => {
                    let suite = match profile {
                        dimpl::SrtpProfile::AEAD_AES_256_GCM => CryptoSuite::AeadAes256Gcm,
                        dimpl::SrtpProfile::AEAD_AES_128_GCM => CryptoSuite::AeadAes128Gcm,
                        _ => CryptoSuite::AesCm128HmacSha1_80,
                    };
                    self.keys = Some(split(suite, &material));
                }
                dimpl::Output::ApplicationData(data) => self.messages.push(data.to_vec()),
                dimpl::Output::PeerCert(der) => self.peer_certificate = der.to_vec(),
                _ => {}
            }
        }
    }
}

/// RFC 5764 section 4.2.
pub(crate) fn split(suite: CryptoSuite, material: &[u8]) -> Keys {
    let (key, salt) = (suite.key_len(), suite.salt_len());
    let client = [&material[..key], &material[2 * key..2 * key + salt]].concat();
    let server = [&material[key..2 * key], &material[2 * key + salt..]].concat();
    Keys { suite, client, server }
}

impl End for Dimpl {
    fn handle_datagram(&mut self, now: Time, datagram: &[u8]) {
        self.handle_timeout(now);
        self.has_failed |= self.inner.handle_packet(datagram).is_err();
        self.drain();
    }

    fn handle_timeout(&mut self, now: Time) {
        let now = self.origin + Duration::from_nanos(now.as_nanos());
        self.has_failed |= self.inner.handle_timeout(now).is_err();
        self.drain();
    }

    fn next_timeout(&self) -> Option<Time> {
        self.next
    }

    fn take_datagrams(&mut self) -> Vec<Vec<u8>> {
        std::mem::take(&mut self.datagrams)
    }

    fn keys(&self) -> Option<Keys> {
        self.keys.clone()
    }

    fn has_failed(&self) -> bool {
        self.has_failed
    }
}

/// Ours behind a path with a tiny MTU: what it says in the clear goes in pieces, each in a datagram of its own.
pub(crate) struct Cut(pub(crate) Ours);

/// Bytes of message in a piece.
const PIECE_LEN: usize = 64;

fn cut(datagram: &[u8]) -> Vec<Vec<u8>> {
    let mut rest = datagram;
    let mut pieces = Vec::new();
    while rest.len() >= 13 {
        let body_len = usize::from(u16::from_be_bytes([rest[11], rest[12]]));
        let (record, behind) = rest.split_at(13 + body_len);
        rest = behind;
        if record[0] != 22 || record[4] != 0 {
            pieces.push(record.to_vec());
            continue;
        }
        let (header, message) = (&record[13..25], &record[25..]);
        let offset = u32::from_be_bytes([0, header[6], header[7], header[8]]);
        let count = message.len().div_ceil(PIECE_LEN).max(1);
        for index in 0..count {
            let bytes = &message[index * PIECE_LEN..message.len().min((index + 1) * PIECE_LEN)];
            let own_offset = (offset + u32::try_from(index * PIECE_LEN).unwrap()).to_be_bytes();
            let len = u8::try_from(bytes.len()).unwrap();
            let body = [&header[..6], &own_offset[1..], &[0, 0, len], bytes].concat();
            let body_len = u16::try_from(body.len()).unwrap().to_be_bytes();
            pieces.push([&record[..11], &body_len, &body].concat());
        }
    }
    pieces
}

impl End for Cut {
    fn handle_datagram(&mut self, now: Time, datagram: &[u8]) {
        self.0.handle_datagram(now, datagram);
    }

    fn handle_timeout(&mut self, now: Time) {
        self.0.handle_timeout(now);
    }

    fn next_timeout(&self) -> Option<Time> {
        self.0.next_timeout()
    }

    fn take_datagrams(&mut self) -> Vec<Vec<u8>> {
        self.0.take_datagrams().iter().flat_map(|datagram| cut(datagram)).collect()
    }

    fn keys(&self) -> Option<Keys> {
        self.0.keys()
    }

    fn has_failed(&self) -> bool {
        self.0.has_failed()
    }
}
