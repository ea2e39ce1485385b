//! How a source file is made: what it may not name, how long it is, how it begins.

use proc_macro2::{Ident, TokenStream, TokenTree};

use crate::names::names;
use crate::sources::{Sources, module_of};

/// Layers whose code runs inside a world or describes one: a pure function of the scenario.
const WORLD_LAYERS: &[&str] = &[
    "base",
    "injection",
    "machine",
    "oracles",
    "authority",
    "kernel",
    "world",
    "faults",
    "invariants",
    "scenario",
    "outcome",
    "minimise",
];

/// What no world layer may name, and why.
const NOT_IN_A_WORLD: &[(&[&str], &str)] = &[
    (
        &["HashMap", "HashSet", "RandomState", "DefaultHasher"],
        "iteration order differs between runs",
    ),
    (&["Instant", "SystemTime"], "a world's clock is its step count"),
    (&["thread_rng", "ThreadRng", "OsRng", "SysRng"], "all chance comes from the seed's streams"),
    (
        &[
            "thread_local",
            "OnceLock",
            "LazyLock",
            "Mutex",
            "RwLock",
            "AtomicBool",
            "AtomicU32",
            "AtomicU64",
            "AtomicUsize",
        ],
        "there is no global state inside a world",
    ),
    (&["f32", "f64"], "outcomes and digests have no floats"),
];

/// Parts of `std` that reach the host.
const HOST: &[&str] = &["env", "fs", "io", "net", "os", "process", "thread", "time"];

/// The one part of a world layer that does: with the feature `kvm` only, and no world asks it.
const ASKS_THE_HOST: &[&str] = &["oracles", "kvm"];

/// Breaches of purity in the world layers.
pub(crate) fn impurities(sources: &Sources) -> Vec<String> {
    let mut breaches = Vec::new();
    for (path, text) in sources {
        let module = module_of(path);
        if !module.first().is_some_and(|layer| WORLD_LAYERS.contains(&layer.as_str())) {
            continue;
        }
        let asks_the_host = is_below(&module, ASKS_THE_HOST);
        let Ok(names) = names(module, text) else { continue }; // told by the layers
        for (name, line) in &names.identifiers {
            let forbidden = NOT_IN_A_WORLD.iter().find(|(list, _)| list.contains(&name.as_str()));
            if let Some((_, reason)) = forbidden {
                breaches.push(format!("{path}:{line}: {name}: {reason}"));
            }
        }
        for reference in names.inside.iter().filter(|_| !asks_the_host) {
            if is_below(&reference.path, ASKS_THE_HOST) {
                let line = reference.line;
                breaches.push(format!("{path}:{line}: oracles::kvm: a world knows no host"));
            }
        }
        for (outside, line) in names.outside.iter().filter(|_| !asks_the_host) {
            if let [first, part, ..] = outside.as_slice()
                && first == "std"
                && HOST.contains(&part.as_str())
            {
                breaches.push(format!("{path}:{line}: std::{part}: a world knows no host"));
            }
        }
    }
    breaches
}

fn is_below(path: &[String], folder: &[&str]) -> bool {
    path.len() >= folder.len() && path.iter().zip(folder).all(|(part, own)| part == own)
}

/// The only files with unsafe code, each behind a feature, and why. The lints deny it elsewhere too, but
/// a lint can be allowed.
const UNSAFE: &[(&str, &str)] = &[
    ("src/oracles/kvm/guest.rs", "KVM is told where the guest's memory is"),
    ("src/conformance/memory/host/active.rs", "a signal handler finds its memory by a pointer"),
    ("src/conformance/memory/host/context.rs", "the kernel hands over registers by pointer"),
    ("src/conformance/memory/host/signals.rs", "signal handlers of the process are replaced"),
    ("src/conformance/memory/host/stack.rs", "the stack of code that never returns is given up"),
    ("src/conformance/memory/host/window.rs", "pages are mapped twice, with other rights"),
    ("src/conformance/memory/host/tests.rs", "stores and privileged instructions of each form"),
    ("tests/traps/raw.rs", "a mapper with raw pointers"),
    ("tests/traps/kernel.rs", "a mapper with privileged instructions"),
    ("tests/traps/deaths.rs", "code that ends its process by a signal"),
    ("tests/traps/wild.rs", "a walker with raw pointers that leads out of memory"),
    ("tests/trap_handlers.rs", "signal handlers of somebody else's"),
];

