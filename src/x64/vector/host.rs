//! Forms of SSE and AVX instructions: two operands where AVX is missing, three where it is there.

use super::super::asm::{Enc, Mem, Rm};
use super::super::emit::{Emitter, NOWHERE};
use super::super::evex::Evex;
use super::super::regs::{RBP, disp};
use crate::cpu::state::CpuState;
use crate::ir::ops::Value;
use std::mem::offset_of;

/// The accumulator of QC.
const QC: Mem = Mem {
    base: Some(RBP),
    index: None,
    disp: disp(offset_of!(CpuState, qc)),
    addr32: false,
    gs: false,
};

/// Instructions with the 0x66 prefix in map 0f.
pub(in crate::x64) const fn op66(opcode: u8) -> Enc {
    Enc::of(opcode).prefix(0x66)
}

/// In map 0f 38.
pub(in crate::x64) const fn op38(opcode: u8) -> Enc {
    Enc::of(opcode).prefix(0x66).map(2)
}

/// In map 0f 3a.
pub(in crate::x64) const fn op3a(opcode: u8) -> Enc {
    Enc::of(opcode).prefix(0x66).map(3)
}

pub(super) const MOVAPS: Enc = Enc::of(0x28);
/// Loads 64 bits, or copies them; clears the upper half.
pub(super) const MOVQ: Enc = Enc::of(0x7e).prefix(0xf3);
pub(super) const PAND: Enc = op66(0xdb);
pub(super) const PANDN: Enc = op66(0xdf);
pub(super) const POR: Enc = op66(0xeb);
pub(super) const PXOR: Enc = op66(0xef);
pub(super) const PSHUFB: Enc = op38(0x00);
pub(super) const PSHUFD: Enc = op66(0x70);
pub(super) const PUNPCKLQDQ: Enc = op66(0x6c);
pub(super) const PBLENDW: Enc = op3a(0x0e);
pub(super) const PMULLW: Enc = op66(0xd5);
pub(super) const PMULHW: Enc = op66(0xe5);
pub(super) const PMULUDQ: Enc = op66(0xf4);
pub(super) const PMULDQ: Enc = op38(0x28);
pub(super) const PACKUSWB: Enc = op66(0x67);
pub(super) const PACKUSDW: Enc = op38(0x2b);
pub(super) const PMADDWD: Enc = op66(0xf5);

/// By the logarithm of the lane's bytes.
pub(super) const fn padd(size: u8) -> Enc {
    op66([0xfc, 0xfd, 0xfe, 0xd4][size as usize])
}

pub(super) const fn psub(size: u8) -> Enc {
    op66([0xf8, 0xf9, 0xfa, 0xfb][size as usize])
}

pub(super) const fn pcmpeq(size: u8) -> Enc {
    match size {
        3 => op38(0x29),
        _ => op66(0x74 + size),
    }
}

/// Signed.
pub(super) const fn pcmpgt(size: u8) -> Enc {
    match size {
        3 => op38(0x37),
        _ => op66(0x64 + size),
    }
}

/// Lanes of 8, 16 or 32 bits.
pub(super) const fn pmin(size: u8, unsigned: bool) -> Enc {
    match (size, unsigned) {
        (0, true) => op66(0xda),
        (1, false) => op66(0xea),
        (0, false) => op38(0x38),
        (1, true) => op38(0x3a),
        (_, false) => op38(0x39),
        (_, true) => op38(0x3b),
    }
}

pub(super) const fn pmax(size: u8, unsigned: bool) -> Enc {
    match (size, unsigned) {
        (0, true) => op66(0xde),
        (1, false) => op66(0xee),
        (0, false) => op38(0x3c),
        (1, true) => op38(0x3e),
        (_, false) => op38(0x3d),
        (_, true) => op38(0x3f),
    }
}

/// Lanes of the low halves, alternating.
pub(super) const fn punpckl(size: u8) -> Enc {
    op66([0x60, 0x61, 0x62, 0x6c][size as usize])
}

pub(super) const fn punpckh(size: u8) -> Enc {
    op66([0x68, 0x69, 0x6a, 0x6d][size as usize])
}

/// Lanes of the low half to twice their size (8, 16, 32 bits).
pub(super) const fn pmov(size: u8, unsigned: bool) -> Enc {
    let group = if unsigned { 0x30 } else { 0x20 };
    op38(group + [0, 3, 5, 5][size as usize])
}

/// `lane` in every lane.
pub(super) const fn splat(size: u8, lane: u64) -> u128 {
    let esize = 8 << size;
    let lane = (lane as u128) & (u128::MAX >> (128 - esize));
    let mut all = 0;
    let mut at = 0;
    while at < 128 {
        all |= lane << at;
        at += esize;
    }
    all
}

