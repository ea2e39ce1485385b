//! The search: leave out, simplify, repeat until neither helps.
//!
//! Leaving out is the complement step of delta debugging (Zeller and Hildebrandt, "Simplifying and
//! Isolating Failure-Inducing Input", IEEE Transactions on Software Engineering, 2002): without
//! everything, without halves, quarters and so on down to single elements, from the back, because
//! what happened last is least often the cause of something that had already happened. After the
//! first round only single elements are tried. The search ends with a round in which nothing
//! succeeded; that round is the proof that the result is one-minimal.

use super::Shrink;

/// How much a search may cost.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Budget {
    /// Runs at most, that of the start included. The start is always run.
    pub trials_max: u32,
}

/// A guess that everything in one sequence beyond its first `kept` elements came too late to
/// matter, for instance after the violation. It is tried first, and believed only if it still fails.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Cut {
    /// Which sequence, as numbered by [`Shrink::lengths`].
    pub sequence: usize,
    /// How many elements at its beginning may matter.
    pub kept: usize,
}

/// How far a search came.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Extent {
    /// No single element can be left out and no single parameter simplified without losing the
    /// failure; each was tried on the result itself.
    OneMinimal,
    /// The budget was spent first: the result fails, but something smaller may too.
    BudgetHit,
}

/// The smallest failing value that was found, with what its own run showed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Minimal<T, E> {
    /// The value. It failed when it was run.
    pub value: T,
    /// What that run returned.
    pub evidence: E,
    /// Runs made, that of the start included.
    pub trials: u32,
    /// How many of them led to a smaller value.
    pub successes: u32,
    /// How far the search came.
    pub extent: Extent,
}

/// Minimises `start` within a budget; see [`Minimiser::minimise`].
pub fn minimise<T: Shrink, E>(
    start: T,
    budget: Budget,
    fails: impl FnMut(&T) -> Option<E>,
) -> Option<Minimal<T, E>> {
    Minimiser::within(budget).minimise(start, fails)
}

/// A search that is about to begin.
#[derive(Clone, Debug)]
#[must_use = "nothing is searched until `minimise` is called"]
pub struct Minimiser {
    budget: Budget,
    cuts: Vec<Cut>,
}

impl Minimiser {
    /// A search of at most so many runs.
    pub fn within(budget: Budget) -> Self {
        Self { budget, cuts: Vec::new() }
    }

    /// Tries this cut first. Several are tried in the order in which they were given.
    pub fn cut(mut self, cut: Cut) -> Self {
        self.cuts.push(cut);
        self
    }

    /// Searches for the least that still fails.
    ///
    /// `fails` runs one candidate and returns its evidence if, and only if, it fails in the way
    /// that matters (the same invariant, offender and victim, say); it must answer the same for the
    /// same candidate. `None` when `start` itself does not fail: there is nothing to minimise.
    ///
    /// # Panics
    ///
    /// When [`Shrink::keeping`] returns a sequence that is not shorter.
    #[must_use]
    pub fn minimise<T: Shrink, E, F: FnMut(&T) -> Option<E>>(
        &self,
        start: T,
        mut fails: F,
    ) -> Option<Minimal<T, E>> {
        self.minimise_mending(start, |value| {
            let evidence = fails(&value)?;
            Some((value, evidence))
        })
    }

    /// As [`minimise`](Self::minimise), where `fails` may mend a candidate: what was left out can
    /// move what remains, a strike at the 30th store for instance, which is now the 20th. It returns
    /// the value that failed, which has the candidate's sequences and no parameter less simple.
    ///
    /// # Panics
    ///
    /// When [`Shrink::keeping`] returns a sequence that is not shorter.
    #[must_use]
    pub fn minimise_mending<T: Shrink, E, F: FnMut(T) -> Option<(T, E)>>(
        &self,
        start: T,
        mut fails: F,
    ) -> Option<Minimal<T, E>> {
        let (value, evidence) = fails(start)?;
        let best = Best { value, evidence, successes: 0 };
        let mut search = Search { fails, best, trials: 1, trials_max: self.budget.trials_max };

        let extent = match search.run(&self.cuts) {
            Ok(()) => Extent::OneMinimal,
            Err(Spent) => Extent::BudgetHit,
        };

        let Search { best: Best { value, evidence, successes }, trials, .. } = search;
        Some(Minimal { value, evidence, trials, successes, extent })
    }
}

