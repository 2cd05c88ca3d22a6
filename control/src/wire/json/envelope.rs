//! What is around a request's data, in each dialect: its number, what is asked, of whom.

use ringsoup_sfu::command::CommandError;
use serde_json::Value;

use super::Dialect;
use super::read::Object;
use crate::message::{DecodeError, RequestId};

/// Stands for what is not there, where fields stand between colons.
const ABSENT: &str = "undefined";

/// A message taken apart.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Envelope {
    /// Of a request; notifications have none.
    pub(super) id: Option<u32>,
    /// The method, or the event.
    pub(super) name: String,
    pub(super) to: Address,
    pub(super) data: Object,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Address {
    /// Of the handler; empty for the worker.
    Handler(String),
    /// Of everything the message is about.
    Internal(Object),
}

impl Envelope {
    /// Of the channel: a request.
    ///
    /// # Errors
    /// It is none; answered when its number could be read.
    pub(super) fn request(dialect: Dialect, text: &[u8]) -> Result<Self, DecodeError> {
        match dialect {
            Dialect::Netstring | Dialect::LengthPrefixed => {
                let mut object = object(text, None)?;
                let id = json_id(&object).ok_or_else(|| nameless("missing id"))?;
                Self::of_json(&mut object, Some(id), "method")
            }
            Dialect::Text => {
                let mut fields = utf8(text)?.splitn(4, ':');
                let id = fields.next().and_then(text_id).ok_or_else(|| nameless("missing id"))?;
                let (name, handler) = (fields.next(), fields.next());
                let data = match fields.next() {
                    Some(data) if data != ABSENT => value(data.as_bytes(), Some(id))?,
                    _ => Value::Null,
                };
                Self::of_text(Some(id), name, handler, members(Some(data)))
            }
        }
    }

    /// Of the payload channel: a request or a notification.
    ///
    /// # Errors
    /// It is neither; answered when it has a request's number.
    pub(super) fn payload(dialect: Dialect, text: &[u8]) -> Result<Self, DecodeError> {
        match dialect {
            Dialect::Netstring | Dialect::LengthPrefixed => {
                let mut object = object(text, None)?;
                let id = json_id(&object);
                let name = if id.is_some() { "method" } else { "event" };
                Self::of_json(&mut object, id, name)
            }
            Dialect::Text => {
                let text = utf8(text)?;
                let (id, rest) = if let Some(rest) = text.strip_prefix("n:") {
                    (None, rest)
                } else {
                    let rest = text.strip_prefix("r:").and_then(|rest| rest.split_once(':'));
                    let id_and_rest = rest.and_then(|(id, rest)| Some((text_id(id)?, rest)));
                    let (id, rest) =
                        id_and_rest.ok_or_else(|| nameless("neither request nor notification"))?;
                    (Some(id), rest)
                };
                let mut fields = rest.splitn(3, ':');
                let (name, handler) = (fields.next(), fields.next());
                let mut data = Object::new();
                if let Some(ppid) = fields.next().filter(|ppid| *ppid != ABSENT) {
                    // Not a number: let whoever reads it say so.
                    let ppid = ppid.parse::<u32>().map_or_else(|_| Value::from(ppid), Value::from);
                    data.insert("ppid".to_owned(), ppid);
                }
                Self::of_text(id, name, handler, data)
            }
        }
    }

    fn of_json(object: &mut Object, id: Option<u32>, name: &str) -> Result<Self, DecodeError> {
        let Some(Value::String(text)) = object.remove(name) else {
            return Err(wrong(id, CommandError::error(format!("missing {name}"))));
        };
        let to = Address::Internal(members(object.remove("internal")));
        Ok(Self { id, name: text, to, data: members(object.remove("data")) })
    }

    fn of_text(
        id: Option<u32>,
        name: Option<&str>,
        handler: Option<&str>,
        data: Object,
    ) -> Result<Self, DecodeError> {
        let name = name.ok_or_else(|| wrong(id, CommandError::error("too few arguments")))?;
        let handler = handler.filter(|handler| *handler != ABSENT).unwrap_or_default();
        Ok(Self { id, name: name.to_owned(), to: Address::Handler(handler.to_owned()), data })
    }
}

pub(super) fn wrong(request_id: Option<u32>, error: CommandError) -> DecodeError {
    DecodeError { request_id: request_id.map(RequestId::from), error }
}

fn nameless(reason: &str) -> DecodeError {
    wrong(None, CommandError::error(reason))
}

fn value(text: &[u8], id: Option<u32>) -> Result<Value, DecodeError> {
    serde_json::from_slice(text)
        .map_err(|error| wrong(id, CommandError::type_error(format!("JSON parsing error: {error}"))))
}

