//! How messages of one layout become messages of another: per table of the target, where each field comes from.
//!
//! Fields are matched by name; what the two layouts name differently, or one does not have, the
//! [`edits`](super::edits) say. Made once, when the worker starts.

use std::collections::BTreeMap;

use super::edits::Edit;
use crate::wire::schema::{Default, Field, Kind, Scalar, Schema, Values};

/// Index of a table's plan.
pub(super) type PlanId = usize;

/// The root of every message.
const ROOT: &str = "FBS.Message.Message";

/// Offset of a field in a vtable, bytes: behind the vtable's own two numbers.
pub(super) type VtableOffset = u16;

#[derive(Debug)]
pub(super) struct Plan {
    pub(super) tables: Vec<TablePlan>,
    pub(super) root: PlanId,
}

#[derive(Debug, Default)]
pub(super) struct TablePlan {
    pub(super) fields: Vec<FieldPlan>,
}

#[derive(Debug)]
pub(super) struct FieldPlan {
    pub(super) to: VtableOffset,
    pub(super) value: ValuePlan,
}

#[derive(Debug)]
pub(super) enum ValuePlan {
    /// The first source that is there, else the last one's default.
    Scalar {
        to: Scalar,
        default: Default,
        sources: Vec<ScalarSource>,
    },
    /// Whatever the message says.
    Constant {
        to: Scalar,
        value: i64,
    },
    Enum {
        from: VtableOffset,
        from_default: Default,
        default: Default,
        numbers: Numbers,
    },
    Text {
        from: VtableOffset,
    },
    Table {
        from: VtableOffset,
        plan: PlanId,
    },
    /// The type's byte and the table, in two slots: `to` is the type's.
    Union {
        from: VtableOffset,
        members: Vec<Member>,
    },
    Scalars {
        from: VtableOffset,
        of: Scalar,
    },
    Enums {
        from: VtableOffset,
        numbers: Numbers,
    },
    Texts {
        from: VtableOffset,
    },
    Tables {
        from: VtableOffset,
        plan: PlanId,
    },
    /// The source has no such field and the target must.
    Empty(Kind),
}

#[derive(Debug)]
pub(super) struct ScalarSource {
    /// Tables on the way to the field's own.
    pub(super) way: Vec<WayStep>,
    pub(super) from: VtableOffset,
    pub(super) scalar: Scalar,
    pub(super) default: Default,
}

#[derive(Debug, Clone, Copy)]
pub(super) enum WayStep {
    Table(VtableOffset),
    /// If the byte at the first offset is this number, the table at the second.
    Member(VtableOffset, u8, VtableOffset),
}

/// What a union's table of the source becomes.
#[derive(Debug)]
pub(super) struct Member {
    pub(super) from: u8,
    pub(super) to: u8,
    pub(super) plan: PlanId,
    pub(super) lenient: Option<Lenient>,
}

/// Values that mediasoup's Node library writes without their table, see `wire/loose_values.rs`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Lenient {
    Boolean,
    Integers,
}

/// The target's number for each number of the source; `None` for a value that only the source has.
#[derive(Debug, Clone)]
pub(super) struct Numbers(Vec<(u8, Option<u8>)>);

/// For numbers that the source's own layout does not name: none of the target's either.
const UNNAMED: u8 = 255;

impl Numbers {
    fn new(from: &Values, to: &Values) -> Self {
        let of = |name: &str| to.iter().find(|(_, known)| known == name).map(|(number, _)| *number);
        Self(from.iter().map(|(number, name)| (*number, of(name))).collect())
    }

    /// `None` when the target has no such value.
    pub(super) fn translate(&self, number: u8) -> Option<u8> {
        self.0.iter().find(|(from, _)| *from == number).map_or(Some(UNNAMED), |(_, to)| *to)
    }
}

/// Which way messages go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Direction {
    /// From the controller's layout to the newest.
    Read,
    /// From the newest to the controller's.
    Write,
}

impl Plan {
    pub(super) fn new(from: &Schema, to: &Schema, edits: &[Edit], direction: Direction) -> Self {
        let mut planner = Planner { from, to, edits, direction, plans: Vec::new(), known: BTreeMap::new() };
        let root = planner.table(ROOT);
        Self { tables: planner.plans, root }
    }
}

struct Planner<'schemas> {
    from: &'schemas Schema,
    to: &'schemas Schema,
    edits: &'schemas [Edit],
    direction: Direction,
    plans: Vec<TablePlan>,
    known: BTreeMap<String, PlanId>,
}

fn vtable_offset(slot: usize) -> VtableOffset {
    // No table of the schemas comes near the end of 16 bits.
    VtableOffset::try_from(4 + 2 * slot).unwrap_or(VtableOffset::MAX)
}

