//! RTP: the view of a packet, its header extensions, and the writer of the forward path.

pub mod element;
pub mod extension;
pub mod packet;
pub mod rewrite;
pub mod writer;

pub use element::Extensions;
pub use extension::ExtensionUri;
pub use packet::{RtpError, RtpPacket, is_rtcp, is_rtp};
pub use rewrite::{
    ExtensionBlock, ExtensionMap, HeaderFields, replace_value, write_header, write_rtx_header,
};
pub use writer::RtpWriter;
