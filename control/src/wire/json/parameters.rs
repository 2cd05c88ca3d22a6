//! The parameters of codecs and header extensions: an object here, a list of names and typed values in the schemas.

use flatbuffers::WIPOffset;
use serde_json::Value;

use super::read::{Object, Offset, Reader, Ready, Stop};
use crate::wire::number::Number;
use crate::wire::schema::Scalar;

/// Slots of a parameter, and of the one field of its values: offsets in their vtables.
const NAME: u16 = 4;
const VALUE_TYPE: u16 = 6;
const VALUE: u16 = 8;
const ONLY: u16 = 4;

impl Reader<'_> {
    /// Values of other kinds than the five there are, are left out.
    pub(super) fn parameters(&mut self, object: &Object) -> Result<Offset, Stop> {
        let mut parameters = Vec::with_capacity(object.len());
        for (name, value) in object {
            let Some((number, content)) = self.parameter(value) else { continue };
            let value = self.write(&[content])?;
            let name = WIPOffset::new(self.builder.create_string(name).value());
            parameters.push(self.write(&[
                Ready::Offset(NAME, name),
                Ready::Number(VALUE_TYPE, Scalar::U8, Number::Integer(number.into())),
                Ready::Offset(VALUE, value),
            ])?);
        }
        Ok(WIPOffset::new(self.builder.create_vector(&parameters).value()))
    }

    /// The value's type, by its number, and the value.
    fn parameter(&mut self, value: &Value) -> Option<(u8, Ready)> {
        let types = self.plan.parameter_types;
        Some(match value {
            Value::Bool(truth) => {
                (types.boolean, Ready::Number(ONLY, Scalar::U8, Number::Integer((*truth).into())))
            }
            Value::Number(number) => match integer(value) {
                Some(integer) => {
                    (types.integer, Ready::Number(ONLY, Scalar::I32, Number::Integer(integer.into())))
                }
                // With a fraction, or too great for an integer here.
                None => (types.double, Ready::Number(ONLY, Scalar::F64, Number::Real(number.as_f64()?))),
            },
            Value::String(text) => {
                let text = WIPOffset::new(self.builder.create_string(text).value());
                (types.text, Ready::Offset(ONLY, text))
            }
            Value::Array(values) => {
                let integers: Option<Vec<i32>> = values.iter().map(integer).collect();
                let integers = integers.filter(|integers| !integers.is_empty())?;
                let vector = WIPOffset::new(self.builder.create_vector(&integers).value());
                (types.integers, Ready::Offset(ONLY, vector))
            }
            Value::Null | Value::Object(_) => return None,
        })
    }
}

fn integer(value: &Value) -> Option<i32> {
    value.as_i64().and_then(|integer| i32::try_from(integer).ok())
}
