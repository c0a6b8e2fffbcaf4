//! What a head says the digests will be.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use subtle::ConstantTimeEq;

use super::{Algorithm, Checksum, MultipartChecksum};
use crate::chunked::Trailers;
use crate::error::{Code, S3Error};
use crate::head::Head;
use crate::sigv4::PayloadSigning;

/// The digests a body must have, and the one to store.
#[derive(Clone, Debug)]
pub struct Expect {
    sha256: Option<[u8; 32]>,
    md5: Option<[u8; 16]>,
    checksum: Declared,
    stored: Algorithm,
}

/// Where the checksum's value is.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Declared {
    Nowhere,
    Header(Checksum),
    Trailer(Algorithm),
}

impl Declared {
    fn algorithm(&self) -> Option<Algorithm> {
        match self {
            Self::Nowhere => None,
            Self::Header(checksum) => Some(checksum.algorithm()),
            Self::Trailer(algorithm) => Some(*algorithm),
        }
    }
}

impl Expect {
    /// Reads a head whose body is framed and signed as `payload` says.
    ///
    /// # Errors
    /// `InvalidDigest` for a Content-MD5 that is none; `BadDigest` for a checksum that cannot be
    /// one; `InvalidRequest` for two checksums, or algorithm headers that disagree.
    pub fn from_head(head: &Head, payload: &PayloadSigning) -> Result<Self, S3Error> {
        Self::new(head, payload, declared(head, payload)?)
    }

    /// For bytes that no client sends, and that nobody says anything of: a copy's. They are only
    /// computed, `stored` among them.
    #[must_use]
    pub fn nothing(stored: Algorithm) -> Self {
        Self {
            sha256: None,
            md5: None,
            checksum: Declared::Nowhere,
            stored,
        }
    }

    fn new(head: &Head, payload: &PayloadSigning, checksum: Declared) -> Result<Self, S3Error> {
        let stored = checksum.algorithm().unwrap_or(Algorithm::Crc64Nvme);
        let sha256 = match payload {
            PayloadSigning::Exact(hash) => Some(*hash),
            _ => None,
        };
        Ok(Self {
            sha256,
            md5: content_md5(head)?,
            checksum,
            stored,
        })
    }

    /// The same for a document whose `x-amz-checksum-*` headers, if any, are not about the document:
    /// those of `CompleteMultipartUpload` are the object's.
    ///
    /// # Errors
    /// `InvalidDigest`.
    pub fn without_checksum(head: &Head, payload: &PayloadSigning) -> Result<Self, S3Error> {
        Self::new(head, payload, Declared::Nowhere)
    }

    /// The same for a part: stores the upload's algorithm, and where the client chose that, insists
    /// on it.
    ///
    /// # Errors
    /// `InvalidRequest` for another algorithm than the upload's.
    pub fn for_part(mut self, upload: MultipartChecksum) -> Result<Self, S3Error> {
        self.stored = upload.algorithm();
        match self.checksum.algorithm() {
            Some(given) if upload.is_explicit() && given != self.stored => {
                let message = format!(
                    "Checksum Type mismatch occurred, expected checksum Type: {}, actual checksum \
                     Type: {}",
                    self.stored.name().to_lowercase(),
                    given.name().to_lowercase()
                );
                Err(S3Error::because(Code::InvalidRequest, message))
            }
            _ => Ok(self),
        }
    }

    /// Whether the client gave Content-MD5 or a checksum.
    #[must_use]
    pub fn is_declared(&self) -> bool {
        self.md5.is_some() || self.checksum != Declared::Nowhere
    }

    pub(super) fn stored(&self) -> Algorithm {
        self.stored
    }

    /// Every algorithm to compute, each once.
    pub(super) fn algorithms(&self) -> Vec<Algorithm> {
        let mut wanted = vec![self.stored];
        wanted.extend(self.checksum.algorithm());
        wanted.extend(self.sha256.map(|_| Algorithm::Sha256));
        wanted.sort_unstable();
        wanted.dedup();
        wanted
    }

    pub(super) fn check_sha256(&self, computed: Option<&Checksum>) -> Result<(), S3Error> {
        let Some(expected) = self.sha256 else {
            return Ok(());
        };
        let computed = computed.map_or(&[][..], Checksum::bytes);
        if bool::from(computed.ct_eq(&expected)) {
            return Ok(());
        }
        Err(S3Error::new(Code::XAmzContentSHA256Mismatch)
            .with("ClientComputedContentSHA256", hex::encode(expected))
            .with("S3ComputedContentSHA256", hex::encode(computed)))
    }

