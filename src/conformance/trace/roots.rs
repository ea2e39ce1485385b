//! A root register is written: another address space is in use.

use super::checker::Checker;
use super::spaces::AddressSpace;
use crate::conformance::breach::{Breach, Check};
use crate::conformance::format::Format;
use crate::conformance::format::regime::Root;
use crate::conformance::may_hold::{Processors, Space};

impl Checker {
    /// A root is in use from now on.
    pub(super) fn switch(&mut self, root: &Root) {
        let by = self.now.by;
        self.judge_identifier(root);
        if let Some(before) = self.spaces.current(root.slot, by)
            && let Some(before) = self.spaces.get_mut(before)
        {
            before.loaded = before.loaded.without(Processors::one(by));
        }
        let known = self.spaces.named(root);
        let space = known.unwrap_or_else(|| {
            self.tally.spaces += 1;
            self.spaces.add(root)
        });
        let is_read_anew = self.spaces.get_mut(space).is_some_and(|held| {
            held.loaded.insert(by);
            held.active.insert(by);
            let is_same = is_same(&*held.format, &*root.format);
            held.format = std::rc::Rc::clone(&root.format);
            !is_same
        });
        self.seen.insert(by);
        if known.is_none() || is_read_anew {
            self.link_root(space);
        }
        self.attend(root);
    }

    /// A root without entries has its first: from now on something can be remembered of it, under an
    /// identifier that another root may have had.
    pub(super) fn judge_first_entry(&mut self, space: Space) {
        let Some(held) = self.spaces.get(space).filter(|held| held.had_entries) else { return };
        let is_other = |other: &AddressSpace| {
            other.slot == held.slot
                && other.tag == held.tag
                && other.root != held.root
                && !held.is_common
                && other.had_entries
        };
        let met = self.spaces.iter().find_map(|(_, other)| {
            let both = other.active.within(held.active);
            both.first().filter(|_| is_other(other)).map(|processor| (other.root, processor))
        });
        let Some((other, processor)) = met else { return };
        let what = format!(
            "makes the first entry below the root {:#x} in {} of processor {processor}, which may still \
             hold translations of the root {:#x} under the same identifier {}",
            held.root.raw(),
            held.register,
            other.raw(),
            held.tag
        );
        let (rule, name) = (self.identifiers(), held.format.name());
        let kind = "one identifier for two roots".to_owned();
        let breach = Breach { check: Check::Identifiers, kind, what, virt: None, rule };
        self.report(breach, None, None, Some(name));
    }

    /// What a processor may remember under an identifier belongs to one root.
    fn judge_identifier(&mut self, root: &Root) {
        let by = self.now.by;
        let is_pairing = self.discipline.pairs_roots;
        let has_entries = self.has_entries(root);
        let other = self.spaces.iter().find(|(_, space)| {
            space.slot == root.slot
                && space.tag == root.tag
                && space.root != root.at
                && !root.is_common
                && space.active.has(by)
                && ((is_pairing && !space.is_retired) || (space.had_entries && has_entries))
        });
        let rule = self.identifiers();
        if let Some((_, other)) = other {
            let what = format!(
                "loads the root {:#x} into {} under the identifier {} while it may still hold \
                 translations of the root {:#x} under it",
                root.at.raw(),
                root.register,
                root.tag,
                other.root.raw()
            );
            let kind = "one identifier for two roots".to_owned();
            let breach = Breach { check: Check::Identifiers, kind, what, virt: None, rule };
            self.report(breach, None, None, Some(root.format.name()));
            return;
        }
        if !is_pairing {
            return;
        }
        let other = self.spaces.iter().find(|(_, space)| {
            !space.is_retired
                && space.slot == root.slot
                && space.root == root.at
                && space.tag != root.tag
        });
        if let Some((_, other)) = other {
            let what = format!(
                "loads the root {:#x} into {} under the identifier {}, and it has the identifier {}",
                root.at.raw(),
                root.register,
                root.tag,
                other.tag
            );
            let kind = "two identifiers for one root".to_owned();
            let rule = "casemate's discipline, not the architecture's: a root has one identifier";
            let breach = Breach { check: Check::Identifiers, kind, what, virt: None, rule };
            self.report(breach, None, None, Some(root.format.name()));
        }
    }
}

fn is_same(one: &dyn Format, other: &dyn Format) -> bool {
    let root = |format: &dyn Format| (format.levels(), format.entries(format.levels()));
    one.name() == other.name() && root(one) == root(other)
}
