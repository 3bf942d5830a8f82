//! Writes of registers that are overwritten before anyone can see them.
//!
//! Straight Advanced SIMD code works in a few registers: of five results in a row that go to q9, four are only operands
//! of the next instruction; and MOVW is there for the MOVT behind it. The block passes such results on as values; that
//! they are in the register as well matters only to a fault, an exit or a signal. The first two are operations of the
//! block. Signals are delivered at boundaries between
//! instructions, and those between a write that went and the one that made it needless are boundaries no more (`aux`
//! bit 1 of their InsnStart): the thread goes on for the few instructions to the next one that is.

use crate::ir::ops::{Block, Inst, Op, effect};
use crate::ir::vector::Shape;

/// State of the walk, which goes backward through a block.
pub struct Overwritten {
    /// S registers (D16-D31 as pairs 32-63) that are written further on, before anyone can see them.
    words: u64,
    /// The same of r0-r14.
    core: u16,
    /// The index of the operation that writes each.
    by: [u32; 64],
    core_by: [u32; 16],
    /// From a write that went to the one that made it needless.
    gone: Vec<(usize, usize)>,
}

impl Default for Overwritten {
    fn default() -> Self {
        Overwritten {
            words: 0,
            core: 0,
            by: [0; 64],
            core_by: [0; 16],
            gone: Vec::new(),
        }
    }
}

/// The S registers that a context operation reads or writes.
fn words(inst: &Inst) -> u64 {
    match inst.op {
        Op::GetS | Op::SetS => 1 << (inst.imm & 63),
        Op::GetD | Op::SetD => 3 << ((2 * inst.imm) & 63),
        _ if Shape(inst.imm2 as u8).is_q() => 15 << ((2 * inst.imm) & 63),
        _ => 3 << ((2 * inst.imm) & 63),
    }
}

impl Overwritten {
    /// Takes note of a read of core register `r`.
    #[inline]
    pub fn reads(&mut self, r: usize) {
        self.core &= !(1 << r);
    }

    /// Takes note of a write of core register `r` at index `at`; true if it may go. A core register is where a value is
    /// best kept for what uses it: with `wanted` (the value is used further on) the write stays.
    #[inline]
    pub fn writes(&mut self, r: usize, at: usize, wanted: bool) -> bool {
        let by = &mut self.core_by[r];
        if self.core >> r & 1 == 1 && !wanted {
            self.gone.push((at, *by as usize));
            return true;
        }
        *by = at as u32;
        self.core |= 1 << r;
        false
    }

    /// Takes note of any other operation `inst` at index `at`; true if it is a write that may go.
    #[inline]
    pub fn before(&mut self, inst: &Inst, at: usize) -> bool {
        match inst.op {
            Op::GetS | Op::GetD | Op::GetV => self.words &= !words(inst),
            Op::SetS | Op::SetD | Op::SetV => {
                let written = words(inst);
                let first = written.trailing_zeros() as usize;
                let by = &mut self.by[first..first + written.count_ones() as usize];
                if self.words & written == written {
                    let last = by.iter().max().map_or(0, |&k| k as usize);
                    self.gone.push((at, last));
                    return true;
                }
                by.fill(at as u32);
                self.words |= written;
            }
            op if op.effects() & (effect::FAULT | effect::CONTROL) != 0 => (self.words, self.core) = (0, 0),
            _ => {}
        }
        false
    }

