//! Clients go on while voters lose power and the network breaks in every shape. An oracle judges the
//! history: what was acknowledged is there, once, in real-time order, and reads see it.

use super::cluster::{Cluster, pause, run};
use super::network::Weather;
use super::world::{count, payload};
use cairn_metadata::raft::{ProposeError, RaftHost};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// A write whose place in the order is known, or a read that saw a prefix of it.
#[derive(Clone, Copy, Debug)]
struct Event {
    began: u64,
    ended: u64,
    /// A write: the place it got. A read: how many writes it saw.
    place: u64,
    write: Option<u64>,
}

#[derive(Clone, Default)]
struct History {
    events: Arc<Mutex<Vec<Event>>>,
    /// Moments: everything runs on one thread, so their order is real time's.
    moment: Arc<AtomicU64>,
    /// Writes nobody knows the outcome of.
    unknown: Arc<Mutex<BTreeSet<u64>>>,
}

impl History {
    fn now(&self) -> u64 {
        self.moment.fetch_add(1, Ordering::Relaxed)
    }

    /// Every operation takes effect at one moment between its beginning and its end: who began after
    /// another had ended comes after it.
    fn judge(&self, seed: u64) {
        let mut events = self.events.lock().unwrap().clone();
        let mut places = BTreeMap::new();
        for event in events.iter().filter(|event| event.write.is_some()) {
            let other = places.insert(event.place, event.write);
            assert_eq!(
                other, None,
                "seed {seed}: one place for two writes: {event:?}"
            );
        }
        // Highest place known at each moment, from those that had ended by then.
        let mut by_end = events.clone();
        by_end.sort_by_key(|event| event.ended);
        events.sort_by_key(|event| event.began);
        let (mut ended, mut floor) = (by_end.iter().peekable(), 0);
        for event in &events {
            while let Some(before) = ended.next_if(|before| before.ended < event.began) {
                floor = floor.max(before.place);
            }
            match event.write {
                Some(number) => assert!(
                    event.place > floor,
                    "seed {seed}: write {number} began after {floor} had been seen: {event:?}"
                ),
                None => assert!(
                    event.place >= floor,
                    "seed {seed}: a read began after {floor} had been seen: {event:?}"
                ),
            }
        }
    }

    fn acknowledged(&self) -> Vec<(u64, u64)> {
        let events = self.events.lock().unwrap();
        let write = |event: &Event| Some((event.write?, event.place));
        events.iter().filter_map(write).collect()
    }

    fn reads(&self) -> usize {
        let events = self.events.lock().unwrap();
        events.iter().filter(|event| event.write.is_none()).count()
    }
}

/// The hosts that run, as clients see them.
type Running = Arc<Mutex<BTreeMap<u64, RaftHost>>>;

async fn client(running: Running, history: History, id: u64, stop: Arc<Mutex<bool>>) {
    let mut turn = id;
    for round in 0.. {
        if *stop.lock().unwrap() {
            return;
        }
        turn += 1;
        let host = {
            let running = running.lock().unwrap();
            let at = usize::try_from(turn).unwrap() % running.len().max(1);
            running.values().nth(at).cloned()
        };
        let Some(host) = host else {
            pause(5).await;
            continue;
        };
        let number = id * 1_000_000 + round;
        let began = history.now();
        let (place, write) = if round % 3 == 2 {
            match host.read().await {
                Ok(view) => (count(view.as_ref()), None),
                Err(_) => {
                    pause(3).await;
                    continue;
                }
            }
        } else {
            match host.propose(payload(number)).await {
                Ok(reply) => {
                    let place = u64::from_be_bytes(reply.as_ref().try_into().unwrap());
                    (place, Some(number))
                }
                Err(ProposeError::Unknown) => {
                    history.unknown.lock().unwrap().insert(number);
                    continue;
                }
                Err(_) => {
                    pause(3).await;
                    continue;
                }
            }
        };
        let event = Event {
            began,
            ended: history.now(),
            place,
            write,
        };
        history.events.lock().unwrap().push(event);
        pause(1).await;
    }
}

