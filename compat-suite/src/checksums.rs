//! Digests as S3 writes them in headers.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use crc_fast::CrcAlgorithm;
use sha2::Digest as _;

/// The checksum algorithms of `x-amz-checksum-*`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Algorithm {
    /// CRC-32 (ISO-HDLC).
    Crc32,
    /// CRC-32C (Castagnoli).
    Crc32c,
    /// CRC-64/NVME.
    Crc64Nvme,
    /// SHA-1.
    Sha1,
    /// SHA-256.
    Sha256,
}

impl Algorithm {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::Crc32,
        Self::Crc32c,
        Self::Crc64Nvme,
        Self::Sha1,
        Self::Sha256,
    ];

    /// The header that carries it.
    #[must_use]
    pub fn header(self) -> &'static str {
        match self {
            Self::Crc32 => "x-amz-checksum-crc32",
            Self::Crc32c => "x-amz-checksum-crc32c",
            Self::Crc64Nvme => "x-amz-checksum-crc64nvme",
            Self::Sha1 => "x-amz-checksum-sha1",
            Self::Sha256 => "x-amz-checksum-sha256",
        }
    }

    /// The value of `x-amz-sdk-checksum-algorithm`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Crc32 => "CRC32",
            Self::Crc32c => "CRC32C",
            Self::Crc64Nvme => "CRC64NVME",
            Self::Sha1 => "SHA1",
            Self::Sha256 => "SHA256",
        }
    }

    /// Base64 of the big-endian digest of `bytes`.
    #[must_use]
    pub fn of(self, bytes: &[u8]) -> String {
        match self {
            Self::Crc32 => base64(&crc32(CrcAlgorithm::Crc32IsoHdlc, bytes)),
            Self::Crc32c => base64(&crc32(CrcAlgorithm::Crc32Iscsi, bytes)),
            Self::Crc64Nvme => {
                base64(&crc_fast::checksum(CrcAlgorithm::Crc64Nvme, bytes).to_be_bytes())
            }
            Self::Sha1 => base64(&sha1::Sha1::digest(bytes)),
            Self::Sha256 => base64(&sha2::Sha256::digest(bytes)),
        }
    }
}

fn crc32(algorithm: CrcAlgorithm, bytes: &[u8]) -> [u8; 4] {
    let [_, _, _, _, tail @ ..] = crc_fast::checksum(algorithm, bytes).to_be_bytes();
    tail
}

/// Base64 with padding.
#[must_use]
pub fn base64(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

/// Lower-case hex SHA-256.
#[must_use]
pub fn sha256_hex(bytes: &[u8]) -> String {
    hex::encode(sha2::Sha256::digest(bytes))
}

/// The ETag of an object put in one piece: quoted hex MD5.
#[must_use]
pub fn etag(bytes: &[u8]) -> String {
    format!("\"{}\"", hex::encode(md5::Md5::digest(bytes)))
}

/// `Content-MD5`.
#[must_use]
pub fn content_md5(bytes: &[u8]) -> String {
    base64(&md5::Md5::digest(bytes))
}

/// The ETag of an object completed from `parts`: quoted hex MD5 of the parts' MD5s, then `-count`.
#[must_use]
pub fn multipart_etag<'p>(parts: impl IntoIterator<Item = &'p [u8]>) -> String {
    let digests: Vec<_> = parts
        .into_iter()
        .map(|part| md5::Md5::digest(part).to_vec())
        .collect();
    format!(
        "\"{}-{}\"",
        hex::encode(md5::Md5::digest(digests.concat())),
        digests.len()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The published check values over `123456789`.
    #[test]
    fn check_values() {
        let of = |algorithm: Algorithm| algorithm.of(b"123456789");
        assert_eq!(of(Algorithm::Crc32), base64(&0xcbf4_3926_u32.to_be_bytes()));
        assert_eq!(
            of(Algorithm::Crc32c),
            base64(&0xe306_9283_u32.to_be_bytes())
        );
        assert_eq!(
            of(Algorithm::Crc64Nvme),
            base64(&0xae8b_1486_0a79_9888_u64.to_be_bytes())
        );
        assert_eq!(of(Algorithm::Sha1), "98O8HYCOBHMq32eZZczDTKeuNEE=");
        assert_eq!(
            of(Algorithm::Sha256),
            "FeKw08M4keuw8e9gnsQZQgwg4yDOlMZfvIwzEkSOsiU="
        );
    }

    #[test]
    fn etags_of_nothing_and_of_parts() {
        assert_eq!(etag(b""), "\"d41d8cd98f00b204e9800998ecf8427e\"");
        assert_eq!(content_md5(b""), "1B2M2Y8AsgTpgAmY7PhCfg==");
        let one: [&[u8]; 1] = [b""];
        assert_eq!(
            multipart_etag(one),
            "\"59adb24ef3cdbe0297f05b395827453f-1\""
        );
    }
}
