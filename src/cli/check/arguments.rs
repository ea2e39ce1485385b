//! What can be asked of `ringfence check`.

use clap::{Args, ValueEnum};

use crate::cli::numbers::whole;

/// Options of `check`.
#[derive(Args, Debug)]
#[command(after_help = EVENTS)]
pub(crate) struct CheckArguments {
    /// Traces; `-` is standard input. Several are told as a table of verdicts.
    #[arg(required = true, value_name = "TRACE")]
    pub(crate) traces: Vec<String>,
    /// How they are written.
    #[arg(long, value_enum, default_value_t = LanguageName::Own)]
    pub(crate) format: LanguageName,
    /// One JSON object for each finding and one for each trace.
    #[arg(long)]
    pub(crate) json: bool,
    /// Findings that are told of each trace; the rest is counted.
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = whole(0, u64::MAX))]
    pub(crate) findings: u64,
}

/// How a trace is written.
#[derive(ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LanguageName {
    /// One event a line, as below.
    Own,
    /// S-expressions of casemate (rems-project/casemate): AArch64, stage 1 of EL2 and stage 2.
    Casemate,
}

const EVENTS: &str = "\
Without --format casemate (its manual describes its records) one event a line; numbers are decimal or 0x…;
behind # is a comment, such as file and line:
  trace 1 aarch64|x86-64            the first line
  init ADDRESS BYTES                memory holds zeros and may become tables
  word ADDRESS VALUE                a word that memory holds before the trace begins
  set CPU REGISTER VALUE            a translation register is written: ttbr0_el1, tcr_el1, cr3, cr4, …
  store CPU ADDRESS VALUE [release] 8 bytes are stored
  load CPU ADDRESS VALUE            8 bytes are read: a store that was not told shows
  barrier CPU NAME [KIND]           dsb ish, dsb ishst, dmb ish, isb, mfence, …
  invalidate CPU NAME [OPERANDS]    vae1is XT, vmalle1is, invlpg ADDRESS, invpcid TYPE PCID ADDRESS, …
  guard ROOT LOCK                   tables below the root are written under this lock
  lock CPU LOCK, unlock CPU LOCK    it is taken, given back
  free CPU ADDRESS [BYTES]          frames are given back
  allocate CPU ADDRESS [BYTES]      frames have a new owner
  done CPU                          the operation has returned: what it withdrew binds

Examples:
  ringfence check trace.txt                                     every finding, then what was seen
  qemu-system-aarch64 … | ringfence check -                     as it comes
  ringfence check --json trace.txt                              one JSON object each
  ringfence check --format casemate casemate/examples/expected/*.log
                                                                its verdicts beside ours

Exit codes:
  0  everything held
  1  something does not hold
  2  a mistake in the arguments or a trace, or a trace in which nothing is a table; the verdicts of other
     traces are told all the same
  130  interrupted: what was found until then is told";
