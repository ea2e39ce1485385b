//! Imports go down only, and four prohibitions carry the argument of the whole crate.

use std::collections::BTreeMap;

use crate::names::{Reference, Use, names};
use crate::sources::{Sources, module_of};

/// Each top-level module, from the lowest up, and what it may import. Modules that don't exist yet
/// are named too; a module that isn't named here fails.
const LAYERS: &[(&str, &[&str])] = &[
    ("base", &[]),
    ("injection", &["base"]),
    ("machine", &["base", "injection"]),
    ("oracles", &["base", "machine"]),
    ("authority", &["base"]),
    ("kernel", &["base", "injection", "machine"]),
    ("world", &["base", "injection", "machine", "kernel"]),
    ("faults", &["base", "injection", "machine", "kernel", "world"]),
    ("invariants", &["base", "machine", "oracles", "authority", "world"]),
    ("scenario", &["base", "machine", "kernel", "world", "faults"]),
    ("outcome", &["base"]),
    ("minimise", &["base"]),
    ("campaign", &[ALL_BELOW]),
    ("counterexample", &[ALL_BELOW]),
    ("conformance", &["base", "injection", "machine", "oracles", "authority", "minimise"]),
    ("audit", &["base", "injection", "machine", "oracles", "authority", "minimise"]),
    ("report", &[ALL_BELOW]),
    ("cli", &[ALL_BELOW]),
];

/// In place of a list: every layer named before this one.
const ALL_BELOW: &str = "*";

/// Who may never import whom, whatever the table above says, and what would be lost.
const PROHIBITED: &[(&str, &[&str], &str)] = &[
    (
        "authority",
        &["machine", "kernel", "injection"],
        "the specification could be corrupted by what it judges",
    ),
    ("kernel", &["authority"], "a kernel that consults the judge can't be wrong"),
    ("world", &["authority"], "a world that consults the judge can't be wrong"),
    (
        "invariants",
        &["kernel", "faults"],
        "a check that decodes with the accused's own code shares its bug, and one that knows the \
         fault is no evidence",
    ),
    ("faults", &["authority", "invariants"], "a fault that reads the rules aims at the checker"),
];

/// A path from the crate's root.
type Names = &'static [&'static str];

const WALK_BY_THE_BOOK: Names = &["oracles", "by_the_book", "walk"];
const ITS_REGISTERS: Names = &["oracles", "by_the_book", "registers"];
const ONE_WALKER: &str = "two walkers that share code share its bugs";

/// Modules that may name only this of the crate, whatever their layers may, and what would be lost. A
/// module may name itself and what is below it.
const APART: &[(Names, &[Names], &str)] = &[
    (WALK_BY_THE_BOOK, &[&["base", "PhysAddr"], &["base", "VirtAddr"], ITS_REGISTERS], ONE_WALKER),
    (ITS_REGISTERS, &[&["base", "VirtAddr"]], ONE_WALKER),
];

/// Why the module may not name this path, if it is one that stands apart.
fn objection_apart(module: &[String], path: &[String]) -> Option<String> {
    let (own, allowed, loss) = APART.iter().find(|(own, ..)| is_below(module, own))?;
    let is_allowed = is_below(path, own) || allowed.iter().any(|allowed| is_below(path, allowed));
    let (own, path) = (own.join("::"), path.join("::"));
    (!is_allowed).then(|| format!("{own} must not name {path}: {loss}"))
}

fn is_below(path: &[String], above: &[&str]) -> bool {
    path.len() >= above.len() && path.iter().zip(above).all(|(part, above)| part == above)
}

fn row_of(layer: &str) -> Option<usize> {
    LAYERS.iter().position(|&(name, _)| name == layer)
}

/// Why `importer` may not import `imported`, if so.
fn objection(importer: &str, imported: &str) -> Option<String> {
    let prohibited =
        PROHIBITED.iter().find(|(who, whom, _)| *who == importer && whom.contains(&imported));
    if let Some((_, _, loss)) = prohibited {
        return Some(format!("{importer} must never import {imported}: {loss}"));
    }
    let (Some(own), Some(row)) = (row_of(importer), row_of(imported)) else {
        return Some(format!("{importer} imports {imported}: a module without a layer"));
    };
    let allowed = LAYERS[own].1;
    let is_allowed = allowed.contains(&imported) || (allowed == [ALL_BELOW] && row < own);
    (!is_allowed).then(|| format!("{importer} may not import {imported}: not in its row"))
}

