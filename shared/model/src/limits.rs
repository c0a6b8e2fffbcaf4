//! Every bound of Cairn, and the relations that must hold between them.

/// 1 KiB.
pub const KIB: u64 = 1 << 10;
/// 1 MiB.
pub const MIB: u64 = 1 << 20;
/// 1 GiB.
pub const GIB: u64 = 1 << 30;

/// Longest chunk.
pub const CHUNK_LEN_MAX: u64 = 64 * MIB;
/// Where objects are cut.
pub const CHUNK_LEN_DEFAULT: u64 = 16 * MIB;
/// Chunks shorter than this are kept as m + 1 copies.
pub const SMALL_CHUNK_LEN: u64 = 64 * KIB;
/// Objects up to this length lie inside their metadata row.
pub const INLINE_LEN_MAX: u64 = 4 * KIB;
/// Bytes of a full cell.
pub const CELL_LEN: u32 = 64 << 10;
/// Largest cell this version reads.
pub const CELL_LEN_MAX: u32 = 1 << 20;
/// Most shards of one chunk (GF(2^8) allows 255).
pub const SHARDS_MAX: u32 = 32;
/// Chunk bytes in one raw frame between gateway and storage node.
pub const DATA_FRAME_LEN: u64 = 256 * KIB;

/// Longest payload of one wire message.
pub const WIRE_PAYLOAD_MAX: u64 = MIB;
/// Longest answer of a call between processes, over all its frames.
pub const RPC_ANSWER_LEN_MAX: usize = 16 << 20;
/// Calls in progress at a process, from all peers together; more are turned away.
pub const RPC_CALLS_MAX: usize = 8_192;
/// Calls in progress on one connection; more wait at the caller.
pub const RPC_CALLS_PER_CONNECTION_MAX: u32 = 4_096;
/// Connections a process takes from peers.
pub const RPC_CONNECTIONS_MAX: usize = 1_024;
/// Bytes of requests in progress at a process; senders wait beyond it.
pub const RPC_REQUEST_BYTES_MAX: u64 = 256 * MIB;
/// Bytes of a shard sent ahead of what the storage node says it took.
pub const RPC_UPLOAD_WINDOW: u64 = 4 * MIB;
/// Deletes of one call; longer lists are several calls.
pub const RPC_DELETES_MAX: usize = 4_096;
/// Shards in one page of an inventory.
pub const RPC_INVENTORY_MAX: usize = 8_192;
/// Disks a rebuild may read from: each shard where it is, where it moves and where it was meant to be.
pub const REBUILD_SOURCES_MAX: usize = 4 * SHARDS_MAX as usize;
/// Sessions of one keep-alive call; longer lists are several calls.
pub const RPC_SESSIONS_MAX: usize = 65_536;

