//! Which names a source file uses, as far as that can be told without compiling it.
//!
//! Seen: `use` trees, every path in types, expressions, patterns and bounds, paths among the tokens
//! of macros, and paths inside string literals of attributes (`#[serde(with = "crate::…")]`). Not
//! seen: what a type alias or an inferred type leads to. Doc comments are prose and don't count.
//!
//! Whatever is compiled only for tests (`#[cfg(test)]`) is left out. A unit test may compare two
//! layers or plant a defect in the layer below, and no user ever runs it; what the rules hold is
//! that the code which judges doesn't rest on the code which is judged.

use proc_macro2::{Ident, Spacing, TokenStream, TokenTree};
use syn::spanned::Spanned as _;
use syn::visit::{self, Visit};

/// How a name is used.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Use {
    /// `use a::b;` for the module itself.
    Import,
    /// `pub use a::b;`, with any visibility.
    ReExport,
    /// `use a::*;`
    Glob,
    /// `pub use a::*;`
    GlobReExport,
    /// A path in the code.
    Path,
}

/// A path inside this crate, from its root.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Reference {
    pub(crate) path: Vec<String>,
    pub(crate) by: Use,
    pub(crate) line: usize,
}

/// All that a file names outside of its tests.
#[derive(Default, Debug)]
pub(crate) struct Names {
    /// Paths that lead to this crate.
    pub(crate) inside: Vec<Reference>,
    /// Paths that lead elsewhere or to local names, as written, with their lines.
    pub(crate) outside: Vec<(Vec<String>, usize)>,
    /// Every identifier, with its line.
    pub(crate) identifiers: Vec<(String, usize)>,
    /// Modules in files of their own that are compiled only for tests.
    pub(crate) test_modules: Vec<Vec<String>>,
    /// Macros that appear at the crate's root wherever they are written (`#[macro_export]`).
    pub(crate) exported_macros: Vec<String>,
    /// What would put code elsewhere than its path says: `#[path]`, `include!`, `extern crate self`.
    pub(crate) displaced: Vec<(&'static str, usize)>,
}

/// The names in `text`, the source of the module at `module`.
pub(crate) fn names(module: Vec<String>, text: &str) -> Result<Names, syn::Error> {
    let file = syn::parse_file(text)?;
    let mut reader = Reader { module, names: Names::default() };
    reader.visit_file(&file);
    Ok(reader.names)
}

struct Reader {
    module: Vec<String>,
    names: Names,
}

impl Reader {
    /// Takes down a path, resolved if it starts at the crate, here or above.
    fn note(&mut self, segments: &[String], by: Use, line: usize) {
        let Some((first, rest)) = segments.split_first() else { return };
        let path = match first.as_str() {
            "crate" => rest.to_vec(),
            "self" if rest.is_empty() && by == Use::Path => return, // the receiver of a method
            "self" => [&self.module, rest].concat(),
            "super" => {
                let levels = segments.iter().take_while(|segment| *segment == "super").count();
                let kept = self.module.len().saturating_sub(levels);
                [&self.module[..kept], &segments[levels..]].concat()
            }
            _ => {
                self.names.outside.push((segments.to_vec(), line));
                return;
            }
        };
        self.names.inside.push(Reference { path, by, line });
    }

    fn use_tree(&mut self, tree: &syn::UseTree, prefix: &[String], public: bool) {
        let line = tree.span().start().line;
        let by = if public { Use::ReExport } else { Use::Import };
        let with = |name: &Ident| [prefix, &[name.to_string()]].concat();
        match tree {
            syn::UseTree::Path(path) => self.use_tree(&path.tree, &with(&path.ident), public),
            syn::UseTree::Group(group) => {
                for tree in &group.items {
                    self.use_tree(tree, prefix, public);
                }
            }
            syn::UseTree::Glob(_) => {
                self.note(prefix, if public { Use::GlobReExport } else { Use::Glob }, line);
            }
            syn::UseTree::Name(syn::UseName { ident })
            | syn::UseTree::Rename(syn::UseRename { ident, .. }) => {
                if ident == "self" && !prefix.is_empty() {
                    self.note(prefix, by, line);
                } else {
                    self.note(&with(ident), by, line);
                }
            }
        }
    }

