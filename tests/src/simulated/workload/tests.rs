use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use cairn_compat_suite::Call;

use super::*;
use crate::simulated::door::Heard;

#[test]
fn a_seed_draws_the_same_workload_and_seeds_draw_others() {
    let draw = |seed| {
        let mut rng = SeededRng::new(seed);
        Workload::draw(&mut rng, &Options::default()).to_string()
    };
    assert_eq!(draw(1), draw(1));
    let drawn: BTreeSet<String> = (0..20).map(draw).collect();
    assert_eq!(drawn.len(), 20);
}

#[test]
fn every_workload_has_clients_names_and_calls_within_its_options() {
    for seed in 0..200 {
        let mut rng = SeededRng::new(seed);
        let workload = Workload::draw(&mut rng, &Options::default());
        assert!((6..=12).contains(&workload.clients));
        assert!((2..=4).contains(&workload.names.len()));
        let names: BTreeSet<_> = workload.names.iter().collect();
        assert_eq!(names.len(), workload.names.len());
        assert!(workload.weights[&Kind::Put] > 0 && workload.weights[&Kind::Get] > 0);
        assert_eq!(workload.large, 0);
    }
}

/// A door behind which everything ends the same way, or never.
struct Dead(Option<Heard>);

#[async_trait]
impl Door for Dead {
    fn gateways(&self) -> usize {
        2
    }

    fn now_secs(&self) -> u64 {
        1_767_225_600
    }

    async fn send(&self, _: usize, _: Call) -> Heard {
        match &self.0 {
            Some(heard) => heard.clone(),
            None => std::future::pending().await,
        }
    }

    async fn send_slowly(&self, gateway: usize, call: Call, _: usize, _: Duration) -> Heard {
        self.send(gateway, call).await
    }
}

/// So many steps of all clients before that door.
async fn knock(heard: Option<Heard>, steps: u64, brisk: u64) -> Arc<History> {
    let mut rng = SeededRng::new(1);
    let options = Options {
        everything: true,
        brisk,
        ..Options::default()
    };
    let workload = Workload::draw(&mut rng, &options);
    let history = Arc::new(History::new());
    let run = Run::new(workload, Arc::new(Dead(heard)), Arc::clone(&history));
    let asked = Arc::new(AtomicU64::new(0));
    let until = move || asked.fetch_add(1, Ordering::SeqCst) >= steps;
    run.clients(&mut rng, until).await;
    history
}

fn sums(history: &History) -> (u64, u64, u64) {
    let counts = history.counts().into_values();
    counts.fold((0, 0, 0), |sums, count| {
        let (acknowledged, refused) = (sums.0 + count.acknowledged, sums.1 + count.refused);
        (acknowledged, refused, sums.2 + count.unknown)
    })
}

#[tokio::test(start_paused = true)]
async fn gateways_that_are_down_leave_nothing_behind() {
    let history = knock(Some(Heard::Refused), 400, 1_000).await;
    assert_eq!(history.registers(), []);
    assert_eq!(history.violations(), Vec::<String>::new());
    let (acknowledged, refused, unknown) = sums(&history);
    assert!(refused >= 300, "{refused}");
    assert_eq!((acknowledged, unknown), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn calls_without_an_answer_may_have_happened() {
    for heard in [Some(Heard::Lost), None] {
        let history = knock(heard, 400, 1_000).await;
        assert_eq!(history.violations(), Vec::<String>::new());
        assert!(!history.registers().is_empty());
        let (acknowledged, refused, unknown) = sums(&history);
        assert!(unknown >= 300, "{unknown}");
        assert_eq!((acknowledged, refused), (0, 0));
    }
}
