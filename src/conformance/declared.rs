//! What code under test says of itself beside its capabilities, and what it turned out to tell.
//!
//! What it does not know or does not tell is not compared. Each such thing is a line of the report: a
//! walker that tells addresses only has passed less than one that tells rights.

use super::operation::size_name;
use super::rights::Rights;
use super::subject::{Capabilities, Mapper, Mapping, Walker};
use crate::machine::paging::PageSize;

/// What code says of itself.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Declared {
    pub(crate) capabilities: Capabilities,
    /// Bits of entries that nobody else sets.
    pub(crate) own_bits: u64,
    tells_rights: Rights,
    /// Walkers only.
    judges_rights: bool,
    /// Sizes that a walker does not know.
    unknown: [Option<PageSize>; 2],
}

impl Default for Declared {
    fn default() -> Self {
        Self {
            capabilities: Capabilities::PLAIN,
            own_bits: 0,
            tells_rights: Rights::ALL,
            judges_rights: true,
            unknown: [None; 2],
        }
    }
}

impl Declared {
    /// `asks` is told of each question before it is asked.
    pub(crate) fn by_mapper(mapper: &dyn Mapper, asks: impl Fn(&'static str)) -> Self {
        asks("capabilities");
        let capabilities = mapper.capabilities();
        asks("own_bits");
        let own_bits = mapper.own_bits();
        asks("tells_rights");
        let tells_rights = mapper.tells_rights();
        Self { capabilities, own_bits, tells_rights, ..Self::default() }
    }

    /// The same.
    pub(crate) fn by_walker(walker: &dyn Walker, asks: impl Fn(&'static str)) -> Self {
        asks("own_bits");
        let own_bits = walker.own_bits();
        asks("tells_rights");
        let tells_rights = walker.tells_rights();
        asks("judges_rights");
        let judges_rights = walker.judges_rights();
        asks("knows");
        let large = [PageSize::Mib2, PageSize::Gib1];
        let unknown = large.map(|size| (!walker.knows(size)).then_some(size));
        Self { own_bits, tells_rights, judges_rights, unknown, ..Self::default() }
    }

    pub(crate) fn knows(&self, size: PageSize) -> bool {
        !self.unknown.contains(&Some(size))
    }

    /// What was not tried or not compared, each with the reason.
    pub(crate) fn skipped(&self, told: Told) -> Vec<String> {
        let mut skipped = Vec::new();
        if self.own_bits != 0 {
            let bits = self.own_bits;
            skipped.push(format!("entries in which somebody else sets bits {bits:#x}: its own"));
        }
        for size in self.unknown.into_iter().flatten() {
            skipped.push(format!("pages of {}: not known", size_name(size)));
        }
        if !self.judges_rights {
            skipped.push("accesses that are to be refused for want of rights: not judged".into());
        }
        if !told.anything {
            return skipped;
        }
        if !told.sizes {
            skipped.push("the size of a page: never told".to_owned());
        }
        if !told.rights {
            skipped.push("the rights of a page: never told".to_owned());
            return skipped;
        }
        let rights =
            [(Rights::WRITE, "write"), (Rights::USER, "user"), (Rights::EXECUTE, "execute")];
        for (right, name) in rights {
            if !self.tells_rights.has(right) {
                skipped.push(format!("the right {name} of a page: not told"));
            }
        }
        skipped
    }
}

/// What answers to questions about addresses held, all together.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Told {
    anything: bool,
    sizes: bool,
    rights: bool,
}

impl Told {
    pub(crate) fn note(&mut self, mapping: &Mapping) {
        self.add(Self {
            anything: true,
            sizes: mapping.size.is_some(),
            rights: mapping.rights.is_some(),
        });
    }

    pub(crate) fn add(&mut self, other: Self) {
        self.anything |= other.anything;
        self.sizes |= other.sizes;
        self.rights |= other.rights;
    }
}
