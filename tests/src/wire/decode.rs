//! A frame's bytes to a [`Value`], by the schema alone.

use crate::wire::schema::{FieldType, Kind, Scalar, Schema};
use crate::wire::value::{Field, Value};

/// Offsets are bounds-checked; the frame was verified before, so nothing is `None` that should not be.
pub struct Decoder<'frame> {
    pub schema: &'frame Schema,
    pub bytes: &'frame [u8],
}

impl Decoder<'_> {
    /// The root: a `Message`, whose frame begins with the size.
    pub fn message(&self) -> Option<Value> {
        let start = 4 + self.position(4)?;
        self.table("FBS.Message.Message", start).map(Value::Object)
    }

    fn unsigned(&self, at: usize, size: usize) -> Option<u64> {
        let bytes = self.bytes.get(at..at.checked_add(size)?)?;
        Some(bytes.iter().rev().fold(0, |number, byte| (number << 8) | u64::from(*byte)))
    }

    fn position(&self, at: usize) -> Option<usize> {
        usize::try_from(self.unsigned(at, 4)?).ok()
    }

    /// Where the field in `slot` lies, if it is there.
    fn place(&self, table: usize, slot: u16) -> Option<usize> {
        let back = i64::try_from(self.unsigned(table, 4)?).ok()?;
        // The vtable lies at a signed distance.
        let back = if back > i64::from(i32::MAX) { back - (1 << 32) } else { back };
        let vtable = usize::try_from(i64::try_from(table).ok()? - back).ok()?;
        let size = usize::try_from(self.unsigned(vtable, 2)?).ok()?;
        let entry = 4 + 2 * usize::from(slot);
        if entry + 2 > size {
            return None;
        }
        let offset = usize::try_from(self.unsigned(vtable + entry, 2)?).ok()?;
        (offset != 0).then_some(table + offset)
    }

    fn table(&self, name: &str, at: usize) -> Option<Vec<Field>> {
        let fields = self.schema.table(name).iter().map(|field| self.field(field, at));
        fields.collect()
    }

    fn field(&self, field: &FieldType, table: usize) -> Option<Field> {
        let place = self.place(table, field.slot);
        let read = match (&field.kind, place) {
            (Kind::Union(name), Some(place)) => {
                Some(self.union(name, place, self.place(table, field.slot + 1))?)
            }
            (kind, Some(place)) => Some(self.value(kind, place)?),
            (_, None) => None,
        };
        let default = self.default_of(field);
        let is_default = read.as_ref().is_none_or(|value| *value == default && default != Value::Absent);
        Some(Field { name: field.name.clone(), value: read.unwrap_or(default), is_default })
    }

    /// What an absent field means.
    fn default_of(&self, field: &FieldType) -> Value {
        let Some(default) = &field.default else { return Value::Absent };
        match &field.kind {
            Kind::Scalar(Scalar::Bool) => Value::Bool(default == "true"),
            Kind::Scalar(Scalar::F32 | Scalar::F64) => Value::Real(default.parse().expect("a number")),
            Kind::Scalar(_) => Value::Integer(default.parse().expect("a number")),
            Kind::Enum(name) => match self.schema.constant(name, default) {
                Some(number) => self.constant(name, number),
                None => self.constant(name, default.parse().expect("a number")),
            },
            _ => Value::Absent,
        }
    }

    fn constant(&self, name: &str, number: u8) -> Value {
        match self.schema.constants(name).iter().find(|(_, known)| *known == number) {
            Some((constant, _)) => Value::Name(constant.clone()),
            None => Value::Integer(i128::from(number)),
        }
    }

    fn union(&self, name: &str, kind: usize, place: Option<usize>) -> Option<Value> {
        let number = u8::try_from(self.unsigned(kind, 1)?).ok()?;
        if number == 0 {
            return Some(Value::Absent);
        }
        let (member, _, table) = self.schema.members(name).iter().find(|(_, known, _)| *known == number)?;
        let place = place?;
        Some(Value::Typed(member.clone(), self.table(table, place + self.position(place)?)?))
    }

    /// What lies at `place`: a scalar, or the offset of something.
    fn value(&self, kind: &Kind, place: usize) -> Option<Value> {
        match kind {
            Kind::Scalar(scalar) => self.scalar(*scalar, place),
            Kind::Enum(name) => Some(self.constant(name, u8::try_from(self.unsigned(place, 1)?).ok()?)),
            Kind::Text => {
                let start = place + self.position(place)?;
                let text = self.bytes.get(start + 4..start + 4 + self.position(start)?)?;
                Some(Value::Text(String::from_utf8_lossy(text).into_owned()))
            }
            Kind::Table(name) => Some(Value::Object(self.table(name, place + self.position(place)?)?)),
            Kind::Vector(inner) => {
                let start = place + self.position(place)?;
                let stride = match inner.as_ref() {
                    Kind::Scalar(scalar) => scalar.bytes(),
                    Kind::Enum(_) => 1,
                    _ => 4,
                };
                let items =
                    (0..self.position(start)?).map(|index| self.value(inner, start + 4 + index * stride));
                Some(Value::List(items.collect::<Option<_>>()?))
            }
            Kind::Union(_) => None,
        }
    }

    fn scalar(&self, scalar: Scalar, place: usize) -> Option<Value> {
        let raw = self.unsigned(place, scalar.bytes())?;
        let low = u32::try_from(raw & u64::from(u32::MAX)).ok()?;
        Some(match scalar {
            Scalar::Bool => Value::Bool(raw != 0),
            Scalar::F32 => Value::Real(f64::from(f32::from_bits(low))),
            Scalar::F64 => Value::Real(f64::from_bits(raw)),
            Scalar::I8 | Scalar::I16 | Scalar::I32 => {
                let bits = 8 * u32::try_from(scalar.bytes()).ok()?;
                let number = i128::from(raw);
                Value::Integer(if number >> (bits - 1) == 1 { number - (1 << bits) } else { number })
            }
            Scalar::U8 | Scalar::U16 | Scalar::U32 | Scalar::U64 => Value::Integer(i128::from(raw)),
        })
    }
}
