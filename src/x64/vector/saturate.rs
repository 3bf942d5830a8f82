//! Saturating operations. What differs between a saturated and a plain result goes to QC's accumulator.

use super::super::asm::Rm;
use super::super::emit::Emitter;
use super::super::evex::Evex;
use super::arith::signs;
use super::host::*;
use crate::ir::ops::Inst;
use crate::ir::vector::{Shape, VecOp};

const NOT: u128 = u128::MAX;

impl Emitter<'_> {
    /// Operations of this file; false if it is none, or has no inline form on this host.
    pub(super) fn vec_saturating(&mut self, inst: &Inst, op: VecOp, shape: Shape) -> bool {
        let (size, unsigned, q) = (shape.log2_bytes(), shape.is_unsigned(), shape.is_q());
        let n = inst.imm;
        match op {
            VecOp::QAdd | VecOp::QSub => {
                let add = op == VecOp::QAdd;
                match (size, unsigned) {
                    (0 | 1, _) => self.saturating_sum(inst, add, shape),
                    (2, true) => self.saturating_sum_u32(inst, add, q),
                    (3, true) => self.saturating_sum_u64(inst, add, q),
                    _ => self.saturating_sum_wide(inst, add, shape),
                }
            }
            VecOp::QAbs => {
                let a = self.xrm(inst.a);
                let plain = self.t1(op38(0x1c + size), a);
                // As an unsigned number only that of the minimum is out of range.
                let r = self.t2_k(pmin(size, true), plain, !signs(size));
                self.differs(plain, r, q);
            }
            VecOp::QNeg => {
                let a = self.xmm(inst.a);
                let zero = self.zero();
                let plain = self.t2(psub(size), zero, Rm::Reg(a));
                let minimum = self.t2_k(pcmpeq(size), a, signs(size));
                self.all_but_sign(plain, minimum, q);
            }
            VecOp::QShl => self.saturating_shl(inst, shape, n),
            VecOp::QShlu => self.saturating_shl_to_unsigned(inst, shape, n),
            VecOp::QShlVar | VecOp::QRShlVar => {
                let round = op == VecOp::QRShlVar;
                if self.shifts_lanes(size) {
                    self.saturating_variable_shift(inst, shape, round);
                } else if self.shifts_lanes(size + 1) {
                    self.saturating_widened_shift(inst, shape, round);
                } else {
                    return false;
                }
            }
            VecOp::QNarrowShr => self.saturating_narrow(inst, size, unsigned, unsigned, false),
            VecOp::QNarrowShru => self.saturating_narrow(inst, size, false, true, false),
            VecOp::QNarrowRShr => self.saturating_narrow(inst, size, unsigned, unsigned, true),
            VecOp::QNarrowRShru => self.saturating_narrow(inst, size, false, true, true),
            VecOp::QDMulH | VecOp::QRDMulH => self.doubling_high(inst, size, q, op == VecOp::QRDMulH),
            VecOp::QDMulLong => self.doubling_long(inst, size),
            _ => return false,
        }
        true
    }

    /// The result is `r`; QC is where it differs from `plain`. Both are this operation's own.
    fn differs(&mut self, plain: u8, r: u8, q: bool) {
        self.gather_differences(plain, r, q);
        self.result(r);
    }

    /// The result is `plain`, complemented where `mask` has ones (the minimum becomes the maximum) and QC is set.
    fn all_but_sign(&mut self, plain: u8, mask: u8, q: bool) {
        self.v2(PXOR, plain, plain, Rm::Reg(mask));
        self.gather_qc(mask, q);
        self.result(plain);
    }

    /// The result is `plain`, replaced by `sat` where `mask` has ones and QC is set. (The two may be equal there: a
    /// shift can drop just the bits that didn't fit.)
    fn replaced(&mut self, plain: u8, sat: u8, mask: u8, q: bool) {
        self.gather_qc(mask, q);
        let r = self.choose(mask, sat, plain);
        self.result(r);
    }

    /// Bytes and words.
    fn saturating_sum(&mut self, inst: &Inst, add: bool, shape: Shape) {
        let size = shape.log2_bytes();
        let (a, b) = (self.xmm(inst.a), self.xrm(inst.b));
        let (plain, group) = match (add, shape.is_unsigned()) {
            (true, false) => (padd(size), 0xec),
            (true, true) => (padd(size), 0xdc),
            (false, false) => (psub(size), 0xe8),
            (false, true) => (psub(size), 0xd8),
        };
        let plain = self.t2(plain, a, b);
        let r = self.t2(op66(group + size), a, b);
        self.differs(plain, r, shape.is_q());
    }

    fn saturating_sum_u32(&mut self, inst: &Inst, add: bool, q: bool) {
        let (a, b) = self.pair(inst.a, inst.b);
        // The part of b that fits is added or subtracted.
        let room = if add { self.t2_k(PXOR, a, NOT) } else { a };
        let fits = self.t2(pmin(2, true), room, Rm::Reg(b));
        let r = self.t2(if add { padd(2) } else { psub(2) }, a, Rm::Reg(fits));
        self.gather_differences(fits, b, q);
        self.result(r);
    }

    fn saturating_sum_u64(&mut self, inst: &Inst, add: bool, q: bool) {
        let (a, b) = self.pair(inst.a, inst.b);
        let plain = self.t2(if add { padd(3) } else { psub(3) }, a, Rm::Reg(b));
        // Unsigned comparison: a sum is less than a, a subtrahend greater.
        let x = self.t2_k(PXOR, a, signs(3));
        let y = self.t2_k(PXOR, if add { plain } else { b }, signs(3));
        let over = if add {
            self.t2(pcmpgt(3), x, Rm::Reg(y))
        } else {
            self.t2(pcmpgt(3), y, Rm::Reg(x))
        };
        let r = if add {
            self.t2(POR, plain, Rm::Reg(over))
        } else {
            self.t2(PANDN, over, Rm::Reg(plain))
        };
        self.gather_qc(over, q);
        self.result(r);
    }

    /// Signed words of 32 and 64 bits.
    fn saturating_sum_wide(&mut self, inst: &Inst, add: bool, shape: Shape) {
        let size = shape.log2_bytes();
        let (a, b) = self.pair(inst.a, inst.b);
        let plain = self.t2(if add { padd(size) } else { psub(size) }, a, Rm::Reg(b));
        // Overflow: the result's sign is not a's, and b's is such that it would have to be.
        let over = if self.opts.host.avx512 {
            let t = self.t1(MOVAPS, Rm::Reg(plain));
            let b_too = if add { A ^ C } else { B ^ C };
            self.ternary((A ^ B) & b_too, t, a, Rm::Reg(b));
            t
        } else {
            let over = self.t2(PXOR, a, Rm::Reg(plain));
            let t = self.t2(PXOR, b, Rm::Reg(if add { plain } else { a }));
            self.v2(PAND, over, over, Rm::Reg(t));
            over
        };
        let mask = self.sign_mask(over, size);
        let sat = self.bounds(a, size);
        self.replaced(plain, sat, mask, shape.is_q());
    }

    /// Left by a constant.
    fn saturating_shl(&mut self, inst: &Inst, shape: Shape, n: u32) {
        let (size, q) = (shape.log2_bytes(), shape.is_q());
        let a = self.xmm(inst.a);
        let plain = self.t_shift(Shift::Left, size, a, n);
        if n == 0 {
            return self.result(plain);
        }
        let esize = 8 << size;
        if shape.is_unsigned() {
            let over = self.at_least(a, size, (u64::MAX >> (64 - esize) >> n) + 1);
            self.v2(POR, plain, plain, Rm::Reg(over));
            self.gather_qc(over, q);
            return self.result(plain);
        }
        let max = i64::MAX >> (64 - esize) >> n;
        let over = self.t2_k(pcmpgt(size), a, splat(size, max as u64));
        let min = self.asm.constant(splat(size, !max as u64));
        let under = self.t1(MOVAPS, min);
        self.v2(pcmpgt(size), under, under, Rm::Reg(a));
        self.v2(POR, over, over, Rm::Reg(under));
        let sat = self.bounds(a, size);
        self.replaced(plain, sat, over, q);
    }

    /// All ones where the lanes of `a` are at least `least` (not 0), unsigned.
    fn at_least(&mut self, a: u8, size: u8, least: u64) -> u8 {
        if size == 3 {
            let t = self.t2_k(PXOR, a, signs(3));
            let k = splat(3, (least - 1) ^ 1 << 63);
            let k = self.asm.constant(k);
            self.v2(pcmpgt(3), t, t, k);
            return t;
        }
        let t = self.t2_k(pmax(size, true), a, splat(size, least));
        self.v2(pcmpeq(size), t, t, Rm::Reg(a));
        t
    }

    /// Signed to unsigned, left by a constant.
    fn saturating_shl_to_unsigned(&mut self, inst: &Inst, shape: Shape, n: u32) {
        let (size, q) = (shape.log2_bytes(), shape.is_q());
        let a = self.xmm(inst.a);
        let plain = self.t_shift(Shift::Left, size, a, n);
        let negative = self.sign_mask(a, size);
        let mut over = negative;
        if n > 0 {
            let max = u64::MAX >> (64 - (8 << size)) >> n;
            over = self.t2_k(pcmpgt(size), a, splat(size, max));
            self.v2(POR, plain, plain, Rm::Reg(over));
            self.v2(POR, over, over, Rm::Reg(negative));
        }
        let r = self.t2(PANDN, negative, Rm::Reg(plain));
        self.gather_qc(over, q);
        self.result(r);
    }

    fn saturating_variable_shift(&mut self, inst: &Inst, shape: Shape, round: bool) {
        let (size, unsigned) = (shape.log2_bytes(), shape.is_unsigned());
        let (a, b) = self.pair(inst.a, inst.b);
        let n = self.counts(b, size);
        let right = self.right_lanes(a, n.right, size, unsigned, round);
        // Back again: what fits comes back unchanged. Right shifts never saturate.
        let left = self.temp();
        self.shift_lanes(Shift::Left, size, left, a, n.left);
        let back = self.temp();
        self.shift_lanes(Shift::right(unsigned), size, back, left, n.left);
        self.v2(pcmpeq(size), back, back, Rm::Reg(a));
        let negative = self.sign_mask(n.negative, size);
        self.v2(POR, back, back, Rm::Reg(negative));
        self.free(negative);
        let over = self.t2_k(PXOR, back, NOT);
        let plain = self.temp();
        self.blend(size, plain, left, right, n.negative);
        for t in [back, left, right, n.left, n.right] {
            self.free(t);
        }
        if unsigned {
            self.v2(POR, plain, plain, Rm::Reg(over));
            self.gather_qc(over, shape.is_q());
            return self.result(plain);
        }
        let sat = self.bounds(a, size);
        self.replaced(plain, sat, over, shape.is_q());
    }

    /// In lanes of twice the size, where nothing is lost of what the narrower ones cannot hold.
    fn saturating_widened_shift(&mut self, inst: &Inst, shape: Shape, round: bool) {
        let (size, unsigned) = (shape.log2_bytes(), shape.is_unsigned());
        let (a, b) = self.pair(inst.a, inst.b);
        let mut halves = [0; 2];
        for (k, half) in halves.iter_mut().enumerate().take(1 + usize::from(shape.is_q())) {
            let wide = self.widened_shift(a, b, size, unsigned, round, true, k == 1);
            let (pack, back) = self.saturating_pack(wide, size, unsigned, unsigned);
            self.gather_differences(wide, back, true);
            self.free(wide);
            self.free(back);
            *half = pack;
        }
        match shape.is_q() {
            true => self.last2(PUNPCKLQDQ, halves[0], Rm::Reg(halves[1])),
            false => self.result(halves[0]),
        }
    }

    /// Lanes of `t` (twice `size`) saturated to `size`, in the low half, and extended again.
    fn saturating_pack(&mut self, t: u8, size: u8, from_unsigned: bool, to_unsigned: bool) -> (u8, u8) {
        let pack = match (size, to_unsigned) {
            (0, false) => op66(0x63),
            (0, true) => PACKUSWB,
            (_, false) => op66(0x6b),
            (_, true) => PACKUSDW,
        };
        if from_unsigned {
            // The host packs signed lanes.
            let max = splat(size + 1, u64::MAX >> (64 - (8 << size)));
            let fits = self.t2_k(pmin(size + 1, true), t, max);
            return (self.t2(pack, fits, Rm::Reg(fits)), fits);
        }
        let r = self.t2(pack, t, Rm::Reg(t));
        let back = self.t1(pmov(size, to_unsigned), Rm::Reg(r));
        (r, back)
    }

    /// Lanes of twice `size` shifted right, then saturated to `size`; all 128 bits of the operand count.
    fn saturating_narrow(
        &mut self,
        inst: &Inst,
        size: u8,
        from_unsigned: bool,
        to_unsigned: bool,
        round: bool,
    ) {
        let a = self.xmm(inst.a);
        let n = inst.imm;
        if size == 2 {
            return self.saturating_narrow_64(a, n, from_unsigned, to_unsigned, round);
        }
        let t = if round {
            self.rounding_shift(a, size + 1, n, from_unsigned)
        } else {
            self.t_shift(Shift::right(from_unsigned), size + 1, a, n)
        };
        let (r, back) = self.saturating_pack(t, size, from_unsigned, to_unsigned);
        self.gather_differences(t, back, true);
        self.result(r);
    }

    fn saturating_narrow_64(&mut self, a: u8, n: u32, from_unsigned: bool, to_unsigned: bool, round: bool) {
        let t = if round {
            self.rounding_shift(a, 3, n, from_unsigned)
        } else {
            self.t_shift(Shift::right(from_unsigned), 3, a, n)
        };
        if self.opts.host.avx512 {
            // vpmovusqd, vpmovsqd
            let pack = op38(if to_unsigned { 0x15 } else { 0x25 }).prefix(0xf3);
            let mut positive = t;
            if to_unsigned && !from_unsigned {
                // vpmaxsq
                let zero = self.asm.constant(0);
                positive = self.temp();
                self.asm.evex(op38(0x3d).w(), Evex::X, positive, t, zero);
            }
            let r = self.temp();
            self.asm.evex(pack, Evex::X, positive, 0, Rm::Reg(r));
            let back = self.t1(pmov(2, to_unsigned), Rm::Reg(r));
            self.gather_differences(t, back, true);
            return self.result(r);
        }
        // Both halves twice, so that the upper half of what goes to QC says nothing new.
        let low = self.t1_i(PSHUFD, Rm::Reg(t), 0x88);
        let high = self.t1_i(PSHUFD, Rm::Reg(t), 0xdd);
        if !to_unsigned {
            let over = self.t_shift(Shift::Arithmetic, 2, low, 31);
            self.v2(pcmpeq(2), over, over, Rm::Reg(high));
            let ones = self.asm.constant(NOT);
            self.v2(PXOR, over, over, ones);
            let sat = self.bounds(high, 2);
            return self.replaced(low, sat, over, true);
        }
        let zero = self.asm.constant(0);
        let over = self.t2(pcmpeq(2), high, zero);
        let ones = self.asm.constant(NOT);
        self.v2(PXOR, over, over, ones);
        self.v2(POR, low, low, Rm::Reg(over));
        if !from_unsigned {
            let negative = self.sign_mask(high, 2);
            self.v2(PANDN, negative, negative, Rm::Reg(low));
            self.gather_qc(over, true);
            return self.result(negative);
        }
        self.gather_qc(over, true);
        self.result(low);
    }

    /// High half of twice the product. Only the minimum times itself doesn't fit, and gives the only minimum.
    fn doubling_high(&mut self, inst: &Inst, size: u8, q: bool, round: bool) {
        let (a, b) = self.pair(inst.a, inst.b);
        let r = match (size, round) {
            // pmulhrsw
            (1, true) => self.t2(op38(0x0b), a, Rm::Reg(b)),
            (1, false) => {
                let high = self.t2(PMULHW, a, Rm::Reg(b));
                self.v2(padd(1), high, high, Rm::Reg(high));
                let low = self.t2(PMULLW, a, Rm::Reg(b));
                self.vshift(Shift::Logical, 1, low, low, 15);
                self.v2(POR, high, high, Rm::Reg(low));
                high
            }
            _ => {
                let even = self.t2(PMULDQ, a, Rm::Reg(b));
                let odd = self.t_shift(Shift::Logical, 3, a, 32);
                let b_odd = self.t_shift(Shift::Logical, 3, b, 32);
                self.v2(PMULDQ, odd, odd, Rm::Reg(b_odd));
                for p in [even, odd] {
                    self.v2(padd(3), p, p, Rm::Reg(p));
                    if round {
                        let half = self.asm.constant(splat(3, 1 << 31));
                        self.v2(padd(3), p, p, half);
                    }
                }
                self.vshift(Shift::Logical, 3, even, even, 32);
                self.v2_i(PBLENDW, even, even, Rm::Reg(odd), 0xcc);
                even
            }
        };
        let minimum = self.t2_k(pcmpeq(size), r, signs(size));
        self.all_but_sign(r, minimum, q);
    }

    /// Twice the product, in lanes of twice `size`.
    fn doubling_long(&mut self, inst: &Inst, size: u8) {
        let (a, b) = self.pair(inst.a, inst.b);
        let p = if size == 1 {
            let low = self.t2(PMULLW, a, Rm::Reg(b));
            let high = self.t2(PMULHW, a, Rm::Reg(b));
            self.v2(punpckl(1), low, low, Rm::Reg(high));
            low
        } else {
            let a = self.t1_i(PSHUFD, Rm::Reg(a), 0x50);
            let b = self.t1_i(PSHUFD, Rm::Reg(b), 0x50);
            self.v2(PMULDQ, a, a, Rm::Reg(b));
            a
        };
        self.v2(padd(size + 1), p, p, Rm::Reg(p));
        let minimum = self.t2_k(pcmpeq(size + 1), p, signs(size + 1));
        self.all_but_sign(p, minimum, true);
    }
}
