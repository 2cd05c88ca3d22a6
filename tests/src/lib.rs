//! Tests above the unit: simulation, channel, conformance, interop.
