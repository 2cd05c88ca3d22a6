//! Messages by the schemas' text alone: the generated code is not used, on purpose, so that what the worker wrote
//! with it is read by other means, and so that bodies can be made which it would never make.

pub mod decode;
pub mod encode;
pub mod notation;
pub mod sample;
pub mod schema;
pub mod value;
