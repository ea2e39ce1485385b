//! The ways in which the kernel stops itself.
//!
//! Each is a row beside the code that raises it, declared with [`bug_checks!`]; a row is also what a
//! code raises a bug check with ([`BugCheck::with`]), so that none is raised without one.

use crate::base::Basis;

use super::super::{
    deadlock, exception, frames, handle_close, integrity, irql, mdl, object, pool, pools,
    process_end, request, verified, verifier, video, watchdog,
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
    /// What the four parameters are: [`RESERVED`] for one that the page reserves, an empty name for one that
    /// it says nothing of, or zero.
    pub parameters: [&'static str; 4],
    /// The title of the page that documents it.
    pub source: &'static str,
    /// Whether the page says that it is raised then, that is inferred, or chosen here.
    pub basis: Basis,
}

/// The name of a parameter that the page reserves, which is zero here.
pub const RESERVED: &str = "reserved";

impl BugCheck {
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
    deadlock::BUG_CHECKS,
    exception::fast_fail::BUG_CHECKS,
    exception::resolve::rows::BUG_CHECKS,
    frames::BUG_CHECKS,
    handle_close::BUG_CHECKS,
    integrity::BUG_CHECKS,
    irql::BUG_CHECKS,
    mdl::BUG_CHECKS,
    verifier::BUG_CHECKS,
    verified::BUG_CHECKS,
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
