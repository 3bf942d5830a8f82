//! Forms blocks: walks guest code from one address, deciding what stays inside the block and how it ends.
//!
//! A block goes on through direct unconditional branches (to code it has not covered yet), through conditional
//! branches as side exits, and through IT blocks and A32 predication. It ends where another block starts or will start
//! (the target of a conditional branch), so that little is translated twice; except in the body of a loop that begins
//! where the block does, which stays whole. It ends at calls, returns, computed branches, system
//! calls, traps, and after [`Context::max_insns`] guest instructions, but never inside an IT block, because no exit
//! carries ITSTATE; what must leave there becomes [`Trap::Intrinsic`] (see [`super::intrinsic`]).
//!
//! Predicated instructions with the same condition in a row are one run, skipped as a whole; a run ends after an
//! instruction that writes flags. A lone predicated move is a `Select` instead.

use super::decode::{Branch, Code, Decodings, Fetch, Fetched, Looked, Seen};
use super::{Context, Flow, Lifter, clocks, intrinsic, kuser, system, vfp};
use crate::cpu::cond::Cond;
use crate::cpu::location::{FpKey, Location};
use crate::cpu::model::Features;
use crate::ir::builder::Builder;
use crate::ir::ops::{Block, Flags, Inst, Op, Trap, Value};
use crate::isa::insn::{Barrier, Decoded, Hint, Insn, Operand, Reg, Vfp, VfpArith, VfpHalf, VfpSys};

/// Bytes between the lowest and highest guest address of one block: a block is dropped when anything in between
/// changes, so it does not follow branches farther than this.
const MAX_SPAN: u32 = 16 << 10;

/// ITSTATE as the IT instruction sets it.
pub fn it_state(cond: Cond, mask: u8) -> u8 {
    (cond as u8) << 4 | mask & 15
}

/// ITSTATE after one more instruction (ITAdvance).
pub fn advance_it(it: u8) -> u8 {
    if it & 7 == 0 {
        0
    } else {
        it & 0xe0 | it << 1 & 0x1f
    }
}

/// The condition that `decoded` is executed under, given ITSTATE before it.
pub(crate) fn condition(decoded: &Decoded, it: u8) -> Cond {
    match decoded.insn {
        // Unconditional even inside an IT block.
        Insn::Bkpt { .. } | Insn::Hlt { .. } if it != 0 => Cond::Al,
        _ if it != 0 => Cond::from_bits(u32::from(it >> 4)),
        _ => decoded.cond,
    }
}

/// Whether `insn` appends a terminator (direct branches apart, which the former handles itself).
pub fn ends_block(insn: &Insn, features: Features) -> bool {
    match *insn {
        Insn::Alu { rd, .. } | Insn::Mov { rd, .. } | Insn::Mvn { rd, .. } | Insn::Adr { rd, .. } => {
            rd == Reg::PC
        }
        Insn::Load { rt, .. } => rt == Reg::PC,
        Insn::LoadMultiple { regs, .. } => regs >> 15 == 1,
        Insn::Bl { .. }
        | Insn::Bx { .. }
        | Insn::Bxj { .. }
        | Insn::BlxReg { .. }
        | Insn::TableBranch { .. }
        | Insn::Svc { .. }
        | Insn::Bkpt { .. }
        | Insn::Hlt { .. }
        | Insn::Udf { .. }
        | Insn::Hint(Hint::Wfe | Hint::Wfi)
        | Insn::Barrier(Barrier::Isb)
        | Insn::Setend { big: true } => true,
        Insn::Coproc { .. } => system::coprocessor_ends(insn, features),
        Insn::Vfp(ref v) => vfp::ends_block(v, features),
        _ => false,
    }
}

