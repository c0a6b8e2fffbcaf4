use super::*;

/// Jugs of 3 and 5 litres: fill, empty, pour over.
struct Jugs {
    forbidden: Option<u8>,
    /// Whether the two places of a pair are told apart.
    folded: bool,
}

impl Model for Jugs {
    type State = (u8, u8);
    type Step = String;

    fn initial(&mut self) -> (u8, u8) {
        (0, 0)
    }

    fn successors(&mut self, state: &(u8, u8), out: &mut Vec<(String, (u8, u8))>) {
        let (small, large) = *state;
        let (over, back) = (small.min(5 - large), large.min(3 - small));
        let steps = [
            ("fill 3", (3, large)),
            ("fill 5", (small, 5)),
            ("empty 3", (0, large)),
            ("empty 5", (small, 0)),
            ("3 into 5", (small - over, large + over)),
            ("5 into 3", (small + back, large - back)),
        ];
        out.extend(steps.map(|(step, state)| (step.to_owned(), state)));
        if self.folded {
            for (_, state) in out {
                *state = (state.0.min(state.1), state.0.max(state.1));
            }
        }
    }

    fn check(&mut self, state: &(u8, u8)) -> Result<(), String> {
        match self.forbidden {
            Some(litres) if state.1 == litres => Err(format!("{litres} litres")),
            _ => Ok(()),
        }
    }

    fn landmarks(&mut self, state: &(u8, u8), seen: &mut BTreeSet<&'static str>) {
        if *state == (3, 5) {
            seen.insert("both full");
        }
        if *state == (1, 1) {
            seen.insert("one each");
        }
    }

    fn show(&mut self, state: &(u8, u8)) -> String {
        format!("{state:?}")
    }
}

fn jugs(forbidden: Option<u8>) -> Jugs {
    Jugs {
        forbidden,
        folded: false,
    }
}

#[test]
fn every_state_is_found_once() {
    let explored = explore(&mut jugs(None), 1_000);
    // One of the jugs is full or empty in every state that can be reached: 2 * (4 + 6) - 4 of 24.
    assert_eq!((explored.states, explored.steps), (16, 96));
    assert!(explored.complete);
    assert_eq!(explored.counterexample, None);
    assert_eq!(explored.landmarks, BTreeSet::from(["both full"]));
}

#[test]
fn a_counterexample_is_the_shortest() {
    let explored = explore(&mut jugs(Some(4)), 1_000);
    let found = explored.counterexample.unwrap();
    assert_eq!(found.broken, "4 litres");
    let steps: Vec<&str> = found.trace.iter().map(|(step, _)| step.as_str()).collect();
    let known = [
        "fill 5", "5 into 3", "empty 3", "5 into 3", "fill 5", "5 into 3",
    ];
    assert_eq!(steps, known);
    assert_eq!(found.trace.last().unwrap().1, "(3, 4)");
    assert!(!explored.complete);
    let told = found.to_string();
    assert!(told.starts_with("4 litres, after 6 steps:"), "{told}");
    assert!(told.contains("  6. 5 into 3\n       (3, 4)"), "{told}");
}

#[test]
fn an_initial_state_may_break_a_rule() {
    let found = explore(&mut jugs(Some(0)), 1_000).counterexample.unwrap();
    assert_eq!((found.broken.as_str(), found.trace.len()), ("0 litres", 0));
}

#[test]
fn a_search_that_meets_its_bound_is_not_complete() {
    let explored = explore(&mut jugs(None), 10);
    assert!((10..16).contains(&explored.states), "{}", explored.states);
    assert!(!explored.complete);
}

#[test]
fn folded_states_are_one() {
    let mut model = Jugs {
        forbidden: None,
        folded: true,
    };
    let explored = explore(&mut model, 1_000);
    assert!(explored.complete);
    assert!(explored.states < 16, "{}", explored.states);
}

/// Counts to 200,000: the table grows, and the far end is found.
struct Line;

impl Model for Line {
    type State = u32;
    type Step = u32;

    fn initial(&mut self) -> u32 {
        0
    }

    fn successors(&mut self, state: &u32, out: &mut Vec<(u32, u32)>) {
        for step in [1, 2, 1_000] {
            out.push((step, (state + step).min(200_000)));
        }
    }

    fn check(&mut self, state: &u32) -> Result<(), String> {
        match *state {
            200_000 => Err("the end".to_owned()),
            _ => Ok(()),
        }
    }

    fn landmarks(&mut self, _state: &u32, _seen: &mut BTreeSet<&'static str>) {}

    fn show(&mut self, state: &u32) -> String {
        state.to_string()
    }
}

#[test]
fn many_states_are_told_apart() {
    let found = explore(&mut Line, 1_000_000).counterexample.unwrap();
    assert_eq!(found.trace.len(), 200);
}
