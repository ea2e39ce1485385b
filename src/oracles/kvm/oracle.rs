//! The oracle: a guest that has passed its trial.

use std::collections::BTreeMap;

use kvm_ioctls::Kvm;

use super::abstention::{Abstention, reach};
use super::agent::Agent;
use super::answer::{Answer, Skipped};
use super::feature::Feature;
use super::guest::Guest;
use super::kind::Kind;
use super::layout::{BATCH_MAX, CASES, CODE, CONTROLS_SEEN, RESULTS, USER_CODE, said, told};
use super::processor::{Exit, Registers, Start, enter_long_mode, introduce, run};
use super::records::{Asked, data_word};
use super::system::structures;
use super::trial::{Trial, smoke};
use crate::machine::paging::x86_64::{ControlFlags, Controls, Vendor};
use crate::oracles::recorded::{
    Expectation, LevelMask, NamedCode, RecordedMachine, TranslationCase,
};

/// What this guest was seen not to have.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LeftOut {
    /// What.
    pub feature: Feature,
    /// What was seen instead.
    pub reason: String,
}

/// The only version there has been since 2007 (Linux, "The Definitive KVM API Documentation",
/// `KVM_GET_API_VERSION`).
const API_VERSION: i32 = 12;

/// A guest that answers cases.
pub struct Oracle {
    kind: Kind,
    machine: RecordedMachine,
    guest: Guest,
    agent: Agent,
    left_out: Vec<LeftOut>,
    entries: u64,
}

impl Oracle {
    /// A guest whose processor is of this vendor and has this many bits of physical address.
    ///
    /// # Errors
    ///
    /// No answer of this host's KVM would count: there is none, it refused something, or the smoke
    /// batch did not end as the manuals say.
    pub fn new(vendor: Vendor, maxphyaddr: u8) -> Result<Self, Skipped> {
        Self::open(vendor, maxphyaddr).map_err(|reason| Skipped { reason })
    }

    fn open(vendor: Vendor, maxphyaddr: u8) -> Result<Self, String> {
        let kvm = Kvm::new().map_err(|error| format!("/dev/kvm: {error}"))?;
        let version = kvm.get_api_version();
        if version != API_VERSION {
            return Err(format!("/dev/kvm answers as version {version} and not {API_VERSION}"));
        }
        let mut guest = Guest::new(&kvm)?;
        let processor = Controls { vendor, maxphyaddr, ..Controls::default() };
        introduce(&kvm, guest.processor(), &processor)?;
        let agent = Agent::assemble();
        guest.write_bytes(CODE, &agent.code);
        guest.write_bytes(USER_CODE, &agent.user_code);
        for (at, words) in structures(&agent) {
            guest.write(at, &words);
        }
        let kind = Kind::of_host();
        let machine = RecordedMachine { vendor, maxphyaddr, ..RecordedMachine::default() };
        let mut oracle = Self { kind, machine, guest, agent, left_out: Vec::new(), entries: 0 };
        oracle.fill_data();
        for trial in smoke() {
            oracle.attempt(&trial).map_err(|seen| format!("the smoke batch failed: {seen}"))?;
        }
        for feature in Feature::ALL {
            for trial in feature.trials(&processor) {
                if let Err(reason) = oracle.attempt(&trial) {
                    oracle.left_out.push(LeftOut { feature, reason });
                    break;
                }
            }
        }
        Ok(oracle)
    }

    /// The machine whose cases the guest answers.
    #[must_use]
    pub fn machine(&self) -> &RecordedMachine {
        &self.machine
    }

    /// Which KVM answers.
    #[must_use]
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// What the guest was seen not to have; cases that use it are not asked.
    #[must_use]
    pub fn left_out(&self) -> &[LeftOut] {
        &self.left_out
    }

    /// How often the guest was entered so far.
    #[must_use]
    pub fn entries(&self) -> u64 {
        self.entries
    }

    /// Runs the cases and answers each, in their order. Cases are run sorted by control registers,
    /// 2,048 at most for each entry into the guest.
    ///
    /// # Errors
    ///
    /// The host's KVM failed in the middle; nothing it said before counts.
    pub fn answer(&mut self, cases: &[TranslationCase]) -> Result<Vec<Answer>, Skipped> {
        self.ask(cases).map_err(|reason| Skipped { reason })
    }

