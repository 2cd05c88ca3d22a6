//! The channel's schemas, read from `fbs/schemas` as text: slots, types and names of everything a message can hold.
//!
//! The generated code is not used, on purpose: what the worker wrote with it is read here by other means.

use std::collections::HashMap;
use std::fs;
use std::path::Path;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scalar {
    Bool,
    U8,
    I8,
    U16,
    I16,
    U32,
    I32,
    U64,
    F32,
    F64,
}

impl Scalar {
    fn named(name: &str) -> Option<Self> {
        Some(match name {
            "bool" => Self::Bool,
            "uint8" | "ubyte" => Self::U8,
            "int8" | "byte" => Self::I8,
            "uint16" => Self::U16,
            "int16" => Self::I16,
            "uint32" => Self::U32,
            "int32" => Self::I32,
            "uint64" => Self::U64,
            "float" | "float32" => Self::F32,
            "double" | "float64" => Self::F64,
            _ => return None,
        })
    }

    pub fn bytes(self) -> usize {
        match self {
            Self::Bool | Self::U8 | Self::I8 => 1,
            Self::U16 | Self::I16 => 2,
            Self::U32 | Self::I32 | Self::F32 => 4,
            Self::U64 | Self::F64 => 8,
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    Scalar(Scalar),
    Text,
    /// Always of one byte here.
    Enum(String),
    Table(String),
    Union(String),
    Vector(Box<Self>),
}

#[derive(Debug)]
pub struct FieldType {
    pub name: String,
    pub kind: Kind,
    /// A union's second slot, whose first is its kind, is the next one.
    pub slot: u16,
    /// `None` for an optional scalar.
    pub default: Option<String>,
}

#[derive(Debug, Default)]
pub struct Schema {
    tables: HashMap<String, Vec<FieldType>>,
    enums: HashMap<String, Vec<(String, u8)>>,
    /// Member's name, number and table.
    unions: HashMap<String, Vec<(String, u8, String)>>,
}

impl Schema {
    pub fn read() -> Self {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fbs/schemas");
        let mut declarations = Vec::new();
        for entry in fs::read_dir(folder).expect("the schemas are in the tree") {
            let text =
                fs::read_to_string(entry.expect("a folder can be read").path()).expect("a schema is text");
            declare(&text, &mut declarations);
        }
        let mut schema = Self::default();
        for declaration in &declarations {
            declaration.number(&mut schema);
        }
        for declaration in &declarations {
            declaration.resolve(&mut schema);
        }
        schema
    }

    pub fn table(&self, name: &str) -> &[FieldType] {
        self.tables.get(name).unwrap_or_else(|| panic!("no table {name}"))
    }

    pub fn constants(&self, name: &str) -> &[(String, u8)] {
        self.enums.get(name).unwrap_or_else(|| panic!("no enum {name}"))
    }

    pub fn constant(&self, name: &str, constant: &str) -> Option<u8> {
        self.constants(name).iter().find(|(name, _)| name == constant).map(|(_, number)| *number)
    }

    pub fn members(&self, name: &str) -> &[(String, u8, String)] {
        self.unions.get(name).unwrap_or_else(|| panic!("no union {name}"))
    }

    /// The full name of what `name` means inside `namespace`.
    fn find(&self, namespace: &str, name: &str) -> String {
        let local = format!("{namespace}.{name}");
        let is_known = |name: &str| {
            self.tables.contains_key(name) || self.enums.contains_key(name) || self.unions.contains_key(name)
        };
        [local, name.to_owned()]
            .into_iter()
            .find(|name| is_known(name))
            .unwrap_or_else(|| panic!("no type {name}"))
    }

    fn kind(&self, namespace: &str, name: &str) -> Kind {
        if let Some(inner) = name.strip_prefix('[') {
            return Kind::Vector(Box::new(self.kind(namespace, inner.trim_end_matches(']').trim())));
        }
        if name == "string" {
            return Kind::Text;
        }
        if let Some(scalar) = Scalar::named(name) {
            return Kind::Scalar(scalar);
        }
        let name = self.find(namespace, name);
        if self.enums.contains_key(&name) {
            Kind::Enum(name)
        } else if self.unions.contains_key(&name) {
            Kind::Union(name)
        } else {
            Kind::Table(name)
        }
    }
}

#[derive(Debug)]
struct Declaration {
    what: String,
    namespace: String,
    name: String,
    /// What is between the separators.
    entries: Vec<String>,
}

/// Everything `text` declares, as text.
fn declare(text: &str, declarations: &mut Vec<Declaration>) {
    let code: String =
        text.lines().map(|line| line.split("//").next().unwrap_or_default()).collect::<Vec<_>>().join(" ");
    let mut namespace = String::new();
    let mut rest = code.as_str();
    while let Some(end) = rest.find([';', '{']) {
        let head: Vec<&str> = rest[..end].split_whitespace().collect();
        if rest[end..].starts_with(';') {
            if let ["namespace", name] = head.as_slice() {
                (*name).clone_into(&mut namespace);
            }
            rest = &rest[end + 1..];
            continue;
        }
        let close = end + rest[end..].find('}').expect("a declaration ends");
        let separator = if head.first() == Some(&"table") { ';' } else { ',' };
        declarations.push(Declaration {
            what: head[0].to_owned(),
            namespace: namespace.clone(),
            name: format!("{namespace}.{}", head[1].trim_end_matches(':')),
            entries: rest[end + 1..close]
                .split(separator)
                .map(|entry| entry.trim().to_owned())
                .filter(|entry| !entry.is_empty())
                .collect(),
        });
        rest = &rest[close + 1..];
    }
}

impl Declaration {
    /// Enters the name, and an enum's constants.
    fn number(&self, schema: &mut Schema) {
        match self.what.as_str() {
            "table" => {
                schema.tables.insert(self.name.clone(), Vec::new());
            }
            "union" => {
                schema.unions.insert(self.name.clone(), Vec::new());
            }
            "enum" => {
                let mut next = 0;
                let constants = self.entries.iter().map(|entry| {
                    let (name, number) = numbered(entry, next);
                    next = number + 1;
                    (name.to_owned(), number)
                });
                schema.enums.insert(self.name.clone(), constants.collect());
            }
            other => panic!("no such declaration: {other}"),
        }
    }

    /// Enters fields and members, now that every name is known.
    fn resolve(&self, schema: &mut Schema) {
        match self.what.as_str() {
            "table" => {
                let mut slot = 0;
                let mut fields = Vec::new();
                for entry in &self.entries {
                    let field = self.field(schema, entry, slot);
                    slot += if matches!(field.kind, Kind::Union(_)) { 2 } else { 1 };
                    fields.push(field);
                }
                schema.tables.insert(self.name.clone(), fields);
            }
            "union" => {
                let mut next = 1;
                let mut members = Vec::new();
                for entry in &self.entries {
                    let (entry, number) = numbered(entry, next);
                    next = number + 1;
                    let (name, table) = entry.split_once(':').unwrap_or((entry, entry));
                    let table = schema.find(&self.namespace, table.trim());
                    members.push((name.trim().to_owned(), number, table));
                }
                schema.unions.insert(self.name.clone(), members);
            }
            _ => {}
        }
    }

    fn field(&self, schema: &Schema, entry: &str, slot: u16) -> FieldType {
        let (name, rest) = entry.split_once(':').expect("a field has a type");
        let rest = rest.split('(').next().unwrap_or_default();
        let (kind, default) = match rest.split_once('=') {
            Some((kind, default)) => (kind.trim(), default.trim()),
            None => (rest.trim(), "0"),
        };
        // A union's value follows its kind.
        let kind = schema.kind(&self.namespace, kind);
        let default = (default != "null").then(|| default.to_owned());
        FieldType { name: name.trim().to_owned(), kind, slot, default }
    }
}

fn numbered(entry: &str, next: u8) -> (&str, u8) {
    match entry.split_once('=') {
        Some((name, number)) => (name.trim(), number.trim().parse().expect("a number")),
        None => (entry.trim(), next),
    }
}
