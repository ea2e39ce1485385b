//! What no weakness of a world shows: planted by hand, each beside its silence.

use super::worlds::{APPS, HEIR};
use super::*;
use crate::base::{Access, EventKind, PhysAddr, PrincipalKind, Ring, Structure, VirtAddr};
use crate::invariants::Invariant as _;
use crate::invariants::walkers::Walkers;
use crate::machine::Trap;
use crate::machine::paging::x86_64::{Controls, Request};
use crate::oracles::{self, Disagreement, by_the_book::Answer};

/// A world in the middle of things: a processor runs a process's code.
fn begun(text: &str) -> Trial {
    let mut trial = Trial::new(text, None);
    loop {
        assert_eq!(trial.step(), None, "a process gets to user mode");
        let states = &trial.world.machine.processors;
        if trial.world.machine.clock > 300
            && states.iter().any(|state| state.registers.ring == Ring::User)
        {
            assert_eq!(trial.found(), Vec::<&str>::new());
            return trial;
        }
    }
}

/// The processor that is in user mode.
fn processor(trial: &Trial) -> usize {
    let states = &trial.world.machine.processors;
    states.iter().position(|state| state.registers.ring == Ring::User).expect("begun in user mode")
}

fn event(trial: &Trial, kind: EventKind) -> Event {
    let number = processor(trial);
    let registers = &trial.world.machine.processors[number].registers;
    Event {
        kind,
        actor: registers.actor,
        context: registers.context,
        subject: registers.actor,
        structure: Structure::Free,
        mask: 0xff,
        processor: u8::try_from(number).expect("few processors"),
        struck: false,
        phys: 0,
        virt: 0,
        value: 0,
        old: 0,
    }
}

fn claim(
    trial: &Trial,
    kind: EventKind,
    subject: Principal,
    structure: Structure,
    phys: u64,
) -> Event {
    let actor = Principal::KERNEL;
    Event { actor, subject, structure, phys, value: 512, ..event(trial, kind) }
}

/// The user page at `virt` of the process that runs, and where its entry is.
fn page(trial: &Trial, virt: u64) -> (u64, u64) {
    let memory = &trial.world.machine.memory;
    let mut table = trial.world.machine.processors[processor(trial)].controls.cr3;
    for shift in [39, 30, 21] {
        let at = (table & !0xfff) + (virt >> shift & 511) * 8;
        table = memory.read(PhysAddr::truncated(at)) & 0x000f_ffff_ffff_f000;
    }
    let at = table + (virt >> 12 & 511) * 8;
    (memory.read(PhysAddr::truncated(at)) & 0x000f_ffff_ffff_f000, at)
}

const USER_CODE: u64 = 0x40_0000;
const USER_DATA: u64 = 0x50_0000;

#[test]
fn a_processor_that_runs_on_after_a_bug_check_is_caught() {
    let mut trial = begun(APPS);
    let phys = page(&trial, USER_CODE).0;
    let step = Event { virt: USER_CODE, phys, ..event(&trial, EventKind::Step) };
    trial.happens(&step);
    trial.ask();
    assert_eq!(trial.found(), Vec::<&str>::new(), "running is right before it");

    let stop = event(&trial, EventKind::BugCheck);
    trial.happens(&stop);
    trial.ask();
    assert_eq!(trial.found(), Vec::<&str>::new(), "stopping is no violation");
    trial.happens(&step);
    trial.ask();
    assert_eq!(trial.found(), ["nothing-runs-after-a-bug-check"]);

    let mut booted = begun(APPS);
    let boot = event(&booted, EventKind::Boot);
    booted.record.restore(&booted.record.checkpoint());
    for event in [stop, boot] {
        crate::base::Witness::event(&mut booted.record, &event);
    }
    crate::base::Witness::event(&mut booted.record, &step);
    assert!(booted.record.suspects().is_empty(), "a boot ends it");
}

#[test]
fn privilege_from_nowhere_is_caught() {
    let mut trial = begun(APPS);
    let number = processor(&trial);

    trial.world.machine.processors[number].registers.ring = Ring::Kernel;
    trial.ask();

    assert_eq!(trial.found(), ["mode-changes-only-at-gates"]);
}

