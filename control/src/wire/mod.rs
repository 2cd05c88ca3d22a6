//! The encodings of the mediasoup channel ⇄ plain types, for the generation of 3.27.0 and 3.27.1.
//!
//! One file per noun, as in the schemas; each knows both directions of its tables. What is decoded owns its data
//! and has passed the verifier; judging it (does the router exist, may the transport do that) is the controller's
//! and the shard's business. What belongs here is what the encoding makes possible and the plain types do not:
//! numbers without a meaning, addresses and keys that are none, bodies of the wrong kind.
//!
//! Empty and absent strings mean the same wherever the original cannot tell them apart (`mid`, `rid`, `msid`,
//! announced addresses); dumps say `""` or nothing exactly where the original does, because its Node library reads
//! some of them without looking whether they are there.

mod consumer;
mod data_consumer;
mod data_producer;
mod decoder;
mod direct_transport;
mod encoder;
mod event;
mod generation;
mod json;
mod latency;
mod loose_values;
mod notification;
mod number;
mod pipe_transport;
mod plain_transport;
mod producer;
mod request;
mod response;
mod router;
mod rtp_observer;
mod rtp_packet;
mod rtp_parameters;
mod rtp_stream;
mod schema;
mod sctp;
mod srtp_parameters;
mod transport;
mod unverified;
mod webrtc_server;
mod webrtc_transport;
mod worker;

#[cfg(test)]
mod data_samples;
#[cfg(test)]
mod data_tests;
#[cfg(test)]
mod decode_tests;
#[cfg(test)]
mod event_tests;
#[cfg(test)]
mod mutation_tests;
#[cfg(test)]
mod node_frames;
#[cfg(test)]
mod reply_samples;
#[cfg(test)]
mod response_tests;
#[cfg(test)]
mod samples;
#[cfg(test)]
mod told_samples;
#[cfg(test)]
mod webrtc_tests;

use std::borrow::Cow;
use std::net::IpAddr;

use flatbuffers::{FlatBufferBuilder, ForwardsUOffset, UnionWIPOffset, Vector, WIPOffset};
use ringsoup_fbs::fbs::message::Message;
use ringsoup_fbs::verify_message;
use ringsoup_sfu::command::CommandError;

use crate::message::{DecodeError, Incoming};

pub use decoder::Decoder;
pub use encoder::{Encoder, Told};
pub use generation::{Generation, NEWEST, OLDEST};
pub use json::{Dialect, JsonDecoder, KindOf, in_plain_names};

type Builder = FlatBufferBuilder<'static>;
type Text = WIPOffset<&'static str>;
type Tables<T> = WIPOffset<Vector<'static, ForwardsUOffset<T>>>;
type Union = WIPOffset<UnionWIPOffset>;

/// Reads a frame: its 4-byte size prefix and the body. The prefix's value is not looked at.
///
/// # Errors
/// When the frame is no message a controller may send. `request_id` is known whenever the frame can be seen to be
/// a request, verified or not: a controller waits for every answer.
pub fn decode(frame: &[u8]) -> Result<Incoming, DecodeError> {
    let error = match verify_message(frame) {
        Ok(message) => return read(message),
        Err(error) => error,
    };
    if let Some(marked) = loose_values::mark(frame)
        && let Ok(message) = verify_message(&marked)
    {
        return read(message);
    }
    // The first line says what, the others where, in the verifier's own terms.
    let text = error.to_string();
    let reason = text.lines().next().unwrap_or_default();
    Err(DecodeError {
        request_id: unverified::request_id(frame),
        error: CommandError::type_error(format!("malformed message: {reason}")),
    })
}

fn read(message: Message<'_>) -> Result<Incoming, DecodeError> {
    if let Some(request) = message.data_as_request() {
        request::decode(request).map(Incoming::Request)
    } else if let Some(notification) = message.data_as_notification() {
        notification::decode(notification).map(Incoming::Notification)
    } else {
        Err(DecodeError {
            request_id: None,
            error: CommandError::error(format!("unexpected message of kind {}", message.data_type().0)),
        })
    }
}

/// `None` for absent and for empty, which the original treats alike.
fn non_empty(text: Option<&str>) -> Option<String> {
    text.filter(|text| !text.is_empty()).map(str::to_owned)
}

fn ip_address(text: &str) -> Result<IpAddr, CommandError> {
    text.parse().map_err(|_| CommandError::type_error(format!("invalid IP '{text}'")))
}

fn unknown_number(what: &str, number: u8) -> CommandError {
    CommandError::type_error(format!("unknown {what} {number}"))
}

/// Absent when there is no text or it is empty.
fn optional_text(builder: &mut Builder, text: Option<&str>) -> Option<Text> {
    text.filter(|text| !text.is_empty()).map(|text| builder.create_string(text))
}

/// Always present, `""` for none.
fn present_text(builder: &mut Builder, text: Option<&str>) -> Option<Text> {
    Some(builder.create_string(text.unwrap_or_default()))
}

fn texts<T: AsRef<str>>(builder: &mut Builder, texts: &[T]) -> Tables<&'static str> {
    tables(builder, texts, |builder, text| builder.create_string(text.as_ref()))
}

/// A vector of what `encode` makes of each item.
fn tables<T, O: 'static>(
    builder: &mut Builder,
    items: &[T],
    mut encode: impl FnMut(&mut Builder, &T) -> WIPOffset<O>,
) -> Tables<O> {
    let offsets: Vec<_> = items.iter().map(|item| encode(builder, item)).collect();
    builder.create_vector(&offsets)
}

/// A vector of bytes, copied at once: the builder's own writes them one by one. A zero follows it, which nobody reads.
fn bytes(builder: &mut Builder, bytes: &[u8]) -> WIPOffset<Vector<'static, u8>> {
    WIPOffset::new(builder.create_byte_string(bytes).value())
}

/// The MIME type in the spelling dumps use; an unknown one as given, for the shard to refuse.
fn canonical_mime_type(text: &str) -> Cow<'_, str> {
    match text.parse::<ringsoup_rtc::codec::MimeType>() {
        Ok(mime_type) => Cow::Owned(mime_type.to_string()),
        Err(_) => Cow::Borrowed(text),
    }
}
