//! How many faults away from a breach is this machine? Every single-bit flip of every entry.
//!
//! A flip is judged by all translations before and after it, for a processor that remembers none
//! and whose registers stay as they are. But for PKRU: a process that is out for a gain changes it
//! itself ([`at_will`](crate::audit::permits::Permits::at_will)), so what it denies is no protection, and
//! only whether something faults is asked with the register as it is. An address *gains* an access when
//! it is permitted after the flip and, before it, was not permitted there or led to another frame. What
//! a gain is worth depends on the frame it leads to; the worst gain of user mode is the flip's class:
//!
//! 1. **table-write**: a write gained to a *page-table frame*, which is one that some walk from the
//!    root reads entries from before the flip. Also when the flip turns a frame into a page table and
//!    user mode can write it after the flip, gained or not, or could before it: then the process makes
//!    its own translations, or has them made when the flip strikes. The witness is the first address at
//!    which it can, or where it can't, could.
//! 2. **kernel-write**: a write gained to *kernel memory*, which is a frame that is mapped before the
//!    flip, and by no page that user mode may access, and is no page-table frame.
//! 3. **kernel-read**: any other access gained to kernel memory or to a page-table frame.
//! 4. **other-mapping**: an access gained to a frame that user mode could access before the flip, but
//!    not at this address.
//! 5. **wider-right**: an access gained to the frame that user mode could access at this very address.
//! 6. **outside**: an access gained to a frame that nothing in the image maps; or a walk that user
//!    mode may make and that ends in a table which the image does not hold.
//! 7. **fault**: nothing gained, and some access of user mode permitted before is not any more.
//! 8. **nothing**: none of these.
//!
//! Beside that, what it gives *kernel mode* that a process can abuse ([`KernelGain`]): a fetch from,
//! or an explicit data access with EFLAGS.AC clear to, a frame that user mode could write before
//! the flip; and a write to a page-table frame. These are what SMEP, SMAP, CR0.WP and read-only
//! tables stand against (Intel SDM volume 3A, "Determination of Access Rights").
//!
//! A frame that becomes a page table by the flip itself was no table of the kernel's: what it holds is
//! left over from whoever had it. To read or execute it is therefore worth what the frame was before
//! (nobody's is *outside*), and a write of kernel mode to it is not counted: through a direct map the
//! kernel writes any frame. Only that a process writes it counts.
//!
//! A frame that is no page table before the flip is never read: what it holds when the flip strikes
//! is anybody's guess, or the process's choice if it can write it. Flips of entries that are not present and stay so are nothing.
//!
//! Left out: accesses to shadow stacks. With CR4.CET a page that is read-only and dirty at its leaf may
//! be one (Intel SDM volume 3A, "Shadow-Stack Accesses"), and a flip may make or unmake it; reads, writes
//! and fetches, which are judged, don't depend on CR4.CET.

mod class;
mod compare;
mod judge;
mod sweep;
mod view;
mod work;
mod writers;

pub(super) use compare::helps;
pub(super) use writers::first_within;

pub use class::{Class, Flip, Gain, KernelGain, TableIs, Verdict};
pub use sweep::{Counts, Progress, Swept, judge, sweep};
