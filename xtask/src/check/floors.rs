//! Arrows between the project's own crates point strictly down.
//!
//! Floors 0 to 4 are the building; floor 5 stands apart: it depends on no crate of ours, and none
//! depends on it. The one exception is named in [`MAY_USE`].

use std::collections::BTreeMap;

use super::metadata::{Kind, Package};
use super::violation::Violation;

const RULE: &str = "floors";
/// Crates of this floor know nothing of the building.
const APART: u64 = 5;
/// The crate whose dev-dependencies may point anywhere below.
const TESTS: &str = "cairn-tests";
/// Arrows to a crate that stands apart: the tests drive servers with the suite's HTTP client,
/// which sees nothing but HTTP.
const MAY_USE: [(&str, &str); 1] = [(TESTS, "cairn-compat-suite")];

/// Every arrow that does not point down, and every crate without a floor.
pub(crate) fn violations(packages: &[Package]) -> Vec<Violation> {
    let floors: BTreeMap<&str, u64> = packages
        .iter()
        .filter_map(|p| Some((p.name.as_str(), p.floor?)))
        .collect();
    let mut found = Vec::new();
    for package in packages {
        let Some(floor) = package.floor.filter(|floor| *floor <= APART) else {
            found.push(breach(
                package,
                "has no floor between 0 and 5".into(),
                "add [package.metadata.cairn] floor = N",
            ));
            continue;
        };
        for dependency in &package.dependencies {
            let Some(below) = floors.get(dependency.name.as_str()) else {
                continue;
            };
            let pair = (package.name.as_str(), dependency.name.as_str());
            let free = package.name == TESTS && dependency.kind == Kind::Development;
            if MAY_USE.contains(&pair) || (free && *below != APART) {
                continue;
            }
            if *below == APART || floor == APART || *below >= floor {
                let what = format!(
                    "{} (floor {floor}) depends on {} (floor {below})",
                    pair.0, pair.1
                );
                found.push(breach(
                    package,
                    what,
                    "arrows point strictly down: design §2",
                ));
            }
        }
    }
    found
}

fn breach(package: &Package, found: String, mend: &str) -> Violation {
    Violation {
        path: package.manifest.clone(),
        line: 0,
        rule: RULE,
        found,
        mend: mend.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::metadata::sample;
    use super::*;

    fn house() -> Vec<Package> {
        vec![
            sample("cairn-model", 0, &[("serde", Kind::Normal)]),
            sample("cairn-wire", 1, &[("cairn-model", Kind::Normal)]),
            sample("cairn-gateway", 3, &[("cairn-wire", Kind::Normal)]),
            sample("cairn-metadata", 3, &[("cairn-wire", Kind::Normal)]),
            sample("cairn-compat-suite", 5, &[]),
            sample(
                TESTS,
                4,
                &[
                    ("cairn-gateway", Kind::Development),
                    ("cairn-compat-suite", Kind::Normal),
                ],
            ),
        ]
    }

    fn with_arrow(name: &str, floor: u64, to: &str, kind: Kind) -> Vec<Violation> {
        let mut packages = house();
        packages.retain(|package| package.name != name);
        packages.push(sample(name, floor, &[(to, kind)]));
        violations(&packages)
    }

    #[test]
    fn arrows_down_are_fine() {
        assert_eq!(violations(&house()), []);
    }

    #[test]
    fn refuses_up_sideways_and_apart() {
        let normal = Kind::Normal;
        assert_eq!(
            with_arrow("cairn-model", 0, "cairn-wire", normal).len(),
            1,
            "up"
        );
        assert_eq!(
            with_arrow("cairn-gateway", 3, "cairn-metadata", normal).len(),
            1,
            "sideways"
        );
        assert_eq!(
            with_arrow("cairn-compat-suite", 5, "cairn-model", normal).len(),
            1,
            "apart"
        );
        assert_eq!(
            with_arrow("cairn", 4, "cairn-compat-suite", normal).len(),
            1,
            "to apart"
        );
    }

    #[test]
    fn dev_and_build_arrows_obey_too() {
        for kind in [Kind::Development, Kind::Build] {
            assert_eq!(with_arrow("cairn-model", 0, "cairn-wire", kind).len(), 1);
        }
    }

    #[test]
    fn refuses_a_crate_without_a_floor() {
        let mut packages = house();
        packages[0].floor = None;
        let found = violations(&packages);
        assert_eq!(found.len(), 1);
        assert!(found[0].found.contains("no floor"));
    }
}
