//! Every modelled rule of the kernel, file by file.

use crate::base::Rule;

use super::{
    address_space, address_space_end, bug_check, code_integrity, ddi_compliance, deadlock,
    delay_fuzzing, dma_verification, event, event_log, exception, force_pending, frames, hal,
    handle, handle_close, handle_duplicate, handle_information, host, host_create, host_pool,
    host_record, host_stack, host_time_out, integrity, interrupt, invariant_mdl, io_disk, io_open,
    io_transfer, irql, keys, lock, mdl, object, paging, pool, pools, previous_mode, process_create,
    process_end, process_open, request, residency, schedule, section, service, shadow, status,
    system_call, system_thread, thread_create, thread_end, transition, user_buffer, user_context,
    verified, verifier, video, virtual_memory, watchdog,
};

/// The rules of each file, under the file's name.
pub const RULES: &[(&str, &[Rule])] = &[
    ("address-space", address_space::RULES),
    ("address-space-end", address_space_end::RULES),
    ("bug-check", bug_check::RULES),
    ("code-integrity", code_integrity::RULES),
    ("ddi-compliance", ddi_compliance::RULES),
    ("deadlock", deadlock::RULES),
    ("delay-fuzzing", delay_fuzzing::RULES),
    ("dma-verification", dma_verification::RULES),
    ("event", event::RULES),
    ("event-log", event_log::RULES),
    ("exception", exception::RULES),
    ("force-pending", force_pending::RULES),
    ("frames", frames::RULES),
    ("hal", hal::RULES),
    ("handle", handle::RULES),
    ("handle-close", handle_close::RULES),
    ("handle-duplicate", handle_duplicate::RULES),
    ("handle-information", handle_information::RULES),
    ("host", host::RULES),
    ("host-create", host_create::RULES),
    ("host-pool", host_pool::RULES),
    ("host-record", host_record::RULES),
    ("host-stack", host_stack::RULES),
    ("host-time-out", host_time_out::RULES),
    ("integrity", integrity::RULES),
    ("interrupt", interrupt::RULES),
    ("invariant-mdl", invariant_mdl::RULES),
    ("io-disk", io_disk::RULES),
    ("io-open", io_open::RULES),
    ("io-transfer", io_transfer::RULES),
    ("irql", irql::RULES),
    ("keys", keys::RULES),
    ("lock", lock::RULES),
    ("mdl", mdl::RULES),
    ("object", object::RULES),
    ("paging", paging::RULES),
    ("pool", pool::RULES),
    ("pools", pools::RULES),
    ("previous-mode", previous_mode::RULES),
    ("process-create", process_create::RULES),
    ("process-end", process_end::RULES),
    ("process-open", process_open::RULES),
    ("request", request::RULES),
    ("residency", residency::RULES),
    ("schedule", schedule::RULES),
    ("section", section::RULES),
    ("service", service::RULES),
    ("shadow", shadow::RULES),
    ("status", status::RULES),
    ("system-call", system_call::RULES),
    ("system-thread", system_thread::RULES),
    ("thread-create", thread_create::RULES),
    ("thread-end", thread_end::RULES),
    ("transition", transition::RULES),
    ("user-buffer", user_buffer::RULES),
    ("verified", verified::RULES),
    ("verifier", verifier::RULES),
    ("user-context", user_context::RULES),
    ("video", video::RULES),
    ("virtual-memory", virtual_memory::RULES),
    ("watchdog", watchdog::RULES),
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::base::Basis;
    use crate::machine;
    use crate::world::{self, components};

    fn all() -> impl Iterator<Item = &'static Rule> {
        let parts = RULES.iter().chain(machine::rules::RULES).chain(components::rules::RULES);
        parts.chain(world::rules::RULES).flat_map(|&(_, rules)| rules)
    }

    #[test]
    fn each_rule_has_a_name_of_its_own_a_sentence_and_a_source() {
        let mut names = BTreeSet::new();

        for rule in all() {
            assert!(names.insert(rule.name), "{} is there twice", rule.name);
            assert!(rule.about.ends_with('.'), "{}: {}", rule.name, rule.about);
            assert!(rule.about.len() <= 100, "{}: {}", rule.name, rule.about);
            assert!(!rule.source.is_empty(), "{}", rule.name);
        }
    }

    #[test]
    fn what_is_chosen_by_this_model_does_not_pass_for_documented() {
        for rule in all() {
            let is_own = rule.source.starts_with("this model");
            assert!(!is_own || rule.basis == Basis::Chosen, "{}", rule.name);
        }
    }
}
