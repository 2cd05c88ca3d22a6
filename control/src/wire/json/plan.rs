//! What a JSON object has to have to be read as a table: the schemas and the [`rules`](super::rules) together. Made once,
//! when the worker starts.

use std::collections::BTreeMap;

use super::names::{member_name, value_text};
use super::rules::{RULES, Rule};
use crate::wire::schema::{Field, Kind, Scalar, Schema};

/// Index of a table's plan.
pub(super) type PlanId = usize;

/// A codec's or an extension's: read from the members of one object.
const PARAMETER: &str = "FBS.RtpParameters.Parameter";

#[derive(Debug)]
pub(super) struct Plan {
    tables: Vec<Vec<MemberPlan>>,
    ids: BTreeMap<String, PlanId>,
    /// Numbers of parameters' types in their union.
    pub(super) parameter_types: ParameterTypes,
}

#[derive(Debug, Clone, Copy)]
pub(super) struct ParameterTypes {
    pub(super) boolean: u8,
    pub(super) integer: u8,
    pub(super) double: u8,
    pub(super) text: u8,
    pub(super) integers: u8,
}

#[derive(Debug)]
pub(super) struct MemberPlan {
    pub(super) name: String,
    /// Offset in the vtable.
    pub(super) to: u16,
    pub(super) need: Need,
    pub(super) value: ValuePlan,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Need {
    /// What is not of the kind is taken for absent.
    Optional,
    /// As before, and absent means that there is an empty one.
    Empty,
    Checked,
    Needed,
}

#[derive(Debug)]
pub(super) enum ValuePlan {
    Truth,
    Number {
        scalar: Scalar,
        range: Range,
        not_zero: bool,
    },
    Fixed {
        scalar: Scalar,
        value: i64,
    },
    Enum {
        texts: Texts,
        leaves_out: bool,
        any_case: bool,
    },
    Text,
    Table(PlanId),
    /// An empty table, whatever the object says.
    Blank,
    Inlined(PlanId),
    /// The object's only member says which table it is: the type's byte and the table, in two slots.
    Union(Vec<(String, u8, PlanId)>),
    Enums(Texts),
    Texts,
    Tables(PlanId),
    Parameters,
    /// The bytes that came beside the JSON.
    Payload,
}

/// Which numbers do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Range {
    /// Integers that are not negative and fit.
    Exact,
    /// Integers that are not negative.
    Clamped,
    /// All.
    Lax,
}

impl Range {
    fn of(rules: &[Rule]) -> Self {
        if rules.contains(&Rule::Lax) {
            Self::Lax
        } else if rules.contains(&Rule::Clamped) {
            Self::Clamped
        } else {
            Self::Exact
        }
    }
}

/// The texts of an enum's values.
pub(super) type Texts = Vec<(String, u8)>;

impl ValuePlan {
    /// What must stand there, with its article.
    pub(super) fn wanted(&self) -> &'static str {
        match self {
            Self::Truth => "a boolean",
            Self::Number { range: Range::Lax, .. } => "a number",
            Self::Number { .. } | Self::Fixed { .. } => "a positive number",
            Self::Enum { .. } | Self::Text => "a string",
            Self::Enums(_) | Self::Texts | Self::Tables(_) => "an array",
            _ => "an object",
        }
    }
}

