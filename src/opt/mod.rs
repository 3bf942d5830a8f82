//! IR to IR: what is not needed goes.
//!
//! The fast tier has three passes. One backward: flags that nobody reads are not set, values that nobody uses are not
//! computed, registers are not written for nobody to see ([`overwritten`]). One forward, [`hoist`]: arithmetic between a
//! carry and its reader moves before the carry. And [`fences`]: barriers that order nothing go. Constants are folded where
//! the builder made them; the rest is the emitter's choice of instructions.

mod fences;
mod hoist;
mod overwritten;

use crate::ir::ops::{Block, Flags, Inst, Op, Value, effect};
use overwritten::Overwritten;

/// Removes dead flags and dead operations from `block`. `live_at` says which flags are live at a guest address that
/// the block leaves to (T bit in bit 0); with `precise`, every instruction that may fault keeps all flags alive.
pub fn run(block: &mut Block, live_at: &dyn Fn(u32) -> Flags, precise: bool) {
    remove_dead(block, live_at, precise);
    hoist::run(block);
    fences::run(block);
}

fn remove_dead(block: &mut Block, live_at: &dyn Fn(u32) -> Flags, precise: bool) {
    let mut live = Flags::NZCV;
    let mut at_label = vec![Flags::NZCV; block.labels as usize];
    let mut used = vec![false; block.insts.len()];
    let mut overwritten = Overwritten::default();
    for i in (0..block.insts.len()).rev() {
        let inst = &mut block.insts[i];
        let effects = inst.op.effects();
        match inst.op {
            Op::Jump | Op::Call => live = live_at(inst.imm),
            Op::Label => at_label[inst.imm as usize] = live,
            Op::SkipUnless => live = live | at_label[inst.imm as usize],
            Op::ExitIf | Op::ExitIfZero | Op::ExitIfNonZero => live = live | live_at(inst.imm),
            _ if effects & effect::TERMINATOR != 0 => live = Flags::NZCV,
            _ => {}
        }
        let sets = inst.flags;
        inst.flags = Flags(sets.0 & live.0);
        let wanted = !inst.a.is_none() && used[inst.a.index()];
        if overwritten.before(inst, i, wanted) || removable(inst) && !used[i] {
            *inst = Inst::new(Op::Nop);
            continue;
        }
        // Only an unconditional definition ends liveness; stripped flags were dead anyway.
        live = (live - sets) | inst.flags_read(precise);
        for v in inst.operands() {
            if v != Value::NONE {
                used[v.index()] = true;
            }
        }
    }
    overwritten.mark(block);
}

/// Whether `inst` has no effect but its value and its flags, and no flag is left.
fn removable(inst: &Inst) -> bool {
    let kept =
        effect::WRITE | effect::READ | effect::FAULT | effect::FP_TRAP | effect::CONTEXT | effect::CONTROL;
    inst.op.effects() & kept == 0 && inst.flags.is_empty() && !matches!(inst.op, Op::InsnStart | Op::Nop)
}
