//! Time on a processor, in rounds in which everybody takes a turn, so that what disturbs one disturbs
//! all.

use std::time::Duration;

use cpu_time::ThreadTime;

use crate::subject::Subject;
use crate::tables::Tables;

/// How long to measure.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Effort {
    /// To see that everything runs.
    Quick,
    /// For figures.
    Full,
}

impl Effort {
    const fn rounds(self) -> usize {
        match self {
            Self::Quick => 1,
            Self::Full => 41,
        }
    }

    /// How long one turn takes about.
    const fn turn(self) -> Duration {
        match self {
            Self::Quick => Duration::from_micros(300),
            Self::Full => Duration::from_micros(1500),
        }
    }
}

/// Whether a translation waits for the one before.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    Independent,
    Dependent,
}

/// Median time of one translation, and the median of its ratio to the floor of the same round.
#[derive(Clone, Copy)]
pub(crate) struct Figure {
    pub(crate) ns: f64,
    pub(crate) ratio: f64,
}

/// One workload's figures, in the order of the subjects.
pub(crate) struct Results {
    pub(crate) title: &'static str,
    pub(crate) rows: Vec<(String, [Option<Figure>; 2])>,
}

impl Results {
    pub(crate) fn names(&self) -> Vec<String> {
        self.rows.iter().map(|(name, _)| name.clone()).collect()
    }
}

/// # Panics
///
/// When a subject does not find what the tables were built to say.
pub(crate) fn check(subject: &mut dyn Subject, tables: Tables) {
    if !subject.is_checked() {
        return;
    }
    let count = tables.virts.len().min(4096);
    for _ in 0..2 {
        let found = subject.answers(&tables.virts[..count]);
        for (number, (found, expected)) in found.iter().zip(tables.phys).enumerate() {
            let virt = tables.virts[number];
            let name = subject.name();
            assert_eq!(found, expected, "{name} of {virt:#x}, {}", tables.workload.title());
        }
        assert_eq!(found.len(), count, "{}", subject.name());
    }
}

/// Measures everybody on one workload. The first subject is the floor.
pub(crate) fn compare(
    subjects: &mut [Box<dyn Subject>],
    tables: Tables,
    effort: Effort,
) -> Results {
    let rows = subjects.iter().map(|subject| (subject.name().to_owned(), [None; 2])).collect();
    let mut results = Results { title: tables.workload.title(), rows };
    for mode in [Mode::Independent, Mode::Dependent] {
        let mut turns: Vec<_> = subjects
            .iter_mut()
            .map(|subject| Turn::new(subject.as_mut(), tables, mode, effort))
            .collect();
        for _ in 0..effort.rounds() {
            for turn in &mut turns {
                turn.take();
            }
        }
        let floor = turns[0].times.clone();
        for (turn, (_, figures)) in turns.iter().zip(&mut results.rows) {
            figures[mode as usize] = turn.figure(&floor);
        }
    }
    results
}

struct Turn<'a> {
    subject: &'a mut dyn Subject,
    virts: &'static [u64],
    mode: Mode,
    /// Translations in one turn: a part of the sequence, or the whole of it several times.
    count: usize,
    first: usize,
    /// Nanoseconds of one translation, in each round.
    times: Vec<f64>,
    is_possible: bool,
}

impl<'a> Turn<'a> {
    fn new(subject: &'a mut dyn Subject, tables: Tables, mode: Mode, effort: Effort) -> Self {
        let virts = tables.virts;
        let mut turn = Self {
            subject,
            virts,
            mode,
            count: 1024,
            first: 0,
            times: Vec::new(),
            is_possible: true,
        };
        // How many fit into the time: the first turns are not counted.
        for _ in 0..3 {
            let taken = turn.time();
            let wanted = effort.turn().as_nanos() as f64 / taken.max(0.01);
            turn.count = (wanted as usize).clamp(1024, 1 << 22);
        }
        turn
    }

    fn take(&mut self) {
        let taken = self.time();
        self.times.push(taken);
    }

    fn time(&mut self) -> f64 {
        // A small working set is brought back into the caches first.
        if self.virts.len() <= 1 << 10 {
            self.is_possible = run(self.subject, self.mode, self.virts).is_some();
        }
        let mut left = self.count;
        let start = ThreadTime::now();
        while left > 0 {
            let rest = &self.virts[self.first..];
            let part = &rest[..rest.len().min(left)];
            self.is_possible = run(self.subject, self.mode, part).is_some();
            left -= part.len();
            self.first = (self.first + part.len()) % self.virts.len();
        }
        start.elapsed().as_secs_f64() * 1e9 / self.count as f64
    }

    fn figure(&self, floor: &[f64]) -> Option<Figure> {
        let ratios = self.times.iter().zip(floor).map(|(own, floor)| own / floor).collect();
        let figure = Figure { ns: median(self.times.clone()), ratio: median(ratios) };
        self.is_possible.then_some(figure)
    }
}

fn run(subject: &mut dyn Subject, mode: Mode, virts: &[u64]) -> Option<()> {
    match mode {
        Mode::Independent => {
            subject.independent(virts);
            Some(())
        }
        Mode::Dependent => subject.dependent(virts),
    }
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
