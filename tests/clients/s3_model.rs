//! The table of operations against the model that AWS's own SDKs are made from, by way of botocore:
//! every operation is known here, by the same method, target and query keys; and every header that a
//! built operation may bring has had its fate decided. A newer botocore that knows more fails this.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use cairn_s3::op::{ALIASES, BEYOND_THE_MODEL, ELSEWHERE};
use cairn_s3::target::Kind;
use cairn_s3::{Op, headers};
use cairn_tests::skip;
use cairn_tests::tools::{Tool, command, must_run};
use serde::Deserialize;

/// What the model says of one operation's requests.
#[derive(Debug, Deserialize)]
struct Modelled {
    name: String,
    method: String,
    path: String,
    /// Query keys that stand in the operation's URI.
    fixed: Vec<String>,
    /// Query keys it cannot do without.
    required: Vec<String>,
    /// Query keys it may bring.
    read: Vec<String>,
    /// Headers it may bring, in lower case.
    headers: Vec<String>,
}

impl Modelled {
    fn kind(&self) -> Kind {
        match self.path.as_str() {
            "/" => Kind::Service,
            "/{Bucket}" => Kind::Bucket,
            "/{Bucket}/{Key+}" => Kind::Object,
            other => panic!("{}: path {other}", self.name),
        }
    }
}

/// Headers of HTTP's own that operations of the model bring: all are read.
const STANDARD: [&str; 13] = [
    "cache-control",
    "content-disposition",
    "content-encoding",
    "content-language",
    "content-length",
    "content-md5",
    "content-type",
    "expires",
    "if-match",
    "if-modified-since",
    "if-none-match",
    "if-unmodified-since",
    "range",
];

/// Query keys that a row is chosen by although the model takes them for an operation's input, and
/// the reverse: a directory bucket's list and a client's number of it share GET on the service.
const SELECTORS_OF_OURS: [(&str, &str); 1] = [("ListDirectoryBuckets", "max-directory-buckets")];

fn model() -> Option<BTreeMap<String, Modelled>> {
    let Some(python) = Tool::Python.find() else {
        skip::missing_tool("botocore");
        return None;
    };
    let script = "../compat-suite/clients/s3_model.py";
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join(script);
    let home = tempfile::tempdir().expect("a home");
    let printed = must_run(command(&python, home.path()).arg(script));
    let all: Vec<Modelled> = serde_json::from_str(&printed).expect("the model as JSON");
    assert!(all.len() > 100, "only {} operations", all.len());
    let by_name = all.into_iter().map(|one| (one.name.clone(), one));
    Some(by_name.collect())
}

#[test]
fn every_operation_of_the_model_is_in_the_table_or_named_elsewhere() {
    let Some(model) = model() else { return };
    let table: BTreeSet<&str> = Op::all().map(Op::name).collect();
    let aliases = ALIASES.map(|(name, _)| name);
    for name in model.keys() {
        let known = table.contains(name.as_str())
            || aliases.contains(&name.as_str())
            || ELSEWHERE.contains(&name.as_str());
        assert!(known, "{name} is not in the table of operations");
    }
    for op in Op::all().filter(|op| !BEYOND_THE_MODEL.contains(op)) {
        assert!(model.contains_key(op.name()), "{} is made up", op.name());
    }
    for name in aliases.iter().chain(&ELSEWHERE) {
        assert!(
            model.contains_key(*name),
            "{name} is no longer in the model"
        );
    }
}

#[test]
fn rows_have_the_models_method_target_and_query_keys() {
    let Some(model) = model() else { return };
    let mut compared = 0;
    for op in Op::all() {
        let Some(modelled) = model.get(op.name()) else {
            continue;
        };
        let name = op.name();
        assert_eq!(op.method(), modelled.method, "method of {name}");
        assert_eq!(op.kind(), modelled.kind(), "target of {name}");
        let of_ours = SELECTORS_OF_OURS.iter().filter(|(of, _)| *of == name);
        let mut selectors: BTreeSet<&str> = modelled.fixed.iter().map(String::as_str).collect();
        selectors.extend(modelled.required.iter().map(String::as_str));
        selectors.extend(of_ours.map(|(_, key)| *key));
        let ours: BTreeSet<&str> = op.selectors().iter().copied().collect();
        assert_eq!(ours, selectors, "keys that select {name}");
        let mut read: BTreeSet<&str> = modelled.read.iter().map(String::as_str).collect();
        read.retain(|key| !selectors.contains(key));
        let ours: BTreeSet<&str> = op.reads().iter().copied().collect();
        assert_eq!(ours, read, "keys that {name} reads");
        compared += 1;
    }
    assert!(compared > 100, "only {compared} rows were compared");
}

#[test]
fn every_header_a_built_operation_may_bring_has_its_fate_decided() {
    let Some(model) = model() else { return };
    let decided: BTreeSet<String> = headers::names().collect();
    let mut open = BTreeSet::new();
    let built = Op::all().filter(|op| op.is_built());
    for modelled in built.filter_map(|op| model.get(op.name())) {
        for header in &modelled.headers {
            if !decided.contains(header) && !STANDARD.contains(&header.as_str()) {
                open.insert(format!("{header} of {}", modelled.name));
            }
        }
    }
    assert!(open.is_empty(), "undecided: {open:#?}");
}
