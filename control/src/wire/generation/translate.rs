//! A message of one layout written anew in another. Every access to the source is checked: it may come from anybody.

use flatbuffers::{UnionWIPOffset, WIPOffset};
use ringsoup_fbs::{MESSAGE_BYTES_MAX, PREFIX_BYTES, VERIFY_DEPTH_MAX, VERIFY_TABLES_MAX};

use super::plan::{
    FieldPlan, Lenient, Member, Numbers, Plan, PlanId, ScalarSource, ValuePlan, VtableOffset, WayStep,
};
use crate::wire::Builder;
use crate::wire::number::{Number, width};
use crate::wire::schema::{Default, Kind, Scalar};
use crate::wire::unverified::{Unverified, elements, target, u32_at};

/// Why there is no message in the other layout.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stop {
    /// Not a message of the source's layout: what is wrong.
    Malformed(&'static str),
    /// The target's layout has no word for it.
    Untellable,
}

const ENDS_EARLY: Stop = Stop::Malformed("an offset leads out of the message");

type Offset = WIPOffset<UnionWIPOffset>;

/// Writes `frame` anew into `builder`, which is reset before; the frame, size prefix included, is then its data.
pub(super) fn translate(plan: &Plan, frame: &[u8], builder: &mut Builder) -> Result<(), Stop> {
    builder.reset();
    let mut translator =
        Translator { plan, frame, builder, tables: VERIFY_TABLES_MAX, bytes: 2 * MESSAGE_BYTES_MAX };
    let at = target(frame, PREFIX_BYTES).ok_or(ENDS_EARLY)?;
    let root = translator.table(plan.root, at, 0)?;
    builder.finish_size_prefixed(root, None);
    Ok(())
}

struct Translator<'a> {
    plan: &'a Plan,
    frame: &'a [u8],
    builder: &'a mut Builder,
    /// Tables that may still be written: what is shared in the source is written each time.
    tables: usize,
    /// Bytes of texts and vectors that may still be.
    bytes: usize,
}

/// What a field of the table under way is to hold. Tables cannot be begun within tables, so all are known before.
enum Ready {
    Number(VtableOffset, Scalar, Number),
    Offset(VtableOffset, Offset),
}

