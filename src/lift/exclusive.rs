//! Exclusive, acquire-release and swap accesses. All of them fault (SIGBUS) unless naturally aligned.
//!
//! The host orders loads after loads and stores after stores (TSO), so load-acquire is a plain load; store-release
//! is an operation of its own, because an acquire after it may not pass it. The host's atomic instructions are full
//! barriers, so the acquire and release forms of the exclusives are the plain ones.

use super::{Flow, Lifter};
use crate::ir::ops::{Inst, Op, Value};
use crate::isa::insn::{MemSize, Reg};

fn bytes(size: MemSize) -> u32 {
    match size {
        MemSize::Byte => 1,
        MemSize::Half => 2,
        MemSize::Word => 4,
        MemSize::Double => 8,
    }
}

impl Lifter<'_> {
    fn check_natural(&mut self, at: Value, size: MemSize) {
        if size != MemSize::Byte {
            self.b.check_align(at, bytes(size) - 1);
        }
    }

    pub fn load_exclusive(&mut self, size: MemSize, rt: Reg, rt2: Reg, rn: Reg, imm: u16) -> Flow {
        let base = self.reg(rn);
        let at = self.add_const(base, u32::from(imm));
        self.check_natural(at, size);
        if size == MemSize::Double {
            let v = self.b.op1i(Op::LoadEx64, at, 8);
            let lo = self.b.op1(Op::Lo, v);
            let hi = self.b.op1(Op::Hi, v);
            self.set(rt, lo);
            self.set(rt2, hi);
        } else {
            let v = self.b.op1i(Op::LoadEx, at, bytes(size));
            self.set(rt, v);
        }
        Flow::Next
    }

    pub fn store_exclusive(&mut self, size: MemSize, rd: Reg, rt: Reg, rt2: Reg, rn: Reg, imm: u16) -> Flow {
        let base = self.reg(rn);
        let at = self.add_const(base, u32::from(imm));
        self.check_natural(at, size);
        let lo = self.reg(rt);
        let status = if size == MemSize::Double {
            let hi = self.reg(rt2);
            let v = self.b.op2(Op::Concat, lo, hi);
            self.store_sized(Op::StoreEx64, at, v, size)
        } else {
            self.store_sized(Op::StoreEx, at, lo, size)
        };
        self.set(rd, status);
        Flow::Next
    }

    /// An operation on `value` at `at` whose `imm` is the size.
    fn store_sized(&mut self, op: Op, at: Value, value: Value, size: MemSize) -> Value {
        self.b.push(Inst {
            a: at,
            b: value,
            imm: bytes(size),
            ..Inst::new(op)
        })
    }

    pub fn load_acquire(&mut self, size: MemSize, rt: Reg, rn: Reg) -> Flow {
        let at = self.reg(rn);
        self.check_natural(at, size);
        let op = match size {
            MemSize::Byte => Op::Load8,
            MemSize::Half => Op::Load16,
            MemSize::Word | MemSize::Double => Op::Load32,
        };
        let v = self.b.load(op, at, Value::NONE, 0, 0);
        self.set(rt, v);
        Flow::Next
    }

    pub fn store_release(&mut self, size: MemSize, rt: Reg, rn: Reg) -> Flow {
        let at = self.reg(rn);
        self.check_natural(at, size);
        let v = self.reg(rt);
        self.store_sized(Op::StoreRel, at, v, size);
        Flow::Next
    }

    pub fn clrex(&mut self) -> Flow {
        self.b.push(Inst::new(Op::Clrex));
        Flow::Next
    }

    /// SWP and SWPB.
    pub fn swap(&mut self, byte: bool, rt: Reg, rt2: Reg, rn: Reg) -> Flow {
        let size = if byte { MemSize::Byte } else { MemSize::Word };
        let at = self.reg(rn);
        self.check_natural(at, size);
        let new = self.reg(rt2);
        let old = self.store_sized(Op::Swap, at, new, size);
        self.set(rt, old);
        Flow::Next
    }
}
