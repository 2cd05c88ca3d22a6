//! The layouts that edits make, against those of the published packages.

use std::collections::BTreeMap;

use super::layout;
use crate::version::Version;
use crate::wire::schema::{Field, Kind, Scalar, Schema};

/// What differs between versions, as the packages have it.
const PUBLISHED: &str = include_str!("published.txt");

const VERSIONS: [&str; 11] = [
    "3.13.5", "3.13.24", "3.14.16", "3.16.7", "3.19.4", "3.19.7", "3.19.17", "3.19.22", "3.22.0", "3.26.0",
    "3.27.1",
];

/// Older names for what is the same; a name is nothing on the wire.
const RENAMED: [(&str, &str); 5] = [
    ("announced_ip", "announced_address"),
    ("local_ip", "local_address"),
    ("ip:string", "address:string"),
    ("AudioLevel", "SsrcAudioLevel"),
    ("type:FBS.DataProducer.Type", "type:FBS.DataConsumer.Type"),
];

/// By kind and name, what stands where, from the newest line that is not newer than this version.
fn published(version: Version) -> BTreeMap<(&'static str, &'static str), Vec<&'static str>> {
    let mut found = BTreeMap::new();
    for line in PUBLISHED.lines().filter(|line| !line.starts_with('#')) {
        let mut words = line.split(' ');
        let since = Version::parse(words.next().unwrap()).unwrap();
        let key = (words.next().unwrap(), words.next().unwrap());
        if since <= version {
            found.insert(key, words.collect());
        }
    }
    found.retain(|_, words| words != &["gone"]);
    found
}

fn scalar(scalar: Scalar) -> &'static str {
    match scalar {
        Scalar::Bool => "bool",
        Scalar::I8 => "i8",
        Scalar::U8 => "u8",
        Scalar::I16 => "i16",
        Scalar::U16 => "u16",
        Scalar::I32 => "i32",
        Scalar::U32 => "u32",
        Scalar::I64 => "i64",
        Scalar::U64 => "u64",
        Scalar::F32 => "f32",
        Scalar::F64 => "f64",
    }
}

fn field_text(field: &Field) -> Option<String> {
    let kind = match &field.kind {
        Kind::Scalar(of) => scalar(*of).to_owned(),
        Kind::Text => "string".to_owned(),
        Kind::Enum(name) | Kind::Table(name) | Kind::Union(name) => name.clone(),
        // Its union follows.
        Kind::UnionType(_) => return None,
        Kind::Scalars(of) => format!("[{}]", scalar(*of)),
        Kind::Texts => "[string]".to_owned(),
        Kind::Enums(name) | Kind::Tables(name) => format!("[{name}]"),
    };
    Some(format!("{}:{kind}", field.name))
}

fn made(schema: &Schema, kind: &str, name: &str) -> Vec<String> {
    let values = |values: &[(u8, String)]| {
        assert!(values.windows(2).all(|pair| pair[0].0 + 1 == pair[1].0), "{name}");
        values.iter().map(|(_, name)| name.clone()).collect()
    };
    match kind {
        "table" => schema.tables[name].iter().filter_map(field_text).collect(),
        "enum" => values(&schema.enums[name]),
        _ => values(&schema.unions[name]),
    }
}

fn is_same(published: &str, made: &str) -> bool {
    let renamed = RENAMED.iter().any(|(older, newer)| {
        published.strip_prefix(older).is_some_and(|rest| made.strip_prefix(newer) == Some(rest))
    });
    published == made || renamed
}

#[test]
fn every_place_is_the_published_one() {
    for version in VERSIONS.map(|text| Version::parse(text).unwrap()) {
        let schema = layout(version).map_or_else(Schema::newest, |(schema, _)| schema);
        let published = published(version);
        assert!(published.len() > 30);
        for ((kind, name), expected) in published {
            // Never written or read.
            if name == "FBS.LibUring.Dump" || name == "FBS.WebRtcServer.TupleHash" {
                continue;
            }
            let made = made(&schema, kind, name);
            // What stands behind is of later versions of one layout, or ours: nobody looks there.
            assert!(made.len() >= expected.len(), "{version} {name}: {made:?}");
            for (place, (expected, made)) in expected.iter().zip(&made).enumerate() {
                assert!(is_same(expected, made), "{version} {name}[{place}]: {expected}, not {made}");
            }
        }
    }
}
