//! The real machine behind the traits.
//!
//! Only the files below may ask the operating system for the time, for randomness or for a file;
//! everybody else holds a trait object.

pub mod clock;
pub mod disk;
pub mod entropy;

pub use clock::RealClock;
pub use disk::RealDisk;
pub use entropy::OsEntropy;
