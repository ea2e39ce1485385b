//! A test of the command asks for its binary, which there is with the feature `cli` alone.

use crate::sources::Sources;

/// What a test that starts the command says.
const ASKS: &str = concat!("CARGO_BIN", "_EXE_");
const WITH_CLI: &str = "feature = \"cli\"";

/// Test files that start the command and are compiled without it too: neither they say that they need it
/// nor does the binary whose module they are.
pub(crate) fn compiled_without_the_command(sources: &Sources) -> Vec<String> {
    let asks = sources.iter().filter(|(_, text)| text.contains(ASKS));
    let alone = asks.filter(|(path, text)| {
        let (folder, name) = path.rsplit_once('/').unwrap_or(("", path));
        let module = name.trim_end_matches(".rs");
        let gated = format!("{WITH_CLI})]\nmod {module};");
        let root = sources.get(&format!("{folder}/main.rs"));
        !text.contains(WITH_CLI) && root.is_none_or(|root| !root.contains(&gated))
    });
    alone.map(|(path, _)| path.clone()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sources::{planted, rust_files};

    #[test]
    fn tests_of_the_command_are_compiled_with_it_alone() {
        let found = compiled_without_the_command(&rust_files("tests"));
        assert!(found.is_empty(), "say `#[cfg({WITH_CLI})]` of them:\n{}", found.join("\n"));
    }

    #[test]
    fn a_test_that_starts_what_is_not_there_is_found() {
        let (gate, start) = (format!("#[cfg({WITH_CLI})]"), format!("env!(\"{ASKS}x\")"));
        let sources = planted([
            ("tests/whole.rs", &*format!("#!{}\n{start}", &gate[1..])),
            ("tests/caught.rs", &start),
            ("tests/parts/main.rs", &*format!("{gate}\nmod gated;\nmod loose;")),
            ("tests/parts/gated.rs", &start),
            ("tests/parts/loose.rs", &start),
        ]);

        let found = compiled_without_the_command(&sources);

        assert_eq!(found, ["tests/caught.rs", "tests/parts/loose.rs"]);
    }
}
