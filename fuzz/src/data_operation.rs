//! What can happen to data producers and data consumers.

use arbitrary::Arbitrary;

use crate::operation::Named;

#[derive(Debug, Clone, Copy, Arbitrary)]
pub enum DataOperation {
    Produce { transport: Named, producer: Named, set_up: DataSetUp },
    Consume { transport: Named, consumer: Named, producer: Named, set_up: DataSetUp, subscriptions: u8 },
    CloseProducer { transport: Named, producer: Named },
    CloseConsumer { transport: Named, consumer: Named },
    Send { producer: Named, bytes: u16, subchannels: u8, required: Option<u8>, ignored: Option<u8> },
    SendToPeer { consumer: Named, bytes: u16 },
    TouchProducer { producer: Named, touch: DataTouch },
    TouchConsumer { consumer: Named, touch: DataTouch },
}

#[derive(Debug, Clone, Copy, Arbitrary)]
pub struct DataSetUp {
    /// `None` for those of the application.
    pub stream: Option<u8>,
    pub without_stream: bool,
    pub ordered: Option<bool>,
    pub life_time: Option<u16>,
    pub retransmits: Option<u16>,
    pub paused: bool,
}

#[derive(Debug, Clone, Copy, Arbitrary)]
pub enum DataTouch {
    Dump,
    Stats,
    Pause,
    Resume,
    Buffered,
    Threshold(u16),
    /// One subchannel per bit.
    Subscribe(u8),
    Add(u8),
    Remove(u8),
}
