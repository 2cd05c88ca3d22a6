//! What a handshake costs one end: ours by OpenSSL and `dimpl` in turns, each against the same `dimpl` peer.
//!
//! `cargo bench -p ringsoup-benches --bench dtls`
//!
//! Not by criterion: what is timed are the calls of one end alone, by the thread's CPU time, and the two are to be compared
//! within one run. Each handshake of one is compared with the other's next to it; of all pairs the median ratio counts.

use std::sync::Arc;
use std::time::{Duration, Instant};

use ringsoup_benches::thread_time;
use ringsoup_dtls::OpenSsl;
use ringsoup_rtc::dtls::{
    Certificate, Connection, Connector as _, Fingerprint, FingerprintAlgorithm, Output, Role,
};
use ringsoup_rtc::time::Time;

const HANDSHAKES: usize = 400;

fn certificate() -> Certificate {
    let key = rcgen::KeyPair::generate().expect("a key");
    let own = rcgen::CertificateParams::default().self_signed(&key).expect("a certificate");
    Certificate::new(own.der().to_vec(), key.serialize_der())
}

/// An end that counts the time it takes.
trait End {
    fn handle(&mut self, datagram: &[u8]);
    fn take(&mut self) -> Vec<Vec<u8>>;
    fn spent(&self) -> Duration;
}

struct Ours {
    connection: Box<dyn Connection>,
    out: Output,
    spent: Duration,
}

impl Ours {
    fn new(connector: &OpenSsl, role: Role, peer: &Fingerprint) -> Self {
        let began = thread_time();
        let mut out = Output::default();
        let connection = connector.connect(Time::ZERO, role, peer, &mut out).expect("a connection");
        Self { connection, out, spent: thread_time() - began }
    }
}

impl End for Ours {
    fn handle(&mut self, datagram: &[u8]) {
        let began = thread_time();
        self.connection.handle_datagram(Time::ZERO, datagram, &mut self.out);
        self.spent += thread_time() - began;
    }

    fn take(&mut self) -> Vec<Vec<u8>> {
        let datagrams = self.out.datagrams().map(<[u8]>::to_vec).collect();
        self.out.clear();
        datagrams
    }

    fn spent(&self) -> Duration {
        self.spent
    }
}

struct Dimpl {
    inner: dimpl::Dtls,
    datagrams: Vec<Vec<u8>>,
    spent: Duration,
}

impl Dimpl {
    fn new(config: &Arc<dimpl::Config>, own: &Certificate, role: Role) -> Self {
        let (began, now) = (thread_time(), Instant::now());
        let (certificate, private_key) = (own.der().to_vec(), own.private_key().to_vec());
        let certificate = dimpl::DtlsCertificate { certificate, private_key };
        let mut inner = dimpl::Dtls::new_12(Arc::clone(config), certificate, now);
        inner.set_active(role == Role::Client);
        inner.handle_timeout(now).expect("begins");
        let mut end = Self { inner, datagrams: Vec::new(), spent: Duration::ZERO };
        end.drain();
        end.spent = thread_time() - began;
        end
    }

    fn drain(&mut self) {
        let mut buffer = [0; 2_048];
        loop {
            match self.inner.poll_output(&mut buffer) {
                dimpl::Output::Packet(packet) => self.datagrams.push(packet.to_vec()),
                dimpl::Output::Timeout(_) => break,
                _ => {}
            }
        }
    }
}

impl End for Dimpl {
    fn handle(&mut self, datagram: &[u8]) {
        let began = thread_time();
        self.inner.handle_packet(datagram).expect("goes well");
        self.drain();
        self.spent += thread_time() - began;
    }

    fn take(&mut self) -> Vec<Vec<u8>> {
        std::mem::take(&mut self.datagrams)
    }

    fn spent(&self) -> Duration {
        self.spent
    }
}

fn shake(end: &mut dyn End, peer: &mut dyn End) -> Duration {
    loop {
        let (to_peer, to_end) = (end.take(), peer.take());
        if to_peer.is_empty() && to_end.is_empty() {
            return end.spent();
        }
        to_peer.iter().for_each(|datagram| peer.handle(datagram));
        to_end.iter().for_each(|datagram| end.handle(datagram));
    }
}

fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures[figures.len() / 2]
}

fn main() {
    let (own, peer) = (certificate(), certificate());
    let fingerprint = Fingerprint::of(FingerprintAlgorithm::Sha256, peer.der());
    let connector = OpenSsl::new(&own).expect("OpenSSL takes the certificate");
    let config = dimpl::Config::builder().use_server_cookie(false).build().expect("a configuration");
    let config = Arc::new(config);
    println!("{}", ringsoup_dtls::library());
    for role in [Role::Server, Role::Client] {
        let mut times = [Vec::new(), Vec::new()];
        for round in 0..HANDSHAKES {
            for step in 0..2 {
                let which = (round + step) % 2;
                let mut them = Dimpl::new(&config, &peer, role.opposite());
                let spent = if which == 0 {
                    shake(&mut Ours::new(&connector, role, &fingerprint), &mut them)
                } else {
                    shake(&mut Dimpl::new(&config, &own, role), &mut them)
                };
                times[which].push(spent.as_secs_f64() * 1e6);
            }
        }
        let ratio = median(times[0].iter().zip(&times[1]).map(|(ours, dimpl)| ours / dimpl).collect());
        let [ours, dimpl] = times.map(median);
        println!("{role:?}: OpenSSL {ours:.0} us, dimpl {dimpl:.0} us, {ratio:.2} times");
    }
}
