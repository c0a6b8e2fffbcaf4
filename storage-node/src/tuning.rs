//! The private bounds of this crate and how they hang together.

use std::time::Duration;

use cairn_model::limits;

/// What everything on disk is aligned to, and the grain of reservations.
pub(crate) const UNIT: usize = 4_096;
/// [`UNIT`] as a file offset.
pub(crate) const UNIT_U64: u64 = 4_096;
/// Bytes of one streamed write of a large record.
pub(crate) const RUN_LEN: usize = 512 << 10;
/// Records up to this many units are small: one write, one read, space back by compaction.
pub(crate) const SMALL_UNITS: u32 = 32;
/// Units at the end of a segment of small records that only tombstones may take.
pub(crate) const TOMBSTONE_RESERVE: u32 = 4;
/// Units of the segment that is made for tombstones where no small or carried record is being written:
/// 4 MiB hold some tens of thousands.
pub(crate) const TOMBSTONE_UNITS: u32 = 1_024;
/// Units of the segment that is made for tombstones on a full disk.
pub(crate) const RESCUE_UNITS: u32 = 16;
/// Fewest units a segment may have.
pub(crate) const SEGMENT_UNITS_MIN: u32 = 16;
/// Jobs of one commit group.
pub(crate) const GROUP_JOBS: usize = 1_024;
/// Bytes of one merged write.
pub(crate) const MERGED_LEN: usize = 1 << 20;
/// Jobs that may wait for the committer.
pub(crate) const QUEUE_JOBS: usize = 8_192;
/// Uploads that may be open on one disk: each holds at most two runs.
pub(crate) const OPEN_UPLOADS: usize = 512;
/// Reads that may wait for one disk.
pub(crate) const READ_QUEUE: usize = 4_096;
/// Open segment files of one disk.
pub(crate) const FILES_OPEN: usize = 256;
/// Bytes of one read while scanning or scrubbing.
pub(crate) const SCAN_WINDOW: usize = 256 << 10;
/// Bytes of one read of a client.
pub(crate) const READ_LEN: u64 = 4 << 20;
/// Damage reports kept until somebody takes them.
pub(crate) const DAMAGE_KEPT: usize = 1_024;
/// A segment with this share of its blocks wasted is compacted.
pub(crate) const COMPACT_PERCENT: u64 = 50;
/// Sealed segments shorter than this part of a whole one ...
pub(crate) const CROWD_PART: u32 = 8;
/// ... are merged when there are so many of them.
pub(crate) const CROWD: usize = 16;
/// Client writes stop at this share of the file system free unless told otherwise ...
pub(crate) const KEEP_FREE_PERCENT: u8 = 5;
/// ... which may be up to this ...
pub(crate) const KEEP_FREE_PERCENT_MAX: u8 = 50;
/// ... or at this many segments, whichever is more.
pub(crate) const FULL_SEGMENTS: u64 = 2;
/// Index rows of one batch while clearing.
pub(crate) const CLEAR_ROWS: usize = 4_096;
/// Places punched in one step.
pub(crate) const PUNCH_PLACES: usize = 64;
/// Bytes one background step may move.
pub(crate) const STEP_BYTES: u64 = 4 << 20;
/// Pause of the caretaker where there is nothing to do.
pub(crate) const IDLE_PAUSE: Duration = Duration::from_secs(1);
/// Between two looks at the room on a disk.
pub(crate) const ROOM_PAUSE: Duration = Duration::from_secs(1);
/// How often the caretaker gives way to foreground work before it takes its turn all the same.
pub(crate) const GIVE_WAY: u32 = 50;
/// Shards made anew on one disk at once ...
pub(crate) const REBUILDS: usize = 2;
/// ... and orders for it in hand, those that wait included.
pub(crate) const REBUILD_ORDERS: usize = 64;
/// Bytes of the chunk that a rebuild has in hand: of its data cells, or one stripe.
pub(crate) const REBUILD_WINDOW: u64 = 4 << 20;
/// How long a rebuild waits for one source.
pub(crate) const SOURCE_PATIENCE: Duration = Duration::from_secs(5);
/// How often each step of a rebuild gives way to foreground work.
pub(crate) const REBUILD_GIVES_WAY: u32 = 5;
/// Rest between two complete scrub passes.
pub(crate) const SCRUB_REST: Duration = Duration::from_secs(6 * 3_600);

const _: () = {
    assert!(UNIT as u64 == UNIT_U64);
    assert!(RUN_LEN.is_multiple_of(UNIT) && SCAN_WINDOW.is_multiple_of(UNIT));
    assert!(MERGED_LEN >= RUN_LEN);
    assert!((TOMBSTONE_RESERVE as usize) < SEGMENT_UNITS_MIN as usize);
    assert!(RESCUE_UNITS >= SEGMENT_UNITS_MIN);
    // A record of a small chunk is written in one run.
    assert!(limits::SMALL_CHUNK_LEN as usize + 2 * UNIT <= RUN_LEN);
    assert!(limits::SMALL_CHUNK_LEN / UNIT_U64 + 2 <= SMALL_UNITS as u64);
    assert!(OPEN_UPLOADS >= limits::UPLOADS_MAX);
};
