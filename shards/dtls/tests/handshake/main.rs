//! Whole handshakes in memory, in virtual time.

mod certificates;
mod ends;
mod hostile;
mod interop;
mod loss;
mod network;
mod openssl_peer;
mod profiles;
