//! How many slots each disk should hold.
//!
//! A domain can hold at most one slot of each row, so heavy domains are capped at the number of
//! rows and the others share what is left by weight; inside a domain its disks share by weight.
//! A disk whose holding is within a band around its ideal keeps it: a table that is nearly even is
//! left alone.

use crate::topology::Topology;

/// A holding may differ from the ideal by one part in this many before data moves for balance.
const BAND: u128 = 64;

/// The bounds of a disk's holding and what the plan aims at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Share {
    pub(crate) low: u64,
    pub(crate) target: u64,
    pub(crate) high: u64,
}

/// An exact share: `numerator / denominator` slots.
#[derive(Clone, Copy, Debug)]
struct Ideal {
    numerator: u128,
    denominator: u128,
}

/// Shares of all disks for `rows` rows of `slots` slots, given what each holds.
pub(crate) fn shares(topology: &Topology, rows: u64, slots: u64, held: &[u64]) -> Vec<Share> {
    let weights = topology.domain_weights();
    let mut held_by_domain = vec![0; weights.len()];
    for (member, held) in topology.members().iter().zip(held) {
        if let Some(sum) = held_by_domain.get_mut(member.domain) {
            *sum += held;
        }
    }
    let by_domain = divide(&weights, &held_by_domain, rows * slots, rows);
    let mut shares = vec![Share::default(); held.len()];
    for (domain, share) in by_domain.iter().enumerate() {
        let of_domain = || {
            (topology.members().iter().zip(held).enumerate())
                .filter(move |(_, (member, _))| member.domain == domain)
        };
        let weights: Vec<u64> = of_domain()
            .map(|(_, (member, _))| member.weight.into())
            .collect();
        let held: Vec<u64> = of_domain().map(|(_, (_, held))| *held).collect();
        let divided = divide(&weights, &held, share.target, rows);
        for ((place, _), share) in of_domain().zip(divided) {
            if let Some(entry) = shares.get_mut(place) {
                *entry = share;
            }
        }
    }
    shares
}

/// Divides `total` by weight, none above `cap`. The targets add up to `total` (as far as caps and
/// weights of 0 allow).
fn divide(weights: &[u64], held: &[u64], total: u64, cap: u64) -> Vec<Share> {
    let ideals = ideals(weights, total, cap);
    let mut shares: Vec<Share> = (ideals.iter().zip(held))
        .map(|(ideal, held)| {
            let low = ideal.scaled_down(BAND - 1);
            let high = ideal.scaled_up(BAND + 1).min(cap);
            let target = (*held).clamp(low, high);
            Share { low, target, high }
        })
        .collect();
    let sum: u64 = shares.iter().map(|share| share.target).sum();
    if sum < total {
        raise(&mut shares, &ideals, total - sum);
    } else {
        lower(&mut shares, &ideals, sum - total);
    }
    shares
}

/// Water-filling: items whose part of what is left exceeds the cap get the cap, the others share
/// the rest by weight.
fn ideals(weights: &[u64], total: u64, cap: u64) -> Vec<Ideal> {
    let mut capped = vec![false; weights.len()];
    loop {
        let count = capped.iter().filter(|capped| **capped).count() as u64;
        let rest = u128::from(total.saturating_sub(count * cap));
        let free = || weights.iter().zip(&capped).filter(|(_, capped)| !**capped);
        let weight: u128 = free().map(|(weight, _)| u128::from(*weight)).sum();
        let denominator = weight.max(1);
        let over: Vec<bool> = (weights.iter().zip(&capped))
            .map(|(w, capped)| *capped || u128::from(*w) * rest > u128::from(cap) * denominator)
            .collect();
        if over == capped {
            let ideal = |(weight, capped): (&u64, &bool)| match capped {
                true => Ideal {
                    numerator: cap.into(),
                    denominator: 1,
                },
                false => Ideal {
                    numerator: u128::from(*weight) * rest,
                    denominator,
                },
            };
            return weights.iter().zip(&capped).map(ideal).collect();
        }
        capped = over;
    }
}

/// Adds `missing`: first towards the ideals, then one each in the order of what is still short.
fn raise(shares: &mut [Share], ideals: &[Ideal], mut missing: u64) {
    let gaps: Vec<u64> = (shares.iter().zip(ideals))
        .map(|(share, ideal)| ideal.scaled_down(BAND).saturating_sub(share.target))
        .collect();
    for (share, part) in shares.iter_mut().zip(parts(&gaps, missing)) {
        share.target += part;
        missing -= part;
    }
    let mut order: Vec<usize> = (0..shares.len()).collect();
    order.sort_by_key(|at| {
        let pair = shares.get(*at).zip(ideals.get(*at));
        std::cmp::Reverse(pair.map_or(i128::MIN, |(share, ideal)| ideal.short_of(share.target)))
    });
    one_each(shares, &order, missing, |share| {
        let room = share.target < share.high;
        share.target += u64::from(room);
        room
    });
}

