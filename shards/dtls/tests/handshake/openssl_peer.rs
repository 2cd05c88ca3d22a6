//! A peer by OpenSSL as anybody would use it, with settings that ours does not have. It waits by its own clock, so it is
//! for networks that lose nothing.

use std::collections::VecDeque;
use std::io::{self, ErrorKind, Read, Write};

use openssl::pkey::PKey;
use openssl::ssl::{Ssl, SslContext, SslContextBuilder, SslMethod, SslOptions, SslStream, SslVerifyMode};
use openssl::x509::X509;
use ringsoup_rtc::dtls::{Certificate, Role};
use ringsoup_rtc::srtp::CryptoSuite;
use ringsoup_rtc::time::Time;

use crate::ends::{End, Keys, split};

#[derive(Debug, Default)]
struct Datagrams {
    incoming: VecDeque<Vec<u8>>,
    outgoing: Vec<Vec<u8>>,
}

impl Read for Datagrams {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let datagram = self.incoming.pop_front().ok_or(ErrorKind::WouldBlock)?;
        buffer[..datagram.len()].copy_from_slice(&datagram);
        Ok(datagram.len())
    }
}

impl Write for Datagrams {
    fn write(&mut self, datagram: &[u8]) -> io::Result<usize> {
        self.outgoing.push(datagram.to_vec());
        Ok(datagram.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

pub(crate) struct OpenSslPeer {
    stream: SslStream<Datagrams>,
    keys: Option<Keys>,
    pub(crate) error: Option<String>,
}

/// What most peers have; the caller changes what it is about.
pub(crate) fn context(own: Option<&Certificate>) -> SslContextBuilder {
    let mut context = SslContextBuilder::new(SslMethod::dtls()).unwrap();
    context.set_security_level(0);
    if let Some(own) = own {
        context.set_certificate(&X509::from_der(own.der()).unwrap()).unwrap();
        context.set_private_key(&PKey::private_key_from_der(own.private_key()).unwrap()).unwrap();
    }
    context.set_options(SslOptions::NO_QUERY_MTU);
    context.set_verify_callback(SslVerifyMode::PEER, |_, _| true);
    context.set_tlsext_use_srtp("SRTP_AEAD_AES_128_GCM").unwrap();
    context
}

impl OpenSslPeer {
    pub(crate) fn new(context: &SslContext, role: Role, mtu: u32) -> Self {
        let mut ssl = Ssl::new(context).unwrap();
        ssl.set_mtu(mtu).unwrap();
        match role {
            Role::Client => ssl.set_connect_state(),
            _ => ssl.set_accept_state(),
        }
        let stream = SslStream::new(ssl, Datagrams::default()).unwrap();
        let mut end = Self { stream, keys: None, error: None };
        end.advance();
        end
    }

    pub(crate) fn ssl(&self) -> &openssl::ssl::SslRef {
        self.stream.ssl()
    }

    fn advance(&mut self) {
        let result = if self.keys.is_some() {
            self.stream.ssl_read(&mut [0; 2000]).map(drop)
        } else {
            self.stream.do_handshake()
        };
        match result {
            Ok(()) if self.keys.is_none() => self.export(),
            Err(error) if error.ssl_error().is_some() => self.error = Some(error.to_string()),
            _ => {}
        }
    }

    fn export(&mut self) {
        let ssl = self.stream.ssl();
        let name = ssl.selected_srtp_profile().map(|profile| profile.name().to_owned());
        let suite = match name.as_deref() {
            Some("SRTP_AEAD_AES_256_GCM") => CryptoSuite::AeadAes256Gcm,
            Some("SRTP_AEAD_AES_128_GCM") => CryptoSuite::AeadAes128Gcm,
            Some("SRTP_AES128_CM_SHA1_80") => CryptoSuite::AesCm128HmacSha1_80,
            Some("SRTP_AES128_CM_SHA1_32") => CryptoSuite::AesCm128HmacSha1_32,
            _ => return,
        };
        let mut material = vec![0; 2 * suite.key_and_salt_len()];
        ssl.export_keying_material(&mut material, "EXTRACTOR-dtls_srtp", None).unwrap();
        self.keys = Some(split(suite, &material));
    }
}

impl End for OpenSslPeer {
    fn handle_datagram(&mut self, _now: Time, datagram: &[u8]) {
        self.stream.get_mut().incoming.push_back(datagram.to_vec());
        self.advance();
    }

    fn handle_timeout(&mut self, _now: Time) {}

    fn next_timeout(&self) -> Option<Time> {
        None
    }

    fn take_datagrams(&mut self) -> Vec<Vec<u8>> {
        std::mem::take(&mut self.stream.get_mut().outgoing)
    }

    fn keys(&self) -> Option<Keys> {
        self.keys.clone()
    }

    fn has_failed(&self) -> bool {
        self.error.is_some()
    }
}