/// Longest Raft entry, checked before it is proposed.
pub const ENTRY_LEN_MAX: u64 = 256 * KIB;
/// Chunk counters one entry may touch.
pub const ENTRY_CHUNK_COUNTERS_MAX: usize = 1_024;
/// Extents of a manifest that lies in its object row.
pub const ROW_EXTENTS_MAX: usize = 16;
/// Processes of one cluster.
pub const NODES_MAX: usize = 1_024;
/// Disks of one cluster; their row is read with every view.
pub const DISKS_MAX: usize = 2_048;
/// Voters of one metadata group; other members only follow.
pub const VOTERS_MAX: usize = 7;
/// Bytes of a node's address.
pub const ADDRESS_LEN_MAX: usize = 256;
/// Bytes of a zone's name.
pub const ZONE_LEN_MAX: usize = 64;
/// Join tokens that may be outstanding.
pub const JOIN_TOKENS_MAX: usize = 256;
/// Processes without a certificate that one member hears at once.
pub const JOINS_AT_ONCE: usize = 8;
/// Longest life of a join token.
pub const JOIN_TOKEN_MS_MAX: u64 = 7 * 24 * 3_600_000;
/// Chunks and manifests one long read pins when it moves to a newer session.
pub const PIN_TARGETS_MAX: usize = ROW_EXTENTS_MAX;
/// Extents in one manifest page.
pub const PAGE_EXTENTS_MAX: usize = 1_024;
/// Parts in one page of a completed upload's part list; each part may bring a row of extents.
pub const PAGE_PARTS_MAX: usize = 64;
/// Parts of an aborted upload released by one entry.
pub const ABORT_PARTS_PER_ENTRY: usize = 64;
/// Outcomes and staged manifests of an ended session forgotten by one entry.
pub const END_ROWS_PER_ENTRY: usize = 1_024;
/// Removed disks a node's row remembers.
pub const LEFT_DISKS_MAX: usize = 256;
/// Changes of a partition's row it keeps to tell where shards of open sessions were written.
pub const PAST_PLACES_MAX: usize = 64;
/// Slots that move off lost disks at once.
pub const MOVES_URGENT_MAX: usize = 1_024;
/// Slots that move for any other reason at once: during a move readers may have to ask two disks.
pub const MOVES_MAX: usize = 64;
/// Chunks in debt or of moving slots in one answer.
pub const CHUNK_PAGE_MAX: u32 = 512;
/// Chunk rows looked at for one answer.
pub const CHUNK_SCAN_MAX: usize = 8_192;
/// Disks an orphan is found on besides its partition's that one entry names.
pub const ORPHAN_DISKS_MAX: usize = 8;
/// Condemned writings in one delete entry.
pub const DELETE_CHUNKS_PER_ENTRY: usize = 512;
/// Chunks in one entry that records what an inventory did not find.
pub const MISSING_CHUNKS_PER_ENTRY: usize = 64;
/// Writings whose shards one round of an inventory looks for on every disk.
pub const INVENTORY_WINDOW: usize = 1 << 16;
/// Pages of one manifest: a 50 TiB object of default chunks, and room for 1 MiB ones of smaller.
pub const MANIFEST_PAGES_MAX: usize = 4_096;
/// Extents in one staging entry: bounded by the entry's length.
pub const STAGE_EXTENTS_MAX: usize = 1_024;
/// Keys of one DeleteObjects entry; a longer request is split.
pub const DELETE_KEYS_PER_ENTRY: usize = 64;
/// Groups a full mark sorts what it compares into, as a power of two: at most one sum each.
pub const MARK_GROUP_BITS: u32 = 14;
/// Items of groups that differ which a full mark counts one by one; groups beyond it stay unnamed.
pub const MARK_ITEMS_MAX: usize = 1 << 16;
/// Shared manifests whose holders a full mark counts in one pass over the rows.
pub const MARK_SHARED_MAX: usize = 1 << 16;
/// Rows of one kind that a replica counts when it is asked how it is; more count as so many.
pub const STATUS_COUNT_MAX: usize = 10_000;
/// Discrepancies a full mark names; it counts the others.
pub const MARK_NAMED_MAX: usize = 1_024;

/// Milliseconds of state-machine time a CAS lease holds its chunk.
pub const LEASE_MS: u64 = 7 * 24 * 3_600 * 1_000;
/// Leases one entry makes, renews or ends.
pub const LEASES_PER_ENTRY: usize = 512;
/// Hashes of one `/cas/missing` request.
pub const CAS_MISSING_MAX: usize = 1_000;
/// Body of a `/cas/missing` request.
pub const CAS_MISSING_LEN_MAX: u64 = 128 * KIB;
/// Chunks of one `/cas/objects` request.
pub const CAS_OBJECT_CHUNKS_MAX: usize = 10_000;
/// Body of a `/cas/objects` request.
pub const CAS_OBJECT_LEN_MAX: u64 = 2 * MIB;
/// Seconds a bearer token lives where its request does not say.
pub const TOKEN_SECS_DEFAULT: u64 = 24 * 3_600;
/// Longest life of a bearer token in seconds.
pub const TOKEN_SECS_MAX: u64 = 7 * 24 * 3_600;

