use std::collections::BTreeMap;

use cairn_model::NodeId;
use proptest::prelude::*;

use super::*;

fn disk(number: u64) -> DiskId {
    DiskId((u128::from(number) * 0x0123_4567_89ab_cdef_1357).to_be_bytes())
}

/// Disk `number` in node `node` of zone `zone`.
fn candidate(number: u64, node: u64, zone: u64, weight: u32) -> Candidate {
    Candidate {
        disk: disk(number),
        node: NodeId(node),
        zone: format!("z{zone}"),
        weight,
    }
}

/// `nodes` nodes of `per_node` disks each, over three zones.
fn even(nodes: u64, per_node: u64) -> Vec<Candidate> {
    (0..nodes * per_node)
        .map(|number| candidate(number, number / per_node, number / per_node % 3, 100))
        .collect()
}

fn domain(view: &[Candidate], level: DomainLevel, disk: DiskId) -> Option<String> {
    let found = view.iter().find(|candidate| candidate.disk == disk)?;
    Some(match level {
        DomainLevel::Disk => disk.to_string(),
        DomainLevel::Node => found.node.0.to_string(),
        DomainLevel::Zone => found.zone.clone(),
    })
}

fn held(table: &PartitionTable) -> BTreeMap<DiskId, u64> {
    let mut held = BTreeMap::new();
    for slot in table.rows().iter().flat_map(|row| &row.slots) {
        *held.entry(slot.write_disk()).or_insert(0) += 1;
    }
    held
}

/// The write disks of every row are in distinct domains (disks not in the view count for nothing).
fn check_apart(view: &[Candidate], level: DomainLevel, row: &PartitionRow) {
    let domains: Vec<String> = (row.slots.iter())
        .filter_map(|slot| domain(view, level, slot.write_disk()))
        .collect();
    let distinct: BTreeSet<&String> = domains.iter().collect();
    assert_eq!(distinct.len(), domains.len(), "{row:?}");
}

fn check_all_apart(view: &[Candidate], level: DomainLevel, table: &PartitionTable) {
    for row in table.rows() {
        check_apart(view, level, row);
        for slot in &row.slots {
            assert!(
                view.iter()
                    .any(|c| c.disk == slot.write_disk() && c.weight > 0)
            );
        }
    }
}

/// Begins every move, in an order of the caller's, checking the row after each; then cuts over.
fn carry_out(
    view: &[Candidate],
    level: DomainLevel,
    table: &PartitionTable,
    moves: &[Move],
) -> PartitionTable {
    let mut table = table.clone();
    for step in moves {
        let apart = |table: &PartitionTable| {
            let row = table.row(step.partition).unwrap();
            let domains: Vec<_> = row
                .slots
                .iter()
                .filter_map(|slot| domain(view, level, slot.write_disk()))
                .collect();
            domains.iter().collect::<BTreeSet<_>>().len() == domains.len()
        };
        let was_apart = apart(&table);
        table.begin(step).unwrap();
        assert!(
            !was_apart || apart(&table),
            "{step:?} brings two shards into one domain"
        );
    }
    for step in moves {
        table.cut_over(step.partition, step.slot).unwrap();
    }
    table
}

/// Shares by weight where no domain is capped.
fn fair(view: &[Candidate], table: &PartitionTable, of: DiskId) -> f64 {
    let total: u64 = view.iter().map(|c| u64::from(c.weight)).sum();
    let own = view.iter().find(|c| c.disk == of).map_or(0, |c| c.weight);
    (table.rows().len() * table.slots()) as f64 * f64::from(own) / total as f64
}

fn check_fair(view: &[Candidate], table: &PartitionTable, percent: f64) {
    let held = held(table);
    for candidate in view {
        let fair = fair(view, table, candidate.disk);
        let found = held.get(&candidate.disk).copied().unwrap_or(0) as f64;
        assert!(
            (found - fair).abs() <= fair * percent / 100.0 + 1.0,
            "{found} of {fair}"
        );
    }
}

const LEVELS: [DomainLevel; 3] = [DomainLevel::Disk, DomainLevel::Node, DomainLevel::Zone];

