//! The backward pass: drops flags that nobody reads and values that nobody uses, and notes what is left of each.

use super::hoist;
use super::overwritten::Overwritten;
use crate::ir::liveness::{Fate, Liveness, NO_REGISTER};
use crate::ir::ops::{Block, Flags, Inst, Op, Type, Value, effect};

/// What the passes are to know besides the block.
pub struct Outside<'a> {
    /// Flags live at a guest address that the block leaves to (T bit in bit 0).
    pub live_at: &'a mut dyn FnMut(u32) -> Flags,
    /// Every instruction that may fault keeps all flags alive.
    pub precise: bool,
    /// Guest registers that are host registers: a bit each.
    pub in_registers: u16,
}

/// Which other passes have something to do.
#[derive(Clone, Copy, Default)]
pub(super) struct Found {
    /// Arithmetic between an operation that sets flags and one that reads them.
    pub between_flags: bool,
    pub fence: bool,
}

/// Operations that may read or set flags.
const FLAGGED: u16 =
    effect::FLAGS | effect::READS_C | effect::READS_COND | effect::READS_NZCV | effect::FAULT;

/// What an operation without a use and without flags is kept for.
const KEPT: u16 =
    effect::WRITE | effect::READ | effect::FAULT | effect::FP_TRAP | effect::CONTEXT | effect::CONTROL;

/// Operations that [`Overwritten`] may have to do with.
const SEEN: u16 = effect::FAULT | effect::CONTROL | effect::CONTEXT | effect::READS_CONTEXT;

/// Fills `liveness` with what there is to know of `block`; with `REMOVE`, dead flags and dead operations go first.
pub(super) fn run<const REMOVE: bool>(
    block: &mut Block,
    outside: &mut Outside<'_>,
    liveness: &mut Liveness,
) -> Found {
    let n = block.insts.len();
    let first_flags = block.first_flags as usize;
    liveness.fates.clear();
    liveness.fates.resize(n, Fate::NONE);
    liveness.at_label.clear();
    liveness.at_label.resize(block.labels as usize, Flags::NZCV);
    let mut pass = Pass {
        insts: &mut block.insts,
        fates: &mut liveness.fates,
        live: Flags::NZCV,
        barrier: u32::MAX,
        touched: [u32::MAX; 16],
        reader: false,
        disturbed: false,
        overwritten: Overwritten::default(),
        found: Found::default(),
    };
    let own = match pass.insts.first() {
        Some(i) if i.op == Op::InsnStart && i.imm2 == 0 => i.imm | u32::from(i.aux & 1),
        _ => u32::MAX,
    };
    liveness.loops = false;
    for at in (0..n).rev() {
        // The kinds that most operations are come first; the last would do for them, too.
        let op = pass.insts[at].op;
        match op {
            Op::InsnStart => {
                pass.barrier = at as u32;
                continue;
            }
            Op::Const => {
                pass.constant::<REMOVE>(at);
                continue;
            }
            Op::GetReg | Op::SetReg => {
                pass.fates[at].live_after = pass.live;
                pass.register::<REMOVE>(at, outside);
                continue;
            }
            _ => {}
        }
        let inst = pass.insts[at];
        let effects = op.effects();
        if effects & effect::CONTROL != 0 {
            // Until the first is set, all flags are where they were when the block was entered: who needs them, and where,
            // makes no difference.
            let live_at = |target| match at < first_flags {
                true => Flags::NZCV,
                false => (outside.live_at)(target),
            };
            let leaves = pass.control(at, op, inst.imm, live_at, &mut liveness.at_label);
            liveness.loops |= leaves && inst.imm == own;
        } else {
            pass.fates[at].live_after = pass.live;
            pass.found.fence |= op == Op::Fence;
        }
        let dead_flags = inst.flags.is_empty() || REMOVE && !inst.flags.intersects(pass.live);
        if effects & !effect::FLAGS == 0 && dead_flags {
            pass.plain::<REMOVE>(at, inst);
        } else {
            pass.operation::<REMOVE>(at, effects, outside);
        }
    }
    let Pass {
        found, overwritten, ..
    } = pass;
    overwritten.mark(block);
    found
}

