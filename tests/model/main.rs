//! Every order in which writers, a reader, the planner, a node and their misfortunes can meet over one
//! chunk, within bounds; with the product's own state machine deciding what becomes of its rows.
//!
//! ```text
//!  writer  writer  reader  planner (may be deposed)      steps of actors: world/*
//!     └──────┴───────┴────────┘
//!        entries (`say`) ──> cairn_metadata::apply ──> rows, numbered ──> facts
//!                              └─ a rule taken away: `without`
//!        shards on a node  <── writes, late writes, deletes, deletes that come late
//!
//!  rules of every state: `rules`       what is left when everybody has gone: `settle`
//! ```
//!
//! `sound` explores the product as it is; `mutants` takes away one rule of the design at a time and wants
//! the loss that the rule prevents. `docs/simulation-model.md` states the bounds.

#![expect(
    clippy::unwrap_used,
    reason = "a crate of tests: a surprise is a failure"
)]

mod bounds;
mod facts;
mod mutants;
mod replica;
mod rules;
mod say;
mod settle;
mod sound;
mod without;
mod world;
