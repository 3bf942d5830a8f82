//! Advanced SIMD in the coprocessor space: transfers to and from core registers (conditional in A32), and the dot
//! products, matrix products and complex arithmetic of ARMv8.2 to 8.6, whose bits A32 and T32 share.

use super::*;
use crate::isa::operands::r;
use crate::isa::pattern::rows;

const DOT: Features = NEON.union(Features::DOTPROD);
const I8MM: Features = NEON.union(Features::I8MM);
const BF16: Features = NEON.union(Features::BF16);
const FHM: Features = NEON.union(Features::FHM);
const FCMA: Features = NEON.union(Features::FCMA);

/// VMOV of 8 and 16-bit lanes.
fn move_lane(to_core: bool, size: u8, u: u32, index: u32, t: u32, n: u32, cx: Context) -> Decode {
    Ok(Insn::Simd(Simd::MovLane {
        to_core,
        size,
        unsigned: u == 1,
        index: index as u8,
        d: dreg(vn(n), cx)?,
        rt: r(t),
    }))
}

/// b:e is 0 for 32, 1 for 16 and 2 for 8 bits.
fn dup(be: u32, q: u32, n: u32, t: u32, cx: Context) -> Decode {
    if be == 3 {
        return Err(Undefined);
    }
    Ok(Insn::Simd(Simd::DupCore {
        size: 2 - be as u8,
        q: q == 1,
        d: vreg(q, vn(n), cx)?,
        rt: r(t),
    }))
}

/// Half precision (0) or single precision (1).
fn complex_size(z: u32, cx: Context) -> Result<u8, Undecoded> {
    float(1 + z, cx)
}

fn complex_add(rotate: u16, z: u32, q: u32, (d, n, m): Registers, cx: Context) -> Decode {
    Ok(Insn::Simd(Simd::ComplexAdd {
        size: complex_size(z, cx)?,
        rotate,
        q: q == 1,
        d: vreg(q, d, cx)?,
        n: vreg(q, vn(n), cx)?,
        m: vreg(q, m, cx)?,
    }))
}

fn complex_mla(rotate: u32, z: u32, q: u32, (d, n, m): Registers, cx: Context) -> Decode {
    Ok(Insn::Simd(Simd::ComplexMla {
        size: complex_size(z, cx)?,
        rotate: rotate as u16 * 90,
        q: q == 1,
        d: vreg(q, d, cx)?,
        n: vreg(q, vn(n), cx)?,
        m: vreg(q, m, cx)?,
        index: None,
    }))
}

/// The scalar is a complex number of two halves (D0 to D15, two in each) or singles (any D register).
fn complex_mla_scalar(rotate: u32, z: u32, q: u32, (d, n, m): Registers, cx: Context) -> Decode {
    let (m, index) = if z == 0 { (m & 15, m >> 4) } else { (m, 0) };
    Ok(Insn::Simd(Simd::ComplexMla {
        size: complex_size(z, cx)?,
        rotate: rotate as u16 * 90,
        q: q == 1,
        d: vreg(q, d, cx)?,
        n: vreg(q, vn(n), cx)?,
        m: dreg(m, cx)?,
        index: Some(index as u8),
    }))
}

/// Signedness of n and m: (0, 0) for VSDOT, (1, 1) for VUDOT.
type Signs = (u32, u32);

fn dot((un, um): Signs, q: u32, (d, n, m): Registers, cx: Context) -> Decode {
    Ok(Insn::Simd(Simd::Dot {
        unsigned_n: un == 1,
        unsigned_m: um == 1,
        q: q == 1,
        d: vreg(q, d, cx)?,
        n: vreg(q, vn(n), cx)?,
        m: vreg(q, m, cx)?,
        index: None,
    }))
}

fn dot_scalar((un, um): Signs, q: u32, (d, n, m): Registers, cx: Context) -> Decode {
    let (m, index) = scalar(2, m);
    Ok(Insn::Simd(Simd::Dot {
        unsigned_n: un == 1,
        unsigned_m: um == 1,
        q: q == 1,
        d: vreg(q, d, cx)?,
        n: vreg(q, vn(n), cx)?,
        m,
        index: Some(index),
    }))
}

fn matmul((un, um): Signs, (d, n, m): Registers, cx: Context) -> Decode {
    Ok(Insn::Simd(Simd::MatMul {
        unsigned_n: un == 1,
        unsigned_m: um == 1,
        d: qreg(d, cx)?,
        n: qreg(vn(n), cx)?,
        m: qreg(m, cx)?,
    }))
}

