//! Connectivity checks as a browser sends them, and what comes back.

use std::net::SocketAddr;

use ringsoup_rtc::ice::Credentials;
use ringsoup_rtc::stun::{BINDING, Class, IntegrityKey, Message, Writer};
use ringsoup_sfu::sockets::SocketId;

use super::World;

/// What a check says beside what it must.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Check {
    pub(crate) use_candidate: bool,
    pub(crate) nomination: Option<u32>,
    /// The peer thinks that we control.
    pub(crate) is_controlled: bool,
}

pub(crate) const PLAIN: Check = Check { use_candidate: false, nomination: None, is_controlled: false };
pub(crate) const NOMINATING: Check = Check { use_candidate: true, ..PLAIN };

pub(crate) const fn nomination(number: u32) -> Check {
    Check { nomination: Some(number), ..PLAIN }
}

impl Check {
    pub(crate) fn bytes(self, credentials: &Credentials) -> Vec<u8> {
        let username = format!("{}:peer", credentials.username_fragment);
        let mut buffer = [0; 300];
        let mut writer = Writer::new(&mut buffer, Class::Request, BINDING, b"transaction.")
            .username(username.as_bytes())
            .priority(1);
        writer = if self.is_controlled { writer.ice_controlled(7) } else { writer.ice_controlling(7) };
        if self.use_candidate {
            writer = writer.use_candidate();
        }
        if let Some(nomination) = self.nomination {
            writer = writer.nomination(nomination);
        }
        let key = IntegrityKey::new(credentials.password.as_bytes());
        writer.finish(Some(&key)).expect("it fits").to_vec()
    }
}

/// What came back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Answer {
    /// With the address that the shard saw.
    Success(SocketAddr),
    Error(u16),
    Nothing,
}

impl World {
    /// Sends a check; the answer goes to where the check came from, or there is none.
    pub(crate) fn check(
        &mut self,
        socket: SocketId,
        remote: SocketAddr,
        check: Check,
        credentials: &Credentials,
    ) -> Answer {
        self.flush();
        let before = self.sent.len();
        self.receive(socket, remote, &check.bytes(credentials));
        let mut answers = self.sent.drain(before..).collect::<Vec<_>>();
        let is_stun = |bytes: &[u8]| bytes[0] < 4;
        let rest = answers.iter().position(|sent| !is_stun(&sent.bytes)).unwrap_or(answers.len());
        self.sent.extend(answers.drain(rest..));
        let [sent] = &answers[..] else {
            assert!(answers.is_empty(), "one check, one answer: {answers:?}");
            return Answer::Nothing;
        };
        assert_eq!((sent.remote, sent.local), (remote, self.sockets.local_of(socket)));
        let message = Message::parse(&sent.bytes).expect("well-formed STUN leaves");
        assert!(message.has_fingerprint);
        assert_eq!(message.transaction(), b"transaction.");
        match message.class {
            Class::SuccessResponse => {
                let key = IntegrityKey::new(credentials.password.as_bytes());
                assert!(message.is_authentic(&key), "sealed with the password");
                Answer::Success(message.xor_mapped_address.expect("the address it saw"))
            }
            Class::ErrorResponse => Answer::Error(message.error_code.expect("a code").code),
            Class::Request | Class::Indication => panic!("a lite agent asks for nothing"),
        }
    }
}
