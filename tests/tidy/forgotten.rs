//! A test file that no test binary reaches is never compiled and never fails.

use std::collections::BTreeSet;

use crate::sources::Sources;

/// Files below `tests/` that no test binary reaches. Cargo makes a binary of each `tests/*.rs` and
/// `tests/*/main.rs`, and of what the manifest names.
pub(crate) fn forgotten(sources: &Sources, named_in_manifest: &[String]) -> Vec<String> {
    let mut reached = BTreeSet::new();
    for path in sources.keys() {
        let parts: Vec<&str> = path.split('/').collect();
        let is_root = matches!(parts.as_slice(), ["tests", _] | ["tests", _, "main.rs"]);
        if is_root || named_in_manifest.contains(path) {
            let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
            reach(sources, path, folder, &mut reached);
        }
    }
    sources.keys().filter(|path| !reached.contains(*path)).cloned().collect()
}

/// Follows the modules declared in `path`, whose own modules are looked for in `folder`.
fn reach(sources: &Sources, path: &str, folder: &str, reached: &mut BTreeSet<String>) {
    let Some(text) = sources.get(path) else { return };
    if !reached.insert(path.to_owned()) {
        return;
    }
    let file = syn::parse_file(text).unwrap_or_else(|error| panic!("{path}: {error}"));
    let own_folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
    reach_items(sources, &file.items, own_folder, folder, reached);
}

fn reach_items(
    sources: &Sources,
    items: &[syn::Item],
    own_folder: &str,
    folder: &str,
    reached: &mut BTreeSet<String>,
) {
    for item in items {
        let syn::Item::Mod(module) = item else { continue };
        let below = format!("{folder}/{}", module.ident);
        if let Some((_, items)) = &module.content {
            reach_items(sources, items, &below, &below, reached);
        } else if let Some(named) = path_attribute(&module.attrs) {
            let path = format!("{own_folder}/{named}");
            let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder).to_owned();
            reach(sources, &path, &folder, reached);
        } else {
            reach(sources, &format!("{below}.rs"), &below, reached);
            reach(sources, &format!("{below}/mod.rs"), &below, reached);
        }
    }
}

fn path_attribute(attributes: &[syn::Attribute]) -> Option<String> {
    attributes.iter().find_map(|attribute| {
        let syn::Meta::NameValue(pair) = &attribute.meta else { return None };
        let syn::Expr::Lit(literal) = &pair.value else { return None };
        let syn::Lit::Str(text) = &literal.lit else { return None };
        pair.path.is_ident("path").then(|| text.value())
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sources::{planted, rust_files};

    /// Paths of `[[test]]` entries in the manifest.
    fn named_in_manifest() -> Vec<String> {
        let manifest: toml::Table =
            include_str!("../../Cargo.toml").parse().expect("the manifest is TOML");
        let tests = manifest.get("test").and_then(toml::Value::as_array);
        let paths = tests.into_iter().flatten().filter_map(|test| test.get("path")?.as_str());
        paths.map(str::to_owned).collect()
    }

    #[test]
    fn every_test_file_belongs_to_a_test_binary() {
        let found = forgotten(&rust_files("tests"), &named_in_manifest());
        assert!(found.is_empty(), "declare them in a test binary:\n{}", found.join("\n"));
    }

    #[test]
    fn a_forgotten_file_is_found_and_the_others_are_not() {
        let sources = planted([
            ("tests/single.rs", "mod beside; mod inline { mod inside; }"),
            ("tests/beside/mod.rs", "mod deep;"),
            ("tests/beside/deep.rs", ""),
            ("tests/beside/shallow.rs", ""),
            ("tests/inline/inside.rs", ""),
            ("tests/caught/main.rs", "mod one; #[path = \"odd/name.rs\"] mod odd;"),
            ("tests/caught/one.rs", "mod more;"),
            ("tests/caught/one/more.rs", ""),
            ("tests/caught/two.rs", ""),
            ("tests/caught/odd/name.rs", ""),
            ("tests/named/by_manifest.rs", ""),
        ]);

        let found = forgotten(&sources, &["tests/named/by_manifest.rs".to_owned()]);

        assert_eq!(found, ["tests/beside/shallow.rs", "tests/caught/two.rs"]);
    }
}
