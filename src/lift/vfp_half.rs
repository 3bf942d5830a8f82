//! VFP: half-precision scalar arithmetic (ARMv8.2 FP16). Values are bits in the low halves of S registers; a result's
//! upper half is zero.

use super::{Lifter, vfp};
use crate::ir::ops::{Inst, Op, Value};
use crate::ir::vector::HalfOp;
use crate::isa::insn::{VfpArith, VfpHalf, VfpUnary};

const SIGN: u32 = 0x8000;

impl Lifter<'_> {
    fn half_op(&mut self, op: HalfOp, imm: u32, args: &[Value]) -> Value {
        let arg = |i: usize| args.get(i).copied().unwrap_or(Value::NONE);
        self.b.push(Inst {
            a: arg(0),
            b: arg(1),
            c: arg(2),
            aux: op as u8,
            imm,
            ..Inst::new(Op::Half)
        })
    }

    /// The low half of `v` with its sign changed; what is above counts for nothing.
    fn half_neg(&mut self, v: Value) -> Value {
        let sign = self.b.iconst(SIGN);
        self.b.op2(Op::Xor, v, sign)
    }

    fn half_arith(&mut self, op: VfpArith, d: u8, n: u8, m: u8) -> Value {
        use VfpArith::*;
        let (n, m) = (self.s_bits(n), self.s_bits(m));
        match op {
            Vmul => self.half_op(HalfOp::Mul, 0, &[n, m]),
            Vnmul => {
                let p = self.half_op(HalfOp::Mul, 0, &[n, m]);
                let p = self.half_neg(p);
                self.b.op1(Op::Zext16, p)
            }
            Vadd => self.half_op(HalfOp::Add, 0, &[n, m]),
            Vsub => self.half_op(HalfOp::Sub, 0, &[n, m]),
            Vdiv => self.half_op(HalfOp::Div, 0, &[n, m]),
            Vmla | Vmls | Vnmla | Vnmls => {
                let d = self.s_bits(d);
                let p = self.half_op(HalfOp::Mul, 0, &[n, m]);
                let d = if matches!(op, Vnmla | Vnmls) {
                    self.half_neg(d)
                } else {
                    d
                };
                let p = if matches!(op, Vmls | Vnmla) {
                    self.half_neg(p)
                } else {
                    p
                };
                self.half_op(HalfOp::Add, 0, &[d, p])
            }
            Vfma | Vfms | Vfnma | Vfnms => {
                let d = self.s_bits(d);
                let d = if matches!(op, Vfnma | Vfnms) {
                    self.half_neg(d)
                } else {
                    d
                };
                let n = if matches!(op, Vfms | Vfnma) {
                    self.half_neg(n)
                } else {
                    n
                };
                self.half_op(HalfOp::Ma, 0, &[d, n, m])
            }
        }
    }

    pub(super) fn vfp_half(&mut self, half: &VfpHalf) {
        let (d, v) = match *half {
            VfpHalf::Arith { op, d, n, m } => (d, self.half_arith(op, d, n, m)),
            VfpHalf::Unary { op, d, m } => {
                let v = self.s_bits(m);
                let v = match op {
                    VfpUnary::Vmov => self.b.op1(Op::Zext16, v),
                    VfpUnary::Vabs => {
                        let magnitude = self.b.iconst(SIGN - 1);
                        self.b.op2(Op::And, v, magnitude)
                    }
                    VfpUnary::Vneg => {
                        let v = self.half_neg(v);
                        self.b.op1(Op::Zext16, v)
                    }
                    VfpUnary::Vsqrt => self.half_op(HalfOp::Sqrt, 0, &[v]),
                };
                (d, v)
            }
            VfpHalf::MovImm { d, bits } => (d, self.b.iconst(bits.into())),
            VfpHalf::Cmp { signal, d, m } => {
                let a = self.s_bits(d);
                let b = match m {
                    Some(m) => self.s_bits(m),
                    None => self.b.iconst(0),
                };
                self.b.push(Inst {
                    a,
                    b,
                    aux: u8::from(signal),
                    ..Inst::new(Op::HalfCmp)
                });
                return;
            }
            VfpHalf::CvtFromInt { signed, d, m } => {
                let v = self.s_bits(m);
                (d, self.half_op(HalfOp::FromInt, u32::from(signed) << 3, &[v]))
            }
            VfpHalf::CvtToInt { round, signed, d, m } => {
                let v = self.s_bits(m);
                let imm = vfp::round_to(round) as u32 | u32::from(signed) << 3;
                (d, self.half_op(HalfOp::ToInt, imm, &[v]))
            }
            VfpHalf::CvtFixed {
                to_fixed,
                signed,
                size,
                frac,
                d,
            } => {
                let v = self.s_bits(d);
                let op = if to_fixed {
                    HalfOp::ToFixed
                } else {
                    HalfOp::FromFixed
                };
                let imm = u32::from(size) | u32::from(frac) << 8 | u32::from(signed) << 16;
                (d, self.half_op(op, imm, &[v]))
            }
            VfpHalf::Select { cond, d, n, m } => {
                let (n, m) = (self.s_bits(n), self.s_bits(m));
                let v = self.b.select(cond, n, m);
                (d, self.b.op1(Op::Zext16, v))
            }
            VfpHalf::MinMaxNm { max, d, n, m } => {
                let (n, m) = (self.s_bits(n), self.s_bits(m));
                let op = if max { HalfOp::MaxNm } else { HalfOp::MinNm };
                (d, self.half_op(op, 0, &[n, m]))
            }
            VfpHalf::Rint { round, exact, d, m } => {
                let v = self.s_bits(m);
                let imm = vfp::round_to(round) as u32 | u32::from(exact) << 3;
                (d, self.half_op(HalfOp::Rint, imm, &[v]))
            }
            VfpHalf::Load { d, rn, offset } => {
                let (base, disp) = self.vfp_address(rn, offset);
                (d, self.b.load(Op::Load16, base, Value::NONE, 0, disp))
            }
            VfpHalf::Store { d, rn, offset } => {
                let (base, disp) = self.vfp_address(rn, offset);
                let v = self.s_bits(d);
                self.b.store(Op::Store16, base, Value::NONE, 0, disp, v);
                return;
            }
            VfpHalf::MovCore { to_core: true, rt, s } => {
                let v = self.s_bits(s);
                let v = self.b.op1(Op::Zext16, v);
                self.set(rt, v);
                return;
            }
            VfpHalf::MovCore {
                to_core: false,
                rt,
                s,
            } => {
                let v = self.reg(rt);
                (s, self.b.op1(Op::Zext16, v))
            }
            VfpHalf::MovX { d, m } => {
                let v = self.s_bits(m);
                (d, self.b.op1i(Op::Shr, v, 16))
            }
            VfpHalf::Ins { d, m } => {
                let v = self.s_bits(m);
                return self.set_half(d, true, v);
            }
        };
        self.set_s_bits(d, v);
    }
}
