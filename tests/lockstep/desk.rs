//! Runs single cases under the emulators, apart from the campaign: to confirm, reduce and report a difference, and to
//! replay the corpus.

use super::case::{self, Case, FILLER};
use super::compare::{Exactness, Listing, any_instructions, difference};
use super::exclude;
use super::interp;
use super::layout::{BACKGROUNDS, BATCH_CODE, CODE_WORDS, DETAIL, EVERYWHERE, MODIFIES, Output, SLOTS};
use super::process::{Death, Emulator, Guests};
use super::sequence::slot_place;
use emu::cpu::model::Features;
use emu::isa::insn::Insn;
use emu::lift::Context;
use std::io;
use std::path::PathBuf;

/// An emulator and what its outcomes show.
#[derive(Clone, Debug)]
pub struct Executor {
    pub emulator: Emulator,
    pub exact: Exactness,
    /// It takes turns with the others of this kind: each executes some of a campaign's batches.
    pub turns: bool,
}

/// What all that runs a case has in common.
pub struct Setting {
    /// The first is QEMU.
    pub executors: Vec<Executor>,
    pub program: PathBuf,
    /// See `layout::InputMemory`.
    pub wide: u32,
    pub context: Context,
}

impl Setting {
    /// Which executors batch `number` of a campaign is for, a bit each.
    pub fn at_turn(&self, number: u64) -> u32 {
        let turns: Vec<usize> = (0..self.executors.len())
            .filter(|&i| self.executors[i].turns)
            .collect();
        let at_turn = |i: usize| turns.is_empty() || turns[(number % turns.len() as u64) as usize] == i;
        let takes_part = |i: &usize| !self.executors[*i].turns || at_turn(*i);
        (0..self.executors.len())
            .filter(takes_part)
            .fold(0, |mask, i| mask | 1 << i)
    }

    pub fn emulators(&self) -> Vec<Emulator> {
        self.executors.iter().map(|e| e.emulator.clone()).collect()
    }
}

/// A difference between an executor and QEMU.
#[derive(Clone, Debug)]
pub struct Mismatch {
    /// Name of the executor.
    pub who: String,
    /// Index of the input in the case.
    pub input: usize,
    pub what: String,
    /// Theirs (ours, then QEMU's), if both came to an end.
    pub outputs: Option<[Output; 2]>,
}

/// An executor's outcomes of a batch, by slot.
pub type Batched = Vec<Vec<Output>>;

/// A sequence as part of a batch.
#[derive(Clone)]
pub struct Placed {
    pub slot: usize,
    /// Of the batch's inputs, and so of the places where guests collect outcomes: what a sequence writes there by mistake
    /// hits the same outcomes whoever else is in the batch.
    pub first: u32,
    pub case: Case,
}

pub struct Desk<'a> {
    pub setting: &'a Setting,
    guests: Guests,
    backgrounds: Vec<Vec<u32>>,
    /// The executors that take part, a bit each: QEMU, and all or some of the others.
    pub taking_part: u32,
}

