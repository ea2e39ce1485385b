use super::*;
use crate::base::Seed;
use crate::minimise::{Sequence, towards};

const PLENTY: Budget = Budget { trials_max: 100_000 };

fn numbers(items: impl IntoIterator<Item = u64>) -> Sequence<u64> {
    Sequence { items: items.into_iter().collect(), simpler: |&item| towards(item, 0) }
}

/// Fails with a pair `a` … `b` (in this order) where `a >= 7`, `b` is odd and `b > 2`.
fn has_the_pair(candidate: &Sequence<u64>) -> Option<(u64, u64)> {
    let items = &candidate.items;
    let first = items.iter().position(|&item| item >= 7)?;
    let second = items[first + 1..].iter().find(|&&item| item % 2 == 1 && item > 2)?;
    Some((items[first], *second))
}

fn drawn(seed: u64) -> Sequence<u64> {
    let mut stream = Seed(seed).stream("minimise", 0);
    numbers((0..40).map(|_| stream.below(30)))
}

#[test]
fn the_least_that_fails_is_found_with_its_own_evidence() {
    for seed in 0..50 {
        let Some(minimal) = minimise(drawn(seed), PLENTY, has_the_pair) else { continue };

        assert_eq!(minimal.value.items.len(), 2, "seed {seed}");
        assert_eq!(minimal.value.items[0], 7, "seed {seed}");
        assert_eq!(has_the_pair(&minimal.value), Some(minimal.evidence), "seed {seed}");
        assert_eq!(minimal.extent, Extent::OneMinimal, "seed {seed}");
    }
}

#[test]
fn one_minimal_means_that_no_neighbour_fails() {
    // Not monotonous: whether it fails depends on how many elements there are, and on their sum.
    let fails = |candidate: &Sequence<u64>| {
        let sum: u64 = candidate.items.iter().sum();
        (candidate.items.len() % 3 == 1 && sum % 5 == 2).then_some(())
    };
    let mut minimised = 0;
    for seed in 0..200 {
        let Some(minimal) = minimise(drawn(seed), PLENTY, fails) else { continue };

        assert_eq!(minimal.extent, Extent::OneMinimal);
        let result = &minimal.value;
        for left_out in 0..result.items.len() {
            let kept: Vec<usize> = (0..result.items.len()).filter(|&i| i != left_out).collect();
            assert_eq!(fails(&result.keeping(0, &kept)), None, "seed {seed}");
        }
        for form in result.simpler() {
            assert_eq!(fails(&form), None, "seed {seed}");
        }
        minimised += 1;
    }
    assert!(minimised > 20, "the starts must fail often enough to show something: {minimised}");
}

#[test]
fn the_result_always_fails_whatever_the_budget() {
    let start = || numbers([3, 12, 5, 40, 1, 9, 8, 3, 3]);
    let unbounded = minimise(start(), PLENTY, has_the_pair).expect("the start fails");

    for trials_max in 0..unbounded.trials + 3 {
        let mut runs = 0;
        let minimal = minimise(start(), Budget { trials_max }, |candidate| {
            runs += 1;
            has_the_pair(candidate)
        })
        .expect("the start fails");

        assert_eq!(minimal.trials, runs);
        assert!(runs <= trials_max.max(1), "{runs} runs for a budget of {trials_max}");
        assert_eq!(has_the_pair(&minimal.value), Some(minimal.evidence));
        let enough = trials_max >= unbounded.trials;
        assert_eq!(minimal.extent == Extent::OneMinimal, enough, "budget {trials_max}");
        if enough {
            assert_eq!(minimal.value.items, unbounded.value.items);
        }
    }
}

#[test]
fn the_same_start_takes_the_same_way() {
    let way = |seed| {
        let mut tried = Vec::new();
        let minimal = minimise(drawn(seed), PLENTY, |candidate| {
            tried.push(candidate.items.clone());
            has_the_pair(candidate)
        });
        (tried, minimal.map(|minimal| (minimal.value.items, minimal.trials, minimal.successes)))
    };
    for seed in 0..10 {
        assert_eq!(way(seed), way(seed));
    }
}

#[test]
fn what_does_not_fail_is_not_minimised() {
    let mut runs = 0;
    let minimal = minimise(numbers([1, 2, 3]), PLENTY, |_| {
        runs += 1;
        None::<()>
    });

    assert!(minimal.is_none());
    assert_eq!(runs, 1);
}

#[test]
fn what_fails_regardless_becomes_empty() {
    let minimal = minimise(drawn(1), PLENTY, |_| Some(())).expect("everything fails");

    assert!(minimal.value.items.is_empty());
    assert_eq!(
        (minimal.trials, minimal.successes),
        (2, 1),
        "leaving out everything is tried first"
    );
}

