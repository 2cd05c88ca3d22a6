//! For every request with a body, whatever is in it, and each dialect: written in JSON by the names and rules and read, it is
//! what it was, but for what these controllers cannot say.
//!
//! What is not tested here, as it is not written by names and rules alone: the requests that make transports
//! (`transports.rs` puts them into the schemas' words), messages of the payload channel, and values of wrong kinds. The
//! rules themselves are taken as they are. Those have samples of their own in `request_tests.rs`.

use proptest::prelude::*;
use ringsoup_fbs::fbs::request::Request as WireRequest;
use serde_json::{Map, Value, json};

use super::methods::{self, Called, HANDLER_IDS, METHODS};
use super::names::{member_name, value_text};
use super::property_tests::{VERSIONS, for_any_bytes, number, only};
use super::request::JsonDecoder;
use super::rules::{RULES, Rule};
use super::{Dialect, samples, scope};
use crate::message::{DecodeError, Incoming};
use crate::method::Method;
use crate::registry::Kind as Handled;
use crate::version::Version;
use crate::wire::Builder;
use crate::wire::generation::any_message::{About, message};
use crate::wire::generation::property_tests::absent;
use crate::wire::generation::tree::{camel_case, tree};
use crate::wire::schema::{Field, Kind, Schema};
use crate::wire::unverified::Unverified;

/// Requests of each method in each dialect, others in every run.
const CASES: u32 = 24;

const REQUEST: &str = "FBS.Request.Request";
const PARAMETER: &str = "FBS.RtpParameters.Parameter";
/// Above whatever a request is to that is no router.
const ROUTER: &str = "router";

/// Of no kind, and of each kind that decides what a request is.
const KINDS: [Option<Handled>; 4] =
    [None, Some(Handled::PlainTransport), Some(Handled::PipeTransport), Some(Handled::WebRtcTransport)];

/// What stands in the JSON, and what is read of it.
type Written = (Value, Value);

/// A frame's reading in JSON.
struct Writer<'a> {
    schema: &'a Schema,
}

impl Writer<'_> {
    /// Adds a table's members to those of `object`. `None` when it cannot be said, or not so that it is read.
    fn table(&self, name: &str, said: &Value, object: &mut Map<String, Value>) -> Option<Value> {
        let mut read = Map::new();
        for field in &self.schema.tables[name] {
            let rules = rules(name, &field.name);
            let camel = camel_case(&field.name);
            let value = match (said.get(&camel), &field.kind) {
                _ if rules.contains(&Rule::Unread) => absent(self.schema, field),
                _ if let Some(fixed) = fixed(&rules) => Some(fixed.into()),
                (Some(said), Kind::Table(inner)) if rules.contains(&Rule::Inlined) => {
                    Some(self.table(inner, said, object)?)
                }
                (Some(said), _) => {
                    let (json, read) = self.value(field, &rules, said)?;
                    object.insert(member(field, &rules), json);
                    // Lists without anything in them are not seen.
                    (read != json!([])).then_some(read)
                }
                (None, Kind::Texts | Kind::Enums(_) | Kind::Tables(_)) if field.required => {
                    object.insert(member(field, &rules), json!([]));
                    None
                }
                (None, _) if rules.contains(&Rule::Needed) => return None,
                (None, _) => None,
            };
            read.extend(value.map(|value| (camel, value)));
        }
        Some(Value::Object(read))
    }

    fn value(&self, field: &Field, rules: &[Rule], said: &Value) -> Option<Written> {
        let items = || said.as_array().into_iter().flatten();
        let text_of = |of: &str, value: &Value| Value::from(value_text(of, value.as_str().unwrap()));
        Some(match &field.kind {
            Kind::Scalar(_) => {
                let json = number(said);
                let is_refused = (rules.contains(&Rule::NotZero) && json == 0)
                    || (!rules.contains(&Rule::Lax) && !json.is_boolean() && json.as_u64().is_none());
                (!is_refused).then(|| (json, said.clone()))?
            }
            Kind::Enum(of) => (text_of(of, said), said.clone()),
            Kind::Text | Kind::Texts => (said.clone(), said.clone()),
            Kind::Enums(of) => (items().map(|item| text_of(of, item)).collect(), said.clone()),
            Kind::Table(name) => self.object(name, said)?,
            Kind::Tables(name) if name == PARAMETER => parameters(items()),
            Kind::Tables(name) => {
                let written: Option<Vec<Written>> = items().map(|item| self.object(name, item)).collect();
                let (json, read): (Vec<_>, Vec<_>) = written?.into_iter().unzip();
                (json.into(), read.into())
            }
            Kind::Scalars(_) | Kind::UnionType(_) | Kind::Union(_) => unreachable!("not in these requests"),
        })
    }

    fn object(&self, name: &str, said: &Value) -> Option<Written> {
        let mut object = Map::new();
        let read = self.table(name, said, &mut object)?;
        Some((object.into(), read))
    }
}

