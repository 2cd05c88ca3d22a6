//! A received message, read without a copy.
//!
//! Parsing is total: whatever the bytes, the answer is a view or a [`ParseError`]. It is one pass over the attributes;
//! those of ICE are kept, others passed over.

use std::net::SocketAddr;

use thiserror::Error;

use super::address::{self, Mask};
use super::attribute::{self, ErrorCode, MESSAGE_INTEGRITY_LEN, SOFTWARE_MAX, USERNAME_MAX, kind};
use super::fingerprint::fingerprint;
use super::integrity::IntegrityKey;
use super::{ALIGNMENT, ATTRIBUTE_HEADER_LEN, HEADER_LEN, TRANSACTION_LEN};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    Request,
    Indication,
    SuccessResponse,
    ErrorResponse,
}

/// Why bytes are no message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum ParseError {
    #[error("no STUN header")]
    Header,
    #[error("the length is not that of the bytes, or not of whole words")]
    Length,
    #[error("an attribute runs past the end")]
    Truncated,
    #[error("attribute {0:#06x} has a length it cannot have")]
    AttributeLength(u16),
    #[error("attribute {0:#06x} has a value it cannot have")]
    AttributeValue(u16),
    #[error("attribute {0:#06x} comes twice")]
    Duplicate(u16),
    #[error("attribute {0:#06x} comes after the fingerprint")]
    AfterFingerprint(u16),
    #[error("the fingerprint does not match")]
    Fingerprint,
}

/// The MAC, and where its attribute begins.
#[derive(Debug, Clone, Copy)]
struct Integrity<'a> {
    at: usize,
    code: &'a [u8; MESSAGE_INTEGRITY_LEN],
}

/// A well-formed message. Its fingerprint, where there is one, is right; its integrity is for the holder of the
/// password to check.
#[derive(Debug, Clone, Copy)]
pub struct Message<'a> {
    bytes: &'a [u8],
    mask: &'a Mask,
    pub class: Class,
    pub method: u16,
    pub username: Option<&'a [u8]>,
    pub priority: Option<u32>,
    pub use_candidate: bool,
    /// The tie-breaker of a peer that controls,
    pub ice_controlling: Option<u64>,
    /// and of one that says we do.
    pub ice_controlled: Option<u64>,
    nomination: Option<u32>,
    nomination_old: Option<u32>,
    pub software: Option<&'a [u8]>,
    pub xor_mapped_address: Option<SocketAddr>,
    pub error_code: Option<ErrorCode<'a>>,
    unknown_attributes: Option<&'a [u8]>,
    integrity: Option<Integrity<'a>>,
    pub has_fingerprint: bool,
}