/// Every breach of the layers in these sources, as `path:line: what`.
pub(crate) fn breaches(sources: &Sources) -> Vec<String> {
    let mut read = Vec::new();
    let mut breaches = Vec::new();
    let mut test_modules: Vec<Vec<String>> = Vec::new();
    let mut macro_owners: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (path, text) in sources {
        let module = module_of(path);
        match names(module.clone(), text) {
            Err(error) => breaches.push(format!("{path}: does not parse: {error}")),
            Ok(names) => {
                test_modules.extend(names.test_modules.iter().cloned());
                for name in &names.exported_macros {
                    macro_owners.insert(name.clone(), module.clone());
                }
                read.push((path, module, names));
            }
        }
    }
    for (path, module, names) in read {
        if test_modules.iter().any(|test| module.starts_with(test)) {
            continue;
        }
        if let Some(layer) = module.first().filter(|layer| row_of(layer).is_none()) {
            breaches.push(format!("{path}:1: {layer} has no layer"));
        }
        for (what, line) in &names.displaced {
            breaches.push(format!("{path}:{line}: {what} puts code where its path doesn't say"));
        }
        for mut reference in names.inside {
            // An exported macro is named at the root and belongs to the layer that declares it.
            if let [name] = reference.path.as_slice()
                && let Some(owner) = macro_owners.get(name)
            {
                reference.path = [owner.as_slice(), &reference.path].concat();
            }
            let by_layer = breaches_of(module.first().map(String::as_str), &reference);
            for what in by_layer.into_iter().chain(objection_apart(&module, &reference.path)) {
                breaches.push(format!("{path}:{}: {what}", reference.line));
            }
        }
    }
    breaches
}

