//! A wish to end, which whoever runs for long looks at now and then.
//!
//! It changes no result: a run that is ended has none.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Steps after which a run looks whether it is to end: well below a tenth of a second.
pub(crate) const GLANCE: u64 = 1 << 14;

/// A flag that ends what is under way. Clones are the same flag.
#[derive(Clone, Debug, Default)]
pub struct Interrupt(Arc<AtomicBool>);

/// It was raised before there was a result.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Interrupted;

impl Interrupt {
    /// Ends what looks at it; whether it had been raised before.
    pub fn raise(&self) -> bool {
        self.0.swap(true, Ordering::Relaxed)
    }

    /// Whether it was raised.
    #[must_use]
    pub fn is_raised(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    /// The flag itself, for whoever takes one.
    #[must_use]
    pub fn flag(&self) -> &AtomicBool {
        &self.0
    }

    /// Goes on, or not.
    ///
    /// # Errors
    ///
    /// When it was raised.
    pub fn check(&self) -> Result<(), Interrupted> {
        if self.is_raised() { Err(Interrupted) } else { Ok(()) }
    }
}