fn bf_dot(q: u32, (d, n, m): Registers, cx: Context) -> Decode {
    Ok(Insn::Simd(Simd::BfDot {
        q: q == 1,
        d: vreg(q, d, cx)?,
        n: vreg(q, vn(n), cx)?,
        m: vreg(q, m, cx)?,
        index: None,
    }))
}

fn bf_dot_scalar(q: u32, (d, n, m): Registers, cx: Context) -> Decode {
    let (m, index) = scalar(2, m);
    Ok(Insn::Simd(Simd::BfDot {
        q: q == 1,
        d: vreg(q, d, cx)?,
        n: vreg(q, vn(n), cx)?,
        m,
        index: Some(index),
    }))
}

fn bf_matmul((d, n, m): Registers, cx: Context) -> Decode {
    Ok(Insn::Simd(Simd::BfMatMul {
        d: qreg(d, cx)?,
        n: qreg(vn(n), cx)?,
        m: qreg(m, cx)?,
    }))
}

fn bf_mlal(t: u32, (d, n, m): Registers, cx: Context) -> Decode {
    Ok(Insn::Simd(Simd::BfMlal {
        top: t == 1,
        d: qreg(d, cx)?,
        n: qreg(vn(n), cx)?,
        m: qreg(m, cx)?,
        index: None,
    }))
}

/// The scalar's lane is M:Vm<3>, its register Vm<2:0>.
fn bf_mlal_scalar(t: u32, (d, n, m): Registers, cx: Context) -> Decode {
    Ok(Insn::Simd(Simd::BfMlal {
        top: t == 1,
        d: qreg(d, cx)?,
        n: qreg(vn(n), cx)?,
        m: m as u8 & 7,
        index: Some(m as u8 >> 3),
    }))
}

/// VFMAL, VFMSL: the sources are S registers when the destination is a D register, D registers when it is a Q register.
fn half_mlal(s: u32, q: u32, (d, n, m): Registers, cx: Context) -> Decode {
    let (d, n, m) = match q {
        1 => (qreg(d, cx)?, dreg(vn(n), cx)?, dreg(m, cx)?),
        _ => (dreg(d, cx)?, n as u8, sreg(m)),
    };
    Ok(Insn::Simd(Simd::HalfMlal {
        sub: s == 1,
        q: q == 1,
        d,
        n,
        m,
        index: None,
    }))
}

/// The scalar is a half of S0 to S15 (Vm<2:0>:M, lane Vm<3>) or a quarter of D0 to D7 (Vm<2:0>, lane M:Vm<3>).
fn half_mlal_scalar(s: u32, q: u32, (d, n, m): Registers, cx: Context) -> Decode {
    let (d, n, m, index) = match q {
        1 => (qreg(d, cx)?, dreg(vn(n), cx)?, m & 7, m >> 3),
        _ => (dreg(d, cx)?, n as u8, (m & 7) << 1 | m >> 4, m >> 3 & 1),
    };
    Ok(Insn::Simd(Simd::HalfMlal {
        sub: s == 1,
        q: q == 1,
        d,
        n,
        m: m as u8,
        index: Some(index as u8),
    }))
}

#[rustfmt::skip]
pub const TRANSFER: &[Row] = rows! {
    "vmov"     "cccc 1110 01i0 nnnn tttt 1011 nii1 0000" NEON [i n t; cx] => move_lane(false, 0, 0, i, t, n, cx);
    "vmov"     "cccc 1110 00i0 nnnn tttt 1011 ni11 0000" NEON [i n t; cx] => move_lane(false, 1, 0, i, t, n, cx);
    "vmov"     "cccc 1110 u1i1 nnnn tttt 1011 nii1 0000" NEON [u i n t; cx] => move_lane(true, 0, u, i, t, n, cx);
    "vmov"     "cccc 1110 u0i1 nnnn tttt 1011 ni11 0000" NEON [u i n t; cx] => move_lane(true, 1, u, i, t, n, cx);
    "vdup"     "cccc 1110 1bq0 nnnn tttt 1011 n0b1 0000" NEON [b q n t; cx] => dup(b, q, n, t, cx);
};

