//! 64-bit values, saturation, the parallel operations of ARMv6, and what is left to helpers.

use crate::cpu::state::CpuState;
use crate::ir::ops::{Flags, Inst, Op};
use crate::x64::asm::{Alu, Cc, Enc, Mem, Rm, Sh};
use crate::x64::emit::Emitter;
use crate::x64::regs::{RAX, disp};
use crate::x64::stubs::Helper;
use dynasmrt::{DynasmApi, DynasmLabelApi, dynasm};
use std::mem::offset_of;

const Q: i32 = disp(offset_of!(CpuState, q));
const GE: i32 = disp(offset_of!(CpuState, ge));

impl Emitter<'_> {
    pub(super) fn wide(&mut self, inst: &Inst) {
        match inst.op {
            Op::Lo => {
                let a = self.reg(inst.a);
                let dst = self.def();
                self.asm.op(Enc::new(0x8b), dst, Rm::Reg(a));
                return;
            }
            Op::Sext64 => {
                let a = self.rm_or_const(inst.a);
                let t = self.alloc_gpr();
                self.asm.op(Enc::new(0x63).w(), t, a);
                return self.def_in(t);
            }
            _ => {}
        }
        self.pre_clobber(Flags::NONE);
        let t = match inst.op {
            Op::UMul64 => {
                let b = self.reg(inst.b);
                let t = self.alloc_gpr();
                self.copy_to(t, inst.a);
                self.asm.op(Enc::of(0xaf).w(), t, Rm::Reg(b));
                t
            }
            Op::SMul64 => {
                let t = self.alloc_gpr();
                self.copy_to(t, inst.a);
                self.asm.op(Enc::new(0x63).w(), t, Rm::Reg(t));
                let u = self.alloc_gpr();
                self.copy_to(u, inst.b);
                self.asm.op(Enc::new(0x63).w(), u, Rm::Reg(u));
                self.asm.op(Enc::of(0xaf).w(), t, Rm::Reg(u));
                t
            }
            Op::Add64 | Op::Sub64 => {
                let b = self.reg(inst.b);
                let t = self.take_over(inst.a);
                self.asm.alu64(
                    if inst.op == Op::Add64 { Alu::Add } else { Alu::Sub },
                    t,
                    Rm::Reg(b),
                );
                t
            }
            Op::Concat => {
                let a = self.reg(inst.a);
                let t = self.take_over(inst.b);
                self.asm.shift_i64(Sh::Shl, t, 32);
                self.asm.alu64(Alu::Or, t, Rm::Reg(a));
                t
            }
            Op::Hi => {
                let t = self.take_over(inst.a);
                self.asm.shift_i64(Sh::Shr, t, 32);
                t
            }
            _ => {
                let t = self.take_over(inst.a);
                if inst.imm > 0 {
                    self.asm.shift_i64(Sh::Sar, t, inst.imm as u8);
                }
                t
            }
        };
        self.clobbered();
        self.finish_in(t);
    }

    /// Saturating addition or subtraction; Q is set when it saturates.
    pub(super) fn saturating(&mut self, inst: &Inst) {
        self.pre_clobber(Flags::NONE);
        let b = self.rm_or_const(inst.b);
        let t = self.alloc_gpr();
        self.copy_to(t, inst.a);
        self.asm
            .alu(if inst.op == Op::QAdd { Alu::Add } else { Alu::Sub }, t, b);
        let done = self.jcc_over(Cc::No);
        // Overflow: the sign of the wrapped result is the wrong one.
        self.asm.shift_i(Sh::Sar, t, 31);
        self.asm.alu_i(Alu::Xor, Rm::Reg(t), 0x8000_0000);
        dynasm!(self.asm.ops; .arch x64; mov BYTE [BYTE rbp + Q as i8], 1);
        self.asm.bind(done);
        self.clobbered();
        self.finish_in(t);
    }

    pub(super) fn saturate(&mut self, inst: &Inst) {
        self.pre_clobber(Flags::NONE);
        let bits = inst.imm;
        let (min, max) = if inst.op == Op::SSat {
            (-(1i64 << (bits - 1)), (1i64 << (bits - 1)) - 1)
        } else {
            (0, (1i64 << bits) - 1)
        };
        let t = self.alloc_gpr();
        self.copy_to(t, inst.a);
        let done = self.asm.new_label();
        for (bound, ok) in [(max, Cc::Le), (min, Cc::Ge)] {
            self.asm.alu_i(Alu::Cmp, Rm::Reg(t), bound as u32);
            let fits = self.jcc_over(ok);
            self.asm.mov_ri(t, bound as u32);
            dynasm!(self.asm.ops; .arch x64; mov BYTE [BYTE rbp + Q as i8], 1; jmp =>done);
            self.asm.bind(fits);
        }
        self.asm.bind(done);
        self.clobbered();
        self.finish_in(t);
    }

    /// The parallel additions and subtractions that string routines live on, in XMM registers; the rest in Rust.
    pub(super) fn parallel(&mut self, inst: &Inst) {
        const SIGNED_SAT: u8 = 1;
        const UNSIGNED: u8 = 3;
        const UNSIGNED_SAT: u8 = 4;
        let (kind, op) = (inst.aux >> 3, inst.aux & 7);
        let half = op == 0 || op == 3;
        let sub = op == 3 || op == 5;
        if matches!(op, 1 | 2) || !matches!(kind, UNSIGNED | SIGNED_SAT | UNSIGNED_SAT) {
            return self.int_helper(inst);
        }
        let e = |opcode: u8| Enc::of(opcode).prefix(0x66);
        let (a, b) = (self.rm_or_const(inst.a), self.rm_or_const(inst.b));
        let (x, y) = (self.alloc_xmm(), self.alloc_xmm());
        self.asm.op(e(0x6e), x, a);
        self.asm.op(e(0x6e), y, b);
        // PADDB, PSUBB, their saturating forms; the halfword form is the next opcode.
        let base = match (kind, sub) {
            (UNSIGNED, false) => 0xfc,
            (UNSIGNED, true) => 0xf8,
            (SIGNED_SAT, false) => 0xec,
            (SIGNED_SAT, true) => 0xe8,
            (_, false) => 0xdc,
            (_, true) => 0xd8,
        };
        if kind == UNSIGNED {
            // GE: no borrow is a >= b; a carry is a sum below a. Both come from an unsigned maximum.
            let z = self.alloc_xmm();
            self.asm.op(Enc::of(0x28), z, Rm::Reg(x));
            let (max, eq) = if half {
                (e(0x3e).map(2), e(0x75))
            } else {
                (e(0xde), e(0x74))
            };
            if sub {
                self.asm.op(max, z, Rm::Reg(y));
                self.asm.op(eq, z, Rm::Reg(x));
                self.asm.op(e(base + u8::from(half)), x, Rm::Reg(y));
            } else {
                self.asm.op(e(base + u8::from(half)), x, Rm::Reg(y));
                // max(sum, a) == sum means no carry: complement.
                self.asm.op(max, z, Rm::Reg(x));
                self.asm.op(eq, z, Rm::Reg(x));
                self.asm.op(eq, y, Rm::Reg(y));
                self.asm.op(Enc::of(0x57), z, Rm::Reg(y));
            }
            self.asm.op(e(0x7e), z, Mem::state(GE).into());
        } else {
            self.asm.op(e(base + u8::from(half)), x, Rm::Reg(y));
        }
        if !self.unused() {
            let dst = self.def();
            self.asm.op(e(0x7e), x, Rm::Reg(dst));
        }
    }

    /// An operation done by the run time in Rust.
    pub(super) fn int_helper(&mut self, inst: &Inst) {
        // C may be read (shift by zero) and written by it: all flags that matter must be in memory.
        let reads = if inst.flags.is_empty() {
            Flags::NONE
        } else {
            Flags::NZCV
        };
        let live = self.fates[self.at].live_after | reads;
        self.spill_flags(Flags(live.0 & self.flags.eflags.0) - self.flags.mem);
        self.call_rust(Helper::IntOp, inst, &[inst.a, inst.b, inst.c]);
        if !inst.flags.is_empty() {
            self.flags.mem = self.flags.mem | inst.flags;
        }
        let unused = self.unused();
        if !unused {
            self.finish_in(RAX);
        }
    }
}
