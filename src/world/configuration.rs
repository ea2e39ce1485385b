//! What a world is made of: plain data.

use serde::{Deserialize, Serialize};

use crate::base::{PrincipalKind, Roster, Seed};
use crate::kernel::pools::PoolKind;

use super::action::Action;

/// The usual slot of the self-map: that of Windows 7.
pub const SELF_MAP_SLOT: u16 = 0x1ed;

/// Hardware and its switches.
///
/// In files `preset = "windows-7"` or `"windows-11"` may stand among them: what isn't said is then as
/// in the [preset](super::preset).
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case", remote = "Self")]
pub struct MachineConfiguration {
    /// Processors, 1 to 4.
    pub processors: u8,
    /// Frames of 4 KiB, 384 to 1024.
    pub frames: u16,
    /// CR4.SMEP: kernel mode cannot execute user pages.
    pub smep: bool,
    /// CR4.SMAP: kernel mode cannot touch user pages unless it says so.
    pub smap: bool,
    /// CR0.WP: kernel mode respects read-only pages.
    pub write_protect: bool,
    /// Whether transfers of devices that were plugged in from outside go through the IOMMU (Kernel DMA
    /// Protection).
    pub iommu: bool,
    /// Whether those of internal devices do: the disk controller is one (DMA remapping).
    #[serde(skip_serializing_if = "is_false")]
    pub iommu_internal: bool,
    /// Whether the transfer device is an internal one, and was not plugged in from outside.
    #[serde(skip_serializing_if = "is_false")]
    pub transfer_device_internal: bool,
    /// CR4.PCIDE: translations carry the number of their process and outlive a change of the address
    /// space.
    #[serde(skip_serializing_if = "is_false")]
    pub pcid: bool,
    /// Whether user mode runs on page tables of its own that map nothing of the kernel but what the
    /// entries need (kernel virtual address shadow, kernel page-table isolation).
    #[serde(skip_serializing_if = "is_false")]
    pub kva_shadow: bool,
    /// The page-map slot of the self-map, 256 to 511 except those the system uses. The usual one where it is
    /// drawn from the seed.
    #[serde(skip_serializing_if = "is_usual_slot")]
    pub self_map_slot: u16,
    /// Whether `sysret` to a non-canonical address faults in ring 0 (Intel) or ring 3 (AMD).
    pub sysret_faults_in_kernel: bool,
    /// Steps a transfer takes.
    pub transfer_delay: u16,
    /// Steps between clock interrupts on each processor; 0: no clock.
    pub clock_interval: u32,
    /// Whether the pool compares headers when a block is freed.
    pub pool_checks: bool,
    /// Which generation of the pool the kernel has.
    #[serde(skip_serializing_if = "PoolKind::is_usual")]
    pub pool: PoolKind,
    /// Whether the self-map's slot is drawn from the seed of the schedule; no `self_map_slot` is named then.
    #[serde(skip_serializing_if = "is_false")]
    pub self_map_randomised: bool,
    /// Whether no process may map the page at address 0.
    #[serde(skip_serializing_if = "is_true")]
    pub null_guard: bool,
    /// Whether the user half ends at 8 TiB, as up to Windows 8, and not at 128 TiB.
    #[serde(skip_serializing_if = "is_false")]
    pub small_user_half: bool,
    /// Whether bug check 0x50 tells a write as 1, as before Windows 10 1507, and not as 2.
    #[serde(skip_serializing_if = "is_false")]
    pub early_access_codes: bool,
    /// Whether the kernel refuses to return to an address in the hole (MS12-042).
    #[serde(skip_serializing_if = "is_true")]
    pub return_address_checked: bool,
    /// Whether debug exceptions have a stack of their own and look where they come from (as since May
    /// 2018, CVE-2018-8897).
    #[serde(skip_serializing_if = "is_true")]
    pub debug_trap_checked: bool,
    /// Whether pool memory is closed to execution.
    #[serde(skip_serializing_if = "is_true")]
    pub no_execute_pool: bool,
    /// Whether kernel code is read-only.
    #[serde(skip_serializing_if = "is_true")]
    pub read_only_code: bool,
    /// Whether a second level of permissions closes kernel code to writes and all else to execution by
    /// kernel mode (memory integrity, HVCI).
    #[serde(skip_serializing_if = "is_false")]
    pub code_integrity: bool,
    /// Whether a second level of permissions closes to writes what is set up once and the page tables leave
    /// writable: sections of drivers' images, and the interrupt table; and the service table (kernel data
    /// protection).
    #[serde(skip_serializing_if = "is_false")]
    pub protected_data: bool,
    /// Clock interrupts from one late integrity check to the next; 0: none.
    #[serde(skip_serializing_if = "is_zero")]
    pub integrity_checks: u32,
    /// Whether return addresses of kernel mode have shadows.
    #[serde(skip_serializing_if = "is_false")]
    pub shadow_stacks: bool,
    /// Whether each driver runs with a protection key of its own.
    #[serde(skip_serializing_if = "is_false")]
    pub protection_keys: bool,
    /// Whether pageable memory may be away, as the seed of the schedule has it.
    #[serde(skip_serializing_if = "is_false")]
    pub pageable: bool,
    /// Clock ticks that a single deferred call may take; 0: any number.
    #[serde(skip_serializing_if = "is_zero")]
    pub dpc_timeout: u32,
    /// Clock ticks that a processor may stay at dispatch level or above; 0: any number.
    #[serde(skip_serializing_if = "is_zero")]
    pub dpc_watchdog_period: u32,
    /// Clock ticks that a processor may leave unanswered; 0: any number.
    #[serde(skip_serializing_if = "is_zero")]
    pub clock_watchdog: u32,
    /// Steps that the host of a user-mode driver may take over a critical request: its start, or the
    /// cancelling of what it works on; 0: any number. They stand for 60 seconds, so that half an hour, after
    /// which failures are forgotten, is 30 times as many.
    #[serde(skip_serializing_if = "is_zero")]
    pub host_time_out: u32,
    /// Whether the kernel keeps an event log of what becomes of user-mode drivers.
    #[serde(skip_serializing_if = "is_false")]
    pub event_log: bool,
    /// Whether the framework keeps on the disk which user-mode drivers failed in a host of their own, so that a
    /// reboot leaves their devices out of the pool ("Using Device Pooling in UMDF Drivers"): wherever hosts
    /// are shared and a driver manager decides.
    #[serde(skip_serializing_if = "is_true")]
    pub host_record: bool,
    /// Whether the system buffers of requests hold what was in memory before, beyond the input, and not
    /// zeros.
    #[serde(skip_serializing_if = "is_false")]
    pub stale_buffers: bool,
    /// Options of Driver Verifier, by name.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub verifier: Vec<String>,
}