fn sync(running: &Running, cluster: &Cluster) {
    *running.lock().unwrap() = cluster.hosts.clone();
}

/// One thing that goes wrong, for a while.
async fn misfortune(cluster: &mut Cluster, running: &Running, voters: u64) {
    let all: Vec<u64> = (1..=voters).collect();
    let victim = match cluster.leader() {
        Some(leader) if cluster.exchange.below(2) == 0 => leader,
        _ => 1 + cluster.exchange.below(voters),
    };
    let others: Vec<u64> = all.iter().copied().filter(|id| *id != victim).collect();
    match cluster.exchange.below(6) {
        // Power, for a while; then as much of the store as happened to be synced.
        0 | 1 => {
            let (seed, kept) = (cluster.exchange.below(1 << 30), cluster.exchange.below(4));
            cluster.crash(victim, seed, kept).await;
            sync(running, cluster);
            pause(cluster.exchange.below(1_500)).await;
            cluster.start(victim).await;
            sync(running, cluster);
        }
        // Alone.
        2 => cluster.exchange.split(&[victim], &others),
        // Heard by nobody, or deaf.
        3 => {
            let deaf = cluster.exchange.below(2) == 0;
            for other in others {
                let (from, to) = if deaf {
                    (other, victim)
                } else {
                    (victim, other)
                };
                cluster.exchange.cut_way(from, to);
            }
        }
        // A bridge: two that hear everybody but each other.
        4 => cluster.exchange.split(&[victim], &others[..1]),
        // A minority on its own.
        _ => {
            let few = usize::try_from(voters / 2).unwrap();
            let (minority, majority) = all.split_at(few);
            cluster.exchange.split(minority, majority);
        }
    }
    pause(200 + cluster.exchange.below(2_500)).await;
    cluster.exchange.mend();
    pause(cluster.exchange.below(800)).await;
}

fn scenario(seed: u64, voters: u64, misfortunes: u64) {
    run(async {
        let mut cluster = Cluster::new(seed);
        cluster.found(voters).await;
        let (history, running) = (History::default(), Running::default());
        sync(&running, &cluster);
        let stop = Arc::new(Mutex::new(false));
        let clients: Vec<_> = (1..=4)
            .map(|id| tokio::spawn(client(running.clone(), history.clone(), id, stop.clone())))
            .collect();
        cluster.exchange.weather(Weather {
            lost: 10,
            repeated: 20,
            delay: Duration::from_millis(4),
        });
        for round in 0..misfortunes {
            misfortune(&mut cluster, &running, voters).await;
            if round % 3 == 1 {
                for host in cluster.hosts.values() {
                    let _ = host.snapshot().await;
                }
            }
        }
        cluster.exchange.weather(Weather::default());
        *stop.lock().unwrap() = true;
        for client in clients {
            client.await.unwrap();
        }
        history.judge(seed);
        let acknowledged = history.acknowledged();
        cluster.settle(&acknowledged, &format!("seed {seed}")).await;
        let places = acknowledged.iter().map(|(_, place)| *place).max().unwrap();
        let unknown = history.unknown.lock().unwrap().len() as u64;
        assert!(places <= acknowledged.len() as u64 + unknown, "seed {seed}");
        assert!(acknowledged.len() > 100, "{}", acknowledged.len());
        assert!(history.reads() > 20, "{}", history.reads());
    });
}

fn long_run() -> bool {
    std::env::var_os("CAIRN_LONG").is_some()
}

#[test]
fn three_voters_keep_their_word() {
    let seeds = if long_run() { 100 } else { 3 };
    for seed in 0..seeds {
        scenario(1_000 + seed, 3, 6);
    }
}

#[test]
fn five_voters_keep_their_word() {
    let seeds = if long_run() { 100 } else { 2 };
    for seed in 0..seeds {
        scenario(2_000 + seed, 5, 6);
    }
}
