//! How long damage sleeps, as a survival curve.
//!
//! Counted are the steps from the strike to the first reader of a corrupt byte. Damage that was overwritten
//! or given back, and damage that was lost when the machine stopped, will never be read: it ended, in
//! competition with being read. What nobody had read when the run ended is censored there: so long it slept,
//! and how long it would have slept is not known. The share still asleep is the product-limit estimate over
//! what was at risk at each number of steps, of all ends together; the share that was read is the cumulative
//! incidence of that end. Counts are exact; the shares are of these experiments and have no interval.
//!
//! Source: Kaplan and Meier, "Nonparametric Estimation from Incomplete Observations", Journal of the
//! American Statistical Association 53, 1958; Aalen and Johansen, "An Empirical Transition Matrix for
//! Non-Homogeneous Markov Chains Based on Censored Observations", Scandinavian Journal of Statistics 5, 1978.

use crate::campaign::sleep::Sleeps;
use crate::outcome::SleepEnd;

/// How many ended in each way, in the order of [`SleepEnd::ALL`].
pub type Ended = [u64; SleepEnd::ALL.len()];

/// One row of the curve.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Row {
    /// The last number of steps that it is about; the first is behind that of the row before.
    pub steps: u64,
    /// What was still asleep before.
    pub at_risk: u64,
    /// What ended within these steps.
    pub ended: Ended,
    /// The estimated share that somebody has read by then.
    pub read: f64,
    /// The estimated share that is there by then and that nobody has read. The rest has ended otherwise.
    pub asleep: f64,
}

/// What a horizon would have cut off.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Horizon {
    /// Steps after the strike.
    pub steps: u64,
    /// What had ended by then.
    pub before: Ended,
    /// How what was still asleep then ended later.
    pub after: Ended,
}

/// The curve at 0, 1, 4, 16, … steps, up to the longest sleep.
///
/// ```
/// use ringfence::campaign::sleep::Sleeps;
/// use ringfence::outcome::{Sleep, SleepEnd};
/// use ringfence::report::survival::curve;
///
/// let mut sleeps = Sleeps::default();
/// for (steps, end) in [(0, SleepEnd::Read), (2, SleepEnd::Overwritten), (3, SleepEnd::Read)] {
///     sleeps.add(Sleep { steps, end });
/// }
/// sleeps.add(Sleep { steps: 9, end: SleepEnd::RunEnded });
///
/// // A quarter was read at once, a quarter was overwritten, and of the two that were there then, one was read.
/// let shares: Vec<_> = curve(&sleeps).iter().map(|row| (row.read, row.asleep)).collect();
/// assert_eq!(shares, [(0.25, 0.75), (0.25, 0.75), (0.5, 0.25), (0.5, 0.25)]);
/// ```
#[must_use]
pub fn curve(sleeps: &Sleeps) -> Vec<Row> {
    let mut rows = Vec::new();
    let (mut at_risk, mut read, mut asleep) = (sleeps.count(), 0.0, 1.0);
    let mut all = sleeps.iter().peekable();
    let mut steps = 0;
    while all.peek().is_some() {
        let mut row = Row { steps, at_risk, ended: Ended::default(), read, asleep };
        while let Some((_, ended)) = all.next_if(|&(slept, _)| slept <= steps) {
            let counted = ended.iter().sum::<u64>();
            read += asleep * share(ended[SleepEnd::Read as usize], at_risk);
            asleep *= share(at_risk - (counted - ended[SleepEnd::RunEnded as usize]), at_risk);
            at_risk -= counted;
            add(&mut row.ended, ended);
        }
        rows.push(Row { read, asleep, ..row });
        steps = steps.saturating_mul(4).max(1);
    }
    rows
}

/// What a horizon of so many steps would have said, and what the rest of the runs said of it.
#[must_use]
pub fn at_horizon(sleeps: &Sleeps, steps: u64) -> Horizon {
    let mut horizon = Horizon { steps, before: Ended::default(), after: Ended::default() };
    for (slept, ended) in sleeps.iter() {
        add(if slept <= steps { &mut horizon.before } else { &mut horizon.after }, ended);
    }
    horizon
}

fn add(sums: &mut Ended, counts: Ended) {
    for (sum, count) in sums.iter_mut().zip(counts) {
        *sum += count;
    }
}

#[allow(clippy::cast_precision_loss, reason = "counts of experiments, told with one digit")]
fn share(part: u64, whole: u64) -> f64 {
    part as f64 / whole as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outcome::Sleep;

    fn sleeps(all: &[(u64, SleepEnd)]) -> Sleeps {
        let mut sleeps = Sleeps::default();
        for &(steps, end) in all {
            sleeps.add(Sleep { steps, end });
        }
        sleeps
    }

    #[test]
    fn the_estimate_is_that_of_the_remission_times() {
        // The treated group of Freireich et al., "The Effect of 6-Mercaptopurine on the Duration of
        // Steroid-Induced Remissions in Acute Leukemia", Blood 21, 1963: textbooks give its curve.
        let read = [6, 6, 6, 7, 10, 13, 16, 22, 23].map(|weeks| (weeks, SleepEnd::Read));
        let ended = [6, 9, 10, 11, 17, 19, 20, 25, 32, 32, 34, 35];
        let ended = ended.map(|weeks| (weeks, SleepEnd::RunEnded));

        let curve = curve(&sleeps(&[&read[..], &ended].concat()));

        let told: Vec<(u64, u64, String)> = curve
            .iter()
            .map(|row| (row.steps, row.at_risk, format!("{:.3}", row.asleep)))
            .collect();
        let expected = [
            (0, 21, "1.000"),
            (1, 21, "1.000"),
            (4, 21, "1.000"),
            (16, 21, "0.627"),
            (64, 10, "0.448"),
        ];
        assert_eq!(
            told,
            expected.map(|(steps, at_risk, asleep)| (steps, at_risk, asleep.to_owned()))
        );
    }

    #[test]
    fn shares_are_plain_proportions_where_no_run_ended_first() {
        let all = [
            (0, SleepEnd::Read),
            (0, SleepEnd::Overwritten),
            (1, SleepEnd::Stopped),
            (3, SleepEnd::Read),
            (4, SleepEnd::Read),
            (9, SleepEnd::Overwritten),
            (70, SleepEnd::Read),
            (70, SleepEnd::Stopped),
        ];

        let curve = curve(&sleeps(&all));

        let eighths = |share: f64| (share * 8.0).round();
        let told = curve.iter().map(|row| (row.steps, eighths(row.read), eighths(row.asleep)));
        let by_hand = [
            (0, 1.0, 6.0),
            (1, 1.0, 5.0),
            (4, 3.0, 3.0),
            (16, 3.0, 2.0),
            (64, 3.0, 2.0),
            (256, 4.0, 0.0),
        ];
        assert_eq!(told.collect::<Vec<_>>(), by_hand);
    }

    #[test]
    fn a_horizon_cuts_and_says_what_came_later() {
        let all = [
            (1, SleepEnd::Read),
            (5, SleepEnd::Overwritten),
            (9, SleepEnd::Read),
            (20, SleepEnd::Stopped),
        ];

        let Horizon { before, after, .. } = at_horizon(&sleeps(&all), 5);

        assert_eq!((before, after), ([1, 1, 0, 0], [1, 0, 1, 0]));
        assert!(curve(&Sleeps::default()).is_empty());
    }
}
