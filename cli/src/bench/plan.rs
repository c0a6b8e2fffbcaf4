//! Which request comes next. No clock and no network: a plan gives the same requests in every run.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;

use crate::args::Work;

/// Keys of one LIST.
const PAGE: u64 = 1_000;

/// A request to be signed and sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Request {
    pub(super) method: &'static str,
    pub(super) path: String,
    /// In canonical form.
    pub(super) query: String,
    /// Number and length of a body.
    pub(super) body: Option<(u64, u64)>,
}

/// What is done with a row of objects, once each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Each {
    Put,
    Delete,
}

#[derive(Clone, Debug)]
enum Kind {
    /// One request only.
    Once(Request),
    /// Objects 0, 1, .. of a folder, once each.
    Each(Each, Cell<u64>),
    /// For as long as there is time.
    Work(Work),
}

/// The requests of all clients.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    bucket: String,
    /// Of objects that are there.
    folder: String,
    /// Of objects that are put.
    fresh: String,
    objects: u64,
    size: u64,
    kind: Kind,
    /// How many new objects each client has put.
    put: RefCell<BTreeMap<u16, u64>>,
}

/// Where one client is in a plan.
#[derive(Clone, Debug)]
pub(super) struct Turn {
    client: u16,
    random: u64,
    /// Objects this client has put.
    put: u64,
    /// Of these, the first that is still there.
    deleted: u64,
}

impl Plan {
    /// `work` on the objects of `folder`; new ones go into `fresh`.
    pub(super) fn work(
        bucket: &str,
        work: Work,
        folder: &str,
        fresh: &str,
        objects: u64,
        size: u64,
    ) -> Self {
        Self {
            bucket: bucket.to_owned(),
            folder: folder.to_owned(),
            fresh: fresh.to_owned(),
            objects,
            size,
            kind: Kind::Work(work),
            put: RefCell::default(),
        }
    }

    /// Every object of a folder once.
    pub(super) fn each(bucket: &str, what: Each, folder: &str, objects: u64, size: u64) -> Self {
        Self {
            kind: Kind::Each(what, Cell::new(0)),
            ..Self::work(bucket, Work::Put, folder, folder, objects, size)
        }
    }

    /// One request on a key, or on the bucket where it is empty.
    pub(super) fn once(bucket: &str, method: &'static str, key: &str) -> Self {
        let slash = if key.is_empty() { "" } else { "/" };
        let request = Request {
            method,
            path: format!("/{bucket}{slash}{key}"),
            query: String::new(),
            body: (method == "PUT").then_some((0, 0)),
        };
        Self {
            kind: Kind::Once(request),
            ..Self::work(bucket, Work::Put, "", "", 0, 0)
        }
    }

    /// The beginning of a client.
    pub(super) fn client(&self, client: u16) -> Turn {
        Turn {
            client,
            random: 0x9E37_79B9_7F4A_7C15_u64.wrapping_mul(u64::from(client) + 1),
            put: 0,
            deleted: 0,
        }
    }

    /// How many new objects each client has put: 0, 1, .. below its own folder.
    pub(super) fn put_by_client(&self) -> BTreeMap<u16, u64> {
        self.put.borrow().clone()
    }

    /// What the client asks next; `None`: there is nothing left to do.
    pub(super) fn next(&self, turn: &mut Turn) -> Option<Request> {
        match &self.kind {
            // The other clients have nothing to do, and this one only once.
            Kind::Once(request) => {
                let first = turn.client == 0 && turn.put == 0;
                turn.put += 1;
                first.then(|| request.clone())
            }
            Kind::Each(what, next) => self.one_of(*what, next),
            Kind::Work(Work::Delete) => None,
            Kind::Work(Work::Put) => Some(self.put(turn)),
            Kind::Work(Work::Get) => Some(self.known("GET", turn)),
            Kind::Work(Work::Head) => Some(self.known("HEAD", turn)),
            Kind::Work(Work::List) => Some(self.page(turn)),
            Kind::Work(Work::Mixed) => Some(self.mixed(turn)),
        }
    }

    fn one_of(&self, what: Each, next: &Cell<u64>) -> Option<Request> {
        let number = next.get();
        if number >= self.objects {
            return None;
        }
        next.set(number + 1);
        let (method, body) = match what {
            Each::Put => ("PUT", Some((number, self.size))),
            Each::Delete => ("DELETE", None),
        };
        Some(self.request(method, &key(&self.folder, number), body))
    }

    fn put(&self, turn: &mut Turn) -> Request {
        let number = turn.put;
        turn.put += 1;
        self.put.borrow_mut().insert(turn.client, turn.put);
        // No two bodies of a run are the same.
        let body = (u64::from(turn.client) << 48) | number;
        self.request(
            "PUT",
            &self.own(turn.client, number),
            Some((body, self.size)),
        )
    }

    fn known(&self, method: &'static str, turn: &mut Turn) -> Request {
        let number = turn.draw() % self.objects.max(1);
        self.request(method, &key(&self.folder, number), None)
    }

    /// A page from anywhere where a whole page follows.
    fn page(&self, turn: &mut Turn) -> Request {
        let folder = encoded(&self.folder);
        let mut query = format!("list-type=2&max-keys={PAGE}&prefix={folder}%2F");
        if self.objects > PAGE {
            let after = turn.draw() % (self.objects - PAGE);
            query.push_str("&start-after=");
            query.push_str(&encoded(&key(&self.folder, after)));
        }
        Request {
            method: "GET",
            path: format!("/{}", self.bucket),
            query,
            body: None,
        }
    }

