//! A client's way to the gateways of the cluster.

pub(crate) use cairn_tests::simulated::door::{Answer, Door, Heard};
