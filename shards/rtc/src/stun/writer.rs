//! Messages into a caller's buffer.
//!
//! A message ends with [`Writer::finish`], which puts integrity and fingerprint where they belong: no other order can be
//! written.

use std::net::SocketAddr;

use super::address::{self, Mask};
use super::attribute::{REASON_MAX, SOFTWARE_MAX, USERNAME_MAX, kind};
use super::fingerprint::fingerprint;
use super::integrity::IntegrityKey;
use super::message::{Class, type_field};
use super::{ALIGNMENT, ATTRIBUTE_HEADER_LEN, HEADER_LEN, LENGTH_AT, MAGIC_COOKIE, TRANSACTION_LEN};

/// A message in the making. What does not fit spoils it, and [`Writer::finish`] says so.
#[derive(Debug)]
pub struct Writer<'a> {
    buffer: &'a mut [u8],
    mask: Mask,
    /// `None` once spoilt.
    len: Option<usize>,
}

impl<'a> Writer<'a> {
    pub fn new(buffer: &'a mut [u8], class: Class, method: u16, transaction: &[u8; TRANSACTION_LEN]) -> Self {
        let mut mask = [0; 16];
        let (cookie, rest) = mask.split_at_mut(MAGIC_COOKIE.len());
        cookie.copy_from_slice(&MAGIC_COOKIE);
        rest.copy_from_slice(transaction);
        let len = buffer.first_chunk_mut::<HEADER_LEN>().map(|header| {
            header[..LENGTH_AT].copy_from_slice(&type_field(class, method).to_be_bytes());
            header[LENGTH_AT..4].fill(0);
            header[4..].copy_from_slice(&mask);
            HEADER_LEN
        });
        Self { buffer, mask, len }
    }

    #[must_use]
    pub fn username(self, username: &[u8]) -> Self {
        self.text(kind::USERNAME, username, USERNAME_MAX)
    }

    #[must_use]
    pub fn priority(self, priority: u32) -> Self {
        self.attribute(kind::PRIORITY, &[&priority.to_be_bytes()])
    }

    #[must_use]
    pub fn use_candidate(self) -> Self {
        self.attribute(kind::USE_CANDIDATE, &[])
    }

    #[must_use]
    pub fn ice_controlling(self, tie_breaker: u64) -> Self {
        self.attribute(kind::ICE_CONTROLLING, &[&tie_breaker.to_be_bytes()])
    }

    #[must_use]
    pub fn ice_controlled(self, tie_breaker: u64) -> Self {
        self.attribute(kind::ICE_CONTROLLED, &[&tie_breaker.to_be_bytes()])
    }

    #[must_use]
    pub fn nomination(self, nomination: u32) -> Self {
        self.attribute(kind::NOMINATION, &[&nomination.to_be_bytes()])
    }

    /// By the number that libwebrtc uses.
    #[must_use]
    pub fn nomination_old(self, nomination: u32) -> Self {
        self.attribute(kind::NOMINATION_OLD, &[&nomination.to_be_bytes()])
    }

    #[must_use]
    pub fn software(self, software: &[u8]) -> Self {
        self.text(kind::SOFTWARE, software, SOFTWARE_MAX)
    }

    #[must_use]
    pub fn xor_mapped_address(self, address: SocketAddr) -> Self {
        let (value, len) = address::write(address, &self.mask);
        self.attribute(kind::XOR_MAPPED_ADDRESS, &[&value[..len]])
    }

    /// A code of 300 to 699; others spoil the message.
    #[must_use]
    pub fn error_code(self, code: u16, reason: &[u8]) -> Self {
        let (Ok(class @ 3..=6), Ok(number)) = (u8::try_from(code / 100), u8::try_from(code % 100)) else {
            return self.spoilt();
        };
        if reason.len() > REASON_MAX {
            return self.spoilt();
        }
        self.attribute(kind::ERROR_CODE, &[&[0, 0, class, number], reason])
    }

    #[must_use]
    pub fn unknown_attributes(self, kinds: &[u16]) -> Self {
        let Some(length) = u16::try_from(kinds.len() * 2).ok() else { return self.spoilt() };
        self.values(kind::UNKNOWN_ATTRIBUTES, length, kinds.iter().map(|kind| kind.to_be_bytes()))
    }

