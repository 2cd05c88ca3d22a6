//! What controllers before 3.13.0 say, in any framing and of any version: read or refused, and answered whenever a number
//! can be read. The first byte chooses the version, the second how many bytes are read at once.

#![no_main]

use std::sync::{LazyLock, Mutex};

use libfuzzer_sys::fuzz_target;
use ringsoup_control::channel::framing::Framing;
use ringsoup_control::channel::reader::{Fill, Frame, FrameReader};
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

fuzz_target!(|data: &[u8]| {
    let [choice, step, bytes @ ..] = data else { return };
    let chosen = usize::from(*choice) % VERSIONS.len();
    let version = VERSIONS[chosen];
    let kind = KINDS[usize::from(*step) % KINDS.len()];
    let mut decoders = DECODERS.lock().expect("nobody panics while holding it");
    let decoder = &mut decoders[chosen];
    // The message as it is, as a head, and as what comes out of a stream.
    drop(decoder.decode_of(bytes, &|_| kind));
    drop(decoder.decode_payload(bytes, data));
    drop(decoder.refuse_payload(bytes, "gone"));
    let framing = if version < Version::new(3, 9, 0) { Framing::Netstring } else { Framing::Length };
    let mut reader = FrameReader::new(framing, PAYLOAD_BYTES_MAX);
    for mut piece in bytes.chunks(usize::from(*step).max(1)) {
        while reader.fill(&mut piece).is_ok_and(|fill| fill == Fill::Read) {
            loop {
                let has_frame = reader.has_frame();
                match reader.next_frame() {
                    Frame::Whole(message) => {
                        assert!(message.len() <= PAYLOAD_BYTES_MAX);
                        drop(decoder.decode_of(message, &|_| kind));
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
