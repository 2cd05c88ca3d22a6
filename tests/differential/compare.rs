//! Where a message is not what the script says.

use std::collections::HashMap;

use ringsoup_tests::wire::value::{Field, Value};

/// What names in the script stand for, learnt from earlier replies.
pub(crate) type Bindings = HashMap<String, Value>;

/// Fields of ours that follow the published ones; controllers skip what they do not know.
const OURS: &str = "ringsoup_";

/// One line per difference; `known` learns what `wanted` names.
pub(crate) fn compare(
    path: &str,
    wanted: &Value,
    found: &Value,
    known: &mut Bindings,
    differences: &mut Vec<String>,
) {
    let mut differs = || differences.push(format!("{path} is {found}, not {wanted}"));
    match (wanted, found) {
        (Value::Any, _) => {}
        (Value::Present, found) if *found != Value::Absent => {}
        (Value::Variable(name), found) => match known.get(name).cloned() {
            Some(value) => compare(path, &value, found, known, differences),
            None if *found == Value::Absent => differs(),
            None => {
                known.insert(name.clone(), found.clone());
            }
        },
        (Value::Range(low, high), Value::Integer(number)) if (low..=high).contains(&number) => {}
        (Value::Shape(shape, size), Value::Text(text)) if has_shape(text, shape, *size) => {}
        (Value::Text(wanted), Value::Text(found)) if matches(wanted, found) => {}
        (Value::Object(wanted), Value::Object(found)) => {
            compare_fields(path, wanted, found, known, differences)
        }
        (Value::Typed(wanted_kind, wanted), Value::Typed(kind, found)) if wanted_kind == kind => {
            compare_fields(path, wanted, found, known, differences);
        }
        (Value::List(wanted), Value::List(found)) if wanted.len() == found.len() => {
            for (index, (wanted, found)) in wanted.iter().zip(found).enumerate() {
                compare(&format!("{path}.{index}"), wanted, found, known, differences);
            }
        }
        (Value::Set(wanted), Value::List(found)) if wanted.len() == found.len() => {
            compare_set(path, wanted, found, known, differences);
        }
        (wanted, found) if wanted == found => {}
        _ => differs(),
    }
}

fn compare_fields(
    path: &str,
    wanted: &[Field],
    found: &[Field],
    known: &mut Bindings,
    differences: &mut Vec<String>,
) {
    for field in found {
        let path = format!("{path}.{}", field.name);
        match wanted.iter().find(|wanted| wanted.name == field.name) {
            Some(wanted) => compare(&path, &wanted.value, &field.value, known, differences),
            None if field.is_default || field.value == Value::List(Vec::new()) => {}
            None if field.value == Value::Absent || field.name.starts_with(OURS) => {}
            None => differences.push(format!("{path} is {}, not absent", field.value)),
        }
    }
    for field in wanted {
        if found.iter().all(|found| found.name != field.name) {
            differences.push(format!("{path} has no field {}", field.name));
        }
    }
}

fn compare_set(
    path: &str,
    wanted: &[Value],
    found: &[Value],
    known: &mut Bindings,
    differences: &mut Vec<String>,
) {
    let mut left: Vec<&Value> = found.iter().collect();
    for item in wanted {
        let fitting = left.iter().position(|candidate| {
            let mut trial = Vec::new();
            compare(path, item, candidate, &mut known.clone(), &mut trial);
            trial.is_empty()
        });
        match fitting {
            Some(at) => compare(path, item, left.remove(at), known, differences),
            None => differences.push(format!("{path} has no {item}, but {}", Value::List(found.to_vec()))),
        }
    }
}

/// `*` in `wanted` stands for any text.
pub(crate) fn matches(wanted: &str, found: &str) -> bool {
    match wanted.split_once('*') {
        None => wanted == found,
        Some((head, tail)) => found.strip_prefix(head).is_some_and(|rest| {
            (0..=rest.len()).any(|at| rest.is_char_boundary(at) && matches(tail, &rest[at..]))
        }),
    }
}

fn has_shape(text: &str, shape: &str, size: usize) -> bool {
    match shape {
        "alnum" => {
            text.len() == size && text.bytes().all(|byte| byte.is_ascii_digit() || byte.is_ascii_lowercase())
        }
        "base64" => {
            let digits = text.trim_end_matches('=');
            text.len() == size.div_ceil(3) * 4
                && digits.len() * 6 / 8 == size
                && digits.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'+' || byte == b'/')
        }
        "fingerprint" => {
            let pairs: Vec<&str> = text.split(':').collect();
            pairs.len() == size
                && pairs.iter().all(|pair| {
                    pair.len() == 2 && pair.bytes().all(|byte| b"0123456789ABCDEF".contains(&byte))
                })
        }
        _ => false,
    }
}

/// `value` with what its names stand for.
pub(crate) fn resolve(value: &Value, known: &Bindings) -> Value {
    let fields = |fields: &[Field]| {
        fields.iter().map(|field| Field { value: resolve(&field.value, known), ..field.clone() }).collect()
    };
    match value {
        Value::Variable(name) => known.get(name).cloned().unwrap_or_else(|| panic!("${name} is not known")),
        Value::List(items) => Value::List(items.iter().map(|item| resolve(item, known)).collect()),
        Value::Object(object) => Value::Object(fields(object)),
        Value::Typed(kind, object) => Value::Typed(kind.clone(), fields(object)),
        other => other.clone(),
    }
}
