//! What a frame says in a layout, field by field, read by the layout's description alone: for tests that compare it
//! with what a library reads, or with the same message in another layout.

use serde_json::{Map, Value};

use crate::wire::number::{Number, width};
use crate::wire::schema::{Field, Kind, Scalar, Schema, Values};
use crate::wire::unverified::{Unverified, target, u32_at};

/// Integers beyond are texts, as JavaScript's numbers cannot hold them.
const SAFE_INTEGER_MAX: i128 = (1 << 53) - 1;

/// The message of a frame with its size prefix. Fields have the names that flatc gives them in TypeScript; of a union there
/// is the table under its name, of an enum the value's name; what is absent or an empty list is not there.
pub(in crate::wire) fn tree(schema: &Schema, frame: &[u8]) -> Value {
    let root = target(frame, ringsoup_fbs::PREFIX_BYTES).unwrap();
    Tree { schema, frame }.table("FBS.Message.Message", root)
}

struct Tree<'a> {
    schema: &'a Schema,
    frame: &'a [u8],
}

impl Tree<'_> {
    fn table(&self, name: &str, at: usize) -> Value {
        let table = Unverified::new(self.frame, at);
        assert!(table.is_table(), "{name} at {at}");
        let mut shown = Map::new();
        for (slot, field) in self.schema.tables[name].iter().enumerate() {
            let slot = u16::try_from(4 + 2 * slot).unwrap();
            if let Some(value) = self.field(table, field, slot) {
                shown.insert(camel_case(&field.name), value);
            }
        }
        Value::Object(shown)
    }

    fn field(&self, table: Unverified<'_>, field: &Field, slot: u16) -> Option<Value> {
        let at = table.field(slot);
        let target = || table.target(slot);
        match &field.kind {
            Kind::Scalar(scalar) => {
                let read = at.map(|at| Number::read(self.frame, at, *scalar).unwrap());
                read.or_else(|| Number::of(field.default)).map(|number| shown(number, *scalar))
            }
            Kind::Enum(name) => {
                let read = at.map(|at| Number::Integer(self.frame[at].into()));
                read.or_else(|| Number::of(field.default))
                    .map(|number| named(&self.schema.enums[name], number))
            }
            Kind::UnionType(_) => None,
            Kind::Union(name) => {
                let number = table.byte(slot - 2)?;
                let (_, member) = self.schema.unions[name].iter().find(|(known, _)| *known == number)?;
                let inner = self.table(member, target()?);
                Some(Value::Object(Map::from_iter([(member.clone(), inner)])))
            }
            Kind::Text => Some(self.text(target()?)),
            Kind::Table(name) => Some(self.table(name, target()?)),
            Kind::Texts => self.list(target()?, 4, |at| self.text(at + self.offset(at))),
            Kind::Tables(name) => self.list(target()?, 4, |at| self.table(name, at + self.offset(at))),
            Kind::Scalars(of) => {
                self.list(target()?, width(*of), |at| shown(Number::read(self.frame, at, *of).unwrap(), *of))
            }
            Kind::Enums(name) => self.list(target()?, 1, |at| {
                named(&self.schema.enums[name], Number::Integer(self.frame[at].into()))
            }),
        }
    }

    fn offset(&self, at: usize) -> usize {
        usize::try_from(u32_at(self.frame, at).unwrap()).unwrap()
    }

    fn text(&self, at: usize) -> Value {
        let bytes = &self.frame[at + 4..at + 4 + self.offset(at)];
        Value::String(std::str::from_utf8(bytes).unwrap().to_owned())
    }

    fn list(&self, at: usize, width: usize, item: impl Fn(usize) -> Value) -> Option<Value> {
        let items: Vec<_> = (0..self.offset(at)).map(|index| item(at + 4 + width * index)).collect();
        (!items.is_empty()).then_some(Value::Array(items))
    }
}

fn shown(number: Number, scalar: Scalar) -> Value {
    match (number, scalar) {
        (Number::Integer(value), Scalar::Bool) => Value::Bool(value != 0),
        (Number::Integer(value), _) if value.abs() > SAFE_INTEGER_MAX => Value::String(value.to_string()),
        (Number::Integer(value), _) => Value::from(i64::try_from(value).unwrap()),
        (Number::Real(value), _) => Value::from(value),
    }
}

/// A number without a name stays one.
fn named(values: &Values, number: Number) -> Value {
    let Number::Integer(value) = number else { unreachable!("no enum is of doubles") };
    let found = values.iter().find(|(known, _)| i128::from(*known) == value);
    found.map_or_else(|| shown(number, Scalar::U8), |(_, name)| Value::String(name.clone()))
}

pub(in crate::wire) fn camel_case(name: &str) -> String {
    let mut camel = String::new();
    let mut upper = false;
    for letter in name.chars() {
        match letter {
            '_' => upper = true,
            _ if upper => {
                camel.extend(letter.to_uppercase());
                upper = false;
            }
            _ => camel.push(letter),
        }
    }
    camel
}
