//! The packets of one producer stream, kept once for all of its consumers to be sent again from.
//!
//! ```text
//! index    by low bits of the sequence number ──▶ ordinal of a record
//! records  in order of arrival, oldest first: sequence number, time, where its bytes are
//! bytes    a ring; positions only ever grow, the place in memory is position mod capacity
//!
//!            oldest record                 newest record   head
//!  bytes  ───────┤ ext │ payload ┤ …  ┤ ext │ payload ┤ · · · │ (older bytes, overwritten next)
//! ```
//!
//! A packet's bytes never straddle the ring's end, so that they come back as plain slices. Index
//! and bytes double while the packets they would overwrite are still young, up to fixed bounds;
//! after that an insertion is two copies and no allocation.

use std::collections::VecDeque;
use std::time::Duration;

use crate::codec::Kept;
use crate::time::Time;

/// Distance, in sequence numbers, between the newest packet and the oldest kept.
pub const PACKETS_MAX: u64 = 2_500;

/// Memory for the bytes of one stream: two seconds of 32 Mbit/s. Beyond it the oldest go first.
pub const BYTES_MAX: usize = 8 << 20;

/// How long video is kept: a decoder that has waited longer has asked for a key frame.
pub const AGE_MAX_VIDEO: Duration = Duration::from_millis(2_000);

/// How long audio is kept: later than that it cannot be played any more.
pub const AGE_MAX_AUDIO: Duration = Duration::from_millis(1_000);

/// First allocations: a second of speech. Powers of two, as everything they double into.
const BYTES_INITIAL: usize = 8 << 10;
const INDEX_INITIAL: usize = 64;

/// The power of two that holds `PACKETS_MAX`.
const INDEX_MAX: usize = 4_096;

const _: () = assert!(INDEX_MAX as u64 >= PACKETS_MAX && INDEX_MAX.is_power_of_two());
const _: () = assert!(BYTES_MAX.is_power_of_two() && BYTES_INITIAL.is_power_of_two());

/// What a retransmission needs of a received packet. The rest of its header is the consumer's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HistoryPacket<'a> {
    pub marker: bool,
    pub timestamp: u32,
    /// Header extension elements, in the form that the next field tells.
    pub extension: &'a [u8],
    /// The elements are in the two-byte form (RFC 8285 §4.3).
    pub two_byte: bool,
    /// As it was sent: a stream may change its codec.
    pub payload_type: u8,
    pub kept: Kept,
    pub payload: &'a [u8],
}

impl HistoryPacket<'_> {
    /// Stands for a packet that nobody gets: its number is taken, and there is nothing to send.
    pub const GAP: Self = Self {
        marker: false,
        timestamp: 0,
        extension: &[],
        two_byte: false,
        payload_type: 0,
        kept: Kept::Nothing,
        payload: &[],
    };

    /// Media always has a payload.
    pub fn is_gap(&self) -> bool {
        self.payload.is_empty()
    }
}

/// What became of a packet given to `insert`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Inserted {
    Stored,
    /// The number is taken; the first packet with it stays.
    Duplicate,
    /// `PACKETS_MAX` or more behind the newest.
    TooOld,
    /// Larger than any RTP packet a datagram can hold.
    TooLarge,
}

#[derive(Debug, Clone, Copy)]
struct Record {
    seq: u64,
    received_at: Time,
    /// Position of the first byte; the extension comes first, then the payload.
    position: u64,
    timestamp: u32,
    extension_len: u16,
    payload_len: u16,
    marker: bool,
    two_byte: bool,
    payload_type: u8,
    kept: Kept,
}

impl Record {
    fn len(&self) -> usize {
        usize::from(self.extension_len) + usize::from(self.payload_len)
    }
}

/// Received packets of one stream, by extended sequence number.
#[derive(Debug, Clone)]
pub struct PacketHistory {
    age_max: Duration,
    newest: u64,
    /// Ordinals of records, by the low bits of sequence numbers. Entries may be stale: a record
    /// is right when its sequence number is.
    index: Vec<u32>,
    records: VecDeque<Record>,
    /// Ordinal of the first of `records`, modulo 2^32.
    first_ordinal: u32,
    bytes: Vec<u8>,
    /// Position after the last byte written.
    head: u64,
}

impl PacketHistory {
    /// `age_max`: `AGE_MAX_VIDEO` or `AGE_MAX_AUDIO`. Allocates with the first packet.
    pub fn new(age_max: Duration) -> Self {
        Self {
            age_max,
            newest: 0,
            index: Vec::new(),
            records: VecDeque::new(),
            first_ordinal: 0,
            bytes: Vec::new(),
            head: 0,
        }
    }

