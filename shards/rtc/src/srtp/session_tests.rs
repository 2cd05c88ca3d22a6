//! Sessions against each other.
