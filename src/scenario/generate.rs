//! Worlds from a seed.
//!
//! Each purpose has its own stream (topology, actions of component i, schedule, fault plan), so that
//! one draw more in one place moves nothing in another. Actions are plausible: what is read was
//! opened before, nearly always; requests are sent while others are under way; some slots are wrong.

use super::Scenario;
use crate::base::{Ratio, Seed, Stream};
use crate::faults::{Registry, Wanted, blind};
use crate::kernel::layout::address;
use crate::kernel::request::control_code;
use crate::world::action::{Action, CrashKind, SLOTS_MAX};
use crate::world::configuration::{Component, Configuration, Home, MachineConfiguration};
use crate::world::directory::Directory;

/// What is more likely.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Bias {
    /// Applications, at least and at most.
    pub applications: (u64, u64),
    /// Actions of an application, at least and at most.
    pub actions: (u64, u64),
    /// How often an action is meant to fail: a wrong slot, a closed handle, a handle with too few rights, a
    /// buffer in the system's half.
    pub invalid: Ratio,
    /// How often an application ends itself by a crash.
    pub crash: Ratio,
    /// The driver in hosts.
    pub hosted: &'static str,
    /// Whether applications look hosts up by their names. A host that moves to kernel mode is no process.
    pub seeks_hosts: bool,
    /// Faults in the plan.
    pub faults: u64,
    /// Which faults the plan is drawn from.
    pub wanted: Wanted,
}

impl Default for Bias {
    fn default() -> Self {
        Self {
            applications: (2, 4),
            actions: (6, 16),
            invalid: Ratio::new(1, 20),
            crash: Ratio::new(1, 10),
            hosted: "sensor",
            seeks_hosts: true,
            faults: 0,
            wanted: Wanted::default(),
        }
    }
}

impl Scenario {
    /// The scenario of a seed, with the faults this crate brings.
    #[must_use]
    pub fn generate(seed: Seed, bias: &Bias) -> Self {
        Self::generate_with(seed, bias, &Registry::default())
    }

    /// The scenario of a seed, with these faults. A plan made so, without having run the world, may
    /// not strike; see [`crate::faults::plan_at`] for one that does.
    #[must_use]
    pub fn generate_with(seed: Seed, bias: &Bias, registry: &Registry) -> Self {
        let mut configuration = topology(seed, bias);
        for number in 0..configuration.components.len() {
            let component = &configuration.components[number];
            if component.home == Home::Application && !component.spawned {
                let mut stream = seed.stream("actions", number as u64);
                configuration.components[number].actions =
                    actions(&mut stream, &configuration, number, bias);
            }
        }
        configuration.schedule = seed.stream("schedule", 0).word();
        let mut scenario =
            Self { name: format!("seed-{:#x}", seed.0), configuration, ..Self::default() };
        let directory = Directory::of(&scenario.configuration);
        for number in 0..bias.faults {
            let mut stream = seed.stream("plan", number);
            scenario.plan.extend(blind(&mut stream, registry, &directory, bias.wanted));
        }
        scenario
    }
}