impl Plan {
    /// For tables of these names, and all in them.
    pub(super) fn new<'a>(schema: &Schema, roots: impl Iterator<Item = &'a str>) -> Self {
        let types = &schema.unions["FBS.RtpParameters.Value"];
        let number = |table: &str| {
            let found = types.iter().find(|(_, known)| known.rsplit('.').next() == Some(table));
            found.map_or(0, |(number, _)| *number)
        };
        let parameter_types = ParameterTypes {
            boolean: number("Boolean"),
            integer: number("Integer32"),
            double: number("Double"),
            text: number("String"),
            integers: number("Integer32Array"),
        };
        let mut plan = Self { tables: Vec::new(), ids: BTreeMap::new(), parameter_types };
        for root in roots {
            plan.add(schema, root);
        }
        plan
    }

    pub(super) fn table(&self, id: PlanId) -> &[MemberPlan] {
        &self.tables[id]
    }

    pub(super) fn find(&self, table: &str) -> Option<PlanId> {
        self.ids.get(table).copied()
    }

    fn add(&mut self, schema: &Schema, table: &str) -> PlanId {
        if let Some(id) = self.ids.get(table) {
            return *id;
        }
        let id = self.tables.len();
        self.ids.insert(table.to_owned(), id);
        self.tables.push(Vec::new());
        let fields = &schema.tables[table];
        let members = fields.iter().enumerate().filter_map(|(slot, field)| {
            let rules: Vec<Rule> = rules(table, &field.name).collect();
            self.member(schema, slot, field, &rules)
        });
        let members = members.collect();
        self.tables[id] = members;
        id
    }

    fn member(&mut self, schema: &Schema, slot: usize, field: &Field, rules: &[Rule]) -> Option<MemberPlan> {
        let to = u16::try_from(4 + 2 * slot).ok()?;
        if rules.contains(&Rule::Unread) {
            // Where there must be something, an empty one stands for none.
            let is_blank = field.required && matches!(field.kind, Kind::Table(_));
            let blank = MemberPlan { name: String::new(), to, need: Need::Optional, value: ValuePlan::Blank };
            return is_blank.then_some(blank);
        }
        let named = rules.iter().find_map(|rule| match rule {
            Rule::Named(name) => Some((*name).to_owned()),
            _ => None,
        });
        let need = if rules.contains(&Rule::Needed) || (field.required && !rules.contains(&Rule::Empty)) {
            Need::Needed
        } else if rules.contains(&Rule::Checked) {
            Need::Checked
        } else {
            Need::Optional
        };
        let value = self.value(schema, field, rules)?;
        // A union's type and its table are one member, in the type's slot.
        let name = field.name.strip_suffix("_type").filter(|_| matches!(value, ValuePlan::Union(_)));
        let name = named.unwrap_or_else(|| member_name(name.unwrap_or(&field.name)));
        let need = if rules.contains(&Rule::Empty) { Need::Empty } else { need };
        Some(MemberPlan { name, to, need, value })
    }

    /// `None` for the half of a union that the other one stands for.
    fn value(&mut self, schema: &Schema, field: &Field, rules: &[Rule]) -> Option<ValuePlan> {
        let fixed = rules.iter().find_map(|rule| match rule {
            Rule::Fixed(value) => Some(*value),
            _ => None,
        });
        Some(match &field.kind {
            Kind::Scalar(Scalar::Bool) => ValuePlan::Truth,
            Kind::Scalar(scalar) => match fixed {
                Some(value) => ValuePlan::Fixed { scalar: *scalar, value },
                None => ValuePlan::Number {
                    scalar: *scalar,
                    range: Range::of(rules),
                    not_zero: rules.contains(&Rule::NotZero),
                },
            },
            Kind::Enum(of) => {
                let leaves_out = rules.contains(&Rule::LeavesOut);
                let any_case = rules.contains(&Rule::AnyCase);
                ValuePlan::Enum { texts: texts(schema, of), leaves_out, any_case }
            }
            Kind::Text => ValuePlan::Text,
            Kind::Table(of) if rules.contains(&Rule::Inlined) => ValuePlan::Inlined(self.add(schema, of)),
            Kind::Table(of) => ValuePlan::Table(self.add(schema, of)),
            Kind::UnionType(of) => {
                let members = schema.unions[of].iter().map(|(number, table)| {
                    let name = table.rsplit('.').next().unwrap_or_default().to_owned();
                    (name, *number, self.add(schema, table))
                });
                ValuePlan::Union(members.collect())
            }
            Kind::Union(_) => return None,
            Kind::Enums(of) => ValuePlan::Enums(texts(schema, of)),
            Kind::Texts => ValuePlan::Texts,
            Kind::Tables(of) if of == PARAMETER => ValuePlan::Parameters,
            Kind::Tables(of) => ValuePlan::Tables(self.add(schema, of)),
            Kind::Scalars(_) => ValuePlan::Payload,
        })
    }
}

fn rules(table: &str, field: &str) -> impl Iterator<Item = Rule> {
    let about = RULES.iter().filter(move |(of, about, _)| *of == table && *about == field);
    about.map(|(_, _, rule)| *rule)
}

fn texts(schema: &Schema, of: &str) -> Texts {
    schema.enums[of].iter().map(|(number, name)| (value_text(of, name), *number)).collect()
}
