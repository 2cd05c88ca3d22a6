//! What the worker says, as the texts that JSON controllers read.

use ringsoup_sfu::event::Event;
use serde_json::{Map, Value, json};

use super::tell::Teller;
use crate::version::Version;

/// Writes texts into a buffer that is reused.
pub(in crate::wire) struct JsonEncoder {
    teller: Teller,
    text: Vec<u8>,
}

impl JsonEncoder {
    pub(in crate::wire) fn new(version: Version) -> Self {
        Self { teller: Teller::new(version), text: Vec::new() }
    }

    /// A frame of the newest layout; `None` when there is no word for it.
    pub(in crate::wire) fn tell(&mut self, frame: &[u8]) -> Option<&[u8]> {
        let message = self.teller.tell(frame)?;
        self.write(&message)
    }

    /// The head of a packet.
    pub(in crate::wire) fn head(&mut self, packet: &Packet<'_>) -> Option<&[u8]> {
        let mut told = Map::new();
        told.insert("targetId".to_owned(), Value::from(packet.target));
        told.insert("event".to_owned(), Value::from(packet.event));
        if let Some(ppid) = packet.ppid {
            told.insert("data".to_owned(), json!({ "ppid": ppid }));
        }
        self.write(&Value::Object(told))
    }

    fn write(&mut self, message: &Value) -> Option<&[u8]> {
        self.text.clear();
        // Neither a vector nor a JSON value can fail to be written.
        serde_json::to_writer(&mut self.text, message).ok()?;
        Some(&self.text)
    }
}

/// An event whose bytes follow it on the payload channel. It takes no way through the newest layout: each is a packet
/// or a message of a direct transport.
pub(in crate::wire) struct Packet<'a> {
    target: &'a str,
    event: &'static str,
    ppid: Option<u32>,
    pub(in crate::wire) payload: &'a [u8],
}

impl<'a> Packet<'a> {
    pub(in crate::wire) fn of(event: &'a Event) -> Option<Self> {
        let (target, event, ppid, payload) = match event {
            Event::ConsumerRtp { consumer, data } => (consumer, "rtp", None, &data[..]),
            Event::DirectTransportRtcp { transport, data } => (transport, "rtcp", None, &data[..]),
            Event::DataConsumerMessage { data_consumer, message } => {
                (data_consumer, "message", Some(message.ppid), &message.payload[..])
            }
            _ => return None,
        };
        Some(Self { target, event, ppid, payload })
    }
}
