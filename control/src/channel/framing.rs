//! Where one message ends and the next begins, in the three ways there have been.

use super::PREFIX_BYTES;

/// Digits of a netstring's length: more than any limit needs.
const DIGITS_MAX: usize = 9;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Framing {
    /// A length before the message, and part of it: flatbuffers know sizes as prefixes.
    #[default]
    SizePrefix,
    /// The same length before what is nothing but the message: JSON from 3.9.0 on.
    Length,
    /// `5:hello,`: JSON before 3.9.0.
    Netstring,
}

/// What the bytes at the front of a stream begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Beginning {
    /// More bytes are needed to say.
    Unknown,
    Frame(Extent),
    /// No frame at all.
    Nonsense(&'static str),
}

/// How long the parts of a frame are, bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Extent {
    pub(super) head: usize,
    pub(super) body: usize,
    pub(super) tail: usize,
}

impl Extent {
    pub(super) fn total(self) -> usize {
        self.head + self.body + self.tail
    }
}

impl Framing {
    pub(super) fn beginning(self, bytes: &[u8]) -> Beginning {
        match self {
            // In the host's order; flatbuffers say little-endian, which is the same on every host we run on.
            Self::SizePrefix | Self::Length => match bytes.first_chunk::<PREFIX_BYTES>() {
                Some(prefix) => {
                    let body = u32::from_le_bytes(*prefix) as usize;
                    Beginning::Frame(Extent { head: PREFIX_BYTES, body, tail: 0 })
                }
                None => Beginning::Unknown,
            },
            Self::Netstring => netstring(bytes),
        }
    }

    /// What is wrong with a frame that is here whole.
    pub(super) fn fault(self, frame: &[u8]) -> Option<&'static str> {
        (self == Self::Netstring && frame.last() != Some(&b',')).then_some("no comma behind a netstring")
    }

    /// Which part of a frame is the message.
    pub(super) fn message(self, frame: &[u8], extent: Extent) -> &[u8] {
        match self {
            Self::SizePrefix => frame,
            Self::Length | Self::Netstring => &frame[extent.head..extent.head + extent.body],
        }
    }

    /// A message's length, without what flatbuffers have before it.
    pub(super) fn payload_len(self, message: &[u8]) -> usize {
        match self {
            Self::SizePrefix => message.len().saturating_sub(PREFIX_BYTES),
            Self::Length | Self::Netstring => message.len(),
        }
    }

    /// Appends the frame of a message that is not longer than a length of 32 bits can say.
    pub(super) fn write(self, message: &[u8], queue: &mut Vec<u8>) {
        match self {
            Self::SizePrefix => queue.extend_from_slice(message),
            Self::Length => {
                #[allow(clippy::cast_possible_truncation, reason = "messages are bounded far below")]
                queue.extend_from_slice(&(message.len() as u32).to_ne_bytes());
                queue.extend_from_slice(message);
            }
            Self::Netstring => {
                queue.extend_from_slice(message.len().to_string().as_bytes());
                queue.push(b':');
                queue.extend_from_slice(message);
                queue.push(b',');
            }
        }
    }
}

fn netstring(bytes: &[u8]) -> Beginning {
    let digits = bytes.iter().take_while(|byte| byte.is_ascii_digit()).count();
    match bytes.get(digits) {
        _ if digits > DIGITS_MAX => Beginning::Nonsense("a netstring's length is too long"),
        _ if digits > 1 && bytes[0] == b'0' => Beginning::Nonsense("a netstring's length begins with zero"),
        None => Beginning::Unknown,
        Some(b':') if digits > 0 => {
            let body =
                bytes[..digits].iter().fold(0, |length, digit| length * 10 + usize::from(digit - b'0'));
            Beginning::Frame(Extent { head: digits + 1, body, tail: 1 })
        }
        Some(_) => Beginning::Nonsense("no netstring's length"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(framing: Framing, message: &[u8]) -> Vec<u8> {
        let mut queue = Vec::new();
        framing.write(message, &mut queue);
        queue
    }

    #[test]
    fn frames_are_those_of_the_published_libraries() {
        assert_eq!(written(Framing::Netstring, b"hello"), b"5:hello,");
        assert_eq!(written(Framing::Netstring, b""), b"0:,");
        assert_eq!(written(Framing::Length, b"{}"), b"\x02\0\0\0{}");
        assert_eq!(written(Framing::SizePrefix, b"\x01\0\0\0x"), b"\x01\0\0\0x");
    }

    #[test]
    fn what_is_written_is_read() {
        for framing in [Framing::Length, Framing::Netstring] {
            for message in [&b""[..], b"x", &[b','; 1000]] {
                let frame = written(framing, message);
                let Beginning::Frame(extent) = framing.beginning(&frame) else { panic!("{frame:?}") };
                assert_eq!(extent.total(), frame.len());
                assert_eq!((framing.message(&frame, extent), framing.fault(&frame)), (message, None));
            }
        }
    }

    #[test]
    fn netstrings_are_known_by_their_length() {
        for part in [&b""[..], b"1", b"123456789"] {
            assert_eq!(Framing::Netstring.beginning(part), Beginning::Unknown);
        }
        for nonsense in [&b":"[..], b"x", b"-1:", b"01:", b"00", b"1234567890", b"12x", b"{\"id\":1}"] {
            let beginning = Framing::Netstring.beginning(nonsense);
            assert!(matches!(beginning, Beginning::Nonsense(_)), "{nonsense:?}: {beginning:?}");
        }
        assert!(Framing::Netstring.fault(b"1:xy").is_some());
    }
}
