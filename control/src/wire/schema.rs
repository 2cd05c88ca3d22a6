//! A layout of the channel's messages as data: which table has which fields, in the order of their slots.
//!
//! The newest one is what flatc says of `fbs/schemas`; older ones are made from it by `generation/edits.rs`.

use std::collections::BTreeMap;

use flatbuffers_reflection::reflection::{self, BaseType, Field as WireField, Schema as WireSchema, Type};

/// What flatc made of the schemas (`fbs/generate.sh`).
const NEWEST: &[u8] = include_bytes!("../../../fbs/src/generated/message.bfbs");

/// A number of a fixed width.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scalar {
    Bool,
    I8,
    U8,
    U16,
    U32,
    U64,
    I16,
    I32,
    I64,
    F32,
    F64,
}

/// Names of tables, enums and unions are those of the schemas, with their namespace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Kind {
    Scalar(Scalar),
    /// One byte: the number of a value.
    Enum(String),
    Text,
    Table(String),
    /// The byte in the slot before a union's says which of its tables it is.
    UnionType(String),
    Union(String),
    Scalars(Scalar),
    Enums(String),
    Texts,
    Tables(String),
}

#[derive(Debug, Clone, PartialEq)]
pub(super) struct Field {
    pub(super) name: String,
    pub(super) kind: Kind,
    /// What an absent one reads as.
    pub(super) default: Default,
    pub(super) required: bool,
}

/// Of a scalar; of everything else it is `None`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Default {
    /// Absent means that there is none.
    None,
    Integer(i64),
    Real(f64),
}

/// Values of an enum, or members of a union, by number. A member's name is its table's.
pub(super) type Values = Vec<(u8, String)>;

#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Schema {
    /// Fields by slot.
    pub(super) tables: BTreeMap<String, Vec<Field>>,
    pub(super) enums: BTreeMap<String, Values>,
    pub(super) unions: BTreeMap<String, Values>,
}

impl Schema {
    /// The layout that the generated code has.
    pub(super) fn newest() -> Self {
        // flatc's own output, built in: if it cannot be read no test passes.
        #[allow(clippy::expect_used, reason = "a constant of this program")]
        let wire = reflection::root_as_schema(NEWEST).expect("the built-in schema is flatc's");
        Self::read(wire)
    }

    fn read(wire: WireSchema<'_>) -> Self {
        let mut schema = Self::default();
        for object in wire.objects() {
            let mut fields: Vec<_> = object.fields().iter().collect();
            fields.sort_by_key(WireField::id);
            let fields = fields.into_iter().map(|field| read_field(wire, field)).collect();
            schema.tables.insert(object.name().to_owned(), fields);
        }
        for values in wire.enums() {
            let named = values.values().iter().filter_map(|value| {
                let number = u8::try_from(value.value()).ok()?;
                if !values.is_union() {
                    return Some((number, value.name().to_owned()));
                }
                let table = usize::try_from(value.union_type()?.index()).ok()?;
                (number > 0).then(|| (number, wire.objects().get(table).name().to_owned()))
            });
            let named = named.collect();
            let all = if values.is_union() { &mut schema.unions } else { &mut schema.enums };
            all.insert(values.name().to_owned(), named);
        }
        schema
    }
}

fn read_field(wire: WireSchema<'_>, field: WireField<'_>) -> Field {
    let kind = read_kind(wire, field.type_());
    let default = match kind {
        Kind::Scalar(_) | Kind::Enum(_) if field.optional() => Default::None,
        Kind::Scalar(Scalar::F32 | Scalar::F64) => Default::Real(field.default_real()),
        Kind::Scalar(_) | Kind::Enum(_) | Kind::UnionType(_) => Default::Integer(field.default_integer()),
        _ => Default::None,
    };
    Field { name: field.name().to_owned(), kind, default, required: field.required() }
}

fn read_kind(wire: WireSchema<'_>, kind: Type<'_>) -> Kind {
    let index = usize::try_from(kind.index()).ok();
    let enum_name = || index.map(|index| wire.enums().get(index).name().to_owned());
    let table_name = || index.map(|index| wire.objects().get(index).name().to_owned()).unwrap_or_default();
    match kind.base_type() {
        BaseType::String => Kind::Text,
        BaseType::Obj => Kind::Table(table_name()),
        BaseType::UType => Kind::UnionType(enum_name().unwrap_or_default()),
        BaseType::Union => Kind::Union(enum_name().unwrap_or_default()),
        BaseType::Vector => match kind.element() {
            BaseType::String => Kind::Texts,
            BaseType::Obj => Kind::Tables(table_name()),
            element => match enum_name() {
                Some(name) => Kind::Enums(name),
                None => Kind::Scalars(read_scalar(element)),
            },
        },
        base => match enum_name() {
            Some(name) => Kind::Enum(name),
            None => Kind::Scalar(read_scalar(base)),
        },
    }
}

fn read_scalar(base: BaseType) -> Scalar {
    match base {
        BaseType::Bool => Scalar::Bool,
        BaseType::Byte => Scalar::I8,
        BaseType::UByte => Scalar::U8,
        BaseType::Short => Scalar::I16,
        BaseType::Long => Scalar::I64,
        BaseType::UShort => Scalar::U16,
        BaseType::UInt => Scalar::U32,
        BaseType::ULong => Scalar::U64,
        BaseType::Int => Scalar::I32,
        BaseType::Float => Scalar::F32,
        BaseType::Double => Scalar::F64,
        other => unreachable!("no field of the schemas is a {:?}", other.variant_name()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_is_what_the_schemas_say() {
        let schema = Schema::newest();
        let options = &schema.tables["FBS.Transport.Options"];
        let names: Vec<_> = options.iter().map(|field| field.name.as_str()).collect();
        assert_eq!(names[..3], ["direct", "initial_available_outgoing_bitrate", "enable_sctp"]);
        assert_eq!(options[1].kind, Kind::Scalar(Scalar::U64));
        assert_eq!(options[1].default, Default::None);
        let request = &schema.tables["FBS.Request.Request"];
        assert!(matches!(&request[3].kind, Kind::UnionType(name) if name == "FBS.Request.Body"));
        assert!(matches!(&request[4].kind, Kind::Union(name) if name == "FBS.Request.Body"));
        assert!(request[2].required);
        let events = &schema.enums["FBS.Notification.Event"];
        assert_eq!(events[4], (4, "WORKER_RUNNING".to_owned()));
        let bodies = &schema.unions["FBS.Notification.Body"];
        assert!(bodies.contains(&(3, "FBS.Transport.SctpNegotiatedCapabilitiesNotification".to_owned())));
    }
}
