//! `ringfence live-bytes`: which bytes of the kernel does anybody look at?

use std::io::Write;

use serde_json::json;

use crate::base::Structure;
use crate::campaign::{LiveBytes, LiveBytesOptions, Registries, Share, TrialError, live_bytes};
use crate::report::table::{Column, table};

use super::arguments::LiveBytesArguments;
use super::campaign::stopped_by_ctrl_c;
use super::{Ended, Failure, load, progress, run};

/// Flips bytes of a scenario's kernel and prints which of them made a difference.
pub(super) fn told(arguments: &LiveBytesArguments, out: &mut impl Write) -> Result<Ended, Failure> {
    let scenario = load::scenario(&arguments.scenario)?;
    let workers = load::workers(arguments.jobs);
    let options = LiveBytesOptions { every: arguments.every, workers, moments: arguments.moments };
    let bar = progress::bar();
    let registries = Registries { interrupt: stopped_by_ctrl_c()?, ..Registries::default() };
    let map = live_bytes(&scenario, &registries, &options, &|flips| {
        bar.set_length(flips.total);
        bar.set_message(format!("{} of {} flips", flips.done, flips.total));
        bar.set_position(flips.done);
    });
    bar.finish_and_clear();
    let map = match map {
        Err(TrialError::Interrupted) => {
            return run::interrupted(&scenario.name, arguments.json, out);
        }
        map => map.map_err(|error| run::unresolved(&scenario, &error))?,
    };
    if arguments.json {
        json_lines(&map, arguments.all, out)?;
    } else {
        text(&scenario.name, &map, arguments, out)?;
    }
    Ok(if map.is_partial { Ended::Interrupted } else { Ended::Held })
}

fn text(
    name: &str,
    map: &LiveBytes,
    arguments: &LiveBytesArguments,
    out: &mut impl Write,
) -> Result<(), Failure> {
    let moments: Vec<String> = map.moments.iter().map(u64::to_string).collect();
    let partial = if map.is_partial { "  PARTIAL: interrupted" } else { "" };
    writeln!(out, "Bytes of the kernel that somebody looks at: {name}{partial}")?;
    writeln!(out, "before step {}; one byte in {}\n", moments.join(", "), arguments.every)?;
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
    let dead: Vec<(Structure, &str)> = map.never_read().collect();
    let (count, fields) = (dead.len(), map.fields.len());
    if arguments.all {
        writeln!(out, "\nFields that nobody read ({count} of {fields}):")?;
        for (structure, name) in dead {
            writeln!(out, "  {structure}: {name}")?;
        }
    } else {
        writeln!(out, "\n{count} of {fields} fields were read by nobody; `--all` names them.")?;
    }
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
                "words": told(*share),
                "dead": share.read == 0,
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
        "dead_fields": map.never_read().count(),
    }});
    writeln!(out, "{line}")?;
    Ok(())
}
