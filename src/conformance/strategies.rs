//! Cases as `proptest` strategies, for tests that mix them with properties of their own.

use proptest::prelude::*;

use super::case::{Case, generate};
use super::draw::Draw;
use super::format::Format;
use super::subject::Capabilities;

/// Cases for an implementation with these capabilities. They are drawn from bytes, so that fewer and
/// smaller bytes give fewer and plainer calls; run them with [`replay`](super::replay).
pub fn cases(
    format: &'static dyn Format,
    capabilities: Capabilities,
) -> impl Strategy<Value = Case> {
    proptest::collection::vec(any::<u8>(), 0..256)
        .prop_map(move |bytes| generate(&mut Draw::Bytes(&bytes), format, capabilities, &[]))
}
