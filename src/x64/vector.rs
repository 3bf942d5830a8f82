//! Advanced SIMD: registers, memory, lanes, and the operations that have no inline form.
//!
//! A vector value is a whole XMM register. The upper half of a D-form value is unspecified; memory that holds one may
//! be 8 bytes only (its D register). The files beside this one hold the operations by class.

mod arith;
mod convert;
mod crypto;
mod fp;
mod half;
mod host;
mod permute;
mod saturate;
mod shifts;

use super::alloc_xmm::FpMem;
use super::asm::{Enc, Mem, Rm};
use super::emit::{Emitter, NOWHERE};
use super::evex::Evex;
use super::fp::pack_op;
use super::regs::{RAX, d_disp, disp};
use super::stubs::{Helper, helper_disp};
use crate::cpu::state::CpuState;
use crate::ir::ops::{Flags, Inst, Op, Value};
use crate::ir::vector::{Shape, VecOp};
use dynasmrt::{DynasmApi, dynasm};
pub(super) use host::{op3a, op38, op66};
use std::mem::offset_of;

/// Displacement of vector operand `k` of a helper call.
pub(super) fn vec_arg(k: usize) -> Mem {
    Mem::state(disp(offset_of!(CpuState, vec_args) + 16 * k))
}

/// pinsrb, pinsrw, pinsrd.
fn insertion(shape: Shape) -> Enc {
    match shape.log2_bytes() {
        0 => op3a(0x20),
        1 => op66(0xc4),
        _ => op3a(0x22),
    }
}