fn topology(seed: Seed, bias: &Bias) -> Configuration {
    let mut stream = seed.stream("topology", 0);
    let half = Ratio::new(1, 2);
    let mut components = Vec::new();
    let mut add = |name: String, home: Home, driver: Option<&str>, above: Option<&str>| {
        components.push(Component {
            driver: driver.map(str::to_owned),
            above: above.map(str::to_owned),
            ..Component::new(name, home)
        });
    };
    let (least, most) = bias.applications;
    for number in 0..least + stream.below(most.saturating_sub(least) + 1) {
        add(format!("application-{}", number + 1), Home::Application, None, None);
    }
    add("nic".to_owned(), Home::KernelDriver, Some("transfer"), None);
    if stream.chance(half) {
        add("filter".to_owned(), Home::KernelDriver, Some("filter"), Some("nic"));
    }
    add("files".to_owned(), Home::FileSystem, Some("file-system"), None);
    let hosts = 1 + stream.below(2);
    for number in 1..=hosts {
        let reflector = format!("reflector-{number}");
        add(reflector.clone(), Home::KernelDriver, Some("reflector"), None);
        add(format!("host-{number}"), Home::DriverHost, Some(bias.hosted), Some(&reflector));
    }
    if stream.chance(half) {
        add("child".to_owned(), Home::Application, None, None);
    }
    let critical = stream.chance(half);
    components[0].critical = critical;
    if let Some(child) = components.iter_mut().find(|component| component.name == "child") {
        child.spawned = true;
    }
    let processors = 1 + u8::try_from(stream.below(3)).expect("below 3");
    let (smap, iommu) = (stream.chance(half), stream.chance(half));
    let machine = MachineConfiguration {
        processors,
        smap,
        // For all devices or for none.
        iommu,
        iommu_internal: iommu,
        pool_checks: stream.chance(Ratio::new(3, 4)),
        transfer_delay: 4 + u16::try_from(stream.below(40)).expect("below 40"),
        clock_interval: 120 + u32::try_from(stream.below(200)).expect("below 200"),
        ..MachineConfiguration::default()
    };
    Configuration { machine, components, ..Configuration::default() }
}

/// What a slot holds as far as one list of actions goes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Holds {
    Nothing,
    Page,
    Device(usize),
    Event,
    Section { writable: bool },
    View { writable: bool },
    Process,
}

struct Author<'a> {
    stream: &'a mut Stream,
    slots: [Holds; SLOTS_MAX as usize],
    invalid: Ratio,
    /// The next handle slot never used: each is used once, so that a handle is not overwritten.
    fresh: u8,
}

impl Author<'_> {
    /// A slot that holds such a thing, sometimes another; `None` when there is none.
    fn slot(&mut self, wanted: impl Fn(Holds) -> bool) -> Option<u8> {
        if self.stream.chance(self.invalid) {
            return Some(self.small(u64::from(SLOTS_MAX)));
        }
        let fitting: Vec<u8> =
            (0..SLOTS_MAX).filter(|&slot| wanted(self.slots[usize::from(slot)])).collect();
        self.stream.pick(&fitting).copied()
    }

    /// An empty slot, now holding this.
    fn keep(&mut self, what: Holds) -> u8 {
        let empty = (0..SLOTS_MAX)
            .map(|turn| (self.fresh + turn) % SLOTS_MAX)
            .find(|&slot| self.slots[usize::from(slot)] == Holds::Nothing);
        let slot = empty.unwrap_or(self.fresh % SLOTS_MAX);
        self.fresh = (slot + 1) % SLOTS_MAX;
        self.slots[usize::from(slot)] = what;
        slot
    }

    fn drop(&mut self, slot: u8) {
        self.slots[usize::from(slot)] = Holds::Nothing;
    }

    fn small(&mut self, bound: u64) -> u8 {
        u8::try_from(self.stream.below(bound)).expect("a small bound")
    }

    fn length(&mut self) -> u16 {
        8 * (1 + u16::from(self.small(16)))
    }

    /// A pattern that is not zero: zero leaves the buffer as it is.
    fn value(&mut self) -> u64 {
        self.stream.word() | 1
    }
}

