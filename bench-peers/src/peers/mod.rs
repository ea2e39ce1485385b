//! Other people's page walks, each behind the interface its author gave it.
//!
//! None of them checks what this crate checks; what each leaves out is not said here. Where an
//! interface has a cheaper way in, that way is taken.

#[cfg(feature = "memflow")]
mod memflow;
mod page_table_generic;
mod page_table_multiarch;
mod page_walker;
mod rsemu;
#[cfg(feature = "vmi")]
mod vmi;
mod x86_64;

use crate::subject::Subject;
use crate::tables::Tables;

pub(crate) fn all(tables: Tables) -> Vec<Box<dyn Subject>> {
    let mut all = x86_64::all(tables);
    all.push(page_table_multiarch::query(tables));
    all.push(page_table_generic::translate_phys(tables));
    all.push(rsemu::walk_of(tables));
    all.push(page_walker::read_pte(tables));
    #[cfg(feature = "vmi")]
    all.extend(vmi::all(tables));
    #[cfg(feature = "memflow")]
    all.extend(memflow::all(tables));
    all
}
