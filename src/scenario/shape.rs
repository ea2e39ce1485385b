//! Is a document of the text form? Every mistake of form, with its place, in the words of whoever
//! writes the file.
//!
//! What reads the fields afterwards stops at its first mistake, says it in the words of its types,
//! and no longer knows the place of what stands in an action.

use core::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::contradiction::contradictions;
use super::form::{ACTIONS, Field, Shape, TOP};
use crate::base::nearest;
use crate::world::components::control_codes::{EXAMPLE, named, names_beside};

/// A mistake of form at some bytes of the text.
pub(super) struct Misfit {
    pub(super) bytes: Range<usize>,
    pub(super) what: String,
    pub(super) expected: Option<String>,
    pub(super) remedy: Option<String>,
    /// Whether it is a field that is out of place where it stands: without it the rest can be read.
    pub(super) is_field: bool,
}

/// Every mistake of form, in the order of the fields.
pub(super) fn misfits(document: &DeTable<'_>) -> Vec<Misfit> {
    let mut misfits = Misfits(Vec::new());
    misfits.table(document, 0..0, TOP);
    misfits.0.extend(contradictions(document));
    misfits.0
}

/// A number as it was written: of any size, so that it can be told.
fn whole(value: &DeValue<'_>) -> Option<(String, Option<i128>)> {
    let number = value.as_integer()?;
    let read = i128::from_str_radix(number.as_str(), number.radix()).ok();
    Some((number.to_string(), read))
}

/// The names of fields or words, as they are listed.
fn listed<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
    let names: Vec<_> = names.into_iter().map(|name| format!("`{name}`")).collect();
    match names.as_slice() {
        [] => "no field".to_owned(),
        [one] => one.clone(),
        all => format!("one of {}", all.join(", ")),
    }
}