fn actions(stream: &mut Stream, world: &Configuration, own: usize, bias: &Bias) -> Vec<Action> {
    let (least, most) = bias.actions;
    let count = least + stream.below(most.saturating_sub(least) + 1);
    // Whoever the system cannot do without makes no mistakes: its end would be the system's.
    let critical = world.components[own].critical;
    let crashes = stream.chance(bias.crash) && !critical;
    let invalid = if critical { Ratio::new(0, 1) } else { bias.invalid };
    let mut author =
        Author { stream, slots: [Holds::Nothing; SLOTS_MAX as usize], invalid, fresh: 0 };
    let devices: Vec<usize> = (0..world.components.len())
        .filter(|&number| {
            matches!(world.components[number].home, Home::KernelDriver | Home::FileSystem)
        })
        .collect();
    // Those that are there to the end: of one that ends, the answer would be a matter of time.
    let others: Vec<&str> = world
        .components
        .iter()
        .filter(|component| component.home == Home::DriverHost && bias.seeks_hosts)
        .map(|component| &*component.name)
        .collect();
    let mut actions = Vec::new();
    // First of all something to work with.
    let first = author.stream.pick(&devices).copied();
    actions.extend(first.map(|device| open(&mut author, world, device)));
    // The first application creates the child, a third of its way in.
    let child = world.components.iter().find(|component| own == 0 && component.spawned);
    let mut creation = None;
    while (actions.len() as u64) < count {
        if let Some(child) = child
            && creation.is_none()
            && actions.len() as u64 >= count / 3
        {
            creation = Some(actions.len());
            let inherit = author.small(2) == 1;
            let slot = author.keep(Holds::Process);
            actions.push(Action::CreateProcess {
                process: child.name.clone(),
                first: 0,
                inherit,
                slot,
            });
        }
        let choice = *author.stream.weighted(&[
            (12, 0),
            (10, 1),
            (5, 2),
            (9, 3),
            (7, 4),
            (4, 5),
            (5, 6),
            (4, 7),
            (3, 8),
            (2, 9),
        ]);
        match choice {
            // Memory that was not to be had would end it.
            4 | 6 if critical => actions.push(Action::Load { word: author.small(128).into() }),
            0 => actions.extend(transfer(&mut author, world)),
            1 => {
                let device = author.stream.pick(&devices).copied();
                actions.extend(device.map(|device| open(&mut author, world, device)));
                actions.extend(transfer(&mut author, world));
            }
            2 => actions
                .push(Action::Store { word: author.small(128).into(), value: author.value() }),
            3 => actions.push(Action::Load { word: author.small(128).into() }),
            4 => actions.extend(page(&mut author)),
            5 => actions.extend(event(&mut author)),
            6 => actions.extend(section(&mut author)),
            7 => actions.extend(share(&mut author, &world.components[own].name, &others)),
            8 => {
                if let Some(slot) = author
                    .slot(|held| matches!(held, Holds::Event | Holds::Device(_) | Holds::Process))
                {
                    author.drop(slot);
                    actions.push(Action::Close { slot });
                }
            }
            _ => actions.push(Action::Yield),
        }
    }
    // What was written is read again at the end, so that damage is seen.
    for word in [0, 1, 64, 127] {
        actions.push(Action::Load { word });
    }
    if crashes {
        let ways = [
            CrashKind::NullDereference,
            CrashKind::IllegalInstruction,
            CrashKind::DivideByZero,
            CrashKind::StackOverflow,
            CrashKind::Abort,
            CrashKind::PrivilegedInstruction,
        ];
        actions.extend(author.stream.pick(&ways).map(|&how| Action::Crash { how }));
    }
    if critical {
        actions.push(Action::Wait);
    }
    // The child does what comes in the last third, with no handles but those it inherits.
    let last_third = u8::try_from(actions.len() * 2 / 3).expect("few actions");
    if let Some(Action::CreateProcess { first, .. }) = creation.and_then(|at| actions.get_mut(at)) {
        *first = last_third;
    }
    debug_assert!(actions.len() as u64 <= crate::kernel::layout::ACTIONS_MAX);
    actions.truncate(usize::try_from(crate::kernel::layout::ACTIONS_MAX).expect("few"));
    actions
}

fn open(author: &mut Author<'_>, world: &Configuration, device: usize) -> Action {
    let name = world.components[device].name.clone();
    let file = author.small(4);
    // Reading and writing; sometimes too little for what comes.
    let access = if author.stream.chance(author.invalid) { 1 + author.small(2) } else { 3 };
    let slot = author.keep(Holds::Device(device));
    Action::Open { device: name, file, access, slot }
}

/// Where a program with a bad pointer may have its buffer: in the kernel's data, its pool, the first driver's
/// data, and where nothing is.
const SYSTEM_BUFFERS: [u64; 4] = [
    address::KERNEL_DATA,
    address::POOL,
    address::DRIVER_CODE + address::DRIVER_DATA_OFFSET,
    0xffff_9000_0000_0000,
];

