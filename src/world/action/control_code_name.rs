//! A control code in a file, and arguments that may be one: by name, or as a hexadecimal number.

use serde::{Deserialize, Deserializer, Serializer, de::Error as _};

use crate::world::components::control_codes::named;
use crate::world::configuration::hex;

/// Writes the number.
#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde asks for a reference")]
pub(super) fn serialize<S: Serializer>(code: &u64, serializer: S) -> Result<S::Ok, S::Error> {
    hex::serialize(code, serializer)
}

/// Reads either.
pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    Ok(Code::deserialize(deserializer)?.0)
}

/// Either, as a file has it.
pub(super) struct Code(pub(super) u64);

impl<'de> Deserialize<'de> for Code {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Either {
            Number(u64),
            Text(String),
        }
        let wrong = "expected a hexadecimal string such as \"0x1f\", or a control code's name";
        match Either::deserialize(deserializer).map_err(|_| D::Error::custom(wrong))? {
            Either::Number(number) => Ok(Self(number)),
            Either::Text(text) => match text.strip_prefix("0x") {
                Some(digits) => u64::from_str_radix(&digits.replace('_', ""), 16).ok().map(Self),
                None => named(&text).map(Self),
            }
            .ok_or_else(|| D::Error::custom(wrong)),
        }
    }
}