/// Longest object: 10,000 parts of 5 GiB (AWS calls it 50 TB).
pub const OBJECT_LEN_MAX: u64 = 50_000 * GIB;
/// Longest object of one PUT, and longest part.
pub const PUT_LEN_MAX: u64 = 5 * GIB;
/// Most parts of an upload.
pub const PARTS_MAX: u32 = 10_000;
/// Shortest part but the last.
pub const PART_LEN_MIN: u64 = 5 * MIB;
/// Longest object key in bytes.
pub const KEY_LEN_MAX: usize = 1_024;
/// Shortest and longest bucket name.
pub const BUCKET_NAME_LEN: (usize, usize) = (3, 63);
/// Keys in one listing page, and in one DeleteObjects request.
pub const LIST_KEYS_MAX: u32 = 1_000;
/// Buckets in one listing page.
pub const LIST_BUCKETS_MAX: u32 = 10_000;
/// User metadata of one object, names and values together.
pub const USER_METADATA_MAX: usize = 2 * 1_024;
/// All stored headers of one object.
pub const OBJECT_HEADERS_MAX: usize = 8 * 1_024;

/// Header block of a request.
pub const HEADERS_LEN_MAX: usize = 16 * 1_024;
/// Headers of a request.
pub const HEADERS_COUNT_MAX: usize = 100;
/// Request target.
pub const URI_LEN_MAX: usize = 8 * 1_024;
/// XML body of a request; DeleteObjects and Complete have their own.
pub const XML_LEN_MAX: u64 = MIB;
/// XML body of DeleteObjects.
pub const XML_DELETE_LEN_MAX: u64 = 2 * MIB;
/// Nesting of an XML body.
pub const XML_DEPTH_MAX: usize = 16;
/// One line of aws-chunked framing or one trailer line.
pub const CHUNK_LINE_MAX: usize = 1_024;
/// Trailer block of an aws-chunked body.
pub const TRAILERS_LEN_MAX: usize = 4 * 1_024;
/// Seconds a client has for its header block.
pub const HEADER_TIMEOUT_SECS: u64 = 10;
/// Idle keep-alive seconds.
pub const IDLE_TIMEOUT_SECS: u64 = 60;
/// Lowest body rate in bytes per second.
pub const BODY_RATE_MIN: u64 = KIB;
/// Seconds over which the body rate is judged.
pub const BODY_RATE_WINDOW_SECS: u64 = 30;
/// Open connections of a gateway.
pub const CONNECTIONS_MAX: usize = 10_000;
/// Requests in progress over HTTP/2, on all connections together; more get SlowDown. HTTP/1 has one
/// per connection.
pub const STREAMS_MAX: usize = 10_000;
/// Requests in progress on one HTTP/2 connection.
pub const STREAMS_PER_CONNECTION_MAX: u32 = 100;
/// Seconds a client has for its TLS handshake.
pub const TLS_HANDSHAKE_TIMEOUT_SECS: u64 = 10;
/// Requests with a body in progress at once; more get SlowDown.
pub const UPLOADS_MAX: usize = 512;
/// Stripes one request may buffer.
pub const STRIPES_PER_REQUEST: usize = 4;

