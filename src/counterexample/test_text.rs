//! A case as it is kept: a file, a test, a command line.

use crate::campaign::replay::file_word;
use crate::scenario::Scenario;

/// The name of a file or a function made of a scenario's name: lower case letters, digits and `_`.
#[must_use]
pub fn identifier(name: &str) -> String {
    let mut text: String = name
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '_' })
        .collect();
    if !text.starts_with(|c: char| c.is_ascii_lowercase()) {
        text.insert_str(0, "case_");
    }
    text
}

/// The case as a test in Rust, to be pasted into any file below `tests/`.
#[must_use]
pub fn test(scenario: &Scenario) -> String {
    let toml = scenario.to_toml();
    // A raw string ends at a quote followed by as many signs as it began with.
    let mut signs = String::from("#");
    while toml.contains(&format!("\"{signs}")) {
        signs.push('#');
    }
    let name = identifier(&scenario.name);
    // Without a plan the world does it by itself.
    let strikes = if scenario.plan.is_empty() {
        ""
    } else {
        "    assert!(outcome.activation.strikes > 0, \"the fault never struck\");\n"
    };
    format!(
        "#[test]\n\
         fn {name}_holds() {{\n    \
             let text = r{signs}\"{toml}\"{signs};\n    \
             let scenario =\n        \
                 ringfence::scenario::Scenario::from_bytes(text.as_bytes()).expect(\"a scenario\");\n    \
             let registries = ringfence::campaign::Registries::default();\n\n    \
             let mut trial =\n        \
                 ringfence::campaign::Trial::new(&scenario, &registries).expect(\"a world\");\n    \
             let outcome = trial.run(&scenario.plan).expect(\"a plan\");\n\n\
         {strikes}    \
             assert_eq!(outcome.guarantees, Vec::<String>::new());\n\
         }}\n"
    )
}

/// The command that runs a stored case again.
#[must_use]
pub fn replay_line(file: &str) -> String {
    format!("ringfence replay {}", file_word(file))
}
