//! Exits, joins, calls and returns.

use super::asm::{Cc, Enc, Mem, Rm};
use super::emit::{Cold, Emitter, FlagState, SoftArg, SoftDst};
use super::flags::Test;
use super::regs::{RAX, RBP, RCX, RDX, RSP, disp, reg_disp};
use super::stubs::{Helper, helper_disp};
use crate::cpu::state::CpuState;
use crate::ir::ops::{Flags, Inst, Op, Value};
use dynasmrt::{DynasmApi, dynasm};
use std::mem::offset_of;

impl Emitter<'_> {
    pub(super) fn control(&mut self, inst: &Inst) {
        match inst.op {
            Op::SkipUnless => self.skip_unless(inst),
            Op::Label => self.join(inst.imm as usize),
            Op::ExitIf => {
                let live = self.fates[self.at].live_there;
                let test = self.test_cond(inst.cond, live);
                self.exit_if(test, inst.imm, live);
            }
            Op::ExitIfZero | Op::ExitIfNonZero => {
                let live = self.fates[self.at].live_there;
                let all = live | self.fates[self.at].live_after;
                self.spill_flags(Flags(all.0 & self.flags.eflags.0) - self.flags.mem);
                let r = self.reg(inst.a);
                self.asm.test_rr(r, r);
                self.clobbered();
                let cc = if inst.op == Op::ExitIfZero { Cc::E } else { Cc::Ne };
                self.exit_if(Test::One(cc), inst.imm, live);
            }
            Op::Jump => {
                if self.at > 0 && self.block.insts[self.at - 1].op == Op::SetFpscr {
                    // eax says whether the mode that translations are keyed by has changed.
                    self.spill_for(Flags::NZCV);
                    self.asm.test_rr(RAX, RAX);
                    self.clobbered();
                    let label = self.asm.new_label();
                    self.asm.jcc(Cc::Ne, label);
                    self.cold.push(Cold::Fpscr {
                        label,
                        target: inst.imm,
                    });
                }
                self.spill_for(self.fates[self.at].live_there);
                self.link_jump(inst.imm);
            }
            Op::Call => {
                self.spill_for(self.fates[self.at].live_there);
                self.push_tag(inst.imm2);
                self.asm.align_patch(1);
                self.asm.ops.push(0xe8);
                self.patch_field(inst.imm);
                self.landing(inst.imm2);
            }
            Op::CallInd => {
                self.spill_for(Flags::NZCV);
                self.target_in_ecx(inst.a);
                self.push_tag(inst.imm2);
                self.table_load();
                dynasm!(self.asm.ops; .arch x64; call rdx);
                self.landing(inst.imm2);
            }
            Op::Return => self.ret(inst.a),
            Op::JumpInd => {
                self.spill_for(Flags::NZCV);
                self.target_in_ecx(inst.a);
                self.table_load();
                dynasm!(self.asm.ops; .arch x64; jmp rdx);
            }
            Op::Svc => {
                self.spill_for(Flags::NZCV);
                self.store_pc(inst.imm2 & !1, inst.aux);
                self.asm.mov_ri(RAX, inst.imm);
                let call = helper_disp(Helper::Svc);
                dynasm!(self.asm.ops; .arch x64; call QWORD [rbp + call]);
                self.link_jump(inst.imm2);
            }
            Op::Trap => {
                self.spill_for(Flags::NZCV);
                self.store_pc(self.pc, self.it);
                self.asm.mov_ri(RAX, u32::from(inst.aux));
                self.asm.mov_ri(RDX, inst.imm);
                self.jump_helper(Helper::ExitTrap);
            }
            _ => unreachable!("{:?} is not control flow", inst.op),
        }
    }

    /// r15, T and ITSTATE in the state.
    fn store_pc(&mut self, pc: u32, it: u8) {
        self.asm.store_imm(Mem::state(reg_disp(15)), pc);
        let (t_at, it_at) = (disp(offset_of!(CpuState, thumb)), disp(offset_of!(CpuState, it)));
        let t = i8::from(self.thumb);
        dynasm!(self.asm.ops; .arch x64; mov BYTE [BYTE rbp + t_at as i8], t; mov BYTE [BYTE rbp + it_at as i8], it as i8);
    }

    /// Flags that `live` says are needed where we leave to go to memory.
    fn spill_for(&mut self, live: Flags) {
        self.spill_flags(Flags(live.0 & self.flags.eflags.0) - self.flags.mem);
    }

    pub(super) fn jump_helper(&mut self, h: Helper) {
        let at = helper_disp(h);
        dynasm!(self.asm.ops; .arch x64; jmp QWORD [rbp + at]);
    }

    /// The 32-bit displacement of a direct exit to `target`.
    fn patch_field(&mut self, target: u32) {
        let at = self.asm.pos();
        self.asm.ops.push_i32(0);
        self.push_exit(at, target);
    }

    /// A patchable jump.
    fn link_jump(&mut self, target: u32) {
        if target == self.own_target {
            let entry = self.own_entry();
            return self.asm.jmp(entry);
        }
        self.asm.align_patch(1);
        self.asm.ops.push(0xe9);
        self.patch_field(target);
    }

    /// A patchable conditional jump.
    fn link_jcc(&mut self, cc: Cc, target: u32) {
        if target == self.own_target {
            let entry = self.own_entry();
            return self.asm.jcc(cc, entry);
        }
        self.asm.align_patch(2);
        self.asm.ops.extend(&[0x0f, 0x80 | cc as u8]);
        self.patch_field(target);
    }

    /// Leaves to `target` when `test` holds.
    fn exit_if(&mut self, test: Test, target: u32, live: Flags) {
        let spill = Flags(live.0 & self.flags.eflags.0) - self.flags.mem;
        // Exits of a counting block are counted on the way out.
        let counting = self.opts.run_counter.is_some();
        let cold = (!spill.is_empty() || counting).then(|| {
            let label = self.asm.new_label();
            let taken = counting.then(|| self.count_exit());
            self.cold.push(Cold::Exit {
                label,
                flags: self.flags,
                spill,
                target,
                taken,
            });
            label
        });
        match test {
            Test::Always => match cold {
                Some(l) => self.asm.jmp(l),
                None => self.link_jump(target),
            },
            Test::One(cc) => self.leave(cc, cold, target),
            Test::Or(a, b) => {
                self.leave(a, cold, target);
                self.leave(b, cold, target);
            }
            Test::And(a, b) => {
                let over = self.jcc_over(a.invert());
                self.leave(b, cold, target);
                self.asm.bind(over);
            }
        }
        let here = self.asm.pos();
        if counting && let Some(exit) = self.code.early.last_mut() {
            exit.host_bytes = here;
        }
    }

    fn leave(&mut self, cc: Cc, cold: Option<dynasmrt::DynamicLabel>, target: u32) {
        match cold {
            Some(l) => self.asm.jcc(cc, l),
            None => self.link_jcc(cc, target),
        }
    }

    fn skip_unless(&mut self, inst: &Inst) {
        let label = inst.imm as usize;
        let join = self.block.insts[self.at + 1..]
            .iter()
            .position(|k| k.op == Op::Label && k.imm == inst.imm)
            .map_or(self.block.insts.len() - 1, |n| self.at + 1 + n);
        let test = self.test_cond(inst.cond, self.fates[join].live_after);
        self.label_flags[label] = Some(self.flags);
        let l = self.labels[label];
        match test {
            Test::Always => {}
            Test::One(cc) => self.asm.jcc(cc.invert(), l),
            // Not (a or b): neither; not (a and b): either fails.
            Test::Or(a, b) => {
                let run = self.jcc_over(a);
                self.asm.jcc(b.invert(), l);
                self.asm.bind(run);
            }
            Test::And(a, b) => {
                self.asm.jcc(a.invert(), l);
                self.asm.jcc(b.invert(), l);
            }
        }
    }

    /// The end of a predicated run. Where the path through the run and the one around it have the flags that matter
    /// in the same places, they stay there; otherwise each path stores its own.
    fn join(&mut self, label: usize) {
        let live = self.fates[self.at].live_after;
        let l = self.labels[label];
        let around = self.label_flags[label].unwrap_or(self.flags);
        if self.flags.inverted != around.inverted
            && !self.flags.float
            && !around.float
            && (live - self.flags.mem).contains(Flags::C)
            && self.flags.eflags.contains(Flags::C)
            && around.eflags.contains(Flags::C)
        {
            dynasm!(self.asm.ops; .arch x64; cmc);
            self.flags.inverted = around.inverted;
        }
        let through = self.flags;
        if let Some(both) = meet(through, around, live) {
            self.flags = both;
            self.asm.bind(l);
            return self.forget_homes();
        }
        self.spill_for(live);
        let through = self.flags;
        if around.mem.contains(live) {
            self.asm.bind(l);
        } else {
            let joined = self.asm.new_label();
            self.asm.jmp(joined);
            self.asm.bind(l);
            self.flags = around;
            // No value survives the join, so rax is free here.
            self.gpr_holds = [Value::NONE; 16];
            self.spill_for(live);
            self.asm.bind(joined);
        }
        self.flags = FlagState {
            eflags: Flags::NONE,
            mem: Flags(through.mem.0 & (around.mem | self.flags.mem).0) | live,
            inverted: false,
            float: false,
            fp_cmp: false,
        };
        self.forget_homes();
    }

    /// The return tag of a call: the return address in the low half of a 64-bit word.
    fn push_tag(&mut self, ret: u32) {
        if (ret as i32) >= 0 {
            dynasm!(self.asm.ops; .arch x64; push DWORD ret as i32);
        } else {
            // lr holds it, zero-extended.
            dynasm!(self.asm.ops; .arch x64; push r15);
        }
    }

    /// Where a matched return comes back: drops the tag, goes on at `ret`.
    fn landing(&mut self, ret: u32) {
        self.row(false, true);
        dynasm!(self.asm.ops; .arch x64; lea rsp, [rsp + 8]);
        self.link_jump(ret);
    }

    fn target_in_ecx(&mut self, a: Value) {
        self.take(RCX);
        self.copy_to(RCX, a);
    }

    /// rdx = host code of the guest address in ecx, or the lookup stub.
    fn table_load(&mut self) {
        self.row(false, true);
        let base = disp(offset_of!(CpuState, code_base));
        // The table is at gs, or where that is guest memory's base, at a pointer in the state.
        let based = self.opts.based;
        let entry = |index| Mem {
            base: based.then_some(RDX),
            index: Some(index),
            disp: 0,
            addr32: false,
            gs: !based,
        };
        if based {
            let table = Rm::Mem(Mem::at(RBP, disp(offset_of!(CpuState, jump_table))));
            self.asm.op(Enc::new(0x8b).w(), RDX, table);
        }
        if self.opts.hash_lookup {
            // Entries of {address, offset}, 64 bits, indexed by bits 1-16 of the address.
            dynasm!(self.asm.ops; .arch x64
                ; mov eax, ecx
                ; shr eax, 1
                ; movzx eax, ax
            );
            self.asm.op(Enc::new(0x8b).w(), RDX, Rm::Mem(entry((RAX, 3))));
            dynasm!(self.asm.ops; .arch x64
                ; cmp edx, ecx
                ; mov eax, 0
                ; cmovne rdx, rax
                ; shr rdx, 32
                ; add rdx, QWORD [rbp + base]
            );
        } else {
            self.asm.op(Enc::new(0x8b), RDX, Rm::Mem(entry((RCX, 2))));
            dynasm!(self.asm.ops; .arch x64; add rdx, QWORD [rbp + base]);
        }
    }

    fn ret(&mut self, a: Value) {
        self.spill_for(Flags::NZCV);
        let target = self.rm(a);
        let target = match target {
            Rm::Reg(_) => target,
            _ => Rm::Reg(self.reg(a)),
        };
        let Rm::Reg(t) = target else { unreachable!() };
        self.row(false, true);
        self.asm.op(Enc::new(0x39), t, Rm::Mem(Mem::at(RSP, 8)));
        let label = self.asm.new_label();
        self.asm.jcc(Cc::Ne, label);
        dynasm!(self.asm.ops; .arch x64; ret);
        self.cold.push(Cold::Miss { label, target });
    }

    pub(super) fn emit_cold(&mut self) {
        self.row(false, true);
        let mut cold = std::mem::take(&mut self.cold);
        for c in cold.drain(..) {
            match c {
                Cold::Exit {
                    label,
                    flags,
                    spill,
                    target,
                    taken,
                } => {
                    self.asm.bind(label);
                    self.flags = flags;
                    // Nothing is live in the scratch registers on the way out.
                    self.gpr_holds = [Value::NONE; 16];
                    self.spill_flags(spill);
                    if let Some(taken) = taken {
                        self.count(taken);
                    }
                    self.loop_head = None;
                    self.link_jump(target);
                }
                Cold::Miss { label, target } => {
                    self.asm.bind(label);
                    self.asm.mov_rm(RCX, target);
                    self.table_load();
                    dynasm!(self.asm.ops; .arch x64; jmp rdx);
                }
                Cold::Align { label, addr, pc, it } => {
                    self.asm.bind(label);
                    self.asm.mov_rr(RAX, addr);
                    self.store_pc(pc, it);
                    self.jump_helper(Helper::ExitAlign);
                }
                Cold::MonitorMiss { label, back } => {
                    self.asm.bind(label);
                    dynasm!(self.asm.ops; .arch x64; lock or DWORD [rsp - 64], 1);
                    self.asm.jmp(back);
                }
                Cold::Fpscr { label, target } => {
                    self.asm.bind(label);
                    self.store_pc(target & !1, 0);
                    self.asm.mov_ri(RAX, target);
                    self.jump_helper(Helper::ExitFpscr);
                }
                Cold::Soft {
                    label,
                    back,
                    inst,
                    args,
                    dst,
                } => {
                    self.asm.bind(label);
                    if inst.op == Op::VecFp {
                        self.soft_cold_vector(&inst, &args, dst);
                    } else {
                        self.soft_cold(&inst, &args, dst);
                    }
                    self.asm.jmp(back);
                }
            }
        }
        self.cold = cold;
    }

    /// As [`Emitter::soft_cold`] for a vector operation: its operands and its result are in `vec_args`.
    fn soft_cold_vector(&mut self, inst: &Inst, args: &[SoftArg; 3], dst: SoftDst) {
        let base = disp(offset_of!(CpuState, call_args));
        let saved = disp(offset_of!(CpuState, exit_addr));
        dynasm!(self.asm.ops; .arch x64; mov QWORD [rbp + saved], rax);
        for (k, a) in args.iter().enumerate() {
            let at = super::vector::vec_arg(k);
            match a {
                SoftArg::None => {}
                SoftArg::Xmm(x) => self.asm.op(Enc::of(0x29), *x, at.into()),
                SoftArg::Gpr(_) => unreachable!("operands of vector operations are vectors"),
                SoftArg::Mem(m) => {
                    for half in [0, 8] {
                        let word = |m: Mem| Mem {
                            disp: m.disp + half,
                            ..m
                        };
                        self.asm.op(Enc::new(0x8b).w(), RAX, word(*m).into());
                        self.asm.op(Enc::new(0x89).w(), RAX, word(at).into());
                    }
                }
            }
        }
        self.asm.mov_ri64(RAX, super::fp::pack_op(inst));
        dynasm!(self.asm.ops; .arch x64; mov QWORD [rbp + base], rax);
        let call = helper_disp(Helper::CallRustSaving);
        self.asm.mov_ri(RAX, Helper::VecOp as u32);
        dynasm!(self.asm.ops; .arch x64; call QWORD [rbp + call]);
        if let SoftDst::Xmm(x) = dst {
            self.asm.op(Enc::of(0x28), x, super::vector::vec_arg(0).into());
        }
        dynasm!(self.asm.ops; .arch x64; mov rax, QWORD [rbp + saved]);
    }

    /// Arguments from XMM registers, the call, the result to where the hot path expects it. Every register keeps what
    /// the hot path has in it: the stub saves all but rax, which waits where exits put their argument.
    fn soft_cold(&mut self, inst: &Inst, args: &[SoftArg; 3], dst: SoftDst) {
        let base = disp(offset_of!(CpuState, call_args));
        let saved = disp(offset_of!(CpuState, exit_addr));
        dynasm!(self.asm.ops; .arch x64; mov QWORD [rbp + saved], rax);
        for (k, a) in args.iter().enumerate() {
            let at = Mem::state(base + 8 * (k as i32 + 1));
            match a {
                SoftArg::None => {}
                SoftArg::Xmm(x) => self.asm.op(Enc::of(0xd6).prefix(0x66), *x, at.into()),
                SoftArg::Gpr(r) => self.asm.op(Enc::new(0x89).w(), *r, at.into()),
                SoftArg::Mem(m) => {
                    self.asm.op(Enc::new(0x8b).w(), RAX, (*m).into());
                    self.asm.op(Enc::new(0x89).w(), RAX, at.into());
                }
            }
        }
        let packed = super::fp::pack_op(inst);
        self.asm.mov_ri64(RAX, packed);
        dynasm!(self.asm.ops; .arch x64; mov QWORD [rbp + base], rax);
        let call = helper_disp(Helper::CallRustSaving);
        self.asm.mov_ri(RAX, Helper::FpOp as u32);
        dynasm!(self.asm.ops; .arch x64; call QWORD [rbp + call]);
        match dst {
            SoftDst::Gpr(RAX) => return,
            // ZF, PF and CF; rax, where they are made, holds nothing at a comparison.
            SoftDst::Unordered => dynasm!(self.asm.ops; .arch x64; mov ah, 0x45; sahf),
            SoftDst::Gpr(r) => self.asm.mov_rr(r, RAX),
            SoftDst::Xmm(x) => self.asm.op(Enc::of(0x6e).prefix(0x66).w(), x, Rm::Reg(RAX)),
        }
        dynasm!(self.asm.ops; .arch x64; mov rax, QWORD [rbp + saved]);
    }
}

/// The state in which two paths agree, if it has all of `live`.
fn meet(a: FlagState, b: FlagState, live: Flags) -> Option<FlagState> {
    let both = FlagState {
        eflags: Flags(a.eflags.0 & b.eflags.0),
        mem: Flags(a.mem.0 & b.mem.0),
        inverted: a.inverted,
        float: a.float,
        fp_cmp: a.fp_cmp && b.fp_cmp,
    };
    let same_kind = a.float == b.float && a.inverted == b.inverted;
    let eflags = if same_kind {
        both.eflags
    } else if a.float == b.float {
        both.eflags - Flags::C
    } else {
        Flags::NONE
    };
    let both = FlagState { eflags, ..both };
    (eflags | both.mem).contains(live).then_some(both)
}
