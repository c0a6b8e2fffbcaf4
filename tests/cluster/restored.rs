//! All voters die, and one of their directories is all the metadata there is: it becomes a cluster of one
//! voter in the next generation, the others go on as disks.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use cairn_compat_suite::{Call, Client};
use cairn_tests::binary;
use cairn_tests::cluster::Cluster;
use cairn_tests::objects::{LENGTHS, Objects};
use cairn_tests::patience::eventually;
use cairn_tests::server::give_credentials;

const PATIENCE: Duration = Duration::from_secs(30);
/// How long counting all rows and looking at every disk may take.
const THAW: Duration = Duration::from_secs(120);
/// `cairn storage-node DIR --listen ADDRESS`.
const PLAIN: usize = 5;

#[test]
fn a_cluster_goes_on_from_the_directory_of_one_voter() {
    let mut cluster = Cluster::start();
    cluster.wait_whole();
    let client = cluster.client(0);
    let mut objects = Objects::new(&client, "kept");
    objects.write(&client, &LENGTHS);
    let mut doomed = Objects::new(&client, "doomed");
    doomed.write(&client, &LENGTHS);

    let voters = cluster.voters();
    for voter in &voters {
        cluster.node(*voter).process.kill_nine();
    }
    let furthest = voters.iter().max_by_key(|voter| {
        let node = cluster.nodes.get(**voter).expect("a voter");
        log_end(&node.directory)
    });
    let chosen = *furthest.expect("voters");
    restore(&["restore"], &cluster.node(chosen).directory);
    for other in voters.iter().filter(|voter| **voter != chosen) {
        let node = cluster.node(*other);
        let told = restore(&["restore", "--disks-only"], &node.directory);
        assert!(told.contains("without --metadata"), "{told}");
        // Whoever starts it as before is told.
        node.process.start();
        eventually("an old command line is refused", PATIENCE, || {
            match node.process.is_running() {
                true => Err("it runs".to_owned()),
                false => Ok(()),
            }
        });
        let printed = node.process.printed();
        assert!(printed.contains("start it without --metadata"), "{printed}");
        node.process.cut_command_line(PLAIN);
    }
    for voter in &voters {
        cluster.node(*voter).process.start();
    }

    eventually("writes are taken again", PATIENCE, || is_taken(&client));
    for client in cluster.clients() {
        objects.must_be_there(&client, PATIENCE, "after the restore");
    }
    objects.write(&client, &LENGTHS);
    eventually("deletion goes on", THAW, || {
        let shown = admin_cluster(&client);
        match shown.contains("frozen") {
            true => Err(shown),
            false => Ok(()),
        }
    });
    doomed.delete(&client);
    for client in cluster.clients() {
        objects.must_be_there(&client, PATIENCE, "after deletes");
    }
}

/// What it printed; it must succeed.
fn restore(words: &[&str], directory: &Path) -> String {
    let mut command = Command::new(binary::cairn());
    let output = command.args(words).arg(directory).output();
    let output = output.expect("cairn runs");
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{words:?}: {printed} {errors}");
    printed
}

/// Term and index of the last entry, as the operator is shown them.
fn log_end(directory: &Path) -> (u64, u64) {
    let shown = restore(&["restore", "--look"], directory);
    let number = |name: &str| {
        let (_, rest) = shown.split_once(name).expect("it is named");
        let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
        digits.parse().expect("a number")
    };
    (number("term "), number("index "))
}

fn is_taken(client: &Client) -> Result<(), String> {
    let put = cairn_tests::s3::put("kept/again", b"again".to_vec());
    let client = client.with_patience(Duration::from_secs(5));
    let answer = client.send(&put).map_err(|why| why.to_string())?;
    let gone = client.send(&Call::new("DELETE", "kept/again"));
    match (answer.status, gone.map(|gone| gone.status)) {
        (200, Ok(204)) => Ok(()),
        (status, gone) => Err(format!("{status} {gone:?}")),
    }
}

fn admin_cluster(client: &Client) -> String {
    let mut command = Command::new(binary::cairn());
    let endpoint = format!("http://{}", client.authority());
    command.args(["admin", "--endpoint", &endpoint, "cluster"]);
    give_credentials(&mut command);
    let output = command.output().expect("cairn runs");
    assert!(output.status.success(), "{output:?}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}