/// Seconds a session takes uploads and reads before the next one begins.
pub const SESSION_SECS: u64 = 60;
/// Seconds after which a read or an upload leaves its session for a newer one, so that what it does
/// not need goes. An upload leaves between two chunks, so it may stay for one more chunk.
pub const READ_REPIN_SECS: u64 = 3_600;
/// Seconds after which a silent session is expired by the leader.
pub const SESSION_EXPIRY_SECS: u64 = 90;
/// Outcomes kept per session; a session past it is rotated early.
pub const SESSION_OUTCOMES_MAX: u64 = 1 << 20;
/// Session ids of one generation, as a power of two: those of the next begin above them, so that a
/// session of a history that a restore gave up never bears the id of one begun since.
pub const GENERATION_SESSION_BITS: u32 = 32;
/// The same for the epochs of partition rows.
pub const GENERATION_EPOCH_BITS: u32 = 48;
/// A leader's clock this far off the median of a voter majority does not stamp.
pub const CLOCK_SKEW_MAX_MS: u64 = 5_000;
/// A forward jump of state-machine time beyond this suspends every time-driven deletion.
pub const CLOCK_JUMP_MAX_MS: u64 = 3_600_000;
/// Entries between two comparisons of the voters' running hash.
pub const STATE_HASH_EVERY: u64 = 1_000;

/// Partitions of a new cluster, as a power of two.
pub const PARTITION_BITS_DEFAULT: u32 = 10;
/// Most partitions, as a power of two.
pub const PARTITION_BITS_MAX: u32 = 16;

/// Access keys are 3 to 128 characters.
pub const ACCESS_KEY_LEN: (usize, usize) = (3, 128);
/// Shortest secret key.
pub const SECRET_KEY_LEN_MIN: usize = 8;
/// Longest secret key.
pub const SECRET_KEY_LEN_MAX: usize = 1_024;

