//! Does this claim fit the request and the books?
//!
//! What the kernel announces is not believed. A claim that is true changes the books; one that is
//! not is written down, and as far as it is false the books stay as they are, so that what is built
//! on it shows too.

use crate::base::{Event, EventKind, Principal, PrincipalKind, PrincipalSet, Structure};

use super::asked::{marks_changed, marks_of_new, rights_asked, rights_taken, target_of};
use super::record::{FalseClaim, Falsehood, Residue, Withdrawal};
use super::region::Region;
use super::state::{Asking, device_place};
use super::{Authority, keep};

impl Authority {
    pub(super) fn claim(&mut self, event: &Event) {
        if !matches!(event.actor, Principal::KERNEL | Principal::HAL) {
            return self.false_claim(event, Falsehood::NotTheirs, None);
        }
        match event.kind {
            EventKind::HandleOpened => self.handle_opened(event),
            EventKind::HandleClosed => self.handle_closed(event),
            EventKind::HandleUsed => self.handle_used(event),
            EventKind::ProcessCreated => self.process_created(event),
            EventKind::ProcessEnded => self.process_ended(event),
            EventKind::ProcessSought => self.process_sought(event),
            EventKind::ThreadCreated => self.thread_created(event),
            EventKind::ThreadEnded => self.thread_ended(event),
            EventKind::ThreadChosen => self.thread_chosen(event),
            EventKind::HostRestarted => {
                self.state.restarted = self.state.restarted.with(event.subject);
            }
            EventKind::HostRecorded => self.host_recorded(event),
            EventKind::DeviceDisabled => {
                self.state.disabled |= 1 << (event.value & 63);
                let hosts = &mut self.state.given_up[device_place(event)];
                *hosts = hosts.with(event.subject);
            }
            EventKind::DeviceRefused => self.device_refused(event),
            EventKind::StackRemoved => self.stack_removed(event),
            EventKind::LossTold => self.loss_told(event),
            _ => self.claim_of_memory(event),
        }
    }

    /// That a host has failed is kept on the disk. A host that lives has not.
    fn host_recorded(&mut self, event: &Event) {
        let (host, state) = (event.subject, &mut self.state);
        let is_host = self.roster.kind(host) == PrincipalKind::DriverHost;
        if !is_host || state.alive.contains(host) || !state.ended.contains(host) {
            return self.false_claim(event, Falsehood::NoSuchChange, None);
        }
        state.recorded = state.recorded.with(host);
    }

    /// A process is told that a device was given up, which it was: so it learns of the host of that device.
    fn device_refused(&mut self, event: &Event) {
        if self.state.disabled >> (event.value & 63) & 1 == 0 {
            return self.false_claim(event, Falsehood::NoSuchChange, None);
        }
        self.told_of_removal(event.context, self.state.given_up[device_place(event)]);
    }

    /// A device has lost its host, which has ended.
    fn stack_removed(&mut self, event: &Event) {
        let (host, state) = (event.subject, &mut self.state);
        let is_host = self.roster.kind(host) == PrincipalKind::DriverHost;
        if !is_host || state.alive.contains(host) || !state.ended.contains(host) {
            return self.false_claim(event, Falsehood::NoSuchChange, None);
        }
        let hosts = &mut state.lost[device_place(event)];
        *hosts = hosts.with(host);
    }

    /// A process is told that a device has lost a host, which it has: so it learns of that host.
    fn loss_told(&mut self, event: &Event) {
        let hosts = self.state.lost[device_place(event)];
        if hosts.is_empty() {
            return self.false_claim(event, Falsehood::NoSuchChange, None);
        }
        self.told_of_removal(event.context, hosts);
    }

    fn claim_of_memory(&mut self, event: &Event) {
        let Some((first, len)) = self.range_of(event.phys, event.value) else {
            return self.false_claim(event, Falsehood::OutsideMemory, None);
        };
        match event.kind {
            EventKind::Grant => self.grant(event, first, len),
            EventKind::Release => self.release(event, first, len),
            EventKind::Lend => self.lend(event, first, len),
            EventKind::Reclaim => self.change(first, len, |region| Region {
                lent: region.lent.without(event.subject),
                ..*region
            }),
            EventKind::Share => self.share(event, first, len),
            EventKind::Unshare => self.unshare(event, first, len),
            EventKind::DmaGrant => self.dma_grant(event, first, len),
            _ => self.change(first, len, |region| Region {
                dma_read: region.dma_read.without(event.subject),
                dma_write: region.dma_write.without(event.subject),
                ..*region
            }),
        }
    }