/// VFMA and its kin, arithmetic in half precision, VINS and VMOVX: they have no vector form, so FPSCR.LEN and STRIDE must be 0.
fn is_scalar_only(insn: &Insn) -> bool {
    use VfpArith::{Vfma, Vfms, Vfnma, Vfnms};
    matches!(
        insn,
        Insn::Vfp(
            Vfp::Arith {
                op: Vfma | Vfms | Vfnma | Vfnms,
                ..
            } | Vfp::Half(
                VfpHalf::Arith { .. }
                    | VfpHalf::Unary { .. }
                    | VfpHalf::MovImm { .. }
                    | VfpHalf::MinMaxNm { .. }
                    | VfpHalf::MovX { .. }
                    | VfpHalf::Ins { .. }
            )
        )
    )
}

/// The destination of a move that can become a `Select` when predicated alone.
fn simple_move(insn: &Insn) -> Option<Reg> {
    match *insn {
        Insn::Mov {
            s: false,
            rd,
            src: Operand::Imm { .. } | Operand::Reg(_),
        }
        | Insn::Mvn {
            s: false,
            rd,
            src: Operand::Imm { .. } | Operand::Reg(_),
        }
        | Insn::MovW { rd, .. }
            if rd != Reg::PC =>
        {
            Some(rd)
        }
        _ => None,
    }
}

/// Translates the block that starts at `start`.
///
/// The block always ends in exactly one terminator. An instruction that cannot be fetched at the start (or inside an
/// IT block) is `Trap::FetchFault` with the faulting address; later it is a jump to it, so that it faults when it is
/// reached. What does not decode is `Trap::Undefined` with the encoding in `imm`.
pub fn translate_block(start: Location, fetch: &dyn Fetch, ctx: &Context) -> Block {
    translate_with(start, fetch, ctx, &mut Buffers::default())
}

/// Memory of one translation, kept for the next one's sake.
#[derive(Default)]
pub struct Buffers {
    /// For the operations of the block.
    pub insts: Vec<Inst>,
    pub decodings: Decodings,
    /// The encodings that the block was made from, if they are asked for by putting a list here.
    pub seen: Option<Vec<Seen>>,
    covered: Vec<(u32, u32)>,
}

/// As [`translate_block`], with memory that was used before.
pub fn translate_with(start: Location, fetch: &dyn Fetch, ctx: &Context, buffers: &mut Buffers) -> Block {
    if ctx.kuser
        && !start.thumb
        && let Some(block) = kuser::translate(start.pc)
    {
        return block;
    }
    if !start.thumb
        && let Some(block) = clocks::translate(start.pc, fetch, &ctx.clocks)
    {
        return block;
    }
    let mut b = Builder::reusing(std::mem::take(&mut buffers.insts));
    let block = b.block_mut();
    block.start = start.pc;
    block.end = start.pc;
    let mut former = Former {
        lifter: Lifter {
            b,
            ctx,
            thumb: start.thumb,
            fp: start.fp,
            pc: start.pc,
            size: 0,
            word: 0,
            popped: 0,
        },
        code: Code {
            fetch,
            ctx,
            decodings: &mut buffers.decodings,
            seen: buffers.seen.as_mut(),
        },
        it: if start.thumb { start.it } else { 0 },
        run: None,
        covered: &mut buffers.covered,
        loop_end: start.pc,
    };
    former.covered.clear();
    former.covered.push((start.pc, start.pc));
    former.look_ahead();
    while former.step() {}
    former.note_followed();
    former.lifter.b.finish()
}

struct Former<'a> {
    lifter: Lifter<'a>,
    code: Code<'a>,
    /// ITSTATE before the current instruction.
    it: u8,
    /// The open run: its condition and label.
    run: Option<(Cond, u32)>,
    /// Guest address ranges decoded so far; the last one grows.
    covered: &'a mut Vec<(u32, u32)>,
    /// Address of the last branch in the straight run of code that goes back to the start; the start itself if none does.
    loop_end: u32,
}

