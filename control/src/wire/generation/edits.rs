//! What an older layout has otherwise: single changes, made to the next newer one.

use crate::wire::schema::{Default, Field, Kind, Scalar, Schema};

/// Names are the schemas'; "older" is the layout that the edit makes, "newer" the one it is made from.
#[derive(Debug, Clone, Copy)]
pub(super) enum Edit {
    /// The older has no such field.
    Without { table: &'static str, field: &'static str },
    /// Only the older has this one, in this slot.
    Also { table: &'static str, slot: usize, field: OlderField },
    /// The older has it in another slot (counted without the field itself).
    Moved { table: &'static str, field: &'static str, slot: usize },
    /// The older has it with another width.
    Scalar { table: &'static str, field: &'static str, scalar: Scalar },
    /// The older has no such value (of an enum) or member (of a union); what follows it moves up.
    WithoutValue { of: &'static str, value: &'static str },
    /// Only the older has it, at this place; what follows it moves down.
    AlsoValue { of: &'static str, at: usize, value: &'static str },
    /// The older's values in their order.
    Values { of: &'static str, values: &'static [&'static str] },
    /// A table of the older's alone.
    Table { table: &'static str, fields: &'static [OlderField] },
    /// A newer field is read from the first of these of the older's table that is there.
    ReadFrom { table: &'static str, field: &'static str, older: &'static [&'static str] },
    /// A newer field that the older has nothing for reads as this.
    ReadAs { table: &'static str, field: &'static str, value: i64 },
    /// An older field is written from here in the newer's table; dots lead into tables.
    WriteFrom { table: &'static str, field: &'static str, newer: &'static str },
}

#[derive(Debug, Clone, Copy)]
pub(super) struct OlderField {
    pub(super) name: &'static str,
    pub(super) kind: OlderKind,
}

#[derive(Debug, Clone, Copy)]
pub(super) enum OlderKind {
    Scalar(Scalar, i64),
    OptionalScalar(Scalar),
    Text,
    Table(&'static str),
    RequiredTables(&'static str),
}

impl OlderField {
    fn field(self) -> Field {
        let (kind, default, required) = match self.kind {
            OlderKind::Scalar(scalar, default) => (Kind::Scalar(scalar), Default::Integer(default), false),
            OlderKind::OptionalScalar(scalar) => (Kind::Scalar(scalar), Default::None, false),
            OlderKind::Text => (Kind::Text, Default::None, false),
            OlderKind::Table(name) => (Kind::Table(name.to_owned()), Default::None, false),
            OlderKind::RequiredTables(name) => (Kind::Tables(name.to_owned()), Default::None, true),
        };
        Field { name: self.name.to_owned(), kind, default, required }
    }
}

/// Makes the older layout.
///
/// # Panics
/// When the edit names what is not there: the list of edits is a constant, and a test makes every layout.
pub(super) fn apply(edit: Edit, schema: &mut Schema) {
    match edit {
        Edit::Without { table, field } => {
            take(schema, table, field);
        }
        Edit::Also { table, slot, field } => fields(schema, table).insert(slot, field.field()),
        Edit::Moved { table, field, slot } => {
            let moved = take(schema, table, field);
            fields(schema, table).insert(slot, moved);
        }
        Edit::Scalar { table, field, scalar } => {
            let found = fields(schema, table).iter_mut().find(|known| known.name == field);
            found.unwrap_or_else(|| panic!("{table} has no {field}")).kind = Kind::Scalar(scalar);
        }
        Edit::WithoutValue { of, value } => {
            let mut names = names(schema, of);
            let at = names.iter().position(|name| name == value);
            names.remove(at.unwrap_or_else(|| panic!("{of} has no {value}")));
            renumber(schema, of, names);
        }
        Edit::AlsoValue { of, at, value } => {
            let mut names = names(schema, of);
            names.insert(at, value.to_owned());
            renumber(schema, of, names);
        }
        Edit::Values { of, values } => {
            renumber(schema, of, values.iter().map(|&value| value.to_owned()).collect());
        }
        Edit::Table { table, fields } => {
            let fields = fields.iter().map(|field| field.field()).collect();
            schema.tables.insert(table.to_owned(), fields);
        }
        // About what is in a message, not about where.
        Edit::ReadFrom { .. } | Edit::ReadAs { .. } | Edit::WriteFrom { .. } => {}
    }
}

fn fields<'schema>(schema: &'schema mut Schema, table: &str) -> &'schema mut Vec<Field> {
    schema.tables.get_mut(table).unwrap_or_else(|| panic!("no table {table}"))
}

fn take(schema: &mut Schema, table: &str, field: &str) -> Field {
    let fields = fields(schema, table);
    let slot = fields.iter().position(|known| known.name == field);
    fields.remove(slot.unwrap_or_else(|| panic!("{table} has no {field}")))
}

fn names(schema: &Schema, of: &str) -> Vec<String> {
    let values = schema.enums.get(of).or_else(|| schema.unions.get(of));
    let values = values.unwrap_or_else(|| panic!("no enum or union {of}"));
    values.iter().map(|(_, name)| name.clone()).collect()
}

/// Numbers go on from the first one's: 0 for an enum (or where it began), 1 for a union.
fn renumber(schema: &mut Schema, of: &str, names: Vec<String>) {
    let values = match schema.enums.get_mut(of) {
        Some(values) => values,
        None => schema.unions.get_mut(of).unwrap_or_else(|| panic!("no enum or union {of}")),
    };
    let first = values.first().map_or(0, |(number, _)| *number);
    *values = (first..).zip(names).collect();
}
