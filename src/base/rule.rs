//! What the model says about the world, each with its source.

/// How sure a statement about the modelled system is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Basis {
    /// The source says so.
    Documented,
    /// It follows from what the source says, or the source is not the system's maker.
    Inferred,
    /// A choice of this model where no source says anything, or a simplification.
    Chosen,
}

impl Basis {
    /// Its name in lists.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Documented => "documented",
            Self::Inferred => "inferred",
            Self::Chosen => "chosen",
        }
    }
}

/// A modelled rule of machine or kernel.
///
/// Rules stand beside the code that models them, in a `RULES` of their file.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Rule {
    /// Its name, unique among all.
    pub name: &'static str,
    /// The rule in a sentence.
    pub about: &'static str,
    /// The title of the page, manual section or paper that it is taken from.
    pub source: &'static str,
    /// How sure it is.
    pub basis: Basis,
}

impl Rule {
    /// A rule that its source states.
    #[must_use]
    pub const fn documented(name: &'static str, about: &'static str, source: &'static str) -> Self {
        Self { name, about, source, basis: Basis::Documented }
    }

    /// A rule that is inferred from its source.
    #[must_use]
    pub const fn inferred(name: &'static str, about: &'static str, source: &'static str) -> Self {
        Self { name, about, source, basis: Basis::Inferred }
    }

    /// A rule that is this model's own choice; `source` says what it stands for.
    #[must_use]
    pub const fn chosen(name: &'static str, about: &'static str, source: &'static str) -> Self {
        Self { name, about, source, basis: Basis::Chosen }
    }
}
