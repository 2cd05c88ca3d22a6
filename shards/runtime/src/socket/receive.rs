//! What one receive completion carries: an address, a kernel timestamp and one datagram or a train.
//!
//! ```text
//! | namelen controllen payloadlen flags | name … | cmsg timestamp, cmsg UDP_GRO size | payload |
//! ```
//! The kernel wrote it, but nothing is believed: every length is checked, a buffer that makes no sense is
//! no datagram.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};
use std::time::Duration;

use crate::buffers::{CONTROL_BYTES, NAME_BYTES, OUT_BYTES, PAYLOAD_OFFSET};

/// `struct cmsghdr` on 64-bit Linux: length, level, type.
const CMSG_HEADER_BYTES: usize = 16;
const SCM_TIMESTAMPNS: i32 = libc::SCM_TIMESTAMPNS;
const UDP_GRO: i32 = 104;

/// A received buffer taken apart.
#[derive(Debug)]
pub(crate) struct Received<'a> {
    pub(crate) remote: SocketAddr,
    /// Since 1970; `None` where the kernel gave no timestamp.
    pub(crate) stamp: Option<Duration>,
    /// All datagrams in a row.
    pub(crate) payload: &'a mut [u8],
    /// Size of each datagram but the last, which may be shorter. At least 1.
    pub(crate) stride: usize,
}

/// `None` when the payload was cut off or the buffer makes no sense.
pub(crate) fn parse(buffer: &mut [u8]) -> Option<Received<'_>> {
    let (head, payload) = buffer.split_at_mut_checked(PAYLOAD_OFFSET)?;
    let control_len = read_u32(head, 4)? as usize;
    let payload_len = read_u32(head, 8)? as usize;
    let flags = read_u32(head, 12)?;
    #[allow(clippy::cast_sign_loss, reason = "a small positive flag")]
    if flags & libc::MSG_TRUNC as u32 != 0 {
        return None;
    }
    let remote = parse_name(head.get(OUT_BYTES..OUT_BYTES + NAME_BYTES)?)?;
    let control_end = OUT_BYTES + NAME_BYTES + control_len.min(CONTROL_BYTES);
    let control = parse_control(head.get(OUT_BYTES + NAME_BYTES..control_end)?);
    let payload = payload.get_mut(..payload_len)?;
    let stride = control.segment.filter(|&size| size > 0).unwrap_or(payload_len).max(1);
    Some(Received { remote, stamp: control.stamp, payload, stride })
}

fn parse_name(name: &[u8]) -> Option<SocketAddr> {
    let family = i32::from(u16::from_ne_bytes(name.get(..2)?.try_into().ok()?));
    let port = u16::from_be_bytes(name.get(2..4)?.try_into().ok()?);
    match family {
        libc::AF_INET => {
            let octets: [u8; 4] = name.get(4..8)?.try_into().ok()?;
            Some(SocketAddr::new(IpAddr::V4(Ipv4Addr::from(octets)), port))
        }
        libc::AF_INET6 => {
            let octets: [u8; 16] = name.get(8..24)?.try_into().ok()?;
            let scope = read_u32(name, 24)?;
            Some(SocketAddr::V6(SocketAddrV6::new(Ipv6Addr::from(octets), port, 0, scope)))
        }
        _ => None,
    }
}

#[derive(Debug, Default)]
struct Control {
    stamp: Option<Duration>,
    segment: Option<usize>,
}

fn parse_control(mut control: &[u8]) -> Control {
    let mut found = Control::default();
    while let Some(len) = read_u64(control, 0).and_then(|len| usize::try_from(len).ok()) {
        if len < CMSG_HEADER_BYTES || len > control.len() {
            break;
        }
        let data = &control[CMSG_HEADER_BYTES..len];
        match (read_i32(control, 8), read_i32(control, 12)) {
            (Some(libc::SOL_SOCKET), Some(SCM_TIMESTAMPNS)) => found.stamp = parse_timespec(data),
            (Some(libc::SOL_UDP), Some(UDP_GRO)) => {
                found.segment = read_i32(data, 0).and_then(|size| usize::try_from(size).ok());
            }
            _ => {}
        }
        control = control.get(len.next_multiple_of(8)..).unwrap_or_default();
    }
    found
}

