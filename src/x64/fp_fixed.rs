//! Scalar conversions from and to fixed point.
//!
//! A scaling by a power of two is exact, so that the host's conversion makes the one rounding that ARM makes. What is
//! out of range goes to software before the host could raise a flag for it.

use super::asm::{Alu, Cc, Enc, Rm, Sh};
use super::code::FpLoc;
use super::emit::{Cold, Emitter, SoftArg, SoftDst};
use super::vector::op66;
use crate::ir::ops::{Flags, Inst, Op};

/// MOVD and MOVQ from an XMM to a general register.
const FROM_XMM: Enc = op66(0x7e);

/// 2^`n` in single or double precision.
fn power(n: i32, double: bool) -> u128 {
    match double {
        true => ((1023 + n) as u128) << 52,
        false => ((127 + n) as u128) << 23,
    }
}

impl Emitter<'_> {
    pub(super) fn fixed_to_float(&mut self, inst: &Inst) {
        let double = inst.op == Op::FixedToF64;
        let (signed, narrow) = (inst.aux & 1 != 0, inst.imm2 == 16);
        // It rounds to nearest whatever FPSCR says; a double, or 16 bits, it need not round.
        if self.opts.soft_fp || self.opts.directed && !double && !narrow {
            return self.soft(inst);
        }
        let source = self.reg(inst.a);
        let r = match narrow {
            true => self.low_half(source, signed),
            false => source,
        };
        let dst = self.def_xmm();
        let scale = self.asm.constant(power(-(inst.imm as i32), double));
        self.asm.op(Enc::of(0x57), dst, Rm::Reg(dst));
        let convert = Enc::of(0x2a).prefix(Self::ss(double));
        let first = self.traps_begin();
        self.may_trap(
            inst,
            [FpLoc::Gpr(source), FpLoc::None, FpLoc::None],
            FpLoc::Xmm(dst),
        );
        self.asm.op(
            if signed || narrow { convert } else { convert.w() },
            dst,
            Rm::Reg(r),
        );
        if inst.imm > 0 {
            self.asm.op(Enc::of(0x59).prefix(Self::ss(double)), dst, scale);
        }
        self.traps_end(first);
    }

    /// The low 16 bits of `source`, extended, in a scratch register.
    pub(super) fn low_half(&mut self, source: u8, signed: bool) -> u8 {
        let t = self.alloc_gpr();
        self.asm
            .op(Enc::of(if signed { 0xbf } else { 0xb7 }), t, Rm::Reg(source));
        t
    }

    pub(super) fn float_to_fixed(&mut self, inst: &Inst) {
        if self.opts.soft_fp {
            return self.soft(inst);
        }
        let double = inst.op == Op::F64ToFixed;
        let (signed, frac) = (inst.aux & 1 != 0, inst.imm as i32);
        self.pre_clobber(Flags::NONE);
        let a = self.xmm(inst.a);
        let (t, x) = (self.alloc_gpr(), self.alloc_xmm());
        let scale = self.asm.constant(power(frac, double));
        // In range is what has a smaller exponent than 2^limit, and for unsigned results no sign: the sign is above
        // the exponent, and shifted out where it may be set.
        let limit = inst.imm2 as i32 - i32::from(signed) - frac;
        if double {
            self.asm.op(FROM_XMM.w(), a, Rm::Reg(t));
            if signed {
                self.asm.shift_i64(Sh::Shl, t, 1);
            }
            self.asm.shift_i64(Sh::Shr, t, 52 + u8::from(signed));
            self.asm.alu_i(Alu::Cmp, Rm::Reg(t), (1023 + limit) as u32);
        } else {
            self.asm.op(FROM_XMM, a, Rm::Reg(t));
            if signed {
                self.asm.shift_i(Sh::Shl, t, 1);
            }
            self.asm.shift_i(Sh::Shr, t, 23 + u8::from(signed));
            self.asm.alu_i(Alu::Cmp, Rm::Reg(t), (127 + limit) as u32);
        }
        self.clobbered();
        let (label, back) = (self.asm.new_label(), self.asm.new_label());
        let first = self.traps_begin();
        self.asm.jcc(Cc::Ae, label);
        let (locs, dst) = ([FpLoc::Xmm(a), FpLoc::None, FpLoc::None], FpLoc::Gpr(t));
        let whole = if frac > 0 {
            self.asm.op(Enc::of(0x28), x, Rm::Reg(a));
            self.may_trap(inst, locs, dst);
            self.asm.op(Enc::of(0x59).prefix(Self::ss(double)), x, scale);
            x
        } else {
            self.denormal_traps(inst, Rm::Reg(a), x, locs, dst);
            a
        };
        let convert = Enc::of(0x2c).prefix(Self::ss(double));
        self.may_trap(inst, locs, dst);
        self.asm
            .op(if signed { convert } else { convert.w() }, t, Rm::Reg(whole));
        self.asm.bind(back);
        self.cold.push(Cold::Soft {
            label,
            back,
            inst: *inst,
            args: [SoftArg::Xmm(a), SoftArg::None, SoftArg::None],
            dst: SoftDst::Gpr(t),
        });
        self.traps_end(first);
        self.finish_in(t);
    }
}