/// Files but those that have unsafe code.
pub(crate) fn unsafe_code(sources: &Sources) -> Vec<String> {
    let is_unsafe = |name: &Ident| name == "unsafe";
    let found = sources.iter().filter(|(path, text)| {
        let tokens: TokenStream = text.parse().unwrap_or_default(); // told by the layers
        !UNSAFE.iter().any(|(own, _)| own == path) && any_identifier(tokens, &is_unsafe)
    });
    found.map(|(path, _)| format!("{path}: unsafe code is in the files of `UNSAFE` only")).collect()
}

fn any_identifier(tokens: TokenStream, wanted: &dyn Fn(&Ident) -> bool) -> bool {
    tokens.into_iter().any(|token| match token {
        TokenTree::Group(group) => any_identifier(group.stream(), wanted),
        TokenTree::Ident(name) => wanted(&name),
        TokenTree::Punct(_) | TokenTree::Literal(_) => false,
    })
}

/// Lines of one source file at most: one idea.
const LINES_MAX: usize = 450;

/// Files that may be longer, and why they are one idea all the same.
const LONG: &[(&str, &str)] = &[];

/// Files that are too long, and exceptions that are no longer needed.
pub(crate) fn overlong(sources: &Sources, exceptions: &[(&str, &str)]) -> Vec<String> {
    let is_long = |text: &str| text.lines().count() > LINES_MAX;
    let long = sources
        .iter()
        .filter(|(path, text)| {
            is_long(text) && !exceptions.iter().any(|(exception, _)| exception == path)
        })
        .map(|(path, text)| format!("{path}: {} lines, {LINES_MAX} at most", text.lines().count()));
    let stale = exceptions
        .iter()
        .filter(|(path, _)| !sources.get(*path).is_some_and(|text| is_long(text)))
        .map(|(path, _)| format!("{path}: is not long, so it needs no exception"));
    long.chain(stale).collect()
}

/// Files beside faults and invariants that are neither, and what they are.
const SUPPORT: &[(&str, &str)] = &[
    ("src/faults/elements.rs", "what faults are put together from"),
    ("src/faults/heavy_tail.rs", "a distribution of distances"),
    ("src/faults/parameters.rs", "what a fault is told"),
    ("src/faults/plan.rs", "which fault strikes whom, where"),
    ("src/faults/wild.rs", "the operators that wild writes and wild reads share"),
    ("src/invariants/decode/count.rs", "words a count for several invariants"),
];

/// Lines of prose that a fault or an invariant begins with, at least.
const HEAD_LINES_MIN: usize = 3;

