//! The XML reader: a gate in front of serde.
//!
//! serde over quick-xml does not look at the root's name and knows no bounds, so a first pass over
//! the events does: size, UTF-8, no document type (and so no entities of the client's), bounded
//! depth, one root of the right name. What passes is handed to serde; inputs deny unknown fields.

use cairn_model::limits::XML_DEPTH_MAX;
use quick_xml::events::Event;
use quick_xml::reader::Reader;
use serde::de::DeserializeOwned;

use crate::error::{Code, S3Error};

/// Reads a document whose root is called `root`.
///
/// # Errors
/// `MalformedXML`.
pub fn document<T: DeserializeOwned>(bytes: &[u8], root: &str) -> Result<T, S3Error> {
    let text = std::str::from_utf8(bytes).map_err(|_| malformed())?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    check(text, root)?;
    quick_xml::de::from_str(text).map_err(|_| malformed())
}

fn malformed() -> S3Error {
    S3Error::new(Code::MalformedXML)
}

fn check(text: &str, root: &str) -> Result<(), S3Error> {
    let mut reader = Reader::from_str(text);
    let (mut depth, mut roots) = (0_usize, 0_usize);
    loop {
        let event = reader.read_event().map_err(|_| malformed())?;
        match event {
            Event::Start(start) => {
                roots += usize::from(depth == 0);
                let wrong = depth == 0 && start.local_name().as_ref() != root;
                depth += 1;
                if wrong || depth > XML_DEPTH_MAX {
                    return Err(malformed());
                }
            }
            Event::Empty(start) => {
                roots += usize::from(depth == 0);
                if depth == 0 && start.local_name().as_ref() != root {
                    return Err(malformed());
                }
            }
            Event::End(_) => depth = depth.checked_sub(1).ok_or_else(malformed)?,
            Event::DocType(_) => return Err(malformed()),
            Event::Text(text) if depth == 0 && !text.trim().is_empty() => {
                return Err(malformed());
            }
            Event::CData(_) | Event::GeneralRef(_) if depth == 0 => return Err(malformed()),
            Event::Eof if depth == 0 && roots == 1 => return Ok(()),
            Event::Eof => return Err(malformed()),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests;
