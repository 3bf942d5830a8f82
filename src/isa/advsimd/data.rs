//! Three registers of the same length, of different lengths, and two registers and a scalar.

use super::*;
use crate::isa::pattern::rows;
use crate::isa::simd::{
    CryptoThree, CryptoThree::*, SimdHighHalf, SimdHighHalf::*, SimdLong, SimdLong::*, SimdThree::*,
};

const VFP4: Features = NEON.union(Features::VFP4);
const RDM: Features = NEON.union(Features::RDM);
const SHA1: Features = NEON.union(Features::SHA1);
const SHA2: Features = NEON.union(Features::SHA2);

fn crypto(op: CryptoThree, (d, n, m): Registers, cx: Context) -> Decode {
    Ok(Insn::Simd(Simd::CryptoThree {
        op,
        d: qreg(d, cx)?,
        n: qreg(vn(n), cx)?,
        m: qreg(m, cx)?,
    }))
}

fn long(op: SimdLong, sizes: u32, size: u32, u: u32, (d, n, m): Registers, cx: Context) -> Decode {
    Ok(Insn::Simd(Simd::Long {
        op,
        size: sized(size, sizes)?,
        unsigned: u == 1,
        d: qreg(d, cx)?,
        n: dreg(vn(n), cx)?,
        m: dreg(m, cx)?,
    }))
}

fn wide(sub: bool, size: u32, u: u32, (d, n, m): Registers, cx: Context) -> Decode {
    Ok(Insn::Simd(Simd::Wide {
        sub,
        size: sized(size, BHW)?,
        unsigned: u == 1,
        d: qreg(d, cx)?,
        n: qreg(vn(n), cx)?,
        m: dreg(m, cx)?,
    }))
}

fn high_half(op: SimdHighHalf, size: u32, (d, n, m): Registers, cx: Context) -> Decode {
    Ok(Insn::Simd(Simd::HighHalf {
        op,
        size: sized(size, BHW)?,
        d: dreg(d, cx)?,
        n: qreg(vn(n), cx)?,
        m: qreg(m, cx)?,
    }))
}

/// VMULL of polynomials: 8 bits, and 64 bits (size 2 of the encoding) where the model has it.
fn poly_long(size: u32, registers: Registers, cx: Context) -> Decode {
    match size {
        0 => long(PolyMull, B, 0, 0, registers, cx),
        2 if cx.features.contains(Features::PMULL) => long(PolyMull, D, 3, 0, registers, cx),
        _ => Err(Undefined),
    }
}

fn by_scalar(op: SimdThree, size: u32, q: u32, (d, n, m): Registers, cx: Context) -> Decode {
    let size = sized(size, HW)?;
    let (m, index) = scalar(size, m);
    Ok(Insn::Simd(Simd::ByScalar {
        op,
        size,
        q: q == 1,
        d: vreg(q, d, cx)?,
        n: vreg(q, vn(n), cx)?,
        m,
        index,
    }))
}

fn float_by_scalar(op: SimdThree, size: u32, q: u32, registers: Registers, cx: Context) -> Decode {
    by_scalar(op, u32::from(float(size, cx)?), q, registers, cx)
}

fn long_by_scalar(op: SimdLong, size: u32, u: u32, (d, n, m): Registers, cx: Context) -> Decode {
    let size = sized(size, HW)?;
    let (m, index) = scalar(size, m);
    Ok(Insn::Simd(Simd::LongByScalar {
        op,
        size,
        unsigned: u == 1,
        d: qreg(d, cx)?,
        n: dreg(vn(n), cx)?,
        m,
        index,
    }))
}