    fn ask(&mut self, cases: &[TranslationCase]) -> Result<Vec<Answer>, String> {
        let machine = self.machine.clone();
        let mut answers = vec![None; cases.len()];
        let mut batches: BTreeMap<u16, Vec<(usize, Asked<'_>)>> = BTreeMap::new();
        for (number, case) in cases.iter().enumerate() {
            let lacks = |feature| self.left_out.iter().any(|left| left.feature == feature);
            match reach(case, &machine, &lacks) {
                Ok(reach) => {
                    let asked = Asked { machine: &machine, case, reach };
                    batches.entry(case.mode.flags().bits()).or_default().push((number, asked));
                }
                Err(abstention) => answers[number] = Some(Answer::Abstained(abstention)),
            }
        }
        for (flags, asked) in batches {
            for batch in asked.chunks(BATCH_MAX) {
                let (numbers, asked): (Vec<usize>, Vec<Asked<'_>>) = batch.iter().copied().unzip();
                let said = self.run_batch(ControlFlags::from_bits(flags), &asked)?;
                for (number, answer) in numbers.into_iter().zip(said) {
                    answers[number] = Some(answer);
                }
            }
        }
        Ok(answers.into_iter().map(|answer| answer.expect("each case was asked")).collect())
    }

    /// Answers the cases of one batch, which all have these control flags.
    fn run_batch(
        &mut self,
        flags: ControlFlags,
        asked: &[Asked<'_>],
    ) -> Result<Vec<Answer>, String> {
        let registers = Registers::of(flags);
        let has_five_levels = flags.has(ControlFlags::LA57);
        let root = if has_five_levels { self.machine.cr3_la57 } else { self.machine.cr3 };
        let records: Vec<u64> = asked.iter().flat_map(|asked| asked.told(&self.agent)).collect();
        self.guest.write(CASES, &records);
        self.guest.write(RESULTS, &vec![u64::MAX; asked.len() * said::WORDS]);
        self.guest.write(CONTROLS_SEEN, &[0; 3]);
        let astray = self.run_to_the_end(registers, root, asked.len())?;
        let seen = self.guest.read(CONTROLS_SEEN, 3);
        let wanted = [registers.cr0, registers.cr4, registers.efer];
        if seen != wanted {
            return Err(format!("wanted CR0, CR4, EFER {wanted:x?}, the guest saw {seen:x?}"));
        }
        let results = self.guest.read(RESULTS, asked.len() * said::WORDS);
        let records = results.chunks_exact(said::WORDS);
        let understood =
            asked.iter().zip(records).map(|(asked, record)| asked.understood(&self.agent, record));
        let mut answers: Vec<Answer> = understood.collect();
        if !astray.is_empty() {
            self.fill_data();
        }
        for (number, what) in astray {
            answers[number] = Answer::Abstained(Abstention::Astray(what));
        }
        Ok(answers)
    }

    /// Runs the batch in the guest's memory. Where the guest stops in a case, it goes on behind it;
    /// which cases these were, and how it stopped.
    fn run_to_the_end(
        &mut self,
        registers: Registers,
        root: u64,
        cases: usize,
    ) -> Result<BTreeMap<usize, String>, String> {
        let case_bytes = 8 * told::WORDS as u64;
        let mut astray = BTreeMap::new();
        let mut start =
            Start { rip: self.agent.start, first_case: CASES, first_result: RESULTS, cases };
        loop {
            enter_long_mode(self.guest.processor(), registers, root)?;
            self.entries += 1;
            let (at_case, what) = match run(self.guest.processor(), &start)? {
                Exit::Done => return Ok(astray),
                Exit::Astray { at_case, what } => (at_case, what),
            };
            let number = at_case.checked_sub(CASES).map(|bytes| bytes / case_bytes);
            let number = number.and_then(|number| usize::try_from(number).ok());
            let number = number.filter(|number| *number < cases);
            let number = number.ok_or_else(|| format!("the guest lost its place: {what}"))?;
            if astray.contains_key(&number) {
                return Err(format!("the guest does not get past a case: {what}"));
            }
            astray.insert(number, what);
            // The guest itself must undo what it wrote into tables, see `agent`.
            start = Start {
                rip: self.agent.after,
                first_case: at_case,
                first_result: RESULTS + (number * 8 * said::WORDS) as u64,
                cases: cases - number,
            };
        }
    }

    /// Runs one trial: what was seen, in words, if it was not what must be.
    fn attempt(&mut self, trial: &Trial) -> Result<(), String> {
        let machine = self.machine.clone();
        let case = &trial.case;
        let reach = reach(case, &machine, &|_| false).map_err(|why| why.to_string())?;
        let asked = [Asked { machine: &machine, case, reach }];
        let answers = self.run_batch(case.mode.flags(), &asked)?;
        match answers.first() {
            Some(Answer::Observed(seen)) if *seen == trial.expected => Ok(()),
            Some(Answer::Observed(seen)) => {
                Err(format!("expected {}, saw {}", in_words(&trial.expected), in_words(seen)))
            }
            Some(Answer::Impossible(what)) => Err(what.clone()),
            Some(Answer::Abstained(why)) => Err(why.to_string()),
            None => Err("no answer".to_owned()),
        }
    }

    /// Brings data memory into the state every case finds.
    fn fill_data(&self) {
        for range in self.machine.data.clone() {
            let words: Vec<u64> = range.clone().step_by(8).map(data_word).collect();
            self.guest.write(range.start, &words);
        }
    }
}

/// What became of an access, as in the columns of recorded cases.
fn in_words(seen: &Expectation) -> String {
    let Expectation { out, code, address, accessed, dirtied } = seen;
    let mut words = (*out).to_owned();
    if let Some(code) = code {
        words += &format!(" {}", NamedCode(*code));
    }
    if let Some(address) = address {
        words += &format!(" at {address:x}");
    }
    if (*accessed, *dirtied) != (LevelMask::NONE, LevelMask::NONE) {
        words += &format!(", accessed {:x}, dirtied {:x}", accessed.bits(), dirtied.bits());
    }
    words
}
