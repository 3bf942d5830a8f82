//! VEXT, VTBL, VDUP (scalar), and two registers, miscellaneous: what has size 3 in the space of three registers of
//! different lengths.

use super::*;
use crate::isa::pattern::rows;
use crate::isa::simd::{CryptoTwo, CryptoTwo::*, Rounding, Rounding::*, SimdNarrow, SimdPermute, SimdTwo::*};

const FP16: Features = NEON.union(Features::FP16);
const BF16: Features = NEON.union(Features::BF16);
const AES: Features = NEON.union(Features::AES);
const SHA1: Features = NEON.union(Features::SHA1);
const SHA2: Features = NEON.union(Features::SHA2);

fn ext(start: u32, q: u32, (d, n, m): Registers, cx: Context) -> Decode {
    if q == 0 && start > 7 {
        return Err(Undefined);
    }
    Ok(Insn::Simd(Simd::Ext {
        start: start as u8,
        q: q == 1,
        d: vreg(q, d, cx)?,
        n: vreg(q, vn(n), cx)?,
        m: vreg(q, m, cx)?,
    }))
}

/// A table that goes past the last register is UNPREDICTABLE, and UNDEFINED here.
fn table(keep: bool, len: u32, (d, n, m): Registers, cx: Context) -> Decode {
    let (len, n) = (len + 1, vn(n));
    if n + len > 32 {
        return Err(Unpredictable);
    }
    dreg(n + len - 1, cx)?;
    Ok(Insn::Simd(Simd::Table {
        keep,
        len: len as u8,
        d: dreg(d, cx)?,
        n: dreg(n, cx)?,
        m: dreg(m, cx)?,
    }))
}

/// imm4 is the lane and, below it, a one and as many zeros as log2 of the lane's bytes.
fn dup(imm4: u32, q: u32, (d, m): (u32, u32), cx: Context) -> Decode {
    let size = sized(imm4.trailing_zeros().min(3), BHW)?;
    Ok(Insn::Simd(Simd::DupScalar {
        size,
        index: (imm4 >> (size + 1)) as u8,
        q: q == 1,
        d: vreg(q, d, cx)?,
        m: dreg(m, cx)?,
    }))
}

fn crypto(op: CryptoTwo, size: u32, s: u32, (d, m): (u32, u32), cx: Context) -> Decode {
    if s != size {
        return Err(Undefined);
    }
    Ok(Insn::Simd(Simd::CryptoTwo {
        op,
        d: qreg(d, cx)?,
        m: qreg(m, cx)?,
    }))
}

/// VUZP and VZIP have no 32-bit lanes in D registers (VTRN does the same).
fn permute(op: SimdPermute, sizes: u32, size: u32, q: u32, (d, m): (u32, u32), cx: Context) -> Decode {
    Ok(Insn::Simd(Simd::Permute {
        op,
        size: sized(size, sizes)?,
        q: q == 1,
        d: vreg(q, d, cx)?,
        m: vreg(q, m, cx)?,
    }))
}

/// VMOVN, VQMOVN, VQMOVUN: narrowing shifts by 0.
fn narrow(op: SimdNarrow, size: u32, u: u32, (d, m): (u32, u32), cx: Context) -> Decode {
    Ok(Insn::Simd(Simd::Narrow {
        op,
        size: sized(size, BHW)?,
        unsigned: u == 1,
        amount: 0,
        d: dreg(d, cx)?,
        m: qreg(m, cx)?,
    }))
}

/// VSHLL by the lane's bits.
fn shift_long(size: u32, (d, m): (u32, u32), cx: Context) -> Decode {
    let size = sized(size, BHW)?;
    Ok(Insn::Simd(Simd::ShiftLong {
        size,
        unsigned: false,
        amount: 8 << size,
        d: qreg(d, cx)?,
        m: dreg(m, cx)?,
    }))
}

fn rint(round: Rounding, exact: bool, size: u32, q: u32, (d, m): (u32, u32), cx: Context) -> Decode {
    Ok(Insn::Simd(Simd::Rint {
        size: float(size, cx)?,
        round,
        exact,
        q: q == 1,
        d: vreg(q, d, cx)?,
        m: vreg(q, m, cx)?,
    }))
}

fn to_int(round: Rounding, size: u32, u: u32, q: u32, (d, m): (u32, u32), cx: Context) -> Decode {
    Ok(Insn::Simd(Simd::ToInt {
        size: float(size, cx)?,
        unsigned: u == 1,
        round,
        q: q == 1,
        d: vreg(q, d, cx)?,
        m: vreg(q, m, cx)?,
    }))
}