/// What is wrong with one reference from a file of `layer` (`None`: the crate's root).
fn breaches_of(layer: Option<&str>, reference: &Reference) -> Vec<String> {
    let Reference { path, by, .. } = reference;
    let mut breaches = Vec::new();
    if *by == Use::GlobReExport {
        breaches.push(format!("`pub use {}::*` hides what is exported", path.join("::")));
    }
    let Some(target) = path.first() else {
        if *by != Use::Path {
            breaches.push("the crate's root is imported as a whole".to_owned());
        }
        return breaches;
    };
    let Some(layer) = layer.filter(|layer| layer != target) else { return breaches };
    breaches.extend(objection(layer, target));
    // `pub use` of another layer's item would let a third layer reach it under this one's name.
    if matches!(by, Use::ReExport | Use::GlobReExport) && target != "base" {
        breaches.push(format!("{layer} re-exports {target}: import it where it is"));
    }
    breaches
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sources::{planted, rust_files};

    #[track_caller]
    fn assert_breach(path: &str, text: &str, expected: &str) {
        let found = breaches(&planted([(path, text)]));
        assert!(found.iter().any(|breach| breach.contains(expected)), "{text}: {found:?}");
    }

    #[track_caller]
    fn assert_silent(path: &str, text: &str) {
        assert_eq!(breaches(&planted([(path, text)])), Vec::<String>::new(), "{text}");
    }

    #[test]
    fn the_crate_keeps_its_layers() {
        let found = breaches(&rust_files("src"));
        assert!(found.is_empty(), "\n{}", found.join("\n"));
    }

    #[test]
    fn the_table_goes_down_only_and_grants_nothing_prohibited() {
        for (row, (layer, allowed)) in LAYERS.iter().enumerate() {
            for imported in allowed.iter().filter(|imported| **imported != ALL_BELOW) {
                assert!(row_of(imported).is_some_and(|below| below < row), "{layer} → {imported}");
            }
        }
        for (layer, prohibited, _) in PROHIBITED {
            let allowed = LAYERS[row_of(layer).expect("a known layer")].1;
            assert!(!allowed.contains(&ALL_BELOW), "{layer}");
            for imported in *prohibited {
                assert!(!allowed.contains(imported), "{layer} → {imported}");
            }
        }
    }

    #[test]
    fn each_prohibited_import_is_found_when_planted() {
        let mut planted_count = 0;
        for (layer, prohibited, loss) in PROHIBITED {
            for imported in *prohibited {
                for path in [format!("src/{layer}/mod.rs"), format!("src/{layer}/a/b.rs")] {
                    assert_breach(&path, &format!("use crate::{imported}::Thing;"), loss);
                    assert_breach(&path, &format!("fn f() {{ crate::{imported}::f() }}"), loss);
                    assert_breach(&path, &format!("use crate::{{base, {imported}}};"), loss);
                    planted_count += 1;
                }
            }
        }
        assert_eq!(planted_count, 2 * (3 + 1 + 1 + 2 + 2));
    }

    #[test]
    fn a_module_apart_names_nothing_of_its_own_layer_or_those_below_but_what_is_listed() {
        let sources = rust_files("src");
        for (module, allowed, loss) in APART {
            let path = format!("src/{}.rs", module.join("/"));
            assert!(sources.contains_key(&path), "{path} is gone");
            for name in *allowed {
                assert_silent(&path, &format!("use crate::{}::f;", name.join("::")));
            }
            for name in [
                "use crate::machine::paging::x86_64::Controls;",
                "fn f() { crate::machine::paging::x86_64::walk() }",
                "use crate::{base, machine::paging};",
                "use crate::base::Access;",
                "use crate::oracles::compare;",
                "use super::Controls;",
                "use super::super::compare;",
                "use super::*;",
            ] {
                assert_breach(&path, name, loss);
            }
            assert_silent(&path, "use self::inner::Thing;");
            assert_silent(&path, "#[cfg(test)] mod tests { use crate::machine::Machine; }");
            let below = format!("src/{}/inner.rs", module.join("/"));
            assert_breach(&below, "use crate::machine::Machine;", loss);
        }
        assert_silent("src/oracles/by_the_book/mod.rs", "use crate::machine::Machine;");
    }

    #[test]
    fn every_pair_outside_the_table_is_found_and_every_pair_inside_is_silent() {
        for (own, (importer, allowed)) in LAYERS.iter().enumerate() {
            for (row, (imported, _)) in LAYERS.iter().enumerate() {
                let path = format!("src/{importer}/mod.rs");
                let text = format!("use crate::{imported}::Thing;");
                let is_allowed = row == own
                    || allowed.contains(imported)
                    || (*allowed == [ALL_BELOW] && row < own);
                if is_allowed {
                    assert_silent(&path, &text);
                } else {
                    assert_breach(&path, &text, imported);
                }
            }
        }
    }

    #[test]
    fn super_reaches_other_layers_too() {
        assert_breach("src/kernel/pool.rs", "use super::super::authority::Books;", "never import");
        assert_breach("src/kernel/mod.rs", "use super::authority::Books;", "never import");
        assert_silent("src/kernel/pool.rs", "use super::object::Header;");
    }

    #[test]
    fn a_module_without_a_layer_is_found_on_both_sides() {
        assert_breach("src/prelude/mod.rs", "", "prelude has no layer");
        assert_breach("src/cli/mod.rs", "use crate::prelude::Thing;", "without a layer");
        assert_breach("src/cli/mod.rs", "use crate::Thing;", "without a layer");
    }

    #[test]
    fn globs_of_the_root_and_exported_globs_are_found() {
        assert_breach("src/cli/mod.rs", "use crate::*;", "root is imported as a whole");
        assert_breach("src/cli/mod.rs", "use super::*;", "root is imported as a whole");
        assert_breach("src/cli/mod.rs", "use crate as all;", "root is imported as a whole");
        assert_breach("src/cli/mod.rs", "pub use self::table::*;", "hides what is exported");
        assert_breach("src/lib.rs", "pub use crate::base::*;", "hides what is exported");
        assert_breach("src/lib.rs", "pub(crate) use self::base::*;", "hides what is exported");
        assert_silent("src/cli/table.rs", "use super::*;");
        assert_silent("src/lib.rs", "pub use crate::base::Seed;");
    }

    #[test]
    fn what_another_layer_owns_is_not_passed_on() {
        assert_breach("src/world/mod.rs", "pub use crate::kernel::Pool;", "re-exports kernel");
        assert_silent("src/world/mod.rs", "pub use crate::base::Seed; pub use self::a::B;");
    }

    #[test]
    fn an_exported_macro_belongs_to_the_layer_that_declares_it() {
        let declared = "#[macro_export] macro_rules! routine { () => {}; }";
        let used = |path| {
            breaches(&planted([("src/machine/code.rs", declared), (path, "use crate::routine;")]))
        };

        assert_eq!(used("src/kernel/pool.rs"), Vec::<String>::new());
        assert_eq!(used("src/machine/mod.rs"), Vec::<String>::new());
        assert_eq!(used("src/authority/mod.rs").len(), 1);
    }

    #[test]
    fn code_that_is_elsewhere_than_its_path_is_found() {
        assert_breach("src/cli/mod.rs", "#[path = \"../kernel/pool.rs\"] mod pool;", "#[path]");
        let conditional = "#[cfg_attr(all(), path = \"../kernel/pool.rs\")] mod pool;";
        assert_breach("src/cli/mod.rs", conditional, "#[path]");
        assert_breach("src/cli/mod.rs", "include!(\"x.rs\");", "include!");
        assert_breach("src/lib.rs", "extern crate self as me;", "extern crate self");
        assert_breach("src/cli/mod.rs", "fn f( {", "does not parse");
    }

    #[test]
    fn a_test_module_in_a_file_of_its_own_may_import_what_it_needs() {
        let import = "use crate::kernel::Pool;";
        let declared = |declaration| {
            breaches(&planted([
                ("src/authority/mod.rs", declaration),
                ("src/authority/tests.rs", import),
            ]))
        };

        assert_eq!(declared("#[cfg(test)] mod tests;"), Vec::<String>::new());
        assert_eq!(declared("mod tests;").len(), 1);
    }
}
