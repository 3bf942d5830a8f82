//! Moves arithmetic out from between an operation that sets flags and the one that reads them.
//!
//! ARM's flags survive plain arithmetic; x86's do not. Compilers put it there all the same: the next operand's shift
//! between the halves of a long addition, an OR between a test and its branch. Where it depends on nothing in between
//! it is computed first: it has no effect but its value, and a value computed early is invisible to the guest.

use crate::ir::ops::{Block, Inst, Op, Value, effect};

/// How many operations may lie between the two.
const REACH: usize = 16;

/// Applies the pass to `block`.
pub fn run(block: &mut Block) {
    let mut order = Order::default();
    let mut from = 0;
    while let Some((set, moved)) = next(block, from, &order) {
        order.rotate(block, set, moved);
        from = set + 1;
    }
    for inst in &mut block.insts {
        for v in [&mut inst.a, &mut inst.b, &mut inst.c] {
            *v = order.now(*v);
        }
    }
}

/// Where operations are that have moved; operands go on naming what they named before.
#[derive(Default)]
struct Order {
    /// The index that the operation at each index had, and the index that each has now; empty if none has moved.
    was: Vec<u32>,
    is: Vec<u32>,
}

impl Order {
    fn now(&self, v: Value) -> Value {
        // "No operand" is beyond every index.
        self.is.get(v.index()).map_or(v, |&at| Value(at))
    }

    /// Moves the operation at `moved` to `set`, those from `set` on one further.
    fn rotate(&mut self, block: &mut Block, set: usize, moved: usize) {
        if self.was.is_empty() {
            self.was = (0..block.insts.len() as u32).collect();
            self.is = self.was.clone();
        }
        block.insts[set..=moved].rotate_right(1);
        self.was[set..=moved].rotate_right(1);
        for at in set..=moved {
            self.is[self.was[at] as usize] = at as u32;
        }
    }
}

/// The next operation at `moved` to move before the flag-setting one at `set`, which is at or after `from`.
fn next(block: &Block, from: usize, order: &Order) -> Option<(usize, usize)> {
    let insts = &block.insts;
    for set in from..insts.len() {
        if !sets_flags(&insts[set]) {
            continue;
        }
        let end = insts.len().min(set + 1 + REACH);
        let stop = insts[set + 1..end]
            .iter()
            .position(|i| reads_flags(i) || sets_flags(i) || i.op.effects() & effect::CONTROL != 0)
            .map_or(end, |n| set + 1 + n);
        // Only what lies before a reader is in the way.
        if stop == insts.len() || !reads_flags(&insts[stop]) {
            continue;
        }
        // Constants take no instruction of their own: one that an operation here wants moves first.
        let found = (set + 1..stop).find(|&k| {
            let ready = |v: Value| v.is_none() || order.now(v).index() < set;
            (disturbs_flags(&insts[k]) || insts[k].op == Op::Const)
                && insts[k].operands().into_iter().all(ready)
        });
        if let Some(moved) = found {
            return Some((set, moved));
        }
    }
    None
}

/// A floating-point comparison leaves FPSCR's flags in EFLAGS as well.
#[inline]
pub(super) fn sets_flags(inst: &Inst) -> bool {
    !inst.flags.is_empty() || matches!(inst.op, Op::FCmp32 | Op::FCmp64)
}

#[inline]
pub(super) fn reads_flags(inst: &Inst) -> bool {
    inst.op.effects() & (effect::READS_C | effect::READS_COND) != 0 || inst.op == Op::FlagsFromFp
}

/// Pure operations without flags whose host form destroys EFLAGS.
#[inline]
pub(super) fn disturbs_flags(inst: &Inst) -> bool {
    let pure = inst.op.effects() & !effect::FLAGS == 0 && inst.flags.is_empty();
    let arithmetic = matches!(
        inst.op,
        Op::ShlReg
            | Op::ShrReg
            | Op::SarReg
            | Op::RorReg
            | Op::Shl
            | Op::Shr
            | Op::Sar
            | Op::Ror
            | Op::And
            | Op::Or
            | Op::Xor
            | Op::AndNot
            | Op::Mul
            | Op::OrNot
            | Op::Ubfx
            | Op::Sbfx
            | Op::Bfi
    );
    pure && arithmetic
}
