//! VFP: scalar arithmetic, conversions, moves, loads and stores, and the VFP system registers.

use super::{Flow, Lifter, vfp_vector};
use crate::cpu::model::Features;
use crate::ir::ops::{Flags, Inst, Op, Value};
use crate::ir::vector::{RoundTo, Shape};
use crate::isa::insn::{Reg, Vfp, VfpArith, VfpSys, VfpUnary};
use crate::isa::simd::Rounding;

/// Whether a VFP instruction ends the block.
pub(crate) fn ends_block(vfp: &Vfp, features: Features) -> bool {
    match *vfp {
        Vfp::Mrs { reg, .. } => match reg {
            VfpSys::Fpscr => false,
            VfpSys::Fpsid => !fpsid_is_readable(features),
            VfpSys::Mvfr0 | VfpSys::Mvfr1 | VfpSys::Mvfr2 | VfpSys::Fpexc => true,
        },
        Vfp::Msr { reg, .. } => reg != VfpSys::Fpsid || !fpsid_is_readable(features),
        _ => false,
    }
}

/// User mode may read FPSID (and write it to no effect) up to VFPv2; later it is privileged, as the MVFRs and FPEXC
/// always are (DDI 0406C B4.1.58; QEMU's translate-vfp.c agrees).
fn fpsid_is_readable(features: Features) -> bool {
    !features.contains(Features::VFP3)
}

/// The rounding as operations name it.
pub(crate) fn round_to(round: Rounding) -> RoundTo {
    match round {
        Rounding::NearestAway => RoundTo::NearestAway,
        Rounding::NearestEven => RoundTo::NearestEven,
        Rounding::PlusInf => RoundTo::PlusInf,
        Rounding::MinusInf => RoundTo::MinusInf,
        Rounding::Zero => RoundTo::Zero,
        Rounding::Fpscr => RoundTo::Fpscr,
    }
}

/// Results of a short vector operation with their destination registers; eight at most.
#[derive(Default)]
struct Elements {
    len: usize,
    items: [(u8, Option<Value>); 8],
}

impl Elements {
    fn push(&mut self, d: u8, v: Value) {
        if let Some(item) = self.items.get_mut(self.len) {
            *item = (d, Some(v));
            self.len += 1;
        }
    }
}

