//! What does the operating system do when asked?
//!
//! Routines of named steps over structures in simulated memory. Nothing here is remembered on the
//! Rust side: every pointer, count and table is read back at each use, so that a wild write reaches
//! all of it.
//!
//! | module | answers |
//! |---|---|
//! | [`layout`] | where is what, and how is it laid out? |
//! | [`system_call`], [`service`] | how does user mode ask, and for what? |
//! | [`exception`], [`interrupt`], [`watchdog`], [`bug_check`] | what when something goes wrong, or arrives? |
//! | [`integrity`] | what when it was changed behind the kernel's back? |
//! | [`keys`] | which driver's data may a driver write? |
//! | [`user_context`] | where does a thread go on? |
//! | [`schedule`] | who runs next? |
//! | [`irql`], [`residency`] | what may be touched at which level, and is it there? |
//! | [`frames`], [`paging`], [`virtual_memory`], [`section`], [`mdl`] | which memory is whose? |
//! | [`pool`], [`pools`], [`object`] | where do the kernel's own things live? |
//! | [`handle`], [`access`], [`handle_close`], [`handle_duplicate`], [`handle_information`] | what does a handle stand for? |
//! | [`previous_mode`] | in whose name is a service asked for? |
//! | [`process_create`], [`process_open`], [`process_end`] | how do processes begin and end? |
//! | [`thread_create`], [`thread_end`] | and further threads of theirs? |
//! | [`address_space`], [`address_space_end`] | and their address spaces? |
//! | [`shadow`], [`transition`] | and what is left of them while user mode runs? |
//! | [`request`], [`control_code`], [`io_open`], [`io_transfer`], [`io_disk`], [`host`], [`host_pool`], [`host_service`], [`host_stack`], [`host_time_out`], [`host_expiry`], [`host_record`], [`event_log`] | how does a request reach a driver? |
//! | [`verifier`], [`verified`], `deadlock`, `ddi_compliance`, `invariant_mdl`, `force_pending`, `delay_fuzzing`, [`dma_verification`], [`code_integrity`] | what does Driver Verifier look at? |
//! | [`video`] | what when the display adapter hangs? |
//! | [`hal`] | who touches the hardware? |
//! | [`rules`] | by whose word is all that? |
//! | [`configured`] | what is it configured to do, and what is wrong in its code? |
//! | [`unread`] | which fields matter to nobody, and why? |

pub mod access;
pub mod address_space;
pub mod address_space_end;
pub mod bug_check;
pub mod code_integrity;
pub mod configured;
pub mod control_code;
mod ddi_compliance;
mod deadlock;
mod delay_fuzzing;
pub mod dma_verification;
mod driver_code;
pub mod event;
pub mod event_log;
pub mod exception;
mod force_pending;
pub mod frames;
pub mod hal;
pub mod handle;
pub mod handle_close;
pub mod handle_duplicate;
pub mod handle_information;
pub mod handle_value;
pub mod host;
pub mod host_create;
pub mod host_expiry;
pub mod host_pool;
pub mod host_record;
pub mod host_service;
pub mod host_stack;
pub mod host_time_out;
pub mod image;
pub mod integrity;
pub mod interrupt;
mod invariant_mdl;
pub mod io_disk;
pub mod io_open;
pub mod io_transfer;
pub mod irql;
pub mod keys;
pub mod layout;
pub mod loader;
mod lock;
pub mod mdl;
pub mod object;
pub mod paging;
pub mod pool;
pub mod pools;
pub mod previous_mode;
pub mod process_create;
pub mod process_end;
pub mod process_open;
pub mod request;
pub mod residency;
pub mod rules;
pub mod schedule;
pub mod section;
pub mod service;
pub mod shadow;
pub mod status;
pub mod system_call;
pub mod system_thread;
pub mod thread_create;
pub mod thread_end;
pub mod transition;
pub mod unread;
pub mod user_buffer;
pub mod user_context;
pub mod verified;
pub mod verifier;
pub mod video;
pub mod virtual_memory;
pub mod watchdog;
