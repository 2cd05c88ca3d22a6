//! What a shard holds at this moment: whatever is made and ended must leave these figures as they were.

use crate::sfu::Sfu;

impl Sfu {
    /// By name, beside the objects that have a field of their own in the report.
    pub(crate) fn held(&self) -> Vec<(&'static str, u64)> {
        let counts = [
            ("held_names", self.names.len()),
            ("held_observers", self.observers.len()),
            ("held_data_producers", self.data_producers.len()),
            ("held_data_consumers", self.data_consumers.len()),
            ("held_webrtc_servers", self.webrtc_servers.len()),
            // Of their peers and of those of other shards; fragments only of their own.
            ("held_served_tuples", self.served.counts().0),
            ("held_served_fragments", self.served.counts().1),
            ("held_socket_owners", self.socket_owners.count()),
            ("held_connections", self.socket_owners.connection_count()),
            // Pipe transports, by the name that the rest of the process knows them by.
            ("held_pipes", self.pipes.len()),
            ("held_lanes", self.lanes.allocated()),
            // Those that wait for their turn, and those whose peers have spoken.
            ("held_handshakes_queued", self.handshakes.counts().0),
            ("held_handshakes", self.handshakes.counts().1),
            // Those of objects that are gone stay until they are due.
            ("held_timers", self.timers.count()),
        ];
        counts.into_iter().map(|(name, count)| (name, count as u64)).collect()
    }
}
