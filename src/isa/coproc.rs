//! Rows that A32 and T32 share bit for bit: cp15 moves and VFP (conditional in A32), and the ARMv8 additions to VFP.

use super::insn::{
    Cond, Insn, Insn::*, Reg, Undecoded, Undecoded::*, Vfp as V, VfpArith::*, VfpSys, VfpUnary,
};
use super::operands::*;
use super::pattern::{Context, Row, rows};
use super::simd::Rounding;
use crate::cpu::model::Features;

const V6: Features = Features::V6;
const V7: Features = Features::V7;
const V6K: Features = Features::V6K;
const V8: Features = Features::V8;
const VFP2: Features = Features::VFP2;
const VFP3: Features = Features::VFP3;
const VFP4: Features = Features::VFP4;
const FP16: Features = Features::FP16;
const JSCVT: Features = Features::JSCVT;

/// A VFP register number from its four-bit field and its extra bit: `x:v` for doubles (D16 and up need D32), `v:x`
/// for singles.
fn vreg(double: u32, v: u32, x: u32, cx: Context) -> Result<u8, Undecoded> {
    match double {
        0 => Ok((v << 1 | x) as u8),
        _ if x == 1 && !cx.features.contains(Features::D32) => Err(Undefined),
        _ => Ok((x << 4 | v) as u8),
    }
}

fn sreg(v: u32, x: u32) -> u8 {
    (v << 1 | x) as u8
}

type Number = (u32, u32);

fn arith(
    op: super::insn::VfpArith,
    z: u32,
    d: Number,
    n: Number,
    m: Number,
    cx: Context,
) -> Result<Insn, Undecoded> {
    Ok(Vfp(V::Arith {
        op,
        double: z == 1,
        d: vreg(z, d.0, d.1, cx)?,
        n: vreg(z, n.0, n.1, cx)?,
        m: vreg(z, m.0, m.1, cx)?,
    }))
}

fn unary(op: VfpUnary, z: u32, d: Number, m: Number, cx: Context) -> Result<Insn, Undecoded> {
    Ok(Vfp(V::Unary {
        op,
        double: z == 1,
        d: vreg(z, d.0, d.1, cx)?,
        m: vreg(z, m.0, m.1, cx)?,
    }))
}

/// VFPExpandImm: the constant of VMOV (immediate) in a format of 16, 32 or 64 bits.
pub fn expand_imm(bits: u32, imm8: u32) -> u64 {
    let (sign, b, low) = (
        u64::from(imm8 >> 7),
        u64::from(imm8 >> 6 & 1),
        u64::from(imm8 & 0x3f),
    );
    match bits {
        16 => sign << 15 | (1 - b) << 14 | (b * 3) << 12 | low << 6,
        32 => sign << 31 | (1 - b) << 30 | (b * 0x1f) << 25 | low << 19,
        _ => sign << 63 | (1 - b) << 62 | (b * 0xff) << 54 | low << 48,
    }
}

/// VLDM, VSTM and kin. UNPREDICTABLE, and UNDEFINED here: no register, more than 16 doubles, registers past the last,
/// a pc base with writeback.
fn multiple(
    load: bool,
    z: u32,
    d: Number,
    n: u32,
    words: u32,
    (decrement, w): (bool, u32),
    cx: Context,
) -> Result<Insn, Undecoded> {
    let double = z == 1;
    let first = vreg(z, d.0, d.1, cx)?;
    let count = if double { words >> 1 } else { words };
    let last = u32::from(first) + count;
    let limit = if double && !cx.features.contains(Features::D32) {
        16
    } else {
        32
    };
    if count == 0 || double && count > 16 || last > limit || n == 15 && w == 1 {
        return Err(Unpredictable);
    }
    let (d, count, words, rn, writeback) = (first, count as u8, words as u8, r(n), w == 1);
    Ok(Vfp(match load {
        true => V::LoadMultiple {
            double,
            d,
            count,
            words,
            rn,
            decrement,
            writeback,
        },
        false => V::StoreMultiple {
            double,
            d,
            count,
            words,
            rn,
            decrement,
            writeback,
        },
    }))
}

/// imm8 words, subtracted when `add` is 0.
fn offset(add: u32, words: u32) -> i32 {
    if add == 1 {
        4 * words as i32
    } else {
        -4 * (words as i32)
    }
}

