//! Examples and exit codes below each command's help.

/// Of the program.
pub(super) const ALL: &str = "\
Examples:
  ringfence                                      a campaign over generated worlds, as a table
  ringfence campaign standard --jobs 2 --json    the built-in world, one JSON object a line
  ringfence sweep incidents/I01                  every single fault of one world, counted exactly
  ringfence run incidents/I01                    an incident, told as a story
  ringfence replay case.toml                     a stored case: does it still show what it shows?
  ringfence explain crash-5f3a                   a fuzz artefact as a readable case
  ringfence list faults                          every kind of fault with its source
  ringfence live-bytes                           which bytes of the kernel anybody looks at
  ringfence translate --expect cases.csv         recorded translation cases against this machine
  ringfence audit tables.bin.zst --flip          a machine's page tables, and each flipped bit
  ringfence check trace.txt                      a recorded trace of page-table code, store by store
  ringfence margin compare before.txt after.txt  page-table code, before and after a commit

Exit codes:
  0    everything held
  1    a guarantee was violated, an expectation was missed, or no fault of a campaign struck
  2    a mistake in the arguments or a file
  130  interrupted; what was printed is marked partial";

/// Of `campaign`.
pub(super) const CAMPAIGN: &str = "\
Examples:
  ringfence campaign --seeds 0..10000 --jobs 2            many generated worlds
  ringfence campaign standard --fault wild-write,crash    two kinds of fault in the built-in world
  ringfence campaign --seeds 7 --only 12                  one experiment of it, as a story
  ringfence campaign --compare                            homes of a driver, and each protection
  ringfence campaign --compare smep=off smap=on+iommu=on  the same faults, with other switches
  ringfence campaign I01 --compare home=kernel home=own-host
  ringfence campaign --mix nooks --errors 5               five faults of one component each
  ringfence campaign --mix swifi=3,edfi=1                 a fault load of two models, three to one
  ringfence campaign --save cases                         violations, minimised, as files
  ringfence campaign --json | tail -n 1                   the summary

Exit codes:
  0    every guarantee held
  1    a guarantee was violated, and a replay line names the experiment; or no fault struck, in any
       configuration, so that nothing was tried
  2    a mistake in the arguments or a file, or no room for the output
  130  Ctrl-C: what was found up to there is printed and marked partial; a second one ends at once";

/// Of `sweep`.
pub(super) const SWEEP: &str = "\
Examples:
  ringfence sweep incidents/I01                             all defects, at every injection point
  ringfence sweep standard --fault lost-store,skipped-probe two kinds of fault
  ringfence sweep standard --fault bit-flip --check-one-in 1000
  ringfence sweep standard --fault torn-store --horizon 500 how long their damage sleeps
  ringfence sweep incidents/I01 --only 4711                 one of its faults, as a story

Exit codes:
  0    every guarantee held
  1    a guarantee was violated, or a fault came to something else than the one that stood for it; or no
       fault struck, so that nothing was tried
  2    a mistake in the arguments or a file, or no room for the output
  130  Ctrl-C: what was found up to there is printed and marked partial; a second one ends at once";

/// Of `run`.
pub(super) const RUN: &str = "\
Examples:
  ringfence run standard                   the built-in world by itself
  ringfence run incidents/I01              the boot loop of July 2024; its number is enough
  ringfence run case.toml --trace          every event, then the story

Exit codes:
  0    what the file expects came true; without an expectation, every guarantee held
  1    an expectation was missed, or a guarantee violated that nobody expected; or no fault of the plan
       struck, which nobody expected
  2    a mistake in the arguments or the file
  130  Ctrl-C: what was printed up to there is marked partial";

/// Of `replay`.
pub(super) const REPLAY: &str = "\
Examples:
  ringfence replay cases/violation-7-12.toml           does the fault still do what the file says?
  ringfence replay cases/violation-7-12.toml --json    the same as an object

`run` tells what happens; `replay` answers whether a stored case is reproduced: its fault strikes and
its expectation, such as the violation that it was stored for, comes true. Of a file without [expect]
nothing can be reproduced: its faults have to strike and guarantees to hold, and `reproduced` is null.

Exit codes:
  0    reproduced; without [expect], every guarantee held
  1    not reproduced: the fault no longer strikes, or an expectation was missed; without [expect], a
       guarantee was violated
  2    a mistake in the arguments or the file; a file of another format, with what no longer resolves
  130  Ctrl-C before its end: nothing is known of it";

/// Of `explain`.
pub(super) const EXPLAIN: &str = "\
Examples:
  ringfence explain fuzz/artifacts/world/crash-5f3a    bytes that a fuzz target stopped at
  ringfence explain bytes.bin --target translate       the same where the folder does not tell
  ringfence explain case.toml                          a case in words and as a test

Exit codes:
  0  it was explained
  2  it is no case that can be read, with the place where it stops to be one";

/// Of `list`.
pub(super) const LIST: &str = "\
Examples:
  ringfence list scenarios             what `run` and `campaign` take by name
  ringfence list invariants --json     each with what it promises and its source

Exit codes:
  0  listed
  2  a mistake in the arguments";

/// Of `margin` and `margin compare`.
pub(super) const MARGIN: &str = "\
Examples:
  ringfence margin compare before.txt after.txt    two prints of one suite, from two commits
  ringfence margin compare before.txt after.txt --json | tail -n 1    the summary

A print comes from a test: println!(\"{}\", ringfence::conformance::mapper(MyTables::new).margins()).

Exit codes:
  0  no margin got smaller
  1  a margin got smaller: fewer faults suffice for a breach, or more single ones do
  2  a mistake in the arguments, or a file that is no such print, with line and column";

/// Of `live-bytes`.
pub(super) const LIVE_BYTES: &str = "\
Examples:
  ringfence live-bytes --all                           fields in all worlds, and why some bytes are dead
  ringfence live-bytes standard                        one world's fields, and a sample of its memory
  ringfence live-bytes standard --every 1 --moments 1  every byte of its memory once, in mid-run

Exit codes:
  0    measured
  2    a mistake in the arguments or the file
  130  Ctrl-C: what was found up to there is printed and marked partial";
