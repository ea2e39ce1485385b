//! Damage is what a fault did: not what the struck step stores anyway, nor what a world does to itself.

mod worlds;

use ringfence::authority::Corruption;
use ringfence::base::{Seed, Structure};
use ringfence::campaign::{Registries, Sweep, Trial};
use ringfence::counterexample::Story;
use ringfence::faults::PlannedFault;
use ringfence::injection::{PointKind, PointRecord};
use ringfence::outcome::{Class, Integrity, Outcome, Victim};
use ringfence::scenario::{Bias, Scenario};
use ringfence::world::{Action, Component, Configuration};

use worlds::{application, built_in, fault, neighbours, reached, struck, trial};

/// Whether the golden run stores something in the step that is the `nth` of this one's.
fn stores_in(trial: &Trial, who: &str, nth: u64) -> bool {
    let principal = trial.roster().named(who).expect("somebody of the world");
    let points = &trial.golden.points;
    let mut steps =
        points.iter().filter(|point| point.kind == PointKind::Step && point.principal == principal);
    let nth = usize::try_from(nth).expect("few") - 1;
    let clock = steps.nth(nth).expect("it was reached").clock;
    points.iter().any(|point| point.kind == PointKind::Store && point.clock == clock)
}

/// Flips a bit of a register, by its number.
fn flip(who: &str, nth: u64, register: u8) -> PlannedFault {
    let which = format!("index = {register}\nbit = 3");
    fault("corrupted-register", who, PointKind::Step, nth, &which)
}

#[test]
fn a_step_that_stores_what_it_stores_anyway_damages_nothing() {
    const UNUSED: u8 = 15;
    let mut trial = trial(&neighbours());
    let mut stored = 0;
    for who in ["nic", "filter", "files", "sensor", "editor"] {
        for nth in (1..=reached(&trial, who, PointKind::Step)).step_by(3) {
            let outcome = struck(&mut trial, flip(who, nth, UNUSED));

            assert_eq!(outcome.integrity, Integrity::Untouched, "{who}, step {nth}: {outcome:?}");
            assert_eq!(outcome.class(), Class::NoEffect, "{who}, step {nth}");
            stored += u32::from(stores_in(&trial, who, nth));
        }
    }
    assert!(stored > 30, "{stored} of the steps store something");
}

#[test]
fn a_step_that_stores_something_else_damages_what_it_stores() {
    // Accumulator, counter and data register.
    const USED: [u8; 3] = [0, 1, 2];
    let mut trial = trial(&neighbours());
    let mut damaged = 0;
    for register in USED {
        for nth in 1..=reached(&trial, "nic", PointKind::Step) {
            let outcome = struck(&mut trial, flip("nic", nth, register));
            let is_damaged = outcome.integrity != Integrity::Untouched;
            damaged += u32::from(is_damaged && stores_in(&trial, "nic", nth));
        }
    }
    assert!(damaged > 0, "no step stores what is in {USED:?}");
}

#[test]
fn a_step_done_twice_damages_where_twice_is_not_once() {
    // Where it counts, say; otherwise it stores the same twice.
    let mut trial = trial(&neighbours());
    let (mut same, mut other) = (0, 0);
    for nth in 1..=reached(&trial, "kernel", PointKind::Step) / 8 {
        let nth = nth * 8;
        let again = fault("repeated-step", "kernel", PointKind::Step, nth, "");
        let outcome = struck(&mut trial, again);
        if stores_in(&trial, "kernel", nth) {
            same += u32::from(outcome.integrity == Integrity::Untouched);
            other += u32::from(outcome.integrity != Integrity::Untouched);
        }
    }
    assert!(same > 0 && other > 0, "{same} the same, {other} other");
}

fn golden(scenario: &Scenario) -> Outcome {
    trial(scenario).run(&[]).expect("nothing is planned")
}

