//! Numbers on the command line, and what is said of a text that is none.

use core::fmt::Display;
use core::num::IntErrorKind;
use core::str::FromStr;

pub(super) use crate::base::counted;

/// A reader of whole numbers from `least` to `most`. What it says of anything else names both.
pub(super) fn whole<T>(
    least: T,
    most: T,
) -> impl Fn(&str) -> Result<T, String> + Clone + Send + Sync + 'static
where
    T: FromStr + PartialOrd + Display + Copy + Send + Sync + 'static,
{
    move |text| match text.trim().parse() {
        Ok(number) if least <= number && number <= most => Ok(number),
        _ => Err(format!("expected a whole number, {least} to {most}")),
    }
}

/// Reads a seed, decimal or `0x…`.
pub(super) fn seed(text: &str) -> Result<u64, String> {
    seed_end(text).and_then(|seed| u64::try_from(seed).map_err(|_| too_large(text)))
}

/// Reads what seeds end before: a seed, or the one after the last.
pub(super) fn seed_end(text: &str) -> Result<u128, String> {
    let text = text.trim();
    let parsed = match text.strip_prefix("0x") {
        Some(digits) => u128::from_str_radix(digits, 16),
        None => text.parse(),
    };
    match parsed {
        Ok(end) if end <= u128::from(u64::MAX) + 1 => Ok(end),
        Err(error) if *error.kind() != IntErrorKind::PosOverflow => {
            Err(format!("{text:?} is not a seed; expected a number such as 7 or 0x1f"))
        }
        _ => Err(too_large(text)),
    }
}

fn too_large(text: &str) -> String {
    format!("{} is too large for a seed; seeds go from 0 to {}", text.trim(), u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_out_of_range_or_none_is_told_with_the_range() {
        let read = whole(1_u16, 256);

        assert_eq!(read("256"), Ok(256));
        for wrong in ["0", "257", "-1", "abc", "1.5", "99999999999999999999999"] {
            assert_eq!(read(wrong), Err("expected a whole number, 1 to 256".to_owned()), "{wrong}");
        }
    }
}