/// The budget does not allow another run.
struct Spent;

/// What became of a candidate.
enum Attempt {
    Accepted,
    Refused,
}

struct Best<T, E> {
    value: T,
    evidence: E,
    successes: u32,
}

struct Search<T, E, F> {
    fails: F,
    best: Best<T, E>,
    trials: u32,
    trials_max: u32,
}

impl<T: Shrink, E, F: FnMut(T) -> Option<(T, E)>> Search<T, E, F> {
    fn run(&mut self, cuts: &[Cut]) -> Result<(), Spent> {
        for &cut in cuts {
            self.try_cut(cut)?;
        }
        let mut chunk_max = usize::MAX;
        loop {
            let successes_before = self.best.successes;
            self.leave_out(chunk_max)?;
            self.simplify()?;
            if self.best.successes == successes_before {
                return Ok(());
            }
            chunk_max = 1;
        }
    }

    fn try_cut(&mut self, cut: Cut) -> Result<(), Spent> {
        if cut.kept < self.length(cut.sequence) {
            let kept: Vec<usize> = (0..cut.kept).collect();
            self.attempt(self.best.value.keeping(cut.sequence, &kept))?;
        }
        Ok(())
    }

    /// One round over all sequences, in chunks that halve from the whole sequence or `chunk_max`
    /// elements down to one. The number of sequences is asked each time: leaving out one that
    /// contains others changes it.
    fn leave_out(&mut self, chunk_max: usize) -> Result<(), Spent> {
        let mut sequence = 0;
        while sequence < self.best.value.lengths().len() {
            let mut chunk = self.length(sequence).min(chunk_max);
            while chunk > 0 {
                self.sweep(sequence, chunk)?;
                chunk /= 2;
            }
            sequence += 1;
        }
        Ok(())
    }

    /// Tries to leave out each chunk of a sequence once, from its back.
    fn sweep(&mut self, sequence: usize, chunk: usize) -> Result<(), Spent> {
        let mut length = self.length(sequence);
        let mut end = length;
        while end > 0 {
            let begin = end.saturating_sub(chunk);
            let kept: Vec<usize> = (0..begin).chain(end..length).collect();
            if let Attempt::Accepted = self.attempt(self.best.value.keeping(sequence, &kept))? {
                let shorter = self.length(sequence);
                assert!(shorter < length, "leaving elements out must make the sequence shorter");
                length = shorter;
            }
            end = begin.min(length);
        }
        Ok(())
    }

    /// Goes once through all simpler forms. After a success it goes on at the same place in the
    /// forms of the new value: those before have just been refused.
    fn simplify(&mut self) -> Result<(), Spent> {
        let mut position = 0;
        loop {
            let mut success = None;
            for (index, form) in self.best.value.simpler().enumerate().skip(position) {
                if self.trials >= self.trials_max {
                    return Err(Spent);
                }
                self.trials += 1;
                if let Some((form, evidence)) = (self.fails)(form) {
                    success = Some((index, form, evidence));
                    break;
                }
            }
            match success {
                None => return Ok(()),
                Some((index, form, evidence)) => {
                    self.accept(form, evidence);
                    position = index;
                }
            }
        }
    }

    fn attempt(&mut self, candidate: T) -> Result<Attempt, Spent> {
        if self.trials >= self.trials_max {
            return Err(Spent);
        }
        self.trials += 1;
        Ok(match (self.fails)(candidate) {
            None => Attempt::Refused,
            Some((value, evidence)) => {
                self.accept(value, evidence);
                Attempt::Accepted
            }
        })
    }

    fn accept(&mut self, value: T, evidence: E) {
        let successes = self.best.successes + 1;
        self.best = Best { value, evidence, successes };
    }

    /// The length of a sequence; zero when it has vanished.
    fn length(&self, sequence: usize) -> usize {
        self.best.value.lengths().get(sequence).copied().unwrap_or(0)
    }
}

#[cfg(test)]
mod tests;
