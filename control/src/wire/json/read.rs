//! JSON objects as tables of the newest layout, by their [`Plan`].

use flatbuffers::{UnionWIPOffset, WIPOffset};
use ringsoup_fbs::VERIFY_TABLES_MAX;
use serde_json::{Map, Value};

use super::checks::Wrong;
use super::plan::{MemberPlan, Need, Plan, PlanId, Range, Texts, ValuePlan};
use crate::wire::Builder;
use crate::wire::number::Number;
use crate::wire::schema::Scalar;

pub(super) type Object = Map<String, Value>;
pub(super) type Offset = WIPOffset<UnionWIPOffset>;

/// Why there is no table.
#[derive(Debug)]
pub(super) enum Stop {
    Wrong(Wrong),
    /// It is about something that is not known here, and is left out without a word.
    LeftOut,
}

impl From<Wrong> for Stop {
    fn from(wrong: Wrong) -> Self {
        Self::Wrong(wrong)
    }
}

/// What a table under way is to hold. Tables cannot be begun within tables, so all are known before.
pub(super) enum Ready {
    Number(u16, Scalar, Number),
    Offset(u16, Offset),
}

pub(super) struct Reader<'a> {
    pub(super) plan: &'a Plan,
    pub(super) builder: &'a mut Builder,
    /// The bytes that came beside the JSON.
    payload: &'a [u8],
    /// Tables that may still be written.
    tables: usize,
}

impl<'a> Reader<'a> {
    pub(super) fn new(plan: &'a Plan, builder: &'a mut Builder, payload: &'a [u8]) -> Self {
        Self { plan, builder, payload, tables: VERIFY_TABLES_MAX }
    }

    pub(super) fn table(&mut self, id: PlanId, object: &Object) -> Result<Offset, Stop> {
        // Bound apart, so that the plan is not borrowed through `self`.
        let plan = self.plan;
        let mut ready = Vec::new();
        for member in plan.table(id) {
            self.member(member, object, &mut ready)?;
        }
        self.write(&ready)
    }

    pub(super) fn write(&mut self, members: &[Ready]) -> Result<Offset, Stop> {
        let too_many = || Wrong::other("data", "too many entries");
        self.tables = self.tables.checked_sub(1).ok_or_else(too_many)?;
        let table = self.builder.start_table();
        for member in members {
            match member {
                Ready::Number(slot, scalar, number) => number.push(self.builder, *slot, *scalar),
                Ready::Offset(slot, offset) => self.builder.push_slot_always(*slot, *offset),
            }
        }
        Ok(WIPOffset::new(self.builder.end_table(table).value()))
    }

    fn member(&mut self, member: &MemberPlan, object: &Object, ready: &mut Vec<Ready>) -> Result<(), Stop> {
        match &member.value {
            ValuePlan::Inlined(id) => ready.push(Ready::Offset(member.to, self.table(*id, object)?)),
            ValuePlan::Blank => ready.push(Ready::Offset(member.to, self.write(&[])?)),
            ValuePlan::Payload => {
                let bytes = self.builder.create_byte_string(self.payload).value();
                ready.push(Ready::Offset(member.to, WIPOffset::new(bytes)));
            }
            ValuePlan::Fixed { scalar, value } => {
                ready.push(Ready::Number(member.to, *scalar, Number::Integer((*value).into())));
            }
            _ => self.named(member, object.get(&member.name), ready)?,
        }
        Ok(())
    }

    /// A member by its name, and what becomes of one that is not there or of another kind.
    fn named(
        &mut self,
        member: &MemberPlan,
        found: Option<&Value>,
        ready: &mut Vec<Ready>,
    ) -> Result<(), Stop> {
        let before = ready.len();
        if let Some(value) = found {
            self.value(member, value, ready).map_err(|stop| match stop {
                Stop::Wrong(wrong) => Stop::Wrong(wrong.within(&member.name)),
                Stop::LeftOut => Stop::LeftOut,
            })?;
        }
        if ready.len() > before {
            return Ok(());
        }
        match (member.need, found) {
            (Need::Needed, None) => Err(Wrong::missing(&member.name).into()),
            (Need::Needed | Need::Checked, Some(_)) => {
                Err(Wrong::not(&member.name, member.value.wanted()).into())
            }
            (Need::Empty, _) => {
                let empty = match member.value {
                    ValuePlan::Table(_) => self.write(&[])?,
                    _ => WIPOffset::new(self.builder.create_vector::<u32>(&[]).value()),
                };
                ready.push(Ready::Offset(member.to, empty));
                Ok(())
            }
            (Need::Optional | Need::Checked, _) => Ok(()),
        }
    }

