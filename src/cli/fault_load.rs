//! A fault load as it is told: what was asked for, and what was drawn.

use serde_json::{Value, json};

use crate::campaign::Tally;
use crate::faults::Mix;
use crate::report::interval::percent;
use crate::report::table::{Column, table};

#[allow(clippy::cast_precision_loss, reason = "told with one decimal")]
fn share(part: u64, whole: u64) -> String {
    if whole == 0 { "–".to_owned() } else { format!("{}%", percent(part as f64 / whole as f64)) }
}

/// The mix as it was said, and what of it has no kind.
pub(super) fn said(mix: &Mix) -> String {
    let mut text = format!("Fault load: {mix}\n");
    for (names, hundredths) in mix.missing() {
        text += &format!("  not modelled: {names} ({hundredths} in a hundred of it)\n");
    }
    text
}

/// Each kind with its weight, and how often it was drawn and struck. `asked` are the faults that were
/// asked for, each `within` a world or a component of it: weights and shares are of these, so that a kind
/// without a place in some of them is short of its weight and no other is above its own.
pub(super) fn drawn(mix: &Mix, total: &Tally, asked: u64, within: &str) -> String {
    let columns = [
        Column::text("  kind"),
        Column::number("weight"),
        Column::number("drawn"),
        Column::number("share"),
        Column::number("struck"),
    ];
    let rows: Vec<[String; 5]> = mix
        .kinds()
        .iter()
        .map(|&(weight, kind)| {
            let (drawn, struck) = total.kinds.get(kind).copied().unwrap_or_default();
            [
                format!("  {kind}"),
                share(weight, mix.total()),
                drawn.to_string(),
                share(drawn, asked),
                struck.to_string(),
            ]
        })
        .collect();
    let mut text = table(&columns, &rows);
    let nowhere = asked.saturating_sub(total.faults());
    if nowhere > 0 {
        let part = share(nowhere, asked);
        text += &format!("  {nowhere} more ({part}) had no place in their {within}\n");
    }
    text
}

/// One object a kind.
pub(super) fn json(mix: &Mix, total: &Tally) -> Vec<Value> {
    let of_kind = |&(weight, kind): &(u64, &'static str)| {
        let (drawn, struck) = total.kinds.get(kind).copied().unwrap_or_default();
        json!({ "fault_load": {
            "kind": kind,
            "weight": weight,
            "of": mix.total(),
            "drawn": drawn,
            "struck": struck,
        }})
    };
    mix.kinds().iter().map(of_kind).collect()
}
