//! For every layout and every message: what is written in it and read from it is what it was, but for what the layout has
//! no place for.

use proptest::prelude::*;
use ringsoup_fbs::verify_message;
use serde_json::{Map, Value};

use super::any_message::{everything, message};
use super::edits::Edit;
use super::translate::{Stop, translate};
use super::tree::{camel_case, tree};
use super::{Generation, layout};
use crate::version::Version;
use crate::wire::Builder;
use crate::wire::schema::{Default, Field, Kind, Scalar, Schema};

/// Of each older layout, the last version of it.
const VERSIONS: [&str; 11] = [
    "3.13.10", "3.13.13", "3.13.24", "3.16.5", "3.16.8", "3.19.4", "3.19.9", "3.19.17", "3.19.22", "3.22.0",
    "3.26.0",
];

/// Messages of each body in each layout, others in every run: two thousand bodies take their time.
const CASES: u32 = 3;

/// Bytes that a message is made of, more than almost all use.
const BYTES_MAX: usize = 600;

/// In the place of a value that reading takes from elsewhere.
const WHATEVER: &str = "whatever";

/// An older layout by what it has, beside the plans that are tested.
struct Older {
    version: &'static str,
    schema: Schema,
    edits: Vec<Edit>,
    generation: Generation,
}

impl Older {
    fn new(text: &'static str) -> Self {
        let version = Version::parse(text).unwrap();
        let (schema, edits) = layout(version).unwrap();
        Self { version: text, schema, edits, generation: Generation::of(version).unwrap() }
    }

    /// Whether reading takes it from another field, or has a value of its own: those have tests of their own.
    fn is_read_otherwise(&self, table: &str, field: &str) -> bool {
        self.edits.iter().any(|edit| match *edit {
            Edit::ReadFrom { table: of, field: named, .. } | Edit::ReadAs { table: of, field: named, .. } => {
                (of, named) == (table, field)
            }
            _ => false,
        })
    }

    /// What is left of a table; `None` when the layout has no word for something that cannot be left out.
    fn table(&self, newest: &Schema, name: &str, value: &Value) -> Option<Value> {
        let Some(older) = self.schema.tables.get(name) else { return Some(value.clone()) };
        let said = value.as_object().unwrap();
        let mut left = Map::new();
        for field in &newest.tables[name] {
            let camel = camel_case(&field.name);
            let counterpart = older.iter().find(|known| known.name == field.name);
            let kept = match (said.get(&camel), counterpart) {
                (Some(value), Some(counterpart)) => self.value(newest, field, counterpart, value)?,
                (None, Some(_)) => None,
                (_, None) => absent(newest, field),
            };
            let kept = if self.is_read_otherwise(name, &field.name) { Some(WHATEVER.into()) } else { kept };
            left.extend(kept.map(|value| (camel, value)));
        }
        Some(Value::Object(left))
    }

    /// Outside is `None` for what there is no word for, inside for what is simply not there.
    fn value(&self, newest: &Schema, field: &Field, older: &Field, value: &Value) -> Option<Option<Value>> {
        let known = |name: &str, value: &Value| {
            let named = value.as_str();
            named.is_none_or(|named| self.schema.enums[name].iter().any(|(_, known)| known == named))
        };
        let items = || value.as_array().into_iter().flatten();
        let list = |items: Vec<Value>| (!items.is_empty()).then_some(Value::Array(items));
        Some(match &field.kind {
            Kind::Scalar(_) => Some(fitting(value, &older.kind)),
            Kind::Enum(name) => known(name, value).then(|| Some(value.clone()))?,
            Kind::Table(name) => Some(self.table(newest, name, value)?),
            Kind::Union(name) => self.member(newest, name, value)?,
            Kind::Tables(name) => list(items().filter_map(|item| self.table(newest, name, item)).collect()),
            Kind::Enums(name) => list(items().filter(|item| known(name, item)).cloned().collect()),
            Kind::Text | Kind::Texts | Kind::Scalars(_) | Kind::UnionType(_) => Some(value.clone()),
        })
    }

    fn member(&self, newest: &Schema, union: &str, value: &Value) -> Option<Option<Value>> {
        let (table, inner) = value.as_object().unwrap().iter().next().unwrap();
        if !self.schema.unions[union].iter().any(|(_, known)| known == table) {
            return Some(None);
        }
        let inner = self.table(newest, table, inner)?;
        Some(Some(Value::Object(Map::from_iter([(table.clone(), inner)]))))
    }
}

