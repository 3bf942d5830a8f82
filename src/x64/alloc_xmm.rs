//! Where floating-point and vector values are: XMM registers, the state, spill slots.
//!
//! Memory has the value of every VFP and vector register, for writes go through at once; so a value read from one may
//! be dropped from its XMM register at any time, until the register is overwritten.

use super::alloc::spill_mem;
use super::asm::{Enc, Mem, Rm};
use super::emit::{Emitter, NOWHERE};
use super::regs::{d_disp, disp, s_disp};
use crate::cpu::state::CpuState;
use crate::ir::ops::{Op, Type, Value, effect};
use crate::ir::vector::{Shape, VecOp};
use std::mem::offset_of;

fn vspill_mem(slot: u8) -> Mem {
    Mem::state(disp(offset_of!(CpuState, vspill) + 16 * usize::from(slot)))
}

/// Memory that holds a floating-point or vector value.
#[derive(Clone, Copy)]
pub(super) enum FpMem {
    /// All of it; 16 aligned bytes if it is a vector.
    Whole(Mem),
    /// The low 64 bits of a vector, which are all that count.
    Low(Mem),
}

impl Emitter<'_> {
    pub(super) fn ty(&self, v: Value) -> Type {
        self.block.insts[v.index()].op.result()
    }

    /// Whether the upper half of the vector `v` means anything.
    pub(super) fn is_wide(&self, v: Value) -> bool {
        let inst = &self.block.insts[v.index()];
        let shape = Shape(inst.imm2 as u8);
        match inst.op {
            Op::GetV | Op::LoadV | Op::LoadDup | Op::VDup => shape.is_q(),
            Op::Vec | Op::VecSat | Op::VecFp => {
                VecOp::from_aux(inst.aux).is_some_and(|op| op.writes_upper(shape))
            }
            _ => true,
        }
    }

    /// The constant that the vector `v` is.
    pub(super) fn vec_const(&self, v: Value) -> Option<u128> {
        let inst = &self.block.insts[v.index()];
        match inst.op {
            Op::VConst => {
                let half = u128::from(inst.imm) | u128::from(inst.imm2) << 32;
                Some(half | half << 64)
            }
            Op::VDup => {
                let esize = Shape(inst.imm2 as u8).esize();
                let lane = u128::from(self.imm(inst.a)?) & ((1 << esize) - 1);
                Some((0..128 / esize).fold(0, |all, k| all | lane << (k * esize)))
            }
            _ => None,
        }
    }

    /// Memory that holds the floating-point or vector value `v`.
    pub(super) fn fp_mem(&self, v: Value) -> Option<FpMem> {
        let find = |homes: &[Value]| homes.iter().position(|h| *h == v).map(|i| i as u8);
        let spill = self.places[v.index()].spill;
        match self.ty(v) {
            Type::F32 => {
                if let Some(s) = find(&self.home_s) {
                    return Some(FpMem::Whole(Mem::state(s_disp(s))));
                }
            }
            Type::F64 => {
                if let Some(d) = find(&self.home_d) {
                    return Some(FpMem::Whole(Mem::state(d_disp(d))));
                }
            }
            _ => {
                if let Some(q) = find(&self.home_q) {
                    return Some(FpMem::Whole(Mem::state(d_disp(2 * q))));
                }
                if spill != NOWHERE {
                    return Some(FpMem::Whole(vspill_mem(spill)));
                }
                return find(&self.home_d).map(|d| FpMem::Low(Mem::state(d_disp(d))));
            }
        }
        (spill != NOWHERE).then(|| FpMem::Whole(spill_mem(spill)))
    }

    /// `v` as XMM or memory operand. A vector in memory is 16 aligned bytes.
    pub(super) fn xrm(&mut self, v: Value) -> Rm {
        let x = self.places[v.index()].xmm;
        if x != NOWHERE {
            self.xlocked |= 1 << x;
            return Rm::Reg(x);
        }
        match self.fp_mem(v) {
            Some(FpMem::Whole(m)) => Rm::Mem(m),
            Some(FpMem::Low(m)) => {
                let x = self.alloc_xmm();
                self.asm.op(Enc::of(0x7e).prefix(0xf3), x, m.into());
                self.upper_zero[v.index()] = true;
                self.occupy_xmm(x, v);
                Rm::Reg(x)
            }
            None => match self.vec_const(v) {
                Some(k) => self.asm.constant(k),
                None => unreachable!("{v:?} is nowhere"),
            },
        }
    }

    /// `v` as XMM operand or as memory of which only the low 64 bits may be read.
    pub(super) fn xrm_low(&mut self, v: Value) -> Rm {
        match self.fp_mem(v) {
            Some(FpMem::Low(m)) if self.places[v.index()].xmm == NOWHERE => Rm::Mem(m),
            _ => self.xrm(v),
        }
    }

    /// `v` in an XMM register, locked.
    pub(super) fn xmm(&mut self, v: Value) -> u8 {
        let from = match self.xrm(v) {
            Rm::Reg(x) => return x,
            m => m,
        };
        let x = self.alloc_xmm();
        let load = match self.ty(v) {
            Type::F32 => Enc::of(0x10).prefix(0xf3),
            Type::F64 => Enc::of(0x10).prefix(0xf2),
            _ => Enc::of(0x28),
        };
        match (from, self.vec_const(v)) {
            // pxor, pcmpeqd
            (Rm::Pool(_), Some(0)) => self.asm.op(Enc::of(0xef).prefix(0x66), x, Rm::Reg(x)),
            (Rm::Pool(_), Some(u128::MAX)) => self.asm.op(Enc::of(0x76).prefix(0x66), x, Rm::Reg(x)),
            _ => self.asm.op(load, x, from),
        }
        self.occupy_xmm(x, v);
        x
    }

    pub(super) fn occupy_xmm(&mut self, x: u8, v: Value) {
        self.xmm_holds[usize::from(x)] = v;
        self.places[v.index()].xmm = x;
        self.xlocked |= 1 << x;
    }

    /// Destination XMM register of the current instruction.
    pub(super) fn def_xmm(&mut self) -> u8 {
        let x = match self.xmm_hint[self.at] {
            x if x != NOWHERE && self.xmm_free(x) => {
                self.evict_xmm(x);
                x
            }
            _ => self.alloc_xmm(),
        };
        self.occupy_xmm(x, Value(self.at as u32));
        x
    }

    /// As [`Emitter::def_xmm`], but takes over the register of operand `a` if `a` dies here: for operations that read
    /// `a` in the first instruction and write the result not before.
    pub(super) fn def_xmm_over(&mut self, a: Value) -> u8 {
        let (x, hint) = (self.places[a.index()].xmm, self.xmm_hint[self.at]);
        if x == NOWHERE || self.lives_on(a) || hint != NOWHERE && hint != x {
            return self.def_xmm();
        }
        self.places[a.index()].xmm = NOWHERE;
        self.occupy_xmm(x, Value(self.at as u32));
        x
    }

    /// Destination of the last instruction of the current operation, one with a destination apart from its sources:
    /// it may be the register of any operand that dies here.
    pub(super) fn def_last(&mut self) -> u8 {
        let hint = self.xmm_hint[self.at];
        if hint != NOWHERE {
            let v = self.xmm_holds[usize::from(hint)];
            if !v.is_none() && !self.lives_on(v) {
                self.xmm_holds[usize::from(hint)] = Value::NONE;
                self.places[v.index()].xmm = NOWHERE;
            } else if !v.is_none() || self.xlocked & 1 << hint != 0 {
                return self.def_xmm();
            }
            self.evict_xmm(hint);
            self.occupy_xmm(hint, Value(self.at as u32));
            return hint;
        }
        for v in self.block.insts[self.at].operands() {
            if !v.is_none() && self.places[v.index()].xmm != NOWHERE && !self.lives_on(v) {
                return self.def_xmm_over(v);
            }
        }
        self.def_xmm()
    }

    /// Whether XMM register `x` may be the destination: what it holds, if anything, is needed no later than this
    /// instruction, which has a form with a separate destination. Fused multiply-add has none (its addend is copied
    /// there first), and its software path still reads the operands.
    fn xmm_free(&self, x: u8) -> bool {
        let v = self.xmm_holds[usize::from(x)];
        let op = self.block.insts[self.at].op;
        let scalar = op.effects() & effect::FP_TRAP != 0 && !matches!(op, Op::FMa32 | Op::FMa64 | Op::VecFp);
        let checked = self.opts.flush || self.opts.default_nan;
        let three_operands = self.opts.host.avx && scalar && !checked;
        let unlocked = self.xlocked & 1 << x == 0;
        if v.is_none() {
            return unlocked;
        }
        !self.lives_on(v) && (three_operands || unlocked)
    }

    /// A free XMM register, locked.
    pub(super) fn alloc_xmm(&mut self) -> u8 {
        debug_assert!(!self.may_trap_now);
        // First those whose value is dead, then those that memory has as well, then any.
        for pass in 0..3 {
            for _ in 0..16 {
                let x = self.next_xmm;
                self.next_xmm = (self.next_xmm + 1) % 16;
                if self.xlocked & 1 << x != 0 {
                    continue;
                }
                let v = self.xmm_holds[usize::from(x)];
                let needed = !v.is_none() && self.fates[v.index()].last_use >= self.at as u32;
                if needed && (pass == 0 || pass == 1 && self.only_in_xmm(v)) || pass == 0 && x == self.qc_xmm
                {
                    continue;
                }
                self.evict_xmm(x);
                self.xlocked |= 1 << x;
                return x;
            }
        }
        unreachable!("an operation locks all XMM registers")
    }

    /// Whether the value, which is in an XMM register, would be lost with it.
    fn only_in_xmm(&self, v: Value) -> bool {
        // What is carried around a loop and not read yet is in the register file.
        v.index() <= self.at && self.fp_mem(v).is_none() && self.vec_const(v).is_none()
    }

    pub(super) fn evict_xmm(&mut self, x: u8) {
        if x == self.qc_xmm {
            // The state has it, too.
            self.qc_xmm = NOWHERE;
        }
        let v = self.xmm_holds[usize::from(x)];
        if v.is_none() {
            return;
        }
        if self.fates[v.index()].last_use >= self.at as u32 && self.only_in_xmm(v) {
            let slot;
            if self.ty(v) == Type::Vec {
                slot = self.new_vslot();
                self.asm.op(Enc::of(0x29), x, vspill_mem(slot).into());
            } else {
                slot = self.new_slot();
                self.asm.op(Enc::of(0x11).prefix(0xf2), x, spill_mem(slot).into());
            }
            self.places[v.index()].spill = slot;
        }
        self.xmm_holds[usize::from(x)] = Value::NONE;
        self.places[v.index()].xmm = NOWHERE;
    }

    /// Words `s_first` and up of the VFP register file are about to be overwritten: values that live only there move.
    pub(super) fn leave_fp_home(&mut self, s_first: usize, s_count: usize) {
        let end = s_first + s_count;
        for s in s_first..end.min(32) {
            let v = std::mem::replace(&mut self.home_s[s], Value::NONE);
            self.leave_one(v, Mem::state(s_disp(s as u8)));
        }
        for d in s_first / 2..end.div_ceil(2) {
            let v = std::mem::replace(&mut self.home_d[d], Value::NONE);
            self.leave_one(v, Mem::state(d_disp(d as u8)));
        }
        for q in s_first / 4..end.div_ceil(4) {
            let v = std::mem::replace(&mut self.home_q[q], Value::NONE);
            self.leave_one(v, Mem::state(d_disp(2 * q as u8)));
        }
    }

    /// The value `v` (if it is one) may no longer be looked for at `home`, where it still is: it moves to a register
    /// if it is needed later and nowhere else.
    pub(super) fn leave_one(&mut self, v: Value, home: Mem) {
        if v.is_none() || !self.lives_on(v) || self.places[v.index()].xmm != NOWHERE || !self.only_in_xmm(v) {
            return;
        }
        let x = self.alloc_xmm();
        let load = match self.ty(v) {
            Type::F32 => Enc::of(0x10).prefix(0xf3),
            Type::Vec if self.is_wide(v) => Enc::of(0x28),
            _ => {
                self.upper_zero[v.index()] = true;
                Enc::of(0x7e).prefix(0xf3)
            }
        };
        self.asm.op(load, x, home.into());
        self.occupy_xmm(x, v);
    }

    fn new_vslot(&mut self) -> u8 {
        let slot = (!self.vspill_used).trailing_zeros() as u8;
        assert!(slot < 32, "out of spill slots for vectors");
        self.vspill_used |= 1 << slot;
        slot
    }
}