impl<'a> Desk<'a> {
    /// # Errors
    /// See [`Guests::start`].
    pub fn new(setting: &'a Setting) -> io::Result<Desk<'a>> {
        let backgrounds: Vec<Vec<u32>> = (0..BACKGROUNDS).map(case::background).collect();
        Ok(Desk {
            setting,
            guests: Self::start(setting, &backgrounds)?,
            backgrounds,
            taking_part: u32::MAX,
        })
    }

    fn start(setting: &Setting, backgrounds: &[Vec<u32>]) -> io::Result<Guests> {
        let mut guests = Guests::start(&setting.emulators(), &setting.program, setting.wide)?;
        fill_backgrounds(&mut guests, backgrounds);
        Ok(guests)
    }

    /// The outcomes of every executor for every input, on fresh pages; or who died at which input.
    ///
    /// # Errors
    /// When the emulators cannot be started again.
    pub fn run(&mut self, case: &Case) -> io::Result<Result<Vec<Vec<Output>>, Death>> {
        let detail = if case.inputs.len() == 1 { DETAIL } else { 0 };
        // In its own place: code is protected by pages.
        let slot = (case.at / slot_place(0, 1, 0)) as usize % SLOTS;
        let at = case.at - slot_place(0, slot, case.flags);
        let all = self.run_batch(
            at,
            &[Placed {
                slot,
                first: 0,
                case: Case {
                    flags: case.flags | EVERYWHERE | detail,
                    ..case.clone()
                },
            }],
        )?;
        Ok(all.map(|all| all.iter().map(|slots| slots[slot].clone()).collect()))
    }

    /// The outcomes of every executor for sequences that are one batch, whose code is at `at` in the arena, by their slots; or who died.
    ///
    /// # Errors
    /// When the emulators cannot be started again.
    pub fn run_batch(&mut self, at: u32, cases: &[Placed]) -> io::Result<Result<Vec<Batched>, Death>> {
        self.guests.batch().slots = 0;
        self.guests.batch().guests = u32::MAX;
        self.guests.batch().at = 0;
        self.guests.publish();
        let number = self.guests.next();
        let batch = self.guests.batch();
        batch.slots = cases
            .iter()
            .map(|placed| placed.slot as u32 + 1)
            .max()
            .unwrap_or(0);
        batch.guests = self.taking_part;
        // Place 0 means fresh pages, which it has had.
        batch.at = at;
        batch.modifies = u32::from(cases.iter().any(|placed| placed.case.flags & MODIFIES != 0));
        batch.code.fill([FILLER; CODE_WORDS]);
        batch.slot.iter_mut().for_each(|slot| slot.inputs = 0);
        for Placed { slot, first, case } in cases {
            batch.background = case.background as u32;
            batch.code[*slot] = case.code;
            let described = &mut batch.slot[*slot];
            described.inputs = case.inputs.len() as u32;
            described.flags = case.flags;
            described.first = *first;
            let place = batch.cases(*slot);
            batch.input[place].copy_from_slice(&case.inputs);
        }
        self.guests.publish();
        if let Err(death) = self.guests.wait(number) {
            self.guests = Self::start(self.setting, &self.backgrounds)?;
            return Ok(Err(death));
        }
        let batch = self.guests.batch_at(number);
        let of = |guest| {
            let outputs = self.guests.outputs(guest, number);
            (0..SLOTS)
                .map(|slot| outputs[batch.cases(slot)].to_vec())
                .collect()
        };
        Ok(Ok((0..self.guests.len()).map(of).collect()))
    }

    /// Of the sequences that are executed with `case` in a batch, the few without which it shows no difference to QEMU;
    /// `None` if it shows none with all of them either.
    ///
    /// # Errors
    /// See [`Desk::run_batch`].
    pub fn company(
        &mut self,
        at: u32,
        target: &Placed,
        others: &[Placed],
    ) -> io::Result<Option<Vec<Placed>>> {
        let mut left = others.to_vec();
        if !self.differs_among(at, target, &left)? {
            return Ok(None);
        }
        let mut chunk = left.len().next_power_of_two();
        while chunk > 0 {
            let mut from = 0;
            while from < left.len() {
                let mut fewer = left.clone();
                fewer.drain(from..(from + chunk).min(left.len()));
                if self.differs_among(at, target, &fewer)? {
                    left = fewer;
                } else {
                    from += chunk;
                }
            }
            chunk /= 2;
        }
        Ok(Some(left))
    }

    fn differs_among(&mut self, at: u32, target: &Placed, others: &[Placed]) -> io::Result<bool> {
        let mut all = others.to_vec();
        all.push(target.clone());
        let Ok(outputs) = self.run_batch(at, &all)? else {
            return Ok(true);
        };
        let Placed { slot, case, .. } = target;
        let features = self.setting.context.features;
        let insns = any_instructions(&case.code, features);
        let listing = listing(case, features, &insns);
        let theirs = &outputs[0][*slot];
        Ok((1..outputs.len())
            .filter(|i| self.taking_part >> i & 1 == 1)
            .any(|index| {
                let exact = self.setting.executors[index].exact;
                outputs[index][*slot]
                    .iter()
                    .zip(theirs)
                    .take(case.inputs.len())
                    .any(|(ours, theirs)| {
                        exclude::excused(ours, theirs, &listing).is_none()
                            && difference(ours, theirs, case.flags, exact, &listing).is_some()
                    })
            }))
    }

    /// The words of the window after [`Desk::run`] of a case with one input: address, contents of each that took part.
    pub fn written(&self, case: &Case) -> Vec<(u32, Vec<u32>)> {
        let before = &self.backgrounds[case.background];
        (0..before.len())
            .filter_map(|i| {
                let taking_part = (0..self.guests.len()).filter(|g| self.taking_part >> g & 1 == 1);
                let now: Vec<u32> = taking_part.map(|g| self.guests.window(g)[i]).collect();
                let address = super::layout::WINDOW + 4 * i as u32;
                now.iter().any(|w| *w != before[i]).then_some((address, now))
            })
            .collect()
    }

    /// The first unexcused difference, the interpreter included.
    ///
    /// # Errors
    /// See [`Desk::run`].
    pub fn check(&mut self, case: &Case, interpreter: bool) -> io::Result<Option<Mismatch>> {
        let all = match self.run(case)? {
            Ok(all) => all,
            Err(death) => {
                return Ok(Some(Mismatch {
                    who: self.setting.executors[death.guest].emulator.name.clone(),
                    input: death.input.min(case.inputs.len() - 1),
                    what: death.how,
                    outputs: None,
                }));
            }
        };
        let features = self.setting.context.features;
        let insns = any_instructions(&case.code, features);
        let listing = listing(case, features, &insns);
        let mut executors: Vec<(&str, Exactness, &[Output])> = Vec::new();
        for (index, (executor, outputs)) in self.setting.executors.iter().zip(&all).enumerate().skip(1) {
            if self.taking_part >> index & 1 == 1 {
                executors.push((&executor.emulator.name, executor.exact, outputs));
            }
        }
        let ours;
        if interpreter {
            match self.interpret(case, &all[0]) {
                Ok(outputs) => ours = outputs,
                Err(what) => {
                    return Ok(Some(Mismatch {
                        who: "interpreter".into(),
                        input: 0,
                        what,
                        outputs: None,
                    }));
                }
            }
            executors.push(("interpreter", INTERPRETER, &ours));
        }
        'executors: for (who, exact, outputs) in executors {
            for (input, (ours, theirs)) in outputs.iter().zip(&all[0]).enumerate() {
                if exclude::excused(ours, theirs, &listing).is_some() {
                    // Memory is looked at everywhere here.
                    if exclude::leaves_more(theirs, true, case.flags | EVERYWHERE, &listing) {
                        continue 'executors;
                    }
                    continue;
                }
                if let Some(what) = difference(ours, theirs, case.flags, exact, &listing) {
                    return Ok(Some(Mismatch {
                        who: who.to_string(),
                        input,
                        what,
                        outputs: Some([*ours, *theirs]),
                    }));
                }
            }
        }
        Ok(None)
    }

