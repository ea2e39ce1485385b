//! How is it asked? The command `ringfence`.
//!
//! One file per command. A command writes to the one writer it is given and returns what its exit
//! code says; whatever keeps it from doing so is a `Failure`, told in one place, here.

mod arguments;
mod artefacts;
mod asleep;
mod audit;
mod awaited;
mod campaign;
mod cases;
mod check;
mod compare;
mod ending;
mod examples;
mod explain;
mod fault_load;
mod list;
mod live_bytes;
mod load;
mod margin;
mod numbers;
mod progress;
mod replay;
mod run;
mod save;
mod sweep;
mod table;
mod translate;
mod unheard;
mod wild_writes;

use std::io::{self, BufWriter, Write};
use std::process::ExitCode;

use clap::CommandFactory as _;
use clap::error::{ContextKind, ContextValue, ErrorKind};

use crate::base::nearest;
use crate::campaign::replay::quoted;
use crate::scenario::shown;

use arguments::{Arguments, Command};
use unheard::Unheard;

/// How a command ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Ended {
    /// Everything held.
    Held,
    /// A guarantee was violated, an expectation missed, or no fault struck.
    Violated,
    /// Ctrl-C, or a signal that asks for the end.
    Interrupted,
}

/// Why a command could not be carried out.
#[derive(Debug)]
enum Failure {
    /// Somebody's mistake, with its remedy: the whole message.
    Mistake(String),
    /// Nobody reads what is written any more.
    ClosedPipe,
}

impl From<io::Error> for Failure {
    /// What went wrong in writing to standard output.
    fn from(error: io::Error) -> Self {
        if error.kind() == io::ErrorKind::BrokenPipe {
            return Self::ClosedPipe;
        }
        Self::Mistake(format!(
            "error: can't write to standard output: {error}\n  = help: write it where there is room"
        ))
    }
}

impl Failure {
    /// A mistake and what to do about it.
    fn mistake(what: impl core::fmt::Display, remedy: impl core::fmt::Display) -> Self {
        Self::Mistake(format!("error: {what}\n  = help: {remedy}"))
    }
}

/// The program: arguments in, exit code out.
#[must_use]
pub fn main() -> ExitCode {
    say_whose_bug_a_panic_is();
    let arguments = match Arguments::read() {
        Ok(arguments) => arguments,
        Err(error) => {
            if let Some(message) = unknown_command(&error, std::env::args().nth(1)) {
                let _ = writeln!(io::stderr(), "{message}");
                return ExitCode::from(2);
            }
            return told_by_clap(&error);
        }
    };
    let mut out = BufWriter::new(io::stdout().lock());
    let ended = carry_out(arguments, &mut out).and_then(|ended| {
        match out.flush().map_err(Failure::from) {
            // How it ended doesn't depend on who still reads it.
            Ok(()) | Err(Failure::ClosedPipe) => Ok(ended),
            Err(failure) => Err(failure),
        }
    });
    match ended {
        Ok(Ended::Held) | Err(Failure::ClosedPipe) => ExitCode::SUCCESS,
        Ok(Ended::Violated) => ExitCode::from(1),
        Ok(Ended::Interrupted) => ExitCode::from(130),
        Err(Failure::Mistake(message)) => {
            // What was found before the mistake is worth printing; where it can't be, the message
            // says why.
            let _ = out.flush();
            let _ = writeln!(io::stderr(), "{}", shown(&message));
            ExitCode::from(2)
        }
    }
}

fn carry_out(arguments: Arguments, out: &mut impl Write) -> Result<Ended, Failure> {
    let command = arguments.command.unwrap_or(Command::Campaign(arguments.campaign));
    let prints_as_it_goes =
        matches!(command, Command::Translate(_) | Command::Audit(_) | Command::Check(_));
    let out = &mut Unheard::new(out, !prints_as_it_goes);
    match command {
        Command::Campaign(arguments) => campaign::campaign(&arguments, out),
        Command::Run(arguments) => run::run(&arguments, out),
        Command::Sweep(arguments) => sweep::sweep(&arguments, out),
        Command::Replay(arguments) => replay::replay(&arguments, out),
        Command::Explain(arguments) => explain::explain(&arguments, out),
        Command::List(arguments) => list::list(&arguments, out),
        Command::LiveBytes(arguments) => live_bytes::told(&arguments, out),
        Command::Margin(arguments) => margin::margin(&arguments, out),
        Command::Translate(arguments) => translate::translate(&arguments, out),
        Command::Audit(arguments) => audit::audit(&arguments, out),
        Command::Check(arguments) => check::check(&arguments, out),
    }
}

/// Of `swep standard` clap says that `standard` is no command; it takes the first word for a scenario.
/// What is amiss is that word.
fn unknown_command(error: &clap::Error, first: Option<String>) -> Option<String> {
    let known = Arguments::command();
    let commands = || known.get_subcommands().map(clap::Command::get_name);
    let first = first.filter(|word| !word.starts_with('-'))?;
    let Some(ContextValue::String(second)) = error.get(ContextKind::InvalidSubcommand) else {
        return None;
    };
    if error.kind() != ErrorKind::ArgumentConflict {
        return None;
    }
    let (first, second) = (first.escape_debug(), second.escape_debug());
    let remedy = match nearest(&first.to_string(), commands()) {
        Some(near) => format!("did you mean `{near}`?"),
        None if commands().any(|known| known == second.to_string()) => {
            format!("a command comes first: ringfence {second} {first}")
        }
        None => "`ringfence --help` names all of them".to_owned(),
    };
    Some(format!("error: there is no command `{first}`\n  = help: {remedy}"))
}

/// Help and version are asked for and go to standard output; everything else is a mistake.
fn told_by_clap(error: &clap::Error) -> ExitCode {
    let text = error.render().to_string();
    let printed = if error.use_stderr() && shown(&text) != text {
        write!(io::stderr(), "{}", shown(&text))
    } else {
        error.print().and_then(|()| io::stdout().flush())
    };
    match printed.map_err(Failure::from) {
        Err(Failure::Mistake(message)) => {
            let _ = writeln!(io::stderr(), "{message}");
            ExitCode::from(2)
        }
        _ if error.use_stderr() => ExitCode::from(2),
        _ => ExitCode::SUCCESS,
    }
}

/// A panic is never the user's mistake.
fn say_whose_bug_a_panic_is() {
    let usual = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        usual(panic);
        let asked: Vec<String> =
            std::env::args_os().map(|word| word.to_string_lossy().into_owned()).collect();
        let _ = writeln!(
            io::stderr(),
            "this is a bug in ringfence and not your mistake; please report it with these lines and \
             the command:\n  {}",
            asked.iter().map(|word| quoted(word)).collect::<Vec<_>>().join(" ")
        );
    }));
}
