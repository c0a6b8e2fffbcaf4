//! The network between the processes of a cluster is cut, in namespaces with a packet filter: what
//! is left with a majority goes on, the rest refuses, and one order explains what all clients saw.
//!
//! ```text
//! host  0 1 2 3 4 5   6 7        cut:  a voter and gateway 7 │ everyone else
//!       nodes         gateways         a voter is not heard    (one way)
//!       V V V                          a voter hears nobody    (the other way)
//! ```

use std::path::Path;
use std::time::Duration;

use cairn_compat_suite::{Call, Client};
use cairn_tests::binary;
use cairn_tests::cluster::{self, Cluster, GATEWAYS, Gateway, Member, NODES, Node, VOTERS};
use cairn_tests::history::History;
use cairn_tests::network::Network;
use cairn_tests::patience::eventually;
use cairn_tests::random;
use cairn_tests::s3::{self, make_bucket};
use cairn_tests::server::{ACCESS_KEY, SECRET_KEY};
use cairn_tests::skip;

use crate::load::play;

/// First host of a gateway.
const GATEWAY: u8 = 6;
const HOSTS: u8 = 8;
const PORT: u16 = 9_100;
/// How long the majority may take to go on, or everyone after the cut.
const TAKEOVER: Duration = Duration::from_secs(20);
/// How long a minority may take to refuse.
const REFUSAL: Duration = Duration::from_secs(15);
/// How long players wait for an answer.
const PLAYER_PATIENCE: Duration = Duration::from_secs(4);

#[test]
fn a_cut_network_has_one_order_and_a_minority_refuses() {
    let network = match Network::new(HOSTS) {
        Ok(network) => network,
        Err(why) => return skip::machine(&why),
    };
    let mut cluster = cluster_on(&network);
    for process in cluster.processes() {
        process.start();
    }
    cluster.wait_whole();
    let clients = cluster.clients();
    let clients = clients.map(|client| client.with_patience(PLAYER_PATIENCE));
    make_bucket(&clients[0], "cut");
    let history = History::new("cut");
    let seed = random::seed(0xc07);
    let (score, ()) = play(&history, 6, &clients, seed, || {
        for voter in 0..u8::try_from(VOTERS).expect("a small number") {
            minority(&network, &clients, voter);
            one_way(&network, &clients, voter);
        }
    });
    cluster.wait_whole();
    for client in &clients {
        eventually("all is read", TAKEOVER, || history.read_everything(client));
    }
    assert_eq!(history.violations(), Vec::<String>::new(), "seed {seed}");
    assert!(
        score.written > 100 && score.mismatched > 20 && score.read > 100,
        "too little was played: {score:?}"
    );
}

/// One voter and the second gateway on their own: they refuse writes and reads, the others go on.
fn minority(network: &Network, clients: &[Client; GATEWAYS], voter: u8) {
    let few = [voter, GATEWAY + 1];
    let many: Vec<u8> = (0..HOSTS).filter(|host| !few.contains(host)).collect();
    let [majority, minority] = clients;
    s3::must_put(majority, "cut/known", b"before");
    network.cut(&few, &many);
    go_on(majority, &format!("voter {voter} is cut off"));
    std::thread::scope(|scope| {
        scope.spawn(|| refuses(minority, &s3::put("cut/known", b"of the few".to_vec())));
        scope.spawn(|| refuses(minority, &Call::new("GET", "cut/known")));
        scope.spawn(|| refuses(minority, &Call::new("DELETE", "cut/known")));
    });
    network.heal();
    for client in clients {
        go_on(client, "the network is whole again");
    }
}

/// A voter that is not heard, then one that hears nobody.
fn one_way(network: &Network, clients: &[Client; GATEWAYS], voter: u8) {
    let others: Vec<u8> = (0..HOSTS).filter(|host| *host != voter).collect();
    for unheard in [true, false] {
        if unheard {
            network.cut_one_way(&[voter], &others);
        } else {
            network.cut_one_way(&others, &[voter]);
        }
        for client in clients {
            go_on(
                client,
                &format!("voter {voter} one way, unheard: {unheard}"),
            );
        }
        network.heal();
    }
}

