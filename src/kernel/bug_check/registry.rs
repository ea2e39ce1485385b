//! The ways in which the kernel stops itself.
//!
//! Each is a row beside the code that raises it, declared with [`bug_checks!`]; a row is also what a
//! code raises a bug check with ([`BugCheck::with`]), so that none is raised without one.

use crate::base::Basis;

use super::super::{
    code_integrity, ddi_compliance, deadlock, dma_verification, exception, frames, handle_close,
    integrity, invariant_mdl, irql, mdl, object, pool, pools, process_end, request, verified,
    verifier, video, watchdog,
};

/// A way in which the kernel stops itself: a code and, where one code says several things, the value
/// of the parameter that tells them apart.
#[derive(PartialEq, Eq, Debug)]
pub struct BugCheck {
    /// The code.
    pub code: u64,
    /// The code's name in the debugger documentation.
    pub name: &'static str,
    /// Which parameter (1 to 4) has which value.
    pub subtype: Option<(u8, u64)>,
    /// When it is raised.
    pub when: &'static str,
    /// What the four parameters are: a name; with a colon and what its value says behind it, where this row has
    /// one value there; [`RESERVED`] for one that the page reserves, says nothing of, or says to be zero.
    pub parameters: [&'static str; 4],
    /// The title of the page that documents it.
    pub source: &'static str,
    /// Whether the page says that it is raised then, that is inferred, or chosen here.
    pub basis: Basis,
}

/// The name of a parameter that the page reserves, says nothing of, or says to be zero; it is zero here.
pub const RESERVED: &str = "reserved";

/// Status of an exception that is an access violation; its first parameter is the access.
const ACCESS_VIOLATION: u32 = 0xc000_0005;

impl BugCheck {
    /// A parameter with its name, number 0 to 3, its value and what that says: `access 0x0 (read)`.
    #[must_use]
    pub fn told(&self, number: usize, values: [u64; 4]) -> String {
        let (label, value) = (self.parameters[number], values[number]);
        let (name, meaning) = match label.split_once(": ") {
            Some((name, meaning)) => (name, Some(meaning)),
            None => (label, None),
        };
        // An exception has an access only where it is of one.
        let exception = self.parameters.iter().position(|name| *name == "exception");
        #[allow(
            clippy::cast_possible_truncation,
            reason = "a status has 32 bits, and its sign above them"
        )]
        let is_accessed = exception.is_none_or(|at| values[at] as u32 == ACCESS_VIOLATION);
        let words = match (name, value) {
            ("access", 0) if is_accessed => Some("read"),
            ("access", 1 | 2) if is_accessed => Some("write"),
            ("access", 8 | 0x10) if is_accessed => Some("execute"),
            ("access mode", 0) => Some("kernel mode"),
            ("access mode", 1) => Some("user mode"),
            _ => meaning.filter(|_| self.is_of(values)),
        };
        words.map_or_else(
            || format!("{name} {value:#x}"),
            |words| format!("{name} {value:#x} ({words})"),
        )
    }

    /// The arguments of [`KE_BUG_CHECK`](super::KE_BUG_CHECK): the code and these parameters.
    ///
    /// # Panics
    ///
    /// When the parameters are those of another subtype: our bug.
    #[must_use]
    pub fn with(&self, parameters: [u64; 4]) -> [u64; 5] {
        assert!(self.is_of(parameters), "{} is not raised with {parameters:x?}", self.name);
        let [first, second, third, fourth] = parameters;
        [self.code, first, second, third, fourth]
    }

    /// Whether parameters are of this subtype.
    #[must_use]
    pub fn is_of(&self, parameters: [u64; 4]) -> bool {
        self.subtype.is_none_or(|(number, value)| parameters[usize::from(number) - 1] == value)
    }
}

/// Declares the rows of a file: `NAME: CODE[, parameter N = VALUE], when "…", parameters "…", "…",
/// "…", "…", source "…" documented;` (or `inferred`, or `chosen`). Makes a static of each and the list
/// `BUG_CHECKS`.
macro_rules! bug_checks {
    (@subtype) => { None };
    (@subtype $number:literal $value:expr) => { Some(($number, $value)) };
    (@basis documented) => { $crate::base::Basis::Documented };
    (@basis inferred) => { $crate::base::Basis::Inferred };
    (@basis chosen) => { $crate::base::Basis::Chosen };
    ($(
        $NAME:ident: $CODE:ident $(, parameter $number:literal = $value:expr)?,
        when $when:literal,
        parameters $a:literal, $b:literal, $c:literal, $d:literal,
        source $source:literal $basis:ident;
    )+) => {
        $(pub(crate) static $NAME: $crate::kernel::bug_check::BugCheck =
            $crate::kernel::bug_check::BugCheck {
                code: $crate::kernel::bug_check::code::$CODE,
                name: stringify!($CODE),
                subtype: $crate::kernel::bug_check::bug_checks!(@subtype $($number $value)?),
                when: $when,
                parameters: [$a, $b, $c, $d],
                source: $source,
                basis: $crate::kernel::bug_check::bug_checks!(@basis $basis),
            };)+
        /// The bug checks that this file raises.
        pub(crate) static BUG_CHECKS: &[&$crate::kernel::bug_check::BugCheck] = &[$(&$NAME),+];
    };
}
pub(crate) use bug_checks;

