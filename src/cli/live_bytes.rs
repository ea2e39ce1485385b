//! `ringfence live-bytes`: which bytes of the kernel does anybody look at?

use std::io::Write;

use serde_json::json;

use crate::base::Structure;
use crate::campaign::{LiveBytes, LiveBytesOptions, Registries, Share, TrialError, live_bytes};
use crate::kernel::unread;
use crate::report::table::{Column, table};
use crate::scenario::Scenario;

use super::arguments::LiveBytesArguments;
use super::campaign::stopped_by_ctrl_c;
use super::{Ended, Failure, load, progress, run};

/// Flips bytes of the kernels of scenarios and prints which of them made a difference.
pub(super) fn told(arguments: &LiveBytesArguments, out: &mut impl Write) -> Result<Ended, Failure> {
    let mut scenarios: Vec<Scenario> = Vec::new();
    for name in &arguments.scenarios {
        let scenario = load::scenario(name)?;
        // Under whatever names it is given, its bytes count once.
        if !scenarios.contains(&scenario) {
            scenarios.push(scenario);
        }
    }
    let workers = load::workers(arguments.jobs);
    let options = LiveBytesOptions { every: arguments.every, workers, moments: arguments.moments };
    let registries = Registries { interrupt: stopped_by_ctrl_c()?, ..Registries::default() };
    let bar = progress::bar();
    let (mut map, mut heads) = (LiveBytes::default(), Vec::new());
    for scenario in &scenarios {
        let found = live_bytes(scenario, &registries, &options, &|flips| {
            bar.set_length(flips.total);
            bar.set_message(format!("{}: {} of {} flips", scenario.name, flips.done, flips.total));
            bar.set_position(flips.done);
        });
        let found = match found {
            Err(TrialError::Interrupted) if !heads.is_empty() => {
                map.is_partial = true;
                break;
            }
            Err(TrialError::Interrupted) => {
                bar.finish_and_clear();
                return run::interrupted(&scenario.name, arguments.json, out);
            }
            found => found.map_err(|error| run::unresolved(scenario, &error))?,
        };
        let moments: Vec<String> = found.moments.iter().map(u64::to_string).collect();
        heads.push(format!("{}, before step {}", scenario.name, moments.join(", ")));
        map.merge(found);
        if map.is_partial {
            break;
        }
    }
    bar.finish_and_clear();
    if arguments.json {
        json_lines(&map, arguments.all, out)?;
    } else {
        text(&heads, &map, arguments, out)?;
    }
    Ok(if map.is_partial { Ended::Interrupted } else { Ended::Held })
}

fn text(
    heads: &[String],
    map: &LiveBytes,
    arguments: &LiveBytesArguments,
    out: &mut impl Write,
) -> Result<(), Failure> {
    let partial = if map.is_partial { "  PARTIAL: interrupted" } else { "" };
    writeln!(out, "Bytes of the kernel that somebody looks at{partial}")?;
    for head in heads {
        writeln!(out, "  {head}")?;
    }
    writeln!(out, "One byte in {}.\n", arguments.every)?;
    let columns = [
        Column::text("structure"),
        Column::number("bytes in use"),
        Column::number("read"),
        Column::number("live"),
        Column::number("live share"),
        Column::number("bytes of room"),
        Column::number("read"),
        Column::number("live"),
    ];
    let row = |name: &str, used: Share, room: Share| {
        let numbers = [used.total, used.read, used.live].map(|number| number.to_string());
        let [total, read, live] = numbers;
        let rest = [room.total, room.read, room.live].map(|number| number.to_string());
        let [room_total, room_read, room_live] = rest;
        vec![name.to_owned(), total, read, live, percent(used), room_total, room_read, room_live]
    };
    let mut rows: Vec<Vec<String>> = map
        .structures
        .iter()
        .map(|(structure, shares)| row(structure.name(), shares.used, shares.room))
        .collect();
    let total = map.total();
    rows.push(row("all", total.used, total.room));
    write!(out, "{}", table(&columns, &rows))?;
    writeln!(
        out,
        "\nEach byte is flipped once at each moment, in a run of its own. read: a load, a walk or a\n\
         transfer met it. live: another event or another state came of it. in use: the word is not\n\
         zero or is a field of its structure; room: the rest, such as empty table entries and stack\n\
         that was never reached. Not counted: code, memory of processes, free memory."
    )?;
    let dead: Vec<(Structure, &str, Share)> = map.never_live().collect();
    let (count, live) = (map.fields.len(), map.fields.len() - dead.len());
    if map.is_partial {
        // A field that was not flipped is neither live nor dead.
        let tried = map.fields.values().filter(|share| share.total > 0).count();
        writeln!(
            out,
            "\n{live} of the {tried} fields flipped so far are live; of the other {} nothing is known.",
            count - tried
        )?;
        return Ok(());
    }
    let share = percent(Share { total: count as u64, read: 0, live: live as u64 });
    writeln!(
        out,
        "\n{live} of {count} fields are live ({share}): flipped just before a load, they matter."
    )?;
    if dead.is_empty() {
        return Ok(());
    }
    if !arguments.all {
        writeln!(out, "`--all` names the others and says why they are there.")?;
        return Ok(());
    }
    writeln!(out, "\nThe others:")?;
    let columns = [Column::text("field"), Column::text("read"), Column::text("why it is not live")];
    let row = |&(structure, name, share): &(Structure, &str, Share)| {
        let read = if share.read == 0 { "never" } else { "yes" };
        let why = unread::reason(structure, name).unwrap_or("nobody needs it in this world");
        vec![format!("{structure}: {name}"), read.to_owned(), why.to_owned()]
    };
    let rows: Vec<Vec<String>> = dead.iter().map(row).collect();
    write!(out, "{}", table(&columns, &rows))?;
    Ok(())
}

/// The share of live flips, in tenths of a percent.
fn percent(share: Share) -> String {
    if share.total == 0 {
        return "–".to_owned();
    }
    let tenths = (share.live * 2000 / share.total).div_ceil(2);
    format!("{}.{}%", tenths / 10, tenths % 10)
}

fn json_lines(map: &LiveBytes, all: bool, out: &mut impl Write) -> Result<(), Failure> {
    let told =
        |share: Share| json!({ "flipped": share.total, "read": share.read, "live": share.live });
    for (structure, shares) in &map.structures {
        let line = json!({
            "structure": structure.name(),
            "used": told(shares.used),
            "room": told(shares.room),
        });
        writeln!(out, "{line}")?;
    }
    if all {
        for ((structure, name), share) in &map.fields {
            let line = json!({
                "structure": structure.name(),
                "field": name,
                "flips": told(*share),
                "why": (share.live == 0).then(|| unread::reason(*structure, name)).flatten(),
            });
            writeln!(out, "{line}")?;
        }
    }
    let total = map.total();
    let line = json!({ "summary": {
        "moments": map.moments,
        "partial": map.is_partial,
        "used": told(total.used),
        "room": told(total.room),
        "fields": map.fields.len(),
        "flipped_fields": map.fields.values().filter(|share| share.total > 0).count(),
        "live_fields": map.fields.len() - map.never_live().count(),
        "never_read_fields": map.never_read().count(),
    }});
    writeln!(out, "{line}")?;
    Ok(())
}
