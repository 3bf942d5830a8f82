//! Half-precision arithmetic of ARMv8.2 (FEAT_FP16), in coprocessor 9: rows that A32 and T32 share bit for bit.
//!
//! In these patterns `d` and `m` have the register's extra bit first (D:Vd, M:Vm), `n` has it last (Vn:N).

use super::coproc::{condition, expand_imm, fixed_size, rounding};
use super::insn::{
    Insn, Insn::*, Undecoded, Vfp as V, VfpArith, VfpArith::*, VfpHalf as H, VfpUnary, VfpUnary::*,
};
use super::operands::*;
use super::pattern::{Row, rows};
use super::simd::Rounding;
use crate::cpu::model::Features;

const HALF: Features = Features::FP16_ARITH;
const BF16: Features = Features::BF16;

/// The S register Vx:X from X:Vx.
fn s(x: u32) -> u8 {
    ((x & 15) << 1 | x >> 4) as u8
}

fn half(insn: H) -> Insn {
    Vfp(V::Half(insn))
}

fn arith(op: VfpArith, d: u32, n: u32, m: u32) -> Insn {
    half(H::Arith {
        op,
        d: s(d),
        n: n as u8,
        m: s(m),
    })
}

fn unary(op: VfpUnary, d: u32, m: u32) -> Insn {
    half(H::Unary { op, d: s(d), m: s(m) })
}

fn to_int(round: Rounding, signed: u32, d: u32, m: u32) -> Insn {
    half(H::CvtToInt {
        round,
        signed: signed == 1,
        d: s(d),
        m: s(m),
    })
}

fn rint(round: Rounding, exact: bool, d: u32, m: u32) -> Insn {
    half(H::Rint {
        round,
        exact,
        d: s(d),
        m: s(m),
    })
}

fn fixed(to_fixed: u32, unsigned: u32, wide: u32, imm: u32, d: u32) -> Result<Insn, Undecoded> {
    let (size, frac) = fixed_size(wide, imm)?;
    Ok(half(H::CvtFixed {
        to_fixed: to_fixed == 1,
        signed: unsigned == 0,
        size,
        frac,
        d: s(d),
    }))
}

/// imm8 halfwords, subtracted when `add` is 0.
fn offset(add: u32, halfwords: u32) -> i32 {
    if add == 1 {
        2 * halfwords as i32
    } else {
        -2 * (halfwords as i32)
    }
}

