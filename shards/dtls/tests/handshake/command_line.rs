//! With the program that everybody has: `openssl s_server` and `s_client`, over sockets, in both roles.
//!
//! It prints the keying material it exports (RFC 5764 section 4.2), so that keys are compared, not only states.

use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use openssl::pkey::PKey;
use openssl::x509::X509;
use ringsoup_dtls::OpenSsl;
use ringsoup_rtc::dtls::{Certificate, Role};
use ringsoup_rtc::srtp::CryptoSuite;
use ringsoup_rtc::time::Time;

use crate::ends::{End, Keys, Ours, certificate_of, ecdsa_key, fingerprint, rsa_key, split};

/// How long a read waits; virtual time goes on by it.
const STEP: Duration = Duration::from_millis(20);
/// 20 s: far above what a handshake takes on a busy machine.
const STEPS_MAX: u32 = 1_000;

const SUITES: [(&str, CryptoSuite); 4] = [
    ("SRTP_AEAD_AES_256_GCM", CryptoSuite::AeadAes256Gcm),
    ("SRTP_AEAD_AES_128_GCM", CryptoSuite::AeadAes128Gcm),
    ("SRTP_AES128_CM_SHA1_80", CryptoSuite::AesCm128HmacSha1_80),
    ("SRTP_AES128_CM_SHA1_32", CryptoSuite::AesCm128HmacSha1_32),
];

/// The program, its lines, and the folder with its certificate; gone when dropped.
struct Program {
    child: Child,
    lines: Receiver<String>,
    folder: PathBuf,
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

fn pem_files(folder: &Path, own: &Certificate) -> (PathBuf, PathBuf) {
    let (certificate, key) = (folder.join("certificate.pem"), folder.join("key.pem"));
    let pem = X509::from_der(own.der()).unwrap().to_pem().unwrap();
    std::fs::write(&certificate, pem).unwrap();
    let private = PKey::private_key_from_pkcs8(own.private_key()).unwrap();
    std::fs::write(&key, private.private_key_to_pem_pkcs8().unwrap()).unwrap();
    (certificate, key)
}

impl Program {
    fn start(own: &Certificate, profile: &str, suite: CryptoSuite, arguments: &[&str]) -> Self {
        let unique = format!("{}-{profile}-{}", std::process::id(), arguments[0]);
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(unique);
        std::fs::create_dir_all(&folder).unwrap();
        let (certificate, key) = pem_files(&folder, own);
        let material_len = 2 * (suite.key_len() + suite.salt_len());
        let mut child = Command::new("openssl")
            .args(arguments)
            .args(["-dtls1_2", "-use_srtp", profile, "-keymatexport", "EXTRACTOR-dtls_srtp"])
            .args(["-keymatexportlen", &material_len.to_string(), "-cert"])
            .arg(certificate)
            .arg("-key")
            .arg(key)
            // It says good-bye when its input ends.
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("the openssl command is needed (Debian's package openssl)");
        let (sender, lines) = channel();
        let output = BufReader::new(child.stdout.take().unwrap());
        std::thread::spawn(move || {
            output.lines().map_while(Result::ok).all(|line| sender.send(line).is_ok())
        });
        Self { child, lines, folder }
    }

    /// The first line with this in it, what follows it.
    fn line_after(&self, word: &str) -> String {
        let mut seen = Vec::new();
        while let Ok(line) = self.lines.recv_timeout(STEP * STEPS_MAX) {
            if let Some((_, rest)) = line.split_once(word) {
                return rest.trim().to_owned();
            }
            seen.push(line);
        }
        panic!("openssl did not say {word:?}, but {seen:#?}");
    }

    fn keys(&self, suite: CryptoSuite) -> Keys {
        let hex = self.line_after("Keying material: ");
        let bytes: Vec<u8> =
            (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect();
        split(suite, &bytes)
    }
}

/// Ours on a socket, its peer the first that writes to it.
struct OnSocket {
    end: Ours,
    socket: UdpSocket,
    peer: Option<SocketAddr>,
    now: Time,
}

impl OnSocket {
    fn new(end: Ours, socket: UdpSocket, peer: Option<SocketAddr>) -> Self {
        socket.set_read_timeout(Some(STEP)).unwrap();
        Self { end, socket, peer, now: Time::ZERO }
    }

