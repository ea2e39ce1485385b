//! A finding on other people's code is listed, and the table of expectations names what there is.

use std::collections::BTreeSet;

/// Pages below `docs/findings` and the table of expectations that don't fit each other: `list` is the page
/// that lists the others, `matrix` the script that names crates and versions.
pub(crate) fn unfitting(
    pages: &BTreeSet<String>,
    list: &str,
    expected: &str,
    matrix: &str,
) -> Vec<String> {
    let mut breaches = Vec::new();
    for page in pages {
        if !list.contains(&format!("]({page})")) {
            breaches.push(format!("docs/findings/README.md does not list {page}"));
        }
        if !expected.contains(&format!("docs/findings/{page}")) {
            breaches.push(format!("no line of proof/expected.txt is for {page}"));
        }
    }
    for linked in list.split("](").skip(1).filter_map(|rest| rest.split_once(')')) {
        if linked.0.ends_with(".md") && !pages.contains(linked.0) {
            breaches.push(format!("docs/findings/README.md lists {}, which is gone", linked.0));
        }
    }
    let rows: Vec<(&str, &str)> = matrix.lines().filter_map(row).collect();
    for (number, line) in (1..).zip(expected.lines()) {
        if line.trim().is_empty() || line.starts_with('#') {
            continue;
        }
        let mut breach = |what: String| {
            breaches.push(format!("proof/expected.txt:{number}: {what}"));
        };
        let columns: Vec<&str> = line.split('|').map(str::trim).collect();
        let [name, versions, _, profile, state, what, why] = columns[..] else {
            breach(format!("7 columns expected, {} found", columns.len()));
            continue;
        };
        for version in versions.split_whitespace().filter(|version| *version != "*") {
            if !rows.contains(&(name, version)) {
                breach(format!("proof/run has no row {name} {version}"));
            }
        }
        if !rows.iter().any(|(known, _)| *known == name) {
            breach(format!("proof/run has no crate {name}"));
        }
        if !["both", "debug", "release"].contains(&profile) || !["found", "silent"].contains(&state)
        {
            breach(format!("neither a profile and a state: {profile}, {state}"));
        }
        if what.is_empty() || why.is_empty() {
            breach("what and why are expected".to_owned());
        }
        let named = why.split("docs/findings/").skip(1);
        for page in named.filter_map(|rest| rest.split_whitespace().next()) {
            if !pages.contains(page) {
                breach(format!("docs/findings/{page} is not there"));
            }
        }
    }
    breaches
}

/// Crate and version of a line of the matrix.
fn row(line: &str) -> Option<(&str, &str)> {
    let mut words = line.strip_prefix("  \"")?.strip_suffix('"')?.split(' ');
    Some((words.next()?, words.next()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn findings_and_expectations_fit_each_other() {
        let root = env!("CARGO_MANIFEST_DIR");
        let read = |path: &str| {
            fs::read_to_string(format!("{root}/{path}")).unwrap_or_else(|e| panic!("{path}: {e}"))
        };
        let folder = fs::read_dir(format!("{root}/docs/findings")).expect("a folder of findings");
        let pages = folder
            .map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned())
            .filter(|name| name != "README.md")
            .collect();

        let found = unfitting(
            &pages,
            &read("docs/findings/README.md"),
            &read("proof/expected.txt"),
            &read("proof/run"),
        );

        assert!(found.is_empty(), "\n{}", found.join("\n"));
    }

    #[test]
    fn each_way_not_to_fit_is_found() {
        let pages = BTreeSet::from(["a.md".to_owned()]);
        let matrix = "matrix=(\n  \"crate 1.0 crate-1 crate@1\"\n)";
        let line = "crate | 1.0 | * | both | found | check: kind | docs/findings/a.md";
        let of = |list: &str, expected: &str| unfitting(&pages, list, expected, matrix);

        assert_eq!(of("[a](a.md)", line), Vec::<String>::new());
        assert_eq!(of("", line).len(), 1, "not listed");
        assert_eq!(of("[a](a.md) [b](b.md)", line).len(), 1, "listed and gone");
        assert_eq!(of("[a](a.md)", "# no line").len(), 1, "nothing is expected of it");
        for (was, is) in [
            ("1.0", "2.0"),
            ("crate", "other"),
            ("both", "never"),
            ("| found", "| lost"),
            ("check: kind", ""),
            (" | *", ""),
        ] {
            let broken = format!("{line}\n{}", line.replacen(was, is, 1));
            assert!(!of("[a](a.md)", &broken).is_empty(), "{broken}");
        }
        let gone = format!("{line}\n{}", line.replace("a.md", "gone.md"));
        assert_eq!(of("[a](a.md)", &gone).len(), 1, "a page that is not there");
    }
}