struct Pass<'a> {
    insts: &'a mut [Inst],
    fates: &'a mut [Fate],
    /// Flags live before the operations seen so far.
    live: Flags,
    /// The last operation seen that may fault, joins, leaves or starts an instruction (which may be a boundary).
    barrier: u32,
    /// The last operation seen that reads or writes each guest register.
    touched: [u32; 16],
    /// Whether an operation seen reads flags that none since has set, and whether one that costs EFLAGS is before it.
    reader: bool,
    disturbed: bool,
    overwritten: Overwritten,
    found: Found,
}

impl Pass<'_> {
    /// Flags at an exit, join or end; whether `imm` is an address that the block leaves to.
    fn control(
        &mut self,
        at: usize,
        op: Op,
        imm: u32,
        mut live_at: impl FnMut(u32) -> Flags,
        at_label: &mut [Flags],
    ) -> bool {
        match op {
            Op::Label => {
                at_label[imm as usize] = self.live;
                self.fates[at].live_after = self.live;
                false
            }
            Op::SkipUnless => {
                self.fates[at].live_after = self.live;
                self.live = self.live | at_label[imm as usize];
                false
            }
            Op::ExitIf | Op::ExitIfZero | Op::ExitIfNonZero => {
                let there = live_at(imm);
                self.fates[at].live_there = there;
                self.fates[at].live_after = self.live;
                self.live = self.live | there;
                true
            }
            Op::Jump | Op::Call => {
                self.live = live_at(imm);
                self.fates[at].live_there = self.live;
                self.fates[at].live_after = self.live;
                op == Op::Jump
            }
            _ => {
                self.live = Flags::NZCV;
                self.fates[at].live_after = self.live;
                false
            }
        }
    }

    /// A constant: it is computed where it is used.
    #[inline(always)]
    fn constant<const REMOVE: bool>(&mut self, at: usize) {
        let fate = &mut self.fates[at];
        fate.live_after = self.live;
        fate.bound_for = NO_REGISTER;
        if REMOVE && fate.last_use == 0 {
            self.insts[at] = Inst::new(Op::Nop);
        }
    }

    /// An operation of which only the value counts.
    #[inline(always)]
    fn plain<const REMOVE: bool>(&mut self, at: usize, mut inst: Inst) {
        let fate = self.fates[at];
        if REMOVE && fate.last_use == 0 {
            self.insts[at] = Inst::new(Op::Nop);
            return;
        }
        if !inst.flags.is_empty() {
            inst.flags = Flags::NONE;
            self.insts[at].flags = Flags::NONE;
        }
        for v in inst.operands() {
            self.use_at(v, at);
        }
        if self.reader {
            self.disturbed |= hoist::disturbs_flags(&inst);
        }
        if fate.bound_for != NO_REGISTER {
            self.destination(at);
        }
    }

    /// `GetReg` or `SetReg`.
    #[inline(always)]
    fn register<const REMOVE: bool>(&mut self, at: usize, outside: &Outside<'_>) {
        let Inst { op, imm, a, .. } = self.insts[at];
        let r = imm as usize % 16;
        if op == Op::GetReg {
            let fate = &mut self.fates[at];
            fate.bound_for = NO_REGISTER;
            if REMOVE {
                if fate.last_use == 0 {
                    self.insts[at] = Inst::new(Op::Nop);
                    return;
                }
                self.overwritten.reads(r);
            }
        } else {
            let source = &mut self.fates[a.index()];
            if REMOVE && self.overwritten.writes(r, at, source.last_use != 0) {
                self.insts[at] = Inst::new(Op::Nop);
                return;
            }
            if source.last_use == 0 {
                source.last_use = at as u32;
            }
            if outside.in_registers >> r & 1 == 1 {
                (source.bound_for, source.bound_at) = (r as u8, at as u32);
            }
        }
        self.touched[r] = at as u32;
    }

    /// Notes that the operation at `at` uses `v`.
    #[inline(always)]
    fn use_at(&mut self, v: Value, at: usize) {
        if v != Value::NONE {
            let fate = &mut self.fates[v.index()];
            if fate.last_use == 0 {
                fate.last_use = at as u32;
            }
        }
    }

    /// Any operation.
    fn operation<const REMOVE: bool>(&mut self, at: usize, effects: u16, outside: &Outside<'_>) {
        let inst = &mut self.insts[at];
        let sets = inst.flags;
        let fate = &self.fates[at];
        if REMOVE {
            inst.flags = Flags(sets.0 & self.live.0);
            let needed = effects & KEPT != 0 || fate.last_use != 0;
            let gone = effects & SEEN != 0 && { self.overwritten.before(inst, at) };
            if gone || !needed && inst.flags.is_empty() {
                *inst = Inst::new(Op::Nop);
                return;
            }
        }
        let bound = fate.bound_for != NO_REGISTER;
        if effects & FLAGGED != 0 {
            // Only an unconditional definition ends liveness; stripped flags were dead anyway.
            self.live = (self.live - sets) | inst.flags_read(outside.precise);
        }
        for v in inst.operands() {
            self.use_at(v, at);
        }
        self.note_flags(at, effects);
        if bound {
            self.destination(at);
        }
        if effects & (effect::FAULT | effect::CONTROL) != 0 {
            self.barrier = at as u32;
        }
    }

    /// Looks for what [`hoist`] moves.
    #[inline(always)]
    fn note_flags(&mut self, at: usize, effects: u16) {
        let inst = &self.insts[at];
        if hoist::sets_flags(inst) {
            self.found.between_flags |= self.reader && self.disturbed;
            self.reader = false;
        }
        if hoist::reads_flags(inst) {
            (self.reader, self.disturbed) = (true, false);
        } else if self.reader {
            self.reader = effects & effect::CONTROL == 0;
            self.disturbed |= hoist::disturbs_flags(inst);
        }
    }

    fn bind(&mut self, v: Value, register: u8, set: u32) {
        let fate = &mut self.fates[v.index()];
        (fate.bound_for, fate.bound_at) = (register, set);
    }

    /// Settles where the value defined at `at` is bound for, now that all between it and there has been seen. What only
    /// feeds it may be computed there, too: the first operand of a two-operand instruction, either one if they commute
    /// (the one that is computed first gets the register).
    fn destination(&mut self, at: usize) {
        let Fate {
            bound_for: register,
            bound_at: set,
            ..
        } = self.fates[at];
        let inst = &self.insts[at];
        let free = self.barrier > set && self.touched[usize::from(register)] == set;
        if !free || matches!(inst.op, Op::Const | Op::GetReg) {
            self.fates[at].bound_for = NO_REGISTER;
            return;
        }
        if inst.op.result() != Type::I32 {
            return;
        }
        let commutes = matches!(inst.op, Op::Add | Op::Adc | Op::And | Op::Or | Op::Xor);
        let operands = [inst.a, if commutes { inst.b } else { Value::NONE }];
        for operand in operands {
            if operand == Value::NONE {
                continue;
            }
            let fate = self.fates[operand.index()];
            let single = fate.last_use == at as u32 && fate.bound_for == NO_REGISTER;
            if single && self.insts[operand.index()].op.result() == Type::I32 {
                self.bind(operand, register, set);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cpu::cond::Cond;
    use crate::ir::builder::Builder;

    /// The targets that the pass asks about, in a block that `make` begins and that ends with a jump to 0x9000.
    fn asked(make: impl FnOnce(&mut Builder)) -> Vec<u32> {
        let mut b = Builder::new();
        b.insn_start(0x8000, false, 0);
        make(&mut b);
        b.jump(0x9000);
        let mut asked = Vec::new();
        let mut outside = Outside {
            live_at: &mut |target| {
                asked.push(target);
                Flags::NONE
            },
            precise: false,
            in_registers: 0,
        };
        run::<true>(&mut b.finish(), &mut outside, &mut Liveness::default());
        asked
    }

    #[test]
    fn nobody_is_asked_for_flags_that_the_block_leaves_alone() {
        assert_eq!(asked(|b| b.exit_if(Cond::Eq, 0xa000)), []);
        let sets = |b: &mut Builder| {
            b.exit_if(Cond::Eq, 0xa000);
            let v = b.get_reg(0);
            let w = b.op2f(Op::Add, v, v, Flags::NZCV);
            b.set_reg(1, w);
            b.exit_if(Cond::Cs, 0xb000);
        };
        assert_eq!(asked(sets), [0x9000, 0xb000]);
    }
}