/// Three registers of the same length. The pairwise operations have no Q form.
#[rustfmt::skip]
pub const SAME: &[Row] = rows! {
    "vhadd"     "1111 001u 0dss nnnn dddd 0000 nqm0 mmmm" NEON [u d s n q m; cx] => three(Hadd, BHW, s, u, q, (d, n, m), cx);
    "vqadd"     "1111 001u 0dss nnnn dddd 0000 nqm1 mmmm" NEON [u d s n q m; cx] => three(Qadd, BHWD, s, u, q, (d, n, m), cx);
    "vrhadd"    "1111 001u 0dss nnnn dddd 0001 nqm0 mmmm" NEON [u d s n q m; cx] => three(Rhadd, BHW, s, u, q, (d, n, m), cx);
    "vand"      "1111 0010 0d00 nnnn dddd 0001 nqm1 mmmm" NEON [d n q m; cx] => three(And, B, 0, 0, q, (d, n, m), cx);
    "vbic"      "1111 0010 0d01 nnnn dddd 0001 nqm1 mmmm" NEON [d n q m; cx] => three(Bic, B, 0, 0, q, (d, n, m), cx);
    "vorr"      "1111 0010 0d10 nnnn dddd 0001 nqm1 mmmm" NEON [d n q m; cx] => three(Orr, B, 0, 0, q, (d, n, m), cx);
    "vorn"      "1111 0010 0d11 nnnn dddd 0001 nqm1 mmmm" NEON [d n q m; cx] => three(Orn, B, 0, 0, q, (d, n, m), cx);
    "veor"      "1111 0011 0d00 nnnn dddd 0001 nqm1 mmmm" NEON [d n q m; cx] => three(Eor, B, 0, 0, q, (d, n, m), cx);
    "vbsl"      "1111 0011 0d01 nnnn dddd 0001 nqm1 mmmm" NEON [d n q m; cx] => three(Bsl, B, 0, 0, q, (d, n, m), cx);
    "vbit"      "1111 0011 0d10 nnnn dddd 0001 nqm1 mmmm" NEON [d n q m; cx] => three(Bit, B, 0, 0, q, (d, n, m), cx);
    "vbif"      "1111 0011 0d11 nnnn dddd 0001 nqm1 mmmm" NEON [d n q m; cx] => three(Bif, B, 0, 0, q, (d, n, m), cx);
    "vhsub"     "1111 001u 0dss nnnn dddd 0010 nqm0 mmmm" NEON [u d s n q m; cx] => three(Hsub, BHW, s, u, q, (d, n, m), cx);
    "vqsub"     "1111 001u 0dss nnnn dddd 0010 nqm1 mmmm" NEON [u d s n q m; cx] => three(Qsub, BHWD, s, u, q, (d, n, m), cx);
    "vcgt"      "1111 001u 0dss nnnn dddd 0011 nqm0 mmmm" NEON [u d s n q m; cx] => three(Cgt, BHW, s, u, q, (d, n, m), cx);
    "vcge"      "1111 001u 0dss nnnn dddd 0011 nqm1 mmmm" NEON [u d s n q m; cx] => three(Cge, BHW, s, u, q, (d, n, m), cx);
    "vshl"      "1111 001u 0dss nnnn dddd 0100 nqm0 mmmm" NEON [u d s n q m; cx] => three(Shl, BHWD, s, u, q, (d, n, m), cx);
    "vqshl"     "1111 001u 0dss nnnn dddd 0100 nqm1 mmmm" NEON [u d s n q m; cx] => three(Qshl, BHWD, s, u, q, (d, n, m), cx);
    "vrshl"     "1111 001u 0dss nnnn dddd 0101 nqm0 mmmm" NEON [u d s n q m; cx] => three(Rshl, BHWD, s, u, q, (d, n, m), cx);
    "vqrshl"    "1111 001u 0dss nnnn dddd 0101 nqm1 mmmm" NEON [u d s n q m; cx] => three(Qrshl, BHWD, s, u, q, (d, n, m), cx);
    "vmax"      "1111 001u 0dss nnnn dddd 0110 nqm0 mmmm" NEON [u d s n q m; cx] => three(Max, BHW, s, u, q, (d, n, m), cx);
    "vmin"      "1111 001u 0dss nnnn dddd 0110 nqm1 mmmm" NEON [u d s n q m; cx] => three(Min, BHW, s, u, q, (d, n, m), cx);
    "vabd"      "1111 001u 0dss nnnn dddd 0111 nqm0 mmmm" NEON [u d s n q m; cx] => three(Abd, BHW, s, u, q, (d, n, m), cx);
    "vaba"      "1111 001u 0dss nnnn dddd 0111 nqm1 mmmm" NEON [u d s n q m; cx] => three(Aba, BHW, s, u, q, (d, n, m), cx);
    "vadd"      "1111 0010 0dss nnnn dddd 1000 nqm0 mmmm" NEON [d s n q m; cx] => three(Add, BHWD, s, 0, q, (d, n, m), cx);
    "vsub"      "1111 0011 0dss nnnn dddd 1000 nqm0 mmmm" NEON [d s n q m; cx] => three(Sub, BHWD, s, 0, q, (d, n, m), cx);
    "vtst"      "1111 0010 0dss nnnn dddd 1000 nqm1 mmmm" NEON [d s n q m; cx] => three(Tst, BHW, s, 0, q, (d, n, m), cx);
    "vceq"      "1111 0011 0dss nnnn dddd 1000 nqm1 mmmm" NEON [d s n q m; cx] => three(Ceq, BHW, s, 0, q, (d, n, m), cx);
    "vmla"      "1111 0010 0dss nnnn dddd 1001 nqm0 mmmm" NEON [d s n q m; cx] => three(Mla, BHW, s, 0, q, (d, n, m), cx);
    "vmls"      "1111 0011 0dss nnnn dddd 1001 nqm0 mmmm" NEON [d s n q m; cx] => three(Mls, BHW, s, 0, q, (d, n, m), cx);
    "vmul"      "1111 0010 0dss nnnn dddd 1001 nqm1 mmmm" NEON [d s n q m; cx] => three(Mul, BHW, s, 0, q, (d, n, m), cx);
    "vmul"      "1111 0011 0d00 nnnn dddd 1001 nqm1 mmmm" NEON [d n q m; cx] => three(PolyMul, B, 0, 0, q, (d, n, m), cx);
    "vpmax"     "1111 001u 0dss nnnn dddd 1010 n0m0 mmmm" NEON [u d s n m; cx] => three(Pmax, BHW, s, u, 0, (d, n, m), cx);
    "vpmin"     "1111 001u 0dss nnnn dddd 1010 n0m1 mmmm" NEON [u d s n m; cx] => three(Pmin, BHW, s, u, 0, (d, n, m), cx);
    "vqdmulh"   "1111 0010 0dss nnnn dddd 1011 nqm0 mmmm" NEON [d s n q m; cx] => three(Qdmulh, HW, s, 0, q, (d, n, m), cx);
    "vqrdmulh"  "1111 0011 0dss nnnn dddd 1011 nqm0 mmmm" NEON [d s n q m; cx] => three(Qrdmulh, HW, s, 0, q, (d, n, m), cx);
    "vpadd"     "1111 0010 0dss nnnn dddd 1011 n0m1 mmmm" NEON [d s n m; cx] => three(Padd, BHW, s, 0, 0, (d, n, m), cx);
    "vqrdmlah"  "1111 0011 0dss nnnn dddd 1011 nqm1 mmmm" RDM  [d s n q m; cx] => three(Qrdmlah, HW, s, 0, q, (d, n, m), cx);
    "vqrdmlsh"  "1111 0011 0dss nnnn dddd 1100 nqm1 mmmm" RDM  [d s n q m; cx] => three(Qrdmlsh, HW, s, 0, q, (d, n, m), cx);

    "sha1c"     "1111 0010 0d00 nnnn dddd 1100 n1m0 mmmm" SHA1 [d n m; cx] => crypto(Sha1c, (d, n, m), cx);
    "sha1p"     "1111 0010 0d01 nnnn dddd 1100 n1m0 mmmm" SHA1 [d n m; cx] => crypto(Sha1p, (d, n, m), cx);
    "sha1m"     "1111 0010 0d10 nnnn dddd 1100 n1m0 mmmm" SHA1 [d n m; cx] => crypto(Sha1m, (d, n, m), cx);
    "sha1su0"   "1111 0010 0d11 nnnn dddd 1100 n1m0 mmmm" SHA1 [d n m; cx] => crypto(Sha1su0, (d, n, m), cx);
    "sha256h"   "1111 0011 0d00 nnnn dddd 1100 n1m0 mmmm" SHA2 [d n m; cx] => crypto(Sha256h, (d, n, m), cx);
    "sha256h2"  "1111 0011 0d01 nnnn dddd 1100 n1m0 mmmm" SHA2 [d n m; cx] => crypto(Sha256h2, (d, n, m), cx);
    "sha256su1" "1111 0011 0d10 nnnn dddd 1100 n1m0 mmmm" SHA2 [d n m; cx] => crypto(Sha256su1, (d, n, m), cx);

    // Floating point: z is 0 for single and 1 for half precision.
    "vfma"      "1111 0010 0d0z nnnn dddd 1100 nqm1 mmmm" VFP4 [d z n q m; cx] => fthree(Fma, z, q, (d, n, m), cx);
    "vfms"      "1111 0010 0d1z nnnn dddd 1100 nqm1 mmmm" VFP4 [d z n q m; cx] => fthree(Fms, z, q, (d, n, m), cx);
    "vadd"      "1111 0010 0d0z nnnn dddd 1101 nqm0 mmmm" NEON [d z n q m; cx] => fthree(Fadd, z, q, (d, n, m), cx);
    "vsub"      "1111 0010 0d1z nnnn dddd 1101 nqm0 mmmm" NEON [d z n q m; cx] => fthree(Fsub, z, q, (d, n, m), cx);
    "vpadd"     "1111 0011 0d0z nnnn dddd 1101 n0m0 mmmm" NEON [d z n m; cx] => fthree(Fpadd, z, 0, (d, n, m), cx);
    "vabd"      "1111 0011 0d1z nnnn dddd 1101 nqm0 mmmm" NEON [d z n q m; cx] => fthree(Fabd, z, q, (d, n, m), cx);
    "vmla"      "1111 0010 0d0z nnnn dddd 1101 nqm1 mmmm" NEON [d z n q m; cx] => fthree(Fmla, z, q, (d, n, m), cx);
    "vmls"      "1111 0010 0d1z nnnn dddd 1101 nqm1 mmmm" NEON [d z n q m; cx] => fthree(Fmls, z, q, (d, n, m), cx);
    "vmul"      "1111 0011 0d0z nnnn dddd 1101 nqm1 mmmm" NEON [d z n q m; cx] => fthree(Fmul, z, q, (d, n, m), cx);
    "vceq"      "1111 0010 0d0z nnnn dddd 1110 nqm0 mmmm" NEON [d z n q m; cx] => fthree(Fceq, z, q, (d, n, m), cx);
    "vcge"      "1111 0011 0d0z nnnn dddd 1110 nqm0 mmmm" NEON [d z n q m; cx] => fthree(Fcge, z, q, (d, n, m), cx);
    "vcgt"      "1111 0011 0d1z nnnn dddd 1110 nqm0 mmmm" NEON [d z n q m; cx] => fthree(Fcgt, z, q, (d, n, m), cx);
    "vacge"     "1111 0011 0d0z nnnn dddd 1110 nqm1 mmmm" NEON [d z n q m; cx] => fthree(Facge, z, q, (d, n, m), cx);
    "vacgt"     "1111 0011 0d1z nnnn dddd 1110 nqm1 mmmm" NEON [d z n q m; cx] => fthree(Facgt, z, q, (d, n, m), cx);
    "vmax"      "1111 0010 0d0z nnnn dddd 1111 nqm0 mmmm" NEON [d z n q m; cx] => fthree(Fmax, z, q, (d, n, m), cx);
    "vmin"      "1111 0010 0d1z nnnn dddd 1111 nqm0 mmmm" NEON [d z n q m; cx] => fthree(Fmin, z, q, (d, n, m), cx);
    "vpmax"     "1111 0011 0d0z nnnn dddd 1111 n0m0 mmmm" NEON [d z n m; cx] => fthree(Fpmax, z, 0, (d, n, m), cx);
    "vpmin"     "1111 0011 0d1z nnnn dddd 1111 n0m0 mmmm" NEON [d z n m; cx] => fthree(Fpmin, z, 0, (d, n, m), cx);
    "vrecps"    "1111 0010 0d0z nnnn dddd 1111 nqm1 mmmm" NEON [d z n q m; cx] => fthree(Frecps, z, q, (d, n, m), cx);
    "vrsqrts"   "1111 0010 0d1z nnnn dddd 1111 nqm1 mmmm" NEON [d z n q m; cx] => fthree(Frsqrts, z, q, (d, n, m), cx);
    "vmaxnm"    "1111 0011 0d0z nnnn dddd 1111 nqm1 mmmm" V8   [d z n q m; cx] => fthree(Fmaxnm, z, q, (d, n, m), cx);
    "vminnm"    "1111 0011 0d1z nnnn dddd 1111 nqm1 mmmm" V8   [d z n q m; cx] => fthree(Fminnm, z, q, (d, n, m), cx);
};