#[test]
fn a_syscall_that_leads_elsewhere_is_caught() {
    for (rip, found) in [(None, Vec::new()), (Some(0x40_0000), vec!["mode-changes-only-at-gates"])]
    {
        let mut trial = begun(APPS);
        let number = processor(&trial);
        let registers = &mut trial.world.machine.processors[number].registers;
        registers.rip = rip.unwrap_or(trial.map.syscall_entry);
        registers.ring = Ring::Kernel;

        let switch = Event { old: Event::BY_SYSCALL, ..event_of(&trial, number) };
        trial.happens(&switch);
        trial.ask();

        assert_eq!(trial.found(), found);
    }
}

fn event_of(trial: &Trial, number: usize) -> Event {
    let registers = &trial.world.machine.processors[number].registers;
    Event {
        kind: EventKind::ModeSwitch,
        actor: registers.actor,
        context: registers.context,
        subject: registers.actor,
        structure: Structure::Free,
        mask: 0,
        processor: u8::try_from(number).expect("few processors"),
        struck: false,
        phys: 0,
        virt: 0,
        value: 0,
        old: 0,
    }
}

#[test]
fn a_load_at_ring_3_beyond_the_user_half_is_caught() {
    let mut trial = begun(APPS);
    let kernel = Event { virt: trial.map.processes, ..event(&trial, EventKind::Load) };
    let own = Event { virt: USER_DATA, phys: page(&trial, USER_DATA).0, ..kernel };

    trial.happens(&own);
    trial.ask();
    assert_eq!(trial.found(), Vec::<&str>::new());
    trial.happens(&kernel);
    trial.ask();
    let found = trial.found();
    assert!(found.contains(&"user-mode-never-reaches-system-space"), "{found:?}");
}

#[test]
fn what_a_delivery_reads_is_not_user_modes_reach() {
    let mut trial = begun(APPS);
    let raise = event(&trial, EventKind::Interrupt);
    let read = Event { virt: trial.map.processes, ..event(&trial, EventKind::Load) };

    trial.happens(&raise);
    trial.happens(&read);
    trial.ask();

    assert_eq!(trial.found(), Vec::<&str>::new());
}

#[test]
fn a_transfer_outside_its_grants_is_caught() {
    let mut trial = begun(APPS);
    let device = trial.principal("disk-controller");
    let (victim, _) = page(&trial, USER_DATA);
    let write = Event {
        actor: device,
        processor: 0xff,
        phys: victim,
        structure: Structure::DmaBuffer,
        ..event(&trial, EventKind::DmaWrite)
    };

    trial.happens(&write);
    trial.ask();

    assert_eq!(trial.found(), ["dma-stays-within-grants"]);
}

#[test]
fn memory_that_somebody_has_is_not_handed_out_again() {
    let mut trial = begun(APPS);
    let other = trial.principal("other");
    let (frame, _) = page(&trial, USER_DATA);

    let grant = claim(&trial, EventKind::Grant, other, Structure::UserData, frame);
    trial.happens(&grant);
    trial.ask();

    assert_eq!(trial.found(), ["memory-is-handed-out-once"]);
}

/// Takes the data page away from the running process; with `forgets` its processor is told.
fn page_taken_away(forgets: bool) -> Trial {
    let mut trial = begun(HEIR);
    let number = processor(&trial);
    let (frame, entry) = page(&trial, USER_DATA);
    trial.world.machine.write_physical(PhysAddr::truncated(entry), 0);
    if forgets {
        let state = &mut trial.world.machine.processors[number];
        let invalidation =
            crate::machine::tlb::Invalidation::page(&state.controls, VirtAddr(USER_DATA));
        state.tlb.invalidate(invalidation);
        state.may_hold.invalidate(invalidation);
    }
    let release = claim(&trial, EventKind::Release, Principal::KERNEL, Structure::Free, frame);
    trial.happens(&release);
    trial.ask();
    trial
}