#[test]
fn a_first_table_is_exactly_even() {
    for (nodes, per_node, slots) in [
        (1, 1, 1),
        (6, 1, 6),
        (7, 1, 6),
        (6, 2, 6),
        (10, 3, 6),
        (12, 4, 12),
        (9, 1, 3),
    ] {
        for level in [DomainLevel::Disk, DomainLevel::Node] {
            let view = even(nodes, per_node);
            let table = first_table(&view, level, 10, slots, 1).unwrap();
            check_all_apart(&view, level, &table);
            check_fair(&view, &table, 0.0);
        }
    }
}

#[test]
fn weights_decide_the_shares() {
    let mut view = even(12, 1);
    for (number, candidate) in (0_u32..).zip(&mut view) {
        candidate.weight = 1000 + 300 * number;
    }
    let table = first_table(&view, DomainLevel::Node, 10, 4, 7).unwrap();
    check_all_apart(&view, DomainLevel::Node, &table);
    check_fair(&view, &table, 0.0);
}

#[test]
fn zones_of_unequal_size_fill_up_to_one_slot_a_row() {
    let mut view = even(6, 2);
    view.push(candidate(90, 90, 2, 100_000));
    let table = first_table(&view, DomainLevel::Zone, 8, 3, 1).unwrap();
    check_all_apart(&view, DomainLevel::Zone, &table);
    let zone = |zone: &str| -> u64 {
        let held = held(&table);
        (view.iter().filter(|c| c.zone == zone))
            .map(|c| held.get(&c.disk).copied().unwrap_or(0))
            .sum()
    };
    assert_eq!([zone("z0"), zone("z1"), zone("z2")], [256; 3]);
}

#[test]
fn shards_of_a_disk_are_spread_over_many_partners() {
    // Repair of one disk reads from, and writes to, all the others.
    let view = even(12, 1);
    let table = first_table(&view, DomainLevel::Disk, 10, 6, 3).unwrap();
    let first = view[0].disk;
    let mut partners = BTreeMap::new();
    for row in table
        .rows()
        .iter()
        .filter(|row| row.disks().any(|d| d == first))
    {
        for partner in row.disks().filter(|d| *d != first) {
            *partners.entry(partner).or_insert(0_u32) += 1;
        }
    }
    assert_eq!(partners.len(), 11);
    let (least, most) = (
        partners.values().min().unwrap(),
        partners.values().max().unwrap(),
    );
    assert!(*most < least * 2, "{partners:?}");
}

#[test]
fn one_more_disk_takes_its_share_and_nothing_else_moves() {
    for level in [DomainLevel::Disk, DomainLevel::Node] {
        for (nodes, slots) in [(6, 6), (7, 6), (12, 6), (5, 3), (30, 12)] {
            let mut view = even(nodes, 1);
            let table = first_table(&view, level, 10, slots, 1).unwrap();
            view.push(candidate(500, 500, 0, 100));
            let moves = plan_moves(&view, level, &table, 2).unwrap();
            assert!(
                moves.iter().all(|step| step.to == disk(500)),
                "{nodes} {slots}"
            );
            assert!(moves.iter().all(|step| step.reason == MoveReason::Balance));
            let table = carry_out(&view, level, &table, &moves);
            let fair = fair(&view, &table, disk(500));
            let count = moves.len() as f64;
            assert!(
                count <= fair + 1.0 && count >= fair * 0.97 - 1.0,
                "{count} of {fair}"
            );
            check_all_apart(&view, level, &table);
            check_fair(&view, &table, 3.2);
            assert_eq!(plan_moves(&view, level, &table, 3).unwrap(), []);
        }
    }
}

#[test]
fn a_disk_added_to_a_node_takes_from_the_nodes_own_and_from_others() {
    let mut view = even(12, 2);
    let table = first_table(&view, DomainLevel::Node, 10, 6, 1).unwrap();
    view.push(candidate(500, 3, 0, 100));
    let moves = plan_moves(&view, DomainLevel::Node, &table, 2).unwrap();
    let table = carry_out(&view, DomainLevel::Node, &table, &moves);
    check_all_apart(&view, DomainLevel::Node, &table);
    check_fair(&view, &table, 3.5);
    let least = fair(&view, &table, disk(500)) * 1.05;
    assert!((moves.len() as f64) < least, "{} of {least}", moves.len());
}

