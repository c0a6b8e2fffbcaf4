//! The operations through [`Gateway::respond`](crate::Gateway::respond), over the fakes.

mod buckets;
mod configuration;
mod listing;
mod multipart;
mod objects;
mod refusals;
