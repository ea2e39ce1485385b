//! Which incidents count as such that the model predicts.
//!
//! That one comes out as published proves little while a switch made for it could decide it, or while nothing
//! near it comes out as published too.

use core::fmt;

use super::Scenario;

/// Contrasts by a published account that an incident needs at least to count as one that the model predicts.
pub const CONTRASTS_MIN: usize = 2;

/// Why an incident doesn't count as one that the model predicts.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Discount {
    /// A switch made for it decides it.
    DecidedBy(String),
    /// Its contrasts that have a published account, and end as that says, are only so many.
    Contrasts(usize),
}

impl fmt::Display for Discount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::DecidedBy(switch) => write!(f, "`{switch}`, a switch made for it, decides it"),
            Self::Contrasts(number) => {
                let number =
                    if *number == 0 { "none".to_owned() } else { format!("only {number}") };
                write!(f, "of {CONTRASTS_MIN} contrasts that end as published it has {number}")
            }
        }
    }
}

impl Scenario {
    /// Why an incident doesn't count, when every contrast ends as its file expects; none where it does.
    #[must_use]
    pub fn discount(&self) -> Option<Discount> {
        self.discount_with(self.contrasts.iter().filter(|one| one.is_documented(self)).count())
    }

    /// As [`discount`](Self::discount), when so many contrasts end as was published.
    #[must_use]
    pub fn discount_with(&self, contrasts: usize) -> Option<Discount> {
        let decided_by = self.incident.as_ref().and_then(|incident| incident.decided_by.clone());
        let too_few = (contrasts < CONTRASTS_MIN).then_some(Discount::Contrasts(contrasts));
        decided_by.map(Discount::DecidedBy).or(too_few)
    }
}
