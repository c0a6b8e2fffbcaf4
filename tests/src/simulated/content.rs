//! Bodies that are remembered by class and number, cheap to make and to verify whole.
//!
//! ```text
//! Content(class, number) ── length, bytes
//!    block of 4 KiB: stamp (number, class, block) ── a run of one table of random bytes
//! Body: slices of contents one after the other: an object of one PUT, of parts, of chunks, of ranges
//! ```
//!
//! Every block carries a stamp of its own, so no two contents and no two places in one look the same.

use std::sync::OnceLock;

use cairn_compat_suite::checksums::{etag, sha256_hex};
use cairn_world::sim::SeededRng;

/// Where the product cuts a body into chunks.
const CHUNK: usize = 16 << 20;
const BLOCK: usize = 4 << 10;
const TABLE: usize = 256 << 10;
const STAMP: usize = 16;

/// Sizes by what the product does with them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Class {
    /// No byte.
    Empty,
    /// In the object's row: 1 B to 4 KiB.
    Inline,
    /// Copies: below 64 KiB.
    Copies,
    /// One stripe of four cells: to 256 KiB.
    Stripe,
    /// Several stripes: to 1.5 MiB.
    Stripes,
    /// The least that every part but the last must have: 5 MiB and a little.
    Part,
    /// More than one chunk: 16 to 18 MiB.
    Large,
}

/// Bytes by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Content {
    /// Its size.
    pub class: Class,
    /// Which of that size.
    pub number: u32,
}

impl Content {
    /// Its number of bytes: at a border of its class as often as in the middle.
    #[must_use]
    pub fn length(self) -> usize {
        let drawn = mix(u64::from(self.number) << 8 | self.class as u64);
        let (borders, most): (&[usize], usize) = match self.class {
            Class::Empty => return 0,
            Class::Inline => (&[1, 100, 4_095, 4_096], 4_096),
            Class::Copies => (&[4_097, 8_192, 65_535], 65_535),
            Class::Stripe => (&[65_536, 65_537, 262_143, 262_144], 262_144),
            Class::Stripes => (&[262_145, 524_288, 1 << 20, 3 << 19], 3 << 19),
            Class::Part => (&[5 << 20, (5 << 20) + 1], (5 << 20) + 70_000),
            Class::Large => (&[CHUNK + 1, CHUNK + 65_536], CHUNK + (2 << 20)),
        };
        let least = borders.first().copied().unwrap_or(0);
        let pick = usize::try_from(drawn >> 32).unwrap_or(0);
        match borders.get(pick % (2 * borders.len())) {
            Some(border) => *border,
            None => least + pick % (most - least + 1),
        }
    }

    /// All its bytes.
    #[must_use]
    pub fn bytes(self) -> Vec<u8> {
        let length = self.length();
        let mut bytes = Vec::with_capacity(length + BLOCK);
        let name = u64::from(self.class as u8) << 32 | u64::from(self.number);
        for block in 0_u64.. {
            if bytes.len() >= length {
                break;
            }
            bytes.extend_from_slice(&name.to_le_bytes());
            bytes.extend_from_slice(&block.to_le_bytes());
            let at = mix(name ^ block << 40) as usize % (TABLE - BLOCK);
            let run = table().get(at..at + BLOCK - STAMP);
            bytes.extend_from_slice(run.unwrap_or_default());
        }
        bytes.truncate(length);
        bytes
    }
}

fn table() -> &'static [u8] {
    static RANDOM: OnceLock<Vec<u8>> = OnceLock::new();
    RANDOM.get_or_init(|| {
        let mut bytes = vec![0; TABLE];
        SeededRng::new(0xca12).fill(&mut bytes);
        bytes
    })
}

/// A bijection that leaves no pattern.
fn mix(number: u64) -> u64 {
    let mut mixed = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

/// A run of one content.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Slice {
    content: Content,
    from: usize,
    to: usize,
}

/// Runs of contents, one after the other.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Body(Vec<Slice>);

impl Body {
    /// One content, whole.
    #[must_use]
    pub fn whole(content: Content) -> Self {
        let to = content.length();
        let from = 0;
        Self(vec![Slice { content, from, to }])
    }

    /// Several bodies in order.
    #[must_use]
    pub fn joined<'b>(bodies: impl IntoIterator<Item = &'b Self>) -> Self {
        Self(bodies.into_iter().flat_map(|body| body.0.clone()).collect())
    }

    /// The bytes `from..to` of this one, as far as it has them.
    #[must_use]
    pub fn slice(&self, from: usize, to: usize) -> Self {
        let mut slices = Vec::new();
        let mut begins = 0;
        for slice in &self.0 {
            let ends = begins + slice.to - slice.from;
            let (first, last) = (from.max(begins), to.min(ends));
            if first < last {
                slices.push(Slice {
                    content: slice.content,
                    from: slice.from + first - begins,
                    to: slice.from + last - begins,
                });
            }
            begins = ends;
        }
        Self(slices)
    }

    /// Number of bytes.
    #[must_use]
    pub fn length(&self) -> usize {
        self.0.iter().map(|slice| slice.to - slice.from).sum()
    }

    /// All the bytes.
    #[must_use]
    pub fn bytes(&self) -> Vec<u8> {
        let mut all = Vec::with_capacity(self.length());
        for slice in &self.0 {
            let bytes = slice.content.bytes();
            all.extend_from_slice(bytes.get(slice.from..slice.to).unwrap_or_default());
        }
        all
    }

    /// Whether these bytes are all of it; else where the first wrong one is.
    ///
    /// # Errors
    /// In words.
    pub fn verify(&self, bytes: &[u8]) -> Result<(), String> {
        let mine = self.bytes();
        if mine == bytes {
            return Ok(());
        }
        let wrong = mine.iter().zip(bytes).position(|(one, other)| one != other);
        let (length, wanted) = (bytes.len(), mine.len());
        Err(match wrong {
            Some(at) => format!("wrong byte at {at} of {wanted} ({length} came)"),
            None => format!("{length} bytes, not {wanted}"),
        })
    }

    /// MD5 in hexadecimal digits: the ETag of a PUT or a part.
    #[must_use]
    pub fn md5(&self) -> String {
        bare(&etag(&self.bytes())).to_owned()
    }

    /// SHA-256 of each chunk the product makes of it, in hexadecimal digits.
    #[must_use]
    pub fn chunks(&self) -> Vec<String> {
        self.bytes().chunks(CHUNK).map(sha256_hex).collect()
    }

    /// SHA-256 of all of it as one chunk, in hexadecimal digits.
    #[must_use]
    pub fn sha256(&self) -> String {
        sha256_hex(&self.bytes())
    }
}