/// Faults and invariants that don't begin by saying what they are and by whose word.
pub(crate) fn headless(sources: &Sources) -> Vec<String> {
    let mut breaches = Vec::new();
    for (path, text) in sources {
        let is_one = path.starts_with("src/faults/") || path.starts_with("src/invariants/");
        let is_other =
            path.ends_with("/mod.rs") || path.ends_with("/tests.rs") || path.contains("/tests/");
        if !is_one || is_other || SUPPORT.iter().any(|(support, _)| support == path) {
            continue;
        }
        let head: Vec<&str> = text.lines().map_while(|line| line.strip_prefix("//!")).collect();
        if head.iter().filter(|line| !line.trim().is_empty()).count() < HEAD_LINES_MIN {
            breaches
                .push(format!("{path}: begins with fewer than {HEAD_LINES_MIN} lines of `//!`"));
        }
        if !head.iter().any(|line| line.contains("Source:")) {
            breaches.push(format!("{path}: names no `Source:`"));
        }
    }
    breaches
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sources::{planted, rust_files};

    #[track_caller]
    fn assert_none(breaches: &[String]) {
        assert!(breaches.is_empty(), "\n{}", breaches.join("\n"));
    }

    #[test]
    fn no_world_layer_names_what_differs_between_runs() {
        assert_none(&impurities(&rust_files("src")));
    }

    #[test]
    fn what_differs_between_runs_is_found_when_planted() {
        let mut sources = vec![
            "use std::{thread, sync::Arc};".to_owned(),
            "use std::time::Duration;".to_owned(),
            "fn f() -> bool { std::env::var(\"X\").is_ok() }".to_owned(),
            "fn f() { println!(\"{:?}\", std::fs::read(\"x\")); }".to_owned(),
        ];
        for (names, _) in NOT_IN_A_WORLD {
            sources.extend(names.iter().map(|name| format!("fn f(_: Option<a::{name}>) {{}}")));
            sources.extend(names.iter().map(|name| format!("call!({{ {name}::new() }});")));
        }
        for layer in WORLD_LAYERS {
            for text in &sources {
                let path = format!("src/{layer}/a.rs");
                let found = impurities(&planted([(path.as_str(), text.as_str())]));
                assert!(!found.is_empty(), "{path}: {text}");
            }
        }
    }

    #[test]
    fn campaigns_may_have_threads_and_reports_floats() {
        let found = impurities(&planted([
            ("src/campaign/workers.rs", "use std::thread; use std::sync::Mutex;"),
            ("src/report/interval.rs", "fn f() -> f64 { 0.0 }"),
            ("src/kernel/thread.rs", "fn f(thread: Thread) { thread::run() }"),
            ("src/kernel/pool.rs", "#[cfg(test)] mod tests { use std::fs; }"),
        ]));
        assert_none(&found);
    }

    #[test]
    fn only_the_oracle_that_asks_kvm_reaches_the_host_and_no_world_reaches_it() {
        let asks = "fn f() { std::fs::read(\"/sys/module\"); }";
        let names = "use crate::oracles::kvm::Oracle;";

        assert_none(&impurities(&planted([("src/oracles/kvm/kind.rs", asks)])));
        assert_eq!(impurities(&planted([("src/oracles/kvmish.rs", asks)])).len(), 1);
        for path in ["src/oracles/mod.rs", "src/invariants/a.rs", "src/kernel/a.rs"] {
            assert_eq!(impurities(&planted([(path, names)])).len(), 1, "{path}");
        }
        let clock = "fn f() { Instant::now() }";
        assert_eq!(impurities(&planted([("src/oracles/kvm/a.rs", clock)])).len(), 1);
    }

    #[test]
    fn unsafe_code_is_in_the_files_that_say_why() {
        let mut sources = rust_files("src");
        for folder in ["tests", "benches", "examples"] {
            sources.extend(rust_files(folder));
        }
        for (path, _) in UNSAFE {
            let text = sources.get(*path).unwrap_or_else(|| panic!("{path} is there"));
            let only = planted([("src/a.rs", text.as_str())]);
            assert_eq!(unsafe_code(&only).len(), 1, "{path} has none, so it needs no exception");
        }
        assert_none(&unsafe_code(&sources));
    }

    #[test]
    fn unsafe_code_elsewhere_is_found() {
        for text in [
            "fn f() { unsafe { g() } }",
            "unsafe fn f() {}",
            "#[unsafe(no_mangle)] fn f() {}",
            "fn f() { call!(x, unsafe { g() }) }",
        ] {
            assert_eq!(unsafe_code(&planted([("src/oracles/kvm/a.rs", text)])).len(), 1, "{text}");
            assert_none(&unsafe_code(&planted([(UNSAFE[0].0, text)])));
        }
        assert_none(&unsafe_code(&planted([("src/a.rs", "/// Not unsafe.\nfn f() {}")])));
    }

    #[test]
    fn no_source_file_is_too_long() {
        assert_none(&overlong(&rust_files("src"), LONG));
    }

    #[test]
    fn a_long_file_and_a_needless_exception_are_found() {
        let long = "//\n".repeat(LINES_MAX + 1);
        let sources = planted([("src/a.rs", &long), ("src/b.rs", "//\n"), ("src/c.rs", &long)]);

        let found = overlong(&sources, &[("src/b.rs", "stale"), ("src/c.rs", "a table")]);

        assert_eq!(
            found,
            ["src/a.rs: 451 lines, 450 at most", "src/b.rs: is not long, so it needs no exception",]
        );
    }

    #[test]
    fn every_fault_and_invariant_says_what_it_is_and_by_whose_word() {
        assert_none(&headless(&rust_files("src")));
    }

    #[test]
    fn a_fault_without_a_head_or_a_source_is_found() {
        let sourceless = "//! What.\n//!\n//! Why.\n//! More.\n\nfn f() {}\n";
        let short = "//! What.\n//!\n//! Source: somebody.\n\nfn f() {}\n";
        let complete = "//! What.\n//!\n//! Why.\n//! Source: somebody.\n\nfn f() {}\n";
        for folder in ["faults", "invariants"] {
            let found = |text| {
                let path = format!("src/{folder}/a.rs");
                headless(&planted([(path.as_str(), text)]))
            };

            assert_eq!(found(sourceless).len(), 1);
            assert_eq!(found(short).len(), 1);
            assert_eq!(found("fn f() {}\n//! Source: late.\n").len(), 2);
            assert_none(&found(complete));
        }
        assert_none(&headless(&planted([("src/faults/mod.rs", ""), ("src/kernel/a.rs", "")])));
    }
}
