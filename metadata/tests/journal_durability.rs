//! What the journal acknowledged is there after a crash, and what it lost it says.

#[path = "journal_durability/crash.rs"]
mod crash;
#[path = "journal_durability/faults.rs"]
mod faults;
#[path = "journal_durability/flips.rs"]
mod flips;
#[path = "journal_durability/model.rs"]
mod model;
#[path = "journal_durability/threads.rs"]
mod threads;
