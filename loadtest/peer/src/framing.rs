//! Packets on a TCP connection: each behind its length in two bytes (RFC 4571).

/// Bytes of the length.
const HEADER_LEN: usize = 2;

/// Appends one packet. False, and nothing appended, if it is longer than the length can say.
pub fn frame(packet: &[u8], into: &mut Vec<u8>) -> bool {
    let Ok(length) = u16::try_from(packet.len()) else { return false };
    into.extend_from_slice(&length.to_be_bytes());
    into.extend_from_slice(packet);
    true
}

/// Takes packets out of a stream's bytes, however these are cut. Holds one packet and what was read behind it.
#[derive(Debug, Default)]
pub struct Deframer {
    bytes: Vec<u8>,
    /// Where what was not taken out begins.
    at: usize,
}

impl Deframer {
    pub fn push(&mut self, bytes: &[u8]) {
        self.bytes.drain(..self.at);
        self.at = 0;
        self.bytes.extend_from_slice(bytes);
    }

    /// The next packet, if all of it is there.
    pub fn next_packet(&mut self) -> Option<&mut [u8]> {
        let rest = self.bytes.get(self.at..)?;
        let (length, _) = rest.split_first_chunk::<HEADER_LEN>()?;
        let start = self.at + HEADER_LEN;
        let end = start + usize::from(u16::from_be_bytes(*length));
        let packet = self.bytes.get_mut(start..end)?;
        self.at = start + packet.len();
        Some(packet)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packets_come_out_whole_however_the_stream_is_cut() {
        let packets: [&[u8]; 4] = [b"one", b"", b"three", &[7; 1500]];
        let mut stream = Vec::new();
        for packet in packets {
            assert!(frame(packet, &mut stream));
        }
        for cut in [1, 2, 3, 5, 1000, stream.len()] {
            let mut deframer = Deframer::default();
            let mut found = Vec::new();
            for piece in stream.chunks(cut) {
                deframer.push(piece);
                while let Some(packet) = deframer.next_packet() {
                    found.push(packet.to_vec());
                }
            }
            assert_eq!(found, packets, "cut every {cut}");
        }
    }

    #[test]
    fn what_the_length_cannot_say_is_not_framed() {
        let mut stream = vec![1];
        assert!(!frame(&[0; 65_536], &mut stream));
        assert_eq!(stream, [1]);
        assert!(frame(&[0; 65_535], &mut stream));
    }
}
