//! Where values are: pinned registers, three scratch registers, the state, spill slots. (`alloc_xmm` has the others.)
//!
//! A value read from a guest register *is* that register's home until the register is overwritten; if it is still
//! needed then, it moves to a scratch register first. Values from r8-r11 may be dropped at any time:
//! their home is memory, and every write to them goes through to it at once.

use super::asm::{Enc, Mem, Rm};
use super::emit::{Emitter, NOWHERE};
use super::regs::{PINNED, PINNED_SET, RAX, RCX, RDX, disp};
use crate::cpu::state::CpuState;
use crate::ir::ops::{Op, Type, Value};
use std::mem::offset_of;

const SCRATCH: [u8; 3] = [RCX, RDX, RAX];

pub(super) fn spill_mem(slot: u8) -> Mem {
    Mem::state(disp(offset_of!(CpuState, spill) + 8 * usize::from(slot)))
}

impl Emitter<'_> {
    /// The constant that `v` is.
    pub(super) fn imm(&self, v: Value) -> Option<u32> {
        let inst = &self.block.insts[v.index()];
        (inst.op == Op::Const).then_some(inst.imm)
    }

    fn is_64(&self, v: Value) -> bool {
        self.block.insts[v.index()].op.result() == Type::I64
    }

    /// Whether `v` is needed after the current instruction.
    pub(super) fn lives_on(&self, v: Value) -> bool {
        self.fates[v.index()].last_use > self.at as u32
    }

    /// The guest register that holds `v`, a pinned one first.
    fn home_of(&self, v: Value) -> Option<u8> {
        let homes = self.places[v.index()].homes;
        let pinned = homes & PINNED_SET;
        match (pinned, homes) {
            (_, 0) => None,
            (0, _) => Some(15 - homes.leading_zeros() as u8),
            _ => Some(pinned.trailing_zeros() as u8),
        }
    }

    /// Guest register `r` holds `v` from now on, and nothing else; `v` may be none.
    pub(super) fn set_home(&mut self, r: u8, v: Value) {
        let old = std::mem::replace(&mut self.home[usize::from(r)], v);
        if !old.is_none() {
            self.places[old.index()].homes &= !(1 << r);
        }
        if !v.is_none() {
            self.places[v.index()].homes |= 1 << r;
        }
    }

    /// Whether `v` is anywhere but in guest register `r`.
    fn is_outside(&self, v: Value, r: u8) -> bool {
        let p = self.places[v.index()];
        p.gpr != NOWHERE || p.spill != NOWHERE || p.homes & !(1 << r) != 0
    }

    /// Register or memory operand that holds `v`, without moving anything; `None` for constants not in a register.
    fn where_is(&self, v: Value) -> Option<Rm> {
        let p = self.places[v.index()];
        if p.gpr != NOWHERE {
            return Some(Rm::Reg(p.gpr));
        }
        if let Some(r) = self.home_of(v) {
            return Some(match PINNED[usize::from(r)] {
                Some(h) => Rm::Reg(h),
                None => Rm::Mem(Self::reg_mem(r)),
            });
        }
        (p.spill != NOWHERE).then(|| Rm::Mem(spill_mem(p.spill)))
    }

    /// `v` as a 32-bit register or memory operand. The register is locked until the instruction is done.
    pub(super) fn rm(&mut self, v: Value) -> Rm {
        match self.where_is(v) {
            Some(Rm::Reg(r)) => {
                self.lock(r);
                Rm::Reg(r)
            }
            Some(m) => m,
            None => Rm::Reg(self.reg(v)),
        }
    }

    /// `v` in a register (32 bits zero-extended, or 64), locked until the instruction is done.
    pub(super) fn reg(&mut self, v: Value) -> u8 {
        if let Some(Rm::Reg(r)) = self.where_is(v) {
            self.lock(r);
            return r;
        }
        let r = self.alloc_gpr();
        self.load_into(r, v);
        self.occupy(r, v);
        r
    }

    /// `v` copied to scratch register `r`, which the caller has taken and may destroy.
    pub(super) fn copy_to(&mut self, r: u8, v: Value) {
        match self.where_is(v) {
            Some(Rm::Reg(s)) if self.is_64(v) => self.asm.mov_rr64(r, s),
            Some(Rm::Reg(s)) => self.asm.mov_rr(r, s),
            _ => self.load_into(r, v),
        }
    }

    fn load_into(&mut self, r: u8, v: Value) {
        let inst = self.block.insts[v.index()];
        match (self.where_is(v), inst.op) {
            (Some(rm), _) if self.is_64(v) => self.asm.op(Enc::new(0x8b).w(), r, rm),
            (Some(rm), _) => self.asm.mov_rm(r, rm),
            (None, Op::Const64) => self
                .asm
                .mov_ri64(r, u64::from(inst.imm2) << 32 | u64::from(inst.imm)),
            (None, _) => {
                debug_assert_eq!(inst.op, Op::Const, "{v:?} is nowhere");
                self.asm.mov_ri(r, inst.imm);
            }
        }
    }

    pub(super) fn lock(&mut self, r: u8) {
        self.locked |= 1 << r;
    }

    fn occupy(&mut self, r: u8, v: Value) {
        self.gpr_holds[usize::from(r)] = v;
        self.places[v.index()].gpr = r;
        self.lock(r);
    }

    /// A free scratch register, locked; whoever held it has been moved away.
    pub(super) fn alloc_gpr(&mut self) -> u8 {
        debug_assert!(!self.may_trap_now);
        for r in SCRATCH {
            if self.gpr_holds[usize::from(r)].is_none() && self.locked & 1 << r == 0 {
                self.lock(r);
                return r;
            }
        }
        let victim = SCRATCH
            .into_iter()
            .filter(|r| self.locked & 1 << r == 0)
            .max_by_key(|r| self.fates[self.gpr_holds[usize::from(*r)].index()].last_use);
        let Some(r) = victim else {
            unreachable!(
                "an operation needs more than three scratch registers: {:?}",
                self.block.insts[self.at]
            )
        };
        self.evict(r);
        self.lock(r);
        r
    }

    /// Takes the scratch register `r` itself, locked; a value in it moves elsewhere.
    pub(super) fn take(&mut self, r: u8) {
        if !self.gpr_holds[usize::from(r)].is_none() {
            self.evict(r);
        }
        self.lock(r);
    }

    /// Frees scratch register `r`: its value stays available somewhere else if it is still needed.
    fn evict(&mut self, r: u8) {
        let v = self.gpr_holds[usize::from(r)];
        self.gpr_holds[usize::from(r)] = Value::NONE;
        self.places[v.index()].gpr = NOWHERE;
        self.locked &= !(1 << r);
        let needed = self.fates[v.index()].last_use >= self.at as u32;
        if !needed || self.where_is(v).is_some() || self.is_const(v) {
            return;
        }
        let free = SCRATCH
            .into_iter()
            .find(|s| *s != r && self.gpr_holds[usize::from(*s)].is_none() && self.locked & 1 << s == 0);
        match free {
            Some(s) => {
                if self.is_64(v) {
                    self.asm.mov_rr64(s, r);
                } else {
                    self.asm.mov_rr(s, r);
                }
                self.gpr_holds[usize::from(s)] = v;
                self.places[v.index()].gpr = s;
            }
            None => {
                let slot = self.new_slot();
                self.asm.op(Enc::new(0x89).w(), r, spill_mem(slot).into());
                self.places[v.index()].spill = slot;
            }
        }
    }

    fn is_const(&self, v: Value) -> bool {
        matches!(self.block.insts[v.index()].op, Op::Const | Op::Const64)
    }

    pub(super) fn new_slot(&mut self) -> u8 {
        let slot = (!self.spill_used).trailing_zeros() as u8;
        assert!(slot < 32, "out of spill slots");
        self.spill_used |= 1 << slot;
        slot
    }

    /// Destination register of the value that the current instruction defines: the pinned register it is
    /// going to, or a scratch register. The operands' registers must have been asked for before.
    pub(super) fn def(&mut self) -> u8 {
        if let Some(h) = self.def_hinted() {
            return h;
        }
        let r = self.alloc_gpr();
        self.occupy(r, Value(self.at as u32));
        r
    }

    /// As [`Emitter::def`], but takes over the register of operand `a` if that is a scratch register and `a` dies here.
    pub(super) fn def_over(&mut self, a: Value) -> u8 {
        if let Some(h) = self.def_hinted() {
            return h;
        }
        if !a.is_none() && !self.lives_on(a) {
            let r = self.places[a.index()].gpr;
            if r != NOWHERE {
                self.places[a.index()].gpr = NOWHERE;
                self.occupy(r, Value(self.at as u32));
                return r;
            }
        }
        self.def()
    }

    /// The pinned register the current value is going to, if nothing that is still needed lives only there.
    pub(super) fn def_hinted(&mut self) -> Option<u8> {
        let r = self.fates[self.at].bound_for;
        if r == NOWHERE {
            return None;
        }
        let old = self.home[usize::from(r)];
        if !old.is_none() && self.lives_on(old) && !self.is_outside(old, r) {
            return None;
        }
        self.set_home(r, Value(self.at as u32));
        PINNED[usize::from(r)]
    }

    /// The current instruction's result is in scratch register `r` (taken by the caller).
    pub(super) fn def_in(&mut self, r: u8) {
        self.occupy(r, Value(self.at as u32));
    }

    /// `a` in a scratch register that the caller may destroy, locked: its own if it dies here, else a copy.
    pub(super) fn take_over(&mut self, a: Value) -> u8 {
        let r = self.places[a.index()].gpr;
        if r != NOWHERE && !self.lives_on(a) && self.locked & 1 << r == 0 {
            self.gpr_holds[usize::from(r)] = Value::NONE;
            self.places[a.index()].gpr = NOWHERE;
            self.lock(r);
            return r;
        }
        let t = self.alloc_gpr();
        self.copy_to(t, a);
        t
    }

    /// Guest register `r` is about to be overwritten: saves the value that lives there if it is needed later.
    pub(super) fn leave_home(&mut self, r: u8) {
        let old = self.home[usize::from(r)];
        if old.is_none() {
            return;
        }
        if self.lives_on(old) && !self.is_outside(old, r) && !self.is_const(old) {
            let s = self.alloc_gpr();
            self.load_into(s, old);
            self.occupy(s, old);
        }
        self.set_home(r, Value::NONE);
    }

    /// After an instruction: registers of values that are no longer needed are free, nothing is locked.
    pub(super) fn release(&mut self) {
        self.locked = 0;
        self.xlocked = 0;
        for r in SCRATCH {
            let v = self.gpr_holds[usize::from(r)];
            if !v.is_none() && !self.lives_on(v) {
                self.gpr_holds[usize::from(r)] = Value::NONE;
                self.places[v.index()].gpr = NOWHERE;
            }
        }
        if self.spill_used != 0 || self.vspill_used != 0 {
            self.free_slots();
        }
    }

    fn free_slots(&mut self) {
        let (mut used, mut vused) = (0, 0);
        for (v, p) in self.places.iter().enumerate() {
            if p.spill != NOWHERE && self.fates[v].last_use > self.at as u32 {
                if self.ty(Value(v as u32)) == Type::Vec {
                    vused |= 1 << p.spill;
                } else {
                    used |= 1 << p.spill;
                }
            }
        }
        self.spill_used = used;
        self.vspill_used = vused;
    }

    /// At a join nothing is known of registers.
    pub(super) fn forget_homes(&mut self) {
        for r in 0..15 {
            self.set_home(r, Value::NONE);
        }
        self.home_s = [Value::NONE; 32];
        self.home_d = [Value::NONE; 32];
        self.home_q = [Value::NONE; 16];
        self.qc_xmm = NOWHERE;
    }

    /// Before a call to Rust: scratch and XMM values that are needed later go to memory.
    pub(super) fn save_all(&mut self) {
        for r in SCRATCH {
            let v = self.gpr_holds[usize::from(r)];
            if v.is_none() {
                continue;
            }
            if self.fates[v.index()].last_use >= self.at as u32 {
                self.gpr_holds[usize::from(r)] = Value::NONE;
                self.places[v.index()].gpr = NOWHERE;
                if self.where_is(v).is_none() && !self.is_const(v) {
                    let slot = self.new_slot();
                    self.asm.op(Enc::new(0x89).w(), r, spill_mem(slot).into());
                    self.places[v.index()].spill = slot;
                }
            } else {
                self.gpr_holds[usize::from(r)] = Value::NONE;
                self.places[v.index()].gpr = NOWHERE;
            }
        }
        for x in 0..16 {
            self.evict_xmm(x);
        }
    }
}