/// Three registers of different lengths. Size 3 belongs to rows of a higher priority, or is UNDEFINED.
#[rustfmt::skip]
pub const LONG: &[Row] = rows! {
    "vaddl"     "1111 001u 1dss nnnn dddd 0000 n0m0 mmmm" NEON [u d s n m; cx] => long(Addl, BHW, s, u, (d, n, m), cx);
    "vaddw"     "1111 001u 1dss nnnn dddd 0001 n0m0 mmmm" NEON [u d s n m; cx] => wide(false, s, u, (d, n, m), cx);
    "vsubl"     "1111 001u 1dss nnnn dddd 0010 n0m0 mmmm" NEON [u d s n m; cx] => long(Subl, BHW, s, u, (d, n, m), cx);
    "vsubw"     "1111 001u 1dss nnnn dddd 0011 n0m0 mmmm" NEON [u d s n m; cx] => wide(true, s, u, (d, n, m), cx);
    "vaddhn"    "1111 0010 1dss nnnn dddd 0100 n0m0 mmmm" NEON [d s n m; cx] => high_half(Addhn, s, (d, n, m), cx);
    "vraddhn"   "1111 0011 1dss nnnn dddd 0100 n0m0 mmmm" NEON [d s n m; cx] => high_half(Raddhn, s, (d, n, m), cx);
    "vabal"     "1111 001u 1dss nnnn dddd 0101 n0m0 mmmm" NEON [u d s n m; cx] => long(Abal, BHW, s, u, (d, n, m), cx);
    "vsubhn"    "1111 0010 1dss nnnn dddd 0110 n0m0 mmmm" NEON [d s n m; cx] => high_half(Subhn, s, (d, n, m), cx);
    "vrsubhn"   "1111 0011 1dss nnnn dddd 0110 n0m0 mmmm" NEON [d s n m; cx] => high_half(Rsubhn, s, (d, n, m), cx);
    "vabdl"     "1111 001u 1dss nnnn dddd 0111 n0m0 mmmm" NEON [u d s n m; cx] => long(Abdl, BHW, s, u, (d, n, m), cx);
    "vmlal"     "1111 001u 1dss nnnn dddd 1000 n0m0 mmmm" NEON [u d s n m; cx] => long(Mlal, BHW, s, u, (d, n, m), cx);
    "vqdmlal"   "1111 0010 1dss nnnn dddd 1001 n0m0 mmmm" NEON [d s n m; cx] => long(Qdmlal, HW, s, 0, (d, n, m), cx);
    "vmlsl"     "1111 001u 1dss nnnn dddd 1010 n0m0 mmmm" NEON [u d s n m; cx] => long(Mlsl, BHW, s, u, (d, n, m), cx);
    "vqdmlsl"   "1111 0010 1dss nnnn dddd 1011 n0m0 mmmm" NEON [d s n m; cx] => long(Qdmlsl, HW, s, 0, (d, n, m), cx);
    "vmull"     "1111 001u 1dss nnnn dddd 1100 n0m0 mmmm" NEON [u d s n m; cx] => long(Mull, BHW, s, u, (d, n, m), cx);
    "vqdmull"   "1111 0010 1dss nnnn dddd 1101 n0m0 mmmm" NEON [d s n m; cx] => long(Qdmull, HW, s, 0, (d, n, m), cx);
    "vmull"     "1111 0010 1dss nnnn dddd 1110 n0m0 mmmm" NEON [d s n m; cx] => poly_long(s, (d, n, m), cx);
};

