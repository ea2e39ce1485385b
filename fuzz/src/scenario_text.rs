//! Any bytes are a scenario or a list of mistakes, never a panic; and what is read is written so that
//! it is read again.

use ringfence::scenario::Scenario;

/// One case.
///
/// # Panics
///
/// When a scenario that was read is not what its own text says.
pub fn run(data: &[u8]) {
    match Scenario::from_bytes(data) {
        Ok(scenario) => {
            let again = Scenario::from_bytes(scenario.to_toml().as_bytes());
            assert_eq!(again, Ok(scenario));
        }
        Err(errors) => assert!(!errors.to_string().is_empty()),
    }
}
