//! `ringfence live-bytes`: which bytes of the kernel does anybody look at?

use std::io::Write;

use serde_json::json;

use crate::base::Structure;
use crate::campaign::live_bytes::fields::FieldShare;
use crate::campaign::live_bytes::worlds::worlds;
use crate::campaign::{LiveBytes, LiveBytesOptions, Registries, Share, TrialError, live_bytes};
use crate::kernel::unread;
use crate::report::table::{Column, table};
use crate::scenario::{Scenario, shown_in_line};

use super::arguments::LiveBytesArguments;
use super::ending::stopped_when_asked;
use super::{Ended, Failure, load, progress, run};

/// Steps of the bar for each world.
const PART: u64 = 1000;

/// What the worlds are when none is named.
const SET: &str = "what a kernel can be asked to do, those built in, incidents and their contrasts";

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
    let is_default = scenarios.is_empty();
    if is_default {
        scenarios = worlds();
    }
    let every = arguments.every.unwrap_or(if is_default { 30_011 } else { 211 });
    let workers = load::workers(arguments.jobs);
    let options = LiveBytesOptions { every, workers, moments: arguments.moments };
    let registries = Registries { interrupt: stopped_when_asked()?, ..Registries::default() };
    let bar = progress::bar();
    let (mut map, mut heads) = (LiveBytes::default(), Vec::new());
    for (number, scenario) in scenarios.iter().enumerate() {
        let found = live_bytes(scenario, &registries, &options, &map, &|flips| {
            // Each world is as long as any other: how long they take is not known ahead.
            bar.set_length(PART * scenarios.len() as u64);
            bar.set_message(format!(
                "{}: {} of {} flips",
                shown_in_line(&scenario.name),
                flips.done,
                flips.total
            ));
            bar.set_position(PART * number as u64 + PART * flips.done / flips.total.max(1));
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
        if is_default {
            heads = vec![format!("{} of {} worlds: {SET}", number + 1, scenarios.len())];
        }
        let moments: Vec<String> = found.moments.iter().map(u64::to_string).collect();
        if !is_default {
            heads.push(format!(
                "{}, before step {}",
                shown_in_line(&scenario.name),
                moments.join(", ")
            ));
        }
        map.merge(found);
        if map.is_partial {
            break;
        }
    }
    bar.finish_and_clear();
    if arguments.json {
        json_lines(&map, arguments.all, out)?;
    } else {
        text(&heads, &map, every, arguments.all, out)?;
    }
    Ok(if map.is_partial { Ended::Interrupted } else { Ended::Held })
}

fn text(
    heads: &[String],
    map: &LiveBytes,
    every: usize,
    all: bool,
    out: &mut impl Write,
) -> Result<(), Failure> {
    let partial = if map.is_partial { "  PARTIAL: interrupted" } else { "" };
    writeln!(out, "Bytes of the kernel that somebody looks at{partial}")?;
    for head in heads {
        writeln!(out, "  {head}")?;
    }
    writeln!(out, "One byte in {every}.\n")?;
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
         that was never reached. Not counted: code, memory of processes, free memory. What is written\n\
         again before anybody reads it is neither: this is how much damage at one moment matters."
    )?;
    let (live, count) = (map.live_fields(), map.fields.len());
    let bytes = map.field_bytes();
    if map.is_partial {
        // A field that was not flipped is neither live nor dead.
        let tried = map.fields.values().filter(|field| field.flips.total > 0).count();
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
        "\nFields of structures, byte by byte, flipped just before somebody loads them:\n\
         {live} of {count} fields are live ({share}), {} of their {} bytes ({}).",
        bytes.live,
        bytes.total,
        percent(bytes)
    )?;
    writeln!(
        out,
        "That nine in ten bytes of the kernel's structures are live is said of these. The table above is\n\
         of all memory in use at its moments: pages of data, stacks and what is written before it is read."
    )?;
    if bytes.live == bytes.total {
        return Ok(());
    }
    if !all {
        writeln!(out, "`--all` names the other bytes and says why they are there.")?;
        return Ok(());
    }
    writeln!(out, "\nThe other bytes, 0 being a field's lowest:")?;
    let columns = [
        Column::text("field"),
        Column::text("bytes"),
        Column::text("read"),
        Column::text("why they are not live"),
    ];
    let row = |(structure, name, field): (Structure, &str, FieldShare)| {
        let read = if field.read & field.dead() == 0 { "never" } else { "yes" };
        let why = why(structure, name, field).unwrap_or("nobody needs them in these worlds");
        vec![format!("{structure}: {name}"), ranges(field.dead()), read.to_owned(), why.to_owned()]
    };
    let rows: Vec<Vec<String>> = map.not_all_live().map(row).collect();
    write!(out, "{}", table(&columns, &rows))?;
    Ok(())
}

/// The reason that is known for all bytes of a field that are not live.
fn why(structure: Structure, name: &str, field: FieldShare) -> Option<&'static str> {
    let (bytes, why) = unread::reason(structure, name)?;
    (field.dead() & !bytes == 0).then_some(why)
}

/// The bytes of a set: `0 to 3, 7`.
fn ranges(set: u8) -> String {
    let mut parts: Vec<String> = Vec::new();
    let mut byte = 0;
    while byte < u8::BITS {
        let length = (set >> byte).trailing_ones();
        match length {
            0 => {}
            1 => parts.push(byte.to_string()),
            _ => parts.push(format!("{byte} to {}", byte + length - 1)),
        }
        byte += length.max(1);
    }
    parts.join(", ")
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
        for ((structure, name), field) in &map.fields {
            let dead: Vec<u32> =
                (0..u8::BITS).filter(|byte| field.dead() >> byte & 1 == 1).collect();
            let line = json!({
                "structure": structure.name(),
                "field": name,
                "flips": told(field.flips),
                "dead_bytes": dead,
                "why": why(*structure, name, *field).filter(|_| field.dead() != 0),
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
        "field_bytes": map.field_bytes().total,
        "live_field_bytes": map.field_bytes().live,
        "fields": map.fields.len(),
        "flipped_fields": map.fields.values().filter(|field| field.flips.total > 0).count(),
        "live_fields": map.live_fields(),
        "never_read_fields": map.never_read().count(),
    }});
    writeln!(out, "{line}")?;
    Ok(())
}
