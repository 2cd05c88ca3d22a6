//! What can happen to transports that are neither plain nor direct, and to observers.

use arbitrary::Arbitrary;

use crate::operation::Named;

#[derive(Debug, Clone, Copy, Arbitrary)]
pub struct ListenSetUp {
    pub tcp: bool,
    pub fixed_port: Option<u8>,
    pub announced: bool,
    pub expose: bool,
    pub empty_range: bool,
}

#[derive(Debug, Arbitrary)]
pub enum EndpointOperation {
    CreatePipe {
        router: Named,
        transport: Named,
        listen: ListenSetUp,
        rtx: bool,
        binds_before_failure: Option<u8>,
    },
    ConnectPipe {
        transport: Named,
        port: Option<u16>,
        srtp: bool,
    },
    CreateWebRtc {
        router: Named,
        transport: Named,
        listen: Vec<ListenSetUp>,
        binds_before_failure: Option<u8>,
    },
    ConnectWebRtc {
        transport: Named,
        role: u8,
        fingerprints: u8,
    },
    RestartIce {
        transport: Named,
    },
    CreateObserver {
        router: Named,
        observer: Named,
        speaker: bool,
        interval_ms: u16,
        threshold: i8,
        max_entries: u16,
    },
    CloseObserver {
        router: Named,
        observer: Named,
    },
    TouchObserver {
        observer: Named,
        producer: Named,
        what: ObserverTouch,
    },
}

#[derive(Debug, Clone, Copy, Arbitrary)]
pub enum ObserverTouch {
    Pause,
    Resume,
    Add,
    Remove,
}
