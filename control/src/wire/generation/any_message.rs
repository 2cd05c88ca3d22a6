//! Messages of the newest layout with anything in them that the layout allows, made of arbitrary bytes: for properties.
//! Where the bytes end everything is absent, so that a failing message shrinks to what makes it fail.

use flatbuffers::{UnionWIPOffset, WIPOffset};

use crate::wire::Builder;
use crate::wire::number::{Number, width};
use crate::wire::schema::{Field, Kind, Scalar, Schema};

/// Tables in tables; deeper ones are as small as they can be. Statistics of streams nest in themselves.
const DEPTH_MAX: usize = 12;

/// Elements of a list.
const LENGTH_MAX: u8 = 3;

const TEXTS: [&str; 4] = ["", "a", "ü€", "0c5c5ff1-2b73-4a0a-9d4a-6f1c0b7d2a11"];

type Offset = WIPOffset<UnionWIPOffset>;

/// What a message is about: a request, a notification or a response, and the number of its body, 0 for none.
#[derive(Debug, Clone, Copy)]
pub(in crate::wire) struct About {
    pub(in crate::wire) head: &'static str,
    pub(in crate::wire) body: u8,
}

/// Everything that there is to talk about.
pub(in crate::wire) fn everything(schema: &Schema) -> Vec<About> {
    let bodies = |head, union: &str| {
        let numbers = schema.unions[union].iter().map(|(number, _)| *number);
        std::iter::once(0).chain(numbers).map(move |body| About { head, body })
    };
    bodies("FBS.Request.Request", "FBS.Request.Body")
        .chain(bodies("FBS.Notification.Notification", "FBS.Notification.Body"))
        .chain(bodies("FBS.Response.Response", "FBS.Response.Body"))
        .collect()
}

/// The message that these bytes make, with its size prefix.
pub(in crate::wire) fn message(schema: &Schema, about: About, bytes: &[u8]) -> Vec<u8> {
    let mut writer = Writer { schema, about, bytes: bytes.iter(), builder: Builder::default() };
    let head = writer.table(about.head, 1);
    let members = &schema.unions["FBS.Message.Body"];
    let (number, _) = members.iter().find(|(_, name)| name == about.head).unwrap();
    let root = writer.builder.start_table();
    writer.builder.push_slot_always(4, *number);
    writer.builder.push_slot_always(6, head);
    let root = writer.builder.end_table(root);
    writer.builder.finish_size_prefixed(root, None);
    writer.builder.finished_data().to_vec()
}

struct Writer<'a> {
    schema: &'a Schema,
    about: About,
    bytes: std::slice::Iter<'a, u8>,
    builder: Builder,
}

enum Ready {
    Number(Scalar, Number),
    Offset(Offset),
}

