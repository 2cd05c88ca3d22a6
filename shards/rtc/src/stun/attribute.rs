//! The attributes that ICE reads or writes, and how long each may be.

use super::message::ParseError;

/// Types (RFC 8489 section 18.3, RFC 8445 section 16.1).
pub mod kind {
    pub const USERNAME: u16 = 0x0006;
    pub const MESSAGE_INTEGRITY: u16 = 0x0008;
    pub const ERROR_CODE: u16 = 0x0009;
    pub const UNKNOWN_ATTRIBUTES: u16 = 0x000a;
    pub const XOR_MAPPED_ADDRESS: u16 = 0x0020;
    pub const PRIORITY: u16 = 0x0024;
    pub const USE_CANDIDATE: u16 = 0x0025;
    /// draft-thatcher-ice-renomination as it was registered.
    pub const NOMINATION: u16 = 0x0030;
    pub const SOFTWARE: u16 = 0x8022;
    pub const FINGERPRINT: u16 = 0x8028;
    pub const ICE_CONTROLLED: u16 = 0x8029;
    pub const ICE_CONTROLLING: u16 = 0x802a;
    /// The same before its registration: what libwebrtc sends.
    pub const NOMINATION_OLD: u16 = 0xc001;
}

/// Bytes of a USERNAME; RFC 8489 section 14.3 says fewer than 509, RFC 5389 fewer than 513, and the original takes 513.
pub const USERNAME_MAX: usize = 513;
/// Bytes of a SOFTWARE text: 127 characters of UTF-8 at their longest (RFC 8489 section 14.14).
pub const SOFTWARE_MAX: usize = 763;
/// Bytes of a reason phrase, by the same count (RFC 8489 section 14.8).
pub const REASON_MAX: usize = 763;
/// An HMAC-SHA1.
pub const MESSAGE_INTEGRITY_LEN: usize = 20;
/// Reserved bits, class and number before a reason phrase.
pub(super) const ERROR_CODE_HEADER_LEN: usize = 4;
/// Codes are 300 to 699 (RFC 8489 section 14.8): their hundreds,
const ERROR_CLASSES: std::ops::RangeInclusive<u8> = 3..=6;
/// and what is above them.
const ERROR_NUMBERS: std::ops::RangeInclusive<u8> = 0..=99;

/// What a request was refused with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ErrorCode<'a> {
    pub code: u16,
    /// UTF-8 by the letter of the RFC; unchecked.
    pub reason: &'a [u8],
}

impl<'a> ErrorCode<'a> {
    pub(super) fn read(value: &'a [u8]) -> Result<Self, ParseError> {
        let Some((&[_, _, class, number], reason)) = value.split_first_chunk::<ERROR_CODE_HEADER_LEN>()
        else {
            return Err(ParseError::AttributeLength(kind::ERROR_CODE));
        };
        // The bits above the class are reserved.
        let class = class & 0b111;
        if !ERROR_CLASSES.contains(&class) || !ERROR_NUMBERS.contains(&number) {
            return Err(ParseError::AttributeValue(kind::ERROR_CODE));
        }
        if reason.len() > REASON_MAX {
            return Err(ParseError::AttributeLength(kind::ERROR_CODE));
        }
        Ok(Self { code: u16::from(class) * 100 + u16::from(number), reason })
    }
}

/// A value of exactly `N` bytes.
pub(super) fn exactly<const N: usize>(kind: u16, value: &[u8]) -> Result<&[u8; N], ParseError> {
    value.try_into().map_err(|_| ParseError::AttributeLength(kind))
}

/// A text of at most so many bytes.
pub(super) fn at_most(max: usize, kind: u16, value: &[u8]) -> Result<&[u8], ParseError> {
    if value.len() > max { Err(ParseError::AttributeLength(kind)) } else { Ok(value) }
}