/// VMOV between two core registers and S`m`, S`m+1`. S31 as the first is UNPREDICTABLE and UNDEFINED here.
fn pair(to_core: bool, t: u32, t2: u32, double: bool, m: u8) -> Result<Insn, Undecoded> {
    if !double && m == 31 {
        return Err(Unpredictable);
    }
    Ok(Vfp(V::MovCore2 {
        to_core,
        double,
        rt: r(t),
        rt2: r(t2),
        m,
    }))
}

/// VMRS, VMSR in User mode: FPSCR, and FPSID where the model has VFPv2 only; the other registers are privileged.
fn system(load: bool, reg: u32, rt: Reg, cx: Context) -> Result<Insn, Undecoded> {
    let reg = match reg {
        1 => VfpSys::Fpscr,
        0 if !cx.features.contains(Features::VFP3) => VfpSys::Fpsid,
        _ => return Err(Undefined),
    };
    Ok(Vfp(match load {
        true => V::Mrs { rt, reg },
        false => V::Msr { rt, reg },
    }))
}

/// VRINT.
fn rint(round: Rounding, exact: bool, z: u32, d: Number, m: Number, cx: Context) -> Result<Insn, Undecoded> {
    Ok(Vfp(V::Rint {
        round,
        exact,
        double: z == 1,
        d: vreg(z, d.0, d.1, cx)?,
        m: vreg(z, m.0, m.1, cx)?,
    }))
}

/// VMAXNM, VMINNM.
fn min_max(max: bool, z: u32, d: Number, n: Number, m: Number, cx: Context) -> Result<Insn, Undecoded> {
    Ok(Vfp(V::MinMaxNm {
        max,
        double: z == 1,
        d: vreg(z, d.0, d.1, cx)?,
        n: vreg(z, n.0, n.1, cx)?,
        m: vreg(z, m.0, m.1, cx)?,
    }))
}

/// The condition of VSEL.
pub fn condition(cc: u32) -> Cond {
    [Cond::Eq, Cond::Vs, Cond::Ge, Cond::Gt][cc as usize & 3]
}

/// The rounding of VRINTA, N, P, M and VCVTA, N, P, M.
pub fn rounding(rm: u32) -> Rounding {
    use Rounding::*;
    [NearestAway, NearestEven, PlusInf, MinusInf][rm as usize & 3]
}

/// Size and fraction bits of a fixed-point conversion. More fraction bits than the size (a negative count) is
/// UNPREDICTABLE and UNDEFINED here.
pub fn fixed_size(wide: u32, imm: u32) -> Result<(u8, u8), Undecoded> {
    let size = if wide == 1 { 32 } else { 16 };
    match imm > size {
        true => Err(Unpredictable),
        false => Ok((size as u8, (size - imm) as u8)),
    }
}

/// Fixed-point conversion.
fn fixed(
    z: u32,
    d: Number,
    to_fixed: u32,
    unsigned: u32,
    wide: u32,
    imm: u32,
    cx: Context,
) -> Result<Insn, Undecoded> {
    let (size, frac) = fixed_size(wide, imm)?;
    Ok(Vfp(V::CvtFixed {
        to_fixed: to_fixed == 1,
        double: z == 1,
        signed: unsigned == 0,
        size,
        frac,
        d: vreg(z, d.0, d.1, cx)?,
    }))
}

/// Coprocessor moves that User mode reaches: TPIDRURW, TPIDRURO (reading), the barriers ISB, DSB and DMB of ARMv6, and
/// PMUSERENR (reading), by which programs ask whether they may use the performance monitors.
/// Everything else of cp14 and cp15 is privileged, and the other coprocessors are absent: UNDEFINED.
#[rustfmt::skip]
pub const CONDITIONAL: &[Row] = rows! {
    "mcr"     "cccc 1110 0000 1101 tttt 1111 0101 0000" V6K [t] => cp15(false, t, 13, 0, 2);
    "mrc"     "cccc 1110 0001 1101 tttt 1111 0101 0000" V6K [t] unless (t == 15) => cp15(true, t, 13, 0, 2);
    "mrc"     "cccc 1110 0001 1101 tttt 1111 0111 0000" V6K [t] unless (t == 15) => cp15(true, t, 13, 0, 3);
    "mrc"     "cccc 1110 0001 1001 tttt 1111 0001 1110" V7  [t] unless (t == 15) => cp15(true, t, 9, 14, 0);
    "mcr"     "cccc 1110 0000 0111 tttt 1111 1001 0101" V6  [t] => cp15(false, t, 7, 5, 4);
    "mcr"     "cccc 1110 0000 0111 tttt 1111 1001 1010" V6  [t] => cp15(false, t, 7, 10, 4);
    "mcr"     "cccc 1110 0000 0111 tttt 1111 1011 1010" V6  [t] => cp15(false, t, 7, 10, 5);
};

