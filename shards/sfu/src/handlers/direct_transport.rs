//! Commands of direct transports, whose peer is the application.

use ringsoup_rtc::time::Time;

use crate::command::{CommandError, TransportOptions};
use crate::drop_reason::DropReason;
use crate::name::Name;
use crate::outbox::Outbox;
use crate::reply::Reply;
use crate::sfu::Sfu;
use crate::table::Id;
use crate::transport::{Transport, TransportKind};

/// Longest RTCP compound an application may send through a direct transport, bytes.
const APPLICATION_RTCP_BYTES_MAX: usize = 1_600;

impl Sfu {
    pub(crate) fn create_direct_transport(
        &mut self,
        now: Time,
        router: &str,
        name: Name,
        options: &TransportOptions,
    ) -> Result<Reply, CommandError> {
        let router = self.check_new_transport(router, &name, options)?;
        let id = self.insert_transport(Transport::new(name, router, TransportKind::Direct, options));
        self.dump_transport(now, id)
    }

    pub(crate) fn receive_application_rtcp(
        &mut self,
        now: Time,
        id: Id<Transport>,
        data: &[u8],
        out: &mut Outbox,
    ) -> Result<Reply, CommandError> {
        let transport = &mut self.transports[id];
        if !matches!(transport.kind, TransportKind::Direct) {
            return Err(CommandError::error("unknown event 'transport.sendRtcp'"));
        }
        transport.traffic.received.update(now, data.len());
        let result = if data.len() > APPLICATION_RTCP_BYTES_MAX {
            Err(DropReason::TooLong)
        } else {
            self.handle_rtcp(now, id, data, now, out)
        };
        self.account(now, Some(id), result, out);
        Ok(Reply::Done)
    }
}
