//! The mediasoup channel and the control thread.
