//! What the peer sends until a handshake is done, put together flight by flight.
//!
//! OpenSSL is shown a flight when all of it is there, in order, each message in one piece and once. It then never holds
//! fragments: what a stranger can make us hold is bounded here. And it reads only where it will go on, so that it never
//! waits by its own clock.

use ringsoup_rtc::dtls::Role;

use crate::message::{Message, write_header};
use crate::record::{ContentType, FRAGMENT_HEADER_LEN, Record, fragments};

/// Bytes of one message: one record. A chain of a dozen certificates has less.
const MESSAGE_MAX: usize = (1 << 14) - FRAGMENT_HEADER_LEN;

/// Bytes of all messages that are being put together, by the lengths they claim. What would go beyond is dropped, and
/// comes again.
const MESSAGES_MAX: usize = 24 << 10;

/// How far ahead of the first message that is missing one may be: no flight has more.
const AHEAD_MAX: u16 = 8;

/// Bytes of the body of an encrypted record that can be Finished: 12 of header, 12 of its own, and a tag of 16.
const FINISHED_MIN: usize = 40;

/// Bytes of encrypted records that came before the rest of their flight.
const SEALED_MAX: usize = 4 << 10;

/// Handshake message types (RFC 5246 section 7.4, RFC 6347 section 4.3.2).
const CLIENT_HELLO: u8 = 1;
const HELLO_VERIFY_REQUEST: u8 = 3;
const CERTIFICATE: u8 = 11;
const SERVER_HELLO_DONE: u8 = 14;
const CERTIFICATE_VERIFY: u8 = 15;
const CLIENT_KEY_EXCHANGE: u8 = 16;

/// Bytes of a Certificate message with no certificate in it.
const NO_CERTIFICATE_LEN: usize = 3;

/// What the peer's next flight ends with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    /// Hello messages: ClientHello, or what a server says up to ServerHelloDone.
    Hello,
    /// ChangeCipherSpec and Finished.
    Finished,
}

#[derive(Debug)]
pub(crate) struct Flight {
    /// The peer's.
    role: Role,
    end: End,
    /// Of the first message that OpenSSL has not been shown.
    next_sequence: u16,
    /// Ordered by sequence number.
    messages: Vec<Message>,
    /// Version in the peer's ChangeCipherSpec record.
    change_cipher_spec: Option<[u8; 2]>,
    /// Encrypted records, one behind the other.
    sealed: Vec<u8>,
    /// Whether one of them can be Finished.
    is_finished_there: bool,
    /// Of the records that OpenSSL is shown.
    record_sequence: u64,
}

impl Flight {
    pub(crate) fn new(peer: Role) -> Self {
        Self {
            role: peer,
            end: End::Hello,
            next_sequence: 0,
            messages: Vec::new(),
            change_cipher_spec: None,
            sealed: Vec::new(),
            is_finished_there: false,
            record_sequence: 0,
        }
    }

    /// What does not belong to this flight is dropped: what is meant comes again.
    pub(crate) fn add(&mut self, record: &Record<'_>) {
        match (record.epoch, record.content) {
            (0, ContentType::Handshake) => self.add_fragments(record),
            (0, ContentType::ChangeCipherSpec) if self.end == End::Finished && record.body == [1] => {
                self.change_cipher_spec = Some(record.version);
            }
            (1, content) if self.has_room_for_sealed(record) => {
                self.is_finished_there |= content == ContentType::Handshake;
                self.sealed.extend_from_slice(record.bytes);
            }
            _ => {}
        }
    }

    fn has_room_for_sealed(&self, record: &Record<'_>) -> bool {
        self.end == End::Finished
            && record.body.len() >= FINISHED_MIN
            && self.sealed.len() + record.bytes.len() <= SEALED_MAX
    }

    fn add_fragments(&mut self, record: &Record<'_>) {
        for fragment in fragments(record.body) {
            if fragment.sequence.wrapping_sub(self.next_sequence) >= AHEAD_MAX {
                continue;
            }
            let place = self.messages.partition_point(|message| message.sequence < fragment.sequence);
            match self.messages.get_mut(place) {
                Some(message) if message.sequence == fragment.sequence => message.add(&fragment),
                _ => {
                    let held: usize = self.messages.iter().map(Message::len).sum();
                    if fragment.message_len <= MESSAGE_MAX && held + fragment.message_len <= MESSAGES_MAX {
                        self.messages.insert(place, Message::new(record.version, &fragment));
                    }
                }
            }
        }
    }

    /// Messages that are whole and follow one another.
    fn run(&self) -> &[Message] {
        let sequences = self.next_sequence..;
        let whole = self
            .messages
            .iter()
            .zip(sequences)
            .take_while(|(message, sequence)| message.sequence == *sequence && message.is_complete());
        &self.messages[..whole.count()]
    }

    /// How many messages end the flight, where it is all there.
    fn whole_len(&self) -> Option<usize> {
        let run = self.run();
        match self.end {
            End::Hello => {
                let is_last = |message: &Message| match self.role {
                    Role::Client => message.kind == CLIENT_HELLO,
                    _ => matches!(message.kind, SERVER_HELLO_DONE | HELLO_VERIFY_REQUEST),
                };
                run.iter().position(is_last).map(|index| index + 1)
            }
            End::Finished => {
                let is_there = self.change_cipher_spec.is_some() && self.is_finished_there;
                (is_there && self.is_key_exchange_whole(run)).then_some(run.len())
            }
        }
    }

    /// Whether nothing is missing in front of ChangeCipherSpec. It has no number of its own.
    fn is_key_exchange_whole(&self, run: &[Message]) -> bool {
        let shows_certificate =
            |message: &Message| message.kind == CERTIFICATE && message.len() > NO_CERTIFICATE_LEN;
        match (self.role, run.last().map(|message| message.kind)) {
            (Role::Server, _) | (_, Some(CERTIFICATE_VERIFY)) => true,
            (_, Some(CLIENT_KEY_EXCHANGE)) => !run.iter().any(shows_certificate),
            // It was shown before, and what came for Finished was none.
            (_, None) => self.is_key_exchange_shown(),
            _ => false,
        }
    }

    const fn is_key_exchange_shown(&self) -> bool {
        self.next_sequence > 1
    }

    /// Whether the peer has said something that was worth keeping.
    pub(crate) const fn holds_something(&self) -> bool {
        !self.messages.is_empty() || !self.sealed.is_empty()
    }

    /// Whether OpenSSL can be shown it.
    pub(crate) fn is_whole(&self) -> bool {
        self.whole_len().is_some()
    }

    /// Moves the flight, once it is all there, to where OpenSSL reads.
    pub(crate) fn take(&mut self, out: &mut Vec<u8>) -> bool {
        let Some(len) = self.whole_len() else { return false };
        let last = len.checked_sub(1).map(|index| self.messages[index].kind);
        for message in self.messages.drain(..len) {
            message.write(self.record_sequence, out);
            self.record_sequence += 1;
            self.next_sequence = self.next_sequence.wrapping_add(1);
        }
        match self.end {
            End::Hello if last == Some(HELLO_VERIFY_REQUEST) => {}
            End::Hello => self.end = End::Finished,
            End::Finished => {
                let version = self.change_cipher_spec.unwrap_or_default();
                write_header(ContentType::ChangeCipherSpec, version, self.record_sequence, 1, out);
                out.push(1);
                self.record_sequence += 1;
                out.append(&mut self.sealed);
                self.is_finished_there = false;
            }
        }
        true
    }
}
