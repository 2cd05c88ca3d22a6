//! What became of the packets that receivers asked for again.

use ringsoup_rtc::rtx::Refused;

/// Why a packet that was asked for is not sent again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unsent {
    /// It was never sent, is kept no longer or cannot be rebuilt.
    Unknown,
    /// It was sent again less than a round trip ago.
    TooSoon,
    /// More numbers are asked for than there are packets.
    TooMany,
    /// As many bytes were sent again as the receiver can need.
    TooMuch,
    /// It may be asked for again at once.
    OutboxFull,
}

impl From<Refused> for Unsent {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::TooSoon => Self::TooSoon,
            Refused::NotFound => Self::Unknown,
        }
    }
}

/// Each packet that was asked for is counted once.
#[derive(Debug, Clone, Default)]
pub(crate) struct ResendCounters {
    sent: u64,
    unknown: u64,
    too_soon: u64,
    too_many: u64,
    too_much: u64,
    outbox_full: u64,
}

impl ResendCounters {
    pub(crate) fn count(&mut self, outcome: Result<(), Unsent>) {
        *match outcome {
            Ok(()) => &mut self.sent,
            Err(Unsent::Unknown) => &mut self.unknown,
            Err(Unsent::TooSoon) => &mut self.too_soon,
            Err(Unsent::TooMany) => &mut self.too_many,
            Err(Unsent::TooMuch) => &mut self.too_much,
            Err(Unsent::OutboxFull) => &mut self.outbox_full,
        } += 1;
    }

    /// By name, for the shard's report.
    pub(crate) fn named(&self) -> [(&'static str, u64); 6] {
        [
            ("resends_sent", self.sent),
            ("resends_unknown", self.unknown),
            ("resends_too_soon", self.too_soon),
            ("resends_too_many", self.too_many),
            ("resends_too_much", self.too_much),
            ("resends_outbox_full", self.outbox_full),
        ]
    }
}