impl<'a> Message<'a> {
    /// # Errors
    /// [`ParseError`] says what is wrong first.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, ParseError> {
        let mut message = Self::header(bytes)?;
        let mut at = HEADER_LEN;
        while at < bytes.len() {
            let (kind, value) = attribute_at(bytes, at)?;
            message.read(at, kind, value)?;
            // The whole is of whole words, so the padding is there.
            at += ATTRIBUTE_HEADER_LEN + value.len().next_multiple_of(ALIGNMENT);
        }
        Ok(message)
    }

    fn header(bytes: &'a [u8]) -> Result<Self, ParseError> {
        if !super::is_stun(bytes) {
            return Err(ParseError::Header);
        }
        let (&[type_high, type_low, length_high, length_low], rest) =
            bytes.split_first_chunk().ok_or(ParseError::Header)?;
        let (mask, attributes) = rest.split_first_chunk().ok_or(ParseError::Header)?;
        let length = usize::from(u16::from_be_bytes([length_high, length_low]));
        if length != attributes.len() || !length.is_multiple_of(ALIGNMENT) {
            return Err(ParseError::Length);
        }
        let (class, method) = class_and_method(u16::from_be_bytes([type_high, type_low]));
        Ok(Self {
            bytes,
            mask,
            class,
            method,
            username: None,
            priority: None,
            use_candidate: false,
            ice_controlling: None,
            ice_controlled: None,
            nomination: None,
            nomination_old: None,
            software: None,
            xor_mapped_address: None,
            error_code: None,
            unknown_attributes: None,
            integrity: None,
            has_fingerprint: false,
        })
    }

    /// Takes in the attribute at an offset, by the rules of what may come after what.
    fn read(&mut self, at: usize, kind: u16, value: &'a [u8]) -> Result<(), ParseError> {
        // RFC 8489 section 14.7: it is the last.
        if self.has_fingerprint {
            return Err(ParseError::AfterFingerprint(kind));
        }
        if kind == kind::FINGERPRINT {
            return self.read_fingerprint(at, value);
        }
        // RFC 8489 section 14.5: nobody vouches for what follows, so it is as if it were not there.
        if self.integrity.is_some() {
            return Ok(());
        }
        let is_first = match kind {
            kind::USERNAME => set(&mut self.username, attribute::at_most(USERNAME_MAX, kind, value)?),
            kind::PRIORITY => set(&mut self.priority, u32_of(kind, value)?),
            kind::USE_CANDIDATE => {
                attribute::exactly::<0>(kind, value)?;
                !std::mem::replace(&mut self.use_candidate, true)
            }
            kind::ICE_CONTROLLING => set(&mut self.ice_controlling, u64_of(kind, value)?),
            kind::ICE_CONTROLLED => set(&mut self.ice_controlled, u64_of(kind, value)?),
            kind::NOMINATION => set(&mut self.nomination, u32_of(kind, value)?),
            kind::NOMINATION_OLD => set(&mut self.nomination_old, u32_of(kind, value)?),
            kind::SOFTWARE => set(&mut self.software, attribute::at_most(SOFTWARE_MAX, kind, value)?),
            kind::XOR_MAPPED_ADDRESS => set(&mut self.xor_mapped_address, address::read(value, self.mask)?),
            kind::ERROR_CODE => set(&mut self.error_code, ErrorCode::read(value)?),
            kind::UNKNOWN_ATTRIBUTES if value.len().is_multiple_of(2) => {
                set(&mut self.unknown_attributes, value)
            }
            kind::UNKNOWN_ATTRIBUTES => return Err(ParseError::AttributeLength(kind)),
            kind::MESSAGE_INTEGRITY => {
                set(&mut self.integrity, Integrity { at, code: attribute::exactly(kind, value)? })
            }
            _ => true,
        };
        // RFC 8489 section 14 lets a receiver take the first; like the original we trust no such message.
        if is_first { Ok(()) } else { Err(ParseError::Duplicate(kind)) }
    }

    fn read_fingerprint(&mut self, at: usize, value: &[u8]) -> Result<(), ParseError> {
        let before = self.bytes.get(..at).ok_or(ParseError::Truncated)?;
        if u32_of(kind::FINGERPRINT, value)? != fingerprint(before) {
            return Err(ParseError::Fingerprint);
        }
        self.has_fingerprint = true;
        Ok(())
    }

    pub const fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    pub fn transaction(&self) -> &'a [u8; TRANSACTION_LEN] {
        let [_, _, _, _, transaction @ ..] = self.mask;
        transaction
    }

    /// The peer's count of nominations, by its registered number or else by its old one.
    pub const fn nomination(&self) -> Option<u32> {
        match self.nomination {
            Some(value) => Some(value),
            None => self.nomination_old,
        }
    }

    /// The receiver's half of a check's USERNAME (RFC 8445 section 7.2.2), by which the message finds its agent.
    pub fn receiver_fragment(&self) -> Option<&'a [u8]> {
        let username = self.username?;
        let end = username.iter().position(|letter| *letter == b':')?;
        username.get(..end)
    }

    /// What the sender of an error did not understand.
    pub fn unknown_attributes(&self) -> impl Iterator<Item = u16> + use<'a> {
        let (kinds, _) = self.unknown_attributes.unwrap_or_default().as_chunks();
        kinds.iter().map(|kind| u16::from_be_bytes(*kind))
    }

    pub const fn has_integrity(&self) -> bool {
        self.integrity.is_some()
    }

    /// Whether its sender holds this key. False without MESSAGE-INTEGRITY.
    pub fn is_authentic(&self, key: &IntegrityKey) -> bool {
        self.integrity.is_some_and(|integrity| key.verify(self.bytes, integrity.at, integrity.code))
    }
}

/// Type and value without padding.
fn attribute_at(bytes: &[u8], at: usize) -> Result<(u16, &[u8]), ParseError> {
    let rest = bytes.get(at..).ok_or(ParseError::Truncated)?;
    let (&[kind_high, kind_low, length_high, length_low], rest) =
        rest.split_first_chunk().ok_or(ParseError::Truncated)?;
    let length = usize::from(u16::from_be_bytes([length_high, length_low]));
    let value = rest.get(..length).ok_or(ParseError::Truncated)?;
    Ok((u16::from_be_bytes([kind_high, kind_low]), value))
}

/// Whether it is the first.
const fn set<V: Copy>(slot: &mut Option<V>, value: V) -> bool {
    slot.replace(value).is_none()
}

fn u32_of(kind: u16, value: &[u8]) -> Result<u32, ParseError> {
    attribute::exactly(kind, value).map(|bytes| u32::from_be_bytes(*bytes))
}

fn u64_of(kind: u16, value: &[u8]) -> Result<u64, ParseError> {
    attribute::exactly(kind, value).map(|bytes| u64::from_be_bytes(*bytes))
}

/// The class's two bits lie between the method's twelve (RFC 8489 section 5, figure 3).
const fn class_and_method(field: u16) -> (Class, u16) {
    let class = match (field & 0x0100 != 0, field & 0x0010 != 0) {
        (false, false) => Class::Request,
        (false, true) => Class::Indication,
        (true, false) => Class::SuccessResponse,
        (true, true) => Class::ErrorResponse,
    };
    (class, field & 0x000f | (field & 0x00e0) >> 1 | (field & 0x3e00) >> 2)
}

/// The way back.
pub(super) const fn type_field(class: Class, method: u16) -> u16 {
    let bits = match class {
        Class::Request => 0,
        Class::Indication => 0x0010,
        Class::SuccessResponse => 0x0100,
        Class::ErrorResponse => 0x0110,
    };
    bits | method & 0x000f | (method & 0x0070) << 1 | (method & 0x0f80) << 2
}

#[cfg(test)]
#[path = "message_tests.rs"]
mod tests;
