//! Moves arithmetic out from between an operation that sets the carry and the one that reads it.
//!
//! Multi-word arithmetic on ARM shifts its next operand between the halves of an addition (`adds r0, r0, r2, lsl r3;
//! adcs r1, r1, r4, lsr r5`). ARM's flags survive the shift; x86's do not. The shift depends on neither, so it can be
//! computed first: it has no effect but its value, and a value computed early is invisible to the guest.

use crate::ir::ops::{Block, Flags, Inst, Op, Value, effect};

/// How many operations may lie between the two.
const REACH: usize = 8;

/// Applies the pass to `block`.
pub fn run(block: &mut Block) {
    let mut from = 0;
    while let Some((set, moved)) = next(block, from) {
        rotate(block, set, moved);
        from = set + 1;
    }
}

/// The next operation at `moved` to move before the flag-setting one at `set`, which is at or after `from`.
fn next(block: &Block, from: usize) -> Option<(usize, usize)> {
    let insts = &block.insts;
    for set in from..insts.len() {
        if !insts[set].flags.intersects(Flags::C) {
            continue;
        }
        let end = insts.len().min(set + 1 + REACH);
        let Some(reader) = insts[set + 1..end]
            .iter()
            .position(reads_carry)
            .map(|n| set + 1 + n)
        else {
            continue;
        };
        let between = &insts[set + 1..reader];
        if between
            .iter()
            .any(|i| i.op.effects() & (effect::CONTROL | effect::FAULT) != 0 || !i.flags.is_empty())
        {
            continue;
        }
        // Constants take no instruction of their own: one that an operation here wants moves first.
        let found = (set + 1..reader).find(|&k| {
            (disturbs_flags(&insts[k]) || insts[k].op == Op::Const)
                && insts[k].operands().iter().all(|v| v.is_none() || v.index() < set)
        });
        if let Some(moved) = found {
            return Some((set, moved));
        }
    }
    None
}

fn reads_carry(inst: &Inst) -> bool {
    inst.op.effects() & effect::READS_C != 0
}

/// Pure operations without flags whose host form destroys EFLAGS.
fn disturbs_flags(inst: &Inst) -> bool {
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
            | Op::Ubfx
            | Op::Sbfx
    );
    pure && arithmetic
}

/// Moves the operation at `moved` to `set`, those from `set` on one further, and renames the operands that follow.
fn rotate(block: &mut Block, set: usize, moved: usize) {
    block.insts[set..=moved].rotate_right(1);
    let rename = |v: Value| match v.index() {
        i if v.is_none() || i < set || i > moved => v,
        i if i == moved => Value(set as u32),
        i => Value(i as u32 + 1),
    };
    for inst in &mut block.insts[set..] {
        inst.a = rename(inst.a);
        inst.b = rename(inst.b);
        inst.c = rename(inst.c);
    }
}
