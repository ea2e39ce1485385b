//! What a fault is told: plain data, stored in scenarios.

use core::fmt;

use serde::{Deserialize, Serialize};

use crate::world::directory::Target;

/// How a pointer goes wrong.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Operator {
    /// By a signed number of bytes: most overlays are small and near (Sullivan and Chillarege,
    /// "Software Defects and their Impact on System Availability", FTCS 1991).
    Offset,
    /// By one of its 64 bits.
    Bit,
    /// It leads to a pool block that was freed.
    Stale,
    /// It starts from another register that holds a pointer.
    Base,
    /// It is right, but in another process's address space.
    Context,
    /// It leads anywhere that is mapped.
    Uniform,
    /// It leads to a named place.
    Target,
}

impl Operator {
    /// Every operator.
    pub const ALL: [Self; 7] = [
        Self::Offset,
        Self::Bit,
        Self::Stale,
        Self::Base,
        Self::Context,
        Self::Uniform,
        Self::Target,
    ];

    /// Its name in files and tables.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Offset => "offset",
            Self::Bit => "bit",
            Self::Stale => "stale",
            Self::Base => "base",
            Self::Context => "context",
            Self::Uniform => "uniform",
            Self::Target => "target",
        }
    }
}

/// How a component crashes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Crash {
    /// Calls through, reads or writes by a null pointer.
    NullDereference,
    /// Runs bytes that are no instruction.
    IllegalInstruction,
    /// Divides by zero.
    DivideByZero,
    /// Uses up its stack.
    StackOverflow,
    /// Fails fast.
    Abort,
}

