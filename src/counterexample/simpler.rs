//! Simpler forms of a scenario, one change of a parameter away each, the simplest first.
//!
//! A number is simpler the nearer it is to the least it can be, a switch at its usual setting, a
//! parameter left out. Every form has one of these less and nothing more, so there is no cycle.

use crate::base::Access;
use crate::faults::{Parameters, PlannedFault};
use crate::injection::Recurrence;
use crate::minimise::towards;
use crate::scenario::Scenario;
use crate::world::directory::Target;
use crate::world::{Component, Configuration, MachineConfiguration};

use super::simpler_action::{renumbered, simpler_actions};

/// Numbers up to this one are approached by halves; beyond, they are taken for data.
const NUMBER_MAX: u64 = 0x1000;

/// All forms of a scenario.
pub(super) fn forms(scenario: &Scenario) -> Vec<Scenario> {
    let mut forms = Vec::new();
    let world = &scenario.configuration;
    for configuration in simpler_worlds(world) {
        forms.push(Scenario { configuration, ..scenario.clone() });
    }
    for (number, component) in world.components.iter().enumerate() {
        for simpler in simpler_components(component) {
            let mut form = scenario.clone();
            form.configuration.components[number] = simpler;
            forms.push(form);
        }
    }
    for (number, fault) in scenario.plan.iter().enumerate() {
        for simpler in simpler_faults(fault) {
            let mut form = scenario.clone();
            form.plan[number] = simpler;
            forms.push(form);
        }
    }
    forms
}

/// Simpler values of what is data and no count.
pub(super) fn data(value: u64) -> Vec<u64> {
    if value <= NUMBER_MAX {
        return towards(value, 0);
    }
    let mut simpler = vec![0, 1, value & 0xff, value & 0xffff, value & 0xffff_ffff];
    simpler.retain(|&form| form < value);
    simpler.dedup();
    simpler
}

/// As [`towards`], for the smaller types of fields.
pub(super) fn down<T>(value: T, simplest: T) -> Vec<T>
where
    T: Copy + Into<u64> + TryFrom<u64>,
{
    if value.into() <= simplest.into() {
        return Vec::new();
    }
    towards(value.into(), simplest.into()).into_iter().filter_map(|n| T::try_from(n).ok()).collect()
}

fn simpler_worlds(world: &Configuration) -> Vec<Configuration> {
    let mut forms = Vec::new();
    for machine in simpler_machines(&world.machine) {
        forms.push(Configuration { machine, ..world.clone() });
    }
    // Another schedule is no simpler, but a small number is.
    for schedule in (0..4).filter(|&schedule| schedule < world.schedule) {
        forms.push(Configuration { schedule, ..world.clone() });
    }
    for boots_max in down(world.boots_max, 1) {
        forms.push(Configuration { boots_max, ..world.clone() });
    }
    forms
}

fn simpler_machines(machine: &MachineConfiguration) -> Vec<MachineConfiguration> {
    let usual = MachineConfiguration::default();
    let mut forms = Vec::new();
    for processors in down(machine.processors, 1) {
        forms.push(MachineConfiguration { processors, ..machine.clone() });
    }
    // No clock at all, or else the usual one.
    let clocks = match machine.clock_interval {
        0 => vec![],
        interval if interval == usual.clock_interval => vec![0],
        _ => vec![0, usual.clock_interval],
    };
    for clock_interval in clocks {
        forms.push(MachineConfiguration { clock_interval, ..machine.clone() });
    }
    macro_rules! usual {
        ($($field:ident),*) => {
            $(if machine.$field != usual.$field {
                forms.push(MachineConfiguration { $field: usual.$field, ..machine.clone() });
            })*
        };
    }
    usual!(smep, smap, write_protect, iommu, self_map_slot, sysret_faults_in_kernel);
    usual!(
        pcid,
        kva_shadow,
        transfer_delay,
        pool_checks,
        self_map_randomised,
        null_guard,
        no_execute_pool
    );
    usual!(read_only_code, code_integrity, protected_data, integrity_checks, shadow_stacks);
    usual!(protection_keys, return_address_checked, pageable, debug_trap_checked);
    usual!(dpc_timeout, dpc_watchdog_period, clock_watchdog, host_time_out, stale_buffers);
    usual!(event_log, host_record, small_user_half, early_access_codes);
    usual!(iommu_internal, transfer_device_internal);
    usual!(pool);
    if !machine.verifier.is_empty() {
        forms.push(MachineConfiguration { verifier: Vec::new(), ..machine.clone() });
    }
    if machine.frames > usual.frames {
        forms.push(MachineConfiguration { frames: usual.frames, ..machine.clone() });
    }
    forms
}