#[rustfmt::skip]
pub const CONDITIONAL: &[Row] = rows! {
    "vmla"    "cccc 1110 0d00 nnnn dddd 1001 n0m0 mmmm" HALF [d n m] => arith(Vmla, d, n, m);
    "vmls"    "cccc 1110 0d00 nnnn dddd 1001 n1m0 mmmm" HALF [d n m] => arith(Vmls, d, n, m);
    "vnmls"   "cccc 1110 0d01 nnnn dddd 1001 n0m0 mmmm" HALF [d n m] => arith(Vnmls, d, n, m);
    "vnmla"   "cccc 1110 0d01 nnnn dddd 1001 n1m0 mmmm" HALF [d n m] => arith(Vnmla, d, n, m);
    "vmul"    "cccc 1110 0d10 nnnn dddd 1001 n0m0 mmmm" HALF [d n m] => arith(Vmul, d, n, m);
    "vnmul"   "cccc 1110 0d10 nnnn dddd 1001 n1m0 mmmm" HALF [d n m] => arith(Vnmul, d, n, m);
    "vadd"    "cccc 1110 0d11 nnnn dddd 1001 n0m0 mmmm" HALF [d n m] => arith(Vadd, d, n, m);
    "vsub"    "cccc 1110 0d11 nnnn dddd 1001 n1m0 mmmm" HALF [d n m] => arith(Vsub, d, n, m);
    "vdiv"    "cccc 1110 1d00 nnnn dddd 1001 n0m0 mmmm" HALF [d n m] => arith(Vdiv, d, n, m);
    "vfnms"   "cccc 1110 1d01 nnnn dddd 1001 n0m0 mmmm" HALF [d n m] => arith(Vfnms, d, n, m);
    "vfnma"   "cccc 1110 1d01 nnnn dddd 1001 n1m0 mmmm" HALF [d n m] => arith(Vfnma, d, n, m);
    "vfma"    "cccc 1110 1d10 nnnn dddd 1001 n0m0 mmmm" HALF [d n m] => arith(Vfma, d, n, m);
    "vfms"    "cccc 1110 1d10 nnnn dddd 1001 n1m0 mmmm" HALF [d n m] => arith(Vfms, d, n, m);
    "vmov"    "cccc 1110 1d11 iiii dddd 1001 0000 iiii" HALF [d i] => half(H::MovImm { d: s(d), bits: expand_imm(16, i) as u16 });
    "vabs"    "cccc 1110 1d11 0000 dddd 1001 11m0 mmmm" HALF [d m] => unary(Vabs, d, m);
    "vneg"    "cccc 1110 1d11 0001 dddd 1001 01m0 mmmm" HALF [d m] => unary(Vneg, d, m);
    "vsqrt"   "cccc 1110 1d11 0001 dddd 1001 11m0 mmmm" HALF [d m] => unary(Vsqrt, d, m);
    "vcmp"    "cccc 1110 1d11 0100 dddd 1001 01m0 mmmm" HALF [d m] => half(H::Cmp { signal: false, d: s(d), m: Some(s(m)) });
    "vcmpe"   "cccc 1110 1d11 0100 dddd 1001 11m0 mmmm" HALF [d m] => half(H::Cmp { signal: true, d: s(d), m: Some(s(m)) });
    "vcmp"    "cccc 1110 1d11 0101 dddd 1001 0100 0000" HALF [d] => half(H::Cmp { signal: false, d: s(d), m: None });
    "vcmpe"   "cccc 1110 1d11 0101 dddd 1001 1100 0000" HALF [d] => half(H::Cmp { signal: true, d: s(d), m: None });
    "vrintr"  "cccc 1110 1d11 0110 dddd 1001 01m0 mmmm" HALF [d m] => rint(Rounding::Fpscr, false, d, m);
    "vrintz"  "cccc 1110 1d11 0110 dddd 1001 11m0 mmmm" HALF [d m] => rint(Rounding::Zero, false, d, m);
    "vrintx"  "cccc 1110 1d11 0111 dddd 1001 01m0 mmmm" HALF [d m] => rint(Rounding::Fpscr, true, d, m);
    "vcvt"    "cccc 1110 1d11 1000 dddd 1001 k1m0 mmmm" HALF [d k m] => half(H::CvtFromInt { signed: k == 1, d: s(d), m: s(m) });
    "vcvtr"   "cccc 1110 1d11 110k dddd 1001 01m0 mmmm" HALF [d k m] => to_int(Rounding::Fpscr, k, d, m);
    "vcvt"    "cccc 1110 1d11 110k dddd 1001 11m0 mmmm" HALF [d k m] => to_int(Rounding::Zero, k, d, m);
    "vcvt"    "cccc 1110 1d11 1k1u dddd 1001 x1i0 jjjj" HALF [d k u x i j] => fixed(k, u, x, j << 1 | i, d);
    "vmov"    "cccc 1110 000l nnnn tttt 1001 n001 0000" HALF [l n t] unless (t == 15) => half(H::MovCore { to_core: l == 1, rt: r(t), s: n as u8 });
    "vstr"    "cccc 1101 ud00 nnnn dddd 1001 iiii iiii" HALF [u d n i] => half(H::Store { d: s(d), rn: r(n), offset: offset(u, i) });
    "vldr"    "cccc 1101 ud01 nnnn dddd 1001 iiii iiii" HALF [u d n i] => half(H::Load { d: s(d), rn: r(n), offset: offset(u, i) });
    // bfloat16.
    "vcvtb"   "cccc 1110 1d11 0011 dddd 1001 01m0 mmmm" BF16 [d m] => Vfp(V::CvtBf16 { top: false, d: s(d), m: s(m) });
    "vcvtt"   "cccc 1110 1d11 0011 dddd 1001 11m0 mmmm" BF16 [d m] => Vfp(V::CvtBf16 { top: true, d: s(d), m: s(m) });
};

#[rustfmt::skip]
pub const UNCONDITIONAL: &[Row] = rows! {
    "vsel"    "1111 1110 0dcc nnnn dddd 1001 n0m0 mmmm" HALF [d c n m] => half(H::Select { cond: condition(c), d: s(d), n: n as u8, m: s(m) });
    "vmaxnm"  "1111 1110 1d00 nnnn dddd 1001 n0m0 mmmm" HALF [d n m] => half(H::MinMaxNm { max: true, d: s(d), n: n as u8, m: s(m) });
    "vminnm"  "1111 1110 1d00 nnnn dddd 1001 n1m0 mmmm" HALF [d n m] => half(H::MinMaxNm { max: false, d: s(d), n: n as u8, m: s(m) });
    "vrint"   "1111 1110 1d11 10kk dddd 1001 01m0 mmmm" HALF [d k m] => rint(rounding(k), false, d, m);
    "vcvt"    "1111 1110 1d11 11kk dddd 1001 u1m0 mmmm" HALF [d k u m] => to_int(rounding(k), u, d, m);
    "vmovx"   "1111 1110 1d11 0000 dddd 1010 01m0 mmmm" HALF [d m] => half(H::MovX { d: s(d), m: s(m) });
    "vins"    "1111 1110 1d11 0000 dddd 1010 11m0 mmmm" HALF [d m] => half(H::Ins { d: s(d), m: s(m) });
};
