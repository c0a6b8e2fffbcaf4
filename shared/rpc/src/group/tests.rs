use std::sync::atomic::{AtomicU64, Ordering};

use cairn_wire::metadata::{GetSessions, query::Query as Asked};

use super::*;

/// Replica 1..=n of a scripted group.
#[derive(Debug)]
struct Script {
    answers: Mutex<VecDeque<Result<(), MetadataError>>>,
    calls: AtomicU64,
}

impl Script {
    fn take(&self) -> Result<(), MetadataError> {
        self.calls.fetch_add(1, Ordering::SeqCst);
        self.answers.lock().unwrap().pop_front().unwrap_or(Ok(()))
    }
}

#[async_trait]
impl MetadataService for Script {
    async fn propose(&self, _: u64, _: u64, _: Command) -> Result<Reply, MetadataError> {
        self.take().map(|()| Reply::default())
    }

    async fn query(&self, _: Query) -> Result<Answer, MetadataError> {
        self.take().map(|()| Answer::default())
    }

    async fn keep_alive(&self, _: &[u64]) -> Result<(), MetadataError> {
        self.take()
    }
}

struct Scene {
    group: MetadataGroup,
    scripts: Vec<Arc<Script>>,
}

impl Scene {
    fn new(answers: Vec<Vec<Result<(), MetadataError>>>) -> Self {
        let script = |answers: Vec<_>| {
            Arc::new(Script {
                answers: Mutex::new(answers.into()),
                calls: AtomicU64::new(0),
            })
        };
        let scripts: Vec<Arc<Script>> = answers.into_iter().map(script).collect();
        let replica = |(node, script): (u64, &Arc<Script>)| Replica {
            node,
            service: script.clone(),
            is_reachable: true,
        };
        let replicas: Vec<Replica> = (1..).zip(&scripts).map(replica).collect();
        let group = MetadataGroup::new(Arc::new(replicas));
        Self { group, scripts }
    }

    async fn propose(&self) -> Result<(), MetadataError> {
        let command = Command::AcceptClock(cairn_wire::metadata::AcceptClock {});
        self.group.propose(1, 1, command).await.map(|_| ())
    }

    fn calls(&self) -> Vec<u64> {
        let count = |script: &Arc<Script>| script.calls.load(Ordering::SeqCst);
        self.scripts.iter().map(count).collect()
    }
}

fn not_leader(leader: Option<u64>) -> Result<(), MetadataError> {
    Err(MetadataError::NotLeader { leader })
}

fn unavailable() -> Result<(), MetadataError> {
    Err(MetadataError::Unavailable("gone".to_owned()))
}

#[tokio::test]
async fn the_named_leader_is_asked_next_and_remembered() {
    let scene = Scene::new(vec![vec![not_leader(Some(3))], vec![], vec![]]);
    assert_eq!(scene.propose().await, Ok(()));
    assert_eq!(scene.calls(), [1, 0, 1]);
    assert_eq!(scene.propose().await, Ok(()));
    assert_eq!(scene.calls(), [1, 0, 2]);
    assert_eq!(scene.group.leader(), Some(3));
}

#[tokio::test]
async fn an_unknown_outcome_is_sent_to_nobody_else() {
    let scene = Scene::new(vec![vec![Err(MetadataError::Unknown)], vec![], vec![]]);
    assert_eq!(scene.propose().await, Err(MetadataError::Unknown));
    assert_eq!(scene.calls(), [1, 0, 0]);
}

#[tokio::test]
async fn who_is_gone_is_passed_over_and_believed_in_no_more() {
    let scene = Scene::new(vec![
        vec![Ok(()), unavailable()],
        vec![not_leader(Some(1))],
        vec![],
    ]);
    assert_eq!(scene.propose().await, Ok(()));
    assert_eq!(scene.group.leader(), Some(1));
    // 1 is gone, 2 still believes in it: asked once more, it answers.
    assert_eq!(scene.propose().await, Ok(()));
    assert_eq!(scene.calls(), [3, 1, 0]);
}

#[tokio::test]
async fn replicas_that_name_each_other_do_not_keep_a_call_for_ever() {
    let blames = |other: u64| {
        (0..100)
            .map(|_| not_leader(Some(other)))
            .collect::<Vec<_>>()
    };
    let scene = Scene::new(vec![blames(2), blames(1), blames(1)]);
    assert!(matches!(
        scene.propose().await,
        Err(MetadataError::Unavailable(_))
    ));
    assert!(scene.calls().iter().sum::<u64>() <= 3 + u64::from(HINTS_MAX));
}

#[tokio::test]
async fn nobody_known_is_unavailable() {
    let scene = Scene::new(vec![]);
    assert!(matches!(
        scene.propose().await,
        Err(MetadataError::Unavailable(_))
    ));
}

#[tokio::test]
async fn a_query_may_be_answered_by_any_and_says_nothing_of_the_leader() {
    let scene = Scene::new(vec![vec![unavailable()], vec![], vec![]]);
    let query = Query {
        query: Some(Asked::GetSessions(GetSessions {})),
    };
    assert!(scene.group.query(query).await.is_ok());
    assert_eq!(scene.group.leader(), None);
    assert_eq!(scene.calls(), [1, 1, 0]);
}

#[test]
fn only_those_that_answered_lately_are_asked_the_leader_first() {
    let silent = Arc::new(Script {
        answers: Mutex::default(),
        calls: AtomicU64::new(0),
    });
    let replica = |(node, is_reachable)| Replica {
        node,
        service: silent.clone(),
        is_reachable,
    };
    let order = |replicas: [(u64, bool); 4], leader| {
        let mut tour = Tour::new(replicas.map(replica).to_vec(), Some(leader));
        let nodes = std::iter::from_fn(|| tour.next()).map(|replica| replica.node);
        nodes.collect::<Vec<u64>>()
    };
    let some = [(1, false), (2, true), (3, true), (4, false)];
    assert_eq!(order(some, 3), [3, 2]);
    assert_eq!(order(some, 4), [2, 3], "a silent leader is not waited for");
    let none = [(1, false), (2, false), (3, false), (4, false)];
    assert_eq!(order(none, 3), [3, 1, 2, 4]);
}
