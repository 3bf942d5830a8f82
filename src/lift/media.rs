//! Saturation, parallel arithmetic, packing, extension, bit fields, byte reversal and CRC-32.

use super::{Flow, Lifter};
use crate::ir::ops::{Inst, Op, Value};
use crate::isa::insn::{ExtendFrom, Insn, MemSize, QAddOp, Reg, RevOp};

impl Lifter<'_> {
    /// SXTB and kin before the accumulation: the extended, rotated `rm`.
    fn extended(&mut self, signed: bool, from: ExtendFrom, rm: Reg, rotate: u8) -> Value {
        let m = self.reg(rm);
        let rotate = u32::from(rotate);
        let field = if signed { Op::Sbfx } else { Op::Ubfx };
        match from {
            ExtendFrom::Byte if rotate == 0 => self.b.op1(if signed { Op::Sext8 } else { Op::Zext8 }, m),
            ExtendFrom::Byte => self.b.field(field, m, rotate, 8),
            ExtendFrom::Half if rotate == 0 => self.b.op1(if signed { Op::Sext16 } else { Op::Zext16 }, m),
            ExtendFrom::Half if rotate < 24 => self.b.field(field, m, rotate, 16),
            ExtendFrom::Half => {
                let v = self.b.op1i(Op::Ror, m, rotate);
                self.b.op1(if signed { Op::Sext16 } else { Op::Zext16 }, v)
            }
            ExtendFrom::Byte16 => {
                let v = if rotate == 0 {
                    m
                } else {
                    self.b.op1i(Op::Ror, m, rotate)
                };
                if !signed {
                    let mask = self.b.iconst(0x00ff_00ff);
                    return self.b.op2(Op::And, v, mask);
                }
                let lo = self.b.op1(Op::Sext8, v);
                let hi = self.b.field(Op::Sbfx, v, 16, 8);
                self.b.bfi(lo, hi, 16, 16)
            }
        }
    }

    /// Sums of both halfwords, each modulo 2^16.
    fn add_halves(&mut self, x: Value, y: Value) -> Value {
        let lo = self.b.op2(Op::Add, x, y);
        let xh = self.b.op1i(Op::Shr, x, 16);
        let yh = self.b.op1i(Op::Shr, y, 16);
        let hi = self.b.op2(Op::Add, xh, yh);
        self.b.bfi(lo, hi, 16, 16)
    }

    pub fn media(&mut self, insn: &Insn) -> Flow {
        let (rd, v) = match *insn {
            Insn::Usad8 { rd, rn, rm } => {
                let (n, m) = (self.reg(rn), self.reg(rm));
                let zero = self.b.iconst(0);
                (rd, self.b.op3(Op::Usada8, n, m, zero))
            }
            Insn::Usada8 { rd, rn, rm, ra } => {
                let (n, m, a) = (self.reg(rn), self.reg(rm), self.reg(ra));
                (rd, self.b.op3(Op::Usada8, n, m, a))
            }
            Insn::QAdd { op, rd, rm, rn } => {
                let (m, mut n) = (self.reg(rm), self.reg(rn));
                if matches!(op, QAddOp::Qdadd | QAddOp::Qdsub) {
                    n = self.b.op2(Op::QAdd, n, n);
                }
                let ir = match op {
                    QAddOp::Qadd | QAddOp::Qdadd => Op::QAdd,
                    QAddOp::Qsub | QAddOp::Qdsub => Op::QSub,
                };
                (rd, self.b.op2(ir, m, n))
            }
            Insn::Sat {
                signed,
                rd,
                bits,
                src,
            } => {
                let v = self.operand(src);
                let op = if signed { Op::SSat } else { Op::USat };
                (rd, self.b.op1i(op, v, u32::from(bits)))
            }
            Insn::Sat16 { signed, rd, bits, rn } => {
                let v = self.reg(rn);
                let op = if signed { Op::SSat16 } else { Op::USat16 };
                (rd, self.b.op1i(op, v, u32::from(bits)))
            }
            Insn::Parallel { kind, op, rd, rn, rm } => {
                let (n, m) = (self.reg(rn), self.reg(rm));
                let v = self.b.push(Inst {
                    a: n,
                    b: m,
                    aux: kind as u8 * 8 + op as u8,
                    ..Inst::new(Op::Parallel)
                });
                (rd, v)
            }
            Insn::Sel { rd, rn, rm } => {
                let (n, m) = (self.reg(rn), self.reg(rm));
                let ge = self.b.push(Inst::new(Op::GetGe));
                (rd, self.b.op3(Op::BitSelect, n, m, ge))
            }
            Insn::Extend {
                signed,
                from,
                rd,
                rn,
                rm,
                rotate,
            } => {
                let v = self.extended(signed, from, rm, rotate);
                let v = match rn {
                    None => v,
                    Some(rn) => {
                        let n = self.reg(rn);
                        if from == ExtendFrom::Byte16 {
                            self.add_halves(n, v)
                        } else {
                            self.b.op2(Op::Add, n, v)
                        }
                    }
                };
                (rd, v)
            }
            Insn::Pkh { tb, rd, rn, src } => {
                let n = self.reg(rn);
                let m = self.operand(src);
                let v = if tb {
                    self.b.bfi(n, m, 0, 16)
                } else {
                    self.b.bfi(m, n, 0, 16)
                };
                (rd, v)
            }
            Insn::Rev { op, rd, rm } => {
                let m = self.reg(rm);
                let v = match op {
                    RevOp::Rev => self.b.op1(Op::Rev, m),
                    RevOp::Rev16 => self.b.op1(Op::Rev16, m),
                    RevOp::Rbit => self.b.op1(Op::Rbit, m),
                    RevOp::Revsh => {
                        let v = self.b.op1(Op::Rev16, m);
                        self.b.op1(Op::Sext16, v)
                    }
                };
                (rd, v)
            }
            Insn::Clz { rd, rm } => {
                let m = self.reg(rm);
                (rd, self.b.op1(Op::Clz, m))
            }
            Insn::Bfc { rd, lsb, width } => {
                let d = self.reg(rd);
                let field = (u64::from(u32::MAX) >> (32 - u32::from(width).min(32))) as u32;
                let mask = self.b.iconst(!(field << (lsb & 31)));
                (rd, self.b.op2(Op::And, d, mask))
            }
            Insn::Bfi { rd, rn, lsb, width } => {
                let (d, n) = (self.reg(rd), self.reg(rn));
                (rd, self.b.bfi(d, n, u32::from(lsb), u32::from(width)))
            }
            Insn::Bfx {
                signed,
                rd,
                rn,
                lsb,
                width,
            } => {
                let n = self.reg(rn);
                let op = if signed { Op::Sbfx } else { Op::Ubfx };
                (rd, self.b.field(op, n, u32::from(lsb), u32::from(width)))
            }
            Insn::Crc32 {
                castagnoli,
                size,
                rd,
                rn,
                rm,
            } => {
                let (n, m) = (self.reg(rn), self.reg(rm));
                let v = self.b.push(Inst {
                    a: n,
                    b: m,
                    aux: u8::from(castagnoli),
                    imm: match size {
                        MemSize::Byte => 1,
                        MemSize::Half => 2,
                        MemSize::Word | MemSize::Double => 4,
                    },
                    ..Inst::new(Op::Crc32)
                });
                (rd, v)
            }
            _ => return self.undefined(),
        };
        self.set(rd, v);
        Flow::Next
    }
}