/// What reading finds of a field that is not written.
pub(in crate::wire) fn absent(newest: &Schema, field: &Field) -> Option<Value> {
    match (field.default, &field.kind) {
        // It has to be there, with nothing in it.
        (_, Kind::Text) if field.required => Some("".into()),
        (_, Kind::Table(name)) if field.required => {
            let inner = newest.tables[name].iter();
            let inner = inner.filter_map(|field| Some((camel_case(&field.name), absent(newest, field)?)));
            Some(Value::Object(inner.collect()))
        }
        (Default::Integer(value), Kind::Scalar(Scalar::Bool)) => Some(Value::Bool(value != 0)),
        (Default::Integer(value), Kind::Scalar(_)) => Some(Value::from(value)),
        (Default::Real(value), Kind::Scalar(_)) => Some(Value::from(value)),
        _ => None,
    }
}

/// The nearest number that the field has room for.
fn fitting(value: &Value, kind: &Kind) -> Value {
    let (Kind::Scalar(scalar), Some(number)) = (kind, integer(value)) else { return value.clone() };
    let max = match scalar {
        Scalar::U32 => i128::from(u32::MAX),
        Scalar::U64 => i128::from(u64::MAX),
        _ => return value.clone(),
    };
    match i64::try_from(number.clamp(0, max)) {
        Ok(number) if number.abs() < 1 << 53 => Value::from(number),
        _ => Value::String(number.clamp(0, max).to_string()),
    }
}

fn integer(value: &Value) -> Option<i128> {
    match value {
        Value::Number(number) => number.as_i64().map(Into::into),
        Value::String(text) => text.parse().ok(),
        _ => None,
    }
}

/// Whether what was read is what is left.
fn is_left(left: &Value, read: Option<&Value>) -> bool {
    match (left, read) {
        (Value::String(text), _) if text == WHATEVER => true,
        (Value::Object(left), Some(Value::Object(read))) => {
            left.iter().all(|(name, left)| is_left(left, read.get(name)))
                && read.keys().all(|name| left.contains_key(name))
        }
        (Value::Array(left), Some(Value::Array(read))) => {
            left.len() == read.len() && left.iter().zip(read).all(|(left, read)| is_left(left, Some(read)))
        }
        (left, read) => Some(left) == read,
    }
}

fn check(older: &Older, newest: &Schema, frame: &[u8]) -> Result<(), TestCaseError> {
    let version = older.version;
    prop_assert!(verify_message(frame).is_ok());
    let said = tree(newest, frame);
    let left = older.table(newest, "FBS.Message.Message", &said);
    let told = older.generation.encode(frame);
    prop_assert_eq!(told.is_some(), left.is_some(), "{}: {:#?}", version, said);
    let (Some(told), Some(left)) = (told, left) else { return Ok(()) };
    let mut builder = Builder::default();
    let read = translate(&older.generation.read, &told, &mut builder);
    prop_assert_eq!(read, Ok::<(), Stop>(()), "{}: {:#?}", version, said);
    let again = builder.finished_data();
    prop_assert!(verify_message(again).is_ok(), "{}: {:#?}", version, said);
    let read = tree(newest, again);
    prop_assert!(is_left(&left, Some(&read)), "{}:\n{:#?}\n{:#?}", version, left, read);
    if read == said {
        prop_assert_eq!(decoded(again), decoded(frame), "{}", version);
    }
    Ok(())
}

/// What the worker makes of it, for what controllers may send.
fn decoded(frame: &[u8]) -> String {
    format!("{:?}", crate::wire::decode(frame))
}

#[test]
fn every_message_comes_through_every_layout() {
    let newest = Schema::newest();
    for older in VERSIONS.map(Older::new) {
        for about in everything(&newest) {
            let config = ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(CASES) };
            let bytes = proptest::collection::vec(any::<u8>(), 0..BYTES_MAX);
            let mut runner = proptest::test_runner::TestRunner::new(config);
            let result = runner.run(&bytes, |bytes| check(&older, &newest, &message(&newest, about, &bytes)));
            result.unwrap_or_else(|error| panic!("{} {about:?}: {error}", older.version));
        }
    }
}
