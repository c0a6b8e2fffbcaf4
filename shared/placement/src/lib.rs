//! Partition table and minimal-move planning.
