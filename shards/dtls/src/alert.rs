//! Alerts in the clear, during a handshake (RFC 5246 section 7.2).
//!
//! Anybody who can send from the peer's address can forge them. A peer that fails has no other way to say so, and
//! mediasoup believes them too; once a handshake is done nobody is asked any more.

const FATAL: u8 = 2;
const CLOSE_NOTIFY: u8 = 0;

/// Why the peer will not go on, if the alert says so.
pub(crate) fn ends_handshake(body: &[u8]) -> Option<String> {
    match *body {
        [_, CLOSE_NOTIFY] => Some("the peer closed during the DTLS handshake".to_owned()),
        [FATAL, description] => Some(format!("the peer sent DTLS alert {description}")),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fatal_alerts_and_good_byes_end_a_handshake() {
        assert!(ends_handshake(&[2, 40]).is_some_and(|reason| reason.ends_with("alert 40")));
        assert!(ends_handshake(&[1, 0]).is_some());
        for harmless in [&[1, 90][..], &[2], &[], &[2, 40, 0]] {
            assert_eq!(ends_handshake(harmless), None);
        }
    }
}
