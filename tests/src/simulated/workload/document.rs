//! XML and JSON as the clients write and read them.

use cairn_compat_suite::xml::{self, Element};

use crate::simulated::content::bare;
use crate::simulated::door::Answer;
use crate::simulated::history::{Asked, Page, Row};

/// The document of an answer, which must have this root.
pub(super) fn root(answer: &Answer, name: &str) -> Result<Element, String> {
    let root = xml::parse(&answer.text())?;
    if root.name == name {
        Ok(root)
    } else {
        Err(format!("a {} and no {name}", root.name))
    }
}

/// The text of a child, which must be there.
pub(super) fn text<'e>(element: &'e Element, name: &str) -> Result<&'e str, String> {
    let child = element.child(name);
    child.ok_or_else(|| format!("no {name} in {element:?}"))
}

/// The code of an error: S3's or the chunk API's; empty where there is none.
pub(super) fn code(body: &str) -> String {
    if let Ok(root) = xml::parse(body) {
        return root.child("Code").unwrap_or_default().to_owned();
    }
    let json: Option<serde_json::Value> = serde_json::from_str(body).ok();
    let code = json.as_ref().and_then(|json| json.pointer("/error/code"));
    let code = code.and_then(serde_json::Value::as_str);
    code.unwrap_or_default().to_owned()
}

/// The texts of a JSON array at `pointer`.
pub(super) fn texts(answer: &Answer, pointer: &str) -> Result<Vec<String>, String> {
    let json: serde_json::Value =
        serde_json::from_slice(&answer.body).map_err(|why| why.to_string())?;
    let array = json.pointer(pointer).and_then(|value| value.as_array());
    let array = array.ok_or_else(|| format!("no {pointer} in {json}"))?;
    let texts = array.iter().map(|value| value.as_str().map(str::to_owned));
    texts
        .collect::<Option<_>>()
        .ok_or_else(|| format!("{pointer} is no list of texts: {json}"))
}

/// A page of ListObjectsV2, and the token of the next one.
pub(super) fn page(answer: &Answer, asked: Asked) -> Result<(Page, Option<String>), String> {
    let root = root(answer, "ListBucketResult")?;
    let mut rows = Vec::new();
    for entry in root.all("Contents") {
        let size = text(entry, "Size")?;
        rows.push(Row {
            key: text(entry, "Key")?.to_owned(),
            etag: bare(text(entry, "ETag")?).to_owned(),
            size: size.parse().map_err(|_| format!("size {size}"))?,
        });
    }
    let prefixes = root.texts("CommonPrefixes/Prefix");
    let count = text(&root, "KeyCount")?;
    if count != (rows.len() + prefixes.len()).to_string() {
        return Err(format!("KeyCount {count} is not what is listed"));
    }
    let token = root.child("NextContinuationToken").map(str::to_owned);
    let truncated = text(&root, "IsTruncated")? == "true";
    if truncated != token.is_some() {
        return Err("IsTruncated and the token do not agree".to_owned());
    }
    let page = Page {
        asked,
        rows,
        prefixes,
        truncated,
    };
    Ok((page, token))
}

/// DeleteObjects of these keys.
pub(super) fn delete(keys: &[String], quiet: bool) -> String {
    let keys = keys.iter();
    let keys: String = keys
        .map(|key| format!("<Object><Key>{key}</Key></Object>"))
        .collect();
    format!("<Delete>{keys}<Quiet>{quiet}</Quiet></Delete>")
}

/// What became of one key of a DeleteObjects: `Ok`, or the error's code.
pub(super) type Deletion = Result<(), String>;

/// What became of each key that the answer names.
pub(super) fn deletions(answer: &Answer) -> Result<Vec<(String, Deletion)>, String> {
    let root = root(answer, "DeleteResult")?;
    let mut found = Vec::new();
    for deleted in root.all("Deleted") {
        found.push((text(deleted, "Key")?.to_owned(), Ok(())));
    }
    for error in root.all("Error") {
        let code = text(error, "Code")?.to_owned();
        found.push((text(error, "Key")?.to_owned(), Err(code)));
    }
    Ok(found)
}

