//! What this machine's KVM does with a [case](crate::oracles::recorded).
//!
//! A small guest of ours writes the case's tables, makes the access at the wanted privilege level
//! and says what became of it. Whose answer that is depends on the host: with nested page tables it
//! is the processor's; a KVM that keeps shadow tables, and a paravirtual one above all, answers with
//! its own software walker. [`Kind`] says which.
//!
//! | module | answers |
//! |---|---|
//! | [`answer`] | what was seen? |
//! | [`abstention`] | what is not asked, and why? |
//! | [`feature`] | what may a guest lack? |
//! | `trial` | what must a guest do before its answers count? |
//! | `records` | what is the guest told of a case, and what does it say? |
//! | `agent`, `assembler` | which instructions does the guest run? |
//! | `layout`, `system` | what lies where in its memory? |
//! | `guest`, `processor` | how is it made to run? |
//!
//! Only here does the crate reach the host from below its command line, and only here is unsafe code
//! (in `guest`): with the feature `kvm`, for tests. No world ever asks.

pub mod abstention;
mod agent;
pub mod answer;
mod assembler;
pub mod feature;
mod guest;
mod kind;
mod layout;
mod oracle;
mod processor;
mod records;
mod system;
mod trial;

pub use abstention::Abstention;
pub use answer::{Answer, Skipped};
pub use feature::Feature;
pub use kind::Kind;
pub use oracle::{LeftOut, Oracle};