impl Emitter<'_> {
    pub(super) fn vector(&mut self, inst: &Inst) {
        let shape = Shape(inst.imm2 as u8);
        match inst.op {
            Op::GetV => self.get_v(inst.imm as usize, shape.is_q()),
            Op::SetV => self.set_v(inst.imm as usize, shape.is_q(), inst.a),
            Op::LoadV => {
                let m = self.address(inst.a, inst.b, inst.aux >> 4, inst.imm);
                let x = self.def_xmm();
                self.upper_zero[self.at] = !shape.is_q();
                self.fault_point();
                // movups, movq
                let e = if shape.is_q() {
                    Enc::of(0x10)
                } else {
                    Enc::of(0x7e).prefix(0xf3)
                };
                self.asm.op(e, x, m.into());
            }
            Op::StoreV => {
                let m = self.address(inst.a, inst.b, inst.aux >> 4, inst.imm);
                let x = self.xmm(inst.c);
                self.fault_point();
                let e = if shape.is_q() { Enc::of(0x11) } else { op66(0xd6) };
                self.asm.op(e, x, m.into());
            }
            Op::LoadDup => self.load_dup(inst, shape),
            Op::LoadLane => self.load_lane(inst, shape),
            Op::StoreLane => self.store_lane(inst, shape),
            // Loaded where it is used.
            Op::VConst => {}
            Op::VDup => self.dup(inst, shape),
            Op::VExtract => self.extract(inst, shape),
            Op::VInsert => self.insert(inst, shape),
            Op::VToI64 => {
                let half = inst.imm as i32;
                let dst = match self.in_memory(inst.a) {
                    Some(m) => {
                        let dst = self.def();
                        let at = Mem {
                            disp: m.disp + 8 * half,
                            ..m
                        };
                        return self.asm.op(Enc::new(0x8b).w(), dst, at.into());
                    }
                    None => self.xmm(inst.a),
                };
                let (x, dst) = (dst, self.def());
                if half == 0 {
                    self.asm.op(op66(0x7e).w(), x, Rm::Reg(dst));
                } else {
                    self.asm.op_i(op3a(0x16).w(), x, Rm::Reg(dst), 1);
                }
            }
            Op::VFromI64 => {
                let r = self.reg(inst.a);
                let x = self.def_xmm();
                self.upper_zero[self.at] = true;
                self.asm.op(op66(0x6e).w(), x, Rm::Reg(r));
            }
            _ => {
                let inline = VecOp::from_aux(inst.aux).is_some_and(|op| match inst.op {
                    Op::VecSat => self.vec_saturating(inst, op, shape),
                    Op::Vec => {
                        self.vec_arith(inst, op, shape)
                            || self.vec_shift(inst, op, shape)
                            || self.vec_permute(inst, op, shape)
                            || self.vec_crypto(inst, op)
                    }
                    _ => self.vec_fp(inst, op, shape),
                });
                if !inline {
                    self.vec_call(inst);
                }
            }
        }
    }

    /// D `i`, or with `q` D `i` and `i` + 1.
    fn get_v(&mut self, i: usize, q: bool) {
        let value = Value(self.at as u32);
        // Carried around the loop, it is in a register already.
        let carried = self.in_xmm(value);
        if q {
            // Two 8-byte stores are not forwarded to one 16-byte load: halves in registers are put together there.
            let halves = [self.home_d[i], self.home_d[i + 1]];
            let [lo, hi] = halves.map(|v| {
                if v.is_none() {
                    NOWHERE
                } else {
                    self.places[v.index()].xmm
                }
            });
            let known = self.home_q[i / 2];
            if !carried && known.is_none() && (lo != NOWHERE || hi != NOWHERE) {
                for x in [lo, hi] {
                    if x != NOWHERE {
                        self.xlocked |= 1 << x;
                    }
                }
                let x = self.def_xmm();
                match lo {
                    NOWHERE => {
                        let m = Mem::state(d_disp(i as u8));
                        self.asm.op(Enc::of(0x7e).prefix(0xf3), x, m.into());
                    }
                    _ if hi != NOWHERE && self.opts.host.avx => {}
                    _ => self.asm.op(Enc::of(0x28), x, Rm::Reg(lo)),
                }
                match hi {
                    // movhps
                    NOWHERE => self
                        .asm
                        .op(Enc::of(0x16), x, Mem::state(d_disp(i as u8 + 1)).into()),
                    _ if lo != NOWHERE && self.opts.host.avx => self.asm.vex(op66(0x6c), x, lo, Rm::Reg(hi)),
                    _ => self.asm.op(op66(0x6c), x, Rm::Reg(hi)),
                }
            }
            self.home_q[i / 2] = value;
            self.leave_one(known, Mem::state(d_disp(i as u8)));
            return;
        }
        let whole = self.home_q[i / 2];
        if !carried
            && !whole.is_none()
            && self.places[whole.index()].xmm != NOWHERE
            && self.home_d[i].is_none()
        {
            let from = self.xmm(whole);
            let x = self.def_xmm();
            self.half(x, from, i & 1 == 1);
            self.upper_zero[self.at] = true;
        }
        let old = std::mem::replace(&mut self.home_d[i], value);
        self.leave_one(old, Mem::state(d_disp(i as u8)));
    }

    /// `dst` = a half of `from`, zeros above.
    fn half(&mut self, dst: u8, from: u8, upper: bool) {
        if !upper {
            // movq
            self.asm.op(Enc::of(0x7e).prefix(0xf3), dst, Rm::Reg(from));
        } else if self.opts.host.avx {
            // vpsrldq
            self.asm.vex_i(op66(0x73), 3, dst, Rm::Reg(from), 8);
        } else {
            self.asm.op(Enc::of(0x28), dst, Rm::Reg(from));
            self.asm.op_i(op66(0x73), 3, Rm::Reg(dst), 8);
        }
    }

    fn set_v(&mut self, i: usize, q: bool, v: Value) {
        let m = Mem::state(d_disp(i as u8));
        if q {
            if self.home_q[i / 2] == v {
                return;
            }
            let x = self.xmm(v);
            self.leave_fp_home(2 * i, 4);
            self.asm.op(Enc::of(0x29), x, m.into());
            self.home_q[i / 2] = v;
            return;
        }
        if self.home_d[i] == v {
            return;
        }
        let x = self.xmm(v);
        self.leave_fp_home(2 * i, 2);
        self.asm.op(op66(0xd6), x, m.into());
        if !self.is_wide(v) {
            self.home_d[i] = v;
        }
    }

    /// Whether `v` is in an XMM register now.
    pub(super) fn in_xmm(&self, v: Value) -> bool {
        self.places[v.index()].xmm != NOWHERE
    }

    /// Memory of the vector `v`, if it is in no register.
    pub(super) fn in_memory(&self, v: Value) -> Option<Mem> {
        if self.places[v.index()].xmm != NOWHERE {
            return None;
        }
        self.fp_mem(v).map(|(FpMem::Whole(m) | FpMem::Low(m))| m)
    }

    /// The low lane of a general register in every lane.
    fn dup(&mut self, inst: &Inst, shape: Shape) {
        if self.vec_const(Value(self.at as u32)).is_some() {
            return;
        }
        let from = self.rm(inst.a);
        let x = self.def_xmm();
        if let (Rm::Reg(_), true) = (from, self.opts.host.avx512) {
            // vpbroadcast of a general register
            return self
                .asm
                .evex(op38(0x7a + shape.log2_bytes()), Evex::X, x, 0, from);
        }
        self.asm.op(op66(0x6e), x, from);
        self.broadcast(x, x, shape.log2_bytes(), 0);
    }

    /// An element of memory in every lane.
    fn load_dup(&mut self, inst: &Inst, shape: Shape) {
        let m = self.address(inst.a, inst.b, inst.aux >> 4, inst.imm);
        let size = usize::from(shape.log2_bytes());
        if self.opts.host.avx2 || size == 2 && self.opts.host.avx {
            let x = self.def_xmm();
            self.fault_point();
            // vpbroadcastb, vpbroadcastw, vbroadcastss
            return self
                .asm
                .vex(op38([0x78, 0x79, 0x18][size.min(2)]), x, 0, m.into());
        }
        if size == 2 {
            let x = self.def_xmm();
            self.fault_point();
            self.asm.op(op66(0x6e), x, m.into());
            return self.broadcast(x, x, 2, 0);
        }
        let t = self.alloc_gpr();
        self.fault_point();
        self.asm.op([Enc::of(0xb6), Enc::of(0xb7)][size & 1], t, m.into());
        let x = self.def_xmm();
        self.asm.op(op66(0x6e), x, Rm::Reg(t));
        self.broadcast(x, x, shape.log2_bytes(), 0);
    }

    /// One lane from memory.
    fn load_lane(&mut self, inst: &Inst, shape: Shape) {
        let lane = (inst.imm2 >> 8) as u8;
        let m = self.address(inst.a, inst.b, inst.aux >> 4, inst.imm);
        let e = insertion(shape);
        let xc = self.xmm(inst.c);
        let x = self.def_xmm_over(inst.c);
        if self.opts.host.avx {
            self.fault_point();
            return self.asm.vex_i(e, x, xc, m.into(), lane);
        }
        if x != xc {
            self.asm.op(Enc::of(0x28), x, Rm::Reg(xc));
        }
        self.fault_point();
        self.asm.op_i(e, x, m.into(), lane);
    }

    /// One lane to memory.
    fn store_lane(&mut self, inst: &Inst, shape: Shape) {
        let (lane, size) = ((inst.imm2 >> 8) as u8, shape.log2_bytes());
        let m = self.address(inst.a, inst.b, inst.aux >> 4, inst.imm);
        if let Some(home) = self.in_memory(inst.c) {
            let at = Mem {
                disp: home.disp + (i32::from(lane) << size),
                ..home
            };
            let t = self.alloc_gpr();
            let (load, store) = match size {
                0 => (Enc::of(0xb6).byte(), Enc::new(0x88).byte()),
                1 => (Enc::of(0xb7), Enc::new(0x89).prefix(0x66)),
                _ => (Enc::new(0x8b), Enc::new(0x89)),
            };
            self.asm.op(load, t, at.into());
            self.fault_point();
            return self.asm.op(store, t, m.into());
        }
        let x = self.xmm(inst.c);
        self.fault_point();
        match size {
            0 => self.asm.op_i(op3a(0x14), x, m.into(), lane),
            1 => self.asm.op_i(op3a(0x15), x, m.into(), lane),
            _ if lane == 0 => self.asm.op(op66(0x7e), x, m.into()),
            _ => self.asm.op_i(op3a(0x16), x, m.into(), lane),
        }
    }

    /// `dst` = lane `lane` of `src` in every lane.
    pub(super) fn broadcast(&mut self, dst: u8, src: u8, log2_bytes: u8, lane: u8) {
        if lane == 0 && self.opts.host.avx2 {
            let opcode = [0x78, 0x79, 0x58, 0x59][usize::from(log2_bytes)];
            return self.asm.vex(op38(opcode), dst, 0, Rm::Reg(src));
        }
        match log2_bytes {
            0 => {
                let pattern = self.asm.constant(u128::from(lane) * (u128::MAX / 0xff));
                self.v2(op38(0x00), dst, src, pattern);
            }
            1 => {
                // The word to both low places of its half, then the double word everywhere.
                let low = lane & 3;
                if lane < 4 {
                    self.asm
                        .op_i(Enc::of(0x70).prefix(0xf2), dst, Rm::Reg(src), low * 0x55);
                    self.asm.op_i(op66(0x70), dst, Rm::Reg(dst), 0x00);
                } else {
                    self.asm
                        .op_i(Enc::of(0x70).prefix(0xf3), dst, Rm::Reg(src), low * 0x55);
                    self.asm.op_i(op66(0x70), dst, Rm::Reg(dst), 0xaa);
                }
            }
            2 => self.asm.op_i(op66(0x70), dst, Rm::Reg(src), lane * 0x55),
            _ => self
                .asm
                .op_i(op66(0x70), dst, Rm::Reg(src), if lane == 0 { 0x44 } else { 0xee }),
        }
    }

    /// A lane as a 32-bit integer.
    fn extract(&mut self, inst: &Inst, shape: Shape) {
        let lane = inst.imm as u8;
        let size = shape.log2_bytes();
        let load = match (size, shape.is_unsigned()) {
            (0, true) => Enc::of(0xb6).byte(),
            (0, false) => Enc::of(0xbe).byte(),
            (1, true) => Enc::of(0xb7),
            (1, false) => Enc::of(0xbf),
            _ => Enc::new(0x8b),
        };
        if let Some(m) = self.in_memory(inst.a) {
            let dst = self.def();
            let at = Mem {
                disp: m.disp + (i32::from(lane) << size),
                ..m
            };
            return self.asm.op(load, dst, at.into());
        }
        let x = self.xmm(inst.a);
        let dst = self.def();
        match size {
            0 => self.asm.op_i(op3a(0x14), x, Rm::Reg(dst), lane),
            1 => self.asm.op_i(op66(0xc5), dst, Rm::Reg(x), lane),
            _ if lane == 0 => self.asm.op(op66(0x7e), x, Rm::Reg(dst)),
            _ => self.asm.op_i(op3a(0x16), x, Rm::Reg(dst), lane),
        }
        if size < 2 && !shape.is_unsigned() {
            self.asm.op(load, dst, Rm::Reg(dst));
        }
    }

    fn insert(&mut self, inst: &Inst, shape: Shape) {
        let lane = inst.imm as u8;
        let e = insertion(shape);
        let xa = self.xmm(inst.a);
        let b = self.rm(inst.b);
        // The memory forms read a byte or a word; the low bytes of the register's home serve.
        let x = self.def_xmm_over(inst.a);
        if self.opts.host.avx {
            return self.asm.vex_i(e, x, xa, b, lane);
        }
        if x != xa {
            self.asm.op(Enc::of(0x28), x, Rm::Reg(xa));
        }
        self.asm.op_i(e, x, b, lane);
    }

    /// The operation as a call of the interpreter's function.
    pub(super) fn vec_call(&mut self, inst: &Inst) {
        self.pre_clobber(Flags::NONE);
        for (k, v) in inst.operands().into_iter().enumerate() {
            if !v.is_none() {
                let x = self.xmm(v);
                self.asm.op(Enc::of(0x29), x, vec_arg(k).into());
            }
        }
        self.save_all();
        let base = disp(offset_of!(CpuState, call_args));
        self.asm.mov_ri64(RAX, pack_op(inst));
        dynasm!(self.asm.ops; .arch x64; mov QWORD [rbp + base], rax);
        self.asm.mov_ri(RAX, Helper::VecOp as u32);
        let call = helper_disp(Helper::CallRust);
        dynasm!(self.asm.ops; .arch x64; call QWORD [rbp + call]);
        self.clobbered();
        if !self.unused() {
            let x = self.def_xmm();
            self.asm.op(Enc::of(0x28), x, vec_arg(0).into());
            self.upper_zero[self.at] = !self.is_wide(Value(self.at as u32));
        }
    }
}