#[test]
fn a_disk_that_leaves_moves_what_it_held_and_nothing_else() {
    for gone in [true, false] {
        for (nodes, slots) in [(7, 6), (8, 6), (12, 6), (5, 3), (30, 12)] {
            let mut view = even(nodes, 1);
            let table = first_table(&view, DomainLevel::Node, 10, slots, 5).unwrap();
            let lost = view[2].disk;
            if gone {
                view.remove(2);
            } else {
                view[2].weight = 0;
            }
            let moves = plan_moves(&view, DomainLevel::Node, &table, 6).unwrap();
            assert!(
                moves.iter().all(|step| step.reason == MoveReason::Leaving),
                "{nodes} {slots}"
            );
            assert_eq!(moves.len() as u64, held(&table)[&lost]);
            assert!(moves.iter().all(|step| step.from == lost));
            let table = carry_out(&view, DomainLevel::Node, &table, &moves);
            assert_eq!(table.partitions_of(lost).count(), 0);
            check_all_apart(&view, DomainLevel::Node, &table);
            check_fair(&view, &table, 3.2);
        }
    }
}

#[test]
fn a_node_that_leaves_moves_what_its_disks_held() {
    let mut view = even(8, 3);
    let table = first_table(&view, DomainLevel::Node, 10, 6, 5).unwrap();
    let lost: Vec<DiskId> = view.drain(..3).map(|candidate| candidate.disk).collect();
    let moves = plan_moves(&view, DomainLevel::Node, &table, 6).unwrap();
    let expected: u64 = lost.iter().map(|disk| held(&table)[disk]).sum();
    assert_eq!(moves.len() as u64, expected);
    assert!(moves.iter().all(|step| lost.contains(&step.from)));
}

#[test]
fn doubling_and_planning_again_moves_nothing() {
    let view = even(10, 2);
    let table = first_table(&view, DomainLevel::Node, 10, 6, 1).unwrap();
    assert_eq!(plan_moves(&view, DomainLevel::Node, &table, 2).unwrap(), []);
    let doubled = table.doubled().unwrap().doubled().unwrap();
    assert_eq!(
        plan_moves(&view, DomainLevel::Node, &doubled, 3).unwrap(),
        []
    );
}

#[test]
fn a_plan_that_shifts_a_domain_within_its_band_is_settled_in_the_same_plan() {
    // (node, zone, weight, disks): found by `any_change_keeps_shards_apart_and_settles`.
    let nodes: [(u64, u64, u32, u64); 11] = [
        (0, 2, 93, 2),
        (1, 4, 174, 2),
        (2, 0, 125, 1),
        (3, 3, 193, 2),
        (4, 1, 160, 2),
        (5, 2, 95, 2),
        (6, 4, 175, 1),
        (7, 2, 77, 1),
        (8, 0, 163, 2),
        (9, 1, 139, 1),
        (10, 3, 148, 3),
    ];
    let view: Vec<Candidate> = nodes
        .iter()
        .flat_map(|&(node, zone, weight, disks)| {
            (0..disks).map(move |disk| candidate(node * 10 + disk, node, zone, weight))
        })
        .collect();
    let mut changed = view.clone();
    for (number, weight) in [(31, 35), (50, 199)] {
        let found = changed.iter_mut().find(|c| c.disk == disk(number)).unwrap();
        found.weight = weight;
    }
    changed.push(candidate(202, 202, 4, 75));
    let table = first_table(&view, DomainLevel::Zone, 6, 4, 9).unwrap();
    let moves = plan_moves(&changed, DomainLevel::Zone, &table, 10).unwrap();
    let after = carry_out(&changed, DomainLevel::Zone, &table, &moves);
    assert_eq!(
        plan_moves(&changed, DomainLevel::Zone, &after, 11).unwrap(),
        []
    );
}

