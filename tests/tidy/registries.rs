//! What is modelled is listed: a row for each bug check, a rule's source beside its code.

use crate::sources::Sources;

/// Files of kernel and machine whose rows or rules no list collects: `(path, what)`.
pub(crate) fn uncollected(sources: &Sources) -> Vec<String> {
    let mut breaches = Vec::new();
    for (list, layer, declared, word) in [
        ("src/kernel/rules.rs", "src/kernel/", "const RULES: &[Rule]", "RULES"),
        ("src/machine/rules.rs", "src/machine/", "const RULES: &[Rule]", "RULES"),
        ("src/kernel/bug_check/registry.rs", "src/kernel/", "\nbug_checks! {", "BUG_CHECKS"),
    ] {
        let Some(collected) = sources.get(list) else {
            breaches.push(format!("{list} is gone"));
            continue;
        };
        for (path, text) in sources {
            if !path.starts_with(layer) || path == list || !text.contains(declared) {
                continue;
            }
            let stem = path.trim_end_matches("/mod.rs").trim_end_matches(".rs");
            let module = stem.rsplit('/').next().unwrap_or(stem);
            if !collected.contains(&format!("{module}::{word}")) {
                breaches.push(format!("{path}: {word} is not in {list}"));
            }
        }
    }
    breaches
}

/// Bug checks raised without a row, and rows that nothing raises.
pub(crate) fn unrowed(sources: &Sources) -> Vec<String> {
    let mut breaches = Vec::new();
    for (path, text) in sources {
        let is_kernel = path.starts_with("src/kernel/") || path.starts_with("src/world/");
        if !is_kernel || path.starts_with("src/kernel/bug_check/") {
            continue;
        }
        // What is behind the tests' mark raises nothing.
        let text = text.split("#[cfg(test)]").next().unwrap_or(text);
        for (number, line) in text.lines().enumerate() {
            if line.contains("p.pass([code::") || line.contains("p.pass([bug_check::code::") {
                breaches.push(format!("{path}:{}: raised without a row", number + 1));
            }
        }
        let Some((before, rows)) = text.split_once("\nbug_checks! {") else { continue };
        let Some((rows, behind)) = rows.split_once("\n}\n") else { continue };
        for row in rows.lines().filter_map(row_name) {
            let is_raised = |text: &str| {
                text.contains(&format!("{row}.with(")) || text.contains(&format!("&{row}"))
            };
            let elsewhere = sources.iter().any(|(other, text)| other != path && is_raised(text));
            if !is_raised(before) && !is_raised(behind) && !elsewhere {
                breaches.push(format!("{path}: nothing raises {row}"));
            }
        }
    }
    breaches
}

/// The name that a line of a declaration begins a row with.
fn row_name(line: &str) -> Option<&str> {
    let (name, _) = line.strip_prefix("    ")?.split_once(": ")?;
    let is_name = name.chars().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_');
    is_name.then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sources::{planted, rust_files};

    #[test]
    fn every_row_and_rule_is_collected() {
        let found = uncollected(&rust_files("src"));
        assert!(found.is_empty(), "\n{}", found.join("\n"));
    }

    #[test]
    fn what_no_list_collects_is_found() {
        let rules = "pub(crate) const RULES: &[Rule] = &[];";
        let lists = [
            ("src/kernel/rules.rs", "(\"pool\", pool::RULES)"),
            ("src/machine/rules.rs", ""),
            ("src/kernel/bug_check/registry.rs", "pool::BUG_CHECKS,"),
        ];
        let with = |path, text| uncollected(&planted([lists[0], lists[1], lists[2], (path, text)]));

        assert_eq!(with("src/kernel/pool.rs", rules), Vec::<String>::new());
        assert_eq!(with("src/kernel/pool/mod.rs", "\nbug_checks! {"), Vec::<String>::new());
        assert_eq!(with("src/kernel/lock.rs", rules).len(), 1);
        assert_eq!(with("src/kernel/lock.rs", "\nbug_checks! {").len(), 1);
        assert_eq!(with("src/machine/disk.rs", rules).len(), 1);
        assert_eq!(uncollected(&planted([("src/kernel/a.rs", "")])).len(), 3);
    }

    #[test]
    fn every_bug_check_is_raised_by_its_row_and_every_row_is_raised() {
        let found = unrowed(&rust_files("src"));
        assert!(found.is_empty(), "\n{}", found.join("\n"));
    }

    #[test]
    fn a_bug_check_without_a_row_and_a_row_without_a_bug_check_are_found() {
        let row = "\nbug_checks! {\n    LOST: LOST_CODE,\n    when \"x\",\n}\n";
        let found = |text: &str| unrowed(&planted([("src/kernel/a.rs", text)]));

        assert_eq!(found("p.pass([code::LOST_CODE, 0, 0, 0, 0]);").len(), 1);
        assert_eq!(found(row).len(), 1);
        assert_eq!(found(&format!("{row}p.pass(LOST.with([0; 4]));")), Vec::<String>::new());
        assert_eq!(found(&format!("{row}stop(&LOST, [0; 4])")), Vec::<String>::new());
        assert_eq!(found(&format!("{row}#[cfg(test)]\nLOST.with([0; 4])")).len(), 1);
    }
}
