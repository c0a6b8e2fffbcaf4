//! Faults on real `cairn` processes; one scenario per file.

mod admin;
mod closed_world;
mod constant_memory;
mod credentials;
mod disk_full;
mod drain;
mod flush_before_answer;
mod flush_fails;
mod journal_damage;
mod kill_nine;
mod lock;
mod lost_metadata;
mod lost_shards;
mod one_winner;
mod start;
mod tls;
mod virtual_host;