#[test]
fn a_generated_world_discloses_nothing_by_itself() {
    for seed in 0..40 {
        let world = Scenario::generate(Seed(seed), &Bias::default());
        let alone = golden(&world);
        assert_eq!(alone.disclosed, 0, "seed {seed}: {alone:?}");
    }
}

#[test]
fn what_a_world_discloses_by_itself_no_fault_disclosed() {
    let disclosing = built_in("incidents/I04-memory-disclosure");
    let alone = golden(&disclosing);
    assert!(alone.disclosed > 0, "{alone:?}");

    let mut trial = trial(&disclosing);
    let outcome = struck(&mut trial, flip("bystander", 1, 15));

    assert_eq!((outcome.disclosed, outcome.class()), (0, Class::NoEffect), "{outcome:?}");
}

#[test]
fn what_is_disclosed_goes_to_no_address_of_the_kernels() {
    // The class has one mistake, the length: where it is to answer, it probes (HackSys Extreme Vulnerable Driver,
    // MemoryDisclosureNonPagedPool.c).
    let kinds = vec!["kernel-address-as-argument".to_owned()];
    let sweep = Sweep { kinds, ..Sweep::of(built_in("incidents/I04-memory-disclosure")) };

    let swept = sweep.run(|_| {}).expect("a sound world");

    assert!(swept.total.activated > 0);
    assert_eq!(swept.total.violations, 0);
}

/// A parent and its child whose private pages are one.
fn family() -> Scenario {
    let mut actions = vec![
        Action::Store { word: 0, value: 1 },
        Action::CreateProcess { process: "child".into(), first: 4, inherit: false, slot: 1 },
    ];
    actions.extend(vec![Action::Yield; 40]);
    actions.extend([
        Action::Load { word: 0 },
        Action::Exit { status: 0 },
        Action::Store { word: 0, value: 9 },
    ]);
    let child = Component { spawned: true, ..application("child", Vec::new()) };
    let components = vec![application("parent", actions), child, application("other", vec![])];
    let configuration = Configuration {
        components,
        weaknesses: vec!["shared-private-page".to_owned()],
        ..Configuration::default()
    };
    Scenario { name: "family".into(), configuration, ..Scenario::default() }
}

#[test]
fn what_a_world_does_to_itself_no_fault_did() {
    let mut scenario = family();
    // Where the child begins: after the waiting.
    if let Some(Action::CreateProcess { first, .. }) =
        scenario.configuration.components[0].actions.get_mut(1)
    {
        *first = 44;
    }
    let alone = golden(&scenario);
    assert!(!alone.victims.is_empty(), "{alone:?}");

    let mut trial = Trial::new(&scenario, &Registries::default()).expect("it is sound");
    let outcome = struck(&mut trial, flip("parent", 1, 15));

    assert_eq!(outcome.victims, Vec::<Victim>::new(), "{outcome:?}");
    assert_eq!((outcome.integrity, outcome.class()), (Integrity::Untouched, Class::NoEffect));
    assert_eq!(outcome.sleep, None);
}

#[test]
fn code_that_is_none_any_more_was_read_when_it_was_fetched() {
    let mut trial = trial(&neighbours());
    let mut undecodable = 0;
    for nth in (1..=reached(&trial, "editor", PointKind::Step)).step_by(5) {
        // In the number of the routine, of which there are not so many.
        let spoilt = fault("corrupted-code-byte", "editor", PointKind::Step, nth, "bit = 50");
        let outcome = struck(&mut trial, spoilt);
        let Some(detection) = &outcome.detection else { continue };
        if detection.by == "invalid opcode" {
            undecodable += 1;
            assert!(outcome.integrity >= Integrity::Consumed, "step {nth}: {outcome:?}");
            assert!(!outcome.read.is_empty() && outcome.unread.is_empty(), "step {nth}");
            assert_eq!(detection.blamed, "editor", "step {nth}");
        }
    }
    assert!(undecodable > 0, "every step with that bit is one");
}

