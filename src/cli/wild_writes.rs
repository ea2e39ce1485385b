//! Wild writes by operator, as a campaign tells them.

use serde_json::{Value, json};

use crate::campaign::{Tally, WildWrites};
use crate::faults::Operator;
use crate::outcome::Class;
use crate::report::interval::{Estimate, Sample, WorldCount};
use crate::report::table::{Column, table};

/// Classes of what came of hits, as many as there is room for, each with what its column is called.
const CAME_OF_HITS: [(&str, &[Class]); 5] = [
    ("stopped", &[Class::BootLoop, Class::Reset, Class::BugCheck, Class::Hang]),
    (
        "reached others",
        &[
            Class::GuaranteeViolated,
            Class::Durable,
            Class::Deviated,
            Class::Disclosed,
            Class::Consumed,
        ],
    ),
    ("dormant", &[Class::Dormant]),
    (
        "lost",
        &[
            Class::DeviceDisabled,
            Class::HostLost,
            Class::ProcessLost,
            Class::ProcessHung,
            Class::RequestFailed,
        ],
    ),
    (
        "at home",
        &[Class::OtherOrder, Class::OwnDamage, Class::Overwritten, Class::Latent, Class::NoEffect],
    ),
];

/// The share of those that struck that hit, over these worlds.
fn hits(worlds: &[Tally], operator: Operator) -> Estimate {
    let of = |tally: &Tally| {
        let writes = tally.wild_writes.get(&operator);
        writes.map_or(WorldCount { events: 0, experiments: 0 }, |writes| WorldCount {
            events: writes.hit,
            experiments: writes.struck,
        })
    };
    worlds.iter().map(of).collect::<Sample>().estimate()
}

/// Whether a share of these is of one world, and without an interval.
pub(super) fn has_exact(total: &Tally, worlds: &[Tally]) -> bool {
    let mut operators = total.wild_writes.keys();
    operators.any(|operator| matches!(hits(worlds, *operator), Estimate::Exact { .. }))
}

/// A row for each operator; nothing where no wild write was planned.
pub(super) fn text(total: &Tally, worlds: &[Tally]) -> String {
    if total.wild_writes.is_empty() {
        return String::new();
    }
    let numbers = ["planned", "struck", "hit"].map(Column::number);
    let came = CAME_OF_HITS.map(|(name, _)| Column::number(name));
    let operator = core::iter::once(Column::text("  operator"));
    let share = core::iter::once(Column::text("of struck"));
    let columns: Vec<Column> = operator.chain(numbers).chain(share).chain(came).collect();
    let row = |(&operator, writes): (&Operator, &WildWrites)| {
        let mut row = vec![format!("  {}", operator.name())];
        row.extend([writes.planned, writes.struck, writes.hit].map(|count| count.to_string()));
        row.push(hits(worlds, operator).to_string());
        row.extend(CAME_OF_HITS.map(|(_, classes)| {
            let of = |class| writes.came_of_hits.get(class).copied().unwrap_or(0);
            classes.iter().map(of).sum::<u64>().to_string()
        }));
        row
    };
    let rows: Vec<Vec<String>> = total.wild_writes.iter().map(row).collect();
    format!(
        "\nWild writes: how many hit memory, and what came of those\n{}",
        table(&columns, &rows)
    )
}

/// One object an operator.
pub(super) fn json(total: &Tally, worlds: &[Tally]) -> Vec<Value> {
    let object = |(&operator, writes): (&Operator, &WildWrites)| {
        let (share, low, high) = hits(worlds, operator).numbers();
        let came: serde_json::Map<String, Value> = writes
            .came_of_hits
            .iter()
            .map(|(class, &count)| (class.name().to_owned(), count.into()))
            .collect();
        json!({ "wild_writes": {
            "operator": operator.name(),
            "planned": writes.planned,
            "struck": writes.struck,
            "hit": writes.hit,
            "share": share,
            "low": low,
            "high": high,
            "came_of_hits": came,
        }})
    };
    total.wild_writes.iter().map(object).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_has_a_cell_for_each_column_and_hits_add_up() {
        let writes = WildWrites {
            planned: 9,
            struck: 7,
            hit: 4,
            came_of_hits: [(Class::BugCheck, 3), (Class::Dormant, 1)].into(),
        };
        let total = Tally { wild_writes: [(Operator::Bit, writes)].into(), ..Tally::default() };

        let text = text(&total, core::slice::from_ref(&total));

        let row = text.lines().last().expect("a row");
        let cells: Vec<&str> = row.split_whitespace().collect();
        assert_eq!(cells, ["bit", "9", "7", "4", "57.1%", "3", "0", "1", "0", "0"]);
    }

    #[test]
    fn each_class_of_what_struck_is_in_one_column() {
        for class in Class::ALL {
            let columns = CAME_OF_HITS.iter().filter(|(_, classes)| classes.contains(class));

            let expected = usize::from(*class != Class::NotActivated);
            assert_eq!(columns.count(), expected, "{class}");
        }
    }
}
