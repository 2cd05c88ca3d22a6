//! Frames of the newest layout as JSON: tables are walked by the schemas, and told by [`shapes`](super::shapes).
//!
//! Frames are our own encoder's. Every access is checked all the same, and what is not there is not told.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ringsoup_fbs::PREFIX_BYTES;
use ringsoup_fbs::fbs::message::{Body, Message};
use ringsoup_fbs::fbs::notification::Notification;
use ringsoup_fbs::fbs::response::Response;
use serde_json::{Map, Value, json};

use super::adjust::{self, Adjust};
use super::methods::HANDLER_IDS;
use super::names::{member_name, value_text};
use super::scope;
use super::shapes::{BODIES, BodyShape, ENTRIES, EVENTS, FIELDS, Shape, TYPES};
use crate::version::Version;
use crate::wire::number::{Number, width};
use crate::wire::schema::{Field, Kind, Scalar, Schema};
use crate::wire::unverified::{Unverified, elements, target, u32_at};

/// Tables in tables: what no message of ours reaches.
const DEPTH_MAX: usize = 32;

/// How messages are told to a controller of one version. Made once, when the worker starts.
pub(super) struct Teller {
    tables: BTreeMap<String, Table>,
    /// By enum and number.
    texts: BTreeMap<String, BTreeMap<u8, String>>,
    /// By union and number, the member's table.
    unions: BTreeMap<String, BTreeMap<u8, String>>,
    /// By number.
    events: BTreeMap<u8, &'static str>,
}

struct Table {
    members: Vec<Member>,
    /// Its vectors are objects.
    is_entry: bool,
    kind: Option<&'static str>,
    adjust: Option<Adjust>,
}

struct Member {
    name: String,
    /// Of the field in vtables.
    vtable_offset: u16,
    field: Field,
    shape: Option<Shape>,
    /// Of names that are told as their controller gave them.
    is_scoped: bool,
}

impl Member {
    fn told<'a>(&self, text: &'a str) -> &'a str {
        if self.is_scoped { scope::plain(text) } else { text }
    }
}

impl Teller {
    pub(super) fn new(version: Version) -> Self {
        let schema = Schema::newest();
        let by_number = |values: &Vec<(u8, String)>, text: &dyn Fn(&str) -> String| {
            values.iter().map(|(number, name)| (*number, text(name))).collect()
        };
        let texts = schema
            .enums
            .iter()
            .map(|(of, values)| (of.clone(), by_number(values, &|name| value_text(of, name))));
        let unions = schema.unions.iter().map(|(of, values)| (of.clone(), by_number(values, &str::to_owned)));
        let numbers = schema.enums.get("FBS.Notification.Event").into_iter().flatten();
        let events = numbers.filter_map(|(number, name)| {
            EVENTS.iter().find(|(event, _)| event == name).map(|(_, text)| (*number, *text))
        });
        Self {
            texts: texts.collect(),
            unions: unions.collect(),
            events: events.collect(),
            tables: schema
                .tables
                .iter()
                .map(|(name, fields)| (name.clone(), table(name, fields, version)))
                .collect(),
        }
    }

    /// The message in a frame of the newest layout; `None` when these controllers have no word for it.
    pub(super) fn tell(&self, frame: &[u8]) -> Option<Value> {
        let walk = Walk { teller: self, frame };
        let message = Unverified::new(frame, target(frame, PREFIX_BYTES)?);
        let data = message.table(Message::VT_DATA)?;
        match Body(message.byte(Message::VT_DATA_TYPE)?) {
            Body::Response => self.response(&walk, data),
            Body::Notification => self.notification(&walk, data),
            _ => None,
        }
    }

    /// `None` when it answers what these controllers cannot ask.
    fn response<'a>(&'a self, walk: &Walk<'a>, response: Unverified<'a>) -> Option<Value> {
        let mut told = walk.table("FBS.Response.Response", response, 0)?;
        if let Some(data) = walk.body("FBS.Response.Body", response, Response::VT_BODY)? {
            told.insert("data".to_owned(), data);
        }
        Some(Value::Object(told))
    }

    /// `None` when these controllers do not know the event.
    fn notification<'a>(&'a self, walk: &Walk<'a>, notification: Unverified<'a>) -> Option<Value> {
        let event = self.events.get(&notification.byte(Notification::VT_EVENT).unwrap_or(0))?;
        let mut told = walk.table("FBS.Notification.Notification", notification, 0)?;
        told.insert("event".to_owned(), Value::from(*event));
        if notification.byte(Notification::VT_BODY_TYPE).unwrap_or(0) != 0 {
            let data = walk.body("FBS.Notification.Body", notification, Notification::VT_BODY)?;
            told.insert("data".to_owned(), data.unwrap_or(Value::Null));
        }
        Some(Value::Object(told))
    }
}

