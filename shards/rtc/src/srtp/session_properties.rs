//! What holds for any packet at all.

use proptest::prelude::*;

use super::test_support::{pair, protect_rtcp, rtcp, rtp, unprotect_rtcp, unprotect_rtp};
use super::{CryptoSuite, MAX_TRAILER_LEN};

fn any_suite() -> impl Strategy<Value = CryptoSuite> {
    prop::sample::select(CryptoSuite::ALL.to_vec())
}

/// An RTP header with any CSRC count and extension, and how long it is.
fn any_header() -> impl Strategy<Value = Vec<u8>> {
    let csrcs = prop::collection::vec(any::<u32>(), 0..16);
    let extension = prop::option::of(prop::collection::vec(any::<u32>(), 0..20));
    (csrcs, extension, any::<u16>(), any::<u32>()).prop_map(|(csrcs, extension, seq, ssrc)| {
        let mut header = rtp(ssrc, seq, &[]);
        header[0] |= u8::try_from(csrcs.len()).expect("below 16");
        header.extend(csrcs.iter().flat_map(|csrc| csrc.to_be_bytes()));
        if let Some(extension) = extension {
            header[0] |= 0x10;
            header.extend([0xbe, 0xde, 0, u8::try_from(extension.len()).expect("below 20")]);
            header.extend(extension.iter().flat_map(|word| word.to_be_bytes()));
        }
        header
    })
}

proptest! {
    #[test]
    fn rtp_round_trip(
        suite in any_suite(),
        header in any_header(),
        payload in prop::collection::vec(any::<u8>(), 0..1500),
        prefix_len in 0_usize..20,
    ) {
        let (mut outbound, mut inbound) = pair(suite);
        let packet = [header.as_slice(), &payload].concat();
        let mut in_place = packet.clone();
        in_place.resize(packet.len() + MAX_TRAILER_LEN, 0xaa);
        let len = outbound.protect_rtp(&mut in_place, header.len(), packet.len());
        prop_assert_eq!(len, Ok(packet.len() + suite.rtp_tag_len()));
        let len = len.expect("just compared");

        let mut into = header.clone();
        into.resize(len, 0xbb);
        let (prefix, body) = payload.split_at(prefix_len.min(payload.len()));
        prop_assert_eq!(outbound.protect_rtp_into(&mut into, header.len(), prefix, body), Ok(len));
        prop_assert_eq!(&in_place[..len], &into[..]);

        prop_assert_eq!(inbound.unprotect_rtp(&mut into), Ok(packet.len()));
        prop_assert_eq!(&into[..packet.len()], &packet[..]);
    }

    #[test]
    fn rtcp_round_trip(
        suite in any_suite(),
        ssrc in any::<u32>(),
        body in prop::collection::vec(any::<u8>(), 0..1500),
    ) {
        let (mut outbound, mut inbound) = pair(suite);
        let packet = rtcp(ssrc, &body);
        let protected = protect_rtcp(&mut outbound, &packet).expect("room");
        prop_assert_eq!(unprotect_rtcp(&mut inbound, &protected), Ok(packet));
    }

    #[test]
    fn arbitrary_bytes_are_refused(
        suite in any_suite(),
        mut packet in prop::collection::vec(any::<u8>(), 0..300),
        as_version_two in any::<bool>(),
    ) {
        if let Some(first) = packet.first_mut().filter(|_| as_version_two) {
            *first = 0x80 | *first & 0x3f;
        }
        let (_, mut inbound) = pair(suite);
        prop_assert!(unprotect_rtcp(&mut inbound, &packet).is_err());
        // One forgery in 2^32 passes the shortest tag; proptest makes 2^8.
        prop_assert!(unprotect_rtp(&mut inbound, &packet).is_err());
        prop_assert_eq!((inbound.rtp_ssrc_count(), inbound.rtcp_ssrc_count()), (0, 0));
    }

    #[test]
    fn protecting_arbitrary_bytes_never_panics(
        suite in any_suite(),
        mut buf in prop::collection::vec(any::<u8>(), 0..200),
        header_len in 0_usize..220,
        len in 0_usize..220,
    ) {
        let (mut outbound, _) = pair(suite);
        let _ = outbound.protect_rtp(&mut buf, header_len, len);
        let _ = outbound.protect_rtp_into(&mut buf, header_len, &[1, 2], &[3; 40]);
        let _ = outbound.protect_rtcp(&mut buf, len);
    }
}
