//! What fuzz targets share: valid channel messages, a virtual network, and a shard driven by generated operations.

pub mod changes;
pub mod conversation;
pub mod data_operation;
pub mod endpoint_operation;
pub mod heap;
pub mod operation;
pub mod packet;
pub mod parameters;
pub mod requests;
pub mod sockets;
pub mod world;
