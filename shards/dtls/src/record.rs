//! DTLS records as they lie in a datagram (RFC 6347 section 4.1), and the handshake fragments in them (section 4.2).

/// Bytes in front of a record's body.
pub(crate) const RECORD_HEADER_LEN: usize = 13;

/// Bytes in front of a fragment's own.
pub(crate) const FRAGMENT_HEADER_LEN: usize = 12;

/// The most bytes a record's body has, whatever the cipher (section 4.1.1 with RFC 5246 section 6.2.3).
const BODY_MAX: usize = (1 << 14) + 2048;

/// High byte of all versions of DTLS.
const VERSION_MAJOR: u8 = 254;

/// What a record is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ContentType {
    ChangeCipherSpec,
    Alert,
    Handshake,
    ApplicationData,
}

impl ContentType {
    const fn of(byte: u8) -> Option<Self> {
        match byte {
            20 => Some(Self::ChangeCipherSpec),
            21 => Some(Self::Alert),
            22 => Some(Self::Handshake),
            23 => Some(Self::ApplicationData),
            _ => None,
        }
    }

    pub(crate) const fn byte(self) -> u8 {
        match self {
            Self::ChangeCipherSpec => 20,
            Self::Alert => 21,
            Self::Handshake => 22,
            Self::ApplicationData => 23,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Record<'a> {
    pub(crate) content: ContentType,
    pub(crate) version: [u8; 2],
    pub(crate) epoch: u16,
    pub(crate) body: &'a [u8],
    /// Header and body.
    pub(crate) bytes: &'a [u8],
}

/// The records of a datagram, up to the first thing that is none.
pub(crate) fn records(mut rest: &[u8]) -> impl Iterator<Item = Record<'_>> {
    std::iter::from_fn(move || {
        let &[content, major, minor, epoch_high, epoch_low, _, _, _, _, _, _, len_high, len_low, ..] = rest
        else {
            return None;
        };
        let body_len = usize::from(u16::from_be_bytes([len_high, len_low]));
        let content = ContentType::of(content)?;
        if major != VERSION_MAJOR || body_len > BODY_MAX {
            return None;
        }
        let (bytes, behind) = rest.split_at_checked(RECORD_HEADER_LEN + body_len)?;
        rest = behind;
        let epoch = u16::from_be_bytes([epoch_high, epoch_low]);
        let version = [major, minor];
        Some(Record { content, version, epoch, body: &bytes[RECORD_HEADER_LEN..], bytes })
    })
}

/// A piece of a handshake message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Fragment<'a> {
    pub(crate) message: u8,
    /// Bytes of the whole message's body.
    pub(crate) message_len: usize,
    pub(crate) sequence: u16,
    pub(crate) offset: usize,
    pub(crate) bytes: &'a [u8],
}

impl Fragment<'_> {
    pub(crate) const fn ends_message(&self) -> bool {
        self.offset + self.bytes.len() == self.message_len
    }
}

const fn u24(bytes: [u8; 3]) -> usize {
    (bytes[0] as usize) << 16 | (bytes[1] as usize) << 8 | bytes[2] as usize
}

/// The fragments in a handshake record that is not encrypted, up to the first that cannot be.
pub(crate) fn fragments(mut rest: &[u8]) -> impl Iterator<Item = Fragment<'_>> {
    std::iter::from_fn(move || {
        let &[message, l0, l1, l2, s0, s1, o0, o1, o2, f0, f1, f2, ..] = rest else { return None };
        let (message_len, offset) = (u24([l0, l1, l2]), u24([o0, o1, o2]));
        let end = FRAGMENT_HEADER_LEN + u24([f0, f1, f2]);
        let (fragment, behind) = rest.split_at_checked(end)?;
        let bytes = &fragment[FRAGMENT_HEADER_LEN..];
        if offset + bytes.len() > message_len {
            return None;
        }
        rest = behind;
        Some(Fragment { message, message_len, sequence: u16::from_be_bytes([s0, s1]), offset, bytes })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(content: u8, epoch: u8, body: &[u8]) -> Vec<u8> {
        let len = u16::try_from(body.len()).unwrap().to_be_bytes();
        [&[content, 254, 253, 0, epoch, 0, 0, 0, 0, 0, 9][..], &len, body].concat()
    }

    #[test]
    fn a_datagram_is_its_records() {
        let datagram = [record(22, 0, b"abc"), record(20, 0, &[1]), record(23, 1, b"")].concat();
        let found: Vec<_> =
            records(&datagram).map(|record| (record.content, record.epoch, record.body)).collect();
        assert_eq!(
            found,
            [
                (ContentType::Handshake, 0, &b"abc"[..]),
                (ContentType::ChangeCipherSpec, 0, &[1][..]),
                (ContentType::ApplicationData, 1, &b""[..]),
            ]
        );
        for len in 0..datagram.len() {
            let whole = records(&datagram[..len]).map(|record| record.bytes.len()).sum::<usize>();
            assert!(whole <= len);
        }
        assert_eq!(records(&[19; 40]).count(), 0);
        assert_eq!(records(&[22; 40]).count(), 0);
        let too_long = [&[22, 254, 253, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff][..], &[0; 65_535]].concat();
        assert_eq!(records(&too_long).count(), 0);
    }

    #[test]
    fn a_fragment_lies_inside_its_message() {
        let header = |len: u8, offset: u8, own: u8| [11, 0, 0, len, 0, 2, 0, 0, offset, 0, 0, own];
        let two = [&header(5, 0, 2)[..], b"ab", &header(5, 2, 3), b"cde"].concat();
        let found: Vec<_> = fragments(&two).map(|one| (one.offset, one.bytes, one.ends_message())).collect();
        assert_eq!(found, [(0, &b"ab"[..], false), (2, &b"cde"[..], true)]);
        assert_eq!(fragments(&[&header(5, 4, 2)[..], b"ab"].concat()).count(), 0, "beyond its message");
        assert_eq!(fragments(&[&header(5, 0, 3)[..], b"ab"].concat()).count(), 0, "beyond its record");
        let empty = header(0, 0, 0);
        assert_eq!(fragments(&empty).count(), 1);
    }
}