    /// Paths among tokens that nobody parses: what starts with `crate`, `self`, `super` or a
    /// foreign crate's name and goes on with `::`.
    fn tokens(&mut self, tokens: TokenStream) {
        let tokens: Vec<TokenTree> = tokens.into_iter().collect();
        let mut at = 0;
        while at < tokens.len() {
            match &tokens[at] {
                TokenTree::Group(group) => self.tokens(group.stream()),
                TokenTree::Ident(first) => {
                    let line = first.span().start().line;
                    self.names.identifiers.push((first.to_string(), line));
                    let mut segments = vec![first.to_string()];
                    while is_path_separator(&tokens[at + 1..]) {
                        match tokens.get(at + 3) {
                            Some(TokenTree::Ident(next)) => {
                                let line = next.span().start().line;
                                self.names.identifiers.push((next.to_string(), line));
                                segments.push(next.to_string());
                                at += 3;
                            }
                            Some(TokenTree::Group(group)) => {
                                for name in first_of_each(group.stream()) {
                                    let path = [segments.as_slice(), &[name]].concat();
                                    self.note(&path, Use::Path, line);
                                }
                                break;
                            }
                            _ => break,
                        }
                    }
                    if segments.len() > 1 {
                        self.note(&segments, Use::Path, line);
                    }
                }
                TokenTree::Punct(_) | TokenTree::Literal(_) => {}
            }
            at += 1;
        }
    }
}

fn is_path_separator(tokens: &[TokenTree]) -> bool {
    matches!(tokens, [TokenTree::Punct(first), TokenTree::Punct(second), ..]
        if first.as_char() == ':' && first.spacing() == Spacing::Joint && second.as_char() == ':')
}

/// The first identifier of each part of `{a::b, c, d::e}`.
fn first_of_each(tokens: TokenStream) -> Vec<String> {
    let mut names = Vec::new();
    let mut at_start = true;
    for token in tokens {
        match token {
            TokenTree::Ident(name) if at_start => {
                names.push(name.to_string());
                at_start = false;
            }
            TokenTree::Punct(punct) => at_start = punct.as_char() == ',',
            _ => at_start = false,
        }
    }
    names
}

fn is_test_only(attributes: &[syn::Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        let syn::Meta::List(list) = &attribute.meta else { return false };
        let condition = list.tokens.to_string().replace(' ', "");
        list.path.is_ident("cfg") && (condition == "test" || condition.starts_with("all(test,"))
    })
}

fn attributes_of(item: &syn::Item) -> &[syn::Attribute] {
    use syn::Item;
    match item {
        Item::Const(item) => &item.attrs,
        Item::Enum(item) => &item.attrs,
        Item::ExternCrate(item) => &item.attrs,
        Item::Fn(item) => &item.attrs,
        Item::ForeignMod(item) => &item.attrs,
        Item::Impl(item) => &item.attrs,
        Item::Macro(item) => &item.attrs,
        Item::Mod(item) => &item.attrs,
        Item::Static(item) => &item.attrs,
        Item::Struct(item) => &item.attrs,
        Item::Trait(item) => &item.attrs,
        Item::TraitAlias(item) => &item.attrs,
        Item::Type(item) => &item.attrs,
        Item::Union(item) => &item.attrs,
        Item::Use(item) => &item.attrs,
        _ => &[],
    }
}

impl<'ast> Visit<'ast> for Reader {
    fn visit_item(&mut self, item: &'ast syn::Item) {
        if !is_test_only(attributes_of(item)) {
            visit::visit_item(self, item);
        } else if let syn::Item::Mod(module) = item
            && module.content.is_none()
        {
            let name = module.ident.to_string();
            self.names.test_modules.push([self.module.as_slice(), &[name]].concat());
        }
    }

    fn visit_impl_item(&mut self, item: &'ast syn::ImplItem) {
        let attributes: &[syn::Attribute] = match item {
            syn::ImplItem::Const(item) => &item.attrs,
            syn::ImplItem::Fn(item) => &item.attrs,
            syn::ImplItem::Type(item) => &item.attrs,
            _ => &[],
        };
        if !is_test_only(attributes) {
            visit::visit_impl_item(self, item);
        }
    }

    fn visit_item_mod(&mut self, module: &'ast syn::ItemMod) {
        self.module.push(module.ident.to_string());
        visit::visit_item_mod(self, module);
        self.module.pop();
    }

    fn visit_item_use(&mut self, item: &'ast syn::ItemUse) {
        let public = !matches!(item.vis, syn::Visibility::Inherited);
        self.use_tree(&item.tree, &[], public);
        visit::visit_item_use(self, item); // for the identifiers
    }

    fn visit_item_macro(&mut self, item: &'ast syn::ItemMacro) {
        let is_exported = item.attrs.iter().any(|attr| attr.path().is_ident("macro_export"));
        self.names
            .exported_macros
            .extend(item.ident.iter().filter(|_| is_exported).map(ToString::to_string));
        visit::visit_item_macro(self, item);
    }

    fn visit_item_extern_crate(&mut self, item: &'ast syn::ItemExternCrate) {
        if item.ident == "self" {
            self.names.displaced.push(("extern crate self", item.span().start().line));
        }
        visit::visit_item_extern_crate(self, item);
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        let segments: Vec<String> =
            path.segments.iter().map(|segment| segment.ident.to_string()).collect();
        self.note(&segments, Use::Path, path.span().start().line);
        visit::visit_path(self, path);
    }

