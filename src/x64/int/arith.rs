//! Sums, differences and logical operations, with the flags that they set.

use crate::ir::ops::{Flags, Inst, Value};
use crate::x64::asm::{Alu, Mem, Rm};
use crate::x64::emit::Emitter;

impl Emitter<'_> {
    pub(super) fn add(&mut self, inst: &Inst) {
        let (mut a, mut b) = (inst.a, inst.b);
        if self.imm(a).is_some() {
            (a, b) = (b, a);
        }
        if inst.flags.is_empty() {
            return self.add_plain(a, b);
        }
        self.pre_clobber(inst.flags);
        self.alu2(Alu::Add, a, b, true);
        self.flags_set(inst.flags, false);
    }

    /// Addition without flags: LEA where it saves a move or EFLAGS.
    pub(super) fn add_plain(&mut self, a: Value, b: Value) {
        if let (Some(x), Some(y)) = (self.imm(a), self.imm(b)) {
            let dst = self.def();
            return self.asm.mov_ri(dst, x.wrapping_add(y));
        }
        let free = self.eflags_free();
        if let Some(k) = self.imm(b) {
            let src = self.rm(a);
            let Rm::Reg(ra) = src else {
                // From memory: load, then add in place.
                let dst = self.def();
                self.asm.mov_rm(dst, src);
                return self.add_imm_in_place(dst, k, free);
            };
            let dst = self.def_over(a);
            if dst == ra {
                return self.add_imm_in_place(dst, k, free);
            }
            return self.asm.lea(dst, Mem::at(ra, k as i32));
        }
        let ra = self.reg(a);
        let rb = if free { self.rm(b) } else { Rm::Reg(self.reg(b)) };
        let dst = self.def_over(a);
        match rb {
            Rm::Reg(r) if dst == ra && free => self.plain_alu(Alu::Add, dst, Rm::Reg(r)),
            Rm::Reg(r) if dst == r && free => self.plain_alu(Alu::Add, dst, Rm::Reg(ra)),
            Rm::Reg(r) => {
                let m = Mem {
                    base: Some(ra),
                    index: Some((r, 0)),
                    disp: 0,
                    addr32: false,
                    gs: false,
                };
                self.asm.lea(dst, m);
            }
            m => {
                self.asm.mov_rr(dst, ra);
                self.plain_alu(Alu::Add, dst, m);
            }
        }
    }

    pub(super) fn add_imm_in_place(&mut self, dst: u8, k: u32, free: bool) {
        if free {
            self.asm.alu_i(Alu::Add, Rm::Reg(dst), k);
            self.clobbered();
        } else {
            self.asm.lea(dst, Mem::at(dst, k as i32));
        }
    }

    pub(super) fn plain_alu(&mut self, op: Alu, dst: u8, rm: Rm) {
        self.asm.alu(op, dst, rm);
        self.clobbered();
    }

    pub(super) fn sub(&mut self, inst: &Inst) {
        if inst.flags.is_empty() {
            if let (Some(k), None) = (self.imm(inst.b), self.imm(inst.a)) {
                return self.sub_imm(inst.a, k);
            }
            if !self.eflags_free() && self.imm(inst.b).is_none() {
                return self.sub_keeping_flags(inst.a, inst.b);
            }
            self.pre_clobber(Flags::NONE);
            self.alu2(Alu::Sub, inst.a, inst.b, false);
            return self.clobbered();
        }
        self.pre_clobber(inst.flags);
        if self.unused() {
            // A comparison.
            match self.imm(inst.b) {
                Some(0) if self.imm(inst.a).is_none() => {
                    // Against zero: TEST gives the same N and Z, V = 0, but CF = 0 where ARM's C is 1: CF inverted is 1.
                    let a = self.reg(inst.a);
                    self.asm.test_rr(a, a);
                }
                Some(k) => {
                    let a = self.rm(inst.a);
                    self.asm.alu_i(Alu::Cmp, a, k);
                }
                None => {
                    let a = self.reg(inst.a);
                    let b = self.rm(inst.b);
                    self.asm.alu(Alu::Cmp, a, b);
                }
            }
        } else {
            self.alu2(Alu::Sub, inst.a, inst.b, false);
        }
        self.flags_set(inst.flags, true);
    }

    /// a - b as a + !b + 1: neither NOT nor LEA touches EFLAGS.
    pub(super) fn sub_keeping_flags(&mut self, a: Value, b: Value) {
        let base = self.imm(a).is_none().then(|| self.reg(a));
        let t = self.alloc_gpr();
        self.copy_to(t, b);
        self.asm.not(t);
        let m = match (base, self.imm(a)) {
            (Some(r), _) => Mem {
                base: Some(r),
                index: Some((t, 0)),
                disp: 1,
                addr32: false,
                gs: false,
            },
            (None, k) => Mem::at(t, k.unwrap_or(0).wrapping_add(1) as i32),
        };
        let dst = self.def_hinted();
        self.asm.lea(dst.unwrap_or(t), m);
        if dst.is_none() && !self.unused() {
            self.def_in(t);
        }
    }

    pub(super) fn sub_imm(&mut self, a: Value, k: u32) {
        let free = self.eflags_free();
        let src = self.rm(a);
        let dst = self.def_over(a);
        match src {
            Rm::Reg(ra) if ra != dst => self.asm.lea(dst, Mem::at(ra, k.wrapping_neg() as i32)),
            _ => {
                self.asm.mov_rm(dst, src);
                self.add_imm_in_place(dst, k.wrapping_neg(), free);
            }
        }
    }

    /// `dst = a op b` in two-operand form; an unused result goes to a scratch register.
    pub(super) fn alu2(&mut self, op: Alu, a: Value, b: Value, commutes: bool) {
        if let Some(k) = self.imm(b) {
            let dst = self.unary_dst(a);
            return self.asm.alu_i(op, Rm::Reg(dst), k);
        }
        let rb = self.rm(b);
        if let (Some(0), Alu::Sub) = (self.imm(a), op) {
            // NEG sets the flags of 0 - b.
            let dst = self.def_over(b);
            self.asm.mov_rm(dst, rb);
            return self.asm.neg(dst);
        }
        if let Some(k) = self.imm(a) {
            let dst = self.def();
            if rb != Rm::Reg(dst) {
                self.asm.mov_ri(dst, k);
                return self.asm.alu(op, dst, rb);
            }
            let t = self.alloc_gpr();
            self.asm.mov_ri(t, k);
            self.asm.alu(op, t, rb);
            return self.asm.mov_rr(dst, t);
        }
        let ra = self.rm(a);
        let dst = self.def_over(a);
        if ra == Rm::Reg(dst) {
            self.asm.alu(op, dst, rb);
        } else if rb != Rm::Reg(dst) {
            self.asm.mov_rm(dst, ra);
            self.asm.alu(op, dst, rb);
        } else if commutes {
            self.asm.alu(op, dst, ra);
        } else {
            let t = self.alloc_gpr();
            self.asm.mov_rm(t, ra);
            self.asm.alu(op, t, rb);
            self.asm.mov_rr(dst, t);
        }
    }

    pub(super) fn adc(&mut self, inst: &Inst) {
        self.pre_clobber(inst.flags);
        self.ensure_carry(false);
        self.alu2(Alu::Adc, inst.a, inst.b, true);
        self.after_carry_op(inst.flags, false);
    }

    pub(super) fn sbc(&mut self, inst: &Inst) {
        self.pre_clobber(inst.flags);
        self.ensure_carry(true);
        self.alu2(Alu::Sbb, inst.a, inst.b, false);
        self.after_carry_op(inst.flags, true);
    }

    pub(super) fn after_carry_op(&mut self, f: Flags, inverted: bool) {
        if f.is_empty() {
            self.clobbered();
        } else {
            self.flags_set(f, inverted);
        }
    }

    pub(super) fn logic(&mut self, inst: &Inst, op: Alu) {
        self.pre_clobber(inst.flags);
        let (mut a, mut b) = (inst.a, inst.b);
        if self.imm(a).is_some() {
            (a, b) = (b, a);
        }
        if op != Alu::And && self.unused() && self.imm(b) == Some(0) && self.imm(a).is_none() {
            let ra = self.reg(a);
            self.asm.test_rr(ra, ra);
        } else if op == Alu::And && self.unused() && !inst.flags.is_empty() && self.imm(a).is_none() {
            match self.imm(b) {
                Some(k) => {
                    let ra = self.rm(a);
                    self.asm.test_ri(ra, k);
                }
                None => {
                    let (ra, rb) = (self.reg(a), self.reg(b));
                    self.asm.test_rr(ra, rb);
                }
            }
        } else {
            self.alu2(op, a, b, true);
        }
        self.after_carry_op(inst.flags, false);
    }

    /// a op !b.
    pub(super) fn logic_not(&mut self, inst: &Inst, op: Alu) {
        self.pre_clobber(inst.flags);
        if let Some(k) = self.imm(inst.b) {
            let dst = self.unary_dst(inst.a);
            self.asm.alu_i(op, Rm::Reg(dst), !k);
        } else {
            let ra = if self.imm(inst.a).is_some() {
                Rm::Reg(self.reg(inst.a))
            } else {
                self.rm(inst.a)
            };
            let t = self.alloc_gpr();
            self.copy_to(t, inst.b);
            self.asm.not(t);
            self.asm.alu(op, t, ra);
            self.finish_in(t);
        }
        self.after_carry_op(inst.flags, false);
    }
}
