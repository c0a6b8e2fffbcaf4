use proptest::prelude::*;

use super::*;

const HTTP: &str = "#name\tarea\tscope\toutcome\tseconds\n\
    a::one\tlist\topen\tpass\t0.1\tm\t\t\n\
    a::two\tlist\topen\tfail\t0.1\tm\twhy\t\n\
    a::acl\tacl\topen\terror\t0.1\tm\twhy\t\n\
    # passed 1 of 3 (in-scope), failed 2\n";

const REASONS: &str = "[[reason]]\nwhy = \"ACLs are not built.\"\nareas = [\"acl\"]\n\
    [[reason]]\nwhy = \"AWS says otherwise.\"\nnames = [\"a::two\"]\n";

fn report(runs: &[(&str, &str)], reasons: &str) -> Report {
    let read = |(label, text): &(&str, &str)| Run::parse(label, text).unwrap();
    Report {
        revision: "abc".into(),
        date: "2026-11-20".into(),
        runs: runs.iter().map(read).collect(),
        lists: vec![List::parse("core", "a::one # first\n\n# a::none\n")],
        reasons: Reasons::parse(reasons).unwrap(),
    }
}

fn wrong(runs: &[(&str, &str)], reasons: &str) -> Vec<String> {
    report(runs, reasons).page().unwrap_err()
}

#[test]
fn a_page_counts_by_area_and_explains_every_failure() {
    let page = report(&[("http", HTTP)], REASONS).page().unwrap();
    for part in [
        "revision `abc`, run on 2026-11-20",
        "| area | http |\n|---|---|\n| acl | 0 of 1 |\n| list | 1 of 2 |\n\
         | **list core** | 1 of 1 |\n| **all** | 1 of 3 |\n",
        "### ACLs are not built.\n\n- `a::acl`\n",
        "### AWS says otherwise.\n\n- `a::two`\n",
    ] {
        assert!(page.contains(part), "{part}\n--\n{page}");
    }
    assert!(!page.contains("- `a::one`"));
}

#[test]
fn two_runs_stand_side_by_side() {
    let tls = HTTP.replace("two\tlist\topen\tfail", "two\tlist\topen\tpass");
    let page = report(&[("http", HTTP), ("tls", &tls)], REASONS)
        .page()
        .unwrap();
    assert!(page.contains("| list | 1 of 2 | 2 of 2 |"), "{page}");
    assert!(page.contains("- `a::two` (over http)\n"), "{page}");
    assert!(page.contains("- `a::acl`\n"), "{page}");
}

#[test]
fn a_failure_without_a_reason_is_an_error() {
    let only_acl = "[[reason]]\nwhy = \"x\"\nareas = [\"acl\"]\n";
    assert_eq!(
        wrong(&[("http", HTTP)], only_acl),
        ["a::two fails over http without a reason"]
    );
}

#[test]
fn a_reason_for_what_passes_is_an_error() {
    let stale = REASONS.replace("\"a::two\"", "\"a::two\", \"a::one\"");
    assert_eq!(
        wrong(&[("http", HTTP)], &stale),
        ["a::one has a reason and does not fail"]
    );
    let unknown = REASONS.replace("\"a::two\"", "\"a::two\", \"a::gone\"");
    assert_eq!(
        wrong(&[("http", HTTP)], &unknown),
        ["a::gone has a reason and does not fail"]
    );
    let area = REASONS.replace("\"acl\"", "\"acl\", \"cors\"");
    assert_eq!(
        wrong(&[("http", HTTP)], &area),
        ["area cors has a reason and nothing in it fails"]
    );
}

#[test]
fn a_reason_of_a_name_goes_before_that_of_its_area() {
    let both = format!("{REASONS}[[reason]]\nwhy = \"y\"\nnames = [\"a::acl\"]\n");
    let found = wrong(&[("http", HTTP)], &both);
    assert_eq!(found, ["area acl has a reason and nothing in it fails"]);
    let twice = format!("{REASONS}[[reason]]\nwhy = \"y\"\nnames = [\"a::two\"]\n");
    let found = wrong(&[("http", HTTP)], &twice);
    assert!(
        found.contains(&"a::two has two reasons".to_owned()),
        "{found:?}"
    );
}

#[test]
fn a_list_names_only_tests_that_ran() {
    let mut report = report(&[("http", HTTP)], REASONS);
    report.lists = vec![List::parse("core", "a::nowhere")];
    let found = report.page().unwrap_err();
    assert_eq!(found, ["list core: no run http of a::nowhere"]);
}

#[test]
fn results_that_are_none_are_refused() {
    for text in [
        "",
        "# only comments\n",
        "a::one\tlist\n",
        "a\tb\tc\tpass\na\tb\tc\tpass\n",
    ] {
        assert!(Run::parse("http", text).is_err(), "{text:?}");
    }
    for text in [
        "[[reason]]\nwhat = \"x\"\n",
        "[[reason]]\nareas = []\n",
        "reason = 1",
    ] {
        assert!(Reasons::parse(text).is_err(), "{text:?}");
    }
}

proptest! {
    #[test]
    fn any_text_is_read_or_refused(text in "([a-z:]{1,5}|\t|\n|pass|#){0,40}") {
        if let Ok(run) = Run::parse("http", &text) {
            let all = run.score(|_, _| true);
            prop_assert_eq!(all.1, run.tests.len());
            prop_assert!(all.0 <= all.1);
        }
        let _ = Reasons::parse(&text);
    }
}