/// Takes `surplus` away, the mirror image of [`raise`].
fn lower(shares: &mut [Share], ideals: &[Ideal], mut surplus: u64) {
    let gaps: Vec<u64> = (shares.iter().zip(ideals))
        .map(|(share, ideal)| share.target.saturating_sub(ideal.scaled_up(BAND)))
        .collect();
    for (share, part) in shares.iter_mut().zip(parts(&gaps, surplus)) {
        share.target -= part;
        surplus -= part;
    }
    let mut order: Vec<usize> = (0..shares.len()).collect();
    order.sort_by_key(|at| {
        let pair = shares.get(*at).zip(ideals.get(*at));
        pair.map_or(i128::MAX, |(share, ideal)| ideal.short_of(share.target))
    });
    one_each(shares, &order, surplus, |share| {
        let room = share.target > share.low;
        share.target -= u64::from(room);
        room
    });
}

/// Steps through `order` again and again until `steps` have been taken or none can be.
fn one_each(
    shares: &mut [Share],
    order: &[usize],
    mut steps: u64,
    step: impl Fn(&mut Share) -> bool,
) {
    while steps > 0 {
        let before = steps;
        for at in order {
            if steps > 0 && shares.get_mut(*at).is_some_and(&step) {
                steps -= 1;
            }
        }
        if steps == before {
            return;
        }
    }
}

/// At most `total`, split in proportion to the gaps and none above its gap.
fn parts(gaps: &[u64], total: u64) -> Vec<u64> {
    let sum: u128 = gaps.iter().map(|gap| u128::from(*gap)).sum();
    let part = |gap: &u64| {
        let part = u128::from(*gap) * u128::from(total) / sum.max(1);
        u64::try_from(part).unwrap_or(*gap).min(*gap)
    };
    gaps.iter().map(part).collect()
}

impl Ideal {
    /// The ideal times `parts / BAND`, rounded down.
    fn scaled_down(self, parts: u128) -> u64 {
        let value = self.numerator * parts / (self.denominator * BAND);
        u64::try_from(value).unwrap_or(u64::MAX)
    }

    /// The ideal times `parts / BAND`, rounded up.
    fn scaled_up(self, parts: u128) -> u64 {
        let value = (self.numerator * parts).div_ceil(self.denominator * BAND);
        u64::try_from(value).unwrap_or(u64::MAX)
    }

    /// Ideal less `target` in 2^-32 slots.
    fn short_of(self, target: u64) -> i128 {
        let fixed = (self.numerator << 32) / self.denominator;
        i128::try_from(fixed).unwrap_or(i128::MAX) - (i128::from(target) << 32)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn targets(weights: &[u64], held: &[u64], total: u64, cap: u64) -> Vec<u64> {
        let shares = divide(weights, held, total, cap);
        shares.iter().map(|share| share.target).collect()
    }

    #[test]
    fn an_empty_table_is_divided_by_weight() {
        assert_eq!(targets(&[1, 1, 2], &[0; 3], 400, 400), [100, 100, 200]);
        assert_eq!(targets(&[1, 1, 1], &[0; 3], 100, 100), [34, 33, 33]);
        assert_eq!(targets(&[5, 0, 5], &[0; 3], 10, 10), [5, 0, 5]);
    }

    #[test]
    fn a_domain_holds_no_more_than_one_slot_of_each_row() {
        assert_eq!(targets(&[100, 1, 1], &[0; 3], 200, 100), [100, 50, 50]);
        assert_eq!(
            targets(&[1000, 10, 1, 1], &[0; 4], 300, 100),
            [100, 100, 50, 50]
        );
    }

    #[test]
    fn what_is_nearly_even_is_kept() {
        assert_eq!(targets(&[1, 1], &[1005, 995], 2000, 2000), [1005, 995]);
        assert_eq!(targets(&[1, 1], &[1100, 900], 2000, 2000), [1016, 984]);
    }

    #[test]
    fn a_leaving_item_keeps_nothing() {
        let shares = divide(&[0, 1, 1], &[50, 50, 50], 150, 150);
        assert_eq!(shares[0], Share::default());
    }

    proptest! {
        #[test]
        fn targets_add_up_and_stay_in_their_bounds(
            items in proptest::collection::vec((0_u64..5000, 0_u64..3000), 1..40),
            rows in 1_u64..2000,
            slots in 1_u64..20,
        ) {
            let (weights, held): (Vec<u64>, Vec<u64>) = items.into_iter().unzip();
            let able = weights.iter().filter(|weight| **weight > 0).count() as u64;
            prop_assume!(able >= slots);
            let shares = divide(&weights, &held, rows * slots, rows);
            prop_assert_eq!(shares.iter().map(|share| share.target).sum::<u64>(), rows * slots);
            for (share, weight) in shares.iter().zip(&weights) {
                prop_assert!(share.low <= share.target && share.target <= share.high);
                prop_assert!(share.high <= rows);
                prop_assert!(*weight > 0 || share.high == 0);
            }
        }
    }
}