    pub(super) fn false_claim(
        &mut self,
        event: &Event,
        falsehood: Falsehood,
        holder: Option<Principal>,
    ) {
        let ordinal = self.state.ordinal;
        keep(&mut self.false_claims, FalseClaim { event: *event, falsehood, holder, ordinal });
    }

    /// Changes the entry of every run in a range.
    fn change(&mut self, first: usize, len: usize, change: impl Fn(&Region) -> Region) {
        let mut runs = self.runs(first, len);
        while let Some((first, len, number)) = runs.next(self) {
            let region = change(self.regions.get(number));
            self.put(first, len, number, region);
        }
    }

    /// The first entry in a range that a condition does not hold for.
    fn exception(
        &self,
        first: usize,
        len: usize,
        holds: impl Fn(&Region) -> bool,
    ) -> Option<Region> {
        let mut runs = self.runs(first, len);
        while let Some((_, _, number)) = runs.next(self) {
            let region = self.regions.get(number);
            if !holds(region) {
                return Some(*region);
            }
        }
        None
    }

    /// Handing out is right when nobody has it, or when the kernel passes on what it prepared. The
    /// kernel gives its own memory another type only where it was raw: in the pool, or behind the
    /// header of an object.
    fn grant(&mut self, event: &Event, first: usize, len: usize) {
        let (owner, structure) = (event.subject, event.structure);
        let is_booting = self.state.is_booting();
        let wrong = self.exception(first, len, |region| {
            let Some(holder) = region.owner else { return true };
            // A loader lays out what it took, and a reboot repeats what was announced.
            let is_laid_out = is_booting && (holder == owner || holder == Principal::KERNEL);
            let is_raw = matches!(region.structure, Structure::PoolFreeList | Structure::PoolBlock);
            let is_body = region.structure == Structure::ObjectHeader
                && matches!(
                    structure,
                    Structure::Process | Structure::Thread | Structure::ObjectBody
                );
            let is_passed_on = owner != Principal::KERNEL && region.structure == structure;
            is_laid_out || holder == Principal::KERNEL && (is_raw || is_body || is_passed_on)
        });
        if let Some(region) = wrong {
            return self.false_claim(event, Falsehood::NotFree, region.owner);
        }
        let is_process = self.roster.kind(owner).is_process();
        let mut runs = self.runs(first, len);
        while let Some((first, len, number)) = runs.next(self) {
            let region = *self.regions.get(number);
            if is_booting && region.owner == Some(owner) && region.structure == structure {
                continue;
            }
            if is_process {
                self.residue(first, len, &region, owner);
            }
            self.put(
                first,
                len,
                number,
                Region { residue: region.residue, ..Region::of(owner, structure) },
            );
        }
        self.clear_corrupt_run(first, len);
        self.block_made(event);
        if is_booting {
            self.made_at_boot(event);
        }
    }

    fn residue(&mut self, first: usize, len: usize, region: &Region, to: Principal) {
        if let Some(from) = region.residue
            && from != to
        {
            let (phys, words, ordinal) = (first as u64 * 8, len as u64, self.state.ordinal);
            keep(&mut self.residues, Residue { phys, words, from, to, ordinal });
        }
    }

    fn release(&mut self, event: &Event, first: usize, len: usize) {
        if let Some(region) = self.exception(first, len, |region| !region.is_free()) {
            self.false_claim(event, Falsehood::AlreadyFree, region.owner);
        }
        self.object_freed(event);
        self.packet_freed(first);
        self.blocks_freed(first, len);
        let mut runs = self.runs(first, len);
        while let Some((first, len, number)) = runs.next(self) {
            let region = *self.regions.get(number);
            if region.is_free() {
                continue;
            }
            self.withdraw(event, first, len, self.in_reach(&region));
            let residue = region.residue.or(region.owner);
            self.put(first, len, number, Region { residue, ..Region::FREE });
        }
        self.clear_corrupt_run(first, len);
    }

