//! Bitwise operations, arithmetic and comparisons of integer lanes.

use super::super::asm::{Enc, Rm};
use super::super::emit::Emitter;
use super::super::evex::Evex;
use super::host::*;
use crate::ir::ops::{Inst, Value};
use crate::ir::vector::{Shape, VecOp};

const NOT: u128 = u128::MAX;

/// The sign bit of each lane.
pub(super) const fn signs(size: u8) -> u128 {
    splat(size, 1 << ((8 << size) - 1))
}

impl Emitter<'_> {
    /// Operations of this file; false if it is none.
    pub(super) fn vec_arith(&mut self, inst: &Inst, op: VecOp, shape: Shape) -> bool {
        let (size, unsigned) = (shape.log2_bytes(), shape.is_unsigned());
        match op {
            VecOp::And => self.commutative(inst, PAND),
            VecOp::Or => self.commutative(inst, POR),
            VecOp::Xor => self.commutative(inst, PXOR),
            VecOp::AndNot => {
                let (a, b) = (self.xrm(inst.a), self.xmm(inst.b));
                self.last2(PANDN, b, a);
            }
            VecOp::OrNot if self.opts.host.avx512 => {
                self.last_ternary([inst.a, inst.b, inst.b], A | !B);
            }
            VecOp::OrNot => {
                let (a, b) = (self.xrm(inst.a), self.xmm(inst.b));
                let t = self.t2_k(PXOR, b, NOT);
                self.last2(POR, t, a);
            }
            VecOp::Not => {
                let a = self.xmm(inst.a);
                self.last2_k(PXOR, a, NOT);
            }
            VecOp::BitSelect => self.select_bits(inst),
            VecOp::Add => self.commutative(inst, padd(size)),
            VecOp::Sub => self.two(inst, psub(size)),
            VecOp::Mul => match size {
                0 => self.mul8(inst),
                1 => self.commutative(inst, PMULLW),
                _ => self.commutative(inst, op38(0x40)),
            },
            VecOp::Neg => {
                let a = self.xrm(inst.a);
                let zero = self.zero();
                self.last2(psub(size), zero, a);
            }
            VecOp::Abs => self.abs(inst, size),
            VecOp::HAdd | VecOp::RHAdd => self.average(inst, op == VecOp::RHAdd, size, unsigned),
            VecOp::HSub => self.half_difference(inst, size, unsigned),
            VecOp::Min if size < 3 => self.commutative(inst, pmin(size, unsigned)),
            VecOp::Max if size < 3 => self.commutative(inst, pmax(size, unsigned)),
            VecOp::AbsDiff if size < 3 => self.abs_diff(inst, size, unsigned),
            VecOp::CmpEq => self.commutative(inst, pcmpeq(size)),
            VecOp::CmpGt | VecOp::CmpGe => self.compare_lanes(inst, op == VecOp::CmpGe, size, unsigned),
            VecOp::Tst => {
                let (a, b) = (self.xmm(inst.a), self.xrm(inst.b));
                let t = self.t2(PAND, a, b);
                let zero = self.asm.constant(0);
                self.v2(pcmpeq(size), t, t, zero);
                self.last2_k(PXOR, t, NOT);
            }
            VecOp::Clz if size < 3 => {
                let a = self.xmm(inst.a);
                let t = self.leading_zeros(a, size);
                self.result(t);
            }
            VecOp::Cls if size < 3 => {
                let a = self.xmm(inst.a);
                // Without the sign, whose copies become zeros.
                let t = self.t_shift(Shift::Arithmetic, size, a, (8 << size) - 1);
                self.v2(PXOR, t, t, Rm::Reg(a));
                let t = self.leading_zeros(t, size);
                self.last2_k(padd(size), t, NOT);
            }
            VecOp::Cnt => self.count_ones(inst),
            VecOp::PolyMul => {
                let (a, b) = (self.xmm(inst.a), self.xmm(inst.b));
                let bits = self.temp();
                self.xmov(bits, b);
                let r = self.carryless(a, bits, 0);
                self.result(r);
            }
            VecOp::FNeg => {
                let a = self.xmm(inst.a);
                self.last2_k(PXOR, a, signs(size));
            }
            VecOp::FAbs => {
                let a = self.xmm(inst.a);
                self.last2_k(PAND, a, !signs(size));
            }
            VecOp::Dot => {
                let d = self.dot(inst.b, inst.c, inst.imm);
                let a = self.xrm(inst.a);
                self.last2(padd(2), d, a);
            }
            VecOp::MatMul => self.mat_mul(inst),
            _ => return false,
        }
        true
    }

    /// One instruction whose operands may change places.
    fn commutative(&mut self, inst: &Inst, e: Enc) {
        let (mut a, mut b) = (inst.a, inst.b);
        // One operand may be in memory; without AVX one is overwritten.
        let swap = self.in_xmm(b) && (!self.in_xmm(a) || !self.opts.host.avx && self.lives_on(a));
        if swap {
            std::mem::swap(&mut a, &mut b);
        }
        let (a, b) = (self.xmm(a), self.xrm(b));
        self.last2(e, a, b);
    }

    fn two(&mut self, inst: &Inst, e: Enc) {
        let (a, b) = (self.xmm(inst.a), self.xrm(inst.b));
        self.last2(e, a, b);
    }

    /// Both operands in registers.
    pub(super) fn pair(&mut self, a: Value, b: Value) -> (u8, u8) {
        let a = self.xmm(a);
        (a, self.xmm(b))
    }

    /// (a & b) | (!a & c) = ((b ^ c) & a) ^ c.
    fn select_bits(&mut self, inst: &Inst) {
        if self.opts.host.avx512 {
            return self.last_ternary(inst.operands(), A & B | !A & C);
        }
        let b = self.xmm(inst.b);
        let c = self.xrm(inst.c);
        let a = self.xrm(inst.a);
        let t = self.t2(PXOR, b, c);
        self.v2(PAND, t, t, a);
        self.last2(PXOR, t, c);
    }

    /// Products of bytes: the even ones from words, the odd ones from words whose low byte is zero.
    fn mul8(&mut self, inst: &Inst) {
        let (a, b) = self.pair(inst.a, inst.b);
        let even = self.t2(PMULLW, a, Rm::Reg(b));
        let mask = self.asm.constant(splat(1, 0xff));
        self.v2(PAND, even, even, mask);
        let odd = self.t_shift(Shift::Logical, 1, a, 8);
        let high = self.t2_k(PAND, b, splat(1, 0xff00));
        self.v2(PMULLW, odd, odd, Rm::Reg(high));
        self.last2(POR, even, Rm::Reg(odd));
    }

    fn abs(&mut self, inst: &Inst, size: u8) {
        if size < 3 {
            let a = self.xrm(inst.a);
            return self.last1(op38(0x1c + size), a);
        }
        if self.opts.host.avx512 {
            let a = self.xrm(inst.a);
            let dst = self.def_last();
            return self.asm.evex(op38(0x1f).w(), Evex::X, dst, 0, a);
        }
        let a = self.xmm(inst.a);
        let sign = self.t_shift(Shift::Arithmetic, 3, a, 63);
        let t = self.t2(PXOR, a, Rm::Reg(sign));
        self.last2(psub(3), t, Rm::Reg(sign));
    }

    /// (a + b) >> 1, of bytes and words by the host's average, which rounds up and is unsigned: complemented operands
    /// make it round down, a change of signs makes it signed.
    fn average(&mut self, inst: &Inst, round: bool, size: u8, unsigned: bool) {
        let (a, b) = self.pair(inst.a, inst.b);
        if size < 2 {
            let pavg = op66([0xe0, 0xe3][usize::from(size)]);
            let flip = match (round, unsigned) {
                (true, true) => return self.last2(pavg, a, Rm::Reg(b)),
                (true, false) => signs(size),
                (false, true) => NOT,
                (false, false) => !signs(size),
            };
            let (x, y) = (self.t2_k(PXOR, a, flip), self.t2_k(PXOR, b, flip));
            self.v2(pavg, x, x, Rm::Reg(y));
            return self.last2_k(PXOR, x, flip);
        }
        let half = self.t2(PXOR, a, Rm::Reg(b));
        self.vshift(Shift::right(unsigned), size, half, half, 1);
        if round {
            let t = self.t2(POR, a, Rm::Reg(b));
            self.last2(psub(size), t, Rm::Reg(half));
        } else {
            let t = self.t2(PAND, a, Rm::Reg(b));
            self.last2(padd(size), t, Rm::Reg(half));
        }
    }

    /// (a - b) >> 1.
    fn half_difference(&mut self, inst: &Inst, size: u8, unsigned: bool) {
        let (a, b) = self.pair(inst.a, inst.b);
        if size < 2 {
            // avg(a, !b) is (a - b + 2^esize) >> 1.
            let pavg = op66([0xe0, 0xe3][usize::from(size)]);
            let x = if unsigned {
                a
            } else {
                self.t2_k(PXOR, a, signs(size))
            };
            let y = self.t2_k(PXOR, b, if unsigned { NOT } else { !signs(size) });
            let t = self.t2(pavg, x, Rm::Reg(y));
            return self.last2_k(PXOR, t, signs(size));
        }
        let half = self.t2(PXOR, a, Rm::Reg(b));
        self.vshift(Shift::right(unsigned), size, half, half, 1);
        let borrow = self.t2(PANDN, a, Rm::Reg(b));
        self.last2(psub(size), half, Rm::Reg(borrow));
    }

    fn abs_diff(&mut self, inst: &Inst, size: u8, unsigned: bool) {
        let (a, b) = self.pair(inst.a, inst.b);
        if unsigned && size < 2 {
            // psubus: one of the differences is 0.
            let e = op66(0xd8 + size);
            let (x, y) = (self.t2(e, a, Rm::Reg(b)), self.t2(e, b, Rm::Reg(a)));
            return self.last2(POR, x, Rm::Reg(y));
        }
        let max = self.t2(pmax(size, unsigned), a, Rm::Reg(b));
        let min = self.t2(pmin(size, unsigned), a, Rm::Reg(b));
        self.last2(psub(size), max, Rm::Reg(min));
    }

    /// a > b or a >= b.
    fn compare_lanes(&mut self, inst: &Inst, or_equal: bool, size: u8, unsigned: bool) {
        if !unsigned && !or_equal {
            return self.two(inst, pcmpgt(size));
        }
        if size == 3 {
            let (mut a, mut b) = self.pair(inst.a, inst.b);
            if unsigned {
                (a, b) = (self.t2_k(PXOR, a, signs(3)), self.t2_k(PXOR, b, signs(3)));
            }
            if !or_equal {
                return self.last2(pcmpgt(3), a, Rm::Reg(b));
            }
            let less = self.t2(pcmpgt(3), b, Rm::Reg(a));
            return self.last2_k(PXOR, less, NOT);
        }
        if or_equal {
            // max(a, b) = a
            let (a, b) = (self.xmm(inst.a), self.xrm(inst.b));
            let t = self.t2(pmax(size, unsigned), a, b);
            return self.last2(pcmpeq(size), t, Rm::Reg(a));
        }
        // Not max(a, b) = b
        let (a, b) = (self.xrm(inst.a), self.xmm(inst.b));
        let t = self.t2(pmax(size, unsigned), b, a);
        self.v2(pcmpeq(size), t, t, Rm::Reg(b));
        self.last2_k(PXOR, t, NOT);
    }

    /// A table lookup by nibbles needs the table in a register.
    fn lookup(&mut self, table: u128, index: u8) -> u8 {
        let k = self.asm.constant(table);
        let t = self.t1(MOVAPS, k);
        self.v2(PSHUFB, t, t, Rm::Reg(index));
        t
    }

    /// Leading zeros of each lane, in a new register: of bytes by two lookups, then of the pairs of halves.
    fn leading_zeros(&mut self, a: u8, size: u8) -> u8 {
        if size == 2 && self.opts.host.avx512 {
            // vplzcntd
            let t = self.temp();
            self.asm.evex(op38(0x44), Evex::X, t, 0, Rm::Reg(a));
            return t;
        }
        let clz4 = |x: u8| if x == 0 { 4 } else { x.leading_zeros() as u8 - 4 };
        let high = self.t_shift(Shift::Logical, 1, a, 4);
        let nibble = self.asm.constant(splat(0, 0x0f));
        self.v2(PAND, high, high, nibble);
        let high = self.lookup(pattern(|x| if x == 0 { 8 } else { clz4(x) }), high);
        // Where bit 7 is set the lookup yields 0, which is right.
        let t = self.lookup(pattern(|x| 4 + clz4(x)), a);
        self.v2(pmin(0, true), t, t, Rm::Reg(high));
        for size in 1..=size {
            // The high half's count, and if that is all of it the low half's besides.
            let half = 4 << size;
            let high = self.t_shift(Shift::Logical, size, t, half);
            let all = self.t2_k(pcmpeq(size), high, splat(size, u64::from(half)));
            self.vshift(Shift::Logical, size, all, all, half);
            self.v2(PAND, t, t, Rm::Reg(all));
            self.v2(padd(size), t, t, Rm::Reg(high));
        }
        t
    }

    fn count_ones(&mut self, inst: &Inst) {
        if self.opts.host.avx512_bitalg {
            // vpopcntb
            let a = self.xrm(inst.a);
            let dst = self.def_last();
            return self.asm.evex(op38(0x54), Evex::X, dst, 0, a);
        }
        let a = self.xmm(inst.a);
        let ones = pattern(|x| x.count_ones() as u8);
        let nibble = self.asm.constant(splat(0, 0x0f));
        let high = self.t_shift(Shift::Logical, 1, a, 4);
        self.v2(PAND, high, high, nibble);
        let low = self.t2(PAND, a, nibble);
        let (high, low) = (self.lookup(ones, high), self.lookup(ones, low));
        self.last2(padd(0), high, Rm::Reg(low));
    }

    /// Carry-less products of the lanes of `a` with the eight most significant bits of those of `bits`, which is
    /// destroyed: the low 8 bits (size 0), or the product of bytes in lanes of 16 (size 1, bytes of `bits` in the
    /// upper halves).
    pub(super) fn carryless(&mut self, a: u8, bits: u8, size: u8) -> u8 {
        let (r, t) = (self.zero(), self.temp());
        for step in 0..8 {
            if step > 0 {
                self.v2(padd(size), r, r, Rm::Reg(r));
            }
            self.asm.op(PXOR, t, Rm::Reg(t));
            self.v2(pcmpgt(size), t, t, Rm::Reg(bits));
            self.v2(PAND, t, t, Rm::Reg(a));
            self.v2(PXOR, r, r, Rm::Reg(t));
            if step < 7 {
                self.v2(padd(size), bits, bits, Rm::Reg(bits));
            }
        }
        r
    }

    /// Bytes of words, the even and the odd ones, extended to words.
    fn split_bytes(&mut self, a: u8, unsigned: bool) -> (u8, u8) {
        let even = if unsigned {
            self.t2_k(PAND, a, splat(1, 0xff))
        } else {
            let t = self.t_shift(Shift::Left, 1, a, 8);
            self.vshift(Shift::Arithmetic, 1, t, t, 8);
            t
        };
        (even, self.t_shift(Shift::right(unsigned), 1, a, 8))
    }

    /// Sums of the four byte products in each double word. `imm` bits 0 and 1: which operand is unsigned.
    fn dot(&mut self, b: Value, c: Value, imm: u32) -> u8 {
        let (b, c) = self.pair(b, c);
        self.dot_of(b, c, imm)
    }

    fn dot_of(&mut self, b: u8, c: u8, imm: u32) -> u8 {
        let (even, odd) = self.split_bytes(b, imm & 1 != 0);
        let (c_even, c_odd) = self.split_bytes(c, imm & 2 != 0);
        self.v2(PMADDWD, even, even, Rm::Reg(c_even));
        self.v2(PMADDWD, odd, odd, Rm::Reg(c_odd));
        self.v2(padd(2), even, even, Rm::Reg(odd));
        even
    }

    /// Row i of b (8 bytes) times row j of c, for lane 2i + j.
    fn mat_mul(&mut self, inst: &Inst) {
        let (b, c) = self.pair(inst.b, inst.c);
        // Splitting c once serves both rows of b.
        let (c_even, c_odd) = self.split_bytes(c, inst.imm & 2 != 0);
        let rows = [0x44, 0xee].map(|row| {
            let b = self.t1_i(PSHUFD, Rm::Reg(b), row);
            let (even, odd) = self.split_bytes(b, inst.imm & 1 != 0);
            self.v2(PMADDWD, even, even, Rm::Reg(c_even));
            self.v2(PMADDWD, odd, odd, Rm::Reg(c_odd));
            self.v2(padd(2), even, even, Rm::Reg(odd));
            even
        });
        // phaddd
        self.v2(op38(0x02), rows[0], rows[0], Rm::Reg(rows[1]));
        let a = self.xrm(inst.a);
        self.last2(padd(2), rows[0], a);
    }
}