#[test]
fn a_table_entry_was_read_when_a_walk_came_by() {
    let mut trial = trial(&neighbours());
    // The slot of the kernel's image: what the end of a process frees does not lie below it.
    const KERNEL: u32 = 0x1f0;
    let mut flipped = |slot: u32, bit: u32| {
        let which = format!("target = \"process:editor/page-map-entry:{slot}\"\nbit = {bit}");
        struck(&mut trial, fault("bit-flip", "editor", PointKind::Step, 5, &which))
    };
    // Present, and a bit that is software's: the walk ends there, or goes on and writes nothing.
    for bit in [0, 9] {
        let outcome = flipped(KERNEL, bit);

        assert_eq!(outcome.read, [Victim::PageTables], "bit {bit}: {outcome:?}");
        assert!(outcome.integrity >= Integrity::Consumed, "bit {bit}: {outcome:?}");
        assert_eq!(outcome.detection.is_some(), bit == 0, "{outcome:?}");
    }
    // Nothing is mapped there.
    let outcome = flipped(77, 9);
    assert_eq!((&*outcome.victims, &*outcome.read), (&[Victim::PageTables][..], &[][..]));
    assert_eq!(outcome.integrity, Integrity::Overwritten, "the process ends: {outcome:?}");
    // Nothing was written over it: the table went back with the process.
    assert!(Class::Overwritten.meaning().contains("given back"));
}

#[test]
fn a_table_entry_of_a_process_that_never_ran_was_read_by_the_walk_that_fell_over_it() {
    let mut trial = trial(&built_in("standard"));
    for (process, slot, bit) in [("shell", 0x1f0, 0), ("service", 0, 2)] {
        let which = format!("target = \"process:{process}/page-map-entry:{slot}\"\nbit = {bit}");
        let outcome = struck(&mut trial, fault("bit-flip", "kernel", PointKind::Step, 5, &which));

        assert_eq!(outcome.read, [Victim::PageTables], "{process}: {outcome:?}");
        assert!(outcome.detection.is_some(), "{process}: {outcome:?}");
    }
}

/// The neighbours with every device behind the IOMMU.
fn remapped() -> Scenario {
    let mut scenario = neighbours();
    let machine = &mut scenario.configuration.machine;
    (machine.iommu, machine.iommu_internal) = (true, true);
    scenario
}

/// Flips a bit of the IOMMU's entry for the page that a device is about to transfer to or from, before
/// the last step until then.
fn flip_of_its_entry(trial: &Trial, device: &str, number: usize, bit: u32) -> PlannedFault {
    let principal = trial.roster().named(device).expect("every world has it");
    let points = &trial.golden.points;
    let dma = points
        .iter()
        .position(|point| (point.kind, point.principal) == (PointKind::Dma, principal));
    let dma = dma.expect("it transfers");
    let is_step = |point: &PointRecord| point.kind == PointKind::Step;
    let last = *points[..dma].iter().rfind(|point| is_step(point)).expect("somebody told it to");
    let nth =
        points[..dma].iter().filter(|point| is_step(point) && point.principal == last.principal);
    let entry = 512 * (1 + 2 * number) as u64 + points[dma].argument / 4096;
    let which = format!("target = \"kernel/iommu-table:{entry}\"\nbit = {bit}");
    let who = trial.roster().name(last.principal).to_owned();
    fault("bit-flip", &who, PointKind::Step, nth.count() as u64, &which)
}

#[test]
fn an_entry_of_the_iommu_was_read_when_a_device_transferred_by_it() {
    let mut trial = trial(&remapped());
    for (number, device) in ["transfer-device", "disk-controller"].into_iter().enumerate() {
        // Present, and a bit that says nothing.
        for bit in [0, 9] {
            let plan = flip_of_its_entry(&trial, device, number, bit);
            let outcome = struck(&mut trial, plan);

            // The kernel's own, where the last step was the kernel's.
            assert_eq!(outcome.read.len(), 1, "{device}, bit {bit}: {outcome:?}");
            assert!(outcome.unread.is_empty(), "{device}, bit {bit}: {outcome:?}");
            assert!(outcome.integrity >= Integrity::Consumed, "{device}: {outcome:?}");
            let by = outcome.detection.map(|detection| (detection.by, detection.blamed));
            let refusal = ("DMA remapping fault".to_owned(), device.to_owned());
            assert_eq!(by, (bit == 0).then_some(refusal), "{device}, bit {bit}");
        }
    }
}

