//! What can be asked on the command line.

use clap::{Args, CommandFactory as _, FromArgMatches as _, Parser, Subcommand, ValueEnum};

use crate::base::nearest;
use crate::campaign::Seeds;
use crate::campaign::replay::EXPERIMENTS;
use crate::campaign::series::ERRORS_MAX;
use crate::campaign::sweep::CHECK_ONE_IN;
use crate::faults::Registry;

use super::audit::AuditArguments;
use super::check::arguments::CheckArguments;
use super::examples;
use super::numbers::{seed, seed_end, whole};
use super::translate::arguments::TranslateArguments;

/// The whole command line.
#[derive(Parser, Debug)]
#[command(
    name = "ringfence",
    version,
    about = "Deterministic fault injection for the boundary between user mode and kernel mode",
    long_about = "Deterministic fault injection for the boundary between user mode and kernel mode.\n\n\
        Without a command it runs a campaign over generated worlds and prints what a fault can reach.",
    after_help = examples::ALL,
    subcommand_required = false,
    args_conflicts_with_subcommands = true
)]
pub(crate) struct Arguments {
    /// What to do; a campaign when nothing is said.
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
    /// Options of the campaign that runs when no command is given.
    #[command(flatten)]
    pub(crate) campaign: CampaignArguments,
}

impl Arguments {
    /// Reads the command line.
    ///
    /// # Errors
    ///
    /// What is wrong with it; or help or the version, which is no mistake.
    pub(crate) fn read() -> Result<Self, clap::Error> {
        let mut command = with_negative_numbers(Self::command());
        let matches = command.try_get_matches_from_mut(std::env::args_os())?;
        Self::from_arg_matches(&matches).map_err(|error| error.format(&mut command))
    }
}

/// Takes a negative number for an option's value. It would be taken for an option that isn't there, with
/// advice that doesn't help; whoever reads the value says what was expected.
fn with_negative_numbers(command: clap::Command) -> clap::Command {
    let command = command.mut_args(|argument| {
        let is_value = argument.get_action().takes_values() && !argument.is_positional();
        if is_value { argument.allow_negative_numbers(true) } else { argument }
    });
    command.mut_subcommands(with_negative_numbers)
}

/// One command.
#[derive(Subcommand, Debug)]
pub(crate) enum Command {
    /// Injects many faults and prints what they reach.
    #[command(after_help = examples::CAMPAIGN)]
    Campaign(CampaignArguments),
    /// Tries every single fault of one scenario and counts what they come to, exactly.
    #[command(after_help = examples::SWEEP)]
    Sweep(SweepArguments),
    /// Runs one scenario and tells its story.
    #[command(after_help = examples::RUN)]
    Run(RunArguments),
    /// Runs a stored case again and compares with what it expects.
    #[command(after_help = examples::REPLAY)]
    Replay(ReplayArguments),
    /// Shows a case, or a fuzz artefact, in a form that can be read.
    #[command(after_help = examples::EXPLAIN)]
    Explain(ExplainArguments),
    /// Lists what there is.
    #[command(after_help = examples::LIST)]
    List(ListArguments),
    /// Answers or compares address-translation cases, CSV in, CSV out.
    Translate(TranslateArguments),
    /// Flips each byte of the kernel once and prints which of them anybody looks at.
    #[command(after_help = examples::LIVE_BYTES)]
    LiveBytes(LiveBytesArguments),
    /// Compares how many single faults stood between page-table code and a breach, before and after.
    #[command(after_help = examples::MARGIN)]
    Margin(MarginArguments),
    /// Reports what the page tables of a real machine allow, and what each flipped bit would.
    Audit(Box<AuditArguments>),
    /// Judges recorded traces of page-table code, store by store.
    Check(CheckArguments),
}

