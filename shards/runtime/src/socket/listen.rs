//! Sockets that are bound before it is known which shard reads them.

use std::net::SocketAddr;

use ringsoup_sfu::sockets::{BindError, ListenRequest};

use super::port_book::PortBook;
use super::ports::{self, Bound};

/// A bound socket that nobody reads. Dropping it frees its port.
#[derive(Debug)]
pub struct ListenSocket {
    pub(crate) bound: Bound,
    pub(crate) is_udp: bool,
}

impl ListenSocket {
    /// # Errors
    /// Nothing stays bound.
    pub fn open(request: &ListenRequest, book: &PortBook) -> Result<Self, BindError> {
        let is_udp = matches!(request, ListenRequest::Udp(_));
        ports::bind(request, book).map(|bound| Self { bound, is_udp })
    }

    pub fn local(&self) -> SocketAddr {
        self.bound.local
    }
}
