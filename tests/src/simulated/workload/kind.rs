//! The kinds of calls, and which of them a run makes how often.

use std::collections::BTreeMap;

use cairn_world::sim::SeededRng;

use super::Options;

/// Kinds that are drawn or left out together, to make runs that differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Group {
    Plain,
    Conditions,
    Copies,
    Uploads,
    Lists,
    Chunks,
    Buckets,
    Slow,
}

macro_rules! kinds {
    ($($(#[$doc:meta])* $kind:ident: $group:ident, $weight:literal;)*) => {
        /// What a client may do.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Kind {
            $($(#[$doc])* $kind,)*
        }

        impl Kind {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$kind,)*];

            /// As it is counted.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$kind => stringify!($kind),)*
                }
            }

            fn group(self) -> (Group, u64) {
                match self {
                    $(Self::$kind => (Group::$group, $weight),)*
                }
            }
        }
    };
}

kinds! {
    /// PutObject.
    Put: Plain, 6;
    /// PutObject with `If-None-Match: *`.
    PutIfAbsent: Conditions, 3;
    /// PutObject with `If-Match`.
    PutIfMatch: Conditions, 3;
    /// PutObject whose body takes minutes to more than an hour.
    PutSlowly: Slow, 1;
    /// DeleteObject.
    Delete: Plain, 3;
    /// DeleteObject with `If-Match`.
    DeleteIfMatch: Conditions, 1;
    /// DeleteObjects.
    DeleteMany: Plain, 1;
    /// GetObject.
    Get: Plain, 6;
    /// GetObject with a range.
    GetRange: Plain, 3;
    /// GetObject with `If-None-Match`.
    GetIfNoneMatch: Conditions, 1;
    /// HeadObject.
    Head: Plain, 2;
    /// CopyObject, metadata and all.
    Copy: Copies, 3;
    /// CopyObject with new metadata, perhaps onto itself.
    CopyReplace: Copies, 3;
    /// CreateMultipartUpload.
    UploadCreate: Uploads, 3;
    /// UploadPart.
    UploadPart: Uploads, 4;
    /// UploadPartCopy.
    UploadPartCopy: Uploads, 2;
    /// ListParts.
    UploadList: Uploads, 1;
    /// CompleteMultipartUpload.
    UploadComplete: Uploads, 3;
    /// CompleteMultipartUpload beside an UploadPart.
    UploadRace: Uploads, 1;
    /// AbortMultipartUpload.
    UploadAbort: Uploads, 1;
    /// ListObjectsV2, all pages.
    List: Lists, 3;
    /// ListMultipartUploads, all pages.
    ListUploads: Lists, 1;
    /// ListBuckets.
    ListBuckets: Lists, 1;
    /// PUT of a chunk.
    ChunkPut: Chunks, 4;
    /// GET of a chunk, perhaps a range.
    ChunkGet: Chunks, 2;
    /// HEAD of a chunk.
    ChunkHead: Chunks, 1;
    /// Which of these chunks are missing?
    ChunkMissing: Chunks, 2;
    /// An object of leased chunks.
    ChunkObject: Chunks, 3;
    /// CreateBucket.
    BucketCreate: Buckets, 2;
    /// DeleteBucket.
    BucketDelete: Buckets, 2;
    /// HeadBucket.
    BucketHead: Buckets, 1;
    /// PutObject in a bucket that comes and goes.
    BucketPut: Buckets, 2;
    /// GetObject there.
    BucketGet: Buckets, 1;
    /// DeleteObject there.
    BucketEmpty: Buckets, 2;
}

/// Draws which kinds there are and how often. PUT and GET always are.
pub(super) fn draw(rng: &mut SeededRng, options: &Options) -> BTreeMap<Kind, u64> {
    let mut groups = BTreeMap::new();
    let mut weights = BTreeMap::new();
    for kind in Kind::ALL {
        let (group, base) = kind.group();
        let always = options.everything || matches!(kind, Kind::Put | Kind::Get);
        let with_group = *groups.entry(group).or_insert_with(|| rng.chance(3, 4));
        let with_kind = rng.chance(3, 4);
        let factor = 1 + rng.below(4);
        let allowed = options.slow || group != Group::Slow;
        if allowed && (always || with_group && with_kind) {
            let factor = if options.everything { 1 } else { factor };
            weights.insert(*kind, base * factor);
        }
    }
    let all: u64 = weights.values().sum();
    for kind in options.often {
        // Together with what they were drawn for, more than half of the calls.
        *weights.entry(*kind).or_default() += all / options.often.len() as u64 + 1;
    }
    weights
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seeds_leave_out_different_kinds_and_none_always() {
        let drawn: Vec<BTreeMap<Kind, u64>> = (0..100)
            .map(|seed| draw(&mut SeededRng::new(seed), &Options::default()))
            .collect();
        for kind in Kind::ALL {
            let with = drawn.iter().filter(|weights| weights.contains_key(kind));
            let with = with.count();
            assert!(with > 30, "{kind:?} in {with} of 100");
            assert!(
                with < 90 || matches!(kind, Kind::Put | Kind::Get),
                "{kind:?}"
            );
        }
    }

    #[test]
    fn options_are_heeded() {
        let quick = Options {
            slow: false,
            everything: true,
            ..Options::default()
        };
        let weights = draw(&mut SeededRng::new(1), &quick);
        assert_eq!(weights.len(), Kind::ALL.len() - 1);
        assert!(!weights.contains_key(&Kind::PutSlowly));
    }

    #[test]
    fn what_is_wanted_often_is_half_of_the_calls() {
        const OFTEN: &[Kind] = &[Kind::List, Kind::UploadRace, Kind::PutSlowly];
        let options = Options {
            slow: false,
            often: OFTEN,
            ..Options::default()
        };
        for seed in 0..100 {
            let weights = draw(&mut SeededRng::new(seed), &options);
            let all: u64 = weights.values().sum();
            let often: u64 = OFTEN.iter().map(|kind| weights[kind]).sum();
            assert!(2 * often > all, "seed {seed}: {often} of {all}");
        }
    }
}