/// Options of `campaign`.
#[derive(Args, Debug, Clone)]
pub(crate) struct CampaignArguments {
    /// A built-in scenario's name or a TOML file; generated worlds when left out.
    pub(crate) scenario: Option<String>,
    /// Seeds of the worlds to generate: FIRST..END (END excluded), or one number.
    /// [default: 0..60]
    #[arg(long, value_name = "RANGE", value_parser = seed_range, allow_hyphen_values = true)]
    pub(crate) seeds: Option<Seeds>,
    /// Experiments in each world.
    #[arg(long, value_name = "N", default_value_t = EXPERIMENTS, value_parser = whole(1, u32::MAX))]
    pub(crate) experiments: u32,
    /// Worker threads; as many as there are processors when left out. The result is the same.
    #[arg(long, value_name = "N", value_parser = whole(1_u16, 256))]
    pub(crate) jobs: Option<u16>,
    /// Only these kinds of fault (repeat, or separate with commas).
    #[arg(long, value_name = "KIND", value_delimiter = ',', value_parser = kind)]
    pub(crate) fault: Vec<String>,
    /// A fault load by weight, such as swifi=3,edfi=1: kinds, fault models and published loads
    /// (`ringfence list fault-loads`); a weight of 0 excludes. It takes the place of the scenario's own.
    #[arg(long, value_name = "NAME=WEIGHT,…", conflicts_with = "fault")]
    pub(crate) mix: Option<String>,
    /// Faults in each experiment, all in one component, as published loads have errors in a trial; fewer
    /// where it has no room. An experiment counts as memory's own as soon as one of them is a flip of it.
    #[arg(
        long, value_name = "N", default_value_t = 1, value_parser = whole(1, ERRORS_MAX),
        conflicts_with = "compare"
    )]
    pub(crate) errors: u32,
    /// Only the experiment with this number in the world of one seed, as in a replay line; or `golden`:
    /// that world by itself, without a fault.
    #[arg(long, value_name = "N", value_parser = only)]
    pub(crate) only: Option<Only>,
    /// Tries the same faults under several configurations and compares what becomes of them: changes of
    /// the world such as smep=off, home=own-host or smap=on+iommu=on, presets, scenarios. One alone is
    /// compared with the world as it is; without any, homes and then protections are compared.
    #[arg(
        long, value_name = "CONFIGURATION", num_args = 0..,
        conflicts_with = "horizon"
    )]
    pub(crate) compare: Option<Vec<String>>,
    /// With --compare: only faults of this component; `home=` moves it.
    #[arg(long, value_name = "NAME", requires = "compare")]
    pub(crate) component: Option<String>,
    /// Also tells what of the damage still slept so many steps after the strike, and what became of
    /// that later. Beyond the end of every run, the campaign runs again with longer ones.
    #[arg(
        long, value_name = "STEPS", value_parser = whole(0, u64::MAX), conflicts_with = "only"
    )]
    pub(crate) horizon: Option<u64>,
    /// One JSON object a line instead of a table.
    #[arg(long)]
    pub(crate) json: bool,
    /// Writes violations as scenario files into this folder; with --compare and --only the fault in each
    /// configuration. Files saved there before are replaced, and no others.
    #[arg(long, value_name = "FOLDER")]
    pub(crate) save: Option<std::path::PathBuf>,
}

/// Options of `sweep`.
#[derive(Args, Debug)]
pub(crate) struct SweepArguments {
    /// A built-in scenario's name or a TOML file; its own faults are left out.
    pub(crate) scenario: String,
    /// Only these kinds of fault (repeat, or separate with commas); all defects when left out.
    #[arg(long, value_name = "KIND", value_delimiter = ',', value_parser = kind)]
    pub(crate) fault: Vec<String>,
    /// One in so many of the flips for which another one stands is run after all; 0: none of them.
    #[arg(long, value_name = "N", default_value_t = CHECK_ONE_IN, value_parser = whole(0, u64::MAX))]
    pub(crate) check_one_in: u64,
    /// Only the fault with this number, told as a story.
    #[arg(long, value_name = "N", value_parser = whole(0, u64::MAX))]
    pub(crate) only: Option<u64>,
    /// Also tells how long damage sleeps, and what of it still slept so many steps after the strike. Beyond
    /// the end of every run, all faults are run again in longer ones.
    #[arg(
        long, value_name = "STEPS", value_parser = whole(0, u64::MAX), conflicts_with = "only"
    )]
    pub(crate) horizon: Option<u64>,
    /// Worker threads; as many as there are processors when left out. The result is the same.
    #[arg(long, value_name = "N", value_parser = whole(1_u16, 256))]
    pub(crate) jobs: Option<u16>,
    /// One JSON object a line instead of tables.
    #[arg(long)]
    pub(crate) json: bool,
    /// Writes violations as scenario files into this folder. Files saved there before are replaced, and no
    /// others.
    #[arg(long, value_name = "FOLDER")]
    pub(crate) save: Option<std::path::PathBuf>,
}

