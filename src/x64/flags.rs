//! Where NZCV is, and how conditions become x86 condition codes.
//!
//! ARM's carry after a subtraction is the complement of x86's CF; after an addition or a shift they agree. EFLAGS
//! after UCOMIS are a third kind. Flags that are still needed when EFLAGS are about to be lost go to their bytes in the
//! state (N and Z together in LAHF's layout, C and V one byte each), and a single condition can be tested there.

use super::asm::{Alu, Cc, Mem, Rm};
use super::emit::{Emitter, FlagState};
use super::regs::{RAX, disp};
use crate::cpu::cond::Cond;
use crate::cpu::state::CpuState;
use crate::ir::ops::{Flags, effect};
use dynasmrt::{DynasmApi, DynasmLabelApi, dynasm};
use std::mem::offset_of;

pub(super) const NZ: i32 = disp(offset_of!(CpuState, nz));
pub(super) const C: i32 = disp(offset_of!(CpuState, c));
pub(super) const V: i32 = disp(offset_of!(CpuState, v));
pub(super) const FP_CMP: i32 = disp(offset_of!(CpuState, fp_cmp));

/// How to test a condition in EFLAGS.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Test {
    Always,
    One(Cc),
    Or(Cc, Cc),
    And(Cc, Cc),
}

impl Emitter<'_> {
    /// Flags that are only in EFLAGS and still needed after this instruction, apart from those it sets.
    pub(super) fn needed(&self, sets: Flags) -> Flags {
        let mut live = self.fates[self.at].live_after - sets;
        let inst = &self.block.insts[self.at];
        if inst.op.effects() & effect::FAULT != 0 {
            live = live | inst.flags_read(self.opts.precise_flags);
        }
        Flags(live.0 & self.flags.eflags.0) - self.flags.mem
    }

    /// Before an instruction that destroys EFLAGS and defines the guest flags `sets`.
    pub(super) fn pre_clobber(&mut self, sets: Flags) {
        self.spill_flags(self.needed(sets));
    }

    /// EFLAGS hold nothing any more.
    pub(super) fn clobbered(&mut self) {
        self.flags.eflags = Flags::NONE;
        self.flags.fp_cmp = false;
    }

    /// The instruction just emitted left the guest flags `f` in EFLAGS.
    pub(super) fn flags_set(&mut self, f: Flags, inverted: bool) {
        self.flags = FlagState {
            eflags: f,
            mem: self.flags.mem - f,
            inverted,
            float: false,
            fp_cmp: false,
        };
    }

    /// Stores `set` (a subset of what EFLAGS hold) to the state. EFLAGS survive.
    pub(super) fn spill_flags(&mut self, set: Flags) {
        if set.is_empty() {
            return;
        }
        if self.flags.float {
            return self.spill_float();
        }
        if set.intersects(Flags::NZ) {
            self.take(RAX);
            dynasm!(self.asm.ops; .arch x64; lahf; mov BYTE [BYTE rbp + NZ as i8], ah);
            self.locked &= !1;
            // Both are stored, but only those that EFLAGS held become current.
            self.flags.mem = self.flags.mem | Flags(Flags::NZ.0 & self.flags.eflags.0);
        }
        if set.intersects(Flags::C) {
            let cc = if self.flags.inverted { Cc::Ae } else { Cc::B };
            self.asm.setcc(cc, Mem::state(C).into());
            self.flags.mem = self.flags.mem | Flags::C;
        }
        if set.intersects(Flags::V) {
            self.asm.setcc(Cc::O, Mem::state(V).into());
            self.flags.mem = self.flags.mem | Flags::V;
        }
    }

    /// The comparison in EFLAGS (as UCOMIS left it) to all four bytes: `>` 0010, `<` 1000, `=` 0110, unordered 0011.
    fn spill_float(&mut self) {
        self.take(RAX);
        let f = self.flags;
        dynasm!(self.asm.ops; .arch x64
            ; setp BYTE [BYTE rbp + V as i8]
            ; setb BYTE [BYTE rbp + C as i8]
            ; lahf
            ; movzx eax, ah
            ; mov BYTE [BYTE rbp + NZ as i8], al
            // C = !CF | PF: CF is 0 or 1 in the byte, and PF implies CF.
            ; xor BYTE [BYTE rbp + C as i8], 1
            ; test al, 4
            ; jz >ordered
            ; mov BYTE [BYTE rbp + C as i8], 1
            ; mov BYTE [BYTE rbp + NZ as i8], 0
            ; jmp >done
            ; ordered:
            // N = CF, Z = ZF.
            ; shl eax, 7
            ; and BYTE [BYTE rbp + NZ as i8], 0x40
            ; or BYTE [BYTE rbp + NZ as i8], al
            ; done:
        );
        self.locked &= !1;
        self.clobbered();
        self.flags.mem = f.mem | f.eflags;
        self.flags.float = false;
    }

    /// Brings CF to ARM's C (or its complement when `inverted`). Other flags in EFLAGS may be lost: `pre_clobber` first.
    pub(super) fn ensure_carry(&mut self, inverted: bool) {
        if self.flags.eflags.contains(Flags::C) && !self.flags.float {
            if self.flags.inverted != inverted {
                dynasm!(self.asm.ops; .arch x64; cmc);
                self.flags.inverted = inverted;
            }
            return;
        }
        if self.flags.float && self.flags.eflags.contains(Flags::C) {
            self.spill_float();
        }
        if inverted {
            dynasm!(self.asm.ops; .arch x64; cmp BYTE [BYTE rbp + C as i8], 1);
        } else {
            self.take(RAX);
            dynasm!(self.asm.ops; .arch x64; mov al, BYTE [BYTE rbp + C as i8]; add al, -1);
            self.locked &= !1;
        }
        self.clobbered();
    }

    /// Prepares EFLAGS so that `cond` can be tested; `also` are flags needed on the way out besides those live after.
    pub(super) fn test_cond(&mut self, cond: Cond, also: Flags) -> Test {
        let reads = Flags::read_by(cond);
        if cond == Cond::Al {
            return Test::Always;
        }
        if self.flags.eflags.contains(reads) {
            return self.cc_in_eflags(cond);
        }
        let live = self.fates[self.at].live_after | also | reads;
        self.spill_flags(Flags(live.0 & self.flags.eflags.0) - self.flags.mem);
        let tested = match cond {
            Cond::Eq => Some((NZ, 0x40, Cc::Ne)),
            Cond::Ne => Some((NZ, 0x40, Cc::E)),
            Cond::Mi => Some((NZ, 0x80, Cc::Ne)),
            Cond::Pl => Some((NZ, 0x80, Cc::E)),
            Cond::Cs => Some((C, 1, Cc::Ne)),
            Cond::Cc => Some((C, 1, Cc::E)),
            Cond::Vs => Some((V, 1, Cc::Ne)),
            Cond::Vc => Some((V, 1, Cc::E)),
            _ => None,
        };
        if let Some((at, mask, cc)) = tested {
            dynasm!(self.asm.ops; .arch x64; test BYTE [rbp + at], mask as _);
            self.clobbered();
            return Test::One(cc);
        }
        self.reload();
        self.cc_in_eflags(cond)
    }

    /// All four flags from the state to EFLAGS, carry inverted (which makes HI and LS single conditions).
    fn reload(&mut self) {
        self.take(RAX);
        dynasm!(self.asm.ops; .arch x64
            ; movzx eax, BYTE [BYTE rbp + NZ as i8]
            ; and eax, 0xc0u32 as i32
            ; or al, BYTE [BYTE rbp + C as i8]
            ; xor al, 1
            ; mov ah, al
            ; mov al, BYTE [BYTE rbp + V as i8]
            // 1 + 127 overflows, 0 + 127 does not; SAHF leaves OF alone.
            ; add al, 127
            ; sahf
        );
        self.locked &= !1;
        self.flags = FlagState {
            eflags: Flags::NZCV,
            mem: Flags::NZCV,
            inverted: true,
            float: false,
            fp_cmp: false,
        };
    }

    fn cc_in_eflags(&mut self, cond: Cond) -> Test {
        use Cond::{Al, Cs, Eq, Ge, Gt, Hi, Le, Ls, Lt, Mi, Ne, Pl, Vc, Vs};
        if self.flags.float {
            return match cond {
                Eq => Test::And(Cc::Np, Cc::E),
                Ne => Test::Or(Cc::P, Cc::Ne),
                Cs | Pl => Test::Or(Cc::Ae, Cc::P),
                Cond::Cc | Mi => Test::And(Cc::Np, Cc::B),
                Vs => Test::One(Cc::P),
                Vc => Test::One(Cc::Np),
                Hi => Test::Or(Cc::A, Cc::P),
                Ls => Test::And(Cc::Np, Cc::Be),
                Ge => Test::One(Cc::Ae),
                Lt => Test::One(Cc::B),
                Gt => Test::One(Cc::A),
                Le => Test::One(Cc::Be),
                Al => Test::Always,
            };
        }
        if matches!(cond, Hi | Ls) && !self.flags.inverted {
            dynasm!(self.asm.ops; .arch x64; cmc);
            self.flags.inverted = true;
        }
        let carry = |set: Cc| if self.flags.inverted { set.invert() } else { set };
        Test::One(match cond {
            Eq => Cc::E,
            Ne => Cc::Ne,
            Cs => carry(Cc::B),
            Cond::Cc => carry(Cc::Ae),
            Mi => Cc::S,
            Pl => Cc::Ns,
            Vs => Cc::O,
            Vc => Cc::No,
            Hi => Cc::A,
            Ls => Cc::Be,
            Ge => Cc::Ge,
            Lt => Cc::L,
            Gt => Cc::G,
            Le => Cc::Le,
            Al => return Test::Always,
        })
    }

    /// Whether EFLAGS may be destroyed here at no cost.
    pub(super) fn eflags_free(&self) -> bool {
        self.needed(Flags::NONE).is_empty()
    }

    /// NZCV in bits 31-28 of `dst` (a scratch register other than `tmp`), all flags being in memory.
    pub(super) fn pack_nzcv(&mut self, dst: u8, tmp: u8) {
        use super::asm::{Enc, Sh};
        self.asm.op(Enc::of(0xb6), dst, Rm::Mem(Mem::state(NZ)));
        self.asm.alu_i(Alu::And, Rm::Reg(dst), 0xc0);
        self.asm.shift_i(Sh::Shl, dst, 24);
        for (at, shift) in [(C, 29), (V, 28)] {
            self.asm.op(Enc::of(0xb6), tmp, Rm::Mem(Mem::state(at)));
            self.asm.shift_i(Sh::Shl, tmp, shift);
            self.asm.alu(Alu::Or, dst, Rm::Reg(tmp));
        }
        self.clobbered();
    }
}