/// An error, and in good time: not silence.
fn refuses(client: &Client, call: &Call) {
    let (method, path) = (&call.method, &call.path);
    let response = client.with_patience(REFUSAL).send(call);
    let response = response.unwrap_or_else(|why| panic!("a minority, {method} {path}: {why}"));
    assert!(
        response.status >= 500,
        "a minority answered {method} {path}: {} {}",
        response.status,
        response.text()
    );
}

/// A new object is taken and read.
fn go_on(client: &Client, when: &str) {
    eventually(when, TAKEOVER, || {
        let put = client.send(&s3::put("cut/goes-on", vec![7; 100_000]));
        let put = put.map_err(|why| why.to_string())?;
        if put.status != 200 {
            return Err(format!("{} {}", put.status, put.text()));
        }
        s3::observe(client, "cut/goes-on").map(|_| ())
    });
}

/// The processes of a cluster, each on a host of its own, none started.
fn cluster_on(network: &Network) -> Cluster {
    let home = cluster::home();
    let nodes = (0..NODES).map(|index| node(network, home.path(), index));
    let nodes = nodes.collect();
    let gateways = (0..2).map(|index| gateway(network, home.path(), index));
    let gateways = gateways.collect();
    Cluster::of_parts(home, nodes, gateways)
}

fn token(home: &Path, name: &str) -> String {
    home.join(format!("{name}.token")).display().to_string()
}

fn node(network: &Network, home: &Path, index: usize) -> Node {
    let host = u8::try_from(index).expect("a small number");
    let name = format!("node{}", index + 1);
    let directory = home.join(&name);
    let mut argv = vec![binary::cairn().display().to_string()];
    argv.extend(["storage-node".to_owned(), directory.display().to_string()]);
    let listen = format!("{}:{PORT}", network.address(host));
    argv.extend(["--listen".to_owned(), listen]);
    let voter = index < VOTERS;
    if index == 0 {
        argv.extend(["--init", "--coding", "4+2", "--domain", "node"].map(str::to_owned));
        for other in 1..NODES {
            let roles = if other < VOTERS {
                "storage+metadata"
            } else {
                "storage"
            };
            let file = token(home, &format!("node{}", other + 1));
            argv.extend(["--issue".to_owned(), format!("{roles}={file}")]);
        }
        for gateway in 1..=2 {
            let file = token(home, &format!("gateway{gateway}"));
            argv.extend(["--issue".to_owned(), format!("gateway={file}")]);
        }
    } else {
        argv.extend(["--token-file".to_owned(), token(home, &name)]);
    }
    if voter {
        argv.push("--metadata".to_owned());
    }
    let mut wrapper = network.wrapper(host);
    if index == 0 {
        // The founder makes the root user.
        wrapper.extend(cluster::with_credentials());
    }
    let log = home.join(format!("{name}.log"));
    Node {
        process: Member::not_running(&name, argv, wrapper, log),
        directory,
        voter,
    }
}

fn gateway(network: &Network, home: &Path, index: u8) -> Gateway {
    let address = network.address(GATEWAY + index);
    let name = format!("gateway{}", index + 1);
    let listen = format!("{address}:{PORT}");
    let mut argv = vec![binary::cairn().display().to_string()];
    argv.extend(["gateway".to_owned(), home.join(&name).display().to_string()]);
    argv.extend(["--listen".to_owned(), listen.clone()]);
    argv.extend(["--token-file".to_owned(), token(home, &name)]);
    let log = home.join(format!("{name}.log"));
    let wrapper = network.wrapper(GATEWAY + index);
    let url = format!("http://{listen}");
    Gateway {
        process: Member::not_running(&name, argv, wrapper, log),
        client: Client::new(&url, ACCESS_KEY, SECRET_KEY).expect("an endpoint"),
    }
}