    /// Seals the message with the key, if one is given, and a fingerprint. `None` when the buffer was too small or a
    /// value out of its bounds.
    pub fn finish(mut self, key: Option<&IntegrityKey>) -> Option<&'a [u8]> {
        if let Some(key) = key {
            let code = key.code(self.buffer, self.len?)?;
            self = self.attribute(kind::MESSAGE_INTEGRITY, &[&code]);
        }
        let before = self.len?;
        // The length that is summed counts the fingerprint in.
        self = self.attribute(kind::FINGERPRINT, &[&[0; 4]]);
        let sum = fingerprint(self.buffer.get(..before)?);
        let end = self.len?;
        self.buffer.get_mut(end.checked_sub(4)?..end)?.copy_from_slice(&sum.to_be_bytes());
        self.buffer.get(..end)
    }

    fn text(self, kind: u16, text: &[u8], max: usize) -> Self {
        if text.len() > max { self.spoilt() } else { self.attribute(kind, &[text]) }
    }

    fn attribute(self, kind: u16, parts: &[&[u8]]) -> Self {
        match u16::try_from(parts.iter().map(|part| part.len()).sum::<usize>()) {
            Ok(length) => self.values(kind, length, parts.iter()),
            Err(_) => self.spoilt(),
        }
    }

    /// An attribute whose value is these parts, `length` bytes in all.
    fn values<P: AsRef<[u8]>>(mut self, kind: u16, length: u16, parts: impl Iterator<Item = P>) -> Self {
        self.len = self.len.and_then(|at| append(self.buffer, at, kind, length, parts));
        self
    }

    fn spoilt(mut self) -> Self {
        self.len = None;
        self
    }
}

/// Where the message ends now. `None` if there is no room.
fn append<P: AsRef<[u8]>>(
    buffer: &mut [u8],
    at: usize,
    kind: u16,
    length: u16,
    parts: impl Iterator<Item = P>,
) -> Option<usize> {
    let end = at + ATTRIBUTE_HEADER_LEN + usize::from(length).next_multiple_of(ALIGNMENT);
    let message_length = u16::try_from(end.checked_sub(HEADER_LEN)?).ok()?;
    let (header, value) = buffer.get_mut(at..end)?.split_first_chunk_mut::<ATTRIBUTE_HEADER_LEN>()?;
    let ([kind_high, kind_low], [length_high, length_low]) = (kind.to_be_bytes(), length.to_be_bytes());
    *header = [kind_high, kind_low, length_high, length_low];
    let mut written = 0;
    for part in parts {
        let part = part.as_ref();
        value.get_mut(written..written + part.len())?.copy_from_slice(part);
        written += part.len();
    }
    value.get_mut(written..)?.fill(0);
    buffer.get_mut(LENGTH_AT..LENGTH_AT + 2)?.copy_from_slice(&message_length.to_be_bytes());
    Some(end)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stun::{BINDING, Message};

    const TRANSACTION: [u8; TRANSACTION_LEN] = *b"transaction.";

    #[test]
    fn what_does_not_fit_is_never_half_written() {
        let key = IntegrityKey::new(b"secret");
        let write = |room: usize| {
            let mut buffer = vec![0xff; room];
            let writer = Writer::new(&mut buffer, Class::Request, BINDING, &TRANSACTION);
            writer.username(b"a:b").priority(1).finish(Some(&key)).map(<[u8]>::len)
        };
        let len = 20 + 8 + 8 + 24 + 8;
        for room in 0..len {
            assert_eq!(write(room), None, "{room}");
        }
        assert_eq!(write(len), Some(len));
    }

    #[test]
    fn values_out_of_bounds_spoil_the_message() {
        fn finishes(with: impl for<'a> FnOnce(Writer<'a>) -> Writer<'a>) -> bool {
            let mut buffer = vec![0; 200_000];
            let writer = Writer::new(&mut buffer, Class::ErrorResponse, BINDING, &TRANSACTION);
            with(writer).priority(1).finish(None).is_some_and(|bytes| Message::parse(bytes).is_ok())
        }
        assert!(finishes(|writer| writer.username(&[0; USERNAME_MAX])));
        assert!(!finishes(|writer| writer.username(&[0; USERNAME_MAX + 1])));
        assert!(finishes(|writer| writer.software(&[0; SOFTWARE_MAX])));
        assert!(!finishes(|writer| writer.software(&[0; SOFTWARE_MAX + 1])));
        assert!(finishes(|writer| writer.error_code(300, &[0; REASON_MAX])));
        assert!(!finishes(|writer| writer.error_code(300, &[0; REASON_MAX + 1])));
        for code in [0, 299, 700, u16::MAX] {
            assert!(!finishes(|writer| writer.error_code(code, b"")), "{code}");
        }
        assert!(finishes(|writer| writer.unknown_attributes(&[7; 32_000])));
        // Longer than a message's length can say.
        assert!(!finishes(|writer| writer.unknown_attributes(&[7; 32_767])));
    }
}