    /// Keeps a copy of `packet` under `seq`.
    pub fn insert(&mut self, now: Time, seq: u64, packet: &HistoryPacket<'_>) -> Inserted {
        let lens = (u16::try_from(packet.extension.len()), u16::try_from(packet.payload.len()));
        let (Ok(extension_len), Ok(payload_len)) = lens else {
            return Inserted::TooLarge;
        };
        if self.records.is_empty() {
            self.newest = seq;
        }
        if self.is_behind(seq) {
            return Inserted::TooOld;
        }
        if self.find(seq).is_some_and(|record| self.has_bytes_of(&record)) {
            return Inserted::Duplicate;
        }
        self.newest = self.newest.max(seq);
        self.forget_old(now);
        self.make_index_room(seq);
        let record = Record {
            seq,
            received_at: now,
            position: self.make_byte_room(usize::from(extension_len) + usize::from(payload_len)),
            timestamp: packet.timestamp,
            extension_len,
            payload_len,
            marker: packet.marker,
            two_byte: packet.two_byte,
            payload_type: packet.payload_type,
            kept: packet.kept,
        };
        self.write(record, packet);
        Inserted::Stored
    }

    /// The packet stored under `seq`, unless it is gone or older than the age allowed.
    pub fn get(&self, now: Time, seq: u64) -> Option<HistoryPacket<'_>> {
        let record = self.find(seq)?;
        if self.is_useless(&record, now) || !self.has_bytes_of(&record) {
            return None;
        }
        let start = self.place(record.position);
        let bytes = self.bytes.get(start..start + record.len())?;
        let (extension, payload) = bytes.split_at_checked(usize::from(record.extension_len))?;
        Some(HistoryPacket {
            marker: record.marker,
            timestamp: record.timestamp,
            two_byte: record.two_byte,
            payload_type: record.payload_type,
            kept: record.kept,
            extension,
            payload,
        })
    }

    /// More is known of a stored packet.
    pub fn keep_as(&mut self, seq: u64, kept: Kept) {
        if let Some(record) = self.place_of(seq).and_then(|place| self.records.get_mut(place)) {
            record.kept = kept;
        }
    }

    /// The newest packet's number when it is higher.
    pub fn newer_than(&self, seq: u64) -> Option<u64> {
        (!self.records.is_empty() && self.newest > seq).then_some(self.newest)
    }

    /// Packets kept, the overwritten but not yet forgotten ones included.
    pub fn len(&self) -> usize {
        self.records.len()
    }

    pub fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// Bytes of the packets kept: extensions, payloads and what lies between packets at the ring's end.
    pub fn kept_bytes(&self) -> u64 {
        let oldest = self.records.front().map_or(self.head, |oldest| oldest.position);
        (self.head - oldest).min(self.bytes.len() as u64)
    }

    /// Forgets all packets and gives the memory back, for a stream that pauses or restarts.
    pub fn clear(&mut self) {
        *self = Self::new(self.age_max);
    }

    /// Bytes held, bookkeeping included.
    pub fn memory(&self) -> usize {
        self.bytes.capacity()
            + self.index.capacity() * size_of::<u32>()
            + self.records.capacity() * size_of::<Record>()
    }

    fn find(&self, seq: u64) -> Option<Record> {
        self.records.get(self.place_of(seq)?).copied()
    }

    fn place_of(&self, seq: u64) -> Option<usize> {
        let ordinal = self.index.get(slot(seq, self.index.len()))?;
        let place = usize::try_from(ordinal.wrapping_sub(self.first_ordinal)).ok()?;
        self.records.get(place).is_some_and(|record| record.seq == seq).then_some(place)
    }

    fn is_behind(&self, seq: u64) -> bool {
        self.newest.saturating_sub(seq) >= PACKETS_MAX
    }

    fn is_useless(&self, record: &Record, now: Time) -> bool {
        self.is_behind(record.seq) || now.saturating_since(record.received_at) > self.age_max
    }

    /// Whether nothing has been written over the record's bytes.
    fn has_bytes_of(&self, record: &Record) -> bool {
        self.head - record.position <= self.bytes.len() as u64
    }

    #[allow(clippy::cast_possible_truncation, reason = "masked to the capacity")]
    fn place(&self, position: u64) -> usize {
        position as usize & self.bytes.len().saturating_sub(1)
    }

    fn forget_old(&mut self, now: Time) {
        while let Some(oldest) = self.records.front() {
            if !self.is_useless(oldest, now) && self.has_bytes_of(oldest) {
                break;
            }
            self.records.pop_front();
            self.first_ordinal = self.first_ordinal.wrapping_add(1);
        }
    }

    /// Doubles the index while `seq` would displace a packet that can still be asked for.
    fn make_index_room(&mut self, seq: u64) {
        if self.index.is_empty() {
            self.index = vec![0; INDEX_INITIAL];
        }
        while self.index.len() < INDEX_MAX && self.displaces(seq) {
            self.index = vec![0; self.index.len() * 2];
            let (len, newest) = (self.index.len(), self.newest);
            let is_kept = |record: &Record| newest.saturating_sub(record.seq) < PACKETS_MAX;
            for (offset, record) in (0u32..).zip(&self.records).filter(|(_, record)| is_kept(record)) {
                if let Some(entry) = self.index.get_mut(slot(record.seq, len)) {
                    *entry = self.first_ordinal.wrapping_add(offset);
                }
            }
        }
    }

    fn displaces(&self, seq: u64) -> bool {
        let place = slot(seq, self.index.len());
        let Some(ordinal) = self.index.get(place) else {
            return false;
        };
        let offset = ordinal.wrapping_sub(self.first_ordinal);
        let record = usize::try_from(offset).ok().and_then(|offset| self.records.get(offset));
        record.is_some_and(|record| {
            slot(record.seq, self.index.len()) == place && record.seq != seq && !self.is_behind(record.seq)
        })
    }

    /// Position where `len` bytes fit in one piece, doubling the ring while it would lose packets
    /// that `forget_old` left.
    fn make_byte_room(&mut self, len: usize) -> u64 {
        loop {
            let capacity = self.bytes.len();
            let place = self.place(self.head);
            let skipped = if place + len > capacity { capacity - place } else { 0 };
            let position = self.head + skipped as u64;
            let lost_before = (position + len as u64).saturating_sub(capacity as u64);
            let keeps_all = self.records.front().is_none_or(|oldest| oldest.position >= lost_before);
            if len <= capacity && (keeps_all || capacity >= BYTES_MAX) {
                return position;
            }
            self.double_bytes();
        }
    }

    /// Positions stay; what is at `position mod capacity` moves to `position mod 2·capacity`.
    fn double_bytes(&mut self) {
        let capacity = self.bytes.len();
        let mut doubled = vec![0; (capacity * 2).max(BYTES_INITIAL)];
        if capacity > 0 {
            // The lap the head is in lies below it, the rest is left from the lap before.
            let done = self.place(self.head);
            let is_upper_half = (self.head / capacity as u64) % 2 == 1;
            let (this_lap, lap_before) = doubled.split_at_mut(capacity);
            let (this_lap, lap_before) =
                if is_upper_half { (lap_before, this_lap) } else { (this_lap, lap_before) };
            this_lap[..done].copy_from_slice(&self.bytes[..done]);
            lap_before[done..capacity].copy_from_slice(&self.bytes[done..]);
        }
        self.bytes = doubled;
    }

    fn write(&mut self, record: Record, packet: &HistoryPacket<'_>) {
        let start = self.place(record.position);
        let Some(bytes) = self.bytes.get_mut(start..start + record.len()) else {
            debug_assert!(false, "room was made for the record");
            return;
        };
        let (extension, payload) = bytes.split_at_mut(packet.extension.len());
        extension.copy_from_slice(packet.extension);
        payload.copy_from_slice(packet.payload);
        self.head = record.position + record.len() as u64;
        let ordinal = self.first_ordinal.wrapping_add(u32::try_from(self.records.len()).unwrap_or(u32::MAX));
        self.records.push_back(record);
        let place = slot(record.seq, self.index.len());
        if let Some(entry) = self.index.get_mut(place) {
            *entry = ordinal;
        }
    }
}

