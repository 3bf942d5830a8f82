//! Permutations: lanes to other places.

use super::super::asm::{Enc, Mem, Rm};
use super::super::emit::Emitter;
use super::super::evex::Evex;
use super::host::*;
use crate::ir::ops::Inst;
use crate::ir::vector::{Shape, VecOp};

/// An opmask register; none holds anything between operations.
const K1: u8 = 1;

/// A byte that a shuffle clears.
const CLEAR: u8 = 0x80;

impl Emitter<'_> {
    /// Operations of this file; false if it is none.
    pub(super) fn vec_permute(&mut self, inst: &Inst, op: VecOp, shape: Shape) -> bool {
        let (size, q) = (shape.log2_bytes(), shape.is_q());
        match op {
            VecOp::DupLane => self.dup_lane(inst, size),
            VecOp::Ext => {
                let (a, b) = (self.xrm(inst.a), self.xrm(inst.b));
                let imm = inst.imm as u8;
                if q {
                    // palignr: the first operand is the upper half.
                    let b = self.xmm(inst.b);
                    self.last2_i(op3a(0x0f), b, a, imm);
                } else {
                    let a = self.xmm(inst.a);
                    let both = self.t2(PUNPCKLQDQ, a, b);
                    let dst = self.def_last();
                    self.shift_whole(dst, both, imm);
                }
            }
            VecOp::Rev => self.reverse(inst, size),
            // Of two lanes each, these are all the same.
            VecOp::TrnEven | VecOp::UzpEven if size == 3 => self.interleave(inst, punpckl(3)),
            VecOp::TrnOdd | VecOp::UzpOdd if size == 3 => self.interleave(inst, punpckh(3)),
            VecOp::TrnEven | VecOp::TrnOdd => self.transpose(inst, size, op == VecOp::TrnOdd),
            VecOp::ZipHi if q => self.interleave(inst, punpckh(size)),
            VecOp::ZipLo => self.interleave(inst, punpckl(size)),
            VecOp::ZipHi => {
                let (a, b) = (self.xmm(inst.a), self.xmm(inst.b));
                let both = self.t2(punpckl(size), a, Rm::Reg(b));
                self.last1_i(PSHUFD, Rm::Reg(both), 0xee);
            }
            VecOp::UzpEven | VecOp::UzpOdd => self.unzip(inst, size, q, op == VecOp::UzpOdd),
            VecOp::PairAdd => self.pairwise(inst, size, padd(size)),
            VecOp::PairMin => self.pairwise(inst, size, pmin(size, shape.is_unsigned())),
            VecOp::PairMax => self.pairwise(inst, size, pmax(size, shape.is_unsigned())),
            VecOp::Table => self.table(inst),
            VecOp::Deinterleave3 => self.deinterleave3(inst, size),
            VecOp::Interleave3 => self.interleave3(inst, size),
            VecOp::Unzip => {
                let (bytes, elements) = (1 << size, inst.imm as u8);
                let structures = 16 / bytes / elements;
                if size == 2 {
                    let a = self.xrm(inst.a);
                    self.last1_i(PSHUFD, a, 0xd8);
                    return true;
                }
                let a = self.xmm(inst.a);
                let from = |i: u8| {
                    let lane = i / bytes;
                    (lane % structures * elements + lane / structures) * bytes + i % bytes
                };
                self.last2_k(PSHUFB, a, pattern(from));
            }
            VecOp::Concat => self.interleave(inst, PUNPCKLQDQ),
            VecOp::High => match self.in_memory(inst.a) {
                Some(m) => {
                    let at = Mem {
                        disp: m.disp + 8,
                        ..m
                    };
                    self.last1(MOVQ, at);
                }
                None => {
                    let a = self.xrm(inst.a);
                    self.last1_i(PSHUFD, a, 0xee);
                }
            },
            _ => return false,
        }
        true
    }

    /// One instruction on both operands.
    fn interleave(&mut self, inst: &Inst, e: Enc) {
        let (a, b) = (self.xmm(inst.a), self.xmm(inst.b));
        self.last2(e, a, Rm::Reg(b));
    }

    /// `dst` = `src` shifted right by bytes.
    fn shift_whole(&mut self, dst: u8, src: u8, bytes: u8) {
        let e = op66(0x73);
        if self.opts.host.avx {
            return self.asm.vex_i(e, 3, dst, Rm::Reg(src), bytes);
        }
        self.xmov(dst, src);
        self.asm.op_i(e, 3, Rm::Reg(dst), bytes);
    }

    fn dup_lane(&mut self, inst: &Inst, size: u8) {
        let lane = (inst.imm as u8) & ((16 >> size) - 1);
        if self.opts.host.avx2
            && size < 3
            && let Some(m) = self.in_memory(inst.a)
        {
            let at = Mem {
                disp: m.disp + (i32::from(lane) << size),
                ..m
            };
            let dst = self.def_last();
            return self
                .asm
                .vex(op38([0x78, 0x79, 0x58][usize::from(size)]), dst, 0, at.into());
        }
        let a = self.xmm(inst.a);
        if size < 2 && !(lane == 0 && self.opts.host.avx2) {
            let bytes = 1 << size;
            return self.last2_k(PSHUFB, a, pattern(|i| lane * bytes + i % bytes));
        }
        let dst = self.def_last();
        self.broadcast(dst, a, size, lane);
    }

    fn reverse(&mut self, inst: &Inst, size: u8) {
        let container = inst.imm as u8;
        if size == 2 {
            let a = self.xrm(inst.a);
            return self.last1_i(PSHUFD, a, if container == 3 { 0xb1 } else { 0xe4 });
        }
        let flip = (1 << container) - (1 << size);
        let a = self.xmm(inst.a);
        self.last2_k(PSHUFB, a, pattern(|i| i ^ flip));
    }

    /// Even lanes from a, odd ones from b; of each its even or its odd ones.
    fn transpose(&mut self, inst: &Inst, size: u8, odd: bool) {
        let (a, b) = (self.xmm(inst.a), self.xmm(inst.b));
        let esize = 8 << size;
        // The other operand moves by one lane.
        let (fixed, moved) = if odd {
            (b, self.t_shift(Shift::Logical, size + 1, a, esize))
        } else {
            (a, self.t_shift(Shift::Left, size + 1, b, esize))
        };
        if size == 0 {
            let t = self.t2_k(PAND, fixed, splat(1, if odd { 0xff00 } else { 0xff }));
            return self.last2(POR, t, Rm::Reg(moved));
        }
        let upper = if size == 1 { 0xaa } else { 0xcc };
        if odd {
            self.last2_i(PBLENDW, moved, Rm::Reg(fixed), upper);
        } else {
            self.last2_i(PBLENDW, fixed, Rm::Reg(moved), upper);
        }
    }

    fn unzip(&mut self, inst: &Inst, size: u8, q: bool, odd: bool) {
        let (a, b) = (self.xmm(inst.a), self.xmm(inst.b));
        if !q {
            let both = self.t2(if size == 2 { punpckl(2) } else { PUNPCKLQDQ }, a, Rm::Reg(b));
            if size == 2 {
                // a0 b0 a1 b1
                return match odd {
                    true => self.last1_i(PSHUFD, Rm::Reg(both), 0xee),
                    false => self.copy(both),
                };
            }
            let (bytes, skip) = (1 << size, u8::from(odd) << size);
            let take = pattern(|i| (i / bytes * 2 * bytes + i % bytes + skip) & 15);
            return self.last2_k(PSHUFB, both, take);
        }
        if size == 2 {
            // shufps
            let e = Enc::of(0xc6);
            return self.last2_i(e, a, Rm::Reg(b), if odd { 0xdd } else { 0x88 });
        }
        let esize = 8 << size;
        let half = |e: &mut Self, x: u8| match odd {
            true => e.t_shift(Shift::Logical, size + 1, x, esize),
            false => e.t2_k(PAND, x, splat(size + 1, u64::MAX >> (64 - esize))),
        };
        let low = half(self, a);
        let high = if a == b { low } else { half(self, b) };
        self.last2(if size == 0 { PACKUSWB } else { PACKUSDW }, low, Rm::Reg(high));
    }

    /// D form: `e` of the even and the odd lanes of b:a.
    fn pairwise(&mut self, inst: &Inst, size: u8, e: Enc) {
        let (a, b) = (self.xmm(inst.a), self.xmm(inst.b));
        // Even lanes to the lower half, odd ones to the upper.
        let t = if size == 2 {
            self.t2(punpckl(2), a, Rm::Reg(b))
        } else {
            let t = self.t2(PUNPCKLQDQ, a, Rm::Reg(b));
            let bytes = 1 << size;
            let split = self.asm.constant(pattern(|i| {
                let lane = i / bytes * 2;
                (lane % (16 / bytes) + lane / (16 / bytes)) * bytes + i % bytes
            }));
            self.v2(PSHUFB, t, t, split);
            t
        };
        let odd = self.t1_i(PSHUFD, Rm::Reg(t), 0xee);
        self.last2(e, t, Rm::Reg(odd));
    }

    /// Bytes of the table b:a. Indices out of range get their bit 7 set, which clears the byte.
    fn table(&mut self, inst: &Inst) {
        let range = self.asm.constant(splat(0, 0x70));
        if inst.imm > 16 && self.opts.host.avx512_vbmi {
            let (a, b) = (self.xmm(inst.a), self.xrm(inst.b));
            let c = self.xmm(inst.c);
            // vpcmpltub to an opmask, then vpermi2b of what is in range.
            let end = self.asm.constant(splat(0, inst.imm.into()));
            self.asm.evex_i(op3a(0x3e), Evex::X, K1, c, end, 1);
            let t = self.t1(MOVAPS, Rm::Reg(c));
            self.asm.evex(op38(0x75), Evex::X.zero(K1), t, a, b);
            return self.result(t);
        }
        // paddusb
        let adds = op66(0xdc);
        let c = self.xmm(inst.c);
        let a = self.xmm(inst.a);
        let index = self.t2(adds, c, range);
        let low = if inst.imm == 8 {
            self.t1(MOVQ, Rm::Reg(a))
        } else {
            a
        };
        if inst.imm <= 16 {
            return self.last2(PSHUFB, low, Rm::Reg(index));
        }
        let low = self.t2(PSHUFB, low, Rm::Reg(index));
        let above = self.t2_k(psub(0), c, splat(0, 16));
        self.v2(adds, above, above, range);
        let mut b = self.xmm(inst.b);
        if inst.imm == 24 {
            b = self.t1(MOVQ, Rm::Reg(b));
        }
        let high = self.t2(PSHUFB, b, Rm::Reg(above));
        self.last2(POR, low, Rm::Reg(high));
    }

    /// One element of each structure of three in 24 bytes.
    fn deinterleave3(&mut self, inst: &Inst, size: u8) {
        let (a, b) = (self.xmm(inst.a), self.xmm(inst.b));
        let (bytes, element) = (1 << size, inst.imm as u8);
        let from = |i: u8| {
            if i < 8 {
                (i / bytes * 3 + element) * bytes + i % bytes
            } else {
                CLEAR
            }
        };
        let low = self.t2_k(PSHUFB, a, pattern(|i| if from(i) < 16 { from(i) } else { CLEAR }));
        let high = self.t2_k(
            PSHUFB,
            b,
            pattern(|i| {
                if (16..24).contains(&from(i)) {
                    from(i) - 16
                } else {
                    CLEAR
                }
            }),
        );
        self.last2(POR, low, Rm::Reg(high));
    }

    /// Bytes of structures of three.
    fn interleave3(&mut self, inst: &Inst, size: u8) {
        let (a, b) = (self.xmm(inst.a), self.xmm(inst.b));
        let c = self.xmm(inst.c);
        let both = self.t2(PUNPCKLQDQ, a, Rm::Reg(b));
        let (bytes, first) = (1 << size, if inst.imm == 0 { 0 } else { 16 });
        // (element, byte of it)
        let from = |i: u8| {
            let lane = (first + i) / bytes;
            (lane % 3, lane / 3 * bytes + i % bytes)
        };
        let two = pattern(|i| match from(i) {
            (0, at) if at < 8 => at,
            (1, at) if at < 8 => at + 8,
            _ => CLEAR,
        });
        let third = pattern(|i| match from(i) {
            (2, at) if at < 8 => at,
            _ => CLEAR,
        });
        let both = self.t2_k(PSHUFB, both, two);
        let c = self.t2_k(PSHUFB, c, third);
        self.last2(POR, both, Rm::Reg(c));
    }
}