#[test]
fn a_transfer_that_the_iommu_refuses_is_noticed_by_it() {
    let mut trial = trial(&remapped());
    let away = |nth| {
        fault("dma-to-wrong-frame", "transfer-device", PointKind::Dma, nth, "offset = \"0x2000\"")
    };
    for nth in 1..=reached(&trial, "transfer-device", PointKind::Dma) {
        let outcome = struck(&mut trial, away(nth));

        let detection = outcome.detection.as_ref().expect("it was refused");
        assert_eq!(detection.by, "DMA remapping fault", "transfer {nth}: {outcome:?}");
        assert_eq!((&*detection.blamed, &*detection.did), ("transfer-device", "transfer-device"));
        assert_eq!(detection.events, 1, "transfer {nth}");
    }
}

/// What the transfer device takes from the shell's memory instead of what it was told to send.
fn stolen_by_dma(iommu: bool) -> (Scenario, Outcome) {
    let mut scenario = neighbours();
    scenario.configuration.machine.iommu = iommu;
    let mut trial = trial(&scenario);
    let from = "target = \"process:shell/control-block:8\"";
    scenario.plan = vec![fault("dma-to-wrong-frame", "transfer-device", PointKind::Dma, 1, from)];
    let outcome = trial.run(&scenario.plan).expect("a fault that can be made");
    assert_eq!(outcome.activation.strikes, 1);
    (scenario, outcome)
}

#[test]
fn what_a_device_takes_from_memory_without_leave_is_disclosed() {
    let (scenario, outcome) = stolen_by_dma(false);

    assert!(outcome.disclosed > 0, "{outcome:?}");
    assert_eq!(outcome.exposures, ["dma-stays-within-grants", "nobody-reads-what-it-may-not"]);
    let story = Story::of(&scenario, &Registries::default()).expect("it runs").to_string();
    let words: Vec<&str> = story.split_whitespace().collect();
    let told = words.join(" ");
    for wanted in [
        "transfer-device has private data of shell, and whom it serves may learn it: editor and shell",
        "struck in a device (transfer-device), which no mode binds; transfer-device has content of \
         private data of shell",
        "words reached who may not read them",
    ] {
        assert!(told.contains(wanted), "{wanted}:\n{story}");
    }

    let (_, outcome) = stolen_by_dma(true);
    assert_eq!((outcome.disclosed, outcome.exposures), (0, Vec::new()), "it was refused");
}

#[test]
fn a_kernel_structure_that_an_answer_takes_in_by_mistake_is_disclosed() {
    let mut trial = trial(&neighbours());
    // Where the answer to a request is copied out, this is read in place of the request's buffer.
    let mut disclosed = |place: &str| {
        (1..=8).any(|nth| {
            let target = format!("operator = \"target\"\ntarget = \"{place}\"");
            let mut read = fault("wild-read", "kernel", PointKind::Load, nth, &target);
            read.at.routine = Some("RtlCopyToUser".to_owned());
            read.at.caller = Some("IopSynchronousServiceTail".to_owned());
            struck(&mut trial, read).disclosed > 0
        })
    };

    for place in ["driver:nic/data", "process:shell/kernel-stack", "driver:nic/device-object"] {
        let found = (0..8).any(|word| disclosed(&format!("{place}:{word}")));
        assert!(found, "{place}");
    }
}

