//! A system service in a file: by its name, or by its number where it has none.

use serde::{Deserialize, Deserializer, Serializer, de::Error as _};

use crate::kernel::service;

/// Writes the name, or a number that no service has.
pub(super) fn serialize<S: Serializer>(number: &u8, serializer: S) -> Result<S::Ok, S::Error> {
    match service::name((*number).into()) {
        Some(name) => serializer.serialize_str(name),
        None => serializer.serialize_u8(*number),
    }
}

/// Reads either.
pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u8, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Either {
        Number(u8),
        Name(String),
    }
    let wrong = "expected a service such as \"NtClose\", or its number";
    match Either::deserialize(deserializer).map_err(|_| D::Error::custom(wrong))? {
        Either::Number(number) => Ok(number),
        Either::Name(name) => service::named(&name)
            .and_then(|number| u8::try_from(number).ok())
            .ok_or_else(|| D::Error::custom(format!("unknown service `{name}`"))),
    }
}

#[cfg(test)]
mod tests {
    use super::service;
    use crate::world::Action;

    #[derive(serde::Serialize, serde::Deserialize)]
    struct Holder {
        action: Action,
    }

    #[test]
    fn a_service_is_read_by_name_and_by_number_and_written_by_name() {
        for number in 0..=u8::MAX {
            let action = Action::SystemCall { service: number, arguments: Vec::new() };
            let by_number =
                format!("action = {{ do = \"system-call\", service = {number}, arguments = [] }}");

            let written = toml::to_string(&Holder { action: action.clone() }).expect("plain data");

            for text in [&by_number, &written] {
                let read: Holder = toml::from_str(text).expect("an action");
                assert_eq!(read.action, action, "{text}");
            }
            let name = service::name(number.into());
            let is_named = name.is_some_and(|name| written.contains(&format!("\"{name}\"")));
            assert_eq!(is_named, u64::from(number) < service::COUNT, "{written}");
        }
    }
}