/// Place of `seq` in an index of `len` entries, a power of two or zero.
#[allow(clippy::cast_possible_truncation, reason = "masked to the length")]
const fn slot(seq: u64, len: usize) -> usize {
    seq as usize & len.saturating_sub(1)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn more_may_be_known_of_a_packet_later() {
        let mut history = PacketHistory::new(AGE_MAX_VIDEO);
        history.keep_as(5, Kept::Early);
        let packet = |kept| HistoryPacket {
            marker: false,
            timestamp: 0,
            extension: &[],
            two_byte: false,
            payload_type: 96,
            kept,
            payload: &[1],
        };
        for seq in [5, 7, 6] {
            history.insert(Time::ZERO, seq, &packet(Kept::Early));
        }
        history.keep_as(7, Kept::Picture(3));
        history.keep_as(8, Kept::Picture(4));
        let kept = [5, 6, 7, 8].map(|seq| history.get(Time::ZERO, seq).map(|packet| packet.kept));
        assert_eq!(kept, [Some(Kept::Early), Some(Kept::Early), Some(Kept::Picture(3)), None]);
    }
    use proptest::prelude::*;

    fn ms(millis: u64) -> Time {
        Time::from_millis(millis)
    }

    fn packet<'a>(extension: &'a [u8], payload: &'a [u8]) -> HistoryPacket<'a> {
        HistoryPacket {
            two_byte: false,
            payload_type: 96,
            kept: Kept::Nothing,
            marker: true,
            timestamp: 7,
            extension,
            payload,
        }
    }

    #[test]
    fn gives_back_what_it_was_given() {
        let mut history = PacketHistory::new(AGE_MAX_VIDEO);
        assert_eq!(history.get(ms(0), 5), None);
        assert_eq!(history.insert(ms(0), 5, &packet(b"ext", b"payload")), Inserted::Stored);
        assert_eq!(history.insert(ms(0), 5, &packet(b"", b"other")), Inserted::Duplicate);
        assert_eq!(history.insert(ms(0), 6, &packet(b"", b"")), Inserted::Stored);
        assert_eq!(history.get(ms(0), 5), Some(packet(b"ext", b"payload")));
        assert_eq!(history.get(ms(0), 6), Some(packet(b"", b"")));
        assert_eq!(history.get(ms(0), 4), None);
    }

    #[test]
    fn tells_how_much_it_keeps() {
        let mut history = PacketHistory::new(AGE_MAX_AUDIO);
        assert_eq!(history.kept_bytes(), 0);
        history.insert(ms(0), 1, &packet(b"ext", b"payload"));
        history.insert(ms(500), 2, &packet(b"", &[1; 90]));
        assert_eq!(history.kept_bytes(), 100);
        history.insert(ms(1_200), 3, &packet(b"", &[1; 5]));
        assert_eq!(history.kept_bytes(), 95, "the first is too old");
        let payload = vec![1; 60_000];
        (4..1_000).for_each(|seq| {
            history.insert(ms(1_200), seq, &packet(b"", &payload));
        });
        assert!(history.kept_bytes() <= BYTES_MAX as u64);
    }

    #[test]
    fn the_newest_is_known_by_its_number() {
        let mut history = PacketHistory::new(AGE_MAX_VIDEO);
        assert_eq!(history.newer_than(0), None);
        history.insert(ms(0), 7, &packet(b"", b"a"));
        history.insert(ms(0), 5, &packet(b"", b"b"));
        assert_eq!((history.newer_than(6), history.newer_than(7)), (Some(7), None));
    }

    #[test]
    fn packets_age() {
        let mut history = PacketHistory::new(AGE_MAX_AUDIO);
        history.insert(ms(0), 1, &packet(b"", b"a"));
        assert!(history.get(ms(1_000), 1).is_some());
        assert!(history.get(ms(1_001), 1).is_none());
        history.insert(ms(2_000), 2, &packet(b"", b"b"));
        assert_eq!(history.len(), 1);
    }

    #[test]
    fn distance_is_bounded() {
        let mut history = PacketHistory::new(AGE_MAX_VIDEO);
        for seq in 0..3_000 {
            history.insert(ms(0), seq, &packet(b"", b"x"));
        }
        assert!(history.get(ms(0), 500).is_some());
        assert!(history.get(ms(0), 499).is_none());
        assert_eq!(history.insert(ms(0), 499, &packet(b"", b"x")), Inserted::TooOld);
        assert_eq!(history.len(), 2_500);
    }

    #[test]
    fn memory_is_bounded_and_the_newest_win() {
        let mut history = PacketHistory::new(AGE_MAX_VIDEO);
        let payload = vec![0xaa; 60_000];
        for seq in 0..300 {
            history.insert(ms(0), seq, &packet(b"", &payload));
        }
        assert!(history.memory() < BYTES_MAX + (1 << 20));
        assert!(history.get(ms(0), 0).is_none());
        let kept = (0..300).filter(|seq| history.get(ms(0), *seq).is_some()).count();
        assert!(kept >= 136, "{kept} of 139 that could fit");
        history.clear();
        assert_eq!((history.memory(), history.len()), (0, 0));
    }

    #[test]
    fn too_large_is_refused() {
        let mut history = PacketHistory::new(AGE_MAX_VIDEO);
        assert_eq!(history.insert(ms(0), 0, &packet(b"", &vec![0; 65_536])), Inserted::TooLarge);
        assert_eq!(history.insert(ms(0), 0, &packet(&vec![1; 65_535], &vec![2; 65_535])), Inserted::Stored);
        assert_eq!(history.get(ms(0), 0).unwrap().payload.len(), 65_535);
    }

    #[test]
    fn a_steady_stream_does_not_grow() {
        let mut history = PacketHistory::new(AGE_MAX_AUDIO);
        let mut settled = 0;
        for seq in 0..2_000u64 {
            history.insert(ms(seq * 20), seq, &packet(&[0; 8], &[1; 120]));
            if seq == 200 {
                settled = history.memory();
            }
        }
        assert_eq!(history.memory(), settled);
        assert!(settled < 16 << 10, "{settled}");
    }

    type Content = (u64, u32, bool, Vec<u8>, Vec<u8>);

    fn operations() -> impl Strategy<Value = Vec<(u64, u64, u64, usize, usize)>> {
        proptest::collection::vec((0u64..40, 0u64..20, 0u64..60, 0usize..40, 0usize..1_500), 1..400)
    }

    proptest! {
        /// As long as the bytes' bound is not reached, all packets within age and distance are
        /// there, byte by byte, and no others.
        #[test]
        fn agrees_with_a_map(operations in operations(), start in any::<u32>()) {
            let mut history = PacketHistory::new(AGE_MAX_VIDEO);
            let mut model: BTreeMap<u64, Content> = BTreeMap::new();
            let (mut now, mut newest) = (0, u64::from(start) + 10_000);
            for (index, (wait, ahead, behind, extension_len, payload_len)) in operations.into_iter().enumerate() {
                now += wait;
                let seq = newest + ahead - behind;
                let fill = (index % 256).to_le_bytes()[0];
                let (extension, payload) = (vec![fill; extension_len], vec![!fill; payload_len]);
                let (marker, timestamp) = (index % 3 == 0, u32::try_from(index).unwrap());
                let given = HistoryPacket { marker, timestamp, extension: &extension, two_byte: marker, payload_type: 96, kept: Kept::Nothing, payload: &payload };
                let inserted = history.insert(ms(now), seq, &given);
                if inserted == Inserted::Stored {
                    prop_assert!(model.get(&seq).is_none_or(|(at, ..)| now - at > 2_000));
                    model.insert(seq, (now, timestamp, marker, extension, payload));
                }
                newest = newest.max(seq);
            }
            for (seq, (at, timestamp, marker, extension, payload)) in &model {
                let kept = now - at <= 2_000 && newest - seq < PACKETS_MAX;
                let expected = HistoryPacket { marker: *marker, timestamp: *timestamp, extension, two_byte: *marker, payload_type: 96, kept: Kept::Nothing, payload };
                prop_assert_eq!(history.get(ms(now), *seq), kept.then_some(expected));
            }
        }

        /// Jumps, repetitions and large packets: what comes back is what was put in last, if
        /// anything does.
        #[test]
        fn never_gives_back_anything_else(
            operations in proptest::collection::vec((any::<u16>(), 0u64..300, any::<bool>()), 1..300),
        ) {
            let mut history = PacketHistory::new(AGE_MAX_VIDEO);
            let mut model = BTreeMap::new();
            let mut now = 0;
            for (value, wait, is_large) in operations {
                now += wait;
                let seq = u64::from(value) % 9_000;
                let payload = vec![value.to_le_bytes()[0]; usize::from(value) / if is_large { 1 } else { 100 }];
                if history.insert(ms(now), seq, &packet(&[], &payload)) == Inserted::Stored {
                    model.insert(seq, payload);
                }
                prop_assert!(history.len() as u64 <= 2 * PACKETS_MAX);
                for seq in [seq, seq ^ 1, seq + 64, seq.saturating_sub(64)] {
                    if let Some(found) = history.get(ms(now), seq) {
                        prop_assert_eq!(model.get(&seq).map(Vec::as_slice), Some(found.payload));
                    }
                }
            }
        }
    }
}
