//! The workspace's packages, as `cargo metadata --no-deps` tells them.

use std::path::Path;

use serde_json::Value;

/// When a dependency is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// In the product.
    Normal,
    /// In tests, benches and examples.
    Development,
    /// In build scripts.
    Build,
}

/// One direct dependency.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Dependency {
    pub(crate) name: String,
    pub(crate) kind: Kind,
}

/// One package of the workspace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Package {
    pub(crate) name: String,
    /// Its `Cargo.toml`, relative to the root.
    pub(crate) manifest: String,
    /// `[package.metadata.cairn] floor`, where given.
    pub(crate) floor: Option<u64>,
    pub(crate) dependencies: Vec<Dependency>,
}

/// Reads the JSON; anything that is not the expected shape is an error, never an empty list.
pub(crate) fn packages(value: &Value, root: &Path) -> Result<Vec<Package>, String> {
    let listed = value
        .get("packages")
        .and_then(Value::as_array)
        .ok_or("no packages")?;
    if listed.is_empty() {
        return Err("no packages".into());
    }
    listed
        .iter()
        .map(|package| read_package(package, root))
        .collect()
}

fn read_package(package: &Value, root: &Path) -> Result<Package, String> {
    let name = text(package, "name")?;
    let manifest = text(package, "manifest_path")?;
    let manifest = Path::new(&manifest);
    let manifest = manifest
        .strip_prefix(root)
        .unwrap_or(manifest)
        .to_string_lossy()
        .into_owned();
    let floor = package
        .pointer("/metadata/cairn/floor")
        .and_then(Value::as_u64);
    let listed = package.get("dependencies").and_then(Value::as_array);
    let listed = listed.ok_or_else(|| format!("{name}: no dependencies"))?;
    let dependencies = listed
        .iter()
        .map(read_dependency)
        .collect::<Result<_, _>>()?;
    Ok(Package {
        name,
        manifest,
        floor,
        dependencies,
    })
}

fn read_dependency(dependency: &Value) -> Result<Dependency, String> {
    let name = text(dependency, "name")?;
    let kind = match dependency.get("kind").and_then(Value::as_str) {
        None => Kind::Normal,
        Some("dev") => Kind::Development,
        Some("build") => Kind::Build,
        Some(other) => return Err(format!("{name}: unknown dependency kind {other}")),
    };
    Ok(Dependency { name, kind })
}

fn text(value: &Value, field: &str) -> Result<String, String> {
    let found = value.get(field).and_then(Value::as_str);
    found
        .map(str::to_owned)
        .ok_or_else(|| format!("no {field} in {value:.200}"))
}

/// A package for the tests of the rules.
#[cfg(test)]
pub(crate) fn sample(name: &str, floor: u64, dependencies: &[(&str, Kind)]) -> Package {
    Package {
        name: name.to_owned(),
        manifest: format!("{name}/Cargo.toml"),
        floor: Some(floor),
        dependencies: dependencies
            .iter()
            .map(|(name, kind)| Dependency {
                name: (*name).to_owned(),
                kind: *kind,
            })
            .collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TWO: &str = r#"{"packages":[
        {"name":"cairn-wire","manifest_path":"/r/shared/wire/Cargo.toml",
         "metadata":{"cairn":{"floor":1}},
         "dependencies":[{"name":"prost","kind":null},{"name":"proptest","kind":"dev"},
                         {"name":"protox","kind":"build"}]},
        {"name":"bare","manifest_path":"/r/bare/Cargo.toml","metadata":null,"dependencies":[]}]}"#;

    #[test]
    fn reads_floors_and_kinds() {
        let packages = read(TWO).unwrap();
        assert_eq!(packages[0].manifest, "shared/wire/Cargo.toml");
        assert_eq!(packages[0].floor, Some(1));
        let kinds: Vec<Kind> = packages[0].dependencies.iter().map(|d| d.kind).collect();
        assert_eq!(kinds, [Kind::Normal, Kind::Development, Kind::Build]);
        assert_eq!(packages[1].floor, None);
    }

    #[test]
    fn refuses_what_it_does_not_know() {
        assert!(read("{}").is_err());
        assert!(read(r#"{"packages":[]}"#).is_err());
        assert!(read(r#"{"packages":[{"name":"x"}]}"#).is_err());
        assert!(read(&TWO.replace("\"dev\"", "\"new\"")).is_err());
    }

    fn read(json: &str) -> Result<Vec<Package>, String> {
        packages(&serde_json::from_str(json).unwrap(), Path::new("/r"))
    }
}