/// The last of a name counts. They are read in the order of an object's members, and lists only with something in them.
fn parameters<'a>(items: impl Iterator<Item = &'a Value>) -> Written {
    let named = items.map(|item| {
        let (kind, content) = only(&item["value"]);
        let json = match (kind, content.get("value")) {
            ("FBS.RtpParameters.Boolean", Some(value)) => (*value != 0).into(),
            (_, Some(value)) => value.clone(),
            (_, None) => json!([]),
        };
        (item["name"].as_str().unwrap().to_owned(), json!({ "kind": kind, "json": json }))
    });
    let named: Map<String, Value> = named.collect();
    let read = named.iter().filter(|(_, value)| value["json"] != json!([])).map(|(name, value)| {
        let content = match &value["json"] {
            Value::Bool(truth) => u8::from(*truth).into(),
            other => other.clone(),
        };
        json!({ "name": name, "value": { value["kind"].as_str().unwrap(): { "value": content } } })
    });
    let read = read.collect();
    (named.into_iter().map(|(name, mut value)| (name, value["json"].take())).collect(), read)
}

fn rules(table: &str, field: &str) -> Vec<Rule> {
    let about = RULES.iter().filter(|(of, about, _)| (*of, *about) == (table, field));
    about.map(|(_, _, rule)| *rule).collect()
}

fn member(field: &Field, rules: &[Rule]) -> String {
    let named =
        rules.iter().find_map(|rule| if let Rule::Named(name) = rule { Some((*name).into()) } else { None });
    named.unwrap_or_else(|| member_name(&field.name))
}

fn fixed(rules: &[Rule]) -> Option<i64> {
    rules.iter().find_map(|rule| if let Rule::Fixed(value) = rule { Some(*value) } else { None })
}

/// What is left of a body before it is read: what nobody looks at goes. `None` when it is refused for what it is.
fn looked_at(method: Method, mut body: Value) -> Option<Value> {
    match method {
        Method::TransportConsume if body["type"] == "SIMPLE" || body["type"] == "PIPE" => {
            body.as_object_mut()?.remove("preferredLayers");
        }
        Method::WebRtcTransportConnect => {
            if let Some(Value::Array(fingerprints)) = body["dtlsParameters"].get_mut("fingerprints") {
                fingerprints.truncate(1);
            }
        }
        // The lowest level is -127 dBov, and the field holds one less.
        Method::RouterCreateAudioLevelObserver if body["options"]["threshold"] == -128 => return None,
        Method::WorkerCreateWebRtcServer if body.get("listenInfos").is_none() => return None,
        _ => {}
    }
    Some(body)
}

/// One method as one version has it, asked of one kind of handler.
struct Asked<'a> {
    schema: &'a Schema,
    version: Version,
    decoder: &'a JsonDecoder,
    called: Called,
    method: Method,
    table: &'static str,
    kind: Option<Handled>,
}