    /// `pub(in path)` can only name a module around this one.
    fn visit_visibility(&mut self, _: &'ast syn::Visibility) {}

    fn visit_macro(&mut self, call: &'ast syn::Macro) {
        if call.path.is_ident("include") {
            self.names.displaced.push(("include!", call.span().start().line));
        }
        self.tokens(call.tokens.clone());
        visit::visit_macro(self, call);
    }

    fn visit_attribute(&mut self, attribute: &'ast syn::Attribute) {
        let line = attribute.span().start().line;
        if attribute.path().is_ident("path") {
            self.names.displaced.push(("#[path]", line));
        }
        if let syn::Meta::List(list) = &attribute.meta {
            let is_path =
                |token: TokenTree| matches!(token, TokenTree::Ident(name) if name == "path");
            if list.path.is_ident("cfg_attr") && list.tokens.clone().into_iter().any(is_path) {
                self.names.displaced.push(("#[path]", line));
            }
            for token in list.tokens.clone() {
                if let TokenTree::Literal(literal) = token
                    && let Ok(text) = syn::parse_str::<syn::LitStr>(&literal.to_string())
                    && let Ok(path) = text.parse::<syn::Path>()
                {
                    let segments: Vec<String> =
                        path.segments.iter().map(|segment| segment.ident.to_string()).collect();
                    self.note(&segments, Use::Path, line);
                }
            }
        }
    }

    fn visit_ident(&mut self, name: &'ast Ident) {
        self.names.identifiers.push((name.to_string(), name.span().start().line));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn inside(module: &str, text: &str) -> Vec<(String, Use)> {
        let module = module.split("::").map(str::to_owned).collect();
        let names = names(module, text).expect("the planted source parses");
        names.inside.into_iter().map(|found| (found.path.join("::"), found.by)).collect()
    }

    #[test]
    fn use_trees_are_followed_to_their_ends() {
        let found = inside(
            "machine::tlb",
            "use crate::{base::{Access, Page as P}, injection::{self}};
             pub(crate) use super::super::kernel::*;
             use self::entry::Entry;
             use core::fmt;",
        );

        let expected = [
            ("base::Access", Use::Import),
            ("base::Page", Use::Import),
            ("injection", Use::Import),
            ("kernel", Use::GlobReExport),
            ("machine::tlb::entry::Entry", Use::Import),
        ];
        assert_eq!(found, expected.map(|(path, by)| (path.to_owned(), by)));
    }

    #[test]
    fn paths_are_found_wherever_they_hide() {
        let sources = [
            "fn f() { let _ = crate::kernel::pool(); }",
            "fn f(_: &dyn crate::kernel::Pool) {}",
            "struct S<T: crate::kernel::Pool>(T);",
            "impl crate::kernel::Pool for u8 {}",
            "fn f(x: u8) { if let crate::kernel::X = x {} }",
            "fn f() { use super::super::kernel::X; }",
            "mod inner { use super::super::super::kernel::X; }",
            "fn f() { assert!(crate::kernel::X == 1); }",
            "fn f() { vec![(1, { crate::kernel::X })]; }",
            "macro_rules! m { () => { $crate::kernel::X }; }",
            "macro_rules! m { () => { use crate::{base::A, kernel::X}; }; }",
            "#[derive(Serialize)] struct S { #[serde(with = \"crate::kernel::x\")] x: u8 }",
            "type X = <u8 as crate::kernel::T>::X;",
            "pub(crate) const X: u8 = crate::kernel::X;",
            "const X: u8 = const { ::core::mem::size_of::<crate::kernel::X>() as u8 };",
        ];
        for source in sources {
            let found = inside("machine::tlb", source);
            assert!(
                found.iter().any(|(path, _)| path.starts_with("kernel")),
                "{source}: {found:?}"
            );
        }
    }

    #[test]
    fn what_is_compiled_only_for_tests_is_left_out() {
        let text = "#[cfg(test)] mod tests { use crate::kernel::X; }
             #[cfg(all(test, unix))] use crate::kernel::X;
             #[cfg(test)] mod elsewhere;
             impl S { #[cfg(test)] fn f() { crate::kernel::f() } }
             /// As [`crate::kernel::X`].
             #[cfg(not(test))] use crate::base::X;";

        assert_eq!(inside("authority", text), [("base::X".to_owned(), Use::Import)]);
        let found = names(vec!["authority".to_owned()], text).expect("the source parses");
        assert_eq!(found.test_modules, [["authority", "elsewhere"]]);
    }
}
