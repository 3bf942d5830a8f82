//! Blocks that jump to their own start keep the VFP and vector registers they read in XMM registers from one round to
//! the next.
//!
//! Every write of such a register goes through to the state, so precise faults and signals see nothing of this; but
//! reading it back in the next round costs a store-to-load forward in the loop's critical path. Such a block has two
//! entries: its start loads the registers, and the loop head behind the loads is where its own jumps go, once each
//! register's current value has been moved to its place.

use super::asm::{Enc, Mem, Rm};
use super::emit::{Emitter, NOWHERE};
use super::regs::{d_disp, disp, s_disp};
use crate::cpu::state::CpuState;
use crate::ir::ops::{Inst, Op, Value};
use crate::ir::vector::Shape;
use dynasmrt::DynamicLabel;
use std::mem::offset_of;

/// Registers carried at most; the others are read from memory as ever.
const CARRIED: usize = 8;

/// What stays in an XMM register around the loop.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Register {
    S(u8),
    D(u8),
    /// Two D registers, by the number of the first.
    Q(u8),
    /// `CpuState::qc`.
    Saturation,
}

impl Register {
    /// The register that `inst` reads or writes, and whether it reads it.
    fn of(inst: &Inst) -> Option<(Register, bool)> {
        let i = inst.imm as u8;
        let q = Shape(inst.imm2 as u8).is_q();
        Some(match inst.op {
            Op::GetS => (Register::S(i), true),
            Op::SetS => (Register::S(i), false),
            Op::GetD => (Register::D(i), true),
            Op::SetD => (Register::D(i), false),
            Op::GetV | Op::SetV => {
                let register = if q { Register::Q(i) } else { Register::D(i) };
                (register, inst.op == Op::GetV)
            }
            _ => return None,
        })
    }

    /// The S registers it overlays, D16-D31 counted as pairs 32-63.
    fn words(self) -> u64 {
        match self {
            Register::S(i) => 1 << i,
            Register::D(i) => 3 << (2 * i),
            Register::Q(i) => 15 << (2 * i),
            Register::Saturation => 0,
        }
    }

    fn mem(self) -> Mem {
        Mem::state(match self {
            Register::S(i) => s_disp(i),
            Register::D(i) | Register::Q(i) => d_disp(i),
            Register::Saturation => disp(offset_of!(CpuState, qc)),
        })
    }

    /// The instruction that loads it.
    fn load(self) -> Enc {
        match self {
            Register::S(_) => Enc::of(0x10).prefix(0xf3),
            Register::D(_) => Enc::of(0x10).prefix(0xf2),
            _ => Enc::of(0x28),
        }
    }
}

/// A register that stays in an XMM register around the loop.
#[derive(Clone, Copy)]
pub(super) struct Carried {
    register: Register,
    xmm: u8,
    /// The value that reads it first, in the register from the start.
    first: Value,
}

