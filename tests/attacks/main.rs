//! Attacks on the real binary: what strangers and malicious peers send, and what it may cost. Each says what it scales down: these
//! run beside other tests, on whatever cores there are.

mod dtls;
mod flood;
mod slowloris;
mod stun;