/// Two registers and a scalar. Size 3 as above.
#[rustfmt::skip]
pub const SCALAR: &[Row] = rows! {
    "vmla"      "1111 001q 1dss nnnn dddd 0000 n1m0 mmmm" NEON [q d s n m; cx] => by_scalar(Mla, s, q, (d, n, m), cx);
    "vmla"      "1111 001q 1dss nnnn dddd 0001 n1m0 mmmm" NEON [q d s n m; cx] => float_by_scalar(Fmla, s, q, (d, n, m), cx);
    "vmlal"     "1111 001u 1dss nnnn dddd 0010 n1m0 mmmm" NEON [u d s n m; cx] => long_by_scalar(Mlal, s, u, (d, n, m), cx);
    "vqdmlal"   "1111 0010 1dss nnnn dddd 0011 n1m0 mmmm" NEON [d s n m; cx] => long_by_scalar(Qdmlal, s, 0, (d, n, m), cx);
    "vmls"      "1111 001q 1dss nnnn dddd 0100 n1m0 mmmm" NEON [q d s n m; cx] => by_scalar(Mls, s, q, (d, n, m), cx);
    "vmls"      "1111 001q 1dss nnnn dddd 0101 n1m0 mmmm" NEON [q d s n m; cx] => float_by_scalar(Fmls, s, q, (d, n, m), cx);
    "vmlsl"     "1111 001u 1dss nnnn dddd 0110 n1m0 mmmm" NEON [u d s n m; cx] => long_by_scalar(Mlsl, s, u, (d, n, m), cx);
    "vqdmlsl"   "1111 0010 1dss nnnn dddd 0111 n1m0 mmmm" NEON [d s n m; cx] => long_by_scalar(Qdmlsl, s, 0, (d, n, m), cx);
    "vmul"      "1111 001q 1dss nnnn dddd 1000 n1m0 mmmm" NEON [q d s n m; cx] => by_scalar(Mul, s, q, (d, n, m), cx);
    "vmul"      "1111 001q 1dss nnnn dddd 1001 n1m0 mmmm" NEON [q d s n m; cx] => float_by_scalar(Fmul, s, q, (d, n, m), cx);
    "vmull"     "1111 001u 1dss nnnn dddd 1010 n1m0 mmmm" NEON [u d s n m; cx] => long_by_scalar(Mull, s, u, (d, n, m), cx);
    "vqdmull"   "1111 0010 1dss nnnn dddd 1011 n1m0 mmmm" NEON [d s n m; cx] => long_by_scalar(Qdmull, s, 0, (d, n, m), cx);
    "vqdmulh"   "1111 001q 1dss nnnn dddd 1100 n1m0 mmmm" NEON [q d s n m; cx] => by_scalar(Qdmulh, s, q, (d, n, m), cx);
    "vqrdmulh"  "1111 001q 1dss nnnn dddd 1101 n1m0 mmmm" NEON [q d s n m; cx] => by_scalar(Qrdmulh, s, q, (d, n, m), cx);
    "vqrdmlah"  "1111 001q 1dss nnnn dddd 1110 n1m0 mmmm" RDM  [q d s n m; cx] => by_scalar(Qrdmlah, s, q, (d, n, m), cx);
    "vqrdmlsh"  "1111 001q 1dss nnnn dddd 1111 n1m0 mmmm" RDM  [q d s n m; cx] => by_scalar(Qrdmlsh, s, q, (d, n, m), cx);
};