fn from_int(size: u32, u: u32, q: u32, (d, m): (u32, u32), cx: Context) -> Decode {
    Ok(Insn::Simd(Simd::FromInt {
        size: float(size, cx)?,
        unsigned: u == 1,
        q: q == 1,
        d: vreg(q, d, cx)?,
        m: vreg(q, m, cx)?,
    }))
}

fn convert(bfloat: bool, s: u32, (d, m): (u32, u32), cx: Context) -> Decode {
    sized(s, H)?;
    let (d, m) = (dreg(d, cx)?, qreg(m, cx)?);
    Ok(Insn::Simd(match bfloat {
        true => Simd::ToBf16 { d, m },
        false => Simd::ToHalf { d, m },
    }))
}

fn from_half(s: u32, (d, m): (u32, u32), cx: Context) -> Decode {
    sized(s, H)?;
    Ok(Insn::Simd(Simd::FromHalf {
        d: qreg(d, cx)?,
        m: dreg(m, cx)?,
    }))
}

#[rustfmt::skip]
pub const ROWS: &[Row] = rows! {
    "vext"      "1111 0010 1d11 nnnn dddd iiii nqm0 mmmm" NEON ^1 [d n i q m; cx] => ext(i, q, (d, n, m), cx);
    "vtbl"      "1111 0011 1d11 nnnn dddd 10ll n0m0 mmmm" NEON ^1 [d n l m; cx] => table(false, l, (d, n, m), cx);
    "vtbx"      "1111 0011 1d11 nnnn dddd 10ll n1m0 mmmm" NEON ^1 [d n l m; cx] => table(true, l, (d, n, m), cx);
    "vdup"      "1111 0011 1d11 iiii dddd 1100 0qm0 mmmm" NEON ^1 [d i q m; cx] => dup(i, q, (d, m), cx);

    "vrev64"    "1111 0011 1d11 ss00 dddd 0000 0qm0 mmmm" NEON ^1 [d s q m; cx] => two(Rev64, BHW, s, 0, q, (d, m), cx);
    "vrev32"    "1111 0011 1d11 ss00 dddd 0000 1qm0 mmmm" NEON ^1 [d s q m; cx] => two(Rev32, BH, s, 0, q, (d, m), cx);
    "vrev16"    "1111 0011 1d11 ss00 dddd 0001 0qm0 mmmm" NEON ^1 [d s q m; cx] => two(Rev16, B, s, 0, q, (d, m), cx);
    "vpaddl"    "1111 0011 1d11 ss00 dddd 0010 uqm0 mmmm" NEON ^1 [d s u q m; cx] => two(Paddl, BHW, s, u, q, (d, m), cx);
    "aese"      "1111 0011 1d11 ss00 dddd 0011 00m0 mmmm" AES  ^1 [d s m; cx] => crypto(Aese, 0, s, (d, m), cx);
    "aesd"      "1111 0011 1d11 ss00 dddd 0011 01m0 mmmm" AES  ^1 [d s m; cx] => crypto(Aesd, 0, s, (d, m), cx);
    "aesmc"     "1111 0011 1d11 ss00 dddd 0011 10m0 mmmm" AES  ^1 [d s m; cx] => crypto(Aesmc, 0, s, (d, m), cx);
    "aesimc"    "1111 0011 1d11 ss00 dddd 0011 11m0 mmmm" AES  ^1 [d s m; cx] => crypto(Aesimc, 0, s, (d, m), cx);
    "vcls"      "1111 0011 1d11 ss00 dddd 0100 0qm0 mmmm" NEON ^1 [d s q m; cx] => two(Cls, BHW, s, 0, q, (d, m), cx);
    "vclz"      "1111 0011 1d11 ss00 dddd 0100 1qm0 mmmm" NEON ^1 [d s q m; cx] => two(Clz, BHW, s, 0, q, (d, m), cx);
    "vcnt"      "1111 0011 1d11 ss00 dddd 0101 0qm0 mmmm" NEON ^1 [d s q m; cx] => two(Cnt, B, s, 0, q, (d, m), cx);
    "vmvn"      "1111 0011 1d11 ss00 dddd 0101 1qm0 mmmm" NEON ^1 [d s q m; cx] => two(Mvn, B, s, 0, q, (d, m), cx);
    "vpadal"    "1111 0011 1d11 ss00 dddd 0110 uqm0 mmmm" NEON ^1 [d s u q m; cx] => two(Padal, BHW, s, u, q, (d, m), cx);
    "vqabs"     "1111 0011 1d11 ss00 dddd 0111 0qm0 mmmm" NEON ^1 [d s q m; cx] => two(Qabs, BHW, s, 0, q, (d, m), cx);
    "vqneg"     "1111 0011 1d11 ss00 dddd 0111 1qm0 mmmm" NEON ^1 [d s q m; cx] => two(Qneg, BHW, s, 0, q, (d, m), cx);

    "vcgt"      "1111 0011 1d11 ss01 dddd 0000 0qm0 mmmm" NEON ^1 [d s q m; cx] => two(CgtZero, BHW, s, 0, q, (d, m), cx);
    "vcge"      "1111 0011 1d11 ss01 dddd 0000 1qm0 mmmm" NEON ^1 [d s q m; cx] => two(CgeZero, BHW, s, 0, q, (d, m), cx);
    "vceq"      "1111 0011 1d11 ss01 dddd 0001 0qm0 mmmm" NEON ^1 [d s q m; cx] => two(CeqZero, BHW, s, 0, q, (d, m), cx);
    "vcle"      "1111 0011 1d11 ss01 dddd 0001 1qm0 mmmm" NEON ^1 [d s q m; cx] => two(CleZero, BHW, s, 0, q, (d, m), cx);
    "vclt"      "1111 0011 1d11 ss01 dddd 0010 0qm0 mmmm" NEON ^1 [d s q m; cx] => two(CltZero, BHW, s, 0, q, (d, m), cx);
    "sha1h"     "1111 0011 1d11 ss01 dddd 0010 11m0 mmmm" SHA1 ^1 [d s m; cx] => crypto(Sha1h, 2, s, (d, m), cx);
    "vabs"      "1111 0011 1d11 ss01 dddd 0011 0qm0 mmmm" NEON ^1 [d s q m; cx] => two(Abs, BHW, s, 0, q, (d, m), cx);
    "vneg"      "1111 0011 1d11 ss01 dddd 0011 1qm0 mmmm" NEON ^1 [d s q m; cx] => two(Neg, BHW, s, 0, q, (d, m), cx);
    "vcgt"      "1111 0011 1d11 ss01 dddd 0100 0qm0 mmmm" NEON ^1 [d s q m; cx] => ftwo(FcgtZero, s, q, (d, m), cx);
    "vcge"      "1111 0011 1d11 ss01 dddd 0100 1qm0 mmmm" NEON ^1 [d s q m; cx] => ftwo(FcgeZero, s, q, (d, m), cx);
    "vceq"      "1111 0011 1d11 ss01 dddd 0101 0qm0 mmmm" NEON ^1 [d s q m; cx] => ftwo(FceqZero, s, q, (d, m), cx);
    "vcle"      "1111 0011 1d11 ss01 dddd 0101 1qm0 mmmm" NEON ^1 [d s q m; cx] => ftwo(FcleZero, s, q, (d, m), cx);
    "vclt"      "1111 0011 1d11 ss01 dddd 0110 0qm0 mmmm" NEON ^1 [d s q m; cx] => ftwo(FcltZero, s, q, (d, m), cx);
    "vabs"      "1111 0011 1d11 ss01 dddd 0111 0qm0 mmmm" NEON ^1 [d s q m; cx] => ftwo(Fabs, s, q, (d, m), cx);
    "vneg"      "1111 0011 1d11 ss01 dddd 0111 1qm0 mmmm" NEON ^1 [d s q m; cx] => ftwo(Fneg, s, q, (d, m), cx);

    "vswp"      "1111 0011 1d11 ss10 dddd 0000 0qm0 mmmm" NEON ^1 [d s q m; cx] => permute(SimdPermute::Swp, B, s, q, (d, m), cx);
    "vtrn"      "1111 0011 1d11 ss10 dddd 0000 1qm0 mmmm" NEON ^1 [d s q m; cx] => permute(SimdPermute::Trn, BHW, s, q, (d, m), cx);
    "vuzp"      "1111 0011 1d11 ss10 dddd 0001 0qm0 mmmm" NEON ^1 [d s q m; cx] => permute(SimdPermute::Uzp, BH | q << 2, s, q, (d, m), cx);
    "vzip"      "1111 0011 1d11 ss10 dddd 0001 1qm0 mmmm" NEON ^1 [d s q m; cx] => permute(SimdPermute::Zip, BH | q << 2, s, q, (d, m), cx);
    "vmovn"     "1111 0011 1d11 ss10 dddd 0010 00m0 mmmm" NEON ^1 [d s m; cx] => narrow(SimdNarrow::Shrn, s, 0, (d, m), cx);
    "vqmovun"   "1111 0011 1d11 ss10 dddd 0010 01m0 mmmm" NEON ^1 [d s m; cx] => narrow(SimdNarrow::Qshrun, s, 0, (d, m), cx);
    "vqmovn"    "1111 0011 1d11 ss10 dddd 0010 1um0 mmmm" NEON ^1 [d s u m; cx] => narrow(SimdNarrow::Qshrn, s, u, (d, m), cx);
    "vshll"     "1111 0011 1d11 ss10 dddd 0011 00m0 mmmm" NEON ^1 [d s m; cx] => shift_long(s, (d, m), cx);
    "sha1su1"   "1111 0011 1d11 ss10 dddd 0011 10m0 mmmm" SHA1 ^1 [d s m; cx] => crypto(Sha1su1, 2, s, (d, m), cx);
    "sha256su0" "1111 0011 1d11 ss10 dddd 0011 11m0 mmmm" SHA2 ^1 [d s m; cx] => crypto(Sha256su0, 2, s, (d, m), cx);
    "vrintn"    "1111 0011 1d11 ss10 dddd 0100 0qm0 mmmm" V8   ^1 [d s q m; cx] => rint(NearestEven, false, s, q, (d, m), cx);
    "vrintx"    "1111 0011 1d11 ss10 dddd 0100 1qm0 mmmm" V8   ^1 [d s q m; cx] => rint(NearestEven, true, s, q, (d, m), cx);
    "vrinta"    "1111 0011 1d11 ss10 dddd 0101 0qm0 mmmm" V8   ^1 [d s q m; cx] => rint(NearestAway, false, s, q, (d, m), cx);
    "vrintz"    "1111 0011 1d11 ss10 dddd 0101 1qm0 mmmm" V8   ^1 [d s q m; cx] => rint(Zero, false, s, q, (d, m), cx);
    "vcvt"      "1111 0011 1d11 ss10 dddd 0110 00m0 mmmm" FP16 ^1 [d s m; cx] => convert(false, s, (d, m), cx);
    "vcvt"      "1111 0011 1d11 ss10 dddd 0110 01m0 mmmm" BF16 ^1 [d s m; cx] => convert(true, s, (d, m), cx);
    "vrintm"    "1111 0011 1d11 ss10 dddd 0110 1qm0 mmmm" V8   ^1 [d s q m; cx] => rint(MinusInf, false, s, q, (d, m), cx);
    "vcvt"      "1111 0011 1d11 ss10 dddd 0111 00m0 mmmm" FP16 ^1 [d s m; cx] => from_half(s, (d, m), cx);
    "vrintp"    "1111 0011 1d11 ss10 dddd 0111 1qm0 mmmm" V8   ^1 [d s q m; cx] => rint(PlusInf, false, s, q, (d, m), cx);

    "vcvta"     "1111 0011 1d11 ss11 dddd 0000 uqm0 mmmm" V8   ^1 [d s u q m; cx] => to_int(NearestAway, s, u, q, (d, m), cx);
    "vcvtn"     "1111 0011 1d11 ss11 dddd 0001 uqm0 mmmm" V8   ^1 [d s u q m; cx] => to_int(NearestEven, s, u, q, (d, m), cx);
    "vcvtp"     "1111 0011 1d11 ss11 dddd 0010 uqm0 mmmm" V8   ^1 [d s u q m; cx] => to_int(PlusInf, s, u, q, (d, m), cx);
    "vcvtm"     "1111 0011 1d11 ss11 dddd 0011 uqm0 mmmm" V8   ^1 [d s u q m; cx] => to_int(MinusInf, s, u, q, (d, m), cx);
    "vrecpe"    "1111 0011 1d11 ss11 dddd 0100 0qm0 mmmm" NEON ^1 [d s q m; cx] => two(Recpe, W, s, 1, q, (d, m), cx);
    "vrsqrte"   "1111 0011 1d11 ss11 dddd 0100 1qm0 mmmm" NEON ^1 [d s q m; cx] => two(Rsqrte, W, s, 1, q, (d, m), cx);
    "vrecpe"    "1111 0011 1d11 ss11 dddd 0101 0qm0 mmmm" NEON ^1 [d s q m; cx] => ftwo(Frecpe, s, q, (d, m), cx);
    "vrsqrte"   "1111 0011 1d11 ss11 dddd 0101 1qm0 mmmm" NEON ^1 [d s q m; cx] => ftwo(Frsqrte, s, q, (d, m), cx);
    "vcvt"      "1111 0011 1d11 ss11 dddd 0110 uqm0 mmmm" NEON ^1 [d s u q m; cx] => from_int(s, u, q, (d, m), cx);
    "vcvt"      "1111 0011 1d11 ss11 dddd 0111 uqm0 mmmm" NEON ^1 [d s u q m; cx] => to_int(Zero, s, u, q, (d, m), cx);
};
