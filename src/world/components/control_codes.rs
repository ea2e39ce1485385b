//! The control codes of the drivers that have several functions, by names that a scenario may use.
//!
//! A name is a driver's and a function's, `buffers:copy`; of the vulnerable driver each function with a mistake has its
//! mended form beside it, `vulnerable:pool:mended`. A file may say the number as well, as it does for other drivers.

use crate::kernel::request::{
    METHOD_BUFFERED, METHOD_IN_DIRECT, METHOD_NEITHER, METHOD_OUT_DIRECT, control_code,
};

use super::{
    buffer_driver, object_driver, pageable_driver, record_driver, transfer_driver, vulnerable,
};

/// A function's name, its number and how its buffers are handed over.
type Function = (&'static str, u64, u64);

const VULNERABLE: &[Function] = &[
    ("write", vulnerable::WRITE, METHOD_BUFFERED),
    ("zero", vulnerable::ZERO, METHOD_BUFFERED),
    ("increment", vulnerable::INCREMENT, METHOD_BUFFERED),
    ("stack", vulnerable::STACK, METHOD_BUFFERED),
    ("stack-guarded", vulnerable::STACK_GUARDED, METHOD_BUFFERED),
    ("pool", vulnerable::POOL, METHOD_BUFFERED),
    ("make", vulnerable::MAKE, METHOD_BUFFERED),
    ("drop", vulnerable::DROP, METHOD_BUFFERED),
    ("use", vulnerable::USE, METHOD_BUFFERED),
    ("refill", vulnerable::REFILL, METHOD_BUFFERED),
    ("wrap", vulnerable::WRAP, METHOD_BUFFERED),
    ("confuse", vulnerable::CONFUSE, METHOD_BUFFERED),
    ("stale", vulnerable::STALE, METHOD_BUFFERED),
    ("null", vulnerable::NULL, METHOD_BUFFERED),
    ("fetch-twice", vulnerable::FETCH_TWICE, METHOD_NEITHER),
    ("disclose", vulnerable::DISCLOSE, METHOD_NEITHER),
    ("stale-block", vulnerable::STALE_BLOCK, METHOD_BUFFERED),
    ("clean-block", vulnerable::CLEAN_BLOCK, METHOD_BUFFERED),
    ("paged", vulnerable::PAGED, METHOD_BUFFERED),
    ("end", vulnerable::END, METHOD_BUFFERED),
    ("end-checked", vulnerable::END_CHECKED, METHOD_BUFFERED),
];

const BUFFERS: &[Function] = &[
    ("report", buffer_driver::REPORT, METHOD_NEITHER),
    ("report-unprobed", buffer_driver::REPORT_UNPROBED, METHOD_NEITHER),
    ("copy", buffer_driver::COPY, METHOD_NEITHER),
    ("copy-twice", buffer_driver::COPY_TWICE, METHOD_NEITHER),
    ("fill", buffer_driver::FILL, METHOD_OUT_DIRECT),
    ("check", buffer_driver::CHECK, METHOD_IN_DIRECT),
    ("lock", buffer_driver::LOCK, METHOD_NEITHER),
    ("unlock", buffer_driver::UNLOCK, METHOD_BUFFERED),
    ("unlock-twice", buffer_driver::UNLOCK_TWICE, METHOD_BUFFERED),
    ("tell", buffer_driver::TELL, METHOD_BUFFERED),
];

const OBJECTS: &[Function] = &[
    ("signal", object_driver::SIGNAL, METHOD_BUFFERED),
    ("signal-unchecked", object_driver::SIGNAL_UNCHECKED, METHOD_BUFFERED),
    ("identify", object_driver::IDENTIFY, METHOD_BUFFERED),
    ("identify-untyped", object_driver::IDENTIFY_UNTYPED, METHOD_BUFFERED),
    ("open-own", object_driver::OPEN_OWN, METHOD_BUFFERED),
    ("open-users", object_driver::OPEN_USERS, METHOD_BUFFERED),
    ("signal-own", object_driver::SIGNAL_OWN, METHOD_BUFFERED),
    ("keep", object_driver::KEEP, METHOD_BUFFERED),
    ("close", object_driver::CLOSE, METHOD_BUFFERED),
    ("query", object_driver::QUERY, METHOD_BUFFERED),
];

const PAGEABLE: &[Function] = &[
    ("add-up", pageable_driver::ADD_UP, METHOD_BUFFERED),
    ("add-up-held", pageable_driver::ADD_UP_HELD, METHOD_BUFFERED),
    ("keep-held", pageable_driver::KEEP_HELD, METHOD_BUFFERED),
    ("keep-held-paged", pageable_driver::KEEP_HELD_PAGED, METHOD_BUFFERED),
    ("defer", pageable_driver::DEFER, METHOD_BUFFERED),
    ("defer-add-up", pageable_driver::DEFER_ADD_UP, METHOD_BUFFERED),
];

/// The drivers whose functions have names.
const DRIVERS: &[(&str, &[Function])] = &[
    ("vulnerable", VULNERABLE),
    ("buffers", BUFFERS),
    ("objects", OBJECTS),
    ("pageable", PAGEABLE),
    ("record", &[("register", record_driver::REGISTER, METHOD_BUFFERED)]),
    ("transfer", &[("statistics", transfer_driver::STATISTICS, METHOD_BUFFERED)]),
];

/// What a mended function's name ends with.
const MENDED: &str = "mended";
/// Functions of the vulnerable driver that make no mistake.
const SOUND: &[u64] =
    &[vulnerable::MAKE, vulnerable::REFILL, vulnerable::CLEAN_BLOCK, vulnerable::END_CHECKED];

/// Whether a function of a driver has a mended form.
fn has_mended(driver: &str, number: u64) -> bool {
    driver == "vulnerable" && !SOUND.contains(&number)
}

/// The control code with a name.
#[must_use]
pub fn named(name: &str) -> Option<u64> {
    let (driver, function) = name.split_once(':')?;
    let (_, functions) = DRIVERS.iter().find(|(known, _)| *known == driver)?;
    let (function, is_mended) = match function.split_once(':') {
        Some((function, MENDED)) => (function, true),
        _ => (function, false),
    };
    let (_, number, method) = functions.iter().find(|(known, ..)| *known == function)?;
    if is_mended && !has_mended(driver, *number) {
        return None;
    }
    let mended = if is_mended { vulnerable::SECURE } else { 0 };
    Some(control_code(number + mended, *method, 0))
}

/// The names that may be meant by one that is none: those of its driver, mended where it speaks of mended ones; and one
/// of each driver where there is no such driver.
#[must_use]
pub fn names_beside(name: &str) -> Vec<String> {
    let (driver, function) = name.split_once(':').unwrap_or((name, ""));
    let Some((driver, functions)) = DRIVERS.iter().find(|(known, _)| *known == driver) else {
        return DRIVERS.iter().map(|(driver, all)| format!("{driver}:{}", all[0].0)).collect();
    };
    let wants_mended = function.contains(':');
    let those =
        functions.iter().filter(|(_, number, _)| !wants_mended || has_mended(driver, *number));
    let suffix = if wants_mended && *driver == "vulnerable" { ":mended" } else { "" };
    let names: Vec<_> = those.map(|(name, ..)| format!("{driver}:{name}{suffix}")).collect();
    if names.is_empty() {
        return functions.iter().map(|(name, ..)| format!("{driver}:{name}")).collect();
    }
    names
}

/// The name of a function, for whoever wants an example.
pub const EXAMPLE: &str = "buffers:copy";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_name_is_one_code_of_its_driver() {
        for (driver, functions) in DRIVERS {
            let mut codes = Vec::new();
            for (function, number, method) in *functions {
                let code = named(&format!("{driver}:{function}")).expect("a name");
                assert_eq!(code, 0x22_0000 | number << 2 | method, "{driver}:{function}");
                codes.push(code);
            }
            codes.sort_unstable();
            codes.dedup();
            assert_eq!(codes.len(), functions.len(), "{driver}");
        }
        assert_eq!(named("vulnerable:pool:mended"), Some(0x22_0098));
        assert_eq!(named(EXAMPLE), Some(0x22_000b));
        for wrong in [
            "buffers",
            "buffers:",
            "buffers:copy:mended",
            "vulnerable:pool:secure",
            "vulnerable:make:mended",
            "scanner:copy",
        ] {
            assert_eq!(named(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn what_is_no_name_is_told_with_those_there_are() {
        assert_eq!(names_beside("record:regster"), ["record:register"]);
        assert_eq!(names_beside("buffers:cpy").len(), BUFFERS.len());
        assert_eq!(names_beside("buffers:copy:mended").len(), BUFFERS.len(), "none is mended");
        assert_eq!(names_beside("vulnerable:pool:mendd").len(), VULNERABLE.len() - SOUND.len());
        assert!(
            names_beside("vulnerable:pool:mendd").contains(&"vulnerable:pool:mended".to_owned())
        );
        assert_eq!(names_beside("scanner:scan").len(), DRIVERS.len());
    }
}
