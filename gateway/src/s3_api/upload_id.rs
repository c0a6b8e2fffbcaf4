//! Upload ids: the stamp of the upload in hexadecimal digits.

use bytes::Bytes;
use cairn_model::Incarnation;
use cairn_s3::{Code, S3Error};
use cairn_wire::metadata as wire;

use super::attributes;
use crate::error;
use crate::pipeline::Call;
use cairn_s3::digest::{Algorithm, MultipartChecksum};

/// The id shown to clients.
pub(super) fn to_text(upload: &[u8]) -> String {
    hex::encode(upload)
}

/// The stamp an id names; none for what was never an id of ours.
pub(super) fn parse(text: &str) -> Option<Bytes> {
    let bytes = hex::decode(text).ok()?;
    (bytes.len() == Incarnation::LEN && hex::encode(&bytes) == text).then(|| bytes.into())
}

/// The stamp an id names.
///
/// # Errors
/// `NoSuchUpload`.
pub(super) fn named(text: &str) -> Result<Bytes, S3Error> {
    parse(text).ok_or_else(|| no_such_upload(text))
}

/// `NoSuchUpload`, naming the id.
pub(super) fn no_such_upload(text: &str) -> S3Error {
    S3Error::new(Code::NoSuchUpload).with("UploadId", text)
}

/// The upload with this id on the call's key; none if there is none.
///
/// # Errors
/// `NoSuchUpload` for what is no id; metadata errors.
pub(super) async fn find(call: &Call, text: &str) -> Result<Option<wire::Upload>, S3Error> {
    let query = wire::GetUpload {
        bucket: call.bucket()?.id,
        key: call.key_bytes()?,
        upload: named(text)?,
    };
    let answer = call
        .gateway
        .path
        .metadata
        .upload(query)
        .await
        .map_err(error::of_query)?;
    Ok(answer.uploads.into_iter().next())
}

/// The checksum rule of an upload.
pub(super) fn rule(upload: &wire::Upload) -> MultipartChecksum {
    let kind = attributes::kind(upload.checksum_composite);
    match Algorithm::from_name(&upload.checksum_algorithm) {
        Some(algorithm) => MultipartChecksum::stored(algorithm, kind, true),
        None => MultipartChecksum::stored(Algorithm::Crc64Nvme, attributes::kind(false), false),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_our_own_form_is_an_id() {
        let id = to_text(&[0xab; 16]);
        assert_eq!(parse(&id), Some(Bytes::from_static(&[0xab; 16])));
        for other in [
            "",
            "ab",
            &id.to_uppercase(),
            &format!("{id}00"),
            "../../etc/passwd",
        ] {
            assert_eq!(parse(other), None, "{other}");
        }
    }
}