macro_rules! parameters {
    ($($(#[doc = $doc:literal])* $(#[serde($($serde:tt)*)])? $field:ident: $type:ty = $name:literal,)*) => {
        /// What a fault is told. Which of it a kind understands is in its
        /// [`Kind`](super::Kind); everything is optional, left out is the kind's usual choice.
        #[derive(Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
        #[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
        pub struct Parameters {
            $($(#[doc = $doc])*
            #[serde(skip_serializing_if = "Option::is_none" $(, $($serde)*)?)]
            pub $field: Option<$type>,)*
        }

        impl Parameters {
            /// These, and of the others those that are not given here.
            #[must_use]
            pub fn or(self, others: &Self) -> Self {
                Self { $($field: self.$field.or_else(|| others.$field.clone()),)* }
            }

            /// Names of those that are given.
            #[must_use]
            pub fn given(&self) -> Vec<&'static str> {
                let mut names = Vec::new();
                $(if self.$field.is_some() { names.push($name); })*
                names
            }
        }

        /// Those that are given. The digest of a case is also of this text: a parameter that is added to
        /// the list leaves those of others as they were.
        impl fmt::Debug for Parameters {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                let mut told = f.debug_struct("Parameters");
                $(if let Some(given) = &self.$field {
                    told.field(stringify!($field), given);
                })*
                told.finish()
            }
        }
    };
}

parameters! {
    /// How a pointer goes wrong.
    operator: Operator = "operator",
    /// How a component crashes.
    how: Crash = "how",
    /// A distance, in bytes or as the kind says, with its sign.
    #[serde(with = "signed_hex")]
    offset: i64 = "offset",
    /// A bit, 0 to 63.
    bit: u8 = "bit",
    /// A number of bytes.
    bytes: u16 = "bytes",
    /// A number of something: an argument, a register, a block.
    index: u16 = "index",
    /// A time, in steps of all processors.
    steps: u16 = "steps",
    /// A value put in place of the right one.
    #[serde(with = "optional_hex")]
    value: u64 = "value",
    /// A place.
    target: Target = "target",
    /// Another process.
    process: String = "process",
}

impl Parameters {
    /// How a pointer goes wrong, also where that is not said: who names a place means it, and a near
    /// miss is the commonest otherwise.
    #[must_use]
    pub const fn operator_or_usual(&self) -> Operator {
        match (self.operator, &self.target) {
            (Some(operator), _) => operator,
            (None, Some(_)) => Operator::Target,
            (None, None) => Operator::Offset,
        }
    }

    /// The bit, checked.
    ///
    /// # Errors
    ///
    /// When a word has no such bit.
    pub fn bit_or(&self, usual: u8) -> Result<u8, String> {
        match self.bit.unwrap_or(usual) {
            bit @ 0..=63 => Ok(bit),
            bit => Err(format!("bit {bit} is in no word; expected 0 to 63")),
        }
    }

    /// The time, checked.
    ///
    /// # Errors
    ///
    /// When it is none, or above `most`.
    pub fn steps_up_to(&self, most: u16, usual: u16) -> Result<u64, String> {
        match self.steps.unwrap_or(usual) {
            steps if (1..=most).contains(&steps) => Ok(steps.into()),
            steps => Err(format!("{steps} steps can't be; expected 1 to {most}")),
        }
    }

    /// The index, checked.
    ///
    /// # Errors
    ///
    /// When it is not below `bound`.
    pub fn index_below(&self, bound: u16) -> Result<Option<usize>, String> {
        match self.index {
            Some(index) if index >= bound => {
                Err(format!("index {index} is too large; expected 0 to {}", bound - 1))
            }
            index => Ok(index.map(usize::from)),
        }
    }
}

/// Hexadecimal strings, or nothing.
mod optional_hex {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use crate::world::configuration::hex;

    #[derive(Serialize, Deserialize)]
    struct Hex(#[serde(with = "hex")] u64);

    #[allow(clippy::ref_option, reason = "the signature serde wants")]
    pub(super) fn serialize<S: Serializer>(value: &Option<u64>, to: S) -> Result<S::Ok, S::Error> {
        value.map(Hex).serialize(to)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Option<u64>, D::Error> {
        Ok(Option::<Hex>::deserialize(from)?.map(|Hex(value)| value))
    }
}

/// Signed hexadecimal strings such as `"-0x18"`, or nothing.
mod signed_hex {
    use serde::{Deserialize as _, Deserializer, Serializer, de::Error as _};

    #[allow(clippy::ref_option, reason = "the signature serde wants")]
    pub(super) fn serialize<S: Serializer>(value: &Option<i64>, to: S) -> Result<S::Ok, S::Error> {
        let value = value.unwrap_or(0);
        let sign = if value < 0 { "-" } else { "" };
        to.serialize_str(&format!("{sign}{:#x}", value.unsigned_abs()))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Option<i64>, D::Error> {
        let text = String::deserialize(from)?;
        let (sign, digits) = match text.strip_prefix('-') {
            Some(digits) => (-1, digits),
            None => (1, &*text),
        };
        digits
            .strip_prefix("0x")
            .and_then(|digits| i128::from_str_radix(digits, 16).ok())
            .and_then(|magnitude| i64::try_from(sign * magnitude).ok())
            .map(Some)
            .ok_or_else(|| {
                D::Error::custom("expected a signed hexadecimal string such as \"-0x18\"")
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_again() {
        for offset in [0, 24, -24, i64::MAX, i64::MIN] {
            let parameters = Parameters {
                operator: Some(Operator::Offset),
                offset: Some(offset),
                value: Some(u64::MAX),
                target: Some("kernel/ready-queue".parse().expect("a target")),
                ..Parameters::default()
            };
            let text = toml::to_string(&parameters).expect("plain data");
            assert_eq!(toml::from_str(&text), Ok(parameters), "{text}");
        }
    }

    #[test]
    fn a_misspelt_parameter_is_refused() {
        assert!(toml::from_str::<Parameters>("ofset = \"0x8\"").is_err());
        assert!(toml::from_str::<Parameters>("target = \"kernel/nowhere\"").is_err());
        assert!(toml::from_str::<Parameters>("offset = \"8\"").is_err());
    }
}
