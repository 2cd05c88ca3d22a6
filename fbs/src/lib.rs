//! The channel's schemas and the code generated from them.
