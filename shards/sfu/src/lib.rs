//! One shard's routers, transports, producers and consumers, without I/O.
