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
    /// About so many bytes are to come: a long document is not copied again and again as it grows.
    pub fn reserve(&mut self, bytes: usize) {
        self.out.reserve(bytes);
    }

    /// `<name>text</name>`, the text escaped.
    pub fn text(&mut self, name: &str, text: &str) {
        self.open(name);
        escape_into(&mut self.out, text);
        self.close(name);
    }

    /// A text of ours, which has nothing to be escaped: a date, a name, a number.
    pub fn plain(&mut self, name: &str, text: &str) {
        debug_assert!(!text.bytes().any(may_need_escape), "{text}");
        self.open(name);
        self.out.push_str(text);
        self.close(name);
    }

    /// `<name>&quot;text&quot;</name>`, as an `ETag` stands, the text escaped.
    pub fn quoted(&mut self, name: &str, text: &str) {
        self.open(name);
        self.out.push_str("&quot;");
        escape_into(&mut self.out, text);
        self.out.push_str("&quot;");
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
    let mut rest = text;
    while let Some(at) = rest.bytes().position(is_marked) {
        let (plain, marked) = rest.split_at(at);
        out.push_str(plain);
        let mut chars = marked.chars();
        if let Some(c) = chars.next() {
            escape_char_into(out, c);
        }
        rest = chars.as_str();
    }
    out.push_str(rest);
}

/// Whether a byte is, or begins, a character that [`escape_char_into`] may write otherwise: most texts have
/// none and are copied whole. 0xc2 begins U+0080 to U+00BF, 0xef begins U+F000 to U+FFFF.
const fn may_need_escape(byte: u8) -> bool {
    matches!(
        byte,
        0..=0x1f | b'<' | b'>' | b'&' | b'"' | 0x7f | 0xc2 | 0xef
    )
}

/// [`may_need_escape`] of every byte: half the time of asking.
#[expect(
    clippy::indexing_slicing,
    reason = "every byte has a place among 256, and this runs in the compiler"
)]
static MARKED: [bool; 256] = {
    let mut marked = [false; 256];
    let mut byte = u8::MAX;
    loop {
        marked[byte as usize] = may_need_escape(byte);
        if byte == 0 {
            break marked;
        }
        byte -= 1;
    }
};

fn is_marked(byte: u8) -> bool {
    MARKED.get(usize::from(byte)).is_none_or(|marked| *marked)
}

fn escape_char_into(out: &mut String, c: char) {
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// What is copied whole is what would have been written character by character.
        #[test]
        fn a_text_is_escaped_as_its_characters_are(text in "[a-z<>&\"\t\n\r\u{0}-\u{1f}\u{7f}-\u{a5}é\u{efff}-\u{ffff}😀]{0,30}", plain in "[a-z/]{0,40}") {
            let text = plain + &text;
            let mut by_character = String::new();
            text.chars().for_each(|c| escape_char_into(&mut by_character, c));
            let mut whole = String::new();
            escape_into(&mut whole, &text);
            prop_assert_eq!(whole, by_character);
        }
    }

    #[test]
    fn what_must_be_escaped_is() {
        let mut out = String::new();
        escape_into(&mut out, "a<b>&\"\r\u{85}\u{ffff}é\u{fffd}");
        assert_eq!(out, "a&lt;b&gt;&amp;&quot;&#xD;&#x85;&#xFFFF;é\u{fffd}");
    }
}
