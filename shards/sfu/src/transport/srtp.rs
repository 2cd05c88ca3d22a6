//! SRTP of one transport: the key told to the peer, and the sessions once the peer's key is known.

use ringsoup_rtc::srtp::{CryptoSuite, InboundSession, OutboundSession, SrtpError};

use crate::command::{CommandError, SrtpParameters};
use crate::drop_reason::DropReason;
use crate::map::Map;

/// SSRCs that one transport sends at once, RTX included. They are the controller's own, so the bound is only one of memory.
const OUTBOUND_SSRCS_MAX: usize = 65_536;
/// SSRCs that ended under one key after media was sent with them. As many as 170,000 consumers of three encodings with RTX
/// leave behind; 10 MiB when all are there. A new key begins anew.
const RETIRED_SSRCS_MAX: usize = 1 << 20;

/// Which suites a peer may choose.
pub(crate) enum Suites<'a> {
    /// The peer's wins; our key is made anew when it has another length.
    Any(&'a mut dyn FnMut(CryptoSuite) -> SrtpParameters),
    Only(CryptoSuite),
}

/// Keys that signalling exchanges (RFC 4568).
#[derive(Debug)]
pub struct Srtp {
    local: SrtpParameters,
    /// `None` until `connect()` brings the peer's key.
    sessions: Option<SrtpSessions>,
}

/// Both directions, however their keys were agreed on.
#[derive(Debug)]
pub struct SrtpSessions {
    inbound: InboundSession,
    outbound: OutboundSession,
    /// SSRCs of streams that ended under this key: begun anew, one would use numbers for a second time.
    retired: Map<u32, ()>,
}

impl Srtp {
    pub(crate) fn new(local: SrtpParameters) -> Self {
        Self { local, sessions: None }
    }

    pub(crate) fn local(&self) -> &SrtpParameters {
        &self.local
    }

    /// What replaces a transport's `srtp` when `connect()` says `remote` of the peer.
    ///
    /// # Errors
    /// Only one side has SRTP, the suite is not allowed here, or the key is none of its suite.
    pub(crate) fn connect(
        srtp: Option<&Self>,
        remote: Option<&Result<SrtpParameters, CommandError>>,
        suites: Suites<'_>,
    ) -> Result<Option<Self>, CommandError> {
        let (srtp, remote) = match (srtp, remote) {
            (None, None) => return Ok(None),
            (None, Some(_)) => {
                return Err(CommandError::type_error("invalid srtpParameters (SRTP not enabled)"));
            }
            (Some(_), None) => {
                return Err(CommandError::type_error("missing srtpParameters (SRTP enabled)"));
            }
            (Some(srtp), Some(remote)) => (srtp, remote.as_ref().map_err(Clone::clone)?),
        };
        if matches!(&suites, Suites::Only(suite) if *suite != remote.crypto_suite) {
            return Err(CommandError::type_error("invalid/unsupported srtpParameters.cryptoSuite"));
        }
        if remote.key_and_salt.len() != remote.crypto_suite.key_and_salt_len() {
            return Err(CommandError::type_error("invalid decoded SRTP key length"));
        }
        let local = match suites {
            Suites::Any(new_key) if srtp.local.crypto_suite != remote.crypto_suite => {
                new_key(remote.crypto_suite)
            }
            Suites::Any(_) | Suites::Only(_) => srtp.local.clone(),
        };
        let sessions = SrtpSessions::new(&local, remote)?;
        Ok(Some(Self { local, sessions: Some(sessions) }))
    }

    /// Encrypts under another key from here on, and says so to who asks for it.
    pub(crate) fn renew_outbound(&mut self, key: SrtpParameters) -> Result<(), CommandError> {
        if let Some(sessions) = &mut self.sessions {
            sessions.outbound = outbound_session(&key)?;
            // No number of the new key was used.
            sessions.retired = Map::default();
        }
        self.local = key;
        Ok(())
    }

    pub(crate) fn sessions(&self) -> Option<&SrtpSessions> {
        self.sessions.as_ref()
    }

    pub(crate) fn sessions_mut(&mut self) -> Option<&mut SrtpSessions> {
        self.sessions.as_mut()
    }
}

fn failed(error: SrtpError) -> CommandError {
    CommandError::error(format!("error creating SRTP session: {error}"))
}

fn outbound_session(key: &SrtpParameters) -> Result<OutboundSession, CommandError> {
    let session = OutboundSession::new(key.crypto_suite, &key.key_and_salt).map_err(failed)?;
    // One more than media has, for feedback.
    Ok(session.with_max_ssrcs(OUTBOUND_SSRCS_MAX + 1))
}

impl SrtpSessions {
    /// # Errors
    /// A key is none of its suite.
    pub(crate) fn new(local: &SrtpParameters, remote: &SrtpParameters) -> Result<Self, CommandError> {
        Ok(Self {
            inbound: InboundSession::new(remote.crypto_suite, &remote.key_and_salt).map_err(failed)?,
            outbound: outbound_session(local)?,
            retired: Map::default(),
        })
    }