impl Asked<'_> {
    /// The message, and what is read as its handler. Before 3.10.6 names of producers have their router's behind them.
    fn text(&self, id: &Value, handler: &str, data: &Value) -> (Vec<u8>, String) {
        let text = self.called.text();
        let Some(member) = self.called.handler else {
            let message = match Dialect::of(self.version).unwrap() {
                Dialect::Text => format!("{id}:{text}:undefined:{data}"),
                _ => json!({ "id": id, "method": text, "data": data }).to_string(),
            };
            return (message.into_bytes(), String::new());
        };
        if self.version >= HANDLER_IDS {
            return (format!("{id}:{text}:{handler}:{data}").into_bytes(), handler.to_owned());
        }
        let mut internal = json!({ "routerId": ROUTER });
        internal[member] = handler.into();
        let message = json!({ "id": id, "method": text, "internal": internal, "data": data });
        let read = self.name(member, handler, router_of(member, handler));
        (message.to_string().into_bytes(), read)
    }

    fn name(&self, member: &str, name: &str, router: &str) -> String {
        let is_scoped = self.version < HANDLER_IDS && scope::is_scoped(member);
        if is_scoped { scope::scoped(name, router) } else { name.to_owned() }
    }

    fn check(&self, frame: &mut [u8]) -> Result<(), TestCaseError> {
        let method =
            u8::try_from(Method::ALL.iter().position(|known| *known == self.method).unwrap()).unwrap();
        let at = Unverified::request(frame).unwrap().field(WireRequest::VT_METHOD);
        at.into_iter().for_each(|at| frame[at] = method);
        let said = tree(self.schema, frame)["data"][REQUEST].take();
        let handler = said["handlerId"].as_str().unwrap();
        let looked_at = looked_at(self.method, said["body"][self.table].clone());
        let mut data = Map::new();
        let writer = Writer { schema: self.schema };
        let left = looked_at.and_then(|body| writer.table(self.table, &body, &mut data));
        let (text, reader) = self.text(&said["id"], handler, &data.into());
        let mut builder = Builder::default();
        let read = self.decoder.decode(&text, &|_| self.kind, &mut builder);
        let text = String::from_utf8_lossy(&text);
        prop_assert_eq!(answered(&read).map(u64::from), said["id"].as_u64(), "{}", text);
        let Some(mut left) = left else {
            let is_refused = matches!(&read, Ok(Incoming::Request(request)) if request.body.is_err());
            prop_assert!(is_refused, "{}: {:?}", text, read);
            return Ok(());
        };
        let router = self.called.handler.map_or("", |member| router_of(member, handler));
        for (member, name) in left.as_object_mut().unwrap() {
            if let Value::String(name) = name {
                *name = self.name(member, name, router);
            }
        }
        let (_, name) = &self.schema.enums["FBS.Request.Method"][usize::from(method)];
        let expected =
            json!({ "id": said["id"], "method": name, "handlerId": reader, "body": { self.table: left } });
        let again = builder.finished_data();
        let written = tree(self.schema, again)["data"][REQUEST].take();
        prop_assert_eq!(&written, &expected, "{}", text);
        if written == said {
            // Nothing was lost, so that both mean the same.
            prop_assert_eq!(meant(&read), meant(&crate::wire::decode(frame)), "{}", text);
        }
        Ok(())
    }
}

fn router_of<'a>(member: &str, handler: &'a str) -> &'a str {
    if member == "routerId" { handler } else { ROUTER }
}

/// Of an optional list a frame's reading does not show whether it is absent or has nothing in it.
fn meant(read: &Result<Incoming, DecodeError>) -> String {
    format!("{read:?}").replace("Some([])", "None")
}

fn answered(read: &Result<Incoming, DecodeError>) -> Option<u32> {
    match read {
        Ok(Incoming::Request(request)) => Some(request.id.number),
        Ok(Incoming::Notification(_)) => None,
        Err(error) => error.request_id.map(|id| id.number),
    }
}

fn is_put_into_other_words(method: Method) -> bool {
    matches!(
        method,
        Method::RouterCreateWebRtcTransport
            | Method::RouterCreateWebRtcTransportWithServer
            | Method::RouterCreatePlainTransport
            | Method::RouterCreatePipeTransport
            | Method::RouterCreateDirectTransport
    )
}

/// Every request with a body that these names and rules are all of.
fn asked<'a>(
    schema: &'a Schema,
    version: Version,
    decoder: &'a JsonDecoder,
) -> impl Iterator<Item = Asked<'a>> {
    let called = METHODS.iter().filter(move |called| called.exists_in(version));
    let asked = called.flat_map(|called| KINDS.map(|kind| (*called, kind)));
    asked.filter_map(move |(called, kind)| {
        let is_by_kind = called.method == Method::TransportConnect;
        let method = methods::asked_of(called.method, kind);
        let table = methods::body(method).filter(|_| is_by_kind == kind.is_some())?;
        let asked = Asked { schema, version, decoder, called, method, table, kind };
        (!is_put_into_other_words(method)).then_some(asked)
    })
}

#[test]
fn whatever_is_asked_is_read() {
    let schema = Schema::newest();
    for spoken in VERSIONS {
        let version = samples::version(spoken);
        let decoder = JsonDecoder::of(version).unwrap();
        for asked in asked(&schema, version, &decoder) {
            let bodies = &schema.unions["FBS.Request.Body"];
            let (body, _) = bodies.iter().find(|(_, table)| table == asked.table).unwrap();
            let about = About { head: REQUEST, body: *body };
            for_any_bytes(CASES, &format!("{spoken} {}", asked.called.text()), |bytes| {
                asked.check(&mut message(&schema, about, bytes))
            });
        }
    }
}