    /// The interpreter's outcomes; QEMU's where there is nothing to compare.
    fn interpret(&self, case: &Case, theirs: &[Output]) -> Result<Vec<Output>, String> {
        let found = interp::run(&self.setting.context, case, &self.backgrounds)?;
        let outputs = found.into_iter().zip(theirs);
        Ok(outputs
            .map(|(ours, theirs)| if ours.stray { *theirs } else { ours.output })
            .collect())
    }

    /// Whether an input meets memory that is not the same for every executor.
    pub fn strays(&self, case: &Case) -> bool {
        let found = interp::run(&self.setting.context, case, &self.backgrounds);
        found.is_ok_and(|all| all.iter().any(|one| one.stray))
    }

    /// Whether it writes to such memory, or goes there: then others may see that.
    pub fn disturbs(&self, case: &Case) -> bool {
        let found = interp::run(&self.setting.context, case, &self.backgrounds);
        found.is_ok_and(|all| all.iter().any(|one| one.disturbs))
    }

    /// Whether an executor's outcome of an input is excused, or nobody can say: from the excuse on one may have done what
    /// the other, or the interpreter, did not.
    ///
    /// # Errors
    /// See [`Desk::run`].
    pub fn excuses(&mut self, case: &Case) -> io::Result<bool> {
        let Ok(all) = self.run(case)? else {
            return Ok(true);
        };
        let features = self.setting.context.features;
        let insns = any_instructions(&case.code, features);
        let listing = listing(case, features, &insns);
        let taking_part = (1..all.len()).filter(|index| self.taking_part >> index & 1 == 1);
        Ok(taking_part
            .flat_map(|index| all[index].iter().zip(&all[0]))
            .any(|(ours, theirs)| exclude::excused(ours, theirs, &listing).is_some()))
    }

    pub fn backgrounds(&self) -> &[Vec<u32>] {
        &self.backgrounds
    }
}

/// The interpreter has no signal frames.
pub const INTERPRETER: Exactness = Exactness {
    nzcv_at_fault: true,
    underflow: true,
    siginfo: false,
};

fn listing<'a>(case: &'a Case, features: Features, insns: &'a [Insn]) -> Listing<'a> {
    Listing {
        code: &case.code,
        base: case.address(),
        features,
        insns,
    }
}

/// Gives the guests the windows' contents.
pub fn fill_backgrounds(guests: &mut Guests, backgrounds: &[Vec<u32>]) {
    for (index, words) in backgrounds.iter().enumerate() {
        guests.background(index).copy_from_slice(words);
    }
}

const _: () = assert!(BATCH_CODE.is_multiple_of(4096));