#[rustfmt::skip]
pub const UNCONDITIONAL: &[Row] = rows! {
    "vcmla"    "1111 110r rd1z nnnn dddd 1000 nqm0 mmmm" FCMA [r d z n q m; cx] => complex_mla(r, z, q, (d, n, m), cx);
    "vcadd"    "1111 1100 1d0z nnnn dddd 1000 nqm0 mmmm" FCMA [d z n q m; cx] => complex_add(90, z, q, (d, n, m), cx);
    "vcadd"    "1111 1101 1d0z nnnn dddd 1000 nqm0 mmmm" FCMA [d z n q m; cx] => complex_add(270, z, q, (d, n, m), cx);
    "vcmla"    "1111 1110 zdrr nnnn dddd 1000 nqm0 mmmm" FCMA [z d r n q m; cx] => complex_mla_scalar(r, z, q, (d, n, m), cx);

    "vsdot"    "1111 1100 0d10 nnnn dddd 1101 nqm0 mmmm" DOT  [d n q m; cx] => dot((0, 0), q, (d, n, m), cx);
    "vudot"    "1111 1100 0d10 nnnn dddd 1101 nqm1 mmmm" DOT  [d n q m; cx] => dot((1, 1), q, (d, n, m), cx);
    "vusdot"   "1111 1100 1d10 nnnn dddd 1101 nqm0 mmmm" I8MM [d n q m; cx] => dot((1, 0), q, (d, n, m), cx);
    "vsdot"    "1111 1110 0d10 nnnn dddd 1101 nqm0 mmmm" DOT  [d n q m; cx] => dot_scalar((0, 0), q, (d, n, m), cx);
    "vudot"    "1111 1110 0d10 nnnn dddd 1101 nqm1 mmmm" DOT  [d n q m; cx] => dot_scalar((1, 1), q, (d, n, m), cx);
    "vusdot"   "1111 1110 1d00 nnnn dddd 1101 nqm0 mmmm" I8MM [d n q m; cx] => dot_scalar((1, 0), q, (d, n, m), cx);
    "vsudot"   "1111 1110 1d00 nnnn dddd 1101 nqm1 mmmm" I8MM [d n q m; cx] => dot_scalar((0, 1), q, (d, n, m), cx);
    "vsmmla"   "1111 1100 0d10 nnnn dddd 1100 n1m0 mmmm" I8MM [d n m; cx] => matmul((0, 0), (d, n, m), cx);
    "vummla"   "1111 1100 0d10 nnnn dddd 1100 n1m1 mmmm" I8MM [d n m; cx] => matmul((1, 1), (d, n, m), cx);
    "vusmmla"  "1111 1100 1d10 nnnn dddd 1100 n1m0 mmmm" I8MM [d n m; cx] => matmul((1, 0), (d, n, m), cx);

    "vdot"     "1111 1100 0d00 nnnn dddd 1101 nqm0 mmmm" BF16 [d n q m; cx] => bf_dot(q, (d, n, m), cx);
    "vdot"     "1111 1110 0d00 nnnn dddd 1101 nqm0 mmmm" BF16 [d n q m; cx] => bf_dot_scalar(q, (d, n, m), cx);
    "vmmla"    "1111 1100 0d00 nnnn dddd 1100 n1m0 mmmm" BF16 [d n m; cx] => bf_matmul((d, n, m), cx);
    "vfma"     "1111 1100 0d11 nnnn dddd 1000 ntm1 mmmm" BF16 [d n t m; cx] => bf_mlal(t, (d, n, m), cx);
    "vfma"     "1111 1110 0d11 nnnn dddd 1000 ntm1 mmmm" BF16 [d n t m; cx] => bf_mlal_scalar(t, (d, n, m), cx);

    "vfmal"    "1111 1100 0d10 nnnn dddd 1000 nqm1 mmmm" FHM  [d n q m; cx] => half_mlal(0, q, (d, n, m), cx);
    "vfmsl"    "1111 1100 1d10 nnnn dddd 1000 nqm1 mmmm" FHM  [d n q m; cx] => half_mlal(1, q, (d, n, m), cx);
    "vfmal"    "1111 1110 0d00 nnnn dddd 1000 nqm1 mmmm" FHM  [d n q m; cx] => half_mlal_scalar(0, q, (d, n, m), cx);
    "vfmsl"    "1111 1110 0d01 nnnn dddd 1000 nqm1 mmmm" FHM  [d n q m; cx] => half_mlal_scalar(1, q, (d, n, m), cx);
};
