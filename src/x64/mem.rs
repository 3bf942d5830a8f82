//! Loads, stores, exclusives, barriers.
//!
//! A guest address is formed with 32-bit addressing (the 0x67 prefix) when two registers are added, which wraps
//! modulo 2^32 as ARM does. With one register and a displacement the 64-bit sum can leave the window only into the
//! guard above it or the non-existent addresses below zero, and faults there.

use super::asm::{Enc, Mem, Rm};
use super::emit::{Cold, Emitter};
use super::regs::{RAX, disp};
use crate::cpu::state::CpuState;
use crate::ir::ops::{Flags, Inst, Op, Type, Value};
use dynasmrt::{DynasmApi, dynasm};
use std::mem::offset_of;

const EX_ADDR: i32 = disp(offset_of!(CpuState, ex_addr));
const EX_VAL: i32 = disp(offset_of!(CpuState, ex_val));

impl Emitter<'_> {
    pub(super) fn is_fp(&self, v: Value) -> bool {
        matches!(self.block.insts[v.index()].op.result(), Type::F32 | Type::F64)
    }

    /// The memory operand `a + (b << shift) + imm`.
    pub(super) fn address(&mut self, a: Value, b: Value, shift: u8, imm: u32) -> Mem {
        let gs = self.opts.based;
        if b.is_none() {
            if let Some(k) = self.imm(a) {
                let at = k.wrapping_add(imm);
                if at < 0x8000_0000 {
                    return Mem {
                        base: None,
                        index: None,
                        disp: at as i32,
                        addr32: gs,
                        gs,
                    };
                }
                let t = self.alloc_gpr();
                self.asm.mov_ri(t, at);
                return Mem {
                    base: Some(t),
                    index: None,
                    disp: 0,
                    addr32: gs,
                    gs,
                };
            }
            let r = self.reg(a);
            return Mem {
                base: Some(r),
                index: None,
                disp: imm as i32,
                addr32: gs,
                gs,
            };
        }
        let (ra, rb) = (self.reg(a), self.reg(b));
        Mem {
            base: Some(ra),
            index: Some((rb, shift)),
            disp: imm as i32,
            addr32: true,
            gs,
        }
    }

    pub(super) fn mem(&mut self, inst: &Inst) {
        let shift = inst.aux >> 4;
        match inst.op {
            Op::Load8 => self.load(inst, Enc::of(0xb6)),
            Op::LoadS8 => self.load(inst, Enc::of(0xbe)),
            Op::Load16 => self.load(inst, Enc::of(0xb7)),
            Op::LoadS16 => self.load(inst, Enc::of(0xbf)),
            Op::Load32 => self.load(inst, Enc::new(0x8b)),
            Op::Load64 => self.load(inst, Enc::new(0x8b).w()),
            Op::Store8 => self.store(inst, Enc::new(0x88).byte()),
            Op::Store16 => self.store(inst, Enc::new(0x89).prefix(0x66)),
            Op::Store32 => self.store(inst, Enc::new(0x89)),
            Op::Store64 => self.store(inst, Enc::new(0x89).w()),
            Op::LoadF32 | Op::LoadF64 => {
                let m = self.address(inst.a, inst.b, shift, inst.imm);
                let p = if inst.op == Op::LoadF64 { 0xf2 } else { 0xf3 };
                let x = self.def_xmm();
                self.fault_point();
                self.asm.op(Enc::of(0x10).prefix(p), x, m.into());
            }
            Op::StoreF32 | Op::StoreF64 => {
                let m = self.address(inst.a, inst.b, shift, inst.imm);
                let p = if inst.op == Op::StoreF64 { 0xf2 } else { 0xf3 };
                let x = self.xmm(inst.c);
                self.fault_point();
                self.asm.op(Enc::of(0x11).prefix(p), x, m.into());
            }
            Op::CheckAlign => self.check_align(inst),
            Op::LoadEx | Op::LoadEx64 => self.load_ex(inst),
            Op::StoreEx | Op::StoreEx64 => self.store_ex(inst),
            Op::Clrex => dynasm!(self.asm.ops; .arch x64; mov QWORD [BYTE rbp + EX_ADDR as i8], -1),
            Op::Swap => {
                let m = self.address(inst.a, Value::NONE, 0, 0);
                let t = self.alloc_gpr();
                self.copy_to(t, inst.b);
                self.fault_point();
                if inst.imm == 1 {
                    self.asm.op(Enc::new(0x86).byte(), t, m.into());
                    self.asm.op(Enc::of(0xb6).byte(), t, Rm::Reg(t));
                } else {
                    self.asm.op(Enc::new(0x87), t, m.into());
                }
                self.def_in(t);
            }
            Op::Fence => {
                self.pre_clobber(Flags::NONE);
                dynasm!(self.asm.ops; .arch x64; lock or DWORD [rsp - 64], 0);
                self.clobbered();
            }
            Op::StoreRel => {
                let m = self.address(inst.a, Value::NONE, 0, 0);
                let t = self.alloc_gpr();
                self.copy_to(t, inst.b);
                self.fault_point();
                let e = match inst.imm {
                    1 => Enc::new(0x86).byte(),
                    2 => Enc::new(0x87).prefix(0x66),
                    _ => Enc::new(0x87),
                };
                self.asm.op(e, t, m.into());
            }
            _ => unreachable!("{:?} is not a memory operation", inst.op),
        }
    }

    fn load(&mut self, inst: &Inst, e: Enc) {
        let m = self.address(inst.a, inst.b, inst.aux >> 4, inst.imm);
        // The address dies with the load: its scratch register may take the result.
        let dst = self.def_over(inst.a);
        self.fault_point();
        self.asm.op(e, dst, m.into());
    }

    fn store(&mut self, inst: &Inst, e: Enc) {
        let m = self.address(inst.a, inst.b, inst.aux >> 4, inst.imm);
        if let (Op::Store32, Some(k)) = (inst.op, self.imm(inst.c)) {
            self.fault_point();
            return self.asm.store_imm(m, k);
        }
        let r = self.reg(inst.c);
        self.fault_point();
        self.asm.op(e, r, m.into());
    }

    fn check_align(&mut self, inst: &Inst) {
        if self
            .imm(inst.a)
            .is_some_and(|k| k.wrapping_add(inst.imm) & inst.imm2 == 0)
        {
            return;
        }
        self.pre_clobber(Flags::NONE);
        if self.opts.precise_flags {
            // The way out shows them.
            self.spill_flags(self.flags.eflags - self.flags.mem);
        }
        let addr = match self.imm(inst.a) {
            Some(k) => {
                self.take(RAX);
                self.asm.mov_ri(RAX, k.wrapping_add(inst.imm));
                RAX
            }
            None if inst.imm == 0 => self.reg(inst.a),
            None => {
                self.take(RAX);
                let a = self.reg(inst.a);
                self.asm.lea(RAX, Mem::at(a, inst.imm as i32));
                RAX
            }
        };
        // test of the low byte
        self.asm.op(Enc::new(0xf6).byte(), 0, Rm::Reg(addr));
        self.asm.ops.push(inst.imm2 as u8);
        self.clobbered();
        let label = self.asm.new_label();
        self.asm.jcc(super::asm::Cc::Ne, label);
        self.cold.push(Cold::Align {
            label,
            addr,
            pc: self.pc,
            it: self.it,
        });
    }

    /// Opens the monitor: address and value seen.
    fn load_ex(&mut self, inst: &Inst) {
        let m = self.address(inst.a, Value::NONE, 0, 0);
        let t = self.alloc_gpr();
        self.fault_point();
        let e = match inst.imm {
            1 => Enc::of(0xb6),
            2 => Enc::of(0xb7),
            4 => Enc::new(0x8b),
            _ => Enc::new(0x8b).w(),
        };
        self.asm.op(e, t, m.into());
        self.asm.op(Enc::new(0x89).w(), t, Mem::state(EX_VAL).into());
        self.monitor(m, Enc::new(0x89).w());
        self.finish_in(t);
    }

    /// `e` between the monitor's address and the address `m` (whose base is a register or a constant).
    fn monitor(&mut self, m: Mem, e: Enc) {
        match m.base {
            Some(b) => self.asm.op(e, b, Mem::state(EX_ADDR).into()),
            None => {
                // A constant address below 2 GiB.
                if e.opcode == 0x89 {
                    self.asm.op(Enc::new(0xc7).w(), 0, Mem::state(EX_ADDR).into());
                } else {
                    self.asm.op(Enc::new(0x81).w(), 7, Mem::state(EX_ADDR).into());
                }
                self.asm.ops.push_i32(m.disp);
            }
        }
    }

    /// 0 in the result if the monitor is still open on this address and memory still holds the value seen.
    fn store_ex(&mut self, inst: &Inst) {
        self.pre_clobber(Flags::NONE);
        self.take(RAX);
        let m = self.address(inst.a, Value::NONE, 0, 0);
        let v = self.reg(inst.b);
        self.fault_point();
        self.monitor(m, Enc::new(0x39).w());
        self.clobbered();
        let (miss, back) = (self.asm.new_label(), self.asm.new_label());
        self.asm.jcc(super::asm::Cc::Ne, miss);
        self.cold.push(Cold::MonitorMiss { label: miss, back });
        self.asm.op(Enc::new(0x8b).w(), RAX, Mem::state(EX_VAL).into());
        self.fault_point();
        // lock cmpxchg [m], v
        self.asm.ops.push(0xf0);
        let e = match inst.imm {
            1 => Enc::of(0xb0).byte(),
            2 => Enc::of(0xb1).prefix(0x66),
            4 => Enc::of(0xb1),
            _ => Enc::of(0xb1).w(),
        };
        self.asm.op(e, v, m.into());
        self.asm.bind(back);
        // ZF says whether both comparisons held.
        dynasm!(self.asm.ops; .arch x64
            ; mov QWORD [BYTE rbp + EX_ADDR as i8], -1
            ; setne al
            ; movzx eax, al
        );
        self.finish_in(RAX);
    }
}
