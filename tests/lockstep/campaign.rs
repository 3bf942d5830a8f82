//! The campaign: batch after batch is generated, executed under every emulator, compared and counted.

use super::case::{self, Case};
use super::compare::{Listing, difference, same};
use super::coverage::Coverage;
use super::desk::{Desk, INTERPRETER, Mismatch, Placed, Setting, fill_backgrounds};
use super::exclude;
use super::generate::{Generated, Generator, Isa};
use super::interp;
use super::layout::{
    ARENA, ARENA_SIZE, BACKGROUNDS, BATCH_CODE, CASES, EVERYWHERE, MIDDLE, MODIFIES, RING, SLOTS,
};
use super::process::{Death, Guests};
use super::results::{Distinct, Totals};
use super::rows::Rows;
use super::sequence::slot_place;
use super::shrink::shrink;
use emu::cpu::model::Features;
use emu::isa::generate::Rng;
use std::collections::{BTreeMap, VecDeque};
use std::io;

/// What a campaign has found.
pub struct Found {
    /// As small as it got.
    pub case: Case,
    pub mismatch: Mismatch,
    pub report: String,
    /// The difference as it was first seen.
    pub first: String,
    pub seed: u64,
    pub batch: u64,
    pub slot: usize,
}

/// The sequences that are executed together with one.
struct Others {
    /// Where the batch's code is.
    at: u32,
    cases: Vec<Placed>,
}

pub struct Campaign<'a> {
    setting: &'a Setting,
    rows: &'a Rows,
    generator: Generator<'a>,
    pub isa: Isa,
    seed: u64,
    /// Of a sequence.
    inputs: usize,
    /// One sequence in this many is also interpreted; 0: none.
    pub interpret: u32,
    guests: Guests,
    desk: Option<Desk<'a>>,
    backgrounds: Vec<Vec<u32>>,
    pub totals: Totals,
    pub distinct: Distinct,
    pub coverage: Coverage,
    /// Batches on their way: number in this process's ring, number in the campaign, what they hold.
    under_way: VecDeque<(u32, u64, Vec<Generated>)>,
    pub found: Vec<Found>,
    /// How often each reason of `exclude` came up in this process.
    pub excused: BTreeMap<&'static str, u64>,
    /// Give up after so many.
    pub enough: usize,
}

/// The random numbers of batch `number`.
fn batch_rng(seed: u64, isa: Isa, number: u64) -> Rng {
    let mut rng = Rng(seed ^ (isa as u64) << 56);
    let mixed = rng.next_u64() ^ number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    Rng(Rng(mixed).next_u64())
}

