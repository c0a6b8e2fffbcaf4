//! Just enough of Rust's lexical grammar to tell code from comments and literals.

/// What stands for a byte inside a string or character literal.
const LITERAL: u8 = b'_';

/// The same text, line by line and byte by byte, with comments blanked and the insides of string
/// and character literals replaced, so that rules see code only.
pub(crate) fn mask(text: &str) -> String {
    let mut masker = Masker {
        bytes: text.as_bytes(),
        at: 0,
        out: Vec::with_capacity(text.len()),
    };
    while masker.at < masker.bytes.len() {
        masker.step();
    }
    String::from_utf8_lossy(&masker.out).into_owned()
}

struct Masker<'t> {
    bytes: &'t [u8],
    at: usize,
    out: Vec<u8>,
}

impl Masker<'_> {
    fn peek(&self, ahead: usize) -> u8 {
        self.bytes.get(self.at + ahead).copied().unwrap_or(0)
    }

    fn step(&mut self) {
        match (self.peek(0), self.peek(1)) {
            (b'/', b'/') => self.line_comment(),
            (b'/', b'*') => self.block_comment(),
            (b'"', _) => self.string(),
            (b'\'', _) => self.quote(),
            (b'r', _) if !self.inside_word() && self.raw_hashes().is_some() => self.raw_string(),
            _ => self.keep(),
        }
    }

    /// True where the byte before this one belongs to the same identifier; a literal's prefix
    /// letter (`b`, `c`) does not count.
    fn inside_word(&self) -> bool {
        let word = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'_';
        let before = |back: usize| self.at.checked_sub(back).and_then(|at| self.bytes.get(at));
        match before(1) {
            Some(b'b' | b'c') => before(2).is_some_and(word),
            other => other.is_some_and(word),
        }
    }

    fn raw_hashes(&self) -> Option<usize> {
        let mut hashes = 0;
        while self.peek(1 + hashes) == b'#' {
            hashes += 1;
        }
        (self.peek(1 + hashes) == b'"').then_some(hashes)
    }

    fn keep(&mut self) {
        let byte = self.peek(0);
        self.replace(byte);
    }

    /// Moves on by one byte; does nothing at the end of the text.
    fn replace(&mut self, with: u8) {
        if let Some(byte) = self.bytes.get(self.at) {
            self.out.push(if *byte == b'\n' { *byte } else { with });
            self.at += 1;
        }
    }

    fn ended(&self) -> bool {
        self.at >= self.bytes.len()
    }

    fn line_comment(&mut self) {
        while !self.ended() && self.peek(0) != b'\n' {
            self.replace(b' ');
        }
    }

    fn block_comment(&mut self) {
        let mut depth = 0_usize;
        while !self.ended() {
            let opens = self.peek(0) == b'/' && self.peek(1) == b'*';
            let closes = self.peek(0) == b'*' && self.peek(1) == b'/';
            if opens || closes {
                self.replace(b' ');
                depth = if opens { depth + 1 } else { depth - 1 };
            }
            self.replace(b' ');
            if depth == 0 {
                return;
            }
        }
    }

    fn string(&mut self) {
        self.keep();
        while !self.ended() && self.peek(0) != b'"' {
            if self.peek(0) == b'\\' {
                self.replace(LITERAL);
            }
            self.replace(LITERAL);
        }
        self.keep();
    }

    fn raw_string(&mut self) {
        let hashes = self.raw_hashes().unwrap_or(0);
        for _ in 0..hashes + 2 {
            self.keep();
        }
        let closed = |masker: &Self| {
            masker.peek(0) == b'"' && (1..=hashes).all(|ahead| masker.peek(ahead) == b'#')
        };
        while !self.ended() && !closed(self) {
            self.replace(LITERAL);
        }
        for _ in 0..=hashes {
            self.keep();
        }
    }

    /// A character literal or a lifetime.
    fn quote(&mut self) {
        let escaped = self.peek(1) == b'\\';
        let width = match self.peek(1) {
            byte if byte < 0x80 => 1,
            byte if byte < 0xe0 => 2,
            byte if byte < 0xf0 => 3,
            _ => 4,
        };
        if !escaped && self.peek(1 + width) != b'\'' {
            return self.keep();
        }
        self.keep();
        if escaped {
            self.replace(LITERAL);
            self.replace(LITERAL);
        }
        while !self.ended() && self.peek(0) != b'\'' {
            self.replace(LITERAL);
        }
        self.keep();
    }
}

#[cfg(test)]
mod tests {
    use super::mask;

    #[test]
    fn blanks_comments() {
        assert_eq!(mask("a // b\nc"), "a     \nc");
        assert_eq!(
            mask("a /* b /* c */ d */ e"),
            format!("a{}e", " ".repeat(19))
        );
        assert_eq!(mask("a /* b\nc */ d"), "a     \n     d");
        assert_eq!(mask("a / b"), "a / b");
    }

    #[test]
    fn hides_what_literals_say() {
        assert_eq!(mask(r#"f("unsafe \" {", x)"#), r#"f("___________", x)"#);
        assert_eq!(mask("r#\"a\"b\"# + r"), "r#\"___\"# + r");
        assert_eq!(mask("br\"a\\\" c"), "br\"__\" c");
        assert_eq!(mask("for \"x\""), "for \"_\"");
        assert_eq!(mask("('{', '\\'', '\\\\', 'é')"), "('_', '__', '__', '__')");
    }

    #[test]
    fn keeps_lifetimes_and_raw_identifiers() {
        for code in ["fn f<'a>(x: &'a str) -> &'static str {", "r#type = r", "b'"] {
            assert_eq!(mask(code), code);
        }
    }

    #[test]
    fn keeps_lines_and_survives_the_unfinished() {
        for code in ["\"a\nb", "/* a\nb", "r#\"a\nb", "'\\", "'", "r\""] {
            assert_eq!(mask(code).lines().count(), code.lines().count(), "{code}");
            assert_eq!(mask(code).len(), code.len(), "{code}");
        }
    }
}
