//! A [`Value`] to a frame's bytes, by the schema alone.

use ringsoup_fbs::flatbuffers::{FlatBufferBuilder, Push, TableFinishedWIPOffset, UnionWIPOffset, WIPOffset};

use crate::wire::schema::{FieldType, Kind, Scalar, Schema};
use crate::wire::value::{Field, Value};

type Builder = FlatBufferBuilder<'static>;

/// What a slot is filled with, once everything it refers to is written.
enum Slot {
    Scalar(Scalar, Value),
    Offset(WIPOffset<UnionWIPOffset>),
}

/// The frame of a `Message` around `data`, size included.
pub fn message(schema: &Schema, data: Value) -> Result<Vec<u8>, String> {
    let mut encoder = Encoder { schema, builder: Builder::new() };
    let root = encoder.table("FBS.Message.Message", &[Field::new("data", data)])?;
    encoder.builder.finish_size_prefixed(root, None);
    Ok(encoder.builder.finished_data().to_vec())
}

struct Encoder<'schema> {
    schema: &'schema Schema,
    builder: Builder,
}

impl Encoder<'_> {
    fn table(&mut self, name: &str, fields: &[Field]) -> Result<WIPOffset<TableFinishedWIPOffset>, String> {
        let types = self.schema.table(name);
        if let Some(unknown) = fields.iter().find(|field| types.iter().all(|known| known.name != field.name))
        {
            return Err(format!("{name} has no {}", unknown.name));
        }
        let mut slots = Vec::new();
        for known in types {
            if let Some(field) = fields.iter().find(|field| field.name == known.name) {
                self.slots(known, &field.value, &mut slots).map_err(|error| format!("{name}.{error}"))?;
            }
        }
        let start = self.builder.start_table();
        for (slot, content) in slots {
            let entry = 4 + 2 * slot;
            match content {
                Slot::Scalar(scalar, value) => self.push(entry, scalar, &value)?,
                Slot::Offset(offset) => self.builder.push_slot_always(entry, offset),
            }
        }
        Ok(self.builder.end_table(start))
    }

    fn slots(
        &mut self,
        field: &FieldType,
        value: &Value,
        slots: &mut Vec<(u16, Slot)>,
    ) -> Result<(), String> {
        let content = match (&field.kind, value) {
            (_, Value::Absent) => return Ok(()),
            (Kind::Union(name), Value::Typed(member, fields)) => {
                let (_, number, table) = self
                    .schema
                    .members(name)
                    .iter()
                    .find(|(known, _, _)| known == member)
                    .ok_or_else(|| format!("{}: no {member}", field.name))?;
                let value = self.table(table, fields)?;
                slots.push((field.slot, Slot::Scalar(Scalar::U8, Value::Integer(i128::from(*number)))));
                slots.push((field.slot + 1, Slot::Offset(WIPOffset::new(value.value()))));
                return Ok(());
            }
            (Kind::Scalar(scalar), value) => Slot::Scalar(*scalar, value.clone()),
            (Kind::Enum(name), value) => Slot::Scalar(Scalar::U8, self.constant(name, value)?),
            (kind, value) => {
                Slot::Offset(self.offset(kind, value).map_err(|error| format!("{}: {error}", field.name))?)
            }
        };
        slots.push((field.slot, content));
        Ok(())
    }

    fn constant(&self, name: &str, value: &Value) -> Result<Value, String> {
        match value {
            Value::Integer(_) => Ok(value.clone()),
            Value::Name(constant) => match self.schema.constant(name, constant) {
                Some(number) => Ok(Value::Integer(i128::from(number))),
                None => Err(format!("{name} has no {constant}")),
            },
            other => Err(format!("{other} is no {name}")),
        }
    }

    fn offset(&mut self, kind: &Kind, value: &Value) -> Result<WIPOffset<UnionWIPOffset>, String> {
        match (kind, value) {
            (Kind::Text, Value::Text(text)) => Ok(WIPOffset::new(self.builder.create_string(text).value())),
            (Kind::Table(name), Value::Object(fields)) => {
                Ok(WIPOffset::new(self.table(name, fields)?.value()))
            }
            (Kind::Vector(inner), Value::List(items) | Value::Set(items)) => self.vector(inner, items),
            (kind, value) => Err(format!("{value} is no {kind:?}")),
        }
    }

    fn vector(&mut self, inner: &Kind, items: &[Value]) -> Result<WIPOffset<UnionWIPOffset>, String> {
        let offset = match inner {
            Kind::Scalar(Scalar::U8) => self.numbers::<u8>(items)?,
            Kind::Scalar(Scalar::U16) => self.numbers::<u16>(items)?,
            Kind::Scalar(Scalar::I32) => self.numbers::<i32>(items)?,
            Kind::Enum(name) => {
                let items: Vec<_> =
                    items.iter().map(|item| self.constant(name, item)).collect::<Result<_, _>>()?;
                self.numbers::<u8>(&items)?
            }
            Kind::Text | Kind::Table(_) => {
                let offsets: Vec<_> =
                    items.iter().map(|item| self.offset(inner, item)).collect::<Result<_, _>>()?;
                self.builder.create_vector(&offsets).value()
            }
            other => return Err(format!("no vectors of {other:?} are sent")),
        };
        Ok(WIPOffset::new(offset))
    }

    fn numbers<T>(&mut self, items: &[Value]) -> Result<u32, String>
    where
        T: TryFrom<i128> + Push<Output: 'static> + Copy,
    {
        let items: Vec<T> = items.iter().map(number).collect::<Result<_, _>>()?;
        Ok(self.builder.create_vector(&items).value())
    }

    fn push(&mut self, entry: u16, scalar: Scalar, value: &Value) -> Result<(), String> {
        let builder = &mut self.builder;
        match (scalar, value) {
            (Scalar::Bool, Value::Bool(value)) => builder.push_slot_always(entry, *value),
            (Scalar::U8, value) => builder.push_slot_always(entry, number::<u8>(value)?),
            (Scalar::I8, value) => builder.push_slot_always(entry, number::<i8>(value)?),
            (Scalar::U16, value) => builder.push_slot_always(entry, number::<u16>(value)?),
            (Scalar::I16, value) => builder.push_slot_always(entry, number::<i16>(value)?),
            (Scalar::U32, value) => builder.push_slot_always(entry, number::<u32>(value)?),
            (Scalar::I32, value) => builder.push_slot_always(entry, number::<i32>(value)?),
            (Scalar::U64, value) => builder.push_slot_always(entry, number::<u64>(value)?),
            (Scalar::F64, Value::Real(value)) => builder.push_slot_always(entry, *value),
            (scalar, value) => return Err(format!("{value} is no {scalar:?}")),
        }
        Ok(())
    }
}

fn number<T: TryFrom<i128>>(value: &Value) -> Result<T, String> {
    match value {
        Value::Integer(number) => T::try_from(*number).map_err(|_| format!("{number} is too large")),
        other => Err(format!("{other} is no number")),
    }
}
