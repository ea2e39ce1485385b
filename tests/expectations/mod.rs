//! Which bug checks the text of a test expects: a code, and one of its parameters.
//!
//! Read from tokens, so that comments and names of tests say nothing. An expectation is a list (of an array, a
//! tuple or the arguments of a call) that has the code and, as many places behind it as the parameter's number
//! says, the value; or one that has the code and directly behind it `Some` value or the first
//! parameters, or all four.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use proc_macro2::{TokenStream, TokenTree};
use ringfence::kernel::bug_check::all;

/// What is expected: a code and, where it says several things, the value of the parameter by its number.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Expected {
    pub(crate) code: u64,
    pub(crate) subtype: Option<(u8, u64)>,
}

/// The files at a path: itself or, of a folder, its files.
fn texts(place: &str) -> Vec<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(place);
    let mut paths = vec![path.clone()];
    if path.is_dir() {
        let entries = fs::read_dir(&path).expect("it can be read");
        paths = entries.map(|entry| entry.expect("it can be read").path()).collect();
    }
    paths.iter().map(|path| fs::read_to_string(path).expect("a place that is there")).collect()
}

fn number(text: &str) -> Option<u64> {
    let text = text.replace('_', "");
    let text = text.strip_suffix("u64").unwrap_or(&text);
    match text.strip_prefix("0x") {
        Some(digits) => u64::from_str_radix(digits, 16).ok(),
        None => text.parse().ok(),
    }
}

/// Numbers by their names.
type Names = BTreeMap<String, u64>;

/// The constants that a stream defines as a number.
fn constants(stream: TokenStream, names: &mut Names) {
    let trees: Vec<TokenTree> = stream.into_iter().collect();
    for window in trees.windows(6) {
        let [keyword, name, .., equals, value] = window else { continue };
        if keyword.to_string() == "const" && equals.to_string() == "=" {
            names.extend(number(&value.to_string()).map(|value| (name.to_string(), value)));
        }
    }
    for tree in trees {
        if let TokenTree::Group(group) = tree {
            constants(group.stream(), names);
        }
    }
}

/// An element of a list.
type Element = Vec<TokenTree>;

/// What stands between a stream's commas.
fn elements(stream: TokenStream) -> Vec<Element> {
    let mut elements = vec![Vec::new()];
    for tree in stream {
        if matches!(&tree, TokenTree::Punct(mark) if mark.as_char() == ',') {
            elements.push(Vec::new());
        } else {
            elements.last_mut().expect("one at least").push(tree);
        }
    }
    elements
}

/// The number that an element is: a literal, or a path whose last name is known.
fn value(element: &[TokenTree], names: &Names) -> Option<u64> {
    let (last, path) = element.split_last()?;
    let is_path = path.iter().all(|tree| {
        matches!(tree, TokenTree::Ident(_))
            || matches!(tree, TokenTree::Punct(mark) if mark.as_char() == ':')
    });
    match last {
        TokenTree::Literal(literal) if path.is_empty() => number(&literal.to_string()),
        TokenTree::Ident(name) if is_path => names.get(&name.to_string()).copied(),
        _ => None,
    }
}

/// The list that an element ends with.
fn list(element: &[TokenTree]) -> Option<Vec<Element>> {
    match element.last() {
        Some(TokenTree::Group(group)) => Some(elements(group.stream())),
        _ => None,
    }
}

fn says(list: &[Element], expected: Expected, names: &Names) -> bool {
    let is = |element: Option<&Element>, wanted| {
        element.is_some_and(|element| value(element, names) == Some(wanted))
    };
    (0..list.len()).filter(|&at| is(list.get(at), expected.code)).any(|at| {
        let Some((which, wanted)) = expected.subtype else { return true };
        let which = usize::from(which);
        let behind = list.get(at + 1);
        let within = behind.and_then(|element| self::list(element)).unwrap_or_default();
        is(list.get(at + which), wanted)
            || which == 1 && is(behind, wanted)
            || matches!(within.len(), 1 | 2 | 4) && is(within.get(which - 1), wanted)
    })
}

fn stream_says(stream: TokenStream, expected: Expected, names: &Names) -> bool {
    says(&elements(stream.clone()), expected, names)
        || stream.into_iter().any(|tree| match tree {
            TokenTree::Group(group) => stream_says(group.stream(), expected, names),
            _ => false,
        })
}

/// Whether the tests at a place, a file or folder below the package, or the scenario there expect this.
pub(crate) fn are_at(place: &str, expected: Expected) -> bool {
    let texts = texts(place);
    if place.ends_with(".toml") {
        let document = toml::from_str(&texts.concat()).expect("it is TOML");
        return table_says(&document, expected);
    }
    let streams: Vec<TokenStream> =
        texts.iter().map(|text| text.parse().expect("it is Rust")).collect();
    let mut names: Names = all().iter().map(|row| (row.name.to_owned(), row.code)).collect();
    for stream in &streams {
        constants(stream.clone(), &mut names);
    }
    streams.into_iter().any(|stream| stream_says(stream, expected, &names))
}

fn table_says(value: &toml::Value, expected: Expected) -> bool {
    let is = |table: &toml::Table, key: &str, wanted| {
        table.get(key).and_then(toml::Value::as_str).and_then(number) == Some(wanted)
    };
    match value {
        toml::Value::Table(table) => {
            let says_which = |(which, value)| is(table, &format!("parameter-{which}"), value);
            is(table, "bug-check", expected.code) && expected.subtype.is_none_or(says_which)
                || table.values().any(|value| table_says(value, expected))
        }
        toml::Value::Array(values) => values.iter().any(|value| table_says(value, expected)),
        _ => false,
    }
}

#[test]
fn what_a_text_expects_is_told_from_what_it_does_not() {
    let text = |text: &str, code, which, value| {
        let stream: TokenStream = text.parse().expect("it is Rust");
        let mut names = Names::from([("PFN_LIST_CORRUPT".to_owned(), 0x4e)]);
        constants(stream.clone(), &mut names);
        stream_says(stream, Expected { code, subtype: Some((which, value)) }, &names)
    };

    for expected in [
        "const LIST: u64 = 0x4e; fn f() { (2, LIST, |n| [7, n, 0, 0]) }",
        "assert_eq!(found, [0x4e, 7, ANY, 0, 0])",
        "stops_with(outcome, code::PFN_LIST_CORRUPT, Some(7))",
        "assert_stopped(&run, code::PFN_LIST_CORRUPT, 7, None)",
        "assert_stopped(&run, code::PFN_LIST_CORRUPT, [7, 0])",
    ] {
        assert!(text(expected, 0x4e, 1, 7), "{expected}");
    }
    for other in [
        "// [0x4e, 7, 0, 0, 0]",
        "[0x4e, 2, 7, 0, 0]",
        "(2, 0x4e, |n| [2, 7, 0, 0])",
        "stops_with(outcome, 0x4e, Some(2))",
        "stops_with(outcome, 0x4e, None); f(7)",
    ] {
        assert!(!text(other, 0x4e, 1, 7), "{other}");
    }
    assert!(text("assert_eq!(found, (0x109, 0, 0, 0, 0x1c))", 0x109, 4, 0x1c));
    assert!(!text("assert_eq!(found, (0x109, 0x1c, 0, 0, 0))", 0x109, 4, 0x1c));
}
