//! Threads, rings, sockets and queues.