impl Emitter<'_> {
    /// Finds what to carry in a block that jumps to itself.
    pub(super) fn plan_loop(&mut self) {
        let insts = &self.block.insts;
        if self.opts.soft_fp {
            return;
        }
        // First reads of what has not been written before.
        let (mut written, mut read) = (0u64, 0u64);
        let mut candidates = Vec::new();
        let mut saturates = false;
        for (at, inst) in insts.iter().enumerate() {
            saturates |= inst.op == Op::VecSat;
            let Some((register, get)) = Register::of(inst) else {
                continue;
            };
            let words = register.words();
            if !get {
                written |= words;
            } else if (written | read) & words == 0 {
                read |= words;
                candidates.push((register, Value(at as u32)));
            }
        }
        // What the loop changes is in its critical path; what it only reads would do as a memory operand, too.
        candidates.sort_by_key(|(r, _)| r.words() & written == 0);
        candidates.truncate(CARRIED);
        if saturates {
            candidates.push((Register::Saturation, Value::NONE));
        }
        for (register, first) in candidates {
            let xmm = 15 - self.carried.len() as u8;
            self.carried.push(Carried { register, xmm, first });
            if first.is_none() {
                self.qc_xmm = xmm;
            } else {
                self.xmm_holds[usize::from(xmm)] = first;
                self.places[first.index()].xmm = xmm;
                self.upper_zero[first.index()] = matches!(register, Register::D(_));
            }
        }
        // New values of a carried register are best computed where the next round wants them.
        for inst in insts {
            if let Some((register, false)) = Register::of(inst)
                && let Some(c) = self.carried.iter().find(|c| c.register == register)
            {
                self.xmm_hint[inst.a.index()] = c.xmm;
            }
        }
    }

    /// The loads at the block's start; then the loop head.
    pub(super) fn enter_loop(&mut self) {
        if self.carried.is_empty() {
            return;
        }
        self.row(false, true);
        for c in self.carried.clone() {
            self.asm.op(c.register.load(), c.xmm, c.register.mem().into());
        }
        let head = self.asm.new_label();
        self.asm.bind(head);
        self.loop_head = Some(head);
        self.code.loop_head = self.asm.pos();
    }

    /// Where a jump to the block itself goes from here: the loop head, if the carried registers can be brought to
    /// their places (without touching EFLAGS), else the start.
    pub(super) fn own_entry(&mut self) -> DynamicLabel {
        let Some(head) = self.loop_head else {
            return self.start;
        };
        // Each move's target must be free, or hold what is moved or dead; no move may overwrite another's source.
        for c in &self.carried {
            if self.in_place(c) {
                continue;
            }
            let holder = self.xmm_holds[usize::from(c.xmm)];
            let source = self.carried.iter().any(|o| {
                let x = self.current_xmm(o);
                o.xmm != c.xmm && x == c.xmm
            });
            if source || !holder.is_none() && self.lives_on(holder) {
                return self.start;
            }
        }
        for c in self.carried.clone() {
            // Where the head takes an upper half for zero, it must be: movq, else movaps.
            let clean = self.is_clean(&c);
            let from = self.current_xmm(&c);
            if from == c.xmm && clean {
                continue;
            }
            if from != c.xmm {
                self.evict_xmm(c.xmm);
            }
            if from == NOWHERE {
                self.asm.op(c.register.load(), c.xmm, c.register.mem().into());
            } else if clean {
                self.asm.op(Enc::of(0x28), c.xmm, Rm::Reg(from));
            } else {
                self.asm.op(Enc::of(0x7e).prefix(0xf3), c.xmm, Rm::Reg(from));
            }
        }
        head
    }

    fn in_place(&self, c: &Carried) -> bool {
        self.current_xmm(c) == c.xmm
    }

    /// Whether the current value may be where the first one was.
    fn is_clean(&self, c: &Carried) -> bool {
        let first = &self.block.insts[c.first.index().min(self.block.insts.len() - 1)];
        let value = self.current(c);
        !matches!(c.register, Register::D(_))
            || first.op != Op::GetV
            || !value.is_none() && self.upper_zero[value.index()]
    }

    /// The XMM register that has what a carried register holds now, or NOWHERE.
    fn current_xmm(&self, c: &Carried) -> u8 {
        if c.register == Register::Saturation {
            return self.qc_xmm;
        }
        let value = self.current(c);
        if value.is_none() {
            NOWHERE
        } else {
            self.places[value.index()].xmm
        }
    }

    /// The value that a carried register holds now, if it is known.
    fn current(&self, c: &Carried) -> Value {
        if c.first.index() > self.at {
            // Not read yet, so not written either.
            return c.first;
        }
        match c.register {
            Register::S(i) => self.home_s[usize::from(i)],
            Register::D(i) => self.home_d[usize::from(i)],
            Register::Q(i) => self.home_q[usize::from(i) / 2],
            Register::Saturation => Value::NONE,
        }
    }
}