/// z (bit 8) chooses double precision. D, N and M are the registers' extra bits.
#[rustfmt::skip]
pub const VFP: &[Row] = rows! {
    // Arithmetic.
    "vmla"    "cccc 1110 0D00 nnnn dddd 101z N0M0 mmmm" VFP2 [D n d z N M m; cx] => arith(Vmla, z, (d, D), (n, N), (m, M), cx);
    "vmls"    "cccc 1110 0D00 nnnn dddd 101z N1M0 mmmm" VFP2 [D n d z N M m; cx] => arith(Vmls, z, (d, D), (n, N), (m, M), cx);
    "vnmls"   "cccc 1110 0D01 nnnn dddd 101z N0M0 mmmm" VFP2 [D n d z N M m; cx] => arith(Vnmls, z, (d, D), (n, N), (m, M), cx);
    "vnmla"   "cccc 1110 0D01 nnnn dddd 101z N1M0 mmmm" VFP2 [D n d z N M m; cx] => arith(Vnmla, z, (d, D), (n, N), (m, M), cx);
    "vmul"    "cccc 1110 0D10 nnnn dddd 101z N0M0 mmmm" VFP2 [D n d z N M m; cx] => arith(Vmul, z, (d, D), (n, N), (m, M), cx);
    "vnmul"   "cccc 1110 0D10 nnnn dddd 101z N1M0 mmmm" VFP2 [D n d z N M m; cx] => arith(Vnmul, z, (d, D), (n, N), (m, M), cx);
    "vadd"    "cccc 1110 0D11 nnnn dddd 101z N0M0 mmmm" VFP2 [D n d z N M m; cx] => arith(Vadd, z, (d, D), (n, N), (m, M), cx);
    "vsub"    "cccc 1110 0D11 nnnn dddd 101z N1M0 mmmm" VFP2 [D n d z N M m; cx] => arith(Vsub, z, (d, D), (n, N), (m, M), cx);
    "vdiv"    "cccc 1110 1D00 nnnn dddd 101z N0M0 mmmm" VFP2 [D n d z N M m; cx] => arith(Vdiv, z, (d, D), (n, N), (m, M), cx);
    "vfnms"   "cccc 1110 1D01 nnnn dddd 101z N0M0 mmmm" VFP4 [D n d z N M m; cx] => arith(Vfnms, z, (d, D), (n, N), (m, M), cx);
    "vfnma"   "cccc 1110 1D01 nnnn dddd 101z N1M0 mmmm" VFP4 [D n d z N M m; cx] => arith(Vfnma, z, (d, D), (n, N), (m, M), cx);
    "vfma"    "cccc 1110 1D10 nnnn dddd 101z N0M0 mmmm" VFP4 [D n d z N M m; cx] => arith(Vfma, z, (d, D), (n, N), (m, M), cx);
    "vfms"    "cccc 1110 1D10 nnnn dddd 101z N1M0 mmmm" VFP4 [D n d z N M m; cx] => arith(Vfms, z, (d, D), (n, N), (m, M), cx);
    "vmov"    "cccc 1110 1D11 iiii dddd 101z 0000 iiii" VFP3 [D i d z; cx] => Vfp(V::MovImm { double: z == 1, d: vreg(z, d, D, cx)?, bits: expand_imm(32 << z, i) });
    "vmov"    "cccc 1110 1D11 0000 dddd 101z 01M0 mmmm" VFP2 [D d z M m; cx] => unary(VfpUnary::Vmov, z, (d, D), (m, M), cx);
    "vabs"    "cccc 1110 1D11 0000 dddd 101z 11M0 mmmm" VFP2 [D d z M m; cx] => unary(VfpUnary::Vabs, z, (d, D), (m, M), cx);
    "vneg"    "cccc 1110 1D11 0001 dddd 101z 01M0 mmmm" VFP2 [D d z M m; cx] => unary(VfpUnary::Vneg, z, (d, D), (m, M), cx);
    "vsqrt"   "cccc 1110 1D11 0001 dddd 101z 11M0 mmmm" VFP2 [D d z M m; cx] => unary(VfpUnary::Vsqrt, z, (d, D), (m, M), cx);
    "vcmp"    "cccc 1110 1D11 0100 dddd 101z 01M0 mmmm" VFP2 [D d z M m; cx] => Vfp(V::Cmp { double: z == 1, signal: false, d: vreg(z, d, D, cx)?, m: Some(vreg(z, m, M, cx)?) });
    "vcmpe"   "cccc 1110 1D11 0100 dddd 101z 11M0 mmmm" VFP2 [D d z M m; cx] => Vfp(V::Cmp { double: z == 1, signal: true, d: vreg(z, d, D, cx)?, m: Some(vreg(z, m, M, cx)?) });
    "vcmp"    "cccc 1110 1D11 0101 dddd 101z 0100 0000" VFP2 [D d z; cx] => Vfp(V::Cmp { double: z == 1, signal: false, d: vreg(z, d, D, cx)?, m: None });
    "vcmpe"   "cccc 1110 1D11 0101 dddd 101z 1100 0000" VFP2 [D d z; cx] => Vfp(V::Cmp { double: z == 1, signal: true, d: vreg(z, d, D, cx)?, m: None });

    // Conversions.
    "vcvtb"   "cccc 1110 1D11 001k dddd 1010 01M0 mmmm" FP16 [D k d M m] => Vfp(V::CvtHalf { to_half: k == 1, double: false, top: false, d: sreg(d, D), m: sreg(m, M) });
    "vcvtt"   "cccc 1110 1D11 001k dddd 1010 11M0 mmmm" FP16 [D k d M m] => Vfp(V::CvtHalf { to_half: k == 1, double: false, top: true, d: sreg(d, D), m: sreg(m, M) });
    "vcvt"    "cccc 1110 1D11 0111 dddd 1010 11M0 mmmm" VFP2 [D d M m; cx] => Vfp(V::CvtFloat { to_double: true, d: vreg(1, d, D, cx)?, m: sreg(m, M) });
    "vcvt"    "cccc 1110 1D11 0111 dddd 1011 11M0 mmmm" VFP2 [D d M m; cx] => Vfp(V::CvtFloat { to_double: false, d: sreg(d, D), m: vreg(1, m, M, cx)? });
    "vcvt"    "cccc 1110 1D11 1000 dddd 101z s1M0 mmmm" VFP2 [D d z s M m; cx] => Vfp(V::CvtFromInt { double: z == 1, signed: s == 1, d: vreg(z, d, D, cx)?, m: sreg(m, M) });
    "vcvtr"   "cccc 1110 1D11 110s dddd 101z 01M0 mmmm" VFP2 [D s d z M m; cx] => Vfp(V::CvtToInt { double: z == 1, signed: s == 1, round_zero: false, d: sreg(d, D), m: vreg(z, m, M, cx)? });
    "vcvt"    "cccc 1110 1D11 110s dddd 101z 11M0 mmmm" VFP2 [D s d z M m; cx] => Vfp(V::CvtToInt { double: z == 1, signed: s == 1, round_zero: true, d: sreg(d, D), m: vreg(z, m, M, cx)? });
    "vcvt"    "cccc 1110 1D11 1k1u dddd 101z x1i0 jjjj" VFP3 [D k u d z x i j; cx] => fixed(z, (d, D), k, u, x, j << 1 | i, cx);

    // Moves to and from core registers.
    "vmov"    "cccc 1110 000l nnnn tttt 1010 N001 0000" VFP2 [l n t N] => Vfp(V::MovCore { to_core: l == 1, rt: r(t), s: sreg(n, N) });
    "vmov"    "cccc 1110 00il nnnn tttt 1011 N001 0000" VFP2 [i l n t N; cx] => Vfp(V::MovLane { to_core: l == 1, rt: r(t), d: vreg(1, n, N, cx)?, index: i as u8 });
    "vmov"    "cccc 1100 010l uuuu tttt 1010 00M1 mmmm" VFP2 [l u t M m] => pair(l == 1, t, u, false, sreg(m, M));
    "vmov"    "cccc 1100 010l uuuu tttt 1011 00M1 mmmm" VFP2 [l u t M m; cx] => pair(l == 1, t, u, true, vreg(1, m, M, cx)?);
    "vmrs"    "cccc 1110 1111 kkkk tttt 1010 0001 0000" VFP2 [k t; cx] => system(true, k, r(t), cx);
    "vmsr"    "cccc 1110 1110 kkkk tttt 1010 0001 0000" VFP2 [k t; cx] => system(false, k, r(t), cx);

    // Loads and stores.
    "vstr"    "cccc 1101 uD00 nnnn dddd 101z iiii iiii" VFP2 [u D n d z i; cx] => Vfp(V::Store { double: z == 1, d: vreg(z, d, D, cx)?, rn: r(n), offset: offset(u, i) });
    "vldr"    "cccc 1101 uD01 nnnn dddd 101z iiii iiii" VFP2 [u D n d z i; cx] => Vfp(V::Load { double: z == 1, d: vreg(z, d, D, cx)?, rn: r(n), offset: offset(u, i) });
    "vstmia"  "cccc 1100 1Dw0 nnnn dddd 101z iiii iiii" VFP2 [D w n d z i; cx] => multiple(false, z, (d, D), n, i, (false, w), cx);
    "vldmia"  "cccc 1100 1Dw1 nnnn dddd 101z iiii iiii" VFP2 [D w n d z i; cx] => multiple(true, z, (d, D), n, i, (false, w), cx);
    "vstmdb"  "cccc 1101 0D10 nnnn dddd 101z iiii iiii" VFP2 [D n d z i; cx] => multiple(false, z, (d, D), n, i, (true, 1), cx);
    "vldmdb"  "cccc 1101 0D11 nnnn dddd 101z iiii iiii" VFP2 [D n d z i; cx] => multiple(true, z, (d, D), n, i, (true, 1), cx);

    // ARMv8.
    "vcvtb"   "cccc 1110 1D11 0010 dddd 1011 01M0 mmmm" V8 [D d M m; cx] => Vfp(V::CvtHalf { to_half: false, double: true, top: false, d: vreg(1, d, D, cx)?, m: sreg(m, M) });
    "vcvtt"   "cccc 1110 1D11 0010 dddd 1011 11M0 mmmm" V8 [D d M m; cx] => Vfp(V::CvtHalf { to_half: false, double: true, top: true, d: vreg(1, d, D, cx)?, m: sreg(m, M) });
    "vcvtb"   "cccc 1110 1D11 0011 dddd 1011 01M0 mmmm" V8 [D d M m; cx] => Vfp(V::CvtHalf { to_half: true, double: true, top: false, d: sreg(d, D), m: vreg(1, m, M, cx)? });
    "vcvtt"   "cccc 1110 1D11 0011 dddd 1011 11M0 mmmm" V8 [D d M m; cx] => Vfp(V::CvtHalf { to_half: true, double: true, top: true, d: sreg(d, D), m: vreg(1, m, M, cx)? });
    "vrintr"  "cccc 1110 1D11 0110 dddd 101z 01M0 mmmm" V8 [D d z M m; cx] => rint(Rounding::Fpscr, false, z, (d, D), (m, M), cx);
    "vrintz"  "cccc 1110 1D11 0110 dddd 101z 11M0 mmmm" V8 [D d z M m; cx] => rint(Rounding::Zero, false, z, (d, D), (m, M), cx);
    "vrintx"  "cccc 1110 1D11 0111 dddd 101z 01M0 mmmm" V8 [D d z M m; cx] => rint(Rounding::Fpscr, true, z, (d, D), (m, M), cx);
    "vjcvt"   "cccc 1110 1D11 1001 dddd 1011 11M0 mmmm" JSCVT [D d M m; cx] => Vfp(V::CvtJs { d: sreg(d, D), m: vreg(1, m, M, cx)? });
};

