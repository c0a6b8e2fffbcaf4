//! What the program says.

/// One line to whoever started it.
#[expect(clippy::print_stdout, reason = "a program says what it found")]
pub(crate) fn say(line: impl std::fmt::Display) {
    println!("{line}");
}
