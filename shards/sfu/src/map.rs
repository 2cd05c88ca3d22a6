//! The hash map of the packet path.

use std::collections::HashMap;

/// Foldhash with a seed per map: a third of SipHash's cost, and a sender cannot choose colliding SSRCs.
pub type Map<K, V> = HashMap<K, V, foldhash::fast::RandomState>;