impl Default for MachineConfiguration {
    fn default() -> Self {
        Self {
            processors: 2,
            frames: 512,
            smep: true,
            smap: false,
            write_protect: true,
            iommu: false,
            iommu_internal: false,
            transfer_device_internal: false,
            pcid: false,
            kva_shadow: false,
            self_map_slot: SELF_MAP_SLOT,
            sysret_faults_in_kernel: true,
            transfer_delay: 12,
            clock_interval: 200,
            pool_checks: true,
            pool: PoolKind::Classes,
            self_map_randomised: false,
            null_guard: true,
            small_user_half: false,
            early_access_codes: false,
            return_address_checked: true,
            debug_trap_checked: true,
            no_execute_pool: true,
            read_only_code: true,
            code_integrity: false,
            protected_data: false,
            integrity_checks: 0,
            shadow_stacks: false,
            protection_keys: false,
            pageable: false,
            dpc_timeout: 0,
            dpc_watchdog_period: 0,
            clock_watchdog: 0,
            host_time_out: 0,
            event_log: false,
            host_record: true,
            stale_buffers: false,
            verifier: Vec::new(),
        }
    }
}

impl MachineConfiguration {
    /// Whether some watchdog has a limit.
    #[must_use]
    pub const fn has_watchdogs(&self) -> bool {
        self.dpc_timeout > 0 || self.dpc_watchdog_period > 0 || self.clock_watchdog > 0
    }
}

/// What a component is and where it runs.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Home {
    /// A process of its own that runs a list of actions.
    Application,
    /// A process that hosts a user-mode driver.
    DriverHost,
    /// A process that hosts user-mode drivers of several devices.
    SharedHost,
    /// A user-mode driver in the shared host; the process of this name is the one it gets when it
    /// must leave that.
    SharedDriver,
    /// The process that decides what becomes of lost hosts.
    DriverManager,
    /// Kernel mode.
    KernelDriver,
    /// Kernel mode, with files.
    FileSystem,
}

/// One component of a world.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Component {
    /// Its name, unique in the world.
    pub name: String,
    /// What it is and where it runs.
    pub home: Home,
    /// For a driver: which driver it is, by its name in the registry.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub driver: Option<String>,
    /// For a driver: the driver below it in its device stack, or the one that hands it requests.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub above: Option<String>,
    /// For an application: whether the system cannot do without it.
    #[serde(default, skip_serializing_if = "is_false")]
    pub critical: bool,
    /// For an application: created by another one's action and not at boot.
    #[serde(default, skip_serializing_if = "is_false")]
    pub spawned: bool,
    /// For an application: what it does.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub actions: Vec<Action>,
    /// For a content parser: the index its content names.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content: Option<u64>,
}

