//! For every answer and every notification, whatever is in it, and each dialect: the JSON that is told says what the frame
//! says, nothing less and nothing else.
//!
//! The frame is read once more, by field names and not as it is told, and compared value by value. What is not tested
//! here: the tables themselves (`names`, `shapes`, `adjust`), which are taken as they are and have samples of their own, and
//! names with their router's behind them, which no frame here has.

use std::cell::RefCell;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use serde_json::{Map, Value, json};

use super::encode::JsonEncoder;
use super::names::{member_name, value_text};
use super::shapes::{BODIES, BodyShape, ENTRIES, EVENTS, FIELDS, Shape, TYPES};
use super::{adjust, samples};
use crate::version::Version;
use crate::wire::generation::any_message::{everything, message};
use crate::wire::generation::tree::{camel_case, tree};
use crate::wire::schema::{Field, Kind, Schema};

/// One version of each dialect.
pub(super) const VERSIONS: [&str; 3] = ["3.8.4", "3.10.5", "3.12.16"];

/// Messages of each body in each dialect, others in every run.
const CASES: u32 = 24;

/// Bytes that a message is made of, more than almost all use.
pub(super) const BYTES_MAX: usize = 600;

/// The only bytes that are told: a frame's reading shows no difference between none and an empty list.
const ENCODED: &str = "encoded";

/// What is to be told of a frame's reading.
struct Expected<'a> {
    schema: &'a Schema,
    version: Version,
}

impl Expected<'_> {
    /// `None` when these controllers have no word for it.
    fn message(&self, said: &Value) -> Option<Value> {
        let (head, said) = only(&said["data"]);
        let mut told = self.table(head, said);
        let body = said.get("body").map(|body| self.body(body));
        match head {
            "FBS.Response.Response" => {
                let data = body.unwrap_or(Some(None))?;
                told.extend(data.map(|data| ("data".to_owned(), data)));
            }
            "FBS.Notification.Notification" => {
                let (_, event) = EVENTS.iter().find(|(event, _)| said["event"] == *event)?;
                told.insert("event".to_owned(), Value::from(*event));
                if let Some(data) = body {
                    told.insert("data".to_owned(), data?.unwrap_or(Value::Null));
                }
            }
            _ => return None,
        }
        Some(Value::Object(told))
    }

    /// Outside is `None` for what there is no word for, inside for nothing to tell.
    fn body(&self, body: &Value) -> Option<Option<Value>> {
        let (name, said) = only(body);
        let told = self.table(name, said);
        let shape = BODIES.iter().find(|(body, _)| *body == name).map(|(_, shape)| *shape);
        Some(match shape {
            None => Some(Value::Object(told)),
            Some(BodyShape::Listed) => Some(json!([told])),
            Some(BodyShape::Member(member)) => told.get(member).cloned(),
            Some(BodyShape::Under(member)) => Some(json!({ member: told })),
            Some(BodyShape::Nothing) => None,
            Some(BodyShape::Unknown) => return None,
        })
    }

    fn table(&self, name: &str, said: &Value) -> Map<String, Value> {
        let mut told = Map::new();
        for field in &self.schema.tables[name] {
            let shape = FIELDS.iter().find(|(table, known, _)| (*table, *known) == (name, &*field.name));
            let shape = shape.map(|(_, _, shape)| *shape);
            let member = match shape {
                Some(Shape::Untold) => continue,
                Some(Shape::Since(since)) if self.version < since => continue,
                Some(Shape::Named(member)) => member.to_owned(),
                _ => member_name(&field.name),
            };
            let value = shaped(shape, self.value(field, said.get(camel_case(&field.name))));
            match (shape, value) {
                (Some(Shape::Inlined), Some(Value::Object(members))) => told.extend(members),
                (_, value) => told.extend(value.map(|value| (member, value))),
            }
        }
        let kind = TYPES.iter().find(|(table, _)| *table == name);
        told.extend(kind.map(|(_, kind)| ("type".to_owned(), Value::from(*kind))));
        if let Some(adjust) = adjust::of(name) {
            adjust(&mut told);
        }
        told
    }

    /// Lists are told without anything in them, too.
    fn value(&self, field: &Field, said: Option<&Value>) -> Option<Value> {
        let items = || said.and_then(Value::as_array).into_iter().flatten();
        let text_of = |of: &str, value: &Value| Some(value_text(of, value.as_str()?));
        Some(match &field.kind {
            Kind::UnionType(_) => return None,
            Kind::Scalar(_) => number(said?),
            Kind::Enum(of) => text_of(of, said?)?.into(),
            Kind::Text => said.filter(|text| field.required || **text != "")?.clone(),
            Kind::Table(name) => self.table(name, said?).into(),
            Kind::Union(_) => {
                let (name, said) = only(said?);
                self.table(name, said).into()
            }
            Kind::Enums(of) => {
                items().filter_map(|item| text_of(of, item)).collect::<Vec<_>>().join(",").into()
            }
            Kind::Texts => items().cloned().collect(),
            Kind::Scalars(_) => items().map(number).collect(),
            Kind::Tables(name) if ENTRIES.contains(&&**name) => self.entries(name, items()),
            Kind::Tables(name) => items().map(|item| Value::from(self.table(name, item))).collect(),
        })
    }

    /// The first field names the member, the last one is its value; of the value's table only what it holds is told.
    fn entries<'a>(&self, name: &str, items: impl Iterator<Item = &'a Value>) -> Value {
        let [key, .., value] = self.schema.tables[name].as_slice() else { panic!("{name}") };
        let field = |field: &Field, item: &Value| self.value(field, item.get(camel_case(&field.name)));
        let entry = |item| {
            let key = match field(key, item)? {
                Value::String(key) => key,
                number => number.to_string(),
            };
            let value = match field(value, item)? {
                Value::Object(mut table) => table.remove("value")?,
                value => value,
            };
            Some((key, value))
        };
        Value::Object(items.filter_map(entry).collect())
    }
}

