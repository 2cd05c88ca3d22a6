//! A body of any kind, filled in every field.

use crate::wire::schema::{Kind, Scalar, Schema};
use crate::wire::value::{Field, Value};

/// Ids and addresses alike: an id that nobody has, unless somebody was given it.
pub const TEXT: &str = "sample";

/// A table with every field set: numbers to `number`, texts to [`TEXT`], vectors to one item, unions to their first
/// kind.
pub fn table(schema: &Schema, name: &str, number: i128) -> Vec<Field> {
    let fields = schema.table(name).iter();
    fields.map(|field| Field::new(&field.name, value(schema, &field.kind, number))).collect()
}

fn value(schema: &Schema, kind: &Kind, number: i128) -> Value {
    match kind {
        Kind::Scalar(Scalar::Bool) => Value::Bool(number != 0),
        // Only the worker's statistics have one.
        Kind::Scalar(Scalar::F32) => Value::Absent,
        Kind::Scalar(Scalar::F64) => Value::Real(1.5),
        Kind::Scalar(_) => Value::Integer(number),
        Kind::Text => Value::Text(TEXT.to_owned()),
        Kind::Enum(name) => match schema.constants(name).first() {
            Some((constant, _)) => Value::Name(constant.clone()),
            None => Value::Integer(0),
        },
        Kind::Table(name) => Value::Object(table(schema, name, number)),
        Kind::Union(name) => match schema.members(name).first() {
            Some((member, _, name)) => Value::Typed(member.clone(), table(schema, name, number)),
            None => Value::Absent,
        },
        Kind::Vector(inner) => Value::List(vec![value(schema, inner, number)]),
    }
}
