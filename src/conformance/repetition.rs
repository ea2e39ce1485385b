//! Runs in a list that say one thing many times: a table is filled by 512 stores, each a word further.
//!
//! What differs from its neighbours is in no run, and is told by itself.

/// Times from which on a run is told as one.
const TIMES_MIN: usize = 5;
/// Steps of a run at most, the store and the invalidation of each page for instance.
const PERIOD_MAX: usize = 3;

/// What makes two steps alike: they are of one kind, and their numbers go on by the same distance.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Shape {
    pub(crate) kind: (&'static str, u64),
    pub(crate) numbers: [u64; 3],
}

impl Shape {
    fn distance(&self, other: &Self) -> Option<[u64; 3]> {
        let [a, b, c] = self.numbers;
        let [x, y, z] = other.numbers;
        let distance = [x.wrapping_sub(a), y.wrapping_sub(b), z.wrapping_sub(c)];
        (self.kind == other.kind).then_some(distance)
    }
}

/// Part of a list.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Part {
    /// One element.
    One(usize),
    /// So many times so many elements from there on.
    Run { first: usize, period: usize, times: usize },
}

/// All of a list in parts. What has no shape is in no run.
pub(crate) fn parts(shapes: &[Option<Shape>]) -> Vec<Part> {
    let mut parts = Vec::new();
    let mut first = 0;
    while first < shapes.len() {
        let times = |period: usize| (period, times(shapes, first, period));
        // Of runs of the same length the one with the shortest period.
        let best = (1..=PERIOD_MAX).map(times).filter(|(_, times)| *times >= TIMES_MIN);
        match best.rev().max_by_key(|(period, times)| period * times) {
            Some((period, times)) => {
                parts.push(Part::Run { first, period, times });
                first += period * times;
            }
            None => {
                parts.push(Part::One(first));
                first += 1;
            }
        }
    }
    parts
}

/// How often what begins at `first` is there in a row.
fn times(shapes: &[Option<Shape>], first: usize, period: usize) -> usize {
    let distance = |at: usize| {
        let shape = |at: usize| shapes.get(at).copied().flatten();
        shape(at)?.distance(&shape(at + period)?)
    };
    let steps: Option<Vec<[u64; 3]>> = (first..first + period).map(distance).collect();
    let Some(steps) = steps else { return 1 };
    let goes_on = |time: &usize| {
        let start = first + time * period;
        steps.iter().zip(start..).all(|(step, at)| distance(at) == Some(*step))
    };
    2 + (1..).take_while(goes_on).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn store(at: u64, new: u64) -> Option<Shape> {
        Some(Shape { kind: ("store", 0), numbers: [at, 0, new] })
    }

    fn forget(at: u64) -> Option<Shape> {
        Some(Shape { kind: ("forget", 0), numbers: [at, 0, 0] })
    }

    #[test]
    fn what_goes_on_by_the_same_distance_is_a_run_and_what_differs_is_not() {
        let mut shapes: Vec<_> = (0..20).map(|index| store(8 * index, 0x1000 * index)).collect();
        shapes[11] = store(8 * 11, 0x1000 * 13);

        let parts = parts(&shapes);

        let runs = [
            Part::Run { first: 0, period: 1, times: 11 },
            Part::One(11),
            Part::Run { first: 12, period: 1, times: 8 },
        ];
        assert_eq!(parts, runs);
    }

    #[test]
    fn a_store_and_its_invalidation_are_a_run_until_one_is_missing() {
        let pair = |index: u64| [store(8 * index, 0), forget(0x1000 * index)];
        let mut shapes: Vec<_> = (0..16).flat_map(pair).collect();
        shapes.remove(17);

        let parts = parts(&shapes);

        assert_eq!(parts[0], Part::Run { first: 0, period: 2, times: 8 });
        assert_eq!(parts[1], Part::One(16), "its invalidation is missing");
        assert_eq!(parts[2], Part::Run { first: 17, period: 2, times: 7 });
        assert_eq!(parts.len(), 3);
    }

    #[test]
    fn few_and_those_without_a_shape_are_told_one_by_one() {
        let mut shapes: Vec<_> = (0..4).map(|index| store(8 * index, 0)).collect();
        shapes.extend([None; 9]);

        assert_eq!(parts(&shapes), (0..13).map(Part::One).collect::<Vec<_>>());
    }
}