/// CompleteMultipartUpload of parts by number and ETag.
pub(super) fn completion(parts: &[(u32, String)]) -> String {
    let parts: String = parts
        .iter()
        .map(|(number, etag)| {
            format!("<Part><PartNumber>{number}</PartNumber><ETag>&quot;{etag}&quot;</ETag></Part>")
        })
        .collect();
    format!("<CompleteMultipartUpload>{parts}</CompleteMultipartUpload>")
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    fn answer(body: &str) -> Answer {
        Answer {
            status: 200,
            headers: Vec::new(),
            body: Bytes::copy_from_slice(body.as_bytes()),
        }
    }

    #[test]
    fn codes_are_read_from_either_api() {
        assert_eq!(code("<Error><Code>NoSuchKey</Code></Error>"), "NoSuchKey");
        assert_eq!(code(r#"{"error":{"code":"NoSuchChunk"}}"#), "NoSuchChunk");
        assert_eq!(code(""), "");
        assert_eq!(code("{}"), "");
    }

    #[test]
    fn pages_are_read_and_must_agree_with_themselves() {
        let list = |count: &str, truncated: &str, token: &str| {
            let text = format!(
                "<ListBucketResult><KeyCount>{count}</KeyCount><IsTruncated>{truncated}</IsTruncated>{token}\
                 <Contents><Key>a&amp;b</Key><ETag>&quot;e&quot;</ETag><Size>7</Size></Contents>\
                 <CommonPrefixes><Prefix>d/</Prefix></CommonPrefixes></ListBucketResult>"
            );
            page(&answer(&text), Asked::default())
        };
        let (page, token) = list("2", "false", "").unwrap();
        assert_eq!(
            (page.rows[0].key.as_str(), page.rows[0].etag.as_str()),
            ("a&b", "e")
        );
        assert_eq!(
            (page.rows[0].size, page.prefixes.as_slice()),
            (7, &["d/".to_owned()][..])
        );
        assert!(token.is_none() && !page.truncated);
        let token = "<NextContinuationToken>t</NextContinuationToken>";
        assert_eq!(list("2", "true", token).unwrap().1.as_deref(), Some("t"));
        for (count, truncated, token) in
            [("1", "false", ""), ("2", "true", ""), ("2", "false", token)]
        {
            assert!(list(count, truncated, token).is_err());
        }
        let other = answer("<Error><Code>x</Code></Error>");
        assert!(super::page(&other, Asked::default()).is_err());
    }

    #[test]
    fn deletions_name_keys_and_codes() {
        let text = "<DeleteResult><Deleted><Key>a</Key></Deleted>\
                    <Error><Key>b</Key><Code>InternalError</Code></Error></DeleteResult>";
        let found = deletions(&answer(text)).unwrap();
        let expected = [
            ("a".to_owned(), Ok(())),
            ("b".to_owned(), Err("InternalError".to_owned())),
        ];
        assert_eq!(found, expected);
        let text = delete(&["k".into()], true);
        let root = xml::parse(&text).unwrap();
        assert_eq!(
            (root.texts("Object/Key"), root.child("Quiet")),
            (vec!["k".to_owned()], Some("true"))
        );
        let root = xml::parse(&completion(&[(2, "e".into())])).unwrap();
        assert_eq!(root.texts("Part/PartNumber"), ["2"]);
        assert_eq!(root.texts("Part/ETag"), ["\"e\""]);
    }

    #[test]
    fn texts_are_a_list_of_texts() {
        let missing = answer(r#"{"missing":["a","b"]}"#);
        assert_eq!(texts(&missing, "/missing").unwrap(), ["a", "b"]);
        assert!(texts(&missing, "/other").is_err());
        assert!(texts(&answer(r#"{"missing":[1]}"#), "/missing").is_err());
        assert!(texts(&answer("x"), "/missing").is_err());
    }
}