/// What a value is, whatever it should be.
const fn kind_of(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a text",
        DeValue::Integer(_) => "a whole number",
        DeValue::Float(_) => "a number with a fraction",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a date or a time",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}

/// What a shape holds, in words.
fn in_words(shape: Shape) -> String {
    match shape {
        Shape::Text => "a text between quotes".to_owned(),
        Shape::Flag => "true or false".to_owned(),
        Shape::Whole(least, most) if least == most => format!("the number {least}"),
        Shape::Whole(least, most) => format!("a whole number, {least} to {most}"),
        Shape::Hex => {
            "a hexadecimal string of at most 16 digits such as \"0x1f\", or a whole number that is \
             not negative"
                .to_owned()
        }
        Shape::Code => {
            format!("{}, or a control code's name such as \"{EXAMPLE}\"", in_words(Shape::Hex))
        }
        Shape::SignedHex => {
            "a signed hexadecimal string such as \"-0x18\", of at most 63 bits".to_owned()
        }
        Shape::Word(words) => listed(words()),
        Shape::Numbered(words, most) => {
            format!("a name such as \"{}\", or its number, a whole number, 0 to {most}", words()[0])
        }
        Shape::List(Shape::Table(_) | Shape::Change(_)) => "a list of tables".to_owned(),
        Shape::List(Shape::Action) => "a list of actions such as { do = \"yield\" }".to_owned(),
        Shape::List(item) => format!("a list between [ and ], each item {}", in_words(*item)),
        Shape::Table(_) | Shape::Change(_) => "a table".to_owned(),
        Shape::Weights(_) => "a table of names with weights such as swifi = 3".to_owned(),
        Shape::Action => "an action such as { do = \"yield\" }".to_owned(),
    }
}

/// What to do about a field that is unknown where it stands: it may be one of another table.
fn elsewhere(name: &str) -> String {
    let tables = TOP.iter().filter_map(|field| match field.shape {
        Shape::Table(fields) => Some((format!("in [{}]", field.name), fields)),
        Shape::List(Shape::Table(fields)) => Some((format!("in [[{}]]", field.name), *fields)),
        _ => None,
    });
    let top = ("at the top level, in front of the first table".to_owned(), TOP);
    let levels: Vec<(String, &[Field])> = core::iter::once(top).chain(tables).collect();
    let all = levels.iter().flat_map(|(_, fields)| fields.iter().map(|field| field.name));
    let Some(near) = nearest(name, all) else { return "leave it out".to_owned() };
    let place = levels.iter().find(|(_, fields)| fields.iter().any(|field| field.name == near));
    let place = place.map_or("", |(place, _)| place);
    if near == name {
        format!("`{name}` belongs {place}")
    } else {
        format!("did you mean `{near}`, which belongs {place}?")
    }
}

/// Everything found so far.
struct Misfits(Vec<Misfit>);

impl Misfits {
    fn add(&mut self, bytes: Range<usize>, what: String) -> &mut Misfit {
        self.0.push(Misfit { bytes, what, expected: None, remedy: None, is_field: false });
        self.0.last_mut().expect("just added")
    }

    /// Any of these fields; only the first, which names what is changed, can't be left out.
    fn change(&mut self, table: &DeTable<'_>, place: Range<usize>, fields: &[Field]) {
        let loose = fields
            .iter()
            .enumerate()
            .map(|(number, field)| Field { must: field.must && number == 0, ..*field });
        self.table(table, place, &loose.collect::<Vec<_>>());
    }

    fn table(&mut self, table: &DeTable<'_>, place: Range<usize>, fields: &[Field]) {
        let names = fields.iter().map(|field| field.name);
        let mut meant = Vec::new();
        for (key, value) in table {
            let name = key.get_ref();
            let Some(field) = fields.iter().find(|field| field.name == *name) else {
                self.unknown("field", key.span(), name, names.clone());
                meant.extend(nearest(name, names.clone()));
                continue;
            };
            self.value(field.name, value, field.shape);
        }
        for field in fields.iter().filter(|field| field.must) {
            // What was misspelt is there.
            if table.get(field.name).is_none() && !meant.contains(&field.name) {
                let what = format!("`{}` is missing", field.name);
                self.add(place.clone(), what).expected =
                    Some(format!("`{}`, {}", field.name, in_words(field.shape)));
            }
        }
    }

    fn unknown<'a>(
        &mut self,
        sort: &str,
        bytes: Range<usize>,
        name: &str,
        known: impl IntoIterator<Item = &'a str> + Clone,
    ) {
        let near = nearest(name, known.clone());
        let misfit = self.add(bytes, format!("unknown {sort} `{name}`"));
        misfit.expected = Some(listed(known));
        misfit.is_field = sort == "field";
        misfit.remedy = Some(match near {
            Some(near) => format!("did you mean `{near}`?"),
            None if sort == "field" => elsewhere(name),
            None => "choose one of these".to_owned(),
        });
    }

    /// One field, or one item of a list.
    fn value(&mut self, name: &str, value: &Spanned<DeValue<'_>>, shape: Shape) {
        let (bytes, value) = (value.span(), value.get_ref());
        match (shape, value) {
            (Shape::Text, DeValue::String(_)) | (Shape::Flag, DeValue::Boolean(_)) => {}
            (Shape::Numbered(words, _), DeValue::String(text)) => {
                if !words().contains(&&**text) {
                    self.unknown(name, bytes, text, words());
                }
            }
            (Shape::Numbered(_, most), DeValue::Integer(_)) => {
                let Some((told, number)) = whole(value) else { return };
                if !number.is_some_and(|number| (0..=i128::from(most)).contains(&number)) {
                    self.add(bytes, format!("{name} {told} is out of range")).expected =
                        Some(in_words(shape));
                }
            }
            (Shape::Whole(least, most), DeValue::Integer(_)) => {
                let Some((told, number)) = whole(value) else { return };
                let range = i128::from(least)..=i128::from(most);
                if !number.is_some_and(|number| range.contains(&number)) {
                    self.add(bytes, format!("{name} {told} is out of range")).expected =
                        Some(in_words(shape));
                }
            }
            (Shape::Hex | Shape::Code, DeValue::Integer(_)) => {
                let Some((told, number)) = whole(value) else { return };
                if number.is_none_or(|number| u64::try_from(number).is_err()) {
                    self.add(bytes, format!("{name} {told} is out of range")).expected =
                        Some(in_words(shape));
                }
            }
            (Shape::Code, DeValue::String(text)) if text.contains(':') => {
                if named(text).is_none() {
                    let known = names_beside(text);
                    self.unknown("control code", bytes, text, known.iter().map(String::as_str));
                }
            }
            (Shape::Hex | Shape::Code, DeValue::String(text)) => {
                let digits = text.strip_prefix("0x").map(|digits| digits.replace('_', ""));
                let is_hex = |digits: String| u64::from_str_radix(&digits, 16).is_ok();
                if !digits.is_some_and(|digits| !digits.starts_with('+') && is_hex(digits)) {
                    self.not_hex(name, bytes, text, shape);
                }
            }
            (Shape::SignedHex, DeValue::String(text)) => {
                let digits = text.strip_prefix('-').unwrap_or(text).strip_prefix("0x");
                let is_hex = |digits: &str| i64::from_str_radix(digits, 16).is_ok();
                let is_least = &**text == "-0x8000000000000000";
                if !is_least && !digits.is_some_and(|d| !d.starts_with(['+', '-']) && is_hex(d)) {
                    self.not_hex(name, bytes, text, shape);
                }
            }
            (Shape::Word(words), DeValue::String(text)) => {
                if !words().contains(&&**text) {
                    self.unknown(name, bytes, text, words());
                }
            }
            (Shape::List(item), DeValue::Array(items)) => {
                for value in items {
                    self.value(name, value, *item);
                }
            }
            (Shape::Table(fields), DeValue::Table(table)) => self.table(table, bytes, fields),
            (Shape::Change(fields), DeValue::Table(table)) => self.change(table, bytes, fields),
            (Shape::Weights(most), DeValue::Table(table)) => {
                for (key, value) in table {
                    self.value(key.get_ref(), value, Shape::Whole(0, most));
                }
            }
            (Shape::Action, DeValue::Table(table)) => self.action(table, bytes),
            _ => self.of_another_kind(name, bytes, value, shape),
        }
    }

    fn not_hex(&mut self, name: &str, bytes: Range<usize>, text: &str, shape: Shape) {
        let misfit = self.add(bytes, format!("{name} \"{text}\" is no hexadecimal string"));
        misfit.expected = Some(in_words(shape));
        let is_digits = !text.is_empty() && text.chars().all(|c| c.is_ascii_hexdigit());
        misfit.remedy = Some(match text.strip_prefix("0x").unwrap_or_default().len() {
            17.. => "it is longer than 64 bits: leave digits out".to_owned(),
            _ if is_digits => format!("put 0x in front: \"0x{text}\""),
            _ if matches!(shape, Shape::Code | Shape::List(Shape::Code)) => {
                format!(
                    "write 0x and then digits, or a driver's name and a function's: \"{EXAMPLE}\""
                )
            }
            _ => "write 0x and then digits 0 to 9 and a to f".to_owned(),
        });
    }

    fn of_another_kind(
        &mut self,
        name: &str,
        bytes: Range<usize>,
        value: &DeValue<'_>,
        shape: Shape,
    ) {
        let misfit = self.add(bytes, format!("`{name}` holds {}", kind_of(value)));
        misfit.expected = Some(in_words(shape));
        misfit.remedy = match (shape, value) {
            (Shape::Whole(..), DeValue::String(text)) if text.parse::<u64>().is_ok() => {
                Some(format!("leave out the quotes: {text}"))
            }
            (Shape::Flag, DeValue::String(text)) if matches!(&**text, "true" | "false") => {
                Some(format!("leave out the quotes: {text}"))
            }
            (Shape::Text | Shape::Word(_), DeValue::Integer(_) | DeValue::Float(_)) => {
                Some("put it between quotes".to_owned())
            }
            (Shape::SignedHex, DeValue::Integer(_)) => whole(value).and_then(|(_, number)| {
                let number = number?;
                let sign = if number < 0 { "-" } else { "" };
                Some(format!("write \"{sign}{:#x}\"", number.unsigned_abs()))
            }),
            (Shape::Table(_) | Shape::Change(_), DeValue::Array(_)) => {
                Some(format!("there is one such table: write [{name}] with single brackets"))
            }
            (Shape::List(Shape::Table(_) | Shape::Change(_)), DeValue::Table(_)) => {
                Some(format!("write [[{name}]] with double brackets, once for each"))
            }
            (Shape::List(_), _) => Some("put it between [ and ]".to_owned()),
            _ => None,
        };
    }

    fn action(&mut self, table: &DeTable<'_>, place: Range<usize>) {
        let names = ACTIONS.iter().map(|(name, _)| *name);
        let Some(named) = table.get("do") else {
            self.add(place, "an action without `do`".to_owned()).expected =
                Some(format!("`do`, {}", listed(names)));
            return;
        };
        let DeValue::String(name) = named.get_ref() else {
            self.of_another_kind("do", named.span(), named.get_ref(), Shape::Text);
            return;
        };
        let Some((_, fields)) = ACTIONS.iter().find(|(known, _)| known == name) else {
            self.unknown("action", named.span(), name, names);
            return;
        };
        let own = Field { name: "do", shape: Shape::Text, must: true };
        let all: Vec<Field> = core::iter::once(own).chain(fields.iter().copied()).collect();
        self.table(table, place, &all);
    }
}