#[test]
fn the_violation_that_matters_is_kept_among_others() {
    #[derive(Clone, Copy, PartialEq, Eq, Debug)]
    enum Invariant {
        NoNine,
        NoThirteenAfterFour,
    }
    let violated = |candidate: &Sequence<u64>| {
        let items = &candidate.items;
        let four = items.iter().position(|&item| item == 4);
        let thirteen = items.iter().rposition(|&item| item == 13);
        match (four, thirteen) {
            (Some(four), Some(thirteen)) if four < thirteen => Some(Invariant::NoThirteenAfterFour),
            _ if items.contains(&9) => Some(Invariant::NoNine),
            _ => None,
        }
    };
    let start = numbers([9, 4, 2, 9, 13, 9]);
    let wanted = Invariant::NoThirteenAfterFour;

    let minimal = minimise(start, PLENTY, |candidate| {
        violated(candidate).filter(|&invariant| invariant == wanted)
    })
    .expect("the start violates it");

    assert_eq!(minimal.value.items, [4, 13]);
    assert_eq!(minimal.evidence, wanted);
}

#[test]
fn a_cut_that_is_right_saves_runs_and_one_that_is_wrong_costs_one() {
    let start = || numbers([1, 8, 3].into_iter().chain([0; 60]));
    let plain = minimise(start(), PLENTY, has_the_pair).expect("the start fails");

    let with_cut = |kept| {
        Minimiser::within(PLENTY)
            .cut(Cut { sequence: 0, kept })
            .minimise(start(), has_the_pair)
            .expect("the start fails")
    };

    assert!(with_cut(3).trials < plain.trials);
    assert_eq!(with_cut(3).value.items, plain.value.items);
    assert_eq!(with_cut(2).trials, plain.trials + 1);
    assert_eq!(with_cut(2).value.items, plain.value.items);
    assert_eq!(with_cut(63).trials, plain.trials, "nothing is beyond the cut");
}

#[test]
fn every_success_costs_less_than_the_one_before() {
    let cost =
        |candidate: &Sequence<u64>| (candidate.items.len(), candidate.items.iter().sum::<u64>());
    for seed in 0..30 {
        let mut costs = Vec::new();
        let minimal = minimise(drawn(seed), PLENTY, |candidate| {
            let evidence = has_the_pair(candidate);
            costs.extend(evidence.map(|_| cost(candidate)));
            evidence
        });

        assert!(costs.windows(2).all(|pair| pair[1] < pair[0]), "seed {seed}: {costs:?}");
        let successes = minimal.map_or(0, |minimal| minimal.successes + 1);
        assert_eq!(costs.len(), usize::try_from(successes).expect("few"), "seed {seed}");
    }
}

#[test]
fn what_moves_when_others_are_left_out_is_mended() {
    // Fails while the first number says where the 99 is.
    let points_at_it = |items: &[u64]| {
        let place = usize::try_from(*items.first()?).ok()?;
        (items.get(place) == Some(&99)).then_some(())
    };
    let start = || numbers([5, 1, 2, 3, 4, 99, 6]);

    let unmended = minimise(start(), PLENTY, |candidate| points_at_it(&candidate.items));
    let mended = Minimiser::within(PLENTY).minimise_mending(start(), |mut candidate| {
        if points_at_it(&candidate.items).is_none() {
            let place = candidate.items.iter().position(|&item| item == 99)?;
            *candidate.items.first_mut()? = place as u64;
        }
        points_at_it(&candidate.items).map(|()| (candidate, ()))
    });

    assert_eq!(unmended.expect("it fails").value.items, [5, 0, 0, 0, 0, 99]);
    assert_eq!(mended.expect("it fails").value.items, [1, 99]);
}

/// Owners with their own lists: leaving out an owner takes its list away.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Nested(Vec<Vec<u64>>);

impl Shrink for Nested {
    fn lengths(&self) -> Vec<usize> {
        std::iter::once(self.0.len()).chain(self.0.iter().map(Vec::len)).collect()
    }

    fn keeping(&self, sequence: usize, kept: &[usize]) -> Self {
        let mut lists = self.0.clone();
        match sequence.checked_sub(1) {
            None => lists = kept.iter().map(|&index| self.0[index].clone()).collect(),
            Some(owner) => {
                lists[owner] = kept.iter().map(|&index| self.0[owner][index]).collect();
            }
        }
        Self(lists)
    }

    fn simpler(&self) -> impl Iterator<Item = Self> {
        std::iter::empty()
    }
}

#[test]
fn sequences_inside_sequences_vanish_with_their_owner() {
    let start = Nested(vec![vec![1, 2], vec![3, 4, 5], vec![], vec![6, 7]]);
    let fails = |candidate: &Nested| {
        let has = |wanted| candidate.0.iter().any(|list| list.contains(&wanted));
        (has(4) && has(7)).then_some(())
    };

    let minimal = Minimiser::within(PLENTY)
        .cut(Cut { sequence: 9, kept: 0 })
        .minimise(start, fails)
        .expect("the start fails");

    assert_eq!(minimal.value, Nested(vec![vec![4], vec![7]]));
}
