//! Shifts by constants and by vectors; widening and narrowing.

use super::super::asm::{Enc, Rm};
use super::super::emit::Emitter;
use super::super::evex::Evex;
use super::arith::signs;
use super::host::*;
use crate::ir::ops::{Inst, Value};
use crate::ir::vector::{Shape, VecOp};

/// vblendvps, vblendvpd: lanes of the second source where the mask's sign is set.
const fn blendv(size: u8) -> Enc {
    op3a(if size == 3 { 0x4b } else { 0x4a })
}

/// A left shift by each lane's count, and the right one.
#[derive(Clone, Copy)]
pub(super) struct Counts {
    /// Counts of the left shift; at least esize where it is a right shift.
    pub left: u8,
    /// Counts of the right shift; at least esize (or 0) where it is a left shift.
    pub right: u8,
    /// The sign is set where it is a right shift.
    pub negative: u8,
}

impl Emitter<'_> {
    /// Operations of this file; false if it is none, or has no inline form on this host.
    pub(super) fn vec_shift(&mut self, inst: &Inst, op: VecOp, shape: Shape) -> bool {
        let (size, unsigned) = (shape.log2_bytes(), shape.is_unsigned());
        let n = inst.imm;
        match op {
            VecOp::Shl => self.shift_by(inst.a, Shift::Left, size, n),
            VecOp::Shr => self.shift_by(inst.a, Shift::right(unsigned), size, n),
            VecOp::RShr => {
                let a = self.xmm(inst.a);
                let t = self.rounding_shift(a, size, n, unsigned);
                self.result(t);
            }
            VecOp::ShlVar | VecOp::RShlVar => {
                let round = op == VecOp::RShlVar;
                if self.shifts_lanes(size) {
                    self.variable_shift(inst, size, unsigned, round);
                } else if self.shifts_lanes(size + 1) {
                    self.widened_variable_shift(inst, shape, round);
                } else {
                    return false;
                }
            }
            VecOp::ShlInsert => {
                let ones = u64::MAX >> (64 - (8 << size));
                self.insert_shifted(inst, Shift::Left, size, (ones << n) & ones);
            }
            VecOp::ShrInsert => {
                let ones = u64::MAX >> (64 - (8 << size));
                let field = if n >= 8 << size { 0 } else { ones >> n };
                self.insert_shifted(inst, Shift::Logical, size, field);
            }
            VecOp::Widen => {
                let a = self.xrm_low(inst.a);
                self.last1(pmov(size, unsigned), a);
            }
            VecOp::MulLong => self.mul_long(inst, size, unsigned),
            VecOp::PolyMulLong if size == 0 => {
                let a = self.xrm_low(inst.a);
                let a = self.t1(pmov(0, true), a);
                // The bits are looked at from the top.
                let b = self.xrm_low(inst.b);
                let b = self.t1(pmov(0, true), b);
                self.vshift(Shift::Left, 1, b, b, 8);
                let r = self.carryless(a, b, 1);
                self.result(r);
            }
            VecOp::PolyMulLong => {
                if !self.opts.host.pclmul {
                    return false;
                }
                let (a, b) = self.pair(inst.a, inst.b);
                self.last2_i(op3a(0x44), a, Rm::Reg(b), 0);
            }
            VecOp::NarrowShr => {
                let a = self.xmm(inst.a);
                self.narrow(a, size, n);
            }
            VecOp::NarrowRShr => {
                let a = self.xmm(inst.a);
                // What the addition carries out of the lane, the result does not show.
                let half = splat(size + 1, 1 << (n - 1));
                let t = self.t2_k(padd(size + 1), a, half);
                self.narrow(t, size, n);
            }
            VecOp::PairAddLong => self.pair_add_long(inst, size, unsigned),
            _ => return false,
        }
        true
    }

    fn shift_by(&mut self, a: Value, kind: Shift, size: u8, n: u32) {
        let a = self.xmm(a);
        // One instruction where the host has such lanes.
        if size > 0 && !(size == 3 && kind == Shift::Arithmetic) || size == 0 && self.opts.host.gfni {
            let dst = self.def_last();
            return self.vshift(kind, size, dst, a, n);
        }
        let t = self.t_shift(kind, size, a, n);
        self.result(t);
    }

    /// `a` shifted right by `n` (1 to esize), rounding half up, in a new register: a >> n-1 and a >> n differ by the bit
    /// that rounds.
    pub(super) fn rounding_shift(&mut self, a: u8, size: u8, n: u32, unsigned: bool) -> u8 {
        let kind = Shift::right(unsigned);
        if size < 2 && unsigned {
            // pavg with 0
            let t = if n == 1 {
                a
            } else {
                self.t_shift(kind, size, a, n - 1)
            };
            return self.t2_k(op66([0xe0, 0xe3][usize::from(size)]), t, 0);
        }
        let more = self.t_shift(kind, size, a, n);
        if n == 1 {
            return self.t2(psub(size), a, Rm::Reg(more));
        }
        let t = self.t_shift(kind, size, a, n - 1);
        self.v2(psub(size), t, t, Rm::Reg(more));
        t
    }

    /// b shifted, inserted into a where `field` of each lane says.
    fn insert_shifted(&mut self, inst: &Inst, kind: Shift, size: u8, field: u64) {
        let (a, b) = self.pair(inst.a, inst.b);
        if field == 0 {
            return self.copy(a);
        }
        if self.opts.host.avx512 && size > 0 {
            let t = self.t_shift(kind, size, b, inst.imm);
            let field = self.asm.constant(splat(size, field));
            self.ternary(C & A | !C & B, t, a, field);
            return self.result(t);
        }
        // Bytes shift as words do where the mask takes off what came from the neighbour.
        let t = self.t_shift(kind, size.max(1), b, inst.imm);
        let kept = self.t2_k(PAND, a, splat(size, !field));
        if size == 0 {
            let mask = self.asm.constant(splat(0, field));
            self.v2(PAND, t, t, mask);
        }
        self.last2(POR, t, Rm::Reg(kept));
    }

    fn mul_long(&mut self, inst: &Inst, size: u8, unsigned: bool) {
        match size {
            0 => {
                let a = self.xrm_low(inst.a);
                let a = self.t1(pmov(0, unsigned), a);
                let b = self.xrm_low(inst.b);
                let b = self.t1(pmov(0, unsigned), b);
                self.last2(PMULLW, a, Rm::Reg(b));
            }
            1 => {
                let (a, b) = self.pair(inst.a, inst.b);
                let low = self.t2(PMULLW, a, Rm::Reg(b));
                let high = if unsigned { op66(0xe4) } else { PMULHW };
                let high = self.t2(high, a, Rm::Reg(b));
                self.last2(punpckl(1), low, Rm::Reg(high));
            }
            _ => {
                let (a, b) = (self.xrm(inst.a), self.xrm(inst.b));
                let a = self.t1_i(PSHUFD, a, 0x50);
                let b = if inst.a == inst.b {
                    a
                } else {
                    self.t1_i(PSHUFD, b, 0x50)
                };
                self.last2(if unsigned { PMULUDQ } else { PMULDQ }, a, Rm::Reg(b));
            }
        }
    }

    /// The low halves of the lanes of `a` (twice `size`) shifted right by `n`, at most a half.
    fn narrow(&mut self, a: u8, size: u8, n: u32) {
        let bytes = 1 << size;
        if size == 2 {
            let t = match n {
                0 | 32 => a,
                _ => self.t_shift(Shift::Logical, 3, a, n),
            };
            return self.last1_i(PSHUFD, Rm::Reg(t), if n == 32 { 0x0d } else { 0x08 });
        }
        // Whole bytes are the shuffle's business.
        let (t, first) = if n.is_multiple_of(8) {
            (a, n as u8 / 8)
        } else {
            (self.t_shift(Shift::Logical, size + 1, a, n), 0)
        };
        let take = pattern(|i| {
            if i < 8 {
                i / bytes * 2 * bytes + i % bytes + first
            } else {
                0x80
            }
        });
        self.last2_k(PSHUFB, t, take);
    }

    fn pair_add_long(&mut self, inst: &Inst, size: u8, unsigned: bool) {
        let a = self.xmm(inst.a);
        match (size, unsigned) {
            // pmaddubsw: its first operand is unsigned, its second signed.
            (0, true) => self.last2_k(op38(0x04), a, splat(0, 1)),
            (0, false) => {
                let ones = self.asm.constant(splat(0, 1));
                let ones = self.t1(MOVAPS, ones);
                self.last2(op38(0x04), ones, Rm::Reg(a));
            }
            (1, false) => self.last2_k(PMADDWD, a, splat(1, 1)),
            (_, true) => {
                let odd = self.t_shift(Shift::Logical, size + 1, a, 8 << size);
                let even = self.t2_k(PAND, a, splat(size + 1, u64::MAX >> (64 - (8 << size))));
                self.last2(padd(size + 1), even, Rm::Reg(odd));
            }
            (_, false) => {
                // pmuldq by 1 extends the even lanes.
                let ones = self.asm.constant(splat(3, 1));
                let odd = self.t_shift(Shift::Logical, 3, a, 32);
                self.v2(PMULDQ, odd, odd, ones);
                let even = self.t2(PMULDQ, a, ones);
                self.last2(padd(3), even, Rm::Reg(odd));
            }
        }
    }

    /// Whether the host shifts lanes of this size by counts of their own.
    pub(super) fn shifts_lanes(&self, size: u8) -> bool {
        match size {
            0 => false,
            1 => self.opts.host.avx512,
            _ => self.opts.host.avx2,
        }
    }

    /// `dst` = lanes of `a` shifted by the counts in `n`; counts of esize and more leave zeros or signs.
    pub(super) fn shift_lanes(&mut self, kind: Shift, size: u8, dst: u8, a: u8, n: u8) {
        if size == 1 {
            let opcode = match kind {
                Shift::Left => 0x12,
                Shift::Logical => 0x10,
                Shift::Arithmetic => 0x11,
            };
            return self.asm.evex(op38(opcode).w(), Evex::X, dst, a, Rm::Reg(n));
        }
        let opcode = match kind {
            Shift::Left => 0x47,
            Shift::Logical => 0x45,
            Shift::Arithmetic => 0x46,
        };
        let e = if size == 3 { op38(opcode).w() } else { op38(opcode) };
        if size == 3 && kind == Shift::Arithmetic {
            if self.opts.host.avx512 {
                return self.asm.evex(e, Evex::X, dst, a, Rm::Reg(n));
            }
            // Negative lanes are complemented before and after.
            let sign = self.t_shift(Shift::Arithmetic, 3, a, 63);
            let t = self.t2(PXOR, a, Rm::Reg(sign));
            self.shift_lanes(Shift::Logical, 3, t, t, n);
            self.v2(PXOR, dst, t, Rm::Reg(sign));
            self.free(sign);
            return self.free(t);
        }
        self.asm.vex(e, dst, a, Rm::Reg(n));
    }

    /// The signed low byte of each lane of `b`, as counts.
    pub(super) fn counts(&mut self, b: u8, size: u8) -> Counts {
        let above = (8 << size) - 8;
        let negative = self.t_shift(Shift::Left, size, b, above);
        let left = self.t_shift(Shift::Logical, size, negative, above);
        let zero = self.zero();
        self.v2(psub(size), zero, zero, Rm::Reg(negative));
        self.vshift(Shift::Logical, size, zero, zero, above);
        Counts {
            left,
            right: zero,
            negative,
        }
    }

    /// `a` shifted right by `n` lane by lane, rounding half up if `round`. Where a count is 0 the rounding form is of no
    /// use.
    pub(super) fn right_lanes(&mut self, a: u8, n: u8, size: u8, unsigned: bool, round: bool) -> u8 {
        let kind = Shift::right(unsigned);
        let t = self.temp();
        self.shift_lanes(kind, size, t, a, n);
        if !round {
            return t;
        }
        // One less.
        let less = self.t2_k(padd(size), n, u128::MAX);
        let before = self.temp();
        self.shift_lanes(kind, size, before, a, less);
        self.v2(psub(size), before, before, Rm::Reg(t));
        self.free(less);
        self.free(t);
        before
    }

    /// `dst` = `b` where the sign of `mask` is set, else `a`.
    pub(super) fn blend(&mut self, size: u8, dst: u8, a: u8, b: u8, mask: u8) {
        if size < 2 {
            // Blended by bytes: all of them must say the sign.
            let mask = self.sign_mask(mask, size);
            self.asm.vex_i(op3a(0x4c), dst, a, Rm::Reg(b), mask << 4);
            return self.free(mask);
        }
        self.asm.vex_i(blendv(size), dst, a, Rm::Reg(b), mask << 4);
    }

    fn variable_shift(&mut self, inst: &Inst, size: u8, unsigned: bool, round: bool) {
        let (a, b) = self.pair(inst.a, inst.b);
        let n = self.counts(b, size);
        let left = self.temp();
        self.shift_lanes(Shift::Left, size, left, a, n.left);
        let right = self.right_lanes(a, n.right, size, unsigned, round);
        if unsigned && !round {
            // Out of range, either one is 0; by 0, both are a.
            return self.last2(POR, left, Rm::Reg(right));
        }
        let dst = self.def_last();
        self.blend(size, dst, left, right, n.negative);
    }

    /// The lanes of a half of `a` in lanes of twice `size`, shifted by the counts in `b`. With `limit`, left shifts are
    /// by the lane's size at most, which loses nothing.
    #[allow(clippy::too_many_arguments, reason = "the properties of a shift")]
    pub(super) fn widened_shift(
        &mut self,
        mut a: u8,
        mut b: u8,
        size: u8,
        unsigned: bool,
        round: bool,
        limit: bool,
        upper: bool,
    ) -> u8 {
        if upper {
            (a, b) = (
                self.t1_i(PSHUFD, Rm::Reg(a), 0xee),
                self.t1_i(PSHUFD, Rm::Reg(b), 0xee),
            );
        }
        let wide = self.t1(pmov(size, unsigned), Rm::Reg(a));
        let counts = self.t1(pmov(size, true), Rm::Reg(b));
        if upper {
            self.free(a);
            self.free(b);
        }
        let n = self.counts(counts, size + 1);
        self.free(counts);
        if limit {
            let most = self.asm.constant(splat(size + 1, 8 << size));
            self.v2(pmin(size + 1, true), n.left, n.left, most);
        }
        let right = self.right_lanes(wide, n.right, size + 1, unsigned, round);
        self.shift_lanes(Shift::Left, size + 1, wide, wide, n.left);
        let blended = self.temp();
        self.blend(size + 1, blended, wide, right, n.negative);
        for t in [wide, right, n.left, n.right, n.negative] {
            self.free(t);
        }
        blended
    }

    fn widened_variable_shift(&mut self, inst: &Inst, shape: Shape, round: bool) {
        let (size, unsigned) = (shape.log2_bytes(), shape.is_unsigned());
        let (a, b) = self.pair(inst.a, inst.b);
        let low = splat(size + 1, u64::MAX >> (64 - (8 << size)));
        let mut halves = [0; 2];
        for (k, half) in halves.iter_mut().enumerate().take(1 + usize::from(shape.is_q())) {
            let t = self.widened_shift(a, b, size, unsigned, round, false, k == 1);
            let mask = self.asm.constant(low);
            self.v2(PAND, t, t, mask);
            *half = t;
        }
        let upper = halves[usize::from(shape.is_q())];
        self.last2(
            if size == 0 { PACKUSWB } else { PACKUSDW },
            halves[0],
            Rm::Reg(upper),
        );
    }

    /// All ones where the lanes of `a` are negative, in a new register.
    pub(super) fn sign_mask(&mut self, a: u8, size: u8) -> u8 {
        self.t_shift(Shift::Arithmetic, size, a, (8 << size) - 1)
    }

    /// The largest signed number where a lane of `a` is positive, the smallest where it is negative.
    pub(super) fn bounds(&mut self, a: u8, size: u8) -> u8 {
        let t = self.sign_mask(a, size);
        let max = self.asm.constant(!signs(size));
        self.v2(PXOR, t, t, max);
        t
    }
}