    /// Decrypts in place and returns the new length.
    pub(crate) fn unprotect(&mut self, bytes: &mut [u8], is_rtcp: bool) -> Result<usize, DropReason> {
        let unprotected =
            if is_rtcp { self.inbound.unprotect_rtcp(bytes) } else { self.inbound.unprotect_rtp(bytes) };
        unprotected.map_err(|error| match error {
            SrtpError::Replayed | SrtpError::TooOld => DropReason::SrtpReplay,
            _ => DropReason::SrtpAuthentication,
        })
    }

    pub(crate) fn outbound(&mut self) -> &mut OutboundSession {
        &mut self.outbound
    }

    /// An SSRC with which nothing was encrypted (its receiver was paused, or the other end of the pipe is in this process) used
    /// no numbers, and may come again.
    pub(crate) fn forget_sent_ssrc(&mut self, ssrc: u32) {
        if self.outbound.remove_ssrc(ssrc) {
            self.retired.insert(ssrc, ());
        }
    }

    /// Whether a new stream of this SSRC may be sent beside `present` others (RFC 3711 section 9.1: no keystream twice).
    ///
    /// # Errors
    /// Why not.
    pub(crate) fn check_new_ssrc(&self, ssrc: u32, present: usize) -> Result<(), CommandError> {
        if self.retired.contains_key(&ssrc) {
            return Err(CommandError::error(format!("ssrc already used in the transport [ssrc:{ssrc}]")));
        }
        if present >= OUTBOUND_SSRCS_MAX {
            return Err(CommandError::error(format!(
                "too many ssrcs in the transport [max:{OUTBOUND_SSRCS_MAX}]"
            )));
        }
        if self.retired.len() >= RETIRED_SSRCS_MAX {
            return Err(CommandError::error(format!(
                "too many ssrcs were sent under the SRTP key of the transport [max:{RETIRED_SSRCS_MAX}]"
            )));
        }
        Ok(())
    }

    pub(crate) fn forget_received_ssrc(&mut self, ssrc: u32) {
        self.inbound.remove_ssrc(ssrc);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(fill: u8) -> SrtpParameters {
        let crypto_suite = CryptoSuite::AeadAes256Gcm;
        SrtpParameters { crypto_suite, key_and_salt: vec![fill; crypto_suite.key_and_salt_len()] }
    }

    fn connected() -> Srtp {
        let remote = key(2);
        let only = Suites::Only(remote.crypto_suite);
        let srtp = Srtp::connect(Some(&Srtp::new(key(1))), Some(&Ok(remote)), only);
        srtp.expect("they fit").expect("SRTP is on")
    }

    fn send(srtp: &mut Srtp, ssrc: u32) {
        let mut packet = [0; 64];
        packet[0] = 0x80;
        packet[8..12].copy_from_slice(&ssrc.to_be_bytes());
        let sessions = srtp.sessions_mut().expect("connected");
        sessions.outbound().protect_rtp(&mut packet, 12, 20).expect("it fits");
    }

    fn check(srtp: &Srtp, ssrc: u32, present: usize) -> Result<(), String> {
        let sessions = srtp.sessions().expect("connected");
        sessions.check_new_ssrc(ssrc, present).map_err(|error| error.reason)
    }

    #[test]
    fn only_an_ssrc_that_was_sent_under_the_key_is_refused() {
        let mut srtp = connected();
        send(&mut srtp, 5);
        for ssrc in [5, 6] {
            srtp.sessions_mut().expect("connected").forget_sent_ssrc(ssrc);
        }
        assert_eq!(check(&srtp, 5, 0), Err("ssrc already used in the transport [ssrc:5]".into()));
        assert_eq!(check(&srtp, 6, 0), Ok(()), "it used no numbers");
        srtp.renew_outbound(key(3)).expect("a key of its suite");
        assert_eq!(check(&srtp, 5, 0), Ok(()), "none of the new key's");
        assert_eq!(*srtp.local(), key(3));
    }

    #[test]
    fn limits_are_far_and_say_what_they_are() {
        let mut srtp = connected();
        let mut packet = [0; 64];
        packet[0] = 0x80;
        // Twice as many as may be there at once.
        for ssrc in 0..2 * 65_536_u32 {
            packet[8..12].copy_from_slice(&ssrc.to_be_bytes());
            let sessions = srtp.sessions_mut().expect("connected");
            sessions.outbound().protect_rtp(&mut packet, 12, 20).expect("it fits");
            sessions.forget_sent_ssrc(ssrc);
        }
        assert_eq!(check(&srtp, 1 << 20, 65_535), Ok(()));
        let full = "too many ssrcs in the transport [max:65536]";
        assert_eq!(check(&srtp, 1 << 20, 65_536), Err(full.into()));
        let sessions = srtp.sessions_mut().expect("connected");
        sessions.retired.extend((0..1 << 20).map(|ssrc| (ssrc, ())));
        let used_up = "too many ssrcs were sent under the SRTP key of the transport [max:1048576]";
        assert_eq!(check(&srtp, u32::MAX, 0), Err(used_up.into()));
    }
}
