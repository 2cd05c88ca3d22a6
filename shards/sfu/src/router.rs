//! A router: transports that exchange media, and how long it takes them.

use crate::name::Name;
use crate::observer::Observer;
use crate::reply::RouterDump;
use crate::sfu::Sfu;
use crate::stats::Latency;
use crate::table::Id;
use crate::transport::Transport;

#[derive(Debug)]
pub struct Router {
    pub(crate) name: Name,
    pub(crate) transports: Vec<Id<Transport>>,
    pub(crate) observers: Vec<Id<Observer>>,
    /// Made with the first producer: a histogram is larger than all the rest of an idle router.
    pub(crate) latency: Option<Box<Latency>>,
}

impl Router {
    pub(crate) fn new(name: Name) -> Self {
        Self { name, transports: Vec::new(), observers: Vec::new(), latency: None }
    }

    pub(crate) fn dump(&self, sfu: &Sfu) -> RouterDump {
        let transports = || self.transports.iter().filter_map(|&id| sfu.transports.get(id));
        let producers = transports().flat_map(|transport| &transport.producers);
        let consumers = transports().flat_map(|transport| &transport.consumers);
        let observer = |id| Some(sfu.observers.get(id)?.name.clone());
        let data_producers = transports().flat_map(|transport| &transport.data_producers);
        let data_consumers = transports().flat_map(|transport| &transport.data_consumers);
        RouterDump {
            router: self.name.to_string(),
            transports: transports().map(|transport| transport.name.clone()).collect(),
            rtp_observers: self.observers.iter().filter_map(|&id| observer(id)).collect(),
            consumers_of_producer: producers
                .clone()
                .filter_map(|&id| sfu.producers.get(id))
                .map(|producer| {
                    let consumers = producer.consumers().filter_map(|id| sfu.consumers.get(id));
                    (producer.name.clone(), consumers.map(|consumer| consumer.name.clone()).collect())
                })
                .collect(),
            observers_of_producer: producers
                .filter_map(|&id| sfu.producers.get(id))
                .map(|producer| {
                    let observers = producer.seats.iter().filter_map(|seat| observer(seat.observer));
                    (producer.name.clone(), observers.collect())
                })
                .collect(),
            producer_of_consumer: consumers
                .filter_map(|&id| sfu.consumers.get(id))
                .map(|consumer| (consumer.name.clone(), consumer.producer_name.clone()))
                .collect(),
            data_consumers_of_data_producer: data_producers
                .map(|&id| &sfu.data_producers[id])
                .map(|producer| {
                    let consumers = producer.consumers.iter().map(|&id| sfu.data_consumers[id].name.clone());
                    (producer.name.clone(), consumers.collect())
                })
                .collect(),
            data_producer_of_data_consumer: data_consumers
                .map(|&id| &sfu.data_consumers[id])
                .map(|consumer| (consumer.name.clone(), consumer.producer_name.clone()))
                .collect(),
            latency: self.latency.as_ref().map(|latency| latency.report()).unwrap_or_default(),
            shard: None,
        }
    }
}