fn transfer(author: &mut Author<'_>, world: &Configuration) -> Option<Action> {
    let slot = author.slot(|held| matches!(held, Holds::Device(_)))?;
    let length = author.length();
    let offset = 8 * u16::from(author.small(24));
    let is_files = match author.slots[usize::from(slot)] {
        Holds::Device(device) => world.components[device].home == Home::FileSystem,
        _ => author.stream.chance(Ratio::new(1, 2)),
    };
    if author.stream.chance(author.invalid) {
        let buffer = *author.stream.pick(&SYSTEM_BUFFERS)?;
        return Some(Action::ReadTo { slot, offset, length, buffer });
    }
    let value = author.value();
    Some(match (author.small(6), is_files) {
        (0 | 1, _) => Action::Write { slot, offset, length, value },
        (2, _) | (3, true) => Action::Read { slot, offset, length },
        (_, true) => Action::Flush { slot },
        (..) => {
            let function = u64::from(author.small(4));
            Action::Control { slot, code: control_code(function, 0, 0), length, value }
        }
    })
}

const fn can_store(held: Holds) -> bool {
    matches!(held, Holds::Page | Holds::View { writable: true })
}

fn page(author: &mut Author<'_>) -> Option<Action> {
    let word = u16::from(author.small(64)) * 8;
    Some(match author.small(5) {
        0 => Action::Allocate { slot: author.keep(Holds::Page) },
        1 => {
            let slot = author.slot(|held| held == Holds::Page)?;
            author.drop(slot);
            Action::Free { slot }
        }
        2 | 3 => {
            let slot = author.slot(can_store)?;
            Action::StoreThrough { slot, word, value: author.value() }
        }
        _ => {
            let slot = author.slot(|held| matches!(held, Holds::Page | Holds::View { .. }))?;
            Action::LoadThrough { slot, word }
        }
    })
}

fn event(author: &mut Author<'_>) -> Option<Action> {
    Some(match author.small(3) {
        0 => Action::CreateEvent { slot: author.keep(Holds::Event) },
        1 => Action::SetEvent { slot: author.slot(|held| held == Holds::Event)? },
        _ => Action::QueryEvent { slot: author.slot(|held| held == Holds::Event)? },
    })
}

fn section(author: &mut Author<'_>) -> Option<Action> {
    Some(match author.small(4) {
        0 => {
            let (section, writable) = (author.small(2), author.small(2) == 1);
            let slot = author.keep(Holds::Section { writable });
            Action::OpenSection { section, access: if writable { 3 } else { 1 }, slot }
        }
        1 => {
            let slot = author.slot(|held| matches!(held, Holds::Section { .. }))?;
            let writable = author.slots[usize::from(slot)] == Holds::Section { writable: true };
            Action::MapView { slot, view: author.keep(Holds::View { writable }) }
        }
        2 => {
            let slot = author.slot(|held| matches!(held, Holds::View { .. }))?;
            Action::LoadThrough { slot, word: u16::from(author.small(64)) }
        }
        _ => {
            let view = author.slot(|held| matches!(held, Holds::View { .. }))?;
            author.drop(view);
            Action::UnmapView { view }
        }
    })
}

/// Duplicates an event, having made what is missing for it, or opens a process to do so later.
fn share(author: &mut Author<'_>, own: &str, others: &[&str]) -> Vec<Action> {
    let opened = |author: &mut Author<'_>, process: String| {
        let slot = author.keep(Holds::Process);
        (slot, Action::OpenProcess { process, access: 8, slot })
    };
    if author.small(2) == 0 {
        // Policy refuses all but the own process and children.
        let other = author.stream.pick(others).map_or(own, |other| *other).to_owned();
        let process = if author.small(2) == 0 { own.to_owned() } else { other };
        return vec![opened(author, process).1];
    }
    let mut actions = Vec::new();
    let process = author.slot(|held| held == Holds::Process).unwrap_or_else(|| {
        let (slot, open) = opened(author, own.to_owned());
        actions.push(open);
        slot
    });
    let slot = author.slot(|held| held == Holds::Event).unwrap_or_else(|| {
        let slot = author.keep(Holds::Event);
        actions.push(Action::CreateEvent { slot });
        slot
    });
    actions.push(Action::Duplicate { slot, process, access: 0 });
    actions
}
