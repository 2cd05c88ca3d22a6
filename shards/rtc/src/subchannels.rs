//! Whom a data message is for, and how that travels inside it through an SCTP pipe between routers.
//!
//! ```text
//!  0                             61   R I   16-bit count       count × 16 bits   16 bits    16 bits
//! +-------------------------------+--+--+ +-----------------+ +---------------+ +--------+ +-------+
//! |             MAGIC             |R |I | |      count      | |  subchannels  | |required| |ignored|  payload…
//! +-------------------------------+--+--+ +-----------------+ +---------------+ +--------+ +-------+
//! ```
//! Everything in network order; `R` and `I` say whether a required and an ignored subchannel follow.

/// What an addressed message begins with, in its upper 62 bits.
const MAGIC: u64 = 0xa5f0_9cb3_d6e1_f28c;
const REQUIRED_FLAG: u64 = 0b10;
const IGNORED_FLAG: u64 = 0b01;
const FLAGS: u64 = REQUIRED_FLAG | IGNORED_FLAG;
/// Bytes of the magic and of the count.
const FIXED_BYTES: usize = 10;

/// Who among a data producer's consumers gets a message.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Audience {
    /// Those that have subscribed to any of these; empty means no such condition.
    pub subchannels: Vec<u16>,
    /// Only those that have subscribed to this one.
    pub required: Option<u16>,
    /// None of those that have subscribed to this one.
    pub ignored: Option<u16>,
}

impl Audience {
    /// No condition at all.
    pub fn is_everybody(&self) -> bool {
        self.subchannels.is_empty() && self.required.is_none() && self.ignored.is_none()
    }
}

/// The payload with its audience in front. `None` when there is nothing to say about it, or more subchannels than can
/// be counted: the payload then goes as it is.
pub fn encode(audience: &Audience, payload: &[u8]) -> Option<Vec<u8>> {
    if audience.is_everybody() {
        return None;
    }
    let count = u16::try_from(audience.subchannels.len()).ok()?;
    let flag = |value: Option<u16>, flag| if value.is_some() { flag } else { 0 };
    let magic = MAGIC | flag(audience.required, REQUIRED_FLAG) | flag(audience.ignored, IGNORED_FLAG);
    let numbers = audience.subchannels.iter().chain(&audience.required).chain(&audience.ignored);
    let mut message = Vec::with_capacity(FIXED_BYTES + 2 * (usize::from(count) + 2) + payload.len());
    message.extend_from_slice(&magic.to_be_bytes());
    message.extend_from_slice(&count.to_be_bytes());
    message.extend(numbers.flat_map(|number| number.to_be_bytes()));
    message.extend_from_slice(payload);
    Some(message)
}

/// The audience a message begins with, and the payload behind it. `None` when it begins with none, or with one that
/// is cut off: the whole message is then payload.
pub fn decode(message: &[u8]) -> Option<(Audience, &[u8])> {
    let (magic, rest) =
        message.split_first_chunk().map(|(magic, rest)| (u64::from_be_bytes(*magic), rest))?;
    if magic & !FLAGS != MAGIC {
        return None;
    }
    let (count, mut rest) = split_u16(rest)?;
    let (subchannels, behind) = rest.split_at_checked(2 * usize::from(count))?;
    rest = behind;
    let mut optional = |flag| {
        if magic & flag == 0 {
            return Some(None);
        }
        let (number, behind) = split_u16(rest)?;
        rest = behind;
        Some(Some(number))
    };
    let required = optional(REQUIRED_FLAG)?;
    let ignored = optional(IGNORED_FLAG)?;
    let subchannels = subchannels.as_chunks().0.iter().map(|bytes| u16::from_be_bytes(*bytes)).collect();
    Some((Audience { subchannels, required, ignored }, rest))
}

fn split_u16(bytes: &[u8]) -> Option<(u16, &[u8])> {
    bytes.split_first_chunk().map(|(number, rest)| (u16::from_be_bytes(*number), rest))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn audience(subchannels: &[u16], required: Option<u16>, ignored: Option<u16>) -> Audience {
        Audience { subchannels: subchannels.to_vec(), required, ignored }
    }

    #[test]
    fn bytes_as_published() {
        let message = encode(&audience(&[1, 0x0203], Some(7), None), b"hi").unwrap();
        let expected = [0xa5, 0xf0, 0x9c, 0xb3, 0xd6, 0xe1, 0xf2, 0x8e, 0, 2, 0, 1, 2, 3, 0, 7, b'h', b'i'];
        assert_eq!(message, expected);
        let message = encode(&audience(&[], Some(1), Some(2)), &[]).unwrap();
        assert_eq!(message[7..], [0x8f, 0, 0, 0, 1, 0, 2]);
        assert_eq!(encode(&audience(&[], None, Some(2)), &[]).unwrap()[7..], [0x8d, 0, 0, 0, 2]);
    }

    #[test]
    fn a_message_for_everybody_carries_nothing() {
        assert_eq!(encode(&Audience::default(), b"hi"), None);
        assert_eq!(decode(b"hi"), None);
    }

    #[test]
    fn more_subchannels_than_can_be_counted_are_not_carried() {
        assert!(encode(&audience(&[1; 65_535], None, None), b"x").is_some());
        assert_eq!(encode(&audience(&[1; 65_536], None, None), b"x"), None);
    }

    #[test]
    fn what_is_cut_off_is_payload() {
        let message = encode(&audience(&[1, 2], Some(3), Some(4)), &[]).unwrap();
        for end in 0..message.len() {
            assert_eq!(decode(&message[..end]), None, "{end}");
        }
        assert!(decode(&message).is_some());
    }

    proptest! {
        #[test]
        fn what_is_encoded_can_be_decoded(
            subchannels: Vec<u16>,
            required: Option<u16>,
            ignored: Option<u16>,
            payload: Vec<u8>,
        ) {
            let audience = Audience { subchannels, required, ignored };
            match encode(&audience, &payload) {
                None => prop_assert!(audience.is_everybody()),
                Some(message) => prop_assert_eq!(decode(&message), Some((audience, payload.as_slice()))),
            }
        }

        #[test]
        fn what_is_decoded_was_encoded(flags in 0_u64..4, rest: Vec<u8>) {
            let message = [&(MAGIC | flags).to_be_bytes()[..], &rest].concat();
            if let Some((audience, payload)) = decode(&message) {
                let again = encode(&audience, payload);
                // A header that says nothing is read, but never written.
                prop_assert!(again.as_ref() == Some(&message) || audience.is_everybody());
            }
        }
    }
}
