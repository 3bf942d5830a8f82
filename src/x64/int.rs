//! Integer operations, registers, flags as data.

mod arith;
mod bits;
mod media;
mod shift;

use super::asm::{Alu, Cc, Enc, Mem, Rm, Sh};
use super::emit::Emitter;
use super::flags::{C, NZ, Test, V};
use super::regs::{PINNED, RAX, disp};
use super::stubs::Helper;
use crate::cpu::state::CpuState;
use crate::ir::ops::{Flags, Inst, Op, Value};
use dynasmrt::{DynasmApi, dynasm};
use std::mem::offset_of;

const Q: i32 = disp(offset_of!(CpuState, q));
const GE: i32 = disp(offset_of!(CpuState, ge));

impl Emitter<'_> {
    pub(super) fn int(&mut self, inst: &Inst) {
        match inst.op {
            Op::GetReg => {
                // An earlier value of the same register keeps a place of its own.
                self.leave_home(inst.imm as u8);
                self.set_home(inst.imm as u8, Value(self.at as u32));
            }
            Op::SetReg => self.set_reg(inst.imm as u8, inst.a),
            Op::GetS | Op::GetD | Op::SetS | Op::SetD => self.fp_context(inst),
            Op::GetNzcv => {
                self.spill_flags(self.flags.eflags - self.flags.mem);
                let dst = self.def();
                let tmp = self.alloc_gpr();
                self.pack_nzcv(dst, tmp);
            }
            Op::SetNzcv => self.set_nzcv(inst),
            Op::SetC => self.set_c(inst),
            Op::TestNz => {
                if !inst.flags.is_empty() {
                    self.pre_clobber(inst.flags);
                    let r = self.reg(inst.a);
                    self.asm.test_rr(r, r);
                    self.flags_set(inst.flags, false);
                }
            }
            Op::TestNz64 => {
                if !inst.flags.is_empty() {
                    self.pre_clobber(inst.flags);
                    let r = self.reg(inst.a);
                    self.asm.op(Enc::new(0x85).w(), r, Rm::Reg(r));
                    self.flags_set(inst.flags, false);
                }
            }
            Op::SetCond => self.set_cond(inst),
            Op::GetQ => {
                let dst = self.def();
                self.asm.op(Enc::of(0xb6), dst, Mem::state(Q).into());
            }
            Op::SetQ => {
                self.pre_clobber(Flags::NONE);
                let t = self.alloc_gpr();
                self.copy_to(t, inst.a);
                self.asm.alu_i(Alu::And, Rm::Reg(t), 1);
                self.asm.op(Enc::new(0x88).byte(), t, Mem::state(Q).into());
                self.clobbered();
            }
            Op::GetGe => {
                let dst = self.def();
                self.asm.mov_rm(dst, Mem::state(GE).into());
            }
            Op::SetGe => {
                let r = self.reg(inst.a);
                self.asm.store(Mem::state(GE), r);
            }
            Op::GetSys => {
                let dst = self.def();
                self.asm.mov_rm(dst, Mem::state(sys_disp(inst.imm)).into());
            }
            Op::SetSys => {
                let r = self.reg(inst.a);
                self.asm.store(Mem::state(sys_disp(inst.imm)), r);
            }
            Op::Add => self.add(inst),
            Op::Sub => self.sub(inst),
            Op::Adc => self.adc(inst),
            Op::Sbc => self.sbc(inst),
            Op::And => self.logic(inst, Alu::And),
            Op::Or => self.logic(inst, Alu::Or),
            Op::Xor => self.logic(inst, Alu::Xor),
            Op::AndNot => self.logic_not(inst, Alu::And),
            Op::OrNot => self.logic_not(inst, Alu::Or),
            Op::Not => {
                self.pre_clobber_if_flags(inst.flags);
                let dst = self.unary_dst(inst.a);
                self.asm.not(dst);
                self.nz_after(dst, inst.flags);
            }
            Op::Shl | Op::Shr | Op::Sar | Op::Ror | Op::Rrx => self.shift(inst),
            Op::ShlReg | Op::ShrReg | Op::SarReg | Op::RorReg => self.shift_reg(inst),
            Op::Mul => self.mul(inst),
            Op::UDiv | Op::SDiv => self.div(inst),
            Op::Clz => self.clz(inst),
            Op::Rbit => self.rbit(inst),
            Op::Rev => {
                let dst = self.unary_dst(inst.a);
                self.bswap(dst);
            }
            Op::Rev16 => {
                self.pre_clobber(Flags::NONE);
                let dst = self.unary_dst(inst.a);
                self.bswap(dst);
                self.asm.shift_i(Sh::Ror, dst, 16);
                self.clobbered();
            }
            Op::Sext8 | Op::Sext16 | Op::Zext8 | Op::Zext16 => self.extend(inst),
            Op::Ubfx | Op::Sbfx => self.bit_field(inst),
            Op::Bfi => self.bfi(inst),
            Op::Select => self.select(inst),
            Op::BitSelect => self.bit_select(inst),
            Op::Crc32 if inst.aux & 1 == 1 => self.crc32c(inst),
            Op::UMul64
            | Op::SMul64
            | Op::Add64
            | Op::Sub64
            | Op::Concat
            | Op::Lo
            | Op::Hi
            | Op::Sext64
            | Op::Sar64 => self.wide(inst),
            Op::QAdd | Op::QSub => self.saturating(inst),
            Op::AddSetQ => {
                self.pre_clobber(Flags::NONE);
                let rb = self.rm(inst.b);
                let t = self.alloc_gpr();
                self.copy_to(t, inst.a);
                self.asm.alu(Alu::Add, t, rb);
                self.set_q_if(Cc::O);
                self.clobbered();
                self.finish_in(t);
            }
            Op::NarrowSetQ => {
                self.pre_clobber(Flags::NONE);
                let a = self.reg(inst.a);
                let t = self.alloc_gpr();
                self.asm.op(Enc::new(0x63).w(), t, Rm::Reg(a));
                self.asm.alu64(Alu::Cmp, t, Rm::Reg(a));
                self.set_q_if(Cc::Ne);
                self.clobbered();
                self.asm.mov_rr(t, a);
                // The upper half must be clear even when the two were one register.
                self.asm.op(Enc::new(0x8b), t, Rm::Reg(t));
                self.finish_in(t);
            }
            Op::SSat | Op::USat => self.saturate(inst),
            Op::Parallel => self.parallel(inst),
            Op::Crc32 | Op::SSat16 | Op::USat16 | Op::Usada8 => self.int_helper(inst),
            _ => unreachable!("{:?} is not an integer operation", inst.op),
        }
    }

    fn pre_clobber_if_flags(&mut self, f: Flags) {
        if !f.is_empty() {
            self.pre_clobber(f);
        }
    }

    /// The current value is in scratch register `t`: moves it to its pinned register, or leaves it there.
    pub(super) fn finish_in(&mut self, t: u8) {
        if self.unused() {
            return;
        }
        match self.def_hinted() {
            Some(dst) => self.asm.mov_rr(dst, t),
            None => self.def_in(t),
        }
    }

    /// Q |= `cc`. EFLAGS are destroyed.
    fn set_q_if(&mut self, cc: Cc) {
        let over = self.jcc_over(cc.invert());
        dynasm!(self.asm.ops; .arch x64; mov BYTE [BYTE rbp + Q as i8], 1);
        self.asm.bind(over);
    }

    /// Destination of a one-operand operation, with the operand's value in it.
    fn unary_dst(&mut self, a: Value) -> u8 {
        if let Some(k) = self.imm(a) {
            let dst = self.def();
            self.asm.mov_ri(dst, k);
            return dst;
        }
        let src = self.rm(a);
        let dst = self.def_over(a);
        self.asm.mov_rm(dst, src);
        dst
    }

    /// N and Z of `r`, if they are wanted.
    fn nz_after(&mut self, r: u8, f: Flags) {
        if !f.is_empty() {
            self.asm.test_rr(r, r);
            self.flags_set(f, false);
        }
    }

    fn set_reg(&mut self, r: u8, v: Value) {
        if self.home[usize::from(r)] == v {
            return;
        }
        self.leave_home(r);
        match (PINNED[usize::from(r)], self.imm(v)) {
            (Some(h), Some(0)) if self.eflags_free() && self.flags.eflags.is_empty() => {
                self.asm.alu(Alu::Xor, h, Rm::Reg(h));
                self.clobbered();
            }
            (Some(h), Some(k)) => self.asm.mov_ri(h, k),
            (Some(h), None) => {
                let rm = self.rm(v);
                self.asm.mov_rm(h, rm);
            }
            (None, Some(k)) => self.asm.store_imm(Self::reg_mem(r), k),
            (None, None) => {
                let s = self.reg(v);
                self.asm.store(Self::reg_mem(r), s);
            }
        }
        self.set_home(r, v);
    }

    fn set_nzcv(&mut self, inst: &Inst) {
        if inst.flags.is_empty() {
            return;
        }
        self.pre_clobber(inst.flags);
        let r = self.reg(inst.a);
        let t = self.alloc_gpr();
        if inst.flags.intersects(Flags::NZ) {
            self.asm.mov_rr(t, r);
            self.asm.shift_i(Sh::Shr, t, 24);
            self.asm.op(Enc::new(0x88).byte(), t, Mem::state(NZ).into());
        }
        for (flag, at, shift) in [(Flags::C, C, 29), (Flags::V, V, 28)] {
            if inst.flags.intersects(flag) {
                self.asm.mov_rr(t, r);
                self.asm.shift_i(Sh::Shr, t, shift);
                self.asm.alu_i(Alu::And, Rm::Reg(t), 1);
                self.asm.op(Enc::new(0x88).byte(), t, Mem::state(at).into());
            }
        }
        self.clobbered();
        self.flags.mem = self.flags.mem | inst.flags;
    }

    fn set_c(&mut self, inst: &Inst) {
        if !inst.flags.contains(Flags::C) {
            return;
        }
        if self.flags.float {
            self.spill_flags(self.flags.eflags - self.flags.mem);
        }
        if let Some(k) = self.imm(inst.a) {
            dynasm!(self.asm.ops; .arch x64; mov BYTE [BYTE rbp + C as i8], (k & 1) as i8);
        } else {
            self.pre_clobber(Flags::C);
            let t = self.alloc_gpr();
            self.copy_to(t, inst.a);
            self.asm.alu_i(Alu::And, Rm::Reg(t), 1);
            self.asm.op(Enc::new(0x88).byte(), t, Mem::state(C).into());
            self.clobbered();
        }
        self.flags.eflags = self.flags.eflags - Flags::C;
        self.flags.mem = self.flags.mem | Flags::C;
    }

    fn set_cond(&mut self, inst: &Inst) {
        let test = self.test_cond(inst.cond, Flags::NONE);
        let t = self.alloc_gpr();
        match test {
            Test::Always => self.asm.mov_ri(t, 1),
            Test::One(cc) => {
                self.asm.mov_ri(t, 0);
                self.asm.setcc(cc, Rm::Reg(t));
            }
            Test::Or(a, b) | Test::And(a, b) => {
                let or = matches!(test, Test::Or(..));
                self.asm.mov_ri(t, u32::from(or));
                let (a, b) = if or { (a, b) } else { (a.invert(), b.invert()) };
                let done = self.jcc_over(a);
                let done2 = self.jcc_over(b);
                self.asm.mov_ri(t, u32::from(!or));
                self.asm.bind(done);
                self.asm.bind(done2);
            }
        }
        self.finish_in(t);
    }

    fn rm_or_const(&mut self, v: Value) -> Rm {
        if self.imm(v).is_some() {
            Rm::Reg(self.reg(v))
        } else {
            self.rm(v)
        }
    }

    pub(super) fn clock_call(&mut self, inst: &Inst) {
        self.pre_clobber(Flags::NONE);
        self.call_rust(Helper::ClockCall, inst, &[inst.a, inst.b]);
        if !self.unused() {
            self.finish_in(RAX);
        }
    }

    /// Calls the run time with the operation and the bits of `args`; the result is in rax, which is taken.
    pub(super) fn call_rust(&mut self, h: Helper, inst: &Inst, args: &[Value]) {
        let base = disp(offset_of!(CpuState, call_args));
        for (k, v) in args.iter().enumerate() {
            if v.is_none() {
                continue;
            }
            let at = Mem::state(base + 8 * (k as i32 + 1));
            if self.is_fp(*v) {
                let x = self.xmm(*v);
                self.asm.op(Enc::of(0xd6).prefix(0x66), x, at.into());
            } else {
                let r = self.reg(*v);
                self.asm.op(Enc::new(0x89).w(), r, at.into());
                self.locked = 0;
            }
        }
        self.save_all();
        let packed = super::fp::pack_op(inst);
        self.asm.mov_ri64(RAX, packed);
        dynasm!(self.asm.ops; .arch x64; mov QWORD [rbp + base], rax);
        self.asm.mov_ri(RAX, h as u32);
        let call = super::stubs::helper_disp(Helper::CallRust);
        dynasm!(self.asm.ops; .arch x64; call QWORD [rbp + call]);
        self.clobbered();
        self.take(RAX);
    }
}

fn sys_disp(sys: u32) -> i32 {
    disp(if sys == 0 {
        offset_of!(CpuState, tpidruro)
    } else {
        offset_of!(CpuState, tpidrurw)
    })
}
