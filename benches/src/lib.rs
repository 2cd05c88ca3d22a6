//! What benchmarks and differential tests share: packets as browsers send them, keys, a shard with receivers, a clock.

mod cpu;
pub mod netstring;
pub mod pipe;
mod router;

pub use cpu::thread_time;
pub use router::{Media, PACKET_INTERVAL, Router, RouterSetUp};

use ringsoup_rtc::ntp::NtpTime;
use ringsoup_rtc::rtcp::{CompoundWriter, ReportBlock, SenderInfo};
use ringsoup_rtc::rtp::RtpWriter;
use ringsoup_rtc::srtp::CryptoSuite;

/// The extensions a router looks up in each packet: MID, absolute send time, transport-wide sequence number.
pub const LOOKED_UP_IDS: [u8; 3] = [1, 4, 5];

/// A video packet of this many bytes with the three extensions a browser sends with each.
///
/// # Panics
/// When `len` is shorter than the header.
pub fn browser_packet(len: usize) -> Vec<u8> {
    let header = |payload: &[u8]| {
        RtpWriter::new(112, 1, 90_000, 0x1234_5678)
            .marker(true)
            .extension(1, b"0")
            .extension(4, &[1, 2, 3])
            .extension(5, &[0, 1])
            .payload(payload)
            .to_vec()
            .expect("there is no CSRC list")
    };
    let payload = vec![0x41; len - header(&[]).len()];
    header(&payload)
}

/// A key that is not all of one byte.
pub fn key_and_salt(suite: CryptoSuite) -> Vec<u8> {
    (0..=u8::MAX).map(|index| index.wrapping_mul(37)).take(suite.key_and_salt_len()).collect()
}

/// A sender's and receiver's compound; `None` when it does not fit.
pub fn write_compound(out: &mut [u8]) -> Option<usize> {
    let info = SenderInfo {
        ssrc: 1,
        ntp: NtpTime::from_unix_micros(1_700_000_000_000_000),
        rtp_timestamp: 90_000,
        packet_count: 1_000,
        octet_count: 1_200_000,
    };
    let block =
        ReportBlock { ssrc: 2, fraction_lost: 1, cumulative_lost: 7, jitter: 90, ..ReportBlock::default() };
    let mut writer = CompoundWriter::new(out);
    writer.sender_report(&info, &[block])?;
    writer.sdes_cname(1, "ringsoup-0123456789")?;
    writer.receiver_report(1, &[block, block])?;
    writer.nack(1, 2, [10, 11, 13, 26, 100])?;
    writer.pli(1, 2)?;
    Some(writer.len())
}