    fn step(&mut self) {
        for datagram in self.end.take_datagrams() {
            self.socket.send_to(&datagram, self.peer.unwrap()).unwrap();
        }
        let mut buffer = [0; 2_048];
        match self.socket.recv_from(&mut buffer) {
            Ok((len, from)) => {
                self.peer = Some(from);
                self.end.handle_datagram(self.now, &buffer[..len]);
            }
            Err(_) => self.now += STEP,
        }
        if self.end.next_timeout().is_some_and(|at| at <= self.now) {
            self.end.handle_timeout(self.now);
        }
    }

    fn until(&mut self, what: &str, reached: impl Fn(&Ours) -> bool) {
        for _ in 0..STEPS_MAX {
            if reached(&self.end) {
                return;
            }
            self.step();
        }
        panic!("not {what}: {:?}", self.end.events);
    }

    fn connect(&mut self) -> Keys {
        self.until("connected", |end| end.connected().is_some());
        // Our last flight is still to go.
        self.step();
        self.end.keys().unwrap()
    }
}

fn certificates() -> [Certificate; 2] {
    [certificate_of(&ecdsa_key(), 10), certificate_of(&rsa_key(2_048), 10)]
}

#[test]
fn s_server_agrees_on_every_profile_and_closes() {
    let own = certificate_of(&ecdsa_key(), 10);
    let connector = OpenSsl::new(&own).unwrap();
    for (theirs, (profile, suite)) in certificates().iter().cycle().zip(SUITES) {
        let arguments = ["s_server", "-accept", "127.0.0.1:0", "-Verify", "1"];
        let program = Program::start(theirs, profile, suite, &arguments);
        let address = program.line_after("ACCEPT").parse().unwrap();
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let us = Ours::new(&connector, Role::Client, &fingerprint(theirs));
        let mut us = OnSocket::new(us, socket, Some(address));
        let keys = us.connect();
        assert_eq!(keys.suite, suite);
        assert_eq!(keys, program.keys(suite));
        us.end.close();
        us.step();
        // What it says of an alert that closes; of nothing else that could come here.
        program.line_after("DONE");
    }
}

#[test]
fn s_client_agrees_on_every_profile_and_closes() {
    for (own, (profile, suite)) in certificates().iter().cycle().zip(SUITES) {
        let connector = OpenSsl::new(own).unwrap();
        let theirs = certificate_of(&ecdsa_key(), 10);
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = socket.local_addr().unwrap().to_string();
        let us = Ours::new(&connector, Role::Server, &fingerprint(&theirs));
        let mut us = OnSocket::new(us, socket, None);
        let mut program = Program::start(&theirs, profile, suite, &["s_client", "-connect", &address]);
        let keys = us.connect();
        assert_eq!(keys.suite, suite);
        assert_eq!(keys, program.keys(suite));
        program.child.stdin.take().unwrap().write_all(b"Q\n").unwrap();
        us.until("closed", Ours::is_closed);
    }
}

#[test]
fn s_server_with_another_certificate_than_told_gets_no_keys() {
    let own = certificate_of(&ecdsa_key(), 10);
    let connector = OpenSsl::new(&own).unwrap();
    let (profile, suite) = SUITES[0];
    let [theirs, told] = certificates();
    let arguments = ["s_server", "-accept", "127.0.0.1:0", "-Verify", "1", "-naccept", "1"];
    let program = Program::start(&theirs, profile, suite, &arguments);
    let address = program.line_after("ACCEPT").parse().unwrap();
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let us = Ours::new(&connector, Role::Client, &fingerprint(&told));
    let mut us = OnSocket::new(us, socket, Some(address));
    us.until("failed", Ours::has_failed);
    assert!(us.end.keys().is_none());
}
