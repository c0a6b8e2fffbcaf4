//! Faults on real `cairn` processes; one scenario per file.

mod closed_world;
mod disk_full;
mod drain;
mod flush_before_answer;
mod kill_nine;
mod lock;
mod lost_shards;
mod start;
