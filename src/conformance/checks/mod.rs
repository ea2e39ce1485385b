//! What must hold, one file a check.
//!
//! A check reads memory as the judge copied it, event by event, and decodes with the format. It knows
//! the code under test only by what it was asked, what it stored, and what it answered.

pub(super) mod attributes;
pub(super) mod emptied;
pub(super) mod entries;
pub(super) mod equivalence;
pub(super) mod frames;
pub(super) mod invalidation;
pub(super) mod isolation;
pub(super) mod marks;
pub(super) mod request;
pub(super) mod stores;
pub(super) mod totality;
pub(super) mod translation;
