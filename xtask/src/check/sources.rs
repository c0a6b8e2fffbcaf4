//! Words that only some files may say: time, randomness, TLS and `unsafe`.

use super::violation::Violation;

const RULE: &str = "sources";

/// Folders inside a crate that are not the product: measurements, and the suite that every engine
/// of a trait must pass, which is compiled for tests only.
const NOT_PRODUCT_INSIDE: [&str; 3] = ["/examples/", "/benches/", "/suite/"];

/// Trees that are not the product.
const NOT_PRODUCT: [&str; 3] = ["tests/", "xtask/", "compat-suite/"];

/// A word and the only places (path prefixes) whose code may say it.
struct Reserved {
    word: &'static str,
    homes: &'static [&'static str],
    everywhere: bool,
    mend: &'static str,
}

const WORLD: &[&str] = &["shared/world/src/"];
const CLOCK: &str = "time comes in through cairn_world::Clock";
const ENTROPY: &str = "randomness comes in through cairn_world::Entropy";

const RESERVED: [Reserved; 8] = [
    Reserved {
        word: "Instant::now",
        homes: WORLD,
        everywhere: false,
        mend: CLOCK,
    },
    Reserved {
        word: "SystemTime::now",
        homes: WORLD,
        everywhere: false,
        mend: CLOCK,
    },
    Reserved {
        word: "now_utc",
        homes: WORLD,
        everywhere: false,
        mend: CLOCK,
    },
    Reserved {
        word: "getrandom::",
        homes: WORLD,
        everywhere: false,
        mend: ENTROPY,
    },
    Reserved {
        word: "thread_rng",
        homes: WORLD,
        everywhere: false,
        mend: ENTROPY,
    },
    Reserved {
        word: "rand::",
        homes: WORLD,
        everywhere: false,
        mend: ENTROPY,
    },
    Reserved {
        word: "rustls::",
        homes: &["shared/rpc/", "gateway/src/tls", "gateway/src/outbound"],
        everywhere: false,
        mend: "only rpc, the gateway's tls.rs and its outbound HTTP client speak TLS",
    },
    Reserved {
        word: "unsafe",
        homes: UNSAFE_HOMES,
        everywhere: true,
        mend: "find a safe way, or make the case for the list in xtask/src/check/sources.rs",
    },
];

/// The only files that may hold `unsafe`, each with its reasons in SAFETY notes.
const UNSAFE_HOMES: &[&str] = &[
    // Calls of what was compiled for AVX-512 and AVX2: 0.19 ns a byte instead of 1.9 (ADR 21).
    "gateway/s3/src/digest/md5/kernel.rs",
    "shared/erasure/src/gf256/simd.rs",
    "shared/world/src/aligned.rs",
    // libc asks the program for `getrandom` where it defines that symbol: a simulation's seed.
    "tests/sim_cluster/seeded.rs",
];

/// Every reserved word said in the wrong place. `code` is masked text.
pub(crate) fn violations(path: &str, code: &str) -> Vec<Violation> {
    let inside = NOT_PRODUCT_INSIDE.iter().any(|part| path.contains(part));
    let product = !inside && !NOT_PRODUCT.iter().any(|tree| path.starts_with(tree));
    let watched: Vec<&Reserved> = RESERVED
        .iter()
        .filter(|reserved| product || reserved.everywhere)
        .filter(|reserved| !reserved.homes.iter().any(|home| path.starts_with(home)))
        .collect();
    let mut found = Vec::new();
    for (index, line) in code.lines().enumerate() {
        for reserved in watched.iter().filter(|reserved| says(line, reserved.word)) {
            found.push(Violation {
                path: path.to_owned(),
                line: index + 1,
                rule: RULE,
                found: format!("`{}` may not be said here", reserved.word),
                mend: reserved.mend.to_owned(),
            });
        }
    }
    found
}

/// `word` stands in `line` as a whole word (a word that ends in `::` is open to the right).
fn says(line: &str, word: &str) -> bool {
    let joins = |c: char| c.is_alphanumeric() || c == '_';
    line.match_indices(word).any(|(start, _)| {
        let (before, rest) = line.split_at(start);
        let after = rest.get(word.len()..).unwrap_or("");
        let open_right = word.ends_with("::");
        !before.ends_with(joins) && (open_right || !after.starts_with(joins))
    })
}

#[cfg(test)]
mod tests {
    use super::super::lexer::mask;
    use super::*;

    const NOWHERE: [usize; 0] = [];

    fn lines(path: &str, code: &str) -> Vec<usize> {
        violations(path, &mask(code))
            .iter()
            .map(|violation| violation.line)
            .collect()
    }

    #[test]
    fn refuses_the_clock_and_the_dice_outside_world() {
        let code = "fn f() {\n let a = std::time::Instant::now();\n let b = rand::random();\n}";
        assert_eq!(lines("metadata/src/host.rs", code), [2, 3]);
        assert_eq!(lines("shared/world/src/real.rs", code), NOWHERE);
        assert_eq!(lines("tests/src/server.rs", code), NOWHERE);
        assert_eq!(lines("shared/erasure/examples/speed.rs", code), NOWHERE);
    }

    #[test]
    fn refuses_tls_outside_its_files() {
        assert_eq!(
            lines("gateway/src/server.rs", "use rustls::ServerConfig;"),
            [1]
        );
        assert_eq!(
            lines("gateway/src/tls.rs", "use rustls::ServerConfig;"),
            NOWHERE
        );
    }

    #[test]
    fn refuses_unsafe_everywhere_but_in_listed_files() {
        let code = "unsafe { go() }";
        assert_eq!(lines("gateway/src/server.rs", code), [1]);
        assert_eq!(lines("tests/src/server.rs", code), [1]);
        assert_eq!(lines("shared/world/src/aligned.rs", code), NOWHERE);
    }

    #[test]
    fn comments_strings_and_longer_words_are_free() {
        for code in [
            "// Instant::now",
            "\"SystemTime::now unsafe\"",
            "#![forbid(unsafe_code)]",
            "operand::new()",
            "Instant::nowhere()",
        ] {
            assert_eq!(lines("metadata/src/host.rs", code), NOWHERE, "{code}");
        }
    }
}
