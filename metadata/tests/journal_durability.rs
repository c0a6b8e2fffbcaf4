//! What the journal acknowledged is there after a crash, and what it lost it says.

#[cfg(test)]
#[path = "journal_durability/crash.rs"]
mod crash;
#[cfg(test)]
#[path = "journal_durability/faults.rs"]
mod faults;
#[cfg(test)]
#[path = "journal_durability/flips.rs"]
mod flips;
#[cfg(test)]
#[path = "journal_durability/model.rs"]
mod model;
#[cfg(test)]
#[path = "journal_durability/threads.rs"]
mod threads;
