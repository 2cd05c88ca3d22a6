//! What controllers before 3.13.0 say, in any framing and of any version: read or refused, and answered whenever a number
//! can be read at its front. The first byte chooses the version, the second how many bytes are read at once.
//!
//! Versions change within a run: every version reads the message after the chosen one, which then reads it again and must
//! find the same; and each message of the stream is the next version's.

#![no_main]

use std::sync::{LazyLock, Mutex};

use libfuzzer_sys::fuzz_target;
use ringsoup_control::channel::framing::Framing;
use ringsoup_control::channel::reader::{Fill, Frame, FrameReader};
use ringsoup_control::message::{DecodeError, Incoming, Lane, RequestId};
use ringsoup_control::registry::Kind;
use ringsoup_control::version::Version;
use ringsoup_control::wire::Decoder;

const VERSIONS: [Version; 5] = [
    Version::new(3, 8, 4),
    Version::new(3, 9, 17),
    Version::new(3, 10, 5),
    Version::new(3, 10, 6),
    Version::new(3, 12, 16),
];
/// Kinds that decide what a request is.
const KINDS: [Option<Kind>; 4] =
    [Some(Kind::PlainTransport), Some(Kind::PipeTransport), Some(Kind::WebRtcTransport), None];
/// Longest message, bytes: small, so that longer ones are met.
const PAYLOAD_BYTES_MAX: usize = 4096;

/// One for each version: they are made of the schemas.
static DECODERS: LazyLock<Mutex<Vec<Decoder>>> =
    LazyLock::new(|| Mutex::new(VERSIONS.map(Decoder::speaking_json).into()));

/// Since this one fields stand between colons.
const TEXT: Version = Version::new(3, 10, 6);

/// The number that stands as the first thing of a message, as every library writes it. What comes behind it may be
/// anything, but for another number: of two the last one counts, and its name can be written in other ways.
fn number_at_front(version: Version, lane: Lane, message: &[u8]) -> Option<RequestId> {
    let (front, ends): (&[u8], &[u8]) = match (version >= TEXT, lane) {
        (true, Lane::Channel) => (b"", b":"),
        (true, Lane::PayloadChannel) => (b"r:", b":"),
        (false, _) => (br#"{"id":"#, b",}"),
    };
    let rest = message.strip_prefix(front)?;
    let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let (digits, behind) = rest.split_at(digits);
    let is_ended = match behind.first() {
        Some(end) => ends.contains(end),
        None => version >= TEXT,
    };
    let has = |part: &[u8]| behind.windows(part.len()).any(|found| found == part);
    if !is_ended || (version < TEXT && (has(br#""id""#) || has(br"\u"))) {
        return None;
    }
    let number = std::str::from_utf8(digits).ok()?.parse().ok()?;
    Some(RequestId { number, lane })
}

/// What is answered.
fn answered(read: &Result<Incoming, DecodeError>) -> Option<RequestId> {
    match read {
        Ok(Incoming::Request(request)) => Some(request.id),
        Ok(Incoming::Notification(_)) => None,
        Err(error) => error.request_id,
    }
}

/// The message on either channel: what is made of it.
fn read(
    decoder: &mut Decoder,
    version: Version,
    message: &[u8],
    kind: Option<Kind>,
    payload: &[u8],
) -> String {
    let told = decoder.decode_of(message, &|_| kind);
    let of_payload = decoder.decode_payload(message, payload);
    let refused = Err(decoder.refuse_payload(message, "gone"));
    for (lane, read) in
        [(Lane::Channel, &told), (Lane::PayloadChannel, &of_payload), (Lane::PayloadChannel, &refused)]
    {
        if let Some(id) = number_at_front(version, lane, message) {
            assert_eq!(answered(read), Some(id), "{version:?} {}", String::from_utf8_lossy(message));
        }
    }
    format!("{told:?} {of_payload:?} {refused:?}")
}

fuzz_target!(|data: &[u8]| {
    let [choice, step, bytes @ ..] = data else { return };
    let chosen = usize::from(*choice) % VERSIONS.len();
    let kind = KINDS[usize::from(*step) % KINDS.len()];
    let mut decoders = DECODERS.lock().expect("nobody panics while holding it");
    // The message as it is, as a head, and as what comes out of a stream.
    let first = read(&mut decoders[chosen], VERSIONS[chosen], bytes, kind, data);
    for (decoder, version) in decoders.iter_mut().zip(VERSIONS) {
        read(decoder, version, bytes, kind, data);
    }
    assert_eq!(read(&mut decoders[chosen], VERSIONS[chosen], bytes, kind, data), first);
    let framing = if VERSIONS[chosen] < Version::new(3, 9, 0) { Framing::Netstring } else { Framing::Length };
    let mut reader = FrameReader::new(framing, PAYLOAD_BYTES_MAX);
    let mut speaks = (0..VERSIONS.len()).cycle().skip(chosen);
    for mut piece in bytes.chunks(usize::from(*step).max(1)) {
        while reader.fill(&mut piece).is_ok_and(|fill| fill == Fill::Read) {
            loop {
                let has_frame = reader.has_frame();
                match reader.next_frame() {
                    Frame::Whole(message) => {
                        assert!(message.len() <= PAYLOAD_BYTES_MAX);
                        let speaks = speaks.next().unwrap_or(chosen);
                        read(&mut decoders[speaks], VERSIONS[speaks], message, kind, data);
                    }
                    Frame::TooLong(_) | Frame::Nonsense(_) => {}
                    Frame::Partial => {
                        assert!(!has_frame);
                        break;
                    }
                }
                assert!(has_frame);
            }
        }
    }
});
