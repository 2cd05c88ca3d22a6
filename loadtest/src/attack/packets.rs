//! What attackers send.

use ringsoup_rtc::ice::Credentials;
use ringsoup_rtc::stun::{BINDING, Class, IntegrityKey, Writer};

use crate::rng::Rng;

/// Different packets of a flood, over and over.
const VARIANTS: usize = 4_096;
/// Bytes of a check with every attribute of ours.
const CHECK_BYTES_MAX: usize = 300;
/// Bytes of forged media: as those of the media it is among.
const MEDIA_BYTES: usize = 1_200;
/// Bytes of noise.
const NOISE_BYTES_MAX: f64 = 1_200.0;
/// Where in a fragment of ours its seal is.
const SEALED: std::ops::Range<usize> = 2..10;

fn check(credentials: &Credentials, rng: &mut Rng) -> Vec<u8> {
    let username = format!("{}:peer", credentials.username_fragment);
    let mut transaction = [0; 12];
    transaction[..8].copy_from_slice(&rng.next_u64().to_be_bytes());
    let mut buffer = [0; CHECK_BYTES_MAX];
    let writer = Writer::new(&mut buffer, Class::Request, BINDING, &transaction)
        .username(username.as_bytes())
        .priority(1)
        .ice_controlling(7);
    let key = IntegrityKey::new(credentials.password.as_bytes());
    writer.finish(Some(&key)).map(<[u8]>::to_vec).unwrap_or_default()
}

/// Half of them name a fragment like ours with a seal that is none, half something else.
pub(super) fn checks_for_nobody(known: &Credentials) -> Vec<Vec<u8>> {
    let mut rng = Rng::new(2);
    let one = |number: usize| {
        let mut fragment = known.username_fragment.clone();
        let random = format!("{:08x}", rng.next_u32());
        if number.is_multiple_of(2) && fragment.len() >= SEALED.end {
            fragment.replace_range(SEALED, &random);
        } else {
            fragment = random;
        }
        check(&Credentials { username_fragment: fragment, password: "guessed".to_owned() }, &mut rng)
    };
    (0..VARIANTS).map(one).collect()
}

pub(super) fn checks_with_a_guess(known: &Credentials) -> Vec<Vec<u8>> {
    let mut rng = Rng::new(3);
    let guessed = |number: usize| Credentials { password: format!("guess {number}"), ..known.clone() };
    (0..VARIANTS).map(|number| check(&guessed(number), &mut rng)).collect()
}

/// A stream's header with any sequence number, any body and any tag.
pub(super) fn forged_media(ssrc: u32, payload_type: u8) -> Vec<Vec<u8>> {
    let mut rng = Rng::new(7);
    let one = |_| {
        let mut packet = random_bytes(MEDIA_BYTES, &mut rng);
        packet[..2].copy_from_slice(&[0x80, payload_type]);
        packet[8..12].copy_from_slice(&ssrc.to_be_bytes());
        packet
    };
    (0..VARIANTS).map(one).collect()
}

/// Records in the clear, of epoch 0: close_notify, handshake_failure, and one that is cut short.
pub(super) fn alerts() -> Vec<Vec<u8>> {
    let record = |alert: &[u8]| {
        let mut record = vec![21, 0xFE, 0xFD, 0, 0, 0, 0, 0, 0, 0, 9, 0, 2];
        record.extend_from_slice(alert);
        record
    };
    vec![record(&[1, 0]), record(&[2, 40]), record(&[2])]
}

/// A ClientHello of DTLS 1.2; its only cipher is TLS_RSA_WITH_NULL_MD5 in every other one.
pub(super) fn client_hellos() -> Vec<Vec<u8>> {
    let mut rng = Rng::new(1);
    (0..VARIANTS).map(|number| client_hello(number.is_multiple_of(2), &mut rng)).collect()
}

fn client_hello(is_bad: bool, rng: &mut Rng) -> Vec<u8> {
    let mut body = vec![0xFE, 0xFD];
    body.extend_from_slice(&random_bytes(32, rng));
    // No session, no cookie, one cipher, no compression, no extensions.
    body.extend_from_slice(&[0, 0, 0, 2]);
    body.extend_from_slice(if is_bad { &[0x00, 0x01] } else { &[0xC0, 0x2B] });
    body.extend_from_slice(&[1, 0]);
    let [.., high, low] = body.len().to_be_bytes();
    let mut message = vec![1, 0, high, low, 0, 0, 0, 0, 0, 0, high, low];
    message.append(&mut body);
    let [.., high, low] = message.len().to_be_bytes();
    let mut record = vec![22, 0xFE, 0xFD, 0, 0, 0, 0, 0, 0, 0, 0, high, low];
    record.append(&mut message);
    record
}

pub(super) fn noise() -> Vec<Vec<u8>> {
    let mut rng = Rng::new(22);
    let one = |_| {
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "1..=1200")]
        let length = rng.between(1.0, NOISE_BYTES_MAX) as usize;
        random_bytes(length, &mut rng)
    };
    (0..VARIANTS).map(one).collect()
}

fn random_bytes(length: usize, rng: &mut Rng) -> Vec<u8> {
    let mut bytes: Vec<u8> = (0..length.div_ceil(8)).flat_map(|_| rng.next_u64().to_be_bytes()).collect();
    bytes.truncate(length);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use ringsoup_rtc::stun::Message;

    #[test]
    fn what_is_sent_is_what_it_should_be() {
        let known = Credentials { username_fragment: "f".repeat(32), password: "p".repeat(32) };
        let key = IntegrityKey::new(known.password.as_bytes());
        let nobody = checks_for_nobody(&known);
        let parsed: Vec<_> = nobody.iter().map(|check| Message::parse(check).expect("STUN")).collect();
        let of_ours = parsed.iter().filter(|check| check.receiver_fragment().map(<[u8]>::len) == Some(32));
        assert_eq!(of_ours.count(), VARIANTS / 2);
        assert!(
            parsed.iter().all(|check| check.receiver_fragment() != Some(known.username_fragment.as_bytes()))
        );
        for check in checks_with_a_guess(&known) {
            let check = Message::parse(&check).expect("STUN");
            assert_eq!(check.receiver_fragment(), Some(known.username_fragment.as_bytes()));
            assert!(!check.is_authentic(&key));
        }
        let media = forged_media(0x0102_0304, 96);
        assert!(media.iter().all(|packet| packet[..2] == [0x80, 96] && packet[8..12] == [1, 2, 3, 4]));
        for hello in client_hellos() {
            assert_eq!(usize::from(hello[12]) + 13, hello.len());
            assert_eq!(usize::from(hello[16]) + 25, hello.len());
        }
    }
}