#[test]
fn a_row_with_two_shards_in_a_domain_is_put_apart() {
    let mut view = even(8, 1);
    let table = first_table(&view, DomainLevel::Node, 8, 4, 1).unwrap();
    view[1].node = view[0].node;
    let moves = plan_moves(&view, DomainLevel::Node, &table, 2).unwrap();
    let both = |row: &&PartitionRow| {
        [0, 1]
            .iter()
            .all(|at: &usize| row.disks().any(|disk| disk == view[*at].disk))
    };
    let together = table.rows().iter().filter(both).count();
    let apart = moves
        .iter()
        .filter(|step| step.reason == MoveReason::Separation)
        .count();
    assert!(together > 0 && apart >= together);
    let table = carry_out(&view, DomainLevel::Node, &table, &moves);
    check_all_apart(&view, DomainLevel::Node, &table);
}

#[test]
fn the_order_of_the_view_does_not_matter_and_the_seed_does() {
    let view = even(9, 2);
    let mut shuffled = view.clone();
    shuffled.reverse();
    shuffled.swap(3, 11);
    let table =
        |view: &[Candidate], seed| first_table(view, DomainLevel::Node, 8, 5, seed).unwrap();
    assert_eq!(table(&view, 4), table(&shuffled, 4));
    assert_ne!(table(&view, 4), table(&view, 5));
    shuffled.push(candidate(77, 77, 1, 250));
    let mut grown = view.clone();
    grown.insert(0, candidate(77, 77, 1, 250));
    let moves = |view: &[Candidate]| plan_moves(view, DomainLevel::Node, &table(&even(9, 2), 4), 1);
    assert_eq!(moves(&grown), moves(&shuffled));
}

#[test]
fn the_first_table_of_a_seed_stays_what_it_is() {
    // Every version of a leader must plan alike.
    let table = first_table(&even(4, 1), DomainLevel::Disk, 2, 3, 42).unwrap();
    let view = even(4, 1);
    let number = |disk: DiskId| view.iter().position(|c| c.disk == disk).unwrap();
    let rows: Vec<Vec<usize>> = table
        .rows()
        .iter()
        .map(|row| row.disks().map(number).collect())
        .collect();
    assert_eq!(rows, [[2, 0, 1], [1, 0, 3], [1, 3, 2], [2, 0, 3]]);
}

#[test]
fn a_row_with_a_move_under_way_is_left_alone() {
    let mut view = even(7, 1);
    let level = DomainLevel::Node;
    let mut table = first_table(&view, level, 6, 4, 1).unwrap();
    view.push(candidate(500, 500, 0, 100));
    let moves = plan_moves(&view, level, &table, 2).unwrap();
    let begun = moves[0];
    table.begin(&begun).unwrap();
    // A bigger disk comes while the first move is under way.
    view.push(candidate(501, 501, 0, 400));
    let next = plan_moves(&view, level, &table, 3).unwrap();
    assert!(next.iter().all(|step| step.partition != begun.partition));
    assert!(!next.is_empty());
}

#[test]
fn a_leaving_disk_beside_a_move_under_way_goes_elsewhere_than_either_end() {
    let mut view = even(8, 1);
    let level = DomainLevel::Node;
    let mut table = first_table(&view, level, 6, 4, 1).unwrap();
    view.push(candidate(500, 500, 0, 100));
    let begun = plan_moves(&view, level, &table, 2).unwrap()[0];
    table.begin(&begun).unwrap();
    let row = table.row(begun.partition).unwrap().clone();
    let (slot, other) = (0_u8..)
        .zip(&row.slots)
        .find(|(_, slot)| slot.next.is_none())
        .unwrap();
    view.retain(|candidate| candidate.disk != other.current);
    let moves = plan_moves(&view, level, &table, 3).unwrap();
    let in_row: Vec<&Move> = moves
        .iter()
        .filter(|step| step.partition == begun.partition)
        .collect();
    assert_eq!(in_row.len(), 1);
    assert_eq!(
        (in_row[0].slot, in_row[0].reason),
        (slot, MoveReason::Leaving)
    );
    assert!(!row.disks().any(|disk| disk == in_row[0].to));
    carry_out(&view, level, &table, &moves);
}