fn table(name: &str, fields: &[Field], version: Version) -> Table {
    let members = (0_u16..).zip(fields).filter_map(|(slot, field)| {
        let shape = FIELDS.iter().find(|(table, known, _)| *table == name && *known == field.name);
        let shape = shape.map(|(_, _, shape)| *shape);
        let member = match shape {
            Some(Shape::Untold) => return None,
            Some(Shape::Since(since)) if version < since => return None,
            Some(Shape::Named(name)) => name.to_owned(),
            _ => member_name(&field.name),
        };
        // Behind the vtable's own two numbers.
        let vtable_offset = 4 + 2 * slot;
        let is_scoped = version < HANDLER_IDS && scope::may_hold(name, &field.name);
        Some(Member { name: member, vtable_offset, field: field.clone(), shape, is_scoped })
    });
    Table {
        members: members.collect(),
        is_entry: ENTRIES.contains(&name),
        kind: TYPES.iter().find(|(table, _)| *table == name).map(|(_, kind)| *kind),
        adjust: adjust::of(name),
    }
}

/// One frame's reading.
struct Walk<'a> {
    teller: &'a Teller,
    frame: &'a [u8],
}

impl<'a> Walk<'a> {
    /// A union at the end of a message: `Some(None)` is nothing to tell, `None` what cannot be told.
    fn body(&self, of: &str, holder: Unverified<'a>, vtable_offset: u16) -> Option<Option<Value>> {
        let Some((name, table)) = self.member(of, holder, vtable_offset) else { return Some(None) };
        let told = self.table(name, table, 0)?;
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

    /// The table that a union has, and which one that is.
    fn member(
        &self,
        of: &str,
        holder: Unverified<'a>,
        vtable_offset: u16,
    ) -> Option<(&'a str, Unverified<'a>)> {
        let number = holder.byte(vtable_offset.checked_sub(2)?)?;
        let name = self.teller.unions.get(of)?.get(&number)?;
        Some((name, holder.table(vtable_offset)?))
    }

    fn table(&self, name: &str, at: Unverified<'a>, depth: usize) -> Option<Map<String, Value>> {
        if depth == DEPTH_MAX {
            return None;
        }
        let table = self.teller.tables.get(name)?;
        let mut told = Map::new();
        for member in &table.members {
            match shaped(member.shape, self.value(member, at, depth)) {
                Some(Value::Object(inlined)) if member.shape == Some(Shape::Inlined) => told.extend(inlined),
                Some(value) => {
                    told.insert(member.name.clone(), value);
                }
                None => {}
            }
        }
        if let Some(kind) = table.kind {
            told.insert("type".to_owned(), Value::from(kind));
        }
        if let Some(adjust) = table.adjust {
            adjust(&mut told);
        }
        Some(told)
    }

    /// What a field holds; `None` when it is absent and has no default.
    fn value(&self, member: &Member, table: Unverified<'a>, depth: usize) -> Option<Value> {
        let at = member.vtable_offset;
        Some(match &member.field.kind {
            Kind::Scalar(scalar) => number_value(self.number(member, table, *scalar)?, *scalar),
            Kind::Enum(of) => match self.number(member, table, Scalar::U8)? {
                Number::Integer(number) => self.text_of(of, u8::try_from(number).ok()?)?,
                Number::Real(_) => return None,
            },
            Kind::Text => {
                let text = member.told(text(self.frame, table.target(at)?)?);
                // Absent and empty are the same, but where a text must be.
                (member.field.required || !text.is_empty()).then(|| Value::from(text))?
            }
            Kind::Table(name) => Value::Object(self.table(name, table.table(at)?, depth + 1)?),
            // Told with its union.
            Kind::UnionType(_) => return None,
            Kind::Union(of) => {
                let (name, member) = self.member(of, table, at)?;
                Value::Object(self.table(name, member, depth + 1)?)
            }
            Kind::Scalars(Scalar::U8) if member.shape == Some(Shape::Base64) => {
                Value::from(STANDARD.encode(self.bytes(table.target(at)?)?))
            }
            Kind::Scalars(scalar) => Value::Array(self.numbers(table.target(at), *scalar)),
            Kind::Enums(of) => Value::from(self.joined(of, table.target(at))),
            Kind::Texts => {
                let texts = self.places(table.target(at)).filter_map(|at| text(self.frame, at));
                Value::Array(texts.map(|text| Value::from(member.told(text))).collect())
            }
            Kind::Tables(name) if self.teller.tables.get(name)?.is_entry => {
                Value::Object(self.entries(name, table.target(at), depth + 1))
            }
            Kind::Tables(name) => {
                let tables = self
                    .places(table.target(at))
                    .filter_map(|at| self.table(name, Unverified::new(self.frame, at), depth + 1));
                Value::Array(tables.map(Value::Object).collect())
            }
        })
    }

    fn number(&self, member: &Member, table: Unverified<'_>, scalar: Scalar) -> Option<Number> {
        match table.field(member.vtable_offset) {
            Some(at) => Number::read(self.frame, at, scalar),
            None => Number::of(member.field.default),
        }
    }

    fn text_of(&self, of: &str, number: u8) -> Option<Value> {
        self.teller.texts.get(of)?.get(&number).map(|text| Value::from(text.as_str()))
    }

    /// Where the elements of a vector of offsets lead.
    fn places(&self, vector: Option<usize>) -> impl Iterator<Item = usize> {
        let frame = self.frame;
        vector.into_iter().flat_map(move |at| elements(frame, at)).filter_map(move |at| target(frame, at))
    }

    fn bytes(&self, vector: usize) -> Option<&'a [u8]> {
        let len = usize::try_from(u32_at(self.frame, vector)?).ok()?;
        self.frame.get(vector + PREFIX_BYTES..)?.get(..len)
    }

