//! RTP views against `rtc-rtp`.

use bytes::Bytes;
use proptest::collection::vec;
use proptest::prelude::*;
use ringsoup_rtc::rtp::{RtpPacket, RtpWriter};
use rtc_shared::marshal::{Marshal, Unmarshal};

#[derive(Debug, Clone)]
struct Fields {
    head: (u8, u16, u32, u32, bool),
    csrcs: Vec<u32>,
    /// By id, each once.
    extensions: Vec<(u8, Vec<u8>)>,
    payload: Vec<u8>,
    padding: u8,
}

/// Ids and values that fit one form of RFC 8285 throughout, so that both sides choose the same.
fn extensions() -> impl Strategy<Value = Vec<(u8, Vec<u8>)>> {
    let one_byte = vec((1..15_u8, vec(any::<u8>(), 1..=16)), 0..6);
    let two_byte = vec((1..=255_u8, vec(any::<u8>(), 17..40)), 1..4);
    prop_oneof![one_byte, two_byte].prop_map(|mut elements| {
        elements.sort_by_key(|element| element.0);
        elements.dedup_by_key(|element| element.0);
        elements
    })
}

fn fields() -> impl Strategy<Value = Fields> {
    let head = (0..128_u8, any::<u16>(), any::<u32>(), any::<u32>(), any::<bool>());
    let payload = vec(any::<u8>(), 0..1200);
    (head, vec(any::<u32>(), 0..16), extensions(), payload, any::<u8>()).prop_map(
        |(head, csrcs, extensions, payload, padding)| Fields { head, csrcs, extensions, payload, padding },
    )
}

fn ours(fields: &Fields) -> Vec<u8> {
    let (payload_type, sequence_number, timestamp, ssrc, marker) = fields.head;
    let csrcs: Vec<u8> = fields.csrcs.iter().flat_map(|csrc| csrc.to_be_bytes()).collect();
    let writer = RtpWriter::new(payload_type, sequence_number, timestamp, ssrc)
        .marker(marker)
        .csrcs(&csrcs)
        .payload(&fields.payload)
        .padding(fields.padding);
    let writer = fields.extensions.iter().fold(writer, |writer, (id, value)| writer.extension(*id, value));
    writer.to_vec().expect("the fields are valid")
}

proptest! {
    #[test]
    fn both_read_the_same_packet(fields in fields()) {
        let wire = ours(&fields);
        let own = RtpPacket::parse(&wire).unwrap();
        let other = rtc_rtp::Packet::unmarshal(&mut Bytes::from(wire.clone())).unwrap();
        let header = &other.header;
        prop_assert_eq!(own.payload_type(), header.payload_type);
        prop_assert_eq!(own.marker(), header.marker);
        prop_assert_eq!(own.sequence_number(), header.sequence_number);
        prop_assert_eq!(own.timestamp(), header.timestamp);
        prop_assert_eq!(own.ssrc(), header.ssrc);
        prop_assert_eq!(own.csrcs().collect::<Vec<_>>(), header.csrc.clone());
        prop_assert_eq!(own.payload(), &other.payload[..]);
        prop_assert_eq!(own.payload(), &fields.payload[..]);
        let elements: Vec<_> = own.extensions().map(|(id, value)| (id, value.to_vec())).collect();
        let others: Vec<_> =
            header.extensions.iter().map(|element| (element.id, element.payload.to_vec())).collect();
        prop_assert_eq!(&elements, &others);
        prop_assert_eq!(elements, fields.extensions);
    }

    #[test]
    fn we_read_what_the_other_writes(fields in fields()) {
        let wire = ours(&fields);
        let other = rtc_rtp::Packet::unmarshal(&mut Bytes::from(wire)).unwrap();
        let mut header = other.header.clone();
        header.padding = false;
        let packet = rtc_rtp::Packet { header, payload: other.payload };
        let written = packet.marshal().unwrap();
        let own = RtpPacket::parse(&written).unwrap();
        prop_assert_eq!(own.payload(), &fields.payload[..]);
        prop_assert_eq!(own.ssrc(), fields.head.3);
        let elements: Vec<_> = own.extensions().map(|(id, value)| (id, value.to_vec())).collect();
        prop_assert_eq!(elements, fields.extensions);
    }

    /// Where the other reads a packet at all, header and payload end where ours do.
    #[test]
    fn random_bytes_are_cut_alike(mut bytes in vec(any::<u8>(), 12..80)) {
        // Version 2 without extension: the other side loses count of those (see above).
        bytes[0] = bytes[0] & 0x2f | 0x80;
        let own = RtpPacket::parse(&bytes);
        let other = rtc_rtp::Packet::unmarshal(&mut Bytes::from(bytes.clone()));
        // Zero bytes of padding is a lie that the other believes (RFC 3550 section 5.1: the count includes itself).
        let lies = bytes[0] & 0x20 != 0 && bytes.last() == Some(&0);
        if let (Ok(other), false) = (&other, lies) {
            prop_assert_eq!(own.unwrap().payload(), &other.payload[..]);
        } else {
            prop_assert!(own.is_err());
        }
    }
}