impl Former<'_> {
    /// One guest instruction; whether the block goes on.
    fn step(&mut self) -> bool {
        let pc = self.lifter.pc;
        let count = self.lifter.b.block().guest_insns as usize;
        if self.it == 0 && count > 0 {
            let full = count >= self.lifter.ctx.max_insns;
            if full || self.is_covered(pc) || self.ends_before(pc) {
                return self.jump_to(pc);
            }
        }
        let &Looked {
            fetched,
            ends,
            may_write,
            ..
        } = self.code.at(pc, self.lifter.thumb, self.it != 0);
        match fetched {
            Fetched::Fault(at) => {
                if count > 0 && self.it == 0 {
                    return self.jump_to(pc);
                }
                // Part of the block's range, so that mapping something there drops the block.
                self.cover(at.wrapping_sub(pc).wrapping_add(2));
                self.close_run();
                self.start_insn();
                self.lifter.b.trap(Trap::FetchFault, at);
                false
            }
            Fetched::Undecoded { word, size, .. } => self.undecoded(word, size),
            // UNDEFINED in ARMv8, UNPREDICTABLE before.
            Fetched::Insn { ref decoded, word }
                if self.lifter.fp != FpKey::SCALAR && self.has_no_vectors(&decoded.insn) =>
            {
                self.undecoded(word, decoded.size)
            }
            Fetched::Insn { ref decoded, word } => {
                self.enter(word, decoded.size);
                self.insn(decoded, ends, may_write)
            }
        }
    }

    /// Whether `insn` is UNDEFINED where FPSCR.LEN or STRIDE is not 0.
    fn has_no_vectors(&self, insn: &Insn) -> bool {
        let elsewhere = || {
            matches!(
                insn,
                Insn::Vfp(Vfp::Arith { .. } | Vfp::Unary { .. } | Vfp::MovImm { .. } | Vfp::MinMaxNm { .. })
            )
        };
        is_scalar_only(insn) || !self.lifter.has(Features::SHORT_VECTORS) && elsewhere()
    }

    /// An encoding of `size` bytes that is no instruction.
    fn undecoded(&mut self, word: u32, size: u8) -> bool {
        self.enter(word, size);
        let cond = if self.it != 0 {
            Cond::from_bits(u32::from(self.it >> 4))
        } else if self.lifter.thumb {
            Cond::Al
        } else {
            Cond::from_bits(word >> 28)
        };
        if self.leaves_in_it() {
            return self.trap_in_it(intrinsic::IT_UNDEFINED);
        }
        self.side_exit_unless(cond);
        self.lifter.undefined();
        false
    }

    /// Goes over the straight run of code that starts here, and notes where its conditional branches lead.
    fn look_ahead(&mut self) {
        let (start, thumb) = (self.lifter.pc, self.lifter.thumb);
        let (mut pc, mut it) = (start, self.it);
        let fetch = self.code.fetch;
        // A loop can only start where a branch leads.
        let maybe_loop = fetch.is_entry(self.lifter.target(start));
        for _ in 0..self.lifter.ctx.max_insns {
            if pc != start && !maybe_loop && it == 0 && fetch.is_entry(self.lifter.target(pc)) {
                return;
            }
            let looked = self.code.at(pc, thumb, it != 0);
            let Fetched::Insn { ref decoded, .. } = looked.fetched else {
                return;
            };
            let (target, conditional) = match looked.branch {
                Branch::To(target) => (target, condition(decoded, it) != Cond::Al),
                Branch::OnZero(target) => (target, true),
                _ if looked.ends => return,
                _ => (pc, false),
            };
            if looked.branch != Branch::None {
                if target == start {
                    self.loop_end = pc;
                }
                if !conditional {
                    return;
                }
                fetch.note_entry(if thumb { target | 1 } else { target & !1 });
            }
            it = match decoded.insn {
                Insn::It { cond, mask } => it_state(cond, mask),
                _ => advance_it(it),
            };
            pc = pc.wrapping_add(u32::from(decoded.size));
        }
    }

    /// Whether `pc` is better left to a block of its own.
    fn ends_before(&self, pc: u32) -> bool {
        let in_loop = pc > self.covered[0].0 && pc <= self.loop_end;
        !in_loop && self.code.fetch.is_entry(self.lifter.target(pc))
    }

    fn enter(&mut self, word: u32, size: u8) {
        self.lifter.word = word;
        self.lifter.size = u32::from(size);
        self.cover(u32::from(size));
    }

    /// Counts the `size` bytes at the pc as part of the block.
    fn cover(&mut self, size: u32) {
        let pc = self.lifter.pc;
        let end = pc.saturating_add(size);
        if let Some(last) = self.covered.last_mut() {
            last.1 = last.1.max(end);
        }
        let block = self.lifter.b.block_mut();
        block.start = block.start.min(pc);
        block.end = block.end.max(end);
    }

    fn is_covered(&self, pc: u32) -> bool {
        self.covered.iter().any(|&(start, end)| pc >= start && pc < end)
    }

    /// Appends the boundary of the current instruction.
    fn start_insn(&mut self) {
        let Lifter { pc, thumb, .. } = self.lifter;
        self.lifter.b.insn_start(pc, thumb, self.it);
    }

    fn close_run(&mut self) {
        if let Some((_, label)) = self.run.take() {
            self.lifter.b.label(label);
        }
    }

    /// Ends the block with a jump to `pc`.
    fn jump_to(&mut self, pc: u32) -> bool {
        self.close_run();
        let target = self.lifter.target(pc);
        self.lifter.b.jump(target);
        false
    }

    /// Whether the current instruction is in an IT block and not the last one of it.
    fn leaves_in_it(&self) -> bool {
        advance_it(self.it) != 0
    }

    /// Opens the current instruction outside any run and leaves to the next one unless `cond` holds.
    fn side_exit_unless(&mut self, cond: Cond) {
        self.close_run();
        self.start_insn();
        if cond != Cond::Al {
            let next = self.lifter.next_target();
            self.lifter.b.exit_if(cond.invert(), next);
        }
    }

    /// Ends the block at an instruction that leaves it in the middle of an IT block.
    fn trap_in_it(&mut self, kind: u32) -> bool {
        self.close_run();
        self.start_insn();
        let size = if self.lifter.size == 4 {
            intrinsic::SIZE4
        } else {
            0
        };
        self.lifter.b.trap(Trap::Intrinsic, kind | size);
        false
    }

    /// The instruction at the pc, with what [`Looked`] says of it.
    fn insn(&mut self, decoded: &Decoded, ends: bool, may_write: Flags) -> bool {
        let insn = &decoded.insn;
        let cond = condition(decoded, self.it);
        if self.leaves_in_it()
            && (ends || matches!(insn, Insn::B { .. } | Insn::Cbz { .. } | Insn::It { .. }))
        {
            // Branches are UNPREDICTABLE except at the end of an IT block: undefined here.
            return match *insn {
                Insn::Bkpt { .. } => {
                    self.side_exit_unless(Cond::Al);
                    self.lifter.breakpoint();
                    false
                }
                Insn::Svc { imm } => self.trap_in_it(intrinsic::IT_SVC | imm & 0xff),
                Insn::Barrier(_) | Insn::Hint(_) => self.trap_in_it(intrinsic::IT_NOP),
                Insn::Coproc { .. } if system::is_isb(insn, self.lifter.ctx.features) => {
                    self.trap_in_it(intrinsic::IT_NOP)
                }
                Insn::Vfp(Vfp::Msr {
                    rt,
                    reg: VfpSys::Fpscr,
                }) => self.trap_in_it(intrinsic::IT_VMSR | u32::from(rt.0)),
                _ => self.trap_in_it(intrinsic::IT_UNDEFINED),
            };
        }
        if let Insn::B { offset } = *insn {
            return self.direct_branch(cond, offset);
        }
        if ends {
            self.side_exit_unless(cond);
        } else if !self.predicate(cond, insn) {
            return self.select(cond, insn);
        }
        let flow = self.lifter.lift(insn);
        if !ends && cond != Cond::Al && !may_write.is_empty() {
            self.close_run();
        }
        self.lifter.popped = match *insn {
            Insn::LoadMultiple {
                rn: Reg::SP, regs, ..
            } => regs,
            _ => 0,
        };
        match flow {
            Flow::Ended => false,
            Flow::Next => self.advance(insn),
            Flow::Goto(target) => {
                self.it = 0;
                self.follow(target)
            }
        }
    }

    /// Moves on to the next instruction.
    fn advance(&mut self, insn: &Insn) -> bool {
        self.it = match *insn {
            Insn::It { cond, mask } => it_state(cond, mask),
            _ => advance_it(self.it),
        };
        self.lifter.pc = self.lifter.next();
        true
    }

    /// Goes on at `target` in this block if it may, else jumps there.
    fn follow(&mut self, target: u32) -> bool {
        let block = self.lifter.b.block();
        let low = block.start.min(target);
        let high = block.end.max(target);
        if high - low > MAX_SPAN || self.is_covered(target) {
            return self.jump_to(target);
        }
        self.lifter.pc = target;
        self.covered.push((target, target));
        true
    }

    /// Code that this block has gone on with behind a branch gets a block of its own where another one comes to it, so
    /// that there are no more than two copies. A computed jump is better off with a copy for each way to it: the host
    /// predicts each by itself, and an interpreter lives by that.
    fn note_followed(&self) {
        let last = self.lifter.b.block().insts.last().map(|i| i.op);
        if matches!(last, Some(Op::JumpInd | Op::CallInd)) {
            return;
        }
        for &(target, _) in &self.covered[1..] {
            self.code.fetch.note_entry(self.lifter.target(target));
        }
    }

    /// `B` and `B<c>`.
    fn direct_branch(&mut self, cond: Cond, offset: i32) -> bool {
        self.close_run();
        self.start_insn();
        self.lifter.popped = 0;
        let target = self.lifter.pc_read().wrapping_add_signed(offset);
        self.it = advance_it(self.it);
        if cond == Cond::Al {
            return self.follow(target);
        }
        let exit = self.lifter.target(target);
        self.lifter.b.exit_if(cond, exit);
        self.lifter.pc = self.lifter.next();
        true
    }

    /// Starts the current instruction under `cond`: in the open run if that has the same condition, else in a new
    /// one. False if it is better a `Select`; then nothing has been appended but the end of the last run.
    fn predicate(&mut self, cond: Cond, insn: &Insn) -> bool {
        if self.run.is_some_and(|(c, _)| c == cond) {
            self.start_insn();
            return true;
        }
        self.close_run();
        if cond != Cond::Al && simple_move(insn).is_some() && !self.next_has_condition(cond) {
            return false;
        }
        self.start_insn();
        if cond != Cond::Al {
            self.run = Some((cond, self.lifter.b.skip_unless(cond)));
        }
        true
    }

    /// Whether the next instruction is executed under `cond` and could join a run.
    fn next_has_condition(&mut self, cond: Cond) -> bool {
        let it = advance_it(self.it);
        if self.it != 0 {
            return it != 0 && Cond::from_bits(u32::from(it >> 4)) == cond;
        }
        let next = self.lifter.next();
        match self.code.at(next, self.lifter.thumb, it != 0).fetched {
            Fetched::Insn { ref decoded, .. } => {
                condition(decoded, it) == cond && !matches!(decoded.insn, Insn::B { .. })
            }
            _ => false,
        }
    }

    /// A predicated move as a choice between the new and the old value.
    fn select(&mut self, cond: Cond, insn: &Insn) -> bool {
        self.start_insn();
        self.lifter.popped = 0;
        let Some(rd) = simple_move(insn) else {
            return self.advance(insn);
        };
        let new = match *insn {
            Insn::Mov { src, .. } => self.lifter.operand(src),
            Insn::Mvn {
                src: Operand::Imm { value, .. },
                ..
            } => self.lifter.b.iconst(!value),
            Insn::Mvn { src, .. } => self.inverted(src),
            Insn::MovW { imm, .. } => self.lifter.b.iconst(u32::from(imm)),
            _ => Value::NONE,
        };
        let old = self.lifter.reg(rd);
        let v = self.lifter.b.select(cond, new, old);
        self.lifter.set(rd, v);
        self.advance(insn)
    }

    fn inverted(&mut self, src: Operand) -> Value {
        let v = self.lifter.operand(src);
        self.lifter.b.op1(Op::Not, v)
    }
}
