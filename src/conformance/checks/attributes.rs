//! A page keeps what is neither its address nor its rights.
//!
//! A memory type decides whether a store reaches a device, a page that became global is used by other address
//! spaces, and what software keeps in an entry nobody else can restore. Code that replaces entries by others, above
//! all when it splits a large page, has to bring all of that over for each page: the bit for the memory type lies
//! elsewhere in a large page. Nothing of it shows in addresses and rights.
//!
//! A dirty flag that is read and thrown away is a write forgotten all the same, as long as the page stays mapped: a
//! call that hands flags out says so by unmapping. Judged for pages outside of the request, and inside of it where
//! processors are said to use the tables.
//!
//! Not checked here: pages that are mapped anew; between two stores; calls with another one within; the accessed
//! flag, which code may clear to see who uses a page; whether a page is global when its rights change, since code may
//! derive that from whose page it is; and inside of a request what code doesn't say that it keeps.

use crate::base::Page;
use crate::conformance::breach::{Breach, Check, INTERFACE};
use crate::conformance::format::{Attributes, Rule};
use crate::conformance::operation::Call;
use crate::conformance::scene::Scene;
use crate::conformance::subject::{Capabilities, Capability};
use crate::conformance::tables::{Leaf, level_of};

/// Whose page it is that was changed.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Side {
    Outside,
    Inside,
}

/// What is to be compared when a call has returned.
pub(crate) struct Kept {
    capabilities: Capabilities,
    /// Bits that the code gives a meaning of its own.
    own_bits: u64,
    leaves: Vec<Leaf>,
}

/// The leaves with what their entries hold now: a listing is not made anew for flags that hardware sets.
fn leaves(scene: &Scene) -> Vec<Leaf> {
    let leaves = scene.listing.leaves.iter();
    leaves.map(|leaf| Leaf { bits: scene.word(leaf.at), ..*leaf }).collect()
}

impl Kept {
    /// A call begins.
    pub(crate) fn begin(scene: &Scene, capabilities: Capabilities, own_bits: u64) -> Self {
        Self { capabilities, own_bits, leaves: leaves(scene) }
    }

    /// When a call has returned.
    pub(crate) fn returned(&self, scene: &Scene, call: &Call) -> Option<Breach> {
        let marked = scene.used.map(|used| {
            let bits = scene.format.marked(level_of(used.size), used.bits, true);
            Leaf { bits, ..used }
        });
        let now = leaves(scene);
        let marked_pairs = pairs(marked.as_slice(), &now);
        let pairs = pairs(&self.leaves, &now).into_iter().chain(marked_pairs);
        let mut breaches = pairs.filter_map(|pair| self.pair(scene, call, pair));
        let first = breaches.next()?;
        // What happens to others is graver.
        let is_outside = |breach: &Breach| breach.check == Check::Isolation;
        let outside = if is_outside(&first) { None } else { breaches.find(is_outside) };
        Some(outside.unwrap_or(first))
    }

    fn pair(&self, scene: &Scene, call: &Call, pair: Pair) -> Option<Breach> {
        let Pair { was, is, first, end } = pair;
        let attributes = |leaf: &Leaf| scene.format.attributes(level_of(leaf.size), leaf.bits);
        let (had, has) = (attributes(&was)?, attributes(&is)?);
        if had == has {
            return None;
        }
        let is_map = matches!(call, Call::Map { .. } | Call::MapRange { .. });
        let region = scene.region;
        let is_partly_inside = region.pages > 0
            && first.0 < region.first.0.saturating_add(region.pages)
            && region.first.0 < end.0;
        let side = if region.holds(first) && region.holds(Page(end.0 - 1)) {
            Side::Inside
        } else {
            Side::Outside
        };
        // The page that is told: the first one outside of the request.
        let page = match side {
            Side::Inside if is_map => return None,
            Side::Outside if is_partly_inside && region.holds(first) => {
                Page(region.first.0 + region.pages)
            }
            _ => first,
        };
        let (check, how) = self.differs(side, had, has)?;
        let whose = if side == Side::Inside { "of the request" } else { "outside of the request" };
        let what = format!(
            "changes {}, {whose}: {} becomes {}",
            page.start(),
            scene.format.describe(level_of(was.size), was.bits),
            scene.format.describe(level_of(is.size), is.bits)
        );
        let (kind, rule) = match (check, side) {
            (Check::Marks, _) => (how.to_owned(), scene.format.rule(Rule::Marks)),
            (_, Side::Outside) => {
                (format!("a page outside gets {how}"), scene.format.rule(Rule::Translation))
            }
            (_, Side::Inside) => (format!("{}: a page gets {how}", call.name()), INTERFACE),
        };
        let virt = Some(page.start());
        Some(Breach { virt, ..scene.breach(check, kind, what, rule) })
    }

    fn differs(
        &self,
        side: Side,
        had: Attributes,
        has: Attributes,
    ) -> Option<(Check, &'static str)> {
        let has_capability = |capability| self.capabilities.has(capability);
        let is_outside = side == Side::Outside;
        let is_kept = is_outside || has_capability(Capability::KeepsAttributes);
        let is_clean = had.dirty == Some(true) && has.dirty == Some(false);
        let differs = check_of(side);
        if is_kept && had.memory != has.memory {
            Some((differs, "another memory type"))
        } else if is_outside && had.global != has.global {
            Some((differs, if has.global { "global" } else { "an address space of its own" }))
        } else if is_kept && (had.software ^ has.software) & !self.own_bits != 0 {
            Some((differs, "other bits of software"))
        } else if is_clean && (is_outside || has_capability(Capability::HardwareMarks)) {
            Some((Check::Marks, "dirty flag is thrown away"))
        } else {
            None
        }
    }
}

const fn check_of(side: Side) -> Check {
    match side {
        Side::Outside => Check::Isolation,
        Side::Inside => Check::Request,
    }
}

/// The same pages before and after, by one leaf each.
#[derive(Clone, Copy)]
struct Pair {
    was: Leaf,
    is: Leaf,
    first: Page,
    end: Page,
}

fn end_of(leaf: &Leaf) -> u64 {
    leaf.first.page().0 + leaf.size.frames()
}

/// The pages of two leaves, if they lead to the same frames by other entries.
fn pair(was: &Leaf, is: &Leaf) -> Option<Pair> {
    let first = was.first.max(is.first);
    let end = end_of(was).min(end_of(is));
    let address = |leaf: &Leaf| leaf.page.plus(first.0 - leaf.first.0);
    let is_changed = (was.at, was.bits, was.size) != (is.at, is.bits, is.size);
    let is_same = first.page().0 < end && address(was) == address(is);
    (is_changed && is_same).then(|| Pair {
        was: *was,
        is: *is,
        first: first.page(),
        end: Page(end),
    })
}

/// Both are in the order of addresses.
fn pairs(before: &[Leaf], after: &[Leaf]) -> Vec<Pair> {
    let mut pairs = Vec::new();
    let mut rest = after;
    for was in before {
        let passed = rest.iter().take_while(|is| end_of(is) <= was.first.page().0).count();
        rest = rest.get(passed..).unwrap_or_default();
        let meeting = rest.iter().take_while(|is| is.first.page().0 < end_of(was));
        pairs.extend(meeting.filter_map(|is| pair(was, is)));
    }
    pairs
}
