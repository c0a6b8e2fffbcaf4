use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::path::PathBuf;
use std::thread::JoinHandle;

use super::*;
use cairn_model::NodeId;
use cairn_rpc::quic::{ClusterCa, ClusterId, Dispatcher, HeartbeatHandler, NodeKey, Role, Roles};
use cairn_wire::frame::FrameType;
use cairn_wire::metadata::{MembersAnswer, Node};
use clap::Parser as _;

use crate::args::{Args, Command};
use crate::member::home::Profile;

const SHORT: Duration = Duration::from_millis(500);

fn args(options: &[&str]) -> HealthArgs {
    let line = ["cairn", "health"].iter().chain(options);
    match Args::try_parse_from(line).unwrap().command {
        Command::Health(args) => args,
        other => panic!("{other:?}"),
    }
}

/// Gives `answer` to one request; what was asked for comes back.
fn once(answer: String) -> (String, JoinHandle<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let served = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut asked = Vec::new();
        while !asked.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            stream.read_exact(&mut byte).unwrap();
            asked.extend(byte);
        }
        // The client may have heard enough.
        let _ = stream.write_all(answer.as_bytes());
        String::from_utf8(asked).unwrap()
    });
    (endpoint, served)
}

fn answer(status: &str, headers: &str, body: &str) -> String {
    let length = body.len();
    format!(
        "HTTP/1.1 {status}\r\n{headers}content-length: {length}\r\nconnection: close\r\n\r\n{body}"
    )
}

#[test]
fn a_gateway_that_is_ready_is_healthy() {
    let (endpoint, served) = once(answer("200 OK", "", "ready\n"));
    assert_eq!(ask(&args(&["--endpoint", &endpoint])).unwrap(), "ready");
    let asked = served.join().unwrap();
    assert!(
        asked.starts_with("GET /health/ready HTTP/1.1\r\n"),
        "{asked}"
    );
}

#[test]
fn live_is_another_question_and_a_slash_too_many_does_no_harm() {
    let (endpoint, served) = once(answer("200 OK", "", "live\n"));
    let endpoint = format!("{endpoint}/");
    ask(&args(&["--live", "--endpoint", &endpoint])).unwrap();
    let asked = served.join().unwrap();
    assert!(
        asked.starts_with("GET /health/live HTTP/1.1\r\n"),
        "{asked}"
    );
}

#[test]
fn whoever_is_not_ready_says_why() {
    let reason = "not ready: metadata does not answer\n";
    let (endpoint, served) = once(answer("503 Service Unavailable", "", reason));
    let error = ask(&args(&["--endpoint", &endpoint]))
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("503 not ready: metadata does not answer"),
        "{error}"
    );
    served.join().unwrap();
}

#[test]
fn another_address_a_flood_and_nobody_are_no_health() {
    let elsewhere = answer("302 Found", "location: http://127.0.0.1:1/\r\n", "");
    let (endpoint, served) = once(elsewhere);
    let error = ask(&args(&["--endpoint", &endpoint]))
        .unwrap_err()
        .to_string();
    assert!(error.contains(": 302"), "{error}");
    served.join().unwrap();

    let (endpoint, served) = once(answer("200 OK", "", &"ready".repeat(4 << 10)));
    ask(&args(&["--endpoint", &endpoint])).unwrap_err();
    served.join().unwrap();

    let free = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    ask(&args(&["--endpoint", &format!("http://{free}")])).unwrap_err();
    ask(&args(&["--endpoint", "nonsense"])).unwrap_err();
}

#[test]
fn certificates_that_cannot_be_read_are_said() {
    let missing = args(&[
        "--endpoint",
        "https://127.0.0.1:1",
        "--cacert",
        "/nowhere.pem",
    ]);
    let error = ask(&missing).unwrap_err().to_string();
    assert!(error.contains("/nowhere.pem"), "{error}");
}

#[test]
fn a_node_has_no_other_question() {
    for other in ["--live", "--insecure"] {
        let line = ["cairn", "health", "--node", "d", other];
        assert!(Args::try_parse_from(line).is_err(), "{other}");
    }
}