impl Planner<'_> {
    /// Tables refer to themselves (statistics in statistics), so the number is given before the plan is made.
    fn table(&mut self, name: &str) -> PlanId {
        if let Some(&plan) = self.known.get(name) {
            return plan;
        }
        let plan = self.plans.len();
        self.known.insert(name.to_owned(), plan);
        self.plans.push(TablePlan::default());
        let (from, to) = (self.from.tables.get(name), &self.to.tables[name]);
        let from = from.map_or(&[][..], Vec::as_slice);
        let mut fields = Vec::new();
        for (slot, field) in to.iter().enumerate() {
            // Goes with its type, in the slot before.
            if matches!(field.kind, Kind::Union(_)) {
                continue;
            }
            if let Some(value) = self.field(name, from, field) {
                fields.push(FieldPlan { to: vtable_offset(slot), value });
            }
        }
        self.plans[plan].fields = fields;
        plan
    }

    fn field(&mut self, table: &str, from: &[Field], field: &Field) -> Option<ValuePlan> {
        if let Kind::Scalar(to) = field.kind {
            return self.scalar(table, from, field, to);
        }
        let Some(slot) = from.iter().position(|known| known.name == field.name) else {
            return field.required.then(|| ValuePlan::Empty(field.kind.clone()));
        };
        let (source, from) = (&from[slot], vtable_offset(slot));
        Some(match &field.kind {
            Kind::Enum(name) => ValuePlan::Enum {
                from,
                from_default: source.default,
                default: field.default,
                numbers: self.numbers(&source.kind, name),
            },
            Kind::Text => ValuePlan::Text { from },
            Kind::Table(name) => ValuePlan::Table { from, plan: self.table(name) },
            Kind::UnionType(name) => ValuePlan::Union { from, members: self.members(name) },
            Kind::Scalars(of) => ValuePlan::Scalars { from, of: *of },
            Kind::Enums(name) => ValuePlan::Enums { from, numbers: self.numbers(&source.kind, name) },
            Kind::Texts => ValuePlan::Texts { from },
            Kind::Tables(name) => ValuePlan::Tables { from, plan: self.table(name) },
            Kind::Scalar(_) | Kind::Union(_) => return None,
        })
    }

    fn scalar(&self, table: &str, from: &[Field], field: &Field, to: Scalar) -> Option<ValuePlan> {
        let mut names = vec![field.name.as_str()];
        for edit in self.edits {
            match (*edit, self.direction) {
                (Edit::ReadAs { table: of, field: named, value }, Direction::Read)
                    if of == table && named == field.name =>
                {
                    return Some(ValuePlan::Constant { to, value });
                }
                (Edit::ReadFrom { table: of, field: named, older }, Direction::Read)
                    if of == table && named == field.name =>
                {
                    names = older.to_vec();
                }
                (Edit::WriteFrom { table: of, field: named, newer }, Direction::Write)
                    if of == table && named == field.name =>
                {
                    names = vec![newer];
                }
                _ => {}
            }
        }
        let sources: Vec<_> = names.iter().filter_map(|name| self.source(from, name)).collect();
        (!sources.is_empty()).then_some(ValuePlan::Scalar { to, default: field.default, sources })
    }

    /// Where the source has what is named from this table on; dots lead into tables.
    fn source(&self, fields: &[Field], path: &str) -> Option<ScalarSource> {
        let (name, rest) = path.split_once('.').map_or((path, None), |(name, rest)| (name, Some(rest)));
        let slot = fields.iter().position(|field| field.name == name)?;
        let Some(rest) = rest else {
            let Kind::Scalar(scalar) = fields[slot].kind else { return None };
            let from = vtable_offset(slot);
            return Some(ScalarSource { way: Vec::new(), from, scalar, default: fields[slot].default });
        };
        let (step, mut source) = match &fields[slot].kind {
            Kind::Table(table) => {
                let source = self.source(self.from.tables.get(table)?, rest)?;
                (WayStep::Table(vtable_offset(slot)), source)
            }
            Kind::Union(union) => {
                let has_it = |(number, table): &(u8, String)| {
                    Some((*number, self.source(self.from.tables.get(table)?, rest)?))
                };
                let (number, source) = self.from.unions.get(union)?.iter().find_map(has_it)?;
                (WayStep::Member(vtable_offset(slot - 1), number, vtable_offset(slot)), source)
            }
            _ => return None,
        };
        source.way.insert(0, step);
        Some(source)
    }

    /// An enum that goes by another name in the source has the same numbers there.
    fn numbers(&self, source: &Kind, name: &str) -> Numbers {
        let to = &self.to.enums[name];
        let from = match source {
            Kind::Enum(source) | Kind::Enums(source) if source == name => &self.from.enums[name],
            _ => to,
        };
        Numbers::new(from, to)
    }

    fn members(&mut self, name: &str) -> Vec<Member> {
        let (from, to) = (self.from, self.to);
        let members = from.unions[name].iter().filter_map(|(number, table)| {
            let to = to.unions[name].iter().find(|(_, known)| known == table)?;
            Some((*number, to.0, table))
        });
        let lenient = |table: &str| match table {
            "FBS.RtpParameters.Boolean" => Some(Lenient::Boolean),
            "FBS.RtpParameters.Integer32Array" => Some(Lenient::Integers),
            _ => None,
        };
        members
            .map(|(from, to, table)| Member { from, to, plan: self.table(table), lenient: lenient(table) })
            .collect()
    }
}
