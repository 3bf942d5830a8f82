//! Which table rows were executed, and which of those faulted.

use super::generate::Generated;
use super::layout::{Input, Output};
use super::rows::{Memory, RowInfo, Rows};
use emu::cpu::cond::Cond;
use std::collections::BTreeMap;

/// Counts of one row.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Count {
    /// Reached and gone on behind.
    pub executed: u64,
    /// Ended the sequence by a signal.
    pub faulted: u64,
}

/// Counts by index in `Rows::all`.
pub struct Coverage {
    counts: Vec<Count>,
}

impl Coverage {
    pub fn new(rows: &Rows) -> Coverage {
        Coverage {
            counts: vec![Count::default(); rows.all.len()],
        }
    }

    /// Takes a sequence's outcomes (QEMU's) into account: those of its instructions that were certainly reached. An
    /// instruction whose condition fails is not executed.
    pub fn add(&mut self, generated: &Generated, base: u32, inputs: &[Input], outputs: &[Output]) {
        for (input, output) in inputs.iter().zip(outputs) {
            for (index, &(at, place, cond)) in generated.certain.iter().enumerate() {
                let pc = base + u32::from(at);
                let here = output.signal != 0 && output.r[15] == pc;
                let holds = match index {
                    0 => emu::ir::interp::holds(Cond::from_bits(cond.into()), input.cpsr & 0xf000_0000),
                    _ => cond == 14,
                };
                let count = &mut self.counts[place as usize];
                if here {
                    count.faulted += 1;
                    break;
                }
                count.executed += u64::from(holds);
            }
        }
    }

    /// Adds what an earlier run counted, by [`super::rows::RowInfo::key`].
    pub fn restore(&mut self, rows: &Rows, counts: &BTreeMap<String, Count>) {
        for (count, info) in self.counts.iter_mut().zip(&rows.all) {
            if let Some(before) = counts.get(&info.key()) {
                count.executed += before.executed;
                count.faulted += before.faulted;
            }
        }
    }

    pub fn get(&self, place: u16) -> Count {
        self.counts[place as usize]
    }

    /// Of the rows in `focus`, those that were executed (or, where that is what they do, faulted) less than `quota`
    /// times, and those accesses to memory that never faulted.
    pub fn missing(&self, rows: &Rows, focus: impl Iterator<Item = u16>, quota: u64) -> Vec<String> {
        let mut missing = Vec::new();
        for place in focus {
            let (info, count) = (&rows.all[place as usize], self.get(place));
            if count.executed + count.faulted < quota {
                missing.push(format!(
                    "{}: {} times",
                    info.key(),
                    count.executed + count.faulted
                ));
            } else if info.memory != Memory::No && count.faulted == 0 && may_fault(info) {
                missing.push(format!("{}: no fault", info.key()));
            }
        }
        missing
    }
}

/// Of the rows that [`super::rows`] takes for accesses to memory, TBB and TBH read tables of the generator's, and
/// literals are near the code.
fn may_fault(info: &RowInfo) -> bool {
    !info.row.name.starts_with("tb") && !info.literal
}