fn object(text: &[u8], id: Option<u32>) -> Result<Object, DecodeError> {
    match value(text, id)? {
        Value::Object(object) => Ok(object),
        _ => Err(nameless("not an object")),
    }
}

/// What is no object says nothing.
fn members(value: Option<Value>) -> Object {
    match value {
        Some(Value::Object(object)) => object,
        _ => Object::new(),
    }
}

fn utf8(text: &[u8]) -> Result<&str, DecodeError> {
    std::str::from_utf8(text).map_err(|_| nameless("not UTF-8"))
}

fn json_id(object: &Object) -> Option<u32> {
    object.get("id").and_then(Value::as_u64).and_then(|id| u32::try_from(id).ok())
}

fn text_id(text: &str) -> Option<u32> {
    text.parse().ok()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn internal(value: Value) -> Address {
        Address::Internal(members(Some(value)))
    }

    #[test]
    fn requests_are_objects_first() {
        for dialect in [Dialect::Netstring, Dialect::LengthPrefixed] {
            let text = br#"{"id":3,"method":"router.dump","internal":{"routerId":"r"},"data":{"a":1}}"#;
            let envelope = Envelope::request(dialect, text).unwrap();
            assert_eq!((envelope.id, envelope.name.as_str()), (Some(3), "router.dump"));
            assert_eq!(envelope.to, internal(json!({ "routerId": "r" })));
            assert_eq!(envelope.data["a"], 1);
            let bare = Envelope::request(dialect, br#"{"id":4,"method":"worker.dump","data":[1]}"#).unwrap();
            assert!(bare.data.is_empty() && bare.to == internal(json!({})));
        }
    }

    #[test]
    fn requests_are_fields_between_colons_later() {
        let text = br#"7:transport.produce:t:{"kind":"audio:x"}"#;
        let envelope = Envelope::request(Dialect::Text, text).unwrap();
        assert_eq!((envelope.id, envelope.name.as_str()), (Some(7), "transport.produce"));
        assert_eq!(envelope.to, Address::Handler("t".to_owned()));
        assert_eq!(envelope.data["kind"], "audio:x");
        for text in ["7:worker.dump:undefined:undefined", "7:worker.dump", "7:worker.dump::[]"] {
            let envelope = Envelope::request(Dialect::Text, text.as_bytes()).unwrap();
            assert_eq!(envelope.to, Address::Handler(String::new()), "{text}");
            assert!(envelope.data.is_empty(), "{text}");
        }
    }

    #[test]
    fn what_is_no_request_is_answered_when_it_has_a_number() {
        let id = |dialect, text: &str| Envelope::request(dialect, text.as_bytes()).unwrap_err().request_id;
        assert_eq!(id(Dialect::Netstring, r#"{"id":3}"#), Some(3.into()));
        assert_eq!(id(Dialect::Netstring, r#"{"id":3,"method":7}"#), Some(3.into()));
        for text in ["", "{", "[]", r#"{"id":-3,"method":"x"}"#, r#"{"id":4294967296,"method":"x"}"#] {
            assert_eq!(id(Dialect::LengthPrefixed, text), None, "{text}");
        }
        assert_eq!(id(Dialect::Text, "7"), Some(7.into()));
        assert_eq!(id(Dialect::Text, "7:worker.dump:undefined:{"), Some(7.into()));
        for text in ["", ":", "x:worker.dump", "-1:worker.dump", "4294967296:worker.dump"] {
            assert_eq!(id(Dialect::Text, text), None, "{text}");
        }
    }

    #[test]
    fn headers_of_payloads_are_requests_or_notifications() {
        let read = |dialect, text: &str| Envelope::payload(dialect, text.as_bytes()).unwrap();
        let sent = read(
            Dialect::Netstring,
            r#"{"event":"dataProducer.send","internal":{"dataProducerId":"d"},"data":{"ppid":51}}"#,
        );
        assert_eq!((sent.id, sent.name.as_str()), (None, "dataProducer.send"));
        assert_eq!(sent.data["ppid"], 51);
        let text = read(Dialect::Text, "n:dataProducer.send:d:51");
        assert_eq!((text.id, &text.name, &text.data), (None, &sent.name, &sent.data));
        let asked = read(Dialect::Text, "r:9:dataConsumer.send:d:53");
        assert_eq!((asked.id, asked.name.as_str()), (Some(9), "dataConsumer.send"));
        assert_eq!(read(Dialect::Text, "n:producer.send:p:undefined").data, Object::new());
        assert_eq!(read(Dialect::Text, "n:dataProducer.send:p:x").data["ppid"], "x");
        for text in ["", "r", "n", "r:", "r:x:y", "q:1:2"] {
            assert_eq!(Envelope::payload(Dialect::Text, text.as_bytes()).unwrap_err().request_id, None);
        }
    }
}