    /// Processes that may have it mapped for their user mode.
    fn in_reach(&self, region: &Region) -> PrincipalSet {
        let shared = region.shared_read.union(region.shared_write);
        match region.owner {
            Some(owner) if self.roster.kind(owner).is_process() => shared.with(owner),
            _ => shared,
        }
    }

    fn withdraw(&mut self, event: &Event, first: usize, len: usize, from: PrincipalSet) {
        let thread = self.state.thread_on(event.context, event.processor);
        for from in from.iter() {
            let withdrawal = Withdrawal {
                phys: first as u64 * 8,
                words: len as u64,
                from,
                context: event.context,
                thread,
                ordinal: self.state.ordinal,
            };
            keep(&mut self.withdrawals, withdrawal);
        }
    }

    /// Lending a process's memory takes an open request of that process whose buffer covers it; a
    /// process that does not exist yet is being made and needs none. The kernel's own memory is the
    /// kernel's to lend, as what it was handed out as: a loan ends where the block does.
    fn lend(&mut self, event: &Event, first: usize, len: usize) {
        let process = event.context;
        let thread = self.state.thread_on(process, event.processor);
        let asking = self.state.asking(process, thread);
        let is_asked_for = covers(asking, event.virt, event.value * 8);
        let alive = self.state.alive;
        // What the process itself may only read, its pages keep from the kernel too: nothing is lent of it,
        // and whoever writes it all the same has no leave.
        let is_read_only = |region: &Region| {
            region.owner != Some(process)
                && region.shared_read.contains(process)
                && !region.shared_write.contains(process)
        };
        let wrong = self.exception(first, len, |region| match region.owner {
            None => false,
            Some(_) if is_asked_for && is_read_only(region) => true,
            Some(_) if region.structure.is_user() != event.structure.is_user() => false,
            Some(_) if !region.structure.is_user() => region.structure == event.structure,
            Some(owner) => {
                let is_theirs = owner == process || region.shared_write.contains(process);
                let is_being_made = self.roster.kind(owner).is_process() && !alive.contains(owner);
                is_theirs && is_asked_for || is_being_made
            }
        });
        if let Some(region) = wrong {
            let (falsehood, is_refused) = match region.owner {
                None => (Falsehood::NothingToLend, true),
                Some(_) if region.structure.is_user() || event.structure.is_user() => {
                    (Falsehood::NotAskedFor, true)
                }
                // The rest of it is lent.
                Some(_) => (Falsehood::SomethingElse, false),
            };
            self.false_claim(event, falsehood, region.owner);
            if is_refused {
                return;
            }
        }
        let is_lent = |region: &Region| {
            !is_read_only(region)
                && (event.structure.is_user() || region.structure == event.structure)
        };
        self.change(first, len, |region| match is_lent(region) {
            true => Region { lent: region.lent.with(event.subject), ..*region },
            false => *region,
        });
    }

    fn share(&mut self, event: &Event, first: usize, len: usize) {
        let writes = event.old == 1;
        let wrong = self.exception(first, len, |region| match region.structure {
            Structure::SharedSection => !region.is_free(),
            Structure::Code => !region.is_free() && !writes,
            _ => false,
        });
        if let Some(region) = wrong {
            return self.false_claim(event, Falsehood::NotShareable, region.owner);
        }
        let mut runs = self.runs(first, len);
        while let Some((first, len, number)) = runs.next(self) {
            let mut region = *self.regions.get(number);
            self.residue(first, len, &region, event.subject);
            region.shared_read = region.shared_read.with(event.subject);
            if writes {
                region.shared_write = region.shared_write.with(event.subject);
            }
            self.put(first, len, number, region);
            match region.structure {
                Structure::SharedSection => self.shared(&region, event.subject),
                Structure::Code => self.damage_is_shared(first, len, event.subject),
                _ => {}
            }
        }
    }

    fn unshare(&mut self, event: &Event, first: usize, len: usize) {
        let subject = event.subject;
        let is_shared = |region: &Region| {
            region.shared_read.contains(subject) || region.shared_write.contains(subject)
        };
        if let Some(region) = self.exception(first, len, is_shared) {
            self.false_claim(event, Falsehood::NotShared, region.owner);
        }
        self.withdraw(event, first, len, PrincipalSet::of(subject));
        self.change(first, len, |region| Region {
            shared_read: region.shared_read.without(subject),
            shared_write: region.shared_write.without(subject),
            ..*region
        });
    }

