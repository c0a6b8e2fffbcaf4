//! Real `cairn` processes, driven over HTTP and looked at from outside.
//!
//! ```text
//! process/*  faults: kill -9, SIGTERM, full disk, lost shards, strace
//! cluster/*  faults of a cluster: killed nodes, voters and gateways, cut networks
//! clients/*  aws-cli, boto3, s3cmd, curl
//! model/*    every order of events over one chunk, within bounds
//!    │
//!    ├── server      starts, kills and restarts the binary on directories of its own
//!    ├── workload    seeded operations of several workers, each on keys of its own
//!    │      └── oracle   what must be, may be and must not be there   (pure, knows no server)
//!    ├── content     bytes that can be made again from a seed
//!    ├── cluster     starts, kills and restarts the processes of a cluster
//!    ├── network     a network of namespaces that can be cut, one way or both
//!    ├── history     concurrent clients on shared keys, through all gateways
//!    │      └── linear   whether one order explains what they saw   (pure)
//!    ├── simulated    clients of a simulated cluster, what they saw, and what must be so after it
//!    ├── explore     every state of a small model, for model/*             (pure)
//!    ├── flushes     what strace saw of fsync and fdatasync            (pure)
//!    └── skip        why a test cannot run on this machine
//! ```
//!
//! The checkers know nothing of the server, and each has unit tests that show it can fail.
//!
//! Read from the environment: `CAIRN_BIN` (the binary under test; else it is built), `CAIRN_CLIENTS`
//! (where `cargo xtask clients` put pip's), `CAIRN_SEED` (repeats a failing run), `CAIRN_LONG`
//! (longer storms), `CAIRN_SKIP_LOG` (where skipped tests say why) and `CI`.

pub mod binary;
pub mod cluster;
pub mod content;
pub mod damage;
pub mod explore;
pub mod flushes;
pub mod history;
pub mod linear;
pub mod network;
pub mod objects;
pub mod oracle;
pub mod patience;
pub mod random;
pub mod s3;
pub mod server;
pub mod simulated;
pub mod skip;
pub mod small_disk;
pub mod tools;
pub mod workload;
