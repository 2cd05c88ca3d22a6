//! What a packet truly is, at the end of its payload, where no shard looks.

/// References of a frame: to its own layer and those below in time, and to the layer below in space.
pub(crate) const REFERENCES_MAX: usize = 4;

/// Tells a stamp from other bytes.
const MAGIC: u8 = 0x5a;

const NONE: u32 = u32::MAX;

pub(crate) const STAMP_BYTES: usize = 7 + 4 + 8 + 4 * REFERENCES_MAX + 1;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stamp {
    /// Which of the source's streams.
    pub(crate) stream: u8,
    pub(crate) spatial: u8,
    pub(crate) temporal: u8,
    /// Of a picture that refers to none before it.
    pub(crate) is_key: bool,
    /// Which of the frame's `count` packets.
    pub(crate) place: u8,
    pub(crate) count: u8,
    /// The frame's name within its stream.
    pub(crate) frame: u32,
    /// By the source's clock.
    pub(crate) captured_us: u64,
    pub(crate) references: [Option<u32>; REFERENCES_MAX],
}

impl Stamp {
    /// That of another packet of the frame.
    pub(crate) fn at(mut self, place: usize) -> Self {
        self.place = u8::try_from(place).expect("few");
        self
    }

    pub(crate) fn write(&self) -> Vec<u8> {
        let mut bytes =
            vec![MAGIC, self.stream, self.spatial, self.temporal, self.is_key.into(), self.place, self.count];
        bytes.extend(self.frame.to_be_bytes());
        bytes.extend(self.captured_us.to_be_bytes());
        for reference in self.references {
            bytes.extend(reference.unwrap_or(NONE).to_be_bytes());
        }
        bytes.push(check(&bytes));
        bytes
    }

    /// `None` when these are not the last bytes of a payload that was written whole.
    pub(crate) fn read(payload: &[u8]) -> Option<Self> {
        let bytes: &[u8; STAMP_BYTES] = payload.last_chunk()?;
        if bytes[0] != MAGIC || check(&bytes[..STAMP_BYTES - 1]) != bytes[STAMP_BYTES - 1] {
            return None;
        }
        let number = |at: usize| u32::from_be_bytes(bytes[at..at + 4].try_into().expect("four bytes"));
        Some(Self {
            stream: bytes[1],
            spatial: bytes[2],
            temporal: bytes[3],
            is_key: bytes[4] == 1,
            place: bytes[5],
            count: bytes[6],
            frame: number(7),
            captured_us: u64::from(number(11)) << 32 | u64::from(number(15)),
            references: std::array::from_fn(|index| {
                Some(number(19 + 4 * index)).filter(|frame| *frame != NONE)
            }),
        })
    }
}

fn check(bytes: &[u8]) -> u8 {
    bytes.iter().fold(0x1d, |sum: u8, byte| sum.rotate_left(3) ^ byte)
}

#[test]
fn what_is_written_is_read_and_damage_is_seen() {
    let stamp = Stamp {
        stream: 2,
        spatial: 1,
        temporal: 2,
        is_key: true,
        place: 3,
        count: 4,
        frame: 77,
        captured_us: 1 << 40 | 9,
        references: [Some(5), None, Some(0), None],
    };
    let payload = [&[1, 2, 3][..], &stamp.write()].concat();
    assert_eq!(Stamp::read(&payload), Some(stamp));
    for place in 3..payload.len() {
        let mut damaged = payload.clone();
        damaged[place] ^= 4;
        assert_eq!(Stamp::read(&damaged), None);
    }
}
