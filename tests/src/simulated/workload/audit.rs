//! The last look at everything, when the cluster is whole again and nobody writes.

use std::time::Duration;

use super::client::{Client, Place};
use super::{BUCKETS, Kind};
use crate::simulated::content::Body;
use crate::simulated::history::{Asked, Register};

/// Attempts, and the rest between two of them.
const TRIES: u32 = 60;
const REST: Duration = Duration::from_secs(1);
/// Names on a page.
const PAGE: usize = 100;

impl Client {
    /// Reads every name, listing, upload and leased chunk. What cannot be read is a fault.
    pub(super) async fn audit(&mut self) {
        for register in self.history().registers() {
            match &register {
                Register::Object { bucket, key } => {
                    let place = Place {
                        bucket: bucket.clone(),
                        key: key.clone(),
                    };
                    self.insist(&place.path(), async |client| {
                        client.get(Kind::Get, &place).await
                    })
                    .await;
                }
                Register::Bucket(name) => {
                    for kind in [Kind::BucketHead, Kind::BucketGet] {
                        self.insist(name, async |client| client.bucket_named(kind, name).await)
                            .await;
                    }
                }
                Register::Upload { .. } | Register::Part { .. } => {}
            }
        }
        self.audit_listings().await;
        self.audit_parts().await;
        self.audit_chunks().await;
    }

    /// Tries again as long as there is no answer.
    async fn insist(&mut self, what: &str, mut look: impl AsyncFnMut(&mut Self) -> bool) {
        for _ in 0..TRIES {
            if look(self).await {
                return;
            }
            tokio::time::sleep(REST).await;
        }
        let history = self.history();
        history.fault(format!("{what} cannot be read, in {TRIES} attempts"));
    }

    async fn audit_listings(&mut self) {
        for bucket in BUCKETS {
            for delimiter in ["", "/"] {
                let asked = Asked {
                    bucket: bucket.to_owned(),
                    delimiter: delimiter.to_owned(),
                    limit: PAGE,
                    ..Asked::default()
                };
                self.insist(bucket, async |client| client.list_all(asked.clone()).await)
                    .await;
            }
            let asked = Asked {
                bucket: bucket.to_owned(),
                limit: PAGE,
                ..Asked::default()
            };
            let what = format!("the uploads of {bucket}");
            self.insist(&what, async |client| {
                client.list_all_uploads(asked.clone()).await
            })
            .await;
        }
        self.insist("the list of buckets", async |client| {
            client.list_buckets().await
        })
        .await;
    }

    async fn audit_parts(&mut self) {
        let open = self.shared.board().uploads.clone();
        for upload in open {
            let list = async |client: &mut Self| client.list_parts(&upload, PAGE as u64).await;
            self.insist(&upload.id, list).await;
        }
    }

    async fn audit_chunks(&mut self) {
        for (hash, body) in self.leased_chunks() {
            let look =
                async |client: &mut Self| client.look_at_chunk(Kind::ChunkGet, &hash, &body).await;
            self.insist(&hash, look).await;
        }
    }

    fn leased_chunks(&self) -> Vec<(String, Body)> {
        let held = self.history().chunks_held(self.door().now_secs());
        let board = self.shared.board();
        let known = held.into_iter();
        known
            .filter_map(|hash| Some((hash.clone(), board.chunks.get(&hash)?.clone())))
            .collect()
    }
}
