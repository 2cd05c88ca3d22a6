//! The few calls of OpenSSL that the `openssl` crate has no safe name for.

use std::ffi::{c_int, c_long, c_uint};
use std::ptr;

use foreign_types::ForeignTypeRef as _;
use openssl::ssl::{SslRef, SslStream};
use openssl_sys as sys;

/// `DTLS_CTRL_HANDLE_TIMEOUT` and `DTLS_CTRL_SET_LINK_MTU` of OpenSSL's `ssl.h`, where the names for them are macros.
const CTRL_HANDLE_TIMEOUT: c_int = 74;
const CTRL_SET_LINK_MTU: c_int = 120;

type TimerCallback = extern "C" fn(ssl: *mut sys::SSL, previous_us: c_uint) -> c_uint;

unsafe extern "C" {
    fn DTLS_set_timer_cb(ssl: *mut sys::SSL, callback: TimerCallback);
    fn SSL_alloc_buffers(ssl: *mut sys::SSL) -> c_int;
    fn SSL_free_buffers(ssl: *mut sys::SSL) -> c_int;
}

/// What a run-out timer led to.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Retransmission {
    /// OpenSSL's own clock does not say yet that it is time.
    NotDue,
    Done,
    Failed,
}

/// Lets `callback` say how long OpenSSL waits for an answer, in µs; it is given what it said last, 0 at first.
pub(crate) fn set_timer_callback(ssl: &mut SslRef, callback: TimerCallback) {
    // SAFETY: the pointer is that of a live SSL object, which nobody else uses while it is borrowed; the callback is a
    // function of this crate and lives for ever.
    unsafe { DTLS_set_timer_cb(ssl.as_ptr(), callback) }
}

/// Sends the last flight again when OpenSSL's timer has run out.
pub(crate) fn handle_timeout<S>(stream: &mut SslStream<S>) -> Retransmission {
    // SAFETY: the pointer is that of a live SSL object, which nobody else uses while its stream is borrowed; this control
    // takes no argument.
    let result = unsafe { sys::SSL_ctrl(stream.ssl().as_ptr(), CTRL_HANDLE_TIMEOUT, 0, ptr::null_mut()) };
    match result {
        0 => Retransmission::NotDue,
        1 => Retransmission::Done,
        _ => Retransmission::Failed,
    }
}

/// The most bytes a datagram of ours has.
pub(crate) fn set_link_mtu(ssl: &mut SslRef, bytes: c_long) -> bool {
    // SAFETY: the pointer is that of a live SSL object, which nobody else uses while it is borrowed; this control takes
    // a number and no pointer.
    unsafe { sys::SSL_ctrl(ssl.as_ptr(), CTRL_SET_LINK_MTU, bytes, ptr::null_mut()) > 0 }
}

/// Makes the buffers for records that [`free_buffers`] gave back. OpenSSL 3.0 writes into them without looking.
pub(crate) fn alloc_buffers<S>(stream: &mut SslStream<S>) -> bool {
    // SAFETY: the pointer is that of a live SSL object, which nobody else uses while its stream is borrowed.
    unsafe { SSL_alloc_buffers(stream.ssl().as_ptr()) == 1 }
}

/// Gives back the buffers for records: 34 KB. Does nothing while they hold data. [`alloc_buffers`] comes before the next
/// call that may read or write.
pub(crate) fn free_buffers<S>(stream: &mut SslStream<S>) {
    // SAFETY: the pointer is that of a live SSL object, which nobody else uses while its stream is borrowed.
    unsafe { SSL_free_buffers(stream.ssl().as_ptr()) };
}
