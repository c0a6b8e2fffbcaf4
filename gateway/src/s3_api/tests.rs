//! The operations through [`Gateway::respond`](crate::Gateway::respond), over the fakes.

mod attributes;
mod buckets;
mod configuration;
mod copies;
mod listing;
mod multipart;
mod objects;
mod part_copies;
mod refusals;
mod slow;