impl Translator<'_> {
    fn table(&mut self, plan: PlanId, at: usize, depth: usize) -> Result<Offset, Stop> {
        if depth == VERIFY_DEPTH_MAX {
            return Err(Stop::Malformed("tables in tables in tables"));
        }
        self.tables = self.tables.checked_sub(1).ok_or(Stop::Malformed("too many tables"))?;
        let source = Unverified::new(self.frame, at);
        if !source.is_table() {
            return Err(ENDS_EARLY);
        }
        // Bound apart, so that the plan is not borrowed through `self`.
        let plans = self.plan;
        let mut ready = Vec::new();
        for field in &plans.tables[plan].fields {
            self.field(source, field, depth, &mut ready)?;
        }
        let table = self.builder.start_table();
        for field in ready {
            match field {
                Ready::Number(slot, scalar, number) => number.push(self.builder, slot, scalar),
                Ready::Offset(slot, offset) => self.builder.push_slot_always(slot, offset),
            }
        }
        Ok(WIPOffset::new(self.builder.end_table(table).value()))
    }

    fn field(
        &mut self,
        source: Unverified<'_>,
        field: &FieldPlan,
        depth: usize,
        ready: &mut Vec<Ready>,
    ) -> Result<(), Stop> {
        let to = field.to;
        match &field.value {
            ValuePlan::Scalar { to: scalar, default, sources } => {
                let number = self.scalar(source, sources)?;
                if let Some(number) = number.filter(|number| Some(*number) != Number::of(*default)) {
                    ready.push(Ready::Number(to, *scalar, number));
                }
            }
            ValuePlan::Constant { to: scalar, value } => {
                ready.push(Ready::Number(to, *scalar, Number::Integer((*value).into())));
            }
            ValuePlan::Enum { from, from_default, default, numbers } => {
                let number = self.enumerated(source, *from, *from_default, numbers)?;
                if let Some(number) = number.filter(|number| Some(*number) != Number::of(*default)) {
                    ready.push(Ready::Number(to, Scalar::U8, number));
                }
            }
            ValuePlan::Union { from, members } => self.union(source, *from, to, members, depth, ready)?,
            ValuePlan::Empty(kind) => {
                let offset = self.empty(kind);
                ready.push(Ready::Offset(to, offset));
            }
            ValuePlan::Text { from }
            | ValuePlan::Table { from, .. }
            | ValuePlan::Scalars { from, .. }
            | ValuePlan::Enums { from, .. }
            | ValuePlan::Texts { from }
            | ValuePlan::Tables { from, .. } => {
                if let Some(at) = source.field(*from) {
                    let at = target(self.frame, at).ok_or(ENDS_EARLY)?;
                    let offset = self.value(&field.value, at, depth)?;
                    ready.push(Ready::Offset(to, offset));
                }
            }
        }
        Ok(())
    }

    /// What lies elsewhere in the frame.
    fn value(&mut self, value: &ValuePlan, at: usize, depth: usize) -> Result<Offset, Stop> {
        match value {
            ValuePlan::Text { .. } => self.text(at),
            ValuePlan::Table { plan, .. } => self.table(*plan, at, depth + 1),
            ValuePlan::Scalars { of, .. } => self.scalars(at, *of),
            ValuePlan::Enums { numbers, .. } => self.enums(at, numbers),
            ValuePlan::Texts { .. } => self.vector(at, |translator, at| translator.text(at)),
            ValuePlan::Tables { plan, .. } => {
                self.vector(at, |translator, at| translator.table(*plan, at, depth + 1))
            }
            _ => Err(Stop::Untellable),
        }
    }

    fn scalar(&self, table: Unverified<'_>, sources: &[ScalarSource]) -> Result<Option<Number>, Stop> {
        for source in sources {
            let Some(table) = follow(table, &source.way) else { continue };
            if let Some(at) = table.field(source.from) {
                return Number::read(self.frame, at, source.scalar).ok_or(ENDS_EARLY).map(Some);
            }
        }
        Ok(sources.last().and_then(|source| Number::of(source.default)))
    }

    fn enumerated(
        &self,
        source: Unverified<'_>,
        from: VtableOffset,
        from_default: Default,
        numbers: &Numbers,
    ) -> Result<Option<Number>, Stop> {
        let number = match source.field(from) {
            Some(at) => Some(*self.frame.get(at).ok_or(ENDS_EARLY)?),
            None => match from_default {
                Default::Integer(value) => u8::try_from(value).ok(),
                _ => None,
            },
        };
        let Some(number) = number else { return Ok(None) };
        let number = numbers.translate(number).ok_or(Stop::Untellable)?;
        Ok(Some(Number::Integer(number.into())))
    }

    /// A member that the target does not have is left out, type and all.
    fn union(
        &mut self,
        source: Unverified<'_>,
        from: VtableOffset,
        to: VtableOffset,
        members: &[Member],
        depth: usize,
        ready: &mut Vec<Ready>,
    ) -> Result<(), Stop> {
        let number = source.byte(from).unwrap_or(0);
        let Some(member) = members.iter().find(|member| member.from == number) else { return Ok(()) };
        let Some(at) = source.field(from + 2) else { return Ok(()) };
        let at = target(self.frame, at).ok_or(ENDS_EARLY)?;
        let offset = match (self.table(member.plan, at, depth + 1), member.lenient) {
            (Err(Stop::Malformed(_)), Some(lenient)) => self.loose(lenient, at)?,
            (result, _) => result?,
        };
        ready.push(Ready::Number(to, Scalar::U8, Number::Integer(member.to.into())));
        ready.push(Ready::Offset(to + 2, offset));
        Ok(())
    }

    /// What was written without its table gets one: its first field.
    fn loose(&mut self, lenient: Lenient, at: usize) -> Result<Offset, Stop> {
        let first = VtableOffset::from(4_u8);
        let field = match lenient {
            Lenient::Boolean if at + 1 == self.frame.len() => {
                Ready::Number(first, Scalar::Bool, Number::Integer(1))
            }
            Lenient::Boolean => return Err(ENDS_EARLY),
            Lenient::Integers => Ready::Offset(first, self.scalars(at, Scalar::I32)?),
        };
        let table = self.builder.start_table();
        match field {
            Ready::Number(slot, scalar, number) => number.push(self.builder, slot, scalar),
            Ready::Offset(slot, offset) => self.builder.push_slot_always(slot, offset),
        }
        Ok(WIPOffset::new(self.builder.end_table(table).value()))
    }

    /// The bytes of a vector with elements of this width, and whether there may be so many.
    fn elements(&mut self, at: usize, width: usize) -> Result<&[u8], Stop> {
        let count = u32_at(self.frame, at).ok_or(ENDS_EARLY)?;
        let len = usize::try_from(count).ok().and_then(|count| count.checked_mul(width)).ok_or(ENDS_EARLY)?;
        let start = at.checked_add(4).ok_or(ENDS_EARLY)?;
        let bytes = self.frame.get(start..).and_then(|rest| rest.get(..len)).ok_or(ENDS_EARLY)?;
        self.bytes = self.bytes.checked_sub(len).ok_or(Stop::Malformed("too long"))?;
        Ok(bytes)
    }

    fn text(&mut self, at: usize) -> Result<Offset, Stop> {
        let frame = self.frame;
        let len = self.elements(at, 1)?.len();
        let text = frame.get(at + 4..at + 4 + len).and_then(|bytes| std::str::from_utf8(bytes).ok());
        let text = text.ok_or(Stop::Malformed("a text is not UTF-8"))?;
        Ok(WIPOffset::new(self.builder.create_string(text).value()))
    }

    fn scalars(&mut self, at: usize, of: Scalar) -> Result<Offset, Stop> {
        let frame = self.frame;
        let len = self.elements(at, width(of))?.len();
        let bytes = frame.get(at + 4..at + 4 + len).ok_or(ENDS_EARLY)?;
        let builder = &mut *self.builder;
        let value = match of {
            Scalar::Bool | Scalar::I8 | Scalar::U8 => builder.create_byte_string(bytes).value(),
            Scalar::I16 => builder.create_vector(&chunks(bytes, i16::from_le_bytes)).value(),
            Scalar::I64 => builder.create_vector(&chunks(bytes, i64::from_le_bytes)).value(),
            Scalar::U16 => builder.create_vector(&chunks(bytes, u16::from_le_bytes)).value(),
            Scalar::U32 => builder.create_vector(&chunks(bytes, u32::from_le_bytes)).value(),
            Scalar::I32 => builder.create_vector(&chunks(bytes, i32::from_le_bytes)).value(),
            Scalar::F32 => builder.create_vector(&chunks(bytes, f32::from_le_bytes)).value(),
            Scalar::U64 => builder.create_vector(&chunks(bytes, u64::from_le_bytes)).value(),
            Scalar::F64 => builder.create_vector(&chunks(bytes, f64::from_le_bytes)).value(),
        };
        Ok(WIPOffset::new(value))
    }

    /// Values that the target does not have are left out.
    fn enums(&mut self, at: usize, numbers: &Numbers) -> Result<Offset, Stop> {
        let values: Vec<u8> =
            self.elements(at, 1)?.iter().filter_map(|&number| numbers.translate(number)).collect();
        Ok(WIPOffset::new(self.builder.create_byte_string(&values).value()))
    }

    /// A vector of what lies elsewhere. What the target has no word for is left out.
    fn vector(
        &mut self,
        at: usize,
        mut element: impl FnMut(&mut Self, usize) -> Result<Offset, Stop>,
    ) -> Result<Offset, Stop> {
        let frame = self.frame;
        self.elements(at, 4)?;
        let mut offsets = Vec::new();
        for at in elements(frame, at) {
            match element(self, target(frame, at).ok_or(ENDS_EARLY)?) {
                Ok(offset) => offsets.push(offset),
                Err(Stop::Untellable) => {}
                Err(stop) => return Err(stop),
            }
        }
        Ok(WIPOffset::new(self.builder.create_vector(&offsets).value()))
    }

    fn empty(&mut self, kind: &Kind) -> Offset {
        let value = match kind {
            Kind::Text => self.builder.create_string("").value(),
            Kind::Table(_) => {
                let table = self.builder.start_table();
                self.builder.end_table(table).value()
            }
            _ => self.builder.create_vector::<u32>(&[]).value(),
        };
        WIPOffset::new(value)
    }
}

fn follow<'frame>(table: Unverified<'frame>, way: &[WayStep]) -> Option<Unverified<'frame>> {
    way.iter().try_fold(table, |table, step| match *step {
        WayStep::Table(at) => table.table(at),
        WayStep::Member(kind, number, at) if table.byte(kind) == Some(number) => table.table(at),
        WayStep::Member(..) => None,
    })
}

fn chunks<const N: usize, T>(bytes: &[u8], read: fn([u8; N]) -> T) -> Vec<T> {
    bytes.as_chunks().0.iter().map(|chunk| read(*chunk)).collect()
}