/// A storage node as far as heartbeats go, and its directory.
struct Running {
    dir: tempfile::TempDir,
    member: Member,
}

const NODE: NodeId = NodeId(7);

fn world() -> World {
    World {
        clock: Arc::new(RealClock::new()),
        entropy: Arc::new(OsEntropy),
    }
}

fn create(dir: &Path, state: State) -> Home {
    let cluster = ClusterId([1; 16]);
    let draw = || NodeKey::draw(&OsEntropy).unwrap();
    let profile = Profile {
        cluster,
        node: NODE,
        roles: Roles::of(&[Role::StorageNode]),
        zone: String::new(),
    };
    let authority = ClusterCa::new(cluster, draw()).unwrap();
    Home::create(dir, profile, state, &draw(), Some(&authority)).unwrap()
}

fn members(home: &Home, address: &str) -> MembersAnswer {
    let row = Node {
        node: NODE.0,
        address: address.to_owned(),
        public_key: home.key().unwrap().public().0.to_vec().into(),
        zone: String::new(),
        roles: home.profile.roles.bits(),
        joined_ms: 0,
        left_disks: Vec::new(),
    };
    MembersAnswer {
        nodes: vec![row],
        disks: Vec::new(),
    }
}

fn run_node() -> Running {
    let dir = tempfile::tempdir().unwrap();
    let home = create(dir.path(), State::Member);
    let roster = Arc::new(Roster::new(NODE, MembersAnswer::default()));
    let loopback: SocketAddr = (Ipv4Addr::LOCALHOST, 0).into();
    let heartbeats = Arc::new(HeartbeatHandler::new(NODE));
    let serves = Some(Dispatcher::default().with(FrameType::Control, heartbeats));
    let member = Member::connect(home, loopback, serves, None, roster, &world()).unwrap();
    let address = member.address().unwrap().to_string();
    let members = member.home(|home| members(home, &address));
    member.take(&members);
    Running { dir, member }
}

#[tokio::test]
async fn a_node_that_answers_is_healthy_until_it_stops() {
    let node = run_node();
    let said = beat(node.dir.path(), PATIENCE).await.unwrap();
    assert!(
        said.starts_with("node 0000000000000007 answers in "),
        "{said}"
    );
    node.member.leave().await;
    beat(node.dir.path(), SHORT).await.unwrap_err();
}

#[tokio::test]
async fn another_clusters_node_at_the_address_is_not_it() {
    let node = run_node();
    let address = node.member.address().unwrap().to_string();
    let other = tempfile::tempdir().unwrap();
    let home = create(other.path(), State::Member);
    home.keep_members(&members(&home, &address)).unwrap();
    beat(other.path(), SHORT).await.unwrap_err();
    beat(node.dir.path(), PATIENCE).await.unwrap();
}

#[tokio::test]
async fn who_is_no_member_or_has_no_address_is_not_healthy() {
    let said = async |dir: &Path| beat(dir, SHORT).await.unwrap_err().to_string();
    let missing = said(&PathBuf::from("/nowhere")).await;
    assert!(missing.contains("no member"), "{missing}");
    let dir = tempfile::tempdir().unwrap();
    create(dir.path(), State::Asking);
    let asking = said(dir.path()).await;
    assert!(asking.contains("not admitted yet"), "{asking}");
    let dir = tempfile::tempdir().unwrap();
    let home = create(dir.path(), State::Member);
    home.keep_members(&members(&home, "")).unwrap();
    let nowhere = said(dir.path()).await;
    assert!(nowhere.contains("no address"), "{nowhere}");
}

#[test]
fn a_store_tells_its_time_in_every_answer() {
    let dated = answer(
        "200 OK",
        "date: Sun, 06 Nov 1994 08:49:37 GMT\r\n",
        "live\n",
    );
    let (endpoint, served) = once(dated);
    assert_eq!(date(&endpoint).unwrap(), 784_111_777);
    served.join().unwrap();
    let (endpoint, served) = once(answer("200 OK", "", "live\n"));
    let error = date(&endpoint).unwrap_err().to_string();
    assert!(error.contains("no date"), "{error}");
    served.join().unwrap();
}