/// Every file's.
static FILES: &[&[&BugCheck]] = &[
    code_integrity::BUG_CHECKS,
    deadlock::BUG_CHECKS,
    dma_verification::BUG_CHECKS,
    exception::fast_fail::BUG_CHECKS,
    exception::resolve::rows::BUG_CHECKS,
    frames::BUG_CHECKS,
    handle_close::BUG_CHECKS,
    integrity::BUG_CHECKS,
    irql::BUG_CHECKS,
    mdl::BUG_CHECKS,
    verifier::BUG_CHECKS,
    verified::BUG_CHECKS,
    ddi_compliance::BUG_CHECKS,
    invariant_mdl::BUG_CHECKS,
    object::BUG_CHECKS,
    pool::BUG_CHECKS,
    pools::damage::BUG_CHECKS,
    pools::special::BUG_CHECKS,
    process_end::BUG_CHECKS,
    request::BUG_CHECKS,
    video::BUG_CHECKS,
    watchdog::BUG_CHECKS,
];

/// All of them, in the order of their codes and subtypes.
#[must_use]
pub fn all() -> Vec<&'static BugCheck> {
    let mut rows: Vec<&'static BugCheck> = FILES.iter().copied().flatten().copied().collect();
    rows.sort_by_key(|row| (row.code, row.subtype));
    rows
}

/// The row of a bug check that was raised; `None` for one that no row describes.
#[must_use]
pub fn described(code: u64, parameters: [u64; 4]) -> Option<&'static BugCheck> {
    let rows = || FILES.iter().copied().flatten().copied().filter(|row| row.code == code);
    // Where a code says several things, one of them without a subtype, that is what remains.
    let told_apart = rows().find(|row| row.subtype.is_some() && row.is_of(parameters));
    told_apart.or_else(|| rows().find(|row| row.subtype.is_none())).or_else(|| rows().next())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_code_and_subtype_is_described_once_unless_conditions_differ() {
        let rows = all();

        for pair in rows.windows(2) {
            let same = (pair[0].code, pair[0].subtype) == (pair[1].code, pair[1].subtype);
            assert!(!same || pair[0].when != pair[1].when, "{pair:?}");
        }
    }

    #[test]
    fn a_code_has_one_name_and_its_page_says_the_same() {
        for row in all() {
            let title = format!("Bug Check {:#04X}: {}", row.code, row.name);
            let title = title.replace("0X", "0x");
            assert!(row.source.contains(&title), "{}: expected “{title}”", row.source);
        }
    }

    #[test]
    fn every_parameter_has_a_name_and_a_value_that_stands_for_something_its_meaning() {
        for row in all() {
            let named = row.parameters.iter().filter(|label| **label != RESERVED);
            let names: Vec<&str> = named
                .map(|label| label.split_once(": ").map_or(*label, |(name, _)| name))
                .collect();
            for (number, label) in row.parameters.iter().enumerate() {
                assert!(label.starts_with(|c: char| c.is_ascii_lowercase()), "{row:?}");
                assert!(label.trim() == *label && !label.ends_with(':'), "{row:?}");
                let is_told_apart =
                    row.subtype.is_some_and(|(which, _)| usize::from(which) == number + 1);
                assert!(!is_told_apart || label.contains(": "), "{label}: says nothing: {row:?}");
                assert!(
                    !matches!(*label, "what" | "why"),
                    "says nothing without a meaning: {row:?}"
                );
            }
            let mut once = names.clone();
            once.sort_unstable();
            once.dedup();
            assert_eq!(once.len(), names.len(), "two parameters of one name: {row:?}");
        }
    }

    #[test]
    fn a_parameter_is_told_with_what_its_value_says() {
        let told =
            |code, values, number| described(code, values).expect("a row").told(number, values);

        assert_eq!(told(0x76, [0, 8, 1, 0], 0), "what 0x0 (end with locked pages)");
        assert_eq!(told(0x50, [8, 0, 0x10, 0], 3), "why 0x0 (entry was freed)");
        for (value, word) in [(0, "read"), (1, "write"), (2, "write"), (0x10, "execute")] {
            assert_eq!(told(0x50, [8, value, 0x10, 2], 1), format!("access {value:#x} ({word})"));
        }
        assert_eq!(told(0xd1, [8, 2, 8, 0x10], 2), "access 0x8 (execute)");
        assert_eq!(told(0xd1, [8, 2, 7, 0x10], 2), "access 0x7");
        assert_eq!(told(0x1e, [0xffff_ffff_c000_0005, 8, 0, 9], 2), "access 0x0 (read)");
        assert_eq!(told(0x1e, [0xffff_ffff_c000_001d, 8, 0, 0], 2), "access 0x0", "of no access");
    }

    #[test]
    fn a_subtype_is_told_by_one_of_four_parameters() {
        for row in all() {
            assert!(row.subtype.is_none_or(|(number, _)| (1..=4).contains(&number)), "{row:?}");
            assert!(!row.when.is_empty() && !row.when.ends_with('.'), "{row:?}");
        }
    }

    #[test]
    fn what_is_raised_is_described_by_its_own_row() {
        for row in all() {
            let mut parameters = [u64::MAX; 4];
            if let Some((number, value)) = row.subtype {
                parameters[usize::from(number) - 1] = value;
            }

            let [code, rest @ ..] = row.with(parameters);

            let found = described(code, rest).expect("it has a row");
            assert_eq!((found.code, found.subtype), (row.code, row.subtype));
        }
    }
}
