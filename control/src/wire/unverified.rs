//! Reading tables of a frame that did not pass the verifier: just enough to answer it and to find what
//! [`loose_values`](super::loose_values) looks for. Every access is checked.

use ringsoup_fbs::PREFIX_BYTES;
use ringsoup_fbs::fbs::message::{Body, Message};
use ringsoup_fbs::fbs::request::Request;

/// The request's id, where the frame can be seen to be a request.
pub(super) fn request_id(frame: &[u8]) -> Option<u32> {
    let request = Unverified::request(frame)?;
    // An id of 0 is not written.
    request.field(Request::VT_ID).map_or(Some(0), |at| u32_at(frame, at))
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

    /// Where the field of this vtable offset lies; `None` when it is absent.
    pub(super) fn field(self, vtable_offset: u16) -> Option<usize> {
        let distance = u32_at(self.frame, self.at)?.cast_signed();
        let vtable = i64::try_from(self.at).ok()?.checked_sub(i64::from(distance))?;
        let vtable = usize::try_from(vtable).ok()?;
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
fn elements(frame: &[u8], at: usize) -> impl Iterator<Item = usize> {
    let length = u32_at(frame, at).and_then(|length| usize::try_from(length).ok()).unwrap_or(0);
    (1..=length.min(frame.len() / 4)).map_while(move |index| at.checked_add(4 * index))
}

fn target(frame: &[u8], at: usize) -> Option<usize> {
    at.checked_add(usize::try_from(u32_at(frame, at)?).ok()?)
}

fn u16_at(frame: &[u8], at: usize) -> Option<u16> {
    frame.get(at..)?.first_chunk().copied().map(u16::from_le_bytes)
}

fn u32_at(frame: &[u8], at: usize) -> Option<u32> {
    frame.get(at..)?.first_chunk().copied().map(u32::from_le_bytes)
}
