//! Counters and request ids.
