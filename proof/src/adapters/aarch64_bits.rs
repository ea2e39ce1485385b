//! Attributes of a stage 1 descriptor as the interfaces of `aarch64-paging` spell them.

use ringfence::conformance::Rights;

const VALID: usize = 1 << 0;
/// Attribute index 1, inner shareable: `NORMAL` where the crate names it.
const NORMAL: usize = 1 << 2 | 3 << 8;
const USER: usize = 1 << 6;
const READ_ONLY: usize = 1 << 7;
const ACCESSED: usize = 1 << 10;
const PRIVILEGED_EXECUTE_NEVER: usize = 1 << 53;
const USER_EXECUTE_NEVER: usize = 1 << 54;

/// Everything that a change of rights may set or clear.
pub(crate) const RIGHTS: usize = USER | READ_ONLY | PRIVILEGED_EXECUTE_NEVER | USER_EXECUTE_NEVER;

/// The bits that grant these rights, and no fetch by the side that the page is not for.
pub(crate) fn rights_bits(rights: Rights) -> usize {
    let user = if rights.has(Rights::USER) { USER } else { 0 };
    let write = if rights.has(Rights::WRITE) { 0 } else { READ_ONLY };
    let execute = match (rights.has(Rights::EXECUTE), rights.has(Rights::USER)) {
        (false, _) => PRIVILEGED_EXECUTE_NEVER | USER_EXECUTE_NEVER,
        (true, true) => PRIVILEGED_EXECUTE_NEVER,
        (true, false) => USER_EXECUTE_NEVER,
    };
    user | write | execute
}

/// The attributes of a new page.
pub(crate) fn bits(rights: Rights) -> usize {
    VALID | NORMAL | ACCESSED | rights_bits(rights)
}