    fn mixed(&self, turn: &mut Turn) -> Request {
        match turn.draw() % 100 {
            0..45 => self.known("GET", turn),
            45..75 => self.known("HEAD", turn),
            75..85 if turn.deleted < turn.put => {
                let number = turn.deleted;
                turn.deleted += 1;
                self.request("DELETE", &self.own(turn.client, number), None)
            }
            _ => self.put(turn),
        }
    }

    fn own(&self, client: u16, number: u64) -> String {
        key(&format!("{}/{client}", self.fresh), number)
    }

    fn request(&self, method: &'static str, key: &str, body: Option<(u64, u64)>) -> Request {
        Request {
            method,
            path: format!("/{}/{key}", self.bucket),
            query: String::new(),
            body,
        }
    }
}

impl Turn {
    /// xorshift64.
    fn draw(&mut self) -> u64 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        self.random
    }
}

fn key(folder: &str, number: u64) -> String {
    format!("{folder}/{number:010}")
}

/// As a query holds it. Keys here are letters, digits, `-` and `/`.
fn encoded(text: &str) -> String {
    text.replace('/', "%2F")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn plan(work: Work) -> Plan {
        Plan::work("b", work, "there", "new", 5_000, 7)
    }

    fn first(plan: &Plan, client: u16, calls: usize) -> Vec<Request> {
        let mut turn = plan.client(client);
        std::iter::from_fn(|| plan.next(&mut turn))
            .take(calls)
            .collect()
    }

    #[test]
    fn no_two_clients_put_the_same_key_or_body() {
        let plan = plan(Work::Put);
        let all: Vec<_> = (0..4)
            .flat_map(|client| first(&plan, client, 100))
            .collect();
        let keys: BTreeSet<_> = all.iter().map(|asked| &asked.path).collect();
        let bodies: BTreeSet<_> = all.iter().filter_map(|asked| asked.body).collect();
        assert_eq!((keys.len(), bodies.len()), (400, 400));
        assert!(
            all.iter()
                .all(|asked| asked.path.starts_with("/b/new/") && asked.method == "PUT")
        );
    }

    #[test]
    fn reads_ask_for_what_is_there() {
        for (work, method) in [(Work::Get, "GET"), (Work::Head, "HEAD")] {
            let asked = first(&plan(work), 3, 1_000);
            let keys: BTreeSet<_> = asked.iter().map(|asked| &asked.path).collect();
            assert!(keys.len() > 800, "they are drawn from all: {}", keys.len());
            for request in &asked {
                let number = request.path.strip_prefix("/b/there/").unwrap();
                assert!(number.len() == 10 && number.parse::<u64>().unwrap() < 5_000);
                assert_eq!((request.method, request.body), (method, None));
            }
        }
    }

    #[test]
    fn a_page_begins_where_a_whole_page_follows() {
        let asked = first(&plan(Work::List), 0, 100);
        for request in &asked {
            let (_, after) = request.query.split_once("start-after=there%2F").unwrap();
            assert!(after.parse::<u64>().unwrap() < 4_000);
        }
        let few = Plan::work("b", Work::List, "there", "new", 1_000, 7);
        assert_eq!(
            first(&few, 0, 1)[0].query,
            "list-type=2&max-keys=1000&prefix=there%2F"
        );
    }

    #[test]
    fn a_mix_has_its_shares_and_deletes_only_what_it_has_put() {
        let asked = first(&plan(Work::Mixed), 1, 10_000);
        let count = |method| asked.iter().filter(|asked| asked.method == method).count();
        assert!((4_300..4_700).contains(&count("GET")));
        assert!((2_800..3_200).contains(&count("HEAD")));
        assert!((1_400..1_600).contains(&count("PUT")));
        assert!((900..1_100).contains(&count("DELETE")));
        let mut there = BTreeSet::new();
        for request in &asked {
            match request.method {
                "PUT" => assert!(there.insert(&request.path)),
                "DELETE" => assert!(there.remove(&request.path)),
                _ => {}
            }
        }
    }

    #[test]
    fn each_object_has_its_turn_once_whoever_asks() {
        let plan = Plan::each("b", Each::Put, "there", 10, 7);
        let all: Vec<_> = [0, 1]
            .into_iter()
            .flat_map(|client| first(&plan, client, 6))
            .collect();
        let keys: BTreeSet<_> = all.iter().map(|asked| &asked.path).collect();
        assert_eq!((all.len(), keys.len()), (10, 10));
        let gone = Plan::each("b", Each::Delete, "there", 1, 7);
        assert_eq!(
            first(&gone, 0, 9),
            [Request {
                method: "DELETE",
                path: "/b/there/0000000000".to_owned(),
                query: String::new(),
                body: None
            }]
        );
    }

    #[test]
    fn one_request_is_sent_once() {
        let plan = Plan::once("b", "PUT", "");
        assert_eq!(first(&plan, 0, 9).len(), 1);
        assert_eq!(first(&plan, 1, 9).len(), 0);
        assert_eq!(first(&plan, 0, 1)[0].path, "/b");
        assert_eq!(first(&Plan::once("b", "HEAD", "k"), 0, 1)[0].path, "/b/k");
    }
}