/// An ETag without its quotes.
#[must_use]
pub fn bare(etag: &str) -> &str {
    etag.trim_matches('"')
}

#[cfg(test)]
mod tests {
    use super::*;

    const CLASSES: [Class; 7] = [
        Class::Empty,
        Class::Inline,
        Class::Copies,
        Class::Stripe,
        Class::Stripes,
        Class::Part,
        Class::Large,
    ];

    fn content(class: Class, number: u32) -> Content {
        Content { class, number }
    }

    #[test]
    fn lengths_are_those_of_the_class_and_reach_its_borders() {
        let ranges = [
            (Class::Inline, 1, 4_096),
            (Class::Copies, 4_097, 65_535),
            (Class::Stripe, 65_536, 262_144),
            (Class::Stripes, 262_145, 3 << 19),
            (Class::Part, 5 << 20, (5 << 20) + 70_000),
            (Class::Large, CHUNK + 1, CHUNK + (2 << 20)),
        ];
        for (class, least, most) in ranges {
            let lengths: Vec<usize> = (0..200).map(|n| content(class, n).length()).collect();
            assert!(lengths.iter().all(|length| (least..=most).contains(length)));
            assert!(lengths.contains(&least), "{class:?}");
            let middle = lengths.iter().filter(|length| **length % 2 == 1).count();
            assert!(middle > 20, "{class:?}");
        }
        assert_eq!(content(Class::Empty, 3).length(), 0);
    }

    #[test]
    fn contents_are_the_same_each_time_and_no_two_are_alike() {
        for class in CLASSES.into_iter().skip(2) {
            let (one, other) = (content(class, 1), content(class, 2));
            assert_eq!(one.bytes().len(), one.length());
            assert_eq!(one.bytes(), one.bytes());
            let (one, other) = (one.bytes(), other.bytes());
            for (block, (one, other)) in one.chunks(BLOCK).zip(other.chunks(BLOCK)).enumerate() {
                assert_ne!(one, other, "{class:?} block {block}");
            }
            let mut blocks: Vec<&[u8]> = one.chunks(BLOCK).collect();
            let count = blocks.len();
            blocks.sort_unstable();
            blocks.dedup();
            assert_eq!(blocks.len(), count);
        }
    }

    #[test]
    fn a_body_is_its_slices_and_no_byte_may_differ() {
        let one = Body::whole(content(Class::Copies, 1));
        let other = Body::whole(content(Class::Inline, 2));
        let both = Body::joined([&one, &other]);
        let bytes = [one.bytes(), other.bytes()].concat();
        assert_eq!(both.bytes(), bytes);
        assert_eq!(both.length(), bytes.len());
        assert_eq!(both.verify(&bytes), Ok(()));
        let border = one.length();
        for (from, to) in [
            (0, 1),
            (border - 3, border + 5),
            (border, bytes.len()),
            (7, 7),
        ] {
            let slice = both.slice(from, to);
            assert_eq!(slice.bytes(), bytes[from..to]);
            // A slice of a slice.
            assert_eq!(
                slice.slice(1, 4).bytes(),
                slice.bytes()[1.min(to - from)..4.min(to - from)]
            );
        }
        assert_eq!(both.slice(border, usize::MAX).bytes(), other.bytes());
        for at in [0, border - 1, border, bytes.len() - 1] {
            let mut damaged = bytes.clone();
            damaged[at] ^= 1;
            let verdict = both.verify(&damaged).unwrap_err();
            assert!(verdict.contains(&format!("at {at} ")), "{verdict}");
        }
        assert!(both.verify(&bytes[1..]).is_err());
        let short = both.verify(&bytes[..border]).unwrap_err();
        assert!(short.contains("bytes, not"), "{short}");
    }

    #[test]
    fn digests_are_those_of_the_bytes() {
        let empty = Body::whole(content(Class::Empty, 0));
        assert_eq!(empty.md5(), "d41d8cd98f00b204e9800998ecf8427e");
        assert_eq!(empty.chunks(), Vec::<String>::new());
        let large = Body::whole(content(Class::Large, 0));
        let bytes = large.bytes();
        let chunks = [sha256_hex(&bytes[..CHUNK]), sha256_hex(&bytes[CHUNK..])];
        assert_eq!(large.chunks(), chunks);
        assert_eq!(large.sha256(), sha256_hex(&bytes));
        assert_eq!(format!("\"{}\"", large.md5()), etag(&bytes));
    }
}