    fn dma_grant(&mut self, event: &Event, first: usize, len: usize) {
        let wrong = self.exception(first, len, |region| region.structure == Structure::DmaBuffer);
        if let Some(region) = wrong {
            return self.false_claim(event, Falsehood::NotADmaBuffer, region.owner);
        }
        self.change(first, len, |region| Region {
            dma_read: region.dma_read.with(event.subject),
            dma_write: if event.old == 1 {
                region.dma_write.with(event.subject)
            } else {
                region.dma_write
            },
            ..*region
        });
    }

    fn process_created(&mut self, event: &Event) {
        let process = event.subject;
        if self.state.alive.contains(process) && !self.state.is_booting() {
            self.false_claim(event, Falsehood::NoSuchChange, Some(process));
        }
        self.state.alive = self.state.alive.with(process);
        self.state.ended = self.state.ended.without(process);
        self.state.objects[usize::from(process.0 & 63)] = event.virt;
        self.state.threads[usize::from(process.0 & 63)] = event.old;
        if self.state.is_booting() {
            self.booted(event);
        }
        if event.value == 1 {
            self.state.critical = self.state.critical.with(process);
        }
        self.created(event.context, process);
    }

    fn process_ended(&mut self, event: &Event) {
        let process = event.subject;
        self.observe_end(event);
        if !self.state.alive.contains(process) {
            self.false_claim(event, Falsehood::NoSuchChange, Some(process));
        }
        self.state.alive = self.state.alive.without(process);
        self.state.ended = self.state.ended.with(process);
        self.closed_with(process);
        self.holder_ended(process);
        self.state.asking[usize::from(process.0 & 63)] = Asking::default();
        self.threads_gone(process);
        self.blocks_outlive_process(process);
    }

    pub(super) fn request(&mut self, event: &Event) {
        let asking = Asking {
            is_open: true,
            start: event.old,
            length: event.virt,
            uses_from: self.uses.len(),
            rights: rights_asked(event),
            taken: rights_taken(event),
            marks: marks_of_new(event),
            changed: marks_changed(event),
            target: target_of(event),
            is_handed_over: false,
        };
        let thread = self.state.thread_on(event.context, event.processor);
        self.blocks_outlive(event.context, thread);
        *self.state.asking_mut(event.context, thread) = asking;
    }

    /// Only who asks is told. Of a number that stands for nobody there is nothing to be told.
    fn process_sought(&mut self, event: &Event) {
        let thread = self.state.thread_on(event.context, event.processor);
        let asking = self.state.asking(event.context, thread);
        if !asking.is_open || event.subject != event.context {
            return self.false_claim(event, Falsehood::NotAskedFor, None);
        }
        match u8::try_from(event.value) {
            Ok(sought) if usize::from(sought) < self.roster.len() => {
                self.sought(event.subject, Principal(sought));
            }
            _ => {}
        }
    }

    /// Every boot finds empty books: the loader announces everything again, the way from hand to hand
    /// included. What was seen, and who may have influenced whom, stays.
    pub(super) fn boot(&mut self, _: &Event) {
        self.rewind();
        self.boot_objects.clear();
        self.blocks.clear();
        self.state.alive = PrincipalSet::NOBODY;
        self.state.ended = PrincipalSet::NOBODY;
        self.state.disabled = 0;
        self.state.requests_from = self.passages.len();
        self.state.returned = [self.state.ordinal; Principal::COUNT_MAX];
        self.state.boots();
    }
}

/// Whether an open request's buffer covers these bytes, whole words rounded outwards.
fn covers(asking: &Asking, virt: u64, bytes: u64) -> bool {
    let start = asking.start & !7;
    let Some(end) = asking.start.checked_add(asking.length) else { return false };
    let Some(end) = end.checked_next_multiple_of(8) else { return false };
    let Some(last) = virt.checked_add(bytes) else { return false };
    asking.is_open && asking.length > 0 && start <= virt && last <= end
}
