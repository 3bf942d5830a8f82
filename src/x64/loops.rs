//! Blocks that jump to their own start keep the VFP registers they read in XMM registers from one round to the next.
//!
//! Every write of a VFP register goes through to the state, so precise faults and signals see nothing of this; but
//! reading it back in the next round costs a store-to-load forward in the loop's critical path. Such a block has two
//! entries: its start loads the registers, and the loop head behind the loads is where its own jumps go, once each
//! register's current value has been moved to its place.

use super::asm::{Enc, Mem, Rm};
use super::emit::{Emitter, NOWHERE};
use super::regs::{d_disp, s_disp};
use crate::ir::ops::{Op, Value};
use dynasmrt::DynamicLabel;

/// VFP registers carried at most; the others are read from memory as ever.
const CARRIED: usize = 8;

/// A VFP register that stays in an XMM register around the loop.
#[derive(Clone, Copy)]
pub(super) struct Carried {
    pub double: bool,
    /// S or D register number.
    pub reg: u8,
    pub xmm: u8,
    /// The value that reads it first, in the register from the start.
    pub first: Value,
}

impl Carried {
    fn mem(self) -> Mem {
        Mem::state(if self.double {
            d_disp(self.reg)
        } else {
            s_disp(self.reg)
        })
    }

    /// Scalar load or store prefix.
    fn prefix(self) -> u8 {
        if self.double { 0xf2 } else { 0xf3 }
    }
}

impl Emitter<'_> {
    /// Finds what to carry, if the block jumps to itself.
    pub(super) fn plan_loop(&mut self) {
        let insts = &self.block.insts;
        let own = self.own_target;
        let loops = insts.iter().any(|i| {
            matches!(i.op, Op::ExitIf | Op::ExitIfZero | Op::ExitIfNonZero | Op::Jump) && i.imm == own
        });
        if !loops || self.opts.soft_fp {
            return;
        }
        // S registers written or read so far, as a mask over S0-S63 (D16-D31 as pairs 32-63).
        let (mut written, mut carried) = (0u64, 0u64);
        for (at, inst) in insts.iter().enumerate() {
            let (double, get) = match inst.op {
                Op::GetS => (false, true),
                Op::GetD => (true, true),
                Op::SetS => (false, false),
                Op::SetD => (true, false),
                _ => continue,
            };
            let mask = if double {
                3 << (2 * inst.imm)
            } else {
                1 << inst.imm
            };
            if !get {
                written |= mask;
            } else if written & mask == 0 && carried & mask == 0 && self.carried.len() < CARRIED {
                carried |= mask;
                let xmm = 15 - self.carried.len() as u8;
                self.carried.push(Carried {
                    double,
                    reg: inst.imm as u8,
                    xmm,
                    first: Value(at as u32),
                });
                self.xmm_holds[usize::from(xmm)] = Value(at as u32);
                self.places[at].xmm = xmm;
            }
        }
        // New values of a carried register are best computed where the next round wants them.
        for inst in insts {
            let double = inst.op == Op::SetD;
            if double || inst.op == Op::SetS {
                let c = self
                    .carried
                    .iter()
                    .find(|c| c.double == double && u32::from(c.reg) == inst.imm);
                if let Some(c) = c {
                    self.xmm_hint[inst.a.index()] = c.xmm;
                }
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
            self.asm
                .op(Enc::of(0x10).prefix(c.prefix()), c.xmm, c.mem().into());
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
            let holder = self.xmm_holds[usize::from(c.xmm)];
            let value = self.current(*c);
            if holder.is_none() || holder == value {
                continue;
            }
            let source = self
                .carried
                .iter()
                .any(|o| o.xmm != c.xmm && self.current(*o) == holder);
            if source || self.lives_on(holder) {
                return self.start;
            }
        }
        for c in self.carried.clone() {
            let value = self.current(c);
            if !value.is_none() && self.xmm_holds[usize::from(c.xmm)] == value {
                continue;
            }
            self.evict_xmm(c.xmm);
            let from = if value.is_none() {
                NOWHERE
            } else {
                self.places[value.index()].xmm
            };
            if from == NOWHERE {
                self.asm
                    .op(Enc::of(0x10).prefix(c.prefix()), c.xmm, c.mem().into());
            } else {
                self.asm.op(Enc::of(0x28), c.xmm, Rm::Reg(from));
            }
        }
        head
    }

    /// The value that a carried register holds now, if it is known.
    fn current(&self, c: Carried) -> Value {
        if c.first.index() > self.at {
            // Not read yet, so not written either.
            return c.first;
        }
        if c.double {
            self.home_d[usize::from(c.reg)]
        } else {
            self.home_s[usize::from(c.reg)]
        }
    }
}