fn parse_timespec(data: &[u8]) -> Option<Duration> {
    let nanos = u32::try_from(read_u64(data, 8)?).ok().filter(|&nanos| nanos < 1_000_000_000)?;
    Some(Duration::new(read_u64(data, 0)?, nanos))
}

fn read_u32(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

fn read_i32(bytes: &[u8], at: usize) -> Option<i32> {
    Some(i32::from_ne_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

fn read_u64(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_ne_bytes(bytes.get(at..at + 8)?.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A buffer as the kernel writes it.
    fn buffer(payload: &[u8], control: &[u8], flags: u32) -> Vec<u8> {
        let mut bytes = Vec::new();
        for word in [16, control.len(), payload.len()] {
            bytes.extend(u32::try_from(word).unwrap().to_ne_bytes());
        }
        bytes.extend(flags.to_ne_bytes());
        let mut name = vec![0; NAME_BYTES];
        name[..2].copy_from_slice(&u16::try_from(libc::AF_INET).unwrap().to_ne_bytes());
        name[2..4].copy_from_slice(&5004_u16.to_be_bytes());
        name[4..8].copy_from_slice(&[127, 0, 0, 1]);
        bytes.extend(name);
        let mut room = control.to_vec();
        room.resize(CONTROL_BYTES, 0);
        bytes.extend(room);
        bytes.extend(payload);
        bytes
    }

    fn cmsg(level: i32, kind: i32, data: &[u8]) -> Vec<u8> {
        let mut bytes = ((CMSG_HEADER_BYTES + data.len()) as u64).to_ne_bytes().to_vec();
        bytes.extend(level.to_ne_bytes());
        bytes.extend(kind.to_ne_bytes());
        bytes.extend(data);
        bytes.resize(bytes.len().next_multiple_of(8), 0);
        bytes
    }

    #[test]
    fn a_train_has_its_stride_and_stamp() {
        let mut timespec = 1_700_000_000_u64.to_ne_bytes().to_vec();
        timespec.extend(5_u64.to_ne_bytes());
        let mut control = cmsg(libc::SOL_SOCKET, SCM_TIMESTAMPNS, &timespec);
        control.extend(cmsg(libc::SOL_UDP, UDP_GRO, &4_i32.to_ne_bytes()));
        let mut bytes = buffer(b"aaaabbbbcc", &control, 0);
        let received = parse(&mut bytes).unwrap();
        assert_eq!(received.remote, "127.0.0.1:5004".parse().unwrap());
        assert_eq!(received.stamp, Some(Duration::new(1_700_000_000, 5)));
        let datagrams: Vec<_> = received.payload.chunks(received.stride).collect();
        assert_eq!(datagrams, [&b"aaaa"[..], b"bbbb", b"cc"]);
    }

    #[test]
    fn a_lone_datagram_is_its_own_stride() {
        let mut bytes = buffer(b"hello", &[], 0);
        let received = parse(&mut bytes).unwrap();
        assert_eq!((received.stride, received.stamp), (5, None));
    }

    #[test]
    fn a_cut_datagram_is_none() {
        assert!(parse(&mut buffer(b"hello", &[], u32::try_from(libc::MSG_TRUNC).unwrap())).is_none());
    }

    #[test]
    fn nonsense_is_none_and_never_panics() {
        let whole = buffer(b"hello", &cmsg(libc::SOL_UDP, UDP_GRO, &(-1_i32).to_ne_bytes()), 0);
        for len in 0..whole.len() {
            assert!(parse(&mut whole.clone()[..len]).is_none());
        }
        for at in 0..PAYLOAD_OFFSET {
            let mut changed = whole.clone();
            changed[at] = 0xff;
            if let Some(received) = parse(&mut changed) {
                assert!(received.stride > 0);
            }
        }
    }
}
