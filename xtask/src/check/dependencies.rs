//! Who may name which outside crate, directly, in the product.

use super::metadata::{Dependency, Kind, Package};
use super::violation::Violation;

const RULE: &str = "dependencies";

/// (outside crate, the only packages of ours whose product code may depend on it).
/// The last two are oracles of tests (ADR 3); the admin client signs with the official signer.
const ONLY: [(&str, &[&str]); 9] = [
    ("quinn", &["cairn-rpc"]),
    ("axum", &["cairn-gateway"]),
    ("rustls", &["cairn-rpc", "cairn-gateway"]),
    ("rustls-webpki", &["cairn-rpc"]),
    ("sled", &["cairn-store"]),
    ("fjall", &["cairn-store"]),
    ("openraft", &["cairn-metadata"]),
    ("aws-sigv4", &["cairn"]),
    ("reed-solomon-erasure", &[]),
];

/// Crates that bring a runtime, and the packages of floors 0 and 1 that may have one.
const RUNTIME: [&str; 4] = ["tokio", "hyper", "hyper-util", "tower"];
const RUNTIME_ALLOWED_BELOW: [&str; 1] = ["cairn-world"];
const LAST_PURE_FLOOR: u64 = 1;

/// Floors that are not the product: `tests` and what stands apart.
fn is_product(package: &Package) -> bool {
    package.name != "cairn-tests" && package.floor.is_none_or(|floor| floor <= 4)
}

/// Every direct dependency that breaks a rule.
pub(crate) fn violations(packages: &[Package]) -> Vec<Violation> {
    let product = packages.iter().filter(|package| is_product(package));
    product
        .flat_map(|package| {
            let shipped = package
                .dependencies
                .iter()
                .filter(|d| d.kind != Kind::Development);
            shipped.filter_map(|dependency| breach(package, dependency))
        })
        .collect()
}

fn breach(package: &Package, dependency: &Dependency) -> Option<Violation> {
    let name = dependency.name.as_str();
    let owners = ONLY
        .iter()
        .find(|(outside, _)| *outside == name)
        .map(|(_, owners)| *owners);
    let mend = if let Some(owners) = owners {
        if owners.contains(&package.name.as_str()) {
            return None;
        }
        match owners {
            [] => "no product code may: it is for tests".to_owned(),
            _ => format!("only {} may: use its interface", owners.join(" and ")),
        }
    } else {
        let pure = package.floor.is_some_and(|floor| floor <= LAST_PURE_FLOOR);
        let allowed = RUNTIME_ALLOWED_BELOW.contains(&package.name.as_str());
        if !pure || allowed || !RUNTIME.contains(&name) {
            return None;
        }
        "floors 0 and 1 are pure: take time and bytes as arguments".to_owned()
    };
    Some(Violation {
        path: package.manifest.clone(),
        line: 0,
        rule: RULE,
        found: format!("{} depends on {name}", package.name),
        mend,
    })
}

#[cfg(test)]
mod tests {
    use super::super::metadata::sample;
    use super::*;

    fn found(name: &str, floor: u64, outside: &str, kind: Kind) -> usize {
        violations(&[sample(name, floor, &[(outside, kind)])]).len()
    }

    #[test]
    fn each_owned_crate_is_refused_elsewhere_and_allowed_at_home() {
        for (outside, owners) in ONLY {
            assert_eq!(
                found("cairn-model", 0, outside, Kind::Normal),
                1,
                "{outside}"
            );
            for owner in owners {
                assert_eq!(
                    found(owner, 3, outside, Kind::Normal),
                    0,
                    "{outside} in {owner}"
                );
            }
        }
    }

    #[test]
    fn pure_floors_have_no_runtime() {
        assert_eq!(found("cairn-erasure", 1, "tokio", Kind::Normal), 1);
        assert_eq!(found("cairn-model", 0, "tokio", Kind::Build), 1);
        assert_eq!(found("cairn-world", 0, "tokio", Kind::Normal), 0);
        assert_eq!(found("cairn-rpc", 2, "tokio", Kind::Normal), 0);
    }

    #[test]
    fn tests_and_dev_dependencies_are_free() {
        assert_eq!(found("cairn-tests", 4, "quinn", Kind::Normal), 0);
        assert_eq!(found("cairn-xtask", 5, "tokio", Kind::Normal), 0);
        assert_eq!(found("cairn-erasure", 1, "tokio", Kind::Development), 0);
    }
}
