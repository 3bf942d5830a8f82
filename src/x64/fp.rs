//! Floating point: SSE or AVX with Invalid unmasked, exact wherever it doesn't trap; the rest in software.
//!
//! x86 and ARM agree on every result and flag of add, subtract, multiply, divide, square root and the conversions
//! between single and double except where Invalid is raised, provided operands keep their order (NaN propagation).
//! Invalid traps before the instruction commits; the side table tells the handler what to compute instead.

use super::asm::{Alu, Cc, Enc, Mem, Rm, Sh};
use super::code::{FpLoc, FpRow};
use super::emit::{Cold, Emitter, FlagState, NOWHERE, SoftArg, SoftDst};
use super::flags::{FP_CMP, Test};
use super::regs::{RAX, d_disp, disp, s_disp};
use super::stubs::Helper;
use crate::cpu::state::CpuState;
use crate::ir::ops::{Flags, Inst, Op, Type, Value};
use dynasmrt::{DynasmApi, dynasm};
use std::mem::offset_of;

const MXCSR: i32 = disp(offset_of!(CpuState, mxcsr));

/// Displacement of entry `k` of the sign and magnitude masks.
fn mask(k: usize) -> Mem {
    Mem::state(disp(offset_of!(CpuState, fp_masks) + 16 * k))
}

/// First argument of `Helper::FpOp` and `Helper::IntOp`: op in bits 0-7, aux 8-15, imm2 16-23, flags 24-27, imm 32-63.
pub fn pack_op(inst: &Inst) -> u64 {
    inst.op as u64
        | u64::from(inst.aux) << 8
        | u64::from(inst.imm2 & 0xff) << 16
        | u64::from(inst.flags.0) << 24
        | u64::from(inst.imm) << 32
}

pub(super) fn fp_loc(rm: Rm) -> FpLoc {
    match rm {
        Rm::Reg(x) => FpLoc::Xmm(x),
        Rm::Mem(m) => FpLoc::State(m.disp),
        Rm::Pool(_) => unreachable!("constants are loaded into registers before an operation that may trap"),
    }
}

pub(super) fn soft_arg(rm: Rm) -> SoftArg {
    match rm {
        Rm::Reg(x) => SoftArg::Xmm(x),
        Rm::Mem(m) => SoftArg::Mem(m),
        Rm::Pool(_) => unreachable!("constants are loaded into registers before an operation that may trap"),
    }
}

/// Results that FPSCR's modes, or a difference between host and ARM, send to software.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Check {
    None,
    Nan,
    /// As well the smallest normal number, which ARM, judging before rounding, may have flushed.
    NanOrTiny,
}