#[test]
fn a_hole_that_only_a_moving_disk_could_fill_waits() {
    // Row: 0 -> 3, 1, 2. Disk 1 leaves; only 0 is left, and its shard is still read there.
    let view = even(4, 1);
    let level = DomainLevel::Disk;
    let slot = |at: usize| Slot::at(view[at].disk);
    let mut moving = slot(0);
    moving.next = Some(view[3].disk);
    let row = PartitionRow {
        epoch: 1,
        slots: vec![moving, slot(1), slot(2)],
    };
    let still = PartitionRow {
        epoch: 1,
        slots: vec![slot(0), slot(2), slot(3)],
    };
    let mut table = PartitionTable::new(1, 1, vec![row, still]).unwrap();
    let mut without = view.clone();
    without.remove(1);
    assert_eq!(plan_moves(&without, level, &table, 1).unwrap(), []);
    table.cut_over(0, 0).unwrap();
    let moves = plan_moves(&without, level, &table, 1).unwrap();
    assert_eq!(moves.len(), 1);
    assert_eq!((moves[0].from, moves[0].to), (view[1].disk, view[0].disk));
}

#[test]
fn views_without_enough_domains_are_refused_and_the_lack_is_named() {
    let view = even(5, 2);
    let (need, have, leaving) = (6, 5, 0);
    let level = DomainLevel::Node;
    let error = first_table(&view, level, 8, 6, 1).unwrap_err();
    assert_eq!(
        error,
        PlacementError::TooFewDomains {
            level,
            need,
            have,
            leaving
        }
    );
    assert_eq!(
        error.to_string(),
        "rows of 6 shards need 6 nodes that take data, the view has 5 (0 more are leaving): 1 missing"
    );
    assert!(first_table(&view, DomainLevel::Disk, 8, 6, 1).is_ok());
    let level = DomainLevel::Zone;
    let (need, have) = (4, 3);
    let error = first_table(&view, level, 8, 4, 1).unwrap_err();
    assert_eq!(
        error,
        PlacementError::TooFewDomains {
            level,
            need,
            have,
            leaving
        }
    );
    let mut draining = even(6, 1);
    let table = first_table(&draining, DomainLevel::Node, 4, 6, 1).unwrap();
    draining[0].weight = 0;
    let error = plan_moves(&draining, DomainLevel::Node, &table, 1).unwrap_err();
    let (level, need, have, leaving) = (DomainLevel::Node, 6, 5, 1);
    assert_eq!(
        error,
        PlacementError::TooFewDomains {
            level,
            need,
            have,
            leaving
        }
    );
}

#[test]
fn a_disk_named_twice_and_shapes_out_of_bounds_are_refused() {
    let mut view = even(3, 1);
    for (bits, slots) in [(0, 1), (17, 1), (4, 0), (4, 33)] {
        let error = first_table(&view, DomainLevel::Disk, bits, slots, 1).unwrap_err();
        assert_eq!(error, PlacementError::Shape { bits, slots });
    }
    view.push(view[1].clone());
    let error = first_table(&view, DomainLevel::Disk, 4, 2, 1).unwrap_err();
    assert_eq!(error, PlacementError::Repeated(view[1].disk));
}

#[test]
fn levels_have_names() {
    for level in LEVELS {
        assert_eq!(DomainLevel::from_name(level.name()), Some(level));
    }
    assert_eq!(DomainLevel::from_name("rack"), None);
}

/// Nodes of one to three disks and uneven weights, in up to six zones.
fn any_view() -> impl Strategy<Value = Vec<Candidate>> {
    let node = (1_u64..=3, 0_u64..6, 50_u32..200);
    proptest::collection::vec(node, 6..14).prop_map(|nodes| {
        let mut view = Vec::new();
        for (node, (disks, zone, weight)) in (0_u64..).zip(nodes) {
            view.extend((0..disks).map(|disk| candidate(node * 10 + disk, node, zone, weight)));
        }
        view
    })
}

