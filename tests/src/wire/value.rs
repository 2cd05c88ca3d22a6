//! What messages hold, as plain values; scripts of the differential test have a few more of their own.

use std::fmt;

#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    Absent,
    Bool(bool),
    Integer(i128),
    Real(f64),
    Text(String),
    /// An enum's constant.
    Name(String),
    List(Vec<Self>),
    Object(Vec<Field>),
    /// A union's member.
    Typed(String, Vec<Field>),
    // What only scripts have.
    Variable(String),
    Any,
    Present,
    Range(i128, i128),
    Set(Vec<Self>),
    Shape(String, usize),
}

#[derive(Debug, Clone, PartialEq)]
pub struct Field {
    pub name: String,
    pub value: Value,
    /// In a message: what the schema says when the field is not there.
    pub is_default: bool,
}

impl Field {
    pub fn new(name: &str, value: Value) -> Self {
        Self { name: name.to_owned(), value, is_default: false }
    }
}

impl fmt::Display for Value {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Absent => out.write_str("absent"),
            Self::Bool(value) => write!(out, "{value}"),
            Self::Integer(value) => write!(out, "{value}"),
            Self::Real(value) => write!(out, "{value}"),
            Self::Text(value) => write!(out, "{value:?}"),
            Self::Name(value) => out.write_str(value),
            Self::List(items) => write_list(out, "[", items),
            Self::Set(items) => write_list(out, "set [", items),
            Self::Object(fields) => write_fields(out, fields),
            Self::Typed(name, fields) => {
                write!(out, "{name} ")?;
                write_fields(out, fields)
            }
            Self::Variable(name) => write!(out, "${name}"),
            Self::Any => out.write_str("any"),
            Self::Present => out.write_str("present"),
            Self::Range(low, high) => write!(out, "{low}..{high}"),
            Self::Shape(name, size) => write!(out, "{name}({size})"),
        }
    }
}

fn write_list(out: &mut fmt::Formatter<'_>, open: &str, items: &[Value]) -> fmt::Result {
    out.write_str(open)?;
    for (index, item) in items.iter().enumerate() {
        write!(out, "{}{item}", if index == 0 { "" } else { ", " })?;
    }
    out.write_str("]")
}

fn write_fields(out: &mut fmt::Formatter<'_>, fields: &[Field]) -> fmt::Result {
    out.write_str("{")?;
    for field in fields.iter().filter(|field| !field.is_default) {
        write!(out, " {}: {}", field.name, field.value)?;
    }
    out.write_str(" }")
}
