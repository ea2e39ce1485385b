use super::*;

fn sample(worlds: &[(u64, u64)]) -> Sample {
    worlds.iter().map(|&(events, experiments)| WorldCount { events, experiments }).collect()
}

#[track_caller]
fn assert_between(estimate: Estimate, expected: [f64; 4]) {
    let Estimate::Between { share, low, high, design_effect } = estimate else {
        panic!("an interval, not {estimate:?}");
    };
    for (found, expected) in [share, low, high, design_effect].into_iter().zip(expected) {
        assert!((found - expected).abs() < 1e-9, "{found} instead of {expected}: {estimate:?}");
    }
}

/// By hand. Share 12/40 = 0.3; residuals −1, 3, −2, 0, their squares sum to 14; variance
/// 4/3 × 14/40² = 7/600; of 40 independent experiments it would be 0.3 × 0.7/40 = 21/4000; design
/// effect 20/9; effectively 40 / (20/9) = 18 experiments. t for 3 degrees is 3.182, its square
/// 10.125124; so centre (0.3 + 10.125124/36)/(1 + 10.125124/18) = 0.371999…, half width
/// 3.182 × √(0.21/18 + 10.125124/1296)/1.562507 = 0.284226….
#[test]
fn worlds_of_equal_size_by_hand() {
    let estimate = sample(&[(2, 10), (6, 10), (1, 10), (3, 10)]).estimate();

    assert_between(estimate, [0.3, 0.087_774_116_205, 0.656_227_012_465, 20.0 / 9.0]);
}

/// By hand. Share 4/15; residuals −1/15, 7/5, −4/3, their squares sum to 842/225; variance
/// 3/2 × (842/225)/15² = 421/16875; of 15 independent experiments it would be (4/15 × 11/15)/15 =
/// 44/3375; design effect 421/220. t for 2 degrees is 4.303.
#[test]
fn worlds_of_unequal_size_by_hand() {
    let estimate = sample(&[(1, 4), (3, 6), (0, 5)]).estimate();

    assert_between(estimate, [4.0 / 15.0, 0.025_302_571_620, 0.835_898_112_981, 421.0 / 220.0]);
}

/// Each world all or nothing: four worlds of ten experiments say little more than four experiments.
/// Variance 4/3 × 4 × 25/1600 = 1/12 against 0.25/40: design effect 40/3, effectively 3 experiments.
#[test]
fn experiments_that_stand_and_fall_together_widen_the_interval() {
    let estimate = sample(&[(10, 10), (0, 10), (10, 10), (0, 10)]).estimate();

    assert_between(estimate, [0.5, 0.060_844_352_517, 0.939_155_647_483, 40.0 / 3.0]);
}

/// Worlds that agree more than chance would: never better than 40 independent experiments.
#[test]
fn worlds_that_agree_exactly_still_leave_an_interval() {
    let estimate = sample(&[(5, 10), (5, 10), (5, 10), (5, 10)]).estimate();

    assert_between(estimate, [0.5, 0.275_279_625_656, 0.724_720_374_344, 0.0]);
}

#[test]
fn one_world_is_an_exact_count() {
    assert_eq!(sample(&[(3, 12)]).estimate(), Estimate::Exact { share: 0.25 });
    assert_eq!(sample(&[(0, 12)]).estimate(), Estimate::Exact { share: 0.0 });
    assert_eq!(sample(&[(3, 12), (0, 0)]).estimate(), Estimate::Exact { share: 0.25 });
    assert_eq!(sample(&[]).estimate(), Estimate::Nothing);
    assert_eq!(sample(&[(0, 0)]).estimate(), Estimate::Nothing);
}

/// 1 − 0.05^(1/59) = 0.0495076…, the familiar "59 in a row for 95/95".
#[test]
fn never_and_always_are_bounded_over_worlds_not_experiments() {
    let never = sample(&[(0, 1000); 59]).estimate();
    let always = sample(&[(1000, 1000); 59]).estimate();

    let Estimate::Never { worlds_at_most } = never else { panic!("{never:?}") };
    let Estimate::Always { worlds_at_least } = always else { panic!("{always:?}") };
    assert!((worlds_at_most - 0.049_507_609_888).abs() < 1e-9);
    assert!((worlds_at_least - 0.950_492_390_112).abs() < 1e-9);
}

#[test]
fn the_order_of_worlds_and_the_number_of_workers_do_not_matter() {
    let worlds = [(2, 10), (6, 11), (1, 9), (3, 3), (0, 7)];
    let whole = sample(&worlds);
    for cut in 0..=worlds.len() {
        let mut merged = sample(&worlds[cut..]);
        merged.merge(&sample(&worlds[..cut]));
        assert_eq!(merged, whole);
    }
    assert_eq!((whole.worlds(), whole.worlds_with_events()), (5, 4));
    assert_eq!((whole.events(), whole.experiments()), (12, 40));
}

#[test]
fn an_interval_holds_its_share_and_stays_between_0_and_1() {
    for worlds in 2..7_u64 {
        for events in 0..=worlds * 3 {
            let counts: Vec<(u64, u64)> =
                (0..worlds).map(|world| (events.saturating_sub(world * 3).min(3), 3)).collect();
            let Estimate::Between { share, low, high, .. } = sample(&counts).estimate() else {
                continue;
            };
            assert!(0.0 <= low && low < share && share < high && high <= 1.0, "{counts:?}");
        }
    }
}

#[test]
fn sums_beyond_128_bits_lose_digits_not_meaning() {
    let large = |scale: u64| {
        sample(
            &[(2, 10), (6, 10), (1, 10), (3, 10)].map(|(events, of)| (events * scale, of * scale)),
        )
    };
    for scale in [1, 1_000, 1_000_000, 1_000_000_000, 1_000_000_000_000] {
        let Estimate::Between { share, design_effect, .. } = large(scale).estimate() else {
            panic!("an interval");
        };
        let expected = 20.0 / 9.0 * to_float(scale.into());
        assert!((share - 0.3).abs() < 1e-12);
        assert!((design_effect / expected - 1.0).abs() < 1e-9, "{design_effect} at {scale}");
    }
}

#[test]
fn estimates_read_as_one_cell() {
    let text = |worlds: &[(u64, u64)]| sample(worlds).estimate().to_string();

    assert_eq!(text(&[]), "–");
    assert_eq!(text(&[(3, 12)]), "25.0%");
    assert_eq!(text(&[(0, 9); 100]), "0% (< 3.0% of worlds)");
    assert_eq!(text(&[(9, 9); 100]), "100% (> 97.0% of worlds)");
    assert_eq!(text(&[(2, 10), (6, 10), (1, 10), (3, 10)]), "30.0% [8.8, 65.6]");
}

#[test]
fn small_shares_keep_a_digit_that_differs_from_zero() {
    let shares = [0.0, 0.000_000_1, 0.000_001, 0.000_02, 0.000_2, 0.002, 0.25, 0.9995, 1.0];
    let expected = ["0", "<0.0001", "0.0001", "0.002", "0.02", "0.2", "25.0", "99.95", "100"];

    assert_eq!(shares.map(percent), expected);
}
