//! What looks after a run of whatever kind while code under test is called: a watch, and a mark that a parent
//! reads.

use core::fmt::Display;

use super::isolate::{self, UnderWay};
use super::options::Options;
use super::watch::{self, Watch};

/// How far a run has come.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) enum Place {
    /// No case has begun: an instance is asked what it declares.
    #[default]
    Start,
    /// In the case with this seed.
    Seed(u64),
    /// In a case that has none: it was given, or drawn from a fuzzer's bytes.
    Given,
}

impl Place {
    pub(super) const fn of(seed: Option<u64>) -> Self {
        match seed {
            Some(seed) => Self::Seed(seed),
            None => Self::Given,
        }
    }

    /// The seed, if there is one.
    pub(super) const fn seed(self) -> Option<u64> {
        match self {
            Self::Seed(seed) => Some(seed),
            Self::Start | Self::Given => None,
        }
    }

    /// As it is told.
    pub(super) fn told(self) -> String {
        match self {
            Self::Start => "before its first case".to_owned(),
            Self::Seed(seed) => format!("in the case with seed {seed}"),
            Self::Given => "in the case that it was given".to_owned(),
        }
    }
}

/// While it lives, a run is looked after: one that spins ends the process with the reason, and so does one whose
/// code calls `exit`.
pub(super) struct Guard {
    _under_way: Option<UnderWay>,
    _watch: Option<Watch>,
}

impl Guard {
    /// # Panics
    ///
    /// When `RINGFENCE_PATIENCE` is set and no number.
    pub(super) fn begin(options: &Options) -> Self {
        let under_way = UnderWay::begin();
        // A child is looked after by its parent.
        let watch = (!isolate::is_child()).then(|| Watch::begin(options.patience));
        Self { _under_way: under_way, _watch: watch }
    }
}

/// The case with this seed begins, or one that has none.
pub(super) fn begins(seed: Option<u64>) {
    isolate::begins(Place::of(seed));
    watch::begins(Place::of(seed));
}

/// Which allocation is to fail in the case under way: that is not drawn, but found out.
pub(super) fn strikes_at(nth: u32) {
    isolate::strikes_at(nth);
}

/// What is run from here to the next case is another one: a finding is minimised, a range made page by page.
pub(super) fn departs() {
    isolate::departs();
}

/// The call with this number is about to be made, counted from 1; 0: another function than those of the case.
pub(super) fn calls(number: usize, call: &dyn Display) {
    let call = call.to_string();
    isolate::calls(number, &call);
    watch::calls(number, &call);
}