impl Writer<'_> {
    fn byte(&mut self) -> u8 {
        self.bytes.next().copied().unwrap_or(0)
    }

    fn table(&mut self, name: &str, depth: usize) -> Offset {
        let schema = self.schema;
        let mut ready = Vec::new();
        for (slot, field) in schema.tables[name].iter().enumerate() {
            let slot = u16::try_from(4 + 2 * slot).unwrap();
            // Types of unions are never absent without their table.
            let present = field.required || !self.byte().is_multiple_of(4);
            match &field.kind {
                Kind::Union(union) => {
                    if let Some((number, offset)) = self.union(name, union, present, depth) {
                        ready.push((slot - 2, Ready::Number(Scalar::U8, Number::Integer(number.into()))));
                        ready.push((slot, Ready::Offset(offset)));
                    }
                }
                Kind::UnionType(_) => {}
                _ if present && (field.required || depth < DEPTH_MAX) => {
                    ready.push((slot, self.field(field, depth)));
                }
                _ => {}
            }
        }
        let table = self.builder.start_table();
        for (slot, value) in ready {
            match value {
                Ready::Number(scalar, number) => number.push(&mut self.builder, slot, scalar),
                Ready::Offset(offset) => self.builder.push_slot_always(slot, offset),
            }
        }
        WIPOffset::new(self.builder.end_table(table).value())
    }

    /// The body of what the message is about; elsewhere any, or none.
    fn union(&mut self, table: &str, union: &str, present: bool, depth: usize) -> Option<(u8, Offset)> {
        let schema = self.schema;
        let members = &schema.unions[union];
        let chosen = usize::from(self.byte());
        let (number, name) = if table == self.about.head {
            members.iter().find(|(number, _)| *number == self.about.body)?
        } else if depth < DEPTH_MAX {
            present.then(|| &members[chosen % members.len()])?
        } else {
            &members[0]
        };
        Some((*number, self.table(name, depth + 1)))
    }

    fn field(&mut self, field: &Field, depth: usize) -> Ready {
        let offset = match &field.kind {
            Kind::Scalar(scalar) => return Ready::Number(*scalar, self.number(*scalar)),
            Kind::Enum(name) => {
                return Ready::Number(Scalar::U8, Number::Integer(self.enumerated(name).into()));
            }
            Kind::Text => self.text(),
            Kind::Table(name) => self.table(name, depth + 1),
            Kind::Texts => self.list(Self::text),
            Kind::Tables(name) => self.list(|writer| writer.table(name, depth + 1)),
            Kind::Scalars(of) => self.scalars(*of),
            Kind::Enums(name) => {
                let values: Vec<u8> = (0..self.length()).map(|_| self.enumerated(name)).collect();
                WIPOffset::new(self.builder.create_vector(&values).value())
            }
            Kind::Union(_) | Kind::UnionType(_) => unreachable!("written by pairs"),
        };
        Ready::Offset(offset)
    }

    fn length(&mut self) -> u8 {
        self.byte() % (LENGTH_MAX + 1)
    }

    fn enumerated(&mut self, name: &str) -> u8 {
        let values = &self.schema.enums[name];
        values[usize::from(self.byte()) % values.len()].0
    }

    fn text(&mut self) -> Offset {
        let text = TEXTS[usize::from(self.byte()) % TEXTS.len()];
        WIPOffset::new(self.builder.create_string(text).value())
    }

    fn list(&mut self, mut item: impl FnMut(&mut Self) -> Offset) -> Offset {
        let items: Vec<_> = (0..self.length()).map(|_| item(self)).collect();
        WIPOffset::new(self.builder.create_vector(&items).value())
    }

    /// Often at the end of what there is.
    fn number(&mut self, scalar: Scalar) -> Number {
        let kind = self.byte() % 6;
        if matches!(scalar, Scalar::F32 | Scalar::F64) {
            let real = [0.0, 1.5, -222.25, f64::from(f32::MAX), f64::from(f32::MIN_POSITIVE), -1.0];
            return Number::Real(real[usize::from(kind)]);
        }
        // Pushing takes the nearest that fits.
        Number::Integer(match kind {
            0 => 0,
            1 => 1,
            2 => i128::MIN,
            3 => i128::MAX,
            4 => i128::from(u32::MAX) + 1,
            _ => {
                let bytes: Vec<u8> = (0..width(scalar)).map(|_| self.byte()).collect();
                bytes.iter().fold(0, |value, byte| value << 8 | i128::from(*byte))
            }
        })
    }

    fn scalars(&mut self, of: Scalar) -> Offset {
        let numbers: Vec<_> = (0..self.length()).map(|_| self.number(of)).collect();
        let low = |number: &Number| match number {
            Number::Integer(value) => value.to_le_bytes(),
            Number::Real(_) => unreachable!("no list is of doubles"),
        };
        let numbers = numbers.iter().map(low);
        let value = match width(of) {
            1 => self.builder.create_vector(&numbers.map(|low| low[0]).collect::<Vec<_>>()).value(),
            2 => {
                let numbers = numbers.map(|low| u16::from_le_bytes([low[0], low[1]]));
                self.builder.create_vector(&numbers.collect::<Vec<_>>()).value()
            }
            4 => {
                let numbers = numbers.map(|low| u32::from_le_bytes([low[0], low[1], low[2], low[3]]));
                self.builder.create_vector(&numbers.collect::<Vec<_>>()).value()
            }
            other => unreachable!("no list is of {other} bytes each"),
        };
        WIPOffset::new(value)
    }
}
