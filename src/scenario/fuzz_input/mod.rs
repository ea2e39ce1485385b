//! What a fuzzer's bytes mean: any bytes are a case, so that every one of them counts.
//!
//! A case is read front to back, and past its end there are zeros. The fuzz targets and
//! `ringfence explain` read it here, so that what is explained is what was run.

use self::bytes::Bytes;
use super::{Bias, Scenario};
use crate::base::{PrincipalKind, Ratio, Seed};

mod bytes;
mod plan;
pub mod tlb;
pub mod translation;
mod words;

/// A world with a plan that strikes user mode only, at points that the world reaches by itself. A fault may find
/// nothing to do there. Input, little endian: seed (8 bytes), who is struck and faults (1),
/// applications (1), actions (1), crash in 16ths (1); for each fault its kind of those that fit (1), its
/// place of those that are reached (2), what its parameters are drawn by (1).
#[must_use]
pub fn scenario(data: &[u8]) -> Scenario {
    let mut bytes = Bytes(data);
    let seed = Seed(bytes.u64());
    let choice = bytes.u8();
    let origin =
        if choice & 1 == 0 { PrincipalKind::Application } else { PrincipalKind::DriverHost };
    let applications = 1 + u64::from(bytes.u8() % 4);
    let actions = 1 + u64::from(bytes.u8() % 24);
    let bias = Bias {
        applications: (1, applications),
        actions: (1, actions),
        crash: Ratio::new(u32::from(bytes.u8() % 16), 16),
        faults: 0,
        ..Bias::default()
    };
    let mut scenario = Scenario::generate(seed, &bias);
    scenario.plan = plan::plan(&scenario.configuration, origin, 1 + (choice >> 1 & 3), &mut bytes);
    scenario
}