const _: () = {
    assert!(CHUNK_LEN_DEFAULT <= CHUNK_LEN_MAX);
    assert!(CHUNK_LEN_MAX <= u32::MAX as u64);
    assert!(INLINE_LEN_MAX < SMALL_CHUNK_LEN);
    assert!(SMALL_CHUNK_LEN <= CELL_LEN as u64);
    assert!(SHARDS_MAX < 255);
    assert!(ENTRY_LEN_MAX < WIRE_PAYLOAD_MAX);
    assert!(
        INLINE_LEN_MAX + OBJECT_HEADERS_MAX as u64 + KEY_LEN_MAX as u64 + 8 * KIB < ENTRY_LEN_MAX
    );
    // An overwrite takes one row's extents and releases another's.
    assert!(2 * ROW_EXTENTS_MAX <= ENTRY_CHUNK_COUNTERS_MAX);
    assert!(DELETE_KEYS_PER_ENTRY * ROW_EXTENTS_MAX <= ENTRY_CHUNK_COUNTERS_MAX);
    assert!(DELETE_KEYS_PER_ENTRY * (KEY_LEN_MAX + 256) < ENTRY_LEN_MAX as usize);
    assert!(PAGE_PARTS_MAX * ROW_EXTENTS_MAX <= ENTRY_CHUNK_COUNTERS_MAX);
    assert!(ABORT_PARTS_PER_ENTRY * ROW_EXTENTS_MAX <= ENTRY_CHUNK_COUNTERS_MAX);
    assert!(DELETE_CHUNKS_PER_ENTRY <= ENTRY_CHUNK_COUNTERS_MAX);
    assert!(DELETE_CHUNKS_PER_ENTRY * 128 < ENTRY_LEN_MAX as usize);
    assert!(DELETE_CHUNKS_PER_ENTRY * (128 + 20 * ORPHAN_DISKS_MAX) < ENTRY_LEN_MAX as usize);
    // A chunk and where each of its shards was found.
    assert!(MISSING_CHUNKS_PER_ENTRY * (128 + 48 * SHARDS_MAX as usize) < ENTRY_LEN_MAX as usize);
    // A generation is 16 bits, a session id 48, an epoch 64.
    assert!(GENERATION_SESSION_BITS + 16 <= 48);
    assert!(GENERATION_EPOCH_BITS + 16 <= 64);
    // A chunk and a debt for each of its shards.
    assert!(CHUNK_PAGE_MAX as usize * (256 + 64 * SHARDS_MAX as usize) < RPC_ANSWER_LEN_MAX);
    // A group's number is cut from two bytes.
    assert!(MARK_GROUP_BITS <= 16);
    // What a full mark names, an object key each, fits beside what it counts.
    assert!(MARK_NAMED_MAX * KEY_LEN_MAX <= MARK_ITEMS_MAX * 128);
    assert!(PAGE_EXTENTS_MAX <= ENTRY_CHUNK_COUNTERS_MAX);
    assert!(STAGE_EXTENTS_MAX <= PAGE_EXTENTS_MAX);
    // A staged extent is at most 200 bytes of entry.
    assert!(STAGE_EXTENTS_MAX * 200 + 4_096 < ENTRY_LEN_MAX as usize);
    assert!(OBJECT_LEN_MAX / CHUNK_LEN_DEFAULT <= (MANIFEST_PAGES_MAX * PAGE_EXTENTS_MAX) as u64);
    assert!(PART_LEN_MIN * (PARTS_MAX as u64) <= OBJECT_LEN_MAX);
    assert!(PUT_LEN_MAX.div_ceil(CHUNK_LEN_DEFAULT) <= PAGE_EXTENTS_MAX as u64);
    assert!(OBJECT_LEN_MAX <= PUT_LEN_MAX * PARTS_MAX as u64);
    assert!(SESSION_SECS < SESSION_EXPIRY_SECS);
    assert!(SESSION_SECS < READ_REPIN_SECS);
    // An upload that leaves its session stages a page: at worst with every chunk.
    assert!(PUT_LEN_MAX.div_ceil(CHUNK_LEN_DEFAULT) < MANIFEST_PAGES_MAX as u64);
    assert!(DISKS_MAX <= u16::MAX as usize + 1);
    // A table has two bytes a slot.
    assert!((2 * SHARDS_MAX as usize) << PARTITION_BITS_DEFAULT < ENTRY_LEN_MAX as usize);
    assert!(LEASES_PER_ENTRY <= ENTRY_CHUNK_COUNTERS_MAX);
    assert!(LEASES_PER_ENTRY * 200 + 4_096 < ENTRY_LEN_MAX as usize);
    // A clock that jumps as far as is taken ends no lease early by much.
    assert!(CLOCK_JUMP_MAX_MS * 24 <= LEASE_MS);
    // 64 digits, two quotes, a comma and a blank; and what stands around a chunk of an object.
    assert!(CAS_MISSING_MAX * 68 < CAS_MISSING_LEN_MAX as usize);
    assert!(CAS_OBJECT_CHUNKS_MAX * 128 < CAS_OBJECT_LEN_MAX as usize);
    assert!(CAS_OBJECT_CHUNKS_MAX as u64 * CHUNK_LEN_MAX <= OBJECT_LEN_MAX);
    assert!(CAS_OBJECT_CHUNKS_MAX <= MANIFEST_PAGES_MAX * PAGE_EXTENTS_MAX);
    assert!(TOKEN_SECS_DEFAULT <= TOKEN_SECS_MAX);
    assert!(PARTITION_BITS_DEFAULT <= PARTITION_BITS_MAX);
    assert!(DATA_FRAME_LEN <= WIRE_PAYLOAD_MAX);
    assert!(RPC_REQUEST_BYTES_MAX >= 16 * WIRE_PAYLOAD_MAX);
    // The window holds the longest cell and a frame behind it, else no cell would ever be whole.
    assert!(RPC_UPLOAD_WINDOW >= CELL_LEN_MAX as u64 + 2 * DATA_FRAME_LEN);
    assert!(RPC_DELETES_MAX * 64 + 64 < WIRE_PAYLOAD_MAX as usize);
    assert!(RPC_INVENTORY_MAX * 72 + 64 < WIRE_PAYLOAD_MAX as usize);
    assert!(RPC_SESSIONS_MAX * 10 + 64 < WIRE_PAYLOAD_MAX as usize);
    assert!(
        LIST_KEYS_MAX as usize * (KEY_LEN_MAX + OBJECT_HEADERS_MAX + 4_096) < RPC_ANSWER_LEN_MAX
    );
};