impl Lifter<'_> {
    fn set_elements(&mut self, double: bool, results: &Elements) {
        for &(d, v) in &results.items[..results.len] {
            if let Some(v) = v {
                self.set_fp(double, d, v);
            }
        }
    }

    /// S or D register by width.
    pub fn get_fp(&mut self, double: bool, r: u8) -> Value {
        if double { self.b.get_d(r) } else { self.b.get_s(r) }
    }

    pub fn set_fp(&mut self, double: bool, r: u8, v: Value) {
        if double {
            self.b.set_d(r, v);
        } else {
            self.b.set_s(r, v);
        }
    }

    /// The single- or double-precision form of an operation.
    fn width(double: bool, single: Op, wide: Op) -> Op {
        if double { wide } else { single }
    }

    fn fneg(&mut self, double: bool, v: Value) -> Value {
        self.b.op1(Self::width(double, Op::FNeg32, Op::FNeg64), v)
    }

    /// One element of a three-register operation; `acc` gives the destination's old value where it is read.
    pub fn fp_arith(&mut self, op: VfpArith, double: bool, acc: u8, n: Value, m: Value) -> Value {
        use VfpArith::*;
        let add = Self::width(double, Op::FAdd32, Op::FAdd64);
        let mul = Self::width(double, Op::FMul32, Op::FMul64);
        let fma = Self::width(double, Op::FMa32, Op::FMa64);
        match op {
            Vmul => self.b.op2(mul, n, m),
            Vnmul => {
                let p = self.b.op2(mul, n, m);
                self.fneg(double, p)
            }
            Vadd => self.b.op2(add, n, m),
            Vsub => self.b.op2(Self::width(double, Op::FSub32, Op::FSub64), n, m),
            Vdiv => self.b.op2(Self::width(double, Op::FDiv32, Op::FDiv64), n, m),
            // Not fused: the product is rounded. Order and signs are those of the pseudocode, for NaNs' sake.
            Vmla | Vmls | Vnmla | Vnmls => {
                let d = self.get_fp(double, acc);
                let p = self.b.op2(mul, n, m);
                let d = if matches!(op, Vnmla | Vnmls) {
                    self.fneg(double, d)
                } else {
                    d
                };
                let p = if matches!(op, Vmls | Vnmla) {
                    self.fneg(double, p)
                } else {
                    p
                };
                self.b.op2(add, d, p)
            }
            Vfma | Vfms | Vfnma | Vfnms => {
                let d = self.get_fp(double, acc);
                let d = if matches!(op, Vfnma | Vfnms) {
                    self.fneg(double, d)
                } else {
                    d
                };
                let n = if matches!(op, Vfms | Vfnma) {
                    self.fneg(double, n)
                } else {
                    n
                };
                self.b.op3(fma, d, n, m)
            }
        }
    }

    pub fn fp_unary(&mut self, op: VfpUnary, double: bool, v: Value) -> Value {
        match op {
            VfpUnary::Vmov => v,
            VfpUnary::Vabs => self.b.op1(Self::width(double, Op::FAbs32, Op::FAbs64), v),
            VfpUnary::Vneg => self.fneg(double, v),
            VfpUnary::Vsqrt => self.b.op1(Self::width(double, Op::FSqrt32, Op::FSqrt64), v),
        }
    }

    pub fn fp_const(&mut self, double: bool, bits: u64) -> Value {
        if double {
            let v = self.b.const64(bits);
            self.b.op1(Op::BitsToF64, v)
        } else {
            let v = self.b.iconst(bits as u32);
            self.b.op1(Op::BitsToF32, v)
        }
    }

    pub(super) fn s_bits(&mut self, s: u8) -> Value {
        let v = self.b.get_s(s);
        self.b.op1(Op::F32ToBits, v)
    }

    pub(super) fn set_s_bits(&mut self, s: u8, bits: Value) {
        let v = self.b.op1(Op::BitsToF32, bits);
        self.b.set_s(s, v);
    }

    fn set_d_bits(&mut self, d: u8, lo: Value, hi: Value) {
        let v = self.b.op2(Op::Concat, lo, hi);
        let v = self.b.op1(Op::BitsToF64, v);
        self.b.set_d(d, v);
    }

    fn convert(&mut self, op: Op, a: Value, aux: u8) -> Value {
        self.b.push(Inst {
            a,
            aux,
            ..Inst::new(op)
        })
    }

    pub fn vfp(&mut self, vfp: &Vfp) -> Flow {
        match *vfp {
            Vfp::Arith { op, double, d, n, m } => {
                let shape = vfp_vector::Shape::of(self.fp, double, d, m);
                // All elements before the first write: a floating-point trap may restart the instruction.
                let mut results = Elements::default();
                for (d, n, m) in shape.three(d, n, m) {
                    let (vn, vm) = (self.get_fp(double, n), self.get_fp(double, m));
                    results.push(d, self.fp_arith(op, double, d, vn, vm));
                }
                self.set_elements(double, &results);
            }
            Vfp::Unary { op, double, d, m } => {
                let shape = vfp_vector::Shape::of(self.fp, double, d, m);
                let mut results = Elements::default();
                for (d, _, m) in shape.three(d, d, m) {
                    let vm = self.get_fp(double, m);
                    results.push(d, self.fp_unary(op, double, vm));
                }
                self.set_elements(double, &results);
            }
            Vfp::MovImm { double, d, bits } => {
                let shape = vfp_vector::Shape::of(self.fp, double, d, 0);
                let v = self.fp_const(double, bits);
                for (d, _, _) in shape.three(d, d, 0) {
                    self.set_fp(double, d, v);
                }
            }
            Vfp::Cmp { double, signal, d, m } => {
                let a = self.get_fp(double, d);
                let b = match m {
                    Some(m) => self.get_fp(double, m),
                    None => self.fp_const(double, 0),
                };
                self.b.push(Inst {
                    a,
                    b,
                    aux: u8::from(signal),
                    ..Inst::new(Self::width(double, Op::FCmp32, Op::FCmp64))
                });
            }
            Vfp::CvtFloat { to_double, d, m } => {
                let v = self.get_fp(!to_double, m);
                let v = self.b.op1(if to_double { Op::F32ToF64 } else { Op::F64ToF32 }, v);
                self.set_fp(to_double, d, v);
            }
            Vfp::CvtFromInt { double, signed, d, m } => {
                let v = self.s_bits(m);
                let v = self.convert(
                    Self::width(double, Op::IntToF32, Op::IntToF64),
                    v,
                    u8::from(signed),
                );
                self.set_fp(double, d, v);
            }
            Vfp::CvtToInt {
                double,
                signed,
                round_zero,
                d,
                m,
            } => {
                let v = self.get_fp(double, m);
                let op = Self::width(double, Op::F32ToInt, Op::F64ToInt);
                let v = self.convert(op, v, u8::from(signed) | u8::from(round_zero) << 1);
                self.set_s_bits(d, v);
            }
            Vfp::CvtFixed {
                to_fixed,
                double,
                signed,
                size,
                frac,
                d,
            } => self.convert_fixed(to_fixed, double, signed, size, frac, d),
            Vfp::CvtHalf {
                to_half,
                double,
                top,
                d,
                m,
            } => self.convert_half(to_half, double, top, d, m),
            Vfp::Load {
                double,
                d,
                rn,
                offset,
            } => {
                let (base, disp) = self.vfp_address(rn, offset);
                let op = Self::width(double, Op::LoadF32, Op::LoadF64);
                let v = self.b.load(op, base, Value::NONE, 0, disp);
                self.set_fp(double, d, v);
            }
            Vfp::Store {
                double,
                d,
                rn,
                offset,
            } => {
                let (base, disp) = self.vfp_address(rn, offset);
                let op = Self::width(double, Op::StoreF32, Op::StoreF64);
                let v = self.get_fp(double, d);
                self.b.store(op, base, Value::NONE, 0, disp, v);
            }
            Vfp::LoadMultiple {
                double,
                d,
                count,
                words,
                rn,
                decrement,
                writeback,
            } => self.vfp_multiple(true, double, d, count, words, rn, decrement, writeback),
            Vfp::StoreMultiple {
                double,
                d,
                count,
                words,
                rn,
                decrement,
                writeback,
            } => self.vfp_multiple(false, double, d, count, words, rn, decrement, writeback),
            Vfp::MovCore { to_core: true, rt, s } => {
                let v = self.s_bits(s);
                self.set(rt, v);
            }
            Vfp::MovCore {
                to_core: false,
                rt,
                s,
            } => {
                let v = self.reg(rt);
                self.set_s_bits(s, v);
            }
            Vfp::MovCore2 {
                to_core,
                double,
                rt,
                rt2,
                m,
            } => self.move_two(to_core, double, rt, rt2, m),
            Vfp::MovLane {
                to_core,
                rt,
                d,
                index,
            } => self.move_lane(to_core, rt, d, index),
            Vfp::Mrs { rt, reg } => return self.vmrs(rt, reg),
            Vfp::Msr { rt, reg } => return self.vmsr(rt, reg),
            Vfp::Select {
                cond,
                double,
                d,
                n,
                m,
            } => {
                let (a, b) = (self.get_fp(double, n), self.get_fp(double, m));
                let v = self.b.push(Inst {
                    a,
                    b,
                    cond,
                    ..Inst::new(Self::width(double, Op::SelectF32, Op::SelectF64))
                });
                self.set_fp(double, d, v);
            }
            Vfp::MinMaxNm { max, double, d, n, m } => {
                let op = if max {
                    Self::width(double, Op::FMaxNm32, Op::FMaxNm64)
                } else {
                    Self::width(double, Op::FMinNm32, Op::FMinNm64)
                };
                let shape = vfp_vector::Shape::of(self.fp, double, d, m);
                let mut results = Elements::default();
                for (d, n, m) in shape.three(d, n, m) {
                    let (vn, vm) = (self.get_fp(double, n), self.get_fp(double, m));
                    results.push(d, self.b.op2(op, vn, vm));
                }
                self.set_elements(double, &results);
            }
            Vfp::Rint {
                round,
                exact,
                double,
                d,
                m,
            } => {
                let v = self.get_fp(double, m);
                let op = Self::width(double, Op::FRint32, Op::FRint64);
                let v = self.convert(op, v, round_to(round) as u8 | u8::from(exact) << 3);
                self.set_fp(double, d, v);
            }
            Vfp::CvtRound {
                round,
                double,
                signed,
                d,
                m,
            } => {
                let v = self.get_fp(double, m);
                let op = Self::width(double, Op::F32Round, Op::F64Round);
                let v = self.convert(op, v, round_to(round) as u8 | u8::from(signed) << 3);
                self.set_s_bits(d, v);
            }
            Vfp::CvtJs { d, m } => {
                let v = self.b.get_d(m);
                let v = self.b.op1(Op::F64ToJs, v);
                self.set_s_bits(d, v);
            }
            Vfp::CvtBf16 { top, d, m } => {
                let v = self.b.get_s(m);
                let v = self.b.op1(Op::F32ToBf16, v);
                self.set_half(d, top, v);
            }
            Vfp::Half(ref half) => self.vfp_half(half),
        }
        Flow::Next
    }

    /// VCVT between floating point and fixed point, in place.
    fn convert_fixed(&mut self, to_fixed: bool, double: bool, signed: bool, size: u8, frac: u8, d: u8) {
        let op = match (to_fixed, double) {
            (true, false) => Op::F32ToFixed,
            (true, true) => Op::F64ToFixed,
            (false, false) => Op::FixedToF32,
            (false, true) => Op::FixedToF64,
        };
        let fixed = |a| Inst {
            a,
            aux: u8::from(signed),
            imm: u32::from(frac),
            imm2: u32::from(size),
            ..Inst::new(op)
        };
        let v = self.get_fp(double, d);
        if !to_fixed {
            let bits = if double {
                let v = self.b.op1(Op::F64ToBits, v);
                self.b.op1(Op::Lo, v)
            } else {
                self.b.op1(Op::F32ToBits, v)
            };
            let v = self.b.push(fixed(bits));
            self.set_fp(double, d, v);
            return;
        }
        let v = self.b.push(fixed(v));
        if double {
            let hi = if signed {
                self.b.op1i(Op::Sar, v, 31)
            } else {
                self.b.iconst(0)
            };
            self.set_d_bits(d, v, hi);
        } else {
            self.set_s_bits(d, v);
        }
    }

    /// VCVTB and VCVTT.
    fn convert_half(&mut self, to_half: bool, double: bool, top: bool, d: u8, m: u8) {
        if to_half {
            let v = self.get_fp(double, m);
            let half = self.b.op1(Self::width(double, Op::F32ToHalf, Op::F64ToHalf), v);
            self.set_half(d, top, half);
        } else {
            let v = self.s_bits(m);
            let v = if top { self.b.op1i(Op::Shr, v, 16) } else { v };
            let v = self.b.op1(Self::width(double, Op::HalfToF32, Op::HalfToF64), v);
            self.set_fp(double, d, v);
        }
    }

    /// The low 16 bits of `v` to one half of S`d`; the other half stays.
    pub(super) fn set_half(&mut self, d: u8, top: bool, v: Value) {
        let old = self.s_bits(d);
        let v = self.b.bfi(old, v, if top { 16 } else { 0 }, 16);
        self.set_s_bits(d, v);
    }

    pub(super) fn vfp_address(&mut self, rn: Reg, offset: i32) -> (Value, i32) {
        if rn == Reg::PC {
            let at = self.pc_aligned().wrapping_add_signed(offset);
            (self.b.iconst(at), 0)
        } else {
            (self.reg(rn), offset)
        }
    }

    /// VLDM and VSTM, FLDMX and FSTMX among them.
    #[expect(
        clippy::too_many_arguments,
        reason = "the fields of the encoding, one for one"
    )]
    fn vfp_multiple(
        &mut self,
        load: bool,
        double: bool,
        d: u8,
        count: u8,
        words: u8,
        rn: Reg,
        decrement: bool,
        writeback: bool,
    ) {
        let span = 4 * i32::from(words);
        let (base, first) = self.vfp_address(rn, if decrement { -span } else { 0 });
        let step = if double { 8 } else { 4 };
        let wide = double && self.has(Features::NEON);
        let mut next = 0;
        while next < count {
            let i = next;
            let disp = first + step * i32::from(i);
            let r = (d + i) & 31;
            // Two D registers that are one Q register.
            if wide && r & 1 == 0 && i + 1 < count {
                next += 2;
                if load {
                    let v = self.b.load_v(true, base, disp as u32);
                    self.b.set_v(r, true, v);
                } else {
                    let v = self.b.get_v(r, true);
                    self.b.store_v(true, base, disp as u32, v);
                }
                continue;
            }
            next += 1;
            if load {
                let op = Self::width(double, Op::LoadF32, Op::LoadF64);
                let v = self.b.load(op, base, Value::NONE, 0, disp);
                self.set_fp(double, r, v);
            } else {
                let op = Self::width(double, Op::StoreF32, Op::StoreF64);
                let v = self.get_fp(double, r);
                self.b.store(op, base, Value::NONE, 0, disp, v);
            }
        }
        if writeback {
            let v = self.add_const(base, if decrement { -span } else { span } as u32);
            self.set(rn, v);
        }
    }

    fn move_two(&mut self, to_core: bool, double: bool, rt: Reg, rt2: Reg, m: u8) {
        match (to_core, double) {
            (true, true) => {
                let v = self.b.get_d(m);
                let v = self.b.op1(Op::F64ToBits, v);
                let lo = self.b.op1(Op::Lo, v);
                let hi = self.b.op1(Op::Hi, v);
                self.set(rt, lo);
                self.set(rt2, hi);
            }
            (false, true) => {
                let (lo, hi) = (self.reg(rt), self.reg(rt2));
                self.set_d_bits(m, lo, hi);
            }
            (true, false) => {
                let lo = self.s_bits(m);
                let hi = self.s_bits((m + 1) & 31);
                self.set(rt, lo);
                self.set(rt2, hi);
            }
            (false, false) => {
                let (lo, hi) = (self.reg(rt), self.reg(rt2));
                self.set_s_bits(m, lo);
                self.set_s_bits((m + 1) & 31, hi);
            }
        }
    }

    fn move_lane(&mut self, to_core: bool, rt: Reg, d: u8, index: u8) {
        // A lane of a vector: two narrow writes of its register would cost the next wide read a stall.
        if self.has(Features::NEON) && (!to_core || self.b.knows_v(d)) {
            let (old, lane, q) = self.b.lane(d, index, 2);
            let shape = Shape::new(2, q, true);
            if to_core {
                let v = self.b.vextract(shape, old, lane);
                self.set(rt, v);
            } else {
                let rt = self.reg(rt);
                let v = self.b.vinsert(shape, old, lane, rt);
                self.b.set_v(if q { d & !1 } else { d }, q, v);
            }
            return;
        }
        if d < 16 {
            let s = 2 * d + (index & 1);
            if to_core {
                let v = self.s_bits(s);
                self.set(rt, v);
            } else {
                let v = self.reg(rt);
                self.set_s_bits(s, v);
            }
            return;
        }
        let old = self.b.get_d(d);
        let old = self.b.op1(Op::F64ToBits, old);
        if to_core {
            let v = self.b.op1(if index == 0 { Op::Lo } else { Op::Hi }, old);
            self.set(rt, v);
        } else {
            let v = self.reg(rt);
            let (lo, hi) = if index == 0 {
                (v, self.b.op1(Op::Hi, old))
            } else {
                (self.b.op1(Op::Lo, old), v)
            };
            self.set_d_bits(d, lo, hi);
        }
    }

    fn vmrs(&mut self, rt: Reg, reg: VfpSys) -> Flow {
        let v = match reg {
            VfpSys::Fpscr if rt == Reg::PC => {
                self.b
                    .op2f(Op::FlagsFromFp, Value::NONE, Value::NONE, Flags::NZCV);
                return Flow::Next;
            }
            VfpSys::Fpscr => self.b.push(Inst::new(Op::GetFpscr)),
            VfpSys::Fpsid if fpsid_is_readable(self.ctx.features) => self.b.iconst(self.ctx.model.fpsid),
            _ => return self.undefined(),
        };
        self.set(rt, v);
        Flow::Next
    }

    fn vmsr(&mut self, rt: Reg, reg: VfpSys) -> Flow {
        match reg {
            VfpSys::Fpscr => {
                let v = self.reg(rt);
                self.b.op1(Op::SetFpscr, v);
                let next = self.next_target();
                self.b.jump(next);
                Flow::Ended
            }
            VfpSys::Fpsid if fpsid_is_readable(self.ctx.features) => Flow::Next,
            _ => self.undefined(),
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::ir::ops::{Op, Type};

    #[test]
    fn widths_match_the_operation_table() {
        for (single, double) in [
            (Op::FAdd32, Op::FAdd64),
            (Op::FMa32, Op::FMa64),
            (Op::LoadF32, Op::LoadF64),
        ] {
            assert_eq!(single.result(), Type::F32);
            assert_eq!(double.result(), Type::F64);
        }
    }
}
