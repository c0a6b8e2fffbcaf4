//! What S3 says about an object, and how its row says it.

use bytes::Bytes;
use cairn_s3::conditions::{DeleteConditions, EtagMatch, WriteConditions};
use cairn_s3::digest::{Algorithm, Checksum, ChecksumType, ObjectChecksum};
use cairn_s3::object_headers::ObjectHeaders;
use cairn_s3::{Code, ObjectKey, S3Error};
use cairn_wire::metadata as wire;

use crate::pipeline::Call;

/// The six stored headers by name.
fn standard(headers: &mut ObjectHeaders) -> [(&'static str, &mut Option<String>); 6] {
    [
        ("content-type", &mut headers.content_type),
        ("cache-control", &mut headers.cache_control),
        ("content-disposition", &mut headers.content_disposition),
        ("content-encoding", &mut headers.content_encoding),
        ("content-language", &mut headers.content_language),
        ("expires", &mut headers.expires),
    ]
}

fn pair((name, value): (String, String)) -> wire::Header {
    wire::Header { name, value }
}

/// A row's attributes with nothing but headers.
pub(crate) fn from_headers(mut headers: ObjectHeaders) -> wire::Attributes {
    let stored = standard(&mut headers)
        .into_iter()
        .filter_map(|(name, value)| Some(pair((name.to_owned(), value.take()?))))
        .collect();
    wire::Attributes {
        headers: stored,
        user_metadata: headers.metadata.into_iter().map(pair).collect(),
        ..Default::default()
    }
}

/// The headers of a row. Names this version does not know are left out.
pub(super) fn to_headers(row: &wire::Attributes) -> ObjectHeaders {
    let mut headers = ObjectHeaders {
        metadata: (row.user_metadata.iter())
            .map(|header| (header.name.clone(), header.value.clone()))
            .collect(),
        ..Default::default()
    };
    for (name, value) in standard(&mut headers) {
        let stored = row.headers.iter().find(|header| header.name == name);
        *value = stored.map(|header| header.value.clone());
    }
    headers
}

/// A checksum as rows have it.
pub(crate) fn to_row(checksum: &ObjectChecksum) -> wire::Checksum {
    wire::Checksum {
        algorithm: checksum.checksum.algorithm().name().to_lowercase(),
        value: Bytes::copy_from_slice(checksum.checksum.bytes()),
        composite: checksum.kind == ChecksumType::Composite,
    }
}

/// The checksums of bytes that were put in one piece: first the one the client chose, which is the
/// one shown; then the CRC-64/NVME that inline bytes are checked by, where that is another.
pub(super) fn of_one_piece(stored: &Checksum, crc64nvme: u64) -> Vec<wire::Checksum> {
    let mut rows = vec![to_row(&ObjectChecksum::full(stored.clone()))];
    if stored.algorithm() != Algorithm::Crc64Nvme
        && let Some(crc) = Checksum::new(Algorithm::Crc64Nvme, &crc64nvme.to_be_bytes())
    {
        rows.push(to_row(&ObjectChecksum::full(crc)));
    }
    rows
}

/// A checksum from a row; none of an algorithm this version does not know.
pub(super) fn checksum(row: &wire::Checksum) -> Option<Checksum> {
    Checksum::new(Algorithm::from_name(&row.algorithm)?, &row.value)
}

/// The checksum that is shown of an object.
pub(super) fn shown(row: &wire::Attributes) -> Option<ObjectChecksum> {
    let first = row.checksums.first()?;
    Some(ObjectChecksum {
        checksum: checksum(first)?,
        kind: kind(first.composite),
        parts: row.parts,
    })
}

/// The type of a checksum.
pub(super) fn kind(composite: bool) -> ChecksumType {
    if composite {
        ChecksumType::Composite
    } else {
        ChecksumType::FullObject
    }
}

/// The value of one algorithm among a part's checksums.
pub(super) fn of_algorithm(rows: &[wire::Checksum], algorithm: Algorithm) -> Option<Checksum> {
    rows.iter()
        .filter_map(checksum)
        .find(|sum| sum.algorithm() == algorithm)
}

/// The checksum shown of one part: of the algorithm that is shown of the whole.
pub(super) fn of_part(
    whole: Option<&ObjectChecksum>,
    part: &wire::PartRead,
) -> Option<ObjectChecksum> {
    let whole = whole?;
    Some(ObjectChecksum {
        checksum: of_algorithm(&part.checksums, whole.checksum.algorithm())?,
        kind: whole.kind,
        parts: 0,
    })
}

/// The checksum of one algorithm that is over all bytes, among an object's.
pub(super) fn of_whole(rows: &[wire::Checksum], algorithm: Algorithm) -> Option<Checksum> {
    rows.iter()
        .filter(|row| !row.composite)
        .filter_map(checksum)
        .find(|sum| sum.algorithm() == algorithm)
}

/// The checksums of the same bytes with another one shown. The CRC-64/NVME that inline bytes are
/// checked by stays.
pub(super) fn with_shown(rows: &[wire::Checksum], shown: &Checksum) -> Vec<wire::Checksum> {
    let mut kept = vec![to_row(&ObjectChecksum::full(shown.clone()))];
    if shown.algorithm() != Algorithm::Crc64Nvme {
        let crc = of_whole(rows, Algorithm::Crc64Nvme);
        kept.extend(crc.map(|crc| to_row(&ObjectChecksum::full(crc))));
    }
    kept
}

/// The conditions of a write as apply judges them; none where there are none.
pub(crate) fn conditions(asked: &WriteConditions) -> Option<wire::Conditions> {
    (!asked.is_empty()).then(|| wire::Conditions {
        if_match: tags(asked.if_match.as_ref()),
        if_none_match: tags(asked.if_none_match.as_ref()),
        ..Default::default()
    })
}

/// The conditions of a deletion as apply judges them; none where there are none.
pub(super) fn delete_conditions(asked: &DeleteConditions) -> Option<wire::Conditions> {
    (!asked.is_empty()).then(|| wire::Conditions {
        if_match_size_plus_one: asked.size.map_or(0, |size| size.saturating_add(1)),
        // Zero stands for none; apply compares seconds.
        if_match_modified_ms: asked.modified.map_or(0, |time| time.millis().max(1)),
        ..conditions(&asked.etags).unwrap_or_default()
    })
}

/// A write that was refused, said as S3 does: which condition did not hold, which key is not there.
pub(super) fn refused_write(call: &Call, asked: &WriteConditions, error: S3Error) -> S3Error {
    let key = || call.key().map_or("", ObjectKey::as_str);
    match (error.code(), &asked.if_match, &asked.if_none_match) {
        (Code::PreconditionFailed, Some(_), None) => error.with("Condition", "If-Match"),
        (Code::PreconditionFailed, None, Some(_)) => error.with("Condition", "If-None-Match"),
        (Code::NoSuchKey, ..) => error.with("Key", key()),
        _ => error,
    }
}

/// ETags as apply compares them.
pub(super) fn tags(asked: Option<&EtagMatch>) -> Vec<String> {
    match asked {
        None => Vec::new(),
        Some(EtagMatch::Any) => vec!["*".to_owned()],
        Some(EtagMatch::OneOf(tags)) => tags.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn headers_come_back_as_they_were_stored(
            texts in proptest::array::uniform6(proptest::option::of("[ -~]{1,20}")),
            metadata in proptest::collection::vec(("[a-z-]{1,9}", "[ -~]{0,20}"), 0..5),
        ) {
            let mut headers = ObjectHeaders { metadata, ..Default::default() };
            for ((_, value), text) in standard(&mut headers).into_iter().zip(texts) {
                *value = text;
            }
            prop_assert_eq!(to_headers(&from_headers(headers.clone())), headers);
        }
    }

    #[test]
    fn another_checksum_is_shown_and_the_crc64_stays() {
        let sha1 = Checksum::new(Algorithm::Sha1, &[7; 20]).unwrap();
        let crc = Checksum::new(Algorithm::Crc64Nvme, &5_u64.to_be_bytes()).unwrap();
        let rows = of_one_piece(&crc, 5);
        let shown = with_shown(&rows, &sha1);
        assert_eq!(crate::data::layout::crc64nvme(&shown), Some(5));
        assert_eq!(checksum(&shown[0]), Some(sha1));
        assert_eq!(with_shown(&shown, &crc), rows);
        let composite = wire::Checksum {
            composite: true,
            ..rows[0].clone()
        };
        assert_eq!(of_whole(&[composite], Algorithm::Crc64Nvme), None);
    }

    #[test]
    fn the_clients_checksum_is_shown_and_a_crc64_is_always_kept() {
        let chosen = Checksum::new(Algorithm::Sha1, &[7; 20]).unwrap();
        let rows = of_one_piece(&chosen, 5);
        assert_eq!(crate::data::layout::crc64nvme(&rows), Some(5));
        let row = wire::Attributes {
            checksums: rows,
            ..Default::default()
        };
        assert_eq!(shown(&row), Some(ObjectChecksum::full(chosen)));
        let same = Checksum::new(Algorithm::Crc64Nvme, &5_u64.to_be_bytes()).unwrap();
        assert_eq!(of_one_piece(&same, 5).len(), 1);
    }
}