/// The pattern of a byte shuffle.
pub(super) fn pattern(byte: impl FnMut(u8) -> u8) -> u128 {
    u128::from_le_bytes(std::array::from_fn::<u8, 16, _>(|i| i as u8).map(byte))
}

/// Kinds of shifts of lanes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Shift {
    Left,
    Logical,
    Arithmetic,
}

impl Shift {
    pub(super) fn right(unsigned: bool) -> Shift {
        if unsigned {
            Shift::Logical
        } else {
            Shift::Arithmetic
        }
    }
}

/// Columns of the truth table of a function of three bits, as VPTERNLOG takes it: any expression of them is a table.
pub(super) const A: u8 = 0xf0;
pub(super) const B: u8 = 0xcc;
pub(super) const C: u8 = 0xaa;

/// The table of the function whose operands change places: operand i of the new one is operand `from[i]` of `table`.
fn permuted(table: u8, from: [usize; 3]) -> u8 {
    (0..8).fold(0, |new, i| {
        let bit = |k: usize| i >> (2 - k) & 1;
        let old = (0..3).fold(0, |old, k| old | bit(k) << (2 - from[k]));
        new | (table >> old & 1) << i
    })
}

impl Emitter<'_> {
    /// A register for an intermediate result of the current operation.
    pub(super) fn temp(&mut self) -> u8 {
        self.alloc_xmm()
    }

    /// The intermediate result `t` is no longer needed.
    pub(super) fn free(&mut self, t: u8) {
        self.xlocked &= !(1 << t);
    }

    pub(super) fn xmov(&mut self, dst: u8, src: u8) {
        if dst != src {
            self.asm.op(MOVAPS, dst, Rm::Reg(src));
        }
    }

    /// `dst = e(a, b)`.
    pub(in crate::x64) fn v2(&mut self, e: Enc, dst: u8, a: u8, b: Rm) {
        if dst == a {
            self.asm.op(e, dst, b);
        } else if self.opts.host.avx {
            self.asm.vex(e, dst, a, b);
        } else if b == Rm::Reg(dst) {
            let t = self.alloc_xmm();
            self.xmov(t, a);
            self.asm.op(e, t, b);
            self.xmov(dst, t);
        } else {
            self.xmov(dst, a);
            self.asm.op(e, dst, b);
        }
    }

    /// `dst = e(a, b, imm)`.
    pub(in crate::x64) fn v2_i(&mut self, e: Enc, dst: u8, a: u8, b: Rm, imm: u8) {
        if dst == a {
            self.asm.op_i(e, dst, b, imm);
        } else if self.opts.host.avx {
            self.asm.vex_i(e, dst, a, b, imm);
        } else if b == Rm::Reg(dst) {
            let t = self.alloc_xmm();
            self.xmov(t, a);
            self.asm.op_i(e, t, b, imm);
            self.xmov(dst, t);
        } else {
            self.xmov(dst, a);
            self.asm.op_i(e, dst, b, imm);
        }
    }

    /// `dst = table(dst, b, c)`, with AVX-512.
    pub(super) fn ternary(&mut self, table: u8, dst: u8, b: u8, c: Rm) {
        self.asm.evex_i(op3a(0x25), Evex::X, dst, b, c, table);
    }

    /// The result is `table` of three operands, in one instruction, which overwrites one of them or a copy.
    pub(super) fn last_ternary(&mut self, operands: [Value; 3], table: u8) {
        let hint = self.xmm_hint[self.at];
        let over = (0..3).find(|k| {
            let v = operands[*k];
            self.in_xmm(v) && !self.lives_on(v) && (hint == NOWHERE || hint == self.places[v.index()].xmm)
        });
        let order = match over {
            Some(1) => [1, 0, 2],
            Some(2) => [2, 0, 1],
            _ => [0, 1, 2],
        };
        let [first, b, c] = order.map(|k| operands[k]);
        let (b, c) = (self.xmm(b), self.xrm(c));
        let a = self.xmm(first);
        let dst = match over {
            Some(_) => self.def_xmm_over(first),
            None => self.def_xmm(),
        };
        self.xmov(dst, a);
        self.ternary(permuted(table, order), dst, b, c);
    }

    /// `b` where `mask` has ones, else `c`: in `mask`, or in `b` without AVX-512.
    pub(super) fn choose(&mut self, mask: u8, b: u8, c: u8) -> u8 {
        if self.opts.host.avx512 {
            self.ternary(A & B | !A & C, mask, b, Rm::Reg(c));
            return mask;
        }
        self.v2(PXOR, b, b, Rm::Reg(c));
        self.v2(PAND, b, b, Rm::Reg(mask));
        self.v2(PXOR, b, b, Rm::Reg(c));
        b
    }

    /// `e(a, b)` in a new register.
    pub(super) fn t2(&mut self, e: Enc, a: u8, b: impl Into<Rm>) -> u8 {
        let t = self.temp();
        self.v2(e, t, a, b.into());
        t
    }

    /// `e(a, k)` in a new register, for the constant vector `k`.
    pub(super) fn t2_k(&mut self, e: Enc, a: u8, k: u128) -> u8 {
        let k = self.asm.constant(k);
        self.t2(e, a, k)
    }

    /// `e(a)` in a new register.
    pub(super) fn t1(&mut self, e: Enc, a: impl Into<Rm>) -> u8 {
        let t = self.temp();
        self.asm.op(e, t, a.into());
        t
    }

    pub(super) fn t1_i(&mut self, e: Enc, a: impl Into<Rm>, imm: u8) -> u8 {
        let t = self.temp();
        self.asm.op_i(e, t, a.into(), imm);
        t
    }

    /// A shift in a new register.
    pub(super) fn t_shift(&mut self, kind: Shift, size: u8, a: u8, n: u32) -> u8 {
        let t = self.temp();
        self.vshift(kind, size, t, a, n);
        t
    }

    /// A register of zeros.
    pub(super) fn zero(&mut self) -> u8 {
        let t = self.temp();
        self.asm.op(PXOR, t, Rm::Reg(t));
        t
    }

    /// The result of the current operation: `e(a, b)`, the last instruction that reads anything.
    pub(super) fn last2(&mut self, e: Enc, a: u8, b: impl Into<Rm>) {
        let dst = self.def_last();
        self.v2(e, dst, a, b.into());
    }

    pub(super) fn last2_k(&mut self, e: Enc, a: u8, k: u128) {
        let k = self.asm.constant(k);
        self.last2(e, a, k);
    }

    pub(super) fn last2_i(&mut self, e: Enc, a: u8, b: impl Into<Rm>, imm: u8) {
        let dst = self.def_last();
        self.v2_i(e, dst, a, b.into(), imm);
    }

    pub(super) fn last1(&mut self, e: Enc, a: impl Into<Rm>) {
        let dst = self.def_last();
        self.asm.op(e, dst, a.into());
    }

    pub(super) fn last1_i(&mut self, e: Enc, a: impl Into<Rm>, imm: u8) {
        let dst = self.def_last();
        self.asm.op_i(e, dst, a.into(), imm);
    }

    /// The result is what register `t` holds, which the operation has made.
    pub(super) fn result(&mut self, t: u8) {
        let hint = self.xmm_hint[self.at];
        if hint == NOWHERE || hint == t {
            return self.occupy_xmm(t, Value(self.at as u32));
        }
        let dst = self.def_last();
        self.xmov(dst, t);
    }

    /// The result is the value of `src`.
    pub(super) fn copy(&mut self, src: u8) {
        let dst = self.def_last();
        self.xmov(dst, src);
    }

    /// `dst` = lanes of `src` shifted by `n`. A right shift by the lane's size or more leaves zeros or signs.
    pub(super) fn vshift(&mut self, kind: Shift, size: u8, dst: u8, src: u8, n: u32) {
        let esize = 8 << size;
        if n == 0 {
            return self.xmov(dst, src);
        }
        if n >= esize && kind != Shift::Arithmetic {
            return self.asm.op(PXOR, dst, Rm::Reg(dst));
        }
        let n = n.min(esize - 1);
        match (size, kind) {
            (0, _) => self.shift_bytes(kind, dst, src, n),
            (3, Shift::Arithmetic) => self.sra64(dst, src, n),
            _ => self.shift_i(kind, size, dst, src, n),
        }
    }

    /// The immediate forms of 16, 32 and 64-bit lanes; 64 bits not arithmetic.
    fn shift_i(&mut self, kind: Shift, size: u8, dst: u8, src: u8, n: u32) {
        let ext = match kind {
            Shift::Logical => 2,
            Shift::Arithmetic => 4,
            Shift::Left => 6,
        };
        let e = op66(0x70 + size);
        if dst != src && self.opts.host.avx {
            return self.asm.vex_i(e, ext, dst, Rm::Reg(src), n as u8);
        }
        self.xmov(dst, src);
        self.asm.op_i(e, ext, Rm::Reg(dst), n as u8);
    }

    fn shift_bytes(&mut self, kind: Shift, dst: u8, src: u8, n: u32) {
        if self.opts.host.gfni {
            // Bit i of a result is the parity of x and byte 7 - i of the matrix.
            let from = |i: u32| match kind {
                Shift::Left => i.checked_sub(n),
                Shift::Logical => Some(i + n).filter(|b| *b < 8),
                Shift::Arithmetic => Some((i + n).min(7)),
            };
            let matrix = (0..8).fold(0, |m, i| {
                m | from(i).map_or(0, |bit| 1u64 << bit) << (8 * (7 - i))
            });
            return self.affine(dst, src, matrix);
        }
        match kind {
            Shift::Left if n == 1 => self.v2(padd(0), dst, src, Rm::Reg(src)),
            Shift::Left => {
                self.shift_i(kind, 1, dst, src, n);
                let mask = self.asm.constant(splat(0, 0xff << n));
                self.v2(PAND, dst, dst, mask);
            }
            Shift::Logical => {
                self.shift_i(kind, 1, dst, src, n);
                let mask = self.asm.constant(splat(0, 0xff >> n));
                self.v2(PAND, dst, dst, mask);
            }
            Shift::Arithmetic if n == 7 => {
                let zero = self.zero();
                self.v2(pcmpgt(0), dst, zero, Rm::Reg(src));
            }
            Shift::Arithmetic => {
                self.shift_bytes(Shift::Logical, dst, src, n);
                // The sign is where it would be copied up from.
                let sign = self.asm.constant(splat(0, 0x80 >> n));
                self.v2(PXOR, dst, dst, sign);
                self.v2(psub(0), dst, dst, sign);
            }
        }
    }

    /// `dst` = each byte of `src` times the bit matrix.
    pub(super) fn affine(&mut self, dst: u8, src: u8, matrix: u64) {
        let m = self.asm.constant(splat(3, matrix));
        if self.opts.host.avx {
            self.asm.vex_i(op3a(0xce).w(), dst, src, m, 0);
        } else {
            self.xmov(dst, src);
            self.asm.op_i(op3a(0xce), dst, m, 0);
        }
    }

    /// Arithmetic right shift of 64-bit lanes, 1 to 63.
    fn sra64(&mut self, dst: u8, src: u8, n: u32) {
        if n == 63 {
            let zero = self.zero();
            return self.v2(pcmpgt(3), dst, zero, Rm::Reg(src));
        }
        if self.opts.host.avx512 {
            return self
                .asm
                .evex_i(op66(0x72).w(), Evex::X, 4, dst, Rm::Reg(src), n as u8);
        }
        // The high words arithmetically, the low words from a logical shift or from the high words.
        let high = self.temp();
        if n < 32 {
            self.shift_i(Shift::Arithmetic, 2, high, src, n);
            self.shift_i(Shift::Logical, 3, dst, src, n);
        } else {
            let sign = self.temp();
            self.shift_i(Shift::Arithmetic, 2, sign, src, 31);
            self.vshift(Shift::Arithmetic, 2, high, src, n - 32);
            self.asm.op_i(PSHUFD, dst, Rm::Reg(high), 0xf5);
            return self.v2_i(PBLENDW, dst, dst, Rm::Reg(sign), 0xcc);
        }
        self.v2_i(PBLENDW, dst, dst, Rm::Reg(high), 0xcc);
    }

    /// ORs what the bits of `seen` say of saturated lanes into QC's accumulator. Of a D form only the low half counts.
    /// Written through at once, like every register.
    pub(super) fn gather_qc(&mut self, seen: u8, q: bool) {
        let low = if q { seen } else { self.t1(MOVQ, Rm::Reg(seen)) };
        let acc = self.qc_accumulator();
        self.v2(POR, acc, acc, Rm::Reg(low));
        self.store_qc();
        if low != seen {
            self.free(low);
        }
    }

    /// As `gather_qc`, for the bits in which `x` and `y` differ; `x` is destroyed.
    pub(super) fn gather_differences(&mut self, x: u8, y: u8, q: bool) {
        if q && self.opts.host.avx512 {
            let acc = self.qc_accumulator();
            self.ternary(A | (B ^ C), acc, x, Rm::Reg(y));
            return self.store_qc();
        }
        self.v2(PXOR, x, x, Rm::Reg(y));
        self.gather_qc(x, q);
    }

    fn qc_accumulator(&mut self) -> u8 {
        if self.qc_xmm == NOWHERE {
            self.qc_xmm = self.alloc_xmm();
            self.asm.op(MOVAPS, self.qc_xmm, QC.into());
        }
        self.xlocked |= 1 << self.qc_xmm;
        self.qc_xmm
    }

    fn store_qc(&mut self) {
        self.asm.op(Enc::of(0x29), self.qc_xmm, QC.into());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn truth_tables_follow_their_operands() {
        let f = A & B | !A & C;
        assert_eq!(f, 0xca);
        assert_eq!(permuted(f, [0, 1, 2]), f);
        // Of (b, a, c) and (c, a, b).
        assert_eq!(permuted(f, [1, 0, 2]), B & A | !B & C);
        assert_eq!(permuted(f, [2, 0, 1]), B & C | !B & A);
        assert_eq!(permuted(A & !B, [1, 0, 2]), B & !A);
    }
}
