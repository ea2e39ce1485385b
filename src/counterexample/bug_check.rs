//! What a bug check's code and parameters say.
//!
//! Names and meanings as in the Windows debugger documentation ("Bug Check Code Reference").

use crate::kernel::bug_check::code;

/// A bug check's name and what its four parameters are; an empty name for one that says nothing.
struct Meaning {
    code: u64,
    name: &'static str,
    parameters: [&'static str; 4],
}

macro_rules! meanings {
    ($($name:ident: $a:literal, $b:literal, $c:literal, $d:literal;)*) => {
        const MEANINGS: &[Meaning] = &[$(Meaning {
            code: code::$name,
            name: stringify!($name),
            parameters: [$a, $b, $c, $d],
        }),*];
    };
}

meanings! {
    IRQL_NOT_LESS_OR_EQUAL: "referenced", "level", "access", "by the code at";
    REFERENCE_BY_POINTER: "type", "object", "", "";
    BAD_POOL_HEADER: "what", "block", "", "";
    MEMORY_MANAGEMENT: "what", "", "", "";
    KMODE_EXCEPTION_NOT_HANDLED: "exception", "at", "", "";
    SYSTEM_SERVICE_EXCEPTION: "exception", "at", "", "";
    MULTIPLE_IRP_COMPLETE_REQUESTS: "packet", "", "", "";
    PFN_LIST_CORRUPT: "what", "", "", "";
    PAGE_FAULT_IN_NONPAGED_AREA: "referenced", "access", "by the code at", "";
    SYSTEM_THREAD_EXCEPTION_NOT_HANDLED: "exception", "at", "", "";
    UNEXPECTED_KERNEL_MODE_TRAP: "trap", "", "", "";
    ATTEMPTED_WRITE_TO_READONLY_MEMORY: "written", "", "", "";
    BAD_POOL_CALLER: "what", "", "", "";
    DRIVER_IRQL_NOT_LESS_OR_EQUAL: "referenced", "level", "access", "by the code at";
    CRITICAL_PROCESS_DIED: "process", "", "", "";
    ATTEMPTED_EXECUTE_OF_NOEXECUTE_MEMORY: "executed", "", "", "";
    KERNEL_SECURITY_CHECK_FAILURE: "what", "", "", "";
    BAD_OBJECT_HEADER: "object", "", "", "";
}

/// The name of a bug check, as far as it has one here.
#[must_use]
pub fn name(code: u64) -> &'static str {
    MEANINGS.iter().find(|meaning| meaning.code == code).map_or("(no name)", |meaning| meaning.name)
}

/// Its parameters with their names, those without a name only when they are not zero.
#[must_use]
pub fn parameters(code: u64, values: [u64; 4]) -> String {
    let names =
        MEANINGS.iter().find(|meaning| meaning.code == code).map_or([""; 4], |m| m.parameters);
    let told: Vec<String> = names
        .iter()
        .zip(values)
        .enumerate()
        .filter(|(_, (name, value))| !name.is_empty() || *value != 0)
        .map(|(number, (name, value))| match *name {
            "" => format!("parameter {} {value:#x}", number + 1),
            name => format!("{name} {value:#x}"),
        })
        .collect();
    told.join(", ")
}
