//! The few calls of OpenSSL that the `openssl` crate has no safe name for.

use std::ffi::{c_int, c_long, c_uint, c_void};
use std::ptr;

use foreign_types::ForeignTypeRef as _;
use openssl::ssl::{SslContextBuilder, SslRef, SslStream};
use openssl_sys as sys;

/// `DTLS_CTRL_HANDLE_TIMEOUT` and `DTLS_CTRL_SET_LINK_MTU` of OpenSSL's `ssl.h`, where the names for them are macros.
const CTRL_HANDLE_TIMEOUT: c_int = 74;
const CTRL_SET_LINK_MTU: c_int = 120;

type TimerCallback = extern "C" fn(ssl: *mut sys::SSL, previous_us: c_uint) -> c_uint;
type ChainCallback = extern "C" fn(chain: *mut sys::X509_STORE_CTX, argument: *mut c_void) -> c_int;

unsafe extern "C" {
    fn SSL_CTX_set_cert_verify_callback(
        context: *mut sys::SSL_CTX,
        callback: ChainCallback,
        argument: *mut c_void,
    );
    fn DTLS_set_timer_cb(ssl: *mut sys::SSL, callback: TimerCallback);
    fn SSL_alloc_buffers(ssl: *mut sys::SSL) -> c_int;
    fn SSL_free_buffers(ssl: *mut sys::SSL) -> c_int;
}

/// What became of a flight that was to be sent again.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Retransmission {
    /// OpenSSL's clock says that it is not time yet: the system's was set back, or this comes right behind an answer that
    /// was none.
    NotDue,
    Done,
    Failed,
}

/// What OpenSSL waits for an answer before it sends a flight again by itself, in µs. It looks at its clock, the system's,
/// before it reads, which it is only let to when an answer is there, and in [`send_flight_again`], which is to do what it
/// says: so for a flight that is new it is no time at all. Where it was overdue as it came to read, and what it read was no
/// answer after all, it is long enough for it to read on.
extern "C" fn wait_us(_ssl: *mut sys::SSL, previous_us: c_uint) -> c_uint {
    const READ_ON_US: c_uint = 100_000;
    if previous_us == 0 { OVERDUE_US } else { READ_ON_US }
}

/// In place of [`wait_us`] while a flight is sent again: it can be again.
extern "C" fn wait_us_again(_ssl: *mut sys::SSL, _previous_us: c_uint) -> c_uint {
    OVERDUE_US
}

/// Not 0, which means that there was no wait yet. OpenSSL takes anything up to 15 ms as overdue.
const OVERDUE_US: c_uint = 1;

extern "C" fn any_chain_will_do(_chain: *mut sys::X509_STORE_CTX, _argument: *mut c_void) -> c_int {
    1
}

/// In place of building a chain of what the peer shows and verifying each signature in it.
pub(crate) fn verify_no_chain(context: &mut SslContextBuilder) {
    // SAFETY: the pointer is that of a live context, which nobody else uses while it is borrowed; the callback is a function of
    // this module, lives for ever and looks at nothing that it is given.
    unsafe { SSL_CTX_set_cert_verify_callback(context.as_ptr(), any_chain_will_do, ptr::null_mut()) }
}

/// Lets [`send_flight_again`] decide when a flight is sent again.
pub(crate) fn leave_timing_to_us(ssl: &mut SslRef) {
    // SAFETY: the pointer is that of a live SSL object, which nobody else uses while it is borrowed; the callback is a
    // function of this module and lives for ever.
    unsafe { DTLS_set_timer_cb(ssl.as_ptr(), wait_us) }
}

/// Sends the last flight again.
pub(crate) fn send_flight_again<S>(stream: &mut SslStream<S>) -> Retransmission {
    let ssl = stream.ssl().as_ptr();
    // SAFETY: the pointer is that of a live SSL object, which nobody else uses while its stream is borrowed; the control
    // takes no argument; the callbacks are functions of this module and live for ever.
    let result = unsafe {
        DTLS_set_timer_cb(ssl, wait_us_again);
        let result = sys::SSL_ctrl(ssl, CTRL_HANDLE_TIMEOUT, 0, ptr::null_mut());
        DTLS_set_timer_cb(ssl, wait_us);
        result
    };
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