#[test]
fn what_user_mode_reads_without_leave_is_disclosed() {
    let scenario = built_in("incidents/I02-total-meltdown");
    let outcome = trial(&scenario).run(&scenario.plan).expect("a fault that can be made");

    let reads = "nobody-reads-what-it-may-not".to_owned();
    assert!(outcome.exposures.contains(&reads) && outcome.disclosed > 0, "{outcome:?}");

    // There the attacker reads only what it wrote.
    let scenario = built_in("incidents/I07-rowhammer-entry");
    let outcome = trial(&scenario).run(&scenario.plan).expect("a fault that can be made");
    assert!(outcome.exposures.contains(&reads) && outcome.disclosed == 0, "{outcome:?}");
}

#[test]
fn a_host_that_is_ended_by_its_time_out_is_noticed_by_that() {
    let scenario = built_in("hung-driver-host");
    let plan = scenario.plan[0].clone();
    let mut trial = trial(&Scenario { plan: Vec::new(), ..scenario.clone() });
    let outcome = struck(&mut trial, plan);

    let detection = outcome.detection.as_ref().expect("the kernel ended it and logged why");
    assert_eq!(detection.by, "host time-out", "{outcome:?}");
    assert_eq!((&*detection.blamed, &*detection.did), ("meter-host", "meter-host"));
    let story = Story::of(&scenario, &Registries::default()).expect("it runs").to_string();
    assert!(story.contains("\ndetected   host time-out after "), "{story}");
    // Where nobody has a time-out there is nobody who notices.
    let mut untimed = scenario;
    untimed.configuration.machine.host_time_out = 0;
    let story = Story::of(&untimed, &Registries::default()).expect("it runs").to_string();
    assert!(!story.contains("\ndetected "), "{story}");
}

/// Who has a section mapped writes it with leave. Another, to whom it is not shared, damages those who share it.
#[test]
fn a_section_is_damaged_by_who_has_it_not_mapped() {
    let mut trial = trial(&built_in("standard"));
    let middle = reached(&trial, "nic", PointKind::Store) / 2;
    let mut hit = 0;
    for frame in 0..trial.world.machine.memory.words().len() as u64 / 512 {
        let to = format!("operator = 'target'\ntarget = 'physical:{:#x}'", frame * 4096);
        let wild = fault("wild-write", "nic", PointKind::Store, middle, &to);
        let outcome = trial.run(&[wild]).expect("a fault that can be made");
        let corruptions = trial.judge.authority.corruptions();
        let Some(first) = corruptions.first() else { continue };
        if first.structure != Structure::SharedSection {
            continue;
        }
        // One that nobody has mapped is the kernel's.
        assert!(!outcome.victims.contains(&Victim::OwnDomain), "{outcome:?}");
        hit += u32::from(outcome.victims.contains(&Victim::AnotherProcess));
    }
    assert!(hit > 0, "nobody shares anything");
}

/// What a copy or fill writes within its length it writes rightly, however much is lacking or too much.
#[test]
fn of_a_copy_of_another_length_only_what_is_too_much_is_damage() {
    let mut trial = trial(&neighbours());
    let copies = reached(&trial, "kernel", PointKind::Copy).min(40);
    let mut overrun = 0;
    for nth in 1..=copies {
        let short = fault("short-copy", "kernel", PointKind::Copy, nth, "bytes = 8");
        trial.run(&[short]).expect("a fault that can be made");
        let strike = trial.judge.strike().map(|strike| strike.ordinal);
        let by_it = |one: &&Corruption| Some(one.ordinal) > strike && one.struck;
        let damaged = trial.judge.authority.corruptions().iter().filter(by_it).count();
        assert_eq!(damaged, 0, "copy {nth}: {:?}", trial.judge.authority.corruptions());

        let long = fault("overrun", "kernel", PointKind::Copy, nth, "bytes = 8");
        trial.run(&[long]).expect("a fault that can be made");
        let damaged = trial.judge.authority.corruptions().iter().find(by_it);
        overrun += u32::from(damaged.is_some_and(|one| one.words == 1));
    }
    assert!(overrun > 0, "of {copies}");
}