    pub(super) fn check_md5(&self, computed: &[u8; 16]) -> Result<(), S3Error> {
        match self.md5 {
            Some(expected) if expected != *computed => {
                let message = "The Content-MD5 you specified did not match what we received.";
                Err(S3Error::because(Code::BadDigest, message)
                    .with("ExpectedDigest", STANDARD.encode(expected))
                    .with("CalculatedDigest", STANDARD.encode(computed)))
            }
            _ => Ok(()),
        }
    }

    /// The value the client gave, in head or trailer. The trailer holds exactly what was announced.
    pub(super) fn declared_value(&self, trailers: &Trailers) -> Result<Option<Checksum>, S3Error> {
        let announced = match &self.checksum {
            Declared::Trailer(algorithm) => Some(*algorithm),
            _ => None,
        };
        let known = |name: &str| announced.is_some_and(|algorithm| algorithm.header() == name);
        if !trailers.names().all(known) {
            return Err(S3Error::new(Code::MalformedTrailerError));
        }
        match &self.checksum {
            Declared::Nowhere => Ok(None),
            Declared::Header(checksum) => Ok(Some(checksum.clone())),
            Declared::Trailer(algorithm) => {
                let text = trailers.get(algorithm.header());
                let text = text.ok_or_else(|| S3Error::new(Code::MalformedTrailerError))?;
                Ok(Some(parse_checksum(*algorithm, text)?))
            }
        }
    }
}

fn content_md5(head: &Head) -> Result<Option<[u8; 16]>, S3Error> {
    let Some(text) = head.header("content-md5")? else {
        return Ok(None);
    };
    let md5 = STANDARD
        .decode(text)
        .ok()
        .and_then(|bytes| bytes.try_into().ok());
    md5.map(Some)
        .ok_or_else(|| S3Error::new(Code::InvalidDigest).with("Content-MD5", text))
}

fn declared(head: &Head, payload: &PayloadSigning) -> Result<Declared, S3Error> {
    let mut found = Vec::new();
    for algorithm in Algorithm::ALL {
        if let Some(text) = head.header(algorithm.header())? {
            found.push(Declared::Header(parse_checksum(algorithm, text)?));
        }
    }
    found.extend(announced_trailer(head, payload)?.map(Declared::Trailer));
    if found.len() > 1 {
        let message = "Expecting a single x-amz-checksum- header. Multiple checksum Types are not \
                       allowed.";
        return Err(S3Error::because(Code::InvalidRequest, message));
    }
    let declared = found.pop().unwrap_or(Declared::Nowhere);
    check_sdk_algorithm(head, &declared)?;
    Ok(declared)
}

fn announced_trailer(head: &Head, payload: &PayloadSigning) -> Result<Option<Algorithm>, S3Error> {
    let Some(name) = head.header("x-amz-trailer")? else {
        return Ok(None);
    };
    let algorithm = Algorithm::from_header(name).filter(|_| payload.has_trailer());
    let message = "The value specified in the x-amz-trailer header is not supported";
    algorithm
        .map(Some)
        .ok_or_else(|| S3Error::because(Code::InvalidRequest, message).with("x-amz-trailer", name))
}

/// `x-amz-sdk-checksum-algorithm` promises a value of that algorithm.
fn check_sdk_algorithm(head: &Head, declared: &Declared) -> Result<(), S3Error> {
    let Some(name) = head.header("x-amz-sdk-checksum-algorithm")? else {
        return Ok(());
    };
    let refuse = |message| Err(S3Error::because(Code::InvalidRequest, message));
    match (Algorithm::from_name(name), declared.algorithm()) {
        (Some(promised), Some(given)) if promised == given => Ok(()),
        (Some(_), None) => refuse(
            "x-amz-sdk-checksum-algorithm specified, but no corresponding x-amz-checksum-* or \
             x-amz-trailer headers were found.",
        ),
        _ => refuse("Value for x-amz-sdk-checksum-algorithm header is invalid."),
    }
}

/// A text that cannot be a checksum is answered like one that is wrong.
fn parse_checksum(algorithm: Algorithm, text: &str) -> Result<Checksum, S3Error> {
    Checksum::from_base64(algorithm, text).ok_or_else(|| {
        let message = format!("Value for {} header is invalid.", algorithm.header());
        S3Error::because(Code::BadDigest, message)
    })
}
