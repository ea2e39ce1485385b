//! Code that runs as it is under the suite: its stores through raw pointers are trapped, its privileged
//! instructions emulated. What is found is what is found through the accessor.

#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
#[path = "../conformance/bug.rs"]
mod bug;
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
mod deaths;
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
mod entrances;
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
mod equal;
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
#[path = "../conformance/fatal.rs"]
mod fatal;
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
mod kernel;
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
mod raw;
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
#[path = "../conformance/tables.rs"]
mod tables;
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
mod wild;
#[cfg(not(all(target_os = "linux", target_arch = "x86_64")))]
#[test]
#[ignore = "SKIPPED: the store trap and the privileged shim are for Linux on x86-64"]
fn code_runs_as_it_is() {}
