//! The axum gateway: S3, CAS, admin, health, and the chunk data path.

mod data;
mod metadata;
mod tuning;

#[cfg(test)]
mod fakes;