impl Emitter<'_> {
    /// Reads and writes of S and D registers.
    pub(super) fn fp_context(&mut self, inst: &Inst) {
        let i = inst.imm as usize;
        match inst.op {
            Op::GetS => {
                let old = std::mem::replace(&mut self.home_s[i], Value(self.at as u32));
                self.leave_one(old, Mem::state(s_disp(i as u8)));
            }
            Op::GetD => {
                let old = std::mem::replace(&mut self.home_d[i], Value(self.at as u32));
                self.leave_one(old, Mem::state(d_disp(i as u8)));
            }
            Op::SetS if self.home_s[i] != inst.a => {
                let x = self.xmm(inst.a);
                self.leave_fp_home(i, 1);
                self.asm
                    .op(Enc::of(0x11).prefix(0xf3), x, Mem::state(s_disp(i as u8)).into());
                self.home_s[i] = inst.a;
            }
            Op::SetD if self.home_d[i] != inst.a => {
                let x = self.xmm(inst.a);
                self.leave_fp_home(2 * i, 2);
                self.asm
                    .op(Enc::of(0x11).prefix(0xf2), x, Mem::state(d_disp(i as u8)).into());
                self.home_d[i] = inst.a;
            }
            _ => {}
        }
    }

    pub(super) fn fp(&mut self, inst: &Inst) {
        use Op::*;
        match inst.op {
            FAdd32 | FAdd64 => self.arith(inst, 0x58),
            FSub32 | FSub64 => self.arith(inst, 0x5c),
            FMul32 | FMul64 => self.arith(inst, 0x59),
            FDiv32 | FDiv64 => self.arith(inst, 0x5e),
            FSqrt32 | FSqrt64 => self.one_operand(inst, 0x51),
            F32ToF64 | F64ToF32 => self.one_operand(inst, 0x5a),
            FNeg32 | FNeg64 | FAbs32 | FAbs64 => self.sign(inst),
            FMa32 | FMa64 => self.fma(inst),
            FCmp32 | FCmp64 => self.compare(inst),
            F32ToInt | F64ToInt => self.float_to_int(inst),
            IntToF32 | IntToF64 => self.int_to_float(inst),
            F32ToFixed | F64ToFixed => self.float_to_fixed(inst),
            FixedToF32 | FixedToF64 => self.fixed_to_float(inst),
            HalfToF32 | HalfToF64 => self.half_to_float(inst),
            F32ToHalf => self.float_to_half(inst),
            Half => self.half_arithmetic(inst),
            FMinNm32 | FMaxNm32 | FMinNm64 | FMaxNm64 => self.number_form(inst),
            FRint32 | FRint64 => self.round_to_integral(inst),
            F32Round | F64Round => self.round_to_int(inst),
            F64ToHalf | HalfCmp | F64ToJs | F32ToBf16 => self.soft(inst),
            SelectF32 | SelectF64 => self.select_fp(inst),
            BitsToF32 | BitsToF64 => {
                let r = self.reg(inst.a);
                let x = self.def_xmm();
                let e = Enc::of(0x6e).prefix(0x66);
                self.asm
                    .op(if inst.op == BitsToF64 { e.w() } else { e }, x, Rm::Reg(r));
            }
            F32ToBits | F64ToBits => {
                let wide = inst.op == F64ToBits;
                let src = self.xrm(inst.a);
                let t = if wide { self.alloc_gpr() } else { self.def() };
                match src {
                    Rm::Reg(x) => {
                        let e = Enc::of(0x7e).prefix(0x66);
                        self.asm.op(if wide { e.w() } else { e }, x, Rm::Reg(t));
                    }
                    m => self
                        .asm
                        .op(if wide { Enc::new(0x8b).w() } else { Enc::new(0x8b) }, t, m),
                }
                if wide {
                    self.def_in(t);
                }
            }
            FlagsFromFp => self.flags_from_fp(inst),
            GetFpscr => {
                self.pre_clobber(Flags::NONE);
                dynasm!(self.asm.ops; .arch x64; stmxcsr [BYTE rbp + MXCSR as i8]);
                self.call_rust(Helper::GetFpscr, inst, &[]);
                self.result_in_rax();
            }
            SetFpscr => {
                self.pre_clobber(Flags::NONE);
                dynasm!(self.asm.ops; .arch x64; stmxcsr [BYTE rbp + MXCSR as i8]);
                self.call_rust(Helper::SetFpscr, inst, &[inst.a]);
                dynasm!(self.asm.ops; .arch x64; ldmxcsr [BYTE rbp + MXCSR as i8]);
            }
            _ => unreachable!("{:?} is not a floating-point operation", inst.op),
        }
    }

    pub(super) fn double(&self, v: Value) -> bool {
        self.block.insts[v.index()].op.result() == Type::F64
    }

    /// Scalar prefix of a width.
    pub(super) fn ss(double: bool) -> u8 {
        if double { 0xf2 } else { 0xf3 }
    }

    /// The next instruction may trap; `args` and `dst` are where the whole operation's operands are and its result goes.
    pub(super) fn may_trap(&mut self, inst: &Inst, args: [FpLoc; 3], dst: FpLoc) {
        self.code.fp_rows.push(FpRow {
            host: self.asm.pos(),
            len: 0,
            op: inst.op,
            aux: inst.aux,
            imm: inst.imm,
            imm2: inst.imm2,
            args,
            dst,
        });
    }

    /// From here on instructions may trap, and a settled trap leaves out what is between it and the end: nothing that
    /// must happen may be emitted there.
    pub(super) fn traps_begin(&mut self) -> usize {
        self.may_trap_now = true;
        self.code.fp_rows.len()
    }

    /// The operation that may have trapped since there were `first` rows ends here: a settled trap goes on here.
    pub(super) fn traps_end(&mut self, first: usize) {
        self.may_trap_now = false;
        let end = self.asm.pos();
        for row in &mut self.code.fp_rows[first..] {
            row.len = (end - row.host) as u16;
        }
    }

    /// What of a scalar result FPSCR's modes ask to look at.
    pub(super) fn check_for(&self, op: Op) -> Check {
        use Op::{F64ToF32, FDiv32, FDiv64, FMa32, FMa64, FMul32, FMul64};
        use Op::{FAdd32, FAdd64, FSub32, FSub64};
        match op {
            FMul32 | FMul64 | FDiv32 | FDiv64 | FMa32 | FMa64 | F64ToF32 if self.opts.flush => {
                Check::NanOrTiny
            }
            // A quiet NaN hides a denormal operand from the host, but Input Denormal is raised all the same.
            FAdd32 | FAdd64 | FSub32 | FSub64 if self.opts.flush => Check::Nan,
            FMa32 | FMa64 => Check::Nan,
            _ if self.opts.default_nan => Check::Nan,
            _ => Check::None,
        }
    }

    /// The register that [`Emitter::check_scalar`] needs: to be taken before the first instruction that may trap, as
    /// what that pushes out of it must not be skipped.
    pub(super) fn check_scratch(&mut self, check: Check) -> u8 {
        match check {
            Check::NanOrTiny => self.alloc_xmm(),
            _ => NOWHERE,
        }
    }

    /// Sends the operation to software if its result in `dst` is one that `check` finds. The operands must still be
    /// where `args` say.
    pub(super) fn check_scalar(&mut self, inst: &Inst, check: Check, t: u8, args: [SoftArg; 3], dst: u8) {
        let double = inst.op.result() == Type::F64;
        let ucomis = Enc::of(0x2e).prefix(if double { 0x66 } else { 0 });
        let cc = match check {
            Check::None => return,
            Check::Nan => {
                self.asm.op(ucomis, dst, Rm::Reg(dst));
                Cc::P
            }
            Check::NanOrTiny => {
                // The magnitude equals the smallest normal number, or is unordered: ZF either way.
                let min = if double { 1 << 52 } else { 1 << 23 };
                self.asm
                    .op(Enc::of(0x28), t, mask(if double { 3 } else { 2 }).into());
                self.asm.op(Enc::of(0x54), t, Rm::Reg(dst));
                let min = self.asm.constant(min);
                self.asm.op(ucomis, t, min);
                Cc::E
            }
        };
        self.clobbered();
        let (label, back) = (self.asm.new_label(), self.asm.new_label());
        self.asm.jcc(cc, label);
        self.asm.bind(back);
        self.cold.push(Cold::Soft {
            label,
            back,
            inst: *inst,
            args,
            dst: SoftDst::Xmm(dst),
        });
    }

    fn arith(&mut self, inst: &Inst, opcode: u8) {
        if self.opts.soft_fp {
            return self.soft(inst);
        }
        let check = self.check_for(inst.op);
        if check != Check::None {
            self.pre_clobber(Flags::NONE);
        }
        let double = inst.op.result() == Type::F64;
        let e = Enc::of(opcode).prefix(Self::ss(double));
        let xa = self.xmm(inst.a);
        let b = self.xrm(inst.b);
        let dst = self.def_xmm();
        let t = self.check_scratch(check);
        let first = self.traps_begin();
        let locs = |a: u8| [FpLoc::Xmm(a), fp_loc(b), FpLoc::None];
        if self.opts.flush && opcode == 0x5e {
            // Division by zero would hide a denormal dividend: an unordered comparison does not.
            self.asm.op(Enc::of(0x28), dst, Rm::Reg(xa));
            self.may_trap(inst, locs(xa), FpLoc::Xmm(dst));
            self.asm.op_i(Enc::of(0xc2).prefix(Self::ss(double)), dst, b, 3);
        }
        if self.opts.host.avx {
            self.may_trap(inst, locs(xa), FpLoc::Xmm(dst));
            self.asm.vex(e, dst, xa, b);
        } else {
            self.asm.op(Enc::of(0x28), dst, Rm::Reg(xa));
            self.may_trap(inst, locs(dst), FpLoc::Xmm(dst));
            self.asm.op(e, dst, b);
        }
        let args = [SoftArg::Xmm(xa), soft_arg(b), SoftArg::None];
        self.check_scalar(inst, check, t, args, dst);
        self.traps_end(first);
    }

    /// Square root and the conversions between single and double.
    fn one_operand(&mut self, inst: &Inst, opcode: u8) {
        if self.opts.soft_fp {
            return self.soft(inst);
        }
        let check = self.check_for(inst.op);
        if check != Check::None {
            self.pre_clobber(Flags::NONE);
        }
        let e = Enc::of(opcode).prefix(Self::ss(self.double(inst.a)));
        let xa = self.xmm(inst.a);
        let dst = self.def_xmm();
        let t = self.check_scratch(check);
        let first = self.traps_begin();
        if !self.opts.host.avx {
            // Break the dependency on the old upper half.
            self.asm.op(Enc::of(0x57), dst, Rm::Reg(dst));
        }
        self.may_trap(inst, [FpLoc::Xmm(xa), FpLoc::None, FpLoc::None], FpLoc::Xmm(dst));
        if self.opts.host.avx {
            self.asm.vex(e, dst, xa, Rm::Reg(xa));
        } else {
            self.asm.op(e, dst, Rm::Reg(xa));
        }
        self.check_scalar(
            inst,
            check,
            t,
            [SoftArg::Xmm(xa), SoftArg::None, SoftArg::None],
            dst,
        );
        self.traps_end(first);
    }

    fn sign(&mut self, inst: &Inst) {
        let (opcode, k) = match inst.op {
            Op::FNeg32 => (0x57, 0),
            Op::FNeg64 => (0x57, 1),
            Op::FAbs32 => (0x54, 2),
            _ => (0x54, 3),
        };
        let xa = self.xmm(inst.a);
        let dst = self.def_xmm();
        if self.opts.host.avx {
            self.asm.vex(Enc::of(opcode), dst, xa, mask(k).into());
        } else {
            self.asm.op(Enc::of(0x28), dst, Rm::Reg(xa));
            self.asm.op(Enc::of(opcode), dst, mask(k).into());
        }
    }

    /// Fused a + b * c. Where the result is a NaN, ARM's choice among the operands is the software's.
    fn fma(&mut self, inst: &Inst) {
        if self.opts.soft_fp || !self.opts.host.fma {
            return self.soft(inst);
        }
        self.pre_clobber(Flags::NONE);
        let double = inst.op == Op::FMa64;
        let (xa, xb, xc) = (self.xmm(inst.a), self.xmm(inst.b), self.xmm(inst.c));
        let dst = self.def_xmm();
        let check = self.check_for(inst.op);
        let t = self.check_scratch(check);
        self.asm.op(Enc::of(0x28), dst, Rm::Reg(xa));
        let first = self.traps_begin();
        self.may_trap(
            inst,
            [FpLoc::Xmm(dst), FpLoc::Xmm(xb), FpLoc::Xmm(xc)],
            FpLoc::Xmm(dst),
        );
        let e = Enc {
            prefix: 0x66,
            map: 2,
            opcode: 0xb9,
            w: double,
            byte: false,
        };
        self.asm.vex(e, dst, xb, Rm::Reg(xc));
        let args = [SoftArg::Xmm(xa), SoftArg::Xmm(xb), SoftArg::Xmm(xc)];
        self.check_scalar(inst, check, t, args, dst);
        self.traps_end(first);
    }

    fn compare(&mut self, inst: &Inst) {
        self.pre_clobber(Flags::NONE);
        if self.opts.soft_fp {
            self.call_rust(Helper::FpOp, inst, &[inst.a, inst.b]);
            return;
        }
        let double = self.double(inst.a);
        let xa = self.xmm(inst.a);
        let b = self.xrm(inst.b);
        self.take(RAX);
        let first = self.traps_begin();
        self.may_trap(inst, [FpLoc::Xmm(xa), fp_loc(b), FpLoc::None], FpLoc::None);
        let opcode = if inst.aux & 1 == 1 { 0x2f } else { 0x2e };
        self.asm
            .op(Enc::of(opcode).prefix(if double { 0x66 } else { 0 }), xa, b);
        if self.opts.flush {
            // A quiet NaN hides a denormal from the host, but Input Denormal is raised all the same.
            let (label, back) = (self.asm.new_label(), self.asm.new_label());
            self.asm.jcc(Cc::P, label);
            self.asm.bind(back);
            self.cold.push(Cold::Soft {
                label,
                back,
                inst: *inst,
                args: [SoftArg::Xmm(xa), soft_arg(b), SoftArg::None],
                dst: SoftDst::Unordered,
            });
        }
        self.traps_end(first);
        dynasm!(self.asm.ops; .arch x64; lahf; mov BYTE [BYTE rbp + FP_CMP as i8], ah);
        self.clobbered();
        self.flags.fp_cmp = true;
    }

    fn flags_from_fp(&mut self, inst: &Inst) {
        if inst.flags.is_empty() {
            return;
        }
        if self.flags.fp_cmp {
            self.flags = FlagState {
                eflags: inst.flags,
                mem: self.flags.mem - inst.flags,
                inverted: false,
                float: true,
                fp_cmp: true,
            };
            return;
        }
        self.pre_clobber(inst.flags);
        self.call_rust(Helper::IntOp, inst, &[]);
        self.flags.mem = Flags::NZCV;
    }

    fn float_to_int(&mut self, inst: &Inst) {
        let (signed, zero) = (inst.aux & 1 != 0, inst.aux & 2 != 0);
        if self.opts.soft_fp || !signed && !zero {
            return self.soft(inst);
        }
        let double = inst.op == Op::F64ToInt;
        let e = Enc::of(if zero { 0x2c } else { 0x2d }).prefix(Self::ss(double));
        if signed {
            let a = if self.opts.flush {
                Rm::Reg(self.xmm(inst.a))
            } else {
                self.xrm(inst.a)
            };
            let dst = self.def();
            let locs = [fp_loc(a), FpLoc::None, FpLoc::None];
            let scratch = self.denormal_scratch();
            let first = self.traps_begin();
            self.denormal_traps(inst, a, scratch, locs, FpLoc::Gpr(dst));
            self.may_trap(inst, locs, FpLoc::Gpr(dst));
            self.asm.op(e, dst, a);
            return self.traps_end(first);
        }
        // Unsigned: the 64-bit conversion is exact for 0 <= x < 2^32; anything else (the sign bit set, or the
        // exponent too large, NaN included) is settled in software before the host raises any flag.
        self.pre_clobber(Flags::NONE);
        let xa = self.xmm(inst.a);
        let t = self.alloc_gpr();
        let locs = [FpLoc::Xmm(xa), FpLoc::None, FpLoc::None];
        let scratch = self.denormal_scratch();
        let first = self.traps_begin();
        self.denormal_traps(inst, Rm::Reg(xa), scratch, locs, FpLoc::Gpr(t));
        let mv = Enc::of(0x7e).prefix(0x66);
        self.asm.op(if double { mv.w() } else { mv }, xa, Rm::Reg(t));
        if double {
            self.asm.shift_i64(Sh::Shr, t, 52);
            self.asm.alu_i(Alu::Cmp, Rm::Reg(t), 1023 + 32);
        } else {
            self.asm.shift_i(Sh::Shr, t, 23);
            self.asm.alu_i(Alu::Cmp, Rm::Reg(t), 127 + 32);
        }
        self.clobbered();
        let (label, back) = (self.asm.new_label(), self.asm.new_label());
        self.asm.jcc(Cc::Ae, label);
        self.may_trap(inst, locs, FpLoc::Gpr(t));
        self.asm.op(e.w(), t, Rm::Reg(xa));
        self.asm.bind(back);
        let args = [SoftArg::Xmm(xa), SoftArg::None, SoftArg::None];
        self.cold.push(Cold::Soft {
            label,
            back,
            inst: *inst,
            args,
            dst: SoftDst::Gpr(t),
        });
        self.traps_end(first);
        self.finish_in(t);
    }

    /// The register that [`Emitter::denormal_traps`] needs, taken before the first instruction that may trap.
    pub(super) fn denormal_scratch(&mut self) -> u8 {
        if self.opts.flush {
            self.alloc_xmm()
        } else {
            NOWHERE
        }
    }

    /// Conversions to integers don't tell denormal operands from zeros, which under FZ they are: a comparison does.
    pub(super) fn denormal_traps(&mut self, inst: &Inst, a: Rm, t: u8, args: [FpLoc; 3], dst: FpLoc) {
        if let (true, Rm::Reg(x)) = (self.opts.flush, a) {
            let double = self.double(inst.a);
            self.asm.op(Enc::of(0x28), t, a);
            self.may_trap(inst, args, dst);
            self.asm
                .op_i(Enc::of(0xc2).prefix(Self::ss(double)), t, Rm::Reg(x), 3);
        }
    }

    fn int_to_float(&mut self, inst: &Inst) {
        if self.opts.soft_fp {
            return self.soft(inst);
        }
        let signed = inst.aux & 1 != 0;
        let double = inst.op == Op::IntToF64;
        let r = self.reg(inst.a);
        let dst = self.def_xmm();
        self.asm.op(Enc::of(0x57), dst, Rm::Reg(dst));
        let e = Enc::of(0x2a).prefix(Self::ss(double));
        let first = self.traps_begin();
        self.may_trap(inst, [FpLoc::Gpr(r), FpLoc::None, FpLoc::None], FpLoc::Xmm(dst));
        self.asm.op(if signed { e } else { e.w() }, dst, Rm::Reg(r));
        self.traps_end(first);
    }

    /// `cond` ? a : b.
    fn select_fp(&mut self, inst: &Inst) {
        let test = self.test_cond(inst.cond, Flags::NONE);
        let (xa, xb) = (self.xmm(inst.a), self.xmm(inst.b));
        let dst = self.def_xmm();
        // EFLAGS stay as they are.
        let over = self.asm.new_label();
        self.asm.op(Enc::of(0x28), dst, Rm::Reg(xa));
        match test {
            Test::Always => return,
            Test::One(cc) => self.asm.jcc(cc, over),
            Test::Or(p, q) => {
                self.asm.jcc(p, over);
                self.asm.jcc(q, over);
            }
            Test::And(p, q) => {
                let other = self.jcc_over(p.invert());
                self.asm.jcc(q, over);
                self.asm.bind(other);
            }
        }
        self.asm.op(Enc::of(0x28), dst, Rm::Reg(xb));
        self.asm.bind(over);
    }

    /// The operation in software.
    pub(super) fn soft(&mut self, inst: &Inst) {
        self.pre_clobber(Flags::NONE);
        self.call_rust(Helper::FpOp, inst, &[inst.a, inst.b, inst.c]);
        self.result_in_rax();
    }

    fn result_in_rax(&mut self) {
        if self.unused() {
            return;
        }
        match self.block.insts[self.at].op.result() {
            Type::F32 | Type::F64 => {
                let x = self.def_xmm();
                self.asm.op(Enc::of(0x6e).prefix(0x66).w(), x, Rm::Reg(RAX));
            }
            Type::None => {}
            _ => self.finish_in(RAX),
        }
    }
}
