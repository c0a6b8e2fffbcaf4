//! The XML writer: elements opened and closed by closures, text escaped on its way.

use bytes::Bytes;

use super::NAMESPACE;

/// A document with S3's namespace on its root.
#[must_use]
pub fn document(root: &str, content: impl FnOnce(&mut Writer)) -> Bytes {
    render(root, Some(NAMESPACE), content)
}

/// A document without a namespace: `Error`.
#[must_use]
pub fn plain_document(root: &str, content: impl FnOnce(&mut Writer)) -> Bytes {
    render(root, None, content)
}

fn render(root: &str, namespace: Option<&str>, content: impl FnOnce(&mut Writer)) -> Bytes {
    let mut xml = Writer {
        out: String::with_capacity(512),
    };
    xml.out
        .push_str("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<");
    xml.out.push_str(root);
    if let Some(namespace) = namespace {
        xml.out.push_str(" xmlns=\"");
        xml.out.push_str(namespace);
        xml.out.push('"');
    }
    xml.out.push('>');
    content(&mut xml);
    xml.close(root);
    Bytes::from(xml.out)
}

/// The inside of an element being written. Element names are ours, texts are anyone's.
#[derive(Debug)]
pub struct Writer {
    out: String,
}

impl Writer {
    /// `<name>text</name>`, the text escaped.
    pub fn text(&mut self, name: &str, text: &str) {
        self.open(name);
        escape_into(&mut self.out, text);
        self.close(name);
    }

    /// [`Writer::text`], or nothing at all.
    pub fn optional(&mut self, name: &str, text: Option<&str>) {
        if let Some(text) = text {
            self.text(name, text);
        }
    }

    /// A decimal number.
    pub fn number(&mut self, name: &str, number: u64) {
        self.open(name);
        self.out.push_str(&number.to_string());
        self.close(name);
    }

    /// `true` or `false`.
    pub fn flag(&mut self, name: &str, flag: bool) {
        self.open(name);
        self.out.push_str(if flag { "true" } else { "false" });
        self.close(name);
    }

    /// An element with elements inside.
    pub fn nest(&mut self, name: &str, content: impl FnOnce(&mut Self)) {
        self.open(name);
        content(self);
        self.close(name);
    }

    /// [`Writer::nest`] with attributes, as they stand in the tag.
    pub fn nest_with(
        &mut self,
        name: &str,
        attributes: &'static str,
        content: impl FnOnce(&mut Self),
    ) {
        self.out.push('<');
        self.out.push_str(name);
        self.out.push(' ');
        self.out.push_str(attributes);
        self.out.push('>');
        content(self);
        self.close(name);
    }

    /// Text of the element that is open now.
    pub fn bare(&mut self, text: &str) {
        escape_into(&mut self.out, text);
    }

    fn open(&mut self, name: &str) {
        self.out.push('<');
        self.out.push_str(name);
        self.out.push('>');
    }

    fn close(&mut self, name: &str) {
        self.out.push_str("</");
        self.out.push_str(name);
        self.out.push('>');
    }
}

/// Whether XML 1.0 has a lawful form for a character, be it a reference.
#[must_use]
pub fn is_representable(c: char) -> bool {
    !matches!(c, '\0'..='\u{8}' | '\u{b}' | '\u{c}' | '\u{e}'..='\u{1f}' | '\u{fffe}' | '\u{ffff}')
}

/// Escapes markup, and as character references everything a parser would alter or refuse raw:
/// `\r` (line-end normalisation would make it `\n`), control characters, U+FFFE and U+FFFF. XML 1.0
/// has no lawful form for most control characters; AWS writes references too, and a client that
/// must be safe asks for `encoding-type=url`.
fn escape_into(out: &mut String, text: &str) {
    for c in text.chars() {
        match c {
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '&' => out.push_str("&amp;"),
            '"' => out.push_str("&quot;"),
            '\t' | '\n' => out.push(c),
            '\0'..='\u{1f}' | '\u{7f}'..='\u{9f}' | '\u{fffe}' | '\u{ffff}' => {
                out.push_str(&format!("&#x{:X};", u32::from(c)));
            }
            _ => out.push(c),
        }
    }
}