/// Options of `run`.
#[derive(Args, Debug)]
pub(crate) struct RunArguments {
    /// A built-in scenario's name or a TOML file.
    pub(crate) scenario: String,
    /// One JSON object instead of a story; with --trace one for each event before it.
    #[arg(long)]
    pub(crate) json: bool,
    /// Every event, not only the turning points.
    #[arg(long)]
    pub(crate) trace: bool,
}

/// Options of `replay`.
#[derive(Args, Debug)]
pub(crate) struct ReplayArguments {
    /// A built-in scenario's name or a TOML file.
    pub(crate) case: String,
    /// One JSON object instead of a story.
    #[arg(long)]
    pub(crate) json: bool,
}

/// Options of `explain`.
#[derive(Args, Debug)]
pub(crate) struct ExplainArguments {
    /// A scenario, or the bytes a fuzz target stopped at.
    pub(crate) case: String,
    /// Which fuzz target the bytes are of; guessed from the file's folder when left out.
    #[arg(long, value_enum, ignore_case = true)]
    pub(crate) target: Option<FuzzTarget>,
    /// One JSON object.
    #[arg(long)]
    pub(crate) json: bool,
}

/// Fuzz targets.
#[derive(ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FuzzTarget {
    /// The page walk against the walk by the book.
    Translate,
    /// Cached translations against a record of everything mapped.
    Tlb,
    /// Structured plans in a world.
    World,
    /// A scenario's text.
    #[value(alias = "scenario_text")]
    ScenarioText,
    /// A file of recorded cases.
    #[value(alias = "translate_csv")]
    TranslateCsv,
    /// An image of page tables.
    Image,
    /// A recorded trace of page-table code.
    Trace,
}

/// Options of `list`.
#[derive(Args, Debug)]
pub(crate) struct ListArguments {
    /// What to list; left out, it lists what can be listed.
    #[arg(value_enum, ignore_case = true)]
    pub(crate) what: Option<Listing>,
    /// One JSON object a line instead of a table.
    #[arg(long)]
    pub(crate) json: bool,
}

/// What can be listed.
#[derive(ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Listing {
    /// Built-in scenarios.
    Scenarios,
    /// Incidents, built in: what happened in the world, as scenarios.
    Incidents,
    /// Kinds of fault.
    Faults,
    /// Fault models and published fault loads, to be mixed with weights.
    FaultLoads,
    /// Invariants.
    Invariants,
    /// Weaknesses that can be planted.
    Weaknesses,
    /// Classes of outcome, in order of precedence.
    Classes,
    /// Bug checks that the kernel can stop itself with, code by code and subtype by subtype.
    BugChecks,
    /// Modelled rules of kernel and machine, each with its source.
    Rules,
    /// Options of Driver Verifier that a world can switch on, and those that are not modelled.
    VerifierOptions,
}

/// Options of `live-bytes`.
#[derive(Args, Debug)]
pub(crate) struct LiveBytesArguments {
    /// Built-in scenarios' names or TOML files; what is found in several is added up, each taken once.
    /// Without any: those built in, the incidents with their contrasts, and Driver Verifier's options.
    #[arg(value_name = "SCENARIO")]
    pub(crate) scenarios: Vec<String>,
    /// Every how-manieth byte of memory is flipped, 1: each of them; 211 when left out, without any
    /// SCENARIO 30011. Fields are flipped in any case.
    #[arg(long, value_name = "N", value_parser = positive)]
    pub(crate) every: Option<usize>,
    /// At so many moments of the run, evenly spaced.
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = whole(1_u16, 64))]
    pub(crate) moments: u16,
    /// Worker threads; as many as there are processors when left out. The result is the same.
    #[arg(long, value_name = "N", value_parser = whole(1_u16, 256))]
    pub(crate) jobs: Option<u16>,
    /// Names the fields with bytes that are not live, with the reason where there is one.
    #[arg(long)]
    pub(crate) all: bool,
    /// One JSON object a line instead of a table.
    #[arg(long)]
    pub(crate) json: bool,
}

