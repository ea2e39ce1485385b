//! Any bytes are a scenario or a list of mistakes, never a panic; and what is read is written so that
//! it is read again.

use ringfence::campaign::{Registries, Trial};
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

/// What becomes of a stored text: how the scenario runs, or the first mistake in it. Not fuzzed: a
/// scenario may ask for any number of steps.
#[must_use]
pub fn outcome(data: &[u8]) -> String {
    let scenario = match Scenario::from_bytes(data) {
        Ok(scenario) => scenario,
        Err(errors) => return format!("refused: {errors}"),
    };
    let Ok(mut trial) = Trial::new(&scenario, &Registries::default()) else {
        return "can't be built".to_owned();
    };
    match trial.run(&scenario.plan) {
        Ok(_) if scenario.plan.is_empty() => "runs, no plan".to_owned(),
        Ok(outcome) if outcome.activation.strikes > 0 => "runs and is struck".to_owned(),
        Ok(_) => "runs, never struck".to_owned(),
        Err(error) => format!("can't be run: {error}"),
    }
}