fn returns(trial: &mut Trial) {
    let back = Event { value: 3, old: Event::BY_SYSRET, ..event(trial, EventKind::ModeSwitch) };
    trial.happens(&back);
    trial.ask();
}

#[test]
fn a_translation_that_outlives_its_page_is_caught_when_the_operation_returns() {
    let mut trial = page_taken_away(false);
    assert_eq!(trial.found(), Vec::<&str>::new(), "the operation is under way");
    returns(&mut trial);
    assert_eq!(trial.found(), ["cached-translations-are-granted"]);
    assert!(trial.scanned().contains(&"cached-translations-are-granted"));

    let mut trial = page_taken_away(true);
    returns(&mut trial);
    assert_eq!(trial.found(), Vec::<&str>::new());
}

#[test]
fn or_when_the_frame_is_handed_to_somebody_else() {
    for (forgets, found) in [(false, vec!["cached-translations-are-granted"]), (true, Vec::new())] {
        let mut trial = page_taken_away(forgets);
        let frame = trial.authority.withdrawals().last().expect("taken away").phys;
        let grant = claim(&trial, EventKind::Grant, Principal::KERNEL, Structure::UserData, frame);
        trial.happens(&grant);
        trial.ask();
        assert_eq!(trial.found(), found);
    }
}

#[test]
fn a_remembered_way_to_what_is_now_a_page_table_is_caught() {
    let mut trial = page_taken_away(false);
    let frame = trial.authority.withdrawals().last().expect("taken away").phys;
    let grant = claim(&trial, EventKind::Grant, Principal::KERNEL, Structure::PageTable, frame);
    trial.happens(&grant);
    returns(&mut trial);
    assert!(trial.found().contains(&"tables-are-out-of-user-reach"), "{:?}", trial.found());
}

#[test]
fn a_mapping_of_a_freed_frame_is_caught() {
    let mut trial = begun(APPS);
    let (frame, entry) = page(&trial, USER_DATA);
    let store = Event {
        actor: Principal::KERNEL,
        structure: Structure::PageTable,
        phys: entry,
        value: frame | 7,
        ..event(&trial, EventKind::Store)
    };
    let release = claim(&trial, EventKind::Release, Principal::KERNEL, Structure::Free, frame);

    trial.happens(&store);
    returns(&mut trial);
    assert_eq!(trial.found(), Vec::<&str>::new());
    trial.happens(&release);
    returns(&mut trial);
    assert!(trial.found().contains(&"freed-frames-are-forgotten"), "{:?}", trial.found());
}

#[test]
fn the_kernel_in_a_shadow_root_is_found_whatever_user_tables_lead_to() {
    const NAME: &str = "user-mode-runs-without-the-kernel-mapped";
    let address = |entry: u64| entry & 0x000f_ffff_ffff_f000;
    for keeps_kernel in [false, true] {
        let mut trial = begun(&format!("[machine]\nkva-shadow = true\n{APPS}"));
        trial.registry = Registry::all().only(&[NAME]);
        let number = processor(&trial);
        let machine = &mut trial.world.machine;
        let shadow = address(machine.processors[number].controls.cr3);
        let full = address(machine.shadows()[&shadow]);
        let word = |at: u64| PhysAddr::truncated(at);
        // Tables of the user half that lead to themselves, at each level and each entry.
        let loops = address(machine.memory.read(word(shadow)));
        assert_ne!(loops, 0, "the user half begins at slot 0");
        for index in 0..512 {
            machine.memory.write(word(loops + index * 8), loops | 7);
        }
        for at in (256..512).map(|slot| slot * 8).filter(|_| keeps_kernel) {
            let entry = machine.memory.read(word(full + at));
            machine.memory.write(word(shadow + at), entry);
        }

        let found = trial.scanned();

        assert_eq!(found, if keeps_kernel { vec![NAME] } else { Vec::new() });
    }
}

