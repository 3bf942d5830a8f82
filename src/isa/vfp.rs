//! The decoded form of VFP instructions, shared by A32 and T32.

use super::insn::{Cond, Reg};
use super::simd::Rounding;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum VfpArith {
    Vmla,
    Vmls,
    Vnmla,
    Vnmls,
    Vmul,
    Vnmul,
    Vadd,
    Vsub,
    Vdiv,
    Vfma,
    Vfms,
    Vfnma,
    Vfnms,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum VfpUnary {
    Vmov,
    Vabs,
    Vneg,
    Vsqrt,
}

/// VFP system registers reachable by VMRS/VMSR.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum VfpSys {
    Fpsid,
    Fpscr,
    Mvfr2,
    Mvfr1,
    Mvfr0,
    Fpexc,
}

/// VFP instructions. `d`, `n`, `m` are D-register numbers (0-31) when `double`, else S-register numbers (0-31).
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Vfp {
    Arith {
        op: VfpArith,
        double: bool,
        d: u8,
        n: u8,
        m: u8,
    },
    Unary {
        op: VfpUnary,
        double: bool,
        d: u8,
        m: u8,
    },
    /// VMOV (immediate); `bits` is the expanded value in the operand's width.
    MovImm {
        double: bool,
        d: u8,
        bits: u64,
    },
    /// VCMP / VCMPE (`signal`); `m` is `None` for the comparison with zero.
    Cmp {
        double: bool,
        signal: bool,
        d: u8,
        m: Option<u8>,
    },
    /// VCVT between single and double; `to_double` says which is the destination.
    CvtFloat {
        to_double: bool,
        d: u8,
        m: u8,
    },
    /// VCVT from a 32-bit integer in S`m`.
    CvtFromInt {
        double: bool,
        signed: bool,
        d: u8,
        m: u8,
    },
    /// VCVT (round towards zero) or VCVTR (FPSCR's mode) to a 32-bit integer in S`d`.
    CvtToInt {
        double: bool,
        signed: bool,
        round_zero: bool,
        d: u8,
        m: u8,
    },
    /// VCVT between floating point and fixed point in place; `size` is 16 or 32, `frac` the fraction bits.
    CvtFixed {
        to_fixed: bool,
        double: bool,
        signed: bool,
        size: u8,
        frac: u8,
        d: u8,
    },
    /// VCVTB/VCVTT between half (in an S register's `top` or bottom half) and single, or `double` (ARMv8).
    CvtHalf {
        to_half: bool,
        double: bool,
        top: bool,
        d: u8,
        m: u8,
    },
    Load {
        double: bool,
        d: u8,
        rn: Reg,
        offset: i32,
    },
    Store {
        double: bool,
        d: u8,
        rn: Reg,
        offset: i32,
    },
    /// VLDM/VPOP; `count` registers from `d`. `words` is the encoded imm8 (FLDMX transfers and writes back an odd number).
    LoadMultiple {
        double: bool,
        d: u8,
        count: u8,
        words: u8,
        rn: Reg,
        decrement: bool,
        writeback: bool,
    },
    StoreMultiple {
        double: bool,
        d: u8,
        count: u8,
        words: u8,
        rn: Reg,
        decrement: bool,
        writeback: bool,
    },
    /// VMOV between a core register and S`s`.
    MovCore {
        to_core: bool,
        rt: Reg,
        s: u8,
    },
    /// VMOV between two core registers and D`m`, or S`m` and S`m+1`.
    MovCore2 {
        to_core: bool,
        double: bool,
        rt: Reg,
        rt2: Reg,
        m: u8,
    },
    /// VMOV between a core register and the 32-bit lane `index` (0, 1) of D`d`.
    MovLane {
        to_core: bool,
        rt: Reg,
        d: u8,
        index: u8,
    },
    Mrs {
        rt: Reg,
        reg: VfpSys,
    },
    Msr {
        rt: Reg,
        reg: VfpSys,
    },

    // ARMv8.
    /// VSEL: `n` if `cond` (Eq, Vs, Ge or Gt, of the APSR) holds, else `m`.
    Select {
        cond: Cond,
        double: bool,
        d: u8,
        n: u8,
        m: u8,
    },
    /// VMAXNM, or VMINNM.
    MinMaxNm {
        max: bool,
        double: bool,
        d: u8,
        n: u8,
        m: u8,
    },
    /// VRINTA, VRINTN, VRINTP, VRINTM, VRINTZ, VRINTR; VRINTX is `exact`: it raises Inexact.
    Rint {
        round: Rounding,
        exact: bool,
        double: bool,
        d: u8,
        m: u8,
    },
    /// VCVTA, VCVTN, VCVTP, VCVTM to a 32-bit integer in S`d`.
    CvtRound {
        round: Rounding,
        double: bool,
        signed: bool,
        d: u8,
        m: u8,
    },
    /// VJCVT: D`m` to S`d`, modulo 2^32, Z of FPSCR set if it was exact (ARMv8.3).
    CvtJs {
        d: u8,
        m: u8,
    },
    /// VCVTB, VCVTT (`top`) of S`m` to bfloat16 in a half of S`d`.
    CvtBf16 {
        top: bool,
        d: u8,
        m: u8,
    },
    Half(VfpHalf),
}

/// Half-precision arithmetic of ARMv8.2. All numbers are S registers; operands are in their bottom halves, the top half
/// of a half-precision result is zero.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum VfpHalf {
    Arith {
        op: VfpArith,
        d: u8,
        n: u8,
        m: u8,
    },
    /// VABS, VNEG, VSQRT.
    Unary {
        op: VfpUnary,
        d: u8,
        m: u8,
    },
    MovImm {
        d: u8,
        bits: u16,
    },
    /// As [`Vfp::Cmp`].
    Cmp {
        signal: bool,
        d: u8,
        m: Option<u8>,
    },
    CvtFromInt {
        signed: bool,
        d: u8,
        m: u8,
    },
    /// VCVT (Zero), VCVTR (Fpscr), VCVTA, VCVTN, VCVTP, VCVTM to a 32-bit integer.
    CvtToInt {
        round: Rounding,
        signed: bool,
        d: u8,
        m: u8,
    },
    /// As [`Vfp::CvtFixed`].
    CvtFixed {
        to_fixed: bool,
        signed: bool,
        size: u8,
        frac: u8,
        d: u8,
    },
    Select {
        cond: Cond,
        d: u8,
        n: u8,
        m: u8,
    },
    MinMaxNm {
        max: bool,
        d: u8,
        n: u8,
        m: u8,
    },
    Rint {
        round: Rounding,
        exact: bool,
        d: u8,
        m: u8,
    },
    /// VLDR.16, VSTR.16.
    Load {
        d: u8,
        rn: Reg,
        offset: i32,
    },
    Store {
        d: u8,
        rn: Reg,
        offset: i32,
    },
    /// VMOV.F16 between a core register (zero-extended) and S`s`.
    MovCore {
        to_core: bool,
        rt: Reg,
        s: u8,
    },
    /// VMOVX: the top half of S`m`, zero-extended.
    MovX {
        d: u8,
        m: u8,
    },
    /// VINS: the bottom half of S`m` into the top half of S`d`.
    Ins {
        d: u8,
        m: u8,
    },
}
