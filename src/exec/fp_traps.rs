//! Floating-point traps in translated code (SIGFPE), settled in place: the operation is computed as ARM defines it.

use crate::cpu::state::{CpuState, STATE_BIAS, nzcv_to_fp_cmp};
use crate::ir::interp;
use crate::ir::ops::{Op, Type};
use crate::ir::vector::{Shape, VecOp};
use crate::softfp::{Mode, Status};
use crate::x64::code::{FpLoc, FpRow};

/// EFLAGS bits.
pub(super) const CF: u64 = 1;
pub(super) const PF: u64 = 1 << 2;
const AF: u64 = 1 << 4;
pub(super) const ZF: u64 = 1 << 6;
pub(super) const SF: u64 = 1 << 7;
pub(super) const OF: u64 = 1 << 11;

/// MXCSR's sticky bits of the exceptions that are never masked: Invalid, Denormal, Underflow.
const TRAPPED: u32 = 0x13;
/// MXCSR: Inexact's sticky bit, and its mask (see `interp::write_fpscr`).
const PE: u32 = 0x20;
const PM: u32 = 0x1000;

/// `ucontext` indices of the host registers, as they are numbered in encodings.
pub(super) const GREGS: [i32; 16] = [
    libc::REG_RAX,
    libc::REG_RCX,
    libc::REG_RDX,
    libc::REG_RBX,
    libc::REG_RSP,
    libc::REG_RBP,
    libc::REG_RSI,
    libc::REG_RDI,
    libc::REG_R8,
    libc::REG_R9,
    libc::REG_R10,
    libc::REG_R11,
    libc::REG_R12,
    libc::REG_R13,
    libc::REG_R14,
    libc::REG_R15,
];

/// The floating-point registers of an interrupted thread.
pub(super) fn fp_regs(context: &mut libc::ucontext_t) -> Option<&mut libc::_libc_fpstate> {
    // SAFETY: the kernel's frame, or null; it is part of the context.
    unsafe { context.uc_mcontext.fpregs.as_mut() }
}

fn join(words: [u32; 4]) -> u128 {
    words.iter().rev().fold(0, |all, w| all << 32 | u128::from(*w))
}

fn split(value: u128) -> [u32; 4] {
    [0, 32, 64, 96].map(|at| (value >> at) as u32)
}

/// The place at displacement `at` from the state pointer.
fn slot(state: &mut CpuState, at: i32) -> *mut u8 {
    std::ptr::from_mut(state)
        .cast::<u8>()
        .wrapping_offset(at as isize + STATE_BIAS as isize)
}

/// Computes the operation of `row`, whose instruction has trapped in a thread with these registers and this guest
/// state: the result goes where the row says, the cumulative bits to the state, the host's own are cleared, and the
/// thread goes on behind the operation. False if the context has no floating-point registers.
pub fn settle(context: &mut libc::ucontext_t, state: &mut CpuState, row: &FpRow) -> bool {
    let Some(fp) = fp_regs(context) else {
        return false;
    };
    fp.mxcsr &= !TRAPPED;
    let inexact_traps = fp.mxcsr & PM == 0;
    let xmm = fp._xmm.map(|r| join(r.element));
    let args = row.args.map(|loc| match loc {
        FpLoc::None => 0,
        FpLoc::Xmm(n) => xmm[usize::from(n & 15)],
        FpLoc::Gpr(n) => u128::from(context.uc_mcontext.gregs[GREGS[usize::from(n & 15)] as usize] as u64),
        // SAFETY: the row's displacement is that of a register in the state, with 16 bytes from there on.
        FpLoc::State(at) => unsafe { slot(state, at).cast::<u128>().read_unaligned() },
    });
    let (result, raised) = match VecOp::from_aux(row.aux) {
        Some(op) if row.op == Op::VecFp => {
            interp::vec_op(op, Shape(row.imm2 as u8), row.imm, args, state.fpscr)
        }
        _ => {
            let [a, b, c] = args.map(|v| v as u64);
            let (mode, mut status) = (Mode::from_fpscr(state.fpscr), Status::default());
            let value = interp::fp_op(row.op, row.aux, row.imm, row.imm2, a, b, c, mode, &mut status);
            (value.into(), status.0)
        }
    };
    state.fpscr |= raised;
    if inexact_traps && let Some(fp) = fp_regs(context) {
        fp.mxcsr &= !PE;
        if raised & Status::IXC != 0 {
            fp.mxcsr |= PM;
        }
    }
    let greg = |index: i32| index as usize;
    match row.dst {
        FpLoc::None => {
            let flags = &mut context.uc_mcontext.gregs[greg(libc::REG_EFL)];
            let cmp = u64::from(nzcv_to_fp_cmp(result as u32)) & (ZF | PF | CF);
            *flags = *flags & !((CF | PF | AF | ZF | SF | OF) as i64) | cmp as i64;
        }
        FpLoc::Xmm(n) => {
            let keep = if row.op == Op::VecFp { 0 } else { u128::MAX << 64 };
            let n = usize::from(n & 15);
            if let Some(fp) = fp_regs(context) {
                fp._xmm[n].element = split(xmm[n] & keep | result & !keep);
            }
        }
        FpLoc::Gpr(n) => {
            context.uc_mcontext.gregs[greg(GREGS[usize::from(n & 15)])] = result as i64;
        }
        FpLoc::State(at) => {
            let to = slot(state, at);
            // SAFETY: the row's displacement is that of a register in the state, of the result's size.
            unsafe {
                match row.op.result() {
                    Type::Vec => to.cast::<u128>().write_unaligned(result),
                    Type::F64 => to.cast::<u64>().write_unaligned(result as u64),
                    _ => to.cast::<u32>().write_unaligned(result as u32),
                }
            }
        }
    }
    context.uc_mcontext.gregs[greg(libc::REG_RIP)] += i64::from(row.len);
    true
}