    /// Adds nothing when the value is not of the member's kind.
    fn value(&mut self, member: &MemberPlan, value: &Value, ready: &mut Vec<Ready>) -> Result<(), Stop> {
        let to = member.to;
        let offset = match (&member.value, value) {
            (ValuePlan::Truth, Value::Bool(truth)) => {
                ready.push(Ready::Number(to, Scalar::Bool, Number::Integer((*truth).into())));
                return Ok(());
            }
            (ValuePlan::Number { scalar, range, not_zero }, Value::Number(_)) => {
                let number = number(value, *scalar, *range)?;
                if *not_zero && number == Some(Number::Integer(0)) {
                    return Err(Wrong::out_of_range().into());
                }
                ready.extend(number.map(|number| Ready::Number(to, *scalar, number)));
                return Ok(());
            }
            (ValuePlan::Enum { texts, leaves_out, any_case }, Value::String(text)) => {
                let known = if *any_case { number_of_any_case(texts, text) } else { number_of(texts, text) };
                let number = match known {
                    Some(number) => Number::Integer(number.into()),
                    None if *leaves_out => return Err(Stop::LeftOut),
                    None => return Err(Wrong::unknown(text).into()),
                };
                ready.push(Ready::Number(to, Scalar::U8, number));
                return Ok(());
            }
            (ValuePlan::Union(tables), Value::Object(object)) => {
                return self.union(tables, to, object, ready);
            }
            (ValuePlan::Text, Value::String(text)) => {
                WIPOffset::new(self.builder.create_string(text).value())
            }
            (ValuePlan::Table(id), Value::Object(object)) => self.table(*id, object)?,
            (ValuePlan::Parameters, Value::Object(object)) => self.parameters(object)?,
            (ValuePlan::Enums(texts), Value::Array(values)) => self.enums(texts, values)?,
            (ValuePlan::Texts, Value::Array(values)) => self.texts(values),
            (ValuePlan::Tables(id), Value::Array(values)) => self.tables(*id, values)?,
            _ => return Ok(()),
        };
        ready.push(Ready::Offset(to, offset));
        Ok(())
    }

    fn union(
        &mut self,
        tables: &[(String, u8, PlanId)],
        to: u16,
        object: &Object,
        ready: &mut Vec<Ready>,
    ) -> Result<(), Stop> {
        let chosen = tables.iter().find_map(|(name, number, id)| Some((number, id, object.get(name)?)));
        if let Some((number, id, Value::Object(object))) = chosen {
            let table = self.table(*id, object)?;
            ready.push(Ready::Number(to, Scalar::U8, Number::Integer((*number).into())));
            ready.push(Ready::Offset(to + 2, table));
        }
        Ok(())
    }

    /// What is not known is left out, so that applications may ask for what later workers have.
    fn enums(&mut self, texts: &Texts, values: &[Value]) -> Result<Offset, Stop> {
        let mut numbers = Vec::with_capacity(values.len());
        for value in values {
            let text = value.as_str().ok_or_else(|| Wrong::other("entry", "not a string"))?;
            numbers.extend(number_of(texts, text));
        }
        Ok(WIPOffset::new(self.builder.create_byte_string(&numbers).value()))
    }

    fn texts(&mut self, values: &[Value]) -> Offset {
        let texts: Vec<_> = values.iter().filter_map(Value::as_str).collect();
        let texts: Vec<_> = texts.into_iter().map(|text| self.builder.create_string(text)).collect();
        WIPOffset::new(self.builder.create_vector(&texts).value())
    }

    fn tables(&mut self, id: PlanId, values: &[Value]) -> Result<Offset, Stop> {
        let mut tables = Vec::new();
        for value in values {
            let object = value.as_object().ok_or_else(|| Wrong::other("entry", "not an object"))?;
            match self.table(id, object) {
                Ok(table) => tables.push(table),
                Err(Stop::LeftOut) => {}
                Err(wrong) => return Err(wrong),
            }
        }
        Ok(WIPOffset::new(self.builder.create_vector(&tables).value()))
    }
}

fn number_of(texts: &Texts, text: &str) -> Option<u8> {
    texts.iter().find(|(known, _)| known == text).map(|(_, number)| *number)
}

fn number_of_any_case(texts: &Texts, text: &str) -> Option<u8> {
    texts.iter().find(|(known, _)| known.eq_ignore_ascii_case(text)).map(|(_, number)| *number)
}

/// `None` when it is no number of the kind: integers that are not negative, unless it is lax.
fn number(value: &Value, scalar: Scalar, range: Range) -> Result<Option<Number>, Wrong> {
    let number = match (value.as_u64(), range) {
        (Some(number), _) => Number::Integer(number.into()),
        // What is too much or has a fraction becomes the nearest that fits when it is written.
        (None, Range::Lax) => match (value.as_i64(), value.as_f64()) {
            (Some(number), _) => return Ok(Some(Number::Integer(number.into()))),
            (None, real) => return Ok(real.map(Number::Real)),
        },
        (None, Range::Exact | Range::Clamped) => return Ok(None),
    };
    let fits = range != Range::Exact || number.fits(scalar);
    if fits { Ok(Some(number)) } else { Err(Wrong::out_of_range()) }
}