/// The ARMv8 additions to VFP in the unconditional space.
#[rustfmt::skip]
pub const UNCONDITIONAL: &[Row] = rows! {
    "vsel"    "1111 1110 0Dcc nnnn dddd 101z N0M0 mmmm" V8 [D c n d z N M m; cx] => Vfp(V::Select { cond: condition(c), double: z == 1, d: vreg(z, d, D, cx)?, n: vreg(z, n, N, cx)?, m: vreg(z, m, M, cx)? });
    "vmaxnm"  "1111 1110 1D00 nnnn dddd 101z N0M0 mmmm" V8 [D n d z N M m; cx] => min_max(true, z, (d, D), (n, N), (m, M), cx);
    "vminnm"  "1111 1110 1D00 nnnn dddd 101z N1M0 mmmm" V8 [D n d z N M m; cx] => min_max(false, z, (d, D), (n, N), (m, M), cx);
    "vrint"   "1111 1110 1D11 10kk dddd 101z 01M0 mmmm" V8 [D k d z M m; cx] => rint(rounding(k), false, z, (d, D), (m, M), cx);
    "vcvt"    "1111 1110 1D11 11kk dddd 101z s1M0 mmmm" V8 [D k d z s M m; cx] => Vfp(V::CvtRound { round: rounding(k), double: z == 1, signed: s == 1, d: sreg(d, D), m: vreg(z, m, M, cx)? });
};
