//! The elements inside a header extension, one-byte and two-byte form (RFC 8285 §4).

/// "defined by profile" value of the one-byte form (RFC 8285 §4.2).
pub(crate) const ONE_BYTE_PROFILE: u16 = 0xbede;
/// The same of the two-byte form; the low four bits are the application's (RFC 8285 §4.3).
pub(crate) const TWO_BYTE_PROFILE: u16 = 0x1000;
/// Highest id of the one-byte form: 15 is reserved and ends the walk.
pub(crate) const ONE_BYTE_ID_MAX: u8 = 14;
/// Longest value of the one-byte form, in bytes.
pub(crate) const ONE_BYTE_VALUE_MAX: usize = 16;

const PADDING: u8 = 0;

pub(crate) const fn is_two_byte_profile(profile: u16) -> bool {
    profile & 0xfff0 == TWO_BYTE_PROFILE
}

/// Walks (id, value) pairs. An element that claims more than there is ends the walk.
#[derive(Debug, Clone)]
pub struct Extensions<'a> {
    bytes: &'a [u8],
    two_byte: bool,
}

impl<'a> Extensions<'a> {
    pub(crate) const fn one_byte(bytes: &'a [u8]) -> Self {
        Self { bytes, two_byte: false }
    }

    pub(crate) const fn two_byte(bytes: &'a [u8]) -> Self {
        Self { bytes, two_byte: true }
    }
}

impl<'a> Iterator for Extensions<'a> {
    type Item = (u8, &'a [u8]);

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        while let [PADDING, rest @ ..] = self.bytes {
            self.bytes = rest;
        }
        let element = if self.two_byte { split_two_byte(self.bytes) } else { split_one_byte(self.bytes) };
        match element {
            Some((id, value, rest)) => {
                self.bytes = rest;
                Some((id, value))
            }
            None => {
                self.bytes = &[];
                None
            }
        }
    }
}

/// Ids 15 and 0 with a length end the walk (RFC 8285 §4.2).
#[inline]
fn split_one_byte(bytes: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (head, rest) = bytes.split_first()?;
    let id = head >> 4;
    if id == 0 || id > ONE_BYTE_ID_MAX {
        return None;
    }
    let (value, rest) = rest.split_at_checked(usize::from(head & 0x0f) + 1)?;
    Some((id, value, rest))
}

#[inline]
fn split_two_byte(bytes: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let ([id, len], rest) = bytes.split_first_chunk::<2>()?;
    let (value, rest) = rest.split_at_checked(usize::from(*len))?;
    Some((*id, value, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn collect(extensions: Extensions<'_>) -> Vec<(u8, Vec<u8>)> {
        extensions.map(|(id, value)| (id, value.to_vec())).collect()
    }

    #[test]
    fn one_byte_elements_with_padding_between() {
        let bytes = [0x10, 0xaa, 0, 0, 0x21, 1, 2, 0];
        assert_eq!(collect(Extensions::one_byte(&bytes)), [(1, vec![0xaa]), (2, vec![1, 2])]);
    }

    #[test]
    fn two_byte_elements_may_be_empty() {
        let bytes = [1, 0, 0, 200, 3, 7, 8, 9];
        assert_eq!(collect(Extensions::two_byte(&bytes)), [(1, vec![]), (200, vec![7, 8, 9])]);
    }

    #[test]
    fn lies_end_the_walk() {
        assert_eq!(collect(Extensions::one_byte(&[0x10, 1, 0x2f, 1])), [(1, vec![1])]);
        assert_eq!(collect(Extensions::one_byte(&[0x10, 1, 0xf0, 1, 0x20, 2])), [(1, vec![1])]);
        assert_eq!(collect(Extensions::one_byte(&[0x03, 1, 0x20, 2])), []);
        assert_eq!(collect(Extensions::two_byte(&[1, 1, 7, 2])), [(1, vec![7])]);
        assert_eq!(collect(Extensions::two_byte(&[1, 4, 7])), []);
        let mut ended = Extensions::two_byte(&[1, 4, 7]);
        assert_eq!((ended.next(), ended.next()), (None, None));
    }
}
