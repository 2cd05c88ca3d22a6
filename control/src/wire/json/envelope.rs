//! What is around a request's data, in each dialect: its number, what is asked, of whom.

use ringsoup_sfu::command::CommandError;
use serde_json::Value;

use super::Dialect;
use super::broken::id_of_broken;
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
                let mut object = object(text)?;
                let id = json_id(&object).ok_or_else(|| nameless("missing id"))?;
                Self::of_json(&mut object, Some(id), "method")
            }
            Dialect::Text => {
                let mut fields = Fields(Some(text));
                let id = fields.take().and_then(text_id).ok_or_else(|| nameless("missing id"))?;
                let (name, handler) = (fields.text(Some(id))?, fields.text(Some(id))?);
                let data = match fields.rest() {
                    Some(data) if data != ABSENT.as_bytes() => value(data, Some(id))?,
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
                let mut object = object(text)?;
                let id = json_id(&object);
                let name = if id.is_some() { "method" } else { "event" };
                Self::of_json(&mut object, id, name)
            }
            Dialect::Text => {
                let neither = || nameless("neither request nor notification");
                let mut fields = Fields(Some(text));
                let id = match fields.take() {
                    Some(b"n") => None,
                    Some(b"r") => Some(fields.take().and_then(text_id).ok_or_else(neither)?),
                    _ => return Err(neither()),
                };
                let (name, handler) = (fields.text(id)?, fields.text(id)?);
                let mut data = Object::new();
                let ppid = fields.rest().map(|ppid| utf8(ppid, id)).transpose()?;
                if let Some(ppid) = ppid.filter(|ppid| *ppid != ABSENT) {
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

fn object(text: &[u8]) -> Result<Object, DecodeError> {
    let read = value(text, None)
        .map_err(|error| DecodeError { request_id: id_of_broken(text).map(RequestId::from), ..error })?;
    match read {
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

fn utf8(text: &[u8], id: Option<u32>) -> Result<&str, DecodeError> {
    std::str::from_utf8(text).map_err(|_| wrong(id, CommandError::error("not UTF-8")))
}

/// What stands between colons, as long as there is something. Of bytes: one field that is no text must not keep the number
/// before it from being read.
struct Fields<'a>(Option<&'a [u8]>);

impl<'a> Fields<'a> {
    fn take(&mut self) -> Option<&'a [u8]> {
        let text = self.0?;
        let end = text.iter().position(|byte| *byte == b':');
        self.0 = end.map(|end| &text[end + 1..]);
        Some(&text[..end.unwrap_or(text.len())])
    }

    fn text(&mut self, id: Option<u32>) -> Result<Option<&'a str>, DecodeError> {
        self.take().map(|field| utf8(field, id)).transpose()
    }

    /// All that is left, colons and all.
    fn rest(&mut self) -> Option<&'a [u8]> {
        self.0.take()
    }
}

fn json_id(object: &Object) -> Option<u32> {
    object.get("id").and_then(Value::as_u64).and_then(|id| u32::try_from(id).ok())
}

fn text_id(text: &[u8]) -> Option<u32> {
    std::str::from_utf8(text).ok()?.parse().ok()
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
    fn what_cannot_be_read_is_answered_by_its_number() {
        let deep = format!(r#"{{"id":3,"data":{}}}"#, "[".repeat(200) + &"]".repeat(200));
        let texts: [&[u8]; 5] = [
            br#"{"id":3,"method":"x","data":{"label":"\ud83d"}}"#,
            br#"{"id":3,"method":"x","data":{"a":1e999}}"#,
            b"{\"id\":3,\"method\":\"x\",\"data\":{\"a\":\"\xff\"}}",
            br#"{"id":3,"method":"x","data":{"#,
            deep.as_bytes(),
        ];
        for text in texts {
            for read in [Envelope::request, Envelope::payload] {
                let error = read(Dialect::Netstring, text).unwrap_err();
                assert_eq!(error.request_id, Some(3.into()), "{}", String::from_utf8_lossy(text));
            }
        }
        for text in [&b"7:worker.dump:undefined:{\"a\":\"\xff\"}"[..], b"7:\xff", b"7:x:\xff:{}"] {
            let error = Envelope::request(Dialect::Text, text).unwrap_err();
            assert_eq!(error.request_id, Some(7.into()), "{}", String::from_utf8_lossy(text));
        }
        for text in [&b"r:9:dataConsumer.send:d:\xff"[..], b"r:9:\xff", b"r:9:x:\xff"] {
            let error = Envelope::payload(Dialect::Text, text).unwrap_err();
            assert_eq!(error.request_id, Some(9.into()), "{}", String::from_utf8_lossy(text));
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
