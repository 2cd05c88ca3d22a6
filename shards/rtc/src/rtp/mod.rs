//! RTP: the view of a packet, its header extensions, and the writer of the forward path.

pub mod block;
pub mod element;
pub mod extension;
pub mod packet;
pub mod rewrite;
pub mod stamp;
pub mod writer;

pub use block::{ExtensionBlock, ExtensionMap};
pub use element::Extensions;
pub use extension::ExtensionUri;
pub use packet::{RtpError, RtpPacket, is_rtcp, is_rtp};
pub use rewrite::{HeaderFields, write_header, write_rtx_header};
pub use stamp::Stamp;
pub use writer::RtpWriter;