/// A view, and the same after some disks were lost, drained, grown or added.
fn any_change() -> impl Strategy<Value = (Vec<Candidate>, Vec<Candidate>)> {
    let change = (any::<prop::sample::Index>(), 0_u8..4, 1_u32..300);
    (any_view(), proptest::collection::vec(change, 1..4)).prop_map(|(view, changes)| {
        let mut changed = view.clone();
        for (number, (at, kind, weight)) in (200_u64..).zip(changes) {
            let at = at.index(changed.len());
            match kind {
                0 => drop(changed.remove(at)),
                1 => changed[at].weight = 0,
                2 => changed[at].weight = weight,
                _ => changed.push(candidate(number, number, number % 6, weight)),
            }
        }
        (view, changed)
    })
}

/// The least that any plan could move: what sits on disks that leave.
fn forced(view: &[Candidate], table: &PartitionTable) -> usize {
    let stays = |disk: DiskId| view.iter().any(|c| c.disk == disk && c.weight > 0);
    let slots = table.rows().iter().flat_map(|row| &row.slots);
    slots.filter(|slot| !stays(slot.current)).count()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_change_keeps_shards_apart_and_settles(
        (view, changed) in any_change(),
        level in prop::sample::select(LEVELS.to_vec()),
        slots in 1_usize..=5,
        shuffle in any::<u64>(),
    ) {
        let Ok(table) = first_table(&view, level, 6, slots, 9) else {
            return Ok(());
        };
        check_all_apart(&view, level, &table);
        let Ok(mut moves) = plan_moves(&changed, level, &table, 10) else {
            return Ok(());
        };
        prop_assert_eq!(&moves, &plan_moves(&changed, level, &table, 10).unwrap());
        let leaving = moves.iter().filter(|step| step.reason == MoveReason::Leaving).count();
        prop_assert_eq!(leaving, forced(&changed, &table));
        if !moves.is_empty() {
            let len = moves.len() as u64;
            moves.rotate_left(usize::try_from(shuffle % len).unwrap());
        }
        let after = carry_out(&changed, level, &table, &moves);
        check_all_apart(&changed, level, &after);
        prop_assert_eq!(plan_moves(&changed, level, &after, 11).unwrap(), vec![]);
    }

    #[test]
    fn a_node_more_moves_its_share_at_most(view in any_view(), weight in 50_u32..200) {
        let table = first_table(&view, DomainLevel::Node, 7, 3, 9).unwrap();
        let mut grown = view.clone();
        grown.push(candidate(500, 500, 0, weight));
        let moves = plan_moves(&grown, DomainLevel::Node, &table, 10).unwrap();
        let to_new = moves.iter().filter(|step| step.to == disk(500)).count();
        prop_assert!(to_new <= table.rows().len());
        if is_roomy(&view, 3) && is_roomy(&grown, 3) {
            let share = fair(&grown, &table, disk(500));
            prop_assert!(to_new as f64 <= share * 1.02 + 1.0, "{to_new} of {share}");
            let beside = moves.len() - to_new;
            prop_assert!(beside <= grown.len(), "{beside} beside {to_new}");
        }
    }

    #[test]
    fn a_node_less_moves_what_it_held(view in any_view(), at in any::<prop::sample::Index>()) {
        let table = first_table(&view, DomainLevel::Node, 7, 3, 9).unwrap();
        let lost = view[at.index(view.len())].node;
        let rest: Vec<Candidate> = view.iter().filter(|c| c.node != lost).cloned().collect();
        let moves = plan_moves(&rest, DomainLevel::Node, &table, 10).unwrap();
        let must = forced(&rest, &table);
        if is_roomy(&view, 3) && is_roomy(&rest, 3) {
            let beside = moves.len() - must;
            prop_assert!(beside <= rest.len(), "{beside} beside {must}");
        }
    }
}

/// Whether no node must be in almost every row: where it must, rows have hardly a choice, and others
/// have to swap to keep the weights.
fn is_roomy(view: &[Candidate], slots: u64) -> bool {
    let total: u64 = view.iter().map(|c| u64::from(c.weight)).sum();
    let of = |node: NodeId| -> u64 {
        view.iter()
            .filter(|c| c.node == node)
            .map(|c| u64::from(c.weight))
            .sum()
    };
    view.iter().all(|c| of(c.node) * slots * 4 <= total * 3)
}
