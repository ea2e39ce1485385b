//! What is being run, for the message of a panic: a bug of this crate is seen again by its seed.

use core::cell::Cell;

use super::workers::Campaign;

/// An experiment under way. Dropped in a panic, it says which.
pub(super) struct UnderWay<'a> {
    campaign: &'a Campaign,
    seed: u64,
    number: Cell<Option<u32>>,
}

impl<'a> UnderWay<'a> {
    /// The world of this seed is about to be built.
    pub(super) fn new(campaign: &'a Campaign, seed: u64) -> Self {
        Self { campaign, seed, number: Cell::new(None) }
    }

    /// Its experiment of this number is about to run.
    pub(super) fn at(&self, number: u32) {
        self.number.set(Some(number));
    }

    fn told(&self) -> String {
        let seed = self.seed;
        match self.number.get() {
            None => format!("seed {seed}, before any experiment"),
            Some(number) => {
                let line = self.campaign.replay_line(seed, number);
                let line = line.map_or(String::new(), |line| format!("\nreplay with: {line}"));
                format!("seed {seed}, experiment {number}{line}")
            }
        }
    }
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("it happened in {}", self.told());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_under_way_is_told_with_the_line_that_runs_it_again() {
        let campaign = Campaign::on_builtin("standard").with_faults(["crash"]).experiments(9);
        let under_way = UnderWay::new(&campaign, 7);

        let before = under_way.told();
        under_way.at(3);

        assert_eq!(before, "seed 7, before any experiment");
        assert_eq!(
            under_way.told(),
            "seed 7, experiment 3\nreplay with: ringfence campaign standard --seeds 7 \
             --experiments 9 --fault crash --only 3"
        );
    }
}
