//! Files of at most 1,000 lines, functions of at most 70 lines of code.

use super::violation::Violation;

const RULE: &str = "sizes";
const FILE_LINES_MAX: usize = 1_000;
/// Lines of code between a function's braces; blank lines and comments are not counted.
const FUNCTION_LINES_MAX: usize = 70;

/// Every file and function over the line. `code` is masked text.
pub(crate) fn violations(path: &str, code: &str) -> Vec<Violation> {
    let breach = |line: usize, found: String, mend: &str| Violation {
        path: path.to_owned(),
        line,
        rule: RULE,
        found,
        mend: mend.to_owned(),
    };
    let mut found = Vec::new();
    let lines = code.lines().count();
    if lines > FILE_LINES_MAX {
        let what = format!("{lines} lines, at most {FILE_LINES_MAX} are allowed");
        found.push(breach(0, what, "split it by subject"));
    }
    for function in functions(code) {
        if function.lines > FUNCTION_LINES_MAX {
            let Function { name, lines, .. } = &function;
            let what = format!("fn {name} has {lines} lines, at most {FUNCTION_LINES_MAX}");
            found.push(breach(function.line, what, "split it by step"));
        }
    }
    found
}

/// A function with a body.
#[derive(Debug, PartialEq, Eq)]
struct Function {
    name: String,
    /// 1-based line of its `fn`.
    line: usize,
    /// Lines of code between its braces.
    lines: usize,
}

fn functions(code: &str) -> Vec<Function> {
    let mut found = Vec::new();
    for (at, _) in code.match_indices("fn ") {
        let (before, rest) = code.split_at(at);
        let joined = before.ends_with(|c: char| c.is_alphanumeric() || c == '_');
        let after = rest.get(3..).unwrap_or("").trim_start();
        let name: String = after
            .chars()
            .take_while(|c| c.is_alphanumeric() || *c == '_')
            .collect();
        if joined || name.is_empty() {
            continue;
        }
        if let Some(body) = body(rest) {
            let lines = body.lines().filter(|line| !line.trim().is_empty()).count();
            found.push(Function {
                name,
                line: before.matches('\n').count() + 1,
                lines,
            });
        }
    }
    found
}

/// The text between the braces of the item that starts here; `None` for a bare signature.
fn body(item: &str) -> Option<&str> {
    let mut depth = 0_i64;
    let mut opened = None;
    for (at, c) in item.char_indices() {
        match (c, opened) {
            ('(' | '[', None) => depth += 1,
            (')' | ']', None) => depth -= 1,
            (';', None) if depth == 0 => return None,
            ('{', None) if depth == 0 => (opened, depth) = (Some(at + 1), 1),
            ('{', Some(_)) => depth += 1,
            ('}', Some(start)) => {
                depth -= 1;
                if depth == 0 {
                    return item.get(start..at);
                }
            }
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::super::lexer::mask;
    use super::*;

    fn function_of(lines: usize) -> String {
        let line = "    let x = \"{\"; // }\n\n";
        format!(
            "impl A {{\n  pub fn long<const N: usize>(a: [u8; 4]) {{\n{}}}\n}}\n",
            line.repeat(lines)
        )
    }

    #[test]
    fn counts_code_lines_only() {
        let found = functions(&mask(&function_of(70)));
        let expected = Function {
            name: "long".into(),
            line: 2,
            lines: 70,
        };
        assert_eq!(found, [expected]);
    }

    #[test]
    fn refuses_a_function_of_71_lines() {
        assert_eq!(violations("a.rs", &mask(&function_of(70))), []);
        let found = violations("a.rs", &mask(&function_of(71)));
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].line, 2);
    }

    #[test]
    fn refuses_a_file_of_1001_lines() {
        assert_eq!(violations("a.rs", &"x\n".repeat(1_000)), []);
        assert_eq!(violations("a.rs", &"x\n".repeat(1_001)).len(), 1);
    }

    #[test]
    fn signatures_and_function_pointers_have_no_body() {
        assert_eq!(
            functions("trait T { fn a(&self) -> [u8; 3]; }\nstruct S { f: fn (u8) }"),
            []
        );
        let nested = functions("fn a() { fn b() { {} } }");
        assert_eq!(nested.len(), 2);
    }
}
