//! Commands of routers.

use crate::command::CommandError;
use crate::name::Name;
use crate::outbox::Outbox;
use crate::reply::Reply;
use crate::router::Router;
use crate::sfu::{Entity, Sfu};
use crate::sockets::Sockets;
use crate::table::Id;

impl Sfu {
    pub(crate) fn create_router(&mut self, name: Name) -> Result<Reply, CommandError> {
        self.check_name_is_free(&name)?;
        let id = self.routers.insert(Router::new(name.clone()));
        self.names.insert(name, Entity::Router(id));
        Ok(Reply::Done)
    }

    /// Everything on the router goes silently: whoever closes a router knows what was on it.
    pub(crate) fn close_router(
        &mut self,
        name: &str,
        sockets: &mut dyn Sockets,
        out: &mut Outbox,
    ) -> Result<Reply, CommandError> {
        let id = self.router(name)?;
        for observer in self.routers[id].observers.clone() {
            self.close_observer(observer);
        }
        let told = out.events.len();
        for transport in self.routers[id].transports.clone() {
            self.close_transport(transport, sockets, out);
        }
        out.events.truncate(told);
        self.routers.remove(id);
        self.names.remove(name);
        Ok(Reply::Done)
    }

    pub(crate) fn dump_router(&self, name: &str) -> Result<Reply, CommandError> {
        let id = self.router(name)?;
        Ok(Reply::RouterDump(Box::new(self.routers[id].dump(self))))
    }

    pub(crate) fn router(&self, name: &str) -> Result<Id<Router>, CommandError> {
        match self.names.get(name) {
            Some(&Entity::Router(id)) => Ok(id),
            _ => Err(CommandError::not_found(format!("Router not found [routerId:{name}]"))),
        }
    }

    /// Names are unique among everything: each is the address of its entity. Whoever sends commands knows all names, and
    /// refuses in the words of the place before; this only keeps the books whole.
    pub(crate) fn check_name_is_free(&self, name: &str) -> Result<(), CommandError> {
        if self.names.contains_key(name) {
            return Err(CommandError::error(format!(
                "Channel request handler with ID {name} already exists"
            )));
        }
        Ok(())
    }
}
