//! Reading the XML that S3 answers with.

use quick_xml::Reader;
use quick_xml::events::Event;

/// An element with its text and children; attributes and namespaces are not kept.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Element {
    /// Local name.
    pub name: String,
    /// Text directly inside, unescaped.
    pub text: String,
    /// Elements directly inside, in order.
    pub children: Vec<Element>,
}

impl Element {
    /// The text of the first child of that name.
    #[must_use]
    pub fn child(&self, name: &str) -> Option<&str> {
        let mut named = self.children.iter().filter(|child| child.name == name);
        named.next().map(|child| child.text.as_str())
    }

    /// The children of that name, in order.
    pub fn all<'e>(&'e self, name: &'e str) -> impl Iterator<Item = &'e Element> {
        self.children.iter().filter(move |child| child.name == name)
    }

    /// The text at the end of each path such as `Contents/Key`.
    #[must_use]
    pub fn texts(&self, path: &str) -> Vec<String> {
        match path.split_once('/') {
            None => self.all(path).map(|child| child.text.clone()).collect(),
            Some((first, rest)) => self
                .all(first)
                .flat_map(|child| child.texts(rest))
                .collect(),
        }
    }
}

/// Parses one document.
///
/// # Errors
/// Says what is wrong with it.
pub fn parse(document: &str) -> Result<Element, String> {
    let mut reader = Reader::from_str(document);
    let mut open: Vec<Element> = vec![Element::default()];
    loop {
        let event = reader.read_event().map_err(|why| why.to_string())?;
        let top = open.last_mut().ok_or("nothing is open")?;
        match event {
            Event::Start(start) => {
                let name = start.local_name().into_inner().to_owned();
                open.push(Element {
                    name,
                    ..Element::default()
                });
            }
            Event::Empty(start) => {
                let name = start.local_name().into_inner().to_owned();
                top.children.push(Element {
                    name,
                    ..Element::default()
                });
            }
            Event::Text(text) => top.text.push_str(&text.xml10_content()),
            Event::GeneralRef(reference) => top.text.push(resolve(&reference)?),
            Event::End(_) => close(&mut open)?,
            Event::Eof => break,
            _ => {}
        }
    }
    let mut roots = open
        .pop()
        .map(|document| document.children)
        .unwrap_or_default();
    if !open.is_empty() || roots.len() != 1 {
        return Err(format!("not one closed document: {document:.200}"));
    }
    Ok(roots.remove(0))
}

fn close(open: &mut Vec<Element>) -> Result<(), String> {
    let mut done = open.pop().ok_or("closed too often")?;
    if !done.children.is_empty() {
        done.text.clear();
    }
    open.last_mut()
        .ok_or("closed too often")?
        .children
        .push(done);
    Ok(())
}

fn resolve(reference: &quick_xml::events::BytesRef<'_>) -> Result<char, String> {
    if let Some(character) = reference
        .resolve_char_ref()
        .map_err(|why| why.to_string())?
    {
        return Ok(character);
    }
    match reference.as_ref() {
        "amp" => Ok('&'),
        "lt" => Ok('<'),
        "gt" => Ok('>'),
        "quot" => Ok('"'),
        "apos" => Ok('\''),
        other => Err(format!("unknown entity {other}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_a_listing() {
        let document = "<?xml version=\"1.0\"?>\n<L xmlns=\"x\"><Contents><Key>a&amp;b&#xD;</Key>\
                        </Contents>\n<Contents><Key> c </Key></Contents><Prefix/></L>";
        let root = parse(document).unwrap();
        assert_eq!(root.name, "L");
        assert_eq!(root.texts("Contents/Key"), ["a&b\r", " c "]);
        assert_eq!(root.child("Prefix"), Some(""));
        assert_eq!(root.child("Nothing"), None);
    }

    #[test]
    fn refuses_what_is_not_a_document() {
        for broken in ["", "<a>", "<a></b>", "<a/><b/>", "<a>&what;</a>"] {
            assert!(parse(broken).is_err(), "{broken}");
        }
    }
}
