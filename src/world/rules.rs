//! What of a world's own is modelled, by whose word.

use super::{preset, protection};
use crate::base::Rule;

/// Each part of a world that isn't one of its components, and its rules.
pub const RULES: &[(&str, &[Rule])] =
    &[("presets", preset::RULES), ("protection", protection::RULES)];