fn simpler_components(component: &Component) -> Vec<Component> {
    let mut forms = Vec::new();
    if component.critical {
        forms.push(Component { critical: false, ..component.clone() });
    }
    if let Some(content) = component.content {
        forms.push(Component { content: None, ..component.clone() });
        for content in data(content) {
            forms.push(Component { content: Some(content), ..component.clone() });
        }
    }
    if let Some(actions) = renumbered(&component.actions) {
        forms.push(Component { actions, ..component.clone() });
    }
    for (number, action) in component.actions.iter().enumerate() {
        for simpler in simpler_actions(action) {
            let mut form = component.clone();
            form.actions[number] = simpler;
            forms.push(form);
        }
    }
    forms
}

fn simpler_faults(fault: &PlannedFault) -> Vec<PlannedFault> {
    let mut forms = Vec::new();
    for nth in towards(fault.at.nth, 1) {
        let mut simpler = fault.clone();
        simpler.at.nth = nth;
        forms.push(simpler);
    }
    if fault.recurs() {
        forms.push(PlannedFault { recurrence: Recurrence::Once, ..fault.clone() });
    }
    for parameters in simpler_parameters(&fault.parameters) {
        forms.push(PlannedFault { parameters, ..fault.clone() });
    }
    forms
}

fn simpler_parameters(given: &Parameters) -> Vec<Parameters> {
    let mut forms = Vec::new();
    macro_rules! left_out {
        ($($field:ident),*) => {
            $(if given.$field.is_some() {
                forms.push(Parameters { $field: None, ..given.clone() });
            })*
        };
    }
    left_out!(operator, how, offset, bit, bytes, index, steps, value, target, process);
    if let Some(offset) = given.offset {
        if offset < 0 && offset > i64::MIN {
            forms.push(Parameters { offset: Some(-offset), ..given.clone() });
        }
        for magnitude in down(offset.unsigned_abs(), 1) {
            // Nothing smaller than the magnitude of a signed number is too large for one.
            let Ok(magnitude) = i64::try_from(magnitude) else { continue };
            let offset = Some(if offset < 0 { -magnitude } else { magnitude });
            forms.push(Parameters { offset, ..given.clone() });
        }
    }
    for bit in given.bit.into_iter().flat_map(|bit| down(bit, 0)) {
        forms.push(Parameters { bit: Some(bit), ..given.clone() });
    }
    for bytes in given.bytes.into_iter().flat_map(|bytes| down(bytes, 1)) {
        forms.push(Parameters { bytes: Some(bytes), ..given.clone() });
    }
    for steps in given.steps.into_iter().flat_map(|steps| down(steps, 1)) {
        forms.push(Parameters { steps: Some(steps), ..given.clone() });
    }
    for index in given.index.into_iter().flat_map(|index| down(index, 0)) {
        forms.push(Parameters { index: Some(index), ..given.clone() });
    }
    for value in given.value.into_iter().flat_map(data) {
        forms.push(Parameters { value: Some(value), ..given.clone() });
    }
    if let Some(Target::Named { owner, part, number }) = &given.target {
        for number in data(*number) {
            let target = Target::Named { owner: owner.clone(), part: *part, number };
            forms.push(Parameters { target: Some(target), ..given.clone() });
        }
    }
    forms
}

/// Kinds of access that are simpler than this one: reading is the simplest.
pub(super) fn simpler_accesses(access: Access) -> &'static [Access] {
    match access {
        Access::Read => &[],
        Access::Write => &[Access::Read],
        Access::Execute => &[Access::Read, Access::Write],
    }
}