    fn numbers(&self, vector: Option<usize>, scalar: Scalar) -> Vec<Value> {
        let Some(vector) = vector else { return Vec::new() };
        let count = u32_at(self.frame, vector).and_then(|count| usize::try_from(count).ok()).unwrap_or(0);
        let places = (0..count).map(|index| vector + 4 + index * width(scalar));
        let numbers = places.map_while(|at| Number::read(self.frame, at, scalar));
        numbers.map(|number| number_value(number, scalar)).collect()
    }

    fn joined(&self, of: &str, vector: Option<usize>) -> String {
        let numbers = vector.and_then(|vector| self.bytes(vector)).unwrap_or_default();
        let texts = self.teller.texts.get(of);
        let texts: Vec<&str> =
            numbers.iter().filter_map(|number| texts?.get(number).map(String::as_str)).collect();
        texts.join(",")
    }

    /// The tables of a vector as one object.
    fn entries(&self, name: &str, vector: Option<usize>, depth: usize) -> Map<String, Value> {
        let Some([key, .., value]) = self.teller.tables.get(name).map(|table| table.members.as_slice())
        else {
            return Map::new();
        };
        let entries = self.places(vector).filter_map(|at| {
            let entry = Unverified::new(self.frame, at);
            let name = match self.value(key, entry, depth)? {
                Value::String(name) => name,
                other => other.to_string(),
            };
            let value = match self.value(value, entry, depth)? {
                // A union's table that is there for its value alone.
                Value::Object(mut table) if table.len() == 1 => table.remove("value")?,
                value => value,
            };
            Some((name, value))
        });
        entries.collect()
    }
}

fn shaped(shape: Option<Shape>, value: Option<Value>) -> Option<Value> {
    match shape {
        Some(Shape::Null) => Some(value.unwrap_or(Value::Null)),
        Some(Shape::NonZero) => value.filter(|value| *value != json!(false) && value.as_f64() != Some(0.0)),
        Some(Shape::NotNegative) => {
            value.map(|value| json!(value.as_i64().map_or(0, |number| number.max(0))))
        }
        Some(Shape::Truth) => value.map(|value| json!(value.as_u64() != Some(0))),
        _ => value,
    }
}

fn number_value(number: Number, scalar: Scalar) -> Value {
    match number {
        Number::Integer(number) if scalar == Scalar::Bool => Value::Bool(number != 0),
        // Of at most 64 bits, with a sign or without.
        Number::Integer(number) => match u64::try_from(number) {
            Ok(number) => Value::from(number),
            Err(_) => i64::try_from(number).map_or(Value::Null, Value::from),
        },
        Number::Real(number) => Value::from(number),
    }
}

fn text(frame: &[u8], at: usize) -> Option<&str> {
    let len = usize::try_from(u32_at(frame, at)?).ok()?;
    std::str::from_utf8(frame.get(at + 4..)?.get(..len)?).ok()
}
