//! Reading tables of a frame that did not pass the verifier: just enough to answer it and to find what
//! [`loose_values`](super::loose_values) looks for. Every access is checked.

use ringsoup_fbs::PREFIX_BYTES;
use ringsoup_fbs::fbs::message::{Body, Message};
use ringsoup_fbs::fbs::request::Request;

use crate::message::RequestId;

/// The request's id, where the frame can be seen to be a request.
pub(super) fn request_id(frame: &[u8]) -> Option<RequestId> {
    let request = Unverified::request(frame)?;
    // An id of 0 is not written.
    request.field(Request::VT_ID).map_or(Some(0), |at| u32_at(frame, at)).map(RequestId::from)
}

/// The request's method, by the number its layout has for it.
pub(super) fn request_method(frame: &[u8]) -> Option<u8> {
    // Method 0 is not written.
    Some(Unverified::request(frame)?.byte(Request::VT_METHOD).unwrap_or(0))
}

/// Where a table is said to be.
#[derive(Clone, Copy)]
pub(super) struct Unverified<'frame> {
    frame: &'frame [u8],
    at: usize,
}

impl<'frame> Unverified<'frame> {
    pub(super) fn new(frame: &'frame [u8], at: usize) -> Self {
        Self { frame, at }
    }

    /// The frame's request, when its message says that it has one.
    pub(super) fn request(frame: &'frame [u8]) -> Option<Self> {
        let message = Self::new(frame, target(frame, PREFIX_BYTES)?);
        if message.byte(Message::VT_DATA_TYPE)? != Body::Request.0 {
            return None;
        }
        message.table(Message::VT_DATA)
    }

    /// Whether this can be a table: it and its vtable lie within the frame, where such things may begin.
    pub(super) fn is_table(self) -> bool {
        let frame = self.frame;
        let lens = self.vtable().and_then(|vtable| {
            let object_len = u16_at(frame, vtable.checked_add(2)?)?;
            Some((vtable, usize::from(u16_at(frame, vtable)?), usize::from(object_len)))
        });
        lens.is_some_and(|(vtable, vtable_len, object_len)| {
            let aligned =
                self.at.is_multiple_of(4) && vtable.is_multiple_of(2) && vtable_len.is_multiple_of(2);
            let whole = vtable_len >= 4 && object_len >= 4;
            let reaches = |at: usize, len| at.checked_add(len).is_some_and(|end| end <= frame.len());
            aligned && whole && reaches(vtable, vtable_len) && reaches(self.at, object_len)
        })
    }

    fn vtable(self) -> Option<usize> {
        let distance = u32_at(self.frame, self.at)?.cast_signed();
        let vtable = i64::try_from(self.at).ok()?.checked_sub(i64::from(distance))?;
        usize::try_from(vtable).ok()
    }

    /// Where the field of this vtable offset lies; `None` when it is absent.
    pub(super) fn field(self, vtable_offset: u16) -> Option<usize> {
        let vtable = self.vtable()?;
        if vtable_offset.checked_add(2)? > u16_at(self.frame, vtable)? {
            return None;
        }
        match u16_at(self.frame, vtable.checked_add(usize::from(vtable_offset))?)? {
            0 => None,
            offset => self.at.checked_add(usize::from(offset)),
        }
    }

    pub(super) fn byte(self, vtable_offset: u16) -> Option<u8> {
        self.frame.get(self.field(vtable_offset)?).copied()
    }

    /// Where the field's offset leads.
    pub(super) fn target(self, vtable_offset: u16) -> Option<usize> {
        target(self.frame, self.field(vtable_offset)?)
    }

    pub(super) fn table(self, vtable_offset: u16) -> Option<Self> {
        Some(Self::new(self.frame, self.target(vtable_offset)?))
    }

    /// The tables of a vector field, as far as the frame reaches.
    pub(super) fn tables(self, vtable_offset: u16) -> impl Iterator<Item = Self> {
        let frame = self.frame;
        let vector = self.target(vtable_offset);
        let elements = vector.into_iter().flat_map(move |at| elements(frame, at));
        elements.map_while(move |at| Some(Self::new(frame, target(frame, at)?)))
    }
}

/// The 32-bit integers of the vector at `at`, as far as the frame reaches.
pub(super) fn integers(frame: &[u8], at: usize) -> impl Iterator<Item = i32> {
    elements(frame, at).map_while(|at| Some(u32_at(frame, at)?.cast_signed()))
}

/// Where the 4-byte elements of the vector at `at` lie; not more than the frame could hold.
pub(super) fn elements(frame: &[u8], at: usize) -> impl Iterator<Item = usize> {
    let length = u32_at(frame, at).and_then(|length| usize::try_from(length).ok()).unwrap_or(0);
    (1..=length.min(frame.len() / 4)).map_while(move |index| at.checked_add(4 * index))
}

pub(super) fn target(frame: &[u8], at: usize) -> Option<usize> {
    at.checked_add(usize::try_from(u32_at(frame, at)?).ok()?)
}

fn u16_at(frame: &[u8], at: usize) -> Option<u16> {
    frame.get(at..)?.first_chunk().copied().map(u16::from_le_bytes)
}

pub(super) fn u32_at(frame: &[u8], at: usize) -> Option<u32> {
    frame.get(at..)?.first_chunk().copied().map(u32::from_le_bytes)
}
