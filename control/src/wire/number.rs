//! Scalars of any width, read from a frame and written to another width.

use super::schema::{Default, Scalar};
use crate::wire::Builder;

/// Wide enough for every scalar of the schemas.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Number {
    Integer(i128),
    Real(f64),
}

impl Number {
    /// `None` when the frame ends before.
    pub(super) fn read(frame: &[u8], at: usize, scalar: Scalar) -> Option<Self> {
        let rest = frame.get(at..)?;
        Some(match scalar {
            Scalar::Bool => Self::Integer(i128::from(*rest.first()? != 0)),
            Scalar::I8 => Self::Integer(rest.first()?.cast_signed().into()),
            Scalar::U8 => Self::Integer((*rest.first()?).into()),
            Scalar::U16 => Self::Integer(u16::from_le_bytes(*rest.first_chunk()?).into()),
            Scalar::I16 => Self::Integer(i16::from_le_bytes(*rest.first_chunk()?).into()),
            Scalar::I64 => Self::Integer(i64::from_le_bytes(*rest.first_chunk()?).into()),
            Scalar::U32 => Self::Integer(u32::from_le_bytes(*rest.first_chunk()?).into()),
            Scalar::U64 => Self::Integer(u64::from_le_bytes(*rest.first_chunk()?).into()),
            Scalar::I32 => Self::Integer(i32::from_le_bytes(*rest.first_chunk()?).into()),
            Scalar::F32 => Self::Real(f32::from_le_bytes(*rest.first_chunk()?).into()),
            Scalar::F64 => Self::Real(f64::from_le_bytes(*rest.first_chunk()?)),
        })
    }

    pub(super) fn of(default: Default) -> Option<Self> {
        match default {
            Default::None => None,
            Default::Integer(value) => Some(Self::Integer(value.into())),
            Default::Real(value) => Some(Self::Real(value)),
        }
    }

    /// Whether a field of this width holds it as it is.
    pub(super) fn fits(self, scalar: Scalar) -> bool {
        let Self::Integer(value) = self else { return matches!(scalar, Scalar::F32 | Scalar::F64) };
        match scalar {
            Scalar::Bool => (0..=1).contains(&value),
            Scalar::I8 => i8::try_from(value).is_ok(),
            Scalar::U8 => u8::try_from(value).is_ok(),
            Scalar::I16 => i16::try_from(value).is_ok(),
            Scalar::U16 => u16::try_from(value).is_ok(),
            Scalar::I32 => i32::try_from(value).is_ok(),
            Scalar::U32 => u32::try_from(value).is_ok(),
            Scalar::I64 => i64::try_from(value).is_ok(),
            Scalar::U64 => u64::try_from(value).is_ok(),
            Scalar::F32 | Scalar::F64 => true,
        }
    }

    /// The nearest integer between these.
    fn integer(self, min: i128, max: i128) -> i128 {
        match self {
            Self::Integer(value) => value.clamp(min, max),
            #[allow(clippy::cast_possible_truncation, reason = "clamped, and there is nothing better")]
            Self::Real(value) => (value as i128).clamp(min, max),
        }
    }

    fn real(self) -> f64 {
        match self {
            #[allow(clippy::cast_precision_loss, reason = "what a double can hold of it")]
            Self::Integer(value) => value as f64,
            Self::Real(value) => value,
        }
    }

    /// As a field of the table that is being written. What does not fit is the nearest that does: a bitrate beyond 32
    /// bits is the highest there is, a negative loss is none.
    pub(super) fn push(self, builder: &mut Builder, slot: u16, scalar: Scalar) {
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "within its bounds")]
        match scalar {
            Scalar::Bool => builder.push_slot_always(slot, self.integer(0, 1) != 0),
            Scalar::I8 => builder.push_slot_always(slot, self.integer(i8::MIN.into(), i8::MAX.into()) as i8),
            Scalar::I16 => {
                builder.push_slot_always(slot, self.integer(i16::MIN.into(), i16::MAX.into()) as i16);
            }
            Scalar::I64 => {
                builder.push_slot_always(slot, self.integer(i64::MIN.into(), i64::MAX.into()) as i64);
            }
            Scalar::U8 => builder.push_slot_always(slot, self.integer(0, u8::MAX.into()) as u8),
            Scalar::U16 => builder.push_slot_always(slot, self.integer(0, u16::MAX.into()) as u16),
            Scalar::U32 => builder.push_slot_always(slot, self.integer(0, u32::MAX.into()) as u32),
            Scalar::U64 => builder.push_slot_always(slot, self.integer(0, u64::MAX.into()) as u64),
            Scalar::I32 => {
                builder.push_slot_always(slot, self.integer(i32::MIN.into(), i32::MAX.into()) as i32);
            }
            Scalar::F32 => builder.push_slot_always(slot, self.real() as f32),
            Scalar::F64 => builder.push_slot_always(slot, self.real()),
        }
    }
}

/// Bytes of one in a vector.
pub(super) fn width(scalar: Scalar) -> usize {
    match scalar {
        Scalar::Bool | Scalar::I8 | Scalar::U8 => 1,
        Scalar::I16 | Scalar::U16 => 2,
        Scalar::U32 | Scalar::I32 | Scalar::F32 => 4,
        Scalar::I64 | Scalar::U64 | Scalar::F64 => 8,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_fit_is_the_nearest_that_does() {
        let mut builder = Builder::default();
        let table = builder.start_table();
        Number::Integer(1 << 40).push(&mut builder, 4, Scalar::U32);
        Number::Integer(-5).push(&mut builder, 6, Scalar::U64);
        Number::Real(2.5).push(&mut builder, 8, Scalar::U8);
        let table = builder.end_table(table);
        builder.finish_minimal(table);
        let bytes = builder.finished_data();
        assert_eq!(bytes.windows(4).filter(|four| *four == [0xff; 4]).count(), 1);
        assert_eq!(Number::read(&[2], 0, Scalar::U8), Some(Number::Integer(2)));
        assert_eq!(Number::read(&[2, 0, 0], 0, Scalar::U32), None);
        assert!(Number::Integer(255).fits(Scalar::U8) && !Number::Integer(256).fits(Scalar::U8));
        assert!(!Number::Integer(-1).fits(Scalar::U64) && !Number::Real(1.5).fits(Scalar::U32));
    }
}
