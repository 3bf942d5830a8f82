//! Which condition flags an instruction reads and writes, and which are live at a guest address.

use super::block;
use super::decode::{Branch, Code, Fetched};
use crate::cpu::cond::Cond;
use crate::cpu::location::Location;
use crate::ir::ops::Flags;
use crate::isa::insn::{AluOp, Insn, Operand, Reg, Shift, TestOp, Vfp, VfpHalf, VfpSys};
use std::ops::Range;

/// Flags that the shifter of a logical operation certainly writes. A shift by register leaves C alone for amount 0.
fn carry_written(src: Operand) -> Flags {
    match src {
        Operand::Imm { carry: Some(_), .. } | Operand::ShiftImm { .. } => Flags::C,
        Operand::Imm { carry: None, .. } | Operand::Reg(_) | Operand::ShiftReg { .. } => Flags::NONE,
    }
}

fn is_logical(op: AluOp) -> bool {
    matches!(op, AluOp::And | AluOp::Eor | AluOp::Orr | AluOp::Bic | AluOp::Orn)
}

/// Flags that `insn` certainly writes when it is executed.
pub(crate) fn written(insn: &Insn) -> Flags {
    match *insn {
        Insn::Alu { op, s: true, src, .. } if is_logical(op) => Flags::NZ | carry_written(src),
        Insn::Alu { s: true, .. } => Flags::NZCV,
        Insn::Mov { s: true, src, .. } | Insn::Mvn { s: true, src, .. } => Flags::NZ | carry_written(src),
        Insn::Test {
            op: TestOp::Cmp | TestOp::Cmn,
            ..
        } => Flags::NZCV,
        Insn::Test { src, .. } => Flags::NZ | carry_written(src),
        Insn::Mul { s: true, .. } | Insn::Mla { s: true, .. } | Insn::MulLong { s: true, .. } => Flags::NZ,
        Insn::Msr { nzcvq: true, .. } => Flags::NZCV,
        Insn::Vfp(Vfp::Mrs {
            rt: Reg::PC,
            reg: VfpSys::Fpscr,
        }) => Flags::NZCV,
        _ => Flags::NONE,
    }
}

/// Flags that `insn` may write when it is executed.
pub(crate) fn may_write(insn: &Insn) -> Flags {
    match *insn {
        Insn::Alu { s: true, .. } | Insn::Mov { s: true, .. } | Insn::Mvn { s: true, .. } => Flags::NZCV,
        _ => written(insn),
    }
}

fn rrx(src: Operand) -> bool {
    matches!(
        src,
        Operand::ShiftImm {
            shift: Shift::Rrx,
            ..
        }
    )
}

/// Flags that `insn` reads when it is executed (its condition apart).
pub(crate) fn read(insn: &Insn) -> Flags {
    let carry = match *insn {
        Insn::Mrs { .. } => return Flags::NZCV,
        Insn::Vfp(Vfp::Select { cond, .. } | Vfp::Half(VfpHalf::Select { cond, .. })) => {
            return Flags::read_by(cond);
        }
        Insn::Alu { op, src, .. } => matches!(op, AluOp::Adc | AluOp::Sbc | AluOp::Rsc) || rrx(src),
        Insn::Mov { src, .. } | Insn::Mvn { src, .. } | Insn::Test { src, .. } => rrx(src),
        Insn::Load { addr, .. } | Insn::Store { addr, .. } => matches!(
            addr.offset,
            crate::isa::insn::Offset::Reg {
                shift: Shift::Rrx,
                ..
            }
        ),
        _ => false,
    };
    if carry { Flags::C } else { Flags::NONE }
}

/// Guest instructions [`flags_live_at`] looks at.
const LOOKAHEAD: usize = 24;

/// The flags whose values at `loc` may be read before they are written.
///
/// Looks at most 24 instructions ahead: through direct jumps and calls, along the fall-through of conditional
/// branches, and one conditional branch deep also along its taken side. Whatever it cannot see through (computed
/// branches, returns, system calls, traps, undecodable or unmapped code) counts as reading every flag. What the answer
/// depends on is appended to `read`.
pub fn flags_live_at(loc: Location, code: &mut Code<'_>, read: &mut Vec<Range<u64>>) -> Flags {
    let mut scan = Scan {
        code,
        read,
        budget: LOOKAHEAD,
    };
    scan.live(loc, Flags::NZCV, true)
}

struct Scan<'a, 'c> {
    code: &'a mut Code<'c>,
    read: &'a mut Vec<Range<u64>>,
    budget: usize,
}

impl Scan<'_, '_> {
    /// Those of `open` that are live at `loc`; `fork` says whether to look at both sides of a conditional branch.
    fn live(&mut self, loc: Location, mut open: Flags, fork: bool) -> Flags {
        let mut live = Flags::NONE;
        let Location {
            mut pc,
            thumb,
            mut it,
            ..
        } = loc;
        if self.code.ctx.kuser && !thumb && super::is_kuser_entry(pc) {
            return open;
        }
        // The straight piece of code that `pc` is in.
        let mut piece = pc..pc;
        while self.budget > 0 {
            self.budget -= 1;
            let looked = self.code.at(pc, thumb, it != 0);
            let decoded = match looked.fetched {
                Fetched::Insn { ref decoded, .. } => decoded,
                Fetched::Undecoded { size, .. } => {
                    piece.end = pc.saturating_add(u32::from(size));
                    break;
                }
                Fetched::Fault(_) => break,
            };
            let cond = block::condition(decoded, it);
            let reads = Flags::read_by(cond) | looked.reads;
            live = live | Flags(reads.0 & open.0);
            open = open - reads;
            if cond == Cond::Al {
                open = open - looked.writes;
            }
            let next = pc.wrapping_add(u32::from(decoded.size));
            piece.end = pc.saturating_add(u32::from(decoded.size));
            if open.is_empty() {
                break;
            }
            it = match decoded.insn {
                Insn::It { cond, mask } => block::it_state(cond, mask),
                _ => block::advance_it(it),
            };
            pc = next;
            match looked.branch {
                Branch::None if looked.ends => break,
                Branch::None => {}
                Branch::To(target) | Branch::Call(target) if cond == Cond::Al => {
                    pc = target;
                    self.note(piece);
                    piece = pc..pc;
                }
                Branch::To(target) | Branch::Call(target) | Branch::OnZero(target) => {
                    let taken = if fork {
                        self.live(Location::new(target, thumb), open, false)
                    } else {
                        open
                    };
                    live = live | taken;
                    open = open - taken;
                    if open.is_empty() {
                        break;
                    }
                }
            }
        }
        self.note(piece);
        live | open
    }

    /// Notes that the answer depends on the code in `piece`.
    fn note(&mut self, piece: Range<u32>) {
        if piece.end > piece.start {
            self.read.push(u64::from(piece.start)..u64::from(piece.end));
        }
    }
}