impl Component {
    /// One that has nothing to do: no driver, no content, created at boot.
    #[must_use]
    pub fn new(name: impl Into<String>, home: Home) -> Self {
        Self {
            name: name.into(),
            home,
            driver: None,
            above: None,
            critical: false,
            spawned: false,
            actions: Vec::new(),
            content: None,
        }
    }
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "the signature serde wants")]
const fn is_false(flag: &bool) -> bool {
    !*flag
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "the signature serde wants")]
const fn is_true(flag: &bool) -> bool {
    *flag
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "the signature serde wants")]
const fn is_usual_slot(slot: &u16) -> bool {
    *slot == SELF_MAP_SLOT
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "the signature serde wants")]
const fn is_zero(number: &u32) -> bool {
    *number == 0
}

/// A whole world.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Configuration {
    /// Hardware.
    #[serde(default)]
    pub machine: MachineConfiguration,
    /// The seed of the schedule: which processor steps next.
    #[serde(default, with = "hex")]
    pub schedule: u64,
    /// Steps until the run is cut off.
    #[serde(default = "default_steps")]
    pub steps_max: u64,
    /// Boots until a machine that keeps stopping counts as a boot loop.
    #[serde(default = "default_boots")]
    pub boots_max: u8,
    /// Weaknesses planted in the kernel, by name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub weaknesses: Vec<String>,
    /// The components, applications and drivers.
    pub components: Vec<Component>,
}

impl Default for Configuration {
    fn default() -> Self {
        Self {
            machine: MachineConfiguration::default(),
            schedule: 0,
            steps_max: default_steps(),
            boots_max: default_boots(),
            weaknesses: Vec::new(),
            components: Vec::new(),
        }
    }
}

impl Configuration {
    /// The page-map slot of the self-map: what the machine says, or drawn from the seed of the schedule
    /// where it is randomised.
    #[must_use]
    pub fn self_map_slot(&self) -> u16 {
        if !self.machine.self_map_randomised {
            return self.machine.self_map_slot;
        }
        let mut stream = Seed(self.schedule).stream("self-map", 0);
        loop {
            // Slots of the system half but those that the system uses.
            let slot = 256 + u16::try_from(stream.below(256)).expect("below 256");
            if !matches!(slot, 0x1f0 | 0x1f5) {
                return slot;
            }
        }
    }

    /// Whether an application loads its stack segment.
    #[must_use]
    pub fn loads_stack_segments(&self) -> bool {
        let mut actions = self.components.iter().flat_map(|one| &one.actions);
        actions.any(|action| matches!(action, Action::LoadStackSegment { .. }))
    }

    /// Whether an application makes a thread, so that the kernel knows of more than one in a process.
    #[must_use]
    pub fn makes_threads(&self) -> bool {
        let mut actions = self.components.iter().flat_map(|one| &one.actions);
        actions.any(|action| matches!(action, Action::CreateThread { .. }))
    }

    /// Numbers and kinds of all principals: kernel, HAL, the components in order, the devices.
    ///
    /// # Panics
    ///
    /// When there are more components than a world can have principals.
    #[must_use]
    pub fn roster(&self) -> Roster {
        let mut roster = Roster::default();
        roster.add("kernel", PrincipalKind::Kernel, false);
        roster.add("hal", PrincipalKind::Hal, false);
        for component in &self.components {
            let kind = match component.home {
                Home::Application => PrincipalKind::Application,
                Home::DriverHost | Home::SharedHost | Home::SharedDriver => {
                    PrincipalKind::DriverHost
                }
                Home::DriverManager => PrincipalKind::Application,
                Home::KernelDriver => PrincipalKind::KernelDriver,
                Home::FileSystem => PrincipalKind::FileSystem,
            };
            roster.add(&component.name, kind, component.critical);
        }
        roster.add("transfer-device", PrincipalKind::Device, false);
        roster.add("disk-controller", PrincipalKind::Device, false);
        roster
    }
}

const fn default_steps() -> u64 {
    60_000
}

const fn default_boots() -> u8 {
    3
}

/// Numbers as hexadecimal strings: TOML integers are signed and addresses are not.
pub mod hex {
    use serde::{Deserialize as _, Deserializer, Serializer, de::Error as _};

    /// Writes `0x…`.
    ///
    /// # Errors
    ///
    /// What the serializer raises.
    pub fn serialize<S: Serializer>(value: &u64, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&format!("{value:#x}"))
    }

    /// Reads `"0x…"`, or a decimal number that is not negative.
    ///
    /// # Errors
    ///
    /// When it is neither.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
        #[derive(serde::Deserialize)]
        #[serde(untagged)]
        enum Either {
            Number(u64),
            Text(String),
        }
        let wrong = "expected a hexadecimal string such as \"0x1f\"";
        match Either::deserialize(deserializer).map_err(|_| D::Error::custom(wrong))? {
            Either::Number(number) => Ok(number),
            Either::Text(text) => text
                .strip_prefix("0x")
                .and_then(|digits| u64::from_str_radix(&digits.replace('_', ""), 16).ok())
                .ok_or_else(|| D::Error::custom(wrong)),
        }
    }
}