/// Options of `margin`.
#[derive(Args, Debug)]
pub(crate) struct MarginArguments {
    /// What to do with prints of margins.
    #[command(subcommand)]
    pub(crate) command: MarginCommand,
}

/// What can be done with prints of margins.
#[derive(Subcommand, Debug)]
pub(crate) enum MarginCommand {
    /// Says which calls changed between two prints, and whether any margin got smaller.
    #[command(after_help = examples::MARGIN)]
    Compare {
        /// What `Suite::margins` printed before.
        before: std::path::PathBuf,
        /// What it prints now.
        after: std::path::PathBuf,
        /// One JSON object a line instead of text.
        #[arg(long)]
        json: bool,
    },
}

/// Reads a number that is not 0.
fn positive(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(0) | Err(_) => Err(format!("{text:?} is not a number above 0")),
        Ok(number) => Ok(number),
    }
}

/// One run of a world.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Only {
    /// The experiment of this number.
    Experiment(u32),
    /// The golden run.
    Golden,
}

/// Reads a number or `golden`.
fn only(text: &str) -> Result<Only, String> {
    match text {
        "golden" => Ok(Only::Golden),
        _ => text.parse().map(Only::Experiment).map_err(|_| {
            format!("{text:?} is no experiment; expected a number such as 7, or `golden`")
        }),
    }
}

/// Reads the name of a kind of fault.
fn kind(text: &str) -> Result<String, String> {
    // What is behind a comma may have a space in front.
    let text = text.trim();
    let registry = Registry::default();
    if registry.get(text).is_some() {
        return Ok(text.to_owned());
    }
    let remedy = match nearest(text, registry.kinds().iter().map(|kind| kind.name)) {
        Some(near) => format!("did you mean `{near}`?"),
        None => "`ringfence list faults` names all of them".to_owned(),
    };
    Err(format!("there is no kind of fault `{text}`; {remedy}"))
}

/// Reads `FIRST..END` or one number, decimal or `0x…`.
fn seed_range(text: &str) -> Result<Seeds, String> {
    let Some((first, end)) = text.split_once("..") else { return seed(text).map(Seeds::one) };
    let (first, end) = (seed(first)?, seed_end(end)?);
    Seeds::between(first, end).ok_or_else(|| {
        let (low, high) = (end, u128::from(first) + 1);
        format!("no seed from {first} to before {end}; expected FIRST..END as in {low}..{high}")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_of_seeds_is_read_and_a_reversed_one_refused() {
        assert_eq!(seed_range("0..10"), Ok((0..10).into()));
        assert_eq!(seed_range("0x10"), Ok(Seeds::one(16)));
        assert!(seed_range("10..0").is_err_and(|message| message.contains("expected FIRST..END")));
        assert!(seed_range("ten").is_err_and(|message| message.contains("expected a number")));
        let last = Ok(Seeds::one(u64::MAX));
        assert_eq!(seed_range("18446744073709551615"), last);
        assert_eq!(seed_range("0xffffffffffffffff..18446744073709551616"), last);
        assert_eq!(seed_range("0xffffffffffffffff..0x10000000000000000"), last);
        for no_end in ["0..18446744073709551617", "0..0x10000000000000001"] {
            assert!(seed_range(no_end).is_err_and(|message| message.contains("too large")));
        }
        // What is no seed can't be the first.
        assert!(seed_range("0x10000000000000000..0x10000000000000000").is_err());
    }

    #[test]
    fn the_command_line_is_sound() {
        with_negative_numbers(Arguments::command()).debug_assert();
    }
}
