//! The cairn binary: an S3-compatible object store.

fn main() {}