    /// Marks the instructions before which a register does not hold what it should.
    pub fn mark(self, block: &mut Block) {
        for (from, to) in self.gone {
            for inst in &mut block.insts[from..to] {
                if inst.op == Op::InsnStart {
                    inst.aux |= 2;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ir::builder::Builder;
    use crate::ir::liveness::Liveness;
    use crate::ir::ops::{Flags, Value};

    fn optimise(block: &mut Block) {
        let mut outside = crate::opt::Outside {
            live_at: &mut |_| Flags::NONE,
            precise: false,
            in_registers: 0,
        };
        crate::opt::run(block, &mut outside, &mut Liveness::default());
    }

    /// What is left of the writes in the block that `make` builds, as (index of the instruction, register), and which
    /// instructions are boundaries.
    fn left(make: impl FnOnce(&mut Builder)) -> (Vec<(usize, u32)>, Vec<bool>) {
        let mut b = Builder::new();
        make(&mut b);
        b.jump(0x9000);
        let mut block = b.finish();
        optimise(&mut block);
        let (mut writes, mut boundaries) = (Vec::new(), Vec::new());
        for inst in &block.insts {
            match inst.op {
                Op::InsnStart => boundaries.push(inst.aux & 2 == 0),
                Op::SetS | Op::SetD | Op::SetV => writes.push((boundaries.len() - 1, inst.imm)),
                _ => {}
            }
        }
        (writes, boundaries)
    }

    fn set(b: &mut Builder, op: Op, register: u32, q: bool, a: Value) {
        b.push(Inst {
            a,
            imm: register,
            imm2: if q { Shape::Q.into() } else { 0 },
            ..Inst::new(op)
        });
    }

    fn vector(b: &mut Builder) -> Value {
        b.push(Inst::new(Op::VConst))
    }

    #[test]
    fn only_the_last_of_several_writes_stays() {
        let found = left(|b| {
            for k in 0..4 {
                b.insn_start(0x8000 + 4 * k, false, 0);
                let v = vector(b);
                set(b, Op::SetV, 18, true, v);
            }
        });
        assert_eq!(found, (vec![(3, 18)], vec![true, false, false, false]));
    }

    #[test]
    fn core_registers_as_well() {
        let mut b = Builder::new();
        for k in 0..3 {
            b.insn_start(0x8000 + 4 * k, false, 0);
            let v = b.iconst(k);
            b.set_reg(if k == 1 { 3 } else { 4 }, v);
        }
        b.jump(0x9000);
        let mut block = b.finish();
        optimise(&mut block);
        let set = |i: &&Inst| i.op == Op::SetReg;
        let left: Vec<u32> = block.insts.iter().filter(set).map(|i| i.imm).collect();
        assert_eq!(left, [3, 4]);
    }

    #[test]
    fn a_write_of_a_part_makes_none_of_the_whole_needless() {
        let found = left(|b| {
            b.insn_start(0x8000, false, 0);
            let v = vector(b);
            set(b, Op::SetV, 2, true, v);
            b.insn_start(0x8004, false, 0);
            set(b, Op::SetV, 2, false, v);
        });
        assert_eq!(found, (vec![(0, 2), (1, 2)], vec![true, true]));
        // Both halves do, S registers among them.
        let found = left(|b| {
            b.insn_start(0x8000, false, 0);
            let v = vector(b);
            set(b, Op::SetV, 2, true, v);
            b.insn_start(0x8004, false, 0);
            let s = b.get_s(6);
            set(b, Op::SetS, 4, false, s);
            b.insn_start(0x8008, false, 0);
            set(b, Op::SetV, 3, false, v);
            set(b, Op::SetS, 5, false, s);
        });
        assert_eq!(
            found,
            (vec![(0, 2), (1, 4), (2, 3), (2, 5)], vec![true, true, true]),
            "S6 is read in between"
        );
        let found = left(|b| {
            b.insn_start(0x8000, false, 0);
            let v = vector(b);
            let s = b.get_s(20);
            set(b, Op::SetV, 2, true, v);
            b.insn_start(0x8004, false, 0);
            set(b, Op::SetS, 4, false, s);
            b.insn_start(0x8008, false, 0);
            set(b, Op::SetV, 3, false, v);
            set(b, Op::SetS, 5, false, s);
        });
        assert_eq!(found, (vec![(1, 4), (2, 3), (2, 5)], vec![true, false, false]));
    }

    #[test]
    fn what_may_be_seen_stays() {
        let watched = |watch: fn(&mut Builder)| {
            left(|b| {
                b.insn_start(0x8000, false, 0);
                let v = vector(b);
                set(b, Op::SetV, 2, true, v);
                b.insn_start(0x8004, false, 0);
                watch(b);
                b.insn_start(0x8008, false, 0);
                let v = vector(b);
                set(b, Op::SetV, 2, true, v);
            })
        };
        let both = (vec![(0, 2), (2, 2)], vec![true; 3]);
        let fault = |b: &mut Builder| {
            let a = b.get_reg(0);
            b.load(Op::Load32, a, Value::NONE, 0, 0);
        };
        assert_eq!(watched(fault), both);
        assert_eq!(watched(|b| b.exit_if(crate::cpu::cond::Cond::Eq, 0xa000)), both);
        let skipped = |b: &mut Builder| {
            let label = b.skip_unless(crate::cpu::cond::Cond::Eq);
            b.label(label);
        };
        assert_eq!(watched(skipped), both);
        let read = |b: &mut Builder| {
            let s = b.push(Inst {
                imm: 5,
                ..Inst::new(Op::GetS)
            });
            set(b, Op::SetS, 20, false, s);
        };
        assert_eq!(watched(read).0, vec![(0, 2), (1, 20), (2, 2)]);
    }
}
