//! Which routines make up the kernel's image.

use crate::machine::code::substituted;
use crate::machine::{Routine, Substitute};

use super::layout::switches;
use super::{
    exception, host_time_out, interrupt, pool, schedule, service, system_call, system_thread,
    watchdog,
};

/// Where control enters the kernel by itself: gates, services, new threads, idle processors.
const ROOTS: [&Routine; 18] = [
    &system_call::KI_SYSTEM_CALL,
    &exception::KI_DIVIDE_ERROR,
    &exception::KI_BREAKPOINT,
    &exception::KI_INVALID_OPCODE,
    &exception::KI_DOUBLE_FAULT,
    &exception::KI_GENERAL_PROTECTION,
    &exception::KI_PAGE_FAULT,
    &exception::KI_FAST_FAIL,
    &exception::KI_SECURE_FAULT,
    &exception::KI_CONTROL_PROTECTION,
    &interrupt::KI_CLOCK_INTERRUPT,
    &interrupt::KI_CLOCK_INTERRUPT_CHECKING,
    &interrupt::KI_TRANSFER_INTERRUPT,
    &interrupt::KI_DISK_INTERRUPT,
    &interrupt::KI_INTERPROCESSOR_INTERRUPT,
    &schedule::KI_IDLE_LOOP,
    &schedule::KI_THREAD_START,
    &system_thread::PHASE_1_INITIALIZATION,
];

/// Where gates lead in worlds that have what is behind them.
pub const GATES_OF_SOME: &[&Routine] = &[
    &exception::KI_PAGE_FAULT_PAGED,
    &interrupt::KI_CLOCK_INTERRUPT_TRIMMING,
    &watchdog::KI_WATCHDOG_TICK,
    &interrupt::KI_TRANSFER_INTERRUPT_WATCHED,
    &exception::KI_DEBUG_TRAP,
    &exception::KI_DEBUG_TRAP_CHECKED,
    &host_time_out::KI_TIMER_INTERRUPT,
];

/// The gates of [`GATES_OF_SOME`] that a kernel with these [`switches`] has.
#[must_use]
pub fn gates(switches: u64) -> Vec<&'static Routine> {
    let [page_fault, clock, tick, transfer, debug, checked, timer] = *GATES_OF_SOME else {
        return vec![];
    };
    let is_on = |switch| switches & switch != 0;
    let is_debugged = is_on(switches::DEBUG_TRAPS);
    let is_checked = is_on(switches::DEBUG_TRAPS_CHECKED);
    [
        (is_on(switches::PAGEABLE), [page_fault, clock].as_slice()),
        (is_on(switches::WATCHDOGS), &[tick, transfer]),
        (is_on(switches::HOST_TIME_OUTS), &[timer]),
        (is_debugged, &[if is_checked { checked } else { debug }]),
    ]
    .into_iter()
    .filter(|(is_there, _)| *is_there)
    .flat_map(|(_, gates)| gates.to_vec())
    .collect()
}

/// The routines that gates lead to in a kernel with these [`switches`].
#[must_use]
pub fn handlers(switches: u64) -> Vec<&'static Routine> {
    ROOTS.into_iter().chain(gates(switches)).collect()
}

/// Everything reachable from the kernel's roots and from what other components call, except what
/// `elsewhere` already holds; each routine once, callers before callees. What has a substitute is
/// left out, and the substitute is there. `others` are further roots, which only some worlds have.
#[must_use]
pub fn routines(
    elsewhere: &[&'static Routine],
    substitutes: &[Substitute],
    others: &[&'static Routine],
) -> Vec<&'static Routine> {
    let is_elsewhere =
        |routine: &'static Routine| elsewhere.iter().any(|other| core::ptr::eq(*other, routine));
    let mut found: Vec<&'static Routine> = Vec::new();
    let callees = |routine: &'static Routine| routine.steps.iter().filter_map(|step| step.call);
    let mut waiting: Vec<&'static Routine> =
        elsewhere.iter().flat_map(|routine| callees(routine)).collect();
    let always = usize::try_from(service::ALWAYS).unwrap_or(usize::MAX);
    waiting.extend(service::TABLE.iter().take(always));
    waiting.extend(ROOTS);
    waiting.extend(others);
    while let Some(routine) = waiting.pop() {
        let routine = substituted(substitutes, routine);
        if is_elsewhere(routine) || found.iter().any(|known| core::ptr::eq(*known, routine)) {
            continue;
        }
        found.push(routine);
        waiting.extend(callees(routine));
    }
    // The pool's code lies together, so that a fault in it can be told from others.
    found.sort_by_key(|routine| pool::is_pool(routine));
    found
}