/// The only member of a union's reading.
pub(super) fn only(union: &Value) -> (&str, &Value) {
    let (name, said) = union.as_object().and_then(|union| union.iter().next()).unwrap();
    (name, said)
}

/// Integers that JavaScript's numbers cannot hold are read as texts, and told as numbers all the same.
pub(super) fn number(said: &Value) -> Value {
    match said.as_str() {
        Some(text) => text.parse::<u64>().map_or_else(|_| text.parse::<i64>().unwrap().into(), Value::from),
        None => said.clone(),
    }
}

fn shaped(shape: Option<Shape>, value: Option<Value>) -> Option<Value> {
    let byte = |byte: &Value| u8::try_from(byte.as_u64().unwrap()).unwrap();
    match shape {
        Some(Shape::Null) => value.or(Some(Value::Null)),
        Some(Shape::NonZero) => value.filter(|value| *value != false && *value != 0 && *value != 0.0),
        Some(Shape::NotNegative) => {
            value.map(|value| if value.as_i64() < Some(0) { 0.into() } else { value })
        }
        Some(Shape::Truth) => value.map(|value| (value != 0).into()),
        Some(Shape::Base64) => value.as_ref().and_then(Value::as_array).map(|bytes| {
            let bytes: Vec<u8> = bytes.iter().map(byte).collect();
            STANDARD.encode(bytes).into()
        }),
        _ => value,
    }
}

/// The same without bytes that are none.
fn without_empty_bytes(value: Value) -> Value {
    match value {
        Value::Object(members) => {
            let members = members.into_iter().filter(|(name, value)| !(name == ENCODED && *value == ""));
            members.map(|(name, value)| (name, without_empty_bytes(value))).collect()
        }
        Value::Array(items) => items.into_iter().map(without_empty_bytes).collect(),
        value => value,
    }
}

fn check(expected: &Expected<'_>, encoder: &RefCell<JsonEncoder>, frame: &[u8]) -> Result<(), TestCaseError> {
    let said = tree(expected.schema, frame);
    let mut encoder = encoder.borrow_mut();
    let told = encoder.tell(frame).map(|text| serde_json::from_slice::<Value>(text).unwrap());
    let told = told.map(without_empty_bytes);
    let expected = expected.message(&said).map(without_empty_bytes);
    prop_assert_eq!(told, expected, "{:#?}", said);
    Ok(())
}

/// With messages of arbitrary bytes, of which every run has others.
pub(super) fn for_any_bytes(cases: u32, what: &str, check: impl Fn(&[u8]) -> Result<(), TestCaseError>) {
    let config = ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(cases) };
    let bytes = proptest::collection::vec(any::<u8>(), 0..BYTES_MAX);
    let result = TestRunner::new(config).run(&bytes, |bytes| check(&bytes));
    result.unwrap_or_else(|error| panic!("{what}: {error}"));
}

#[test]
fn whatever_a_frame_says_is_told() {
    let schema = Schema::newest();
    for spoken in VERSIONS {
        let version = samples::version(spoken);
        let encoder = RefCell::new(JsonEncoder::new(version));
        let expected = Expected { schema: &schema, version };
        for about in everything(&schema) {
            for_any_bytes(CASES, &format!("{spoken} {about:?}"), |bytes| {
                check(&expected, &encoder, &message(&schema, about, bytes))
            });
        }
    }
}
