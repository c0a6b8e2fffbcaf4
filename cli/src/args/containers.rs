//! What `docker/` tells the binary to do, it can do: every command in there is read by the real parser.

use std::collections::BTreeMap;

use cairn_rpc::quic::{Role, Roles};
use clap::Parser as _;

use super::*;

const COMPOSE: &str = include_str!("../../../docker/compose.yaml");
const DOCKERFILE: &str = include_str!("../../../docker/Dockerfile");
const TOOLCHAIN: &str = include_str!("../../../rust-toolchain.toml");
const PROGRAM: &str = "/usr/local/bin/cairn";

/// The list at the start of a text: they are written as in JSON, over one line or several.
fn list(text: &str) -> Vec<String> {
    let mut lists = serde_json::Deserializer::from_str(text).into_iter();
    lists.next().expect("a list").expect("a list as in JSON")
}

fn parsed(words: &[String]) -> Command {
    let line = std::iter::once("cairn").chain(words.iter().map(String::as_str));
    let args = Args::try_parse_from(line);
    args.unwrap_or_else(|error| panic!("{words:?}: {error}"))
        .command
}

/// Everything after each `key` in a text.
fn after<'a>(text: &'a str, key: &str) -> Vec<&'a str> {
    let found = text.match_indices(key);
    found.map(|(at, _)| &text[at + key.len()..]).collect()
}

/// The services of the compose file and their commands.
fn services() -> BTreeMap<String, Command> {
    let (_, text) = COMPOSE.split_once("\nservices:\n").unwrap();
    let (text, _) = text.split_once("\nvolumes:\n").unwrap();
    let mut services = BTreeMap::new();
    for service in text.split("\n\n") {
        let (name, rest) = service.trim_start_matches('\n').split_once(":\n").unwrap();
        let commands = after(rest, "\n    command: ");
        assert_eq!(commands.len(), 1, "{name}");
        services.insert(name.trim().to_owned(), parsed(&list(commands[0])));
    }
    services
}

#[test]
fn the_cluster_has_three_voters_among_six_nodes_and_two_gateways() {
    let (mut nodes, mut voters, mut founders, mut gateways) = (0, 0, 0, 0);
    for (name, command) in services() {
        match command {
            Command::StorageNode(node) => {
                nodes += 1;
                voters += u32::from(node.metadata || node.init);
                founders += u32::from(node.init);
                assert_eq!(node.advertise, Some(format!("{name}:9100")));
            }
            Command::Gateway(_) => gateways += 1,
            other => panic!("{other:?}"),
        }
    }
    assert_eq!((nodes, voters, founders, gateways), (6, 3, 1, 2));
}

#[test]
fn everybody_waits_for_a_token_that_the_founder_writes_for_its_roles() {
    let mut issued = Vec::new();
    let mut awaited = Vec::new();
    let mut wait = |name: String, join: &JoinArgs, roles: &[Role]| match join.token() {
        Some(TokenSource::File(file)) => {
            assert_eq!(file, PathBuf::from(format!("/join/{name}")));
            awaited.push((file, Roles::of(roles).bits()));
        }
        other => panic!("{name}: {other:?}"),
    };
    for (name, command) in services() {
        match command {
            Command::StorageNode(node) if node.init => {
                let roles = |issue: Issue| (issue.file, issue.roles.bits());
                issued.extend(node.issue.into_iter().map(roles));
            }
            Command::StorageNode(node) if node.metadata => {
                wait(name, &node.join, &[Role::StorageNode, Role::MetadataVoter]);
            }
            Command::StorageNode(node) => wait(name, &node.join, &[Role::StorageNode]),
            Command::Gateway(gateway) => wait(name, &gateway.join, &[Role::Gateway]),
            other => panic!("{other:?}"),
        }
    }
    issued.sort();
    awaited.sort();
    assert_eq!(issued, awaited);
}

#[test]
fn the_health_checks_are_commands_of_ours() {
    let mut checks = Vec::new();
    let tests = after(COMPOSE, "\n    test: ");
    let image = after(DOCKERFILE, "HEALTHCHECK ");
    let image = image
        .iter()
        .flat_map(|text| after(text, "CMD ").into_iter().take(1));
    for text in tests.into_iter().chain(image) {
        let words = list(text);
        let words = words.strip_prefix(&["CMD".to_owned()]).unwrap_or(&words);
        let [program, words @ ..] = words else {
            panic!("an empty check");
        };
        assert_eq!(program, PROGRAM);
        match parsed(words) {
            Command::Health(health) => checks.push(health.node),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(checks, [Some(PathBuf::from("/data")), None, None]);
}

#[test]
fn the_image_runs_a_server_that_others_reach() {
    let entry = after(DOCKERFILE, "\nENTRYPOINT ");
    assert_eq!(list(entry[0]), [PROGRAM]);
    let command = after(DOCKERFILE, "\nCMD ");
    match parsed(&list(command[0])) {
        Command::Server(server) => {
            assert_eq!(server.dirs, [PathBuf::from("/data")]);
            assert_eq!(server.serve.listen, "0.0.0.0:9000".parse().unwrap());
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_image_is_built_with_the_compiler_of_the_project() {
    let (_, channel) = TOOLCHAIN.split_once("channel = \"").unwrap();
    let (version, _) = channel.split_once('"').unwrap();
    let (minor, _) = version.rsplit_once('.').unwrap();
    let stage = format!("\nARG RUST=rust:{minor}-slim-bookworm\n");
    assert!(DOCKERFILE.contains(&stage), "{stage}");
}
