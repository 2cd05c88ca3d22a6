//! SRTP of one transport: the key told to the peer, and the sessions once the peer's key is known.

use ringsoup_rtc::srtp::{CryptoSuite, InboundSession, OutboundSession, SrtpError};

use crate::command::{CommandError, SrtpParameters};
use crate::drop_reason::DropReason;
use crate::map::Map;

/// SSRCs that one transport sends, RTX included. They are the controller's own, so the bound is only one of memory.
const OUTBOUND_SSRCS_MAX: usize = 65_536;

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

    /// What replaces `self` once the peer has told its key.
    ///
    /// # Errors
    /// The key is none of its suite.
    pub(crate) fn agree(
        &self,
        remote: &SrtpParameters,
        new_key: &mut dyn FnMut(CryptoSuite) -> SrtpParameters,
    ) -> Result<Self, CommandError> {
        if remote.key_and_salt.len() != remote.crypto_suite.key_and_salt_len() {
            return Err(CommandError::type_error("invalid decoded SRTP key length"));
        }
        // The peer's suite wins: our key is made anew when it has another length.
        let local = if self.local.crypto_suite == remote.crypto_suite {
            self.local.clone()
        } else {
            new_key(remote.crypto_suite)
        };
        let sessions = SrtpSessions::new(&local, remote)?;
        Ok(Self { local, sessions: Some(sessions) })
    }

    /// Encrypts under another key from here on, which nobody is told.
    pub(crate) fn renew_outbound(&mut self, key: &SrtpParameters) -> Result<(), CommandError> {
        let Some(sessions) = &mut self.sessions else { return Ok(()) };
        sessions.outbound = outbound_session(key)?;
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
    Ok(session.with_max_ssrcs(OUTBOUND_SSRCS_MAX))
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

    pub(crate) fn forget_sent_ssrc(&mut self, ssrc: u32) {
        self.outbound.remove_ssrc(ssrc);
        self.retired.insert(ssrc, ());
    }

    /// Whether a new stream of this SSRC may be sent (RFC 3711 section 9.1: no keystream twice), and there is room for it.
    pub(crate) fn may_send(&self, ssrc: u32) -> bool {
        !self.retired.contains_key(&ssrc) && self.retired.len() < OUTBOUND_SSRCS_MAX
    }

    pub(crate) fn forget_received_ssrc(&mut self, ssrc: u32) {
        self.inbound.remove_ssrc(ssrc);
    }
}