#[test]
fn a_free_list_that_does_not_add_up_is_caught() {
    for change in [0, 1] {
        let mut trial = Trial::new(APPS, None);
        let rest = trial.run();
        let machine = &mut trial.world.machine;
        let at = machine.locate(0, VirtAddr(trial.map.free_frame_count)).expect("mapped");
        let at = PhysAddr::truncated(at);
        let count = machine.memory.read(at);
        machine.memory.write(at, count + change);

        trial.rests(None, PrincipalSet::NOBODY, rest);

        let found = if change == 0 { Vec::new() } else { vec!["frames-are-conserved"] };
        assert_eq!(trial.found(), found);
    }
}

fn liar(
    memory: &crate::machine::memory::Memory,
    controls: &Controls,
    request: &Request,
) -> Result<Answer, Box<Disagreement>> {
    let (machine, book) = (oracles::compare(memory, controls, request)?, Answer::GeneralProtection);
    let (request, controls) = (*request, *controls);
    Err(Box::new(Disagreement { request, controls, machine, walker: None, book }))
}

#[test]
fn walkers_that_disagree_are_caught() {
    for (walkers, count) in [(Walkers::NEW, 0), (Walkers { compare: liar }, 1)] {
        let mut trial = begun(APPS);
        trial.registry = Registry::none().with(walkers);
        let page_fault = Event {
            virt: 0x1234,
            value: u64::from(Trap::PAGE_FAULT) << 32,
            ..event(&trial, EventKind::Exception)
        };

        trial.happens(&page_fault);
        trial.ask();

        assert_eq!(trial.found().len(), count);
    }
    assert_eq!(Walkers::NEW.name(), "the-two-walkers-agree");
    let request = Request::new(VirtAddr(1 << 63), Access::Read, Ring::User);
    let trial = begun(APPS);
    assert!(liar(&trial.world.machine.memory, &Controls::default(), &request).is_err());
}

const STRANGERS: &str = r#"
    [[components]]
    name = "one"
    home = "application"
    actions = [{ do = "store", word = 1, value = "0x1" }, { do = "load", word = 1 }]
    [[components]]
    name = "other"
    home = "application"
    actions = [{ do = "store", word = 1, value = "0x2" }, { do = "load", word = 1 }]
    [[components]]
    name = "reflect"
    home = "kernel-driver"
    driver = "reflector"
    [[components]]
    name = "sensor"
    home = "driver-host"
    driver = "sensor"
    above = "reflect"
"#;

#[test]
fn a_stranger_who_sees_other_things_after_a_user_mode_fault_is_caught() {
    let mut golden = Trial::new(STRANGERS, None);
    golden.run();
    let golden = golden.authority.observations().clone();
    let changed = STRANGERS.replace("\"0x2\"", "\"0x3\"");
    // It sees the same, and ends otherwise.
    let last = "value = \"0x2\" }, { do = \"load\", word = 1 }";
    let ended = STRANGERS.replace(last, &format!("{last}, {{ do = \"exit\", status = 7 }}"));
    let cases = [
        ("one", STRANGERS, Vec::new()),
        ("one", changed.as_str(), vec!["a-crash-is-contained"]),
        ("one", ended.as_str(), vec!["a-crash-is-contained"]),
        ("other", ended.as_str(), Vec::new()),
        ("other", changed.as_str(), Vec::new()),
        ("sensor", changed.as_str(), vec!["a-driver-host-crash-is-contained"]),
        ("reflect", changed.as_str(), Vec::new()),
    ];
    for (origin, text, found) in cases {
        let mut trial = Trial::new(text, None);
        let rest = trial.run();
        let origins = PrincipalSet::of(trial.principal(origin));

        trial.rests(Some(&golden), origins, rest);

        assert_eq!(trial.found(), found, "{origin}");
    }
}

#[test]
fn every_invariant_says_what_it_is_and_no_two_alike() {
    let registry = Registry::all();
    let mut names: Vec<&str> = registry.iter().map(super::super::Invariant::name).collect();
    assert!(names.len() >= 14);
    names.sort_unstable();
    let count = names.len();
    names.dedup();
    assert_eq!(names.len(), count);
    for invariant in registry.iter() {
        assert!(invariant.sentence().ends_with('.') && !invariant.source().is_empty());
        assert!(registry.named(invariant.name()).is_some());
    }
    assert!(PrincipalKind::Application.is_process());
}
