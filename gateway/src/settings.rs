//! What an operator may choose about a gateway. Typed values; nothing here reads the environment.

/// Settings of one gateway process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The region that requests must be signed for.
    pub region: String,
    /// Domains under which `bucket.domain` names a bucket. Without any, buckets are in the path.
    pub domains: Vec<String>,
    /// What this process calls itself in sessions and in `x-amz-id-2`.
    pub name: String,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            region: "us-east-1".to_owned(),
            domains: Vec::new(),
            name: "cairn".to_owned(),
        }
    }
}