impl<'a> Campaign<'a> {
    /// Each sequence runs with `inputs` inputs, 1 to [`CASES`].
    ///
    /// # Errors
    /// When the emulators cannot be started.
    pub fn new(
        setting: &'a Setting,
        rows: &'a Rows,
        isa: Isa,
        seed: u64,
        inputs: usize,
    ) -> io::Result<Campaign<'a>> {
        let backgrounds: Vec<Vec<u32>> = (0..BACKGROUNDS).map(case::background).collect();
        Ok(Campaign {
            setting,
            rows,
            generator: Generator::new(rows, isa, seed),
            isa,
            seed,
            inputs,
            interpret: 0,
            guests: Self::start(setting, &backgrounds)?,
            desk: None,
            backgrounds,
            totals: Totals::default(),
            distinct: Distinct::default(),
            coverage: Coverage::new(rows),
            under_way: VecDeque::new(),
            found: Vec::new(),
            excused: BTreeMap::new(),
            enough: 8,
        })
    }

    fn start(setting: &Setting, backgrounds: &[Vec<u32>]) -> io::Result<Guests> {
        let mut guests = Guests::start(&setting.emulators(), &setting.program, setting.wide)?;
        fill_backgrounds(&mut guests, backgrounds);
        Ok(guests)
    }

    /// Sequences of a batch.
    fn slots(&self) -> usize {
        SLOTS.min(CASES / self.inputs)
    }

    /// Runs batches until `cases` more have been executed, or enough has been found.
    ///
    /// # Errors
    /// When the emulators cannot be started again.
    pub fn run(&mut self, cases: u64) -> io::Result<()> {
        let goal = self.totals.cases + cases;
        let batch = (self.slots() * self.inputs) as u64;
        let wanted = |c: &Self| c.totals.cases + (c.under_way.len() as u64 * batch) < goal;
        while self.found.len() < self.enough && (wanted(self) || !self.under_way.is_empty()) {
            if wanted(self) {
                self.send();
            }
            // One may be written, one compared, while the others run.
            while self.under_way.len() > if wanted(self) { RING - 1 } else { 0 } {
                self.take()?;
            }
        }
        self.under_way.clear();
        Ok(())
    }

    /// Generates the next batch and hands it over.
    fn send(&mut self) {
        let number = self.totals.next;
        let mut rng = batch_rng(self.seed, self.isa, number);
        let in_ring = self.guests.next();
        // The first batch of a process needs a fresh arena, too.
        let at = (in_ring as u64 * 2 * u64::from(BATCH_CODE) % u64::from(ARENA_SIZE)) as u32;
        let (inputs, slots) = (self.inputs, self.slots());
        let batch = self.guests.batch();
        batch.slots = slots as u32;
        batch.guests = self.setting.at_turn(number);
        batch.background = (number % BACKGROUNDS as u64) as u32;
        batch.at = at;
        let made: Vec<Generated> = (0..slots)
            .map(|index| {
                batch.slot[index].inputs = inputs as u32;
                batch.slot[index].first = (index * inputs) as u32;
                self.generator.fill(&mut rng, batch, at, index)
            })
            .collect();
        batch.modifies = u32::from(made.iter().any(|g| g.flags & MODIFIES != 0));
        self.guests.publish();
        self.under_way.push_back((in_ring, number, made));
        self.totals.next += 1;
    }

    /// Waits for the oldest batch and compares its outcomes.
    fn take(&mut self) -> io::Result<()> {
        let Some((in_ring, number, made)) = self.under_way.pop_front() else {
            return Ok(());
        };
        if let Err(death) = self.guests.wait(in_ring) {
            return self.died(death, in_ring, number, made);
        }
        self.totals.sequences += made.len() as u64;
        self.totals.cases += (made.len() * self.inputs) as u64;
        for (slot, generated) in made.iter().enumerate() {
            let batch = self.guests.batch_at(in_ring);
            let cases = batch.cases(slot);
            let theirs = &self.guests.outputs(0, in_ring)[cases.clone()];
            let endless = theirs.iter().filter(|o| o.signal == 27).count() as u64;
            if endless > 0 {
                *self.excused.entry("does not end, in both").or_default() += endless;
            }
            self.totals.faults += theirs.iter().filter(|o| o.signal != 0).count() as u64;
            self.distinct.add(&batch.code[slot]);
            let base = ARENA + slot_place(batch.at, slot, generated.flags);
            self.coverage.add(generated, base, &batch.input[cases], theirs);
            self.compare(slot, &made, in_ring, number)?;
        }
        Ok(())
    }

    /// Compares the outcomes of one sequence.
    fn compare(&mut self, slot: usize, made: &[Generated], in_ring: u32, number: u64) -> io::Result<()> {
        let generated = &made[slot];
        let flags = generated.flags;
        let batch = self.guests.batch_at(in_ring);
        let cases = batch.cases(slot);
        let theirs = &self.guests.outputs(0, in_ring)[cases.clone()];
        let listing = Listing {
            code: &batch.code[slot],
            base: ARENA + slot_place(batch.at, slot, flags),
            features: self.rows.features,
            insns: &generated.insns,
        };
        let mut differs = None;
        'executors: for index in (1..self.guests.len()).filter(|index| batch.guests >> index & 1 == 1) {
            let ours = &self.guests.outputs(index, in_ring)[cases.clone()];
            for (input, (ours, theirs)) in ours.iter().zip(theirs).enumerate() {
                let same = same(ours, theirs, flags);
                if same && theirs.signal != 11 {
                    continue;
                }
                let excused = if same {
                    None
                } else {
                    exclude::excused(ours, theirs, &listing)
                };
                if let Some(reason) = excused {
                    self.totals.excused += 1;
                    *self.excused.entry(reason).or_default() += 1;
                } else if !same
                    && let Some(what) =
                        difference(ours, theirs, flags, self.setting.executors[index].exact, &listing)
                {
                    differs = Some(Mismatch {
                        who: self.setting.executors[index].emulator.name.clone(),
                        input,
                        what,
                        outputs: Some([*ours, *theirs]),
                    });
                    break 'executors;
                }
                if exclude::leaves_more(theirs, excused.is_some(), flags, &listing) {
                    let rest = (cases.len() - 1 - input) as u64;
                    self.totals.excused += rest;
                    *self
                        .excused
                        .entry("after an input that may have left something")
                        .or_default() += rest;
                    continue 'executors;
                }
            }
        }
        let interpret = self.interpret != 0
            && (number * SLOTS as u64 + slot as u64).is_multiple_of(u64::from(self.interpret));
        if differs.is_none() && interpret {
            let case = self.case(slot, generated, in_ring);
            differs = self.interpreted(&case, slot, in_ring, &listing);
        }
        if let Some(mismatch) = differs {
            let placed = self.placed(slot, generated, in_ring);
            let others = self.others(slot, made, in_ring);
            self.investigate(placed, generated, mismatch, number, others)?;
        }
        Ok(())
    }

    /// A difference between the interpreter and QEMU.
    fn interpreted(&self, case: &Case, slot: usize, in_ring: u32, listing: &Listing<'_>) -> Option<Mismatch> {
        let mismatch = |input, what, outputs| Mismatch {
            who: "interpreter".into(),
            input,
            what,
            outputs,
        };
        let found = match interp::run(&self.setting.context, case, &self.backgrounds) {
            Ok(found) => found,
            Err(what) => return Some(mismatch(0, what, None)),
        };
        let cases = self.guests.batch_at(in_ring).cases(slot);
        let theirs = &self.guests.outputs(0, in_ring)[cases];
        for (input, (ours, theirs)) in found.iter().zip(theirs).enumerate() {
            let known = case.flags & EVERYWHERE != 0 || ours.output.dirty & !MIDDLE == 0;
            if ours.stray || !known {
                // What it left in the code, or where nobody looks after each input, is unknown.
                return None;
            }
            let excused = exclude::excused(&ours.output, theirs, listing).is_some();
            if !excused && let Some(what) = difference(&ours.output, theirs, case.flags, INTERPRETER, listing)
            {
                return Some(mismatch(input, what, Some([ours.output, *theirs])));
            }
            if exclude::leaves_more(theirs, excused, case.flags, listing) {
                return None;
            }
        }
        None
    }

    /// The other sequences of its batch, by slot: those that may have written to memory that one of them meets.
    fn others(&self, slot: usize, made: &[Generated], in_ring: u32) -> Others {
        let here = made.iter().enumerate().filter(|(s, _)| *s != slot);
        Others {
            at: self.guests.batch_at(in_ring).at,
            cases: here.map(|(s, g)| self.placed(s, g, in_ring)).collect(),
        }
    }

    fn placed(&self, slot: usize, generated: &Generated, in_ring: u32) -> Placed {
        Placed {
            slot,
            first: self.guests.batch_at(in_ring).slot[slot].first,
            case: self.case(slot, generated, in_ring),
        }
    }

    /// A sequence of a batch by itself.
    fn case(&self, slot: usize, generated: &Generated, in_ring: u32) -> Case {
        let batch = self.guests.batch_at(in_ring);
        Case {
            code: batch.code[slot],
            at: slot_place(batch.at, slot, generated.flags),
            background: batch.background as usize,
            flags: generated.flags,
            inputs: batch.input[batch.cases(slot)].to_vec(),
        }
    }

    /// Repeats a difference by itself, reduces and reports it.
    fn investigate(
        &mut self,
        placed: Placed,
        generated: &Generated,
        first: Mismatch,
        batch: u64,
        others: Others,
    ) -> io::Result<()> {
        let case = &placed.case;
        let mut desk = match self.desk.take() {
            Some(desk) => desk,
            None => Desk::new(self.setting)?,
        };
        let interpreter = first.who == "interpreter";
        // Those who agree need not repeat it.
        let who = self
            .setting
            .executors
            .iter()
            .position(|e| e.emulator.name == first.who)
            .unwrap_or(0);
        desk.taking_part = 1 | 1 << who;
        let first_seen = format!("{}: {}", first.who, first.what);
        let alone = Case {
            inputs: vec![case.inputs[first.input]],
            ..case.clone()
        };
        if desk.strays(&alone) {
            self.totals.strays += 1;
            self.desk = Some(desk);
            return Ok(());
        }
        let (start, again) = match desk.check(&alone, interpreter)? {
            Some(again) => (alone, Some(again)),
            None => (case.clone(), desk.check(case, interpreter)?),
        };
        // What differs together with others of its batch only: one of those left something behind.
        let strays = desk.strays(&start);
        let company = match again {
            None if !strays => desk.company(others.at, &placed, &others.cases)?,
            _ => None,
        };
        let mut strayed = strays;
        for Placed { case, .. } in company.iter().flatten() {
            strayed = strayed || desk.strays(case) || desk.disturbs(case) || desk.excuses(case)?;
        }
        if strayed {
            self.totals.strays += 1;
            self.desk = Some(desk);
            return Ok(());
        }
        self.totals.mismatches += 1;
        let (smallest, mismatch) = match again {
            None => (case.clone(), first),
            Some(again) => {
                // Where a guest ends, each step starts the emulators again.
                let steps = if again.outputs.is_none() { 100 } else { 4000 };
                let shared = std::cell::RefCell::new(desk);
                let smallest = shrink(&start, Some(generated.sequence.clone()), steps, |case| {
                    let mut desk = shared.borrow_mut();
                    !desk.strays(case) && matches!(desk.check(case, interpreter), Ok(Some(_)))
                });
                desk = shared.into_inner();
                let mismatch = desk.check(&smallest, interpreter)?.unwrap_or(again);
                (smallest, mismatch)
            }
        };
        let mut report = super::report::report(&mut desk, &smallest, &mismatch);
        for Placed { slot, case, .. } in company.iter().flatten() {
            report += &format!(
                "\ntogether with slot {slot}:\n{}",
                case.to_text(&super::report::assembly(case))
            );
        }
        self.found.push(Found {
            case: smallest,
            mismatch,
            report,
            first: first_seen,
            seed: self.seed,
            batch,
            slot: placed.slot,
        });
        self.desk = Some(desk);
        Ok(())
    }

    /// A guest ended or hangs: that is a difference, too, unless it is QEMU that fails where memory is not the same
    /// everywhere, or one executed data on a processor that does not refuse that. The batch is left out, the rest of what is under way is done again.
    fn died(&mut self, death: Death, in_ring: u32, number: u64, made: Vec<Generated>) -> io::Result<()> {
        let may_stray = death.guest == 0 || !self.rows.features.contains(Features::V6);
        let mismatch = Mismatch {
            who: self.setting.executors[death.guest].emulator.name.clone(),
            input: death.input,
            what: death.how,
            outputs: None,
        };
        let placed = self.placed(death.slot, &made[death.slot], in_ring);
        let disturbed = |case: &Case| {
            let found = interp::run(&self.setting.context, case, &self.backgrounds);
            // Where an alignment fault ends it here, QEMU may go on to anywhere (divergences D11 to D13).
            let elsewhere = |one: &interp::Interpreted| one.stray || one.disturbs || one.output.signal == 7;
            found.is_ok_and(|all| all.iter().any(elsewhere))
        };
        // The sequence at which QEMU ended is the likely one, and interpreting them all takes a second.
        let others = || self.others(death.slot, &made, in_ring);
        if may_stray && (disturbed(&placed.case) || others().cases.iter().any(|other| disturbed(&other.case)))
        {
            self.totals.strays += 1;
        } else {
            let others = others();
            self.investigate(placed, &made[death.slot], mismatch, number, others)?;
        }
        self.guests = Self::start(self.setting, &self.backgrounds)?;
        self.totals.next = number + 1;
        self.under_way.clear();
        Ok(())
    }

    /// Rows of the campaign's instruction set that were executed less often than `quota`, or never faulted.
    pub fn missing(&self, quota: u64) -> Vec<String> {
        self.coverage.missing(self.rows, self.generator.focus(), quota)
    }
}
