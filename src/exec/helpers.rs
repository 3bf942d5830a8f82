//! Functions that translated code calls: floating point in software, FPSCR, rare integer operations.

use super::FpMode;
use super::runtime::Runtime;
use crate::cpu::state::CpuState;
use crate::ir::interp;
use crate::ir::ops::{Flags, Inst, Op};
use crate::ir::vector::{Shape, VecOp};
use crate::softfp::{self, Mode, Status};
use crate::x64::stubs::Helper;

type Function = extern "sysv64" fn(&mut CpuState, u64, u64, u64, u64) -> u64;

/// The Rust functions by [`Helper`].
#[rustfmt::skip]
const FUNCTIONS: [(Helper, Function); 6] = [
    (Helper::FpOp,      fp_op),
    (Helper::GetFpscr,  get_fpscr),
    (Helper::SetFpscr,  set_fpscr),
    (Helper::IntOp,     int_op),
    (Helper::ClockCall, clock_call),
    (Helper::VecOp,     vec_op),
];

/// Fills the table of entry points in `state`.
pub fn fill(state: &mut CpuState, runtime: &Runtime) {
    for (slot, offset) in state.helpers.iter_mut().zip(runtime.stubs().jumps) {
        *slot = runtime.base() + u64::from(offset);
    }
    for (helper, function) in FUNCTIONS {
        state.helpers[helper as usize] = function as *const () as u64;
    }
    state.helpers[Helper::Direct as usize] = super::direct::call as *const () as u64;
    state.helpers[Helper::Estimates as usize] = (&raw const softfp::ESTIMATES) as u64;
}

/// The operation in a packed word (see `x64::fp::pack_op`): op in bits 0-7, aux 8-15, imm2 16-23, flags 24-27,
/// imm 32-63.
fn unpack(word: u64) -> Inst {
    let op = Op::ALL.get((word & 0xff) as usize).copied().unwrap_or(Op::Const);
    Inst {
        aux: (word >> 8) as u8,
        imm2: (word >> 16 & 0xff) as u32,
        flags: Flags((word >> 24 & 15) as u8),
        imm: (word >> 32) as u32,
        ..Inst::new(op)
    }
}

/// A floating-point operation on the bits of its operands. Comparisons leave their result in `fp_cmp`.
extern "sysv64" fn fp_op(state: &mut CpuState, packed: u64, a: u64, b: u64, c: u64) -> u64 {
    let inst = unpack(packed);
    let mode = Mode::from_fpscr(state.fpscr);
    let mut status = Status::default();
    let result = interp::fp_op(inst.op, inst.aux, inst.imm, inst.imm2, a, b, c, mode, &mut status);
    state.fpscr |= status.0;
    if let Some(nzcv) = interp::fp_flags(inst.op, result) {
        state.fp_cmp = crate::cpu::state::nzcv_to_fp_cmp(nzcv);
        return u64::from(result as u32);
    }
    result
}

extern "sysv64" fn get_fpscr(state: &mut CpuState, _: u64, _: u64, _: u64, _: u64) -> u64 {
    interp::read_fpscr(state).into()
}

/// 1 when the key of translations has changed with the modes (see [`FpMode::key`]), else 0.
extern "sysv64" fn set_fpscr(state: &mut CpuState, _: u64, value: u64, _: u64, _: u64) -> u64 {
    let before = state.fpscr;
    interp::write_fpscr(state, value as u32);
    // RMode, FZ, DN, LEN, STRIDE; mostly none of them is touched.
    const MODES: u32 = 0x03f7_0000;
    let key = |fpscr| FpMode::get().map(|mode| mode.key(fpscr));
    u64::from((before ^ state.fpscr) & MODES != 0 && key(before) != key(state.fpscr))
}

/// An integer operation without memory accesses.
extern "sysv64" fn int_op(state: &mut CpuState, packed: u64, a: u64, b: u64, c: u64) -> u64 {
    interp::eval(&unpack(packed), [a, b, c], state)
}

/// A vector operation on `vec_args`; the result replaces the first of them.
extern "sysv64" fn vec_op(state: &mut CpuState, packed: u64, _: u64, _: u64, _: u64) -> u64 {
    let inst = unpack(packed);
    let args = state
        .vec_args
        .map(|[lo, hi]| u128::from(lo) | u128::from(hi) << 64);
    if let Some(op) = VecOp::from_aux(inst.aux) {
        let (result, raised) = interp::vec_op(op, Shape(inst.imm2 as u8), inst.imm, args, state.fpscr);
        state.fpscr |= raised;
        state.vec_args[0] = [result as u64, (result >> 64) as u64];
    }
    0
}

/// A clock function of the vDSO.
extern "sysv64" fn clock_call(_: &mut CpuState, packed: u64, a: u64, b: u64, _: u64) -> u64 {
    let result = super::clocks::call(unpack(packed).imm, a as u32, b as u32);
    (result as u32).into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::x64::fp::pack_op;

    fn pack(op: Op, flags: Flags, imm: u32) -> u64 {
        pack_op(&Inst {
            flags,
            imm,
            ..Inst::new(op)
        })
    }

    #[test]
    fn integer_operations_keep_registers_and_set_flags() {
        let mut s = CpuState::new();
        s.r = std::array::from_fn(|i| 100 + i as u32);
        let before = s.r;
        // SSAT to 8 bits saturates 1000 to 127 and sets Q.
        assert_eq!(int_op(&mut s, pack(Op::SSat, Flags::NONE, 8), 1000, 0, 0), 127);
        assert_eq!(s.q, 1);
        let sum = int_op(&mut s, pack(Op::Add, Flags::NZCV, 0), 0xffff_ffff, 1, 0);
        assert_eq!((sum, s.nzcv() >> 28), (0, 6));
        let product = int_op(
            &mut s,
            pack(Op::UMul64, Flags::NONE, 0),
            0xffff_ffff,
            0xffff_ffff,
            0,
        );
        assert_eq!(product, 0xffff_fffe_0000_0001);
        assert_eq!(s.r, before);
    }

    #[test]
    fn floating_point_raises_and_compares() {
        let mut s = CpuState::new();
        let one = u64::from(1f32.to_bits());
        assert_eq!(
            fp_op(&mut s, pack(Op::FDiv32, Flags::NONE, 0), one, 0, 0) as u32,
            f32::INFINITY.to_bits()
        );
        assert_eq!(s.fpscr & 0x9f, 2, "DZC");
        fp_op(&mut s, pack(Op::FCmp32, Flags::NONE, 0), one, 0, 0);
        assert_eq!(s.fp_nzcv(), 0x2000_0000);
        set_fpscr(&mut s, 0, 0x0040_0010, 0, 0);
        assert_eq!(get_fpscr(&mut s, 0, 0, 0, 0), 0x0040_0010);
    }
}
