//! RTCP: views of the sub-packets of a compound, and a writer that fills a caller's buffer.
//!
//! One file per packet type, parsing and writing beside each other. Nothing here allocates.

pub mod bye;
pub mod compound;
pub mod extended_report;
pub mod feedback;
pub mod fir;
pub mod nack;
pub mod pli;
pub mod receiver_report;
pub mod remb;
pub mod sdes;
pub mod sender_report;
pub mod transport_cc;
pub mod transport_cc_writer;
mod wire;
pub mod writer;

pub use bye::Bye;
pub use compound::{Compound, RawPacket, RtcpError, RtcpPacket};
pub use extended_report::{Dlrr, ExtendedReport, XrBlock};
pub use feedback::Feedback;
pub use fir::{Fir, FirEntry};
pub use nack::{Nack, NackItem};
pub use pli::Pli;
pub use receiver_report::{ReceiverReport, ReportBlock};
pub use remb::Remb;
pub use sdes::{Sdes, SdesChunk};
pub use sender_report::{SenderInfo, SenderReport};
pub use transport_cc::{PacketStatus, TransportCc};
pub use transport_cc_writer::TransportCcWriter;
pub use writer::{CompoundWriter, RTCP_BYTES_MAX};

/// RTCP packet types (IANA "RTP Parameters").
pub mod packet_type {
    pub const SENDER_REPORT: u8 = 200;
    pub const RECEIVER_REPORT: u8 = 201;
    pub const SOURCE_DESCRIPTION: u8 = 202;
    pub const BYE: u8 = 203;
    pub const APPLICATION: u8 = 204;
    pub const TRANSPORT_FEEDBACK: u8 = 205;
    pub const PAYLOAD_FEEDBACK: u8 = 206;
    pub const EXTENDED_REPORT: u8 = 207;
}
