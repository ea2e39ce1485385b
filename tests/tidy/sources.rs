//! The files under test, by their path from the root of the package.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

/// Path from the root of the package, with `/`, → text.
pub(crate) type Sources = BTreeMap<String, String>;

/// All Rust files below a folder of this package.
pub(crate) fn rust_files(folder: &str) -> Sources {
    let mut files = Sources::new();
    collect(Path::new(env!("CARGO_MANIFEST_DIR")), folder, &mut files);
    assert!(!files.is_empty(), "there are Rust files below {folder}");
    files
}

fn collect(root: &Path, folder: &str, files: &mut Sources) {
    let entries = fs::read_dir(root.join(folder)).expect("a folder of the package can be read");
    for entry in entries {
        let entry = entry.expect("an entry of a folder can be read");
        let name = entry.file_name().into_string().expect("our file names are UTF-8");
        let path = format!("{folder}/{name}");
        if entry.path().is_dir() {
            collect(root, &path, files);
        } else if name.ends_with(".rs") {
            let text = fs::read_to_string(entry.path()).expect("our sources are UTF-8");
            files.insert(path, text);
        }
    }
}

/// Sources made up by a test.
pub(crate) fn planted<const N: usize>(files: [(&str, &str); N]) -> Sources {
    files.into_iter().map(|(path, text)| (path.to_owned(), text.to_owned())).collect()
}

/// The module a file under `src` is, from the crate's root: `src/a/b.rs` and `src/a/b/mod.rs` are
/// `a::b`; `src/lib.rs` and `src/main.rs` are the root itself.
pub(crate) fn module_of(path: &str) -> Vec<String> {
    let inner = path.strip_prefix("src/").and_then(|path| path.strip_suffix(".rs"));
    let inner = inner.unwrap_or_else(|| panic!("{path} is a Rust file under src"));
    if inner == "lib" || inner == "main" {
        return Vec::new();
    }
    let inner = inner.strip_suffix("/mod").unwrap_or(inner);
    inner.split('/').map(str::to_owned).collect()
}

#[test]
fn a_file_is_the_module_its_path_says() {
    assert_eq!(module_of("src/machine/paging/mod.rs"), ["machine", "paging"]);
    assert_eq!(module_of("src/machine/tlb.rs"), ["machine", "tlb"]);
    assert!(module_of("src/lib.rs").is_empty());
}
