//! Multiplication and division.
//!
//! The flag-setting multiplies set N and Z; C, which ARMv4 leaves UNPREDICTABLE, stays as it is, as later
//! architectures say.

use super::{Flow, Lifter};
use crate::ir::ops::{Flags, Op, Value};
use crate::isa::insn::{Insn, Reg};

impl Lifter<'_> {
    /// A signed halfword of a register.
    fn half(&mut self, r: Reg, high: bool) -> Value {
        let v = self.reg(r);
        if high {
            self.b.op1i(Op::Sar, v, 16)
        } else {
            self.b.op1(Op::Sext16, v)
        }
    }

    /// rdhi:rdlo as one value.
    fn pair(&mut self, lo: Reg, hi: Reg) -> Value {
        let lo = self.reg(lo);
        let hi = self.reg(hi);
        self.b.op2(Op::Concat, lo, hi)
    }

    fn set_pair(&mut self, rdlo: Reg, rdhi: Reg, v: Value) -> Flow {
        let lo = self.b.op1(Op::Lo, v);
        let hi = self.b.op1(Op::Hi, v);
        self.set(rdlo, lo);
        self.set(rdhi, hi);
        Flow::Next
    }

    fn done(&mut self, rd: Reg, v: Value) -> Flow {
        self.set(rd, v);
        Flow::Next
    }

    /// The two products of SMUAD and kin, by `mul` (`Mul` or `SMul64`); `swap` exchanges rm's halves.
    fn dual_products(&mut self, mul: Op, rn: Reg, rm: Reg, swap: bool) -> (Value, Value) {
        let (n0, n1) = (self.half(rn, false), self.half(rn, true));
        let (m0, m1) = (self.half(rm, swap), self.half(rm, !swap));
        (self.b.op2(mul, n0, m0), self.b.op2(mul, n1, m1))
    }

    /// Bits 47-16 of rn times a halfword of rm.
    fn word_by_half(&mut self, rn: Reg, rm: Reg, m_high: bool) -> Value {
        let n = self.reg(rn);
        let m = self.half(rm, m_high);
        let p = self.b.op2(Op::SMul64, n, m);
        let p = self.b.op1i(Op::Sar64, p, 16);
        self.b.op1(Op::Lo, p)
    }

    /// The high word of a 64-bit value, rounded to nearest if asked.
    fn high_word(&mut self, v: Value, round: bool) -> Value {
        let v = if round {
            let half = self.b.const64(0x8000_0000);
            self.b.op2(Op::Add64, v, half)
        } else {
            v
        };
        self.b.op1(Op::Hi, v)
    }

    pub fn multiply(&mut self, insn: &Insn) -> Flow {
        match *insn {
            Insn::Mul { s, rd, rn, rm } => {
                let (n, m) = (self.reg(rn), self.reg(rm));
                let flags = if s { Flags::NZ } else { Flags::NONE };
                let v = self.b.op2f(Op::Mul, n, m, flags);
                self.done(rd, v)
            }
            Insn::Mla { s, rd, rn, rm, ra } => {
                let (n, m, a) = (self.reg(rn), self.reg(rm), self.reg(ra));
                let p = self.b.op2(Op::Mul, n, m);
                let flags = if s { Flags::NZ } else { Flags::NONE };
                let v = self.b.op2f(Op::Add, p, a, flags);
                self.done(rd, v)
            }
            Insn::Mls { rd, rn, rm, ra } => {
                let (n, m, a) = (self.reg(rn), self.reg(rm), self.reg(ra));
                let p = self.b.op2(Op::Mul, n, m);
                let v = self.b.op2(Op::Sub, a, p);
                self.done(rd, v)
            }
            Insn::MulLong {
                signed,
                accumulate,
                s,
                rdlo,
                rdhi,
                rn,
                rm,
            } => {
                let (n, m) = (self.reg(rn), self.reg(rm));
                let mul = if signed { Op::SMul64 } else { Op::UMul64 };
                let mut v = self.b.op2(mul, n, m);
                if accumulate {
                    let acc = self.pair(rdlo, rdhi);
                    v = self.b.op2(Op::Add64, v, acc);
                }
                if s {
                    self.b.op2f(Op::TestNz64, v, Value::NONE, Flags::NZ);
                }
                self.set_pair(rdlo, rdhi, v)
            }
            Insn::Umaal { rdlo, rdhi, rn, rm } => {
                let (n, m) = (self.reg(rn), self.reg(rm));
                let zero = self.b.iconst(0);
                let (lo, hi) = (self.reg(rdlo), self.reg(rdhi));
                let lo = self.b.op2(Op::Concat, lo, zero);
                let hi = self.b.op2(Op::Concat, hi, zero);
                let v = self.b.op2(Op::UMul64, n, m);
                let v = self.b.op2(Op::Add64, v, lo);
                let v = self.b.op2(Op::Add64, v, hi);
                self.set_pair(rdlo, rdhi, v)
            }
            Insn::SmulXY {
                rd,
                rn,
                rm,
                n_high,
                m_high,
            } => {
                let (n, m) = (self.half(rn, n_high), self.half(rm, m_high));
                let v = self.b.op2(Op::Mul, n, m);
                self.done(rd, v)
            }
            Insn::SmlaXY {
                rd,
                rn,
                rm,
                ra,
                n_high,
                m_high,
            } => {
                let (n, m) = (self.half(rn, n_high), self.half(rm, m_high));
                let p = self.b.op2(Op::Mul, n, m);
                let a = self.reg(ra);
                let v = self.b.op2(Op::AddSetQ, p, a);
                self.done(rd, v)
            }
            Insn::SmulWY { rd, rn, rm, m_high } => {
                let v = self.word_by_half(rn, rm, m_high);
                self.done(rd, v)
            }
            Insn::SmlaWY {
                rd,
                rn,
                rm,
                ra,
                m_high,
            } => {
                let p = self.word_by_half(rn, rm, m_high);
                let a = self.reg(ra);
                let v = self.b.op2(Op::AddSetQ, p, a);
                self.done(rd, v)
            }
            Insn::SmlalXY {
                rdlo,
                rdhi,
                rn,
                rm,
                n_high,
                m_high,
            } => {
                let (n, m) = (self.half(rn, n_high), self.half(rm, m_high));
                let p = self.b.op2(Op::SMul64, n, m);
                let acc = self.pair(rdlo, rdhi);
                let v = self.b.op2(Op::Add64, acc, p);
                self.set_pair(rdlo, rdhi, v)
            }
            Insn::Smuad {
                sub,
                swap,
                rd,
                rn,
                rm,
            } => {
                let (p, q) = self.dual_products(Op::Mul, rn, rm, swap);
                // Only the sum of two products of -0x8000 by itself overflows; a difference cannot.
                let v = self.b.op2(if sub { Op::Sub } else { Op::AddSetQ }, p, q);
                self.done(rd, v)
            }
            Insn::Smlad {
                sub,
                swap,
                rd,
                rn,
                rm,
                ra,
            } => {
                // Q tells of the whole sum: it is formed in 64 bits.
                let (p, q) = self.dual_products(Op::SMul64, rn, rm, swap);
                let a = self.reg(ra);
                let a = self.b.op1(Op::Sext64, a);
                let v = self.b.op2(if sub { Op::Sub64 } else { Op::Add64 }, p, q);
                let v = self.b.op2(Op::Add64, v, a);
                let v = self.b.op1(Op::NarrowSetQ, v);
                self.done(rd, v)
            }
            Insn::Smlald {
                sub,
                swap,
                rdlo,
                rdhi,
                rn,
                rm,
            } => {
                let (p, q) = self.dual_products(Op::SMul64, rn, rm, swap);
                let acc = self.pair(rdlo, rdhi);
                let v = self.b.op2(Op::Add64, acc, p);
                let v = self.b.op2(if sub { Op::Sub64 } else { Op::Add64 }, v, q);
                self.set_pair(rdlo, rdhi, v)
            }
            Insn::Smmul { round, rd, rn, rm } => {
                let (n, m) = (self.reg(rn), self.reg(rm));
                let p = self.b.op2(Op::SMul64, n, m);
                let v = self.high_word(p, round);
                self.done(rd, v)
            }
            Insn::Smmla {
                sub,
                round,
                rd,
                rn,
                rm,
                ra,
            } => {
                let (n, m, a) = (self.reg(rn), self.reg(rm), self.reg(ra));
                let p = self.b.op2(Op::SMul64, n, m);
                let zero = self.b.iconst(0);
                let a = self.b.op2(Op::Concat, zero, a);
                let v = self.b.op2(if sub { Op::Sub64 } else { Op::Add64 }, a, p);
                let v = self.high_word(v, round);
                self.done(rd, v)
            }
            Insn::Div { signed, rd, rn, rm } => {
                let (n, m) = (self.reg(rn), self.reg(rm));
                let v = self.b.op2(if signed { Op::SDiv } else { Op::UDiv }, n, m);
                self.done(rd, v)
            }
            _ => self.undefined(),
        }
    }
}
